import { BlockList } from 'node:net'
import * as fc from 'fast-check'
import { Address4, Address6 } from 'ip-address'
import IPCIDR from 'ip-cidr'
import { describe, expect, test } from 'vitest'
import { type Addr, formatAddr, parseAddr, width } from '../../src/net/addr.ts'
import {
  contains,
  first,
  firstUsable,
  formatNetwork,
  formatPrefix,
  last,
  lastUsable,
  overlaps,
  type Prefix,
  parsePrefix,
  size,
  usable
} from '../../src/net/prefix.ts'
import {
  addrsOf,
  allocator,
  blockCount,
  count,
  enclosing,
  free,
  freeHosts,
  includes,
  prefixesOf,
  type Range,
  type Space,
  spaceOfAddrs,
  spaceOfPrefixes,
  spaceOfRanges,
  subtract,
  vlsm
} from '../../src/net/space.ts'
import { addr, prefix } from './arbitrary.ts'
import { noPython, python } from './python.ts'
import { addrIn, parse, prefixIn, rangesIn, type Window, window } from './spaces.ts'

// The same questions to others: ip-address and ip-cidr, node's BlockList, python's ipaddress. First what they err in, so
// that it is known what they are not asked; a version that is right about it makes these tests fail.

const valid = (check: () => unknown): boolean => {
  try {
    check()
    return true
  } catch {
    return false
  }
}

describe('ip-cidr errs', () => {
  test('in taking everything of one family for everything', () => {
    expect(new IPCIDR('0.0.0.0/0').contains('fc00::1')).toBe(true)
    expect(new IPCIDR('::/0').contains('10.0.0.1')).toBe(true)
    expect(contains(parse('0.0.0.0/0'), parse('fc00::1'))).toBe(false)
    expect(contains(parse('::/0'), parse('10.0.0.1'))).toBe(false)
    expect(includes(spaceOfPrefixes(6, [parse('::/0')]), parse('10.0.0.1'))).toBe(false)
  })

  test('in taking an IPv4-mapped network for one IPv4 host', () => {
    const mapped = new IPCIDR('::ffff:10.0.0.1/120')
    expect([mapped.start(), mapped.end(), mapped.size]).toEqual(['10.0.0.1', '10.0.0.1', 1n])
    expect(count(spaceOfPrefixes(6, [parse('::ffff:10.0.0.1/120')]))).toBe(256n)
  })

  test('in saying nothing of host bits, and in taking a length with a leading zero', () => {
    expect(IPCIDR.isValidCIDR('10.0.0.1/24')).toBe(true)
    expect(new IPCIDR('10.0.0.1/24').toString()).toBe('10.0.0.1/24')
    expect(formatNetwork(parse('10.0.0.1/24'))).toBe('10.0.0.0/24')
    expect(IPCIDR.isValidCIDR('10.0.0.0/08')).toBe(true)
  })

  test('in making an array of all addresses when no limit is given', () => {
    expect(new IPCIDR('10.0.0.0/16').toArray()).toHaveLength(65536)
  })
})

describe('ip-address errs', () => {
  test.each([
    // The address after the network's and the one before the broadcast's, though neither exists there; in IPv6 never.
    ['10.0.0.2/31', '10.0.0.3', '10.0.0.2', '10.0.0.2', '10.0.0.3'],
    ['10.0.0.2/32', '10.0.0.3', '10.0.0.1', '10.0.0.2', '10.0.0.2'],
    ['fd00::4/126', 'fd00::5', 'fd00::6', 'fd00::5', 'fd00::7'],
    ['fd00::2/127', 'fd00::3', 'fd00::2', 'fd00::2', 'fd00::3'],
    ['fd00::2/128', 'fd00::3', 'fd00::1', 'fd00::2', 'fd00::2']
  ])('in the first and last host of %s', (text, low, high, ...right) => {
    const other = theirs(parse(text))
    expect(
      [other.startAddressExclusive(), other.endAddressExclusive()].map(addr => addr.correctForm())
    ).toEqual([low, high])
    expect([firstUsable(parse(text)), lastUsable(parse(text))].map(formatAddr)).toEqual(right)
  })

  test('in taking a length with a leading zero', () => {
    expect(['10.0.0.0/08', '10.0.0.0/00'].map(text => Address4.isValid(text))).toEqual([true, true])
    expect(Address6.isValid('fd00::/064')).toBe(true)
    expect(['10.0.0.0/08', '10.0.0.0/00', 'fd00::/064'].some(text => 'value' in parsePrefix(text))).toBe(
      false
    )
  })

  test('in no network after the last one', () => {
    expect(valid(() => new Address4('255.255.255.254/31').nextNetwork())).toBe(false)
    expect(valid(() => new Address6('ffff::/16').nextNetwork())).toBe(false)
  })
})

