import type { Problem } from '../findings/finding.ts'
import type { Nat } from '../model/topology.ts'
import { formatNetwork, masked } from '../net/prefix.ts'
import { natPlaces } from '../plan/nat.ts'
import type { Rule } from './rule.ts'

/** D41 */
export const internalIpHostBits: Rule = {
  id: 'internal-ip-host-bits',
  group: 'nat',
  severity: 'hint',
  summary: 'A network of internalIPs is written as an address in it.',
  *check({ topology }) {
    for (const { nat } of natPlaces(topology)) yield* withHostBits(nat)
  }
}

const withHostBits = function* (nat: Nat): Generator<Problem> {
  if (!nat.enable) return
  const lists = { internalIPs: nat.internalIPs, internalIPv6s: nat.enableIPv6 ? nat.internalIPv6s : [] }
  for (const [option, addresses] of Object.entries(lists))
    for (const { at, text, prefix } of addresses) {
      if (prefix === undefined || masked(prefix).value === prefix.value) continue
      // Of the wrong family it is refused, which is told.
      if ((prefix.family === 6) !== (option === 'internalIPv6s')) continue
      const network = formatNetwork(prefix)
      yield {
        message: `${option} has ${text}, an address in the network ${network}`,
        labels: [{ at, text: `read as ${network}` }],
        note: `both firewalls clear the bits after /${prefix.bits}: NAT is for the whole network, not for one machine`,
        help: `write ${network}, or ${text.replace(/\/.*$/, '')} where this machine alone is meant`
      }
    }
}
