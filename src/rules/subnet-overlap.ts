import type { AddressText, Container, Vm } from '../model/topology.ts'
import { type Addr, addressAfter, type Family, formatAddr, isLinkLocal6, sameAddr } from '../net/addr.ts'
import { first, formatNetwork, formatPrefix, last, masked, type Prefix, size } from '../net/prefix.ts'
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
    const mend = adviser(networks)
    const answers = answersForOthers(plan)
    for (const { outer, inner } of overlapping(networks, ({ prefix }) => prefix)) {
      // With proxy ARP the host answers for a pair in the network of its neighbours.
      if (inner.kind === 'pair' && outer.ifname !== '' && answers(outer.ifname, inner.prefix.family)) continue
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
  /** The interface of the host that leads into it. */
  readonly ifname: string
  readonly address: AddressText
  /** The network belongs to somebody outside, and this is a way into it: overlaps with its reservation are meant. */
  readonly open: boolean
}

const hostNetworks = function* ({ topology, bridges, links }: Plan): Generator<Network> {
  for (const { name, addresses } of topology.host.configured)
    for (const address of addresses)
      if (address.prefix !== undefined && !address.bare && !isHostRoute(address.prefix))
        yield {
          at: address.at,
          prefix: masked(address.prefix),
          kind: 'interface',
          owner: `"${name}"`,
          ifname: name,
          address,
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
        address,
        open
      }
  for (const { at, prefix, for: owner } of topology.reserved)
    if (prefix.prefix !== undefined)
      yield {
        at: [...at, 'prefix'],
        prefix: masked(prefix.prefix),
        kind: 'reserved',
        owner: owner ?? 'somebody else',
        ifname: '',
        address: prefix,
        open: true
      }
  for (const { veth, addresses, node, hostIfname } of links)
    if (veth?.hostBridge === undefined && veth !== undefined)
      for (const address of addresses)
        if (address.prefix !== undefined && isHostRoute(address.prefix))
          yield {
            at: address.at,
            prefix: address.prefix,
            kind: 'pair',
            owner: `container "${node.name}"`,
            ifname: hostIfname,
            address,
            open: false
          }
}

const isHostRoute = ({ family, bits }: Prefix): boolean => bits === (family === 4 ? 32 : 128)

const between = (outer: Network, inner: Network, mend: Mend): Problem | undefined => {
  // Several addresses of one network on one interface are an ordinary thing.
  if (outer.ifname !== '' && outer.ifname === inner.ifname) return undefined
  // A machine may have many addresses of the LAN, and equal addresses are told as such.
  const bothOutside =
    outer.kind !== 'bridge' && inner.kind !== 'bridge' && outer.kind !== 'pair' && inner.kind !== 'pair'
  if (bothOutside || (outer.kind === 'pair' && inner.kind === 'pair')) return undefined
  const [outside, ours] =
    inner.kind === 'reserved' || inner.kind === 'interface' ? [inner, outer] : [outer, inner]
  if (outside.kind === 'reserved') return ours.open ? undefined : inReserved(outside, ours, mend)
  if (ours.kind === 'pair')
    return outer.kind === 'bridge' ? pairInBridge(outer, ours) : pairInLan(outer, ours)
  const [later, earlier] = ours === outside ? [inner, outer] : [ours, outside]
  const a = later.address.prefix
  const b = earlier.address.prefix
  if (a !== undefined && b !== undefined && sameAddr(a, b)) return undefined
  return {
    message: `subnet ${formatPrefix(later.prefix)} of ${later.owner} overlaps ${formatPrefix(earlier.prefix)} of ${earlier.owner}`,
    labels: [
      { at: later.at, text: 'shares addresses' },
      { at: earlier.at, text: `with ${earlier.owner}` }
    ],
    note: 'for a shared address the host knows one way, to the narrower network or else to the one set first; who has such an address on the other side gets no answer',
    help: mend(later, earlier)
  }
}

