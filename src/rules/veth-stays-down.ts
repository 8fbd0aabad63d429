import type { Rule } from './rule.ts'
import { linksHaving, vethOptions } from '../plan/links.ts'
import { runsNetworkd } from '../plan/networkd.ts'

/** A25 */
export const vethStaysDown: Rule = {
  id: 'veth-stays-down',
  group: 'addresses',
  severity: 'warning',
  summary: "Only localMacAddress is set, so nobody brings up the host's end of the pair.",
  *check(plan) {
    const { topology } = plan
    // systemd ships 80-container-ve.network, so a networkd on the host brings up every ve-… and gives it addresses.
    if (runsNetworkd(topology.host) === true) return
    for (const { veth, node, hostIfname } of linksHaving(plan, 'localMacAddress')) {
      if (veth === undefined || veth.extra || node.partial) continue
      const [only, another] = vethOptions(veth)
      if (only !== 'localMacAddress' || another !== undefined) continue
      yield {
        message: `container "${node.name}" has localMacAddress, but no address and no bridge`,
        labels: [{ at: [...veth.at, 'localMacAddress'], text: 'this makes a pair that stays down' }],
        note: `systemd-nspawn makes the pair, but NixOS brings ${hostIfname} up only when one of the four addresses is set: eth0 stays without a carrier`,
        help: 'add hostBridge (then the bridge brings it up), or hostAddress and localAddress'
      }
    }
  }
}
