import type { Bond, Bridge, Vlan } from '../model/topology.ts'
import { formatMac } from '../net/mac.ts'
import { PrefixMap } from '../net/set.ts'
import { networkSetup } from './change-host.ts'
import {
  addressValues,
  byNames,
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
  for (const { name, sections } of byNames(bridge.portVlans))
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
  const around: Around = {
    remade: remadeDevices(before, after),
    setup: networkSetup(before, after),
    restarts: makesNetdevs(before, after),
    ports: new Set(after.topology.bridges.flatMap(({ interfaces }) => interfaces.map(({ name }) => name)))
  }
  const behind = inTheWay(before, after)
  const steps: Step[] = []
  for (const [name, old] of before.bridges) {
    const next = after.bridges.get(name)
    if (next === undefined) steps.push(...removed(versions, old, behind.get(old) ?? new Set()))
    else for (const one of changed(versions, old, next, around)) steps.push(one)
  }
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
  /** VLANs and bonds that are made anew. */
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
    const cause = lower.length > 0 ? 'port' : around.setup.length > 0 ? 'network-setup' : undefined
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
  { before, after }: Versions,
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
  const now = new Set(bridge.interfaces.map(({ name }) => name))
  const stay = old.bridge.interfaces.filter(
    ({ name }) => !now.has(name) && !taken.has(name) && !isConfigured(after, name)
  )
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
  const left = restarts && !updatesAll(after) ? goneAddresses(before, after, bridge.name) : []
  if (left.length > 0)
    yield step('addresses-left', subject, {
      differences: left.map(address => ({ option: 'address', before: address, after: undefined })),
      commands: left.map(address => `ip address delete ${address} dev ${shellWord(bridge.name)}`)
    })
}

const goneAddresses = (before: Plan, after: Plan, name: string): readonly string[] => {
  const now = new Set(addressValues(after.bridges.get(name)?.bridge.addresses ?? []))
  return addressValues(
    (before.bridges.get(name)?.bridge.addresses ?? []).filter(({ prefix }) => prefix !== undefined)
  ).filter(address => !now.has(address))
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
  const cut = [cutOff(bridgeSubject(bridge.name), 'moment'), ...stranded(versions, old.members, maker)]
  return step('bridge-remade', bridgeSubject(bridge.name), {
    cause,
    differences,
    cut,
    commands: restarts(cut)
  })
}

/** Who stays without a bridge when it is made again. NixOS's script puts the guests of libvirt back, networkd those that have a unit. */
const stranded = (
  { restarted, running, machines }: Versions,
  members: readonly Link[],
  maker: 'networkd' | 'scripted'
): readonly Cut[] => {
  const found = new Map<string, Cut>()
  for (const { node, container } of members) {
    if (container !== undefined) {
      if (running.has(node.name) && !restarted.has(node.name))
        found.set(node.name, cutOff({ kind: 'container', name: node.name }, 'restarted'))
    } else if ('kind' in node && machines.has(node.name))
      found.set(
        `machine ${node.name}`,
        cutOff(
          { kind: 'machine', name: node.name },
          node.kind === (maker === 'scripted' ? 'libvirt' : 'microvm') ? 'moment' : 'restarted'
        )
      )
  }
  return [...found.values()]
}

const restarts = (cut: readonly Cut[]): readonly string[] =>
  cut.flatMap(({ who, until }) =>
    who.kind === 'container' && until === 'restarted' ? [restartCommand(who.name)] : []
  )

const removed = (versions: Versions, old: BridgePlan, behind: ReadonlySet<BridgePlan>): readonly Step[] => {
  const { before } = versions
  const { name } = old.bridge
  const subject = bridgeSubject(name)
  if (makerIn(before, old.bridge) === 'scripted') {
    const cut = stranded(versions, old.members, 'scripted').map(({ who }) => cutOff(who, 'gone'))
    return [step('bridge-deleted', subject, { cut })]
  }
  const commands = [deleteCommand(name)]
  if (behind.size === 0) return [step('bridge-left', subject, { commands })]
  const cut = new Map<string, Cut>()
  for (const { bridge, members } of behind) {
    cut.set(bridge.name, cutOff(bridgeSubject(bridge.name), 'deleted'))
    for (const { node, container } of members) {
      const kind = container === undefined ? 'machine' : 'container'
      cut.set(`${kind} ${node.name}`, cutOff({ kind, name: node.name }, 'deleted'))
    }
  }
  return [step('bridge-in-the-way', subject, { cut: [...cut.values()], commands })]
}

