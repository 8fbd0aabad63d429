import type { Problem } from '../findings/finding.ts'
import { offer, replaced } from '../findings/mend.ts'
import type { Firewall, Nat, Openings, PortRange, PortsText } from '../model/topology.ts'
import { natPlaces, refusedAt, underNat } from '../plan/nat.ts'
import { quote } from '../text/path.ts'
import type { Rule } from './rule.ts'

/** D15, D34 */
export const invalidPortRange: Rule = {
  id: 'invalid-port-range',
  group: 'ports',
  severity: 'error',
  exposes: true,
  summary: 'A range of ports runs backwards or is written in a way that NixOS does not read.',
  *check({ topology }) {
    for (const { nat, firewall } of natPlaces(topology)) yield* forwards(nat, firewall)
    yield* openings(topology.host.firewall)
    for (const { firewall, enabled } of topology.having.firewall)
      if (enabled && !isOrdered(firewall)) yield* openings(firewall)
  }
}

const forwards = function* (nat: Nat, firewall: Firewall): Generator<Problem> {
  for (const { source } of nat.forwardPorts) {
    if (source.fault === undefined || source.fault === 'bounds') continue
    const reversed = source.fault === 'reversed'
    const [from = '', to = ''] = source.text.split(/[:-]/)
    const note = reversed
      ? refusedAt(source.at, firewall)
      : 'the rebuild stops: NixOS takes a number, or two with a colon between them'
    yield {
      message: reversed
        ? `the port range ${source.text} runs backwards`
        : `sourcePort ${quote(source.text)} is no port and no range`,
      labels: [
        { at: source.at, text: reversed ? `${to} is less than ${from}` : 'a range is written from:to' }
      ],
      note: underNat(nat, note),
      help: mend(source),
      ...offer(replaced(source.at, ascending(source))),
      ...(nat.enable ? {} : { severity: 'hint' as const })
    }
  }
}

const mend = (source: PortsText): string => {
  const range = ascending(source)
  return range === undefined
    ? 'write a number such as 8080, or a range such as "8000:8010"'
    : `write "${range}"`
}

/** The range as NixOS takes it: from below to above, with a colon. */
const ascending = ({ text, fault }: PortsText): string | undefined => {
  if (fault === 'text') return undefined
  const [from = 0, to = 0] = text
    .split(/[:-]/)
    .map(Number)
    .sort((a, b) => a - b)
  return `${from}:${to}`
}

const isOrdered = ({ open, interfaces }: Firewall): boolean =>
  areOrdered(open) && interfaces.every(({ open }) => areOrdered(open))

const areOrdered = ({ tcp, udp }: Openings): boolean => tcp.every(runsUp) && udp.every(runsUp)

const runsUp = ({ from, to }: PortRange): boolean => from <= to

const openings = function* (firewall: Firewall): Generator<Problem> {
  const { open, interfaces, written, enable } = firewall
  if (!written || !enable) return
  for (const { tcp, udp } of [open, ...interfaces.map(({ open }) => open)])
    for (const { at, from, to } of [...tcp, ...udp])
      if (from > to)
        yield {
          message: `the port range from ${from} to ${to} runs backwards`,
          labels: [{ at, text: `${to} is less than ${from}` }],
          note: refusedAt(at, firewall),
          help: `write from: ${to}, to: ${from}`
        }
}
