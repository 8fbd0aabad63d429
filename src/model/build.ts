import { parseAddr } from '../net/addr.ts'
import { parsePrefix } from '../net/prefix.ts'
import type { Path } from '../text/path.ts'
import type {
  AddressText,
  Bridge,
  Container,
  ContainerForward,
  DestinationText,
  Firewall,
  Gateway,
  Host,
  Inside,
  Interface,
  Listen,
  Named,
  Nat,
  NatForward,
  OpenPorts,
  Openings,
  PortsText,
  ProtocolText,
  Route,
  Topology,
  Veth,
  Vm
} from './topology.ts'

/** A mapping of the data, whose shape the schema has checked. */
type Raw = Readonly<Record<string, unknown>>

/** Data that holds against the schema, typed and with its defaults. Total: whatever is wrong in it is left for rules. */
export const buildTopology = (data: Raw): Topology => {
  const faultyAddresses: AddressText[] = []
  const parse = addressParser(faultyAddresses)
  const host = buildHost(raw(data['host']), parse)
  const own = new Map(host.interfaces.map(entry => [entry.name, entry]))
  const bridges = members(data, 'bridges', [], (name, bridge, at) =>
    buildBridge(name, bridge, at, own.get(name), parse)
  )
  const bridgeNames = new Set(bridges.map(({ name }) => name))
  return {
    name: text(data['name']),
    host: { ...host, interfaces: host.interfaces.filter(({ name }) => !bridgeNames.has(name)) },
    nat: buildNat(data, [], parse),
    bridges,
    containers: members(data, 'containers', [], (name, container, at) =>
      buildContainer(name, container, at, parse)
    ),
    vms: members(data, 'vms', [], (name, vm, at) => buildVm(name, vm, at, parse)),
    reserved: items(data, 'reserved', [], (entry, at) => ({
      at,
      prefix: parse(String(entry['prefix']), under(at, 'prefix')),
      for: text(entry['for'])
    })),
    expectations: list(data['expect']).length,
    faultyAddresses
  }
}

const EMPTY: readonly never[] = []
const NOTHING: Raw = {}

// The schema has seen to it that this is a mapping.
// oxlint-disable-next-line typescript/no-unsafe-type-assertion
const raw = (value: unknown): Raw => (value === undefined || value === null ? NOTHING : (value as Raw))
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : EMPTY)
const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
const number = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined)
const flag = (value: unknown): boolean | undefined => (typeof value === 'boolean' ? value : undefined)
/** A place below another one. `concat` makes an array of just that length; there may be a million of them. */
const under = (at: Path, ...steps: Path): Path => at.concat(steps)

/** What is built of each element of a list. A faulty element was taken out by the schema and left a gap. */
const each = <T>(value: unknown, build: (element: unknown, index: number) => T): readonly T[] => {
  const elements = list(value)
  if (elements.length === 0) return EMPTY
  return elements.includes(undefined)
    ? elements.flatMap((element, i) => (element === undefined ? [] : [build(element, i)]))
    : elements.map(build)
}

const names = (owner: Raw, key: string, at: Path): readonly Named[] =>
  each(owner[key], (name, i) => ({ at: under(at, key, i), name: String(name) }))

type ParseAddress = (text: string, at: Path) => AddressText

/**
 * Parses addresses and gathers the faulty ones. A gateway or host address is mostly the one that the container before
 * had, so each option remembers its last text.
 */
const addressParser = (faulty: AddressText[]): ParseAddress => {
  const last = new Map<string | number | undefined, Pick<AddressText, 'text' | 'prefix' | 'fault'>>()
  return (text, at) => {
    if (text === 'auto') return { at, text, prefix: undefined, bare: false, auto: true, fault: undefined }
    const option = at[at.length - 1]
    let known = last.get(option)
    if (known?.text !== text) {
      const result = parsePrefix(text)
      known =
        'value' in result
          ? { text, prefix: result.value, fault: undefined }
          : { text, prefix: undefined, fault: result }
      last.set(option, known)
    }
    const { prefix, fault } = known
    const address: AddressText = { at, text, prefix, bare: !text.includes('/'), auto: false, fault }
    if (fault !== undefined) faulty.push(address)
    return address
  }
}

