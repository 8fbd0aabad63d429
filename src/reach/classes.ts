import type { Firewall } from '../model/topology.ts'
import { type Addr, mixed, width, addrKey } from '../net/addr.ts'
import { contains, first, formatPrefix, last, masked, type Prefix } from '../net/prefix.ts'
import { overlapping, PrefixMap } from '../net/set.ts'
import { ByName, wildcardOf } from '../plan/firewall.ts'
import { nameMatcher } from '../plan/nat.ts'
import { FAMILIES } from '../plan/plan.ts'
import { type Interface, type Machine, type Route, type World } from './world.ts'

// Which containers and machines a network cannot tell apart. Two are of one class where exchanging them, with all that is
// theirs alone (their addresses, the networks that hold nobody else's, the host's ends of their links), changes nothing
// that decides a packet's way but what they let in and listen to. What becomes of a flow between two classes is
// then the same for all of them, and needs to be followed once.

export interface Classes {
  /** The same number for machines that are alike; the host and those outside are each a class of their own. */
  readonly classOf: (machine: Machine) => number
  /** The links that are joined by containers or machines, the host left out; undefined for those who are on none. */
  readonly islandOf: (machine: Machine) => number | undefined
  /** The host's addresses on the links of a machine: in one order for all of a class. */
  readonly hostAddresses: (machine: Machine) => readonly Addr[]
  /** Interfaces of the host, one of each kind that it treats in its own way. */
  readonly entrances: readonly Interface[]
}

/** The island of what is on none, or on several. */
const SHARED = -1

/** Networks that mean something without being written anywhere. */
const KNOWN: readonly Prefix[] = [
  { family: 4, value: 127n << 24n, bits: 8 },
  { family: 4, value: (169n << 24n) | (254n << 16n), bits: 16 },
  { family: 6, value: 0xfe80n << 112n, bits: 10 },
  { family: 6, value: 0xfcn << 120n, bits: 7 },
  { family: 6, value: 0x2002n << 112n, bits: 16 }
]

export const isNode = ({ place: { kind } }: Machine): boolean => kind === 'container' || kind === 'vm'

