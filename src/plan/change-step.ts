import type {
  AddressText,
  Firewall,
  Gateway,
  Host,
  Interface,
  MacText,
  Nat,
  OpenPorts,
  Route
} from '../model/topology.ts'
import { formatAddr } from '../net/addr.ts'
import { formatMac } from '../net/mac.ts'
import { formatPrefix } from '../net/prefix.ts'
import { byName } from '../text/order.ts'
import { compareVersions } from './releases.ts'

// What the parts of a change are made of: steps, and options compared as people write them.

/**
 * How a change reaches what runs, gravest first. by-hand: the switch to the new configuration does not do it, a command or
 * the next boot does. restart: something is stopped and started by the switch. live: it happens while everything runs.
 */
export type Gravity = 'by-hand' | 'restart' | 'live'

export interface Subject {
  readonly kind:
    | 'host'
    | 'bridge'
    | 'interface'
    | 'vlan'
    | 'bond'
    | 'macvlan'
    | 'unit'
    | 'networkd'
    | 'firewall'
    | 'nat'
    | 'container'
    | 'machine'
  readonly name: string
}

/** An option by its name in NixOS, with the values as they are written; undefined where it has none. */
export interface Difference {
  readonly option: string
  readonly before: string | undefined
  readonly after: string | undefined
}

/**
 * Until when somebody is cut off. moment: less than a second or two. started: until it, or what it needs, has started
 * again, which the switch does. restarted: until it is restarted by hand. deleted: until what is in the way is deleted by
 * hand. gone: it has been stopped.
 */
export type Until = 'moment' | 'started' | 'restarted' | 'deleted' | 'gone'

/**
 * Why a bridge, VLAN or bond is made anew. maker: another program is to make it. network-setup: it is a part of
 * network-setup.service, which changes. port: a port of the bridge is made anew.
 */
export type Cause = 'maker' | 'network-setup' | 'port'

/** Somebody without the network, or without a way out. */
export interface Cut {
  readonly who: Subject
  readonly until: Until
  /** What of theirs is not there, where it is not their own end. */
  readonly lacks: 'gateway' | 'nameserver' | undefined
}

/** One thing that happens, or does not happen, to one part of the network. */
export interface Step {
  readonly gravity: Gravity
  readonly subject: Subject
  readonly effect: Effect
  readonly cause: Cause | undefined
  readonly differences: readonly Difference[]
  readonly cut: readonly Cut[]
  /** What to run by hand on the host, each a line of shell. */
  readonly commands: readonly string[]
}

const NONE: readonly never[] = []

/** What can happen; docs/change-json.md says what each means. */
export type Effect =
  // the host
  | 'release'
  | 'kernel'
  | 'manager'
  | 'sysctl-set'
  | 'sysctl-stays'
  | 'forwarding-stays'
  | 'resolver-copied'
  | 'host-configured'
  | 'interface-configured'
  | 'link-kept'
  | 'address-twice'
  // bridges
  | 'bridge-made'
  | 'bridge-deleted'
  | 'bridge-left'
  | 'bridge-in-the-way'
  | 'bridge-remade'
  | 'bridge-reloaded'
  | 'addresses-set'
  | 'addresses-left'
  | 'port-stays'
  // what systemd-networkd makes and configures
  | 'netdev-updated'
  | 'netdev-kept'
  | 'reconfigured'
  | 'networkd-restarts'
  | 'networkd-reloads'
  // VLANs and bonds
  | 'device-made'
  | 'device-deleted'
  | 'device-left'
  | 'device-remade'
  | 'device-kept'
  // the firewall
  | 'firewall-reloaded'
  | 'firewall-replaced'
  | 'nat-reloaded'
  | 'nat-restarted'
  // containers and machines
  | 'container-started'
  | 'container-added'
  | 'container-stopped'
  | 'container-restarted'
  | 'container-restarted-if-started'
  | 'container-waits'
  | 'container-built-elsewhere'
  | 'container-at-boot'
  | 'machine-added'
  | 'machine-removed'
  | 'machine-changed'

