import type { Container, Expectation, PortRange, Vm } from '../model/topology.ts'
import {
  type Addr,
  type AddrKey,
  type Family,
  formatAddr,
  isLinkLocal6,
  parseAddr,
  sameAddr,
  addrKey
} from '../net/addr.ts'
import { hasOwnRules } from '../plan/firewall.ts'
import { isGlobal } from '../net/special.ts'
import { defaultRoutes } from '../plan/gateways.ts'
import { hasMacvlanByHand } from '../plan/links.ts'
import { FAMILIES } from '../plan/plan.ts'
import { quote } from '../text/path.ts'
import { type Flow, placeKey, placeName } from './flow.ts'
import { type Hop, type Trace, trace } from './trace.ts'
import { type Machine, type World } from './world.ts'

/** One way in which an expectation was tried. */
export interface Attempt {
  readonly flow: Flow
  readonly trace: Trace
}

/** Why nothing could be tried. */
export interface Fault {
  readonly kind: 'nobody' | 'off' | 'elsewhere' | 'outside' | 'no-address' | 'no-family'
  /** Whose fault it is; undefined where it is that of both. */
  readonly end: 'from' | 'to' | undefined
  readonly text: string
}

export interface Judgement {
  readonly expectation: Expectation
  readonly holds: boolean
  readonly fault: Fault | undefined
  /** Why it may hold all the same: what decides does not stand in the file. */
  readonly doubt: string | undefined
  /** What was tried; the first is the one that decided that it does not hold, with all of its hops. */
  readonly attempts: readonly Attempt[]
}

/** Whether a packet has arrived where it was sent, whoever listens there: the file need not name every service. */
export const arrives = ({ disposition }: Pick<Trace, 'disposition'>): boolean =>
  disposition === 'answered' || disposition === 'refused'

/** A flow with all of its hops. */
export const attempt = (world: World, flow: Flow): Attempt => {
  const hops: Hop[] = []
  return { flow, trace: { ...trace(world, flow, hops), hops } }
}

/**
 * Judges tests of the network. `reaches` wants one address of each family that both ends have to be reached, at the port
 * itself or by a forward of the host; `blocked` wants none of them to be.
 */
export const judging = (world: World): ((expectation: Expectation) => Judgement) => {
  const nodes = nodesOf(world)
  const forwards = forwardsTo(world)
  return expectation => judgement(world, nodes, forwards, expectation)
}

/** The same for one. */
export const judge = (world: World, expectation: Expectation): Judgement => judging(world)(expectation)

type Nodes = ReadonlyMap<string, Container | Vm>

const nodesOf = ({ plan: { topology } }: World): Nodes =>
  new Map([...topology.vms, ...topology.containers].map(node => [node.name, node]))

const judgement = (world: World, nodes: Nodes, forwards: Forwards, expectation: Expectation): Judgement => {
  const { from, to, family, outcome } = expectation
  const unmet = (fault: Fault): Judgement => {
    const { kind, end } = fault
    const isUnknown = kind === 'off' || kind === 'elsewhere' || kind === 'outside'
    const doubt = isUnknown
      ? fault.text
      : kind === 'nobody'
        ? undefined
        : FROM_AND_TO.filter(side => end === undefined || side === end)
            .map(side => unknownAddress(nodes.get(expectation[side])))
            .find(text => text !== undefined)
    return { expectation, holds: kind !== 'nobody' && outcome === 'blocked', fault, doubt, attempts: [] }
  }
  const both = ends(world, nodes, from, to)
  if ('kind' in both) return unmet(both)
  const { sender, targets, receiver } = both
  const reached = ({ trace }: Attempt): boolean => arrives(trace) && isAt(trace, receiver)
  const isSent = ({ flow: { to } }: Attempt): boolean =>
    sender.local.has(addrKey(to)) || sender.routes[to.family].get(to) !== undefined
  const speaks = (own: Family): boolean =>
    sender.interfaces.some(({ addresses }) =>
      addresses.some(addr => addr.family === own && !isLinkLocal6(addr))
    )
  const families = FAMILIES.filter(
    own =>
      (family ?? own) === own && targets.some(addr => addr.family === own) && (speaks(own) || family === own)
  )
  if (families.length === 0) return unmet(noFamily(expectation, sender, targets))
  const tried = families.map(own =>
    flowsOf(world, forwards, sender, targets, own, expectation).map(
      (flow): Attempt => ({ flow, trace: { ...trace(world, flow), hops: [] } })
    )
  )
  const all = tried.flat()
  const deciding =
    outcome === 'reaches' ? mostTelling(unreached(tried, reached, isSent) ?? [], targets) : all.find(reached)
  if (deciding === undefined)
    return { expectation, holds: true, fault: undefined, doubt: undefined, attempts: all }
  const decided = attempt(world, deciding.flow)
  if (outcome === 'reaches' && isAvoided(world, decided))
    return { expectation, holds: true, fault: undefined, doubt: undefined, attempts: all }
  return {
    expectation,
    holds: false,
    fault: undefined,
    doubt: doubtOf(world, decided, outcome),
    attempts: [decided, ...all.filter(other => other !== deciding)]
  }
}

