import type { DhcpServer, Host, Named } from '../model/topology.ts'
import { specialBlock } from '../net/special.ts'
import { servedByHost } from '../plan/dhcp.ts'
import { ByName, entranceOf, wildcardOf } from '../plan/firewall.ts'
import type { Link } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** D35 */
export const trustedContainers: Rule = {
  id: 'trusted-containers',
  group: 'firewall',
  severity: 'hint',
  summary: 'An interface of containers is trusted: they reach every port of the host.',
  *check({ topology, links, addresses }) {
    const { firewall } = topology.host
    if (!firewall.enable || firewall.trustedInterfaces.length === 0) return
    const trusted = new ByName(
      firewall.trustedInterfaces.flatMap(entry =>
        // nftables refuses a pattern for every name.
        entry.name === '*' ? [] : [[entry.name, entry] as const]
      ),
      wildcardOf(firewall)
    )
    const entryFor = (link: Link): Named | undefined => {
      const entrance = entranceOf(link)
      return entrance === '' ? undefined : trusted.matching(entrance).at(-1)
    }
    const link = links.find(link => link.container !== undefined && entryFor(link) !== undefined)
    const entry = link === undefined ? undefined : entryFor(link)
    if (link === undefined || entry === undefined) return
    const entrance = entranceOf(link)
    const { host } = topology
    const services = host.listens.filter(
      ({ address }) => address?.prefix === undefined || specialBlock(address.prefix)?.name !== 'loopback'
    )
    const asks = topology.having.nameservers.some(({ enabled, nameservers }) =>
      nameservers.some(
        ({ prefix }) =>
          enabled &&
          prefix !== undefined &&
          addresses.owners(prefix)?.some(({ kind }) => kind === 'host' || kind === 'pair') === true
      )
    )
    const needed = (['tcp', 'udp'] as const).flatMap(protocol => {
      const ports = services.flatMap(({ port, protocol: { value } }) => (value === protocol ? [port] : []))
      if (asks) ports.push(53)
      if (protocol === 'udp') ports.push(...dhcpPorts(host, entrance))
      const list = [...new Set(ports)].sort((a, b) => a - b)
      return list.length === 0 ? [] : [`allowed${protocol.toUpperCase()}Ports: [${list.join(', ')}]`]
    })
    yield {
      message: `"${entry.name}" is trusted, so container "${link.node.name}" reaches every port of the host`,
      labels: [
        { at: entry.at, text: 'nothing is filtered here' },
        { at: link.at, on: 'key', text: `comes in by ${entrance}` }
      ],
      note: 'whoever takes over a container has SSH, databases and admin pages of the host within reach, over IPv4 and IPv6',
      help:
        needed.length === 0
          ? `where containers need nothing of the host, remove it; else list the ports under host.firewall.interfaces."${entry.name}"`
          : `list what containers need of these instead: host.firewall.interfaces."${entry.name}": { ${needed.join(', ')} }`
    }
  }
}

/** The UDP ports that clients on an interface ask for an address at. */
const dhcpPorts = (host: Host, ifname: string): readonly number[] => {
  const isIPv6 = ({ range, subnet }: DhcpServer): boolean => (range?.from ?? subnet?.prefix)?.family === 6
  const serves4 = servedByHost({ ...host, dhcpServers: host.dhcpServers.filter(server => !isIPv6(server)) })
  // The server of networkd is for IPv4 alone.
  const serves6 = servedByHost({ ...host, dhcpServers: host.dhcpServers.filter(isIPv6), networkd: undefined })
  return [...(serves4(ifname) ? [67] : []), ...(serves6(ifname) ? [547] : [])]
}
