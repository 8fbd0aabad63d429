/** A file's name, as the user called it, and its text. */
export interface Source {
  readonly file: string
  readonly text: string
}

/** A stretch of a text: offsets in UTF-16 code units, `end` not included. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** A place for people and editors: both count from 1; the column counts UTF-16 code units, as the language server protocol does. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** The lines of a text, found once. Lines end with LF, CRLF or the end of the text. */
export interface Lines {
  readonly count: number
  position(offset: number): Position
  /** The text of a line (from 1), without its end. */
  line(number: number): string
}

export const linesOf = (text: string): Lines => {
  const starts = [0]
  for (let i = text.indexOf('\n'); i >= 0; i = text.indexOf('\n', i + 1)) starts.push(i + 1)
  const start = (number: number): number => starts[number - 1] ?? text.length
  return {
    count: starts.length,
    position: offset => {
      let low = 0
      let high = starts.length - 1
      while (low < high) {
        const middle = (low + high + 1) >> 1
        if ((starts[middle] ?? 0) <= offset) low = middle
        else high = middle - 1
      }
      return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 }
    },
    line: number => text.slice(start(number), start(number + 1)).replace(/\r?\n$/, '')
  }
}
