import { entranceOf, wildcardOf } from '../plan/firewall.ts'
import { nameMatcher } from '../plan/nat.ts'
import type { Rule } from './rule.ts'

/** D35 */
export const trustedContainers: Rule = {
  id: 'trusted-containers',
  group: 'firewall',
  severity: 'hint',
  summary: 'An interface of containers is trusted: they reach every port of the host.',
  *check({ topology, links }) {
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
    const open = [...new Set(topology.host.listens.map(({ port }) => port))].slice(0, 4)
    yield {
      message: `"${entry.name}" is trusted, so container "${link.node.name}" reaches every port of the host`,
      labels: [
        { at: entry.at, text: 'nothing is filtered here' },
        { at: link.at, on: 'key', text: `comes in by ${entrance}` }
      ],
      note: 'whoever takes over a container has SSH, databases and admin pages of the host within reach, over IPv4 and IPv6',
      help: `where a few ports are enough, list them instead: host.firewall.interfaces."${entry.name}": { ${open.length === 0 ? '' : `allowedTCPPorts: [${open.join(', ')}], `}allowedUDPPorts: [53] }`
    }
  }
}
