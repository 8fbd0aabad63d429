import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { networkd } from '../src/emit/networkd.ts'
import { nixos } from '../src/emit/nixos.ts'
import { containerModule } from '../src/emit/nixos/container.ts'
import { analyze, type Plan } from '../src/index.ts'
import { type Change, changeOf, GRAVITY, type Step } from '../src/plan/change.ts'
import { unitsOf } from '../src/plan/units.ts'
import { changeJson, changeText } from '../src/report/change.ts'
import type { Paint } from '../src/report/pretty.ts'
import { columns } from '../src/report/pretty.ts'
import { goldens } from './golden.ts'
import { absent, inNamespace } from './judge.ts'
import { askNetworkd, withoutNetworkd } from './networkd.ts'
import { type Data, networks, toData, toYaml, type Value } from './topologies.ts'

const same = (text: string): string => text
const PLAIN: Paint = { error: same, warning: same, hint: same, bold: same, dim: same }

/** A plan of whatever is written; what is wrong in it is not the matter here. */
const planned = async (text: string): Promise<Plan | undefined> =>
  (await analyze({ file: 'topology.yaml', text })).plan

const planOf = async (text: string): Promise<Plan> => {
  const plan = await planned(text)
  if (plan === undefined) throw new Error(`no topology:\n${text}`)
  return plan
}

const head = (text: string): string => (text.startsWith('version:') ? text : `version: 1\n${text}`)

const changed = async (before: string, after: string): Promise<Change> =>
  changeOf(await planOf(head(before)), await planOf(head(after)))

const who = ({ subject: { kind, name } }: Pick<Step, 'subject'>): string =>
  ['host', 'networkd', 'firewall', 'nat'].includes(kind) ? kind : `${kind} ${name}`

/** `by-hand bridge-left bridge br0` */
const told = ({ steps }: Change): string[] => steps.map(step => `${step.gravity} ${step.effect} ${who(step)}`)

const stepOf = (change: Change, effect: string): Step => {
  const found = change.steps.find(step => step.effect === effect)
  if (found === undefined) throw new Error(`no ${effect} among ${told(change).join(', ')}`)
  return found
}

const cutOf = ({ cut }: Step): readonly string[] =>
  cut.map(({ who: subject, until, lacks }) =>
    [who({ subject }), until, ...(lacks === undefined ? [] : [lacks])].join(' ')
  )

const differencesOf = ({ differences }: Step): readonly string[] =>
  differences.map(({ option, before = '-', after = '-' }) => `${option}: ${before} -> ${after}`)

/** A container on br0 with the bridge as its router. */
const on = (name: string, last: number, more = 'autoStart: true'): string =>
  `  ${name}: { privateNetwork: true, hostBridge: br0, localAddress: 10.0.0.${last}/24, defaultGateway: { address: 10.0.0.1, interface: eth0 }, ${more} }\n`

const BRIDGE = 'bridges: { br0: { address: [10.0.0.1/24] } }\n'

describe('containers', () => {
  const one = (more: string, rest = ''): string => `${BRIDGE}containers:\n${on('web', 2, more)}${rest}`

  test.each([
    ['autoStart: true', 'restart container-restarted container web'],
    ['autoStart: false', 'by-hand container-waits container web'],
    ['enabled: true', 'restart container-restarted-if-started container web']
  ])(
    'with %s are restarted for what stands in their .conf file and for what is inside',
    async (start, step) => {
      for (const more of [
        'hostAddress: 10.0.0.1',
        'localAddress6: "fd12::2/64"',
        'hostAddress6: "fd12::1"',
        'localMacAddress: "02:00:00:00:00:01"',
        'forwardPorts: [{ hostPort: 80 }]',
        'extraVeths: { lan: { localAddress: 10.9.0.2, hostAddress: 10.9.0.1 } }',
        'macvlans: [eth0]',
        'interfaces: [eth5]',
        'copyResolvConf: false',
        'privateUsers: pick',
        'enableTun: true',
        'additionalCapabilities: [CAP_NET_RAW]',
        'extraFlags: ["--network-veth-extra=x"]',
        // Inside: the system is another one, and its path stands in the file too.
        'nameservers: [10.0.0.1]',
        'useHostResolvConf: false',
        'resolved: true',
        'useNetworkd: true',
        'dhcp: true',
        'acceptRA: true',
        'routes: [{ address: 10.7.0.0/16, via: 10.0.0.1 }]',
        'defaultGateway6: { address: "fd12::1", interface: eth0 }',
        'firewall: { allowedTCPPorts: [80] }',
        'firewall: { enable: false }',
        'firewall: { interfaces: { eth0: { allowedUDPPorts: [53] } } }',
        'listens: [{ name: httpd, port: 80 }]',
        'vpn: { name: wireguard, interface: wg0 }',
        'virtualAddresses: [10.0.0.9]',
        'inside: { nat: { enable: true, internalInterfaces: [x] } }',
        'inside: { bridges: { br9: { interfaces: [eth0] } } }',
        'inside: { vlans: { v5: { id: 5, interface: eth0 } } }',
        'inside: { interfaces: { lan: { address: [10.8.0.1/24] } } }'
      ]) {
        const change = await changed(one(start), one(`${start}, ${more}`))
        expect([more, ...told(change)]).toEqual([more, step])
        const [option = ''] = more.split(':')
        expect(differencesOf(change.steps[0] as Step).join()).toContain(option)
        expect(cutOf(change.steps[0] as Step)).toEqual(
          start.endsWith('false') ? [] : ['container web started']
        )
        expect(change.steps[0]?.commands).toEqual(
          start.endsWith('true') && start.startsWith('auto')
            ? []
            : ['systemctl try-restart container@web.service']
        )
      }
    }
  )

  test('are not for what means the same, or never reaches them', async () => {
    const web = (options: string): string => `${BRIDGE}containers:\n  web: { autoStart: true, ${options} }\n`
    for (const [before, after] of [
      [
        'privateNetwork: true, hostBridge: br0, localAddress6: "fd12:0::2/64"',
        'privateNetwork: true, hostBridge: br0, localAddress6: "FD12::2/64"'
      ],
      ['privateNetwork: true, hostBridge: br0, internet: false', 'privateNetwork: true, hostBridge: br0'],
      ['localAddress: 10.0.0.2/24', 'localAddress: 10.0.0.3/24'],
      ['firewall: { allowedTCPPorts: [80, 22, 22] }', 'firewall: { allowedTCPPorts: [22, 80] }'],
      [
        'extraVeths: { a: { localAddress: 10.9.0.2 }, b: { localAddress: 10.9.0.3 } }',
        'extraVeths: { b: { localAddress: 10.9.0.3 }, a: { localAddress: 10.9.0.2 } }'
      ]
    ] as const)
      expect(told(await changed(web(before), web(after)))).toEqual([])
    // The order of a list goes into the file.
    expect(told(await changed(web('macvlans: [eth0, eth1]'), web('macvlans: [eth1, eth0]')))).toEqual([
      'restart container-restarted container web'
    ])
  })

  test('come, go, are switched on and off, and get other names', async () => {
    const two = `${BRIDGE}containers:\n${on('web', 2)}${on('db', 3, 'autoStart: false')}`
    const off = two.replaceAll('autoStart', 'enabled: false, autoStart')
    expect(told(await changed(BRIDGE, two))).toEqual([
      'live container-added container db',
      'live container-started container web'
    ])
    expect(told(await changed(two, BRIDGE))).toEqual([
      'restart container-stopped container db',
      'restart container-stopped container web'
    ])
    expect(told(await changed(off, two))).toEqual(told(await changed(BRIDGE, two)))
    expect(told(await changed(two, off))).toEqual(told(await changed(two, BRIDGE)))
    expect(told(await changed(two, `host: { enableContainers: false }\n${two}`))).toEqual(
      expect.arrayContaining(told(await changed(two, BRIDGE)))
    )
    const renamed = await changed(two, two.replace('web:', 'site:'))
    expect(told(renamed)).toEqual([
      'restart container-stopped container web',
      'live container-started container site'
    ])
    expect(stepOf(await changed(BRIDGE, two), 'container-added').commands).toEqual([
      'systemctl start container@db.service'
    ])
  })

  test('say so when only the boot is concerned, or what is built elsewhere', async () => {
    expect(told(await changed(one('autoStart: true'), one('autoStart: false')))).toEqual([
      'live container-at-boot container web'
    ])
    // It is started now, and if it runs its unit is another one.
    expect(told(await changed(one('autoStart: false'), one('autoStart: true')))).toEqual([
      'restart container-restarted container web'
    ])
    const flake = 'autoStart: true, flake: "github:x/y"'
    expect(told(await changed(one(flake), one(`${flake}, nameservers: [10.0.0.1]`)))).toEqual([
      'by-hand container-built-elsewhere container web'
    ])
    expect(told(await changed(one(flake), one(`${flake}, hostAddress: 10.0.0.1`)))).toEqual([
      'restart container-restarted container web'
    ])
    expect(told(await changed(one('autoStart: true'), one(flake)))).toEqual([
      'restart container-restarted container web'
    ])
  })

  test('take the way out or the names from those that need them', async () => {
    const network = (last: number): string => `${BRIDGE}containers:
  router: { autoStart: true, privateNetwork: true, hostBridge: br0, localAddress: 10.0.0.2/24, localAddress6: "fd12::2/64", extraVeths: { up: { localAddress: 10.9.0.${last} } } }
  a: { autoStart: true, privateNetwork: true, hostBridge: br0, localAddress: 10.0.0.3/24, defaultGateway: { address: 10.0.0.2, interface: eth0 }, nameservers: [10.0.0.2] }
  b: { autoStart: true, privateNetwork: true, hostBridge: br0, localAddress6: "fd12::3/64", defaultGateway6: { address: "fd12::2", interface: eth0 } }
  c: { autoStart: true, privateNetwork: true, hostBridge: br0, localAddress: 10.0.0.4/24, defaultGateway: { address: 10.0.0.1, interface: eth0 } }
`
    const change = await changed(network(2), network(3))
    expect(told(change)).toEqual(['restart container-restarted container router'])
    expect(cutOf(change.steps[0] as Step)).toEqual([
      'container router started',
      'container a started gateway',
      'container a started nameserver',
      'container b started gateway'
    ])
    const gone = await changed(network(2), network(2).replace(/ {2}router: .*\n/, ''))
    expect(cutOf(stepOf(gone, 'container-stopped'))).toContain('container a gone gateway')
  })
})

describe("bridges of NixOS's scripts", () => {
  const network = (bridge: string, more = ''): string =>
    `host: { manager: scripted, interfaces: { eth0: { address: [198.51.100.2/24] } }${more} }
bridges: { br0: { definedBy: scripted, ${bridge} } }
containers:
${on('web', 2)}${on('db', 3, 'autoStart: false')}`
  const PLAIN_BRIDGE = 'address: [10.0.0.1/24]'

  test.each([
    ['other ports', `${PLAIN_BRIDGE}, interfaces: [eth1]`, 'live bridge-reloaded bridge br0'],
    ['RSTP', `${PLAIN_BRIDGE}, rstp: true`, 'live bridge-reloaded bridge br0'],
    ['other addresses', 'address: [10.0.0.1/24, "fd12::1/64"]', 'live addresses-set bridge br0'],
    [
      'another MAC address',
      `${PLAIN_BRIDGE}, macAddress: "02:00:00:00:00:05"`,
      'by-hand link-kept bridge br0'
    ]
  ])('with %s are not made anew', async (_, bridge, step) => {
    const change = await changed(network(PLAIN_BRIDGE), network(bridge))
    expect(told(change)).toEqual([step])
    expect(cutOf(change.steps[0] as Step)).toEqual(step.includes('link') ? [] : ['bridge br0 moment'])
  })

  test('come and go', async () => {
    const none = 'host: { manager: scripted, interfaces: { eth0: { address: [198.51.100.2/24] } } }\n'
    expect(told(await changed(none, network(PLAIN_BRIDGE)))).toContain('live bridge-made bridge br0')
    const gone = await changed(network(PLAIN_BRIDGE), network(PLAIN_BRIDGE).replace(/^bridges.*\n/m, ''))
    expect(told(gone)).toEqual(['restart bridge-deleted bridge br0'])
    expect(cutOf(gone.steps[0] as Step)).toEqual(['container web gone', 'container db gone'])
  })

  test.each([
    ['a router', ', defaultGateway: 198.51.100.1'],
    ['an IPv6 router', ', defaultGateway6: { address: "fe80::1", interface: eth0 }'],
    ['nameservers', ', nameservers: [9.9.9.9]']
  ])('up to 25.11 are made anew with network-setup.service, for %s of the host', async (_, more) => {
    for (const [release, isRemade] of [
      ['25.11', true],
      ['22.05', true],
      ['26.05', false],
      ['unstable', false]
    ] as const) {
      const host = (more: string): string => network(PLAIN_BRIDGE, `, release: "${release}"${more}`)
      const change = await changed(host(''), host(more))
      expect(told(change)).toContain('live host-configured host')
      expect(told(change).some(step => step.includes('bridge-remade'))).toBe(isRemade)
      if (!isRemade) continue
      const remade = stepOf(change, 'bridge-remade')
      expect(remade.cause).toBe('network-setup')
      expect(cutOf(remade)).toEqual([
        'bridge br0 moment',
        'container web restarted',
        'container db restarted'
      ])
      expect(remade.commands).toEqual([
        'systemctl try-restart container@web.service',
        'systemctl try-restart container@db.service'
      ])
    }
  })

  test('up to 25.11 also for an address of the host, and for ports of bridges, but not for their own addresses', async () => {
    const release = ', release: "25.11"'
    const old = network(PLAIN_BRIDGE, release)
    for (const next of [
      old.replace('198.51.100.2/24', '198.51.100.3/24'),
      old.replace(PLAIN_BRIDGE, `${PLAIN_BRIDGE}, interfaces: [eth1]`)
    ])
      expect(stepOf(await changed(old, next), 'bridge-remade').cause).toBe('network-setup')
    expect(told(await changed(old, old.replace(PLAIN_BRIDGE, 'address: [10.0.0.1/23]')))).toEqual([
      'live addresses-set bridge br0'
    ])
    // What NetworkManager manages is not in networking.interfaces, and networkd has no such service.
    for (const manager of ['networkmanager', 'networkd'])
      expect(
        told(
          await changed(
            old.replace('manager: scripted', `manager: ${manager}`),
            old
              .replace('manager: scripted', `manager: ${manager}`)
              .replace('198.51.100.2/24', '198.51.100.3/24')
          )
        ).filter(step => step.includes('remade'))
      ).toEqual([])
  })

  test('are made anew with a VLAN or bond that is a port of them, also with one below that', async () => {
    const host = (id: number, mode = 'active-backup'): string =>
      `host:
  manager: scripted
  interfaces: { eth1: {}, eth2: {} }
  bonds: { bond0: { interfaces: [eth1, eth2], mode: ${mode} } }
  vlans: { lan: { id: ${id}, interface: bond0 } }
bridges: { br0: { definedBy: scripted, address: [10.0.0.1/24], interfaces: [lan] }, br1: { definedBy: scripted, address: [10.1.0.1/24] } }
containers:
${on('web', 2)}  mac: { autoStart: true, privateNetwork: true, macvlans: [lan] }
`
    for (const next of [host(6), host(5, '802.3ad')]) {
      const change = await changed(host(5), next)
      expect(told(change)).toEqual(
        expect.arrayContaining(['by-hand bridge-remade bridge br0', 'by-hand device-remade vlan lan'])
      )
      expect(told(change).join()).not.toContain('br1')
      expect(stepOf(change, 'bridge-remade').cause).toBe('port')
      expect(cutOf(change.steps.find(({ subject: { name } }) => name === 'lan') as Step)).toEqual([
        'container mac restarted'
      ])
    }
    const none = host(5)
      .replace(/ {2}vlans.*\n/, '')
      .replace('interfaces: [lan]', 'interfaces: []')
    expect(told(await changed(host(5), none))).toEqual(
      expect.arrayContaining(['by-hand bridge-remade bridge br0', 'by-hand device-deleted vlan lan'])
    )
  })

  test('are made anew by another program, and containers that restart themselves need no hand', async () => {
    const old = network(PLAIN_BRIDGE)
    const next = old.replace('definedBy: scripted', 'definedBy: networkd')
    for (const [from, to] of [
      [old, next],
      [next, old]
    ] as const) {
      const remade = stepOf(await changed(from, to), 'bridge-remade')
      expect(remade).toMatchObject({ cause: 'maker', gravity: 'by-hand' })
      expect(cutOf(remade)).toContain('container web restarted')
    }
    const restarted = stepOf(
      await changed(old, next.replace(/ {2}db.*\n/, '').replace('10.0.0.2/24', '10.0.0.7/24')),
      'bridge-remade'
    )
    expect(restarted.gravity).toBe('restart')
    expect(cutOf(restarted)).toEqual(['bridge br0 moment'])
  })

  test('with useNetworkd are bridges of networkd', async () => {
    const old = network(PLAIN_BRIDGE).replace('manager: scripted', 'manager: networkd')
    expect(told(await changed(old, old.replace(/^bridges.*\n/m, '')))).toEqual([
      'by-hand bridge-left bridge br0',
      'live networkd-restarts networkd'
    ])
  })
})

describe('bridges of systemd-networkd', () => {
  const network = (bridges: string, release = '25.11', more = ''): string =>
    `host: { manager: networkd, release: "${release}", useDHCP: false, interfaces: { eth0: { dhcp: true } }${more} }
bridges: ${bridges}
containers:
${on('web', 2)}`
  const OLD = '{ br0: { address: [10.0.0.1/24] } }'

  test.each([
    [
      'another address',
      '{ br0: { address: [10.0.0.1/24, "fd12::1/64"] } }',
      ['live reconfigured bridge br0', 'live networkd-reloads networkd']
    ],
    [
      'STP',
      '{ br0: { address: [10.0.0.1/24], stp: true } }',
      ['live netdev-updated bridge br0', 'live networkd-restarts networkd']
    ],
    [
      'VLANs',
      '{ br0: { address: [10.0.0.1/24], vlanAware: true } }',
      ['live netdev-updated bridge br0', 'live networkd-restarts networkd']
    ],
    [
      'a port',
      '{ br0: { address: [10.0.0.1/24], interfaces: [eth1] } }',
      ['live reconfigured bridge br0', 'live networkd-reloads networkd']
    ],
    [
      'another bridge beside it',
      '{ br0: { address: [10.0.0.1/24] }, br1: {} }',
      ['live bridge-made bridge br1', 'live networkd-restarts networkd']
    ]
  ])('with %s are not made anew', async (_, bridges, steps) => {
    expect(told(await changed(network(OLD), network(bridges)))).toEqual(steps)
  })

  test('stay when they are gone, and stand in the way of one with their network', async () => {
    expect(told(await changed(network('{ br0: { address: [10.0.0.1/24] }, x: {} }'), network(OLD)))).toEqual([
      'by-hand bridge-left bridge x',
      'live networkd-restarts networkd'
    ])
    for (const address of ['10.0.0.1/24', '10.0.0.129/25', '10.0.7.1/16']) {
      const change = await changed(
        network('{ br0: { address: [10.0.0.1/24] } }'),
        network(`{ lan: { address: [${address}] } }`).replace('hostBridge: br0', 'hostBridge: lan')
      )
      const left = stepOf(change, 'bridge-in-the-way')
      expect(cutOf(left)).toEqual(['bridge lan deleted', 'container web deleted'])
      expect(left.commands).toEqual(['ip link delete dev br0'])
    }
    const six = await changed(
      network('{ br0: { address: ["fd12::1/64"] } }'),
      network('{ lan: { address: ["fd12::1/48"] } }')
    )
    expect(told(six)).toContain('by-hand bridge-in-the-way bridge br0')
  })

  test('keep a port that nobody configures, unless it moves or has a file', async () => {
    const ports = (list: string, more = ''): string =>
      network(`{ br0: { address: [10.0.0.1/24], interfaces: [${list}] }${more} }`)
    const change = await changed(ports('eth1, eth2'), ports('eth2'))
    expect(told(change)).toEqual(['by-hand port-stays bridge br0', 'live networkd-reloads networkd'])
    expect(change.steps[0]?.commands).toEqual(['ip link set dev eth1 nomaster'])
    for (const next of [
      ports('eth2', ', br1: { interfaces: [eth1] }'),
      ports('eth2').replace('eth0: { dhcp: true }', 'eth0: { dhcp: true }, eth1: { dhcp: true }'),
      ports('eth2').replace('useDHCP: false', 'useDHCP: true')
    ])
      expect(told(await changed(ports('eth1, eth2'), next))).not.toContain('by-hand port-stays bridge br0')
  })

  test('keep a MAC address before 25.05, and the old addresses when networkd restarts', async () => {
    const next = '{ br0: { address: [10.0.0.254/24], macAddress: "02:00:00:00:00:05" } }'
    for (const release of ['24.11', '22.05']) {
      const change = await changed(network(OLD, release), network(next, release))
      expect(told(change)).toEqual([
        'by-hand netdev-kept bridge br0',
        'by-hand addresses-left bridge br0',
        'live reconfigured bridge br0',
        'live networkd-restarts networkd'
      ])
      expect(change.steps.flatMap(({ commands }) => commands)).toEqual([
        'ip link set dev br0 address 02:00:00:00:00:05',
        'ip address delete 10.0.0.1/24 dev br0'
      ])
    }
    for (const release of ['25.05', 'unstable'])
      expect(told(await changed(network(OLD, release), network(next, release)))).toEqual([
        'live netdev-updated bridge br0',
        'live reconfigured bridge br0',
        'live networkd-restarts networkd'
      ])
    // Only a reload: the old one goes.
    expect(
      told(await changed(network(OLD, '24.11'), network('{ br0: { address: [10.0.0.254/24] } }', '24.11')))
    ).toEqual(['live reconfigured bridge br0', 'live networkd-reloads networkd'])
  })

  test('keep what is written no more', async () => {
    const change = await changed(
      network('{ br0: { address: [10.0.0.1/24], stp: true, vlanAware: true } }'),
      network(OLD)
    )
    expect(told(change)).toEqual(['by-hand netdev-kept bridge br0', 'live networkd-restarts networkd'])
    expect(change.steps[0]?.commands).toEqual([
      'ip link set dev br0 type bridge stp_state 0',
      'ip link set dev br0 type bridge vlan_filtering 0'
    ])
  })

  test('have macvlans of the host that are made anew with them, or stay as they are', async () => {
    const host = (manager: string, mode: string): string => `version: 1
host:
  release: "26.05"
  manager: ${manager}
  interfaces: { eno1: {}, mv-host: { address: [192.168.1.2/24, "2001:db8:1::2/64"] } }
  macvlans: { mv-host: { interface: eno1, mode: ${mode} } }
containers: {}
`
    expect(told(await changed(host('scripted', 'vepa'), host('scripted', 'bridge')))).toEqual([
      'restart device-remade macvlan mv-host'
    ])
    expect(told(await changed(host('networkd', 'vepa'), host('networkd', 'bridge')))).toEqual([
      'by-hand device-kept macvlan mv-host',
      'live networkd-restarts networkd'
    ])
    const gone = host('scripted', 'bridge')
      .replace(/ {2}macvlans.*\n/, '')
      .replace(/, mv-host.*/, ' }')
    expect(told(await changed(host('scripted', 'bridge'), gone))).toContain(
      'restart device-deleted macvlan mv-host'
    )
  })

  test('have VLANs and bonds that stay as they are', async () => {
    const host = (vlans: string): string => network(OLD, '25.11', `, vlans: ${vlans}`)
    const other = await changed(
      host('{ lan: { id: 5, interface: eth5 } }'),
      host('{ lan: { id: 6, interface: eth5 } }')
    )
    expect(told(other)).toEqual(['by-hand device-kept vlan lan', 'live networkd-restarts networkd'])
    expect(other.steps[0]?.commands).toEqual([
      'ip link delete dev lan',
      'systemctl restart systemd-networkd.service'
    ])
    expect(told(await changed(host('{ lan: { id: 5, interface: eth5 } }'), host('{}')))).toEqual([
      'by-hand device-left vlan lan',
      'live networkd-restarts networkd'
    ])
  })

  test('written by hand are told by their files', async () => {
    const units = (netdev: string, address: string, file = 'by-hand'): string =>
      `host: { networkd: { enable: true, netdevs: { 20-br0: { netdevConfig: { Name: br0, Kind: bridge }${netdev} } }, networks: { 40-${file}: { matchConfig: { Name: br0 }, address: ["${address}"] } } } }
containers:
${on('web', 2)}`
    const old = units(', bridgeConfig: { STP: true, AgeingTimeSec: 10 }', '10.0.0.1/24')
    expect(
      told(await changed(old, units(', bridgeConfig: { STP: true, AgeingTimeSec: 20 }', '10.0.0.1/24')))
    ).toEqual(['live networkd-restarts networkd', 'live netdev-updated unit 20-br0.netdev'])
    const gone = await changed(old, units(', bridgeConfig: { AgeingTimeSec: 10 }', '10.0.0.1/24'))
    expect(told(gone)).toEqual(['by-hand device-kept unit 20-br0.netdev', 'live networkd-restarts networkd'])
    expect(differencesOf(gone.steps[0] as Step)).toEqual(['bridgeConfig STP: true -> -'])
    expect(told(await changed(old, old.replace('10.0.0.1/24', '10.0.0.9/24')))).toEqual([
      'live networkd-reloads networkd',
      'live reconfigured unit 40-by-hand.network'
    ])
    expect(
      told(await changed(old, old.replace(/netdevs: \{.*\} \}, networks/, 'netdevs: {}, networks')))
    ).toContain('by-hand bridge-left bridge br0')
  })
})

