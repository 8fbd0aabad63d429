import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { analyze, type Container, type Plan } from '../src/index.ts'
import { formatAddr, width } from '../src/net/addr.ts'
import { formatPrefix, type Prefix } from '../src/net/prefix.ts'
import { dhcpServices, pool, servedByHost, unserved } from '../src/plan/dhcp.ts'
import { leavesByHost, uplinks } from '../src/plan/egress.ts'
import { failuresOf, isElsewhere, isPrograms, refusedValue } from '../src/plan/failures.ts'
import { forwardsHost } from '../src/plan/forwarding.ts'
import { defaultRoutes } from '../src/plan/gateways.ts'
import { clearsName, deletedLinks } from '../src/plan/links.ts'
import { internalNames, isMadeLater, nameMatcher, translatedByHand } from '../src/plan/nat.ts'
import { FAMILIES } from '../src/plan/plan.ts'
import { type Machine, worldOf } from '../src/reach/world.ts'
import { absent, inNamespace } from './judge.ts'

const planOf = async (text: string): Promise<Plan> => {
  const { plan, report } = await analyze({ file: 'topology.yaml', text })
  if (plan === undefined) throw new Error(JSON.stringify(report.findings))
  return plan
}

const example = (name: string): string =>
  readFileSync(new URL(`../examples/${name}`, import.meta.url), 'utf8')

/** Every way in which a container gets an interface from its own options, in both families. */
const MIXED = `
version: 1
bridges:
  br-apps: { address: [192.168.10.1/28, "fd12:3456:789a:10::1/64"] }
  br-db: {}
containers:
  app:
    privateNetwork: true
    hostBridge: br-apps
    hostAddress: 192.168.10.1
    localAddress: 192.168.10.2/28
    localAddress6: fd12:3456:789a:10::2/64
    defaultGateway6: { address: "fd12:3456:789a:10::1", interface: eth0 }
    extraVeths:
      ve-app-db: { hostBridge: br-db, localAddress: 10.5.0.1/24 }
  a-very-long-container-name:
    privateNetwork: true
    hostAddress: 192.168.20.1
    localAddress: 192.168.20.2
    hostAddress6: fd12:3456:789a:20::1
    localAddress6: fd12:3456:789a:20::2
    extraVeths:
      ve-extra: { hostAddress: 172.28.1.1, localAddress: 172.28.1.2 }
  twin:
    privateNetwork: true
    hostAddress: 192.168.20.1
    localAddress: 192.168.20.3
    routes: [{ address: 10.9.0.0/16, via: 192.168.20.1, interface: eth0 }]
`

const destination = (prefix: Prefix): string =>
  prefix.bits === 0
    ? 'default'
    : prefix.bits === width(prefix.family)
      ? formatAddr(prefix)
      : formatPrefix(prefix)

const rowsOf = ({ routes }: Machine): string[] =>
  FAMILIES.flatMap(family =>
    Array.from(
      routes[family].values(),
      ({ destination: to, via, interface: { name } }) =>
        `${family} ${destination(to)}${via === undefined ? '' : ` via ${formatAddr(via)}`} dev ${name}`
    )
  )

/** The commands of systemd-nspawn and of nixos-containers.nix for a plan, the host being the namespace itself. */
const commands = ({ topology, links, bridges }: Plan): string[] => {
  const script: string[] = []
  const add = (on: string, address: string | undefined, dev: string): void => {
    if (address !== undefined)
      script.push(`${on} addr add ${address} dev ${dev} ${address.includes(':') ? 'nodad' : ''}`)
  }
  for (const { bridge } of bridges.values()) {
    script.push(`ip link add ${bridge.name} type bridge`, `ip link set ${bridge.name} up`)
    for (const { text } of bridge.addresses) add('ip', text, bridge.name)
  }
  topology.containers.forEach((_, i) => script.push(`ip netns add c${i}`))
  for (const { node, veth, hostIfname } of links) {
    if (veth === undefined) continue
    const c = `c${topology.containers.indexOf(node as Container)}`
    const inside = `ip -n ${c}`
    script.push(
      `ip link add ${hostIfname} type veth peer name ${veth.ifname} netns ${c}`,
      `${inside} link set ${veth.ifname} up`
    )
    add(inside, veth.localAddress?.text, veth.ifname)
    add(inside, veth.localAddress6?.text, veth.ifname)
    for (const { text } of [veth.hostAddress, veth.hostAddress6].filter(address => address !== undefined)) {
      script.push(`${inside} route add ${text} dev ${veth.ifname}`)
      if (!veth.extra) script.push(`${inside} route add default via ${text}`)
    }
    script.push(`ip link set ${hostIfname} up`)
    if (veth.hostBridge !== undefined) script.push(`ip link set ${hostIfname} master ${veth.hostBridge}`)
    else {
      add('ip', veth.hostAddress?.text, hostIfname)
      add('ip', veth.hostAddress6?.text, hostIfname)
      for (const { text } of [veth.localAddress, veth.localAddress6].filter(address => address !== undefined))
        script.push(`ip route add ${text} dev ${hostIfname}`)
    }
  }
  topology.containers.forEach(({ defaultGateway, defaultGateway6, routes }, i) => {
    for (const gateway of [defaultGateway, defaultGateway6]) {
      if (gateway === undefined) continue
      const { text } = gateway.address
      const dev = gateway.interface === undefined ? '' : `dev ${gateway.interface}`
      if (dev !== '') script.push(`ip -n c${i} route replace ${text} ${dev}`)
      script.push(`ip -n c${i} route replace default via ${text} ${dev}`)
    }
    for (const { destination, via, interface: dev } of routes)
      script.push(`ip -n c${i} route add ${destination.text} via ${via?.text} dev ${dev}`)
  })
  return script
}

interface KernelRoute {
  readonly dst: string
  readonly gateway?: string
  readonly dev: string
}

/** Asks the kernel for the main tables after all commands: of the host first, then of each container. */
const kernelTables = async (plan: Plan): Promise<string[][]> => {
  const tables = ['ip', ...plan.topology.containers.map((_, i) => `ip -n c${i}`)]
  const asked = tables.flatMap(ip => [
    `${ip} -4 -j route show table main`,
    `echo ==`,
    `${ip} -6 -j route show table main`,
    `echo ==`
  ])
  const { text, ok } = await inNamespace(['set -e', ...commands(plan), 'echo ==', ...asked].join('\n'))
  if (!ok) throw new Error(text)
  const answers = text
    .split('==\n')
    .slice(1, -1)
    .map(json => JSON.parse(json.trim() || '[]') as KernelRoute[])
  return tables.map((_, i) =>
    [4, 6].flatMap((family, j) =>
      (answers[i * 2 + j] ?? [])
        .filter(({ dst }) => !dst.startsWith('fe80:') && !dst.startsWith('ff00:'))
        .map(
          ({ dst, gateway, dev }) =>
            `${family} ${dst}${gateway === undefined ? '' : ` via ${gateway}`} dev ${dev}`
        )
    )
  )
}

describe('the routes of the prediction are those that the kernel has after the commands of NixOS', () => {
  test.skipIf(absent(['ip'])).each([
    ['two containers on a bridge', example('two-containers.yaml')],
    ['a veth pair', example('veth-pair-nat.yaml')],
    ['every kind of link', MIXED]
  ])('%s', async (_, text) => {
    const plan = await planOf(text)
    // The uplink is not made here.
    const isOurs = (line: string): boolean =>
      !plan.topology.host.interfaces.some(({ name }) => line.endsWith(`dev ${name}`))
    const world = worldOf(plan)
    const planned = [
      world.host,
      ...plan.topology.containers.map(({ name }) => world.machineAt({ kind: 'container', name }))
    ].map(machine => (machine === undefined ? [] : rowsOf(machine).filter(isOurs)))
    const real = await kernelTables(plan)
    expect(planned.map(rows => rows.sort())).toEqual(real.map(rows => rows.sort()))
    expect(planned.flat().length).toBeGreaterThan(5)
  })
})

