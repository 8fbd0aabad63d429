import { plural } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** E3 */
export const networkdNotEnabled: Rule = {
  id: 'networkd-not-enabled',
  group: 'networkd',
  severity: 'error',
  summary: 'Units of systemd-networkd are written, and systemd-networkd is off.',
  *check({ topology: { host } }) {
    const { networkd, manager } = host
    if (networkd === undefined || networkd.enable === true) return
    const off = networkd.enable === false
    // Where nobody says who manages the host, or it stands elsewhere, networkd may run.
    if (!off && (manager === undefined || manager === 'networkd' || host.partial)) return
    const units = [...networkd.netdevs, ...networkd.networks].filter(({ enable }) => enable)
    const [first] = units
    if (first === undefined) return
    const both = off && manager === 'networkd'
    yield {
      message: `${plural(units.length, 'unit')} for systemd-networkd, which is ${off ? 'switched off' : 'not switched on'}`,
      labels: [
        off
          ? { at: [...networkd.at, 'enable'], text: 'off here' }
          : { at: networkd.at, on: 'key', text: 'no "enable: true" here' },
        both
          ? { at: [...host.at, 'manager'], text: 'and on here' }
          : { at: first.at, on: 'key', text: 'this file is never written' }
      ],
      note: both
        ? 'networking.useNetworkd sets systemd.network.enable to true, and the two definitions conflict: the configuration does not evaluate'
        : 'NixOS writes .netdev and .network files only with systemd.network.enable and says nothing without it: none of these interfaces and addresses will exist',
      help: both ? 'remove enable: false' : 'write enable: true under host.networkd'
    }
  }
}