describe('BlockList errs', () => {
  const listed = (network: string, addr: string): boolean => {
    const list = new BlockList()
    list.addSubnet(formatAddr(parse(network)), parse(network).bits, `ipv${parse(network).family}`)
    return list.check(addr, `ipv${parse(addr).family}`)
  }

  test('in taking IPv4-mapped addresses for IPv4 ones, both ways', () => {
    expect(listed('10.0.0.0/8', '::ffff:10.0.0.1')).toBe(true)
    expect(listed('::ffff:10.0.0.0/104', '10.0.0.1')).toBe(true)
    expect(contains(parse('10.0.0.0/8'), parse('::ffff:10.0.0.1'))).toBe(false)
    expect(contains(parse('::ffff:10.0.0.0/104'), parse('10.0.0.1'))).toBe(false)
  })

  test('in taking everything of IPv6 for everything, but not everything of IPv4', () => {
    expect(listed('::/0', '10.0.0.1')).toBe(true)
    expect(listed('0.0.0.0/0', 'fc00::1')).toBe(false)
  })
})

const theirs = (prefix: Prefix): Address4 | Address6 =>
  prefix.family === 4 ? new Address4(formatPrefix(prefix)) : new Address6(formatPrefix(prefix))

const isMapped = ({ family, value }: Addr): boolean => family === 6 && value >> 32n === 0xffffn

/** Two prefixes of which one often is around the other, beside it, or of the other family. */
const pairs: fc.Arbitrary<[Prefix, Prefix]> = fc.oneof(
  fc.tuple(prefix, prefix),
  fc
    .tuple(prefix, fc.nat(128), fc.constantFrom(-1n, 0n, 1n))
    .map(([prefix, bits, step]): [Prefix, Prefix] => {
      const { family } = prefix
      const beside = first(prefix).value + step * size(family, prefix.bits)
      const value = beside < 0n || beside >= size(family, 0) ? prefix.value : beside
      return [prefix, { family, value, bits: Math.min(bits, width(family)) }]
    })
)

/** A pool of any length, and prefixes, most of them in it or about it. */
const pools: fc.Arbitrary<[Prefix, Prefix[]]> = prefix.chain(pool => {
  const { family, bits } = pool
  const near = fc
    .tuple(fc.bigInt({ min: -4n, max: 4n }), fc.integer({ min: 0, max: width(family) }), fc.boolean())
    .map(([step, wanted, top]) => {
      const length = Math.max(bits, wanted)
      const base = top ? last(pool).value + 1n : first(pool).value
      const value = base + step * size(family, length)
      return { family, value: value < 0n || value >= size(family, 0) ? pool.value : value, bits: length }
    })
  const within = fc
    .tuple(
      fc.bigInt({ min: 0n, max: size(family, bits) - 1n }),
      fc.integer({ min: bits, max: width(family) })
    )
    .map(([low, bits]) => ({ family, value: first(pool).value + low, bits }))
  const other = prefix.filter(other => other.family === family)
  return fc.tuple(fc.constant(pool), fc.array(fc.oneof(within, within, near, near, other), { maxLength: 12 }))
})

/** A window with prefixes in it, in every second case an ordinary pool of any length. */
const crowded: fc.Arbitrary<[Prefix, Prefix[]]> = fc.oneof(
  pools,
  window.chain(window => fc.tuple(prefixIn(window), fc.array(prefixIn(window, 5), { maxLength: 20 })))
)

