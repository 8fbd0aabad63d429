import type { AddressText, Container, DestinationText, Gateway, Vm } from '../model/topology.ts'
import { type Addr, type Family, formatAddr } from '../net/addr.ts'
import { formatPrefix, size } from '../net/prefix.ts'
import { type Span, spans } from '../net/space.ts'
import { isUniqueLocal } from '../plan/allocate.ts'
import { familyOf } from '../plan/bridges.ts'
import { type DefaultRoute, defaultRoutes } from '../plan/gateways.ts'
import { containerLinks, hostName, isPrivate, vmLinks } from '../plan/links.ts'
import {
  type BridgePlan,
  FAMILIES,
  type Link,
  type PairLink,
  type Plan,
  type PortClaim,
  type Unallocated
} from '../plan/plan.ts'
import {
  type Growth,
  type Holder,
  type Kept,
  type NetworkUsage,
  type Outsider,
  type PoolUsage,
  type Usage,
  usageOf
} from '../plan/usage.ts'
import { formatPath } from '../text/path.ts'
import { listed, plural } from '../text/words.ts'
import { printable } from './compact.ts'
import type { Paint } from './pretty.ts'
import { aligned, folded, grouped, type Row } from './table.ts'

export interface TableOptions {
  /** How many columns a line may have. */
  readonly width: number
  /** Every row, however many there are. */
  readonly all: boolean
}

/** How many rows of one kind are shown, unless all are wanted, and how many ranges of free addresses. */
const MOST = 50
const MOST_RANGES = 10

/** How many networks are shown with everybody in them, unless all are wanted. */
const MOST_NETWORKS = 20

/** How wide an address with its prefix length and a mark is at most: it is never cut. */
const ADDRESS = 44

/** From here on the networks are summed up in a table first. */
const MANY_NETWORKS = 4

interface View {
  readonly plan: Plan
  readonly paint: Paint
  readonly width: number
  readonly all: boolean
  readonly undecided: ReadonlyMap<string, string>
  /** The places of ports that were chosen. */
  readonly chosen: ReadonlySet<string>
}

/** The resolved network for people: networks and who is in them, containers, ports of the host. */
export const planTable = (plan: Plan, paint: Paint, { width, all }: TableOptions): string => {
  const view: View = {
    plan,
    paint,
    width,
    all,
    undecided: reasons(plan),
    chosen: new Set(plan.allocations.flatMap(({ at, kind }) => (kind === 'port' ? [formatPath(at)] : [])))
  }
  const usage = usageOf(plan)
  const { topology, allocations, unallocated } = plan
  const blocks = [
    title(view, usage),
    hostBlock(view),
    ...networkBlocks(view, usage),
    pairBlock(view),
    poolBlock(view, usage.pools),
    reservedBlock(view),
    nodeBlock(view, 'Containers', topology.containers),
    nodeBlock(view, 'Machines', topology.vms),
    portBlock(view),
    allocations.length === 0 && !unallocated.some(isUniqueLocal)
      ? []
      : folded('* ', 'not written down yet; "netplan plan --write" writes it into the file', width)
  ]
  return `${blocks
    .filter(lines => lines.length > 0)
    .map(lines => lines.join('\n'))
    .join('\n\n')}\n`
}

const title = ({ plan, paint, width }: View, { networks }: Usage): readonly string[] => {
  const { topology, ports, pairs } = plan
  const { name, containers, vms } = topology
  const counted: readonly (readonly [number, string, string?])[] = [
    [networks.length, 'network'],
    [pairs.length, 'veth pair'],
    [containers.length, 'container', off(containers)],
    [vms.length, 'machine', off(vms)],
    [ports.length, 'host port']
  ]
  const text = counted
    .filter(([number]) => number > 0)
    .map(([number, what, more = '']) => `${grouped(number)} ${what}${number === 1 ? '' : 's'}${more}`)
    .join(', ')
  const all = text === '' ? 'no network, container or port of the host' : text
  return folded('', name === undefined ? all : `${name}: ${all}`, width).map(paint.bold)
}