describe('the host', () => {
  test('goes on with what only a boot changes', async () => {
    const host = (text: string): string => `host: { ${text} }\n`
    for (const [before, after, step] of [
      ['kernel: "6.6"', 'kernel: "6.12"', 'by-hand kernel host'],
      ['release: "25.05"', 'release: "25.11"', 'restart release host'],
      ['manager: scripted', 'manager: networkd', 'by-hand manager host'],
      ['sysctl: { net.core.somaxconn: 1 }', 'sysctl: { net.core.somaxconn: 2 }', 'live sysctl-set host'],
      ['sysctl: { net.core.somaxconn: 1 }', 'name: x', 'by-hand sysctl-stays host'],
      [
        'manager: scripted',
        'manager: scripted, interfaces: { eth0: { mtu: 1400 } }',
        'by-hand link-kept interface eth0'
      ],
      [
        'manager: networkd',
        'manager: networkd, interfaces: { eth0: { mtu: 1400 } }',
        'live reconfigured interface eth0'
      ],
      [
        'manager: scripted',
        'manager: scripted, interfaces: { eth0: { dhcp: true } }',
        'live interface-configured interface eth0'
      ],
      ['defaultGateway: 10.0.0.1', 'defaultGateway: 10.0.0.2', 'live host-configured host'],
      [
        'firewall: { allowedTCPPorts: [22] }',
        'firewall: { allowedTCPPorts: [22, 80] }',
        'live firewall-reloaded firewall'
      ],
      [
        'firewall: { allowedTCPPorts: [22] }',
        'firewall: { backend: nftables, allowedTCPPorts: [22] }',
        'live firewall-replaced firewall'
      ],
      ['name: x', 'firewall: { enable: false }', 'live firewall-replaced firewall']
    ] as const)
      expect([after, told(await changed(host(before), host(after)))]).toEqual([after, [step]])
  })

  test('has containers that go on asking the old nameservers', async () => {
    const network = (server: string): string => `host: { nameservers: [${server}] }
${BRIDGE}containers:
${on('copies', 2)}${on('own', 3, 'autoStart: true, nameservers: [10.0.0.1], useHostResolvConf: false')}${on('moves', 4)}`
    const change = await changed(network('9.9.9.9'), network('1.1.1.1').replace('10.0.0.4/24', '10.0.0.5/24'))
    const step = stepOf(change, 'resolver-copied')
    expect(cutOf(step)).toEqual(['container copies restarted nameserver'])
    expect(step.commands).toEqual(['systemctl try-restart container@copies.service'])
  })

  test('forwards on when NAT is off, unless something else wants it to', async () => {
    const nat = 'nat: { enable: true, internalInterfaces: [br0], externalInterface: eth0 }\n'
    const change = await changed(
      `${nat}${BRIDGE}containers:\n${on('web', 2)}`,
      `${BRIDGE}containers:\n${on('web', 2)}`
    )
    expect(told(change)).toEqual(['by-hand forwarding-stays host', 'live nat-reloaded nat'])
    expect(differencesOf(stepOf(change, 'nat-reloaded'))).toContain('translates IPv4 of: br0 -> -')
    const wanted = 'host: { sysctl: { net.ipv4.ip_forward: 1 } }\n'
    expect(told(await changed(nat + wanted + BRIDGE, wanted + BRIDGE))).toEqual(['live nat-reloaded nat'])
    const off = 'host: { firewall: { enable: false } }\n'
    expect(told(await changed(off + BRIDGE, nat + off + BRIDGE))).toEqual(['live nat-restarted nat'])
  })

  test('goes on forwarding IPv6 when only that is translated no more, unless something else wants it to', async () => {
    const network = (six: boolean, more = ''): string =>
      `${more}nat: { enable: true, enableIPv6: ${six}, internalInterfaces: [br0], externalInterface: eth0 }\n${BRIDGE}`
    const off = stepOf(await changed(network(true), network(false)), 'forwarding-stays')
    expect(differencesOf(off)).toEqual(['nat.enableIPv6: true -> -'])
    expect(off.commands).toEqual([
      'sysctl -w net.ipv6.conf.all.forwarding=0',
      'sysctl -w net.ipv6.conf.default.forwarding=0'
    ])
    for (const [more, stays] of [
      ['host: { sysctl: { net.ipv6.conf.all.forwarding: 1 } }\n', false],
      ['host: { sysctl: { net.ipv4.ip_forward: 1 } }\n', true],
      ['host: { sysctl: { net.ipv6.conf.all.accept_ra: 2 } }\n', true]
    ] as const)
      expect([
        more,
        told(await changed(network(true, more), network(false, more))).includes(
          'by-hand forwarding-stays host'
        )
      ]).toEqual([more, stays])
    for (const [option, families] of [
      ['IPMasquerade: ipv4', [6]],
      ['IPv6Forwarding: true', [4]],
      ['IPv4Forwarding: false', [4, 6]]
    ] as const) {
      const wanted = (nat: string): string =>
        `${nat}\n${BRIDGE.replace('address', `definedBy: networkd, ${option}, address`)}`
      expect(
        stepOf(
          await changed(wanted('nat: { enable: true, enableIPv6: true }'), wanted('')),
          'forwarding-stays'
        ).commands
      ).toEqual(
        families.flatMap(family =>
          ['all', 'default'].map(name => `sysctl -w net.ipv${family}.conf.${name}.forwarding=0`)
        )
      )
    }
    const four = await changed(`nat: { enable: true, enableIPv6: false }\n${BRIDGE}`, BRIDGE)
    expect(stepOf(four, 'forwarding-stays').commands.join()).not.toContain('ipv6')
  })

  test('translates no more for a container that leaves the addresses of nat.internalIPs', async () => {
    const network = (last: number): string =>
      `nat: { enable: true, internalIPs: [10.1.0.0/25], externalInterface: eth0 }
containers: { web: { autoStart: true, privateNetwork: true, hostAddress: 10.1.0.1, localAddress: 10.1.0.${last} } }
`
    const change = await changed(network(2), network(200))
    expect(differencesOf(stepOf(change, 'nat-reloaded'))).toEqual(['translates IPv4 of: ve-web -> -'])
  })
})

describe('addresses', () => {
  const two = (web: number, db: number, start = 'true'): string =>
    `${BRIDGE}containers:\n${on('web', web, `autoStart: ${start}`)}${on('db', db)}`

  test('are told with who has them', async () => {
    const change = await changed(
      `host: { interfaces: { eth0: { address: [198.51.100.2/24] } } }\n${two(2, 3)}  pair: { privateNetwork: true, hostAddress: 10.7.0.1, localAddress: 10.7.0.2, hostAddress6: "fd12::1", localAddress6: "fd12::2" }\n`,
      `host: { interfaces: { eth0: { address: [198.51.100.3/24] } } }\n${two(2, 4)}  pair: { privateNetwork: true, hostAddress: 10.7.0.3, localAddress: 10.7.0.2, hostAddress6: "fd12::1", localAddress6: "fd12::9" }\n`
    )
    expect(
      change.addresses.map(({ holder, removed, added }) => [
        who(holder),
        holder.ifname,
        ...removed,
        '->',
        ...added
      ])
    ).toEqual([
      ['host', 've-pair', '10.7.0.1', '->', '10.7.0.3'],
      ['interface eth0', 'eth0', '198.51.100.2/24', '->', '198.51.100.3/24'],
      ['container db', 'eth0', '10.0.0.3/24', '->', '10.0.0.4/24'],
      ['container pair', 'eth0', 'fd12::2', '->', 'fd12::9']
    ])
  })

  test('that pass from one to another are with two, where the first goes on as it was', async () => {
    const passed = await changed(two(2, 3, 'false'), two(4, 2, 'false'))
    const step = stepOf(passed, 'address-twice')
    expect([who(step), ...differencesOf(step), ...step.commands]).toEqual([
      'container db',
      '10.0.0.2: container web -> container db',
      'systemctl try-restart container@web.service'
    ])
    expect(told(await changed(two(2, 3), two(4, 2))).join()).not.toContain('address-twice')
    expect(told(await changed(two(2, 3), two(3, 2))).join()).not.toContain('address-twice')
  })

  test('that have gone are named still, or no longer', async () => {
    const network = (web: string, names: string): string => `name: x
host: { nameservers: [${names}], resolvConf: [${names}], listens: [{ port: 53, address: ${names} }] }
nat: { enable: true, externalInterface: eth0, internalInterfaces: [br0], dmzHost: ${names}, forwardPorts: [{ sourcePort: 1, destination: "10.0.0.77:1" }, { sourcePort: 80, destination: "${names}:80" }] }
bridges: { br0: { address: [10.0.0.1/24] } }
containers:
  web: { autoStart: true, privateNetwork: true, hostBridge: br0, localAddress: ${web}/24, localAddress6: "fd12::${web.split('.')[3]}/64" }
  a: { autoStart: true, privateNetwork: true, hostBridge: br0, localAddress: 10.0.0.9/24, hostAddress: ${names}, defaultGateway: { address: ${names}, interface: eth0 }, defaultGateway6: { address: "fd12::${names.split('.')[3]}", interface: eth0 }, nameservers: [10.0.0.1, ${names}], routes: [{ address: 10.6.0.0/16, via: ${names} }] }
vms: { v: { interfaces: { tap0: { hostBridge: br0, address: [10.0.0.8/24] } }, defaultGateway: { address: ${names} } } }
expect: [{ from: a, to: ${names}, port: 80, outcome: reaches }]
`
    const places = [
      'containers.a.defaultGateway.address',
      'containers.a.defaultGateway6.address',
      'containers.a.hostAddress',
      'containers.a.nameservers.1',
      'containers.a.routes.0.via',
      'expect.0.to',
      'host.listens.0.address',
      'host.nameservers.0',
      'host.resolvConf.0',
      'nat.dmzHost',
      'nat.forwardPorts.1.destination',
      'vms.v.defaultGateway.address'
    ]
    const left = await changed(network('10.0.0.2', '10.0.0.2'), network('10.0.0.3', '10.0.0.2'))
    expect(left.references.map(({ at }) => at.join('.')).sort()).toEqual(places)
    for (const { state, address, was, now, instead } of left.references)
      expect([state, address.startsWith('fd') ? 'fd12::2' : '10.0.0.2', who(was), now, instead]).toEqual([
        'left',
        address,
        'container web',
        undefined,
        ['10.0.0.3/24', 'fd12::3/64']
      ])
    const follows = await changed(network('10.0.0.2', '10.0.0.2'), network('10.0.0.3', '10.0.0.3'))
    expect(follows.references.map(({ at }) => at.join('.')).sort()).toEqual(places)
    expect(new Set(follows.references.map(({ state }) => state))).toEqual(new Set(['follows']))
  })

  test('that another one has got are told of whoever named the old one, not of who means the new one', async () => {
    const network = (web: number, db: number, forward: string): string =>
      `${two(web, db)}nat: { enable: true, externalInterface: eth0, internalInterfaces: [br0], forwardPorts: [${forward}] }\n`
    const change = await changed(
      network(2, 3, '{ sourcePort: 80, destination: "10.0.0.2:80" }'),
      network(4, 2, '{ sourcePort: 80, destination: "10.0.0.2:80" }')
    )
    expect(change.references).toMatchObject([
      {
        state: 'left',
        address: '10.0.0.2',
        was: { subject: { name: 'web' } },
        now: { subject: { name: 'db' } },
        instead: ['10.0.0.4/24']
      }
    ])
    expect(
      (await changed(network(2, 3, ''), network(4, 2, '{ sourcePort: 80, destination: "10.0.0.2:80" }')))
        .references
    ).toEqual([])
    expect((await changed(two(2, 3), two(4, 2))).references).toEqual([])
    // Somebody else had it as well, and has it still.
    const both = network(2, 2, '{ sourcePort: 80, destination: "10.0.0.2:80" }')
    expect((await changed(both, both.replace('10.0.0.2/24', '10.0.0.4/24'))).references).toEqual([])
  })
})

test('ports of the host change hands', async () => {
  const network = (web: string, nat: string, more = ''): string =>
    `host: { listens: [{ name: sshd, port: 22${more} }] }
nat: { enable: true, externalInterface: eth0, internalInterfaces: [br0], forwardPorts: [${nat}] }
${BRIDGE}containers:
${on('web', 2, `autoStart: true, forwardPorts: [${web}]`)}${on('db', 3, 'autoStart: true')}  shared: { listens: [{ name: ntpd, port: 123, protocol: udp }] }
`
  const change = await changed(
    network(
      '{ hostPort: 9000, containerPort: 90 }',
      '{ sourcePort: 8080, destination: "10.0.0.2:80" }, { sourcePort: "7000:7010", proto: udp, destination: "10.0.0.2:7000-7010" }'
    ),
    network(
      '{ hostPort: 9001, containerPort: 90 }',
      '{ sourcePort: 9000, destination: "10.0.0.3:90" }, { sourcePort: 8080, destination: "10.0.0.3:80" }',
      ', address: 10.0.0.1'
    )
  )
  const words = ({
    container = '-',
    target = '-',
    kind
  }: (typeof change.ports)[number]['before'][number]): string => `${kind} ${container} ${target}`
  expect(
    change.ports.map(({ protocol, from, to, address, before, after }) => [
      `${protocol} ${from}-${to} ${address ?? ''}`.trim(),
      ...before.map(words),
      '->',
      ...after.map(words)
    ])
  ).toEqual([
    ['tcp 22-22', 'listen - sshd on the host', '->'],
    ['tcp 22-22 10.0.0.1', '->', 'listen - sshd on the host'],
    ['tcp 8080-8080', 'nat web 10.0.0.2:80', '->', 'nat db 10.0.0.3:80'],
    ['tcp 9000-9000', 'nspawn web 90', '->', 'nat db 10.0.0.3:90'],
    ['tcp 9001-9001', '->', 'nspawn web 90'],
    ['udp 7000-7010', 'nat web 10.0.0.2:7000-7010', '->']
  ])
})

describe('containers that others need', () => {
  const network = (router: string, more = ''): string => `host: { nameservers: [10.0.0.2]${more} }
${BRIDGE}containers:
  router: { autoStart: true, privateNetwork: true, hostBridge: br0, localAddress: 10.0.0.2/24, localAddress6: "fd12::2/64", extraVeths: { bad: { localAddress: 10.0.0 } }, ${router} }
  both: { autoStart: true, privateNetwork: true, hostBridge: br0, localAddress: 10.0.0.3/24, localAddress6: "fd12::3/64", defaultGateway: 10.0.0.2, defaultGateway6: "fd12::2", nameservers: ["fd12::2", 10.0.0.2, 9.9.9.9] }
  waits: { autoStart: false, privateNetwork: true, hostBridge: br0, localAddress: 10.0.0.4/24, defaultGateway: 10.0.0.2${router === '' ? '' : ', enableTun: true'} }
  starts: { autoStart: true, privateNetwork: true, hostBridge: br0, localAddress: 10.0.0.5/24, defaultGateway: 10.0.0.2${router === '' ? '' : ', enableTun: true'} }
vms:
  box: { interfaces: { tap0: { hostBridge: br0, address: [10.0.0.6/24] } }, defaultGateway: 10.0.0.2 }
  six: { interfaces: { tap1: { hostBridge: br0, address: ["fd12::7/64"] } }, defaultGateway6: "fd12::2" }
  out: { interfaces: { tap2: { hostBridge: br0, address: [10.0.0.8/24] } }, defaultGateway: 10.0.0.2${router === '' ? '' : ', enabled: false'} }
`

  test('leave each of those without it, once: also one that waits, a machine, and the host', async () => {
    expect(
      cutOf(
        stepOf(
          await changed(
            network('', ', defaultGateway6: "fd12::2"'),
            network('enableTun: true', ', defaultGateway6: "fd12::2"')
          ),
          'container-restarted'
        )
      )
    ).toEqual([
      'container router started',
      'host started gateway',
      'host started nameserver',
      'container both started gateway',
      'container both started nameserver',
      'container waits started gateway',
      'machine box started gateway',
      'machine six started gateway'
    ])
    const resolv = network('', ', resolvConf: [10.0.0.2], defaultGateway: 10.0.0.2').replace(
      'nameservers: [10.0.0.2], ',
      ''
    )
    const gone = stepOf(await changed(resolv, resolv.replace(/ {2}router: .*\n/, '')), 'container-stopped')
    expect(cutOf(gone)).toEqual(expect.arrayContaining(['host gone gateway', 'host gone nameserver']))
  })

  test('and that go on as they are take nothing from anybody', async () => {
    const old = network('').replace('router: { autoStart: true', 'router: { autoStart: false')
    const change = await changed(old, old.replace('router: {', 'router: { enableTun: true,'))
    expect(told(change)).toEqual(['by-hand container-waits container router'])
    expect(cutOf(change.steps[0] as Step)).toEqual([])
  })

  test('take no time that grows with the square of how many need them', async () => {
    const many = (router: string): Promise<Plan> =>
      planOf(
        `version: 1\nbridges: { br0: { address: [10.0.0.1/8] } }\ncontainers:\n  router: { autoStart: true, privateNetwork: true, hostBridge: br0, localAddress: 10.0.0.2/8${router} }\n${Array.from(
          { length: 20_000 },
          (_, i) =>
            `  c${i}: { privateNetwork: true, hostBridge: br0, localAddress: 10.1.${i >> 8}.${i & 255}/8, defaultGateway: 10.0.0.2 }\n`
        ).join('')}`
      )
    const [before, after] = [await many(''), await many(', enableTun: true')]
    const start = performance.now()
    const { steps } = changeOf(before, after)
    expect(performance.now() - start).toBeLessThan(5000)
    expect(steps.map(({ cut }) => cut.length)).toEqual([20_001])
  })
})