test('the plan of two bridged containers', async () => {
  const plan = await planOf(example('two-containers.yaml'))
  const [subnet] = plan.bridges.get('br0')?.subnets ?? []
  expect(subnet).toMatchObject({ usable: 6n, needed: 3n })
  expect(plan.links.map(({ ifname, hostIfname, bridgeName }) => [ifname, hostIfname, bridgeName])).toEqual([
    ['eth0', 'vb-containerA', 'br0'],
    ['eth0', 'vb-containerB', 'br0']
  ])
  expect(plan.links.map(link => [plan.nat.covers(link, 4), plan.nat.covers(link, 6)])).toEqual([
    [true, true],
    [true, true]
  ])
  expect(plan.ports.map(({ protocol, from, kind }) => [protocol, from, kind])).toEqual([
    ['tcp', 22, 'listen']
  ])
})

test('who takes which port of the host', async () => {
  const plan = await planOf(`
version: 1
host: { listens: [{ name: dns, port: 53, protocol: udp, address: 127.0.0.1 }] }
nat:
  enable: true
  externalInterface: eth0
  internalInterfaces: [ve-web]
  forwardPorts: [{ sourcePort: "8000:8010", destination: "10.1.0.2:8000-8010" }]
containers:
  web:
    privateNetwork: true
    hostAddress: 10.1.0.1
    localAddress: 10.1.0.2
    forwardPorts: [{ hostPort: 2222, containerPort: 22 }]
  shared: { listens: [{ port: 3003 }] }
  private: { macvlans: [eth0], listens: [{ port: 3003 }] }
`)
  expect(plan.ports.map(({ kind, protocol, from, to }) => `${kind} ${protocol} ${from}-${to}`)).toEqual([
    'listen udp 53-53',
    'nat tcp 8000-8010',
    'nspawn tcp 2222-2222',
    'shared tcp 3003-3003'
  ])
})

test('the interfaces that flags of systemd-nspawn add', async () => {
  const plan = await planOf(`
version: 1
bridges: { br-lab: { address: [10.3.0.1/24] }, vz-cell: { address: [10.4.0.1/24] } }
containers:
  plain: { extraFlags: [--network-veth] }
  bridged: { extraFlags: [--network-veth, --network-bridge=br-lab] }
  zoned: { extraFlags: [--network-zone, cell] }
  lone: { extraFlags: [--network-bridge=br-far] }
  several:
    privateNetwork: true
    hostAddress: 10.5.0.1
    localAddress: 10.5.0.2
    extraFlags:
      - --network-veth
      - --network-veth-extra=ve-side:side --network-veth-extra=ve-same
      - --network-macvlan=enp5s0 --network-macvlan=enp6s0:lan --network-ipvlan=a-long-card-name
      - --network-interface=enp7s0 --network-interface=enp8s0:wan --port=tcp:80
    inside: { interfaces: { side: { address: [10.6.0.2/24] }, lan: { address: ["2001:db8:6::2/64"] } } }
`)
  expect(
    plan.links.map(({ node, kind, ifname, hostIfname, bridgeName, bridge, addresses }) =>
      [
        `${node.name}: ${kind} ${ifname} = ${hostIfname}`,
        ...(bridgeName === undefined ? [] : [`on ${bridgeName}${bridge === undefined ? ' (?)' : ''}`]),
        ...addresses.map(({ text }) => text)
      ].join(' ')
    )
  ).toEqual([
    'plain: veth host0 = ve-plain',
    'bridged: veth host0 = vb-bridged on br-lab',
    'zoned: veth host0 = vb-zoned on vz-cell',
    'lone: veth host0 = vb-lone on br-far (?)',
    'several: veth eth0 = ve-several 10.5.0.2',
    'several: veth side = ve-side 10.6.0.2/24',
    'several: veth ve-same = ve-same',
    'several: macvlan mv-enp5s0 = ',
    'several: macvlan lan =  2001:db8:6::2/64',
    'several: macvlan iv-a-long-cebT9 = ',
    'several: moved enp7s0 = ',
    'several: moved wan = '
  ])
})

test('an address that stands inside as well is one, with another prefix length it is two', async () => {
  const plan = await planOf(`
version: 1
containers:
  web:
    privateNetwork: true
    localAddress: 10.5.0.2/24
    localAddress6: fd5e:9a31:77c4::2/64
    inside:
      interfaces:
        eth0: { address: [10.5.0.2/24, 10.5.0.2/16, "fd5e:9a31:77c4::2/64", "fd5e:9a31:77c4::3/64"] }
`)
  expect(plan.links.flatMap(({ addresses }) => addresses.map(({ text }) => text))).toEqual([
    '10.5.0.2/24',
    'fd5e:9a31:77c4::2/64',
    '10.5.0.2/16',
    'fd5e:9a31:77c4::3/64'
  ])
})

test('who makes which interface of the host', async () => {
  const plan = await planOf(`
version: 1
host:
  interfaces: { enp1s0: { dhcp: true } }
  bonds: { bond0: { interfaces: [enp2s0, enp3s0] } }
  vlans: { lan.7: { id: 7, interface: bond0 } }
bridges: { br-lab: { address: [10.3.0.1/24] } }
containers:
  web:
    privateNetwork: true
    hostBridge: br-lab
    localAddress: 10.3.0.2/24
    macvlans: [enp1s0]
    extraVeths: { ve-side: { hostAddress: 10.6.0.1, localAddress: 10.6.0.2 } }
  off: { enabled: false, privateNetwork: true, localAddress: 10.3.0.3/24 }
vms:
  old: { kind: libvirt, interfaces: { vm-old: { hostBridge: br-lab, address: [10.3.0.4/24] } } }
  gone: { enabled: false, kind: libvirt, interfaces: { vm-gone: { hostBridge: br-lab } } }
`)
  expect(
    Array.from(plan.hostInterfaces(), ([name, { kind, owner }]) => `${name}: ${kind}, ${owner}`)
  ).toEqual([
    'enp1s0: interface, host interface "enp1s0"',
    'bond0: bond, bond "bond0"',
    'lan.7: vlan, VLAN "lan.7"',
    'br-lab: bridge, bridge "br-lab"',
    'vb-web: veth, container "web"',
    've-side: extra-veth, container "web"',
    'vm-old: tap, machine "old"'
  ])
})

test('who starts last deletes what has the name of its end', async () => {
  const plan = await planOf(`
version: 1
containers:
  first:
    privateNetwork: true
    extraVeths:
      ve-own: { hostAddress: 10.7.0.1, localAddress: 10.7.0.2 }
      ve-own6: { hostAddress6: "fd5e:7::1", localAddress6: "fd5e:7::2" }
      vb-bare: { hostBridge: br-lab }
      ve-twin: { hostAddress: 10.7.1.1, localAddress: 10.7.1.2 }
  own: { privateNetwork: true, localAddress: 10.8.0.2 }
  own6: { privateNetwork: true, hostAddress6: "fd5e:8::1" }
  bare: { privateNetwork: true, hostBridge: br-lab }
  card: { macvlans: [enp1s0, enp2s0] }
  twin:
    privateNetwork: true
    extraVeths:
      ve-twin: { hostAddress: 10.7.2.1, localAddress: 10.7.2.2 }
      ve-last: { hostAddress: 10.7.3.1, localAddress: 10.7.3.2 }
bridges: { br-lab: { address: [10.3.0.1/24] } }
`)
  expect(Array.from(deletedLinks(plan), ({ node, ifname }) => `${ifname} of ${node.name}`)).toEqual([
    've-own of first',
    've-own6 of first',
    've-twin of first'
  ])
  expect(
    plan.links.filter(link => !clearsName(link)).map(({ ifname, node }) => `${ifname} of ${node.name}`)
  ).toEqual(['eth0 of bare', 'mv-enp1s0 of card', 'mv-enp2s0 of card'])
})

test.each([
  ['br0', true],
  ['br01', false],
  ['ve-web', true],
  ['ve-web-2', true],
  ['ve-we', false],
  ['lab+', false],
  ['', false]
])('the names br0, ve-web+ and lab* take %j: %s', (name, taken) => {
  expect(nameMatcher(['br0', 've-web+', 'lab*'], '+')(name)).toBe(taken)
})

test.each([
  ['lo', true],
  ['tun0', true],
  ['ts0', true],
  ['ip6tnl1', true],
  ['ipip0', false],
  ['br-0123456789ab', true],
  ['br-0123456789abc', false],
  ['br-lab', false],
  ['wlp2s0ap', true],
  ['wl1guestap', true],
  ['wlp2s0', false],
  ['lounge', false],
  ['my-tun', false],
  ['enp1s0', false]
])('%s is made by a program: %s', (name, made) => {
  expect(isMadeLater(name)).toBe(made)
})

