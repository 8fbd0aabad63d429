import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Old, readOld } from '../src/cli/old.ts'
import { absent } from './judge.ts'

// `--diff OLD` on a real repository of git, which is made for these tests.

const base = mkdtempSync(join(tmpdir(), 'netplan-old-'))
const repo = join(base, 'repo')
const here = process.cwd()

/** git as somebody with no configuration has it. */
const CLEAN = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'somebody',
  GIT_AUTHOR_EMAIL: 'somebody@example.org',
  GIT_COMMITTER_NAME: 'somebody',
  GIT_COMMITTER_EMAIL: 'somebody@example.org'
}

const git = (...args: readonly string[]): string =>
  execFileSync('git', args, { cwd: repo, encoding: 'utf8', env: { ...process.env, ...CLEAN } }).trim()

const write = (name: string, text: string | Buffer): void => {
  const path = join(repo, name)
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, text)
}

const commit = (message: string): string => {
  git('add', '--all')
  git('commit', '--quiet', '--allow-empty', '--message', message)
  return git('rev-parse', 'HEAD')
}

const found = (spec: string, file = 'home.yaml'): Old => {
  const old = readOld(spec, file)
  if ('error' in old) throw new Error(old.error)
  return old
}

/** What is said instead, always on one line that names what was asked for. */
const refused = (spec: string, file = 'home.yaml'): string => {
  const old = readOld(spec, file)
  if (!('error' in old)) throw new Error(`${spec} was taken: ${old.said}`)
  expect(old.error).not.toMatch(/\n|fatal|Error|undefined/)
  return old.error
}

const without = absent(['git'])
const variables = { ...process.env }
let first = ''
let second = ''

beforeAll(() => {
  if (without) return
  mkdirSync(repo)
  git('init', '--quiet', '--initial-branch', 'main')
  write('home.yaml', 'name: first\n')
  write('sub/home.yaml', 'name: first in sub\n')
  write('sub/-x.yaml', 'name: dash\n')
  write('sub/a:b.yaml', 'name: colon\n')
  write('other.yaml', 'name: other\n')
  write('bom.yaml', '\ufeffname: bom\n')
  write('binary.yaml', Buffer.from([0x6e, 0x00, 0xff]))
  write('folder/x', 'x')
  first = commit('first')
  git('tag', 'v1.2')
  git('branch', 'sub')
  git('branch', 'other.yaml')
  write('home.yaml', 'name: second\n')
  write('later.yaml', 'name: later\n')
  second = commit('second')
  write('home.yaml', 'name: written\n')
  symlinkSync('sub/home.yaml', join(repo, 'link.yaml'))
  Object.assign(process.env, CLEAN)
  process.chdir(repo)
})

afterEach(() => {
  for (const name of Object.keys(process.env))
    if (!(name in variables) && !(name in CLEAN)) delete process.env[name]
  Object.assign(process.env, variables, CLEAN)
  if (!without) process.chdir(repo)
})

afterAll(() => {
  process.chdir(here)
  rmSync(base, { recursive: true, force: true })
})

