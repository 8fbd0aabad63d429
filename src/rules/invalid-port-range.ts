import type { Problem } from '../findings/finding.ts'
import type { Firewall } from '../model/topology.ts'
import { refusedRule } from '../plan/nat.ts'
import type { Rule } from './rule.ts'

/** D15, D34 */
export const invalidPortRange: Rule = {
  id: 'invalid-port-range',
  group: 'ports',
  severity: 'error',
  summary: 'A range of ports runs backwards or is written in a way that NixOS does not read.',
  *check(plan) {
    const { nat, host, containers } = plan.topology
    for (const { source } of [...(nat?.forwardPorts ?? []), ...containers.flatMap(({ inside }) => inside.nat?.forwardPorts ?? [])]) {
      if (source.fault === undefined || source.fault === 'bounds') continue
      const [from = '', to = ''] = source.text.split(/[:-]/)
      yield {
        message:
          source.fault === 'reversed'
            ? `the port range ${source.text} runs backwards`
            : `sourcePort "${source.text}" is no port and no range`,
        labels: [{ at: source.at, text: source.fault === 'reversed' ? `${to} is less than ${from}` : 'a range is written from:to' }],
        note:
          source.fault === 'reversed'
            ? refusedRule(plan.nat)
            : 'the rebuild stops: NixOS takes a number, or two with a colon between them',
        help:
          source.fault === 'reversed'
            ? `write "${to}:${from}"`
            : source.fault === 'separator'
              ? `write "${from}:${to}"`
              : 'write a number such as 8080, or a range such as "8000:8010"'
      }
    }
    for (const firewall of [host.firewall, ...containers.map(({ firewall }) => firewall)]) yield* reversed(firewall, refusedRule(plan.nat))
  }
}

const reversed = function* ({ open, interfaces, written }: Firewall, note: string): Generator<Problem> {
  if (!written) return
  for (const { tcp, udp } of [open, ...interfaces.map(({ open }) => open)])
    for (const { at, from, to } of [...tcp, ...udp])
      if (from > to)
        yield {
          message: `the port range from ${from} to ${to} runs backwards`,
          labels: [{ at, text: `${to} is less than ${from}` }],
          note,
          help: `write from: ${to}, to: ${from}`
        }
}
