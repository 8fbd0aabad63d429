import type { Path } from '../text/path.ts'
import type { Span } from '../text/source.ts'

export type Value = string | number | boolean | null | readonly Value[] | { readonly [key: string]: Value }

/** Every path is one of the data before all edits. */
export type Edit =
  /** Another value, in the kind of quotes that the old one has; lists and mappings are written in brackets. */
  | { readonly kind: 'replace'; readonly at: Path; readonly value: Value }
  /** A new last key, with the mappings above it that are missing; or a new item in front of the one with that index. */
  | { readonly kind: 'insert'; readonly at: Path; readonly value: Value }
  /** A new last item of a list, which is made where it is missing. */
  | { readonly kind: 'append'; readonly at: Path; readonly value: Value }
  /** Another name for a key, which keeps its value and place. */
  | { readonly kind: 'rename'; readonly at: Path; readonly key: string }
  /** A key or an item, with the comments on its own lines. */
  | { readonly kind: 'remove'; readonly at: Path }

/** Other text in a file that does not parse, and has no paths therefore. */
export interface TextEdit {
  readonly kind: 'text'
  readonly span: Span
  readonly text: string
}

/**
 * The edits that mend a fault, all of them or none. Offered only where there is exactly one sensible meaning. What the file
 * says on purpose stays: an `enable: false`, a closed port, a firewall that trusts nobody.
 */
export type Mend = readonly [Edit, ...Edit[]] | readonly [TextEdit]

/** The mend of a problem; none where one of its edits is not known. */
export const offer = (...edits: readonly (Edit | undefined)[]): { readonly mend?: Mend } => {
  const [first, ...rest] = edits.filter(edit => edit !== undefined)
  return first === undefined || rest.length + 1 < edits.length ? {} : { mend: [first, ...rest] }
}

/** Another value, where there is one that is meant. */
export const replaced = (at: Path, value: Value | undefined): Edit | undefined =>
  value === undefined ? undefined : { kind: 'replace', at, value }
