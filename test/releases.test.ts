import { describe, expect, test } from 'vitest'
import { buildTopology } from '../src/model/build.ts'
import { parseAddr } from '../src/net/addr.ts'
import { classBits, compareVersions, releasesOf } from '../src/plan/releases.ts'

const of = (host: Readonly<Record<string, string>>): ReturnType<typeof releasesOf> =>
  releasesOf(buildTopology({ version: 1, host }).host)

describe('facts by release', () => {
  test('a host that does not say its release has the newest', () => {
    const newest = of({})
    expect(newest).toEqual({ ...of({ release: '26.05' }), release: 'NixOS 26.05 and later' })
    expect(of({ release: '99.11' })).toEqual({ ...newest, release: 'NixOS 99.11' })
  })

  test('a fact changes with its release, and not one before', () => {
    expect(of({ release: '24.05' }).networkdForwarding).toBe(false)
    expect(of({ release: '24.11' }).networkdForwarding).toBe(true)
    expect(of({ release: '25.11' }).gatewayWithoutInterface).toBe('set')
    expect(of({ release: '26.05' }).gatewayWithoutInterface).toBe('set since a fix')
  })

  test('the kernel decides on alternative names', () => {
    expect(of({ kernel: '5.8' }).alternativeNames).toBe(false)
    expect(of({ kernel: '5.8.1' }).alternativeNames).toBe(true)
    expect(of({ kernel: '4.19.300' }).alternativeNames).toBe(false)
    expect(of({ kernel: '6.12-rc1' }).alternativeNames).toBe(true)
    expect(of({}).alternativeNames).toBe(true)
  })

  test('a release that nobody has heard of is no fault', () => {
    expect(of({ release: 'unstable' })).toEqual({ ...of({}), release: 'NixOS unstable' })
  })
})

test.each([
  ['25.11', '25.05', 1],
  ['5.8', '5.10', -1],
  ['5.8', '5.8.1', -1],
  ['6.6.0', '6.6', 0],
  ['', '21.05', -1]
])('%s against %s', (a, b, order) => {
  expect(Math.sign(compareVersions(a, b))).toBe(order)
  expect(Math.sign(compareVersions(b, a))).toBe(order === 0 ? 0 : -order)
})

// RFC 791: a network of class A has one byte of the four, of class B two, of class C three.
test.each([
  ['10.0.0.1', 8],
  ['127.255.255.255', 8],
  ['128.0.0.0', 16],
  ['191.255.255.255', 16],
  ['192.0.0.0', 24],
  ['223.255.255.255', 24],
  ['::1', 0],
  ['fd12:3456:789a::1', 0]
])('an address without a length is of a class: %s/%i', (text, bits) => {
  const parsed = parseAddr(text)
  expect('value' in parsed && classBits(parsed.value)).toBe(bits)
})
