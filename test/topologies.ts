import * as fc from 'fast-check'
import { Document, isMap, isScalar, isSeq, Scalar, visit } from 'yaml'

// Random networks in which nothing is wrong. What a network is, is told in records of its own, so that a test can hold the
// program against it and not against itself.

export { hostileBases, type HostilePlace, hostilePlaces, hostileStrings } from './hostile.ts'

export type Family = 4 | 6
export type Backend = 'iptables' | 'nftables'
export type Manager = 'networkd' | 'networkmanager' | 'scripted'
export type Protocol = 'tcp' | 'udp'

const PROTOCOLS = ['tcp', 'udp'] as const

export interface Address {
  readonly family: Family
  /** In the one form of inet_ntop (RFC 5952). */
  readonly address: string
  readonly bits: number
}

export interface Ports {
  readonly protocol: Protocol
  readonly from: number
  readonly to: number
  /** Whether it is written as a range even if it is one port. */
  readonly ranged: boolean
}

export interface Firewall {
  readonly enable: boolean | undefined
  readonly backend: Backend | undefined
  readonly open: readonly Ports[]
  readonly interfaces: readonly { readonly name: string; readonly open: readonly Ports[] }[]
  readonly trusted: readonly string[]
  readonly checkReversePath: boolean | 'strict' | 'loose' | undefined
  readonly filterForward: boolean | undefined
  readonly extraForwardRules: string | undefined
}

export interface Gateway {
  readonly address: string
  /** Undefined where the gateway is written as an address alone. */
  readonly interface: string | undefined
  readonly metric: number | undefined
}

type Gateways = { readonly [family in Family]: Gateway | undefined }

const NO_GATEWAYS: Gateways = { 4: undefined, 6: undefined }

export interface Route {
  readonly to: Address
  readonly via: string | undefined
  readonly interface: string | undefined
}

export interface Card {
  readonly name: string
  readonly addresses: readonly Address[]
  readonly dhcp: boolean | undefined
  readonly acceptRA: boolean | undefined
  readonly mac: string | undefined
  readonly mtu: number | undefined
  readonly routes: readonly Route[]
}

export interface Listen {
  readonly name: string | undefined
  readonly port: number
  readonly protocol: Protocol
  readonly address: string | undefined
}

export interface Bridge {
  readonly name: string
  readonly addresses: readonly Address[]
  readonly ports: readonly string[]
  readonly dhcp: boolean | undefined
  readonly acceptRA: boolean | undefined
  readonly mac: string | undefined
  readonly stp: boolean | undefined
  readonly rstp: boolean | undefined
  readonly definedBy: 'networkd' | 'scripted' | undefined
  readonly masquerade: 'ipv4' | 'ipv6' | 'both' | 'no' | undefined
  readonly forwarding: { readonly 4: boolean | undefined; readonly 6: boolean | undefined }
}

/** The two ends of a veth pair. `local` has its prefix length where the other end is on a bridge, else all bits. */
export interface Veth {
  /** Inside: `eth0`, or the key of an extra veth. */
  readonly name: string
  readonly bridge: string | undefined
  readonly host: readonly Address[]
  readonly local: readonly Address[]
  readonly mac: string | undefined
}

export interface ContainerForward {
  readonly protocol: Protocol
  readonly hostPort: number
  /** Undefined: the same. */
  readonly containerPort: number | undefined
  readonly writesProtocol: boolean
}

export interface Container {
  readonly name: string
  readonly enabled: boolean | undefined
  readonly autoStart: boolean | undefined
  readonly internet: boolean | undefined
  readonly privateNetwork: boolean | undefined
  readonly veth: Veth | undefined
  readonly extraVeths: readonly Veth[]
  readonly macvlans: readonly string[]
  readonly moved: readonly string[]
  readonly forwardPorts: readonly ContainerForward[]
  readonly gateway: Gateways
  readonly routes: readonly Route[]
  readonly dhcp: boolean | undefined
  readonly acceptRA: boolean | undefined
  readonly inside: readonly Card[]
  readonly nameservers: readonly string[]
  readonly useHostResolvConf: boolean | undefined
  readonly resolved: boolean | undefined
  readonly useNetworkd: boolean | undefined
  readonly copyResolvConf: boolean | undefined
  readonly privateUsers: string | number | undefined
  readonly enableTun: boolean | undefined
  readonly capabilities: readonly string[]
  readonly firewall: Firewall | undefined
  readonly listens: readonly Listen[]
}

export interface Vm {
  readonly name: string
  readonly kind: string | undefined
  readonly enabled: boolean | undefined
  readonly cards: readonly {
    readonly name: string
    readonly type: 'tap' | 'macvtap' | 'bridge' | 'user' | undefined
    readonly bridge: string | undefined
    readonly mac: string | undefined
    readonly addresses: readonly Address[]
  }[]
  readonly gateway: Gateways
}

export interface NatForward {
  readonly protocol: Protocol
  readonly writesProtocol: boolean
  readonly from: number
  readonly to: number
  readonly destination: {
    readonly family: Family
    readonly address: string
    readonly from: number
    readonly to: number
  }
  readonly loopbackIPs: readonly string[]
}

export interface Nat {
  readonly enableIPv6: boolean | undefined
  readonly internalInterfaces: readonly string[]
  readonly internalIPs: readonly Address[]
  readonly internalIPv6s: readonly Address[]
  readonly externalInterface: string
  readonly externalIP: string | undefined
  readonly externalIPv6: string | undefined
  readonly dmzHost: string | undefined
  readonly forwards: readonly NatForward[]
}

export interface Network {
  readonly name: string | undefined
  readonly site: string | undefined
  /** How addresses of IPv6 are written in the file. */
  readonly spelling: 'short' | 'long' | 'upper'
  /** Whether an interface with a single address has it as a text instead of a list. */
  readonly single: boolean
  readonly host: {
    readonly name: string | undefined
    readonly release: string | undefined
    readonly kernel: string | undefined
    readonly manager: Manager | undefined
    readonly useDHCP: boolean | undefined
    readonly internet6: boolean | undefined
    readonly resolved: boolean | undefined
    readonly backend: Backend
    readonly cards: readonly Card[]
    readonly bonds: readonly { readonly name: string; readonly members: readonly string[] }[]
    readonly vlans: readonly { readonly name: string; readonly id: number; readonly parent: string }[]
    readonly gateway: Gateways
    readonly nameservers: readonly string[]
    readonly firewall: Firewall | undefined
    readonly listens: readonly Listen[]
    readonly sysctl: readonly (readonly [name: string, value: string | number | boolean])[]
    readonly daemons: readonly string[]
    readonly unmanaged: readonly string[] | undefined
  }
  readonly nat: Nat | undefined
  readonly bridges: readonly Bridge[]
  readonly containers: readonly Container[]
  readonly vms: readonly Vm[]
  readonly reserved: readonly { readonly prefix: string; readonly for: string | undefined }[]
}

// Addresses

const WIDTH = { 4: 32, 6: 128 } as const

const text4 = (value: bigint): string => [24n, 16n, 8n, 0n].map(shift => (value >> shift) & 255n).join('.')

const groups = (value: bigint): readonly number[] =>
  Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn))

const text6 = (value: bigint): string => {
  const all = groups(value)
  let best = { at: -1, length: 1 }
  for (let at = 0; at < 8; at += 1) {
    let length = 0
    while (at + length < 8 && all[at + length] === 0) length += 1
    if (length > best.length) best = { at, length }
  }
  const hex = (part: readonly number[]): string => part.map(group => group.toString(16)).join(':')
  return best.at < 0 ? hex(all) : `${hex(all.slice(0, best.at))}::${hex(all.slice(best.at + best.length))}`
}

const addressOf = (family: Family, value: bigint, bits: number = WIDTH[family]): Address => ({
  family,
  address: family === 4 ? text4(value) : text6(value),
  bits
})

const value4 = (text: string): bigint =>
  text.split('.').reduce((value, byte) => value * 256n + BigInt(byte), 0n)

