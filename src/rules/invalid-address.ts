import type { AddressText, Container, Gateway, Interface, Listen, Nat, Route, Topology } from '../model/topology.ts'
import { quote } from '../text/path.ts'
import type { Rule } from './rule.ts'

/** A1 and whatever else takes an address: the text is none. */
export const invalidAddress: Rule = {
  id: 'invalid-address',
  group: 'addresses',
  severity: 'error',
  summary: 'A text that should be an IP address is none.',
  *check({ topology }) {
    for (const { at, text, fault } of everyAddress(topology)) {
      if (fault === undefined) continue
      yield {
        message: `${quote(text)} is no IP address: ${fault.reason}`,
        labels: [{ at, text: 'this is no address' }],
        note: 'nixpkgs takes any text here, so the rebuild succeeds; then `ip` refuses it and the unit that sets it fails',
        help: mend(text)
      }
    }
  }
}

const mend = (text: string): string => {
  const shorter = text.replace(/\b0+(\d)/g, '$1')
  if (/^[\d.]+(\/\d+)?$/.test(text) && shorter !== text) return `without leading zeros it is ${shorter}`
  const [host = '', bits] = text.split('/')
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(host) && bits?.includes('.') === true)
    return `write the length of the mask in bits, as in ${host}/24`
  if (text.includes('%')) return `write ${text.replace(/%[^/]*/, '')}, and the interface in its own key`
  return text.includes(':')
    ? 'write an IPv6 address such as fd12:3456:789a::2, or fd12:3456:789a::2/64 on a bridge'
    : 'write four numbers from 0 to 255, such as 192.168.100.2, or 192.168.100.2/29 on a bridge'
}

type Maybe = AddressText | undefined

const everyAddress = function* (topology: Topology): Generator<AddressText> {
  const { host, nat, bridges, containers, vms, reserved } = topology
  for (const address of ofHost(host, nat)) if (address !== undefined) yield address
  for (const { addresses, virtualAddresses } of bridges) {
    yield* addresses
    yield* virtualAddresses
  }
  for (const container of containers)
    for (const address of ofContainer(container)) if (address !== undefined) yield address
  for (const { interfaces, defaultGateway, defaultGateway6, listens } of vms) {
    for (const { addresses } of interfaces) yield* addresses
    for (const address of [...gateways(defaultGateway, defaultGateway6), ...bound(listens)])
      if (address !== undefined) yield address
  }
  for (const { prefix } of reserved) yield prefix
}

const ofHost = function* (host: Topology['host'], nat: Nat | undefined): Generator<Maybe> {
  yield* ofInterfaces(host.interfaces)
  yield* gateways(host.defaultGateway, host.defaultGateway6)
  yield* host.nameservers
  yield* host.resolvConf
  yield* bound(host.listens)
  yield* host.virtualAddresses
  yield* ofNat(nat)
}

const ofNat = function* (nat: Nat | undefined): Generator<Maybe> {
  if (nat === undefined) return
  yield* nat.internalIPs
  yield* nat.internalIPv6s
  yield nat.externalIP
  yield nat.externalIPv6
  yield nat.dmzHost
  for (const { loopbackIPs } of nat.forwardPorts) yield* loopbackIPs
}

const ofContainer = function* (container: Container): Generator<Maybe> {
  for (const veth of [container.veth, ...container.extraVeths]) {
    yield veth.hostAddress
    yield veth.hostAddress6
    yield veth.localAddress
    yield veth.localAddress6
  }
  yield* gateways(container.defaultGateway, container.defaultGateway6)
  yield* ofRoutes(container.routes)
  yield* container.nameservers
  yield* bound(container.listens)
  yield* container.virtualAddresses
  yield* ofInterfaces(container.inside.interfaces)
  for (const { addresses } of container.inside.bridges) yield* addresses
  yield* ofNat(container.inside.nat)
}

const ofInterfaces = function* (interfaces: readonly Interface[]): Generator<Maybe> {
  for (const { addresses, routes } of interfaces) {
    yield* addresses
    yield* ofRoutes(routes)
  }
}

const ofRoutes = function* (routes: readonly Route[]): Generator<Maybe> {
  for (const { destination, via } of routes) {
    yield destination
    yield via
  }
}

const gateways = (...all: readonly (Gateway | undefined)[]): Maybe[] => all.map(gateway => gateway?.address)

const bound = (listens: readonly Listen[]): Maybe[] => listens.map(({ address }) => address)
