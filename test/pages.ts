import { readdirSync, readFileSync } from 'node:fs'
import type { Source } from '../src/text/source.ts'

// The pages of the rules, whose yaml blocks are executed: each says in comments what is found in it, and nothing else is.
// Blocks that hold a rule but teach nobody anything stand in test/rules, under the same headings.

const folder = new URL('../docs/rules/', import.meta.url)
const more = new URL('rules/', import.meta.url)

export interface Page {
  readonly id: string
  readonly text: string
  /** Its other blocks, from test/rules. */
  readonly more: string
}

const others = new Set(readdirSync(more))

export const pages: readonly Page[] = readdirSync(folder).map(file => ({
  id: file.replace(/\.md$/, ''),
  text: readFileSync(new URL(file, folder), 'utf8'),
  more: others.delete(file) ? readFileSync(new URL(file, more), 'utf8') : ''
}))

if (others.size > 0) throw new Error(`test/rules has blocks for no page: ${[...others].join(', ')}`)

export interface Block {
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

export const blocksOf = ({ text, more }: Page): readonly Block[] =>
  Array.from(`${text}\n${more}`.matchAll(/^## (\w+)|^```(?:yaml|text)\n([\s\S]*?)^```$/gm)).reduce<{
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
