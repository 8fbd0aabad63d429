import type { Path } from '../text/path.ts'
import {
  EMPTY,
  type ParseAddress,
  type Raw,
  addresses,
  each,
  flag,
  items,
  members,
  names,
  raw,
  text,
  under
} from './read.ts'
import type {
  AddressText,
  Interface,
  Named,
  Network,
  Networkd,
  Section,
  SettingText,
  UnitRoute
} from './topology.ts'

/** As networkd reads it, and as NixOS writes it: true and false for booleans. */
export const setting = (value: unknown, at: Path): SettingText => ({
  at,
  text: String(value),
  value: typeof value === 'number' || typeof value === 'boolean' ? value : String(value)
})

const section = (written: Raw, at: Path): Section => ({
  at,
  settings: new Map(
    // A mapping stands for a section within a list, in the form before 24.11; it is no value.
    scalars(written).map(([key, value]) => [
      key,
      Array.isArray(value)
        ? each(value, (element, i) => setting(element, under(at, key, i)))
        : [setting(value, under(at, key))]
    ])
  )
})

const scalars = (written: Raw): [string, unknown][] =>
  Object.entries(written).filter(([, value]) => Array.isArray(value) || typeof value !== 'object')

/** The sections of a unit: every mapping in it. */
const sections = (unit: Raw, at: Path): ReadonlyMap<string, Section> =>
  new Map(
    Object.entries(unit)
      .filter(([, value]) => typeof value === 'object' && value !== null && !Array.isArray(value))
      .map(([key, value]) => [key, section(raw(value), under(at, key))])
  )

/** A setting's values, and what one of several words in each of them is called. */
const words = (settings: Section | undefined, key: string): readonly Named[] =>
  (settings?.settings.get(key) ?? EMPTY).flatMap(({ at, text }) =>
    text
      .split(/\s+/)
      .filter(word => word !== '')
      .map(name => ({ at, name }))
  )

export const buildNetworkd = (host: Raw, within: Path, parse: ParseAddress): Networkd | undefined => {
  if (host['networkd'] === undefined) return undefined
  const written = raw(host['networkd'])
  const at = under(within, 'networkd')
  const wait = raw(written['wait-online'])
  const config = raw(written['config'])['networkConfig']
  return {
    at,
    enable: flag(written['enable']),
    netdevs: members(written, 'netdevs', at, (file, unit, at) => {
      const all = sections(unit, at)
      const settings = all.get('netdevConfig')?.settings
      return {
        at,
        file,
        enable: flag(unit['enable']) ?? true,
        sections: all,
        name: settings?.get('Name')?.[0],
        kind: settings?.get('Kind')?.[0]?.text
      }
    }),
    networks: members(written, 'networks', at, (file, unit, at) => buildNetwork(file, unit, at, parse)),
    config: config === undefined ? undefined : section(raw(config), under(at, 'config', 'networkConfig')),
    waitOnline: {
      at: under(at, 'wait-online'),
      enable: flag(wait['enable']) ?? true,
      anyInterface: flag(wait['anyInterface']),
      ignoredInterfaces: each(wait['ignoredInterfaces'], String),
      extraArgs: each(wait['extraArgs'], String)
    }
  }
}

/** What counts of a key that repeats: an empty value forgets those before it (systemd.syntax(7)). */
const effective = (settings: Section | undefined, key: string): readonly SettingText[] => {
  const values = settings?.settings.get(key) ?? EMPTY
  return values.slice(values.findLastIndex(({ text }) => text === '') + 1)
}

/** Gateway= takes words too: _dhcp4 and _ipv6ra are the router that DHCP or an advertisement names. */
const isAddress = ({ text }: { readonly text: string }): boolean => !text.startsWith('_')

/** The words for true that systemd takes (parse_boolean). */
export const isYes = (setting: SettingText | undefined): boolean =>
  /^(?:1|yes|y|true|t|on)$/i.test(setting?.text ?? '')

