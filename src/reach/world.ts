import type {
  AddressText,
  Container,
  Firewall,
  Gateway,
  Listen,
  Macvlan,
  MacvlanMode,
  Nat,
  Vm
} from '../model/topology.ts'
import { type Addr, addrKey, type AddrKey, type Family, isLinkLocal6, width } from '../net/addr.ts'
import { ifnameFault } from '../net/ifname.ts'
import { contains, first, formatPrefix, hasBroadcast, last, masked, type Prefix } from '../net/prefix.ts'
import { PrefixMap } from '../net/set.ts'
import { asRead, type Failure, failuresOf, type Guarded, isMade, refusedValue } from '../plan/failures.ts'
import { type InputFilter, inputFilter } from '../plan/firewall.ts'
import { type ForwardRules, forwardRules } from '../plan/forward-rules.ts'
import { forwardsHost } from '../plan/forwarding.ts'
import { cardOf, deletedLinks, hostEnds, hostName, isPrivate, realParent } from '../plan/links.ts'
import type { Link, Plan } from '../plan/plan.ts'
import { answersForOthers } from '../plan/proxies.ts'
import { containerRoutes, hostRoutes, writtenRoutes } from '../plan/routes.ts'
import { byHand, networkdBridges, unitOf } from '../plan/units.ts'
import { classBits } from '../plan/releases.ts'
import type { Path } from '../text/path.ts'
import { type Place, placeName } from './flow.ts'
import { mainRoutes, type Outside, outsideOf, takesOnLink, unitGateway } from './outside.ts'

/** An interface of a machine, on the link that it shares with its neighbours. */
export interface Interface {
  readonly machine: Machine
  readonly name: string
  readonly segment: string
  readonly addresses: readonly Prefix[]
  /** The mode of a macvlan, which does not hear its parent, and hears others only in bridge mode. */
  readonly macvlan: MacvlanMode | undefined
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
  /** Others to the same destination: an answer to a ping in IPv6 takes the one through the interface that was asked. */
  readonly beside: readonly Route[]
  readonly at: Path
}

/** A machine with a network of its own: the host, a container or VM, or one outside. */
export interface Machine {
  readonly place: Place
  readonly interfaces: Interface[]
  readonly routes: Record<Family, PrefixMap<Route>>
  /** Every address that it has. */
  readonly local: Set<AddrKey>
  /** The highest address of each of its networks, which means everybody there. */
  readonly broadcasts: Set<AddrKey>
  readonly forwards: Readonly<Record<Family, boolean>>
  readonly firewall: Firewall | undefined
  readonly input: InputFilter | undefined
  /** Whether its firewall has rules for a family at all: that of iptables has none for an IPv6 that is switched off. */
  readonly guards: Readonly<Record<Family, boolean>>
  readonly nat: Nat | undefined
  /** The rules of its own for what it forwards, where it filters that. */
  readonly forwardRules: ForwardRules | undefined
  readonly listens: readonly Listen[]
  readonly container: Container | undefined
  /** Why it does not start. It has its addresses then, but nobody hears it, nor does it hear anybody. */
  readonly failure: Failure | undefined
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
  /** The first machine of a name, or `host`, `lan`, `internet`. */
  readonly machineOf: (name: string) => Machine | undefined
  /** The first machine that has an address. */
  readonly ownerOf: (addr: Addr) => Machine | undefined
  /** Whose interface on a link has an address. */
  readonly neighbour: (from: Interface, addr: Addr) => Interface | undefined
  /** Whether several machines on a link have it, or several interfaces of the host: who answers is chance. Undefined where that is so nowhere. */
  readonly isDoubled: ((from: Interface, addr: Addr) => boolean) | undefined
}

