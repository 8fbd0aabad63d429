import type { AddressText } from '../model/topology.ts'
import { type Addr, addressAfter, formatAddr, isLinkLocal6, width } from '../net/addr.ts'
import { contains, first, formatPrefix, lastUsable, masked, type Prefix } from '../net/prefix.ts'
import type { Path } from '../text/path.ts'
import type { Plan } from './plan.ts'

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
  const taken = new Set<string>()
  const known = new Map<string, Map<string | undefined, OutsideAddress>>()
  const free = freeIn(taken)
  const hosts = plans.map((plan, file) => ({
    plan,
    all: plan === undefined ? [] : outsideAddresses(plan, file)
  }))
  for (const { all } of hosts) for (const { addr } of all) taken.add(formatAddr(addr))
  return hosts.map(({ plan, all }) => {
    if (plan === undefined) return ALONE
    const clashes: Clash[] = []
    const reserved = plan.topology.reserved.flatMap(({ prefix: { prefix } }) => prefix ?? [])
    for (const own of all) {
      const lans = [own.network, ...reserved.filter(prefix => contains(prefix, own.addr))]
      const other =
        (own.site === undefined ? undefined : known.get(`site ${formatAddr(own.addr)}`)?.get(own.site)) ??
        lans.map(lan => neighbour(known.get(keyOf(lan, own.addr)), own)).find(found => found !== undefined)
      if (other !== undefined)
        clashes.push({
          own,
          other,
          by:
            own.site !== undefined && own.site === other.site ? { site: own.site } : { network: own.network },
          free: () => free(own.network)
        })
      if (own.site !== undefined) remember(known, `site ${formatAddr(own.addr)}`, own)
      for (const lan of lans) remember(known, keyOf(lan, own.addr), own)
    }
    return { clashes }
  })
}

const keyOf = (lan: Prefix, addr: Addr): string => `${formatPrefix(masked(lan))} ${formatAddr(addr)}`

const remember = (
  known: Map<string, Map<string | undefined, OutsideAddress>>,
  key: string,
  own: OutsideAddress
): void => {
  const bySite = known.get(key) ?? new Map<string | undefined, OutsideAddress>()
  known.set(key, bySite)
  if (!bySite.has(own.site)) bySite.set(own.site, own)
}

/** The first of another file with the address whose site is not a different one. */
const neighbour = (
  bySite: ReadonlyMap<string | undefined, OutsideAddress> | undefined,
  { file, site }: OutsideAddress
): OutsideAddress | undefined => {
  const candidates = site === undefined ? bySite?.values() : [bySite?.get(site), bySite?.get(undefined)]
  for (const other of candidates ?? []) if (other !== undefined && other.file !== file) return other
  return undefined
}

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

/** How many addresses of a network are looked at for advice. */
const TRIES = 5000

/** Finds an address of a network that no file has; each one is given once. */
const freeIn =
  (taken: Set<string>) =>
  (network: Prefix): Addr | undefined => {
    const end = lastUsable(network).value
    let candidate: Addr = addressAfter(first(network), 10n)
    for (let tries = 0; tries < TRIES && candidate.value <= end; tries += 1) {
      const key = formatAddr(candidate)
      if (!taken.has(key)) {
        taken.add(key)
        return candidate
      }
      candidate = addressAfter(candidate, 1n)
    }
    return undefined
  }
