import type { AddressText, Container, Nat, Topology } from '../model/topology.ts'
import { type Addr, formatAddr, parseAddr } from '../net/addr.ts'
import { compareTexts } from '../text/order.ts'
import type { Path } from '../text/path.ts'
import { bridgeSteps, deviceSteps, type Versions } from './change-bridge.ts'
import { containerChange, machines, machineSteps, running } from './change-container.ts'
import { HOST, hostSteps } from './change-host.ts'
import {
  addressValue,
  type Gravity,
  isSame,
  restartCommand,
  type Step,
  step,
  type Subject
} from './change-step.ts'
import { unitSteps } from './change-unit.ts'
import type { Plan, PortClaim } from './plan.ts'

export { GRAVITY } from './change-step.ts'
export type * from './change-step.ts'

/** What another version of a topology means for what runs: facts only, the words for them are a report's. */
export interface Change {
  /** Gravest first; of one gravity the host, then bridges, then containers, by name. */
  readonly steps: readonly Step[]
  /** Whose addresses are other ones. */
  readonly addresses: readonly AddressChange[]
  /** The ports of the host that somebody else takes. */
  readonly ports: readonly PortChange[]
  /** The places that name an address which has changed hands. */
  readonly references: readonly Reference[]
}

/** Somebody with addresses: an interface inside a container or machine, or of the host. */
export interface Holder {
  readonly subject: Subject
  readonly ifname: string
}

export interface AddressChange {
  readonly holder: Holder
  readonly removed: readonly string[]
  readonly added: readonly string[]
}

export interface PortChange {
  readonly protocol: PortClaim['protocol']
  readonly from: number
  readonly to: number
  /** The bound address; undefined for any. */
  readonly address: string | undefined
  readonly before: readonly Taker[]
  readonly after: readonly Taker[]
}

/** Who takes a port of the host, and where it leads. */
export interface Taker {
  readonly kind: PortClaim['kind']
  readonly container: string | undefined
  /** Of a forward the destination: `10.0.0.2:80`, or the port inside the container. Of a service its name. */
  readonly target: string | undefined
}

export interface Reference {
  /** Where it stands in the new version. */
  readonly at: Path
  /** left: it names the old address still. follows: it names the new address of the one that it named. */
  readonly state: 'left' | 'follows'
  readonly address: string
  readonly was: Holder
  /** Who has the address that it named, now; undefined for nobody. */
  readonly now: Holder | undefined
  /** What the one that it named has instead; empty where it has none, or is gone. */
  readonly instead: readonly string[]
}

/** Compares two versions; linear in the size of both. */
export const changeOf = (before: Plan, after: Plan): Change => {
  const containers = containerChange(before, after)
  const old = running(before)
  const stay = new Set([...running(after).keys()].filter(name => old.has(name)))
  const versions: Versions = {
    before,
    after,
    restarted: containers.restarted,
    running: stay,
    machines: new Set(machines(after).keys())
  }
  const held = addressChanges(before, after)
  const network = [...bridgeSteps(versions), ...deviceSteps(versions)]
  const steps = [
    ...hostSteps(before, after, stay, containers.restarted),
    ...network,
    ...containers.steps,
    ...machineSteps(before, after),
    ...twice(held, ({ kind, name }) =>
      kind === 'container' ? containers.waiting.has(name) : kind === 'machine' && versions.machines.has(name)
    )
  ]
  const told = new Set(steps.map(({ subject: { name } }) => name))
  return {
    steps: [...steps, ...unitSteps(versions, told)].sort(inOrder),
    addresses: held.changes,
    ports: portChanges(before, after),
    references: held.changes.length === 0 ? [] : referencesTo(held, before, after)
  }
}

const GRAVITIES: readonly Gravity[] = ['by-hand', 'restart', 'live']

