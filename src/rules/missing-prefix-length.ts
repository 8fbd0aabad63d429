import { type Addr, formatAddr, sameAddr } from '../net/addr.ts'
import { placements } from '../plan/bridges.ts'
import type { Link, Subnet } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** A5, E7 */
export const missingPrefixLength: Rule = {
  id: 'missing-prefix-length',
  group: 'addresses',
  severity: 'error',
  summary: 'An address on a bridge has no prefix length.',
  *check({ links, topology }) {
    for (const { at, text, prefix, bare } of ownAddresses(topology)) {
      if (!bare || prefix === undefined) continue
      yield {
        message: `${at.slice(0, -1).includes('bridges') ? 'bridge' : 'interface'} address ${text} has no prefix length`,
        labels: [{ at, text: 'how large is this network?' }],
        note:
          prefix.family === 4
            ? 'systemd-networkd guesses it: up to 252 from the old address classes (192.168.x gives /24, 10.x gives /8), from 257 on /32'
            : 'systemd-networkd guesses it: up to 252 it takes /0, which makes the whole IPv6 internet local, from 257 on /128',
        help: `write it out, for example ${text}/${prefix.family === 4 ? 24 : 64}`
      }
    }
    for (const { link, bridge, address, placement } of placements(links)) {
      if (placement.kind !== 'no-prefix' || address.prefix === undefined) continue
      const { name } = bridge.bridge
      const bits = placement.subnet?.prefix.bits
      const written = address.bare ? 'has no prefix length' : `is a single address (/${address.prefix.bits})`
      const byGateway = defaultViaBridge(link, address.prefix)
      yield {
        message: `${address.at.at(-1)} ${address.text} of container "${link.node.name}" on bridge "${name}" ${written}`,
        labels: [
          { at: address.at, text: bits === undefined ? 'the prefix length is missing' : `/${bits} is missing` },
          ...(placement.subnet === undefined
            ? []
            : [{ at: placement.subnet.address.at, text: `"${name}" has ${placement.subnet.address.text}` }])
        ],
        note: `${link.ifname} gets a /${address.prefix.family === 4 ? 32 : 128}, ${
          byGateway
            ? `and works only because hostAddress gives it a route to the bridge: everyone else on "${name}" is reached through the host`
            : namesGateway(link, address.prefix)
              ? `so only the gateway, for which NixOS adds a route, is on its link: neighbours on "${name}" are reached through the host, or not at all`
              : `so nothing on "${name}" is on its link: a gateway is refused ("Nexthop has invalid gateway") and its neighbours cannot be reached`
        }`,
        help: `write ${formatAddr(address.prefix)}/${bits ?? (address.prefix.family === 4 ? 24 : 64)}${bits === undefined ? `, with the prefix length of the network on "${name}"` : ''}`,
        ...(byGateway ? { severity: 'warning' as const } : {})
      }
    }
  }
}

const ownAddresses = function* ({ bridges, host }: Parameters<Rule['check']>[0]['topology']): Generator<Subnet['address']> {
  for (const { addresses } of bridges) yield* addresses
  for (const { addresses } of host.interfaces) yield* addresses
}

/** NixOS adds a route to a default gateway whose interface is named. */
const namesGateway = ({ node, ifname }: Link, { family }: Addr): boolean =>
  (family === 4 ? node.defaultGateway : node.defaultGateway6)?.interface === ifname

/** container-init routes to hostAddress on eth0 and sets the default route there, whatever the prefix length is. */
const defaultViaBridge = ({ veth, bridge }: Link, { family }: Addr): boolean => {
  const host = (family === 4 ? veth?.hostAddress : veth?.hostAddress6)?.prefix
  return host !== undefined && bridge?.subnets.some(({ address }) => address.prefix !== undefined && sameAddr(address.prefix, host)) === true
}
