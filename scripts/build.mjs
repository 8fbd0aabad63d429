// Builds dist/: the command as one file without dependencies (netplan.cjs), the library for import and require
// (esm/, cjs/) with its types, and the licences of what is bundled.
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'
import { embed } from './embed.mjs'

const root = fileURLToPath(new URL('../', import.meta.url))
process.chdir(root)
const { version } = JSON.parse(readFileSync('package.json', 'utf8'))

const bundled = new Set()
const licences = {
  name: 'licences',
  moduleParsed: ({ id }) => {
    const found = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id.replaceAll('\\', '/'))
    if (found !== null) bundled.add(found[1])
  }
}

const bundle = async (input, output) => {
  const build = await rolldown({
    input,
    platform: 'node',
    plugins: [embed(), licences],
    transform: { define: { VERSION: JSON.stringify(version) } },
    logLevel: 'warn'
  })
  await build.write({ codeSplitting: false, ...output })
  await build.close()
}

rmSync('dist', { recursive: true, force: true })
mkdirSync('dist/cjs', { recursive: true })
await bundle('src/cli/main.ts', { file: 'dist/netplan.cjs', format: 'cjs', minify: true, banner: '#!/usr/bin/env node' })
await bundle('src/index.ts', { file: 'dist/esm/index.js', format: 'esm' })
await bundle('src/index.ts', { file: 'dist/cjs/index.js', format: 'cjs' })
chmodSync('dist/netplan.cjs', 0o755)

execFileSync('node_modules/.bin/tsc', ['-p', 'tsconfig.build.json'], { stdio: 'inherit' })
cpSync('dist/esm', 'dist/cjs', { recursive: true, filter: path => !path.endsWith('.js') })
writeFileSync('dist/cjs/package.json', '{ "type": "commonjs" }\n')

const texts = [...bundled].sort().map(folder => {
  const { name, license } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'))
  const text = ['LICENSE', 'LICENSE.md', 'LICENSE.txt', 'LICENSE-MIT.txt', 'license'].flatMap(file => {
    try {
      return [readFileSync(`${folder}/${file}`, 'utf8').trim()]
    } catch {
      return []
    }
  })[0]
  return `${name} (${license})\n\n${text ?? `licensed under ${license}`}\n`
})
writeFileSync('dist/THIRD-PARTY-LICENSES.txt', `netplan contains the following packages.\n\n${texts.join(`\n${'-'.repeat(80)}\n\n`)}`)