const KINDS: readonly Subject['kind'][] = [
  'host',
  'interface',
  'bond',
  'vlan',
  'bridge',
  'macvlan',
  'networkd',
  'unit',
  'firewall',
  'nat',
  'container',
  'machine'
]

const inOrder = (a: Step, b: Step): number =>
  GRAVITIES.indexOf(a.gravity) - GRAVITIES.indexOf(b.gravity) || inSubjectOrder(a.subject, b.subject)

const inSubjectOrder = (a: Subject, b: Subject): number =>
  KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) || compareTexts(a.name, b.name)

// Addresses

interface Held {
  readonly changes: readonly AddressChange[]
  /** Of each address that a machine has lost: who had it, and of each that one has got: who has it. */
  readonly lost: ReadonlyMap<string, AddressChange>
  readonly got: ReadonlyMap<string, AddressChange>
}

interface Holding {
  readonly holder: Holder
  readonly addresses: readonly AddressText[]
}

function* holdings({ topology, links }: Plan): Generator<Holding> {
  for (const { name, addresses } of topology.host.configured)
    yield { holder: { subject: { kind: 'interface', name }, ifname: name }, addresses }
  for (const { name, addresses } of topology.bridges)
    yield { holder: { subject: { kind: 'bridge', name }, ifname: name }, addresses }
  for (const { node, container, ifname, hostIfname, addresses, hostAddresses } of links) {
    const kind = container === undefined ? 'machine' : 'container'
    yield { holder: { subject: { kind, name: node.name }, ifname }, addresses }
    yield { holder: { subject: HOST, ifname: hostIfname }, addresses: hostAddresses }
  }
}

const keyOf = ({ subject, ifname }: Holder): string => `${subject.kind} ${subject.name} ${ifname}`

const bare = (value: string): string => value.split('/', 1)[0] ?? value

const addressChanges = (before: Plan, after: Plan): Held => {
  const old = new Map<string, Holding>()
  for (const holding of holdings(before)) old.set(keyOf(holding.holder), holding)
  const changes: AddressChange[] = []
  const compare = (holder: Holder, from: readonly AddressText[], to: readonly AddressText[]): void => {
    if (isSame(from, to)) return
    const [had, has] = [from.map(addressValue), to.map(addressValue)]
    const [hadSet, hasSet] = [new Set(had), new Set(has)]
    const removed = had.filter(value => !hasSet.has(value))
    const added = has.filter(value => !hadSet.has(value))
    if (removed.length + added.length > 0) changes.push({ holder, removed, added })
  }
  for (const { holder, addresses } of holdings(after)) {
    const key = keyOf(holder)
    compare(holder, old.get(key)?.addresses ?? [], addresses)
    old.delete(key)
  }
  for (const { holder, addresses } of old.values()) compare(holder, addresses, [])
  changes.sort(
    (a, b) =>
      inSubjectOrder(a.holder.subject, b.holder.subject) || compareTexts(a.holder.ifname, b.holder.ifname)
  )
  const lost = new Map<string, AddressChange>()
  const got = new Map<string, AddressChange>()
  for (const change of changes) {
    for (const value of change.removed) lost.set(bare(value), change)
    for (const value of change.added) got.set(bare(value), change)
  }
  // What only gets another prefix length, or goes to another interface of the same machine, is where it was.
  for (const [address, { holder }] of lost) {
    const next = got.get(address)
    if (next === undefined || machineOf(next.holder) !== machineOf(holder)) continue
    lost.delete(address)
    got.delete(address)
  }
  return { changes, lost, got }
}

/** Whose an interface is: the host's, or that of a guest. */
const machineOf = ({ subject: { kind, name } }: Holder): string =>
  kind === 'container' || kind === 'machine' ? `${kind} ${name}` : HOST.name

