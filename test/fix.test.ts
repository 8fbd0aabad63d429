import * as fc from 'fast-check'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { Lexer } from 'yaml'
import { parseAllDocuments } from 'yaml'
import { mended } from '../src/cli/fix.ts'
import { analyzeSite } from '../src/index.ts'
import { withFixes } from '../src/report/fixes.ts'
import type { Fix, LocatedFinding, Report } from '../src/report/located.ts'
import { SYNTAX_RULES } from '../src/syntax/faults.ts'
import { formatPath } from '../src/text/path.ts'
import type { Source } from '../src/text/source.ts'
import { blocksOf, pages } from './pages.ts'
import {
  type Data,
  hostilePlaces,
  hostileStrings,
  networks,
  toData,
  toJson,
  toYaml,
  type Value
} from './topologies.ts'

// A mend is right when its finding is gone, no rule finds an error that was not there, and mending again changes nothing.
// What the edits of a fix are is read as an editor does it.

const reportsOf = async (sources: readonly Source[]): Promise<readonly Report[]> =>
  withFixes((await analyzeSite(sources)).map(({ report }) => report))

/** A text with the edits of a fix, by lines and columns. */
const patched = (text: string, { edits }: Fix): string => {
  const starts = [0, ...Array.from(text.matchAll(/\n/g), ({ index }) => index + 1)]
  const offset = ({ line, column }: Fix['edits'][number]['start']): number =>
    (starts[line - 1] ?? Number.NaN) + column - 1
  let whole = text
  const fromBehind = edits
    .map((edit, i) => ({ ...edit, i, from: offset(edit.start), to: offset(edit.end) }))
    .sort((a, b) => b.from - a.from || b.i - a.i)
  for (const { from, to, newText } of fromBehind) whole = whole.slice(0, from) + newText + whole.slice(to)
  return whole
}

const nameOf = ({ rule, message, labels: [first] }: LocatedFinding): string =>
  `${rule} ${formatPath(first.at)}: ${message}`

const isFormal = (rule: string): boolean => Object.hasOwn(SYNTAX_RULES, rule)

/**
 * How bad it is: a warning counts, and an error for more than all warnings. Where something that could not be read is
 * mended, only errors of its kind count: the rest was not checked.
 */
const badness = (reports: readonly Report[], rules: readonly string[]): number => {
  const all = reports.flatMap(({ findings }) => findings)
  return rules.some(isFormal)
    ? all.filter(({ rule }) => isFormal(rule)).length
    : all.reduce((sum, { severity }) => sum + { error: 1_000_000, warning: 1, hint: 0 }[severity], 0)
}

/** The site with one fix made, and nothing else. */
const fixed = (sources: readonly Source[], index: number, fix: Fix): readonly Source[] =>
  sources.map((source, i) => (i === index ? { ...source, text: patched(source.text, fix) } : source))

/** No # in a text begins one. */
const commentsIn = (text: string): readonly string[] =>
  Array.from(new Lexer().lex(text)).filter((token, i, all) => token.startsWith('#') && all[i - 1] !== '\x1f')

/** What no mend may touch: who is let in, and what a machine says of its own services. */
const isForbidden = (path: readonly (string | number)[]): boolean =>
  path.some(step => typeof step === 'string' && /firewall|^listens$|^expect$|trusted|allowed/i.test(step))

const checked = async (before: readonly Source[]): Promise<readonly string[]> => {
  const old = await reportsOf(before)
  const { sources, done, reports } = await mended(before)
  const rules = done.map(({ rule }) => rule)
  expect(badness(reports, rules)).toBeLessThanOrEqual(badness(old, rules))
  for (const { findings } of old)
    for (const { mend, rule } of findings)
      for (const edit of mend ?? [])
        if ('at' in edit && !isFormal(rule)) expect(isForbidden(edit.at) ? formatPath(edit.at) : '').toBe('')
  const again = await mended(sources)
  expect(again.done).toEqual([])
  expect(again.sources).toEqual(sources)
  for (const [i, { text }] of sources.entries()) {
    // Comments stand where they were, and only what is removed takes its own along.
    const [was, is] = [commentsIn(before[i]?.text ?? ''), commentsIn(text)]
    let at = 0
    for (const comment of was) if (comment === is[at]) at += 1
    expect(at).toBe(is.length)
    if (!done.some(({ title }) => title.includes('removed'))) expect(is).toEqual(was)
  }
  const left = await reportsOf(sources)
  for (const [i, { findings }] of left.entries())
    for (const { fix, rule } of findings) {
      if (fix === undefined) continue
      // What is left would do harm.
      const worse = await reportsOf(fixed(sources, i, fix))
      expect(badness(worse, [rule])).toBeGreaterThan(badness(left, [rule]))
    }
  return rules
}

