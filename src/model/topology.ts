import type { Addr, AddrFault } from '../net/addr.ts'
import type { Prefix } from '../net/prefix.ts'
import type { Path } from '../text/path.ts'

/** What the user wrote, typed. Every value is plain and immutable; `at` is its place in the file. */
export interface Topology {
  readonly name: string | undefined
  /** The place whose LAN the host shares with others, where the file names one. */
  readonly site: Named | undefined
  readonly host: Host
  /** Undefined where the file has no nat block. */
  readonly nat: Nat | undefined
  readonly bridges: readonly Bridge[]
  readonly containers: readonly Container[]
  readonly vms: readonly Vm[]
  readonly reserved: readonly Reserved[]
  readonly pools: readonly Pool[]
  readonly expectations: readonly Expectation[]
  readonly ignores: readonly Ignore[]
  /** Every text that should be an address and is none, in the file's order. */
  readonly faultyAddresses: readonly AddressText[]
  /** Whether any address of the file is IPv6, made for something else than an ordinary interface, or `auto`; most files have none. */
  readonly seen: { readonly IPv6: boolean; readonly special: boolean; readonly auto: boolean }
  /**
   * The containers that have one of these options in the file, in its order: a rule for what few of 100,000 containers
   * have should not look at all of them.
   */
  readonly having: Readonly<Record<RareOption, readonly Container[]>>
}

/** The options that many containers do without. */
export type RareOption =
  | 'additionalCapabilities'
  | 'defaultGateway6'
  | 'dhcp'
  | 'enableTun'
  | 'extraFlags'
  | 'extraVeths'
  | 'firewall'
  | 'flake'
  | 'forwardPorts'
  | 'hostAddress'
  | 'hostAddress6'
  | 'inside'
  | 'interfaces'
  | 'internet'
  | 'listens'
  | 'localAddress6'
  | 'localMacAddress'
  | 'macvlans'
  | 'nameservers'
  | 'networkNamespace'
  | 'privateUsers'
  | 'routes'
  | 'useNetworkd'
  | 'virtualAddresses'
  | 'vpn'

/** A test of the network: an entry of `expect`. */
export interface Expectation {
  readonly at: Path
  /** A container's name, `host`, `lan`, `internet`, or an address. */
  readonly from: string
  readonly to: string
  /** Undefined: a ping. */
  readonly port: number | undefined
  readonly protocol: string
  /** Undefined: each family that both ends have. */
  readonly family: 4 | 6 | undefined
  readonly outcome: 'reaches' | 'blocked'
  readonly why: string | undefined
}

/** Findings of a rule that are not to be told: at a place and in what stands in it, or everywhere. */
export interface Ignore {
  readonly at: Path
  readonly rule: string
  /** As findings write it: `containers.web.localAddress`. */
  readonly place: string | undefined
  readonly reason: string
}

/** A MAC address as it was written; `value` is its 48 bits, undefined where it is none. */
export interface MacText {
  readonly at: Path
  readonly text: string
  readonly value: number | undefined
}

/** An address as it was written: parsed, asked for (`auto`), or faulty. */
export interface AddressText {
  readonly at: Path
  readonly text: string
  /** Undefined for `auto` and for what does not parse. A bare address has all its bits. */
  readonly prefix: Prefix | undefined
  /** Written without a prefix length. */
  readonly bare: boolean
  readonly auto: boolean
  readonly fault: AddrFault | undefined
}

export interface PortRange {
  readonly from: number
  readonly to: number
}

export type Protocol = 'tcp' | 'udp'

/** A protocol as it was written; only `tcp` and `udp` work anywhere. */
export interface ProtocolText {
  readonly at: Path
  readonly text: string
  readonly value: Protocol | undefined
}

export interface Gateway {
  readonly at: Path
  readonly address: AddressText
  readonly interface: string | undefined
  readonly metric: number | undefined
  /** The source address of packets that take the route. */
  readonly source: AddressText | undefined
}

export interface Route {
  readonly at: Path
  readonly destination: AddressText
  readonly via: AddressText | undefined
  readonly interface: string | undefined
}

export interface Listen {
  readonly at: Path
  readonly name: string | undefined
  readonly port: number
  readonly protocol: ProtocolText
  /** Undefined: any address. */
  readonly address: AddressText | undefined
}

export interface Openings {
  readonly tcp: readonly OpenPorts[]
  readonly udp: readonly OpenPorts[]
}

export interface OpenPorts extends PortRange {
  readonly at: Path
}

