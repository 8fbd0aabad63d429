import { readdirSync, readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { parse, stringify } from 'yaml'
import { mended } from '../src/cli/fix.ts'
import { pin } from '../src/cli/pin.ts'
import { PRINTERS } from '../src/draw/index.ts'
import { pictureOf } from '../src/draw/picture.ts'
import { markOf } from '../src/emit/emitter.ts'
import { EMITTERS } from '../src/emit/index.ts'
import { analyze } from '../src/index.ts'
import type { Plan } from '../src/plan/plan.ts'
import { matrixOf } from '../src/reach/matrix.ts'
import { worldOf } from '../src/reach/world.ts'
import { compact } from '../src/report/compact.ts'
import { github } from '../src/report/github.ts'
import { json } from '../src/report/json.ts'
import { junit } from '../src/report/junit.ts'
import type { Report } from '../src/report/located.ts'
import { reachText } from '../src/report/matrix.ts'
import { planTable } from '../src/report/plan-table.ts'
import { type Paint, pretty } from '../src/report/pretty.ts'
import { sarif } from '../src/report/sarif.ts'
import { hostileStrings } from './hostile.ts'
import { blocksOf, pages } from './pages.ts'

// Texts that nobody would write, and what must hold of the program for each of them.

const PLAIN: Paint = { error: String, warning: String, hint: String, bold: String, dim: String }
const FILE = 'topology.yaml'

/** What is wrong with the program, as one text shows it; nothing where all is right. A fault of its own throws. */
export const faultsOf = async (text: string): Promise<readonly string[]> => {
  const faults: string[] = []
  const same = (what: string, a: string, b: string): void => {
    if (a !== b) faults.push(`${what}: ${firstDifference(a, b)}`)
  }
  const source = { file: FILE, text }
  const { report, plan } = await analyze(source)
  const told = rendered(report)
  same('check twice', told, rendered((await analyze(source)).report))
  faults.push(...misplaced(report), ...raw(told))
  if (plan === undefined) return faults
  const made = outputs(plan)
  const again = await analyze(source)
  if (again.plan !== undefined) same('generate twice', made, outputs(again.plan))
  const errors = errorsOf(report)
  const fixed = await mended([source])
  const [after] = fixed.sources
  if (after !== undefined && after.text !== text) {
    const twice = await mended([after])
    same('fix twice', after.text, twice.sources[0]?.text ?? '')
    const { report: left } = await analyze(after)
    if (errorsOf(left) > errors) faults.push(`fix: ${errors} errors before, ${errorsOf(left)} after`)
  }
  // Networks for IPv6 are chosen by chance, and then no text is like another.
  if (text.includes('auto') && plan.unallocated.length === 0) {
    const pinned = await pinnedText(text, plan)
    const { plan: next } = await analyze({ file: FILE, text: pinned })
    if (next === undefined) faults.push('plan --write: the text is no topology any more')
    else same('plan --write twice', pinned, await pinnedText(pinned, next))
  }
  return faults
}

const errorsOf = ({ findings }: Report): number =>
  findings.filter(({ severity }) => severity === 'error').length

const rendered = (report: Report): string =>
  [
    pretty([report], PLAIN, true),
    compact([report], true),
    json([report]),
    sarif([report], '0', () => undefined),
    github([report]),
    junit([report], true)
  ].join('\f')

/** Everything that is made of a plan. */
const outputs = (plan: Plan): string => {
  const artifacts = EMITTERS.flatMap(emitter => {
    const refusals = [...emitter.cannot(plan)]
    return refusals.length > 0
      ? refusals.map(({ feature }) => feature)
      : emitter
          .emit(plan, markOf(emitter.id, { version: '0', topology: 'x' }))
          .map(({ path, text }) => `${path}\n${text}`)
  })
  const picture = pictureOf(plan)
  return [
    ...artifacts,
    planTable(plan, PLAIN, { width: 100, all: true }),
    reachText(matrixOf(worldOf(plan))),
    ...Object.values(PRINTERS).map(print => print(picture))
  ].join('\f')
}

const pinnedText = async (text: string, plan: Plan): Promise<string> => {
  let out = ''
  const write = process.stdout.write.bind(process.stdout)
  const complain = process.stderr.write.bind(process.stderr)
  process.stdout.write = (chunk: string | Uint8Array) => {
    out += String(chunk)
    return true
  }
  process.stderr.write = () => true
  try {
    await pin('-', { file: FILE, text }, plan)
  } finally {
    process.stdout.write = write
    process.stderr.write = complain
  }
  return out
}

const misplaced = ({ source: { text }, findings }: Report): readonly string[] => {
  const lines = text.split('\n')
  return findings.flatMap(({ rule, labels, message, note, help }) => [
    ...labels.flatMap(({ start, end }) =>
      [start, end].flatMap(({ line, column }) =>
        line >= 1 && line <= lines.length && column >= 1 && column <= (lines[line - 1]?.length ?? 0) + 1
          ? []
          : [`${rule} is at ${line}:${column}, which is not in the text`]
      )
    ),
    ...[message, note, help].flatMap(words => (words.trim() === '' ? [`${rule} lacks words`] : [])),
    ...(/undefined|\[object |NaN/.test(`${message}${note}${help}`) && !/undefined|\[object |nan/i.test(text)
      ? [`${rule} says ${message} ${note} ${help}`]
      : [])
  ])
}

/** Characters that a terminal would act on. The pretty report shows lines of the text itself, and has been made safe as well. */
const raw = (told: string): readonly string[] => {
  const found = /[^\n\f\P{Cc}]|[\p{Zl}\p{Zp}\p{Bidi_Control}]/u.exec(told)
  return found === null
    ? []
    : [
        `${JSON.stringify(found[0])} reaches the terminal: ${JSON.stringify(told.slice(found.index - 40, found.index + 40))}`
      ]
}

const firstDifference = (a: string, b: string): string => {
  const [left, right] = [a.split('\n'), b.split('\n')]
  const i = left.findIndex((line, i) => line !== right[i])
  return `${JSON.stringify(left[i] ?? '')} and ${JSON.stringify(right[i] ?? '')} in line ${i + 1}`
}

// The texts

const root = new URL('../', import.meta.url)

const filesIn = (folder: string): readonly string[] =>
  readdirSync(new URL(folder, root))
    .filter(file => /\.(ya?ml|json)$/.test(file))
    .map(file => readFileSync(new URL(`${folder}${file}`, root), 'utf8'))

/** What was found once, and the networks of people. */
export const found = (): readonly string[] => filesIn('test/fuzz/')

export const seeds = (): readonly string[] => [
  ...found(),
  ...['examples/', 'test/cases/', 'test/field/', 'test/wiki/'].flatMap(filesIn),
  ...pages.flatMap(page => blocksOf(page).flatMap(({ files }) => files.map(({ text }) => text)))
]

const WORDS = [
  'auto',
  'null',
  '~',
  'true',
  'false',
  '0',
  '-1',
  '1e400',
  '.inf',
  '.nan',
  '99999999999999999999',
  '""',
  "''",
  '[]',
  '{}',
  '- ',
  '? ',
  ': ',
  '&a ',
  '*a',
  '!!binary ',
  '!x ',
  '|',
  '>-',
  '---',
  '...',
  '%YAML 1.2',
  '<<: ',
  '#',
  '\t',
  '\r\n',
  '\r',
  '\u0085',
  '\u2028',
  '\ufeff',
  '\0',
  '10.0.0.1/24',
  '10.0.0.1/33',
  '0.0.0.0/0',
  '255.255.255.255',
  '::',
  '::/0',
  'fd00::1/64',
  'fe80::1',
  '::ffff:1.2.3.4',
  '1.2.3',
  '127.0.0.1',
  'containers:',
  'bridges:',
  'nat:',
  'host:',
  'expect:',
  'ignore:',
  'pools:',
  'reserved:',
  'vms:',
  'localAddress: auto',
  'address: [auto]',
  'hostAddress: auto',
  'hostPort: auto',
  'hostBridge: br0',
  'privateNetwork: true',
  'enabled: false',
  'vlans: [1]',
  '1-65535',
  '8080:80',
  '65536',
  '# netplan: ignore[duplicate-address]',
  '# netplan: ignore',
  've-+',
  've-*',
  'eth0',
  'br0',
  'lo',
  'version: 1',
  'version: 2',
  'network:'
]

/** One text made of another, by chance. */
export const mutated = (all: readonly string[]): fc.Arbitrary<string> => {
  const text = fc.constantFrom(...all)
  const word = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...WORDS) },
    { weight: 1, arbitrary: hostileStrings() }
  )
  const spot = fc.double({ min: 0, max: 1, noNaN: true })
  const cut = (from: string, a: number, b: number): readonly [string, string, string] => {
    const [start, end] = [a, b].map(at => Math.floor(at * from.length)).sort((x, y) => x - y)
    return [from.slice(0, start), from.slice(start, end), from.slice(end)]
  }
  const byLines = (from: string, change: (lines: string[]) => string[]): string =>
    change(from.split('\n')).join('\n')
  const step: fc.Arbitrary<(from: string) => string> = fc.oneof(
    fc.tuple(spot, word).map(([at, word]) => (from: string) => {
      const [head, , tail] = cut(from, at, at)
      return head + word + tail
    }),
    // A value of a key is replaced.
    fc.tuple(spot, word).map(
      ([at, word]) =>
        (from: string) =>
          byLines(from, lines => {
            const i = Math.floor(at * lines.length)
            lines[i] = (lines[i] ?? '').replace(/:.*$/, () => `: ${word}`)
            return lines
          })
    ),
    fc.tuple(spot, spot).map(
      ([a, b]) =>
        (from: string) =>
          byLines(from, lines => {
            const [line] = lines.splice(Math.floor(a * lines.length), 1)
            lines.splice(Math.floor(b * lines.length), 0, line ?? '')
            return lines
          })
    ),
    fc.tuple(spot, spot).map(
      ([a, b]) =>
        (from: string) =>
          byLines(from, lines => {
            lines.splice(Math.floor(b * lines.length), 0, lines[Math.floor(a * lines.length)] ?? '')
            return lines
          })
    ),
    spot.map(
      at => (from: string) =>
        byLines(from, lines => {
          lines.splice(Math.floor(at * lines.length), 1)
          return lines
        })
    ),
    fc.tuple(spot, fc.constantFrom('  ', ' ', '\t', '- ')).map(
      ([at, indent]) =>
        (from: string) =>
          byLines(from, lines => {
            const i = Math.floor(at * lines.length)
            lines[i] = indent + (lines[i] ?? '')
            return lines
          })
    ),
    fc.tuple(spot, spot).map(([a, b]) => (from: string) => {
      const [head, , tail] = cut(from, a, Math.min(1, a + b / 20))
      return head + tail
    }),
    // A part of another text.
    fc.tuple(text, spot, spot, spot).map(([other, a, b, c]) => (from: string) => {
      const [head, , tail] = cut(from, a, a)
      return head + cut(other, b, Math.min(1, b + c / 10))[1] + tail
    }),
    // A number becomes its neighbour, or another.
    fc.tuple(spot, fc.integer({ min: -2, max: 2 })).map(([at, by]) => (from: string) => {
      const numbers = [...from.matchAll(/\d+/g)]
      const number = numbers[Math.floor(at * numbers.length)]
      return number === undefined
        ? from
        : `${from.slice(0, number.index)}${Number(number[0]) + by}${from.slice(number.index + number[0].length)}`
    }),
    // The same data in another layout.
    fc.constantFrom('json', 'flow', 'lines').map(layout => (from: string) => {
      try {
        const data: unknown = parse(from, { logLevel: 'silent' })
        if (typeof data !== 'object') return from
        return layout === 'json'
          ? JSON.stringify(data, null, 1)
          : stringify(data, layout === 'flow' ? { collectionStyle: 'flow' } : {})
      } catch {
        return from
      }
    })
  )
  return fc
    .tuple(text, fc.array(step, { minLength: 1, maxLength: 5 }))
    .map(([from, steps]) => steps.reduce((text, change) => change(text), from).slice(0, 20_000))
}

/** Some of them, the same for a seed. */
export const samples = (all: readonly string[], seed: number, count: number): readonly string[] =>
  fc.sample(mutated(all), { seed, numRuns: count })
