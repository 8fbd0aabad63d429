import type { Bond, Bridge, Container, Macvlan, Vlan, Vm } from '../model/topology.ts'
import { isLinkLocal6, width } from '../net/addr.ts'
import { formatMac } from '../net/mac.ts'
import { masked, type Prefix } from '../net/prefix.ts'
import { PrefixMap } from '../net/set.ts'
import { byName } from '../text/order.ts'
import { networkSetup } from './change-host.ts'
import {
  addressValues,
  compareOptions,
  type Cut,
  cutOff,
  type Difference,
  flagValue,
  isOlder,
  macValue,
  restartCommand,
  routeValues,
  shellWord,
  type Step,
  step,
  type Subject,
  type Value
} from './change-step.ts'
import { hostName } from './links.ts'
import { hardware, writtenNetdevs } from './networkd.ts'
import type { BridgePlan, Link, Plan } from './plan.ts'
import { byHand, isMadeByHand, makerOf } from './units.ts'

// Bridges, VLANs and bonds of two versions. NixOS's scripts reload a bridge that changes (network-interfaces-scripted.nix:
// reloadIfChanged), but make it anew when something restarts that its unit is part of or bound to. systemd-networkd sets
// what is written in a .netdev file on a bridge that exists, except what it does not find there any more; 252 sets
// everything but the MAC address. It deletes nothing. All that was seen of 252 and 257.

/** Two versions, and what has been found out of them. */
export interface Versions {
  readonly before: Plan
  readonly after: Plan
  /** Containers that the switch stops or restarts. */
  readonly restarted: ReadonlySet<string>
  /** The containers that run before and after it, and the machines after it. */
  readonly running: ReadonlySet<string>
  readonly machines: ReadonlySet<string>
}

/** Whether NixOS's own networking options are networkd's (networking.useNetworkd). */
const usesNetworkd = ({ topology: { host } }: Plan): boolean => host.manager === 'networkd'

const makerIn = (plan: Plan, bridge: Bridge): 'networkd' | 'scripted' =>
  usesNetworkd(plan) || isMadeByHand(plan, bridge.name) ? 'networkd' : makerOf(plan.topology, bridge)

/** Whether networkd sets a MAC address on what exists, and removes addresses that it finds: 257 does, 252 does not. */
const updatesAll = ({ topology: { host } }: Plan): boolean => !isOlder(host, '25.05')

const NETWORKD = 'systemctl restart systemd-networkd.service'

const deviceCommand = (name: string, what: string): string => `ip link set dev ${shellWord(name)} ${what}`

export const deleteCommand = (name: string): string => `ip link delete dev ${shellWord(name)}`

// What is compared

/** What systemd-networkd writes into the .netdev file, or NixOS into the .link file. */
function* ownOptions({ macAddress, stp, vlanAware }: Bridge): Generator<readonly [string, Value]> {
  yield ['macAddress', macAddress && macValue(macAddress)]
  yield ['stp', stp ? 'true' : undefined]
  yield ['vlanAware', vlanAware ? 'true' : undefined]
}

const mtuOption = ({ mtu }: Bridge): readonly [string, Value] => [
  'mtu',
  mtu === undefined ? undefined : String(mtu)
]

function* portOptions({ interfaces, rstp }: Bridge): Generator<readonly [string, Value]> {
  yield ['interfaces', interfaces.map(({ name }) => name)]
  yield ['rstp', rstp ? 'true' : undefined]
}

function* addressOptions(bridge: Bridge): Generator<readonly [string, Value]> {
  const { masquerade, forwarding } = bridge
  yield ['address', addressValues(bridge.addresses)]
  yield ['dhcp', bridge.dhcp === undefined ? undefined : 'true']
  yield ['acceptRA', flagValue(bridge.acceptRA)]
  yield ['routes', routeValues(bridge.routes)]
  yield ['proxyARP', bridge.proxyARP ? 'true' : undefined]
  yield [
    'IPMasquerade',
    masquerade[4] && masquerade[6] ? 'both' : masquerade[4] ? 'ipv4' : masquerade[6] ? 'ipv6' : undefined
  ]
  yield ['IPv4Forwarding', flagValue(forwarding[4])]
  yield ['IPv6Forwarding', flagValue(forwarding[6])]
  for (const { name, sections } of byName(bridge.portVlans))
    yield [
      `bridgeVLANs.${name}`,
      sections.map(section => section.map(({ at, text }) => `${String(at.at(-1))}=${text}`).join(' '))
    ]
}