/**
 * The family of which nobody is reached. One that the sender has no route for is not asked for where another arrives:
 * programs do not even try it (RFC 6724 section 6, rule 1).
 */
const unreached = (
  tried: readonly (readonly Attempt[])[],
  reached: (attempt: Attempt) => boolean,
  isSent: (attempt: Attempt) => boolean
): readonly Attempt[] | undefined => {
  const failed = tried.filter(attempts => !attempts.some(reached))
  return failed.length === tried.length ? failed[0] : failed.find(attempts => attempts.some(isSent))
}

/** Whether units by hand have the usual way around what is in the way: a macvlan of the host's own. What comes behind it is not looked at. */
const isAvoided = ({ plan }: World, { trace }: Attempt): boolean => {
  const { at, step } = trace.hops.at(-1) ?? {}
  return (
    step?.kind === 'no-neighbour' &&
    [at, step.owner].some(machine => machine?.interfaces.some(({ macvlan }) => macvlan !== undefined)) &&
    hasMacvlanByHand(plan.topology)
  )
}

/** Where a forward of the host is meant to lead there, what becomes of it tells more than that there is no way without it. */
const mostTelling = (attempts: readonly Attempt[], targets: readonly Addr[]): Attempt | undefined =>
  attempts.find(({ flow }) => !targets.some(addr => sameAddr(addr, flow.to))) ?? attempts[0]

/** Whether it was whom it was sent to that got it: an address may be somebody else's too. */
const isAt = ({ by }: Trace, receiver: Machine | undefined): boolean =>
  receiver === undefined || by === undefined || placeKey(by) === placeKey(receiver.place)

const FROM_AND_TO = ['from', 'to'] as const

const parsed = (name: string): Addr | undefined => {
  const found = parseAddr(name)
  return 'value' in found ? found.value : undefined
}

const noFamily = (expectation: Expectation, sender: Machine, targets: readonly Addr[]): Fault => {
  const { from, to, family } = expectation
  const version = family === undefined ? '' : ` of IPv${family}`
  if (targets.every(addr => addr.family !== (family ?? addr.family)))
    return noAddress('to', expectation, version)
  return sender.interfaces.every(({ addresses }) => addresses.length === 0)
    ? noAddress('from', expectation)
    : {
        kind: 'no-family',
        end: undefined,
        text: `${quote(from)} and ${quote(to)} have no address of one family`
      }
}

const flowTo = ({ place }: Machine, to: Addr, { port, protocol }: Asked): Flow => ({
  from: place,
  to,
  protocol: protocol === 'icmp' || port === undefined ? 'icmp' : protocol === 'udp' ? 'udp' : 'tcp',
  port: protocol === 'icmp' ? undefined : port
})

