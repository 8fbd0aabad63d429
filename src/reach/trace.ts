import type { ContainerForward, Listen, Nat, NatForward } from '../model/topology.ts'
import { type Addr, formatAddr, isLinkLocal6, sameAddr } from '../net/addr.ts'
import { contains } from '../net/prefix.ts'
import { nameMatcher } from '../plan/nat.ts'
import { wildcardOf } from '../plan/firewall.ts'
import { isAny } from '../plan/ports.ts'
import type { Path } from '../text/path.ts'
import { INTERNET } from './outside.ts'
import { type Answer, type Flow, type Place, type Seen } from './flow.ts'
import { type Interface, keyOf, type Machine, type Route, type World } from './world.ts'

// One flow there and back, as the kernels on the way treat its first packet and the answer.

/** What happens to a packet at a place, in words, and what in the file makes it so. */
export interface Hop {
  readonly at: Place
  readonly what: string
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
  | 'not-forwarded'
  | 'filtered'
  | 'forged-source'
  | 'no-way-back'
  | 'answered-by-another-way'

export interface Trace extends Answer {
  readonly disposition: Disposition
  readonly hops: readonly Hop[]
}

interface Packet {
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
  'not-forwarded': 'timeout',
  filtered: 'timeout',
  'forged-source': 'timeout',
  'no-way-back': 'timeout',
  'answered-by-another-way': 'timeout'
}

/** No network of machines is deeper. */
const MOST_HOPS = 12

/** The high port that a client is given. */
const CLIENT_PORT = 54321

/** Follows a flow. `tell` takes the hops; without it they are not made. */
export const trace = (world: World, flow: Flow, hops?: Hop[]): Omit<Trace, 'hops'> => {
  const machine = world.machineAt(flow.from)
  const end = (disposition: Disposition, by?: Machine, source?: Addr): Omit<Trace, 'hops'> => ({
    disposition,
    seen: SEEN[disposition],
    by: by?.place,
    source
  })
  if (machine === undefined) return end('no-address')
  const tell = (at: Machine, what: string, because?: Path): void => {
    hops?.push({
      at: at.place,
      what,
      because: because === undefined || because.length === 0 ? undefined : because
    })
  }
  const there = follow(world, machine, flow, tell)
  if (there.ended !== undefined) return end(there.ended, there.by, there.source)
  const back = answer(world, machine, there, tell)
  if (back !== undefined) return end(back)
  return end(there.refused ? 'refused' : 'answered', there.at, there.packet.source)
}

type Tell = (at: Machine, what: string, because?: Path) => void

interface Ended {
  readonly ended: Disposition
  readonly by?: Machine
  readonly source?: Addr
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
  readonly refused: boolean
}

const follow = (world: World, from: Machine, flow: Flow, tell: Tell): Ended | Arrived => {
  const { protocol, port = 0 } = flow
  const translations: Translation[] = []
  let packet: Packet = { protocol, source: flow.to, sourcePort: CLIENT_PORT, to: flow.to, port }
  // The source is chosen before the OUTPUT chain translates.
  const chosen = sourceFor(from, flow.to)
  if (chosen === undefined) {
    tell(from, `has no route to ${formatAddr(flow.to)}`)
    return { ended: 'no-route' }
  }
  packet = { ...packet, source: chosen }
  const sent = packet
  const outgoing =
    from.nat === undefined && from !== world.host ? undefined : outputTarget(world, from, packet)
  if (outgoing !== undefined) {
    const went = { ...packet, to: outgoing.to, port: outgoing.port ?? packet.port }
    translations.push({ machine: from, came: packet, went })
    packet = went
    tell(from, `sends to ${shown(packet)} instead`, outgoing.at)
  }
  let at = from
  let through: Interface | undefined
  let dnat = false
  for (let hop = 0; hop < MOST_HOPS; hop += 1) {
    if (through !== undefined) {
      const forged = reversePathFault(at, packet.source, through)
      if (forged) {
        tell(
          at,
          `drops it: ${formatAddr(packet.source)} is not routed back through ${through.name}`,
          at.firewall?.at
        )
        return { ended: 'forged-source' }
      }
      const target = forwardTarget(world, at, through, packet)
      if (target !== undefined) {
        const went = { ...packet, to: target.to, port: target.port ?? packet.port }
        translations.push({ machine: at, came: packet, went })
        packet = went
        dnat = true
        tell(at, `forwards it to ${shown(packet)}`, target.at)
      }
    }
    if (at.local.has(keyOf(packet.to))) return arrived(at, through, packet, sent, translations, tell)
    if (through !== undefined && !at.forwards[packet.to.family]) {
      tell(at, `does not forward IPv${packet.to.family}`)
      return { ended: 'not-forwarded' }
    }
    const route = at.routes[packet.to.family].get(packet.to)
    if (route === undefined) {
      tell(at, `has no route to ${formatAddr(packet.to)}`)
      return { ended: 'no-route' }
    }
    if (through !== undefined && !passesForward(at, through, route.interface, packet, dnat)) {
      tell(
        at,
        `does not let it pass from ${through.name} to ${route.interface.name}`,
        at.firewall?.filterForward
      )
      return { ended: 'filtered' }
    }
    const masked = sourceAfter(world, at, through, route, packet)
    if (masked !== undefined) {
      const went = { ...packet, source: masked.source }
      translations.push({ machine: at, came: packet, went })
      packet = went
      tell(at, `sends it with the source ${formatAddr(packet.source)}`, masked.at)
    }
    const next = route.via ?? packet.to
    const neighbour = world.neighbour(route.interface, next)
    if (neighbour === undefined) {
      tell(at, `finds nobody with ${formatAddr(next)} on ${route.interface.name}`, route.at)
      return { ended: 'no-neighbour' }
    }
    tell(
      at,
      `sends it by ${route.interface.name}${route.via === undefined ? '' : ` to ${formatAddr(route.via)}`}`,
      route.at
    )
    at = neighbour.machine
    through = neighbour
  }
  tell(at, 'it goes round in a circle')
  return { ended: 'no-route' }
}

const shown = ({ to, port }: Packet): string => (port === 0 ? formatAddr(to) : `${formatAddr(to)}:${port}`)

/** What an interface is asked that has the address: the firewall, then whether anybody listens. */
const arrived = (
  at: Machine,
  through: Interface | undefined,
  packet: Packet,
  sent: Packet,
  translations: readonly Translation[],
  tell: Tell
): Ended | Arrived => {
  const { protocol, port } = packet
  if (through !== undefined && !letsIn(at, through, packet)) {
    const { rejectPackets = false } = at.firewall ?? {}
    tell(
      at,
      protocol === 'icmp'
        ? 'does not answer pings'
        : `has port ${port}/${protocol} closed on ${through.name}`,
      at.firewall?.at
    )
    return rejectPackets ? { ended: 'rejected' } : { ended: 'filtered' }
  }
  const refused = protocol !== 'icmp' && !at.listens.some(listen => hears(listen, packet, through))
  tell(at, refused ? `refuses it, nothing listens on ${port}/${protocol}` : 'answers')
  return { at, through, packet, sent, translations, refused }
}

const hears = (listen: Listen, { protocol, port, to }: Packet, through: Interface | undefined): boolean => {
  const { prefix } = listen.address ?? {}
  if (listen.port !== port || listen.protocol.value !== protocol) return false
  if (prefix === undefined || isAny(prefix))
    return prefix === undefined || prefix.family === 6 || to.family === 4
  return sameAddr(prefix, to) && (through === undefined || !isLoopback(prefix))
}

const isLoopback = ({ family, value }: Addr): boolean => (family === 4 ? value >> 24n === 127n : value === 1n)

/** networking.firewall's INPUT (firewall-iptables.nix, firewall-nftables.nix). */
const letsIn = (
  { firewall, input }: Machine,
  { name }: Interface,
  { protocol, port, to }: Packet
): boolean => {
  if (firewall === undefined || input === undefined || !firewall.enable || input.trusts(name)) return true
  if (protocol === 'icmp') return to.family === 6 || firewall.allowPing
  return input.opens(name, protocol, { from: port, to: port })
}

/** checkReversePath of a firewall: an answer to the source has to leave by the interface that the packet came by. */
const reversePathFault = (
  { firewall, routes, local }: Machine,
  source: Addr,
  through: Interface
): boolean => {
  if (
    firewall === undefined ||
    !firewall.enable ||
    firewall.checkReversePath === 'off' ||
    isLinkLocal6(source)
  )
    return false
  if (local.has(keyOf(source))) return true
  const back = routes[source.family].get(source)
  return back === undefined || (firewall.checkReversePath === 'strict' && back.interface !== through)
}

/** The address that a machine sends from: its own to itself, else of the interface that leads there. */
const sourceFor = (machine: Machine, to: Addr): Addr | undefined => {
  if (machine.local.has(keyOf(to))) return to
  const route = machine.routes[to.family].get(to)
  return route === undefined ? undefined : sourceOn(machine, route, to)
}

/** inet_select_addr of the kernel for IPv4, RFC 6724 for IPv6. */
const sourceOn = (machine: Machine, route: Route, to: Addr): Addr | undefined => {
  // Whoever is on the internet speaks with its own address, not with that of the router.
  if (machine.place.kind === 'internet') return INTERNET.find(({ family }) => family === to.family)
  if (route.source !== undefined && route.via === undefined && route.source.family === 4) return route.source
  const next = route.via ?? to
  const of = (own: Interface): readonly (Addr & { readonly bits: number })[] =>
    own.addresses.filter(addr => addr.family === to.family)
  const own = of(route.interface)
  if (to.family === 6) return nearest(own.length > 0 ? own : machine.interfaces.flatMap(of), to)
  return own.find(addr => contains(addr, next)) ?? own[0] ?? machine.interfaces.flatMap(of)[0]
}

const nearest = (addrs: readonly Addr[], to: Addr): Addr | undefined => {
  let best: Addr | undefined
  for (const addr of addrs) {
    if (isLinkLocal6(addr) && !isLinkLocal6(to)) continue
    if (best === undefined || (addr.value ^ to.value) < (best.value ^ to.value)) best = addr
  }
  return best
}

interface Target {
  readonly to: Addr
  readonly port: number | undefined
  readonly at: Path
}

/** Where NAT sends what comes in: networking.nat's forwards, systemd-nspawn's, then dmzHost. */
const forwardTarget = (world: World, at: Machine, through: Interface, packet: Packet): Target | undefined => {
  const { nat } = at
  if (nat !== undefined) {
    const external = isExternal(at, nat, through.name)
    for (const forward of nat.forwardPorts) {
      if (!fits(nat, forward, packet)) continue
      const own = packet.to.family === 4 ? nat.externalIP : nat.externalIPv6
      if (external && (own?.prefix === undefined || sameAddr(own.prefix, packet.to)))
        return targetOf(forward, packet)
      if (!external && atLoopback(forward, packet.to) && comesFromInside(at, nat, through, packet.source))
        return targetOf(forward, packet)
    }
  }
  const nspawn = at === world.host ? nspawnTarget(world, packet) : undefined
  if (nspawn !== undefined) return nspawn
  if (nat?.dmzHost?.prefix !== undefined && packet.to.family === 4 && isExternal(at, nat, through.name))
    return { to: nat.dmzHost.prefix, port: undefined, at: nat.dmzHost.at }
  return undefined
}

/** The same for what a machine sends itself. */
const outputTarget = (world: World, at: Machine, packet: Packet): Target | undefined => {
  const forward = at.nat?.forwardPorts.find(
    forward => at.nat !== undefined && fits(at.nat, forward, packet) && atLoopback(forward, packet.to)
  )
  if (forward !== undefined) return targetOf(forward, packet)
  return at === world.host && !isLoopback(packet.to) ? nspawnTarget(world, packet) : undefined
}

const fits = (
  nat: Nat,
  { source, proto, destination }: NatForward,
  { protocol, port, to }: Packet
): boolean =>
  proto.value === protocol &&
  destination.address?.family === to.family &&
  (to.family === 4 || nat.enableIPv6) &&
  source.range !== undefined &&
  source.range.from <= port &&
  port <= source.range.to

const atLoopback = ({ loopbackIPs }: NatForward, to: Addr): boolean =>
  loopbackIPs.some(({ prefix }) => prefix !== undefined && sameAddr(prefix, to))

/** A range goes to a range as it is, where a port is in both: the kernel does not shift it. */
const targetOf = ({ destination, at }: NatForward, { port }: Packet): Target | undefined => {
  const { address, ports } = destination
  if (address === undefined) return undefined
  const kept = ports !== undefined && ports.from <= port && port <= ports.to
  return { to: address, port: ports === undefined ? undefined : kept ? port : ports.from, at }
}

const isExternal = ({ firewall }: Machine, { externalInterface }: Nat, ifname: string): boolean =>
  externalInterface === undefined ||
  nameMatcher([externalInterface], firewall === undefined ? '+' : wildcardOf(firewall))(ifname)

/** Whether NAT counts it as from inside: by its interface, or by its source. */
const comesFromInside = ({ firewall }: Machine, nat: Nat, { name }: Interface, source: Addr): boolean => {
  const names = nat.internalInterfaces.map(entry => entry.name)
  if (nameMatcher(names, firewall === undefined ? '+' : wildcardOf(firewall))(name)) return true
  const ranges = source.family === 4 ? nat.internalIPs : nat.internalIPv6s
  return ranges.some(({ prefix }) => prefix !== undefined && contains(prefix, source))
}

/** systemd-nspawn's --port=: for every IPv4 address of the host but loopback, to the container's first IPv4 address. */
const nspawnTarget = (
  { plan, host, machineAt }: World,
  { protocol, port, to }: Packet
): Target | undefined => {
  if (to.family !== 4 || isLoopback(to) || !host.local.has(keyOf(to))) return undefined
  for (const container of plan.topology.having.forwardPorts) {
    if (!container.enabled || !container.privateNetwork) continue
    const forward = container.veth.forwardPorts.find(
      (entry: ContainerForward) => entry.hostPort === port && entry.protocol.value === protocol
    )
    const machine = forward && machineAt({ kind: 'container', name: container.name })
    const address = machine?.interfaces.flatMap(own => own.addresses).find(({ family }) => family === 4)
    if (forward !== undefined && address !== undefined)
      return { to: address, port: forward.containerPort, at: forward.at }
  }
  return undefined
}

/** filterForward of nftables: what is answered, forwarded by NAT, or goes from inside to outside. */
const passesForward = (
  at: Machine,
  through: Interface,
  out: Interface,
  packet: Packet,
  dnat: boolean
): boolean => {
  const { firewall, nat } = at
  if (
    firewall === undefined ||
    !firewall.enable ||
    firewall.filterForward === undefined ||
    firewall.backend !== 'nftables'
  )
    return true
  if (dnat || (packet.protocol === 'icmp' && packet.to.family === 6)) return true
  return (
    nat !== undefined && isExternal(at, nat, out.name) && comesFromInside(at, nat, through, packet.source)
  )
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
  if (nat !== undefined && (family === 4 || nat.enableIPv6) && isExternal(at, nat, out.name)) {
    const own = family === 4 ? nat.externalIP : nat.externalIPv6
    const inside =
      through === undefined
        ? (family === 4 ? nat.internalIPs : nat.internalIPv6s).some(
            ({ prefix }) => prefix !== undefined && contains(prefix, packet.source)
          )
        : comesFromInside(at, nat, through, packet.source)
    if (inside) return own?.prefix === undefined ? masquerade(nat.at) : { source: own.prefix, at: own.at }
  }
  const forward = nat === undefined || through === undefined ? undefined : forwardTo(nat, packet)
  if (nat !== undefined && through !== undefined && forward !== undefined) {
    // nftables translates whoever does not come from outside, iptables those inside where loopbackIPs are written.
    if (at.firewall?.backend === 'nftables') {
      if (!isExternal(at, nat, through.name)) return masquerade(forward.at)
    } else {
      const own = forward.loopbackIPs[0]?.prefix
      if (own !== undefined && comesFromInside(at, nat, through, packet.source))
        return { source: own, at: forward.at }
    }
  }
  const bridge = at === world.host && through !== undefined ? world.plan.bridges.get(through.name) : undefined
  if (
    bridge?.bridge.masquerade[family] === true &&
    bridge.subnets.some(({ prefix }) => contains(prefix, packet.source))
  )
    return masquerade(bridge.bridge.at)
  return undefined
}

/** The forward that leads to where a packet goes, whether it has been forwarded or not. */
const forwardTo = (nat: Nat, { protocol, to, port }: Packet): NatForward | undefined =>
  nat.forwardPorts.find(({ proto, destination: { address, ports }, source }) => {
    const range = ports ?? source.range
    return (
      proto.value === protocol &&
      address !== undefined &&
      sameAddr(address, to) &&
      range !== undefined &&
      range.from <= port &&
      port <= range.to
    )
  })

/** The answer's way back; the disposition where it does not arrive as the answer to what was asked. */
const answer = (world: World, client: Machine, there: Arrived, tell: Tell): Disposition | undefined => {
  const { packet, sent, translations, through } = there
  if (through === undefined) return undefined
  let at = there.at
  let own: Packet = reversed(packet)
  const open = [...translations]
  for (let hop = 0; hop < MOST_HOPS; hop += 1) {
    if (at === client && at.local.has(keyOf(own.to))) {
      if (undone(open, at, own) !== undefined) own = undone(open, at, own) ?? own
      const right =
        sameAddr(own.source, sent.to) && sameAddr(own.to, sent.source) && own.sourcePort === sent.port
      if (right) return undefined
      tell(
        at,
        `does not know the answer: it comes from ${formatAddr(own.source)}, and ${formatAddr(sent.to)} was asked`
      )
      return 'answered-by-another-way'
    }
    if (at !== there.at && at.local.has(keyOf(own.to)) && at !== client) {
      tell(at, 'gets an answer to a question that it has not asked')
      return 'no-way-back'
    }
    if (at !== there.at && !at.forwards[own.to.family]) {
      tell(at, `does not forward the answer`)
      return 'no-way-back'
    }
    const route = at.routes[own.to.family].get(own.to)
    if (route === undefined) {
      tell(at, `has no route back to ${formatAddr(own.to)}`)
      return 'no-way-back'
    }
    const next = route.via ?? own.to
    const neighbour = world.neighbour(route.interface, next)
    if (neighbour === undefined) {
      tell(at, `finds nobody with ${formatAddr(next)} on ${route.interface.name} for the answer`, route.at)
      return 'no-way-back'
    }
    at = neighbour.machine
    if (reversePathFault(at, own.source, neighbour)) {
      tell(
        at,
        `drops the answer: ${formatAddr(own.source)} is not routed back through ${neighbour.name}`,
        at.firewall?.at
      )
      return 'no-way-back'
    }
    for (let again = undone(open, at, own); again !== undefined; again = undone(open, at, own)) own = again
  }
  return 'no-way-back'
}

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
