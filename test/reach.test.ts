import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { analyze } from '../src/index.ts'
import { formatAddr, parseAddr } from '../src/net/addr.ts'
import { formatPrefix } from '../src/net/prefix.ts'
import { FAMILIES } from '../src/plan/plan.ts'
import { judging } from '../src/reach/expect.ts'
import type { Flow } from '../src/reach/flow.ts'
import { type Hop, trace } from '../src/reach/trace.ts'
import { type Machine, type World, worldOf } from '../src/reach/world.ts'

const worldFor = async (data: object | string): Promise<World> => {
  const text = typeof data === 'string' ? data : JSON.stringify({ version: 1, ...data })
  const { plan } = await analyze({ file: 'topology.yaml', text })
  if (plan === undefined) throw new Error('no plan')
  return worldOf(plan)
}

const flow = (
  world: World,
  from: string,
  to: string,
  port?: number,
  protocol: Flow['protocol'] = 'tcp'
): Flow => {
  const sender = world.machineOf(from)
  const parsed = parseAddr(to)
  if (sender === undefined || !('value' in parsed)) throw new Error(`${from} or ${to} is unknown`)
  return { from: sender.place, to: parsed.value, protocol: port === undefined ? 'icmp' : protocol, port }
}

const ends = (
  world: World,
  ...asked: Parameters<typeof flow> extends [World, ...infer Rest] ? Rest : never
): string => trace(world, flow(world, ...asked)).disposition

const example = (name: string): string =>
  readFileSync(new URL(`../examples/${name}.yaml`, import.meta.url), 'utf8')

/** A container on br0 of 10.5.0.1/24. */
const on = (host: number, more: object = {}): object => ({
  privateNetwork: true,
  hostBridge: 'br0',
  localAddress: `10.5.0.${host}/24`,
  defaultGateway: { address: '10.5.0.1', interface: 'eth0' },
  ...more
})

const base = {
  host: { manager: 'networkmanager', interfaces: { eth0: { dhcp: true } } },
  bridges: { br0: { address: ['10.5.0.1/24'] } }
}

const nat = { enable: true, internalInterfaces: ['br0'], externalInterface: 'eth0' }

describe('two containers on a bridge', () => {
  test.each([
    ['containerA', '192.168.100.3', 80, 'answered'],
    ['containerA', '192.168.100.3', 81, 'filtered'],
    ['containerB', '192.168.100.2', undefined, 'answered'],
    ['containerA', '192.168.100.1', 22, 'answered'],
    ['containerA', '192.168.100.1', 80, 'filtered'],
    ['containerA', '192.168.100.5', undefined, 'no-neighbour'],
    ['containerA', '203.0.113.10', 443, 'refused'],
    ['containerA', '2001:db8:ffff::10', 443, 'no-route'],
    ['internet', '192.168.100.3', 80, 'no-route'],
    ['lan', '192.168.100.3', 80, 'no-route'],
    ['host', '192.168.100.3', 80, 'answered']
  ] as const)('%s to %s port %s: %s', async (from, to, port, expected) => {
    expect(ends(await worldFor(example('two-containers')), from, to, port)).toBe(expected)
  })

  test('the internet sees the host', async () => {
    const world = await worldFor(example('two-containers'))
    const { by, source } = trace(world, flow(world, 'containerA', '203.0.113.10'))
    expect([by, source]).toEqual([
      { kind: 'internet' },
      expect.objectContaining({ family: 4, value: 0xc6336402n })
    ])
  })
})

