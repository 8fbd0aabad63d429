import type { Container } from '../model/topology.ts'
import { defaultRoutes } from '../plan/gateways.ts'
import { nameMatcher } from '../plan/nat.ts'
import type { Plan } from '../plan/plan.ts'
import type { Path } from '../text/path.ts'
import type { Rule } from './rule.ts'

/** D10 */
export const natExternalInternal: Rule = {
  id: 'nat-external-internal',
  group: 'nat',
  severity: 'error',
  summary: 'The external interface of NAT is internal too, or it is a port of a bridge.',
  *check(plan) {
    const { nat, enabled, wildcard } = plan.nat
    const external = nat?.externalInterface
    if (!enabled || nat === undefined || external === undefined) return
    const at: Path = [...nat.at, 'externalInterface']
    const inside = nat.internalInterfaces.find(({ name }) => nameMatcher([name], wildcard)(external))
    if (inside !== undefined)
      yield {
        message: `"${external}" is the external interface of NAT and internal too`,
        labels: [
          { at, text: 'the way out' },
          { at: inside.at, text: 'and the way in' }
        ],
        note: 'what comes in from outside is translated as if it came from a container, and answers lose their sender',
        help: 'remove it from internalInterfaces'
      }
    for (const { bridge } of plan.bridges.values()) {
      const port = bridge.interfaces.find(({ name }) => name === external)
      if (port === undefined) continue
      const users = plan.links.filter(link => needsNat(plan, link, bridge.name))
      yield {
        message: `the external interface "${external}" of NAT is a port of bridge "${bridge.name}"`,
        labels: [
          { at, text: 'packets never leave by it' },
          { at: port.at, text: `it is a port of "${bridge.name}" here` }
        ],
        note:
          users.length > 0
            ? `the host routes by "${bridge.name}", so the rule for "${external}" never matches: ${users[0]?.node.name} gets no answer from the internet`
            : `the host routes by "${bridge.name}", so the rule for "${external}" never matches; containers on "${bridge.name}" are on that network themselves and need no NAT`,
        help: `write externalInterface: ${bridge.name}${users.length > 0 ? '' : ', or switch NAT off'}`,
        ...(users.length > 0 ? {} : { severity: 'warning' as const })
      }
    }
  }
}

/** Whether a link's packets for the internet are routed by the host, not switched by that bridge. */
const needsNat = (plan: Plan, { veth, node, bridgeName }: Plan['links'][number], bridge: string): boolean =>
  veth !== undefined && !veth.extra && bridgeName !== bridge && defaultRoutes(plan, node as Container, 4).length > 0
