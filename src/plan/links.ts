import type { AddressText, Container, Host, RareOption, Topology, Veth, Vm } from '../model/topology.ts'
import { hostIfname, shortIfname } from '../net/ifname.ts'
import type { Prefix } from '../net/prefix.ts'
import { type NetworkFlag, makesPrivate, networkFlags, optionOf } from './nspawn.ts'
import type { BridgePlan, HostInterface, Link, PairLink, Plan } from './plan.ts'

/** Whether the container has a network namespace of its own. nspawn implies one for several options (systemd-nspawn(1)). */
export const isPrivate = (container: Container): boolean =>
  container.privateNetwork ||
  container.networkNamespace ||
  container.extraVeths.length > 0 ||
  container.interfaces.length > 0 ||
  container.macvlans.length > 0 ||
  networkFlags(container).some(makesPrivate)

/** The address, bridge and MAC options that are set. Any of them makes systemd-nspawn create the veth pair. */
export const vethOptions = (veth: Veth): readonly (keyof Veth)[] =>
  VETH_OPTIONS.filter(option => veth[option] !== undefined)

const VETH_OPTIONS = [
  'hostBridge',
  'hostAddress',
  'localAddress',
  'hostAddress6',
  'localAddress6',
  'localMacAddress'
] as const

/** Whether the container's own veth pair (`eth0` inside) is made. Its options reach nspawn only with privateNetwork. */
export const hasVeth = ({ privateNetwork, networkNamespace, veth }: Container): boolean =>
  privateNetwork && !networkNamespace && VETH_OPTIONS.some(option => veth[option] !== undefined)

const NONE: readonly never[] = []

const pair = (a: AddressText | undefined, b: AddressText | undefined): readonly AddressText[] =>
  a === undefined ? (b === undefined ? NONE : [b]) : b === undefined ? [a] : [a, b]

const insideAddresses = (container: Container, ifname: string): readonly AddressText[] =>
  container.inside.interfaces.find(({ name }) => name === ifname)?.addresses ?? NONE

const isSame = (a: Prefix | undefined, b: Prefix): boolean =>
  a?.family === b.family && a.value === b.value && a.bits === b.bits

/** The addresses of the options, and those that the container's own configuration adds. */
const vethAddresses = (
  container: Container,
  { ifname, localAddress, localAddress6 }: Veth
): readonly AddressText[] => {
  const own = pair(localAddress, localAddress6)
  const inside = insideAddresses(container, ifname)
  // With networkd inside, people write the address a second time in the container's own configuration.
  const added = inside.filter(
    ({ prefix }) => prefix === undefined || !own.some(other => isSame(other.prefix, prefix))
  )
  return added.length === 0 ? own : [...own, ...added]
}

type Bridges = ReadonlyMap<string, BridgePlan>

const vethLink = (container: Container, veth: Veth, bridges: Bridges): Link => ({
  node: container,
  container,
  kind: 'veth',
  at: veth.at,
  veth,
  ifname: veth.ifname,
  hostIfname: veth.extra ? veth.ifname : hostIfname(container.name, veth.hostBridge !== undefined),
  bridge: veth.hostBridge === undefined ? undefined : bridges.get(veth.hostBridge),
  bridgeName: veth.hostBridge,
  addresses: vethAddresses(container, veth),
  hostAddresses: veth.hostBridge === undefined ? pair(veth.hostAddress, veth.hostAddress6) : NONE
})

const otherLink = (
  container: Container,
  kind: 'veth' | 'macvlan' | 'moved',
  at: Link['at'],
  ifname: string
): Link => ({
  node: container,
  container,
  kind,
  at,
  veth: undefined,
  ifname,
  hostIfname: '',
  bridge: undefined,
  bridgeName: undefined,
  addresses: insideAddresses(container, ifname),
  hostAddresses: NONE
})

/**
 * The host's interface of an entry of `macvlans` or `interfaces`, which may be `HOST:INSIDE` (systemd-nspawn(1), since
 * version 254).
 */
export const hostName = (entry: string): string => entry.split(':', 1)[0] ?? entry

/** The host's interface that a macvlan stands on, or that is moved: of an entry, or of a flag. */
export const cardOf = ({ at, container }: Link): string => {
  if (container === undefined) return ''
  const entry = [...container.macvlans, ...container.interfaces].find(other => other.at === at)
  if (entry !== undefined) return hostName(entry.name)
  const flag = networkFlags(container).find(flag => flag.at === at && optionOf(flag) !== undefined)
  return hostName(flag?.value ?? '')
}

const insideName = (entry: string, otherwise: string): string => {
  const colon = entry.indexOf(':')
  return colon < 0 ? otherwise : entry.slice(colon + 1)
}

