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
  ['+1:br0\nbr1', undefined],
  ['-1:br0', undefined]
])('%s', (text, expected) => {
  expect(parseAsk(text)).toEqual(expected)
})

describe('more containers on a bridge', () => {
  test('fit', async () => {
    const { fits } = await ask(await planOf({ br0: { address: ['192.168.100.1/29'] } }, two), '+3:br0')
    expect(fits).toMatchObject([
      {
        bridge: 'br0',
        usable: 6n,
        used: 3n,
        free: 3n,
        fits: true,
        wider: undefined,
        beyond: false,
        inTheWay: [],
        elsewhere: undefined
      }
    ])
  })

  test('do not fit, and a wider network in its place does', async () => {
    const answer = await ask(await planOf({ br0: { address: ['192.168.100.1/29'] } }, two), '+12:br0')
    expect(answer.fits[0]?.fits).toBe(false)
    // The bridge, two containers and twelve more are 15, and a /28 has 14.
    expect(formatPrefix(answer.fits[0]?.wider ?? { family: 4, value: 0n, bits: 0 })).toBe('192.168.100.0/27')
    expect(answer.fits[0]).toMatchObject({ inTheWay: [], elsewhere: undefined })
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
    { pools: { main: { prefix: '10.0.0.0/12' } } }
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

const onBr0 = (count: number, bits: number): string =>
  `containers: { ${Array.from({ length: count }, (_, i) => `c${i}: { privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.${i + 2}/${bits}, internet: false }`).join(', ')} }`

test('only a bridge can be asked for, and only a family that something is of has a smallest plan', async () => {
  const plan = await planOf(
    { br0: { address: ['fd12:3456:789a::1/64'] } },
    { host: { interfaces: { lan: { address: ['192.168.1.10/24', 'fd12:3456:789a:1::1/64'] } } } }
  )
  expect(await ask(plan, '2:br0')).toMatchObject({
    fits: [{ bridge: 'br0' }],
    added: [],
    smallest: [{ family: 6, splits: [{ name: 'br0', hosts: 3n }] }]
  })
  expect(await ask(plan, '2:lan')).toMatchObject({
    fits: [],
    added: [{ bridge: 'lan', more: 2 }],
    smallest: [
      { family: 4, splits: [{ name: 'lan', hosts: 3n }] },
      { family: 6, splits: [{ name: 'br0', hosts: 1n }] }
    ]
  })
})

test.each<[title: string, text: string, asked: string, told: readonly string[]]>([
  [
    'as many as are free fit, and none is left then',
    'bridges: { br0: { address: [10.1.0.1/29] } }',
    '5:br0',
    ['br0 10.1.0.0/29: 1 of 6 used, 5 free; 5 more fit, and 0 are left then']
  ],
  [
    'asks for one bridge are added up',
    `bridges: { br0: { address: [10.1.0.1/29] } }\n${onBr0(2, 29)}`,
    '2:br0 2:br0',
    [
      '3 of 6 used, 3 free; 4 more do not fit',
      '10.1.0.0/28 has 14 usable',
      'it is free: write /28 instead of /29',
      'br0              10.231.0.0/28        7 of 14 used\n  a /28 holds'
    ]
  ],
  [
    'what is excluded in the network stays so in a wider one, and is not taken for the smallest plan',
    'pools: { p: { prefix: 10.1.0.0/23, exclude: [10.1.0.4-10.1.0.255] } }\nbridges: { br0: { address: [10.1.0.1/24] } }',
    '5:br0',
    ['1 of 254 used, 2 free', '10.1.0.0/23 has 510 usable', 'br0              10.1.1.0/29          6 of 6']
  ],
  [
    'the leases of DHCP are used, in a wider one too',
    'host: { dhcpServers: [{ interface: br0, program: kea, range: 10.1.0.10-10.1.0.13 }] }\nbridges: { br0: { address: [10.1.0.1/28] } }',
    '10:br0',
    ['5 of 14 used, 9 free; 10 more do not fit', '10.1.0.0/27 has 30 usable', '15 of 30 used']
  ],
  [
    'those who wait for an address come first',
    'bridges: { br0: { address: [10.1.0.1/30] } }\ncontainers: { a: { privateNetwork: true, hostBridge: br0, localAddress: auto }, b: { privateNetwork: true, hostBridge: br0, localAddress: auto }, c: { privateNetwork: true, hostBridge: br0, localAddress: auto } }',
    '3:br0',
    ['4 of 2 used, 0 free', '10.1.0.0/28 has 14 usable']
  ],
  [
    'a network of the host is in the way',
    'host: { interfaces: { lan: { address: [10.1.0.14/29] } } }\npools: { p: { prefix: 10.1.0.0/26 } }\nbridges: { br0: { address: [10.1.0.1/29] } }',
    '6:br0',
    [
      'in the way, and to be moved: lan (10.1.0.8/29)\n  or move br0 to 10.1.0.16/28, which is free in pool p\n',
      'br0              10.1.0.16/28         7 of 14'
    ]
  ],
  [
    'so are a pair and the network of a program; what has a place in the network already is not',
    'host: { daemons: [docker] }\nreserved: [{ prefix: 172.16.255.128/25 }, { prefix: 172.16.0.0/12, for: containers }]\nbridges: { br0: { address: [172.16.255.1/24] } }\ncontainers: { p: { privateNetwork: true, hostAddress: 172.16.0.9, localAddress: 172.16.255.10, internet: false } }',
    '80000:br0',
    ['in the way, and to be moved: container p (172.16.0.9) and docker (172.17.0.0/16)\n\n', 'a /15 holds']
  ],
  [
    'and the range of nixos-container, out of which nothing is taken',
    'bridges: { br0: { address: [10.232.0.1/16] } }\npools: { p: { prefix: 10.232.0.0/14 } }',
    '70000:br0',
    [
      'in the way, and to be moved: the nixos-container command (10.233.0.0/16)',
      'or move br0 to 10.234.0.0/15, which is free in pool p',
      'br0              10.234.0.0/15'
    ]
  ],
  [
    'unless the network is within it',
    'bridges: { br0: { address: [10.233.1.1/29] } }\npools: { p: { prefix: 10.233.1.0/24 } }',
    '6:br0',
    ['it is free: write /28', 'br0              10.233.1.0/28        7 of 14']
  ],
  [
    'a bridge goes to the pool of its name',
    'pools: { a: { prefix: 10.2.0.0/16 }, br0: { prefix: 10.3.0.0/16 } }\nbridges: { br0: { address: [10.1.0.1/30] }, br1: { address: [10.1.0.5/30] } }',
    '2:br0',
    ['br1 (10.1.0.4/30)', 'or move br0 to 10.3.0.0/29, which is free in pool br0']
  ],
  [
    "public addresses are nobody's to widen",
    'pools: { p: { prefix: 10.2.0.0/16 } }\nbridges: { br0: { address: [203.0.113.1/29] }, br1: { address: [192.168.0.1/16] } }',
    '9:br0 70000:br1',
    [
      '203.0.113.0/28 has 14 usable and holds all of them\n  not all of it is private\n  or move br0 to 10.2.0.0/28',
      '192.168.0.0/15 has 131,070 usable and holds all of them\n  not all of it is private\n\n'
    ]
  ],
  [
    "a private block as a whole is nobody else's",
    'bridges: { br0: { address: [192.168.0.1/17] } }',
    '40000:br0',
    ['192.168.0.0/16 has 65,534 usable and holds all of them\n  it is free: write /16 instead of /17']
  ],
  [
    'a pool of the other family, of ports alone, or that is none, has no room',
    'pools: { ports: { ports: 8000-8099 }, six: { prefix: "fd12:3456:789a::/48" }, no: { prefix: 10.3.0.0/33 }, four: { prefix: 10.2.0.0/16 } }\nbridges: { br0: { address: [10.1.0.1/29, "fd12:3456:789b::1/126"] }, br1: { address: [10.1.0.9/29, "fd12:3456:789b::5/126"] } }',
    '6:br0',
    [
      'or move br0 to 10.2.0.0/28, which is free in pool four',
      'or move br0 to fd12:3456:789a::/125, which is free in pool six',
      'the smallest plan in 10.2.0.0/16',
      'the smallest plan in fd12:3456:789a::/48'
    ]
  ],
  [
    'what is reserved around a network is not of use, but the network itself is',
    'pools: { p: { prefix: 10.1.0.0/24 } }\nreserved: [{ prefix: 10.1.0.0/25, for: containers }]\nbridges: { br0: { address: [10.1.0.33/28] }, br1: { address: [10.1.0.129/25] } }',
    '2:br0 2:br1',
    [
      '  br0              10.1.0.32/29         3 of 6 used\n  br1              10.1.0.40/29         3 of 6 used'
    ]
  ],
  [
    'no network is as wide',
    'bridges: { br0: { address: [10.1.0.1/29] } }',
    '999999999:br0 999999999:br0 999999999:br0 999999999:br0 999999999:br0',
    ['no network is large enough\n', 'no prefix holds all of them']
  ],
  [
    'on a bridge to outside nobody knows what is free, and it is in no plan',
    'bridges: { br0: { address: [192.168.1.1/29], interfaces: [eth0] }, br1: { address: [10.1.0.1/29] } }\npools: { p: { prefix: 192.168.1.0/24 } }',
    '5:br0 6:br1',
    [
      '5 not in the file; 5 more fit where machines that are not in the file leave room\n',
      'the smallest plan in 192.168.1.0/24:\n  br1              192.168.1.16/28      7 of 14 used\n  a /28'
    ]
  ],
  [
    'and a wider one may have others',
    'bridges: { br0: { address: [192.168.1.1/29], interfaces: [eth0] } }',
    '6:br0',
    ['  unless machines that are not in the file have addresses there: write /28 instead of /29']
  ],
  [
    'a bridge without a network is a new one',
    'bridges: { br0: { dhcp: true } }',
    '3:br0 2:br9',
    [
      'br0 has no network in the file: it is counted as a new network for 3 hosts and the bridge',
      'br9 has no network in the file',
      'br0              10.231.0.0/29        4 of 6 used\n  br9              10.231.0.8/29        3 of 6 used'
    ]
  ],
  [
    'a network of which the host knows nothing is one all the same',
    'bridges: { br0: {} }\ncontainers: { a: { privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.2/30 } }',
    '2:br0',
    ['br0 10.1.0.0/30: 1 of 2 used, 1 free; 2 more do not fit', '10.1.0.0/29 has 6']
  ],
  [
    'of IPv6',
    'bridges: { br0: { address: ["fd12:3456:789a::1/120"] }, br1: { address: ["fd12:3456:789a::101/120"] } }\nreserved: [{ prefix: "fd12:3456:789a::/62", for: phones }]',
    '300:br0 1:new',
    [
      'fd12:3456:789a::/119 has 511',
      'to be moved: br1 (fd12:3456:789a::100/120)\n',
      'the smallest plan in fd12:3456:789a::/48:\n  br0              fd12:3456:789a:4::/64 301 of ~2^64 used\n  br1              fd12:3456:789a:5::/64 1 of ~2^64 used\n  a /63 holds'
    ]
  ],
  [
    'of IPv6 elsewhere in a pool',
    'pools: { six: { prefix: "fd12:3456:789a::/48" } }\nbridges: { br0: { address: ["fd12:3456:789a::1/127"] }, br1: { address: ["fd12:3456:789a::2/127"] } }',
    '2:br0',
    ['or move br0 to fd12:3456:789a::4/126, which is free in pool six']
  ]
])('%s', async (_, text, asked, told) => {
  const { plan } = await analyze({ file: 'topology.yaml', text: `version: 1\n${text}\n` })
  if (plan === undefined) throw new Error('no plan')
  const answer = fitText(await ask(plan, ...asked.split(' ')))
  for (const part of told) expect(answer).toContain(part)
})
