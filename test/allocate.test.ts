import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { analyze, type Plan } from '../src/index.ts'
import { contains, masked, parsePrefix, type Prefix } from '../src/net/prefix.ts'

// What `auto` becomes: from the pool, nobody else's, the same again, and moved by nothing that is added at the end.

const resolved = async (data: unknown): Promise<Plan> => {
  const { plan, report } = await analyze({ file: 'topology.yaml', text: JSON.stringify(data) })
  if (plan === undefined) throw new Error(JSON.stringify(report.findings))
  return plan
}

const valuesOf = ({ allocations }: Plan): Record<string, readonly (string | number)[]> =>
  Object.fromEntries(allocations.map(({ at, values }) => [at.join('.'), values]))

const reasons = ({ unallocated }: Plan): string[] =>
  unallocated.map(({ at, reason, family }) => `${at.join('.')} ${reason} IPv${family}`)

const on = (hostBridge: string, more: object = {}): object => ({
  privateNetwork: true,
  hostBridge,
  localAddress: 'auto',
  internet: false,
  ...more
})

describe('a bridge', () => {
  test('gets room for its members and as many again, containers the lowest that is left, gateways the bridge', async () => {
    const plan = await resolved({
      version: 1,
      bridges: { br0: { address: 'auto' }, br1: { address: ['auto'], size: 20 } },
      containers: {
        a: on('br0', { defaultGateway: { address: 'auto', interface: 'eth0' } }),
        b: on('br0', { localAddress: '10.231.0.2/29' }),
        c: on('br0', { hostAddress: 'auto' }),
        d: on('br1')
      }
    })
    // b has an address already, so the bridge joins it.
    expect(valuesOf(plan)).toEqual({
      'bridges.br0.address': ['10.231.0.1/29'],
      'bridges.br1.address.0': ['10.231.0.33/27'],
      'containers.a.localAddress': ['10.231.0.3/29'],
      'containers.a.defaultGateway.address': ['10.231.0.1'],
      'containers.c.localAddress': ['10.231.0.4/29'],
      'containers.c.hostAddress': ['10.231.0.1'],
      'containers.d.localAddress': ['10.231.0.34/27']
    })
    expect(plan.unallocated).toEqual([])
  })

  test('of both families gets a subnet of each', async () => {
    const plan = await resolved({
      version: 1,
      pools: { main: { prefix: '10.5.0.0/16' }, ula: { prefix: 'fd12:3456:789a::/48' } },
      bridges: { br0: { address: 'auto' }, br1: { address: 'auto' } },
      containers: {
        a: on('br0', { localAddress6: 'auto' }),
        b: on('br1', { localAddress: undefined, localAddress6: 'auto' })
      }
    })
    expect(valuesOf(plan)).toEqual({
      'bridges.br0.address': ['10.5.0.1/29', 'fd12:3456:789a::1/64'],
      'bridges.br1.address': ['fd12:3456:789a:1::1/64'],
      'containers.a.localAddress': ['10.5.0.2/29'],
      'containers.a.localAddress6': ['fd12:3456:789a::2/64'],
      'containers.b.localAddress6': ['fd12:3456:789a:1::2/64']
    })
  })

  test('takes from the pool of its name', async () => {
    const plan = await resolved({
      version: 1,
      pools: {
        main: { prefix: '10.5.0.0/16' },
        br1: { prefix: '10.6.0.0/16', exclude: ['10.6.0.0/24', '10.6.1.2'] }
      },
      bridges: { br0: { address: 'auto' }, br1: { address: 'auto' } },
      containers: { a: on('br0'), b: on('br1') }
    })
    expect(plan.allocations.map(({ values: [value], pool }) => [value, pool])).toEqual([
      ['10.5.0.1/29', 'main'],
      ['10.6.1.9/29', 'br1'],
      ['10.5.0.2/29', undefined],
      ['10.6.1.10/29', undefined]
    ])
  })

  test('to outside gives only what a pool within its network says is ours', async () => {
    const lan = { br0: { address: ['192.168.1.2/24'], interfaces: ['eth1'] } }
    const without = await resolved({ version: 1, bridges: lan, containers: { a: on('br0') } })
    expect(reasons(without)).toEqual(['containers.a.localAddress no-pool IPv4'])
    // By a pattern, as people write it for networkd; the taps of machines in the file lead to nobody else.
    const byUnit = (Name: string): Promise<Plan> =>
      resolved({
        version: 1,
        host: {
          networkd: {
            enable: true,
            networks: { '30-ports': { matchConfig: { Name }, networkConfig: { Bridge: 'br0' } } }
          }
        },
        bridges: { br0: { address: ['192.168.1.2/24', 'fd12:3456:789a::1/64'] } },
        containers: {
          a: { privateNetwork: true, hostBridge: 'br0', localAddress: 'auto', localAddress6: 'auto' },
          b: { privateNetwork: true, extraVeths: { extra1: { hostBridge: 'br0' } } }
        },
        vms: { v: { interfaces: { 'vm-v': { hostBridge: 'br0', address: ['192.168.1.3/24'] } } } }
      })
    expect(reasons(await byUnit('en* vm-*'))).toEqual([
      'containers.a.localAddress no-pool IPv4',
      'containers.a.localAddress6 no-pool IPv6'
    ])
    expect(reasons(await byUnit('vb-* vm-* extra?'))).toEqual([])
    const pools = { lan: { prefix: '192.168.1.192/27' } }
    const plan = await resolved({ version: 1, pools, bridges: lan, containers: { a: on('br0') } })
    expect(valuesOf(plan)).toEqual({ 'containers.a.localAddress': ['192.168.1.192/24'] })
    const all = { lan: { prefix: '192.168.1.0/24', exclude: ['192.168.1.1-192.168.1.99'] } }
    const whole = await resolved({ version: 1, pools: all, bridges: lan, containers: { a: on('br0') } })
    expect(valuesOf(whole)).toEqual({ 'containers.a.localAddress': ['192.168.1.100/24'] })
    const two = await resolved({
      version: 1,
      pools: {
        one: { prefix: '192.168.1.193/32' },
        two: { prefix: '192.168.1.200/31' },
        wide: { prefix: '192.168.0.0/16' }
      },
      bridges: { br0: { address: ['192.168.1.2/24'], dhcp: true } },
      containers: { a: on('br0'), b: on('br0'), c: on('br0'), d: on('br0') }
    })
    expect(two.allocations.map(({ values: [value], pool }) => [value, pool])).toEqual([
      ['192.168.1.193/24', 'one'],
      ['192.168.1.200/24', 'two'],
      ['192.168.1.201/24', 'two']
    ])
    expect(two.unallocated).toMatchObject([
      { reason: 'full', wanted: 1, within: { at: ['bridges', 'br0', 'address', 0], text: '192.168.1.0/24' } }
    ])
  })

  test('gives nobody an address that the file names as that of somebody else', async () => {
    const named: readonly (readonly [string, object, object])[] = [
      [
        'a route of the host',
        { interfaces: { eth0: { routes: [{ address: '10.9.0.0/16', via: '10.5.0.2' }] } } },
        {}
      ],
      [
        'a route of a bridge',
        { interfaces: { br0: { routes: [{ address: '10.9.0.0/16', via: '10.5.0.2' }] } } },
        {}
      ],
      ['a router of the host', { defaultGateway: '10.5.0.2' }, {}],
      ['a nameserver of the host', { nameservers: ['10.5.0.2'] }, {}],
      ['a line of its resolv.conf', { resolvConf: ['10.5.0.2'] }, {}],
      ['an address that moves', { virtualAddresses: ['10.5.0.2/32'] }, {}],
      ['the DMZ host', {}, { nat: { enable: true, dmzHost: '10.5.0.2' } }],
      [
        'a forward',
        {},
        { nat: { enable: true, forwardPorts: [{ sourcePort: 1, destination: '10.5.0.2:1' }] } }
      ],
      ['the router of a machine', {}, { vms: { v: { defaultGateway: '10.5.0.2' } } }],
      [
        'a machine',
        {},
        { vms: { v: { enabled: false, interfaces: { t: { hostBridge: 'br0', address: ['10.5.0.2/28'] } } } } }
      ],
      ...(
        [
          { routes: [{ address: '10.9.0.0/16', via: '10.5.0.2' }] },
          { defaultGateway: { address: '10.5.0.2', interface: 'eth0' } },
          { nameservers: ['10.5.0.2'] },
          { virtualAddresses: ['10.5.0.2/32'] },
          { extraVeths: { x: { hostAddress: '10.5.0.2' } } },
          { enabled: false, localAddress: '10.5.0.2/28' },
          { inside: { interfaces: { lan: { address: ['10.5.0.2/32'] } } } },
          { inside: { interfaces: { eth0: { routes: [{ address: '10.9.0.0/16', via: '10.5.0.2' }] } } } }
        ] as const
      ).map(
        options =>
          [
            JSON.stringify(options),
            {},
            { containers: { z: on('br0', { localAddress: '10.5.0.9/28', ...options }) } }
          ] as const
      )
    ]
    for (const [what, host, more] of named) {
      const text = { version: 1, host, bridges: { br0: { address: ['10.5.0.1/28'] } }, ...more }
      const { containers } = { containers: {}, ...more }
      const plan = await resolved({ ...text, containers: { ...containers, a: on('br0') } })
      expect([what, valuesOf(plan)]).toEqual([what, { 'containers.a.localAddress': ['10.5.0.3/28'] }])
    }
  })

  test('that is full says so, each time', async () => {
    const plan = await resolved({
      version: 1,
      bridges: { br0: { address: ['10.5.0.1/30'] } },
      containers: { a: on('br0'), b: on('br0') }
    })
    expect(valuesOf(plan)).toEqual({ 'containers.a.localAddress': ['10.5.0.2/30'] })
    expect(reasons(plan)).toEqual(['containers.b.localAddress full IPv4'])
  })
})

