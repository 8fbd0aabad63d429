import type { Problem } from '../findings/finding.ts'
import type { Container, PortRange, Protocol } from '../model/topology.ts'
import { nameMatcher } from '../plan/nat.ts'
import type { Path } from '../text/path.ts'
import type { Rule } from './rule.ts'

/** D21 */
export const forwardToClosedPort: Rule = {
  id: 'forward-to-closed-port',
  group: 'ports',
  severity: 'warning',
  summary: "A forward goes to a port that the container's own firewall does not open.",
  *check({ topology, addresses }) {
    const openings = new Map<Container, Record<Protocol, readonly PortRange[]>>()
    const check = function* (
      container: Container,
      ifname: string,
      protocol: Protocol,
      ports: PortRange,
      at: Path
    ): Generator<Problem> {
      // A file that says nothing about the container's firewall says nothing about what services open for themselves.
      if (
        container.partial ||
        !container.firewall.written ||
        !container.firewall.enable ||
        trusts(container, ifname)
      )
        return
      if (!isPort(ports.from) || !isPort(ports.to)) return
      // services.openssh opens its port by itself.
      if (ports.from === 22 && ports.to === 22) return
      const open = openings.get(container) ?? { tcp: merged(container, 'tcp'), udp: merged(container, 'udp') }
      openings.set(container, open)
      if (!covers(open[protocol], ports)) yield closed(container, protocol, ports, at)
    }
    for (const container of topology.containers) {
      if (!container.enabled || !container.privateNetwork) continue
      for (const { at, protocol, containerPort } of container.veth.forwardPorts)
        if (protocol.value !== undefined && containerPort !== undefined)
          yield* check(container, 'eth0', protocol.value, { from: containerPort, to: containerPort }, at)
    }
    if (topology.nat?.enable !== true) return
    for (const { destination, source, proto } of topology.nat.forwardPorts) {
      // Without a port of its own the forward keeps the one it came for.
      const ports = destination.ports ?? source.range
      const { address, at, fault } = destination
      if (fault !== undefined || address === undefined || ports === undefined || proto.value === undefined)
        continue
      if (address.family === 6 && !topology.nat.enableIPv6) continue
      for (const { kind, enabled, link } of addresses.owners(address) ?? [])
        if (kind === 'local' && enabled && link !== undefined && 'veth' in link.node) {
          yield* check(link.node, link.ifname, proto.value, ports, at)
          break
        }
    }
  }
}

const isPort = (port: number): boolean => port >= 1 && port <= 65535

const trusts = ({ firewall }: Container, ifname: string): boolean =>
  firewall.trustedInterfaces.length > 0 &&
  nameMatcher(
    firewall.trustedInterfaces.map(({ name }) => name),
    firewall.backend === 'nftables' ? '*' : '+'
  )(ifname)

/** The open ports as ranges that neither meet nor touch, in order. */
const merged = ({ firewall }: Container, protocol: Protocol): readonly PortRange[] => {
  const all = [firewall.open, ...firewall.interfaces.map(({ open }) => open)].flatMap(
    openings => openings[protocol]
  )
  const ranges: { readonly from: number; to: number }[] = []
  for (const { from, to } of all.sort((a, b) => a.from - b.from)) {
    const last = ranges.at(-1)
    if (last !== undefined && from <= last.to + 1) last.to = Math.max(last.to, to)
    else ranges.push({ from, to })
  }
  return ranges
}

/** Whether one of the ranges holds all of the ports; looked up by halves, since there may be many of both. */
const covers = (ranges: readonly PortRange[], { from, to }: PortRange): boolean => {
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((ranges[middle]?.from ?? 0) <= from) low = middle + 1
    else high = middle
  }
  return to <= (ranges[low - 1]?.to ?? 0)
}

const closed = (
  { name, firewall }: Container,
  protocol: Protocol,
  { from, to }: PortRange,
  at: Path
): Problem => {
  const option = `allowed${protocol.toUpperCase()}Port${from === to ? 's' : 'Ranges'}`
  return {
    message: `${protocol} ${from === to ? from : `${from} to ${to}`} is forwarded to container "${name}", whose firewall does not open it`,
    labels: [
      { at, text: `arrives at ${protocol} ${from === to ? from : `${from}-${to}`}` },
      { at: firewall.at, on: 'key', text: 'not open here' }
    ],
    note: "a container's own firewall is on by default and drops what is not listed: connections time out (ports that a NixOS service opens by itself, with openFirewall, are not seen here)",
    help: `add ${from === to ? from : `{ from: ${from}, to: ${to} }`} to containers.${name}.firewall.${option}`
  }
}
