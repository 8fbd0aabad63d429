import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { describe, expect, test } from 'vitest'
import { RULES } from '../src/rules/index.ts'

/** The rooms in their order; those of one step are siblings. A file imports from its own room and from earlier steps. */
const STEPS: readonly (readonly string[])[] = [
  ['text', 'net'],
  ['findings'],
  ['syntax'],
  ['model'],
  ['plan'],
  ['reach'],
  ['rules'],
  ['emit', 'report', 'import', 'draw'],
  ['rehearse'],
  ['cli']
]

const stepOf = (room: string): number => STEPS.findIndex(rooms => rooms.includes(room))

/** The folder below src that a path lies in; undefined for src/index.ts. */
const roomOf = (path: string): string | undefined => (path.includes('/') ? path.split('/')[0] : undefined)

const root = new URL('../src/', import.meta.url)
const entries = readdirSync(root, { recursive: true, withFileTypes: true }).map(entry => ({
  folder: entry.isDirectory(),
  path: posix
    .join(entry.parentPath.replaceAll('\\', '/').slice(root.pathname.length - 1), entry.name)
    .replace(/^\//, '')
}))
const files = entries
  .filter(({ path }) => path.endsWith('.ts') && !path.endsWith('.d.ts'))
  .map(({ path }) => ({ path, room: roomOf(path), code: readFileSync(new URL(path, root), 'utf8') }))

/** What a file imports, as paths within src; packages and modules of node stay as they are. */
const importsOf = ({ path, code }: (typeof files)[number]): string[] =>
  Array.from(
    code.matchAll(/^(?:import|export|\}).*? from '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gm),
    ([, from, bare, lazy]) => [from, bare, lazy].find(name => name !== undefined)
  )
    .filter(name => name !== undefined)
    .map(name => (name.startsWith('.') ? posix.join(posix.dirname(path), name) : name))

/** The code without comments and quoted strings. */
const bare = (code: string): string =>
  code.replace(
    /String\.raw`[^`]*`|\/\*[\s\S]*?\*\/|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|(?<!:)\/\/.*/g,
    "''"
  )

describe.each(files)('src/$path', file => {
  const imported = importsOf(file)
  const own = imported.filter(name => files.some(({ path }) => path === name))

  test('imports only files that exist', () => {
    expect(imported.filter(name => /^\.|\.ts$/.test(name) && !own.includes(name))).toEqual([])
  })

  test('imports only from its own room and earlier ones', () => {
    const wrong = own.filter(name => {
      const theirs = roomOf(name)
      if (theirs === undefined) return file.room !== 'cli'
      if (file.room === undefined) return theirs === 'cli'
      return theirs !== file.room && stepOf(theirs) >= stepOf(file.room)
    })
    expect(wrong).toEqual([])
  })
})

// A rehearsal needs processes; only one file of its room has them.
test.each(files.filter(({ room, path }) => room !== 'cli' && path !== 'rehearse/run.ts'))(
  'src/$path leaves the outside world to src/cli',
  file => {
    expect(importsOf(file).filter(name => /^(?:node:|fs$|process$|child_process$)/.test(name))).toEqual([])
    expect(bare(file.code).match(/\b(?:process|console)(?:\.\w|\[)|\bBuffer\b|\brequire\(/g) ?? []).toEqual(
      []
    )
  }
)

const ruleFiles = files
  .filter(({ path, room }) => room === 'rules' && !/\/(?:index|rule|check)\.ts$/.test(path))
  .map(({ path }) => path.slice('rules/'.length, -'.ts'.length))

test.each(ruleFiles)('src/rules/%s.ts is one rule of that name', async id => {
  const exported: Readonly<Record<string, unknown>> = await import(`../src/rules/${id}.ts`)
  const rules = Object.values(exported).filter(
    value => typeof value === 'object' && value !== null && 'check' in value
  )
  expect(rules).toEqual([expect.objectContaining({ id })])
})

test('every folder of src is a room, and none is a drawer', () => {
  const folders = entries.filter(({ folder }) => folder).map(({ path }) => path)
  expect(folders.filter(path => !path.includes('/') && stepOf(path) < 0)).toEqual([])
  expect(folders.filter(path => /(?:^|\/)(?:utils?|common|helpers?)$/.test(path))).toEqual([])
})

test('the list of rules is that of the files', () => {
  expect(RULES.map(({ id }) => id).sort()).toEqual([...ruleFiles].sort())
  expect(ruleFiles.filter(id => !/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(id))).toEqual([])
})
