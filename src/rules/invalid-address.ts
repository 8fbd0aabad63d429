import type { Problem } from '../findings/finding.ts'
import type {
  AddressText,
  Container,
  Gateway,
  Interface,
  Listen,
  Nat,
  Route,
  Topology
} from '../model/topology.ts'
import { formatAddr } from '../net/addr.ts'
import { parsePrefix } from '../net/prefix.ts'
import { refusedRule } from '../plan/nat.ts'
import type { NatPlan } from '../plan/plan.ts'
import { quote } from '../text/path.ts'
import type { Rule } from './rule.ts'

/** A1, and every other place that takes an address: the text is none, or it is a network where one address is asked for. */
export const invalidAddress: Rule = {
  id: 'invalid-address',
  group: 'addresses',
  severity: 'error',
  summary: 'A text that should be an IP address is none.',
  *check({ topology, nat }) {
    for (const [kind, address] of everyAddress(topology)) {
      if (address === undefined || (kind === 'nameserver' && isServer(address.text))) continue
      const { at, text, fault, prefix, bare } = address
      if (fault !== undefined)
        yield {
          message: `${quote(text)} is no IP address: ${fault.reason}`,
          labels: [{ at, text: 'this is no address' }],
          ...symptom(kind, address, nat),
          help: mend(text, kind)
        }
      else if (isAlone(kind, nat) && prefix !== undefined && !bare)
        yield {
          message: `${quote(text)} is no IP address: one address is asked for, without a prefix length`,
          labels: [{ at, text: `/${prefix.bits} does not belong here` }],
          ...symptom(kind, address, nat),
          help: `write ${formatAddr(prefix)}`
        }
    }
  }
}

/** What an address is for, which decides who reads it and what happens when it cannot be read. */
type Kind =
  | 'interface'
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
const isAlone = (kind: Kind, { backend }: NatPlan): boolean =>
  kind === 'router' || kind === 'listen' || (kind === 'nat' && backend === 'iptables')

type Asked = readonly [Kind, AddressText | undefined]

/** resolved takes 1.1.1.1#one.one.one.one and 1.1.1.1:53, and resolv.conf a zone: fe80::1%eth0. */
const isServer = (text: string): boolean => {
  const host = text.replace(/[%#].*$/, '').replace(/^\[([^\]]*)\](:\d+)?$/, '$1')
  return [host, host.replace(/:\d+$/, '')].some(text => 'value' in parsePrefix(text))
}

const symptom = (kind: Kind, { at, text }: AddressText, nat: NatPlan): Pick<Problem, 'note' | 'severity'> => {
  const inContainer = at[0] === 'containers'
  const six = String(at.at(-1)).endsWith('6')
  if (MASK.test(text) && (kind === 'port' || (kind === 'nat-source' && nat.backend === 'iptables')))
    return {
      severity: 'warning',
      note: `it works by luck: ${kind === 'port' ? '`ip addr add` takes a mask, but a route without a bridge, systemd-networkd' : 'iptables takes a mask, but nftables'} and netplan do not, so nothing compares this with the other networks`
    }
  if (/^[\d.]+(\/\d+)?$/.test(text)) {
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
        note: 'the rebuild succeeds, and programs skip what is no address in resolv.conf: nobody asks this server'
      }
    case 'listen':
      return {
        note: 'whether two services want one port depends on the addresses that they bind, and of this one nothing can be told'
      }
    case 'nat':
    case 'nat-source':
      return {
        note: inContainer
          ? `inside the container: ${refusedRule(nat).replace(/the host/g, 'it')}`
          : refusedRule(nat)
      }
    case 'virtual':
      return { note: 'nobody can have it at run time, and nothing can be compared with it' }
    default:
      return { note: 'nothing can be compared with it, so nobody is told when a network takes this space' }
  }
}

const MASK = /\/\d{1,3}(\.\d{1,3}){3}$/

const mend = (text: string, kind: Kind): string => {
  const better = text
    .replace(/\s/g, '')
    .replace(/,/g, '.')
    .replace(/^localhost$/i, '127.0.0.1')
    .replace(/^\[([^\]]*)\](:\d+)?/, '$1')
    .replace(/^([\d.]+):\d+$/, '$1')
    .replace(/%[^/]*/, '')
    .replace(/(^|\.)0+(?=\d)/g, '$1')
    .replace(MASK, mask => `/${bitsOf(mask)}`)
    .replace(kind === 'pair' || kind === 'router' || kind === 'listen' ? /\/.*$/ : /\/$/, '')
  if (better !== text && 'value' in parsePrefix(better))
    return `write ${better}${text.includes('%') ? ', and the interface in its own key' : ''}`
  const six = text.includes(':')
  const [host = ''] = text.split('/')
  const example = 'value' in parsePrefix(host) ? host : six ? 'fd12:3456:789a::2' : '192.168.100.2'
  const bits =
    kind === 'interface' || kind === 'port' || kind === 'nat-source' || kind === 'reserved'
      ? `/${six ? 64 : 24}`
      : ''
  if (example === host) return `write ${host}${bits}${bits === '' ? '' : ', or what its network has'}`
  return `write ${six ? 'an IPv6 address' : 'four numbers from 0 to 255'}, such as ${example}${bits}`
}

/** 255.255.255.0 as 24; nothing where the ones are not all in front. */
const bitsOf = (mask: string): string => {
  const ones = mask
    .slice(1)
    .split('.')
    .map(octet => Number(octet).toString(2).padStart(8, '0'))
    .join('')
  return /^1*0*$/.test(ones) && ones.length === 32 ? String(ones.lastIndexOf('1') + 1) : ''
}

/** A container whose only addresses are those of its pair, and gateways without a prefix length: most of them, mostly. */
const isPlain = (container: Container): boolean =>
  container.defaultGateway?.address.bare !== false &&
  container.defaultGateway6?.address.bare !== false &&
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
  reserved
}: Topology): Generator<Asked> {
  yield* ofInterfaces(host.interfaces)
  yield* routers(host.defaultGateway, host.defaultGateway6)
  yield* all('nameserver', [...host.nameservers, ...host.resolvConf])
  yield* bound(host.listens)
  yield* all('virtual', host.virtualAddresses)
  yield* ofNat(nat)
  for (const { addresses, virtualAddresses } of bridges) {
    yield* all('interface', addresses)
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

const ofNat = function* (nat: Nat | undefined): Generator<Asked> {
  if (nat === undefined) return
  yield* all('nat-source', [...nat.internalIPs, ...nat.internalIPv6s])
  yield* all('nat', [nat.externalIP, nat.externalIPv6, nat.dmzHost])
  for (const { loopbackIPs } of nat.forwardPorts) yield* all('nat', loopbackIPs)
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
  yield* ofNat(container.inside.nat)
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
    gateways.map(gateway => gateway?.address)
  )

const bound = (listens: readonly Listen[]): Asked[] =>
  all(
    'listen',
    listens.map(({ address }) => address)
  )
