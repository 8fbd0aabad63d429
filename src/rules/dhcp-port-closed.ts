import { dhcpServers } from '../plan/dhcp.ts'
import { hasOwnRules, inputFilter } from '../plan/firewall.ts'
import type { Rule } from './rule.ts'

export const dhcpPortClosed: Rule = {
  id: 'dhcp-port-closed',
  group: 'firewall',
  severity: 'warning',
  summary: 'The host serves DHCP on an interface for which its firewall does not open UDP 67.',
  *check({ topology }) {
    const { host } = topology
    const { firewall } = host
    if (!firewall.enable || host.partial || hasOwnRules(firewall)) return
    const filter = inputFilter(firewall)
    for (const { interface: served, program } of dhcpServers(host)) {
      // Kea and ISC dhcpd read raw packets, which no firewall sees before them.
      if (program === 'kea' || program === 'dhcpd') continue
      // NixOS closes it by itself; of a server that may read them too, nothing is said then.
      if (program === undefined && !firewall.written) continue
      const { name, at } = served
      // nixpkgs PR 498177 lets DHCP in on the interfaces that systemd makes.
      if (/^v[ez]-/.test(name)) continue
      if (filter.trusts(name) || filter.opens(name, 'udp', { from: 67, to: 67 })) continue
      yield {
        message: `DHCP is served on ${name}, and the host's firewall does not open UDP 67 there`,
        labels: [
          { at, text: program === undefined ? 'a DHCP server' : program },
          { at: firewall.at, on: 'key', text: `no UDP 67 for ${name}` }
        ],
        note:
          program === undefined
            ? 'dnsmasq and networkd never see the question then, and nobody on that network gets an address; Kea and ISC dhcpd read it before the firewall does'
            : `the question of a client is dropped before ${program} sees it: nobody on that network gets an address, and nothing is logged`,
        help: `add 67 to host.firewall.interfaces."${name}".allowedUDPPorts`,
        ...(program === undefined ? { severity: 'hint' as const } : {})
      }
    }
  }
}