const differ = <T>(
  options: (item: T) => Iterable<readonly [string, Value]>,
  before: T,
  after: T
): readonly Difference[] => compareOptions(new Map(options(before)), new Map(options(after)))

// Bridges

const bridgeSubject = (name: string): Subject => ({ kind: 'bridge', name })

export const bridgeSteps = (versions: Versions): readonly Step[] => {
  const { before, after } = versions
  const setup = networkSetup(before, after)
  const around: Around = {
    remade: remadeDevices(before, after, setup),
    setup,
    restarts: makesNetdevs(before, after),
    ports: new Set(after.topology.bridges.flatMap(({ interfaces }) => interfaces.map(({ name }) => name)))
  }
  const steps: Step[] = []
  for (const [name, old] of before.bridges) {
    const next = after.bridges.get(name)
    if (next !== undefined) for (const one of changed(versions, old, next, around)) steps.push(one)
  }
  for (const [old, behind] of inTheWay(before, after)) steps.push(removed(versions, old, behind))
  for (const [name, { bridge }] of after.bridges)
    if (!before.bridges.has(name))
      steps.push(
        step('bridge-made', bridgeSubject(name), {
          differences: [
            ...differ(portOptions, NO_BRIDGE, bridge),
            ...differ(addressOptions, NO_BRIDGE, bridge)
          ]
        })
      )
  return steps
}

/** What a bridge that is new is compared with. */
const NO_BRIDGE: Bridge = {
  at: [],
  name: '',
  size: undefined,
  addresses: [],
  interfaces: [],
  dhcp: undefined,
  acceptRA: undefined,
  proxyARP: false,
  macAddress: undefined,
  rstp: false,
  stp: false,
  vlanAware: false,
  portVlans: [],
  routes: [],
  mtu: undefined,
  masquerade: { 4: false, 6: false },
  forwarding: { 4: undefined, 6: undefined },
  definedBy: undefined,
  virtualAddresses: [],
  partial: false
}

interface Around {
  /** What of the host is deleted, or made anew. */
  readonly remade: ReadonlySet<string>
  /** What makes network-setup.service restart. */
  readonly setup: readonly Difference[]
  /** Whether systemd-networkd restarts, and does not only reload. */
  readonly restarts: boolean
  /** The ports of all bridges. */
  readonly ports: ReadonlySet<string>
}

function* changed(versions: Versions, old: BridgePlan, next: BridgePlan, around: Around): Generator<Step> {
  const { before, after } = versions
  const { bridge } = next
  const subject = bridgeSubject(bridge.name)
  const [from, to] = [makerIn(before, old.bridge), makerIn(after, bridge)]
  const own = isMadeByHand(after, bridge.name) ? [] : differ(ownOptions, old.bridge, bridge)
  const ports = differ(portOptions, old.bridge, bridge)
  const addresses = differ(addressOptions, old.bridge, bridge)
  const mtu = differ(bridge => [mtuOption(bridge)], old.bridge, bridge)
  if (from !== to) {
    const maker = { option: 'made by', before: MAKERS[from], after: MAKERS[to] }
    yield remake(versions, old, next, 'maker', [maker, ...own, ...mtu, ...ports, ...addresses])
  } else if (to === 'scripted') {
    const lower = old.bridge.interfaces.filter(({ name }) => around.remade.has(name))
    const cause = around.setup.length > 0 ? 'network-setup' : lower.length > 0 ? 'port' : undefined
    if (cause !== undefined) {
      const why =
        cause === 'port'
          ? lower.map(({ name }) => ({ option: 'interfaces', before: name, after: 'made anew' }))
          : around.setup
      yield remake(versions, old, next, cause, [...why, ...own, ...mtu, ...ports, ...addresses])
      return
    }
    if (ports.length > 0)
      yield step('bridge-reloaded', subject, { differences: ports, cut: [cutOff(subject, 'moment')] })
    if (addresses.length > 0)
      yield step('addresses-set', subject, { differences: addresses, cut: [cutOff(subject, 'moment')] })
    const kept = [...own, ...mtu]
    if (kept.length > 0)
      yield step('link-kept', subject, { differences: kept, commands: linkCommands(bridge, kept) })
  } else yield* byNetworkd(versions, old, next, around, { own, ports, network: [...addresses, ...mtu] })
}

