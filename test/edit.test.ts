import * as fc from 'fast-check'
import { isDeepStrictEqual } from 'node:util'
import { describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { changesOf, type Edit, edited, type Value } from '../src/syntax/edit.ts'
import { parseDocument } from '../src/syntax/document.ts'
import { formatPath, type Path } from '../src/text/path.ts'
import { networks, toData, toJson, toYaml } from './topologies.ts'

// The text is written by this test, which notes where it puts each value; what is read of it afterwards is told by another
// parser (yaml), and JSON by JSON.parse.

const RUNS = { interruptAfterTimeLimit: 15_000, markInterruptAsFailure: false }

const edit = async (text: string, ...edits: readonly Edit[]): Promise<string> => {
  const result = await edited({ file: 'topology.yaml', text }, edits)
  if ('text' in result) return result.text
  throw new Error(result.refused.map(({ at, why }) => `${formatPath(at)}: ${why}`).join('; '))
}

const refusals = async (text: string, ...edits: readonly Edit[]): Promise<readonly string[]> => {
  const result = await edited({ file: 'topology.yaml', text }, edits)
  if ('text' in result) throw new Error(`it was edited: ${result.text}`)
  for (const { help } of result.refused) expect(help).not.toBe('')
  return result.refused.map(({ at, why }) => `${formatPath(at)}: ${why}`)
}

const pathOf = (text: string): Path =>
  text === '' ? [] : text.split('.').map(step => (/^\d+$/.test(step) ? Number(step) : step))

const replace = (at: string, value: Value): Edit => ({ kind: 'replace', at: pathOf(at), value })
const insert = (at: string, value: Value): Edit => ({ kind: 'insert', at: pathOf(at), value })
const remove = (at: string): Edit => ({ kind: 'remove', at: pathOf(at) })

/** What another parser reads. Its lexer stumbles over some CRLF, which mean the same as LF. */
const read = (text: string): unknown => {
  const plain = text.replace(/^\ufeff/, '').replaceAll('\r\n', '\n')
  const documents = [...parseAllDocuments(plain, { version: '1.2', logLevel: 'error' })]
  const values = documents.map(document => {
    if (document.errors[0] !== undefined) throw document.errors[0]
    return document.toJS({ maxAliasCount: 1000 }) as unknown
  })
  return values.find(value => value !== null)
}

/** The data with a change, made in the plainest way. */
const changed = (data: unknown, { at, ...edit }: Edit): unknown => {
  const [step, ...rest] = at
  if (edit.kind === 'rename' || edit.kind === 'append') throw new Error('tried with texts of their own')
  if (step === undefined) return edit.kind === 'remove' ? undefined : edit.value
  const inner = { ...edit, at: rest } as Edit
  if (Array.isArray(data)) {
    const items: unknown[] = [...data]
    const index = Number(step)
    if (rest.length > 0) items[index] = changed(items[index], inner)
    else if (edit.kind === 'remove') items.splice(index, 1)
    else items.splice(index, edit.kind === 'insert' ? 0 : 1, edit.value)
    return items
  }
  const entries = new Map(Object.entries((data ?? {}) as Record<string, unknown>))
  const key = String(step)
  if (edit.kind === 'remove' && rest.length === 0) entries.delete(key)
  else entries.set(key, changed(entries.get(key), inner))
  return Object.fromEntries(entries)
}

describe('a value is replaced', () => {
  const same: readonly (readonly [name: string, before: string, value: Value, after: string])[] = [
    ['plain', 'a: auto\n', '10.1.0.5/24', 'a: 10.1.0.5/24\n'],
    ['before a comment', 'a:   auto   # why\n', '10.1.0.5/24', 'a:   10.1.0.5/24   # why\n'],
    ['in double quotes', 'a: "auto"\n', '10.1.0.5', 'a: "10.1.0.5"\n'],
    ['in single quotes', "a: 'auto'\n", '10.1.0.5', "a: '10.1.0.5'\n"],
    ['a number for quoted text', 'a: "auto"\n', 20_000, 'a: 20000\n'],
    ['IPv6', 'a: auto\n', 'fd00::1/64', 'a: "fd00::1/64"\n'],
    ['IPv6 in single quotes', "a: 'auto'\n", 'fd00::1', "a: 'fd00::1'\n"],
    ['IPv6 in brackets', '{a: auto}\n', 'fd00::1', '{a: "fd00::1"}\n'],
    ['a list', 'a: auto # two\n', ['10.1.0.1/24', 'fd00::1/64'], 'a: [10.1.0.1/24, "fd00::1/64"] # two\n'],
    ['a list in single quotes', "a: 'auto'\n", ['10.1.0.1/24', 'b'], "a: ['10.1.0.1/24', 'b']\n"],
    ['on a line of its own', 'a:\n  # here\n  auto\n', 'b', 'a:\n  # here\n  b\n'],
    ['over several lines', 'a: au\n  to\nz: 1\n', 'b', 'a: b\nz: 1\n'],
    ['quoted over several lines', 'a: "au\n\n  to" # c\nz: 1\n', 'b', 'a: "b" # c\nz: 1\n'],
    ['a block', 'a: |- # why\n  auto\n\nz: 1\n', 'b', 'a: b # why\n\nz: 1\n'],
    ['a folded block', 'a: >2-\n   auto\n   b\n# c\nz: 1\n', 'b', 'a: b\n# c\nz: 1\n'],
    ['an empty block', 'a: |\nz: 1\n', 'b', 'a: b\nz: 1\n'],
    ['nothing', 'a:\nz: 1\n', 'b', 'a: b\nz: 1\n'],
    ['nothing before a comment', 'a: # c\nz: 1\n', 'b', 'a: b # c\nz: 1\n'],
    ['nothing in brackets', '{a: , z: 1}\n', 'b', '{a: b , z: 1}\n'],
    ['null', 'a: ~ # c\n', 'b', 'a: b # c\n'],
    ['behind an anchor and a tag', 'a: &x !!str auto\n', 'b', 'a: &x !!str b\n'],
    ['without a space in JSON', '{"a":"auto","z":1}', 'b', '{"a":"b","z":1}'],
    ['without a final line end', 'a: auto', 'b', 'a: b'],
    ['with CRLF', 'a: auto\r\nz: 1\r\n', 'b', 'a: b\r\nz: 1\r\n'],
    ['behind a byte order mark', '\ufeffa: auto\n', 'b', '\ufeffa: b\n'],
    ['in JSON behind a byte order mark', '\ufeff{"a": "auto"}\n', 'b', '\ufeff{"a": "b"}\n'],
    [
      'between documents',
      '%YAML 1.2\n---\n# c\n---\na: auto\n...\n# d\n',
      'b',
      '%YAML 1.2\n---\n# c\n---\na: b\n...\n# d\n'
    ],
    ['a list in brackets', 'a: [x, y] # c\n', 'b', 'a: b # c\n'],
    ['a list in lines', 'a: # c\n  - x\n  - y # d\nz: 1\n', 'b', 'a: b # c # d\nz: 1\n'],
    ['a list as far left as its key', 'a:\n- x\n- y\nz: 1\n', ['b'], 'a: [b]\nz: 1\n'],
    ['a mapping in lines', 'a:\n  x: 1\n\nz: 1\n', {}, 'a: {}\n\nz: 1\n']
  ]
  test.each(same)('%s', async (_, before, value, after) => {
    expect(await edit(before, replace('a', value))).toBe(after)
    expect(await edit(after, replace('a', value))).toBe(after)
    if (!before.startsWith('%')) expect(read(after)).toHaveProperty('a', value)
  })

  test('by itself without touching how it is written', async () => {
    const text = 'a: {b:   0x10,\n c: [\'x\' , "y"]}\n'
    expect(await edit(text, replace('a', { b: 16, c: ['x', 'y'] }), replace('a.b', 16))).toBe(text)
  })

  test.each([
    ['br0', 'br0'],
    ['ve-+', 've-+'],
    ['two words', 'two words'],
    ['10.0.0.1:80', '10.0.0.1:80'],
    ['10.0.0.1', '10.0.0.1'],
    ['20000-29999', '20000-29999'],
    ['', '""'],
    ['no', '"no"'],
    ['Null', '"Null"'],
    ['~', '"~"'],
    ['007', '"007"'],
    ['1.5', '"1.5"'],
    ['1e3', '"1e3"'],
    ['0x10', '"0x10"'],
    ['12:30', '"12:30"'],
    ['2024-01-01', '"2024-01-01"'],
    ['-', '"-"'],
    ['---', '"---"'],
    ['<<', '"<<"'],
    ['*x', '"*x"'],
    ['a: b', '"a: b"'],
    ['a #b', '"a #b"'],
    ['fd00::', '"fd00::"'],
    ['::1', '"::1"'],
    ['02:00:00:00:00:01', '"02:00:00:00:00:01"'],
    ['a,b', '"a,b"'],
    [' a', '" a"'],
    ['"', '"\\""'],
    ['a\nb', '"a\\nb"'],
    ['\u2028\u0085\ufeff\u202e', '"\\u2028\\u0085\\ufeff\\u202e"']
  ])('the text %j as %s', async (text, written) => {
    const after = await edit('a: x\n', replace('a', text))
    expect(after).toBe(`a: ${written}\n`)
    expect(read(after)).toEqual({ a: text })
    for (const before of ["a: 'x'\n", 'a: "x"\n', '{a: x}\n', '[{a: [x]}]\n', '{"a": "x"}\n']) {
      const place = before.startsWith('[') ? '0.a.0' : 'a'
      const other = await edit(before, replace(place, text))
      expect(read(other)).toEqual(changed(read(before), replace(place, text)))
      expect((parseAllDocuments(other, { version: '1.1' }) as { toJS: () => unknown }[])[0]?.toJS()).toEqual(
        read(other)
      )
    }
  })
})

describe('a key is added', () => {
  const ula = { prefix: 'fd12::/48' }
  test.each([
    ['at the end of the file', 'a: 1\n', 'a: 1\npools:\n  ula:\n    prefix: "fd12::/48"\n'],
    [
      'as deep as the file indents',
      'a:\n    b: 1\n',
      'a:\n    b: 1\npools:\n    ula:\n        prefix: "fd12::/48"\n'
    ],
    ['without a final line end', 'a: 1', 'a: 1\npools:\n  ula:\n    prefix: "fd12::/48"'],
    ['with CRLF', 'a: 1\r\n', 'a: 1\r\npools:\r\n  ula:\r\n    prefix: "fd12::/48"\r\n'],
    [
      'below the last comments',
      'a: 1\n  # b\n\n# c\n\n',
      'a: 1\n  # b\n\n# c\npools:\n  ula:\n    prefix: "fd12::/48"\n\n'
    ],
    [
      'before the end of the document',
      'a: 1\n...\n# b\n',
      'a: 1\npools:\n  ula:\n    prefix: "fd12::/48"\n...\n# b\n'
    ],
    [
      'with an empty line where the file has them',
      'a: 1\n\n# b\nb: 2\n',
      'a: 1\n\n# b\nb: 2\n\npools:\n  ula:\n    prefix: "fd12::/48"\n'
    ],
    [
      'behind a block that keeps its line ends',
      'a: 1\n\nb: |+\n  x\n\n',
      'a: 1\n\nb: |+\n  x\n\npools:\n  ula:\n    prefix: "fd12::/48"\n'
    ],
    [
      'to a block',
      'pools:\n  a:\n    prefix: 10.0.0.0/8 # b\n    # c\n  # d\n\ne: 1\n',
      'pools:\n  a:\n    prefix: 10.0.0.0/8 # b\n    # c\n  ula:\n    prefix: "fd12::/48"\n  # d\n\ne: 1\n'
    ],
    [
      'like those beside it',
      'pools:\n  a: { prefix: 10.0.0.0/8 }\ne: 1\n',
      'pools:\n  a: { prefix: 10.0.0.0/8 }\n  ula: { prefix: "fd12::/48" }\ne: 1\n'
    ],
    [
      'to brackets',
      'pools: { a: { prefix: 10.0.0.0/8 } } # b\n',
      'pools: { a: { prefix: 10.0.0.0/8 }, ula: { prefix: "fd12::/48" } } # b\n'
    ],
    [
      'to brackets with a last comma',
      'pools: {\n  "a": {}, # b\n  }\n',
      'pools: {\n  "a": {}, # b\n  "ula": { prefix: "fd12::/48" },\n  }\n'
    ],
    [
      'to brackets without one',
      'pools: {\n  a: {} # b\n  # c\n  }\n',
      'pools: {\n  a: {}, # b\n  ula: { prefix: "fd12::/48" }\n  # c\n  }\n'
    ],
    ['to empty brackets', 'pools: {}\n', 'pools: { ula: { prefix: "fd12::/48" } }\n'],
    ['to nothing', 'pools: # b\na: 1\n', 'pools: { ula: { prefix: "fd12::/48" } } # b\na: 1\n'],
    ['to null', 'pools: ~ # b\n', 'pools: { ula: { prefix: "fd12::/48" } } # b\n'],
    [
      'to JSON',
      '{\n  "a": 1\n}\n',
      '{\n  "a": 1,\n  "pools": {\n    "ula": {\n      "prefix": "fd12::/48"\n    }\n  }\n}\n'
    ],
    [
      'to JSON with tabs',
      '{\n\t"a": 1,\n\t"pools": {}\n}\n',
      '{\n\t"a": 1,\n\t"pools": {\n\t\t"ula": {\n\t\t\t"prefix": "fd12::/48"\n\t\t}\n\t}\n}\n'
    ],
    ['to JSON on one line', '{"a":1}', '{"a":1,"pools":{"ula":{"prefix":"fd12::/48"}}}'],
    [
      'to JSON on one line with spaces',
      '{ "a": 1 }',
      '{ "a": 1, "pools": { "ula": { "prefix": "fd12::/48" } } }'
    ],
    [
      'to JSON like those beside it',
      '{\n  "pools": {\n    "a": { "prefix": "10.0.0.0/8" }\n  }\n}',
      '{\n  "pools": {\n    "a": { "prefix": "10.0.0.0/8" },\n    "ula": { "prefix": "fd12::/48" }\n  }\n}'
    ]
  ])('%s', async (_, before, after) => {
    expect(await edit(before, insert('pools.ula', ula))).toBe(after)
    expect(read(after)).toEqual(changed(read(before), insert('pools.ula', ula)))
    expect(await edit(after, insert('pools.ula', ula))).toBe(after)
  })

  test('several at once, with what is missing above them', async () => {
    const after = await edit(
      'a: {}\n',
      insert('b.c.d', 1),
      insert('b.c.e', ['x']),
      insert('b.f', {}),
      insert('a.g', 'no')
    )
    expect(after).toBe('a: { g: "no" }\nb:\n  c:\n    d: 1\n    e: [x]\n  f: {}\n')
  })

  test('to a list', async () => {
    const text = 'a:\n  - x # 1\n    # 2\n  # 3\n  - y\nb: [x, y]\nc: []\nd:\n'
    const edits = [
      insert('a.0', 'v'),
      insert('a.1', 'fd::'),
      insert('a.2', 'w'),
      insert('a.2', 'z'),
      insert('b.0', 1),
      insert('b.2', 'a:b'),
      insert('c.0', 'x'),
      insert('d.0', {})
    ]
    expect(await edit(text, ...edits)).toBe(
      'a:\n  - v\n  - x # 1\n  - "fd::"\n    # 2\n  # 3\n  - y\n  - w\n  - z\nb: [1, x, y, "a:b"]\nc: [x]\nd: [{}]\n'
    )
  })

  test('beside a value that is replaced by several', async () => {
    for (const [before, after] of [
      ['a: [auto] # b\n', 'a: [10.0.0.1/24, "fd00::1/64"] # b\n'],
      ['a:\n  - auto # b\n', 'a:\n  - 10.0.0.1/24 # b\n  - "fd00::1/64"\n'],
      ["a:\n- 'auto' # b\n- c", 'a:\n- \'10.0.0.1/24\' # b\n- "fd00::1/64"\n- c']
    ] as const)
      expect(await edit(before, replace('a.0', '10.0.0.1/24'), insert('a.1', 'fd00::1/64'))).toBe(after)
  })
})

describe('a key or an item is removed', () => {
  test.each([
    ['with its lines', 'a: 1\nb:\n  c: 1 # c\n  d: 2\n# e\nf: 3\n', 'b', 'a: 1\n# e\nf: 3\n'],
    ['the first one', 'a: 1 # a\nb: 2\n', 'a', 'b: 2\n'],
    ['the last one', 'a: 1\nb: 2', 'b', 'a: 1'],
    ['the only one', 'a:\n  b: 1\nc: 2\n', 'a.b', 'a: {}\nc: 2\n'],
    ['the only one of all', 'a: 1\n', 'a', '{}\n'],
    ['behind a dash', 'a:\n  - b: 1 # b\n    c: 2\n', 'a.0.b', 'a:\n  - c: 2\n'],
    [
      'behind a dash, above a comment',
      'a:\n  - b: 1\n    # c\n    c: 2\n',
      'a.0.b',
      'a:\n  - \n    # c\n    c: 2\n'
    ],
    ['the only one behind a dash', 'a:\n  - b: 1\n', 'a.0.b', 'a:\n  - {}\n'],
    ['an item', 'a:\n- 1\n- b: 2\n  c: 3\n- 4\n', 'a.1', 'a:\n- 1\n- 4\n'],
    ['the only item', 'a:\n- 1\nb: 2\n', 'a.0', 'a: []\nb: 2\n'],
    ['in brackets', 'a: { b: 1, c: 2, d: 3 }\n', 'a.c', 'a: { b: 1, d: 3 }\n'],
    ['at the end of brackets', 'a: [1, 2, 3 ]\n', 'a.2', 'a: [1, 2 ]\n'],
    ['in brackets with a last comma', '{\n  a: 1, # a\n  b: 2, # b\n}\n', 'b', '{\n  a: 1, # a\n}\n'],
    ['in brackets over lines', '{\n  a: 1, # a\n  b: 2 # b\n}\n', 'b', '{\n  a: 1 # a\n}\n'],
    ['in front of a comment', 'a: [1, # b\n  2]\n', 'a.0', 'a: [ # b\n  2]\n'],
    ['all of brackets', 'a: { b: 1 }\n', 'a.b', 'a: {}\n'],
    [
      'the only one, with what is in it',
      'a:\n  # a\n  b:\n    c: 1 # c\n# d\n',
      'a.b',
      'a: {}\n  # a # c\n# d\n'
    ]
  ])('%s', async (_, before, at, after) => {
    expect(await edit(before, remove(at))).toBe(after)
    expect(read(after)).toEqual(changed(read(before), remove(at)))
  })

  test('several, and something else in the same place', async () => {
    expect(await edit('{a: 1, b: 2, c: 3}', remove('b'), remove('c'), insert('d', 4))).toBe('{a: 1, d: 4}')
    expect(await edit('[{a: 1}, 2, 3]', remove('1'), insert('1', 5), replace('0.a', 6), remove('2'))).toBe(
      '[{a: 6}, 5]'
    )
    expect(await edit('a: 1\nb: 2\nc: 3\n', remove('a'), remove('b'), insert('d', 4), replace('c', 5))).toBe(
      'c: 5\nd: 4\n'
    )
    expect(await edit('- a: 1\n  b: 2\n  c: 3\n', remove('0.a'), remove('0.b'))).toBe('- c: 3\n')
  })
})

describe('refused', () => {
  test('what an alias repeats, on both sides', async () => {
    const text = 'a: &x auto\nb: *x\nc: &y { d: auto, e: { f: auto } }\ng: [*y]\nh: &z auto\n'
    expect(await refusals(text, replace('a', 1))).toEqual([
      'a: the alias *x repeats it elsewhere, and would change as well'
    ])
    expect(await refusals(text, replace('b', 1))).toEqual([
      'b: it comes from the alias *x, which stands for the same text as in other places'
    ])
    expect(await refusals(text, replace('c.e.f', 1), insert('c.e.z', 1), remove('c.d'))).toHaveLength(3)
    expect(await refusals(text, replace('g.0.e.f', 1))).toEqual([
      'g[0].e.f: it comes from the alias *y, which stands for the same text as in other places'
    ])
    expect(await refusals(text, replace('c', 1))).toHaveLength(1)
    expect(await refusals(text, remove('c'))).toHaveLength(1)
    expect(await edit(text, replace('h', 1), remove('g'), insert('i', 2))).toBe(
      'a: &x auto\nb: *x\nc: &y { d: auto, e: { f: auto } }\nh: &z 1\ni: 2\n'
    )
    const again = 'a: &x 1\nb: *x\nc: &x auto\n'
    expect(await edit(again, replace('c', 2))).toBe('a: &x 1\nb: *x\nc: &x 2\n')
    expect(await refusals(again, replace('a', 2))).toHaveLength(1)
  })

  test('what comes through a merge key', async () => {
    expect(await refusals('a: &x { b: auto }\nc:\n  <<: *x\n', replace('c.b', 1))).toEqual([
      'c.b: there is no c.b: "<<" merges nothing in YAML 1.2'
    ])
  })

  test.each([
    ['a path that is not there', 'a: {b: 1}\n', [replace('a.c', 1)], 'a.c: there is no a.c'],
    ['a path that leads nowhere', 'a: 1\n', [remove('a.b.c')], 'a.b.c: there is no a.b'],
    ['an item that is not there', 'a: [1]\n', [replace('a.1', 1)], 'a[1]: there is no a[1]'],
    ['an item far behind the end', 'a: [1]\n', [insert('a.2', 1)], 'a[2]: a has 1 item'],
    ['a key of a text', 'a: b\n', [insert('a.length', 1)], 'a.length: a is no mapping'],
    ['a key of a list', 'a: []\n', [insert('a.b', 1)], 'a.b: a is no mapping'],
    ['an index of a mapping', 'a: {0: 1}\n', [replace('a.0', 1)], 'a[0]: there is no a[0]'],
    [
      'what every object has',
      'a: {}\n',
      [replace('a.constructor', 1)],
      'a.constructor: there is no a.constructor'
    ],
    ['a key that is there', 'a: 1\n', [insert('a', 2)], 'a: a is there already'],
    ['no path', 'a: 1\n', [{ kind: 'replace', at: [], value: 1 }], ': it names no place in the file'],
    [
      'two edits of one place',
      'a: 1\n',
      [replace('a', 2), replace('a', 3)],
      'a: two edits change the same place'
    ],
    [
      'one within another',
      'a: {b: 1}\n',
      [replace('a', 2), replace('a.b', 3)],
      'a.b: two edits change the same place'
    ],
    [
      'one around another',
      'a: {b: 1}\n',
      [replace('a.b', 2), remove('a')],
      'a: two edits change the same place'
    ],
    [
      'a new key twice',
      'a: {}\n',
      [insert('a.b', 2), insert('a.b.c', 3)],
      'a.b.c: two edits change the same place'
    ],
    [
      'a tag that does not fit',
      'a: !!str auto\n',
      [replace('a', 1)],
      'a: the tag in front of the old value does not fit the new one'
    ],
    [
      'comments that would be lost',
      'a: [\n  1, # one\n  2]\n',
      [replace('a', 1)],
      'a: comments stand within the old value and would be lost'
    ],
    ['a text that cannot be read', 'a: [\n', [replace('a', 1)], ': the file cannot be read']
  ] as const)('%s', async (_, text, edits, why) => {
    expect(await refusals(text, ...edits)).toEqual([why])
  })
})

/** Ways to write YAML that nobody uses for a topology. */
const UNUSUAL = [
  '? a\n: b\n? c\n: - d\n',
  '? a\n# c\n: b\n',
  '{? a : b, ? c, d}\n',
  '"a" : b\nc :\n  - d\n',
  'a: |\n  x\nc: 1\n  # d\n',
  'a: >+\n\n\n  x\n\n\nc:\n\n',
  'a:\n  |2\n    x\nc: 1\n',
  '- - - a\n    - c\n  - d\n',
  '- a: 1\n  c: 2\n-   - a\n    - c\n',
  '[a: 1, c: [d: 2], {a: 1}: 2]\n',
  '[a: 1, c: [d: 2]]\n',
  '!!map {a: !!seq [!!str c, !<tag:yaml.org,2002:int> 1]}\n',
  '&x a: &y c\n&z d: *y\n',
  'a: &x\n  - c\n  - &y d\nd: [*x, *y]\n',
  '--- {a: 1}\n',
  '--- # c\na: "x\n\n  y" # d\nc: x\n  y\n',
  '%TAG !e! tag:yaml.org,2002:\n---\na: !e!str c\n',
  'a:\tb\t# c\nc:\n\t\nd: [\t1\t,\t2\t]\n',
  'a: 1\rc:\r  d: 2\r',
  'a: {\'b\':1,"c":2}\n',
  'a: [1,\n  2\n  # c\n  , 3 # d\n  ]\n',
  '{a: , c: &x , d: !!str }\n',
  'a:\n- # c\n-\n- !!str\n- &x\n',
  '0x10: a\n~: c\ntrue: d\n1.0: e\n',
  'a: c#d\ne: "#"\nf: [a#b, \'#\', "#" ]\n'
]

test('whatever the text is, an edit is right or refused', async () => {
  let [made, refused] = [0, 0]
  for (const text of UNUSUAL) {
    const parsed = await parseDocument({ file: '', text })
    if (!('data' in parsed)) continue
    const { data } = parsed
    for (const path of pathsOf(data, [])) {
      const value = at(data, path)
      const edits: Edit[] = ['fd00::', 1, ['x', 'fd00::'], {}].map(value => ({
        kind: 'replace',
        at: path,
        value
      }))
      edits.push({ kind: 'remove', at: path })
      if (Array.isArray(value))
        for (let i = 0; i <= value.length; i += 1)
          edits.push({ kind: 'insert', at: [...path, i], value: 'fd00::' })
      else edits.push({ kind: 'insert', at: [...path, 'new'], value: { x: ['y'] } })
      for (const one of edits) {
        const result = await edited({ file: '', text }, [one])
        if ('refused' in result) refused += 1
        else {
          made += 1
          const again = await parseDocument({ file: '', text: result.text })
          expect([text, one, 'data' in again && again.data]).toEqual([text, one, changed(data, one)])
        }
      }
    }
  }
  expect(made).toBeGreaterThan(refused)
})

// Random texts

/** A value that was written, with the way back to it. */
interface Written {
  readonly path: Path
  readonly start: number
  readonly end: number
  readonly quotes: 'plain' | 'single' | 'double'
  readonly tagged: boolean
}

interface Text {
  readonly text: string
  readonly data: Value
  readonly scalars: readonly Written[]
  /** Mappings and lists, and what stands for nothing. */
  readonly owners: readonly Path[]
  /** Each key and item with the comments on its lines. */
  readonly entries: ReadonlyMap<string, readonly string[]>
  readonly comments: readonly string[]
}

const texts = fc.constantFrom(
  'auto',
  '10.1.0.5/24',
  'fd00::1/64',
  'two words',
  '',
  "it's",
  'a # b',
  '{',
  'no',
  '12',
  'Ünï→\u{1f4e6}',
  'a\nb\n'
)
const keys = fc.constantFrom(
  'a',
  'web',
  'br0',
  'auto',
  'two words',
  'x:y',
  'no',
  "it's",
  '"',
  '10',
  'ü',
  '<<',
  '- a',
  '__proto__'
)
const { value: values } = fc.letrec<{ value: Value; mapping: Value; list: Value; scalar: Value }>(tie => ({
  scalar: fc.oneof(
    { weight: 6, arbitrary: texts },
    { weight: 2, arbitrary: fc.constantFrom(0, 20_000, -1.5) },
    { weight: 2, arbitrary: fc.constantFrom(true, false, null) }
  ),
  mapping: fc
    .uniqueArray(fc.tuple(keys, tie('value')), { maxLength: 4, selector: ([key]) => key })
    .map(entries => Object.fromEntries(entries) as Value),
  list: fc.array(tie('value'), { maxLength: 3 }),
  value: fc.oneof({ maxDepth: 4, depthSize: 'large' }, tie('scalar'), tie('mapping'), tie('list'))
}))
const roots = fc
  .uniqueArray(fc.tuple(keys, values), { minLength: 1, maxLength: 5, selector: ([key]) => key })
  .map(entries => Object.fromEntries(entries) as Value)

const isMapping = (value: Value): value is { readonly [key: string]: Value } =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Writes data in every way that the numbers say. */
const written = (data: Value, numbers: readonly number[]): Text => {
  let [out, next, id] = ['', 0, 0]
  const roll = (sides: number): number => (numbers[(next += 1) % numbers.length] ?? 0) % sides
  const eol = roll(3) === 0 ? '\r\n' : '\n'
  const step = 1 + roll(4)
  const scalars: Written[] = []
  const owners: Path[] = []
  const comments: string[] = []
  const entries = new Map<string, readonly string[]>()
  /** Whether the last line is over. */
  let isOver = true
  /** How deep a comment may stand: behind a block of lines it would be one of them. */
  let most = 99
  const comment = (): string => {
    const text = `#${(id += 1)}${['', ' it\'s "auto" {[', ' - a: b', ' &x *y !z', ': |'][roll(5)]}`
    comments.push(text)
    return text
  }
  /** Ends the line, perhaps with a comment; then empty lines and comments. */
  const line = (column: number, isNoisy = true, least = 0): void => {
    if (!isOver) out += `${roll(4) === 0 ? `${' '.repeat(1 + roll(3))}${comment()}` : ''}${eol}`
    isOver = true
    for (let more = isNoisy ? roll(12) : 12; more < 3; more += 1)
      out += `${more === 1 ? '' : `${' '.repeat(Math.min(most, least + roll(column + 4 - least)))}${comment()}`}${eol}`
  }
  const note = (path: Path, start: number, quotes: Written['quotes'], tagged = false): void => {
    scalars.push({ path, start, end: out.length, quotes, tagged })
  }
  const isTame = (text: string): boolean => /^[a-zÜ][a-zï→ ]*$/u.test(text) && text !== 'no'
  const token = (path: Path, value: Value, tagged: boolean): void => {
    const start = out.length
    const style = roll(3)
    if (typeof value !== 'string')
      out += value === null ? ['null', '~', 'Null'][style] : JSON.stringify(value)
    else if (style === 0 && (isTame(value) || value === '10.1.0.5/24')) out += value
    else if (style === 1 && !value.includes('\n')) out += `'${value.replaceAll("'", "''")}'`
    else out += JSON.stringify(value)
    const quotes = out[start] === '"' ? 'double' : out[start] === "'" ? 'single' : 'plain'
    note(path, start, quotes, tagged)
    if (value === null) owners.push(path)
  }
  const key = (name: string): void => {
    const style = roll(3)
    most = 99
    out +=
      style === 0 && isTame(name)
        ? name
        : style === 1
          ? `'${name.replaceAll("'", "''")}'`
          : JSON.stringify(name)
  }
  /** Notes which comments belong to an entry. */
  const entry = (path: Path, write: () => void): void => {
    const before = comments.length
    write()
    entries.set(formatPath(path), comments.slice(before))
  }
  const properties = (value: Value): boolean => {
    if (roll(8) === 0) out += `&n${(id += 1)} `
    const tagged = typeof value === 'string' && roll(8) === 0
    if (tagged) out += '!!str '
    return tagged
  }
  const gap = (column: number): void => {
    const kind = roll(8)
    if (kind < 3) out += ' '
    else if (kind === 3)
      out += `${roll(2) === 0 ? ` ${comment()}` : ''}${eol}${' '.repeat(column + 1 + roll(3))}`
  }
  const flow = (path: Path, value: Value, column: number): void => {
    if (!isMapping(value) && !Array.isArray(value)) return token(path, value, properties(value))
    owners.push(path)
    const inner = Object.entries(value)
    out += isMapping(value) ? '{' : '['
    gap(column)
    for (const [i, [name, item]] of inner.entries()) {
      const at = [...path, isMapping(value) ? name : i]
      entry(at, () => {
        if (isMapping(value)) {
          key(name)
          out += /["']$/.test(out) && roll(3) === 0 && !isMapping(item) ? ':' : ': '
        }
        flow(at, item, column)
        gap(column)
        if (i < inner.length - 1 || roll(5) === 0) out += ','
        gap(column)
      })
    }
    out += isMapping(value) ? '}' : ']'
  }
  /** Writes a value behind a colon or a dash; the lines that it begins are deeper than the column. */
  const block = (path: Path, value: Value, column: number, isRoot = false): void => {
    const deep = isRoot ? 0 : column + step
    const isEmpty = (isMapping(value) || Array.isArray(value)) && Object.keys(value).length === 0
    if (value === null && roll(2) === 0) {
      owners.push(path)
      return
    }
    if (typeof value === 'string' && value.endsWith('\n') && roll(2) === 0) {
      out += ` |${roll(3) === 0 ? ` ${comment()}` : ''}${eol}`
      for (const part of value.slice(0, -1).split('\n')) out += `${' '.repeat(deep)}${part}${eol}`
      isOver = true
      most = deep - 1
      return
    }
    if ((!isMapping(value) && !Array.isArray(value)) || isEmpty || (roll(4) === 0 && !isRoot)) {
      if (roll(6) === 0 && !isRoot) {
        isOver = false
        // The other parser wants comments between a key and its value to stand deeper than the key.
        line(column, true, column + 1)
        out += ' '.repeat(deep)
        if (!isMapping(value) && !Array.isArray(value)) {
          token(path, value, false)
          isOver = false
          return
        }
      } else if (!isRoot) out += ' '.repeat(1 + roll(3))
      flow(path, value, isRoot ? -1 : column)
      isOver = false
      return
    }
    owners.push(path)
    const isItem = out.endsWith('-')
    if (!isRoot && roll(8) === 0) out += ` &n${(id += 1)}`
    const isCompact = out.endsWith('-') && roll(2) === 0
    const left = Array.isArray(value) && roll(3) === 0 && !isItem ? column : deep
    const at = isCompact ? column + 2 : left
    if (isCompact) out += ' '
    else if (!isRoot) {
      isOver = false
      line(column)
    }
    for (const [i, [name, item]] of Object.entries(value).entries()) {
      if (i > 0) line(at)
      if (i > 0 || !isCompact) out += ' '.repeat(at)
      isOver = false
      const inner = [...path, isMapping(value) ? name : i]
      entry(inner, () => {
        if (isMapping(value)) {
          key(name)
          out += ':'
        } else {
          out += '-'
          most = 99
        }
        block(inner, item, at)
        // The comment on the line of the value belongs to the entry as well.
        if (!isOver) line(at, false)
      })
    }
  }
  if (roll(5) === 0) out += '\ufeff'
  const start = roll(6)
  if (start === 1) out += `%YAML 1.2${eol}---${eol}`
  if (start === 2) out += `--- ${comment()}${eol}`
  if (start === 3) out += `${comment()}${eol}---${eol}---${eol}`
  line(0)
  if (roll(6) === 0) {
    flow([], data, -1)
    isOver = false
  } else block([], data, 0, true)
  const stop = roll(5)
  if (stop === 0) {
    line(0)
    out += `...${eol}${comment()}`
  } else if (stop === 1) {
    line(0)
    out += `---${eol}`
  } else if (stop > 2 || isOver) line(3)
  return { text: out, data, scalars, owners, entries, comments }
}

const writing = fc
  .tuple(roots, fc.array(fc.nat(1000), { minLength: 100, maxLength: 400 }))
  .map(([data, numbers]) => written(data, numbers))

const commentsIn = (text: string): readonly string[] => text.match(/#\d+/g) ?? []

const isSubsequence = (short: string, long: string): boolean => {
  let at = 0
  for (const char of long) if (short.startsWith(char, at)) at += char.length
  return at === short.length
}

const at = (data: unknown, path: Path): unknown =>
  path.reduce<unknown>((value, step) => Object.getOwnPropertyDescriptor(value, step)?.value, data)

/** Orders paths so that what stands later in a list comes first, with all that is in it. */
const laterFirst = ([a, ...more]: Path, [b, ...others]: Path): number => {
  if (a === undefined || b === undefined) return 0
  if (typeof a === 'number' && typeof b === 'number') return b - a || laterFirst(more, others)
  return String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : laterFirst(more, others)
}

/** How a value must be written in place of another. */
const asText = (value: Value, { quotes }: Written, text: string): string => {
  const isJson = (() => {
    try {
      JSON.parse(text)
      return true
    } catch {
      return false
    }
  })()
  const one = (item: Value): string =>
    typeof item === 'number'
      ? String(item)
      : quotes === 'single'
        ? JSON.stringify(item).replaceAll('"', "'")
        : !isJson && quotes === 'plain' && (item === '10.0.0.1/24' || item === 'br0')
          ? item
          : JSON.stringify(item)
  return Array.isArray(value) ? `[${value.map(one).join(', ')}]` : one(value)
}

describe('random texts', () => {
  test('are what the program and the other parser read', async () => {
    const property = fc.asyncProperty(writing, async ({ text, data }) => {
      expect(read(text)).toEqual(data)
      const parsed = await parseDocument({ file: '', text })
      expect('data' in parsed && parsed.data).toEqual(data)
    })
    await expect(fc.assert(property, { ...RUNS, numRuns: 200 })).resolves.toBeUndefined()
  })

  test('keep every byte but those of the values that are replaced', async () => {
    const given = fc.constantFrom<Value>('10.0.0.1/24', 'fd00::1/64', 20_001, 'br0', 'no', [
      '10.0.0.1/24',
      'fd00::1/64'
    ])
    const property = fc.asyncProperty(
      writing,
      fc.array(fc.tuple(fc.nat(), given), { minLength: 1, maxLength: 6 }),
      async ({ text, data, scalars }, picks) => {
        const chosen = new Map(
          scalars.length === 0 ? [] : picks.map(([i, value]) => [scalars[i % scalars.length], value])
        )
        const edits: Edit[] = []
        let [after, done] = ['', 0]
        for (const scalar of scalars) {
          const value = chosen.get(scalar)
          if (value === undefined || (scalar.tagged && typeof value !== 'string')) continue
          const { path, start, end } = scalar
          edits.push({ kind: 'replace', at: path, value })
          after +=
            text.slice(done, start) +
            (isDeepStrictEqual(at(data, path), value) ? text.slice(start, end) : asText(value, scalar, text))
          done = end
        }
        after += text.slice(done)
        expect(await edit(text, ...edits.toReversed())).toBe(after)
        expect(read(after)).toEqual(edits.reduce(changed, data as unknown))
        expect(await edit(after, ...edits)).toBe(after)
      }
    )
    await expect(fc.assert(property, { ...RUNS, numRuns: 200 })).resolves.toBeUndefined()
  })

  test('get new keys and items, and nothing else', async () => {
    const value = fc.constantFrom<Value>(
      { prefix: 'fd12::/48' },
      { a: { b: ['x', 'y: z'] }, c: {} },
      'auto',
      [1],
      {}
    )
    const property = fc.asyncProperty(
      writing,
      fc.nat(),
      fc.nat(),
      value,
      async ({ text, data, owners, comments }, which, index, value) => {
        const path = owners[which % owners.length] ?? []
        const owner = at(data, path)
        const step = Array.isArray(owner) ? index % (owner.length + 1) : 'new'
        const one: Edit = { kind: 'insert', at: [...path, step], value }
        const after = await edit(text, one)
        expect(read(after)).toEqual(changed(data, one))
        expect(commentsIn(after)).toEqual(commentsIn(text))
        expect(commentsIn(after)).toHaveLength(comments.length)
        if (owner !== null)
          expect(isSubsequence(text.replace(/\s/g, ''), after.replace(/\s/g, ''))).toBe(true)
        if (step === 'new') expect(await edit(after, one)).toBe(after)
      }
    )
    await expect(fc.assert(property, { ...RUNS, numRuns: 200 })).resolves.toBeUndefined()
  })

  test('lose what is removed, with its own comments', async () => {
    // Comments behind what is removed may become a part of a block of lines in front of it.
    let unusual = 0
    const property = fc.asyncProperty(
      writing,
      fc.nat(),
      async ({ text, data, scalars, owners, entries }, which) => {
        const paths = [...scalars.map(({ path }) => path), ...owners].filter(path => path.length > 0)
        fc.pre(paths.length > 0)
        const path = paths[which % paths.length] ?? []
        const one: Edit = { kind: 'remove', at: path }
        const result = await edited({ file: '', text }, [one])
        if ('refused' in result) {
          const [{ why } = { why: '' }] = result.refused
          if (why.includes('unusual')) unusual += 1
          else expect(why).toBe('comments stand within the old value and would be lost')
          return
        }
        expect(read(result.text)).toEqual(changed(data, one))
        const own = new Set((entries.get(formatPath(path)) ?? []).flatMap(commentsIn))
        expect(commentsIn(result.text).filter(comment => !own.has(comment))).toEqual(
          commentsIn(text).filter(comment => !own.has(comment))
        )
      }
    )
    await expect(fc.assert(property, { ...RUNS, numRuns: 200 })).resolves.toBeUndefined()
    expect(unusual).toBeLessThan(10)
  })

  test('get another key in the place of an old one', async () => {
    let made = 0
    const property = fc.asyncProperty(writing, fc.nat(), async ({ text, data, scalars, owners }, which) => {
      const paths = [...scalars.map(({ path }) => path), ...owners].filter(
        path => typeof path.at(-1) === 'string'
      )
      fc.pre(paths.length > 0)
      const path = paths[which % paths.length] ?? []
      const result = await edited({ file: '', text }, [{ kind: 'rename', at: path, key: 'renamed' }])
      if ('refused' in result) return
      made += 1
      const above = at(data, path.slice(0, -1))
      const entries = Object.entries(above as Record<string, unknown>)
      const renamed = Object.fromEntries(
        entries.map(([key, value]) => [key === path.at(-1) ? 'renamed' : key, value])
      )
      const after = read(result.text)
      const whole =
        path.length === 1
          ? renamed
          : changed(data, { kind: 'replace', at: path.slice(0, -1), value: renamed as Value })
      expect(JSON.stringify(after)).toBe(JSON.stringify(whole))
      expect(commentsIn(result.text)).toEqual(commentsIn(text))
      expect(isSubsequence(result.text.replace(/(["']?)renamed\1/, ''), text)).toBe(true)
    })
    await expect(fc.assert(property, { ...RUNS, numRuns: 200 })).resolves.toBeUndefined()
    expect(made).toBeGreaterThan(100)
  })

  test('are changed one by one as if each change were the only one', async () => {
    let made = 0
    const kinds = fc.constantFrom('replace', 'append', 'remove', 'rename')
    const property = fc.asyncProperty(
      writing,
      fc.array(fc.tuple(kinds, fc.nat()), { minLength: 1, maxLength: 8 }),
      async ({ text, data, scalars, owners }, picks) => {
        const paths = [...scalars.map(({ path }) => path), ...owners].filter(path => path.length > 0)
        const lists = picks.flatMap(([kind, which]): readonly Edit[] => {
          const path = paths[which % Math.max(paths.length, 1)]
          if (path === undefined) return []
          if (kind === 'rename') return [{ kind, at: path, key: `renamed${which}` }]
          return [
            kind === 'remove'
              ? { kind, at: path }
              : kind === 'append' && Array.isArray(at(data, path))
                ? { kind, at: path, value: `x${which}` }
                : { kind: 'replace', at: path, value: 'fd00::1' }
          ]
        })
        const source = { file: '', text }
        const changes = await changesOf(
          source,
          lists.map(one => [one])
        )
        for (const [i, one] of lists.entries()) {
          const alone = await edited(source, [one])
          const list = changes[i]
          if (list === undefined) {
            if ('text' in alone) expect(alone.text).toBe(text)
            continue
          }
          made += 1
          let [after, done] = ['', 0]
          for (const change of list) {
            after += text.slice(done, change.start) + change.text
            done = Math.max(done, change.end)
          }
          expect(after + text.slice(done)).toBe('text' in alone ? alone.text : alone.refused[0]?.why)
        }
      }
    )
    await expect(fc.assert(property, { ...RUNS, numRuns: 200 })).resolves.toBeUndefined()
    expect(made).toBeGreaterThan(200)
  })

  test('are changed in many places at once, or not at all', async () => {
    const kinds = fc.constantFrom('replace', 'insert', 'remove')
    let [made, all] = [0, 0]
    const property = fc.asyncProperty(
      writing,
      fc.array(fc.tuple(kinds, fc.nat()), { minLength: 1, maxLength: 5 }),
      async ({ text, data, scalars, owners }, picks) => {
        const edits = picks.flatMap(([kind, which]): readonly Edit[] => {
          if (kind === 'insert') {
            const path = owners[which % owners.length] ?? []
            const owner = at(data, path)
            return [{ kind, at: [...path, Array.isArray(owner) ? owner.length : `new${which}`], value: 'x' }]
          }
          const path = scalars[which % Math.max(scalars.length, 1)]?.path
          if (path === undefined) return []
          return [kind === 'replace' ? { kind, at: path, value: 'fd00::' } : { kind: 'remove', at: path }]
        })
        const result = await edited({ file: '', text }, edits)
        all += 1
        if ('refused' in result) return
        made += 1
        // Later items first, so that the paths of earlier ones stay what they are; what is removed comes last.
        const order = (one: Edit): number => (one.kind === 'remove' ? 1 : 0)
        const sorted = [...edits].sort((a, b) => order(a) - order(b) || laterFirst(a.at, b.at))
        expect(read(result.text)).toEqual(sorted.reduce(changed, data as unknown))
      }
    )
    await expect(fc.assert(property, { ...RUNS, numRuns: 200 })).resolves.toBeUndefined()
    expect(made).toBeGreaterThan(all / 2)
  })
})

describe('random JSON', () => {
  test('stays as JSON.stringify writes it', async () => {
    const style = fc.record({
      unit: fc.constantFrom<string | number>(0, 1, 2, 4, '\t'),
      eol: fc.constantFrom('\n', '\r\n'),
      end: fc.boolean()
    })
    const property = fc.asyncProperty(
      roots,
      style,
      fc.array(fc.tuple(fc.constantFrom('replace', 'insert', 'remove'), fc.nat(), values), {
        minLength: 1,
        maxLength: 4
      }),
      async (data, { unit, eol, end }, picks) => {
        const format = (value: unknown): string =>
          JSON.stringify(value, null, unit).replaceAll('\n', eol) + (end ? eol : '')
        let [text, now] = [format(data), data as unknown]
        for (const [kind, which, value] of picks) {
          const all = [...pathsOf(now, [])]
          const path = all[which % all.length] ?? []
          const inner = at(now, path)
          const isOwner = typeof inner === 'object' && inner !== null
          // What replaces something is written on one line.
          const isOne =
            typeof value !== 'object' || value === null || Object.keys(value).length === 0 || unit === 0
          if (kind === 'replace' && (path.length === 0 || !isOne)) continue
          // Of {} nobody can tell how it is written.
          if (kind === 'insert' && (!isOwner || text.trim() === '{}')) continue
          if (kind === 'remove' && path.length === 0) continue
          const one: Edit =
            kind === 'insert'
              ? { kind, at: [...path, Array.isArray(inner) ? which % (inner.length + 1) : 'new'], value }
              : kind === 'replace'
                ? { kind, at: path, value }
                : { kind: 'remove', at: path }
          if (kind === 'insert' && isOwner && Object.hasOwn(inner, 'new')) continue
          text = await edit(text, one)
          now = changed(now, one)
          expect(text).toBe(format(now))
        }
      }
    )
    await expect(fc.assert(property, { ...RUNS, numRuns: 200 })).resolves.toBeUndefined()
  })

  test('is edited in many places at once', async () => {
    const property = fc.asyncProperty(
      roots,
      fc.constantFrom(0, 2),
      fc.array(fc.nat(), { maxLength: 10 }),
      async (data, unit, picks) => {
        const all = [...pathsOf(data, [])].filter(path => typeof at(data, path) !== 'object')
        const edits = picks.flatMap((which): Edit[] => {
          const path = all[which % Math.max(all.length, 1)]
          return path === undefined ? [] : [{ kind: 'replace', at: path, value: 'fd00::1/64' }]
        })
        const once = edits.filter(
          ({ at }, i) => edits.findIndex(other => isDeepStrictEqual(other.at, at)) === i
        )
        expect(await edit(JSON.stringify(data, null, unit), ...once)).toBe(
          JSON.stringify(once.reduce(changed, data as unknown), null, unit)
        )
      }
    )
    await expect(fc.assert(property, { ...RUNS, numRuns: 200 })).resolves.toBeUndefined()
  })
})

const pathsOf = function* (data: unknown, path: Path): Generator<Path> {
  yield path
  if (typeof data !== 'object' || data === null) return
  for (const [key, value] of Object.entries(data))
    yield* pathsOf(value, [...path, Array.isArray(data) ? Number(key) : key])
}

test('random networks change only in the lines of what is changed', async () => {
  const property = fc.asyncProperty(
    networks(),
    fc.option(fc.nat(), { nil: undefined }),
    fc.nat(),
    fc.boolean(),
    async (network, shuffle, which, json) => {
      const data = toData(network)
      const writing = shuffle === undefined ? {} : { shuffle }
      const text = json ? toJson(data, writing) : toYaml(data, writing)
      const before = read(text)
      const leaves = [...pathsOf(before, [])].filter(path => typeof at(before, path) === 'string')
      const path = leaves[which % leaves.length] ?? []
      const one: Edit = { kind: 'replace', at: path, value: 'fd00::1/64' }
      const after = await edit(text, one, insert('pools.new.prefix', 'fd00::/48'))
      expect(read(after)).toEqual(
        [one, insert('pools', { new: { prefix: 'fd00::/48' } })].reduce(changed, before)
      )
      const [old, young] = [text.split('\n'), after.split('\n')]
      const kept = new Set(young)
      expect(old.filter(line => !kept.has(line)).length).toBeLessThanOrEqual(3)
    }
  )
  await expect(fc.assert(property, { ...RUNS, numRuns: 200 })).resolves.toBeUndefined()
})