describe('a pair', () => {
  test('gets two addresses beside each other, and never an end of the pool', async () => {
    const pair = { privateNetwork: true, hostAddress: 'auto', localAddress: 'auto', internet: false }
    const plan = await resolved({
      version: 1,
      pools: { main: { prefix: '10.5.0.0/28' }, ula: { prefix: 'fd00:1:2::/48' } },
      containers: {
        a: pair,
        b: { ...pair, hostAddress: '10.5.0.4' },
        c: { ...pair, hostAddress6: 'auto', localAddress6: 'auto' }
      }
    })
    expect(valuesOf(plan)).toEqual({
      'containers.a.hostAddress': ['10.5.0.2'],
      'containers.a.localAddress': ['10.5.0.3'],
      'containers.b.localAddress': ['10.5.0.5'],
      'containers.c.hostAddress': ['10.5.0.6'],
      'containers.c.localAddress': ['10.5.0.7'],
      'containers.c.hostAddress6': ['fd00:1:2::2'],
      'containers.c.localAddress6': ['fd00:1:2::3']
    })
  })

  test('avoids what others have: reserved space, the LAN, DHCP, nixos-container, forwards', async () => {
    const plan = await resolved({
      version: 1,
      host: {
        interfaces: { eth0: { address: ['10.232.0.5/16'] } },
        dhcpServers: [{ interface: 'br0', program: 'dnsmasq', range: '10.234.0.1-10.234.0.9' }]
      },
      pools: { main: { prefix: '10.232.0.0/14' } },
      bridges: { br0: { address: ['10.235.0.1/24'] } },
      reserved: [{ prefix: '10.234.0.0/29', for: 'vpn' }],
      nat: {
        enable: true,
        externalInterface: 'eth0',
        forwardPorts: [{ sourcePort: 80, destination: '10.234.0.10:80' }]
      },
      containers: {
        a: { privateNetwork: true, hostAddress: '10.235.1.1', localAddress: 'auto', internet: false }
      }
    })
    expect(valuesOf(plan)).toEqual({ 'containers.a.localAddress': ['10.234.0.11'] })
  })
})