const MAKERS = { networkd: 'systemd.network', scripted: 'networking.bridges' } as const

function* byNetworkd(
  { after }: Versions,
  old: BridgePlan,
  { bridge }: BridgePlan,
  { restarts, ports: taken }: Around,
  { own, ports, network }: Readonly<Record<'own' | 'ports' | 'network', readonly Difference[]>>
): Generator<Step> {
  const subject = bridgeSubject(bridge.name)
  const isKept = ({ option, after: value }: Difference): boolean =>
    option === 'macAddress' ? !updatesAll(after) : value === undefined
  const kept = own.filter(isKept)
  const updated = own.filter(difference => !isKept(difference))
  if (updated.length > 0) yield step('netdev-updated', subject, { differences: updated })
  if (kept.length > 0)
    yield step('netdev-kept', subject, { differences: kept, commands: linkCommands(bridge, kept) })
  const stay = old.bridge.interfaces.filter(({ name }) => !taken.has(name) && !isConfigured(after, name))
  if (stay.length > 0)
    yield step('port-stays', subject, {
      differences: stay.map(({ name }) => ({ option: 'interfaces', before: name, after: undefined })),
      commands: stay.map(({ name }) => deviceCommand(name, 'nomaster'))
    })
  const moved = ports.filter(({ before: port }) => !stay.some(({ name }) => name === port))
  const isHandmade = byHand(after, { name: bridge.name, kind: 'bridge' }) !== undefined
  const differences = [...moved, ...(isHandmade ? [] : network)]
  if (differences.length > 0)
    yield step('reconfigured', subject, { differences, cut: [cutOff(subject, 'moment')] })
  const left = restarts && !updatesAll(after) ? goneAddresses(old.bridge, bridge) : []
  if (left.length > 0)
    yield step('addresses-left', subject, {
      differences: left.map(address => ({ option: 'address', before: address, after: undefined })),
      commands: left.map(address => `ip address delete ${address} dev ${shellWord(bridge.name)}`)
    })
}

/** What networkd had set, and sets no more. */
const goneAddresses = (before: Bridge, after: Bridge): readonly string[] => {
  const now = new Set(addressValues(after.addresses))
  return addressValues(before.addresses.filter(({ prefix }) => prefix !== undefined)).filter(
    address => !now.has(address)
  )
}

/** Whether networkd has a file for an interface that is a port no more: then it takes it out of the bridge. */
const isConfigured = (after: Plan, name: string): boolean =>
  after.networkFiles().taker({ name, kind: hardware(name) }) !== undefined

/** What sets by hand what nobody sets on a bridge that exists. Some has no value to go back to. */
const linkCommands = (
  { name, macAddress, mtu, stp, vlanAware }: Bridge,
  kept: readonly Difference[]
): readonly string[] => {
  const has = (option: string): boolean => kept.some(difference => difference.option === option)
  return [
    ...(has('macAddress') && macAddress?.value !== undefined
      ? [deviceCommand(name, `address ${formatMac(macAddress.value)}`)]
      : []),
    ...(has('mtu') && mtu !== undefined ? [deviceCommand(name, `mtu ${mtu}`)] : []),
    ...(has('stp') ? [deviceCommand(name, `type bridge stp_state ${stp ? 1 : 0}`)] : []),
    ...(has('vlanAware') ? [deviceCommand(name, `type bridge vlan_filtering ${vlanAware ? 1 : 0}`)] : [])
  ]
}

/** A bridge that is deleted and made again: only its own ports come back by themselves. */
const remake = (
  versions: Versions,
  old: BridgePlan,
  { bridge }: BridgePlan,
  cause: Step['cause'],
  differences: readonly Difference[]
): Step => {
  const maker = makerIn(versions.after, bridge)
  const cut = [cutOff(bridgeSubject(bridge.name), 'moment'), ...stranded(versions, old, maker)]
  return step('bridge-remade', bridgeSubject(bridge.name), {
    cause,
    differences,
    cut,
    commands: restarts(cut)
  })
}

/** Who stays without a bridge when it is made again. NixOS's script puts the guests of libvirt back, networkd those that have a unit. */
const stranded = (versions: Versions, old: BridgePlan, maker: 'networkd' | 'scripted'): readonly Cut[] =>
  guestsOf(versions, old).map(node => {
    const isPutBack = 'kind' in node && node.kind === (maker === 'scripted' ? 'libvirt' : 'microvm')
    return cutOff(guest(node), isPutBack ? 'moment' : 'restarted')
  })