export const worldOf = (plan: Plan): World => {
  const { topology } = plan
  const outside = outsideOf(plan)
  const segments = new Map<string, Interface[]>()
  const attach = (own: Interface): void => {
    own.machine.interfaces.push(own)
    for (const addr of own.addresses) {
      own.machine.local.add(addrKey(addr))
      if (hasBroadcast(addr.family, addr.bits))
        own.machine.broadcasts.add(addrKey({ family: 4, value: last(addr).value }))
    }
    const others = segments.get(own.segment)
    if (others === undefined) segments.set(own.segment, [own])
    else others.push(own)
  }
  const failures = failuresOf(plan)
  const host = hostMachine(plan, outside, failures, attach)
  const machines = [host]
  for (const container of topology.containers) {
    if (!container.enabled || container.networkNamespace || !isPrivate(container)) continue
    machines.push(containerMachine(plan, container, failures.get(container), attach))
  }
  for (const vm of topology.vms) if (vm.enabled) machines.push(vmMachine(plan, vm, attach))
  for (const network of outside) machines.push(...outsideMachines(plan, network, attach))
  const byKind = new Map<Place['kind'], Map<string, Machine>>()
  for (const machine of machines) {
    const { kind } = machine.place
    const others = byKind.get(kind) ?? new Map<string, Machine>()
    byKind.set(kind, others)
    const name = placeName(machine.place)
    if (!others.has(name)) others.set(name, machine)
  }
  const byName = new Map(machines.toReversed().map(machine => [placeName(machine.place), machine]))
  const byAddress = new Map<AddrKey, Machine>()
  for (const machine of machines)
    for (const key of machine.local) if (!byAddress.has(key)) byAddress.set(key, machine)
  const owners = new Map<string, Map<AddrKey, Interface>>()
  const doubled = new Map<string, Set<AddrKey>>()
  const double = (segment: string, key: AddrKey): void => {
    const others = doubled.get(segment)
    if (others === undefined) doubled.set(segment, new Set([key]))
    else others.add(key)
  }
  for (const [segment, members] of segments) {
    const found = new Map<AddrKey, Interface>()
    owners.set(segment, found)
    for (const addressesOf of [({ addresses }: Interface): readonly Addr[] => addresses, anycastOf])
      for (const own of members)
        for (const addr of addressesOf(own)) {
          const key = addrKey(addr)
          const owner = found.get(key)
          if (owner === undefined) found.set(key, own)
          else if (owner.machine !== own.machine) double(segment, key)
        }
  }
  // Of several interfaces of the host on a link its card or bridge is the first to answer: macvlans on it hear later.
  const onHost = new Map<string, readonly Interface[]>()
  for (const own of host.interfaces) {
    const others = onHost.get(own.segment) ?? []
    onHost.set(own.segment, own.macvlan === undefined ? [own, ...others] : [...others, own])
  }
  const speaks = ({ addresses }: Interface): boolean => addresses.some(({ family }) => family === 4)
  // The host speaks for all of its addresses on each link.
  for (const [segment, found] of owners) {
    if (onHost.get(segment)?.some(speaks) !== true) continue
    for (const [key, { machine }] of found)
      if (machine !== host && typeof key === 'number' && host.local.has(key)) double(segment, key)
  }
  // Which of several interfaces of the host is known for an address, who has spoken before decides, and which macvlan is first.
  for (const [segment, own] of onHost)
    if (own.filter(speaks).length > 1)
      for (const key of host.local) if (typeof key === 'number') double(segment, key)
  const hears = (from: Interface, to: Interface): boolean => {
    if (from.machine === to.machine) return false
    if (from.macvlan !== undefined && to.macvlan !== undefined)
      return from.macvlan === 'bridge' && to.macvlan === 'bridge'
    return !(
      (from.macvlan !== undefined && isParent(plan, to)) ||
      (to.macvlan !== undefined && isParent(plan, from))
    )
  }
  return {
    plan,
    host,
    machines,
    outside,
    machineAt: place => byKind.get(place.kind)?.get(placeName(place)),
    machineOf: name => byName.get(name),
    isDoubled:
      doubled.size === 0
        ? undefined
        : ({ segment }, addr) => doubled.get(segment)?.has(addrKey(addr)) === true,
    ownerOf: addr => byAddress.get(addrKey(addr)),
    neighbour: (from, addr) => {
      const owner = owners.get(from.segment)?.get(addrKey(addr))
      const heard = (onHost.get(from.segment) ?? []).filter(own => addr.family === 4 && hears(from, own))
      // The host answers ARP on every link on which it has an address, for each of its addresses (arp_ignore).
      const answering = host.local.has(addrKey(addr)) ? heard.find(speaks) : undefined
      if (owner !== undefined && hears(from, owner))
        return owner.machine === host && answering?.macvlan === undefined ? (answering ?? owner) : owner
      if (answering !== undefined) return answering
      // It is a proxy only as a router (arp_process of the kernel).
      return heard.find(own => {
        const way = own.proxyARP && speaks(own) && host.forwards[4] ? host.routes[4].get(addr) : undefined
        return way !== undefined && way.interface !== own
      })
    }
  }
}

