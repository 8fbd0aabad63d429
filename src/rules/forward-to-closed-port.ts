import type { Problem } from '../findings/finding.ts'
import type { Container, Firewall, PortRange, Protocol } from '../model/topology.ts'
import { arrivals, onLoopbackOnly } from '../plan/forwards.ts'
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
    if (plan.topology.having.firewall.length === 0) return
    const filters = new Map<Container, InputFilter>()
    for (const { at, node, links, protocol, ports } of arrivals(plan)) {
      if (!('privateNetwork' in node)) continue
      const { firewall, partial, listens } = node
      // A file that says nothing about the container's firewall says nothing about what services open for themselves.
      if (partial || !firewall.written || !firewall.enable) continue
      if (isOpen(firewall, protocol, ports) || !isPort(ports.from) || !isPort(ports.to)) continue
      // services.openssh opens its port by itself.
      if (ports.from === 22 && ports.to === 22) continue
      // Nobody gets there anyway: forward-to-loopback tells that.
      if (ports.from === ports.to && onLoopbackOnly(listens, protocol, ports).length > 0) continue
      const filter = filters.get(node) ?? inputFilter(firewall)
      filters.set(node, filter)
      const names = links.flatMap(({ ifname }) => entrances(node, ifname))
      if (names.some(name => filter.trusts(name) || filter.opens(name, protocol, ports))) continue
      const elsewhere = firewall.interfaces.find(({ open }) =>
        open[protocol].some(({ from, to }) => from <= ports.from && to >= ports.to)
      )
      // A name that only the host has is told as such.
      if (elsewhere !== undefined && linkNamedAsOnHost(plan, node, elsewhere.name) !== undefined) continue
      yield closed(node, names[0], elsewhere, protocol, ports, at)
    }
  }
}

/** How many open ports are looked at one by one; the filter that is made for more of them costs more than a look. */
const FEW = 8

const isOpen = ({ open }: Firewall, protocol: Protocol, { from, to }: PortRange): boolean => {
  const entries = open[protocol]
  if (entries.length > FEW) return false
  for (const entry of entries) if (entry.from <= from && entry.to >= to) return true
  return false
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