describe('where members of a bridge have addresses', () => {
  test('it joins their network, and nobody else gets a part of it', async () => {
    const plan = await resolved({
      version: 1,
      pools: { main: { prefix: '10.5.0.0/16' }, ula: { prefix: 'fd12:3456:789a::/48' } },
      bridges: {
        br0: { address: 'auto' },
        br1: { address: ['auto', 'auto'] },
        br2: {},
        br3: { address: ['fd12:3456:789a:40::1/64', 'auto'] }
      },
      containers: {
        a: on('br0', { localAddress6: 'auto' }),
        b: on('br1', { localAddress: '10.5.0.9/24', localAddress6: 'fd12:3456:789a::9/60' }),
        c: on('br2', { localAddress: '10.5.1.9/24', localAddress6: 'fd12:3456:789a:10::9/64' }),
        d: on('br3', { localAddress: '10.5.3.9/24' }),
        // Its prefix length is a mistake of its own, and takes nothing from others.
        e: on('br3', { localAddress: undefined, localAddress6: 'fd12:3456:789a:40::9/40' }),
        f: { privateNetwork: true, hostAddress: 'auto', localAddress: 'auto', internet: false }
      },
      vms: { v: { interfaces: { 'vm-v': { hostBridge: 'br2', address: '10.5.2.9/24' } } } }
    })
    expect(valuesOf(plan)).toEqual({
      'bridges.br0.address': ['10.5.4.1/29', 'fd12:3456:789a:11::1/64'],
      'bridges.br1.address.0': ['10.5.0.1/24'],
      'bridges.br1.address.1': ['fd12:3456:789a::1/60'],
      'bridges.br3.address.1': ['10.5.3.1/24'],
      'containers.a.localAddress': ['10.5.4.2/29'],
      'containers.a.localAddress6': ['fd12:3456:789a:11::2/64'],
      'containers.f.hostAddress': ['10.5.4.8'],
      'containers.f.localAddress': ['10.5.4.9']
    })
  })

  test('and machines that nobody knows, it takes only what a pool says is ours', async () => {
    const lan = {
      version: 1,
      bridges: { br0: { address: 'auto', interfaces: ['enp2s0'] } },
      containers: { a: on('br0', { localAddress: '192.168.1.50/24' }), b: on('br0') }
    }
    const plan = await resolved({ ...lan, pools: { lan: { prefix: '192.168.1.192/27' } } })
    expect(plan.allocations.map(({ values: [value], kind, pool }) => [value, kind, pool])).toEqual([
      ['192.168.1.192/24', 'subnet', 'lan'],
      ['192.168.1.193/24', 'address', 'lan']
    ])
    expect(reasons(await resolved(lan))).toEqual([
      'bridges.br0.address no-pool IPv4',
      'containers.b.localAddress no-network IPv4'
    ])
  })
})

