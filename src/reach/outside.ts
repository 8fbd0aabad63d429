import type { Addr } from '../net/addr.ts'
import { contains, firstUsable, lastUsable, masked, type Prefix } from '../net/prefix.ts'
import { uplinks } from '../plan/egress.ts'
import { FAMILIES, type Plan } from '../plan/plan.ts'

// The world around the host, of which a topology says little: a router, a machine on the internet, one in the LAN. Their
// addresses are chosen here, once for the prediction and for the rehearsal.

/** What a machine of the internet has (RFC 5737, RFC 3849). */
export const INTERNET: readonly Addr[] = [
  { family: 4, value: 0xcb00710an },
  { family: 6, value: 0x20010db8ffff0000_0000000000000010n }
]

/** What the host has where DHCP or advertisements give it its addresses, and its router there. */
const GIVEN: readonly Prefix[] = [
  { family: 4, value: 0xc6336402n, bits: 24 },
  { family: 6, value: 0x20010db800010000_0000000000000002n, bits: 64 }
]

/** One family of the network that an interface of the host is in. */
export interface OutsideNetwork {
  /** The host's address there, with the network's length. */
  readonly host: Prefix
  /** The router, which is the host's default gateway where `leadsOut`. */
  readonly router: Addr
  /** The machine in the LAN. */
  readonly lan: Addr
}

/** A network outside that the host has a card in. */
export interface Outside {
  /** The card, or the bridge that has one. */
  readonly ifname: string
  /** Whether the internet is behind it. */
  readonly leadsOut: boolean
  readonly networks: readonly OutsideNetwork[]
}

/** The uplink first, then the bridges with cards. A host without any is alone with its containers. */
export const outsideOf = (plan: Plan): readonly Outside[] => {
  const { bridges } = plan
  const uplink = uplinkOf(plan)
  const found: Outside[] = uplink === undefined ? [] : [outside(plan, uplink, true)]
  for (const { bridge } of bridges.values())
    if (bridge.name !== uplink && bridge.interfaces.length > 0) found.push(outside(plan, bridge.name, false))
  return found
}

/** The interface to the internet: NAT's, that of the default gateway, one that asks for an address, or the first with one. */
export const uplinkOf = (plan: Plan): string | undefined => {
  const { host, nat } = plan.topology
  const external = nat?.enable === true ? nat.externalInterface : undefined
  const isKnown = (name: string): boolean => /^[^*+]+$/.test(name)
  if (external !== undefined && isKnown(external)) return external
  const [first] = uplinks(plan)
  return (
    first ?? host.configured.find(({ addresses }) => addresses.length > 0)?.name ?? host.configured[0]?.name
  )
}

const outside = (plan: Plan, ifname: string, leadsOut: boolean): Outside => {
  const { host } = plan.topology
  const bridge = plan.bridges.get(ifname)?.bridge
  const card = host.configured.find(({ name }) => name === ifname)
  const written = [...(bridge?.addresses ?? card?.addresses ?? [])].flatMap(({ prefix, bare }) =>
    prefix === undefined || bare || prefix.value === 0n ? [] : [prefix]
  )
  const asks = bridge?.dhcp !== undefined || card?.dhcp === true || written.length === 0
  return {
    ifname,
    leadsOut,
    networks: FAMILIES.flatMap((family): readonly OutsideNetwork[] => {
      if (family === 6 && (!host.enableIPv6 || host.internet6 === false)) return []
      const own =
        written.find(prefix => prefix.family === family) ??
        (asks ? GIVEN.find(given => given.family === family) : undefined)
      return own === undefined ? [] : [network(plan, own)]
    })
  }
}

const network = (plan: Plan, own: Prefix): OutsideNetwork => {
  const { host } = plan.topology
  const gateway = own.family === 4 ? host.defaultGateway : host.defaultGateway6
  const written = gateway?.address.prefix
  const taken = new Set([own.value])
  const next = (): Addr => {
    let { value } = firstUsable(masked(own))
    const end = lastUsable(masked(own)).value
    const isTaken = (): boolean =>
      taken.has(value) || plan.addresses.owners({ family: own.family, value }) !== undefined
    while (value < end && isTaken()) value += 1n
    taken.add(value)
    return { family: own.family, value }
  }
  const router = written !== undefined && contains(own, written) ? written : next()
  taken.add(router.value)
  return { host: own, router: { family: router.family, value: router.value }, lan: next() }
}
