import { BlockList } from 'node:net'
import * as fc from 'fast-check'
import { Address4, Address6 } from 'ip-address'
import IPCIDR from 'ip-cidr'
import { describe, expect, test } from 'vitest'
import { type Addr, type Family, formatAddr, parseAddr, width } from '../../src/net/addr.ts'
import {
  bitsFor,
  contains,
  first,
  firstUsable,
  formatNetwork,
  formatPrefix,
  hasBroadcast,
  last,
  lastUsable,
  masked,
  overlaps,
  type Prefix,
  parsePrefix,
  size,
  usable
} from '../../src/net/prefix.ts'
import { addr, crowdedPrefix, family, prefix } from './arbitrary.ts'

const parse = (text: string): Prefix => {
  const parsed = parsePrefix(text)
  if ('value' in parsed) return parsed.value
  throw new Error(`${text}: ${parsed.reason}`)
}

const theirs = (prefix: Prefix): Address4 | Address6 =>
  prefix.family === 4 ? new Address4(formatPrefix(prefix)) : new Address6(formatPrefix(prefix))

const no4 = (length: string): string => `"/${length}" is not a prefix length; IPv4 has /0 to /32`
const no6 = (length: string): string => `"/${length}" is not a prefix length; IPv6 has /0 to /128`

describe('what is no prefix is refused with the reason and the place', () => {
  test.each([
    ['10.0.0.0/33', no4('33'), 8],
    ['10.0.0.0/08', no4('08'), 8],
    ['10.0.0.0/00', no4('00'), 8],
    ['10.0.0.0/', no4(''), 8],
    ['10.0.0.0/ 24', no4(' 24'), 8],
    ['10.0.0.0/24 ', no4('24 '), 8],
    ['10.0.0.0/+8', no4('+8'), 8],
    ['10.0.0.0/-1', no4('-1'), 8],
    ['10.0.0.0/1e1', no4('1e1'), 8],
    ['10.0.0.0/8.0', no4('8.0'), 8],
    ['10.0.0.0/0x8', no4('0x8'), 8],
    ['10.0.0.0/24/24', no4('24/24'), 8],
    ['10.0.0.0/255.255.255.0', no4('255.255.255.0'), 8],
    ['10.0.0.0/99999999999999999999', no4('99999999999999999999'), 8],
    ['10.0.0.0/99999999999999999999999', no4('99999999999999999999…'), 8],
    ['fd00::/129', no6('129'), 6],
    ['fd00::/064', no6('064'), 6],
    ['::ffff:10.0.0.0/129', no6('129'), 15],
    ['', 'it ends too early', 0],
    ['/24', 'it ends too early', 0],
    [' 10.0.0.0/24', '" " is not a digit', 0],
    ['10.0.0.0 /24', '" " is not a digit', 8],
    ['10.0.0/24', 'it has 3 octets instead of 4', 6],
    ['010.0.0.0/8', 'an octet has a leading zero, which some programs read as octal', 0],
    ['fe80::1%eth0/64', 'it names a zone; write the interface in an option of its own', 7]
  ])('%j', (input, reason, at) => {
    expect(parsePrefix(input)).toEqual({ input, reason, at })
  })
})

describe('a prefix is parsed', () => {
  test('with its host bits', () => {
    expect(parsePrefix('192.168.100.2/29')).toEqual({ value: { family: 4, value: 0xc0a86402n, bits: 29 } })
  })

  test('and a bare address has all its bits', () => {
    expect(parsePrefix('10.0.0.1')).toEqual({ value: { family: 4, value: 0x0a000001n, bits: 32 } })
    expect(parsePrefix('::1')).toEqual({ value: { family: 6, value: 1n, bits: 128 } })
  })
})

