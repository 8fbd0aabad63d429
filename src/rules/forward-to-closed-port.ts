import type { AddressClaim } from '../plan/plan.ts'
import type { Problem } from '../findings/finding.ts'
import type { Container, PortRange, Protocol } from '../model/topology.ts'
import type { Path } from '../text/path.ts'
import type { Rule } from './rule.ts'

/** D21 */
export const forwardToClosedPort: Rule = {
  id: 'forward-to-closed-port',
  group: 'ports',
  severity: 'warning',
  summary: "A forward goes to a port that the container's own firewall does not open.",
  *check({ topology, addresses }) {
    for (const container of topology.containers) {
      if (!container.enabled || !container.privateNetwork) continue
      for (const { at, protocol, containerPort } of container.veth.forwardPorts)
        if (protocol.value !== undefined && containerPort !== undefined)
          yield* closed(container, protocol.value, { from: containerPort, to: containerPort }, at)
    }
    if (topology.nat?.enable !== true) return
    for (const { destination, proto } of topology.nat.forwardPorts) {
      const { address, ports, at } = destination
      if (address === undefined || ports === undefined || proto.value === undefined) continue
      const owner = addresses.owners(address)?.find(isContainer)
      if (owner !== undefined) yield* closed(owner.link?.node as Container, proto.value, ports, at)
    }
  }
}

const isContainer = ({ kind, enabled, link }: AddressClaim): boolean => kind === 'local' && enabled && link !== undefined && 'veth' in link.node

const closed = function* (container: Container, protocol: Protocol, ports: PortRange, at: Path): Generator<Problem> {
  const { firewall, name } = container
  // A file that says nothing about the container's firewall says nothing about what services open for themselves.
  if (container.partial || !firewall.written || !firewall.enable) return
  const open = [firewall.open, ...firewall.interfaces.map(({ open }) => open)].flatMap(openings => openings[protocol])
  if (open.some(({ from, to }) => from <= ports.from && ports.to <= to)) return
  if (ports.from === 22 && ports.to === 22) return
  const option = protocol === 'tcp' ? 'allowedTCPPorts' : 'allowedUDPPorts'
  const range = ports.from !== ports.to
  const value = range ? `{ from: ${ports.from}, to: ${ports.to} }` : String(ports.from)
  yield {
    message: `${protocol} ${range ? `${ports.from} to ${ports.to}` : ports.from} is forwarded to container "${name}", whose firewall does not open it`,
    labels: [
      { at, text: `arrives at ${protocol} ${range ? `${ports.from}-${ports.to}` : ports.from}` },
      { at: firewall.at, on: 'key', text: 'not open here' }
    ],
    note: "a container's own firewall is on by default and drops what is not listed: connections time out (ports that a NixOS service opens by itself, with openFirewall, are not seen here)",
    help: `add ${value} to containers.${name}.firewall.${range ? option.replace('Ports', 'PortRanges') : option}`
  }
}
