// Writes what follows from other files: src/rules/index.ts from the rule files. `--check` says what is stale instead.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

const root = new URL('../', import.meta.url)
const read = path => readFileSync(new URL(path, root), 'utf8')

const camel = id => id.replace(/-([a-z0-9])/g, (_, letter) => letter.toUpperCase())

const ids = readdirSync(new URL('src/rules/', root))
  .filter(file => file.endsWith('.ts') && !['index.ts', 'rule.ts', 'check.ts'].includes(file))
  .map(file => file.slice(0, -3))
  .sort()

const outputs = {
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
