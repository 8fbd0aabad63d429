import { type Family, width } from '../net/addr.ts'
import type { Exclusion } from '../model/topology.ts'
import { bitsFor, masked, overlaps, type Prefix } from '../net/prefix.ts'
import {
  bestBlock,
  bitsForBlocks,
  free,
  type Need,
  pack,
  type Space,
  spaceOfPrefixes,
  spaceOfRanges,
  subtract,
  union
} from '../net/space.ts'
import { specialBlock } from '../net/special.ts'
import { byName } from '../text/order.ts'
import { IMPERATIVE, OWN_POOL, SUBNET6 } from './allocate.ts'
import { FAMILIES, type Plan } from './plan.ts'
import { type NetworkUsage, type Occupant, type Usage, usageOf, withheldFrom } from './usage.ts'

// Will so many more fit, and what would be the smallest plan?

/** So many more hosts on a bridge: of the file, or a new one. */
export interface Ask {
  readonly bridge: string
  readonly more: number
}

/** `+12:br0`; undefined where the text is none. */
export const parseAsk = (text: string): Ask | undefined => {
  const [, count, bridge] = /^\+?(\d{1,9}):(.+)$/.exec(text) ?? []
  return bridge === undefined ? undefined : { bridge, more: Number(count) }
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
  /** Whether machines that the file does not describe may have addresses in it. */
  readonly open: boolean
  /** The narrowest network with room for all, in the place of this one; undefined where it fits as it is. */
  readonly wider: Prefix | undefined
  /** Whether that reaches beyond the private space that this one lies in. */
  readonly beyond: boolean
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
  /** The bridges that are asked for and have no network yet, or are not in the file. */
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
  const networks = usage.networks.filter(({ bridge }) => bridge !== undefined)
  const fits = networks.flatMap(network => {
    const count = more.get(network.ifname)
    return count === undefined ? [] : [fitIn(plan, usage, network, count)]
  })
  const known = new Set(networks.map(({ ifname }) => ifname))
  const added = Array.from(more, ([bridge, count]) => ({ bridge, more: count })).filter(
    ({ bridge }) => !known.has(bridge)
  )
  return {
    fits,
    added,
    smallest: FAMILIES.flatMap(family => {
      // Nobody knows how many are in a network that leads outside, and who moves with it.
      const ours = networks.filter(({ prefix, open }) => prefix.family === family && !open)
      const needs: Need[] = ours.map(network => ({
        name: network.ifname,
        hosts: hostsIn(network) + BigInt(more.get(network.ifname) ?? 0)
      }))
      // The bridge itself is a host as well; nobody has asked for IPv6 on it.
      if (family === 4)
        needs.push(...added.map(({ bridge, more: count }) => ({ name: bridge, hosts: BigInt(count) + 1n })))
      const pool = needs.length === 0 ? undefined : poolOf(plan, family, ours)
      if (pool === undefined) return []
      const outside = avoided(usage, networks, pool, excludedIn(plan))
      const bitsOf = ({ hosts }: Need): number | undefined =>
        family === 4 ? bitsFor(4, hosts) : Math.min(SUBNET6, bitsFor(6, hosts) ?? 0)
      const lengths = needs.flatMap(need => bitsOf(need) ?? [])
      const { placed, unplaced } = pack(pool, outside, byName(needs), bitsOf)
      return [
        {
          family,
          pool,
          splits: [
            ...placed.map(({ item, prefix }) => ({ ...item, prefix })),
            ...unplaced.map(item => ({ ...item, prefix: undefined }))
          ],
          bits: lengths.length < needs.length ? undefined : bitsForBlocks(family, lengths)
        }
      ]
    })
  }
}

/** How many want to be in a network. */
const hostsIn = ({ used, waiting, leased }: NetworkUsage): bigint => used + waiting + leased

