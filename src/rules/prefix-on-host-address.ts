import { formatAddr, width } from '../net/addr.ts'
import type { Rule } from './rule.ts'

/** A3 */
export const prefixOnHostAddress: Rule = {
  id: 'prefix-on-host-address',
  group: 'addresses',
  severity: 'error',
  summary: 'A hostAddress has a prefix length.',
  *check({ links }) {
    for (const { veth, node } of links) {
      if (veth === undefined) continue
      for (const address of [veth.hostAddress, veth.hostAddress6]) {
        const prefix = address?.prefix
        if (address === undefined || prefix === undefined || prefix.bits === width(prefix.family)) continue
        yield {
          message: `${address.at.at(-1)} ${address.text} of container "${node.name}" has a prefix length`,
          labels: [{ at: address.at, text: `/${prefix.bits} does not belong here` }],
          note: `the container starts with "ip route add ${address.text} dev ${veth.ifname}"; with host bits set Linux refuses that route ("Invalid prefix for given prefix length") and the container stops`,
          help: `write ${formatAddr(prefix)}`
        }
      }
    }
  }
}
