import type { AddressText, Bridge, Topology } from '../model/topology.ts'
import { type Family, width } from '../net/addr.ts'
import { contains, hasBroadcast, last, masked, type Prefix, usable } from '../net/prefix.ts'
import type { Path } from '../text/path.ts'
import { glob, writtenNetworks } from './networkd.ts'
import type { BridgePlan, Link, MisplacedAddress, Placement, Subnet } from './plan.ts'

/** A bridge's plan while its members are still being counted. */
interface Draft {
  readonly bridge: Bridge
  readonly members: Link[]
  readonly subnets: (Subnet & { needed: bigint; readonly members: Link[] })[]
  readonly open: boolean
}

/**
 * The bridges that reach machines which the topology does not describe: they have a port to outside, or ask for an address
 * there. A unit may name the port by a pattern or by what it is, and then `interfaces` does not have it.
 */
export const openBridges = (topology: Topology): ReadonlySet<string> => {
  const { host, bridges, vms, having } = topology
  const open = new Set(
    bridges.flatMap(({ name, interfaces, dhcp }) =>
      interfaces.length > 0 || dhcp !== undefined ? [name] : []
    )
  )
  const units = writtenNetworks(host).filter(({ bridge }) => bridge.length > 0)
  if (units.length === 0) return open
  const ends = [
    ...vms.flatMap(({ interfaces }) => interfaces.map(({ name }) => name)),
    ...having.extraVeths.flatMap(({ extraVeths }) => extraVeths.map(({ ifname }) => ifname))
  ]
  const isOwn = (pattern: string): boolean => /^v[bet]-/.test(pattern) || ends.some(end => glob(pattern, end))
  for (const { names, bridge } of units)
    if (names.length === 0 || !names.every(({ name }) => isOwn(name)))
      for (const { name } of bridge) open.add(name)
  return open
}

/** The bridges with their subnets, still without members. */
export const draftBridges = (topology: Topology): Map<string, Draft> => {
  const open = openBridges(topology)
  return new Map(
    topology.bridges.map(bridge => [
      bridge.name,
      {
        bridge,
        members: [],
        subnets: bridge.addresses.flatMap(address => {
          const { prefix } = address
          // networkd chooses a network itself for a null address, so it is not known.
          if (prefix === undefined || address.bare || prefix.value === 0n) return []
          return [
            {
              bridge,
              address,
              prefix: masked(prefix),
              last: last(prefix),
              usable: usable(prefix.family, prefix.bits),
              needed: 1n + BigInt(virtualIn(bridge, prefix)),
              members: []
            }
          ]
        }),
        open: open.has(bridge.name)
      }
    ])
  )
}

const virtualIn = (bridge: Bridge, prefix: Prefix): number =>
  bridge.virtualAddresses.filter(address => address.prefix !== undefined && contains(prefix, address.prefix))
    .length

/** Puts every link into its bridge, and counts who needs an address in which subnet. */
export const joinMembers = (
  bridges: ReadonlyMap<string, Draft>,
  links: readonly Link[]
): ReadonlyMap<string, BridgePlan> => {
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
  address.prefix?.family ?? (isOf6(address.at) ? 6 : 4)

/** Whether an option is for IPv6: localAddress6 and the like, and the address of a defaultGateway6. */
const isOf6 = (at: Path): boolean =>
  String(at.at(-1)).endsWith('Address6') || at.slice(-2).includes('defaultGateway6')

const belongs = (subnet: Subnet, address: AddressText, all: readonly Subnet[]): boolean => {
  if (subnet.prefix.family !== familyOf(address)) return false
  if (address.prefix !== undefined && contains(subnet.prefix, address.prefix)) return true
  // An address that lies in none of the subnets still needs one where the bridge has only one to give.
  return all.every(other => other === subnet || other.prefix.family !== subnet.prefix.family)
}

export const isTooSmall = ({ usable, needed, bridge }: Subnet): boolean =>
  usable < needed && !bridge.vlanAware

/** What is to be said of an address on a bridge: the cause that explains the others comes first. */
const placementOf = (plan: BridgePlan, { prefix }: AddressText): Placement => {
  if (prefix === undefined) return UNKNOWN
  let around: Subnet | undefined
  let any: Subnet | undefined
  for (const subnet of plan.subnets) {
    if (subnet.prefix.family !== prefix.family) continue
    any ??= subnet
    if (contains(subnet.prefix, prefix)) {
      around = subnet
      break
    }
  }
  if (prefix.bits === width(prefix.family)) return { kind: 'no-prefix', subnet: around ?? any }
  const subnet = around ?? any
  if (subnet === undefined || plan.bridge.vlanAware) return UNKNOWN
  if (isTooSmall(subnet)) return { kind: 'subnet-too-small', subnet }
  if (around === undefined)
    return { kind: contains(prefix, subnet.prefix) ? 'prefix-differs' : 'outside', subnet }
  if (hasBroadcast(prefix.family, subnet.prefix.bits)) {
    if (prefix.value === subnet.last.value) return { kind: 'broadcast', subnet }
    if (prefix.value === subnet.prefix.value) return { kind: 'network', subnet }
  }
  return prefix.bits === subnet.prefix.bits ? FITS : { kind: 'prefix-differs', subnet }
}

const UNKNOWN: Placement = { kind: 'unknown' }
const FITS: Placement = { kind: 'fits' }

/** The addresses on bridges that do not fit, each with what is to be said of it. */
export const resolvePlacements = (links: readonly Link[]): ReadonlyMap<AddressText, MisplacedAddress> => {
  const misplaced = new Map<AddressText, MisplacedAddress>()
  for (const link of links) {
    const { bridge } = link
    if (bridge === undefined) continue
    for (const address of link.addresses) {
      const placement = placementOf(bridge, address)
      if (placement.kind !== 'fits') misplaced.set(address, { link, bridge, address, placement })
    }
  }
  return misplaced
}
