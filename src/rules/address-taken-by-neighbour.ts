import { formatAddr, width } from '../net/addr.ts'
import { formatPrefix } from '../net/prefix.ts'
import type { Clash } from '../plan/site.ts'
import type { Rule } from './rule.ts'

export const addressTakenByNeighbour: Rule = {
  id: 'address-taken-by-neighbour',
  group: 'addresses',
  severity: 'error',
  summary: 'Two hosts of one LAN use the same address.',
  *check(_plan, _free, { clashes }) {
    for (const clash of clashes) {
      const { own, other, by } = clash
      yield {
        message: `address ${formatAddr(own.addr)} of ${own.owner} is also used by another host of the same LAN, by ${other.owner}`,
        labels: [{ at: own.at, text: 'taken already' }],
        elsewhere: [{ file: other.file, at: other.at, text: `by ${other.owner}` }],
        note: `both hosts are in ${'site' in by ? `the site "${by.site}"` : formatPrefix(by.network)}; neighbours keep whichever of the two answered last, so connections break off and come back at random`,
        help: mend(clash)
      }
    }
  }
}

const mend = ({ own, by, free }: Clash): string => {
  const other = own.network.bits === width(own.network.family) ? undefined : free()
  const advice =
    other === undefined
      ? `give ${own.owner} another address`
      : `give ${own.owner} another address: no file here has ${formatAddr(other)}`
  return 'site' in by
    ? advice
    : `${advice}; if the hosts are not in one LAN, give each file a site: of its own`
}