/** `asked` has the addresses at which each is asked; those of `alone` are a class each. */
export const classesOf = (
  world: World,
  asked: ReadonlyMap<Machine, readonly Addr[]>,
  alone: ReadonlySet<Machine>
): Classes => {
  const { host, machines } = world
  const nodes = machines.filter(isNode)
  const joints = jointsOf(machines, host)
  const islandOf = (machine: Machine): number | undefined => {
    if (!isNode(machine)) return undefined
    const own = machine.interfaces.map(({ segment }) => joints.get(segment))
    return (own.find(joint => joint?.annex === false) ?? own[0])?.island
  }
  const annexOf = (machine: Machine): number | undefined =>
    machine.interfaces.map(({ segment }) => joints.get(segment)).find(joint => joint?.annex === true)?.island
  const ends = grouped(host.interfaces, own => joints.get(own.segment)?.island)
  const ways = grouped(routesOf(host), ({ interface: own }) => joints.get(own.segment)?.island)
  // Links with machines outside stand for themselves.
  const open = new Set(
    machines
      .filter(machine => machine !== host && !isNode(machine))
      .flatMap(({ interfaces }) => interfaces.map(own => joints.get(own.segment)?.island))
  )
  const { where, destinationOf, nesting, isShared } = spaceOf(world, joints, asked)
  const treatment = treatmentOf(world)

  const endText = ({ machine: _m, name: _n, at: _a, segment, addresses, ...rest }: Interface): unknown => [
    segment.split(' ')[0],
    joints.get(segment)?.annex,
    joints.get(segment)?.ordinal,
    addresses.map(addr => [addr.bits, where(addr)]),
    rest
  ]
  const routeTexts = (routes: readonly Route[], interfaces: readonly Interface[]): readonly string[] => {
    const wayText = ({
      destination: _d,
      interface: own,
      via,
      source,
      beside,
      at: _a,
      ...rest
    }: Route): unknown => {
      const i = interfaces.indexOf(own)
      const chosen = source && (ownPlace(own, source) ?? where(source))
      return [i < 0 ? own.name : i, via && where(via), chosen, beside.map(wayText), rest]
    }
    return routes
      .flatMap(route => {
        const to = isOwn(route) ? 'its own' : destinationOf(route.destination)
        return to === undefined ? [] : textOf([to, wayText(route)])
      })
      .sort()
  }

  const placeFacts = (island: number): unknown => {
    const here = ends.get(island) ?? []
    return [
      here.map(end => [endText(end), treatment(end.name)]),
      routeTexts(ways.get(island) ?? [], here),
      nesting(island)
    ]
  }

  const texts = new Map<Machine, string>()
  const members = new Map<number, Set<string>>()
  for (const machine of nodes) {
    const { place, interfaces, firewall, input: _in, nat, container, ...more } = machine
    const { routes: _r, local: _l, broadcasts: _b, listens: _s, at: _a, failure, ...rest } = more
    const annex = annexOf(machine)
    const isAlone =
      alone.has(machine) || nat !== undefined || container?.vpn !== undefined || isShared(machine)
    const text = textOf([
      isAlone ? place : place.kind,
      interfaces.map(endText),
      routeTexts(routesOf(machine), interfaces),
      asked.get(machine)?.map(where),
      firewallFacts(firewall),
      failure !== undefined,
      annex === undefined ? undefined : placeFacts(annex),
      rest
    ])
    texts.set(machine, text)
    const island = islandOf(machine) ?? SHARED
    members.set(island, (members.get(island) ?? new Set()).add(text))
  }
  const islandTexts = new Map(
    Array.from(members, ([island, own]) => [
      island,
      textOf([open.has(island) ? island : undefined, placeFacts(island), [...own].sort()])
    ])
  )

  const numbers = new Map<string, number>()
  const numberOf = (text: string): number => {
    const known = numbers.get(text) ?? numbers.size
    numbers.set(text, known)
    return known
  }
  const classes = new Map(
    machines.map((machine, i) => {
      const island = numberOf(islandTexts.get(islandOf(machine) ?? SHARED) ?? '')
      return [machine, numberOf(isNode(machine) ? `${island} ${texts.get(machine)}` : `machine ${i}`)]
    })
  )
  return {
    classOf: machine => classes.get(machine) ?? -1,
    islandOf,
    entrances: [...new Map(host.interfaces.map(own => [textOf(treatment(own.name)), own])).values()],
    hostAddresses: machine =>
      [...new Set([islandOf(machine), annexOf(machine)])].flatMap(island =>
        island === undefined ? [] : (ends.get(island) ?? []).flatMap(({ addresses }) => addresses)
      )
  }
}

const textOf = (facts: unknown): string =>
  JSON.stringify(facts, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)) ?? ''

const grouped = <T>(
  items: readonly T[],
  keyFor: (item: T) => number | undefined
): ReadonlyMap<number, readonly T[]> => {
  const groups = new Map<number, T[]>()
  for (const item of items) {
    const key = keyFor(item) ?? SHARED
    const others = groups.get(key)
    if (others === undefined) groups.set(key, [item])
    else others.push(item)
  }
  return groups
}

const routesOf = ({ routes }: Machine): readonly Route[] =>
  FAMILIES.flatMap(family => [...routes[family].values()])

/** The same with those that stand beside others. */
const allRoutes = (machine: Machine): readonly Route[] =>
  routesOf(machine).flatMap(route => [route, ...route.beside])

/** The how manyeth of an interface's addresses one is. */
const ownPlace = ({ addresses }: Interface, { family, value }: Addr): number | undefined => {
  const i = addresses.findIndex(own => own.family === family && own.value === value)
  return i < 0 ? undefined : i
}

/** Whether a route leads to a single address, which is that of its interface. */
const isOwn = ({ destination, interface: own }: Pick<Route, 'destination' | 'interface'>): boolean =>
  destination.bits === width(destination.family) && ownPlace(own, destination) !== undefined

/** What a link is a part of, and the how manyeth of it. */
interface Joint {
  readonly island: number
  readonly ordinal: number
  /** Whether nobody is there but one machine, whose annex it is, and the host. */
  readonly annex: boolean
}

