import { formatAddr } from '../net/addr.ts'
import { specialBlock } from '../net/special.ts'
import type { Rule } from './rule.ts'

/** D18 */
export const ipv6ForwardDropped: Rule = {
  id: 'ipv6-forward-dropped',
  group: 'nat',
  severity: 'error',
  summary: 'A forward goes to an IPv6 address, and NAT is for IPv4 only.',
  *check({ topology: { nat } }) {
    if (nat === undefined || !nat.enable || nat.enableIPv6) return
    for (const { destination, source, proto } of nat.forwardPorts) {
      if (destination.fault !== undefined || destination.address?.family !== 6) continue
      // An address that cannot be a destination is told as such.
      if (specialBlock(destination.address)?.use === 'dead') continue
      yield {
        message: `the forward of ${proto.text} ${source.text} to [${formatAddr(destination.address)}] is dropped: nat.enableIPv6 is not set`,
        labels: [
          { at: destination.at, text: 'IPv6' },
          { at: [...nat.at, 'enableIPv6'], text: 'not true' }
        ],
        note: 'NixOS leaves out the rule without a word: connections to the port end at the host',
        help: 'write nat.enableIPv6: true'
      }
    }
  }
}
