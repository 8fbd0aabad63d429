import { type Edit, offer } from '../findings/mend.ts'
import type { Bridge } from '../model/topology.ts'
import type { Family } from '../net/addr.ts'
import { PrefixMap } from '../net/set.ts'
import { ByName } from '../plan/firewall.ts'
import { FAMILIES } from '../plan/plan.ts'
import type { Path } from '../text/path.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** D43 */
export const natAndMasquerade: Rule = {
  id: 'nat-and-masquerade',
  group: 'nat',
  severity: 'hint',
  summary: 'NAT and the IPMasquerade of networkd translate the same bridge.',
  *check(plan) {
    const { nat, enabled, wildcard } = plan.nat
    if (!enabled || nat === undefined) return
    const named = new ByName(
      nat.internalInterfaces.map(({ at, name }) => [name, at] as const),
      wildcard
    )
    const sources = new PrefixMap<Path>()
    for (const { at, prefix } of [...nat.internalIPs, ...nat.internalIPv6s])
      if (prefix !== undefined) sources.add(prefix, at)
    const both = [...plan.bridges.values()].flatMap(({ bridge, subnets }): readonly Twice[] => {
      const entry = named.matching(bridge.name).at(-1)
      const entryFor = (family: Family): Path | undefined =>
        family === 6 && !nat.enableIPv6
          ? undefined
          : (entry ??
            subnets
              .map(({ prefix }) => (prefix.family === family ? sources.get(prefix) : undefined))
              .find(at => at !== undefined))
      const families = FAMILIES.filter(family => bridge.masquerade[family])
      const at = families.map(entryFor).find(at => at !== undefined)
      const left = families.find(
        family => entryFor(family) === undefined && subnets.some(({ prefix }) => prefix.family === family)
      )
      return at === undefined ? [] : [{ bridge, at, left }]
    })
    const [first] = both
    if (first === undefined) return
    const names = listed(both.map(({ bridge: { name } }) => `"${name}"`))
    const needless = both.flatMap(({ bridge: { name }, left }) => (left === undefined ? [`"${name}"`] : []))
    const halves = both.flatMap(({ bridge: { name }, left }) =>
      left === undefined
        ? []
        : [`write IPMasquerade: ipv${left} for "${name}", whose IPv${left} NAT leaves alone`]
    )
    yield {
      message: `what leaves ${names} is translated by NAT and by networkd`,
      labels: [
        { at: [...first.bridge.at, 'IPMasquerade'], text: 'here' },
        { at: first.at, text: 'and here' }
      ],
      note: 'the rule of NAT comes first and decides. That of networkd also translates what goes to other containers, so services there see the host instead of their clients',
      help: [
        ...(needless.length === 0
          ? []
          : [`remove IPMasquerade from ${listed(needless)}; NAT turns on forwarding by itself`]),
        ...halves
      ].join('; '),
      ...offer(
        ...both.map(({ bridge: { at, name }, left }): Edit | undefined => {
          // By address NAT may cover a part of who is on the bridge.
          if (!plan.nat.matches(name)) return undefined
          const option = [...at, 'IPMasquerade']
          return left === undefined
            ? { kind: 'remove', at: option }
            : { kind: 'replace', at: option, value: `ipv${left}` }
        })
      )
    }
  }
}

/** A bridge that both translate. */
interface Twice {
  readonly bridge: Bridge
  /** The entry of NAT. */
  readonly at: Path
  /** The family that only networkd translates. */
  readonly left: Family | undefined
}