/** The containers whose macvlan goes with the interface that it is on. */
const strandedOn = (versions: Versions, name: string): readonly Cut[] =>
  macvlansOn(versions, name)
    .filter(node => goesOn(versions, node))
    .map(node => cutOff(guest(node), 'restarted'))

const guest = (node: Container | Vm): Subject => ({
  kind: 'kind' in node ? 'machine' : 'container',
  name: node.name
})

/** Those on a bridge, or with a macvlan on it, that go on as they are. */
const guestsOf = (versions: Versions, { bridge, members }: BridgePlan): readonly (Container | Vm)[] =>
  [...new Set([...members.map(({ node }) => node), ...macvlansOn(versions, bridge.name)])].filter(node =>
    goesOn(versions, node)
  )

/** Until they are restarted they have what they had. */
const macvlansOn = ({ before }: Versions, name: string): readonly Container[] =>
  before.topology.having.macvlans.filter(({ macvlans }) =>
    macvlans.some(entry => hostName(entry.name) === name)
  )

const goesOn = ({ restarted, running, machines }: Versions, node: Container | Vm): boolean =>
  'kind' in node ? machines.has(node.name) : running.has(node.name) && !restarted.has(node.name)

const restarts = (cut: readonly Cut[]): readonly string[] =>
  cut.flatMap(({ who: { kind, name } }) => (kind === 'container' ? [restartCommand(name)] : []))

const removed = (versions: Versions, old: BridgePlan, behind: ReadonlySet<Behind>): Step => {
  const { name } = old.bridge
  const subject = bridgeSubject(name)
  if (makerIn(versions.before, old.bridge) === 'scripted')
    return step('bridge-deleted', subject, {
      cut: guestsOf(versions, old).map(node => cutOff(guest(node), 'gone'))
    })
  const commands = [deleteCommand(name)]
  if (behind.size === 0) return step('bridge-left', subject, { commands })
  const guests = new Set([...behind].flatMap(({ members }) => members.map(({ node }) => node)))
  const cut = [...[...behind].map(({ subject }) => subject), ...[...guests].map(guest)]
  return step('bridge-in-the-way', subject, { cut: cut.map(who => cutOff(who, 'deleted')), commands })
}

/** An interface of the host and who is on it: it has the network of a bridge that stays, so that nothing gets to it. */
interface Behind {
  readonly subject: Subject
  readonly members: readonly Link[]
  readonly networks: readonly Prefix[]
}

/**
 * The bridges that are gone, and of each the bridges and other interfaces of the host that have a network of it: the host's
 * route to it leads to the older one.
 */
const inTheWay = (before: Plan, after: Plan): ReadonlyMap<BridgePlan, ReadonlySet<Behind>> => {
  const found = new Map<BridgePlan, Set<Behind>>()
  const theirs = new PrefixMap<Set<Behind>>()
  for (const [name, old] of before.bridges) {
    if (after.bridges.has(name)) continue
    const behind = new Set<Behind>()
    found.set(old, behind)
    for (const network of networksOf(old.bridge)) theirs.add(network, behind)
  }
  const ours = new PrefixMap<Behind>()
  // Of two prefixes that overlap one lies in the other.
  for (const one of withNetworks(before, after))
    for (const network of one.networks) {
      ours.add(network, one)
      theirs.get(network)?.add(one)
    }
  for (const [{ bridge }, behind] of found)
    for (const network of networksOf(bridge)) {
      const around = ours.get(network)
      if (around !== undefined) behind.add(around)
    }
  return found
}

/** Whatever of the host has a network; but a bridge that stays is not in its own way. */
function* withNetworks(before: Plan, { bridges, topology }: Plan): Generator<Behind> {
  for (const [name, { bridge, members }] of bridges)
    yield { subject: bridgeSubject(name), members, networks: networksOf(bridge) }
  for (const own of topology.host.configured)
    if (!before.bridges.has(own.name))
      yield { subject: { kind: 'interface', name: own.name }, members: [], networks: networksOf(own) }
}

/**
 * The networks that the host has a route to through an interface. That of link-local addresses each has for itself, and for
 * a null address networkd chooses one.
 */
