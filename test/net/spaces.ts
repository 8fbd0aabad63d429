import * as fc from 'fast-check'
import { type Addr, type Family, width } from '../../src/net/addr.ts'
import { type Prefix, parsePrefix } from '../../src/net/prefix.ts'
import type { Range } from '../../src/net/space.ts'

export const parse = (text: string): Prefix => {
  const parsed = parsePrefix(text)
  if ('value' in parsed) return parsed.value
  throw new Error(`${text}: ${parsed.reason}`)
}

/** How many addresses a window has: few enough to look at each. */
export const WINDOW = 256n

/** Part of an address space, beginning at a multiple of its size. */
export interface Window {
  readonly family: Family
  readonly base: bigint
}

/** At both ends of each family's space, where mistakes are, and within; one is IPv4-mapped. */
export const window: fc.Arbitrary<Window> = fc.constantFrom<Window>(
  { family: 4, base: 0n },
  { family: 4, base: 0x0a00ff00n },
  { family: 4, base: (1n << 32n) - WINDOW },
  { family: 6, base: 0n },
  { family: 6, base: (0xfd00n << 112n) | 0xff00n },
  { family: 6, base: 0xffff0a000000n },
  { family: 6, base: (1n << 128n) - WINDOW }
)

/** Prefixes within a window, with host bits. */
export const prefixIn = ({ family, base }: Window, longestHost = 8): fc.Arbitrary<Prefix> =>
  fc
    .tuple(fc.bigInt({ min: 0n, max: WINDOW - 1n }), fc.integer({ min: 0, max: longestHost }))
    .map(([low, host]) => ({ family, value: base + low, bits: width(family) - host }))

export const addrIn = ({ family, base }: Window): fc.Arbitrary<Addr> =>
  fc.bigInt({ min: 0n, max: WINDOW - 1n }).map(low => ({ family, value: base + low }))

/** Ranges in and about a window: long, short and empty ones that overlap, touch and are apart, some beyond the last address. */
export const rangesIn = ({ base }: Window, maxLength = 12): fc.Arbitrary<Range[]> =>
  fc.array(
    fc
      .tuple(
        fc.bigInt({ min: -9n, max: WINDOW + 9n }),
        fc.oneof(fc.bigInt({ min: -2n, max: 9n }), fc.bigInt({ min: 0n, max: WINDOW }))
      )
      .map(([low, length]) => ({ first: base + low, last: base + low + length })),
    { maxLength }
  )

/** Every address of a window. */
export const valuesOf = ({ base }: Window): bigint[] =>
  Array.from({ length: Number(WINDOW) }, (_, i) => base + BigInt(i))

export const isIn = (ranges: readonly Range[], value: bigint): boolean =>
  ranges.some(({ first, last }) => first <= value && value <= last)

/** Random numbers that are the same in each run, for cases too large to be shrunk. */
export const random = (seed: number): ((below: bigint) => bigint) => {
  let state = BigInt(seed)
  return below => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & ((1n << 192n) - 1n)
    return (state >> 40n) % below
  }
}