const off = (nodes: readonly (Container | Vm)[]): string => {
  const number = nodes.filter(({ enabled }) => !enabled).length
  return number === 0 ? '' : ` (${grouped(number)} off)`
}

const heading = ({ paint }: View, text: string): string => paint.bold(text)

/** The first of many rows, and what is to be said of the others. */
const first = <T>(
  { all }: View,
  items: readonly T[],
  most: number = MOST
): { readonly shown: readonly T[]; readonly more: number } =>
  all || items.length <= most + 1
    ? { shown: items, more: 0 }
    : { shown: items.slice(0, most), more: items.length - most }

const moreLine = ({ paint }: View, more: number, what: string): readonly string[] =>
  more === 0 ? [] : [paint.dim(`  … and ${grouped(more)} more${what === '' ? '' : ` ${what}`} (--all)`)]

/** Rows with their titles over them; those whose number is in `faint` are dim. */
const table = (
  { paint, width }: View,
  titles: Row,
  rows: readonly Row[],
  least: readonly (number | undefined)[],
  { right, faint }: { readonly right?: readonly number[]; readonly faint?: ReadonlySet<number> } = {}
): readonly string[] =>
  rows.length === 0
    ? []
    : aligned([titles, ...rows], {
        indent: 2,
        width,
        least,
        ...(right === undefined ? {} : { right })
      }).map((line, i) => (i === 0 || faint?.has(i - 1) === true ? paint.dim(line) : line))

// Addresses

const shown = (view: View, address: AddressText): string => {
  const { prefix, bare, auto, text } = address
  if (prefix !== undefined) return `${bare ? formatAddr(prefix) : formatPrefix(prefix)}${auto ? '*' : ''}`
  return auto ? undecidedText(view, address) : `${text} (no address)`
}

const undecidedText = ({ undecided }: View, { at }: Pick<AddressText, 'at'>): string => {
  const why = undecided.get(formatPath(at))
  return why === undefined ? 'auto' : `auto (${why})`
}

/** Why an `auto` has no value, by its place; a bridge may lack a network of each family. */
const reasons = ({ unallocated }: Plan): ReadonlyMap<string, string> => {
  const known = new Map<string, string>()
  const isWaiting = unallocated.some(isUniqueLocal)
  for (const entry of unallocated) {
    const key = formatPath(entry.at)
    const other = known.get(key)
    const why = whyNot(entry, isWaiting)
    known.set(key, other === undefined ? why : `${other}; ${why}`)
  }
  return known
}

const whyNot = (entry: Unallocated, isWaiting: boolean): string => {
  const { reason, within, family, wanted, kind } = entry
  if (isUniqueLocal(entry)) return 'IPv6: --write chooses it'
  if (reason === 'no-bridge') return 'no such bridge'
  if (reason === 'no-network') return `no IPv${family} network${isWaiting && family === 6 ? ' yet' : ''}`
  if (reason === 'no-pool') return within === undefined ? `no IPv${family} pool` : `no pool in ${within.text}`
  const place = within?.text ?? 'every pool'
  return kind === 'subnet' ? `no room for ${plural(wanted, 'host')} in ${place}` : `${place} is full`
}

// Networks

const hostBlock = (view: View): readonly string[] => {
  const { host } = view.plan.topology
  const { shown: some, more } = first(view, host.configured)
  if (some.length === 0) return []
  const parents = new Map(host.macvlans.map(({ name, interface: parent }) => [name, parent.name]))
  const rows = some.flatMap(({ name, dhcp, addresses }) => {
    const parent = parents.get(name)
    const texts = [
      ...(parent === undefined ? [] : [`macvlan of ${parent}`]),
      ...(dhcp ? ['by DHCP'] : []),
      ...addresses.map(address => shown(view, address))
    ]
    return (texts.length === 0 ? ['none'] : texts).map((text, i): Row => [i === 0 ? name : '', text])
  })
  const gateways = [host.defaultGateway, host.defaultGateway6].flatMap(gateway => gatewayText(view, gateway))
  return [
    heading(view, 'Host'),
    ...table(view, ['interface', 'address'], rows, [8, ADDRESS]),
    ...moreLine(view, more, 'interfaces'),
    ...(gateways.length === 0 ? [] : folded('    ', `gateway ${gateways.join(', ')}`, view.width))
  ]
}

