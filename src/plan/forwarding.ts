import { isYes } from '../model/networkd.ts'
import { isOn } from '../model/sysctl.ts'
import type { SettingText } from '../model/topology.ts'
import type { Family } from '../net/addr.ts'
import type { Plan } from './plan.ts'
import { runsNetworkd, writtenNetworks } from './networkd.ts'
import { makerOf } from './units.ts'

/** Whether the host forwards packets of a family: NixOS's NAT, networkd's masquerading, sysctls, programs that need it. */
export const forwardsHost = (plan: Plan, family: Family): boolean => {
  const { topology } = plan
  const { nat, host, bridges } = topology
  // networkd comes after the sysctls.
  if (
    bridges.some(
      bridge =>
        (bridge.masquerade[family] || bridge.forwarding[family] === true) &&
        makerOf(topology, bridge) === 'networkd'
    )
  )
    return true
  if (forwardsByNetworkd(plan, family)) return true
  const translates = nat?.enable === true && (family === 4 || nat.enableIPv6)
  // NAT's own values beat plain ones of the same keys; ip_forward stands behind them in the file, and is the last.
  const written =
    (family === 4 ? host.sysctl.get('net.ipv4.ip_forward') : undefined) ??
    (translates ? undefined : host.sysctl.get(`net.ipv${family}.conf.all.forwarding`))
  if (written !== undefined) return isOn(written)
  if (translates) return true
  // network-interfaces.nix, by mkDefault.
  if (family === 4 && [...host.configured, ...bridges].some(({ proxyARP }) => proxyARP)) return true
  if (family === 4 && host.daemons.some(daemon => /docker|libvirtd|lxd|incus|kubernetes|k3s/.test(daemon)))
    return true
  return writtenNetworks(host).some(({ sections }) => {
    const last = (key: string): SettingText | undefined =>
      sections.get('networkConfig')?.settings.get(key)?.at(-1)
    const [masquerade, older] = [last('IPMasquerade'), last('IPForward')]
    return (
      ['both', `ipv${family}`].includes(masquerade?.text ?? '') ||
      (family === 4 && isYes(masquerade)) ||
      older?.text === `ipv${family}` ||
      isYes(older) ||
      isYes(last(`IPv${family}Forwarding`))
    )
  })
}

/** Whether networkd.conf switches forwarding on for the whole host. */
export const forwardsByNetworkd = ({ topology: { host }, releases }: Plan, family: Family): boolean =>
  releases.networkdForwarding &&
  runsNetworkd(host) !== false &&
  isYes(host.networkd?.config?.settings.get(`IPv${family}Forwarding`)?.at(-1))
