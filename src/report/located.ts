import type { Elsewhere, Finding, Label, Severity } from '../findings/finding.ts'
import { byPlace } from '../findings/order.ts'
import type { Document } from '../syntax/document.ts'
import { linesOf, type Position, type Source, type Span } from '../text/source.ts'

/** A label with its place in the text. */
export interface LocatedLabel extends Label {
  readonly start: Position
  readonly end: Position
}

/** A place in another source of the same call. */
export interface LocatedElsewhere extends Elsewhere {
  readonly source: Source
  readonly start: Position
  readonly end: Position
}

export interface LocatedFinding extends Finding {
  readonly labels: readonly [LocatedLabel, ...LocatedLabel[]]
  readonly elsewhere?: readonly LocatedElsewhere[]
  /** What `mend` comes to in this text; see fixes.ts. */
  readonly fix?: Fix
}

/** A mend as changes of the text, all of them or none. */
export interface Fix {
  /** `containers.web.localAddress: 10.0.0.2 -> 10.0.0.2/24` */
  readonly title: string
  readonly edits: readonly TextChange[]
}

/** As in the language server protocol, but lines and columns count from 1. */
export interface TextChange {
  readonly start: Position
  readonly end: Position
  readonly newText: string
}

/** The findings of one source, in the order of their places. */
export interface Report {
  readonly source: Source
  readonly findings: readonly LocatedFinding[]
}

/** A source with what was found in it. */
export interface Found {
  readonly source: Source
  readonly document: Document | undefined
  readonly findings: readonly Finding[]
}

/** Turns paths into lines and columns: the only place where that happens, and only when something was found. */
export const locate = (all: readonly Found[]): readonly Report[] => {
  const wanted = all.map(({ findings }) => findings.flatMap(({ labels }): Label[] => [...labels]))
  for (const { findings } of all)
    for (const { elsewhere } of findings) for (const place of elsewhere ?? []) wanted[place.file]?.push(place)
  const places = all.map(({ source, document }, i) => spansOf(source, document, wanted[i] ?? []))
  return all.map(({ source, findings }, i) => {
    const here = places[i]
    if (findings.length === 0 || here === undefined) return { source, findings: [] }
    const place = (label: Label): LocatedLabel => ({ ...label, ...here.range(label) })
    const others = (elsewhere: readonly Elsewhere[]): readonly LocatedElsewhere[] =>
      elsewhere.flatMap(other => {
        const there = all[other.file]
        const range = places[other.file]?.range(other)
        return there === undefined || range === undefined
          ? []
          : [{ ...other, source: there.source, ...range }]
      })
    const sorted = findings
      .map(finding => ({ finding, start: here.offset(finding.labels[0]) }))
      .sort((a, b) => byPlace({ ...a.finding, start: a.start }, { ...b.finding, start: b.start }))
    return {
      source,
      findings: sorted.map(({ finding: { elsewhere, ...finding } }) => {
        const [first, ...rest] = finding.labels
        return {
          ...finding,
          labels: [place(first), ...rest.map(place)],
          ...(elsewhere === undefined ? {} : { elsewhere: others(elsewhere) })
        }
      })
    }
  })
}

interface Ranges {
  readonly offset: (label: Label) => number
  readonly range: (label: Label) => { readonly start: Position; readonly end: Position }
}

/** Where labels stand in their source, in one pass. */
const spansOf = (
  source: Source,
  document: Document | undefined,
  labels: readonly Label[]
): Ranges | undefined => {
  if (labels.length === 0) return undefined
  const lines = linesOf(source.text)
  const spans = document?.locate(labels) ?? []
  const spanOf = new Map<Label, Span>(labels.map((label, i) => [label, label.span ?? spans[i] ?? NOWHERE]))
  // An editor refuses a place outside of the text.
  const position = (offset: number): Position =>
    lines.position(Math.min(Math.max(offset, 0), source.text.length))
  return {
    offset: label => spanOf.get(label)?.start ?? 0,
    range: label => {
      const { start, end } = spanOf.get(label) ?? NOWHERE
      return { start: position(start), end: position(Math.max(end, start)) }
    }
  }
}

const NOWHERE: Span = { start: 0, end: 0 }

/** How many findings of each severity there are in several reports. */
export const tally = (reports: readonly Pick<Report, 'findings'>[]): Record<Severity, number> => {
  const count = { error: 0, warning: 0, hint: 0 }
  for (const { findings } of reports) for (const { severity } of findings) count[severity] += 1
  return count
}