describe('the borders of a prefix', () => {
  test.each([
    // prefix, lowest, highest, lowest and highest usable
    ['10.1.2.3/0', '0.0.0.0', '255.255.255.255', '0.0.0.1', '255.255.255.254'],
    ['10.1.2.3/8', '10.0.0.0', '10.255.255.255', '10.0.0.1', '10.255.255.254'],
    ['192.168.100.2/29', '192.168.100.0', '192.168.100.7', '192.168.100.1', '192.168.100.6'],
    ['192.168.100.2/30', '192.168.100.0', '192.168.100.3', '192.168.100.1', '192.168.100.2'],
    // RFC 3021: both addresses of a /31 are hosts.
    ['192.168.100.2/31', '192.168.100.2', '192.168.100.3', '192.168.100.2', '192.168.100.3'],
    ['192.168.100.2/32', '192.168.100.2', '192.168.100.2', '192.168.100.2', '192.168.100.2'],
    [
      'fd00::2/0',
      '::',
      'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
      '::1',
      'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'
    ],
    // RFC 4291 section 2.6.1: the lowest address is the routers' anycast address.
    ['fd00::2/64', 'fd00::', 'fd00::ffff:ffff:ffff:ffff', 'fd00::1', 'fd00::ffff:ffff:ffff:ffff'],
    ['fd00::2/126', 'fd00::', 'fd00::3', 'fd00::1', 'fd00::3'],
    // RFC 6164: both addresses of a /127 are routers.
    ['fd00::2/127', 'fd00::2', 'fd00::3', 'fd00::2', 'fd00::3'],
    ['fd00::2/128', 'fd00::2', 'fd00::2', 'fd00::2', 'fd00::2']
  ])('%s', (text, ...borders) => {
    const value = parse(text)
    expect([first(value), last(value), firstUsable(value), lastUsable(value)].map(formatAddr)).toEqual(
      borders
    )
  })
})

describe('the room in a prefix', () => {
  test.each<[Family, number, bigint, bigint, boolean]>([
    [4, 0, 4294967296n, 4294967294n, true],
    [4, 24, 256n, 254n, true],
    [4, 29, 8n, 6n, true],
    [4, 30, 4n, 2n, true],
    [4, 31, 2n, 2n, false],
    [4, 32, 1n, 1n, false],
    [6, 0, 1n << 128n, (1n << 128n) - 1n, false],
    [6, 64, 1n << 64n, (1n << 64n) - 1n, false],
    [6, 126, 4n, 3n, false],
    [6, 127, 2n, 2n, false],
    [6, 128, 1n, 1n, false]
  ])('IPv%i /%i: %i addresses, %i usable', (family, bits, all, hosts, broadcast) => {
    expect([size(family, bits), usable(family, bits), hasBroadcast(family, bits)]).toEqual([
      all,
      hosts,
      broadcast
    ])
  })

  test.each<[Family, bigint, number | undefined]>([
    [4, 0n, 32],
    [4, 1n, 32],
    [4, 2n, 31],
    [4, 3n, 29],
    [4, 6n, 29],
    [4, 7n, 28],
    [4, 254n, 24],
    [4, 255n, 23],
    [4, 4294967294n, 0],
    [4, 4294967295n, undefined],
    [6, 2n, 127],
    [6, 3n, 126],
    [6, 4n, 125],
    [6, (1n << 128n) - 1n, 0],
    [6, 1n << 128n, undefined]
  ])('IPv%i: %i hosts need /%s', (family, hosts, bits) => {
    expect(bitsFor(family, hosts)).toBe(bits)
  })

  test('the usable addresses are those from the first to the last usable one', () => {
    fc.assert(
      fc.property(prefix, value => {
        expect(lastUsable(value).value - firstUsable(value).value + 1n).toBe(usable(value.family, value.bits))
      })
    )
  })

  test('the length for some hosts has room for them, and the next longer one has not', () => {
    fc.assert(
      fc.property(family, fc.bigInt({ min: 1n, max: 1n << 33n }), (family, hosts) => {
        const bits = bitsFor(family, hosts)
        const room = (bits: number): bigint => (bits > width(family) ? 0n : usable(family, bits))
        expect(bits === undefined || room(bits) >= hosts).toBe(true)
        expect(room(bits === undefined ? 0 : bits + 1)).toBeLessThan(hosts)
      })
    )
  })
})

