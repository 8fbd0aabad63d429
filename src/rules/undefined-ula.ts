import { formatAddr } from '../net/addr.ts'
import { plural } from '../text/words.ts'
import type { AddressClaim } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** A22 */
export const undefinedUla: Rule = {
  id: 'undefined-ula',
  group: 'addresses',
  severity: 'hint',
  summary: 'IPv6 addresses are from fc00::/8, the half of the unique-local space that nobody has defined.',
  *check({ addresses, topology }) {
    if (!topology.seen.IPv6) return
    const found: AddressClaim[] = []
    for (const claim of addresses.each())
      if (claim.enabled && claim.addr.family === 6 && claim.addr.value >> 120n === 0xfcn && !isGiven(claim))
        found.push(claim)
    const [claim] = found
    if (claim === undefined) return
    const others = found.length - 1
    yield {
      message: `${formatAddr(claim.addr)} of ${claim.owner}${others > 0 ? ` and ${plural(others, 'other address', 'other addresses')}` : ''} ${others > 0 ? 'lie' : 'lies'} in fc00::/8`,
      labels: [{ at: claim.at, text: "private addresses of one's own start with fd" }],
      note: 'it works. But fc00::/8 waits for a registry that does not exist (RFC 4193 section 3.2), and everyone who copies fc00:: gets the same network: two such sites cannot be joined by a VPN',
      help: `choose a random prefix once, such as ${example(found.map(claim => `${claim?.owner} ${claim?.text.text}`))}, and number from it`
    }
  }
}

/** Of an address in a tunnel the other end has the say. */
const isGiven = ({ owner }: AddressClaim): boolean => /^host interface "(?:wg|tun|tailscale)/.test(owner)

/**
 * A prefix of fd00::/8 made of names and addresses, so that one file always gets the same advice and two files, which
 * often begin with fc00::1 both, do not. The order of the file does not matter to a sum.
 */
const example = (texts: readonly string[]): string => {
  let [high, low] = [0, 0]
  for (const text of texts) {
    high = (high + hash(text, 0x811c9dc5)) >>> 0
    low = (low + hash(text, 0x9e3779b9)) >>> 0
  }
  const id = (BigInt(high >>> 12) << 20n) | BigInt(low >>> 12)
  return `${formatAddr({ family: 6, value: (0xfdn << 120n) | (id << 80n) })}/48`
}

/** FNV-1a. */
const hash = (text: string, seed: number): number => {
  let value = seed
  for (let i = 0; i < text.length; i += 1) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  return value >>> 0
}
