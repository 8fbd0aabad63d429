import { linesOf, type Lines, type Source } from '../text/source.ts'
import { plural } from '../text/words.ts'
import { printable } from './compact.ts'
import { type LocatedFinding, type LocatedLabel, type Report, tally } from './located.ts'
import { more, shown } from './shown.ts'

/** How text is coloured; each function returns its argument where there is no colour. */
export interface Paint {
  readonly error: (text: string) => string
  readonly warning: (text: string) => string
  readonly hint: (text: string) => string
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
}

/**
 * Findings for people: what is wrong, the lines of all places, why it matters, what to do. Nothing for no findings. Of
 * one rule the first hundred in a file, unless all are wanted.
 */
export const pretty = (reports: readonly Report[], paint: Paint, all = false): string => {
  const parts: string[] = []
  const known = new Map<Source, Lines>()
  const linesIn = (source: Source): Lines => {
    const lines = known.get(source) ?? linesOf(source.text)
    known.set(source, lines)
    return lines
  }
  for (const report of reports) {
    const { findings, rest } = shown(report, all)
    for (const finding of findings) parts.push(one(report.source, linesIn, finding, paint))
    for (const left of rest)
      parts.push(
        `${paint[left.severity](`${left.severity}[${left.rule}]`)}: ${printable(more(report, left))}\n`
      )
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

const one = (
  source: Source,
  linesIn: (source: Source) => Lines,
  finding: LocatedFinding,
  paint: Paint
): string => {
  const { rule, severity, message, note, help, labels, elsewhere = [] } = finding
  const [first] = labels
  const colour = paint[severity]
  const width = String(Math.max(...[...labels, ...elsewhere].map(({ start }) => start.line))).length
  const gutter = ' '.repeat(width)
  const bar = paint.dim('|')
  const head = `${colour(`${severity}[${rule}]`)}${paint.bold(`: ${printable(message)}`)}`
  const where = `${gutter}${paint.dim('-->')} ${placed(source, first)}`
  return [
    head,
    where,
    `${gutter} ${bar}`,
    ...excerpt(linesIn(source), labels, width, paint[severity], paint),
    ...elsewhere.flatMap(other => [
      `${gutter}${paint.dim(':::')} ${placed(other.source, other)}`,
      `${gutter} ${bar}`,
      ...excerpt(linesIn(other.source), [other], width, undefined, paint)
    ]),
    `${gutter} ${bar}`,
    ...folded(gutter, 'note', printable(note), paint),
    ...folded(gutter, 'help', printable(help), paint),
    ''
  ].join('\n')
}

const placed = ({ file }: Source, { start }: Pick<LocatedLabel, 'start'>): string =>
  `${printable(file)}:${start.line}:${start.column}`

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

/**
 * The lines of all labels, in the file's order, each with its marks beneath; gaps are shown by dots. The first label is
 * the primary one where there is a colour for it.
 */
const excerpt = (
  lines: Lines,
  labels: readonly LocatedLabel[],
  width: number,
  colour: Paint['bold'] | undefined,
  paint: Paint
): string[] => {
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
    if (previous !== undefined && number === previous + 2)
      out.push(code(lines, previous + 1, 0, width, paint))
    else if (previous !== undefined && number > previous + 2) out.push(paint.dim('...'))
    const here = [...(byLine.get(number) ?? [])].sort((a, b) => a.start.column - b.start.column)
    let cut: number | undefined
    for (const label of here) {
      const line = lines.line(number)
      if (cut === undefined || label.start.column > cut + LINE_MAX) {
        cut = line.length > LINE_MAX && label.start.column > LINE_MAX - LEAD ? label.start.column - LEAD : 0
        out.push(code(lines, number, cut, width, paint))
      }
      const primary = colour !== undefined && label === labels[0]
      const { from, length } = marks(line, cut, label)
      const mark = (primary ? '^' : '-').repeat(length)
      const text = `${mark} ${printable(label.text)}`
      out.push(`${' '.repeat(width)} ${bar} ${' '.repeat(from)}${primary ? colour(text) : paint.hint(text)}`)
    }
    previous = number
  }
  return out
}

/** Lines longer than this are cut around what they are shown for, from LEAD characters before it on. */
const LINE_MAX = 160
const LEAD = 40

const code = (lines: Lines, number: number, cut: number, width: number, paint: Paint): string => {
  const text = lines.line(number)
  const shown = `${cut > 0 ? '…' : ''}${text.slice(cut, cut + LINE_MAX)}${text.length > cut + LINE_MAX ? '…' : ''}`
  return `${paint.dim(`${String(number).padStart(width)} |`)} ${printable(shown)}`.trimEnd()
}

const marks = (
  line: string,
  cut: number,
  { start, end }: LocatedLabel
): { readonly from: number; readonly length: number } => {
  const to = Math.min(end.line > start.line ? line.length : end.column - 1, cut + LINE_MAX)
  return {
    from: columns(line.slice(cut, start.column - 1)) + (cut > 0 ? 1 : 0),
    length: Math.max(columns(line.slice(start.column - 1, to)), 1)
  }
}

/** How many columns a terminal gives a text: two to East Asian characters and emoji, none to what only joins another. */
export const columns = (text: string): number =>
  Array.from(
    printable(text)
      .replace(/[\p{M}\p{Cf}]/gu, '')
      .replace(WIDE, '  ')
  ).length

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/gu
