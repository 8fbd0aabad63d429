import { asLocalMac, formatMac, isLocalMac, isMulticastMac } from '../net/mac.ts'
import { type ChosenMac, chosenMacs } from '../plan/macs.ts'
import type { Plan } from '../plan/plan.ts'
import { listed, plural } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** The U/L bit of IEEE 802, clause 8.2. */
export const universalMacAddress: Rule = {
  id: 'universal-mac-address',
  group: 'bridges',
  severity: 'hint',
  summary: "A MAC address that was made up lies in a manufacturer's space.",
  *check(plan) {
    const found = chosenMacs(plan.topology).filter(chosen => isMadeUp(plan, chosen))
    const [first] = found
    if (first?.mac.value === undefined) return
    const more = found.length - 1
    const own = formatMac(asLocalMac(first.mac.value))
    yield {
      message: `${first.owner} has ${first.mac.text}, a MAC address of the space that manufacturers have${more === 0 ? '' : `, and so ${more === 1 ? 'has' : 'have'} ${plural(more, 'other')}`}`,
      labels: [
        {
          at: first.mac.at,
          text: `the second lowest bit of its first byte, ${first.mac.text.slice(0, 2)}, is not set`
        },
        ...found.slice(1, SHOWN).map(({ mac, owner }) => ({ at: mac.at, text: `${owner} too` }))
      ],
      note: 'it works, but a card that was built with this address may be in the same network one day, and then one of the two cannot be reached',
      help: `set the bit, as in ${own}: ${listed(['02', '06', '0a', '0e'])} begin addresses that are free for everyone to choose`
    }
  }
}

const SHOWN = 4

/** The blocks that the makers of virtual machines gave out for this use. */
const VIRTUAL = new Set([0x00163e, 0x005056, 0x000c29, 0x00155d, 0x080027, 0x001c42, 0x001851, 0xbc2411])

/**
 * Whether somebody made the address up. A host's interface, and a bridge with a port or DHCP, are mostly given the address
 * of a real card, which a network outside knows.
 */
const isMadeUp = ({ bridges }: Plan, { mac, kind, segment }: ChosenMac): boolean =>
  mac.value !== undefined &&
  mac.value !== 0 &&
  kind !== 'interface' &&
  kind !== 'inside' &&
  !isLocalMac(mac.value) &&
  !isMulticastMac(mac.value) &&
  !VIRTUAL.has(Math.floor(mac.value / 2 ** 24)) &&
  !(kind === 'bridge' && (segment === undefined || bridges.get(segment)?.open !== false))
