import type {
  AddressText,
  Bridge,
  Container,
  Firewall,
  Nat,
  Network,
  PortRange,
  Protocol,
  Topology,
  Veth,
  Vm
} from '../model/topology.ts'
import type { Addr, Family } from '../net/addr.ts'
import type { Prefix } from '../net/prefix.ts'
import type { Releases } from './releases.ts'
import type { Path } from '../text/path.ts'

/** What will exist at run time, as NixOS would make it of the topology. Facts only; rules say what is wrong with them. */
export interface Plan {
  readonly topology: Topology
  /** Each attachment of a container or machine that is switched on, in the file's order. */
  readonly links: readonly Link[]
  readonly linksOf: ReadonlyMap<Container | Vm, readonly Link[]>
  /** Those that are veth pairs without a bridge. */
  readonly pairs: readonly PairLink[]
  /** The containers that are switched on and have no link at all. */
  readonly unlinked: readonly Container[]
  readonly bridges: ReadonlyMap<string, BridgePlan>
  /** The addresses on bridges that do not simply fit; those that do are not in it. */
  readonly misplaced: ReadonlyMap<AddressText, MisplacedAddress>
  readonly addresses: AddressTable
  readonly nat: NatPlan
  readonly ports: readonly PortClaim[]
  /** What each `auto` of the file has become, in the order in which it was decided; it stands in the topology already. */
  readonly allocations: readonly Allocation[]
  /** Every `auto` for which there is nothing. */
  readonly unallocated: readonly Unallocated[]
  /** What differs between releases, as it is for this host. */
  readonly releases: Releases
  /** The names of all interfaces that exist on the host, each with who makes it; worked out when first asked for. */
  readonly hostInterfaces: () => ReadonlyMap<string, HostInterface>
  /** The .network files of the host in networkd's order; worked out when first asked for. */
  readonly networkFiles: () => NetworkFiles
}

/** An `auto` of the file and the values that take its place. */
export interface Allocation {
  /** Where it is written. */
  readonly at: Path
  readonly kind: 'subnet' | 'address' | 'router' | 'port'
  /** What to write there: several for a bridge that gets a subnet of each family. */
  readonly values: readonly (string | number)[]
  /** The pool that it is from; undefined for an address in a bridge's own network, and for the pools that need no entry. */
  readonly pool: string | undefined
}

/** An `auto` that nothing could be chosen for. */
export interface Unallocated {
  readonly at: Path
  readonly kind: Allocation['kind']
  readonly family: Family
  /**
   * no-pool: there is none of the family (IPv6 has none by itself, since its global id must be random). full: every place
   * in it is taken. no-network: the bridge has no network of the family. no-bridge: there is no such bridge.
   */
  readonly reason: 'no-pool' | 'full' | 'no-network' | 'no-bridge'
  /** The network or ports that are full, as they are written; for no-network the bridge, if there is one. */
  readonly within: { readonly at: Path; readonly text: string } | undefined
  /** How many hosts a subnet was to have room for, or how many addresses were wanted. */
  readonly wanted: number
}

/** What an interface of a container or machine is attached to. */
export type LinkKind = 'veth' | 'macvlan' | 'moved' | 'tap'

/** One interface of a container or machine, and its end on the host. */
export interface Link {
  readonly node: Container | Vm
  /** The node, where it is a container. */
  readonly container: Container | undefined
  readonly kind: LinkKind
  readonly at: Path
  /** The veth pair's options; undefined for other kinds. */
  readonly veth: Veth | undefined
  /** The interface's name inside: `eth0`, the key of an extra veth, `mv-<parent>`, or the moved interface. */
  readonly ifname: string
  /** The name of the host's end, as nftables, iptables and networkd see it; empty where there is none. */
  readonly hostIfname: string
  /** The bridge that the host's end is a port of, when the topology has it. */
  readonly bridge: BridgePlan | undefined
  /** The name written for the bridge, whether it exists or not. */
  readonly bridgeName: string | undefined
  /** The addresses inside, `auto` ones included. */
  readonly addresses: readonly AddressText[]
  /** The addresses that the host's end gets; none on a bridge. */
  readonly hostAddresses: readonly AddressText[]
}

/** A veth pair of a container without a bridge. */
export interface PairLink extends Link {
  readonly node: Container
  readonly container: Container
  readonly veth: Veth
}

export interface BridgePlan {
  readonly bridge: Bridge
  readonly members: readonly Link[]
  /** One for each address of the bridge that is known. */
  readonly subnets: readonly Subnet[]
  /** Whether the bridge reaches machines that the topology does not describe: it has a port to outside. */
  readonly open: boolean
}

export interface Subnet {
  readonly bridge: Bridge
  /** The bridge's own address in it. */
  readonly address: AddressText
  readonly prefix: Prefix
  /** Its highest address. */
  readonly last: Addr
  /** How many hosts can have an address, the bridge included. */
  readonly usable: bigint
  /** How many want one: the bridge, its members of this family that belong here, virtual addresses. `usable - needed` is free. */
  readonly needed: bigint
  readonly members: readonly Link[]
}

