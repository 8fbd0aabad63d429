import type { Listen, Nat, NatForward } from '../model/topology.ts'
import { type Addr, type AddrKey, formatAddr, sameAddr, addrKey } from '../net/addr.ts'
import { wildcardOf } from '../plan/firewall.ts'
import { nameMatcher } from '../plan/nat.ts'
import { isAny } from '../plan/ports.ts'
import { classesOf, isNode } from './classes.ts'
import { type Flow, type Place, placeKey } from './flow.ts'
import { forwardsOf, nspawnForward } from './forwards.ts'
import { askedOf, type Forwarded, type Known, portsAt, type Question } from './questions.ts'
import { type Trace, trace } from './trace.ts'
import { type Machine, type World } from './world.ts'

// Who reaches whom, all of them. Containers and machines that are alike are asked for once: what becomes of a flow hangs on
// the classes of both, on whether they share links, and on how the port is treated, whatever its number is.

/** An address in the words of a flow: the sender's, that of the one who is asked, the host's on the links of one of them. */
export type Spot =
  | { readonly of: 'from' | 'to'; readonly address: number }
  | { readonly of: 'host'; readonly links: 'from' | 'to'; readonly address: number }
  | Addr

/** What becomes of a flow, for all that are alike. */
export interface Outcome extends Pick<Trace, 'disposition' | 'seen'> {
  readonly by: 'from' | 'to' | Place | undefined
  readonly source: Spot | undefined
}

/** Somebody who asks and is asked. */
export interface Peer {
  readonly place: Place
  /** Those that it is asked at first, then the others that it has. */
  readonly addresses: readonly Addr[]
  /** Its links, numbered, with all that are joined to them by containers or machines; undefined outside. */
  readonly links: number | undefined
  /** The host's addresses on its links. */
  readonly hostAddresses: readonly Addr[]
}

/** Those that are treated alike, whoever is asked by them; or that are alike to whoever asks. */
export interface Group {
  readonly members: readonly Peer[]
}

/** One flow from all of a group to all of another. */
export interface Cell extends Pick<Flow, 'protocol' | 'port'> {
  readonly to: Spot
  readonly outcome: Outcome
}

/** A forward, and whose it is. */
export interface Door extends Forwarded {
  readonly target: Peer | undefined
}

export interface Matrix {
  readonly peers: readonly Peer[]
  /** Those that are alike as senders. */
  readonly senders: readonly Group[]
  /** Those that are alike as senders, and are asked for the same ports, which are treated alike. */
  readonly receivers: readonly Group[]
  /** The same where the numbers of the ports may differ. */
  readonly kinds: readonly Group[]
  /** Forwards that are alike but for their ports. */
  readonly doors: readonly (readonly Door[])[]
  readonly closedPort: number
  /** All that one asks another. */
  readonly cells: (from: Peer, to: Peer) => readonly Cell[]
  readonly cellOf: (from: Peer, door: Door) => Cell
}

/** How two stand to each other, as far as links go. */
export type Relation = 'self' | 'same links' | 'other links'

export const relationOf = (from: Peer, to: Peer | undefined): Relation =>
  from === to ? 'self' : from.links !== undefined && from.links === to?.links ? 'same links' : 'other links'

interface Own extends Peer {
  readonly known: Known
  readonly machine: Machine
  readonly kind: number
  /** Where it is asked: the first of its addresses. */
  readonly places: readonly Addr[]
  /** What it is asked at each of them. */
  readonly asks: (readonly Asking[])[]
}

/** A port of somebody, and the number of the way in which it is treated. */
interface Asking extends Pick<Flow, 'protocol' | 'port'> {
  readonly treatment: number
}

