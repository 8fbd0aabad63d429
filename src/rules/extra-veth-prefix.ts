import { IFNAME_MAX } from '../net/ifname.ts'
import type { Rule } from './rule.ts'

/** C13 */
export const extraVethPrefix: Rule = {
  id: 'extra-veth-prefix',
  group: 'names',
  severity: 'warning',
  summary: 'An extra veth without a bridge is not called ve-…, so the host takes it for a card of its own.',
  *check({ pairs, topology, hostInterfaces }) {
    const { manager } = topology.host
    if (manager !== 'networkmanager' && manager !== 'scripted') return
    for (const { veth, hostIfname, node } of pairs) {
      if (!veth.extra || /^v[eb]-/.test(hostIfname)) continue
      const better = `ve-${hostIfname}`.slice(0, IFNAME_MAX)
      yield {
        message: `the extra veth "${hostIfname}" of container "${node.name}" is not called ve-…`,
        labels: [{ at: veth.at, on: 'key', text: "not known as a container's" }],
        note: `NixOS tells ${manager === 'scripted' ? 'dhcpcd' : 'NetworkManager'} to leave ve-* and vb-* alone; it takes this one for a card, asks for DHCP on it and may remove its address`,
        help: hostInterfaces().has(better)
          ? 'give it a name that begins with ve- and is free'
          : `call it ${better}`
      }
    }
  }
}