describe('what only the boot, or nobody, is concerned with', () => {
  const one = (more: string, host = ''): string => `${host}${BRIDGE}containers:\n${on('web', 2, more)}`

  test('of a container is told with autoStart, there and back', async () => {
    expect(await thereAndBack(one('autoStart: true'), one('enabled: true'))).toMatchInlineSnapshot(`
      "live container-at-boot container web
        autoStart: true -> -
      --
      restart container-restarted container web
        autoStart: - -> true
        cut: container web started"
    `)
    expect(whole(await changed(one('autoStart: true'), one('autoStart: false')))).toMatchInlineSnapshot(`
      "live container-at-boot container web
        autoStart: true -> false"
    `)
    // With one thing outside and one inside it is more than that.
    for (const [start, effect] of [
      ['autoStart: false', 'by-hand container-waits container web'],
      ['enabled: true', 'restart container-restarted-if-started container web']
    ] as const)
      expect(
        told(await changed(one('autoStart: true'), one(`${start}, enableTun: true, dhcp: true`)))
      ).toEqual([effect])
  })

  test('of a container from elsewhere is not what its own file says', async () => {
    const flake = 'flake: "github:x/y"'
    expect(
      whole(
        await changed(
          one(`autoStart: true, ${flake}`),
          one(`autoStart: true, ${flake}, firewall: { allowedTCPPorts: [80] }`)
        )
      )
    ).toMatchInlineSnapshot(`
      "by-hand container-built-elsewhere container web
        firewall.allowedTCPPorts: - -> 80
        $ systemctl try-restart container@web.service"
    `)
    expect(
      told(
        await changed(
          one(`autoStart: false, ${flake}`),
          one(`autoStart: true, enableTun: true, ${flake}, dhcp: true`)
        )
      )
    ).toEqual(['restart container-restarted container web'])
  })

  test('leaves it with the old nameservers', async () => {
    const change = await changed(
      one('autoStart: true', 'host: { nameservers: [9.9.9.9] }\n'),
      one('autoStart: false', 'host: { nameservers: [1.1.1.1] }\n')
    )
    expect(cutOf(stepOf(change, 'resolver-copied'))).toEqual(['container web restarted nameserver'])
  })

  test('is privateNetwork, the ends of a container in any order, and a port that nothing was found for', async () => {
    const web = (options: string): string => `containers: { web: { autoStart: true, ${options} } }\n`
    expect(
      differencesOf(
        stepOf(await changed(web('dhcp: false'), web('privateNetwork: true')), 'container-restarted')
      )
    ).toEqual(['privateNetwork: false -> true'])
    const ends = ['b', 'd', 'a', 'c'].map(name => `${name}: { localAddress: 10.9.0.${name.charCodeAt(0)} }`)
    expect(
      differencesOf(
        stepOf(
          await changed(
            web('privateNetwork: true'),
            web(`privateNetwork: true, extraVeths: { ${ends.join(', ')} }`)
          ),
          'container-restarted'
        )
      ).filter(text => text.endsWith('made'))
    ).toEqual(['a', 'b', 'c', 'd'].map(name => `extraVeths.${name}: - -> made`))
    const full = 'pools: { default: { ports: 9000-9000 } }\n'
    expect(
      differencesOf(
        stepOf(
          await changed(
            full + web('privateNetwork: true'),
            full +
              web(
                'privateNetwork: true, forwardPorts: [{ hostPort: auto }, { hostPort: auto, containerPort: 80 }, { hostPort: auto }]'
              )
          ),
          'container-restarted'
        )
      )
    ).toEqual([
      'forwardPorts: - -> tcp 9000 to 9000',
      'forwardPorts: - -> tcp auto to 80',
      'forwardPorts: - -> tcp auto to the same'
    ])
  })
})

test('machines come and go, and are switched on and off', async () => {
  const network = (box: string): string =>
    `${BRIDGE}vms: { box: { interfaces: { tap0: { hostBridge: br0, address: [10.0.0.8/24] } }${box} } }\n`
  for (const without of [BRIDGE, network(', enabled: false')])
    expect(await thereAndBack(without, network(''))).toBe(
      'live machine-added machine box\n--\nlive machine-removed machine box\n  cut: machine box gone'
    )
})

describe('an address', () => {
  const named = ({ references }: Change): readonly string[] =>
    references.map(
      ({ at, state, address, was, now, instead }) =>
        `${at.join('.')} ${state} ${address}: ${who(was)} -> ${now === undefined ? 'nobody' : who(now)} ${instead.join(' ')}`
    )
  const held = ({ addresses }: Change): readonly string[] =>
    addresses.map(
      ({ holder, removed, added }) => `${who(holder)} ${holder.ifname}: ${removed.join()} -> ${added.join()}`
    )

  test('that another prefix length, order or interface of the same machine gets has not changed hands', async () => {
    const network = (host: string, bridge: string, web: string): string =>
      `host: { ${host}, listens: [{ port: 22, address: 198.51.100.2 }] }
bridges: { ${bridge}: { address: [10.0.0.1/24, "fd12::1/64"] } }
containers:
  web: { autoStart: false, privateNetwork: true, ${web} }
  db: { autoStart: true, privateNetwork: true, hostBridge: ${bridge}, localAddress: 10.0.0.9/24, defaultGateway: 10.0.0.1, defaultGateway6: "fd12::1", nameservers: [10.0.0.2, "fd12::2"] }
`
    const old = network(
      'interfaces: { eth0: { address: [198.51.100.2/24, 198.51.100.9/24] } }',
      'br0',
      'hostBridge: br0, localAddress: 10.0.0.2/24, localAddress6: "fd12::2/64"'
    )
    const change = await changed(
      old,
      network(
        'interfaces: { enp1s0: { address: [198.51.100.9/24, 198.51.100.2/24] } }',
        'lan',
        'extraVeths: { x: { hostBridge: lan, localAddress: 10.0.0.2/24, localAddress6: "fd12::2/64" } }'
      )
    )
    expect(named(change)).toEqual([])
    expect(told(change).join()).not.toContain('address-twice')
    expect(held(change)).toEqual([
      'interface enp1s0 enp1s0:  -> 198.51.100.9/24,198.51.100.2/24',
      'interface eth0 eth0: 198.51.100.2/24,198.51.100.9/24 -> ',
      'bridge br0 br0: 10.0.0.1/24,fd12::1/64 -> ',
      'bridge lan lan:  -> 10.0.0.1/24,fd12::1/64',
      'container web eth0: 10.0.0.2/24,fd12::2/64 -> ',
      'container web x:  -> 10.0.0.2/24,fd12::2/64'
    ])
    // An uplink that becomes a port of a bridge.
    const bridged = await changed(
      old,
      old
        .replace('eth0: { address: [198.51.100.2/24, 198.51.100.9/24] }', 'eth0: {}')
        .replace('"fd12::1/64"]', '"fd12::1/64", 198.51.100.2/24], interfaces: [eth0]')
    )
    expect(named(bridged)).toEqual([])
    const longer = await changed(old, old.replace('10.0.0.2/24', '10.0.0.2/16'))
    expect([held(longer), named(longer)]).toEqual([['container web eth0: 10.0.0.2/24 -> 10.0.0.2/16'], []])
    const swapped = await changed(
      old,
      old.replace('198.51.100.2/24, 198.51.100.9/24', '198.51.100.9/24, 198.51.100.2/24')
    )
    expect([held(swapped), named(swapped)]).toEqual([[], []])
  })

  test('that moves between machines at run time is held by somebody', async () => {
    const network = (web: number, virtual: string): string =>
      `${BRIDGE}containers:\n${on('web', web, `autoStart: true${virtual}`)}${on('db', 4, 'autoStart: true, nameservers: [10.0.0.2]')}`
    expect(named(await changed(network(2, ''), network(3, ', virtualAddresses: [10.0.0.2]')))).toEqual([])
    expect(named(await changed(network(2, ''), network(3, '')))).toEqual([
      'containers.db.nameservers.0 left 10.0.0.2: container web -> nobody 10.0.0.3/24'
    ])
    // On a bridge on which the host has no address somebody else has it still; one that is switched off has nothing.
    const apart = (web: number, other: string): string =>
      `bridges: { br0: {}, br1: {} }\ncontainers:\n${on('web', web)}  db: { privateNetwork: true, hostBridge: br1, localAddress: 10.0.0.2/24, enabled: ${other} }\nhost: { nameservers: [10.0.0.2] }\n`
    expect(named(await changed(apart(2, 'true'), apart(3, 'true')))).toEqual([])
    expect(named(await changed(apart(2, 'false'), apart(3, 'false')))).toHaveLength(1)
  })

  test('of a machine, and one that is none, are told in their order', async () => {
    const network = (router: number, box: number, bad: string): string =>
      `bridges: { br0: { address: [10.0.0.${router}/24] } }
containers:
  pair: { privateNetwork: true, hostAddress: 10.7.0.${router}, localAddress: ${bad} }
vms: { box: { interfaces: { tap0: { hostBridge: br0, address: [10.0.0.${box}/24] } } } }
`
    const change = await changed(network(1, 8, '10.7.0'), network(2, 9, '10.7.1'))
    expect(held(change)).toEqual([
      'host ve-pair: 10.7.0.1 -> 10.7.0.2',
      'bridge br0 br0: 10.0.0.1/24 -> 10.0.0.2/24',
      'container pair eth0: 10.7.0 -> 10.7.1',
      'machine box tap0: 10.0.0.8/24 -> 10.0.0.9/24'
    ])
    expect(changeText(change, PLAIN)).toContain('the host, ve-pair')
    expect(held(await changed(network(1, 8, '10.7.0'), network(1, 8, '10.7.0')))).toEqual([])
    // From a machine to the host is to another one.
    const forward = 'nat: { enable: true, forwardPorts: [{ sourcePort: 80, destination: "10.0.0.8:80" }] }\n'
    expect(
      named(await changed(forward + network(1, 8, '10.7.0'), forward + network(8, 9, '10.7.0')))
    ).toEqual(['nat.forwardPorts.0.destination left 10.0.0.8: machine box -> bridge br0 10.0.0.9/24'])
  })

  test('is kept by whoever goes on as he was: also a machine, and a container that is built elsewhere', async () => {
    const network = (old: string, next: string): string => `${BRIDGE}containers:
  elsewhere: { autoStart: true, flake: "github:x/y", privateNetwork: true, macvlans: [eth9], inside: { interfaces: { mv-eth9: { address: [${old}.4/24] } } } }
  moves: { autoStart: true, privateNetwork: true, hostBridge: br0, localAddress: ${old}.5/24 }
${on('a', 0).replace('10.0.0.0/24', `${next}.3/24`)}${on('b', 0).replace('10.0.0.0/24', `${next}.4/24`)}${on('c', 0).replace('10.0.0.0/24', `${next}.5/24`)}vms: { box: { interfaces: { tap0: { hostBridge: br0, address: [${old}.3/24] } } } }
`
    const change = await changed(network('10.0.0', '10.0.1'), network('10.0.1', '10.0.0'))
    expect(
      change.steps
        .filter(({ effect }) => effect === 'address-twice')
        .map(step => [who(step), ...differencesOf(step), ...step.commands])
    ).toEqual([
      ['container a', '10.0.0.3: machine box -> container a'],
      [
        'container b',
        '10.0.0.4: container elsewhere -> container b',
        'systemctl try-restart container@elsewhere.service'
      ]
    ])
    // A machine that is gone keeps nothing, and what is the host's is another matter.
    const old = network('10.0.0', '10.0.1')
    const gone = await changed(
      old,
      network('10.0.1', '10.0.0')
        .replace(/^vms:.*\n/m, '')
        .replace('elsewhere: {', 'elsewhere: { enabled: false,')
    )
    expect(told(gone).join()).not.toContain('address-twice')
    const bridge = await changed(
      `bridges: { box: { address: [10.5.0.1/24] } }\n${old.replace(BRIDGE, '')}`,
      `bridges: { box: {} }\n${old.replace(BRIDGE, '').replace('10.0.0.5/24', '10.5.0.1/24')}`
    )
    expect(told(bridge).join()).not.toContain('address-twice')
    // What has the name of a container that waits is not that container.
    const web = (bridge: string, more: string): string =>
      `bridges: { web: { address: [10.0.0.${bridge}/24] }, br1: {} }\ncontainers:\n  web: { autoStart: false, ${more} }\n  db: { autoStart: true, privateNetwork: true, hostBridge: br1, localAddress: 10.0.0.${bridge === '1' ? 7 : 1}/24 }\n`
    expect(
      told(await changed(web('1', 'enableTun: false'), web('2', 'enableTun: true'))).join()
    ).not.toContain('address-twice')
  })

  test('is looked for wherever one is named, but not in networks and at the end of a pair', async () => {
    const network = (web: number, name: number): string => {
      const four = `10.0.0.${name}`
      const six = `"fd12::${name}"`
      return `host:
  interfaces: { eth0: { routes: [{ address: 10.6.0.0/16, via: ${four} }] }, br0: { routes: [{ address: "fd66::/64", via: ${six} }] } }
  defaultGateway: { address: 10.9.9.9, source: ${four} }
  networkd: { enable: true, networks: { 40-x: { matchConfig: { Name: eth7 }, gateway: [${four}], dns: [${six}], routes: [{ Destination: 10.8.0.0/16, Gateway: ${four} }, { Destination: "fd88::/64" }] } } }
nat: { enable: true, externalInterface: eth0, externalIP: ${four}, externalIPv6: ${six}, internalIPs: [${four}/32, ${four}/24], internalIPv6s: ["fd12::${name}/128", "fd12::${name}/64"], forwardPorts: [{ sourcePort: 1, destination: "nonsense:1" }, { sourcePort: 80, destination: "10.9.9.9:80", loopbackIPs: [${four}] }] }
bridges: { br0: { address: [10.0.0.1/24, "fd12::1/64"] } }
containers:
  web: { autoStart: true, privateNetwork: true, hostBridge: br0, localAddress: 10.0.0.${web}/24, localAddress6: "fd12::${web}/64" }
  in: { autoStart: true, privateNetwork: true, extraVeths: { lan: { hostBridge: br0, hostAddress: ${four}, hostAddress6: ${six} }, own: { hostAddress: 10.5.0.${name}, localAddress: 10.5.0.1 } }, listens: [{ port: 80, address: ${four} }], inside: { interfaces: { lan: { routes: [{ address: 10.6.0.0/16, via: ${four} }, { address: 10.7.0.0/16 }] } }, nat: { enable: true, dmzHost: ${four}, forwardPorts: [{ sourcePort: 1, destination: "nonsense:1" }, { sourcePort: 80, destination: "[fd12::${name}]:80" }] } } }
  pair: { privateNetwork: true, hostAddress: 10.7.0.${name}, hostAddress6: "fd77::${name}", localAddress: 10.7.0.1 }
vms: { v: { interfaces: { tap0: { hostBridge: br0 } }, listens: [{ port: 1, address: ${six} }, { port: 2 }], defaultGateway6: ${six} } }
expect: [{ from: "fd12::${name}", to: web, port: 80, outcome: reaches }, { from: web, to: ${four}, port: 80, outcome: reaches }]
`
    }
    const places = [
      'containers.in.extraVeths.lan.hostAddress',
      'containers.in.extraVeths.lan.hostAddress6',
      'containers.in.inside.interfaces.lan.routes.0.via',
      'containers.in.inside.nat.dmzHost',
      'containers.in.inside.nat.forwardPorts.1.destination',
      'containers.in.listens.0.address',
      'expect.0.from',
      'expect.1.to',
      'host.defaultGateway.source',
      'host.interfaces.br0.routes.0.via',
      'host.interfaces.eth0.routes.0.via',
      'host.networkd.networks.40-x.dns.0',
      'host.networkd.networks.40-x.gateway.0',
      'host.networkd.networks.40-x.routes.0.Gateway',
      'nat.externalIP',
      'nat.externalIPv6',
      'nat.forwardPorts.1.loopbackIPs.0',
      'nat.internalIPs.0',
      'nat.internalIPv6s.0',
      'vms.v.defaultGateway6',
      'vms.v.listens.0.address'
    ]
    const left = await changed(network(2, 2), network(3, 2))
    expect(left.references.map(({ at }) => at.join('.')).sort()).toEqual(places)
    expect(new Set(left.references.map(({ state }) => state))).toEqual(new Set(['left']))
    const follows = await changed(network(2, 2), network(3, 3))
    expect(follows.references.map(({ at }) => at.join('.')).sort()).toEqual(places)
    expect(new Set(named(follows).map(text => text.replace(/^\S+ /, '')))).toEqual(
      new Set([
        'follows 10.0.0.2: container web -> nobody 10.0.0.3',
        'follows fd12::2: container web -> nobody fd12::3'
      ])
    )
  })

  test('is followed by who named its owner, wherever in its list that stands now', async () => {
    const network = (web: number, db: number, forwards: readonly string[]): string =>
      `nat: { enable: true, externalInterface: eth0, internalInterfaces: [br0], forwardPorts: [${forwards.map((to, i) => `{ sourcePort: ${i + 80}, destination: "${to}:80" }`).join(', ')}] }
${BRIDGE}containers:
${on('web', web)}${on('db', db)}`
    const of = (...last: readonly number[]): readonly string[] => last.map(n => `10.0.0.${n}`)
    // Both move, and one entry goes away before them.
    expect(named(await changed(network(2, 3, of(9, 2, 3)), network(4, 5, of(4, 5))))).toEqual([
      'nat.forwardPorts.0.destination follows 10.0.0.2: container web -> nobody 10.0.0.4',
      'nat.forwardPorts.1.destination follows 10.0.0.3: container db -> nobody 10.0.0.5'
    ])
    // They change places, and so do the forwards.
    expect(named(await changed(network(2, 3, of(2)), network(3, 2, of(3))))).toEqual([
      'nat.forwardPorts.0.destination follows 10.0.0.2: container web -> container db 10.0.0.3'
    ])
    // Who is new to a list follows nobody, and one that is new and names nobody is told.
    expect(named(await changed(network(2, 3, of(9)), network(2, 4, of(9, 4))))).toEqual([])
    expect(named(await changed(network(2, 3, of(2)), network(2, 4, of(2, 4))))).toEqual([])
    expect(named(await changed(network(2, 3, []), network(2, 4, of(3))))).toEqual([
      'nat.forwardPorts.0.destination left 10.0.0.3: container db -> nobody 10.0.0.4/24'
    ])
    // In another place the same number is another matter.
    expect(
      named(await changed(network(2, 3, of(3)), `${network(2, 4, [])}host: { nameservers: [10.0.0.4] }\n`))
    ).toEqual([])
  })
})

test('ports of the host are told with all who take them, however they are written', async () => {
  const network = (forwards: string, listens: string, containers: string, more = ''): string =>
    `host: { listens: [${listens}]${more} }
nat: { enable: true, externalInterface: eth0, internalInterfaces: [br0], forwardPorts: [${forwards}] }
${BRIDGE}containers:
${on('off', 5, 'enabled: false')}${on('web', 2)}${containers}vms: { box: { interfaces: { tap0: { hostBridge: br0, address: [10.0.0.8/24] } } } }
pools: { main: { ports: 9100-9100 } }
`
  const taken = ({ ports }: Change): readonly string[] =>
    ports.map(({ protocol, from, to, address = '', before, after }) => {
      const words = (takers: typeof before): string =>
        takers
          .map(({ kind, container = '-', target = '-' }) => `${kind} ${container} ${target}`)
          .join(' and ')
      return `${protocol} ${from}-${to} ${address}: ${words(before)} -> ${words(after)}`
    })
  const NONE = network('', '', '')
  const forwarded = [
    '{ sourcePort: 80, destination: "10.0.0.8:80" }',
    '{ sourcePort: 80, destination: "10.0.0.2:80" }',
    '{ sourcePort: 80, destination: "10.0.0.5:80" }',
    '{ sourcePort: 80, destination: "10.0.0.1:80" }',
    '{ sourcePort: 81, destination: "10.7.0.1:81" }',
    '{ sourcePort: "80:90", destination: "10.0.0.77:80-90" }',
    '{ sourcePort: "80:85", destination: "nonsense" }',
    '{ sourcePort: "90:80", destination: "10.0.0.2:80" }',
    '{ sourcePort: 80, proto: sctp, destination: "10.0.0.2:80" }'
  ]
  const listened = [
    '{ name: b, port: 53, address: 10.0.0.1 }',
    '{ name: a, port: 53 }',
    '{ name: c, port: 53, protocol: udp, address: "fd12::1" }',
    '{ port: 53, address: 10.0.0.3 }'
  ]
  const containers = `  shared: { listens: [{ name: ntpd, port: 123, protocol: udp }, { port: 124 }], forwardPorts: [{ hostPort: 8000 }] }
  two: { autoStart: true, privateNetwork: true, hostBridge: br0, localAddress: 10.0.0.3/24, forwardPorts: [{ hostPort: 9000 }, { hostPort: 9001, containerPort: 91, protocol: udp }, { hostPort: 9002, protocol: sctp }] }
  one: { autoStart: true, privateNetwork: true, hostBridge: br0, localAddress: 10.0.0.4/24, forwardPorts: [{ hostPort: 9000, containerPort: 90 }] }
  off2: { enabled: false, privateNetwork: true, hostBridge: br0, localAddress: 10.0.0.6/24, forwardPorts: [{ hostPort: 9003 }] }
  pair: { privateNetwork: true, hostAddress: 10.7.0.1, localAddress: 10.7.0.2, forwardPorts: [{ hostPort: auto }, { hostPort: auto }] }
`
  const ALL = network(forwarded.join(', '), listened.join(', '), containers)
  expect(taken(await changed(NONE, ALL)).join('\n')).toMatchInlineSnapshot(`
    "tcp 53-53 :  -> listen - a on the host
    tcp 53-53 10.0.0.1:  -> listen - b on the host
    tcp 53-53 10.0.0.3:  -> listen - -
    tcp 80-80 :  -> nat web 10.0.0.2:80 and nat - 10.0.0.1:80 and nat - 10.0.0.5:80 and nat - 10.0.0.8:80
    tcp 80-85 :  -> nat - nonsense
    tcp 80-90 :  -> nat - 10.0.0.77:80-90
    tcp 81-81 :  -> nat - 10.7.0.1:81
    tcp 124-124 :  -> shared shared -
    tcp 9000-9000 :  -> nspawn one 90 and nspawn two 9000
    tcp 9100-9100 :  -> nspawn pair 9100
    udp 53-53 fd12::1:  -> listen - c on the host
    udp 123-123 :  -> shared shared ntpd of container "shared"
    udp 9001-9001 :  -> nspawn two 91"
  `)
  expect(
    taken(
      await changed(
        ALL,
        network(forwarded.toReversed().join(', '), listened.toReversed().join(', '), containers)
      )
    )
  ).toEqual([])
  expect(taken(await changed(ALL, ALL.replace('enable: true', 'enable: false'))).join()).not.toContain(
    'nspawn'
  )
  expect(
    taken(await changed(NONE, network('', '', containers, ', enableContainers: false'))).join()
  ).not.toContain('nspawn')
})

