import type { Value } from '../findings/mend.ts'
import type { AddressText, Container, Gateway, Nat, Vm } from '../model/topology.ts'
import { type Addr, addressAfter, type Family, formatAddr, sameAddr, addrKey, width } from '../net/addr.ts'
import { contains, formatPrefix, masked } from '../net/prefix.ts'
import { isGlobal } from '../net/special.ts'
import { type FreeAddress, freeAddressFinder } from '../plan/addresses.ts'
import { nameMatcher } from '../plan/nat.ts'
import type { Link, Plan } from '../plan/plan.ts'
import { formatPath, type Path, quote } from '../text/path.ts'
import { listed } from '../text/words.ts'
import type { Attempt } from './expect.ts'
import type { Flow } from './flow.ts'
import { uplinkOf } from './outside.ts'
import { isApart, isOutside, openingOf, whoIs, withPort } from './told.ts'
import type { Hop, Step } from './trace.ts'
import { type Interface, type Machine, type World } from './world.ts'

// What to write into the file so that a flow arrives, or no longer does.

/** What is written at a place of the file: a value, whether one is there or not; one more in a list; or nothing any more. */
export type Write =
  | { readonly kind: 'set' | 'append'; readonly at: Path; readonly value: Value }
  | { readonly kind: 'remove'; readonly at: Path }

/** In words with the values, and as data where it can be said that way. */
export interface Remedy {
  readonly text: string
  readonly writes: readonly Write[]
}

type Stop<K extends Step['kind'], S = Step> = S extends Step ? (K extends S['kind'] ? S : never) : never

/** What makes a flow arrive that does not: the first thing in its way. Undefined where nothing in the file does. */
export const mendOf = (
  world: World,
  { flow, trace }: Attempt,
  free: FreeAddress = freeAddressFinder(world.plan)
): Remedy | undefined => {
  const last = trace.hops.at(-1)
  if (last === undefined || trace.disposition === 'answered' || trace.disposition === 'refused')
    return undefined
  const { at, step } = last
  const context: Context = { world, free, flow, hops: trace.hops }
  const misplaced = ends(context).flatMap(end => addressed(context, end, flow.to.family) ?? [])
  if (misplaced[0] !== undefined && step.kind !== 'closed' && step.kind !== 'not-started') return misplaced[0]
  switch (step.kind) {
    case 'closed':
      return looped(context, at, step) ?? opened(world, at, step)
    case 'filtered':
      return accepted(context, at, step)
    case 'not-forwarded':
      return forwarding(context, at, step)
    case 'forged':
      return trusting(context, at, step)
    case 'no-route':
      return routed(context, at, step)
    case 'no-neighbour':
      return found(context, at, step)
    case 'not-started':
      return {
        text: `mend what keeps ${whoIs(at.place)} from starting: ${formatPath(step.failure.at)}`,
        writes: []
      }
    case 'not-asked':
      return translated(context, flow.to.family)
    case 'stranger':
      return hairpin(context, step)
    default:
      return undefined
  }
}

/** What keeps a flow out that arrives. */
export const closeOf = (world: World, { trace }: Attempt): Remedy | undefined => {
  const forward = trace.hops.find(({ step, because }) => step.kind === 'to' && because !== undefined)
  if (forward?.because !== undefined)
    return {
      text: `take out ${formatPath(forward.because)}`,
      writes: [{ kind: 'remove', at: forward.because }]
    }
  const entry = trace.hops.find(({ step }) => step.kind === 'let-in')
  if (entry?.step.kind === 'let-in') return closed(entry.at, entry.step)
  const out = trace.hops.find(({ at, step }) => at === world.host && step.kind === 'source')
  const sender = trace.hops[0]?.at
  const { nat } = world.plan.topology
  if (out !== undefined && nat !== undefined && sender !== undefined) {
    const name = entranceOf(trace.hops, world.host)
    const written = nat.internalInterfaces.find(own => own.name === name)
    if (written !== undefined)
      return {
        text: `take ${written.name} out of nat.internalInterfaces, which cuts off all that is behind it`,
        writes: [{ kind: 'remove', at: written.at }]
      }
  }
  const gateway = sender?.container?.defaultGateway
  const target = trace.hops.at(-1)?.at
  if (gateway !== undefined && target !== undefined && isOutside(target))
    return {
      text: `take out ${placed(gateway.at)}`,
      writes: [{ kind: 'remove', at: gateway.at }]
    }
  return undefined
}