export const matrixOf = (world: World): Matrix => {
  const asked = askedOf(world.plan)
  const known = [asked.host, ...asked.world, ...asked.nodes].flatMap(entry => {
    const machine = world.machineAt(entry.place)
    return machine === undefined ? [] : [{ known: entry, machine }]
  })
  const classes = classesOf(
    world,
    new Map(known.map(({ known: { addresses }, machine }) => [machine, addresses])),
    particular(world)
  )
  const peers = known.map(
    ({ known, machine }): Own => ({
      place: known.place,
      known,
      machine,
      addresses: unique([...known.addresses, ...machine.interfaces.flatMap(({ addresses }) => addresses)]),
      links: classes.islandOf(machine),
      hostAddresses: classes.hostAddresses(machine),
      kind: classes.classOf(machine),
      places: unique(known.addresses),
      asks: []
    })
  )
  const [host] = peers
  const ofMachine = new Map(peers.map(peer => [peer.machine, peer]))
  const ofPeer = new Map<Peer, Own>(peers.map(peer => [peer, peer]))
  const owners = new Map<AddrKey, Own>()
  for (const peer of peers)
    for (const addr of peer.addresses) if (!owners.has(addrKey(addr))) owners.set(addrKey(addr), peer)
  const published = new Set(
    world.plan.topology.having.forwardPorts.flatMap(({ name, veth }) =>
      veth.forwardPorts.map(
        ({ protocol, hostPort, containerPort = hostPort }) =>
          `container ${name} ${protocol.value} ${containerPort}`
      )
    )
  )
  const numbers = new Map<string, number>()
  const numberOf = (text: string): number => {
    const number = numbers.get(text) ?? numbers.size
    numbers.set(text, number)
    return number
  }

  /** How a port is treated by the one who has it, and by whoever translates what is sent there. */
  const treatment = (to: Own, i: number, protocol: 'tcp' | 'udp', port: number): string => {
    const { machine } = to
    const addr = to.addresses[i]
    if (addr === undefined) return ''
    const ports = { from: port, to: port }
    const open = machine.interfaces.map(({ name }) =>
      lets(machine, name, () => machine.input?.opens(name, protocol, ports))
    )
    const heard = machine.listens
      .filter(listen => listen.port === port && listen.protocol.value === protocol)
      .map(listen => listenText(listen, to))
      .sort()
    const led = [
      ...natsOf(world).flatMap(({ nat }) => forwardsOf(nat).to(protocol, addr, port).map(looped)),
      published.has(`${placeKey(machine.place)} ${protocol} ${port}`)
    ]
    return JSON.stringify([open, refusal(machine, open), heard, led])
  }

  /** Where the forwards of a port lead, where there are any. */
  const leads = (protocol: 'tcp' | 'udp', port: number, nspawn: boolean): readonly Lead[] => {
    const found = natsOf(world).flatMap(({ nat, machine }) =>
      forwardsOf(nat)
        .of(protocol, port)
        .map((forward): Lead => {
          const { address, ports } = forward.destination
          const isKept = ports === undefined || (ports.from <= port && port <= ports.to)
          return {
            kind: machine === world.host ? 'nat' : 'inside',
            target: address && owners.get(addrKey(address)),
            address,
            port: isKept ? port : ports.from,
            more: looped(forward)
          }
        })
    )
    const own = nspawn ? nspawnForward(world, protocol, port) : undefined
    if (own === undefined) return found
    const machine = world.machineAt({ kind: 'container', name: own.container.name })
    const target = machine && ofMachine.get(machine)
    const address = machine?.interfaces
      .flatMap(({ addresses }) => addresses)
      .find(({ family }) => family === 4)
    return [...found, { kind: 'nspawn', target, address, port: own.forward.containerPort ?? port, more: '' }]
  }

  const askingsOf = (to: Own, i: number): readonly Asking[] => {
    const before = to.asks[i]
    if (before !== undefined) return before
    const found = new Map<string, Asking>()
    const addr = to.addresses[i] ?? { family: 4, value: 0n }
    for (const { protocol, port } of portsAt(to.known, addr, asked.closedPort)) {
      const treatment = numberOf(`${protocol} ${askingText(to, i, protocol, port)}`)
      found.set(`${protocol} ${port}`, { protocol, port, treatment })
    }
    const askings = [...found.values()]
    to.asks[i] = askings
    return askings
  }

  const askingText = (to: Own, i: number, protocol: Flow['protocol'], port: number | undefined): string => {
    if (!isNode(to.machine)) return `${protocol} ${port}`
    if (protocol === 'icmp' || port === undefined) {
      const { machine } = to
      const open = machine.interfaces.map(({ name }) =>
        lets(machine, name, () => machine.firewall?.allowPing)
      )
      return JSON.stringify([open, refusal(machine, open)])
    }
    const own = treatment(to, i, protocol, port)
    const found = leads(protocol, port, false)
    const [lead] = found
    if (lead === undefined) return own
    if (found.length === 1 && lead.kind === 'nat' && lead.target === to) {
      const at = to.addresses.findIndex(addr => lead.address !== undefined && sameAddr(addr, lead.address))
      return `${own} ${at} ${treatment(to, at, protocol, lead.port)} ${lead.more}`
    }
    // What another's forward takes of it hangs on that one forward, and on where both are.
    const near = found.map(({ target }) =>
      target === to ? 'itself' : target?.links === to.links ? to.links : ''
    )
    return `${own} ${protocol} ${port} ${near.join(' ')}`
  }

  const spotOf = (addr: Addr, from: Own, to: Own | undefined): Spot => {
    const at = (peer: Peer | undefined): number => peer?.addresses.findIndex(own => sameAddr(own, addr)) ?? -1
    for (const [of, peer] of [
      ['from', from],
      ['to', to]
    ] as const)
      if (peer?.links !== undefined && at(peer) >= 0) return { of, address: at(peer) }
    for (const [links, peer] of [
      ['to', to],
      ['from', from]
    ] as const) {
      if (peer?.links === undefined) continue
      const i = peer.hostAddresses.findIndex(own => sameAddr(own, addr))
      if (i >= 0) return { of: 'host', links, address: i }
    }
    return { family: addr.family, value: addr.value }
  }

  const outcomeOf = (flow: Flow, from: Own, to: Own | undefined): Outcome => {
    const { disposition, seen, by, source } = trace(world, flow)
    return {
      disposition,
      seen,
      by:
        by === undefined
          ? undefined
          : to !== undefined && placeKey(by) === placeKey(to.place)
            ? 'to'
            : placeKey(by) === placeKey(from.place)
              ? 'from'
              : by,
      source: source && spotOf(source, from, to)
    }
  }

  const crowds = new Map<number, number>()
  for (const { kind } of peers) crowds.set(kind, (crowds.get(kind) ?? 0) + 1)
  const isLone = ({ kind }: Own): boolean => crowds.get(kind) === 1

  /** By the classes and the relation, then by the address and the treatment. */
  const outcomes = new Map<string, Map<string, Outcome>>()
  const outcomesOf = (key: string): Map<string, Outcome> => {
    const known = outcomes.get(key) ?? new Map<string, Outcome>()
    outcomes.set(key, known)
    return known
  }

  const cells = (from: Own, to: Own): readonly Cell[] => {
    if (from === to) return []
    // Of two who are like nobody else nobody asks again.
    const known =
      isLone(from) && isLone(to)
        ? new Map<string, Outcome>()
        : outcomesOf(`${from.kind} ${to.kind} ${relationOf(from, to)}`)
    const addresses = to === host ? unique(asked.hostAddresses(from.place)) : to.places
    return addresses.flatMap((addr, at) => {
      const i = to === host ? to.addresses.findIndex(own => sameAddr(own, addr)) : at
      const spot = isNode(to.machine) ? { of: 'to' as const, address: i } : spotOf(addr, from, undefined)
      const where = 'of' in spot ? `${spot.of} ${spot.address}` : formatAddr(spot)
      return askingsOf(to, i).map(({ protocol, port, treatment }) => {
        const key = `${where} ${treatment}`
        let outcome = known.get(key)
        if (outcome === undefined) {
          outcome = outcomeOf({ from: from.place, to: addr, protocol, port }, from, to)
          known.set(key, outcome)
        }
        return { to: spot, protocol, port, outcome }
      })
    })
  }

  /** What the host itself would do with the port, by whatever interface it comes. */
  const kept = (protocol: 'tcp' | 'udp', port: number): string =>
    JSON.stringify([
      classes.entrances.map(
        ({ name }) => world.host.input?.opens(name, protocol, { from: port, to: port }) === true
      ),
      host === undefined
        ? []
        : world.host.listens
            .filter(listen => listen.port === port && listen.protocol.value === protocol)
            .map(listen => listenText(listen, host))
    ])

  const forwards = new Map(
    asked.forwards.map(entry => [`${formatAddr(entry.address)} ${entry.protocol} ${entry.port}`, entry])
  )
  const doors = Array.from(forwards.values(), ({ address, protocol, port }) => {
    const found = leads(protocol, port, address.family === 4)
    const [lead] = found
    // nat.dmzHost takes a port before nspawn does, and leaves its number as it is.
    const isPlain =
      found.length === 1 &&
      lead?.target !== undefined &&
      lead.kind !== 'inside' &&
      world.plan.topology.nat?.dmzHost === undefined
    const to = lead?.target
    const at =
      to?.addresses.findIndex(addr => lead?.address !== undefined && sameAddr(addr, lead.address)) ?? -1
    const door: Door = { address, protocol, port, target: to }
    const text =
      isPlain && to !== undefined && isNode(to.machine)
        ? `${lead?.kind} ${to.kind} ${at} ${treatment(to, at, protocol, lead?.port ?? port)} ${lead?.more} ${kept(protocol, port)}`
        : `${protocol} ${port}`
    return {
      door,
      targets: found.map(({ target }) => target),
      text: `${formatAddr(address)} ${protocol} ${text}`
    }
  })
  const ofDoor = new Map(doors.map(entry => [entry.door, entry]))

  const cellOf = (from: Own, door: Door): Cell => {
    const { text = '', targets = [] } = ofDoor.get(door) ?? {}
    const [target] = targets
    const relation =
      targets.length === 1
        ? relationOf(from, target)
        : targets.map(to => `${relationOf(from, to)}${to?.links === from.links ? from.links : ''}`).join(' ')
    const { address, protocol, port } = door
    const known = outcomesOf(`door ${from.kind} ${relation}`)
    const outcome =
      known.get(text) ?? outcomeOf({ from: from.place, to: address, protocol, port }, from, target)
    known.set(text, outcome)
    return {
      to: address,
      protocol,
      port,
      outcome
    }
  }

  const portsText = (to: Own, numbered: boolean): string =>
    isNode(to.machine)
      ? to.places
          .map((_, i) =>
            askingsOf(to, i).map(({ protocol, port, treatment }) =>
              numbered ? `${protocol} ${port} ${treatment}` : treatment
            )
          )
          .join('\n')
      : ''
  const own = (peer: Peer): Own => {
    const found = ofPeer.get(peer)
    if (found === undefined) throw new Error('nobody of this matrix')
    return found
  }
  return {
    peers,
    senders: groupsBy(peers, ({ kind }) => String(kind)).map(members => ({ members })),
    receivers: groupsBy(peers, peer => `${peer.kind} ${portsText(peer, true)}`).map(members => ({ members })),
    kinds: groupsBy(peers, peer => `${peer.kind} ${portsText(peer, false)}`).map(members => ({ members })),
    doors: groupsBy(doors, ({ text, targets }) => (targets.length === 1 ? text : `${text} each`)).map(
      entries => entries.map(({ door }) => door)
    ),
    closedPort: asked.closedPort,
    cells: (from, to) => cells(own(from), own(to)),
    cellOf: (from, door) => cellOf(own(from), door)
  }
}

