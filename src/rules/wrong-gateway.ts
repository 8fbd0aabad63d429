import type { Problem } from '../findings/finding.ts'
import type { Container, Gateway } from '../model/topology.ts'
import { formatAddr } from '../net/addr.ts'
import { formatNetwork, formatPrefix } from '../net/prefix.ts'
import { type GatewayFault, gatewayFault } from '../plan/gateways.ts'
import type { Plan } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** B4, B5, B6 */
export const wrongGateway: Rule = {
  id: 'wrong-gateway',
  group: 'gateways',
  severity: 'error',
  summary: "A container's default gateway cannot be one: not on its link, its own address, or nobody's.",
  *check(plan) {
    for (const container of plan.topology.containers) {
      if (!container.enabled) continue
      for (const gateway of [container.defaultGateway, container.defaultGateway6]) {
        if (gateway === undefined) continue
        const fault = gatewayFault(plan, container, gateway)
        if (fault !== undefined) yield problem(plan, container, gateway, fault)
      }
    }
  }
}

const problem = (plan: Plan, container: Container, gateway: Gateway, fault: GatewayFault): Problem => {
  const option = gateway.address.prefix?.family === 6 ? 'defaultGateway6' : 'defaultGateway'
  const lead = `${option} ${gateway.address.text} of container "${container.name}"`
  const at = gateway.address.at
  const home = fault.kind === 'nobody' ? fault.bridge : plan.linksOf.get(container)?.find(({ bridge }) => bridge)?.bridge
  const router = home?.subnets.find(({ prefix }) => prefix.family === gateway.address.prefix?.family)
  const help =
    router?.address.prefix === undefined
      ? 'write the address of the router on the same network'
      : `write ${formatAddr(router.address.prefix)}, the address of bridge "${router.bridge.name}"`
  switch (fault.kind) {
    case 'own':
      return {
        message: `${lead} is its own address`,
        labels: [
          { at, text: 'the router must be somebody else' },
          { at: fault.address.at, text: "the container's address" }
        ],
        note: 'the kernel refuses the route ("Nexthop has invalid gateway"), so nothing leaves the network',
        help
      }
    case 'network':
    case 'broadcast':
      return {
        message: `${lead} is the ${fault.kind} address of ${formatPrefix(fault.prefix)}`,
        labels: [
          { at, text: 'nobody answers there' },
          { at: fault.address.at, text: `the container is in ${formatPrefix(fault.prefix)}` }
        ],
        note:
          fault.kind === 'network'
            ? "the gateway is the bridge's own address, not the name of its network: packets for elsewhere find no router"
            : 'the kernel refuses a broadcast address as a router ("Nexthop has invalid gateway")',
        help
      }
    case 'off-link':
      return {
        message: `${lead} is not on its link`,
        labels: [
          { at, text: `outside ${fault.address.prefix === undefined ? '' : formatNetwork(fault.address.prefix)}` },
          { at: fault.address.at, text: "the container's network" }
        ],
        note: 'the container reports "Nexthop has invalid gateway" and has no way out; with networkd inside, eth0 stays "configuring" for ever without a word in the log',
        help
      }
    default:
      return {
        message: `${lead} is nobody's address on bridge "${fault.bridge.bridge.name}"`,
        labels: [
          { at, text: 'no one has this address' },
          ...(router === undefined ? [] : [{ at: router.address.at, text: `"${router.bridge.name}" has this one` }])
        ],
        note: 'the route is set, but nobody answers ARP for the router: connections fail with "No route to host" after some seconds',
        help
      }
  }
}
