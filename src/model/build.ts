import { parseAddr } from '../net/addr.ts'
import { first, last, parsePrefix } from '../net/prefix.ts'
import type { Path } from '../text/path.ts'
import {
  EMPTY,
  NOTHING,
  type ParseAddress,
  type Raw,
  address,
  addressParser,
  addresses,
  each,
  flag,
  gateway,
  items,
  mac,
  members,
  names,
  number,
  raw,
  text,
  under
} from './read.ts'
import {
  NO_UNITS,
  type UnitBridge,
  buildNetworkd,
  isNewTo,
  setting,
  unitBridges,
  withUnits
} from './networkd.ts'
import { buildNat } from './nat.ts'
import { firewall, protocol } from './firewall.ts'
import { sysctlName } from './sysctl.ts'
import {
  type AddressText,
  type Bridge,
  type Container,
  type ContainerForward,
  type DhcpServer,
  type Exclusion,
  type Expectation,
  type Host,
  type Inside,
  type Interface,
  type Listen,
  type Pool,
  type PortRange,
  type RareOption,
  type Route,
  type SettingText,
  type Topology,
  type Veth,
  type Vlan,
  type Vm,
  type Vpn
} from './topology.ts'

/** Data that holds against the schema, typed and with its defaults. Total: whatever is wrong in it is left for rules. */
export const buildTopology = (data: Raw): Topology => {
  const faultyAddresses: AddressText[] = []
  const seen = { IPv6: false, special: false, auto: false }
  const parse = addressParser(faultyAddresses, seen)
  const having = noneHaving()
  const rare = new Map<string, Container[]>(Object.entries(having))
  const host = buildHost(raw(data['host']), parse)
  const own = new Map(host.interfaces.map(entry => [entry.name, entry]))
  const units = host.networkd === undefined ? NO_UNITS : unitBridges(host.networkd)
  const written = raw(data['bridges'])
  const bridges = [
    ...members(data, 'bridges', EMPTY, (name, bridge, at) =>
      buildBridge(name, bridge, at, own.get(name), units.get(name), parse)
    ),
    ...Array.from(units.values())
      .filter(({ name, netdev }) => netdev !== undefined && !Object.hasOwn(written, name))
      .map(unit => buildBridge(unit.name, NOTHING, unit.netdev ?? unit.at, own.get(unit.name), unit, parse))
  ]
  const bridgeNames = new Set(bridges.map(({ name }) => name))
  const interfaces = host.interfaces.filter(({ name }) => !bridgeNames.has(name))
  const containers = members(data, 'containers', EMPTY, (name, written, at) => {
    const container = buildContainer(name, written, at, parse)
    for (const key of Object.keys(written)) rare.get(key)?.push(container)
    return container
  })
  return {
    name: text(data['name']),
    site: typeof data['site'] === 'string' ? { at: ['site'], name: data['site'] } : undefined,
    host: {
      ...host,
      interfaces,
      configured: withUnits(
        interfaces,
        host.networkd,
        new Set([
          ...bridgeNames,
          ...having.extraVeths.flatMap(({ extraVeths }) => extraVeths.map(({ ifname }) => ifname))
        ])
      )
    },
    nat: buildNat(data, [], parse),
    bridges,
    containers,
    vms: members(data, 'vms', [], (name, vm, at) => buildVm(name, vm, at, parse)),
    reserved: items(data, 'reserved', [], (entry, at) => ({
      at,
      prefix: parse(String(entry['prefix']), under(at, 'prefix')),
      for: text(entry['for'])
    })),
    pools: members(data, 'pools', EMPTY, (name, pool, at) => buildPool(name, pool, at, parse)),
    expectations: items(data, 'expect', EMPTY, buildExpectation),
    ignores: items(data, 'ignore', EMPTY, (entry, at) => ({
      at,
      rule: String(entry['rule']),
      place: text(entry['at']),
      reason: text(entry['reason']) ?? ''
    })),
    faultyAddresses,
    seen,
    having
  }
}

type Having = Record<RareOption, Container[]>

const noneHaving = (): Having => ({
  additionalCapabilities: [],
  defaultGateway6: [],
  dhcp: [],
  enableTun: [],
  extraFlags: [],
  extraVeths: [],
  firewall: [],
  flake: [],
  forwardPorts: [],
  hostAddress: [],
  hostAddress6: [],
  inside: [],
  interfaces: [],
  internet: [],
  listens: [],
  localAddress6: [],
  localMacAddress: [],
  macvlans: [],
  nameservers: [],
  networkNamespace: [],
  privateUsers: [],
  routes: [],
  useNetworkd: [],
  virtualAddresses: [],
  vpn: []
})

