import type { AddressText, Container, Gateway, Route } from '../model/topology.ts'
import type { Addr, Family } from '../net/addr.ts'
import { masked, type Prefix } from '../net/prefix.ts'
import type { Path } from '../text/path.ts'
import type { Plan } from './plan.ts'

/** An entry of a main routing table. */
export interface RoutePlan {
  readonly destination: Prefix
  /** The next router; undefined for a destination on the link. */
  readonly via: Addr | undefined
  /** The interface; undefined where the router's own route decides. */
  readonly ifname: string | undefined
  /** Who sets it: the kernel for an address, `ip route replace` for a default gateway, `ip route add` for all else. */
  readonly source: 'address' | 'defaultGateway' | 'route'
  readonly at: Path
}

const EVERYWHERE: Readonly<Record<Family, Prefix>> = {
  4: { family: 4, value: 0n, bits: 0 },
  6: { family: 6, value: 0n, bits: 0 }
}

/** The route that the kernel adds for an address: to its network; in IPv6 also to a lone address. */
const connected = ({ prefix, at }: AddressText, ifname: string): readonly RoutePlan[] =>
  prefix === undefined || (prefix.family === 4 && prefix.bits === 32)
    ? []
    : [{ destination: masked(prefix), via: undefined, ifname, source: 'address', at }]

/** The route to the other end of a pair, and behind it to everybody where that is the way out. */
const toEnd = (end: AddressText | undefined, ifname: string, isWayOut: boolean): readonly RoutePlan[] => {
  if (end?.prefix === undefined) return []
  const { prefix, at } = end
  const entry = { ifname, source: 'route', at } as const
  return [
    { ...entry, destination: prefix, via: undefined },
    ...(isWayOut ? [{ ...entry, destination: EVERYWHERE[prefix.family], via: prefix }] : [])
  ]
}

/** Those of network-setup: a router with a named interface is made reachable first, wherever its address lies. */
const toGateway = (gateway: Gateway | undefined): readonly RoutePlan[] => {
  if (gateway?.address.prefix === undefined) return []
  const { prefix: via } = gateway.address
  const { interface: ifname, at } = gateway
  const entry = { ifname, source: 'defaultGateway', at } as const
  return [
    ...(ifname === undefined ? [] : [{ ...entry, destination: via, via: undefined }]),
    // `ip` takes an IPv6 address in an option of IPv4 for what it is.
    { ...entry, destination: EVERYWHERE[via.family], via }
  ]
}

/** The routes that are written for an interface. */
export const writtenRoutes = (routes: readonly Route[], name: string): readonly RoutePlan[] =>
  routes.flatMap(({ at, destination: { prefix }, via, interface: ifname = name }) =>
    prefix === undefined || (via !== undefined && via.prefix === undefined)
      ? []
      : [{ destination: masked(prefix), via: via?.prefix, ifname, source: 'route', at }]
  )

/** The routes that a container's own configuration has. */
export const ownRoutes = ({ routes, inside }: Container): readonly RoutePlan[] => [
  ...writtenRoutes(routes, 'eth0'),
  ...inside.interfaces.flatMap(({ name, routes }) => writtenRoutes(routes, name))
]

/**
 * A container's main table, as container-init and its own network services leave it, in their order. What DHCP or an
 * advertisement brings is not known.
 */
export const containerRoutes = (plan: Plan, container: Container): readonly RoutePlan[] => [
  ...(plan.linksOf.get(container) ?? []).flatMap(({ addresses, ifname, veth }) => [
    ...addresses.flatMap(address => connected(address, ifname)),
    ...[veth?.hostAddress, veth?.hostAddress6].flatMap(end => toEnd(end, ifname, veth?.extra === false))
  ]),
  ...ownRoutes(container),
  ...[container.defaultGateway, container.defaultGateway6].flatMap(toGateway)
]

/** What the host's main table has beside the networks of its own addresses and the routes of its interfaces. */
export const hostRoutes = ({ topology: { host }, pairs }: Plan): readonly RoutePlan[] => [
  ...pairs.flatMap(({ veth: { localAddress, localAddress6 }, hostIfname }) =>
    [localAddress, localAddress6].flatMap(end => toEnd(end, hostIfname, false))
  ),
  ...[host.defaultGateway, host.defaultGateway6].flatMap(toGateway)
]
