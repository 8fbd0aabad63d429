import type { AddressText, Exclusion, Gateway, Pool, PortRange, Route, Topology } from '../model/topology.ts'
import { type Addr, type Family, isLinkLocal6, width } from '../net/addr.ts'
import {
  bitsFor,
  contains,
  formatPrefix,
  masked,
  overlaps,
  parsePrefix,
  type Prefix,
  size,
  usable
} from '../net/prefix.ts'
import { overlapping, PrefixMap } from '../net/set.ts'
import {
  count,
  free,
  freeHosts,
  largestBlock,
  prefixesOf,
  type Range,
  rangeOf,
  type Space,
  spaceOfRanges,
  subtract
} from '../net/space.ts'
import { specialBlock } from '../net/special.ts'
import { IMPERATIVE, OWN_POOL, OWN_PORTS } from './allocate.ts'
import { daemonRanges } from './daemons.ts'
import { dhcpServices, pool as leasesOf } from './dhcp.ts'
import { vmLinks } from './links.ts'
import type { AddressClaim, BridgePlan, Link, Plan, Subnet } from './plan.ts'

/** What is used and what is left in each network of the host and in each pool. */
export interface Usage {
  /** The networks of bridges in the file's order, then those of the host's interfaces. */
  readonly networks: readonly NetworkUsage[]
  /** Who is on a bridge without an address in any of its networks. */
  readonly outsiders: ReadonlyMap<BridgePlan, readonly Outsider[]>
  readonly pools: readonly PoolUsage[]
  readonly occupied: Occupation
}

export interface NetworkUsage {
  /** The bridge or interface of the host that leads into it. */
  readonly ifname: string
  readonly prefix: Prefix
  /** Undefined for a network of an ordinary interface. */
  readonly bridge: BridgePlan | undefined
  /** Undefined where the host has no address in it, and for an ordinary interface. */
  readonly subnet: Subnet | undefined
  /** Whether machines that the file does not describe may have addresses in it. */
  readonly open: boolean
  /** The addresses that somebody has, lowest first. */
  readonly holders: readonly Holder[]
  /** The ranges that nobody is to choose from. */
  readonly kept: readonly Kept[]
  /** How many addresses hosts can have, and what of these somebody has, is kept for something, or is left. */
  readonly usable: bigint
  readonly used: bigint
  readonly withheld: bigint
  readonly left: bigint
  /** The addresses that are left. */
  readonly free: Space
  /** How many wait for an address, and how many DHCP gives out that nobody has. */
  readonly waiting: bigint
  readonly leased: bigint
  /** How many more hosts fit: what is left without those that wait for an address. */
  readonly room: bigint
  /** How many hosts want to be in it: those that have an address, those that wait for one, the leases of DHCP. */
  readonly wanted: bigint
  /** The length of the narrowest network with room for these; undefined where there is none. */
  readonly fits: number | undefined
  /** Undefined where it is not ours to make it wider. */
  readonly growth: Growth | undefined
}

/** An address that somebody has. */
export interface Holder {
  readonly addr: Addr
  /** Nobody in the file where it is empty. */
  readonly claims: readonly AddressClaim[]
  /** What the file takes a machine there for that it does not describe. */
  readonly role: Role | undefined
}

export type Role = 'router' | 'nameserver' | 'target of a forward'

export interface Kept {
  readonly from: Addr
  readonly to: Addr
  readonly kind: 'dhcp' | 'excluded' | 'network'
  /** The DHCP server's program, the pool that excludes it, or whose network it is. */
  readonly by: string | undefined
}

/** Whether a network twice as wide, `next`, has nobody in its other half. */
export type Growth =
  | { readonly kind: 'free'; readonly next: Prefix }
  | { readonly kind: 'taken'; readonly next: Prefix; readonly by: string }
  /** The private space that it lies in is no wider. */
  | { readonly kind: 'edge'; readonly next: Prefix }

/** Somebody on a bridge with an address elsewhere, one that is not known, or none. */
export interface Outsider {
  readonly link: Link
  readonly address: AddressText | undefined
}