describe('a flow ends as', () => {
  test('not-forwarded where the host is no router', async () => {
    const world = await worldFor({
      ...base,
      containers: { a: on(2), b: { privateNetwork: true, hostAddress: '10.6.0.1', localAddress: '10.6.0.2' } }
    })
    expect(ends(world, 'a', '10.6.0.2')).toBe('not-forwarded')
  })

  test('no-way-back without translation', async () => {
    const world = await worldFor({
      ...base,
      nat: { ...nat, internalInterfaces: ['ve-+'] },
      containers: { a: on(2) }
    })
    expect(ends(world, 'a', '203.0.113.10')).toBe('no-way-back')
  })

  test('rejected by a firewall that says so', async () => {
    const world = await worldFor({
      ...base,
      containers: { a: on(2), b: on(3, { firewall: { rejectPackets: true } }) }
    })
    expect(ends(world, 'a', '10.5.0.3', 80)).toBe('rejected')
  })

  test('forged-source where the other has no route back', async () => {
    const world = await worldFor({
      ...base,
      nat,
      containers: {
        a: on(2, { defaultGateway: undefined }),
        b: { privateNetwork: true, hostAddress: '10.6.0.1', localAddress: '10.6.0.2' }
      }
    })
    expect(ends(world, 'b', '10.5.0.2')).toBe('forged-source')
    expect(ends(world, 'a', '10.6.0.2')).toBe('no-route')
  })

  test('no-neighbour between a macvlan and its host', async () => {
    const world = await worldFor({
      host: { interfaces: { eth0: { address: ['10.5.0.1/24'] } } },
      containers: {
        a: {
          privateNetwork: true,
          macvlans: ['eth0'],
          inside: { interfaces: { 'mv-eth0': { address: ['10.5.0.9/24'] } } }
        }
      }
    })
    expect(ends(world, 'a', '10.5.0.1')).toBe('no-neighbour')
    expect(ends(world, 'a', '10.5.0.3')).toBe('answered')
  })
})

describe('macvlans of the host', () => {
  const dns = {
    privateNetwork: true,
    macvlans: ['eth0'],
    inside: { interfaces: { 'mv-eth0': { address: ['10.5.0.9/24', 'fd12::9/64'] } } }
  }
  const withMode = async (mode: string | undefined, interfaces: object): Promise<World> =>
    worldFor({
      host: { interfaces, macvlans: { mv: { interface: 'eth0', ...(mode === undefined ? {} : { mode }) } } },
      containers: { dns }
    })

  test('in bridge mode hear those of containers, in others only what is outside', async () => {
    const mv = { mv: { address: ['10.5.0.1/24', 'fd12::1/64'] } }
    for (const [mode, disposition] of [
      ['bridge', 'answered'],
      ['private', 'no-neighbour'],
      ['vepa', 'no-neighbour'],
      [undefined, 'no-neighbour']
    ] as const) {
      const world = await withMode(mode, mv)
      for (const [from, to] of [
        ['host', '10.5.0.9'],
        ['host', 'fd12::9'],
        ['dns', '10.5.0.1'],
        ['dns', 'fd12::1']
      ] as const)
        expect([mode, to, ends(world, from, to)]).toEqual([mode, to, disposition])
      for (const to of ['10.5.0.1', 'fd12::1']) expect(ends(world, 'lan', to)).toBe('answered')
    }
  })

  test('answer in IPv4 for the address of the card too, and are nothing on a port or on nothing', async () => {
    const world = await withMode('bridge', {
      eth0: { address: ['10.5.0.1/24', 'fd12::1/64'] },
      mv: { address: ['10.5.0.2/32'], routes: [{ address: '10.5.0.9/32' }] }
    })
    expect(ends(world, 'dns', '10.5.0.1')).toBe('answered')
    expect(ends(world, 'dns', 'fd12::1')).toBe('no-neighbour')
    const onPort = await worldFor({
      host: {
        interfaces: { mv: { address: ['10.6.0.1/24'] } },
        macvlans: {
          mv: { interface: 'eth0', mode: 'bridge' },
          circle: { interface: 'round', mode: 'bridge' },
          round: { interface: 'circle' },
          loop: { interface: 'lo' }
        }
      },
      bridges: { br0: { interfaces: ['eth0'], address: ['10.5.0.1/24'] } }
    })
    expect(onPort.host.interfaces.map(({ name }) => name)).toEqual(['br0'])
  })

  test('on one another stand on the same card', async () => {
    const world = await worldFor({
      host: {
        interfaces: { mv: { address: ['10.5.0.1/24', 'fd12::1/64'] } },
        macvlans: {
          mv: { interface: 'below', mode: 'bridge' },
          below: { interface: 'eth0', mode: 'bridge' }
        }
      },
      containers: {
        dns,
        other: {
          ...dns,
          macvlans: ['mv'],
          inside: { interfaces: { 'mv-mv': { address: ['10.5.0.8/24', 'fd12::8/64'] } } }
        }
      }
    })
    for (const to of ['10.5.0.9', 'fd12::9', '10.5.0.8', 'fd12::8'])
      expect([to, ends(world, 'host', to)]).toEqual([to, 'answered'])
    expect(ends(world, 'other', 'fd12::9')).toBe('answered')
  })
})