/** Of each bridge that is gone the bridges that have a network of it: the host's route to it leads to the older one. */
const inTheWay = (before: Plan, after: Plan): ReadonlyMap<BridgePlan, ReadonlySet<BridgePlan>> => {
  const gone = [...before.bridges.values()].filter(({ bridge }) => !after.bridges.has(bridge.name))
  const found = new Map(gone.map(bridge => [bridge, new Set<BridgePlan>()]))
  if (gone.length === 0) return found
  const mapOf = (bridges: Iterable<BridgePlan>): PrefixMap<BridgePlan> => {
    const map = new PrefixMap<BridgePlan>()
    for (const bridge of bridges) for (const { prefix } of bridge.subnets) map.add(prefix, bridge)
    return map
  }
  const [theirs, ours] = [mapOf(gone), mapOf(after.bridges.values())]
  // Of two prefixes that overlap one lies in the other.
  for (const bridge of gone)
    for (const { prefix } of bridge.subnets) {
      const around = ours.get(prefix)
      if (around !== undefined) found.get(bridge)?.add(around)
    }
  for (const bridge of after.bridges.values())
    for (const { prefix } of bridge.subnets) {
      const around = theirs.get(prefix)
      if (around !== undefined) found.get(around)?.add(bridge)
    }
  return found
}

/** Whether a bridge, VLAN or bond of networkd's is new, gone, or has another .netdev file: networkd restarts then. */
export const makesNetdevs = (before: Plan, after: Plan): boolean => {
  const ownOf = (plan: Plan): readonly string[] => [
    ...[...plan.bridges.values()]
      .filter(({ bridge }) => makerIn(plan, bridge) === 'networkd')
      .map(({ bridge }) => `${bridge.name} ${[...ownOptions(bridge)].join(' ')}`),
    ...(usesNetworkd(plan)
      ? [
          ...plan.topology.host.vlans.map(vlan => `${vlan.name} ${vlan.id}`),
          ...plan.topology.host.bonds.map(({ name, mode }) => `${name} ${mode}`)
        ]
      : [])
  ]
  const [old, new_] = [new Set(ownOf(before)), new Set(ownOf(after))]
  return old.size !== new_.size || [...old].some(text => !new_.has(text))
}

// VLANs and bonds

function* vlanOptions({ id, interface: parent }: Vlan): Generator<readonly [string, Value]> {
  yield ['id', String(id)]
  yield ['interface', parent.name]
}

function* bondOptions({ interfaces, mode }: Bond): Generator<readonly [string, Value]> {
  yield ['interfaces', interfaces.map(({ name }) => name)]
  yield ['mode', mode]
}

interface DeviceChange {
  readonly subject: Subject
  readonly change: 'made' | 'removed' | 'changed'
  readonly differences: readonly Difference[]
}

const deviceChanges = (before: Plan, after: Plan): readonly DeviceChange[] => [
  ...compareDevices('vlan', before.topology.host.vlans, after.topology.host.vlans, vlanOptions),
  ...compareDevices('bond', before.topology.host.bonds, after.topology.host.bonds, bondOptions)
]

