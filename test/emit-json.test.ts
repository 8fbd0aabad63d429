import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { markOf, readMark } from '../src/emit/emitter.ts'
import { planText } from '../src/emit/json.ts'
import { emitted, goldens, planOf } from './golden.ts'

const textOf = async (topology: string): Promise<string> => {
  const { files, refused } = emitted(await planOf(topology), 'json')
  expect(refused).toEqual([])
  expect(Object.keys(files)).toEqual(['plan.json'])
  return files['plan.json'] ?? ''
}

const planIn = async (topology: string): Promise<unknown> => JSON.parse(await textOf(topology))

const NETWORK = `version: 1
name: home
host:
  name: server
  release: "26.05"
  manager: scripted
  useDHCP: false
  interfaces:
    enp2s0: { dhcp: true, macAddress: "02:00:00:00:00:AA" }
    enp1s0: { address: [198.51.100.2/24, "2001:DB8:1:0::2/64"] }
    bond0: { address: [10.7.0.1/24] }
  bonds: { bond0: { interfaces: [enp5s0, enp4s0] } }
  vlans: { lan: { id: 20, interface: enp3s0 } }
  macvlans: { mv-own: { interface: enp2s0 }, mv-lan: { interface: enp1s0, mode: bridge } }
  defaultGateway: { address: 198.51.100.1, interface: enp1s0 }
  defaultGateway6: { address: "2001:db8:1::1", interface: enp1s0 }
  nameservers: [9.9.9.9]
  firewall:
    backend: nftables
    allowedTCPPorts: [443, 22]
    allowedUDPPortRanges: [{ from: 6000, to: 6010 }]
    interfaces: { br0: { allowedUDPPorts: [53] } }
  listens: [{ name: sshd, port: 22 }, { name: dns, port: 53, protocol: udp, address: 192.168.100.1 }]
nat:
  enable: true
  enableIPv6: true
  externalInterface: enp1s0
  externalIP: 198.51.100.2
  externalIPv6: "2001:db8:1::2"
  dmzHost: 192.168.100.3
  internalInterfaces: [br0]
  internalIPs: [10.2.0.2]
  forwardPorts:
    - { sourcePort: 8080, destination: "192.168.100.2:80", loopbackIPs: [198.51.100.2] }
    - { sourcePort: "7000:7010", proto: udp, destination: "[fd12:3456:1::2]:7000-7010" }
    - { sourcePort: 6000, destination: "10.66.0.1:6000" }
bridges:
  br1: { interfaces: [lan], dhcp: true, macAddress: "02:00:00:00:00:01" }
  br0: { address: [192.168.100.1/29, "fd12:3456:1::1/64"] }
containers:
  web:
    privateNetwork: true
    hostBridge: br0
    localAddress: 192.168.100.2/29
    localAddress6: "fd12:3456:1::2/64"
    localMacAddress: "02:00:00:00:00:0B"
    defaultGateway: { address: 192.168.100.1, interface: eth0 }
    defaultGateway6: { address: "fd12:3456:1::1", interface: eth0 }
    nameservers: [9.9.9.9]
    useHostResolvConf: false
    extraVeths:
      zz: { hostBridge: br1 }
      aa: { hostAddress: 10.9.0.1, localAddress: 10.9.0.2 }
    firewall:
      allowedTCPPorts: [80]
      allowedUDPPortRanges: [{ from: 7000, to: 7010 }]
    listens: [{ name: httpd, port: 80 }, { port: 7001, protocol: udp, address: "fd12:3456:1::2" }]
  db:
    privateNetwork: true
    hostBridge: br0
    localAddress: 192.168.100.3/29
    defaultGateway: { address: 192.168.100.1, interface: eth0 }
    forwardPorts: [{ hostPort: 5433, containerPort: 5432 }]
    firewall: { allowedTCPPorts: [5432] }
  averyverylongcontainername: { privateNetwork: true, hostAddress: 10.2.0.1, localAddress: 10.2.0.2 }
  shared: { listens: [{ name: web2, port: 443 }] }
  off: { enabled: false, privateNetwork: true, hostAddress: 10.2.0.1, localAddress: 10.2.0.9 }
vms:
  vm:
    interfaces: { tap1: { type: tap, hostBridge: br0, address: [192.168.100.4/29], macAddress: "02:00:00:00:00:0c" } }
    defaultGateway: 192.168.100.1
    listens: [{ name: smb, port: 445, address: 192.168.100.4 }]
`

