import type { Container, OpenPorts } from '../model/topology.ts'
import { inputFilter } from '../plan/firewall.ts'
import { containerLinks } from '../plan/links.ts'
import type { PortClaim } from '../plan/plan.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** F3 */
export const impliedPrivateNetwork: Rule = {
  id: 'implied-private-network',
  group: 'containers',
  severity: 'hint',
  summary: "A container seems to count on the host's network, but its interfaces make it private.",
  *check({ topology, ports }) {
    const { having, host } = topology
    if (having.listens.length === 0 || !host.firewall.written) return
    for (const container of having.listens) {
      const { enabled, partial, privateNetwork, networkNamespace, name, at } = container
      if (!enabled || partial || privateNetwork || networkNamespace) continue
      const links = containerLinks(container)
      const [link] = links
      const meant = link && openedFor(container, host.firewall.open, ports)
      if (meant === undefined || link === undefined) continue
      const { listen, open } = meant
      const names = listed(links.map(({ ifname }) => ifname))
      const { firewall } = container
      const { port, protocol } = listen
      const isOpen =
        !firewall.enable ||
        links.some(({ ifname }) =>
          inputFilter(firewall).opens(ifname, protocol.value ?? 'tcp', { from: port, to: port })
        )
      yield {
        message: `container "${name}" is not in the host's network, since ${names} makes it private; port ${listen.port}, which the host opens, is not there`,
        labels: [
          { at, on: 'key', text: 'without privateNetwork' },
          {
            at: link.at,
            ...(link.kind === 'veth' ? { on: 'key' as const } : {}),
            text: 'private because of this'
          },
          { at: listen.at, text: `${listen.name ?? `port ${listen.port}`} listens inside only` },
          { at: open.at, text: 'open on the host, where nobody listens' }
        ],
        note: `systemd-nspawn implies --private-network for extraVeths, interfaces and macvlans: the container has ${names} and lo, and none of the host's addresses`,
        help: `if it should be in the host's network, remove ${names}; if not, write privateNetwork: true and close port ${listen.port} of the host${isOpen ? '' : ', and open it in the firewall of the container'}`
      }
    }
  }
}

type Open = { readonly [K in 'tcp' | 'udp']: readonly OpenPorts[] }

/** A service of the container whose port the host opens although nobody on the host serves it. */
const openedFor = (
  { listens }: Container,
  open: Open,
  claims: readonly PortClaim[]
): { readonly listen: Container['listens'][number]; readonly open: OpenPorts } | undefined => {
  for (const listen of listens) {
    const { port, protocol, address } = listen
    const { value } = protocol
    if (value === undefined || address !== undefined) continue
    const found = open[value].find(({ from, to }) => from <= port && port <= to)
    if (found === undefined) continue
    if (claims.some(claim => claim.protocol === value && claim.from <= port && port <= claim.to)) continue
    return { listen, open: found }
  }
  return undefined
}
