import type { Family } from '../net/addr.ts'
import { bitsFor, contains, masked, overlaps, type Prefix, usable } from '../net/prefix.ts'
import { bitsForBlocks, type Need, pack, type Space, spaceOfPrefixes, subtract, vlsm } from '../net/space.ts'
import { byName } from '../text/order.ts'
import { OWN_POOL, SUBNET6 } from './allocate.ts'
import { FAMILIES, type Plan } from './plan.ts'
import { type NetworkUsage, usageOf } from './usage.ts'

// Will so many more fit, and what would be the smallest plan?

/** So many more hosts on a bridge: of the file, or a new one. */
export interface Ask {
  readonly bridge: string
  readonly more: number
}

/** `+12:br0`; undefined where the text is none. */
export const parseAsk = (text: string): Ask | undefined => {
  const [, count = '', bridge = ''] = /^\+?(\d{1,9}):(.+)$/.exec(text) ?? []
  return bridge === '' ? undefined : { bridge, more: Number(count) }
}

/** Whether a network has room for more, and if not, what would. */
export interface Fit {
  readonly bridge: string
  readonly more: number
  readonly network: Prefix
  readonly usable: bigint
  readonly used: bigint
  readonly free: bigint
  readonly fits: boolean
  /** The narrowest network with room for all, in the place of this one; undefined where it fits as it is. */
  readonly wider: Prefix | undefined
  /** Who else is in the way of that, and would have to move. */
  readonly inTheWay: readonly { readonly name: string; readonly prefix: Prefix }[]
  /** A place in a pool where a network of that size is free. */
  readonly elsewhere: { readonly pool: string | undefined; readonly prefix: Prefix } | undefined
}

/** A network of the smallest plan. */
export interface Split {
  readonly name: string
  readonly hosts: bigint
  readonly prefix: Prefix | undefined
}

export interface Fits {
  readonly fits: readonly Fit[]
  /** The bridges that are asked for and not in the file. */
  readonly added: readonly Ask[]
  /** All bridges and the new ones, each as narrow as it can be, out of one pool. */
  readonly smallest: readonly {
    readonly family: Family
    readonly pool: Prefix
    readonly splits: readonly Split[]
    /** The prefix that would hold all of them. */
    readonly bits: number | undefined
  }[]
}

/** Answers for each ask, and the smallest plan for everything that is there and asked for. */
export const fitOf = (plan: Plan, asks: readonly Ask[]): Fits => {
  const usage = usageOf(plan)
  const more = new Map<string, number>()
  for (const { bridge, more: count } of asks) more.set(bridge, (more.get(bridge) ?? 0) + count)
  const networks = usage.networks.filter(({ bridge, subnet }) => bridge !== undefined && subnet !== undefined)
  const fits = networks.flatMap(network => {
    const count = more.get(network.ifname)
    return count === undefined ? [] : [fitIn(plan, networks, network, count)]
  })
  const known = new Set(plan.topology.bridges.map(({ name }) => name))
  const added = Array.from(more, ([bridge, count]) => ({ bridge, more: count })).filter(
    ({ bridge }) => !known.has(bridge)
  )
  return {
    fits,
    added,
    smallest: FAMILIES.flatMap(family => {
      const needs: Need[] = networks
        .filter(({ prefix, subnet }) => prefix.family === family && subnet !== undefined)
        .map(network => ({
          name: network.ifname,
          hosts: hostsIn(network) + BigInt(more.get(network.ifname) ?? 0)
        }))
      // The bridge itself is a host as well; nobody has asked for IPv6 on it.
      if (family === 4)
        needs.push(...added.map(({ bridge, more: count }) => ({ name: bridge, hosts: BigInt(count) + 1n })))
      if (needs.length === 0) return []
      const pool = poolOf(plan, family, networks)
      const outside = avoided(plan, family, networks)
      const bitsOf = ({ hosts }: Need): number | undefined =>
        family === 4 ? bitsFor(4, hosts) : Math.min(SUBNET6, bitsFor(6, hosts) ?? 0)
      const { placed, unplaced } = pack(pool, outside, byName(needs), bitsOf)
      return [
        {
          family,
          pool,
          splits: [
            ...placed.map(({ item, prefix }) => ({ ...item, prefix })),
            ...unplaced.map(item => ({ ...item, prefix: undefined }))
          ],
          bits: bitsForBlocks(
            family,
            needs.flatMap(need => bitsOf(need) ?? [])
          )
        }
      ]
    })
  }
}