test('a subnet has room for those on it and as many again, or for what is asked, and them', async () => {
  const many = (bridge: string, count: number): Record<string, object> =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`${bridge}-${i}`, on(bridge)]))
  const plan = await resolved({
    version: 1,
    bridges: Object.fromEntries(
      [undefined, undefined, 3, 14, 15].map((size, i) => [`br${i}`, { address: 'auto', size }])
    ),
    containers: { ...many('br0', 2), ...many('br1', 3), ...many('br2', 6), ...many('br3', 6) }
  })
  expect(plan.topology.bridges.map(({ addresses: [address] }) => address?.text)).toEqual([
    '10.231.0.1/29',
    '10.231.0.17/28',
    '10.231.0.33/28',
    '10.231.0.49/28',
    '10.231.0.65/27'
  ])
  expect(plan.topology.bridges[0]?.addresses[0]).toMatchObject({ bare: false, prefix: { bits: 29 } })
})

test('a bridge that has an address gets one of the other family, or else one more', async () => {
  const plan = await resolved({
    version: 1,
    pools: { ula: { prefix: 'fd12:3456:789a::/48' } },
    bridges: {
      br0: { address: ['10.5.0.1/24', 'auto'] },
      br1: { address: ['auto', '10.6.0.1/24'] },
      br2: { address: ['auto', 'auto'] },
      br3: { address: ['auto', 'auto'] }
    },
    containers: { a: on('br0', { localAddress6: 'auto' }), b: on('br2', { localAddress6: 'auto' }) }
  })
  expect(plan.topology.bridges.map(({ addresses }) => addresses.map(({ text }) => text))).toEqual([
    ['10.5.0.1/24', 'fd12:3456:789a::1/64'],
    ['10.231.0.1/29', '10.6.0.1/24'],
    ['10.231.0.9/29', 'fd12:3456:789a:1::1/64'],
    ['10.231.0.17/29', '10.231.0.25/29']
  ])
})

