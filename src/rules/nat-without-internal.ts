import type { Rule } from './rule.ts'

/** D8 */
export const natWithoutInternal: Rule = {
  id: 'nat-without-internal',
  group: 'nat',
  severity: 'warning',
  summary: 'NAT is on, and nothing says for whom.',
  *check({ nat: { nat, enabled }, links }) {
    if (!enabled || nat === undefined || nat.partial) return
    if (nat.internalInterfaces.length + nat.internalIPs.length + nat.internalIPv6s.length > 0) return
    if (nat.forwardPorts.length > 0 || nat.dmzHost !== undefined) return
    const names = [...new Set(links.filter(({ veth }) => veth !== undefined).map(({ bridgeName, hostIfname }) => bridgeName ?? hostIfname))]
    yield {
      message: 'nat.enable is set, but internalInterfaces and internalIPs are empty',
      labels: [{ at: [...nat.at, 'enable'], text: 'translates for nobody' }],
      note: 'the host forwards packets and masquerades none: containers send with their private address, and no answer ever comes back',
      help: `write internalInterfaces: [${names.length === 0 ? 'br0' : names.slice(0, 4).join(', ')}]`
    }
  }
}