test('the sources that the commands of the firewall translate', async () => {
  const { topology } = await planOf(`
version: 1
host:
  firewall:
    extraCommands: |
      iptables -t nat -A POSTROUTING -s 10.1.0.0/16 -j MASQUERADE
      ip6tables -t nat -A POSTROUTING --source fd5e:1::/64 -o enp1s0 -j SNAT --to-source 2001:db8::5
      iptables -w -t nat -A POSTROUTING \\
        --src 10.2.0.7 ! -d 10.0.0.0/8 -j SNAT --to-source 203.0.113.5
      nft add rule inet filters post ip saddr 10.3.0.0/24 oifname enp1s0 masquerade
      nft add rule ip6 filters post ip6 daddr != fd00::/8 ip6 saddr fd5e:3::/64 snat to 2001:db8::5
      # iptables -t nat -A POSTROUTING -s 10.8.0.0/16 -j MASQUERADE
      iptables -t nat -A POSTROUTING -s 10.9.0.0/16 -d 192.168.7.9 -j MASQUERADE
      ip6tables -t nat -A POSTROUTING -s fd5e:9::/64 --destination fd5e:8::9 -j MASQUERADE
      iptables -A nixos-fw -s 10.7.0.0/16 -j nixos-fw-accept
`)
  const of = (family: 4 | 6): readonly string[] => translatedByHand(topology.host, family).map(formatPrefix)
  expect(of(4)).toEqual(['10.1.0.0/16', '10.2.0.7/32', '10.3.0.0/24'])
  expect(of(6)).toEqual(['fd5e:1::/64', 'fd5e:3::/64'])
})

test.each([
  ['ip46tables -t nat -A POSTROUTING -o enp1s0 -j MASQUERADE', ['0.0.0.0/0', '::/0']],
  ['iptables -t nat -A POSTROUTING ! -s 10.1.0.0/16 -j MASQUERADE', ['0.0.0.0/0']],
  ['iptables -t nat -A POSTROUTING -s 10.1.0.0/16,10.2.0.0/16 -j MASQUERADE', ['0.0.0.0/0']]
])('of whom it is not known, everybody: %s', async (line, sources) => {
  const { topology } = await planOf(`{ version: 1, host: { firewall: { extraCommands: "${line}" } } }`)
  expect(
    ([4, 6] as const).flatMap(family => translatedByHand(topology.host, family)).map(formatPrefix)
  ).toEqual(sources)
})

test.each([
  ['nothing', '{}', []],
  ['NAT', 'nat: { enable: true }', [4]],
  ['NAT of both', 'nat: { enable: true, enableIPv6: true }', [4, 6]],
  ['NAT that is off', 'nat: { enable: false, enableIPv6: true }', []],
  ['a number', 'host: { sysctl: { net.ipv4.ip_forward: 1, net.ipv6.conf.all.forwarding: 2 } }', [4, 6]],
  ['a name with slashes', 'host: { sysctl: { net/ipv4/conf/all/forwarding: true } }', [4]],
  ['a text with a number', 'host: { sysctl: { net.ipv6.conf.all.forwarding: "1" } }', [6]],
  [
    'a word, which the kernel refuses',
    'host: { sysctl: { net.ipv4.ip_forward: "yes", net.ipv6.conf.all.forwarding: "true" } }',
    []
  ],
  [
    'zero',
    'host: { daemons: [docker], sysctl: { net.ipv4.ip_forward: 0, net.ipv6.conf.all.forwarding: false } }',
    []
  ],
  [
    'ip_forward after what NAT sets',
    'nat: { enable: true, enableIPv6: true }, host: { sysctl: { net.ipv4.ip_forward: 0, net.ipv6.conf.all.forwarding: 0 } }',
    [6]
  ],
  ["NAT's own key", 'nat: { enable: true }, host: { sysctl: { net.ipv4.conf.all.forwarding: 0 } }', [4]],
  [
    'of one interface',
    'host: { sysctl: { net.ipv4.conf.br0.forwarding: 1, net.ipv6.conf.br0.forwarding: 1 } }',
    []
  ],
  ['proxy ARP of a card', 'host: { interfaces: { eth0: { proxyARP: true } } }', [4]],
  ['proxy ARP of a bridge', 'bridges: { br0: {} }, host: { interfaces: { br0: { proxyARP: true } } }', [4]],
  ['docker', 'host: { daemons: [docker] }', [4]],
  ['tailscale', 'host: { daemons: [tailscale] }', []],
  ['a bridge that masquerades', 'bridges: { br0: { definedBy: networkd, IPMasquerade: ipv6 } }', [6]],
  ['one that only NixOS makes', 'bridges: { br0: { definedBy: scripted, IPMasquerade: both } }', []],
  ['a bridge that forwards', 'bridges: { br0: { definedBy: networkd, IPv4Forwarding: true } }', [4]],
  [
    'networkd.conf',
    'host: { networkd: { enable: true, config: { networkConfig: { IPv4Forwarding: true, IPv6Forwarding: "yes" } } } }',
    [4, 6]
  ],
  [
    'networkd.conf that says no',
    'host: { networkd: { enable: true, config: { networkConfig: { IPv4Forwarding: false } } } }',
    []
  ],
  [
    'networkd.conf before it knew',
    'host: { release: "24.05", networkd: { enable: true, config: { networkConfig: { IPv4Forwarding: true } } } }',
    []
  ],
  [
    'networkd.conf of nobody',
    'host: { networkd: { enable: false, config: { networkConfig: { IPv4Forwarding: true } } } }',
    []
  ]
])('whether the host forwards: %s', async (_, text, families) => {
  const plan = await planOf(text === '{}' ? 'version: 1' : `{ version: 1, ${text} }`)
  expect(FAMILIES.filter(family => forwardsHost(plan, family))).toEqual(families)
})

test.each([
  ['IPMasquerade: both', [4, 6]],
  ['IPMasquerade: ipv4', [4]],
  ['IPMasquerade: ipv6', [6]],
  ['IPMasquerade: "no"', []],
  ['IPMasquerade: "yes"', [4]],
  ['IPForward: "yes"', [4, 6]],
  ['IPForward: ipv6', [6]],
  ['IPForward: true', [4, 6]],
  ['IPv6Forwarding: true', [6]],
  ['IPv4Forwarding: "on", IPv6Forwarding: false', [4]]
])('whether a unit makes the host forward: %s', async (setting, families) => {
  const of = async (enable: boolean): Promise<readonly number[]> => {
    const plan = await planOf(
      `{ version: 1, host: { networkd: { enable: true, networks: { 10-x: { enable: ${String(enable)}, matchConfig: { Name: br0 }, networkConfig: { ${setting} } } } } } }`
    )
    return FAMILIES.filter(family => forwardsHost(plan, family))
  }
  expect(await of(true)).toEqual(families)
  expect(await of(false)).toEqual([])
})

describe('the names behind internalInterfaces', () => {
  const names = async (list: string, host = '', nat = ''): Promise<readonly string[]> =>
    internalNames(
      await planOf(`
version: 1
host: { firewall: { backend: nftables }, ${host} }
nat: { enable: true, externalInterface: enp1s0, internalInterfaces: ${list}, ${nat} }
bridges: { vlab: { address: [10.3.0.1/24] } }
containers:
  web: { privateNetwork: true, hostAddress: 10.5.0.1, localAddress: 10.5.0.2 }
  app: { privateNetwork: true, hostAddress: 10.6.0.1, localAddress: 10.6.0.2 }
  db: { privateNetwork: true, hostBridge: vlab, localAddress: 10.3.0.2/24 }
`)
    )

  test('a pattern is what it stands for, without the ports of bridges, and each is there once', async () => {
    expect(await names('[ve-web, "ve-*", "v*"]')).toEqual(['ve-web', 've-app', 'vlab'])
  })

  test('a pattern that nothing has yet, one for everything, and one of the other backend stay', async () => {
    expect(await names('["wg*", "*", "ve-+"]')).toEqual(['wg*', '*', 've-+'])
  })

  test('and so does each where the host is only known in part', async () => {
    expect(await names('["ve-*"]', 'partial: true')).toEqual(['ve-*'])
    expect(await names('["ve-*"]', '', 'partial: true')).toEqual(['ve-*'])
  })
})

test('without NAT there are no names', async () => {
  expect(internalNames(await planOf(MIXED))).toEqual([])
})