const networkBlocks = (view: View, { networks, outsiders }: Usage): readonly (readonly string[])[] => {
  // The network of an ordinary interface is of interest where somebody else of the file is in it.
  const detailed = networks.filter(
    ({ bridge, holders }) =>
      bridge !== undefined || holders.some(({ claims }) => claims.some(({ kind }) => kind !== 'host'))
  )
  const { shown: some, more } = first(view, detailed, MOST_NETWORKS)
  const known = new Set(networks.map(({ bridge }) => bridge))
  const others = Array.from(outsiders).filter(([bridge, links]) => links.length > 0 || !known.has(bridge))
  const { shown: someOthers, more: moreOthers } = first(view, others, MOST_NETWORKS)
  const interfaces = ifnames(view.plan)
  return [
    summary(view, networks),
    ...some.map(network => networkBlock(view, network, interfaces)),
    moreLine(view, more, 'networks, each with its addresses'),
    ...someOthers.map(([bridge, links]) => outsiderBlock(view, bridge, links, known.has(bridge))),
    moreLine(view, moreOthers, 'bridges with somebody in no network')
  ]
}

/** All networks, each on a line. */
const summary = (view: View, networks: readonly NetworkUsage[]): readonly string[] => {
  if (networks.length < MANY_NETWORKS) return []
  const { shown: some, more } = first(view, networks)
  return [
    heading(view, 'Networks'),
    ...table(
      view,
      ['on', 'network', 'usable', 'used', 'kept', 'free', 'fits in', 'can grow to'],
      some.map(network => [
        network.ifname,
        prefixText(network),
        grouped(network.usable),
        grouped(network.used),
        network.withheld === 0n ? '' : grouped(network.withheld),
        network.open ? '' : grouped(network.left),
        network.open || network.fits === undefined || isSubnet6(network) ? '' : `/${network.fits}`,
        network.growth?.kind === 'free' ? `/${network.growth.next.bits}` : ''
      ]),
      [8],
      { right: [2, 3, 4, 5, 6, 7] }
    ),
    ...moreLine(view, more, 'networks')
  ]
}

const prefixText = ({ prefix, subnet }: NetworkUsage): string =>
  `${formatPrefix(prefix)}${subnet?.address.auto === true ? '*' : ''}`

/** Nobody counts the hosts of such a network. */
const isSubnet6 = ({ prefix }: NetworkUsage): boolean => prefix.family === 6 && prefix.bits <= 64

const networkBlock = (
  view: View,
  network: NetworkUsage,
  interfaces: ReadonlyMap<AddressText, string>
): readonly string[] => {
  const { holders, kept, ifname } = network
  const rows: { readonly value: bigint; readonly row: Row; readonly faint: boolean }[] = []
  for (const holder of holders)
    for (const row of holderRows(holder, interfaces))
      rows.push({
        value: holder.addr.value,
        row,
        faint: holder.claims.length > 0 && holder.claims.every(({ enabled }) => !enabled)
      })
  if (kept.length > 0) {
    for (const range of kept)
      rows.push({
        value: range.from.value,
        row: [`${rangeText(range.from, range.to)} ${keptText(range)}`],
        faint: false
      })
    rows.sort((a, b) => (a.value < b.value ? -1 : a.value > b.value ? 1 : 0))
  }
  const { shown: some, more } = first(view, rows)
  return [
    ...folded('', `${ifname}  ${prefixText(network)}  ${counts(network)}`, view.width).map(view.paint.bold),
    ...table(
      view,
      ['address', 'who', 'inside', 'on the host'],
      some.map(({ row }) => row),
      [undefined, 8, 8, 8],
      { faint: new Set(some.flatMap(({ faint }, i) => (faint ? [i] : []))) }
    ),
    ...moreLine(view, more, ''),
    ...freeLines(view, network),
    ...noteLines(view, network)
  ]
}

