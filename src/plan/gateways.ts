import type { AddressText, Container, Gateway, Route, Vm } from '../model/topology.ts'
import { type Addr, type Family, isLinkLocal6, sameAddr, width } from '../net/addr.ts'
import { contains, first, hasBroadcast, last, masked, type Prefix } from '../net/prefix.ts'
import type { Path } from '../text/path.ts'
import { familyOf } from './bridges.ts'
import { hasVeth } from './links.ts'
import type { AddressClaim, BridgePlan, Link, Plan } from './plan.ts'
import { ownRoutes } from './routes.ts'

/** Where a container's default route comes from. */
export interface DefaultRoute {
  readonly source: 'hostAddress' | 'defaultGateway' | 'route' | 'dhcp' | 'advertisement'
  readonly at: Path
  /** The router; undefined where DHCP or an advertisement names it, or the route is on the link. */
  readonly via: AddressText | undefined
}

/**
 * The default routes that a container gets, in the order in which NixOS sets them: container-init first
 * (nixos-containers.nix), then the container's own network services.
 */
export const defaultRoutes = (plan: Plan, container: Container, family: Family): readonly DefaultRoute[] => {
  const routes: DefaultRoute[] = []
  const { veth } = container
  const hostAddress = family === 4 ? veth.hostAddress : veth.hostAddress6
  if (hostAddress !== undefined && hasVeth(container))
    routes.push({ source: 'hostAddress', at: hostAddress.at, via: hostAddress })
  const gateway = family === 4 ? container.defaultGateway : container.defaultGateway6
  if (gateway !== undefined) routes.push({ source: 'defaultGateway', at: gateway.at, via: gateway.address })
  for (const { at, destination, via } of writtenRoutes(container))
    if (destination.prefix?.bits === 0 && destination.prefix.family === family)
      routes.push({ source: 'route', at, via })
  if (family === 4) {
    if (container.dhcp) routes.push({ source: 'dhcp', at: [...container.at, 'dhcp'], via: undefined })
    for (const { at, dhcp } of container.inside.interfaces)
      if (dhcp) routes.push({ source: 'dhcp', at: [...at, 'dhcp'], via: undefined })
  } else if (acceptsRouters(container, plan.linksOf.get(container) ?? []))
    routes.push({ source: 'advertisement', at: container.at, via: undefined })
  return routes
}

/** The routes that the container's own configuration has. */
const writtenRoutes = ({ routes, inside }: Container): readonly Route[] =>
  inside.interfaces.length === 0 ? routes : [...routes, ...inside.interfaces.flatMap(({ routes }) => routes)]

/** Whether a router's advertisement can reach the container: it says so, or it is attached to a network outside. */
const acceptsRouters = (container: Container, links: readonly Link[]): boolean =>
  container.acceptRA === true ||
  container.inside.interfaces.some(({ acceptRA }) => acceptRA === true) ||
  (container.acceptRA !== false &&
    links.some(
      ({ kind, bridge, ifname }) =>
        (kind === 'macvlan' || kind === 'moved' || bridge?.open === true) &&
        !container.inside.interfaces.some(({ name, acceptRA }) => name === ifname && acceptRA === false)
    ))

/** What is wrong with a router's address, seen from the container or machine: at most one thing, the first that applies. */
export type GatewayFault =
  | { readonly kind: 'own'; readonly address: AddressText }
  | { readonly kind: 'network' | 'broadcast'; readonly prefix: Prefix; readonly address: AddressText }
  /** Where the kernel takes it for a neighbour all the same, `ifname` is the interface on which nobody answers. */
  | { readonly kind: 'off-link'; readonly address: AddressText; readonly ifname: string | undefined }
  | { readonly kind: 'nobody'; readonly bridge: BridgePlan; readonly address: AddressText }
  | {
      readonly kind: 'elsewhere'
      readonly bridge: BridgePlan
      readonly address: AddressText
      readonly owner: AddressClaim
    }

/**
 * Judges the address of a default gateway. Undefined when it works, and also when nothing can be said: an address that
 * is not known, one that has a fault of its own, DHCP, a bridge to machines that the topology does not describe.
 */
export const gatewayFault = (
  plan: Plan,
  node: Container | Vm,
  gateway: Gateway
): GatewayFault | undefined => {
  const router = gateway.address.prefix
  const links = plan.linksOf.get(node)
  if (router === undefined || node.partial || links === undefined) return undefined
  // Its addresses may be those of a bridge inside.
  if ('inside' in node && node.inside.bridges.length > 0) return undefined
  if (isPlain(plan, links, router)) return undefined
  let any: AddressText | undefined
  let home: { readonly link: Link; readonly address: AddressText; readonly prefix: Prefix } | undefined
  for (const link of links)
    for (const address of link.addresses) {
      if (familyOf(address) !== router.family) continue
      const { prefix } = address
      if (prefix === undefined || !isSettled(plan, link, address)) return undefined
      if (prefix.value === router.value) return { kind: 'own', address }
      any ??= address
      if (home === undefined && contains(prefix, router)) home = { link, address, prefix }
    }
  if (any === undefined) return undefined
  if (home === undefined) {
    if (isLinkLocal6(router) || (gateway.interface === undefined && isOtherEnd(links, router)))
      return undefined
    // NixOS adds a route to a gateway with a named interface, so it works when somebody there has the address.
    const ifname = gateway.interface ?? routeTo(node, router)
    if (ifname !== undefined && isAnswered(plan, links, ifname, router)) return undefined
    const named = links
      .find(link => link.ifname === ifname)
      ?.addresses.find(address => familyOf(address) === router.family)
    return { kind: 'off-link', address: named ?? any, ifname }
  }
  const { bridge } = home.link
  // The bridge itself is what nearly every gateway is, and that is all there is to know.
  if (bridge?.subnets.some(({ address }) => address.prefix?.value === router.value) === true) return undefined
  if (hasBroadcast(router.family, home.prefix.bits)) {
    // Since Linux 5.14 a machine that has the network's address answers for it; that it has it is told of that machine.
    if (router.value === first(home.prefix).value && plan.addresses.owners(router) === undefined)
      return { kind: 'network', prefix: masked(home.prefix), address: home.address }
    if (router.value === last(home.prefix).value)
      return { kind: 'broadcast', prefix: masked(home.prefix), address: home.address }
  }
  if (bridge === undefined || bridge.open || bridge.bridge.partial || bridge.bridge.vlanAware)
    return undefined
  const networks = bridge.subnets.filter(({ prefix }) => prefix.family === router.family)
  // A host that forwards IPv6 answers for the lowest address of its networks too (RFC 4291 section 2.6.1).
  const isAnycast = router.family === 6 && networks.some(({ prefix }) => prefix.value === router.value)
  if (networks.length === 0) {
    const owner = ownerElsewhere(plan, bridge, router)
    return owner === undefined ? undefined : { kind: 'elsewhere', bridge, address: home.address, owner }
  }
  if (isAnycast) return undefined
  return plan.addresses.owners(router) === undefined
    ? { kind: 'nobody', bridge, address: home.address }
    : undefined
}