/** Who sends, and who is sent to where somebody has the address. */
const ends = ({ world, flow, hops }: Context): readonly Machine[] => {
  const to = hops.findLast(({ step }) => step.kind === 'to')?.step
  return [hops[0]?.at, world.ownerOf(to?.kind === 'to' ? to.addr : flow.to)].filter(
    machine => machine !== undefined
  )
}

interface Context {
  readonly world: World
  readonly free: FreeAddress
  readonly flow: Flow
  readonly hops: readonly Hop[]
}

/** A value as it is written. */
const written = (value: Value): string => {
  if (typeof value === 'string') return /^[\w.][\w./-]*$/.test(value) ? value : JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(written).join(', ')}]`
  if (typeof value === 'object' && value !== null)
    return `{ ${Object.entries(value)
      .map(([key, item]) => `${key}: ${written(item)}`)
      .join(', ')} }`
  return String(value)
}

/** `firewall.allowedTCPPorts: [80] in container "db"`. */
const setting = (at: Path, value: Value): string => {
  const [room, name] = at
  return room === 'containers' && typeof name === 'string'
    ? `${formatPath(at.slice(2))}: ${written(value)} in container ${quote(name)}`
    : `${formatPath(at)}: ${written(value)}`
}

const placed = (at: Path): string => {
  const [room, name] = at
  return room === 'containers' && typeof name === 'string'
    ? `${formatPath(at.slice(2))} of container ${quote(name)}`
    : formatPath(at)
}

const set = (lead: string, at: Path, value: Value): Remedy => ({
  text: `${lead}${setting(at, value)}`,
  writes: [{ kind: 'set', at, value }]
})

/** One more in a list, which is written whole where it is not there. */
const append = (lead: string, at: Path, value: Value, isThere: boolean): Remedy => ({
  text: isThere ? `${lead}add ${written(value)} to ${placed(at)}` : `${lead}${setting(at, [value])}`,
  writes: [{ kind: 'append', at, value }]
})

const firewallOf = ({ firewall, at }: Machine): Path =>
  firewall === undefined || firewall.at.length === 0 ? [...at, 'firewall'] : firewall.at

const opened = ({ plan }: World, at: Machine, { packet, through }: Stop<'closed'>): Remedy => {
  const { firewall } = at
  if (packet.protocol === 'icmp') return set('let pings in: ', [...firewallOf(at), 'allowPing'], true)
  const option = `allowed${packet.protocol.toUpperCase()}Ports`
  // To the host only those behind that interface need to get in.
  const isInside =
    at.place.kind === 'host' && (plan.bridges.has(through.name) || through.segment.startsWith('pair '))
  const at_ = isInside ? [...firewallOf(at), 'interfaces', through.name, option] : [...firewallOf(at), option]
  const open = isInside
    ? firewall?.interfaces.find(({ name }) => name === through.name)?.open
    : firewall?.open
  const isThere = open?.[packet.protocol].some(own => own.at.at(-2) === option) === true
  return append('open it: ', at_, packet.port, isThere)
}

const closed = (at: Machine, step: Stop<'let-in'>): Remedy | undefined => {
  const { firewall } = at
  const { packet } = step
  if (firewall === undefined) return undefined
  if (!firewall.enable) return set('turn its firewall on: ', [...firewallOf(at), 'enable'], true)
  if (!at.guards[packet.to.family]) return set('have IPv6 filtered as well: ', [...at.at, 'enableIPv6'], true)
  const opening = openingOf(at, step)
  if (packet.protocol === 'icmp' && firewall.allowPing && packet.to.family === 4)
    return set('answer no pings: ', [...firewallOf(at), 'allowPing'], false)
  if (opening.at === undefined || packet.protocol === 'icmp') return undefined
  const what = opening.why.startsWith('trusted') ? step.through.name : packet.port
  return {
    text: `close it: take ${what} out of ${placed(opening.at.slice(0, -1))}`,
    writes: [{ kind: 'remove', at: opening.at }]
  }
}

/** A link's other end on the host: its bridge, or the end of its pair. */
const hostEnd = ({ segment }: Interface): string => segment.slice(segment.indexOf(' ') + 1)

/** The interface by which a flow came to a machine. */
const entranceOf = (hops: readonly Hop[], machine: Machine): string | undefined => {
  const i = hops.findIndex(({ at }) => at === machine)
  const before = hops.slice(0, Math.max(i, 0)).findLast(({ step }) => step.kind === 'route')
  return before?.step.kind === 'route' ? hostEnd(before.step.route.interface) : undefined
}

/** filterForward accepts what goes from NAT's internal interfaces to its external one, and what a rule says. */
const accepted = (context: Context, at: Machine, { through, out }: Stop<'filtered'>): Remedy | undefined => {
  const { world } = context
  const nat = world.plan.topology.nat
  if (at === world.host && nat?.enable === true && out.name === uplinkOf(world.plan)) {
    const remedy = masqueraded(world, through.name, context.flow.to.family)
    if (remedy !== undefined) return remedy
  }
  const rule = `iifname "${through.name}" oifname "${out.name}" accept`
  const path = [...firewallOf(at), 'extraForwardRules']
  const before = (at.firewall?.extraForwardRules ?? '').trim()
  if (before.split('\n').includes(rule)) return undefined
  const value = before === '' ? rule : `${before}\n${rule}`
  return {
    text:
      before === ''
        ? `accept it: ${formatPath(path)}: '${rule}'`
        : `accept it: add a line to ${formatPath(path)}: '${rule}'`,
    writes: [{ kind: 'set', at: path, value }]
  }
}

/** NAT for what comes in by an interface of the host. */
const masqueraded = ({ plan }: World, entrance: string | undefined, family: Family): Remedy | undefined => {
  const { nat } = plan.topology
  const uplink = uplinkOf(plan)
  const writes: Write[] = []
  const parts: string[] = []
  const isOn = nat?.enable === true
  const add = (key: keyof Nat, value: Value, shown: Value = value): void => {
    writes.push(
      key === 'internalInterfaces'
        ? { kind: 'append', at: ['nat', key], value }
        : { kind: 'set', at: ['nat', key], value }
    )
    parts.push(`${parts.length === 0 ? `nat.${key}` : key}: ${written(shown)}`)
  }
  const names = nat?.internalInterfaces.map(({ name }) => name) ?? []
  const isListed = entrance === undefined || nameMatcher(names, plan.nat.wildcard)(entrance)
  if (isOn && !isListed && family === 4 && names.length > 0)
    return append('let NAT translate it: ', ['nat', 'internalInterfaces'], entrance, true)
  if (!isOn) add('enable', true)
  if (!isListed && entrance !== undefined) add('internalInterfaces', entrance, [...names, entrance])
  if (family === 6 && nat?.enableIPv6 !== true) add('enableIPv6', true)
  if (!isOn && nat?.externalInterface === undefined && uplink !== undefined) add('externalInterface', uplink)
  const [first, ...rest] = parts
  return first === undefined
    ? undefined
    : {
        text: `let NAT translate it: write ${first}${rest.length === 0 ? '' : ` with ${listed(rest)}`}`,
        writes
      }
}

/** A private address has no way back to it from outside, unless the host translates it. */
const translated = (context: Context, family: Family): Remedy | undefined =>
  masqueraded(context.world, entranceOf(context.hops, context.world.host), family)

const forwarding = (
  context: Context,
  at: Machine,
  { family, back }: Stop<'not-forwarded'>
): Remedy | undefined => {
  const { world, flow, hops } = context
  if (at !== world.host) {
    if (at.container === undefined) return undefined
    const nat = [...at.container.at, 'inside', 'nat']
    return family === 4
      ? set('let it forward: ', [...nat, 'enable'], true)
      : {
          text: `let it forward: ${setting([...nat, 'enable'], true)}, with enableIPv6: true`,
          writes: [
            { kind: 'set', at: [...nat, 'enable'], value: true },
            { kind: 'set', at: [...nat, 'enableIPv6'], value: true }
          ]
        }
  }
  const to = hops.findLast(({ step }) => step.kind === 'to')?.step
  const addr = to?.kind === 'to' ? to.addr : flow.to
  const isOut = !back && isAbroad(world, addr)
  const remedy = isOut ? translated(context, family) : undefined
  if (remedy !== undefined) return remedy
  const names = [`net.ipv${family}.conf.all.forwarding`, ...(family === 4 ? ['net.ipv4.ip_forward'] : [])]
  const name = names.findLast(own => world.plan.topology.host.sysctl.has(own)) ?? names[0] ?? ''
  return set('let the host forward: ', ['host', 'sysctl', name], 1)
}

const isAbroad = (world: World, addr: Addr): boolean => {
  const owner = world.ownerOf(addr)
  return owner === undefined ? isGlobal(addr) : isOutside(owner)
}

const trusting = (context: Context, at: Machine, { source, through }: Stop<'forged'>): Remedy | undefined => {
  if (at.local.has(addrKey(source))) return undefined
  const bare = lengthless(context, at, source, through)
  if (bare !== undefined) return bare
  // Without any way back the kernel itself drops it, and no answer would leave.
  if (at.routes[source.family].get(source) === undefined) {
    const node = nodeOf(context.world, at)
    return node === undefined ? undefined : gatewayFor(context, at, node, source.family)
  }
  return set('let answers leave by another way: ', [...firewallOf(at), 'checkReversePath'], 'loose')
}

/** A bridge without a prefix length, on which the sender has one. */
const lengthless = (
  { world }: Context,
  at: Machine,
  source: Addr,
  { name, segment }: Interface
): Remedy | undefined => {
  const bridge = at === world.host ? world.plan.bridges.get(name)?.bridge : undefined
  const written = bridge?.addresses.find(({ bare, prefix }) => bare && prefix?.family === source.family)
  const own = world
    .ownerOf(source)
    ?.interfaces.find(other => other.segment === segment)
    ?.addresses.find(addr => sameAddr(addr, source))
  return written?.prefix === undefined || own === undefined
    ? undefined
    : set('give the bridge its network: ', written.at, formatPrefix({ ...written.prefix, bits: own.bits }))
}

const nodeOf = ({ plan }: World, { container, place }: Machine): Container | Vm | undefined =>
  container ?? (place.kind === 'vm' ? plan.topology.vms.find(({ name }) => name === place.name) : undefined)

/** An address that does not fit into the network of its bridge, or a pair with one end only: nothing else matters before. */
const addressed = ({ world, free }: Context, at: Machine, family: Family): Remedy | undefined => {
  const { plan } = world
  const node = nodeOf(world, at)
  for (const link of (node && plan.linksOf.get(node)) ?? []) {
    for (const address of link.addresses) {
      const placement = plan.misplaced.get(address)?.placement
      if (address.prefix?.family !== family || placement === undefined || !('subnet' in placement)) continue
      const { kind, subnet } = placement
      if (subnet === undefined) continue
      const { bits } = subnet.prefix
      const isKept = kind === 'no-prefix' || kind === 'prefix-differs'
      const value = isKept ? address.prefix : free(subnet.prefix, address)
      if (value !== undefined && contains(subnet.prefix, value))
        return set(
          isKept ? 'write the prefix length of its network: ' : 'give it an address of its network: ',
          address.at,
          `${formatAddr(value)}/${bits}`
        )
    }
    const { veth } = link
    if (veth === undefined || veth.hostBridge !== undefined) continue
    const [local, host] =
      family === 4 ? [veth.localAddress, veth.hostAddress] : [veth.localAddress6, veth.hostAddress6]
    const option = family === 4 ? 'Address' : 'Address6'
    const there = local ?? host
    if (there?.prefix === undefined || (local !== undefined && host !== undefined)) continue
    const beside = besides(plan, there.prefix)
    if (beside !== undefined)
      return set(
        'give the pair its other end: ',
        [...veth.at, `${local === undefined ? 'local' : 'host'}${option}`],
        formatAddr(beside)
      )
  }
  return undefined
}

const besides = ({ addresses }: Plan, { family, value }: Addr): Addr | undefined =>
  [1n, -1n, 2n, -2n]
    .map(step => addressAfter({ family, value }, step))
    .find(addr => addresses.owners(addr) === undefined)

const routed = (context: Context, at: Machine, step: Stop<'no-route'>): Remedy | undefined => {
  const { world } = context
  const { addr, back } = step
  if (isOutside(at))
    return back
      ? translated(context, addr.family)
      : isOutside(context.hops[0]?.at ?? at)
        ? published(context, addr)
        : unbridged(context, addr)
  if (at === world.host) {
    const owner = world.ownerOf(addr)
    return owner === undefined || isOutside(owner)
      ? {
          text: `give the host a way out: ${setting(['host', addr.family === 4 ? 'defaultGateway' : 'defaultGateway6'], { address: "the router's address", interface: uplinkOf(world.plan) ?? 'its uplink' })}`,
          writes: []
        }
      : onBridge(context, owner, addr)
  }
  const node = nodeOf(world, at)
  return node === undefined ? undefined : gatewayFor(context, at, node, addr.family)
}

/** What is on a bridge goes outside where the host has no address there. */
const unbridged = (context: Context, addr: Addr): Remedy | undefined => {
  const owner = context.world.ownerOf(addr)
  return owner === undefined ? undefined : onBridge(context, owner, addr)
}

/** An address of the host on the bridge of a container that it has no route to. */
const onBridge = ({ world, free }: Context, owner: Machine, addr: Addr): Remedy | undefined => {
  const node = nodeOf(world, owner)
  const link = (node && world.plan.linksOf.get(node))?.find(({ addresses }) =>
    addresses.some(({ prefix }) => prefix?.family === addr.family && prefix.value === addr.value)
  )
  const own = link?.addresses.find(({ prefix }) => prefix?.value === addr.value)?.prefix
  const bridge = link?.bridge?.bridge
  if (node === undefined || own === undefined || bridge === undefined) return undefined
  const gateway = (addr.family === 4 ? node.defaultGateway : node.defaultGateway6)?.address.prefix
  const isFree =
    gateway !== undefined && contains(own, gateway) && world.plan.addresses.owners(gateway) === undefined
  const value = isFree ? gateway : free(masked(own))
  if (value === undefined) return undefined
  return append(
    'give the host an address there: ',
    [...bridge.at, 'address'],
    `${formatAddr(value)}/${own.bits}`,
    bridge.addresses.length > 0
  )
}

/** A default route for a container or machine. */
const gatewayFor = (
  context: Context,
  at: Machine,
  node: Container | Vm,
  family: Family
): Remedy | undefined => {
  const { world, free } = context
  const links = world.plan.linksOf.get(node) ?? []
  const speaking = links.find(({ addresses }) => addresses.some(({ prefix }) => prefix?.family === family))
  const option = family === 4 ? 'defaultGateway' : 'defaultGateway6'
  if (speaking === undefined) return unaddressed(world, at, links, family, free)
  const own = speaking.addresses.find(({ prefix }) => prefix?.family === family)?.prefix
  const router = routerOn(world, speaking, own)
  const gateway: Gateway | undefined = node[option]
  if (router === undefined) {
    return speaking.bridge === undefined || own === undefined ? undefined : onBridge(context, at, own)
  }
  if (gateway !== undefined)
    return set('name a router that is there: ', gateway.address.at, formatAddr(router))
  return set('give it a default route: ', [...node.at, option], {
    address: formatAddr(router),
    interface: speaking.ifname
  })
}

/** The router on a link: that of the network outside, else the host's own address there. */
const routerOn = ({ plan }: World, { bridge, veth }: Link, own: Addr | undefined): Addr | undefined => {
  if (own === undefined) return undefined
  const { host } = plan.topology
  const written = (own.family === 4 ? host.defaultGateway : host.defaultGateway6)?.address.prefix
  if (bridge === undefined) {
    const end: AddressText | undefined = own.family === 4 ? veth?.hostAddress : veth?.hostAddress6
    return end?.prefix
  }
  const subnets = bridge.subnets.filter(({ prefix }) => contains(prefix, own))
  if (bridge.open && written !== undefined && subnets.some(({ prefix }) => contains(prefix, written)))
    return written
  return subnets[0]?.address.prefix
}

/** Somebody who has no address of a family. */
const unaddressed = (
  { plan }: World,
  { place }: Machine,
  links: readonly Link[],
  family: Family,
  free: FreeAddress
): Remedy | undefined => {
  const [link] = links
  const option = family === 4 ? 'localAddress' : 'localAddress6'
  const subnet = link?.bridge?.subnets.find(({ prefix }) => prefix.family === family)
  const addr = subnet === undefined ? undefined : free(subnet.prefix)
  if (link?.veth !== undefined && subnet !== undefined && addr !== undefined)
    return set(
      `give it an IPv${family} address: `,
      [...link.veth.at, option],
      `${formatAddr(addr)}/${subnet.prefix.bits}`
    )
  const host = family === 4 ? 'hostAddress' : 'hostAddress6'
  return {
    text:
      link?.bridgeName === undefined
        ? `give ${whoIs(place)} an IPv${family} address: ${host} and ${option}`
        : `give bridge ${quote(link.bridgeName)} an IPv${family} network (${plan.bridges.has(link.bridgeName) ? `one more in bridges.${link.bridgeName}.address` : 'its address'}), and ${whoIs(place)} a ${option} in it`,
    writes: []
  }
}

/** From outside a container with a private address is reached by a port of the host. */
const published = ({ world, flow: { protocol, port } }: Context, addr: Addr): Remedy | undefined => {
  const { plan } = world
  const owner = world.ownerOf(addr)
  if (
    protocol === 'icmp' ||
    port === undefined ||
    owner?.container === undefined ||
    plan.topology.nat?.partial === true
  )
    return undefined
  const isFree = (own: number): boolean =>
    own < 65536 &&
    !plan.ports.some(claim => claim.protocol === protocol && claim.from <= own && own <= claim.to)
  const outer = [port, port + 8000, port + 9000, port + 10000].find(isFree)
  if (outer === undefined) return undefined
  const value = {
    sourcePort: outer,
    destination: withPort(addr, port),
    ...(protocol === 'udp' ? { proto: 'udp' } : {})
  }
  const on = plan.topology.nat?.enable === true
  const uplink = uplinkOf(plan)
  const writes: Write[] = [{ kind: 'append', at: ['nat', 'forwardPorts'], value }]
  const more: string[] = []
  if (!on) {
    writes.push({ kind: 'set', at: ['nat', 'enable'], value: true })
    more.push('enable: true')
  }
  if (plan.topology.nat?.externalInterface === undefined && uplink !== undefined) {
    writes.push({ kind: 'set', at: ['nat', 'externalInterface'], value: uplink })
    more.push(`externalInterface: ${uplink}`)
  }
  if (addr.family === 6 && plan.topology.nat?.enableIPv6 !== true) {
    writes.push({ kind: 'set', at: ['nat', 'enableIPv6'], value: true })
    more.push('enableIPv6: true')
  }
  return {
    text: `forward a port of the host to it: nat.forwardPorts: [${written(value)}]${more.length === 0 ? '' : `, with ${listed(more)}`}`,
    writes
  }
}

const found = (context: Context, at: Machine, step: Stop<'no-neighbour'>): Remedy | undefined => {
  const { world } = context
  const { plan } = world
  const { addr, route, interface: own } = step
  const owner = world.ownerOf(addr)
  const apart = apartOf(at, own, owner)
  if (apart !== undefined) return byMacvlan(world, at, own, addr) ?? beside(apart)
  const node = nodeOf(world, at)
  if (node !== undefined && route.via !== undefined && route.destination.bits === 0)
    return gatewayFor(context, at, node, addr.family)
  if (owner === undefined) {
    if (route.via !== undefined) return undefined
    const off = plan.addresses.owners(addr)?.find(({ enabled }) => !enabled)?.link?.container
    return off === undefined || off.enabled
      ? { text: `give ${formatAddr(addr)} to somebody there, or ask for it by a name`, writes: [] }
      : set('switch it on: ', [...off.at, 'enabled'], true)
  }
  const bridge = own.segment.startsWith('bridge ') ? hostEnd(own) : undefined
  const veth = owner.container?.veth
  return bridge === undefined || veth === undefined || veth.hostBridge === undefined
    ? undefined
    : set('put both on one bridge: ', [...veth.at, 'hostBridge'], bridge)
}

/** The container whose macvlan keeps it from the host. */
const apartOf = (at: Machine, own: Interface, owner: Machine | undefined): Container | undefined => {
  return isApart(at, own, owner) ? (at.container ?? owner?.container) : undefined
}

/** Where the host has a macvlan there that is of no use yet: its mode, or a route by it. */
const byMacvlan = (world: World, at: Machine, own: Interface, addr: Addr): Remedy | undefined => {
  const { host } = world
  const macvlans = host.interfaces.filter(
    ({ segment, macvlan }) => segment === own.segment && macvlan !== undefined
  )
  const isSpoken = (other: Interface): boolean => other.addresses.some(({ family }) => family === addr.family)
  const bridging = macvlans.find(({ macvlan }) => macvlan === 'bridge')
  const deaf = macvlans.find(isSpoken)
  if (bridging === undefined && deaf !== undefined)
    return set('let it hear the other macvlans: ', ['host', 'macvlans', deaf.name, 'mode'], 'bridge')
  if (at !== host || own.macvlan !== undefined || bridging === undefined || !isSpoken(bridging))
    return undefined
  const entry = world.plan.topology.host.interfaces.find(({ name }) => name === bridging.name)
  if (entry === undefined) return undefined
  const route = { address: `${formatAddr(addr)}/${width(addr.family)}` }
  return append(`send by ${bridging.name}: `, [...entry.at, 'routes'], route, entry.routes.length > 0)
}

const beside = (container: Container): Remedy => ({
  text: `give container ${quote(container.name)} a veth pair to the host beside its macvlan: hostAddress: auto and localAddress: auto`,
  writes: [
    { kind: 'set', at: [...container.at, 'hostAddress'], value: 'auto' },
    { kind: 'set', at: [...container.at, 'localAddress'], value: 'auto' }
  ]
})

/** A forward that is for those outside is one for those inside too where loopbackIPs say so. */
const looped = (
  { world, flow, hops }: Context,
  at: Machine,
  { packet }: Stop<'closed'>
): Remedy | undefined => {
  const sender = hops[0]?.at
  if (at !== world.host || sender === undefined || isOutside(sender)) return undefined
  const entry = world.plan.topology.nat?.forwardPorts.find(
    ({ source: { range }, proto }) =>
      proto.value === packet.protocol &&
      range !== undefined &&
      range.from <= packet.port &&
      packet.port <= range.to
  )
  return entry === undefined
    ? undefined
    : append(
        'let the forward be for those inside too: ',
        [...entry.at, 'loopbackIPs'],
        formatAddr(flow.to),
        entry.loopbackIPs.length > 0
      )
}

/** An answer that goes round the machine that has translated the question. */
const hairpin = ({ world, hops }: Context, { asked, addr }: Stop<'stranger'>): Remedy | undefined => {
  const forward = hops.find(({ step }) => step.kind === 'to')
  const own = `ask for ${formatAddr(addr)} itself`
  const { nat } = world.plan.topology
  const entry = nat?.forwardPorts.find(({ at }) => at === forward?.because)
  if (forward?.at !== world.host || entry === undefined) return { text: own, writes: [] }
  const isThere = entry.loopbackIPs.some(({ prefix }) => prefix !== undefined && sameAddr(prefix, asked))
  const entrance = entranceOf(hops, world.host)
  const names = nat?.internalInterfaces.map(({ name }) => name) ?? []
  const isInside = entrance === undefined || nameMatcher(names, world.plan.nat.wildcard)(entrance)
  const remedies = [
    ...(isThere
      ? []
      : [append('', [...entry.at, 'loopbackIPs'], formatAddr(asked), entry.loopbackIPs.length > 0)]),
    ...(isInside ? [] : [append('', ['nat', 'internalInterfaces'], entrance, names.length > 0)])
  ]
  return remedies.length === 0
    ? { text: own, writes: [] }
    : {
        text: `let the host translate it both ways: ${remedies.map(({ text }) => text).join(' and ')}; or ${own}`,
        writes: remedies.flatMap(({ writes }) => writes)
      }
}
