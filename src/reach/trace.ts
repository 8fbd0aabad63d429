import type { Bridge, Listen, Nat, NatForward } from '../model/topology.ts'
import { type Addr, type Family, isLinkLocal6, sameAddr, addrKey, width } from '../net/addr.ts'
import { contains, masked, type Prefix } from '../net/prefix.ts'
import { PrefixMap } from '../net/set.ts'
import { isGlobal } from '../net/special.ts'
import { verdictOf } from '../plan/forward-rules.ts'
import { nameMatcher } from '../plan/nat.ts'
import type { Failure } from '../plan/failures.ts'
import { wildcardOf } from '../plan/firewall.ts'
import { isAny } from '../plan/ports.ts'
import { makerOf } from '../plan/units.ts'
import type { Path } from '../text/path.ts'
import { forwardsOf, nspawnForward } from './forwards.ts'
import { type Answer, type Flow, type Outcome, type Seen } from './flow.ts'
import { type Interface, type Machine, type Route, type World } from './world.ts'

// One flow there and back, as the kernels on the way treat its first packet and the answer.

/** What happens to a packet at a machine; `told.ts` has the words. */
export type Step =
  /** A route leads on, there or `back`. */
  | { readonly kind: 'route'; readonly route: Route; readonly back: boolean }
  /** The destination, or the source, becomes another. */
  | { readonly kind: 'to'; readonly was: Addr; readonly addr: Addr; readonly port: number | undefined }
  | { readonly kind: 'source'; readonly was: Addr; readonly addr: Addr }
  /** filterForward lets it pass, or drops it. */
  | { readonly kind: 'passed' | 'filtered'; readonly through: Interface; readonly out: Interface }
  /** The machine that has the address lets it in, or does not. */
  | { readonly kind: 'let-in' | 'closed'; readonly through: Interface; readonly packet: Packet }
  | { readonly kind: 'answers' | 'refuses'; readonly packet: Packet }
  | { readonly kind: 'no-route'; readonly addr: Addr; readonly back: boolean }
  | {
      readonly kind: 'no-neighbour'
      readonly addr: Addr
      /** Who has the address, on another link or where it is not heard. */
      readonly owner: Machine | undefined
      readonly interface: Interface
      readonly route: Route
      readonly back: boolean
    }
  | {
      readonly kind: 'forged'
      readonly source: Addr
      readonly through: Interface
      readonly back: boolean
    }
  | { readonly kind: 'not-forwarded'; readonly family: Family; readonly back: boolean }
  | { readonly kind: 'broadcast'; readonly addr: Addr }
  | { readonly kind: 'circle' }
  /** It is a container that does not start. */
  | { readonly kind: 'not-started'; readonly failure: Failure }
  /** What comes from outside does not get to an address of the loopback. */
  | { readonly kind: 'loopback'; readonly addr: Addr }
  /** Nor does TCP to an address that every router has. */
  | { readonly kind: 'anycast'; readonly addr: Addr }
  /** An answer comes to somebody who has not asked for it, or from somebody who was not asked. */
  | { readonly kind: 'not-asked' }
  | { readonly kind: 'stranger'; readonly addr: Addr; readonly asked: Addr }

/** What happens to a packet at a place, and what in the file makes it so. */
export interface Hop {
  readonly at: Machine
  readonly step: Step
  readonly because: Path | undefined
}

/** How a flow ends; docs/dispositions.md defines each. */
export type Disposition =
  | 'answered'
  | 'refused'
  | 'rejected'
  | 'no-address'
  | 'no-route'
  | 'no-neighbour'
  | 'broadcast'
  | 'not-forwarded'
  | 'filtered'
  | 'forged-source'
  | 'no-way-back'
  | 'answered-by-another-way'

export interface Trace extends Answer {
  readonly disposition: Disposition
  readonly hops: readonly Hop[]
}

/** As it is on the way. */
export interface Packet {
  readonly protocol: Flow['protocol']
  readonly source: Addr
  readonly sourcePort: number
  readonly to: Addr
  readonly port: number
}

/** A connection as a machine that translates knows it: how it came, and how it went on. */
interface Translation {
  readonly machine: Machine
  readonly came: Packet
  readonly went: Packet
}

const SEEN: Readonly<Record<Disposition, Seen>> = {
  answered: 'answered',
  refused: 'refused',
  rejected: 'refused',
  'no-address': 'no-route',
  'no-route': 'no-route',
  'no-neighbour': 'no-neighbour',
  broadcast: 'timeout',
  'not-forwarded': 'timeout',
  filtered: 'timeout',
  'forged-source': 'timeout',
  'no-way-back': 'timeout',
  'answered-by-another-way': 'timeout'
}

const SILENCE: readonly Outcome[] = [{ seen: 'timeout', by: undefined, source: undefined }]

/** No network of machines is deeper. */
const MOST_HOPS = 12

/** The high port that a client is given. */
const CLIENT_PORT = 54321

/** Follows a flow. `hops` takes what happens on the way; without it nothing is told. */
export const trace = (world: World, flow: Flow, hops?: Hop[]): Omit<Trace, 'hops'> =>
  traced(world, flow, hops, undefined)

/**
 * The same, with all that it may come to as well where a router has told of a shorter way (an ICMP redirect): it does so when
 * a packet leaves it by the link that it came by, and the one who has sent it then takes that way, for five minutes.
 */
