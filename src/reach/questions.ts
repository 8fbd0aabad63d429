import type { Listen } from '../model/topology.ts'
import { type Addr, isLinkLocal6 } from '../net/addr.ts'
import { cardOf, isPrivate, realParent } from '../plan/links.ts'
import type { Plan, PortClaim } from '../plan/plan.ts'
import { type Flow, type Place, placeKey } from './flow.ts'
import { outsideOf } from './outside.ts'

// What can be asked of a network: who is there, at which addresses and ports.

/** A flow, and whose address it is sent to; undefined for a forward, which may be anybody's. */
export interface Question extends Flow {
  readonly asked: Place | undefined
}

/** Somebody who asks and is asked. */
export interface Known {
  readonly place: Place
  readonly addresses: readonly Addr[]
  readonly listens: readonly Listen[]
}

/** A port of the host that leads elsewhere. */
export interface Forwarded {
  readonly address: Addr
  readonly protocol: 'tcp' | 'udp'
  readonly port: number
}

export interface Asked {
  readonly host: Known
  /** The LAN and the internet, where there are any. */
  readonly world: readonly Known[]
  /** Containers with a network of their own, and machines. */
  readonly nodes: readonly Known[]
  /** Which of the host's addresses somebody asks: those on its own links and at the uplink; others that and one more. */
  readonly hostAddresses: (from: Place) => readonly Addr[]
  readonly forwards: readonly Forwarded[]
  /** A TCP port that nothing listens on, opens or forwards. */
  readonly closedPort: number
}

export const askedOf = (plan: Plan): Asked => {
  const { topology } = plan
  const outside = outsideOf(plan)
  const nodes = knownNodes(plan)
  const [uplink] = outside
  const shared = topology.containers.filter(container => container.enabled && !isPrivate(container))
  const own = ownAddresses(plan)
  const lan: Known = {
    place: { kind: 'lan' },
    addresses: outside.flatMap(({ networks }) => networks.flatMap(({ lan }) => lan ?? [])),
    listens: []
  }
  const internet: Known = {
    place: { kind: 'internet' },
    addresses: uplink?.internet ?? [],
    listens: []
  }
  const host: Known = {
    place: { kind: 'host' },
    addresses: own.all,
    listens: [...topology.host.listens, ...shared.flatMap(({ listens }) => listens)]
  }
  return {
    host,
    world: outside.length === 0 ? [] : [lan, ...(uplink?.leadsOut === true ? [internet] : [])],
    nodes,
    hostAddresses: from => {
      const near = own.of.get(placeKey(from)) ?? []
      return near.length > 0 ? [...near, ...own.uplink] : [...own.uplink, ...own.all.slice(0, 1)]
    },
    forwards: forwardsOf(plan, own.uplink),
    closedPort: closedPortOf(plan, [host, ...nodes])
  }
}

/** What somebody is asked at one of its addresses: a ping, a closed port, and every service there. */
export const portsAt = (
  { listens }: Known,
  addr: Addr,
  closedPort: number
): readonly Pick<Flow, 'protocol' | 'port'>[] => [
  { protocol: 'icmp', port: undefined },
  { protocol: 'tcp', port: closedPort },
  ...listens.flatMap(({ port, protocol: { value: protocol }, address }) => {
    const bound = address?.prefix
    // What listens elsewhere only is asked for there, and at loopback by nobody.
    const isHere =
      bound === undefined ||
      bound.value === 0n ||
      (bound.family === addr.family && bound.value === addr.value)
    return protocol === undefined || !isHere ? [] : [{ protocol, port }]
  })
]

/** Containers with a network of their own, and machines, with their addresses. */
const knownNodes = ({ topology, linksOf }: Plan): readonly Known[] => {
  const of = (node: Parameters<typeof linksOf.get>[0]): readonly Addr[] =>
    (linksOf.get(node) ?? []).flatMap(({ addresses }) => addrs(addresses))
  return [
    ...topology.containers
      .filter(container => container.enabled && !container.networkNamespace && isPrivate(container))
      .map(container => ({
        place: { kind: 'container' as const, name: container.name },
        addresses: [
          ...of(container),
          ...container.inside.bridges.flatMap(({ addresses }) => addrs(addresses))
        ],
        listens: container.listens
      })),
    ...topology.vms
      .filter(({ enabled }) => enabled)
      .map(vm => ({
        place: { kind: 'vm' as const, name: vm.name },
        addresses: of(vm),
        listens: vm.listens
      }))
  ]
}

