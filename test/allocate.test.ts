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
    const pools = { lan: { prefix: '192.168.1.192/27' } }
    const plan = await resolved({ version: 1, pools, bridges: lan, containers: { a: on('br0') } })
    expect(valuesOf(plan)).toEqual({ 'containers.a.localAddress': ['192.168.1.192/24'] })
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
          { hostPort: 'auto' }
        ]
      }
    }
  })
  expect(valuesOf(plan)).toEqual({
    'containers.a.forwardPorts.0.hostPort': [20001],
    'containers.a.forwardPorts.1.hostPort': [20000],
    'containers.a.forwardPorts.3.hostPort': [20004]
  })
  expect(reasons(plan)).toEqual(['containers.a.forwardPorts.4.hostPort full IPv4'])
  expect(plan.topology.containers[0]?.veth.forwardPorts[3]?.containerPort).toBe(20004)
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