export const foretold = (world: World, flow: Flow): Answer => {
  const first = trace(world, flow)
  const told = { there: true, back: true, taken: false }
  const both = traced(world, flow, undefined, told)
  if (!told.taken) return first
  const other = [
    { there: true, back: false },
    { there: false, back: true }
  ].map(ways => traced(world, flow, undefined, { ...ways, taken: false }))
  return {
    ...first,
    or: [first, both, ...other].flatMap(({ or = [], ...outcome }) => [outcome, ...or]).slice(1)
  }
}

/** Who knows of shorter ways: the one who asks, the one who answers. */
interface Told {
  readonly there: boolean
  readonly back: boolean
  /** Whether there is one. */
  taken: boolean
}

const traced = (
  world: World,
  flow: Flow,
  hops: Hop[] | undefined,
  told: Told | undefined
): Omit<Trace, 'hops'> => {
  const machine = world.machineAt(flow.from)
  const end = (disposition: Disposition, by?: Machine, source?: Addr): Omit<Trace, 'hops'> => ({
    disposition,
    seen: SEEN[disposition],
    by: by?.place,
    source
  })
  if (machine === undefined) return end('no-address')
  const tell: Tell =
    hops &&
    ((at, step, because) => {
      hops.push({ at, step, because: because === undefined || because.length === 0 ? undefined : because })
    })
  const there = follow(world, machine, flow, tell, told)
  if (there.ended !== undefined) {
    if (hops !== undefined && tell !== undefined) tellAbsent(world, flow, hops, tell)
    const plain = end(there.ended, there.by, there.source)
    const ended = there.seen === undefined ? plain : { ...plain, seen: there.seen }
    return there.word === undefined || hearsWord(world, machine, there.word, told)
      ? { ...ended, ...(there.or === undefined ? {} : { or: there.or }) }
      : { ...ended, seen: 'timeout' }
  }
  // That nothing listens to UDP is told by ICMP, which may come from anybody.
  const word = there.refused && flow.protocol === 'udp' && there.through !== undefined ? there : undefined
  const back =
    word !== undefined && hearsWord(world, machine, word, told)
      ? undefined
      : answer(world, machine, there, tell, told)
  if (back !== undefined) return end(back)
  return end(there.refused ? 'refused' : 'answered', there.at, there.packet.source)
}

/** Why nobody is there: the container does not start. */
const tellAbsent = (
  world: World,
  { from, to }: Flow,
  hops: readonly Hop[],
  tell: NonNullable<Tell>
): void => {
  const addr = hops.reduce((addr, { step }) => (step.kind === 'to' ? step.addr : addr), to)
  for (const machine of new Set([world.machineAt(from), world.ownerOf(addr)])) {
    if (machine?.failure === undefined) continue
    tell(machine, { kind: 'not-started', failure: machine.failure }, machine.failure.at)
    return
  }
}

type Tell = ((at: Machine, step: Step, because?: Path) => void) | undefined

interface Ended {
  readonly ended: Disposition
  readonly by?: Machine
  readonly source?: Addr
  /** What is sent back to say so; undefined where nothing is, or where the sender knows by itself. */
  readonly word?: Word
  /** What the sender sees, where that is not what its end is told by elsewhere. */
  readonly seen?: Seen
  readonly or?: readonly Outcome[]
}

/** Word from a machine that it does not pass a packet on, or let it in. */
interface Word {
  readonly at: Machine
  /** What it is about, as the machine knows it. */
  readonly packet: Packet
  readonly sent: Packet
  readonly translations: readonly Translation[]
  /** Who has passed the packet on. */
  readonly passed: readonly Machine[]
}

interface Arrived {
  readonly ended?: undefined
  readonly at: Machine
  /** Undefined where a machine asked itself. */
  readonly through: Interface | undefined
  /** As it arrived. */
  readonly packet: Packet
  /** As it was sent. */
  readonly sent: Packet
  readonly translations: readonly Translation[]
  /** Who has passed it on. */
  readonly passed: readonly Machine[]
  readonly refused: boolean
}