describe('ip-address and ip-cidr say the same', () => {
  test('of networks within one another, and of overlaps', () => {
    fc.assert(
      fc.property(pairs, ([a, b]) => {
        const inside = theirs(b).isInSubnet(theirs(a))
        expect(overlaps(a, b)).toBe(inside || theirs(a).isInSubnet(theirs(b)))
        const space = spaceOfPrefixes(a.family, [a])
        if (a.family === b.family)
          expect(subtract(spaceOfPrefixes(a.family, [b]), space).ranges.length === 0).toBe(inside)
      }),
      { numRuns: 500 }
    )
  })

  test('of the network behind one', () => {
    fc.assert(
      fc.property(prefix, prefix => {
        const end = last(prefix).value + 1n
        fc.pre(end < size(prefix.family, 0))
        const next = parse(theirs(prefix).nextNetwork().address)
        expect(next).toEqual({ family: prefix.family, value: end, bits: prefix.bits })
      })
    )
  })

  test('of the prefixes of what is free: they lie end to end, and are as many addresses', () => {
    fc.assert(
      fc.property(crowded, ([pool, taken]) => {
        const left = free(pool, spaceOfPrefixes(pool.family, taken))
        const ends = Array.from(prefixesOf(left), prefix => {
          const [first, last] = [theirs(prefix).startAddress().bigInt(), theirs(prefix).endAddress().bigInt()]
          const size = isMapped(prefix)
            ? last - first + 1n
            : BigInt(new IPCIDR(formatPrefix(prefix)).size.toString())
          return { first, last, size }
        })
        expect(ends.reduce((sum, { size }) => sum + size, 0n)).toBe(count(left))
        expect(spaceOfRanges(pool.family, ends)).toEqual(left)
        for (const [i, { first }] of ends.entries())
          if (i > 0) expect(first).toBeGreaterThan(ends[i - 1]?.last ?? 0n)
      }),
      { numRuns: 200 }
    )
  })

  test('of the first addresses of a network', () => {
    fc.assert(
      fc.property(prefix, prefix => {
        fc.pre(!isMapped(prefix))
        const limit = 20n
        const list = new IPCIDR(formatPrefix(prefix)).toArray({ from: 0, limit })
        const addrs = addrsOf(spaceOfPrefixes(prefix.family, [prefix]))
        expect(list.map(text => parseAddr(text))).toEqual(list.map(() => ({ value: addrs.next().value })))
        expect(addrs.next().done === true).toBe(
          size(prefix.family, prefix.bits) <= limit && list.length < limit
        )
      })
    )
  })

  test('of the networks into which a pool is split', () => {
    fc.assert(
      fc.property(prefix, fc.nat(6), (pool, longer) => {
        const { family } = pool
        const bits = Math.min(pool.bits + longer, width(family))
        const { lowest } = allocator(spaceOfPrefixes(family, [pool]))
        let network = theirs({ ...first(pool), bits })
        for (let i = 1; i <= 2 ** (bits - pool.bits); i += 1) {
          expect(lowest(bits)).toEqual(parse(network.address))
          if (i < 2 ** (bits - pool.bits)) network = network.nextNetwork()
        }
        expect(lowest(bits)).toBeUndefined()
        expect(network.endAddress().bigInt()).toBe(last(pool).value)
      })
    )
  })

  test('of what an allocator gives: in the pool, never taken, never twice, as many as are free', () => {
    fc.assert(
      fc.property(
        crowded,
        fc.array(fc.tuple(fc.nat(8), fc.boolean()), { maxLength: 12 }),
        ([pool, taken], asked) => {
          const { family } = pool
          const left = free(pool, spaceOfPrefixes(family, taken))
          const { lowest, best, left: rest } = allocator(left)
          const given: (Address4 | Address6)[] = []
          for (const [longer, well] of asked) {
            const block = (well ? best : lowest)(Math.min(pool.bits + longer, width(family)))
            if (block === undefined) continue
            const mine = theirs(block)
            expect(mine.isInSubnet(theirs(pool))).toBe(true)
            for (const other of [...taken.map(theirs), ...given])
              expect(mine.isInSubnet(other) || other.isInSubnet(mine)).toBe(false)
            given.push(mine)
          }
          const sum = given.reduce(
            (sum, other) => sum + other.endAddress().bigInt() - other.startAddress().bigInt() + 1n,
            0n
          )
          expect(count(rest())).toBe(count(left) - sum)
        }
      ),
      { numRuns: 200 }
    )
  })

  test('of VLSM: aligned, apart, in the pool, not taken', () => {
    const needs = fc.array(fc.bigInt({ min: 1n, max: 300n }), { maxLength: 10 })
    fc.assert(
      fc.property(crowded, needs, ([pool, taken], hosts) => {
        const named = hosts.map((hosts, i) => ({ name: `net${i}`, hosts }))
        const { placed, unplaced } = vlsm(pool, spaceOfPrefixes(pool.family, taken), named)
        expect(placed.length + unplaced.length).toBe(hosts.length)
        const others = placed.map(({ prefix }) => theirs(prefix))
        for (const [i, mine] of others.entries()) {
          expect(mine.startAddress().bigInt()).toBe(mine.bigInt())
          expect(mine.isInSubnet(theirs(pool))).toBe(true)
          for (const other of [...taken.map(theirs), ...others.slice(0, i)])
            expect(mine.isInSubnet(other) || other.isInSubnet(mine)).toBe(false)
        }
      }),
      { numRuns: 200 }
    )
  })
})

