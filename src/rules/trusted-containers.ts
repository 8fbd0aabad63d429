import { specialBlock } from '../net/special.ts'
import { servedByHost } from '../plan/dhcp.ts'
import { entranceOf, wildcardOf } from '../plan/firewall.ts'
import { nameMatcher } from '../plan/nat.ts'
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
    const wildcard = wildcardOf(firewall)
    const trusted = nameMatcher(
      // nftables refuses a pattern for every name.
      firewall.trustedInterfaces.map(({ name }) => name).filter(name => name !== '*'),
      wildcard
    )
    const link = links.find(link => link.container !== undefined && trusted(entranceOf(link)))
    if (link === undefined) return
    const entrance = entranceOf(link)
    const entry = firewall.trustedInterfaces.find(
      ({ name }) => name !== '*' && nameMatcher([name], wildcard)(entrance)
    )
    if (entry === undefined) return
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
      // A client that asks for an address sends to UDP 67.
      const all = protocol === 'udp' && servedByHost(host)(entrance) ? [...ports, 67] : ports
      const list = [...new Set(all)].sort((a, b) => a - b)
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
