import type {
  AddressText,
  Bridge,
  Container,
  DestinationText,
  Firewall,
  Nat,
  Protocol,
  Topology
} from '../model/topology.ts'
import { type Addr, type Family, formatAddr, parseAddr, width } from '../net/addr.ts'
import { IFNAME_MAX, ifnameFault } from '../net/ifname.ts'
import { formatPrefix, masked } from '../net/prefix.ts'
import type { Path } from '../text/path.ts'
import { hasVeth, hostName, isPrivate } from './links.ts'
import { runsNetworkd } from './networkd.ts'
import { isMachineName } from './nspawn.ts'
import { portSet } from './ports.ts'
import { FAMILIES, type Link, type Plan } from './plan.ts'

// What does not come up, because a program refuses a value: a container's start script and firewall-start both stop at the
// first command that fails.

/** What is refused, in words, and its place. */
export interface Failure {
  readonly at: Path
  readonly why: string
}

/** Whether a bridge of the file exists at run time. */
export const isMade = ({ host }: Topology, { name, at }: Bridge): boolean =>
  ifnameFault(name) === undefined &&
  name !== 'lo' &&
  // One that only units by hand would make.
  !(at[0] === 'host' && runsNetworkd(host) === false)

/** Bridges that a program on the host makes when it starts. */
const MADE_BY: readonly (readonly [daemon: string, name: RegExp])[] = [
  ['docker', /^(?:docker\d+|br-[0-9a-f]{12})$/],
  ['podman', /^podman\d+$/],
  ['libvirtd', /^virbr\d+$/],
  ['lxd', /^lxdbr\d+$/],
  ['incus', /^incusbr\d+$/]
]

/** Whether the bridge of a link is made by a program on the host, or by systemd-nspawn as that of a zone. */
export const isPrograms = ({ topology }: Plan, { bridgeName, kind, veth }: Link): boolean => {
  if (bridgeName === undefined) return false
  if (kind === 'veth' && veth === undefined && bridgeName.startsWith('vz-')) return true
  const isRunning = (daemon: string): boolean =>
    topology.host.daemons.includes(daemon) ||
    // A machine of libvirt shows that libvirt runs.
    (daemon === 'libvirtd' && topology.vms.some(vm => vm.kind === 'libvirt'))
  return MADE_BY.some(([daemon, name]) => name.test(bridgeName) && isRunning(daemon))
}

/** The same, or by what of the host's configuration is not in the file. */
export const isElsewhere = (plan: Plan, link: Link): boolean => {
  const { bridge, bridgeName } = link
  if (bridgeName === undefined || bridge !== undefined) return false
  if (isPrograms(plan, link)) return true
  const { host, nat } = plan.topology
  return host.partial && nat?.externalInterface !== bridgeName && !plan.hostInterfaces().has(bridgeName)
}

/** The containers that do not start. */
export const failuresOf = (plan: Plan): ReadonlyMap<Container, Failure> => {
  const { topology } = plan
  const failures = new Map<Container, Failure>()
  const ports = new Set(topology.bridges.flatMap(({ interfaces }) => interfaces.map(({ name }) => name)))
  /** Routes to containers on the host, and cards that have been moved: both can be there once only. */
  const taken = new Set<string>()
  for (const container of topology.containers) {
    if (!container.enabled) continue
    // What a container has that does not start is given back.
    const own = new Set<string>()
    const isTaken = (key: string): boolean => taken.has(key) || own.has(key)
    const failure = topology.host.enableContainers
      ? (refusedByNspawn(container) ??
        (isPrivate(container)
          ? (failureOfCards(container, ports, isTaken, own) ?? failureOf(plan, container, isTaken, own))
          : undefined))
      : { at: topology.host.at, why: 'enableContainers of the host is false' }
    if (failure !== undefined) failures.set(container, failure)
    else for (const key of own) taken.add(key)
  }
  return failures
}

/** What systemd-nspawn itself refuses, before anything of the container is there. */
export const refusedByNspawn = ({ name, at, veth, privateNetwork }: Container): Failure | undefined => {
  if (!isMachineName(name)) return { at, why: 'no machine can be called that' }
  const taken = new Set<string>()
  for (const { at, protocol, hostPort, containerPort } of privateNetwork ? veth.forwardPorts : []) {
    if (protocol.value === undefined) return { at, why: `${protocol.text} is not a protocol of a forward` }
    if (hostPort === 0 || containerPort === 0) return { at, why: '0 is no port' }
    const key = `${protocol.value} ${hostPort}`
    if (hostPort !== undefined && taken.has(key)) return { at, why: `port ${hostPort} is forwarded twice` }
    taken.add(key)
  }
  return undefined
}

type IsTaken = (key: string) => boolean

