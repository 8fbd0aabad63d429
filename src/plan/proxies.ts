import type { SettingText } from '../model/topology.ts'
import type { Family } from '../net/addr.ts'
import { writtenNetworks } from './networkd.ts'
import type { Plan } from './plan.ts'

/**
 * Whether the host answers on an interface for addresses that it routes to another one: proxy ARP, and its like in IPv6,
 * which also wants an entry for each address that no topology shows (`ip neigh add proxy`, ndppd, IPv6ProxyNDPAddress=).
 */
export const answersForOthers = ({
  topology: { host },
  bridges
}: Plan): ((ifname: string, family: Family) => boolean) => {
  const isOn = (setting: SettingText | undefined): boolean =>
    setting !== undefined && /^(?:1|yes|true|on)$/i.test(setting.text.trim())
  const sysctl = new Map(Array.from(host.sysctl, ([key, value]) => [key.replaceAll('/', '.'), value]))
  const options = new Set([
    ...host.configured.flatMap(({ name, proxyARP }) => (proxyARP ? [name] : [])),
    ...Array.from(bridges.values()).flatMap(({ bridge: { name, proxyARP } }) => (proxyARP ? [name] : []))
  ])
  const units: Readonly<Record<Family, Set<string>>> = { 4: new Set(), 6: new Set() }
  for (const { names, sections } of writtenNetworks(host))
    for (const family of [4, 6] as const)
      if (
        isOn(
          sections
            .get('networkConfig')
            ?.settings.get(family === 4 ? 'IPv4ProxyARP' : 'IPv6ProxyNDP')
            ?.at(-1)
        )
      )
        for (const { name } of names) units[family].add(name)
  return (ifname, family) =>
    (family === 4 && options.has(ifname)) ||
    units[family].has(ifname) ||
    ['all', ifname].some(scope =>
      isOn(sysctl.get(family === 4 ? `net.ipv4.conf.${scope}.proxy_arp` : `net.ipv6.conf.${scope}.proxy_ndp`))
    )
}
