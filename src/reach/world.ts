import type { Container, Firewall, Gateway, Listen, Nat, Vm } from '../model/topology.ts'
import { type Addr, type Family, isLinkLocal6 } from '../net/addr.ts'
import { contains, formatPrefix, masked, type Prefix } from '../net/prefix.ts'
import { PrefixMap } from '../net/set.ts'
import { type InputFilter, inputFilter } from '../plan/firewall.ts'
import { hostName, isPrivate } from '../plan/links.ts'
import type { Link, Plan } from '../plan/plan.ts'
import { containerRoutes, hostRoutes } from '../plan/routes.ts'
import type { Path } from '../text/path.ts'
import { type Place, placeKey } from './flow.ts'
import { INTERNET, type Outside, outsideOf } from './outside.ts'

/** An interface of a machine, on the link that it shares with its neighbours. */
export interface Interface {
  readonly machine: Machine
  readonly name: string
  readonly segment: string
  readonly addresses: readonly Prefix[]
  /** Whether it is a macvlan, which its parent's own machine does not hear. */
  readonly apart: boolean
  readonly proxyARP: boolean
  readonly at: Path
}

/** An entry of a machine's main table. */
export interface Route {
  readonly destination: Prefix
  readonly via: Addr | undefined
  readonly interface: Interface
  /** The address that packets get which take it; undefined where the interface's own decide. */
  readonly source: Addr | undefined
  readonly at: Path
}

/** A machine with a network of its own: the host, a container or VM, or one outside. */
export interface Machine {
  readonly place: Place
  readonly interfaces: Interface[]
  readonly routes: Record<Family, PrefixMap<Route>>
  /** Every address that it has. */
  readonly local: Set<string>
  readonly forwards: Readonly<Record<Family, boolean>>
  readonly firewall: Firewall | undefined
  readonly input: InputFilter | undefined
  readonly nat: Nat | undefined
  readonly listens: readonly Listen[]
  readonly container: Container | undefined
  readonly at: Path
}

export interface World {
  readonly plan: Plan
  readonly host: Machine
  /** The host, containers and VMs in the file's order, then those outside. */
  readonly machines: readonly Machine[]
  readonly outside: readonly Outside[]
  /** The first machine of a place: of several LANs, that of the uplink. */
  readonly machineAt: (place: Place) => Machine | undefined
  /** Whose interface on a link has an address. */
  readonly neighbour: (from: Interface, addr: Addr) => Interface | undefined
}

export const keyOf = ({ family, value }: Addr): string => `${family} ${value}`

export const worldOf = (plan: Plan): World => {
  const { topology } = plan
  const outside = outsideOf(plan)
  const segments = new Map<string, Interface[]>()
  const attach = (own: Interface): void => {
    own.machine.interfaces.push(own)
    for (const addr of own.addresses) own.machine.local.add(keyOf(addr))
    const others = segments.get(own.segment)
    if (others === undefined) segments.set(own.segment, [own])
    else others.push(own)
  }
  const host = hostMachine(plan, outside, attach)
  const machines = [host]
  for (const container of topology.containers) {
    if (!container.enabled || container.networkNamespace || !isPrivate(container)) continue
    machines.push(containerMachine(plan, container, attach))
  }
  for (const vm of topology.vms) if (vm.enabled) machines.push(vmMachine(plan, vm, attach))
  for (const network of outside) machines.push(...outsideMachines(plan, network, attach))
  const byPlace = new Map(machines.toReversed().map(machine => [placeKey(machine.place), machine]))
  const owners = new Map<string, Interface>()
  for (const [segment, members] of segments)
    for (const own of members)
      for (const addr of own.addresses) {
        const key = `${segment} ${keyOf(addr)}`
        if (!owners.has(key)) owners.set(key, own)
      }
  const onHost = new Map(host.interfaces.map(own => [own.segment, own]))
  const hears = (from: Interface, to: Interface): boolean =>
    from.machine !== to.machine &&
    !((from.apart && to.machine === host) || (to.apart && from.machine === host))
  return {
    plan,
    host,
    machines,
    outside,
    machineAt: place => byPlace.get(placeKey(place)),
    neighbour: (from, addr) => {
      const owner = owners.get(`${from.segment} ${keyOf(addr)}`)
      if (owner !== undefined && hears(from, owner)) return owner
      // The host answers ARP on every link on which it has an address, for each of its addresses (arp_ignore).
      const own = onHost.get(from.segment)
      if (own === undefined || !hears(from, own) || addr.family === 6) return undefined
      const speaks = own.addresses.some(({ family }) => family === 4)
      if (speaks && host.local.has(keyOf(addr))) return own
      const way = own.proxyARP && speaks ? host.routes[4].get(addr) : undefined
      return way !== undefined && way.interface !== own ? own : undefined
    }
  }
}

