import type { AddressText } from '../model/topology.ts'
import { type Addr, formatAddr, isLinkLocal6, width } from '../net/addr.ts'
import { contains, formatPrefix, masked, overlaps, type Prefix } from '../net/prefix.ts'
import { addrsOf, freeHosts, spaceOfPrefixes, spaceOfRanges, subtract } from '../net/space.ts'
import type { Path } from '../text/path.ts'
import type { Plan } from './plan.ts'
import { type NetworkUsage, usageOf } from './usage.ts'

/** An address that a host shows to a network outside of it. */
export interface OutsideAddress {
  /** Which of the files that are checked together it stands in. */
  readonly file: number
  readonly at: Path
  readonly addr: Addr
  readonly network: Prefix
  /** In words: `container "web"`, `bridge "br0"`. */
  readonly owner: string
  readonly site: string | undefined
}

/** An address that another host of the same LAN has too. */
export interface Clash {
  readonly own: OutsideAddress
  readonly other: OutsideAddress
  /** What makes the two hosts neighbours: the site's name, or the network that both are in. */
  readonly by: { readonly site: string } | { readonly network: Prefix }
  /** An address of the network that no file has; undefined when none was found. */
  readonly free: () => Addr | undefined
}

/** What one host has to know of the others that are checked in the same call. */
export interface HostInSite {
  readonly clashes: readonly Clash[]
}

/** A host alone: what most calls are about. */
export const ALONE: HostInSite = { clashes: [] }

/**
 * The hosts of one call. Two of them are neighbours when they name the same `site`; where not both name one, when they
 * are in the same network or reserve the same. Hosts that name different sites never are.
 */
export const siteOf = (plans: readonly (Plan | undefined)[]): readonly HostInSite[] => {
  const sites = new Map<string, OutsideAddress>()
  const lans = new Map<string, Map<string | undefined, OutsideAddress>>()
  const free = freeIn(plans.flatMap(plan => plan ?? []))
  return plans.map((plan, file) => {
    if (plan === undefined) return ALONE
    const clashes: Clash[] = []
    const reserved = plan.topology.reserved.flatMap(({ prefix: { prefix } }) => prefix ?? [])
    // A file has each address once, so whoever is known already is of another one.
    for (const own of outsideAddresses(plan, file)) {
      const { addr, site, network } = own
      const add = (other: OutsideAddress, by: Clash['by']): void => {
        clashes.push({ own, other, by, free: () => free(network) })
      }
      const around = [network, ...reserved.filter(prefix => contains(prefix, addr))].map(masked)
      const inSite = site === undefined ? undefined : sites.get(`${formatAddr(addr)} ${site}`)
      if (site !== undefined && inSite !== undefined) add(inSite, { site })
      else
        for (const lan of around) {
          const bySite = lans.get(keyOf(lan, addr))
          // Of those that name a site, the same one has been asked.
          const other = site === undefined ? bySite?.values().next().value : bySite?.get(undefined)
          if (other === undefined) continue
          add(other, { network: lan })
          break
        }
      if (site !== undefined) sites.set(`${formatAddr(addr)} ${site}`, inSite ?? own)
      for (const lan of around) {
        const key = keyOf(lan, addr)
        const bySite = lans.get(key) ?? new Map<string | undefined, OutsideAddress>()
        lans.set(key, bySite)
        if (!bySite.has(site)) bySite.set(site, own)
      }
    }
    return { clashes }
  })
}

const keyOf = (lan: Prefix, addr: Addr): string => `${formatPrefix(lan)} ${formatAddr(addr)}`

/** Interfaces whose networks end at the machine. */
const INWARD = /^(?:lo$|dummy|docker|virbr|podman|lxdbr|incusbr|cni|ve-|vb-|veth)/

/** What a host shows to the networks outside: addresses of its own interfaces, and all that is on a bridge with a port to outside. */
const outsideAddresses = (plan: Plan, file: number): readonly OutsideAddress[] => {
  const { topology } = plan
  const site = topology.site?.name
  const found = new Map<string, OutsideAddress>()
  const virtual = new Set(
    [topology.host, ...topology.bridges, ...topology.containers].flatMap(({ virtualAddresses }) =>
      virtualAddresses.flatMap(({ prefix }) => (prefix === undefined ? [] : [formatAddr(prefix)]))
    )
  )
  const add = ({ prefix, at }: AddressText, owner: string, home: Prefix | undefined): void => {
    if (prefix === undefined) return
    const key = formatAddr(prefix)
    // An address that moves between hosts is on several of them on purpose; link-local ones count on their link only.
    if (virtual.has(key) || found.has(key) || isLinkLocal6(prefix)) return
    const alone = prefix.bits === width(prefix.family)
    found.set(key, {
      file,
      at,
      addr: prefix,
      network: masked(alone ? (home ?? prefix) : prefix),
      owner,
      site
    })
  }
  for (const { name, addresses } of topology.host.configured)
    if (!INWARD.test(name))
      for (const address of addresses) add(address, `host interface "${name}"`, undefined)
  for (const { bridge, open, members, subnets } of plan.bridges.values()) {
    if (!open) continue
    for (const address of bridge.addresses) add(address, `bridge "${bridge.name}"`, undefined)
    for (const { node, kind, addresses } of members)
      for (const address of addresses) {
        const home = subnets.find(
          ({ prefix }) => address.prefix !== undefined && contains(prefix, address.prefix)
        )
        add(address, `${kind === 'tap' ? 'machine' : 'container'} "${node.name}"`, home?.prefix)
      }
  }
  for (const { node, kind, addresses } of plan.links)
    if (kind === 'macvlan' || kind === 'moved')
      for (const address of addresses) add(address, `container "${node.name}"`, undefined)
  return [...found.values()]
}

/** The lowest addresses of a network, which people give to routers and the like. */
const LOW = 10n

/** Finds an address of a network that no file has, or keeps for somebody else; each one is given once. */
const freeIn = (plans: readonly Plan[]): ((network: Prefix) => Addr | undefined) => {
  const given = new Set<string>()
  const searches = new Map<string, Iterator<Addr>>()
  let usages: readonly NetworkUsage[] | undefined
  const freeAddresses = function* (network: Prefix): Generator<Addr, undefined> {
    usages ??= plans.flatMap(plan => usageOf(plan).networks)
    const { family, value } = network
    let space = freeHosts(network, spaceOfRanges(family, [{ first: value, last: value + LOW - 1n }]))
    for (const { prefix, free } of usages)
      if (overlaps(prefix, network))
        space = subtract(space, subtract(spaceOfPrefixes(family, [prefix]), free))
    for (const addr of addrsOf(space)) {
      const key = formatAddr(addr)
      if (given.has(key) || plans.some(({ addresses }) => addresses.owners(addr) !== undefined)) continue
      given.add(key)
      yield addr
    }
    return undefined
  }
  return network => {
    const key = formatPrefix(network)
    const search = searches.get(key) ?? freeAddresses(network)
    searches.set(key, search)
    return search.next().value
  }
}
