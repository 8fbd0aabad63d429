import { analyzeSite } from '../index.ts'
import type { Source } from '../text/source.ts'
import { compact } from '../report/compact.ts'
import { json } from '../report/json.ts'
import { tally } from '../report/located.ts'
import { pretty } from '../report/pretty.ts'
import { plural } from '../text/words.ts'
import { type Exit, paint, say } from './terminal.ts'
import { DEFAULT_FILE, readSource } from './read.ts'

export const FORMATS = ['pretty', 'compact', 'json'] as const

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
  for (const file of files.length === 0 ? [DEFAULT_FILE] : new Set(files)) {
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
  const reports = analyses.map(({ report }) => report)
  for (const { report, topology } of analyses)
    if (topology !== undefined && topology.expectations.length > 0 && format === 'pretty')
      say(
        `${report.source.file}: ${plural(topology.expectations.length, 'expectation')} not tested by check; "netplan reach" does`
      )
  process.stdout.write(
    format === 'json'
      ? json(reports)
      : format === 'compact'
        ? compact(reports, all)
        : pretty(reports, paint(), all)
  )
  const { error, warning } = tally(reports)
  return unreadable > 0 ? 2 : error > 0 || (strict && warning > 0) ? 1 : 0
}
