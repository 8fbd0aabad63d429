import { isIP } from 'node:net'
import * as fc from 'fast-check'
import { Address4, Address6 } from 'ip-address'
import { describe, expect, test } from 'vitest'
import {
  addressAfter,
  addrKey,
  formatAddr,
  isLinkLocal6,
  parseAddr,
  sameAddr,
  width
} from '../../src/net/addr.ts'
import { addr } from './arbitrary.ts'

const canonical = (text: string): string => {
  const parsed = parseAddr(text)
  return 'value' in parsed ? formatAddr(parsed.value) : `${parsed.reason} at ${parsed.at}`
}

describe('an address is written as RFC 5952 says', () => {
  test.each([
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['192.168.100.2', '192.168.100.2'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['0:0:0:0:0:0:0:0', '::'],
    // Section 4.1: leading zeros go.
    ['2001:0db8:0000:0042:0000:8a2e:0370:7334', '2001:db8:0:42:0:8a2e:370:7334'],
    // Section 4.2.1: as short as possible.
    ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'],
    ['2001:db8::0:1', '2001:db8::1'],
    // Section 4.2.2: a single zero group stays.
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:db8::1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    // Section 4.2.3: the longest run, and the first of equal ones.
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['0:0:1:0:0:1:0:0', '::1:0:0:1:0:0'],
    ['1:0:0:2:0:0:0:0', '1:0:0:2::'],
    ['0:0:0:1:0:0:0:0', '0:0:0:1::'],
    // Section 4.3: lower case.
    ['2001:DB8::ABCD:EF', '2001:db8::abcd:ef'],
    // Section 5: an IPv4-mapped address keeps its dotted tail; other addresses have none.
    ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
    ['::FFFF:c000:201', '::ffff:192.0.2.1'],
    ['0:0:0:0:0:ffff:0:0', '::ffff:0.0.0.0'],
    ['::192.0.2.1', '::c000:201'],
    ['1:2:3:4:5:6:192.0.2.1', '1:2:3:4:5:6:c000:201']
  ])('%s is written %s', (text, written) => {
    expect(canonical(text)).toBe(written)
  })
})

describe('what is no address is refused with the reason and the place', () => {
  test.each([
    ['', 'it ends too early', 0],
    ['10', 'it has 1 octet instead of 4', 2],
    ['10.0', 'it has 2 octets instead of 4', 4],
    ['10.0.0', 'it has 3 octets instead of 4', 6],
    ['10.0.0.', 'it ends too early', 7],
    ['10.0.0.1.', 'it ends too early', 9],
    ['10.0.0.1.2', 'it has more than 4 octets', 9],
    ['10..0.1', 'an octet is missing', 3],
    ['.10.0.1', 'an octet is missing', 0],
    ['10.0.0.256', 'an octet is greater than 255', 7],
    ['10.999999999999999999999.0.1', 'an octet is greater than 255', 3],
    ['010.0.0.1', 'an octet has a leading zero, which some programs read as octal', 0],
    ['10.0.0.00', 'an octet has a leading zero, which some programs read as octal', 7],
    ['0x0a.0.0.1', '"x" is not a digit', 1],
    ['10.0.0.1 ', '" " is not a digit', 8],
    [' 10.0.0.1', '" " is not a digit', 0],
    ['10.0.0.-1', '"-" is not a digit', 7],
    ['10.0.0.1\n', '"\n" is not a digit', 8],
    ['10.0.0.😀', '"😀" is not a digit', 7],
    ['localhost', '"l" is not a digit', 0],
    [':', 'a group is empty', 0],
    [':::', 'a group is empty', 2],
    [':1::', 'a group is empty', 0],
    ['1:', 'it ends too early', 2],
    ['1:2:', 'it ends too early', 4],
    ['1::2:', 'it ends too early', 5],
    ['1:::2', 'a group is empty', 3],
    ['1::2::3', '"::" stands in it twice', 4],
    ['::1::', '"::" stands in it twice', 3],
    ['1:2:3:4:5:6:7', 'it has 7 groups instead of 8, and no "::"', 13],
    ['1:2:3:4:5:6:7:8:9', 'it has more than 8 groups', 0],
    ['1:2:3:4:5:6:7::8:9', 'it has more than 8 groups', 0],
    ['1:2:3:4::5:6:7:8', '"::" stands in it beside 8 groups', 7],
    ['1:2:3:4:5:6:7:8::', '"::" stands in it beside 8 groups', 15],
    ['1:2:3:4:5:6:7:192.0.2.1', 'it has more than 8 groups', 0],
    ['::12345', 'a group has more than 4 hexadecimal digits', 2],
    ['::g', '"g" is not a hexadecimal digit', 2],
    ['fd00::1 ', '" " is not a hexadecimal digit', 7],
    ['fd00::😀', '"😀" is not a hexadecimal digit', 6],
    ['[fd00::1]', '"[" is not a hexadecimal digit', 0],
    ['fe80::1%eth0', 'it names a zone; write the interface in an option of its own', 7],
    ['fe80::%eth0', 'it names a zone; write the interface in an option of its own', 6],
    ['::ffff:192.0.2.256', 'an octet is greater than 255', 15],
    ['::ffff:192.0.2', 'it has 3 octets instead of 4', 14],
    ['::ffff:192.0.02.1', 'an octet has a leading zero, which some programs read as octal', 13],
    ['::192.0.2.1:5', '":" is not a digit', 11],
    ['192.0.2.1::', '":" is not a digit', 9]
  ])('%j', (input, reason, at) => {
    expect(parseAddr(input)).toEqual({ input, reason, at })
  })
})

describe('properties', () => {
  test('what is written is read back as the same address', () => {
    fc.assert(
      fc.property(addr, value => {
        expect(parseAddr(formatAddr(value))).toEqual({ value })
      })
    )
  })

  test('ip-address reads and writes the same', () => {
    fc.assert(
      fc.property(addr, ({ family, value }) => {
        const text = formatAddr({ family, value })
        const theirs = family === 4 ? new Address4(text) : new Address6(text)
        expect(theirs.bigInt()).toBe(value)
        // Its correct form has no dotted tail.
        expect(
          theirs instanceof Address6 && theirs.isMapped4() ? theirs.to4in6() : theirs.correctForm()
        ).toBe(text)
      })
    )
  })

  test('every way to write an IPv6 address is read as the same address', () => {
    fc.assert(
      fc.property(addr, fc.nat(8), fc.boolean(), fc.boolean(), (value, cut, long, upper) => {
        fc.pre(value.family === 6)
        const groups = Array.from({ length: 8 }, (_, i) => (value.value >> BigInt(112 - 16 * i)) & 0xffffn)
        const hex = groups.map(group => group.toString(16).padStart(long ? 4 : 1, '0'))
        let end = cut
        while (groups[end] === 0n) end += 1
        const text =
          end === cut ? hex.join(':') : `${hex.slice(0, cut).join(':')}::${hex.slice(end).join(':')}`
        expect(parseAddr(upper ? text.toUpperCase() : text)).toEqual({ value })
      })
    )
  })

  test('node takes the same texts for addresses', () => {
    const noise = fc.string({ unit: fc.constantFrom(...'01259afF.:/ x'.split('')), maxLength: 20 })
    const nearly = fc
      .tuple(
        addr.map(formatAddr),
        fc.nat(39),
        fc.nat(2),
        fc.constantFrom('', '0', '1', ':', '::', '.', 'f', ' ', '25')
      )
      .map(([text, at, gone, put]) => text.slice(0, at) + put + text.slice(at + gone))
    fc.assert(
      fc.property(fc.oneof(noise, nearly), text => {
        const parsed = parseAddr(text)
        expect('value' in parsed ? parsed.value.family : 0).toBe(isIP(text))
      }),
      { numRuns: 3000 }
    )
  })

  test('a refusal names a place within the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), input => {
        const parsed = parseAddr(input)
        if ('value' in parsed) return
        expect(parsed.input).toBe(input)
        expect(parsed.at).toBeGreaterThanOrEqual(0)
        expect(parsed.at).toBeLessThanOrEqual(input.length)
      })
    )
  })

  test('a hostile text is answered at once', () => {
    for (const text of [':', '1', 'f', '.', '::', '1.', 'f:'].map(part => part.repeat(1_000_000)))
      expect('value' in parseAddr(text)).toBe(false)
  })
})