const CLOSED = { enabled: true, backend: 'iptables', filtersForward: false, open: { tcp: [], udp: [] } }
const NOWHERE = { ipv4: [], ipv6: [] }

test('what programs read of a network', async () => {
  expect(await planIn(NETWORK)).toEqual({
    mark: 'Made by netplan 0.0.0 for json from the topology "home"; change that and generate anew.',
    version: 1,
    name: 'home',
    host: {
      name: 'server',
      release: '26.05',
      manager: 'scripted',
      firewall: {
        enabled: true,
        backend: 'nftables',
        filtersForward: false,
        open: {
          tcp: [
            { from: 22, to: 22, interface: null },
            { from: 443, to: 443, interface: null }
          ],
          udp: [
            { from: 6000, to: 6010, interface: null },
            { from: 53, to: 53, interface: 'br0' }
          ]
        }
      },
      interfaces: [
        { name: 'bond0', dhcp: false, addresses: ['10.7.0.1/24'], macAddress: null },
        {
          name: 'enp1s0',
          dhcp: false,
          addresses: ['198.51.100.2/24', '2001:db8:1::2/64'],
          macAddress: null
        },
        { name: 'enp2s0', dhcp: true, addresses: [], macAddress: '02:00:00:00:00:aa' }
      ],
      bonds: [{ name: 'bond0', interfaces: ['enp5s0', 'enp4s0'] }],
      vlans: [{ name: 'lan', id: 20, interface: 'enp3s0' }],
      macvlans: [
        { name: 'mv-lan', mode: 'bridge', interface: 'enp1s0' },
        { name: 'mv-own', mode: 'vepa', interface: 'enp2s0' }
      ],
      gateways: { ipv4: '198.51.100.1', ipv6: '2001:db8:1::1' },
      nameservers: ['9.9.9.9'],
      listens: [
        { name: 'sshd', protocol: 'tcp', port: 22, address: null },
        { name: 'dns', protocol: 'udp', port: 53, address: '192.168.100.1' }
      ]
    },
    bridges: [
      {
        name: 'br0',
        addresses: ['192.168.100.1/29', 'fd12:3456:1::1/64'],
        macAddress: null,
        dhcp: false,
        ports: [],
        members: [
          { kind: 'container', name: 'db', interface: 'eth0' },
          { kind: 'machine', name: 'vm', interface: 'tap1' },
          { kind: 'container', name: 'web', interface: 'eth0' }
        ],
        subnets: [
          {
            family: 4,
            prefix: '192.168.100.0/29',
            hostAddress: '192.168.100.1',
            firstUsable: '192.168.100.1',
            lastUsable: '192.168.100.6',
            size: '8',
            usable: '6',
            used: '4',
            free: '2'
          },
          {
            family: 6,
            prefix: 'fd12:3456:1::/64',
            hostAddress: 'fd12:3456:1::1',
            firstUsable: 'fd12:3456:1::1',
            lastUsable: 'fd12:3456:1:0:ffff:ffff:ffff:ffff',
            size: '18446744073709551616',
            usable: '18446744073709551615',
            used: '2',
            free: '18446744073709551613'
          }
        ]
      },
      {
        name: 'br1',
        addresses: [],
        macAddress: '02:00:00:00:00:01',
        dhcp: true,
        ports: ['lan'],
        members: [{ kind: 'container', name: 'web', interface: 'zz' }],
        subnets: []
      }
    ],
    containers: [
      {
        name: 'averyverylongcontainername',
        enabled: true,
        private: true,
        interfaces: [
          {
            name: 'eth0',
            kind: 'veth',
            // systemd-nspawn's own name for it.
            hostInterface: 've-averyverDxYq',
            bridge: null,
            addresses: ['10.2.0.2/32'],
            hostAddresses: ['10.2.0.1/32'],
            macAddress: null
          }
        ],
        gateways: {
          ipv4: [
            {
              source: 'hostAddress',
              via: '10.2.0.1',
              path: 'containers.averyverylongcontainername.hostAddress'
            }
          ],
          ipv6: []
        },
        nameservers: [],
        firewall: CLOSED,
        listens: []
      },
      {
        name: 'db',
        enabled: true,
        private: true,
        interfaces: [
          {
            name: 'eth0',
            kind: 'veth',
            hostInterface: 'vb-db',
            bridge: 'br0',
            addresses: ['192.168.100.3/29'],
            hostAddresses: [],
            macAddress: null
          }
        ],
        gateways: {
          ipv4: [{ source: 'defaultGateway', via: '192.168.100.1', path: 'containers.db.defaultGateway' }],
          ipv6: []
        },
        nameservers: [],
        firewall: { ...CLOSED, open: { tcp: [{ from: 5432, to: 5432, interface: null }], udp: [] } },
        listens: []
      },
      {
        name: 'off',
        enabled: false,
        private: true,
        interfaces: [],
        gateways: {
          ipv4: [{ source: 'hostAddress', via: '10.2.0.1', path: 'containers.off.hostAddress' }],
          ipv6: []
        },
        nameservers: [],
        firewall: CLOSED,
        listens: []
      },
      {
        name: 'shared',
        enabled: true,
        private: false,
        interfaces: [],
        gateways: NOWHERE,
        nameservers: [],
        firewall: CLOSED,
        listens: [{ name: 'web2', protocol: 'tcp', port: 443, address: null }]
      },
      {
        name: 'web',
        enabled: true,
        private: true,
        interfaces: [
          {
            name: 'eth0',
            kind: 'veth',
            hostInterface: 'vb-web',
            bridge: 'br0',
            addresses: ['192.168.100.2/29', 'fd12:3456:1::2/64'],
            hostAddresses: [],
            macAddress: '02:00:00:00:00:0b'
          },
          {
            name: 'aa',
            kind: 'veth',
            hostInterface: 'aa',
            bridge: null,
            addresses: ['10.9.0.2/32'],
            hostAddresses: ['10.9.0.1/32'],
            macAddress: null
          },
          {
            name: 'zz',
            kind: 'veth',
            hostInterface: 'zz',
            bridge: 'br1',
            addresses: [],
            hostAddresses: [],
            macAddress: null
          }
        ],
        gateways: {
          ipv4: [{ source: 'defaultGateway', via: '192.168.100.1', path: 'containers.web.defaultGateway' }],
          ipv6: [
            { source: 'defaultGateway', via: 'fd12:3456:1::1', path: 'containers.web.defaultGateway6' },
            { source: 'advertisement', via: null, path: 'containers.web' }
          ]
        },
        nameservers: ['9.9.9.9'],
        firewall: {
          ...CLOSED,
          open: {
            tcp: [{ from: 80, to: 80, interface: null }],
            udp: [{ from: 7000, to: 7010, interface: null }]
          }
        },
        listens: [
          { name: 'httpd', protocol: 'tcp', port: 80, address: null },
          { name: null, protocol: 'udp', port: 7001, address: 'fd12:3456:1::2' }
        ]
      }
    ],
    machines: [
      {
        name: 'vm',
        enabled: true,
        interfaces: [
          {
            name: 'tap1',
            kind: 'tap',
            hostInterface: 'tap1',
            bridge: 'br0',
            addresses: ['192.168.100.4/29'],
            hostAddresses: [],
            macAddress: '02:00:00:00:00:0c'
          }
        ],
        gateways: { ipv4: '192.168.100.1', ipv6: null },
        listens: [{ name: 'smb', protocol: 'tcp', port: 445, address: '192.168.100.4' }]
      }
    ],
    nat: {
      enabled: true,
      backend: 'nftables',
      ipv6: true,
      external: { interface: 'enp1s0', ipv4: '198.51.100.2', ipv6: '2001:db8:1::2' },
      covers: { ipv4: ['br0', 've-averyverDxYq'], ipv6: ['br0'] },
      dmzHost: '192.168.100.3',
      forwards: [
        {
          protocol: 'tcp',
          from: 8080,
          to: 8080,
          destination: { address: '192.168.100.2', from: 80, to: 80, name: 'web' },
          loopbackAddresses: ['198.51.100.2']
        },
        {
          protocol: 'udp',
          from: 7000,
          to: 7010,
          destination: { address: 'fd12:3456:1::2', from: 7000, to: 7010, name: 'web' },
          loopbackAddresses: []
        },
        {
          protocol: 'tcp',
          from: 6000,
          to: 6000,
          destination: { address: '10.66.0.1', from: 6000, to: 6000, name: null },
          loopbackAddresses: []
        }
      ]
    },
    ports: [
      port('tcp', 22, 22, 'listen', 'sshd on the host', 'host.listens[0]'),
      port('tcp', 443, 443, 'shared', 'web2 of container "shared"', 'containers.shared.listens[0]', 'shared'),
      port('tcp', 5433, 5433, 'nspawn', 'container "db"', 'containers.db.forwardPorts[0].hostPort', 'db'),
      port(
        'tcp',
        6000,
        6000,
        'nat',
        'nat.forwardPorts[2] to 10.66.0.1:6000',
        'nat.forwardPorts[2].sourcePort'
      ),
      port(
        'tcp',
        8080,
        8080,
        'nat',
        'nat.forwardPorts[0] to 192.168.100.2:80',
        'nat.forwardPorts[0].sourcePort'
      ),
      { ...port('udp', 53, 53, 'listen', 'dns on the host', 'host.listens[1]'), address: '192.168.100.1' },
      port(
        'udp',
        7000,
        7010,
        'nat',
        'nat.forwardPorts[1] to [fd12:3456:1::2]:7000-7010',
        'nat.forwardPorts[1].sourcePort'
      )
    ]
  })
})

