import type { AddressText, Bridge, Topology } from '../model/topology.ts'
import type { Family } from '../net/addr.ts'
import { contains, first, hasBroadcast, last, masked, type Prefix, usable } from '../net/prefix.ts'
import type { BridgePlan, Link, Placement, Subnet } from './plan.ts'

/** A bridge's plan while its members are still being counted. */
interface Draft {
  readonly bridge: Bridge
  readonly members: Link[]
  readonly subnets: (Subnet & { needed: bigint; readonly members: Link[] })[]
  readonly open: boolean
}

/** The bridges with their subnets, still without members. */
export const draftBridges = (topology: Topology): Map<string, Draft> =>
  new Map(
    topology.bridges.map(bridge => [
      bridge.name,
      {
        bridge,
        members: [],
        subnets: bridge.addresses.flatMap(address => {
          const { prefix } = address
          if (prefix === undefined || address.bare) return []
          return [
            {
              bridge,
              address,
              prefix: masked(prefix),
              usable: usable(prefix.family, prefix.bits),
              needed: 1n + BigInt(virtualIn(bridge, prefix)),
              members: []
            }
          ]
        }),
        open: bridge.interfaces.length > 0 || bridge.dhcp !== undefined
      }
    ])
  )

const virtualIn = (bridge: Bridge, prefix: Prefix): number =>
  bridge.virtualAddresses.filter(address => address.prefix !== undefined && contains(prefix, address.prefix)).length

/** Puts every link into its bridge, and counts who needs an address in which subnet. */
export const joinMembers = (bridges: ReadonlyMap<string, Draft>, links: readonly Link[]): ReadonlyMap<string, BridgePlan> => {
  for (const link of links) {
    const draft = link.bridgeName === undefined ? undefined : bridges.get(link.bridgeName)
    if (draft === undefined) continue
    draft.members.push(link)
    for (const address of link.addresses) {
      const home = draft.subnets.find(subnet => belongs(subnet, address, draft.subnets))
      if (home === undefined) continue
      home.needed += 1n
      home.members.push(link)
    }
  }
  return bridges
}

/** Which family an address that is not known yet will be of: that of its option. */
export const familyOf = (address: AddressText): Family =>
  address.prefix?.family ?? (String(address.at.at(-1)).endsWith('6') ? 6 : 4)

const belongs = (subnet: Subnet, address: AddressText, all: readonly Subnet[]): boolean => {
  if (subnet.prefix.family !== familyOf(address)) return false
  if (address.prefix !== undefined && contains(subnet.prefix, address.prefix)) return true
  // An address that lies in none of the subnets still needs one where the bridge has only one to give.
  return all.filter(({ prefix }) => prefix.family === subnet.prefix.family).length === 1
}

export const isTooSmall = ({ usable, needed, bridge }: Subnet): boolean => usable < needed && !bridge.vlanAware

/** What is to be said of an address on a bridge: the cause that explains the others comes first. */
export const placementOf = (plan: BridgePlan, address: AddressText): Placement => {
  const { prefix } = address
  if (prefix === undefined) return { kind: 'unknown' }
  const subnets = plan.subnets.filter(subnet => subnet.prefix.family === prefix.family)
  const around = subnets.find(subnet => contains(subnet.prefix, prefix))
  if (prefix.bits === (prefix.family === 4 ? 32 : 128)) return { kind: 'no-prefix', subnet: around ?? subnets[0] }
  if (plan.bridge.vlanAware || subnets.length === 0) return { kind: 'unknown' }
  const subnet = around ?? subnets[0]
  if (subnet === undefined) return { kind: 'unknown' }
  if (isTooSmall(subnet)) return { kind: 'subnet-too-small', subnet }
  const own = subnet.address.prefix
  if (around === undefined)
    return { kind: own !== undefined && contains(prefix, own) ? 'prefix-differs' : 'outside', subnet }
  if (hasBroadcast(prefix.family, subnet.prefix.bits)) {
    if (prefix.value === last(subnet.prefix).value) return { kind: 'broadcast', subnet }
    if (prefix.value === first(subnet.prefix).value) return { kind: 'network', subnet }
  }
  return prefix.bits === subnet.prefix.bits ? { kind: 'fits' } : { kind: 'prefix-differs', subnet }
}

/** Each address on a bridge of the topology, with what is to be said of it. */
export const placements = function* (
  links: readonly Link[]
): Generator<{ readonly link: Link; readonly bridge: BridgePlan; readonly address: AddressText; readonly placement: Placement }> {
  for (const link of links)
    if (link.bridge !== undefined)
      for (const address of link.addresses)
        yield { link, bridge: link.bridge, address, placement: placementOf(link.bridge, address) }
}
