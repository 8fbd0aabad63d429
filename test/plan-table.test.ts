import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { analyze } from '../src/index.ts'
import { planTable } from '../src/report/plan-table.ts'
import type { Paint } from '../src/report/pretty.ts'
import {
  type Family,
  hostilePlaces,
  hostileStrings,
  networkOf,
  networks,
  toData,
  toYaml,
  valueOf
} from './topologies.ts'

const PLAIN: Paint = { error: String, warning: String, hint: String, bold: String, dim: String }

const MARKED: Paint = { ...PLAIN, bold: text => `<b>${text}</b>`, dim: text => `<d>${text}</d>` }

interface Asked {
  readonly width?: number
  readonly all?: boolean
  readonly paint?: Paint
}

const tableOf = async (
  text: string,
  { width = 100, all = false, paint = PLAIN }: Asked = {}
): Promise<string> => {
  const { plan, report } = await analyze({ file: 'topology.yaml', text })
  if (plan === undefined) throw new Error(report.findings.map(({ message }) => message).join('; '))
  return planTable(plan, paint, { width, all })
}

const linesOf = async (text: string, asked?: Asked): Promise<readonly string[]> =>
  (await tableOf(text, asked)).split('\n')

/** A block: its heading and what stands below it. */
const blockOf = (table: string, heading: string): string =>
  table
    .trimEnd()
    .split('\n\n')
    .find(block => block.startsWith(heading)) ?? `no block ${heading} in:\n${table}`

const HOME = `version: 1
host:
  interfaces: { enp1s0: { dhcp: true } }
  listens: [{ name: sshd, port: 22 }]
bridges:
  br0: { address: [10.1.0.1/28] }
containers:
  web: { privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.3/28 }
  db: { privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.2/28 }
`