/** A container, machine, `host`, `lan` or `internet` by name, or whoever has the address; a container without a network of its own is the host. */
const machineOf = (world: World, nodes: Nodes, name: string): Machine | Omit<Fault, 'end'> => {
  const known = world.machineOf(name)
  if (known !== undefined) return known
  const node = nodes.get(name)
  if (node !== undefined) {
    if (!node.enabled) return { kind: 'off', text: `${quote(name)} is switched off (enabled: false)` }
    return 'networkNamespace' in node && node.networkNamespace
      ? { kind: 'elsewhere', text: `${quote(name)} runs in a network namespace that is made elsewhere` }
      : world.host
  }
  if (isOutside(name)) return nothingOutside(name)
  const addr = parsed(name)
  if (addr === undefined) return { kind: 'nobody', text: `nobody is called ${quote(name)}` }
  return world.ownerOf(addr) ?? { kind: 'nobody', text: `nobody has the address ${name}` }
}

const OUTSIDE = { lan: 'LAN', internet: 'internet' } as const

const isOutside = (name: string): name is keyof typeof OUTSIDE => Object.hasOwn(OUTSIDE, name)

/** Of what is outside a file says only by which interface the host is there. */
const nothingOutside = (name: keyof typeof OUTSIDE, version = ''): Omit<Fault, 'end'> => ({
  kind: 'outside',
  text: `no interface of the host that leads to the ${OUTSIDE[name]} ${version === '' ? 'is' : `has an address${version}`} in the file`
})

/** The addresses that a name stands for. */
const addressesOf = (machine: Machine | undefined, name: string): readonly Addr[] => {
  const addr = parsed(name)
  if (addr !== undefined || machine === undefined) return addr === undefined ? [] : [addr]
  const interfaces =
    machine.place.kind === 'internet'
      ? machine.interfaces.filter(own => own.name === 'lo')
      : machine.interfaces
  return interfaces.flatMap(({ addresses }) => addresses.filter(addr => !isLinkLocal6(addr)))
}

/** Who sends, and what is asked for: addresses, and whose they are where a name was written. */
interface Ends {
  readonly sender: Machine
  readonly targets: readonly Addr[]
  readonly receiver: Machine | undefined
}

/** What is asked: by names or addresses, and for a service or a ping. */
export type Asked = Pick<Expectation, 'from' | 'to' | 'port' | 'protocol'>

/** The flows by which somebody may reach somebody, or why there are none. */
export const asking = (world: World): ((asked: Asked) => readonly Flow[] | Fault) => {
  const nodes = nodesOf(world)
  const forwards = forwardsTo(world)
  return asked => {
    const both = ends(world, nodes, asked.from, asked.to)
    if ('kind' in both) return both
    const { sender, targets } = both
    if (targets.length === 0) return noAddress('to', asked)
    return FAMILIES.flatMap(family => flowsOf(world, forwards, sender, targets, family, asked))
  }
}

/** The names that an end may have. */
export const namesOf = ({ machines, plan: { topology } }: World): ReadonlySet<string> =>
  new Set([
    ...machines.map(({ place }) => placeName(place)),
    ...[...topology.containers, ...topology.vms].map(({ name }) => name)
  ])

/** To the addresses of a family themselves, and to the forwards that lead there. */
const flowsOf = (
  world: World,
  forwards: Forwards,
  sender: Machine,
  targets: readonly Addr[],
  family: Family,
  asked: Asked
): readonly Flow[] => [
  ...targets.filter(addr => addr.family === family).map(addr => flowTo(sender, addr, asked)),
  ...byForwards(world, forwards, sender, targets, family, asked)
]

const noAddress = (end: 'from' | 'to', asked: Asked, version = ''): Fault => {
  const name = asked[end]
  return isOutside(name)
    ? { ...nothingOutside(name, version), end }
    : { kind: 'no-address', end, text: `${quote(name)} has no address${version}` }
}