/** Node's list of the same ranges; `window` says the family. */
const blockList = ({ family }: Window, ranges: readonly Range[]): BlockList => {
  const list = new BlockList()
  const highest = size(family, 0) - 1n
  const text = (value: bigint): string =>
    formatAddr({ family, value: value < 0n ? 0n : value > highest ? highest : value })
  for (const { first, last } of ranges)
    if (first <= last && first <= highest && last >= 0n)
      list.addRange(text(first), text(last), `ipv${family}`)
  return list
}

describe("node's BlockList says the same, asked of one family,", () => {
  const listed = (list: BlockList, addr: Addr): boolean => list.check(formatAddr(addr), `ipv${addr.family}`)

  test('of addresses in ranges, networks and addresses', () => {
    fc.assert(
      fc.property(
        window.chain(window =>
          fc.tuple(
            fc.constant(window),
            rangesIn(window, 5),
            fc.array(prefixIn(window), { maxLength: 4 }),
            fc.array(addrIn(window), { maxLength: 4 }),
            fc.array(addrIn(window), { minLength: 8, maxLength: 8 })
          )
        ),
        ([window, ranges, prefixes, addrs, asked]) => {
          const { family } = window
          const list = blockList(window, ranges)
          for (const prefix of prefixes) list.addSubnet(formatAddr(prefix), prefix.bits, `ipv${family}`)
          for (const addr of addrs) list.addAddress(formatAddr(addr), `ipv${family}`)
          const space = spaceOfRanges(family, [
            ...ranges,
            ...spaceOfPrefixes(family, prefixes).ranges,
            ...spaceOfAddrs(family, addrs).ranges
          ])
          expect(asked.map(addr => includes(space, addr))).toEqual(asked.map(addr => listed(list, addr)))
        }
      ),
      { numRuns: 300 }
    )
  })

  test('of the borders of what is free', () => {
    fc.assert(
      fc.property(crowded, ([pool, taken]) => {
        const { family } = pool
        const inPool = new BlockList()
        inPool.addSubnet(formatAddr(pool), pool.bits, `ipv${family}`)
        const gone = new BlockList()
        for (const { bits, ...addr } of taken) gone.addSubnet(formatAddr(addr), bits, `ipv${family}`)
        const left = free(pool, spaceOfPrefixes(family, taken))
        const borders = [...left.ranges, ...spaceOfPrefixes(family, [pool, ...taken]).ranges]
        for (const value of borders.flatMap(({ first, last }) => [first - 1n, first, last, last + 1n])) {
          if (value < 0n || value >= size(family, 0)) continue
          const addr = { family, value }
          expect([formatAddr(addr), includes(left, addr)]).toEqual([
            formatAddr(addr),
            listed(inPool, addr) && !listed(gone, addr)
          ])
        }
      }),
      { numRuns: 200 }
    )
  })

  test('of hosts that an allocator gives: of the network, and none of the taken', () => {
    fc.assert(
      fc.property(crowded, ([pool, taken]) => {
        const { family } = pool
        const gone = new BlockList()
        for (const { bits, ...addr } of taken) gone.addSubnet(formatAddr(addr), bits, `ipv${family}`)
        const hosts = freeHosts(pool, spaceOfPrefixes(family, taken))
        const { address } = allocator(hosts)
        const given = new Set<bigint>()
        for (let addr = address(); addr !== undefined && given.size < 50; addr = address()) {
          expect(listed(gone, addr)).toBe(false)
          expect(theirs({ ...addr, bits: width(family) }).isInSubnet(theirs(pool))).toBe(true)
          expect(given.has(addr.value)).toBe(false)
          given.add(addr.value)
        }
        if (given.size < 50) expect(BigInt(given.size)).toBe(count(hosts))
      }),
      { numRuns: 150 }
    )
  })
})

