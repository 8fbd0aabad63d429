import type { Firewall, Protocol } from '../model/topology.ts'
import { type Addr, type Family, formatAddr, isLinkLocal6, addrKey } from '../net/addr.ts'
import { formatPrefix } from '../net/prefix.ts'
import { wildcardOf } from '../plan/firewall.ts'
import { nameMatcher } from '../plan/nat.ts'
import { formatPath, type Path, quote } from '../text/path.ts'
import { listed } from '../text/words.ts'
import { arrives, type Attempt } from './expect.ts'
import { type Flow, type Place, placeName } from './flow.ts'
import type { Hop, Packet, Trace } from './trace.ts'
import { type Interface, type Machine } from './world.ts'

// Traces in words: what happens at each hop, why a flow ends, and by which way one gets in.

/** `container "web"`, `the host`. */
export const whoIs = (place: Place): string =>
  place.kind === 'container'
    ? `container ${quote(place.name)}`
    : place.kind === 'vm'
      ? `machine ${quote(place.name)}`
      : place.kind === 'lan'
        ? 'the LAN'
        : `the ${place.kind}`

/** `tcp 80`, `a ping`. */
export const whatIs = ({ protocol, port }: Pick<Flow, 'protocol' | 'port'>): string =>
  protocol === 'icmp' || port === undefined || port === 0 ? 'a ping' : `${protocol} ${port}`

/** `192.168.100.3:80`, `[fd00::2]:80`. */
export const withPort = (addr: Addr, port: number | undefined): string =>
  port === undefined || port === 0
    ? formatAddr(addr)
    : addr.family === 6
      ? `[${formatAddr(addr)}]:${port}`
      : `${formatAddr(addr)}:${port}`

/** What the sender sees of a flow. */
export const SEEN: Readonly<Record<Trace['seen'], string>> = {
  answered: 'gets an answer',
  refused: 'sees "Connection refused"',
  'no-route': 'sees "Network is unreachable"',
  'no-neighbour': 'sees "No route to host"',
  timeout: 'waits until it times out'
}

/** What happens at a hop, as the rest of a sentence that begins with its machine. */
export const hopText = ({ at, step }: Hop): string => {
  switch (step.kind) {
    case 'route': {
      const { via, interface: own, destination } = step.route
      const by = destination.bits === 0 ? 'its default route' : `its route to ${formatPrefix(destination)}`
      return `sends ${step.back ? 'the answer' : 'it'} ${via === undefined ? '' : `to the router ${formatAddr(via)} `}on ${own.name}, by ${by}`
    }
    case 'to':
      return `sends it on to ${withPort(step.addr, step.port)} instead of ${formatAddr(step.was)}`
    case 'source':
      return `changes its source from ${formatAddr(step.was)} to ${formatAddr(step.addr)}`
    case 'passed':
      return `lets it pass from ${step.through.name} to ${step.out.name}, as filterForward accepts it`
    case 'filtered':
      return `drops it between ${step.through.name} and ${step.out.name}, as filterForward accepts no such packet`
    case 'let-in':
      return at.firewall?.enable === false
        ? 'has its firewall off'
        : `lets ${whatIs(step.packet)} in on ${step.through.name}: ${openingOf(at, step).why}`
    case 'closed':
      return closedText(at, step.packet, step.through.name)
    case 'answers':
      return 'answers'
    case 'refuses':
      return isOutside(at)
        ? 'has got it; what listens there is not for the file to say'
        : `has got it, and refuses it: nothing in the file listens on ${whatIs(step.packet)}`
    case 'no-route':
      return step.back
        ? `has no route back to ${formatAddr(step.addr)}`
        : `has no ${speaks(at, step.addr.family) ? '' : `IPv${step.addr.family} address, and no `}route to ${formatAddr(step.addr)}`
    case 'no-neighbour':
      return `looks for ${formatAddr(step.addr)} on ${step.interface.name}${step.back ? ' to answer' : ''}, and ${absence(at, step.interface, step.owner)}`
    case 'forged':
      if (at.local.has(addrKey(step.source)))
        return `drops ${step.back ? 'the answer' : 'it'}: it comes from ${formatAddr(step.source)}, an address of its own`
      return `drops ${step.back ? 'the answer' : 'it'} as forged (checkReversePath): ${
        at.routes[step.source.family].get(step.source) === undefined
          ? `it has no route back to ${formatAddr(step.source)}`
          : `its own way to ${formatAddr(step.source)} is not by ${step.through.name}`
      }`
    case 'not-forwarded':
      return `does not forward IPv${step.family}, and drops ${step.back ? 'the answer' : 'it'}`
    case 'broadcast':
      return `takes ${formatAddr(step.addr)}, the highest of a network of its own, for everybody there, and nobody answers`
    case 'anycast':
      return `drops it: every router has ${formatAddr(step.addr)}, the lowest address of a network, and takes no TCP there`
    case 'loopback':
      return `drops it: nothing from outside gets to ${formatAddr(step.addr)}, an address of the loopback`
    case 'not-started':
      return `does not start: ${step.failure.why}`
    case 'circle':
      return 'sends it round in a circle'
    case 'not-asked':
      return 'gets an answer to a question that it has not asked'
    default:
      return `drops the answer: it comes from ${formatAddr(step.addr)}, and ${formatAddr(step.asked)} was asked`
  }
}

