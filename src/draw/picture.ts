import type { Finding } from '../findings/finding.ts'
import type { AddressText, Container, NatForward } from '../model/topology.ts'
import { formatAddr } from '../net/addr.ts'
import { formatPrefix } from '../net/prefix.ts'
import type { BridgePlan, Link, Plan } from '../plan/plan.ts'
import { byName } from '../text/order.ts'
import type { Path } from '../text/path.ts'
import { listed, plural } from '../text/words.ts'
import {
  type Attachment,
  type Group,
  groupsOf,
  inOrder,
  keyOf,
  type Member,
  type Node,
  TITLES,
  titleOf
} from './groups.ts'
import { type Mark, type Marks, marksOf } from './marks.ts'
import { type Surroundings, surroundings } from './outside.ts'
import { visible } from './text.ts'

/** What is drawn of a network, decided once for every format: boxes, what is in them, and the wires between them. */
export interface Picture {
  readonly title: string
  /** What is to be seen, in a sentence, for whoever does not see it. */
  readonly summary: string
  /** From the internet to the containers; each wire leads from an earlier box to a later one. */
  readonly boxes: readonly Box[]
  readonly wires: readonly Wire[]
  /** The errors and warnings that are marked; none unless findings were given. */
  readonly marks: readonly Mark[]
  /** How many containers and machines are only summed up. */
  readonly left: number
}

export type BoxKind = 'internet' | 'lan' | 'host' | 'bridge' | 'missing' | 'group'

/** The internet, a LAN, the host, a bridge with those on it, or several that are attached in the same way. */
export interface Box {
  readonly id: string
  readonly kind: BoxKind
  readonly title: string
  /** A word beside the title: what the box is. */
  readonly sort: string
  readonly lines: readonly string[]
  readonly tags: readonly string[]
  /** What NAT does there. */
  readonly nat: string | undefined
  /** Forwards that lead to nobody who is drawn. */
  readonly forwards: readonly Forward[]
  readonly marks: readonly Mark[]
  readonly cards: readonly Card[]
}

/** A container, a machine, or what is left of many. */
export interface Card {
  readonly id: string
  readonly kind: 'container' | 'machine' | 'more'
  readonly title: string
  /** Addresses and interfaces. */
  readonly lines: readonly string[]
  /** The ports that its services listen on. */
  readonly tags: readonly string[]
  /** The forwards of the host that end here. */
  readonly forwards: readonly Forward[]
  readonly marks: readonly Mark[]
  /** Switched off. */
  readonly off: boolean
}

/** A port of the host that leads to a port of a container: `:8080 → 80/tcp`. */
export interface Forward {
  readonly text: string
  readonly marks: readonly Mark[]
}

export interface Wire {
  readonly from: string
  readonly to: string
  /** The interface that the wire ends in. */
  readonly label: string
  /** Whether the host translates the addresses of what leaves by it. */
  readonly masquerade: boolean
}

/** More than that nobody reads in one picture; the rest is summed up where it is attached. */
const MOST_CARDS = 200
const MOST_BOXES = 40
/** Of each kind of entry within a box or a card. */
const MOST_ENTRIES = 8
const MOST_WIRES = 8

export const pictureOf = (plan: Plan, findings: readonly Finding[] = []): Picture => {
  const { topology } = plan
  const marks = marksOf(findings, places(plan))
  const forwards = forwardsOf(plan, marks)
  const groups = groupsOf(plan)
  const outside = surroundings(
    plan,
    groups.some(({ attachments }) => attachments.some(goesPast))
  )
  const translating: ReadonlySet<BridgePlan> = outside.masquerade ? outside.bridges : new Set()
  const vlans = new Map(topology.host.vlans.map(({ name, id }) => [name, id]))
  const boxes = boxesOf(groups, { forwards, marks, translating, vlans })
  const first = outsideBoxes(outside)
  const host = hostBox(plan, forwards.get(undefined) ?? [], marks)
  const ids = new Set([...first, host, ...boxes].map(({ id }) => id))
  const wires = [
    ...outsideWires(outside, groups),
    ...groupWires(groups, ids),
    ...(ids.has(REST) ? [wire(HOST, REST)] : [])
  ]
  return {
    title: visible(topology.name ?? topology.host.name ?? 'Network of containers'),
    summary: summaryOf(plan, marks.all),
    boxes: [...first, host, ...boxes],
    wires: wires.filter(({ from, to }) => ids.has(from) && ids.has(to)),
    marks: marks.all,
    left: topology.containers.length + topology.vms.length - drawnOf(boxes)
  }
}