describe('the host, in its own words:', () => {
  test('what restarts network-setup.service up to 25.11', async () => {
    const host = (more: string, ports = ''): string =>
      `host: { manager: scripted, release: "25.11", ${more} }
bridges: { br0: { definedBy: scripted, address: [10.0.0.1/24] }, br9: { definedBy: networkd, interfaces: [${ports}] } }
`
    const reasons = async (before: string, after: string): Promise<readonly string[]> => {
      const step = (await changed(before, after)).steps.find(({ effect }) => effect === 'bridge-remade')
      return step === undefined ? [] : [step.cause ?? '', ...differencesOf(step)]
    }
    const old = host('interfaces: { eth1: { address: [198.51.100.2/24] }, eth0: {} }')
    const why = await reasons(
      old,
      host(
        'nameservers: [9.9.9.9], defaultGateway: 198.51.100.1, defaultGateway6: { address: "fe80::1", interface: eth1 }, bonds: { bond0: { interfaces: [eth3, eth2] } }, vlans: { lan: { id: 5, interface: eth4 }, up: { id: 6, interface: br0 } }, interfaces: { eth1: { address: [198.51.100.3/24], routes: [{ address: 10.6.0.0/16, via: 198.51.100.7 }] }, eth5: { mtu: 1400 } }'
      )
    )
    expect(why.join('\n')).toMatchInlineSnapshot(`
      "network-setup
      host.defaultGateway: - -> 198.51.100.1
      host.defaultGateway6: - -> fe80::1 on eth1
      host.nameservers: - -> 9.9.9.9
      host.interfaces.eth1.address: 198.51.100.2/24 -> 198.51.100.3/24
      host.interfaces.eth1.routes: - -> 10.6.0.0/16 via 198.51.100.7
      networking.interfaces: eth0 -> eth2
      networking.interfaces: - -> eth3
      networking.interfaces: - -> eth4
      networking.interfaces: - -> eth5"
    `)
    expect(
      await reasons(host('useDHCP: false'), host('useDHCP: false, interfaces: { eth5: { mtu: 1400 } }'))
    ).toEqual(['network-setup', 'networking.interfaces: - -> eth5'])
    for (const same of [
      // The order of interfaces, what is no part of it, and the port of another program's bridge.
      [old, host('interfaces: { eth0: {}, eth1: { address: [198.51.100.2/24] } }')],
      [host('resolved: true, nameservers: [9.9.9.9]'), host('resolved: true, nameservers: [1.1.1.1]')],
      [host('useDHCP: false'), host('useDHCP: false', 'eth9')],
      // What NetworkManager manages is in none of NixOS's units.
      [
        host('interfaces: { eth0: {} }').replace('manager: scripted', 'manager: networkmanager'),
        host('interfaces: { eth0: {}, eth8: { dhcp: true } }').replace(
          'manager: scripted',
          'manager: networkmanager'
        )
      ]
    ] as const)
      expect(await reasons(...same)).toEqual([])
    expect(
      await reasons(host('resolved: false, nameservers: [9.9.9.9]'), host('resolved: false, nameservers: []'))
    ).toEqual(['network-setup', 'host.nameservers: 9.9.9.9 -> -'])
  })

  test('versions, and what an interface keeps', async () => {
    expect(
      whole(
        await changed(
          'host: { release: "25.05", kernel: "6.6", manager: scripted }',
          'host: { release: "25.11", kernel: "6.12" }'
        )
      )
    ).toMatchInlineSnapshot(`
      "by-hand kernel host
        host.kernel: 6.6 -> 6.12
      by-hand manager host
        host.manager: scripted -> -
      restart release host
        host.release: 25.05 -> 25.11"
    `)
    const card = (manager: string, options: string): string =>
      `host: { manager: ${manager}, interfaces: { "eth0": { mtu: 1400${options} } } }\n`
    expect(
      whole(await changed(card('scripted', ''), card('scripted', ', macAddress: "02:00:00:00:00:05"')))
    ).toBe('by-hand link-kept interface eth0\n  macAddress: - -> 02:00:00:00:00:05')
    expect(
      whole(
        await changed(card('networkmanager', ''), card('networkmanager', ', macAddress: "02:00:00:00:00:05"'))
      )
    ).toBe(
      'live interface-configured interface eth0\n  macAddress: - -> 02:00:00:00:00:05\n  cut: interface eth0 moment'
    )
  })

  test('forwarding that something else in the file wants', async () => {
    const nat = 'nat: { enable: true, enableIPv6: true }\n'
    for (const [wanted, families] of [
      ['networkd: { enable: true, networks: { 30-up: { networkConfig: { IPMasquerade: both } } } }', []],
      ['networkd: { enable: true, networks: { 30-up: { networkConfig: { IPMasquerade: ipv4 } } } }', [6]],
      ['networkd: { enable: true, networks: { 30-up: { networkConfig: { IPv6Forwarding: true } } } }', [4]],
      [
        'networkd: { enable: true, networks: { 30-up: { networkConfig: { IPv6Forwarding: false } } } }',
        [4, 6]
      ],
      ['daemons: [docker]', [6]],
      ['sysctl: { net.ipv4.ip_forward: 0 }', [6]],
      ['sysctl: { net.ipv6.conf.all.forwarding: false }', [4]],
      ['interfaces: { eth0: { proxyARP: true } }', [6]],
      ['useDHCP: false', [4, 6]]
    ] as const) {
      const host = `host: { ${wanted} }\n`
      const { steps } = await changed(nat + host, host)
      expect([
        wanted,
        steps.filter(({ effect }) => effect === 'forwarding-stays').flatMap(({ commands }) => commands)
      ]).toEqual([
        wanted,
        families.flatMap(family =>
          ['all', 'default'].map(name => `sysctl -w net.ipv${family}.conf.${name}.forwarding=0`)
        )
      ])
    }
  })

  test('nameservers that stand behind a resolver of its own, which containers have copied', async () => {
    const network = (host: string, server: string): string =>
      `host: { ${host}nameservers: [${server}] }\n${BRIDGE}containers:\n${on('web', 2)}`
    for (const [host, isCopied] of [
      ['', true],
      ['manager: networkd, resolved: false, ', true],
      ['resolved: true, ', false],
      ['manager: networkd, ', false],
      ['resolvConf: [8.8.8.8], ', false]
    ] as const)
      expect([
        host,
        told(await changed(network(host, '9.9.9.9'), network(host, '1.1.1.1'))).includes(
          'by-hand resolver-copied host'
        )
      ]).toEqual([host, isCopied])
    expect(
      told(await changed(network('', '9.9.9.9'), network('manager: networkd, ', '9.9.9.9')))
    ).not.toContain('by-hand resolver-copied host')
  })

  test('nameservers that no container copies', async () => {
    const network = (server: string): string =>
      `host: { nameservers: [${server}] }\n${BRIDGE}containers:\n${on('own', 3, 'autoStart: true, nameservers: [10.0.0.1], useHostResolvConf: false')}`
    expect(told(await changed(network('9.9.9.9'), network('1.1.1.1')))).toEqual(['live host-configured host'])
  })

  test('NAT without a firewall is a service of its own only with iptables, and has nothing to do with macvlans', async () => {
    const network = (firewall: string, last: number): string =>
      `host: { firewall: { ${firewall} } }
nat: { enable: true, externalInterface: eth0, internalIPs: [10.1.0.0/25] }
containers:
  mac: { autoStart: true, privateNetwork: true, macvlans: [eth5], inside: { interfaces: { mv-eth5: { address: [10.1.0.${last}/24] } } } }
  pair: { autoStart: true, privateNetwork: true, hostAddress: 10.1.0.1, localAddress: 10.1.0.${last + 1} }
`
    for (const [firewall, effect] of [
      ['enable: false, backend: nftables', 'nat-reloaded'],
      ['enable: false', 'nat-restarted'],
      ['enable: true', 'nat-reloaded']
    ] as const)
      expect(
        differencesOf(stepOf(await changed(network(firewall, 2), network(firewall, 202)), effect))
      ).toEqual(['translates IPv4 of: ve-pair -> -'])
    expect(
      changeText(await changed('host: { firewall: { allowPing: false } }', 'version: 1\n'), PLAIN)
    ).toContain('  the firewall\n')
  })
})

// Every option, there and back.

/** Each step with all that is said of it. */
const whole = ({ steps }: Change): string =>
  steps
    .flatMap(step => [
      [step.gravity, step.effect, who(step), ...(step.cause === undefined ? [] : [`(${step.cause})`])].join(
        ' '
      ),
      ...differencesOf(step).map(difference => `  ${difference}`),
      ...cutOf(step).map(cut => `  cut: ${cut}`),
      ...step.commands.map(command => `  $ ${command}`)
    ])
    .join('\n')

const thereAndBack = async (before: string, after: string): Promise<string> =>
  `${whole(await changed(before, after))}\n--\n${whole(await changed(after, before))}`

