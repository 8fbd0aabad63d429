import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { analyze, type Container, type Plan } from '../src/index.ts'
import { formatAddr, width } from '../src/net/addr.ts'
import { formatPrefix, type Prefix } from '../src/net/prefix.ts'
import { containerRoutes, hostRoutes, type RoutePlan } from '../src/plan/routes.ts'
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

const row = ({ destination: to, via, ifname }: RoutePlan): string =>
  `${to.family} ${destination(to)}${via === undefined ? '' : ` via ${formatAddr(via)}`}${ifname === undefined ? '' : ` dev ${ifname}`}`

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

/** A default route of the plan names no interface where the router's own route decides; the kernel always knows one. */
const fits = (planned: string, real: string): boolean =>
  real === planned || real.startsWith(`${planned} dev `)

describe('the routes of the plan are those that the kernel has after the commands of NixOS', () => {
  test.skipIf(absent(['ip'])).each([
    ['two containers on a bridge', example('two-containers.yaml')],
    ['a veth pair', example('veth-pair-nat.yaml')],
    ['every kind of link', MIXED]
  ])('%s', async (_, text) => {
    const plan = await planOf(text)
    // The uplink is not made here.
    const isOurs = (line: string): boolean =>
      !plan.topology.host.interfaces.some(({ name }) => line.endsWith(`dev ${name}`))
    const planned = [
      hostRoutes(plan),
      ...plan.topology.containers.map(container => containerRoutes(plan, container))
    ].map(routes => [...new Set(routes.map(row))].filter(isOurs))
    const real = await kernelTables(plan)
    expect(real).toHaveLength(planned.length)
    for (const [i, rows] of planned.entries()) {
      const table = real[i] ?? []
      expect({ i, missing: rows.filter(line => !table.some(other => fits(line, other))) }).toEqual({
        i,
        missing: []
      })
      expect({ i, more: table.filter(other => !rows.some(line => fits(line, other))) }).toEqual({
        i,
        more: []
      })
    }
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
