import { type Addr, formatAddr } from '../net/addr.ts'
import type { Plan } from '../plan/plan.ts'
import { type Flow, type Place, placeKey } from '../reach/flow.ts'
import { askedOf, type Known, portsAt, type Question } from '../reach/questions.ts'

export type { Question } from '../reach/questions.ts'

// What is asked of a network: who reaches whom. Of a large one, a part of it.

/** A service of a place, as the prober stands in for it. */
export interface Service {
  readonly place: Place
  readonly protocol: 'tcp' | 'udp'
  /** Undefined for any of its addresses. */
  readonly address: Addr | undefined
  readonly port: number
}

export interface Questions {
  /** Those that ask and are asked: the host, the world outside, containers, machines. */
  readonly places: readonly Place[]
  readonly flows: readonly Question[]
  readonly services: readonly Service[]
  /** A TCP port that nothing listens on, opens or forwards. */
  readonly closedPort: number
  /** How many others each container asks, where that is not all of them. */
  readonly neighbours: number | undefined
}

/** So many pairs of containers are asked for at most; beyond it, each asks those that stand after it in the file. */
const PAIRS = 12_000

/**
 * Every pair of places in each family: a ping, a closed TCP port, every service; and every forward, from all of them. Of the
 * host's addresses a container asks those on its own links and at the uplink, and others two.
 */
export const questionsOf = (plan: Plan, pairs: number = PAIRS): Questions => {
  const { host, world, nodes, hostAddresses, forwards, closedPort } = askedOf(plan)
  const flows = new Map<string, Question>()
  const add = (
    from: Place,
    to: Addr,
    protocol: Flow['protocol'],
    port: number | undefined,
    asked: Place | undefined
  ): void => {
    const key = `${placeKey(from)} ${protocol} ${formatAddr(to)} ${port}`
    if (!flows.has(key)) flows.set(key, { from, to, protocol, port, asked })
  }
  const ask = (from: Known, to: Known, addresses: readonly Addr[]): void => {
    for (const addr of addresses)
      for (const { protocol, port } of portsAt(to, addr, closedPort))
        add(from.place, addr, protocol, port, to.place)
  }
  for (const from of [...world, ...nodes]) ask(from, host, hostAddresses(from.place))
  for (const to of world)
    for (const from of [host, ...world, ...nodes]) if (from !== to) ask(from, to, to.addresses)
  for (const to of nodes) for (const from of [host, ...world]) ask(from, to, to.addresses)
  const neighbours = nodes.length ** 2 > pairs ? Math.max(1, Math.floor(pairs / nodes.length)) : undefined
  nodes.forEach((from, i) => {
    const others =
      neighbours === undefined
        ? nodes
        : Array.from({ length: neighbours }, (_, step) => nodes[(i + step + 1) % nodes.length]).filter(
            other => other !== undefined
          )
    for (const to of others) if (to !== from) ask(from, to, to.addresses)
  })
  const from = [host, ...world, ...nodes.slice(0, neighbours)]
  for (const { address, protocol, port } of forwards)
    for (const { place } of from) add(place, address, protocol, port, undefined)
  return {
    places: [host, ...world, ...nodes].map(({ place }) => place),
    flows: [...flows.values()],
    services: [host, ...nodes].flatMap(servicesOf),
    closedPort,
    neighbours
  }
}

const LOOPBACK: readonly Addr[] = [
  { family: 4, value: 0x7f000001n },
  { family: 6, value: 1n }
]

const servicesOf = ({ place, addresses, listens }: Known): readonly Service[] =>
  listens.flatMap(({ port, protocol, address }): readonly Service[] => {
    if (protocol.value === undefined) return []
    const bound = address?.prefix
    const kind = protocol.value
    if (address !== undefined && bound === undefined) return []
    const isAny = bound === undefined || bound.value === 0n
    if (!isAny)
      return [{ place, protocol: kind, address: { family: bound.family, value: bound.value }, port }]
    // 0.0.0.0 is any of IPv4; without an address, and with ::, a service hears both.
    const only = bound?.family === 4 ? 4 : undefined
    // A service of UDP answers from the address that it was asked at.
    return kind === 'tcp'
      ? [{ place, protocol: kind, address: only === undefined ? undefined : { family: 4, value: 0n }, port }]
      : [...addresses, ...LOOPBACK]
          .filter(({ family }) => family === (only ?? family))
          .map(address => ({ place, protocol: kind, address, port }))
  })
