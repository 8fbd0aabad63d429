import { type Edit, offer } from '../findings/mend.ts'
import { PrefixMap } from '../net/set.ts'
import { FAMILIES } from '../plan/plan.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** D43 */
export const natAndMasquerade: Rule = {
  id: 'nat-and-masquerade',
  group: 'nat',
  severity: 'hint',
  summary: 'NAT and the IPMasquerade of networkd translate the same bridge.',
  *check(plan) {
    const { nat, enabled } = plan.nat
    if (!enabled || nat === undefined) return
    const sources = new PrefixMap<true>()
    for (const { prefix } of [...nat.internalIPs, ...nat.internalIPv6s])
      if (prefix !== undefined) sources.add(prefix, true)
    const both = [...plan.bridges.values()].flatMap(({ bridge, subnets }) =>
      FAMILIES.some(
        family =>
          bridge.masquerade[family] &&
          (family === 4 || nat.enableIPv6) &&
          (plan.nat.matches(bridge.name) ||
            subnets.some(({ prefix }) => prefix.family === family && sources.get(prefix) !== undefined))
      )
        ? [bridge]
        : []
    )
    const [first] = both
    if (first === undefined) return
    const names = listed(both.map(({ name }) => `"${name}"`))
    yield {
      message: `what leaves ${names} is translated by NAT and by networkd`,
      labels: [
        { at: [...first.at, 'IPMasquerade'], text: 'here' },
        {
          at: nat.internalInterfaces.find(({ name }) => name === first.name)?.at ?? [
            ...nat.at,
            nat.internalInterfaces.length > 0 ? 'internalInterfaces' : 'internalIPs'
          ],
          text: 'and here'
        }
      ],
      note: 'the rule of NAT comes first and decides. That of networkd also translates what goes to other containers, so services there see the host instead of their clients',
      help: `remove IPMasquerade from ${names}; NAT turns on forwarding by itself`,
      ...offer(
        ...both.map(({ at, name, masquerade }): Edit | undefined =>
          plan.nat.matches(name) && (nat.enableIPv6 || !masquerade[6])
            ? { kind: 'remove', at: [...at, 'IPMasquerade'] }
            : undefined
        )
      )
    }
  }
}
