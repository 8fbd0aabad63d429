import { offer } from '../findings/mend.ts'
import type { Label, Problem, Severity } from '../findings/finding.ts'
import type { AddressText, Container, Macvlan } from '../model/topology.ts'
import { type Addr, formatAddr, width } from '../net/addr.ts'
import { contains, firstUsable, masked } from '../net/prefix.ts'
import { PrefixMap } from '../net/set.ts'
import { type FreeAddress, freeAddressFinder } from '../plan/addresses.ts'
import { hostNetworks } from '../plan/host-networks.ts'
import { cardOf, hasMacvlanByHand, realParent } from '../plan/links.ts'
import type { Link, Plan } from '../plan/plan.ts'
import type { Path } from '../text/path.ts'
import { listed } from '../text/words.ts'
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
    if (having.macvlans.length === 0 || topology.host.partial || hasMacvlanByHand(topology)) return
    const around = aroundOf(plan)
    for (const { at, destination } of nat?.enable === true ? (nat?.forwardPorts ?? []) : []) {
      const target = destination.address && behindMacvlan(around, destination.address)
      if (target !== undefined)
        yield apart(
          around,
          target,
          { at: [...at, 'destination'], text: 'the host sends it on to here' },
          `the forward to ${destination.text} does not arrive`,
          'the host changes the destination and sends the packet out by that interface, but never to a macvlan on it: the connection times out',
          `forward to an address of "${target.container.name}" on a veth pair or a bridge, or point the router at ${formatAddr(target.addr)} directly`
        )
    }
    for (const server of [...host.nameservers, ...host.resolvConf]) {
      const target = server.prefix && behindMacvlan(around, server.prefix)
      if (target !== undefined)
        yield apart(
          around,
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
        const target = address && hostBehind(around, container, address)
        if (address === undefined || target === undefined) continue
        yield apart(
          around,
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
      if (forward === undefined || !privateNetwork || link === undefined || !links.every(isMacvlan)) continue
      const addr = link.addresses.find(({ prefix }) => prefix?.family === 4)?.prefix
      const parent = realParent(topology, cardOf(link))
      const way = addr && around.ways(addr)
      if (addr === undefined ? !around.bridging.has(parent) : arrives(plan, way, parent) !== true)
        yield apart(
          around,
          { container, parent, at: link.at, severity: 'error', addr, way },
          { at: [...container.at, 'forwardPorts'], on: 'key', text: 'the host sends them on to the macvlan' },
          `the forwardPorts of container "${name}" do not arrive`,
          'systemd-nspawn forwards them to the address of the macvlan, and what the host sends by that interface never gets to a macvlan on it',
          'remove the forwards and use the address that the container has in that network, or give it a veth pair (hostAddress and localAddress)'
        )
    }
  }
}

interface Target {
  readonly container: Container
  readonly parent: string
  readonly at: Path
  readonly severity: Severity
  /** The container's own address, and the way that the host has to it. */
  readonly addr?: Addr | undefined
  readonly way?: Way | undefined
}

const apart = (
  around: Around,
  target: Target,
  place: Label,
  message: string,
  note: string,
  help: string
): Problem => {
  const { container, parent, at, severity, way } = target
  const deaf = way?.macvlan?.mode === 'bridge' ? undefined : way?.macvlan
  const mode = deaf === undefined ? [] : [...deaf.at, 'mode']
  return {
    message: `${message}: ${message.includes(`"${container.name}"`) ? 'it' : `"${container.name}"`} is on a macvlan of ${parent}, which host and container cannot talk over`,
    labels: [
      place,
      { at, text: `the macvlan of "${container.name}"` },
      ...(deaf === undefined
        ? []
        : [
            {
              at: deaf.mode === undefined ? deaf.at : mode,
              ...(deaf.mode === undefined ? { on: 'key' as const } : {}),
              text: `in ${deaf.mode ?? 'vepa'} mode it hears no other macvlan`
            }
          ])
    ],
    note,
    help:
      deaf === undefined
        ? `${help}; or ${instead(around, target)}`
        : `write host.macvlans.${deaf.name}.mode: bridge`,
    severity,
    ...offer(
      deaf === undefined
        ? undefined
        : { kind: deaf.mode === undefined ? 'insert' : 'replace', at: mode, value: 'bridge' }
    )
  }
}

