import { overlaps, type Prefix, parsePrefix } from '../net/prefix.ts'
import { daemonRanges } from './daemons.ts'
import type { Plan } from './plan.ts'

/**
 * Private networks that nothing in the file touches, neither a machine nor a program with ranges of its own, another one
 * each time: a /24 or /64 for an address or network no wider than that.
 */
export const unusedNetworks = (plan: Plan): ((like: Prefix) => string | undefined) => {
  let taken: Prefix[] | undefined
  return ({ family, bits }) => {
    if (bits < (family === 4 ? 24 : 64)) return undefined
    taken ??= [...takenBy(plan)]
    for (let i = 0; i < TRIES; i += 1) {
      const text = family === 4 ? `192.168.${100 + i}.0/24` : `fd12:3456:789a:${(i + 1).toString(16)}::/64`
      const parsed = parsePrefix(text)
      if (!('value' in parsed) || taken.some(other => overlaps(other, parsed.value))) continue
      taken.push(parsed.value)
      return text
    }
    return undefined
  }
}

/** How many networks are tried. */
const TRIES = 100

const takenBy = function* (plan: Plan): Generator<Prefix> {
  const { topology, bridges, links } = plan
  for (const { prefix } of daemonRanges(topology)) yield prefix
  const written = [
    ...topology.reserved.map(({ prefix }) => prefix),
    ...topology.host.configured.flatMap(({ addresses }) => addresses),
    ...links.flatMap(({ addresses, hostAddresses }) => [...addresses, ...hostAddresses])
  ]
  for (const { prefix } of written) if (prefix !== undefined) yield prefix
  for (const { subnets } of bridges.values()) for (const { prefix } of subnets) yield prefix
}
