// What a file lists by keys has no order of its own, so what is made of it is put into one that depends on no locale.

/** By code units. */
export const compareTexts = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

export const byName = <T extends { readonly name: string }>(entries: Iterable<T>): readonly T[] =>
  [...entries].sort((a, b) => compareTexts(a.name, b.name))
