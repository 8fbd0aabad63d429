import type { AddressText, Topology } from '../model/topology.ts'
import { type Addr, addrKey, type AddrKey, type Family, formatAddr, isLinkLocal6 } from '../net/addr.ts'
import { firstUsable, formatPrefix, lastUsable, type Prefix } from '../net/prefix.ts'
import { containerLinks, ignoredLinks } from './links.ts'
import type { AddressClaim, AddressTable, BridgePlan, Link } from './plan.ts'

type Owners = Map<AddrKey, AddressClaim | AddressClaim[]>

/**
 * Whether a link's addresses of a family must be unique on its bridge only. The host has one routing table, so whatever
 * it routes to shares one space; a bridge on which it has no address of that family is a network of its own.
 */
const isApart = (link: Link, family: Family): boolean => {
  if (link.bridgeName === undefined) return false
  for (const { prefix } of link.bridge?.subnets ?? []) if (prefix.family === family) return false
  return true
}

/** What a link is, for addresses that are unique on it only: its bridge, the host's end of its pair, or itself. */
const linkOf = (link: Link | undefined): string =>
  link?.bridgeName ?? (link?.kind === 'veth' ? link.hostIfname : `${link?.ifname} of ${link?.node.name}`)

/** Everyone who has an address. The host comes first, then containers and machines in the file's order. */
export const addressTable = (
  topology: Topology,
  bridges: ReadonlyMap<string, BridgePlan>,
  links: readonly Link[]
): AddressTable => {
  const shared: Readonly<Record<Family, Owners>> = { 4: new Map(), 6: new Map() }
  const apart = new Map<string, Owners>()
  const ownersOn = (bridge: string, family: Family): Owners => {
    const key = `${family} ${bridge}`
    const known = apart.get(key) ?? new Map<AddrKey, AddressClaim | AddressClaim[]>()
    apart.set(key, known)
    return known
  }
  const claim = (
    text: AddressText,
    kind: AddressClaim['kind'],
    owner: string,
    link?: Link,
    enabled = true,
    ifname?: string
  ): void => {
    const { prefix } = text
    // Nobody can have the null address; networkd takes it for a wish.
    if (prefix === undefined || prefix.value === 0n) return
    const table = isLinkLocal6(prefix)
      ? ownersOn(`link ${ifname ?? linkOf(link)}`, 6)
      : kind === 'local' && link !== undefined && isApart(link, prefix.family)
        ? ownersOn(link.bridgeName ?? '', prefix.family)
        : shared[prefix.family]
    const entry: AddressClaim = { at: text.at, addr: prefix, owner, kind, text, link, enabled }
    const key = addrKey(prefix)
    const others = table.get(key)
    if (others === undefined) table.set(key, entry)
    else if (Array.isArray(others)) others.push(entry)
    else table.set(key, [others, entry])
  }
  for (const { addresses, name } of topology.host.configured)
    for (const address of addresses) claim(address, 'host', `host interface "${name}"`, undefined, true, name)
  for (const { bridge } of bridges.values())
    for (const address of bridge.addresses)
      claim(address, 'host', `bridge "${bridge.name}"`, undefined, true, bridge.name)
  for (const { virtualAddresses, name } of [
    { ...topology.host, name: 'the host' },
    ...topology.bridges,
    ...topology.containers
  ])
    for (const address of virtualAddresses) claim(address, 'virtual', name, undefined, true, name)
  for (const link of links) {
    const owner = `${link.kind === 'tap' ? 'machine' : 'container'} "${link.node.name}"`
    for (const address of link.hostAddresses) claim(address, 'pair', owner, link)
    for (const address of link.addresses) claim(address, 'local', owner, link)
  }
  for (const container of topology.containers) {
    // What is switched off, or ignored for want of privateNetwork, collides once it is not.
    if (container.enabled && (container.privateNetwork || container.networkNamespace)) continue
    const links = container.enabled ? ignoredLinks(container, bridges) : containerLinks(container, bridges)
    for (const link of links)
      for (const address of link.addresses)
        claim(address, 'local', `container "${container.name}"`, link, false)
  }
  let everywhere: ReadonlyMap<string, readonly AddressClaim[]> | undefined
  return {
    apart: addr => (everywhere ??= merged(apart.values())).get(formatAddr(addr)) ?? [],
    owners: addr => {
      const found = shared[addr.family].get(addrKey(addr))
      return found === undefined || Array.isArray(found) ? found : [found]
    },
    each: function* () {
      for (const table of [shared[4], shared[6], ...apart.values()])
        for (const claims of table.values()) {
          const first = Array.isArray(claims) ? claims[0] : claims
          if (first !== undefined) yield first
        }
    },
    shared: function* () {
      for (const table of [shared[4], shared[6], ...apart.values()])
        for (const claims of table.values()) if (Array.isArray(claims)) yield claims
    }
  }
}

const merged = (tables: Iterable<Owners>): ReadonlyMap<string, readonly AddressClaim[]> => {
  const all = new Map<string, AddressClaim[]>()
  for (const table of tables)
    for (const claims of table.values())
      for (const claim of Array.isArray(claims) ? claims : [claims]) {
        const key = formatAddr(claim.addr)
        const known = all.get(key)
        if (known === undefined) all.set(key, [claim])
        else known.push(claim)
      }
  return all
}

/** A free address of a network: another one at each call, but always the same `instead` of one address of the file. Undefined when none is left. */
export type FreeAddress = (prefix: Prefix, instead?: AddressText) => Addr | undefined

/** How many taken addresses are passed over before a subnet counts as full for advice. */
const TRIES = 70_000

/**
 * Lowest first and never one for two, so that following all of the advice at once makes no new collision. Linear in all for
 * any number of calls.
 */
export const freeAddressFinder = (table: AddressTable): FreeAddress => {
  const searches = new Map<
    string,
    { readonly search: Iterator<Addr>; readonly given: Map<AddressText, Addr> }
  >()
  return (prefix, instead) => {
    const key = formatPrefix(prefix)
    const known = searches.get(key) ?? { search: freeAddresses(table, prefix), given: new Map() }
    searches.set(key, known)
    const addr: Addr | undefined =
      (instead === undefined ? undefined : known.given.get(instead)) ?? known.search.next().value
    if (instead !== undefined && addr !== undefined) known.given.set(instead, addr)
    return addr
  }
}

const freeAddresses = function* (table: AddressTable, prefix: Prefix): Generator<Addr, undefined> {
  const end = lastUsable(prefix).value
  let { family, value } = firstUsable(prefix)
  for (let tries = 0; tries < TRIES && value <= end; tries += 1) {
    if (table.owners({ family, value }) === undefined) yield { family, value }
    value += 1n
  }
  return undefined
}
