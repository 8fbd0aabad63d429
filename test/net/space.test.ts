import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Addr, type Family, formatAddr, width } from '../../src/net/addr.ts'
import {
  bitsFor,
  first,
  formatPrefix,
  last,
  masked,
  type Prefix,
  size,
  usable
} from '../../src/net/prefix.ts'
import {
  addrsOf,
  allocator,
  bestBlock,
  bitsForBlocks,
  bitsForNeeds,
  blockCount,
  count,
  enclosing,
  firstFrom,
  free,
  freeHosts,
  hasRoom,
  includes,
  intersect,
  largestBlock,
  lowestBlock,
  networkOf,
  pack,
  prefixesOf,
  type Range,
  type Space,
  spaceOfAddrs,
  spaceOfPrefixes,
  spaceOfRanges,
  spans,
  subtract,
  union,
  vlsm,
  widestAround
} from '../../src/net/space.ts'
import {
  addrIn,
  isIn,
  parse,
  prefixIn,
  random,
  rangesIn,
  valuesOf,
  WINDOW,
  type Window,
  window
} from './spaces.ts'

/** A space of networks and of ranges written `first-last`; the family is that of the first one. */
const space = (...texts: readonly string[]): Space => {
  const ranges = texts.map(text => {
    const [low = '', high = low] = text.split('-')
    return { first: first(parse(low)).value, last: last(parse(high)).value }
  })
  return spaceOfRanges(texts[0]?.includes(':') === true ? 6 : 4, ranges)
}

const NOTHING: Readonly<Record<Family, Space>> = {
  4: { family: 4, ranges: [] },
  6: { family: 6, ranges: [] }
}

const text = (value: Addr | undefined): string | undefined =>
  value === undefined ? undefined : formatAddr(value)
const textOf = (value: Prefix | undefined): string | undefined =>
  value === undefined ? undefined : formatPrefix(value)
const shown = (value: Space): string[] =>
  Array.from(spans(value), ({ first, last }) =>
    first.value === last.value ? formatAddr(first) : `${formatAddr(first)}-${formatAddr(last)}`
  )
const prefixes = (value: Space): string[] => Array.from(prefixesOf(value), formatPrefix)

/** The first of what may be endless. */
const some = function* <T>(items: Iterable<T>, limit: number): Generator<T> {
  let left = limit
  for (const item of items) {
    if (left <= 0) return
    left -= 1
    yield item
  }
}

const EVERYTHING4 = '0.0.0.0-255.255.255.255'
const EVERYTHING6 = '::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'

describe('a space is made of', () => {
  test.each<[string, readonly string[], readonly string[]]>([
    ['nothing', [], []],
    ['a network with host bits', ['10.0.0.9/29'], ['10.0.0.8-10.0.0.15']],
    ['the same twice', ['10.0.0.0/29', '10.0.0.0/29'], ['10.0.0.0-10.0.0.7']],
    ['one within the other', ['10.0.0.3', '10.0.0.0/29'], ['10.0.0.0-10.0.0.7']],
    ['neighbours, in any order', ['10.0.0.8/29', '10.0.0.0/29'], ['10.0.0.0-10.0.0.15']],
    ['such that cross', ['10.0.0.4-10.0.0.9', '10.0.0.0-10.0.0.5'], ['10.0.0.0-10.0.0.9']],
    ['such that are one address apart', ['10.0.0.0/31', '10.0.0.3'], ['10.0.0.0-10.0.0.1', '10.0.0.3']],
    ['everything', ['10.1.2.3/0', '10.0.0.0/8'], [EVERYTHING4]],
    ['both halves', ['128.0.0.0/1', '0.0.0.0/1'], [EVERYTHING4]],
    ['both ends', ['0.0.0.0', '255.255.255.255'], ['0.0.0.0', '255.255.255.255']],
    ['everything of IPv6', ['8000::/1', '::/1'], [EVERYTHING6]],
    [
      'both ends of IPv6',
      ['::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127'],
      ['::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff']
    ],
    ['a range that ends before it begins', ['10.0.0.9-10.0.0.8'], []]
  ])('%s', (_, texts, expected) => {
    expect(shown(space(...texts))).toEqual(expected)
  })

  test('what lies beyond the last address is cut off', () => {
    const beyond = { first: -5n, last: 1n << 130n }
    expect(shown(spaceOfRanges(4, [beyond]))).toEqual([EVERYTHING4])
    expect(shown(spaceOfRanges(6, [beyond]))).toEqual([EVERYTHING6])
    expect(
      spaceOfRanges(4, [
        { first: -5n, last: -1n },
        { first: 1n << 32n, last: 1n << 33n }
      ]).ranges
    ).toEqual([])
  })

  test('the networks, or the addresses alone, of a list of both families', () => {
    const mixed = ['10.0.0.9/29', 'fd00::9/125', '10.0.0.10/29'].map(parse)
    expect(shown(spaceOfPrefixes(4, mixed))).toEqual(['10.0.0.8-10.0.0.15'])
    expect(shown(spaceOfPrefixes(6, mixed))).toEqual(['fd00::8-fd00::f'])
    expect(shown(spaceOfAddrs(4, mixed))).toEqual(['10.0.0.9-10.0.0.10'])
    expect(shown(spaceOfAddrs(6, mixed))).toEqual(['fd00::9'])
  })

  test('two families do not mix', () => {
    for (const operation of [union, subtract, intersect])
      expect(() => operation(space('10.0.0.0/8'), space('::/0'))).toThrow('IPv4 and one of IPv6')
    expect(() => free(parse('10.0.0.0/8'), space('::/0'))).toThrow('IPv4 and one of IPv6')
    expect(() => freeHosts(parse('fd00::/64'), NOTHING[4])).toThrow('IPv6 and one of IPv4')
    expect(includes(space('::/0'), parse('10.0.0.0'))).toBe(false)
    expect(firstFrom(space('::/0'), parse('10.0.0.0'))).toBeUndefined()
    expect(widestAround(space('::/0'), parse('10.0.0.0/8'))).toBeUndefined()
  })
})

