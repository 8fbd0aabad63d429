import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

// docs/coverage.md is generated from the catalogue and from the pages, whose blocks test/rules.test.ts runs.

const coverage = readFileSync(new URL('../docs/coverage.md', import.meta.url), 'utf8')
const rows = Array.from(coverage.matchAll(/^\| ([A-F]\d+) \| (.+?) \| (.+) \|$/gm))

test('all 149 rows of the catalogue are accounted for', () => {
  const sizes = { A: 27, B: 16, C: 16, D: 43, E: 34, F: 13 }
  const expected = Object.entries(sizes).flatMap(([section, size]) =>
    Array.from({ length: size }, (_, i) => `${section}${i + 1}`)
  )
  expect(rows.map(([, row]) => row)).toEqual(expected)
})

test('each row has a rule, or the reason why no topology can show it', () => {
  const open = rows.filter(
    ([, , , told = '']) => !/^(?:legal, and silent: )?\[|^not to be seen: \S/.test(told)
  )
  expect(open.map(([, row]) => row)).toEqual([])
})
