import { analyzeSite } from '../index.ts'
import type { Source } from '../text/source.ts'
import { compact, printable } from '../report/compact.ts'
import { json } from '../report/json.ts'
import { type Report, tally } from '../report/located.ts'
import { pretty } from '../report/pretty.ts'
import { type Exit, paint, say, word } from './terminal.ts'
import { filesOf, readSource } from './read.ts'

export const FORMATS = ['pretty', 'compact', 'json', 'sarif', 'github', 'junit'] as const

export interface CheckOptions {
  readonly format: (typeof FORMATS)[number]
  /** Warnings fail too. */
  readonly strict: boolean
  /** Show every finding, however many there are of one rule; json always has all. */
  readonly all: boolean
}

/** Checks files as one site and prints what is wrong: 1 when there are errors, 2 when a file cannot be read. */
export const check = async (
  files: readonly string[],
  { format, strict, all }: CheckOptions
): Promise<Exit> => {
  const sources: Source[] = []
  let unreadable = 0
  for (const file of filesOf(files)) {
    const source = readSource(file)
    if ('error' in source) {
      unreadable += 1
      const hint = files.length === 0 ? '; name a file: netplan check FILE' : ''
      say(`cannot read ${file === '' ? '""' : file}: ${source.error}${hint}`)
      continue
    }
    sources.push(source)
  }
  const analyses = await analyzeSite(sources)
  const found = analyses.map(({ report }) => report)
  process.stdout.write(await rendered(found, { format, strict, all }))
  const { error, warning } = tally(found)
  return unreadable > 0 ? 2 : error > 0 || (strict && warning > 0) ? 1 : 0
}

/** What is needed for fixes is loaded only where there are some. */
const offered = async (reports: readonly Report[]): Promise<readonly Report[]> => {
  if (!reports.some(({ findings }) => findings.some(({ mend }) => mend !== undefined))) return reports
  const { withFixes } = await import('../report/fixes.ts')
  return withFixes(reports)
}

/** How many of the findings `netplan fix` can mend; all files stand in its line, since it has to see the whole site. */
export const mendable = (reports: readonly Report[]): string => {
  const count = reports.reduce(
    (sum, { findings }) => sum + findings.filter(({ fix }) => fix !== undefined).length,
    0
  )
  if (count === 0) return ''
  const files = reports.map(({ source }) => (source.file === '<stdin>' ? '-' : word(source.file)))
  const named = files.length > MOST_NAMED ? 'FILE…' : files.join(' ')
  return `${paint().dim(printable(`${count} of these can be mended: netplan fix ${named}`))}\n`
}

const MOST_NAMED = 8

const rendered = async (
  reports: readonly Report[],
  { format, strict, all }: CheckOptions
): Promise<string> => {
  if (format === 'compact') return compact(reports, all)
  if (format === 'github') return (await import('../report/github.ts')).github(reports)
  if (format === 'junit') return (await import('../report/junit.ts')).junit(reports, strict)
  const mended = await offered(reports)
  if (format === 'pretty') return `${pretty(mended, paint(), all)}${mendable(mended)}`
  if (format === 'json') return json(mended)
  return (await import('./sarif.ts')).sarif(mended)
}