/** Whether it is what the macvlans on its link stand on: the host's card or bridge, which may have moved into a container. */
const isParent = (plan: Plan, { machine: { place, container }, segment }: Interface): boolean =>
  place.kind === 'host' ||
  container?.interfaces.some(({ name }) => cardSegment(plan, hostName(name)) === segment) === true

/** A router has the lowest address of each of its IPv6 networks as well (RFC 4291 section 2.6.1). */
const anycastOf = ({ machine, addresses }: Interface): readonly Addr[] =>
  machine.forwards[6]
    ? addresses.flatMap(addr => (addr.family === 6 && addr.bits < 127 ? [first(addr)] : []))
    : []

type Attach = (own: Interface) => void

const tables = (): Machine['routes'] => ({ 4: new PrefixMap(), 6: new PrefixMap() })

/** Segments: a bridge, a pair, or what a card of the host is plugged into. */
const bridgeSegment = (name: string): string => `bridge ${name}`
const pairSegment = (hostIfname: string): string => `pair ${hostIfname}`
const cardSegment = (plan: Plan, name: string): string => {
  const card = realParent(plan.topology, name)
  return plan.bridges.has(card) ? bridgeSegment(card) : `card ${card}`
}

const segmentOf = (plan: Plan, link: Link): string => {
  const bridge = link.kind === 'tap' ? bridgeOfTap(plan, link) : link.bridgeName
  if (bridge !== undefined) return bridgeSegment(bridge)
  if (link.kind === 'veth' || link.kind === 'tap') return pairSegment(link.hostIfname)
  return cardSegment(plan, cardOf(link))
}

/** The bridge of a machine's tap: a unit by hand may take it by its name, and a MicroVM's is plugged in by a unit alone. */
const bridgeOfTap = (plan: Plan, { bridgeName, hostIfname }: Link): string | undefined =>
  byHand(plan, { name: hostIfname, kind: 'tun' })?.bridge.at(-1)?.name ?? bridgeName

/** A route as it is asked for. */
interface Entry {
  readonly destination: Prefix
  readonly via: Addr | undefined
  readonly ifname: string | undefined
  readonly source: string
  /** Whether the router counts as reachable whatever the addresses are. */
  readonly onLink?: boolean
  readonly at: Path
}

/** Routes in the order in which they are set: of two to one destination the kernel keeps the first, `replace` the last. */
const fill = (machine: Machine, entries: readonly Entry[]): void => {
  const byName = new Map(machine.interfaces.map(own => [own.name, own]))
  const found = new Map<string, Route>()
  let isSetUp = true
  const beside = new Map<string, Route[]>()
  const onLink = (addr: Addr): Interface | undefined => {
    let best: Route | undefined
    for (const route of found.values())
      if (route.via === undefined && contains(route.destination, addr))
        if (best === undefined || route.destination.bits > best.destination.bits) best = route
    return best?.interface
  }
  // By an interface that is named a router is looked for there alone, whatever else leads to its network.
  const near = new Map<Interface, PrefixMap<true>>()
  const isBy = (own: Interface, addr: Addr): boolean => near.get(own)?.get(addr) !== undefined
  for (const { destination, via, ifname, source, onLink: isNear = false, at } of entries) {
    const own = ifname === undefined ? (via === undefined ? undefined : onLink(via)) : byName.get(ifname)
    // The kernel takes no route by a router that it cannot reach.
    const isTaken =
      own !== undefined &&
      (via === undefined || isNear || ifname === undefined || isBy(own, via) || isLinkLocal6(via)) &&
      (via === undefined || !machine.broadcasts.has(addrKey(via))) &&
      // "Gateway can not be a local address."
      (via?.family !== 6 || !machine.local.has(addrKey(via)))
    // network-setup sets the gateways one after the other, and ends at the first that fails.
    if (source === 'defaultGateway') isSetUp &&= isTaken
    if (own === undefined || !isTaken || (source === 'defaultGateway' && !isSetUp)) continue
    const key = formatPrefix(destination)
    const other = found.get(key)
    if (via === undefined && (other === undefined || source === 'address')) {
      const known = near.get(own) ?? new PrefixMap<true>()
      near.set(own, known)
      known.add(destination, true)
    }
    if (other !== undefined && source !== 'defaultGateway') {
      if (destination.family === 6 && source === 'address')
        beside.get(key)?.push({ destination, via, interface: own, source: undefined, beside: [], at })
      continue
    }
    const kernels = source === 'address' ? own.addresses.find(addr => contains(destination, addr)) : undefined
    const others: Route[] = []
    beside.set(key, others)
    found.set(key, { destination, via, interface: own, source: kernels, beside: others, at })
  }
  for (const route of found.values()) machine.routes[route.destination.family].add(route.destination, route)
}

