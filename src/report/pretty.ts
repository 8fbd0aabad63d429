import type { Severity } from '../findings/finding.ts'
import { linesOf, type Lines } from '../text/source.ts'
import { plural } from '../text/words.ts'
import { printable } from './compact.ts'
import { type LocatedFinding, type LocatedLabel, type Report, tally } from './located.ts'

/** How text is coloured; each function returns its argument where there is no colour. */
export interface Paint {
  readonly error: (text: string) => string
  readonly warning: (text: string) => string
  readonly hint: (text: string) => string
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
}

/** Findings for people: what is wrong, the lines of all places, why it matters, what to do. Nothing for no findings. */
export const pretty = (reports: readonly Report[], paint: Paint): string => {
  const parts: string[] = []
  for (const { source, findings } of reports) {
    if (findings.length === 0) continue
    const lines = linesOf(source.text)
    for (const finding of findings) parts.push(one(source.file, lines, finding, paint))
  }
  if (parts.length === 0) return ''
  return `${parts.join('\n')}\n${summary(reports, paint)}\n`
}

const summary = (reports: readonly Report[], paint: Paint): string => {
  const count = tally(reports)
  const said = (['error', 'warning', 'hint'] as const)
    .filter(severity => count[severity] > 0)
    .map(severity => paint[severity](plural(count[severity], severity)))
  return reports.length > 1 ? `${said.join(', ')} in ${plural(reports.length, 'file')}` : said.join(', ')
}

const one = (file: string, lines: Lines, finding: LocatedFinding, paint: Paint): string => {
  const { rule, severity, message, note, help, labels } = finding
  const [first] = labels
  const colour = paint[severity]
  const width = String(Math.max(...labels.map(({ start }) => start.line))).length
  const gutter = ' '.repeat(width)
  const bar = paint.dim('|')
  const head = `${colour(`${severity}[${rule}]`)}${paint.bold(`: ${printable(message)}`)}`
  const where = `${gutter}${paint.dim('-->')} ${printable(file)}:${first.start.line}:${first.start.column}`
  return [
    head,
    where,
    `${gutter} ${bar}`,
    ...excerpt(lines, labels, width, severity, paint),
    `${gutter} ${bar}`,
    ...folded(gutter, 'note', printable(note), paint),
    ...folded(gutter, 'help', printable(help), paint),
    ''
  ].join('\n')
}

/** A long explanation in lines of a readable width, indented under its first word. */
const folded = (gutter: string, title: string, text: string, paint: Paint): string[] => {
  const room = 100 - gutter.length - title.length - 5
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  lines.push(line)
  const lead = `${gutter} ${paint.dim('=')} ${paint.bold(`${title}:`)} `
  const indent = ' '.repeat(gutter.length + title.length + 5)
  return lines.map((line, i) => (i === 0 ? lead + line : indent + line))
}

/** The lines of all labels, in the file's order, each with its marks beneath; gaps are shown by dots. */
const excerpt = (lines: Lines, labels: LocatedFinding['labels'], width: number, severity: Severity, paint: Paint): string[] => {
  const byLine = new Map<number, LocatedLabel[]>()
  for (const label of labels) {
    const same = byLine.get(label.start.line)
    if (same === undefined) byLine.set(label.start.line, [label])
    else same.push(label)
  }
  const out: string[] = []
  const bar = paint.dim('|')
  let previous: number | undefined
  for (const number of [...byLine.keys()].sort((a, b) => a - b)) {
    if (previous !== undefined && number === previous + 2) out.push(code(lines, previous + 1, width, paint))
    else if (previous !== undefined && number > previous + 2) out.push(paint.dim('...'))
    out.push(code(lines, number, width, paint))
    const here = [...(byLine.get(number) ?? [])].sort((a, b) => a.start.column - b.start.column)
    for (const label of here) {
      const primary = label === labels[0]
      const { from, length } = marks(lines.line(number), label)
      const mark = (primary ? '^' : '-').repeat(length)
      const text = `${mark} ${printable(label.text)}`
      out.push(`${' '.repeat(width)} ${bar} ${' '.repeat(from)}${primary ? paint[severity](text) : paint.hint(text)}`)
    }
    previous = number
  }
  return out
}

/** Lines longer than this are cut around what they are shown for. */
const LINE_MAX = 160

const code = (lines: Lines, number: number, width: number, paint: Paint): string => {
  const text = lines.line(number)
  const shown = text.length > LINE_MAX ? `${text.slice(0, LINE_MAX)}…` : text
  return `${paint.dim(`${String(number).padStart(width)} |`)} ${printable(shown)}`.trimEnd()
}

const marks = (line: string, { start, end }: LocatedLabel): { readonly from: number; readonly length: number } => {
  const from = Math.min(start.column - 1, LINE_MAX)
  const to = Math.min(end.line > start.line ? line.length : end.column - 1, LINE_MAX)
  return { from, length: Math.max(to - from, 1) }
}
