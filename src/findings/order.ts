import type { Severity } from './finding.ts'

const RANK: Record<Severity, number> = { error: 0, warning: 1, hint: 2 }

interface Ordered {
  readonly start: number
  readonly severity: Severity
  readonly rule: string
  readonly message: string
}

/** The one order of findings: by place in the file, then the gravest first, then by rule and message. */
export const byPlace = (a: Ordered, b: Ordered): number =>
  a.start - b.start ||
  RANK[a.severity] - RANK[b.severity] ||
  (a.rule < b.rule ? -1 : a.rule > b.rule ? 1 : a.message < b.message ? -1 : a.message > b.message ? 1 : 0)
