import type { Edit, Value } from '../findings/mend.ts'
import { formatPath, type Path } from '../text/path.ts'
import type { Source, Span } from '../text/source.ts'
import { plural } from '../text/words.ts'
import { parseDocument } from './document.ts'
import {
  breakAt,
  breakBefore,
  colonAfter,
  type Found,
  indentAt,
  isLineOver,
  type Layout,
  lineEnd,
  lineStart,
  outline,
  past
} from './outline.ts'

// Changes values in a text and leaves every other byte of it as it is. Afterwards the text is read again, and must be the
// old data with the edits: if it is not, nothing is given back. A fault in here costs an answer and never a file.

export type { Edit, Value } from '../findings/mend.ts'

export interface RefusedEdit extends Reason {
  /** The path of the edit; empty where it cannot be told which one it is. */
  readonly at: Path
}

interface Reason {
  readonly why: string
  /** What to do instead. */
  readonly help: string
}

/** Other text in place of a stretch of it. */
export interface Change extends Span {
  readonly text: string
}

/** The text with all edits, or why that cannot be. An edit that changes nothing of the data changes no byte. */
export const edited = async (
  source: Source,
  edits: readonly Edit[]
): Promise<{ readonly text: string } | { readonly refused: readonly RefusedEdit[] }> => {
  const mark = source.text.startsWith('\ufeff') ? '\ufeff' : ''
  const text = source.text.slice(mark.length)
  const parsed = await parseDocument({ ...source, text })
  if ('findings' in parsed) return { refused: [{ at: [], ...UNREADABLE }] }
  const { data } = parsed
  const { root, refused } = aimAll(data, edits)
  if (isBusy(root)) {
    const work = workOn(text, styleOf(text, outline(text, root)), root)
    change(work, root)
    const all = [...refused, ...work.refused]
    const result = all.length > 0 ? { refused: all } : joined(text, work.changes)
    if ('refused' in result) return result
    if (await isRight(source, result.text, work, data)) return { text: mark + result.text }
    return { refused: [{ at: edits.length === 1 ? (edits[0]?.at ?? []) : [], ...UNSAFE }] }
  }
  return refused.length > 0 ? { refused } : { text: source.text }
}

/**
 * For each of some lists of edits the changes that make them, and only them, in the text as it is; undefined where they
 * cannot be made. They are tried out as many at once as do not meet, and one by one only if that is not the old data with
 * all of them; what is not tried out after some tries counts as impossible, so that the time stays in proportion.
 */
export const changesOf = async (
  source: Source,
  lists: readonly (readonly Edit[])[]
): Promise<readonly (readonly Change[] | undefined)[]> => {
  const nothing = lists.map(() => undefined)
  const mark = source.text.startsWith('\ufeff') ? 1 : 0
  const text = source.text.slice(mark)
  const parsed = await parseDocument({ ...source, text })
  if ('findings' in parsed) return nothing
  const { data } = parsed
  const aimed = lists.map(edits => ({ edits, ...aimAll(data, edits) }))
  const all = target()
  for (const { root } of aimed) cover(all, root)
  const style = styleOf(text, outline(text, all))
  const wanted = aimed.flatMap(({ edits, root, refused }, index): Trial[] => {
    if (refused.length > 0 || !isBusy(root)) return []
    uncover(all, root)
    const work = workOn(text, style, root)
    change(work, root)
    const changes = work.changes.toSorted(byStart)
    return work.refused.length > 0 || overlaps(changes) ? [] : [{ index, edits, changes }]
  })
  const right = new Map<number, readonly Change[]>()
  let tries = TRIES
  const tryOut = async (trials: readonly Trial[]): Promise<void> => {
    if (trials.length === 0 || tries === 0) return
    tries -= 1
    const { root, refused } = aimAll(
      data,
      trials.flatMap(({ edits }) => edits)
    )
    const result = joined(
      text,
      trials.flatMap(({ changes }) => changes)
    )
    const work = workOn(text, style, root)
    if (refused.length === 0 && 'text' in result && (await isRight(source, result.text, work, data))) {
      for (const { index, changes } of trials) right.set(index, changes)
    } else if (trials.length > 1) {
      const half = trials.length >> 1
      await tryOut(trials.slice(0, half))
      await tryOut(trials.slice(half))
    }
  }
  for (let rest: readonly Trial[] = wanted, round = 0; rest.length > 0 && round < TRIES; round += 1) {
    const { now, later } = apart(rest)
    await tryOut(now)
    rest = later
  }
  return lists.map((_, i) =>
    right.get(i)?.map(({ start, end, text }) => ({ start: start + mark, end: end + mark, text }))
  )
}

/** How often a text is parsed to try out edits. */
const TRIES = 64

