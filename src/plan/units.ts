import type {
  AddressText,
  Bond,
  Bridge,
  Gateway,
  Interface,
  Macvlan,
  Netdev,
  Network,
  Route,
  Topology,
  Vlan
} from '../model/topology.ts'
import { formatAddr, isLinkLocal6 } from '../net/addr.ts'
import { formatMac } from '../net/mac.ts'
import { contains, first, formatNetwork, formatPrefix, type Prefix } from '../net/prefix.ts'
import { byName, compareTexts } from '../text/order.ts'
import { cardOf, hostName, realParent } from './links.ts'
import { hostDevices, runsNetworkd, writtenNetdevs } from './networkd.ts'
import { type BridgePlan, type Device, FAMILIES, type Link, type Plan } from './plan.ts'

// The units that systemd-networkd needs so that the host becomes what the plan says: for bridges, for what becomes a port
// of one, and for the VLANs, macvlans and bonds below and above them. What is written by hand in host.networkd stays with
// the hand.

/** A file of systemd-networkd. */
export interface Unit {
  /** With its suffix: `20-br0.netdev`. */
  readonly file: string
  readonly sections: readonly UnitSection[]
}

/** A section: its keys in order, one of them several times where it has several values. */
export interface UnitSection {
  readonly name: string
  readonly settings: readonly UnitSetting[]
}

export type UnitSetting = readonly [key: string, value: string | number | boolean]

/** Who writes what on the host. */
export interface Scope {
  /**
   * all: everything is networkd's. nixos: bridges that NixOS is to make by systemd.network; networking.vlans and
   * networking.bonds make the others.
   */
  readonly target: 'all' | 'nixos'
}

/** Who is to make a bridge on NixOS, where the file leaves it open: its own scripts, unless networkd is there anyway. */
export const makerOf = ({ host }: Topology, { definedBy }: Bridge): 'networkd' | 'scripted' =>
  definedBy === 'networkd' || definedBy === 'scripted'
    ? definedBy
    : definedBy === 'both' || runsNetworkd(host) === true || host.manager === 'networkmanager'
      ? 'networkd'
      : 'scripted'

/** An interface of the host that the plan asks something of, and what. */
export interface Layer {
  readonly name: string
  /** The bridge or bond that it becomes a port of. */
  readonly bridge: Bridge | undefined
  readonly bond: Bond | undefined
  /** The VLANs and macvlans on it. */
  readonly carried: readonly (Vlan | Macvlan)[]
  /** What it is itself, where the host has to make it. */
  readonly vlan: Vlan | undefined
  readonly macvlan: Macvlan | undefined
  readonly ownBond: Bond | undefined
  /** Its entry in host.interfaces. */
  readonly own: Interface | undefined
}

/**
 * The interfaces that the bridges stand on, in name order, VLANs on bridges and those that containers take, and macvlans
 * on bridges and beside those of containers; the host's other interfaces are its own affair.
 */