const blocks = pages.flatMap(page =>
  blocksOf(page).map((block, i) => ({ ...block, name: `${page.id}, block ${i + 1}` }))
)

const offering = new Set<string>()

describe('what the pages show is mended', () => {
  test.each(blocks.filter(({ expected }) => expected.length > 0))('$name', async ({ files }) => {
    const before = await reportsOf(files)
    for (const [i, { findings }] of before.entries())
      for (const finding of findings) {
        const { fix, rule } = finding
        if (fix === undefined) continue
        offering.add(rule)
        const after = await reportsOf(fixed(files, i, fix))
        expect(after[i]?.findings.map(nameOf)).not.toContain(nameOf(finding))
        expect(badness(after, [rule])).toBeLessThanOrEqual(badness(before, [rule]))
      }
    await checked(files)
  })

  test('of each rule that offers a mend', () => {
    const folder = new URL('../src/rules/', import.meta.url)
    const rules = readdirSync(folder)
      .filter(file => /findings\/mend\.ts/.test(readFileSync(new URL(file, folder), 'utf8')))
      .map(file => file.replace(/\.ts$/, ''))
    expect(rules.length).toBeGreaterThan(40)
    expect(rules.filter(rule => existsSync(new URL(`${rule}.ts`, folder)) && !offering.has(rule))).toEqual([])
  })

  test('and what is right is not touched', async () => {
    for (const { files, expected } of blocks)
      if (expected.length === 0) {
        const { sources, done } = await mended(files)
        expect(done).toEqual([])
        expect(sources).toEqual(files)
      }
  })
})

describe.each(['cases', 'field', 'wiki'])('what people have written (test/%s)', name => {
  const folder = new URL(`${name}/`, import.meta.url)
  test('is mended and no worse', { timeout: 180_000 }, async () => {
    let count = 0
    for (const file of readdirSync(folder).filter(file => file.endsWith('.yaml'))) {
      const text = readFileSync(new URL(file, folder), 'utf8')
      count += (await checked([{ file, text }])).length
    }
    expect(count).toBeGreaterThan(0)
  })
})

// Random networks that work, with faults put in

type Writable = Record<string, unknown>

/** A fault for one container, or for the file; false where there is no place for it. */
type Spoil = (file: Writable, container: Writable, all: readonly Writable[]) => boolean

const isMapping = (value: unknown): value is Writable =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const change = (owner: Writable, key: string, to: (text: string) => string | undefined): boolean => {
  const value = owner[key]
  const next = typeof value === 'string' ? to(value) : undefined
  if (next === undefined || next === value) return false
  owner[key] = next
  return true
}

const SPOILS: Readonly<Record<string, Spoil>> = {
  'no prefix length': (_, container) =>
    container['hostBridge'] !== undefined && change(container, 'localAddress', text => text.split('/')[0]),
  'no prefix length, IPv6': (_, container) =>
    container['hostBridge'] !== undefined && change(container, 'localAddress6', text => text.split('/')[0]),
  'another prefix length': (_, container) =>
    container['hostBridge'] !== undefined &&
    change(container, 'localAddress', text => text.replace(/\d+$/, '20')),
  'a prefix length on a pair': (_, container) =>
    container['hostBridge'] === undefined && change(container, 'localAddress', text => `${text}/24`),
  'a prefix length on a pair, IPv6': (_, container) =>
    container['hostBridge'] === undefined && change(container, 'localAddress6', text => `${text}/64`),
  'a prefix length for the host': (_, container) => change(container, 'hostAddress', text => `${text}/24`),
  "somebody's address": (_, container, all) => {
    const other = all.find(
      ({ localAddress, hostBridge }) =>
        hostBridge === container['hostBridge'] && localAddress !== container['localAddress']
    )
    const address = other?.['localAddress']
    return typeof address === 'string' && change(container, 'localAddress', () => address)
  },
  'half a pair': (_, container) =>
    container['hostBridge'] === undefined && 'hostAddress' in container && delete container['hostAddress'],
  'a leading zero': (_, container) =>
    change(container, 'localAddress', text => text.replace(/\.(\d)(?=\/|$)/, '.0$1')),
  'another MAC': (_, container) => change(container, 'localMacAddress', text => text.replaceAll(':', '-')),
  'a small letter': (_, container) => {
    if (!('privateNetwork' in container)) return false
    container['privatenetwork'] = container['privateNetwork']
    return delete container['privateNetwork']
  },
  'a number in quotes': (_, container) => {
    const [forward]: readonly unknown[] = Array.isArray(container['forwardPorts'])
      ? container['forwardPorts']
      : []
    if (!isMapping(forward) || typeof forward['hostPort'] !== 'number') return false
    forward['hostPort'] = String(forward['hostPort'])
    return true
  },
  'nobody as the gateway': (_, container) => {
    const gateway = container['defaultGateway']
    return isMapping(gateway)
      ? change(gateway, 'address', text => text.replace(/\d+$/, '253'))
      : change(container, 'defaultGateway', text => text.replace(/\d+$/, '253'))
  },
  'no gateway': (_, container) =>
    container['hostBridge'] !== undefined &&
    'defaultGateway' in container &&
    delete container['defaultGateway'],
  'an entry too few': ({ nat }) => {
    const list = isMapping(nat) ? nat['internalInterfaces'] : undefined
    return Array.isArray(list) && list.pop() !== undefined
  },
  'a word of the other backend': ({ nat }) => {
    if (!isMapping(nat) || !Array.isArray(nat['internalInterfaces'])) return false
    const list: readonly unknown[] = nat['internalInterfaces']
    nat['internalInterfaces'] = list.map(item =>
      String(item).replace(/[+*]$/, sign => (sign === '+' ? '*' : '+'))
    )
    return true
  },
  'a port of somebody': ({ nat }) => {
    const list: unknown = isMapping(nat) ? nat['forwardPorts'] : undefined
    if (!Array.isArray(list) || list.length < 2) return false
    const forwards: readonly unknown[] = list
    const [first, second] = forwards
    if (!isMapping(first) || !isMapping(second)) return false
    second['proto'] = 'TCP'
    second['sourcePort'] = first['sourcePort']
    return true
  }
}

