import { distance } from 'fastest-levenshtein'

/** `1 container`, `2 containers`. */
export const plural = (count: number | bigint, one: string, many = `${one}s`): string =>
  `${count} ${BigInt(count) === 1n ? one : many}`

/** `a`, `a and b`, `a, b and c`; of more than `most` the first ones and how many more. */
export const listed = (items: readonly string[], most = 6): string => {
  const shown = items.length > most ? [...items.slice(0, most - 1), `${items.length - most + 1} more`] : items
  return shown.length < 2 ? shown.join('') : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`
}

/** The one of `known` that was most likely meant by `written`; undefined when none is within `most` changes. */
export const nearest = (
  written: string,
  known: Iterable<string>,
  most: number = Math.max(2, Math.floor(written.length / 3))
): string | undefined => {
  let best: string | undefined
  let least = most + 1
  if (written.length > 64) return undefined
  for (const candidate of known) {
    if (Math.abs(candidate.length - written.length) >= least) continue
    const steps =
      candidate.toLowerCase() === written.toLowerCase()
        ? 0
        : distance(written.toLowerCase(), candidate.toLowerCase())
    if (steps < least && steps < candidate.length) {
      best = candidate
      least = steps
    }
  }
  return best
}