const jointsOf = (machines: readonly Machine[], host: Machine): ReadonlyMap<string, Joint> => {
  const crowds = new Map<string, number>()
  for (const machine of machines)
    if (machine !== host)
      for (const { segment } of machine.interfaces)
        crowds.set(segment, (crowds.get(segment) ?? 0) + (isNode(machine) ? 1 : 2))
  const parents = new Map<string, string>()
  const root = (segment: string): string => {
    let at = segment
    for (let up = parents.get(at) ?? at; up !== at; up = parents.get(at) ?? at) {
      parents.set(at, parents.get(up) ?? up)
      at = up
    }
    return at
  }
  const annexes = new Set<string>()
  const segments = new Set<string>()
  for (const machine of machines.filter(isNode)) {
    const heads = new Map<boolean, string>()
    for (const { segment } of machine.interfaces) {
      const isAnnex = crowds.get(segment) === 1
      if (isAnnex) annexes.add(segment)
      segments.add(segment)
      parents.set(root(segment), root(heads.get(isAnnex) ?? segment))
      heads.set(isAnnex, heads.get(isAnnex) ?? segment)
    }
  }
  const islands = new Map<string, { readonly island: number; size: number }>()
  return new Map(
    Array.from(segments, segment => {
      const top = root(segment)
      const own = islands.get(top) ?? { island: islands.size, size: 0 }
      islands.set(top, own)
      own.size += 1
      return [segment, { island: own.island, ordinal: own.size - 1, annex: annexes.has(segment) }]
    })
  )
}

/** A firewall but for what it lets in and how it refuses the rest: only whoever is asked has to do with that. */
const firewallFacts = (firewall: Firewall | undefined): unknown =>
  firewall && [
    firewall.enable,
    firewall.backend,
    firewall.checkReversePath,
    firewall.filterForward !== undefined
  ]