/** An address without zone or embedded IPv4 as a number. */
export const valueOf = (text: string): bigint => {
  if (!text.includes(':')) return value4(text)
  const [head = '', tail] = text.split('::')
  const parse = (part: string): bigint[] =>
    part === '' ? [] : part.split(':').map(group => BigInt(`0x${group}`))
  const [left, right] = [parse(head), parse(tail ?? '')]
  const zeros = Array.from({ length: tail === undefined ? 0 : 8 - left.length - right.length }, () => 0n)
  return [...left, ...zeros, ...right].reduce((value, group) => (value << 16n) | group, 0n)
}

export const familyOf = (text: string): Family => (text.includes(':') ? 6 : 4)

/** Any spelling of an address, with or without a prefix length, in the one form of inet_ntop. */
export const canonical = (text: string): string => {
  const [address = '', bits] = text.split('/')
  const plain = addressOf(familyOf(address), valueOf(address)).address
  return bits === undefined ? plain : `${plain}/${bits}`
}

export const withBits = ({ address, bits }: Address): string => `${address}/${bits}`

/** The network of an address as address/bits. */
export const networkOf = ({ family, address, bits }: Address): Address => {
  const free = BigInt(WIDTH[family] - bits)
  return addressOf(family, (valueOf(address) >> free) << free, bits)
}

// Small things

export const bool = (percent: number): fc.Arbitrary<boolean> =>
  fc.oneof(
    { withCrossShrink: true },
    { weight: 100 - percent, arbitrary: fc.constant(false) },
    { weight: percent, arbitrary: fc.constant(true) }
  )