/** Why nobody answers for an address on a link. */
const absence = (at: Machine, own: Interface, owner: Machine | undefined): string => {
  if (owner === undefined) return 'nobody there has it'
  return isApart(at, own, owner)
    ? own.macvlan !== undefined && at.place.kind === 'host' && own.macvlan !== 'bridge'
      ? `${whoIs(owner.place)} does not hear it: of the macvlans on one interface only those in bridge mode hear each other, and ${own.name} is in ${own.macvlan} mode`
      : `${whoIs(owner.place)} does not hear it: a macvlan and the host on whose interface it is never talk by it`
    : `${whoIs(owner.place)}, which has it, is on another link`
}

/** Whether it is a macvlan on the link that keeps a container and the host apart. */
export const isApart = (at: Machine, own: Interface, owner: Machine | undefined): boolean => {
  const isThere = (machine: Machine | undefined): boolean =>
    machine?.interfaces.some(({ macvlan, segment }) => macvlan !== undefined && segment === own.segment) ===
    true
  if (own.macvlan !== undefined && owner?.place.kind === 'host') return true
  return at.place.kind === 'host' && owner?.place.kind !== 'host' && isThere(owner)
}

/** Whether a machine has an address of a family. */
export const speaks = ({ interfaces }: Machine, family: Family): boolean =>
  interfaces.some(({ addresses }) =>
    addresses.some(addr => addr.family === family && !isLinkLocal6(addr) && !isLoopback(addr))
  )

const isLoopback = ({ family, value }: Addr): boolean => (family === 4 ? value >> 24n === 127n : value === 1n)

const closedText = ({ firewall }: Machine, packet: Packet, ifname: string): string => {
  const unwritten =
    firewall?.written === true ? '' : '; the file says nothing of its firewall, and NixOS turns it on'
  if (packet.protocol === 'icmp') return 'has a firewall that does not answer pings (allowPing)'
  const verb = firewall?.rejectPackets === true ? 'refuses' : 'drops'
  return `${verb} it, as its firewall has ${whatIs(packet)} closed on ${ifname}${unwritten}`
}

export const isOutside = ({ place }: Machine): boolean => place.kind === 'lan' || place.kind === 'internet'

/** What in a firewall lets a packet in. */
export const openingOf = (
  { firewall, guards }: Pick<Machine, 'firewall' | 'guards'>,
  { through, packet }: { readonly through: Interface; readonly packet: Packet }
): { readonly why: string; readonly at: Path | undefined } => {
  if (firewall === undefined) return { why: 'no firewall', at: undefined }
  if (!firewall.enable) return { why: 'its firewall is off', at: firewall.at }
  if (!guards[packet.to.family])
    return { why: 'with enableIPv6: false it has no rules for IPv6', at: undefined }
  const matches = (name: string): boolean => nameMatcher([name], wildcardOf(firewall))(through.name)
  const trusted = firewall.trustedInterfaces.find(({ name }) => matches(name))
  if (trusted !== undefined) return { why: `trustedInterfaces has ${trusted.name}`, at: trusted.at }
  if (packet.protocol === 'icmp')
    return packet.to.family === 6
      ? { why: 'ICMPv6 is never closed', at: undefined }
      : { why: firewall.written ? 'allowPing' : 'NixOS answers pings', at: firewall.at }
  const open = openFor(firewall, matches, packet.protocol).find(
    ({ from, to }) => from <= packet.port && packet.port <= to
  )
  return open === undefined
    ? { why: 'its rules do not load', at: undefined }
    : { why: `allowed${packet.protocol.toUpperCase()}Ports`, at: open.at }
}

const openFor = (
  { open, interfaces }: Firewall,
  matches: (name: string) => boolean,
  protocol: Protocol
): Firewall['open']['tcp'] => [
  ...open[protocol],
  ...interfaces.filter(({ name }) => matches(name)).flatMap(own => own.open[protocol])
]

/** Where in the file a hop comes from. */
export const hopPlace = (hop: Hop): Path | undefined => {
  const { at, step, because } = hop
  if (step.kind !== 'let-in') return because
  return openingOf(at, step).at ?? because
}

