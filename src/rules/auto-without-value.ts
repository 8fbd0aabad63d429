import { contains, formatNetwork } from '../net/prefix.ts'
import { bitsForBlocks } from '../net/space.ts'
import { isUniqueLocal, subnetBits } from '../plan/allocate.ts'
import type { Plan, Unallocated } from '../plan/plan.ts'
import { formatPath, quote } from '../text/path.ts'
import { plural } from '../text/words.ts'
import type { Rule } from './rule.ts'

export const autoWithoutValue: Rule = {
  id: 'auto-without-value',
  group: 'addresses',
  severity: 'error',
  summary: 'A value is auto, and there is nothing left or nothing at all that it could be.',
  *check(plan) {
    for (const entry of plan.unallocated) {
      // A bridge that is not there is told where it is named.
      if (isUniqueLocal(entry) || entry.reason === 'no-bridge' || followsFrom(plan, entry)) continue
      const { at, within, kind, family, reason, wanted } = entry
      yield {
        message: `${formatPath(at)} is auto, and ${reasonOf(entry)}`,
        labels: [
          { at, text: 'no value' },
          ...(within === undefined || within.at.length === 0
            ? []
            : [
                {
                  at: within.at,
                  text:
                    reason === 'no-network'
                      ? `no IPv${family} network`
                      : isBlock(entry)
                        ? `no room for ${plural(wanted, 'host')} in a row`
                        : 'it is looked for here'
                }
              ])
        ],
        note:
          kind === 'port'
            ? 'without a port on the host nothing is forwarded'
            : kind === 'subnet'
              ? 'without a network the bridge has no address, and nobody on it gets one'
              : kind === 'router'
                ? 'without a router it reaches nobody beyond its own network'
                : 'without it nobody reaches the machine by this interface, and it reaches nobody',
        help: mendOf(plan, entry)
      }
    }
  }
}

/** Whether it has no value because the bridge's own subnet has none, which is told there. */
const followsFrom = ({ unallocated, topology }: Plan, { reason, kind, family }: Unallocated): boolean =>
  reason === 'no-network' &&
  kind !== 'subnet' &&
  unallocated.some(other => other.kind === 'subnet' && other.family === family) &&
  topology.bridges.some(({ addresses }) => addresses.some(({ auto }) => auto))

/** Whether it is a whole network of a pool, and not the place of a bridge in the network of its members. */
const isBlock = ({ kind, within }: Unallocated): boolean =>
  kind === 'subnet' && within?.at[0] !== 'containers' && within?.at[0] !== 'vms'

const reasonOf = (entry: Unallocated): string => {
  const { reason, within, family, kind, wanted } = entry
  const place = within?.text ?? 'the pool'
  if (reason === 'no-network')
    return `there is no IPv${family} ${kind === 'router' && within === undefined ? "address at the host's end" : 'network that it could be from'}`
  if (reason === 'no-pool')
    return `${place} is a network to outside, in which others have addresses that the file does not know`
  const what =
    kind === 'port'
      ? 'every port'
      : isBlock(entry)
        ? `every place for ${plural(wanted, 'host')}`
        : 'every address'
  return `${what} of ${place} is taken`
}

const mendOf = (plan: Plan, entry: Unallocated): string => {
  const { at, reason, within, family, kind } = entry
  const place = within?.text ?? 'the pool'
  if (reason === 'no-network')
    return within !== undefined
      ? `give ${quote(within.text)} an IPv${family} address, or write address: auto for it`
      : kind === 'router'
        ? `write the router's address, or ${family === 4 ? 'hostAddress' : 'hostAddress6'}: auto beside it`
        : at[0] === 'vms'
          ? 'write the address, or hostBridge: the bridge that its interface is on'
          : 'write the address, or dhcp: true where the network gives one'
  if (reason === 'no-pool')
    return `say which part of it is yours: pools: { lan: { prefix: a part of ${place} that your router gives to nobody } }`
  if (kind === 'port') return 'widen the ports of the pool, or add another pool with ports'
  if (isBlock(entry)) return `${wider(plan, entry)}add another pool, or write a smaller size for the bridge`
  return `use a shorter prefix for ${place}${isPool(plan, entry) ? ', or add another pool' : ', on the bridge and all that is on it'}`
}

/** Whether it was looked for in a pool, and not in a network that is there. */
const isPool = ({ topology }: Plan, { within }: Unallocated): boolean =>
  within?.at.length === 0 || topology.pools.some(({ prefix }) => prefix?.at === within?.at)

/** The pool as wide as it has to be for the networks in it and all that found no room. */
const wider = ({ topology, unallocated }: Plan, { within, family }: Unallocated): string => {
  const pool = topology.pools.find(({ prefix }) => prefix !== undefined && prefix.at === within?.at)?.prefix
    ?.prefix
  if (pool === undefined) return ''
  const there = topology.bridges.flatMap(({ addresses }) =>
    addresses.flatMap(({ prefix }) => (prefix !== undefined && contains(pool, prefix) ? [prefix.bits] : []))
  )
  const missing = unallocated.flatMap(({ kind, reason, family: own, wanted }) =>
    kind === 'subnet' && reason === 'full' && own === family ? [subnetBits(family, wanted)] : []
  )
  const bits = bitsForBlocks(family, [...there, ...missing])
  return bits === undefined || bits >= pool.bits
    ? ''
    : `make the pool ${formatNetwork({ ...pool, bits })}, if nobody else has that; or `
}
