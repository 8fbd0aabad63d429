import { readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import * as fc from 'fast-check'
import { stringify } from 'yaml'
import { describe, expect, test } from 'vitest'
import { analyze } from '../src/index.ts'
import { ruleNames } from '../src/report/ignored.ts'
import type { Position } from '../src/text/source.ts'

interface Schema {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly minimum?: number
  readonly maximum?: number
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema | boolean
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly description?: string
  readonly examples?: readonly unknown[]
  readonly $defs?: Readonly<Record<string, Schema>>
}

const schema: Schema = JSON.parse(
  readFileSync(new URL('../schemas/topology.schema.json', import.meta.url), 'utf8')
)

const resolved = (node: Schema): Schema => {
  const name = /^#\/\$defs\/(\w+)$/.exec(node.$ref ?? '')?.[1]
  return name === undefined ? node : { ...resolved(schema.$defs?.[name] ?? {}), ...node }
}

/** Every schema within the schema, with its JSON pointer. */
const nodes = function* (
  node: Schema,
  at: string
): Generator<{ readonly at: string; readonly node: Schema }> {
  yield { at, node }
  for (const kind of ['properties', '$defs'] as const)
    for (const [key, child] of Object.entries(node[kind] ?? {}))
      yield* nodes(child, `${at}/${kind}/${key.replace('$', '%24')}`)
  if (typeof node.additionalProperties === 'object')
    yield* nodes(node.additionalProperties, `${at}/additionalProperties`)
  if (node.items !== undefined) yield* nodes(node.items, `${at}/items`)
}
const all = [...nodes(schema, '')]

const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true })

describe('the schema', () => {
  test('is a valid one of draft 2020-12, without keywords that nobody knows', () => {
    expect(schema).toMatchObject({ $schema: 'https://json-schema.org/draft/2020-12/schema' })
    expect(ajv.validateSchema(schema)).toBe(true)
    ajv.addSchema(schema, 'topology')
    expect(ajv.getSchema('topology')).toBeTypeOf('function')
  })

  test('describes every property in a sentence', () => {
    const properties = all.filter(({ at }) => /\/properties\/[^/]+$/.test(at))
    expect(properties.length).toBeGreaterThan(100)
    const bad = properties.filter(({ node }) => !/^[^\n]{8,}\.$/.test(resolved(node).description ?? ''))
    expect(bad.map(({ at }) => at)).toEqual([])
  })

  test('allows no unknown keys in any mapping', () => {
    const open = all.filter(
      ({ node }) => [node.type].flat().includes('object') && node.additionalProperties === undefined
    )
    expect(open.map(({ at }) => at)).toEqual([])
  })

  test('requires only keys that it has', () => {
    const wrong = all.filter(({ node }) => node.required?.some(key => node.properties?.[key] === undefined))
    expect(wrong.map(({ at }) => at)).toEqual([])
  })

  test('refers only to definitions that it has, and uses each of them', () => {
    const used = new Set(all.flatMap(({ node }) => (node.$ref === undefined ? [] : [node.$ref])))
    expect([...used].sort()).toEqual(
      Object.keys(schema.$defs ?? {})
        .map(name => `#/$defs/${name}`)
        .sort()
    )
  })

  test.each(all.filter(({ node }) => node.examples !== undefined))(
    'takes its own examples at #$at',
    ({ at, node }) => {
      const validate = ajv.compile({ $ref: `topology#${at}` })
      for (const example of node.examples ?? [])
        expect({ example, ok: validate(example) }).toEqual({ example, ok: true })
    }
  )
})

/** Texts that look alike, so that names meet and addresses collide. */
const NAMES = ['br0', 'br0', 'br1', 'web', 'db', 'eth0', 've-web', 've-+', 've-*', 'vb-db']
const ADDRESSES = [
  '10.0.0.1',
  '10.0.0.1/24',
  '10.0.0.2/24',
  '10.0.0.3/24',
  '10.0.0.2',
  '10.0.0.255/24',
  '10.0.0.0/31',
  '10.0.0.1/16',
  '192.168.100.2/29',
  'fd00::1',
  'fd00::1/64',
  'fd00::2/64',
  'fc00::2/7',
  'fe80::1/64',
  '::/0',
  '0.0.0.0/0',
  '127.0.0.1',
  'auto'
]
const ODD = [
  'any',
  'tcp',
  'udp',
  'sctp',
  '25.11',
  '5.4',
  '',
  ' ',
  '/',
  '::',
  'fd00::',
  'fe80::1%eth0',
  '300.1.1.1',
  '10.0.0.1/33',
  '10.0.0.2:80',
  '[fd00::2]:80',
  'fd00::2:80',
  '10.0.0.2:90-80',
  '8000:8010',
  '8010-8000',
  'a'.repeat(70),
  'ü',
  '__proto__',
  'constructor',
  'toString',
  '~1/~0',
  'a: b',
  "it's",
  '#',
  '- x',
  'line\nbreak',
  '\u001b[31m',
  '\u202e',
  '😀'
]
const ODD_KEYS = [
  ...NAMES,
  'averylongcontainername',
  'a_b',
  '1',
  '',
  '__proto__',
  'constructor',
  'x y',
  'ü',
  'all',
  'partial'
]

const anything: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(
    null,
    true,
    0,
    -1,
    1.5,
    1e300,
    '',
    'auto',
    '10.0.0.1',
    [],
    {},
    [null],
    [[]],
    { a: 1 },
    { '': null }
  ),
  fc.jsonValue({ maxDepth: 2 })
)

const often = <T>(weight: number, arbitrary: fc.Arbitrary<T>, other: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight, arbitrary }, { weight: 100 - weight, arbitrary: other })

