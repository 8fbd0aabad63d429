import { planText } from '../emit/json.ts'
import { analyze } from '../index.ts'
import { fitOf, parseAsk } from '../plan/fit.ts'
import type { Plan } from '../plan/plan.ts'
import { planTable } from '../report/plan-table.ts'
import { pretty } from '../report/pretty.ts'
import type { LocatedFinding } from '../report/located.ts'
import type { Source } from '../text/source.ts'
import { quote } from '../text/path.ts'
import { listed, plural } from '../text/words.ts'
import { DEFAULT_FILE, readSource } from './read.ts'
import { type Exit, paint, say, shown, word } from './terminal.ts'

export interface PlanOptions {
  readonly format: 'table' | 'json' | undefined
  /** Show every row of a table; json always has all. */
  readonly all: boolean
  /** Write what was chosen for `auto` into the file instead of printing anything. */
  readonly write: boolean
  /** Say whether so many more fit on a bridge: `+12:br0`. */
  readonly whatIf: readonly string[] | undefined
  /** Print what changes for running systems since this file or git revision. */
  readonly diff: string | undefined
}

/**
 * Prints the resolved network, or answers a question about it. Errors do not keep it from that, since people plan while the
 * file is wrong: 1 then.
 */
export const plan = async (written: string | undefined, options: PlanOptions): Promise<Exit> => {
  const misused = misuse(options)
  if (misused !== undefined) {
    say(misused)
    return 2
  }
  const file = written ?? DEFAULT_FILE
  const source = readSource(file)
  if ('error' in source) {
    const hint = written === undefined ? '; name a file: netplan plan FILE' : ''
    say(`cannot read ${file === '' ? '""' : file}: ${source.error}${hint}`)
    return 2
  }
  const { report, plan } = await analyze(source)
  const errors = report.findings.filter(({ severity }) => severity === 'error')
  if (plan === undefined) return unreadable(source, errors)
  const exit = await answer(file, source, plan, options)
  // The command that writes says itself which `auto` has no value.
  const told = options.write ? errors.filter(({ rule }) => rule !== 'auto-without-value') : errors
  if (exit === 2 || told.length === 0) return exit
  say(
    `${plural(told.length, 'error')} in ${source.file}, so not all of this will work; "netplan check ${word(file)}" tells what`
  )
  return 1
}

const misuse = ({ format, all, write, whatIf, diff }: PlanOptions): string | undefined => {
  const asked = [
    ...(write ? ['--write'] : []),
    ...(whatIf === undefined ? [] : ['--what-if']),
    ...(diff === undefined ? [] : ['--diff'])
  ]
  if (asked.length > 1) return `${listed(asked)} are different things to do; ask for one at a time`
  if (write && (format !== undefined || all))
    return `--write prints no plan, so --${all ? 'all' : 'format'} has no meaning beside it`
  if (whatIf !== undefined && all)
    return '--what-if prints all that it knows, so --all has no meaning beside it'
  const wrong = whatIf?.find(text => parseAsk(text) === undefined)
  return wrong === undefined
    ? undefined
    : `--what-if is ${quote(wrong)}; it must be how many more and on which bridge, as in --what-if +12:br0`
}

const answer = async (
  file: string,
  source: Source,
  plan: Plan,
  { format, all, write, whatIf, diff }: PlanOptions
): Promise<Exit> => {
  if (write) {
    const { pin } = await import('./pin.ts')
    return pin(file, source, plan)
  }
  if (diff !== undefined) return compare(diff, file, plan, format, all)
  if (whatIf !== undefined) return fit(whatIf, plan, format)
  process.stdout.write(
    format === 'json' ? planText(plan) : planTable(plan, paint(), { width: lineWidth(), all })
  )
  return 0
}

/** Whether all fit: 1 where they do not. */
const fit = async (asked: readonly string[], plan: Plan, format: PlanOptions['format']): Promise<Exit> => {
  const { fitJson, fitText } = await import('../report/fit.ts')
  const answer = fitOf(
    plan,
    asked.flatMap(text => parseAsk(text) ?? [])
  )
  process.stdout.write(format === 'json' ? fitJson(answer) : shown(fitText(answer)))
  return answer.fits.every(({ fits }) => fits) ? 0 : 1
}

const compare = async (
  spec: string,
  file: string,
  now: Plan,
  format: PlanOptions['format'],
  all: boolean
): Promise<Exit> => {
  const { readOld } = await import('./old.ts')
  const old = readOld(spec, file)
  if ('error' in old) {
    say(old.error)
    return 2
  }
  const { report, plan: before } = await analyze(old.source)
  say(`compared with ${old.said}`)
  if (before === undefined) return unreadable(old.source, report.findings)
  const { changeOf } = await import('../plan/change.ts')
  const { changeJson, changeText } = await import('../report/change.ts')
  const change = changeOf(before, now)
  process.stdout.write(
    format === 'json' ? changeJson(change) : changeText(change, paint(), { width: lineWidth(), all })
  )
  return 0
}

const unreadable = (source: Source, findings: readonly LocatedFinding[]): Exit => {
  process.stderr.write(pretty([{ source, findings }], paint(process.stderr)))
  return 1
}

const WIDEST = 100
const NARROWEST = 60

/** As wide as the terminal, but no wider than people read. */
const lineWidth = (): number => Math.max(NARROWEST, Math.min(WIDEST, process.stdout.columns ?? WIDEST))