const networks = (space: Space): string[] => Array.from(prefixesOf(space), formatPrefix)

/** Small ones, whose hosts python can list. */
const smallNetworks = window.chain(window =>
  fc.tuple(prefixIn(window), fc.array(prefixIn(window, 4), { maxLength: 8 }))
)

/** Two addresses of a family, the lower one first, often in one another's neighbourhood. */
const ends: fc.Arbitrary<[Addr, Addr]> = fc
  .oneof(
    fc.tuple(addr, addr).filter(([a, b]) => a.family === b.family),
    window.chain(window => fc.tuple(addrIn(window), addrIn(window)))
  )
  .map(([a, b]) => (a.value <= b.value ? [a, b] : [b, a]))

/** Texts that are addresses, or nearly. */
const spelled: fc.Arbitrary<string> = fc
  .tuple(
    addr.map(formatAddr),
    fc.nat(39),
    fc.nat(1),
    fc.constantFrom('', '', '0', '1', ':', '::', '.', 'F', '25', ' ')
  )
  .map(([text, at, gone, put]) => text.slice(0, at) + put + text.slice(at + gone))

const EDGES = [
  '0.0.0.0/0',
  '10.0.0.2/31',
  '10.0.0.2/32',
  '255.255.255.255/32',
  '::/0',
  'fd00::2/127',
  'fd00::2/128'
].map(parse)