test('addresses are the same when family and number are', () => {
  expect(sameAddr({ family: 4, value: 1n }, { family: 4, value: 1n })).toBe(true)
  expect(sameAddr({ family: 4, value: 1n }, { family: 6, value: 1n })).toBe(false)
  expect(sameAddr({ family: 4, value: 1n }, { family: 4, value: 2n })).toBe(false)
})

test('the address some steps further keeps its family', () => {
  expect(formatAddr(addressAfter({ family: 4, value: 0x0a0000ffn }, 1n))).toBe('10.0.1.0')
  expect(formatAddr(addressAfter({ family: 6, value: 0xffffn }, 1n))).toBe('::1:0')
  expect([width(4), width(6)]).toEqual([32, 128])
})

test.each([
  ['fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff', false],
  ['fe80::', true],
  ['febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff', true],
  ['fec0::', false],
  ['169.254.1.1', false]
])('%s is link-local in IPv6: %s', (text, linkLocal) => {
  const parsed = parseAddr(text)
  expect('value' in parsed && isLinkLocal6(parsed.value)).toBe(linkLocal)
})

test('what is no IPv6 address is not link-local in it, whatever its number', () => {
  expect(isLinkLocal6({ family: 4, value: 0xfe80n << 112n })).toBe(false)
})

test('the first hosts of many networks have keys that differ in their lowest 64 bits, by which V8 spreads them in maps', () => {
  const keys = Array.from({ length: 20_000 }, (_, i) =>
    addrKey({ family: 6, value: (0xfd00n << 112n) | (BigInt(i) << 64n) | 1n })
  )
  expect(new Set(keys).size).toBe(keys.length)
  expect(new Set(keys.map(key => BigInt.asUintN(64, BigInt(key)))).size).toBe(keys.length)
})
