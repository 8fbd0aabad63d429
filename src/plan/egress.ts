import type { AddressText, Container, Named } from '../model/topology.ts'
import { type Addr, type Family, sameAddr } from '../net/addr.ts'
import { IFNAME_MAX, misspelling } from '../net/ifname.ts'
import { contains } from '../net/prefix.ts'
import { isGlobal } from '../net/special.ts'
import { defaultRoutes } from './gateways.ts'
import { hasVeth } from './links.ts'
import { knownInterface, nameMatcher, translatesByHand } from './nat.ts'
import { type BridgePlan, FAMILIES, type Link, type Plan } from './plan.ts'

/** Whether packets for the internet go from a private address to the host, which would have to translate them. */
export const leavesByHost = (plan: Plan, link: Link, family: Family): boolean => {
  const { container, addresses, veth, bridge, bridgeName } = link
  if (container === undefined || veth === undefined) return false
  if (veth.extra && !leadsOut(plan, link, container, family)) return false
  if (container.partial || container.internet === false || bridge?.open === true) return false
  const source = addresses.find(({ prefix }) => prefix?.family === family)?.prefix
  if (source === undefined || isGlobal(source)) return false
  // Of several links the one that the router is on counts.
  const isOnly = plan.linksOf.get(container)?.length === 1
  const routes = defaultRoutes(plan, container, family).filter(
    ({ via }) => isOnly || (via?.prefix !== undefined && hasAny(hostEnds(link), via.prefix))
  )
  if (bridgeName === undefined) return routes.some(({ via }) => via !== undefined)
  if (bridge === undefined || bridge.bridge.partial) return false
  // A router that is another container or machine is not the host.
  return routes.some(
    ({ via }) =>
      via?.prefix !== undefined &&
      plan.addresses.owners(via.prefix)?.some(({ kind }) => kind === 'host') === true
  )
}

/** Whether a default route of a container leads to the host's end of this extra veth, and not to that of its own pair. */
const leadsOut = (plan: Plan, link: Link, container: Container, family: Family): boolean => {
  const own = hasVeth(container) ? [container.veth.hostAddress, container.veth.hostAddress6] : []
  return defaultRoutes(plan, container, family).some(
    ({ via }) => via?.prefix !== undefined && hasAny(hostEnds(link), via.prefix) && !hasAny(own, via.prefix)
  )
}

/** The addresses that the host has on a link: at its end of the pair, or on the bridge. */
const hostEnds = ({ veth, bridge }: Link): readonly (AddressText | undefined)[] =>
  bridge === undefined
    ? [veth?.hostAddress, veth?.hostAddress6]
    : [...bridge.bridge.addresses, ...bridge.bridge.virtualAddresses]

const hasAny = (texts: readonly (AddressText | undefined)[], addr: Addr): boolean =>
  texts.some(text => text?.prefix !== undefined && sameAddr(text.prefix, addr))

/** A link whose packets leave the host with their private source address. */
export interface Untranslated {
  readonly link: Link
  readonly family: Family
}

/**
 * The links that send to the internet through the host and that NAT, though it is on, does not cover: one for each
 * bridge, and one for each container without a bridge. What a pattern in the other backend's spelling was meant to
 * cover, and NAT without any entry, are faults of their own.
 */
export const untranslated = function* (plan: Plan): Generator<Untranslated> {
  const { nat, enabled, wildcard } = plan.nat
  if (!enabled || nat === undefined || nat.partial) return
  if (nat.internalInterfaces.length + nat.internalIPs.length + nat.internalIPv6s.length === 0) return
  const foreign = wildcard === '+' ? '*' : '+'
  const names = nat.internalInterfaces.map(({ name }) => name)
  const meant = nameMatcher(
    names.filter(name => name.endsWith(foreign)),
    foreign
  )
  const told = new Set<string>()
  const settled = coveredBridges(plan, nat.enableIPv6)
  const isByHand = translatesByHand(plan.topology.host)
  for (const link of plan.links) {
    if (link.bridge !== undefined && settled.has(link.bridge)) continue
    const entry = link.bridgeName ?? link.hostIfname
    if (told.has(entry) || meant(entry)) continue
    const family = FAMILIES.find(
      family =>
        (family === 4 || nat.enableIPv6) &&
        !plan.nat.covers(link, family) &&
        leavesByHost(plan, link, family) &&
        !isByHand(link, family)
    )
    if (family === undefined) continue
    told.add(entry)
    yield { link, family }
  }
}

/** The bridges that are covered whoever is on them. */
const coveredBridges = ({ bridges, nat }: Plan, enableIPv6: boolean): ReadonlySet<BridgePlan> =>
  new Set(
    Array.from(bridges.values()).filter(
      ({ bridge }) =>
        nat.matches(bridge.name) || (bridge.masquerade[4] && (bridge.masquerade[6] || !enableIPv6))
    )
  )

