import { offer, replaced } from '../findings/mend.ts'
import type { AddressText } from '../model/topology.ts'
import { formatAddr, width } from '../net/addr.ts'
import { first, formatNetwork, type Prefix } from '../net/prefix.ts'
import { PrefixMap } from '../net/set.ts'
import type { BridgePlan } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** A2, A4 */
export const prefixWithoutBridge: Rule = {
  id: 'prefix-without-bridge',
  group: 'addresses',
  severity: 'error',
  summary: 'A localAddress without a bridge has a prefix length.',
  *check({ pairs, bridges }) {
    let networks: PrefixMap<true> | undefined
    const routed = new Map<string, { readonly address: AddressText; readonly name: string }>()
    for (const { veth, node, hostIfname } of pairs) {
      // Its bridge may stand elsewhere.
      if (node.partial) continue
      for (const address of [veth.localAddress, veth.localAddress6]) {
        const prefix = address?.prefix
        if (address === undefined || prefix === undefined || prefix.bits === width(prefix.family)) continue
        networks ??= networksOf(bridges.values())
        // In a bridge's network it may be the bridge that is missing.
        const isBridged = networks.get(prefix) !== undefined
        const network = formatNetwork(prefix)
        const refused = isRefused(prefix)
        const earlier = refused ? undefined : routed.get(network)
        if (!refused && earlier === undefined) routed.set(network, { address, name: node.name })
        const route = `"ip ${prefix.family === 6 ? '-6 ' : ''}route add ${address.text} dev ${hostIfname}"`
        yield {
          message: `${address.at.at(-1)} ${address.text} of container "${node.name}" has a prefix length, but no bridge`,
          labels: [
            { at: address.at, text: `/${prefix.bits} does not belong here` },
            ...(earlier === undefined
              ? []
              : [{ at: earlier.address.at, text: `the host routes all of ${network} to "${earlier.name}"` }])
          ],
          note: refused
            ? `without hostBridge the host runs ${route}; Linux answers "Invalid prefix for given prefix length" and the container's unit fails`
            : earlier !== undefined
              ? `the host runs ${route}, but it routes ${network} to "${earlier.name}" already: Linux answers "File exists" and the unit of whichever starts second fails`
              : `the host runs ${route} and so routes all of ${network} to ${hostIfname}: this container works, and the next one from that network does not start ("File exists")`,
          help: `write ${formatAddr(prefix)}, or set hostBridge if the container belongs on a bridge`,
          ...offer(replaced(address.at, isBridged ? undefined : formatAddr(prefix))),
          ...(refused || earlier !== undefined ? {} : { severity: 'warning' as const })
        }
      }
    }
  }
}

const networksOf = (bridges: Iterable<BridgePlan>): PrefixMap<true> => {
  const networks = new PrefixMap<true>()
  for (const { subnets } of bridges) for (const { prefix } of subnets) networks.add(prefix, true)
  return networks
}

/** Linux takes an IPv4 route only with all host bits clear; of an IPv6 route it clears them itself. */
const isRefused = (prefix: Prefix): boolean => prefix.family === 4 && first(prefix).value !== prefix.value