export const layersOf = ({ topology, links }: Plan, bridges: readonly Bridge[]): readonly Layer[] => {
  const { host } = topology
  const macvlans = new Map(host.macvlans.map(macvlan => [macvlan.name, macvlan]))
  const beside = new Set(
    links.flatMap(link => (link.kind === 'macvlan' ? realParent(topology, cardOf(link)) : []))
  )
  const vlans = new Map(host.vlans.map(vlan => [vlan.name, vlan]))
  const bonds = new Map(host.bonds.map(bond => [bond.name, bond]))
  const bridgeOf = new Map(bridges.flatMap(bridge => bridge.interfaces.map(({ name }) => [name, bridge])))
  const bondOf = new Map(host.bonds.flatMap(bond => bond.interfaces.map(({ name }) => [name, bond])))
  const names = new Set(bridges.map(({ name }) => name))
  const wanted = [
    ...bridgeOf.keys(),
    ...host.vlans.filter(vlan => names.has(vlan.interface.name)).map(({ name }) => name),
    ...host.macvlans.flatMap(({ name }) => {
      const parent = realParent(topology, name)
      return names.has(parent) || beside.has(parent) ? name : []
    }),
    ...links
      .flatMap(({ container }) => [...(container?.macvlans ?? []), ...(container?.interfaces ?? [])])
      .map(({ name }) => hostName(name))
      .filter(name => vlans.has(name) || bonds.has(name))
  ]
  const found = new Set<string>()
  for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
    if (found.has(name) || names.has(name)) continue
    found.add(name)
    const upper = vlans.get(name) ?? macvlans.get(name)
    if (upper !== undefined) wanted.push(upper.interface.name)
    for (const member of bonds.get(name)?.interfaces ?? []) wanted.push(member.name)
  }
  const own = new Map(host.interfaces.map(entry => [entry.name, entry]))
  const carried = new Map<string, (Vlan | Macvlan)[]>()
  for (const upper of [...byName(host.vlans), ...byName(host.macvlans)]) {
    if (!found.has(upper.name)) continue
    const others = carried.get(upper.interface.name)
    if (others === undefined) carried.set(upper.interface.name, [upper])
    else others.push(upper)
  }
  return [...found, ...names].sort(compareTexts).map(name => ({
    name,
    bridge: bridgeOf.get(name),
    bond: bondOf.get(name),
    carried: carried.get(name) ?? [],
    vlan: vlans.get(name),
    macvlan: macvlans.get(name),
    ownBond: bonds.get(name),
    own: own.get(name)
  }))
}

/** Whether the host's networkd would manage interfaces as it manages cards: its uplink is networkd's own. */
const isNetworkds = ({ host }: Topology): boolean => host.manager === 'networkd'

/** The hand-written unit that an interface is configured by, if it is. */
export const byHand = (plan: Plan, device: Device): Network | undefined => {
  const file = plan.networkFiles().taker(device)
  return typeof file === 'object' ? file.network : undefined
}

/** The hand-written unit of a card or bridge of the host. */
export const unitOf = (plan: Plan, ifname: string): Network | undefined => {
  const { networkd } = plan.topology.host
  if (networkd === undefined) return undefined
  const made = netdevsOf(plan.topology).get(ifname)
  const isMacvlan = realParent(plan.topology, ifname) !== ifname
  const kind = plan.bridges.has(ifname) ? 'bridge' : isMacvlan ? 'macvlan' : 'none'
  return byHand(plan, { name: ifname, kind: made?.kind ?? kind })
}

/** Whether a hand-written .netdev makes an interface. */
export const isMadeByHand = ({ topology }: Plan, name: string): boolean => netdevsOf(topology).has(name)

/** The hand-written .netdev files that are not switched off, by what they make. */
const netdevsOf = (topology: Topology): ReadonlyMap<string, Netdev> => {
  const known =
    NETDEVS.get(topology) ??
    new Map(
      (topology.host.networkd?.netdevs ?? [])
        .flatMap(netdev =>
          netdev.enable && netdev.name !== undefined ? [[netdev.name.text, netdev] as const] : []
        )
        // Of two that make the same the first counts.
        .toReversed()
    )
  NETDEVS.set(topology, known)
  return known
}

/** It is asked for each interface. */
const NETDEVS = new WeakMap<Topology, ReadonlyMap<string, Netdev>>()

/** The bridges that networkd makes on a host as it is: by units that the plan writes, or by those written by hand. */
export const networkdBridges = ({ topology }: Plan): ReadonlySet<Bridge> => {
  const { host, bridges } = topology
  const byHand = new Set(writtenNetdevs(host).map(({ name }) => name?.text))
  return new Set(
    bridges.filter(bridge => byHand.has(bridge.name) || makerOf(topology, bridge) === 'networkd')
  )
}

/** The bridges whose units are to be written. */
export const unitBridges = ({ topology }: Plan, { target }: Scope): readonly Bridge[] =>
  byName(topology.bridges).filter(bridge => target === 'all' || makerOf(topology, bridge) === 'networkd')