test('pools that lie in each other give nothing twice', async () => {
  const plan = await resolved({
    version: 1,
    pools: {
      main: { prefix: '10.5.0.0/16' },
      br1: { prefix: '10.5.0.0/28' },
      br2: { prefix: '10.5.0.0/28' }
    },
    bridges: {
      br0: { address: 'auto' },
      br1: { address: 'auto' },
      br2: { address: 'auto' },
      br3: { address: 'auto', size: 60_000 }
    },
    containers: { a: on('br0'), b: on('br1'), c: on('br2'), d: on('br3') }
  })
  expect(plan.allocations.slice(0, 3).map(({ values: [value], pool }) => [value, pool])).toEqual([
    ['10.5.0.17/29', 'main'],
    ['10.5.0.1/29', 'br1'],
    ['10.5.0.9/29', 'br2']
  ])
  // What lies in another pool is none of its own.
  expect(plan.unallocated).toMatchObject([
    { at: ['bridges', 'br3', 'address'], kind: 'subnet', reason: 'full', wanted: 60_000 },
    { at: ['containers', 'd', 'localAddress'], kind: 'address', reason: 'no-network' }
  ])
})

test('the range of nixos-container is given where a pool lies in it, without what is written there', async () => {
  const plan = await resolved({
    version: 1,
    pools: { hand: { prefix: '10.233.0.0/24' } },
    bridges: { br0: { address: 'auto' }, br1: { address: '10.233.0.9/29' } },
    containers: {
      a: on('br0', { localAddress: 'auto' }),
      b: { privateNetwork: true, hostAddress: '10.233.0.16', localAddress: 'auto', internet: false }
    }
  })
  expect(valuesOf(plan)).toEqual({
    'bridges.br0.address': ['10.233.0.1/29'],
    'containers.a.localAddress': ['10.233.0.2/29'],
    'containers.b.localAddress': ['10.233.0.17']
  })
})

test('networks within that of a bridge are not its own, whatever lies around it', async () => {
  const plan = await resolved({
    version: 1,
    host: { interfaces: { eth0: { address: ['10.4.0.1/24', 'fd12:3456:7899::1/64'] } } },
    bridges: {
      br0: { address: ['10.5.0.1/28', 'fd12:3456:789a::1/125'] },
      br1: { address: ['10.6.0.1/24', 'fd12:3456:789b::1/64'] }
    },
    reserved: [
      '10.5.0.0/16',
      '10.5.0.12/31',
      '10.5.0.2/31',
      '10.5.0.4/30',
      'fd12:3456:789a::7/128',
      'fd12:3456:789a::2/127'
    ].map(prefix => ({ prefix, for: 'others' })),
    containers: Object.fromEntries(
      Array.from({ length: 6 }, (_, i) => [`c${i}`, on('br0', { localAddress6: 'auto' })])
    )
  })
  expect(plan.topology.containers.map(({ veth }) => veth.localAddress?.text.split('/')[0])).toEqual([
    '10.5.0.8',
    '10.5.0.9',
    '10.5.0.10',
    '10.5.0.11',
    '10.5.0.14',
    'auto'
  ])
  expect(plan.topology.containers.map(({ veth }) => veth.localAddress6?.text)).toEqual([
    ...[4, 5, 6].map(n => `fd12:3456:789a::${n}/125`),
    'auto',
    'auto',
    'auto'
  ])
})

