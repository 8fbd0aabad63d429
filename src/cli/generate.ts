import { parse } from 'node:path'
import { type Artifact, type Emitter, markOf, type Refusal } from '../emit/emitter.ts'
import { EMITTERS } from '../emit/index.ts'
import type { Finding } from '../findings/finding.ts'
import { analyze } from '../index.ts'
import { printable } from '../report/compact.ts'
import { locate } from '../report/located.ts'
import { pretty } from '../report/pretty.ts'
import { parseDocument } from '../syntax/document.ts'
import type { Source } from '../text/source.ts'
import { plural } from '../text/words.ts'
import { faultOf, type Foreign, type Item, type Owner, pathIn, survey, write } from './files.ts'
import { DEFAULT_FILE, readSource } from './read.ts'
import { type Exit, paint, say, shown, word } from './terminal.ts'
import { unified } from './unified.ts'

export interface GenerateOptions {
  readonly target: string | undefined
  /** The folder to write to; undefined for standard output. */
  readonly out: string | undefined
  /** Write nothing, fail for what is not as it would be written. */
  readonly check: boolean
  /** Write nothing, print what would change. */
  readonly diff: boolean
}

/** The names that `--target` takes. */
export const TARGETS: readonly string[] = EMITTERS.map(({ id }) => id)

/** Prints the files of a topology for one target, or makes a folder what they say. */
export const generate = async (
  written: string | undefined,
  options: GenerateOptions,
  version: string
): Promise<Exit> => {
  const { target, out } = options
  const emitter = EMITTERS.find(({ id }) => id === target)
  const misused = emitter === undefined ? undefined : misuse(options)
  if (emitter === undefined || misused !== undefined) {
    for (const line of misused === undefined ? choices() : [misused]) say(line)
    return 2
  }
  const file = written ?? DEFAULT_FILE
  const source = readSource(file)
  if ('error' in source) {
    const hint = written === undefined ? `; name a file: netplan generate FILE --target ${emitter.id}` : ''
    say(`cannot read ${file === '' ? '""' : file}: ${source.error}${hint}`)
    return 2
  }
  const { report, plan } = await analyze(source)
  const findings = report.findings.filter(({ severity }) => severity === 'error')
  if (plan === undefined || findings.length > 0) {
    process.stderr.write(pretty([{ source, findings }], paint(process.stderr)))
    say(`nothing was generated: "netplan check ${word(file)}" has to find no errors`)
    return 1
  }
  const warnings = report.findings.filter(({ severity }) => severity === 'warning').length
  if (warnings > 0)
    say(`${plural(warnings, 'warning')} in ${source.file}; "netplan check ${word(file)}" tells what`)
  const refusals = [...emitter.cannot(plan)]
  if (refusals.length > 0) {
    process.stderr.write(await refused(source, emitter, refusals))
    say(`nothing was generated: what the target ${emitter.id} cannot express is never left out in silence`)
    return 1
  }
  const topology = plan.topology.name ?? (file === '-' ? 'stdin' : parse(file).name)
  const artifacts = emitter.emit(plan, markOf(emitter.id, { version, topology }))
  if (artifacts.length === 0) say(`the target ${emitter.id} needs no file for this topology`)
  if (out === undefined) {
    process.stdout.write(printed(artifacts))
    return 0
  }
  const owner = { target: emitter.id, topology }
  try {
    if (!options.check && !options.diff) return put(out, artifacts, owner)
    return compare(out, survey(out, artifacts, owner), options)
  } catch (error) {
    const fault = faultOf(error)
    if (fault === undefined) throw error
    say(fault)
    return 2
  }
}

const choices = (): readonly string[] => [
  'which target? --target NAME, one of these:',
  ...EMITTERS.map(({ id, summary }) => `  ${id.padEnd(10)} ${summary}`)
]

const misuse = ({ out, check, diff }: GenerateOptions): string | undefined => {
  if (out === '' || out === '-')
    return `--out is ${out === '' ? '""' : out}; it must be a folder, and without it the files are printed`
  if (out === undefined && (check || diff))
    return `--${check ? 'check' : 'diff'} needs --out DIR, the folder to compare with`
  return undefined
}

/** What a target has no words for, as findings. */
const refused = async (source: Source, { id }: Emitter, refusals: readonly Refusal[]): Promise<string> => {
  const parsed = await parseDocument(source)
  const findings = refusals.map(
    ({ at, feature, why, help }): Finding => ({
      rule: 'cannot-express',
      severity: 'error',
      message: `the target ${id} cannot express ${feature}`,
      labels: [{ at, text: `not for ${id}` }],
      note: why,
      help
    })
  )
  const document = 'document' in parsed ? parsed.document : undefined
  return pretty(locate([{ source, document, findings }]), paint(process.stderr), true)
}

/** The files one after another, each under its name where there are several. */
const printed = (artifacts: readonly Artifact[]): string =>
  shown(
    artifacts
      .map(({ path, text }) => (artifacts.length > 1 ? `-- ${printable(path)} --\n${text}` : text))
      .join('')
  )

const put = (out: string, artifacts: readonly Artifact[], owner: Owner): Exit => {
  let changes = 0
  const result = write(out, artifacts, owner, (change, name) => {
    changes += 1
    say(`${change} ${pathIn(out, name)}`)
  })
  if ('foreign' in result) {
    for (const item of result.foreign) say(inTheWay(out, item))
    // Somebody may have put a file there after the first look.
    say(`${changes === 0 ? 'nothing' : 'not all'} was written to ${out}: netplan changes only what it made`)
    return 1
  }
  if (result.unchanged > 0) say(`${plural(result.unchanged, 'file')} in ${out} unchanged`)
  return 0
}

const inTheWay = (out: string, { name, why, help }: Foreign): string =>
  `${pathIn(out, name)} is in the way: ${why}; ${help}`

const compare = (
  out: string,
  items: readonly Item[],
  { check, diff }: Pick<GenerateOptions, 'check' | 'diff'>
): Exit => {
  const stale = items.filter(({ state }) => state !== 'same')
  for (const item of stale)
    if (item.state === 'foreign') say(inTheWay(out, item))
    else if (check) say(`${pathIn(out, item.name)} ${STALE[item.state]}`)
  if (diff) for (const item of stale) process.stdout.write(unified(item))
  if (!check) return 0
  if (stale.length === 0) say(`${out} is up to date, ${plural(items.length, 'file')}`)
  return stale.length > 0 ? 1 : 0
}

const STALE: Readonly<Record<Exclude<Item['state'], 'foreign'>, string>> = {
  same: 'is up to date',
  missing: 'is missing',
  differs: 'differs from what would be generated',
  'left over': 'is left over, it would be generated no more'
}
