import type { Container } from '../model/topology.ts'
import type { Link } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** D30 */
export const forwardWithoutAddress: Rule = {
  id: 'forward-without-address',
  group: 'ports',
  severity: 'error',
  summary: 'A container has forwardPorts, and no address that they could go to.',
  *check({ topology, linksOf }) {
    for (const container of topology.having.forwardPorts) {
      const { name, enabled, partial, privateNetwork, networkNamespace, veth } = container
      const [forward] = veth.forwardPorts
      const links = linksOf.get(container) ?? []
      // Without any interface that is what there is to say.
      const [link] = links
      if (!enabled || partial || !privateNetwork || networkNamespace) continue
      if (forward === undefined || link === undefined || mayHaveOne(container, links)) continue
      // A pair without a bridge and without addresses is a fault of its own.
      if (link.veth?.extra === false && link.bridgeName === undefined) continue
      yield {
        message: `container "${name}" has forwardPorts and no address`,
        labels: [
          { at: forward.at, text: 'leads nowhere' },
          { at: link.at, on: 'key', text: 'no address here' }
        ],
        note: 'systemd-nspawn looks for an address in the container, and forwards nothing before there is one, without a word',
        help:
          link.bridgeName === undefined
            ? 'write hostAddress and localAddress'
            : `write localAddress, with the prefix length of bridge "${link.bridgeName}"`
      }
    }
  }
}

/** Whether the container has an address, or may have one that the file does not say. */
const mayHaveOne = (container: Container, links: readonly Link[]): boolean =>
  container.dhcp ||
  container.useNetworkd ||
  container.networkManager ||
  container.acceptRA === true ||
  container.vpn !== undefined ||
  container.inside.interfaces.length > 0 ||
  container.inside.bridges.length > 0 ||
  container.inside.vlans.length > 0 ||
  container.virtualAddresses.length > 0 ||
  links.some(
    ({ kind, bridge, bridgeName, addresses }) =>
      addresses.length > 0 ||
      kind === 'moved' ||
      kind === 'macvlan' ||
      (bridgeName !== undefined && (bridge === undefined || bridge.open || bridge.bridge.partial))
  )