const connected = (own: Interface): readonly Entry[] =>
  own.addresses
    .filter(({ family, bits }) => family === 6 || bits < 32)
    .map(addr => ({
      destination: masked(addr),
      via: undefined,
      ifname: own.name,
      source: 'address',
      at: own.at
    }))

/** What the release's networkd makes of an address of a unit by hand without a length, and of the others what they say. */
const asSet =
  ({ releases }: Plan) =>
  (text: AddressText): AddressText =>
    text.bare && text.prefix !== undefined && text.at[1] === 'networkd' && releases.barePrefix === 'class'
      ? { ...text, prefix: { ...text.prefix, bits: classBits(text.prefix) } }
      : text

const prefixesOf = (texts: readonly { readonly prefix: Prefix | undefined }[]): readonly Prefix[] =>
  texts.flatMap(({ prefix }) => (prefix === undefined || prefix.value === 0n ? [] : [prefix]))

const hostMachine = (
  plan: Plan,
  outside: readonly Outside[],
  failures: ReadonlyMap<Container, Failure>,
  attach: Attach
): Machine => {
  const { topology, bridges, pairs } = plan
  const { host } = topology
  const shared = topology.containers.filter(
    container => container.enabled && !isPrivate(container) && !failures.has(container)
  )
  const machine: Machine = {
    place: { kind: 'host' },
    interfaces: [],
    routes: tables(),
    local: new Set(),
    broadcasts: new Set(),
    forwards: { 4: forwardsHost(plan, 4), 6: forwardsHost(plan, 6) },
    ...loaded({ firewall: host.firewall, nat: topology.nat, enableIPv6: host.enableIPv6 }),
    listens: [...host.listens, ...shared.flatMap(({ listens }) => listens)],
    container: undefined,
    failure: undefined,
    at: host.at
  }
  const given = new Map(outside.map(network => [network.ifname, network]))
  // Where IPv6 is switched off, networkd alone switches it on again for what it makes.
  const unitBridges = new Set(Array.from(networkdBridges(plan), ({ name }) => name))
  const addresses = (name: string, written: readonly Prefix[]): readonly Prefix[] => {
    const networks = (given.get(name)?.networks ?? []).filter(({ isGiven }) => isGiven)
    return [...written, ...networks.map(network => network.host)].filter(
      ({ family }) => family === 4 || host.enableIPv6 || unitBridges.has(name)
    )
  }
  const ports = new Set(
    [...bridges.values()].flatMap(({ bridge }) => bridge.interfaces.map(({ name }) => name))
  )
  const cards = new Map(host.configured.map(card => [card.name, card]))
  const moved = new Set(
    topology.containers.flatMap(container =>
      container.enabled && !failures.has(container)
        ? container.interfaces.map(({ name }) => hostName(name))
        : []
    )
  )
  const macvlans = new Set(host.macvlans.map(({ name }) => name))
  const isProxy = answersForOthers(plan)
  const ends = hostEnds(plan)
  const paired = new Set(pairs.map(({ hostIfname }) => hostIfname))
  const writtenAt = (name: string): readonly Prefix[] =>
    addresses(name, prefixesOf((cards.get(name)?.addresses ?? []).map(asSet(plan))))
  const byUnit = (name: string): readonly Prefix[] =>
    addresses(name, prefixesOf((byHand(plan, { name, kind: 'veth' })?.addresses ?? []).map(asSet(plan))))
  for (const name of new Set([...cards.keys(), ...given.keys()]))
    if (
      !ports.has(name) &&
      !bridges.has(name) &&
      !moved.has(name) &&
      !paired.has(name) &&
      !macvlans.has(name)
    )
      attach({
        machine,
        name,
        segment: ends.has(name) ? pairSegment(name) : cardSegment(plan, name),
        addresses: writtenAt(name),
        macvlan: undefined,
        proxyARP: isProxy(name, 4),
        at: cards.get(name)?.at ?? host.at
      })
  // After the cards: where an interface has no address the host speaks from its first, and cards are there first.
  // NixOS's scripts and networkd make bridges at the same time; those of the scripts are taken to be first.
  const made = Array.from(bridges.values(), ({ bridge }) => bridge).filter(bridge => isMade(topology, bridge))
  for (const isByUnit of [false, true])
    for (const bridge of made)
      if (unitBridges.has(bridge.name) === isByUnit)
        attach({
          machine,
          name: bridge.name,
          segment: bridgeSegment(bridge.name),
          addresses: addresses(
            bridge.name,
            prefixesOf(bridge.addresses.filter(isSet(plan, bridge.name)).map(asSet(plan)))
          ),
          macvlan: undefined,
          proxyARP: isProxy(bridge.name, 4),
          at: bridge.at
        })
  for (const { name, mode = 'vepa', at } of host.macvlans.filter(isOnCard(plan, ports)))
    attach({
      machine,
      name,
      segment: cardSegment(plan, name),
      addresses: writtenAt(name),
      macvlan: mode,
      proxyARP: isProxy(name, 4),
      at: cards.get(name)?.at ?? at
    })
  for (const { hostIfname, hostAddresses, at, container } of pairs)
    if (container === undefined || !failures.has(container))
      attach({
        machine,
        name: hostIfname,
        segment: pairSegment(hostIfname),
        addresses: [...prefixesOf(hostAddresses), ...writtenAt(hostIfname), ...byUnit(hostIfname)],
        macvlan: undefined,
        proxyARP: isProxy(hostIfname, 4),
        at
      })
  const routers = outside
    .filter(({ leadsOut }) => leadsOut)
    .flatMap(({ ifname, networks }) =>
      networks.flatMap(({ router }) =>
        isRouted(plan, router, ifname)
          ? []
          : [
              {
                destination: { family: router.family, value: 0n, bits: 0 },
                via: router,
                ifname,
                source: 'dhcp',
                at: host.at
              }
            ]
      )
    )
  // "Gateway= without static address configured. Enabling GatewayOnLink= option." (systemd-networkd)
  const unaddressed = new Set(
    topology.bridges
      .filter(({ name, addresses }) => unitBridges.has(name) && addresses.length === 0)
      .map(({ name }) => name)
  )
  const written = [
    ...Array.from(bridges.values(), ({ bridge }) => bridge),
    ...host.configured.filter(({ name }) => !bridges.has(name))
  ].flatMap(({ name, routes }) =>
    writtenRoutes(routes, name).map(route => ({ ...route, onLink: unaddressed.has(name) }))
  )
  const units = machine.interfaces.flatMap(({ name }) => unitRoutes(plan, name))
  // What is given comes when all that is written is there.
  const isGiven = ({ name, addresses }: Interface): boolean =>
    addresses.length > 0 && given.get(name)?.networks.some(({ isGiven }) => isGiven) === true
  const entries = [
    ...machine.interfaces.filter(own => !isGiven(own)).flatMap(connected),
    ...machine.interfaces.filter(isGiven).flatMap(connected),
    ...written,
    ...units,
    ...hostRoutes(plan),
    ...routers
  ]
  fill(
    machine,
    host.enableIPv6
      ? entries
      : entries.filter(
          ({ destination, ifname }) =>
            destination.family === 4 || ifname === undefined || unitBridges.has(ifname)
        )
  )
  return machine
}

