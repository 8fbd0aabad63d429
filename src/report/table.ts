import { printable } from './compact.ts'
import { columns } from './pretty.ts'

// Text in columns and paragraphs for terminals, and counts for people. Whatever is put in is made printable.

/** The cells of a line. A single one stands for itself: it may be as wide as the line. */
export type Row = readonly string[]

export interface Layout {
  /** How many blanks stand before each line. */
  readonly indent: number
  /** How wide a line may be. */
  readonly width: number
  /** To how many columns a cell may be cut at least, by its place; one without such a number is never cut. */
  readonly least: readonly (number | undefined)[]
  /** The places of those that stand on the right of their column, as numbers do. */
  readonly right?: readonly number[]
}

const GAP = 2

/**
 * A line for each row, with the cells beneath each other. Where they need more than the width, the widest columns that may
 * be cut are made narrower, and what does not fit into them ends in `…`.
 */
export const aligned = (
  rows: readonly Row[],
  { indent, width, least, right = [] }: Layout
): readonly string[] => {
  const cells = rows.map(row => row.map(printable))
  const widths: number[] = []
  for (const row of cells)
    if (row.length > 1)
      for (let i = 0; i < row.length; i += 1) widths[i] = Math.max(widths[i] ?? 0, breadth(row[i] ?? ''))
  narrow(widths, least, width - indent)
  const lead = ' '.repeat(indent)
  return cells.map(row =>
    row.length === 1
      ? lead + cut(row[0] ?? '', width - indent)
      : (
          lead +
          row
            .map((cell, i) => padded(cut(cell, widths[i] ?? 0), widths[i] ?? 0, right.includes(i)))
            .filter((_, i) => widths[i] !== 0)
            .join(' '.repeat(GAP))
        ).trimEnd()
  )
}

const narrow = (widths: number[], least: Layout['least'], room: number): void => {
  for (;;) {
    const excess = widths.reduce((sum, width) => sum + (width > 0 ? width + GAP : 0), -GAP) - room
    const [widest, next] = widths
      .map((width, i) => ({ width, i, least: least[i] ?? width }))
      .filter(({ width, least }) => width > least)
      .sort((a, b) => b.width - a.width)
    if (excess <= 0 || widest === undefined) return
    const to = Math.max(widest.least, next?.width ?? 0)
    widths[widest.i] = widest.width - Math.min(excess, Math.max(1, widest.width - to))
  }
}

const padded = (text: string, width: number, right: boolean): string => {
  const blanks = ' '.repeat(Math.max(0, width - breadth(text)))
  return right ? blanks + text : text + blanks
}

/** Most texts are plain, and there may be many. */
const breadth = (text: string): number => (/^[ -~]*$/.test(text) ? text.length : columns(text))

/** A text of at most so many columns; what is too long ends in `…`. */
export const cut = (text: string, width: number): string => {
  if (breadth(text) <= width) return text
  let short = ''
  let used = 1
  for (const char of text) {
    used += breadth(char)
    if (used > width) break
    short += char
  }
  return `${short}…`
}

/** A paragraph: its words in lines of at most this width, the first behind `lead`, the others as far in. */
export const folded = (lead: string, text: string, width: number): readonly string[] => {
  const indent = breadth(lead)
  const lines: string[] = []
  let line = ''
  for (const word of printable(text).split(' ')) {
    if (line !== '' && indent + breadth(line) + 1 + breadth(word) > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line].map((line, i) => (i === 0 ? lead : ' '.repeat(indent)) + cut(line, width - indent))
}

/** A number as people read it: `65,534`; from ten digits on as a power of two, `~2^64`, which is all that it is then. */
export const grouped = (count: bigint | number): string => {
  const value = BigInt(count)
  if (value < 10n ** 10n) return String(value).replace(/\B(?=(?:\d{3})+$)/g, ',')
  const bits = value.toString(2).length
  const [low, high] = [1n << BigInt(bits - 1), 1n << BigInt(bits)]
  if (value === low) return `2^${bits - 1}`
  if (value * 100n < low * 101n) return `~2^${bits - 1}`
  return value * 100n > high * 99n ? `~2^${bits}` : `>2^${bits - 1}`
}
