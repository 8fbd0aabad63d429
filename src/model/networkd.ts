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
import type { AddressText, Named, Network, Networkd, Section, SettingText } from './topology.ts'

/** As networkd reads it, and as NixOS writes it: true and false for booleans. */
export const setting = (value: unknown, at: Path): SettingText => ({
  at,
  text: String(value),
  value: typeof value === 'number' || typeof value === 'boolean' ? value : String(value)
})

const section = (written: Raw, at: Path): Section => ({
  at,
  settings: new Map(
    Object.entries(written).map(([key, value]) => [
      key,
      Array.isArray(value)
        ? each(value, (element, i) => setting(element, under(at, key, i)))
        : [setting(value, under(at, key))]
    ])
  )
})

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

/** The sections of a list, unwrapped from the form that NixOS had before 24.11: `{ addressConfig = { … }; }`. */
const unwrapped = (unit: Raw, list: string, wrapper: string, at: Path): readonly Section[] =>
  items(unit, list, at, (entry, at) =>
    entry[wrapper] === undefined ? section(entry, at) : section(raw(entry[wrapper]), under(at, wrapper))
  )

const buildNetwork = (file: string, unit: Raw, at: Path, parse: ParseAddress): Network => {
  const all = sections(unit, at)
  const network = all.get('networkConfig')
  const parsed = (settings: Section | undefined, key: string): readonly AddressText[] =>
    (settings?.settings.get(key) ?? EMPTY).map(({ text, at }) => parse(text, at))
  const routes = unwrapped(unit, 'routes', 'routeConfig', at).filter(
    ({ settings }) => !settings.has('Destination')
  )
  const short = text(unit['name'])
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
      ...unwrapped(unit, 'addresses', 'addressConfig', at).flatMap(entry => parsed(entry, 'Address'))
    ],
    gateways: [
      ...addresses(unit, 'gateway', at, parse),
      ...parsed(network, 'Gateway'),
      ...routes.flatMap(entry => parsed(entry, 'Gateway'))
    ].filter(({ text }) => !text.startsWith('_')),
    dns: [...addresses(unit, 'dns', at, parse), ...parsed(network, 'DNS')],
    bridge: [...names(unit, 'bridge', at), ...words(network, 'Bridge')],
    dhcp:
      typeof unit['DHCP'] === 'string'
        ? setting(unit['DHCP'], under(at, 'DHCP'))
        : network?.settings.get('DHCP')?.[0],
    lists: new Map(
      Object.entries(unit)
        .filter(([, value]) => Array.isArray(value))
        .map(([key]) => [key, items(unit, key, at, (entry, at) => ({ at, keys: Object.keys(entry) }))])
    )
  }
}

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

/** The bridges that networkd's units make or configure, by name; what a pattern matches is no bridge of its own. */
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
      if (!/[*?[]/.test(only.name)) bridge(name, only.at, undefined).ports.push(only)
    if (masters.length > 0) continue
    const own = bridge(only.name, only.at, undefined)
    own.addresses.push(...addresses)
    if (dhcp !== undefined && ['yes', 'true', 'ipv4'].includes(dhcp.text)) own.dhcp ??= dhcp.at
  }
  return bridges
}