const port = (
  protocol: string,
  from: number,
  to: number,
  kind: string,
  owner: string,
  path: string,
  container: string | null = null
): object => ({ protocol, from, to, kind, container, address: null, owner, path })

test('what a small file does not say is null or empty', async () => {
  expect(await planIn('version: 1\ncontainers: { a: {} }\n')).toEqual({
    mark: expect.any(String),
    version: 1,
    name: null,
    host: {
      name: null,
      release: null,
      manager: null,
      firewall: CLOSED,
      interfaces: [],
      bonds: [],
      vlans: [],
      macvlans: [],
      gateways: { ipv4: null, ipv6: null },
      nameservers: [],
      listens: []
    },
    bridges: [],
    containers: [
      {
        name: 'a',
        enabled: true,
        private: false,
        interfaces: [],
        gateways: NOWHERE,
        nameservers: [],
        firewall: CLOSED,
        listens: []
      }
    ],
    machines: [],
    nat: {
      enabled: false,
      backend: 'iptables',
      ipv6: false,
      external: { interface: null, ipv4: null, ipv6: null },
      covers: { ipv4: [], ipv6: [] },
      dmzHost: null,
      forwards: []
    },
    ports: []
  })
})

test('an address that could not be chosen is called auto', async () => {
  const plan = await planOf(NETWORK)
  const linksOf = new Map(
    Array.from(plan.linksOf, ([node, links]) => [
      node,
      links.map(link => ({
        ...link,
        addresses: link.addresses.map(text => ({ ...text, text: 'auto', auto: true, prefix: undefined }))
      }))
    ])
  )
  expect(JSON.parse(planText({ ...plan, linksOf }))).toMatchObject({
    containers: [{ interfaces: [{ addresses: ['auto'] }] }, {}, {}, {}, {}]
  })
})

