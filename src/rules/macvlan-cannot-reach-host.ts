import type { Label, Problem, Severity } from '../findings/finding.ts'
import type { AddressText, Container } from '../model/topology.ts'
import { type Addr, formatAddr } from '../net/addr.ts'
import { contains } from '../net/prefix.ts'
import { hostNetworks } from '../plan/host-networks.ts'
import { hasOwnMacvlan, hostName } from '../plan/links.ts'
import type { Link, Plan } from '../plan/plan.ts'
import type { Path } from '../text/path.ts'
import type { Rule } from './rule.ts'

/** F6 */
export const macvlanCannotReachHost: Rule = {
  id: 'macvlan-cannot-reach-host',
  group: 'containers',
  severity: 'error',
  summary: 'The host and a container with a macvlan need each other, and a macvlan keeps them apart.',
  *check(plan) {
    const { topology } = plan
    const { having, host, nat } = topology
    if (having.macvlans.length === 0 || topology.host.partial || hasOwnMacvlan(topology)) return
    const networks = hostNetworks(plan)
    for (const { at, destination } of nat?.enable === true ? (nat?.forwardPorts ?? []) : []) {
      const target = destination.address && behindMacvlan(plan, networks, destination.address)
      if (target !== undefined)
        yield apart(
          target,
          { at: [...at, 'destination'], text: 'the host sends it on to here' },
          `the forward to ${destination.text} does not arrive`,
          'the host changes the destination and sends the packet out by that interface, but never to a macvlan on it: the connection times out',
          `forward to an address of "${target.container.name}" on a veth pair or a bridge, or point the router at ${formatAddr(target.addr)} directly`
        )
    }
    for (const server of [...host.nameservers, ...host.resolvConf]) {
      const target = server.prefix && behindMacvlan(plan, networks, server.prefix)
      if (target !== undefined)
        yield apart(
          target,
          { at: server.at, text: 'a nameserver of the host' },
          `the host cannot ask the nameserver ${server.text}`,
          'what the host sends by that interface never gets to a macvlan on it: each name costs it a timeout',
          'give that container a veth pair beside the macvlan, and name the address that it has there'
        )
    }
    for (const container of having.macvlans) {
      if (!container.enabled) continue
      const { name, defaultGateway, defaultGateway6, nameservers, veth, privateNetwork } = container
      const wanted: readonly (readonly [AddressText | undefined, string, string])[] = [
        [defaultGateway?.address, 'the gateway', 'nothing but its own network is reached'],
        [defaultGateway6?.address, 'the gateway', 'nothing but its own network is reached'],
        ...nameservers.map(server => [server, 'the nameserver', 'no name is resolved'] as const)
      ]
      for (const [address, what, effect] of wanted) {
        const target = address && hostBehind(plan, container, address)
        if (address === undefined || target === undefined) continue
        yield apart(
          target,
          { at: address.at, text: 'an address of the host' },
          `container "${name}" cannot reach ${what} ${address.text}`,
          `what a macvlan sends never gets to the host's own address on that interface: ${effect}`,
          what === 'the gateway'
            ? 'write the address of the router in that network'
            : 'name another server, or give the container a veth pair to the host beside the macvlan'
        )
      }
      const [forward] = veth.forwardPorts
      const links = plan.linksOf.get(container) ?? []
      const [link] = links
      if (forward !== undefined && privateNetwork && link !== undefined && links.every(isMacvlan))
        yield apart(
          { container, parent: parentOf(link), at: link.at, severity: 'error' },
          { at: [...container.at, 'forwardPorts'], on: 'key', text: 'the host sends them on to the macvlan' },
          `the forwardPorts of container "${name}" do not arrive`,
          'systemd-nspawn forwards them to the address of the macvlan, and what the host sends by that interface never gets to a macvlan on it',
          'remove the forwards and use the address that the container has in that network, or give it a veth pair (hostAddress and localAddress)'
        )
    }
  }
}

type Networks = ReturnType<typeof hostNetworks>

interface Target {
  readonly container: Container
  readonly parent: string
  readonly at: Path
  readonly severity: Severity
}

const apart = (
  { container, parent, at, severity }: Target,
  place: Label,
  message: string,
  note: string,
  help: string
): Problem => ({
  message: `${message}: ${message.includes(`"${container.name}"`) ? 'it' : `"${container.name}"`} is on a macvlan of ${parent}, which host and container cannot talk over`,
  labels: [place, { at, text: `the macvlan of "${container.name}"` }],
  note,
  help,
  severity
})

const isMacvlan = ({ kind }: Link): boolean => kind === 'macvlan'

/** The interface that a macvlan is made on. The link's place is its entry in `macvlans`. */
const parentOf = ({ container, at }: Link): string =>
  hostName(container?.macvlans.find(entry => entry.at === at)?.name ?? '')

const isDynamic = ({ topology: { host, bridges } }: Plan, parent: string): boolean =>
  host.configured.some(({ name, dhcp }) => name === parent && dhcp) ||
  bridges.some(({ name, dhcp }) => name === parent && dhcp !== undefined)

/** The container that has an address on a macvlan, where the host would send to it by the macvlan's own parent. */
const behindMacvlan = (
  plan: Plan,
  networks: Networks,
  addr: Addr
): (Target & { readonly addr: Addr }) | undefined => {
  const [first, other] = plan.addresses.owners(addr) ?? []
  const link = first?.link
  if (first?.enabled !== true || other !== undefined || link?.kind !== 'macvlan') return undefined
  const { container } = link
  const parent = parentOf(link)
  const way = networks(addr)?.ifname
  const certain = way === parent
  if (container === undefined || (!certain && (way !== undefined || !isDynamic(plan, parent))))
    return undefined
  // With DHCP the host's network there is not in the file.
  return { container, parent, at: link.at, addr, severity: certain ? 'error' : 'warning' }
}

/** The macvlan over which a container would send to an address that the host has on its parent. */
const hostBehind = (plan: Plan, container: Container, { prefix }: AddressText): Target | undefined => {
  if (prefix === undefined) return undefined
  const [owner, other] = plan.addresses.owners(prefix) ?? []
  if (owner?.kind !== 'host' || other !== undefined) return undefined
  const links = plan.linksOf.get(container) ?? []
  const ways = links.filter(({ addresses }) =>
    addresses.some(address => address.prefix !== undefined && contains(address.prefix, prefix))
  )
  const [link] = ways
  if (link === undefined || !ways.every(isMacvlan)) return undefined
  const parent = parentOf(link)
  return owner.owner.endsWith(` "${parent}"`)
    ? { container, parent, at: link.at, severity: 'error' }
    : undefined
}
