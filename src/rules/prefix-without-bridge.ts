import { formatAddr, width } from '../net/addr.ts'
import { formatNetwork } from '../net/prefix.ts'
import type { Rule } from './rule.ts'

/** A2, A4 */
export const prefixWithoutBridge: Rule = {
  id: 'prefix-without-bridge',
  group: 'addresses',
  severity: 'error',
  summary: 'A localAddress without a bridge has a prefix length.',
  *check({ links }) {
    for (const { veth, node, hostIfname } of links) {
      if (veth === undefined || veth.hostBridge !== undefined) continue
      for (const address of [veth.localAddress, veth.localAddress6]) {
        const prefix = address?.prefix
        if (address === undefined || prefix === undefined || prefix.bits === width(prefix.family)) continue
        yield {
          message: `${address.at.at(-1)} ${address.text} of container "${node.name}" has a prefix length, but no bridge`,
          labels: [{ at: address.at, text: `/${prefix.bits} does not belong here` }],
          note:
            prefix.family === 4
              ? `without hostBridge the host runs "ip route add ${address.text} dev ${hostIfname}"; Linux answers "Invalid prefix for given prefix length" and the container's unit fails`
              : `without hostBridge the host routes all of ${formatNetwork(prefix)} to ${hostIfname}; a second container of that network fails with "File exists"`,
          help: `write ${formatAddr(prefix)}, or set hostBridge if the container belongs on a bridge`
        }
      }
    }
  }
}
