import type { Host, Netdev, Network, SettingText, Topology } from '../model/topology.ts'
import { IFNAME_MAX } from '../net/ifname.ts'
import type { Device, HostInterface, Match, NetworkFile, NetworkFiles, Plan } from './plan.ts'

// Which .network file systemd-networkd uses for an interface: of all files, wherever they lie, the first in the order of
// their names whose [Match] section matches (systemd.network(5); systemd, src/shared/net-condition.c).

/** Whether systemd-networkd runs on the host; undefined where the file does not say it. */
export const runsNetworkd = ({ manager, networkd }: Host): boolean | undefined =>
  networkd?.enable ?? (manager === undefined ? undefined : manager === 'networkd')

/**
 * Whether networkd sets the addresses of the host, as far as the file shows. It switches IPv6 on again on each interface to which
 * it gives some, pairs included (80-container-ve.network).
 */
export const setsAddresses = (host: Host): boolean => runsNetworkd(host) ?? host.networkd !== undefined

/** The hand-written .network files that NixOS writes out; none where networkd does not run. */
export const writtenNetworks = (host: Host): readonly Network[] =>
  runsNetworkd(host) === false ? [] : (host.networkd?.networks ?? []).filter(({ enable }) => enable)

/** The hand-written .netdev files, likewise. */
export const writtenNetdevs = (host: Host): readonly Netdev[] =>
  runsNetworkd(host) === false ? [] : (host.networkd?.netdevs ?? []).filter(({ enable }) => enable)

/** The keys of [Match] in a .network file (systemd.network(5) of 257; `Version` of 258). */
export const MATCH_KEYS: readonly string[] = [
  'MACAddress',
  'PermanentMACAddress',
  'Path',
  'Driver',
  'Type',
  'Kind',
  'Property',
  'Name',
  'WLANInterfaceType',
  'SSID',
  'BSSID',
  'Host',
  'Virtualization',
  'KernelCommandLine',
  'KernelVersion',
  'Version',
  'Credential',
  'Architecture',
  'Firmware'
]

/** The [Match] of a unit; undefined where networkd finds nothing in it and ignores the file. */
export const matchOf = ({ sections, names }: Network): Match | undefined => {
  const settings = sections.get('matchConfig')?.settings
  const of = (key: string): readonly string[] => patterns(settings?.get(key) ?? [])
  const written = [...(settings?.keys() ?? [])].filter(key => MATCH_KEYS.includes(key) && of(key).length > 0)
  if (written.length + names.length === 0) return undefined
  return {
    names: [...of('Name'), ...(settings?.has('Name') === true ? [] : names.map(({ name }) => name))],
    kinds: of('Kind'),
    types: of('Type'),
    drivers: of('Driver'),
    more: written.some(key => !['Name', 'Kind', 'Type', 'Driver'].includes(key))
  }
}

/** The words of a key's values; an empty value forgets those before it, and a leading `!` is one for each word. */
const patterns = (values: readonly SettingText[]): readonly string[] => {
  let found: string[] = []
  for (const { text } of values) {
    if (text.trim() === '') found = []
    const inverted = text.startsWith('!')
    const words = text
      .slice(inverted ? 1 : 0)
      .split(/\s+/)
      .filter(word => word !== '')
    found.push(...words.map(word => (inverted ? `!${word}` : word)))
  }
  return found
}

/** Whether a match takes an interface; undefined where that hangs on something that the topology does not say. */
export const matches = (match: Match, device: Device): boolean | undefined => {
  const { names, kinds, types, drivers, more } = match
  const { name, altname, kind } = device
  if (!passes(names, name) && (altname === undefined || !passes(names, altname))) return false
  if (kind === undefined)
    return kinds.length + types.length + drivers.length === 0 && !more ? true : undefined
  if (!passes(kinds, kind === 'none' ? undefined : kind)) return false
  const type = typeOf(device)
  if (type !== undefined && !passes(types, type)) return false
  // These drivers are called as their kind; what drives hardware is not known.
  const driver = ['veth', 'bridge', 'tun'].includes(kind) ? kind : undefined
  if (driver !== undefined && !passes(drivers, driver)) return false
  const unknown = (types.length > 0 && type === undefined) || (drivers.length > 0 && driver === undefined)
  return more || unknown ? undefined : true
}

/** Kinds without a device type of their own in the kernel (DEVTYPE in /sys/class/net/…/uevent): to Type= they are ether. */
export const ETHERNET_KINDS: ReadonlySet<string> = new Set([
  'veth',
  'dummy',
  'macvlan',
  'macvtap',
  'ifb',
  'tap'
])