interface Trial {
  readonly index: number
  readonly edits: readonly Edit[]
  readonly changes: readonly Change[]
}

/** Those whose changes do not meet, first come, and the others. */
const apart = (
  trials: readonly Trial[]
): { readonly now: readonly Trial[]; readonly later: readonly Trial[] } => {
  const sorted = trials.toSorted((a, b) => startOf(a) - startOf(b) || a.index - b.index)
  const now: Trial[] = []
  const later: Trial[] = []
  let done = 0
  for (const trial of sorted) {
    const isFree = startOf(trial) >= done
    ;(isFree ? now : later).push(trial)
    if (isFree) done = Math.max(...trial.changes.map(({ end }) => end))
  }
  return { now, later }
}

const startOf = ({ changes }: Trial): number => changes[0]?.start ?? 0

const byStart = (a: Span, b: Span): number => a.start - b.start || a.end - b.end

/** Everything that is looked for in any of several trees. */
const cover = (all: Target, { children, isListed }: Target): void => {
  all.isListed ||= isListed
  for (const [step, child] of children ?? []) {
    all.children ??= new Map()
    const own = all.children.get(step) ?? target()
    all.children.set(step, own)
    cover(own, child)
  }
}

/** Gives what was found for all trees to one of them. */
const uncover = (all: Target | undefined, node: Target): void => {
  node.found = all?.found
  for (const [step, child] of node.children ?? []) uncover(all?.children?.get(step), child)
}

const aimAll = (
  data: unknown,
  edits: readonly Edit[]
): { readonly root: Target; readonly refused: readonly RefusedEdit[] } => {
  const root = target()
  const refused: RefusedEdit[] = []
  for (const edit of edits) {
    const reason = aim(root, data, edit)
    if (reason !== undefined) refused.push({ at: edit.at, ...reason })
  }
  return { root, refused }
}

/** Whether a text with changes is the old data with the edits. */
const isRight = async (
  source: Source,
  text: string,
  { json, root }: Work,
  data: unknown
): Promise<boolean> => {
  const again = await parseDocument({ ...source, text })
  return 'document' in again && same(again.data, expected(data, root)) && (!json || isJson(text))
}

const UNREADABLE: Reason = {
  why: 'the file cannot be read',
  help: 'mend first what "netplan check" says of it'
}
const UNSAFE: Reason = {
  why: 'how this is written is too unusual to be changed without a risk for the rest of the file',
  help: 'change it by hand'
}
const OVERLAP: Reason = { why: 'two edits change the same place', help: 'make one of them, then the other' }
const COMMENTED: Reason = {
  why: 'comments stand within the old value and would be lost',
  help: 'change it by hand, or move the comments out of it'
}
const TAGGED: Reason = {
  why: 'the tag in front of the old value does not fit the new one',
  help: 'remove the word that begins with "!"; a topology needs none'
}
const PLACELESS: Reason = {
  why: 'there is no text for the old value that could be replaced',
  help: 'write the new one by hand'
}

// What is to be done, as a tree of the steps of all paths

interface Target {
  children: Map<string | number, Target> | undefined
  /** The paths of the edits that change this value; one that removes a key changes the mapping. */
  readonly edits: Path[]
  replacement: { readonly value: Value } | undefined
  removed: boolean
  /** Its new key. */
  renamed: string | undefined
  growth: Growth | undefined
  /** Whether something in it is removed or new. */
  isListed: boolean
  found: Found | undefined
}

/** New keys of a mapping, new items of a list by the index of the item behind them. */
interface Growth {
  readonly keys: Map<string, Value>
  readonly items: Map<number, Value[]>
  /** Of the keys those with a list that grows item by item. */
  readonly lists: Map<string, Value[]>
}

// There may be 100,000 of them, so they hold no maps that stay empty.
const target = (): Target => ({
  children: undefined,
  edits: [],
  replacement: undefined,
  removed: false,
  renamed: undefined,
  growth: undefined,
  isListed: false,
  found: undefined
})

const isBusy = ({ children, isListed }: Target): boolean => children !== undefined || isListed