const counts = ({ usable, used, withheld, kept, left, open }: NetworkUsage): string =>
  [
    `${grouped(usable)} usable`,
    `${grouped(used)} used`,
    ...(withheld === 0n
      ? []
      : [`${grouped(withheld)} ${kept.every(({ kind }) => kind === 'dhcp') ? 'for DHCP' : 'kept'}`]),
    `${grouped(left)} ${open ? 'not in the file' : 'free'}`
  ].join(', ')

const rangeText = (from: Addr, to: Addr): string => {
  const number = to.value - from.value + 1n
  return `${number === 1n ? formatAddr(from) : `${formatAddr(from)} - ${formatAddr(to)}`} (${grouped(number)})`
}

const keptText = ({ kind, by }: Kept): string => {
  if (kind === 'dhcp') return by === undefined ? 'given out by DHCP' : `given out by DHCP, ${by}`
  return kind === 'excluded' ? `excluded by pool ${by ?? ''}` : `belongs to ${by ?? 'another network'}`
}

const freeLines = (view: View, { free, open, left }: NetworkUsage): readonly string[] => {
  const { paint, all, width } = view
  const word = open ? 'not in the file' : 'free'
  const most = all || free.ranges.length <= MOST_RANGES + 1 ? free.ranges.length : MOST_RANGES
  const some = Array.from(spans({ ...free, ranges: free.ranges.slice(0, most) }))
  const others = { ...free, ranges: free.ranges.slice(most) }
  let rest = left
  for (const { first, last } of some) rest -= last.value - first.value + 1n
  const widest = Array.from(spans(others)).reduce<Span | undefined>(
    (widest, span) => (widest === undefined || widthOf(span) > widthOf(widest) ? span : widest),
    undefined
  )
  const more = `and ${grouped(others.ranges.length)} more ranges with ${grouped(rest)} addresses ${word}`
  return [
    ...some.flatMap(({ first, last }) => folded('  ', `${word} ${rangeText(first, last)}`, width)),
    ...(widest === undefined
      ? []
      : folded('  … ', `${more} (--all), the widest ${rangeText(widest.first, widest.last)}`, width))
  ].map(paint.dim)
}

const widthOf = ({ first, last }: Span): bigint => last.value - first.value

/** Whether the network is too wide or too narrow, where it can go, and what the figures do not say. */
const noteLines = (view: View, network: NetworkUsage): readonly string[] => {
  const { open, bridge, subnet, wanted, usable, fits, growth, room } = network
  const notes: string[] = []
  if (bridge !== undefined && subnet === undefined) notes.push('the host has no address in it')
  if (open)
    notes.push(
      bridge?.bridge.vlanAware === true && !bridge.open
        ? 'each VLAN may have this network for itself'
        : 'machines that are not in the file may have addresses here'
    )
  else if (!isSubnet6(network)) {
    if (wanted > usable) {
      const width = fits === undefined ? 'no network has room for them' : `they fit in /${fits}`
      notes.push(`too narrow: ${grouped(wanted)} addresses are wanted, ${width}`)
    } else {
      if (fits !== undefined) notes.push(`fits in /${fits}`)
      notes.push(room === 0n ? 'full' : `${grouped(room)} more fit`)
    }
    notes.push(...growthText(growth))
  }
  return notes.length === 0 ? [] : folded('  ', notes.join('; '), view.width)
}

const growthText = (growth: Growth | undefined): readonly string[] => {
  if (growth === undefined) return []
  const next = formatPrefix(growth.next)
  if (growth.kind === 'free') return [`then it can grow to ${next}`]
  return [
    `it cannot grow to ${next}, ${growth.kind === 'edge' ? 'which is not private' : `${growth.by} is there`}`
  ]
}

/** By which interface of the host an address of its own is reached. */
const ifnames = ({ topology, bridges }: Plan): ReadonlyMap<AddressText, string> => {
  const names = new Map<AddressText, string>()
  for (const { name, addresses } of topology.host.configured)
    for (const address of addresses) names.set(address, name)
  for (const { bridge } of bridges.values())
    for (const address of bridge.addresses) names.set(address, bridge.name)
  return names
}

