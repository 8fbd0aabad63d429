import { formatAddr } from '../net/addr.ts'
import { specialBlock } from '../net/special.ts'
import { plural } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** A22 */
export const undefinedUla: Rule = {
  id: 'undefined-ula',
  group: 'addresses',
  severity: 'hint',
  summary: 'IPv6 addresses are from fc00::/8, the half of the unique-local space that nobody has defined.',
  *check({ addresses }) {
    const found = Array.from(addresses.all(), ([claim]) => claim).filter(
      claim => claim?.addr.family === 6 && specialBlock(claim.addr)?.prefix.bits === 8 && claim.addr.value >> 120n === 0xfcn
    )
    const [claim] = found
    if (claim === undefined) return
    const others = found.length - 1
    yield {
      message: `${formatAddr(claim.addr)} of ${claim.owner}${others > 0 ? ` and ${plural(others, 'other address', 'other addresses')}` : ''} ${others > 0 ? 'lie' : 'lies'} in fc00::/8`,
      labels: [{ at: claim.at, text: 'private addresses of one\'s own start with fd' }],
      note: 'it works. But fc00::/8 waits for a registry that does not exist (RFC 4193 section 3.2), and everyone who copies fc00:: gets the same network: two such sites cannot be joined by a VPN',
      help: `choose a random prefix once, such as ${example(claim.addr.value)}::/48, and number from it`
    }
  }
}

/** A prefix of fd00::/8 made of the address itself, so that the same file always gets the same advice. */
const example = (value: bigint): string => {
  const mixed = (value * 0x9e3779b97f4a7c15n + 0x7f4a7c15n) & 0xffffffffffn
  const id = mixed.toString(16).padStart(10, '0')
  return `fd${id.slice(0, 2)}:${id.slice(2, 6)}:${id.slice(6)}`
}
