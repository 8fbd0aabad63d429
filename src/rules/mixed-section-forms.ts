import { writtenNetworks } from '../plan/networkd.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** E31 */
export const mixedSectionForms: Rule = {
  id: 'mixed-section-forms',
  group: 'networkd',
  severity: 'error',
  summary: 'An entry of addresses, routes … has the form of another NixOS release, or both forms at once.',
  *check({ topology, releases: { plainSections, release } }) {
    for (const { file, lists } of writtenNetworks(topology.host))
      for (const [list, wrapper] of WRAPPERS)
        for (const { at, keys } of lists.get(list) ?? []) {
          const plain = keys.filter(key => key !== wrapper)
          const [key] = plain
          if (key === undefined) continue
          const mixed = plain.length < keys.length
          if (!mixed && plainSections) continue
          yield {
            message: mixed
              ? `${file}.network: an entry of ${list} has ${wrapper} and ${listed(plain)} beside it`
              : `${file}.network: ${release} does not know ${listed(plain)} in ${list}`,
            labels: [
              {
                at: [...at, key],
                on: 'key',
                text: mixed ? `not inside ${wrapper}` : `belongs into ${wrapper}`
              },
              ...(mixed ? [{ at: [...at, wrapper], on: 'key' as const, text: 'the older form' }] : [])
            ],
            note: mixed
              ? `the rebuild stops: the declaration "must not mix unit options with the legacy key '${wrapper}'"`
              : `the rebuild stops ("The option … does not exist"): before 24.11 each entry of ${list} is { ${wrapper} = { … }; }`,
            help:
              mixed && plainSections
                ? `move what is in ${wrapper} one level up and remove ${wrapper}`
                : `write { ${wrapper} = { ${plain.map(name => `${name} = …;`).join(' ')} }; }${list === 'addresses' ? ', or use address = [ … ], which every release knows' : ''}`
          }
        }
  }
}

/** The keys that the entries were wrapped in before nixpkgs PR 312472. */
const WRAPPERS: readonly (readonly [list: string, wrapper: string])[] = [
  ['addresses', 'addressConfig'],
  ['routes', 'routeConfig'],
  ['routingPolicyRules', 'routingPolicyRuleConfig'],
  ['ipv6Prefixes', 'ipv6PrefixConfig'],
  ['ipv6RoutePrefixes', 'ipv6RoutePrefixConfig'],
  ['dhcpServerStaticLeases', 'dhcpServerStaticLeaseConfig'],
  ['bridgeFDBs', 'bridgeFDBConfig'],
  ['bridgeVLANs', 'bridgeVLANConfig']
]
