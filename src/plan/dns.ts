import type { AddressText, Container, Host } from '../model/topology.ts'
import type { Addr } from '../net/addr.ts'
import { contains } from '../net/prefix.ts'
import { PrefixMap } from '../net/set.ts'
import { specialBlock } from '../net/special.ts'
import type { Path } from '../text/path.ts'
import { isOnLoopback } from './forwards.ts'
import { runsNetworkd } from './networkd.ts'
import type { BridgePlan, Link, Plan, Subnet } from './plan.ts'

/** Why the host's /etc/resolv.conf names nobody but the host itself. */
export interface LoopbackResolver {
  readonly at: Path
  /** resolvConf, resolved: the file says it. nameservers, networkd, listens: it follows, unless something else is set. */
  readonly source: 'resolvConf' | 'resolved' | 'nameservers' | 'networkd' | 'listens'
  /** What resolv.conf lists. */
  readonly servers: readonly string[]
}

const isLoopback = ({ prefix }: AddressText): boolean =>
  prefix !== undefined && specialBlock(prefix)?.name === 'loopback'

/**
 * What is known of the host's resolv.conf, if it lists loopback addresses only. With resolved it is a link to
 * stub-resolv.conf (nixpkgs, system/boot/resolved.nix), and networkd turns resolved on (system/boot/networkd.nix); the
 * modules of local resolvers write 127.0.0.1 (networking.resolvconf.useLocalResolver).
 */
export const loopbackResolver = (host: Host): LoopbackResolver | undefined => {
  const { at, resolvConf, resolved, nameservers, listens, partial } = host
  const names = (list: readonly AddressText[]): readonly string[] => list.map(({ text }) => text)
  if (resolvConf.length > 0)
    return resolvConf.every(isLoopback)
      ? { at: [...at, 'resolvConf'], source: 'resolvConf', servers: names(resolvConf) }
      : undefined
  if (resolved === true) return { at: [...at, 'resolved'], source: 'resolved', servers: [STUB] }
  if (partial) return undefined
  if (resolved === undefined && runsNetworkd(host) === true)
    return {
      at: host.manager === undefined ? [...at, 'networkd', 'enable'] : [...at, 'manager'],
      source: 'networkd',
      servers: [STUB]
    }
  if (nameservers.length > 0)
    return nameservers.every(isLoopback)
      ? { at: [...at, 'nameservers'], source: 'nameservers', servers: names(nameservers) }
      : undefined
  // Such a resolver often has an address on a bridge besides.
  const local = listens.find(listen => listen.port === 53 && isOnLoopback(listen))
  return local === undefined ? undefined : { at: local.at, source: 'listens', servers: ['127.0.0.1'] }
}

/** systemd-resolved's own address, `man systemd-resolved`. */
const STUB = '127.0.0.53'

/**
 * Whether a container asks whom the host asks, in a network of its own, and nothing in the file gives it another server:
 * DHCP, a VPN and a namespace made elsewhere may, and so may a program inside that answers on port 53.
 */
export const copiesResolver = (plan: Plan, container: Container): boolean => {
  const { partial, checkedByNix, copyResolvConf, useHostResolvConf, resolved } = container
  if (partial || !checkedByNix || !copyResolvConf || useHostResolvConf === false || resolved) return false
  // Those are ignored, which a rule of theirs tells.
  if (container.nameservers.length > 0 || container.internet === false) return false
  if (container.useNetworkd || container.networkManager || container.dhcp || container.vpn !== undefined)
    return false
  return (
    plan.linksOf.has(container) &&
    !container.inside.interfaces.some(({ dhcp }) => dhcp) &&
    !container.listens.some(({ port }) => port === 53)
  )
}

/** The nameservers of a container's own that it asks; without these settings a copy of the host's resolv.conf replaces them. */
export const ownNameservers = ({
  nameservers,
  copyResolvConf,
  useHostResolvConf,
  resolved
}: Container): readonly AddressText[] =>
  resolved || useHostResolvConf === false || !copyResolvConf ? nameservers : []

/** A nameserver that lies in a bridge's network of which everybody is known, and that nobody there has. */
export interface DeadNameserver {
  readonly server: AddressText
  readonly addr: Addr
  readonly subnet: Subnet
  readonly bridge: BridgePlan
}

/** Judges nameservers; undefined for one that somebody has, or of which nothing can be said. */
export const deadNameservers = (
  plan: Plan
): ((server: AddressText, links: readonly Link[]) => DeadNameserver | undefined) => {
  const subnets = new PrefixMap<{ readonly subnet: Subnet; readonly bridge: BridgePlan }>()
  for (const bridge of plan.bridges.values())
    for (const subnet of bridge.subnets)
      if (isClosed(bridge) && bridge.members.every(isKnown)) subnets.add(subnet.prefix, { subnet, bridge })
  return (server, links) => {
    const { prefix } = server
    if (prefix === undefined) return undefined
    const home = subnets.get(prefix)
    if (home === undefined) return undefined
    const elsewhere = links.some(
      link =>
        link.bridge !== home.bridge &&
        link.addresses.some(({ prefix: own }) => own !== undefined && contains(own, prefix))
    )
    if (elsewhere || plan.addresses.owners(prefix)?.some(({ enabled }) => enabled) === true) return undefined
    return { server, addr: prefix, ...home }
  }
}

/** Whether a bridge reaches nobody but the members that the file names. */
export const isClosed = ({ bridge, open }: BridgePlan): boolean =>
  !open && !bridge.partial && !bridge.vlanAware

/** Whether all addresses of a member are in the file, and there is nobody behind it. */
const isKnown = ({ node, addresses }: Link): boolean =>
  !node.partial &&
  addresses.length > 0 &&
  addresses.every(({ prefix }) => prefix !== undefined) &&
  !('dhcp' in node && (asks(node) || node.inside.bridges.length > 0))

/** Whether it gets addresses from somebody else. */
const asks = ({ dhcp, acceptRA, inside }: Container): boolean =>
  dhcp || acceptRA === true || inside.interfaces.some(({ dhcp }) => dhcp)
