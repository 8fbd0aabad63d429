import { writtenNetdevs } from '../plan/networkd.ts'
import { listed, plural } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** F12 */
export const scriptedBridgeRestart: Rule = {
  id: 'scripted-bridge-restart',
  group: 'bridges',
  severity: 'hint',
  summary: "A bridge of NixOS's own scripts is made anew when its service restarts, without its containers.",
  *check({ topology, bridges }) {
    if (topology.host.manager === 'networkd') return
    // One that networkd makes too is told as such.
    const twice = new Set(writtenNetdevs(topology.host).map(({ name }) => name?.text))
    const scripted = [...bridges.values()].filter(
      ({ bridge, members }) =>
        bridge.definedBy === 'scripted' && members.length > 0 && !twice.has(bridge.name)
    )
    const [first] = scripted
    if (first === undefined) return
    const { name, at } = first.bridge
    const count = new Set(scripted.flatMap(({ members }) => members.map(({ node }) => node))).size
    yield {
      message: `a restart of ${name}-netdev.service cuts off ${plural(count, 'container')} on ${listed(scripted.map(({ bridge }) => `"${bridge.name}"`))}`,
      labels: [{ at: [...at, 'definedBy'], text: 'made by a script' }],
      note: 'the script deletes the bridge and makes it again; nspawn attaches a container only when it starts, so one that runs keeps a pair without a bridge until it is restarted, also during nixos-rebuild switch',
      help: `let networkd make the bridge, which keeps one that exists: set networking.useNetworkd = true on the host, or define it as systemd.network.netdevs."20-${name}" instead of networking.bridges; or restart the containers after such a rebuild`
    }
  }
}
