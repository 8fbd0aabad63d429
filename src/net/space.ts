import { type Addr, type Family, width } from './addr.ts'
import { bitsFor, first, firstUsable, last, lastUsable, masked, type Prefix, size } from './prefix.ts'

/** Addresses in a row, both ends included. */
export interface Range {
  readonly first: bigint
  readonly last: bigint
}

/**
 * A set of addresses of one family. Its ranges are in order, within the family's width, and between two of them there is
 * an address that belongs to neither: equal sets are equal values. No operation takes longer for wider ranges. Two
 * families in one operation are the caller's mistake, and an error.
 */
export interface Space {
  readonly family: Family
  readonly ranges: readonly Range[]
}

/** A range of a space with its ends as addresses. */
export interface Span {
  readonly first: Addr
  readonly last: Addr
}

/** All addresses of a prefix, those that no host can have included. */
export const rangeOf = (prefix: Prefix): Range => ({ first: first(prefix).value, last: last(prefix).value })

/**
 * The addresses that are in any of the ranges, in n log n. What lies beyond the family's width is cut off; a range whose
 * last address is below its first one is empty.
 */
export const spaceOfRanges = (family: Family, ranges: Iterable<Range>): Space => {
  const highest = size(family, 0) - 1n
  const merged: { first: bigint; last: bigint }[] = []
  let top: { first: bigint; last: bigint } | undefined
  const sorted = Array.from(ranges).sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0))
  for (const range of sorted) {
    const low = range.first < 0n ? 0n : range.first
    const high = range.last > highest ? highest : range.last
    if (high < low) continue
    if (top === undefined || low > top.last + 1n) {
      top = { first: low, last: high }
      merged.push(top)
    } else if (high > top.last) top.last = high
  }
  return { family, ranges: merged }
}

/** The networks of these prefixes; those of the other family have no part in it. */
export const spaceOfPrefixes = (family: Family, prefixes: Iterable<Prefix>): Space =>
  spaceOfRanges(family, ofFamily(family, prefixes, rangeOf))

/** These addresses, each for itself even if it comes with a prefix length; those of the other family have no part in it. */
export const spaceOfAddrs = (family: Family, addrs: Iterable<Addr>): Space =>
  spaceOfRanges(
    family,
    ofFamily(family, addrs, ({ value }) => ({ first: value, last: value }))
  )

const ofFamily = function* <T extends Addr>(
  family: Family,
  items: Iterable<T>,
  rangeOf: (item: T) => Range
): Generator<Range> {
  for (const item of items) if (item.family === family) yield rangeOf(item)
}

const mustBeAlike = (a: Space, b: Space): void => {
  if (a.family !== b.family) throw new Error(`a space of IPv${a.family} and one of IPv${b.family}`)
}

/** The addresses that are in one of them or in both; linear. */
export const union = (a: Space, b: Space): Space => {
  mustBeAlike(a, b)
  // Two sorted runs are merged by the sort in one pass.
  return spaceOfRanges(a.family, [...a.ranges, ...b.ranges])
}

/**
 * The addresses of `space` that are not in `other`. Of `other` only those ranges are looked at that lie between the lowest
 * and the highest address of `space`; finding them is log n.
 */
export const subtract = (space: Space, other: Space): Space => {
  mustBeAlike(space, other)
  const ranges: Range[] = []
  let i = indexAt(other.ranges, space.ranges[0]?.first ?? 0n)
  for (const range of space.ranges) {
    let low = range.first
    for (let hole = other.ranges[i]; hole !== undefined && hole.first <= range.last; hole = other.ranges[i]) {
      if (hole.first > low) ranges.push({ first: low, last: hole.first - 1n })
      if (hole.last >= low) low = hole.last + 1n
      // It may reach into the next range.
      if (hole.last > range.last) break
      i += 1
    }
    if (low <= range.last) ranges.push({ first: low, last: range.last })
  }
  return { family: space.family, ranges }
}

/** The addresses that are in both: linear in the first, so the smaller one stands first; log n in the second. */
export const intersect = (a: Space, b: Space): Space => subtract(a, subtract(a, b))