const compareDevices = <T extends { readonly name: string }>(
  kind: 'vlan' | 'bond',
  before: readonly T[],
  after: readonly T[],
  options: (item: T) => Iterable<readonly [string, Value]>
): readonly DeviceChange[] => {
  const new_ = new Map(after.map(item => [item.name, item]))
  const old = new Map(before.map(item => [item.name, item]))
  const changes: DeviceChange[] = []
  for (const [name, item] of old) {
    const next = new_.get(name)
    const differences = next === undefined ? [] : differ(options, item, next)
    if (next === undefined || differences.length > 0)
      changes.push({
        subject: { kind, name },
        change: next === undefined ? 'removed' : 'changed',
        differences
      })
  }
  for (const name of new_.keys())
    if (!old.has(name)) changes.push({ subject: { kind, name }, change: 'made', differences: [] })
  return changes
}

/** VLANs and bonds that NixOS's scripts delete and make again, or delete: with them goes what is bound to them. */
const remadeDevices = (before: Plan, after: Plan): ReadonlySet<string> => {
  if (usesNetworkd(before) || usesNetworkd(after)) return new Set()
  const remade = new Set(
    deviceChanges(before, after).flatMap(({ subject, change }) => (change === 'made' ? [] : [subject.name]))
  )
  return withThoseAbove(before, remade)
}

/** These interfaces and the VLANs and bonds on them, on those, and so on. */
const withThoseAbove = ({ topology }: Plan, lower: Iterable<string>): ReadonlySet<string> => {
  const { vlans, bonds } = topology.host
  const found = new Set(lower)
  const above = new Map<string, string[]>()
  const on = (lower: string, upper: string): void => {
    const known = above.get(lower)
    if (known === undefined) above.set(lower, [upper])
    else known.push(upper)
  }
  for (const { name, interface: parent } of vlans) on(parent.name, name)
  for (const { name, interfaces } of bonds) for (const { name: member } of interfaces) on(member, name)
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
  const isNetworkds = usesNetworkd(after)
  const steps: Step[] = []
  const told = new Set<string>()
  const made = new Set(writtenNetdevs(after.topology.host).map(({ name }) => name?.text))
  for (const { subject, change, differences } of deviceChanges(before, after)) {
    const { name } = subject
    told.add(name)
    if (change === 'made') steps.push(step('device-made', subject))
    else if (isNetworkds && change === 'removed') {
      // By hand from now on.
      if (!made.has(name)) steps.push(step('device-left', subject, { commands: [deleteCommand(name)] }))
    } else if (isNetworkds) {
      const kept = differences.filter(({ option }) => option !== 'interfaces')
      const members = differences.filter(({ option }) => option === 'interfaces')
      if (members.length > 0) steps.push(step('reconfigured', subject, { differences: members }))
      if (kept.length > 0)
        steps.push(
          step('device-kept', subject, {
            differences: kept,
            commands: anew(versions, name)
          })
        )
    } else {
      const cut = strandedOn(versions, name)
      steps.push(
        step(change === 'removed' ? 'device-deleted' : 'device-remade', subject, {
          differences,
          cut,
          commands: restarts(cut)
        })
      )
    }
  }
  for (const name of remadeDevices(before, after)) {
    if (told.has(name)) continue
    const kind = after.topology.host.vlans.some(vlan => vlan.name === name) ? 'vlan' : 'bond'
    const cut = strandedOn(versions, name)
    steps.push(step('device-remade', { kind, name }, { cut, commands: restarts(cut) }))
  }
  return steps
}

/** What makes an interface of networkd's anew, with all that goes with it. */
export const anew = (versions: Versions, name: string): readonly string[] => [
  deleteCommand(name),
  NETWORKD,
  ...restarts([
    ...[...withThoseAbove(versions.before, [name])].flatMap(lost => strandedOn(versions, lost)),
    ...stranded(versions, versions.before.bridges.get(name)?.members ?? [], 'networkd')
  ])
]

/** The containers whose macvlan goes with the interface that it is on. */
const strandedOn = ({ after, restarted, running }: Versions, name: string): readonly Cut[] =>
  after.topology.having.macvlans.flatMap(({ name: container, macvlans }) =>
    running.has(container) &&
    !restarted.has(container) &&
    macvlans.some(entry => hostName(entry.name) === name)
      ? [cutOff({ kind: 'container', name: container }, 'restarted')]
      : []
  )