describe('every option is told, there and back', () => {
  const bridge = (host: string, options: string, guests = ''): string => `host: { ${host} }
bridges:
  br0: { ${options} }
containers:
${on('web', 2)}${guests}`
  const NO_OPTION = 'address: [10.0.0.1/24]'
  const OF_CARD =
    'routes: [{ address: 10.6.0.0/16, via: 10.0.0.2 }, { address: 10.7.0.0/16 }], proxyARP: true, mtu: 1400'
  const ALL_OPTIONS =
    'address: [10.0.0.9/24, "fd12::1/64"], dhcp: true, acceptRA: false, IPMasquerade: ipv4, IPv4Forwarding: true, IPv6Forwarding: false, bridgeVLANs: { eth1: [{ VLAN: 5, PVID: 5 }, { VLAN: 6 }], eth0: [{ VLAN: 7 }] }, interfaces: [eth1], rstp: true, macAddress: "02:00:00:00:00:05", stp: true, vlanAware: true'

  test('of a bridge of systemd-networkd', async () => {
    const host = 'manager: networkd, release: "24.11", useDHCP: false'
    const card = `${host}, interfaces: { br0: { ${OF_CARD} } }`
    expect(await thereAndBack(bridge(host, NO_OPTION), bridge(card, ALL_OPTIONS))).toMatchInlineSnapshot(`
      "by-hand netdev-kept bridge br0
        macAddress: - -> 02:00:00:00:00:05
        $ ip link set dev br0 address 02:00:00:00:00:05
      by-hand addresses-left bridge br0
        address: 10.0.0.1/24 -> -
        $ ip address delete 10.0.0.1/24 dev br0
      live netdev-updated bridge br0
        stp: - -> true
        vlanAware: - -> true
      live reconfigured bridge br0
        interfaces: - -> eth1
        rstp: - -> true
        address: 10.0.0.1/24 -> 10.0.0.9/24
        address: - -> fd12::1/64
        dhcp: - -> true
        acceptRA: - -> false
        routes: - -> 10.6.0.0/16 via 10.0.0.2
        routes: - -> 10.7.0.0/16
        proxyARP: - -> true
        IPMasquerade: - -> ipv4
        IPv4Forwarding: - -> true
        IPv6Forwarding: - -> false
        bridgeVLANs.eth0: - -> VLAN=7
        bridgeVLANs.eth1: - -> VLAN=5 PVID=5
        bridgeVLANs.eth1: - -> VLAN=6
        mtu: - -> 1400
        cut: bridge br0 moment
      live networkd-restarts networkd
        30-eth1.network [Match] Name: - -> eth1
        30-eth1.network [Network] Bridge: - -> br0
        30-eth1.network [Network] LinkLocalAddressing: - -> false
        30-eth1.network [Network] IPv6AcceptRA: - -> false
        30-eth1.network [BridgeVLAN] VLAN: - -> 5
        30-eth1.network [BridgeVLAN] PVID: - -> 5
        30-eth1.network [BridgeVLAN] 2 VLAN: - -> 6
      --
      by-hand netdev-kept bridge br0
        macAddress: 02:00:00:00:00:05 -> -
        stp: true -> -
        vlanAware: true -> -
        $ ip link set dev br0 type bridge stp_state 0
        $ ip link set dev br0 type bridge vlan_filtering 0
      by-hand port-stays bridge br0
        interfaces: eth1 -> -
        $ ip link set dev eth1 nomaster
      by-hand addresses-left bridge br0
        address: 10.0.0.9/24 -> -
        address: fd12::1/64 -> -
        $ ip address delete 10.0.0.9/24 dev br0
        $ ip address delete fd12::1/64 dev br0
      live reconfigured bridge br0
        rstp: true -> -
        address: 10.0.0.9/24 -> 10.0.0.1/24
        address: fd12::1/64 -> -
        dhcp: true -> -
        acceptRA: false -> -
        routes: 10.6.0.0/16 via 10.0.0.2 -> -
        routes: 10.7.0.0/16 -> -
        proxyARP: true -> -
        IPMasquerade: ipv4 -> -
        IPv4Forwarding: true -> -
        IPv6Forwarding: false -> -
        bridgeVLANs.eth0: VLAN=7 -> -
        bridgeVLANs.eth1: VLAN=5 PVID=5 -> -
        bridgeVLANs.eth1: VLAN=6 -> -
        mtu: 1400 -> -
        cut: bridge br0 moment
      live networkd-restarts networkd
        30-eth1.network [Match] Name: eth1 -> -
        30-eth1.network [Network] Bridge: br0 -> -
        30-eth1.network [Network] LinkLocalAddressing: false -> -
        30-eth1.network [Network] IPv6AcceptRA: false -> -
        30-eth1.network [BridgeVLAN] VLAN: 5 -> -
        30-eth1.network [BridgeVLAN] PVID: 5 -> -
        30-eth1.network [BridgeVLAN] 2 VLAN: 6 -> -"
    `)
    const both = ALL_OPTIONS.replace('ipv4', 'both')
    const six = ALL_OPTIONS.replace('ipv4', 'ipv6').replace('PVID: 5', 'PVID: 6')
    expect(await thereAndBack(bridge(host, both), bridge(host, six))).toMatchInlineSnapshot(`
      "live reconfigured bridge br0
        IPMasquerade: both -> ipv6
        bridgeVLANs.eth1: VLAN=5 PVID=5 -> VLAN=5 PVID=6
        cut: bridge br0 moment
      live networkd-reloads networkd
        30-eth1.network [BridgeVLAN] PVID: 5 -> 6
      --
      live reconfigured bridge br0
        IPMasquerade: ipv6 -> both
        bridgeVLANs.eth1: VLAN=5 PVID=6 -> VLAN=5 PVID=5
        cut: bridge br0 moment
      live networkd-reloads networkd
        30-eth1.network [BridgeVLAN] PVID: 6 -> 5"
    `)
  })

  test("of a bridge of NixOS's scripts", async () => {
    const host = 'manager: scripted, release: "26.05"'
    const card = `${host}, interfaces: { br0: { ${OF_CARD} } }`
    expect(await thereAndBack(bridge(host, NO_OPTION), bridge(card, ALL_OPTIONS))).toMatchInlineSnapshot(`
      "by-hand link-kept bridge br0
        macAddress: - -> 02:00:00:00:00:05
        stp: - -> true
        vlanAware: - -> true
        mtu: - -> 1400
        $ ip link set dev br0 address 02:00:00:00:00:05
        $ ip link set dev br0 mtu 1400
        $ ip link set dev br0 type bridge stp_state 1
        $ ip link set dev br0 type bridge vlan_filtering 1
      live bridge-reloaded bridge br0
        interfaces: - -> eth1
        rstp: - -> true
        cut: bridge br0 moment
      live addresses-set bridge br0
        address: 10.0.0.1/24 -> 10.0.0.9/24
        address: - -> fd12::1/64
        dhcp: - -> true
        acceptRA: - -> false
        routes: - -> 10.6.0.0/16 via 10.0.0.2
        routes: - -> 10.7.0.0/16
        proxyARP: - -> true
        IPMasquerade: - -> ipv4
        IPv4Forwarding: - -> true
        IPv6Forwarding: - -> false
        bridgeVLANs.eth0: - -> VLAN=7
        bridgeVLANs.eth1: - -> VLAN=5 PVID=5
        bridgeVLANs.eth1: - -> VLAN=6
        cut: bridge br0 moment
      --
      by-hand link-kept bridge br0
        macAddress: 02:00:00:00:00:05 -> -
        stp: true -> -
        vlanAware: true -> -
        mtu: 1400 -> -
        $ ip link set dev br0 type bridge stp_state 0
        $ ip link set dev br0 type bridge vlan_filtering 0
      live bridge-reloaded bridge br0
        interfaces: eth1 -> -
        rstp: true -> -
        cut: bridge br0 moment
      live addresses-set bridge br0
        address: 10.0.0.9/24 -> 10.0.0.1/24
        address: fd12::1/64 -> -
        dhcp: true -> -
        acceptRA: false -> -
        routes: 10.6.0.0/16 via 10.0.0.2 -> -
        routes: 10.7.0.0/16 -> -
        proxyARP: true -> -
        IPMasquerade: ipv4 -> -
        IPv4Forwarding: true -> -
        IPv6Forwarding: false -> -
        bridgeVLANs.eth0: VLAN=7 -> -
        bridgeVLANs.eth1: VLAN=5 PVID=5 -> -
        bridgeVLANs.eth1: VLAN=6 -> -
        cut: bridge br0 moment"
    `)
  })

  test('of a bridge that comes or that another program makes, and of the guests on it', async () => {
    const guests = `${on('off', 3, 'enabled: false')}${on('moves', 4)}vms:
  a: { kind: libvirt, interfaces: { tap0: { hostBridge: br0 } } }
  b: { kind: microvm, interfaces: { tap1: { hostBridge: br0 } } }
  c: { kind: qemu, interfaces: { tap2: { hostBridge: br0 } } }
  d: { enabled: false, interfaces: { tap3: { hostBridge: br0 } } }
`
    const scripted = bridge('release: "26.05"', `definedBy: scripted, ${NO_OPTION}`, guests)
    const networkd = bridge('release: "26.05"', `definedBy: networkd, ${ALL_OPTIONS}`, guests).replace(
      '10.0.0.4/24',
      '10.0.0.44/24'
    )
    expect(await thereAndBack(scripted, networkd)).toMatchInlineSnapshot(`
      "by-hand bridge-remade bridge br0 (maker)
        made by: networking.bridges -> systemd.network
        macAddress: - -> 02:00:00:00:00:05
        stp: - -> true
        vlanAware: - -> true
        interfaces: - -> eth1
        rstp: - -> true
        address: 10.0.0.1/24 -> 10.0.0.9/24
        address: - -> fd12::1/64
        dhcp: - -> true
        acceptRA: - -> false
        IPMasquerade: - -> ipv4
        IPv4Forwarding: - -> true
        IPv6Forwarding: - -> false
        bridgeVLANs.eth0: - -> VLAN=7
        bridgeVLANs.eth1: - -> VLAN=5 PVID=5
        bridgeVLANs.eth1: - -> VLAN=6
        cut: bridge br0 moment
        cut: container web restarted
        cut: machine a restarted
        cut: machine b moment
        cut: machine c restarted
        $ systemctl try-restart container@web.service
      restart container-restarted container moves
        localAddress: 10.0.0.4/24 -> 10.0.0.44/24
        cut: container moves started
      live networkd-restarts networkd
        30-eth1.network [Match] Name: - -> eth1
        30-eth1.network [Network] Bridge: - -> br0
        30-eth1.network [Network] LinkLocalAddressing: - -> false
        30-eth1.network [Network] IPv6AcceptRA: - -> false
        30-eth1.network [BridgeVLAN] VLAN: - -> 5
        30-eth1.network [BridgeVLAN] PVID: - -> 5
        30-eth1.network [BridgeVLAN] 2 VLAN: - -> 6
        30-tap1.network [Match] Name: - -> tap1
        30-tap1.network [Network] Bridge: - -> br0
        30-tap1.network [Network] LinkLocalAddressing: - -> false
        30-tap1.network [Network] IPv6AcceptRA: - -> false
      --
      by-hand bridge-remade bridge br0 (maker)
        made by: systemd.network -> networking.bridges
        macAddress: 02:00:00:00:00:05 -> -
        stp: true -> -
        vlanAware: true -> -
        interfaces: eth1 -> -
        rstp: true -> -
        address: 10.0.0.9/24 -> 10.0.0.1/24
        address: fd12::1/64 -> -
        dhcp: true -> -
        acceptRA: false -> -
        IPMasquerade: ipv4 -> -
        IPv4Forwarding: true -> -
        IPv6Forwarding: false -> -
        bridgeVLANs.eth0: VLAN=7 -> -
        bridgeVLANs.eth1: VLAN=5 PVID=5 -> -
        bridgeVLANs.eth1: VLAN=6 -> -
        cut: bridge br0 moment
        cut: container web restarted
        cut: machine a moment
        cut: machine b restarted
        cut: machine c restarted
        $ systemctl try-restart container@web.service
      restart container-restarted container moves
        localAddress: 10.0.0.44/24 -> 10.0.0.4/24
        cut: container moves started
      live networkd-restarts networkd
        30-eth1.network [Match] Name: eth1 -> -
        30-eth1.network [Network] Bridge: br0 -> -
        30-eth1.network [Network] LinkLocalAddressing: false -> -
        30-eth1.network [Network] IPv6AcceptRA: false -> -
        30-eth1.network [BridgeVLAN] VLAN: 5 -> -
        30-eth1.network [BridgeVLAN] PVID: 5 -> -
        30-eth1.network [BridgeVLAN] 2 VLAN: 6 -> -
        30-tap1.network [Match] Name: tap1 -> -
        30-tap1.network [Network] Bridge: br0 -> -
        30-tap1.network [Network] LinkLocalAddressing: false -> -
        30-tap1.network [Network] IPv6AcceptRA: false -> -"
    `)
    expect(await thereAndBack(scripted.replace('br0: {', 'br1: {'), scripted)).toMatchInlineSnapshot(`
      "restart bridge-deleted bridge br1
      live bridge-made bridge br0
        address: - -> 10.0.0.1/24
      --
      restart bridge-deleted bridge br0
        cut: container web gone
        cut: container moves gone
        cut: machine a gone
        cut: machine b gone
        cut: machine c gone
      live bridge-made bridge br1
        address: - -> 10.0.0.1/24"
    `)
    expect(await thereAndBack(networkd.replace('br0: {', 'br1: {'), networkd)).toMatchInlineSnapshot(`
      "by-hand bridge-in-the-way bridge br1
        cut: bridge br0 deleted
        cut: container web deleted
        cut: container moves deleted
        cut: machine a deleted
        cut: machine b deleted
        cut: machine c deleted
        $ ip link delete dev br1
      live bridge-made bridge br0
        interfaces: - -> eth1
        rstp: - -> true
        address: - -> 10.0.0.9/24
        address: - -> fd12::1/64
        dhcp: - -> true
        acceptRA: - -> false
        IPMasquerade: - -> ipv4
        IPv4Forwarding: - -> true
        IPv6Forwarding: - -> false
        bridgeVLANs.eth0: - -> VLAN=7
        bridgeVLANs.eth1: - -> VLAN=5 PVID=5
        bridgeVLANs.eth1: - -> VLAN=6
      live networkd-restarts networkd
        30-eth1.network [Network] Bridge: br1 -> br0
        30-tap1.network [Match] Name: - -> tap1
        30-tap1.network [Network] Bridge: - -> br0
        30-tap1.network [Network] LinkLocalAddressing: - -> false
        30-tap1.network [Network] IPv6AcceptRA: - -> false
      --
      by-hand bridge-in-the-way bridge br0
        cut: bridge br1 deleted
        $ ip link delete dev br0
      live bridge-made bridge br1
        interfaces: - -> eth1
        rstp: - -> true
        address: - -> 10.0.0.9/24
        address: - -> fd12::1/64
        dhcp: - -> true
        acceptRA: - -> false
        IPMasquerade: - -> ipv4
        IPv4Forwarding: - -> true
        IPv6Forwarding: - -> false
        bridgeVLANs.eth0: - -> VLAN=7
        bridgeVLANs.eth1: - -> VLAN=5 PVID=5
        bridgeVLANs.eth1: - -> VLAN=6
      live networkd-restarts networkd
        30-eth1.network [Network] Bridge: br0 -> br1
        30-tap1.network [Match] Name: tap1 -> -
        30-tap1.network [Network] Bridge: br0 -> -
        30-tap1.network [Network] LinkLocalAddressing: false -> -
        30-tap1.network [Network] IPv6AcceptRA: false -> -"
    `)
  })

  test('of VLANs and bonds', async () => {
    const host = (manager: string, devices: string): string =>
      `host: { manager: ${manager}, release: "26.05", useDHCP: false, interfaces: { eth1: {}, eth2: {} }${devices} }
containers:
  mac: { autoStart: true, privateNetwork: true, macvlans: [lan] }
  two: { autoStart: true, privateNetwork: true, macvlans: [eth1, "bond0:cell"] }
  off: { enabled: false, privateNetwork: true, macvlans: [lan] }
  none: { autoStart: true, privateNetwork: true, macvlans: [eth2] }
`
    const devices = (mode: string, members: string, vlan: string): string =>
      `, bonds: { bond0: { interfaces: [${members}], mode: ${mode} } }, vlans: { lan: { ${vlan} }, dmz: { id: 7, interface: lan } }`
    for (const manager of ['scripted', 'networkd']) {
      const old = host(manager, devices('802.3ad', 'eth1, eth2', 'id: 5, interface: bond0'))
      const next = host(manager, devices('active-backup', 'eth2', 'id: 6, interface: eth1'))
      const steps = [
        await thereAndBack(old, next),
        await thereAndBack(old, old.replace('[eth1, eth2]', '[eth1]')),
        await thereAndBack(old, host(manager, ''))
      ].join('\n\n')
      if (manager === 'scripted')
        expect(steps).toMatchInlineSnapshot(`
        "by-hand device-remade bond bond0
          interfaces: eth1 -> -
          mode: 802.3ad -> active-backup
          cut: container two restarted
          $ systemctl try-restart container@two.service
        by-hand device-remade vlan lan
          id: 5 -> 6
          interface: bond0 -> eth1
          cut: container mac restarted
          $ systemctl try-restart container@mac.service
        restart device-remade vlan dmz
        --
        by-hand device-remade bond bond0
          interfaces: - -> eth1
          mode: active-backup -> 802.3ad
          cut: container two restarted
          $ systemctl try-restart container@two.service
        by-hand device-remade vlan lan
          id: 6 -> 5
          interface: eth1 -> bond0
          cut: container mac restarted
          $ systemctl try-restart container@mac.service
        restart device-remade vlan dmz

        by-hand device-remade bond bond0
          interfaces: eth2 -> -
          cut: container two restarted
          $ systemctl try-restart container@two.service
        by-hand device-remade vlan lan
          cut: container mac restarted
          $ systemctl try-restart container@mac.service
        restart device-remade vlan dmz
        --
        by-hand device-remade bond bond0
          interfaces: - -> eth2
          cut: container two restarted
          $ systemctl try-restart container@two.service
        by-hand device-remade vlan lan
          cut: container mac restarted
          $ systemctl try-restart container@mac.service
        restart device-remade vlan dmz

        by-hand device-deleted bond bond0
          cut: container two restarted
          $ systemctl try-restart container@two.service
        by-hand device-deleted vlan lan
          cut: container mac restarted
          $ systemctl try-restart container@mac.service
        restart device-deleted vlan dmz
        --
        live device-made bond bond0
        live device-made vlan dmz
        live device-made vlan lan"
      `)
      else
        expect(steps).toMatchInlineSnapshot(`
          "by-hand device-kept bond bond0
            mode: 802.3ad -> active-backup
            $ ip link delete dev bond0
            $ systemctl restart systemd-networkd.service
            $ systemctl try-restart container@two.service
            $ systemctl try-restart container@mac.service
          by-hand device-kept vlan lan
            id: 5 -> 6
            interface: bond0 -> eth1
            $ ip link delete dev lan
            $ systemctl restart systemd-networkd.service
            $ systemctl try-restart container@mac.service
          live reconfigured bond bond0
            interfaces: eth1 -> -
          live networkd-restarts networkd
          --
          by-hand device-kept bond bond0
            mode: active-backup -> 802.3ad
            $ ip link delete dev bond0
            $ systemctl restart systemd-networkd.service
            $ systemctl try-restart container@two.service
          by-hand device-kept vlan lan
            id: 6 -> 5
            interface: eth1 -> bond0
            $ ip link delete dev lan
            $ systemctl restart systemd-networkd.service
            $ systemctl try-restart container@mac.service
          live reconfigured bond bond0
            interfaces: - -> eth1
          live networkd-restarts networkd

          live reconfigured bond bond0
            interfaces: eth2 -> -
          --
          live reconfigured bond bond0
            interfaces: - -> eth2

          by-hand device-left bond bond0
            $ ip link delete dev bond0
          by-hand device-left vlan dmz
            $ ip link delete dev dmz
          by-hand device-left vlan lan
            $ ip link delete dev lan
          live networkd-restarts networkd
          --
          live device-made bond bond0
          live device-made vlan dmz
          live device-made vlan lan
          live networkd-restarts networkd"
        `)
    }
  })

  test('of the host', async () => {
    const host = (options: string): string =>
      `host: { ${options} }\nbridges: { br0: { address: [10.0.0.1/24] } }\ncontainers:\n${on('web', 2)}`
    const ALL = `useDHCP: false, enableIPv6: false, defaultGateway: { address: 10.9.0.1, interface: eth0, metric: 5, source: 10.9.0.2 }, defaultGateway6: { address: "fe80::1", interface: eth0 }, nameservers: [9.9.9.9], resolvConf: [9.9.9.9], resolved: false, networkmanager: { unmanaged: ["interface-name:ve-*"] }, dhcpServers: [{ interface: br0, program: kea, subnet: 10.0.0.0/24, range: 10.0.0.100-10.0.0.199 }, { interface: eth1 }], sysctl: { net.core.somaxconn: 1, net.ipv4.ip_forward: true }, interfaces: { eth0: { address: [10.9.0.2/24], acceptRA: true, routes: [{ address: 10.6.0.0/16, via: 10.9.0.3 }], proxyARP: true, macAddress: "02:00:00:00:00:05", mtu: 1400 } }`
    expect(await thereAndBack(host(''), host(ALL))).toMatchInlineSnapshot(`
      "by-hand resolver-copied host
        host.nameservers: - -> 9.9.9.9
        host.resolvConf: - -> 9.9.9.9
        host.resolved: - -> false
        cut: container web restarted nameserver
        $ systemctl try-restart container@web.service
      by-hand link-kept interface eth0
        macAddress: - -> 02:00:00:00:00:05
        mtu: - -> 1400
        $ ip link set dev eth0 mtu 1400
      live host-configured host
        host.useDHCP: - -> false
        host.enableIPv6: - -> false
        host.defaultGateway: - -> 10.9.0.1 on eth0 metric 5 from 10.9.0.2
        host.defaultGateway6: - -> fe80::1 on eth0
        host.nameservers: - -> 9.9.9.9
        host.resolvConf: - -> 9.9.9.9
        host.resolved: - -> false
        host.networkmanager.unmanaged: - -> interface-name:ve-*
        host.dhcpServers: - -> br0 by kea 10.0.0.0/24 10.0.0.100-10.0.0.199
        host.dhcpServers: - -> eth1
        cut: host moment
      live sysctl-set host
        host.sysctl.net.core.somaxconn: - -> 1
        host.sysctl.net.ipv4.ip_forward: - -> true
      live interface-configured interface eth0
        address: - -> 10.9.0.2/24
        acceptRA: - -> true
        routes: - -> 10.6.0.0/16 via 10.9.0.3
        proxyARP: - -> true
        cut: interface eth0 moment
      --
      by-hand sysctl-stays host
        host.sysctl.net.core.somaxconn: 1 -> -
        host.sysctl.net.ipv4.ip_forward: true -> -
      by-hand resolver-copied host
        host.nameservers: 9.9.9.9 -> -
        host.resolvConf: 9.9.9.9 -> -
        host.resolved: false -> -
        cut: container web restarted nameserver
        $ systemctl try-restart container@web.service
      by-hand link-kept interface eth0
        macAddress: 02:00:00:00:00:05 -> -
        mtu: 1400 -> -
      live host-configured host
        host.useDHCP: false -> -
        host.enableIPv6: false -> -
        host.defaultGateway: 10.9.0.1 on eth0 metric 5 from 10.9.0.2 -> -
        host.defaultGateway6: fe80::1 on eth0 -> -
        host.nameservers: 9.9.9.9 -> -
        host.resolvConf: 9.9.9.9 -> -
        host.resolved: false -> -
        host.networkmanager.unmanaged: interface-name:ve-* -> -
        host.dhcpServers: br0 by kea 10.0.0.0/24 10.0.0.100-10.0.0.199 -> -
        host.dhcpServers: eth1 -> -
        cut: host moment
      live interface-configured interface eth0
        address: 10.9.0.2/24 -> -
        acceptRA: true -> -
        routes: 10.6.0.0/16 via 10.9.0.3 -> -
        proxyARP: true -> -
        cut: interface eth0 moment"
    `)
    for (const manager of ['networkmanager', 'networkd'])
      expect(
        whole(
          await changed(
            host(`manager: ${manager}`),
            host(
              `manager: ${manager}, interfaces: { eth0: { mtu: 1400, dhcp: true, macAddress: "02:00:00:00:00:05" } }`
            )
          )
        )
      ).toContain(
        manager === 'networkd'
          ? 'live reconfigured interface eth0\n  dhcp: - -> true\n  macAddress: - -> 02:00:00:00:00:05\n  mtu: - -> 1400\n  cut: interface eth0 moment'
          : 'live interface-configured interface eth0\n  dhcp: - -> true\n  macAddress: - -> 02:00:00:00:00:05\n  mtu: - -> 1400\n  cut: interface eth0 moment'
      )
    expect(whole(await changed(host(''), host('enableContainers: false')))).toMatchInlineSnapshot(`
      "restart container-stopped container web
        cut: container web gone
      live host-configured host
        host.enableContainers: - -> false
        cut: host moment"
    `)
  })

  test('of the firewall and of NAT', async () => {
    const host = (firewall: string, nat: string): string => `host: { firewall: { ${firewall} } }
nat: { ${nat} }
containers:
  web: { autoStart: true, privateNetwork: true, hostAddress: 10.1.0.1, localAddress: 10.1.0.2, hostAddress6: "fd12::1", localAddress6: "fd12::2" }
  db: { autoStart: true, privateNetwork: true, hostAddress: 10.1.0.3, localAddress: 10.1.0.4 }
`
    const FIREWALL =
      'backend: nftables, allowedTCPPorts: [80, 22, 443], allowedTCPPortRanges: [{ from: 80, to: 90 }], allowedUDPPorts: [53], interfaces: { eth1: { allowedTCPPorts: [25] }, eth0: { allowedUDPPortRanges: [{ from: 60, to: 70 }] } }, trustedInterfaces: [lan, lo], checkReversePath: loose, allowPing: false, rejectPackets: true, filterForward: true, extraCommands: "true", extraInputRules: accept, extraForwardRules: drop'
    const NAT =
      'enable: true, enableIPv6: true, internalInterfaces: [ve-web, ve-db], internalIPs: [10.1.0.0/16], internalIPv6s: ["fd12::/64"], externalInterface: eth0, externalIP: 198.51.100.1, externalIPv6: "2001:db8::1", dmzHost: 10.1.0.4, forwardPorts: [{ sourcePort: 80, destination: "10.1.0.2:80", loopbackIPs: [198.51.100.1, 198.51.100.2] }, { sourcePort: "90:99", destination: "10.1.0.4:90-99", proto: udp }]'
    expect(
      await thereAndBack(host('enable: true', 'enable: false'), host(FIREWALL, NAT))
    ).toMatchInlineSnapshot(`
      "live firewall-replaced firewall
        firewall.backend: - -> nftables
        firewall.allowedTCPPorts: - -> 22
        firewall.allowedTCPPorts: - -> 80
        firewall.allowedTCPPorts: - -> 80-90
        firewall.allowedTCPPorts: - -> 443
        firewall.allowedUDPPorts: - -> 53
        firewall.trustedInterfaces: - -> lan
        firewall.trustedInterfaces: - -> lo
        firewall.checkReversePath: - -> loose
        firewall.allowPing: - -> false
        firewall.rejectPackets: - -> true
        firewall.filterForward: - -> true
        firewall.extraCommands: - -> true
        firewall.extraInputRules: - -> accept
        firewall.extraForwardRules: - -> drop
        firewall.interfaces.eth0.allowedUDPPorts: - -> 60-70
        firewall.interfaces.eth1.allowedTCPPorts: - -> 25
      live nat-reloaded nat
        nat.enable: - -> true
        nat.enableIPv6: - -> true
        nat.internalInterfaces: - -> ve-web
        nat.internalInterfaces: - -> ve-db
        nat.internalIPs: - -> 10.1.0.0/16
        nat.internalIPv6s: - -> fd12::/64
        nat.externalInterface: - -> eth0
        nat.externalIP: - -> 198.51.100.1
        nat.externalIPv6: - -> 2001:db8::1
        nat.dmzHost: - -> 10.1.0.4
        nat.forwardPorts: - -> tcp 80 to 10.1.0.2:80 at 198.51.100.1, 198.51.100.2
        nat.forwardPorts: - -> udp 90:99 to 10.1.0.4:90-99
        translates IPv4 of: - -> ve-web
        translates IPv6 of: - -> ve-web
        translates IPv4 of: - -> ve-db
        translates IPv6 of: - -> ve-db
      --
      by-hand forwarding-stays host
        nat.enable: true -> -
        nat.enableIPv6: true -> -
        $ sysctl -w net.ipv4.conf.all.forwarding=0
        $ sysctl -w net.ipv4.conf.default.forwarding=0
        $ sysctl -w net.ipv6.conf.all.forwarding=0
        $ sysctl -w net.ipv6.conf.default.forwarding=0
      live firewall-replaced firewall
        firewall.backend: nftables -> -
        firewall.allowedTCPPorts: 22 -> -
        firewall.allowedTCPPorts: 80 -> -
        firewall.allowedTCPPorts: 80-90 -> -
        firewall.allowedTCPPorts: 443 -> -
        firewall.allowedUDPPorts: 53 -> -
        firewall.interfaces.eth0.allowedUDPPorts: 60-70 -> -
        firewall.interfaces.eth1.allowedTCPPorts: 25 -> -
        firewall.trustedInterfaces: lan -> -
        firewall.trustedInterfaces: lo -> -
        firewall.checkReversePath: loose -> -
        firewall.allowPing: false -> -
        firewall.rejectPackets: true -> -
        firewall.filterForward: true -> -
        firewall.extraCommands: true -> -
        firewall.extraInputRules: accept -> -
        firewall.extraForwardRules: drop -> -
      live nat-reloaded nat
        nat.enable: true -> -
        nat.enableIPv6: true -> -
        nat.internalInterfaces: ve-web -> -
        nat.internalInterfaces: ve-db -> -
        nat.internalIPs: 10.1.0.0/16 -> -
        nat.internalIPv6s: fd12::/64 -> -
        nat.externalInterface: eth0 -> -
        nat.externalIP: 198.51.100.1 -> -
        nat.externalIPv6: 2001:db8::1 -> -
        nat.dmzHost: 10.1.0.4 -> -
        nat.forwardPorts: tcp 80 to 10.1.0.2:80 at 198.51.100.1, 198.51.100.2 -> -
        nat.forwardPorts: udp 90:99 to 10.1.0.4:90-99 -> -
        translates IPv4 of: ve-web -> -
        translates IPv6 of: ve-web -> -
        translates IPv4 of: ve-db -> -
        translates IPv6 of: ve-db -> -"
    `)
    // Their order means something, and that of ports does not.
    expect(
      whole(
        await changed(
          host(FIREWALL, NAT),
          host(
            FIREWALL.replace('[80, 22, 443]', '[443, 22, 80, 80]'),
            NAT.replace('[ve-web, ve-db]', '[ve-db, ve-web]')
          )
        )
      )
    ).toMatchInlineSnapshot(`
      "live nat-reloaded nat
        nat.internalInterfaces: ve-web, ve-db -> ve-db, ve-web"
    `)
    expect(
      whole(
        await changed(
          host('enable: false', NAT),
          host('enable: false', NAT.replace('enableIPv6: true', 'enableIPv6: false'))
        )
      )
    ).toMatchInlineSnapshot(`
      "by-hand forwarding-stays host
        nat.enableIPv6: true -> -
        $ sysctl -w net.ipv6.conf.all.forwarding=0
        $ sysctl -w net.ipv6.conf.default.forwarding=0
      live nat-restarted nat
        nat.enableIPv6: true -> -
        translates IPv6 of: ve-web -> -
        translates IPv6 of: ve-db -> -"
    `)
  })

  test('of units that are written by hand', async () => {
    const units = (release: string, netdevs: string, networks: string, config = ''): string =>
      `host: { release: "${release}", networkd: { enable: true, netdevs: { ${netdevs} }, networks: { ${networks} }${config} } }
bridges: { br0: {} }
containers:
${on('web', 2)}  mac: { autoStart: true, privateNetwork: true, macvlans: [lan] }
`
    const netdev = (file: string, name: string, kind: string, more = ''): string =>
      `${file}: { netdevConfig: { Name: ${name}, Kind: ${kind}${more} }`
    const OLD = `${netdev('20-br0', 'br0', 'bridge')}, bridgeConfig: { STP: true } }, ${netdev('21-lan', 'lan', 'vlan', ', MACAddress: "02:00:00:00:00:01"')}, vlanConfig: { Id: 5, GVRP: true } }, ${netdev('22-old', 'old', 'dummy')} }`
    const NEW = `${netdev('20-br0', 'br0', 'bridge', ', MTUBytes: 1400')}, bridgeConfig: { AgeingTimeSec: 5 } }, ${netdev('31-lan', 'lan', 'vlan')}, vlanConfig: { Id: 6, GVRP: false } }, ${netdev('22-new', 'new', 'dummy')} }`
    const NETWORK =
      '40-a: { matchConfig: { Name: eth0 }, networkConfig: { LLMNR: false }, DHCP: ipv4, address: [10.9.0.2/24, 10.9.0.3/24], gateway: [10.9.0.1], dns: [9.9.9.9], ntp: [10.9.0.4], bridge: [br0], vlan: [lan], addresses: [{ Address: 10.9.1.1/24, Peer: 10.9.1.2 }], routes: [{ Destination: 10.8.0.0/16, Gateway: 10.9.0.7 }], bridgeVLANs: [{ VLAN: 5 }], extraConfig: "[Link]" }'
    for (const release of ['24.11', '25.11']) {
      const steps = await thereAndBack(units(release, OLD, ''), units(release, NEW, ''))
      if (release === '24.11')
        expect(steps).toMatchInlineSnapshot(`
        "by-hand device-kept unit 20-br0.netdev
          bridgeConfig STP: true -> -
          netdevConfig MTUBytes: - -> 1400
          $ ip link delete dev br0
          $ systemctl restart systemd-networkd.service
          $ systemctl try-restart container@web.service
        by-hand device-left unit 22-old.netdev
          $ ip link delete dev old
        by-hand device-kept unit 31-lan.netdev
          netdevConfig MACAddress: 02:00:00:00:00:01 -> -
          vlanConfig Id: 5 -> 6
          vlanConfig GVRP: true -> false
          $ ip link delete dev lan
          $ systemctl restart systemd-networkd.service
          $ systemctl try-restart container@mac.service
        live networkd-restarts networkd
        live netdev-updated unit 20-br0.netdev
          bridgeConfig AgeingTimeSec: - -> 5
        live device-made unit 22-new.netdev
        --
        by-hand device-kept unit 20-br0.netdev
          netdevConfig MTUBytes: 1400 -> -
          bridgeConfig AgeingTimeSec: 5 -> -
          $ ip link delete dev br0
          $ systemctl restart systemd-networkd.service
          $ systemctl try-restart container@web.service
        by-hand device-kept unit 21-lan.netdev
          vlanConfig Id: 6 -> 5
          vlanConfig GVRP: false -> true
          netdevConfig MACAddress: - -> 02:00:00:00:00:01
          $ ip link delete dev lan
          $ systemctl restart systemd-networkd.service
          $ systemctl try-restart container@mac.service
        by-hand device-left unit 22-new.netdev
          $ ip link delete dev new
        live networkd-restarts networkd
        live netdev-updated unit 20-br0.netdev
          bridgeConfig STP: - -> true
        live device-made unit 22-old.netdev"
      `)
      else
        expect(steps).toMatchInlineSnapshot(`
        "by-hand device-kept unit 20-br0.netdev
          bridgeConfig STP: true -> -
          $ ip link delete dev br0
          $ systemctl restart systemd-networkd.service
          $ systemctl try-restart container@web.service
        by-hand device-left unit 22-old.netdev
          $ ip link delete dev old
        by-hand device-kept unit 31-lan.netdev
          vlanConfig Id: 5 -> 6
          $ ip link delete dev lan
          $ systemctl restart systemd-networkd.service
          $ systemctl try-restart container@mac.service
        live networkd-restarts networkd
        live netdev-updated unit 20-br0.netdev
          netdevConfig MTUBytes: - -> 1400
          bridgeConfig AgeingTimeSec: - -> 5
        live device-made unit 22-new.netdev
        live netdev-updated unit 31-lan.netdev
          netdevConfig MACAddress: 02:00:00:00:00:01 -> -
          vlanConfig GVRP: true -> false
        --
        by-hand device-kept unit 20-br0.netdev
          netdevConfig MTUBytes: 1400 -> -
          bridgeConfig AgeingTimeSec: 5 -> -
          $ ip link delete dev br0
          $ systemctl restart systemd-networkd.service
          $ systemctl try-restart container@web.service
        by-hand device-kept unit 21-lan.netdev
          vlanConfig Id: 6 -> 5
          $ ip link delete dev lan
          $ systemctl restart systemd-networkd.service
          $ systemctl try-restart container@mac.service
        by-hand device-left unit 22-new.netdev
          $ ip link delete dev new
        live networkd-restarts networkd
        live netdev-updated unit 20-br0.netdev
          bridgeConfig STP: - -> true
        live netdev-updated unit 21-lan.netdev
          vlanConfig GVRP: false -> true
          netdevConfig MACAddress: - -> 02:00:00:00:00:01
        live device-made unit 22-old.netdev"
      `)
    }
    expect(await thereAndBack(units('25.11', '', ''), units('25.11', '', NETWORK))).toMatchInlineSnapshot(`
      "live reconfigured bridge br0
        interfaces: - -> eth0
        cut: bridge br0 moment
      live networkd-reloads networkd
      live reconfigured unit 40-a.network
        matchConfig Name: - -> eth0
        networkConfig LLMNR: - -> false
        DHCP: - -> ipv4
        address: - -> 10.9.0.2/24
        address: - -> 10.9.0.3/24
        gateway: - -> 10.9.0.1
        dns: - -> 9.9.9.9
        ntp: - -> 10.9.0.4
        bridge: - -> br0
        vlan: - -> lan
        addresses: - -> Address=10.9.1.1/24 Peer=10.9.1.2
        routes: - -> Destination=10.8.0.0/16 Gateway=10.9.0.7
        bridgeVLANs: - -> VLAN=5
        extraConfig: - -> [Link]
      --
      by-hand port-stays bridge br0
        interfaces: eth0 -> -
        $ ip link set dev eth0 nomaster
      live networkd-reloads networkd
      live reconfigured unit 40-a.network
        matchConfig Name: eth0 -> -
        networkConfig LLMNR: false -> -
        DHCP: ipv4 -> -
        address: 10.9.0.2/24 -> -
        address: 10.9.0.3/24 -> -
        gateway: 10.9.0.1 -> -
        dns: 9.9.9.9 -> -
        ntp: 10.9.0.4 -> -
        bridge: br0 -> -
        vlan: lan -> -
        addresses: Address=10.9.1.1/24 Peer=10.9.1.2 -> -
        routes: Destination=10.8.0.0/16 Gateway=10.9.0.7 -> -
        bridgeVLANs: VLAN=5 -> -
        extraConfig: [Link] -> -"
    `)
    expect(
      whole(
        await changed(
          units('25.11', '', NETWORK),
          units(
            '25.11',
            '',
            NETWORK.replace('DHCP: ipv4', 'DHCP: "yes"')
              .replace(
                '{ Address: 10.9.1.1/24, Peer: 10.9.1.2 }',
                '{ addressConfig: { Peer: 10.9.1.2, Address: 10.9.1.1/24 } }'
              )
              .replace('Gateway: 10.9.0.7', 'Gateway: 10.9.0.8')
              .replace('10.9.0.2/24, ', '')
              .replace('LLMNR: false', 'LLMNR: true')
              .replace('40-a: {', '40-a: { name: x,')
          )
        )
      )
    ).toMatchInlineSnapshot(`
      "live reconfigured bridge br0
        interfaces: eth0 -> -
        cut: bridge br0 moment
      live networkd-reloads networkd
      live reconfigured unit 40-a.network
        networkConfig LLMNR: false -> true
        DHCP: ipv4 -> yes
        address: 10.9.0.2/24 -> -
        routes: Destination=10.8.0.0/16 Gateway=10.9.0.7 -> Destination=10.8.0.0/16 Gateway=10.9.0.8
        name: - -> x"
    `)
    // A file that only gets another name, or a section that only stands elsewhere.
    expect(
      whole(await changed(units('25.11', OLD, ''), units('25.11', OLD.replace('21-lan', '31-lan'), '')))
    ).toBe('live networkd-restarts networkd')
    expect(
      whole(
        await changed(
          units('25.11', OLD, ''),
          units('25.11', OLD, '', ', config: { networkConfig: { SpeedMeter: true } }')
        )
      )
    ).toBe('live networkd-restarts networkd\n  networkd.conf SpeedMeter: - -> true')
    expect(
      whole(
        await changed(
          `host: { manager: networkd, useDHCP: false, bonds: { bond0: { interfaces: [eth1], mode: 802.3ad } }, vlans: { lan: { id: 5, interface: bond0 } } }\ncontainers: { mac: { autoStart: true, privateNetwork: true, macvlans: [lan] } }\n`,
          `host: { manager: networkd, useDHCP: false, bonds: { bond0: { interfaces: [eth1], mode: active-backup } }, vlans: { lan: { id: 5, interface: bond0 } } }\ncontainers: { mac: { autoStart: true, privateNetwork: true, macvlans: [lan] } }\n`
        )
      )
    ).toMatchInlineSnapshot(`
      "by-hand device-kept bond bond0
        mode: 802.3ad -> active-backup
        $ ip link delete dev bond0
        $ systemctl restart systemd-networkd.service
        $ systemctl try-restart container@mac.service
      live networkd-restarts networkd"
    `)
    // By hand from now on: it is not to be deleted.
    expect(
      whole(
        await changed(
          'host: { manager: networkd, vlans: { lan: { id: 5, interface: eth0 } } }',
          `host: { manager: networkd, networkd: { netdevs: { ${netdev('20-lan', 'lan', 'vlan')}, vlanConfig: { Id: 5 } } } } }`
        )
      )
    ).toMatchInlineSnapshot(`
      "live networkd-restarts networkd
      live device-made unit 20-lan.netdev"
    `)
  })

  test('of a container and a machine', async () => {
    const guests = (container: string, machine: string): string =>
      `containers: { web: { autoStart: true, ${container} } }\nvms: { box: { ${machine} } }\n`
    const CONTAINER = `privateNetwork: true, hostBridge: br0, hostAddress: 10.0.0.1, localAddress: 10.0.0.2/24, hostAddress6: "fd12::1", localAddress6: "fd12::2/64", localMacAddress: "02:00:00:00:00:0A", forwardPorts: [{ hostPort: 80, containerPort: 8080 }, { hostPort: 90, protocol: udp }], extraVeths: { two: { localAddress: 10.2.0.2, hostAddress: 10.2.0.1 }, one: { hostBridge: br0 } }, interfaces: [eth5], macvlans: [eth6], extraFlags: ["--x"], copyResolvConf: false, privateUsers: 65536, enableTun: true, additionalCapabilities: [CAP_NET_RAW], useNetworkd: true, networkManager: true, defaultGateway: { address: 10.0.0.1, interface: eth0, metric: 3, source: 10.0.0.2 }, defaultGateway6: "fd12::1", routes: [{ address: 10.6.0.0/16, via: 10.0.0.9 }, { address: 10.7.0.0/16, interface: eth0 }], dhcp: true, acceptRA: false, nameservers: [9.9.9.9, "2620:fe::fe"], useHostResolvConf: false, resolved: true, firewall: { allowedTCPPorts: [22] }, listens: [{ name: httpd, port: 80, address: 10.0.0.2 }, { port: 53, protocol: udp }], virtualAddresses: [10.0.0.77], vpn: { name: mullvad, interface: wg0, defaultRoute: true }, inside: { nat: { enable: true, internalInterfaces: [lan] }, interfaces: { lan: { address: [10.3.0.1/24] }, dmz: { dhcp: true } }, bridges: { b: { interfaces: [lan], address: [10.4.0.1/24] }, a: {} }, vlans: { v: { id: 5, interface: eth0 }, u: { id: 6, interface: eth0 } } }`
    const MACHINE =
      'kind: microvm, interfaces: { tapb: { hostBridge: br0, macAddress: "02:00:00:00:00:0b", address: [10.0.0.8/24] }, tapa: { type: macvtap } }, defaultGateway: 10.0.0.1, defaultGateway6: "fd12::1"'
    expect(
      await thereAndBack(guests('privateNetwork: true', 'kind: other'), guests(CONTAINER, MACHINE))
    ).toMatchInlineSnapshot(`
      "by-hand machine-changed machine box
        kind: other -> microvm
        defaultGateway: - -> 10.0.0.1
        defaultGateway6: - -> fd12::1
        interfaces.tapa.type: - -> macvtap
        interfaces.tapb.type: - -> tap
        interfaces.tapb.hostBridge: - -> br0
        interfaces.tapb.macAddress: - -> 02:00:00:00:00:0b
        interfaces.tapb.address: - -> 10.0.0.8/24
      restart container-restarted container web
        hostBridge: - -> br0
        hostAddress: - -> 10.0.0.1
        localAddress: - -> 10.0.0.2/24
        hostAddress6: - -> fd12::1
        localAddress6: - -> fd12::2/64
        localMacAddress: - -> 02:00:00:00:00:0a
        forwardPorts: - -> tcp 80 to 8080
        forwardPorts: - -> udp 90 to 90
        interfaces: - -> eth5
        macvlans: - -> eth6
        extraFlags: - -> --x
        copyResolvConf: - -> false
        privateUsers: - -> 65536
        enableTun: - -> true
        additionalCapabilities: - -> CAP_NET_RAW
        extraVeths.one: - -> made
        extraVeths.one.hostBridge: - -> br0
        extraVeths.two: - -> made
        extraVeths.two.hostAddress: - -> 10.2.0.1
        extraVeths.two.localAddress: - -> 10.2.0.2
        useNetworkd: - -> true
        networkManager: - -> true
        defaultGateway: - -> 10.0.0.1 on eth0 metric 3 from 10.0.0.2
        defaultGateway6: - -> fd12::1
        routes: - -> 10.6.0.0/16 via 10.0.0.9
        routes: - -> 10.7.0.0/16 on eth0
        dhcp: - -> true
        acceptRA: - -> false
        nameservers: - -> 9.9.9.9
        nameservers: - -> 2620:fe::fe
        useHostResolvConf: - -> false
        resolved: - -> true
        listens: - -> httpd tcp 80 at 10.0.0.2
        listens: - -> udp 53
        virtualAddresses: - -> 10.0.0.77
        vpn: - -> mullvad wg0 for everything
        firewall.allowedTCPPorts: - -> 22
        inside.nat.enable: - -> true
        inside.nat.internalInterfaces: - -> lan
        inside.interfaces.dmz.dhcp: - -> true
        inside.interfaces.lan.address: - -> 10.3.0.1/24
        inside.bridges.a: - -> made
        inside.bridges.b.interfaces: - -> lan
        inside.bridges.b.address: - -> 10.4.0.1/24
        inside.bridges.b: - -> made
        inside.vlans.u: - -> 6 on eth0
        inside.vlans.v: - -> 5 on eth0
        cut: container web started
      --
      by-hand machine-changed machine box
        kind: microvm -> other
        defaultGateway: 10.0.0.1 -> -
        defaultGateway6: fd12::1 -> -
        interfaces.tapa.type: macvtap -> -
        interfaces.tapb.type: tap -> -
        interfaces.tapb.hostBridge: br0 -> -
        interfaces.tapb.macAddress: 02:00:00:00:00:0b -> -
        interfaces.tapb.address: 10.0.0.8/24 -> -
      restart container-restarted container web
        hostBridge: br0 -> -
        hostAddress: 10.0.0.1 -> -
        localAddress: 10.0.0.2/24 -> -
        hostAddress6: fd12::1 -> -
        localAddress6: fd12::2/64 -> -
        localMacAddress: 02:00:00:00:00:0a -> -
        forwardPorts: tcp 80 to 8080 -> -
        forwardPorts: udp 90 to 90 -> -
        extraVeths.one: made -> -
        extraVeths.one.hostBridge: br0 -> -
        extraVeths.two: made -> -
        extraVeths.two.hostAddress: 10.2.0.1 -> -
        extraVeths.two.localAddress: 10.2.0.2 -> -
        interfaces: eth5 -> -
        macvlans: eth6 -> -
        extraFlags: --x -> -
        copyResolvConf: false -> -
        privateUsers: 65536 -> -
        enableTun: true -> -
        additionalCapabilities: CAP_NET_RAW -> -
        useNetworkd: true -> -
        networkManager: true -> -
        defaultGateway: 10.0.0.1 on eth0 metric 3 from 10.0.0.2 -> -
        defaultGateway6: fd12::1 -> -
        routes: 10.6.0.0/16 via 10.0.0.9 -> -
        routes: 10.7.0.0/16 on eth0 -> -
        dhcp: true -> -
        acceptRA: false -> -
        nameservers: 9.9.9.9 -> -
        nameservers: 2620:fe::fe -> -
        useHostResolvConf: false -> -
        resolved: true -> -
        firewall.allowedTCPPorts: 22 -> -
        listens: httpd tcp 80 at 10.0.0.2 -> -
        listens: udp 53 -> -
        virtualAddresses: 10.0.0.77 -> -
        vpn: mullvad wg0 for everything -> -
        inside.nat.enable: true -> -
        inside.nat.internalInterfaces: lan -> -
        inside.interfaces.dmz.dhcp: true -> -
        inside.interfaces.lan.address: 10.3.0.1/24 -> -
        inside.bridges.a: made -> -
        inside.bridges.b.interfaces: lan -> -
        inside.bridges.b.address: 10.4.0.1/24 -> -
        inside.bridges.b: made -> -
        inside.vlans.u: 6 on eth0 -> -
        inside.vlans.v: 5 on eth0 -> -
        cut: container web started"
    `)
    expect(
      whole(
        await changed(
          guests(CONTAINER, MACHINE),
          guests(
            CONTAINER.replace('two: {', 'other: {')
              .replace('00:0A', '00:0a')
              .replace('name: mullvad, interface: wg0, defaultRoute: true', 'defaultRoute: false')
              .replace('bridges: { b: {', 'bridges: { c: {')
              .replace('networkManager: true, ', ''),
            MACHINE.replace('00:0b', '00:0B').replace('tapa: { type: macvtap }', '')
          )
        )
      )
    ).toMatchInlineSnapshot(`
      "by-hand machine-changed machine box
        interfaces.tapa.type: macvtap -> -
      restart container-restarted container web
        extraVeths.two: made -> -
        extraVeths.two.hostAddress: 10.2.0.1 -> -
        extraVeths.two.localAddress: 10.2.0.2 -> -
        extraVeths.other: - -> made
        extraVeths.other.hostAddress: - -> 10.2.0.1
        extraVeths.other.localAddress: - -> 10.2.0.2
        networkManager: true -> -
        vpn: mullvad wg0 for everything -> a VPN
        inside.bridges.b.interfaces: lan -> -
        inside.bridges.b.address: 10.4.0.1/24 -> -
        inside.bridges.b: made -> -
        inside.bridges.c.interfaces: - -> lan
        inside.bridges.c.address: - -> 10.4.0.1/24
        inside.bridges.c: - -> made
        cut: container web started"
    `)
    expect(
      whole(
        await changed(
          guests('', 'kind: other'),
          'containers: { web: { autoStart: true, flake: "github:x/y", networkNamespace: /run/netns/x } }'
        )
      )
    ).toMatchInlineSnapshot(`
      "restart container-restarted container web
        networkNamespace: - -> /run/netns/x
        path or flake: - -> in place of config
        cut: container web started
      live machine-removed machine box
        cut: machine box gone"
    `)
  })
})

