import * as fc from 'fast-check'
import { type Addr, type Family, width } from '../../src/net/addr.ts'
import type { Prefix } from '../../src/net/prefix.ts'

/** Numbers of a width, with whole groups of zeros and ones as often as not: that is where the borders are. */
const number = (bits: number): fc.Arbitrary<bigint> => {
  const group = fc.oneof(fc.constant(0n), fc.constant(0xffffn), fc.bigInt({ min: 0n, max: 0xffffn }))
  return fc
    .array(group, { minLength: bits / 16, maxLength: bits / 16 })
    .map(groups => groups.reduce((value, next) => (value << 16n) | next, 0n))
}

export const family: fc.Arbitrary<Family> = fc.constantFrom<Family>(4, 6)

/** Addresses of both families, some of them IPv4-mapped. */
export const addr: fc.Arbitrary<Addr> = fc.oneof(
  number(32).map(value => ({ family: 4 as const, value })),
  number(128).map(value => ({ family: 6 as const, value })),
  number(32).map(value => ({ family: 6 as const, value: 0xffff00000000n | value }))
)

/** Prefixes with host bits. */
export const prefix: fc.Arbitrary<Prefix> = addr.chain(({ family, value }) =>
  fc.integer({ min: 0, max: width(family) }).map(bits => ({ family, value, bits }))
)

/** Prefixes of a small space, so that many of them nest or are equal. */
export const crowdedPrefix: fc.Arbitrary<Prefix> = fc
  .record({
    family,
    low: fc.bigInt({ min: 0n, max: 63n }),
    top: fc.constantFrom(0n, 0n, 1n),
    short: fc.boolean()
  })
  .chain(({ family, low, top, short }) =>
    fc.integer(short ? { min: 0, max: 6 } : { min: 0, max: width(family) }).map(free => ({
      family,
      value: (top << BigInt(width(family) - 1)) | low,
      bits: width(family) - free
    }))
  )

/** Addresses of that space. */
export const crowdedAddr: fc.Arbitrary<Addr> = crowdedPrefix.map(({ family, value }) => ({ family, value }))