const isMacvlan = ({ kind }: Link): boolean => kind === 'macvlan'

const isDynamic = ({ topology: { host, bridges } }: Plan, parent: string): boolean =>
  host.configured.some(({ name, dhcp }) => name === parent && dhcp) ||
  bridges.some(({ name, dhcp }) => name === parent && dhcp !== undefined)

/** What is asked for each fault. */
interface Around {
  readonly plan: Plan
  readonly ways: (addr: Addr) => Way | undefined
  /** The host's macvlans in bridge mode by what they stand on, and all of them by name. */
  readonly bridging: ReadonlyMap<string, Macvlan>
  readonly macvlans: ReadonlyMap<string, Macvlan>
  readonly free: () => FreeAddress
}

const aroundOf = (plan: Plan): Around => {
  const { topology } = plan
  const { macvlans } = topology.host
  let free: FreeAddress | undefined
  return {
    plan,
    ways: waysOf(plan),
    bridging: new Map(
      macvlans.flatMap(entry =>
        entry.mode === 'bridge' ? [[realParent(topology, entry.name), entry] as const] : []
      )
    ),
    macvlans: new Map(macvlans.map(entry => [entry.name, entry])),
    free: () => (free ??= freeAddressFinder(plan))
  }
}

interface Way {
  readonly ifname: string
  /** Set where it is one of the host's macvlans. */
  readonly macvlan: Macvlan | undefined
}

/** By which interface the host sends to an address: that of the narrowest of its networks and of the routes of its macvlans. */
const waysOf = (plan: Plan): ((addr: Addr) => Way | undefined) => {
  const { host } = plan.topology
  const networks = hostNetworks(plan)
  const macvlans = new Map(host.macvlans.map(entry => [entry.name, entry]))
  const routes = new PrefixMap<{ readonly ifname: string; readonly bits: number }>()
  for (const { name, routes: written } of host.configured)
    if (macvlans.has(name))
      for (const { destination, via } of written)
        if (destination.prefix !== undefined && via === undefined)
          routes.add(masked(destination.prefix), { ifname: name, bits: destination.prefix.bits })
  return addr => {
    const network = networks(addr)
    const route = routes.get(addr)
    const isRouted = route !== undefined && route.bits > (network?.prefix.bits ?? -1)
    const ifname = isRouted ? route.ifname : network?.ifname
    return ifname === undefined ? undefined : { ifname, macvlan: macvlans.get(ifname) }
  }
}

/**
 * Whether the host reaches macvlans on a parent by this way: undefined where the file does not say it, and where it is by
 * another interface, of which nothing is known here.
 */
const arrives = (plan: Plan, way: Way | undefined, parent: string): boolean | undefined => {
  if (way?.ifname === parent) return false
  if (way?.macvlan === undefined || realParent(plan.topology, way.ifname) !== parent) return undefined
  return way.macvlan.mode === 'bridge'
}

/** The container that has an address on a macvlan, where the host would send to it by what cannot. */
const behindMacvlan = (
  { plan, ways }: Around,
  addr: Addr
): (Target & { readonly addr: Addr }) | undefined => {
  const [first, other] = plan.addresses.owners(addr) ?? []
  const link = first?.link
  if (first?.enabled !== true || other !== undefined || link?.kind !== 'macvlan') return undefined
  const { container } = link
  const parent = realParent(plan.topology, cardOf(link))
  const way = ways(addr)
  const certain = arrives(plan, way, parent) === false
  if (container === undefined || (!certain && (way !== undefined || !isDynamic(plan, parent))))
    return undefined
  // With DHCP the host's network there is not in the file.
  return { container, parent, at: link.at, addr, way, severity: certain ? 'error' : 'warning' }
}