/**
 * Who has a router's address on another link of the host, where nobody on this bridge can have it. The host itself does not
 * answer for it on a bridge on which it has no address: without a route back it takes the question for a forged one.
 */
const ownerElsewhere = ({ addresses }: Plan, bridge: BridgePlan, router: Addr): AddressClaim | undefined => {
  if (bridge.bridge.proxyARP || isLinkLocal6(router)) return undefined
  // It has the address, and lacks the length of its network, which is told of it.
  if (bridge.bridge.addresses.some(({ prefix }) => prefix !== undefined && sameAddr(prefix, router)))
    return undefined
  const owners = [...(addresses.owners(router) ?? []), ...addresses.apart(router)]
  if (owners.some(({ kind, link }) => kind === 'virtual' || link?.bridge === bridge)) return undefined
  const owner = owners.find(({ enabled }) => enabled)
  return owner !== undefined && areKnown(bridge) ? owner : undefined
}

/** Whether all addresses on a bridge are in the file, and none of its members joins it with another one. */
const areKnown = (bridge: BridgePlan): boolean => {
  const known =
    KNOWN.get(bridge) ??
    bridge.members.every(
      ({ node, addresses }) =>
        !node.partial &&
        addresses.length > 0 &&
        addresses.every(({ prefix }) => prefix !== undefined) &&
        !('inside' in node && node.inside.bridges.length > 0)
    )
  KNOWN.set(bridge, known)
  return known
}

/** It is asked for each container of a bridge. */
const KNOWN = new WeakMap<BridgePlan, boolean>()

/** What nearly every container is: one address, which fits into the one network of its bridge, and the bridge as router. */
const isPlain = ({ misplaced }: Plan, links: readonly Link[], router: Prefix): boolean => {
  const [link] = links
  if (link === undefined || links.length > 1 || link.addresses.length !== 1) return false
  const [address] = link.addresses
  const subnets = link.bridge?.subnets
  if (address?.prefix === undefined || subnets?.length !== 1 || misplaced.has(address)) return false
  const own = subnets[0]?.address.prefix
  return own?.value === router.value && own.family === router.family && address.prefix.value !== router.value
}

/** Whether an address is known and has no fault of its own that a rule of the address tells. */
const isSettled = ({ misplaced }: Plan, { node }: Link, address: AddressText): boolean => {
  if (address.prefix === undefined || ('dhcp' in node && node.dhcp)) return false
  const kind = misplaced.get(address)?.placement.kind
  return kind === undefined || (kind === 'unknown' && address.prefix.bits < width(address.prefix.family))
}

/** Whether a router is the host's end of a pair, to which container-init sets a route. */
const isOtherEnd = (links: readonly Link[], router: Addr): boolean =>
  links.some(({ veth }) =>
    [veth?.hostAddress, veth?.hostAddress6].some(
      end => end?.prefix !== undefined && sameAddr(end.prefix, router)
    )
  )

/** The interface of a route that makes a router a neighbour; one by another router does not: "Nexthop has invalid gateway". */
const routeTo = (node: Container | Vm, router: Addr): string | undefined =>
  'routes' in node
    ? ownRoutes(node).find(({ destination, via }) => via === undefined && contains(destination, router))
        ?.ifname
    : undefined

/** Whether somebody on the link of an interface answers for an address that is taken for one of that link. */
const isAnswered = (plan: Plan, links: readonly Link[], ifname: string, router: Addr): boolean => {
  const link = links.find(link => link.ifname === ifname)
  if (link?.bridge === undefined) return true
  const owners = plan.addresses.owners(router) ?? []
  // Linux answers ARP for each of its addresses on every interface (arp_ignore); IPv6 has no such thing.
  const { bridge, open } = link.bridge
  // The host does so where it has an address itself: elsewhere it takes the question for a forged one.
  const answers = router.family === 4 && bridge.addresses.some(({ prefix }) => prefix?.family !== 6)
  return (
    open ||
    bridge.partial ||
    owners.some(owner => (owner.kind !== 'local' && answers) || owner.link?.bridge === link.bridge) ||
    [...bridge.addresses, ...bridge.virtualAddresses].some(
      ({ prefix }) => prefix !== undefined && sameAddr(prefix, router)
    )
  )
}
