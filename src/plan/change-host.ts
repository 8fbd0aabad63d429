import type { Host } from '../model/topology.ts'
import { type Addr, type Family, formatAddr } from '../net/addr.ts'
import {
  addressValue,
  addressValues,
  compareOptions,
  cutOff,
  type Difference,
  firewallOptions,
  flagValue,
  gatewayValue,
  interfaceOptions,
  isOlder,
  isSame,
  natOptions,
  restartCommand,
  routeValues,
  shellWord,
  type Step,
  step,
  type Subject,
  type Value
} from './change-step.ts'
import { copiesResolver, loopbackResolver } from './dns.ts'
import { entranceOf } from './firewall.ts'
import { forwardsHost } from './forwarding.ts'
import { FAMILIES, type Plan } from './plan.ts'
import { makerOf } from './units.ts'

// What changes of the host itself: its interfaces, routers, resolver, sysctls, firewall and NAT.

export const HOST: Subject = { kind: 'host', name: 'the host' }

/**
 * What makes network-setup.service restart, with which every bridge of NixOS's scripts is deleted and made again: up to
 * 25.11 they are part of it (PartOf=, NixOS/nixpkgs#26342), its script has the routers and nameservers of the host, its
 * unit the names of all interfaces but bridges, and it is itself part of the services that set their addresses. PR 515773
 * removed it.
 */
export const networkSetup = (before: Plan, after: Plan): readonly Difference[] => {
  const { host } = after.topology
  if (!isOlder(host, '26.05')) return []
  // Of an uplink that NetworkManager manages, networking.interfaces and the like say nothing.
  const isOwn = host.manager !== 'networkmanager'
  return compareOptions(setupOptions(before, isOwn), setupOptions(after, isOwn))
}

const setupOptions = (plan: Plan, isOwn: boolean): ReadonlyMap<string, Value> => {
  const { host, bridges } = plan.topology
  const options = new Map<string, Value>()
  if (isOwn) {
    options.set('host.defaultGateway', gatewayValue(host.defaultGateway))
    options.set('host.defaultGateway6', gatewayValue(host.defaultGateway6))
    // With resolved the script has none.
    if (host.resolved !== true) options.set('host.nameservers', addressValues(host.nameservers))
    for (const { name, addresses, routes } of host.interfaces) {
      options.set(`host.interfaces.${name}.address`, addressValues(addresses))
      options.set(`host.interfaces.${name}.routes`, routeValues(routes))
    }
  }
  const names = new Set(isOwn ? host.interfaces.map(({ name }) => name) : [])
  for (const bridge of bridges)
    if (makerOf(plan.topology, bridge) === 'scripted')
      for (const { name } of bridge.interfaces) names.add(name)
  for (const { interfaces } of host.bonds) for (const { name } of interfaces) names.add(name)
  for (const { interface: parent } of [...host.vlans, ...host.macvlans]) names.add(parent.name)
  for (const { name } of bridges) names.delete(name)
  options.set('networking.interfaces', [...names].sort())
  return options
}

export const hostSteps = (
  before: Plan,
  after: Plan,
  running: ReadonlySet<string>,
  restarted: ReadonlySet<string>
): readonly Step[] => [
  ...versionSteps(before.topology.host, after.topology.host),
  ...configuredSteps(before, after),
  ...interfaceSteps(before, after),
  ...sysctlSteps(before.topology.host, after.topology.host),
  ...resolverSteps(before, after, running, restarted),
  ...filterSteps(before, after)
]

function* versionSteps(before: Host, after: Host): Generator<Step> {
  for (const option of ['release', 'kernel', 'manager'] as const)
    if (before[option] !== after[option])
      yield step(option, HOST, {
        differences: [{ option: `host.${option}`, before: before[option], after: after[option] }]
      })
}