/** Who has an address: mostly one. The address stands in the first row only. */
const holderRows = (
  { addr, claims, role }: Holder,
  interfaces: ReadonlyMap<AddressText, string>
): readonly Row[] => {
  const address = `${formatAddr(addr)}${claims.some(({ text }) => text.auto) ? '*' : ''}`
  if (claims.length === 0) return [[address, `${role ?? 'somebody'}, not in the file`, '', '']]
  const fixed = claims
    .filter(({ kind }) => kind !== 'virtual')
    .map(
      ({ text, kind, link, enabled }): Row =>
        link === undefined || kind !== 'local'
          ? ['the host', '', link?.hostIfname ?? interfaces.get(text) ?? '']
          : [`${nameOf(link.node)}${enabled ? '' : stateOf(link)}`, link.ifname, link.hostIfname]
    )
  const virtual = claims
    .filter(({ kind }) => kind === 'virtual')
    .map(({ owner }) => owner.replaceAll('"', ''))
  const rows = virtual.length === 0 ? fixed : [...fixed, [`virtual, of ${listed(virtual)}`, '', '']]
  return rows.map(([who = '', ...row], i) => (i === 0 ? [address, who, ...row] : ['', `also ${who}`, ...row]))
}

const nameOf = (node: Container | Vm): string => ('kind' in node ? `${node.name} (machine)` : node.name)

const stateOf = ({ node }: Link): string => (node.enabled ? ' (without effect)' : ' (off)')

/** Who is on a bridge beside its networks. */
const outsiderBlock = (
  view: View,
  { bridge }: BridgePlan,
  others: readonly Outsider[],
  hasNetwork: boolean
): readonly string[] => {
  const undecided = bridge.addresses.filter(({ prefix, auto }) => prefix === undefined && auto)
  const text =
    undecided.length > 0
      ? undecided.map(address => undecidedText(view, address)).join(', ')
      : hasNetwork
        ? 'members without an address in its networks'
        : bridge.dhcp === undefined
          ? 'no network'
          : 'the host asks for an address by DHCP'
  const { shown: some, more } = first(view, others.toSorted(byPlace))
  return [
    ...folded('', `${bridge.name}  ${text}`, view.width).map(view.paint.bold),
    ...table(
      view,
      ['address', 'who', 'inside', 'on the host'],
      some.map(other => outsiderRow(view, other)),
      [ADDRESS, 8, 8, 8]
    ),
    ...moreLine(view, more, '')
  ]
}

const byPlace = ({ address: a }: Outsider, { address: b }: Outsider): number =>
  compareAddresses(a?.prefix, b?.prefix)

/** By family and number; what is not known stands last. */
const compareAddresses = (a: Addr | undefined, b: Addr | undefined): number => {
  if (a === undefined || b === undefined) return (a === undefined ? 1 : 0) - (b === undefined ? 1 : 0)
  return a.family - b.family || (a.value < b.value ? -1 : a.value > b.value ? 1 : 0)
}

const outsiderRow = (view: View, { link, address }: Outsider): Row => [
  addressOrNone(view, link, address),
  nameOf(link.node),
  link.ifname,
  link.hostIfname
]

const asks = ({ node, ifname }: Link): boolean =>
  'inside' in node &&
  ((node.dhcp && ifname === 'eth0') ||
    node.inside.interfaces.some(({ name, dhcp }) => dhcp && name === ifname))

const pairBlock = (view: View): readonly string[] => {
  const { shown: some, more } = first(view, view.plan.pairs.toSorted(byFirstAddress))
  if (some.length === 0) return []
  return [
    heading(view, 'Veth pairs'),
    ...table(
      view,
      ['address', 'who', 'inside', 'on the host'],
      some.flatMap(link => pairRows(view, link)),
      [ADDRESS, 8, 8, 8]
    ),
    ...moreLine(view, more, 'pairs')
  ]
}

