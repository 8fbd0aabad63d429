import type { Network, UnitRoute } from '../model/topology.ts'
import { type Addr, type Family, isLinkLocal6, width } from '../net/addr.ts'
import { contains, firstUsable, lastUsable, masked, type Prefix } from '../net/prefix.ts'
import { uplinks } from '../plan/egress.ts'
import { hostEnds, hostName, realParent } from '../plan/links.ts'
import { knownInterface } from '../plan/nat.ts'
import { FAMILIES, type Plan } from '../plan/plan.ts'
import { byHand, unitOf } from '../plan/units.ts'

// The world around the host, of which a topology says little: a router, a machine on the internet, one in the LAN. Their
// addresses are chosen here, once for the prediction and for the rehearsal.

/** What a machine of the internet may have, the first that no network of the host has (RFC 5737, RFC 3849). */
const INTERNET: Readonly<Record<Family, readonly Addr[]>> = {
  4: [0xcb00710an, 0xc000020an, 0xc633640an].map(value => ({ family: 4, value })),
  6: [0x20010db8ffffn, 0x20010db8fffen, 0x20010db8fffdn].map(head => ({
    family: 6,
    value: (head << 80n) + 0x10n
  }))
}

/**
 * What the host has where DHCP or advertisements give it its addresses: each network outside is another one (RFC 5737,
 * RFC 2544, RFC 3849).
 */
const givenTo = (family: Family, i: number): Prefix | undefined =>
  family === 6
    ? { family, value: ((0x20010db80001n + BigInt(i)) << 80n) + 2n, bits: 64 }
    : i === 0
      ? { family, value: 0xc6336402n, bits: 24 }
      : i < 512
        ? { family, value: 0xc6120002n + (BigInt(i) << 8n), bits: 24 }
        : undefined

/** A router that only IPv6 can have: what everybody on the link can reach, whatever the networks are. */
const LINK_LOCAL_ROUTER: Addr = { family: 6, value: (0xfe80n << 112n) + 1n }

/** One family of the network that an interface of the host is in. */
export interface OutsideNetwork {
  /** The host's address there, with the network's length. */
  readonly host: Prefix
  /** Whether the file does not say it: DHCP or an advertisement gives it. */
  readonly isGiven: boolean
  /** The router, which is the host's default gateway where `leadsOut`. */
  readonly router: Addr
  /** The machine in the LAN; undefined where the network has no room for one. */
  readonly lan: Addr | undefined
}

/** A network outside that the host has a card in. */
export interface Outside {
  /** The card, or the bridge that has one. */
  readonly ifname: string
  /** Whether the internet is behind it. */
  readonly leadsOut: boolean
  readonly networks: readonly OutsideNetwork[]
  /** The addresses of the machine on the internet, where that is behind it. */
  readonly internet: readonly Addr[]
}

/** The uplink first, then the bridges with cards. A host without any is alone with its containers. */
export const outsideOf = (plan: Plan): readonly Outside[] => {
  const { bridges } = plan
  const uplink = uplinkOf(plan)
  const found: Outside[] = uplink === undefined ? [] : [outside(plan, uplink, true, 0)]
  const card = uplink === undefined ? undefined : realParent(plan.topology, uplink)
  const plugged = pluggedByPattern(plan)
  for (const { bridge } of bridges.values())
    if (
      bridge.name !== card &&
      (bridge.interfaces.length > 0 || plugged.has(bridge.name)) &&
      !bridge.interfaces.some(({ name }) => name === card)
    )
      found.push(outside(plan, bridge.name, false, Math.max(found.length, 1)))
  return found
}

/** Names that the kernel and udev give to cards. */
const CARDS: readonly string[] = ['enp1s0', 'eno1', 'ens3', 'eth0']

/** The bridges that a unit by hand plugs cards into by a pattern; one for the taps of machines leads nowhere outside. */
const pluggedByPattern = (plan: Plan): ReadonlySet<string> =>
  new Set(CARDS.flatMap(name => byHand(plan, { name, kind: 'none' })?.bridge ?? []).map(({ name }) => name))

/**
 * The interface to the internet: NAT's, that of the default gateway, one that asks for an address, or the first with one. For
 * a port it is the bridge, which has its packets and its address; what has been moved into a container is the host's no more.
 */
export const uplinkOf = (plan: Plan): string | undefined => {
  const { host, nat, bridges, having } = plan.topology
  const external = nat?.enable === true ? nat.externalInterface : undefined
  const isKnown = (name: string): boolean => /^[^*+]+$/.test(name)
  const moved = new Set(
    having.interfaces.flatMap(({ enabled, interfaces }) =>
      enabled ? interfaces.map(({ name }) => hostName(name)) : []
    )
  )
  // Of several with DHCP it is that with a default route of its unit as well.
  const leading = uplinks(plan).filter(name => !moved.has(name))
  const ends = hostEnds(plan)
  const cards = host.configured.filter(({ name }) => !moved.has(name) && !ends.has(name))
  const routed = (names: readonly string[]): string | undefined =>
    names.find(name => FAMILIES.some(family => unitGateway(plan, name, family) !== undefined))
  const found =
    external !== undefined && isKnown(external) && !isMisnamed(plan, external)
      ? external
      : (routed(leading) ??
        routed([...cards, ...bridges].map(({ name }) => name)) ??
        leading[0] ??
        cards.find(({ addresses }) => addresses.length > 0)?.name ??
        cards[0]?.name)
  if (found === undefined || moved.has(found)) return undefined
  return bridges.find(({ interfaces }) => interfaces.some(({ name }) => name === found))?.name ?? found
}

