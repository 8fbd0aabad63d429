import { formatAddr, width } from '../net/addr.ts'
import { formatPrefix, type Prefix, usable } from '../net/prefix.ts'
import type { Fit, Fits } from '../plan/fit.ts'
import { listed, plural } from '../text/words.ts'
import { printable } from './compact.ts'
import { grouped } from './table.ts'

/** What is answered to "will so many more fit?", for people. */
export const fitText = ({ fits, added, smallest }: Fits): string =>
  [
    ...fits.flatMap(fitLines),
    ...added.map(
      ({ bridge, more }) =>
        `${bridge} has no network in the file: it is counted as a new network for ${plural(more, 'host')} and the bridge`
    ),
    ...smallest.flatMap(({ pool, splits, bits }) => [
      '',
      `the smallest plan in ${formatPrefix(pool)}:`,
      ...splits.map(({ name, hosts, prefix }) =>
        prefix === undefined
          ? `  ${name.padEnd(16)} no room for ${plural(hosts, 'host')}`
          : `  ${name.padEnd(16)} ${formatPrefix(prefix).padEnd(20)} ${grouped(hosts)} of ${grouped(usable(prefix.family, prefix.bits))} used`
      ),
      bits === undefined ? '  no prefix holds all of them' : `  a /${bits} holds all of them`
    ])
  ]
    .map(line => `${printable(line)}\n`)
    .join('')

const fitLines = ({
  bridge,
  more,
  network,
  usable: room,
  used,
  free,
  fits,
  open,
  wider,
  beyond,
  inTheWay,
  elsewhere
}: Fit): readonly string[] => {
  const left = open ? 'not in the file' : 'free'
  const head = `${bridge} ${formatPrefix(network)}: ${grouped(used)} of ${grouped(room)} used, ${grouped(free)} ${left}`
  if (fits)
    return [
      open
        ? `${head}; ${more} more fit where machines that are not in the file leave room`
        : `${head}; ${more} more fit, and ${grouped(free - BigInt(more))} are left then`
    ]
  const lines = [`${head}; ${more} more do not fit`]
  if (wider === undefined) return [...lines, '  no network is large enough']
  lines.push(
    `  ${formatPrefix(wider)} has ${grouped(usable(wider.family, wider.bits))} usable and holds all of them`
  )
  if (inTheWay.length > 0)
    lines.push(
      `  in the way, and to be moved: ${listed(inTheWay.map(({ name, prefix }) => `${name} (${netText(prefix)})`))}`
    )
  if (beyond) lines.push('  not all of it is private')
  else if (inTheWay.length === 0)
    lines.push(
      `  ${open ? 'unless machines that are not in the file have addresses there' : 'it is free'}: ${grown(network, wider)}`
    )
  if (elsewhere !== undefined)
    lines.push(
      `  or move ${bridge} to ${formatPrefix(elsewhere.prefix)}, which is free${elsewhere.pool === undefined ? '' : ` in pool ${elsewhere.pool}`}`
    )
  return lines
}

const netText = (prefix: Prefix): string =>
  prefix.bits === width(prefix.family) ? formatAddr(prefix) : formatPrefix(prefix)

const grown = (network: Prefix, { bits }: Prefix): string =>
  `write /${bits} instead of /${network.bits} for the bridge and everybody on it, and no address changes`

/** The same for programs; addresses are counted in texts of digits. */
export const fitJson = ({ fits, added, smallest }: Fits): string =>
  `${JSON.stringify(
    {
      version: 1,
      fits: fits.map(({ network, usable: room, used, free, wider, inTheWay, elsewhere, ...fit }) => ({
        ...fit,
        network: formatPrefix(network),
        usable: String(room),
        used: String(used),
        free: String(free),
        wider: wider === undefined ? null : formatPrefix(wider),
        inTheWay: inTheWay.map(({ name, prefix }) => ({ name, prefix: formatPrefix(prefix) })),
        elsewhere:
          elsewhere === undefined
            ? null
            : { pool: elsewhere.pool ?? null, prefix: formatPrefix(elsewhere.prefix) }
      })),
      added,
      smallest: smallest.map(({ family, pool, splits, bits }) => ({
        family,
        pool: formatPrefix(pool),
        bits: bits ?? null,
        splits: splits.map(({ name, hosts, prefix }) => ({
          name,
          hosts: String(hosts),
          prefix: prefix === undefined ? null : formatPrefix(prefix)
        }))
      }))
    },
    null,
    2
  )}\n`
