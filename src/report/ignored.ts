import type { Finding } from '../findings/finding.ts'
import type { Topology } from '../model/topology.ts'
import { RULES } from '../rules/index.ts'
import { ignoreComments } from '../syntax/ignores.ts'
import type { Document } from '../syntax/document.ts'
import { SYNTAX_RULES } from '../syntax/faults.ts'
import { formatPath, quote } from '../text/path.ts'
import { linesOf, type Source } from '../text/source.ts'
import { nearest } from '../text/words.ts'

/** What is said of ignoring itself, each with a page in docs/rules like any rule. */
export const IGNORE_RULES = {
  'unused-ignore': { severity: 'hint', summary: 'An ignore suppresses nothing.' },
  'ignore-without-reason': {
    severity: 'error',
    summary: 'A fault that leaves the host open is ignored, and nobody says why.'
  }
} as const

/** Something that ignores findings of one rule, and whether it has. */
interface Ignore {
  readonly rule: string
  readonly reason: string
  readonly label: Finding['labels'][0]
  readonly written: string
  readonly covers: (finding: Finding) => boolean
  did: 'nothing' | 'ignored' | 'lacked a reason'
}

/** The findings without those that are ignored on purpose, and what is wrong with the ignoring itself. */
export const withoutIgnored = (
  source: Source,
  document: Document | undefined,
  topology: Topology | undefined,
  findings: readonly Finding[]
): readonly Finding[] => {
  if (document === undefined) return findings
  const comments = ignoreComments(source.text)
  const listed = topology?.ignores ?? []
  if (comments.length === 0 && listed.length === 0) return findings
  const ignores: Ignore[] = []
  if (comments.length > 0) {
    const lines = linesOf(source.text)
    const spans = document.locate(findings.map(({ labels: [first] }) => first))
    const lineOf = new Map(
      findings.map((finding, i) => [
        finding,
        lines.position(finding.labels[0].span?.start ?? spans[i]?.start ?? 0).line
      ])
    )
    for (const { line, rules, reason, span } of comments)
      for (const rule of rules.length === 0 ? [''] : rules)
        ignores.push({
          rule,
          reason,
          label: { at: [], span, text: 'it says so here' },
          written: `# netplan: ignore[${rule}] the reason`,
          covers: finding => lineOf.get(finding) === line,
          did: 'nothing'
        })
  }
  for (const { at, rule, place, reason } of listed)
    ignores.push({
      rule,
      reason,
      label: { at, text: 'it says so here' },
      written: 'reason: the reason',
      covers: ({ labels: [{ at: own }] }) => place === undefined || isWithin(formatPath(own), place),
      did: 'nothing'
    })
  const byRule = new Map<string, Ignore[]>()
  for (const ignore of ignores) {
    const others = byRule.get(ignore.rule)
    if (others === undefined) byRule.set(ignore.rule, [ignore])
    else others.push(ignore)
  }
  const kept = findings.filter(finding => {
    const own = byRule.get(finding.rule)?.filter(({ covers }) => covers(finding)) ?? []
    const isIgnored = own.some(({ reason }) => reason !== '' || !leavesOpen(finding))
    for (const ignore of own) ignore.did = isIgnored ? 'ignored' : 'lacked a reason'
    return !isIgnored
  })
  return [
    ...kept,
    ...ignores.flatMap(ignore =>
      ignore.did === 'nothing' ? [unused(ignore)] : ignore.did === 'ignored' ? [] : [unreasoned(ignore)]
    )
  ]
}

const isWithin = (path: string, place: string): boolean =>
  path === place || (path.startsWith(place) && /^[.[]/.test(path.slice(place.length)))

const EXPOSING = new Set(RULES.filter(({ exposes }) => exposes === true).map(({ id }) => id))

const leavesOpen = ({ rule, severity }: Finding): boolean => severity === 'error' && EXPOSING.has(rule)

/** Everything that can stand in the brackets of a finding. */
export const ruleNames = (): readonly string[] => [
  ...RULES.map(({ id }) => id),
  ...Object.keys(SYNTAX_RULES),
  ...Object.keys(IGNORE_RULES)
]

const unused = ({ rule, label }: Ignore): Finding => {
  const known = ruleNames()
  const meant = known.includes(rule) || rule === '' ? undefined : nearest(rule, known)
  return {
    rule: 'unused-ignore',
    severity: IGNORE_RULES['unused-ignore'].severity,
    message:
      rule === ''
        ? 'the ignore names no rule, and suppresses nothing'
        : known.includes(rule)
          ? `nothing is found here that ignore[${rule}] could suppress`
          : `there is no rule ${quote(rule)} that could be ignored`,
    labels: [label],
    note: 'a later fault of the kind at this place would be kept from you without a word',
    help:
      rule === ''
        ? 'name it: # netplan: ignore[rule-id] the reason'
        : meant === undefined
          ? 'remove it; a comment is about its own line, or about the next one where it stands alone'
          : `write ignore[${meant}], or remove it`
  }
}

const unreasoned = ({ rule, label, written }: Ignore): Finding => ({
  rule: 'ignore-without-reason',
  severity: IGNORE_RULES['ignore-without-reason'].severity,
  message: `${rule} is ignored here without a reason, and is told all the same`,
  labels: [label],
  note: 'the fault can leave every port of the host open, which nobody should wave through in passing',
  help: `mend it, or say why it is all right here: ${written}`
})