/** How the host treats what comes by an interface of a name, or leaves by it. */
const treatmentOf = ({ plan, host }: World): ((name: string) => unknown) => {
  const { firewall, nat } = host
  const { sysctl } = plan.topology.host
  const wildcard = firewall === undefined ? '+' : wildcardOf(firewall)
  const openings = new ByName(
    (firewall?.interfaces ?? []).map(entry => [entry.name, entry] as const),
    wildcard
  )
  const inside = nameMatcher(nat?.internalInterfaces.map(({ name }) => name) ?? [], wildcard)
  const outside = nameMatcher(nat?.externalInterface === undefined ? [] : [nat.externalInterface], wildcard)
  const written = [
    firewall?.extraCommands ?? '',
    firewall?.extraInputRules ?? '',
    firewall?.extraForwardRules ?? '',
    ...sysctl.keys()
  ].flatMap(text => text.split(/[\s"'{},./:;=]+/))
  const words = [
    new ByName(
      written.map(word => [word, word] as const),
      '+'
    ),
    new ByName(
      written.map(word => [word, word] as const),
      '*'
    )
  ]
  return name => {
    const bridge = plan.bridges.get(name)?.bridge
    return [
      host.input?.trusts(name),
      openings
        .matching(name)
        .map(({ open }) => [open.tcp, open.udp].map(ports => ports.map(({ from, to }) => [from, to]))),
      inside(name),
      outside(name),
      words.flatMap(word => word.matching(name)),
      bridge && [bridge.masquerade, bridge.forwarding, bridge.vlanAware, bridge.stp, bridge.rstp]
    ]
  }
}

interface Space {
  /** What every network of the world that somebody asks about says of an address: whether it is in it. */
  readonly where: (addr: Addr) => string
  /** The destination of a route; undefined where nobody is in it. */
  readonly destinationOf: (prefix: Prefix) => string | undefined
  /** How the networks that are an island's alone lie in each other and in others. */
  readonly nesting: (island: number) => unknown
  /** Whether somebody else has one of its addresses. */
  readonly isShared: (machine: Machine) => boolean
}

/**
 * A network that is named by an island's machines alone, or by the host's ends there, and that holds nobody else's address,
 * goes by its number there; every other one by its text. The narrowest of both kinds around an address say all.
 */
const spaceOf = (
  { host, machines, outside }: World,
  joints: ReadonlyMap<string, Joint>,
  asked: ReadonlyMap<Machine, readonly Addr[]>
): Space => {
  const islandAt = ({ segment }: Interface): number => joints.get(segment)?.island ?? SHARED
  const homes = new Map<bigint, { readonly addr: Addr; island: number; machine: Machine | undefined }>()
  const shared = new Set<Machine>()
  const mentions = new Map<bigint, { readonly prefix: Prefix; island: number }>()
  const mention = (prefix: Prefix, island: number): void => {
    const key = numberOf(prefix)
    const known = mentions.get(key)
    if (known === undefined) mentions.set(key, { prefix, island })
    else if (known.island !== island) known.island = SHARED
  }
  const alone = ({ family, value }: Addr): Prefix => ({ family, value, bits: width(family) })
  const settle = (addr: Addr, island: number, machine: Machine | undefined): void => {
    const key = numberOf({ ...addr, bits: width(addr.family) })
    const known = homes.get(key)
    if (known === undefined) {
      homes.set(key, { addr, island, machine })
      return
    }
    if (machine === undefined) return
    if (known.machine !== undefined && (known.machine !== machine || known.island !== island)) {
      if (known.machine !== host || machine !== host) {
        shared.add(known.machine)
        shared.add(machine)
      }
      mention(alone(addr), SHARED)
    }
    known.machine ??= machine
    if (known.island !== island) known.island = SHARED
  }

  // Who has which address.
  for (const machine of machines) {
    for (const own of machine.interfaces)
      for (const addr of own.addresses) settle(addr, islandAt(own), machine)
    const [own] = machine.interfaces
    for (const addr of asked.get(machine) ?? [])
      if (!machine.local.has(addrKey(addr))) settle(addr, own === undefined ? SHARED : islandAt(own), machine)
  }
  // Who names which network.
  for (const machine of machines) {
    for (const own of machine.interfaces)
      for (const addr of own.addresses) {
        if (addr.bits === width(addr.family)) continue
        mention(masked(addr), islandAt(own))
        // All routers of a network have its lowest address in IPv6, and everybody hears its highest in IPv4.
        mention(alone(addr.family === 6 ? first(addr) : last(addr)), islandAt(own))
      }
    for (const { destination, interface: own, via, source } of allRoutes(machine)) {
      if (!isOwn({ destination, interface: own })) mention(destination, islandAt(own))
      for (const addr of [via, source])
        if (addr !== undefined && (addr === via || ownPlace(own, addr) === undefined)) {
          settle(addr, islandAt(own), undefined)
          mention(alone(addr), islandAt(own))
        }
    }
  }
  for (const prefix of KNOWN) mention(prefix, SHARED)
  for (const { nat } of machines) {
    if (nat === undefined) continue
    const { internalIPs, internalIPv6s, externalIP, externalIPv6, dmzHost, forwardPorts } = nat
    const lists = forwardPorts.map(({ loopbackIPs }) => loopbackIPs)
    for (const text of [
      internalIPs,
      internalIPv6s,
      externalIP ?? [],
      externalIPv6 ?? [],
      dmzHost ?? [],
      ...lists
    ].flat())
      if (text.prefix !== undefined) {
        mention(masked(text.prefix), SHARED)
        settle(text.prefix, SHARED, undefined)
      }
  }
  for (const { networks } of outside)
    for (const { router, lan } of networks)
      for (const addr of [router, lan]) if (addr !== undefined) mention(alone(addr), SHARED)

  const digits = digitsOf(machines, (prefix, own) => mention(prefix, islandAt(own)))

  // Runs of neighbours in the order of addresses that are of one island.
  const sorted = [...homes.values()].sort((a, b) => compare(a.addr, b.addr))
  const runs: number[] = []
  for (let i = sorted.length - 1; i >= 0; i -= 1)
    runs[i] = sorted[i + 1]?.island === sorted[i]?.island ? (runs[i + 1] ?? i) : i
  const from = (addr: Addr): number => {
    let low = 0
    let high = sorted.length
    while (low < high) {
      const middle = (low + high) >> 1
      const entry = sorted[middle]
      if (entry !== undefined && compare(entry.addr, addr) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
  const names = new Map<bigint, string>()
  const common = new PrefixMap<string>()
  const own = new Map<number, Prefix[]>()
  for (const [key, { prefix, island }] of mentions) {
    const low = from(first(prefix))
    const entry = sorted[low]
    if (entry === undefined || !contains(prefix, entry.addr)) continue
    const end = last(prefix)
    const isAlone =
      entry.island === island && island !== SHARED && beyond(sorted[(runs[low] ?? low) + 1]?.addr, end)
    if (isAlone) {
      const others = own.get(island)
      if (others === undefined) own.set(island, [prefix])
      else others.push(prefix)
    } else {
      const name = formatPrefix(prefix)
      names.set(key, name)
      common.add(prefix, name)
    }
  }
  const nestings = new Map<number, unknown>()
  const numbered = new PrefixMap<string>()
  const annexes = new Set([...joints.values()].flatMap(({ annex, island }) => (annex ? [island] : [])))
  for (const [island, prefixes] of own) {
    const mark = annexes.has(island) ? '@' : '#'
    prefixes.sort((a, b) => compare(first(a), first(b)) || a.bits - b.bits)
    const numbers = new Map(prefixes.map((prefix, i) => [prefix, i]))
    for (const [prefix, i] of numbers) {
      names.set(numberOf(prefix), `${mark}${i}`)
      numbered.add(prefix, `${mark}${i}`)
    }
    const around = new Map(
      Array.from(
        overlapping(prefixes, prefix => prefix),
        ({ inner, outer }) => [inner, numbers.get(outer)]
      )
    )
    nestings.set(
      island,
      prefixes.map(prefix => [prefix.family, around.get(prefix), common.get(first(prefix))])
    )
  }
  return {
    where: addr => `${common.get(addr)} ${numbered.get(addr)} ${digits(addr)}`,
    destinationOf: prefix => names.get(numberOf(prefix)),
    nesting: island => nestings.get(island),
    isShared: machine => shared.has(machine)
  }
}

/** Tells prefixes apart, and takes less time than their texts. */
const numberOf = ({ family, value, bits }: Prefix): bigint =>
  mixed((value << 9n) | BigInt(bits << 1) | (family === 6 ? 1n : 0n))

const compare = (a: Addr, b: Addr): number =>
  a.family !== b.family ? a.family - b.family : a.value < b.value ? -1 : a.value > b.value ? 1 : 0

const beyond = (addr: Addr | undefined, end: Addr): boolean => addr === undefined || compare(addr, end) > 0

/**
 * Whoever has several addresses of IPv6 where it sends chooses the one nearest to the other's: by the digits at which its
 * own differ.
 */
const digitsOf = (
  machines: readonly Machine[],
  mention: (prefix: Prefix, own: Interface) => void
): ((addr: Addr) => string) => {
  const bits = new Set<number>()
  const differ = (addrs: readonly { readonly addr: Addr; readonly own: Interface }[]): void => {
    const sorted = addrs.filter(({ addr }) => addr.family === 6).sort((a, b) => compare(a.addr, b.addr))
    for (const [i, { addr, own }] of sorted.entries()) {
      const next = sorted[i + 1]
      const apart = next === undefined ? 0n : addr.value ^ next.addr.value
      if (next === undefined || apart === 0n) continue
      const bit = apart.toString(2).length
      bits.add(bit)
      for (const length of [128 - bit, 129 - bit]) {
        mention(masked({ ...addr, bits: length }), own)
        mention(masked({ ...next.addr, bits: length }), next.own)
      }
    }
  }
  for (const { interfaces, routes } of machines) {
    const listed = interfaces.map(own => own.addresses.map(addr => ({ addr, own })))
    for (const addrs of listed) if (addrs.length > 1) differ(addrs)
    const isBare = [...routes[6].values()].some(
      ({ interface: own }) => !own.addresses.some(({ family }) => family === 6)
    )
    if (isBare) differ(listed.flat())
  }
  const shifts = [...bits].map(bit => BigInt(bit - 1))
  return ({ family, value }) => (family === 4 ? '' : shifts.map(shift => (value >> shift) & 1n).join(''))
}