const addrs = (
  texts: readonly { readonly prefix: (Addr & { readonly bits: number }) | undefined }[]
): readonly Addr[] =>
  texts.flatMap(({ prefix }) =>
    prefix === undefined || prefix.value === 0n || isLinkLocal6(prefix)
      ? []
      : [{ family: prefix.family, value: prefix.value }]
  )

interface HostAddresses {
  readonly all: readonly Addr[]
  readonly uplink: readonly Addr[]
  /** Those on the links of a container or machine, by its key. */
  readonly of: ReadonlyMap<string, readonly Addr[]>
}

const ownAddresses = (plan: Plan): HostAddresses => {
  const { topology, links, bridges } = plan
  const outside = outsideOf(plan)
  const [uplink] = outside
  const of = new Map<string, readonly Addr[]>()
  const own = new Map(topology.host.configured.map(({ name, addresses }) => [name, addresses]))
  const beside = new Map<string, readonly Addr[]>()
  for (const { name } of topology.host.macvlans) {
    const card = realParent(topology, name)
    beside.set(card, [...(beside.get(card) ?? []), ...addrs(own.get(name) ?? [])])
  }
  for (const link of links) {
    const { node, hostAddresses, hostIfname, bridge, kind } = link
    const card = kind === 'macvlan' ? realParent(topology, cardOf(link)) : bridge?.bridge.name
    const key = placeKey({ kind: 'kind' in node ? 'vm' : 'container', name: node.name })
    of.set(key, [
      ...(of.get(key) ?? []),
      ...addrs(hostAddresses),
      ...addrs(own.get(hostIfname) ?? []),
      ...addrs(bridge?.bridge.addresses ?? []),
      ...(card === undefined ? [] : (beside.get(card) ?? []))
    ])
  }
  const given = outside.flatMap(({ networks }) =>
    networks.map(({ host }) => ({ family: host.family, value: host.value }))
  )
  return {
    uplink: (uplink?.networks ?? []).map(({ host }) => ({ family: host.family, value: host.value })),
    of,
    all: unique([
      ...[...bridges.values()].flatMap(({ bridge }) => addrs(bridge.addresses)),
      ...topology.host.configured.flatMap(({ addresses }) => addrs(addresses)),
      ...given,
      ...links.flatMap(({ hostAddresses }) => addrs(hostAddresses))
    ])
  }
}

const unique = (addresses: readonly Addr[]): readonly Addr[] => [
  ...new Map(addresses.map(addr => [`${addr.family} ${addr.value}`, addr])).values()
]

const isForward = ({ kind }: PortClaim): boolean => kind === 'nspawn' || kind === 'nat'

/** The forwards as seen from outside them: at the uplink's addresses, and at their loopback addresses. Of a range the ends. */
const forwardsOf = ({ topology: { nat }, ports }: Plan, uplink: readonly Addr[]): readonly Forwarded[] => {
  const at = uplink.flatMap(address =>
    ports
      .filter(isForward)
      .flatMap(({ protocol, from, to, kind }) =>
        kind === 'nspawn' && address.family === 6
          ? []
          : [...new Set([from, to])].map(port => ({ address, protocol, port }))
      )
  )
  const looped = (nat?.enable === true ? nat.forwardPorts : []).flatMap(({ loopbackIPs, proto, source }) =>
    addrs(loopbackIPs).flatMap(address =>
      source.range === undefined || proto.value === undefined
        ? []
        : [{ address, protocol: proto.value, port: source.range.from }]
    )
  )
  return [...at, ...looped]
}

/** The first of some ports that nothing in the plan has to do with. */
const closedPortOf = (plan: Plan, known: readonly Known[]): number => {
  const { topology, ports } = plan
  const taken: { readonly from: number; readonly to: number }[] = [...ports]
  for (const { listens } of known) for (const { port } of listens) taken.push({ from: port, to: port })
  for (const { firewall } of [topology.host, ...topology.having.firewall])
    for (const { open } of [firewall, ...firewall.interfaces]) taken.push(...open.tcp)
  for (const { destination, source } of topology.nat?.forwardPorts ?? [])
    for (const range of [destination.ports, source.range]) if (range !== undefined) taken.push(range)
  const isFree = (port: number): boolean => taken.every(({ from, to }) => port < from || port > to)
  for (let port = 9; port < 1024; port += 1) if (isFree(port)) return port
  return 9
}