/** Notes an edit in the tree, or says why it cannot be made. */
const aim = (root: Target, data: unknown, edit: Edit): Reason | undefined => {
  const { at, kind } = edit
  const known = knownAlong(data, at)
  const last = at.at(-1)
  if (last === undefined) return { why: 'it names no place in the file', help: 'name one' }
  const exists = known.length > at.length
  if (kind === 'append') {
    if (!exists) return grow(root, known, { at, value: [edit.value] }, edit.value)
    const list = known.at(-1)
    const end = Array.isArray(list) ? list.length : 0
    return grow(root, known, { at: [...at, end], value: edit.value })
  }
  if (kind === 'rename') {
    const owner = known.at(-2)
    if (!exists) return missing(at, known)
    if (!isMapping(owner)) return { why: 'an item of a list has no key', help: 'change the item instead' }
    if (Object.hasOwn(owner, edit.key))
      return {
        why: `${formatPath([...at.slice(0, -1), edit.key])} is there already`,
        help: 'keep one of the two'
      }
    const node = reach(root, at)
    if (node === undefined || isTaken(node)) return OVERLAP
    node.renamed = edit.key
    node.edits.push(at)
    return undefined
  }
  if (kind === 'insert') {
    const isItem = typeof last === 'number'
    if (exists && !isItem)
      return same(known.at(-1), edit.value)
        ? undefined
        : { why: `${formatPath(at)} is there already`, help: 'change its value instead' }
    return grow(root, known.slice(0, at.length), edit)
  }
  if (!exists) return missing(at, known)
  if (kind === 'replace' && same(known.at(-1), edit.value)) return undefined
  const owner = reach(root, at.slice(0, -1))
  const node = owner === undefined ? undefined : reach(owner, [last])
  if (owner === undefined || node === undefined) return OVERLAP
  if (isTaken(node)) return OVERLAP
  if (kind === 'replace') {
    node.replacement = { value: edit.value }
    node.edits.push(at)
  } else {
    node.removed = true
    owner.isListed = true
    owner.edits.push(at)
  }
  return undefined
}

const isTaken = (node: Target): boolean =>
  isBusy(node) || node.removed || node.replacement !== undefined || node.renamed !== undefined

/** The data, and each value on the path as far as it leads. */
const knownAlong = (data: unknown, at: Path): readonly unknown[] => {
  const known = [data]
  for (const step of at) {
    const value = known.at(-1)
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) break
    if (Array.isArray(value) !== (typeof step === 'number')) break
    known.push(Reflect.get(value, step))
  }
  return known
}

/** The node of a path; undefined where something above it, or it itself, is replaced or removed as a whole. */
const reach = (root: Target, at: Path): Target | undefined => {
  let node = root
  for (const step of at) {
    if (isSettled(node)) return undefined
    node.children ??= new Map()
    const child: Target = node.children.get(step) ?? target()
    node.children.set(step, child)
    node = child
  }
  return node
}

/** Whether nothing in it can be changed as well. */
const isSettled = ({ replacement, removed, renamed }: Target): boolean =>
  replacement !== undefined || removed || renamed !== undefined

/** Notes a new key or item below the last of the known values; `item` is what a list that may have to be made gets. */
const grow = (
  root: Target,
  known: readonly unknown[],
  { at, value }: { readonly at: Path; readonly value: Value },
  item?: Value
): Reason | undefined => {
  const owner = known.at(-1)
  const depth = known.length - 1
  const [step = '', ...rest] = at.slice(depth)
  if (!isRoomFor(owner, step)) return noRoom(at.slice(0, depth), owner, step)
  if (rest.some(key => typeof key === 'number')) return missing(at, known)
  const node = reach(root, at.slice(0, depth))
  if (node === undefined || isSettled(node)) return OVERLAP
  const whole = rest.reduceRight<Value>((inner, key) => ({ [key]: inner }), value)
  node.growth ??= { keys: new Map(), items: new Map(), lists: new Map() }
  const { keys, items, lists } = node.growth
  const list = item === undefined || rest.length > 0 ? undefined : lists.get(String(step))
  if (item !== undefined && list !== undefined) list.push(item)
  else if (typeof step === 'number') {
    const beside = items.get(step)
    if (beside === undefined) items.set(step, [whole])
    else beside.push(whole)
  } else {
    const begun = item === undefined || rest.length > 0 ? undefined : [item]
    const both = keys.has(step) ? merged(keys.get(step), whole) : (begun ?? whole)
    if (both === undefined) return OVERLAP
    if (begun !== undefined) lists.set(step, begun)
    keys.set(step, both)
  }
  node.isListed = true
  node.edits.push(at)
  return undefined
}

/** Whether a value can have something new there. An empty value may become a mapping or a list. */
const isRoomFor = (owner: unknown, step: string | number): boolean => {
  if (typeof step === 'string') return owner === null || isMapping(owner)
  return step >= 0 && step <= (Array.isArray(owner) ? owner.length : owner === null ? 0 : -1)
}

const noRoom = (at: Path, owner: unknown, step: string | number): Reason => {
  const name = at.length === 0 ? 'the file' : formatPath(at)
  if (typeof step === 'string') return { why: `${name} is no mapping`, help: 'look at how the path is spelt' }
  return Array.isArray(owner)
    ? { why: `${name} has ${plural(owner.length, 'item')}`, help: 'count from 0' }
    : { why: `${name} is no list`, help: 'look at how the path is spelt' }
}

