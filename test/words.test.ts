import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { analyzeSite } from '../src/index.ts'
import { withFixes } from '../src/report/fixes.ts'
import type { LocatedFinding, LocatedLabel } from '../src/report/located.ts'
import { formatPath } from '../src/text/path.ts'
import { blocksOf, pages } from './pages.ts'

// What is said of the blocks of each page, as it was when somebody last read it: `UPDATE=1 npx vitest run test/words.test.ts`
// writes it anew. That the right line is found is the page's own matter; here a condition that picks the wrong words shows.

const UPDATE = (process.env['UPDATE'] ?? '') !== ''
const folder = new URL('words/', import.meta.url)

/** `line:column-column path`, as an editor marks it. */
const placeOf = ({ at, start, end }: Pick<LocatedLabel, 'at' | 'start' | 'end'>): string =>
  `${start.line}:${start.column}-${end.line === start.line ? '' : `${end.line}:`}${end.column} ${formatPath(at)}`

const said = ({ severity, rule, message, labels, elsewhere, note, help, fix }: LocatedFinding): string =>
  [
    `${severity} [${rule}] ${message}`,
    ...labels.map(label => `  ${placeOf(label)}: ${label.text}`),
    ...(elsewhere ?? []).map(label => `  ${label.source.file}:${placeOf(label)}: ${label.text}`),
    `  note: ${note}`,
    `  help: ${help}`,
    ...(fix === undefined ? [] : [`  mend: ${fix.title}`]),
    ''
  ].join('\n')

const read = (id: string): string => readFileSync(new URL(`${id}.txt`, folder), 'utf8')

describe('what is said of the blocks of', () => {
  test.each(pages)('$id', async page => {
    const parts: string[] = []
    for (const [i, { files, expected }] of blocksOf(page).entries()) {
      if (expected.length === 0) continue
      const reports = await withFixes((await analyzeSite(files)).map(({ report }) => report))
      parts.push(`-- block ${i + 1} --\n`, ...reports.flatMap(({ findings }) => findings.map(said)))
    }
    if (UPDATE) {
      mkdirSync(folder, { recursive: true })
      writeFileSync(new URL(`${page.id}.txt`, folder), parts.join(''))
    } else expect(parts.join('')).toBe(read(page.id))
  })
})

test('no page is gone whose words are still kept', () => {
  expect(
    readdirSync(folder)
      .map(file => file.replace(/\.txt$/, ''))
      .sort()
  ).toEqual(pages.map(({ id }) => id).sort())
})