export interface Firewall {
  readonly at: Path
  /** Whether the file says anything about it. */
  readonly written: boolean
  readonly enable: boolean
  readonly backend: 'iptables' | 'nftables'
  readonly open: Openings
  readonly interfaces: readonly { readonly at: Path; readonly name: string; readonly open: Openings }[]
  readonly trustedInterfaces: readonly Named[]
  readonly checkReversePath: 'strict' | 'loose' | 'off'
  readonly allowPing: boolean
  readonly rejectPackets: boolean
  /** Where filterForward is set, if it is. */
  readonly filterForward: Path | undefined
  readonly extraCommands: string | undefined
  readonly extraInputRules: string | undefined
  readonly extraForwardRules: string | undefined
}

/** A name with its place. */
export interface Named {
  readonly at: Path
  readonly name: string
}

/** A network interface of the host, or inside a container. */
export interface Interface extends Named {
  readonly dhcp: boolean
  readonly acceptRA: boolean | undefined
  readonly addresses: readonly AddressText[]
  readonly routes: readonly Route[]
  readonly macAddress: MacText | undefined
  readonly mtu: number | undefined
  /** Whether the host answers ARP there for what it routes elsewhere. */
  readonly proxyARP: boolean
}

export interface Bond extends Named {
  readonly interfaces: readonly Named[]
  /** The bonding mode; without one it is the kernel's balance-rr. */
  readonly mode: string | undefined
}

export interface Vlan extends Named {
  readonly id: number
  readonly interface: Named
}

export interface Macvlan extends Named {
  readonly interface: Named
  /** Without one it is the kernel's vepa. */
  readonly mode: MacvlanMode | undefined
}

export type MacvlanMode = 'bridge' | 'vepa' | 'private'

export interface DhcpServer {
  readonly at: Path
  readonly interface: Named
  readonly program: string | undefined
  readonly subnet: AddressText | undefined
  /** The first and the last address that it hands out, where `range` is written and both are addresses. */
  readonly range: { readonly at: Path; readonly from: Addr; readonly to: Addr } | undefined
}

/** A value of a section of a networkd unit, as networkd reads it. */
export interface SettingText {
  readonly at: Path
  readonly text: string
  readonly value: string | number | boolean
}

/** A section of a networkd unit: each key with its values, several where the key repeats. */
export interface Section {
  readonly at: Path
  readonly settings: ReadonlyMap<string, readonly SettingText[]>
}

/** systemd.network.netdevs.<file> */
export interface Netdev {
  readonly at: Path
  /** The file's name without its suffix. */
  readonly file: string
  readonly enable: boolean
  /** Every section by its key in NixOS: netdevConfig, bridgeConfig … */
  readonly sections: ReadonlyMap<string, Section>
  readonly name: SettingText | undefined
  readonly kind: string | undefined
}

/** A route of a unit: Gateway= of [Network], or a [Route] section. */
export interface UnitRoute {
  readonly at: Path
  /** Undefined where the route has none, or DHCP or an advertisement names it. */
  readonly gateway: AddressText | undefined
  /** Undefined: a default route. */
  readonly destination: AddressText | undefined
  /** GatewayOnLink=: the gateway counts as reachable whatever the addresses are. */
  readonly onLink: boolean
}

/** systemd.network.networks.<file> */
export interface Network {
  readonly at: Path
  /** The file's name without its suffix; NixOS writes the file `<file>.network`. */
  readonly file: string
  readonly enable: boolean
  /** Every section by its key in NixOS: matchConfig, linkConfig, networkConfig … */
  readonly sections: ReadonlyMap<string, Section>
  /** What `Name=` of [Match] lists, with `name` beside it. */
  readonly names: readonly Named[]
  /** Every Address= of the file, wherever it stands. */
  readonly addresses: readonly AddressText[]
  /** The [Address] sections, each as it was written. */
  readonly addressSections: readonly Section[]
  /** The gateways of the routes without a destination. */
  readonly gateways: readonly AddressText[]
  readonly routes: readonly UnitRoute[]
  /** The [Route] sections, each as it was written. */
  readonly routeSections: readonly Section[]
  readonly dns: readonly AddressText[]
  /** The bridge that the interface becomes a port of. */
  readonly bridge: readonly Named[]
  /** The VLANs, macvlans and so on that are made on the interface. */
  readonly stacked: readonly Named[]
  /** Text that NixOS appends to the file. */
  readonly extraConfig: string | undefined
  readonly dhcp: SettingText | undefined
  /** `addresses` and `routes` as they were written. */
  readonly lists: ReadonlyMap<string, readonly { readonly at: Path; readonly keys: readonly string[] }[]>
  /** All that stands beside the sections, by its key; of a list each entry as one text. */
  readonly others: ReadonlyMap<string, readonly string[]>
}