/** Whether the file tells the way out, and NAT names an interface that the host does not have. */
const isMisnamed = (plan: Plan, external: string): boolean => {
  const { manager, useDHCP } = plan.topology.host
  // What these look after needs no place in the file.
  const isElsewhere = /^w[lw]|\.\d+$/.test(external) || manager === 'networkmanager' || useDHCP === true
  return !isElsewhere && uplinks(plan).length === 1 && !knownInterface(plan)(external)
}

const outside = (plan: Plan, ifname: string, leadsOut: boolean, i: number): Outside => {
  const { host, bridges } = plan.topology
  const bridge = plan.bridges.get(ifname)?.bridge
  const card = host.configured.find(({ name }) => name === ifname)
  const written = [...(bridge?.addresses ?? card?.addresses ?? [])].flatMap(({ prefix, bare }) =>
    prefix === undefined || bare || prefix.value === 0n ? [] : [prefix]
  )
  // The uplink has an address wherever the file leaves it; dhcpcd asks on no bridge of which it is not told.
  const asks =
    bridge === undefined
      ? card?.dhcp === true || written.length === 0
      : bridge.dhcp !== undefined || (written.length === 0 && (leadsOut || bridge.partial))
  const networks = FAMILIES.flatMap((family): readonly OutsideNetwork[] => {
    if (family === 6 && (!host.enableIPv6 || host.internet6 === false)) return []
    const of = written.filter(prefix => prefix.family === family)
    const own = of.find(({ bits }) => bits < width(family)) ?? of[0]
    const given = own === undefined && asks ? givenTo(family, i) : undefined
    const found = own ?? given
    if (found === undefined) return []
    const made = network(plan, ifname, found, given !== undefined)
    return made === undefined ? [] : [made]
  })
  const taken = [...host.configured, ...bridges].flatMap(({ addresses }) =>
    addresses.flatMap(({ prefix }) => prefix ?? [])
  )
  const isFree = (addr: Addr): boolean =>
    !taken.some(prefix => contains(prefix, addr)) && !networks.some(({ host }) => contains(host, addr))
  return {
    ifname,
    leadsOut,
    networks,
    internet: leadsOut
      ? networks.flatMap(({ host: { family } }) => INTERNET[family].find(isFree) ?? INTERNET[family][0] ?? [])
      : []
  }
}

const network = (plan: Plan, ifname: string, own: Prefix, isGiven: boolean): OutsideNetwork | undefined => {
  const taken = new Set([own.value])
  const next = (): Addr | undefined => {
    let { value } = firstUsable(masked(own))
    const end = lastUsable(masked(own)).value
    const isTaken = (): boolean =>
      taken.has(value) || plan.addresses.owners({ family: own.family, value }) !== undefined
    while (value < end && isTaken()) value += 1n
    if (isTaken()) return undefined
    taken.add(value)
    return { family: own.family, value }
  }
  const router =
    writtenRouter(plan, ifname, own) ?? next() ?? (own.family === 6 ? LINK_LOCAL_ROUTER : undefined)
  if (router === undefined) return undefined
  taken.add(router.value)
  return { host: own, isGiven, router, lan: next() }
}

/** The default gateway of an interface as the file has it: in the network, on the link, or of a unit. */
const writtenRouter = (plan: Plan, ifname: string, own: Prefix): Addr | undefined => {
  const { host } = plan.topology
  const gateway = own.family === 4 ? host.defaultGateway : host.defaultGateway6
  const written = gateway?.address.prefix
  const isHere =
    written !== undefined &&
    (gateway?.interface === ifname ||
      contains(own, written) ||
      (isLinkLocal6(written) && gateway?.interface === undefined))
  const unit = unitGateway(plan, ifname, own.family)
  const found = isHere ? written : unit !== undefined && isOnLink(plan, ifname, own, unit) ? unit : undefined
  return found === undefined ? undefined : { family: found.family, value: found.value }
}

/** Whether networkd can reach a gateway of an interface. */
export const isOnLink = (plan: Plan, ifname: string, own: Prefix, gateway: Prefix): boolean =>
  contains(own, gateway) ||
  isLinkLocal6(gateway) ||
  unitOf(plan, ifname)?.routes.some(
    ({ gateway: other, onLink }) => onLink && other?.prefix?.value === gateway.value
  ) === true ||
  takesOnLink(unitOf(plan, ifname))

/** "Gateway= without static address configured. Enabling GatewayOnLink= option." (systemd-networkd) */
export const takesOnLink = (unit: Network | undefined): boolean => unit?.addresses.length === 0

/** The default gateway that a hand-written unit of networkd gives an interface. */
export const unitGateway = (plan: Plan, ifname: string, family: Family): Prefix | undefined =>
  mainRoutes(unitOf(plan, ifname)).find(
    ({ gateway, destination }) => gateway?.prefix?.family === family && destination === undefined
  )?.gateway?.prefix

/** The routes of a unit that are in the main table. */
export const mainRoutes = (unit: Network | undefined): readonly UnitRoute[] =>
  unit?.routes.filter(({ at }) => {
    const section = unit.routeSections.find(other => other.at === at)
    return /^(?:main|254|)$/.test(section?.settings.get('Table')?.at(-1)?.text ?? '')
  }) ?? []