/** `web -> db 192.168.100.3 (IPv4), tcp 80`. */
export const flowText = ({ from, to, protocol, port }: Flow, target?: string): string =>
  `${placeName(from)} -> ${target === undefined || target === formatAddr(to) ? '' : `${target} `}${formatAddr(to)} (IPv${to.family}), ${protocol === 'icmp' || port === undefined ? 'ping' : `${protocol} ${port}`}`

/** How a flow has ended, with its reason. */
export const endText = ({ flow, trace }: Attempt): string => {
  if (trace.disposition === 'no-address') return 'the sender is not in the network'
  const last = trace.hops.at(-1)
  if (last === undefined) return trace.disposition
  // The internet's machine is the router of the LAN too.
  const isRouter = last.at.place.kind === 'internet' && flow.from.kind === 'lan'
  return `${isRouter ? 'the router outside' : whoIs(last.at.place)} ${hopText(last)}`
}

/** Why a flow arrives that is not to: the ports that are forwarded to it, the links, and the firewall that has it open. */
export const wayText = ({ flow, trace }: Attempt): string => {
  const parts: string[] = []
  const routers: string[] = []
  const sender = trace.hops[0]?.at
  for (const hop of trace.hops) {
    if (hop.step.kind === 'to')
      parts.push(
        `${whoIs(hop.at.place)} forwards ${flow.protocol === 'icmp' ? 'it' : `its port ${flow.port}`} to ${withPort(hop.step.addr, hop.step.port)}${hop.because === undefined ? '' : ` (${formatPath(hop.because)})`}`
      )
    else if (hop.step.kind === 'route' && !hop.step.back && hop.at !== sender)
      routers.push(whoIs(hop.at.place))
    if (hop.step.kind === 'let-in')
      parts.push(
        hop.at.firewall?.enable === false
          ? `the firewall of ${whoIs(hop.at.place)} is off`
          : `the firewall of ${whoIs(hop.at.place)} lets it in (${openingOf(hop.at, hop.step).why})`
      )
  }
  if (routers.length > 0 && !parts.some(part => part.includes('forwards')))
    parts.unshift(
      `${listed(routers)} ${routers.length === 1 ? 'routes' : 'route'} it on, and no firewall on the way drops it`
    )
  else if (!trace.hops.some(({ step }) => step.kind === 'let-in')) parts.push('no firewall is on the way')
  return parts.join('; ')
}

/** A trace on one line: who sends it how, without what the message about it says already. */
export const shortTrace = ({ flow, trace }: Attempt): string => {
  const steps = trace.hops.flatMap(({ at, step }) => {
    const who = placeName(at.place)
    switch (step.kind) {
      case 'route':
        return step.back
          ? []
          : [
              `${who} by ${step.route.interface.name}${step.route.via === undefined ? '' : ` to ${formatAddr(step.route.via)}`}`
            ]
      case 'to':
        return [`${who} turns it to ${withPort(step.addr, step.port)}`]
      case 'source':
        return [`${who} as ${formatAddr(step.addr)}`]
      case 'let-in':
      case 'passed':
        return []
      default:
        return [who]
    }
  })
  const way = steps.filter((step, i) => step !== steps[i - 1])
  return `${flowText(flow)}: ${way.join(' -> ')}; ${placeName(flow.from)} ${SEEN[trace.seen]}`
}

/** A trace in lines; `place` names a place of the file. */
export const attemptLines = (
  { flow, trace }: Attempt,
  target?: string,
  place: (at: Path) => string = formatPath
): readonly string[] => {
  const sender = placeName(flow.from)
  const rows: (readonly [who: string, what: string, at: Path | undefined])[] = []
  const back: string[] = []
  for (const hop of trace.hops) {
    const { at, step } = hop
    if (step.kind === 'route' && step.back) back.push(placeName(at.place))
    else {
      if (back.length > 0) rows.push(['', `the answer sets out${backBy(back)}`, undefined])
      rows.push([placeName(at.place), hopText(hop), hopPlace(hop)])
      back.length = 0
    }
  }
  const end = arrives(trace) ? 'arrives' : `does not arrive: ${sender} ${SEEN[trace.seen]}`
  if (back.length > 0) rows.push([sender, `gets the answer back${backBy(back)}`, undefined])
  const names = Math.min(NAME_MAX, Math.max(0, ...rows.map(([who]) => who.length)))
  const words = Math.min(
    WORDS_MAX,
    Math.max(0, ...rows.map(([, what, at]) => (at === undefined ? 0 : what.length)))
  )
  return [
    `${flowText(flow, target)}: ${end}`,
    ...rows.map(([who, what, at]) =>
      `  ${who.padEnd(names)}  ${at === undefined ? what : `${what.padEnd(words)}  ${place(at)}`}`.trimEnd()
    )
  ]
}

const NAME_MAX = 24
const WORDS_MAX = 76

/** The routers of the way back. */
const backBy = ([, ...routers]: readonly string[]): string =>
  routers.length === 0 ? '' : ` by ${routers.join(', ')}`
