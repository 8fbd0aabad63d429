import * as fc from 'fast-check'
import { Address4, Address6 } from 'ip-address'
import { describe, expect, test } from 'vitest'
import { type Addr, formatAddr, parseAddr } from '../../src/net/addr.ts'
import { isGlobal, isSpecial, specialBlock, unallocated6 } from '../../src/net/special.ts'
import { addr } from './arbitrary.ts'

const parse = (text: string): Addr => {
  const parsed = parseAddr(text)
  if ('value' in parsed) return parsed.value
  throw new Error(`${text}: ${parsed.reason}`)
}

describe('the block of an address', () => {
  // The first and the last address of each block, and their neighbours outside.
  test.each([
    ['0.0.0.0', 'the unspecified address', 'dead'],
    ['0.0.0.1', '"this network"', 'odd'],
    ['0.255.255.255', '"this network"', 'odd'],
    ['1.0.0.0', undefined, undefined],
    ['9.255.255.255', undefined, undefined],
    ['10.0.0.0', 'private use', 'fine'],
    ['10.255.255.255', 'private use', 'fine'],
    ['11.0.0.0', undefined, undefined],
    ['100.63.255.255', undefined, undefined],
    ['100.64.0.0', 'shared address space (carrier NAT, tailscale)', 'fine'],
    ['100.127.255.255', 'shared address space (carrier NAT, tailscale)', 'fine'],
    ['100.128.0.0', undefined, undefined],
    ['126.255.255.255', undefined, undefined],
    ['127.0.0.0', 'loopback', 'dead'],
    ['127.255.255.255', 'loopback', 'dead'],
    ['128.0.0.0', undefined, undefined],
    ['169.253.255.255', undefined, undefined],
    ['169.254.0.0', 'link-local', 'odd'],
    ['169.254.255.255', 'link-local', 'odd'],
    ['169.255.0.0', undefined, undefined],
    ['172.15.255.255', undefined, undefined],
    ['172.16.0.0', 'private use', 'fine'],
    ['172.31.255.255', 'private use', 'fine'],
    ['172.32.0.0', undefined, undefined],
    ['191.255.255.255', undefined, undefined],
    ['192.0.0.0', 'the continuity prefix of IPv4 over IPv6', 'fine'],
    ['192.0.0.8', 'IETF protocol assignments', 'odd'],
    ['192.0.0.255', 'IETF protocol assignments', 'odd'],
    ['192.0.1.0', undefined, undefined],
    ['192.0.2.1', undefined, undefined],
    ['192.88.98.255', undefined, undefined],
    ['192.88.99.0', 'the withdrawn 6to4 relay', 'odd'],
    ['192.88.99.255', 'the withdrawn 6to4 relay', 'odd'],
    ['192.88.100.0', undefined, undefined],
    ['192.167.255.255', undefined, undefined],
    ['192.168.0.0', 'private use', 'fine'],
    ['192.168.255.255', 'private use', 'fine'],
    ['192.169.0.0', undefined, undefined],
    ['198.17.255.255', undefined, undefined],
    ['198.18.0.0', 'benchmarking', 'fine'],
    ['198.19.255.255', 'benchmarking', 'fine'],
    ['198.20.0.0', undefined, undefined],
    ['198.51.100.1', undefined, undefined],
    ['203.0.113.1', undefined, undefined],
    ['223.255.255.255', undefined, undefined],
    ['224.0.0.0', 'multicast', 'dead'],
    ['239.255.255.255', 'multicast', 'dead'],
    ['240.0.0.0', 'reserved for future use', 'odd'],
    ['255.255.255.254', 'reserved for future use', 'odd'],
    ['255.255.255.255', 'limited broadcast', 'dead'],
    ['::', 'the unspecified address', 'dead'],
    ['::1', 'loopback', 'dead'],
    ['::2', undefined, undefined],
    ['::fffe:ffff:ffff', undefined, undefined],
    ['::ffff:0.0.0.0', 'IPv4-mapped', 'dead'],
    ['::ffff:255.255.255.255', 'IPv4-mapped', 'dead'],
    ['::1:0:0:0', undefined, undefined],
    ['64:ff9b::1', 'IPv4/IPv6 translation', 'odd'],
    ['64:ff9b::ffff:ffff', 'IPv4/IPv6 translation', 'odd'],
    ['64:ff9b::1:0:0', undefined, undefined],
    ['64:ff9b:1::', 'IPv4/IPv6 translation', 'odd'],
    ['64:ff9b:1:ffff:ffff:ffff:ffff:ffff', 'IPv4/IPv6 translation', 'odd'],
    ['64:ff9b:2::', undefined, undefined],
    ['100::', 'discard-only', 'odd'],
    ['100::ffff:ffff:ffff:ffff', 'discard-only', 'odd'],
    ['100:0:0:1::', undefined, undefined],
    ['2000:ffff::', undefined, undefined],
    ['2001::', 'Teredo', 'odd'],
    ['2001:0:ffff:ffff:ffff:ffff:ffff:ffff', 'Teredo', 'odd'],
    ['2001:1::', undefined, undefined],
    ['2001:2::', 'benchmarking', 'fine'],
    ['2001:2:1::', undefined, undefined],
    ['2001:db8::1', undefined, undefined],
    ['2002::', '6to4', 'odd'],
    ['2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '6to4', 'odd'],
    ['2003::', undefined, undefined],
    ['3fff::1', undefined, undefined],
    ['fbff:ffff::', undefined, undefined],
    ['fc00::', 'the undefined half of the unique-local space', 'odd'],
    ['fcff:ffff::', 'the undefined half of the unique-local space', 'odd'],
    ['fd00::', 'unique-local', 'fine'],
    ['fdff:ffff::', 'unique-local', 'fine'],
    ['fe00::', undefined, undefined],
    ['fe7f:ffff::', undefined, undefined],
    ['fe80::', 'link-local', 'odd'],
    ['febf:ffff::', 'link-local', 'odd'],
    ['fec0::', undefined, undefined],
    ['ff00::', 'multicast', 'dead'],
    ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 'multicast', 'dead']
  ])('%s: %s', (text, name, use) => {
    const block = specialBlock(parse(text))
    expect([block?.name, block?.use]).toEqual([name, use])
    expect(isSpecial(parse(text))).toBe(use === 'dead' || use === 'odd')
  })
})

