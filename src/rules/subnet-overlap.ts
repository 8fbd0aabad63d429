import type { AddressText, Container } from '../model/topology.ts'
import { sameAddr } from '../net/addr.ts'
import { formatNetwork, formatPrefix, masked, type Prefix } from '../net/prefix.ts'
import { overlapping } from '../net/set.ts'
import type { Link, Plan } from '../plan/plan.ts'
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
    for (const { outer, inner } of overlapping(hostNetworks(plan), ({ prefix }) => prefix)) {
      const problem = between(outer, inner)
      if (problem !== undefined) yield problem
    }
    for (const [node, links] of plan.linksOf) if (links.length > 1) yield* insideOne(node as Container, links)
  }
}

interface Network {
  readonly at: Path
  readonly prefix: Prefix
  readonly kind: 'bridge' | 'interface' | 'reserved' | 'pair'
  readonly owner: string
  readonly address: AddressText
  /** The network belongs to somebody outside, and this is a way into it: overlaps with its reservation are meant. */
  readonly open: boolean
}

const hostNetworks = function* ({ topology, bridges, links }: Plan): Generator<Network> {
  for (const { name, addresses } of topology.host.interfaces)
    for (const address of addresses)
      if (address.prefix !== undefined && !address.bare && !isHostRoute(address.prefix))
        yield { at: address.at, prefix: masked(address.prefix), kind: 'interface', owner: `"${name}"`, address, open: true }
  for (const { subnets, open } of bridges.values())
    for (const { address, prefix, bridge } of subnets)
      yield { at: address.at, prefix, kind: 'bridge', owner: `"${bridge.name}"`, address, open }
  for (const { at, prefix, for: owner } of topology.reserved)
    if (prefix.prefix !== undefined)
      yield {
        at: [...at, 'prefix'],
        prefix: masked(prefix.prefix),
        kind: 'reserved',
        owner: owner ?? 'somebody else',
        address: prefix,
        open: true
      }
  for (const { veth, addresses, node } of links)
    if (veth?.hostBridge === undefined && veth !== undefined)
      for (const address of addresses)
        if (address.prefix !== undefined && isHostRoute(address.prefix))
          yield { at: address.at, prefix: address.prefix, kind: 'pair', owner: `container "${node.name}"`, address, open: false }
}

const isHostRoute = ({ family, bits }: Prefix): boolean => bits === (family === 4 ? 32 : 128)

const between = (outer: Network, inner: Network): Problem | undefined => {
  // A machine may have many addresses of the LAN, and equal addresses are told as such.
  const bothOutside = outer.kind !== 'bridge' && inner.kind !== 'bridge' && outer.kind !== 'pair' && inner.kind !== 'pair'
  if (bothOutside || (outer.kind === 'pair' && inner.kind === 'pair')) return undefined
  const [outside, ours] = inner.kind === 'reserved' || inner.kind === 'interface' ? [inner, outer] : [outer, inner]
  if (outside.kind === 'reserved') return ours.open ? undefined : inReserved(outside, ours)
  if (ours.kind === 'pair') return outer.kind === 'bridge' ? pairInBridge(outer, ours) : pairInLan(outer, ours)
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
    note: 'the host keeps one route per network and prefers the narrower one, so packets for the shared addresses all leave through one of the two',
    help: `give ${later.owner} a subnet outside ${formatPrefix(earlier.prefix)}`
  }
}

const inReserved = (reserved: Network, ours: Network): Problem => ({
  message: `${ours.kind === 'pair' ? ours.address.text : `subnet ${formatPrefix(ours.prefix)}`} of ${ours.owner} lies in ${formatPrefix(reserved.prefix)}, reserved for ${reserved.owner}`,
  labels: [
    { at: ours.at, text: 'shares addresses' },
    { at: reserved.at, text: `with ${reserved.owner}` }
  ],
  note: 'whichever route is narrower wins: either the container or the one it is reserved for cannot be reached',
  help: `choose one outside ${formatPrefix(reserved.prefix)}`,
  ...(ours.kind === 'pair' ? { severity: 'warning' as const } : {})
})

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
  help: `give ${pair.owner} an address outside ${formatPrefix(lan.prefix)}`,
  severity: 'warning'
})

/** Several interfaces of one container in one network: told once, at the second of them. */
const insideOne = function* (node: Container, links: readonly Link[]): Generator<Problem> {
  const networks = links.flatMap(link =>
    link.addresses.flatMap(address =>
      address.prefix === undefined || isHostRoute(address.prefix)
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
    const all = networks.filter(({ prefix }) => prefix.family === outer.prefix.family && formatPrefix(prefix) === key)
    const sameBridge = outer.link.bridgeName !== undefined && outer.link.bridgeName === inner.link.bridgeName
    yield {
      message: `${inner.link.ifname} and ${outer.link.ifname} of container "${node.name}" are both in ${key}`,
      labels: [
        { at: inner.at, text: `${formatPrefix(inner.prefix)} on ${inner.link.ifname}` },
        ...(all.includes(outer) ? all : [outer, ...all])
          .filter(other => other !== inner)
          .map(other => ({ at: other.at, text: `${formatPrefix(other.prefix)} on ${other.link.ifname}` }))
      ],
      note: sameBridge
        ? 'both interfaces are on one bridge: packets leave by the first, and answers may come back by the other'
        : `the container has one route to that network and sends everything through ${outer.link.ifname}; who is behind the others is reached by chance or not at all`,
      help: 'give each bridge a network of its own, such as fd12:3456:789a:1::/64 and fd12:3456:789a:2::/64',
      ...(sameBridge ? { severity: 'warning' as const } : {})
    }
  }
}