describe('forwards', () => {
  const forwarded = async (backend: string, loopbackIPs: readonly string[]): Promise<World> =>
    worldFor({
      ...base,
      host: { ...base.host, interfaces: { eth0: { address: ['198.51.100.7/24'] } }, firewall: { backend } },
      nat: { ...nat, forwardPorts: [{ sourcePort: 8080, destination: '10.5.0.2:80', loopbackIPs }] },
      containers: {
        web: on(2, { firewall: { allowedTCPPorts: [80] }, listens: [{ port: 80 }] }),
        other: on(3)
      }
    })

  test.each(['iptables', 'nftables'])(
    'of %s are for those outside, and with loopbackIPs for all',
    async backend => {
      const plain = await forwarded(backend, [])
      expect(ends(plain, 'internet', '198.51.100.7', 8080)).toBe('answered')
      expect(ends(plain, 'other', '198.51.100.7', 8080)).toBe('filtered')
      const loop = await forwarded(backend, ['198.51.100.7'])
      expect(ends(loop, 'other', '198.51.100.7', 8080)).toBe('answered')
      expect(ends(loop, 'host', '198.51.100.7', 8080)).toBe('answered')
    }
  )
})

describe('what iptables reads otherwise than it was meant', () => {
  const read = async (backend: string, forward: object): Promise<World> =>
    worldFor({
      host: {
        ...base.host,
        interfaces: { eth0: { address: ['198.51.100.7/24', '2001:db8:7::7/64'] } },
        firewall: { backend }
      },
      nat: { ...nat, enableIPv6: true, forwardPorts: [{ sourcePort: 8080, ...forward }] },
      bridges: { br0: { address: ['10.5.0.1/24', 'fd5e:5::1/64'] } },
      containers: {
        web: on(2, {
          localAddress6: 'fd5e:5::2:80/64',
          defaultGateway6: { address: 'fd5e:5::1', interface: 'eth0' },
          firewall: { allowedTCPPorts: [80, 8080] },
          listens: [{ port: 80 }, { port: 8080 }]
        })
      }
    })

  test.each([
    ['iptables', { proto: 'TCP', destination: '10.5.0.2:80' }, '198.51.100.7', 'answered'],
    ['nftables', { proto: 'TCP', destination: '10.5.0.2:80' }, '198.51.100.7', 'refused'],
    ['nftables', { proto: 'tcp', destination: '10.5.0.2:80' }, '198.51.100.7', 'answered'],
    ['iptables', { proto: 'sctp', destination: '10.5.0.2:80' }, '198.51.100.7', 'filtered'],
    // The port is the end of the address, and the packets keep theirs.
    ['iptables', { destination: 'fd5e:5::2:80' }, '2001:db8:7::7', 'answered'],
    ['nftables', { destination: 'fd5e:5::2:80' }, '2001:db8:7::7', 'refused']
  ])('%s, %j at %s: %s', async (backend, forward, to, disposition) => {
    expect(ends(await read(backend, forward), 'internet', to, 8080)).toBe(disposition)
  })
})

describe('expectations', () => {
  const world = async (expected: readonly object[]): Promise<World> =>
    worldFor({
      ...base,
      nat: { ...nat, forwardPorts: [{ sourcePort: 8080, destination: '10.5.0.2:80' }] },
      containers: { web: on(2, { firewall: { allowedTCPPorts: [80] } }), db: on(3) },
      expect: expected
    })

  test.each([
    [{ from: 'db', to: 'web', port: 80, outcome: 'reaches' }, true],
    [{ from: 'web', to: 'db', port: 5432, outcome: 'blocked' }, true],
    [{ from: 'web', to: 'db', port: 5432, outcome: 'reaches' }, false],
    [{ from: 'web', to: 'internet', outcome: 'reaches' }, true],
    [{ from: 'internet', to: 'db', port: 80, outcome: 'blocked' }, true],
    // By the forward.
    [{ from: 'internet', to: 'web', port: 80, outcome: 'blocked' }, false],
    [{ from: 'internet', to: 'web', port: 80, outcome: 'reaches' }, true],
    [{ from: 'web', to: 'internet', family: 6, outcome: 'reaches' }, false],
    [{ from: 'web', to: '10.5.0.1', outcome: 'reaches' }, true],
    [{ from: 'nobody', to: 'web', outcome: 'blocked' }, false]
  ])('%j: %s', async (entry, holds) => {
    const made = await world([entry])
    const [expectation] = made.plan.topology.expectations
    if (expectation === undefined) throw new Error('no expectation')
    expect(judging(made)(expectation).holds).toBe(holds)
  })
})

