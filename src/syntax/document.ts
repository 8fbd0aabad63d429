import { constructFromEvents, EVENT_ID, type Event, parseEvents } from 'js-yaml'
import type { Finding } from '../findings/finding.ts'
import type { Source, Span } from '../text/source.ts'
import { aliasBomb, emptyFile, endlessAlias, severalDocuments } from './faults.ts'
import { documentStart, eventsOf, MAX_DEPTH, type Place, placesOf } from './places.ts'

/** A text that parses, and the way from a path in its data back to it. */
export interface Document {
  readonly source: Source
  /** Where each label's value or key stands; a path that is not there gives the nearest place above it. One pass for all. */
  locate(labels: readonly Place[]): Span[]
}

/** Limits of the kind of MAX_DEPTH. */
const MAX_ALIASES = 1000
const MAX_EXPANDED = 1_000_000

export type ParsedDocument =
  | { readonly document: Document; readonly data: unknown }
  | { readonly findings: readonly Finding[] }

/** Parses YAML 1.2 (core schema) or JSON. What is wrong with the text as such is a finding with a span, not with a path. */
export const parseDocument = async (source: Source): Promise<ParsedDocument> => {
  const fast = parseJson(source.text)
  if (fast !== undefined) return { document: documentOf(source), data: fast }
  let events: Event[]
  try {
    events = parseEvents(source.text, { maxDepth: MAX_DEPTH })
  } catch (error) {
    const { syntaxFindings } = await import('./unreadable.ts')
    return { findings: syntaxFindings(source, error) }
  }
  let documents: unknown[]
  try {
    documents = constructFromEvents(events, { source: source.text, maxAliases: MAX_ALIASES })
  } catch (error) {
    const { dataFindings } = await import('./unreadable.ts')
    return { findings: dataFindings(source, events, error) }
  }
  // A document without content is a `---` too many, and does no harm.
  const [first, second] = documents.flatMap((data, i) => (data === null ? [] : [i]))
  if (first === undefined) return { findings: [emptyFile()] }
  if (second !== undefined)
    return { findings: [severalDocuments(documentStart(source.text, events, second))] }
  const data = documents[first]
  const size = events.some(event => event.type === EVENT_ID.ALIAS) ? expandedSize(data) : 0
  if (size > MAX_EXPANDED)
    return { findings: [size === Number.POSITIVE_INFINITY ? endlessAlias() : aliasBomb(MAX_EXPANDED)] }
  return { document: documentOf(source), data }
}

const documentOf = (source: Source): Document => ({
  source,
  locate: labels => placesOf(source.text, eventsOf(source.text), labels)
})

/**
 * The value of a JSON text, several times faster than a YAML parser gets it. JSON.parse keeps the last of two equal
 * keys in silence, so a text with more keys than the value has is left to the YAML parser, which says where; so is
 * everything that is no JSON or nests too deeply.
 */
const parseJson = (text: string): unknown => {
  if (!/^\s*\{/.test(text.slice(0, 1000))) return undefined
  let data: unknown
  try {
    data = JSON.parse(text)
  } catch {
    return undefined
  }
  return countKeys(data, 0) === countWrittenKeys(text) ? data : undefined
}

const countKeys = (value: unknown, depth: number): number => {
  if (typeof value !== 'object' || value === null) return 0
  if (depth > MAX_DEPTH) return Number.NaN
  let count = 0
  if (Array.isArray(value)) {
    for (const item of value) if (typeof item === 'object') count += countKeys(item, depth + 1)
    return count
  }
  // What JSON.parse makes inherits nothing that could be enumerated, and this way no array of its keys is made.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const mapping = value as Readonly<Record<string, unknown>>
  // oxlint-disable-next-line guard-for-in
  for (const key in mapping) {
    count += 1
    const item = mapping[key]
    if (typeof item === 'object') count += countKeys(item, depth + 1)
  }
  return count
}

/** The colons outside of strings. */
const countWrittenKeys = (text: string): number => {
  let count = 0
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i)
    if (code === 58) count += 1
    else if (code === 34) i = endOfString(text, i)
  }
  return count
}

/** Where the string that begins here ends: at the next quote that no backslash escapes. */
const endOfString = (text: string, start: number): number => {
  let end = text.indexOf('"', start + 1)
  while (end > 0 && isEscaped(text, end)) end = text.indexOf('"', end + 1)
  return end < 0 ? text.length : end
}

const isEscaped = (text: string, at: number): boolean => {
  let backslashes = 0
  while (text.charCodeAt(at - 1 - backslashes) === 92) backslashes += 1
  return backslashes % 2 === 1
}

/** How many values there are once each alias is replaced by what it stands for; Infinity for one that contains itself. */
const expandedSize = (data: unknown): number => {
  const sizes = new Map<object, number>()
  const sizeOf = (value: unknown): number => {
    if (typeof value !== 'object' || value === null) return 1
    const known = sizes.get(value)
    if (known !== undefined) return known
    sizes.set(value, Number.POSITIVE_INFINITY)
    let size = 1
    for (const item of Object.values(value)) size += sizeOf(item)
    sizes.set(value, size)
    return size
  }
  return sizeOf(data)
}