const follow = (
  world: World,
  from: Machine,
  flow: Flow,
  tell: Tell,
  told: Told | undefined
): Ended | Arrived => {
  const { protocol, port = 0 } = flow
  const translations: Translation[] = []
  // The source is chosen before the OUTPUT chain translates.
  const chosen = from.failure !== undefined && isOwn(from, flow.to) ? undefined : sourceFor(from, flow.to)
  if (chosen === undefined) {
    tell?.(from, { kind: 'no-route', addr: flow.to, back: false })
    return { ended: 'no-route' }
  }
  const sent: Packet = { protocol, source: chosen, sourcePort: CLIENT_PORT, to: flow.to, port }
  let packet = sent
  const outgoing =
    from.nat === undefined && from !== world.host ? undefined : outputTarget(world, from, packet)
  if (outgoing !== undefined) {
    const went = { ...packet, to: outgoing.to, port: outgoing.port ?? packet.port }
    translations.push({ machine: from, came: packet, went })
    packet = went
    tell?.(from, { kind: 'to', was: flow.to, addr: outgoing.to, port: outgoing.port }, outgoing.at)
  }
  if (outgoing !== undefined && !isOwn(from, packet.to)) {
    // The kernel drops what it cannot send on after the translation; TCP goes on trying.
    const isLost = isLoopback(packet.source) || from.routes[packet.to.family].get(packet.to) === undefined
    if (isLost) {
      tell?.(from, { kind: 'no-route', addr: packet.to, back: false })
      return { ended: protocol === 'tcp' ? 'filtered' : 'no-route' }
    }
  }
  let at = from
  let through: Interface | undefined
  let dnat = false
  const passed = [from]
  for (let hop = 0; hop < MOST_HOPS; hop += 1) {
    if (through !== undefined) {
      if (!mayCome(through, packet.source) || reversePathFault(at, packet.source, through)) {
        tell?.(at, { kind: 'forged', source: packet.source, through, back: false }, at.firewall?.at)
        return { ended: 'forged-source' }
      }
      const target = forwardTarget(world, at, through, packet)
      if (target !== undefined) {
        const went = { ...packet, to: target.to, port: target.port ?? packet.port }
        translations.push({ machine: at, came: packet, went })
        tell?.(at, { kind: 'to', was: packet.to, addr: target.to, port: target.port }, target.at)
        packet = went
        dnat = true
      }
      // A martian destination (ip_route_input_slow), unless route_localnet is set.
      if (packet.to.family === 4 && isLoopback(packet.to)) {
        tell?.(at, { kind: 'loopback', addr: packet.to })
        return { ended: 'not-forwarded' }
      }
    }
    const { family } = packet.to
    if (isOwn(at, packet.to)) {
      // Where IPv6 is switched off, a machine does not even hear itself.
      if (through === undefined && family === 6 && at === world.host && !world.plan.topology.host.enableIPv6)
        return { ended: 'filtered' }
      if (through === undefined) packet = fromItself(world, at, packet, translations)
      return arrived(at, through, packet, sent, translations, passed, tell)
    }
    const known = at.routes[family].get(packet.to)
    const route =
      through === undefined && told?.there === true ? shorter(world, at, known, packet, told) : known
    if (route !== undefined && isLowest(at, route, packet.to)) {
      if (through === undefined || protocol !== 'tcp')
        return arrived(at, through, packet, sent, translations, passed, tell)
      tell?.(at, { kind: 'anycast', addr: packet.to })
      return { ended: 'not-forwarded' }
    }
    // Who is no router says nothing, but in IPv6 that it has no route.
    if (through !== undefined && !at.forwards[family] && (family === 4 || route !== undefined)) {
      tell?.(at, { kind: 'not-forwarded', family, back: false })
      return { ended: 'not-forwarded' }
    }
    if (route === undefined) {
      // Somebody on the internet has it.
      if (through !== undefined && at.place.kind === 'internet' && isGlobal(packet.to))
        return arrived(at, through, packet, sent, translations, passed, tell)
      tell?.(at, { kind: 'no-route', addr: packet.to, back: false })
      return { ended: 'no-route', word: { at, packet, sent, translations, passed } }
    }
    if (through !== undefined && !passesForward(at, through, route.interface, packet, dnat)) {
      tell?.(at, { kind: 'filtered', through, out: route.interface }, at.firewall?.filterForward)
      return { ended: 'filtered' }
    }
    if (through !== undefined && filtersForward(at))
      tell?.(at, { kind: 'passed', through, out: route.interface }, at.firewall?.filterForward)
    if (at.broadcasts.has(addrKey(packet.to))) {
      tell?.(at, { kind: 'broadcast', addr: packet.to }, route.at)
      return { ended: through === undefined && protocol === 'tcp' ? 'no-route' : 'broadcast' }
    }
    const masked = sourceAfter(world, at, through, route, packet)
    if (masked !== undefined) {
      const went = { ...packet, source: masked.source }
      translations.push({ machine: at, came: packet, went })
      tell?.(at, { kind: 'source', was: packet.source, addr: masked.source }, masked.at)
      packet = went
    }
    const next = route.via ?? packet.to
    const neighbour = reachedOn(world, at, route, packet, next)
    if (neighbour === undefined) {
      tell?.(at, unanswered(world, route, next, false), route.at)
      // Who does not answer is known all the same once it has asked for somebody itself; then nothing comes back.
      const isThere = world.neighbour(route.interface, next) !== undefined
      return {
        ended: 'no-neighbour',
        word: { at, packet, sent, translations, passed },
        ...(isThere ? { or: SILENCE } : {})
      }
    }
    tell?.(at, { kind: 'route', route, back: false }, route.at)
    passed.push(at)
    at = neighbour.machine
    through = neighbour
  }
  tell?.(at, { kind: 'circle' })
  // "Time to live exceeded", which to TCP and UDP is "no route to host", and does not come back through translations in circles.
  return {
    ended: 'no-route',
    seen: protocol === 'icmp' || translations.length > 0 ? 'timeout' : 'no-neighbour',
    word: { at, packet, sent, translations, passed }
  }
}

const unanswered = (world: World, route: Route, addr: Addr, back: boolean): Step => ({
  kind: 'no-neighbour',
  addr,
  owner: world.ownerOf(addr),
  interface: route.interface,
  route,
  back
})

/** Whether it is the lowest address of a network, which a router of IPv6 has as well and takes no TCP at. */
const isLowest = ({ forwards }: Machine, { destination, via, interface: own }: Route, to: Addr): boolean =>
  to.family === 6 &&
  forwards[6] &&
  via === undefined &&
  destination.bits < 127 &&
  masked(destination).value === to.value &&
  own.addresses.some(addr => addr.family === 6 && contains(destination, addr))