/** The first range that does not end below `value`; log n. */
const indexAt = (ranges: readonly Range[], value: bigint): number => {
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ranges[middle]?.last ?? value) < value) low = middle + 1
    else high = middle
  }
  return low
}

/** Whether an address is in it; log n. */
export const includes = (space: Space, { family, value }: Addr): boolean => {
  const range = space.ranges[indexAt(space.ranges, value)]
  return range !== undefined && range.first <= value && family === space.family
}

/** How many addresses are in it. */
export const count = ({ ranges }: Space): bigint =>
  ranges.reduce((sum, range) => sum + range.last - range.first + 1n, 0n)

/** Its ranges for people, in order. */
export const spans = function* ({ family, ranges }: Space): Generator<Span> {
  for (const { first, last } of ranges)
    yield { first: { family, value: first }, last: { family, value: last } }
}

/** Its addresses, lowest first. There may be 2^128 of them: the caller stops. */
export const addrsOf = function* ({ family, ranges }: Space): Generator<Addr> {
  for (const { first, last } of ranges)
    for (let value = first; value <= last; value += 1n) yield { family, value }
}

/** Its lowest address that is not below this one; log n. */
export const firstFrom = (space: Space, { family, value }: Addr): Addr | undefined => {
  if (family !== space.family) return undefined
  const range = space.ranges[indexAt(space.ranges, value)]
  return range === undefined ? undefined : { family, value: range.first > value ? range.first : value }
}

/** What is left of a pool: log n and the taken ranges within the pool. */
export const free = (pool: Prefix, taken: Space): Space =>
  subtract(spaceOfPrefixes(pool.family, [pool]), taken)

/**
 * The addresses of a network that a host can have and that are not taken. Network and broadcast address are not among
 * them, nor is the routers' anycast address in IPv6, except where `usable` counts them: /31, /32, /127, /128.
 */
export const freeHosts = (network: Prefix, taken: Space): Space => {
  const hosts = { first: firstUsable(network).value, last: lastUsable(network).value }
  return subtract({ family: network.family, ranges: [hosts] }, taken)
}

/** The position of the highest one bit; -1 for 0. */
const log2 = (value: bigint): number => {
  let rest = value
  let bits = 0
  while (rest > 0xffffffffn) {
    rest >>= 32n
    bits += 32
  }
  return bits + 31 - Math.clz32(Number(rest))
}

/** The position of the lowest one bit; `value` is above 0. */
const zeros = (value: bigint): number => {
  let rest = value
  let bits = 0
  for (let word = Number(rest & 0xffffffffn); ; word = Number(rest & 0xffffffffn)) {
    if (word !== 0) return bits + 31 - Math.clz32(word & -word)
    rest >>= 32n
    bits += 32
  }
}

/**
 * A range seen as the widest prefixes that it consists of, from here on its holes. Their sizes are powers of two that
 * only rise up to one address, the one that is a multiple of the highest power, and only fall behind it. So `rise`, the number of addresses
 * before the peak, has a one bit for each size on the way up, and `fall` for each on the way down:
 *
 *     .1 … .14   =   .1/32  .2/31  .4/30  |  .8/30  .12/31  .14/32      rise = 4+2+1, fall = 4+2+1
 */
interface Holes {
  readonly rise: bigint
  readonly peak: bigint
  readonly fall: bigint
}

const holesOf = ({ first, last }: Range): Holes => {
  const end = last + 1n
  const peak = first === 0n ? 0n : roundedDown(end, BigInt(log2((first - 1n) ^ end)))
  return { rise: peak - first, peak, fall: end - peak }
}

/** The highest multiple of 2^`shift` that is not above `value`. */
const roundedDown = (value: bigint, shift: bigint): bigint => (value >> shift) << shift

/** The hole of 2^`shift` addresses on the way up. */
const onRise = ({ rise, peak }: Holes, shift: bigint): bigint => peak - roundedDown(rise, shift)

/** The hole of 2^`shift` addresses on the way down. */
const onFall = ({ peak, fall }: Holes, shift: bigint): bigint => peak + roundedDown(fall, shift + 1n)

/** The lower of the holes of 2^`host` addresses, one of which must be there. */
const startOf = (holes: Holes, host: number): bigint => {
  const shift = BigInt(host)
  return (holes.rise >> shift) & 1n ? onRise(holes, shift) : onFall(holes, shift)
}

