import type { AddressText, Interface } from '../model/topology.ts'
import type { Addr } from '../net/addr.ts'
import { formatPrefix, masked, type Prefix } from '../net/prefix.ts'
import { PrefixMap } from '../net/set.ts'
import { realParent } from './links.ts'
import type { BridgePlan, Plan } from './plan.ts'

/** A network in which the host has an address, by an interface or a bridge. */
export interface HostNetwork {
  readonly ifname: string
  readonly address: AddressText
  readonly prefix: Prefix
  /** One of the two. */
  readonly interface: Interface | undefined
  readonly bridge: BridgePlan | undefined
}

/**
 * Finds the host's own network around an address: the narrowest, by which the kernel would send to it. Undefined where
 * there is none, and where two interfaces have that network and only the order of their start decides: of a macvlan and
 * what it stands on that is there first.
 */
export const hostNetworks = ({ topology, bridges }: Plan): ((addr: Addr) => HostNetwork | undefined) => {
  const networks = new PrefixMap<HostNetwork>()
  const ifnames = new Map<string, string>()
  const twice = new Set<string>()
  const add = (network: Omit<HostNetwork, 'address' | 'prefix'>, addresses: readonly AddressText[]): void => {
    for (const address of addresses) {
      if (address.prefix === undefined || address.bare) continue
      const prefix = masked(address.prefix)
      const key = formatPrefix(prefix)
      const other = ifnames.get(key)
      const { ifname } = network
      if (other !== undefined && other !== ifname && other === realParent(topology, ifname)) continue
      if (other === undefined) ifnames.set(key, network.ifname)
      else if (other !== network.ifname) twice.add(key)
      networks.add(prefix, { ...network, address, prefix })
    }
  }
  const macvlans = new Set(topology.host.macvlans.map(({ name }) => name))
  const own = (entry: Interface): void =>
    add({ ifname: entry.name, interface: entry, bridge: undefined }, entry.addresses)
  for (const entry of topology.host.configured) if (!macvlans.has(entry.name)) own(entry)
  for (const bridge of bridges.values())
    add({ ifname: bridge.bridge.name, interface: undefined, bridge }, bridge.bridge.addresses)
  for (const entry of topology.host.configured) if (macvlans.has(entry.name)) own(entry)
  return addr => {
    const found = networks.get(addr)
    return found === undefined || twice.has(formatPrefix(found.prefix)) ? undefined : found
  }
}