/** Cards move first, then come macvlans. */
const failureOfCards = (
  { interfaces, macvlans }: Container,
  ports: ReadonlySet<string>,
  isTaken: IsTaken,
  own: Set<string>
): Failure | undefined => {
  for (const { at, name } of interfaces) {
    const card = hostName(name)
    if (isTaken(`card ${card}`)) return { at, why: `${card} has moved into a container already` }
    own.add(`card ${card}`)
  }
  for (const { at, name } of macvlans) {
    const card = hostName(name)
    if (isTaken(`card ${card}`)) return { at, why: `${card} has moved into a container already` }
    if (ports.has(card)) return { at, why: `${card} is a port of a bridge, and no macvlan can be on it` }
  }
  return undefined
}

const failureOf = (
  plan: Plan,
  container: Container,
  isTaken: IsTaken,
  own: Set<string>
): Failure | undefined => {
  for (const link of plan.linksOf.get(container) ?? []) {
    const { bridge, bridgeName, at } = link
    if (bridgeName === undefined) continue
    if (bridge === undefined ? !isElsewhere(plan, link) : !isMade(plan.topology, bridge.bridge))
      return { at, why: `there is no bridge ${bridgeName}` }
  }
  const { veth } = container
  const { localMacAddress } = veth
  if (localMacAddress !== undefined && hasVeth(container)) {
    const { at, value } = localMacAddress
    if (value === undefined || value === 0 || (value / 2 ** 40) & 1)
      return { at, why: `${localMacAddress.text} cannot be the address of an interface` }
  }
  for (const pair of hasVeth(container) ? [veth, ...container.extraVeths] : container.extraVeths) {
    if (pair.extra && ifnameFault(pair.ifname) !== undefined)
      return { at: pair.at, why: `no interface can be called ${pair.ifname}` }
    for (const [family, local, host] of [
      [4, pair.localAddress, pair.hostAddress],
      [6, pair.localAddress6, pair.hostAddress6]
    ] as const) {
      const refused = refusedAddress(family, local, host, pair.extra)
      if (refused !== undefined) return refused
      if (pair.hostBridge !== undefined) continue
      const at6 = family === 6 && !plan.topology.host.enableIPv6 ? (host ?? local)?.at : undefined
      if (at6 !== undefined)
        return { at: at6, why: 'IPv6 is switched off on the host, which refuses its end' }
      if (local?.prefix === undefined) continue
      const { prefix, at } = local
      // The route to it: IPv4 wants the network's own address there, IPv6 takes it for that.
      if (prefix.family === 4 && masked(prefix).value !== prefix.value)
        return { at, why: `a route to ${formatPrefix(prefix)} is refused, since that is no network` }
      const network = formatPrefix(masked(prefix))
      if (isTaken(`route ${network}`)) return { at, why: `the host has a route to ${network} already` }
      own.add(`route ${network}`)
    }
  }
  return undefined
}

/** What container-init does with a pair of addresses: it sets the one, and makes the other the default gateway. */
const refusedAddress = (
  family: Family,
  local: AddressText | undefined,
  host: AddressText | undefined,
  extra: boolean
): Failure | undefined => {
  for (const address of [local, host]) {
    if (address === undefined || address.auto) continue
    if (address.prefix === undefined) return { at: address.at, why: `${address.text} is no address` }
    if (family === 6 && address.prefix.family === 4)
      return { at: address.at, why: `${address.text} is no IPv6 address` }
  }
  if (host?.prefix === undefined) return undefined
  const { at, text, prefix } = host
  if (!extra && prefix.family === 6 && local?.prefix?.value === prefix.value)
    return { at, why: `IPv6 takes no router that is the container's own address, ${text}` }
  if (prefix.bits === width(prefix.family)) return undefined
  const isRoute = prefix.family === 6 || masked(prefix).value === prefix.value
  return extra && isRoute
    ? undefined
    : { at, why: `a route by ${formatPrefix(prefix)} is refused, since a router is one address` }
}

/** Who has a firewall: the host or a container. */
export interface Guarded {
  readonly firewall: Firewall
  readonly nat: Nat | undefined
  readonly enableIPv6: boolean
}

/**
 * The value that a machine's iptables or nft refuses. With iptables no port is closed then and nothing translated, since
 * INPUT and the chains of NAT are filled last, but checkReversePath holds; nft takes all rules or none.
 */
export const refusedValue = ({ firewall, nat, enableIPv6 }: Guarded): Failure | undefined => {
  const { enable, backend } = firewall
  const ofFirewall = enable ? refusedByFirewall(firewall) : undefined
  if (ofFirewall !== undefined || nat?.enable !== true) return ofFirewall
  const { externalInterface } = nat
  for (const { at, name } of [...nat.internalInterfaces, { at: nat.at, name: externalInterface ?? '' }])
    if (isTooLong(name)) return { at, why: `${name} is too long for an interface` }
  if (backend === 'nftables' && externalInterface === undefined) {
    const forward = nat.forwardPorts.find(
      ({ destination }) => nat.enableIPv6 || writtenFamily(destination) === 4
    )
    const at = forward?.at ?? nat.dmzHost?.at
    if (at !== undefined) return { at, why: 'without externalInterface no forward can be written' }
  }
  for (const family of FAMILIES.filter(family => family === 4 || (nat.enableIPv6 && enableIPv6))) {
    const refused = refusedByNat(nat, family, backend)
    if (refused !== undefined) return refused
  }
  return undefined
}

