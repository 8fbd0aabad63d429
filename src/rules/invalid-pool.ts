import type { Problem } from '../findings/finding.ts'
import { offer, replaced } from '../findings/mend.ts'
import type { Exclusion, Pool } from '../model/topology.ts'
import { formatAddr } from '../net/addr.ts'
import { formatNetwork, formatPrefix, masked } from '../net/prefix.ts'
import { OWN_PORTS } from '../plan/allocate.ts'
import { quote } from '../text/path.ts'
import type { Rule } from './rule.ts'

export const invalidPool: Rule = {
  id: 'invalid-pool',
  group: 'addresses',
  severity: 'error',
  summary: 'A pool says nothing that addresses or ports could be taken from.',
  *check({ topology }) {
    for (const pool of topology.pools) {
      yield* emptyPool(pool)
      yield* badPrefix(pool)
      if (pool.ports !== undefined && pool.ports.range === undefined)
        yield {
          message: `the ports of pool ${quote(pool.name)} are ${quote(pool.ports.text)}, which is no range of ports`,
          labels: [{ at: pool.ports.at, text: 'not from-to, within 1 to 65535' }],
          note: NOTHING,
          help: `write it as from-to, lowest first: ports: "${OWN_PORTS.from}-${OWN_PORTS.to}"`
        }
      for (const entry of pool.exclude) yield* badExclusion(pool, entry)
    }
  }
}

const NOTHING = 'nothing is taken from it, and what is auto gets a value from elsewhere or none'

const emptyPool = function* ({ at, name, prefix, ports }: Pool): Generator<Problem> {
  if (prefix !== undefined || ports !== undefined) return
  yield {
    message: `pool ${quote(name)} has neither a prefix nor ports`,
    labels: [{ at, on: 'key', text: 'nothing is in it' }],
    note: NOTHING,
    help: 'write prefix: 10.231.0.0/16, or another network that nobody else uses'
  }
}

const badPrefix = function* ({ name, prefix: text }: Pool): Generator<Problem> {
  const { prefix, bare = false, at } = text ?? {}
  if (prefix === undefined || at === undefined) return
  if (bare)
    yield {
      message: `the prefix of pool ${quote(name)} is the single address ${formatAddr(prefix)}`,
      labels: [{ at, text: 'no prefix length' }],
      note: 'one address is all that could be taken from it',
      help: `write how large it is: ${formatNetwork({ ...prefix, bits: prefix.family === 4 ? 24 : 48 })}`
    }
  else if (masked(prefix).value !== prefix.value)
    yield {
      message: `the prefix of pool ${quote(name)} is ${formatPrefix(prefix)}, an address within ${formatNetwork(prefix)}`,
      labels: [{ at, text: 'it has bits behind its prefix length' }],
      note: 'a pool is a whole network; whether it was to begin here is left open',
      help: `write ${formatNetwork(prefix)}`,
      ...offer(replaced(at, formatNetwork(prefix)))
    }
}

const badExclusion = function* (
  { name }: Pool,
  { at, text, addresses, ports }: Exclusion
): Generator<Problem> {
  if (addresses !== undefined || ports !== undefined) return
  yield {
    message: `pool ${quote(name)} excludes ${quote(text)}, which names neither addresses nor ports`,
    labels: [{ at, text: 'not an address, a network, a range, or ports' }],
    note: 'it excludes nothing, so what it was to keep free may be given out',
    help: 'write an address, address/bits, from-to with the lower address first, or ports as from-to'
  }
}
