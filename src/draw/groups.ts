import type { Container, Vm } from '../model/topology.ts'
import { containerLinks, hostName, isPrivate, vmLinks } from '../plan/links.ts'
import { type BridgePlan, FAMILIES, type Link, type Plan } from '../plan/plan.ts'
import { compareTexts } from '../text/order.ts'
import type { Path } from '../text/path.ts'

// Those that are attached to the same things stand in one box.

export type Node = Container | Vm

export type AttachmentKind =
  | 'bridge'
  | 'missing'
  | 'pair'
  | 'tap'
  | 'macvlan'
  | 'moved'
  | 'shared'
  | 'namespace'
  | 'none'

/** What an interface leads to. Only bridges are boxes of their own; the others exist as far as somebody has them. */
export interface Attachment {
  readonly kind: AttachmentKind
  /** The bridge, or the host's interface. */
  readonly name: string
  readonly bridge: BridgePlan | undefined
}

export interface Member {
  readonly node: Node
  readonly links: readonly Link[]
}

export interface Group {
  readonly id: string
  readonly attachments: readonly Attachment[]
  readonly members: Member[]
}

/** The order of boxes: bridges first, those who are attached to several things last. */
const KINDS: readonly AttachmentKind[] = [
  'bridge',
  'missing',
  'pair',
  'tap',
  'macvlan',
  'moved',
  'shared',
  'namespace',
  'none'
]

const attachmentOf = ({ kind, bridge, bridgeName, hostIfname, ifname, at, node }: Link): Attachment => {
  if (bridgeName !== undefined)
    return { kind: bridge === undefined ? 'missing' : 'bridge', name: bridgeName, bridge }
  if (kind === 'tap') return { kind, name: '', bridge: undefined }
  if (kind === 'veth') return { kind: 'pair', name: '', bridge: undefined }
  return { kind, name: kind === 'moved' ? '' : parentOf(node, at, ifname, hostIfname), bridge: undefined }
}

/** The host's interface below a macvlan. */
const parentOf = (node: Node, at: Path, ifname: string, hostIfname: string): string => {
  const entry = 'macvlans' in node ? node.macvlans.find(macvlan => macvlan.at === at) : undefined
  return entry === undefined ? hostIfname || ifname : hostName(entry.name)
}

const without = (container: Container): Attachment => ({
  kind: container.networkNamespace ? 'namespace' : isPrivate(container) ? 'none' : 'shared',
  name: '',
  bridge: undefined
})

export const keyOf = ({ kind, name }: Attachment): string => JSON.stringify([KINDS.indexOf(kind), name])

const numbers = new Intl.Collator('en', { numeric: true })

/** As people count: `br2` stands before `br10`. */
const compareNames = (a: string, b: string): number => numbers.compare(a, b) || compareTexts(a, b)

const compareAttachments = (a: Attachment, b: Attachment): number =>
  KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) || compareNames(a.name, b.name)

/** Everybody, with those who are attached to the same; bridges also where nobody is. */
export const groupsOf = ({ topology, bridges, linksOf }: Plan): readonly Group[] => {
  const groups = new Map<string, Group>()
  const groupOf = (attachments: readonly Attachment[]): Group => {
    const id = attachments.map(keyOf).join()
    const group = groups.get(id) ?? { id, attachments, members: [] }
    groups.set(id, group)
    return group
  }
  for (const bridge of bridges.values()) groupOf([{ kind: 'bridge', name: bridge.bridge.name, bridge }])
  const add = (node: Node, links: readonly Link[], otherwise: Attachment): void => {
    const distinct = new Map(links.map(attachmentOf).map(found => [keyOf(found), found]))
    const attachments = distinct.size === 0 ? [otherwise] : [...distinct.values()].sort(compareAttachments)
    groupOf(attachments).members.push({ node, links: byIfname(links) })
    // A bridge that nobody made is drawn too, where somebody is attached to it.
    if (attachments.length > 1) for (const one of attachments) if (one.kind === 'missing') groupOf([one])
  }
  for (const container of topology.containers)
    add(
      container,
      linksOf.get(container) ?? (container.enabled ? [] : containerLinks(container, bridges)),
      without(container)
    )
  for (const vm of topology.vms)
    add(vm, linksOf.get(vm) ?? vmLinks(vm, bridges), { kind: 'none', name: '', bridge: undefined })
  return [...groups.values()].sort(compareGroups)
}

/** The file's order does not count: mappings have none. */
const byIfname = (links: readonly Link[]): readonly Link[] =>
  links.length < 2 ? links : [...links].sort((a, b) => compareNames(a.ifname, b.ifname))

const compareGroups = (a: Group, b: Group): number => {
  const [several, others] = [a.attachments.length > 1, b.attachments.length > 1]
  if (several !== others) return several ? 1 : -1
  for (const [i, one] of a.attachments.entries()) {
    const other = b.attachments[i]
    if (other === undefined) return 1
    const order = compareAttachments(one, other)
    if (order !== 0) return order
  }
  return a.attachments.length - b.attachments.length
}

/** Addresses in their order, then names: so neither the file's order counts nor do ten containers stand before two. */
const sortKey = ({ node, links }: Member): readonly [number, bigint, string] => {
  for (const family of FAMILIES)
    for (const { addresses } of links)
      for (const { prefix } of addresses)
        if (prefix?.family === family) return [family, prefix.value, node.name]
  return [7, 0n, node.name]
}

export const inOrder = (members: readonly Member[]): readonly Member[] =>
  members
    .map(member => ({ member, key: sortKey(member) }))
    .sort(
      ({ key: [family, value, name] }, { key: [family2, value2, name2] }) =>
        family - family2 || (value < value2 ? -1 : value > value2 ? 1 : compareNames(name, name2))
    )
    .map(({ member }) => member)

/** What a box of one kind is called, where it is no name of the file, and the word beside it. */
export const TITLES: Readonly<Record<AttachmentKind, readonly [title: string, sort: string]>> = {
  bridge: ['', 'bridge'],
  missing: ['', 'no such bridge'],
  pair: ['veth pairs', ''],
  tap: ['taps', ''],
  macvlan: ['', 'macvlan'],
  moved: ['interfaces of their own', ''],
  shared: ["the host's network", ''],
  namespace: ['other namespaces', ''],
  none: ['no network', '']
}

export const titleOf = (attachments: readonly Attachment[]): string =>
  attachments
    .slice(0, 4)
    .map(({ kind, name }) => TITLES[kind][0] || name)
    .concat(attachments.length > 4 ? [`${attachments.length - 4} more`] : [])
    .join(' + ')
