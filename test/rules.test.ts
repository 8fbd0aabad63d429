import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { analyzeSite } from '../src/index.ts'
import { RULES } from '../src/rules/index.ts'
import { SYNTAX_RULES } from '../src/syntax/faults.ts'
import type { Source } from '../src/text/source.ts'

// The page is the test: each yaml block of docs/rules/<id>.md says in comments what is found in it, and nothing else is.

const folder = new URL('../docs/rules/', import.meta.url)
const pages = readdirSync(folder).map(file => ({
  id: file.replace(/\.md$/, ''),
  text: readFileSync(new URL(file, folder), 'utf8')
}))

const known = [
  ...RULES.map(({ id, severity, summary }) => ({ id, severity, summary })),
  ...Object.entries(SYNTAX_RULES).map(([id, summary]) => ({ id, severity: 'error', summary }))
]

interface Block {
  readonly title: string
  /** One, or several that are checked together: each begins with a line `-- name.yaml --`. */
  readonly files: readonly Source[]
  readonly expected: readonly string[]
}

// What stands after the rule (`A2`, `D13`) are the rows of docs/mistakes.json that the line is an instance of.
const COMMENT = /# (error|warning|hint): \[([a-z0-9-]+)\]/g

const filesOf = (block: string): readonly Source[] => {
  const [only = '', ...parts] = block.split(/^-- (\S+) --\n/m)
  if (parts.length === 0) return [{ file: 'topology.yaml', text: only }]
  return parts.flatMap((file, i) => (i % 2 === 0 ? [{ file, text: parts[i + 1] ?? '' }] : []))
}

const blocksOf = (page: string): Block[] =>
  Array.from(page.matchAll(/^## (\w+)|^```(?:yaml|text)\n([\s\S]*?)^```$/gm)).reduce<{
    title: string
    blocks: Block[]
  }>(
    ({ title, blocks }, [, heading, block]) => {
      if (block === undefined) return { title: heading ?? title, blocks }
      const files = filesOf(block)
      const expected = files.flatMap(({ file, text }) =>
        text
          .split('\n')
          .flatMap((line, i) =>
            Array.from(line.matchAll(COMMENT), ([, severity, id]) => `${file}:${i + 1} ${severity} ${id}`)
          )
      )
      return { title, blocks: [...blocks, { title, files, expected: expected.sort() }] }
    },
    { title: '', blocks: [] }
  ).blocks

test('every rule has a page, and every page a rule', () => {
  expect(pages.map(({ id }) => id).sort()).toEqual(known.map(({ id }) => id).sort())
})

describe.each(pages)('$id', ({ id, text }) => {
  const blocks = blocksOf(text)

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
