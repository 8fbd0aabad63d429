import type { Label } from '../findings/finding.ts'
import { vethOptions } from '../plan/links.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** F1, F2 */
export const namespaceCombined: Rule = {
  id: 'namespace-combined',
  group: 'containers',
  severity: 'error',
  summary: 'A container has networkNamespace together with other network options.',
  *check({ topology }) {
    for (const container of topology.having.networkNamespace) {
      const { enabled, networkNamespace, name, at, privateNetwork, veth } = container
      if (!enabled || !networkNamespace) continue
      const asserted = [
        ...(privateNetwork ? ['privateNetwork'] : []),
        ...(container.interfaces.length > 0 ? ['interfaces'] : [])
      ]
      const refused = [
        ...(container.macvlans.length > 0 ? ['macvlans'] : []),
        ...(container.extraVeths.length > 0 ? ['extraVeths'] : [])
      ]
      // NixOS hands these on only with privateNetwork.
      const ignored: readonly string[] = [
        ...vethOptions(veth),
        ...(veth.forwardPorts.length > 0 ? ['forwardPorts'] : [])
      ]
      const others = [...asserted, ...refused, ...ignored]
      if (others.length === 0) continue
      const label = (option: string): Label => ({
        at: [...at, option],
        on: 'key',
        text: refused.includes(option)
          ? 'systemd-nspawn refuses it beside networkNamespace'
          : asserted.includes(option)
            ? 'excluded by networkNamespace'
            : 'has no effect'
      })
      yield {
        message: `container "${name}" has networkNamespace, which excludes ${listed(others)}`,
        labels: [
          { at: [...at, 'networkNamespace'], on: 'key', text: 'the network is this namespace, as it is' },
          ...others.map(label)
        ],
        note:
          asserted.length > 0
            ? 'nixos-rebuild stops: NixOS means to refuse the two together, but instead of its words you see an error about a string where a set was expected'
            : refused.length > 0
              ? 'NixOS is silent; systemd-nspawn says "--network-namespace-path= cannot be combined with other network options." and the container does not start'
              : 'NixOS leaves them out of what it tells systemd-nspawn: the container has the interfaces and addresses of that namespace and no others',
        help: `remove ${listed(others)} and set up the namespace itself (ip -n NAME addr add …), or remove networkNamespace${privateNetwork || ignored.length === 0 ? '' : ' and write privateNetwork: true'}`
      }
    }
  }
}