test('a trace names the hops, and the places of the file that make them', async () => {
  const world = await worldFor(example('two-containers'))
  const hops: Hop[] = []
  trace(world, flow(world, 'containerA', '203.0.113.10', 443), hops)
  expect(hops.map(({ at, because }) => [at.place.kind, because?.join('.')])).toEqual([
    ['container', 'containers.containerA.defaultGateway'],
    ['host', 'nat'],
    ['host', 'host'],
    ['internet', undefined],
    ['internet', undefined],
    ['host', 'bridges.br0']
  ])
})

test('every way to end is defined', () => {
  const page = readFileSync(new URL('../docs/dispositions.md', import.meta.url), 'utf8')
  const code = readFileSync(new URL('../src/reach/trace.ts', import.meta.url), 'utf8')
  const known =
    /export type Disposition =([^\n]*\n(?: {2}\| '[a-z-]+'\n)*)/.exec(code)?.[1]?.match(/'[a-z-]+'/g) ?? []
  expect(known.length).toBeGreaterThan(8)
  for (const name of known) expect(page).toContain(`| \`${name.slice(1, -1)}\` |`)
})

/** A machine's routes in the order in which they were set, each with where it is from. */
const routesOf = (machine: Machine | undefined): string[] =>
  FAMILIES.flatMap(family =>
    Array.from(
      machine?.routes[family].values() ?? [],
      ({ destination, via, interface: { name }, at }) =>
        `${formatPrefix(destination)}${via === undefined ? '' : ` via ${formatAddr(via)}`} dev ${name}, ${at.slice(-2).join('.')}`
    )
  ).sort()

