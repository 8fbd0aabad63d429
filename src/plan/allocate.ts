import type {
  AddressText,
  Bridge,
  Container,
  ContainerForward,
  Gateway,
  Pool,
  PortRange,
  Protocol,
  RareOption,
  Route,
  Topology,
  Veth,
  Vm
} from '../model/topology.ts'
import { type Addr, type Family, formatAddr, sameAddr, width } from '../net/addr.ts'
import {
  bitsFor,
  contains,
  first,
  firstUsable,
  formatPrefix,
  last,
  masked,
  type Prefix
} from '../net/prefix.ts'
import {
  type Allocator,
  allocator,
  free,
  freeHosts,
  intersect,
  type Range,
  rangeOf,
  type Space,
  spaceOfAddrs,
  spaceOfPrefixes,
  spaceOfRanges,
  subtract
} from '../net/space.ts'
import type { Path } from '../text/path.ts'
import { familyOf, openBridges } from './bridges.ts'
import { type Allocation, FAMILIES, type Unallocated } from './plan.ts'
import { portClaims } from './ports.ts'

// What `auto` becomes. It depends on nothing but the file: everything that is written is taken, and then each `auto`, in
// the file's order, gets the lowest that is left; so what is added at the end moves nobody, and what is written stays.

/** Where IPv4 is taken from when the file has no pool of it: private, and used by no program that is known. */
export const OWN_POOL: Prefix = { family: 4, value: 0x0ae70000n, bits: 16 }

/** Where host ports are taken from: below those that the kernel gives to connections (ip_local_port_range). */
export const OWN_PORTS: PortRange = { from: 20000, to: 29999 }

/** What nixos-container gives to containers that are made by hand (nixos-container.pl). */
export const IMPERATIVE: Prefix = { family: 4, value: 0x0ae90000n, bits: 16 }

/** The length of an IPv6 subnet, whoever is on it (RFC 4291 section 2.5.4). */
export const SUBNET6 = 64

export interface Allocated {
  readonly topology: Topology
  readonly allocations: readonly Allocation[]
  readonly unallocated: readonly Unallocated[]
}

/** Chooses a value for every `auto`; the topology has them then. One without any is given back as it is. */
export const allocate = (topology: Topology): Allocated =>
  topology.seen.auto || topology.having.forwardPorts.some(({ veth }) => veth.forwardPorts.some(isAutoPort))
    ? chosen(topology)
    : { topology, allocations: [], unallocated: [] }

const isAutoPort = ({ hostPort }: ContainerForward): boolean => hostPort === undefined

const chosen = (topology: Topology): Allocated => {
  const allocations: Allocation[] = []
  const unallocated: Unallocated[] = []
  const values = new Map<AddressText, readonly AddressText[]>()
  const members = membersOf(topology)
  const state: State = {
    taken: takenBy(topology, members),
    pools: poolsOf(topology),
    open: openBridges(topology),
    hosts: new Map(),
    value: text => values.get(text)?.[0] ?? text,
    give: (text, kind, prefixes, bare, pool) => {
      const texts = prefixes.map(prefix => (bare ? formatAddr(prefix) : formatPrefix(prefix)))
      values.set(
        text,
        prefixes.map((prefix, i) => ({ ...text, prefix, bare, text: texts[i] ?? '' }))
      )
      allocations.push({ at: text.at, kind, values: texts, pool })
    },
    refuse: entry => unallocated.push(entry)
  }
  for (const bridge of topology.bridges) chooseSubnets(state, bridge, members.get(bridge.name) ?? [])
  const bridges = new Map(
    topology.bridges.map(({ name, at, addresses }) => [
      name,
      { name, at, addresses: addresses.flatMap(text => values.get(text) ?? [text]) }
    ])
  )
  for (const { addresses } of topology.host.interfaces) refuseAlone(state, addresses)
  for (const container of topology.containers) chooseAddresses(state, container, bridges)
  for (const vm of topology.vms)
    for (const { hostBridge, addresses } of vm.interfaces)
      for (const text of addresses) if (text.auto) chooseOnBridge(state, text, hostBridge, bridges)
  const ports = choosePorts(topology, allocations, unallocated)
  return { topology: filledIn(topology, values, ports), allocations, unallocated }
}