/** One of each group for every relation in which any of them stand. */
export const examplesOf = (from: Group, to: Group): readonly Example[] => {
  const found: Example[] = []
  const [senders, receivers] = [linksOf(from), linksOf(to)]
  const [fewer, others] = senders.size <= receivers.size ? [senders, receivers] : [receivers, senders]
  for (const links of fewer.keys()) {
    const [a, b] = [senders.get(links) ?? [], receivers.get(links) ?? []]
    const asking = a.find(one => b.some(other => other !== one))
    const asked = b.find(one => one !== asking)
    if (links === undefined || !others.has(links) || asking === undefined || asked === undefined) continue
    found.push({ relation: 'same links', from: asking, to: asked })
    break
  }
  for (const [links, [a]] of senders) {
    const other = elsewhere(links, a, receivers)
    if (a === undefined || other === undefined) continue
    found.push({ relation: 'other links', from: a, to: other })
    break
  }
  return found
}

export interface Example {
  readonly relation: Relation
  readonly from: Peer
  readonly to: Peer
}

/** One of a group and one of the forwards for every relation in which any of them stand to whom it leads to. */
export const doorExamplesOf = (from: Group, doors: readonly Door[]): readonly DoorExample[] => {
  const found = new Map<Relation, DoorExample>()
  const senders = linksOf(from)
  const [[, [first] = []] = []] = senders
  const own = new Set(from.members)
  for (const door of doors) {
    const { target } = door
    if (target !== undefined && own.has(target) && !found.has('self'))
      found.set('self', { relation: 'self', from: target, door })
    const near =
      target?.links === undefined ? undefined : senders.get(target.links)?.find(one => one !== target)
    if (near !== undefined && !found.has('same links'))
      found.set('same links', { relation: 'same links', from: near, door })
    if (!found.has('other links'))
      for (const [links, [one]] of senders)
        if (one !== undefined && one !== target && (links === undefined || links !== target?.links)) {
          found.set('other links', { relation: 'other links', from: one, door })
          break
        }
    if (found.size === 3 || (found.size > 0 && first?.links === undefined)) break
  }
  return [...found.values()]
}