const NO_BRIDGES: Bridges = new Map()

/** The interfaces that systemd-nspawn gives a container, whether it is switched on or not. */
export const containerLinks = (container: Container, bridges: Bridges = NO_BRIDGES): readonly Link[] => {
  const { veth, extraVeths, macvlans, interfaces } = container
  // A literal has room for just this one; nearly every container has no other, and there may be 100,000 of them.
  const links = hasVeth(container) ? [vethLink(container, veth, bridges)] : []
  for (const extra of extraVeths) links.push(vethLink(container, extra, bridges))
  for (const { at, name } of macvlans)
    links.push(otherLink(container, 'macvlan', at, insideName(name, shortIfname(`mv-${hostName(name)}`))))
  for (const { at, name } of interfaces) links.push(otherLink(container, 'moved', at, insideName(name, name)))
  const flags = networkFlags(container)
  if (flags.length > 0) links.push(...flagLinks(container, flags, bridges))
  return links
}

/** What extraFlags add. NixOS does not know of it: the pair is called host0 inside, and nobody gives it an address. */
const flagLinks = (
  container: Container,
  flags: readonly NetworkFlag[],
  bridges: Bridges
): readonly Link[] => {
  const links: Link[] = []
  const pairs = flags.filter(flag => /^network-(veth|bridge|zone)$/.test(optionOf(flag) ?? ''))
  const [pair] = pairs
  if (pair !== undefined && !hasVeth(container)) {
    const bridge = pairs.findLast(flag => optionOf(flag) !== 'network-veth')
    const bridgeName =
      bridge === undefined || optionOf(bridge) === 'network-bridge' ? bridge?.value : `vz-${bridge.value}`
    links.push({
      ...otherLink(container, 'veth', (bridge ?? pair).at, 'host0'),
      hostIfname: hostIfname(container.name, bridge !== undefined),
      bridge: bridgeName === undefined ? undefined : bridges.get(bridgeName),
      bridgeName
    })
  }
  for (const flag of flags) {
    const { at, value = '' } = flag
    const option = optionOf(flag)
    if (option === 'network-veth-extra')
      links.push({
        ...otherLink(container, 'veth', at, insideName(value, value)),
        hostIfname: hostName(value)
      })
    else if (option === 'network-macvlan' || option === 'network-ipvlan')
      links.push(
        otherLink(
          container,
          'macvlan',
          at,
          insideName(value, shortIfname(`${option === 'network-macvlan' ? 'mv' : 'iv'}-${hostName(value)}`))
        )
      )
    else if (option === 'network-interface')
      links.push(otherLink(container, 'moved', at, insideName(value, value)))
  }
  return links
}

/** The pair that the options of a container without privateNetwork would make, were they not ignored. */
export const ignoredLinks = (container: Container, bridges: Bridges): readonly Link[] =>
  vethOptions(container.veth).length === 0 ? NONE : [vethLink(container, container.veth, bridges)]

/** The interfaces of a machine, whether it is switched on or not. */
export const vmLinks = (vm: Vm, bridges: Bridges = NO_BRIDGES): readonly Link[] =>
  vm.interfaces.map(({ at, name, hostBridge, addresses }) => ({
    node: vm,
    container: undefined,
    kind: 'tap',
    at,
    veth: undefined,
    ifname: name,
    hostIfname: name,
    bridge: hostBridge === undefined ? undefined : bridges.get(hostBridge),
    bridgeName: hostBridge,
    addresses,
    hostAddresses: NONE
  }))

/** The links of everything that is switched on, each with the bridge that it is on: of all, and by whose they are. */
export const resolveLinks = (
  topology: Topology,
  bridges: Bridges
): Pick<Plan, 'links' | 'linksOf' | 'pairs' | 'unlinked'> => {
  const links: Link[] = []
  const pairs: PairLink[] = []
  const unlinked: Container[] = []
  const linksOf = new Map<Container | Vm, readonly Link[]>()
  const add = (node: Container | Vm, own: readonly Link[]): void => {
    if (own.length > 0) linksOf.set(node, own)
    for (const link of own) {
      links.push(link)
      if (isPair(link)) pairs.push(link)
    }
  }
  for (const container of topology.containers)
    if (container.enabled) {
      const own = containerLinks(container, bridges)
      if (own.length === 0) unlinked.push(container)
      add(container, own)
    }
  for (const vm of topology.vms) if (vm.enabled) add(vm, vmLinks(vm, bridges))
  return { links, linksOf, pairs, unlinked }
}

const isPair = (link: Link): link is PairLink => link.veth !== undefined && link.veth.hostBridge === undefined