const hostOptions = (host: Host): ReadonlyMap<string, Value> =>
  new Map<string, Value>([
    ['host.useDHCP', flagValue(host.useDHCP)],
    ['host.enableIPv6', host.enableIPv6 ? undefined : 'false'],
    ['host.enableContainers', host.enableContainers ? undefined : 'false'],
    ['host.defaultGateway', gatewayValue(host.defaultGateway)],
    ['host.defaultGateway6', gatewayValue(host.defaultGateway6)],
    ['host.nameservers', addressValues(host.nameservers)],
    ['host.resolvConf', addressValues(host.resolvConf)],
    ['host.resolved', flagValue(host.resolved)],
    ['host.networkmanager.unmanaged', host.unmanaged],
    [
      'host.dhcpServers',
      host.dhcpServers.map(({ interface: { name }, program, subnet, range }) =>
        [
          name,
          ...(program === undefined ? [] : [`by ${program}`]),
          ...(subnet === undefined ? [] : [addressValue(subnet)]),
          ...(range === undefined ? [] : [rangeText(range)])
        ].join(' ')
      )
    ]
  ])

const rangeText = ({ from, to }: { readonly from: Addr; readonly to: Addr }): string =>
  `${formatAddr(from)}-${formatAddr(to)}`

function* configuredSteps(before: Plan, after: Plan): Generator<Step> {
  const differences = compareOptions(hostOptions(before.topology.host), hostOptions(after.topology.host))
  if (differences.length > 0)
    yield step('host-configured', HOST, { differences, cut: [cutOff(HOST, 'moment')] })
}

function* interfaceSteps(before: Plan, after: Plan): Generator<Step> {
  const { host } = after.topology
  const old = new Map(before.topology.host.interfaces.map(entry => [entry.name, entry]))
  const new_ = new Map(host.interfaces.map(entry => [entry.name, entry]))
  for (const name of new Set([...old.keys(), ...new_.keys()])) {
    const options = [old.get(name), new_.get(name)].map(
      entry => new Map(entry && interfaceOptions('', entry))
    )
    const subject: Subject = { kind: 'interface', name }
    const differences = compareOptions(options[0] ?? new Map(), options[1] ?? new Map()).map(difference => ({
      ...difference,
      option: difference.option.slice(1)
    }))
    if (differences.length === 0) continue
    const cut = [cutOff(subject, 'moment')]
    if (host.manager === 'networkd') {
      yield step('reconfigured', subject, { differences, cut })
      continue
    }
    const isKept = ({ option }: Difference): boolean => option === 'macAddress' || option === 'mtu'
    const kept = host.manager === 'networkmanager' ? [] : differences.filter(isKept)
    const others = differences.filter(difference => !kept.includes(difference))
    if (others.length > 0) yield step('interface-configured', subject, { differences: others, cut })
    const { mtu } = new_.get(name) ?? {}
    if (kept.length > 0)
      yield step('link-kept', subject, {
        differences: kept,
        commands:
          kept.some(({ option }) => option === 'mtu') && mtu !== undefined
            ? [`ip link set dev ${shellWord(name)} mtu ${mtu}`]
            : []
      })
  }
}

/** systemd-sysctl sets what is written, and sets nothing back. */
function* sysctlSteps(before: Host, after: Host): Generator<Step> {
  const options = ({ sysctl }: Host): ReadonlyMap<string, Value> =>
    new Map(Array.from(sysctl, ([name, { text }]) => [`host.sysctl.${name}`, text]))
  const differences = compareOptions(options(before), options(after))
  const gone = differences.filter(({ after: value }) => value === undefined)
  const set = differences.filter(({ after: value }) => value !== undefined)
  if (set.length > 0) yield step('sysctl-set', HOST, { differences: set })
  if (gone.length > 0) yield step('sysctl-stays', HOST, { differences: gone })
}

/** Whom the host's resolv.conf lists, as far as the file tells. */
const resolvConf = ({ topology: { host } }: Plan): readonly string[] =>
  loopbackResolver(host)?.servers ??
  addressValues(host.resolvConf.length > 0 ? host.resolvConf : host.nameservers)

