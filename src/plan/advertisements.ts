import { isYes } from '../model/networkd.ts'
import { isOn } from '../model/sysctl.ts'
import type { AddressText, Network, Section, SettingText } from '../model/topology.ts'
import type { Path } from '../text/path.ts'
import { uplinks } from './egress.ts'
import { hardware, hostDevices, setsAddresses, writtenNetworks } from './networkd.ts'
import type { Plan } from './plan.ts'
import { makerOf } from './units.ts'

// A machine that forwards IPv6 is a router, and routers do not listen to other routers' advertisements (RFC 4861 section
// 6.2.8). Who listens is the kernel (accept_ra: 1 stops with forwarding, 2 does not; ip-sysctl.rst), networkd (ndisc;
// src/network/networkd-ndisc.c), or dhcpcd and NetworkManager, which forwarding does not stop.

/** A setting with its key as it is written. */
export interface Keyed extends SettingText {
  readonly key: string
}

/** An uplink that lives from router advertisements and ignores them. */
export interface LostAdvertisements {
  readonly name: string
  /** Where the file says that the uplink has IPv6 from advertisements. */
  readonly wish: Path
  /** What turns forwarding on. */
  readonly forwarding: Keyed
  readonly listener: 'kernel' | 'networkd'
  /** The unit of the uplink, where it is written by hand. */
  readonly unit: Network | undefined
  /** net.ipv6.conf.all.accept_ra, which no interface looks at. */
  readonly useless: Keyed | undefined
  /** Whether the host has a default route by another interface, which listens. */
  readonly hasOther: boolean
}

export const lostAdvertisements = (plan: Plan): readonly LostAdvertisements[] => {
  const { host } = plan.topology
  if (host.partial || !host.enableIPv6 || host.manager === 'networkmanager' || hasRouter(plan)) return []
  return setsAddresses(host) ? byNetworkd(plan) : byKernel(plan)
}

/** Whether the file has an IPv6 default route of the host. */
const hasRouter = ({ topology: { host, bridges } }: Plan): boolean => {
  const isDefault = ({ destination }: { readonly destination: AddressText | undefined }): boolean =>
    destination?.prefix?.family === 6 && destination.prefix.bits === 0
  return (
    host.defaultGateway6 !== undefined ||
    [...host.interfaces, ...bridges].some(({ routes }) => routes.some(isDefault)) ||
    writtenNetworks(host).some(({ gateways, routes }) => hasIPv6(gateways) || routes.some(isDefault))
  )
}

const hasIPv6 = (addresses: readonly AddressText[]): boolean =>
  addresses.some(({ prefix }) => prefix?.family === 6)

/** Who leads outside as far as the file tells. */
const outward = (plan: Plan): ReadonlySet<string | undefined> =>
  new Set([...uplinks(plan), plan.topology.nat?.externalInterface])

const byKernel = (plan: Plan): readonly LostAdvertisements[] => {
  const { host, nat, bridges } = plan.topology
  if (nat?.enable === true && nat.enableIPv6) return []
  const of = (scope: string, name: string): Keyed | undefined => {
    const sysctl = host.sysctl.get(`net.ipv6.conf.${scope}.${name}`)
    return sysctl === undefined ? undefined : { ...sysctl, key: String(sysctl.at.at(-1)) }
  }
  const accepts = (scope: string): boolean => of(scope, 'accept_ra')?.text === '2'
  if (accepts('default')) return []
  const leadsOut = outward(plan)
  // NixOS's scripts start dhcpcd on what has no fixed IPv4 address, unless the file says otherwise (dhcpcd.nix); of a bridge
  // it has to be told.
  const isRunByDhcpcd = (addresses: readonly AddressText[]): boolean =>
    host.useDHCP !== false && !addresses.some(({ prefix }) => prefix?.family === 4)
  const entries = [
    ...host.interfaces.map(card => ({ ...card, dhcpcd: card.dhcp || isRunByDhcpcd(card.addresses) })),
    ...bridges
      .filter(bridge => makerOf(plan.topology, bridge) === 'scripted')
      .map(bridge => ({ ...bridge, dhcpcd: bridge.dhcp !== undefined }))
  ]
  const lost: Omit<LostAdvertisements, 'hasOther'>[] = []
  let hasOther = false
  for (const { name, at, acceptRA, addresses, dhcpcd } of entries) {
    const isMeant = host.internet6 === true && leadsOut.has(name) && !hasIPv6(addresses)
    if (!(acceptRA ?? isMeant)) continue
    const forwarding = of(name, 'forwarding') ?? of('all', 'forwarding')
    if (dhcpcd || forwarding === undefined || !isOn(forwarding) || accepts(name)) {
      hasOther = true
      continue
    }
    lost.push({
      name,
      wish: acceptRA === undefined ? [...host.at, 'internet6'] : [...at, 'acceptRA'],
      forwarding,
      listener: 'kernel',
      unit: undefined,
      useless: accepts('all') ? of('all', 'accept_ra') : undefined
    })
  }
  return lost.flatMap(entry =>
    hasOther && entry.wish.at(-1) === 'internet6' ? [] : [{ ...entry, hasOther }]
  )
}

