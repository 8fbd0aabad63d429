import { EVENT_ID } from 'js-yaml'
import { linesOf, type Span } from '../text/source.ts'
import { eventsOf } from './places.ts'

/** A comment `# netplan: ignore[rule-a, rule-b] reason`. */
export interface IgnoreComment {
  /** The line that it is about: its own, or the next with content where it stands alone. */
  readonly line: number
  readonly rules: readonly string[]
  readonly reason: string
  /** From the `#` to its last character. */
  readonly span: Span
}

const COMMENT =
  /(?<=^|\s)#[ \t]*netplan:[ \t]*ignore\b[ \t]*(?:\[([^\]\n]*)\])?[ \t]*:?[ \t]*((?:(?!#\s)[^\n])*)/gim

/** The comments of a text that parses; what looks like one in a value is none. */
export const ignoreComments = (text: string): readonly IgnoreComment[] => {
  if (!/netplan:[ \t]*ignore/i.test(text)) return []
  const found = [...text.matchAll(COMMENT)]
  if (found.length === 0) return []
  const values = valuesOf(text)
  const lines = linesOf(text)
  return found.flatMap((match): readonly IgnoreComment[] => {
    const start = match.index
    if (isIn(values, start)) return []
    const [whole, rules = '', reason = ''] = match
    const { line, column } = lines.position(start)
    let about = line
    if (
      lines
        .line(line)
        .slice(0, column - 1)
        .trim() === ''
    )
      for (about += 1; about < lines.count && /^\s*(#|$)/.test(lines.line(about)); ) about += 1
    return [
      {
        line: about,
        rules: rules
          .split(',')
          .map(rule => rule.trim())
          .filter(rule => rule !== ''),
        reason: reason.trim(),
        span: { start, end: start + whole.trimEnd().length }
      }
    ]
  })
}

/** Where scalars stand, in the order of the text. */
const valuesOf = (text: string): readonly Span[] =>
  eventsOf(text).flatMap(event =>
    event.type === EVENT_ID.SCALAR ? [{ start: event.valueStart, end: event.valueEnd }] : []
  )

const isIn = (spans: readonly Span[], offset: number): boolean => {
  let low = 0
  let high = spans.length - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    const span = spans[middle]
    if (span === undefined) return false
    if (offset < span.start) high = middle - 1
    else if (offset >= span.end) low = middle + 1
    else return true
  }
  return false
}
