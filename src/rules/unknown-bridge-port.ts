import type { Named } from '../model/topology.ts'
import { misspelling } from '../net/ifname.ts'
import { hardware } from '../plan/networkd.ts'
import type { Rule } from './rule.ts'

/** A port, a bond's member or the parent of a VLAN or macvlan that nobody has and that is nearly something that the host has. */
export const unknownBridgePort: Rule = {
  id: 'unknown-bridge-port',
  group: 'bridges',
  severity: 'error',
  summary:
    'A bridge, a bond, a VLAN or a macvlan names an interface that does not exist, and nearly one that does.',
  *check({ topology: { host, bridges, vms }, hostInterfaces }) {
    // What the file does not say of the host is unknown.
    if (host.partial) return
    const own = new Map(
      [...host.interfaces, ...host.bonds, ...host.vlans, ...host.macvlans].map(({ name, at }) => [name, at])
    )
    if (own.size === 0) return
    const uses: readonly (readonly [Named, string])[] = [
      ...bridges.flatMap(({ name, interfaces }) =>
        interfaces.map(port => [port, `bridge "${name}" has the port`] as const)
      ),
      ...host.bonds.flatMap(({ name, interfaces }) =>
        interfaces.map(member => [member, `bond "${name}" has the member`] as const)
      ),
      ...host.vlans.map(({ name, interface: parent }) => [parent, `VLAN "${name}" is on`] as const),
      ...host.macvlans.map(({ name, interface: parent }) => [parent, `macvlan "${name}" is on`] as const)
    ]
    const taps = new Set(vms.flatMap(({ interfaces }) => interfaces.map(({ name }) => name)))
    // Each name is compared with all interfaces once, and only so many names.
    let compared = 0
    for (const [{ name, at }, user] of uses) {
      if (
        hostInterfaces().has(name) ||
        taps.has(name) ||
        hardware(name) !== undefined ||
        compared >= COMPARED
      )
        continue
      compared += 1
      const meant = misspelling(name, own.keys())
      const there = meant === undefined ? undefined : own.get(meant)
      if (there === undefined) continue
      yield {
        message: `${user} "${name}", but the host has "${meant}"`,
        labels: [
          { at, text: `did you mean ${meant}?` },
          { at: there, on: 'key', text: 'nearly the same' }
        ],
        note: "the rebuild does not notice; NixOS's own scripts wait for an interface that never comes and do not make what needs it, and networkd makes it without",
        help: `write ${meant}, or name "${name}" under host.interfaces if it exists`
      }
    }
  }
}

const COMPARED = 100
