import { offer, replaced } from '../findings/mend.ts'
import type { AddressText } from '../model/topology.ts'
import { type Addr, formatAddr, sameAddr, width } from '../net/addr.ts'
import type { BridgePlan, Link, Plan } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** A5, E7 */
export const missingPrefixLength: Rule = {
  id: 'missing-prefix-length',
  group: 'addresses',
  severity: 'error',
  summary: 'An address on a bridge has no prefix length.',
  *check(plan) {
    for (const { address, owner, bridge } of ownAddresses(plan)) {
      const { at, text, prefix, bare } = address
      if (!bare || prefix === undefined) continue
      const bits = bridge === undefined ? undefined : bitsOfMembers(bridge, prefix)
      yield {
        message: `address ${text} of ${owner} has no prefix length`,
        labels: [{ at, text: 'how large is this network?' }],
        note: guess(plan, prefix, bridge !== undefined),
        help:
          bits === undefined
            ? `write it out, for example ${text}/${usual(prefix)}`
            : `write ${text}/${bits}, as the containers on it have`,
        ...offer(replaced(at, bits === undefined ? undefined : `${text}/${bits}`)),
        // A single address with a router that is given as on the link is a network that works.
        ...(bridge === undefined && at[1] === 'networkd' && plan.releases.barePrefix === 'single'
          ? { severity: 'warning' as const }
          : {})
      }
    }
    for (const { link, bridge, address, placement } of plan.misplaced.values()) {
      if (placement.kind !== 'no-prefix' || address.prefix === undefined) continue
      const { name } = bridge.bridge
      const machine = link.kind === 'tap'
      const inside = machine ? 'the machine' : link.ifname
      const bits = placement.subnet?.prefix.bits
      const lone = `/${width(address.prefix.family)}`
      const router = routerOf(link, bridge, address.prefix)
      const refusal = address.prefix.family === 4 ? 'Nexthop has invalid gateway' : 'No route to host'
      yield {
        message: `${machine ? 'address' : address.at.at(-1)} ${address.text} of ${machine ? 'machine' : 'container'} "${link.node.name}" on bridge "${name}" ${address.bare ? 'has no prefix length' : `is a single address (${lone})`}`,
        labels: [
          {
            at: address.at,
            text: bits === undefined ? 'the prefix length of the network is missing' : `/${bits} is missing`
          },
          ...(placement.subnet === undefined
            ? []
            : [{ at: placement.subnet.address.at, text: `"${name}" has ${placement.subnet.address.text}` }])
        ],
        note:
          router !== undefined
            ? `${inside} gets a ${lone}; NixOS adds a route to ${router.text}, so host and internet are reached; neighbours on "${name}" only through there, while it forwards packets`
            : `${inside} gets a ${lone}, so nothing on "${name}" is on its link: a gateway is refused ("${refusal}"), and neither the host nor a neighbour gets an answer from it`,
        help: `write ${formatAddr(address.prefix)}/${bits ?? usual(address.prefix)}${bits === undefined ? `, with the prefix length of the network on "${name}"` : ''}`,
        // A full length that is written out may be meant.
        ...offer(
          replaced(
            address.at,
            address.bare && bits !== undefined ? `${formatAddr(address.prefix)}/${bits}` : undefined
          )
        ),
        ...severity(plan, link, address, router)
      }
    }
  }
}

/** What systemd-networkd makes of it; it also writes a line into its log. */
const guess = ({ releases: { barePrefix, release } }: Plan, { family }: Addr, bridged: boolean): string =>
  barePrefix === 'single'
    ? `systemd-networkd takes /${width(family)} (${release}; up to systemd 252 it took ${family === 4 ? 'the old address class' : '/0'}), so ${bridged ? 'the host reaches none of the containers on it' : 'no other machine is on its link'}`
    : family === 4
      ? `systemd-networkd guesses it from the old address classes (${release}): 192.168.x gives /24, 172.16.x gives /16, 10.x gives /8; from 253 on it takes /32`
      : `systemd-networkd takes /0 (${release}), which makes the whole IPv6 internet local; from 253 on it takes /128`

/** A full length that is written out is how routed addresses are given, so it may be meant; hostAddress makes up for most. */
const severity = (
  plan: Plan,
  { veth }: Link,
  { bare }: AddressText,
  router: AddressText | undefined
): { readonly severity?: 'warning' | 'hint' } => {
  if (router === undefined) return {}
  if (!bare) return { severity: 'hint' }
  if (router !== veth?.hostAddress && router !== veth?.hostAddress6) return {}
  return { severity: passesOn(plan, router) ? 'hint' : 'warning' }
}

/** Whether NAT has the host forward, so that neighbours reach each other through it as well. */
const passesOn = ({ nat: { nat, enabled }, topology: { host } }: Plan, { prefix }: AddressText): boolean =>
  enabled && (prefix?.family === 4 || nat?.enableIPv6 === true) && host.firewall.filterForward === undefined

const usual = ({ family }: Addr): number => (family === 4 ? 24 : 64)

interface Own {
  readonly address: AddressText
  readonly owner: string
  readonly bridge?: BridgePlan
}

const ownAddresses = function* ({ bridges, topology }: Plan): Generator<Own> {
  for (const bridge of bridges.values())
    for (const address of bridge.bridge.addresses)
      yield { address, owner: `bridge "${bridge.bridge.name}"`, bridge }
  for (const { name, addresses } of topology.host.configured)
    for (const address of addresses) yield { address, owner: `host interface "${name}"` }
}

/** The prefix length that the first member with one of that family has. */
const bitsOfMembers = ({ members }: BridgePlan, { family }: Addr): number | undefined => {
  for (const { addresses } of members)
    for (const { prefix } of addresses)
      if (prefix?.family === family && prefix.bits < width(family)) return prefix.bits
  return undefined
}

/**
 * The router that NixOS gives a route of its own, so that it is found whatever the prefix length is: hostAddress
 * (container-init), or a default gateway with its interface. Whether it can be one is for the rules of gateways.
 */
const routerOf = (
  { veth, node, ifname }: Link,
  { open, subnets }: BridgePlan,
  { family }: Addr
): AddressText | undefined => {
  const host = family === 4 ? veth?.hostAddress : veth?.hostAddress6
  const own = subnets.flatMap(({ address: { prefix } }) => (prefix?.family === family ? [prefix] : []))
  const router = host?.prefix
  if (router !== undefined && (open || own.length === 0 || own.some(addr => sameAddr(addr, router))))
    return host
  const gateway = family === 4 ? node.defaultGateway : node.defaultGateway6
  return gateway?.interface === ifname ? gateway.address : undefined
}