describe.skipIf(without)('a revision', () => {
  test.each([
    ['HEAD', 'second'],
    ['HEAD~1', 'first'],
    ['main', 'second'],
    ['v1.2', 'first'],
    ['main^{/first}', 'first'],
    ['HEAD^{commit}', 'second'],
    ['main@{0}', 'second'],
    ['@', 'second']
  ])('%s gives the same file of then', (spec, name) => {
    const old = found(spec)
    expect(old).toMatchObject({ taken: 'revision', source: { text: `name: ${name}\n` } })
    expect(old.source.file).toBe(`${spec}:home.yaml`)
    expect(old.said).toContain(name === 'first' ? first.slice(0, 10) : second.slice(0, 10))
  })

  test('by its number, whole or cut', () => {
    expect(found(first).source.text).toBe('name: first\n')
    expect(found(second.slice(0, 9)).source.text).toBe('name: second\n')
  })

  test('is looked for where the file lies, and not where one is', () => {
    process.chdir(base)
    expect(found('HEAD~1', 'repo/sub/home.yaml').source.text).toBe('name: first in sub\n')
    expect(found('HEAD', join(repo, 'sub', '-x.yaml')).source.text).toBe('name: dash\n')
    expect(found('HEAD', 'repo/sub/a:b.yaml').source.text).toBe('name: colon\n')
    // git knows a link by where it leads.
    expect(found('HEAD', 'repo/link.yaml').source.text).toBe('name: first in sub\n')
  })

  test('of another file, from the top of the repository or from the folder of the file', () => {
    expect(found('v1.2:other.yaml')).toMatchObject({
      source: { file: 'v1.2:other.yaml', text: 'name: other\n' },
      taken: 'revision'
    })
    expect(found('HEAD:sub/home.yaml').source.text).toBe('name: first in sub\n')
    expect(found('HEAD:./-x.yaml', 'sub/home.yaml').source.text).toBe('name: dash\n')
    expect(found('HEAD:../other.yaml', 'sub/home.yaml').source.text).toBe('name: other\n')
    expect(found('main@{2000-01-01 10:30:00}:other.yaml').source.text).toBe('name: other\n')
    expect(found('v1.2:sub/a:b.yaml').source.text).toBe('name: colon\n')
  })

  test('without a byte order mark', () => {
    expect(found('HEAD:bom.yaml').source.text).toBe('name: bom\n')
  })

  test('of the repository that the file is in, also within a hook of another one', () => {
    const other = join(base, 'other')
    execFileSync('git', ['init', '--quiet', other], { env: { ...process.env, ...CLEAN } })
    Object.assign(process.env, { GIT_DIR: join(other, '.git'), GIT_WORK_TREE: other, GIT_INDEX_FILE: 'x' })
    expect(found('HEAD~1').source.text).toBe('name: first\n')
  })

  test('is read without running what its attributes and settings name', () => {
    const mark = join(base, 'ran')
    write('.gitattributes', '*.yaml diff=evil filter=evil\n')
    for (const key of [
      'diff.evil.textconv',
      'diff.evil.command',
      'filter.evil.smudge',
      'core.pager',
      'pager.cat-file',
      'core.fsmonitor',
      'alias.cat-file'
    ])
      git('config', key, `!touch ${mark}; cat`)
    expect(found('HEAD').source.text).toBe('name: second\n')
    expect(existsSync(mark)).toBe(false)
    execFileSync('git', ['checkout', '--quiet', 'HEAD', '--', '.'], { cwd: repo, stdio: 'ignore' })
    for (const section of ['diff.evil', 'filter.evil', 'pager', 'alias'])
      git('config', '--remove-section', section)
    for (const key of ['core.pager', 'core.fsmonitor']) git('config', '--unset', key)
    rmSync(join(repo, '.gitattributes'))
    rmSync(mark, { force: true })
    write('home.yaml', 'name: written\n')
  })
})

describe.skipIf(without)('a file', () => {
  test('counts before a revision of its name, which is said', () => {
    expect(found('other.yaml')).toEqual({
      source: { file: 'other.yaml', text: 'name: other\n' },
      taken: 'file',
      said: 'the file "other.yaml", not the revision of that name (that would be "other.yaml^0")'
    })
    expect(found('other.yaml^0')).toMatchObject({ taken: 'revision', source: { text: 'name: first\n' } })
    expect(found('./other.yaml').said).toBe('the file "./other.yaml"')
    expect(found('sub/home.yaml')).toMatchObject({ taken: 'file', said: 'the file "sub/home.yaml"' })
  })

  test('does so where its name begins with a dash, or has a colon', () => {
    write('-q', 'name: q\n')
    write('HEAD:home.yaml', 'name: trap\n')
    expect(found('-q').source.text).toBe('name: q\n')
    expect(found('HEAD:home.yaml')).toMatchObject({ taken: 'file', source: { text: 'name: trap\n' } })
    rmSync(join(repo, '-q'))
    rmSync(join(repo, 'HEAD:home.yaml'))
  })

  test('but a folder of the name of a branch does not', () => {
    expect(found('sub')).toMatchObject({ taken: 'revision', source: { text: 'name: first\n' } })
    expect(refused('folder')).toBe(
      '"folder" is a directory, and there is no file "folder", and the git repository has no revision "folder"'
    )
  })

  test('that cannot be read says why', () => {
    expect(refused('binary.yaml')).toBe('cannot read "binary.yaml": it is not a text file in UTF-8')
  })

  test('outside of any repository', () => {
    writeFileSync(join(base, 'a.yaml'), 'name: a\n')
    writeFileSync(join(base, 'b.yaml'), 'name: b\n')
    process.chdir(base)
    expect(found('b.yaml', 'a.yaml')).toMatchObject({
      said: 'the file "b.yaml"',
      source: { text: 'name: b\n' }
    })
  })
})