/** systemd.network of the host, as it is written by hand. */
export interface Networkd {
  readonly at: Path
  readonly enable: boolean | undefined
  readonly netdevs: readonly Netdev[]
  readonly networks: readonly Network[]
  /** [Network] of networkd.conf. */
  readonly config: Section | undefined
  readonly waitOnline: {
    readonly at: Path
    readonly enable: boolean
    readonly anyInterface: boolean | undefined
    readonly ignoredInterfaces: readonly string[]
    readonly extraArgs: readonly string[]
  }
}

export interface Host {
  readonly at: Path
  readonly name: string | undefined
  readonly release: string | undefined
  readonly kernel: string | undefined
  readonly manager: 'networkd' | 'networkmanager' | 'scripted' | undefined
  readonly useDHCP: boolean | undefined
  readonly enableIPv6: boolean
  readonly enableContainers: boolean
  readonly interfaces: readonly Interface[]
  /** `interfaces` with what hand-written units add: addresses, and interfaces that only they name. No bridges, no ends of pairs. */
  readonly configured: readonly Interface[]
  readonly bonds: readonly Bond[]
  readonly vlans: readonly Vlan[]
  readonly macvlans: readonly Macvlan[]
  readonly defaultGateway: Gateway | undefined
  readonly defaultGateway6: Gateway | undefined
  readonly nameservers: readonly AddressText[]
  readonly resolvConf: readonly AddressText[]
  /** services.resolved.enable, where the file says it. */
  readonly resolved: boolean | undefined
  readonly firewall: Firewall
  readonly listens: readonly Listen[]
  /** boot.kernel.sysctl by name, with dots for slashes. */
  readonly sysctl: ReadonlyMap<string, SettingText>
  readonly daemons: readonly string[]
  readonly dhcpServers: readonly DhcpServer[]
  /** networking.networkmanager.unmanaged; undefined where the file does not say it. */
  readonly unmanaged: readonly string[] | undefined
  /** Undefined where the units are not written by hand. */
  readonly networkd: Networkd | undefined
  readonly virtualAddresses: readonly AddressText[]
  /** Whether the uplink has IPv6; undefined where the file does not say it. */
  readonly internet6: boolean | undefined
  readonly partial: boolean
}

export interface Nat {
  readonly at: Path
  readonly enable: boolean
  /** Whether the file says that it is on or off. */
  readonly switched: boolean
  readonly enableIPv6: boolean
  readonly internalInterfaces: readonly Named[]
  readonly internalIPs: readonly AddressText[]
  readonly internalIPv6s: readonly AddressText[]
  readonly externalInterface: string | undefined
  readonly externalIP: AddressText | undefined
  readonly externalIPv6: AddressText | undefined
  readonly dmzHost: AddressText | undefined
  readonly forwardPorts: readonly NatForward[]
  readonly partial: boolean
}

/** networking.nat.forwardPorts.* */
export interface NatForward {
  readonly at: Path
  readonly source: PortsText
  readonly destination: DestinationText
  readonly proto: ProtocolText
  readonly loopbackIPs: readonly AddressText[]
}

/** A port or a range of ports as it was written. */
export interface PortsText {
  readonly at: Path
  readonly text: string
  readonly range: PortRange | undefined
  readonly fault: 'separator' | 'reversed' | 'bounds' | 'text' | undefined
}

/** Where a forward goes: `address`, `address:port`, `address:from-to`, `[v6]:port`. */
export interface DestinationText {
  readonly at: Path
  readonly text: string
  readonly address: Addr | undefined
  readonly ports: PortRange | undefined
  readonly fault: 'address' | 'brackets' | 'prefix' | 'port' | 'reversed' | undefined
}

/** The [BridgeVLAN] sections of a port of a bridge. */
export interface PortVlans extends Named {
  readonly sections: readonly (readonly SettingText[])[]
}

export interface Bridge extends Named {
  /** How many hosts an automatic subnet must have room for, the bridge included. */
  readonly size: number | undefined
  readonly addresses: readonly AddressText[]
  readonly interfaces: readonly Named[]
  /** Where DHCP is asked for, if it is. */
  readonly dhcp: Path | undefined
  readonly acceptRA: boolean | undefined
  readonly proxyARP: boolean
  readonly macAddress: MacText | undefined
  readonly rstp: boolean
  readonly stp: boolean
  readonly vlanAware: boolean
  /** The VLANs of its ports, where they are written. */
  readonly portVlans: readonly PortVlans[]
  /** The routes and the MTU of networking.interfaces.<bridge>. */
  readonly routes: readonly Route[]
  readonly mtu: number | undefined
  /** networkd's own IPMasquerade=, and its forwarding where the file says it. */
  readonly masquerade: { readonly 4: boolean; readonly 6: boolean }
  readonly forwarding: { readonly 4: boolean | undefined; readonly 6: boolean | undefined }
  readonly definedBy: 'networkd' | 'scripted' | 'both' | undefined
  readonly virtualAddresses: readonly AddressText[]
  readonly partial: boolean
}