/** The shortest list of prefixes that are exactly this space, in order: at most two for each bit of an address and range. */
export const prefixesOf = function* ({ family, ranges }: Space): Generator<Prefix> {
  for (const range of ranges) {
    const { peak } = holesOf(range)
    for (let value = range.first; value <= range.last; ) {
      const host = value < peak ? zeros(peak - value) : log2(range.last + 1n - value)
      yield { family, value, bits: width(family) - host }
      value += 1n << BigInt(host)
    }
  }
}

/** How many blocks of this length, each beginning at a multiple of its size, lie in it. */
export const blockCount = ({ family, ranges }: Space, bits: number): bigint => {
  const shift = BigInt(width(family) - bits)
  return ranges.reduce((sum, { first, last }) => {
    const blocks = ((last + 1n) >> shift) - roundedUp(first, shift)
    return blocks > 0n ? sum + blocks : sum
  }, 0n)
}

const roundedUp = (value: bigint, shift: bigint): bigint => (value + (1n << shift) - 1n) >> shift

/** The lowest block of this length; linear. */
export const lowestBlock = ({ family, ranges }: Space, bits: number): Prefix | undefined => {
  const shift = BigInt(width(family) - bits)
  for (const { first, last } of ranges) {
    const block = roundedUp(first, shift)
    if (block < (last + 1n) >> shift) return { family, value: block << shift, bits }
  }
  return undefined
}

/** A block of this length from the smallest hole that has room for it, so that large holes survive; linear. */
export const bestBlock = ({ family, ranges }: Space, bits: number): Prefix | undefined => {
  const host = width(family) - bits
  let smallest = width(family) + 1
  let value = 0n
  for (const range of ranges) {
    const holes = holesOf(range)
    const fitting = (holes.rise | holes.fall) >> BigInt(host)
    const size = fitting === 0n ? smallest : zeros(fitting) + host
    if (size < smallest) {
      smallest = size
      value = startOf(holes, size)
    }
    if (smallest === host) break
  }
  return smallest > width(family) ? undefined : { family, value, bits }
}

/** The widest prefix in it, the lowest of equal ones; linear. */
export const largestBlock = ({ family, ranges }: Space): Prefix | undefined => {
  let widest: Prefix | undefined
  for (const range of ranges) {
    const holes = holesOf(range)
    const host = log2(holes.rise | holes.fall)
    const bits = width(family) - host
    if (widest === undefined || bits < widest.bits) widest = { family, value: startOf(holes, host), bits }
  }
  return widest
}

/** The widest network around a prefix that lies in the space: how far it can grow. Undefined where it is not in it itself. */
export const widestAround = (space: Space, prefix: Prefix): Prefix | undefined => {
  const low = first(prefix).value
  const room = space.ranges[indexAt(space.ranges, low)]
  if (room === undefined || prefix.family !== space.family) return undefined
  let widest: Prefix | undefined
  for (let { bits } = prefix; bits >= 0; bits -= 1) {
    const wider = rangeOf({ ...prefix, bits })
    if (wider.first < room.first || wider.last > room.last) break
    widest = masked({ ...prefix, bits })
  }
  return widest
}

/** The narrowest prefix that all of it lies in; undefined for the empty space. */
export const enclosing = ({ family, ranges }: Space): Prefix | undefined => {
  const low = ranges[0]?.first
  const high = ranges.at(-1)?.last
  if (low === undefined || high === undefined) return undefined
  return masked({ family, value: low, bits: width(family) - 1 - log2(low ^ high) })
}

/** The narrowest network in which each of these addresses can be a host's: none is its network or broadcast address. */
export const networkOf = (hosts: Space): Prefix | undefined => {
  const narrowest = enclosing(hosts)
  const low = hosts.ranges[0]?.first
  const high = hosts.ranges.at(-1)?.last
  if (narrowest === undefined || low === undefined || high === undefined) return undefined
  for (let { bits } = narrowest; bits >= 0; bits -= 1) {
    const network = masked({ ...narrowest, bits })
    if (firstUsable(network).value <= low && high <= lastUsable(network).value) return network
  }
  return undefined
}

