import { hasVeth } from '../plan/links.ts'
import type { Rule } from './rule.ts'

/** nixpkgs issue 198636: udev applies .link files, and a container has no udev. */
export const macIgnoredInside: Rule = {
  id: 'mac-ignored-inside',
  group: 'containers',
  severity: 'warning',
  summary: "A MAC address stands in a container's own configuration, where nothing sets it.",
  *check({ topology, releases }) {
    for (const container of topology.having.inside) {
      const { enabled, name, inside, useNetworkd, networkManager, veth } = container
      if (!enabled || useNetworkd || networkManager) continue
      for (const { macAddress, name: ifname } of inside.interfaces) {
        if (macAddress?.value === undefined) continue
        const own = ifname === 'eth0' && hasVeth(container)
        if (own && veth.localMacAddress?.value === macAddress.value) continue
        yield {
          message: `nothing sets the MAC address ${macAddress.text} of ${ifname} inside container "${name}"`,
          labels: [{ at: macAddress.at, text: 'has no effect in a container' }],
          note: 'NixOS writes it into a .link file, which udev applies, and there is no udev in a container: the interface keeps the address that it has',
          help:
            own && releases.localMacAddress
              ? `write localMacAddress: "${macAddress.text}" for the container instead`
              : 'let networkd run inside (useNetworkd: true), which sets it'
        }
      }
    }
  }
}