test('a router is the other end of the interface that leads to it', async () => {
  const plan = await resolved({
    version: 1,
    pools: { ula: { prefix: 'fd12:3456:789a::/48' } },
    bridges: {
      br0: { address: ['10.5.0.1/24', 'fd12:3456:789b::1/64'] },
      br1: { address: ['10.6.0.1/24', 'fd12:3456:789c::1/64'] }
    },
    containers: {
      a: on('br0', {
        localAddress: '10.5.0.2/24',
        extraVeths: { other: {}, lan: { hostBridge: 'br1', localAddress: '10.6.0.2/24' } },
        defaultGateway: { address: 'auto', interface: 'lan' },
        defaultGateway6: { address: 'auto', interface: 'lan' }
      }),
      b: {
        privateNetwork: true,
        internet: false,
        hostAddress: 'auto',
        localAddress: 'auto',
        hostAddress6: 'fd12:3456:789a::9',
        localAddress6: 'auto',
        defaultGateway: 'auto',
        defaultGateway6: { address: 'auto', interface: 'eth0' }
      }
    }
  })
  expect(valuesOf(plan)).toEqual({
    'containers.a.defaultGateway.address': ['10.6.0.1'],
    'containers.a.defaultGateway6.address': ['fd12:3456:789c::1'],
    'containers.b.hostAddress': ['10.231.0.2'],
    'containers.b.localAddress': ['10.231.0.3'],
    'containers.b.localAddress6': ['fd12:3456:789a::1'],
    'containers.b.defaultGateway': ['10.231.0.2'],
    'containers.b.defaultGateway6.address': ['fd12:3456:789a::9']
  })
  expect(plan.topology.containers[0]).toMatchObject({
    defaultGateway: { address: { text: '10.6.0.1', bare: true } },
    defaultGateway6: { address: { text: 'fd12:3456:789c::1', bare: true } }
  })
  expect(plan.topology.containers[1]).toMatchObject({
    veth: { hostAddress: { text: '10.231.0.2', bare: true } },
    defaultGateway: { address: { text: '10.231.0.2', prefix: { bits: 32 } } },
    defaultGateway6: { address: { text: 'fd12:3456:789a::9', prefix: { bits: 128 } } }
  })
  expect(new Set(plan.allocations.map(({ kind }) => kind))).toEqual(new Set(['address', 'router']))
})

test('a pair that is not the first', async () => {
  const plan = await resolved({
    version: 1,
    bridges: { br0: { address: '10.5.0.1/24' } },
    containers: {
      a: on('br0', {
        localAddress: '10.5.0.2/24',
        extraVeths: { one: {}, two: { hostAddress: 'auto', localAddress: 'auto' } }
      })
    }
  })
  expect(plan.topology.containers[0]?.extraVeths[1]).toMatchObject({
    hostAddress: { text: '10.231.0.2' },
    localAddress: { text: '10.231.0.3' }
  })
})

test('machines get addresses as containers do, and keep what else their interfaces have', async () => {
  const plan = await resolved({
    version: 1,
    bridges: { br0: { address: 'auto' } },
    containers: { a: on('br0') },
    vms: {
      v: { interfaces: { 'vm-v': { hostBridge: 'br0', address: 'auto' } } },
      w: { interfaces: { 'vm-w': { hostBridge: 'br0', address: ['10.5.0.9/29', 'auto'] } } }
    }
  })
  expect(plan.topology.vms.map(({ interfaces: [card] }) => card)).toMatchObject([
    { name: 'vm-v', hostBridge: 'br0', addresses: [{ text: '10.5.0.12/29' }] },
    { name: 'vm-w', hostBridge: 'br0', addresses: [{ text: '10.5.0.9/29' }, { text: '10.5.0.13/29' }] }
  ])
})

