import { describe, expect, test } from 'vitest'
import { buildTopology } from '../src/model/build.ts'
import {
  covers,
  glob,
  hardware,
  hostDevices,
  isByName,
  matches,
  matchOf,
  networkFiles,
  setsAddresses,
  writtenNetdevs,
  writtenNetworks
} from '../src/plan/networkd.ts'
import type { Device, NetworkFiles } from '../src/plan/plan.ts'
import { resolve } from '../src/plan/resolve.ts'

// test/judges-networkd.test.ts holds the order against networkd itself; here are the corners that need no judge.

test.each([
  ['*', '', true],
  ['*', 'eth0', true],
  ['?', '', false],
  ['?', 'a', true],
  ['a?c', 'abc', true],
  ['[a-c]', 'a', true],
  ['[a-c]', 'c', true],
  ['[a-c]', 'd', false],
  ['[b-c]', 'a', false],
  ['[xy]', 'y', true],
  ['[xy]', 'z', false],
  ['x[a]', 'a', false],
  ['a\\', 'a\\', true],
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
  ['eth0', 'ETH0', false],
  ['*eth0', 'eth0', true],
  ['th0', 'eth0', false],
  ['[xaz]', 'y', false]
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
  ['br0', 'br1', false],
  ['ve-?', 've-?', true],
  ['[uv]*', 've-*', false],
  ['v*e*', 've-*', false],
  ['e*', 've-*', false],
  ['v*?', 've-*', false],
  ['v*x', 'v*y*', false]
])('%s covers %s: %s', (wide, narrow, expected) => {
  expect(covers(wide, narrow)).toBe(expected)
})