/** Two new mappings as one; undefined where both have a key. */
const merged = (a: Value | undefined, b: Value): Value | undefined => {
  if (!isMapping(a) || !isMapping(b)) return undefined
  const entries = new Map<string, Value>(Object.entries(a))
  for (const [key, value] of Object.entries(b)) {
    const both = entries.has(key) ? merged(entries.get(key), value) : value
    if (both === undefined) return undefined
    entries.set(key, both)
  }
  return Object.fromEntries(entries)
}

const missing = (at: Path, known: readonly unknown[]): Reason => {
  const why = `there is no ${formatPath(at.slice(0, known.length))}`
  const owner = known.at(-1)
  return isMapping(owner) && Object.hasOwn(owner, '<<')
    ? { why: `${why}: "<<" merges nothing in YAML 1.2`, help: 'write out what is to be merged' }
    : { why, help: 'look at how the path is spelt' }
}

const isMapping = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isList = (value: Value): value is readonly Value[] => Array.isArray(value)

/** The data with the edits. What no edit touches is not copied. */
const expected = (value: unknown, node: Target): unknown => {
  const { replacement, children, growth } = node
  if (replacement !== undefined) return replacement.value
  if (!isBusy(node)) return value
  if (Array.isArray(value) || (growth !== undefined && growth.items.size > 0)) {
    const old: readonly unknown[] = Array.isArray(value) ? value : []
    const kept = old.map((item, i): readonly unknown[] => {
      const child = children?.get(i)
      return child?.removed === true ? [] : [child === undefined ? item : expected(item, child)]
    })
    return [...kept, []].flatMap((item, i) => [...(growth?.items.get(i) ?? []), ...item])
  }
  const kept: (readonly [string, unknown])[] = []
  for (const [key, inner] of Object.entries(value ?? {})) {
    const child = children?.get(key)
    if (child?.removed !== true)
      kept.push([child?.renamed ?? key, child === undefined ? inner : expected(inner, child)])
  }
  return Object.fromEntries([...kept, ...(growth?.keys ?? [])])
}

/** Whether two values are the same, the order of their keys included. */
const same = (a: unknown, b: unknown): boolean => {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null)
    return a === b || Object.is(a, b)
  if (Array.isArray(a) !== Array.isArray(b)) return false
  const [ours, theirs] = [Object.keys(a), Object.keys(b)]
  return (
    ours.length === theirs.length &&
    ours.every((key, i) => key === theirs[i] && same(Reflect.get(a, key), Reflect.get(b, key)))
  )
}

