import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { faultOf, type Item, type Owner, survey, write } from '../src/cli/files.ts'
import { type Artifact, markOf } from '../src/emit/emitter.ts'

// What happens to a folder, also when a run is stopped, disturbed or refused something at any moment.

/** Is asked before every call of files.ts to the file system; what it throws, the call throws. */
let before: ((call: string, path: unknown) => void) | undefined

/** How many bytes the system writes at once. */
let most: number | undefined

vi.mock('node:fs', async importOriginal => {
  const original = await importOriginal<Readonly<Record<string, unknown>>>()
  const watched = (name: string, value: unknown): unknown =>
    typeof value === 'function' && name.endsWith('Sync')
      ? (...args: readonly unknown[]): unknown => {
          before?.(name, args[0])
          const [descriptor, bytes, done] = args
          return name === 'writeSync' && bytes instanceof Buffer && most !== undefined
            ? Reflect.apply(value, undefined, [descriptor, bytes.subarray(0, Number(done) + most), done])
            : Reflect.apply(value, undefined, args)
        }
      : value
  return Object.fromEntries(Object.entries(original).map(([name, value]) => [name, watched(name, value)]))
})

const OURS: Owner = { target: 'networkd', topology: 'home' }
const THEIRS: Owner = { target: 'networkd', topology: 'office' }

const file = (path: string, text: string, owner = OURS): Artifact => ({
  path,
  text: `# ${markOf(owner.target, { version: '1.2.3', topology: owner.topology })}\n${text}\n`
})

/** Two states of one topology: a file that stays, one that changes, one that goes, one that comes. */
const OLD = [file('10-stays', 's'), file('20-changes', 'old'), file('30-goes', 'g')]
const NEW = [file('10-stays', 's'), file('20-changes', 'new'), file('40-comes', 'c')]
const NAMES = [...new Set([...OLD, ...NEW].map(({ path }) => path))].sort()

const root = mkdtempSync(join(tmpdir(), 'netplan-files-'))
let count = 0
let folder = ''

