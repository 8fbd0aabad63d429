import type { Problem } from '../findings/finding.ts'
import type { Firewall, Listen, OpenPorts, Protocol } from '../model/topology.ts'
import { ByName, wildcardOf } from '../plan/firewall.ts'
import { arrivals, isOnLoopback } from '../plan/forwards.ts'
import { isPrivate } from '../plan/links.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

export const openingWithoutEffect: Rule = {
  id: 'opening-without-effect',
  group: 'firewall',
  severity: 'hint',
  summary:
    'A firewall opens a port whose service listens on the loopback address only, or on an interface that is trusted anyway.',
  *check(plan) {
    const { bridges, host, having, nat } = plan.topology
    // Somebody else may take the port: a container in the host's network, or a forward, even where NAT is not on yet.
    const isTaken = (protocol: Protocol, port: number): boolean =>
      nat?.forwardPorts.some(
        ({ source: { range }, proto }) =>
          proto.value === protocol && range !== undefined && range.from <= port && port <= range.to
      ) === true ||
      plan.ports.some(
        claim =>
          claim.kind !== 'listen' && claim.protocol === protocol && claim.from <= port && port <= claim.to
      )
    // Nothing comes in by a port of a bridge: that is told where its name stands.
    let ports: ReadonlySet<string> | undefined
    yield* trustedAnyway(host.firewall, 'the host', name => {
      ports ??= new Set([
        ...bridges.flatMap(({ interfaces }) => interfaces.map(({ name }) => name)),
        ...plan.links.flatMap(({ bridgeName, hostIfname }) => (bridgeName === undefined ? [] : [hostIfname]))
      ])
      return !ports.has(name)
    })
    yield* useless(host.firewall, host.listens, 'the host', isTaken)
    for (const container of having.firewall)
      if (container.enabled && isPrivate(container))
        yield* trustedAnyway(
          container.firewall,
          `container "${container.name}"`,
          name => plan.linksOf.get(container)?.some(({ ifname }) => ifname === name) === true
        )
    const containers = having.listens.filter(
      container => container.enabled && container.firewall.written && isPrivate(container)
    )
    if (containers.length === 0) return
    // A forward to such a port is graver, and told.
    const forwarded = new Set(
      Array.from(arrivals(plan), ({ node, protocol, ports }) => `${node.name} ${protocol} ${ports.from}`)
    )
    for (const { firewall, listens, name } of containers)
      yield* useless(firewall, listens, `container "${name}"`, (protocol, port) =>
        forwarded.has(`${name} ${protocol} ${port}`)
      )
  }
}

/** The ports that are opened on an interface from which everything is accepted. */
const trustedAnyway = function* (
  firewall: Firewall,
  where: string,
  isEntrance: (name: string) => boolean
): Generator<Problem> {
  const { enable, interfaces, trustedInterfaces } = firewall
  if (!enable || interfaces.length === 0 || trustedInterfaces.length === 0) return
  const trusted = new ByName(
    trustedInterfaces.map(entry => [entry.name, entry] as const),
    wildcardOf(firewall)
  )
  const foreign = wildcardOf(firewall) === '+' ? '*' : '+'
  for (const { at, name, open } of interfaces) {
    if (!isEntrance(name) || name.endsWith(foreign)) continue
    const entry = trusted.matching(name).at(-1)
    if (entry === undefined || open.tcp.length + open.udp.length === 0) continue
    yield {
      message: `the firewall of ${where} opens ports on ${name}, which is trusted anyway`,
      labels: [
        { at, on: 'key', text: 'has no effect' },
        { at: entry.at, text: 'lets in everything' }
      ],
      note: 'what comes from a trusted interface is accepted before any port is looked at: every port is open there, not only these',
      help: `if only these are to be open, remove ${entry.name} from trustedInterfaces; else remove firewall.interfaces.${name}`
    }
  }
}

const useless = function* (
  firewall: Firewall,
  listens: readonly Listen[],
  where: string,
  isTold: (protocol: Protocol, port: number) => boolean
): Generator<Problem> {
  if (!firewall.written || !firewall.enable || !listens.some(isOnLoopback)) return
  const services = new Map<string, Listen[]>()
  for (const listen of listens) {
    const key = `${listen.protocol.text} ${listen.port}`
    const others = services.get(key)
    if (others === undefined) services.set(key, [listen])
    else others.push(listen)
  }
  const told = new Set<string>()
  for (const [protocol, { at, from, to }] of openings(firewall)) {
    const key = `${protocol} ${from}`
    const there = services.get(key) ?? []
    // What a range is opened for nobody can say.
    if (from !== to || there.length === 0 || told.has(key) || !there.every(isOnLoopback)) continue
    if (isTold(protocol, from)) continue
    told.add(key)
    const what = there[0]?.name ?? 'its service'
    yield {
      message: `the firewall of ${where} opens ${protocol} ${from}, where ${what} listens on ${listed([...new Set(there.map(({ address }) => address?.text ?? ''))])} only`,
      labels: [
        { at, text: 'lets in what nobody answers' },
        ...there.map(listen => ({ at: [...listen.at, 'address'], text: 'reached from inside only' }))
      ],
      note: `what comes from outside is for another address than loopback: connections end with "Connection refused", whether the port is open or not`,
      help: `if others should reach ${what}, let it listen on any address, or on one that ${where} has; if not, remove ${from} from the firewall`
    }
  }
}

const openings = function* ({ open, interfaces }: Firewall): Generator<readonly [Protocol, OpenPorts]> {
  for (const { tcp, udp } of [open, ...interfaces.map(({ open }) => open)]) {
    for (const ports of tcp) yield ['tcp', ports]
    for (const ports of udp) yield ['udp', ports]
  }
}
