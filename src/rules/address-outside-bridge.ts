import { type Family, formatAddr } from '../net/addr.ts'
import { contains, firstUsable, formatNetwork, formatPrefix, lastUsable, type Prefix } from '../net/prefix.ts'
import { specialBlock } from '../net/special.ts'
import { defaultRoutes } from '../plan/gateways.ts'
import type { BridgePlan, Link, Plan } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** A16 */
export const addressOutsideBridge: Rule = {
  id: 'address-outside-bridge',
  group: 'addresses',
  severity: 'error',
  summary: "A container's address is not in its bridge's network.",
  *check(plan, freeIn) {
    const carried = carriedNetworks(plan)
    for (const { link, bridge: home, address, placement } of plan.misplaced.values()) {
      const { prefix } = address
      if (placement.kind !== 'outside' || prefix === undefined) continue
      // It may be in the part of the bridge that is not written here.
      if (home.bridge.partial || isExplained(prefix) || carried.has(keyOf(home, prefix))) continue
      const { prefix: network, bridge, address: own } = placement.subnet
      const { name } = bridge
      const node = link.kind === 'tap' ? 'machine' : 'container'
      // Who else has an address out there is not in the file.
      const { open } = home
      const free = open ? undefined : freeIn(network, address)
      const lead = open
        ? `choose one of ${formatPrefix(network)} that nobody has, or`
        : free === undefined
          ? `${formatPrefix(network)} is full:`
          : `write ${formatAddr(free)}/${network.bits}, which is free, or`
      yield {
        message: `${address.text} of ${node} "${link.node.name}" is outside ${formatPrefix(network)} of bridge "${name}"`,
        labels: [
          {
            at: address.at,
            text: `"${name}" has ${formatAddr(firstUsable(network))} to ${formatAddr(lastUsable(network))}`
          },
          { at: own.at, text: `the network of "${name}"` }
        ],
        note: `to the host ${formatAddr(prefix)} is not on "${name}", so its answers go elsewhere${
          namesLink(link, network.family)
            ? `, and the ${node} waits for them in vain`
            : `; to the ${node} the bridge is a stranger, and refused as a gateway ("${network.family === 4 ? 'Nexthop has invalid gateway' : 'No route to host'}")`
        }`,
        help: `${lead} add an address of ${formatNetwork(prefix)} to "${name}"`,
        // Machines out there may be in the container's network too.
        ...(open ? { severity: 'warning' as const } : {})
      }
    }
  }
}

/** Whether NixOS adds a route to the router itself, so that the kernel takes it: for hostAddress, and with a named interface. */
const namesLink = ({ node, veth }: Link, family: Family): boolean => {
  const host = family === 4 ? veth?.hostAddress : veth?.hostAddress6
  const gateway = family === 4 ? node.defaultGateway : node.defaultGateway6
  return host !== undefined || gateway?.interface !== undefined
}

/** Whether the address has another fault of its own. */
const isExplained = (prefix: Prefix): boolean => {
  const block = specialBlock(prefix)
  // fc00:: is used as fd00:: is; what else is no ordinary address has a rule of its own.
  return block !== undefined && block.use !== 'fine' && block.source !== 'RFC 4193'
}

const keyOf = ({ bridge }: BridgePlan, prefix: Prefix): string => `${bridge.name} ${formatNetwork(prefix)}`

/**
 * Networks that a bridge carries beside its own: someone in them has a router there, behind the bridge's port to outside
 * or in another container.
 */
const carriedNetworks = (plan: Plan): ReadonlySet<string> => {
  const carried = new Set<string>()
  for (const { link, bridge, address, placement } of plan.misplaced.values())
    if (
      placement.kind === 'outside' &&
      address.prefix !== undefined &&
      hasRouterBeside(plan, link, bridge, address.prefix)
    )
      carried.add(keyOf(bridge, address.prefix))
  return carried
}

/** Whether the container's router is in its own network on the bridge: behind a port to outside, or another container. */
const hasRouterBeside = (plan: Plan, { node }: Link, bridge: BridgePlan, prefix: Prefix): boolean => {
  const gateway = prefix.family === 4 ? node.defaultGateway : node.defaultGateway6
  const routers =
    'veth' in node ? defaultRoutes(plan, node, prefix.family).map(({ via }) => via) : [gateway?.address]
  return routers.some(
    router =>
      router?.prefix !== undefined &&
      contains(prefix, router.prefix) &&
      (bridge.open ||
        plan.addresses
          .owners(router.prefix)
          ?.some(({ kind, link }) => kind === 'local' && link?.bridge === bridge && link?.node !== node) ===
          true)
  )
}