export interface PoolUsage {
  /** Undefined for what is taken from when the file has no pool. */
  readonly name: string | undefined
  readonly addresses:
    | {
        readonly prefix: Prefix
        readonly left: bigint
        /** The widest network that could be taken out of it. */
        readonly widest: Prefix | undefined
      }
    | undefined
  readonly ports: { readonly range: PortRange; readonly left: number } | undefined
}

/** N log n in the addresses of the file, however wide the networks are. */
export const usageOf = (plan: Plan): Usage => {
  const drafts = draftNetworks(plan)
  const homes = homesOf(drafts)
  const holders = holdersIn(plan, drafts, homes)
  const kept = keptIn(plan, drafts, homes)
  const occupied = occupation(plan)
  return {
    networks: drafts.map(draft =>
      networkUsage(plan, draft, holders.get(draft) ?? [], kept.get(draft) ?? [], occupied)
    ),
    outsiders: new Map(Array.from(plan.bridges.values(), bridge => [bridge, outsidersOf(bridge, homes)])),
    pools: [...plan.topology.pools.map(pool => poolUsage(plan, pool, occupied)), ...ownPools(plan, occupied)],
    occupied
  }
}

// Networks

type Draft = Pick<NetworkUsage, 'ifname' | 'prefix' | 'bridge' | 'subnet'>

const draftNetworks = ({ topology, bridges }: Plan): readonly Draft[] => {
  const drafts: Draft[] = []
  const adder = (): ((draft: Draft) => void) => {
    const own = new Set<string>()
    return draft => {
      const key = formatPrefix(draft.prefix)
      // The link-local network is on every link.
      if (own.has(key) || isLinkLocal6(draft.prefix)) return
      own.add(key)
      drafts.push(draft)
    }
  }
  for (const bridge of bridges.values()) {
    const { name } = bridge.bridge
    const add = adder()
    for (const subnet of bridge.subnets) add({ ifname: name, prefix: subnet.prefix, subnet, bridge })
    const known = new Set(bridge.subnets.map(({ prefix }) => prefix.family))
    // Without an address of the host it is a network of its own, as wide as its members say.
    for (const { addresses } of bridge.members)
      for (const { prefix } of addresses)
        if (prefix !== undefined && !known.has(prefix.family) && prefix.bits < width(prefix.family))
          add({ ifname: name, prefix: masked(prefix), subnet: undefined, bridge })
  }
  for (const { name, addresses } of topology.host.configured) {
    const add = adder()
    for (const { prefix } of addresses)
      if (prefix !== undefined && prefix.bits < width(prefix.family))
        add({ ifname: name, prefix: masked(prefix), subnet: undefined, bridge: undefined })
  }
  return drafts
}

/** Finds the narrowest network around an address: of all that the host has an address in, and of a bridge's own. */
interface Homes {
  readonly ofHost: (addr: Addr) => Draft | undefined
  readonly ofBridge: (addr: Addr, bridge: BridgePlan | undefined) => Draft | undefined
}

const homesOf = (drafts: readonly Draft[]): Homes => {
  const host = new PrefixMap<Draft>()
  const bridges = new Map<BridgePlan | undefined, PrefixMap<Draft>>()
  for (const draft of drafts) {
    const { bridge, subnet, prefix } = draft
    if (bridge === undefined || subnet !== undefined) host.add(prefix, draft)
    if (bridge === undefined) continue
    const own = bridges.get(bridge) ?? new PrefixMap<Draft>()
    bridges.set(bridge, own)
    own.add(prefix, draft)
  }
  return {
    ofHost: addr => host.get(addr),
    ofBridge: (addr, bridge) => bridges.get(bridge)?.get(addr)
  }
}

/** Both, each once. */
const homesFor = (
  { ofHost, ofBridge }: Homes,
  addr: Addr,
  bridge: BridgePlan | undefined
): readonly Draft[] =>
  [...new Set([ofBridge(addr, bridge), ofHost(addr)])].filter(draft => draft !== undefined)

const outsidersOf = (bridge: BridgePlan, { ofBridge }: Homes): readonly Outsider[] =>
  bridge.members.flatMap((link): readonly Outsider[] =>
    link.addresses.length === 0
      ? [{ link, address: undefined }]
      : link.addresses
          .filter(({ prefix }) => prefix === undefined || ofBridge(prefix, bridge) === undefined)
          .map(address => ({ link, address }))
  )