/** Addresses that pass from a guest that goes on with what it had to somebody who gets them at once. */
function* twice({ lost, got }: Held, goesOn: (last: Subject) => boolean): Generator<Step> {
  for (const [address, { holder }] of lost) {
    const next = got.get(address)
    const { kind, name } = holder.subject
    if (next === undefined || !goesOn(holder.subject)) continue
    yield step('address-twice', next.holder.subject, {
      differences: [
        {
          option: address,
          before: `${kind} ${name}`,
          after: `${next.holder.subject.kind} ${next.holder.subject.name}`
        }
      ],
      commands: kind === 'container' ? [restartCommand(name)] : []
    })
  }
}

// Who names them

interface Named {
  readonly at: Path
  readonly addr: Addr
}

/** Every place of a topology that names an address which is somebody else's. */
function* namings(topology: Topology): Generator<Named> {
  const { host, nat, bridges, containers, vms } = topology
  yield* ofGateways(host)
  yield* of(...host.nameservers, ...host.resolvConf)
  for (const { routes } of [...host.interfaces, ...bridges]) yield* of(...routes.map(({ via }) => via))
  for (const { dns, routes } of host.networkd?.networks ?? [])
    yield* of(...dns, ...routes.map(({ gateway }) => gateway))
  for (const { address } of host.listens) yield* of(address)
  yield* ofNat(nat)
  for (const container of containers) yield* namedBy(container)
  for (const vm of vms) {
    yield* ofGateways(vm)
    yield* of(...vm.listens.map(({ address }) => address))
  }
  for (const { at, from, to } of topology.expectations)
    for (const [end, text] of [
      ['from', from],
      ['to', to]
    ] as const) {
      const parsed = parseAddr(text)
      if ('value' in parsed) yield { at: [...at, end], addr: parsed.value }
    }
}

function* namedBy(container: Container): Generator<Named> {
  const { veth, extraVeths, inside } = container
  yield* ofGateways(container)
  yield* of(...container.nameservers, ...container.routes.map(({ via }) => via))
  for (const { address } of container.listens) yield* of(address)
  // On a bridge the host's address is a router's name; on a pair it is the host's own.
  if (veth.hostBridge !== undefined) yield* of(veth.hostAddress, veth.hostAddress6)
  for (const extra of extraVeths)
    if (extra.hostBridge !== undefined) yield* of(extra.hostAddress, extra.hostAddress6)
  for (const { routes } of inside.interfaces) yield* of(...routes.map(({ via }) => via))
  yield* ofNat(inside.nat)
}

function* ofNat(nat: Nat | undefined): Generator<Named> {
  if (nat === undefined) return
  yield* of(nat.externalIP, nat.externalIPv6, nat.dmzHost, ...nat.internalIPs, ...nat.internalIPv6s)
  for (const { destination, loopbackIPs } of nat.forwardPorts) {
    if (destination.address !== undefined) yield { at: destination.at, addr: destination.address }
    yield* of(...loopbackIPs)
  }
}

function* ofGateways({
  defaultGateway,
  defaultGateway6
}: Pick<Container, 'defaultGateway' | 'defaultGateway6'>): Generator<Named> {
  yield* of(
    defaultGateway?.address,
    defaultGateway?.source,
    defaultGateway6?.address,
    defaultGateway6?.source
  )
}

function* of(...texts: readonly (AddressText | undefined)[]): Generator<Named> {
  for (const text of texts) {
    // A network is nobody's address.
    if (
      text?.prefix === undefined ||
      (!text.bare && text.prefix.bits < (text.prefix.family === 4 ? 32 : 128))
    )
      continue
    yield { at: text.at, addr: text.prefix }
  }
}

/** A place without the numbers of lists, since entries before it may have gone. */
const placeOf = (at: Path): string => JSON.stringify(at.filter(part => typeof part === 'string'))