/** What an interface is asked that has the address: the firewall, then whether anybody listens. */
const arrived = (
  at: Machine,
  through: Interface | undefined,
  packet: Packet,
  sent: Packet,
  translations: readonly Translation[],
  passed: readonly Machine[],
  tell: Tell
): Ended | Arrived => {
  if (through !== undefined && !letsIn(at, through, packet)) {
    const { rejectPackets = false } = at.firewall ?? {}
    tell?.(at, { kind: 'closed', through, packet }, at.firewall?.at)
    return rejectPackets
      ? { ended: 'rejected', word: { at, packet, sent, translations, passed } }
      : { ended: 'filtered' }
  }
  if (through !== undefined && at.firewall !== undefined)
    tell?.(at, { kind: 'let-in', through, packet }, at.firewall.at)
  const service =
    packet.protocol === 'icmp' ? undefined : at.listens.find(listen => hears(listen, packet, through))
  const refused = packet.protocol !== 'icmp' && service === undefined
  tell?.(at, { kind: refused ? 'refuses' : 'answers', packet }, service?.at)
  return { at, through, packet, sent, translations, passed, refused }
}

const hears = (listen: Listen, { protocol, port, to }: Packet, through: Interface | undefined): boolean => {
  const { prefix } = listen.address ?? {}
  if (listen.port !== port || listen.protocol.value !== protocol) return false
  if (prefix === undefined || isAny(prefix))
    return prefix === undefined || prefix.family === 6 || to.family === 4
  return sameAddr(prefix, to) && (through === undefined || !isLoopback(prefix))
}

const isOwn = ({ local }: Machine, addr: Addr): boolean => local.has(addrKey(addr)) || isLoopback(addr)

const isLoopback = ({ family, value }: Addr): boolean => (family === 4 ? value >> 24n === 127n : value === 1n)

/** networking.firewall's INPUT (firewall-iptables.nix, firewall-nftables.nix). */
const letsIn = (
  { firewall, input, guards }: Machine,
  { name }: Interface,
  { protocol, port, to }: Packet
): boolean => {
  if (firewall === undefined || input === undefined || !firewall.enable || input.trusts(name)) return true
  if (!guards[to.family]) return true
  if (protocol === 'icmp') return to.family === 6 || firewall.allowPing
  return input.opens(name, protocol, { from: port, to: port })
}

/**
 * Whether a machine takes an IPv4 source for one that can come from outside, in questions for an address (ARP) as well: not
 * one of its own, one that means several, or one that it knows no way to (fib_validate_source with rp_filter 2, which systemd
 * sets).
 */
const mayCome = (through: Interface, source: Addr | undefined): boolean => {
  if (source === undefined || source.family === 6) return true
  const { local, broadcasts, routes, place } = through.machine
  const key = addrKey(source)
  const isSomebody = source.value !== 0n && !isLoopback(source) && source.value >> 28n !== 14n
  if (!isSomebody || local.has(key) || broadcasts.has(key)) return false
  if (place.kind === 'internet') return true
  const back = routes[4].get(source)
  // By an interface without an address only what is routed back there.
  return (
    back !== undefined && (back.interface === through || through.addresses.some(({ family }) => family === 4))
  )
}

/** Who is found by an address on a link. */
const reachedOn = (
  world: World,
  at: Machine,
  route: Route,
  packet: Packet,
  next: Addr
): Interface | undefined => {
  const found = world.neighbour(route.interface, next)
  if (found === undefined) return undefined
  // IPv6 asks by a packet that passes netfilter: from the packet's source where the interface has it, else a link-local one.
  const isHeard =
    next.family === 6
      ? (!route.interface.addresses.some(addr => sameAddr(addr, packet.source)) ||
          !reversePathFault(found.machine, packet.source, found)) &&
        !reversePathFault(at, next, route.interface)
      : mayCome(found, askingFrom(at, route, packet, next))
  return isHeard ? found : undefined
}

/**
 * The way that a router has told a machine of: the router sends what comes from it back to the same link. IPv4 only: in IPv6 a
 * router speaks as its link-local address, which is taken only from a router that is known by it, and the firewall drops it.
 */
const shorter = <R extends Route | undefined>(
  world: World,
  at: Machine,
  known: R,
  packet: Packet,
  told: Told
): R => {
  const { source, to } = packet
  // Who is a router itself hears of no other (accept_redirects).
  if (known?.via === undefined || to.family === 6 || at.forwards[4]) return known
  const router = reachedOn(world, at, known, packet, known.via)
  if (router === undefined || !router.machine.forwards[4]) return known
  if (!mayCome(router, source) || reversePathFault(router.machine, source, router)) return known
  const { routes, local } = router.machine
  const on = routes[4].get(to)
  const back = routes[4].get(source)
  if (on?.interface !== router || local.has(addrKey(to)) || back === undefined) return known
  // Only the router that is asked is believed.
  const speaker = sourceOn(router.machine, back, source)
  if (speaker === undefined || !sameAddr(speaker, known.via)) return known
  if (!mayCome(known.interface, speaker) || reversePathFault(at, speaker, known.interface)) return known
  const via = on.via ?? to
  const own = { ...known, via }
  if (at.local.has(addrKey(via)) || at.broadcasts.has(addrKey(via))) return known
  if (reachedOn(world, at, own, packet, via) === undefined) return known
  told.taken = true
  return own
}

