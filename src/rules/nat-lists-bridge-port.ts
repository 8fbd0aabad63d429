import { offer } from '../findings/mend.ts'
import { untranslated } from '../plan/egress.ts'
import type { BridgePlan, Plan } from '../plan/plan.ts'
import { listed } from '../text/words.ts'
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
    const foreign = plan.nat.wildcard === '+' ? '*' : '+'
    // Nearly every entry is a bridge itself, or a pattern; one of the other backend is told as that.
    const entries = nat.internalInterfaces.filter(
      ({ name }) => (!plan.bridges.has(name) || name.startsWith('vb-')) && !name.endsWith(foreign)
    )
    if (entries.length === 0) return
    const bridgeOf = ports(plan)
    const told = new Set(Array.from(untranslated(plan), ({ link }) => link.bridgeName))
    for (const { at, name } of entries) {
      const bridge = bridgeOf.get(name)
      if (bridge === undefined && !name.startsWith('vb-')) continue
      if (bridge === null) continue
      const lost = left(plan, bridge).filter(({ bridge }) => !told.has(bridge.name))
      const who = lost.flatMap(({ members }) => members.map(({ node }) => `"${node.name}"`))
      yield {
        message: `internalInterfaces has "${name}", which no routed packet comes in by`,
        labels: [{ at, text: bridge === undefined ? 'ports of bridges' : `a port of bridge "${bridge}"` }],
        note: `what the host routes for a port of a bridge comes in by the bridge itself, so the NAT rules see only the name of the bridge${who.length === 0 ? '' : `: what ${listed(who, 4)} ${who.length === 1 ? 'sends' : 'send'} out leaves with its private address, and no answer comes back`}`,
        help: advice(plan, bridge),
        ...offer(isListed(plan, bridge) ? { kind: 'remove', at } : undefined),
        ...(who.length === 0 ? {} : { severity: 'warning' as const })
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

/** The bridges that are meant; one by which NAT sends out is not. */
const wantedFor = ({ bridges, nat }: Plan, bridge: string | undefined): readonly string[] => {
  const external = nat.nat?.externalInterface
  return (bridge === undefined ? [...bridges.keys()] : [bridge]).filter(
    name =>
      name !== external && bridges.get(name)?.bridge.interfaces.some(port => port.name === external) !== true
  )
}

/** Those of them that no entry covers, and whose containers may want a way out that the file does not have in full. */
const left = (plan: Plan, bridge: string | undefined): readonly BridgePlan[] =>
  wantedFor(plan, bridge).flatMap(name => {
    const own = plan.bridges.get(name)
    return own === undefined ||
      own.open ||
      plan.nat.matches(name) ||
      own.bridge.masquerade[4] ||
      !own.members.some(({ container }) => container?.partial === true && container.internet !== false)
      ? []
      : [own]
  })

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
  for (const { hostIfname, bridgeName } of links) names.set(hostIfname, bridgeName ?? null)
  return names
}