/** How grave each is by itself. */
export const GRAVITY: Readonly<Record<Effect, Gravity>> = {
  release: 'restart',
  kernel: 'by-hand',
  manager: 'by-hand',
  'sysctl-set': 'live',
  'sysctl-stays': 'by-hand',
  'forwarding-stays': 'by-hand',
  'resolver-copied': 'by-hand',
  'host-configured': 'live',
  'interface-configured': 'live',
  'link-kept': 'by-hand',
  'address-twice': 'by-hand',
  'bridge-made': 'live',
  'bridge-deleted': 'restart',
  'bridge-left': 'by-hand',
  'bridge-in-the-way': 'by-hand',
  'bridge-remade': 'restart',
  'bridge-reloaded': 'live',
  'addresses-set': 'live',
  'addresses-left': 'by-hand',
  'port-stays': 'by-hand',
  'netdev-updated': 'live',
  'netdev-kept': 'by-hand',
  reconfigured: 'live',
  'networkd-restarts': 'live',
  'networkd-reloads': 'live',
  'device-made': 'live',
  'device-deleted': 'restart',
  'device-left': 'by-hand',
  'device-remade': 'restart',
  'device-kept': 'by-hand',
  'firewall-reloaded': 'live',
  'firewall-replaced': 'live',
  'nat-reloaded': 'live',
  'nat-restarted': 'live',
  'container-started': 'live',
  'container-added': 'live',
  'container-stopped': 'restart',
  'container-restarted': 'restart',
  'container-restarted-if-started': 'restart',
  'container-waits': 'by-hand',
  'container-built-elsewhere': 'by-hand',
  'container-at-boot': 'live',
  'machine-added': 'live',
  'machine-removed': 'live',
  'machine-changed': 'by-hand'
}

/** A step; what leaves somebody cut off until he is restarted by hand is to be done by hand, whatever it is. */
export const step = (
  effect: Effect,
  subject: Subject,
  {
    differences = NONE,
    cut = NONE,
    commands = NONE,
    cause
  }: Partial<Pick<Step, 'differences' | 'cut' | 'commands' | 'cause'>> = {}
): Step => ({
  gravity: cut.some(({ until }) => until === 'restarted') ? 'by-hand' : GRAVITY[effect],
  subject,
  effect,
  cause,
  differences,
  cut,
  commands
})

export const cutOff = (who: Subject, until: Until, lacks?: Cut['lacks']): Cut => ({ who, until, lacks })

/** The value of an option; several where it is a list, of which each is told for itself. */
export type Value = string | readonly string[] | undefined

/** Options in the order in which they are told. */
export type Options = ReadonlyMap<string, Value>

export const compareOptions = (before: Options, after: Options): readonly Difference[] => {
  const found: Difference[] = []
  for (const [option, value] of before) add(found, option, value, after.get(option))
  for (const [option, value] of after) if (!before.has(option)) add(found, option, undefined, value)
  return found
}

const add = (found: Difference[], option: string, before: Value, after: Value): void => {
  const [old, new_] = [items(before), items(after)]
  if (old.length === new_.length && old.every((item, i) => item === new_[i])) return
  const [had, has] = [new Set(old), new Set(new_)]
  const removed = old.filter(item => !has.has(item))
  const added = new_.filter(item => !had.has(item))
  // The order counts, or how often something stands there.
  if (removed.length + added.length === 0)
    found.push({ option, before: old.join(', '), after: new_.join(', ') })
  for (let i = 0; i < Math.max(removed.length, added.length); i += 1)
    found.push({ option, before: removed[i], after: added[i] })
}

const items = (value: Value): readonly string[] =>
  value === undefined ? NONE : typeof value === 'string' ? [value] : value

/**
 * Whether two plain things are written alike, wherever they stand. It may say no to what means the same, so it only saves
 * the work of comparing options: of 100,000 containers few have changed.
 */