describe('what the DHCP server of networkd hands out (sd_dhcp_server_configure_pool)', () => {
  const poolOf = async (unit: string, bridge = '[10.81.0.1/24]'): Promise<string> => {
    const plan = await planOf(`
version: 1
host:
  networkd:
    enable: true
    networks:
      30-lab:
        matchConfig: { Name: br-lab }
        networkConfig: { DHCPServer: true }
        ${unit}
bridges: { br-lab: { address: ${bridge} } }
`)
    return Array.from(dhcpServices(plan), service => {
      const found = pool(service)
      const range = found === undefined ? 'unknown' : `${formatAddr(found.from)}-${formatAddr(found.to)}`
      return `${service.server.interface.name} ${service.server.program} ${range}${service.withheld ? ', not all' : ''}`
    }).join('; ')
  }

  test.each([
    ['', '10.81.0.0-10.81.0.255'],
    ['dhcpServerConfig: { PoolOffset: 100, PoolSize: 50 }', '10.81.0.100-10.81.0.149'],
    ['dhcpServerConfig: { PoolOffset: 100 }', '10.81.0.100-10.81.0.254'],
    ['dhcpServerConfig: { PoolSize: 20 }', '10.81.0.1-10.81.0.20'],
    ['dhcpServerConfig: { PoolOffset: 0, PoolSize: 0 }', '10.81.0.1-10.81.0.254'],
    ['dhcpServerConfig: { PoolOffset: 254 }', '10.81.0.254-10.81.0.254'],
    ['dhcpServerConfig: { PoolOffset: 10, PoolSize: 245 }', '10.81.0.10-10.81.0.254'],
    ['dhcpServerConfig: { PoolOffset: 10, PoolSize: 246 }', 'unknown, not all'],
    ['dhcpServerConfig: { PoolOffset: 255 }', 'unknown, not all'],
    ['dhcpServerConfig: { PoolOffset: half }', 'unknown, not all'],
    ['dhcpServerConfig: { PoolSize: half }', 'unknown, not all'],
    ['dhcpServerConfig: { PoolOffset: 100, ServerAddress: 10.81.0.9/24 }', 'unknown, not all'],
    ['dhcpServerConfig: { ServerAddress: 10.81.0.9/24 }', 'unknown, not all'],
    ['dhcpServerStaticLeases: [{ MACAddress: "02:00:00:00:81:05", Address: 10.81.0.5 }]', 'unknown, not all']
  ])('%s: %s', async (unit, range) => {
    expect(await poolOf(unit)).toBe(`br-lab networkd ${range}`)
  })

  test('of several addresses the first of IPv4 with a length, and none without one', async () => {
    const unit = 'dhcpServerConfig: { PoolOffset: 100, PoolSize: 50 }'
    expect(await poolOf(unit, '["fd5e:81::1/64", 10.82.0.1/24, 10.81.0.1/24]')).toBe(
      'br-lab networkd 10.82.0.100-10.82.0.149'
    )
    expect(await poolOf(unit, '["fd5e:81::1/64"]')).toBe('br-lab networkd unknown, not all')
  })

  test('a relay is none', async () => {
    expect(await poolOf('dhcpServerConfig: { RelayTarget: 10.99.0.1 }')).toBe('')
  })
})

test('the servers that are listed, and those of units beside them', async () => {
  const plan = await planOf(`
version: 1
host:
  networkd:
    enable: true
    networks:
      30-a: { matchConfig: { Name: br-a }, networkConfig: { DHCPServer: true }, dhcpServerConfig: { PoolOffset: 200 } }
      30-b: { matchConfig: { Name: "br-b br-c*" }, networkConfig: { DHCPServer: true } }
      30-d: { matchConfig: { Name: "!br-e" }, networkConfig: { DHCPServer: true } }
  dhcpServers:
    - { interface: br-a, program: kea, range: 10.1.0.90-10.1.0.50 }
    - { interface: br-a }
    - { interface: "lab*" }
    - { interface: br-f, program: networkd }
    - { interface: br-g, range: "fd5e:9::10-fd5e:9::20" }
bridges:
  br-a: { address: [10.1.0.1/24] }
  br-b: { address: [10.2.0.1/24, "fd5e:2::1/64"], dhcp: true }
  br-f: { address: [10.6.0.1/24] }
  br-g: { address: ["fd5e:9::1/64"], partial: true }
`)
  expect(
    Array.from(dhcpServices(plan), service => {
      const found = pool(service)
      const range = found === undefined ? 'unknown' : `${formatAddr(found.from)}-${formatAddr(found.to)}`
      return `${service.server.interface.name}: ${range}${service.complete ? ', complete' : ''}`
    })
  ).toEqual([
    'br-a: 10.1.0.50-10.1.0.90, complete',
    'br-a: 10.1.0.200-10.1.0.254, complete',
    'lab*: unknown',
    // What another unit withholds may be of this one.
    'br-f: unknown, complete',
    'br-g: fd5e:9::10-fd5e:9::20',
    'br-b: 10.2.0.0-10.2.0.255'
  ])
  const isServed = servedByHost(plan.topology.host)
  expect(['br-a', 'br-b', 'br-c7', 'lab3', 'br-f', 'br-d', 'my-lab'].filter(isServed)).toEqual([
    'br-a',
    'br-b',
    'br-c7',
    'lab3',
    'br-f'
  ])
})

describe('who asks for an address where nobody answers', () => {
  const asking = async (host: string, more = ''): Promise<readonly string[]> =>
    Array.from(
      unserved(
        await planOf(`
version: 1
host: { ${host} }
bridges:
  br-a: { address: [10.1.0.1/24] }
  br-out: { address: [10.2.0.1/24], interfaces: [enp9s0] }
  br-up: { dhcp: true }
containers:
  one: { privateNetwork: true, hostBridge: br-a, dhcp: true, inside: { interfaces: { eth0: { dhcp: true }, side: { dhcp: true } } }, extraVeths: { side: { hostBridge: br-a } } }
  two: { privateNetwork: true, hostBridge: br-out, dhcp: true }
  three: { privateNetwork: true, hostBridge: br-up, dhcp: true }
  four: { privateNetwork: true, hostBridge: br-none, dhcp: true }
  off: { enabled: false, privateNetwork: true, hostBridge: br-a, dhcp: true, inside: { interfaces: { eth0: { dhcp: true } } } }
  part: { partial: true, privateNetwork: true, hostBridge: br-a, dhcp: true, inside: { interfaces: { eth0: { dhcp: true } } } }
  six: { privateNetwork: true, hostAddress: 10.6.0.1, inside: { interfaces: { eth0: { dhcp: true }, lan: {} } } }
${more}
`)
      ),
      ({ container, link, others }) =>
        `${container.name} ${link.ifname}${others.length === 0 ? '' : ` (${others.map(({ node }) => node.name).join(' ')}?)`}`
    )

  test('on a bridge without a port, and on a pair', async () => {
    const part =
      '  part2: { privateNetwork: true, hostBridge: br-a, localAddress: 10.1.0.9/24, listens: [{ port: 80 }] }'
    expect(await asking('', part)).toEqual(['one eth0 (part2?)', 'one side (part2?)', 'six eth0'])
  })

  test('where networkd is, it serves pairs', async () => {
    expect(await asking('manager: networkd')).toEqual(['one eth0', 'one side'])
    expect(await asking('networkd: { enable: true }')).toEqual(['one eth0', 'one side'])
  })

  test('a member that is a machine, partial, or listens for it may answer', async () => {
    const on = 'privateNetwork: true, hostBridge: br-a'
    expect(
      await asking('', `  x: { ${on}, localAddress: 10.1.0.9/24, listens: [{ port: 67, protocol: udp }] }`)
    ).toEqual(['six eth0'])
    expect(await asking('', `  x: { ${on}, partial: true }`)).toEqual(['six eth0'])
    expect(
      await asking('', 'vms: { x: { kind: libvirt, interfaces: { vm-x: { hostBridge: br-a } } } }')
    ).toEqual(['six eth0'])
  })

  test('who asks on one link may answer on another, and not who asks there', async () => {
    const more = `  x: { privateNetwork: true, hostBridge: br-out, dhcp: true, extraVeths: { lan: { hostBridge: br-a, localAddress: 10.1.0.9/24 } } }
  y: { privateNetwork: true, hostBridge: br-a, inside: { interfaces: { eth0: { dhcp: true } } } }`
    expect(await asking('', more)).toEqual(
      ['one eth0 (x?)', 'one side (x?)', 'six eth0', 'y eth0 (x?)'].sort()
    )
  })

  test('none where the host serves: listed, by a service, or by a unit for who knows whom', async () => {
    expect(await asking('partial: true')).toEqual([])
    expect(await asking('listens: [{ port: 67, protocol: udp }]')).toEqual([])
    expect(await asking('listens: [{ port: 67, protocol: tcp }, { port: 53, protocol: udp }]')).toHaveLength(
      3
    )
    const unit = (match: string): string =>
      `networkd: { enable: true, networks: { 30-x: { ${match}, networkConfig: { DHCPServer: true } } } }`
    expect(await asking(unit('matchConfig: { Type: bridge }'))).toEqual([])
    expect(await asking(unit('matchConfig: { Name: "!br-z !br-y" }'))).toEqual([])
    expect(await asking(unit('matchConfig: { Name: br-z }'))).toHaveLength(2)
  })
})

