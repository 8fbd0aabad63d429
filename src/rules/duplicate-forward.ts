import type { Problem } from '../findings/finding.ts'
import { offer } from '../findings/mend.ts'
import type { Firewall, Nat, NatForward, PortRange } from '../model/topology.ts'
import { formatAddr } from '../net/addr.ts'
import { natPlaces, refusedAt } from '../plan/nat.ts'
import { portSet, sharingPorts } from '../plan/ports.ts'
import type { Rule } from './rule.ts'

/** D13 */
export const duplicateForward: Rule = {
  id: 'duplicate-forward',
  group: 'ports',
  severity: 'error',
  summary: 'Two forwards of NAT take the same port, or lead to ranges of ports that overlap.',
  *check({ topology }) {
    for (const { nat, firewall } of natPlaces(topology)) {
      yield* inNat(nat, firewall)
      yield* ledTo(nat, firewall)
    }
  }
}

const inNat = function* (nat: Nat, firewall: Firewall): Generator<Problem> {
  const { backend } = firewall
  if (!nat.enable) return
  const sorted = sharingPorts(
    nat.forwardPorts,
    ({ source }) => source.range,
    ({ proto }) => proto.value
  )
    .flatMap(forward =>
      forward.source.range === undefined ||
      forward.proto.value === undefined ||
      (forward.destination.address?.family === 6 && !nat.enableIPv6)
        ? []
        : [{ forward, ...forward.source.range }]
    )
    .sort((a, b) => a.from - b.from)
  // The range that reaches furthest so far, for each table: whatever starts before its end shares ports with it.
  const furthest = new Map<string, { readonly forward: NatForward; readonly to: number }>()
  for (const { forward, from, to } of sorted) {
    const key = tableOf(forward)
    const earlier = furthest.get(key)
    if (earlier === undefined || to > earlier.to) furthest.set(key, { forward, to })
    if (earlier === undefined || earlier.to < from) continue
    const [first, second] = isBefore(earlier.forward, forward)
      ? [earlier.forward, forward]
      : [forward, earlier.forward]
    const shared =
      from === Math.min(to, earlier.to) ? `port ${from}` : `ports ${from} to ${Math.min(to, earlier.to)}`
    const [proto, destination] = [forward.proto.text, second.destination.text]
    const same = target(first) === target(second)
    const harmless = same && (backend === 'iptables' || first.source.text === second.source.text)
    yield {
      message: `two forwards take ${proto} ${shared}${same ? `, both to ${destination}` : `: to ${first.destination.text} and to ${destination}`}`,
      labels: [
        { at: second.source.at, text: 'taken already' },
        { at: first.source.at, text: `sent to ${first.destination.text}` }
      ],
      note: harmless
        ? `${backend} takes the same forward twice, and the second one ${second.loopbackIPs.length === 0 ? 'changes nothing' : 'adds its loopbackIPs and nothing else'}`
        : backend === 'iptables'
          ? `the first rule wins in silence: ${destination} never gets anything on ${shared}`
          : `a map of nftables has each port once ("File exists"): ${refusedAt(second.at, firewall)}`,
      help: same ? 'remove one of the two, or what they share' : 'give one of them another sourcePort',
      ...offer(
        same &&
          first.source.text === second.source.text &&
          first.loopbackIPs.length + second.loopbackIPs.length === 0
          ? { kind: 'remove', at: second.at }
          : undefined
      ),
      ...(harmless ? { severity: 'hint' as const } : {})
    }
  }
}

/** What the forwards lead to stands in a set of its own, whose ranges may not overlap either. */
const ledTo = function* (nat: Nat, firewall: Firewall): Generator<Problem> {
  if (!nat.enable || firewall.backend !== 'nftables') return
  const goals = portSet<NatForward>()
  for (const forward of nat.forwardPorts) {
    const { proto, source, destination } = forward
    const { address, ports } = destination
    if (address === undefined || ports === undefined || (address.family === 6 && !nat.enableIPv6)) continue
    const other = goals(`${proto.text} ${formatAddr(address)}`, ports, '', forward)
    // That they share ports of the host as well is told of these.
    if (other === undefined || meet(other.source.range, source.range)) continue
    yield {
      message: `the forwards of ${proto.text} ${other.source.text} and ${source.text} lead to ports of ${formatAddr(address)} that overlap: ${span(other.destination.ports)} and ${span(ports)}`,
      labels: [
        { at: destination.at, text: 'some of these are led to already' },
        { at: other.destination.at, text: 'by this' }
      ],
      note: `nftables has all goals in one set, which takes two ranges that are the same or apart, and no others ("File exists"): ${refusedAt(destination.at, firewall)}`,
      help: `split them so that no range of goals reaches into another one, such as one forward for each port`
    }
  }
}

const meet = (a: PortRange | undefined, b: PortRange | undefined): boolean =>
  a !== undefined && b !== undefined && a.from <= b.to && b.from <= a.to

const span = (range: PortRange | undefined): string =>
  range === undefined ? '' : range.from === range.to ? `${range.from}` : `${range.from}-${range.to}`

/** IPv4 and IPv6 have tables of their own, so one port may be forwarded once in each. */
const tableOf = ({ proto, destination }: NatForward): string =>
  `${proto.text} ${destination.address?.family ?? 4}`

const target = ({ destination: { text, address, ports } }: NatForward): string =>
  address === undefined ? text : `${formatAddr(address)} ${ports?.from} ${ports?.to}`

const isBefore = (a: NatForward, b: NatForward): boolean => Number(a.at.at(-1)) < Number(b.at.at(-1))