describe('what is left of', () => {
  test.each<[string, string, readonly string[], readonly string[], bigint]>([
    ['an unused pool', '10.0.0.0/24', [], ['10.0.0.0-10.0.0.255'], 256n],
    ['a pool with host bits', '10.0.0.77/24', ['10.0.0.0'], ['10.0.0.1-10.0.0.255'], 255n],
    ['a pool that is taken as a whole', '10.0.0.0/24', ['10.0.0.0/24'], [], 0n],
    ['a pool in a wider taken one', '10.0.0.0/24', ['10.0.0.0/8'], [], 0n],
    ['a pool taken in halves', '10.0.0.0/24', ['10.0.0.128/25', '10.0.0.0/25'], [], 0n],
    [
      'a pool with overlapping and adjacent taken ones',
      '10.0.0.0/24',
      ['10.0.0.4/30', '10.0.0.0/29', '10.0.0.8/29'],
      ['10.0.0.16-10.0.0.255'],
      240n
    ],
    [
      'a pool with taken ones outside',
      '10.0.1.0/24',
      ['10.0.0.0/24', '10.0.2.0/24', '192.168.0.1'],
      ['10.0.1.0-10.0.1.255'],
      256n
    ],
    [
      'a pool whose ends are taken from outside',
      '10.0.1.0/24',
      ['10.0.0.0-10.0.1.3', '10.0.1.252-10.0.9.0'],
      ['10.0.1.4-10.0.1.251'],
      248n
    ],
    ['a /31', '10.0.0.0/31', ['10.0.0.0'], ['10.0.0.1'], 1n],
    ['a /32', '10.0.0.1/32', [], ['10.0.0.1'], 1n],
    ['a taken /32', '10.0.0.1/32', ['10.0.0.1'], [], 0n],
    [
      'everything',
      '0.0.0.0/0',
      ['0.0.0.0', '255.255.255.255', '10.0.0.0/8'],
      ['0.0.0.1-9.255.255.255', '11.0.0.0-255.255.255.254'],
      (1n << 32n) - 2n - (1n << 24n)
    ],
    [
      'an IPv6 /64',
      'fd00::/64',
      ['fd00::', 'fd00::1:0/112'],
      ['fd00::1-fd00::ffff', 'fd00::2:0-fd00::ffff:ffff:ffff:ffff'],
      (1n << 64n) - 65537n
    ],
    ['a /127', 'fd00::2/127', ['fd00::3'], ['fd00::2'], 1n],
    ['a /128', 'fd00::2/128', ['fd00::3'], ['fd00::2'], 1n],
    ['everything of IPv6', '::/0', ['::/1'], ['8000::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'], 1n << 127n]
  ])('%s', (_, pool, taken, expected, number) => {
    const left = free(parse(pool), taken.length === 0 ? NOTHING[parse(pool).family] : space(...taken))
    expect(shown(left)).toEqual(expected)
    expect(count(left)).toBe(number)
  })
})

describe('the addresses that a host can still have in', () => {
  test.each<[string, readonly string[], readonly string[]]>([
    ['10.0.0.0/29', [], ['10.0.0.1-10.0.0.6']],
    ['10.0.0.5/29', ['10.0.0.1', '10.0.0.4'], ['10.0.0.2-10.0.0.3', '10.0.0.5-10.0.0.6']],
    ['10.0.0.0/30', ['10.0.0.1'], ['10.0.0.2']],
    ['10.0.0.0/30', ['10.0.0.1', '10.0.0.2'], []],
    // RFC 3021
    ['10.0.0.0/31', [], ['10.0.0.0-10.0.0.1']],
    ['10.0.0.0/31', ['10.0.0.1'], ['10.0.0.0']],
    ['10.0.0.7/32', [], ['10.0.0.7']],
    ['10.0.0.7/32', ['10.0.0.7'], []],
    ['0.0.0.0/0', [], ['0.0.0.1-255.255.255.254']],
    ['255.255.255.254/31', [], ['255.255.255.254-255.255.255.255']],
    ['fd00::/64', ['fd00::1'], ['fd00::2-fd00::ffff:ffff:ffff:ffff']],
    ['fd00::/126', [], ['fd00::1-fd00::3']],
    // RFC 6164
    ['fd00::/127', [], ['fd00::-fd00::1']],
    ['fd00::/127', ['fd00::'], ['fd00::1']],
    ['fd00::/128', [], ['fd00::']],
    ['::/0', [], ['::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff']]
  ])('%s without %j', (network, taken, expected) => {
    const { family } = parse(network)
    expect(shown(freeHosts(parse(network), taken.length === 0 ? NOTHING[family] : space(...taken)))).toEqual(
      expected
    )
  })
})

describe('the shortest list of prefixes of', () => {
  test.each<[string, readonly string[]]>([
    [EVERYTHING4, ['0.0.0.0/0']],
    [EVERYTHING6, ['::/0']],
    ['10.0.0.7', ['10.0.0.7/32']],
    ['10.0.0.0-10.0.0.1', ['10.0.0.0/31']],
    ['10.0.0.1-10.0.0.2', ['10.0.0.1/32', '10.0.0.2/32']],
    [
      '10.0.0.1-10.0.0.14',
      ['10.0.0.1/32', '10.0.0.2/31', '10.0.0.4/30', '10.0.0.8/30', '10.0.0.12/31', '10.0.0.14/32']
    ],
    ['10.0.0.0-10.0.2.255', ['10.0.0.0/23', '10.0.2.0/24']],
    ['127.255.255.255-128.0.0.0', ['127.255.255.255/32', '128.0.0.0/32']],
    ['255.255.255.253-255.255.255.255', ['255.255.255.253/32', '255.255.255.254/31']],
    ['fd00::1-fd00::2', ['fd00::1/128', 'fd00::2/128']],
    ['::-::2', ['::/127', '::2/128']],
    ['::-::300:0:4', ['::/87', '::200:0:0/88', '::300:0:0/126', '::300:0:4/128']]
  ])('%s', (range, expected) => {
    expect(prefixes(space(range))).toEqual(expected)
  })

  test('everything but one address: one of each size', () => {
    const list = prefixes(subtract(space('::/0'), space('::')))
    expect([list.length, list[0], list.at(-1)]).toEqual([128, '::1/128', '8000::/1'])
    expect(prefixes(subtract(space('0.0.0.0/0'), space('255.255.255.255')))).toHaveLength(32)
  })

  test('neighbours and nested ones is the wider prefix', () => {
    expect(
      prefixes(space('10.0.3.0/24', '10.0.0.0/24', '10.0.2.0/24', '10.0.1.0/25', '10.0.1.0/24'))
    ).toEqual(['10.0.0.0/22'])
  })
})