describe('which interfaces lead outside', () => {
  const found = async (host: string): Promise<readonly string[]> =>
    uplinks(
      await planOf(`
version: 1
host:
  interfaces:
    enp1s0: { address: [198.51.100.5/24, "2001:db8:1::5/64"] }
    enp2s0: { address: [10.9.0.5/24] }
    enp3s0: { dhcp: true }
    enp4s0: { dhcp: true }
    enp5s0: { address: [203.0.113.5] }
  ${host}
bridges:
  br-wan: { dhcp: true, interfaces: [enp4s0] }
  br-lan: { address: [192.168.9.1/24, "fd5e:9::1/64"] }
`)
    )

  test.each([
    ['', ['enp3s0', 'br-wan']],
    ['defaultGateway: 198.51.100.1', ['enp1s0', 'enp3s0', 'br-wan']],
    ['defaultGateway6: "2001:db8:1::1"', ['enp1s0', 'enp3s0', 'br-wan']],
    ['defaultGateway6: { address: "fe80::1", interface: br-lan }', ['enp3s0', 'br-wan', 'br-lan']],
    ['defaultGateway: { address: 198.51.100.1, interface: enp2s0 }', ['enp2s0', 'enp3s0', 'br-wan']],
    ['defaultGateway: 192.168.9.254', ['enp3s0', 'br-wan', 'br-lan']],
    ['defaultGateway: 203.0.113.5', ['enp3s0', 'br-wan']],
    ['bonds: { bond0: { interfaces: [enp3s0] } }', ['br-wan']]
  ])('%s', async (host, names) => {
    expect(await found(host)).toEqual(names)
  })
})

describe('the default routes of a container', () => {
  const routes = async (container: string): Promise<readonly string[]> => {
    const plan = await planOf(`
version: 1
bridges: { br-lan: { address: [10.3.0.1/24], interfaces: [enp1s0] }, br-in: { address: [10.4.0.1/24] } }
containers: { web: { ${container} } }
`)
    const [web] = plan.topology.containers
    if (web === undefined) throw new Error('no container')
    return ([4, 6] as const).flatMap(family =>
      defaultRoutes(plan, web, family).map(
        ({ source, via }) => `${family} ${source}${via === undefined ? '' : ` ${via.text}`}`
      )
    )
  }

  test.each([
    [
      'privateNetwork: true, hostAddress: 10.5.0.1, hostAddress6: "fd5e:5::1"',
      ['4 hostAddress 10.5.0.1', '6 hostAddress fd5e:5::1']
    ],
    ['hostAddress: 10.5.0.1', []],
    [
      'privateNetwork: true, hostBridge: br-in, defaultGateway: 10.4.0.1, defaultGateway6: "fe80::1"',
      ['4 defaultGateway 10.4.0.1', '6 defaultGateway fe80::1']
    ],
    [
      'privateNetwork: true, hostBridge: br-in, routes: [{ address: 0.0.0.0/0, via: 10.4.0.1 }, { address: 10.0.0.0/8, via: 10.4.0.1 }, { address: "::/0", via: "fe80::2" }]',
      ['4 route 10.4.0.1', '6 route fe80::2']
    ],
    [
      'privateNetwork: true, hostBridge: br-in, inside: { interfaces: { eth0: { dhcp: true, routes: [{ address: 0.0.0.0/0, via: 10.4.0.9 }] } } }',
      ['4 route 10.4.0.9', '4 dhcp']
    ],
    ['privateNetwork: true, hostBridge: br-in, dhcp: true', ['4 dhcp']],
    ['privateNetwork: true, hostBridge: br-in, acceptRA: true', ['6 advertisement']],
    [
      'privateNetwork: true, hostBridge: br-in, inside: { interfaces: { eth0: { acceptRA: true } } }',
      ['6 advertisement']
    ],
    ['privateNetwork: true, hostBridge: br-lan', ['6 advertisement']],
    ['macvlans: [enp2s0]', ['6 advertisement']],
    ['interfaces: [enp2s0]', ['6 advertisement']],
    ['macvlans: [enp2s0], acceptRA: false', []],
    ['macvlans: [enp2s0], inside: { interfaces: { mv-enp2s0: { acceptRA: false } } }', []],
    [
      'macvlans: [enp2s0, enp3s0], inside: { interfaces: { mv-enp2s0: { acceptRA: false } } }',
      ['6 advertisement']
    ]
  ])('%s', async (container, expected) => {
    expect(await routes(container)).toEqual(expected)
  })
})

describe('whose packets for the internet the host would have to translate', () => {
  const leaving = async (container: string, more = ''): Promise<readonly string[]> => {
    const plan = await planOf(`
version: 1
bridges:
  br-in: { address: [10.4.0.1/24, "fd5e:4::1/64"], virtualAddresses: [10.4.0.254] }
  br-out: { address: [10.3.0.1/24], interfaces: [enp1s0] }
  br-part: { address: [10.5.0.1/24], partial: true }
containers:
  web: { privateNetwork: true, ${container} }
  router: { privateNetwork: true, hostBridge: br-in, localAddress: 10.4.0.9/24, internet: false }
${more}
`)
    return plan.links.flatMap(link =>
      ([4, 6] as const)
        .filter(family => leavesByHost(plan, link, family))
        .map(family => `${link.ifname} of ${link.node.name} ${family}`)
    )
  }
  const ON = 'hostBridge: br-in, localAddress: 10.4.0.2/24'

  test.each([
    ['hostAddress: 10.6.0.1, localAddress: 10.6.0.2', ['eth0 of web 4']],
    ['hostAddress: 10.6.0.1, localAddress: 8.8.4.2', []],
    ['hostAddress6: "fd5e:6::1", localAddress6: "fd5e:6::2"', ['eth0 of web 6']],
    ['hostAddress6: "2a00:6::1", localAddress6: "2a00:6::2"', []],
    ['hostAddress: 10.6.0.1, localAddress: 10.6.0.2, internet: false', []],
    ['hostAddress: 10.6.0.1, localAddress: 10.6.0.2, partial: true', []],
    ['hostAddress: 10.6.0.1, localAddress6: "fd5e:6::2"', []],
    [`${ON}, hostAddress: 10.4.0.1`, ['eth0 of web 4']],
    [`${ON}, defaultGateway: 10.4.0.9`, []],
    [`${ON}, defaultGateway: 10.4.0.254`, []],
    [ON, []],
    ['hostBridge: br-out, localAddress: 10.3.0.2/24, hostAddress: 10.3.0.1', []],
    ['hostBridge: br-part, localAddress: 10.5.0.2/24, hostAddress: 10.5.0.1', []],
    ['hostBridge: br-none, localAddress: 10.8.0.2/24, hostAddress: 10.8.0.1', []],
    [
      'macvlans: [enp2s0], inside: { interfaces: { mv-enp2s0: { address: [10.9.0.2/24] } } }, defaultGateway: 10.9.0.1',
      []
    ],
    [
      'hostAddress: 10.6.0.1, localAddress: 10.6.0.2, extraVeths: { ve-two: { hostAddress: 10.7.0.1, localAddress: 10.7.0.2 } }',
      ['eth0 of web 4']
    ],
    [
      'localAddress: 10.6.0.2, extraVeths: { ve-two: { hostAddress: 10.7.0.1, localAddress: 10.7.0.2 } }, defaultGateway: { address: 10.7.0.1, interface: ve-two }',
      ['ve-two of web 4']
    ],
    [
      `extraVeths: { ve-two: { ${ON} } }, defaultGateway: { address: 10.4.0.1, interface: ve-two }`,
      ['ve-two of web 4']
    ],
    [`extraVeths: { ve-two: { ${ON} } }`, []],
    [`${ON}, dhcp: true`, []]
  ])('%s', async (container, expected) => {
    expect(await leaving(container)).toEqual(expected)
  })

  test('a machine is left alone', async () => {
    const vm =
      'vms: { old: { kind: libvirt, interfaces: { vm-old: { hostBridge: br-in, address: [10.4.0.7/24] } } } }'
    expect(await leaving(ON, vm)).toEqual([])
  })
})

