import { offer } from '../findings/mend.ts'
import { formatAddr, sameAddr } from '../net/addr.ts'
import { contains, first } from '../net/prefix.ts'
import { specialBlock } from '../net/special.ts'
import { linksHaving } from '../plan/links.ts'
import type { Rule } from './rule.ts'

/** B7 */
export const hostAddressOffBridge: Rule = {
  id: 'host-address-off-bridge',
  group: 'gateways',
  severity: 'error',
  summary: 'With hostBridge, hostAddress is not the address of that bridge.',
  *check(plan) {
    const { addresses, topology } = plan
    const written = linksHaving(plan, 'hostAddress', 'hostAddress6', 'extraVeths')
    for (const { veth, bridge, node, container } of written) {
      if (veth === undefined || bridge === undefined || bridge.bridge.partial || bridge.bridge.vlanAware)
        continue
      for (const address of [veth.hostAddress, veth.hostAddress6]) {
        const prefix = address?.prefix
        if (address === undefined || prefix === undefined) continue
        // A router that cannot be one at all is told as an address.
        if (specialBlock(prefix)?.name === 'link-local') continue
        const subnets = bridge.subnets.filter(subnet => subnet.prefix.family === prefix.family)
        const [router] = subnets
        if (router?.address.prefix === undefined) continue
        if (subnets.some(({ address }) => address.prefix !== undefined && sameAddr(address.prefix, prefix)))
          continue
        // A router on the network behind the bridge, or a container that routes, may have it.
        if (bridge.open && subnets.some(({ prefix: network }) => contains(network, prefix))) continue
        const owners = addresses.owners(prefix) ?? []
        if (
          owners.some(({ link, kind }) => kind === 'virtual' || (kind === 'local' && link?.bridge === bridge))
        )
          continue
        // A host that forwards IPv6 answers for the lowest address of its networks too (RFC 4291 section 2.6.1).
        if (prefix.family === 6 && subnets.some(subnet => first(subnet.prefix).value === prefix.value))
          continue
        // Linux answers ARP for each of its addresses on every interface (arp_ignore); IPv6 has no such thing.
        const other = prefix.family === 4 ? owners.find(({ kind }) => kind !== 'local') : undefined
        // What DHCP gives the host is not known, and would be such an address.
        const unknown =
          prefix.family === 4 && (topology.host.partial || topology.host.configured.some(({ dhcp }) => dhcp))
        const { name } = bridge.bridge
        const option = prefix.family === 4 ? 'defaultGateway' : 'defaultGateway6'
        const isReplaced = !veth.extra && container?.[option] !== undefined
        yield {
          message: `${address.at.at(-1)} ${address.text} of container "${node.name}" is not an address of its bridge "${name}"`,
          labels: [
            { at: address.at, text: 'the container looks for its router here' },
            other === undefined
              ? { at: router.address.at, text: `"${name}" has this address` }
              : { at: other.at, text: `it belongs to ${other.owner}` }
          ],
          note:
            other !== undefined
              ? 'it works, since Linux answers ARP for each of its addresses on every interface; it ends when that interface loses the address'
              : veth.extra
                ? `whatever the manual says, the container runs "ip route add ${address.text} dev ${veth.ifname}"; nobody on "${name}" answers for it`
                : `whatever the manual says, hostAddress is used with a bridge too: the container sets "default via ${address.text}", where nobody answers${isReplaced ? `; its ${option} replaces that route later` : ': connections fail with "No route to host"'}`,
          help: `write ${formatAddr(router.address.prefix)}, or remove it${veth.extra || isReplaced ? '' : ` and set ${option}`}`,
          // With a default route of its own the container may be meant to have none by this pair.
          ...offer(
            other === undefined && !isReplaced && subnets.length === 1 && !bridge.open
              ? { kind: 'replace', at: address.at, value: formatAddr(router.address.prefix) }
              : undefined
          ),
          ...(other === undefined
            ? isReplaced || veth.extra || unknown
              ? { severity: 'warning' as const }
              : {}
            : { severity: 'hint' as const })
        }
      }
    }
  }
}
