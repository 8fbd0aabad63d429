import type { Problem } from '../findings/finding.ts'
import type { Vlan } from '../model/topology.ts'
import type { Rule } from './rule.ts'

/** net/8021q/vlan.c, vlan_check_real_dev */
export const duplicateVlan: Rule = {
  id: 'duplicate-vlan',
  group: 'bridges',
  severity: 'error',
  summary: 'Two VLANs of one interface have the same number.',
  *check({ topology: { host, having } }) {
    yield* same(host.vlans, '')
    for (const { enabled, name, inside } of having.inside)
      if (enabled) yield* same(inside.vlans, ` inside "${name}"`)
  }
}

const same = function* (vlans: readonly Vlan[], where: string): Generator<Problem> {
  const seen = new Map<string, Vlan>()
  for (const vlan of vlans) {
    const { name, id, interface: parent, at } = vlan
    // Not a number of a VLAN, which is told as such.
    if (id === 0) continue
    const key = `${id} ${parent.name}`
    const first = seen.get(key)
    if (first === undefined) {
      seen.set(key, vlan)
      continue
    }
    yield {
      message: `"${name}" and "${first.name}"${where} are both VLAN ${id} of ${parent.name}`,
      labels: [
        { at: [...at, 'id'], text: `${id} once more` },
        { at: [...first.at, 'id'], text: `${id} is "${first.name}" already` }
      ],
      note: `the kernel refuses the second: "VLAN device already exists"; "${name}" and what is on it will not exist`,
      help: `write the number of the other network, or use "${first.name}" for both: a VLAN can be a port of a bridge and have several addresses`
    }
  }
}
