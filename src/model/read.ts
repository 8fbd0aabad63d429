import { parseMac } from '../net/mac.ts'
import { parsePrefix } from '../net/prefix.ts'
import { isSpecial } from '../net/special.ts'
import type { Path } from '../text/path.ts'
import type { AddressText, Gateway, MacText, Named } from './topology.ts'

/** A mapping of the data, whose shape the schema has checked. */
export type Raw = Readonly<Record<string, unknown>>

export const EMPTY: readonly never[] = []
export const NOTHING: Raw = {}

// The schema has seen to it that this is a mapping.
// oxlint-disable-next-line typescript/no-unsafe-type-assertion
export const raw = (value: unknown): Raw => (value === undefined || value === null ? NOTHING : (value as Raw))
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : EMPTY)
export const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
export const number = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined)
export const flag = (value: unknown): boolean | undefined => (typeof value === 'boolean' ? value : undefined)
/** A place below another one. `concat` makes an array of just that length; there may be a million of them. */
export const under = (at: Path, ...steps: Path): Path => at.concat(steps)

/** What is built of each element of a list. A faulty element was taken out by the schema and left a gap. */
export const each = <T>(value: unknown, build: (element: unknown, index: number) => T): readonly T[] => {
  const elements = list(value)
  if (elements.length === 0) return EMPTY
  return elements.includes(undefined)
    ? elements.flatMap((element, i) => (element === undefined ? [] : [build(element, i)]))
    : elements.map(build)
}

export const names = (owner: Raw, key: string, at: Path): readonly Named[] =>
  each(owner[key], (name, i) => ({ at: under(at, key, i), name: String(name) }))

export type ParseAddress = (text: string, at: Path) => AddressText

/**
 * Parses addresses, gathers the faulty ones, and notes which kinds there are. A gateway or host address is mostly the one that the container before
 * had, so each option remembers its last text.
 */
export const addressParser = (
  faulty: AddressText[],
  seen: { IPv6: boolean; special: boolean; auto: boolean }
): ParseAddress => {
  const last = new Map<string | number | undefined, Pick<AddressText, 'text' | 'prefix' | 'fault'>>()
  return (text, at) => {
    if (text === 'auto' && mayBeAuto(at)) {
      seen.auto = true
      return { at, text, prefix: undefined, bare: false, auto: true, fault: undefined }
    }
    const option = at[at.length - 1]
    let known = last.get(option)
    if (known?.text !== text) {
      const result = parsePrefix(text)
      known =
        'value' in result
          ? { text, prefix: result.value, fault: undefined }
          : { text, prefix: undefined, fault: text === 'auto' ? { ...result, reason: NO_AUTO } : result }
      last.set(option, known)
      if (known.prefix?.family === 6) seen.IPv6 = true
      if (known.prefix !== undefined && isSpecial(known.prefix)) seen.special = true
    }
    const { prefix, fault } = known
    const address: AddressText = { at, text, prefix, bare: !text.includes('/'), auto: false, fault }
    if (fault !== undefined) faulty.push(address)
    return address
  }
}

const NO_AUTO = 'it is chosen only for bridges, interfaces, ends of pairs, and routers of containers'

/** Where `auto` asks for a value: the addresses of bridges and interfaces, the ends of pairs, and routers of containers. */
const mayBeAuto = (at: Path): boolean => {
  const place = typeof at.at(-1) === 'number' ? at.slice(0, -1) : at
  const [room] = place
  const key = place.findLast(step => step !== 'address')
  if (key === 'defaultGateway' || key === 'defaultGateway6') return room === 'containers'
  if (place.at(-1) !== 'address') return /^(?:host|local)Address6?$/.test(String(key))
  return place.at(-3) === 'interfaces' || (room === 'bridges' && place.length === 3)
}

export const address = (owner: Raw, key: string, at: Path, parse: ParseAddress): AddressText | undefined => {
  const value = owner[key]
  return typeof value === 'string' ? parse(value, under(at, key)) : undefined
}

export const addresses = (owner: Raw, key: string, at: Path, parse: ParseAddress): readonly AddressText[] => {
  const value = owner[key]
  if (typeof value === 'string') return [parse(value, under(at, key))]
  return each(value, (item, i) => parse(String(item), under(at, key, i)))
}

export const gateway = (owner: Raw, key: string, at: Path, parse: ParseAddress): Gateway | undefined => {
  const value = owner[key]
  if (value === undefined) return undefined
  const place = under(at, key)
  if (typeof value === 'string')
    return {
      at: place,
      address: parse(value, place),
      interface: undefined,
      metric: undefined,
      source: undefined
    }
  const { address, interface: name, metric, source } = raw(value)
  return {
    at: place,
    address: parse(String(address), under(place, 'address')),
    interface: text(name),
    metric: number(metric),
    source: typeof source === 'string' ? parse(source, under(place, 'source')) : undefined
  }
}

/** The items of a list of mappings, each with its place. */
export const items = <T>(
  owner: Raw,
  key: string,
  at: Path,
  build: (item: Raw, at: Path) => T
): readonly T[] => each(owner[key], (value, i) => build(raw(value), under(at, key, i)))

/** The entries of a mapping of mappings, each with its name and place. */
export const members = <T>(
  owner: Raw,
  key: string,
  at: Path,
  build: (name: string, value: Raw, at: Path) => T
): readonly T[] => {
  const value = owner[key]
  if (value === undefined || value === null) return EMPTY
  const named = raw(value)
  return Object.keys(named).map(name => build(name, raw(named[name]), under(at, key, name)))
}

export const mac = (owner: Raw, key: string, at: Path): MacText | undefined => {
  const written = text(owner[key])
  if (written === undefined) return undefined
  const parsed = parseMac(written)
  return { at: under(at, key), text: written, value: 'value' in parsed ? parsed.value : undefined }
}
