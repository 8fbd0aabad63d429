import {
  type AliasEvent,
  CHOMPING_MODE,
  COLLECTION_STYLE,
  EVENT_ID,
  type Event,
  SCALAR_STYLE,
  type ScalarEvent
} from 'js-yaml'
import type { Span } from '../text/source.ts'
import { eventsOf, keyName } from './places.ts'

// Where values stand to the last character, for whoever changes them. (Labels of findings need less: see places.ts.)

/** What is looked for, as a tree of the steps that lead there. */
export interface Wanted {
  readonly children: ReadonlyMap<string | number, Wanted> | undefined
  /** Whether everything in it must be known, and not only what leads to other places. */
  readonly isListed: boolean
  /** Set while walking; undefined for what has no text of its own, as all that an alias stands for. */
  found: Found | undefined
}

/** A value in a text, from its first character to its last one, quotes and brackets included. */
export interface Found extends Span {
  readonly style: Style
  /** Its key or index, and where that key starts or the item: at the anchor or tag in front of it, if there is one. */
  readonly step: string | number
  readonly from: number
  readonly key: Span | undefined
  /** Its own anchor and tag. */
  readonly properties: Span | undefined
  readonly tagged: boolean
  /** Whether it stands within brackets. */
  readonly bracketed: boolean
  /** An anchor on it, or on something that it stands in, which an alias refers to. */
  readonly shared: string | undefined
  /** An anchor on it, or on something within it, which an alias refers to. */
  readonly shares: string | undefined
  /** What is in it, if that is listed. */
  readonly entries: readonly Found[]
}

/**
 * block: lines behind `|` or `>`. lines: a mapping or list without brackets. none: nothing is written; it starts behind the
 * colon or dash, or at -1 where there is none.
 */
export type Style = 'plain' | 'single' | 'double' | 'block' | 'none' | 'alias' | 'brackets' | 'lines'

/** How the text is written as a whole. */
export interface Layout {
  /** What a level is indented by; undefined where no level is below another. */
  readonly unit: string | undefined
  /** Whether it ends with a block whose value keeps all line ends behind it. */
  readonly keepsEnd: boolean
}

/** Finds all places, in one pass over the first document that is a mapping or list. */
export const outline = (text: string, root: Wanted): Layout => {
  const events = eventsOf(text)
  const anchors = anchorsInUse(text, events)
  const stack: Frame[] = []
  /** Where the last token ends. */
  let end = 0
  let document: Frame | undefined
  let unit: string | undefined
  let keepsEnd = false
  for (const event of events) {
    const frame = stack.at(-1)
    if (event.type === EVENT_ID.DOCUMENT) stack.push(frameOf('document', undefined, undefined))
    else if (frame === undefined) continue
    else if (event.type === EVENT_ID.POP) {
      stack.pop()
      const around = stack.at(-1)
      if (around === undefined || frame.found === undefined) continue
      if (frame.found.style === 'brackets') {
        keepsEnd &&= stack[0] !== document
        if ('[{'.includes(text[frame.found.start] ?? ' '))
          end = past(text, Math.max(end, frame.found.start + 1), ',:?') + 1
      }
      settle(around, frame.wanted, {
        ...frame.found,
        end,
        shares: frame.shares,
        entries: frame.entries ?? []
      })
    } else if (event.type === EVENT_ID.MAPPING || event.type === EVENT_ID.SEQUENCE) {
      const isRoot = frame.kind === 'document' && document === undefined
      if (isRoot) document = frame
      const style = event.style === COLLECTION_STYLE.FLOW ? 'brackets' : 'lines'
      const anchor = anchors.get(event)
      stack.push({
        ...frameOf(
          event.type === EVENT_ID.MAPPING ? 'mapping' : 'list',
          isRoot ? root : wantedIn(frame),
          begun(frame, event.start, style, event, anchor)
        ),
        shares: anchor
      })
    } else {
      const isScalar = event.type === EVENT_ID.SCALAR
      const { start, end: stop } = isScalar ? scalarSpan(text, event, end, frame) : aliasSpan(event)
      end = Math.max(end, stop)
      const anchor = isScalar ? anchors.get(event) : undefined
      if (anchor !== undefined) frame.shares ??= anchor
      if (frame.kind === 'mapping' && frame.next === undefined) {
        const name = isScalar && frame.wanted !== undefined ? keyName(text, event) : ''
        const from = (isScalar ? propertiesOf(event)?.start : undefined) ?? start
        frame.next = { name, from, span: { start, end: stop } }
        if (unit === undefined && frame.index === 0) unit = unitOf(text, frame, stack.at(-2))
        continue
      }
      const style = isScalar ? styleOf(event) : 'alias'
      if (stack[0] === document)
        keepsEnd = isScalar && style === 'block' && event.chomping === CHOMPING_MODE.KEEP
      const wanted = wantedIn(frame)
      if (wanted === undefined && frame.entries === undefined) advance(frame)
      else
        settle(frame, wanted, {
          ...begun(frame, start, style, isScalar ? event : undefined, anchor),
          end: stop,
          shares: anchor,
          entries: []
        })
    }
  }
  return { unit, keepsEnd }
}