/** What Type= sees: the kernel's device type where it has one, else that of the link layer. */
const typeOf = ({ name, kind = '' }: Device): string | undefined => {
  if (['bridge', 'bond', 'vlan', 'vxlan', 'wireguard'].includes(kind)) return kind
  if (ETHERNET_KINDS.has(kind)) return 'ether'
  if (kind !== 'none') return undefined
  return name === 'lo'
    ? 'loopback'
    : name.startsWith('wl')
      ? 'wlan'
      : name.startsWith('ww')
        ? 'wwan'
        : 'ether'
}

/** Patterns with `!` refuse whatever else there is; without any other pattern they take all the rest. */
const passes = (patterns: readonly string[], text: string | undefined): boolean => {
  let positive = false
  let match = false
  for (const pattern of patterns) {
    const inverted = pattern.startsWith('!')
    if (!inverted) positive = true
    if (text === undefined || !glob(inverted ? pattern.slice(1) : pattern, text)) continue
    if (inverted) return false
    match = true
  }
  return positive ? match : true
}

/** Whether a name of [Match] is a pattern, and not the name of one interface. */
export const isPattern = (name: string): boolean => /[*?[!\\]/.test(name)

/** fnmatch(3) without flags: `*`, `?`, `[a-z]`, `[!a-z]` and `\`. Never looks back further than the last `*`. */
export const glob = (pattern: string, text: string): boolean => {
  let p = 0
  let t = 0
  let star = -1
  let from = 0
  while (t < text.length) {
    const step = pattern[p] === '*' ? 0 : one(pattern, p, text.charAt(t))
    if (step > 0) {
      p += step
      t += 1
    } else if (pattern[p] === '*') {
      star = p
      from = t
      p += 1
    } else if (star >= 0) {
      from += 1
      p = star + 1
      t = from
    } else return false
  }
  while (pattern[p] === '*') p += 1
  return p === pattern.length
}

/** How many characters of the pattern match this one character; 0 where it does not. */
const one = (pattern: string, p: number, char: string): number => {
  const head = pattern[p]
  if (head === '?') return 1
  if (head === '\\' && p + 1 < pattern.length) return pattern[p + 1] === char ? 2 : 0
  if (head === '[') {
    const [all = '', negated = '', set = ''] = /^\[([!^]?)(\]?[^\]]*)\]/.exec(pattern.slice(p)) ?? []
    if (all !== '') return inSet(set, char) === (negated === '') ? all.length : 0
  }
  return head === char ? 1 : 0
}

const inSet = (set: string, char: string): boolean => {
  for (let i = 0; i < set.length; i += 1) {
    const from = set.charAt(i)
    if (set[i + 1] === '-' && i + 2 < set.length) {
      if (from <= char && char <= set.charAt(i + 2)) return true
      i += 2
    } else if (from === char) return true
  }
  return false
}

/** Whether a match is a list of names and patterns and nothing else, so that it is known to take what they fit. */
export const isByName = ({ names, kinds, types, drivers, more }: Match): boolean =>
  kinds.length + types.length + drivers.length === 0 && !more && !names.some(name => name.startsWith('!'))