/** The address that a machine asks its neighbours from. */
const askingFrom = (at: Machine, route: Route, { source }: Packet, next: Addr): Addr | undefined =>
  at.place.kind === 'internet'
    ? route.interface.addresses.find(addr => addr.family === 4 && contains(addr, next))
    : source.value === 0n
      ? undefined
      : at.local.has(addrKey(source))
        ? source
        : sourceOn(at, route, next)

/** checkReversePath of a firewall: an answer to the source has to leave by the interface that the packet came by. */
const reversePathFault = (
  { firewall, routes, local, guards }: Machine,
  source: Addr,
  through: Interface
): boolean => {
  if (
    firewall === undefined ||
    !firewall.enable ||
    !guards[source.family] ||
    firewall.checkReversePath === 'off' ||
    isLinkLocal6(source)
  )
    return false
  if (local.has(addrKey(source))) return true
  const back = routes[source.family].get(source)
  if (back === undefined) return true
  if (firewall.checkReversePath !== 'strict' || back.interface === through) return false
  // Of several routes to one network ip6tables finds the one by the interface, nft the first (measured on Linux 6.18).
  return firewall.backend === 'nftables' || !back.beside.some(({ interface: other }) => other === through)
}

/** The address that a machine sends from: its own to itself, else of the interface that leads there. */
const sourceFor = (machine: Machine, to: Addr): Addr | undefined => {
  if (isOwn(machine, to)) return to
  const route = machine.routes[to.family].get(to)
  return route === undefined ? undefined : sourceOn(machine, route, to)
}

/** inet_select_addr of the kernel for IPv4, RFC 6724 for IPv6. */
const sourceOn = (machine: Machine, route: Route, to: Addr): Addr | undefined => {
  // Whoever is on the internet speaks with its own address, not with that of the router.
  if (machine.place.kind === 'internet')
    return machine.interfaces
      .find(({ name }) => name === 'lo')
      ?.addresses.find(({ family }) => family === to.family)
  if (route.source !== undefined && route.via === undefined && route.source.family === 4) return route.source
  const [only] = route.interface.addresses
  if (to.family === 4 && only?.family === 4 && route.interface.addresses.length === 1 && !isLoopback(only))
    return only
  const next = route.via ?? to
  const of = (own: Interface): readonly Prefix[] =>
    own.addresses.filter(
      addr =>
        addr.family === to.family &&
        // The scope of loopback addresses ends at the machine, wherever they are set, that of link-local ones at the link.
        (to.family === 6 ? isLinkLocal6(to) || !isLinkLocal6(addr) : !isLoopback(addr))
    )
  const own = of(route.interface)
  if (to.family === 6) return best(own.length > 0 ? [own] : machine.interfaces.map(of), to)
  return own.find(addr => contains(addr, next)) ?? own[0] ?? machine.interfaces.flatMap(of)[0] ?? NOBODY
}

/** Where a machine without an IPv4 address sends from; nobody takes such a packet. */
const NOBODY: Addr = { family: 4, value: 0n }

/**
 * Of each interface's IPv6 addresses the kernel looks first at the one that was set last: one of the destination's label
 * wins, then one that shares more of its network's bits with the destination (RFC 6724 section 5, rules 6 and 8).
 */
const best = (interfaces: readonly (readonly Prefix[])[], to: Addr): Addr | undefined => {
  let found: Addr | undefined
  let most = -1
  for (const addrs of interfaces)
    for (const addr of addrs.toReversed()) {
      const apart = addr.value ^ to.value
      const alike = Math.min(apart === 0n ? 128 : 128 - apart.toString(2).length, addr.bits)
      const rank = (labelOf(addr) === labelOf(to) ? 256 : 0) + alike
      if (rank <= most) continue
      found = addr
      most = rank
    }
  return found
}

/** The kernel's table of labels (net/ipv6/addrlabel.c), without the blocks that nobody uses any more. */
const labelOf = ({ value }: Addr): number =>
  value >> 121n === 0x7en ? 5 : value >> 112n === 0x2002n ? 2 : value >> 96n === 0x20010000n ? 6 : 1

interface Target {
  readonly to: Addr
  readonly port: number | undefined
  readonly at: Path
}

/** Where NAT sends what comes in: networking.nat's forwards, its dmzHost, then systemd-nspawn's. */
const forwardTarget = (world: World, at: Machine, through: Interface, packet: Packet): Target | undefined => {
  const { nat } = at
  if (nat !== undefined) {
    const external = isExternal(at, nat, through.name)
    for (const forward of forwardsOf(nat).of(packet.protocol, packet.port)) {
      if (!fits(nat, forward, packet)) continue
      const own = packet.to.family === 4 ? nat.externalIP : nat.externalIPv6
      if (external && (own?.prefix === undefined || sameAddr(own.prefix, packet.to)))
        return targetOf(forward, packet)
      // nftables does so for whoever asks, iptables for those inside.
      const isMeant = at.firewall?.backend === 'nftables' || comesFromInside(at, nat, through, packet.source)
      if (isMeant && atLoopback(forward, packet.to)) return targetOf(forward, packet)
    }
  }
  if (nat?.dmzHost?.prefix !== undefined && packet.to.family === 4 && isExternal(at, nat, through.name))
    return { to: nat.dmzHost.prefix, port: undefined, at: nat.dmzHost.at }
  return at === world.host ? nspawnTarget(world, packet) : undefined
}

