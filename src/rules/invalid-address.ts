import type { Problem } from '../findings/finding.ts'
import { offer, replaced } from '../findings/mend.ts'
import type {
  AddressText,
  Container,
  Firewall,
  Gateway,
  Interface,
  Listen,
  Nat,
  Route,
  Topology
} from '../model/topology.ts'
import { formatAddr } from '../net/addr.ts'
import { parsePrefix } from '../net/prefix.ts'
import { refusedAt } from '../plan/nat.ts'
import { writtenNetworks } from '../plan/networkd.ts'
import type { FreeAddress } from '../plan/addresses.ts'
import { type Path, quote } from '../text/path.ts'
import type { Rule } from './rule.ts'

/** A1, E8, and every other place that takes an address: the text is none, or it is a network where one address is asked for. */
export const invalidAddress: Rule = {
  id: 'invalid-address',
  group: 'addresses',
  severity: 'error',
  exposes: true,
  summary: 'A text that should be an IP address is none.',
  *check({ topology }, freeIn) {
    for (const [kind, address, nat] of everyAddress(topology)) {
      if (address === undefined || (isForServer(kind) && isServer(address.text))) continue
      const { at, text, fault, prefix, bare } = address
      if (fault !== undefined)
        yield {
          message: `${quote(text)} is no IP address: ${fault.reason}`,
          labels: [{ at, text: 'this is no address' }],
          ...symptom(kind, address, nat),
          help: mend(text, kind, freeIn),
          ...offerFor(kind, at, isSpelling(text) ? corrected(text, kind) : undefined)
        }
      else if (isAlone(kind, nat) && prefix !== undefined && !bare)
        yield {
          message: `${quote(text)} is no IP address: one address is asked for, without a prefix length`,
          labels: [{ at, text: `/${prefix.bits} does not belong here` }],
          ...symptom(kind, address, nat),
          help: `write ${formatAddr(prefix)}`,
          ...offerFor(kind, at, formatAddr(prefix))
        }
    }
  }
}

/** What stands in `listens` is said of a service, and not for a program to change. */
const offerFor = (kind: Kind, at: Path, text: string | undefined): ReturnType<typeof offer> =>
  kind === 'listen' ? {} : offer(replaced(at, text))

/** What an address is for, which decides who reads it and what happens when it cannot be read. */
type Kind =
  | 'interface'
  | 'unit-address'
  | 'unit-router'
  | 'unit-route'
  | 'unit-dns'
  | 'pair'
  | 'port'
  | 'router'
  | 'route'
  | 'nameserver'
  | 'listen'
  | 'nat'
  | 'nat-source'
  | 'virtual'
  | 'reserved'

/** Whether it takes a single address, so that a prefix length is refused; nftables translates to a prefix as well. */
const isAlone = (kind: Kind, nat: NatOf | undefined): boolean =>
  kind === 'router' ||
  kind === 'unit-router' ||
  kind === 'listen' ||
  isForServer(kind) ||
  (kind === 'nat' && nat?.firewall.backend === 'iptables')

const isForServer = (kind: Kind): boolean => kind === 'nameserver' || kind === 'unit-dns'

/** Whether it goes to `ip`, which has its own way to read numbers. */
const isForIp = (kind: Kind): boolean =>
  kind === 'pair' || kind === 'port' || kind === 'interface' || kind === 'router' || kind === 'route'

/** The NAT that an address is written for, and the firewall of its machine. */
interface NatOf {
  readonly nat: Nat
  readonly firewall: Firewall
}

type Asked = readonly [Kind, AddressText | undefined, NatOf?]