const ends = (world: World, nodes: Nodes, from: string, to: string): Ends | Fault => {
  const sender = machineOf(world, nodes, from)
  if ('kind' in sender) return { ...sender, end: 'from' }
  const receiver = parsed(to) === undefined ? machineOf(world, nodes, to) : undefined
  if (receiver !== undefined && 'kind' in receiver) return { ...receiver, end: 'to' }
  const targets = addressesOf(receiver, to)
  return { sender, targets, receiver }
}

/** Why it is not known which addresses a container or machine has. */
const unknownAddress = (node: Container | Vm | undefined): string | undefined => {
  if (node === undefined) return undefined
  if (node.partial) return `only a part of ${quote(node.name)} is in the file`
  const isGiven =
    'dhcp' in node &&
    (node.dhcp ||
      node.acceptRA === true ||
      node.useNetworkd ||
      node.inside.interfaces.some(({ dhcp, acceptRA }) => dhcp || acceptRA === true))
  return isGiven || !('dhcp' in node)
    ? `${quote(node.name)} gets its address from elsewhere, and the file does not say which`
    : undefined
}

/** The containers and machines that have a network and no address in the file: what they reach is not known. */
export const unaddressed = ({ plan: { linksOf, topology } }: World): readonly string[] =>
  [...topology.containers, ...topology.vms].flatMap(node => {
    const links = linksOf.get(node) ?? []
    const isKnown =
      links.length === 0 ||
      links.some(({ addresses }) => addresses.some(({ prefix }) => prefix !== undefined))
    return !node.enabled || isKnown || unknownAddress(node) === undefined ? [] : [node.name]
  })

/** What decides and does not stand in the file: of a flow that does not arrive, and of one that is not to. */
export const doubtOf = (
  world: World,
  { flow, trace }: Attempt,
  outcome: Expectation['outcome']
): string | undefined => {
  const { topology, addresses, bridges } = world.plan
  const passed = new Set(trace.hops.map(({ at }) => at))
  const last = trace.hops.at(-1)
  for (const { place, container, firewall, forwardRules } of passed) {
    if (container?.partial === true) return `only a part of ${quote(container.name)} is in the file`
    // What the host sends itself and a closed port stops has left the host as it was sent.
    const isSure =
      flow.from.kind === 'host' && last?.step.kind === 'closed' && last.at.container !== undefined
    if (place.kind === 'host' && (topology.host.partial || topology.nat?.partial === true) && !isSure)
      return 'only a part of the host is in the file'
    if (container?.vpn?.defaultRoute === true)
      return `the VPN in ${quote(container.name)} may take it elsewhere`
    const isRuled = firewall?.enable === true && (hasOwnRules(firewall) || forwardRules?.isWhole === false)
    if (outcome === 'blocked' && isRuled)
      return `rules of its own that ${placeName(place)} has in its firewall may drop it`
  }
  for (const { step } of trace.hops) {
    if (step.kind !== 'route') continue
    const bridge = bridges.get(step.route.interface.segment.replace(/^bridge /, ''))?.bridge
    if (bridge?.vlanAware === true) return `the VLANs of bridge ${quote(bridge.name)} may keep them apart`
    if (bridge?.partial === true && outcome === 'reaches')
      return `only a part of bridge ${quote(bridge.name)} is in the file`
  }
  if (outcome === 'blocked' || last === undefined) return undefined
  const routed = (addr: Addr): string =>
    `${formatAddr(addr)} is a public address, and whether it is routed to this host is not in the file`
  if (trace.by?.kind === 'internet' && arrives(trace) && isGlobal(flow.to)) return routed(flow.to)
  const { at, step } = last
  const hasRules =
    at.firewall !== undefined &&
    (step.kind === 'closed'
      ? hasOwnRules(at.firewall)
      : step.kind === 'filtered' && at.forwardRules?.isWhole === false)
  if (hasRules) return `rules of its own that ${placeName(at.place)} has in its firewall may let it in`
  if (addresses.owners(flow.to)?.some(({ kind }) => kind === 'virtual') === true)
    return `${formatAddr(flow.to)} moves between machines`
  const isSomebodys = world.ownerOf(flow.to) !== undefined
  if (step.kind === 'no-neighbour' && !step.back && !isSomebodys && isOpen(world, step.interface.segment))
    return `whether somebody has ${formatAddr(step.addr)} in the network outside is not in the file`
  if (step.kind !== 'no-route') return undefined
  if (at.container !== undefined) return givenRoute(world, at.container, step.addr.family)
  if (at.place.kind !== 'internet' && at.place.kind !== 'lan') return undefined
  if (!isSomebodys) return 'what the routers outside know is not in the file'
  return isGlobal(step.addr) ? routed(step.addr) : undefined
}

