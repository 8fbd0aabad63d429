import type { Span } from '../text/source.ts'

/** A mark that is missing, or one too many. */
export interface Imbalance {
  readonly kind: 'quote' | 'bracket' | 'stray' | 'outdented' | 'comma' | 'glued'
  readonly at: Span
}

/** A bracket that waits for its end. */
interface Open {
  readonly char: '[' | '{'
  readonly at: number
  /** Whether the entry that is being read has its colon. */
  colon: boolean
}

/**
 * What keeps a YAML parser from going on. It believes that an unclosed quote or bracket ends somewhere below, so it
 * complains far away, or about everything that follows. People write a topology line by line: the indentation shows
 * where the mark should have ended. `mended` is the text with those marks out of the way and the rest in its place.
 */
export const imbalances = (
  text: string
): { readonly found: readonly Imbalance[]; readonly mended: string } => {
  const found: Imbalance[] = []
  const chars = text.split('')
  let missing = ''
  /** The indentation of a block scalar's key; deeper lines are its text. */
  let literal = Number.POSITIVE_INFINITY

  const report = (kind: Imbalance['kind'], start: number): void => {
    found.push({ kind, at: { start, end: start + 1 } })
  }
  const blank = (start: number, end: number): void => {
    for (let i = start; i < end; i += 1) if (chars[i] !== '\n') chars[i] = ' '
  }
  const lineEnd = (from: number): number => {
    const newline = text.indexOf('\n', from)
    return newline < 0 ? text.length : newline
  }
  /** Where a match of a sticky pattern ends; undefined for none. */
  const past = (pattern: RegExp, from: number): number | undefined => {
    pattern.lastIndex = from
    return pattern.test(text) ? pattern.lastIndex : undefined
  }
  /** The end of the text that a quote opens, where it ends on its own line. */
  const quoted = (from: number): number | undefined => past(text[from] === '"' ? DOUBLE : SINGLE, from)
  /** The same for a text of several lines, all of them indented deeper than `floor`. */
  const quotedBelow = (from: number, floor: number): number | undefined => {
    const rest = text[from] === '"' ? DOUBLE_REST : SINGLE_REST
    for (let line = lineEnd(from) + 1; line < text.length; line = lineEnd(line) + 1) {
      const indent = past(SPACES, line) ?? line
      if (indent < lineEnd(line) && indent - line <= floor) return undefined
      const end = past(rest, line)
      if (end !== undefined) return end
    }
    return undefined
  }
  const unclosedQuote = (at: number): void => {
    report('quote', at)
    chars[at] = '_'
  }

  /** Reads a flow collection; the offset behind it, or the start of the line at which it is given up. */
  const flow = (start: number, floor: number): number => {
    const open: Open[] = []
    let i = start
    /** What stands before: a value that has ended, or words that may go on. */
    let before: 'value' | 'words' | undefined
    let end = start
    /** Whether a line has ended since the words began. */
    let broken = false
    while (i < text.length) {
      const char = text[i] ?? ''
      const top = open.at(-1)
      if (char === '\n') {
        broken ||= before === 'words'
        const line = past(BLANK_LINES, i) ?? i + 1
        const first = past(SPACES, line) ?? line
        i = first
        if (first >= text.length || first - line > floor || text[first] === '\t') continue
        if (/[\]}]/.test(text[first] ?? '')) report('outdented', first)
        else {
          if (top !== undefined) report('bracket', top.at)
          blank(start, line)
          return line
        }
      } else if (/\s/.test(char)) i += 1
      else if (char === '#' && /\s/.test(text[i - 1] ?? ' ')) i = lineEnd(i)
      else if (/["'[{]/.test(char) && before === 'value') {
        report('comma', end)
        if (end < i) chars[end] = ','
        before = undefined
      } else if (/["']/.test(char) && before === undefined) {
        const close = quoted(i)
        if (close === undefined) unclosedQuote(i)
        before = close === undefined ? 'words' : 'value'
        i = close ?? i + 1
        end = i
      } else if (char === '[' || char === '{') {
        open.push({ char, at: i, colon: false })
        before = undefined
        i += 1
      } else if (char === ']' || char === '}') {
        const mate = open.findLastIndex(other => other.char === (char === ']' ? '[' : '{'))
        if (mate < 0) {
          report('stray', i)
          blank(i, i + 1)
        } else {
          for (const unclosed of open.splice(mate + 1)) {
            report('bracket', unclosed.at)
            blank(unclosed.at, i)
          }
          open.pop()
          if (open.length === 0) return i + 1
          before = 'value'
          end = i + 1
        }
        i += 1
      } else if (char === ',') {
        if (top !== undefined) top.colon = false
        before = undefined
        broken = false
        i += 1
      } else if (char === ':' && (before === 'value' || past(FLOW_COLON, i) !== undefined)) {
        if (top?.colon === true && broken) {
          report('comma', end)
          chars[end] = ','
        }
        if (top !== undefined) top.colon = true
        before = undefined
        broken = false
        i += 1
      } else {
        i = past(FLOW_WORD, i) ?? i + 1
        if (!broken) end = i
        before = 'words'
      }
    }
    const last = open.at(-1)
    if (last !== undefined) report('bracket', last.at)
    missing = open
      .map(({ char }) => (char === '[' ? ']' : '}'))
      .toReversed()
      .join('')
    return text.length
  }

  /** Reads a line of block context; the start of the next one. */
  const block = (start: number): number => {
    const content = past(SPACES, start) ?? start
    const indent = content - start
    const end = lineEnd(start)
    if (content >= end || indent > literal) return end + 1
    literal = Number.POSITIVE_INFINITY
    let i = past(DASHES, content) ?? content
    let floor = i === content ? indent - 1 : indent
    for (;;) {
      i = past(PROPERTIES, i) ?? i
      const char = text[i] ?? '\n'
      if (char === '#') return lineEnd(i) + 1
      if (/["']/.test(char)) {
        const close = quoted(i) ?? quotedBelow(i, floor)
        if (close === undefined) {
          unclosedQuote(i)
          return lineEnd(i) + 1
        }
        i = close
      } else if (char === '[' || char === '{') {
        i = flow(i, floor)
        if (text[i - 1] === '\n') return i
        for (let next = past(SPACES, i) ?? i; /[\]}]/.test(text[next] ?? ''); next = past(SPACES, i) ?? i) {
          report('stray', next)
          blank(next, next + 1)
          i = next + 1
        }
      } else if (char === ']' || char === '}') {
        report('stray', i)
        blank(i, i + 1)
        return lineEnd(i) + 1
      } else if (char === '|' || char === '>') {
        literal = indent
        return lineEnd(i) + 1
      } else if (i === content && past(GLUED, i) !== undefined) {
        const colon = text.indexOf(':', i)
        report('glued', colon)
        chars[colon + 1] = ' '
        return lineEnd(i) + 1
      }
      const value = past(/["'\]}]/.test(text[i - 1] ?? '') ? COLON : KEY, i)
      if (value === undefined) return lineEnd(i) + 1
      i = value
      floor = indent
    }
  }

  for (let line = 0; line < text.length; ) line = block(line)
  return { found, mended: chars.join('') + missing }
}

const SPACES = / */y
const DASHES = /(?:- +)*/y
const BLANK_LINES = /\n(?:[ \t\r]*(?:#[^\n]*)?\n)*/y
const PROPERTIES = /[ \t]*(?:[&!]\S*[ \t]+)*/y
const DOUBLE = /"(?:[^"\\\n]|\\.)*"/y
const SINGLE = /'(?:[^'\n]|'')*'/y
const DOUBLE_REST = /(?:[^"\\\n]|\\.)*"/y
const SINGLE_REST = /(?:[^'\n]|'')*'/y
const COLON = /[ \t]*:(?=\s|$)/y
const KEY = /(?:(?!\s#)[^\n])*?:(?=\s|$)/y
/** A key that would be one but for the space after its colon; `http://` is none. */
const GLUED = /[A-Za-z][A-Za-z0-9]*:[^\s:/]\S*[ \t]*(?:#[^\n]*)?\r?(?=\n|$)/y
const FLOW_COLON = /:(?=[\s,[\]{}]|$)/y
const FLOW_WORD = /(?:[^\s,[\]{}:]|:(?![\s,[\]{}]|$))+/y