describe('bridges, VLANs, bonds and units', () => {
  const scripted = (devices: string, more = '', release = '26.05'): string =>
    `host: { manager: scripted, release: "${release}", useDHCP: false${devices} }
bridges: { br0: { definedBy: scripted, address: [10.0.0.1/24], interfaces: [lan] }, br1: { definedBy: scripted } }
containers:
${on('web', 2)}${more}`

  test('of scripts that are made anew with a port tell all that changes on the way, and leave others alone', async () => {
    const devices = (id: number): string =>
      `, vlans: { lan: { id: ${id}, interface: eth1 }, other: { id: 9, interface: eth1 } }, bonds: { bond9: { interfaces: [eth8], mode: 802.3ad } }`
    const next = scripted(devices(6)).replace('10.0.0.1/24', '10.0.0.1/24, "fd12::1/64"')
    expect(whole(await changed(scripted(devices(5)), next))).toMatchInlineSnapshot(`
      "by-hand bridge-remade bridge br0 (port)
        interfaces: lan -> made anew
        address: - -> fd12::1/64
        cut: bridge br0 moment
        cut: container web restarted
        $ systemctl try-restart container@web.service
      restart device-remade vlan lan
        id: 5 -> 6"
    `)
    const gateway = (address: string): string =>
      scripted(`, defaultGateway: ${address}, interfaces: { eth0: {} }`, '', '25.11').replace('lan', 'eth5')
    expect(
      whole(
        await changed(
          gateway('198.51.100.1'),
          gateway('198.51.100.9').replace('10.0.0.1/24', '10.0.0.1/24, "fd12::1/64"')
        )
      )
    ).toMatchInlineSnapshot(`
      "by-hand bridge-remade bridge br0 (network-setup)
        host.defaultGateway: 198.51.100.1 -> 198.51.100.9
        address: - -> fd12::1/64
        cut: bridge br0 moment
        cut: container web restarted
        $ systemctl try-restart container@web.service
      restart bridge-remade bridge br1 (network-setup)
        host.defaultGateway: 198.51.100.1 -> 198.51.100.9
        cut: bridge br1 moment
      live host-configured host
        host.defaultGateway: 198.51.100.1 -> 198.51.100.9
        cut: host moment"
    `)
  })

  test('of scripts fall with all that they stand on, in whatever order they are stacked', async () => {
    const devices = (id: number): string =>
      `, vlans: { one: { id: ${id}, interface: eth1 }, two: { id: 7, interface: eth2 }, lan: { id: 8, interface: pair }, guest: { id: 9, interface: pair } }, bonds: { pair: { interfaces: [one, two], mode: active-backup } }`
    expect(told(await changed(scripted(devices(5)), scripted(devices(6))))).toEqual([
      'by-hand bridge-remade bridge br0',
      'restart device-remade bond pair',
      'restart device-remade vlan guest',
      'restart device-remade vlan lan',
      'restart device-remade vlan one'
    ])
    // In a circle nothing can be made, but the end is found.
    const circle = (id: number): string =>
      `, vlans: { one: { id: ${id}, interface: two }, two: { id: 7, interface: one } }`
    expect(told(await changed(scripted(circle(5)), scripted(circle(6))))).toEqual([
      'restart device-remade vlan one',
      'restart device-remade vlan two'
    ])
  })

  test('VLANs and bonds that another program is to make are made anew, and only the scripts delete one', async () => {
    const host = (manager: string, gone: string): string =>
      `host: { manager: ${manager}, release: "26.05", useDHCP: false, vlans: { lan: { id: 5, interface: eth1 }${gone} }, bonds: { pair: { interfaces: [eth2, eth3], mode: 802.3ad } } }
containers: { mac: { autoStart: true, privateNetwork: true, macvlans: [lan] } }
`
    const gone = ', gone: { id: 6, interface: eth1 }'
    expect(whole(await changed(host('scripted', gone), host('networkd', '')))).toMatchInlineSnapshot(`
      "by-hand manager host
        host.manager: scripted -> networkd
      by-hand device-remade vlan lan (maker)
        host.manager: scripted -> networkd
        cut: container mac restarted
        $ systemctl try-restart container@mac.service
      restart device-remade bond pair (maker)
        host.manager: scripted -> networkd
      restart device-deleted vlan gone
      live networkd-restarts networkd"
    `)
    expect(whole(await changed(host('networkd', gone), host('scripted', '')))).toMatchInlineSnapshot(`
      "by-hand manager host
        host.manager: networkd -> scripted
      by-hand device-left vlan gone
        $ ip link delete dev gone
      by-hand device-remade vlan lan (maker)
        host.manager: networkd -> scripted
        cut: container mac restarted
        $ systemctl try-restart container@mac.service
      restart device-remade bond pair (maker)
        host.manager: networkd -> scripted
      live networkd-restarts networkd"
    `)
  })

  test('are made anew without those that are switched off in the same step', async () => {
    const network = (maker: string, enabled: boolean): string => `host: { release: "26.05" }
bridges: { br0: { definedBy: ${maker}, address: [10.0.0.1/24, "fd12::1/64"] } }
vms:
  box: { kind: qemu, enabled: ${enabled}, interfaces: { tap0: { hostBridge: br0 } } }
  tub: { kind: qemu, interfaces: { tap1: { hostBridge: br0 }, tap2: { hostBridge: br0 } } }
`
    const remade = stepOf(
      await changed(network('scripted', true), network('networkd', false)),
      'bridge-remade'
    )
    expect(cutOf(remade)).toEqual(['bridge br0 moment', 'machine tub restarted'])
  })

  test('of systemd-networkd that stay are in the way of whatever has their network', async () => {
    const network = (bridges: string, interfaces = ''): string =>
      `host: { manager: networkd, release: "25.11", useDHCP: false, interfaces: { ${interfaces} } }
bridges: { ${bridges} }
`
    const steps = async (old: string, next: string): Promise<string[]> =>
      (await changed(old, next)).steps
        .filter(({ gravity }) => gravity === 'by-hand')
        .map(step => [step.effect, who(step), ...cutOf(step), ...step.commands].join(', '))
    const kitchen = 'kitchen: { address: [10.0.3.1/24, "fd12:0:0:3::1/64", "fe80::1/64", 0.0.0.0/28] }'
    const cellar = 'cellar: { address: [10.0.4.1/24, "fd12:0:0:4::1/64"] }'
    const house = 'house: { address: [10.0.0.1/16, "fd12::1/48"] }'
    expect(await steps(network(`${kitchen}, ${cellar}`), network(house))).toEqual([
      'bridge-in-the-way, bridge cellar, bridge house deleted, ip link delete dev cellar',
      'bridge-in-the-way, bridge kitchen, bridge house deleted, ip link delete dev kitchen'
    ])
    expect(await steps(network(house), network(`${kitchen}, ${cellar}`))).toEqual([
      'bridge-in-the-way, bridge house, bridge kitchen deleted, bridge cellar deleted, ip link delete dev house'
    ])
    for (const address of ['10.0.3.1/24', '"fd12:0:0:3::1/64"', '10.0.0.1/16', '"fd12::1/48"']) {
      expect(await steps(network(kitchen), network('', `eth1: { address: [${address}] }`))).toEqual([
        'bridge-in-the-way, bridge kitchen, interface eth1 deleted, ip link delete dev kitchen'
      ])
    }
    // Only the host's own address, or another network.
    for (const address of [
      '10.0.3.1/32',
      '"fd12:0:0:3::1/128"',
      '10.0.5.1/24',
      '"fd12:0:0:5::1/64"',
      '"fe80::1/64"',
      '0.0.0.0/28',
      'bad'
    ])
      expect(await steps(network(kitchen), network('', `eth1: { address: [${address}] }`))).toEqual([
        'bridge-left, bridge kitchen, ip link delete dev kitchen'
      ])
  })

  test('of systemd-networkd go on when they are written by hand from now on, or no longer', async () => {
    const network = (netdevs: string, bridges = 'br0: { definedBy: networkd }'): string =>
      `host: { release: "25.11", networkd: { enable: true, netdevs: { ${netdevs} } } }
bridges: { ${bridges} }
`
    const byHand = '20-br0: { netdevConfig: { Name: br0, Kind: bridge } }'
    expect(await thereAndBack(network(''), network(byHand))).toMatchInlineSnapshot(`
      "live networkd-restarts networkd
        20-br0.netdev [NetDev] Name: br0 -> -
        20-br0.netdev [NetDev] Kind: bridge -> -
      --
      live networkd-restarts networkd
        20-br0.netdev [NetDev] Name: - -> br0
        20-br0.netdev [NetDev] Kind: - -> bridge"
    `)
    expect(await thereAndBack(network('', ''), network(byHand, ''))).toMatchInlineSnapshot(`
      "live bridge-made bridge br0
      live networkd-restarts networkd
      --
      by-hand bridge-left bridge br0
        $ ip link delete dev br0
      live networkd-restarts networkd"
    `)
    // Without a name it makes nothing.
    expect(await thereAndBack(network(''), network('20-x: { netdevConfig: { Kind: dummy } }'))).toBe('\n--\n')
  })

  test('are configured by a unit by hand that takes them by their kind', async () => {
    const network = (address: string, kind: string): string =>
      `host: { release: "25.11", networkd: { enable: true, networks: { 30-all: { matchConfig: { Kind: ${kind} }, networkConfig: { LLMNR: false } } } } }
bridges: { br0: { definedBy: networkd, address: [${address}] } }
`
    const step = async (kind: string): Promise<string> =>
      whole(await changed(network('10.0.0.1/24', kind), network('10.0.0.2/24', kind)))
    expect(await step('bridge')).toBe('')
    expect(await step('bond')).toContain('live reconfigured bridge br0')
  })

  test('the units of ports are told with each of their values', async () => {
    const network = (...macvlans: readonly string[]): string =>
      `host: { manager: networkd, release: "25.11", useDHCP: false, vlans: { guest: { id: 5, interface: eth1 }, cameras: { id: 6, interface: eth1 }, doors: { id: 7, interface: eth1 } } }
bridges: { br0: { interfaces: [eth1] } }
containers: { ${macvlans.map(name => `${name}: { autoStart: false, privateNetwork: true, macvlans: [${name}] }`).join(', ')} }
`
    expect(
      whole(await changed(network('guest', 'cameras'), network('guest', 'cameras', 'doors')))
    ).toMatchInlineSnapshot(`
      "live networkd-reloads networkd
        30-eth1.network [Network] VLAN: - -> doors
      live container-added container doors
        $ systemctl start container@doors.service"
    `)
  })

  test('of scripts up to 25.11 fall with network-setup.service, and what is on them', async () => {
    const network = (release: string, gateway: string): string =>
      `host: { manager: scripted, release: "${release}", useDHCP: false, defaultGateway: ${gateway}, interfaces: { eth0: { address: [198.51.100.2/24] } }, vlans: { lan: { id: 5, interface: eth1 }, guest: { id: 6, interface: pair } }, bonds: { pair: { interfaces: [eth2, eth3] } } }
bridges: { br0: { definedBy: scripted, interfaces: [lan] } }
containers: { mac: { autoStart: true, privateNetwork: true, macvlans: [guest] } }
`
    const change = await changed(network('25.11', '198.51.100.1'), network('25.11', '198.51.100.9'))
    expect(whole(change)).toMatchInlineSnapshot(`
      "by-hand device-remade vlan guest (network-setup)
        host.defaultGateway: 198.51.100.1 -> 198.51.100.9
        cut: container mac restarted
        $ systemctl try-restart container@mac.service
      restart device-remade bond pair (network-setup)
        host.defaultGateway: 198.51.100.1 -> 198.51.100.9
      restart device-remade vlan lan (network-setup)
        host.defaultGateway: 198.51.100.1 -> 198.51.100.9
      restart bridge-remade bridge br0 (network-setup)
        host.defaultGateway: 198.51.100.1 -> 198.51.100.9
        cut: bridge br0 moment
      live host-configured host
        host.defaultGateway: 198.51.100.1 -> 198.51.100.9
        cut: host moment"
    `)
    expect(changeText(change, PLAIN)).toContain(`
  VLAN "guest"
    deleted and made anew with network-setup.service, of which it is a part up to NixOS 25.11 and
    which these restart; what is on it goes with it
    host.defaultGateway: 198.51.100.1 -> 198.51.100.9
    without network until restarted by hand: container "mac"
    $ systemctl try-restart container@mac.service
`)
    expect(told(await changed(network('26.05', '198.51.100.1'), network('26.05', '198.51.100.9')))).toEqual([
      'live host-configured host'
    ])
  })

  test('are made anew without the macvlans on them, and each guest is told once', async () => {
    const network = (maker: string, more: string): string => `host: { release: "26.05" }
bridges: { br0: { definedBy: ${maker} } }
containers:
  mac: { autoStart: true, privateNetwork: true, macvlans: [br0] }
  both: { autoStart: true, privateNetwork: true, hostBridge: br0, macvlans: ["br0:lan"] }
  waits: { autoStart: false, privateNetwork: true, macvlans: [${more}] }
  moves: { autoStart: true, privateNetwork: true, macvlans: [${more}] }
  other: { autoStart: true, privateNetwork: true, macvlans: [eth1] }
  off: { enabled: false, privateNetwork: true, macvlans: [br0] }
`
    const old = network('scripted', 'br0')
    const remade = stepOf(await changed(old, network('networkd', 'eth2')), 'bridge-remade')
    expect(cutOf(remade)).toEqual([
      'bridge br0 moment',
      'container both restarted',
      'container mac restarted',
      'container waits restarted'
    ])
    const gone = stepOf(await changed(old, old.replace(/bridges:.*\n/, '')), 'bridge-deleted')
    expect(cutOf(gone)).toEqual([
      'container both gone',
      'container mac gone',
      'container waits gone',
      'container moves gone'
    ])
  })

  test('VLANs fall with the bridge that they are on', async () => {
    const network = (bridge: string, more = ''): string =>
      `host: { manager: scripted, release: "26.05", useDHCP: false, vlans: { mgmt: { id: 5, interface: br0 }, lan: { id: ${more === '' ? 5 : 6}, interface: eth1 } } }
bridges: { br0: { definedBy: ${bridge}, interfaces: [lan] } }
containers: { mac: { autoStart: true, privateNetwork: true, macvlans: [mgmt] } }
`
    for (const next of [network('networkd'), network('scripted', 'other')])
      expect(whole(await changed(network('scripted'), next))).toContain(
        'by-hand device-remade vlan mgmt\n  cut: container mac restarted\n  $ systemctl try-restart container@mac.service'
      )
    expect(told(await changed(network('networkd'), network('networkd', 'other')))).toEqual([
      'restart device-remade vlan lan'
    ])
    expect(told(await changed(network('networkd'), network('scripted')))).toContain(
      'by-hand device-remade vlan mgmt'
    )
    // NixOS's scripts delete a bridge that is gone, and networkd does not.
    const without = (maker: string): string => network(maker).replace(/bridges:.*\n/, '')
    expect(told(await changed(network('scripted'), without('scripted')))).toContain(
      'by-hand device-remade vlan mgmt'
    )
    expect(told(await changed(network('networkd'), without('networkd')))).not.toContain(
      'by-hand device-remade vlan mgmt'
    )
  })

  test('a pair on a host without networkd is no affair of networkd', async () => {
    const pair =
      'web: { autoStart: true, privateNetwork: true, hostAddress: 10.1.0.1, localAddress: 10.1.0.2 }'
    const started = 'live container-started container web'
    expect(told(await changed('containers: {}\n', `containers: { ${pair} }\n`))).toEqual([started])
    const enabled = 'host: { networkd: { enable: true } }\n'
    expect(told(await changed(enabled, `${enabled}containers: { ${pair} }\n`))).toEqual([
      'live networkd-reloads networkd',
      started
    ])
  })

  test('what is no address is told as it is written, and in no command', async () => {
    const network = (bridge: string, options: string): string =>
      `host: { manager: networkd, release: "24.11", useDHCP: false }
bridges: { br0: { ${bridge} } }
containers: { web: { autoStart: true, privateNetwork: true, hostBridge: br0${options} } }
`
    expect(
      await thereAndBack(
        network(
          'address: ["10.0.0.1/24; reboot"], macAddress: "02:00:00:00:00:0g", stp: true',
          ', localAddress: 10.0.0.300/24'
        ),
        network('address: [10.0.0.2/24]', ', localMacAddress: nonsense')
      )
    ).toMatchInlineSnapshot(`
      "by-hand netdev-kept bridge br0
        macAddress: 02:00:00:00:00:0g -> -
        stp: true -> -
        $ ip link set dev br0 type bridge stp_state 0
      restart container-restarted container web
        localAddress: 10.0.0.300/24 -> -
        localMacAddress: - -> nonsense
        cut: container web started
      live reconfigured bridge br0
        address: 10.0.0.1/24; reboot -> 10.0.0.2/24
        cut: bridge br0 moment
      live networkd-restarts networkd
      --
      by-hand netdev-kept bridge br0
        macAddress: - -> 02:00:00:00:00:0g
      by-hand addresses-left bridge br0
        address: 10.0.0.2/24 -> -
        $ ip address delete 10.0.0.2/24 dev br0
      restart container-restarted container web
        localAddress: - -> 10.0.0.300/24
        localMacAddress: nonsense -> -
        cut: container web started
      live netdev-updated bridge br0
        stp: - -> true
      live reconfigured bridge br0
        address: 10.0.0.2/24 -> 10.0.0.1/24; reboot
        cut: bridge br0 moment
      live networkd-restarts networkd"
    `)
  })

  test('of a firewall what means the same is no change', async () => {
    const network = (firewall: string): string => `host: { ${firewall} }\n`
    for (const [before, after] of [
      [
        'firewall: { allowedTCPPortRanges: [{ from: 80, to: 90 }, { from: 80, to: 85 }] }',
        'firewall: { allowedTCPPortRanges: [{ from: 80, to: 85 }, { from: 80, to: 90 }] }'
      ],
      ['', 'firewall: { extraCommands: "", extraInputRules: "", extraForwardRules: "" }']
    ] as const)
      expect(await thereAndBack(network(before), network(after))).toBe('\n--\n')
    expect(whole(await changed(network(''), network('firewall: { enable: false }')))).toContain(
      'firewall.enable: - -> false'
    )
  })

  test('a value that stands twice is told when it stands there once', async () => {
    const network = (list: string): string =>
      `nat: { enable: true, externalInterface: eth0, internalInterfaces: [${list}] }\n`
    expect(whole(await changed(network('lan, lan'), network('lan')))).toContain(
      'nat.internalInterfaces: lan, lan -> lan'
    )
  })
})

