import type { Listen } from '../model/topology.ts'
import { type Addr, formatAddr, isLinkLocal6 } from '../net/addr.ts'
import { isPrivate } from '../plan/links.ts'
import type { Plan, PortClaim } from '../plan/plan.ts'
import { type Flow, type Place, placeKey } from '../reach/flow.ts'
import { INTERNET, outsideOf } from '../reach/outside.ts'

// What is asked of a network: who reaches whom. Of a large one, a part of it.

/** A service of a place, as the prober stands in for it. */
export interface Service {
  readonly place: Place
  readonly protocol: 'tcp' | 'udp'
  /** Undefined for any of its addresses. */
  readonly address: Addr | undefined
  readonly port: number
}

/** A flow, and whose address it is sent to; undefined for a forward, which may be anybody's. */
export interface Question extends Flow {
  readonly asked: Place | undefined
}

export interface Questions {
  /** Those that ask and are asked: the host, the world outside, containers, machines. */
  readonly places: readonly Place[]
  readonly flows: readonly Question[]
  readonly services: readonly Service[]
  /** A TCP port that nothing listens on, opens or forwards. */
  readonly closedPort: number
  /** How many others each container asks, where that is not all of them. */
  readonly neighbours: number | undefined
}

/** So many pairs of containers are asked for at most; beyond it, each asks those that stand after it in the file. */
const PAIRS = 12_000

interface Known {
  readonly place: Place
  readonly addresses: readonly Addr[]
  readonly listens: readonly Listen[]
}

/**
 * Every pair of places in each family: a ping, a closed TCP port, every service; and every forward, from all of them. Of the
 * host's addresses a container asks those on its own links and at the uplink, and others two.
 */
export const questionsOf = (plan: Plan, pairs: number = PAIRS): Questions => {
  const { topology } = plan
  const outside = outsideOf(plan)
  const nodes = knownNodes(plan)
  const [uplink] = outside
  const shared = topology.containers.filter(container => container.enabled && !isPrivate(container))
  const hostListens = [...topology.host.listens, ...shared.flatMap(({ listens }) => listens)]
  const own = ownAddresses(plan)
  const [first] = own.all
  const lan: Known = {
    place: { kind: 'lan' },
    addresses: outside.flatMap(({ networks }) => networks.map(network => network.lan)),
    listens: []
  }
  const internet: Known = {
    place: { kind: 'internet' },
    addresses: INTERNET.filter(({ family }) => uplink?.networks.some(({ host }) => host.family === family)),
    listens: []
  }
  const host: Known = { place: { kind: 'host' }, addresses: own.all, listens: hostListens }
  const world = outside.length === 0 ? [] : [lan, ...(uplink?.leadsOut === true ? [internet] : [])]
  const closedPort = closedPortOf(plan, [host, ...nodes])
  const flows = new Map<string, Question>()
  const add = (
    from: Place,
    to: Addr,
    protocol: Flow['protocol'],
    port: number | undefined,
    asked: Place | undefined
  ): void => {
    const key = `${placeKey(from)} ${protocol} ${formatAddr(to)} ${port}`
    if (!flows.has(key)) flows.set(key, { from, to, protocol, port, asked })
  }
  const ask = (from: Known, to: Known, addresses: readonly Addr[]): void => {
    for (const addr of addresses) {
      add(from.place, addr, 'icmp', undefined, to.place)
      add(from.place, addr, 'tcp', closedPort, to.place)
      for (const listen of to.listens) {
        const { port, protocol, address } = listen
        if (protocol.value === undefined) continue
        const bound = address?.prefix
        // What listens elsewhere only is asked for there, and at loopback by nobody.
        if (
          bound !== undefined &&
          bound.value !== 0n &&
          (bound.family !== addr.family || bound.value !== addr.value)
        )
          continue
        add(from.place, addr, protocol.value, port, to.place)
      }
    }
  }
  const hostAddresses = (from: Known): readonly Addr[] => {
    const near = own.of.get(placeKey(from.place)) ?? []
    return near.length > 0
      ? [...near, ...own.uplink]
      : [...own.uplink, ...(first === undefined ? [] : [first])]
  }
  for (const from of [...world, ...nodes]) ask(from, host, hostAddresses(from))
  for (const to of world)
    for (const from of [host, ...world, ...nodes]) if (from !== to) ask(from, to, to.addresses)
  for (const to of nodes) for (const from of [host, ...world]) ask(from, to, to.addresses)
  const neighbours = nodes.length ** 2 > pairs ? Math.max(1, Math.floor(pairs / nodes.length)) : undefined
  nodes.forEach((from, i) => {
    const others =
      neighbours === undefined
        ? nodes
        : Array.from({ length: neighbours }, (_, step) => nodes[(i + step + 1) % nodes.length]).filter(
            other => other !== undefined
          )
    for (const to of others) if (to !== from) ask(from, to, to.addresses)
  })
  const from = [host, ...world, ...nodes.slice(0, neighbours)]
  for (const { address, protocol, port } of forwardsOf(plan, own.uplink))
    for (const { place } of from) add(place, address, protocol, port, undefined)
  return {
    places: [host, ...world, ...nodes].map(({ place }) => place),
    flows: [...flows.values()],
    services: [host, ...nodes].flatMap(servicesOf),
    closedPort,
    neighbours
  }
}

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
  for (const { node, hostAddresses, bridge } of links) {
    const key = placeKey({ kind: 'kind' in node ? 'vm' : 'container', name: node.name })
    of.set(key, [...(of.get(key) ?? []), ...addrs(hostAddresses), ...addrs(bridge?.bridge.addresses ?? [])])
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
const forwardsOf = (
  { topology: { nat }, ports }: Plan,
  uplink: readonly Addr[]
): readonly { readonly address: Addr; readonly protocol: 'tcp' | 'udp'; readonly port: number }[] => {
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

const servicesOf = ({ place, addresses, listens }: Known): readonly Service[] =>
  listens.flatMap(({ port, protocol, address }): readonly Service[] => {
    if (protocol.value === undefined) return []
    const bound = address?.prefix
    const kind = protocol.value
    if (address !== undefined && bound === undefined) return []
    if (bound !== undefined && bound.value !== 0n)
      return [{ place, protocol: kind, address: { family: bound.family, value: bound.value }, port }]
    // A service of UDP answers from the address that it was asked at.
    return kind === 'tcp'
      ? [{ place, protocol: kind, address: undefined, port }]
      : addresses.map(address => ({ place, protocol: kind, address, port }))
  })

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
