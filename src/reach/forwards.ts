import type { Container, ContainerForward, Nat, NatForward, PortRange } from '../model/topology.ts'
import { type Addr, addrKey } from '../net/addr.ts'
import { refusedByNspawn } from '../plan/failures.ts'
import { type World } from './world.ts'

// The forwards of a port, found without a walk of all of them.

/** Those of networking.nat, each in the file's order. */
export interface Forwards {
  /** Whose source has the port. */
  readonly of: (protocol: string, port: number) => readonly NatForward[]
  /** That lead to the port of an address. */
  readonly to: (protocol: string, addr: Addr, port: number) => readonly NatForward[]
}

/** systemd-nspawn's --port= of a container. */
export interface NspawnForward {
  readonly container: Container
  readonly forward: ContainerForward
}

interface Ranged<T> {
  readonly range: PortRange
  readonly item: T
  readonly order: number
}

const NONE: readonly never[] = []

/** Ranges by their starts, with the farthest end of all before: those that hold a port are found from behind. */
const lookup = <T>(entries: readonly Ranged<T>[]): ((port: number) => readonly T[]) => {
  const sorted = [...entries].sort((a, b) => a.range.from - b.range.from)
  const farthest: number[] = []
  for (const [i, { range }] of sorted.entries()) farthest[i] = Math.max(range.to, farthest[i - 1] ?? 0)
  return port => {
    let low = 0
    let high = sorted.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((sorted[middle]?.range.from ?? 0) <= port) low = middle + 1
      else high = middle
    }
    const found: Ranged<T>[] = []
    for (let i = low - 1; i >= 0 && (farthest[i] ?? 0) >= port; i -= 1) {
      const entry = sorted[i]
      if (entry !== undefined && entry.range.to >= port) found.push(entry)
    }
    return found.length === 0 ? NONE : found.sort((a, b) => a.order - b.order).map(({ item }) => item)
  }
}

const lookups = <K, T>(entries: Iterable<readonly [key: K, entry: Ranged<T>]>) => {
  const lists = new Map<K, Ranged<T>[]>()
  for (const [key, entry] of entries) {
    const others = lists.get(key)
    if (others === undefined) lists.set(key, [entry])
    else others.push(entry)
  }
  const found = new Map(Array.from(lists, ([key, list]) => [key, lookup(list)]))
  return (key: K, port: number): readonly T[] => found.get(key)?.(port) ?? NONE
}

const ofNat = new WeakMap<Nat, Forwards>()

export const forwardsOf = (nat: Nat): Forwards => {
  const known = ofNat.get(nat)
  if (known !== undefined) return known
  const listed = nat.forwardPorts.entries()
  const entries = [...listed].flatMap(([order, item]) => {
    const { proto, source, destination } = item
    return proto.value === undefined ? [] : [{ order, item, proto: proto.value, source, destination }]
  })
  const bySource = lookups<string, NatForward>(
    entries.flatMap(({ order, item, proto, source: { range } }) =>
      range === undefined ? [] : [[proto, { range, item, order }] as const]
    )
  )
  const byDestination = lookups(
    entries.flatMap(({ order, item, source, destination: { address, ports } }) => {
      const range = ports ?? source.range
      return address === undefined || range === undefined
        ? []
        : [[addrKey(address), { range, item, order }] as const]
    })
  )
  const forwards: Forwards = {
    of: bySource,
    to: (protocol, addr, port) => {
      const found = byDestination(addrKey(addr), port)
      return found.length === 0 ? NONE : found.filter(({ proto }) => proto.value === protocol)
    }
  }
  ofNat.set(nat, forwards)
  return forwards
}

const ofWorld = new WeakMap<World, ReadonlyMap<string, NspawnForward>>()

/** Of several forwards of a port that is the first container's. */
export const nspawnForward = (world: World, protocol: string, port: number): NspawnForward | undefined => {
  let known = ofWorld.get(world)
  if (known === undefined) {
    const found = new Map<string, NspawnForward>()
    for (const container of world.plan.topology.having.forwardPorts)
      if (
        container.enabled &&
        container.privateNetwork &&
        world.plan.topology.host.enableContainers &&
        refusedByNspawn(container) === undefined
      )
        for (const forward of container.veth.forwardPorts) {
          const key = `${forward.protocol.value} ${forward.hostPort}`
          const machine = world.machineAt({ kind: 'container', name: container.name })
          const hasAddress = machine?.interfaces.some(({ addresses }) =>
            addresses.some(({ family }) => family === 4)
          )
          if (hasAddress === true && !found.has(key)) found.set(key, { container, forward })
        }
    known = found
    ofWorld.set(world, known)
  }
  return known.size === 0 ? undefined : known.get(`${protocol} ${port}`)
}