describe('a network', () => {
  test('has its addresses in their order, what is free, and what it can become', async () => {
    expect(blockOf(await tableOf(HOME), 'br0')).toBe(
      [
        'br0  10.1.0.0/28  14 usable, 3 used, 11 free',
        '  address   who       inside  on the host',
        '  10.1.0.1  the host          br0',
        '  10.1.0.2  db        eth0    vb-db',
        '  10.1.0.3  web       eth0    vb-web',
        '  free 10.1.0.4 - 10.1.0.14 (11)',
        '  fits in /29; 11 more fit; then it can grow to 10.1.0.0/27'
      ].join('\n')
    )
  })

  test.each<[string, string]>([
    [
      'bridges: { br0: { address: [10.1.0.1/29] } }',
      'fits in /31; 5 more fit; then it can grow to 10.1.0.0/28'
    ],
    ['bridges: { br0: { address: [10.1.0.9/29] } }', 'then it can grow to 10.1.0.0/28'],
    [
      'bridges: { br0: { address: [10.1.0.1/29] }, br1: { address: [10.1.0.9/29] } }',
      'it cannot grow to 10.1.0.0/28, br1 is there'
    ],
    [
      'bridges: { br0: { address: [10.1.0.1/29] }, br1: { address: [10.1.0.17/28] } }',
      'then it can grow to 10.1.0.0/28'
    ],
    [
      'bridges: { br0: { address: [10.1.0.1/29] } }\nreserved: [{ prefix: 10.1.0.12/30, for: printers }]',
      'it cannot grow to 10.1.0.0/28, printers is there'
    ],
    [
      'bridges: { br0: { address: [10.1.0.1/29] } }\nhost: { interfaces: { lan: { address: [10.1.0.10/30] } } }',
      'it cannot grow to 10.1.0.0/28, lan is there'
    ],
    [
      'bridges: { br0: { address: [10.1.0.1/29] } }\ncontainers: { p: { privateNetwork: true, hostAddress: 10.1.0.9, localAddress: 10.1.0.10 } }',
      'it cannot grow to 10.1.0.0/28, container p is there'
    ],
    [
      'bridges: { br0: { address: [172.16.0.1/16] } }\nhost: { daemons: [docker] }',
      'it cannot grow to 172.16.0.0/15, docker is there'
    ],
    [
      'bridges: { br0: { address: [10.232.0.1/16] } }',
      'it cannot grow to 10.232.0.0/15, the nixos-container command is there'
    ],
    // Whoever numbers from there has decided so.
    ['bridges: { br0: { address: [10.233.1.1/24] } }', 'then it can grow to 10.233.0.0/23'],
    [
      'bridges: { br0: { address: [192.168.0.1/16] } }',
      'it cannot grow to 192.168.0.0/15, which is not private'
    ],
    ['bridges: { br0: { address: ["fd12:3456:789a::1/120"] } }', 'then it can grow to fd12:3456:789a::/119'],
    [
      'bridges: { br0: { address: ["fd12:3456:789a::1/120"] }, br1: { address: ["fd12:3456:789a::101/120"] } }',
      'it cannot grow to fd12:3456:789a::/119, br1 is there'
    ],
    // A neighbour that lies around it, or ends there.
    [
      'bridges: { br0: { address: [10.1.0.1/29] }, br1: { address: [10.1.0.15/32] } }',
      'it cannot grow to 10.1.0.0/28, br1 is there'
    ],
    [
      'bridges: { br0: { address: [10.1.0.129/25] } }\nhost: { interfaces: { lan: { address: [10.1.0.1/24] } } }',
      'it cannot grow to 10.1.0.0/24, lan is there'
    ],
    [
      'bridges: { br0: { address: [10.1.0.1/29] } }\nhost: { interfaces: { lan: { address: [10.1.0.9] } } }',
      'it cannot grow to 10.1.0.0/28, host interface lan is there'
    ],
    ['bridges: { br0: { address: [192.168.0.1/17] } }', 'then it can grow to 192.168.0.0/16'],
    ['bridges: { br0: { address: ["fd12:3456:789a::1/65"] } }', 'then it can grow to fd12:3456:789a::/64'],
    ['bridges: { br0: { address: ["fd12:3456:789a::1/64"] } }\nhost: { partial: true }', 'free'],
    [
      'bridges: { br0: { address: [10.1.0.0/31] } }',
      'fits in /31; 1 more fit; then it can grow to 10.1.0.0/30'
    ],
    [
      'bridges: { br0: { address: ["fd12:3456:789a::/127"] } }',
      '1 more fit; then it can grow to fd12:3456:789a::/126'
    ]
  ])('%s', async (text, note) => {
    const block = blockOf(await tableOf(`version: 1\n${text}\n`), 'br0')
    expect(block.replaceAll('\n  ', ' ')).toContain(note)
  })

  test('that is too narrow says what is wanted', async () => {
    const containers = Array.from(
      { length: 7 },
      (_, i) => `  c${i}: { privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.${i + 2}/29 }`
    )
    const text = `version: 1\nbridges: { br0: { address: [10.1.0.1/29] } }\ncontainers:\n${containers.join('\n')}\n`
    expect(await tableOf(text)).toContain(
      '\n  too narrow: 8 addresses are wanted, they fit in /28; then it can grow to 10.1.0.0/28\n'
    )
  })

  test('of public addresses, or as wide as IPv6 has them, is not told to grow', async () => {
    const text = `version: 1
bridges: { br0: { address: [203.0.113.1/29, "fd12:3456:789a::1/64"] } }
`
    expect(await tableOf(text)).not.toContain('grow')
    expect(blockOf(await tableOf(text), 'br0  fd12')).toBe(
      [
        'br0  fd12:3456:789a::/64  ~2^64 usable, 1 used, ~2^64 free',
        '  address            who       inside  on the host',
        '  fd12:3456:789a::1  the host          br0',
        '  free fd12:3456:789a::2 - fd12:3456:789a:0:ffff:ffff:ffff:ffff (~2^64)'
      ].join('\n')
    )
  })

  test('that leads outside promises nothing to be free, and has the machines that the file names', async () => {
    const text = `version: 1
host:
  defaultGateway: { address: 192.168.1.1, interface: br0 }
  nameservers: [192.168.1.2]
bridges: { br0: { address: [192.168.1.5/29], interfaces: [enp1s0] } }
nat: { enable: true, externalInterface: br0, internalInterfaces: [ve-+], forwardPorts: [{ sourcePort: 80, destination: "192.168.1.3:80" }] }
`
    expect(blockOf(await tableOf(text), 'br0')).toBe(
      [
        'br0  192.168.1.0/29  6 usable, 4 used, 2 not in the file',
        '  address      who                                   inside  on the host',
        '  192.168.1.1  router, not in the file',
        '  192.168.1.2  nameserver, not in the file',
        '  192.168.1.3  target of a forward, not in the file',
        '  192.168.1.5  the host                                      br0',
        '  not in the file 192.168.1.4 (1)',
        '  not in the file 192.168.1.6 (1)',
        '  machines that are not in the file may have addresses here'
      ].join('\n')
    )
  })

  test('has the routers of all routes, and who is asked or gets what nobody else does', async () => {
    const block = blockOf(
      await tableOf(`version: 1
host: { resolvConf: [10.1.0.2], interfaces: { br0: { routes: [{ address: 10.8.0.0/16, via: 10.1.0.3 }] }, eth0: { routes: [{ address: 10.7.0.0/16, via: 10.1.0.4 }, { address: 10.6.0.0/16 }] } } }
nat: { enable: true, externalInterface: eth0, internalInterfaces: [br0], dmzHost: 10.1.0.5 }
bridges: { br0: { address: [10.1.0.1/28] } }
vms: { v: { interfaces: { tap0: { hostBridge: br0 } }, defaultGateway: 10.1.0.6 } }
containers:
  a: { privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.7/28, routes: [{ address: 10.5.0.0/16, via: 10.1.0.8 }], inside: { interfaces: { eth0: { routes: [{ address: 10.4.0.0/16, via: 10.1.0.9 }] } } }, nameservers: [10.1.0.10] }
`),
      'br0'
    )
    expect(Array.from(block.matchAll(/^ {2}(10\S+) +(.*), not in the file$/gm), ([, ...row]) => row)).toEqual(
      [
        ['10.1.0.2', 'nameserver'],
        ['10.1.0.3', 'router'],
        ['10.1.0.4', 'router'],
        ['10.1.0.5', 'target of a forward'],
        ['10.1.0.6', 'router'],
        ['10.1.0.8', 'router'],
        ['10.1.0.9', 'router'],
        ['10.1.0.10', 'nameserver']
      ]
    )
  })

  test('keeps what is for DHCP, excluded or within another network', async () => {
    const text = `version: 1
host: { dhcpServers: [{ interface: br0, program: kea, range: 10.1.0.100-10.1.0.119 }] }
pools: { lan: { prefix: 10.1.0.0/24, exclude: [10.1.0.64/28, 10.1.0.90-10.1.0.104] } }
bridges: { br0: { address: [10.1.0.1/24] } }
reserved: [{ prefix: 10.1.0.240/29, for: printers }]
containers: { web: { privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.101/24 } }
`
    expect(blockOf(await tableOf(text), 'br0')).toBe(
      [
        'br0  10.1.0.0/24  254 usable, 2 used, 53 kept, 199 free',
        '  address     who       inside  on the host',
        '  10.1.0.1    the host          br0',
        '  10.1.0.64 - 10.1.0.79 (16) excluded by pool lan',
        '  10.1.0.90 - 10.1.0.104 (15) excluded by pool lan',
        '  10.1.0.100 - 10.1.0.119 (20) given out by DHCP, kea',
        '  10.1.0.101  web       eth0    vb-web',
        '  10.1.0.240 - 10.1.0.247 (8) belongs to printers',
        '  free 10.1.0.2 - 10.1.0.63 (62)',
        '  free 10.1.0.80 - 10.1.0.89 (10)',
        '  free 10.1.0.120 - 10.1.0.239 (120)',
        '  free 10.1.0.248 - 10.1.0.254 (7)',
        '  fits in /27; 199 more fit; then it can grow to 10.1.0.0/23'
      ].join('\n')
    )
  })

  test('tells of each address all who have it, and who is off', async () => {
    const text = `version: 1
bridges: { br0: { address: [10.1.0.1/29], virtualAddresses: [10.1.0.6/29] } }
containers:
  a: { privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.2/29 }
  b: { privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.2/29 }
  c: { enabled: false, privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.4/29 }
  d: { hostBridge: br0, localAddress: 10.1.0.5/29 }
`
    const lines = await linesOf(text, { paint: MARKED })
    for (const line of [
      '  10.1.0.2  a                       eth0    vb-a',
      '            also b                  eth0    vb-b',
      '<d>  10.1.0.4  c (off)                 eth0    vb-c</d>',
      '<d>  10.1.0.5  d (without effect)      eth0    vb-d</d>',
      '  10.1.0.6  virtual, of bridge br0',
      '<d>  free 10.1.0.3 (1)</d>'
    ])
      expect(lines).toContain(line)
  })

  test('of which the host knows nothing is one all the same', async () => {
    const text = `version: 1
bridges: { br0: {}, br1: {} }
containers:
  a:
    privateNetwork: true
    extraVeths:
      one: { hostBridge: br0, localAddress: 10.1.0.2/29, localAddress6: "fd12:3456:789a::2/64" }
      two: { hostBridge: br1, localAddress: 10.1.0.2/29 }
`
    const table = await tableOf(text)
    for (const [bridge, ifname] of [
      ['br0', 'one'],
      ['br1', 'two']
    ])
      expect(blockOf(table, `${bridge}  10.1.0.0/29`)).toContain(
        `  10.1.0.2  a    ${ifname}     ${ifname}\n  free 10.1.0.1 (1)\n  free 10.1.0.3 - 10.1.0.6 (4)\n  the host has no address in it; fits in /31; 5 more fit`
      )
    expect(table).toContain('br0  fd12:3456:789a::/64  ~2^64 usable, 1 used, ~2^64 free\n')
  })

  test('of a card, of bridges with several, within what is kept for others: everybody has his place', async () => {
    const table = await tableOf(`version: 1
host:
  interfaces:
    lan: { address: [192.168.7.5/28, 192.168.7.6/28, 192.168.9.1/32, "fe80::9/64", 192.168.8.1] }
    wan: { address: [203.0.113.9/30, "fd12:3456:789a:7::5/64"] }
  nameservers: [192.168.7.1]
  defaultGateway: 192.168.7.2
  defaultGateway6: "fd12:3456:789a:7::1"
  dhcpServers: [{ interface: dup, range: 10.1.8.6-10.1.8.20 }]
pools:
  p: { prefix: 10.1.0.0/16, exclude: [10.1.4.0/23, 10.1.6.250-10.1.7.20, "fd12:3456:789a:8::/64", "99"] }
  q: { prefix: 10.1.5.0/24 }
bridges:
  br5: { address: [10.1.5.1/24] }
  br7: { address: [10.1.7.1/24] }
  br8: { address: ["fd12:3456:789a:8::1/112"] }
  ll: { address: ["fe80::1/64", 10.1.9.1/32] }
  dup: { address: [10.1.8.1/29, 10.1.8.2/29] }
  big: { address: [10.233.0.1/15] }
reserved: [{ prefix: 10.1.7.128/25 }, { prefix: 10.1.5.0/24, for: twice }]
vms:
  off:
    enabled: false
    interfaces:
      tap0: { hostBridge: br7, address: [10.1.7.30/24, 10.1.7.40/24, "fd12::7/64"] }
      tap1: { hostBridge: br7, address: [10.1.7.30/24] }
    defaultGateway: 10.1.7.9
  on: { interfaces: { tap2: { hostBridge: br7, address: [10.1.7.40/24] } }, defaultGateway: 10.1.7.9 }
containers:
  a: { privateNetwork: true, hostBridge: dup, localAddress: 10.1.8.3/29, defaultGateway: 10.1.8.4, nameservers: [10.1.8.5, 10.1.8.3] }
  two: { privateNetwork: true, hostBridge: dup, localAddress: 10.1.5.7/24 }
  one: { privateNetwork: true, hostBridge: br5, localAddress: 10.1.5.7/24 }
  bare: { privateNetwork: true, hostBridge: br5, localAddress: 10.1.5.9 }
  mac: { privateNetwork: true, macvlans: [lan], inside: { interfaces: { mv-lan: { address: [192.168.7.9/28] } } } }
`)
    expect(table.slice(table.indexOf('Networks'), table.indexOf('Reserved'))).toMatchInlineSnapshot(`
      "Networks
        on   network                  usable  used    kept    free  fits in  can grow to
        br5  10.1.5.0/24                 254     3     251       0      /29          /23
        br7  10.1.7.0/24                 254     4     145     105      /29          /23
        br8  fd12:3456:789a:8::/112   65,535     1  65,534       0     /127         /111
        ll   10.1.9.1/32                   1     1               0      /31          /31
        dup  10.1.8.0/29                   6     5       1       0      /29          /28
        big  10.232.0.0/15           131,070     1  65,534  65,535      /31          /14
        lan  192.168.7.0/28               14     5
        wan  203.0.113.8/30                2     1
        wan  fd12:3456:789a:7::/64     ~2^64     2

      br5  10.1.5.0/24  254 usable, 3 used, 251 kept, 0 free
        address   who       inside  on the host
        10.1.5.0 - 10.1.5.255 (256) excluded by pool p
        10.1.5.1  the host          br5
        10.1.5.7  two       eth0    vb-two
                  also one  eth0    vb-one
        10.1.5.9  bare      eth0    vb-bare
        fits in /29; full; then it can grow to 10.1.4.0/23

      br7  10.1.7.0/24  254 usable, 4 used, 145 kept, 105 free
        address    who                      inside  on the host
        10.1.7.0 - 10.1.7.20 (21) excluded by pool p
        10.1.7.1   the host                         br7
        10.1.7.9   router, not in the file
        10.1.7.30  off (machine) (off)      tap0    tap0
        10.1.7.40  on (machine)             tap2    tap2
        10.1.7.128 - 10.1.7.255 (128) belongs to a reservation
        free 10.1.7.21 - 10.1.7.29 (9)
        free 10.1.7.31 - 10.1.7.39 (9)
        free 10.1.7.41 - 10.1.7.127 (87)
        fits in /29; 105 more fit; then it can grow to 10.1.6.0/23

      br8  fd12:3456:789a:8::/112  65,535 usable, 1 used, 65,534 kept, 0 free
        address              who       inside  on the host
        fd12:3456:789a:8:: - fd12:3456:789a:8:ffff:ffff:ffff:ffff (2^64) excluded by pool p
        fd12:3456:789a:8::1  the host          br8
        fits in /127; full; then it can grow to fd12:3456:789a:8::/111

      ll  10.1.9.1/32  1 usable, 1 used, 0 free
        address   who       inside  on the host
        10.1.9.1  the host          ll
        too narrow: 2 addresses are wanted, they fit in /31; then it can grow to 10.1.9.0/31

      dup  10.1.8.0/29  6 usable, 5 used, 1 for DHCP, 0 free
        address   who                          inside  on the host
        10.1.8.1  the host                             dup
        10.1.8.2  the host                             dup
        10.1.8.3  a                            eth0    vb-a
        10.1.8.4  router, not in the file
        10.1.8.5  nameserver, not in the file
        10.1.8.6 - 10.1.8.20 (15) given out by DHCP
        fits in /29; full; then it can grow to 10.1.8.0/28

      big  10.232.0.0/15  131,070 usable, 1 used, 65,534 kept, 65,535 free
        address     who       inside  on the host
        10.233.0.0 - 10.233.255.255 (65,536) belongs to the nixos-container command
        10.233.0.1  the host          big
        free 10.232.0.1 - 10.232.255.255 (65,535)
        fits in /31; 65,535 more fit; then it can grow to 10.232.0.0/14

      lan  192.168.7.0/28  14 usable, 5 used, 9 not in the file
        address      who                          inside  on the host
        192.168.7.1  nameserver, not in the file
        192.168.7.2  router, not in the file
        192.168.7.5  the host                             lan
        192.168.7.6  the host                             lan
        192.168.7.9  mac                          mv-lan
        not in the file 192.168.7.3 - 192.168.7.4 (2)
        not in the file 192.168.7.7 - 192.168.7.8 (2)
        not in the file 192.168.7.10 - 192.168.7.14 (5)
        machines that are not in the file may have addresses here

      dup  members without an address in its networks
        address      who  inside  on the host
        10.1.5.7/24  two  eth0    vb-two

      Pools
        pool  from         left                   widest network left
        p     10.1.0.0/16  64,753 of 65,536 left  room for 10.1.128.0/17
        q     10.1.5.0/24  0 of 256 left          full

      "
    `)
  })

  test('has its own and nothing of others, whatever stands beside it', async () => {
    const table = await tableOf(`version: 1
host:
  interfaces: { lan: { address: [192.168.7.5/24, 192.168.7.999/24] } }
  dhcpServers: [{ interface: two, range: 10.3.0.10-10.3.0.20 }]
pools: { p: { prefix: 10.5.0.0/16, exclude: [10.5.4.0/22] }, bad: { prefix: 10.5.999.0/24 } }
nat: { enable: true, externalInterface: lan, internalInterfaces: [one], forwardPorts: [{ sourcePort: 80, destination: nobody }] }
bridges:
  one: { address: [10.1.0.1/24] }
  two: { address: [10.2.0.1/24, 10.3.0.1/24] }
  apart: {}
  alone: {}
  mid: { address: [10.5.5.1/24] }
  out: { address: [10.6.0.1/24] }
  lab6: { address: ["fd12:3456:789a:6::1/64"] }
reserved: [{ prefix: 192.168.7.128/28, for: printers }, { prefix: 10.1.0.0/24, for: lab }, { prefix: 10.9.0.999/24 }]
vms:
  off: { enabled: false, interfaces: { tap0: { hostBridge: one, address: [10.1.0.999/24] } } }
containers:
  a: { privateNetwork: true, hostBridge: apart, localAddress: 192.168.7.9/25, nameservers: [192.168.7.1] }
  a2: { privateNetwork: true, hostBridge: apart, localAddress: 192.168.7.140/32, nameservers: [192.168.7.1] }
  b: { privateNetwork: true, hostBridge: alone, localAddress: 10.7.0.2 }
  c: { privateNetwork: true, hostBridge: one, localAddress: 10.1.0.9/24 }
  d: { privateNetwork: true, hostBridge: one, localAddress: 10.1.0.9/24 }
  e: { partial: true, privateNetwork: true, hostBridge: out, localAddress: 10.6.0.9/24 }
`)
    expect(table.slice(table.indexOf('Networks'), table.indexOf('\n\nlab6  fd12'))).toBe(`Networks
  on     network                usable  used  kept   free  fits in  can grow to
  one    10.1.0.0/24               254     2          252      /29          /23
  two    10.2.0.0/24               254     1          253      /31          /23
  two    10.3.0.0/24               254     1    11    242      /28          /23
  apart  192.168.7.0/25            126     2          124      /31
  mid    10.5.5.0/24               254     1   253      0      /31          /23
  out    10.6.0.0/24               254     2
  lab6   fd12:3456:789a:6::/64   ~2^64     1        ~2^64
  lan    192.168.7.0/24            254     2    16

one  10.1.0.0/24  254 usable, 2 used, 252 free
  address   who       inside  on the host
  10.1.0.1  the host          one
  10.1.0.9  c         eth0    vb-c
            also d    eth0    vb-d
  free 10.1.0.2 - 10.1.0.8 (7)
  free 10.1.0.10 - 10.1.0.254 (245)
  fits in /29; 251 more fit; then it can grow to 10.1.0.0/23

two  10.2.0.0/24  254 usable, 1 used, 253 free
  address   who       inside  on the host
  10.2.0.1  the host          two
  free 10.2.0.2 - 10.2.0.254 (253)
  fits in /31; 253 more fit; then it can grow to 10.2.0.0/23

two  10.3.0.0/24  254 usable, 1 used, 11 for DHCP, 242 free
  address   who       inside  on the host
  10.3.0.1  the host          two
  10.3.0.10 - 10.3.0.20 (11) given out by DHCP
  free 10.3.0.2 - 10.3.0.9 (8)
  free 10.3.0.21 - 10.3.0.254 (234)
  fits in /28; 242 more fit; then it can grow to 10.3.0.0/23

apart  192.168.7.0/25  126 usable, 2 used, 124 free
  address      who                          inside  on the host
  192.168.7.1  nameserver, not in the file
  192.168.7.9  a                            eth0    vb-a
  free 192.168.7.2 - 192.168.7.8 (7)
  free 192.168.7.10 - 192.168.7.126 (117)
  the host has no address in it; fits in /31; 124 more fit

mid  10.5.5.0/24  254 usable, 1 used, 253 kept, 0 free
  address   who       inside  on the host
  10.5.5.0 - 10.5.5.255 (256) excluded by pool p
  10.5.5.1  the host          mid
  fits in /31; full; then it can grow to 10.5.4.0/23

out  10.6.0.0/24  254 usable, 2 used, 252 not in the file
  address   who       inside  on the host
  10.6.0.1  the host          out
  10.6.0.9  e         eth0    vb-e
  not in the file 10.6.0.2 - 10.6.0.8 (7)
  not in the file 10.6.0.10 - 10.6.0.254 (245)
  machines that are not in the file may have addresses here`)
  })

  test('that two bridges have holds on each those who are on it', async () => {
    const table = await tableOf(`version: 1
bridges: { one: { address: [10.1.0.1/29] }, twin: { address: [10.1.0.1/29] } }
containers:
  a: { privateNetwork: true, hostBridge: one, localAddress: 10.1.0.3/29 }
  b: { privateNetwork: true, hostBridge: twin, localAddress: 10.1.0.3/29 }
`)
    expect(blockOf(table, 'one  10.1.0.0/29')).not.toContain('kept')
    expect(blockOf(table, 'twin  10.1.0.0/29')).not.toMatch(/vb-a|kept/)
    expect(blockOf(table, 'twin  10.1.0.0/29')).toContain('\n  10.1.0.3  b    eth0    vb-b\n')
    expect(blockOf(table, 'one  10.1.0.0/29')).toMatch(/\n {2}10\.1\.0\.3 +a .*vb-a\n +also b .*vb-b\n/)
  })

  test('does not hold those who are on its bridge with another address or none', async () => {
    const text = `version: 1
host: { dhcpServers: [{ interface: br0 }] }
bridges: { br0: { address: [10.1.0.1/29] }, br1: { dhcp: true }, br2: {} }
containers:
  a: { privateNetwork: true, hostBridge: br0, localAddress: 10.9.9.9/24 }
  b: { privateNetwork: true, hostBridge: br0, dhcp: true }
  c: { privateNetwork: true, hostBridge: br1, localAddress: auto }
`
    const table = await tableOf(text)
    expect(blockOf(table, 'br0  members')).toBe(
      [
        'br0  members without an address in its networks',
        '  address      who  inside  on the host',
        '  10.9.9.9/24  a    eth0    vb-a',
        '  by DHCP      b    eth0    vb-b'
      ].join('\n')
    )
    expect(blockOf(table, 'br1')).toContain('br1  the host asks for an address by DHCP\n')
    expect(blockOf(table, 'br2')).toBe('br2  no network')
    const apart = await tableOf(`version: 1
bridges: { br0: {} }
containers:
  a: { privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.2/29 }
  b: { privateNetwork: true, hostBridge: br0, dhcp: true }
`)
    expect(blockOf(apart, 'br0  members without')).toContain('  by DHCP  b    eth0    vb-b')
  })
})

