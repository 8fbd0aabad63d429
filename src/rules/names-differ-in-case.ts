import type { Named } from '../model/topology.ts'
import type { Rule } from './rule.ts'

/** C7 */
export const namesDifferInCase: Rule = {
  id: 'names-differ-in-case',
  group: 'names',
  severity: 'warning',
  summary: 'Two containers have names that differ only in upper and lower case.',
  *check({ topology }) {
    const seen = new Map<string, Named>()
    for (const { name, at, enabled } of topology.containers) {
      if (!enabled) continue
      const earlier = seen.get(name.toLowerCase())
      if (earlier === undefined) {
        seen.set(name.toLowerCase(), { name, at })
        continue
      }
      yield {
        message: `containers "${earlier.name}" and "${name}" differ only in upper and lower case`,
        labels: [
          { at, on: 'key', text: 'one name' },
          { at: earlier.at, on: 'key', text: 'the same to DNS' }
        ],
        note: 'host names have no case (RFC 4343): DNS, mDNS and /etc/hosts take the two for one, and answer with either',
        help: `give one of them another name, such as ${freeName(name.toLowerCase(), topology.containers)}`
      }
    }
  }
}

const freeName = (name: string, taken: readonly Named[]): string => {
  const names = new Set(taken.map(({ name }) => name.toLowerCase()))
  let number = 2
  while (names.has(`${name}${number}`)) number += 1
  return `${name}${number}`
}
