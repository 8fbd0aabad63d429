import type { Plan } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** D8 */
export const natWithoutInternal: Rule = {
  id: 'nat-without-internal',
  group: 'nat',
  severity: 'warning',
  summary: 'NAT is on, and nothing says for whom.',
  *check(plan) {
    const { nat, enabled, wildcard } = plan.nat
    if (!enabled || nat === undefined || nat.partial) return
    if (nat.internalInterfaces.length + nat.internalIPs.length + nat.internalIPv6s.length > 0) return
    if (nat.forwardPorts.length > 0 || nat.dmzHost !== undefined) return
    const names = candidates(plan, wildcard)
    yield {
      message: 'nat.enable is set, but internalInterfaces and internalIPs are empty',
      labels: [{ at: [...nat.at, 'enable'], text: 'translates for nobody' }],
      note:
        names.length === 0
          ? 'the host forwards packets between all of its interfaces and masquerades none'
          : 'the host forwards packets and masquerades none: containers send with their private address, and no answer ever comes back',
      help:
        names.length === 0
          ? 'remove nat.enable, or write whom it is for: internalInterfaces: [br0]'
          : `write internalInterfaces: [${names.join(', ')}]`
    }
  }
}

/** The interfaces by which containers send to the host; one pattern for many pairs. */
const candidates = ({ links, nat }: Plan, wildcard: string): readonly string[] => {
  const routed = links.filter(
    link =>
      link.veth !== undefined &&
      link.container?.internet !== false &&
      link.bridge?.open !== true &&
      !nat.covers(link, 4)
  )
  const pairs = routed
    .filter(({ bridgeName, veth }) => bridgeName === undefined && veth?.extra !== true)
    .map(({ hostIfname }) => hostIfname)
  const bridges = new Set(routed.map(({ bridgeName }) => bridgeName).filter(name => name !== undefined))
  return [...(pairs.length > 3 ? [`ve-${wildcard}`] : pairs), ...bridges]
}
