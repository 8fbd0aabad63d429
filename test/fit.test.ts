import { describe, expect, test } from 'vitest'
import { analyze, type Plan } from '../src/index.ts'
import { formatPrefix } from '../src/net/prefix.ts'
import { fitOf, type Fits, parseAsk } from '../src/plan/fit.ts'
import { fitJson, fitText } from '../src/report/fit.ts'

const planOf = async (bridges: object, more: object = {}): Promise<Plan> => {
  const { plan } = await analyze({
    file: 'topology.yaml',
    text: JSON.stringify({ version: 1, bridges, ...more })
  })
  if (plan === undefined) throw new Error('no plan')
  return plan
}

const two = {
  containers: Object.fromEntries(
    ['a', 'b'].map((name, i) => [
      name,
      { privateNetwork: true, hostBridge: 'br0', localAddress: `192.168.100.${i + 2}/29`, internet: false }
    ])
  )
}

const ask = async (plan: Plan, ...texts: readonly string[]): Promise<Fits> =>
  fitOf(
    plan,
    texts.map(text => parseAsk(text) ?? { bridge: '', more: 0 })
  )

test.each([
  ['+12:br0', { bridge: 'br0', more: 12 }],
  ['3:br-new', { bridge: 'br-new', more: 3 }],
  ['12', undefined],
  ['+x:br0', undefined],
  ['+1:', undefined],
  ['-1:br0', undefined]
])('%s', (text, expected) => {
  expect(parseAsk(text)).toEqual(expected)
})

describe('more containers on a bridge', () => {
  test('fit', async () => {
    const { fits } = await ask(await planOf({ br0: { address: ['192.168.100.1/29'] } }, two), '+3:br0')
    expect(fits).toMatchObject([
      { bridge: 'br0', usable: 6n, used: 3n, free: 3n, fits: true, wider: undefined }
    ])
  })

  test('do not fit, and a wider network in its place does', async () => {
    const answer = await ask(await planOf({ br0: { address: ['192.168.100.1/29'] } }, two), '+12:br0')
    expect(answer.fits[0]?.fits).toBe(false)
    // The bridge, two containers and twelve more are 15, and a /28 has 14.
    expect(formatPrefix(answer.fits[0]?.wider ?? { family: 4, value: 0n, bits: 0 })).toBe('192.168.100.0/27')
    expect(answer.fits[0]?.inTheWay).toEqual([])
    expect(fitText(answer)).toContain('write /27 instead of /29')
    expect(JSON.parse(fitJson(answer))).toMatchObject({
      version: 1,
      fits: [{ wider: '192.168.100.0/27', used: '3' }]
    })
  })

  test('do not fit where another network is in the way: it says which, and where else there is room', async () => {
    const answer = await ask(
      await planOf(
        { br0: { address: ['192.168.100.1/29'] }, br1: { address: ['192.168.100.9/29'] } },
        {
          ...two,
          pools: { main: { prefix: '192.168.100.0/24' } },
          reserved: [{ prefix: '192.168.100.32/27', for: 'printer' }]
        }
      ),
      '+5:br0'
    )
    expect(answer.fits[0]?.inTheWay.map(({ name, prefix }) => [name, formatPrefix(prefix)])).toEqual([
      ['br1', '192.168.100.8/29']
    ])
    expect(fitText(answer)).toMatch(
      /in the way, and to be moved: br1 \(192\.168\.100\.8\/29\)\n {2}or move br0 to 192\.168\.100\.(16|64)\/28/
    )
  })
})

test('the smallest plan splits a pool, the widest first, and leaves nobody out', async () => {
  const plan = await planOf(
    { br0: { address: ['10.0.0.1/16'] }, br1: { address: ['10.1.0.1/16', 'fd00:1:2::1/64'] } },
    { pools: { main: { prefix: '10.0.0.0/8' } } }
  )
  const { smallest, added } = await ask(plan, '+100:br0', '+20:br1', '+2:new')
  expect(added).toEqual([{ bridge: 'new', more: 2 }])
  expect(
    smallest[0]?.splits.map(({ name, hosts, prefix }) => [name, hosts, prefix && formatPrefix(prefix)])
  ).toEqual([
    ['br0', 101n, '10.0.0.0/25'],
    ['br1', 21n, '10.0.0.128/27'],
    ['new', 3n, '10.0.0.160/29']
  ])
  expect(smallest[0]?.bits).toBe(24)
})

test('a pool that is too small says what would hold all of it', async () => {
  const plan = await planOf(
    { br0: { address: ['10.0.0.1/29'] } },
    { pools: { main: { prefix: '10.0.0.0/28' } } }
  )
  const answer = await ask(plan, '+100:br0')
  expect(answer.smallest[0]?.splits[0]?.prefix).toBeUndefined()
  expect(answer.smallest[0]?.bits).toBe(25)
  expect(fitText(answer)).toContain('a /25 holds all of them')
})