/** A mapping or list that is not at its end yet, or a document. */
interface Frame {
  readonly kind: 'document' | 'mapping' | 'list'
  readonly wanted: Wanted | undefined
  readonly found: Omit<Found, 'end' | 'shares' | 'entries'> | undefined
  readonly entries: Found[] | undefined
  shares: string | undefined
  index: number
  /** The key that waits for its value. */
  next: { readonly name: string; readonly from: number; readonly span: Span } | undefined
  /** What stands in front of its first key, where that begins a line. */
  indent: string | undefined
}

const frameOf = (kind: Frame['kind'], wanted: Wanted | undefined, found: Frame['found']): Frame => ({
  kind,
  wanted,
  found,
  entries: wanted?.isListed === true ? [] : undefined,
  shares: undefined,
  index: 0,
  next: undefined,
  indent: undefined
})

const stepIn = ({ kind, next, index }: Frame): string | number =>
  kind === 'mapping' ? (next?.name ?? '') : index

const wantedIn = (frame: Frame): Wanted | undefined => frame.wanted?.children?.get(stepIn(frame))

/** What is known of a value where it starts. */
const begun = (
  frame: Frame,
  start: number,
  style: Style,
  event: Properties | undefined,
  anchor: string | undefined
): NonNullable<Frame['found']> => {
  const properties = event === undefined ? undefined : propertiesOf(event)
  return {
    start,
    style,
    step: stepIn(frame),
    from: frame.next?.from ?? properties?.start ?? start,
    key: frame.next?.span,
    properties,
    tagged: event !== undefined && event.tagStart >= 0,
    bracketed: frame.found?.style === 'brackets',
    shared: frame.found?.shared ?? anchor
  }
}

/** Notes a value that is at its end. */
const settle = (around: Frame, wanted: Wanted | undefined, found: Found): void => {
  if (wanted !== undefined) wanted.found = found
  around.entries?.push(found)
  if (found.shares !== undefined) around.shares ??= found.shares
  advance(around)
}

const advance = (frame: Frame): void => {
  frame.index += 1
  frame.next = undefined
}

const unitOf = (text: string, frame: Frame, around: Frame | undefined): string | undefined => {
  frame.indent = indentAt(text, frame.next?.from ?? 0)
  const above = around?.kind === 'document' && frame.found?.style === 'brackets' ? '' : around?.indent
  if (frame.indent === undefined || above === undefined || frame.indent.length <= above.length)
    return undefined
  return frame.indent.slice(above.length)
}

/** The anchors that aliases refer to: their names by what they stand on. */
const anchorsInUse = (text: string, events: readonly Event[]): ReadonlyMap<Event, string> => {
  const used = new Map<Event, string>()
  if (!events.some(({ type }) => type === EVENT_ID.ALIAS)) return used
  const known = new Map<string, Event>()
  for (const event of events) {
    if (event.type === EVENT_ID.DOCUMENT) known.clear()
    if (!('anchorStart' in event) || event.anchorStart < 0) continue
    const name = text.slice(event.anchorStart, event.anchorEnd)
    const owner = known.get(name)
    if (event.type !== EVENT_ID.ALIAS) known.set(name, event)
    else if (owner !== undefined) used.set(owner, name)
  }
  return used
}

type Properties = Pick<ScalarEvent, 'anchorStart' | 'anchorEnd' | 'tagStart' | 'tagEnd'>

/** From the first to the last character of an anchor and a tag; undefined without both. */
const propertiesOf = ({ anchorStart, anchorEnd, tagStart, tagEnd }: Properties): Span | undefined => {
  if (anchorStart < 0 && tagStart < 0) return undefined
  const start = anchorStart < 0 || (tagStart >= 0 && tagStart < anchorStart) ? tagStart : anchorStart - 1
  return { start, end: Math.max(anchorEnd, tagEnd) }
}

const aliasSpan = ({ anchorStart, anchorEnd }: AliasEvent): Span => ({
  start: anchorStart - 1,
  end: anchorEnd
})

