import fc from 'fast-check'
import { expect, test } from 'vitest'
import { buildTopology } from '../src/model/build.ts'
import { freeAddressFinder } from '../src/plan/addresses.ts'
import { type Addr, parseAddr } from '../src/net/addr.ts'
import type { PortClaim } from '../src/plan/plan.ts'
import { isOneSocket, nonlocalBind, portClaims, sharingPorts } from '../src/plan/ports.ts'
import { resolve } from '../src/plan/resolve.ts'
import { ALONE } from '../src/plan/site.ts'
import { hostPortConflict } from '../src/rules/host-port-conflict.ts'

// The rule finds collisions in one sweep; here every claim is held against every other.

type Data = Parameters<typeof buildTopology>[0]

const look = async (
  data: Data
): Promise<{ readonly claims: readonly PortClaim[]; readonly told: readonly string[] }> => {
  const plan = resolve(buildTopology(data))
  const problems = [...(await hostPortConflict.check(plan, freeAddressFinder(plan), ALONE))]
  return {
    claims: plan.ports,
    told: problems.flatMap(({ labels }) => labels.slice(0, 2).map(({ at }) => at.join('.')))
  }
}

const bound = (claim: PortClaim): string => {
  const { address } = claim
  if (address === undefined) return 'any'
  return `${address.value === 0n ? 'all' : address.value} ${address.family}`
}

const collide = (a: PortClaim, b: PortClaim): boolean => {
  if (a.protocol !== b.protocol || a.from > b.to || b.from > a.to) return false
  const [x, y] = [bound(a), bound(b)]
  const forwards = [a, b].filter(({ kind }) => kind === 'nat' || kind === 'nspawn')
  if (forwards.length === 2) return a.kind !== 'nat' || b.kind !== 'nat'
  if (forwards.length === 1)
    // The forwards here are of IPv4, and no service binds a loopback address.
    return [x, y].every(at => !at.endsWith(' 6'))
  if (x === y || x === 'any' || y === 'any' || x === 'all 6' || y === 'all 6') return true
  return x.at(-1) === y.at(-1) && (x === 'all 4' || y === 'all 4')
}

const port = fc.integer({ min: 8000, max: 8006 })
const protocol = fc.constantFrom('tcp', 'udp')
const listens = fc.array(
  fc.record(
    {
      port,
      protocol,
      address: fc.constantFrom('0.0.0.0', '::', '198.51.100.2', '10.0.0.1', '2001:db8::2', '2001:db8::3')
    },
    { requiredKeys: ['port'] }
  ),
  { maxLength: 9 }
)
const network = fc.record({
  host: fc.record({ listens }),
  nat: fc.record({
    enable: fc.constant(true),
    externalInterface: fc.constant('enp1s0'),
    forwardPorts: fc.array(
      fc.record({
        sourcePort: fc
          .tuple(port, port)
          .map(([a, b]) => (a === b ? a : `${Math.min(a, b)}:${Math.max(a, b)}`)),
        proto: protocol,
        destination: fc.constant('192.168.100.2:80')
      }),
      { maxLength: 3 }
    )
  }),
  containers: fc.record({
    shared: fc.record({ listens }),
    a: fc.record({
      privateNetwork: fc.constant(true),
      localAddress: fc.constant('192.168.100.2'),
      forwardPorts: fc.array(fc.record({ protocol, hostPort: port, containerPort: port }), { maxLength: 4 })
    })
  })
})

test('what is told collides, and of whatever collides something is told', async () => {
  await fc.assert(
    fc.asyncProperty(network, async data => {
      const { claims, told } = await look({ version: 1, ...data })
      const named = new Set(told)
      const isTold = ({ at }: PortClaim): boolean => named.has(at.join('.'))
      for (const claim of claims) {
        const others = claims.filter(other => other !== claim && collide(claim, other))
        if (isTold(claim)) expect(others).not.toEqual([])
        else for (const other of others) expect(isTold(other)).toBe(true)
      }
    }),
    { numRuns: 300 }
  )
})

test('fifty programs on one port hide nothing from a range after them', async () => {
  const many = Array.from({ length: 50 }, (_, i) => ({ name: `s${i}`, port: 80, address: `10.0.0.${i + 1}` }))
  const { told } = await look({
    version: 1,
    host: { listens: [...many, { name: 'twin', port: 80, address: '10.0.0.1' }, { name: 'late', port: 85 }] },
    nat: {
      enable: true,
      externalInterface: 'enp1s0',
      forwardPorts: [{ sourcePort: '80:90', destination: '192.168.100.2:80' }]
    }
  })
  expect(told).toContain('host.listens.50')
  expect(told).toContain('host.listens.51')
})

test('a range is offered as many free ports in a row', async () => {
  const plan = resolve(
    buildTopology({
      version: 1,
      host: { listens: [{ port: 8001 }, { port: 8004 }] },
      nat: {
        enable: true,
        externalInterface: 'enp1s0',
        forwardPorts: [{ sourcePort: '8000:8002', destination: '192.168.100.2:80' }]
      }
    })
  )
  const [found] = await hostPortConflict.check(plan, freeAddressFinder(plan), ALONE)
  expect(found?.help).toContain('8005 to 8007 are free')
})