/** Whether the kernel makes a macvlan of the host: on no loopback, and on no port of a bridge ("Device or resource busy"). */
const isOnCard =
  ({ topology, bridges }: Plan, ports: ReadonlySet<string>) =>
  ({ name }: Macvlan): boolean => {
    const card = realParent(topology, name)
    const bridge = bridges.get(card)?.bridge
    return (
      ifnameFault(name) === undefined &&
      ifnameFault(card) === undefined &&
      card !== name &&
      card !== 'lo' &&
      !ports.has(name) &&
      !ports.has(card) &&
      !bridges.has(name) &&
      (bridge === undefined || isMade(topology, bridge))
    )
  }

/** Whether an address of a bridge is set: of those in units by hand, only what the one unit has that networkd uses for it. */
const isSet = (plan: Plan, bridge: string): ((address: AddressText) => boolean) => {
  const used = byHand(plan, { name: bridge, kind: 'bridge' })
  return ({ at: [owner, room, list, file] }) =>
    used === undefined || owner !== 'host' || room !== 'networkd' || list !== 'networks' || file === used.file
}

/** Whether the file itself makes a router the default gateway, so that none has to be given. */
const isRouted = (plan: Plan, router: Addr, ifname: string): boolean => {
  const { host } = plan.topology
  const gateway = router.family === 4 ? host.defaultGateway : host.defaultGateway6
  return (
    gateway?.address.prefix?.value === router.value || unitGateway(plan, ifname, router.family) !== undefined
  )
}