test('the containers that do not start, and what stops them', async () => {
  const plan = await planOf(`
version: 1
host: { interfaces: { enp1s0: {} }, enableIPv6: false, daemons: [docker] }
bridges: { br-in: { address: [10.4.0.1/24], interfaces: [enp4s0] }, lo: { address: [10.9.0.1/24] } }
containers:
  bad_name: { privateNetwork: true, localAddress: 10.5.0.2 }
  protocol: { privateNetwork: true, hostAddress: 10.5.1.1, localAddress: 10.5.1.2, forwardPorts: [{ hostPort: 80, protocol: sctp }] }
  port: { privateNetwork: true, hostAddress: 10.5.2.1, localAddress: 10.5.2.2, forwardPorts: [{ hostPort: 0 }] }
  twice: { privateNetwork: true, hostAddress: 10.5.3.1, localAddress: 10.5.3.2, forwardPorts: [{ hostPort: 81 }, { hostPort: 81, protocol: udp }, { hostPort: 81 }] }
  shared: { forwardPorts: [{ hostPort: 82 }, { hostPort: 82 }] }
  first: { interfaces: [enp2s0], macvlans: [enp3s0] }
  second: { macvlans: [enp3s0] }
  third: { macvlans: [enp2s0] }
  fourth: { interfaces: [enp2s0] }
  port-of: { macvlans: [enp4s0] }
  no-bridge: { privateNetwork: true, hostBridge: br-none }
  docker-bridge: { privateNetwork: true, hostBridge: docker0 }
  unmade: { privateNetwork: true, hostBridge: lo }
  mac: { privateNetwork: true, hostBridge: br-in, localMacAddress: "03:00:00:00:00:05" }
  no-mac: { privateNetwork: true, hostBridge: br-in, localMacAddress: "00:00:00:00:00:00" }
  mac-text: { privateNetwork: true, hostBridge: br-in, localMacAddress: "02:00:00" }
  mac-good: { privateNetwork: true, hostBridge: br-in, localMacAddress: "02:00:00:00:00:05" }
  extra-name: { privateNetwork: true, extraVeths: { ve-far-too-long-a-name: { hostBridge: br-in } } }
  no-address: { privateNetwork: true, localAddress: 10.5.999.2 }
  four-in-six: { privateNetwork: true, hostBridge: br-in, localAddress6: 10.5.4.2 }
  six: { privateNetwork: true, localAddress6: "fd5e:5::2" }
  six-bridged: { privateNetwork: true, hostBridge: br-in, localAddress6: "fd5e:5::3/64" }
  network: { privateNetwork: true, hostAddress: 10.5.5.1, localAddress: 10.5.5.2/24 }
  route: { privateNetwork: true, localAddress: 10.5.6.2 }
  route-again: { privateNetwork: true, localAddress: 10.5.6.2/32 }
  router: { privateNetwork: true, hostAddress: 10.5.7.1/24 }
  extra-router: { privateNetwork: true, extraVeths: { ve-x: { hostAddress: 10.5.8.0/24, localAddress: 10.5.8.2 }, ve-y: { hostAddress: 10.5.9.1/24 } } }
  own-router: { privateNetwork: true, hostBridge: br-in, hostAddress6: "fd5e:6::1", localAddress6: "fd5e:6::1" }
  off: { enabled: false, macvlans: [enp2s0] }
`)
  expect(Array.from(failuresOf(plan), ([{ name }, { why }]) => `${name}: ${why}`)).toEqual([
    'bad_name: no machine can be called that',
    'protocol: sctp is not a protocol of a forward',
    'port: 0 is no port',
    'twice: port 81 is forwarded twice',
    'third: enp2s0 has moved into a container already',
    'fourth: enp2s0 has moved into a container already',
    'port-of: enp4s0 is a port of a bridge, and no macvlan can be on it',
    'no-bridge: there is no bridge br-none',
    'unmade: there is no bridge lo',
    'mac: 03:00:00:00:00:05 cannot be the address of an interface',
    'no-mac: 00:00:00:00:00:00 cannot be the address of an interface',
    'mac-text: 02:00:00 cannot be the address of an interface',
    'extra-name: no interface can be called ve-far-too-long-a-name',
    'no-address: 10.5.999.2 is no address',
    'four-in-six: 10.5.4.2 is no IPv6 address',
    'six: IPv6 is switched off on the host, which refuses its end',
    'network: a route to 10.5.5.2/24 is refused, since that is no network',
    'route-again: the host has a route to 10.5.6.2/32 already',
    'router: a route by 10.5.7.1/24 is refused, since a router is one address',
    'extra-router: a route by 10.5.9.1/24 is refused, since a router is one address',
    "own-router: IPv6 takes no router that is the container's own address, fd5e:6::1"
  ])
})

test('what a container has that does not start is there for the next, and IPv6 has its own laws', async () => {
  const plan = await planOf(`
version: 1
host: { networkd: { enable: false, netdevs: { 10-br: { netdevConfig: { Kind: bridge, Name: br-unit } } } } }
pools: { few: { ports: "20000" } }
bridges: { br-in: { address: [10.4.0.1/24] }, br-sixteen-bytes: {} }
containers:
  to-zero: { privateNetwork: true, hostAddress: 10.5.0.1, localAddress: 10.5.0.2, forwardPorts: [{ hostPort: 80, containerPort: 0 }] }
  from-zero: { privateNetwork: true, hostAddress: 10.5.0.1, localAddress: 10.5.0.2, forwardPorts: [{ hostPort: 0, containerPort: 80 }] }
  no-ports: { privateNetwork: true, hostAddress: 10.5.1.1, localAddress: 10.5.1.2, forwardPorts: [{ hostPort: auto }, { hostPort: auto }, { hostPort: auto }] }
  long-bridge: { privateNetwork: true, hostBridge: br-sixteen-bytes }
  unit-bridge: { privateNetwork: true, hostBridge: br-unit }
  not-first: { privateNetwork: true, hostBridge: br-none, interfaces: [enp2s0] }
  first: { interfaces: [enp2s0] }
  itself: { interfaces: [enp3s0], macvlans: [enp3s0] }
  itself-again: { interfaces: ["enp3s0", "enp3s0:lan"] }
  half: { privateNetwork: true, localAddress: 10.5.2.2, localAddress6: 10.5.2.3 }
  whole: { privateNetwork: true, localAddress: 10.5.2.2, localAddress6: "fd5e:5::2/64" }
  same-net: { privateNetwork: true, localAddress6: "fd5e:5::3/64" }
  own-route: { privateNetwork: true, extraVeths: { ve-x: { localAddress6: "fd5e:6::2" }, ve-y: { localAddress6: "fd5e:6::2" } } }
  own-router: { privateNetwork: true, hostAddress: 10.5.3.1, localAddress: 10.5.3.1 }
  own-router6: { privateNetwork: true, hostAddress: "fd5e:7::1", localAddress: "fd5e:7::1" }
  extra-own-router: { privateNetwork: true, extraVeths: { ve-z: { hostAddress6: "fd5e:8::1/64", localAddress6: "fd5e:8::1/64" } } }
  lone-router: { privateNetwork: true, hostAddress6: "fd5e:9::1" }
  no-pool: { privateNetwork: true, hostAddress6: "fd5e:9::1", localAddress6: auto }
`)
  expect(Array.from(failuresOf(plan), ([{ name }, { why }]) => `${name}: ${why}`)).toEqual([
    'to-zero: 0 is no port',
    'from-zero: 0 is no port',
    'long-bridge: there is no bridge br-sixteen-bytes',
    'unit-bridge: there is no bridge br-unit',
    'not-first: there is no bridge br-none',
    'itself: enp3s0 has moved into a container already',
    'itself-again: enp3s0 has moved into a container already',
    'half: 10.5.2.3 is no IPv6 address',
    'same-net: the host has a route to fd5e:5::/64 already',
    'own-route: the host has a route to fd5e:6::2/128 already',
    "own-router6: IPv6 takes no router that is the container's own address, fd5e:7::1"
  ])
})