/**
 * Hands out a space piece by piece; what was given is never given again, and nothing comes back. The same calls give the same
 * answers, and more calls do not change the earlier ones. For each length all calls together are linear in the ranges and the calls. Where
 * `best` alone is asked, it refuses a block only when the earlier ones could not have been placed so that it fits.
 */
export interface Allocator {
  /** The lowest block of this length, so that what is given lies close together. */
  readonly lowest: (bits: number) => Prefix | undefined
  /** A block of this length from the smallest hole that has room for it, so that large holes survive. */
  readonly best: (bits: number) => Prefix | undefined
  /** The lowest address. Out of `freeHosts` it is always one that a host can have. */
  readonly address: () => Addr | undefined
  /** What is left. */
  readonly left: () => Space
}

/**
 * The ranges stay as they are: a cursor for each size goes up their holes, since one range of IPv6 may have 250 of them.
 * What is left over of a hole that was larger than the block lies on a stack for its size. No larger hole is begun while
 * one that would do lies below it (`lowest`), or lies anywhere (`best`): so what is left over is always below all holes of
 * its size, and the top of the stack is the lowest.
 */
export const allocator = (space: Space): Allocator => {
  const { family, ranges } = space
  const all = width(family)
  const holes = ranges.map(holesOf)
  const given: Range[] = []
  const stacks = Array.from({ length: all + 1 }, (): bigint[] => [])
  /** For each size the next hole of a range: twice the range's index, one more if it is one behind the peak. */
  const cursors: number[] = []
  const nexts = stacks.map((): bigint | undefined => undefined)

  /** The lowest hole of a size, left over or of a range. */
  const low = (host: number): bigint | undefined => stacks[host]?.at(-1) ?? nexts[host]

  /** Moves the cursor of a size on to the first hole from `start`. */
  const seek = (host: number, start: number): void => {
    const shift = BigInt(host)
    let cursor = start
    let value: bigint | undefined
    for (; value === undefined; cursor += 1) {
      const hole = holes[cursor >> 1]
      if (hole === undefined) break
      const half = cursor % 2 === 0 ? hole.rise : hole.fall
      if ((half >> shift) & 1n) value = cursor % 2 === 0 ? onRise(hole, shift) : onFall(hole, shift)
    }
    cursors[host] = cursor
    nexts[host] = value
  }

  // One pass finds the first hole of every size, however far up a rare size is.
  const sizes = (1n << BigInt(all + 1)) - 1n
  let unseen = sizes
  for (const [i, { rise, fall }] of holes.entries()) {
    let fresh = (rise | fall) & unseen
    unseen ^= fresh
    for (; fresh !== 0n; fresh &= fresh - 1n) seek(zeros(fresh), 2 * i)
  }

  const widest = log2(unseen ^ sizes)

  /** Gives the beginning of the lowest hole of size `from`. */
  const give = (host: number, from: number, value: bigint): Prefix => {
    if (stacks[from]?.pop() === undefined) seek(from, cursors[from] ?? 0)
    for (let rest = host; rest < from; rest += 1) stacks[rest]?.push(value + (1n << BigInt(rest)))
    given.push({ first: value, last: value + (1n << BigInt(host)) - 1n })
    return { family, value, bits: all - host }
  }

  const lowest = (bits: number): Prefix | undefined => {
    let from = 0
    let lowest: bigint | undefined
    for (let host = all - bits; host <= widest; host += 1) {
      const value = low(host)
      if (value === undefined || (lowest !== undefined && lowest < value)) continue
      lowest = value
      from = host
    }
    return lowest === undefined ? undefined : give(all - bits, from, lowest)
  }

  const best = (bits: number): Prefix | undefined => {
    for (let host = all - bits; host <= widest; host += 1) {
      const value = low(host)
      if (value !== undefined) return give(all - bits, host, value)
    }
    return undefined
  }

  const address = (): Addr | undefined => {
    const block = lowest(all)
    return block === undefined ? undefined : { family, value: block.value }
  }

  return { lowest, best, address, left: () => subtract(space, spaceOfRanges(family, given)) }
}