const styleOf = ({ valueStart, style }: ScalarEvent): Style =>
  valueStart < 0
    ? 'none'
    : style === SCALAR_STYLE.PLAIN
      ? 'plain'
      : style === SCALAR_STYLE.SINGLE_QUOTED
        ? 'single'
        : style === SCALAR_STYLE.DOUBLE_QUOTED
          ? 'double'
          : 'block'

/** `end` is where the one before it ends, `frame` what it stands in. */
const scalarSpan = (text: string, event: ScalarEvent, end: number, frame: Frame): Span => {
  const { valueStart, valueEnd } = event
  const properties = propertiesOf(event)
  switch (styleOf(event)) {
    case 'none': {
      const place = placeOfNothing(text, frame, end)
      const start = place === undefined ? -1 : Math.max(place, properties?.end ?? 0)
      return { start, end: Math.max(end, start, properties?.end ?? 0) }
    }
    case 'plain':
      return { start: valueStart, end: valueEnd }
    case 'block':
      return {
        start: past(text, Math.max(end, properties?.end ?? 0), ',:?-'),
        end: blockEnd(text, event)
      }
    default:
      return { start: valueStart - 1, end: valueEnd + 1 }
  }
}

/** Behind the colon or the dash of a value that is not written. */
const placeOfNothing = (text: string, frame: Frame, end: number): number | undefined => {
  if (frame.next !== undefined) return colonAfter(text, frame.next.span)
  if (frame.kind !== 'list' || frame.found?.style !== 'lines') return undefined
  return (frame.index === 0 ? frame.found.start : past(text, end, '')) + 1
}

/** Where the last line of a block ends that counts: empty ones at its end count only if they are kept. */
const blockEnd = (text: string, { valueStart, valueEnd, chomping, indent }: ScalarEvent): number => {
  let end = valueEnd - breakBefore(text, valueEnd)
  while (chomping !== CHOMPING_MODE.KEEP && end >= valueStart) {
    const start = lineStart(text, end)
    if (start < valueStart || end - start > Math.max(indent, 0) || text.slice(start, end).trim() !== '') break
    end = start - breakBefore(text, start)
  }
  return Math.max(end, valueStart - breakBefore(text, valueStart))
}

/** Behind the colon of a key; undefined where none follows on its line. */
export const colonAfter = (text: string, key: Span): number | undefined => {
  let at = key.end
  while (isBlank(text.charCodeAt(at))) at += 1
  return text[at] === ':' ? at + 1 : undefined
}

/** The next character that is no space, no line end, not in a comment, and none of these. */
export const past = (text: string, from: number, ignored: string): number => {
  let at = from
  for (;;) {
    const char = text[at]
    if (char === undefined) return at
    if (char === '#') at = lineEnd(text, at)
    else if (isBlank(char.charCodeAt(0)) || isBreak(char.charCodeAt(0)) || ignored.includes(char)) at += 1
    else return at
  }
}

// Lines, as YAML has them: they end with LF, CR or CRLF.

const isBlank = (code: number): boolean => code === 32 || code === 9

const isBreak = (code: number): boolean => code === 10 || code === 13

export const lineStart = (text: string, at: number): number => {
  let start = at
  while (start > 0 && !isBreak(text.charCodeAt(start - 1))) start -= 1
  return start
}

export const lineEnd = (text: string, at: number): number => {
  let end = at
  while (end < text.length && !isBreak(text.charCodeAt(end))) end += 1
  return end
}

/** The length of the line end that ends right here. */
export const breakBefore = (text: string, at: number): number =>
  at > 0 && isBreak(text.charCodeAt(at - 1)) ? (text.slice(at - 2, at) === '\r\n' && at > 1 ? 2 : 1) : 0

/** The length of the line end that starts right here. */
export const breakAt = (text: string, at: number): number =>
  isBreak(text.charCodeAt(at)) ? (text.slice(at, at + 2) === '\r\n' ? 2 : 1) : 0

/** The spaces in front of what begins a line; undefined where something else is in front of it. */
export const indentAt = (text: string, at: number): string | undefined => {
  let start = at
  while (start > 0 && isBlank(text.charCodeAt(start - 1))) start -= 1
  return start === 0 || isBreak(text.charCodeAt(start - 1)) ? text.slice(start, at) : undefined
}

/** Whether nothing but spaces and a comment stands between here and the end of the line. */
export const isLineOver = (text: string, at: number): boolean => {
  let next = at
  while (isBlank(text.charCodeAt(next))) next += 1
  return next >= text.length || isBreak(text.charCodeAt(next)) || text[next] === '#'
}