/** Both ends, one family after the other. */
const pairRows = (view: View, link: PairLink): readonly Row[] => {
  const { hostIfname, hostAddresses, addresses, node, ifname } = link
  const inside = addresses.length > 0 ? addresses : [undefined]
  const rows = [
    ...hostAddresses.map(address => ({ address, row: ['the host', '', hostIfname] })),
    ...inside.map(address => ({ address, row: [node.name, ifname, hostIfname] }))
  ]
  const rank = (address: AddressText | undefined): number => (address === undefined ? 8 : familyOf(address))
  return rows
    .sort((a, b) => rank(a.address) - rank(b.address))
    .map(({ address, row }) => [addressOrNone(view, link, address), ...row])
}

const addressOrNone = (view: View, link: Link, address: AddressText | undefined): string =>
  address === undefined ? (asks(link) ? 'by DHCP' : 'none') : shown(view, address)

const byFirstAddress = (a: Link, b: Link): number =>
  compareAddresses(
    (a.hostAddresses[0] ?? a.addresses[0])?.prefix,
    (b.hostAddresses[0] ?? b.addresses[0])?.prefix
  )

const poolBlock = (view: View, pools: readonly PoolUsage[]): readonly string[] => {
  const { shown: some, more } = first(view, pools)
  if (some.length === 0) return []
  const rows = some.flatMap(({ name = '(built in)', addresses, ports }): readonly Row[] => [
    ...(addresses === undefined
      ? []
      : [
          [
            name,
            formatPrefix(addresses.prefix),
            `${grouped(addresses.left)} of ${grouped(size(addresses.prefix.family, addresses.prefix.bits))} left`,
            addresses.widest === undefined ? 'full' : `room for ${formatPrefix(addresses.widest)}`
          ]
        ]),
    ...(ports === undefined
      ? []
      : [
          [
            name,
            `ports ${ports.range.from}-${ports.range.to}`,
            `${grouped(ports.left)} of ${grouped(ports.range.to - ports.range.from + 1)} left`,
            ''
          ]
        ])
  ])
  return [
    heading(view, 'Pools'),
    ...table(view, ['pool', 'from', 'left', 'widest network left'], rows, [8]),
    ...moreLine(view, more, 'pools')
  ]
}

const reservedBlock = (view: View): readonly string[] => {
  const { shown: some, more } = first(view, view.plan.topology.reserved)
  if (some.length === 0) return []
  return [
    heading(view, 'Reserved'),
    ...table(
      view,
      ['network', 'for'],
      some.map(({ prefix, for: owner = '' }) => [shown(view, prefix), owner]),
      [ADDRESS, 8]
    ),
    ...moreLine(view, more, 'networks')
  ]
}

// Containers and machines

const nodeBlock = (view: View, name: string, nodes: readonly (Container | Vm)[]): readonly string[] => {
  const { shown: some, more } = first(view, nodes)
  if (some.length === 0) return []
  const rows = some.map(node => nodeRows(view, node))
  const lines = aligned([['name', 'inside', 'on the host', 'attached to', 'addresses'], ...rows.flat()], {
    indent: 2,
    width: view.width,
    least: [8, 8, 8, 8, ADDRESS]
  })
  const out = [heading(view, name), view.paint.dim(lines[0] ?? '')]
  let line = 1
  for (const [i, node] of some.entries()) {
    const next = line + (rows[i]?.length ?? 0)
    const own = [...lines.slice(line, next), ...wayLines(view, node)]
    line = next
    out.push(...(node.enabled ? own : own.map(view.paint.dim)))
  }
  return [...out, ...moreLine(view, more, name.toLowerCase())]
}

/** Those of one that is switched off are what it would have. */
const linksOf = ({ plan }: View, node: Container | Vm): readonly Link[] => {
  const links = plan.linksOf.get(node)
  if (links !== undefined || node.enabled) return links ?? []
  return 'kind' in node ? vmLinks(node, plan.bridges) : containerLinks(node, plan.bridges)
}

