import type { Network, Section } from '../model/topology.ts'
import { type Addr, formatAddr, width } from '../net/addr.ts'
import { formatPrefix } from '../net/prefix.ts'
import type { Plan } from '../plan/plan.ts'
import { classBits, type Releases } from '../plan/releases.ts'
import { writtenNetdevs, writtenNetworks } from '../plan/networkd.ts'
import type { Unit, UnitSection, UnitSetting } from '../plan/units.ts'

// The units that stand in host.networkd, as NixOS would write them out (nixos/lib/systemd-network-units.nix).

/** A section's name by its key in NixOS: those that are not just the key without `Config`. */
const NAMES: ReadonlyMap<string, string> = new Map(
  [
    'BFIFO',
    'CAKE',
    'CAN',
    'DHCPPrefixDelegation',
    'DHCPServer',
    'DHCPv4',
    'DHCPv6',
    'IPVLAN',
    'IPVTAP',
    'IPoIB',
    'IPv6AcceptRA',
    'IPv6SendRA',
    'L2TP',
    'LLDP',
    'MACVLAN',
    'NetDev',
    'PFIFO',
    'PFIFOFast',
    'PFIFOHeadDrop',
    'PIE',
    'QDisc',
    'VLAN',
    'VRF',
    'VXLAN',
    'WLAN',
    'WireGuard'
  ].map(name => [`${name}config`.toLowerCase(), name])
)

const sectionName = (key: string): string =>
  NAMES.get(key.toLowerCase()) ?? key.replace(/Config$/, '').replace(/^./, char => char.toUpperCase())

/** Those that say what is written a second time in the lists of the unit. */
const LISTED = /^(Address|Gateway|Bridge|VLAN|MACVLAN|IPVLAN|Bond|VRF)$/

/** What cannot be a section's name begins no line of a unit. */
const isName = ([key]: readonly [key: string, section: Section]): boolean => /^\w+$/.test(key)

/** networkd would read the file: a key of this machine, which the file that is rehearsed has no right to. */
const isKeyFile = (key: string): boolean => key.endsWith('KeyFile')

/** A value on one line, or none. */
const settings = ({ settings }: Section): readonly UnitSetting[] =>
  [...settings].flatMap(([key, values]) =>
    /^\w+$/.test(key) && !isKeyFile(key)
      ? values.flatMap(({ text, value }): readonly UnitSetting[] =>
          /[\p{Cc}\p{Zl}\p{Zp}]|\\$/u.test(text) ? [] : [[key, typeof value === 'boolean' ? value : text]]
        )
      : []
  )

export const writtenUnits = ({ topology, releases }: Plan, notes: string[]): readonly Unit[] => {
  const { host } = topology
  const isFile = (file: string): boolean => /^[\w.@+-]{1,200}$/.test(file)
  const netdevs = writtenNetdevs(host)
    .filter(({ file }) => isFile(file))
    .filter(({ file, sections }) => {
      const key = [...sections.values()].flatMap(({ settings }) => [...settings.keys()]).find(isKeyFile)
      if (key !== undefined) notes.push(`${file}.netdev is left out here, since its ${key} is not read`)
      return key === undefined
    })
    .map(({ file, sections }) => ({
      file: `${file}.netdev`,
      sections: [...sections].filter(isName).map(([key, section]) => ({
        name: sectionName(key),
        settings: settings(section)
      }))
    }))
  const networks = writtenNetworks(host)
    .filter(({ file }) => isFile(file))
    .map(network => {
      if ((network.extraConfig ?? '').trim() !== '')
        notes.push(`extraConfig of ${network.file}.network is left out here`)
      if (network.lists.has('routingPolicyRules'))
        notes.push(`the routing policy rules of ${network.file}.network are left out here`)
      return { file: `${network.file}.network`, sections: networkSections(network, releases) }
    })
  return [...netdevs, ...networks]
}

/** The length of an address without one, as the release's networkd takes it; that of this machine may be another. */
const bareBits = ({ barePrefix }: Releases, { family, value }: Addr): number =>
  barePrefix === 'single' ? width(family) : classBits({ family, value })

const networkSections = (network: Network, releases: Releases): readonly UnitSection[] => {
  const { sections, names, addresses, routes, routeSections, bridge } = network
  const found: UnitSection[] = []
  const match = sections.get('matchConfig')
  const isNamed = match?.settings.has('Name') === true
  found.push({
    name: 'Match',
    settings: [
      ...(match === undefined ? [] : settings(match)),
      ...(isNamed
        ? []
        : names.filter(({ name }) => /^[!-~]+$/.test(name)).map(({ name }) => ['Name', name] as const))
    ]
  })
  for (const [key, section] of [...sections].filter(isName))
    if (key !== 'matchConfig' && key !== 'networkConfig')
      found.push({ name: sectionName(key), settings: settings(section) })
  const own = sections.get('networkConfig')
  found.push({
    name: 'Network',
    settings: [
      ...(own === undefined ? [] : settings(own).filter(([key]) => !LISTED.test(key))),
      ...addresses.flatMap(({ prefix, text, bare }): readonly UnitSetting[] =>
        prefix !== undefined
          ? [['Address', formatPrefix(bare ? { ...prefix, bits: bareBits(releases, prefix) } : prefix)]]
          : /^[\w.:/]+$/.test(text)
            ? [['Address', text]]
            : []
      ),
      ...bridge.filter(({ name }) => /^[!-~]+$/.test(name)).map(({ name }) => ['Bridge', name] as const)
    ]
  })
  // Those of [Network] and of the list of gateways stand first.
  for (const { gateway } of routes.slice(0, routes.length - routeSections.length))
    if (gateway?.prefix !== undefined)
      found.push({ name: 'Route', settings: [['Gateway', formatAddr(gateway.prefix)]] })
  for (const section of routeSections) found.push({ name: 'Route', settings: settings(section) })
  return found
}