test('of many the counted ones are those that share a port', () => {
  const range = fc
    .tuple(
      fc.integer({ min: 1, max: 65535 }),
      fc.constantFrom(0, 0, 0, 1, 9),
      fc.constantFrom('tcp' as const, 'udp' as const)
    )
    .map(([from, more, protocol]) => ({ from, to: Math.min(65535, from + more), protocol }))
  const edge = fc.constantFrom(
    { from: 1, to: 1, protocol: 'tcp' as const },
    { from: 65535, to: 65535, protocol: 'tcp' as const },
    { from: 65000, to: 65535, protocol: 'udp' as const }
  )
  fc.assert(
    fc.property(
      fc.array(fc.oneof({ weight: 60, arbitrary: range }, edge), { minLength: 200, maxLength: 260 }),
      items => {
        const shares = items.filter((a, i) =>
          items.some((b, j) => i !== j && a.protocol === b.protocol && a.from <= b.to && b.from <= a.to)
        )
        const found = sharingPorts(
          items,
          item => item,
          ({ protocol }) => protocol
        )
        expect(found).toEqual(shares)
      }
    )
  )
})

test('what has no ports or no protocol shares none, and few are not counted', () => {
  const items = Array.from({ length: 200 }, (_, i) => ({ from: i === 7 ? 0 : 80, to: i === 9 ? 70_000 : 80 }))
  const count = (more: (i: number) => boolean, protocol: (i: number) => boolean): number =>
    sharingPorts(
      items,
      item => (more(items.indexOf(item)) ? item : undefined),
      item => (protocol(items.indexOf(item)) ? 'tcp' : undefined)
    ).length
  const all = (): boolean => true
  expect(count(all, all)).toBe(198)
  expect(count(i => i !== 3, all)).toBe(197)
  expect(count(all, i => i !== 3 && i !== 5)).toBe(196)
  const few = items.slice(1)
  expect(
    sharingPorts(
      few,
      () => undefined,
      () => undefined
    )
  ).toBe(few)
})

test.each([
  [undefined, undefined, true],
  [undefined, '10.1.0.2', true],
  [undefined, 'fd5e::2', false],
  ['fd5e::2', undefined, false],
  ['10.1.0.2', undefined, true],
  ['10.1.0.2', '10.1.0.2', true],
  ['10.1.0.2', '10.1.0.3', false],
  ['0.0.0.0', '10.1.0.3', true],
  ['10.1.0.2', '0.0.0.0', true],
  ['::', '10.1.0.2', false],
  ['::', '0.0.0.0', false],
  ['fd5e::2', '::', true]
])('%s and %s are one socket: %s', (a, b, expected) => {
  const addr = (text: string | undefined): Addr | undefined => {
    const parsed = text === undefined ? undefined : parseAddr(text)
    return parsed !== undefined && 'value' in parsed ? parsed.value : undefined
  }
  expect(isOneSocket(addr(a), addr(b))).toBe(expected)
})

test('who takes which port, in words', () => {
  const claims = portClaims(
    buildTopology({
      host: {
        firewall: {
          allowedTCPPortRanges: [
            { from: 20, to: 21 },
            { from: 10, to: 30 }
          ]
        },
        listens: [
          { port: 53, protocol: 'udp', name: 'dns' },
          { port: 80 },
          { port: 81, protocol: 'sctp' },
          { port: 82, address: 'nowhere' }
        ]
      },
      nat: {
        enable: true,
        forwardPorts: [
          { sourcePort: 8080, destination: '10.1.0.2:80' },
          { sourcePort: 'many', destination: '10.1.0.2:80' },
          { sourcePort: 8081, proto: 'icmp', destination: '10.1.0.2:80' }
        ]
      },
      containers: {
        web: { listens: [{ port: 90, name: 'nginx' }, { port: 91 }] },
        off: { enabled: false, listens: [{ port: 92 }] },
        own: {
          privateNetwork: true,
          listens: [{ port: 93 }],
          forwardPorts: [{ hostPort: 94 }, { hostPort: 95, protocol: 'x' }]
        },
        without: { forwardPorts: [{ hostPort: 96 }] }
      }
    })
  )
  expect(
    claims.map(
      ({ protocol, from, to, kind, owner, named }) => `${protocol} ${from}-${to} ${kind} ${named}: ${owner}`
    )
  ).toEqual([
    'udp 53-53 listen true: dns on the host',
    'tcp 80-80 listen false: a service of the host',
    'tcp 22-22 open false: SSH on the host, for which its firewall opens it',
    'tcp 8080-8080 nat false: nat.forwardPorts[0] to 10.1.0.2:80',
    'tcp 90-90 shared true: nginx of container "web"',
    'tcp 91-91 shared false: container "web"',
    'tcp 94-94 nspawn false: container "own"'
  ])
})

test.each([
  [{ allowedTCPPorts: [22] }, [], 1],
  [{ allowedTCPPorts: [21, 23] }, [], 0],
  [{ allowedTCPPorts: [22] }, [{ port: 22, name: 'gitea' }], 0],
  [{ allowedTCPPorts: [22] }, [{ port: 2222, name: 'openssh' }], 0],
  [{ allowedTCPPorts: [22] }, [{ port: 80, name: 'nginx' }, { port: 81 }], 1]
])('a firewall with %j and services %j: SSH %i', (firewall, listens, expected) => {
  const claims = portClaims(buildTopology({ host: { firewall, listens } }))
  expect(claims.filter(({ kind }) => kind === 'open')).toHaveLength(expected)
})

test('where a program may bind an address that the host does not have', () => {
  const of = (sysctl: object): readonly number[] => [...nonlocalBind(buildTopology({ host: { sysctl } }))]
  expect(of({ 'net.ipv4.ip_nonlocal_bind': 1, 'net.ipv6.ip_nonlocal_bind': 0 })).toEqual([4])
  expect(of({ 'net.ipv4.ip_nonlocal_bind': false, 'net.ipv6.ip_nonlocal_bind': true })).toEqual([6])
  expect(of({})).toEqual([])
})