describe('containers', () => {
  const containersOf = async (containers: string, more = ''): Promise<string> =>
    blockOf(await tableOf(`version: 1\n${more}\ncontainers:\n${containers}`), 'Containers')

  test.each<[string, string, readonly string[]]>([
    [
      'a bridge',
      '{ privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.2/29, defaultGateway: 10.1.0.1 }',
      ['eth0    vb-x         br0          10.1.0.2/29', 'gateway 10.1.0.1 (defaultGateway); DNS: a copy']
    ],
    [
      'a pair',
      '{ privateNetwork: true, hostAddress: 10.2.0.1, localAddress: 10.2.0.2, hostAddress6: "fd12:3456:789a:1::1", localAddress6: "fd12:3456:789a:1::2" }',
      [
        'eth0    ve-x         pair         10.2.0.2\n                                          fd12:3456:789a:1::2\n',
        'gateway 10.2.0.1 (hostAddress), fd12:3456:789a:1::1 (hostAddress6)'
      ]
    ],
    [
      'a router that is named twice',
      '{ privateNetwork: true, hostAddress: 10.2.0.1, localAddress: 10.2.0.2, defaultGateway: 10.2.0.1 }',
      ['gateway 10.2.0.1 (hostAddress, defaultGateway); ']
    ],
    [
      'two routers',
      '{ privateNetwork: true, hostAddress: 10.2.0.1, localAddress: 10.2.0.2, defaultGateway: 10.2.0.9 }',
      ['gateway 10.2.0.1 (hostAddress) or 10.2.0.9 (defaultGateway)\n']
    ],
    [
      'a route',
      '{ privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.2/29, inside: { interfaces: { eth0: { routes: [{ address: 0.0.0.0/0, via: 10.1.0.1 }] } } } }',
      ['gateway 10.1.0.1 (route); ']
    ],
    [
      'a macvlan with DHCP',
      '{ privateNetwork: true, macvlans: [lan], inside: { interfaces: { mv-lan: { dhcp: true } } }, useHostResolvConf: false }',
      [
        'mv-lan               macvlan of lan  by DHCP',
        'gateway by DHCP, by IPv6 advertisements; DNS: by DHCP'
      ]
    ],
    [
      'a moved interface',
      '{ privateNetwork: true, interfaces: [lan] }',
      ['lan                  moved from the host  none']
    ],
    ['no interface', '{ privateNetwork: true }', ['no interface']],
    ["the host's network", '{}', ["the host's network\n    DNS: a copy of the host's resolv.conf"]],
    ['another namespace', '{ networkNamespace: /run/netns/vpn }', ['namespace /run/netns/vpn']],
    [
      'no such bridge',
      '{ privateNetwork: true, hostBridge: br9, localAddress: 10.1.0.2/29 }',
      ['br9 (missing)', 'no gateway for IPv4']
    ],
    [
      'extra pairs',
      '{ privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.2/29, extraVeths: { two: { hostBridge: br0, localAddress: 10.1.0.3/29 } } }',
      ['x     eth0    vb-x', '\n        two     two          br0          10.1.0.3/29']
    ],
    [
      'nameservers',
      '{ privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.2/29, useHostResolvConf: false, nameservers: [9.9.9.9, "2620:fe::fe"] }',
      ['DNS: 9.9.9.9 and 2620:fe::fe']
    ],
    [
      'resolved',
      '{ privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.2/29, useHostResolvConf: false, resolved: true, nameservers: [9.9.9.9] }',
      ['DNS: resolved, which asks 9.9.9.9']
    ],
    [
      'no nameserver',
      '{ privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.2/29, useHostResolvConf: false }',
      ['DNS: none']
    ]
  ])('on %s', async (_, container, expected) => {
    const text = await containersOf(
      `  x: ${container}\n`,
      'host: { interfaces: { lan: {} } }\nbridges: { br0: { address: [10.1.0.1/29] } }'
    )
    for (const part of expected) expect(text).toContain(part)
  })

  test('that are off say so, with what they would have', async () => {
    const table = await tableOf(
      'version: 1\ncontainers:\n  x: { enabled: false, privateNetwork: true, hostAddress: 10.2.0.1, localAddress: 10.2.0.2 }\n',
      { paint: MARKED }
    )
    expect(table).toContain('<d>  x (off)  eth0    ve-x         pair         10.2.0.2</d>\n')
    expect(table).toContain('<b>1 container (1 off)</b>')
  })

  test('with a long name have the name that the kernel gives them', async () => {
    const text = await containersOf(
      '  my-postgres-database: { privateNetwork: true, hostAddress: 10.2.0.1, localAddress: 10.2.0.2 }\n'
    )
    expect(text).toContain('ve-my-postgFVBV')
  })
})