interface State {
  readonly taken: Taken
  readonly pools: readonly Source[]
  /** The bridges on which there are machines that the file does not know. */
  readonly open: ReadonlySet<string>
  /** The hosts that are left on each network that some were taken from, by its name and text. */
  readonly hosts: Map<string, Allocator>
  /** What a text has become. */
  readonly value: (text: AddressText) => AddressText
  readonly give: (
    text: AddressText,
    kind: Allocation['kind'],
    prefixes: readonly Prefix[],
    bare: boolean,
    pool: string | undefined
  ) => void
  readonly refuse: (entry: Unallocated) => void
}

// What is written

interface Taken {
  /** Networks that are somebody's, in order of their lowest address. */
  readonly networks: Readonly<Record<Family, readonly Prefix[]>>
  /** Single addresses and ranges of them. */
  readonly single: Readonly<Record<Family, Space>>
  /** Both. */
  readonly all: Readonly<Record<Family, Space>>
}

const takenBy = (topology: Topology, members: Members): Taken => {
  const { host, bridges, containers, vms, reserved, pools, nat } = topology
  const networks: Prefix[] = [IMPERATIVE]
  const single: { readonly family: Family; readonly range: Range }[] = []
  const network = ({ prefix }: AddressText): void => {
    if (prefix === undefined) return
    networks.push(masked(prefix))
    one(prefix)
  }
  const one = (addr: Addr | undefined): void => {
    if (addr !== undefined)
      single.push({ family: addr.family, range: { first: addr.value, last: addr.value } })
  }
  const span = (range: { readonly from: Addr; readonly to: Addr } | undefined): void => {
    if (range !== undefined)
      single.push({ family: range.from.family, range: { first: range.from.value, last: range.to.value } })
  }
  const routers = (routes: readonly Route[]): void => {
    for (const { via } of routes) one(via?.prefix)
  }
  for (const { name, addresses, virtualAddresses, routes } of bridges) {
    for (const text of addresses) network(text)
    // Without an address of the family a bridge is in the network of its members.
    const own = new Set(addresses.map(({ prefix }) => prefix?.family))
    for (const text of members.get(name) ?? []) if (!own.has(text.prefix?.family)) network(text)
    routers(routes)
    for (const { prefix } of virtualAddresses) one(prefix)
  }
  for (const { addresses, routes } of host.configured) {
    for (const text of addresses) network(text)
    routers(routes)
  }
  for (const { prefix } of [...host.virtualAddresses, ...host.nameservers, ...host.resolvConf]) one(prefix)
  for (const node of [host, ...containers, ...vms])
    for (const { address } of gateways(node)) one(address.prefix)
  for (const { prefix } of reserved) if (prefix.prefix !== undefined) networks.push(masked(prefix.prefix))
  for (const { range } of host.dhcpServers) span(range)
  for (const { exclude } of pools) for (const { addresses } of exclude) span(addresses)
  one(nat?.dmzHost?.prefix)
  for (const { destination } of nat?.forwardPorts ?? []) one(destination.address)
  for (const container of containers) {
    for (const veth of [container.veth, ...container.extraVeths])
      for (const text of ends(veth)) one(text?.prefix)
    for (const { addresses, routes } of container.inside.interfaces) {
      for (const text of addresses) network(text)
      routers(routes)
    }
    routers(container.routes)
    for (const { prefix } of container.virtualAddresses) one(prefix)
    for (const { prefix } of container.nameservers) one(prefix)
  }
  for (const { interfaces } of vms)
    for (const { addresses } of interfaces) for (const { prefix } of addresses) one(prefix)
  const singles = (family: Family): Space =>
    spaceOfRanges(
      family,
      single.filter(entry => entry.family === family).map(({ range }) => range)
    )
  const of = (family: Family): readonly Prefix[] =>
    networks
      .filter(prefix => prefix.family === family)
      .sort((a, b) => (a.value < b.value ? -1 : a.value > b.value ? 1 : 0))
  const all = (family: Family): Space =>
    spaceOfRanges(family, [...singles(family).ranges, ...of(family).map(rangeOf)])
  return {
    networks: { 4: of(4), 6: of(6) },
    single: { 4: singles(4), 6: singles(6) },
    all: { 4: all(4), 6: all(6) }
  }
}

