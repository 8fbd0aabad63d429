import { offer } from '../findings/mend.ts'
import type { Plan } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** D7 */
export const natListsBridgePort: Rule = {
  id: 'nat-lists-bridge-port',
  group: 'nat',
  severity: 'hint',
  summary: 'internalInterfaces has a port of a bridge, which routed packets never come in by.',
  *check(plan) {
    const { nat, enabled } = plan.nat
    if (!enabled || nat === undefined) return
    // Nearly every entry is a bridge itself, or a pattern.
    const entries = nat.internalInterfaces.filter(
      ({ name }) => !plan.bridges.has(name) || name.startsWith('vb-')
    )
    if (entries.length === 0) return
    const bridgeOf = ports(plan)
    for (const { at, name } of entries) {
      const bridge = bridgeOf.get(name)
      if (bridge === undefined && !name.startsWith('vb-')) continue
      if (bridge === null) continue
      yield {
        message: `internalInterfaces has "${name}", which no routed packet comes in by`,
        labels: [{ at, text: bridge === undefined ? 'ports of bridges' : `a port of bridge "${bridge}"` }],
        note: 'what the host routes for a port of a bridge comes in by the bridge itself, so the NAT rules see only the name of the bridge',
        help: advice(plan, bridge),
        ...offer(isListed(plan, bridge) ? { kind: 'remove', at } : undefined)
      }
    }
  }
}

/** Of a bridge that NAT sends out by, nothing belongs into the list. */
const advice = (plan: Plan, bridge: string | undefined): string => {
  const wanted = wantedFor(plan, bridge)
  return wanted.length === 0
    ? 'remove it; nothing takes its place'
    : isListed(plan, bridge)
      ? `remove it; ${wanted.length > 1 ? 'the bridges are' : `"${wanted[0]}" is`} listed already`
      : `remove it; ${bridge === undefined && wanted.length > 1 ? 'the name of the bridge' : `"${wanted[0]}"`} is what belongs here`
}

const wantedFor = ({ bridges, nat }: Plan, bridge: string | undefined): readonly string[] =>
  (bridge === undefined ? [...bridges.keys()] : [bridge]).filter(name => name !== nat.nat?.externalInterface)

/** Whether the bridges that are meant are in the list already. */
const isListed = (plan: Plan, bridge: string | undefined): boolean => {
  const wanted = wantedFor(plan, bridge)
  return wanted.length > 0 && wanted.every(name => plan.nat.matches(name))
}

/** The bridge of each interface that is a port of one; null where an interface named like one is none. */
const ports = ({ bridges, links }: Plan): ReadonlyMap<string, string | null> => {
  const names = new Map<string, string | null>()
  for (const { bridge } of bridges.values())
    for (const { name } of bridge.interfaces) names.set(name, bridge.name)
  for (const { hostIfname, bridgeName } of links)
    if (hostIfname !== '') names.set(hostIfname, bridgeName ?? null)
  return names
}