const holdersIn = (
  plan: Plan,
  drafts: readonly Draft[],
  homes: Homes
): ReadonlyMap<Draft, readonly Holder[]> => {
  const { addresses } = plan
  const found = new Map<Draft, Holder[]>(drafts.map(draft => [draft, []]))
  const add = (draft: Draft, holder: Holder): void => {
    found.get(draft)?.push(holder)
  }
  const several = new Map<AddressClaim | undefined, readonly AddressClaim[]>()
  for (const claims of addresses.shared()) several.set(claims[0], claims)
  const told = new Set<string>()
  const keyOf = ({ ifname }: Draft, { family, value }: Addr): string => `${ifname} ${family} ${value}`
  for (const claim of addresses.each()) {
    const { addr, link } = claim
    const claims = several.get(claim) ?? [claim]
    if (addresses.owners(addr)?.[0] !== claim) {
      const own = homes.ofBridge(addr, link?.bridge)
      if (own === undefined) continue
      add(own, { addr, claims, role: undefined })
      told.add(keyOf(own, addr))
    } else {
      // On different bridges, each has its own ones, and the narrowest network has all.
      const parts = new Map<Draft, AddressClaim[]>()
      for (const one of claims)
        for (const draft of homesFor(homes, addr, one.link?.bridge)) {
          const part = parts.get(draft)
          if (part === undefined) parts.set(draft, [one])
          else part.push(one)
        }
      for (const [draft, part] of parts) add(draft, { addr, claims: part, role: undefined })
    }
  }
  for (const claim of sleepers(plan))
    for (const draft of homesFor(homes, claim.addr, claim.link?.bridge)) {
      const { addr } = claim
      if (addresses.owners(addr) === undefined && !told.has(keyOf(draft, addr)))
        add(draft, { addr, claims: [claim], role: undefined })
      told.add(keyOf(draft, addr))
    }
  for (const { addr, role, bridge } of strangers(plan)) {
    if (addresses.owners(addr) !== undefined) continue
    for (const draft of homesFor(homes, addr, bridge)) {
      const key = keyOf(draft, addr)
      if (!told.has(key)) add(draft, { addr, claims: [], role })
      told.add(key)
    }
  }
  for (const list of found.values()) list.sort(byAddress)
  return found
}

const byAddress = (a: Holder, b: Holder): number =>
  a.addr.value < b.addr.value ? -1 : a.addr.value > b.addr.value ? 1 : 0

/** The addresses of machines that are switched off; the table of addresses has containers only. */
const sleepers = function* ({ topology, bridges }: Plan): Generator<AddressClaim> {
  for (const vm of topology.vms)
    if (!vm.enabled)
      for (const link of vmLinks(vm, bridges))
        for (const text of link.addresses)
          if (text.prefix !== undefined)
            yield {
              at: text.at,
              addr: text.prefix,
              owner: `machine "${vm.name}"`,
              kind: 'local',
              text,
              link,
              enabled: false
            }
}

/** The addresses that the file names where others are to be found. */
const strangers = function* ({ topology, bridges, linksOf }: Plan): Generator<{
  readonly addr: Addr
  readonly role: Role
  readonly bridge: BridgePlan | undefined
}> {
  const { host, containers, vms, nat } = topology
  const of = function* (
    texts: readonly (AddressText | undefined)[],
    role: Role,
    bridge: BridgePlan | undefined
  ): ReturnType<typeof strangers> {
    for (const text of texts) if (text?.prefix !== undefined) yield { addr: text.prefix, role, bridge }
  }
  const routers = (node: {
    readonly defaultGateway: Gateway | undefined
    readonly defaultGateway6: Gateway | undefined
  }): readonly (AddressText | undefined)[] => [node.defaultGateway?.address, node.defaultGateway6?.address]
  yield* of(routers(host), 'router', undefined)
  for (const node of [...containers, ...vms])
    for (const { bridge } of linksOf.get(node) ?? []) yield* of(routers(node), 'router', bridge)
  const via = (routes: readonly Route[]): readonly (AddressText | undefined)[] => routes.map(({ via }) => via)
  for (const { routes } of host.configured) yield* of(via(routes), 'router', undefined)
  for (const { bridge } of bridges.values()) yield* of(via(bridge.routes), 'router', undefined)
  for (const container of containers)
    for (const routes of [container.routes, ...container.inside.interfaces.map(({ routes }) => routes)])
      for (const { bridge } of linksOf.get(container) ?? []) yield* of(via(routes), 'router', bridge)
  yield* of([...host.nameservers, ...host.resolvConf], 'nameserver', undefined)
  for (const container of topology.having.nameservers)
    for (const bridge of [undefined, ...(linksOf.get(container) ?? []).map(({ bridge }) => bridge)])
      yield* of(container.nameservers, 'nameserver', bridge)
  yield* of([nat?.dmzHost], 'target of a forward', undefined)
  for (const { destination } of nat?.forwardPorts ?? [])
    if (destination.address !== undefined)
      yield { addr: destination.address, role: 'target of a forward', bridge: undefined }
}