const ends = ({
  hostAddress,
  hostAddress6,
  localAddress,
  localAddress6
}: Veth): readonly (AddressText | undefined)[] => [hostAddress, localAddress, hostAddress6, localAddress6]

const gateways = ({
  defaultGateway,
  defaultGateway6
}: Pick<Container, 'defaultGateway' | 'defaultGateway6'>): readonly Gateway[] =>
  [defaultGateway, defaultGateway6].filter(gateway => gateway !== undefined)

/** The addresses of those on each bridge, by its name; also of those that are switched off. */
type Members = ReadonlyMap<string, readonly AddressText[]>

const membersOf = ({ containers, vms }: Topology): Members => {
  const found = new Map<string, AddressText[]>()
  const add = (bridge: string | undefined, texts: readonly (AddressText | undefined)[]): void => {
    if (bridge === undefined) return
    const others = found.get(bridge) ?? []
    found.set(bridge, others)
    for (const text of texts) if (text !== undefined) others.push(text)
  }
  for (const { veth, extraVeths } of containers)
    for (const { hostBridge, localAddress, localAddress6 } of [veth, ...extraVeths])
      add(hostBridge, [localAddress, localAddress6])
  for (const { interfaces } of vms)
    for (const { hostBridge, addresses } of interfaces) add(hostBridge, addresses)
  return found
}

// Pools

/** A pool, and what has been taken from it so far. */
interface Source {
  readonly name: string | undefined
  readonly prefix: Prefix
  readonly at: Path
  readonly text: string
  readonly left: (state: State) => Allocator
}

const poolsOf = ({ pools }: Topology): readonly Source[] => {
  const lefts = new Map<string, Source['left']>()
  const source = (name: string | undefined, prefix: Prefix, at: Path, text: string): Source => {
    const key = formatPrefix(prefix)
    const left = lefts.get(key) ?? leftOf(prefix)
    lefts.set(key, left)
    return { name, prefix, at, text, left }
  }
  const written = pools.flatMap(({ name, prefix: own }) =>
    own?.prefix === undefined ? [] : [source(name, masked(own.prefix), own.at, own.text)]
  )
  return written.some(({ prefix }) => prefix.family === 4)
    ? written
    : [...written, source(undefined, OWN_POOL, [], formatPrefix(OWN_POOL))]
}

/** What is left of a pool; what lies in a narrower one is taken from that one alone. */
const leftOf = (prefix: Prefix): Source['left'] => {
  let left: Allocator | undefined
  return ({ taken, pools }) => {
    if (left !== undefined) return left
    const inner = pools.flatMap(pool =>
      pool.prefix.bits > prefix.bits && contains(prefix, pool.prefix) ? [pool.prefix] : []
    )
    left = allocator(subtract(free(prefix, avoided(prefix, taken)), spaceOfPrefixes(prefix.family, inner)))
    return left
  }
}

/** What is taken, without the range of nixos-container for a pool that lies in it: whoever writes that wants it. */
const avoided = (pool: Prefix, { all, networks, single }: Taken): Space =>
  contains(IMPERATIVE, pool)
    ? spaceOfRanges(4, [
        ...single[4].ranges,
        ...networks[4].filter(network => network !== IMPERATIVE).map(rangeOf)
      ])
    : all[pool.family]

/** The pools that somebody takes from: the one of his name where there is one, else all in the file's order. */
const poolsFor = ({ pools }: State, family: Family, name: string): readonly Source[] => {
  const own = pools.filter(({ prefix }) => prefix.family === family)
  const named = own.filter(pool => pool.name === name)
  return named.length > 0 ? named : own
}