/** resolved takes 1.1.1.1#one.one.one.one and 1.1.1.1:53, and resolv.conf a zone: fe80::1%eth0. */
const isServer = (text: string): boolean => {
  const host = text.replace(/[%#].*$/, '').replace(/^\[([^\]]*)\](:\d+)?$/, '$1')
  return !text.includes('/') && [host, host.replace(/:\d+$/, '')].some(text => 'value' in parsePrefix(text))
}

type Symptom = Pick<Problem, 'note' | 'severity'>

const symptom = (kind: Kind, address: AddressText, of: NatOf | undefined): Symptom => {
  if (of === undefined) return plainSymptom(kind, address)
  const { note, ...rest } = natSymptom(kind, address, of)
  const off = !of.nat.enable ? 'NAT' : isUnused(address, of) ? 'NAT for IPv6' : undefined
  return off === undefined
    ? { note, ...rest }
    : { note: `${off} is off; once it is on: ${note}`, severity: 'hint' }
}

/** NixOS leaves out what is for IPv6 where NAT is for IPv4 only. */
const isUnused = ({ at }: AddressText, { nat }: NatOf): boolean =>
  !nat.enableIPv6 && at.some(step => step === 'internalIPv6s' || step === 'externalIPv6')

/** iptables reads what it matches like `ip` does, and what it translates to strictly; nft reads both like `ip`. */
const natSymptom = (kind: Kind, address: AddressText, { firewall }: NatOf): Symptom => {
  const { text } = address
  const iptables = firewall.backend === 'iptables'
  if (MASK.test(text) && kind === 'nat-source' && iptables)
    return {
      severity: 'warning',
      note: 'it works by luck: iptables takes a mask, but nftables and netplan do not, so nothing compares this with the other networks'
    }
  const octal = /^[\d.]+(\/\d+)?$/.test(text) && /(^|\.)0\d/.test(text) && !/(^|\.)0\d*[89]/.test(text)
  if (octal && (!iptables || kind === 'nat-source'))
    return {
      note: `${firewall.backend} reads a number with a leading zero as octal, 010 as 8, and the rule is for another address than the one that stands here`
    }
  if (/^\d+(\.\d+){0,2}(\/\d+)?$/.test(text) && !/(^|\.)0\d/.test(text) && iptables && kind === 'nat-source')
    return {
      note: 'iptables fills up with zeros: 10.1 becomes 10.1.0.0, which is hardly what is meant; nftables refuses it'
    }
  return { note: refusedAt(address.at, firewall) }
}

const IGNORED: Partial<Record<Kind, string>> = {
  'unit-address': 'the interface stays without this address',
  'unit-router': 'the route is not set, and what should go this way goes nowhere',
  'unit-route': 'the whole route is not set',
  'unit-dns': 'nobody asks this server'
}

const plainSymptom = (kind: Kind, { at, text }: AddressText): Symptom => {
  const ignored = IGNORED[kind]
  if (ignored !== undefined)
    return {
      note: `nixpkgs takes any text here, so the rebuild succeeds; systemd-networkd ignores it with a line in its log ("${kind === 'unit-dns' ? 'Failed to parse dns server address, ignoring' : 'Invalid …, ignoring assignment'}"): ${ignored}`
    }
  const six = String(at.at(-1)).endsWith('6')
  if (kind === 'port' && bitsOf(MASK.exec(text)?.[0] ?? '') !== undefined)
    return {
      severity: 'warning',
      note: 'it works by luck: `ip addr add` takes a mask, but a route without a bridge, systemd-networkd and netplan do not, so nothing compares this with the other networks'
    }
  if (isForIp(kind) && /^[\d.]+(\/\d+)?$/.test(text)) {
    if (/(^|\.)0\d/.test(text))
      return {
        note: '`ip` and iptables read a number with a leading zero as octal: 010 is 8, and 08 is refused; nobody gets the address that is written'
      }
    if (/^\d+(\.\d+){0,2}(\/\d+)?$/.test(text))
      return {
        note: '`ip` and iptables fill up with zeros: 10.1 becomes 10.1.0.0, which is hardly what is meant; systemd-networkd refuses it'
      }
  }
  switch (kind) {
    case 'pair':
    case 'port':
      return {
        note: `nixpkgs takes any text here, so the rebuild succeeds; then \`ip\` refuses it ("${six ? 'inet6' : 'any valid'} prefix is expected rather than …"), and container@${at[1]}.service fails`
      }
    case 'interface':
      return {
        note: "nixpkgs takes any text here, so the rebuild succeeds; systemd-networkd ignores it with a line in its log, NixOS's own scripts fail at it: the interface stays without this address"
      }
    case 'router':
    case 'route':
      return {
        note: 'nixpkgs takes any text here, so the rebuild succeeds; `ip` then refuses the route ("… is expected rather than …"), and what should go this way goes nowhere'
      }
    case 'nameserver':
      return {
        note: 'the rebuild succeeds, and programs skip what is no address in resolv.conf, or read it in their own way (9.9.9 as 9.9.0.9, 010 as 8): nobody asks this server'
      }
    case 'listen':
      return {
        note: 'whether two services want one port depends on the addresses that they bind, and of this one nothing can be told'
      }
    case 'virtual':
      return { note: 'nobody can have it at run time, and nothing can be compared with it' }
    default:
      return { note: 'nothing can be compared with it, so nobody is told when a network takes this space' }
  }
}

const MASK = /\/\d{1,3}(\.\d{1,3}){3}$/

/** The same address as it has to be spelt, if it is one. */
const corrected = (text: string, kind: Kind): string | undefined => {
  const better = text
    .replace(/\s/g, '')
    .replace(/,/g, '.')
    .replace(/^localhost$/i, '127.0.0.1')
    .replace(/^\[([^\]]*)\](:\d+)?/, '$1')
    .replace(/^([\d.]+):\d+$/, '$1')
    .replace(/%[^/]*/, '')
    .replace(/(^|\.)0+(?=\d)/g, '$1')
    .replace(MASK, mask => `/${bitsOf(mask) ?? mask}`)
    .replace(
      kind === 'pair' || kind === 'router' || kind === 'unit-router' || kind === 'listen' || isForServer(kind)
        ? /\/.*$/
        : /\/$/,
      ''
    )
  return better !== text && 'value' in parsePrefix(better) ? better : undefined
}

/** Whether nothing but the spelling is wrong: no port or interface, which would have to be written elsewhere. */
const isSpelling = (text: string): boolean => !/[%[\]]|^localhost$|^[\d.]+:/i.test(text)

const mend = (text: string, kind: Kind, freeIn: FreeAddress): string => {
  const better = corrected(text, kind)
  if (better !== undefined)
    return `write ${better}${text.includes('%') ? ', and the interface in its own key' : ''}`
  const six = text.includes(':')
  const [host = ''] = text.split('/')
  const example = 'value' in parsePrefix(host) ? host : six ? 'fd12:3456:789a::2' : '192.168.100.2'
  const bits =
    kind === 'interface' ||
    kind === 'unit-address' ||
    kind === 'unit-route' ||
    kind === 'route' ||
    kind === 'port' ||
    kind === 'nat-source' ||
    kind === 'reserved'
      ? `/${six ? 64 : 24}`
      : ''
  if (example === host) return `write ${host}${bits}${bits === '' ? '' : ', or what its network has'}`
  const free = neighbour(text, kind, freeIn)
  return `write ${six ? 'an IPv6 address' : 'four numbers from 0 to 255'}, such as ${free ?? `${example}${bits}`}`
}

/** A free address with the same first three numbers, for an interface whose last number is the fault. */
const neighbour = (text: string, kind: Kind, freeIn: FreeAddress): string | undefined => {
  const [, three, length] = /^(\d+\.\d+\.\d+)\.[^./]+(\/\d+)?$/.exec(text) ?? []
  if (
    three === undefined ||
    (kind !== 'pair' && kind !== 'port' && kind !== 'interface' && kind !== 'unit-address')
  )
    return undefined
  const network = parsePrefix(`${three}.0/24`)
  const free = 'value' in network ? freeIn(network.value) : undefined
  return free === undefined
    ? undefined
    : `${formatAddr(free)}${kind === 'pair' ? '' : (length ?? '/24')}, which is free`
}

/** 255.255.255.0 as 24; nothing where the ones are not all in front. */
/** The prefix length that a mask stands for, if it is one without gaps. */
const bitsOf = (mask: string): number | undefined => {
  const ones = mask
    .slice(1)
    .split('.')
    .map(octet => Number(octet).toString(2).padStart(8, '0'))
    .join('')
  return /^1*0*$/.test(ones) && ones.length === 32 ? ones.lastIndexOf('1') + 1 : undefined
}

/** A container whose only addresses are those of its pair, and gateways without a prefix length: most of them, mostly. */
const isPlain = (container: Container): boolean =>
  [container.defaultGateway, container.defaultGateway6].every(
    gateway => gateway?.address.bare !== false && gateway?.source?.bare !== false
  ) &&
  container.nameservers.length + container.listens.length + container.routes.length === 0 &&
  container.virtualAddresses.length + container.inside.interfaces.length + container.inside.bridges.length ===
    0 &&
  container.inside.nat === undefined

const everyAddress = function* ({
  faultyAddresses,
  host,
  nat,
  bridges,
  containers,
  vms,
  pools,
  reserved
}: Topology): Generator<Asked> {
  yield* ofInterfaces(host.interfaces)
  yield* routers(host.defaultGateway, host.defaultGateway6)
  yield* all('nameserver', [...host.nameservers, ...host.resolvConf])
  yield* bound(host.listens)
  yield* all('virtual', host.virtualAddresses)
  yield* ofNat(nat, host.firewall)
  for (const { addresses, gateways, routes, dns } of writtenNetworks(host)) {
    yield* all('unit-address', addresses)
    yield* all('unit-router', [...new Set([...gateways, ...routes.map(({ gateway }) => gateway)])])
    yield* all(
      'unit-route',
      routes.map(({ destination }) => destination)
    )
    yield* all('unit-dns', dns)
  }
  for (const { subnet } of host.dhcpServers) yield ['reserved', subnet]
  for (const { prefix } of pools) yield ['reserved', prefix]
  for (const { addresses, virtualAddresses, routes } of bridges) {
    yield* ofRoutes(routes)
    yield* all(
      'interface',
      addresses.filter(({ at }) => at[1] !== 'networkd')
    )
    yield* all('virtual', virtualAddresses)
  }
  for (const container of containers)
    if (container.enabled && (faultyAddresses.length > 0 || !isPlain(container)))
      yield* ofContainer(container)
  for (const { enabled, interfaces, defaultGateway, defaultGateway6, listens } of vms) {
    if (!enabled) continue
    for (const { addresses } of interfaces) yield* all('interface', addresses)
    yield* routers(defaultGateway, defaultGateway6)
    yield* bound(listens)
  }
  for (const { prefix } of reserved) yield ['reserved', prefix]
}

const all = (kind: Kind, addresses: readonly (AddressText | undefined)[]): Asked[] =>
  addresses.map(address => [kind, address])

const ofNat = function* (nat: Nat | undefined, firewall: Firewall): Generator<Asked> {
  if (nat === undefined) return
  const of = { nat, firewall }
  for (const address of [...nat.internalIPs, ...nat.internalIPv6s]) yield ['nat-source', address, of]
  for (const address of [nat.externalIP, nat.externalIPv6, nat.dmzHost]) yield ['nat', address, of]
  for (const { loopbackIPs } of nat.forwardPorts)
    for (const address of loopbackIPs) yield ['nat', address, of]
}

const ofContainer = function* (container: Container): Generator<Asked> {
  for (const veth of [container.veth, ...container.extraVeths]) {
    yield* all('pair', [veth.hostAddress, veth.hostAddress6])
    yield* all(veth.hostBridge === undefined ? 'pair' : 'port', [veth.localAddress, veth.localAddress6])
  }
  yield* routers(container.defaultGateway, container.defaultGateway6)
  yield* ofRoutes(container.routes)
  yield* all('nameserver', container.nameservers)
  yield* bound(container.listens)
  yield* all('virtual', container.virtualAddresses)
  yield* ofInterfaces(container.inside.interfaces)
  for (const { addresses } of container.inside.bridges) yield* all('interface', addresses)
  yield* ofNat(container.inside.nat, container.firewall)
}

const ofInterfaces = function* (interfaces: readonly Interface[]): Generator<Asked> {
  for (const { addresses, routes } of interfaces) {
    yield* all('interface', addresses)
    yield* ofRoutes(routes)
  }
}

const ofRoutes = function* (routes: readonly Route[]): Generator<Asked> {
  for (const { destination, via } of routes) {
    yield ['route', destination]
    yield ['router', via]
  }
}

const routers = (...gateways: readonly (Gateway | undefined)[]): Asked[] =>
  all(
    'router',
    gateways.flatMap(gateway => [gateway?.address, gateway?.source])
  )

const bound = (listens: readonly Listen[]): Asked[] =>
  all(
    'listen',
    listens.map(({ address }) => address)
  )
