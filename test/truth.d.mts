type Path = readonly (string | number)[]

export interface Truth {
  readonly severity: 'error' | 'warning' | 'hint'
  readonly at: string
  readonly path: Path
  readonly type: string
  /** Known, and told by no rule; the file says why. */
  readonly missed: boolean
}

export declare const CLASSES: Readonly<Record<string, readonly string[]>>

export declare const truthOf: (text: string) => {
  readonly none: boolean
  readonly truths: readonly Truth[]
  readonly argued: readonly { readonly rule: string; readonly at: string; readonly why: string }[]
}

export declare const teller: (
  text: string
) => (rule: string, places: readonly Path[], truth: Pick<Truth, 'type' | 'path'>) => boolean