const isJson = (text: string): boolean => {
  if (!/^\s*\{/.test(text)) return false
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

// The changes of the text

/** How a text is written. */
interface TextStyle {
  readonly json: boolean
  /** Whether it is JSON without spaces. */
  readonly tight: boolean
  readonly eol: string
  /** What a level is indented by. */
  readonly unit: string
  readonly keepsEnd: boolean
}

interface Work extends TextStyle {
  readonly text: string
  readonly root: Target
  readonly changes: Change[]
  readonly refused: RefusedEdit[]
}

const styleOf = (text: string, { unit, keepsEnd }: Layout): TextStyle => {
  const json = isJson(text)
  return {
    json,
    tight: json && /^\s*\{"(?:[^"\\]|\\.)*":\S/.test(text),
    eol: /\r\n|\n|\r/.exec(text)?.[0] ?? '\n',
    unit: unit ?? '  ',
    keepsEnd
  }
}

const workOn = (text: string, style: TextStyle, root: Target): Work => ({
  ...style,
  text,
  root,
  changes: [],
  refused: []
})

const put = ({ changes }: Work, start: number, end: number, text: string): void => {
  changes.push({ start, end, text })
}

const refuse = ({ refused }: Work, { edits }: Target, reason: Reason): void => {
  for (const at of edits) refused.push({ at, ...reason })
}

/** Whether two changes, which are sorted, meet; where both take something out they may share a part of it. */
const overlaps = (sorted: readonly Change[]): boolean => {
  let done = 0
  let isCut = false
  for (const { start, end, text } of sorted) {
    if (start < done && !(isCut && text === '')) return true
    isCut = text === '' && end > start
    done = Math.max(done, end)
  }
  return false
}

/** The text with the changes. */
const joined = (
  text: string,
  changes: readonly Change[]
): { readonly text: string } | { readonly refused: readonly RefusedEdit[] } => {
  const sorted = changes.toSorted(byStart)
  if (overlaps(sorted)) return { refused: [{ at: [], ...OVERLAP }] }
  const parts: string[] = []
  let done = 0
  for (const { start, end, text: written } of sorted) {
    parts.push(text.slice(done, start), written)
    done = Math.max(done, end)
  }
  return { text: `${parts.join('')}${text.slice(done)}` }
}

/** Makes the changes for a node and all below it. */
const change = (work: Work, node: Target): void => {
  const { found } = node
  if (node.renamed !== undefined) return rename(work, node, node.renamed)
  const alias = found?.style === 'alias' ? work.text.slice(found.start, found.end) : undefined
  if (found === undefined || alias !== undefined) {
    const reason = alias === undefined ? PLACELESS : throughAlias(alias)
    for (const below of withAllBelow(node)) refuse(work, below, reason)
    return
  }
  if (node.edits.length > 0) {
    const lost = node.replacement === undefined ? undefined : found.shares
    const anchor = found.shared ?? lost ?? lostAnchor(node)
    if (anchor !== undefined) refuse(work, node, throughAnchor(anchor))
    else if (node.replacement !== undefined) replace(work, node, found, node.replacement.value)
    else if (node.isListed) rearrange(work, node, found)
  }
  for (const child of node.children?.values() ?? []) if (!child.removed) change(work, child)
}

const rename = (work: Work, node: Target, name: string): void => {
  const { found } = node
  if (found?.key === undefined) return refuse(work, node, PLACELESS)
  if (found.shared !== undefined) return refuse(work, node, throughAnchor(found.shared))
  const { start, end } = found.key
  const quotes = quotesOf(work.text[start])
  return put(work, start, end, keyed(name, mannerOf(work, quotes, found.bracketed)))
}

const withAllBelow = function* (node: Target): Generator<Target> {
  yield node
  for (const child of node.children?.values() ?? []) yield* withAllBelow(child)
}

const throughAlias = (alias: string): Reason => ({
  why: `it comes from the alias ${alias}, which stands for the same text as in other places`,
  help: `write the values out in place of ${alias}`
})

const throughAnchor = (name: string): Reason => ({
  why: `the alias *${name} repeats it elsewhere, and would change as well`,
  help: `write the values out in place of *${name}, and remove &${name}`
})

/** An anchor that goes with something that is removed. */
const lostAnchor = ({ children }: Target): string | undefined => {
  for (const { removed, found } of children?.values() ?? [])
    if (removed && found?.shares !== undefined) return found.shares
  return undefined
}

// Values

/** `lost` is the part of the text that goes and is not meant to. */
const replace = (work: Work, node: Target, found: Found, value: Value, lost?: string): void => {
  const { text } = work
  const { start, end, style, bracketed } = found
  const quotes = style === 'single' || style === 'double' ? style : 'plain'
  const written = inline(value, mannerOf(work, quotes, bracketed))
  if (found.tagged && (style === 'brackets' || style === 'lines' || !isText(value)))
    return refuse(work, node, TAGGED)
  switch (style) {
    case 'none':
      if (start < 0) return refuse(work, node, PLACELESS)
      return put(work, start, start, ` ${written}`)
    case 'block': {
      const head = /[|>][-+0-9]*/y
      head.lastIndex = start
      head.test(text)
      put(work, start, head.lastIndex, written)
      return put(work, Math.min(lineEnd(text, start), end), end, '')
    }
    case 'brackets':
    case 'lines':
      if (!work.json && /(?:^|\s)#/.test(lost ?? text.slice(start, end))) return refuse(work, node, COMMENTED)
      return style === 'lines' ? unfold(work, node, found, written) : put(work, start, end, written)
    default:
      return put(work, start, end, written)
  }
}

const isText = (value: Value): boolean => typeof value === 'string'

/** Writes a value in place of a mapping or list that has lines of its own: behind the colon of its key. */
const unfold = (work: Work, node: Target, { key, start, end, properties }: Found, written: string): void => {
  const { text } = work
  if (key === undefined) return put(work, start, end, written)
  const colon = colonAfter(text, key)
  if (colon === undefined) return refuse(work, node, PLACELESS)
  const place = Math.max(colon, properties?.end ?? 0)
  put(work, place, place, ` ${written}`)
  const first = indentAt(text, start) === undefined ? start : lineStart(text, start)
  put(work, first - breakBefore(text, first), end, '')
}

interface Manner {
  readonly json: boolean
  readonly tight: boolean
  readonly quotes: 'plain' | 'single' | 'double'
  /** Within brackets more characters mean something. */
  readonly bracketed: boolean
}

const mannerOf = ({ json, tight }: Work, quotes: Manner['quotes'], bracketed: boolean): Manner => ({
  json,
  tight,
  quotes,
  bracketed
})

/** A value as it is written into YAML on one line. */
export const written = (value: Value): string =>
  typeof value === 'string'
    ? JSON.stringify(value)
    : inline(value, { json: false, tight: false, quotes: 'plain', bracketed: false })

/** A value on one line. */
const inline = (value: Value, manner: Manner): string => {
  if (typeof value === 'string') return quoted(value, manner)
  const inner = { ...manner, bracketed: true }
  const comma = manner.tight ? ',' : ', '
  if (isList(value)) return `[${value.map(item => inline(item, inner)).join(comma)}]`
  if (!isMapping(value)) return String(value)
  const entries = Object.entries(value).map(entry => pair(entry, inner))
  const pad = manner.tight || entries.length === 0 ? '' : ' '
  return `{${pad}${entries.join(comma)}${pad}}`
}

const pair = ([key, value]: readonly [string, Value], manner: Manner): string =>
  `${keyed(key, manner)}:${manner.tight ? '' : ' '}${inline(value, manner)}`

const keyed = (key: string, manner: Manner): string =>
  quoted(key, { ...manner, quotes: KEY.test(key) ? manner.quotes : 'double' })

const KEY = /^[A-Za-z_][A-Za-z0-9_.-]*$/

const quoted = (text: string, { json, quotes, bracketed }: Manner): string =>
  !json && quotes === 'plain' && isPlain(text, bracketed)
    ? text
    : !json && quotes === 'single' && !isOdd(text)
      ? `'${text.replaceAll("'", "''")}'`
      : JSON.stringify(text).replace(ODD, escaped)

/** What JSON.stringify leaves as it is, though YAML forbids it, or an editor acts on it or hides it. */
const ODD = /[\u007f-\u00a0\u00ad\u2028\u2029\ufffe\uffff\p{Cf}\p{Cs}]/gu

const isOdd = (text: string): boolean => text.search(ODD) >= 0 || /\p{Cc}/u.test(text)

const escaped = (char: string): string =>
  Array.from(
    { length: char.length },
    (_, i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, '0')}`
  ).join('')

/**
 * Whether a text means itself without quotes, in YAML 1.2 and in 1.1 (for which `12:30` is a number, `no` is false and
 * 2024-01-01 a date). An address of IPv6 is always quoted: it is one colon away from being a key.
 */
const isPlain = (text: string, bracketed: boolean): boolean =>
  /^[A-Za-z0-9](?:[A-Za-z0-9 ._/+@:-]*[A-Za-z0-9._/+@-])?$/.test(text) &&
  !/: |:.*:/.test(text) &&
  !(bracketed && text.includes(':')) &&
  !/^(?:y|n|yes|no|on|off|true|false|null)$/i.test(text) &&
  !/^(?:[0-9][0-9_]*(?:\.[0-9_]*)?(?:e[-+]?[0-9]+)?|0[box][0-9a-f_]+|[0-9]+(?::[0-5]?[0-9])+(?:\.[0-9_]*)?)$/i.test(
    text
  ) &&
  !/^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}/.test(text)

// Keys and items

const rearrange = (work: Work, node: Target, found: Found): void => {
  const { children, growth } = node
  const { entries, style } = found
  if (style !== 'brackets' && style !== 'lines') {
    const { keys, items } = growth ?? NO_GROWTH
    return replace(work, node, found, keys.size > 0 ? Object.fromEntries(keys) : [...items.values()].flat())
  }
  const isGone = ({ step }: Found): boolean => children?.get(step)?.removed === true
  const isKeyed = entries[0]?.key !== undefined
  if (entries.length > 0 && entries.every(isGone))
    return growth === undefined
      ? replace(work, node, found, isKeyed ? {} : [], around(work.text, found))
      : refuse(work, node, OVERLAP)
  if (entries.some(isGone)) {
    if (style === 'brackets') cutFromBrackets(work, found, isGone)
    else if (!cutLines(work, found, isGone)) return refuse(work, node, UNSAFE)
  }
  if (growth === undefined) return undefined
  if (style === 'brackets') return growBrackets(work, found, growth, isGone)
  return isKeyed ? growMapping(work, found, growth, node === work.root) : growList(work, found, growth)
}

/** What stands in a mapping or list, without its entries. */
const around = (text: string, { start, end, entries }: Found): string => {
  const ends = [start, ...entries.map(entry => entry.end)]
  const starts = [...entries.map(({ from }) => from), end]
  return ends.map((from, i) => text.slice(from, starts[i])).join(' ')
}

const NO_GROWTH: Growth = { keys: new Map(), items: new Map(), lists: new Map() }

/** Where a new line is put below something: behind the comments that belong to it. */
const placeBelow = (text: string, end: number, belongs: (indent: number) => boolean): number => {
  let place = lineEnd(text, end)
  let start = place + breakAt(text, place)
  while (start < text.length) {
    const stop = lineEnd(text, start)
    const line = text.slice(start, stop)
    const indent = line.search(/[^ \t]/)
    if (indent >= 0) {
      if (line[indent] !== '#' || !belongs(indent)) break
      place = stop
    }
    start = stop + breakAt(text, stop)
    if (stop === text.length) break
  }
  return place
}

const growMapping = (work: Work, { entries, end }: Found, { keys }: Growth, isRoot: boolean): void => {
  const { text, eol, unit, keepsEnd } = work
  const [first] = entries
  const last = entries.at(-1)
  if (first === undefined || last === undefined) return
  const column = first.from - lineStart(text, first.from)
  const place = placeBelow(text, end, deep => isRoot || deep > column)
  const spacing = isRoot && entries.length > 1 && !keepsEnd && isSpaced(text, last.from) ? eol : ''
  const manner = mannerOf(work, 'plain', false)
  const isFlat = last.style === 'brackets' && last.end - last.start > 2
  const written = [...keys].map(entry => {
    const lines = isFlat ? [pair(entry, manner)] : stacked(entry, unit, manner)
    return eol + spacing + lines.map(line => ' '.repeat(column) + line).join(eol)
  })
  put(work, place, place, written.join(''))
}

/** Whether an empty line stands above an entry and the comments on top of it. */
const isSpaced = (text: string, from: number): boolean => {
  let start = lineStart(text, from)
  for (;;) {
    const end = start - breakBefore(text, start)
    if (end === start) return false
    start = lineStart(text, end)
    const line = text.slice(start, end).trim()
    if (!line.startsWith('#')) return line === ''
  }
}

/** A key with its value in lines. */
const stacked = ([key, value]: readonly [string, Value], unit: string, manner: Manner): readonly string[] =>
  isMapping(value) && Object.keys(value).length > 0
    ? [
        `${keyed(key, manner)}:`,
        ...Object.entries(value).flatMap(entry => stacked(entry, unit, manner).map(line => unit + line))
      ]
    : [pair([key, value], manner)]

const growList = (work: Work, { entries, start }: Found, { items }: Growth): void => {
  const { text, eol } = work
  const column = start - lineStart(text, start)
  const indent = ' '.repeat(column)
  const manner = mannerOf(work, 'plain', false)
  for (const [index, values] of items) {
    const written = values.map(value => `- ${inline(value, manner)}`)
    const before = entries[index - 1]
    if (before === undefined) put(work, start, start, written.map(item => item + eol + indent).join(''))
    else {
      const isLast = index === entries.length
      const place = isLast ? placeBelow(text, before.end, deep => deep > column) : lineEnd(text, before.end)
      put(work, place, place, written.map(item => eol + indent + item).join(''))
    }
  }
}

const growBrackets = (
  work: Work,
  found: Found,
  { keys, items }: Growth,
  isGone: (entry: Found) => boolean
): void => {
  const { text, eol, json, tight } = work
  const { entries } = found
  const comma = tight ? ',' : ', '
  const last = entries.at(-1)
  const lastKept = entries.findLastIndex(entry => !isGone(entry))
  const manner = mannerOf(work, 'plain', true)
  const keyManner: Manner = { ...manner, quotes: quotesOf(text[last?.key?.start ?? -1]) }
  const isShort =
    last?.style === 'brackets' &&
    last.end - last.start > 2 &&
    !/[\n\r]/.test(text.slice(last.start, last.end))
  // JSON that has lines goes on in lines.
  const write = (value: Value, indent: string | undefined): string =>
    json && !tight && indent !== undefined && !isShort ? folded(work, value, indent) : inline(value, manner)
  const behind: Value[] = []
  for (const [index, values] of [...items].sort(([a], [b]) => a - b)) {
    const entry = entries[index]
    if (entry === undefined || index > lastKept) for (const value of values) behind.push(value)
    else {
      const indent = indentAt(text, entry.from)
      const gap = indent === undefined ? comma : `,${eol}${indent}`
      put(work, entry.from, entry.from, values.map(value => write(value, indent) + gap).join(''))
    }
  }
  const written = (indent: string | undefined): readonly string[] => [
    ...[...keys].map(([key, value]) => `${keyed(key, keyManner)}:${tight ? '' : ' '}${write(value, indent)}`),
    ...behind.map(value => write(value, indent))
  ]
  if (keys.size + behind.length === 0) return
  if (last === undefined) fill(work, found, written, comma)
  else append(work, last, written(indentAt(text, last.from)), comma)
}

const quotesOf = (char: string | undefined): Manner['quotes'] =>
  char === '"' ? 'double' : char === "'" ? 'single' : 'plain'

/** Writes behind the last entry of brackets: below it, where it has a line of its own. */
const append = (work: Work, last: Found, written: readonly string[], comma: string): void => {
  const { text, eol } = work
  const indent = indentAt(text, last.from)
  if (indent === undefined) {
    put(work, last.end, last.end, written.map(item => comma + item).join(''))
    return
  }
  const next = past(text, last.end, ':?')
  const isEnded = text[next] === ','
  const end = isEnded ? next + 1 : last.end
  if (!isEnded) put(work, end, end, ',')
  const place = isLineOver(text, end) ? lineEnd(text, end) : end
  const lines = written.map(item => eol + indent + item)
  put(work, place, place, isEnded ? lines.map(line => `${line},`).join('') : lines.join(','))
}

/** Writes into brackets that are empty. */
const fill = (
  work: Work,
  { start, end }: Found,
  written: (indent: string | undefined) => readonly string[],
  comma: string
): void => {
  const { text, eol, unit, json, tight } = work
  const inside = text.slice(start + 1, end - 1)
  const outer = /^[ \t]*/.exec(text.slice(lineStart(text, start), start))?.[0] ?? ''
  if (inside.trim() !== '') return put(work, start + 1, start + 1, ` ${written(undefined).join(comma)}`)
  if (json && !tight && /[\n\r]/.test(text)) {
    const lines = written(outer + unit).map(item => eol + outer + unit + item)
    return put(work, start + 1, end - 1, lines.join(',') + eol + outer)
  }
  const pad = tight || text[start] === '[' ? '' : ' '
  return put(work, start + 1, end - 1, pad + written(undefined).join(comma) + pad)
}

/** A value of JSON in lines; the first one continues a line that is there. */
const folded = ({ unit, eol }: Work, value: Value, indent: string): string =>
  JSON.stringify(value, null, unit)
    .replace(ODD, escaped)
    .replaceAll('\n', eol + indent)

/** Takes the lines of entries out; false where one does not have lines that can be told from others. */
const cutLines = (work: Work, { entries, start }: Found, isGone: (entry: Found) => boolean): boolean => {
  const { text } = work
  const column = start - lineStart(text, start)
  const startOf = ({ key, from, step }: Found): number | undefined =>
    key !== undefined ? from : step === 0 ? start : dashAbove(text, from, column)
  const lastKept = entries.findLastIndex(entry => !isGone(entry))
  for (const [i, entry] of entries.entries()) {
    if (!isGone(entry)) continue
    const from = startOf(entry)
    if (from === undefined) return false
    if (indentAt(text, from) !== undefined) cutWholeLines(work, from, entry.end, i > lastKept)
    else {
      // It shares its first line with the dash of an item, which stays.
      const kept = entries.slice(i).find(other => !isGone(other))
      const stop = kept === undefined ? undefined : startOf(kept)
      if (stop === undefined) return false
      const line = lineEnd(text, entry.end)
      put(work, from, text.slice(line, stop).includes('#') ? line : stop, '')
    }
  }
  return true
}

/** The dash of an item: the next one above that begins its line in the column of the list. */
const dashAbove = (text: string, from: number, column: number): number | undefined => {
  for (let line = lineStart(text, from); line > 0; line = lineStart(text, line - breakBefore(text, line)))
    if (text[line + column] === '-' && text.slice(line, line + column).trim() === '') return line + column
  return undefined
}

/** Takes lines out with the line end in front of them, or with that behind them. */
const cutWholeLines = (work: Work, from: number, end: number, isAtEnd: boolean): void => {
  const { text } = work
  const start = lineStart(text, from)
  const stop = lineEnd(text, end)
  if (isAtEnd) put(work, start - breakBefore(text, start), stop, '')
  else put(work, start, stop + breakAt(text, stop), '')
}

/** Takes entries out of brackets, each with one comma: the one behind it, or at the end the one in front of it. */
const cutFromBrackets = (work: Work, { entries }: Found, isGone: (entry: Found) => boolean): void => {
  const { text } = work
  const commaAfter = (entry: Found | undefined): number | undefined => {
    const at = entry === undefined ? 0 : past(text, entry.end, ':?')
    return entry !== undefined && text[at] === ',' ? at : undefined
  }
  const isEnded = commaAfter(entries.at(-1)) !== undefined
  const lastKept = isEnded ? entries.length : entries.findLastIndex(entry => !isGone(entry))
  for (const [i, entry] of entries.entries()) {
    if (!isGone(entry)) continue
    const comma = i < lastKept ? commaAfter(entry) : undefined
    const end = comma === undefined ? entry.end : comma + 1
    const isAlone = indentAt(text, entry.from) !== undefined && isLineOver(text, end)
    if (i > lastKept) {
      const before = commaAfter(entries[i - 1])
      if (before !== undefined) {
        const isNear = text.slice(before + 1, entry.from).trim() === '' && !isAlone
        put(work, before, isNear ? entry.from : before + 1, '')
      }
    }
    if (isAlone) cutWholeLines(work, entry.from, end, true)
    else {
      const gap = comma === undefined ? 0 : (/^[ \t]*(?!#)/.exec(text.slice(end, end + 100))?.[0].length ?? 0)
      put(work, entry.from, end + gap, '')
    }
  }
}
