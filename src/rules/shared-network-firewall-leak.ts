import { isPrivate } from '../plan/links.ts'
import type { Rule } from './rule.ts'

export const sharedNetworkFirewallLeak: Rule = {
  id: 'shared-network-firewall-leak',
  group: 'firewall',
  severity: 'warning',
  exposes: true,
  summary: "A container in the host's network may change it, and loads its own firewall into it.",
  *check({ topology }) {
    const { having, host } = topology
    for (const container of new Set([...having.enableTun, ...having.additionalCapabilities])) {
      const { enabled, partial, name, at, firewall, enableTun, additionalCapabilities } = container
      const granted = additionalCapabilities.findIndex(capability =>
        /^(cap_net_admin|all)$/i.test(capability)
      )
      if (!enabled || partial || !firewall.enable || isPrivate(container)) continue
      if (!enableTun && granted < 0) continue
      // What stands in a system that is built elsewhere is not known.
      if (!container.checkedByNix && !firewall.written) continue
      const why = enableTun
        ? { at: [...at, 'enableTun'], text: 'gives it CAP_NET_ADMIN' }
        : { at: [...at, 'additionalCapabilities', granted], text: 'lets it load rules' }
      yield {
        message: `container "${name}" shares the host's network and loads its own firewall into it`,
        labels: [
          firewall.written
            ? { at: firewall.at, on: 'key', text: 'on, as by default' }
            : { at, on: 'key', text: 'its firewall is on by default' },
          why
        ],
        note: host.firewall.enable
          ? "a NixOS container has a firewall of its own; firewall.service starts where it has CAP_NET_ADMIN, deletes the host's nixos-fw rules and puts the container's in their place: ports that only the host opens are closed from then on, and stopping the container leaves none"
          : 'a NixOS container has a firewall of its own; firewall.service starts where it has CAP_NET_ADMIN, and its rules then filter the host, whose own firewall is off: every port that the container does not open is closed',
        help: `write containers.${name}.firewall.enable: false, and open its ports in host.firewall; or give it privateNetwork: true`
      }
    }
  }
}