test('what has no value says what it was to be', async () => {
  const plan = await resolved({
    version: 1,
    host: { interfaces: { eth0: { address: ['192.0.2.2/24', 'auto'] } } },
    pools: { small: { prefix: '10.5.0.0/30' } },
    bridges: { br0: { address: '10.6.0.1/24' } },
    containers: {
      a: { privateNetwork: true, internet: false, hostAddress: '10.5.0.1', localAddress: '10.5.0.2' },
      b: { privateNetwork: true, internet: false, hostAddress: 'auto', localAddress: 'auto' },
      c: { privateNetwork: true, internet: false, localAddress6: 'auto' },
      d: on('br0', { localAddress: undefined, hostAddress6: 'auto' }),
      e: on('br9', { hostAddress: 'auto' })
    }
  })
  expect(
    plan.unallocated.map(({ at, kind, reason, wanted }) => [at.slice(1).join('.'), kind, reason, wanted])
  ).toEqual([
    ['interfaces.eth0.address.1', 'address', 'no-network', 1],
    ['b.hostAddress', 'address', 'full', 2],
    ['b.localAddress', 'address', 'full', 2],
    ['c.localAddress6', 'address', 'no-pool', 1],
    ['d.hostAddress6', 'router', 'no-network', 1],
    ['e.localAddress', 'address', 'no-bridge', 1],
    ['e.hostAddress', 'router', 'no-bridge', 1]
  ])
})

test('a port is one that nobody takes, for each protocol', async () => {
  const plan = await resolved({
    version: 1,
    host: { listens: [{ port: 20000 }], firewall: { allowedTCPPorts: [20000] } },
    pools: { main: { ports: '20000-20004', exclude: ['20002'] } },
    containers: {
      a: {
        privateNetwork: true,
        hostAddress: '10.5.0.1',
        localAddress: '10.5.0.2',
        internet: false,
        forwardPorts: [
          { hostPort: 'auto', containerPort: 80 },
          { hostPort: 'auto', containerPort: 53, protocol: 'udp' },
          { hostPort: 20003, containerPort: 81 },
          { hostPort: 'auto' },
          { hostPort: 'auto' },
          { hostPort: 20001, containerPort: 54, protocol: 'udp' },
          { hostPort: 'auto', containerPort: 55, protocol: 'udp' }
        ]
      }
    }
  })
  expect(valuesOf(plan)).toEqual({
    'containers.a.forwardPorts.0.hostPort': [20001],
    'containers.a.forwardPorts.1.hostPort': [20000],
    'containers.a.forwardPorts.3.hostPort': [20004],
    'containers.a.forwardPorts.6.hostPort': [20003]
  })
  expect(reasons(plan)).toEqual(['containers.a.forwardPorts.4.hostPort full IPv4'])
  expect(plan.topology.containers[0]?.veth.forwardPorts[3]?.containerPort).toBe(20004)
  expect(plan.topology.containers[0]?.veth.forwardPorts[2]).toMatchObject({
    hostPort: 20003,
    containerPort: 81
  })
  expect(plan.unallocated[0]).toMatchObject({
    kind: 'port',
    within: { at: ['pools', 'main', 'ports'], text: '20000-20004' }
  })
})

// Random networks of which some addresses are written and the others auto.

const POOL = '10.64.0.0/20'
const ULA = 'fd12:3456:789a::/48'