describe('the first free address from one on', () => {
  test.each<[string, string | undefined]>([
    ['0.0.0.0', '10.0.0.4'],
    ['10.0.0.4', '10.0.0.4'],
    ['10.0.0.6', '10.0.0.6'],
    ['10.0.0.8', '10.0.0.20'],
    ['10.0.0.20', '10.0.0.20'],
    ['10.0.0.21', undefined],
    ['255.255.255.255', undefined]
  ])('%s', (from, expected) => {
    expect(text(firstFrom(space('10.0.0.4/30', '10.0.0.20'), parse(from)))).toBe(expected)
  })
})

describe('a block', () => {
  // .1 – .15 and .64 – .127 and .136 – .139
  const holes = space('10.0.0.1-10.0.0.15', '10.0.0.64/26', '10.0.0.136/30')

  test.each<[number, string | undefined, string | undefined, bigint]>([
    // length, the lowest, the one that fits best, how many
    [32, '10.0.0.1/32', '10.0.0.1/32', 83n],
    [31, '10.0.0.2/31', '10.0.0.2/31', 41n],
    [30, '10.0.0.4/30', '10.0.0.4/30', 20n],
    [29, '10.0.0.8/29', '10.0.0.8/29', 9n],
    [28, '10.0.0.64/28', '10.0.0.64/28', 4n],
    [26, '10.0.0.64/26', '10.0.0.64/26', 1n],
    [25, undefined, undefined, 0n],
    [0, undefined, undefined, 0n]
  ])('of /%i', (bits, lowest, best, number) => {
    expect([
      textOf(lowestBlock(holes, bits)),
      textOf(bestBlock(holes, bits)),
      blockCount(holes, bits)
    ]).toEqual([lowest, best, number])
  })

  test('that fits best leaves a large hole below it alone', () => {
    const holes = space('10.0.0.0/24', '10.0.1.128/25')
    expect(textOf(lowestBlock(holes, 26))).toBe('10.0.0.0/26')
    expect(textOf(bestBlock(holes, 26))).toBe('10.0.1.128/26')
  })

  test('that fits best leaves the large half of its own range alone', () => {
    expect(textOf(bestBlock(space('10.0.0.0-10.0.0.5'), 31))).toBe('10.0.0.4/31')
    expect(textOf(bestBlock(space('fd00::-fd00::5'), 127))).toBe('fd00::4/127')
  })

  test('of everything', () => {
    expect(textOf(lowestBlock(space('0.0.0.0/0'), 0))).toBe('0.0.0.0/0')
    expect(textOf(bestBlock(space('::/0'), 0))).toBe('::/0')
    expect(textOf(bestBlock(space('::/0'), 128))).toBe('::/128')
    expect([blockCount(space('::/0'), 0), blockCount(space('::/0'), 128)]).toEqual([1n, 1n << 128n])
  })

  test('that is the largest: the lowest of the widest', () => {
    expect(textOf(largestBlock(holes))).toBe('10.0.0.64/26')
    expect(textOf(largestBlock(space('10.0.0.7', '10.0.0.1-10.0.0.2')))).toBe('10.0.0.1/32')
    expect(textOf(largestBlock(space('10.0.0.3-10.0.0.8')))).toBe('10.0.0.4/30')
    expect(textOf(largestBlock(space('::/0')))).toBe('::/0')
    expect(largestBlock(NOTHING[4])).toBeUndefined()
  })

  test('of nothing', () => {
    expect([lowestBlock(NOTHING[6], 128), bestBlock(NOTHING[6], 128), blockCount(NOTHING[6], 128)]).toEqual([
      undefined,
      undefined,
      0n
    ])
  })
})

describe('a network', () => {
  test.each<[string, readonly string[], string | undefined]>([
    ['10.0.0.0/29', ['10.0.0.0/24'], '10.0.0.0/24'],
    ['10.0.0.9/29', ['10.0.0.8-10.0.0.200'], '10.0.0.8/29'],
    ['10.0.0.8/29', ['10.0.0.0-10.0.0.100'], '10.0.0.0/26'],
    ['10.0.0.0/24', ['10.0.0.0-10.0.0.254'], undefined],
    ['10.0.0.1/32', ['0.0.0.0/0'], '0.0.0.0/0'],
    ['fd00::/64', ['fd00::/56'], 'fd00::/56'],
    ['fd00:0:0:1::/64', ['fd00::/63', 'fd00:0:0:3::/64'], 'fd00::/63']
  ])('%s in %j can grow to %s', (prefix, room, expected) => {
    expect(textOf(widestAround(space(...room), parse(prefix)))).toBe(expected)
  })

  test.each<[readonly string[], string, string]>([
    // addresses, the prefix around them, the network in which they are hosts
    [['10.0.0.1'], '10.0.0.1/32', '10.0.0.1/32'],
    [['10.0.0.2', '10.0.0.3'], '10.0.0.2/31', '10.0.0.2/31'],
    [['10.0.0.1', '10.0.0.2'], '10.0.0.0/30', '10.0.0.0/30'],
    [['10.0.0.1', '10.0.0.3'], '10.0.0.0/30', '10.0.0.0/29'],
    [['10.0.0.4', '10.0.0.6'], '10.0.0.4/30', '10.0.0.0/29'],
    [['10.0.0.1', '10.0.0.254'], '10.0.0.0/24', '10.0.0.0/24'],
    [['10.0.0.1', '10.0.0.255'], '10.0.0.0/24', '10.0.0.0/23'],
    [['127.0.0.1', '128.0.0.1'], '0.0.0.0/0', '0.0.0.0/0'],
    [['fd00::2', 'fd00::3'], 'fd00::2/127', 'fd00::2/127'],
    [['fd00::1', 'fd00::3'], 'fd00::/126', 'fd00::/126'],
    [['fd00::4', 'fd00::6'], 'fd00::4/126', 'fd00::/125']
  ])('around %j', (hosts, around, network) => {
    expect([textOf(enclosing(space(...hosts))), textOf(networkOf(space(...hosts)))]).toEqual([
      around,
      network
    ])
  })

  test('around nothing, or around the first and the last address of all', () => {
    expect([enclosing(NOTHING[4]), networkOf(NOTHING[6])]).toEqual([undefined, undefined])
    expect(networkOf(space('0.0.0.0', '255.255.255.255'))).toBeUndefined()
    expect(networkOf(space('::', 'ffff::'))).toBeUndefined()
  })
})