export interface DoorExample {
  readonly relation: Relation
  readonly from: Peer
  readonly door: Door
}

const elsewhere = (
  links: number | undefined,
  from: Peer | undefined,
  to: ReadonlyMap<number | undefined, readonly Peer[]>
): Peer | undefined => {
  for (const [other, members] of to) {
    const found = members.find(member => member !== from)
    if (found !== undefined && (links === undefined || other !== links)) return found
  }
  return undefined
}

const memberLinks = new WeakMap<Group, ReadonlyMap<number | undefined, readonly Peer[]>>()

/** Two members for each of the links that they are on. */
const linksOf = (group: Group): ReadonlyMap<number | undefined, readonly Peer[]> => {
  const known = memberLinks.get(group)
  if (known !== undefined) return known
  const found = new Map<number | undefined, Peer[]>()
  for (const peer of group.members) {
    const others = found.get(peer.links)
    if (others === undefined) found.set(peer.links, [peer])
    else if (others.length < 2) others.push(peer)
  }
  memberLinks.set(group, found)
  return found
}

/** What a flow is sent to, and what came of it, for one of a group and one of another. */
export interface Entry {
  readonly flow: Question
  readonly answer: Omit<Trace, 'hops'>
}

export const entryOf = (
  from: Peer,
  to: Peer | undefined,
  { to: spot, protocol, port, outcome }: Cell,
  asked: Place | null | undefined = to?.place
): Entry => {
  const addrOf = (own: Spot): Addr => {
    if (!('of' in own)) return own
    const peer = (own.of === 'host' ? own.links : own.of) === 'from' ? from : to
    const listed = (own.of === 'host' ? peer?.hostAddresses : peer?.addresses) ?? []
    const found = listed[own.address]
    if (found === undefined) throw new Error('an address that nobody has')
    return { family: found.family, value: found.value }
  }
  const { disposition, seen, by, source } = outcome
  return {
    flow: { from: from.place, to: addrOf(spot), protocol, port, asked: asked ?? undefined },
    answer: {
      disposition,
      seen,
      by: by === 'from' ? from.place : by === 'to' ? to?.place : by,
      source: source && addrOf(source)
    }
  }
}