/** The units of the host, by file name. */
export const unitsOf = (plan: Plan, scope: Scope): readonly Unit[] => {
  const { topology, releases } = plan
  const taken = new Set([
    ...plan.networkFiles().all.map(({ file }) => file),
    ...(topology.host.networkd?.netdevs ?? []).map(({ file }) => `${file}.netdev`)
  ])
  /** A file of that number, or of the next lower one where NixOS or somebody else writes the file of that name. */
  const file = (number: number, name: string, suffix: string): string => {
    const path = `${number}-${name}.${suffix}`
    return taken.has(path) ? file(number - 1, name, suffix) : path
  }
  const bridges = unitBridges(plan, scope)
  const byName = new Map(bridges.map(bridge => [bridge.name, bridge]))
  const units: Unit[] = []
  for (const layer of layersOf(plan, bridges)) {
    const { name } = layer
    const bridge = byName.get(name)
    const bridgePlan = plan.bridges.get(name)
    const kind = bridge === undefined ? kindOf(layer) : 'bridge'
    const isOurs = kind === 'bridge' || scope.target === 'all'
    if (kind !== 'none' && isOurs && !isMadeByHand(plan, name))
      units.push({ file: file(20, name, 'netdev'), sections: netdev(layer, bridge) })
    if (byHand(plan, { name, kind }) !== undefined) continue
    const carried = scope.target === 'all' || isNetworkds(topology) ? layer.carried : []
    if (bridge !== undefined && bridgePlan !== undefined)
      units.push({
        file: file(40, name, 'network'),
        sections: bridgeNetwork(plan, bridgePlan, carried, releases.networkdForwarding)
      })
    else if (layer.bridge !== undefined || scope.target === 'all')
      units.push({ file: file(30, name, 'network'), sections: lowerNetwork(plan, layer, carried) })
  }
  const devices = hostDevices(plan)
  for (const link of plan.links) {
    const { hostIfname } = link
    const bridge = byName.get(link.bridgeName ?? '')
    if (bridge === undefined || !needsUnit(bridge, link)) continue
    const device = devices.get(hostIfname)
    if (device !== undefined && byHand(plan, device) !== undefined) continue
    units.push({ file: file(30, hostIfname, 'network'), sections: portNetwork(hostIfname, bridge) })
  }
  const pairs = pairsLeftAlone(plan, scope, units.length > 0)
  if (pairs !== undefined)
    units.push({
      file: file(10, 've', 'network'),
      sections: [
        {
          name: 'Match',
          settings: [
            ['Name', pairs],
            ['Kind', 'veth']
          ]
        },
        { name: 'Link', settings: [['Unmanaged', true]] }
      ]
    })
  return units.sort((a, b) => compareTexts(a.file, b.file))
}

const kindOf = ({ vlan, macvlan, ownBond }: Layer): 'vlan' | 'macvlan' | 'bond' | 'none' =>
  vlan !== undefined ? 'vlan' : macvlan !== undefined ? 'macvlan' : ownBond === undefined ? 'none' : 'bond'

/**
 * The host's ends of veth pairs that networkd must be told to leave alone, as Name= has them: else the file that systemd
 * ships for them gives them addresses, a DHCP server and NAT of its own (80-container-ve.network).
 */
const pairsLeftAlone = (plan: Plan, { target }: Scope, hasUnits: boolean): string | undefined => {
  if (target === 'nixos' && !hasUnits && runsNetworkd(plan.topology.host) !== true) return undefined
  const pairs = plan.pairs.filter(({ veth }) => !veth.extra)
  const left = pairs.filter(({ hostIfname: name }) => byHand(plan, { name, kind: 'veth' }) === undefined)
  if (left.length === 0) return undefined
  // A pattern would take those too that have a unit of somebody's own, which may come after this one.
  return left.length === pairs.length ? 've-*' : left.map(({ hostIfname }) => hostIfname).join(' ')
}

