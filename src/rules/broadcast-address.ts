import { offer, replaced } from '../findings/mend.ts'
import type { AddressText } from '../model/topology.ts'
import { formatAddr } from '../net/addr.ts'
import {
  firstUsable,
  formatPrefix,
  hasBroadcast,
  last,
  lastUsable,
  masked,
  type Prefix
} from '../net/prefix.ts'
import type { FreeAddress } from '../plan/addresses.ts'
import type { BridgePlan, Link, Plan, Subnet } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** A13 */
export const broadcastAddress: Rule = {
  id: 'broadcast-address',
  group: 'addresses',
  severity: 'error',
  summary: "An interface has its network's broadcast address, the highest one.",
  *check(plan, freeIn) {
    const advice = adviser(freeIn)
    for (const user of users(plan)) {
      const { address, prefix, network, owner, home, link } = user
      if (!hasBroadcast(network.family, network.bits) || prefix.value !== last(network).value) continue
      const { help, free } = advice(user)
      yield {
        message: `${address.text} of ${owner} is the broadcast address of ${formatPrefix(network)}`,
        labels: [
          { at: address.at, text: `hosts end at ${formatAddr(lastUsable(network))}` },
          ...(home === undefined
            ? []
            : [{ at: home.address.at, text: `the network of "${home.bridge.name}"` }])
        ],
        note:
          link === undefined
            ? 'Linux sets it without a word; but nobody can use it as a router ("Nexthop has invalid gateway") or get an answer from it'
            : `the ${link.kind === 'tap' ? 'machine' : 'container'} starts, but everyone else takes its address for the broadcast: connections to it end with "Network is unreachable", and nobody answers when it looks for its router or a neighbour, so it has no way out`,
        help,
        ...offer(replaced(address.at, free))
      }
    }
  }
}

/** An address in use on an interface, and the network that its neighbours take it to be in. */
export interface AddressUser {
  readonly address: AddressText
  readonly prefix: Prefix
  readonly network: Prefix
  readonly owner: string
  /** Whose address it is: a bridge's own, or that of somebody on a link. */
  readonly bridge?: BridgePlan
  readonly link?: Link
  /** The bridge's subnet that the address is in, when it is known. */
  readonly home?: Subnet
}

/**
 * Every address that may be the lowest or the highest of its network. One that fits its bridge is none in IPv4, and one
 * that does not fit otherwise is told by the rule of that fault.
 */
export const users = function* ({ bridges, links, misplaced, topology }: Plan): Generator<AddressUser> {
  for (const { name, addresses } of topology.host.configured)
    yield* own(addresses, `host interface "${name}"`)
  for (const bridge of bridges.values())
    yield* own(bridge.bridge.addresses, `bridge "${bridge.bridge.name}"`, bridge)
  for (const { link, address, placement } of misplaced.values())
    for (const user of own([address], ownerOf(link)))
      if (placement.kind === 'network' || placement.kind === 'broadcast')
        yield { ...user, link, home: placement.subnet, network: placement.subnet.prefix }
      else if (placement.kind === 'unknown') yield { ...user, link }
  for (const link of links)
    if (link.bridge === undefined && (link.veth === undefined || link.bridgeName !== undefined))
      for (const user of own(link.addresses, ownerOf(link))) yield { ...user, link }
}

export const ownerOf = ({ kind, node }: Link): string =>
  `${kind === 'tap' ? 'machine' : 'container'} "${node.name}"`

const own = function* (
  addresses: readonly AddressText[],
  owner: string,
  bridge?: BridgePlan
): Generator<AddressUser> {
  for (const address of addresses) {
    const { prefix } = address
    if (prefix !== undefined && prefix.value !== 0n)
      yield { address, prefix, network: masked(prefix), owner, ...(bridge === undefined ? {} : { bridge }) }
  }
}

interface Advice {
  readonly help: string
  readonly free?: string
}

/** What to write instead: the next address of the network that nobody has, where the file says who has one. */
export const adviser = (freeIn: FreeAddress): ((user: AddressUser) => Advice) => {
  return ({ address, network, home, bridge, link }) => {
    const name = (home ?? bridge)?.bridge.name
    // Who else has an address out there is not in the file.
    if (name === undefined || (bridge ?? link?.bridge)?.open === true)
      return {
        help: `choose one from ${formatAddr(firstUsable(network))} to ${formatAddr(lastUsable(network))} that nobody has`
      }
    const free = freeIn(network, address)
    if (free === undefined)
      return { help: `no address of ${formatPrefix(network)} is free; give "${name}" a larger network` }
    const text = `${formatAddr(free)}/${network.bits}`
    return { help: `write ${text}, which is free`, free: text }
  }
}