/** The containers that have any of these options in the file, in its order as far as one option goes. */
export const containersHaving = (
  { having }: Topology,
  ...options: readonly RareOption[]
): Iterable<Container> => {
  const written = options.filter(option => having[option].length > 0)
  const [only] = written
  return only !== undefined && written.length === 1
    ? having[only]
    : new Set(written.flatMap(option => having[option]))
}

/** The links of the containers that are switched on and have any of these options. */
export const linksHaving = function* (
  { topology, linksOf }: Plan,
  ...options: readonly RareOption[]
): Generator<Link> {
  for (const container of containersHaving(topology, ...options)) yield* linksOf.get(container) ?? NONE
}

/** Every name that exists on the host, with the first who makes it. */
export const hostInterfaces = (
  topology: Topology,
  links: readonly Link[]
): ReadonlyMap<string, HostInterface> => {
  const names = new Map<string, HostInterface>()
  const add = (name: string, entry: HostInterface): void => {
    if (!names.has(name)) names.set(name, entry)
  }
  const { host, bridges } = topology
  for (const { at, name } of host.interfaces)
    add(name, { at, owner: `host interface "${name}"`, kind: 'interface' })
  for (const { at, name } of host.bonds) add(name, { at, owner: `bond "${name}"`, kind: 'bond' })
  for (const { at, name } of host.vlans) add(name, { at, owner: `VLAN "${name}"`, kind: 'vlan' })
  for (const { at, name } of host.macvlans) add(name, { at, owner: `macvlan "${name}"`, kind: 'macvlan' })
  for (const { at, name } of bridges) add(name, { at, owner: `bridge "${name}"`, kind: 'bridge' })
  for (const { at, node, kind, veth, hostIfname } of links)
    if (hostIfname !== '')
      add(hostIfname, {
        at,
        owner: `${kind === 'tap' ? 'machine' : 'container'} "${node.name}"`,
        kind: kind === 'tap' ? 'tap' : veth?.extra === true ? 'extra-veth' : 'veth'
      })
  return names
}

/**
 * The interface on which the kernel makes what is asked for on another: for a macvlan of the host its parent, and so the
 * macvlans on a macvlan are beside it (macvlan_common_newlink).
 */
export const realParent = ({ host }: Topology, name: string): string => {
  if (host.macvlans.length === 0) return name
  const known = PARENTS.get(host) ?? new Map(host.macvlans.map(entry => [entry.name, entry.interface.name]))
  PARENTS.set(host, known)
  const seen = new Set<string>()
  let parent = name
  for (let next = known.get(parent); next !== undefined && !seen.has(parent); next = known.get(parent)) {
    seen.add(parent)
    parent = next
  }
  return parent
}

/** It is asked for each container. */
const PARENTS = new WeakMap<Host, ReadonlyMap<string, string>>()

/** Whether units by hand make a macvlan of the host's own, over which it talks to those of its containers. */
export const hasMacvlanByHand = ({ host }: Topology): boolean =>
  host.networkd?.netdevs.some(({ kind }) => kind === 'macvlan' || kind === 'macvtap') === true

/**
 * Whether NixOS runs `ip link del` on what has the name of the host's end, before the container starts
 * (nixos-containers.nix): for each extra veth, and for its own pair where that has an address.
 */
export const clearsName = ({ veth }: Link): boolean =>
  veth !== undefined &&
  (veth.extra ||
    pair(veth.hostAddress, veth.localAddress).length > 0 ||
    pair(veth.hostAddress6, veth.localAddress6).length > 0)

/** The links whose end on the host is deleted. Who starts last has the name; here that is the last in the file. */
export const deletedLinks = (plan: Plan): ReadonlySet<Link> => {
  const known = DELETED.get(plan)
  if (known !== undefined) return known
  const deleted = new Set<Link>()
  if (plan.topology.having.extraVeths.length > 0) {
    const ends = new Map<string, Link>()
    for (const link of plan.links) {
      const other = ends.get(link.hostIfname)
      if (other !== undefined && other.node !== link.node && clearsName(link)) deleted.add(other)
      ends.set(link.hostIfname, link)
    }
  }
  DELETED.set(plan, deleted)
  return deleted
}

/** It is asked for each container. */
const DELETED = new WeakMap<Plan, ReadonlySet<Link>>()

/** The host's ends of pairs and taps that are on no bridge, by name. */
export const hostEnds = ({ links }: Pick<Plan, 'links'>): ReadonlySet<string> =>
  new Set(
    links.flatMap(({ kind, bridgeName, hostIfname }) =>
      (kind === 'veth' || kind === 'tap') && bridgeName === undefined ? [hostIfname] : []
    )
  )
