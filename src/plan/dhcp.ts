import type { AddressText, Container, DhcpServer, Host } from '../model/topology.ts'
import type { Addr, Family } from '../net/addr.ts'
import { contains, first, last, masked, type Prefix } from '../net/prefix.ts'
import { isClosed } from './dns.ts'
import { nameMatcher } from './nat.ts'
import type { Path } from '../text/path.ts'
import type { BridgePlan, Link, Plan } from './plan.ts'

/** A DHCP server of the host and the network that it is on. */
export interface Service {
  readonly server: DhcpServer
  readonly bridge: BridgePlan | undefined
  /** The host's addresses on the interface. */
  readonly addresses: readonly AddressText[]
  /** Whether these are all, so that it has none of a family that is not among them. */
  readonly complete: boolean
}

export const dhcpServices = function* (plan: Plan): Generator<Service> {
  const { host } = plan.topology
  if (host.dhcpServers.length === 0) return
  const interfaces = new Map(host.configured.map(entry => [entry.name, entry]))
  for (const server of host.dhcpServers) {
    const { name } = server.interface
    const bridge = plan.bridges.get(name)
    const own = bridge?.bridge ?? interfaces.get(name)
    yield {
      server,
      bridge,
      addresses: own?.addresses ?? [],
      complete:
        bridge !== undefined &&
        bridge.bridge.dhcp === undefined &&
        !bridge.bridge.partial &&
        !host.partial &&
        bridge.bridge.addresses.every(({ prefix }) => prefix !== undefined)
    }
  }
}

/** The network that a server's addresses are from: what it declares, else that of the interface. */
export const servedNetwork = ({ server, addresses }: Service, family: Family): Prefix | undefined => {
  const declared = server.subnet?.prefix
  if (declared?.family === family && server.subnet?.bare === false) return masked(declared)
  const own = addresses.filter(({ prefix, bare }) => prefix?.family === family && !bare)
  const around =
    own.find(
      ({ prefix }) =>
        prefix !== undefined && server.range !== undefined && contains(prefix, server.range.from)
    ) ?? own[0]
  return around?.prefix === undefined ? undefined : masked(around.prefix)
}

/** The addresses that a server hands out, lowest first; networkd's gives out its whole network (PoolOffset=, PoolSize=). */
export const pool = (service: Service): { readonly from: Addr; readonly to: Addr } | undefined => {
  const { range, program } = service.server
  if (range !== undefined)
    return range.from.family !== range.to.family
      ? undefined
      : range.from.value <= range.to.value
        ? range
        : { from: range.to, to: range.from }
  const network = program === 'networkd' ? servedNetwork(service, 4) : undefined
  return network === undefined ? undefined : { from: first(network), to: last(network) }
}

/** A container that asks for an address where nobody in the file answers. */
export interface Unserved {
  /** Where it asks. */
  readonly at: Path
  readonly container: Container
  readonly link: Link
  /** The other machines on its bridge that may answer, for all the file says. */
  readonly others: readonly Link[]
}

export const unserved = function* (plan: Plan): Generator<Unserved> {
  const { having, host } = plan.topology
  if (having.dhcp.length + having.inside.length === 0 || host.partial || servesByHand(host)) return
  const isServed = nameMatcher(
    host.dhcpServers.map(({ interface: { name } }) => name.replace(/\*$/, '+')),
    '+'
  )
  const answering = new Map<BridgePlan, readonly Link[] | undefined>()
  for (const { at, container, ifname } of questions(plan)) {
    const link = plan.linksOf
      .get(container)
      ?.find(({ kind, ifname: own }) => kind === 'veth' && own === ifname)
    if (link === undefined || isServed(link.bridgeName ?? link.hostIfname)) continue
    const { bridge, bridgeName } = link
    if (bridgeName === undefined) {
      // networkd serves DHCP on pairs by a file of its own (80-container-ve.network).
      if (host.manager !== 'networkd' && host.networkd === undefined)
        yield { at, container, link, others: [] }
      continue
    }
    if (bridge === undefined || !isClosed(bridge) || bridge.bridge.dhcp !== undefined) continue
    if (!answering.has(bridge)) answering.set(bridge, mayAnswer(bridge))
    const others = answering.get(bridge)
    if (others !== undefined) yield { at, container, link, others }
  }
}

/** Which interface of which container asks for an address. */
const questions = function* ({
  topology: { having }
}: Plan): Generator<{ readonly at: Path; readonly container: Container; readonly ifname: string }> {
  for (const container of having.dhcp)
    if (container.enabled && !container.partial && container.dhcp)
      yield { at: [...container.at, 'dhcp'], container, ifname: 'eth0' }
  for (const container of having.inside)
    if (container.enabled && !container.partial)
      for (const { at, name, dhcp } of container.inside.interfaces)
        if (dhcp && !(container.dhcp && name === 'eth0'))
          yield { at: [...at, 'dhcp'], container, ifname: name }
}

/** Whether a unit or a service of the host hands out addresses; which interfaces that is for is not worked out. */
const servesByHand = ({ listens, networkd }: Host): boolean =>
  listens.some(({ port, protocol }) => port === 67 && protocol.value !== 'tcp') ||
  networkd?.networks.some(({ sections }) =>
    sections
      .get('networkConfig')
      ?.settings.get('DHCPServer')
      ?.some(({ text }) => /^(?:yes|true|1|on)$/.test(text))
  ) === true

/** The members that may run a DHCP server; undefined where one surely does or is likely to. */
const mayAnswer = ({ members }: BridgePlan): readonly Link[] | undefined => {
  const others = members.filter(({ node }) => !('dhcp' in node && node.dhcp))
  return others.some(
    ({ node, kind }) => kind === 'tap' || node.partial || node.listens.some(({ port }) => port === 67)
  )
    ? undefined
    : others
}
