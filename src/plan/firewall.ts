import type { Container, Firewall, PortRange, Protocol } from '../model/topology.ts'
import { type Addr, sameAddr } from '../net/addr.ts'
import { defaultRoutes } from './gateways.ts'
import type { Link, Plan } from './plan.ts'

/** What a firewall lets into its own machine, by the interface that a packet comes in by. */
export interface InputFilter {
  /** Whether everything is let in. */
  trusts(ifname: string): boolean
  /** Whether all of these ports are open. */
  opens(ifname: string, protocol: Protocol, ports: PortRange): boolean
}

/** The character that ends a name pattern: iptables(8) `-i`, nft(8) wildcards. */
export const wildcardOf = ({ backend }: Pick<Firewall, 'backend'>): '+' | '*' =>
  backend === 'nftables' ? '*' : '+'

/** What is found by a name that may be one of a set of names and patterns, the patterns of fewest letters first. */
export class ByName<T> {
  readonly #exact = new Map<string, T>()
  readonly #stems = new Map<string, T>()

  constructor(entries: Iterable<readonly [name: string, item: T]>, wildcard: '+' | '*') {
    for (const [name, item] of entries)
      if (name.endsWith(wildcard)) this.#stems.set(name.slice(0, -1), item)
      else this.#exact.set(name, item)
  }

  matching(name: string): readonly T[] {
    const found: T[] = []
    if (this.#stems.size > 0)
      for (let length = 0; length <= name.length; length += 1) {
        const item = this.#stems.get(name.slice(0, length))
        if (item !== undefined) found.push(item)
      }
    const item = this.#exact.get(name)
    if (item !== undefined) found.push(item)
    return found
  }
}

/** The rules of firewall-iptables.nix and firewall-nftables.nix, which are the same for IPv4 and IPv6. */
export const inputFilter = (firewall: Firewall): InputFilter => {
  const wildcard = wildcardOf(firewall)
  const { open, interfaces, trustedInterfaces } = firewall
  const trusted = new ByName(
    trustedInterfaces.map(({ name }) => [name, true] as const),
    wildcard
  )
  const own = new ByName(
    interfaces.map(entry => [entry.name, entry] as const),
    wildcard
  )
  const merges = new Map<string, readonly PortRange[]>()
  return {
    trusts: ifname => trusted.matching(ifname).length > 0,
    opens: (ifname, protocol, ports) => {
      const entries = own.matching(ifname)
      const key = [protocol, ...entries.map(({ name }) => name)].join(' ')
      let ranges = merges.get(key)
      if (ranges === undefined) {
        ranges = mergedPorts([...open[protocol], ...entries.flatMap(({ open }) => open[protocol])])
        merges.set(key, ranges)
      }
      return coversPorts(ranges, ports)
    }
  }
}

/** Ports as ranges that neither meet nor touch, in order. */
const mergedPorts = (ports: readonly PortRange[]): readonly PortRange[] => {
  const ranges: { readonly from: number; to: number }[] = []
  for (const { from, to } of [...ports].sort((a, b) => a.from - b.from)) {
    const last = ranges.at(-1)
    if (last !== undefined && from <= last.to + 1) last.to = Math.max(last.to, to)
    else ranges.push({ from, to })
  }
  return ranges
}

/** Whether one of the ranges holds all of the ports; looked up by halves, since there may be many of both. */
const coversPorts = (ranges: readonly PortRange[], { from, to }: PortRange): boolean => {
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((ranges[middle]?.from ?? 0) <= from) low = middle + 1
    else high = middle
  }
  return to <= (ranges[low - 1]?.to ?? 0)
}

/**
 * Whether the firewall has rules of its own that may let more in than its options say. What is appended to the nat table
 * lets nothing in; each backend takes the rules of its own option alone.
 */
export const hasOwnRules = ({ backend, extraCommands = '', extraInputRules = '' }: Firewall): boolean =>
  (backend === 'nftables' ? extraInputRules : extraCommands)
    .split('\n')
    .some(line => /^\s*[^\s#]/.test(line) && !/\s(-t\s*|--table[ =])nat\s/.test(line))

/** The host's interface that packets of a link come in by: of a bridged one the bridge, not its port. */
export const entranceOf = ({ bridgeName, hostIfname }: Link): string => bridgeName ?? hostIfname

/** The link by which a container reaches an address of the host; undefined where it is not known. */
export const wayToHost = (plan: Plan, container: Container, addr: Addr): Link | undefined => {
  const links = plan.linksOf.get(container) ?? []
  const direct = links.find(({ veth, bridge }) =>
    [veth?.hostAddress, veth?.hostAddress6, ...(bridge?.bridge.addresses ?? [])].some(
      address => address?.prefix !== undefined && sameAddr(address.prefix, addr)
    )
  )
  if (direct !== undefined) return direct
  const [link] = links
  if (links.length !== 1 || link?.veth === undefined || container.vpn?.defaultRoute === true) return undefined
  const byHost = defaultRoutes(plan, container, addr.family).some(
    ({ via }) =>
      via !== undefined &&
      (link.bridgeName === undefined ||
        (via.prefix !== undefined &&
          plan.addresses.owners(via.prefix)?.some(({ kind }) => kind === 'host') === true))
  )
  return byHost ? link : undefined
}

/**
 * The link of which this is the name on the host, or of its bridge there, and not a name inside the container: a firewall
 * in the container never sees it.
 */
export const linkNamedAsOnHost = (plan: Plan, container: Container, name: string): Link | undefined => {
  const links = plan.linksOf.get(container) ?? []
  const { inside, vpn } = container
  if (name === '' || vpn?.interface === name || links.some(({ ifname }) => ifname === name)) return undefined
  if ([...inside.bridges, ...inside.vlans, ...inside.interfaces].some(other => other.name === name))
    return undefined
  return links.find(
    ({ hostIfname, bridgeName, node }) =>
      hostIfname === name || bridgeName === name || name === `ve-${node.name}` || name === `vb-${node.name}`
  )
}
