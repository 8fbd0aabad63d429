import type { Problem } from '../findings/finding.ts'
import type { Firewall } from '../model/topology.ts'
import type { Rule } from './rule.ts'

/** D32 */
export const filterForwardWithIptables: Rule = {
  id: 'filter-forward-with-iptables',
  group: 'firewall',
  severity: 'error',
  summary: 'filterForward is set, and the firewall is iptables.',
  *check({ topology: { host, having } }) {
    yield* within(host.firewall, 'the host')
    for (const { firewall, enabled, name } of having.firewall)
      if (enabled) yield* within(firewall, `container "${name}"`)
  }
}

const within = function* (firewall: Firewall, owner: string): Generator<Problem> {
  const { filterForward: at, backend, enable } = firewall
  if (at === undefined || !enable || backend === 'nftables') return
  yield {
    message: `the firewall of ${owner} has filterForward, which iptables cannot do`,
    labels: [
      { at, text: 'for nftables only' },
      { at: [...firewall.at, 'backend'], text: 'iptables, as by default' }
    ],
    note: 'the rebuild stops: "filterForward only works with the nftables based firewall"',
    help: `write backend: nftables in ${firewall.at.join('.')} (networking.nftables.enable), or remove filterForward`
  }
}