const match = (name: string): UnitSection => ({ name: 'Match', settings: [['Name', name]] })

const netdev = (
  { name, vlan, macvlan, ownBond }: Layer,
  bridge: Bridge | undefined
): readonly UnitSection[] => {
  const mac = bridge?.macAddress?.value
  const made = (kind: string): UnitSection => ({
    name: 'NetDev',
    settings: [
      ['Name', name],
      ['Kind', kind],
      ...(mac === undefined ? [] : [['MACAddress', formatMac(mac)] as const])
    ]
  })
  if (bridge !== undefined) {
    const settings: UnitSetting[] = []
    if (bridge.stp) settings.push(['STP', true])
    if (bridge.vlanAware) settings.push(['VLANFiltering', true])
    return [made('bridge'), { name: 'Bridge', settings }]
  }
  if (vlan !== undefined) return [made('vlan'), { name: 'VLAN', settings: [['Id', vlan.id]] }]
  if (macvlan !== undefined)
    return [
      made('macvlan'),
      { name: 'MACVLAN', settings: macvlan.mode === undefined ? [] : [['Mode', macvlan.mode]] }
    ]
  return [
    made('bond'),
    { name: 'Bond', settings: ownBond?.mode === undefined ? [] : [['Mode', ownBond.mode]] }
  ]
}

/** Whether a bridge has a carrier only while something runs on it: nothing that is always there is a port of it. */
export const canBeIdle = ({ bridge }: BridgePlan): boolean => bridge.interfaces.length === 0

const bridgeNetwork = (
  plan: Plan,
  bridgePlan: BridgePlan,
  carried: Layer['carried'],
  hasForwarding: boolean
): readonly UnitSection[] => {
  const { bridge } = bridgePlan
  const idle = canBeIdle(bridgePlan)
  const isSwitch = bridge.addresses.length === 0 && bridge.dhcp === undefined
  const ipv6 = linkLocal(plan, bridgePlan)
  const asked = bridge.acceptRA ?? (bridge.interfaces.length > 0 && !isSwitch)
  const acceptRA = plan.topology.host.enableIPv6 && asked
  const { network, sections } = routing(plan, bridge.name, bridge.addresses, bridge.routes)
  return [
    match(bridge.name),
    {
      name: 'Link',
      settings: [
        ...(bridge.mtu === undefined ? [] : [['MTUBytes', bridge.mtu] as const]),
        // Nobody may be on it yet, and one without an address never gets further than its carrier.
        ...(idle || isSwitch ? [['RequiredForOnline', false] as const] : [])
      ]
    },
    {
      name: 'Network',
      settings: [
        ...addressing(bridge),
        ['LinkLocalAddressing', ipv6 || acceptRA ? 'ipv6' : false],
        ['IPv6AcceptRA', acceptRA],
        ...(idle ? [['ConfigureWithoutCarrier', true] as const] : []),
        ...forwarding(bridge, hasForwarding),
        ...(bridge.proxyARP ? [['IPv4ProxyARP', true] as const] : []),
        ...network,
        ...carried.map(onto),
        ...(dhcpServer(plan, bridge) === undefined ? [] : [['DHCPServer', true] as const])
      ]
    },
    ...sections,
    ...(dhcpServer(plan, bridge) ?? []),
    ...portVlans(bridge, bridge.name)
  ]
}

const addressing = ({
  addresses,
  dhcp
}: {
  readonly addresses: readonly AddressText[]
  readonly dhcp: unknown
}): readonly UnitSetting[] => [
  ...addresses.flatMap(({ prefix }) =>
    prefix === undefined ? [] : [['Address', formatPrefix(prefix)] as const]
  ),
  ...(dhcp === undefined || dhcp === false ? [] : [['DHCP', true] as const])
]

