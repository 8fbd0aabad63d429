import { type Addr, formatAddr } from '../net/addr.ts'
import { contains, parsePrefix } from '../net/prefix.ts'
import { plural } from '../text/words.ts'
import type { AddressClaim, AddressTable } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** A27 */
export const imperativeRange: Rule = {
  id: 'imperative-range',
  group: 'addresses',
  severity: 'hint',
  summary: 'Addresses are from 10.233.0.0/16, which the nixos-container command hands out.',
  *check({ addresses }) {
    const pool = parsePrefix('10.233.0.0/16')
    if (!('value' in pool)) return
    const found: AddressClaim[] = []
    for (const claim of addresses.each())
      if (claim.enabled && contains(pool.value, claim.addr)) found.push(claim)
    const [claim] = found
    if (claim === undefined) return
    const others = found.length - 1
    yield {
      message: `${claim.text.text} of ${claim.owner}${others > 0 ? ` and ${plural(others, 'other address', 'other addresses')}` : ''} ${others > 0 ? 'lie' : 'lies'} in 10.233.0.0/16`,
      labels: [{ at: claim.at, text: 'nixos-container chooses from here' }],
      note: '"nixos-container create" gives out 10.233.N.1 and 10.233.N.2. It passes over an address that it finds in a .conf file without a prefix length, but sees no bridge and no host interface; and a rebuild passes over nothing that was created before',
      help: `do nothing if nobody runs "nixos-container create" on this host; otherwise number from another private network, such as ${formatAddr(elsewhere(addresses, claim.addr))} instead of ${formatAddr(claim.addr)}`
    }
  }
}

/** The same place in the first /16 after the pool where nobody has that address. */
const elsewhere = (addresses: AddressTable, { family, value }: Addr): Addr => {
  let other = { family, value: value + 0x10000n }
  while (addresses.owners(other) !== undefined) other = { family, value: other.value + 0x10000n }
  return other
}