interface Taking<T> {
  readonly value: T
  readonly pool: Source
}

/** The first that any of these pools gives; an address or pair with the pool's own lowest or highest address is passed by. */
const takeFrom = <T extends Addr & { readonly bits?: number }>(
  state: State,
  pools: readonly Source[],
  take: (left: Allocator) => T | undefined,
  isSubnet: boolean
): Taking<T> | undefined => {
  for (const pool of pools) {
    const left = pool.left(state)
    for (let value = take(left); value !== undefined; value = take(left))
      if (isSubnet || !touchesEnd(pool.prefix, value)) return { value, pool }
  }
  return undefined
}

const touchesEnd = (pool: Prefix, addr: Addr & { readonly bits?: number }): boolean => {
  const taken: Prefix = { ...addr, bits: addr.bits ?? width(addr.family) }
  return sameAddr(first(taken), first(pool)) || sameAddr(last(taken), last(pool))
}

// Subnets of bridges

const chooseSubnets = (state: State, bridge: Bridge, members: readonly AddressText[]): void => {
  const wanted = bridge.addresses.filter(({ auto }) => auto)
  if (wanted.length === 0) return
  const written = new Set(bridge.addresses.flatMap(({ prefix }) => prefix?.family ?? []))
  const families = FAMILIES.filter(family => !written.has(family) && isWanted(members, family))
  for (const [i, text] of wanted.entries()) {
    const own = wanted.length === 1 ? families : families.slice(i, i + 1)
    const found: Prefix[] = []
    let pool: string | undefined
    // Where nobody asks for another family, it is IPv4.
    for (const family of own.length === 0 ? ([4] as const) : own) {
      const subnet = subnetFor(state, bridge, members, family)
      if ('reason' in subnet) state.refuse({ at: text.at, kind: 'subnet', family, ...subnet })
      else {
        found.push(subnet.prefix)
        pool ??= subnet.pool
      }
    }
    if (found.length > 0) state.give(text, 'subnet', found, false, pool)
  }
}

const isWanted = (members: readonly AddressText[], family: Family): boolean =>
  members.some(text => familyOf(text) === family)

/** How long the prefix of an automatic subnet is: a /29 at least, so that one more finds room; in IPv6 always a /64. */
export const subnetBits = (family: Family, hosts: number): number =>
  Math.min(bitsFor(family, BigInt(hosts)) ?? 0, family === 6 ? SUBNET6 : 29)

interface Chosen {
  readonly prefix: Prefix
  readonly pool: string | undefined
}

const subnetFor = (
  state: State,
  { name, size }: Bridge,
  members: readonly AddressText[],
  family: Family
): Chosen | Pick<Unallocated, 'reason' | 'within' | 'wanted'> => {
  const own = members.filter(text => familyOf(text) === family)
  // Where members have addresses already, the bridge joins them.
  const other = own.find(({ prefix, bare }) => prefix !== undefined && !bare)
  if (other?.prefix !== undefined) {
    const joined = hostOn(state, masked(other.prefix), other.at, name, [])
    return 'reason' in joined ? { ...joined, wanted: 1 } : joined
  }
  const wanted = size === undefined ? 2 * own.length + 1 : Math.max(size, own.length + 1)
  const pools = poolsFor(state, family, name)
  const [nearest] = pools
  if (nearest === undefined) return { reason: 'no-pool', within: undefined, wanted }
  const bits = subnetBits(family, wanted)
  const taken = takeFrom(state, pools, left => left.lowest(bits), true)
  if (taken === undefined) return { reason: 'full', within: { at: nearest.at, text: nearest.text }, wanted }
  return { prefix: { ...firstUsable(taken.value), bits }, pool: taken.pool.name }
}

// Addresses of containers

/** The bridges with the addresses that were chosen for them. */
type Bridges = ReadonlyMap<string, Pick<Bridge, 'name' | 'at' | 'addresses'>>

