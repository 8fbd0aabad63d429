import { type Addr, type AddrKey, addrKey, type Family, mixed, width } from './addr.ts'
import { contains, first, type Prefix } from './prefix.ts'

/** Two items whose prefixes share addresses: `inner` lies in `outer`, or they are equal. */
export interface Overlap<T> {
  readonly outer: T
  readonly inner: T
}

/**
 * Each item that lies in another one's prefix, with the narrowest item around it. Prefixes nest or are apart, so in the
 * order "family, lowest address, widest first" the ones around an item are a stack: n log n for any number of items.
 * Items with equal prefixes keep their order.
 */
export const overlapping = function* <T>(
  items: Iterable<T>,
  prefixOf: (item: T) => Prefix
): Generator<Overlap<T>> {
  const sorted = Array.from(items, item => {
    const prefix = prefixOf(item)
    return { item, prefix, low: first(prefix).value }
  }).sort((a, b) =>
    a.prefix.family !== b.prefix.family
      ? a.prefix.family - b.prefix.family
      : a.low !== b.low
        ? a.low < b.low
          ? -1
          : 1
        : a.prefix.bits - b.prefix.bits
  )
  const around: typeof sorted = []
  for (const next of sorted) {
    let top = around.at(-1)
    while (top !== undefined && !contains(top.prefix, next.prefix)) {
      around.pop()
      top = around.at(-1)
    }
    if (top !== undefined) yield { outer: top.item, inner: next.item }
    around.push(next)
  }
}

/**
 * A lookup from an address to the narrowest prefix that contains it. Building is linear; a lookup tries one map per
 * prefix length in use.
 */
export class PrefixMap<T> {
  /** The longest prefixes first. */
  readonly #levels: Record<Family, Level<T>[]> = { 4: [], 6: [] }

  add({ family, value, bits }: Prefix, item: T): void {
    const levels = this.#levels[family]
    let level = levels.find(known => known.bits === bits)
    if (level === undefined) {
      level = { bits, entries: new Map(), first: undefined }
      levels.push(level)
      levels.sort((a, b) => b.bits - a.bits)
    }
    const key = keyOf({ family, value }, bits)
    if (!level.entries.has(key)) level.entries.set(key, item)
    level.first ??= item
  }

  *values(): Generator<T> {
    for (const levels of [this.#levels[4], this.#levels[6]])
      for (const { entries } of levels) yield* entries.values()
  }

  get(addr: Addr): T | undefined {
    for (const { bits, entries, first } of this.#levels[addr.family]) {
      const found = bits === 0 ? first : entries.get(keyOf(addr, bits))
      if (found !== undefined) return found
    }
    return undefined
  }
}

/** The network's bits alone. */
const keyOf = (addr: Addr, bits: number): AddrKey =>
  bits === width(addr.family)
    ? addrKey(addr)
    : addr.family === 4
      ? bits === 0
        ? 0
        : Number(addr.value) >>> (32 - bits)
      : bits > 64
        ? mixed(addr.value >> BigInt(128 - bits))
        : addr.value >> BigInt(128 - bits)

interface Level<T> {
  readonly bits: number
  readonly entries: Map<AddrKey, T>
  first: T | undefined
}
