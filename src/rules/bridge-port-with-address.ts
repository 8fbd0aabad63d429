import type { Label, Problem } from '../findings/finding.ts'
import { offer } from '../findings/mend.ts'
import type { Interface } from '../model/topology.ts'
import { writtenNetworks } from '../plan/networkd.ts'
import type { Path } from '../text/path.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** E21 */
export const bridgePortWithAddress: Rule = {
  id: 'bridge-port-with-address',
  group: 'bridges',
  severity: 'error',
  summary: 'A port of a bridge, or a member of a bond, has an address of its own.',
  *check({ topology: { host, bridges } }) {
    const masters = new Map<string, Master>()
    for (const { name, interfaces, addresses, dhcp, partial, at } of bridges)
      for (const port of interfaces)
        masters.set(port.name, {
          name,
          words: `a port of bridge "${name}"`,
          at: port.at,
          where: `bridges.${name}`,
          bridge: at,
          addressed: partial || addresses.length > 0 || dhcp !== undefined
        })
    for (const { name, interfaces } of host.bonds) {
      const own = host.interfaces.find(entry => entry.name === name)
      for (const member of interfaces)
        masters.set(member.name, {
          name,
          words: `a member of bond "${name}"`,
          at: member.at,
          where: `host.interfaces.${name}`,
          addressed:
            (own !== undefined && (own.dhcp || own.addresses.length > 0)) ||
            masters.get(name)?.addressed === true
        })
    }
    for (const entry of host.interfaces) {
      const { name, addresses, dhcp, at } = entry
      const master = masters.get(name)
      const [address] = addresses
      if (master === undefined || (address === undefined && !dhcp)) continue
      const label: Label =
        address === undefined
          ? { at: [...at, 'dhcp'], text: 'an address by DHCP' }
          : { at: address.at, text: 'an address of its own' }
      const move =
        address === undefined
          ? 'dhcp: true'
          : `address: [${addresses.map(({ text }) => text).join(', ')}]${dhcp ? ' or dhcp: true' : ''}`
      // dhcpcd asks on every bond without an address, and on a bridge only with useDHCP = false (dhcpcd, if_ignore).
      const unsaid = host.useDHCP === undefined || (host.useDHCP && master.words.includes('bond'))
      const addressed = master.addressed || (unsaid && host.manager !== 'networkd')
      yield {
        message: `"${name}" is ${master.words} and ${address === undefined ? 'asks for an address by DHCP' : `has ${listed(addresses.map(({ text }) => text))}`}`,
        labels: [label, { at: master.at, text: master.words }],
        note:
          address === undefined
            ? `NixOS leaves DHCP off on it: what comes in belongs to "${master.name}"${addressed ? '' : ', and the host gets no address there'}`
            : `NixOS refuses it: 'Networking.interfaces."${name}" must not have any defined ips when it is a slave.'; what comes in on it belongs to "${master.name}", so the address could not be reached and could reach nobody`,
        help:
          address === undefined && addressed
            ? `remove dhcp from "${name}"`
            : `move it to "${master.name}": write ${move} under ${master.where}`,
        ...(address === undefined && master.addressed
          ? offer({ kind: 'remove', at: label.at })
          : moved(master, entry)),
        ...(address !== undefined ? {} : { severity: addressed ? ('hint' as const) : ('warning' as const) })
      }
    }
    const known = new Map(bridges.map(bridge => [bridge.name, bridge]))
    for (const { file, addresses, dhcp, bridge } of writtenNetworks(host)) {
      const [master] = bridge
      const [address] = addresses
      const asks = dhcp !== undefined && /^(?:1|yes|y|true|t|on|ipv4|ipv6)$/i.test(dhcp.text)
      if (master === undefined || (address === undefined && !asks)) continue
      // With an address of its own the bridge has a route for the same network, and which of the two is used is luck.
      const own = known.get(master.name)
      const lucky = own === undefined || own.partial || own.addresses.length > 0 || own.dhcp !== undefined
      yield {
        message: `${file}.network makes its interface a port of "${master.name}" and gives it ${address === undefined ? 'DHCP' : listed(addresses.map(({ text }) => text))}`,
        labels: [
          { at: address?.at ?? dhcp?.at ?? master.at, text: 'an address of its own' },
          { at: master.at, text: `a port of "${master.name}"` }
        ],
        note: `networkd sets both and says nothing: what comes in belongs to "${master.name}", so ${
          address === undefined
            ? 'no answer to its requests comes in'
            : lucky
              ? `packets must leave by "${master.name}" too; while the route of the port comes first, nobody is reached and nobody gets an answer`
              : 'the address reaches nobody, and nobody reaches it'
        }`,
        help: `move it to the .network file of "${master.name}"`,
        ...(lucky ? { severity: 'warning' as const } : {})
      }
    }
  }
}

interface Master {
  readonly name: string
  readonly words: string
  readonly at: Path
  /** Where its address is written. */
  readonly where: string
  readonly bridge?: Path
  readonly addressed: boolean
}

/** The addresses go to the bridge, where that has nothing of the kind and nothing else hangs on them. */
const moved = (
  { bridge, addressed }: Master,
  { at, addresses, dhcp, routes }: Interface
): Pick<Problem, 'mend'> =>
  bridge === undefined || addressed || routes.length > 0 || dhcp
    ? {}
    : offer(
        { kind: 'remove', at: [...at, 'address'] },
        { kind: 'insert', at: [...bridge, 'address'], value: addresses.map(({ text }) => text) }
      )
