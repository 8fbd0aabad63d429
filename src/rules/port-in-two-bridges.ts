import type { Path } from '../text/path.ts'
import type { Rule } from './rule.ts'

/** The kernel: an interface has one master. */
export const portInTwoBridges: Rule = {
  id: 'port-in-two-bridges',
  group: 'bridges',
  severity: 'error',
  summary: 'An interface is a port or member of two bridges or bonds.',
  *check({ topology: { host, bridges } }) {
    const owners = new Map<string, { readonly at: Path; readonly owner: string }>()
    const all = [
      ...bridges.map(({ name, interfaces }) => ({ owner: `bridge "${name}"`, interfaces })),
      ...host.bonds.map(({ name, interfaces }) => ({ owner: `bond "${name}"`, interfaces }))
    ]
    for (const { owner, interfaces } of all)
      for (const { name, at } of interfaces) {
        const first = owners.get(name)
        if (first === undefined) owners.set(name, { at, owner })
        else if (first.owner !== owner)
          yield {
            message: `"${name}" is in ${first.owner} and in ${owner}`,
            labels: [
              { at, text: `in ${owner} here` },
              { at: first.at, text: `in ${first.owner} here` }
            ],
            note: `an interface has one master: whichever takes "${name}" later takes it away from the other, which has no way out by it then`,
            help:
              owner.startsWith('bond') && first.owner.startsWith('bridge')
                ? `keep "${name}" in ${owner}, and make the bond a port of ${first.owner}`
                : `remove "${name}" from one of them; for two networks on one card make VLANs of it under host.vlans`
          }
      }
  }
}