describe('an allocator', () => {
  test('hands out addresses from the lowest on, past the taken ones', () => {
    const { address, left } = allocator(
      freeHosts(parse('10.0.0.0/29'), space('10.0.0.1', '10.0.0.3-10.0.0.4'))
    )
    expect([address(), address(), address(), address(), address()].map(text)).toEqual([
      '10.0.0.2',
      '10.0.0.5',
      '10.0.0.6',
      undefined,
      undefined
    ])
    expect(left()).toEqual(NOTHING[4])
  })

  test.each([
    ['10.0.0.0/31', ['10.0.0.0', '10.0.0.1', undefined]],
    ['10.0.0.9/32', ['10.0.0.9', undefined]],
    ['10.0.0.0/30', ['10.0.0.1', '10.0.0.2', undefined]],
    ['fd00::/126', ['fd00::1', 'fd00::2', 'fd00::3', undefined]],
    ['fd00::/127', ['fd00::', 'fd00::1', undefined]],
    ['fd00::9/128', ['fd00::9', undefined]]
  ])('gives the hosts of %s what they can have', (network, expected) => {
    const { address } = allocator(freeHosts(parse(network), NOTHING[parse(network).family]))
    expect(expected.map(() => text(address()))).toEqual(expected)
  })

  test('hands out blocks of different lengths without losing the gaps', () => {
    const { lowest, best, left } = allocator(free(parse('10.0.0.0/24'), space('10.0.0.0-10.0.0.2')))
    expect(
      [lowest(26), lowest(32), lowest(30), lowest(28), best(27), best(27), lowest(25)].map(textOf)
    ).toEqual([
      '10.0.0.64/26',
      '10.0.0.3/32',
      '10.0.0.4/30',
      '10.0.0.16/28',
      '10.0.0.32/27',
      '10.0.0.128/27',
      undefined
    ])
    expect(shown(left())).toEqual(['10.0.0.8-10.0.0.15', '10.0.0.160-10.0.0.255'])
  })

  test('splits everything in halves', () => {
    for (const family of [4, 6] as const) {
      const { lowest, address } = allocator(spaceOfPrefixes(family, [{ family, value: 0n, bits: 0 }]))
      const bits = Array.from({ length: width(family) }, (_, i) => i + 1)
      expect(bits.map(bits => lowest(bits)?.bits)).toEqual(bits)
      expect(address()).toEqual({ family, value: size(family, 0) - 1n })
      expect([address(), lowest(0)]).toEqual([undefined, undefined])
    }
  })

  test('of nothing has nothing', () => {
    const { lowest, best, address, left } = allocator(NOTHING[6])
    expect([lowest(64), best(64), address(), left()]).toEqual([undefined, undefined, undefined, NOTHING[6]])
  })
})

describe('VLSM', () => {
  const needs = (...hosts: readonly number[]): { name: string; hosts: bigint }[] =>
    hosts.map((hosts, i) => ({ name: `n${i}`, hosts: BigInt(hosts) }))
  const solve = (pool: string, taken: readonly string[], hosts: readonly number[]): unknown => {
    const { family } = parse(pool)
    const { placed, unplaced, bits } = vlsm(
      parse(pool),
      taken.length === 0 ? NOTHING[family] : space(...taken),
      needs(...hosts)
    )
    return [
      placed.map(({ item, prefix }) => `${item.name} ${formatPrefix(prefix)}`),
      unplaced.map(({ name }) => name),
      bits
    ]
  }

  test.each<
    [string, readonly string[], readonly number[], readonly string[], readonly string[], number | undefined]
  >([
    ['10.0.0.0/24', [], [], [], [], 24],
    [
      '10.0.0.0/24',
      [],
      [10, 100, 2, 50],
      ['n1 10.0.0.0/25', 'n3 10.0.0.128/26', 'n0 10.0.0.192/28', 'n2 10.0.0.208/31'],
      [],
      24
    ],
    // Equal ones keep their order.
    ['10.0.0.0/24', [], [60, 61, 62], ['n0 10.0.0.0/26', 'n1 10.0.0.64/26', 'n2 10.0.0.128/26'], [], 24],
    // The small hole is used first, so that the half stays whole.
    ['10.0.0.0/24', ['10.0.0.0/26'], [30, 100], ['n1 10.0.0.128/25', 'n0 10.0.0.64/27'], [], 24],
    // Wherever it lies: .0/25, .128/26 and .224/27 are free.
    ['10.0.0.0/24', ['10.0.0.192/27'], [30], ['n0 10.0.0.224/27'], [], 24],
    // Nearly all of it is free, but no half.
    ['10.0.0.0/24', ['10.0.0.0', '10.0.0.128'], [100], [], ['n0'], 23],
    // Its neighbour is taken too.
    ['10.0.0.0/24', ['10.0.0.0', '10.0.0.128', '10.0.1.0/24'], [100], [], ['n0'], 22],
    ['10.0.0.0/24', [], [254], ['n0 10.0.0.0/24'], [], 24],
    ['10.0.0.0/24', [], [255], [], ['n0'], 23],
    ['10.0.0.0/24', [], [254, 1], ['n0 10.0.0.0/24'], ['n1'], 23],
    ['10.0.0.0/31', [], [1, 1, 1], ['n0 10.0.0.0/32', 'n1 10.0.0.1/32'], ['n2'], 30],
    ['0.0.0.0/0', [], [4_294_967_294], ['n0 0.0.0.0/0'], [], 0],
    ['0.0.0.0/0', [], [4_294_967_294, 1], ['n0 0.0.0.0/0'], ['n1'], undefined],
    ['10.0.0.0/8', [], [4_294_967_295, 1], ['n1 10.0.0.0/32'], ['n0'], undefined],
    ['fd00::/64', [], [3, 4, 2], ['n1 fd00::/125', 'n0 fd00::8/126', 'n2 fd00::c/127'], [], 64],
    ['fd00::/127', [], [3], [], ['n0'], 126]
  ])('%s without %j for %j', (pool, taken, hosts, placed, unplaced, bits) => {
    expect(solve(pool, taken, hosts)).toEqual([placed, unplaced, bits])
  })

  test.each<[readonly number[], number | undefined, number | undefined]>([
    [[], 32, 128],
    [[1], 32, 128],
    [[2], 31, 127],
    [[3], 29, 126],
    [[100, 50, 10, 2], 24, 120],
    [[254, 254], 23, 119],
    [[254, 1], 23, 119],
    [[4_294_967_294], 0, 96],
    [[4_294_967_294, 1], undefined, 95],
    [[4_294_967_295], undefined, 96]
  ])('the smallest prefix for %j hosts', (hosts, four, six) => {
    expect([bitsForNeeds(4, needs(...hosts)), bitsForNeeds(6, needs(...hosts))]).toEqual([four, six])
  })

  test('two halves of IPv4 need all of it, and what has no length comes before the widest', () => {
    const halves = pack(parse('10.0.0.0/1'), spaceOfRanges(4, []), [1, 1], bits => bits)
    expect(halves.bits).toBe(0)
    for (const lengths of [
      [0, undefined, 1],
      [undefined, 1, 0]
    ])
      expect(pack(parse('0.0.0.0/0'), space('192.0.2.1'), lengths, bits => bits).unplaced).toEqual([
        undefined,
        0
      ])
  })

  test('the smallest prefix for lengths', () => {
    expect([bitsForBlocks(6, [0]), bitsForBlocks(6, [1, 1]), bitsForBlocks(6, [0, 128])]).toEqual([
      0,
      0,
      undefined
    ])
    expect([bitsForBlocks(6, [64, 64, 64]), bitsForBlocks(4, [32, 32, 32, 32, 32])]).toEqual([62, 29])
  })
})