/** Whether anything on a bridge uses IPv6, so that the host needs its link-local address there. */
const linkLocal = ({ topology }: Plan, { bridge, members }: BridgePlan): boolean =>
  topology.host.enableIPv6 &&
  (bridge.addresses.some(is6) || members.some(({ addresses }) => addresses.some(is6)))

const is6 = ({ prefix }: AddressText): boolean => prefix?.family === 6

/** Forwarding as this release of systemd spells it, and said beside IPMasquerade=, which does not imply it in each. */
const forwarding = ({ masquerade, forwarding }: Bridge, hasOwnKeys: boolean): readonly UnitSetting[] => {
  const both = masquerade[4] && masquerade[6]
  const settings: UnitSetting[] = []
  if (masquerade[4] || masquerade[6])
    settings.push(['IPMasquerade', both ? 'both' : masquerade[4] ? 'ipv4' : 'ipv6'])
  const wanted = (family: 4 | 6): boolean | undefined =>
    forwarding[family] ?? (masquerade[family] ? true : undefined)
  if (hasOwnKeys) {
    for (const family of FAMILIES) {
      const value = wanted(family)
      if (value !== undefined) settings.push([`IPv${family}Forwarding`, value])
    }
    return settings
  }
  const [four, six] = [wanted(4), wanted(6)]
  if (four === true || six === true)
    settings.push(['IPForward', four === true && six === true ? true : four === true ? 'ipv4' : 'ipv6'])
  else if (four === false || six === false) settings.push(['IPForward', false])
  return settings
}

interface Routing {
  readonly network: readonly UnitSetting[]
  readonly sections: readonly UnitSection[]
}

/** The host's default gateways that are behind an interface, and its routes there. */
const routing = (
  { topology }: Plan,
  name: string,
  addresses: readonly AddressText[],
  routes: readonly Route[]
): Routing => {
  const { host } = topology
  const behind = gatewaysBehind(topology, name, addresses)
  const network: UnitSetting[] = []
  const sections: UnitSection[] = []
  for (const { address, metric, source } of behind) {
    const router = address.prefix
    if (router === undefined) continue
    const onLink =
      isLinkLocal6(router) || addresses.some(({ prefix }) => prefix !== undefined && contains(prefix, router))
    if (onLink && metric === undefined && source === undefined) network.push(['Gateway', formatAddr(router)])
    else
      sections.push({
        name: 'Route',
        settings: [
          ['Gateway', formatAddr(router)],
          ...(onLink ? [] : [['GatewayOnLink', true] as const]),
          ...(metric === undefined ? [] : [['Metric', metric] as const]),
          ...(source?.prefix === undefined ? [] : [['PreferredSource', formatAddr(source.prefix)] as const])
        ]
      })
  }
  if (behind.length > 0)
    for (const { prefix } of host.nameservers)
      if (prefix !== undefined) network.push(['DNS', formatAddr(prefix)])
  for (const { destination, via } of routes)
    if (destination.prefix !== undefined)
      sections.push({
        name: 'Route',
        settings: [
          ['Destination', formatNetwork(destination.prefix)],
          ...(via?.prefix === undefined ? [] : [['Gateway', formatAddr(via.prefix)] as const])
        ]
      })
  return { network, sections }
}

/** The host's default gateways behind an interface: those that name it, or whose address lies in its networks. */
export const gatewaysBehind = (
  { host }: Topology,
  name: string,
  addresses: readonly AddressText[]
): readonly Gateway[] =>
  [host.defaultGateway, host.defaultGateway6].filter(
    (gateway): gateway is Gateway =>
      gateway !== undefined &&
      (gateway.interface === undefined
        ? addresses.some(({ prefix }) => isAround(prefix, gateway.address.prefix))
        : gateway.interface === name)
  )

const isAround = (prefix: Prefix | undefined, addr: Prefix | undefined): boolean =>
  prefix !== undefined && addr !== undefined && contains(prefix, addr)