const inReserved = (reserved: Network, ours: Network, mend: Mend): Problem => ({
  message: `${ours.kind === 'pair' ? ours.address.text : `subnet ${formatPrefix(ours.prefix)}`} of ${ours.owner} ${ours.prefix.bits < reserved.prefix.bits ? 'overlaps' : 'lies in'} ${formatPrefix(reserved.prefix)}, reserved for ${reserved.owner}`,
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
const adviser = (networks: readonly Network[]): Mend => {
  let nextFree: ReturnType<typeof freeNetworkFinder> | undefined
  return (wrong, other) => {
    const what = wrong.kind === 'pair' ? 'an address' : 'a subnet'
    const general = `give ${wrong.owner} ${what} outside ${formatPrefix(other.prefix)}`
    const { prefix } = wrong.address
    if (wrong.kind !== 'bridge' || prefix === undefined) return general
    nextFree ??= freeNetworkFinder(networks.map(({ prefix }) => prefix))
    const free = nextFree(wrong.prefix, other.prefix)
    if (free === undefined) return general
    return `${general}, such as ${formatAddr(addressAfter(free, prefix.value - wrong.prefix.value))}/${prefix.bits}`
  }
}

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
  message: `${pair.address.text} of ${pair.owner}, which is on no bridge, lies in ${formatPrefix(bridge.prefix)} of ${bridge.owner}`,
  labels: [
    { at: pair.at, text: 'reached by a route of its own' },
    { at: bridge.at, text: `taken for a neighbour on ${bridge.owner}` }
  ],
  note: `the host reaches both, but containers on ${bridge.owner} look for it on their link and get no answer`,
  help: `give ${pair.owner} an address outside ${formatPrefix(bridge.prefix)}, or put it on ${bridge.owner}`,
  severity: 'warning'
})

const pairInLan = (lan: Network, pair: Network): Problem => ({
  message: `${pair.address.text} of ${pair.owner} lies in ${formatPrefix(lan.prefix)} of host interface ${lan.owner}`,
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
    link.addresses.flatMap(address =>
      address.prefix === undefined || isHostRoute(address.prefix) || isLinkLocal6(address.prefix)
        ? []
        : [{ link, address, prefix: masked(address.prefix), at: address.at }]
    )
  )
  const told = new Set<string>()
  for (const { outer, inner } of overlapping(networks, ({ prefix }) => prefix)) {
    if (outer.link === inner.link || outer.link.bridge?.bridge.vlanAware === true) continue
    const key = formatNetwork(outer.prefix)
    if (told.has(key)) continue
    told.add(key)
    const all = networks.filter(
      ({ prefix }) => prefix.family === outer.prefix.family && formatPrefix(prefix) === key
    )
    const sameBridge = outer.link.bridgeName !== undefined && outer.link.bridgeName === inner.link.bridgeName
    yield {
      message: `${inner.link.ifname} and ${outer.link.ifname} of ${inner.link.kind === 'tap' ? 'machine' : 'container'} "${node.name}" are both in ${key}`,
      labels: [
        { at: inner.at, text: `${formatPrefix(inner.prefix)} on ${inner.link.ifname}` },
        ...(all.includes(outer) ? all : [outer, ...all])
          .filter(other => other !== inner)
          .map(other => ({ at: other.at, text: `${formatPrefix(other.prefix)} on ${other.link.ifname}` }))
      ],
      note: sameBridge
        ? 'both interfaces are on one bridge: packets leave by the first, and answers may come back by the other'
        : `the container has one route to that network and sends everything through ${outer.link.ifname}; who is behind another one cannot be reached`,
      help: sameBridge
        ? 'put all addresses on one of the interfaces, or give the other one a bridge and a network of its own'
        : `give each bridge a network of its own, such as ${outer.prefix.family === 4 ? '192.168.101.0/24 and 192.168.102.0/24' : 'fd12:3456:789a:1::/64 and fd12:3456:789a:2::/64'}`,
      ...(sameBridge ? { severity: 'warning' as const } : {})
    }
  }
}
