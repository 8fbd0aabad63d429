import type { Container, Interface } from '../model/topology.ts'
import type { Link } from '../plan/plan.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** nspawn-network.c: a macvlan is called mv-PARENT inside, a moved interface and an extra veth keep their names. */
export const unknownInsideInterface: Rule = {
  id: 'unknown-inside-interface',
  group: 'containers',
  severity: 'error',
  summary: "A container's own configuration sets up an interface that it does not have.",
  *check({ topology, linksOf }) {
    for (const container of topology.having.inside) {
      const { enabled, partial, networkNamespace, name, inside } = container
      const links = linksOf.get(container)
      if (!enabled || partial || networkNamespace || links === undefined) continue
      for (const entry of inside.interfaces) {
        if (!isSet(entry) || !isMissing(container, links, entry.name)) continue
        const meant =
          links.find(link => !inside.interfaces.some(other => other.name === link.ifname)) ?? links[0]
        const address = entry.addresses[0]?.text
        yield {
          message: `container "${name}" has no interface ${entry.name}, which its own configuration sets up; it has ${listed(links.map(({ ifname }) => ifname))}`,
          labels: [
            { at: entry.at, on: 'key', text: 'no interface of this name inside' },
            ...links.slice(0, SHOWN).map(({ at, kind, ifname, veth }) => ({
              at,
              ...(kind === 'veth' ? { on: 'key' as const } : {}),
              text: `called ${ifname} inside${veth?.extra === false ? ': the pair of the container' : ''}`
            }))
          ],
          note: `NixOS waits for a device that never comes: ${address === undefined ? 'nobody asks for an address' : `${address} is given to nobody`}, and the interface that is there has none`,
          help: `write ${meant?.ifname} instead of ${entry.name}`
        }
      }
    }
  }
}

const SHOWN = 4

const isSet = ({ addresses, dhcp, routes }: Interface): boolean =>
  dhcp || addresses.length + routes.length > 0

/** Whether nothing in the container can make an interface of that name; other names may be tunnels and the like. */
const isMissing = ({ inside, vpn }: Container, links: readonly Link[], name: string): boolean =>
  /^(mv-.+|eth0|host0)$/.test(name) &&
  !links.some(link => link.ifname === name) &&
  !inside.bridges.some(other => other.name === name) &&
  !inside.vlans.some(other => other.name === name) &&
  vpn?.interface !== name
