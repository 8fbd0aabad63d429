import { EVENT_ID, type Event, getScalarValue, SCALAR_STYLE, type ScalarEvent } from 'js-yaml'
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
}

const wanted = (): Wanted => ({ children: new Map(), key: undefined, value: undefined })

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
    if (child?.value === undefined) return key ?? node.value ?? { start: 0, end: Math.min(1, text.length) }
    node = child
    key = child.key ?? child.value
  }
  if (on === 'key') return key ?? { start: 0, end: Math.min(1, text.length) }
  return node.value ?? { start: 0, end: Math.min(1, text.length) }
}

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
        const span = event.valueStart < 0 ? (frame?.key?.span ?? { start: end, end: end + 1 }) : scalarSpan(text, event)
        end = span.end
        if (frame?.kind === 'mapping' && frame.key === undefined)
          frame.key = { name: frame.node === undefined ? '' : getScalarValue(text, event), span }
        else opened(span)
        break
      }
      case EVENT_ID.ALIAS:
        end = event.anchorEnd
        opened({ start: event.anchorStart - 1, end })
        break
      case EVENT_ID.MAPPING:
        push('mapping', opened({ start: event.start, end: firstLineEnd(text, event.start) }), event.start)
        break
      case EVENT_ID.SEQUENCE:
        push('sequence', opened({ start: event.start, end: firstLineEnd(text, event.start) }), event.start)
        break
      default: {
        const closed = stack.pop()
        if (closed === undefined || closed.kind === 'document') break
        if (text[closed.start] === '[' || text[closed.start] === '{') end = closingBracket(text, end)
        if (closed.node !== undefined)
          closed.node.value = { start: closed.start, end: Math.min(end, firstLineEnd(text, closed.start)) }
      }
    }
  }
}

/** The end of the flow collection whose last item ends at `from`: past commas, spaces and comments to its bracket. */
const closingBracket = (text: string, from: number): number => {
  const rest = /^(?:[\s,]|#[^\n]*\n)*[\]}]/.exec(text.slice(from, from + 1000))
  return rest === null ? from : from + rest[0].length
}

const firstLineEnd = (text: string, start: number): number => {
  const newline = text.indexOf('\n', start)
  const stop = newline < 0 ? text.length : newline
  return text[stop - 1] === '\r' ? stop - 1 : stop
}

const scalarSpan = (text: string, event: ScalarEvent): Span => {
  const quoted = event.style === SCALAR_STYLE.SINGLE_QUOTED || event.style === SCALAR_STYLE.DOUBLE_QUOTED
  if (quoted) return { start: event.valueStart - 1, end: event.valueEnd + 1 }
  const end = Math.min(event.valueEnd, firstLineEnd(text, event.valueStart))
  return { start: event.valueStart, end: Math.max(end, event.valueStart + 1) }
}

/** Every key that stands a second time in its mapping, with where it stood first. */
export const duplicateKeys = (text: string, events: readonly Event[]): { readonly earlier: Span; readonly later: Span }[] => {
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
      if (frame.expectsKey && event.type === EVENT_ID.SCALAR) {
        const name = getScalarValue(text, event)
        const later = scalarSpan(text, event)
        const earlier = frame.keys.get(name)
        if (earlier === undefined) frame.keys.set(name, later)
        else found.push({ earlier, later })
      }
      frame.expectsKey = !frame.expectsKey
    }
    if (event.type === EVENT_ID.DOCUMENT || event.type === EVENT_ID.SEQUENCE) stack.push({ keys: undefined, expectsKey: false })
    else if (event.type === EVENT_ID.MAPPING) stack.push({ keys: new Map(), expectsKey: true })
  }
  return found
}
