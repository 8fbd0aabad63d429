import type { Named } from '../model/topology.ts'
import type { Rule } from './rule.ts'

/** C7 */
export const namesDifferInCase: Rule = {
  id: 'names-differ-in-case',
  group: 'names',
  severity: 'warning',
  summary: 'Two containers have names that differ only in upper and lower case.',
  *check({ topology }) {
    // Names that are all in lower case cannot differ in it.
    if (topology.containers.every(({ name }) => name === name.toLowerCase())) return
    const seen = new Map<string, Named>()
    // One that is switched off keeps its name.
    const taken = new Set(topology.containers.map(({ name }) => name.toLowerCase()))
    for (const container of topology.containers) {
      if (!container.enabled) continue
      const { name, at } = container
      const lower = name.toLowerCase()
      const earlier = seen.get(lower)
      if (earlier === undefined) {
        seen.set(lower, container)
        continue
      }
      yield {
        message: `containers "${earlier.name}" and "${name}" differ only in upper and lower case`,
        labels: [
          { at, on: 'key', text: 'one name' },
          { at: earlier.at, on: 'key', text: 'the same to DNS' }
        ],
        note: 'host names have no case (RFC 4343): DNS, mDNS and /etc/hosts take the two for one, and answer with either',
        help: `give one of them another name, such as ${freeName(lower, taken)}`
      }
    }
  }
}

/** The name with the first number that nobody has, another one at each call. */
const freeName = (name: string, taken: Set<string>): string => {
  let number = 2
  while (taken.has(`${name}${number}`)) number += 1
  taken.add(`${name}${number}`)
  return `${name}${number}`
}
