import type { Severity } from '../findings/finding.ts'
import type { Mend } from '../findings/mend.ts'
import { type Analysis, analyzeSite } from '../index.ts'
import { printable } from '../report/compact.ts'
import { isPathEdit, titles } from '../report/fixes.ts'
import { type LocatedFinding, type Report, tally } from '../report/located.ts'
import { edited } from '../syntax/edit.ts'
import { SYNTAX_RULES } from '../syntax/faults.ts'
import { formatPath } from '../text/path.ts'
import type { Position, Source } from '../text/source.ts'
import { plural } from '../text/words.ts'
import { rewrite } from './disk.ts'
import { filesOf, readSource } from './read.ts'
import { type Exit, say, shown, word } from './terminal.ts'
import { unified } from './unified.ts'

export interface FixOptions {
  /** Print what would change, and write nothing. */
  readonly diff: boolean
}

/** Makes the mends that findings offer in the files of a site, and says which: 1 when errors are left, 2 for what cannot be read or written. */
export const fix = async (given: readonly string[], { diff }: FixOptions): Promise<Exit> => {
  const files = filesOf(given)
  const before: Source[] = []
  for (const file of files) {
    const source = readSource(file)
    if ('error' in source) {
      const hint = given.length === 0 ? '; name a file: netplan fix FILE' : ''
      say(`cannot read ${file === '' ? '""' : file}: ${source.error}${hint}`)
    } else before.push(source)
  }
  // Without one of its files nobody knows what is free in a site.
  if (before.length < files.length) return 2
  const { sources, done, reports } = await mended(before)
  const lost = diff ? NOTHING : put(files, before, sources)
  if (diff) for (const [i, source] of sources.entries()) process.stdout.write(patch(before[i], source))
  const output = diff || files.includes('-') ? process.stderr : process.stdout
  for (const line of done.filter(({ file }) => !lost.has(file)).map(told)) output.write(line)
  if (lost.size > 0) return 2
  if (done.length === 0) say('nothing to mend')
  return left(files, reports)
}

const NOTHING: ReadonlySet<string> = new Set()

const patch = (before: Source | undefined, { file, text }: Source): string =>
  before === undefined || before.text === text
    ? ''
    : unified({
        name: file.replace(/^\/+/, ''),
        state: 'differs',
        old: Buffer.from(before.text),
        wanted: Buffer.from(text)
      })

/** Writes what has changed; standard input goes to standard output. The files that could not be written. */
const put = (
  files: readonly string[],
  before: readonly Source[],
  after: readonly Source[]
): ReadonlySet<string> => {
  const lost = new Set<string>()
  for (const [i, file] of files.entries()) {
    const [old, source] = [before[i], after[i]]
    if (old === undefined || source === undefined) continue
    if (file === '-') process.stdout.write(shown(source.text))
    else if (old.text !== source.text) {
      const result = rewrite(file, old.text, source.text)
      if ('fault' in result) {
        say(`cannot write ${file}: ${result.fault}`)
        lost.add(file)
      } else if (result.names > 1)
        say(`${file} had another name as well (a hard link), which keeps the old text`)
    }
  }
  return lost
}

/** One line for each mend: where, what, and by which rule. */
export const told = ({ file, start, title, rule }: Done): string =>
  `${printable(`${file}:${start.line}:${start.column}: ${title} [${rule}]`)}\n`

const left = (files: readonly string[], reports: readonly Report[]): Exit => {
  const count = tally(reports)
  const said = (['error', 'warning', 'hint'] as const)
    .filter(severity => count[severity] > 0)
    .map(severity => plural(count[severity], severity))
  if (said.length > 0)
    say(`${said.join(', ')} left: netplan check ${files.map(file => word(file)).join(' ')}`)
  const undone = reports.reduce(
    (sum, { findings }) => sum + findings.filter(({ mend }) => mend !== undefined).length,
    0
  )
  if (undone > 0)
    say(
      `${plural(undone, 'mend was', 'mends were')} not made: ${undone === 1 ? 'it' : 'each'} would bring another error, or the text leaves no room for it`
    )
  return count.error > 0 ? 1 : 0
}

// Rounds

/** A mend that was made. */
export interface Done {
  readonly file: string
  /** Where it was when it was mended. */
  readonly start: Position
  readonly title: string
  readonly rule: string
}

interface State {
  readonly sources: readonly Source[]
  readonly analyses: readonly Analysis[]
}

/** A mend that one finding or several offer. */
interface Offer {
  readonly file: number
  readonly mend: Mend
  readonly findings: readonly LocatedFinding[]
}

/** What a mend uncovers is mended in the next round. */
const ROUNDS = 50

/** How often the site is checked to try out mends, in one round. */
const TRIES = 100

/**
 * Sources with all the mends that their findings offer, those that become possible by them included. Of mends that meet in
 * one place the first is made, and the others if they are still offered then. None is made that does harm.
 */
export const mended = async (
  before: readonly Source[]
): Promise<{
  readonly sources: readonly Source[]
  readonly done: readonly Done[]
  readonly reports: readonly Report[]
}> => {
  let state: State = { sources: before, analyses: await analyzeSite(before) }
  const done: Done[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    const offers = offersIn(state)
    // What cannot be read hides what is wrong with it.
    const next =
      (await better(state, offers.filter(isFormal), { left: TRIES })) ??
      (await better(
        state,
        offers.filter(offer => !isFormal(offer)),
        { left: TRIES }
      ))
    if (next === undefined) break
    done.push(...next.done)
    state = next.state
  }
  return { sources: state.sources, done, reports: state.analyses.map(({ report }) => report) }
}