/** What gives a container a way that the file does not have. */
const givenRoute = ({ plan }: World, container: Container, family: Family): string | undefined => {
  const given = defaultRoutes(plan, container, family).find(
    ({ source }) => source === 'dhcp' || source === 'advertisement'
  )
  return given === undefined
    ? undefined
    : `${quote(container.name)} gets routes by ${given.source === 'dhcp' ? 'DHCP' : 'router advertisements'}, and the file does not say which`
}

/** Whether a link leads to machines that the file does not have. */
const isOpen = ({ outside }: World, segment: string): boolean =>
  outside.some(({ ifname }) => segment === `card ${ifname}` || segment === `bridge ${ifname}`)

interface PortForward {
  readonly protocol: string
  readonly outer: PortRange
  readonly inner: PortRange
}

/** The forwards of the host by the address that they lead to. */
type Forwards = ReadonlyMap<AddrKey, readonly PortForward[]>

const forwardsTo = ({ plan }: World): Forwards => {
  const { nat, having } = plan.topology
  const found = new Map<AddrKey, PortForward[]>()
  const add = (addr: Addr, forward: PortForward): void => {
    const known = found.get(addrKey(addr))
    if (known === undefined) found.set(addrKey(addr), [forward])
    else known.push(forward)
  }
  for (const { source, destination, proto } of nat?.enable === true ? nat.forwardPorts : [])
    if (source.range !== undefined && destination.address !== undefined)
      add(destination.address, {
        protocol: proto.text,
        outer: source.range,
        inner: destination.ports ?? source.range
      })
  for (const container of having.forwardPorts) {
    if (!container.enabled) continue
    for (const { hostPort, containerPort, protocol } of container.veth.forwardPorts)
      if (hostPort !== undefined && containerPort !== undefined)
        for (const { addresses } of plan.linksOf.get(container) ?? [])
          for (const { prefix } of addresses)
            if (prefix?.family === 4)
              add(prefix, {
                protocol: protocol.text,
                outer: { from: hostPort, to: hostPort },
                inner: { from: containerPort, to: containerPort }
              })
  }
  return found
}

/** From outside a container is reached by forwards as well: at the host's own address and another port. */
const byForwards = (
  { outside: [uplink] }: World,
  forwards: Forwards,
  sender: Machine,
  targets: readonly Addr[],
  family: Family,
  { port, protocol }: Asked
): readonly Flow[] => {
  const { kind } = sender.place
  if ((kind !== 'internet' && kind !== 'lan') || port === undefined || protocol === 'icmp') return []
  const ports = targets.flatMap(addr =>
    (addr.family === family ? (forwards.get(addrKey(addr)) ?? []) : []).flatMap(
      ({ protocol: own, outer, inner }) =>
        own !== protocol || port < inner.from || port > inner.to
          ? []
          : [inner.to - inner.from === outer.to - outer.from ? outer.from + port - inner.from : outer.from]
    )
  )
  return [...new Set(ports)].flatMap(hostPort =>
    (uplink?.networks ?? [])
      .filter(({ host }) => host.family === family)
      .map(
        ({ host: { value } }): Flow => ({
          from: sender.place,
          to: { family, value },
          protocol: protocol === 'udp' ? 'udp' : 'tcp',
          port: hostPort
        })
      )
  )
}
