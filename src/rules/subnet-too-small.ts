import { type Addr, formatAddr, width } from '../net/addr.ts'
import { bitsFor, firstUsable, formatPrefix, lastUsable, masked, type Prefix, usable } from '../net/prefix.ts'
import type { FreeAddress } from '../plan/addresses.ts'
import { plural } from '../text/words.ts'
import { isTooSmall } from '../plan/bridges.ts'
import type { Rule } from './rule.ts'

/** A17 */
export const subnetTooSmall: Rule = {
  id: 'subnet-too-small',
  group: 'bridges',
  severity: 'error',
  summary: "A bridge's network has fewer addresses than the bridge and its containers need.",
  *check({ bridges }, freeIn) {
    for (const { subnets } of bridges.values())
      for (const subnet of subnets) {
        if (!isTooSmall(subnet)) continue
        const { bridge, address, prefix, members, needed } = subnet
        const { family, bits } = prefix
        const fitting = bitsFor(family, needed)
        const others = Number(needed) - 1
        const who =
          others === members.length && members.every(({ container }) => container !== undefined)
            ? 'container'
            : 'member'
        yield {
          message: `${formatPrefix(prefix)} has ${plural(subnet.usable, 'usable address', 'usable addresses')}; ${bridge.name} and ${plural(others, who)} need ${needed}${fitting === undefined ? '' : `; /${fitting} has ${usable(family, fitting)}`}`,
          labels: [
            { at: address.at, text: `room for ${subnet.usable}, needed by ${needed}` },
            ...members.slice(0, 8).map(({ addresses, at, node }) => ({
              at: addresses.find(({ prefix }) => prefix?.family === family)?.at ?? at,
              text: `"${node.name}" needs one`
            }))
          ],
          note:
            family === 4
              ? `a /${bits} has ${plural(1n << BigInt(width(family) - bits), 'address', 'addresses')}${bits <= 30 ? `, and the first and the last name the network and its broadcast; a ${who} that gets one of those, or one outside, has no network` : `; a ${who} without one has no network`}`
              : `a /${bits} has ${plural(1n << BigInt(width(family) - bits), 'address', 'addresses')}; a ${who} without one has no IPv6`,
          help:
            fitting === undefined
              ? `give "${bridge.name}" a larger network`
              : `write ${formatAddr(hostIn({ ...(address.prefix ?? prefix), bits: fitting }, freeIn))}/${fitting} for the bridge and /${fitting} for every ${who} on it`
        }
      }
  }
}

/** The address, or where it is the lowest or the highest of its network one that a host can have. */
const hostIn = (prefix: Prefix, freeIn: FreeAddress): Addr =>
  prefix.value < firstUsable(prefix).value || prefix.value > lastUsable(prefix).value
    ? (freeIn(masked(prefix)) ?? prefix)
    : prefix
