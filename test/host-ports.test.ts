import fc from 'fast-check'
import { expect, test } from 'vitest'
import { buildTopology } from '../src/model/build.ts'
import { freeAddressFinder } from '../src/plan/addresses.ts'
import type { PortClaim } from '../src/plan/plan.ts'
import { resolve } from '../src/plan/resolve.ts'
import { ALONE } from '../src/plan/site.ts'
import { hostPortConflict } from '../src/rules/host-port-conflict.ts'

// The rule finds collisions in one sweep; here every claim is held against every other.

type Data = Parameters<typeof buildTopology>[0]

const look = async (
  data: Data
): Promise<{ readonly claims: readonly PortClaim[]; readonly told: readonly string[] }> => {
  const plan = resolve(buildTopology(data))
  const problems = [...(await hostPortConflict.check(plan, freeAddressFinder(plan.addresses), ALONE))]
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
  const [found] = await hostPortConflict.check(plan, freeAddressFinder(plan.addresses), ALONE)
  expect(found?.help).toContain('8005 to 8007 are free')
})
