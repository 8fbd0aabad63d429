import { EVENT_ID, type Event, getScalarValue, parseEvents, SCALAR_STYLE, type ScalarEvent } from 'js-yaml'
import type { Path } from '../text/path.ts'
import type { Span } from '../text/source.ts'

/** What is looked for in a document: the value at a path, or its key. */
export interface Place {
  readonly at: Path
  readonly on?: 'key'
}

/** The paths that are looked for, as a tree of their steps. */
interface Wanted {
  readonly children: Map<string | number, Wanted>
  key: Span | undefined
  value: Span | undefined
  /** An alias stands here: what it holds has no place of its own. */
  alias: boolean
}

const wanted = (): Wanted => ({ children: new Map(), key: undefined, value: undefined, alias: false })

/** Limits that keep a hostile file from taking time or memory out of proportion to its size. */
export const MAX_DEPTH = 100

/**
 * The events of a text that is known to be YAML or JSON. JSON is indented as it likes, which YAML is not: as one line it has
 * the same events at the same offsets.
 */
export const eventsOf = (text: string): Event[] => {
  try {
    return parseEvents(text, { maxDepth: MAX_DEPTH })
  } catch (error) {
    const line = text.replace(/[\t\n\r]/g, ' ')
    if (line === text || !/^\s*[{[]/.test(text)) throw error
    return parseEvents(line, { maxDepth: MAX_DEPTH })
  }
}

/**
 * The span of each place, in one pass over the events of a YAML or JSON text. A path that does not exist gives the key
 * of the nearest existing place above it, or the start of the text.
 */
export const placesOf = (text: string, events: readonly Event[], places: readonly Place[]): Span[] => {
  const root = wanted()
  for (const { at } of places) {
    let node = root
    for (const step of at) {
      let child = node.children.get(step)
      if (child === undefined) {
        child = wanted()
        node.children.set(step, child)
      }
      node = child
    }
  }
  walk(text, events, root)
  return places.map(place => spanOf(text, root, place))
}

const spanOf = (text: string, root: Wanted, { at, on }: Place): Span => {
  let node = root
  let key: Span | undefined
  for (const step of at) {
    const child = node.children.get(step)
    if (child?.value === undefined)
      return (node.alias ? node.value : key) ?? node.value ?? { start: 0, end: Math.min(1, text.length) }
    node = child
    key = child.key ?? child.value
  }
  if (on === 'key')
    return key === undefined ? { start: 0, end: Math.min(1, text.length) } : withColons(text, key)
  return node.value ?? { start: 0, end: Math.min(1, text.length) }
}

/** A key that ends in a colon is half of an address: the colon after it is the other half. */
const withColons = (text: string, { start, end }: Span): Span => ({
  start,
  end: text[end - 1] === ':' && text[end] === ':' ? end + 1 : end
})

/** An open collection while walking: whose it is, and which step comes next. */
interface Frame {
  readonly kind: 'document' | 'mapping' | 'sequence'
  readonly node: Wanted | undefined
  readonly start: number
  index: number
  /** In a mapping: the key that waits for its value. */
  key: { readonly name: string; readonly span: Span } | undefined
}

const walk = (text: string, events: readonly Event[], root: Wanted): void => {
  const stack: Frame[] = []
  let end = 0
  const opened = (value: Span): Wanted | undefined => {
    const frame = stack.at(-1)
    if (frame === undefined || frame.kind === 'document') {
      root.value ??= value
      return root
    }
    const step = frame.kind === 'mapping' ? frame.key?.name : frame.index
    frame.index += 1
    const node = step === undefined ? undefined : frame.node?.children.get(step)
    if (node !== undefined) {
      node.value = value
      node.key = frame.key?.span
    }
    frame.key = undefined
    return node
  }
  const push = (kind: Frame['kind'], node: Wanted | undefined, start: number): void => {
    stack.push({ kind, node, start, index: 0, key: undefined })
  }
  for (const event of events) {
    const frame = stack.at(-1)
    switch (event.type) {
      case EVENT_ID.DOCUMENT:
        push('document', undefined, end)
        break
      case EVENT_ID.SCALAR: {
        // A value that is left out has no text: it stands where its key does.
        const span =
          event.valueStart < 0 ? (frame?.key?.span ?? { start: end, end: end + 1 }) : scalarSpan(text, event)
        end = span.end
        if (frame?.kind === 'mapping' && frame.key === undefined)
          frame.key = { name: frame.node === undefined ? '' : keyName(text, event), span }
        else opened(span)
        break
      }
      case EVENT_ID.ALIAS: {
        end = event.anchorEnd
        const span = { start: event.anchorStart - 1, end }
        if (frame?.kind === 'mapping' && frame.key === undefined) frame.key = { name: '', span }
        else {
          const node = opened(span)
          if (node !== undefined) node.alias = true
        }
        break
      }
      case EVENT_ID.MAPPING:
        push('mapping', opened({ start: event.start, end: event.start }), event.start)
        break
      case EVENT_ID.SEQUENCE:
        push('sequence', opened({ start: event.start, end: event.start }), event.start)
        break
      default: {
        const closed = stack.pop()
        if (closed === undefined || closed.kind === 'document') break
        if (text[closed.start] === '[' || text[closed.start] === '{') end = closingBracket(text, end)
        if (closed.node !== undefined)
          closed.node.value = { start: closed.start, end: firstLineEnd(text, closed.start, end) }
      }
    }
  }
}

/** The end of the flow collection whose last item ends at `from`: past commas, spaces and comments to its bracket. */
const closingBracket = (text: string, from: number): number => {
  const rest = /^(?:[\s,]|#[^\n]*\n)*[\]}]/.exec(text.slice(from, from + 1000))
  return rest === null ? from : from + rest[0].length
}

/** Where the line of `start` ends, or `end` where that is earlier. It looks no further: a file may be one long line. */
const firstLineEnd = (text: string, start: number, end: number): number => {
  const newline = text.slice(start, end).indexOf('\n')
  const stop = newline < 0 ? end : start + newline
  return text[stop - 1] === '\r' ? stop - 1 : stop
}

const scalarSpan = (text: string, event: ScalarEvent): Span => {
  const quoted = event.style === SCALAR_STYLE.SINGLE_QUOTED || event.style === SCALAR_STYLE.DOUBLE_QUOTED
  if (quoted) return { start: event.valueStart - 1, end: event.valueEnd + 1 }
  const end = firstLineEnd(text, event.valueStart, event.valueEnd)
  return { start: event.valueStart, end: Math.max(end, event.valueStart + 1) }
}

/** A key as the data has it: `0x10`, `16` and `16.0` are one key to YAML. */
export const keyName = (text: string, event: ScalarEvent): string => {
  const value = getScalarValue(text, event)
  if (event.style !== SCALAR_STYLE.PLAIN) return value
  if (/^(?:0x[0-9a-fA-F]+|0o[0-7]+|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)$/.test(value))
    return String(Number(value))
  if (/^(?:true|false|null)$/i.test(value)) return value.toLowerCase()
  return value === '~' ? 'null' : value
}

/** Every key that stands a second time in its mapping, with where it stood first. */
export const duplicateKeys = (
  text: string,
  events: readonly Event[]
): { readonly earlier: Span; readonly later: Span }[] => {
  const found: { earlier: Span; later: Span }[] = []
  /** The open collections; only mappings have keys. */
  const stack: { readonly keys: Map<string, Span> | undefined; expectsKey: boolean }[] = []
  for (const event of events) {
    if (event.type === EVENT_ID.POP) {
      stack.pop()
      continue
    }
    const frame = stack.at(-1)
    if (frame?.keys !== undefined) {
      if (frame.expectsKey && event.type === EVENT_ID.SCALAR && event.valueStart >= 0) {
        const name = keyName(text, event)
        const later = scalarSpan(text, event)
        const earlier = frame.keys.get(name)
        if (earlier === undefined) frame.keys.set(name, later)
        else found.push({ earlier, later })
      }
      frame.expectsKey = !frame.expectsKey
    }
    if (event.type === EVENT_ID.DOCUMENT || event.type === EVENT_ID.SEQUENCE)
      stack.push({ keys: undefined, expectsKey: false })
    else if (event.type === EVENT_ID.MAPPING) stack.push({ keys: new Map(), expectsKey: true })
  }
  return found
}

/** Every alias whose anchor does not stand before it. */
export const unknownAliases = (text: string, events: readonly Event[]): Span[] => {
  const anchors = new Set<string>()
  const found: Span[] = []
  for (const event of events) {
    if (!('anchorStart' in event) || event.anchorStart < 0) continue
    const name = text.slice(event.anchorStart, event.anchorEnd)
    if (event.type !== EVENT_ID.ALIAS) anchors.add(name)
    else if (!anchors.has(name)) found.push({ start: event.anchorStart - 1, end: event.anchorEnd })
  }
  return found
}

/** Every list or mapping that stands where a key must be, as in `{{ name }}`. */
export const collectionKeys = (text: string, events: readonly Event[]): Span[] => {
  const found: Span[] = []
  const stack: { readonly mapping: boolean; expectsKey: boolean }[] = []
  for (const event of events) {
    if (event.type === EVENT_ID.POP) {
      stack.pop()
      continue
    }
    const frame = stack.at(-1)
    const collection = event.type === EVENT_ID.MAPPING || event.type === EVENT_ID.SEQUENCE
    if (frame?.mapping === true) {
      if (frame.expectsKey && collection)
        found.push({ start: event.start, end: firstLineEnd(text, event.start, text.length) })
      frame.expectsKey = !frame.expectsKey
    }
    if (collection || event.type === EVENT_ID.DOCUMENT)
      stack.push({ mapping: event.type === EVENT_ID.MAPPING, expectsKey: true })
  }
  return found
}

/** Where the document with this index (from 0) starts: its `---` where it has one. */
export const documentStart = (text: string, events: readonly Event[], index: number): number => {
  let documents = -1
  let marked = false
  for (const event of events) {
    if (event.type === EVENT_ID.DOCUMENT) {
      documents += 1
      marked = event.explicitStart
    }
    if (documents < index) continue
    const start = 'start' in event ? event.start : 'valueStart' in event ? event.valueStart : -1
    if (start >= 0) return marked ? text.lastIndexOf('\n---', start) + 1 : start
  }
  return 0
}
