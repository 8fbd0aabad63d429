import type { Problem } from '../findings/finding.ts'
import { ignoredByDhcpcd } from '../plan/dhcp.ts'
import { runsNetworkd } from '../plan/networkd.ts'
import type { Path } from '../text/path.ts'
import type { Rule } from './rule.ts'

/** nixpkgs, services/networking/dhcpcd.nix: denyinterfaces; dhcpcd, src/if.c: if_discover. */
export const dhcpOnIgnoredInterface: Rule = {
  id: 'dhcp-on-ignored-interface',
  group: 'names',
  severity: 'error',
  summary: 'An address is to come by DHCP on an interface that dhcpcd ignores in NixOS.',
  *check({ topology: { host, bridges, having } }) {
    if (runsNetworkd(host) !== true) {
      for (const { name, dhcp, addresses } of bridges) {
        // With a fixed address too dhcp-and-static says to remove one.
        if (dhcp?.[0] !== 'bridges' || addresses.some(({ prefix }) => prefix?.family === 4)) continue
        const fixed = addresses.length > 0
        if (ignoredByDhcpcd(name, host) !== undefined)
          yield* judged(name, `bridge "${name}"`, dhcp, fixed, host)
        // An `interface` line, which NixOS writes for fixed IPv6 addresses, makes dhcpcd look at it.
        else if (host.useDHCP === true && !fixed)
          yield {
            message: `bridge "${name}" is to get its address by DHCP, and with useDHCP: true dhcpcd ignores bridges`,
            labels: [
              { at: dhcp, text: 'nobody asks' },
              { at: [...host.at, 'useDHCP'], text: 'every card is asked on, but no bridge' }
            ],
            note: 'since version 8.1 dhcpcd leaves bridges alone unless its configuration names the interfaces to ask on, which NixOS writes only with useDHCP: false: the bridge has no IPv4 address, and nothing is logged',
            help: `write useDHCP: false, and dhcp: true for "${name}" and each card that needs it`
          }
      }
      for (const { name, at, dhcp, addresses } of host.interfaces)
        if (dhcp) yield* judged(name, `"${name}"`, [...at, 'dhcp'], addresses.length > 0, host)
    }
    for (const { enabled, useNetworkd, networkManager, inside, name: container } of having.inside)
      if (enabled && !useNetworkd && !networkManager)
        for (const { name, at, dhcp, addresses } of inside.interfaces)
          if (dhcp)
            yield* judged(
              name,
              `"${name}" inside container "${container}"`,
              [...at, 'dhcp'],
              addresses.length > 0,
              undefined
            )
  }
}

const judged = function* (
  name: string,
  owner: string,
  at: Path,
  fixed: boolean,
  host: Parameters<typeof ignoredByDhcpcd>[1]
): Generator<Problem> {
  const pattern = ignoredByDhcpcd(name, host)
  if (pattern === undefined) return
  yield {
    message: `${owner} is to get its address by DHCP, and dhcpcd ignores every interface called ${pattern}`,
    labels: [{ at, text: 'nobody asks' }],
    note: `NixOS writes "denyinterfaces … ${pattern} …" into dhcpcd.conf for the interfaces of hypervisors and tunnels, and that wins over useDHCP: no question is ever sent, and nothing is logged${fixed ? '' : '; the interface has no address'}`,
    help: `give it a name of its own${name.startsWith('virbr') ? ', such as br0' : ''}, or a fixed address${host === undefined ? '' : ', or let networkd do it (manager: networkd)'}`,
    ...(fixed ? { severity: 'warning' as const } : {})
  }
}