/** The routes of a hand-written unit of networkd. */
const unitRoutes = (plan: Plan, ifname: string): readonly Entry[] => {
  const unit = unitOf(plan, ifname)
  const isTaken = takesOnLink(unit)
  return mainRoutes(unit).flatMap(({ at, gateway, destination, onLink: isWritten }) => {
    const onLink = isWritten || isTaken
    const via = gateway?.prefix
    const to = destination?.prefix
    const family = via?.family ?? to?.family
    if (family === undefined || (gateway !== undefined && via === undefined)) return []
    const route = { via, ifname, source: 'route', at }
    return [
      ...(onLink && via !== undefined
        ? [{ ...route, destination: { ...via, bits: width(family) }, via: undefined }]
        : []),
      { ...route, destination: to === undefined ? { family, value: 0n, bits: 0 } : masked(to) }
    ]
  })
}

/** A machine's firewall and NAT, as far as they are loaded: of rules with a value that is refused few or none are. */
const loaded = (
  guarded: Guarded
): Pick<Machine, 'firewall' | 'input' | 'guards' | 'nat' | 'forwardRules'> => {
  const { firewall, nat, enableIPv6 } = guarded
  const guards = { 4: true, 6: enableIPv6 || firewall.backend === 'nftables' }
  if (refusedValue(guarded) === undefined)
    return {
      firewall,
      input: inputFilter(firewall),
      guards,
      forwardRules:
        firewall.filterForward === undefined ? undefined : forwardRules(firewall.extraForwardRules),
      nat: nat?.enable === true ? asRead({ ...nat, enableIPv6: nat.enableIPv6 && guards[6] }) : undefined
    }
  return firewall.backend === 'iptables'
    ? { firewall, input: OPEN, guards, nat: undefined, forwardRules: undefined }
    : {
        firewall: { ...firewall, enable: false },
        input: OPEN,
        guards,
        nat: undefined,
        forwardRules: undefined
      }
}

const OPEN: InputFilter = { trusts: () => true, opens: () => true }

const containerMachine = (
  plan: Plan,
  container: Container,
  failure: Failure | undefined,
  attach: Attach
): Machine => {
  const links = plan.linksOf.get(container) ?? []
  const { nat } = container.inside
  const machine: Machine = {
    place: { kind: 'container', name: container.name },
    interfaces: [],
    routes: tables(),
    local: new Set(),
    broadcasts: new Set(),
    forwards: { 4: nat?.enable === true, 6: nat?.enable === true && nat.enableIPv6 },
    ...loaded({ firewall: container.firewall, nat, enableIPv6: true }),
    listens: container.listens,
    container,
    failure,
    at: container.at
  }
  attachLinks(plan, machine, links, attach)
  const inner = failure === undefined ? attachInner(machine, container, attach) : []
  if (failure === undefined) fill(machine, [...inner.flatMap(connected), ...containerRoutes(plan, container)])
  return machine
}