test.each([
  ['enp1s0', 'none'],
  ['eth0', 'none'],
  ['eth12', 'none'],
  ['wlan12', 'none'],
  ['wlp5s0', 'none'],
  ['wlan0', 'none'],
  ['enp1s0f1np1', 'none'],
  ['wg0', undefined],
  ['lan', undefined],
  ['ens', undefined],
  ['eno1', 'none'],
  ['enP4p65s0', 'none'],
  ['enx0200000a5105', 'none'],
  ['wwp0s20f0u3', 'none'],
  ['eth0.7', undefined],
  ['my-eth0', undefined],
  ['weth0', undefined]
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
    // One file for cards and one for Wi-Fi, of which no topology says whether it is a station; none for what software makes.
    expect(taker(files({}, host), 'wlp1s0', 'none')).toBe('unknown')
    expect(taker(files({}, host), 'svc0', 'dummy')).toBe(undefined)
    expect(taker(files({}, host), 'br9', 'bridge')).toBe(undefined)
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

describe('what a [Match] takes', () => {
  const takes = (matchConfig: object, device: Device): boolean | undefined => {
    const [network] =
      buildTopology({ host: { networkd: { networks: { '10-x': { matchConfig } } } } }).host.networkd
        ?.networks ?? []
    const match = network === undefined ? undefined : matchOf(network)
    if (match === undefined) throw new Error('nothing to match by')
    return matches(match, device)
  }

  test.each([
    [{ Name: 'a b' }, 'b', 'veth', true],
    [{ Name: '!a b' }, 'b', 'veth', false],
    [{ Name: '!a b' }, 'c', 'veth', true],
    [{ Name: ['a', 'b*'] }, 'b7', undefined, true],
    [{ Name: ['a', '', 'c'] }, 'a', 'veth', false],
    [{ Name: ['a', ' ', 'c'] }, 'a', 'veth', false],
    [{ Name: ['a', 'c'] }, 'a', 'veth', true],
    [{ Name: 'a  b*' }, 'b7', 'veth', true],
    [{ Name: ['a', '!b'] }, 'a', 'veth', true],
    [{ Name: ['*', '!b'] }, 'b', 'veth', false],
    [{ Kind: 'veth bridge' }, 'a', 'bridge', true],
    [{ Kind: '!*' }, 'a', 'bridge', false],
    [{ Kind: '!*' }, 'eth0', 'none', true],
    [{ Kind: 'veth' }, 'eth0', 'none', false],
    [{ Kind: 'veth' }, 'lan', undefined, undefined],
    [{ Type: 'loopback' }, 'lo', 'none', true],
    [{ Type: 'ether' }, 'lo', 'none', false],
    [{ Type: 'wlan' }, 'wlp1s0', 'none', true],
    [{ Type: 'wwan' }, 'wwp0s20f0u3', 'none', true],
    [{ Type: 'ether' }, 'eno1', 'none', true],
    [{ Type: 'ether' }, 'a', 'dummy', true],
    [{ Type: 'ether' }, 'a', 'tap', true],
    [{ Type: 'wireguard' }, 'a', 'wireguard', true],
    [{ Type: 'bond' }, 'a', 'bond', true],
    [{ Type: 'vlan vxlan' }, 'a', 'vxlan', true],
    [{ Type: 'bond' }, 'a', 'vlan', false],
    [{ Type: 'ether' }, 'a', 'tun', undefined],
    [{ Driver: 'bridge' }, 'a', 'bridge', true],
    [{ Driver: 'tun' }, 'a', 'tun', true],
    [{ Driver: 'veth' }, 'a', 'bridge', false],
    [{ Driver: 'veth' }, 'a', 'vlan', undefined],
    [{ Driver: 'e1000e' }, 'eno1', 'none', undefined],
    [{ Kind: 'vlan', Type: 'vlan' }, 'lan', undefined, undefined],
    [{ Type: 'ether', Driver: 'e1000e' }, 'lan', undefined, undefined],
    [{ Name: 'a', Path: 'pci-*' }, 'a', 'veth', undefined],
    [{ Name: 'a', Path: 'pci-*' }, 'b', 'veth', false],
    [{ Name: 'a', Pfad: 'x' }, 'a', undefined, true]
  ] as const)('%j, of %s, a %s: %s', (match, name, kind, taken) => {
    expect(takes(match, { name, kind })).toBe(taken)
  })

  test('the longer name counts too', () => {
    const device = { name: 've-a-longTc9f', altname: 've-a-long-container', kind: 'veth' }
    expect(takes({ Name: 've-a-long-container' }, device)).toBe(true)
    expect(takes({ Name: 've-a-longTc9f' }, device)).toBe(true)
    expect(takes({ Name: 've-other' }, device)).toBe(false)
  })

  test('a list of names is known by itself', () => {
    const byName = (matchConfig: object): boolean =>
      buildTopology({
        host: { networkd: { networks: { '10-x': { matchConfig } } } }
      }).host.networkd?.networks.every(network => {
        const match = matchOf(network)
        return match !== undefined && isByName(match)
      }) === true
    expect(byName({ Name: 'a b*' })).toBe(true)
    for (const more of [{ Kind: 'veth' }, { Type: 'ether' }, { Driver: 'veth' }, { Path: 'x' }])
      expect(byName({ Name: 'a', ...more })).toBe(false)
    for (const more of [
      { Kind: 'veth', Type: 'ether' },
      { Type: 'ether', Driver: 'veth' }
    ])
      expect(byName({ Name: 'a', ...more })).toBe(false)
    expect(byName({ Name: '!a' })).toBe(false)
    expect(byName({ Name: ['a', '!b'] })).toBe(false)
    expect(byName({ Kind: '', Name: 'a' })).toBe(true)
  })
})

test('several files by the name and the longer name of one interface', () => {
  const topology = buildTopology({
    host: {
      networkd: {
        networks: {
          '30-alt': { matchConfig: { Name: 've-a-long-container ve-a-long-container' } },
          '20-any': { matchConfig: { Kind: 'veth' } },
          '40-name': { matchConfig: { Name: 've-a-longTc9f' } },
          '10-other': { matchConfig: { Name: 've-b' } }
        }
      }
    }
  })
  const device = { name: 've-a-longTc9f', altname: 've-a-long-container', kind: 'veth' }
  expect(
    networkFiles(topology)
      .takers(device)
      .map(({ file }) => file)
  ).toEqual(['20-any.network', '30-alt.network', '40-name.network', '80-container-ve.network'])
})

test('what NixOS makes for bridges, bonds, VLANs and routers', () => {
  const of = (host: object): readonly string[] =>
    networkFiles(
      buildTopology({
        host: { manager: 'networkd', ...host },
        bridges: {
          br0: { interfaces: ['enp1s0'], definedBy: 'scripted' },
          br1: { interfaces: ['enp2s0'], definedBy: 'both' },
          br2: { interfaces: ['enp3s0'], definedBy: 'networkd' }
        }
      })
    )
      .all.filter(({ source }) => source === 'generated')
      .map(({ file }) => file)
  expect(
    of({
      useDHCP: false,
      interfaces: { lan: {} },
      bonds: { bond0: { interfaces: ['enp5s0'] } },
      vlans: { lan7: { id: 7, interface: 'enp6s0' } },
      defaultGateway: { address: '198.51.100.1', interface: 'wan4' },
      defaultGateway6: { address: 'fe80::1', interface: 'wan6' }
    })
  ).toEqual(['enp1s0', 'enp2s0', 'enp5s0', 'enp6s0', 'lan', 'wan4', 'wan6'].map(name => `40-${name}.network`))
  expect(of({ manager: 'scripted' })).toEqual([])
  expect(of({ useDHCP: false, defaultGateway: '198.51.100.1' })).toEqual([
    '40-enp1s0.network',
    '40-enp2s0.network'
  ])
})

test('a file for several names and patterns, and several files for one name', () => {
  const all = networkFiles(
    buildTopology({
      host: {
        networkd: {
          networks: {
            '10-lan': { matchConfig: { Name: 'lan ve-*', Kind: 'veth' } },
            '20-wan': { matchConfig: { Name: 'wan', Kind: 'vlan' } },
            '30-wan': { matchConfig: { Name: 'wan' } }
          }
        }
      }
    })
  )
  const of = (name: string, kind: string): unknown => {
    const file = all.taker({ name, kind })
    return typeof file === 'object' ? file.file : file
  }
  expect(of('ve-web', 'veth')).toBe('10-lan.network')
  expect(of('lan', 'veth')).toBe('10-lan.network')
  expect(of('lan', 'dummy')).toBe(undefined)
  expect(of('wan', 'vlan')).toBe('20-wan.network')
  expect(of('wan', 'dummy')).toBe('30-wan.network')
})

test('the interfaces of the host, as [Match] sees them', () => {
  const plan = resolve(
    buildTopology({
      host: {
        interfaces: { eno1: {}, lan: {} },
        bonds: { bond0: { interfaces: ['enp5s0', 'slave'] } },
        vlans: { lan7: { id: 7, interface: 'enp6s0' } },
        networkd: {
          enable: true,
          netdevs: {
            '10-wg': { netdevConfig: { Name: 'wg0', Kind: 'wireguard' } },
            '10-off': { enable: false, netdevConfig: { Name: 'off0', Kind: 'dummy' } },
            '10-lan': { netdevConfig: { Name: 'lan', Kind: 'dummy' } }
          }
        }
      },
      bridges: { br0: { interfaces: ['enp7s0'] } },
      containers: {
        web: { privateNetwork: true, localAddress: '10.1.0.2', extraVeths: { 've-side': {} } },
        'a-long-container': { privateNetwork: true, localAddress: '10.1.0.3' },
        'a-long-bridged-one': { privateNetwork: true, hostBridge: 'br0' },
        // Of 15 letters with "ve-".
        'twelve-chars': { privateNetwork: true, localAddress: '10.1.0.4' }
      },
      vms: { old: { kind: 'libvirt', interfaces: { 'vm-old': { hostBridge: 'br0' } } } }
    })
  )
  const seen = new Map(
    Array.from(hostDevices(plan), ([name, { kind, altname }]) => [
      altname ?? name,
      `${kind}${altname === undefined ? '' : `, also ${name}`}`
    ])
  )
  expect(Object.fromEntries(seen)).toEqual({
    wg0: 'wireguard',
    lan: 'dummy',
    eno1: 'none',
    bond0: 'bond',
    lan7: 'vlan',
    br0: 'bridge',
    've-web': 'veth',
    've-side': 'veth',
    've-a-long-container': expect.stringMatching(/^veth, also ve-a-long-\w{5}$/),
    'vb-a-long-bridged-one': expect.stringMatching(/^veth, also vb-a-long-\w{5}$/),
    've-twelve-chars': 'veth',
    'vm-old': 'tun',
    enp5s0: 'none',
    slave: 'undefined',
    enp6s0: 'none',
    enp7s0: 'none'
  })
})

test('who sets the addresses of the host, as far as the file shows', () => {
  const of = (host: object): boolean => setsAddresses(buildTopology({ host }).host)
  expect(of({})).toBe(false)
  expect(of({ networkd: {} })).toBe(true)
  expect(of({ manager: 'scripted', networkd: {} })).toBe(false)
  expect(of({ manager: 'networkd' })).toBe(true)
})

test('what is written by hand counts where networkd runs, and is switched on', () => {
  const of = (host: object): readonly [number, number] => {
    const { host: built } = buildTopology({ host })
    return [writtenNetworks(built).length, writtenNetdevs(built).length]
  }
  const networkd = {
    networks: {
      '10-a': { matchConfig: { Name: 'a' } },
      '10-b': { enable: false, matchConfig: { Name: 'b' } }
    },
    netdevs: {
      '10-c': { netdevConfig: { Name: 'c', Kind: 'dummy' } },
      '10-d': { enable: false, netdevConfig: { Name: 'd', Kind: 'dummy' } }
    }
  }
  expect(of({ networkd })).toEqual([1, 1])
  expect(of({ manager: 'networkd', networkd })).toEqual([1, 1])
  expect(of({ manager: 'scripted', networkd })).toEqual([0, 0])
  expect(of({ manager: 'scripted', networkd: { enable: true, ...networkd } })).toEqual([1, 1])
  expect(of({ networkd: { enable: false, ...networkd } })).toEqual([0, 0])
  expect(of({ manager: 'networkd' })).toEqual([0, 0])
})
