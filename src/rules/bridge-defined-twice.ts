import type { Netdev } from '../model/topology.ts'
import { writtenNetdevs } from '../plan/networkd.ts'
import type { Rule } from './rule.ts'

/** E19 */
export const bridgeDefinedTwice: Rule = {
  id: 'bridge-defined-twice',
  group: 'bridges',
  severity: 'warning',
  summary: "A bridge is made by systemd-networkd and by NixOS's own scripts.",
  *check({ topology: { host, bridges } }) {
    if (bridges.every(({ definedBy }) => definedBy !== 'both' && definedBy !== 'scripted')) return
    const netdevs = new Map<string, Netdev>()
    for (const netdev of writtenNetdevs(host))
      if (netdev.kind === 'bridge' && netdev.name !== undefined) netdevs.set(netdev.name.text, netdev)
    for (const { name, at, definedBy } of bridges) {
      const netdev = netdevs.get(name)
      if (definedBy !== 'both' && (definedBy !== 'scripted' || netdev === undefined)) continue
      const generated = host.manager === 'networkd'
      yield {
        message: `bridge "${name}" is made twice: by a unit of systemd-networkd and by networking.bridges`,
        labels: [
          {
            at: [...at, 'definedBy'],
            text: definedBy === 'both' ? 'by both of them' : "by NixOS's own scripts here"
          },
          ...(netdev === undefined
            ? []
            : [{ at: netdev.name?.at ?? netdev.at, text: 'and by networkd here' }])
        ],
        note: generated
          ? `with networkd NixOS makes 40-${name}.netdev of networking.bridges; networkd takes the first file of that name and ignores the settings of the other`
          : `${name}-netdev.service deletes "${name}" and makes it again: what networkd had set on it is lost, such as its MAC address, and containers that run lose their port; if networkd makes it between these two steps, the service fails with "File exists"`,
        help: `keep one: remove networking.bridges.${name} and write definedBy: networkd, or remove ${netdev === undefined ? 'the .netdev' : `host.networkd.netdevs.${netdev.file}`}`
      }
    }
  }
}