const address = (owner: Raw, key: string, at: Path, parse: ParseAddress): AddressText | undefined => {
  const value = owner[key]
  return typeof value === 'string' ? parse(value, under(at, key)) : undefined
}

const addresses = (owner: Raw, key: string, at: Path, parse: ParseAddress): readonly AddressText[] => {
  const value = owner[key]
  if (typeof value === 'string') return [parse(value, under(at, key))]
  return each(value, (item, i) => parse(String(item), under(at, key, i)))
}

const gateway = (owner: Raw, key: string, at: Path, parse: ParseAddress): Gateway | undefined => {
  const value = owner[key]
  if (value === undefined) return undefined
  const place = under(at, key)
  if (typeof value === 'string') return { at: place, address: parse(value, place), interface: undefined }
  const { address, interface: name } = raw(value)
  return { at: place, address: parse(String(address), under(place, 'address')), interface: text(name) }
}

/** The items of a list of mappings, each with its place. */
const items = <T>(owner: Raw, key: string, at: Path, build: (item: Raw, at: Path) => T): readonly T[] =>
  each(owner[key], (value, i) => build(raw(value), under(at, key, i)))

/** The entries of a mapping of mappings, each with its name and place. */
const members = <T>(
  owner: Raw,
  key: string,
  at: Path,
  build: (name: string, value: Raw, at: Path) => T
): readonly T[] => {
  const value = owner[key]
  if (value === undefined || value === null) return EMPTY
  const named = raw(value)
  return Object.keys(named).map(name => build(name, raw(named[name]), under(at, key, name)))
}

const routes = (owner: Raw, at: Path, parse: ParseAddress): readonly Route[] =>
  items(owner, 'routes', at, (route, at) => ({
    at,
    destination: parse(String(route['address']), under(at, 'address')),
    via: address(route, 'via', at, parse),
    interface: text(route['interface'])
  }))

const protocol = (owner: Raw, key: string, at: Path): ProtocolText => {
  const written = text(owner[key]) ?? 'tcp'
  return {
    at: under(at, key),
    text: written,
    value: written === 'tcp' || written === 'udp' ? written : undefined
  }
}

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

const openPorts = (owner: Raw, at: Path, kind: 'TCP' | 'UDP'): readonly OpenPorts[] => {
  const ports = each(owner[`allowed${kind}Ports`], (port, i) => ({
    at: under(at, `allowed${kind}Ports`, i),
    from: Number(port),
    to: Number(port)
  }))
  const ranges = items(owner, `allowed${kind}PortRanges`, at, ({ from, to }, at) => ({
    at,
    from: Number(from),
    to: Number(to)
  }))
  return ranges.length === 0 ? ports : [...ports, ...ranges]
}

const openings = (owner: Raw, at: Path): Openings => ({
  tcp: openPorts(owner, at, 'TCP'),
  udp: openPorts(owner, at, 'UDP')
})

const UNWRITTEN_FIREWALL: Firewall = {
  at: [],
  written: false,
  enable: true,
  backend: 'iptables',
  open: { tcp: EMPTY, udp: EMPTY },
  interfaces: EMPTY,
  trustedInterfaces: EMPTY
}

const firewall = (owner: Raw, within: Path): Firewall => {
  if (owner['firewall'] === undefined) return UNWRITTEN_FIREWALL
  const written = raw(owner['firewall'])
  const at = under(within, 'firewall')
  return {
    at,
    written: true,
    enable: flag(written['enable']) ?? true,
    backend: written['backend'] === 'nftables' ? 'nftables' : 'iptables',
    open: openings(written, at),
    interfaces: members(written, 'interfaces', at, (name, value, at) => ({
      at,
      name,
      open: openings(value, at)
    })),
    trustedInterfaces: names(written, 'trustedInterfaces', at)
  }
}