/** A container that copies the host's resolv.conf does it when it starts. */
function* resolverSteps(
  before: Plan,
  after: Plan,
  running: ReadonlySet<string>,
  restarted: ReadonlySet<string>
): Generator<Step> {
  const options = ({ topology: { host } }: Plan): ReadonlyMap<string, Value> =>
    new Map<string, Value>([
      ['host.nameservers', addressValues(host.nameservers)],
      ['host.resolvConf', addressValues(host.resolvConf)],
      ['host.resolved', flagValue(host.resolved)]
    ])
  const differences = compareOptions(options(before), options(after))
  if (differences.length === 0 || isSame(resolvConf(before), resolvConf(after))) return
  const names = after.topology.containers.flatMap(container =>
    running.has(container.name) && !restarted.has(container.name) && copiesResolver(after, container)
      ? [container.name]
      : []
  )
  if (names.length > 0)
    yield step('resolver-copied', HOST, {
      differences,
      cut: names.map(name => cutOff({ kind: 'container', name }, 'restarted', 'nameserver')),
      commands: names.map(restartCommand)
    })
}

function* filterSteps(before: Plan, after: Plan): Generator<Step> {
  const [old, new_] = [before.topology.host.firewall, after.topology.host.firewall]
  const firewall = compareOptions(new Map(firewallOptions(old)), new Map(firewallOptions(new_)))
  if (firewall.length > 0)
    yield step(
      old.enable === new_.enable && old.backend === new_.backend ? 'firewall-reloaded' : 'firewall-replaced',
      { kind: 'firewall', name: 'the firewall' },
      { differences: firewall }
    )
  const nat = [
    ...compareOptions(new Map(natOptions(before.nat.nat)), new Map(natOptions(after.nat.nat))),
    ...translated(before, after)
  ]
  const isService = !new_.enable && new_.backend === 'iptables'
  if (nat.length > 0)
    yield step(
      isService ? 'nat-restarted' : 'nat-reloaded',
      { kind: 'nat', name: 'NAT' },
      { differences: nat }
    )
  const stays = FAMILIES.filter(
    family => natForwards(before, family) && !natForwards(after, family) && !forwards(after, family)
  )
  if (stays.length > 0)
    yield step('forwarding-stays', HOST, {
      differences: nat.filter(({ option }) => option === 'nat.enable' || option === 'nat.enableIPv6'),
      commands: stays.flatMap(family =>
        ['all', 'default'].map(name => `sysctl -w net.ipv${family}.conf.${name}.forwarding=0`)
      )
    })
}

/** Whether nat.nix lets the host forward packets of a family. */
const natForwards = ({ nat: { nat } }: Plan, family: Family): boolean =>
  nat?.enable === true && (family === 4 || nat.enableIPv6)

/** Whether something else in the file does, or says anything of it that the switch sets. */
const forwards = (plan: Plan, family: Family): boolean =>
  forwardsHost(plan, family) ||
  [...plan.topology.host.sysctl.keys()].some(
    name => name.startsWith(`net.ipv${family}.`) && name.includes('forward')
  )

/** The entrances whose packets are translated in one version and not in the other, of those that both have. */
const translated = (before: Plan, after: Plan): readonly Difference[] => {
  const [old, new_] = [coverage(before), coverage(after)]
  const found: Difference[] = []
  for (const [entrance, covered] of old) {
    const now = new_.get(entrance)
    if (now === undefined) continue
    // What networkd does is told of the bridge.
    for (const family of FAMILIES)
      if (covered[family] !== now[family] && covered[family] !== 'networkd' && now[family] !== 'networkd')
        found.push({
          option: `translates IPv${family} of`,
          before: covered[family] ? entrance : undefined,
          after: now[family] ? entrance : undefined
        })
  }
  return found
}

type Coverage = Record<Family, boolean | 'networkd'>

const coverage = ({ links, nat }: Plan): ReadonlyMap<string, Coverage> => {
  const found = new Map<string, Coverage>()
  for (const link of links) {
    const entrance = entranceOf(link)
    if (entrance === '') continue
    const known = found.get(entrance) ?? { 4: false, 6: false }
    found.set(entrance, known)
    for (const family of FAMILIES)
      known[family] ||=
        link.bridge?.bridge.masquerade[family] === true ? 'networkd' : nat.covers(link, family)
  }
  return found
}