/** One veth pair's options: those of the container itself (`eth0` inside), or of one of its extraVeths. */
export interface Veth {
  readonly at: Path
  /** The interface's name inside. */
  readonly ifname: string
  readonly extra: boolean
  readonly hostBridge: string | undefined
  readonly hostAddress: AddressText | undefined
  readonly hostAddress6: AddressText | undefined
  readonly localAddress: AddressText | undefined
  readonly localAddress6: AddressText | undefined
  readonly localMacAddress: MacText | undefined
  readonly forwardPorts: readonly ContainerForward[]
}

/** containers.<name>.forwardPorts.* */
export interface ContainerForward {
  readonly at: Path
  readonly protocol: ProtocolText
  /** Undefined for `auto` that has not been decided. */
  readonly hostPort: number | undefined
  readonly containerPort: number | undefined
}

export interface Container extends Named {
  readonly enabled: boolean
  readonly partial: boolean
  /** Whether a way out is wanted, where the file says so. */
  readonly internet: boolean | undefined
  readonly checkedByNix: boolean
  /** Undefined where the file does not say it; NixOS takes false. */
  readonly autoStart: boolean | undefined
  readonly privateNetwork: boolean
  readonly networkNamespace: boolean
  /** The path of the namespace that it runs in, where it is one that is made elsewhere. */
  readonly namespacePath: string | undefined
  readonly veth: Veth
  readonly extraVeths: readonly Veth[]
  readonly interfaces: readonly Named[]
  readonly macvlans: readonly Named[]
  readonly defaultGateway: Gateway | undefined
  readonly defaultGateway6: Gateway | undefined
  readonly routes: readonly Route[]
  readonly dhcp: boolean
  readonly acceptRA: boolean | undefined
  readonly privateUsers: string | number | undefined
  readonly enableTun: boolean
  readonly additionalCapabilities: readonly string[]
  /** Further flags for systemd-nspawn, as they were written. */
  readonly extraFlags: readonly Named[]
  readonly copyResolvConf: boolean
  readonly useNetworkd: boolean
  readonly networkManager: boolean
  readonly useHostResolvConf: boolean | undefined
  readonly resolved: boolean
  readonly nameservers: readonly AddressText[]
  readonly firewall: Firewall
  readonly listens: readonly Listen[]
  readonly vpn: Vpn | undefined
  readonly virtualAddresses: readonly AddressText[]
  readonly inside: Inside
}

/** A VPN client inside a container. */
export interface Vpn {
  readonly at: Path
  readonly name: string | undefined
  readonly interface: string | undefined
  /** Whether the tunnel takes over the default route. */
  readonly defaultRoute: boolean
}

/** The container's own networking.*, where it stands under `inside`. */
export interface Inside {
  readonly interfaces: readonly Interface[]
  readonly bridges: readonly (Named & {
    readonly interfaces: readonly Named[]
    readonly addresses: readonly AddressText[]
  })[]
  readonly vlans: readonly Vlan[]
  readonly nat: Nat | undefined
}

export interface Vm extends Named {
  readonly kind: 'microvm' | 'libvirt' | 'qemu' | 'other'
  readonly enabled: boolean
  readonly partial: boolean
  readonly interfaces: readonly (Named & {
    readonly type: 'tap' | 'macvtap' | 'bridge' | 'user'
    readonly hostBridge: string | undefined
    readonly macAddress: MacText | undefined
    readonly addresses: readonly AddressText[]
  })[]
  readonly defaultGateway: Gateway | undefined
  readonly defaultGateway6: Gateway | undefined
  readonly listens: readonly Listen[]
}

/** Where values written as `auto` are taken from. */
export interface Pool extends Named {
  readonly prefix: AddressText | undefined
  /** The host ports that are given out, where they are written; `range` is undefined where the text is none. */
  readonly ports:
    | { readonly at: Path; readonly text: string; readonly range: PortRange | undefined }
    | undefined
  readonly exclude: readonly Exclusion[]
}

/** What a pool never gives out: addresses from one to another, or ports; neither where the text is none. */
export interface Exclusion {
  readonly at: Path
  readonly text: string
  readonly addresses: { readonly from: Addr; readonly to: Addr } | undefined
  readonly ports: PortRange | undefined
}

export interface Reserved {
  readonly at: Path
  readonly prefix: AddressText
  readonly for: string | undefined
}