/** Values of a schema; the wild ones hold odd texts, and now and then something of another type. */
const valueOf = (written: Schema, wild: boolean): fc.Arbitrary<unknown> => {
  const node = resolved(written)
  const known = node.const === undefined ? node.enum : [node.const]
  const right =
    known === undefined
      ? fc.oneof(...[node.type ?? []].flat().map(type => ofType(type, node, wild)))
      : fc.constantFrom(...known)
  return wild ? often(97, right, anything) : right
}

const ofType = (type: string, node: Schema, wild: boolean): fc.Arbitrary<unknown> => {
  switch (type) {
    case 'object':
      return ofObject(node, wild)
    case 'array':
      return fc.array(valueOf({ description: node.description ?? '', ...node.items }, wild), { maxLength: 3 })
    case 'string': {
      const likely = /address|router|network/i.test(node.description ?? '') ? ADDRESSES : NAMES
      const tame = fc.constantFrom(
        ...(node.examples ?? likely).filter(example => typeof example === 'string'),
        ...likely
      )
      return wild ? often(80, tame, fc.constantFrom(...ODD)) : tame
    }
    case 'integer': {
      const ports = fc.constantFrom(22, 80, 8080)
      return wild
        ? often(80, ports, fc.constantFrom(-1, 0, 65535, 65536, 2 ** 31, Number.MAX_SAFE_INTEGER, 1e21))
        : ports
    }
    case 'boolean':
      return fc.constantFrom(true, true, false)
    default:
      return fc.constant(null)
  }
}

/** An object with a handful of the keys that its schema has, among them what is required, and rarely one more. */
const ofObject = (
  { properties = {}, required = [], additionalProperties }: Schema,
  wild: boolean
): fc.Arbitrary<unknown> => {
  const keys = Object.keys(properties)
  const likely = Math.min(70, Math.round(700 / keys.length))
  const chosen = fc.record(
    Object.fromEntries(
      Object.entries(properties).map(([key, child]) => {
        const value = valueOf(child, wild)
        if (required.includes(key)) return [key, wild ? often(97, value, fc.constant(undefined)) : value]
        return [key, often(key === 'privateNetwork' ? 90 : likely, value, fc.constant(undefined))]
      })
    )
  )
  const others =
    typeof additionalProperties === 'object'
      ? fc.array(
          fc.tuple(fc.constantFrom(...(wild ? ODD_KEYS : NAMES)), valueOf(additionalProperties, wild)),
          { maxLength: 4 }
        )
      : often(
          wild ? 97 : 100,
          fc.constant<[string, unknown][]>([]),
          fc.tuple(fc.constantFrom(...ODD_KEYS), anything).map(entry => [entry])
        )
  return fc
    .tuple(chosen, others)
    .map(([chosen, others]) =>
      Object.fromEntries([...Object.entries(chosen).filter(([, value]) => value !== undefined), ...others])
    )
}

const topology = fc.oneof(valueOf(schema, false), valueOf(schema, true))

const known = new Set(ruleNames())

/** What is wrong with the findings of a text: rules that do not exist, missing words, places outside of it. */
const wrongIn = async (text: string): Promise<string[]> => {
  const { report } = await analyze({ file: 'topology.yaml', text })
  const lines = text.split('\n')
  const isWithin = ({ line, column }: Position): boolean =>
    line >= 1 && line <= lines.length && column >= 1 && column <= (lines[line - 1] ?? '').length + 1
  return report.findings.flatMap(({ rule, message, note, help, labels }) => [
    ...(known.has(rule) ? [] : [`${rule} is no rule`]),
    ...([message, note, help, ...labels.map(label => label.text)].includes('')
      ? [`${rule} lacks words`]
      : []),
    ...labels
      .filter(({ start, end }) => !isWithin(start) || !isWithin(end) || isBefore(end, start))
      .map(({ start, end }) => `${rule} at ${JSON.stringify([start, end])}`)
  ])
}

const isBefore = (a: Position, b: Position): boolean =>
  a.line < b.line || (a.line === b.line && a.column < b.column)

describe('any file is answered with findings at places within it', () => {
  const runs = { numRuns: 300, interruptAfterTimeLimit: 10_000 }

  const check = async (texts: fc.Arbitrary<string>, { numRuns } = runs): Promise<void> => {
    const property = fc.asyncProperty(texts, async text => {
      expect(await wrongIn(text)).toEqual([])
    })
    await fc.assert(property, { ...runs, numRuns })
  }

  test('as JSON', async () => {
    await expect(check(topology.map(value => JSON.stringify(value, null, 1)))).resolves.toBeUndefined()
  })

  test('as YAML', async () => {
    const style = fc.constantFrom(
      {},
      { collectionStyle: 'flow' as const },
      { defaultStringType: 'QUOTE_DOUBLE' as const }
    )
    const texts = fc.tuple(topology, style).map(([value, style]) => stringify(value, style))
    await expect(check(texts)).resolves.toBeUndefined()
  })

  test('also when a piece of the text is missing', async () => {
    const texts = fc
      .tuple(
        topology.map(value => stringify(value)),
        fc.nat(),
        fc.nat(20)
      )
      .map(([text, at, gone]) => {
        const from = at % (text.length + 1)
        return text.slice(0, from) + text.slice(from + gone)
      })
    await expect(check(texts)).resolves.toBeUndefined()
  })

  test('also when it is noise', async () => {
    const unit = fc.constantFrom(...'{}[]:,-&*!|>"\'#?% \n\t\rab1~<@`\u0000\u0085\ufeff'.split(''))
    await expect(
      check(fc.string({ unit, maxLength: 40 }), { ...runs, numRuns: 1000 })
    ).resolves.toBeUndefined()
  })
})
