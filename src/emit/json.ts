import type {
  AddressText,
  Container,
  Firewall,
  Listen,
  MacText,
  MacvlanMode,
  OpenPorts,
  PortRange,
  Protocol,
  Vm
} from '../model/topology.ts'
import { type Family, formatAddr } from '../net/addr.ts'
import { formatMac } from '../net/mac.ts'
import { firstUsable, formatPrefix, lastUsable, size } from '../net/prefix.ts'
import { entranceOf } from '../plan/firewall.ts'
import { type DefaultRoute, defaultRoutes } from '../plan/gateways.ts'
import { isPrivate } from '../plan/links.ts'
import type { BridgePlan, Link, LinkKind, Plan, PortClaim, Subnet } from '../plan/plan.ts'
import { formatPath } from '../text/path.ts'
import { type Emitter } from './emitter.ts'
import { byName } from '../text/order.ts'
import { comparePaths, linksInOrder } from './order.ts'
import { compareTexts } from '../text/order.ts'

/** The resolved plan for programs. docs/plan-json.md says what each field means; a test holds the two together. */
export const json: Emitter = {
  id: 'json',
  summary: 'the resolved plan for programs, as docs/plan-json.md describes it',
  cannot: () => [],
  emit: (plan, mark) => [{ path: 'plan.json', text: planText(plan, mark) }]
}

