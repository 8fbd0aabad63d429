import type { Unit, UnitSection, UnitSetting } from '../../plan/units.ts'
import type { Nix } from '../print/nix.ts'

/**
 * systemd.network.netdevs and networks: the sections of units under the names that NixOS has for them. Before 24.11 the
 * sections of a list had their keys in a set of their own (`plainSections`).
 */
export const unitOptions = (
  units: readonly Unit[],
  plainSections: boolean
): { readonly [name: string]: Nix } => {
  const of = (suffix: string): Nix | undefined => {
    const own = units.filter(({ file }) => file.endsWith(suffix))
    return own.length === 0
      ? undefined
      : Object.fromEntries(
          own.map(({ file, sections }) => [file.slice(0, -suffix.length), options(sections, plainSections)])
        )
  }
  const [netdevs, networks] = [of('.netdev'), of('.network')]
  return { ...(netdevs === undefined ? {} : { netdevs }), ...(networks === undefined ? {} : { networks }) }
}

/** Each section as one set; those that may stand several times as a list of sets. */
const SECTIONS: Readonly<Record<string, string>> = {
  Match: 'matchConfig',
  NetDev: 'netdevConfig',
  VLAN: 'vlanConfig',
  MACVLAN: 'macvlanConfig',
  Bond: 'bondConfig',
  Bridge: 'bridgeConfig',
  Link: 'linkConfig',
  Network: 'networkConfig',
  DHCPServer: 'dhcpServerConfig'
}

const REPEATED: Readonly<Record<string, readonly [option: string, wrapper: string]>> = {
  Route: ['routes', 'routeConfig'],
  BridgeVLAN: ['bridgeVLANs', 'bridgeVLANConfig']
}

/** The keys of [Network] that have an option of their own, each a list. */
const LISTS: Readonly<Record<string, string>> = {
  Address: 'address',
  Gateway: 'gateway',
  DNS: 'dns',
  Bridge: 'bridge',
  Bond: 'bond',
  VLAN: 'vlan',
  MACVLAN: 'macvlan'
}

const options = (sections: readonly UnitSection[], plainSections: boolean): Nix => {
  const found: Record<string, Nix> = {}
  for (const { name, settings } of sections) {
    if (settings.length === 0) continue
    const repeated = REPEATED[name]
    if (repeated !== undefined) {
      const [option, wrapper] = repeated
      const others = found[option]
      found[option] = [
        ...(Array.isArray(others) ? others : []),
        plainSections ? set(settings) : { [wrapper]: set(settings) }
      ]
      continue
    }
    const plain = settings.filter(([key]) => name !== 'Network' || LISTS[key] === undefined)
    if (plain.length > 0) found[SECTIONS[name] ?? name] = set(plain)
    if (name !== 'Network') continue
    for (const [key, option] of Object.entries(LISTS)) {
      const values = settings.filter(([own]) => own === key).map(([, value]) => value)
      if (values.length > 0) found[option] = values
    }
  }
  return found
}

const set = (settings: readonly UnitSetting[]): Nix => Object.fromEntries(settings)