/** The same for what a machine sends itself. */
const outputTarget = (world: World, at: Machine, packet: Packet): Target | undefined => {
  const { nat } = at
  const forward =
    nat &&
    forwardsOf(nat)
      .of(packet.protocol, packet.port)
      .find(own => fits(nat, own, packet) && atLoopback(own, packet.to))
  if (forward !== undefined) return targetOf(forward, packet)
  return at === world.host && !isLoopback(packet.to) ? nspawnTarget(world, packet) : undefined
}

const fits = ({ enableIPv6 }: Nat, { destination }: NatForward, { to }: Packet): boolean =>
  destination.address?.family === to.family && (to.family === 4 || enableIPv6)

const atLoopback = ({ loopbackIPs }: NatForward, to: Addr): boolean =>
  loopbackIPs.some(({ prefix }) => prefix !== undefined && sameAddr(prefix, to))

/** A range goes to a range as it is, where a port is in both: the kernel does not shift it. */
const targetOf = ({ destination, at }: NatForward, { port }: Packet): Target | undefined => {
  const { address, ports } = destination
  if (address === undefined) return undefined
  const kept = ports !== undefined && ports.from <= port && port <= ports.to
  return { to: address, port: ports === undefined ? undefined : kept ? port : ports.from, at }
}

const isExternal = (machine: Machine, nat: Nat, ifname: string): boolean =>
  nat.externalInterface === undefined || sidesOf(machine, nat).outside(ifname)

interface Sides {
  readonly outside: (ifname: string) => boolean
  readonly inside: (ifname: string) => boolean
}

const sides = new WeakMap<Nat, Sides>()

/** The interfaces of a machine's NAT, by its own names and patterns. */
const sidesOf = ({ firewall }: Machine, nat: Nat): Sides => {
  const known = sides.get(nat)
  if (known !== undefined) return known
  const { externalInterface, internalInterfaces } = nat
  const wildcard = firewall === undefined ? '+' : wildcardOf(firewall)
  const found = {
    outside: nameMatcher(externalInterface === undefined ? [] : [externalInterface], wildcard),
    inside: nameMatcher(
      internalInterfaces.map(({ name }) => name),
      wildcard
    )
  }
  sides.set(nat, found)
  return found
}

/** Whether NAT counts it as from inside: by its interface, or by its source. */
const comesFromInside = (machine: Machine, nat: Nat, { name }: Interface, source: Addr): boolean => {
  if (sidesOf(machine, nat).inside(name)) return true
  return isInternal(nat, source)
}

/** Whether NAT counts a source as from inside, whoever sends it: the machine itself too. */
const isInternal = (nat: Nat, source: Addr): boolean => {
  const ranges = source.family === 4 ? nat.internalIPs : nat.internalIPv6s
  return ranges.some(({ prefix }) => prefix !== undefined && contains(prefix, source))
}

/** systemd-nspawn's --port=: for every IPv4 address of the host but loopback, to the container's first IPv4 address. */
const nspawnTarget = (world: World, { protocol, port, to }: Packet): Target | undefined => {
  if (to.family !== 4 || isLoopback(to) || !world.host.local.has(addrKey(to))) return undefined
  const found = nspawnForward(world, protocol, port)
  const machine = found && world.machineAt({ kind: 'container', name: found.container.name })
  const address = machine?.interfaces.flatMap(own => own.addresses).find(({ family }) => family === 4)
  if (found !== undefined && address !== undefined)
    return { to: address, port: found.forward.containerPort, at: found.forward.at }
  return undefined
}

const filtersForward = ({ firewall }: Machine): boolean =>
  firewall !== undefined &&
  firewall.enable &&
  firewall.filterForward !== undefined &&
  firewall.backend === 'nftables'

/** filterForward of nftables: what is answered, forwarded by NAT, goes from inside to outside, or is accepted by a rule of one's own. */
const passesForward = (
  at: Machine,
  through: Interface,
  out: Interface,
  packet: Packet,
  dnat: boolean
): boolean => {
  const { nat } = at
  if (!filtersForward(at)) return true
  if (dnat || (packet.protocol === 'icmp' && packet.to.family === 6)) return true
  if (nat !== undefined && isExternal(at, nat, out.name) && comesFromInside(at, nat, through, packet.source))
    return true
  const { forwardRules } = at
  const asked = { ...packet, iifname: through.name, oifname: out.name }
  return forwardRules !== undefined && verdictOf(forwardRules, asked) === 'accept'
}

/** What a machine sends itself is masqueraded too where that is not for one interface alone. */
const fromItself = (world: World, at: Machine, packet: Packet, translations: Translation[]): Packet => {
  const lo: Interface = {
    machine: at,
    name: 'lo',
    segment: 'lo',
    addresses: [],
    macvlan: undefined,
    proxyARP: false,
    at: at.at
  }
  const route: Route = {
    destination: { ...packet.to, bits: width(packet.to.family) },
    via: undefined,
    interface: lo,
    source: undefined,
    beside: [],
    at: at.at
  }
  const masked = sourceAfter(world, at, undefined, route, packet)
  if (masked === undefined) return packet
  const went = { ...packet, source: masked.source }
  translations.push({ machine: at, came: packet, went })
  return went
}

interface Source {
  readonly source: Addr
  readonly at: Path
}

