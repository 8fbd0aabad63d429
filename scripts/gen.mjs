// Writes what follows from other files: src/rules/index.ts from the rule files, docs/coverage.md from the catalogue of
// mistakes and the pages that show them. `--check` says what is stale instead.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

const root = new URL('../', import.meta.url)
const read = path => readFileSync(new URL(path, root), 'utf8')

const camel = id => id.replace(/-([a-z0-9])/g, (_, letter) => letter.toUpperCase())

const ids = readdirSync(new URL('src/rules/', root))
  .filter(file => file.endsWith('.ts') && !['index.ts', 'rule.ts', 'check.ts'].includes(file))
  .map(file => file.slice(0, -3))
  .sort()

/** For each row of the catalogue the pages that show it, in blocks that the tests run: `# error: [id] A2` or `# fine: A11`. */
const shown = new Map()
for (const file of readdirSync(new URL('docs/rules/', root)).sort())
  for (const [, rule, rows] of read(`docs/rules/${file}`).matchAll(
    /# (?:(?:error|warning|hint): \[([a-z0-9-]+)\]|fine:)((?: [A-F]\d+)+)/g
  ))
    for (const row of rows.trim().split(' ')) {
      const known = shown.get(row) ?? new Map()
      shown.set(row, known.set(rule ?? file.slice(0, -3), rule === undefined))
    }

const mistakes = Object.entries(JSON.parse(read('docs/mistakes.json')))

/** Where a row is told: by the rules that pages show for it, or why by none. */
const told = (row, { invisible }) => {
  const all = [...(shown.get(row) ?? [])]
  const wrong = all.filter(([, fine]) => !fine)
  const pages = wrong.length > 0 ? wrong : all
  if (pages.length === 0)
    return invisible === undefined ? '**by no rule yet**' : `not to be seen: ${invisible}`
  const links = pages.map(([id]) => `[${id}](rules/${id}.md)`).join(', ')
  return wrong.length === 0 ? `legal, and silent: ${links}` : links
}

const coverage = mistakes.map(
  ([row, entry]) => `| ${row} | ${entry.mistake.replaceAll('|', '\\|')} | ${told(row, entry)} |\n`
)

const outputs = {
  'docs/coverage.md': `<!-- Made by scripts/gen.mjs from docs/mistakes.json and the pages in docs/rules; \`npm run gen\` makes it anew. -->

# What is told

The ${mistakes.length} mistakes of the catalogue, and the rule that tells each. A link means that a block of that page
shows the mistake, and that the tests run it. What no topology can show says why.

| row | mistake | told by |
|---|---|---|
${coverage.join('')}`,
  'src/rules/index.ts': `// Made by scripts/gen.mjs from the files beside it; \`npm run gen\` makes it anew.
${ids.map(id => `import { ${camel(id)} } from './${id}.ts'`).join('\n')}
import type { Rule } from './rule.ts'

/** Every rule, by id. */
export const RULES: readonly Rule[] = [
${ids.map(id => `  ${camel(id)}`).join(',\n')}
]
`
}

const stale = Object.entries(outputs).filter(([path, text]) => {
  try {
    return read(path) !== text
  } catch {
    return true
  }
})

if (process.argv.includes('--check')) {
  for (const [path] of stale) console.error(`${path} is stale: run "npm run gen"`)
  if (stale.length > 0) process.exitCode = 1
} else for (const [path, text] of stale) writeFileSync(new URL(path, root), text)