const buildPool = (name: string, pool: Raw, at: Path, parse: ParseAddress): Pool => {
  const ports = text(pool['ports'])
  return {
    at,
    name,
    prefix: address(pool, 'prefix', at, parse),
    ports: ports === undefined ? undefined : { at: under(at, 'ports'), text: ports, range: portsOf(ports) },
    exclude: each(pool['exclude'], (entry, i) => exclusion(String(entry), under(at, 'exclude', i)))
  }
}

const portsOf = (written: string): PortRange | undefined => {
  const [, low, high] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(written.trim()) ?? []
  const [from, to] = [Number(low), Number(high ?? low)]
  return low !== undefined && from >= 1 && from <= to && to <= 65535 ? { from, to } : undefined
}

const exclusion = (written: string, at: Path): Exclusion => {
  const ends = written.split('-').map(end => parsePrefix(end.trim()))
  const [low, high] = ends.map(end => ('value' in end ? end.value : undefined))
  const known = { at, text: written, addresses: undefined, ports: portsOf(written) }
  if (low === undefined || ends.length > 2) return known
  if (ends.length === 1) return { ...known, addresses: { from: first(low), to: last(low) } }
  return high === undefined || high.family !== low.family || high.value < low.value
    ? known
    : { ...known, addresses: { from: low, to: high } }
}

const buildExpectation = (written: Raw, at: Path): Expectation => {
  const port = number(written['port'])
  const family = number(written['family'])
  return {
    at,
    from: String(written['from']),
    to: String(written['to']),
    port,
    protocol: text(written['protocol']) ?? (port === undefined ? 'icmp' : 'tcp'),
    family: family === 4 || family === 6 ? family : undefined,
    outcome: written['outcome'] === 'blocked' ? 'blocked' : 'reaches',
    why: text(written['why'])
  }
}

const routes = (owner: Raw, at: Path, parse: ParseAddress): readonly Route[] =>
  items(owner, 'routes', at, (route, at) => ({
    at,
    destination: parse(String(route['address']), under(at, 'address')),
    via: address(route, 'via', at, parse),
    interface: text(route['interface'])
  }))

const listens = (owner: Raw, at: Path, parse: ParseAddress): readonly Listen[] =>
  items(owner, 'listens', at, (listen, at) => {
    const any = listen['address'] === 'any' || listen['address'] === '*'
    return {
      at,
      name: text(listen['name']),
      port: number(listen['port']) ?? 0,
      protocol: protocol(listen, 'protocol', at),
      address: any ? undefined : address(listen, 'address', at, parse)
    }
  })

const interfaces = (owner: Raw, at: Path, parse: ParseAddress): readonly Interface[] =>
  members(owner, 'interfaces', at, (name, written, at) => ({
    at,
    name,
    dhcp: flag(written['dhcp']) ?? false,
    acceptRA: flag(written['acceptRA']),
    addresses: addresses(written, 'address', at, parse),
    routes: routes(written, at, parse),
    macAddress: mac(written, 'macAddress', at),
    mtu: number(written['mtu']),
    proxyARP: flag(written['proxyARP']) ?? false
  }))

const vlans = (owner: Raw, at: Path): readonly Vlan[] =>
  members(owner, 'vlans', at, (name, vlan, at) => ({
    at,
    name,
    id: number(vlan['id']) ?? 0,
    interface: { at: under(at, 'interface'), name: String(vlan['interface']) }
  }))

const MACVLAN_MODES = ['bridge', 'vepa', 'private'] as const

const MANAGERS = ['networkd', 'networkmanager', 'scripted'] as const

const buildHost = (host: Raw, parse: ParseAddress): Host => {
  const at: Path = ['host']
  const own = interfaces(host, at, parse)
  return {
    at,
    name: text(host['name']),
    release: text(host['release']),
    kernel: text(host['kernel']),
    manager: MANAGERS.find(manager => manager === host['manager']),
    useDHCP: flag(host['useDHCP']),
    enableIPv6: flag(host['enableIPv6']) ?? true,
    enableContainers: flag(host['enableContainers']) ?? true,
    interfaces: own,
    configured: own,
    bonds: members(host, 'bonds', at, (name, bond, at) => ({
      at,
      name,
      interfaces: names(bond, 'interfaces', at),
      mode: text(bond['mode'])
    })),
    vlans: vlans(host, at),
    macvlans: members(host, 'macvlans', at, (name, macvlan, at) => ({
      at,
      name,
      interface: { at: under(at, 'interface'), name: String(macvlan['interface']) },
      mode: MACVLAN_MODES.find(mode => mode === macvlan['mode'])
    })),
    defaultGateway: gateway(host, 'defaultGateway', at, parse),
    defaultGateway6: gateway(host, 'defaultGateway6', at, parse),
    nameservers: addresses(host, 'nameservers', at, parse),
    resolvConf: addresses(host, 'resolvConf', at, parse),
    resolved: flag(host['resolved']),
    firewall: firewall(host, at),
    listens: listens(host, at, parse),
    sysctl: new Map(
      settings(raw(host['sysctl']), under(at, 'sysctl')).map(setting => [
        sysctlName(String(setting.at.at(-1))),
        setting
      ])
    ),
    daemons: each(host['daemons'], String),
    dhcpServers: items(host, 'dhcpServers', at, (server, at) => dhcpServer(server, at, parse)),
    unmanaged: unmanaged(host['networkmanager']),
    networkd: buildNetworkd(host, at, parse),
    virtualAddresses: addresses(host, 'virtualAddresses', at, parse),
    internet6: flag(host['internet6']),
    partial: flag(host['partial']) ?? false
  }
}

