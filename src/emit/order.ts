import type { Container, Vm } from '../model/topology.ts'
import type { Link, Plan } from '../plan/plan.ts'
import { compareTexts } from '../text/order.ts'
import type { Path } from '../text/path.ts'

// Keys of the file have no order, so what they name is put into one: the same network gives the same bytes.

/** A container's own pair first, its extra veths by name, then the lists in their order; a machine's interfaces by name. */
export const linksInOrder = ({ linksOf }: Plan, node: Container | Vm): readonly Link[] => {
  const links = linksOf.get(node) ?? []
  return links.length < 2
    ? links
    : [...links].sort((a, b) => rank(a) - rank(b) || compareTexts(key(a), key(b)))
}

const rank = ({ kind, veth }: Link): number =>
  veth?.extra === false ? 0 : veth?.extra === true ? 1 : kind === 'tap' ? 2 : 3

const key = (link: Link): string => (rank(link) === 3 ? '' : link.ifname)

/** Steps that are numbers are places in lists. */
export const comparePaths = (a: Path, b: Path): number => {
  for (const [i, step] of a.entries()) {
    const other = b[i]
    if (other === undefined) return 1
    if (step === other) continue
    return typeof step === 'number' && typeof other === 'number'
      ? step - other
      : compareTexts(String(step), String(other))
  }
  return a.length - b.length
}
