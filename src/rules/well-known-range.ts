import type { AddressText } from '../model/topology.ts'
import { contains, formatPrefix, overlaps, type Prefix } from '../net/prefix.ts'
import { type DaemonRange, daemonRanges } from '../plan/daemons.ts'
import type { Plan } from '../plan/plan.ts'
import { unusedNetworks } from '../plan/unused-networks.ts'
import { plural } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** A26 */
export const wellKnownRange: Rule = {
  id: 'well-known-range',
  group: 'addresses',
  severity: 'warning',
  summary: 'An address is from the range that a program on the host takes by default.',
  *check(plan) {
    const { reserved, host } = plan.topology
    // What the file reserves is told as an overlap, and one who reserves for a program knows its range.
    const ranges = daemonRanges(plan.topology).filter(
      range =>
        !reserved.some(
          ({ prefix: { prefix }, for: owner }) =>
            prefix !== undefined &&
            (overlaps(prefix, range.prefix) || owner?.toLowerCase().includes(range.daemon) === true)
        )
    )
    if (ranges.length === 0) return
    const found = new Map<DaemonRange, Use[]>()
    for (const use of uses(plan)) {
      const range = ranges.find(({ prefix, ifname }) => contains(prefix, use.prefix) && use.ifname !== ifname)
      if (range === undefined || use.prefix.bits < range.prefix.bits) continue
      const known = found.get(range)
      if (known === undefined) found.set(range, [use])
      else known.push(use)
    }
    const unused = unusedNetworks(plan)
    for (const [range, all] of found) {
      const [first, ...rest] = all
      if (first === undefined) continue
      const { daemon, prefix, symptom, option, fatal } = range
      yield {
        message: `${first.address.text} of ${first.owner}${rest.length === 0 ? '' : ` and ${plural(rest.length, 'other address', 'other addresses')}`} ${rest.length === 0 ? 'lies' : 'lie'} in ${formatPrefix(prefix)}, which ${daemon} takes for ${range.use}`,
        labels: [
          { at: first.address.at, text: `${daemon} takes this range unless it is told otherwise` },
          { at: [...host.at, 'daemons'], text: `${daemon} runs on this host` },
          ...rest.slice(0, LABELLED).map(({ address }) => ({ at: address.at, text: 'and this' }))
        ],
        note: symptom,
        help: `number from another private network${such(unused(first.prefix))}${option === undefined ? '' : `, or give ${daemon} another range with ${option}`}`,
        ...(fatal ? { severity: 'error' as const } : {})
      }
    }
  }
}

/** How many of the other addresses are shown. */
const LABELLED = 8

interface Use {
  readonly address: AddressText
  readonly prefix: Prefix
  readonly owner: string
  readonly ifname: string
}

/** The networks of bridges and interfaces, and the addresses of pairs; those on a bridge follow from the bridge. */
const uses = function* ({ topology: { host }, bridges, links }: Plan): Generator<Use> {
  const use = (address: AddressText, owner: string, ifname: string): Use[] =>
    address.prefix === undefined ? [] : [{ address, prefix: address.prefix, owner, ifname }]
  for (const { bridge } of bridges.values())
    for (const address of bridge.addresses) yield* use(address, `bridge "${bridge.name}"`, bridge.name)
  for (const { name, addresses } of host.configured)
    for (const address of addresses) yield* use(address, `host interface "${name}"`, name)
  for (const { node, bridge, bridgeName, addresses, hostAddresses, hostIfname } of links) {
    const owner = `"${node.name}"`
    if (bridge !== undefined && bridge.subnets.length > 0) continue
    const ifname = bridgeName ?? hostIfname
    for (const address of addresses) yield* use(address, owner, ifname)
    for (const address of hostAddresses) yield* use(address, owner, ifname)
  }
}

const such = (network: string | undefined): string => (network === undefined ? '' : `, such as ${network}`)