const referencesTo = ({ lost, got }: Held, before: Plan, after: Plan): readonly Reference[] => {
  const named = new Map<string, Set<string>>()
  for (const { at, addr } of namings(before.topology)) {
    const text = formatAddr(addr)
    if (!lost.has(text)) continue
    const place = placeOf(at)
    const known = named.get(place)
    if (known === undefined) named.set(place, new Set([text]))
    else known.add(text)
  }
  const found: Reference[] = []
  for (const { at, addr } of namings(after.topology)) {
    const text = formatAddr(addr)
    const [change, next] = [lost.get(text), got.get(text)]
    if (change === undefined && next === undefined) continue
    const old = named.get(placeOf(at))
    // Where somebody has it now and it was not named before, that one is meant.
    if (change !== undefined && (next === undefined ? !isHeld(after, addr) : old?.has(text) === true)) {
      found.push({
        at,
        state: 'left',
        address: text,
        was: change.holder,
        now: next?.holder,
        instead: change.added
      })
    } else if (next !== undefined) {
      const left = [...(old ?? [])].find(address => lost.get(address) === next)
      if (left !== undefined)
        found.push({
          at,
          state: 'follows',
          address: left,
          was: next.holder,
          now: got.get(left)?.holder,
          instead: [text]
        })
    }
  }
  return found
}

/** Whether somebody has an address; also one that moves between machines at run time. */
const isHeld = ({ addresses }: Plan, addr: Addr): boolean =>
  [...(addresses.owners(addr) ?? []), ...addresses.apart(addr)].some(({ enabled }) => enabled)

// Ports of the host

const portChanges = (before: Plan, after: Plan): readonly PortChange[] => {
  const [old, new_] = [takers(before), takers(after)]
  const changes: PortChange[] = []
  for (const [key, { port }] of new Map([...old, ...new_])) {
    const [from, to] = [old.get(key)?.takers ?? [], new_.get(key)?.takers ?? []]
    if (JSON.stringify(from) !== JSON.stringify(to)) changes.push({ ...port, before: from, after: to })
  }
  return changes.sort(
    (a, b) =>
      compareTexts(a.protocol, b.protocol) ||
      a.from - b.from ||
      a.to - b.to ||
      compareTexts(a.address ?? '', b.address ?? '')
  )
}

interface Taken {
  readonly port: Pick<PortChange, 'protocol' | 'from' | 'to' | 'address'>
  readonly takers: Taker[]
}

const takers = (plan: Plan): ReadonlyMap<string, Taken> => {
  const { topology, addresses } = plan
  const found = new Map<string, Taken>()
  const take = (port: Taken['port'], taker: Taker): void => {
    const key = JSON.stringify([port.protocol, port.from, port.to, port.address])
    const known = found.get(key) ?? { port, takers: [] }
    found.set(key, known)
    known.takers.push(taker)
  }
  if (topology.nat?.enable === true)
    for (const { source, destination, proto } of topology.nat.forwardPorts)
      if (source.range !== undefined && proto.value !== undefined) {
        const owner =
          destination.address === undefined
            ? undefined
            : addresses.owners(destination.address)?.find(({ kind, enabled }) => kind === 'local' && enabled)
        take(
          { protocol: proto.value, ...source.range, address: undefined },
          { kind: 'nat', container: owner?.link?.container?.name, target: destination.text }
        )
      }
  for (const [name, { privateNetwork, veth }] of running(plan))
    if (privateNetwork)
      for (const { protocol, hostPort, containerPort } of veth.forwardPorts)
        if (hostPort !== undefined && protocol.value !== undefined)
          take(
            { protocol: protocol.value, from: hostPort, to: hostPort, address: undefined },
            { kind: 'nspawn', container: name, target: String(containerPort ?? hostPort) }
          )
  for (const { kind, protocol, from, to, address, container, owner, named } of plan.ports)
    if (kind === 'listen' || kind === 'shared')
      take(
        { protocol, from, to, address: address && formatAddr(address) },
        { kind, container: container?.name, target: named ? owner : undefined }
      )
  for (const { takers } of found.values())
    takers.sort((a, b) => compareTexts(JSON.stringify(a), JSON.stringify(b)))
  return found
}
