import type { Container, Firewall, Host, Nat, Topology } from '../model/topology.ts'
import type { Family } from '../net/addr.ts'
import { parsePrefix, type Prefix } from '../net/prefix.ts'
import { PrefixMap } from '../net/set.ts'
import type { Path } from '../text/path.ts'
import { ByName, wildcardOf } from './firewall.ts'
import { glob } from './networkd.ts'
import { FAMILIES, type Link, type NatPlan, type Plan } from './plan.ts'

/** A set of interface names and patterns, asked in time that does not depend on how many there are. */
export const nameMatcher = (names: Iterable<string>, wildcard: '+' | '*'): ((name: string) => boolean) => {
  const known = new ByName(
    Array.from(names, name => [name, true] as const),
    wildcard
  )
  return name => known.matching(name).length > 0
}

export const resolveNat = ({ nat, host }: Topology): NatPlan => {
  const { backend } = host.firewall
  const wildcard = wildcardOf(host.firewall)
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
        ({ prefix }) => prefix?.family === family && sources.get(prefix) !== undefined
      )
    }
  }
}

/**
 * What a rule that its backend refuses does to the host (nat-iptables.nix, nat-nftables.nix): the iptables rules are
 * part of firewall-start, which stops at the first failure and fills INPUT only after them.
 */
export const refusedRule = (
  { backend, filters }: Pick<NatPlan, 'backend' | 'filters'>,
  machine = 'the host'
): string =>
  backend === 'iptables' && !filters
    ? 'nixos-rebuild does not notice; at run time iptables refuses the rule, nat.service fails, and nothing is translated or forwarded'
    : backend === 'iptables'
      ? `nixos-rebuild does not notice; at run time iptables refuses the rule, firewall-start stops there, before it has filled INPUT, and ${machine} is left open: every port of it can be reached`
      : `nftables refuses the whole ruleset: the build stops in its check, or nftables.service fails and ${machine} has neither firewall nor NAT`

/** A NAT block, and the firewall that carries it out. */
export interface NatPlace {
  readonly nat: Nat
  readonly firewall: Firewall
  /** Whose it is, where it is not the host's. */
  readonly container: Container | undefined
}

/** The host's NAT, and those that containers have inside. */
export const natPlaces = ({ nat, host, having }: Topology): readonly NatPlace[] => [
  ...(nat === undefined ? [] : [{ nat, firewall: host.firewall, container: undefined }]),
  ...having.inside.flatMap(container =>
    container.enabled && container.inside.nat !== undefined
      ? [{ nat: container.inside.nat, firewall: container.firewall, container }]
      : []
  )
]

/**
 * What happens under a NAT block. Where it is off, nothing does yet; a block that is a part of what the configuration
 * says leaves open whether it is on.
 */
export const underNat = (nat: Nat, note: string): string =>
  nat.enable
    ? note
    : nat.partial && !nat.switched
      ? `where NAT is on: ${note}`
      : `NAT is off; once it is on: ${note}`

/** The same for what stands at a place of the file, under the firewall of the host or of a container. */
export const refusedAt = (at: Path, { backend, enable }: Firewall): string =>
  refusedRule({ backend, filters: enable }, at[0] === 'containers' ? 'the container' : 'the host')

/** Which of NAT's lists stands in the file and could have covered that family. */
export const listFor = (nat: Nat, family: Family): 'internalInterfaces' | 'internalIPs' | 'internalIPv6s' =>
  nat.internalInterfaces.length > 0
    ? 'internalInterfaces'
    : nat.internalIPs.length === 0 || (family === 6 && nat.internalIPv6s.length > 0)
      ? 'internalIPv6s'
      : 'internalIPs'

/**
 * Interfaces that the file does not name because a program makes them while the host runs: tunnels, modems, bridges of
 * other daemons.
 */
export const isMadeLater = (name: string): boolean =>
  /^(lo$|ppp|wwan|usb|rndis|dns\d|wg|tun|tap|utun|vpn|tailscale|ts\d|zt|nebula|mullvad|proton|nord|ipsec|xfrm|vti|gre|ip6?tnl|sit|he-|l2tp|vxlan|geneve|wlp?\d.*ap|docker|br-[0-9a-f]{12}$|veth|virbr|vnet|lxc|lxd|incus|podman|cni|flannel|cali|cilium|kube|vz-|ifb|dummy|vmnet|vboxnet|microvm|vm-)/.test(
    name
  )