type Attach = (own: Interface) => void

const tables = (): Machine['routes'] => ({ 4: new PrefixMap(), 6: new PrefixMap() })

/** Segments: a bridge, a pair, or what a card of the host is plugged into. */
const bridgeSegment = (name: string): string => `bridge ${name}`
const pairSegment = (hostIfname: string): string => `pair ${hostIfname}`
const cardSegment = (plan: Plan, name: string): string =>
  plan.bridges.has(name) ? bridgeSegment(name) : `card ${name}`

const segmentOf = (plan: Plan, link: Link): string => {
  if (link.bridgeName !== undefined) return bridgeSegment(link.bridgeName)
  if (link.kind === 'veth' || link.kind === 'tap') return pairSegment(link.hostIfname)
  const entry = [...(link.container?.macvlans ?? []), ...(link.container?.interfaces ?? [])].find(
    ({ at }) => at === link.at
  )
  return cardSegment(plan, hostName(entry?.name ?? link.ifname))
}

/** Routes in the order in which they are set: of two to one destination the kernel keeps the first, `replace` the last. */
const fill = (
  machine: Machine,
  entries: readonly {
    readonly destination: Prefix
    readonly via: Addr | undefined
    readonly ifname: string | undefined
    readonly source: string
    readonly at: Path
  }[]
): void => {
  const byName = new Map(machine.interfaces.map(own => [own.name, own]))
  const found = new Map<string, Route>()
  const onLink = (addr: Addr): Interface | undefined => {
    let best: Route | undefined
    for (const route of found.values())
      if (route.via === undefined && contains(route.destination, addr))
        if (best === undefined || route.destination.bits > best.destination.bits) best = route
    return best?.interface
  }
  for (const { destination, via, ifname, source, at } of entries) {
    const own = ifname === undefined ? (via === undefined ? undefined : onLink(via)) : byName.get(ifname)
    // The kernel takes no route by a router that it cannot reach.
    if (own === undefined || (via !== undefined && onLink(via) !== own && !isLinkLocal6(via))) continue
    const key = formatPrefix(destination)
    if (found.has(key) && source !== 'defaultGateway') continue
    const kernels = source === 'address' ? own.addresses.find(addr => contains(destination, addr)) : undefined
    found.set(key, { destination, via, interface: own, source: kernels, at })
  }
  for (const route of found.values()) machine.routes[route.destination.family].add(route.destination, route)
}

const connected = (
  own: Interface
): readonly {
  readonly destination: Prefix
  readonly via: undefined
  readonly ifname: string
  readonly source: string
  readonly at: Path
}[] =>
  own.addresses
    .filter(({ family, bits }) => family === 6 || bits < 32)
    .map(addr => ({
      destination: masked(addr),
      via: undefined,
      ifname: own.name,
      source: 'address',
      at: own.at
    }))

const prefixesOf = (texts: readonly { readonly prefix: Prefix | undefined }[]): readonly Prefix[] =>
  texts.flatMap(({ prefix }) => (prefix === undefined || prefix.value === 0n ? [] : [prefix]))

