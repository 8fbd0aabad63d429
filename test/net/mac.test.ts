import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { asLocalMac, formatMac, isLocalMac, isMulticastMac, parseMac } from '../../src/net/mac.ts'

const mac = fc.integer({ min: 0, max: 2 ** 48 - 1 })

test.each([
  ['00:00:00:00:00:00', 0],
  ['02:00:00:00:00:0a', 2 * 2 ** 40 + 10],
  ['fF:Ff:ff:fF:ff:FF', 2 ** 48 - 1]
])('%s is a MAC address', (text, value) => {
  expect(parseMac(text)).toEqual({ value })
  expect(formatMac(value)).toBe(text.toLowerCase())
})

test.each([
  '',
  '02:00:00:00:00',
  '02:00:00:00:00:0a:0b',
  '2:0:0:0:0:a',
  '02-00-00-00-00-0a',
  '02:00:00:00:00:0g',
  ' 02:00:00:00:00:0a',
  '02:00:00:00:00:0a\n'
])('%j is none', text => {
  expect(parseMac(text)).toEqual({
    reason: 'a MAC address is six bytes of two hexadecimal digits, separated by colons'
  })
})

describe('the first byte', () => {
  test.each([
    ['00:ff:ff:ff:ff:ff', false, false, '02:ff:ff:ff:ff:ff'],
    ['01:00:5e:00:00:01', true, false, '02:00:5e:00:00:01'],
    ['02:00:00:00:00:0a', false, true, '02:00:00:00:00:0a'],
    ['33:33:00:00:00:01', true, true, '32:33:00:00:00:01'],
    ['fc:00:00:00:00:01', false, false, 'fe:00:00:00:00:01']
  ])('of %s: a group %s, chosen by an administrator %s', (text, multicast, local, instead) => {
    const parsed = parseMac(text)
    if (!('value' in parsed)) throw new Error(parsed.reason)
    expect([isMulticastMac(parsed.value), isLocalMac(parsed.value)]).toEqual([multicast, local])
    expect(formatMac(asLocalMac(parsed.value))).toBe(instead)
  })

  test('is all that is changed for an administrator, once', () => {
    fc.assert(
      fc.property(mac, value => {
        const local = asLocalMac(value)
        expect([isMulticastMac(local), isLocalMac(local)]).toEqual([false, true])
        expect(local % 2 ** 40).toBe(value % 2 ** 40)
        expect(asLocalMac(local)).toBe(local)
        expect(parseMac(formatMac(value))).toEqual({ value })
      })
    )
  })
})