/**
 * Whether blocks of these lengths fit into a space at once. Sizes are powers of two, so they do exactly when for each
 * length there are as many blocks as those of it and of the wider ones take.
 */
export const hasRoom = (space: Space, lengths: Iterable<number>): boolean => {
  let before = 0
  let needed = 0n
  for (const [bits, blocks] of tally(lengths)) {
    needed = (needed << BigInt(bits - before)) + blocks
    before = bits
    if (blockCount(space, bits) < needed) return false
  }
  return true
}

/** How often each length is asked for, widest first. */
const tally = (lengths: Iterable<number>): (readonly [number, bigint])[] => {
  const times = new Map<number, bigint>()
  for (const bits of lengths) times.set(bits, (times.get(bits) ?? 0n) + 1n)
  return Array.from(times).sort(([a], [b]) => a - b)
}

/** The length of the smallest prefix that has room for blocks of all these lengths; undefined when none has. */
export const bitsForBlocks = (family: Family, lengths: Iterable<number>): number | undefined => {
  const total = tally(lengths).reduce((sum, [bits, blocks]) => sum + blocks * size(family, bits), 0n)
  if (total > size(family, 0)) return undefined
  return total === 0n ? width(family) : width(family) - 1 - log2(total - 1n)
}

/** Blocks in a pool. */
export interface Packing<T> {
  /** The widest first; of equal ones in the order in which they were asked for. */
  readonly placed: readonly { readonly item: T; readonly prefix: Prefix }[]
  /** Those that have no room, in the same order. */
  readonly unplaced: readonly T[]
  /** How long the pool's prefix may be at most to have room for all: its own length if it has; undefined when none has. */
  readonly bits: number | undefined
}

/**
 * Places a block for each item in a pool, each in the smallest hole that has room for it, the widest first: if all can be
 * placed in any way, they are. A pool that is too small is widened around itself to find the length that would do, so
 * `taken` should have what is taken around the pool too. An item without a length has room nowhere.
 */
export const pack = <T>(
  pool: Prefix,
  taken: Space,
  items: Iterable<T>,
  bitsOf: (item: T) => number | undefined
): Packing<T> => {
  const { best } = allocator(free(pool, taken))
  const placed: { readonly item: T; readonly prefix: Prefix }[] = []
  const unplaced: T[] = []
  const asked = Array.from(items, item => ({ item, bits: bitsOf(item) }))
  for (const { item, bits } of asked.toSorted((a, b) => (a.bits ?? -1) - (b.bits ?? -1))) {
    const prefix = bits === undefined ? undefined : best(bits)
    if (prefix === undefined) unplaced.push(item)
    else placed.push({ item, prefix })
  }
  if (unplaced.length === 0) return { placed, unplaced, bits: pool.bits }
  const lengths = asked.flatMap(({ bits }) => bits ?? [])
  return {
    placed,
    unplaced,
    bits: lengths.length < asked.length ? undefined : widerPool(pool, taken, lengths)
  }
}

/** The longest length below the pool's own at which it has room; a wider pool never has less room. */
const widerPool = (pool: Prefix, taken: Space, lengths: readonly number[]): number | undefined => {
  let enough = -1
  let scarce = pool.bits
  while (scarce - enough > 1) {
    const bits = (enough + scarce) >> 1
    if (hasRoom(free({ ...pool, bits }, taken), lengths)) enough = bits
    else scarce = bits
  }
  return enough < 0 ? undefined : enough
}

/** A network that is to be made, for so many hosts. */
export interface Need {
  readonly name: string
  readonly hosts: bigint
}

/** Subnets of a pool as narrow as each need allows (VLSM). */
export const vlsm = <T extends Need>(pool: Prefix, taken: Space, needs: Iterable<T>): Packing<T> =>
  pack(pool, taken, needs, ({ hosts }) => bitsFor(pool.family, hosts))

/** The length of the smallest prefix that has room for all these subnets; undefined when none has. */
export const bitsForNeeds = (family: Family, needs: Iterable<Need>): number | undefined => {
  const lengths: number[] = []
  for (const { hosts } of needs) {
    const bits = bitsFor(family, hosts)
    if (bits === undefined) return undefined
    lengths.push(bits)
  }
  return bitsForBlocks(family, lengths)
}
