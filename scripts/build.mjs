// Builds dist/: the command without dependencies (netplan.cjs, which runs the one bundle lib/netplan.cjs; what a plain
// check does not need stands in lib/lazy, since compiling it would cost more than the check), the library for import and
// require (esm/, cjs/) with its types, and the licences of what is bundled.
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

/**
 * yargs looks for a package.json in the working folder and all above it, for a version that it is told anyway. Nothing is read
 * that the command line does not name, and where that folder is gone there is nothing to look in.
 */
const sealed = {
  name: 'sealed',
  transform: (code, id) => {
    if (!id.replaceAll('\\', '/').endsWith('/yargs/lib/platform-shims/esm.mjs')) return undefined
    return [
      ['findUp: escalade', 'findUp: () => undefined'],
      ["import escalade from 'escalade/sync'\n", ''],
      ['mainFilename: mainFilename || process.cwd()', "mainFilename: ''"]
    ].reduce((text, [from, to]) => {
      if (!text.includes(from)) throw new Error(`this yargs looks for files otherwise: no ${from}`)
      return text.replace(from, to)
    }, code)
  }
}

/** What each module imports at once, to know what a plain check needs. */
const imports = new Map()
const graph = {
  name: 'graph',
  moduleParsed: ({ id, importedIds }) => void imports.set(id, importedIds)
}

/** Whether a module is loaded with the command itself, and not when it is first needed. */
const isEager = (() => {
  let eager
  return id => {
    if (eager === undefined) {
      eager = new Set([...imports.keys()].filter(id => id.endsWith('/src/cli/main.ts')))
      for (const known of eager) for (const next of imports.get(known) ?? []) eager.add(next)
    }
    return eager.has(id)
  }
})()

const bundle = async (input, output) => {
  const build = await rolldown({
    input,
    platform: 'node',
    plugins: [embed(), sealed, licences, graph],
    transform: { define: { VERSION: JSON.stringify(version) } },
    logLevel: 'warn',
    // yargs asks where it lies only to extend configuration files, which is not used here.
    onLog: (level, log, handle) => (log.code === 'EMPTY_IMPORT_META' ? undefined : handle(level, log))
  })
  await build.write(output)
  await build.close()
}

rmSync('dist', { recursive: true, force: true })
mkdirSync('dist/cjs', { recursive: true })
await bundle(
  { netplan: 'src/cli/main.ts' },
  {
    dir: 'dist/lib',
    entryFileNames: '[name].cjs',
    chunkFileNames: 'lazy/[name].cjs',
    format: 'cjs',
    minify: true,
    // Without this what lazy parts share with a plain check would stand in files of its own, each loaded by itself.
    codeSplitting: { groups: [{ name: 'netplan', test: isEager }] }
  }
)
// In ASCII, so that V8 keeps and scans one byte for each character.
const ascii = readFileSync('dist/lib/netplan.cjs', 'utf8').replace(
  /[^ -~\s]/g,
  char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
)
writeFileSync('dist/lib/netplan.cjs', ascii)
cpSync('scripts/launcher.cjs', 'dist/netplan.cjs')
execFileSync(process.execPath, ['scripts/cache.cjs'], { stdio: 'inherit' })
await bundle('src/index.ts', { file: 'dist/esm/index.js', format: 'esm', codeSplitting: false })
await bundle('src/index.ts', { file: 'dist/cjs/index.js', format: 'cjs', codeSplitting: false })
chmodSync('dist/netplan.cjs', 0o755)

execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], {
  stdio: 'inherit'
})
// No type that the library exports names a rule.
rmSync('dist/esm/rules', { recursive: true })
cpSync('dist/esm', 'dist/cjs', { recursive: true, filter: path => !path.endsWith('.js') })
writeFileSync('dist/cjs/package.json', '{ "type": "commonjs" }\n')

const texts = [...bundled]
  .sort((a, b) => (a < b ? -1 : 1))
  .map(folder => {
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
writeFileSync(
  'dist/THIRD-PARTY-LICENSES.txt',
  `netplan contains the following packages.\n\n${texts.join(`\n${'-'.repeat(80)}\n\n`)}`
)
