import type { Link } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** C12 */
export const duplicateInterfaceName: Rule = {
  id: 'duplicate-interface-name',
  group: 'names',
  severity: 'error',
  summary: "An extra veth has the name of an interface that exists on the host already.",
  *check({ links, hostInterfaces }) {
    const extras = new Map<string, Link>()
    for (const link of links) {
      const { veth, hostIfname, node } = link
      if (veth?.extra !== true) continue
      const twin = extras.get(hostIfname)
      const owner = hostInterfaces.get(hostIfname)
      extras.set(hostIfname, link)
      const other = twin === undefined ? (owner?.kind === 'extra-veth' ? undefined : owner) : owner
      if (other === undefined) continue
      yield {
        message: `the extra veth "${hostIfname}" of container "${node.name}" has the name of ${twin === undefined ? article(other.owner) : `an extra veth of ${other.owner}`}`,
        labels: [
          { at: veth.at, on: 'key', text: 'this name exists on the host too' },
          { at: other.at, on: 'key', text: `and belongs to ${other.owner}` }
        ],
        note: `before the container starts, NixOS runs "ip link del dev ${hostIfname}": it deletes the other interface, and whoever starts last has it`,
        help: `give it a name that is unique on the host, such as ve-${node.name.slice(0, 10)}-2`
      }
    }
  }
}

const article = (owner: string): string => (owner.startsWith('container') ? `the veth pair of ${owner}` : owner)
