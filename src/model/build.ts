import { type AddrFault, parseAddr } from '../net/addr.ts'
import { type Prefix, parsePrefix } from '../net/prefix.ts'
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
  const parse = addressParser()
  const host = buildHost(raw(data['host']), ['host'], parse)
  const bridges = entries(data['bridges']).map(([name, value]) => buildBridge(name, raw(value), host, parse))
  const bridgeNames = new Set(bridges.map(({ name }) => name))
  return {
    name: text(data['name']),
    host: { ...host, interfaces: host.interfaces.filter(({ name }) => !bridgeNames.has(name)) },
    nat: data['nat'] === undefined ? undefined : buildNat(raw(data['nat']), ['nat'], parse),
    bridges,
    containers: entries(data['containers']).map(([name, value]) => buildContainer(name, raw(value), parse)),
    vms: entries(data['vms']).map(([name, value]) => buildVm(name, raw(value), parse)),
    reserved: list(data['reserved']).map((value, i) => {
      const { prefix, for: owner } = raw(value)
      const at = ['reserved', i]
      return { at, prefix: parse(String(prefix), [...at, 'prefix']), for: text(owner) }
    }),
    expectations: list(data['expect']).length
  }
}

const EMPTY: readonly never[] = []
const NOTHING: Raw = {}

const raw = (value: unknown): Raw => (value === undefined || value === null ? NOTHING : (value as Raw))
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : EMPTY)
const entries = (value: unknown): readonly [string, unknown][] =>
  value === undefined || value === null ? EMPTY : Object.entries(value)
const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
const number = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined)
const flag = (value: unknown): boolean | undefined => (typeof value === 'boolean' ? value : undefined)
const named = (value: unknown, at: Path): readonly Named[] =>
  list(value).length === 0 ? EMPTY : list(value).map((name, i) => ({ at: [...at, i], name: String(name) }))

type ParseAddress = (text: string, at: Path) => AddressText

/** Addresses of gateways and hosts stand in a file again and again; each text is parsed once. */
const addressParser = (): ParseAddress => {
  const known = new Map<string, { readonly prefix: Prefix | undefined; readonly fault: AddrFault | undefined }>()
  return (text, at) => {
    if (text === 'auto') return { at, text, prefix: undefined, bare: false, auto: true, fault: undefined }
    let parsed = known.get(text)
    if (parsed === undefined) {
      const result = parsePrefix(text)
      parsed = 'value' in result ? { prefix: result.value, fault: undefined } : { prefix: undefined, fault: result }
      known.set(text, parsed)
    }
    return { at, text, prefix: parsed.prefix, bare: !text.includes('/'), auto: false, fault: parsed.fault }
  }
}

const address = (value: unknown, at: Path, parse: ParseAddress): AddressText | undefined =>
  typeof value === 'string' ? parse(value, at) : undefined

const addresses = (value: unknown, at: Path, parse: ParseAddress): readonly AddressText[] => {
  if (typeof value === 'string') return [parse(value, at)]
  const items = list(value)
  return items.length === 0 ? EMPTY : items.map((item, i) => parse(String(item), [...at, i]))
}

const gateway = (value: unknown, at: Path, parse: ParseAddress): Gateway | undefined => {
  if (value === undefined) return undefined
  if (typeof value === 'string') return { at, address: parse(value, at), interface: undefined }
  const { address, interface: name } = raw(value)
  return { at, address: parse(String(address), [...at, 'address']), interface: text(name) }
}

const routes = (value: unknown, at: Path, parse: ParseAddress): readonly Route[] =>
  list(value).map((item, i) => {
    const route = raw(item)
    const place = [...at, i]
    return {
      at: place,
      destination: parse(String(route['address']), [...place, 'address']),
      via: address(route['via'], [...place, 'via'], parse),
      interface: text(route['interface'])
    }
  })

const protocol = (value: unknown, at: Path): ProtocolText => {
  const written = text(value) ?? 'tcp'
  return { at, text: written, value: written === 'tcp' || written === 'udp' ? written : undefined }
}

