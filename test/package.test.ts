import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

// What a user of the package gets: the built files in dist/, judged by the tools that look at packages.

const root = fileURLToPath(new URL('../', import.meta.url))
const run = promisify(execFile)
const broken = {
  file: 'x.yaml',
  text: 'version: 1\ncontainers: { a_b: { privateNetwork: true, internet: false } }\n'
}

test('the package holds what a user needs and nothing else', async () => {
  const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root })
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }]
  const folders = new Set(files.map(({ path }) => path.replace(/^(dist\/\w+|schemas)\/.*/, '$1/')))
  expect([...folders].sort()).toEqual([
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'dist/THIRD-PARTY-LICENSES.txt',
    'dist/cjs/',
    'dist/esm/',
    'dist/lib/',
    'dist/netplan.cjs',
    'package.json',
    'schemas/'
  ])
})

test('nothing is installed with it', () => {
  const { dependencies } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {
    dependencies?: object
  }
  expect(dependencies).toBeUndefined()
})

test('publint has nothing to say', async () => {
  const { stdout } = await run(`${root}node_modules/.bin/publint`, ['--strict', '--pack', 'false'], {
    cwd: root
  })
  expect(stdout).toContain('All good!')
})

test('the types are right for every way to import it', async () => {
  const { stdout } = await run(`${root}node_modules/.bin/attw`, ['--pack', '.', '--format', 'json'], {
    cwd: root,
    env: { ...process.env, npm_config_ignore_scripts: 'true' }
  })
  const { problems } = JSON.parse(stdout.slice(stdout.indexOf('{'))) as { problems?: object }
  expect(problems ?? {}).toEqual({})
})

test('import and require give the same library', async () => {
  const url = new URL('../dist/esm/index.js', import.meta.url).href
  const imported = (await import(/* @vite-ignore */ url)) as typeof import('../src/index.ts')
  const required = createRequire(import.meta.url)('../dist/cjs/index.js') as typeof import('../src/index.ts')
  for (const { analyze } of [imported, required]) {
    const { report } = await analyze(broken)
    expect(report.findings.map(({ rule }) => rule)).toEqual(['invalid-container-name'])
  }
})