const networks = fc
  .record({
    bridges: fc.array(fc.record({ size: fc.option(fc.integer({ min: 1, max: 60 }), { nil: undefined }) }), {
      maxLength: 4
    }),
    containers: fc.array(
      fc.record({ bridge: fc.integer({ min: -1, max: 3 }), six: fc.boolean(), gateway: fc.boolean() }),
      { maxLength: 30 }
    ),
    excluded: fc.array(fc.integer({ min: 0, max: 4095 }), { maxLength: 20 })
  })
  .map(({ bridges, containers, excluded }) => ({
    version: 1,
    pools: {
      main: { prefix: POOL, exclude: excluded.map(n => `10.64.${n >> 8}.${n & 255}`) },
      ula: { prefix: ULA }
    },
    bridges: Object.fromEntries(bridges.map(({ size }, i) => [`br${i}`, { address: 'auto', size }])),
    containers: Object.fromEntries(
      containers.map(({ bridge, six, gateway }, i) => [
        `c${i}`,
        {
          privateNetwork: true,
          internet: false,
          localAddress: 'auto',
          ...(six ? { localAddress6: 'auto' } : {}),
          ...(bridge >= 0 && bridge < bridges.length
            ? {
                hostBridge: `br${bridge}`,
                ...(gateway ? { defaultGateway: { address: 'auto', interface: 'eth0' } } : {})
              }
            : { hostAddress: 'auto', ...(six ? { hostAddress6: 'auto' } : {}) })
        }
      ])
    )
  }))

const prefixOf = (text: string | number): Prefix => {
  const parsed = parsePrefix(String(text))
  if (!('value' in parsed)) throw new Error(`${text} is no address`)
  return parsed.value
}

describe('of random networks', () => {
  test('everything is from a pool, unique, never excluded, and no rule has anything against it', async () => {
    await fc.assert(
      fc.asyncProperty(networks, async network => {
        const { report, plan } = await analyze({ file: 'topology.yaml', text: JSON.stringify(network) })
        expect(report.findings.filter(({ severity }) => severity === 'error')).toEqual([])
        const given = (plan?.allocations ?? [])
          .filter(({ kind }) => kind !== 'router')
          .flatMap(({ values }) => values)
        expect(new Set(given.map(text => String(text).split('/')[0])).size).toBe(given.length)
        for (const text of given) {
          const own = prefixOf(text)
          expect([text, [POOL, ULA].some(pool => contains(prefixOf(pool), own))]).toEqual([text, true])
          expect(network.pools.main.exclude).not.toContain(String(text).split('/')[0])
          if (own.family === 4 && own.bits < 31) expect(own.value).not.toBe(masked(own).value)
        }
      }),
      { numRuns: 100 }
    )
  })

  test('what is written stays, and what was chosen is chosen again where it is written', async () => {
    await fc.assert(
      fc.asyncProperty(networks, fc.integer({ min: 0, max: 30 }), async (network, kept) => {
        const before = valuesOf(await resolved(network))
        const pinned = structuredClone(network) as unknown as Record<
          string,
          Record<string, Record<string, unknown>>
        >
        const paths = Object.entries(before).filter(
          ([path]) => !path.startsWith(`containers.c${kept}.`) && !path.includes('Gateway')
        )
        for (const [path, values] of paths) {
          const [room = '', name = '', key = ''] = path.split('.')
          const entry = pinned[room]?.[name]
          if (entry !== undefined) entry[key] = room === 'bridges' ? values : values[0]
        }
        const after = valuesOf(await resolved(pinned))
        // One that stays auto gets the same again: everything else that is taken is the same.
        for (const [path, values] of Object.entries(after))
          if (!path.startsWith('bridges')) expect([path, values]).toEqual([path, before[path]])
      }),
      { numRuns: 60 }
    )
  })

  test('a container at the end moves nobody, unless a bridge that is not written grows', async () => {
    await fc.assert(
      fc.asyncProperty(networks, async network => {
        const before = valuesOf(await resolved(network))
        const more = structuredClone(network)
        Object.assign(more.containers, {
          last: { privateNetwork: true, hostAddress: 'auto', localAddress: 'auto', internet: false }
        })
        expect(valuesOf(await resolved(more))).toMatchObject(before)
      }),
      { numRuns: 60 }
    )
  })
})