/** The macvlan over which a container would send to an address of the host that it does not reach by it. */
const hostBehind = (
  { plan, ways, macvlans }: Around,
  container: Container,
  { prefix }: AddressText
): Target | undefined => {
  if (prefix === undefined) return undefined
  const { topology } = plan
  const [owner, other] = plan.addresses.owners(prefix) ?? []
  if (owner?.kind !== 'host' || other !== undefined) return undefined
  const links = plan.linksOf.get(container) ?? []
  const own = (link: Link): Addr | undefined =>
    link.addresses.find(address => address.prefix !== undefined && contains(address.prefix, prefix))?.prefix
  const [link, ...more] = links.filter(link => own(link) !== undefined)
  if (link === undefined || ![link, ...more].every(isMacvlan)) return undefined
  const parent = realParent(topology, cardOf(link))
  const addr = own(link)
  const way = addr && ways(addr)
  const target = { container, parent, at: link.at, addr, way, severity: 'error' } as const
  const macvlan = macvlans.get(/"(.*)"$/.exec(owner.owner)?.[1] ?? '')
  if (macvlan !== undefined) {
    if (realParent(topology, macvlan.name) !== parent) return undefined
    if (macvlan.mode !== 'bridge') return { ...target, way: { ifname: macvlan.name, macvlan } }
    return arrives(plan, way, parent) === false ? target : undefined
  }
  if (!owner.owner.endsWith(` "${parent}"`)) return undefined
  // In IPv4 the host answers by each of its macvlans for all of its addresses.
  return prefix.family === 4 && arrives(plan, way, parent) === true ? undefined : target
}

/** What gives the two a way: a macvlan of the host's own. */
const instead = ({ plan, bridging, free }: Around, { parent, addr, way }: Target): string => {
  const { host, nat } = plan.topology
  const own = bridging.get(parent)
  const name = own?.name ?? freeName(plan)
  const macvlan =
    own === undefined
      ? `give the host a macvlan of its own: host.macvlans: { ${name}: { interface: ${parent}, mode: bridge } }, with`
      : `give ${name} an address:`
  const held = host.configured
    .find(entry => entry.name === own?.name)
    ?.addresses.find(({ prefix }) => prefix?.family === addr?.family)
  const to = addr && alone(addr)
  if (held?.prefix !== undefined && way?.macvlan !== undefined)
    return `name ${formatAddr(held.prefix)}, which the host has on ${name}`
  if (held !== undefined && to !== undefined)
    return `let the host send to it by ${name}: host.interfaces.${name}.routes: [{ address: ${to} }]`
  const card = host.configured.find(entry => entry.name === parent)
  if (!plan.bridges.has(parent) && card !== undefined && (card.dhcp || card.addresses.length > 0)) {
    const settings = card.dhcp ? 'dhcp: true' : `address: [${card.addresses.map(written).join(', ')}]`
    const users = [
      ...(host.defaultGateway?.interface === parent ? ['host.defaultGateway'] : []),
      ...(host.defaultGateway6?.interface === parent ? ['host.defaultGateway6'] : []),
      ...(nat?.externalInterface === parent ? ['nat.externalInterface'] : [])
    ]
    const also = users.length === 0 ? '' : `, and ${name} for ${parent} in ${listed(users)}`
    return `${macvlan} host.interfaces: { ${name}: { ${settings} } } instead of ${parent} having it${also}`
  }
  // The lowest address of a network outside is most often the router's.
  const subnet =
    addr && plan.bridges.get(parent)?.subnets.find(({ prefix }) => contains(prefix, addr))?.prefix
  const found = subnet && free()(subnet)
  const spare = subnet && found?.value === firstUsable(subnet).value ? free()(subnet) : found
  return spare === undefined || to === undefined
    ? `${macvlan} an address of that network under host.interfaces.${name}`
    : `${macvlan} host.interfaces: { ${name}: { address: [${alone(spare)}], routes: [{ address: ${to} }] } }`
}

const alone = (addr: Addr): string => written({ text: `${formatAddr(addr)}/${width(addr.family)}` })

/** An address as YAML takes it between brackets. */
const written = ({ text }: { readonly text: string }): string => (text.includes(':') ? `"${text}"` : text)

const freeName = (plan: Plan): string => {
  const names = plan.hostInterfaces()
  let name = 'mv-host'
  for (let i = 2; names.has(name); i += 1) name = `mv-host${i}`
  return name
}
