import { natPlaces } from '../plan/nat.ts'
import type { Rule } from './rule.ts'

/** D22 */
export const unsupportedForwardRange: Rule = {
  id: 'unsupported-forward-range',
  group: 'nat',
  severity: 'error',
  summary: 'Before NixOS 23.11, NAT with nftables cannot forward a range of ports.',
  *check({ releases, topology }) {
    if (releases.natPortRanges) return
    for (const { nat, firewall, container } of natPlaces(topology)) {
      if (!nat.enable || firewall.backend !== 'nftables' || container?.checkedByNix === false) continue
      for (const { source, destination } of nat.forwardPorts) {
        const { range } = source
        if (range === undefined || range.from === range.to || destination.fault !== undefined) continue
        // NixOS leaves it out of the ruleset: ipv6-forward-dropped tells that.
        if (destination.address?.family === 6 && !nat.enableIPv6) continue
        yield {
          message: `sourcePort ${source.text} is a range, which ${releases.release} cannot forward with nftables`,
          labels: [
            { at: source.at, text: `${range.to - range.from + 1} ports` },
            { at: ['host', 'release'], text: 'mended in 23.11' }
          ],
          note: 'nft says "transport protocol mapping is only valid after transport protocol match" and refuses the whole ruleset: the build stops in its check',
          help: 'use NixOS 23.11 or later, or the iptables firewall, or write one forward for each port'
        }
      }
    }
  }
}
