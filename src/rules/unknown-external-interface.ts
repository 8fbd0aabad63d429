import type { Path } from '../text/path.ts'
import { IFNAME_MAX, misspelling } from '../net/ifname.ts'
import { uplinks } from '../plan/egress.ts'
import { isMadeLater, knownInterface, nameMatcher } from '../plan/nat.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** D11 */
export const unknownExternalInterface: Rule = {
  id: 'unknown-external-interface',
  group: 'nat',
  severity: 'warning',
  summary: 'The external interface of NAT is none of those that the file lists for the host.',
  *check(plan) {
    const { nat, enabled, wildcard } = plan.nat
    const { host } = plan.topology
    const external = nat?.externalInterface
    if (!enabled || nat === undefined || external === undefined || nat.partial || host.partial) return
    if (external.length > IFNAME_MAX) return
    const isInternal = nameMatcher(
      nat.internalInterfaces.map(({ name }) => name),
      wildcard
    )
    // A tunnel or tap in the list says nothing of the host's cards, and what containers come in by is no way out.
    const names = [
      ...host.configured,
      ...host.bonds,
      ...host.vlans,
      ...host.macvlans,
      ...plan.topology.bridges
    ].flatMap(({ name }) => (isInternal(name) || isMadeLater(name) ? [] : [name]))
    if (!host.interfaces.some(({ name }) => names.includes(name))) return
    const isPattern = /[+*]$/.test(external)
    if (isPattern) {
      // The other backend's pattern is told as such.
      if (!external.endsWith(wildcard) || names.some(nameMatcher([external], wildcard))) return
    } else if (knownInterface(plan)(external)) return
    const ways = uplinks(plan).filter(name => names.includes(name))
    // A VLAN of an interface may be made by something that the file does not tell.
    const vlan = names.includes(external.replace(/\.\d+$/, ''))
    const elsewhere = isWifi(external) || host.manager === 'networkmanager' || host.useDHCP === true
    const near = vlan ? undefined : misspelling(external, names)
    const meant = near ?? (!vlan && !elsewhere && ways.length === 1 ? ways[0] : undefined)
    // Wi-Fi, and cards that NetworkManager or networking.useDHCP look after, need no entry in networking.interfaces.
    if (meant === undefined && elsewhere) return
    const at: Path = [...nat.at, 'externalInterface']
    yield {
      message: `externalInterface is "${external}", and the file lists no such interface`,
      labels: [
        { at, text: meant === undefined ? 'not in the file' : `did you mean ${meant}?` },
        ...host.interfaces
          .filter(({ name }) => name === meant)
          .map(({ at, name }) => ({ at, on: 'key' as const, text: `"${name}" is in the file` }))
      ],
      note: `a rule for an interface that the host does not have is valid and matches nothing: containers get no answer from the internet${nat.forwardPorts.length > 0 ? ', and no port is forwarded' : ''}`,
      help:
        meant === undefined
          ? `write the interface that "ip route show default" names, and list it in host.interfaces; the file has ${listed(names)}`
          : `write externalInterface: ${meant}; or list ${isPattern ? `what "${external}" fits` : `"${external}"`} in host.interfaces, where the host has it`,
      ...(meant === undefined ? { severity: 'hint' as const } : {})
    }
  }
}

const isWifi = (name: string): boolean => name.startsWith('wl')