const interfaces = (owner: Raw, at: Path, parse: ParseAddress): readonly Interface[] =>
  members(owner, 'interfaces', at, (name, written, at) => ({
    at,
    name,
    dhcp: flag(written['dhcp']) ?? false,
    acceptRA: flag(written['acceptRA']),
    addresses: addresses(written, 'address', at, parse),
    routes: routes(written, at, parse)
  }))

const vlans = (owner: Raw, at: Path): readonly (Named & { readonly interface: Named })[] =>
  members(owner, 'vlans', at, (name, vlan, at) => ({
    at,
    name,
    interface: { at: under(at, 'interface'), name: String(vlan['interface']) }
  }))

const MANAGERS = ['networkd', 'networkmanager', 'scripted'] as const

const buildHost = (host: Raw, parse: ParseAddress): Host => {
  const at: Path = ['host']
  return {
    at,
    release: text(host['release']),
    kernel: text(host['kernel']),
    manager: MANAGERS.find(manager => manager === host['manager']),
    interfaces: interfaces(host, at, parse),
    bonds: members(host, 'bonds', at, (name, bond, at) => ({
      at,
      name,
      interfaces: names(bond, 'interfaces', at)
    })),
    vlans: vlans(host, at),
    defaultGateway: gateway(host, 'defaultGateway', at, parse),
    defaultGateway6: gateway(host, 'defaultGateway6', at, parse),
    nameservers: addresses(host, 'nameservers', at, parse),
    resolvConf: addresses(host, 'resolvConf', at, parse),
    firewall: firewall(host, at),
    listens: listens(host, at, parse),
    daemons: each(host['daemons'], String),
    virtualAddresses: addresses(host, 'virtualAddresses', at, parse),
    internet6: flag(host['internet6']) ?? false,
    partial: flag(host['partial']) ?? false
  }
}

const portRange = (from: number, to: number): PortsText['fault'] =>
  from < 1 || to < 1 || from > 65535 || to > 65535 ? 'bounds' : from > to ? 'reversed' : undefined

const sourcePorts = (value: unknown, at: Path): PortsText => {
  const written = String(value)
  const match = /^(-?\d+)(?:([:-])(\d+))?$/.exec(written)
  if (match === null) return { at, text: written, range: undefined, fault: 'text' }
  const from = Number(match[1])
  const to = match[3] === undefined ? from : Number(match[3])
  const fault = match[2] === '-' ? 'separator' : portRange(from, to)
  return { at, text: written, range: fault === undefined ? { from, to } : undefined, fault }
}

const destination = (written: string, at: Path): DestinationText => {
  const wrong = (fault: DestinationText['fault']): DestinationText => ({
    at,
    text: written,
    address: undefined,
    ports: undefined,
    fault
  })
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d+)(?:-(\d+))?)?$/.exec(written)
  if (match === null)
    return wrong(
      written.includes('[') ? 'address' : (written.match(/:/g)?.length ?? 0) > 1 ? 'brackets' : 'port'
    )
  const host = match[1] ?? match[2] ?? ''
  const parsed = parseAddr(host)
  if (!('value' in parsed)) return wrong(host.includes('/') ? 'prefix' : 'address')
  if ((match[1] === undefined) !== (parsed.value.family === 4)) return wrong('brackets')
  if (match[3] === undefined)
    return { at, text: written, address: parsed.value, ports: undefined, fault: undefined }
  const from = Number(match[3])
  const to = match[4] === undefined ? from : Number(match[4])
  const fault = portRange(from, to)
  if (fault !== undefined)
    return { ...wrong(fault === 'reversed' ? 'reversed' : 'port'), address: parsed.value }
  return { at, text: written, address: parsed.value, ports: { from, to }, fault: undefined }
}

const natForward = (forward: Raw, at: Path, parse: ParseAddress): NatForward => ({
  at,
  source: sourcePorts(forward['sourcePort'], under(at, 'sourcePort')),
  destination: destination(String(forward['destination']), under(at, 'destination')),
  proto: protocol(forward, 'proto', at),
  loopbackIPs: addresses(forward, 'loopbackIPs', at, parse)
})