const offersIn = ({ analyses }: State): readonly Offer[] => {
  const offers = new Map<string, { file: number; mend: Mend; findings: LocatedFinding[] }>()
  for (const [file, { report }] of analyses.entries())
    for (const finding of report.findings) {
      const { mend } = finding
      if (mend === undefined) continue
      const key = JSON.stringify([file, mend])
      const same = offers.get(key)
      if (same === undefined) offers.set(key, { file, mend, findings: [finding] })
      else same.findings.push(finding)
    }
  return [...offers.values()]
}

interface Step {
  readonly state: State
  readonly done: readonly Done[]
}

/** The state after as many of the mends as can be made at once; undefined where none can. */
const better = async (
  state: State,
  offers: readonly Offer[],
  tries: { left: number }
): Promise<Step | undefined> => {
  if (offers.length === 0 || tries.left === 0) return undefined
  tries.left -= 1
  const made: Offer[] = []
  const sources: Source[] = []
  for (const [i, source] of state.sources.entries()) {
    const own = offers.filter(({ file }) => file === i)
    const result = await applied(source, own)
    made.push(...result.made)
    sources.push({ ...source, text: result.text })
  }
  if (sources.some(({ text }, i) => text !== state.sources[i]?.text)) {
    const analyses = await analyzeSite(sources)
    if (isBetter(state.analyses, analyses, made))
      return { state: { sources, analyses }, done: await doneBy(state, made) }
  }
  if (offers.length === 1) return undefined
  const half = offers.length >> 1
  return (await better(state, offers.slice(0, half), tries)) ?? better(state, offers.slice(half), tries)
}

/** A text with all mends that can be made in it at once. */
const applied = async (
  source: Source,
  offers: readonly Offer[]
): Promise<{ readonly text: string; readonly made: readonly Offer[] }> => {
  const unread = offers.filter(({ mend }) => mend[0].kind === 'text')
  if (unread.length > 0) return spliced(source.text, unread)
  let open = offers
  while (open.length > 0) {
    const result = await edited(
      source,
      open.flatMap(({ mend }) => mend.filter(isPathEdit))
    )
    if ('text' in result) return { text: result.text, made: open }
    const refused = new Set(result.refused.map(({ at }) => formatPath(at)))
    const rest = open.filter(
      ({ mend }) => !mend.some(edit => 'at' in edit && refused.has(formatPath(edit.at)))
    )
    // Where it cannot be told which one is in the way, or all are, the first are tried alone.
    open = rest.length > 0 && rest.length < open.length ? rest : open.slice(0, open.length >> 1)
  }
  return { text: source.text, made: [] }
}

/** A text that does not parse, with other text in places that do not meet. */
const spliced = (
  text: string,
  offers: readonly Offer[]
): { readonly text: string; readonly made: readonly Offer[] } => {
  const parts: string[] = []
  const made: Offer[] = []
  let end = 0
  for (const offer of offers) {
    const [edit] = offer.mend
    if (edit.kind !== 'text' || edit.span.start < end) continue
    parts.push(text.slice(end, edit.span.start), edit.text)
    end = edit.span.end
    made.push(offer)
  }
  return { text: `${parts.join('')}${text.slice(end)}`, made }
}

/**
 * Whether there are no more errors than before, and as long as they are the same no more warnings. One cause is told once,
 * so a mend may bring to light what it hid; what could not be read, or was taken out of the data, was not checked at all,
 * and where that is mended only its own kind counts.
 */
const isBetter = (
  before: readonly Analysis[],
  after: readonly Analysis[],
  made: readonly Offer[]
): boolean => {
  if (!made.some(isFormal)) {
    const fewer = found(before, 'error') - found(after, 'error')
    return fewer > 0 || (fewer === 0 && found(after, 'warning') <= found(before, 'warning'))
  }
  const isRead = (analyses: readonly Analysis[]): boolean => analyses.every(({ plan }) => plan !== undefined)
  return (
    (!isRead(before) && isRead(after)) || found(after, 'error', isSyntax) < found(before, 'error', isSyntax)
  )
}

const isFormal = ({ findings }: Offer): boolean => findings.some(({ rule }) => isSyntax(rule))

const isSyntax = (rule: string): boolean => Object.hasOwn(SYNTAX_RULES, rule)

/** How many findings of a severity there are. */
const found = (
  analyses: readonly Analysis[],
  wanted: Severity,
  counts: (rule: string) => boolean = () => true
): number =>
  analyses.reduce(
    (sum, { report }) =>
      sum + report.findings.filter(({ rule, severity }) => severity === wanted && counts(rule)).length,
    0
  )

const doneBy = async ({ sources }: State, made: readonly Offer[]): Promise<readonly Done[]> => {
  const done: Done[] = []
  for (const [i, { file, text }] of sources.entries()) {
    const own = made.filter(offer => offer.file === i)
    if (own.length === 0) continue
    const title = await titles(text)
    for (const { mend, findings } of own)
      for (const { rule, labels } of findings)
        done.push({ file, start: labels[0].start, title: title(mend), rule })
  }
  return done
}