/** The plan as JSON. A mark stands on the first line, where other files have theirs. */
export const planText = (plan: Plan, mark?: string): string => {
  const text = printable(JSON.stringify(planJson(plan), null, 2))
  return `${mark === undefined ? text : `{ "mark": ${printable(JSON.stringify(mark))},${text.slice(1)}`}\n`
}

/** JSON.stringify escapes what JSON forbids; terminals and editors act on more than that. */
const printable = (text: string): string =>
  text.replace(/[\u007f-\u009f\u00ad\p{Zl}\p{Zp}\p{Cf}]/gu, char =>
    Array.from({ length: char.length }, (_, i) => `\\u${hex(char.charCodeAt(i))}`).join('')
  )

const hex = (unit: number): string => unit.toString(16).padStart(4, '0')

// The shape. `null` stands for what the file does not say or what does not exist; no key is ever left out.

export interface PlanJson {
  readonly version: 1
  readonly name: string | null
  readonly host: HostJson
  readonly bridges: readonly BridgeJson[]
  readonly containers: readonly ContainerJson[]
  readonly machines: readonly MachineJson[]
  readonly nat: NatJson
  readonly ports: readonly PortJson[]
}

interface HostJson {
  readonly name: string | null
  readonly release: string | null
  readonly manager: 'networkd' | 'networkmanager' | 'scripted' | null
  readonly firewall: FirewallJson
  readonly interfaces: readonly HostInterfaceJson[]
  readonly bonds: readonly { readonly name: string; readonly interfaces: readonly string[] }[]
  readonly vlans: readonly { readonly name: string; readonly id: number; readonly interface: string }[]
  readonly macvlans: readonly {
    readonly name: string
    readonly mode: MacvlanMode
    readonly interface: string
  }[]
  readonly gateways: { readonly ipv4: string | null; readonly ipv6: string | null }
  readonly nameservers: readonly string[]
  readonly listens: readonly ListenJson[]
}

interface FirewallJson {
  readonly enabled: boolean
  readonly backend: Firewall['backend']
  readonly filtersForward: boolean
  readonly open: OpenJson
}

interface OpenJson {
  readonly tcp: readonly OpenPortsJson[]
  readonly udp: readonly OpenPortsJson[]
}

interface OpenPortsJson extends PortRange {
  readonly interface: string | null
}

interface HostInterfaceJson {
  readonly name: string
  readonly dhcp: boolean
  readonly addresses: readonly string[]
  readonly macAddress: string | null
}

interface BridgeJson {
  readonly name: string
  readonly addresses: readonly string[]
  readonly macAddress: string | null
  readonly dhcp: boolean
  readonly ports: readonly string[]
  readonly members: readonly MemberJson[]
  readonly subnets: readonly SubnetJson[]
}

interface MemberJson {
  readonly kind: 'container' | 'machine'
  readonly name: string
  readonly interface: string
}

interface SubnetJson {
  readonly family: Family
  readonly prefix: string
  readonly hostAddress: string
  readonly firstUsable: string
  readonly lastUsable: string
  /** Numbers of addresses are decimal texts: a /64 has more than a number of JSON holds exactly. */
  readonly size: string
  readonly usable: string
  readonly used: string
  readonly free: string
}

interface InterfaceJson {
  readonly name: string
  readonly kind: LinkKind
  readonly hostInterface: string | null
  readonly bridge: string | null
  readonly addresses: readonly string[]
  readonly hostAddresses: readonly string[]
  readonly macAddress: string | null
}

interface ContainerJson {
  readonly name: string
  readonly enabled: boolean
  readonly private: boolean
  readonly interfaces: readonly InterfaceJson[]
  readonly gateways: { readonly ipv4: readonly GatewayJson[]; readonly ipv6: readonly GatewayJson[] }
  readonly nameservers: readonly string[]
  readonly firewall: FirewallJson
  readonly listens: readonly ListenJson[]
}

interface MachineJson {
  readonly name: string
  readonly enabled: boolean
  readonly interfaces: readonly InterfaceJson[]
  readonly gateways: { readonly ipv4: string | null; readonly ipv6: string | null }
  readonly listens: readonly ListenJson[]
}

interface GatewayJson {
  readonly source: DefaultRoute['source']
  readonly via: string | null
  readonly path: string
}

interface ListenJson {
  readonly name: string | null
  readonly protocol: Protocol
  readonly port: number
  readonly address: string | null
}

interface NatJson {
  readonly enabled: boolean
  readonly backend: Firewall['backend']
  readonly ipv6: boolean
  readonly external: {
    readonly interface: string | null
    readonly ipv4: string | null
    readonly ipv6: string | null
  }
  readonly covers: { readonly ipv4: readonly string[]; readonly ipv6: readonly string[] }
  readonly dmzHost: string | null
  readonly forwards: readonly ForwardJson[]
}

interface ForwardJson {
  readonly protocol: Protocol
  readonly from: number
  readonly to: number
  readonly destination: {
    readonly address: string
    readonly from: number
    readonly to: number
    readonly name: string | null
  }
  readonly loopbackAddresses: readonly string[]
}

interface PortJson extends PortRange {
  readonly protocol: Protocol
  readonly kind: PortClaim['kind']
  readonly container: string | null
  readonly address: string | null
  readonly owner: string
  readonly path: string
}

/** The plan as plain data; linear in the size of the network. */
export const planJson = (plan: Plan): PlanJson => {
  const { topology } = plan
  const { host } = topology
  return {
    version: 1,
    name: topology.name ?? null,
    host: {
      name: host.name ?? null,
      release: host.release ?? null,
      manager: host.manager ?? null,
      firewall: firewallJson(host.firewall),
      interfaces: byName(host.configured).map(({ name, dhcp, addresses, macAddress }) => ({
        name,
        dhcp,
        addresses: texts(addresses),
        macAddress: mac(macAddress)
      })),
      bonds: byName(host.bonds).map(({ name, interfaces }) => ({
        name,
        interfaces: interfaces.map(({ name }) => name)
      })),
      vlans: byName(host.vlans).map(({ name, id, interface: parent }) => ({
        name,
        id,
        interface: parent.name
      })),
      macvlans: byName(host.macvlans).map(({ name, mode = 'vepa', interface: parent }) => ({
        name,
        mode,
        interface: parent.name
      })),
      gateways: {
        ipv4: bare(host.defaultGateway?.address),
        ipv6: bare(host.defaultGateway6?.address)
      },
      nameservers: host.nameservers.flatMap(address => bare(address) ?? []),
      listens: listensJson(host.listens)
    },
    bridges: byName(Array.from(plan.bridges.values(), named)).map(bridgeJson),
    containers: byName(topology.containers).map(container => containerJson(plan, container)),
    machines: byName(topology.vms).map(vm => machineJson(plan, vm)),
    nat: natJson(plan),
    ports: [...plan.ports].sort(inPortOrder).map(portJson)
  }
}

const named = (plan: BridgePlan): BridgePlan & { readonly name: string } => ({
  ...plan,
  name: plan.bridge.name
})

const bridgeJson = ({ bridge, members, subnets }: BridgePlan): BridgeJson => ({
  name: bridge.name,
  addresses: texts(bridge.addresses),
  macAddress: mac(bridge.macAddress),
  dhcp: bridge.dhcp !== undefined,
  ports: bridge.interfaces.map(({ name }) => name),
  members: members
    .map(({ node, container, ifname }) => ({
      kind: container === undefined ? ('machine' as const) : ('container' as const),
      name: node.name,
      interface: ifname
    }))
    .sort(
      (a, b) =>
        compareTexts(a.name, b.name) || compareTexts(a.kind, b.kind) || compareTexts(a.interface, b.interface)
    ),
  subnets: subnets.map(subnetJson)
})

const subnetJson = ({ prefix, address, usable, needed }: Subnet): SubnetJson => ({
  family: prefix.family,
  prefix: formatPrefix(prefix),
  hostAddress: address.prefix === undefined ? '' : formatAddr(address.prefix),
  firstUsable: formatAddr(firstUsable(prefix)),
  lastUsable: formatAddr(lastUsable(prefix)),
  size: String(size(prefix.family, prefix.bits)),
  usable: String(usable),
  used: String(needed),
  free: String(usable > needed ? usable - needed : 0n)
})

const containerJson = (plan: Plan, container: Container): ContainerJson => ({
  name: container.name,
  enabled: container.enabled,
  private: isPrivate(container),
  interfaces: linksInOrder(plan, container).map(interfaceJson),
  gateways: { ipv4: gatewaysJson(plan, container, 4), ipv6: gatewaysJson(plan, container, 6) },
  nameservers: container.nameservers.flatMap(address => bare(address) ?? []),
  firewall: firewallJson(container.firewall),
  listens: listensJson(container.listens)
})

const machineJson = (plan: Plan, vm: Vm): MachineJson => ({
  name: vm.name,
  enabled: vm.enabled,
  interfaces: linksInOrder(plan, vm).map(link => ({
    ...interfaceJson(link),
    macAddress: mac(vm.interfaces.find(({ name }) => name === link.ifname)?.macAddress)
  })),
  gateways: { ipv4: bare(vm.defaultGateway?.address), ipv6: bare(vm.defaultGateway6?.address) },
  listens: listensJson(vm.listens)
})

const interfaceJson = ({ ifname, kind, hostIfname, bridgeName, ...link }: Link): InterfaceJson => ({
  name: ifname,
  kind,
  hostInterface: hostIfname === '' ? null : hostIfname,
  bridge: bridgeName ?? null,
  addresses: texts(link.addresses),
  hostAddresses: texts(link.hostAddresses),
  // NixOS sets it for the container's own pair only.
  macAddress: link.veth?.extra === true ? null : mac(link.veth?.localMacAddress)
})

const gatewaysJson = (plan: Plan, container: Container, family: Family): readonly GatewayJson[] =>
  [...defaultRoutes(plan, container, family)]
    .sort((a, b) => SOURCES.indexOf(a.source) - SOURCES.indexOf(b.source) || comparePaths(a.at, b.at))
    .map(({ source, via, at }) => ({ source, via: bare(via), path: formatPath(at) }))

/** As NixOS sets them. */
const SOURCES: readonly DefaultRoute['source'][] = [
  'hostAddress',
  'defaultGateway',
  'route',
  'dhcp',
  'advertisement'
]

const firewallJson = (firewall: Firewall): FirewallJson => ({
  enabled: firewall.enable,
  backend: firewall.backend,
  filtersForward: firewall.enable && firewall.backend === 'nftables' && firewall.filterForward !== undefined,
  open: { tcp: openJson(firewall, 'tcp'), udp: openJson(firewall, 'udp') }
})

const openJson = ({ open, interfaces }: Firewall, protocol: Protocol): readonly OpenPortsJson[] => {
  const ports = (list: readonly OpenPorts[], name: string | null): readonly OpenPortsJson[] =>
    list.map(({ from, to }) => ({ from, to, interface: name })).sort((a, b) => a.from - b.from || a.to - b.to)
  return [
    ...ports(open[protocol], null),
    ...byName(interfaces).flatMap(({ name, open }) => ports(open[protocol], name))
  ]
}

const listensJson = (listens: readonly Listen[]): readonly ListenJson[] =>
  listens.flatMap(({ name = null, protocol, port, address }) =>
    protocol.value === undefined ? [] : [{ name, protocol: protocol.value, port, address: bare(address) }]
  )

const natJson = (plan: Plan): NatJson => {
  const { nat, enabled, backend } = plan.nat
  const covered = { 4: new Set<string>(), 6: new Set<string>() }
  for (const link of plan.links) {
    const entrance = entranceOf(link)
    if (entrance === '') continue
    for (const family of [4, 6] as const)
      if (!covered[family].has(entrance) && plan.nat.covers(link, family)) covered[family].add(entrance)
  }
  return {
    enabled,
    backend,
    ipv6: nat?.enableIPv6 === true,
    external: {
      interface: nat?.externalInterface ?? null,
      ipv4: bare(nat?.externalIP),
      ipv6: bare(nat?.externalIPv6)
    },
    covers: { ipv4: [...covered[4]].sort(), ipv6: [...covered[6]].sort() },
    dmzHost: bare(nat?.dmzHost),
    forwards: (nat?.forwardPorts ?? []).flatMap(({ source, destination, proto, loopbackIPs }) => {
      const { range } = source
      const { address, ports = range } = destination
      if (range === undefined || ports === undefined || address === undefined || proto.value === undefined)
        return []
      const owner = plan.addresses.owners(address)?.find(({ kind, enabled }) => kind === 'local' && enabled)
      return [
        {
          protocol: proto.value,
          ...range,
          destination: {
            address: formatAddr(address),
            ...ports,
            name: owner?.link?.node.name ?? null
          },
          loopbackAddresses: loopbackIPs.flatMap(text => bare(text) ?? [])
        }
      ]
    })
  }
}

const portJson = ({ protocol, from, to, kind, container, address, owner, at }: PortClaim): PortJson => ({
  protocol,
  from,
  to,
  kind,
  container: container?.name ?? null,
  address: address === undefined ? null : formatAddr(address),
  owner,
  path: formatPath(at)
})

const inPortOrder = (a: PortClaim, b: PortClaim): number =>
  compareTexts(a.protocol, b.protocol) || a.from - b.from || a.to - b.to || comparePaths(a.at, b.at)

/** Addresses as address/bits in their canonical form; one that could not be chosen is `auto`, and what is none is left out. */
const texts = (addresses: readonly AddressText[]): readonly string[] =>
  addresses.flatMap(({ prefix, auto }) =>
    prefix === undefined ? (auto ? ['auto'] : []) : [formatPrefix(prefix)]
  )

const bare = (address: AddressText | undefined): string | null =>
  address?.prefix === undefined ? null : formatAddr(address.prefix)

const mac = (address: MacText | undefined): string | null =>
  address?.value === undefined ? null : formatMac(address.value)
