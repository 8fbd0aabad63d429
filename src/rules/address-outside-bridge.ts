import type { AddressText } from '../model/topology.ts'
import { type Family, formatAddr } from '../net/addr.ts'
import { contains, firstUsable, formatNetwork, formatPrefix, lastUsable, type Prefix } from '../net/prefix.ts'
import { specialBlock } from '../net/special.ts'
import { defaultRoutes } from '../plan/gateways.ts'
import type { Link, Plan } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** A16 */
export const addressOutsideBridge: Rule = {
  id: 'address-outside-bridge',
  group: 'addresses',
  severity: 'error',
  summary: "A container's address is not in its bridge's network.",
  *check(plan, freeIn) {
    const carried = carriedNetworks(plan)
    for (const { link, address, placement } of plan.misplaced.values()) {
      if (placement.kind !== 'outside' || isExplained(link, address) || carried.has(keyOf(link, address)))
        continue
      const { prefix: network, bridge, address: own } = placement.subnet
      const { name } = bridge
      // Who else has an address out there is not in the file.
      const open = link.bridge?.open === true
      const free = open ? undefined : freeIn(network)
      const lead = open
        ? `choose one of ${formatPrefix(network)} that nobody has, or`
        : free === undefined
          ? `${formatPrefix(network)} is full:`
          : `write ${formatAddr(free)}/${network.bits}, which is free, or`
      yield {
        message: `${address.text} of ${link.kind === 'tap' ? 'machine' : 'container'} "${link.node.name}" is outside ${formatPrefix(network)} of bridge "${name}"`,
        labels: [
          {
            at: address.at,
            text: `"${name}" has ${formatAddr(firstUsable(network))} to ${formatAddr(lastUsable(network))}`
          },
          { at: own.at, text: `the network of "${name}"` }
        ],
        note: `to the host ${address.prefix === undefined ? address.text : formatAddr(address.prefix)} is not on "${name}", so its answers go elsewhere${
          namesLink(link, network.family)
            ? ', and the container waits for them in vain'
            : `; to the container the bridge is a stranger, and refused as a gateway ("${network.family === 4 ? 'Nexthop has invalid gateway' : 'No route to host'}")`
        }`,
        help: `${lead} add an address of ${address.prefix === undefined ? 'its network' : formatNetwork(address.prefix)} to "${name}"`,
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

/** Whether the address has another fault of its own, or may be in the part of the bridge that is not written here. */
const isExplained = ({ bridge }: Link, { prefix }: AddressText): boolean => {
  if (prefix === undefined || bridge === undefined || bridge.bridge.partial) return true
  const block = specialBlock(prefix)
  // fc00:: is used as fd00:: is; what else is no ordinary address has a rule of its own.
  return block !== undefined && block.use !== 'fine' && block.source !== 'RFC 4193'
}

const keyOf = ({ bridgeName }: Link, { prefix }: AddressText): string =>
  `${bridgeName} ${prefix === undefined ? '' : formatNetwork(prefix)}`

/**
 * Networks that a bridge carries beside its own: someone in them has a router there, behind the bridge's port to outside
 * or in another container.
 */
const carriedNetworks = (plan: Plan): ReadonlySet<string> => {
  const carried = new Set<string>()
  for (const { link, address, placement } of plan.misplaced.values())
    if (
      placement.kind === 'outside' &&
      address.prefix !== undefined &&
      hasRouterBeside(plan, link, address.prefix)
    )
      carried.add(keyOf(link, address))
  return carried
}

/** Whether the container's router is in its own network on the bridge: behind a port to outside, or another container. */
const hasRouterBeside = (plan: Plan, { node, bridge }: Link, prefix: Prefix): boolean => {
  const gateway = prefix.family === 4 ? node.defaultGateway : node.defaultGateway6
  const routers =
    'veth' in node ? defaultRoutes(plan, node, prefix.family).map(({ via }) => via) : [gateway?.address]
  return routers.some(
    router =>
      router?.prefix !== undefined &&
      contains(prefix, router.prefix) &&
      (bridge?.open === true ||
        plan.addresses
          .owners(router.prefix)
          ?.some(({ kind, link }) => kind === 'local' && link?.bridge === bridge && link?.node !== node) ===
          true)
  )
}