const windowed = <T>(of: (window: Window) => fc.Arbitrary<T>): fc.Arbitrary<[Window, T]> =>
  window.chain(window => fc.tuple(fc.constant(window), of(window)))

/** Every block of a window that is free as a whole, address by address. */
const blocksOf = ({ family, base }: Window, isFree: (value: bigint) => boolean, bits: number): Prefix[] => {
  const step = size(family, bits)
  const blocks: Prefix[] = []
  for (let value = base; value < base + WINDOW; value += step) {
    let whole = true
    for (let next = value; next < value + step && whole; next += 1n) whole = isFree(next)
    if (whole) blocks.push({ family, value, bits })
  }
  return blocks
}

/** The lengths of blocks that a window can have, the widest first. */
const lengthsOf = ({ family }: Window): number[] => Array.from({ length: 9 }, (_, i) => width(family) - 8 + i)

/** The free prefixes of a window that lie in no wider one. */
const holesOf = (window: Window, isFree: (value: bigint) => boolean): Prefix[] => {
  const holes: Prefix[] = []
  for (const bits of lengthsOf(window))
    for (const block of blocksOf(window, isFree, bits))
      if (!holes.some(hole => first(hole).value <= block.value && block.value <= last(hole).value))
        holes.push(block)
  return holes
}

/** Whether there is a way to place blocks of these lengths, by trying all. */
const canPlace = (
  window: Window,
  isFree: (value: bigint) => boolean,
  lengths: readonly number[]
): boolean => {
  const [bits, ...rest] = lengths
  if (bits === undefined) return true
  return blocksOf(window, isFree, bits).some(block =>
    canPlace(window, value => isFree(value) && (value < block.value || value > last(block).value), rest)
  )
}

const within = ({ base }: Window, ranges: readonly Range[]): Range[] =>
  ranges.flatMap(({ first, last }) => {
    const low = first < base ? base : first
    const high = last >= base + WINDOW ? base + WINDOW - 1n : last
    return low <= high ? [{ first: low, last: high }] : []
  })