/** What ip-address says of an address, by our names of the blocks. */
const classes = (text: string): Record<string, boolean> => {
  const theirs = text.includes(':') ? new Address6(text) : new Address4(text)
  return {
    loopback: theirs.isLoopback(),
    multicast: theirs.isMulticast(),
    'link-local': theirs.isLinkLocal(),
    'the unspecified address': theirs.isUnspecified(),
    ...(theirs instanceof Address4
      ? {
          'private use': theirs.isPrivate(),
          'limited broadcast': theirs.isBroadcast(),
          benchmarking: theirs.isBenchmarking(),
          'shared address space (carrier NAT, tailscale)': theirs.isCGNAT(),
          'reserved for future use': theirs.isReserved() && !theirs.isBroadcast()
        }
      : {})
  }
}

test('ip-address classifies addresses the same way', () => {
  // Of a known first group, since random addresses lie in few blocks.
  const heads = [0n, 10n, 100n, 127n, 169n, 172n, 192n, 198n, 224n, 240n, 255n].map(octet => octet << 24n)
  const head4 = fc
    .tuple(fc.constantFrom(...heads), fc.bigInt({ min: 0n, max: 0xffffffn }))
    .map(([head, low]) => head | low)
  const heads6 = [0n, 0xfc00n, 0xfd00n, 0xfe80n, 0xfec0n, 0xff02n, 0x2001n].map(group => group << 112n)
  const head6 = fc
    .tuple(fc.constantFrom(...heads6), fc.bigInt({ min: 0n, max: 3n }))
    .map(([head, low]) => head | low)
  const near = fc.oneof(
    addr,
    head4.map(value => ({ family: 4 as const, value })),
    head6.map(value => ({ family: 6 as const, value }))
  )
  fc.assert(
    fc.property(near, addr => {
      const text = formatAddr(addr)
      // It classifies an IPv4-mapped address as the IPv4 address within.
      fc.pre(!text.startsWith('::ffff:'))
      const name = specialBlock(addr)?.name
      for (const [kind, holds] of Object.entries(classes(text)))
        expect({ text, kind, holds: name === kind }).toEqual({ text, kind, holds })
    }),
    { numRuns: 1000 }
  )
})

describe('what the internet routes', () => {
  test.each([
    '8.8.8.8',
    '1.0.0.0',
    '223.255.255.255',
    '203.0.113.1',
    '2000::',
    '2606:4700::1111',
    '2001:db8::1',
    '3fff::1',
    '3fff:ffff::'
  ])('%s is public', text => {
    expect(isGlobal(parse(text))).toBe(true)
    expect(unallocated6(parse(text))).toBe(false)
  })

  test.each([
    '10.0.0.1',
    '127.0.0.1',
    '169.254.1.1',
    '0.0.0.0',
    '192.0.0.1',
    'fd00::1',
    'fc00::1',
    'fe80::1',
    '::1',
    '100::1',
    '2001::1',
    '2002:c000:201::1'
  ])('%s is not public, and has an owner', text => {
    expect(isGlobal(parse(text))).toBe(false)
    expect(unallocated6(parse(text))).toBe(false)
  })

  test.each(['4000::', '1fff:ffff::', 'fe00::1', 'abcd::1', '::2'])('%s belongs to nobody', text => {
    expect(isGlobal(parse(text))).toBe(false)
    expect(unallocated6(parse(text))).toBe(true)
  })

  test('an address is public, in a special block, or belongs to nobody; never two of these', () => {
    fc.assert(
      fc.property(addr, addr => {
        const kinds = [isGlobal(addr), specialBlock(addr) !== undefined, unallocated6(addr)]
        expect(kinds.filter(Boolean).length).toBe(1)
      })
    )
  })
})