const chooseAddresses = (state: State, container: Container, bridges: Bridges): void => {
  for (const veth of [container.veth, ...container.extraVeths]) {
    if (veth.hostBridge === undefined) choosePair(state, veth, container.name)
    else
      for (const text of [veth.localAddress, veth.localAddress6])
        if (text?.auto === true) chooseOnBridge(state, text, veth.hostBridge, bridges)
    for (const text of [veth.hostAddress, veth.hostAddress6])
      if (text?.auto === true && veth.hostBridge !== undefined) chooseRouter(state, text, veth, bridges)
  }
  for (const { address, interface: name } of gateways(container))
    if (address.auto) {
      const extra = container.extraVeths.find(({ ifname }) => ifname === name)
      chooseRouter(state, address, extra ?? container.veth, bridges)
    }
  for (const { addresses } of container.inside.interfaces) refuseAlone(state, addresses)
}

/** An interface that is on no bridge of the file is in a network of others, and nothing says which addresses are free there. */
const refuseAlone = (state: State, addresses: readonly AddressText[]): void => {
  for (const text of addresses)
    if (text.auto)
      state.refuse({
        at: text.at,
        kind: 'address',
        family: familyOf(text),
        reason: 'no-network',
        within: undefined,
        wanted: 1
      })
}

/** Two addresses beside each other where both are wanted, the lower one for the host; else one. */
const choosePair = (state: State, veth: Veth, name: string): void => {
  for (const [host, local, family] of [
    [veth.hostAddress, veth.localAddress, 4],
    [veth.hostAddress6, veth.localAddress6, 6]
  ] as const) {
    const wanted = [host, local].filter(text => text?.auto === true)
    if (wanted.length === 0) continue
    const pools = poolsFor(state, family, name)
    const all = width(family)
    const taken =
      wanted.length === 2
        ? takeFrom(state, pools, left => left.lowest(all - 1), false)
        : takeFrom(state, pools, left => left.address(), false)
    for (const [i, text] of wanted.entries()) {
      if (text === undefined) continue
      if (taken === undefined) {
        const [nearest] = pools
        const within = nearest === undefined ? undefined : { at: nearest.at, text: nearest.text }
        const reason = nearest === undefined ? 'no-pool' : 'full'
        state.refuse({ at: text.at, kind: 'address', family, reason, within, wanted: wanted.length })
      } else
        state.give(
          text,
          'address',
          [{ family, value: taken.value.value + BigInt(i), bits: all }],
          true,
          taken.pool.name
        )
    }
  }
}

/** An address in the bridge's first network of the family. */
const chooseOnBridge = (
  state: State,
  text: AddressText,
  bridgeName: string | undefined,
  bridges: Bridges
): void => {
  const family = familyOf(text)
  const refuse = (reason: Unallocated['reason'], within: Unallocated['within']): void =>
    state.refuse({ at: text.at, kind: 'address', family, reason, within, wanted: 1 })
  if (bridgeName === undefined) return refuse('no-network', undefined)
  const bridge = bridges.get(bridgeName)
  if (bridge === undefined) return refuse('no-bridge', undefined)
  const own = bridge.addresses.find(({ prefix, bare }) => prefix?.family === family && !bare)
  if (own?.prefix === undefined) return refuse('no-network', { at: bridge.at, text: bridgeName })
  const host = hostOn(state, masked(own.prefix), own.at, bridgeName, bridge.addresses)
  if ('reason' in host) refuse(host.reason, host.within)
  else state.give(text, 'address', [host.prefix], false, host.pool)
}

/** The lowest address that is left in a network of a bridge: in the pools that lie in it, where there are any. */
const hostOn = (
  state: State,
  network: Prefix,
  at: Path,
  name: string,
  bridge: readonly AddressText[]
): Chosen | Pick<Unallocated, 'reason' | 'within'> => {
  const within = { at, text: formatPrefix(network) }
  const inner = state.pools.filter(({ prefix }) => prefix.bits >= network.bits && contains(network, prefix))
  // On a bridge to outside most addresses are those of machines that the file does not know.
  if (state.open.has(name) && inner.length === 0) return { reason: 'no-pool', within }
  const host = hostsOn(state, network, name, bridge, inner).address()
  if (host === undefined) return { reason: 'full', within }
  const pool = inner.find(({ prefix }) => contains(prefix, host))
  return { prefix: { ...host, bits: network.bits }, pool: pool?.name }
}