test('a file with nothing in it says so', async () => {
  expect(await tableOf('version: 1\n')).toBe('no network, container or port of the host\n')
})

test('machines are in the networks and have a list of their own', async () => {
  const table = await tableOf(`version: 1
bridges: { br0: { address: [10.1.0.1/29] } }
vms:
  box:
    kind: microvm
    interfaces: { vm-box: { type: tap, hostBridge: br0, address: [10.1.0.2/29] } }
    defaultGateway: 10.1.0.1
`)
  expect(blockOf(table, 'br0')).toContain('  10.1.0.2  box (machine)  vm-box  vm-box\n')
  expect(blockOf(table, 'Machines')).toMatch(
    / {2}box {3}vm-box {2}vm-box +br0 +10\.1\.0\.2\/29\n {4}gateway 10\.1\.0\.1/
  )
})

test('pairs stand in the order of their addresses, with both ends of each family', async () => {
  const table = await tableOf(`version: 1
containers:
  b: { privateNetwork: true, hostAddress: 10.2.0.3, localAddress: 10.2.0.4 }
  a:
    privateNetwork: true
    hostAddress: 10.2.0.1
    localAddress: 10.2.0.2
    hostAddress6: "fd12:3456:789a::1"
    localAddress6: "fd12:3456:789a::2"
`)
  expect(blockOf(table, 'Veth pairs')).toBe(
    [
      'Veth pairs',
      '  address            who       inside  on the host',
      '  10.2.0.1           the host          ve-a',
      '  10.2.0.2           a         eth0    ve-a',
      '  fd12:3456:789a::1  the host          ve-a',
      '  fd12:3456:789a::2  a         eth0    ve-a',
      '  10.2.0.3           the host          ve-b',
      '  10.2.0.4           b         eth0    ve-b'
    ].join('\n')
  )
})