const networksOf = ({ addresses }: Pick<Bridge, 'addresses'>): readonly Prefix[] =>
  addresses.flatMap(({ prefix }) =>
    prefix === undefined ||
    prefix.bits === width(prefix.family) ||
    prefix.value === 0n ||
    isLinkLocal6(prefix)
      ? []
      : [masked(prefix)]
  )

/** Whether a bridge, VLAN, bond or macvlan of networkd's is new, gone, or has another .netdev file: networkd restarts then. */
export const makesNetdevs = (before: Plan, after: Plan): boolean => {
  const ownOf = (plan: Plan): readonly string[] => [
    ...[...plan.bridges.values()]
      .filter(({ bridge }) => makerIn(plan, bridge) === 'networkd')
      .map(({ bridge }) => `${bridge.name} ${[...ownOptions(bridge)].join(' ')}`),
    ...(usesNetworkd(plan)
      ? [
          ...plan.topology.host.vlans.map(vlan => `${vlan.name} ${vlan.id}`),
          ...plan.topology.host.bonds.map(({ name, mode }) => `${name} ${mode}`),
          ...plan.topology.host.macvlans.map(({ name, mode = 'vepa' }) => `${name} ${mode}`)
        ]
      : [])
  ]
  const [old, new_] = [new Set(ownOf(before)), new Set(ownOf(after))]
  return old.size !== new_.size || [...old].some(text => !new_.has(text))
}

// VLANs, bonds and macvlans

function* vlanOptions({ id, interface: parent }: Vlan): Generator<readonly [string, Value]> {
  yield ['id', String(id)]
  yield ['interface', parent.name]
}

function* bondOptions({ interfaces, mode }: Bond): Generator<readonly [string, Value]> {
  yield ['interfaces', interfaces.map(({ name }) => name)]
  yield ['mode', mode]
}

function* macvlanOptions({ mode = 'vepa', interface: parent }: Macvlan): Generator<readonly [string, Value]> {
  yield ['interface', parent.name]
  yield ['mode', mode]
}

interface DeviceChange {
  readonly subject: Subject
  readonly change: 'made' | 'removed' | 'changed'
  readonly differences: readonly Difference[]
}

const deviceChanges = (before: Plan, after: Plan): readonly DeviceChange[] => {
  const [from, to] = [before.topology.host, after.topology.host]
  const makers =
    usesNetworkd(before) === usesNetworkd(after)
      ? []
      : [{ option: 'host.manager', before: from.manager, after: to.manager }]
  return [
    ...compareDevices('vlan', from.vlans, to.vlans, vlanOptions, makers),
    ...compareDevices('bond', from.bonds, to.bonds, bondOptions, makers),
    ...compareDevices('macvlan', from.macvlans, to.macvlans, macvlanOptions, makers)
  ]
}

const compareDevices = <T extends { readonly name: string }>(
  kind: 'vlan' | 'bond' | 'macvlan',
  before: readonly T[],
  after: readonly T[],
  options: (item: T) => Iterable<readonly [string, Value]>,
  makers: readonly Difference[]
): readonly DeviceChange[] => {
  const new_ = new Map(after.map(item => [item.name, item]))
  const old = new Map(before.map(item => [item.name, item]))
  const changes: DeviceChange[] = []
  for (const [name, item] of old) {
    const subject: Subject = { kind, name }
    const next = new_.get(name)
    if (next === undefined) {
      changes.push({ subject, change: 'removed', differences: [] })
      continue
    }
    const differences = [...makers, ...differ(options, item, next)]
    if (differences.length > 0) changes.push({ subject, change: 'changed', differences })
  }
  for (const name of new_.keys())
    if (!old.has(name)) changes.push({ subject: { kind, name }, change: 'made', differences: [] })
  return changes
}

/**
 * What is deleted, and made again where it is still to be there: with it goes what is bound to it. NixOS's scripts delete
 * what is no longer theirs and what they find when they are to make it; up to 25.11 VLANs and bonds are a part of
 * network-setup.service, as bridges are (network-interfaces-scripted.nix).
 */
