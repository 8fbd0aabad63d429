import { refusedRule } from '../plan/nat.ts'
import type { NatForward } from '../model/topology.ts'
import type { Rule } from './rule.ts'

/** D13 */
export const duplicateForward: Rule = {
  id: 'duplicate-forward',
  group: 'ports',
  severity: 'error',
  summary: 'Two forwards of NAT take the same port.',
  *check({ nat: natPlan, topology: { nat } }) {
    if (nat === undefined) return
    const sorted = nat.forwardPorts
      .flatMap(forward => (forward.source.range === undefined || forward.proto.value === undefined ? [] : [{ forward, ...forward.source.range }]))
      .sort((a, b) => a.from - b.from)
    // The range that reaches furthest so far, for each protocol: whatever starts before its end shares ports with it.
    const furthest = new Map<string, { readonly forward: NatForward; readonly to: number }>()
    for (const { forward, from, to } of sorted) {
      const earlier = furthest.get(forward.proto.text)
      if (earlier === undefined || to > earlier.to) furthest.set(forward.proto.text, { forward, to })
      if (earlier === undefined || earlier.to < from) continue
      const [first, second] = isBefore(earlier.forward, forward) ? [earlier.forward, forward] : [forward, earlier.forward]
      const shared = from === Math.min(to, earlier.to) ? `port ${from}` : `ports ${from} to ${Math.min(to, earlier.to)}`
      yield {
        message: `two forwards take ${forward.proto.text} ${shared}: to ${first.destination.text} and to ${second.destination.text}`,
        labels: [
          { at: second.source.at, text: 'taken already' },
          { at: first.source.at, text: `sent to ${first.destination.text}` }
        ],
        note:
          natPlan.backend === 'iptables'
            ? `the first rule wins in silence: ${second.destination.text} never gets anything on ${shared}`
            : `a map of nftables has each port once ("File exists"): ${refusedRule(natPlan)}`,
        help: 'give one of them another sourcePort'
      }
    }
  }
}

const isBefore = (a: NatForward, b: NatForward): boolean => Number(a.at.at(-1)) < Number(b.at.at(-1))
