import { isPicture, PRINTERS, type PictureFormat } from '../draw/index.ts'
import { pictureOf } from '../draw/picture.ts'
import { analyze } from '../index.ts'
import { pretty } from '../report/pretty.ts'
import { plural } from '../text/words.ts'
import { put } from './disk.ts'
import { DEFAULT_FILE, readSource } from './read.ts'
import { type Exit, paint, say, shown, word } from './terminal.ts'

export interface DrawOptions {
  readonly format: PictureFormat
  /** The file to write; undefined for standard output. */
  readonly out: string | undefined
  /** Mark errors and warnings where they are. */
  readonly findings: boolean
}

/** Draws the network. Errors do not keep it from that, since a picture helps to see them: 1 then. */
export const draw = async (
  written: string | undefined,
  { format, out, findings: isMarked }: DrawOptions
): Promise<Exit> => {
  const file = written ?? DEFAULT_FILE
  const source = readSource(file)
  if ('error' in source) {
    const hint = written === undefined ? '; name a file: netplan draw FILE' : ''
    say(`cannot read ${file === '' ? '""' : file}: ${source.error}${hint}`)
    return 2
  }
  const { report, plan } = await analyze(source)
  const errors = report.findings.filter(({ severity }) => severity === 'error')
  if (plan === undefined) {
    process.stderr.write(pretty([{ source, findings: errors }], paint(process.stderr)))
    return 1
  }
  const picture = pictureOf(plan, isMarked ? report.findings : [])
  const text = PRINTERS[format](picture)
  if (out === undefined || out === '-') process.stdout.write(shown(text))
  else {
    const done = put(out, text, isPicture)
    if ('fault' in done) {
      say(`cannot write ${out === '' ? '""' : out}: ${done.fault}`)
      return 2
    }
    say(`${done.wrote ? 'wrote' : 'nothing has changed in'} ${out}`)
  }
  if (picture.left > 0)
    say(
      `${plural(picture.left, 'container is', 'containers are')} only summed up: a picture of all would be too large`
    )
  if (format === 'mermaid' && text.length > MERMAID_MOST)
    say(
      `the text has ${text.length} characters; Mermaid draws no more than ${MERMAID_MOST} unless it is told to`
    )
  if (errors.length === 0) return 0
  const marked = isMarked ? '' : '; --findings marks them'
  say(
    `${plural(errors.length, 'error')} in ${source.file}, so not all of this will work: "netplan check ${word(file)}" tells what${marked}`
  )
  return 1
}

/** maxTextSize of Mermaid, which GitHub leaves as it is. */
const MERMAID_MOST = 50_000
