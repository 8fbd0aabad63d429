import type { Network, Section, Topology } from '../model/topology.ts'
import { formatAddr } from '../net/addr.ts'
import { formatNetwork, formatPrefix } from '../net/prefix.ts'
import { writtenNetdevs, writtenNetworks } from '../plan/networkd.ts'
import type { Unit, UnitSection, UnitSetting } from '../plan/units.ts'

// The units that stand in host.networkd, as NixOS would write them out (nixos/lib/systemd-network-units.nix).

/** A section's name by its key in NixOS: those that are not just the key without `Config`. */
const NAMES: Readonly<Record<string, string>> = {
  netdevConfig: 'NetDev',
  vlanConfig: 'VLAN',
  dhcpV4Config: 'DHCPv4',
  dhcpV6Config: 'DHCPv6',
  ipv6SendRAConfig: 'IPv6SendRA',
  ipv6AcceptRAConfig: 'IPv6AcceptRA',
  dhcpServerConfig: 'DHCPServer',
  dhcpPrefixDelegationConfig: 'DHCPPrefixDelegation'
}

const sectionName = (key: string): string =>
  NAMES[key] ?? key.replace(/Config$/, '').replace(/^./, char => char.toUpperCase())

/** Those that say what is written a second time in the lists of the unit. */
const LISTED = /^(Address|Gateway|Bridge|VLAN|MACVLAN|IPVLAN|Bond|VRF)$/

/** A value on one line, or none. */
const settings = ({ settings }: Section): readonly UnitSetting[] =>
  [...settings].flatMap(([key, values]) =>
    /^\w+$/.test(key)
      ? values.flatMap(({ text, value }): readonly UnitSetting[] =>
          /[\p{Cc}\p{Zl}\p{Zp}]|\\$/u.test(text) ? [] : [[key, typeof value === 'boolean' ? value : text]]
        )
      : []
  )

export const writtenUnits = (topology: Topology, notes: string[]): readonly Unit[] => {
  const { host } = topology
  const isFile = (file: string): boolean => /^[\w.@+-]{1,200}$/.test(file)
  const netdevs = writtenNetdevs(host)
    .filter(({ file }) => isFile(file))
    .map(({ file, sections }) => ({
      file: `${file}.netdev`,
      sections: [...sections].map(([key, section]) => ({
        name: sectionName(key),
        settings: settings(section)
      }))
    }))
  const networks = writtenNetworks(host)
    .filter(({ file }) => isFile(file))
    .map(network => {
      if ((network.extraConfig ?? '').trim() !== '')
        notes.push(`extraConfig of ${network.file}.network is left out here`)
      return { file: `${network.file}.network`, sections: networkSections(network) }
    })
  return [...netdevs, ...networks]
}

const networkSections = (network: Network): readonly UnitSection[] => {
  const { sections, names, addresses, routes, bridge } = network
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
  for (const [key, section] of sections)
    if (key !== 'matchConfig' && key !== 'networkConfig')
      found.push({ name: sectionName(key), settings: settings(section) })
  const own = sections.get('networkConfig')
  found.push({
    name: 'Network',
    settings: [
      ...(own === undefined ? [] : settings(own).filter(([key]) => !LISTED.test(key))),
      ...addresses.flatMap(({ prefix, text, bare }): readonly UnitSetting[] =>
        prefix !== undefined
          ? [['Address', bare ? formatAddr(prefix) : formatPrefix(prefix)]]
          : /^[\w.:/]+$/.test(text)
            ? [['Address', text]]
            : []
      ),
      ...bridge.filter(({ name }) => /^[!-~]+$/.test(name)).map(({ name }) => ['Bridge', name] as const)
    ]
  })
  for (const { gateway, destination, onLink } of routes)
    if (gateway?.prefix !== undefined || destination?.prefix !== undefined)
      found.push({
        name: 'Route',
        settings: [
          ...(destination?.prefix === undefined
            ? []
            : [['Destination', formatNetwork(destination.prefix)] as const]),
          ...(gateway?.prefix === undefined ? [] : [['Gateway', formatAddr(gateway.prefix)] as const]),
          ...(onLink ? [['GatewayOnLink', true] as const] : [])
        ]
      })
  return found
}
