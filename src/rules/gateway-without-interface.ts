import type { Rule } from './rule.ts'

/** B2, B3 */
export const gatewayWithoutInterface: Rule = {
  id: 'gateway-without-interface',
  group: 'gateways',
  severity: 'hint',
  summary: "A container's defaultGateway names no interface; whether NixOS sets it depends on the release.",
  *check({ topology, linksOf }) {
    const { release } = topology.host
    for (const container of topology.containers) {
      if (!container.enabled) continue
      for (const option of ['defaultGateway', 'defaultGateway6'] as const) {
        const gateway = container[option]
        if (gateway === undefined || gateway.interface !== undefined) continue
        const link = linksOf.get(container)?.find(({ veth }) => veth !== undefined)
        // A declared interface whose network holds the gateway is found by NixOS itself.
        if (link === undefined || (!container.useNetworkd && container.inside.interfaces.length > 0)) continue
        const { text } = gateway.address
        yield {
          message: `${option} ${text} of container "${container.name}" names no interface`,
          labels: [{ at: gateway.at, text: `behind ${link.ifname}, as it seems` }],
          ...(container.useNetworkd
            ? {
                severity: 'error' as const,
                note: `the rebuild stops: "networking.${option}.interface is not optional when using networkd."`
              }
            : release === '26.05'
              ? {
                  severity: 'warning' as const,
                  note: 'NixOS 26.05 sets the route only for an interface that it knows, and eth0 of a container is none until the fix of 26 May 2026 (nixpkgs PR 524281): before it there is silently no default route'
                }
              : {
                  note: `${release === undefined ? 'NixOS up to 25.11, and from the fix of 26 May 2026 on,' : `NixOS ${release}`} finds the interface; between April and May 2026 the unstable channel silently set no default route (nixpkgs issue 509247)`
                }),
          help: `write ${option}: { address: ${text.includes(':') ? `"${text}"` : text}, interface: ${link.ifname} }, which works in every release`
        }
      }
    }
  }
}