/** What NixOS takes a destination for: it counts colons. */
const writtenFamily = ({ text }: DestinationText): Family => (text.split(':').length > 2 ? 6 : 4)

const isTooLong = (name: string): boolean => new TextEncoder().encode(name).length > IFNAME_MAX

const refusedByFirewall = ({
  trustedInterfaces,
  interfaces,
  open,
  backend
}: Firewall): Failure | undefined => {
  for (const { at, name } of trustedInterfaces)
    if (isTooLong(name)) return { at, why: `${name} is too long for an interface` }
  for (const { at, name, open } of interfaces) {
    if (open.tcp.length + open.udp.length === 0) continue
    if (isTooLong(name)) return { at, why: `${name} is too long for an interface` }
    if (backend === 'nftables' && !/^[\w.*-]+$/.test(name))
      return { at, why: `${name} stands there without quotes, and nft reads it otherwise` }
  }
  for (const ports of [open, ...interfaces.map(({ open }) => open)])
    for (const { at, from, to } of [...ports.tcp, ...ports.udp])
      if (from > to) return { at, why: `the ports ${from} to ${to} are none` }
  return undefined
}

const refusedByNat = (
  { internalInterfaces, internalIPs, internalIPv6s, externalIP, externalIPv6, dmzHost, forwardPorts }: Nat,
  family: Family,
  backend: Firewall['backend']
): Failure | undefined => {
  const ranges = family === 4 ? internalIPs : internalIPv6s
  /** Single addresses to iptables; nft translates to networks as well. */
  const targets = family === 4 ? [externalIP, dmzHost] : [externalIPv6]
  const wrong =
    [...ranges, ...targets].find(address => isWrong(address, family)) ??
    targets.find(address => backend === 'iptables' && address?.bare === false)
  if (wrong !== undefined) return { at: wrong.at, why: `${wrong.text} is no IPv${family} address` }
  const isInside = internalInterfaces.length + ranges.length > 0
  const [sources, goals] = [portSet<true>(), portSet<true>()]
  for (const { at, source, proto, destination, loopbackIPs } of forwardPorts) {
    if (writtenFamily(destination) !== family) continue
    const { address, ports, fault, text } = destination
    if (source.range === undefined) return { at: source.at, why: `${source.text} is no port` }
    if (proto.value === undefined && !(backend === 'iptables' && hasPorts(proto.text)))
      return { at: proto.at, why: `${proto.text} is no protocol with ports` }
    // To iptables a port behind an address without brackets is the last part of the address.
    if (fault !== undefined && (backend === 'nftables' || bareAddress(destination) === undefined))
      return { at: destination.at, why: `${text} is no address with a port` }
    // iptables needs the port for those inside who ask at a loopback address, where there are any.
    if (ports === undefined && (backend === 'nftables' || (isInside && loopbackIPs.length > 0)))
      return { at: destination.at, why: `${text} has no port` }
    const loopback = loopbackIPs.find(other => isWrong(other, family))
    if (loopback !== undefined) return { at: loopback.at, why: `${loopback.text} is no IPv${family} address` }
    if (backend === 'iptables' || address === undefined) continue
    const goal = `${formatAddr(address)} ${ports?.from} ${ports?.to}`
    if (sources(proto.text, source.range, goal, true)) return { at, why: `${source.text} is forwarded twice` }
    // A second set has where the forwards lead.
    if (ports !== undefined && goals(`${proto.text} ${formatAddr(address)}`, ports, '', true))
      return { at: destination.at, why: `another forward leads to some of ${text} as well` }
  }
  return undefined
}

/** What iptables takes for a protocol with ports. */
export const hasPorts = (text: string): boolean => /^(tcp|udp|udplite|sctp|dccp)$/i.test(text)

/** An IPv6 address and a port without brackets between them are one address. */
export const bareAddress = ({ text }: DestinationText): Addr | undefined => {
  const parsed = parseAddr(text)
  return 'value' in parsed ? parsed.value : undefined
}

/** NAT as iptables reads it, where that differs from what was meant; nft refuses all of that. */
export const asRead = (nat: Nat): Nat => ({
  ...nat,
  forwardPorts: nat.forwardPorts.map(forward => {
    const { proto, destination } = forward
    return {
      ...forward,
      proto: { ...proto, value: PROTOCOLS.find(known => known === proto.text.toLowerCase()) },
      destination: { ...destination, address: bareAddress(destination) ?? destination.address }
    }
  })
})

const PROTOCOLS: readonly Protocol[] = ['tcp', 'udp']

const isWrong = (address: AddressText | undefined, family: Family): address is AddressText =>
  address !== undefined && !address.auto && address.prefix?.family !== family