// What is said of a change, held against what would be deployed.

/** An edit of a network's data that a person might make; which one it is hangs on the numbers. */
const edited = (data: Data, [first, second, third]: readonly [number, number, number]): Data => {
  const places: (readonly (string | number)[])[] = []
  const walk = (value: Value, path: readonly (string | number)[]): void => {
    if (path.length > 1 && path[0] !== 'reserved' && path[0] !== 'name') places.push(path)
    if (Array.isArray(value)) for (const [i, item] of value.entries()) walk(item, [...path, i])
    else if (typeof value === 'object' && value !== null)
      for (const [key, item] of Object.entries(value)) walk(item, [...path, key])
  }
  walk(data, [])
  const copy = structuredClone(data) as Record<string, unknown>
  const place = places[first % Math.max(places.length, 1)]
  if (place === undefined) return data
  // oxlint-disable-next-line typescript/no-explicit-any
  let owner: any = copy
  for (const key of place.slice(0, -1)) owner = owner[key]
  const key = place.at(-1) ?? ''
  const value: unknown = owner[key]
  const drop = (): void => {
    if (Array.isArray(owner)) owner.splice(Number(key), 1)
    else delete owner[key]
  }
  if (second % 4 === 0) drop()
  else if (typeof value === 'boolean') owner[key] = !value
  else if (typeof value === 'number') owner[key] = value + 1 + (third % 9)
  else if (typeof value === 'string')
    owner[key] = /^[\d.]+(\/\d+)?$/.test(value)
      ? value.replace(/\d+(?=(?:\/\d+)?$)/, digits => String((Number(digits) + 1 + (third % 5)) % 255))
      : value.includes(':')
        ? value.replace(/[0-9a-f](?=(?:\/\d+)?$)/i, digit =>
            ((Number.parseInt(digit, 16) + 1) % 16).toString(16)
          )
        : value
  else if (Array.isArray(value)) owner[key] = second % 2 === 0 ? value.slice(1) : value.toReversed()
  else if (
    typeof value === 'object' &&
    value !== null &&
    typeof key === 'string' &&
    place.length === 2 &&
    second % 3 === 0
  ) {
    owner[`${key}x`] = value
    delete owner[key]
  } else drop()
  return copy as Data
}

const edits = fc.array(fc.tuple(fc.nat(100_000), fc.nat(100), fc.nat(100)), { minLength: 1, maxLength: 4 })

interface Pair {
  readonly plans: readonly [Plan, Plan]
  /** Whether a check finds no error in either, so that something can be made of both. */
  readonly sound: boolean
}

/** A network and an edited one; nothing for what is no topology any more. */
const pair = async (
  data: Data,
  steps: readonly (readonly [number, number, number])[]
): Promise<Pair | undefined> => {
  const [old, next] = await Promise.all(
    [data, steps.reduce(edited, data)].map(data => analyze({ file: 'topology.yaml', text: toYaml(data) }))
  )
  return old?.plan === undefined || next?.plan === undefined
    ? undefined
    : {
        plans: [old.plan, next.plan],
        sound: next.report.findings.every(({ severity }) => severity !== 'error')
      }
}

const RUNS = { interruptAfterTimeLimit: 15_000, markInterruptAsFailure: false }

describe('random changes', () => {
  test('of nothing but the order of keys are none', async () => {
    const property = fc.asyncProperty(
      networks(),
      fc.integer({ min: 0, max: 0xffff }),
      async (network, shuffle) => {
        const data = toData(network)
        const change = changeOf(await planOf(toYaml(data)), await planOf(toYaml(data, { shuffle })))
        expect(change).toEqual({ steps: [], addresses: [], ports: [], references: [] })
        expect(changeText(change, PLAIN)).toBe('nothing changes for what runs\n')
      }
    )
    await expect(fc.assert(property, { ...RUNS, numRuns: 100 })).resolves.toBeUndefined()
  })

  test('tell every container whose module differs', async () => {
    let compared = 0
    const property = fc.asyncProperty(networks({ bridges: 2 }), edits, async (network, steps) => {
      const { plans } = (await pair(toData(network), steps)) ?? {}
      if (plans === undefined) return
      const [before, after] = plans
      const change = changeOf(before, after)
      const steps_ = new Map(
        change.steps.flatMap(step =>
          step.subject.kind === 'container' && step.effect !== 'address-twice'
            ? [[step.subject.name, step] as const]
            : []
        )
      )
      for (const old of before.topology.containers) {
        const next = after.topology.containers.find(({ name }) => name === old.name)
        if (next === undefined || !old.enabled || !next.enabled) continue
        // nixpkgs sorts the ports of a firewall.
        const modules = [containerModule(before, old), containerModule(after, next)].map(module =>
          JSON.stringify(module, (key, value: unknown) =>
            key.startsWith('allowed') && Array.isArray(value)
              ? [...new Set(value.map(port => JSON.stringify(port)))].sort()
              : value
          )
        )
        const step = steps_.get(old.name)
        if (modules[0] !== modules[1]) {
          // What is declared inside so that a gateway works on a new release is not an option of the file.
          if (before.topology.host.release !== after.topology.host.release) continue
          compared += 1
          expect([old.name, modules, step?.effect]).toEqual([
            old.name,
            modules,
            expect.stringMatching(/^container-(?:restarted|waits|built)/)
          ])
        }
      }
    })
    await expect(fc.assert(property, { ...RUNS, numRuns: 400 })).resolves.toBeUndefined()
    expect(compared).toBeGreaterThan(5)
  })

  test('tell every unit that differs, and what networkd does with it', async () => {
    let compared = 0
    const property = fc.asyncProperty(networks({ containers: 3 }), edits, async (network, steps) => {
      const { plans } = (await pair(toData(network), steps)) ?? {}
      if (plans === undefined) return
      const change = changeOf(...plans)
      const [old, next] = plans.map(
        plan =>
          new Map(
            unitsOf(plan, { target: 'nixos' }).map(({ file, sections }) => [file, JSON.stringify(sections)])
          )
      )
      const files = [...new Set([...(old?.keys() ?? []), ...(next?.keys() ?? [])])].filter(
        file => old?.get(file) !== next?.get(file)
      )
      if (files.length === 0) return
      compared += 1
      const effects = told(change)
      const networkd = change.steps.find(({ subject: { kind } }) => kind === 'networkd')
      if (files.some(file => file.endsWith('.netdev')))
        expect(effects).toContain('live networkd-restarts networkd')
      else expect(effects.join()).toMatch(/networkd-re(?:starts|loads)/)
      for (const file of files) {
        const name = file.replace(/^\d+-/, '').replace(/\.\w+$/, '')
        const isTold =
          change.steps.some(({ subject }) => subject.name === name) ||
          networkd?.differences.some(({ option }) => option.startsWith(file)) === true
        expect([file, effects, isTold]).toEqual([file, effects, true])
      }
    })
    await expect(fc.assert(property, { ...RUNS, numRuns: 300 })).resolves.toBeUndefined()
    expect(compared).toBeGreaterThan(5)
  })

  test('are none only where what is deployed is the same', async () => {
    const property = fc.asyncProperty(networks(), edits, async (network, steps) => {
      const { plans, sound } = (await pair(toData(network), steps)) ?? {}
      if (plans === undefined) return
      const change = changeOf(...plans)
      if (change.steps.length > 0) {
        expect(changeText(change, PLAIN)).not.toContain('nothing changes')
        return
      }
      if (sound !== true || plans.some(plan => [...nixos.cannot(plan)].length > 0)) return
      // The order of ports that a firewall opens means nothing.
      const [old, next] = plans.map(plan => nixos.emit(plan, '')[0]?.text.split('\n').sort())
      expect(next).toEqual(old)
    })
    await expect(fc.assert(property, { ...RUNS, numRuns: 300 })).resolves.toBeUndefined()
  })

  test('back and forth take and give the same addresses and ports, and fit into the line', async () => {
    const property = fc.asyncProperty(networks(), edits, async (network, steps) => {
      const { plans } = (await pair(toData(network), steps)) ?? {}
      if (plans === undefined) return
      const [there, back] = [changeOf(...plans), changeOf(plans[1], plans[0])]
      expect(
        there.addresses.map(({ holder, removed, added }) => [who(holder), holder.ifname, removed, added])
      ).toEqual(
        back.addresses.map(({ holder, removed, added }) => [who(holder), holder.ifname, added, removed])
      )
      expect(
        there.ports.map(({ before, after, ...port }) => ({ ...port, before: after, after: before }))
      ).toEqual(back.ports)
      for (const line of changeText(there, PLAIN).split('\n'))
        if (!line.startsWith('    $ ')) expect(columns(line)).toBeLessThanOrEqual(100)
    })
    await expect(fc.assert(property, { ...RUNS, numRuns: 200 })).resolves.toBeUndefined()
  })
})

test.each(goldens)('a network that comes and goes tells each of its parts: $name', async ({ topology }) => {
  const [empty, plan] = [await planOf('version: 1\n'), await planOf(topology)]
  const names = [
    ...plan.bridges.keys(),
    ...plan.topology.containers.flatMap(({ name, enabled }) => (enabled ? [name] : []))
  ]
  for (const change of [changeOf(empty, plan), changeOf(plan, empty)])
    expect(change.steps.map(({ subject: { name } }) => name)).toEqual(expect.arrayContaining(names))
})

// The words.

const BOTH = [
  `version: 1
host: { manager: networkd, release: "24.11", resolved: false, interfaces: { eth0: { dhcp: true } }, nameservers: [9.9.9.9], listens: [{ name: httpd, port: 443 }], vlans: { lan: { id: 5, interface: eth1 } } }
nat: { enable: true, internalInterfaces: [br0], externalInterface: eth0, forwardPorts: [{ sourcePort: 80, destination: "10.0.0.2:80" }] }
bridges: { br0: { address: [10.0.0.1/24], stp: true }, old: { address: [10.5.0.1/24] } }
containers:
${on('web', 2)}${on('db', 3, 'autoStart: true, nameservers: [10.0.0.2], useHostResolvConf: false')}${on('job', 4, 'autoStart: false')}${on('gone', 5)}${on('a', 6)}${on('b', 7)}`,
  `version: 1
host: { manager: networkd, release: "24.11", resolved: false, interfaces: { eth0: { dhcp: true } }, nameservers: [1.1.1.1], listens: [{ name: httpd, port: 8443 }], vlans: { lan: { id: 6, interface: eth1 } } }
nat: { enable: true, internalInterfaces: [br0], externalInterface: eth0, forwardPorts: [{ sourcePort: 80, destination: "10.0.0.3:80" }] }
bridges: { br0: { address: [10.0.0.1/24] }, lan: { address: [10.5.0.1/24] } }
containers:
${on('web', 12)}${on('db', 3, 'autoStart: true, nameservers: [10.0.0.2], useHostResolvConf: false')}${on('job', 14, 'autoStart: false')}${on('new', 4)}${on('a', 6, 'autoStart: true, firewall: { allowedTCPPorts: [80] }')}${on('b', 7, 'autoStart: true, firewall: { allowedTCPPorts: [80] }')}`
] as const