const rarely = <T>(percent: number, arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof(
    { withCrossShrink: true },
    { weight: 100 - percent, arbitrary: fc.constant(undefined) },
    { weight: percent, arbitrary }
  )

/** One of these, those with more weight more often; shrinks to the first. */
export const pick = <const T>(
  ...choices: readonly (readonly [weight: number, value: T])[]
): fc.Arbitrary<T> =>
  fc.oneof(
    { withCrossShrink: true },
    ...choices.map(([weight, value]) => ({ weight, arbitrary: fc.constant(value) }))
  )

/**
 * From 13 characters on the host's interface has another name. Then words of Nix, of nftables, of YAML and of JavaScript,
 * and names that look like numbers.
 */
const CONTAINER_NAMES =
  'web db mail containerA a git-runner DNS x1 twelve-chars thirteenchars fourteen-chars averylongcontainername ' +
  'my-postgres-database with or null true no 1 0x1f 1e3 007 accept masquerade constructor toString ' +
  'n'.repeat(63)

const BRIDGE_NAMES = [
  'br0',
  'br1',
  'br-lan',
  'lan',
  'BR0',
  'br_apps',
  'br.7',
  'bridge-15-chars',
  'b',
  'apps0'
] as const

const UPLINKS = ['enp1s0', 'eno1', 'ens3', 'eth0', 'enp0s31f6', 'enx02a1b2c3d4e5', 'wlp5s0'] as const

const PORTS = [80, 443, 22, 53, 25, 8080, 3000, 1, 65530, 25565] as const

// A blueprint is what is drawn: small independent values. A network is made of it by counting addresses, ports and names
// out, so that none collides, whatever remains of the blueprint when a failure is shrunk.

const service = fc.record({
  protocol: pick([70, 'tcp'], [30, 'udp']),
  port: fc.constantFrom(...PORTS),
  width: pick([80, 1], [10, 2], [10, 6]),
  expose: pick([40, 'none'], [25, 'nspawn'], [35, 'nat']),
  family: pick([60, 4], [40, 6]),
  hostPort: fc.constantFrom(8080, 80, 443, 2222, 1, 65520, 8443),
  opening: pick([60, 'port'], [20, 'range'], [20, 'interface']),
  loopback: bool(20),
  listens: bool(40),
  writesProtocol: bool(50)
})

const gateways = pick([40, 'object'], [15, 'text'], [25, 'host'], [10, 'route'], [10, 'none'])

const containerPrint = fc.record({
  name: fc.constantFrom(...CONTAINER_NAMES.split(' ')),
  home: pick([40, 'bridge'], [35, 'pair'], [15, 'shared'], [10, 'extra']),
  which: fc.nat(7),
  off: bool(8),
  autoStart: rarely(60, fc.boolean()),
  v4: bool(85),
  v6: bool(50),
  sharesHost: bool(40),
  gateway: gateways,
  metric: rarely(10, fc.constantFrom(0, 100, 1024)),
  dns: pick([40, 'none'], [20, 'resolved'], [20, 'nameservers'], [20, 'both']),
  hostDns: bool(20),
  dhcp: bool(20),
  services: fc.array(service, { maxLength: 3 }),
  extras: fc.array(fc.record({ which: rarely(60, fc.nat(7)), v4: bool(80), v6: bool(40), name: fc.nat(2) }), {
    maxLength: 2
  }),
  macvlan: bool(12),
  moved: bool(8),
  mac: bool(15),
  networkd: bool(10),
  mtu: rarely(8, fc.constantFrom(1400, 1280, 9000)),
  firewall: pick([60, 'on'], [15, 'written'], [10, 'off'], [15, 'nftables']),
  internet: bool(20),
  noCopy: bool(10),
  privateUsers: rarely(10, fc.constantFrom('no', 'identity', 'pick')),
  tun: bool(8),
  capability: bool(8)
})

const bridgePrint = fc.record({
  name: fc.constantFrom(...BRIDGE_NAMES),
  kind: pick([80, 'private'], [20, 'isolated']),
  bits4: fc.array(pick([30, 24], [15, 29], [10, 28], [10, 16], [10, 30], [10, 31], [10, 25], [5, 22]), {
    maxLength: 2
  }),
  bits6: fc.array(pick([60, 64], [10, 112], [10, 126], [10, 127], [10, 120]), { maxLength: 2 }),
  place: pick([60, 'first'], [20, 'last'], [20, 'middle']),
  global6: bool(15),
  spot: fc.nat(0xffff),
  port: pick([75, 'none'], [15, 'card'], [10, 'vlan']),
  mac: bool(30),
  stp: bool(6),
  definedBy: pick([70, undefined], [15, 'networkd'], [15, 'scripted']),
  acceptRA: rarely(15, fc.boolean()),
  masquerade: bool(12),
  forwarding: bool(15)
})

const vmPrint = fc.record({
  name: fc.constantFrom('vm', 'router', 'win11', 'k8s-node'),
  kind: pick([40, undefined], [30, 'microvm'], [20, 'libvirt'], [10, 'qemu']),
  off: bool(10),
  type: pick([70, 'tap'], [20, undefined], [10, 'user']),
  which: fc.nat(7),
  v4: bool(80),
  v6: bool(40),
  mac: bool(70),
  gateway: bool(60)
})

const hostPrint = fc.record({
  name: rarely(50, fc.constantFrom('server', 'nixos', 'A-1')),
  release: rarely<string>(60, fc.constantFrom('23.11', '24.05', '24.11', '25.05', '25.11', '26.05')),
  kernel: rarely<string>(20, fc.constantFrom('6.12', '5.15', '5.4')),
  manager: rarely<Manager>(
    65,
    fc.constantFrom('networkd', 'networkd', 'scripted', 'scripted', 'networkmanager')
  ),
  backend: fc.constantFrom<Backend>('iptables', 'nftables'),
  uplink: fc.constantFrom(...UPLINKS),
  way: pick([40, 'dhcp'], [35, 'static'], [15, 'bridge'], [10, 'bridge-dhcp']),
  uplink6: bool(50),
  bond: bool(10),
  lan: bool(30),
  lanDhcp: bool(30),
  mtu: rarely(10, fc.constantFrom(1500, 9000, 1492)),
  useDHCP: rarely(30, fc.boolean()),
  mac: bool(10),
  resolved: rarely(20, fc.boolean()),
  nameservers: fc.subarray(['9.9.9.9', '2620:fe::fe', '192.0.2.53']),
  services: fc.array(
    fc.record({
      protocol: pick([60, 'tcp'], [40, 'udp']),
      port: fc.constantFrom(22, 80, 5201, 51820, 65535),
      opening: pick([50, 'port'], [20, 'range'], [30, 'interface']),
      which: fc.nat(7)
    }),
    { maxLength: 3 }
  ),
  dns: bool(30),
  trusted: rarely(10, fc.nat(7)),
  checkReversePath: rarely<boolean | 'loose' | 'strict'>(
    30,
    fc.constantFrom<boolean | 'loose' | 'strict'>(true, false, 'loose', 'strict')
  ),
  filterForward: bool(8),
  extraForwardRules: bool(50),
  firewallOff: bool(5),
  sysctl: fc.subarray([
    ['vm.swappiness', 10],
    ['net.core.somaxconn', '4096'],
    ['net.ipv4.tcp_syncookies', true]
  ] as const),
  daemons: fc.subarray(['tailscale']),
  unmanaged: bool(50)
})

const natPrint = fc.record({
  on: bool(75),
  style: pick([40, 'names'], [30, 'wildcard'], [30, 'networks']),
  v6: bool(60),
  externalIP: bool(25),
  dmz: bool(4)
})

const RESERVED = [
  { prefix: '172.17.0.0/16', for: 'docker' },
  { prefix: '100.64.0.0/10', for: 'tailscale' },
  { prefix: 'fd7a:115c:a1e0::/48', for: undefined },
  { prefix: '10.8.0.0/24', for: 'VPN "home" ${x}' }
] as const

/** What can be held fast, so that a test draws only what it can use. */
export interface Options {
  /** At most so many. Default: 6. */
  readonly containers?: number
  /** At most so many besides the one that the uplink may be a port of. Default: 3. */
  readonly bridges?: number
  readonly manager?: Manager | undefined
  readonly backend?: Backend
  readonly release?: string | undefined
}

const blueprint = ({ containers = 6, bridges = 3 }: Options) =>
  fc.record({
    name: rarely(40, fc.constantFrom('home', 'two words', 'it\'s ${HOME} \\ "x"', 'ünï')),
    site: rarely(10, fc.constantFrom('office')),
    spelling: pick([70, 'short'], [15, 'long'], [15, 'upper']),
    single: bool(20),
    space: pick([60, 'ten'], [20, 'class B'], [20, 'class C']),
    shift: fc.nat(40),
    global: fc.integer({ min: 0x0123456789, max: 0xfedcba9876 }),
    host: hostPrint,
    bridges: fc.array(bridgePrint, { maxLength: bridges, size: 'max' }),
    containers: fc.array(containerPrint, { maxLength: containers, size: 'max' }),
    vms: fc.array(vmPrint, { maxLength: 2 }),
    nat: natPrint,
    reserved: fc.subarray([...RESERVED])
  })

type Drawn<T> = T extends fc.Arbitrary<infer U> ? U : never
type Blueprint = Drawn<ReturnType<typeof blueprint>>

/** Random networks with which nothing is wrong: a check finds no error in them. */
export const networks = (options: Options = {}): fc.Arbitrary<Network> =>
  blueprint(options).map(print => {
    const host = {
      ...print.host,
      ...('manager' in options ? { manager: options.manager } : {}),
      ...('release' in options ? { release: options.release } : {}),
      ...(options.backend === undefined ? {} : { backend: options.backend })
    }
    return build({ ...print, host })
  })

/** The addresses of one network that are given out one after the other. */
interface Slot {
  readonly family: Family
  /** Who the members send to for everything else; none on a network that is closed. */
  readonly router: { readonly address: string; readonly isHost: boolean } | undefined
  readonly take: () => Address | undefined
}

/**
 * The lowest and the highest address of a network that somebody can have. The lowest of all is the network's own, or that
 * of all its routers, and the highest of IPv4 is for broadcasts; not with a single bit (RFC 3021, RFC 6164).
 */
const endsOf = ({ family, address, bits }: Address): readonly [first: bigint, last: bigint] => {
  const free = WIDTH[family] - bits
  const base = valueOf(address)
  const size = 1n << BigInt(free)
  return free > 1 ? [base + 1n, base + size - (family === 4 ? 2n : 1n)] : [base, base + size - 1n]
}

const slotOf = (network: Address, router: bigint | undefined, isHost: boolean, other?: bigint): Slot => {
  const { family, bits } = network
  const [first, last] = endsOf(network)
  let next = first
  return {
    family,
    router: router === undefined ? undefined : { address: addressOf(family, router).address, isHost },
    take: () => {
      while (next === router || next === other) next += 1n
      if (next > last) return undefined
      next += 1n
      return addressOf(family, next - 1n, bits)
    }
  }
}

/** An address of each wanted family; of any where there is none of those. */
const takeFrom = (
  slots: readonly Slot[],
  { v4, v6 }: { readonly v4: boolean; readonly v6: boolean },
  i: number
): readonly { readonly slot: Slot; readonly address: Address }[] => {
  const of = (family: Family): Slot | undefined =>
    oneOf(
      slots.filter(slot => slot.family === family),
      i
    )
  const wanted = present(v4 ? of(4) : undefined, v6 ? of(6) : undefined)
  return (wanted.length > 0 ? wanted : present(of(4) ?? of(6))).flatMap(slot => {
    const address = slot.take()
    return address === undefined ? [] : [{ slot, address }]
  })
}

const isAtLeast = (release: string | undefined, wanted: string): boolean =>
  release === undefined || release >= wanted

/** The one that a number means, whatever it is; undefined of none. */
const oneOf = <T>(items: readonly T[], i: number): T | undefined => items[i % Math.max(items.length, 1)]

const present = <T>(...values: readonly (T | undefined)[]): readonly T[] =>
  values.filter((value): value is T => value !== undefined)

const switchOf = (on: boolean): true | undefined => (on ? true : undefined)

/** A name near the wanted one that nobody has, and that is taken from now on. */
const fresh = (taken: Set<string>, wanted: string, max: number): string => {
  for (let i = 1; ; i += 1) {
    const suffix = i === 1 ? '' : String(i)
    const name = `${wanted.slice(0, max - suffix.length).replace(/-+$/, '')}${suffix}`
    if (taken.has(name.toLowerCase())) continue
    taken.add(name.toLowerCase())
    return name
  }
}

/** The ports of a machine that are taken: `tcp 80`. */
type TakenPorts = Set<string>

/** The lowest run of so many ports from the wanted one on that are free on all of these machines. */
const takePorts = (
  machines: readonly TakenPorts[],
  protocol: Protocol,
  wanted: number,
  width = 1
): number => {
  const run = (from: number): string[] => Array.from({ length: width }, (_, i) => `${protocol} ${from + i}`)
  let from = wanted
  while (from + width > 65536 || machines.some(taken => run(from).some(port => taken.has(port))))
    from = from + width >= 65536 ? 1024 : from + 1
  for (const port of run(from)) for (const taken of machines) taken.add(port)
  return from
}

/** What is given out while a network is made, so that nothing of it is there twice. */
interface Ground {
  readonly ifnames: Set<string>
  readonly nodes: Set<string>
  readonly hostPorts: TakenPorts
  readonly mac: () => string
  readonly network: (family: Family, bits: number, spot?: number, isGlobal?: boolean) => Address
  readonly pair: (wanted: { v4: boolean; v6: boolean }, shares: boolean) => Pick<Veth, 'host' | 'local'>
}

const groundOf = ({ space, shift, global }: Blueprint): Ground => {
  let macs = 0
  let networks = 0
  let ends = 1
  const end = (base: bigint, isShared: boolean): bigint => {
    if (isShared) return base + 1n
    ends += 1
    return base + BigInt(ends)
  }
  const unique = (0xfdn << 120n) | (BigInt(global) << 80n)
  const block4 = (n: number, isSmall: boolean): bigint =>
    isSmall
      ? (192n << 24n) | (168n << 16n) | (BigInt(20 + shift + n) << 8n)
      : space === 'class B'
        ? (172n << 24n) | (BigInt(20 + n) << 16n)
        : (10n << 24n) | (BigInt(100 + shift + n) << 16n)
  return {
    ifnames: new Set(['lo', 'eth0', 'bond0', 'enp2s0']),
    nodes: new Set(),
    hostPorts: new Set(),
    mac: () => {
      macs += 1
      return `02${(global % 2 ** 24).toString(16).padStart(6, '0')}${macs.toString(16).padStart(4, '0')}`.replace(
        /..(?=.)/g,
        '$&:'
      )
    },
    network: (family, bits, spot = 0, isGlobal = false) => {
      networks += 1
      const isSmall = space === 'class C' || (space === 'class B' && networks > 11)
      const own = family === 4 && isSmall ? Math.max(bits, 24) : bits
      const around = family === 6 ? 64 : isSmall ? 24 : 16
      const block =
        family === 4
          ? block4(networks, isSmall)
          : (isGlobal ? (0x20010db8n << 96n) | (0x100n << 64n) : unique) + (BigInt(networks) << 64n)
      const sub = BigInt(spot % 2 ** Math.min(own - around, 16))
      return addressOf(family, block + (sub << BigInt(WIDTH[family] - own)), own)
    },
    pair: ({ v4, v6 }, shares) => {
      const bases = [
        ...(v4 || !v6 ? [{ family: 4 as const, base: value4(`192.168.${210 + shift}.0`) }] : []),
        ...(v6 ? [{ family: 6 as const, base: unique | (0xffffn << 64n) }] : [])
      ]
      const of = (isShared: boolean): Address[] =>
        bases.map(({ family, base }) => addressOf(family, end(base, isShared)))
      return { host: of(shares), local: of(false) }
    }
  }
}

const CARD: Omit<Card, 'name'> = {
  addresses: [],
  dhcp: undefined,
  acceptRA: undefined,
  mac: undefined,
  mtu: undefined,
  routes: []
}

const BRIDGE: Omit<Bridge, 'name'> = {
  addresses: [],
  ports: [],
  dhcp: undefined,
  acceptRA: undefined,
  mac: undefined,
  stp: undefined,
  rstp: undefined,
  definedBy: undefined,
  masquerade: undefined,
  forwarding: { 4: undefined, 6: undefined }
}

const FIREWALL: Firewall = {
  enable: undefined,
  backend: undefined,
  open: [],
  interfaces: [],
  trusted: [],
  checkReversePath: undefined,
  filterForward: undefined,
  extraForwardRules: undefined
}

/** A bridge, and what is given out on it. Of `lan` and `lan-dhcp` the router is none of the host's. */
interface Segment {
  readonly bridge: Bridge
  readonly slots: readonly Slot[]
  readonly kind: 'private' | 'isolated' | 'lan' | 'lan-dhcp'
}

/** How the host reaches others. */
interface Outside {
  readonly uplink: string
  /** Whether the uplink is a port of a bridge, which then leads outside. */
  readonly segment: Segment | undefined
  readonly own: readonly Address[]
  readonly gateway: Gateways
  readonly bonds: Network['host']['bonds']
  /** The card of a second network, and its addresses where it has no DHCP. */
  readonly lan: { readonly card: Card; readonly slot: Slot | undefined } | undefined
}

const outsideOf = ({ host, shift }: Blueprint, ground: Ground): Outside => {
  const isWireless = host.uplink.startsWith('wl')
  const way = isWireless && host.way.startsWith('bridge') ? 'static' : host.way
  const isBonded = host.bond && !isWireless
  const uplink = isBonded ? 'bond0' : host.uplink
  ground.ifnames.add(host.uplink)
  const own =
    way === 'static'
      ? [
          addressOf(4, value4('203.0.113.10'), 24),
          ...(host.uplink6 ? [addressOf(6, valueOf('2001:db8:0:1::10'), 64)] : [])
        ]
      : []
  const behind = (address: string, ifname: string): Gateway => ({
    address,
    interface: ifname,
    metric: undefined
  })
  const common = {
    uplink,
    own,
    bonds: isBonded ? [{ name: 'bond0', members: [host.uplink, 'enp9s9f0'] }] : [],
    lan: host.lan ? lanOf(ground, host.lanDhcp) : undefined
  }
  if (way === 'static' || way === 'dhcp')
    return {
      ...common,
      segment: undefined,
      gateway: {
        4: way === 'static' ? behind('203.0.113.1', uplink) : undefined,
        6: own.length > 1 ? behind(shift % 2 === 0 ? 'fe80::1' : '2001:db8:0:1::1', uplink) : undefined
      }
    }
  const bridge = { ...BRIDGE, name: fresh(ground.ifnames, 'br-uplink', 15), ports: [uplink] }
  if (way === 'bridge-dhcp')
    return {
      ...common,
      segment: { kind: 'lan-dhcp', slots: [], bridge: { ...bridge, dhcp: true } },
      gateway: NO_GATEWAYS
    }
  const network = addressOf(4, value4(`192.168.${1 + (shift % 9)}.0`), 24)
  const base = valueOf(network.address)
  return {
    ...common,
    segment: {
      kind: 'lan',
      slots: [slotOf(network, base + 1n, false, base + 3n)],
      bridge: { ...bridge, addresses: [addressOf(4, base + 3n, 24)] }
    },
    gateway: { 4: behind(addressOf(4, base + 1n).address, bridge.name), 6: undefined }
  }
}

const lanOf = (ground: Ground, isDhcp: boolean): NonNullable<Outside['lan']> => {
  if (isDhcp) return { card: { ...CARD, name: 'enp2s0', dhcp: true }, slot: undefined }
  const network = ground.network(4, 24)
  const base = valueOf(network.address)
  return {
    card: { ...CARD, name: 'enp2s0', addresses: [addressOf(4, base + 5n, 24)] },
    slot: slotOf(network, base + 1n, false, base + 5n)
  }
}

/** How many want to be on each bridge; a network is as large as it must be. */
const demandOf = ({ bridges, containers, vms }: Blueprint, { segment }: Outside): readonly number[] => {
  const demand = [...bridges, ...(segment === undefined ? [] : [segment])].map(() => 0)
  const wishes = [
    ...containers.flatMap(({ which, extras }) => [which, ...extras.flatMap(extra => extra.which ?? [])]),
    ...vms.map(({ which }) => which)
  ]
  if (demand.length > 0)
    for (const wish of wishes) demand[wish % demand.length] = (demand[wish % demand.length] ?? 0) + 1
  return demand
}

const roomFor = (family: Family, bits: number, members: number): number =>
  bits === WIDTH[family] - 1 && members <= 1
    ? bits
    : Math.min(bits, WIDTH[family] - Math.ceil(Math.log2(members + 3)))

interface Segments {
  readonly segments: readonly Segment[]
  readonly vlans: Network['host']['vlans']
}

const segmentsOf = (print: Blueprint, ground: Ground, outside: Outside): Segments => {
  const { manager, release } = print.host
  const demand = demandOf(print, outside)
  const vlans: Network['host']['vlans'][number][] = []
  const parent =
    outside.lan?.card.name ??
    (outside.segment === undefined && !outside.uplink.startsWith('wl') ? outside.uplink : undefined)
  const segments = print.bridges.map((drawn, i): Segment => {
    const name = fresh(ground.ifnames, drawn.name, 15)
    const isClosed = drawn.kind === 'isolated'
    const bits4 = drawn.bits4.length + drawn.bits6.length === 0 ? [24] : drawn.bits4
    const room = (family: Family, bits: number): Address =>
      ground.network(family, roomFor(family, bits, demand[i] ?? 0), drawn.spot, drawn.global6)
    const networks = [...bits4.map(bits => room(4, bits)), ...drawn.bits6.map(bits => room(6, bits))].map(
      network => {
        const [first, last] = endsOf(network)
        const own =
          drawn.place === 'first' ? first : drawn.place === 'last' ? last : first + (last - first + 1n) / 2n
        return { network, own }
      }
    )
    const ports: string[] = []
    if (!isClosed && drawn.port === 'card') ports.push(fresh(ground.ifnames, `enp${20 + i}s0`, 15))
    if (!isClosed && drawn.port === 'vlan' && parent !== undefined) {
      const vlan = fresh(ground.ifnames, `vlan${10 + i}`, 15)
      vlans.push({ name: vlan, id: 10 + i, parent })
      ports.push(vlan)
    }
    const definedBy = manager === 'networkd' && drawn.definedBy === 'scripted' ? undefined : drawn.definedBy
    const byNetworkd = manager === 'networkd' || definedBy === 'networkd'
    const masquerades = drawn.masquerade && byNetworkd && !print.nat.on && !isClosed
    const forwards = switchOf(drawn.forwarding && byNetworkd && isAtLeast(release, '24.11'))
    return {
      kind: drawn.kind,
      slots: networks.map(({ network, own }) => slotOf(network, isClosed ? undefined : own, true)),
      bridge: {
        ...BRIDGE,
        name,
        addresses: isClosed
          ? []
          : networks.map(({ network: { family, bits }, own }) => addressOf(family, own, bits)),
        ports,
        acceptRA: ports.length > 0 ? drawn.acceptRA : undefined,
        mac: drawn.mac ? ground.mac() : undefined,
        stp: switchOf(drawn.stp && byNetworkd),
        rstp: switchOf(drawn.stp && !byNetworkd),
        definedBy,
        masquerade: masquerades ? (drawn.bits6.length > 0 ? 'both' : 'ipv4') : undefined,
        forwarding: { 4: forwards, 6: forwards }
      }
    }
  })
  return { segments: [...segments, ...present(outside.segment)], vlans }
}

/** What containers leave for NAT and for the host's firewall. */
interface World {
  readonly print: Blueprint
  readonly ground: Ground
  readonly outside: Outside
  readonly segments: readonly Segment[]
  readonly nat6: boolean
  /** Ports of containers in the host's network. */
  readonly shared: Ports[]
  readonly forwards: NatForward[]
  /** Those that send through the host. */
  readonly pairs: { readonly name: string; readonly local: readonly Address[] }[]
  readonly covered: Set<Segment>
}

type ContainerPrint = Blueprint['containers'][number]

/** A router that a container can send to. */
interface Router {
  readonly family: Family
  readonly address: string
  readonly isHost: boolean
  readonly ifname: string
}

const routersOf = (slots: readonly { readonly slot: Slot }[], ifname: string): readonly Router[] =>
  slots.flatMap(({ slot: { family, router } }) =>
    router === undefined ? [] : [{ family, ...router, ifname }]
  )

/** A container's own pair, and what it is. */
interface Home {
  readonly kind: 'shared' | 'extra' | 'bridge' | 'pair'
  readonly segment: Segment | undefined
  readonly usesDhcp: boolean
  readonly veth: Veth | undefined
  readonly routers: readonly Router[]
}

const homeOf = ({ print, ground, segments }: World, drawn: ContainerPrint, i: number): Home => {
  const mac = drawn.mac && isAtLeast(print.host.release, '26.05') ? ground.mac() : undefined
  const none = { segment: undefined, usesDhcp: false, veth: undefined, routers: [] }
  if (drawn.home === 'shared' || drawn.home === 'extra') return { ...none, kind: drawn.home }
  const segment = drawn.home === 'bridge' ? oneOf(segments, drawn.which) : undefined
  if (segment !== undefined) {
    const usesDhcp = segment.kind === 'lan-dhcp' || (segment.kind === 'lan' && drawn.dhcp)
    const own = usesDhcp ? [] : takeFrom(segment.slots, drawn, i)
    const local = own.map(({ address }) => address)
    const veth: Veth = { name: 'eth0', bridge: segment.bridge.name, host: [], local, mac }
    if (usesDhcp || own.length > 0)
      return { kind: 'bridge', segment, usesDhcp, veth, routers: routersOf(own, 'eth0') }
  }
  const ends = ground.pair(drawn, drawn.sharesHost)
  return {
    ...none,
    kind: 'pair',
    veth: { name: 'eth0', bridge: undefined, ...ends, mac },
    routers: ends.host.map(({ family, address }) => ({ family, address, isHost: true, ifname: 'eth0' }))
  }
}

/** Further interfaces of a container, each in a network of its own. */
interface Further {
  readonly extraVeths: readonly Veth[]
  readonly macvlans: readonly string[]
  readonly moved: readonly string[]
  readonly inside: readonly Card[]
  readonly routers: readonly Router[]
}

const furtherOf = (world: World, drawn: ContainerPrint, name: string, i: number, home: Home): Further => {
  const { ground, segments, outside } = world
  if (home.kind === 'shared') return { extraVeths: [], macvlans: [], moved: [], inside: [], routers: [] }
  const used = new Set(present(home.segment))
  const extraVeths: Veth[] = []
  const routers: Router[] = []
  const inside: Card[] = []
  for (const [j, extra] of drawn.extras.entries()) {
    const segment = extra.which === undefined ? undefined : oneOf(segments, extra.which)
    if (segment === undefined) {
      const key = fresh(ground.ifnames, extra.name === 0 ? `ve-x${i}-${name}` : `ve-x${i}-${j}`, 15)
      extraVeths.push({ name: key, bridge: undefined, ...ground.pair(extra, false), mac: undefined })
      continue
    }
    if (used.has(segment) || segment.kind.startsWith('lan')) continue
    used.add(segment)
    const own = takeFrom(segment.slots, extra, i + j)
    if (own.length === 0) continue
    const key = fresh(ground.ifnames, ['uplink', `ve-x${i}-${name}`][extra.name] ?? `lan${i}`, 15)
    const local = own.map(({ address }) => address)
    extraVeths.push({ name: key, bridge: segment.bridge.name, host: [], local, mac: undefined })
    routers.push(...routersOf(own, key))
  }
  const { lan } = outside
  const macvlans = drawn.macvlan && lan !== undefined ? [lan.card.name] : []
  for (const parent of macvlans) {
    const address = lan?.slot?.take()
    const rest = address === undefined ? { dhcp: true } : { addresses: [address] }
    inside.push({ ...CARD, name: `mv-${parent}`, ...rest })
    if (lan?.slot !== undefined) routers.push(...routersOf([{ slot: lan.slot }], `mv-${parent}`))
  }
  const isBare = home.kind === 'extra' && extraVeths.length + macvlans.length === 0
  const moved = drawn.moved || isBare ? [fresh(ground.ifnames, `enp${40 + i}s0`, 15)] : []
  for (const name of moved)
    inside.push({ ...CARD, name, addresses: [addressOf(4, valueOf(ground.network(4, 24).address) + 7n, 24)] })
  // What has a pair of its own sends through that; else the first that leads somewhere counts.
  const found = new Map(routers.toReversed().map(router => [router.family, router]))
  return { extraVeths, macvlans, moved, inside, routers: home.kind === 'extra' ? [...found.values()] : [] }
}

/** How a container comes to its default route. */
interface Ways {
  readonly gateway: Gateways
  readonly routes: readonly Route[]
  /** The router as hostAddress of a bridged pair. */
  readonly host: readonly Address[]
  readonly isOut: boolean
}

const waysOf = (drawn: ContainerPrint, { kind, usesDhcp, veth }: Home, routers: readonly Router[]): Ways => {
  const style =
    kind === 'extra' || (drawn.networkd && ['host', 'text'].includes(drawn.gateway))
      ? 'object'
      : drawn.gateway
  if (
    kind === 'shared' ||
    (routers.length === 0 && !usesDhcp) ||
    (drawn.gateway === 'none' && kind !== 'pair')
  )
    return { gateway: NO_GATEWAYS, routes: [], host: [], isOut: usesDhcp }
  const gateway: { 4: Gateway | undefined; 6: Gateway | undefined } = { ...NO_GATEWAYS }
  const routes: Route[] = []
  const host: Address[] = []
  for (const { family, address, isHost, ifname } of routers) {
    // On a pair hostAddress is the router already.
    if (kind === 'pair' && !drawn.networkd && style !== 'object' && style !== 'text') continue
    if (style === 'text') gateway[family] = { address, interface: undefined, metric: undefined }
    else if (style === 'route' && kind !== 'pair') {
      const by = drawn.sharesHost ? ifname : undefined
      routes.push({ to: addressOf(family, 0n, 0), via: address, interface: by })
    } else if (style === 'host' && isHost && veth !== undefined)
      host.push(addressOf(family, valueOf(address)))
    else gateway[family] = { address, interface: ifname, metric: drawn.metric }
  }
  return { gateway, routes, host, isOut: true }
}

/** What a container offers, and what is opened and forwarded for it. */
interface Offers {
  readonly forwardPorts: readonly ContainerForward[]
  readonly listens: readonly Listen[]
  readonly firewall: Firewall | undefined
}

const offersOf = (world: World, drawn: ContainerPrint, home: Home, canForward: boolean): Offers => {
  const { print, ground, outside, forwards, nat6 } = world
  const ownPorts: TakenPorts = home.kind === 'shared' ? ground.hostPorts : new Set()
  const local = home.veth?.local ?? []
  const forwardPorts: ContainerForward[] = []
  const listens: Listen[] = []
  const open: Ports[] = []
  const openOnEth0: Ports[] = []
  for (const { protocol, port, expose, family, ...service } of drawn.services) {
    const target = local.find(own => own.family === family) ?? local[0]
    const writesProtocol = service.writesProtocol || protocol === 'udp'
    const byNspawn = expose === 'nspawn' && canForward && local.some(own => own.family === 4)
    const byNat = expose === 'nat' && canForward && print.nat.on && (target?.family === 4 || nat6)
    const width = byNspawn ? 1 : service.width
    // A range goes to the same range.
    const isRange = byNat && width > 1
    const from = takePorts(isRange ? [ownPorts, ground.hostPorts] : [ownPorts], protocol, port, width)
    const hostPort = (): number =>
      isRange
        ? from
        : takePorts([ground.hostPorts], protocol, byNspawn && service.loopback ? from : service.hostPort)
    if (byNspawn) {
      const outer = hostPort()
      const containerPort = outer === from && service.listens ? undefined : from
      forwardPorts.push({ protocol, hostPort: outer, containerPort, writesProtocol })
    } else if (byNat && target !== undefined) {
      const outer = hostPort()
      forwards.push({
        protocol,
        writesProtocol,
        from: outer,
        to: outer + width - 1,
        destination: { family: target.family, address: target.address, from, to: from + width - 1 },
        loopbackIPs: service.loopback
          ? outside.own.filter(own => own.family === target.family).map(({ address }) => address)
          : []
      })
    }
    if (width === 1 && service.listens)
      listens.push({
        name: service.loopback ? 'a program' : undefined,
        port: from,
        protocol,
        address: undefined
      })
    const ports = { protocol, from, to: from + width - 1, ranged: service.opening === 'range' || width > 1 }
    const list = service.opening === 'interface' && home.veth !== undefined ? openOnEth0 : open
    list.push(ports)
  }
  if (home.kind === 'shared') {
    world.shared.push(...open)
    return { forwardPorts, listens, firewall: undefined }
  }
  const isWritten = drawn.firewall !== 'on' || open.length + openOnEth0.length > 0
  const isOff = drawn.firewall === 'off'
  const firewall: Firewall = {
    ...FIREWALL,
    enable: isOff ? false : switchOf(drawn.firewall === 'written'),
    backend:
      drawn.firewall === 'nftables' ? 'nftables' : drawn.firewall === 'written' ? 'iptables' : undefined,
    open: isOff ? [] : open,
    interfaces: isOff || openOnEth0.length === 0 ? [] : [{ name: 'eth0', open: openOnEth0 }]
  }
  return { forwardPorts, listens, firewall: isWritten ? firewall : undefined }
}

const containerOf = (world: World, drawn: ContainerPrint, i: number): Container => {
  const { print, ground, segments } = world
  const { host } = print
  const name = fresh(ground.nodes, drawn.name, host.kernel === '5.4' ? 11 : 63)
  ground.ifnames.add(`ve-${name}`.toLowerCase())
  const home = homeOf(world, drawn, i)
  const { kind, segment, usesDhcp } = home
  const isPrivate = kind !== 'shared'
  const networkd = drawn.networkd && isPrivate
  const further = furtherOf(world, drawn, name, i, home)
  const routers = [...home.routers, ...further.routers]
  const ways = waysOf({ ...drawn, networkd }, home, routers)
  const throughHost = ways.isOut && routers.some(({ isHost }) => isHost)
  const canForward = !drawn.off && throughHost && routers.every(({ isHost }) => isHost) && kind !== 'extra'
  const offers = offersOf(world, drawn, home, canForward)
  if (throughHost && !drawn.off) {
    if (kind === 'pair') world.pairs.push({ name, local: home.veth?.local ?? [] })
    const used = new Set(routers.map(({ ifname }) => ifname))
    for (const other of segments)
      if (
        other === segment ||
        further.extraVeths.some(extra => extra.bridge === other.bridge.name && used.has(extra.name))
      )
        world.covered.add(other)
  }
  const veth = home.veth === undefined ? undefined : { ...home.veth, host: [...home.veth.host, ...ways.host] }
  const inside = [...further.inside]
  if (networkd && veth !== undefined)
    inside.push({ ...CARD, name: 'eth0', ...(usesDhcp ? { dhcp: true } : { addresses: veth.local }) })
  else if (veth !== undefined && drawn.mtu !== undefined && !usesDhcp)
    inside.push({ ...CARD, name: 'eth0', mtu: drawn.mtu })
  const wantsOut =
    drawn.internet && (print.nat.on || segment?.kind === 'lan') && routers.some(({ family }) => family === 4)
  // The host's own resolver is of no use inside, nor is its file to networkd.
  const copies = !drawn.noCopy && (host.resolved ?? host.manager === 'networkd')
  const dns = !isPrivate ? 'none' : drawn.dns === 'none' && (networkd || copies) ? 'resolved' : drawn.dns
  const [router] = routers
  const servers =
    drawn.hostDns && host.dns && throughHost && router?.isHost === true
      ? [router.address]
      : ['9.9.9.9', '2620:fe::9'].slice(0, 1 + (i % 2))
  return {
    name,
    enabled: drawn.off ? false : undefined,
    autoStart: drawn.autoStart,
    internet: !isPrivate ? undefined : !ways.isOut ? false : switchOf(wantsOut),
    privateNetwork: isPrivate ? true : drawn.v4 ? undefined : false,
    veth,
    extraVeths: further.extraVeths,
    macvlans: further.macvlans,
    moved: further.moved,
    forwardPorts: offers.forwardPorts,
    gateway: ways.gateway,
    routes: ways.routes,
    dhcp: switchOf(usesDhcp),
    acceptRA: undefined,
    inside,
    nameservers: dns === 'nameservers' || dns === 'both' ? servers : [],
    useHostResolvConf: dns === 'none' ? undefined : false,
    resolved: switchOf(dns === 'resolved' || dns === 'both'),
    useNetworkd: switchOf(networkd),
    copyResolvConf: drawn.noCopy ? false : undefined,
    privateUsers: isPrivate ? drawn.privateUsers : undefined,
    enableTun: switchOf(drawn.tun && isPrivate),
    capabilities: drawn.capability && isPrivate ? ['CAP_NET_ADMIN'] : [],
    firewall: offers.firewall,
    listens: offers.listens
  }
}

const vmOf = ({ ground, segments }: World, drawn: Blueprint['vms'][number], i: number): Vm => {
  const name = fresh(ground.nodes, drawn.name, 63)
  const segment = drawn.type === 'user' ? undefined : oneOf(segments, drawn.which)
  const own = segment === undefined ? [] : takeFrom(segment.slots, drawn, i)
  const gateway = (family: Family): Gateway | undefined => {
    const router = own.find(({ slot }) => slot.family === family)?.slot.router
    return drawn.gateway && router !== undefined
      ? { address: router.address, interface: undefined, metric: undefined }
      : undefined
  }
  return {
    name,
    kind: drawn.kind,
    enabled: drawn.off ? false : undefined,
    cards: [
      {
        name: fresh(ground.ifnames, `vm-${name}`, 15),
        type: segment === undefined ? 'user' : drawn.type,
        bridge: segment?.bridge.name,
        mac: drawn.mac ? ground.mac() : undefined,
        addresses: own.map(({ address }) => address)
      }
    ],
    gateway: { 4: gateway(4), 6: gateway(6) }
  }
}

const patternOf = (backend: Backend): string => (backend === 'iptables' ? 've-+' : 've-*')

/** NAT for everybody who sends through the host; undefined where that is nobody. */
const natOf = ({ print, outside, pairs, covered, forwards, nat6 }: World): Nat | undefined => {
  const { on, style, externalIP, dmz } = print.nat
  const sources = [...covered].filter(({ kind }) => kind === 'private')
  const ofFamily = (family: Family): readonly Address[] => [
    ...sources
      .flatMap(({ bridge }) => bridge.addresses)
      .filter(own => own.family === family)
      .map(networkOf),
    ...pairs.flatMap(({ local }) => local.filter(own => own.family === family))
  ]
  // What the name of an interface is that the kernel cannot take whole, is not for this file to know.
  const isPattern = style === 'wildcard' || pairs.some(({ name }) => name.length > 12)
  const ends = isPattern ? [patternOf(print.host.backend)] : pairs.map(({ name }) => `ve-${name}`)
  const byNetwork = style === 'networks'
  const internalInterfaces = byNetwork
    ? []
    : [...sources.map(({ bridge }) => bridge.name), ...(pairs.length === 0 ? [] : ends)]
  const internalIPs = byNetwork ? ofFamily(4) : []
  const internalIPv6s = byNetwork && nat6 ? ofFamily(6) : []
  if (!on || internalInterfaces.length + internalIPs.length + internalIPv6s.length === 0) return undefined
  const own = (family: Family): string | undefined =>
    externalIP ? outside.own.find(address => address.family === family)?.address : undefined
  const target = forwards.find(({ destination }) => destination.family === 4)
  return {
    enableIPv6: switchOf(nat6),
    internalInterfaces,
    internalIPs,
    internalIPv6s,
    externalInterface: outside.segment?.bridge.name ?? outside.uplink,
    externalIP: own(4),
    externalIPv6: nat6 ? own(6) : undefined,
    dmzHost: dmz ? target?.destination.address : undefined,
    forwards
  }
}

/** The host's services and its firewall, which lets in what they and the containers in its network need. */
const hostOffers = (
  { print: { host, nat, single }, ground, outside, segments, shared, pairs }: World,
  resolver: readonly Ports[]
): Pick<Network['host'], 'listens' | 'firewall'> => {
  const { backend } = host
  const entrances = [
    ...segments.map(({ bridge }) => bridge.name),
    ...(outside.segment === undefined ? [outside.uplink] : []),
    ...(pairs.length === 0 ? [] : [patternOf(backend)])
  ]
  const listens: Listen[] = resolver.map(({ protocol, from }) => ({
    name: 'resolver',
    port: from,
    protocol,
    address: undefined
  }))
  const open = [...shared, ...resolver]
  const perInterface = new Map<string, Ports[]>()
  for (const { protocol, port, opening, which } of host.services) {
    const from = takePorts([ground.hostPorts], protocol, port)
    listens.push({ name: which % 2 === 0 ? 'daemon' : undefined, port: from, protocol, address: undefined })
    const opened: Ports = { protocol, from, to: from, ranged: opening === 'range' }
    const entrance = opening === 'interface' ? oneOf(entrances, which) : undefined
    if (entrance === undefined) open.push(opened)
    else perInterface.set(entrance, [...(perInterface.get(entrance) ?? []), opened])
  }
  const filters = backend === 'nftables' && host.filterForward && nat.on
  const firewall: Firewall = {
    enable: host.firewallOff ? false : undefined,
    backend: backend === 'nftables' || single ? backend : undefined,
    open,
    interfaces: [...perInterface].map(([name, open]) => ({ name, open })),
    trusted: host.trusted === undefined ? [] : present(oneOf(entrances, host.trusted)),
    checkReversePath: host.checkReversePath,
    filterForward: switchOf(filters),
    extraForwardRules:
      filters && host.extraForwardRules ? 'iifname "br0" accept comment "it\'s ${HOME}"' : undefined
  }
  return { listens, firewall: Object.values(firewall).every(isUnsaid) ? undefined : firewall }
}

const isUnsaid = (value: unknown): boolean =>
  value === undefined || (Array.isArray(value) && value.length === 0)

const build = (print: Blueprint): Network => {
  const { host } = print
  const ground = groundOf(print)
  const outside = outsideOf(print, ground)
  const { segments, vlans } = segmentsOf(print, ground, outside)
  const nat6 = print.nat.on && (print.nat.v6 || outside.own.length > 1)
  const resolver = (host.dns ? PROTOCOLS : []).map((protocol): Ports => {
    const from = takePorts([ground.hostPorts], protocol, 53)
    return { protocol, from, to: from, ranged: false }
  })
  const world: World = {
    print,
    ground,
    outside,
    segments,
    nat6,
    shared: [],
    forwards: [],
    pairs: [],
    covered: new Set()
  }
  const containers = print.containers.map((drawn, i) => containerOf(world, drawn, i))
  const vms = print.vms.map((drawn, i) => vmOf(world, drawn, i))
  const way: Partial<Card> = outside.own.length === 0 ? { dhcp: true } : { addresses: outside.own }
  const uplink = {
    ...CARD,
    name: outside.uplink,
    ...way,
    mac: host.mac ? ground.mac() : undefined,
    mtu: host.mtu
  }
  return {
    name: print.name,
    site: print.site,
    spelling: print.spelling,
    single: print.single,
    host: {
      name: host.name,
      release: host.release,
      kernel: host.kernel,
      manager: host.manager,
      useDHCP: outside.segment?.kind === 'lan-dhcp' ? false : host.useDHCP,
      internet6: print.nat.on && !nat6 ? false : undefined,
      resolved: host.resolved,
      backend: host.backend,
      cards: [...present(outside.lan?.card), ...(outside.segment === undefined ? [uplink] : [])],
      bonds: outside.bonds,
      vlans,
      gateway: outside.gateway,
      nameservers: host.nameservers,
      ...hostOffers(world, resolver),
      sysctl: host.sysctl,
      daemons: host.daemons,
      unmanaged:
        host.manager === 'networkmanager' && host.unmanaged
          ? segments.map(({ bridge }) => `interface-name:${bridge.name}`)
          : undefined
    },
    nat: natOf(world),
    bridges: segments.map(({ bridge }) => bridge),
    containers,
    vms,
    reserved: print.reserved
  }
}

// The file

export type Data = { readonly [key: string]: Value }
export type Value = string | number | boolean | null | readonly Value[] | Data

type Sparse = { readonly [key: string]: Value | undefined }

/** Without what is not there, empty lists and empty mappings included. */
const dense = (sparse: Sparse): Data =>
  Object.fromEntries(Object.entries(sparse).filter((entry): entry is [string, Value] => !isEmpty(entry[1])))

const isEmpty = (value: Value | undefined): boolean =>
  value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0)