const drawnOf = (boxes: readonly Box[]): number =>
  boxes.reduce((sum, { cards }) => sum + cards.filter(({ kind }) => kind !== 'more').length, 0)

const HOST = 'host'

// Entries of a list, as many as a box holds.

const some = (texts: readonly string[], most: number = MOST_ENTRIES): readonly string[] =>
  (texts.length > most + 1 ? [...texts.slice(0, most), `… and ${texts.length - most} more`] : texts).map(
    visible
  )

const someForwards = (forwards: readonly Forward[] = []): readonly Forward[] => {
  if (forwards.length <= MOST_ENTRIES + 1) return forwards
  const rest = forwards.slice(MOST_ENTRIES)
  return [
    ...forwards.slice(0, MOST_ENTRIES),
    { text: `… and ${rest.length} more`, marks: rest.flatMap(({ marks }) => marks) }
  ]
}

const addressText = ({ prefix, bare, auto, text }: AddressText): string =>
  prefix === undefined ? (auto ? 'auto' : text) : bare ? formatAddr(prefix) : formatPrefix(prefix)

const portsText = ({ from, to }: { readonly from: number; readonly to: number }): string =>
  from === to ? `${from}` : `${from}-${to}`

/** A service's port, with its name where that is short. */
const listenText = ({
  name,
  port,
  protocol
}: {
  readonly name: string | undefined
  readonly port: number
  readonly protocol: { readonly text: string }
}): string => `${port}/${protocol.text}${name === undefined || name.length > 16 ? '' : ` ${name}`}`

/** Everything that a finding may be shown at. */
const places = function* ({ topology }: Plan): Generator<Path> {
  const { host, nat, bridges, containers, vms } = topology
  yield host.at
  if (nat !== undefined) {
    yield nat.at
    for (const { at } of nat.forwardPorts) yield at
  }
  for (const { at } of bridges) yield at
  for (const { at, veth, enabled, privateNetwork } of containers) {
    yield at
    if (enabled && privateNetwork) for (const forward of veth.forwardPorts) yield forward.at
  }
  for (const { at } of vms) yield at
}

// Forwards

/** The forwards by whom they lead to; those that lead to nobody in the file stand at `undefined`. */
const forwardsOf = (plan: Plan, marks: Marks): ReadonlyMap<Node | undefined, readonly Forward[]> => {
  const { topology } = plan
  const found = new Map<Node | undefined, Forward[]>()
  const add = (node: Node | undefined, text: string, at: Path): void => {
    const known = found.get(node)
    const forward = { text: visible(text), marks: marks.at(at) }
    if (known === undefined) found.set(node, [forward])
    else known.push(forward)
  }
  for (const node of byName(topology.having.forwardPorts))
    if (node.enabled && node.privateNetwork)
      for (const { at, hostPort, containerPort, protocol } of node.veth.forwardPorts)
        add(node, `:${hostPort ?? 'auto'} → ${containerPort ?? 'auto'}/${protocol.text}`, at)
  if (topology.nat?.enable === true)
    for (const forward of topology.nat.forwardPorts) {
      const node = ownerOf(plan, forward)
      const { source, destination, proto, at } = forward
      const to = destination.ports ?? source.range
      const from = source.range === undefined ? source.text : portsText(source.range)
      const port = to === undefined ? '' : portsText(to)
      add(
        node,
        node === undefined
          ? `:${from} → ${destination.text}/${proto.text}`
          : `:${from} → ${port}/${proto.text}`,
        at
      )
    }
  return found
}