/** The bridges and VLANs inside: a bridge is on the link that one of its ports is on, nobody else is in a VLAN. */
const attachInner = (machine: Machine, container: Container, attach: Attach): readonly Interface[] => {
  const { bridges, vlans, interfaces } = container.inside
  if (bridges.length + vlans.length === 0) return []
  const known = new Map(machine.interfaces.map(({ name, segment }) => [name, segment]))
  const written = new Map(interfaces.map(entry => [entry.name, entry.addresses]))
  const inner = [...vlans, ...bridges].flatMap((entry): readonly Interface[] => {
    if (known.has(entry.name) || ifnameFault(entry.name) !== undefined) return []
    const ports = 'interfaces' in entry ? entry.interfaces : []
    const addresses = [...('addresses' in entry ? entry.addresses : []), ...(written.get(entry.name) ?? [])]
    const segment =
      ports.flatMap(({ name }) => known.get(name) ?? [])[0] ?? `inside ${container.name} ${entry.name}`
    known.set(entry.name, segment)
    return [
      {
        machine,
        name: entry.name,
        segment,
        addresses: prefixesOf(addresses),
        macvlan: undefined,
        proxyARP: false,
        at: entry.at
      }
    ]
  })
  for (const own of inner) attach(own)
  return inner
}

const attachLinks = (plan: Plan, machine: Machine, links: readonly Link[], attach: Attach): void => {
  const deleted = deletedLinks(plan)
  for (const link of links)
    if (!deleted.has(link))
      attach({
        machine,
        name: link.ifname,
        segment: machine.failure === undefined ? segmentOf(plan, link) : `nowhere ${link.node.name}`,
        addresses: prefixesOf(link.addresses),
        macvlan: link.kind === 'macvlan' ? 'bridge' : undefined,
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
    broadcasts: new Set(),
    forwards: { 4: false, 6: false },
    firewall: undefined,
    input: undefined,
    guards: { 4: true, 6: true },
    nat: undefined,
    forwardRules: undefined,
    listens: vm.listens,
    container: undefined,
    failure: undefined,
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
  broadcasts: new Set(),
  forwards: { 4: place.kind === 'internet', 6: place.kind === 'internet' },
  firewall: undefined,
  input: undefined,
  guards: { 4: true, 6: true },
  nat: undefined,
  forwardRules: undefined,
  listens: [],
  container: undefined,
  failure: undefined,
  at: []
})

/** The LAN's machine, and where the internet is behind it the router, which stands for all of the internet. */
const outsideMachines = (
  plan: Plan,
  { ifname, leadsOut, networks, internet }: Outside,
  attach: Attach
): readonly Machine[] => {
  const lan = stranger({ kind: 'lan' })
  const router = stranger({ kind: 'internet' })
  const segment = cardSegment(plan, ifname)
  const on = (machine: Machine, name: string, addresses: readonly Prefix[]): void =>
    attach({ machine, name, segment, addresses, macvlan: undefined, proxyARP: false, at: [] })
  const within = (addr: Addr, { host }: { readonly host: Prefix }): Prefix => ({ ...addr, bits: host.bits })
  on(
    lan,
    'eth0',
    networks.flatMap(network => (network.lan === undefined ? [] : [within(network.lan, network)]))
  )
  fill(lan, [
    ...lan.interfaces.flatMap(connected),
    ...networks
      .filter(network => leadsOut && network.lan !== undefined)
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
    router,
    'eth0',
    networks.map(network => within(network.router, network))
  )
  attach({
    machine: router,
    name: 'lo',
    segment: 'internet',
    addresses: internet.map(addr => ({ ...addr, bits: width(addr.family) })),
    macvlan: undefined,
    proxyARP: false,
    at: []
  })
  fill(router, [
    ...router.interfaces.filter(({ name }) => name === 'eth0').flatMap(connected),
    // The router may have an address of another network than that of the link.
    ...networks.map(({ host }) => ({
      destination: masked(host),
      via: undefined,
      ifname: 'eth0',
      source: 'route',
      at: []
    }))
  ])
  return [lan, router]
}
