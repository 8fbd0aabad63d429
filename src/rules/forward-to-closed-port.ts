import type { Problem } from '../findings/finding.ts'
import type { Container, Firewall, PortRange, Protocol } from '../model/topology.ts'
import { type InputFilter, inputFilter, linkNamedAsOnHost } from '../plan/firewall.ts'
import type { Path } from '../text/path.ts'
import type { Rule } from './rule.ts'

/** D21 */
export const forwardToClosedPort: Rule = {
  id: 'forward-to-closed-port',
  group: 'ports',
  severity: 'warning',
  summary: "A forward goes to a port that the container's own firewall does not open.",
  *check(plan) {
    const { topology, addresses, linksOf } = plan
    const filters = new Map<Container, InputFilter>()
    const check = function* (
      container: Container,
      ifnames: readonly string[],
      protocol: Protocol,
      ports: PortRange,
      at: Path
    ): Generator<Problem> {
      // A file that says nothing about the container's firewall says nothing about what services open for themselves.
      if (container.partial || !container.firewall.written || !container.firewall.enable) return
      if (!isPort(ports.from) || !isPort(ports.to)) return
      // services.openssh opens its port by itself.
      if (ports.from === 22 && ports.to === 22) return
      const filter = filters.get(container) ?? inputFilter(container.firewall)
      filters.set(container, filter)
      const names = ifnames.flatMap(ifname => entrances(container, ifname))
      if (names.some(name => filter.trusts(name) || filter.opens(name, protocol, ports))) return
      const elsewhere = container.firewall.interfaces.find(({ open }) =>
        open[protocol].some(({ from, to }) => from <= ports.from && to >= ports.to)
      )
      // A name that only the host has is told as such.
      if (elsewhere !== undefined && linkNamedAsOnHost(plan, container, elsewhere.name) !== undefined) return
      yield closed(container, names[0], elsewhere, protocol, ports, at)
    }
    for (const container of topology.containers) {
      if (!container.enabled || !container.privateNetwork) continue
      if (container.veth.forwardPorts.length === 0) continue
      // systemd-nspawn takes an address of any interface.
      const ifnames = (linksOf.get(container) ?? []).map(({ ifname }) => ifname)
      for (const { at, protocol, containerPort } of container.veth.forwardPorts)
        if (protocol.value !== undefined && containerPort !== undefined)
          yield* check(container, ifnames, protocol.value, { from: containerPort, to: containerPort }, at)
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
          yield* check(link.node, [link.ifname], proto.value, ports, at)
          break
        }
    }
  }
}

const isPort = (port: number): boolean => port >= 1 && port <= 65535

/** What the container's rules may see a packet come in by: its interface, or a bridge that it is a port of inside. */
const entrances = ({ inside }: Container, ifname: string): readonly string[] => [
  ifname,
  ...inside.bridges
    .filter(({ interfaces }) => interfaces.some(({ name }) => name === ifname))
    .map(({ name }) => name)
]

const closed = (
  { name, firewall }: Container,
  ifname: string | undefined,
  elsewhere: Firewall['interfaces'][number] | undefined,
  protocol: Protocol,
  { from, to }: PortRange,
  at: Path
): Problem => {
  const option = `allowed${protocol.toUpperCase()}Port${from === to ? 's' : 'Ranges'}`
  return {
    message: `${protocol} ${from === to ? from : `${from} to ${to}`} is forwarded to container "${name}", whose firewall does not open it`,
    labels: [
      { at, text: `arrives at ${protocol} ${from === to ? from : `${from}-${to}`}` },
      elsewhere === undefined
        ? { at: firewall.at, on: 'key', text: 'not open here' }
        : {
            at: elsewhere.at,
            on: 'key',
            text: `open for this interface only; the packet comes in by ${ifname ?? 'another one'}`
          }
    ],
    note: "a container's own firewall is on by default and drops what is not listed: connections time out (ports that a NixOS service opens by itself, with openFirewall, are not seen here)",
    help: `add ${from === to ? from : `{ from: ${from}, to: ${to} }`} to containers.${name}.firewall.${option}`
  }
}