beforeEach(() => {
  before = undefined
  folder = join(root, String((count += 1)))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** The folder's regular files by name. */
const contents = (of = folder): Record<string, string> =>
  Object.fromEntries(
    readdirSync(of)
      .filter(name => lstatSync(join(of, name)).isFile())
      .map(name => [name, readFileSync(join(of, name), 'utf8')])
  )

const asContents = (artifacts: readonly Artifact[]): Record<string, string> =>
  Object.fromEntries(artifacts.map(({ path, text }) => [path, text]))

/** Puts files there, and says what was done. */
const put = (
  artifacts: readonly Artifact[],
  owner = OURS
): { result: ReturnType<typeof write>; said: string[] } => {
  const said: string[] = []
  const result = write(folder, artifacts, owner, (change, name) => said.push(`${change} ${name}`))
  return { result, said }
}

const states = (artifacts: readonly Artifact[], owner = OURS): [string, string][] =>
  survey(folder, artifacts, owner).map(({ name, state }: Item) => [name, state])

const faultIn = (action: () => unknown): string | undefined => {
  try {
    action()
  } catch (error) {
    const fault = faultOf(error)
    if (fault === undefined) throw error
    return fault
  }
  return undefined
}

const TEMPORARY = '.netplan-0123456789abcdef.tmp'

describe('a folder becomes what the files say', () => {
  test('and is made with the folders above it', () => {
    folder = join(folder, 'a b', 'ü→\u{1f4e6}')
    const { result, said } = put(NEW)
    expect(result).toEqual({ unchanged: 0 })
    expect(said).toEqual(NAMES.filter(name => name !== '30-goes').map(name => `wrote ${name}`))
    expect(contents()).toEqual(asContents(NEW))
  })

  test('by writing what is new or differs and removing what is no more', () => {
    put(OLD)
    expect(states(NEW)).toEqual([
      ['10-stays', 'same'],
      ['20-changes', 'differs'],
      ['30-goes', 'left over'],
      ['40-comes', 'missing']
    ])
    const { result, said } = put(NEW)
    expect(result).toEqual({ unchanged: 1 })
    expect(said).toEqual(['wrote 20-changes', 'wrote 40-comes', 'removed 30-goes'])
    expect(contents()).toEqual(asContents(NEW))
    expect(states(NEW).map(([, state]) => state)).toEqual(['same', 'same', 'same'])
  })

  test('without touching what is right already', () => {
    put(NEW)
    const times = (): (readonly [number, number, number])[] =>
      NEW.map(({ path }) => statSync(join(folder, path))).map(
        ({ mtimeMs, ctimeMs, ino }) => [mtimeMs, ctimeMs, ino] as const
      )
    for (const { path } of NEW) utimesSync(join(folder, path), 1e9, 1e9)
    const earlier = times()
    const folderTime = statSync(folder).mtimeMs
    expect(put(NEW)).toEqual({ result: { unchanged: 3 }, said: [] })
    expect(times()).toEqual(earlier)
    expect(statSync(folder).mtimeMs).toBe(folderTime)
  })

  test('with no file at all, which makes no folder', () => {
    expect(put([])).toEqual({ result: { unchanged: 0 }, said: [] })
    expect(existsSync(folder)).toBe(false)
    put(OLD)
    expect(put([]).said).toEqual(OLD.map(({ path }) => `removed ${path}`))
    expect(contents()).toEqual({})
  })

  test.each([
    [0o022, 0o644],
    [0o077, 0o600],
    [0o002, 0o644],
    [0o027, 0o640]
  ])('with a umask of %o as %o', (mask, mode) => {
    const earlier = process.umask(mask)
    try {
      put(NEW)
    } finally {
      process.umask(earlier)
    }
    for (const { path } of NEW) expect(statSync(join(folder, path)).mode & 0o7777).toBe(mode)
  })

  test('which may be a link itself', () => {
    mkdirSync(join(folder, 'real'), { recursive: true })
    symlinkSync('real', join(folder, 'link'))
    folder = join(folder, 'link')
    put(NEW)
    expect(contents(`${folder}/../real`)).toEqual(asContents(NEW))
    expect(put(OLD).result).toEqual({ unchanged: 1 })
    expect(readlinkSync(folder)).toBe('real')
  })

  test('where a name on the way means what it means to the kernel', () => {
    mkdirSync(join(folder, 'there/deep'), { recursive: true })
    symlinkSync('there/deep', join(folder, 'link'))
    folder = `${folder}/link/../out`
    put(NEW)
    expect(contents(folder.replace('/link/../', '/there/'))).toEqual(asContents(NEW))
    expect(states(NEW).map(([, state]) => state)).toEqual(['same', 'same', 'same'])
  })

  test('a file that has other names loses only its own', () => {
    put(OLD)
    linkSync(join(folder, '20-changes'), join(root, `kept-${count}`))
    put(NEW)
    expect(readFileSync(join(root, `kept-${count}`), 'utf8')).toBe(asContents(OLD)['20-changes'])
  })

  test('of files of some megabytes, and ones longer than what they were', () => {
    const large = file('large', 'x\n'.repeat(2_000_000))
    put([large])
    expect(states([large])).toEqual([['large', 'same']])
    expect(states([file('large', `${'x\n'.repeat(1_999_999)}y\n`)])).toEqual([['large', 'differs']])
    truncateSync(join(folder, 'large'), 3_000_000)
    expect(put([large]).said).toEqual(['wrote large'])
    expect(contents()).toEqual(asContents([large]))
    truncateSync(join(folder, 'large'), 2 ** 40)
    expect(survey(folder, [large], OURS)).toMatchObject([{ state: 'differs', old: undefined }])
    expect(put([large]).said).toEqual(['wrote large'])
  })
})

describe('what netplan did not make is left alone', () => {
  const FOREIGN: Readonly<Record<string, string>> = {
    'nobody.network': '[Match]\nName=eth0\n',
    'empty.network': '',
    'late.network': `\n${file('x', '').text}`,
    'almost.network': '# Made by netplan for networkd from the topology "home"\n',
    'binary.network': '\0\x01\x02',
    'other-topology.network': file('x', 'y', THEIRS).text,
    'other-target.nix': file('x', 'y', { ...OURS, target: 'nixos' }).text,
    'long.network': 'x'.repeat(3_000_000)
  }
  const fill = (): void => {
    mkdirSync(folder, { recursive: true })
    for (const [name, text] of Object.entries(FOREIGN)) writeFileSync(join(folder, name), text)
    mkdirSync(join(folder, 'folder.network'))
    symlinkSync('/etc/hostname', join(folder, 'link.network'))
    symlinkSync(join(folder, 'nobody.network'), join(folder, 'ours.network'))
  }

  test('beside our files', () => {
    fill()
    put(OLD)
    put(NEW)
    put([])
    expect(contents()).toEqual(FOREIGN)
    expect(readdirSync(folder)).toHaveLength(Object.keys(FOREIGN).length + 3)
  })

  test('and is named, each with its reason, before anything is written', () => {
    fill()
    put(OLD)
    const all = [
      ...NEW,
      ...Object.keys(FOREIGN).map(name => file(name, 'mine')),
      file('folder.network', 'mine'),
      file('link.network', 'mine'),
      file('ours.network', 'mine')
    ]
    writeFileSync(join(folder, TEMPORARY), 'half')
    const { result, said } = put(all)
    expect(said).toEqual([])
    expect('foreign' in result && result.foreign.map(({ name, why }) => [name, why])).toEqual(
      [
        ['nobody.network', 'netplan did not make it, its first line does not say so'],
        ['empty.network', 'netplan did not make it, its first line does not say so'],
        ['late.network', 'netplan did not make it, its first line does not say so'],
        ['almost.network', 'netplan did not make it, its first line does not say so'],
        ['binary.network', 'netplan did not make it, its first line does not say so'],
        ['long.network', 'netplan did not make it, its first line does not say so'],
        ['other-topology.network', 'it was made from the topology "office", not "home"'],
        ['other-target.nix', 'it was made for the target nixos'],
        ['folder.network', 'it is a directory'],
        ['link.network', 'it is a symbolic link'],
        ['ours.network', 'it is a symbolic link']
      ].sort(([a = ''], [b = '']) => (a < b ? -1 : 1))
    )
    expect(contents()).toEqual({ ...FOREIGN, ...asContents(OLD), [TEMPORARY]: 'half' })
  })

  test('also a pipe that nobody writes to, and a socket', async () => {
    mkdirSync(folder)
    expect(spawnSync('mkfifo', [join(folder, 'pipe')]).status).toBe(0)
    const server = createServer().listen(join(folder, 'socket'))
    await once(server, 'listening')
    expect(states([file('pipe', ''), file('socket', '')])).toEqual([
      ['pipe', 'foreign'],
      ['socket', 'foreign']
    ])
    expect(put([file('a', '')]).said).toEqual(['wrote a'])
    expect(lstatSync(join(folder, 'pipe')).isFIFO()).toBe(true)
    expect(lstatSync(join(folder, 'socket')).isSocket()).toBe(true)
    server.close()
  })

  test('two topologies, and two targets, live in one folder', () => {
    const theirs = [file('50-theirs', 't', THEIRS)]
    const nixos = { ...OURS, target: 'nixos' }
    put(OLD)
    put(theirs, THEIRS)
    put([file('module.nix', '{ }', nixos)], nixos)
    expect(put(NEW).said).toEqual(['wrote 20-changes', 'wrote 40-comes', 'removed 30-goes'])
    expect(put([], THEIRS).said).toEqual(['removed 50-theirs'])
    expect(put([], nixos).said).toEqual(['removed module.nix'])
    expect(contents()).toEqual(asContents(NEW))
  })

  test.each([
    '',
    '"',
    '\\',
    'a"; change',
    'a\nb',
    'ü\u2028\u{1f4e6}\ud800',
    'x'.repeat(10_000),
    '\u001b[31m'
  ])('a topology called %j knows its files again, and no other does', topology => {
    const owner = { ...OURS, topology }
    put([file('a', '1', owner)], owner)
    expect(put([file('a', '2', owner)], owner).said).toEqual(['wrote a'])
    expect(states([file('a', '2')])).toEqual([['a', 'foreign']])
    expect(put([], { ...OURS, topology: `${topology}x` }).said).toEqual([])
    expect(put([], owner).said).toEqual(['removed a'])
  })
})

describe('what a killed run left', () => {
  test('is removed, but nothing that only has such a name', () => {
    put(NEW)
    writeFileSync(join(folder, TEMPORARY), 'half')
    mkdirSync(join(folder, '.netplan-1111111111111111.tmp'))
    symlinkSync('/etc/hostname', join(folder, '.netplan-2222222222222222.tmp'))
    for (const name of ['.netplan-0123.tmp', '.netplan-0123456789abcdeg.tmp', 'netplan.tmp'])
      writeFileSync(join(folder, name), 'mine')
    expect(states(NEW).map(([, state]) => state)).toEqual(['same', 'same', 'same'])
    expect(put(NEW)).toEqual({ result: { unchanged: 3 }, said: [`removed ${TEMPORARY}`] })
    expect(readdirSync(folder).sort()).toEqual(
      [
        ...NEW.map(({ path }) => path),
        '.netplan-0123.tmp',
        '.netplan-0123456789abcdeg.tmp',
        '.netplan-1111111111111111.tmp',
        '.netplan-2222222222222222.tmp',
        'netplan.tmp'
      ].sort()
    )
  })

  test('has a name that an emitter must not use', () => {
    expect(() => put([file(TEMPORARY, '')])).toThrow(/calls a file/)
  })
})

describe('a fault of an emitter writes nothing', () => {
  test.each(['', '.', '..', '../up', '/etc/passwd', 'a/b', 'a\0b'])('a file called %j', name => {
    expect(() => put([...NEW, file(name, '')])).toThrow(/calls a file/)
    expect(existsSync(folder)).toBe(false)
  })

  test.each<[string, Artifact]>([
    ['without a mark', { path: 'a', text: 'x\n' }],
    ['with the mark of another topology', file('a', '', THEIRS)],
    ['with the mark of another target', file('a', '', { ...OURS, target: 'nixos' })],
    ['without an end of its last line', { path: 'a', text: file('a', 'x').text.trimEnd() }]
  ])('a file %s', (_, artifact) => {
    expect(() => put([...NEW, artifact])).toThrow(/no mark/)
    expect(existsSync(folder)).toBe(false)
  })

  test('two files of one name', () => {
    expect(() => put([...NEW, file('10-stays', 'twice')])).toThrow(/one name/)
    expect(existsSync(folder)).toBe(false)
  })
})

describe('what the file system refuses is told in one line', () => {
  test('the folder is a file, or below one', () => {
    writeFileSync(folder, '')
    expect(faultIn(() => put(NEW))).toBe(
      `cannot read ${folder}: it is no directory, or a part of its path is none`
    )
    folder = join(folder, 'below')
    expect(faultIn(() => put(NEW))).toBe(
      `cannot read ${folder}: it is no directory, or a part of its path is none`
    )
  })

  test('the folder is a link to nothing, or to itself', () => {
    symlinkSync('nowhere', folder)
    expect(faultIn(() => put(NEW))).toBe(`cannot write ${folder}/10-stays: a part of its path is not there`)
    rmSync(folder)
    symlinkSync(folder, folder)
    expect(faultIn(() => put(NEW))).toBe(`cannot read ${folder}: its links lead in a circle`)
  })

  test('a name is too long', () => {
    const long = 'x'.repeat(256)
    expect(faultIn(() => put([...NEW, file(long, '')]))).toBe(
      `cannot read ${join(folder, long)}: the name is too long`
    )
    expect(contents()).toEqual({})
    put([...NEW, file(long.slice(1), '')])
    folder = join(folder, long)
    expect(faultIn(() => put(NEW))).toBe(`cannot read ${folder}: the name is too long`)
  })
})

/** How often a run calls the file system. */
const callsOf = (action: () => void): string[] => {
  const calls: string[] = []
  before = call => calls.push(call)
  action()
  before = undefined
  return calls
}

/** The folder before the run: with the old files, one of somebody else, and what a killed run left. */
const prepared = (): void => {
  put(OLD)
  writeFileSync(join(folder, TEMPORARY), 'half')
  writeFileSync(join(folder, 'foreign'), 'foreign\n')
}

/** Every file is the old one or the new one, or not there where one of them is not. */
const expectWhole = (): void => {
  const [old, now, there] = [asContents(OLD), asContents(NEW), contents()]
  for (const name of NAMES) expect([old[name], now[name]]).toContain(there[name])
  expect(there['foreign']).toBe('foreign\n')
}

const calls = (() => {
  folder = join(root, 'calls')
  prepared()
  return callsOf(() => put(NEW))
})()

test('a run calls the file system often enough for what follows', () => {
  expect(calls.length).toBeGreaterThan(50)
  for (const call of ['openSync', 'writeSync', 'fsyncSync', 'linkSync', 'renameSync', 'unlinkSync'])
    expect(calls).toContain(call)
  // The file is on the disk before it has its name.
  expect(calls.indexOf('renameSync')).toBeGreaterThan(calls.indexOf('fsyncSync'))
  expect(calls.lastIndexOf('fsyncSync')).toBeGreaterThan(calls.lastIndexOf('renameSync'))
})

describe('at each call of a run to the file system', () => {
  const each = calls.map((call, i) => [i, call] as const)
  const lastLook = calls.lastIndexOf('readdirSync')

  test.each(each)('it may be killed (%i, %s)', at => {
    prepared()
    let i = 0
    before = () => {
      if (i++ >= at) throw new Error('killed')
    }
    expect(() => put(NEW)).toThrow('killed')
    before = undefined
    expectWhole()
    put(NEW)
    expect(contents()).toEqual({ ...asContents(NEW), foreign: 'foreign\n' })
  })

  test.each(each)('the disk may be full (%i, %s)', (at, call) => {
    prepared()
    let i = 0
    before = () => {
      if (i++ === at) throw Object.assign(new Error('ENOSPC: x'), { code: 'ENOSPC', errno: -28 })
    }
    const fault = faultIn(() => put(NEW))
    before = undefined
    expectWhole()
    // Nothing is left behind, but what could not be removed.
    const left = readdirSync(folder).filter(name => name.startsWith('.netplan-'))
    if (call !== 'unlinkSync') expect(left.filter(name => name !== TEMPORARY)).toEqual([])
    if (fault !== undefined) expect(fault).toMatch(/^cannot (?:read|write|remove|make) [^\n]+$/)
    if (call === 'writeSync') expect(fault).toMatch(/: no space is left on the disk$/)
    put(NEW)
    expect(contents()).toEqual({ ...asContents(NEW), foreign: 'foreign\n' })
  })

  test.each(each)('another run of the same topology may do all of its work (%i, %s)', at => {
    prepared()
    let i = 0
    before = () => {
      if (i++ !== at) return
      const watch = before
      before = undefined
      put(OLD)
      before = watch
    }
    put(NEW)
    const [old, now] = [OLD, NEW].map(state => ({ ...asContents(state), foreign: 'foreign\n' }))
    // One that came and went while ours looked for the last time was the last to write.
    expect(at < lastLook ? [now] : [old, now]).toContainEqual(contents())
  })

  test.each(each)('another topology may take a name, and keeps it (%i, %s)', at => {
    prepared()
    const theirs = [file('40-comes', 'theirs', THEIRS)]
    let i = 0
    let other: ReturnType<typeof put>['result'] | undefined
    before = () => {
      if (i++ !== at) return
      before = undefined
      other = put(theirs, THEIRS).result
    }
    const { result } = put(NEW)
    // One of both has it and the other one was told so.
    const owner = contents()['40-comes']
    if (owner === theirs[0]?.text) {
      expect(result).toMatchObject({ foreign: [{ name: '40-comes' }] })
      expect(other).toEqual({ unchanged: 0 })
    } else {
      expect(owner).toBe(asContents(NEW)['40-comes'])
      expect(other).toMatchObject({ foreign: [{ name: '40-comes' }] })
    }
  })

  test.each(each)('the folder may vanish (%i, %s)', at => {
    prepared()
    let i = 0
    before = () => {
      if (i++ === at) rmSync(folder, { recursive: true })
    }
    const fault = faultIn(() => put(NEW))
    before = undefined
    if (fault === undefined) expect(at < lastLook ? contents() : asContents(NEW)).toEqual(asContents(NEW))
    else expect(fault).toMatch(/^cannot [^\n]+: a part of its path is not there$/)
  })
})

/** Acts once, before a call on a path that matches: the first of them, or another one. */
const actBefore = (wanted: string, path: RegExp, action: (path: string) => void, which = 1): void => {
  let seen = 0
  before = (call, at) => {
    if (call !== wanted || typeof at !== 'string' || !path.test(at) || (seen += 1) < which) return
    before = undefined
    action(at)
  }
}

test('a system that writes a part only is asked again', () => {
  most = 7
  try {
    put(NEW)
  } finally {
    most = undefined
  }
  expect(contents()).toEqual(asContents(NEW))
})

test('a file that somebody writes at the last moment is not lost', () => {
  const mine = join(folder, '40-comes')
  actBefore('linkSync', /\.netplan-/, () => writeFileSync(mine, 'mine\n'))
  expect(put([file('40-comes', 'c')]).result).toMatchObject({ foreign: [{ name: '40-comes' }] })
  expect(contents()).toEqual({ '40-comes': 'mine\n' })
})

test('a link that somebody puts in the place of a file at the last moment is not followed', () => {
  const precious = join(root, `precious-${count}`)
  writeFileSync(precious, 'precious\n')
  // Who knows the name of the temporary file beforehand gains nothing.
  actBefore('openSync', /\.netplan-/, path => symlinkSync(precious, path))
  expect(faultIn(() => put(NEW))).toBe(
    `cannot write ${folder}/10-stays: there is something else of that name`
  )
  rmSync(folder, { recursive: true })
  put(OLD)
  actBefore('renameSync', /\.netplan-/, () => {
    rmSync(join(folder, '20-changes'))
    symlinkSync(precious, join(folder, '20-changes'))
  })
  put(NEW)
  expect(contents()).toEqual(asContents(NEW))
  expect(readFileSync(precious, 'utf8')).toBe('precious\n')
  // Not even to read: it is looked at twice, to compare it and before it is replaced.
  for (const which of [1, 2]) {
    put(OLD)
    writeFileSync(precious, OLD[1]?.text ?? '')
    const swap = (path: string): void => {
      rmSync(path)
      symlinkSync(precious, path)
    }
    actBefore('openSync', /20-changes$/, swap, which)
    expect(put(NEW).result).toMatchObject({ foreign: [{ name: '20-changes' }] })
    expect(readlinkSync(join(folder, '20-changes'))).toBe(precious)
    rmSync(join(folder, '20-changes'))
  }
})

test('a file system without links is written to all the same', () => {
  for (const code of ['EPERM', 'ENOTSUP', 'ENOSYS', 'EMLINK']) {
    before = call => {
      if (call === 'linkSync') throw Object.assign(new Error(code), { code, errno: -1 })
    }
    expect(put(NEW).said).toHaveLength(3)
    expect(contents()).toEqual(asContents(NEW))
    before = undefined
    put([])
  }
})

test('a folder that cannot be synced is written to all the same, a broken disk is told', () => {
  let synced = 0
  const refuse = (code: string): void => {
    synced = 0
    before = call => {
      if (call === 'fsyncSync' && ++synced === 4) throw Object.assign(new Error(code), { code, errno: -1 })
    }
  }
  refuse('EINVAL')
  expect(put(NEW).result).toEqual({ unchanged: 0 })
  put([])
  refuse('EIO')
  expect(faultIn(() => put(NEW))).toBe(`cannot write ${folder}: the disk does not answer`)
})

test('a folder that others change all the time is given up', () => {
  let rounds = 0
  const spoil = (): void =>
    actBefore('readdirSync', /./, () => {
      writeFileSync(join(folder, '20-changes'), file('20-changes', String((rounds += 1))).text)
      spoil()
    })
  put(OLD)
  spoil()
  expect(faultIn(() => put(NEW))).toMatch(/somebody else changes its files at the same time; run it again$/)
  expect(rounds).toBeGreaterThan(5)
})

/** A program that writes the two states in turns until it is killed, or a state once. */
const DRIVER = `
import { write } from './files.mjs'
import { readFileSync } from 'node:fs'
const [folder, data, ...which] = process.argv.slice(2)
const { owner, states } = JSON.parse(readFileSync(data, 'utf8'))
console.log('ready')
for (let i = 0; which.length === 0 || i < which.length; i += 1)
  write(folder, states[which[i] ?? i % 2], owner, () => {})
`

describe('real processes', () => {
  const large = (path: string, text: string): Artifact => file(path, `${text}\n`.repeat(400_000))
  const STATES = [
    [large('a', 'old a'), large('b', 'old b'), file('c', 'old c'), file('gone', 'g')],
    [large('a', 'new a'), large('b', 'new b'), file('c', 'new c'), file('come', 'c')]
  ]
  const driver = join(root, 'driver.mjs')
  const data = join(root, 'data.json')

  beforeAll(async () => {
    const bundle = await rolldown({
      input: fileURLToPath(new URL('../src/cli/files.ts', import.meta.url)),
      platform: 'node'
    })
    await bundle.write({ file: join(root, 'files.mjs'), format: 'esm' })
    await bundle.close()
    writeFileSync(driver, DRIVER)
    writeFileSync(data, JSON.stringify({ owner: OURS, states: STATES }))
  })

  /** Runs the driver; kills it this long after it began to write. */
  const run = (which: readonly string[], after?: number): Promise<string> =>
    new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [driver, folder, data, ...which], {
        timeout: 30_000,
        killSignal: 'SIGKILL'
      })
      let text = ''
      child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
      child.stdout.once('data', () => {
        if (after !== undefined) setTimeout(() => child.kill('SIGKILL'), after)
      })
      child.on('error', reject)
      child.on('close', () => resolve(text))
    })

  test('killed at any moment leave each file old or new, and the next run mends all', async () => {
    let halfway = 0
    put(STATES[0] ?? [])
    for (let i = 0; i < 20; i += 1) {
      expect(await run([], 5 + Math.random() * 150)).toBe('')
      const there = contents()
      const names = Object.keys(there).filter(name => !name.startsWith('.netplan-'))
      for (const name of names) expect(STATES.map(state => asContents(state)[name])).toContain(there[name])
      if (names.length < Object.keys(there).length) halfway += 1
      const state = STATES[i % 2] ?? []
      put(state)
      expect(contents()).toEqual(asContents(state))
    }
    expect(halfway).toBeGreaterThan(0)
  }, 180_000)

  test('at the same time end with one whole set and nothing else', async () => {
    for (let i = 0; i < 4; i += 1) {
      const runs = ['0', '1', '0', '1'].map(which => run([which, which]))
      for (const text of await Promise.all(runs)) expect(text).toBe('')
      expect(STATES.map(asContents)).toContainEqual(contents())
    }
  })
})

describe('a user who may not', () => {
  /** Runs as a user without rights over what belongs to root. */
  const asNobody = async (action: () => void): Promise<void> => {
    if (process.getuid?.() !== 0) return action()
    process.seteuid?.(65_534)
    try {
      action()
    } finally {
      process.seteuid?.(0)
    }
  }

  test('is told that permission is denied', async () => {
    put(OLD)
    chmodSync(root, 0o755)
    chmodSync(folder, 0o555)
    await asNobody(() => {
      expect(faultIn(() => put(NEW))).toBe(`cannot write ${folder}/20-changes: permission denied`)
    })
    chmodSync(folder, 0o700)
    expect(contents()).toEqual(asContents(OLD))
    chmodSync(folder, 0o666)
    await asNobody(() => {
      expect(faultIn(() => put(NEW))).toMatch(/^cannot read .*: permission denied$/)
    })
    chmodSync(folder, 0o755)
    chmodSync(join(folder, '20-changes'), 0)
    await asNobody(() => {
      expect(states(NEW)).toContainEqual(['20-changes', 'foreign'])
    })
  })
})
