import { offer, replaced } from '../findings/mend.ts'
import { formatAddr, width } from '../net/addr.ts'
import { first, formatNetwork } from '../net/prefix.ts'
import { linksHaving } from '../plan/links.ts'
import type { Rule } from './rule.ts'

/** A3 */
export const prefixOnHostAddress: Rule = {
  id: 'prefix-on-host-address',
  group: 'addresses',
  severity: 'error',
  summary: 'A hostAddress has a prefix length.',
  *check(plan) {
    for (const { veth, node } of linksHaving(plan, 'hostAddress', 'hostAddress6', 'extraVeths')) {
      if (veth === undefined) continue
      for (const address of [veth.hostAddress, veth.hostAddress6]) {
        const prefix = address?.prefix
        if (address === undefined || prefix === undefined || address.bare) continue
        // An extra pair gets a route to the host and no default route, and a route may have all its bits.
        if (veth.extra && prefix.bits === width(prefix.family)) continue
        const six = prefix.family === 6
        const routeRefused = !six && first(prefix).value !== prefix.value
        const works = veth.extra && !routeRefused
        yield {
          message: `${address.at.at(-1)} ${address.text} of container "${node.name}" has a prefix length`,
          labels: [{ at: address.at, text: `/${prefix.bits} does not belong here` }],
          note: routeRefused
            ? `the container starts with "ip route add ${address.text} dev ${veth.ifname}"; with host bits set Linux refuses that route ("Invalid prefix for given prefix length") and the container stops`
            : works
              ? `inside, all of ${formatNetwork(prefix)} is routed to ${veth.ifname}, not the host alone; it works as long as nothing else of that network is elsewhere`
              : `the container starts with "ip ${six ? '-6 ' : ''}route add default via ${address.text}"; a router is one address, so \`ip\` refuses it ("${six ? 'inet6' : 'any valid'} address is expected rather than") and the container stops`,
          help: `write ${formatAddr(prefix)}`,
          ...offer(replaced(address.at, formatAddr(prefix))),
          ...(works ? { severity: 'warning' as const } : {})
        }
      }
    }
  }
}
