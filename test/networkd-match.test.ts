import { describe, expect, test } from 'vitest'
import { buildTopology } from '../src/model/build.ts'
import { covers, glob, hardware, networkFiles } from '../src/plan/networkd.ts'
import type { NetworkFiles } from '../src/plan/plan.ts'

// test/judges-networkd.test.ts holds the order against networkd itself; here are the corners that need no judge.

test.each([
  ['*', '', true],
  ['*', 'eth0', true],
  ['?', '', false],
  ['e*0', 'eth0', true],
  ['e*0', 'eth01', false],
  ['*-*-*', 'a-b', false],
  ['*-*-*', 'a-b-c', true],
  ['[a-c]0', 'b0', true],
  ['[!a-c]0', 'b0', false],
  ['[^a-c]0', 'd0', true],
  ['[]x]0', ']0', true],
  ['[a-]0', '-0', true],
  ['[a', '[a', true],
  ['\\*', '*', true],
  ['\\*', 'x', false],
  ['eth0', 'ETH0', false]
])('the pattern %s and the name %s: %s', (pattern, name, matches) => {
  expect(glob(pattern, name)).toBe(matches)
})

test('a pattern with many stars takes no time', () => {
  const start = performance.now()
  expect(glob(`${'*a'.repeat(60)}b`, 'a'.repeat(127))).toBe(false)
  expect(performance.now() - start).toBeLessThan(200)
})

test.each([
  ['v*', 've-*', true],
  ['*', 've-*', true],
  ['ve-*', 'v*', false],
  ['ve-*', 've-web', true],
  ['v?-*', 've-*', false],
  ['br0', 'br0', true],
  ['br0', 'br1', false]
])('%s covers %s: %s', (wide, narrow, expected) => {
  expect(covers(wide, narrow)).toBe(expected)
})

test.each([
  ['enp1s0', 'none'],
  ['eth0', 'none'],
  ['wlp5s0', 'none'],
  ['wlan0', 'none'],
  ['enp1s0f1np1', 'none'],
  ['wg0', undefined],
  ['lan', undefined],
  ['ens', undefined]
])('the name %s is of kind %s', (name, kind) => {
  expect(hardware(name)).toBe(kind)
})

describe('the order of files', () => {
  const files = (networks: object, host: object = {}): NetworkFiles =>
    networkFiles(buildTopology({ host: { ...host, networkd: { networks } } }))
  const taker = (all: NetworkFiles, name: string, kind: string | undefined): string | undefined => {
    const file = all.taker({ name, kind })
    return typeof file === 'object' ? file.file : file
  }

  test('has what systemd ships, unless a file of that name is there', () => {
    expect(taker(files({}), 've-web', 'veth')).toBe('80-container-ve.network')
    expect(taker(files({}), 've-web', 'dummy')).toBe(undefined)
    expect(taker(files({ '80-container-ve': { enable: false } }), 've-web', 'veth')).toBe(undefined)
    const own = { '80-container-ve': { matchConfig: { Name: 've-*' } } }
    expect(files(own).all.filter(({ file }) => file === '80-container-ve.network')).toEqual([
      expect.objectContaining({ source: 'written' })
    ])
  })

  test('has what NixOS makes of networking.interfaces, merged with what is written', () => {
    const host = { manager: 'networkd', interfaces: { eth0: { dhcp: true } } }
    expect(taker(files({}, host), 'eth0', 'none')).toBe('40-eth0.network')
    expect(taker(files({}, host), 'eth1', 'none')).toBe('99-ethernet-default-dhcp.network')
    expect(taker(files({}, host), 've-web', 'veth')).toBe('80-container-ve.network')
    expect(taker(files({}, { ...host, useDHCP: false }), 'eth1', 'none')).toBe(undefined)
    const merged = files({ '40-eth0': { networkConfig: { LLDP: true } } }, host)
    expect(taker(merged, 'eth0', 'none')).toBe('40-eth0.network')
    expect(merged.all.find(({ file }) => file === '40-eth0.network')?.source).toBe('written')
  })

  test('is unknown where a file before asks for something that no topology says', () => {
    const card = { matchConfig: { MACAddress: '02:00:00:00:00:05' } }
    const named = { matchConfig: { Name: 'eth0' } }
    expect(taker(files({ '10-card': card, '20-eth0': named }), 'eth0', 'none')).toBe('unknown')
    expect(taker(files({ '30-card': card, '20-eth0': named }), 'eth0', 'none')).toBe('20-eth0.network')
    const vlan = { matchConfig: { Name: 'lan', Kind: 'vlan' } }
    expect(taker(files({ '10-lan': vlan }), 'lan', undefined)).toBe('unknown')
    expect(taker(files({ '10-lan': vlan }), 'lan', 'vlan')).toBe('10-lan.network')
    expect(taker(files({ '10-lan': vlan }), 'lan', 'none')).toBe(undefined)
  })

  test('knows what Type= and Driver= are of a kind', () => {
    const all = files({
      '10-a': { matchConfig: { Type: 'ether', Driver: 'veth' } },
      '20-b': { matchConfig: { Type: 'bridge' } },
      '30-c': { matchConfig: { Type: 'ether', Kind: '!*' } },
      '40-d': { matchConfig: { Type: 'wlan' } }
    })
    expect(taker(all, 'x', 'veth')).toBe('10-a.network')
    expect(taker(all, 'x', 'bridge')).toBe('20-b.network')
    expect(taker(all, 'x', 'vlan')).toBe(undefined)
    expect(taker(all, 'eth0', 'none')).toBe('unknown')
    expect(taker(all, 'wlp1s0', 'none')).toBe('40-d.network')
  })
})
