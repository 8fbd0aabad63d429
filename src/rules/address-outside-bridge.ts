import { formatAddr } from '../net/addr.ts'
import { firstUsable, formatPrefix, lastUsable } from '../net/prefix.ts'
import { freeAddressFinder } from '../plan/addresses.ts'
import { placements } from '../plan/bridges.ts'
import type { Rule } from './rule.ts'

/** A16 */
export const addressOutsideBridge: Rule = {
  id: 'address-outside-bridge',
  group: 'addresses',
  severity: 'error',
  summary: "A container's address is not in its bridge's network.",
  *check({ links, addresses }) {
    const freeIn = freeAddressFinder(addresses)
    for (const { link, address, placement } of placements(links)) {
      if (placement.kind !== 'outside') continue
      const { subnet } = placement
      const { name } = subnet.bridge
      const free = freeIn(subnet.prefix)
      yield {
        message: `${address.text} of container "${link.node.name}" is outside ${formatPrefix(subnet.prefix)} of bridge "${name}"`,
        labels: [
          {
            at: address.at,
            text: `"${name}" has ${formatAddr(firstUsable(subnet.prefix))} to ${formatAddr(lastUsable(subnet.prefix))}`
          },
          { at: subnet.address.at, text: `the network of "${name}"` }
        ],
        note: "the bridge's address is not on the container's link: as a gateway it is refused (\"Nexthop has invalid gateway\"), and host and container do not find each other",
        help:
          free === undefined
            ? `${formatPrefix(subnet.prefix)} is full; give "${name}" a larger network`
            : `write ${formatAddr(free)}/${subnet.prefix.bits}, which is free, or give "${name}" a network that holds both`
      }
    }
  }
}
