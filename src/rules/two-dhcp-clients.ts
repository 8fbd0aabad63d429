import type { Rule } from './rule.ts'

/** E4 */
export const twoDhcpClients: Rule = {
  id: 'two-dhcp-clients',
  group: 'networkd',
  severity: 'warning',
  summary: "networkd is on beside NixOS's own scripts, and dhcpcd asks for addresses on every interface.",
  *check({ topology: { host } }) {
    const { networkd, manager, useDHCP } = host
    if (networkd?.enable !== true || manager !== 'scripted' || useDHCP === false) return
    if (useDHCP === undefined && host.partial) return
    const made = networkd.netdevs.find(({ enable, kind }) => enable && kind === 'bridge')?.name?.text
    yield {
      message: 'systemd-networkd and dhcpcd manage the same interfaces',
      labels: [
        { at: [...networkd.at, 'enable'], text: 'networkd runs' },
        useDHCP === undefined
          ? { at: [...host.at, 'manager'], text: 'useDHCP is not written, so it is true: dhcpcd runs too' }
          : { at: [...host.at, 'useDHCP'], text: 'dhcpcd runs too' }
      ],
      note: `NixOS warns of this: dhcpcd asks for a lease on every interface without an address of networking.interfaces${made === undefined ? '' : `, "${made}" of networkd included, and gives it an address of 169.254.0.0/16 when nobody answers`}`,
      help: 'write useDHCP: false and dhcp: true for the uplink under host.interfaces, or manager: networkd'
    }
  }
}
