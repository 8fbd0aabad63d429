import type { Container, Vm } from '../model/topology.ts'
import { type Addr, addressAfter, type Family, formatAddr, isLinkLocal6, sameAddr } from '../net/addr.ts'
import { first, formatPrefix, last, masked, type Prefix, size } from '../net/prefix.ts'
import { overlapping } from '../net/set.ts'
import { type SpecialBlock, specialBlock } from '../net/special.ts'
import type { Link, Plan } from '../plan/plan.ts'
import { answersForOthers } from '../plan/proxies.ts'
import type { Problem } from '../findings/finding.ts'
import type { Path } from '../text/path.ts'
import type { Rule } from './rule.ts'

/** A26 within the topology: bridges, host interfaces and reserved space of one host, and the interfaces of one container. */
export const subnetOverlap: Rule = {
  id: 'subnet-overlap',
  group: 'bridges',
  severity: 'error',
  summary: 'Two networks of one machine share addresses.',
  *check(plan) {
    // The link-local network is on every link.
    const networks = [...hostNetworks(plan)].filter(({ prefix }) => !isLinkLocal6(prefix))
    const mend = adviser(plan, networks)
    const answers = answersForOthers(plan)
    for (const { outer, inner } of overlapping(networks, ({ prefix }) => prefix)) {
      // With proxy ARP the host answers for a pair in the network of its neighbours.
      if (inner.kind === 'pair' && answers(outer.ifname, inner.prefix.family)) continue
      const problem = between(outer, inner, mend)
      if (problem !== undefined) yield problem
    }
    for (const [node, links] of plan.linksOf) if (links.length > 1) yield* insideOne(node, links)
  }
}

interface Network {
  readonly at: Path
  readonly prefix: Prefix
  readonly kind: 'bridge' | 'interface' | 'reserved' | 'pair'
  readonly owner: string
  /** The interface of the host that leads into it; empty where the file has none. */
  readonly ifname: string
  /** The address that makes it. */
  readonly own: Prefix
  /** The network belongs to somebody outside, and this is a way into it: overlaps with its reservation are meant. */
  readonly open: boolean
}

/** What is reserved stands first: of equal networks the host's own way into one explains more than its reservation. */
const hostNetworks = function* ({ topology, bridges, pairs }: Plan): Generator<Network> {
  for (const {
    at,
    prefix: { prefix },
    for: owner = 'somebody else'
  } of topology.reserved)
    if (prefix !== undefined)
      yield {
        at: [...at, 'prefix'],
        prefix: masked(prefix),
        kind: 'reserved',
        owner,
        ifname: '',
        own: prefix,
        open: true
      }
  for (const { name, addresses } of topology.host.configured)
    for (const { at, prefix, bare } of addresses)
      if (prefix !== undefined && !bare && !isHostRoute(prefix))
        yield {
          at,
          prefix: masked(prefix),
          kind: 'interface',
          owner: `"${name}"`,
          ifname: name,
          own: prefix,
          open: true
        }
  for (const { subnets, open } of bridges.values())
    for (const { address, prefix, bridge } of subnets)
      yield {
        at: address.at,
        prefix,
        kind: 'bridge',
        owner: `"${bridge.name}"`,
        ifname: bridge.name,
        own: address.prefix ?? prefix,
        open
      }
  for (const { addresses, node, hostIfname } of pairs)
    for (const { at, prefix } of addresses)
      if (prefix !== undefined && isHostRoute(prefix))
        yield {
          at,
          prefix,
          kind: 'pair',
          owner: `container "${node.name}"`,
          ifname: hostIfname,
          own: prefix,
          open: false
        }
}

const isHostRoute = ({ family, bits }: Prefix): boolean => bits === (family === 4 ? 32 : 128)

const isOutside = ({ kind }: Network): boolean => kind === 'reserved' || kind === 'interface'

