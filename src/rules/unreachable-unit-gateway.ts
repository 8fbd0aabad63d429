import type { AddressText, Network, UnitRoute } from '../model/topology.ts'
import { isYes } from '../model/networkd.ts'
import { type Addr, formatAddr, isLinkLocal6, sameAddr, width } from '../net/addr.ts'
import {
  contains,
  firstUsable,
  formatNetwork,
  hasBroadcast,
  last,
  lastUsable,
  type Prefix,
  parsePrefix
} from '../net/prefix.ts'
import { writtenNetworks } from '../plan/networkd.ts'
import type { Plan } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** E30 */
export const unreachableUnitGateway: Rule = {
  id: 'unreachable-unit-gateway',
  group: 'networkd',
  severity: 'error',
  summary: 'The gateway of a .network file is not on the link of its interface, or is no other machine.',
  *check(plan) {
    for (const network of writtenNetworks(plan.topology.host)) {
      const own = addressesOf(plan, network)
      for (const route of network.routes) {
        const { gateway } = route
        const router = gateway?.prefix
        if (gateway === undefined || router === undefined || !gateway.bare) continue
        const fault = faultOf(network, route, router, own)
        // An address that puts it on the link may stand elsewhere.
        if (fault === undefined || (fault.kind === 'off-link' && plan.topology.host.partial)) continue
        const { address, kind } = fault
        const prefix = address.prefix
        if (prefix === undefined) continue
        const what = `gateway ${gateway.text} of ${network.file}.network`
        const range = `${formatAddr(firstUsable(prefix))} to ${formatAddr(lastUsable(prefix))}`
        if (kind === 'off-link')
          yield {
            message: `${what} is not on the link: the interface has ${address.text}`,
            labels: [
              { at: gateway.at, text: `outside ${formatNetwork(prefix)}` },
              { at: address.at, text: "the interface's network" }
            ],
            note: 'networkd waits until the gateway can be reached and says nothing: the link stays "configuring", the route is never set, and there is no way out',
            help:
              prefix.bits === width(prefix.family)
                ? `write it as a route: routes = [ { Gateway = "${gateway.text}"; GatewayOnLink = true; } ], or give ${address.text} the prefix length of its network`
                : `write an address of ${formatNetwork(prefix)}, or add GatewayOnLink = true to its route where the router answers all the same`
          }
        else if (kind === 'own')
          yield {
            message: `${what} is the interface's own address`,
            labels: [
              { at: gateway.at, text: 'a router is another machine' },
              ...(address.at === gateway.at ? [] : [{ at: address.at, text: 'the same address' }])
            ],
            note:
              router.family === 4
                ? 'the route is set, and the host asks on the link who has the other end of each connection; nobody answers, and there is no way out'
                : 'the kernel refuses the route ("Gateway can not be a local address"), and networkd gives up on the interface (state failed)',
            help: `write the address of the router${prefix.bits === width(prefix.family) ? '' : `, another one of ${formatNetwork(prefix)}`}`
          }
        else
          yield {
            message: `${what} is the broadcast address of ${formatNetwork(prefix)}`,
            labels: [
              { at: gateway.at, text: 'belongs to no machine' },
              { at: address.at, text: "the interface's network" }
            ],
            note: 'the kernel refuses the route ("Nexthop has invalid gateway"), and networkd gives up on the interface (state failed)',
            help: `write the address of the router, one from ${range}`
          }
      }
    }
  }
}

interface Fault {
  readonly kind: 'own' | 'broadcast' | 'off-link'
  readonly address: AddressText
}

const faultOf = (
  network: Network,
  { onLink }: UnitRoute,
  router: Addr,
  own: readonly AddressText[]
): Fault | undefined => {
  const known = own.filter(({ prefix }) => prefix?.family === router.family)
  const same = known.find(({ prefix }) => prefix !== undefined && sameAddr(prefix, router))
  if (same !== undefined) return { kind: 'own', address: same }
  for (const address of known) {
    const { prefix } = address
    if (prefix === undefined || !contains(prefix, router)) continue
    return hasBroadcast(prefix.family, prefix.bits) && last(prefix).value === router.value
      ? { kind: 'broadcast', address }
      : undefined
  }
  const [first] = known
  // networkd takes a gateway for one on the link where the file has no address; DHCP and advertisements bring networks.
  if (onLink || first === undefined || isDynamic(network, router)) return undefined
  if (known.some(({ prefix, bare }) => bare || prefix?.value === 0n)) return undefined
  return isOnLink(network, router) ? undefined : { kind: 'off-link', address: first }
}

/** Whether the interface may get networks of this family that are not in the file. */
const isDynamic = ({ dhcp, sections, addresses }: Network, { family, value }: Addr): boolean => {
  const settings = sections.get('networkConfig')?.settings
  if (family === 4)
    return (
      /^(?:yes|true|ipv4|both)$/.test(dhcp?.text ?? 'no') ||
      /^(?:yes|true|ipv4|fallback)/.test(settings?.get('LinkLocalAddressing')?.at(-1)?.text ?? 'no')
    )
  const isLocal = isLinkLocal6({ family, value })
  const advertised = settings?.get('IPv6AcceptRA')?.at(-1)
  return isLocal || addresses.length === 0 || advertised === undefined || isYes(advertised)
}

/** Whether a route without a gateway, or a peer's address, puts the router on the link. */
const isOnLink = ({ routes, addressSections }: Network, router: Addr): boolean => {
  const onLink: (Prefix | undefined)[] = routes.flatMap(({ gateway, destination }) =>
    gateway === undefined ? [destination?.prefix] : []
  )
  for (const { settings } of addressSections) {
    const peer = parsePrefix(settings.get('Peer')?.at(-1)?.text ?? '')
    if ('value' in peer) onLink.push(peer.value)
  }
  return onLink.some(prefix => prefix !== undefined && contains(prefix, router))
}

/** The addresses of the file, and those that its interface gets from elsewhere. */
const addressesOf = ({ topology, bridges }: Plan, { addresses, names }: Network): readonly AddressText[] => {
  const [only] = names
  if (only === undefined || names.length > 1) return addresses
  const other =
    bridges.get(only.name)?.bridge.addresses ??
    topology.host.configured.find(({ name }) => name === only.name)?.addresses
  return other === undefined ? addresses : [...new Set([...addresses, ...other])]
}