const byName = <T extends { readonly name: string }>(
  entries: readonly T[],
  data: (entry: T) => Value
): Data => Object.fromEntries(entries.map(entry => [entry.name, data(entry)]))

/** The topology as data, as a file has it. */
export const toData = (network: Network): Data => {
  const { host, nat, spelling, single } = network
  const spell = (text: string): string => {
    if (!text.includes(':') || spelling === 'short') return text
    return spelling === 'upper'
      ? text.toUpperCase()
      : groups(valueOf(text))
          .map(group => group.toString(16).padStart(4, '0'))
          .join(':')
  }
  const spelt = (text: string | undefined): string | undefined =>
    text === undefined ? undefined : spell(text)
  const full = ({ address, bits }: Address): string => `${spell(address)}/${bits}`
  const list = (addresses: readonly Address[]): Value | undefined => {
    const [only] = addresses
    return single && addresses.length === 1 && only !== undefined ? full(only) : addresses.map(full)
  }
  const gateway = (gateway: Gateway | undefined): Value | undefined =>
    gateway === undefined
      ? undefined
      : gateway.interface === undefined
        ? spell(gateway.address)
        : dense({ address: spell(gateway.address), interface: gateway.interface, metric: gateway.metric })
  const routes = (routes: readonly Route[]): Value =>
    routes.map(({ to, via, interface: by }) => dense({ address: full(to), via: spelt(via), interface: by }))
  const openings = (open: readonly Ports[]): Sparse =>
    Object.fromEntries(
      PROTOCOLS.flatMap(protocol => {
        const own = open.filter(ports => ports.protocol === protocol)
        return [
          [
            `allowed${protocol.toUpperCase()}Ports`,
            own.filter(({ ranged }) => !ranged).map(({ from }) => from)
          ],
          [
            `allowed${protocol.toUpperCase()}PortRanges`,
            own.filter(({ ranged }) => ranged).map(({ from, to }) => ({ from, to }))
          ]
        ]
      })
    )
  const firewall = (firewall: Firewall | undefined): Data | undefined =>
    firewall === undefined
      ? undefined
      : dense({
          enable: firewall.enable,
          backend: firewall.backend,
          ...openings(firewall.open),
          interfaces: byName(firewall.interfaces, ({ open }) => dense(openings(open))),
          trustedInterfaces: firewall.trusted,
          checkReversePath: firewall.checkReversePath,
          filterForward: firewall.filterForward,
          extraForwardRules: firewall.extraForwardRules
        })
  const listens = (listens: readonly Listen[]): Value =>
    listens.map(({ name, port, protocol, address }) =>
      dense({
        name,
        port,
        protocol: protocol === 'udp' || port % 2 === 0 ? protocol : undefined,
        address: spelt(address)
      })
    )
  const card = ({ addresses, dhcp, acceptRA, mac, mtu, routes: own }: Card): Data =>
    dense({ dhcp, acceptRA, address: list(addresses), macAddress: mac, mtu, routes: routes(own) })
  const veth = ({ bridge, host, local, mac }: Veth): Sparse => {
    const of = (ends: readonly Address[], family: Family, isFull: boolean): string | undefined => {
      const end = ends.find(other => other.family === family)
      return end === undefined ? undefined : isFull ? full(end) : spell(end.address)
    }
    return {
      hostBridge: bridge,
      hostAddress: of(host, 4, false),
      hostAddress6: of(host, 6, false),
      localAddress: of(local, 4, bridge !== undefined),
      localAddress6: of(local, 6, bridge !== undefined),
      localMacAddress: mac
    }
  }
  const container = (own: Container): Data =>
    dense({
      enabled: own.enabled,
      autoStart: own.autoStart,
      internet: own.internet,
      privateNetwork: own.privateNetwork,
      ...(own.veth === undefined ? {} : veth(own.veth)),
      extraVeths: byName(own.extraVeths, extra => dense(veth(extra))),
      macvlans: own.macvlans,
      interfaces: own.moved,
      forwardPorts: own.forwardPorts.map(({ protocol, hostPort, containerPort, writesProtocol }) =>
        dense({ protocol: writesProtocol ? protocol : undefined, hostPort, containerPort })
      ),
      defaultGateway: gateway(own.gateway[4]),
      defaultGateway6: gateway(own.gateway[6]),
      routes: routes(own.routes),
      dhcp: own.dhcp,
      acceptRA: own.acceptRA,
      inside: dense({ interfaces: byName(own.inside, card) }),
      nameservers: own.nameservers.map(spell),
      useHostResolvConf: own.useHostResolvConf,
      resolved: own.resolved,
      useNetworkd: own.useNetworkd,
      copyResolvConf: own.copyResolvConf,
      privateUsers: own.privateUsers,
      enableTun: own.enableTun,
      additionalCapabilities: own.capabilities,
      firewall: firewall(own.firewall),
      listens: listens(own.listens)
    })
  const ports = (from: number, to: number, between: string): string =>
    from === to ? `${from}` : `${from}${between}${to}`
  return dense({
    version: 1,
    name: network.name,
    site: network.site,
    host: dense({
      name: host.name,
      release: host.release,
      kernel: host.kernel,
      useDHCP: host.useDHCP,
      internet6: host.internet6,
      manager: host.manager,
      interfaces: byName(host.cards, card),
      bonds: byName(host.bonds, ({ members }) => ({ interfaces: members, mode: 'active-backup' })),
      vlans: byName(host.vlans, ({ id, parent }) => ({ id, interface: parent })),
      defaultGateway: gateway(host.gateway[4]),
      defaultGateway6: gateway(host.gateway[6]),
      nameservers: host.nameservers.map(spell),
      resolved: host.resolved,
      firewall: firewall(host.firewall),
      listens: listens(host.listens),
      sysctl: Object.fromEntries(host.sysctl),
      daemons: host.daemons,
      networkmanager: host.unmanaged === undefined ? undefined : { unmanaged: host.unmanaged }
    }),
    nat:
      nat === undefined
        ? undefined
        : dense({
            enable: true,
            enableIPv6: nat.enableIPv6,
            internalInterfaces: nat.internalInterfaces,
            internalIPs: nat.internalIPs.map(full),
            internalIPv6s: nat.internalIPv6s.map(full),
            externalInterface: nat.externalInterface,
            externalIP: nat.externalIP,
            externalIPv6: spelt(nat.externalIPv6),
            dmzHost: nat.dmzHost,
            forwardPorts: nat.forwards.map(
              ({ protocol, writesProtocol, from, to, destination, loopbackIPs }) => {
                const address = spell(destination.address)
                return dense({
                  sourcePort: from === to ? from : `${from}:${to}`,
                  destination: `${destination.family === 6 ? `[${address}]` : address}:${ports(destination.from, destination.to, '-')}`,
                  proto: writesProtocol ? protocol : undefined,
                  loopbackIPs: loopbackIPs.map(spell)
                })
              }
            )
          }),
    bridges: byName(network.bridges, bridge =>
      dense({
        address: list(bridge.addresses),
        interfaces: bridge.ports,
        dhcp: bridge.dhcp,
        acceptRA: bridge.acceptRA,
        macAddress: bridge.mac,
        stp: bridge.stp,
        rstp: bridge.rstp,
        definedBy: bridge.definedBy,
        IPMasquerade: bridge.masquerade,
        IPv4Forwarding: bridge.forwarding[4],
        IPv6Forwarding: bridge.forwarding[6]
      })
    ),
    containers: byName(network.containers, container),
    vms: byName(network.vms, vm =>
      dense({
        kind: vm.kind,
        enabled: vm.enabled,
        interfaces: byName(vm.cards, ({ type, bridge, mac, addresses }) =>
          dense({ type, hostBridge: bridge, macAddress: mac, address: list(addresses) })
        ),
        defaultGateway: gateway(vm.gateway[4]),
        defaultGateway6: gateway(vm.gateway[6])
      })
    ),
    reserved: network.reserved.map(({ prefix, for: owner }) => dense({ prefix, for: owner }))
  })
}