/** The entries of a mapping of plain values; the last step of a place is the entry's name. */
const settings = (owner: Raw, at: Path): readonly SettingText[] =>
  Object.entries(owner).map(([name, value]) => setting(value, under(at, name)))

const unmanaged = (networkmanager: unknown): readonly string[] | undefined => {
  const written = raw(networkmanager)['unmanaged']
  return written === undefined ? undefined : each(written, String)
}

const dhcpServer = (server: Raw, at: Path, parse: ParseAddress): DhcpServer => {
  const [from, to] = (text(server['range']) ?? '').split('-').map(end => parseAddr(end.trim()))
  return {
    at,
    interface: { at: under(at, 'interface'), name: String(server['interface']) },
    program: text(server['program']),
    subnet: address(server, 'subnet', at, parse),
    range:
      from !== undefined && to !== undefined && 'value' in from && 'value' in to
        ? { at: under(at, 'range'), from: from.value, to: to.value }
        : undefined
  }
}

const MAKERS = ['networkd', 'scripted', 'both'] as const

/** NixOS writes a bridge's addresses into networking.interfaces.<bridge> or into a unit; all places count. */
const buildBridge = (
  name: string,
  bridge: Raw,
  at: Path,
  own: Interface | undefined,
  units: UnitBridge | undefined,
  parse: ParseAddress
): Bridge => {
  const masquerade = text(bridge['IPMasquerade'])
  const written = [...addresses(bridge, 'address', at, parse), ...(own?.addresses ?? EMPTY)]
  const ports = names(bridge, 'interfaces', at)
  return {
    at,
    name,
    size: number(bridge['size']),
    addresses: units === undefined ? written : [...written, ...units.addresses.filter(isNewTo(written))],
    interfaces:
      units === undefined
        ? ports
        : [...ports, ...units.ports.filter(({ name }) => !ports.some(port => port.name === name))],
    dhcp:
      bridge['dhcp'] === true ? under(at, 'dhcp') : own?.dhcp === true ? under(own.at, 'dhcp') : units?.dhcp,
    acceptRA: flag(bridge['acceptRA']),
    proxyARP: own?.proxyARP ?? false,
    macAddress: mac(bridge, 'macAddress', at) ?? own?.macAddress,
    rstp: flag(bridge['rstp']) ?? false,
    stp: flag(bridge['stp']) ?? false,
    vlanAware: (flag(bridge['vlanAware']) ?? false) || bridge['bridgeVLANs'] !== undefined,
    portVlans: Object.entries(raw(bridge['bridgeVLANs'])).map(([port, sections]) => ({
      at: under(at, 'bridgeVLANs', port),
      name: port,
      sections: each(sections, (section, i) => settings(raw(section), under(at, 'bridgeVLANs', port, i)))
    })),
    routes: own?.routes ?? EMPTY,
    mtu: own?.mtu,
    masquerade: {
      4: masquerade === 'ipv4' || masquerade === 'both',
      6: masquerade === 'ipv6' || masquerade === 'both'
    },
    forwarding: { 4: flag(bridge['IPv4Forwarding']), 6: flag(bridge['IPv6Forwarding']) },
    definedBy: MAKERS.find(maker => maker === bridge['definedBy']),
    virtualAddresses: addresses(bridge, 'virtualAddresses', at, parse),
    partial: flag(bridge['partial']) ?? false
  }
}

const containerForwards = (owner: Raw, at: Path): readonly ContainerForward[] =>
  items(owner, 'forwardPorts', at, (forward, at) => {
    const hostPort = number(forward['hostPort'])
    return {
      at,
      protocol: protocol(forward, 'protocol', at),
      hostPort,
      containerPort: number(forward['containerPort']) ?? hostPort
    }
  })