/** networkd's own DHCP server on a bridge; undefined where it is another program's, or there is none. */
const dhcpServer = ({ topology }: Plan, bridge: Bridge): readonly UnitSection[] | undefined => {
  const server = topology.host.dhcpServers.find(
    ({ interface: { name }, program }) => name === bridge.name && program === 'networkd'
  )
  if (server === undefined) return undefined
  const { range } = server
  const around = bridge.addresses.find(({ prefix }) =>
    isAround(prefix, range && { ...range.from, bits: 0 })
  )?.prefix
  const settings: UnitSetting[] = []
  if (range !== undefined && around !== undefined) {
    if (bridge.addresses.length > 1) settings.push(['ServerAddress', formatPrefix(around)])
    settings.push(
      ['PoolOffset', Number(range.from.value - first(around).value)],
      ['PoolSize', Number(range.to.value - range.from.value) + 1]
    )
  }
  return [{ name: 'DHCPServer', settings }]
}

/** A port of a bridge or bond, a card below VLANs or macvlans, or a VLAN, macvlan or bond for itself. */
const lowerNetwork = (plan: Plan, layer: Layer, carried: Layer['carried']): readonly UnitSection[] => {
  const { name, bridge, bond, own } = layer
  const isPort = bridge !== undefined || bond !== undefined
  const addresses = isPort ? [] : (own?.addresses ?? [])
  const dhcp = !isPort && own?.dhcp === true
  const speaks = addresses.length > 0 || dhcp || own?.acceptRA === true
  const acceptRA = !isPort && plan.topology.host.enableIPv6 && (own?.acceptRA ?? speaks)
  const { network, sections } = routing(plan, name, addresses, isPort ? [] : (own?.routes ?? []))
  const mac = own?.macAddress?.value
  return [
    match(name),
    {
      name: 'Link',
      settings: [
        ...(mac === undefined ? [] : [['MACAddress', formatMac(mac)] as const]),
        ...(own?.mtu === undefined ? [] : [['MTUBytes', own.mtu] as const]),
        ...(isPort || speaks ? [] : [['RequiredForOnline', false] as const])
      ]
    },
    {
      name: 'Network',
      settings: [
        ...(bridge === undefined ? [] : [['Bridge', bridge.name] as const]),
        ...(bond === undefined || bridge !== undefined ? [] : [['Bond', bond.name] as const]),
        ...addressing({ addresses, dhcp }),
        ['LinkLocalAddressing', addresses.some(is6) || acceptRA ? 'ipv6' : false],
        ['IPv6AcceptRA', acceptRA],
        ...(own?.proxyARP === true ? [['IPv4ProxyARP', true] as const] : []),
        ...network,
        ...carried.map(onto)
      ]
    },
    ...sections,
    ...portVlans(bridge, name)
  ]
}

const onto = (upper: Vlan | Macvlan): UnitSetting => ['id' in upper ? 'VLAN' : 'MACVLAN', upper.name]

const portVlans = (bridge: Bridge | undefined, name: string): readonly UnitSection[] =>
  (bridge?.portVlans.find(port => port.name === name)?.sections ?? []).map(section => ({
    name: 'BridgeVLAN',
    settings: section
      .map(
        ({ at, text, value }): UnitSetting => [String(at.at(-1)), /^\d+$/.test(text) ? Number(text) : value]
      )
      .sort(([a], [b]) => compareTexts(b, a))
  }))

/** Whether the host's end of a link becomes the right port only by a unit: systemd-nspawn and libvirt see to theirs. */
export const needsUnit = ({ portVlans }: Bridge, { node, hostIfname }: Link): boolean =>
  ('kind' in node && node.kind === 'microvm') || portVlans.some(({ name }) => name === hostIfname)

const portNetwork = (name: string, bridge: Bridge): readonly UnitSection[] => [
  match(name),
  {
    name: 'Network',
    settings: [
      ['Bridge', bridge.name],
      ['LinkLocalAddressing', false],
      ['IPv6AcceptRA', false]
    ]
  },
  ...portVlans(bridge, name)
]
