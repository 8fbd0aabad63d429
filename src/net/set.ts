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
  readonly #byBits = new Map<string, { readonly shift: bigint; readonly entries: Map<bigint, T> }>()
  readonly #order: string[] = []

  add(prefix: Prefix, item: T): void {
    const key = `${prefix.family}/${String(prefix.bits).padStart(3, '0')}`
    let level = this.#byBits.get(key)
    if (level === undefined) {
      level = { shift: BigInt((prefix.family === 4 ? 32 : 128) - prefix.bits), entries: new Map() }
      this.#byBits.set(key, level)
      this.#order.push(key)
      this.#order.sort().reverse()
    }
    const network = prefix.value >> level.shift
    if (!level.entries.has(network)) level.entries.set(network, item)
  }

  get(addr: { readonly family: 4 | 6; readonly value: bigint }): T | undefined {
    for (const key of this.#order) {
      if (!key.startsWith(String(addr.family))) continue
      const level = this.#byBits.get(key)
      const found = level?.entries.get(addr.value >> level.shift)
      if (found !== undefined) return found
    }
    return undefined
  }
}