const ownerOf = ({ addresses }: Plan, { destination: { address } }: NatForward): Node | undefined =>
  address === undefined
    ? undefined
    : addresses
        .owners(address)
        ?.find(({ kind, enabled, link }) => kind === 'local' && enabled && link !== undefined)?.link?.node

// Boxes

/** What boxes are filled from. */
interface Contents {
  readonly forwards: ReadonlyMap<Node | undefined, readonly Forward[]>
  readonly marks: Marks
  /** The bridges by which packets leave with the host's address. */
  readonly translating: ReadonlySet<BridgePlan>
  /** The host's VLANs by the names of their interfaces. */
  readonly vlans: ReadonlyMap<string, number>
}

const boxesOf = (groups: readonly Group[], contents: Contents): readonly Box[] => {
  const total = groups.reduce((sum, { members }) => sum + members.length, 0)
  const quota =
    total <= MOST_CARDS ? total : Math.max(3, Math.floor(MOST_CARDS / Math.min(groups.length, MOST_BOXES)))
  if (groups.length <= MOST_BOXES) return groups.map(group => boxOf(group, quota, contents))
  // Of too many the first ones with somebody on them are drawn.
  const drawn = new Set(
    [...groups.filter(({ members }) => members.length > 0), ...groups].slice(0, MOST_BOXES)
  )
  return [
    ...groups.filter(group => drawn.has(group)).map(group => boxOf(group, quota, contents)),
    restBox(
      groups.filter(group => !drawn.has(group)),
      contents
    )
  ]
}

const REST = 'rest'

/** What is told of the boxes that are too many. */
const restBox = (left: readonly Group[], contents: Contents): Box => {
  const members = left.flatMap(({ members }) => members)
  return {
    ...plainBox(
      REST,
      'group',
      `${left.length} more networks`,
      some(
        left.map(({ attachments }) => titleOf(attachments)),
        4
      )
    ),
    marks: left.flatMap(({ attachments: [only, ...more] }) =>
      more.length > 0 || only?.bridge === undefined ? [] : contents.marks.at(only.bridge.bridge.at)
    ),
    cards:
      members.length === 0
        ? []
        : [moreCard(`${REST}/more`, members, contents, plural(members.length, 'container'))]
  }
}

const boxOf = ({ id, attachments, members }: Group, quota: number, contents: Contents): Box => {
  const { forwards, marks, translating, vlans } = contents
  const [only] = attachments.length === 1 ? attachments : []
  const bridge = only?.bridge?.bridge
  const { kept, rest } = chosen(
    inOrder(members),
    quota,
    ({ node }) => forwards.has(node) || marks.at(node.at).length > 0
  )
  const several = attachments.length > 1
  return {
    id,
    kind: only?.kind === 'bridge' || only?.kind === 'missing' ? only.kind : 'group',
    title: visible(titleOf(attachments)),
    sort: only === undefined ? '' : TITLES[only.kind][1],
    lines:
      bridge === undefined
        ? []
        : [
            ...some([
              ...(bridge.dhcp === undefined ? [] : ['by DHCP']),
              ...bridge.addresses.map(addressText)
            ]),
            ...(bridge.interfaces.length === 0
              ? []
              : [visible(`port ${listed(bridge.interfaces.map(({ name }) => cardText(name, vlans)))}`)])
          ],
    tags: bridge?.vlanAware === true ? ['VLAN-aware'] : [],
    nat: only?.bridge !== undefined && translating.has(only.bridge) ? 'masquerade' : undefined,
    forwards: [],
    marks: bridge === undefined ? [] : marks.at(bridge.at),
    cards: [
      ...kept.map(({ node, links }, i) => ({
        id: `${id}/${i}`,
        kind: isContainer(node) ? ('container' as const) : ('machine' as const),
        title: visible(node.name),
        lines: cardLines(node, links, several),
        tags: some(node.listens.map(listenText)),
        forwards: someForwards(forwards.get(node)),
        marks: marks.at(node.at),
        off: !node.enabled
      })),
      ...(rest.length === 0 ? [] : [moreCard(`${id}/more`, rest, contents, `… and ${rest.length} more`)])
    ]
  }
}