const between = (outer: Network, inner: Network, mend: Mend): Problem | undefined => {
  // A machine may have many addresses of the LAN, and equal addresses are told as such.
  if ((isOutside(outer) && isOutside(inner)) || (outer.kind === 'pair' && inner.kind === 'pair'))
    return undefined
  // Several addresses of one network on one interface are an ordinary thing.
  if (outer.ifname === inner.ifname) return undefined
  const [other, ours] = isOutside(inner) ? [inner, outer] : [outer, inner]
  if (other.kind === 'reserved') return ours.open ? undefined : inReserved(other, ours, mend)
  if (ours.kind === 'pair')
    return other.kind === 'bridge' ? pairInBridge(other, ours) : pairInLan(other, ours)
  if (sameAddr(ours.own, other.own)) return undefined
  return {
    message: `subnet ${formatPrefix(ours.prefix)} of ${ours.owner} overlaps ${formatPrefix(other.prefix)} of ${other.owner}`,
    labels: [
      { at: ours.at, text: 'shares addresses' },
      { at: other.at, text: `with ${other.owner}` }
    ],
    note: 'for a shared address the host knows one way, to the narrower network or else to the one set first; who has such an address on the other side gets no answer',
    help: mend(ours, other)
  }
}

const inReserved = (reserved: Network, ours: Network, mend: Mend): Problem => ({
  message: `${ours.kind === 'pair' ? formatAddr(ours.own) : `subnet ${formatPrefix(ours.prefix)}`} of ${ours.owner} ${ours.prefix.bits < reserved.prefix.bits ? 'overlaps' : 'lies in'} ${formatPrefix(reserved.prefix)}, reserved for ${reserved.owner}`,
  labels: [
    { at: ours.at, text: 'shares addresses' },
    { at: reserved.at, text: `with ${reserved.owner}` }
  ],
  note: 'whichever route is narrower wins: either the container or the one it is reserved for cannot be reached',
  help: mend(ours, reserved),
  ...(ours.kind === 'pair' ? { severity: 'warning' as const } : {})
})

type Mend = (wrong: Network, other: Network) => string

/** Names a network of the same size that nobody in the file touches, another one at each call. */
const adviser = (plan: Plan, networks: readonly Network[]): Mend => {
  let nextFree: ReturnType<typeof freeNetworkFinder> | undefined
  return (wrong, other) => {
    const isPair = wrong.kind === 'pair'
    const general = `give ${wrong.owner} ${isPair ? 'an address' : 'a subnet'} outside ${formatPrefix(other.prefix)}`
    if (isPair) return general
    nextFree ??= freeNetworkFinder([...networks.map(({ prefix }) => prefix), ...elsewhere(plan)])
    const free = nextFree(wrong.prefix, other.prefix)
    if (free === undefined) return general
    return `${general}, such as ${formatAddr(addressAfter(free, wrong.own.value - wrong.prefix.value))}/${wrong.prefix.bits}`
  }
}

/** The networks in the file that the host has no address in: those of containers among themselves, and those behind routers. */
const elsewhere = ({ topology: { host, bridges }, links }: Plan): readonly Prefix[] =>
  [
    ...links.flatMap(({ addresses }) => addresses),
    ...[...host.interfaces, ...bridges].flatMap(({ routes }) => routes.map(({ destination }) => destination))
  ].flatMap(({ prefix }) => (prefix === undefined || prefix.bits === 0 ? [] : [prefix]))

/** The next network as large as one and after another that touches none of those taken, within the same private space. */
const freeNetworkFinder = (taken: readonly Prefix[]): ((like: Prefix, after: Prefix) => Addr | undefined) => {
  const ranges = { 4: union(taken, 4), 6: union(taken, 6) }
  const given = new Map<SpecialBlock, bigint>()
  return (like, after) => {
    const block = specialBlock(like)
    if (block?.use !== 'fine') return undefined
    const { family } = like
    const step = size(family, like.bits)
    const end = last(block.prefix).value
    const start = [last(like).value, last(after).value, given.get(block) ?? 0n].reduce((a, b) =>
      a > b ? a : b
    )
    let low = (start / step + 1n) * step
    while (low + step - 1n <= end) {
      const hit = lastBelow(ranges[family], low + step)
      if (hit === undefined || hit.high < low) {
        given.set(block, low + step - 1n)
        return { family, value: low }
      }
      low = (hit.high / step + 1n) * step
    }
    return undefined
  }
}

interface Range {
  readonly low: bigint
  readonly high: bigint
}

/** The addresses of the prefixes as ranges that are apart, lowest first. */
const union = (prefixes: readonly Prefix[], family: Family): readonly Range[] => {
  const ranges: Range[] = []
  for (const { prefix } of prefixes
    .filter(prefix => prefix.family === family)
    .map(prefix => ({ prefix, low: first(prefix).value }))
    .sort((a, b) => (a.low < b.low ? -1 : a.low > b.low ? 1 : a.prefix.bits - b.prefix.bits))) {
    const [low, high] = [first(prefix).value, last(prefix).value]
    // Prefixes nest or are apart, so what begins within the one before is all in it.
    if ((ranges.at(-1)?.high ?? -1n) < low) ranges.push({ low, high })
  }
  return ranges
}