describe('address by address', () => {
  test('a space is its addresses, in order and with gaps between the ranges', () => {
    fc.assert(
      fc.property(windowed(rangesIn), ([window, ranges]) => {
        const made = spaceOfRanges(window.family, within(window, ranges))
        const values = valuesOf(window).filter(value => isIn(ranges, value))
        expect(Array.from(addrsOf(made), ({ value }) => value)).toEqual(values)
        expect(count(made)).toBe(BigInt(values.length))
        const found = valuesOf(window).filter(value => includes(made, { family: window.family, value }))
        expect(found).toEqual(values)
        for (const [i, range] of made.ranges.entries()) {
          expect(range.first).toBeLessThanOrEqual(range.last)
          const before = made.ranges[i - 1]
          if (before !== undefined) expect(range.first).toBeGreaterThan(before.last + 1n)
        }
        // The same set in another order, in pieces, is the same value.
        const pieces = values.map(value => ({ first: value, last: value })).toReversed()
        expect(spaceOfRanges(window.family, pieces)).toEqual(made)
      }),
      { numRuns: 150 }
    )
  })

  test('union, difference and intersection', () => {
    fc.assert(
      fc.property(
        windowed(window => fc.tuple(rangesIn(window), rangesIn(window))),
        ([window, [a, b]]) => {
          const [left, right] = [spaceOfRanges(window.family, a), spaceOfRanges(window.family, b)]
          const both: [Space, (value: bigint) => boolean][] = [
            [union(left, right), value => isIn(a, value) || isIn(b, value)],
            [subtract(left, right), value => isIn(a, value) && !isIn(b, value)],
            [intersect(left, right), value => isIn(a, value) && isIn(b, value)]
          ]
          for (const [result, holds] of both) {
            const found = valuesOf(window).filter(value => includes(result, { family: window.family, value }))
            expect(found).toEqual(valuesOf(window).filter(holds))
            // It is merged already.
            expect(spaceOfRanges(window.family, result.ranges)).toEqual(result)
          }
        }
      ),
      { numRuns: 150 }
    )
  })

  test('laws of sets, in all of a family', () => {
    fc.assert(
      fc.property(
        windowed(window => fc.tuple(rangesIn(window), rangesIn(window), rangesIn(window))),
        ([{ family }, texts]) => {
          const [a, b, c] = texts.map(ranges => spaceOfRanges(family, ranges)) as [Space, Space, Space]
          const all = spaceOfPrefixes(family, [{ family, value: 0n, bits: 0 }])
          const not = (space: Space): Space => subtract(all, space)
          expect(not(not(a))).toEqual(a)
          expect(union(a, b)).toEqual(union(b, a))
          expect(intersect(a, b)).toEqual(intersect(b, a))
          expect(not(union(a, b))).toEqual(intersect(not(a), not(b)))
          expect(intersect(a, union(b, c))).toEqual(union(intersect(a, b), intersect(a, c)))
          expect(union(subtract(a, b), intersect(a, b))).toEqual(a)
          expect(count(a) + count(b)).toBe(count(union(a, b)) + count(intersect(a, b)))
          expect(count(a) + count(not(a))).toBe(size(family, 0))
        }
      ),
      { numRuns: 150 }
    )
  })

  test('the prefixes of a space are the free blocks that lie in no wider one', () => {
    fc.assert(
      fc.property(windowed(rangesIn), ([window, ranges]) => {
        const list = Array.from(prefixesOf(spaceOfRanges(window.family, within(window, ranges))))
        const holes = holesOf(window, value => isIn(ranges, value))
        expect(list).toEqual(holes.sort((a, b) => (a.value < b.value ? -1 : 1)))
        expect(spaceOfPrefixes(window.family, list)).toEqual(
          spaceOfRanges(window.family, within(window, ranges))
        )
      }),
      { numRuns: 100 }
    )
  })

  test('the lowest, the best, the largest block and their number', () => {
    fc.assert(
      fc.property(windowed(rangesIn), ([window, ranges]) => {
        const inside = spaceOfRanges(window.family, within(window, ranges))
        const isFree = (value: bigint): boolean => isIn(ranges, value)
        const holes = holesOf(window, isFree).sort((a, b) => b.bits - a.bits || (a.value < b.value ? -1 : 1))
        for (const bits of lengthsOf(window)) {
          const blocks = blocksOf(window, isFree, bits)
          expect(blockCount(inside, bits)).toBe(BigInt(blocks.length))
          expect(lowestBlock(inside, bits)).toEqual(blocks[0])
          const hole = holes.find(hole => hole.bits <= bits)
          expect(bestBlock(inside, bits)).toEqual(hole && { ...hole, bits })
        }
        const widest = holes.at(-1)?.bits
        expect(largestBlock(inside)).toEqual(holes.find(({ bits }) => bits === widest))
      }),
      { numRuns: 100 }
    )
  })

  test('the next address, the room around a network, the network around addresses', () => {
    fc.assert(
      fc.property(
        windowed(window => fc.tuple(rangesIn(window, 4), prefixIn(window), addrIn(window))),
        ([window, [ranges, prefix, addr]]) => {
          const { family } = window
          const made = spaceOfRanges(family, within(window, ranges))
          const values = valuesOf(window).filter(value => isIn(ranges, value))
          expect(firstFrom(made, addr)?.value).toBe(values.find(value => value >= addr.value))
          const supers = lengthsOf(window)
            .filter(bits => bits <= prefix.bits)
            .map(bits => masked({ ...prefix, bits }))
          const inSpace = (wider: Prefix): boolean =>
            valuesOf(window).every(
              value => value < wider.value || value > last(wider).value || isIn(ranges, value)
            )
          expect(widestAround(made, prefix)).toEqual(supers.find(inSpace))
          // Networks about as wide as the window do, or none does that the test can look at.
          const tried = lengthsOf(window)
            .toReversed()
            .map(bits => masked({ family, value: values[0] ?? 0n, bits }))
          const around = tried.find(tried =>
            values.every(value => value >= tried.value && value <= last(tried).value)
          )
          expect(enclosing(made)).toEqual(values.length === 0 ? undefined : around)
          const network = tried.find(tried => {
            return values.every(value => isHost(tried, value))
          })
          if (values.length > 0 && network !== undefined) expect(networkOf(made)).toEqual(network)
          if (network === undefined) expect(networkOf(made)?.bits ?? -1).toBeLessThan(width(family) - 8)
        }
      ),
      { numRuns: 150 }
    )
  })

  test('what hosts can have: what is in the network, not taken, and no address of the network itself', () => {
    fc.assert(
      fc.property(
        windowed(window => fc.tuple(prefixIn(window), rangesIn(window))),
        ([window, [network, taken]]) => {
          const expected = valuesOf(window).filter(value => isHost(network, value) && !isIn(taken, value))
          const hosts = freeHosts(network, spaceOfRanges(window.family, taken))
          expect(Array.from(addrsOf(hosts), ({ value }) => value)).toEqual(expected)
          const { address } = allocator(hosts)
          expect(Array.from({ length: expected.length + 1 }, () => address()?.value)).toEqual([
            ...expected,
            undefined
          ])
          if (taken.length === 0) expect(count(hosts)).toBe(usable(network.family, network.bits))
        }
      ),
      { numRuns: 200 }
    )
  })
})

/** Whether a host can have an address of a network, in the words of the RFCs. */
const isHost = (network: Prefix, value: bigint): boolean => {
  const [low, high] = [first(network).value, last(network).value]
  if (value < low || value > high) return false
  if (network.family === 4) return network.bits >= 31 || (value !== low && value !== high)
  return network.bits >= 127 || value !== low
}

/** A request to an allocator: how many bits its block leaves free, and whether it should fit best. */
const requests = fc.array(fc.tuple(fc.oneof(fc.nat(8), fc.nat(3)), fc.boolean()), { maxLength: 40 })