/** The hosts that are left in a network: nobody has them, not the bridge itself, and no network within it. */
const hostsOn = (
  state: State,
  network: Prefix,
  name: string,
  bridge: readonly AddressText[],
  pools: readonly Source[]
): Allocator => {
  const key = `${name} ${formatPrefix(network)}`
  const known = state.hosts.get(key)
  if (known !== undefined) return known
  const { family } = network
  const own = bridge.flatMap(({ prefix }) => prefix ?? [])
  const inner = spaceOfPrefixes(family, within(state, network))
  const left = subtract(
    subtract(freeHosts(network, state.taken.single[family]), spaceOfAddrs(family, own)),
    inner
  )
  const prefixes = pools.map(({ prefix }) => prefix)
  const made = allocator(pools.length === 0 ? left : intersect(left, spaceOfPrefixes(family, prefixes)))
  state.hosts.set(key, made)
  return made
}

/** The taken networks that lie within one and are smaller. */
const within = ({ taken }: State, network: Prefix): readonly Prefix[] => {
  const all = taken.networks[network.family]
  let [low, high] = [0, all.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((all[middle]?.value ?? 0n) < network.value) low = middle + 1
    else high = middle
  }
  const found: Prefix[] = []
  const end = last(network).value
  for (let i = low; (all[i]?.value ?? end + 1n) <= end; i += 1) {
    const inner = all[i]
    if (inner !== undefined && inner.bits > network.bits) found.push(inner)
  }
  return found
}

/** The address of the host's end: the bridge's, or that of the pair. */
const chooseRouter = (state: State, text: AddressText, veth: Veth, bridges: Bridges): void => {
  const family = familyOf(text)
  const { hostBridge } = veth
  const host = family === 4 ? veth.hostAddress : veth.hostAddress6
  const bridge = hostBridge === undefined ? undefined : bridges.get(hostBridge)
  const router =
    hostBridge === undefined
      ? host && state.value(host)
      : bridge?.addresses.find(({ prefix }) => prefix?.family === family)
  if (router?.prefix === undefined)
    state.refuse({
      at: text.at,
      kind: 'router',
      family,
      reason: hostBridge !== undefined && bridge === undefined ? 'no-bridge' : 'no-network',
      within: bridge && { at: bridge.at, text: bridge.name },
      wanted: 1
    })
  else state.give(text, 'router', [{ ...router.prefix, bits: width(family) }], true, undefined)
}

// Ports of the host

const choosePorts = (
  topology: Topology,
  allocations: Allocation[],
  unallocated: Unallocated[]
): ReadonlyMap<ContainerForward, number> => {
  const ports = new Map<ContainerForward, number>()
  const wanted = topology.having.forwardPorts.flatMap(({ veth }) => veth.forwardPorts.filter(isAutoPort))
  if (wanted.length === 0) return ports
  const pools = topology.pools.flatMap(portPool)
  const ranges =
    pools.length === 0 ? [{ name: undefined, range: OWN_PORTS, at: [], text: '20000-29999' }] : pools
  const claims = portClaims(topology)
  const excluded = topology.pools.flatMap(({ exclude }) => exclude.flatMap(entry => entry.ports ?? []))
  const left = (protocol: Protocol): Iterator<{ readonly port: number; readonly pool: string | undefined }> =>
    freePorts(ranges, [...claims.filter(claim => claim.protocol === protocol), ...excluded])
  const next = { tcp: left('tcp'), udp: left('udp') }
  for (const forward of wanted) {
    const at = [...forward.at, 'hostPort']
    const found = next[forward.protocol.value ?? 'tcp'].next()
    if (found.done === true) {
      const [range] = ranges
      unallocated.push({
        at,
        kind: 'port',
        family: 4,
        reason: 'full',
        within: range === undefined ? undefined : { at: range.at, text: range.text },
        wanted: 1
      })
    } else {
      const { port, pool } = found.value
      ports.set(forward, port)
      allocations.push({ at, kind: 'port', values: [port], pool })
    }
  }
  return ports
}

