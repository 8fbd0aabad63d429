import type { Listen } from '../model/topology.ts'
import { isPrivate } from '../plan/links.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

export const hostPortOpenWithoutTarget: Rule = {
  id: 'host-port-open-without-target',
  group: 'ports',
  severity: 'hint',
  summary:
    'The host opens ports, and neither a service of it nor a forward takes them; the containers are private.',
  *check({ topology, linksOf }) {
    const { host, nat, containers, vms, having } = topology
    const { firewall } = host
    if (!firewall.written || !firewall.enable || host.partial) return
    // Whoever says of one service where it is may have said it of all; who says nothing of the host says little.
    if (host.listens.length > 0 || host.daemons.length > 0 || host.dhcpServers.length > 0) return
    if (nat !== undefined && (nat.forwardPorts.length > 0 || nat.partial || nat.dmzHost !== undefined)) return
    if (firewall.extraCommands !== undefined) return
    const opened = [...firewall.open.tcp, ...firewall.open.udp].filter(
      ({ from, to }) => from === to && from >= 1024 && !ELSEWHERE.has(from)
    )
    const [first] = opened
    if (first === undefined || having.forwardPorts.length > 0) return
    const [container, ...others] = containers.filter(({ enabled }) => enabled)
    // With several containers, or machines, nobody can say whose port it might be; with a shared one it may be its own.
    if (container === undefined || others.length > 0 || vms.some(({ enabled }) => enabled)) return
    if (!isPrivate(container) || container.partial) return
    if (
      linksOf.get(container)?.every(({ veth, bridge }) => veth !== undefined && bridge?.open !== true) !==
      true
    )
      return
    // What is meant for the network of the host, and is private by an interface of its own, is told as that.
    const { privateNetwork, networkNamespace, listens } = container
    const isMeant = ({ port, address }: Listen): boolean =>
      address === undefined && opened.some(({ from }) => from === port)
    if (!privateNetwork && !networkNamespace && listens.some(isMeant)) return
    const which = listed(opened.map(({ from }) => String(from)))
    yield {
      message: `the host's firewall opens ${which}, and nothing here takes ${opened.length === 1 ? 'it' : 'them'} to container "${container.name}"`,
      labels: [
        { at: first.at, text: 'open on the host' },
        { at: container.at, on: 'key', text: 'has a network of its own, and no forwardPorts' }
      ],
      note: "an open port lets packets in to services of the host; a container with a private network needs a forward, and the port open in its own firewall instead, since what is forwarded does not pass the host's INPUT chain",
      help: `if ${opened.length === 1 ? 'it is' : 'they are'} meant for the container, write containers.${container.name}.forwardPorts: [{ hostPort: ${first.from} }]; else nothing`
    }
  }
}

/** Ports of programs that belong to the host itself: tunnels. */
const ELSEWHERE: ReadonlySet<number> = new Set([1194, 41641, 51820, 51821])