test('ports say who takes them, and forwards where they lead', async () => {
  const table = await tableOf(`version: 1
host: { firewall: { allowedTCPPorts: [22] }, listens: [{ name: dns, port: 53, protocol: udp, address: 10.2.0.1 }] }
nat:
  enable: true
  enableIPv6: true
  externalInterface: lan
  internalInterfaces: [ve-+]
  forwardPorts:
    - { sourcePort: "8000:8003", destination: "10.2.0.2:8000-8003" }
    - { sourcePort: 443, destination: "[fd12:3456:789a::2]:443" }
    - { sourcePort: 99, destination: "10.9.9.9" }
containers:
  web:
    privateNetwork: true
    hostAddress: 10.2.0.1
    localAddress: 10.2.0.2
    localAddress6: "fd12:3456:789a::2"
    forwardPorts: [{ hostPort: 8080, containerPort: 80 }, { hostPort: 70, protocol: udp }]
  game: { listens: [{ name: quake, port: 27960, protocol: udp }, { port: 5 }] }
`)
  expect(blockOf(table, 'Ports of the host')).toBe(
    [
      'Ports of the host',
      '  port       protocol  address   who',
      '  5          tcp       any       container game',
      '  22         tcp       any       SSH on the host, for which its firewall opens it',
      '  53         udp       10.2.0.1  dns on the host',
      '  70         udp       any       forward to web port 70',
      '  99         tcp       any IPv4  NAT to 10.9.9.9 port 99',
      '  443        tcp       any IPv6  NAT to web port 443 (fd12:3456:789a::2)',
      '  8000-8003  tcp       any IPv4  NAT to web ports 8000-8003 (10.2.0.2)',
      '  8080       tcp       any       forward to web port 80',
      '  27960      udp       any       quake of container game'
    ].join('\n')
  )
})