describe('the routes of a machine', () => {
  test('are those of its addresses and of the other end of its pair, of which the own one is the way out', async () => {
    const world = await worldFor({
      containers: {
        a: {
          privateNetwork: true,
          hostAddress: '10.6.0.1',
          localAddress: '10.6.0.2',
          hostAddress6: 'fd00:6::1',
          localAddress6: 'fd00:6::2',
          extraVeths: { 've-x': { hostAddress: '10.7.0.1', localAddress: '10.7.0.2' } }
        }
      }
    })
    expect(routesOf(world.machineOf('a'))).toEqual([
      '0.0.0.0/0 via 10.6.0.1 dev eth0, a.hostAddress',
      '10.6.0.1/32 dev eth0, a.hostAddress',
      '10.7.0.1/32 dev ve-x, ve-x.hostAddress',
      '::/0 via fd00:6::1 dev eth0, a.hostAddress6',
      'fd00:6::1/128 dev eth0, a.hostAddress6',
      'fd00:6::2/128 dev eth0, a.localAddress6'
    ])
    expect(routesOf(world.host)).toEqual([
      '10.6.0.2/32 dev ve-a, a.localAddress',
      '10.7.0.2/32 dev ve-x, ve-x.localAddress',
      'fd00:6::1/128 dev ve-a, containers.a',
      'fd00:6::2/128 dev ve-a, a.localAddress6'
    ])
  })

  test('leave by the interface that they are written for, and a bad address makes none', async () => {
    const world = await worldFor({
      ...base,
      bridges: { br0: { address: ['10.5.0.1/24', 'fd00:5::1/64'] }, br1: {} },
      containers: {
        a: on(2, {
          defaultGateway: { address: '10.5.9.1', interface: 'eth0' },
          localAddress6: 'fd00:5::2/64',
          extraVeths: { 've-x': { hostBridge: 'br1', localAddress: '10.7.0.2/24' } },
          routes: [
            { address: '10.20.7.0/16', via: '10.5.0.9' },
            { address: '10.21.0.0/16', via: '10.7.0.9', interface: 've-x' },
            { address: '10.22.0.0/16' },
            { address: '10.23.0.0/16', via: '10.5.0.999' },
            { address: '10.999.0.0/16', via: '10.5.0.9' },
            { address: '0.0.0.0/0', via: '10.5.0.7' }
          ],
          inside: { interfaces: { 've-x': { routes: [{ address: '::/0', via: 'fe80::1' }] } } }
        }),
        // The router of IPv6 stands in the option of IPv4.
        b: on(3, { localAddress6: 'fd00:5::3/64', defaultGateway: { address: 'fd00:5::1' } }),
        c: on(4, { defaultGateway: { address: '10.5.0.888', interface: 'eth0' } })
      }
    })
    expect(routesOf(world.machineOf('a'))).toEqual([
      '0.0.0.0/0 via 10.5.9.1 dev eth0, a.defaultGateway',
      '10.20.0.0/16 via 10.5.0.9 dev eth0, routes.0',
      '10.21.0.0/16 via 10.7.0.9 dev ve-x, routes.1',
      '10.22.0.0/16 dev eth0, routes.2',
      '10.5.0.0/24 dev eth0, a.localAddress',
      '10.5.9.1/32 dev eth0, a.defaultGateway',
      '10.7.0.0/24 dev ve-x, ve-x.localAddress',
      '::/0 via fe80::1 dev ve-x, routes.0',
      'fd00:5::/64 dev eth0, a.localAddress6'
    ])
    expect(routesOf(world.machineOf('b'))).toEqual([
      '10.5.0.0/24 dev eth0, b.localAddress',
      '::/0 via fd00:5::1 dev eth0, b.defaultGateway',
      'fd00:5::/64 dev eth0, b.localAddress6'
    ])
    expect(routesOf(world.machineOf('c'))).toEqual(['10.5.0.0/24 dev eth0, c.localAddress'])
  })

  test('of the host are by gateways of both families, those of its interfaces, and by none of an address that is not set', async () => {
    const world = await worldFor({
      host: {
        networkd: {
          enable: true,
          netdevs: { '20-br0': { netdevConfig: { Name: 'br0', Kind: 'bridge' } } },
          networks: {
            '10-br0': { matchConfig: { Name: 'br0' }, address: ['10.1.0.1/24'] },
            '20-br0': { matchConfig: { Name: 'br0' }, address: ['10.2.0.1/24', 'fd00:2::1/64'] }
          }
        },
        interfaces: {
          eth0: {
            address: ['203.0.113.77/32', '2001:db8:77::2/64'],
            routes: [{ address: '10.30.0.0/16' }, { address: '10.31.0.0/16', via: '10.31.0.300' }]
          }
        },
        defaultGateway: { address: '203.0.113.1', interface: 'eth0' },
        defaultGateway6: { address: '2001:db8:77::1' }
      },
      containers: { a: { privateNetwork: true, hostBridge: 'br0', localAddress: '10.1.0.2/24' } }
    })
    expect(routesOf(world.host)).toEqual([
      '0.0.0.0/0 via 203.0.113.1 dev eth0, host.defaultGateway',
      '10.1.0.0/24 dev br0, netdevConfig.Name',
      '10.30.0.0/16 dev eth0, routes.0',
      '2001:db8:77::/64 dev eth0, interfaces.eth0',
      '203.0.113.1/32 dev eth0, host.defaultGateway',
      '::/0 via 2001:db8:77::1 dev eth0, host.defaultGateway6'
    ])
  })
})

describe('who answers ARP for whom he routes to', () => {
  const pair = { privateNetwork: true, hostAddress: '10.20.0.1', localAddress: '10.5.0.77' }

  test.each([
    ['nobody by himself', { sysctl: { 'net.ipv4.ip_forward': 1 } }, 'no-neighbour'],
    [
      'the host, by a sysctl',
      { sysctl: { 'net.ipv4.ip_forward': 1, 'net.ipv4.conf.all.proxy_arp': 1 } },
      'answered'
    ],
    ['no host that is no router', { sysctl: { 'net.ipv4.conf.all.proxy_arp': 1 } }, 'no-neighbour'],
    [
      'the host, by an option, which makes it a router',
      { interfaces: { br0: { proxyARP: true } } },
      'answered'
    ],
    [
      'nobody where forwarding is refused by name',
      { interfaces: { br0: { proxyARP: true } }, sysctl: { 'net.ipv4.conf.all.forwarding': 0 } },
      'no-neighbour'
    ]
  ])('%s', async (_, host, expected) => {
    const world = await worldFor({
      host: { manager: 'networkmanager', ...host },
      bridges: { br0: { address: ['10.5.0.1/24'] } },
      containers: { a: on(2), b: pair }
    })
    expect(ends(world, 'a', '10.5.0.77')).toBe(expected)
  })
})