describe.skipIf(without)('nothing is taken, in one line', () => {
  test.each([
    [
      'no-such-thing',
      'there is no file "no-such-thing", and the git repository has no revision "no-such-thing"'
    ],
    ['HEAD~99', 'there is no file "HEAD~99", and the git repository has no revision "HEAD~99"'],
    ['deadbeef', 'there is no file "deadbeef", and the git repository has no revision "deadbeef"'],
    [':other.yaml', 'there is no file ":other.yaml", and before the colon stands no revision'],
    ['', 'nothing to compare with: --diff needs a file or a git revision'],
    ['a\nb', 'there is no file "a\\nb", and the git repository has no revision "a\\nb"']
  ])('%j', (spec, words) => {
    expect(refused(spec)).toBe(words)
  })

  test('for a file that is not in the revision', () => {
    expect(refused('v1.2', 'later.yaml')).toBe(
      `"later.yaml" is not in the revision "v1.2" (${first.slice(0, 10)})`
    )
    expect(refused('v1.2:nobody.yaml')).toMatch(/^"nobody\.yaml" is not in the revision "v1\.2" \(\w{10}\)$/)
    expect(refused('v1.2:-x.yaml', 'sub/home.yaml')).toMatch(
      /; from the folder of the file it is "\.\/-x\.yaml"$/
    )
    expect(refused('v1.2:folder')).toMatch(/^"folder" is a directory in the revision "v1\.2"/)
    expect(refused('v1.2:../../x')).toBe('"../../x" leads out of the repository')
    expect(refused('HEAD:binary.yaml')).toMatch(
      /^"binary\.yaml" of the revision "HEAD" .* is not a text file in UTF-8$/
    )
  })

  test('for the beginning of several revisions', () => {
    const many = join(base, 'many')
    const options = { cwd: many, encoding: 'utf8', env: { ...process.env, ...CLEAN } } as const
    execFileSync('git', ['init', '--quiet', many], { ...options, cwd: base })
    // Of so many some begin with the same four digits, which are the fewest that git takes.
    const stream = Array.from(
      { length: 1500 },
      (_, i) =>
        `commit refs/heads/main\ncommitter a <a> ${i} +0000\ndata 0\n${i === 0 ? 'M 644 inline home.yaml\ndata 2\na\n' : ''}\n`
    )
    execFileSync('git', ['fast-import', '--quiet'], { ...options, input: stream.join('') })
    writeFileSync(join(many, 'home.yaml'), 'a\n')
    const beginnings = execFileSync('git', ['rev-list', '--all'], options)
      .split('\n')
      .map(sha => sha.slice(0, 4))
    const shared = beginnings.find((start, i) => beginnings.indexOf(start) < i) ?? ''
    expect(refused(shared, join(many, 'home.yaml'))).toBe(
      `there is no file "${shared}", and "${shared}" is the beginning of several revisions`
    )
  })

  test('without a repository, and in one without a revision', () => {
    writeFileSync(join(base, 'a.yaml'), 'name: a\n')
    expect(refused('HEAD', join(base, 'a.yaml'))).toBe(
      `there is no file "HEAD", and ${JSON.stringify(base)} is in no git repository`
    )
    const empty = join(base, 'empty')
    execFileSync('git', ['init', '--quiet', empty], { env: { ...process.env, ...CLEAN } })
    writeFileSync(join(empty, 'a.yaml'), 'name: a\n')
    expect(refused('HEAD', join(empty, 'a.yaml'))).toBe(
      'there is no file "HEAD", and the git repository has no revision yet'
    )
  })

  test('without git', () => {
    process.env['PATH'] = join(base, 'nowhere')
    expect(refused('HEAD')).toBe(
      'there is no file "HEAD", and git, which would know revisions, is not installed'
    )
    expect(found('other.yaml').said).toBe('the file "other.yaml"')
  })

  test('where git does not trust the repository', () => {
    const fake = join(base, 'bin')
    mkdirSync(fake)
    writeFileSync(
      join(fake, 'git'),
      `#!/bin/sh\necho "fatal: detected dubious ownership in repository at '${repo}'" >&2; exit 128\n`
    )
    chmodSync(join(fake, 'git'), 0o755)
    process.env['PATH'] = `${fake}:/bin:/usr/bin`
    expect(refused('HEAD')).toMatch(/git does not trust the repository, which belongs to another user/)
  })

  test('for standard input', () => {
    expect(refused('HEAD', '-')).toBe(
      'there is no file "HEAD", and what comes from standard input has no revisions'
    )
    expect(refused('-', '-')).toBe('both versions cannot come from standard input')
  })

  test.each([
    '--output=x',
    '-x',
    '--exec-path=.',
    '--help',
    '--upload-pack=touch ran',
    '-c core.pager=x',
    '--end-of-options',
    '--output=x:home.yaml',
    '-:home.yaml'
  ])('for what git would take for an option: %s', spec => {
    const before = readdirSync(repo)
    expect(refused(spec)).toBe(`there is no file ${JSON.stringify(spec)}, and no revision begins with "-"`)
    expect(readdirSync(repo)).toEqual(before)
  })

  test.each([
    'HEAD; touch ran',
    '$(touch ran)',
    '`touch ran`',
    'HEAD\0--output=x',
    'HEAD | cat',
    'HEAD:$(touch ran)',
    'HEAD:--output=ran',
    'HEAD --output=ran'
  ])('for what a shell would run: %j', spec => {
    const before = readdirSync(repo)
    refused(spec)
    expect(readdirSync(repo)).toEqual(before)
  })
})
