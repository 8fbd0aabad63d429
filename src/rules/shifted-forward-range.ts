import type { Problem } from '../findings/finding.ts'
import { offer, replaced } from '../findings/mend.ts'
import type { Nat } from '../model/topology.ts'
import { natPlaces } from '../plan/nat.ts'
import type { Rule } from './rule.ts'

export const shiftedForwardRange: Rule = {
  id: 'shifted-forward-range',
  group: 'nat',
  severity: 'error',
  summary: 'A forward goes from one range of ports to another one.',
  *check({ topology }) {
    for (const { nat } of natPlaces(topology)) yield* shifted(nat)
  }
}

/**
 * The kernel keeps a port that lies in the range of the destination, and takes the range's first free one for any other
 * (net/netfilter/nf_nat_core.c): a range is no list to go along.
 */
const shifted = function* (nat: Nat): Generator<Problem> {
  if (!nat.enable) return
  for (const { source, destination, proto } of nat.forwardPorts) {
    const { range } = source
    const { ports, address, fault } = destination
    if (range === undefined || ports === undefined || address === undefined || fault !== undefined) continue
    if (proto.value === undefined || (address.family === 6 && !nat.enableIPv6)) continue
    if (ports.from === ports.to || (ports.from <= range.from && range.to <= ports.to)) continue
    const single = range.from === range.to
    const host = destination.text.replace(/:\d+-\d+$/, '')
    const kept = ports.from <= range.to && range.from <= ports.to
    const length = range.to - range.from
    const fits = ports.from + length <= 65535
    yield {
      message: single
        ? `the forward of ${proto.text} ${range.from} goes to ports ${ports.from} to ${ports.to}, and always gets ${ports.from}`
        : `the forward of ${proto.text} ${range.from} to ${range.to} does not move the ports in step: ${kept ? `what is not in ${ports.from} to ${ports.to}` : 'every one of them'} goes to ${ports.from}`,
      labels: [
        { at: destination.at, text: `${ports.from} is taken for any other port` },
        { at: source.at, text: single ? 'one port' : `${length + 1} ports` }
      ],
      note: `iptables and nftables read a range as a choice, not as a list: a port that lies in it stays as it is, and any other one becomes the first that is free`,
      help: single
        ? `write "${host}:${ports.from}"`
        : `let the service listen on the ports that arrive, and write "${host}:${range.from}-${range.to}"${fits && length < 20 ? `; or write ${length + 1} forwards, the first from ${range.from} to "${host}:${ports.from}"` : ''}`,
      ...offer(replaced(destination.at, single ? `${host}:${ports.from}` : undefined)),
      ...(single ? { severity: 'warning' as const } : {})
    }
  }
}
