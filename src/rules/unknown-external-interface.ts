import type { Path } from '../text/path.ts'
import { IFNAME_MAX } from '../net/ifname.ts'
import { knownInterface, nameMatcher } from '../plan/nat.ts'
import type { Plan } from '../plan/plan.ts'
import { listed, nearest } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** D11 */
export const unknownExternalInterface: Rule = {
  id: 'unknown-external-interface',
  group: 'nat',
  severity: 'warning',
  summary: 'The external interface of NAT is none of those that the host has.',
  *check(plan) {
    const { nat, enabled, wildcard } = plan.nat
    const { host } = plan.topology
    const external = nat?.externalInterface
    if (!enabled || nat === undefined || external === undefined || nat.partial || host.partial) return
    // Without the host's interfaces in the file nothing is known of them.
    if (host.interfaces.length === 0 || external.length > IFNAME_MAX) return
    const names = [
      ...host.configured.map(({ name }) => name),
      ...host.bonds.map(({ name }) => name),
      ...host.vlans.map(({ name }) => name),
      ...plan.topology.bridges.map(({ name }) => name)
    ]
    if (/[+*]$/.test(external)) {
      // The other backend's pattern is told as such.
      if (!external.endsWith(wildcard) || names.some(nameMatcher([external], wildcard))) return
    } else if (knownInterface(plan)(external)) return
    const ways = uplinks(plan)
    // A VLAN of an interface may be made by something that the file does not tell.
    const vlan = names.includes(external.replace(/\.\d+$/, ''))
    const meant = vlan ? undefined : (nearest(external, names) ?? (ways.length === 1 ? ways[0] : undefined))
    const at: Path = [...nat.at, 'externalInterface']
    yield {
      message: `externalInterface is "${external}", and the host has no such interface`,
      labels: [
        { at, text: meant === undefined ? 'not in the file' : `did you mean ${meant}?` },
        ...host.interfaces
          .filter(({ name }) => name === meant)
          .map(({ at, name }) => ({ at, on: 'key' as const, text: `"${name}" is the one that it has` }))
      ],
      note: `a rule for an interface that does not exist is valid and matches nothing: containers get no answer from the internet${nat.forwardPorts.length > 0 ? ', and no port is forwarded' : ''}`,
      help:
        meant === undefined
          ? `write the interface that "ip route show default" names; the file has ${listed(names)}`
          : `write externalInterface: ${meant}`,
      ...(meant === undefined ? { severity: 'hint' as const } : {})
    }
  }
}

/** The interfaces that lead outside as far as the file tells: those with DHCP, or with the router. */
const uplinks = ({ topology: { host, bridges } }: Plan): readonly string[] => {
  const gateways = new Set([host.defaultGateway?.interface, host.defaultGateway6?.interface])
  const enslaved = new Set(
    [...bridges, ...host.bonds].flatMap(({ interfaces }) => interfaces.map(({ name }) => name))
  )
  const found = [
    ...host.configured.filter(({ dhcp, name }) => (dhcp || gateways.has(name)) && !enslaved.has(name)),
    ...bridges.filter(({ dhcp, name }) => dhcp !== undefined || gateways.has(name))
  ].map(({ name }) => name)
  if (found.length > 0) return found
  const free = host.configured.filter(({ name }) => !enslaved.has(name))
  return free.length === 1 ? free.map(({ name }) => name) : []
}
