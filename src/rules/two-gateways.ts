import { formatAddr, sameAddr } from '../net/addr.ts'
import { gatewayFault } from '../plan/gateways.ts'
import { containersHaving, hasVeth } from '../plan/links.ts'
import type { Rule } from './rule.ts'

/** B8 */
export const twoGateways: Rule = {
  id: 'two-gateways',
  group: 'gateways',
  severity: 'warning',
  summary: 'hostAddress and defaultGateway name different routers.',
  *check(plan) {
    const { topology, bridges } = plan
    for (const container of containersHaving(topology, 'hostAddress', 'hostAddress6')) {
      if (!container.enabled || !hasVeth(container)) continue
      const { veth } = container
      for (const [host, gateway, option] of [
        [veth.hostAddress, container.defaultGateway, 'defaultGateway'],
        [veth.hostAddress6, container.defaultGateway6, 'defaultGateway6']
      ] as const) {
        if (host?.prefix === undefined || gateway?.address.prefix === undefined) continue
        const [a, b] = [host.prefix, gateway.address.prefix]
        if (sameAddr(a, b)) continue
        // A gateway behind another interface is a choice; one that cannot be one, and a hostAddress that is not the
        // bridge's, are told as such.
        if (gateway.interface !== undefined && gateway.interface !== 'eth0') continue
        if (gatewayFault(plan, container, gateway) !== undefined) continue
        const bridge = veth.hostBridge === undefined ? undefined : bridges.get(veth.hostBridge)
        if (
          bridge?.subnets.some(
            ({ address }) => address.prefix !== undefined && sameAddr(address.prefix, a)
          ) === false
        )
          continue
        yield {
          message: `container "${container.name}" has two default routes: ${host.at.at(-1)} ${host.text} and ${option} ${gateway.address.text}`,
          labels: [
            { at: gateway.address.at, text: 'set later: this one wins' },
            { at: host.at, text: 'also sets a default route' }
          ],
          note: 'NixOS sets the route through hostAddress when the container starts and replaces it when its network service has run: what works depends on who came last',
          // Without a bridge hostAddress is also the host's end of the pair.
          help:
            veth.hostBridge === undefined
              ? `remove ${option}, or make it ${formatAddr(a)}`
              : `keep one of them: remove ${host.at.at(-1)} if ${formatAddr(b)} is the router, and ${option} if ${formatAddr(a)} is`
        }
      }
    }
  }
}