const nodeRows = (view: View, node: Container | Vm): readonly Row[] => {
  const name = node.enabled ? node.name : `${node.name} (off)`
  const links = linksOf(view, node)
  if (links.length === 0) return [[name, '', '', placeOf(node), '']]
  return links.flatMap((link, i) => {
    const addresses =
      link.addresses.length > 0
        ? link.addresses.map(address => shown(view, address))
        : [asks(link) ? 'by DHCP' : 'none']
    return addresses.map(
      (address, j): Row => [
        i === 0 && j === 0 ? name : '',
        ...(j === 0 ? [link.ifname, link.hostIfname, attachment(link)] : ['', '', '']),
        address
      ]
    )
  })
}

/** Where a container without an interface of its own is. */
const placeOf = (node: Container | Vm): string => {
  if ('kind' in node) return 'no interface'
  if (node.namespacePath !== undefined) return `namespace ${node.namespacePath}`
  return isPrivate(node) ? 'no interface' : "the host's network"
}

const attachment = (link: Link): string => {
  const { kind, container, bridgeName, at } = link
  if (bridgeName !== undefined) return link.bridge === undefined ? `${bridgeName} (missing)` : bridgeName
  if (kind === 'veth') return 'pair'
  if (kind === 'moved') return 'moved from the host'
  const parent = container?.macvlans.find(entry => entry.at === at)
  return kind === 'macvlan' && parent !== undefined ? `macvlan of ${hostName(parent.name)}` : kind
}

/** Its ways out, and whom it asks for names: on one line where there is room. */
const wayLines = (view: View, node: Container | Vm): readonly string[] => {
  const texts = 'kind' in node ? [machineGateways(view, node)] : [containerGateways(view, node), dnsOf(node)]
  const said = texts.filter(text => text !== '').map(printable)
  const line = `    ${said.join('; ')}`
  if (said.length === 0) return []
  return line.length <= view.width ? [line] : said.flatMap(text => folded('    ', text, view.width))
}

const machineGateways = (view: View, { defaultGateway, defaultGateway6 }: Vm): string => {
  const gateways = [defaultGateway, defaultGateway6].flatMap(gateway => gatewayText(view, gateway))
  return gateways.length === 0 ? '' : `gateway ${gateways.join(', ')}`
}

const containerGateways = (view: View, container: Container): string => {
  const links = linksOf(view, container)
  if (links.length === 0) return ''
  const ways: string[] = []
  const without: string[] = []
  for (const family of FAMILIES) {
    const routes = defaultRoutes(view.plan, container, family)
    if (routes.length > 0) ways.push(routesText(view, routes, family))
    else if (links.some(({ addresses }) => addresses.some(address => address.prefix?.family === family)))
      without.push(`IPv${family}`)
  }
  return [
    ...(ways.length === 0 ? [] : [`gateway ${ways.join(', ')}`]),
    ...(without.length === 0 ? [] : [`no gateway for ${listed(without)}`])
  ].join('; ')
}

/** The routers, each with all that names it. */
const routesText = (view: View, routes: readonly DefaultRoute[], family: Family): string => {
  const sources = new Map<string, string[]>()
  const texts: string[] = []
  for (const { source, via } of routes) {
    if (via === undefined) texts.push(WITHOUT_ADDRESS[source])
    else {
      const router = bareText(view, via)
      const known = sources.get(router) ?? []
      sources.set(router, known)
      known.push(family === 6 && source !== 'route' ? `${source}6` : source)
    }
  }
  return [...Array.from(sources, ([router, names]) => `${router} (${names.join(', ')})`), ...texts].join(
    ' or '
  )
}

const WITHOUT_ADDRESS: Readonly<Record<DefaultRoute['source'], string>> = {
  hostAddress: 'on the link (hostAddress)',
  defaultGateway: 'on the link (defaultGateway)',
  route: 'on the link (route)',
  dhcp: 'by DHCP',
  advertisement: 'by IPv6 advertisements'
}

const gatewayText = (view: View, gateway: Gateway | undefined): readonly string[] =>
  gateway === undefined ? [] : [bareText(view, gateway.address)]