/** Whether a firewall lets in what comes by an interface, which it trusts or not. */
const lets = ({ firewall, input }: Machine, ifname: string, isOpen: () => boolean | undefined): boolean =>
  firewall === undefined ||
  input === undefined ||
  !firewall.enable ||
  input.trusts(ifname) ||
  isOpen() === true

/** What it says to those that it does not. */
const refusal = ({ firewall }: Machine, open: readonly boolean[]): boolean =>
  open.includes(false) && firewall?.rejectPackets === true

interface Lead {
  readonly kind: 'nat' | 'inside' | 'nspawn'
  readonly target: Own | undefined
  readonly address: Addr | undefined
  readonly port: number
  readonly more: string
}

const looped = ({ loopbackIPs, destination, source }: NatForward): string =>
  JSON.stringify([
    loopbackIPs.map(({ text }) => text),
    destination.ports === undefined,
    destination.ports?.from === destination.ports?.to,
    source.range?.from === source.range?.to
  ])

const listenText = ({ address }: Listen, { addresses }: Peer): string => {
  const prefix = address?.prefix
  if (address === undefined) return 'any'
  if (prefix === undefined) return 'none'
  if (isAny(prefix)) return `any of ${prefix.family}`
  const i = addresses.findIndex(addr => sameAddr(addr, prefix))
  return i < 0 ? formatAddr(prefix) : `${i}`
}