describe('an allocator, address by address', () => {
  test('gives what looking at every block gives, and nothing twice', () => {
    fc.assert(
      fc.property(
        windowed(window => fc.tuple(rangesIn(window), requests)),
        ([window, [taken, requests]]) => {
          const { family, base } = window
          const pool = { family, value: base, bits: width(family) - 8 }
          const given = new Set<bigint>()
          const isFree = (value: bigint): boolean => !isIn(taken, value) && !given.has(value)
          const start = free(pool, spaceOfRanges(family, taken))
          const { lowest, best, left } = allocator(start)
          for (const [host, well] of requests) {
            const bits = width(family) - host
            const [block] = blocksOf(window, isFree, bits)
            const hole = holesOf(window, isFree)
              .sort((a, b) => b.bits - a.bits || (a.value < b.value ? -1 : 1))
              .find(hole => hole.bits <= bits)
            const expected = well ? hole && { ...hole, bits } : block
            expect(well ? best(bits) : lowest(bits)).toEqual(expected)
            if (expected === undefined) continue
            for (let { value } = expected; value <= last(expected).value; value += 1n) given.add(value)
          }
          expect(Array.from(addrsOf(left()), ({ value }) => value)).toEqual(valuesOf(window).filter(isFree))
        }
      ),
      { numRuns: 100 }
    )
  })

  test('gives as many as are free, whatever the length', () => {
    fc.assert(
      fc.property(
        windowed(window => fc.tuple(prefixIn(window), rangesIn(window), fc.nat(4))),
        ([{ family }, [pool, taken, host]]) => {
          const bits = width(family) - host
          const left = free(pool, spaceOfRanges(family, taken))
          for (const way of ['lowest', 'best'] as const) {
            const next = allocator(left)[way]
            const given: Prefix[] = []
            for (let block = next(bits); block !== undefined; block = next(bits)) given.push(block)
            expect(BigInt(given.length)).toBe(blockCount(left, bits))
            // Apart from each other, and free.
            expect(count(intersect(spaceOfPrefixes(family, given), left))).toBe(
              BigInt(given.length) * size(family, bits)
            )
          }
        }
      ),
      { numRuns: 150 }
    )
  })

  test('its first answers do not depend on what is asked later', () => {
    fc.assert(
      fc.property(
        windowed(window => fc.tuple(rangesIn(window), requests, requests)),
        ([{ family }, [ranges, early, late]]) => {
          const space = spaceOfRanges(family, ranges)
          const answers = (requests: readonly (readonly [number, boolean])[]): (Prefix | undefined)[] => {
            const { lowest, best } = allocator(space)
            return requests.map(([host, well]) => (well ? best : lowest)(width(family) - host))
          }
          expect(answers([...early, ...late]).slice(0, early.length)).toEqual(answers(early))
        }
      ),
      { numRuns: 100 }
    )
  })
})

/** A few blocks that fill much of what is free in a window, so that whether they have room is a question. */
const lengths = (family: Family): fc.Arbitrary<number[]> =>
  fc
    .array(fc.integer({ min: 3, max: 7 }), { minLength: 1, maxLength: 5 })
    .map(hosts => hosts.map(host => width(family) - host))

const puzzles = windowed(window =>
  fc.tuple(
    fc
      .array(addrIn(window), { maxLength: 6 })
      .map(addrs => addrs.map(({ value }) => ({ first: value, last: value }))),
    lengths(window.family)
  )
)

describe('packing', () => {
  test('has room exactly when trying all places finds some', () => {
    const seen = { room: 0, none: 0 }
    fc.assert(
      fc.property(puzzles, ([window, [taken, lengths]]) => {
        const { family, base } = window
        const pool = { family, value: base, bits: width(family) - 8 }
        const space = spaceOfRanges(family, taken)
        const possible = canPlace(
          window,
          value => !isIn(taken, value),
          lengths.toSorted((a, b) => a - b)
        )
        seen[possible ? 'room' : 'none'] += 1
        expect(hasRoom(free(pool, space), lengths)).toBe(possible)
        const { placed, unplaced, bits } = pack(pool, space, lengths, bits => bits)
        expect(unplaced.length === 0).toBe(possible)
        expect(bits === pool.bits).toBe(possible)
        expect(placed.length + unplaced.length).toBe(lengths.length)
      }),
      { numRuns: 300 }
    )
    expect(Math.min(seen.room, seen.none)).toBeGreaterThan(10)
  })

  test('in any order, best fit refuses only what could not have been placed', () => {
    fc.assert(
      fc.property(puzzles, ([window, [taken, lengths]]) => {
        const { family, base } = window
        const { best } = allocator(
          free({ family, value: base, bits: width(family) - 8 }, spaceOfRanges(family, taken))
        )
        const refused = lengths.findIndex(bits => best(bits) === undefined)
        if (refused < 0) return
        const asked = lengths.slice(0, refused + 1)
        expect(
          canPlace(
            window,
            value => !isIn(taken, value),
            asked.toSorted((a, b) => a - b)
          )
        ).toBe(false)
      }),
      { numRuns: 300 }
    )
  })

  test('the prefix for blocks alone has room for them, and no longer one has', () => {
    fc.assert(
      fc.property(
        window.chain(({ family }) => fc.tuple(fc.constant(family), lengths(family))),
        ([family, lengths]) => {
          const bits = bitsForBlocks(family, lengths) ?? -1
          const fits = (bits: number): boolean =>
            pack({ family, value: 0n, bits }, { family, ranges: [] }, lengths, bits => bits).unplaced
              .length === 0
          expect([fits(bits), bits < width(family) && fits(bits + 1)]).toEqual([true, false])
        }
      )
    )
  })

  const subnets = windowed(window =>
    fc.tuple(
      prefixIn(window),
      rangesIn(window, 8),
      fc.array(fc.record({ name: fc.string({ maxLength: 3 }), hosts: fc.bigInt({ min: 0n, max: 70n }) }), {
        maxLength: 8
      })
    )
  )

  test('VLSM: aligned, apart, free, in the pool, as narrow as possible, nobody forgotten', () => {
    fc.assert(
      fc.property(subnets, ([{ family }, [pool, taken, needs]]) => {
        const left = free(pool, spaceOfRanges(family, taken))
        const { placed, unplaced } = vlsm(pool, spaceOfRanges(family, taken), needs)
        expect([...placed.map(({ item }) => item), ...unplaced].sort(byPlace(needs))).toEqual(needs)
        for (const { item, prefix } of placed) {
          expect(masked(prefix)).toEqual(prefix)
          expect(prefix.bits).toBe(bitsFor(family, item.hosts))
          expect(usable(family, prefix.bits)).toBeGreaterThanOrEqual(item.hosts)
          expect(count(intersect(spaceOfPrefixes(family, [prefix]), left))).toBe(size(family, prefix.bits))
        }
        const sum = placed.reduce((sum, { prefix }) => sum + size(family, prefix.bits), 0n)
        expect(
          count(
            spaceOfPrefixes(
              family,
              placed.map(({ prefix }) => prefix)
            )
          )
        ).toBe(sum)
        const lengths = placed.map(({ prefix }) => prefix.bits)
        expect(lengths).toEqual(lengths.toSorted((a, b) => a - b))
      }),
      { numRuns: 200 }
    )
  })

  test('VLSM: a pool of the length that it names has room for all, and one bit narrower has not', () => {
    fc.assert(
      fc.property(subnets, ([{ family }, [pool, ranges, needs]]) => {
        const taken = spaceOfRanges(family, ranges)
        const { bits = -1, unplaced } = vlsm(pool, taken, needs)
        expect(bits).toBeGreaterThanOrEqual(0)
        expect(vlsm({ ...pool, bits }, taken, needs).unplaced).toEqual([])
        if (unplaced.length > 0)
          expect(vlsm({ ...pool, bits: bits + 1 }, taken, needs).unplaced).not.toEqual([])
        else expect(bits).toBe(pool.bits)
      }),
      { numRuns: 200 }
    )
  })
})