/** How many want to be in a network; `wanted` is at least two, so that a network of a bridge alone has room. */
const hostsIn = ({ wanted, subnet }: NetworkUsage): bigint =>
  wanted > 2n ? wanted : (subnet?.needed ?? wanted)

const fitIn = (plan: Plan, networks: readonly NetworkUsage[], network: NetworkUsage, more: number): Fit => {
  const { ifname, prefix, usable: room, room: free } = network
  const used = hostsIn(network)
  const { family } = prefix
  const fits = free >= BigInt(more)
  const bits = bitsFor(family, used + BigInt(more))
  const wider = fits || bits === undefined ? undefined : masked({ ...prefix, bits })
  const others = networks.filter(other => other.prefix.family === family && other.ifname !== ifname)
  const reserved = plan.topology.reserved.flatMap(({ prefix: text, for: owner }) =>
    text.prefix === undefined ? [] : [{ name: owner ?? 'reserved space', prefix: masked(text.prefix) }]
  )
  const inTheWay =
    wider === undefined
      ? []
      : [...others.map(other => ({ name: other.ifname, prefix: other.prefix })), ...reserved].filter(
          other =>
            other.prefix.family === family && overlaps(other.prefix, wider) && !contains(other.prefix, prefix)
        )
  return {
    bridge: ifname,
    more,
    network: prefix,
    usable: room,
    used,
    free,
    fits,
    wider,
    inTheWay,
    elsewhere: wider === undefined || inTheWay.length === 0 ? undefined : place(plan, networks, wider)
  }
}

/** Where a pool has a network of that size. */
const place = (plan: Plan, networks: readonly NetworkUsage[], { family, bits }: Prefix): Fit['elsewhere'] => {
  const own = [...networks.map(({ prefix }) => prefix), ...reservedOf(plan)]
  const taken = spaceOfPrefixes(family, own)
  for (const { name, prefix } of poolsOf(plan, family)) {
    const { placed } = vlsm(prefix, taken, [{ name: '', hosts: usable(family, bits) }])
    const [found] = placed
    if (found !== undefined) return { pool: name, prefix: found.prefix }
  }
  return undefined
}

const poolsOf = (
  { topology }: Plan,
  family: Family
): readonly { readonly name: string | undefined; readonly prefix: Prefix }[] => {
  const written = topology.pools.flatMap(({ name, prefix }) =>
    prefix?.prefix?.family === family ? [{ name, prefix: masked(prefix.prefix) }] : []
  )
  return written.length > 0 || family === 6 ? written : [{ name: undefined, prefix: OWN_POOL }]
}

const reservedOf = ({ topology }: Plan): readonly Prefix[] =>
  topology.reserved.flatMap(({ prefix }) => (prefix.prefix === undefined ? [] : [masked(prefix.prefix)]))

/** The pool of the smallest plan: the first of the file, else a network around what is there. */
const poolOf = (plan: Plan, family: Family, networks: readonly NetworkUsage[]): Prefix => {
  const [first] = poolsOf(plan, family)
  if (first !== undefined) return first.prefix
  const own = networks.find(({ prefix }) => prefix.family === family)?.prefix
  return own === undefined ? OWN_POOL : masked({ ...own, bits: Math.min(own.bits, 48) })
}

/** What the smallest plan has to avoid: what others own. The bridges' own networks are what it is about. */
const avoided = (plan: Plan, family: Family, networks: readonly NetworkUsage[]): Space => {
  const bridges = spaceOfPrefixes(
    family,
    networks.map(({ prefix }) => prefix)
  )
  return subtract(spaceOfPrefixes(family, reservedOf(plan)), bridges)
}
