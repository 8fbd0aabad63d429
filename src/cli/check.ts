import { createColors } from 'picocolors'
import { analyze } from '../index.ts'
import { compact } from '../report/compact.ts'
import { json } from '../report/json.ts'
import { type Report, tally } from '../report/located.ts'
import { type Paint, pretty } from '../report/pretty.ts'
import { plural } from '../text/words.ts'
import { colourful, type Exit, say } from './terminal.ts'
import { readSource } from './read.ts'

export const FORMATS = ['pretty', 'compact', 'json'] as const

export interface CheckOptions {
  readonly format: (typeof FORMATS)[number]
  /** Warnings fail too. */
  readonly strict: boolean
}

/** The file that is read when none is named. */
const DEFAULT_FILE = 'topology.yaml'

/** Checks files and prints what is wrong: 1 when there are errors, 2 when a file cannot be read. */
export const check = async (files: readonly string[], { format, strict }: CheckOptions): Promise<Exit> => {
  const reports: Report[] = []
  let unreadable = 0
  for (const file of files.length === 0 ? [DEFAULT_FILE] : files) {
    const source = readSource(file)
    if ('error' in source) {
      unreadable += 1
      const hint = files.length === 0 ? '; name a file: netplan check FILE' : ''
      say(`cannot read ${file === '' ? '""' : file}: ${source.error}${hint}`)
      continue
    }
    const { report, topology } = await analyze(source)
    reports.push(report)
    if (topology !== undefined && topology.expectations.length > 0 && format === 'pretty')
      say(
        `${source.file}: ${plural(topology.expectations.length, 'expectation')} not tested: this version does not predict reachability yet`
      )
  }
  process.stdout.write(
    format === 'json' ? json(reports) : format === 'compact' ? compact(reports) : pretty(reports, paint())
  )
  const { error, warning } = tally(reports)
  return unreadable > 0 ? 2 : error > 0 || (strict && warning > 0) ? 1 : 0
}

const paint = (): Paint => {
  const { red, yellow, cyan, bold, dim } = createColors(colourful())
  return {
    error: text => bold(red(text)),
    warning: text => bold(yellow(text)),
    hint: cyan,
    bold,
    dim
  }
}