/** What is to be said of an address on a bridge, at most one thing: the first that applies. */
export type Placement =
  | { readonly kind: 'fits' | 'unknown' }
  | { readonly kind: 'no-prefix'; readonly subnet: Subnet | undefined }
  | {
      readonly kind: 'outside' | 'subnet-too-small' | 'network' | 'broadcast' | 'prefix-differs'
      readonly subnet: Subnet
    }

/** An address on a bridge that does not fit, or of which nothing can be said. */
export interface MisplacedAddress {
  readonly link: Link
  readonly bridge: BridgePlan
  readonly address: AddressText
  readonly placement: Placement
}

/** Who has an address. */
export interface AddressClaim {
  readonly at: Path
  readonly addr: Addr
  /** The address's owner in words: `container "web"`, `bridge br0`, `host interface eth0`. */
  readonly owner: string
  /**
   * local: inside a container or machine. host: the host's, on an interface or bridge. pair: the host's end of a pair.
   * virtual: moves between machines at run time, so it is owned and never a duplicate.
   */
  readonly kind: 'local' | 'host' | 'pair' | 'virtual'
  readonly text: AddressText
  readonly link: Link | undefined
  readonly enabled: boolean
}

export interface AddressTable {
  /** Every claim on an address in the place where it must be unique; undefined when nobody has it. */
  owners(addr: Addr): readonly AddressClaim[] | undefined
  /** The claims on an address on bridges on which the host has no address of that family; each of them is a network of its own. */
  apart(addr: Addr): readonly AddressClaim[]
  /** Each address that somebody has, once: its first claim. */
  each(): Iterable<AddressClaim>
  /** The claims on each address that several have. */
  shared(): Iterable<readonly AddressClaim[]>
}

/** What networking.nat does: which links it masquerades for. */
export interface NatPlan {
  readonly nat: Nat | undefined
  readonly enabled: boolean
  readonly backend: Firewall['backend']
  /** Whether the host's firewall is on; without it iptables NAT is a service of its own. */
  readonly filters: boolean
  /** The character that ends a name pattern in this backend: iptables(8) `-i`, nft(8) wildcards. */
  readonly wildcard: '+' | '*'
  /** Whether an entry of internalInterfaces matches this interface of the host. */
  matches(ifname: string): boolean
  /** Whether packets of this family from this link are translated on their way out, by NAT or by networkd. */
  covers(link: Link, family: Family): boolean
}

/** Who takes a port of the host. */
export interface PortClaim extends PortRange {
  readonly at: Path
  readonly protocol: Protocol
  /**
   * listen: a service of the host. shared: of a container in the host's network. nspawn, nat: a forward.
   * open: no service is named, but the host's firewall opens the port for one.
   */
  readonly kind: 'listen' | 'shared' | 'nspawn' | 'nat' | 'open'
  readonly owner: string
  /** Whether the file names the service. */
  readonly named: boolean
  readonly container: Container | undefined
  /** The bound address; undefined for any. */
  readonly address: Addr | undefined
}

export interface HostInterface {
  readonly at: Path
  /** In words: `bridge "br0"`, `container "web"`. */
  readonly owner: string
  readonly kind: 'bridge' | 'interface' | 'bond' | 'vlan' | 'macvlan' | 'veth' | 'extra-veth' | 'tap'
}

/** What [Match] sees of an interface. */
export interface Device {
  readonly name: string
  /** A second, longer name; Name= matches it as well. */
  readonly altname?: string | undefined
  /** As in Kind=: veth, bridge, vlan, bond, tun …; `none` for hardware, undefined where it is not known. */
  readonly kind: string | undefined
}

/** A .network file that the host has. */
export interface NetworkFile {
  /** With its suffix, which counts in the order: `40-br0-x.network` stands before `40-br0.network`. */
  readonly file: string
  /** By hand, by NixOS from networking.*, or by systemd itself. */
  readonly source: 'written' | 'generated' | 'shipped'
  /** What is written in it, where somebody wrote it. */
  readonly network: Network | undefined
  readonly match: Match
}

/** A [Match] section, as far as it can be judged here. */
export interface Match {
  /** The patterns of Name=; each with the `!` that stands before the whole list. */
  readonly names: readonly string[]
  readonly kinds: readonly string[]
  readonly types: readonly string[]
  readonly drivers: readonly string[]
  /** Whether it asks for something that a topology does not say: a MAC address, a path, the host's name … */
  readonly more: boolean
}

/** The files of one host in networkd's order. */
export interface NetworkFiles {
  readonly all: readonly NetworkFile[]
  /** Every file that takes the interface, the one that is used first; and those of which that is not known. */
  takers(device: Device): readonly NetworkFile[]
  /** The file that is used: `unknown` where a file before it may take the interface; undefined where none takes it. */
  taker(device: Device): NetworkFile | 'unknown' | undefined
}

export const FAMILIES: readonly Family[] = [4, 6]