test('the text says what to do first, then what restarts, then the rest', async () => {
  const change = await changed(...BOTH)
  expect(changeText(change, PLAIN)).toMatchInlineSnapshot(`
    "6 to be done by hand, 4 stopped or restarted, 5 without interruption, 6 interfaces with other
    addresses

    By hand

      the host
        containers copy /etc/resolv.conf only when they start
        host.nameservers: 9.9.9.9 -> 1.1.1.1
        asking the old servers until restarted by hand: container "job"
        $ systemctl try-restart container@job.service

      VLAN "lan"
        systemd-networkd cannot change this on an interface that exists, which stays as it is until the
        next boot, or until you run
        id: 5 -> 6
        $ ip link delete dev lan
        $ systemctl restart systemd-networkd.service

      bridge "br0"
        systemd-networkd does not set this on an interface that exists, which keeps what it has until
        the next boot, or until you run
        stp: true -> (none)
        $ ip link set dev br0 type bridge stp_state 0

      bridge "old"
        systemd-networkd deletes nothing: it stays, with its addresses, and what is for "lan" goes
        there, until the next boot, or until you run
        without network until it is deleted: bridge "lan"
        $ ip link delete dev old

      container "job"
        the switch restarts none without autoStart: it goes on as it was until you run
        localAddress: 10.0.0.4/24 -> 10.0.0.14/24
        $ systemctl try-restart container@job.service

      container "new"
        gets an address that its last owner keeps until restarted: until then two have it
        10.0.0.4: container job -> container new
        $ systemctl try-restart container@job.service

    Stopped or restarted

      2 containers: "a" and "b"
        stopped when the switch begins and started when it ends
        firewall.allowedTCPPorts: (none) -> 80

      container "gone"
        stopped by the switch; its files stay

      container "web"
        stopped when the switch begins and started when it ends
        localAddress: 10.0.0.2/24 -> 10.0.0.12/24
        without nameserver until it has started again: container "db"

    Without interruption

      the host
        set anew
        host.nameservers: 9.9.9.9 -> 1.1.1.1

      bridge "lan"
        new; made by the switch
        address: (none) -> 10.5.0.1/24

      systemd-networkd
        restarts, since a .netdev file or networkd.conf has changed; interfaces stay as they are
        meanwhile

      NAT
        reloaded with the firewall; connections that exist go on where they went until they end
        nat.forwardPorts: tcp 80 to 10.0.0.2:80 -> tcp 80 to 10.0.0.3:80

      container "new"
        new; started by the switch

    Addresses
      bridge "lan"            (none) -> 10.5.0.1/24
      bridge "old"            10.5.0.1/24 -> (none)
      container "gone", eth0  10.0.0.5/24 -> (none)
      container "job", eth0   10.0.0.4/24 -> 10.0.0.14/24
      container "new", eth0   (none) -> 10.0.0.4/24
      container "web", eth0   10.0.0.2/24 -> 10.0.0.12/24

    Who names an address that has changed hands
      containers.db.nameservers[0] still names 10.0.0.2, which nobody has any more; it was container
      "web", eth0, which has 10.0.0.12/24

    Ports of the host
      tcp 80    container "web" at 10.0.0.2:80 -> container "db" at 10.0.0.3:80
      tcp 443   httpd on the host -> (nobody)
      tcp 8443  (nobody) -> httpd on the host
    "
  `)
})

test('colour only marks, and nothing of a file acts on a terminal', async () => {
  const change = await changed(...BOTH)
  const wrap = (text: string): string => `\u001b[1m${text}\u001b[22m`
  const colours: Paint = { error: wrap, warning: wrap, hint: wrap, bold: wrap, dim: wrap }
  // oxlint-disable-next-line no-control-regex
  expect(changeText(change, colours).replace(/\u001b\[\d+m/g, '')).toBe(changeText(change, PLAIN))
  const evil = String.raw`"\u001b]0;x\u0007\u202e\n$(touch x)'; rm"`
  const hostile = await changed(
    `containers: { web: { flake: x, networkNamespace: /a, privateNetwork: true } }\n`,
    `bridges: { ${evil}: {} }\ncontainers: { web: { networkNamespace: ${evil} }, ${evil}: { autoStart: false } }\n`
  )
  for (const text of [changeText(hostile, PLAIN), changeJson(hostile)]) {
    expect(text).not.toMatch(/(?!\n)[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u)
    expect(text).toContain('touch x')
  }
  const { commands } = stepOf(hostile, 'container-added')
  expect(commands[0]).toMatch(/^systemctl start 'container@[\s\S]*'\\'';[\s\S]*'$/)
})

test('of many alike one is told, and of many different ones a few', async () => {
  const many = (router: number, shift: number): string =>
    `bridges: { br0: { address: [10.0.0.${router}/16] } }\ncontainers:\n${Array.from(
      { length: 300 },
      (_, i) =>
        `  c${i}: { autoStart: ${i % 2 === 0}, privateNetwork: true, hostBridge: br0, localAddress: 10.0.${1 + (i >> 7)}.${1 + (i & 127) + shift}/16, defaultGateway: { address: 10.0.0.${router}, interface: eth0 } }\n`
    ).join('')}`
  const alike = changeText(await changed(many(1, 0), many(2, 0)), PLAIN)
  expect(alike).toContain('150 containers: "c0", "c10", "c100"')
  expect(alike.match(/defaultGateway: 10\.0\.0\.1 on eth0 -> 10\.0\.0\.2 on eth0/g)).toHaveLength(2)
  expect(alike).toContain('300 places follow: ')
  expect(alike.split('\n').length).toBeLessThan(50)
  const change = await changed(many(1, 0), many(1, 100))
  const different = changeText(change, PLAIN)
  expect(different).toContain('  … and 100 more (--all)')
  const all = changeText(change, PLAIN, { width: 100, all: true })
  for (let i = 0; i < 300; i += 1) expect(all).toContain(`container "c${i}"`)
  expect(all).not.toContain('--all')
  for (const line of different.split('\n')) expect(line.length).toBeLessThanOrEqual(100)
})

describe('docs/change-json.md', () => {
  const page = readFileSync(new URL('../docs/change-json.md', import.meta.url), 'utf8')
  const rows = Array.from(
    page.matchAll(/^\| `([^`]+)` \| ([^|]+) \| (.+) \|$/gm),
    ([, name = '', type = '', text = '']) => ({ name, type, text })
  )
  const fields = new Map(
    rows
      .filter(({ type }) => !Object.values(GRAVITY).some(gravity => gravity === type))
      .map(({ name, type }) => [name, type])
  )

  const TYPES: Readonly<Record<string, (value: unknown) => boolean>> = {
    text: value => typeof value === 'string',
    'text or null': value => typeof value === 'string' || value === null,
    number: Number.isInteger,
    object: value => typeof value === 'object' && value !== null && !Array.isArray(value),
    'object or null': value => typeof value === 'object' && !Array.isArray(value),
    list: value => Array.isArray(value) && value.every(item => typeof item === 'object'),
    'list of texts': value => Array.isArray(value) && value.every(item => typeof item === 'string')
  }

  /** The page says of two pairs of fields that they are alike. */
  const pathsOf = function* (value: unknown, path = ''): Generator<readonly [path: string, value: unknown]> {
    if (Array.isArray(value)) {
      for (const item of value) if (typeof item === 'object') yield* pathsOf(item, `${path}[]`)
    } else if (typeof value === 'object' && value !== null)
      for (const [key, inner] of Object.entries(value)) {
        const below = path === '' ? key : `${path}.${key}`
        yield [below, inner]
        yield* pathsOf(
          inner,
          below
            .replace(/^references\[\]\.now$/, 'references[].was')
            .replace(/^ports\[\]\.after$/, 'ports[].before')
        )
      }
  }

  test('has every field with its type, and no other', async () => {
    const value: unknown = JSON.parse(changeJson(await changed(...BOTH)))
    const seen = new Set<string>()
    for (const [path, inner] of pathsOf(value)) {
      seen.add(path)
      expect([path, fields.get(path), TYPES[fields.get(path) ?? '']?.(inner)]).toEqual([
        path,
        expect.any(String),
        true
      ])
    }
    expect([...seen].sort()).toEqual([...fields.keys()].sort())
  })

  test('has every effect with its gravity, and every word', () => {
    const effects = rows.filter(({ type }) => Object.values(GRAVITY).some(gravity => gravity === type))
    expect(Object.fromEntries(effects.map(({ name, type }) => [name, type]))).toEqual(GRAVITY)
    for (const word of [
      'moment',
      'started',
      'restarted',
      'deleted',
      'gone',
      'left',
      'follows',
      'maker',
      'network-setup',
      'port',
      'listen',
      'shared',
      'nat',
      'nspawn'
    ])
      expect(page).toContain(`\`${word}\``)
  })

  test.each(goldens)('has the type of each field: $name', async ({ topology }) => {
    const change = changeOf(await planOf('version: 1\n'), await planOf(topology))
    for (const [path, inner] of pathsOf(JSON.parse(changeJson(change))))
      expect([path, TYPES[fields.get(path) ?? '']?.(inner)]).toEqual([path, true])
  })
})

test('20,000 containers that all change take no longer than a few thousand squared would', async () => {
  const many = (router: number, shift: number): Promise<Plan> =>
    planOf(
      `version: 1\nbridges: { br0: { address: [10.0.0.${router}/8] } }\ncontainers:\n${Array.from(
        { length: 20_000 },
        (_, i) =>
          `  c${i}: { autoStart: true, privateNetwork: true, hostBridge: br0, localAddress: 10.${1 + (i >> 14)}.${(i >> 6) & 255}.${1 + ((i + shift) & 63)}/8, defaultGateway: { address: 10.0.0.${router}, interface: eth0 }, nameservers: [10.1.0.${1 + (i & 63)}] }\n`
      ).join('')}`
    )
  const [before, after] = [await many(1, 0), await many(2, 1)]
  const start = performance.now()
  const change = changeOf(before, after)
  expect(performance.now() - start).toBeLessThan(15_000)
  expect(change.steps.filter(({ effect }) => effect === 'container-restarted')).toHaveLength(20_000)
  expect(change.addresses).toHaveLength(20_001)
})

// What is said of systemd-networkd, asked of itself: what runs after a change, with what is advised, is what would be there
// had it never been otherwise.

describe.skipIf(withoutNetworkd())('systemd-networkd', () => {
  const host = (release: string, bridges: string): string => `version: 1
host: { manager: networkd, release: "${release}", useDHCP: false, interfaces: { eth9: { address: [10.9.0.1/24] } } }
bridges:
${bridges}`
  const OLD = `  mac: { address: [10.1.0.1/24] }
  stp-on: { address: [10.2.0.1/24] }
  stp-off: { address: [10.3.0.1/24], stp: true }
  moves: { address: [10.4.0.1/24, 10.4.0.9/24, "fd12:4::1/64"] }
  gone: { address: [10.5.0.1/24, "fd12:5::1/64"] }
  before: { address: [10.6.0.1/24] }
  ports: { address: [10.7.0.1/24], interfaces: [eth1, eth2, eth3] }
`
  const NEW = `  mac: { address: [10.1.0.1/24], macAddress: "02:00:00:00:00:05" }
  stp-on: { address: [10.2.0.1/24], stp: true }
  stp-off: { address: [10.3.0.1/24] }
  moves: { address: [10.4.0.2/24, 10.4.0.9/24, "fd12:4::2/64"] }
  after: { address: [10.6.0.1/24] }
  ports: { address: [10.7.0.1/24], interfaces: [eth2] }
  other: { address: [10.8.0.1/24], interfaces: [eth3] }
`
  const unitsFor = async (text: string): Promise<Record<string, string>> =>
    Object.fromEntries(networkd.emit(await planOf(text), 'a test').map(({ path, text }) => [path, text]))

  const files = (units: Readonly<Record<string, string>>): string =>
    Object.entries(units)
      .map(([file, text]) => `cat > '/run/systemd/network/${file}' <<'END'\n${text.trim()}\nEND`)
      .join('\n')

  const RESTART = `
for process in /proc/[0-9]*; do case $(readlink $process/exe) in */systemd-networkd) N=$(readlink $process/exe); kill \${process#/proc/}; P=$process; esac; done
while [ -e $P/exe ] && [ -n "$(readlink $P/exe)" ]; do sleep 0.05; done
start() { env -i SYSTEMD_LOG_LEVEL=info SYSTEMD_LOG_TARGET=console SYSTEMD_LOG_COLOR=0 $N 2>>/run/log & sleep 1.5; }`
  const STATE = `for bridge in mac stp-on stp-off moves gone before after ports other; do echo "$bridge $(cat /sys/class/net/$bridge/bridge/stp_state 2>/dev/null)"; done
echo "mac $(cat /sys/class/net/mac/address)"; ip route get 10.6.0.7 | sed -n 's/.* dev \\([^ ]*\\) .*/route \\1/p'; echo "version $($N --version | sed -n '1s/systemd \\([0-9]*\\).*/\\1/p')"`
  const CARDS = ['eth1', 'eth2', 'eth3', 'vb-web']

  /** What is there after a change from one to the other, and what was advised has been done. */
  const after = async (release: string, commands: readonly string[]): Promise<Seen> => {
    const verdict = await askNetworkd({
      units: await unitsFor(host(release, OLD)),
      pairs: CARDS,
      seconds: 1.5,
      after: `ip link set vb-web master moves up
${RESTART}
rm /run/systemd/network/*
${files(await unitsFor(host(release, NEW)))}
start
${commands.join('\n')}
${STATE}`
    })
    return seenIn(verdict)
  }

  interface Seen {
    readonly addresses: Readonly<Record<string, readonly string[]>>
    readonly masters: Readonly<Record<string, string | undefined>>
    readonly said: Readonly<Record<string, string>>
    readonly version: number
  }

  const seenIn = ({ addresses, masters, said }: Awaited<ReturnType<typeof askNetworkd>>): Seen => {
    const words = new Map(
      said
        .trim()
        .split('\n')
        .map(line => [line.replace(/ [^ ]*$/, ''), line.split(' ').at(-1) ?? ''])
    )
    const version = Number(words.get('version'))
    words.delete('version')
    return {
      addresses: Object.fromEntries(
        Object.entries(addresses)
          .filter(([name, list]) => list.length > 0 && name !== 'lo')
          .map(([name, list]) => [name, [...list].sort()])
      ),
      masters: Object.fromEntries(CARDS.map(name => [name, masters[name]])),
      said: Object.fromEntries(words),
      version
    }
  }

  test('ends, with what is advised, where it would have begun', async () => {
    // Which release is asked about is known only when networkd has said its version.
    const { version } = await after('25.11', [])
    const release = version < 257 ? '24.11' : '25.11'
    const change = await changed(host(release, OLD), host(release, NEW))
    const commands = change.steps.flatMap(step => step.commands)
    expect(commands.every(command => command.startsWith('ip '))).toBe(true)
    expect(told(change).filter(step => !step.startsWith('live'))).toEqual([
      'by-hand bridge-in-the-way bridge before',
      'by-hand bridge-left bridge gone',
      ...(version < 257 ? ['by-hand netdev-kept bridge mac', 'by-hand addresses-left bridge moves'] : []),
      'by-hand port-stays bridge ports',
      'by-hand netdev-kept bridge stp-off'
    ])

    const without = await after(release, [])
    expect(without.said).toMatchObject({ 'stp-on': '1', 'stp-off': '1', route: 'before' })
    expect(without.said['mac'] === '02:00:00:00:00:05').toBe(version >= 257)
    expect(without.addresses).toMatchObject({
      gone: ['10.5.0.1/24', 'fd12:5::1/64'],
      before: ['10.6.0.1/24'],
      after: ['10.6.0.1/24'],
      moves:
        version < 257
          ? ['10.4.0.1/24', '10.4.0.2/24', '10.4.0.9/24', 'fd12:4::1/64', 'fd12:4::2/64']
          : ['10.4.0.2/24', '10.4.0.9/24', 'fd12:4::2/64']
    })
    // The container's end stays in the bridge; of the ports one moves, and one stays that should not.
    expect(without.masters).toEqual({ eth1: 'ports', eth2: 'ports', eth3: 'other', 'vb-web': 'moves' })

    const done = await after(release, commands)
    const fresh = seenIn(
      await askNetworkd({
        units: await unitsFor(host(release, NEW)),
        pairs: CARDS,
        seconds: 1.5,
        after: `ip link set vb-web master moves up; N=$(for process in /proc/[0-9]*; do readlink $process/exe; done | grep systemd-networkd)\n${STATE}`
      })
    )
    expect(done).toEqual(fresh)
    expect(done.said).toMatchObject({ mac: '02:00:00:00:00:05', 'stp-off': '0', route: 'after' })
  })

  test('leaves a bridge in the way of a card that was a port of it and gets its address', async () => {
    const bridge = {
      '20-br0.netdev': '[NetDev]\nName=br0\nKind=bridge',
      '30-eth1.network': '[Match]\nName=eth1\n[Network]\nBridge=br0',
      '40-br0.network': '[Match]\nName=br0\n[Network]\nAddress=10.1.0.1/24\nAddress=fd12:1::1/64'
    }
    const card = {
      '30-eth1.network': '[Match]\nName=eth1\n[Network]\nAddress=10.1.0.1/24\nAddress=fd12:1::1/64'
    }
    const route = `for to in 10.1.0.7 fd12:1::7; do ip route get $to | sed -n 's/.* dev \\([^ ]*\\) .*/\\1/p'; done`
    const old =
      'host: { manager: networkd, release: "25.11", useDHCP: false }\nbridges: { br0: { interfaces: [eth1], address: [10.1.0.1/24, "fd12:1::1/64"] } }\n'
    const next =
      'host: { manager: networkd, release: "25.11", useDHCP: false, interfaces: { eth1: { address: [10.1.0.1/24, "fd12:1::1/64"] } } }\n'
    const { commands } = stepOf(await changed(old, next), 'bridge-in-the-way')
    const { said, masters, addresses } = await askNetworkd({
      units: bridge,
      pairs: ['eth1'],
      seconds: 1.5,
      after: `${RESTART}\nrm /run/systemd/network/*\n${files(card)}\nstart\n${route}\n${commands.join('\n')}\n${route}`
    })
    expect(said.trim().split('\n')).toEqual(['br0', 'br0', 'eth1', 'eth1'])
    expect(masters['eth1']).toBeUndefined()
    expect(addresses['eth1']?.toSorted()).toEqual(['10.1.0.1/24', 'fd12:1::1/64'])
  })
})

// What is said of connections that exist.

describe.skipIf(absent(['ip', 'iptables', 'ip6tables', 'nft', 'nsenter']))('a forward that moves', () => {
  const node = process.execPath
  const SETUP = `
echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
for name in far web db; do ip netns add $name; ip -n $name link set lo up; done
link() { # name, interface of the host, its address, the other's
  ip link add $2 type veth peer name eth0 netns $1; ip link set $2 up; ip -n $1 link set eth0 up
  ip addr add 10.$3.1/24 dev $2; ip -n $1 addr add 10.$3.2/24 dev eth0; ip -n $1 route add default via 10.$3.1
  ip addr add fd12:$4::1/64 dev $2 nodad; ip -n $1 addr add fd12:$4::2/64 dev eth0 nodad; ip -n $1 -6 route add default via fd12:$4::1
}
link far eth0 0.0 0; link web ve-web 1.0 1; link db ve-db 2.0 2
serve() { nsenter --net=/run/netns/$1 ${node} -e 'require("net").createServer(s => s.on("data", () => s.write(process.argv[1]))).listen(80, "::")' $1 & }
serve web; serve db
`
  /** A client that asks, waits for the rules to change, asks again, and then comes anew. */
  const CLIENT = `const net = require("net"), fs = require("fs"); const [host] = process.argv.slice(1)
const said = []; const open = () => new Promise(ok => { const s = net.connect(8080, host, () => ok(s)); s.on("error", () => setTimeout(() => open().then(ok), 100)) })
const ask = s => new Promise(ok => { s.once("data", data => { said.push(String(data)); ok() }); s.write("x") })
;(async () => { const first = await open(); await ask(first); fs.writeFileSync("/run/asked", ""); while (!fs.existsSync("/run/moved")) await new Promise(ok => setTimeout(ok, 20))
await ask(first); await ask(await open()); console.log(said.join(" ")); process.exit() })()`

  const script = (host: string, rules: (to: string) => string): string => `${SETUP}
${rules('web')}
nsenter --net=/run/netns/far timeout 20 ${node} -e '${CLIENT}' ${host} > /run/answer & C=$!
for i in $(seq 200); do [ -e /run/asked ] && break; sleep 0.05; done
${rules('db')}
touch /run/moved; wait $C; cat /run/answer`

  const addressOf = (family: 4 | 6, name: string): string =>
    family === 4 ? `10.${name === 'web' ? 1 : 2}.0.2` : `fd12:${name === 'web' ? 1 : 2}::2`

  test.each([
    ['iptables', 4],
    ['iptables', 6],
    ['nftables', 4],
    ['nftables', 6]
  ] as const)('%s, IPv%i: connections that exist go on where they went', async (backend, family) => {
    const to = (name: string): string =>
      family === 4 ? `${addressOf(4, name)}:80` : `[${addressOf(6, name)}]:80`
    const tool = family === 4 ? 'iptables' : 'ip6tables'
    const rules = (name: string): string =>
      backend === 'iptables'
        ? `${tool} -w -t nat -F PREROUTING; ${tool} -w -t nat -A PREROUTING -i eth0 -p tcp --dport 8080 -j DNAT --to-destination ${to(name)}`
        : `nft -f - <<'END'
table ${family === 4 ? 'ip' : 'ip6'} nixos-nat
delete table ${family === 4 ? 'ip' : 'ip6'} nixos-nat
table ${family === 4 ? 'ip' : 'ip6'} nixos-nat {
  chain pre {
    type nat hook prerouting priority dstnat; policy accept
    iifname "eth0" tcp dport 8080 dnat to ${to(name)}
  }
}
END`
    const { text } = await inNamespace(script(family === 4 ? '10.0.0.1' : 'fd12:0::1', rules))
    expect(text.trim().split('\n').at(-1)).toBe('web web db')
  })
})
