import type { AddressText, Topology } from '../model/topology.ts'
import { type Addr, addrKey, type AddrKey, type Family, formatAddr, isLinkLocal6 } from '../net/addr.ts'
import { firstUsable, formatPrefix, lastUsable, masked, type Prefix } from '../net/prefix.ts'
import { addrsOf, type Space } from '../net/space.ts'
import { containerLinks, hostName, ignoredLinks } from './links.ts'
import type { AddressClaim, AddressTable, BridgePlan, Link, Plan } from './plan.ts'
import { usageOf } from './usage.ts'

type Owners = Map<AddrKey, AddressClaim | [AddressClaim, ...AddressClaim[]]>

/**
 * The bridge on which alone a link's addresses of a family must be unique. The host has one routing table, so whatever it
 * routes to shares one space; a bridge on which it has no address of that family is a network of its own.
 */
const apartOn = ({ bridgeName, bridge }: Link, family: Family): string | undefined => {
  for (const { prefix } of bridge?.subnets ?? []) if (prefix.family === family) return undefined
  return bridgeName
}

/**
 * What a link is, for addresses that are unique on it only: its bridge, the host's end of its pair, or what is next to a card
 * of the host. The host itself is not: its macvlans hear each other, but not their parent.
 */
const segmentOf = ({ bridgeName, hostIfname, ifname, at, node }: Link): string => {
  if (bridgeName !== undefined) return bridgeName
  if (hostIfname !== '') return hostIfname
  const entry = 'macvlans' in node ? node.macvlans.find(macvlan => macvlan.at === at) : undefined
  return entry === undefined ? `${ifname} of ${node.name}` : `macvlans of ${hostName(entry.name)}`
}

/** Everyone who has an address. The host comes first, then containers and machines in the file's order. */
export const addressTable = (
  topology: Topology,
  bridges: ReadonlyMap<string, BridgePlan>,
  { links, linksOf }: Pick<Plan, 'links' | 'linksOf'>
): AddressTable => {
  const shared: Readonly<Record<Family, Owners>> = { 4: new Map(), 6: new Map() }
  const apart = new Map<string, Owners>()
  const ownersOn = (bridge: string, family: Family): Owners => {
    const key = `${family} ${bridge}`
    const known: Owners = apart.get(key) ?? new Map()
    apart.set(key, known)
    return known
  }
  const claim = (
    text: AddressText,
    kind: AddressClaim['kind'],
    owner: string,
    on: Link | string,
    enabled = true
  ): void => {
    const { prefix } = text
    // Nobody can have the null address; networkd takes it for a wish.
    if (prefix === undefined || prefix.value === 0n) return
    const link = typeof on === 'string' ? undefined : on
    const bridge = link && apartOn(link, prefix.family)
    const table = isLinkLocal6(prefix)
      ? ownersOn(`link ${typeof on === 'string' ? on : segmentOf(on)}`, 6)
      : bridge === undefined
        ? shared[prefix.family]
        : ownersOn(bridge, prefix.family)
    const entry: AddressClaim = { at: text.at, addr: prefix, owner, kind, text, link, enabled }
    const key = addrKey(prefix)
    const others = table.get(key)
    if (others === undefined) table.set(key, entry)
    else if (Array.isArray(others)) others.push(entry)
    else table.set(key, [others, entry])
  }
  for (const { addresses, name } of topology.host.configured)
    for (const address of addresses) claim(address, 'host', `host interface "${name}"`, name)
  for (const { bridge } of bridges.values())
    for (const address of bridge.addresses) claim(address, 'host', `bridge "${bridge.name}"`, bridge.name)
  for (const address of topology.host.virtualAddresses) claim(address, 'virtual', 'the host', 'the host')
  for (const { virtualAddresses, name } of topology.bridges)
    for (const address of virtualAddresses) claim(address, 'virtual', `bridge "${name}"`, name)
  for (const { virtualAddresses, name } of topology.containers)
    for (const address of virtualAddresses) claim(address, 'virtual', `container "${name}"`, name)
  for (const link of links) {
    const owner = `${link.kind === 'tap' ? 'machine' : 'container'} "${link.node.name}"`
    for (const address of link.hostAddresses) claim(address, 'pair', owner, link)
    for (const address of link.addresses) claim(address, 'local', owner, link)
  }
  // A bridge inside is on the link of its port; one without is the container's alone.
  for (const container of topology.having.inside)
    for (const { interfaces, addresses } of container.inside.bridges) {
      const link = linksOf
        .get(container)
        ?.find(({ ifname }) => interfaces.some(({ name }) => name === ifname))
      if (link !== undefined)
        for (const address of addresses) claim(address, 'local', `container "${container.name}"`, link)
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
        for (const claims of table.values()) yield Array.isArray(claims) ? claims[0] : claims
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

/**
 * Lowest first and never one for two, so that following all of the advice at once makes no new collision; none that is a
 * router's, leased by DHCP or kept for others. Linear in all for any number of calls.
 */
export const freeAddressFinder = (plan: Plan): FreeAddress => {
  const searches = new Map<
    string,
    { readonly search: Iterator<Addr>; readonly given: Map<AddressText, Addr> }
  >()
  let spaces: ReadonlyMap<string, Space> | undefined
  const freeIn = (network: Prefix): Iterator<Addr> => {
    spaces ??= new Map(usageOf(plan).networks.map(({ prefix, free }) => [formatPrefix(prefix), free]))
    const space = spaces.get(formatPrefix(network))
    return space === undefined ? unowned(plan.addresses, network) : addrsOf(space)
  }
  return (prefix, instead) => {
    const network = masked(prefix)
    const key = formatPrefix(network)
    const known = searches.get(key) ?? { search: freeIn(network), given: new Map() }
    searches.set(key, known)
    const addr: Addr | undefined = (instead && known.given.get(instead)) ?? known.search.next().value
    if (instead && addr) known.given.set(instead, addr)
    return addr
  }
}

/** Of a network that is nobody's, or on every link: what nobody has on any. */
const unowned = function* (table: AddressTable, prefix: Prefix): Generator<Addr, undefined> {
  const { family } = prefix
  const end = lastUsable(prefix).value
  for (let { value } = firstUsable(prefix); value <= end; value += 1n) {
    const addr: Addr = { family, value }
    if (table.owners(addr) === undefined && table.apart(addr).length === 0) yield addr
  }
  return undefined
}
