import type { Problem } from '../findings/finding.ts'
import type { Firewall, Listen, OpenPorts, Protocol } from '../model/topology.ts'
import { arrivals, isOnLoopback } from '../plan/forwards.ts'
import { isPrivate } from '../plan/links.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

export const openingWithoutEffect: Rule = {
  id: 'opening-without-effect',
  group: 'firewall',
  severity: 'hint',
  summary: 'A firewall opens a port whose service listens on the loopback address only.',
  *check(plan) {
    const { host, having, nat } = plan.topology
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
    yield* useless(host.firewall, host.listens, 'the host', isTaken)
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
