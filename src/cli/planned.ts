import { analyze } from '../index.ts'
import type { Plan } from '../plan/plan.ts'
import { pretty } from '../report/pretty.ts'
import type { Source } from '../text/source.ts'
import { plural } from '../text/words.ts'
import { readSource } from './read.ts'
import { type Exit, paint, say, word } from './terminal.ts'

export interface Planned {
  readonly source: Source
  readonly plan: Plan
}

/** The plan of a file, to be predicted from though it has errors; without one the exit status, and the findings are printed. */
export const planned = async (file: string, hint = ''): Promise<Planned | Exit> => {
  const source = readSource(file)
  if ('error' in source) {
    say(`cannot read ${file === '' ? '""' : file}: ${source.error}${hint}`)
    return 2
  }
  const { report, plan } = await analyze(source)
  const findings = report.findings.filter(({ severity }) => severity === 'error')
  if (plan === undefined) {
    process.stderr.write(pretty([{ source, findings }], paint(process.stderr)))
    return 1
  }
  if (findings.length > 0)
    say(`${plural(findings.length, 'error')} in ${source.file}; "netplan check ${word(file)}" tells what`)
  return { source, plan }
}
