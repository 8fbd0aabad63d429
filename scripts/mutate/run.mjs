// Changes the program in one place after the other and sees whether a test notices (StrykerJS): `npm run mutate -- FILES`, which
// are files, folders or patterns of src/net, src/plan or src/rules, also `src/net/space.ts:100-140`. Prints each change that no
// test noticed, and the score of each file. The tool has more packages than the whole project, so it is fetched into a copy in a
// temporary folder, which is gone afterwards. Only tests that start no process are asked. It is a report: its exit status says
// whether it ran, not what it found.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The last one for Node 20. */
const VERSION = '9.6.1'

const PAGES = ['words', 'rules', 'cases']

/** The tests that hold a room. */
const ROOMS = {
  net: ['addr', 'mac', 'prefix', 'set', 'space', 'special'].map(name => `net/${name}`),
  plan: [
    ...PAGES,
    'plan',
    'allocate',
    'fit',
    'releases',
    'networkd-match',
    'forward-rules',
    'host-ports',
    'reach',
    'plan-change',
    'plan-table',
    'golden',
    'emit-json',
    'emit-networkd',
    'emit-nftables',
    'emit-nixos',
    'emit-hosts'
  ],
  rules: [...PAGES, 'host-ports', 'fix']
}

const root = fileURLToPath(new URL('../../', import.meta.url))
const given = process.argv.slice(2).map(name => name.replace(/^\.\//, '').replace(/\/$/, ''))
const rooms = new Set(given.map(name => /^src\/(\w+)/.exec(name)?.[1]))
const [room] = rooms
if (rooms.size !== 1 || !(room in ROOMS)) {
  console.error(`npm run mutate -- FILES of one room: ${Object.keys(ROOMS).join(', ')}`)
  process.exit(2)
}
const mutate = given.map(name =>
  statSync(join(root, name), { throwIfNoEntry: false })?.isDirectory() === true ? `${name}/**/*.ts` : name
)

const copy = mkdtempSync(join(tmpdir(), 'mutate-'))
process.on('exit', () => rmSync(copy, { recursive: true, force: true }))
process.on('SIGINT', () => process.exit(130))
process.on('SIGTERM', () => process.exit(143))

const run = (command, words, more = {}) => {
  // The seeds of CI: a change that a random test notices today must not go unnoticed tomorrow.
  const env = { ...process.env, CI: 'true' }
  const { status, error } = spawnSync(command, words, { cwd: copy, env, stdio: 'inherit', ...more })
  if (error !== undefined) throw error
  if (status !== 0) process.exit(status ?? 1)
}

for (const name of readdirSync(root))
  if (!/^(?:\.git|dist|node_modules)$/.test(name))
    cpSync(join(root, name), join(copy, name), { recursive: true })

const packages = ['core', 'api'].map(name => `@stryker-mutator/${name}@${VERSION}`)
run('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--ignore-scripts', ...packages])

writeFileSync(
  join(copy, 'stryker.config.json'),
  JSON.stringify({
    mutate,
    testRunner: 'in-process',
    plugins: [join(copy, 'scripts/mutate/runner.mjs')],
    inProcess: { files: ROOMS[room].map(name => `test/${name}.test.ts`) },
    coverageAnalysis: 'perTest',
    // What runs once at loading, as the fields of a rule do, needs all tests again for each change; the gates hold it.
    ignoreStatic: true,
    // It reads that file with an interface that TypeScript 7 does not have, and skips one that is not there.
    tsconfigFile: 'none.json',
    disableTypeChecks: false,
    concurrency: 2,
    timeoutMS: 10_000,
    reporters: ['clear-text', 'progress-append-only'],
    clearTextReporter: { logTests: false, reportTests: false }
  })
)
run(process.execPath, ['node_modules/@stryker-mutator/core/bin/stryker.js', 'run'])
