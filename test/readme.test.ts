import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { mendable } from '../src/cli/check.ts'
import { mended, told } from '../src/cli/fix.ts'
import { parseTarget, traced } from '../src/cli/trace.ts'
import { type Artifact, markOf } from '../src/emit/emitter.ts'
import { EMITTERS } from '../src/emit/index.ts'
import { analyze } from '../src/index.ts'
import { withFixes } from '../src/report/fixes.ts'
import { type Paint, pretty } from '../src/report/pretty.ts'
import { planTable } from '../src/report/plan-table.ts'
import { planOf } from './golden.ts'

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
const readme = read('README.md')

const block = (language: string, mark: string): string => {
  const found = Array.from(readme.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)).find(
    ([, kind, text]) => kind === language && text?.includes(mark)
  )
  return found?.[2] ?? ''
}

const plain: Paint = { error: String, warning: String, hint: String, bold: String, dim: String }

test('the finding in the README is what the topology in the README gives', async () => {
  const { report } = await analyze({ file: 'topology.yaml', text: block('yaml', 'containerB') })
  expect(`${pretty([report], plain)}${mendable(await withFixes([report]))}`).toBe(block('text', 'error['))
})

test('what the README shows of fix is what it says of that topology', async () => {
  const { done, sources } = await mended([{ file: 'topology.yaml', text: block('yaml', 'containerB') }])
  expect(done.map(told).join('')).toBe(block('text', '[duplicate-address]\n'))
  expect((await analyze(sources[0] ?? { file: '', text: '' })).report.findings).toEqual([])
})

test('every command of the README exists, and every script it names', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  for (const [, script] of `${readme}${read('CONTRIBUTING.md')}`.matchAll(/npm run ([a-z-]+)/g))
    expect(scripts).toHaveProperty([script ?? ''])
  expect(readme).toContain('npm ci && npm test')
  expect(read('.ci/run')).toContain('npm ci && npm test')
})

test('every file that a document links to exists', () => {
  for (const page of ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md'])
    for (const [, target] of read(page).matchAll(/\]\((?!https?:)([^)#]+)\)/g)) {
      const url = new URL(`../${target}`, import.meta.url)
      expect(() =>
        target?.includes('.') === true
          ? readFileSync(url)
          : target === 'LICENSE'
            ? readFileSync(url)
            : readdirSync(url)
      ).not.toThrow()
    }
})

test('what the README shows of generate is what it makes of the example', async () => {
  const plan = await planOf(read('examples/two-containers.yaml'))
  const { version } = JSON.parse(read('package.json')) as { version: string }
  const origin = { version, topology: 'two-containers' }
  const made = (target: string): readonly Artifact[] =>
    EMITTERS.find(({ id }) => id === target)?.emit(plan, markOf(target, origin)) ?? []
  expect(made('nixos').map(({ text }) => text)).toEqual([block('nix', 'systemd.network')])
  expect(
    made('networkd')
      .map(({ path, text }) => `-- ${path} --\n${text}`)
      .join('')
  ).toBe(block('text', '[NetDev]'))
})

test('the trace and the failed expectation in the README are those of the example', async () => {
  const text = read('examples/two-containers.yaml')
  const file = 'examples/two-containers.yaml'
  const asked = parseTarget('containerA', 'containerB:443')
  if ('fault' in asked) throw new Error(asked.fault)
  const { plan } = await analyze({ file, text })
  if (plan === undefined) throw new Error('no plan')
  const told = await traced({ plan, source: { file, text } }, asked)
  expect('text' in told && told.text).toBe(block('text', 'containerA -> containerB'))
  const { report } = await analyze({ file, text: `${text}${block('yaml', 'expect:')}` })
  expect(pretty([report], plain)).toBe(block('text', 'error[failed-expectation]'))
})

test('what the README shows of plan is what it prints of the example', async () => {
  const plan = await planOf(read('examples/two-containers.yaml'))
  expect(planTable(plan, plain, { width: 100, all: false })).toBe(block('text', 'Ports of the host'))
})
