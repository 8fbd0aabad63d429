import type { Interface, Network, Section, SettingText } from '../model/topology.ts'
import type { Path } from '../text/path.ts'
import { hardware, runsNetworkd } from './networkd.ts'
import type { Plan } from './plan.ts'

// A machine that forwards IPv6 is a router, and routers do not listen to other routers' advertisements (RFC 4861 section
// 6.2.8). Who listens is the kernel (accept_ra: 1 stops with forwarding, 2 does not; ip-sysctl.rst), networkd (ndisc;
// src/network/networkd-ndisc.c), or dhcpcd and NetworkManager, which forwarding does not stop.

/** An uplink that lives from router advertisements and ignores them. */
export interface LostAdvertisements {
  readonly name: string
  /** Where the file says that the uplink has IPv6 from advertisements. */
  readonly wish: Path
  /** What turns forwarding on. */
  readonly forwarding: SettingText & { readonly key: string }
  readonly listener: 'kernel' | 'networkd'
  /** The unit of the uplink, where it is written by hand. */
  readonly unit: Network | undefined
  /** net.ipv6.conf.all.accept_ra, which no interface looks at. */
  readonly useless: SettingText | undefined
}

export const lostAdvertisements = function* (plan: Plan): Generator<LostAdvertisements> {
  const { host } = plan.topology
  if (host.partial || !host.enableIPv6 || host.defaultGateway6 !== undefined) return
  if (host.manager === 'networkmanager') return
  if (runsNetworkd(host) === true) yield* byNetworkd(plan)
  else yield* byKernel(plan)
}

const isOn = ({ text }: SettingText): boolean => /^(?:1|true|yes|on)$/i.test(text.trim())

const byKernel = function* (plan: Plan): Generator<LostAdvertisements> {
  const { host, nat } = plan.topology
  if (host.sysctl.size === 0 || (nat?.enable === true && nat.enableIPv6)) return
  const sysctl = new Map(Array.from(host.sysctl, ([key, value]) => [key.replaceAll('/', '.'), value]))
  const of = (scope: string, name: string): SettingText | undefined =>
    sysctl.get(`net.ipv6.conf.${scope}.${name}`)
  const accepts = (scope: string): boolean => of(scope, 'accept_ra')?.text.trim() === '2'
  if (accepts('default')) return
  for (const uplink of host.interfaces) {
    const { name } = uplink
    const wish = isRunByDhcpcd(plan, uplink) ? undefined : wishOf(plan, uplink)
    const key = [name, 'all'].find(scope => of(scope, 'forwarding') !== undefined) ?? 'all'
    const forwarding = of(key, 'forwarding')
    if (wish === undefined || forwarding === undefined || !isOn(forwarding) || accepts(name)) continue
    yield {
      name,
      wish,
      forwarding: { ...forwarding, key: `net.ipv6.conf.${key}.forwarding` },
      listener: 'kernel',
      unit: undefined,
      useless: accepts('all') ? of('all', 'accept_ra') : undefined
    }
  }
}

/** NixOS's scripts start dhcpcd on what has no fixed IPv4 address, unless the file says otherwise (dhcpcd.nix). */
const isRunByDhcpcd = ({ topology: { host } }: Plan, { dhcp, addresses }: Interface): boolean =>
  dhcp || (host.useDHCP !== false && !addresses.some(({ prefix }) => prefix?.family === 4))

/** Where the file says that the interface has IPv6 from a router's advertisements. */
const wishOf = ({ topology }: Plan, { name, at, acceptRA, addresses }: Interface): Path | undefined => {
  const { host, nat } = topology
  if (acceptRA === true) return [...at, 'acceptRA']
  const isUplink = nat?.externalInterface === name || host.defaultGateway?.interface === name
  return acceptRA === undefined &&
    host.internet6 === true &&
    isUplink &&
    !addresses.some(({ prefix }) => prefix?.family === 6)
    ? [...host.at, 'internet6']
    : undefined
}

const byNetworkd = function* (plan: Plan): Generator<LostAdvertisements> {
  const { host } = plan.topology
  if (host.networkd === undefined || host.internet6 !== true) return
  const files = plan.networkFiles()
  const known = new Map<string, Uplink>(host.interfaces.map(entry => [entry.name, entry]))
  for (const { names, bridge } of host.networkd.networks)
    if (bridge.length === 0)
      for (const { name } of names)
        if (!known.has(name) && !plan.bridges.has(name) && /^[\w.-]+$/.test(name))
          known.set(name, { name, acceptRA: undefined, dhcp: false })
  for (const { name, acceptRA, dhcp } of known.values()) {
    const taker = files.taker({ name, kind: hardware(name) })
    if (acceptRA !== undefined || taker === undefined || taker === 'unknown') continue
    const unit = taker.network
    const asks = unit === undefined ? dhcp : ['yes', 'true', 'ipv6'].includes(unit.dhcp?.text ?? '')
    if (!asks || unit?.gateways.some(({ prefix }) => prefix?.family === 6) === true) continue
    const own = unit?.sections.get('networkConfig')
    if (own?.settings.has('IPv6AcceptRA') === true) continue
    const forwarding = forwardingOf(own, host.networkd.config)
    if (forwarding === undefined) continue
    yield {
      name,
      wish: unit?.dhcp?.at ?? [...host.at, 'internet6'],
      forwarding,
      listener: 'networkd',
      unit,
      useless: undefined
    }
  }
}

type Uplink = Pick<Interface, 'name' | 'acceptRA' | 'dhcp'>

/** link_get_ip_forwarding (systemd, src/network/networkd-sysctl.c); IPForward= is what it was called before 256. */
const forwardingOf = (
  own: Section | undefined,
  config: Section | undefined
): LostAdvertisements['forwarding'] | undefined => {
  const setting = (
    section: Section | undefined,
    key: string
  ): LostAdvertisements['forwarding'] | undefined => {
    const value = section?.settings.get(key)?.at(-1)
    return value === undefined ? undefined : { ...value, key }
  }
  const explicit = setting(own, 'IPv6Forwarding')
  if (explicit !== undefined) return isOn(explicit) ? explicit : undefined
  const older = setting(own, 'IPForward')
  if (older !== undefined && (isOn(older) || older.text === 'ipv6')) return older
  const masquerade = setting(own, 'IPMasquerade')
  if (masquerade !== undefined && ['ipv6', 'both'].includes(masquerade.text)) return masquerade
  const global = setting(config, 'IPv6Forwarding')
  return global !== undefined && isOn(global) ? global : undefined
}
