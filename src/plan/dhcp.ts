import { isYes } from '../model/networkd.ts'
import type { AddressText, Container, DhcpServer, Host, Network, SettingText } from '../model/topology.ts'
import type { Addr, Family } from '../net/addr.ts'
import { contains, first, last, masked, type Prefix } from '../net/prefix.ts'
import { isClosed } from './dns.ts'
import { nameMatcher } from './nat.ts'
import { glob, isPattern, writtenNetworks } from './networkd.ts'
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
  /** Whether a unit keeps a part of the network for itself, and it is not known which. */
  readonly withheld: boolean
}

const setting = ({ sections }: Network, section: string, key: string): SettingText | undefined =>
  sections.get(section)?.settings.get(key)?.at(-1)

/** The units that make networkd a DHCP server (systemd.network(5), DHCPServer=); a relay asks another one. */
const servingUnits = (host: Host): readonly Network[] =>
  writtenNetworks(host).filter(
    network =>
      isYes(setting(network, 'networkConfig', 'DHCPServer')) &&
      setting(network, 'dhcpServerConfig', 'RelayTarget') === undefined
  )

/** The units that serve one interface, by its name. */
const servingUnitOf = (host: Host): ReadonlyMap<string, Network> =>
  new Map(
    servingUnits(host).flatMap(network =>
      network.names
        .filter(({ name }) => !isPattern(name) && !name.startsWith('!'))
        .map(({ name }) => [name, network] as const)
    )
  )

/** The DHCP servers of the host on interfaces that the file names: those that it lists, and networkd's own in units. */
export const dhcpServers = (host: Host): readonly DhcpServer[] => {
  if (host.networkd === undefined) return host.dhcpServers
  const listed = new Set(host.dhcpServers.map(({ interface: { name } }) => name))
  const units = Array.from(servingUnitOf(host)).filter(([name]) => !listed.has(name))
  return [
    ...host.dhcpServers,
    ...units.map(([name, network]): DhcpServer => {
      const at = setting(network, 'networkConfig', 'DHCPServer')?.at ?? network.at
      return { at, interface: { at, name }, program: 'networkd', subnet: undefined, range: undefined }
    })
  ]
}

export const dhcpServices = function* (plan: Plan): Generator<Service> {
  const { host } = plan.topology
  const servers = dhcpServers(host)
  if (servers.length === 0) return
  const interfaces = new Map(host.configured.map(entry => [entry.name, entry]))
  const units = servingUnitOf(host)
  const withholds = servingUnits(host).some(network => POOL.some(key => has(network, key)))
  for (const server of servers) {
    const { name } = server.interface
    const bridge = plan.bridges.get(name)
    const own = bridge?.bridge ?? interfaces.get(name)
    const addresses = own?.addresses ?? []
    const unit = server.program === undefined || server.program === 'networkd' ? units.get(name) : undefined
    const range = server.range ?? (unit === undefined ? undefined : unitRange(unit, addresses))
    yield {
      server: range === undefined ? server : { ...server, range },
      bridge,
      addresses,
      complete:
        bridge !== undefined &&
        bridge.bridge.dhcp === undefined &&
        !bridge.bridge.partial &&
        !host.partial &&
        bridge.bridge.addresses.every(({ prefix }) => prefix !== undefined),
      withheld:
        range === undefined &&
        (unit === undefined ? withholds : POOL.some(key => has(unit, key)) || unit.lists.has(LEASES))
    }
  }
}

const POOL = ['PoolOffset', 'PoolSize', 'ServerAddress'] as const

/** What is leased to one machine only is not handed out to others. */
const LEASES = 'dhcpServerStaticLeases'

const has = (network: Network, key: (typeof POOL)[number]): boolean =>
  setting(network, 'dhcpServerConfig', key) !== undefined

/** What PoolOffset= and PoolSize= leave; undefined without them, and where networkd refuses them or more hangs on it. */
const unitRange = (unit: Network, addresses: readonly AddressText[]): DhcpServer['range'] => {
  const own = addresses.find(({ prefix, bare }) => prefix?.family === 4 && !bare)?.prefix
  const [offset, size] = [
    setting(unit, 'dhcpServerConfig', 'PoolOffset'),
    setting(unit, 'dhcpServerConfig', 'PoolSize')
  ]
  const written = offset ?? size
  if (own === undefined || written === undefined || has(unit, 'ServerAddress') || unit.lists.has(LEASES))
    return undefined
  const [skipped, count] = [offset, size].map(value => Number(value?.text ?? 0))
  if (!Number.isInteger(skipped) || !Number.isInteger(count)) return undefined
  const network = masked(own)
  const from = network.value + BigInt(Math.max(1, skipped ?? 0))
  const end = last(network).value - 1n
  const to = count === 0 ? end : from + BigInt(count ?? 0) - 1n
  return from > to || to > end
    ? undefined
    : { at: written.at, from: { family: 4, value: from }, to: { family: 4, value: to } }
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
  const network = program === 'networkd' && !service.withheld ? servedNetwork(service, 4) : undefined
  return network === undefined ? undefined : { from: first(network), to: last(network) }
}

/** Whether a DHCP server of the host, listed or of a unit, serves an interface. */
export const servedByHost = (host: Host): ((ifname: string) => boolean) => {
  const isListed = nameMatcher(
    host.dhcpServers.map(({ interface: { name } }) => name.replace(/\*$/, '+')),
    '+'
  )
  const patterns = servingUnits(host).flatMap(({ names }) => names.map(({ name }) => name))
  return name => isListed(name) || patterns.some(pattern => glob(pattern, name))
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
  const isServed = servedByHost(host)
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

/** Whether a service or a unit of the host hands out addresses where the file does not say on which interface. */
const servesByHand = (host: Host): boolean =>
  host.listens.some(({ port, protocol }) => port === 67 && protocol.value !== 'tcp') ||
  servingUnits(host).some(({ names }) => names.every(({ name }) => name.startsWith('!')))

/** Whether an interface has its own address from a DHCP server. */
const asks = ({ node, ifname }: Link): boolean =>
  'dhcp' in node &&
  ((node.dhcp && ifname === 'eth0') ||
    node.inside.interfaces.some(({ name, dhcp }) => dhcp && name === ifname))

/** The members that may run a DHCP server; undefined where one surely does or is likely to. */
const mayAnswer = ({ members }: BridgePlan): readonly Link[] | undefined => {
  const others = members.filter(link => !asks(link))
  return others.some(
    ({ node, kind }) => kind === 'tap' || node.partial || node.listens.some(({ port }) => port === 67)
  )
    ? undefined
    : others
}

/** dhcpcd.conf, denyinterfaces (nixpkgs, services/networking/dhcpcd.nix). */
const IGNORED = ['peth', 'vif', 'tap', 'tun', 'virbr', 'vnet', 'vboxnet', 'sit']

/** And those of containers, on a host that may have some (nixos-containers.nix, networking.dhcpcd.denyInterfaces). */
const OF_CONTAINERS = ['ve-', 'vb-']

/** The pattern for which dhcpcd leaves an interface alone, on the host, or inside a container where none is given. */
export const ignoredByDhcpcd = (name: string, host: Host | undefined): string | undefined => {
  const stem = [...IGNORED, ...(host?.enableContainers === true ? OF_CONTAINERS : [])].find(stem =>
    name.startsWith(stem)
  )
  return stem === undefined ? undefined : `${stem}*`
}
