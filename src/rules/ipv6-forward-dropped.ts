import type { Problem } from '../findings/finding.ts'
import type { Container, Nat } from '../model/topology.ts'
import { formatAddr } from '../net/addr.ts'
import { specialBlock } from '../net/special.ts'
import { natPlaces } from '../plan/nat.ts'
import type { Rule } from './rule.ts'

/** D18 */
export const ipv6ForwardDropped: Rule = {
  id: 'ipv6-forward-dropped',
  group: 'nat',
  severity: 'error',
  summary: 'A forward goes to an IPv6 address, and NAT is for IPv4 only.',
  *check({ topology }) {
    for (const { nat, container } of natPlaces(topology)) yield* dropped(nat, container)
  }
}

const dropped = function* (nat: Nat, container: Container | undefined): Generator<Problem> {
  if (!nat.enable || nat.enableIPv6) return
  const option = `${nat.at.join('.')}.enableIPv6`
  for (const { destination, source, proto } of nat.forwardPorts) {
    if (destination.fault !== undefined || destination.address?.family !== 6) continue
    // An address that cannot be a destination is told as such.
    if (specialBlock(destination.address)?.use === 'dead') continue
    yield {
      message: `the forward of ${proto.text} ${source.text} to [${formatAddr(destination.address)}] is dropped: ${option} is not set`,
      labels: [
        { at: destination.at, text: 'IPv6' },
        { at: [...nat.at, 'enableIPv6'], text: 'not true' }
      ],
      note: `NixOS leaves out the rule without a word: connections to the port end at ${container === undefined ? 'the host' : `container "${container.name}"`}`,
      help: `write ${option}: true`
    }
  }
}