describe('auto', () => {
  const AUTO = `version: 1
pools:
  lan: { prefix: 10.20.0.0/24, exclude: [10.20.0.128/25] }
  ports: { ports: 20000-20009, exclude: ["20003"] }
bridges:
  br0: { address: auto, size: 20 }
  br1: { address: [10.9.0.1/30] }
containers:
  web:
    privateNetwork: true
    hostBridge: br0
    localAddress: auto
    defaultGateway: { address: auto, interface: eth0 }
    forwardPorts: [{ hostPort: auto, containerPort: 80 }]
  pair: { privateNetwork: true, hostAddress: auto, localAddress: auto }
  six: { privateNetwork: true, hostBridge: br1, localAddress: auto, localAddress6: auto }
  full: { privateNetwork: true, hostBridge: br1, localAddress: auto }
  lost: { privateNetwork: true, hostBridge: br9, localAddress: auto }
`

  test('values that are chosen and not written down are marked, and one line says what the mark means', async () => {
    const table = await tableOf(AUTO)
    for (const part of [
      'br0  10.20.0.0/27*  30 usable, 2 used, 28 free\n',
      '  10.20.0.1*  the host          br0\n',
      '  10.20.0.2*  web       eth0    vb-web\n',
      ' 10.20.0.2/27*\n    gateway 10.20.0.1* (defaultGateway); ',
      '  20000*  tcp       any      forward to web port 80\n',
      '\n\n* not written down yet; "netplan plan --write" writes it into the file\n'
    ])
      expect(table).toContain(part)
    expect(blockOf(table, 'Veth pairs')).toMatch(
      / {2}10\.20\.0\.\d+\* +the host +ve-pair\n {2}10\.20\.0\.\d+\* +pair +eth0/
    )
    expect(table.match(/not written down/g)).toHaveLength(1)
  })

  test('without any there is neither mark nor legend', async () => {
    const table = await tableOf(HOME)
    expect(table).not.toContain('*')
    expect(table).not.toContain('--write')
  })

  test('values that cannot be chosen say why', async () => {
    const table = await tableOf(AUTO)
    for (const why of ['auto (no IPv6 network)', 'auto (10.9.0.0/30 is full)', 'auto (no such bridge)'])
      expect(blockOf(table, 'Containers')).toContain(why)
    expect(blockOf(table, 'br1  10.9.0.0/30')).toContain(
      'too narrow: 3 addresses are wanted, they fit in /29'
    )
    expect(
      await tableOf(
        'version: 1\npools: { p: { prefix: 10.1.0.0/29 } }\nbridges: { br0: { address: auto, size: 9 } }\n'
      )
    ).toContain('br0  auto (no room for 9 hosts in 10.1.0.0/29)\n')
    const forwards = '[{ hostPort: auto, containerPort: 1 }, { hostPort: auto, containerPort: 2 }]'
    expect(
      blockOf(
        await tableOf(
          `version: 1\npools: { p: { ports: "20000" } }\ncontainers: { a: { privateNetwork: true, hostAddress: 10.1.0.1, localAddress: 10.1.0.2, forwardPorts: ${forwards} } }\n`
        ),
        'Ports'
      )
    ).toMatch(/ {2}20000\* .*forward to a port 1\n {2}auto \(20000 is full\) .*forward to a port 2$/)
  })

  test('pools say what is left of them', async () => {
    expect(blockOf(await tableOf(AUTO), 'Pools')).toBe(
      [
        'Pools',
        '  pool   from               left            widest network left',
        '  lan    10.20.0.0/24       94 of 256 left  room for 10.20.0.64/26',
        '  ports  ports 20000-20009  8 of 10 left'
      ].join('\n')
    )
  })

  test.each<[string, string | undefined]>([
    ['pools: { p: { prefix: 10.5.0.0/24 } }\nbridges: { br0: { address: auto } }', undefined],
    [
      'bridges: { br0: { address: [10.5.0.1/24] } }\ncontainers: { a: { privateNetwork: true, hostBridge: br0, localAddress: auto } }',
      undefined
    ],
    [
      'pools: { six: { prefix: "fd12:3456:789a::/48" } }\nbridges: { br0: { address: auto } }',
      '(built in)  10.231.0.0/16        65,528 of 65,536 left  '
    ],
    [
      'bridges: { br0: { address: [10.231.5.1/24] } }\ncontainers: { a: { privateNetwork: true, hostBridge: br0, localAddress: 10.231.5.2/24, defaultGateway: { address: auto, interface: eth0 } } }',
      undefined
    ],
    [
      'pools: { p: { prefix: 10.5.0.0/24 } }\nbridges: { br0: { address: [10.231.5.1/24] } }\ncontainers: { a: { privateNetwork: true, hostBridge: br0, localAddress: auto } }',
      undefined
    ],
    [
      'pools: { p: { prefix: 10.5.0.999/24 } }\ncontainers: { a: { privateNetwork: true, hostAddress: 10.231.0.8, localAddress: auto } }',
      '(built in)  10.231.0.0/16'
    ],
    [
      'containers: { a: { privateNetwork: true, hostAddress: 10.231.0.8, localAddress: auto } }',
      '(built in)  10.231.0.0/16'
    ],
    [
      'pools: { p: { prefix: 10.5.0.0/24 } }\ncontainers: { a: { privateNetwork: true, hostAddress: 10.6.0.1, localAddress: 10.6.0.2, forwardPorts: [{ hostPort: auto }] } }',
      '(built in)  ports 20000-29999  9,999 of 10,000 left'
    ]
  ])('and only there: %s', async (text, row) => {
    const table = await tableOf(`version: 1\n${text}\n`)
    if (row === undefined) expect(table).not.toContain('(built in)')
    else expect(table).toContain(row)
    expect(table.match(/\(built in\)/g) ?? []).toHaveLength(row === undefined ? 0 : 1)
  })

  test('pools that need no entry are told where something is from them', async () => {
    const text = `version: 1
bridges: { br0: { address: auto } }
containers:
  web: { privateNetwork: true, hostBridge: br0, localAddress: auto, forwardPorts: [{ hostPort: auto, containerPort: 80 }] }
`
    expect(blockOf(await tableOf(text), 'Pools')).toBe(
      [
        'Pools',
        '  pool        from               left                   widest network left',
        '  (built in)  10.231.0.0/16      65,528 of 65,536 left  room for 10.231.128.0/17',
        '  (built in)  ports 20000-29999  9,999 of 10,000 left'
      ].join('\n')
    )
    expect(await tableOf(HOME)).not.toContain('Pools')
  })

  test('of IPv6 waits for a network that is written down', async () => {
    const table = await tableOf(`version: 1
bridges: { br0: { address: auto } }
containers:
  a: { privateNetwork: true, hostBridge: br0, localAddress6: auto }
  p: { privateNetwork: true, hostAddress6: auto, localAddress6: auto }
`)
    for (const part of [
      'br0  auto (IPv6: --write chooses it)\n',
      '  auto (no IPv6 network yet)  a    eth0    vb-a\n',
      '  auto (IPv6: --write chooses it)  the host          ve-p\n',
      '\n* not written down yet; '
    ])
      expect(table).toContain(part)
  })
})