const hostMachine = (plan: Plan, outside: readonly Outside[], attach: Attach): Machine => {
  const { topology, bridges, pairs } = plan
  const { host } = topology
  const shared = topology.containers.filter(container => container.enabled && !isPrivate(container))
  const machine: Machine = {
    place: { kind: 'host' },
    interfaces: [],
    routes: tables(),
    local: new Set(),
    forwards: { 4: forwardsHost(plan, 4), 6: forwardsHost(plan, 6) },
    firewall: host.firewall,
    input: inputFilter(host.firewall),
    nat: topology.nat?.enable === true ? topology.nat : undefined,
    listens: [...host.listens, ...shared.flatMap(({ listens }) => listens)],
    container: undefined,
    at: host.at
  }
  const given = new Map(outside.map(network => [network.ifname, network]))
  const addresses = (name: string, written: readonly Prefix[]): readonly Prefix[] => {
    const more = (given.get(name)?.networks ?? []).map(network => network.host)
    return [...written, ...more.filter(addr => !written.some(own => own.family === addr.family))]
  }
  for (const { bridge } of bridges.values())
    attach({
      machine,
      name: bridge.name,
      segment: bridgeSegment(bridge.name),
      addresses: addresses(bridge.name, prefixesOf(bridge.addresses)),
      apart: false,
      proxyARP: bridge.proxyARP,
      at: bridge.at
    })
  const ports = new Set(
    [...bridges.values()].flatMap(({ bridge }) => bridge.interfaces.map(({ name }) => name))
  )
  const cards = new Map(host.configured.map(card => [card.name, card]))
  for (const name of new Set([...cards.keys(), ...given.keys()]))
    if (!ports.has(name) && !bridges.has(name))
      attach({
        machine,
        name,
        segment: cardSegment(plan, name),
        addresses: addresses(name, prefixesOf(cards.get(name)?.addresses ?? [])),
        apart: false,
        proxyARP: cards.get(name)?.proxyARP ?? false,
        at: cards.get(name)?.at ?? host.at
      })
  for (const { hostIfname, hostAddresses, at } of pairs)
    attach({
      machine,
      name: hostIfname,
      segment: pairSegment(hostIfname),
      addresses: prefixesOf(hostAddresses),
      apart: false,
      proxyARP: false,
      at
    })
  const routers = outside
    .filter(({ leadsOut }) => leadsOut)
    .flatMap(({ ifname, networks }) =>
      networks.map(({ router }) => ({
        destination: { family: router.family, value: 0n, bits: 0 },
        via: router,
        ifname,
        source: 'dhcp',
        at: host.at
      }))
    )
  const written = [
    ...Array.from(bridges.values(), ({ bridge }) => bridge),
    ...host.configured.filter(({ name }) => !bridges.has(name))
  ].flatMap(({ name, routes }) =>
    routes.flatMap(({ at, destination, via, interface: ifname }) =>
      destination.prefix === undefined
        ? []
        : [
            {
              destination: masked(destination.prefix),
              via: via?.prefix,
              ifname: ifname ?? name,
              source: 'route',
              at
            }
          ]
    )
  )
  fill(machine, [...machine.interfaces.flatMap(connected), ...written, ...hostRoutes(plan), ...routers])
  return machine
}

/** Whether the host forwards packets of a family: NixOS's NAT, networkd's masquerading, sysctls, programs that need it. */
const forwardsHost = ({ topology }: Plan, family: Family): boolean => {
  const { nat, host, bridges } = topology
  const names =
    family === 4 ? ['net.ipv4.ip_forward', 'net.ipv4.conf.all.forwarding'] : ['net.ipv6.conf.all.forwarding']
  const written = names.flatMap(name => host.sysctl.get(name)?.value ?? [])
  const isOn = (value: string | number | boolean): boolean =>
    value === true || value === 'true' || Number(value) > 0
  if (written.some(value => !isOn(value)) && host.sysctl.has(names[0] ?? '')) return false
  if (written.some(isOn)) return true
  if (nat?.enable === true && (family === 4 || nat.enableIPv6)) return true
  if (bridges.some(({ masquerade, forwarding }) => masquerade[family] || forwarding[family] === true))
    return true
  if (family === 4 && host.daemons.some(daemon => /docker|libvirtd|lxd|incus|kubernetes|k3s/.test(daemon)))
    return true
  return (host.networkd?.networks ?? []).some(({ sections }) =>
    ['IPMasquerade', 'IPForward', `IPv${family}Forwarding`].some(key =>
      (sections.get('networkConfig')?.settings.get(key) ?? []).some(({ text }) =>
        key === 'IPMasquerade'
          ? text === 'both' || text === `ipv${family}`
          : /^(yes|true|1|on|both)$/.test(text) || text === `ipv${family}`
      )
    )
  )
}