/** An entry of internalInterfaces that is the name of nothing on the host. */
export interface StrayEntry {
  readonly entry: Named
  /** What was most likely meant. */
  readonly meant: Link | undefined
  /** Whether nothing else makes NAT cover what was meant. */
  readonly missed: boolean
}

/** For how many entries, and among how many names, the nearest one is looked for. */
const SOUGHT = 20
const COMPARED = 500

/** The entries, patterns apart, that no interface has; none where the rest of the network stands elsewhere. */
export const strayEntries = (plan: Plan): readonly StrayEntry[] => {
  const { nat, enabled } = plan.nat
  const { host, containers } = plan.topology
  if (!enabled || nat === undefined || nat.partial || host.partial) return []
  const exact = nat.internalInterfaces.filter(
    ({ name }) =>
      !plan.bridges.has(name) && !/^vb-|[+*]$/.test(name) && name.length <= IFNAME_MAX && name !== ''
  )
  if (exact.length === 0) return []
  const isKnown = knownInterface(plan)
  const strays = exact.filter(({ name }) => !isKnown(name))
  if (strays.length === 0) return []
  const named = new Map(containers.map(container => [container.name, container]))
  const missed = [...untranslated(plan)].map(({ link }) => link)
  const nameOf = ({ bridgeName, hostIfname }: Link): string => bridgeName ?? hostIfname
  const byName = (links: readonly Link[]): ReadonlyMap<string, Link> =>
    new Map(links.slice(0, COMPARED).map(link => [nameOf(link), link]))
  const [first, others] = [byName(missed), byName(plan.links.filter(({ veth }) => veth !== undefined))]
  // A name cut off at 15 bytes, as systemd-nspawn did before it put a hash there.
  const cutNames = new Map(
    missed
      .filter(({ bridgeName, node }) => bridgeName === undefined && node.name.length > IFNAME_MAX - 3)
      .map(link => [`ve-${link.node.name}`.slice(0, IFNAME_MAX), link])
  )
  const missedNames = new Set(missed.map(nameOf))
  const pairs = strays.filter(({ name }) => name.startsWith('ve-'))
  return strays.flatMap((entry, i) => {
    const { name } = entry
    const container = name.startsWith('ve-') ? named.get(name.slice(3)) : undefined
    if (container !== undefined) {
      const link = plan.linksOf.get(container)?.[0]
      // One that is off or without a pair will have it one day; that a bridge is missing is told at the bridge.
      if (!container.enabled || link?.bridgeName === undefined || missedNames.has(nameOf(link))) return []
      return [{ entry, meant: link, missed: false }]
    }
    const cut = cutNames.get(name)
    const near = (known: ReadonlyMap<string, Link>): Link | undefined =>
      i < SOUGHT ? known.get(misspelling(name, known.keys()) ?? '') : undefined
    const only = pairs.length === 1 && missed.length === 1 && pairs[0] === entry ? missed[0] : undefined
    const wanted = cut ?? near(first) ?? (only?.bridgeName === undefined ? only : undefined)
    return [{ entry, meant: wanted ?? near(others), missed: wanted !== undefined }]
  })
}

/** What is not translated because its entry is misspelt: that is told at the entry. */
export const misspelt = (plan: Plan): ReadonlySet<Link> =>
  new Set(strayEntries(plan).flatMap(({ meant, missed }) => (missed && meant !== undefined ? [meant] : [])))

/** The interfaces that lead outside as far as the file tells: those with DHCP, or with the router behind them. */
export const uplinks = ({ topology: { host, bridges } }: Plan): readonly string[] => {
  const gateways = [host.defaultGateway, host.defaultGateway6].filter(gateway => gateway !== undefined)
  const routers = gateways.filter(gateway => gateway.interface === undefined)
  const leads = ({ name, addresses }: Named & { readonly addresses: readonly AddressText[] }): boolean =>
    gateways.some(gateway => gateway.interface === name) ||
    addresses.some(({ prefix, bare }) =>
      routers.some(
        ({ address }) =>
          prefix !== undefined && !bare && address.prefix !== undefined && contains(prefix, address.prefix)
      )
    )
  const enslaved = new Set(
    [...bridges, ...host.bonds].flatMap(({ interfaces }) => interfaces.map(({ name }) => name))
  )
  return [
    ...host.configured.filter(card => (card.dhcp || leads(card)) && !enslaved.has(card.name)),
    ...bridges.filter(bridge => bridge.dhcp !== undefined || leads(bridge))
  ].map(({ name }) => name)
}