describe('much', () => {
  const many = (count: number): string =>
    JSON.stringify({
      version: 1,
      bridges: { br0: { address: ['10.0.0.1/8'] } },
      containers: Object.fromEntries(
        Array.from({ length: count }, (_, i) => [
          `c${i}`,
          {
            privateNetwork: true,
            hostBridge: 'br0',
            localAddress: `10.1.${i >> 7}.${(2 * i) & 255}/8`,
            forwardPorts: [{ hostPort: 1000 + i }]
          }
        ])
      )
    })

  test('is cut, and says how much of it', async () => {
    const table = await tableOf(many(10_000))
    expect(table).toContain('\n  … and 9,952 more (--all)\n')
    expect(table).toContain('\n  … and 9,950 more containers (--all)\n')
    expect(table).toContain('\n  … and 9,950 more ports (--all)\n')
    expect(table).toContain(
      '\n  … and 9,992 more ranges with 16,636,134 addresses free (--all), the widest 10.1.78.31 -\n    10.232.255.255 (15,184,353)\n'
    )
    expect(table.split('\n').length).toBeLessThan(400)
  })

  test('is all there with --all, each address once', async () => {
    const table = await tableOf(many(10_000), { all: true })
    expect(table).not.toContain('--all')
    const rows = Array.from(
      blockOf(table, 'br0').matchAll(/^ {2}([\d.]+) +c\d+/gm),
      ([, address = '']) => address
    )
    expect(new Set(rows).size).toBe(rows.length)
    const values = rows.map(valueOf)
    expect(values.every((value, i) => i === 0 || value > (values[i - 1] ?? value))).toBe(true)
    expect(blockOf(table, 'Ports').split('\n').length).toBe(10_002)
  })

  test('a row more than the limit is shown instead of a line that says so', async () => {
    const table = await tableOf(many(51))
    expect(blockOf(table, 'Containers')).not.toContain('--all')
    expect(blockOf(await tableOf(many(52)), 'Containers')).toContain('  … and 2 more containers (--all)')
  })

  test('networks are summed up', async () => {
    const bridges = Array.from(
      { length: 60 },
      (_, i) => `  b${i}: { address: [10.0.${i}.1/${i === 7 ? 25 : 24}] }`
    )
    const table = await tableOf(`version: 1\nbridges:\n${bridges.join('\n')}\n`)
    const summary = blockOf(table, 'Networks').split('\n')
    expect(summary[9]).toBe('  b7   10.0.7.0/25      126     1         125      /31          /24')
    expect(summary.at(-1)).toBe('  … and 10 more networks (--all)')
    expect(table).toContain('\n  … and 40 more networks, each with its addresses (--all)\n')
    expect(table).not.toContain('\nb30  ')
    expect(await tableOf(`version: 1\nbridges:\n${bridges.join('\n')}\n`, { all: true })).toContain('\nb30  ')
  })

  type Make = (i: number) => [string, Readonly<Record<string, unknown>>]

  const timeOf = async (count: number, bridge: Make): Promise<number> => {
    const indices = Array.from({ length: count }, (_, i) => i)
    const { plan } = await analyze({
      file: 'topology.json',
      text: JSON.stringify({
        version: 1,
        bridges: Object.fromEntries(indices.map(bridge)),
        containers: Object.fromEntries(
          indices.map(i => [
            `c${i}`,
            { privateNetwork: true, hostBridge: `b${i}`, localAddress: '10.77.0.2/30' }
          ])
        )
      })
    })
    if (plan === undefined) throw new Error('no plan')
    const times = Array.from({ length: 3 }, () => {
      const before = performance.now()
      planTable(plan, PLAIN, { width: 100, all: true })
      return performance.now() - before
    })
    return Math.min(...times)
  }

  // Eight times as many take about eight times as long; 64 times, if each were held against each.
  test.each([
    ['in one another', (i: number) => [`b${i}`, { address: [`10.0.0.${(i % 250) + 1}/8`] }]],
    ['beside one another', (i: number) => [`b${i}`, { address: [`10.${i >> 8}.${i & 255}.1/25`] }]],
    ['that the host has no address in', (i: number) => [`b${i}`, {}]]
  ] satisfies readonly (readonly [string, Make])[])(
    'thousands of networks %s are done in linear time',
    async (_, bridge) => {
      const few = await timeOf(1000, bridge)
      expect((await timeOf(8000, bridge)) / few).toBeLessThan(30)
    }
  )
})