const keptIn = (
  plan: Plan,
  drafts: readonly Draft[],
  homes: Homes
): ReadonlyMap<Draft | undefined, readonly Kept[]> => {
  const { topology } = plan
  const found = new Map<Draft | undefined, Kept[]>(drafts.map(draft => [draft, []]))
  const ofInterface = new Map<string, Draft[]>()
  for (const draft of drafts) {
    const own = ofInterface.get(draft.ifname)
    if (own === undefined) ofInterface.set(draft.ifname, [draft])
    else own.push(draft)
  }
  for (const service of dhcpServices(plan)) {
    const range = leasesOf(service)
    if (range === undefined) continue
    const { program } = service.server
    for (const draft of ofInterface.get(service.server.interface.name) ?? [])
      if (contains(draft.prefix, range.from) || contains(draft.prefix, range.to))
        found.get(draft)?.push({ ...range, kind: 'dhcp', by: program })
  }
  interface Item {
    readonly prefix: Prefix
    readonly by: string
    readonly draft: Draft | undefined
  }
  const ours = drafts.filter(({ bridge, subnet }) => bridge === undefined || subnet !== undefined)
  // Of equal ones the last counts as the one around.
  const items: readonly Item[] = [
    { prefix: IMPERATIVE, by: 'the nixos-container command', draft: undefined },
    ...reservations(topology).map(entry => ({ ...entry, draft: undefined })),
    ...ours.map(draft => ({ prefix: draft.prefix, by: draft.ifname, draft }))
  ]
  for (const { outer, inner } of overlapping(items, ({ prefix }) => prefix))
    if (inner.prefix.bits > outer.prefix.bits)
      found.get(outer.draft)?.push({ ...endsOf(inner.prefix), kind: 'network', by: inner.by })
  const excluded = topology.pools.flatMap(({ name, exclude }) =>
    exclude.flatMap(({ addresses }) => (addresses === undefined ? [] : [{ ...addresses, by: name }]))
  )
  const around = new PrefixMap<(typeof excluded)[number]>()
  for (const entry of excluded) {
    const { from, to } = entry
    found.get(homes.ofHost(from))?.push({ from, to, kind: 'excluded', by: entry.by })
    const { family } = from
    for (const prefix of prefixesOf(spaceOfRanges(family, [{ first: from.value, last: to.value }])))
      around.add(prefix, entry)
  }
  // What begins before a network reaches into it.
  for (const draft of ours) {
    const entry = around.get(draft.prefix)
    if (entry === undefined || contains(draft.prefix, entry.from)) continue
    const { from, to } = endsOf(draft.prefix)
    const last = entry.to.value < to.value ? entry.to : to
    found.get(draft)?.push({ from, to: last, kind: 'excluded', by: entry.by })
  }
  return found
}

const reservations = ({ reserved }: Topology): readonly { readonly prefix: Prefix; readonly by: string }[] =>
  reserved.flatMap(({ prefix: { prefix }, for: owner }) =>
    prefix === undefined ? [] : [{ prefix: masked(prefix), by: owner ?? 'a reservation' }]
  )