const listens = (value: unknown, at: Path, parse: ParseAddress): readonly Listen[] => {
  const items = list(value)
  if (items.length === 0) return EMPTY
  return items.map((item, i) => {
    const listen = raw(item)
    const place = [...at, i]
    const bound = text(listen['address'])
    return {
      at: place,
      name: text(listen['name']),
      port: number(listen['port']) ?? 0,
      protocol: protocol(listen['protocol'], [...place, 'protocol']),
      address: bound === undefined || bound === 'any' || bound === '*' ? undefined : parse(bound, [...place, 'address'])
    }
  })
}

const openPorts = (ports: unknown, ranges: unknown, at: Path, kind: 'TCP' | 'UDP'): readonly OpenPorts[] => {
  if (ports === undefined && ranges === undefined) return EMPTY
  return [
    ...list(ports).map((port, i) => ({ at: [...at, `allowed${kind}Ports`, i], from: Number(port), to: Number(port) })),
    ...list(ranges).map((range, i) => {
      const { from, to } = raw(range)
      return { at: [...at, `allowed${kind}PortRanges`, i], from: Number(from), to: Number(to) }
    })
  ]
}

const openings = (value: Raw, at: Path): Openings => ({
  tcp: openPorts(value['allowedTCPPorts'], value['allowedTCPPortRanges'], at, 'TCP'),
  udp: openPorts(value['allowedUDPPorts'], value['allowedUDPPortRanges'], at, 'UDP')
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

const firewall = (value: unknown, at: Path): Firewall => {
  if (value === undefined) return UNWRITTEN_FIREWALL
  const written = raw(value)
  return {
    at,
    written: true,
    enable: flag(written['enable']) ?? true,
    backend: written['backend'] === 'nftables' ? 'nftables' : 'iptables',
    open: openings(written, at),
    interfaces: entries(written['interfaces']).map(([name, value]) => {
      const place = [...at, 'interfaces', name]
      return { at: place, name, open: openings(raw(value), place) }
    }),
    trustedInterfaces: named(written['trustedInterfaces'], [...at, 'trustedInterfaces'])
  }
}

const interfaces = (value: unknown, at: Path, parse: ParseAddress): readonly Interface[] =>
  entries(value).map(([name, value]) => {
    const written = raw(value)
    const place = [...at, name]
    return {
      at: place,
      name,
      dhcp: flag(written['dhcp']) ?? false,
      acceptRA: flag(written['acceptRA']),
      addresses: addresses(written['address'], [...place, 'address'], parse),
      routes: routes(written['routes'], [...place, 'routes'], parse)
    }
  })

const vlans = (value: unknown, at: Path): readonly (Named & { readonly interface: Named })[] =>
  entries(value).map(([name, value]) => {
    const place = [...at, name]
    return { at: place, name, interface: { at: [...place, 'interface'], name: String(raw(value)['interface']) } }
  })

const buildHost = (host: Raw, at: Path, parse: ParseAddress): Host => ({
  at,
  release: text(host['release']),
  kernel: text(host['kernel']),
  manager: text(host['manager']) as Host['manager'],
  interfaces: interfaces(host['interfaces'], [...at, 'interfaces'], parse),
  bonds: entries(host['bonds']).map(([name, value]) => {
    const place = [...at, 'bonds', name]
    return { at: place, name, interfaces: named(raw(value)['interfaces'], [...place, 'interfaces']) }
  }),
  vlans: vlans(host['vlans'], [...at, 'vlans']),
  defaultGateway: gateway(host['defaultGateway'], [...at, 'defaultGateway'], parse),
  defaultGateway6: gateway(host['defaultGateway6'], [...at, 'defaultGateway6'], parse),
  nameservers: addresses(host['nameservers'], [...at, 'nameservers'], parse),
  resolvConf: addresses(host['resolvConf'], [...at, 'resolvConf'], parse),
  firewall: firewall(host['firewall'], [...at, 'firewall']),
  listens: listens(host['listens'], [...at, 'listens'], parse),
  daemons: list(host['daemons']).map(String),
  virtualAddresses: addresses(host['virtualAddresses'], [...at, 'virtualAddresses'], parse),
  partial: flag(host['partial']) ?? false
})

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
    return wrong(written.includes('[') ? 'address' : (written.match(/:/g)?.length ?? 0) > 1 ? 'brackets' : 'port')
  const host = match[1] ?? match[2] ?? ''
  const parsed = parseAddr(host)
  if (!('value' in parsed)) return wrong(host.includes('/') ? 'prefix' : 'address')
  if ((match[1] === undefined) !== (parsed.value.family === 4)) return wrong('brackets')
  if (match[3] === undefined) return { at, text: written, address: parsed.value, ports: undefined, fault: undefined }
  const from = Number(match[3])
  const to = match[4] === undefined ? from : Number(match[4])
  const fault = portRange(from, to)
  if (fault !== undefined) return { ...wrong(fault === 'reversed' ? 'reversed' : 'port'), address: parsed.value }
  return { at, text: written, address: parsed.value, ports: { from, to }, fault: undefined }
}

const natForward = (value: unknown, at: Path, parse: ParseAddress): NatForward => {
  const forward = raw(value)
  return {
    at,
    source: sourcePorts(forward['sourcePort'], [...at, 'sourcePort']),
    destination: destination(String(forward['destination']), [...at, 'destination']),
    proto: protocol(forward['proto'], [...at, 'proto']),
    loopbackIPs: addresses(forward['loopbackIPs'], [...at, 'loopbackIPs'], parse)
  }
}

const buildNat = (nat: Raw, at: Path, parse: ParseAddress): Nat => ({
  at,
  enable: flag(nat['enable']) ?? false,
  enableIPv6: flag(nat['enableIPv6']) ?? false,
  internalInterfaces: named(nat['internalInterfaces'], [...at, 'internalInterfaces']),
  internalIPs: addresses(nat['internalIPs'], [...at, 'internalIPs'], parse),
  internalIPv6s: addresses(nat['internalIPv6s'], [...at, 'internalIPv6s'], parse),
  externalInterface: text(nat['externalInterface']),
  externalIP: address(nat['externalIP'], [...at, 'externalIP'], parse),
  externalIPv6: address(nat['externalIPv6'], [...at, 'externalIPv6'], parse),
  dmzHost: address(nat['dmzHost'], [...at, 'dmzHost'], parse),
  forwardPorts: list(nat['forwardPorts']).map((value, i) => natForward(value, [...at, 'forwardPorts', i], parse)),
  partial: flag(nat['partial']) ?? false
})

/** NixOS writes a bridge's addresses into networking.interfaces.<bridge>; both places count. */
const buildBridge = (name: string, bridge: Raw, host: Host, parse: ParseAddress): Bridge => {
  const at = ['bridges', name]
  const own = host.interfaces.find(other => other.name === name)
  const masquerade = text(bridge['IPMasquerade'])
  return {
    at,
    name,
    addresses: [...addresses(bridge['address'], [...at, 'address'], parse), ...(own?.addresses ?? EMPTY)],
    interfaces: named(bridge['interfaces'], [...at, 'interfaces']),
    dhcp: flag(bridge['dhcp']) === true ? [...at, 'dhcp'] : own?.dhcp === true ? [...own.at, 'dhcp'] : undefined,
    vlanAware: (flag(bridge['vlanAware']) ?? false) || bridge['bridgeVLANs'] !== undefined,
    masquerade: {
      4: masquerade === 'ipv4' || masquerade === 'both',
      6: masquerade === 'ipv6' || masquerade === 'both'
    },
    virtualAddresses: addresses(bridge['virtualAddresses'], [...at, 'virtualAddresses'], parse),
    partial: flag(bridge['partial']) ?? false
  }
}

const containerForwards = (value: unknown, at: Path): readonly ContainerForward[] => {
  const items = list(value)
  if (items.length === 0) return EMPTY
  return items.map((item, i) => {
    const forward = raw(item)
    const place = [...at, 'forwardPorts', i]
    const hostPort = number(forward['hostPort'])
    return {
      at: place,
      protocol: protocol(forward['protocol'], [...place, 'protocol']),
      hostPort,
      containerPort: number(forward['containerPort']) ?? hostPort
    }
  })
}

const buildVeth = (ifname: string, extra: boolean, veth: Raw, at: Path, parse: ParseAddress): Veth => ({
  at,
  ifname,
  extra,
  hostBridge: text(veth['hostBridge']),
  hostAddress: address(veth['hostAddress'], [...at, 'hostAddress'], parse),
  hostAddress6: address(veth['hostAddress6'], [...at, 'hostAddress6'], parse),
  localAddress: address(veth['localAddress'], [...at, 'localAddress'], parse),
  localAddress6: address(veth['localAddress6'], [...at, 'localAddress6'], parse),
  localMacAddress: text(veth['localMacAddress']),
  forwardPorts: containerForwards(veth['forwardPorts'], at)
})

const NOTHING_INSIDE: Inside = { interfaces: EMPTY, bridges: EMPTY, vlans: EMPTY, nat: undefined }

const buildInside = (value: unknown, at: Path, parse: ParseAddress): Inside => {
  if (value === undefined) return NOTHING_INSIDE
  const inside = raw(value)
  return {
    interfaces: interfaces(inside['interfaces'], [...at, 'interfaces'], parse),
    bridges: entries(inside['bridges']).map(([name, value]) => {
      const place = [...at, 'bridges', name]
      const bridge = raw(value)
      return {
        at: place,
        name,
        interfaces: named(bridge['interfaces'], [...place, 'interfaces']),
        addresses: addresses(bridge['address'], [...place, 'address'], parse)
      }
    }),
    vlans: vlans(inside['vlans'], [...at, 'vlans']),
    nat: inside['nat'] === undefined ? undefined : buildNat(raw(inside['nat']), [...at, 'nat'], parse)
  }
}

const buildContainer = (name: string, container: Raw, parse: ParseAddress): Container => {
  const at = ['containers', name]
  const extraVeths = entries(container['extraVeths'])
  return {
    at,
    name,
    enabled: flag(container['enabled']) ?? true,
    partial: flag(container['partial']) ?? false,
    internet: flag(container['internet']),
    checkedByNix: text(container['path']) === undefined && text(container['flake']) === undefined,
    privateNetwork: flag(container['privateNetwork']) ?? false,
    networkNamespace: text(container['networkNamespace']) !== undefined,
    veth: buildVeth('eth0', false, container, at, parse),
    extraVeths:
      extraVeths.length === 0
        ? EMPTY
        : extraVeths.map(([key, value]) => buildVeth(key, true, raw(value), [...at, 'extraVeths', key], parse)),
    interfaces: named(container['interfaces'], [...at, 'interfaces']),
    macvlans: named(container['macvlans'], [...at, 'macvlans']),
    defaultGateway: gateway(container['defaultGateway'], [...at, 'defaultGateway'], parse),
    defaultGateway6: gateway(container['defaultGateway6'], [...at, 'defaultGateway6'], parse),
    routes: routes(container['routes'], [...at, 'routes'], parse),
    dhcp: flag(container['dhcp']) ?? false,
    acceptRA: flag(container['acceptRA']),
    useNetworkd: flag(container['useNetworkd']) ?? false,
    useHostResolvConf: flag(container['useHostResolvConf']),
    resolved: flag(container['resolved']) ?? false,
    nameservers: addresses(container['nameservers'], [...at, 'nameservers'], parse),
    firewall: firewall(container['firewall'], [...at, 'firewall']),
    listens: listens(container['listens'], [...at, 'listens'], parse),
    virtualAddresses: addresses(container['virtualAddresses'], [...at, 'virtualAddresses'], parse),
    inside: buildInside(container['inside'], [...at, 'inside'], parse)
  }
}

const buildVm = (name: string, vm: Raw, parse: ParseAddress): Vm => {
  const at = ['vms', name]
  return {
    at,
    name,
    enabled: flag(vm['enabled']) ?? true,
    partial: flag(vm['partial']) ?? false,
    interfaces: entries(vm['interfaces']).map(([ifname, value]) => {
      const place = [...at, 'interfaces', ifname]
      const card = raw(value)
      return {
        at: place,
        name: ifname,
        hostBridge: text(card['hostBridge']),
        addresses: addresses(card['address'], [...place, 'address'], parse)
      }
    }),
    defaultGateway: gateway(vm['defaultGateway'], [...at, 'defaultGateway'], parse),
    defaultGateway6: gateway(vm['defaultGateway6'], [...at, 'defaultGateway6'], parse),
    listens: listens(vm['listens'], [...at, 'listens'], parse)
  }
}
