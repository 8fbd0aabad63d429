import type { Edit, Mend, TextEdit, Value } from '../findings/mend.ts'
import { type Change, changesOf, written } from '../syntax/edit.ts'
import { parseDocument } from '../syntax/document.ts'
import { formatPath, type Path } from '../text/path.ts'
import { linesOf } from '../text/source.ts'
import type { Fix, LocatedFinding, Report } from './located.ts'

/** The reports with what each mend comes to in the text; a mend that the text has no room for is not offered. */
export const withFixes = async (reports: readonly Report[]): Promise<readonly Report[]> => {
  const all: Report[] = []
  for (const report of reports) all.push(await fixesIn(report))
  return all
}

const fixesIn = async (report: Report): Promise<Report> => {
  const { source, findings } = report
  const wanted = findings.flatMap((finding): { finding: LocatedFinding; mend: Mend }[] =>
    finding.mend === undefined ? [] : [{ finding, mend: finding.mend }]
  )
  if (wanted.length === 0) return report
  const changes = await changesOf(
    source,
    wanted.map(({ mend }) => mend.filter(isPathEdit))
  )
  const lines = linesOf(source.text)
  const title = await titles(source.text)
  const fixes = new Map<LocatedFinding, Fix>()
  for (const [i, { finding, mend }] of wanted.entries()) {
    const [first] = mend
    const made: readonly Change[] | undefined =
      first.kind === 'text' ? [{ ...first.span, text: first.text }] : changes[i]
    if (made === undefined) continue
    fixes.set(finding, {
      title: title(mend),
      edits: made.map(({ start, end, text }) => ({
        start: lines.position(start),
        end: lines.position(end),
        newText: text
      }))
    })
  }
  return {
    source,
    findings: findings.map(finding => {
      const fix = fixes.get(finding)
      return fix === undefined ? finding : { ...finding, fix }
    })
  }
}

export const isPathEdit = (edit: Edit | TextEdit): edit is Edit => edit.kind !== 'text'

/** Says what mends of a text do, in one line. */
export const titles = async (text: string): Promise<(mend: Mend) => string> => {
  const parsed = await parseDocument({ file: '', text })
  const data = 'data' in parsed ? parsed.data : undefined
  return mend => mend.map(edit => said(edit, text, data)).join('; ')
}

const said = (edit: Edit | TextEdit, text: string, data: unknown): string => {
  if (edit.kind === 'text') return `${text.slice(edit.span.start, edit.span.end)} -> ${edit.text}`
  const path = formatPath(edit.at)
  switch (edit.kind) {
    case 'remove':
      return `${path}: removed`
    case 'rename':
      return `${path}: renamed to ${edit.key}`
    case 'replace': {
      const old = valueAt(data, edit.at)
      return `${path}: ${shown(old ?? null, edit.value)} -> ${shown(edit.value, old)}`
    }
    default:
      return `${path}: ${shown(edit.value, undefined)} added`
  }
}

const valueAt = (data: unknown, at: Path): Value | undefined => {
  let value = data
  for (const step of at) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined
    value = Reflect.get(value, step)
  }
  // What js-yaml and JSON.parse make is nothing else.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return value as Value
}

/** Quotes are told only where they are what changes. */
const shown = (value: Value, beside: Value | undefined): string => {
  const text =
    typeof value === 'string' && (beside === undefined || typeof beside === 'string') ? value : written(value)
  return text.length > MOST ? `${text.slice(0, MOST - 1)}…` : text
}

const MOST = 100
