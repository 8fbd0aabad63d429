// A test runner for StrykerJS in one process: all tests are bundled and loaded once, and for each change only those that come by it are
// called again. Its runner for vitest starts a worker and loads the program anew for each change, which takes seconds; this takes
// milliseconds.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { PluginKind, commonTokens, declareFactoryPlugin, tokens } from '@stryker-mutator/api/plugin'
import {
  DryRunStatus,
  TestStatus,
  determineHitLimitReached,
  toMutantRunResult
} from '@stryker-mutator/api/test-runner'
import { build } from 'rolldown'
import { embed } from '../embed.mjs'

/** Longer ones start processes or draw hundreds of networks; milliseconds. */
const LONGEST = 1000

/** One module that loads all test files, with `vitest.mjs` for vitest; `own:N` stands between two of them. */
const entry = files => ({
  name: 'entry',
  resolveId: id => {
    if (id === 'vitest') return join(import.meta.dirname, 'vitest.mjs')
    return id.startsWith('own:') ? id : undefined
  },
  load: id => {
    if (id === 'own:tests')
      return [
        "export { tests } from 'vitest'",
        ...files.map((file, i) => `import ${JSON.stringify(file)}\nimport 'own:${i}'`)
      ].join('\n')
    return id.startsWith('own:') ? "import { endOfFile } from 'vitest'\nendOfFile()" : undefined
  },
  transform: (code, id) =>
    code.includes('import.meta.url')
      ? code.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(id).href))
      : undefined
})

/** The tests of these files, in one bundle of the changed program. */
const load = async files => {
  const bundle = join(process.cwd(), `tests-${process.env.STRYKER_MUTATOR_WORKER ?? 0}.mjs`)
  await build({
    input: 'own:tests',
    platform: 'node',
    external: id => !/^(?:[./]|own:|vitest$|embed:|\0)/.test(id),
    plugins: [entry(files.map(file => join(process.cwd(), file))), embed()],
    output: { file: bundle, format: 'esm', codeSplitting: false }
  })
  return (await import(pathToFileURL(bundle).href)).tests
}

const factory = options => {
  const stryker = (globalThis.__stryker__ ??= {})
  let tests = []

  const resultOf = async ({ id, run }) => {
    stryker.currentTestId = id
    const start = performance.now()
    const failure = await run().then(
      () => undefined,
      error => String(error?.message ?? error)
    )
    stryker.currentTestId = undefined
    const timeSpentMs = performance.now() - start
    return failure === undefined
      ? { id, name: id, timeSpentMs, status: TestStatus.Success }
      : { id, name: id, timeSpentMs, status: TestStatus.Failed, failureMessage: failure }
  }

  const run = async (chosen, bail) => {
    const results = []
    for (const test of chosen) {
      const result = await resultOf(test)
      results.push(result)
      if (bail && result.status === TestStatus.Failed) break
    }
    return results
  }

  return {
    capabilities: () => ({ reloadEnvironment: false }),
    init: async () => {
      tests = await load(options.inProcess.files)
    },
    dryRun: async () => {
      const all = await run(tests, false)
      const short = all.filter(({ timeSpentMs }) => timeSpentMs < LONGEST)
      return { status: DryRunStatus.Complete, tests: short, mutantCoverage: stryker.mutantCoverage }
    },
    mutantRun: async ({ activeMutant, testFilter = [], hitLimit, disableBail }) => {
      Object.assign(stryker, { activeMutant: activeMutant.id, hitCount: 0, hitLimit })
      const wanted = new Set(testFilter)
      const results = await run(
        tests.filter(({ id }) => wanted.has(id)),
        !disableBail
      )
      stryker.activeMutant = undefined
      const late = determineHitLimitReached(stryker.hitCount, hitLimit)
      return toMutantRunResult(late ?? { status: DryRunStatus.Complete, tests: results })
    }
  }
}
factory.inject = tokens(commonTokens.options)

export const strykerPlugins = [declareFactoryPlugin(PluginKind.TestRunner, 'in-process', factory)]
