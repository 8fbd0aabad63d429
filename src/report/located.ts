import type { Finding, Label, Severity } from '../findings/finding.ts'
import { byPlace } from '../findings/order.ts'
import type { Document } from '../syntax/document.ts'
import { linesOf, type Position, type Source, type Span } from '../text/source.ts'

/** A label with its place in the text. */
export interface LocatedLabel extends Label {
  readonly start: Position
  readonly end: Position
}

export interface LocatedFinding extends Finding {
  readonly labels: readonly [LocatedLabel, ...LocatedLabel[]]
}

/** The findings of one source, in the order of their places. */
export interface Report {
  readonly source: Source
  readonly findings: readonly LocatedFinding[]
}

/** Turns paths into lines and columns: the only place where that happens, and only when something was found. */
export const located = (source: Source, findings: readonly Finding[], document?: Document): Report => {
  if (findings.length === 0) return { source, findings: [] }
  const lines = linesOf(source.text)
  const labels = findings.flatMap(finding => finding.labels)
  const spans = document?.locate(labels) ?? []
  const spanOf = new Map<Label, Span>(
    labels.map((label, i) => [label, label.span ?? spans[i] ?? { start: 0, end: 0 }])
  )
  // An editor refuses a place outside of the text.
  const position = (offset: number): Position =>
    lines.position(Math.min(Math.max(offset, 0), source.text.length))
  const place = (label: Label): LocatedLabel => {
    const { start, end } = spanOf.get(label) ?? { start: 0, end: 0 }
    return { ...label, start: position(start), end: position(Math.max(end, start)) }
  }
  const sorted = findings
    .map(finding => ({ finding, start: spanOf.get(finding.labels[0])?.start ?? 0 }))
    .sort((a, b) => byPlace({ ...a.finding, start: a.start }, { ...b.finding, start: b.start }))
  return {
    source,
    findings: sorted.map(({ finding }) => {
      const [first, ...others] = finding.labels
      return { ...finding, labels: [place(first), ...others.map(place)] }
    })
  }
}

/** How many findings of each severity there are in several reports. */
export const tally = (reports: readonly Report[]): Record<Severity, number> => {
  const count = { error: 0, warning: 0, hint: 0 }
  for (const { findings } of reports) for (const { severity } of findings) count[severity] += 1
  return count
}
