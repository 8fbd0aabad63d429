import { IFNAME_MAX, ifnameFault } from '../net/ifname.ts'
import { quote } from '../text/path.ts'
import type { Named } from '../model/topology.ts'
import type { Rule } from './rule.ts'

/** C9 */
export const invalidInterfaceName: Rule = {
  id: 'invalid-interface-name',
  group: 'names',
  severity: 'error',
  summary: 'The name of an interface has characters that the kernel or systemd refuses.',
  *check({ topology }) {
    const { bridges, host, containers, vms } = topology
    const names: { readonly entry: Named; readonly what: string }[] = [
      ...bridges.map(entry => ({ entry, what: 'a bridge' })),
      ...host.vlans.map(entry => ({ entry, what: 'a VLAN' })),
      ...host.bonds.map(entry => ({ entry, what: 'a bond' })),
      ...host.interfaces.map(entry => ({ entry, what: 'an interface' })),
      ...vms.flatMap(({ interfaces }) => interfaces.map(entry => ({ entry, what: 'a tap' })))
    ]
    for (const { extraVeths, inside } of containers) {
      for (const { at, ifname } of extraVeths)
        names.push({ entry: { at, name: ifname }, what: 'an extra veth' })
      for (const entry of inside.bridges) names.push({ entry, what: 'a bridge' })
    }
    for (const { entry, what } of names) {
      // Length alone has a rule of its own.
      if (new TextEncoder().encode(entry.name).length > IFNAME_MAX && /^[!-~]+$/.test(entry.name)) continue
      const reason = ifnameFault(entry.name)
      if (reason === undefined) continue
      yield {
        message: `${quote(entry.name)} cannot be the name of ${what}: ${reason}`,
        labels: [{ at: entry.at, on: 'key', text: 'no name for an interface' }],
        note: 'the rebuild does not look at it; networkd ("Interface name is not valid or too long, ignoring") or the kernel refuses it, and the interface is never made',
        help: `use letters, digits and hyphens, at most ${IFNAME_MAX}, not digits alone: br0, lan, br-apps`
      }
    }
  }
}