test('who makes the bridges that the file does not have', async () => {
  const plan = await planOf(`
version: 1
host: { partial: true, interfaces: { enp1s0: {} }, daemons: [tailscale, docker, lxd, incus] }
nat: { externalInterface: br-wan }
bridges: { br-in: { address: [10.4.0.1/24] }, docker1: { address: [10.6.0.1/24] } }
containers:
  flag: { extraFlags: [--network-veth] }
  defined: { privateNetwork: true, hostBridge: docker1 }
  pair: { privateNetwork: true, hostAddress: 10.5.0.1, localAddress: 10.5.0.2 }
  known: { privateNetwork: true, hostBridge: br-in }
  docker: { privateNetwork: true, hostBridge: docker0 }
  compose: { privateNetwork: true, hostBridge: br-0123456789ab }
  podman: { privateNetwork: true, hostBridge: podman1 }
  lxd: { privateNetwork: true, hostBridge: lxdbr0 }
  incus: { privateNetwork: true, hostBridge: incusbr0 }
  libvirt: { privateNetwork: true, hostBridge: virbr0 }
  written: { privateNetwork: true, hostBridge: vz-cell }
  zone: { extraFlags: [--network-zone=cell] }
  external: { privateNetwork: true, hostBridge: br-wan }
  card: { privateNetwork: true, hostBridge: enp1s0 }
vms:
  old: { kind: libvirt, interfaces: { vm-old: { hostBridge: virbr1 }, vm-two: { hostBridge: vz-cell } } }
  other: { kind: qemu, interfaces: { vm-other: { hostBridge: br-in } } }
`)
  const of = (is: typeof isPrograms): readonly string[] =>
    plan.links.filter(link => is(plan, link)).map(({ node, bridgeName }) => `${node.name} ${bridgeName}`)
  const made = [
    'docker docker0',
    'compose br-0123456789ab',
    'lxd lxdbr0',
    'incus incusbr0',
    'libvirt virbr0',
    'zone vz-cell',
    'old virbr1'
  ]
  // A bridge of the file may have such a name as well.
  expect(of(isPrograms)).toEqual(['defined docker1', ...made])
  expect(of(isElsewhere)).toEqual([
    'docker docker0',
    'compose br-0123456789ab',
    'podman podman1',
    'lxd lxdbr0',
    'incus incusbr0',
    'libvirt virbr0',
    'written vz-cell',
    'zone vz-cell',
    'old virbr1',
    'old vz-cell'
  ])
  const whole = { ...plan, topology: { ...plan.topology, host: { ...plan.topology.host, partial: false } } }
  expect(
    plan.links
      .filter(link => isElsewhere(whole, link))
      .map(({ node, bridgeName }) => `${node.name} ${bridgeName}`)
  ).toEqual(made)
  expect(
    plan.links
      .filter(link =>
        isPrograms({ ...plan, topology: { ...plan.topology, vms: plan.topology.vms.slice(1) } }, link)
      )
      .map(({ bridgeName }) => bridgeName)
  ).toEqual(['docker1', 'docker0', 'br-0123456789ab', 'lxdbr0', 'incusbr0', 'vz-cell'])
})

test('on a host without containers none starts', async () => {
  const plan = await planOf(
    '{ version: 1, host: { enableContainers: false }, containers: { a: {}, b: { enabled: false } } }'
  )
  expect(Array.from(failuresOf(plan), ([{ name }, { why }]) => `${name}: ${why}`)).toEqual([
    'a: enableContainers of the host is false'
  ])
})