const endsOf = (prefix: Prefix): { readonly from: Addr; readonly to: Addr } => {
  const { first, last } = rangeOf(prefix)
  return { from: { family: prefix.family, value: first }, to: { family: prefix.family, value: last } }
}

const networkUsage = (
  { topology }: Plan,
  draft: Draft,
  holders: readonly Holder[],
  kept: readonly Kept[],
  occupied: Occupation
): NetworkUsage => {
  const { prefix, subnet, bridge } = draft
  const { family, bits } = prefix
  const unheld = freeHosts(
    prefix,
    spaceOfRanges(
      family,
      holders.map(({ addr }) => single(addr))
    )
  )
  const without = (space: Space, ranges: readonly Kept[]): Space =>
    subtract(
      space,
      spaceOfRanges(
        family,
        ranges.map(({ from, to }) => ({ first: from.value, last: to.value }))
      )
    )
  const left = without(unheld, kept)
  const all = usable(family, bits)
  const used = all - count(unheld)
  const leased =
    count(unheld) -
    count(
      without(
        unheld,
        kept.filter(({ kind }) => kind === 'dhcp')
      )
    )
  const needed = subnet === undefined || subnet.needed < used ? used : subnet.needed
  const waiting = needed - used
  // A network of one has nobody to talk to.
  const wanted = needed + leased > 2n ? needed + leased : 2n
  const open =
    bridge === undefined ||
    bridge.open ||
    bridge.bridge.partial ||
    bridge.bridge.vlanAware ||
    bridge.members.some(({ node }) => node.partial)
  return {
    ...draft,
    open,
    holders,
    kept,
    usable: all,
    used,
    withheld: count(unheld) - count(left),
    left: count(left),
    free: left,
    waiting,
    leased,
    room: waiting < count(left) ? count(left) - waiting : 0n,
    wanted,
    fits: bitsFor(family, wanted),
    growth: open || subnet === undefined || topology.host.partial ? undefined : growthOf(prefix, occupied)
  }
}

const single = ({ value }: Addr): Range => ({ first: value, last: value })

// Growth

/** What lies where no network can grow to. */
export interface Occupation {
  readonly taken: Readonly<Record<Family, Space>>
  /** By the lowest address. */
  readonly occupants: Readonly<Record<Family, readonly Occupant[]>>
  readonly around: PrefixMap<string>
}

export interface Occupant extends Range {
  readonly prefix: Prefix
  readonly by: string
  /** network: of a bridge, or an address of the host in one. reserved: an entry of the file. other: whose place is not ours to choose. */
  readonly kind: 'network' | 'reserved' | 'other'
}

const occupation = ({ topology, bridges, addresses }: Plan): Occupation => {
  const occupants: Readonly<Record<Family, Occupant[]>> = { 4: [], 6: [] }
  const around = new PrefixMap<string>()
  const add = (prefix: Prefix, by: string, kind: Occupant['kind']): void => {
    occupants[prefix.family].push({ ...rangeOf(prefix), prefix, by, kind })
    around.add(prefix, by)
  }
  for (const { bridge, subnets } of bridges.values())
    for (const { prefix } of subnets) add(prefix, bridge.name, 'network')
  for (const { name, addresses } of topology.host.configured)
    for (const { prefix, bare } of addresses)
      if (prefix !== undefined && !bare) add(masked(prefix), name, 'other')
  for (const { prefix, by } of reservations(topology)) add(prefix, by, 'reserved')
  for (const { prefix, daemon } of daemonRanges(topology)) add(prefix, daemon, 'other')
  // What is on a bridge has its place in the bridge's networks, or a wrong one.
  for (const { addr, link, owner } of addresses.each())
    if (link?.bridge === undefined)
      occupants[addr.family].push({
        ...single(addr),
        prefix: { ...addr, bits: width(addr.family) },
        by: owner.replaceAll('"', ''),
        kind: link === undefined ? 'network' : 'other'
      })
  const byFirst = (a: Range, b: Range): number => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0)
  return {
    taken: { 4: spaceOfRanges(4, occupants[4]), 6: spaceOfRanges(6, occupants[6]) },
    occupants: { 4: occupants[4].sort(byFirst), 6: occupants[6].sort(byFirst) },
    around
  }
}

