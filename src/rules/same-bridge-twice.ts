import type { Problem } from '../findings/finding.ts'
import { contains } from '../net/prefix.ts'
import type { Link, Plan } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** A network card of its own for each of two networks that are one. */
export const sameBridgeTwice: Rule = {
  id: 'same-bridge-twice',
  group: 'bridges',
  severity: 'hint',
  summary: 'Two interfaces of one container or machine are on the same bridge.',
  *check(plan) {
    for (const container of plan.topology.having.extraVeths) yield* twice(plan.linksOf.get(container) ?? [])
    for (const vm of plan.topology.vms) if (vm.interfaces.length > 1) yield* twice(plan.linksOf.get(vm) ?? [])
  }
}

const isOneSubnet = (a: Link, b: Link): boolean =>
  a.addresses.some(({ prefix: one }) =>
    b.addresses.some(
      ({ prefix: other }) =>
        one !== undefined && other !== undefined && (contains(one, other) || contains(other, one))
    )
  )

const twice = function* (links: Plan['links']): Generator<Problem> {
  const seen = new Map<string, Link>()
  for (const link of links) {
    const { bridgeName, bridge, ifname, at, node, kind } = link
    // With VLANs in the bridge each port can be in a network of its own.
    if (bridgeName === undefined || bridge?.bridge.vlanAware === true) continue
    const first = seen.get(bridgeName)
    seen.set(bridgeName, first ?? link)
    // Two interfaces in one subnet are told as that, whatever they are on.
    if (first === undefined || isOneSubnet(first, link)) continue
    const owner = `${kind === 'tap' ? 'machine' : 'container'} "${node.name}"`
    yield {
      message: `${ifname} and ${first.ifname} of ${owner} are both on bridge "${bridgeName}"`,
      labels: [
        { at: [...at, 'hostBridge'], text: `${ifname} is on "${bridgeName}"` },
        { at: [...first.at, 'hostBridge'], text: `and so is ${first.ifname}` }
      ],
      note: 'they are one network: Linux answers ARP for each of its addresses on both, so a neighbour may send to either, and nothing is kept apart',
      help: `give ${first.ifname} both addresses, or put ${ifname} on a bridge of its own`
    }
  }
}
