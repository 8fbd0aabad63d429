import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { analyze } from '../src/index.ts'
import { parseAddr } from '../src/net/addr.ts'
import { judging } from '../src/reach/expect.ts'
import type { Flow } from '../src/reach/flow.ts'
import { type Hop, trace } from '../src/reach/trace.ts'
import { type World, worldOf } from '../src/reach/world.ts'

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