/** And those for false; what is not written is neither. */
export const isNo = (setting: SettingText | undefined): boolean =>
  /^(?:0|no|n|false|f|off)$/i.test(setting?.text ?? '')

/** The sections of a list, unwrapped from the form that NixOS had before 24.11: `{ addressConfig = { … }; }`. */
const unwrapped = (unit: Raw, list: string, wrapper: string, at: Path): readonly Section[] =>
  items(unit, list, at, (entry, at) =>
    entry[wrapper] === undefined ? section(entry, at) : section(raw(entry[wrapper]), under(at, wrapper))
  )

/** The keys of [Network] that make an interface on the one that matches. */
const STACKED = ['VLAN', 'MACVLAN', 'MACVTAP', 'IPVLAN', 'IPVTAP', 'VXLAN'] as const

const buildNetwork = (file: string, unit: Raw, at: Path, parse: ParseAddress): Network => {
  const all = sections(unit, at)
  const network = all.get('networkConfig')
  const parsed = (settings: Section | undefined, key: string): readonly AddressText[] =>
    effective(settings, key).map(({ text, at }) => parse(text, at))
  const routers = (settings: Section | undefined): readonly AddressText[] =>
    effective(settings, 'Gateway')
      .filter(isAddress)
      .map(({ text, at }) => parse(text, at))
  const short = text(unit['name'])
  const written = names(unit, 'gateway', at).filter(({ name }) => isAddress({ text: name }))
  const plain = [...written.map(({ name, at }) => parse(name, at)), ...routers(network)]
  const routeSections = unwrapped(unit, 'routes', 'routeConfig', at)
  const routes: readonly UnitRoute[] = [
    ...plain.map(gateway => ({ at: gateway.at, gateway, destination: undefined, onLink: false })),
    ...routeSections.map(entry => ({
      at: entry.at,
      gateway: routers(entry).at(-1),
      destination: parsed(entry, 'Destination').at(-1),
      onLink: isYes(effective(entry, 'GatewayOnLink').at(-1))
    }))
  ]
  const addressSections = unwrapped(unit, 'addresses', 'addressConfig', at)
  return {
    at,
    file,
    enable: flag(unit['enable']) ?? true,
    sections: all,
    names: [
      ...words(all.get('matchConfig'), 'Name'),
      ...(short === undefined ? EMPTY : [{ at: under(at, 'name'), name: short }])
    ],
    addresses: [
      ...addresses(unit, 'address', at, parse),
      ...parsed(network, 'Address'),
      ...addressSections.flatMap(entry =>
        parsed(entry, 'Address')
          .slice(-1)
          // Peer= gives the prefix length then.
          .map(address => (entry.settings.has('Peer') ? { ...address, bare: false } : address))
      )
    ],
    addressSections,
    gateways: routes.flatMap(({ gateway, destination }) =>
      gateway === undefined || destination !== undefined ? [] : [gateway]
    ),
    routes,
    routeSections,
    dns: [...names(unit, 'dns', at), ...words(network, 'DNS')].map(({ name, at }) => parse(name, at)),
    bridge: [...names(unit, 'bridge', at), ...words(network, 'Bridge').slice(-1)],
    stacked: STACKED.flatMap(key => [...names(unit, key.toLowerCase(), at), ...words(network, key)]),
    extraConfig: text(unit['extraConfig']),
    dhcp:
      typeof unit['DHCP'] === 'string'
        ? setting(unit['DHCP'], under(at, 'DHCP'))
        : network?.settings.get('DHCP')?.[0],
    lists: new Map(
      Object.entries(unit)
        .filter(([, value]) => Array.isArray(value))
        .map(([key]) => [key, items(unit, key, at, (entry, at) => ({ at, keys: Object.keys(entry) }))])
    ),
    others: new Map(
      scalars(unit)
        .filter(([key]) => key !== 'enable')
        .map(([key, value]) => [key, [value].flat().map(entryText)])
    )
  }
}