const bareText = (view: View, address: AddressText): string =>
  address.prefix === undefined
    ? shown(view, address)
    : `${formatAddr(address.prefix)}${address.auto ? '*' : ''}`

/** Whom a container asks for names (nixpkgs, container-config.nix and stage-2-init.sh). */
const dnsOf = (container: Container): string => {
  const { nameservers, resolved, useHostResolvConf, copyResolvConf, dhcp, inside } = container
  const named = listed(
    nameservers.map(({ prefix, text }) => (prefix === undefined ? text : formatAddr(prefix)))
  )
  if (resolved) return named === '' ? 'DNS: resolved' : `DNS: resolved, which asks ${named}`
  if (useHostResolvConf !== false && copyResolvConf) return "DNS: a copy of the host's resolv.conf"
  if (named !== '') return `DNS: ${named}`
  return dhcp || inside.interfaces.some(({ dhcp }) => dhcp) ? 'DNS: by DHCP' : 'DNS: none'
}

// Ports

const portBlock = (view: View): readonly string[] => {
  const { plan } = view
  const sorted = [...plan.ports].sort(
    (a, b) =>
      a.from - b.from || a.to - b.to || (a.protocol < b.protocol ? -1 : a.protocol > b.protocol ? 1 : 0)
  )
  const { shown: some, more } = first(view, sorted)
  const undecided = plan.topology.having.forwardPorts.flatMap(container =>
    container.enabled && container.privateNetwork
      ? container.veth.forwardPorts
          .filter(({ hostPort }) => hostPort === undefined)
          .map(forward => ({ container, forward }))
      : []
  )
  const rows = some.map(
    (claim): Row => [
      `${claim.from === claim.to ? claim.from : `${claim.from}-${claim.to}`}${view.chosen.has(formatPath(claim.at)) ? '*' : ''}`,
      claim.protocol,
      boundText(view, claim),
      takerOf(view, claim)
    ]
  )
  const { shown: waiting, more: moreWaiting } = first(view, undecided)
  for (const { container, forward } of waiting)
    rows.push([
      undecidedText(view, { at: [...forward.at, 'hostPort'] }),
      forward.protocol.text,
      'any',
      `forward to ${container.name}${forward.containerPort === undefined ? '' : ` port ${forward.containerPort}`}`
    ])
  if (rows.length === 0) return []
  return [
    heading(view, 'Ports of the host'),
    ...table(view, ['port', 'protocol', 'address', 'who'], rows, [undefined, undefined, undefined, 20]),
    ...moreLine(view, more + moreWaiting, 'ports')
  ]
}

const takerOf = ({ plan }: View, claim: PortClaim): string => {
  const { kind, owner, container, at, from } = claim
  if (kind === 'nspawn') {
    const i = at.at(-2)
    const port = typeof i === 'number' ? container?.veth.forwardPorts[i]?.containerPort : undefined
    return `forward to ${container?.name ?? ''} port ${port ?? from}`
  }
  const destination = destinationOf(plan, claim)
  if (destination?.address === undefined) return owner.replaceAll('"', '')
  const { ports = claim } = destination
  const home = plan.addresses
    .owners(destination.address)
    ?.find(({ kind, enabled }) => kind === 'local' && enabled)
  const inside = ports.from === ports.to ? `port ${ports.from}` : `ports ${ports.from}-${ports.to}`
  const address = formatAddr(destination.address)
  return home?.link === undefined
    ? `NAT to ${address} ${inside}`
    : `NAT to ${home.link.node.name} ${inside} (${address})`
}

/** Where a forward of NAT leads. */
const destinationOf = ({ topology }: Plan, { kind, at }: PortClaim): DestinationText | undefined => {
  const i = at.at(-2)
  return kind === 'nat' && typeof i === 'number' ? topology.nat?.forwardPorts[i]?.destination : undefined
}

/** NAT forwards within a family. */
const boundText = (view: View, claim: PortClaim): string => {
  if (claim.address !== undefined) return formatAddr(claim.address)
  const family = destinationOf(view.plan, claim)?.address?.family
  return family === undefined ? 'any' : `any IPv${family}`
}
