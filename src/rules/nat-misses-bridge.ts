import { offer } from '../findings/mend.ts'
import { misspelt, untranslated } from '../plan/egress.ts'
import { listFor } from '../plan/nat.ts'
import type { Rule } from './rule.ts'

/** D5 */
export const natMissesBridge: Rule = {
  id: 'nat-misses-bridge',
  group: 'nat',
  severity: 'error',
  summary: 'NAT is on, and the bridge of containers that send through the host is not in its lists.',
  *check(plan) {
    const { nat } = plan.nat
    if (nat === undefined) return
    const told = misspelt(plan)
    for (const { link, family } of untranslated(plan)) {
      if (told.has(link)) continue
      const { node, at, bridge, addresses } = link
      if (bridge === undefined) continue
      const { members } = bridge
      const { name } = bridge.bridge
      const who = members.every(({ container }) => container !== undefined) ? 'containers' : 'machines'
      const source = addresses.find(({ prefix }) => prefix?.family === family)
      yield {
        message: `NAT does not cover ${family === 6 ? 'the IPv6 of ' : ''}bridge "${name}": it is not in internalInterfaces${members.length > 1 ? `, and ${members.length} ${who} use it` : ''}`,
        labels: [
          { at: [...nat.at, listFor(nat, family)], text: `${name} is missing here` },
          { at: source?.at ?? at, text: `"${node.name}" sends from here` }
        ],
        note: 'packets of bridged containers enter the host through the bridge, never through ve-… or vb-…: they leave with their private source address, and no answer ever comes back',
        help: `add "${name}" to nat.internalInterfaces, or write internet: false for its containers if no way out is wanted`,
        ...offer({ kind: 'append', at: [...nat.at, 'internalInterfaces'], value: name })
      }
    }
  }
}
