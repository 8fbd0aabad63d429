import type { Finding } from '../findings/finding.ts'
import { compareTexts } from '../text/order.ts'
import type { Path } from '../text/path.ts'
import { visible } from './text.ts'

/** A finding that is shown at what it is about. */
export interface Mark {
  /** Its number in the legend. */
  readonly number: number
  readonly severity: 'error' | 'warning'
  readonly rule: string
  readonly message: string
}

/** The marks of a place, and whether one is within it. */
export interface Marks {
  /** Every error and warning, in the order of the legend. */
  readonly all: readonly Mark[]
  /** Those that are about this very place, or about something in it that is not drawn itself. */
  at(place: Path): readonly Mark[]
}

const keyOf = (path: Path): string => JSON.stringify(path)

/**
 * Shows each finding at the smallest thing drawn that its first place lies in. `drawn` are the places of all things that
 * are drawn; what lies in none is about the file as a whole, and shown at the empty path.
 */
export const marksOf = (findings: readonly Finding[], drawn: Iterable<Path>): Marks => {
  const keys = new Set([...drawn].map(keyOf))
  const placed = findings
    .flatMap(({ severity, rule, message, labels: [{ at }] }) => {
      if (severity === 'hint') return []
      let end = at.length
      while (end > 0 && !keys.has(keyOf(at.slice(0, end)))) end -= 1
      return [{ severity, rule, message: visible(message), place: keyOf(at.slice(0, end)) }]
    })
    .sort(
      (a, b) =>
        compareTexts(a.severity, b.severity) ||
        compareTexts(a.rule, b.rule) ||
        compareTexts(a.place, b.place) ||
        compareTexts(a.message, b.message)
    )
  const all: Mark[] = []
  const at = new Map<string, Mark[]>()
  for (const [i, { place, ...found }] of placed.entries()) {
    const mark = { number: i + 1, ...found }
    all.push(mark)
    const known = at.get(place)
    if (known === undefined) at.set(place, [mark])
    else known.push(mark)
  }
  return { all, at: place => at.get(keyOf(place)) ?? [] }
}