const spoilt = (data: Data, picks: readonly (readonly [spoil: number, container: number])[]): Writable => {
  const file: unknown = structuredClone(data)
  if (!isMapping(file)) throw new Error('no mapping')
  const containers = Object.values(isMapping(file['containers']) ? file['containers'] : {}).filter(isMapping)
  const spoils = Object.values(SPOILS)
  for (const [spoil, index] of picks) {
    const container = containers[index % Math.max(containers.length, 1)]
    if (container !== undefined) spoils[spoil % spoils.length]?.(file, container, containers)
  }
  return file
}

/** The same text with a comment above every line. */
const commented = (text: string): string =>
  text
    .split('\n')
    .map((line, i) => (line === '' ? line : `${/^ */.exec(line)?.[0] ?? ''}# ${i}\n${line}`))
    .join('\n')

describe('random networks with faults', () => {
  const RUNS = { numRuns: 120, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: false }
  const writings: readonly ((data: Value, seed: number) => string)[] = [
    data => commented(toYaml(data)),
    (data, shuffle) => toYaml(data, { shuffle }),
    data => toJson(data),
    data => `${JSON.stringify(data, null, 2)}\n`,
    data => JSON.stringify(data)
  ]

  test('are mended and no worse, however they are written', { timeout: 180_000 }, async () => {
    const seen = new Map<string, number>()
    const property = fc.asyncProperty(
      networks(),
      fc.array(fc.tuple(fc.nat(99), fc.nat(99)), { minLength: 1, maxLength: 8 }),
      fc.nat(writings.length - 1),
      fc.nat(),
      async (network, picks, way, seed) => {
        const data = spoilt(toData(network), picks)
        const text = writings[way]?.(data as Data, seed) ?? ''
        const rules = await checked([{ file: 'topology.yaml', text }])
        for (const rule of rules) seen.set(rule, (seen.get(rule) ?? 0) + 1)
        const [after] = (await mended([{ file: 'topology.yaml', text }])).sources
        // Another parser reads it, and JSON stays JSON.
        if (way >= 2) expect(() => JSON.parse(after?.text ?? '') as unknown).not.toThrow()
        const documents = parseAllDocuments(after?.text ?? '', { version: '1.2', logLevel: 'error' })
        expect(Array.from(documents, ({ errors }) => errors).flat()).toEqual([])
      }
    )
    await expect(fc.assert(property, RUNS)).resolves.toBeUndefined()
    expect(seen.size).toBeGreaterThan(6)
  })
})

test('texts that mean something to a shell or to YAML stay what they are', { timeout: 120_000 }, async () => {
  const property = fc.asyncProperty(
    fc.constantFrom(...hostilePlaces),
    hostileStrings(),
    async (place, text) => {
      await checked([{ file: 'topology.yaml', text: toYaml(place.put(text)) }])
    }
  )
  const runs = { numRuns: 150, interruptAfterTimeLimit: 40_000, markInterruptAsFailure: false }
  await expect(fc.assert(property, runs)).resolves.toBeUndefined()
})