export const isSame = (a: unknown, b: unknown): boolean => {
  if (a === b) return true
  if (!isRecord(a) || !isRecord(b)) return false
  const keys = Object.keys(a)
  // Where something stands is no part of it, and neither is whether its address was chosen.
  return (
    keys.length === Object.keys(b).length &&
    keys.every(key => key === 'at' || key === 'auto' || isSame(a[key], b[key]))
  )
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null

export const addressValue = ({ prefix, bare, text }: AddressText): string =>
  prefix === undefined ? text : bare ? formatAddr(prefix) : formatPrefix(prefix)

export const addressValues = (addresses: readonly AddressText[]): readonly string[] =>
  addresses.map(addressValue)

export const gatewayValue = (gateway: Gateway | undefined): string | undefined =>
  gateway &&
  [
    addressValue(gateway.address),
    ...(gateway.interface === undefined ? [] : [`on ${gateway.interface}`]),
    ...(gateway.metric === undefined ? [] : [`metric ${gateway.metric}`]),
    ...(gateway.source === undefined ? [] : [`from ${addressValue(gateway.source)}`])
  ].join(' ')

export const routeValues = (routes: readonly Route[]): readonly string[] =>
  routes.map(({ destination, via, interface: name }) =>
    [
      addressValue(destination),
      ...(via === undefined ? [] : [`via ${addressValue(via)}`]),
      ...(name === undefined ? [] : [`on ${name}`])
    ].join(' ')
  )

/** networking.interfaces.<name> */
export function* interfaceOptions(
  at: string,
  { dhcp, acceptRA, addresses, routes, macAddress, mtu, proxyARP }: Interface
): Generator<readonly [string, Value]> {
  yield [`${at}.address`, addressValues(addresses)]
  yield [`${at}.dhcp`, dhcp ? 'true' : undefined]
  yield [`${at}.acceptRA`, flagValue(acceptRA)]
  yield [`${at}.routes`, routeValues(routes)]
  yield [`${at}.proxyARP`, proxyARP ? 'true' : undefined]
  yield [`${at}.macAddress`, macAddress && macValue(macAddress)]
  yield [`${at}.mtu`, mtu === undefined ? undefined : String(mtu)]
}

export const macValue = ({ value, text }: MacText): string => (value === undefined ? text : formatMac(value))

export const flagValue = (flag: boolean | undefined): string | undefined =>
  flag === undefined ? undefined : String(flag)

const rangeValue = ({ from, to }: { readonly from: number; readonly to: number }): string =>
  from === to ? `${from}` : `${from}-${to}`

/** Their order means nothing (nixpkgs, firewall.nix: canonicalizePortList). */
const portValues = (ports: readonly OpenPorts[]): readonly string[] => [
  ...new Set([...ports].sort((a, b) => a.from - b.from || a.to - b.to).map(rangeValue))
]

/** networking.firewall; nothing for one of which nothing is written. */
export function* firewallOptions(firewall: Firewall): Generator<readonly [string, Value]> {
  if (!firewall.written) return
  const ifText = (text: string | undefined): string | undefined => (text === '' ? undefined : text)
  yield ['firewall.enable', firewall.enable ? undefined : 'false']
  yield ['firewall.backend', firewall.backend === 'iptables' ? undefined : firewall.backend]
  yield ['firewall.allowedTCPPorts', portValues(firewall.open.tcp)]
  yield ['firewall.allowedUDPPorts', portValues(firewall.open.udp)]
  for (const { name, open } of byName(firewall.interfaces)) {
    yield [`firewall.interfaces.${name}.allowedTCPPorts`, portValues(open.tcp)]
    yield [`firewall.interfaces.${name}.allowedUDPPorts`, portValues(open.udp)]
  }
  yield ['firewall.trustedInterfaces', firewall.trustedInterfaces.map(({ name }) => name)]
  yield [
    'firewall.checkReversePath',
    firewall.checkReversePath === 'strict' ? undefined : firewall.checkReversePath
  ]
  yield ['firewall.allowPing', firewall.allowPing ? undefined : 'false']
  yield ['firewall.rejectPackets', firewall.rejectPackets ? 'true' : undefined]
  yield ['firewall.filterForward', firewall.filterForward === undefined ? undefined : 'true']
  yield ['firewall.extraCommands', ifText(firewall.extraCommands)]
  yield ['firewall.extraInputRules', ifText(firewall.extraInputRules)]
  yield ['firewall.extraForwardRules', ifText(firewall.extraForwardRules)]
}

/** networking.nat, while it is on. */
export function* natOptions(nat: Nat | undefined): Generator<readonly [string, Value]> {
  if (nat?.enable !== true) return
  yield ['nat.enable', 'true']
  yield ['nat.enableIPv6', nat.enableIPv6 ? 'true' : undefined]
  yield ['nat.internalInterfaces', nat.internalInterfaces.map(({ name }) => name)]
  yield ['nat.internalIPs', addressValues(nat.internalIPs)]
  yield ['nat.internalIPv6s', addressValues(nat.internalIPv6s)]
  yield ['nat.externalInterface', nat.externalInterface]
  yield ['nat.externalIP', nat.externalIP && addressValue(nat.externalIP)]
  yield ['nat.externalIPv6', nat.externalIPv6 && addressValue(nat.externalIPv6)]
  yield ['nat.dmzHost', nat.dmzHost && addressValue(nat.dmzHost)]
  yield [
    'nat.forwardPorts',
    nat.forwardPorts.map(({ source, destination, proto, loopbackIPs }) =>
      [
        `${proto.text} ${source.text} to ${destination.text}`,
        ...(loopbackIPs.length === 0 ? [] : [`at ${addressValues(loopbackIPs).join(', ')}`])
      ].join(' ')
    )
  ]
}

/** Whether the host's release is known to be older than this one; a host that says none is taken for the newest. */
export const isOlder = ({ release }: Host, than: string): boolean =>
  release !== undefined && /^\d/.test(release) && compareVersions(release, than) < 0

/** A word of a shell's command line. */
export const shellWord = (text: string): string =>
  /^[\w./@%+=:,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`

/** A container's unit is restarted only where it runs. */
export const restartCommand = (container: string): string =>
  `systemctl try-restart ${shellWord(`container@${container}.service`)}`
