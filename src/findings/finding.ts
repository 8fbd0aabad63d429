import type { Path } from '../text/path.ts'
import type { Span } from '../text/source.ts'
import type { Mend } from './mend.ts'

/** error: something the author wants does not work. warning: it works by luck or has no effect. hint: worth knowing. */
export type Severity = 'error' | 'warning' | 'hint'

/** A place and what is to be seen there. `on: 'key'` points at the key instead of its value. */
export interface Label {
  readonly at: Path
  readonly text: string
  readonly on?: 'key'
  /** The place in the text itself, where a text that does not parse has no paths. */
  readonly span?: Span
}

/** A place in another file that is checked in the same call. */
export interface Elsewhere {
  /** Which one, in the order of the call. */
  readonly file: number
  readonly at: Path
  readonly text: string
}

/** What a rule yields: what is wrong, why it matters (the runtime symptom), what to do (the value to write). */
export interface Problem {
  readonly message: string
  /** The first label is the primary place. */
  readonly labels: readonly [Label, ...Label[]]
  readonly elsewhere?: readonly Elsewhere[]
  readonly note: string
  readonly help: string
  /** What can be done about it by a program, if there is exactly one sensible thing. */
  readonly mend?: Mend
  /** Where this case is graver or milder than its rule. */
  readonly severity?: Severity
}

/** A reported fault: a problem, and the rule that found it. */
export interface Finding extends Problem {
  readonly rule: string
  readonly severity: Severity
}
