import type { Severity } from '../findings/finding.ts'
import { plural } from '../text/words.ts'
import type { LocatedFinding, Report } from './located.ts'

/** How many findings of one rule in one file a person is shown: more of them have one cause, and hide the others. */
const MOST = 100

/** Findings of one rule that are not shown. */
export interface Rest {
  readonly rule: string
  readonly severity: Severity
  readonly count: number
}

/** What of a report people are shown, and what is summed up instead. */
export const shown = (
  { findings }: Report,
  all: boolean
): { readonly findings: readonly LocatedFinding[]; readonly rest: readonly Rest[] } => {
  if (all || findings.length <= MOST) return { findings, rest: [] }
  const counts = new Map<string, { rule: string; severity: Severity; count: number }>()
  const kept = findings.filter(({ rule, severity }) => {
    const known = counts.get(rule) ?? { rule, severity, count: 0 }
    counts.set(rule, known)
    known.count += 1
    return known.count <= MOST
  })
  const rest = [...counts.values()].filter(({ count }) => count > MOST)
  return { findings: kept, rest: rest.map(left => ({ ...left, count: left.count - MOST })) }
}

/** `1,900 more in topology.yaml; --all shows them` */
export const more = ({ source }: Report, { count }: Rest): string =>
  `${plural(count, 'more finding')} of this rule in ${source.file}; --all shows ${count === 1 ? 'it' : 'them'}`
