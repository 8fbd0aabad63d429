// Gives texts that nobody would write to everything that reads one (test/fuzz.ts says what must hold):
// `npm run fuzz -- SECONDS [--seed S]`. It is guided by coverage: a text that runs code which none before has run is a text
// that others are made of. Two processes, each with a bound of memory; one that does not answer for half a minute is ended,
// and its text is the fault. What is found is written to fuzz-found/, which git does not see; what is mended goes to
// test/fuzz/ as a test. Exit status: 0 nothing found, 1 something.
import { fork } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { rolldown } from 'rolldown'
import { embed } from './embed.mjs'

const root = fileURLToPath(new URL('../', import.meta.url))
const MEMORY = 768
const PATIENCE = 30_000
const PROCESSES = 2

const work = async (file, seed) => {
  const { faultsOf, samples, seeds } = await import(pathToFileURL(file).href)
  const session = new Session()
  session.connect()
  const post = (method, parameters) =>
    new Promise((resolve, reject) =>
      session.post(method, parameters, (error, result) => (error ? reject(error) : resolve(result)))
    )
  await post('Profiler.enable')
  await post('Profiler.startPreciseCoverage', { callCount: false, detailed: true })
  const known = new Set()
  /** How many stretches of code have run for the first time. */
  const novel = async () => {
    const { result } = await post('Profiler.takePreciseCoverage')
    let count = 0
    for (const { url, functions } of result)
      if (url.endsWith('fuzz.mjs') && !url.includes('/scripts/'))
        for (const { ranges } of functions)
          for (const { startOffset, endOffset, count: times } of ranges) {
            const key = startOffset * 2 ** 22 + endOffset
            if (times > 0 && !known.has(key)) {
              known.add(key)
              count += 1
            }
          }
    return count
  }
  const corpus = [...seeds()]
  let next = seed
  for (const text of corpus) {
    process.send({ text })
    process.send({ faults: await faultsOf(text), text, covered: known.size, corpus: corpus.length })
    await novel()
  }
  for (;;) {
    for (const text of samples(corpus, (next += 1), 20)) {
      process.send({ text })
      let faults
      try {
        faults = await faultsOf(text)
      } catch (error) {
        faults = [`throws ${error instanceof Error ? error.stack : String(error)}`]
      }
      if ((await novel()) > 0 && faults.length === 0 && corpus.length < 5000) corpus.push(text)
      process.send({ faults, text, covered: known.size, corpus: corpus.length })
    }
  }
}

const main = async () => {
  const given = process.argv.slice(2)
  const seconds = Number(given.find(word => /^\d+$/.test(word)) ?? 60)
  const seedAt = given.indexOf('--seed')
  const seed = seedAt < 0 ? Math.floor(Date.now() / 1000) : Number(given[seedAt + 1])
  const folder = mkdtempSync(join(tmpdir(), 'netplan-fuzz-'))
  const input = join(root, 'test/fuzz.ts')
  const build = await rolldown({
    input,
    platform: 'node',
    plugins: [embed()],
    // Files that lie beside the sources are read from there.
    transform: { define: { 'import.meta.url': JSON.stringify(pathToFileURL(input).href) } },
    logLevel: 'silent'
  })
  const file = join(folder, 'fuzz.mjs')
  await build.write({ file, format: 'esm', codeSplitting: false })
  await build.close()

  const begun = performance.now()
  const total = { texts: 0, found: new Map(), covered: 0, corpus: 0 }
  const report = (faults, text) => {
    const kind = faults[0].replace(/["'\d].*/s, '').slice(0, 60)
    if (total.found.has(kind)) return
    const name = `${createHash('sha256').update(text).digest('hex').slice(0, 12)}.yaml`
    mkdirSync(join(root, 'fuzz-found'), { recursive: true })
    writeFileSync(join(root, 'fuzz-found', name), text)
    total.found.set(kind, name)
    console.log(
      `\nfuzz-found/${name}\n${faults
        .slice(0, 5)
        .map(fault => `  ${fault}\n`)
        .join('')}`
    )
  }
  const children = new Set()
  let over = false
  const start = (seed, attempt) => {
    const child = fork(fileURLToPath(import.meta.url), ['--work', file, String(seed + attempt * 1000)], {
      execArgv: [`--max-old-space-size=${MEMORY}`],
      stdio: ['ignore', 'ignore', 'ignore', 'ipc']
    })
    children.add(child)
    let text = ''
    let timer
    const wait = () => {
      clearTimeout(timer)
      timer = setTimeout(() => {
        report([`does not answer within ${PATIENCE / 1000} s`], text)
        child.kill('SIGKILL')
      }, PATIENCE)
    }
    wait()
    child.on('message', message => {
      if (message.faults === undefined) {
        text = message.text
        wait()
        return
      }
      total.texts += 1
      total.covered = Math.max(total.covered, message.covered)
      total.corpus = Math.max(total.corpus, message.corpus)
      if (message.faults.length > 0) report(message.faults, message.text)
    })
    child.on('exit', () => {
      clearTimeout(timer)
      children.delete(child)
      if (over) return
      if (!child.killed) report([`the process ends (memory is bound to ${MEMORY} MiB)`], text)
      start(seed, attempt + 1)
    })
  }
  for (let i = 0; i < PROCESSES; i += 1) start(seed + i * 1_000_000, 0)
  const figures = () =>
    `${total.texts} texts in ${((performance.now() - begun) / 1000).toFixed(0)} s, ${total.covered} stretches of code, ${total.corpus} texts that lead on, ${total.found.size} faults; seed ${seed}`
  const end = () => {
    over = true
    for (const child of children) child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
    console.log(figures())
    process.exit(total.found.size > 0 ? 1 : 0)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, end)
  setInterval(() => console.log(figures()), 60_000).unref()
  setTimeout(end, seconds * 1000)
}

if (process.argv[2] === '--work') await work(process.argv[3], Number(process.argv[4]))
else await main()
