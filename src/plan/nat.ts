import type { Nat, Topology } from '../model/topology.ts'
import type { Family } from '../net/addr.ts'
import { PrefixMap } from '../net/set.ts'
import type { NatPlan } from './plan.ts'

/** A set of interface names and patterns, asked in time that does not depend on how many there are. */
export const nameMatcher = (names: Iterable<string>, wildcard: '+' | '*'): ((name: string) => boolean) => {
  const exact = new Set<string>()
  const stems = new Set<string>()
  for (const name of names) {
    if (name.endsWith(wildcard)) stems.add(name.slice(0, -1))
    else exact.add(name)
  }
  return name => {
    if (exact.has(name)) return true
    if (stems.size === 0) return false
    for (let length = 0; length <= name.length; length += 1) if (stems.has(name.slice(0, length))) return true
    return false
  }
}

export const resolveNat = ({ nat, host }: Topology): NatPlan => {
  const { backend } = host.firewall
  const wildcard = backend === 'nftables' ? '*' : '+'
  const matches = nameMatcher(nat?.internalInterfaces.map(({ name }) => name) ?? [], wildcard)
  const sources = new PrefixMap<true>()
  for (const { prefix } of [...(nat?.internalIPs ?? []), ...(nat?.internalIPv6s ?? [])])
    if (prefix !== undefined) sources.add(prefix, true)
  const enabled = nat?.enable === true
  return {
    nat,
    enabled,
    backend,
    filters: host.firewall.enable,
    wildcard,
    matches,
    covers: (link, family) => {
      if (link.bridge?.bridge.masquerade[family] === true) return true
      if (!enabled || (family === 6 && !nat.enableIPv6)) return false
      // Packets of a bridged container enter the host's routing through the bridge, not through its port.
      if (matches(link.bridgeName ?? link.hostIfname)) return true
      return link.addresses.some(
        ({ prefix }) => prefix !== undefined && prefix.family === family && sources.get(prefix) !== undefined
      )
    }
  }
}

/**
 * What a rule that its backend refuses does to the host (nat-iptables.nix, nat-nftables.nix): the iptables rules are
 * part of firewall-start, which stops at the first failure and fills INPUT only after them.
 */
export const refusedRule = ({ backend, filters }: NatPlan): string =>
  backend === 'iptables' && !filters
    ? 'nixos-rebuild does not notice; at run time iptables refuses the rule, nat.service fails, and nothing is translated or forwarded'
    : backend === 'iptables'
      ? 'nixos-rebuild does not notice; at run time iptables refuses the rule, firewall-start stops there, before it has filled INPUT, and the host is left open: every port of it can be reached'
      : 'nftables refuses the whole ruleset: the build stops in its check, or nftables.service fails and the host has neither firewall nor NAT'

/** Which of NAT's lists stands in the file and could have covered that family. */
export const listFor = (nat: Nat, family: Family): 'internalInterfaces' | 'internalIPs' | 'internalIPv6s' =>
  nat.internalInterfaces.length > 0
    ? 'internalInterfaces'
    : nat.internalIPs.length === 0 || (family === 6 && nat.internalIPv6s.length > 0)
      ? 'internalIPv6s'
      : 'internalIPs'
