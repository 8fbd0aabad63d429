import type { Addr, AddrFault } from '../net/addr.ts'
import type { Prefix } from '../net/prefix.ts'
import type { Path } from '../text/path.ts'

/** What the user wrote, typed. Every value is plain and immutable; `at` is its place in the file. */
export interface Topology {
  readonly name: string | undefined
  readonly host: Host
  /** Undefined where the file has no nat block. */
  readonly nat: Nat | undefined
  readonly bridges: readonly Bridge[]
  readonly containers: readonly Container[]
  readonly vms: readonly Vm[]
  readonly reserved: readonly Reserved[]
  readonly expectations: number
  /** Every text that should be an address and is none, in the file's order. */
  readonly faultyAddresses: readonly AddressText[]
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
}

export interface Host {
  readonly at: Path
  readonly release: string | undefined
  readonly kernel: string | undefined
  readonly manager: 'networkd' | 'networkmanager' | 'scripted' | undefined
  readonly interfaces: readonly Interface[]
  readonly bonds: readonly (Named & { readonly interfaces: readonly Named[] })[]
  readonly vlans: readonly (Named & { readonly interface: Named })[]
  readonly defaultGateway: Gateway | undefined
  readonly defaultGateway6: Gateway | undefined
  readonly nameservers: readonly AddressText[]
  readonly resolvConf: readonly AddressText[]
  readonly firewall: Firewall
  readonly listens: readonly Listen[]
  readonly daemons: readonly string[]
  readonly virtualAddresses: readonly AddressText[]
  /** Whether the uplink is known to have IPv6. */
  readonly internet6: boolean
  readonly partial: boolean
}

export interface Nat {
  readonly at: Path
  readonly enable: boolean
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

export interface Bridge extends Named {
  readonly addresses: readonly AddressText[]
  readonly interfaces: readonly Named[]
  /** Where DHCP is asked for, if it is. */
  readonly dhcp: Path | undefined
  readonly vlanAware: boolean
  readonly masquerade: { readonly 4: boolean; readonly 6: boolean }
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
  readonly localMacAddress: string | undefined
  readonly forwardPorts: readonly ContainerForward[]
}

/** containers.<name>.forwardPorts.* */
export interface ContainerForward {
  readonly at: Path
  readonly protocol: ProtocolText
  /** Undefined for `auto`. */
  readonly hostPort: number | undefined
  readonly containerPort: number | undefined
}

export interface Container extends Named {
  readonly enabled: boolean
  readonly partial: boolean
  /** Whether a way out is wanted, where the file says so. */
  readonly internet: boolean | undefined
  readonly checkedByNix: boolean
  readonly privateNetwork: boolean
  readonly networkNamespace: boolean
  readonly veth: Veth
  readonly extraVeths: readonly Veth[]
  readonly interfaces: readonly Named[]
  readonly macvlans: readonly Named[]
  readonly defaultGateway: Gateway | undefined
  readonly defaultGateway6: Gateway | undefined
  readonly routes: readonly Route[]
  readonly dhcp: boolean
  readonly acceptRA: boolean | undefined
  readonly useNetworkd: boolean
  readonly useHostResolvConf: boolean | undefined
  readonly resolved: boolean
  readonly nameservers: readonly AddressText[]
  readonly firewall: Firewall
  readonly listens: readonly Listen[]
  readonly virtualAddresses: readonly AddressText[]
  readonly inside: Inside
}

/** The container's own networking.*, where it stands under `inside`. */
export interface Inside {
  readonly interfaces: readonly Interface[]
  readonly bridges: readonly (Named & {
    readonly interfaces: readonly Named[]
    readonly addresses: readonly AddressText[]
  })[]
  readonly vlans: readonly (Named & { readonly interface: Named })[]
  readonly nat: Nat | undefined
}

export interface Vm extends Named {
  readonly enabled: boolean
  readonly partial: boolean
  readonly interfaces: readonly (Named & {
    readonly hostBridge: string | undefined
    readonly addresses: readonly AddressText[]
  })[]
  readonly defaultGateway: Gateway | undefined
  readonly defaultGateway6: Gateway | undefined
  readonly listens: readonly Listen[]
}

export interface Reserved {
  readonly at: Path
  readonly prefix: AddressText
  readonly for: string | undefined
}