const remadeDevices = (before: Plan, after: Plan, setup: readonly Difference[]): ReadonlySet<string> => {
  if (usesNetworkd(before) && usesNetworkd(after)) return new Set()
  const remade = new Set(
    deviceChanges(before, after).flatMap(({ subject, change }) =>
      change === 'changed' || (change === 'removed' && !usesNetworkd(before)) ? [subject.name] : []
    )
  )
  const { vlans, bonds, macvlans } = before.topology.host
  if (setup.length > 0) for (const { name } of [...vlans, ...bonds, ...macvlans]) remade.add(name)
  for (const [name, { bridge }] of before.bridges) {
    const next = after.bridges.get(name)?.bridge
    const maker = makerIn(before, bridge)
    if (next === undefined ? maker === 'scripted' : maker !== makerIn(after, next)) remade.add(name)
  }
  return withThoseAbove(before, remade)
}

/** These interfaces and the VLANs, macvlans, bonds and bridges of the scripts on them, on those, and so on. */
const withThoseAbove = (plan: Plan, lower: Iterable<string>): ReadonlySet<string> => {
  const { vlans, bonds, macvlans } = plan.topology.host
  const found = new Set(lower)
  const above = new Map<string, string[]>()
  const on = (lower: string, upper: string): void => {
    const known = above.get(lower)
    if (known === undefined) above.set(lower, [upper])
    else known.push(upper)
  }
  for (const { name, interface: parent } of [...vlans, ...macvlans]) on(parent.name, name)
  for (const { name, interfaces } of bonds) for (const { name: member } of interfaces) on(member, name)
  for (const [name, { bridge }] of plan.bridges)
    if (makerIn(plan, bridge) === 'scripted') for (const { name: port } of bridge.interfaces) on(port, name)
  const open = [...found]
  for (let name = open.pop(); name !== undefined; name = open.pop())
    for (const upper of above.get(name) ?? [])
      if (!found.has(upper)) {
        found.add(upper)
        open.push(upper)
      }
  return found
}

export const deviceSteps = (versions: Versions): readonly Step[] => {
  const { before, after } = versions
  const cause = usesNetworkd(before) === usesNetworkd(after) ? undefined : 'maker'
  const steps: Step[] = []
  const told = new Set<string>()
  const made = new Set(writtenNetdevs(after.topology.host).map(({ name }) => name?.text))
  for (const { subject, change, differences } of deviceChanges(before, after)) {
    const { name } = subject
    told.add(name)
    if (change === 'made') steps.push(step('device-made', subject))
    else if (change === 'removed' && usesNetworkd(before)) {
      // By hand from now on.
      if (!made.has(name)) steps.push(step('device-left', subject, { commands: [deleteCommand(name)] }))
    } else if (usesNetworkd(before) && usesNetworkd(after)) {
      const kept = differences.filter(({ option }) => option !== 'interfaces')
      const members = differences.filter(({ option }) => option === 'interfaces')
      if (members.length > 0) steps.push(step('reconfigured', subject, { differences: members }))
      if (kept.length > 0)
        steps.push(step('device-kept', subject, { differences: kept, commands: anew(versions, name) }))
    } else {
      const cut = strandedOn(versions, name)
      steps.push(
        change === 'removed'
          ? step('device-deleted', subject, { cut, commands: restarts(cut) })
          : step('device-remade', subject, { cause, differences, cut, commands: restarts(cut) })
      )
    }
  }
  const setup = networkSetup(before, after)
  const remade = remadeDevices(before, after, setup)
  for (const { kind, name } of devicesOf(after)) {
    if (told.has(name) || !remade.has(name)) continue
    const cut = strandedOn(versions, name)
    steps.push(
      step(
        'device-remade',
        { kind, name },
        {
          cause: setup.length > 0 ? 'network-setup' : undefined,
          differences: setup,
          cut,
          commands: restarts(cut)
        }
      )
    )
  }
  return steps
}

const devicesOf = ({ topology: { host } }: Plan): readonly Subject[] => [
  ...host.vlans.map(({ name }) => ({ kind: 'vlan' as const, name })),
  ...host.bonds.map(({ name }) => ({ kind: 'bond' as const, name })),
  ...host.macvlans.map(({ name }) => ({ kind: 'macvlan' as const, name }))
]

/** What makes an interface of networkd's anew, with all that goes with it. */
export const anew = (versions: Versions, name: string): readonly string[] => {
  const bridge = versions.before.bridges.get(name)
  const lost = [...withThoseAbove(versions.before, [name])].flatMap(lost => strandedOn(versions, lost))
  const guests = bridge === undefined ? [] : stranded(versions, bridge, 'networkd')
  return [deleteCommand(name), NETWORKD, ...new Set(restarts([...lost, ...guests]))]
}