const lastBelow = (ranges: readonly Range[], value: bigint): Range | undefined => {
  let [from, to] = [0, ranges.length]
  while (from < to) {
    const middle = (from + to) >> 1
    if ((ranges[middle]?.low ?? value) < value) from = middle + 1
    else to = middle
  }
  return ranges[from - 1]
}

const pairInBridge = (bridge: Network, pair: Network): Problem => ({
  message: `${formatAddr(pair.own)} of ${pair.owner}, which is on no bridge, lies in ${formatPrefix(bridge.prefix)} of ${bridge.owner}`,
  labels: [
    { at: pair.at, text: 'reached by a route of its own' },
    { at: bridge.at, text: `taken for a neighbour on ${bridge.owner}` }
  ],
  note: `the host reaches both, but containers on ${bridge.owner} look for it on their link and get no answer`,
  help: `give ${pair.owner} an address outside ${formatPrefix(bridge.prefix)}, or put it on ${bridge.owner}`,
  severity: 'warning'
})

const pairInLan = (lan: Network, pair: Network): Problem => ({
  message: `${formatAddr(pair.own)} of ${pair.owner} lies in ${formatPrefix(lan.prefix)} of host interface ${lan.owner}`,
  labels: [
    { at: pair.at, text: 'reached by a route of its own' },
    { at: lan.at, text: 'taken for a neighbour out there' }
  ],
  note: 'the host reaches it, but machines of that network look for it on their link and get no answer, and one of them may have the address',
  help: `give ${pair.owner} an address outside ${formatPrefix(lan.prefix)}${pair.prefix.family === 4 ? `, or let the host answer for it: host.interfaces.${lan.ifname}.proxyARP: true` : ''}`,
  severity: 'warning'
})

/** Several interfaces of one container in one network: told once, at the second of them. */
const insideOne = function* (node: Container | Vm, links: readonly Link[]): Generator<Problem> {
  const networks = links.flatMap(link =>
    link.addresses.flatMap(({ at, prefix }) =>
      prefix === undefined || isHostRoute(prefix) || isLinkLocal6(prefix)
        ? []
        : [{ link, at, prefix: masked(prefix) }]
    )
  )
  const who = 'veth' in node ? 'container' : 'machine'
  const told = new Set<string>()
  for (const { outer, inner } of overlapping(networks, ({ prefix }) => prefix)) {
    const [one, other] = [outer.link, inner.link]
    const sameBridge = one.bridgeName !== undefined && one.bridgeName === other.bridgeName
    // In VLANs of their own they may be apart.
    if (one === other || (sameBridge && one.bridge?.bridge.vlanAware === true)) continue
    const key = formatPrefix(outer.prefix)
    if (told.has(key)) continue
    told.add(key)
    const narrow = formatPrefix(inner.prefix)
    yield {
      message: `${other.ifname} and ${one.ifname} of ${who} "${node.name}" are both in ${key}`,
      labels: [
        { at: inner.at, text: `${narrow} on ${other.ifname}` },
        ...networks
          .filter(network => network !== inner && formatPrefix(network.prefix) === key)
          .map(({ at, link }) => ({ at, text: `${key} on ${link.ifname}` }))
      ],
      note: sameBridge
        ? 'both interfaces are on one bridge: packets leave by the first, and answers may come back by the other'
        : narrow === key
          ? `the ${who} has one route to that network and sends everything through ${one.ifname}; who is behind another one cannot be reached`
          : `the ${who} sends to ${narrow} through ${other.ifname} and to the rest through ${one.ifname}; who has an address of ${narrow} behind ${one.ifname} cannot be reached`,
      help: sameBridge
        ? 'put all addresses on one of the interfaces, or give the other one a bridge and a network of its own'
        : `give each link a network of its own, such as ${outer.prefix.family === 4 ? '192.168.101.0/24 and 192.168.102.0/24' : 'fd12:3456:789a:1::/64 and fd12:3456:789a:2::/64'}`,
      ...(sameBridge ? { severity: 'warning' as const } : {})
    }
  }
}