/** Whether an interface of that name exists on the host as far as the file tells, or may be made by something in it. */
export const knownInterface = (plan: Plan): ((name: string) => boolean) => {
  const known = plan.hostInterfaces()
  const units = new Set<string>()
  const globs: string[] = []
  const { networkd, bonds, vlans, macvlans } = plan.topology.host
  for (const { interfaces } of [...plan.topology.bridges, ...bonds])
    for (const { name } of interfaces) units.add(name)
  for (const { interface: parent } of [...vlans, ...macvlans]) units.add(parent.name)
  for (const { name } of networkd?.netdevs ?? []) if (name !== undefined) units.add(name.text)
  for (const { names } of networkd?.networks ?? [])
    for (const { name } of names)
      if (/[*?[]/.test(name)) globs.push(name)
      else units.add(name)
  return name =>
    known.has(name) || units.has(name) || isMadeLater(name) || globs.some(pattern => glob(pattern, name))
}

/** In a rule for one destination it is not the way to the internet. */
const TO_ONE = /[^!]\s(?:-d|--dst|--destination|daddr)\s(?!\s*!=)/

const TRANSLATES: Readonly<Record<Family, RegExp>> = {
  4: /\bip(?:46)?tables\b.*\b(?:MASQUERADE|SNAT)\b|\b(?:ip|inet)\s.*\b(?:masquerade|snat)\b/,
  6: /\bip(?:46|6)tables\b.*\b(?:MASQUERADE|SNAT)\b|\b(?:ip6|inet)\s.*\b(?:masquerade|snat)\b/
}

/** The sources that the firewall's own commands translate in a family; what else these ask for is not looked at. */
export const translatedByHand = ({ firewall }: Host, family: Family): readonly Prefix[] =>
  (firewall.extraCommands ?? '')
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter(line => !/^\s*#/.test(line) && TRANSLATES[family].test(line) && !TO_ONE.test(line))
    .flatMap(line => {
      const source = parsePrefix(/[^!]\s(?:-s|--source|--src|saddr)\s+(\S+)/.exec(line)?.[1] ?? '')
      if (!('value' in source)) return [{ family, value: 0n, bits: 0 }]
      return source.value.family === family ? [source.value] : []
    })

/** Whether the firewall's own commands translate what a link sends in a family. */
export const translatesByHand = (host: Host): ((link: Link, family: Family) => boolean) => {
  const sources = new PrefixMap<true>()
  for (const family of FAMILIES)
    for (const prefix of translatedByHand(host, family)) sources.add(prefix, true)
  return ({ addresses }, family) =>
    addresses.some(({ prefix }) => prefix?.family === family && sources.get(prefix) !== undefined)
}

/**
 * internalInterfaces in the order of the file, each once; a pattern as the names that it stands for, where the file has
 * any of them and is the whole host.
 */
export const internalNames = (plan: Plan): readonly string[] => {
  const { nat, wildcard } = plan.nat
  if (nat === undefined) return []
  const isWhole = !plan.topology.host.partial && !nat.partial
  let known: readonly string[] | undefined
  const names = nat.internalInterfaces.flatMap(({ name }) => {
    if (!name.endsWith(wildcard) || name === wildcard || !isWhole) return [name]
    const stem = name.slice(0, -1)
    const meant = (known ??= entrances(plan)).filter(other => other.startsWith(stem))
    return meant.length === 0 ? [name] : meant
  })
  return [...new Set(names)]
}

/** The names of all interfaces of the host that packets come in by: of a bridge's ports, that is the bridge. */
const entrances = ({ links, hostInterfaces }: Plan): readonly string[] => {
  const ports = new Set<string>()
  for (const { bridgeName, hostIfname } of links) if (bridgeName !== undefined) ports.add(hostIfname)
  return [...hostInterfaces().keys()].filter(name => !ports.has(name)).sort()
}
