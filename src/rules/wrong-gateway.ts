import type { Problem } from '../findings/finding.ts'
import { offer, replaced } from '../findings/mend.ts'
import type { Container, Gateway, Vm } from '../model/topology.ts'
import { type Addr, type Family, formatAddr } from '../net/addr.ts'
import { contains, formatNetwork, formatPrefix } from '../net/prefix.ts'
import { type GatewayFault, gatewayFault } from '../plan/gateways.ts'
import type { Plan, Subnet } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** B4, B5, B6 */
export const wrongGateway: Rule = {
  id: 'wrong-gateway',
  group: 'gateways',
  severity: 'error',
  summary: "A container's default gateway cannot be one: not on its link, its own address, or nobody's.",
  *check(plan) {
    yield* ofAll(plan, plan.topology.containers)
    yield* ofAll(plan, plan.topology.vms)
  }
}

const ofAll = function* (plan: Plan, nodes: readonly (Container | Vm)[]): Generator<Problem> {
  for (const container of nodes) {
    const { enabled, defaultGateway, defaultGateway6 } = container
    if (!enabled) continue
    if (defaultGateway !== undefined) yield* judged(plan, container, defaultGateway)
    if (defaultGateway6 !== undefined) yield* judged(plan, container, defaultGateway6)
  }
}

const judged = (plan: Plan, container: Container | Vm, gateway: Gateway): readonly Problem[] => {
  const fault = gatewayFault(plan, container, gateway)
  return fault === undefined ? NONE : [problem(plan, container, gateway, fault)]
}

const NONE: readonly never[] = []

const problem = (plan: Plan, container: Container | Vm, gateway: Gateway, fault: GatewayFault): Problem => {
  const what = 'veth' in container ? 'container' : 'machine'
  const option = String(gateway.at.at(-1))
  const family = familyOf(gateway)
  const lead = `${option} ${gateway.address.text} of ${what} "${container.name}"`
  const at = gateway.address.at
  const router = routerOf(plan, container, fault)
  const mended = mend(plan, container, gateway, fault, router)
  switch (fault.kind) {
    case 'own':
      return {
        message: `${lead} is its own address`,
        labels: [
          { at, text: 'the router must be somebody else' },
          { at: fault.address.at, text: `the ${what}'s address` }
        ],
        note:
          family === 4
            ? 'the kernel takes the route and then asks the link for the router: nobody answers, and connections fail with "No route to host"'
            : 'the kernel refuses the route ("Gateway can not be a local address"), so nothing leaves the network',
        ...mended
      }
    case 'network':
    case 'broadcast':
      return {
        message: `${lead} is the ${fault.kind} address of ${formatPrefix(fault.prefix)}`,
        labels: [
          { at, text: 'nobody answers there' },
          { at: fault.address.at, text: `the ${what} is in ${formatPrefix(fault.prefix)}` }
        ],
        note:
          fault.kind === 'network'
            ? 'it names the network and belongs to no machine: the kernel takes the route, and connections fail with "No route to host"'
            : 'the kernel refuses a broadcast address as a router ("Nexthop has invalid gateway")',
        ...mended
      }
    case 'off-link':
      return {
        message: `${lead} is not on its link`,
        labels: [
          {
            at,
            text: `outside ${fault.address.prefix === undefined ? '' : formatNetwork(fault.address.prefix)}`
          },
          { at: fault.address.at, text: `the ${what}'s network` }
        ],
        note:
          fault.ifname === undefined
            ? `the kernel refuses the route ("${family === 4 ? 'Nexthop has invalid gateway' : 'No route to host'}"), and there is no way out; with networkd inside, eth0 stays "configuring" for ever without a word in the log`
            : `${gateway.interface === undefined ? 'a route leads' : 'NixOS adds a route'} to it on ${fault.ifname}, where nobody answers for it: connections fail with "No route to host"`,
        ...mended
      }
    case 'elsewhere': {
      const { name } = fault.bridge.bridge
      const { owner } = fault
      const there = owner.link?.bridgeName ?? /^bridge "(.+)"$/.exec(owner.owner)?.[1]
      return {
        message: `${lead} is ${owner.kind === 'pair' ? "the host's end of" : 'the address of'} ${owner.owner}${owner.link?.bridgeName === undefined ? '' : ` on bridge "${owner.link.bridgeName}"`}, and the ${what} is on bridge "${name}"`,
        labels: [
          { at, text: `not on "${name}"` },
          { at: owner.at, text: 'who has it is here' },
          { at: fault.bridge.bridge.at, on: 'key', text: `the bridge of the ${what}` }
        ],
        note: `two bridges are two networks: on "${name}" nobody answers ${family === 4 ? 'ARP' : 'neighbour discovery'} for the router, and connections fail with "No route to host"${family === 4 && owner.kind === 'host' ? `; without rp_filter the host would answer, and send its answers to ${there ?? 'the other network'}` : ''}`,
        help: `${there === undefined ? '' : `write hostBridge: ${there}, or `}give "${name}" an address of its own network and write that`
      }
    }
    default:
      return {
        message: `${lead} is nobody's address on bridge "${fault.bridge.bridge.name}"`,
        labels: [
          { at, text: 'no one has this address' },
          ...(router === undefined
            ? []
            : [{ at: router.address.at, text: `"${router.bridge.name}" has this one` }])
        ],
        note: `the route is set, but nobody answers ${family === 4 ? 'ARP' : 'neighbour discovery'} for the router: connections fail with "No route to host" after three seconds`,
        ...mended
      }
  }
}

const familyOf = ({ address }: Gateway): Family => address.prefix?.family ?? 4

/** The bridge's own address in the network of the container, where the bridge leads nowhere else. */
const routerOf = (
  { linksOf }: Plan,
  container: Container | Vm,
  { address }: GatewayFault
): Subnet | undefined => {
  const bridge = linksOf.get(container)?.find(({ addresses }) => addresses.includes(address))?.bridge
  return bridge?.open === true
    ? undefined
    : bridge?.subnets.find(({ prefix }) => address.prefix !== undefined && contains(prefix, address.prefix))
}

/** The router that was meant: the bridge, the host's own router where the bridge leads outside, or none where a pair has its route. */
const mend = (
  plan: Plan,
  container: Container | Vm,
  gateway: Gateway,
  fault: GatewayFault,
  router: Subnet | undefined
): Pick<Problem, 'help' | 'mend'> => {
  const { at, address } = gateway
  const own = fault.address.prefix
  const family = familyOf(gateway)
  const instead = (addr: Addr): Pick<Problem, 'mend'> =>
    offer(replaced(address.at, own !== undefined && contains(own, addr) ? formatAddr(addr) : undefined))
  const bridge = router?.address.prefix
  if (router !== undefined && bridge !== undefined)
    return {
      help: `write ${formatAddr(bridge)}, the address of bridge "${router.bridge.name}"`,
      ...instead(bridge)
    }
  const { host } = plan.topology
  const outside = (family === 4 ? host.defaultGateway : host.defaultGateway6)?.address.prefix
  if (outside !== undefined && own !== undefined && contains(own, outside))
    return { help: `write ${formatAddr(outside)}, the router of the host`, ...instead(outside) }
  const veth = 'veth' in container ? container.veth : undefined
  const hostAddress = family === 4 ? veth?.hostAddress : veth?.hostAddress6
  return hostAddress === undefined || veth?.hostBridge !== undefined
    ? { help: 'write the address of the router on the same network' }
    : {
        help: `remove it: ${hostAddress.at.at(-1)} ${hostAddress.text} is the default route already`,
        ...offer({ kind: 'remove', at })
      }
}