export interface Writing {
  /** The seed of the order of all keys and of how values are written; without it both are plain. */
  readonly shuffle?: number
}

/** Numbers from 0 on below a bound, the same for the same seed (mulberry32). */
const dice = (seed: number): ((bound: number) => number) => {
  let state = seed | 0
  return bound => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound
  }
}

const shuffled = <T>(items: readonly T[], roll: (bound: number) => number): T[] => {
  const order = [...items]
  for (let i = order.length - 1; i > 0; i -= 1) {
    const j = roll(i + 1)
    const [a, b] = [order[i], order[j]]
    if (a !== undefined && b !== undefined) [order[i], order[j]] = [b, a]
  }
  return order
}

/** What can stand in a block or without quotes without a change; everything else is escaped between double quotes. */
const isTame = (text: string): boolean =>
  text.length < 200 && text === text.trim() && /^[ -~\u00a1-\u024f]+$/.test(text)

/** The data as YAML; lists keep their order. */
export const toYaml = (data: Value, { shuffle }: Writing = {}): string => {
  const document = new Document(data, { aliasDuplicateObjects: false })
  const roll = shuffle === undefined ? undefined : dice(shuffle)
  visit(document, (key, node) => {
    if (isScalar(node) && typeof node.value === 'string') {
      const style = isTame(node.value) ? (roll?.(8) ?? 0) : 1
      if (style === 1) node.type = Scalar.QUOTE_DOUBLE
      if (style === 2) node.type = Scalar.QUOTE_SINGLE
      if (style === 3 && key !== 'key') node.type = Scalar.BLOCK_LITERAL
    } else if (roll !== undefined && (isMap(node) || isSeq(node))) {
      if (isMap(node)) node.items = shuffled(node.items, roll)
      node.flow = roll(5) === 0
    }
  })
  return document.toString({ lineWidth: 0, indent: roll === undefined ? 2 : 1 + roll(4) })
}

/** The same as JSON. */
export const toJson = (data: Value, { shuffle }: Writing = {}): string => {
  const roll = shuffle === undefined ? undefined : dice(shuffle)
  const write = (value: Value): string => {
    if (typeof value !== 'object' || value === null) return JSON.stringify(value)
    if (isList(value)) return `[${value.map(write).join(', ')}]`
    const entries = Object.entries(value)
    const order = roll === undefined ? entries : shuffled(entries, roll)
    return `{${order.map(([key, item]) => `${JSON.stringify(key)}: ${write(item)}`).join(',\n')}}`
  }
  return write(data)
}

const isList = (value: Value): value is readonly Value[] => Array.isArray(value)
