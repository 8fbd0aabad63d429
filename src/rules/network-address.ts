import { formatAddr } from '../net/addr.ts'
import { formatPrefix } from '../net/prefix.ts'
import { freeAddressFinder } from '../plan/addresses.ts'
import { placements } from '../plan/bridges.ts'
import type { Rule } from './rule.ts'

/** A14 */
export const networkAddress: Rule = {
  id: 'network-address',
  group: 'addresses',
  severity: 'warning',
  summary: "A container has its network's own address, the lowest one.",
  *check({ links, addresses }) {
    const freeIn = freeAddressFinder(addresses)
    for (const { link, address, placement } of placements(links)) {
      if (placement.kind !== 'network') continue
      const { subnet } = placement
      const free = freeIn(subnet.prefix)
      yield {
        message: `${address.text} of container "${link.node.name}" is the network address of ${formatPrefix(subnet.prefix)}`,
        labels: [
          { at: address.at, text: 'the lowest address names the network' },
          { at: subnet.address.at, text: `the network of "${subnet.bridge.name}"` }
        ],
        note: 'recent Linux kernels let it work between themselves; other systems and older kernels take it for a broadcast and do not answer',
        help:
          free === undefined
            ? `no address of ${formatPrefix(subnet.prefix)} is free; give "${subnet.bridge.name}" a larger network`
            : `write ${formatAddr(free)}/${subnet.prefix.bits}, which is free`
      }
    }
  }
}