const portPool = ({
  name,
  ports
}: Pool): readonly {
  readonly name: string | undefined
  readonly range: PortRange
  readonly at: Path
  readonly text: string
}[] => (ports?.range === undefined ? [] : [{ name, range: ports.range, at: ports.at, text: ports.text }])

const freePorts = function* (
  pools: readonly { readonly name: string | undefined; readonly range: PortRange }[],
  taken: readonly PortRange[]
): Generator<{ readonly port: number; readonly pool: string | undefined }> {
  const closed = new Uint8Array(65_536)
  for (const { from, to } of taken) closed.fill(1, from, to + 1)
  for (const { name, range } of pools)
    for (let port = range.from; port <= range.to; port += 1)
      if (closed[port] === 0) {
        closed[port] = 1
        yield { port, pool: name }
      }
}

// The topology with the values

const filledIn = (
  topology: Topology,
  values: ReadonlyMap<AddressText, readonly AddressText[]>,
  ports: ReadonlyMap<ContainerForward, number>
): Topology => {
  const one = <T extends AddressText | undefined>(text: T): T | AddressText =>
    text === undefined ? text : (values.get(text)?.[0] ?? text)
  const many = (texts: readonly AddressText[]): readonly AddressText[] =>
    texts.some(({ auto }) => auto) ? texts.flatMap(text => values.get(text) ?? [text]) : texts
  const veth = (own: Veth): Veth => ({
    ...own,
    hostAddress: one(own.hostAddress),
    hostAddress6: one(own.hostAddress6),
    localAddress: one(own.localAddress),
    localAddress6: one(own.localAddress6),
    forwardPorts: own.forwardPorts.map(forward => {
      const hostPort = ports.get(forward)
      return hostPort === undefined
        ? forward
        : { ...forward, hostPort, containerPort: forward.containerPort ?? hostPort }
    })
  })
  const gateway = <T extends Gateway | undefined>(own: T): T | Gateway =>
    own?.address.auto === true ? { ...own, address: one(own.address) } : own
  const known = new Map<Container, Container>()
  const containers = topology.containers.map(container => {
    if (!hasAuto(container)) return container
    const filled: Container = {
      ...container,
      veth: veth(container.veth),
      extraVeths: container.extraVeths.map(veth),
      defaultGateway: gateway(container.defaultGateway),
      defaultGateway6: gateway(container.defaultGateway6)
    }
    known.set(container, filled)
    return filled
  })
  const having: Record<RareOption, readonly Container[]> = { ...topology.having }
  const isOption = (name: string): name is RareOption => Object.hasOwn(having, name)
  for (const option of Object.keys(having))
    if (isOption(option)) having[option] = having[option].map(entry => known.get(entry) ?? entry)
  return {
    ...topology,
    bridges: topology.bridges.map(bridge => ({ ...bridge, addresses: many(bridge.addresses) })),
    containers,
    having,
    vms: topology.vms.map(
      (vm): Vm => ({
        ...vm,
        interfaces: vm.interfaces.map(card => ({ ...card, addresses: many(card.addresses) }))
      })
    )
  }
}

const hasAuto = (container: Container): boolean =>
  [container.veth, ...container.extraVeths].some(
    veth => ends(veth).some(text => text?.auto === true) || veth.forwardPorts.some(isAutoPort)
  ) || gateways(container).some(({ address }) => address.auto)

/**
 * Whether only the random part of a unique local IPv6 network is missing (RFC 4193 section 3.2), which is chosen when it is
 * written down.
 */
export const isUniqueLocal = ({ reason, family, within }: Unallocated): boolean =>
  family === 6 && within === undefined && reason === 'no-pool'