/** `Address=10.0.0.1/24 Peer=10.0.0.2`, whatever the order in which it is written. */
const entryText = (entry: unknown): string =>
  typeof entry === 'object' && entry !== null
    ? Object.entries(entry)
        .map(([key, value]) =>
          typeof value === 'object' && !Array.isArray(value) ? entryText(value) : `${key}=${String(value)}`
        )
        .sort()
        .join(' ')
    : String(entry)

/** What the units say of a bridge: who makes it, its addresses, its ports. */
export interface UnitBridge {
  readonly name: string
  readonly at: Path
  /** The place of the netdev that makes it; undefined where the units only configure it. */
  readonly netdev: Path | undefined
  readonly addresses: AddressText[]
  readonly ports: Named[]
  dhcp: Path | undefined
}

export const NO_UNITS: ReadonlyMap<string, UnitBridge> = new Map()

const PATTERN = /[*?[]/

/** What networkd's units make or configure, by name; what a pattern matches is left out. */
export const unitBridges = ({ netdevs, networks }: Networkd): ReadonlyMap<string, UnitBridge> => {
  const bridges = new Map<string, UnitBridge>()
  const bridge = (name: string, at: Path, netdev: Path | undefined): UnitBridge => {
    const known = bridges.get(name) ?? { name, at, netdev, addresses: [], ports: [], dhcp: undefined }
    bridges.set(name, known)
    return known
  }
  for (const { name, kind, enable } of netdevs)
    if (kind === 'bridge' && enable && name !== undefined) bridge(name.text, name.at, name.at)
  for (const { names, addresses, dhcp, bridge: masters, enable } of networks) {
    const [only] = names
    if (!enable || only === undefined || names.length > 1) continue
    for (const { name } of masters)
      if (!PATTERN.test(only.name)) bridge(name, only.at, undefined).ports.push(only)
    if (masters.length > 0 || PATTERN.test(only.name)) continue
    const own = bridge(only.name, only.at, undefined)
    own.addresses.push(...addresses)
    if (dhcp !== undefined && ['yes', 'true', 'ipv4'].includes(dhcp.text)) own.dhcp ??= dhcp.at
  }
  return bridges
}

/** Whether an address is none of those that are known already: people write it in two places, in one form or another. */
export const isNewTo =
  (known: readonly AddressText[]) =>
  ({ text, prefix }: AddressText): boolean =>
    !known.some(
      other =>
        other.text === text ||
        (prefix !== undefined &&
          other.prefix?.family === prefix.family &&
          other.prefix.value === prefix.value &&
          other.prefix.bits === prefix.bits)
    )

/** The host's interfaces with the addresses that units give them; `other` are names that are no interface of its own. */
export const withUnits = (
  interfaces: readonly Interface[],
  networkd: Networkd | undefined,
  other: ReadonlySet<string>
): readonly Interface[] => {
  const units = networkd === undefined ? EMPTY : Array.from(unitBridges(networkd).values())
  const given = units.filter(
    ({ name, netdev, addresses, dhcp }) =>
      netdev === undefined &&
      (addresses.length > 0 || dhcp !== undefined) &&
      !/^(?:ve|vb)-|^!/.test(name) &&
      !other.has(name)
  )
  if (given.length === 0) return interfaces
  const all = new Map(interfaces.map(entry => [entry.name, entry]))
  for (const { name, at, addresses, dhcp } of given) {
    const known = all.get(name) ?? { ...UNSAID, name, at }
    all.set(name, {
      ...known,
      dhcp: known.dhcp || dhcp !== undefined,
      addresses: [...known.addresses, ...addresses.filter(isNewTo(known.addresses))]
    })
  }
  return [...all.values()]
}

const UNSAID = {
  dhcp: false,
  acceptRA: undefined,
  addresses: EMPTY,
  routes: EMPTY,
  macAddress: undefined,
  mtu: undefined,
  proxyARP: false
}
