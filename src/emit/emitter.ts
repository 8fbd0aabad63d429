import type { Plan } from '../plan/plan.ts'
import type { Path } from '../text/path.ts'

/** A file to deploy. */
export interface Artifact {
  /** A file name, never a path. */
  readonly path: string
  readonly text: string
}

/** Something that the topology asks for and a target has no words for. */
export interface Refusal {
  readonly at: Path
  /** What it is, in words: `VLAN-aware bridge "br0"`. */
  readonly feature: string
  readonly why: string
  /** What to do instead. */
  readonly help: string
}

/** Where files come from: what their first line says. */
export interface Origin {
  readonly version: string
  readonly topology: string
}

/** What turns a plan into the files of one target. It only prints: what will exist is decided in the plan. */
export interface Emitter {
  readonly id: string
  readonly summary: string
  /** What the plan has and this target cannot say. Nothing is emitted then: a feature is never dropped. */
  cannot(plan: Plan): Iterable<Refusal>
  /** The files, by name. `mark` is their first line, without the characters that begin a comment. */
  emit(plan: Plan, mark: string): readonly Artifact[]
}

/**
 * The first line of a file, by which it is known again: who made it, for what, from what. It has no date, so that the
 * same topology gives the same bytes. Names are quoted as in JSON, with everything escaped that could end the line.
 */
export const markOf = (target: string, { version, topology }: Origin): string =>
  `Made by netplan ${version} for ${target} from the topology ${quoted(topology)}; change that and generate anew.`

const MARK =
  /Made by netplan \S+ for (\w+) from the topology ("(?:[^"\\]|\\.)*"); change that and generate anew\./

/** JSON has no comments: there the mark is the first value of the file, `{ "mark": "Made by …",`. */
const JSON_MARK = /^\{ "mark": ("(?:[^"\\]|\\.)*"),?$/

/** Which target and topology a first line names; undefined where it is none of ours. */
export const readMark = (
  line: string
): { readonly target: string; readonly topology: string } | undefined => {
  try {
    const [, value] = JSON_MARK.exec(line.trimEnd()) ?? []
    const [, target, topology] = MARK.exec(value === undefined ? line : String(JSON.parse(value))) ?? []
    return target === undefined || topology === undefined
      ? undefined
      : { target, topology: String(JSON.parse(topology)) }
  } catch {
    return undefined
  }
}

const quoted = (text: string): string =>
  JSON.stringify(text).replace(/[^ -~]/g, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