const buildVeth = (ifname: string, extra: boolean, veth: Raw, at: Path, parse: ParseAddress): Veth => ({
  at,
  ifname,
  extra,
  hostBridge: text(veth['hostBridge']),
  hostAddress: address(veth, 'hostAddress', at, parse),
  hostAddress6: address(veth, 'hostAddress6', at, parse),
  localAddress: address(veth, 'localAddress', at, parse),
  localAddress6: address(veth, 'localAddress6', at, parse),
  localMacAddress: mac(veth, 'localMacAddress', at),
  forwardPorts: containerForwards(veth, at)
})

const NOTHING_INSIDE: Inside = { interfaces: EMPTY, bridges: EMPTY, vlans: EMPTY, nat: undefined }

const buildInside = (owner: Raw, within: Path, parse: ParseAddress): Inside => {
  if (owner['inside'] === undefined) return NOTHING_INSIDE
  const inside = raw(owner['inside'])
  const at = under(within, 'inside')
  return {
    interfaces: interfaces(inside, at, parse),
    bridges: members(inside, 'bridges', at, (name, bridge, at) => ({
      at,
      name,
      interfaces: names(bridge, 'interfaces', at),
      addresses: addresses(bridge, 'address', at, parse)
    })),
    vlans: vlans(inside, at),
    nat: buildNat(inside, at, parse)
  }
}

const buildContainer = (name: string, container: Raw, at: Path, parse: ParseAddress): Container => ({
  at,
  name,
  enabled: flag(container['enabled']) ?? true,
  partial: flag(container['partial']) ?? false,
  internet: flag(container['internet']),
  checkedByNix: text(container['path']) === undefined && text(container['flake']) === undefined,
  autoStart: flag(container['autoStart']),
  privateNetwork: flag(container['privateNetwork']) ?? false,
  networkNamespace: text(container['networkNamespace']) !== undefined,
  namespacePath: text(container['networkNamespace']),
  veth: buildVeth('eth0', false, container, at, parse),
  extraVeths: members(container, 'extraVeths', at, (key, veth, at) => buildVeth(key, true, veth, at, parse)),
  interfaces: names(container, 'interfaces', at),
  macvlans: names(container, 'macvlans', at),
  defaultGateway: gateway(container, 'defaultGateway', at, parse),
  defaultGateway6: gateway(container, 'defaultGateway6', at, parse),
  routes: routes(container, at, parse),
  dhcp: flag(container['dhcp']) ?? false,
  acceptRA: flag(container['acceptRA']),
  privateUsers: text(container['privateUsers']) ?? number(container['privateUsers']),
  enableTun: flag(container['enableTun']) ?? false,
  additionalCapabilities: each(container['additionalCapabilities'], String),
  extraFlags: names(container, 'extraFlags', at),
  copyResolvConf: flag(container['copyResolvConf']) ?? true,
  useNetworkd: flag(container['useNetworkd']) ?? false,
  networkManager: flag(container['networkManager']) ?? false,
  useHostResolvConf: flag(container['useHostResolvConf']),
  // networkd turns it on (nixpkgs, system/boot/networkd.nix).
  resolved: flag(container['resolved']) ?? flag(container['useNetworkd']) ?? false,
  nameservers: addresses(container, 'nameservers', at, parse),
  firewall: firewall(container, at),
  listens: listens(container, at, parse),
  vpn: container['vpn'] === undefined ? undefined : buildVpn(raw(container['vpn']), under(at, 'vpn')),
  virtualAddresses: addresses(container, 'virtualAddresses', at, parse),
  inside: buildInside(container, at, parse)
})

/** Programs that reach their own network and leave the way to the internet alone. */
const MESH = /^(tailscale|netbird|zerotier|nebula|tinc|yggdrasil)/i

const buildVpn = (vpn: Raw, at: Path): Vpn => {
  const name = text(vpn['name'])
  return {
    at,
    name,
    interface: text(vpn['interface']),
    defaultRoute: flag(vpn['defaultRoute']) ?? !MESH.test(name ?? '')
  }
}

const CARDS = ['tap', 'macvtap', 'bridge', 'user'] as const

const KINDS = ['microvm', 'libvirt', 'qemu', 'other'] as const

const buildVm = (name: string, vm: Raw, at: Path, parse: ParseAddress): Vm => ({
  at,
  name,
  kind: KINDS.find(kind => kind === vm['kind']) ?? 'other',
  enabled: flag(vm['enabled']) ?? true,
  partial: flag(vm['partial']) ?? false,
  interfaces: members(vm, 'interfaces', at, (name, card, at) => ({
    at,
    name,
    type: CARDS.find(type => type === card['type']) ?? 'tap',
    hostBridge: text(card['hostBridge']),
    macAddress: mac(card, 'macAddress', at),
    addresses: addresses(card, 'address', at, parse)
  })),
  defaultGateway: gateway(vm, 'defaultGateway', at, parse),
  defaultGateway6: gateway(vm, 'defaultGateway6', at, parse),
  listens: listens(vm, at, parse)
})