const cardText = (name: string, vlans: ReadonlyMap<string, number>): string => {
  const id = vlans.get(name)
  return id === undefined ? name : `${name} (VLAN ${id})`
}

const isContainer = (node: Node): node is Container => 'privateNetwork' in node

/** As many as there is room for: those that something is to be said of come before the others. */
const chosen = <T>(
  items: readonly T[],
  most: number,
  isSpecial: (item: T) => boolean
): { readonly kept: readonly T[]; readonly rest: readonly T[] } => {
  if (items.length <= most) return { kept: items, rest: [] }
  const special = items.filter(isSpecial)
  const kept = new Set([...special, ...items].slice(0, Math.max(0, most - 1)))
  for (const item of items) if (kept.size < most - 1) kept.add(item)
  return { kept: items.filter(item => kept.has(item)), rest: items.filter(item => !kept.has(item)) }
}

const moreCard = (
  id: string,
  members: readonly Member[],
  { forwards, marks }: Contents,
  title: string
): Card => {
  const known = members.flatMap(({ links }) => links[0]?.addresses[0] ?? [])
  const [first, last] = [known[0], known.at(-1)]
  return {
    id,
    kind: 'more',
    title,
    lines:
      first === undefined || last === undefined
        ? []
        : some(first === last ? [addressText(first)] : [addressText(first), `… ${addressText(last)}`]),
    tags: [],
    forwards: [],
    marks: members.flatMap(({ node }) => [
      ...marks.at(node.at),
      ...(forwards.get(node) ?? []).flatMap(forward => forward.marks)
    ]),
    off: false
  }
}

/** Addresses, each with the interface inside where there are several; a pair's end on the host. */
const cardLines = (node: Node, links: readonly Link[], several: boolean): readonly string[] => {
  const named = several || links.length > 1
  const lines = links.flatMap(link => {
    const { ifname, addresses, hostAddresses, kind } = link
    const name = named || kind === 'moved' ? `${ifname} ` : ''
    const own = addresses.map(address => `${name}${addressText(address)}`)
    const none = named || kind === 'moved' || kind === 'tap' ? [ifname] : []
    return [
      ...(own.length === 0 ? none : own),
      ...hostAddresses.map(address => `host ${addressText(address)}`)
    ]
  })
  const dhcp = isContainer(node) && node.dhcp ? ['by DHCP'] : []
  const vpn = isContainer(node) && node.vpn !== undefined ? [`VPN ${node.vpn.name ?? ''}`.trim()] : []
  return some([...lines, ...dhcp, ...vpn])
}

const hostBox = ({ topology, nat }: Plan, forwards: readonly Forward[], marks: Marks): Box => {
  const { host } = topology
  const ports = host.listens.map(listenText)
  const parents = new Map(host.macvlans.map(({ name, interface: parent }) => [name, parent.name]))
  const interfaces = byName(host.configured).flatMap(({ name, dhcp, addresses }) => {
    const parent = parents.get(name)
    const own = parent === undefined ? name : `${name} (macvlan of ${parent})`
    return [...(dhcp ? ['by DHCP'] : []), ...addresses.map(addressText)].map(text => `${own} ${text}`)
  })
  return {
    id: HOST,
    kind: 'host',
    title: visible(host.name ?? 'host'),
    sort: host.name === undefined ? '' : 'host',
    lines: some(interfaces),
    tags: some(ports, 2 * MOST_ENTRIES),
    nat: natText(nat),
    forwards: someForwards(forwards),
    marks: [
      ...marks.at([]),
      ...marks.at(host.at),
      ...(topology.nat === undefined ? [] : marks.at(topology.nat.at))
    ],
    cards: []
  }
}

