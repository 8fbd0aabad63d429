import type { Expectation } from '../model/topology.ts'
import { type Addr, type Family, isLinkLocal6, parseAddr, sameAddr } from '../net/addr.ts'
import { FAMILIES } from '../plan/plan.ts'
import type { Flow } from './flow.ts'
import { type Hop, type Trace, trace } from './trace.ts'
import { keyOf, type Machine, type World } from './world.ts'

/** One way in which an expectation was tried. */
export interface Attempt {
  readonly flow: Flow
  readonly trace: Trace
}

export interface Judgement {
  readonly expectation: Expectation
  readonly holds: boolean
  /** Why nothing could be tried: nobody has that name, or they have no family in common. */
  readonly fault: string | undefined
  /** What was tried; the first is the one that decided. */
  readonly attempts: readonly Attempt[]
}

/** Whether a packet has arrived where it was sent, whoever listens there: the file need not name every service. */
export const arrives = ({ disposition }: Pick<Trace, 'disposition'>): boolean =>
  disposition === 'answered' || disposition === 'refused'

/**
 * Judges a test of the network. `reaches` wants one address of each family that both ends have to be reached, at the port
 * itself or by a forward of the host; `blocked` wants none of them to be.
 */
export const judge = (world: World, expectation: Expectation): Judgement => {
  const { from, to, family, outcome } = expectation
  const sender = machineOf(world, from)
  if (sender === undefined)
    return { expectation, holds: false, fault: `nobody is called ${from}`, attempts: [] }
  const targets = addressesOf(world, to)
  if (targets === undefined)
    return { expectation, holds: false, fault: `nobody is called ${to}`, attempts: [] }
  const speaks = (own: Family): boolean =>
    sender.interfaces.some(({ addresses }) =>
      addresses.some(addr => addr.family === own && !isLinkLocal6(addr))
    )
  const families = FAMILIES.filter(
    own =>
      (family ?? own) === own && targets.some(addr => addr.family === own) && (speaks(own) || family === own)
  )
  if (families.length === 0 && outcome === 'reaches')
    return { expectation, holds: false, fault: 'they have no address of one family', attempts: [] }
  const attempts = families.map(own =>
    [
      ...targets.filter(addr => addr.family === own).map(addr => flowTo(sender, addr, expectation)),
      ...byForwards(world, sender, targets, own, expectation)
    ].map((flow): Attempt => {
      const hops: Hop[] = []
      return { flow, trace: { ...trace(world, flow, hops), hops } }
    })
  )
  const reached = attempts.map(tried => tried.find(({ trace }) => arrives(trace)))
  const holds =
    outcome === 'reaches'
      ? reached.every(attempt => attempt !== undefined)
      : reached.every(attempt => attempt === undefined)
  const deciding =
    outcome === 'reaches'
      ? attempts.find((_, i) => reached[i] === undefined)?.[0]
      : reached.find(attempt => attempt !== undefined)
  const all = attempts.flat()
  return {
    expectation,
    holds,
    fault: undefined,
    attempts: deciding === undefined ? all : [deciding, ...all.filter(attempt => attempt !== deciding)]
  }
}

const flowTo = ({ place }: Machine, to: Addr, { port, protocol }: Expectation): Flow => ({
  from: place,
  to,
  protocol: protocol === 'udp' ? 'udp' : port === undefined ? 'icmp' : 'tcp',
  port
})

/** A container, machine, `host`, `lan` or `internet` by name, or whoever has the address; a container without a network of its own is the host. */
export const machineOf = (world: World, name: string): Machine | undefined => {
  const { machines, host, plan } = world
  const known = machines.find(({ place }) => ('name' in place ? place.name : place.kind) === name)
  if (known !== undefined) return known
  const parsed = parseAddr(name)
  if ('value' in parsed) return machines.find(({ local }) => local.has(keyOf(parsed.value)))
  return plan.topology.containers.some(
    container => container.enabled && container.name === name && !container.networkNamespace
  )
    ? host
    : undefined
}

/** The addresses that a name stands for. */
export const addressesOf = (world: World, name: string): readonly Addr[] | undefined => {
  const parsed = parseAddr(name)
  if ('value' in parsed) return [parsed.value]
  const machine = machineOf(world, name)
  if (machine === undefined) return undefined
  const outer =
    machine.place.kind === 'internet'
      ? machine.interfaces.filter(own => own.name === 'lo')
      : machine.interfaces
  return outer.flatMap(({ addresses }) => addresses.filter(addr => !isLinkLocal6(addr)))
}

/** From outside a container is reached by forwards as well: at the host's own address and another port. */
const byForwards = (
  { plan, outside, host }: World,
  sender: Machine,
  targets: readonly Addr[],
  family: Family,
  { port, protocol }: Expectation
): readonly Flow[] => {
  const { kind } = sender.place
  if ((kind !== 'internet' && kind !== 'lan') || port === undefined) return []
  const nat = host.nat?.forwardPorts ?? []
  const ports = nat.flatMap(({ source, destination: { address, ports }, proto }) => {
    const range = ports ?? source.range
    const isMeant =
      address?.family === family &&
      targets.some(addr => sameAddr(addr, address)) &&
      proto.value === protocol &&
      range !== undefined &&
      source.range !== undefined &&
      range.from <= port &&
      port <= range.to
    if (!isMeant || source.range === undefined || range === undefined) return []
    return [
      range.to - range.from === source.range.to - source.range.from
        ? source.range.from + port - range.from
        : source.range.from
    ]
  })
  const nspawn = plan.topology.having.forwardPorts.flatMap(container => {
    const own = (plan.linksOf.get(container) ?? []).flatMap(({ addresses }) =>
      addresses.flatMap(({ prefix }) => prefix ?? [])
    )
    const isMeant =
      family === 4 && container.enabled && targets.some(addr => own.some(prefix => sameAddr(prefix, addr)))
    return isMeant
      ? container.veth.forwardPorts.flatMap(({ hostPort, containerPort, protocol: own }) =>
          containerPort === port && own.value === protocol && hostPort !== undefined ? [hostPort] : []
        )
      : []
  })
  const [uplink] = outside
  const addresses = (uplink?.networks ?? [])
    .map(network => network.host)
    .filter(addr => addr.family === family)
  return [...new Set([...ports, ...nspawn])].flatMap(hostPort =>
    addresses.map(
      ({ family, value }): Flow => ({
        from: sender.place,
        to: { family, value },
        protocol: protocol === 'udp' ? 'udp' : 'tcp',
        port: hostPort
      })
    )
  )
}
