import { offer } from '../findings/mend.ts'
import { isPattern, writtenNetworks } from '../plan/networkd.ts'
import type { Rule } from './rule.ts'

/** E22 */
export const unusableBridgePort: Rule = {
  id: 'unusable-bridge-port',
  group: 'bridges',
  severity: 'error',
  summary: 'A bridge has a port that the kernel refuses: Wi-Fi, another bridge, lo.',
  *check({ topology: { host, bridges } }) {
    const known = new Map(bridges.map(bridge => [bridge.name, bridge]))
    // An access point can be a port; hostapd may stand where the rest of the host does.
    const accessPoint = host.partial || host.daemons.includes('hostapd')
    // A unit with several names or a pattern makes ports that the bridge does not list; what stands behind `!` is no port.
    const ports = [
      ...bridges.flatMap(({ name: bridge, interfaces }) => interfaces.map(port => ({ ...port, bridge }))),
      ...writtenNetworks(host).flatMap(({ names, bridge }) =>
        names.some(({ name }) => name.startsWith('!'))
          ? []
          : names.flatMap(port =>
              names.length > 1 || isPattern(port.name)
                ? bridge.map(({ name }) => ({ ...port, bridge: name }))
                : []
            )
      )
    ]
    for (const { name, at, bridge } of ports) {
      const other = known.get(name)
      if (other !== undefined)
        yield {
          message: `bridge "${name}" cannot be a port of bridge "${bridge}"`,
          labels: [
            { at, text: 'this is a bridge' },
            { at: other.at, on: 'key', text: 'defined here' }
          ],
          note: `the kernel refuses it: "Can not enslave a bridge to a bridge"; "${bridge}" comes up without this port`,
          help: `put the ports of "${name}" into "${bridge}", or connect the two with a veth pair`
        }
      else if (name === 'lo')
        yield {
          message: `lo cannot be a port of bridge "${bridge}"`,
          labels: [{ at, text: 'the loopback interface' }],
          note: 'the kernel refuses it: "Invalid argument"',
          help: 'remove it; a bridge needs no port',
          ...offer({ kind: 'remove', at })
        }
      else if (name.startsWith('wl') && !accessPoint)
        yield {
          message: `Wi-Fi "${name}" cannot be a port of bridge "${bridge}"`,
          labels: [{ at, text: 'a Wi-Fi card' }],
          note: `the kernel refuses a card that is the client of an access point: "Operation not supported"; a client sends with its own MAC address only, so "${bridge}" has no way out by it`,
          help: `remove "${name}" from "${bridge}", give the bridge an address and use NAT with nat.externalInterface: ${name}; if it is an access point here, write hostapd in host.daemons`
        }
    }
  }
}