/** Interfaces that networkd runs by one unit, or by one that NixOS makes. */
interface Managed {
  readonly name: string
  readonly unit: Network | undefined
  readonly acceptRA: boolean | undefined
  /** Whether it leads outside, without an IPv6 address of its own. */
  readonly isUplink: boolean
}

const byNetworkd = (plan: Plan): readonly LostAdvertisements[] => {
  const { networkd, internet6, at } = plan.topology.host
  if (networkd === undefined || internet6 !== true) return []
  const lost: LostAdvertisements[] = []
  for (const { name, unit, acceptRA, isUplink } of managed(plan)) {
    const own = unit?.sections.get('networkConfig')
    const asked = ['yes', 'true', 'ipv6'].includes(unit?.dhcp?.text ?? '') ? unit?.dhcp : undefined
    const accept = own?.settings.get('IPv6AcceptRA')?.at(-1)
    if (accept === undefined ? !(acceptRA ?? (asked !== undefined || isUplink)) : !isYes(accept)) continue
    const forwarding =
      accept === undefined && acceptRA === undefined ? forwardingOf(own, networkd.config) : undefined
    // IPv6 comes in here: that somebody else hears nothing leaves the host its route.
    if (forwarding === undefined) return []
    lost.push({
      name,
      wish: asked?.at ?? [...at, 'internet6'],
      forwarding,
      listener: 'networkd',
      unit,
      useless: undefined,
      hasOther: false
    })
  }
  return lost
}

const managed = function* (plan: Plan): Generator<Managed> {
  const { host, bridges } = plan.topology
  const files = plan.networkFiles()
  const devices = hostDevices(plan)
  const leadsOut = outward(plan)
  const used = new Set<Network>()
  for (const { name, acceptRA, addresses } of [...host.configured, ...bridges]) {
    const taker = files.taker(devices.get(name) ?? { name, kind: hardware(name) })
    if (taker === undefined || taker === 'unknown') continue
    if (taker.network !== undefined) used.add(taker.network)
    const isUplink = leadsOut.has(name) && !hasIPv6(addresses)
    yield { name, unit: taker.network, acceptRA, isUplink }
  }
  for (const unit of writtenNetworks(host))
    if (!used.has(unit))
      yield {
        name: unit.names.map(({ name }) => name).join(' ') || `what ${unit.file}.network matches`,
        unit,
        acceptRA: undefined,
        isUplink: unit.gateways.length > 0 && !hasIPv6(unit.addresses)
      }
}

/** link_get_ip_forwarding (systemd, src/network/networkd-sysctl.c); IPForward= is what it was called before 256. */
const forwardingOf = (own: Section | undefined, config: Section | undefined): Keyed | undefined => {
  const setting = (section: Section | undefined, key: string): Keyed | undefined => {
    const value = section?.settings.get(key)?.at(-1)
    return value === undefined ? undefined : { ...value, key }
  }
  const explicit = setting(own, 'IPv6Forwarding')
  if (explicit !== undefined) return isYes(explicit) ? explicit : undefined
  const older = setting(own, 'IPForward')
  if (isYes(older) || older?.text === 'ipv6') return older
  const masquerade = setting(own, 'IPMasquerade')
  if (masquerade !== undefined && ['ipv6', 'both'].includes(masquerade.text)) return masquerade
  const global = setting(config, 'IPv6Forwarding')
  return isYes(global) ? global : undefined
}