describe.skipIf(noPython())("python's ipaddress says the same", () => {
  const edges = EDGES.map((pool): [Prefix, Prefix[]] => [pool, []])
  const cases = {
    spelled: fc.sample(spelled, 400),
    addrs: fc.sample(addr, 200),
    prefixes: [...EDGES, ...fc.sample(prefix, 300)],
    pairs: fc.sample(fc.tuple(pairs, addr), 400),
    crowded: [...edges, ...fc.sample(crowded, 300)],
    ends: fc.sample(ends, 150),
    hosts: [
      ...edges.filter(([{ family, bits }]) => width(family) - bits <= 8),
      ...fc.sample(smallNetworks, 150)
    ],
    splits: fc.sample(fc.tuple(prefix, fc.nat(12)), 100)
  }
  const split = (pool: Prefix, longer: number): number => Math.min(pool.bits + longer, width(pool.family))

  let answers: ReturnType<typeof ask> | undefined
  const ask = () =>
    python({
      address: cases.spelled.map(text => [text]),
      written: cases.addrs.map(addr => [formatAddr(addr)]),
      prefix: cases.prefixes.map(prefix => [formatPrefix(prefix)]),
      pair: cases.pairs.map(([[a, b], addr]) => [formatPrefix(a), formatPrefix(b), formatAddr(addr)]),
      without: cases.crowded.map(([pool, taken]) => [formatPrefix(pool), taken.map(formatPrefix)]),
      collapsed: cases.crowded.map(([, prefixes]) => [prefixes.map(formatPrefix)]),
      around: cases.crowded.map(([pool, prefixes]) => [[pool, ...prefixes].map(formatPrefix)]),
      summarized: cases.ends.map(([low, high]) => [formatAddr(low), formatAddr(high)]),
      hosts: cases.hosts.map(([network, taken]) => [formatPrefix(network), taken.map(formatPrefix)]),
      subnets: cases.splits.map(([pool, longer]) => [formatPrefix(pool), split(pool, longer), 70])
    })
  /** Python before 3.13 writes IPv4-mapped addresses without a dotted tail; all else is written alike. */
  const rewritten = (answer: unknown): unknown => {
    if (Array.isArray(answer)) return answer.map(rewritten)
    const parsed =
      typeof answer === 'string' && answer.startsWith('::ffff:') ? parsePrefix(answer) : undefined
    if (parsed === undefined || !('value' in parsed)) return answer
    return String(answer).includes('/') ? formatPrefix(parsed.value) : formatAddr(parsed.value)
  }
  /** Ours beside python's answers of a kind to the same cases. */
  const compare = <T>(
    kind: keyof ReturnType<typeof ask>,
    cases: readonly T[],
    ours: (item: T) => unknown
  ): void => {
    answers ??= ask()
    expect(answers[kind]).toHaveLength(cases.length)
    for (const [i, item] of cases.entries())
      expect({ item, answer: ours(item) }).toEqual({ item, answer: rewritten(answers[kind][i]) })
  }

  test('of texts: which are addresses, and of which number', () => {
    compare('address', cases.spelled, text => {
      const parsed = parseAddr(text)
      return 'value' in parsed ? String(parsed.value.value) : null
    })
    const accepted = cases.spelled.filter(text => 'value' in parseAddr(text)).length
    expect(Math.min(accepted, cases.spelled.length - accepted)).toBeGreaterThan(20)
  })

  test('of how an address is written', () => {
    compare('written', cases.addrs, formatAddr)
  })

  test('of the borders and the hosts of a prefix', () => {
    compare('prefix', cases.prefixes, prefix => {
      const { family, bits } = prefix
      const addresses = size(family, bits)
      const some = [first(prefix), last(prefix), addresses, firstUsable(prefix)]
      const all = addresses <= 1024n ? [...some, lastUsable(prefix), usable(family, bits)] : some
      return all.map(value => (typeof value === 'bigint' ? String(value) : formatAddr(value)))
    })
  })

  test('of prefixes and addresses within one another', () => {
    compare('pair', cases.pairs, ([[a, b], addr]) => [
      overlaps(a, b),
      overlaps(a, b) && a.bits >= b.bits,
      overlaps(a, b) && b.bits >= a.bits,
      contains(a, addr),
      contains(b, addr)
    ])
  })

  test('of what is left of a pool', () => {
    compare('without', cases.crowded, ([pool, taken]) =>
      networks(free(pool, spaceOfPrefixes(pool.family, taken)))
    )
  })

  test('of prefixes merged into the fewest', () => {
    compare('collapsed', cases.crowded, ([pool, prefixes]) =>
      networks(spaceOfPrefixes(pool.family, prefixes))
    )
  })

  test('of the narrowest network around some', () => {
    compare('around', cases.crowded, ([pool, prefixes]) => {
      const around = enclosing(spaceOfPrefixes(pool.family, [pool, ...prefixes]))
      return around && formatPrefix(around)
    })
  })

  test('of the prefixes that a range consists of', () => {
    compare('summarized', cases.ends, ([low, high]) =>
      networks(spaceOfRanges(low.family, [{ first: low.value, last: high.value }]))
    )
  })

  test('of the hosts that are free in a network, which are those that an allocator gives', () => {
    compare('hosts', cases.hosts, ([network, taken]) => {
      const { address } = allocator(freeHosts(network, spaceOfPrefixes(network.family, taken)))
      const given: string[] = []
      for (let addr = address(); addr !== undefined; addr = address()) given.push(formatAddr(addr))
      return given
    })
  })

  test('of the networks into which a pool is split', () => {
    compare('subnets', cases.splits, ([pool, longer]) => {
      const bits = split(pool, longer)
      const room = spaceOfPrefixes(pool.family, [pool])
      const { lowest } = allocator(room)
      const given: string[] = []
      for (let block = lowest(bits); block !== undefined && given.length < 70; block = lowest(bits))
        given.push(formatPrefix(block))
      if (given.length < 70) expect(blockCount(room, bits)).toBe(BigInt(given.length))
      return given
    })
  })
})
