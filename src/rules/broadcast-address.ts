import { formatAddr } from '../net/addr.ts'
import { formatPrefix, lastUsable } from '../net/prefix.ts'
import { freeAddressFinder } from '../plan/addresses.ts'
import { placements } from '../plan/bridges.ts'
import type { Rule } from './rule.ts'

/** A13 */
export const broadcastAddress: Rule = {
  id: 'broadcast-address',
  group: 'addresses',
  severity: 'error',
  summary: "A container has its network's broadcast address.",
  *check({ links, addresses }) {
    const freeIn = freeAddressFinder(addresses)
    for (const { link, address, placement } of placements(links)) {
      if (placement.kind !== 'broadcast') continue
      const { subnet } = placement
      const free = freeIn(subnet.prefix)
      yield {
        message: `${address.text} of container "${link.node.name}" is the broadcast address of ${formatPrefix(subnet.prefix)}`,
        labels: [
          { at: address.at, text: `hosts end at ${formatAddr(lastUsable(subnet.prefix))}` },
          { at: subnet.address.at, text: `the network of "${subnet.bridge.name}"` }
        ],
        note: 'the container starts, but the host sends what is meant for it to everyone: it cannot be reached from the host and has no way out',
        help:
          free === undefined
            ? `no address of ${formatPrefix(subnet.prefix)} is free; give "${subnet.bridge.name}" a larger network`
            : `write ${formatAddr(free)}/${subnet.prefix.bits}, which is free`
      }
    }
  }
}
