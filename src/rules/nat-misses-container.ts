import { offer } from '../findings/mend.ts'
import { misspelt, untranslated } from '../plan/egress.ts'
import { listFor } from '../plan/nat.ts'
import type { Rule } from './rule.ts'

/** D6 */
export const natMissesContainer: Rule = {
  id: 'nat-misses-container',
  group: 'nat',
  severity: 'error',
  summary: 'NAT is on, and a container without a bridge is not in its lists.',
  *check(plan) {
    const { nat } = plan.nat
    if (nat === undefined) return
    const selective = nat.internalInterfaces.some(({ name }) => /^ve-.*[^+*]$/.test(name))
    const told = misspelt(plan)
    for (const { link, family } of untranslated(plan)) {
      if (told.has(link)) continue
      const { hostIfname, node, at, bridge, addresses } = link
      if (bridge !== undefined) continue
      const source = addresses.find(({ prefix }) => prefix?.family === family)
      yield {
        message: `NAT does not cover ${family === 6 ? 'the IPv6 of ' : ''}container "${node.name}": neither ${hostIfname} nor ${source?.text} is in its lists`,
        labels: [
          { at: [...nat.at, listFor(nat, family)], text: `${hostIfname} is missing here` },
          { at: source?.at ?? at, text: `"${node.name}" sends from here` }
        ],
        note: 'its packets leave with their private source address, and no answer ever comes back',
        help: `add "${hostIfname}" to nat.internalInterfaces, or write internet: false for the container if no way out is wanted`,
        // A list of single containers may leave one out on purpose.
        ...offer(
          selective ? undefined : { kind: 'append', at: [...nat.at, 'internalInterfaces'], value: hostIfname }
        ),
        ...(selective ? { severity: 'hint' as const } : {})
      }
    }
  }
}