describe('the value that iptables or nft refuses', () => {
  const refused = async (backend: string, nat: string, firewall = ''): Promise<string | undefined> => {
    const { topology } = await planOf(`
version: 1
host: { firewall: { backend: ${backend}, ${firewall} } }
nat: { enable: true, enableIPv6: true, internalInterfaces: [br0], ${nat} }
`)
    return refusedValue({
      firewall: topology.host.firewall,
      nat: topology.nat,
      enableIPv6: topology.host.enableIPv6
    })?.why
  }
  const OUT = 'externalInterface: enp1s0'
  const forward = (text: string): string => `${OUT}, forwardPorts: [{ ${text} }]`

  test.each([
    ['iptables', OUT, '', undefined],
    [
      'iptables',
      'externalInterface: a-name-far-too-long',
      '',
      'a-name-far-too-long is too long for an interface'
    ],
    ['iptables', `${OUT}, internalIPs: ["fd5e::/64"]`, '', 'fd5e::/64 is no IPv4 address'],
    ['iptables', `${OUT}, internalIPv6s: [10.1.0.0/24]`, '', '10.1.0.0/24 is no IPv6 address'],
    ['iptables', `${OUT}, externalIP: "2001:db8::5"`, '', '2001:db8::5 is no IPv4 address'],
    ['iptables', `${OUT}, externalIPv6: 203.0.113.5`, '', '203.0.113.5 is no IPv6 address'],
    ['iptables', forward('sourcePort: many, destination: "10.1.0.2:80"'), '', 'many is no port'],
    [
      'iptables',
      forward('sourcePort: 80, proto: icmp, destination: "10.1.0.2:80"'),
      '',
      'icmp is no protocol with ports'
    ],
    ['iptables', forward('sourcePort: 80, proto: UDPLITE, destination: "10.1.0.2:80"'), '', undefined],
    [
      'nftables',
      forward('sourcePort: 80, proto: sctp, destination: "10.1.0.2:80"'),
      '',
      'sctp is no protocol with ports'
    ],
    ['iptables', forward('sourcePort: 80, destination: nobody'), '', 'nobody is no address with a port'],
    ['iptables', forward('sourcePort: 80, destination: "fd5e:1::2:80"'), '', undefined],
    [
      'nftables',
      forward('sourcePort: 80, destination: "fd5e:1::2:80"'),
      '',
      'fd5e:1::2:80 is no address with a port'
    ],
    ['iptables', forward('sourcePort: 80, destination: 10.1.0.2'), '', undefined],
    ['nftables', forward('sourcePort: 80, destination: 10.1.0.2'), '', '10.1.0.2 has no port'],
    [
      'iptables',
      forward('sourcePort: 80, destination: 10.1.0.2, loopbackIPs: [203.0.113.5]'),
      '',
      '10.1.0.2 has no port'
    ],
    [
      'iptables',
      forward('sourcePort: 80, destination: "10.1.0.2:80", loopbackIPs: ["2001:db8::5"]'),
      '',
      '2001:db8::5 is no IPv4 address'
    ],
    [
      'iptables',
      forward('sourcePort: 80, destination: "[fd5e:1::2]:80", loopbackIPs: [203.0.113.5]'),
      '',
      '203.0.113.5 is no IPv6 address'
    ],
    [
      'nftables',
      'forwardPorts: [{ sourcePort: 80, destination: "10.1.0.2:80" }]',
      '',
      'without externalInterface no forward can be written'
    ],
    ['nftables', 'dmzHost: 10.1.0.9', '', 'without externalInterface no forward can be written'],
    [
      'nftables',
      `${OUT}, forwardPorts: [{ sourcePort: 80, destination: "10.1.0.2:80" }, { sourcePort: 80, destination: "10.1.0.3:80" }]`,
      '',
      '80 is forwarded twice'
    ],
    [
      'nftables',
      `${OUT}, forwardPorts: [{ sourcePort: 80, destination: "10.1.0.2:80" }, { sourcePort: 80, destination: "10.1.0.2:80" }, { sourcePort: 80, proto: udp, destination: "10.1.0.3:80" }]`,
      '',
      undefined
    ],
    [
      'iptables',
      OUT,
      'trustedInterfaces: [a-name-far-too-long]',
      'a-name-far-too-long is too long for an interface'
    ],
    ['iptables', OUT, 'interfaces: { a-name-far-too-long: {} }', undefined],
    [
      'iptables',
      OUT,
      'interfaces: { a-name-far-too-long: { allowedTCPPorts: [80] } }',
      'a-name-far-too-long is too long for an interface'
    ],
    [
      'nftables',
      OUT,
      'interfaces: { "br 0": { allowedUDPPorts: [80] } }',
      'br 0 stands there without quotes, and nft reads it otherwise'
    ],
    ['iptables', OUT, 'allowedTCPPortRanges: [{ from: 90, to: 80 }]', 'the ports 90 to 80 are none'],
    [
      'iptables',
      OUT,
      'interfaces: { br0: { allowedUDPPortRanges: [{ from: 90, to: 80 }] } }',
      'the ports 90 to 80 are none'
    ],
    ['iptables', OUT, 'enable: false, allowedTCPPortRanges: [{ from: 90, to: 80 }]', undefined]
  ])('%s, nat %s, firewall %s: %s', async (backend, nat, firewall, why) => {
    expect(await refused(backend, nat, firewall)).toBe(why)
  })

  test.each([
    ['iptables', `${OUT}, externalIP: 203.0.113.5/24`, '203.0.113.5/24 is no IPv4 address'],
    ['iptables', `${OUT}, externalIPv6: "2001:db8::5/64"`, '2001:db8::5/64 is no IPv6 address'],
    ['iptables', `${OUT}, dmzHost: 10.1.0.2/32`, '10.1.0.2/32 is no IPv4 address'],
    ['nftables', `${OUT}, externalIP: 203.0.113.0/24, dmzHost: 10.1.0.2/32`, undefined],
    ['iptables', `${OUT}, dmzHost: "fd5e:1::2"`, 'fd5e:1::2 is no IPv4 address'],
    ['iptables', `${OUT}, dmzHost: 10.1.0.2`, undefined],
    ['iptables', `${OUT}, externalIP: 10.1.0.256`, '10.1.0.256 is no IPv4 address'],
    ['iptables', 'internalIPs: [10.1.0.0/24], internalIPv6s: ["fd5e:1::/64"]', undefined],
    ['iptables', 'forwardPorts: [{ sourcePort: 80, destination: "10.1.0.2:80" }]', undefined],
    ['nftables', 'internalIPs: [10.1.0.0/24]', undefined],
    [
      'nftables',
      'forwardPorts: [{ sourcePort: 80, destination: "[fd5e:1::2]:80" }]',
      'without externalInterface no forward can be written'
    ],
    [
      'iptables',
      forward('sourcePort: 80, proto: mytcp, destination: "10.1.0.2:80"'),
      'mytcp is no protocol with ports'
    ],
    [
      'iptables',
      forward('sourcePort: 80, proto: tcp6, destination: "10.1.0.2:80"'),
      'tcp6 is no protocol with ports'
    ],
    ['iptables', forward('sourcePort: 80, destination: "a:b:c:d"'), 'a:b:c:d is no address with a port'],
    [
      'iptables',
      forward('sourcePort: 80, destination: "10.1.0.2:80", loopbackIPs: [203.0.113.5]'),
      undefined
    ],
    [
      'iptables',
      forward('sourcePort: 80, destination: "[fd5e:1::2]:80", loopbackIPs: ["2001:db8::5"]'),
      undefined
    ],
    [
      'iptables',
      forward('sourcePort: 80, destination: "fd5e:1::2:80", loopbackIPs: ["2001:db8::5"]'),
      'fd5e:1::2:80 has no port'
    ],
    [
      'iptables',
      `${OUT}, forwardPorts: [{ sourcePort: 80, destination: "10.1.0.2:80" }, { sourcePort: 80, destination: "10.1.0.3:80" }]`,
      undefined
    ]
  ])('%s, nat %s: %s', async (backend, nat, why) => {
    expect(await refused(backend, nat)).toBe(why)
  })

  test.each([
    [
      'iptables',
      'internalInterfaces: [a-name-far-too-long]',
      'a-name-far-too-long is too long for an interface'
    ],
    ['iptables', 'internalInterfaces: [fifteen-letters]', undefined],
    // Without IPv6 its forwards are left out, whatever stands in them.
    ['nftables', 'forwardPorts: [{ sourcePort: 80, destination: "[fd5e:1::2]:80" }]', undefined],
    [
      'nftables',
      'forwardPorts: [{ sourcePort: 80, destination: nobody }]',
      'without externalInterface no forward can be written'
    ],
    ['iptables', forward('sourcePort: 80, destination: "a:b:c:d"'), undefined],
    ['iptables', forward('sourcePort: 80, destination: "a:b"'), 'a:b is no address with a port'],
    ['iptables', forward('sourcePort: 80, destination: 10.1.0.2, loopbackIPs: [203.0.113.5]'), undefined],
    [
      'iptables',
      `internalIPs: [10.1.0.0/24], ${forward('sourcePort: 80, destination: 10.1.0.2, loopbackIPs: [203.0.113.5]')}`,
      '10.1.0.2 has no port'
    ],
    ['iptables', 'enableIPv6: true, internalIPv6s: ["fd5e:1::/64"], externalIPv6: "2001:db8::5"', undefined],
    [
      'iptables',
      `enableIPv6: true, internalIPs: [10.1.0.0/24], ${forward('sourcePort: 80, destination: "fd5e:1::2:80", loopbackIPs: ["2001:db8::5"]')}`,
      undefined
    ]
  ])('without more: %s, nat %s: %s', async (backend, nat, why) => {
    const { topology } = await planOf(
      `{ version: 1, host: { firewall: { backend: ${backend} } }, nat: { enable: true, ${nat} } }`
    )
    expect(refusedValue({ firewall: topology.host.firewall, nat: topology.nat, enableIPv6: true })?.why).toBe(
      why
    )
  })

  // As nft has it ("File exists").
  test.each([
    ['"8000:8010"', '10.1.0.2:80', '8005', '10.1.0.3:80', true],
    ['"8000:8010"', '10.1.0.2:80', '"8005:8007"', '10.1.0.2:80', true],
    ['"8000:8010"', '10.1.0.2:80', '"7990:8000"', '10.1.0.3:80', true],
    ['"8000:8010"', '10.1.0.2:80', '"8010:8020"', '10.1.0.3:80', true],
    ['"8000:8010"', '10.1.0.2:80', '"8000:8010"', '10.1.0.2:80', false],
    ['"8000:8010"', '10.1.0.2:80', '"8000:8010"', '10.1.0.2:81', true],
    ['"8000:8010"', '10.1.0.2:80', '"7000:9000"', '10.1.0.3:80', false],
    ['"8000:8010"', '10.1.0.2:80', '8011', '10.1.0.3:80', false],
    ['8005', '10.1.0.2:80', '8005', '10.1.0.3:80-81', true],
    ['"8000:8001"', '10.1.0.2:80-81', '"8000:8001"', '10.1.0.3:80-81', true]
  ])('nftables, %s to %s and then %s to %s: %s', async (first, to, second, also, isRefused) => {
    const forwards = `[{ sourcePort: ${first}, destination: "${to}" }, { sourcePort: ${second}, destination: "${also}" }]`
    expect(await refused('nftables', `${OUT}, forwardPorts: ${forwards}`)).toBe(
      isRefused ? `${second.replaceAll('"', '')} is forwarded twice` : undefined
    )
  })

  test.each([
    ['iptables', 'interfaces: { br0: { allowedTCPPorts: [80], allowedUDPPorts: [81] } }', undefined],
    [
      'nftables',
      'interfaces: { "br 0": { allowedTCPPorts: [80], allowedUDPPorts: [81] } }',
      'br 0 stands there without quotes, and nft reads it otherwise'
    ],
    ['nftables', 'interfaces: { "ve-*": { allowedTCPPorts: [80] } }', undefined],
    ['iptables', 'trustedInterfaces: [br0, fifteen-letters]', undefined]
  ])('%s, firewall %s: %s', async (backend, firewall, why) => {
    expect(await refused(backend, OUT, firewall)).toBe(why)
  })

  test('what is off refuses nothing', async () => {
    const { topology } = await planOf(
      '{ version: 1, host: { enableIPv6: false }, nat: { enable: true, enableIPv6: true, internalIPv6s: [10.1.0.0/24] } }'
    )
    expect(
      refusedValue({ firewall: topology.host.firewall, nat: topology.nat, enableIPv6: false })
    ).toBeUndefined()
    expect(
      refusedValue({
        firewall: topology.host.firewall,
        nat: topology.nat && { ...topology.nat, enable: false },
        enableIPv6: true
      })
    ).toBeUndefined()
  })
})
