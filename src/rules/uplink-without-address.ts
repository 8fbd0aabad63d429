import { hardware } from '../plan/networkd.ts'
import type { Rule } from './rule.ts'

/** NixOS/nixpkgs issue 62131 */
export const uplinkWithoutAddress: Rule = {
  id: 'uplink-without-address',
  group: 'bridges',
  severity: 'hint',
  summary: "The host's card is a port of a bridge, and nothing gives the host an address.",
  *check({ topology: { host, bridges } }) {
    if (host.partial) return
    if (host.defaultGateway !== undefined || host.defaultGateway6 !== undefined) return
    if (
      host.vlans.length > 0 ||
      host.bonds.length > 0 ||
      host.macvlans.length > 0 ||
      host.networkd?.networks.some(({ enable }) => enable)
    )
      return
    if (bridges.some(({ partial, dhcp, addresses }) => partial || dhcp !== undefined || addresses.length > 0))
      return
    if (host.configured.some(({ dhcp, addresses }) => dhcp || addresses.length > 0)) return
    const ports = new Map(
      bridges.flatMap(bridge => bridge.interfaces.map(port => [port.name, { bridge, port }]))
    )
    const [first] = host.interfaces
    // NetworkManager takes every card without being told of it, but none of a bridge.
    const taken =
      first === undefined && host.manager === 'networkmanager'
        ? [...ports.values()].find(({ port }) => hardware(port.name) !== undefined)
        : ports.get(first?.name ?? '')
    if (taken === undefined || !host.interfaces.every(({ name }) => ports.has(name))) return
    const { bridge, port } = taken
    yield {
      message: `"${port.name}" is a port of bridge "${bridge.name}", and the file gives the host no address on any interface`,
      labels: [
        { at: port.at, text: 'what comes in here belongs to the bridge' },
        { at: bridge.at, on: 'key', text: 'neither address nor dhcp' }
      ],
      note: `a port has no address of its own: if "${bridge.name}" gets none, the host loses its network when the bridge is made, and only what is on the bridge is reached. NetworkManager leaves a bridge of networking.bridges as it is, and dhcpcd asks on none by itself`,
      help: `write dhcp: true under bridges.${bridge.name}, or its address and host.defaultGateway; if they stand elsewhere, write partial: true`
    }
  }
}