// The page and the program say the same.

const page = readFileSync(new URL('../docs/plan-json.md', import.meta.url), 'utf8')
const fields = new Map(
  Array.from(page.matchAll(/^\| `([^`]+)` \| ([^|]+) \| (.+) \|$/gm), ([, path = '', type = '']) => [
    path,
    type
  ])
)

const TYPES: Readonly<Record<string, (value: unknown) => boolean>> = {
  text: value => typeof value === 'string',
  'text or null': value => typeof value === 'string' || value === null,
  digits: value => typeof value === 'string' && /^(?:0|[1-9]\d*)$/.test(value),
  number: Number.isInteger,
  boolean: value => typeof value === 'boolean',
  object: value => typeof value === 'object' && value !== null && !Array.isArray(value),
  list: value => Array.isArray(value) && value.every(item => typeof item === 'object'),
  'list of texts': value => Array.isArray(value) && value.every(item => typeof item === 'string')
}

/** Every field of a value by its path as the page has it; that of each item of a list once more. */
const pathsOf = function* (value: unknown, path = ''): Generator<readonly [path: string, value: unknown]> {
  if (Array.isArray(value)) {
    for (const item of value) if (typeof item === 'object') yield* pathsOf(item, `${path}[]`)
  } else if (typeof value === 'object' && value !== null)
    for (const [key, inner] of Object.entries(value)) {
      const below = path === '' ? key : `${path}.${key}`
      yield [below, inner]
      yield* pathsOf(inner, below)
    }
}

describe('docs/plan-json.md', () => {
  test('has no field that is not there, and misses none', async () => {
    expect([...new Set([...pathsOf(await planIn(NETWORK))].map(([path]) => path))].sort()).toEqual(
      [...fields.keys()].sort()
    )
  })

  test.each([{ name: 'a network', topology: NETWORK }, ...goldens])(
    'has the type of each: $name',
    async ({ topology }) => {
      for (const [path, value] of pathsOf(await planIn(topology)))
        expect([path, TYPES[fields.get(path) ?? '']?.(value)]).toEqual([path, true])
    }
  )

  test('names every kind of port, link and gateway that there is', () => {
    for (const word of [
      'listen',
      'shared',
      'nspawn',
      'nat',
      'open',
      'veth',
      'macvlan',
      'moved',
      'tap',
      'hostAddress',
      'route',
      'dhcp',
      'advertisement'
    ])
      expect(page).toContain(`\`${word}\``)
  })
})