const fitIn = (plan: Plan, usage: Usage, network: NetworkUsage, more: number): Fit => {
  const { ifname, prefix, usable: room, room: free, open } = network
  const { family } = prefix
  const fits = free >= BigInt(more)
  // What is kept for others in it is kept in a wider one as well.
  const bits = bitsFor(family, network.used + network.waiting + network.withheld + BigInt(more))
  const wider = fits || bits === undefined ? undefined : masked({ ...prefix, bits })
  return {
    bridge: ifname,
    more,
    network: prefix,
    usable: room,
    used: hostsIn(network),
    free,
    fits,
    open,
    wider,
    ...(wider === undefined ? STAYS : widening(plan, usage, network, wider))
  }
}

const STAYS = { beyond: false, inTheWay: [], elsewhere: undefined }

const widening = (
  plan: Plan,
  usage: Usage,
  { ifname, prefix }: NetworkUsage,
  wider: Prefix
): Pick<Fit, 'beyond' | 'inTheWay' | 'elsewhere'> => {
  const beyond = !isPrivate(wider)
  const inTheWay = othersIn(wider, prefix, usage)
  const isFree = inTheWay.length === 0 && !beyond
  return { beyond, inTheWay, elsewhere: isFree ? undefined : place(plan, usage, ifname, wider) }
}

const isPrivate = (prefix: Prefix): boolean => {
  const block = specialBlock(prefix)
  return block?.use === 'fine' && block.prefix.bits <= prefix.bits
}

/** Who has something in a wider network, and not within the present one. */
const othersIn = (wider: Prefix, own: Prefix, { occupied }: Usage): Fit['inTheWay'] =>
  [
    { prefix: IMPERATIVE, by: 'the nixos-container command', kind: 'other' },
    ...occupied.occupants[own.family]
  ].flatMap(({ prefix, by, kind }) =>
    overlaps(prefix, wider) &&
    !overlaps(prefix, own) &&
    // The host's addresses in a network are told with it.
    (kind !== 'network' || prefix.bits < width(prefix.family))
      ? [{ name: by, prefix }]
      : []
  )

/** Where a pool has a network of that size. */
const place = (
  plan: Plan,
  { occupied }: Usage,
  bridge: string,
  { family, bits }: Prefix
): Fit['elsewhere'] => {
  const excluded = excludedIn(plan)
  const pools = poolsOf(plan, family)
  const named = pools.filter(({ name }) => name === bridge)
  for (const { name, prefix } of named.length > 0 ? named : pools) {
    const found = bestBlock(
      subtract(free(prefix, occupied.taken[family]), withheldFrom(prefix, excluded)),
      bits
    )
    if (found !== undefined) return { pool: name, prefix: found }
  }
  return undefined
}

const excludedIn = ({ topology }: Plan): readonly Exclusion[] =>
  topology.pools.flatMap(({ exclude }) => exclude)

const poolsOf = (
  { topology }: Plan,
  family: Family
): readonly { readonly name: string | undefined; readonly prefix: Prefix }[] => {
  const written = topology.pools.flatMap(({ name, prefix }) =>
    prefix?.prefix?.family === family ? [{ name, prefix: masked(prefix.prefix) }] : []
  )
  return written.length > 0 || family === 6 ? written : [{ name: undefined, prefix: OWN_POOL }]
}

/** The pool of the smallest plan: the first of the file, else a network around what is there. */
const poolOf = (plan: Plan, family: Family, [own]: readonly NetworkUsage[]): Prefix | undefined =>
  poolsOf(plan, family)[0]?.prefix ?? (own && masked({ ...own.prefix, bits: Math.min(own.prefix.bits, 48) }))

/** What the smallest plan has to avoid: what others own. The bridges' own networks are what it is about. */
const avoided = (
  { occupied }: Usage,
  networks: readonly NetworkUsage[],
  pool: Prefix,
  excluded: readonly Exclusion[]
): Space => {
  const { family } = pool
  const kind = (kind: Occupant['kind']): Space =>
    spaceOfRanges(
      family,
      occupied.occupants[family].filter(occupant => occupant.kind === kind)
    )
  const of = (isOpen: boolean): Space =>
    spaceOfPrefixes(
      family,
      networks.filter(({ open }) => open === isOpen).map(({ prefix }) => prefix)
    )
  return [of(true), kind('other'), withheldFrom(pool, excluded)].reduce(
    union,
    subtract(kind('reserved'), of(false))
  )
}