describe('lines', () => {
  const LONG = `version: 1
name: ${'n'.repeat(300)}
bridges: { br0: { address: ["fd12:3456:789a:bcde:f012:3456:789a:bcd1/120"] } }
containers:
  ${'c'.repeat(90)}:
    privateNetwork: true
    hostBridge: br0
    localAddress6: "fd12:3456:789a:bcde:f012:3456:789a:bcd2/120"
    defaultGateway6: { address: "fd12:3456:789a:bcde:f012:3456:789a:bcd1", interface: eth0 }
    extraVeths: { ${'e'.repeat(40)}: { localAddress6: "fd12:3456:789a:bcde:f012:3456:789a:bbbb", hostAddress6: "fd12:3456:789a:bcde:f012:3456:789a:aaaa" } }
    useHostResolvConf: false
    nameservers: ["fd12:3456:789a:bcde:f012:3456:789a:bcd1", "fd12:3456:789a:bcde:f012:3456:789a:bcd3"]
  容器容器容器容器容器容器容器容器容器容器容器容器容器容器容器容器容器容器容器容器容器容器: { listens: [{ name: "${'s'.repeat(200)}", port: 7 }] }
reserved: [{ prefix: 10.0.0.0/8, for: "${'w '.repeat(150)}" }]
`

  test('have at most 100 columns whatever the names, and addresses are whole', async () => {
    const table = await tableOf(LONG)
    const wide = /[\u3000-\u9fff]/g
    for (const line of table.split('\n'))
      expect(line.length + (line.match(wide)?.length ?? 0)).toBeLessThanOrEqual(100)
    for (const last of ['bcd1', 'bcd2', 'bbbb', 'aaaa'])
      expect(table).toContain(`fd12:3456:789a:bcde:f012:3456:789a:${last}`)
    expect(table).toMatch(/c{8,}… /)
    expect(table).toMatch(/容+… /)
    expect(table).not.toMatch(/[^\S\n]+$/m)
  })

  test('of an ordinary network need 80 columns, and are as wide as they may', async () => {
    for (const width of [60, 80, 100])
      for (const line of await linesOf(HOME, { width })) expect(line.length).toBeLessThanOrEqual(width)
  })

  test('columns are beneath each other, however wide a terminal shows a name', async () => {
    const lines = await linesOf(`version: 1
containers:
  容器: { privateNetwork: true, hostAddress: 10.2.0.1, localAddress: 10.2.0.2 }
  abcd: { privateNetwork: true, hostAddress: 10.2.0.3, localAddress: 10.2.0.4 }
`)
    const [wide = '', plain = ''] = ['  容器  eth0', '  abcd  eth0'].map(text =>
      lines.find(line => line.includes(text))
    )
    // Two in the name and two in the interface.
    expect(wide.indexOf('10.2.0.2') + 4).toBe(plain.indexOf('10.2.0.4'))
  })

  const printed = /^[^\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]*$/u

  test('have nothing in them that a terminal acts on, wherever it stands in the file', async () => {
    let tables = 0
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...hostilePlaces), hostileStrings(), async (place, text) => {
        const { plan } = await analyze({ file: 'topology.yaml', text: JSON.stringify(place.put(text)) })
        if (plan === undefined) return
        tables += 1
        for (const line of planTable(plan, PLAIN, { width: 100, all: true }).split('\n')) {
          expect(line).toMatch(printed)
          if (/^[ -~…]*$/.test(line)) expect(line.length).toBeLessThanOrEqual(100)
        }
      }),
      { numRuns: 400, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false }
    )
    expect(tables).toBeGreaterThan(20)
  })
})

describe('random networks', () => {
  const IP = /(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]*:[0-9a-fA-F:]*:[0-9a-fA-F]*)(?![\w.])/g

  /** Every address that the text has anywhere. */
  const addressesIn = (text: string): Readonly<Record<Family, ReadonlySet<bigint>>> => {
    const found = { 4: new Set<bigint>(), 6: new Set<bigint>() }
    for (const [address] of text.matchAll(IP))
      if (!/^[\d:]{1,8}$|(?:[0-9a-f]{2}:){5}/i.test(address))
        found[address.includes(':') ? 6 : 4].add(valueOf(address))
    return found
  }

  const rangesIn = (block: string, pattern: RegExp): readonly (readonly [bigint, bigint])[] =>
    Array.from(block.matchAll(pattern), ([, from = '', to = from]) => [valueOf(from), valueOf(to)] as const)

  const ADDRESS = '[0-9a-f.:]+'
  const FREE = new RegExp(`^ {2}(?:free|not in the file) (${ADDRESS})(?:\\s+-\\s+(${ADDRESS}))?\\s+\\(`, 'gm')
  const KEPT = new RegExp(`^ {2}(${ADDRESS})(?: - (${ADDRESS}))? \\(`, 'gm')
  const HELD = new RegExp(`^ {2}(${ADDRESS}) {2}`, 'gm')

  test('what is free, held and kept is the whole network, and nothing that is free stands in the file', async () => {
    let seen = 0
    await fc.assert(
      fc.asyncProperty(networks(), async network => {
        const text = toYaml(toData(network))
        const table = await tableOf(text, { all: true })
        // The networks that NAT is for are no addresses, and of a /31 the lowest address is a host's.
        const { nat, ...others } = toData(network)
        const written = addressesIn(
          toYaml({ ...others, nat: { ...Object(nat), internalIPs: undefined, internalIPv6s: undefined } })
        )
        for (const bridge of network.bridges)
          for (const own of bridge.addresses) {
            const { family, address, bits } = networkOf(own)
            const block = blockOf(table, `${bridge.name}  ${address}/${bits}  `)
            const lowest = valueOf(address)
            const highest = lowest + (1n << BigInt((family === 4 ? 32 : 128) - bits)) - 1n
            const first = (family === 4 ? bits <= 30 : bits <= 126) ? lowest + 1n : lowest
            const last = family === 4 && bits <= 30 ? highest - 1n : highest
            const free = rangesIn(block, FREE)
            const kept = rangesIn(block, KEPT)
            for (const value of written[family])
              if (free.some(([from, to]) => from <= value && value <= to))
                throw new Error(`${value} of ${block} is in the file:\n${text}`)
            const held = rangesIn(block, HELD).filter(([value]) => value >= first && value <= last)
            for (const [value] of held) expect(written[family]).toContain(value)
            const all = [...free, ...kept, ...held].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
            let next = first
            for (const [from, to] of all) {
              expect(from).toBeLessThanOrEqual(next)
              if (to >= next) next = to + 1n
            }
            expect(next).toBe(last + 1n)
            seen += 1
          }
        expect(table.split('\n').filter(line => line.length > 100)).toEqual([])
        for (const { name } of [...network.containers, ...network.vms])
          expect(table).toContain(`  ${name.slice(0, 8)}`)
      }),
      { numRuns: 150, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false }
    )
    expect(seen).toBeGreaterThan(20)
  })
})
