// Holds the prediction against real packets in random networks (test/fidelity.ts), as many as are asked for:
// `npm run fidelity -- N [--seed S] [--no-shrink]`. Each is rehearsed in namespaces, and every flow compared. The network of number i
// is that of the seed S + i, so one that is not as predicted is repeated by `npm run fidelity -- 1 --seed` and its own seed.
// Exit status: 0 as predicted, 1 not as predicted, 3 when this machine cannot. It leaves nothing.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { rolldown } from 'rolldown'
import { embed } from './embed.mjs'

const root = fileURLToPath(new URL('../', import.meta.url))
const given = process.argv.slice(2)
const seedAt = given.indexOf('--seed')
const count = Number(given.find((word, i) => /^\d+$/.test(word) && i !== seedAt + 1) ?? 100)
const first = seedAt < 0 ? Math.floor(Date.now() / 1000) : Number(given[seedAt + 1])
/** How long a network that is not as predicted is made smaller, in milliseconds. */
const shrinking = given.includes('--no-shrink') ? 0 : 60_000
/** So many networks at the same time: more would wait for each other, and packets would be late. */
const AT_ONCE = 2

if (!Number.isSafeInteger(first) || first < 0) {
  console.error('usage: npm run fidelity -- N [--seed S] [--no-shrink]')
  process.exit(2)
}

/** The sources as one module; its file is gone before anything runs. */
const load = async () => {
  const input = join(root, 'test/fidelity.ts')
  const folder = mkdtempSync(join(tmpdir(), 'netplan-fidelity-'))
  try {
    const build = await rolldown({
      input,
      platform: 'node',
      plugins: [embed()],
      // Files that lie beside the sources are read from there.
      transform: { define: { 'import.meta.url': JSON.stringify(pathToFileURL(input).href) } },
      logLevel: 'silent'
    })
    await build.write({ file: join(folder, 'fidelity.mjs'), format: 'esm', codeSplitting: false })
    await build.close()
    return await import(pathToFileURL(join(folder, 'fidelity.mjs')).href)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const { complaint, fidelityOf } = await load()
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => stop.abort())

const begun = performance.now()
const total = { networks: 0, flows: 0, either: 0, open: 0, wrong: 0, failed: [] }
let next = 0
const figures = () =>
  `${total.networks} networks, ${total.flows} flows (${total.either} of them may end in two ways), ${total.open} more by chance, ${total.wrong} not as predicted in ${total.failed.length} networks, ${((performance.now() - begun) / 1000).toFixed(0)} s`

const work = async () => {
  while (next < count && !stop.signal.aborted) {
    const seed = first + next
    next += 1
    const { flows, either, open, wrong, failed } = await fidelityOf(seed, shrinking, stop.signal)
    total.networks += 1
    total.flows += flows
    total.either += either
    total.open += open
    total.wrong += wrong
    if (failed !== undefined) {
      total.failed.push(seed)
      console.log(`\nnot as predicted: npm run fidelity -- 1 --seed ${seed}\n\n${await complaint(failed)}\n`)
    }
    if (total.networks % 50 === 0) console.log(figures())
    if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${figures()}`)
  }
}

try {
  await Promise.all(Array.from({ length: AT_ONCE }, work))
} catch (error) {
  stop.abort()
  console.error(`\n${error instanceof Error ? error.message : String(error)}`)
  process.exit(3)
}
if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
console.log(
  `${figures()}; seeds ${first} to ${first + Math.max(0, next - 1)}${total.failed.length === 0 ? '' : `; not as predicted: ${total.failed.sort((a, b) => a - b).join(', ')}`}`
)
process.exit(stop.signal.aborted ? 130 : total.failed.length > 0 ? 1 : 0)
