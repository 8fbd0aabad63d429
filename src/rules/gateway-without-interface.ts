import type { AddressText, Gateway } from '../model/topology.ts'
import type { Addr } from '../net/addr.ts'
import { contains } from '../net/prefix.ts'
import { defaultRoutes, gatewayFault } from '../plan/gateways.ts'
import type { Rule } from './rule.ts'

/** B2, B3 */
export const gatewayWithoutInterface: Rule = {
  id: 'gateway-without-interface',
  group: 'gateways',
  severity: 'hint',
  summary: "A container's defaultGateway names no interface; whether NixOS sets it depends on the release.",
  *check(plan) {
    const { topology, linksOf, releases } = plan
    const { release } = topology.host
    for (const container of topology.containers) {
      if (!container.enabled) continue
      for (const option of ['defaultGateway', 'defaultGateway6'] as const) {
        const gateway = container[option]
        if (gateway === undefined || gateway.interface !== undefined) continue
        const pairs = linksOf.get(container)?.filter(({ veth }) => veth !== undefined) ?? []
        const link = pairs.find(({ addresses }) => isOn(addresses, gateway)) ?? pairs[0]
        // A declared interface whose network holds the gateway is found by NixOS itself.
        if (link === undefined || (!container.useNetworkd && container.inside.interfaces.length > 0)) continue
        const { text, prefix } = gateway.address
        // The same route written for an interface, as networkd has it, is what counts.
        const written = defaultRoutes(plan, container, option.endsWith('6') ? 6 : 4)
        if (written.some(({ source, via }) => source === 'route' && via?.prefix?.value === prefix?.value))
          continue
        // A router that cannot be one is told as such, and has to be rewritten anyway.
        if (gatewayFault(plan, container, gateway) !== undefined) continue
        yield {
          message: `${option} ${text} of container "${container.name}" names no interface`,
          labels: [{ at: gateway.at, text: `behind ${link.ifname}, as it seems` }],
          ...(prefix !== undefined && isLinkLocal(prefix)
            ? {
                severity: 'error' as const,
                note: 'every interface has the network fe80::/64, so the kernel refuses the route ("Egress device not specified")'
              }
            : container.useNetworkd
              ? {
                  severity: 'error' as const,
                  note: `the rebuild stops: "networking.${option}.interface is not optional when using networkd."`
                }
              : release !== undefined && releases.gatewayWithoutInterface === 'set since a fix'
                ? {
                    severity: 'warning' as const,
                    note: `${releases.release} sets the route only for an interface that it knows, and eth0 of a container is none until the fix of 26 May 2026 (nixpkgs PR 524281): before it there is silently no default route`
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

const isOn = (addresses: readonly AddressText[], { address: { prefix: router } }: Gateway): boolean =>
  router !== undefined && addresses.some(({ prefix }) => prefix !== undefined && contains(prefix, router))

/** fe80::/10 */
const isLinkLocal = ({ family, value }: Addr): boolean => family === 6 && value >> 118n === 0x3fan
