import type { Problem } from '../findings/finding.ts'
import type { Rule } from './rule.ts'

/** D40 */
export const firewallMarkOne: Rule = {
  id: 'firewall-mark-one',
  group: 'nat',
  severity: 'warning',
  summary: 'A WireGuard tunnel uses firewall mark 1, with which NAT marks the packets of containers.',
  *check({ nat: { nat, enabled, backend }, topology: { host } }): Generator<Problem> {
    if (!enabled || nat === undefined || backend !== 'iptables' || nat.internalInterfaces.length === 0) return
    for (const { sections, name, enable } of host.networkd?.netdevs ?? [])
      for (const mark of enable ? (sections.get('wireguardConfig')?.settings.get('FirewallMark') ?? []) : [])
        if (Number(mark.text) === 1)
          yield {
            message: `the tunnel "${name?.text ?? 'wireguard'}" marks its own packets with ${mark.text}, and NAT marks those of containers with 1`,
            labels: [
              { at: mark.at, text: "WireGuard's mark" },
              { at: [...nat.at, 'internalInterfaces'], text: 'set to 1 for all of these' }
            ],
            note: 'with iptables, NAT runs "MARK --set-mark 1" on the first packet of each connection from an internal interface: the routing rule that lets the packets of the tunnel pass beside it lets that one pass too, unencrypted, and the rest of the connection goes into the tunnel',
            help: 'write another FirewallMark, such as 51820, and the same number in the routing rules'
          }
  }
}
