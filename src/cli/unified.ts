import { isUtf8 } from 'node:buffer'
import { createTwoFilesPatch, FILE_HEADERS_ONLY, formatPatch } from 'diff'
import { createColors } from 'picocolors'
import type { Item } from './files.ts'
import { colourful, shown } from './terminal.ts'

/** From here on a file counts as a new one: what is alike in it is not looked for. */
const MOST_CHANGES = 2000

/** What would happen to a file, as a unified diff for standard output. */
export const unified = (item: Item): string => {
  if (item.state === 'same' || item.state === 'foreign') return ''
  const before = item.state === 'missing' ? '' : textOf(item.old)
  const after = item.state === 'left over' ? '' : item.wanted.toString()
  const from = item.state === 'missing' ? '/dev/null' : `a/${item.name}`
  const to = item.state === 'left over' ? '/dev/null' : `b/${item.name}`
  if (before === undefined) return shown(`Binary files ${from} and ${to} differ\n`)
  const options = { context: 3, maxEditLength: MOST_CHANGES, headerOptions: FILE_HEADERS_ONLY }
  const patch =
    createTwoFilesPatch(from, to, before, after, undefined, undefined, options) ??
    formatPatch(
      {
        oldFileName: from,
        newFileName: to,
        oldHeader: undefined,
        newHeader: undefined,
        hunks: [replaced(before, after)]
      },
      FILE_HEADERS_ONLY
    )
  return coloured(shown(patch))
}

const textOf = (bytes: Buffer | undefined): string | undefined =>
  bytes !== undefined && isUtf8(bytes) && !bytes.includes(0) ? bytes.toString() : undefined

interface Hunk {
  readonly oldStart: number
  readonly oldLines: number
  readonly newStart: number
  readonly newLines: number
  lines: string[]
}

/** The one hunk that takes a whole text out and puts another in. */
const replaced = (before: string, after: string): Hunk => {
  const [old, new_] = [linesIn(before), linesIn(after)]
  const marked = (sign: string, lines: readonly string[]): string[] =>
    lines.flatMap(line =>
      line.endsWith('\n') ? [sign + line.slice(0, -1)] : [sign + line, '\\ No newline at end of file']
    )
  return {
    oldStart: 1,
    oldLines: old.length,
    newStart: 1,
    newLines: new_.length,
    lines: [...marked('-', old), ...marked('+', new_)]
  }
}

const linesIn = (text: string): readonly string[] => text.match(/[^\n]*\n|[^\n]+/g) ?? []

const coloured = (patch: string): string => {
  if (!colourful()) return patch
  const { bold, cyan, green, red } = createColors(true)
  const colourOf = (line: string): ((text: string) => string) =>
    line.startsWith('@@') ? cyan : line.startsWith('+') ? green : line.startsWith('-') ? red : String
  return patch
    .split('\n')
    .map((line, i) => (line === '' ? line : i < 2 ? bold(line) : colourOf(line)(line)))
    .join('\n')
}