const buildNat = (owner: Raw, within: Path, parse: ParseAddress): Nat | undefined => {
  if (owner['nat'] === undefined) return undefined
  const nat = raw(owner['nat'])
  const at = under(within, 'nat')
  return {
    at,
    enable: flag(nat['enable']) ?? false,
    enableIPv6: flag(nat['enableIPv6']) ?? false,
    internalInterfaces: names(nat, 'internalInterfaces', at),
    internalIPs: addresses(nat, 'internalIPs', at, parse),
    internalIPv6s: addresses(nat, 'internalIPv6s', at, parse),
    externalInterface: text(nat['externalInterface']),
    externalIP: address(nat, 'externalIP', at, parse),
    externalIPv6: address(nat, 'externalIPv6', at, parse),
    dmzHost: address(nat, 'dmzHost', at, parse),
    forwardPorts: items(nat, 'forwardPorts', at, (forward, at) => natForward(forward, at, parse)),
    partial: flag(nat['partial']) ?? false
  }
}

/** NixOS writes a bridge's addresses into networking.interfaces.<bridge>; both places count. */
const buildBridge = (
  name: string,
  bridge: Raw,
  at: Path,
  own: Interface | undefined,
  parse: ParseAddress
): Bridge => {
  const masquerade = text(bridge['IPMasquerade'])
  return {
    at,
    name,
    addresses: [...addresses(bridge, 'address', at, parse), ...(own?.addresses ?? EMPTY)],
    interfaces: names(bridge, 'interfaces', at),
    dhcp:
      bridge['dhcp'] === true ? under(at, 'dhcp') : own?.dhcp === true ? under(own.at, 'dhcp') : undefined,
    vlanAware: (flag(bridge['vlanAware']) ?? false) || bridge['bridgeVLANs'] !== undefined,
    masquerade: {
      4: masquerade === 'ipv4' || masquerade === 'both',
      6: masquerade === 'ipv6' || masquerade === 'both'
    },
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
  localMacAddress: text(veth['localMacAddress']),
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
  privateNetwork: flag(container['privateNetwork']) ?? false,
  networkNamespace: text(container['networkNamespace']) !== undefined,
  veth: buildVeth('eth0', false, container, at, parse),
  extraVeths: members(container, 'extraVeths', at, (key, veth, at) => buildVeth(key, true, veth, at, parse)),
  interfaces: names(container, 'interfaces', at),
  macvlans: names(container, 'macvlans', at),
  defaultGateway: gateway(container, 'defaultGateway', at, parse),
  defaultGateway6: gateway(container, 'defaultGateway6', at, parse),
  routes: routes(container, at, parse),
  dhcp: flag(container['dhcp']) ?? false,
  acceptRA: flag(container['acceptRA']),
  useNetworkd: flag(container['useNetworkd']) ?? false,
  useHostResolvConf: flag(container['useHostResolvConf']),
  resolved: flag(container['resolved']) ?? false,
  nameservers: addresses(container, 'nameservers', at, parse),
  firewall: firewall(container, at),
  listens: listens(container, at, parse),
  virtualAddresses: addresses(container, 'virtualAddresses', at, parse),
  inside: buildInside(container, at, parse)
})

const buildVm = (name: string, vm: Raw, at: Path, parse: ParseAddress): Vm => ({
  at,
  name,
  enabled: flag(vm['enabled']) ?? true,
  partial: flag(vm['partial']) ?? false,
  interfaces: members(vm, 'interfaces', at, (name, card, at) => ({
    at,
    name,
    hostBridge: text(card['hostBridge']),
    addresses: addresses(card, 'address', at, parse)
  })),
  defaultGateway: gateway(vm, 'defaultGateway', at, parse),
  defaultGateway6: gateway(vm, 'defaultGateway6', at, parse),
  listens: listens(vm, at, parse)
})
