import type { Container } from '../model/topology.ts'
import { formatAddr, sameAddr } from '../net/addr.ts'
import { contains } from '../net/prefix.ts'
import type { Rule } from './rule.ts'

/** B7 */
export const hostAddressOffBridge: Rule = {
  id: 'host-address-off-bridge',
  group: 'gateways',
  severity: 'error',
  summary: 'With hostBridge, hostAddress is not the address of that bridge.',
  *check({ links, addresses }) {
    for (const { veth, bridge, node } of links) {
      if (veth === undefined || bridge === undefined || bridge.bridge.partial) continue
      for (const address of [veth.hostAddress, veth.hostAddress6]) {
        const prefix = address?.prefix
        if (address === undefined || prefix === undefined) continue
        const subnets = bridge.subnets.filter(subnet => subnet.prefix.family === prefix.family)
        const [router] = subnets
        if (router?.address.prefix === undefined) continue
        if (subnets.some(({ address }) => address.prefix !== undefined && sameAddr(address.prefix, prefix))) continue
        // A router on the network behind the bridge, or a container that routes, may have it.
        if (bridge.open && subnets.some(({ prefix: network }) => contains(network, prefix))) continue
        if (addresses.owners(prefix)?.some(({ link, kind }) => kind === 'local' && link?.bridge === bridge) === true) continue
        const { name } = bridge.bridge
        const replaced = !veth.extra && (node as Container).defaultGateway !== undefined
        yield {
          message: `${address.at.at(-1)} ${address.text} of container "${node.name}" is not an address of its bridge "${name}"`,
          labels: [
            { at: address.at, text: 'the container looks for its router here' },
            { at: router.address.at, text: `"${name}" has this address` }
          ],
          note: veth.extra
            ? `whatever the manual says, the container runs "ip route add ${address.text} dev ${veth.ifname}"; nobody on "${name}" answers for it`
            : `whatever the manual says, hostAddress is used with a bridge too: the container sets "default via ${address.text}", where nobody answers${replaced ? '; its defaultGateway replaces that route later' : ', and has no way out'}`,
          help: `write ${formatAddr(router.address.prefix)}, or remove it and set defaultGateway`,
          ...(replaced || veth.extra ? { severity: 'warning' as const } : {})
        }
      }
    }
  }
}