const containerMachine = (plan: Plan, container: Container, attach: Attach): Machine => {
  const links = plan.linksOf.get(container) ?? []
  const { nat } = container.inside
  const machine: Machine = {
    place: { kind: 'container', name: container.name },
    interfaces: [],
    routes: tables(),
    local: new Set(),
    forwards: { 4: nat?.enable === true, 6: nat?.enable === true && nat.enableIPv6 },
    firewall: container.firewall,
    input: inputFilter(container.firewall),
    nat: nat?.enable === true ? nat : undefined,
    listens: container.listens,
    container,
    at: container.at
  }
  attachLinks(plan, machine, links, attach)
  fill(machine, containerRoutes(plan, container))
  return machine
}

const attachLinks = (plan: Plan, machine: Machine, links: readonly Link[], attach: Attach): void => {
  for (const link of links)
    attach({
      machine,
      name: link.ifname,
      segment: segmentOf(plan, link),
      addresses: prefixesOf(link.addresses),
      apart: link.kind === 'macvlan',
      proxyARP: false,
      at: link.at
    })
}

const vmMachine = (plan: Plan, vm: Vm, attach: Attach): Machine => {
  const links = plan.linksOf.get(vm) ?? []
  const machine: Machine = {
    place: { kind: 'vm', name: vm.name },
    interfaces: [],
    routes: tables(),
    local: new Set(),
    forwards: { 4: false, 6: false },
    firewall: undefined,
    input: undefined,
    nat: undefined,
    listens: vm.listens,
    container: undefined,
    at: vm.at
  }
  attachLinks(plan, machine, links, attach)
  const gateways = [vm.defaultGateway, vm.defaultGateway6].filter(
    (gateway): gateway is Gateway => gateway !== undefined
  )
  fill(machine, [
    ...machine.interfaces.flatMap(connected),
    ...gateways.flatMap(({ address: { prefix }, interface: ifname, at }) =>
      prefix === undefined
        ? []
        : [
            {
              destination: { family: prefix.family, value: 0n, bits: 0 },
              via: prefix,
              ifname,
              source: 'defaultGateway',
              at
            }
          ]
    )
  ])
  return machine
}

const stranger = (place: Place): Machine => ({
  place,
  interfaces: [],
  routes: tables(),
  local: new Set(),
  forwards: { 4: place.kind === 'internet', 6: place.kind === 'internet' },
  firewall: undefined,
  input: undefined,
  nat: undefined,
  listens: [],
  container: undefined,
  at: []
})

/** The LAN's machine, and where the internet is behind it the router, which stands for all of the internet. */
const outsideMachines = (
  plan: Plan,
  { ifname, leadsOut, networks }: Outside,
  attach: Attach
): readonly Machine[] => {
  const lan = stranger({ kind: 'lan' })
  const internet = stranger({ kind: 'internet' })
  const segment = cardSegment(plan, ifname)
  const on = (machine: Machine, name: string, addresses: readonly Prefix[]): void =>
    attach({ machine, name, segment, addresses, apart: false, proxyARP: false, at: [] })
  const within = (addr: Addr, { host }: { readonly host: Prefix }): Prefix => ({ ...addr, bits: host.bits })
  on(
    lan,
    'eth0',
    networks.map(network => within(network.lan, network))
  )
  fill(lan, [
    ...lan.interfaces.flatMap(connected),
    ...networks
      .filter(() => leadsOut)
      .map(({ router }) => ({
        destination: { family: router.family, value: 0n, bits: 0 },
        via: router,
        ifname: 'eth0',
        source: 'dhcp',
        at: []
      }))
  ])
  if (!leadsOut) return [lan]
  on(
    internet,
    'eth0',
    networks.map(network => within(network.router, network))
  )
  attach({
    machine: internet,
    name: 'lo',
    segment: 'internet',
    addresses: INTERNET.filter(({ family }) => networks.some(({ host }) => host.family === family)).map(
      addr => ({
        ...addr,
        bits: addr.family === 4 ? 32 : 128
      })
    ),
    apart: false,
    proxyARP: false,
    at: []
  })
  fill(internet, internet.interfaces.filter(({ name }) => name === 'eth0').flatMap(connected))
  return [lan, internet]
}
