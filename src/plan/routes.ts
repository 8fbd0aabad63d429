import type { AddressText, Container } from '../model/topology.ts'
import type { Addr } from '../net/addr.ts'
import { masked, type Prefix } from '../net/prefix.ts'
import type { Path } from '../text/path.ts'
import { defaultRoutes } from './gateways.ts'
import { FAMILIES, type Plan } from './plan.ts'

/** An entry of a main routing table. */
export interface RoutePlan {
  readonly destination: Prefix
  /** The next router; undefined for a destination on the link, or where DHCP or an advertisement names it. */
  readonly via: Addr | undefined
  /** The interface; undefined where the router's own route decides. */
  readonly ifname: string | undefined
  /** Who sets it: the kernel for an address, or the option. */
  readonly source:
    | 'address'
    | 'localAddress'
    | 'hostAddress'
    | 'defaultGateway'
    | 'route'
    | 'dhcp'
    | 'advertisement'
  readonly at: Path
}

const EVERYWHERE: Readonly<Record<4 | 6, Prefix>> = {
  4: { family: 4, value: 0n, bits: 0 },
  6: { family: 6, value: 0n, bits: 0 }
}

/** The route that the kernel adds for an address: to its network; in IPv6 also to a lone address. */
const connected = (address: AddressText, ifname: string): readonly RoutePlan[] => {
  const { prefix, at } = address
  if (prefix === undefined || (prefix.family === 4 && prefix.bits === 32)) return []
  return [{ destination: masked(prefix), via: undefined, ifname, source: 'address', at }]
}

/** A container's main table, as container-init and its own network services leave it. */
export const containerRoutes = (plan: Plan, container: Container): readonly RoutePlan[] => {
  const routes: RoutePlan[] = []
  for (const { addresses, ifname, veth } of plan.linksOf.get(container) ?? []) {
    for (const address of addresses) routes.push(...connected(address, ifname))
    for (const address of [veth?.hostAddress, veth?.hostAddress6])
      if (address?.prefix !== undefined)
        routes.push({
          destination: address.prefix,
          via: undefined,
          ifname,
          source: 'hostAddress',
          at: address.at
        })
  }
  for (const owner of [{ name: 'eth0', routes: container.routes }, ...container.inside.interfaces])
    for (const { at, destination, via, interface: ifname } of owner.routes)
      if (destination.prefix !== undefined && destination.prefix.bits > 0)
        routes.push({
          destination: masked(destination.prefix),
          via: via?.prefix,
          ifname: ifname ?? owner.name,
          source: 'route',
          at
        })
  for (const family of FAMILIES)
    for (const { source, at, via } of defaultRoutes(plan, container, family)) {
      const gateway = family === 4 ? container.defaultGateway : container.defaultGateway6
      const ifname = source === 'defaultGateway' ? gateway?.interface : undefined
      // NixOS makes a router with a named interface reachable first, wherever its address lies.
      if (ifname !== undefined && via?.prefix !== undefined)
        routes.push({ destination: via.prefix, via: undefined, ifname, source, at })
      // `ip` takes an IPv6 address in an option of IPv4 for what it is.
      routes.push({
        destination: EVERYWHERE[via?.prefix?.family ?? family],
        via: via?.prefix,
        ifname,
        source,
        at
      })
    }
  return routes
}

/** The host's main table, as far as the topology determines it. */
export const hostRoutes = (plan: Plan): readonly RoutePlan[] => {
  const routes: RoutePlan[] = []
  const { host } = plan.topology
  for (const { name, addresses } of host.configured)
    for (const address of addresses) routes.push(...connected(address, name))
  for (const { bridge } of plan.bridges.values())
    for (const address of bridge.addresses) routes.push(...connected(address, bridge.name))
  for (const { veth, hostIfname, hostAddresses } of plan.links) {
    if (veth === undefined || veth.hostBridge !== undefined) continue
    for (const address of hostAddresses) routes.push(...connected(address, hostIfname))
    for (const address of [veth.localAddress, veth.localAddress6])
      if (address?.prefix !== undefined)
        routes.push({
          destination: address.prefix,
          via: undefined,
          ifname: hostIfname,
          source: 'localAddress',
          at: address.at
        })
  }
  for (const gateway of [host.defaultGateway, host.defaultGateway6])
    if (gateway?.address.prefix !== undefined)
      routes.push({
        destination: EVERYWHERE[gateway.address.prefix.family],
        via: gateway.address.prefix,
        ifname: gateway.interface,
        source: 'defaultGateway',
        at: gateway.at
      })
  return routes
}