const byPlace =
  <T>(items: readonly T[]) =>
  (a: T, b: T): number =>
    items.indexOf(a) - items.indexOf(b)

// Not where the program is changed on purpose (scripts/mutate.mjs): there everything takes longer.
describe.skipIf('STRYKER_MUTATOR_WORKER' in process.env)('many', () => {
  const N = 100_000
  /** In microseconds of the processor: others may work beside. What looks at all for each takes minutes. */
  const LIMIT = 5_000_000
  const timed = <T>(work: () => T): T => {
    const start = process.cpuUsage()
    const result = work()
    const { user, system } = process.cpuUsage(start)
    expect(user + system).toBeLessThan(LIMIT)
    return result
  }

  test('100,000 hosts of a /12, of which 100,000 addresses are taken, are the free ones from the lowest on', () => {
    const pool = parse('10.0.0.0/12')
    const next = random(1)
    const taken = Array.from({ length: N }, () => ({
      family: 4 as const,
      value: pool.value + next(1n << 20n)
    }))
    const given = timed(() => {
      const { address } = allocator(freeHosts(pool, spaceOfAddrs(4, taken)))
      return Array.from({ length: N }, () => address()?.value)
    })
    const gone = new Set(taken.map(({ value }) => value))
    const expected: bigint[] = []
    for (let value = pool.value + 1n; expected.length < N; value += 1n)
      if (!gone.has(value)) expected.push(value)
    expect(given).toEqual(expected)
  })

  test('a /12 is handed out to the last address', () => {
    const pool = parse('10.0.0.0/12')
    const taken = space('10.0.0.1', '10.7.0.0/16', '10.15.255.254')
    const given = timed(() => {
      const { address } = allocator(freeHosts(pool, taken))
      let given = 0
      while (address() !== undefined) given += 1
      return given
    })
    expect(given).toBe((1 << 20) - 2 - 1 - (1 << 16) - 1)
  })

  test.each([
    ['10.0.0.0/8', 'best', 28],
    ['fd00::/64', 'best', 124],
    ['fd00::/8', 'lowest', 64]
  ] as const)('100,000 blocks of %s among 100,000 taken addresses, %s fit', (text, way, widest) => {
    const pool = parse(text)
    const next = random(2)
    const scattered = Array.from({ length: N }, () => ({
      ...pool,
      value: pool.value + next(size(pool.family, pool.bits))
    }))
    // Every other address at the beginning: a range each, and none with a large hole.
    const dense = Array.from({ length: N }, (_, i) => ({ ...pool, value: pool.value + 2n * BigInt(i) }))
    for (const addrs of [scattered, dense])
      timed(() => {
        const room = free(pool, spaceOfAddrs(pool.family, addrs))
        const allocations = allocator(room)
        const given: Prefix[] = []
        for (let i = 0; i < N; i += 1) {
          const block = allocations[way](widest + (i % 5))
          if (block !== undefined) given.push(block)
        }
        expect(given.length).toBe(N)
        const blocks = spaceOfPrefixes(pool.family, given)
        expect(count(blocks)).toBe(given.reduce((sum, { bits }) => sum + size(pool.family, bits), 0n))
        expect(subtract(blocks, room).ranges).toEqual([])
        expect(count(allocations.left())).toBe(count(room) - count(blocks))
      })
  })

  test('what is free in each of 10,000 networks, of 100,000 taken addresses', () => {
    const next = random(3)
    const taken = Array.from({ length: N }, () => ({ family: 4 as const, value: next(10_000n * 256n) }))
    const left = timed(() => {
      const space = spaceOfAddrs(4, taken)
      return Array.from({ length: 10_000 }, (_, i) =>
        count(free({ family: 4, value: BigInt(i) * 256n, bits: 24 }, space))
      )
    })
    const gone = new Set(taken.map(({ value }) => value))
    expect(left.reduce((sum, free) => sum + free, 0n)).toBe(10_000n * 256n - BigInt(gone.size))
  })

  test('huge spaces are computed', () => {
    timed(() => {
      const room = subtract(space('::/0'), space('::', 'fd00::/64'))
      expect(count(room)).toBe((1n << 128n) - 1n - (1n << 64n))
      expect(Array.from(some(addrsOf(room), 2), formatAddr)).toEqual(['::1', '::2'])
      const { lowest, best } = allocator(room)
      expect([lowest(64), best(64), lowest(3), best(1)].map(textOf)).toEqual([
        '0:0:0:1::/64',
        'fd00:0:0:1::/64',
        '2000::/3',
        undefined
      ])
      expect(
        vlsm(parse('::/0'), space('::'), [{ name: 'all', hosts: 1n << 120n }]).placed.map(({ prefix }) =>
          textOf(prefix)
        )
      ).toEqual(['200::/7'])
    })
  })
})
