// Starts a rule: its file, its page and its place in the index. `npm run new-rule my-fault`
import { execFileSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'

const [id] = process.argv.slice(2)
const root = new URL('../', import.meta.url)

if (id === undefined || !/^[a-z][a-z0-9]*(-[a-z0-9]+)+$/.test(id)) {
  console.error('usage: npm run new-rule my-fault (kebab-case, two words or more, naming the fault)')
  process.exit(2)
}
const rule = new URL(`src/rules/${id}.ts`, root)
const page = new URL(`docs/rules/${id}.md`, root)
if (existsSync(rule) || existsSync(page)) {
  console.error(`${id} exists already`)
  process.exit(1)
}

const name = id.replace(/-([a-z0-9])/g, (_, letter) => letter.toUpperCase())
const summary = 'A container … (one sentence that names the mistake).'
writeFileSync(
  rule,
  `import type { Rule } from './rule.ts'

export const ${name}: Rule = {
  id: '${id}',
  group: 'addresses',
  severity: 'error',
  summary: '${summary}',
  *check({ links }) {
    for (const { node, at } of links) {
      if (node.name !== 'replace this condition') continue
      yield {
        message: \`container "\${node.name}" …\`,
        labels: [{ at, on: 'key', text: 'what is to be seen here' }],
        note: 'what happens at run time, in the words of the kernel or systemd',
        help: 'the concrete value to write'
      }
    }
  }
}
`
)
writeFileSync(
  page,
  `# ${id}

> error · ${summary}

## What happens

## Why NixOS is silent

## What to do

## Wrong

\`\`\`yaml
version: 1
containers:
  web: { privateNetwork: true, hostAddress: 192.168.100.1, localAddress: 192.168.100.2 } # error: [${id}]
\`\`\`

## Right

\`\`\`yaml
version: 1
containers:
  web: { privateNetwork: true, hostAddress: 192.168.100.1, localAddress: 192.168.100.2 }
\`\`\`
`
)
execFileSync(process.execPath, ['scripts/gen.mjs'], { cwd: root, stdio: 'inherit' })
console.log(`src/rules/${id}.ts and docs/rules/${id}.md are there; the page fails until the rule speaks.`)