/** What the source becomes on the way out: masquerading by NAT or networkd, and for forwards that inside clients use. */
const sourceAfter = (
  world: World,
  at: Machine,
  through: Interface | undefined,
  route: Route,
  packet: Packet
): Source | undefined => {
  const { nat } = at
  const { family } = packet.to
  const out = route.interface
  const masquerade = (place: Path): Source | undefined => {
    const source = sourceOn(at, route, packet.to)
    return source === undefined || sameAddr(source, packet.source) ? undefined : { source, at: place }
  }
  const isInside = (nat: Nat): boolean =>
    through === undefined ? isInternal(nat, packet.source) : comesFromInside(at, nat, through, packet.source)
  if (nat !== undefined && (family === 4 || nat.enableIPv6) && isExternal(at, nat, out.name)) {
    const own = family === 4 ? nat.externalIP : nat.externalIPv6
    if (isInside(nat))
      return own?.prefix === undefined ? masquerade(nat.at) : { source: own.prefix, at: own.at }
  }
  const forwards = nat === undefined ? [] : forwardsOf(nat).to(packet.protocol, packet.to, packet.port)
  const [forward] = forwards
  if (nat !== undefined && forward !== undefined) {
    // nftables translates whoever does not come from outside, the machine itself included; iptables those inside where
    // loopbackIPs are written.
    if (at.firewall?.backend === 'nftables') {
      if (through === undefined || !isExternal(at, nat, through.name)) return masquerade(forward.at)
    } else {
      // Of several forwards to one place each has its own rule.
      const looped = forwards.find(({ loopbackIPs }) => loopbackIPs[0]?.prefix !== undefined)
      const own = looped?.loopbackIPs[0]?.prefix
      // What one rule has left as it is no other one translates.
      if (looped !== undefined && own !== undefined && isInside(nat))
        return sameAddr(own, packet.source) ? undefined : { source: own, at: looped.at }
    }
  }
  const by = at === world.host ? masqueraderOf(world, packet.source) : undefined
  return by === undefined ? undefined : masquerade(by.at)
}

/** The bridge whose IPMasquerade= is for a source: of those that networkd makes, wherever the packet comes from. */
const masqueraderOf = (world: World, source: Addr): Bridge | undefined => {
  const known = masqueraders.get(world)
  if (known !== undefined) return known.get(source)
  const found = new PrefixMap<Bridge>()
  const { topology } = world.plan
  const own = new Map(
    topology.bridges
      .filter(
        bridge => (bridge.masquerade[4] || bridge.masquerade[6]) && makerOf(topology, bridge) === 'networkd'
      )
      .map(bridge => [bridge.name, bridge])
  )
  // Of each address that the interface has, by whatever means (address_update of systemd-networkd).
  for (const { name, addresses } of own.size === 0 ? [] : world.host.interfaces) {
    const bridge = own.get(name)
    if (bridge === undefined) continue
    for (const addr of addresses)
      if (bridge.masquerade[addr.family] && !isLinkLocal6(addr)) found.add(masked(addr), bridge)
  }
  masqueraders.set(world, found)
  return found.get(source)
}

const masqueraders = new WeakMap<World, PrefixMap<Bridge>>()

/** In IPv4 who has asked for somebody is known to it by the interface that it asked by; the host may have several on a link. */
const knownBy = (
  { host }: World,
  { passed }: Arrived,
  { source }: Packet,
  found: Interface | undefined
): Interface | undefined => {
  if (found?.machine !== host || source.family === 6 || !passed.includes(host)) return found
  const asking = host.routes[4].get(source)?.interface
  return asking?.segment === found.segment ? asking : found
}

/** The answer's way back; the disposition where it does not arrive as the answer to what was asked. */
const answer = (
  world: World,
  client: Machine,
  there: Arrived,
  tell: Tell,
  told: Told | undefined
): Disposition | undefined => {
  const { packet, sent, translations, passed } = there
  let at = there.at
  if (there.through === undefined) {
    // To itself as well: only behind the lookup of a route is a translation of the source undone.
    if (isOwn(at, packet.source) || at.routes[packet.to.family].get(packet.source) !== undefined)
      return undefined
    tell?.(at, { kind: 'no-route', addr: packet.source, back: true })
    return 'no-way-back'
  }
  let through: Interface | undefined
  let own: Packet = reversed(packet)
  const open = [...translations]
  if (at !== client)
    for (let again = undone(open, at, own); again !== undefined; again = undone(open, at, own)) own = again
  for (let hop = 0; hop < MOST_HOPS; hop += 1) {
    if (at === client && at.local.has(addrKey(own.to))) {
      if (undone(open, at, own) !== undefined) own = undone(open, at, own) ?? own
      // A ping is known by its number, whoever answers it.
      const right =
        sameAddr(own.to, sent.source) &&
        (own.protocol === 'icmp' || (sameAddr(own.source, sent.to) && own.sourcePort === sent.port))
      if (right) return undefined
      tell?.(at, { kind: 'stranger', addr: own.source, asked: sent.to })
      return 'answered-by-another-way'
    }
    if (at !== there.at && at.local.has(addrKey(own.to)) && at !== client) {
      tell?.(at, { kind: 'not-asked' })
      return 'no-way-back'
    }
    if (at !== there.at && !at.forwards[own.to.family]) {
      tell?.(at, { kind: 'not-forwarded', family: own.to.family, back: true })
      return 'no-way-back'
    }
    // To a router that has not seen the question, UDP is one of its own, which it may send elsewhere.
    const elsewhere =
      own.protocol === 'udp' && through !== undefined && !passed.includes(at)
        ? forwardTarget(world, at, through, own)
        : undefined
    if (elsewhere !== undefined) {
      tell?.(at, { kind: 'to', was: own.to, addr: elsewhere.to, port: elsewhere.port }, elsewhere.at)
      return 'no-way-back'
    }
    const known = routeBack(at, own, at === there.at ? there.through : undefined)
    const route = through === undefined && told?.back === true ? shorter(world, at, known, own, told) : known
    if (route === undefined) {
      tell?.(at, { kind: 'no-route', addr: own.to, back: true })
      return 'no-way-back'
    }
    // To a firewall that has not seen the question the answer is one to nothing; UDP is like a question of its own.
    if (through !== undefined && !passed.includes(at)) {
      if (
        filtersForward(at) &&
        !(own.protocol === 'udp' && passesForward(at, through, route.interface, own, false))
      ) {
        tell?.(at, { kind: 'filtered', through, out: route.interface }, at.firewall?.filterForward)
        return 'no-way-back'
      }
      const masked = own.protocol === 'udp' ? sourceAfter(world, at, through, route, own) : undefined
      if (masked !== undefined) own = { ...own, source: masked.source }
    }
    const next = route.via ?? own.to
    const neighbour = knownBy(world, there, own, reachedOn(world, at, route, own, next))
    if (neighbour === undefined) {
      tell?.(at, unanswered(world, route, next, true), route.at)
      return 'no-way-back'
    }
    tell?.(at, { kind: 'route', route, back: true }, route.at)
    at = neighbour.machine
    through = neighbour
    if (!mayCome(neighbour, own.source) || reversePathFault(at, own.source, neighbour)) {
      tell?.(at, { kind: 'forged', source: own.source, through: neighbour, back: true }, at.firewall?.at)
      return 'no-way-back'
    }
    for (let again = undone(open, at, own); again !== undefined; again = undone(open, at, own)) own = again
  }
  return 'no-way-back'
}