/** The length of a network of IPv6 (RFC 4291 section 2.5.4): nobody needs a wider one. */
const SUBNET6 = 64

const growthOf = (prefix: Prefix, occupied: Occupation): Growth | undefined => {
  const block = specialBlock(prefix)
  const { family, value, bits } = prefix
  if (block?.use !== 'fine' || (family === 6 && bits <= SUBNET6)) return undefined
  const next = masked({ ...prefix, bits: bits - 1 })
  if (next.bits < block.prefix.bits) return { kind: 'edge', next }
  const by = occupantOf({ family, value: value ^ size(family, bits), bits }, prefix, occupied)
  return by === undefined ? { kind: 'free', next } : { kind: 'taken', next, by }
}

/** Who is in the network beside this one, or has it within its own; undefined when nobody has. */
const occupantOf = (beside: Prefix, own: Prefix, { occupants, around }: Occupation): string | undefined => {
  if (overlaps(IMPERATIVE, beside) && !overlaps(IMPERATIVE, own)) return 'the nixos-container command'
  const { first, last } = rangeOf(beside)
  const { family } = beside
  const list = occupants[family]
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((list[middle]?.first ?? first) < first) low = middle + 1
    else high = middle
  }
  const next = list[low]
  return next !== undefined && next.first <= last ? next.by : around.get({ family, value: first })
}

// Pools

const poolUsage = (plan: Plan, { name, prefix, ports, exclude }: Pool, occupied: Occupation): PoolUsage => ({
  name,
  addresses: prefix?.prefix === undefined ? undefined : addressesOf(masked(prefix.prefix), exclude, occupied),
  ports: ports?.range === undefined ? undefined : portsOf(ports.range, exclude, plan)
})

/** What needs no entry in the file, where something was taken from it. */
const ownPools = (plan: Plan, occupied: Occupation): readonly PoolUsage[] => {
  const own = plan.allocations.filter(({ pool, kind }) => pool === undefined && kind !== 'router')
  const isOurs = (value: string | number): boolean => {
    const parsed = parsePrefix(String(value))
    return 'value' in parsed && contains(OWN_POOL, parsed.value)
  }
  const hasAddresses =
    plan.topology.pools.every(({ prefix }) => prefix?.prefix?.family !== 4) &&
    own.some(({ values }) => values.some(isOurs))
  const hasPorts = own.some(({ kind }) => kind === 'port')
  return hasAddresses || hasPorts
    ? [
        {
          name: undefined,
          addresses: hasAddresses ? addressesOf(OWN_POOL, [], occupied) : undefined,
          ports: hasPorts ? portsOf(OWN_PORTS, [], plan) : undefined
        }
      ]
    : []
}

const addressesOf = (
  prefix: Prefix,
  exclude: readonly Exclusion[],
  { taken }: Occupation
): PoolUsage['addresses'] => {
  const left = subtract(free(prefix, taken[prefix.family]), withheldFrom(prefix, exclude))
  return { prefix, left: count(left), widest: largestBlock(left) }
}

/** What nobody is to take from a pool: what is excluded, and the range of nixos-container unless the pool lies in it. */
export const withheldFrom = (pool: Prefix, exclude: readonly Exclusion[]): Space => {
  const { family } = pool
  const excluded = exclude.flatMap(({ addresses }) =>
    addresses?.from.family === family ? [{ first: addresses.from.value, last: addresses.to.value }] : []
  )
  const imperative = family === 4 && !contains(IMPERATIVE, pool) ? [rangeOf(IMPERATIVE)] : []
  return spaceOfRanges(family, [...excluded, ...imperative])
}

/** A port that anybody takes for either protocol, or that is excluded, is not left. */
const portsOf = (range: PortRange, exclude: readonly Exclusion[], { ports }: Plan): PoolUsage['ports'] => {
  const gone = [...ports, ...exclude.flatMap(({ ports }) => ports ?? [])]
  const taken = new Uint8Array(65_537)
  for (const { from, to } of gone) taken.fill(1, from, to + 1)
  return { range, left: taken.subarray(range.from, range.to + 1).reduce((left, gone) => left + 1 - gone, 0) }
}
