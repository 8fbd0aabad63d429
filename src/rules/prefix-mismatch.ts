import { formatAddr } from '../net/addr.ts'
import { contains, formatNetwork, formatPrefix } from '../net/prefix.ts'
import { placements } from '../plan/bridges.ts'
import type { Rule } from './rule.ts'

/** A15 */
export const prefixMismatch: Rule = {
  id: 'prefix-mismatch',
  group: 'addresses',
  severity: 'error',
  summary: 'A container and its bridge disagree about how large their network is.',
  *check({ links }) {
    for (const { link, address, placement } of placements(links)) {
      if (placement.kind !== 'prefix-differs' || address.prefix === undefined) continue
      const { subnet } = placement
      const inside = contains(subnet.prefix, address.prefix)
      const { name } = subnet.bridge
      yield {
        message: `${address.text} of container "${link.node.name}" is a /${address.prefix.bits}; bridge "${name}" has a /${subnet.prefix.bits}`,
        labels: [
          { at: address.at, text: `this says ${formatNetwork(address.prefix)}` },
          { at: subnet.address.at, text: `this says ${formatPrefix(subnet.prefix)}` }
        ],
        note: inside
          ? 'host and container reach each other, but one of them takes addresses for neighbours that the other routes: those cannot be reached'
          : `the container takes the bridge for a neighbour, but to the host ${formatAddr(address.prefix)} is not on "${name}": answers go elsewhere, so it reaches neither host nor internet`,
        help: inside
          ? `write ${formatAddr(address.prefix)}/${subnet.prefix.bits}`
          : `give it an address of ${formatPrefix(subnet.prefix)}, or make "${name}" a /${address.prefix.bits}`,
        ...(inside ? { severity: 'warning' as const } : {})
      }
    }
  }
}