/** The kernel answers a ping in IPv6 through the interface that was asked, where it has a route there among others. */
const routeBack = (at: Machine, own: Packet, through: Interface | undefined): Route | undefined => {
  const route = at.routes[own.to.family].get(own.to)
  return own.protocol === 'icmp' && own.to.family === 6 && through !== undefined && route !== undefined
    ? (route.beside.find(other => other.interface === through) ?? route)
    : route
}

/** Whether a word that a packet does not arrive comes back to the sender: as an ICMP message about what it has sent. */
const hearsWord = (
  world: World,
  client: Machine,
  { at: from, packet, sent, translations, passed }: Word,
  told: Told | undefined
): boolean => {
  // To itself a machine says so by its loopback, which is off where IPv6 is.
  if (
    from === client &&
    client === world.host &&
    packet.to.family === 6 &&
    !world.plan.topology.host.enableIPv6
  )
    return false
  // To a source on the loopback it goes from there, and nothing from there leaves the machine.
  if (isLoopback(packet.source) && packet.source.family === 4 && !isLoopback(sent.source)) return false
  // Word goes to the source as it is by then, and only behind the lookup of a route is a translation undone.
  if (!isOwn(from, packet.source) && from.routes[packet.to.family].get(packet.source) === undefined)
    return false
  let at = from
  let about = packet
  let source: Addr | undefined
  const undo = (): void => {
    for (const { machine, came, went } of translations.toReversed()) {
      if (machine !== at || !isSame(went, about)) continue
      if (!sameAddr(about.to, came.to)) source = came.to
      about = came
    }
  }
  undo()
  for (let hop = 0; hop < MOST_HOPS; hop += 1) {
    const to = about.source
    // A ping is known by its number.
    if (at.local.has(addrKey(to))) return at === client && (packet.protocol === 'icmp' || isSame(about, sent))
    if (at !== from && !at.forwards[to.family]) return false
    if (at !== from && !passed.includes(at) && filtersForward(at)) return false
    const known = at.routes[to.family].get(to)
    if (known === undefined) return false
    source ??= at.local.has(addrKey(packet.to)) ? packet.to : sourceOn(at, known, to)
    if (source === undefined) return false
    const route =
      at === from && told?.back === true ? shorter(world, at, known, { ...about, source, to }, told) : known
    const neighbour = reachedOn(world, at, route, { ...about, source, to }, route.via ?? to)
    if (neighbour === undefined) return false
    at = neighbour.machine
    if (!mayCome(neighbour, source) || reversePathFault(at, source, neighbour)) return false
    undo()
  }
  return false
}

const isSame = (a: Packet, b: Packet): boolean =>
  sameAddr(a.source, b.source) && sameAddr(a.to, b.to) && a.port === b.port && a.sourcePort === b.sourcePort

const reversed = (packet: Packet): Packet => ({
  ...packet,
  source: packet.to,
  sourcePort: packet.port,
  to: packet.source,
  port: packet.sourcePort
})

/** The answer with a machine's translation of it undone, which is done once. */
const undone = (open: Translation[], machine: Machine, own: Packet): Packet | undefined => {
  const i = open.findLastIndex(
    ({ machine: other, went }) =>
      other === machine &&
      sameAddr(went.to, own.source) &&
      sameAddr(went.source, own.to) &&
      went.port === own.sourcePort
  )
  const translation = open[i]
  if (translation === undefined) return undefined
  open.splice(i, 1)
  return reversed(translation.came)
}