/** Whether one pattern of Name= surely takes all that another one takes. */
export const covers = (wide: string, narrow: string): boolean =>
  wide === narrow ||
  (isPattern(narrow)
    ? /^[^*?[\\]*\*$/.test(wide) && narrow.startsWith(wide.slice(0, -1))
    : glob(wide, narrow))

/** What systemd installs into /usr/lib/systemd/network and concerns the host; the files for Wi-Fi are left out. */
const SHIPPED: readonly NetworkFile[] = [
  ['80-container-vb', 'vb-*', 'veth'] as const,
  ['80-container-ve', 've-*', 'veth'] as const,
  ['80-container-vz', 'vz-*', 'bridge'] as const,
  ['80-vm-vt', 'vt-*', 'tun'] as const
].map(([file, name, kind]) => ({
  file: `${file}.network`,
  source: 'shipped',
  network: undefined,
  match: { names: [name], kinds: [kind], types: [], drivers: [], more: false }
}))

/**
 * The .network files of the host. A file that NixOS makes too and that is written by hand is one: the module system
 * merges them. One of /etc replaces the shipped one of its name, and `enable = false` masks it.
 */
export const networkFiles = (topology: Topology): NetworkFiles => {
  const files = new Map(SHIPPED.map(file => [file.file, file]))
  for (const file of generated(topology)) files.set(file.file, file)
  for (const network of topology.host.networkd?.networks ?? []) {
    const file = `${network.file}.network`
    const known = files.get(file)
    const match = matchOf(network) ?? (known?.source === 'generated' ? known.match : undefined)
    if (!network.enable || match === undefined) files.delete(file)
    else files.set(file, { file, source: 'written', network, match })
  }
  const all = [...files.values()].sort((a, b) => (a.file < b.file ? -1 : 1))
  const byName = new Map<string, number[]>()
  const open: number[] = []
  for (const [i, { match }] of all.entries())
    if (match.names.length === 0 || match.names.some(isPattern)) open.push(i)
    else
      for (const name of match.names) {
        const known = byName.get(name)
        if (known === undefined) byName.set(name, [i])
        else if (known.at(-1) !== i) known.push(i)
      }
  const takers = (device: Device): readonly NetworkFile[] => {
    const named = byName.get(device.name) ?? []
    const other = device.altname === undefined ? [] : (byName.get(device.altname) ?? [])
    return [...named, ...other, ...open]
      .sort((a, b) => a - b)
      .flatMap(i => all[i] ?? [])
      .filter(({ match }) => matches(match, device) !== false)
  }
  return {
    all,
    takers,
    taker: device => {
      const [first] = takers(device)
      return first === undefined || matches(first.match, device) === true ? first : 'unknown'
    }
  }
}

/** What NixOS makes with useNetworkd (nixpkgs, tasks/network-interfaces-systemd.nix). */
const generated = function* ({ host, bridges }: Topology): Generator<NetworkFile> {
  if (host.manager !== 'networkd') return
  const made = new Set<string>()
  for (const { name } of host.interfaces) made.add(name)
  for (const { interfaces, definedBy } of bridges)
    if (definedBy === 'scripted' || definedBy === 'both') for (const { name } of interfaces) made.add(name)
  for (const { interfaces } of host.bonds) for (const { name } of interfaces) made.add(name)
  for (const { interface: parent } of [...host.vlans, ...host.macvlans]) made.add(parent.name)
  for (const { interface: name } of [host.defaultGateway, host.defaultGateway6].flatMap(g => g ?? []))
    if (name !== undefined) made.add(name)
  for (const name of made) yield generatedFile(`40-${name}`, { names: [name] })
  if (host.useDHCP !== false) {
    yield generatedFile('99-ethernet-default-dhcp', { types: ['ether'], kinds: ['!*'] })
    yield generatedFile('99-wireless-client-dhcp', { types: ['wlan'], more: true })
  }
}

const generatedFile = (name: string, match: Partial<Match>): NetworkFile => ({
  file: `${name}.network`,
  source: 'generated',
  network: undefined,
  match: { names: [], kinds: [], types: [], drivers: [], more: false, ...match }
})

/** Every interface of the host that the topology knows of, as [Match] sees it. */
export const hostDevices = ({ topology, links, hostInterfaces }: Plan): ReadonlyMap<string, Device> => {
  const { host, bridges } = topology
  const devices = new Map<string, Device>()
  const add = (name: string, kind: string | undefined, altname?: string): void => {
    const known = devices.get(name)
    if (known?.kind === undefined) devices.set(name, { name, kind, altname: altname ?? known?.altname })
  }
  for (const { name, kind, enable } of host.networkd?.netdevs ?? [])
    if (enable && name !== undefined) add(name.text, kind)
  for (const { container, veth, hostIfname, bridgeName } of links)
    if (container !== undefined && veth?.extra === false) {
      const full = `${bridgeName === undefined ? 've' : 'vb'}-${container.name}`
      add(hostIfname, 'veth', full.length > IFNAME_MAX ? full : undefined)
    }
  for (const { name } of host.macvlans) add(name, 'macvlan')
  for (const [name, { kind }] of hostInterfaces()) add(name, KINDS[kind] ?? hardware(name))
  for (const { interfaces } of [...bridges, ...host.bonds])
    for (const { name } of interfaces) add(name, hardware(name))
  for (const { interface: parent } of [...host.vlans, ...host.macvlans])
    add(parent.name, hardware(parent.name))
  return devices
}

const KINDS: Readonly<Record<HostInterface['kind'], string | undefined>> = {
  bridge: 'bridge',
  bond: 'bond',
  vlan: 'vlan',
  macvlan: 'macvlan',
  veth: 'veth',
  'extra-veth': 'veth',
  tap: 'tun',
  interface: undefined
}

/** `none` for a name that the kernel or udev gives to hardware; a name that somebody chose says nothing. */
export const hardware = (name: string): 'none' | undefined =>
  /^(?:eth\d+|(?:en|wl|ww)(?:[opsx]|P\d)\w+|wlan\d+)$/.test(name) ? 'none' : undefined
