import { describe, expect, test } from 'vitest'
import { analyzeSite } from '../src/index.ts'
import { IGNORE_RULES } from '../src/report/ignored.ts'
import { RULES } from '../src/rules/index.ts'
import { SYNTAX_RULES } from '../src/syntax/faults.ts'
import { blocksOf, pages } from './pages.ts'

// The page is the test: see pages.ts.

const known = [
  ...RULES.map(({ id, severity, summary }) => ({ id, severity, summary })),
  ...Object.entries(IGNORE_RULES).map(([id, rule]) => ({ id, ...rule })),
  ...Object.entries(SYNTAX_RULES).map(([id, summary]) => ({ id, severity: 'error', summary }))
]

test('every rule has a page, and every page a rule', () => {
  expect(pages.map(({ id }) => id).sort()).toEqual(known.map(({ id }) => id).sort())
})

describe.each(pages)('$id', page => {
  const { id, text } = page
  const blocks = blocksOf(page)

  test('the head of the page is the rule itself', () => {
    const rule = known.find(other => other.id === id)
    expect(text.split('\n').slice(0, 3)).toEqual([`# ${id}`, '', `> ${rule?.severity} · ${rule?.summary}`])
  })

  test('a block under "Wrong" has its finding, and one under "Right" has none', () => {
    const wrong = blocks.filter(({ title }) => title === 'Wrong')
    const right = blocks.filter(({ title }) => title === 'Right')
    expect(wrong.length).toBeGreaterThan(0)
    expect(right.length).toBeGreaterThan(0)
    for (const { expected } of wrong) expect(expected.join()).toContain(id)
    for (const { expected } of right) expect(expected).toEqual([])
  })

  test.each(blocks.map((block, i) => ({ ...block, name: `block ${i + 1}, ${block.title}` })))(
    '$name',
    async ({ files, expected }) => {
      const reports = (await analyzeSite(files)).map(({ report }) => report)
      const found = reports.flatMap(({ source, findings }) =>
        findings.map(
          ({ rule, severity, labels }) => `${source.file}:${labels[0].start.line} ${severity} ${rule}`
        )
      )
      expect(found.sort()).toEqual(expected)
      for (const { message, note, help } of reports.flatMap(({ findings }) => findings))
        for (const part of [message, note, help]) expect(part).toMatch(/^[^\n]{10,}$/)
    }
  )
})