/**
 * Where the host takes what comes from its containers for what comes from outside, forwards catch what they send to each other,
 * and each that one leads to is like no other.
 */
const particular = ({ host, machines, ownerOf }: World): ReadonlySet<Machine> => {
  const { nat, firewall } = host
  if (nat === undefined) return new Set()
  const { externalInterface } = nat
  const isExternal =
    externalInterface === undefined
      ? (): boolean => true
      : nameMatcher([externalInterface], firewall === undefined ? '+' : wildcardOf(firewall))
  const segments = new Set(
    host.interfaces.filter(({ name }) => isExternal(name)).map(({ segment }) => segment)
  )
  const isCaught = machines.some(
    machine => isNode(machine) && machine.interfaces.some(({ segment }) => segments.has(segment))
  )
  if (!isCaught) return new Set()
  return new Set(
    nat.forwardPorts.flatMap(({ destination: { address } }) =>
      address === undefined ? [] : (ownerOf(address) ?? [])
    )
  )
}

interface Translator {
  readonly nat: Nat
  readonly machine: Machine
}

const translators = new WeakMap<World, readonly Translator[]>()

const natsOf = (world: World): readonly Translator[] => {
  const known =
    translators.get(world) ??
    world.machines.flatMap(machine => (machine.nat === undefined ? [] : [{ nat: machine.nat, machine }]))
  translators.set(world, known)
  return known
}

const groupsBy = <T>(items: readonly T[], keyFor: (item: T) => string): readonly (readonly T[])[] => {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const key = keyFor(item)
    const others = groups.get(key)
    if (others === undefined) groups.set(key, [item])
    else others.push(item)
  }
  return [...groups.values()]
}

const unique = (addrs: readonly Addr[]): readonly Addr[] => [
  ...new Map(addrs.map(addr => [addrKey(addr), { family: addr.family, value: addr.value }])).values()
]
