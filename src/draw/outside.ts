import { formatNetwork } from '../net/prefix.ts'
import { isGlobal } from '../net/special.ts'
import { uplinks } from '../plan/egress.ts'
import { hostName } from '../plan/links.ts'
import { type BridgePlan, FAMILIES, type Plan } from '../plan/plan.ts'
import { uplinkOf } from '../reach/outside.ts'
import { byName, compareTexts } from '../text/order.ts'

// What lies outside of the host, of which a topology says little: the internet behind the uplinks, and a LAN where a bridge has
// a card, where containers go past the host, or where an uplink has a private address.

export interface Surroundings {
  /** The host's cards to the internet: several where the file does not say which of them it is. */
  readonly cards: readonly string[]
  /** The bridges to the internet. */
  readonly bridges: ReadonlySet<BridgePlan>
  /** Whether packets leave by them with the host's address. */
  readonly masquerade: boolean
  /** Undefined where nothing leads to a LAN. */
  readonly lan:
    | {
        /** Its network, where the host's uplink is in it. */
        readonly network: string | undefined
        /** Whether the internet lies behind it: all that leads there leads to the LAN first then. */
        readonly leadsOut: boolean
        /** The host's other cards. */
        readonly others: readonly string[]
      }
    | undefined
}

/** `past` is whether somebody is in the LAN without the host. */
export const surroundings = (plan: Plan, past: boolean): Surroundings => {
  const { host, bridges } = plan.topology
  const names = uplinkNames(plan)
  const out = new Set(names.flatMap(name => plan.bridges.get(name) ?? []))
  const cards = names.filter(name => !plan.bridges.has(name))
  const isOpen = ({ interfaces }: BridgePlan['bridge']): boolean => interfaces.length > 0
  const ports = new Set(bridges.flatMap(({ interfaces }) => interfaces.map(({ name }) => name)))
  // What they stand on is plugged into the network outside.
  const macvlans = new Set(host.macvlans.map(({ name }) => name))
  const others = byName(host.configured)
    .filter(
      ({ name, addresses, dhcp }) =>
        !names.includes(name) && !ports.has(name) && !macvlans.has(name) && (dhcp || addresses.length > 0)
    )
    .map(({ name }) => name)
  const own = byName(host.configured.filter(({ name }) => cards.includes(name)))
    .flatMap(({ addresses }) => addresses)
    .find(({ prefix }) => prefix?.family === 4 && !isGlobal(prefix))
  const leadsOut = own !== undefined || [...out].some(({ bridge }) => isOpen(bridge))
  const hasLan = bridges.some(isOpen) || past || leadsOut || others.length > 0
  return {
    cards,
    bridges: out,
    masquerade: plan.links.some(
      link => link.kind !== 'moved' && FAMILIES.some(family => plan.nat.covers(link, family))
    ),
    lan: hasLan
      ? {
          network: own?.prefix === undefined || own.bare ? undefined : formatNetwork(own.prefix),
          leadsOut,
          others
        }
      : undefined
  }
}

/**
 * The one interface that prediction and rehearsal take for the uplink; and where they take the first of several only because
 * it is the first, all of those, since the order of a file means nothing.
 */
const uplinkNames = (plan: Plan): readonly string[] => {
  const { host, nat, having } = plan.topology
  const uplink = uplinkOf(plan)
  if (uplink === undefined) return []
  if (nat?.enable === true && nat.externalInterface !== undefined) return [uplink]
  const moved = new Set(
    having.interfaces.flatMap(({ interfaces }) => interfaces.map(({ name }) => hostName(name)))
  )
  const known = uplinks(plan)
  const addressed = host.configured.filter(({ addresses }) => addresses.length > 0).map(({ name }) => name)
  const same = [known, addressed, host.configured.map(({ name }) => name)].find(names =>
    names.includes(uplink)
  ) ?? [uplink]
  return same.filter(name => !moved.has(name)).sort(compareTexts)
}