describe('properties', () => {
  test('what is written is read back as the same prefix', () => {
    fc.assert(
      fc.property(prefix, value => {
        expect(parsePrefix(formatPrefix(value))).toEqual({ value })
      })
    )
  })

  test('ip-address finds the same borders, length and network', () => {
    fc.assert(
      fc.property(prefix, value => {
        const other = theirs(value)
        expect(other.startAddress().bigInt()).toBe(first(value).value)
        expect(other.endAddress().bigInt()).toBe(last(value).value)
        expect(other.subnetMask).toBe(value.bits)
        expect(parse(other.networkForm())).toEqual(masked(value))
        expect(parse(formatNetwork(value))).toEqual(masked(value))
      })
    )
  })

  test('ip-address finds the same first and last host where a network has a broadcast address', () => {
    fc.assert(
      fc.property(prefix, value => {
        fc.pre(hasBroadcast(value.family, value.bits))
        const other = theirs(value)
        expect(other.startAddressExclusive().bigInt()).toBe(firstUsable(value).value)
        expect(other.endAddressExclusive().bigInt()).toBe(lastUsable(value).value)
      })
    )
  })

  test('ip-cidr finds the same borders', () => {
    fc.assert(
      fc.property(prefix, value => {
        // It takes an IPv4-mapped prefix for a single IPv4 host.
        fc.pre(value.family === 4 || value.value >> 32n !== 0xffffn)
        const other = new IPCIDR(formatPrefix(value))
        expect(parseAddr(other.start<string>())).toEqual({ value: first(value) })
        expect(parseAddr(other.end<string>())).toEqual({ value: last(value) })
        expect(other.size).toBe(size(value.family, value.bits))
      })
    )
  })

  // Any address, one of the prefix itself, or one just outside: the borders are where mistakes are.
  const pair: fc.Arbitrary<[Prefix, Addr]> = fc.oneof(
    fc.tuple(prefix, addr),
    fc
      .tuple(prefix, fc.bigInt({ min: -1n, max: (1n << 128n) - 1n }))
      .map(([prefix, steps]): [Prefix, Addr] => {
        const { family, bits } = prefix
        const value = first(prefix).value + (steps % (size(family, bits) + 1n))
        return [
          prefix,
          { family, value: value < 0n || value >= size(family, 0) ? first(prefix).value : value }
        ]
      })
  )

  test('node, ip-address and ip-cidr agree on what a prefix contains', () => {
    fc.assert(
      fc.property(pair, ([prefix, addr]) => {
        const text = formatAddr(addr)
        const mine = contains(prefix, addr)
        const other = addr.family === 4 ? new Address4(text) : new Address6(text)
        expect(other.isInSubnet(theirs(prefix))).toBe(mine)
        // Node's list and ip-cidr take IPv4-mapped addresses for IPv4 ones.
        const mapped = [addr, prefix].some(({ family, value }) => family === 6 && value >> 32n === 0xffffn)
        if (mapped || addr.family !== prefix.family) return
        const list = new BlockList()
        list.addSubnet(formatAddr(first(prefix)), prefix.bits, `ipv${prefix.family}`)
        expect(list.check(text, `ipv${addr.family}`)).toBe(mine)
        expect(new IPCIDR(formatPrefix(prefix)).contains(text)).toBe(mine)
      }),
      { numRuns: 500 }
    )
  })

  test('prefixes overlap when one contains the border of the other, either way round', () => {
    fc.assert(
      fc.property(crowdedPrefix, crowdedPrefix, (a, b) => {
        const shared = contains(a, first(b)) || contains(b, first(a))
        expect(overlaps(a, b)).toBe(shared)
        expect(overlaps(b, a)).toBe(shared)
        const meet = first(a).value <= last(b).value && first(b).value <= last(a).value
        expect(shared).toBe(a.family === b.family && meet)
      }),
      { numRuns: 500 }
    )
  })

  test('masking clears the host bits, once and for all', () => {
    fc.assert(
      fc.property(prefix, value => {
        expect(masked(masked(value))).toEqual(masked(value))
        expect(contains(value, masked(value))).toBe(true)
      })
    )
  })
})
