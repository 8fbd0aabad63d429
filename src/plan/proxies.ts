import { isYes } from '../model/networkd.ts'
import { isOn } from '../model/sysctl.ts'
import type { Family } from '../net/addr.ts'
import type { Plan } from './plan.ts'
import { unitOf } from './units.ts'

/**
 * Whether the host answers on an interface for addresses that it routes to another one: proxy ARP, and its like in IPv6,
 * which also wants an entry for each address that no topology shows (`ip neigh add proxy`, ndppd, IPv6ProxyNDPAddress=).
 */
export const answersForOthers = (plan: Plan): ((ifname: string, family: Family) => boolean) => {
  const { host, bridges } = plan.topology
  const options = new Set(
    [...host.configured, ...bridges].flatMap(({ name, proxyARP }) => (proxyARP ? name : []))
  )
  return (ifname, family) =>
    (family === 4 && options.has(ifname)) ||
    ['all', ifname].some(scope =>
      isOn(
        host.sysctl.get(
          family === 4 ? `net.ipv4.conf.${scope}.proxy_arp` : `net.ipv6.conf.${scope}.proxy_ndp`
        )
      )
    ) ||
    isYes(
      unitOf(plan, ifname)
        ?.sections.get('networkConfig')
        ?.settings.get(family === 4 ? 'IPv4ProxyARP' : 'IPv6ProxyNDP')
        ?.at(-1)
    )
}