describe('the bytes', () => {
  /** The keys of each mapping in the opposite order. */
  const turned = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(turned)
      : typeof value === 'object' && value !== null
        ? Object.fromEntries(
            Object.entries(value)
              .toReversed()
              .map(([key, inner]) => [key, turned(inner)])
          )
        : value

  test('are the same whatever the order of the keys, and with JSON instead of YAML', async () => {
    const { load } = await import('js-yaml')
    const other = JSON.stringify(turned(load(NETWORK)))
    expect((await planOf(other)).topology.containers[0]?.name).toBe('off')
    expect(await textOf(other)).toBe(await textOf(NETWORK))
  })

  test('have two spaces for each step, a line end, and nothing that a terminal acts on', async () => {
    const text = await textOf(NETWORK)
    const [first = '', ...rest] = text.split('\n')
    expect(JSON.stringify(JSON.parse(text), null, 2)).toBe(
      [`{\n${first.replace('{ ', '  ')}`, ...rest.slice(0, -1)].join('\n')
    )
    expect(text.endsWith('}\n')).toBe(true)
    const hostile = 'a\u001b[31m\u009b\u2028\u202e\u{e0001}\u0000'
    const odd = await textOf(`version: 1\nname: ${JSON.stringify(hostile)}\n`)
    expect(odd).toMatch(/^[\n -~]*$/)
    expect(JSON.parse(odd)).toMatchObject({ name: hostile })
  })

  test('without a mark are the plan alone', async () => {
    const text = planText(await planOf(NETWORK))
    const { mark, ...plan } = JSON.parse(await textOf(NETWORK))
    expect(mark).toBeDefined()
    expect(JSON.parse(text)).toEqual(plan)
  })
})

describe('the mark in JSON', () => {
  const NAMES = ['home', 'a "b"', '\\', '\n", "x": "', '\u2028ünï 🙂', '"}', '', 'x'.repeat(1000)]
  test.each(NAMES)('names the topology %j', name => {
    const line = planLine(name)
    expect(JSON.parse(`${line.slice(0, -1)}}`)).toEqual({
      mark: markOf('json', { version: '1.2.3', topology: name })
    })
    expect(readMark(line)).toEqual({ target: 'json', topology: name })
    expect(readMark(`${line}\r`)).toEqual({ target: 'json', topology: name })
  })

  const planLine = (name: string): string =>
    `{ "mark": ${JSON.stringify(markOf('json', { version: '1.2.3', topology: name }))},`

  test.each(NAMES)('behind a comment sign too, for the topology %j', name => {
    expect(readMark(`# ${markOf('hosts', { version: '1.2.3', topology: name })}`)).toEqual({
      target: 'hosts',
      topology: name
    })
  })

  test('is none where a file of others only speaks of it', async () => {
    expect(readMark((await textOf(NETWORK)).split('\n', 1)[0] ?? '')).toEqual({
      target: 'json',
      topology: 'home'
    })
    for (const line of [
      '',
      '{',
      '{ "mark": "Made by me",',
      '{ "mark": 1,',
      '{ "mark": "\\u00",',
      `{ "other": ${JSON.stringify(markOf('json', { version: '1', topology: 'x' }))},`
    ])
      expect(readMark(line)).toBeUndefined()
  })
})