const natText = ({ nat, enabled }: Plan['nat']): string | undefined => {
  if (nat === undefined || !enabled) return undefined
  const inside = [
    ...nat.internalInterfaces.map(({ name }) => name),
    ...[...nat.internalIPs, ...nat.internalIPv6s].map(({ text }) => text)
  ]
  return visible(`NAT ${inside.length === 0 ? '' : `for ${listed(inside, 3)}`}`.trim())
}

// Wires and what lies outside

const wire = (from: string, to: string, label = '', masquerade = false): Wire => ({
  from,
  to,
  label: visible(label),
  masquerade
})

const LAN = 'lan'
const INTERNET = 'internet'

const outsideBoxes = ({ cards, bridges, lan }: Surroundings): readonly Box[] => [
  ...(cards.length + bridges.size === 0 ? [] : [plainBox(INTERNET, 'internet', 'internet', [])]),
  ...(lan === undefined ? [] : [plainBox(LAN, 'lan', 'LAN', lan.network === undefined ? [] : [lan.network])])
]

/** From the internet to the host, or to a bridge that is the uplink. */
const outsideWires = (
  { cards, bridges, lan, masquerade }: Surroundings,
  groups: readonly Group[]
): readonly Wire[] => [
  ...(lan?.leadsOut === true ? [wire(INTERNET, LAN)] : []),
  ...(cards.length === 0
    ? []
    : [wire(lan?.leadsOut === true ? LAN : INTERNET, HOST, listed(cards, 3), masquerade)]),
  ...(lan === undefined || lan.others.length === 0 ? [] : [wire(LAN, HOST, listed(lan.others, 3))]),
  ...groups.flatMap(({ id, attachments: [only, ...more] }) => {
    if (only?.bridge === undefined || more.length > 0) return []
    if (isOpen(only)) return [wire(LAN, id)]
    return bridges.has(only.bridge) ? [wire(INTERNET, id)] : []
  })
]

/** Whether it is a bridge that has a card. */
const isOpen = ({ bridge }: Attachment): boolean =>
  bridge !== undefined && bridge.bridge.interfaces.length > 0

const groupWires = (groups: readonly Group[], ids: ReadonlySet<string>): readonly Wire[] =>
  groups.flatMap(({ id, attachments }) => {
    const sources = attachments.flatMap(attachment => {
      const own = keyOf(attachment)
      return attachments.length > 1 && ids.has(own) ? [own] : sourceOf(attachment)
    })
    return [...new Set(sources)].slice(0, MOST_WIRES).map(from => wire(from, id))
  })

/** What a group hangs on: the host, or the LAN where it goes past the host. */
const sourceOf = (attachment: Attachment): readonly string[] => {
  const { kind } = attachment
  if (goesPast(attachment)) return [LAN]
  return kind === 'missing' || kind === 'namespace' || kind === 'none' ? [] : [HOST]
}

const goesPast = ({ kind }: Attachment): boolean => kind === 'macvlan' || kind === 'moved'

const plainBox = (id: string, kind: BoxKind, title: string, lines: readonly string[]): Box => ({
  id,
  kind,
  title,
  sort: '',
  lines,
  tags: [],
  nat: undefined,
  forwards: [],
  marks: [],
  cards: []
})

const summaryOf = (plan: Plan, marks: readonly Mark[]): string => {
  const { bridges, containers, vms } = plan.topology
  const errors = marks.filter(({ severity }) => severity === 'error').length
  const counted = [
    ...(bridges.length === 0 ? [] : [plural(bridges.length, 'bridge')]),
    ...(containers.length === 0 ? [] : [plural(containers.length, 'container')]),
    ...(vms.length === 0 ? [] : [plural(vms.length, 'machine')])
  ]
  const found = [
    ...(errors === 0 ? [] : [plural(errors, 'error')]),
    ...(marks.length === errors ? [] : [plural(marks.length - errors, 'warning')])
  ]
  return `The network of a host${counted.length === 0 ? '' : ` with ${listed(counted)}`}${found.length === 0 ? '' : `; ${listed(found)} marked`}.`
}
