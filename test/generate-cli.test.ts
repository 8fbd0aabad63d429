import { spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test, type TestContext } from 'vitest'
import { readMark } from '../src/emit/emitter.ts'
import { EMITTERS } from '../src/emit/index.ts'
import { built, command, type Options, type Outcome, root, start } from './command.ts'
import { absent, inNamespace } from './judge.ts'

// `netplan generate`, run as users run it.

const TARGETS = EMITTERS.map(({ id }) => id)

/** A host with bridges, each with a container; networkd makes two files of each. */
const topology = (bridges: readonly number[], last = 1, more = ''): string =>
  [
    'version: 1',
    `host: { manager: networkd, interfaces: { enp1s0: { dhcp: true } }${more} }`,
    'bridges:',
    ...bridges.map(i => `  br${i}: { address: [10.${i >> 8}.${i & 255}.${last}/24] }`),
    'containers:',
    ...bridges.map(
      i => `  c${i}: { privateNetwork: true, hostBridge: br${i}, localAddress: 10.${i >> 8}.${i & 255}.9/24 }`
    ),
    ''
  ].join('\n')

const HOME = topology([1, 2])
const BAD = `version: 1
bridges:
  br0: { address: [10.0.0.1/33] }
  br7: { address: [10.9.0.1/24], dhcp: true }
`
const WARNING = topology([1]).replace('/24]', '/24], dhcp: true')
const RSTP = `version: 1
bridges:
  br0:
    address: [10.0.0.1/24]
    rstp: true
`

const base = mkdtempSync(join(tmpdir(), 'netplan-generate-'))
let count = 0
let folder = ''

/** What no run may ever print: a stack, a fault of the program itself, what a terminal acts on. */
const checkOutput = ({ stdout, stderr }: Outcome): void => {
  const text = stdout + stderr
  expect(text).not.toMatch(/^ {4}at /m)
  expect(text).not.toMatch(/fault of netplan itself|node:internal|Error: |\bundefined\b|\[object Object\]/)
  for (const line of stderr.split('\n')) expect(line).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u)
}

const netplan = async (args: readonly string[], options: Partial<Options> = {}): Promise<Outcome> => {
  const outcome = await start(process.execPath, [command, ...args], { cwd: folder, ...options })
  checkOutput(outcome)
  return outcome
}

const generate = (...args: readonly string[]): Promise<Outcome> => netplan(['generate', ...args])

/** With a topology and the target that makes several files. */
const units = (...args: readonly string[]): Promise<Outcome> =>
  generate('home.yaml', '--target', 'networkd', ...args)

const skip = (context: TestContext, reason: string): void => {
  console.warn(`skipped, ${context.task.name}: ${reason}`)
  context.skip(reason)
}

const write = (name: string, text: string): void => writeFileSync(join(folder, name), text)
const read = (name: string): string => readFileSync(join(folder, name), 'utf8')

/** The files of a folder by name. */
const contents = (name = 'out'): Record<string, string> =>
  Object.fromEntries(readdirSync(join(folder, name)).map(file => [file, read(join(name, file))]))

/** What standard output has for several files, by name. */
const parted = (stdout: string): Record<string, string> =>
  Object.fromEntries(
    stdout
      .split(/^-- (?=[^\n]+ --\n)/m)
      .slice(1)
      .map(part => [part.slice(0, part.indexOf(' --\n')), part.slice(part.indexOf('\n') + 1)])
  )

beforeAll(built)
afterAll(() => rmSync(base, { recursive: true, force: true }))
beforeEach(() => {
  folder = join(base, String((count += 1)))
  mkdirSync(folder)
  write('home.yaml', HOME)
  write('bad.yaml', BAD)
  write('warning.yaml', WARNING)
  write('rstp.yaml', RSTP)
})

describe('without --out', () => {
  test('several files are printed, each under its name', async () => {
    const { status, stdout, stderr } = await units()
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const names = Array.from(stdout.matchAll(/^-- (\S+) --$/gm), ([, name]) => name)
    for (const bridge of ['br1', 'br2'])
      expect(names).toEqual(expect.arrayContaining([`20-${bridge}.netdev`, `40-${bridge}.network`]))
    expect(names).toEqual(names.toSorted((a = '', b = '') => (a < b ? -1 : 1)))
    for (const text of Object.values(parted(stdout)))
      expect(readMark(text.split('\n')[0] ?? '')).toEqual({ target: 'networkd', topology: 'home' })
  })

  test.each(TARGETS.filter(target => target !== 'networkd'))('the one file of %s is all', async target => {
    const { status, stdout, stderr } = await generate('home.yaml', '--target', target)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(readMark(stdout.split('\n')[0] ?? '')).toEqual({ target, topology: 'home' })
    expect(stdout).not.toMatch(/^-- /m)
    expect(stdout.endsWith('\n')).toBe(true)
  })

  test('nothing is written', async () => {
    const before = readdirSync(folder)
    await units()
    expect(readdirSync(folder)).toEqual(before)
  })

  test('a target without a file says so', async () => {
    write('none.yaml', 'version: 1\n')
    const { status, stdout, stderr } = await generate('none.yaml', '--target', 'networkd')
    expect({ status, stdout, stderr }).toEqual({
      status: 0,
      stdout: '',
      stderr: 'netplan: the target networkd needs no file for this topology\n'
    })
    expect(await generate('none.yaml', '--target', 'networkd', '--out', 'out')).toMatchObject({ status: 0 })
    expect(existsSync(join(folder, 'out'))).toBe(false)
  })
})

describe('the file', () => {
  test('is topology.yaml when none is named', async () => {
    write('topology.yaml', HOME)
    const { status, stdout } = await generate('--target', 'hosts')
    expect(status).toBe(0)
    expect(readMark(stdout.split('\n')[0] ?? '')?.topology).toBe('topology')
  })

  test('is standard input for -, also behind options', async () => {
    for (const args of [
      ['-', '--target', 'hosts'],
      ['--target', 'hosts', '-']
    ]) {
      const { status, stdout, stderr } = await netplan(['generate', ...args], { input: HOME })
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      expect(readMark(stdout.split('\n')[0] ?? '')?.topology).toBe('stdin')
    }
  })

  test.each([
    ['sub/a b.yaml', 'a b'],
    ['plan.v2.json', 'plan.v2'],
    ['ü"\u{1f4e6}.yaml', 'ü"\u{1f4e6}'],
    ['.yaml', '.yaml'],
    ['007', '007']
  ])('%s gives the name %s', async (name, expected) => {
    mkdirSync(join(folder, 'sub'))
    write(name, HOME)
    const { stdout } = await generate(name, '--target', 'hosts')
    expect(readMark(stdout.split('\n')[0] ?? '')?.topology).toBe(expected)
  })

  test('has a name of its own when one is written', async () => {
    for (const name of ['office', '"; evil', 'a\nb', 'x'.repeat(10_000), '007']) {
      write('named.yaml', `${HOME}name: ${JSON.stringify(name)}\n`)
      const { stdout } = await generate('named.yaml', '--target', 'hosts')
      expect(readMark(stdout.split('\n')[0] ?? '')?.topology).toBe(name)
    }
  })

  test.each([
    [['missing.yaml'], 'cannot read missing.yaml: there is no such file'],
    [['.'], 'cannot read .: it is a directory'],
    [[''], 'cannot read "": there is no such file'],
    [
      [],
      'cannot read topology.yaml: there is no such file; name a file: netplan generate FILE --target networkd'
    ],
    [['--', '--odd.yaml'], 'cannot read --odd.yaml: there is no such file'],
    [['no\u001b[31m\n.yaml'], 'cannot read no\\u001b[31m\\u000a.yaml: there is no such file']
  ])('%j cannot be read', async (args, reason) => {
    expect(await generate('--target', 'networkd', '--out', 'out', ...args)).toMatchObject({
      status: 2,
      stdout: '',
      stderr: `netplan: ${reason}\n`
    })
    expect(existsSync(join(folder, 'out'))).toBe(false)
  })
})

describe('wrong usage ends with 2 before anything is done', () => {
  test('a missing target names all there are', async () => {
    const { status, stdout, stderr } = await generate('home.yaml', '--out', 'out')
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toMatch(/^netplan: which target\? --target NAME, one of these:\n/)
    for (const { id, summary } of EMITTERS)
      expect(stderr).toContain(`netplan:   ${id.padEnd(10)} ${summary}\n`)
    expect(existsSync(join(folder, 'out'))).toBe(false)
  })

  test.each<[readonly string[], RegExp]>([
    [['--target', 'nosuch'], /--target is "nosuch"; it must be one of "networkd", "nixos"/],
    [['--target='], /--target is ""/],
    [['--target', '-'], /--target is "-"/],
    [['--target'], /not enough arguments following: target/],
    [['--target', 'json', '--out'], /not enough arguments following: out/],
    [
      ['--target', 'json', '--out', ''],
      /--out is ""; it must be a folder, and without it the files are printed/
    ],
    [['--target', 'json', '--out', '-'], /--out is -; it must be a folder/],
    [['--target', 'json', '--check'], /--check needs --out DIR/],
    [['--target', 'json', '--diff'], /--diff needs --out DIR/],
    [['--target', 'json', '--strict'], /unknown argument: strict/],
    [['--target', 'json', 'bad.yaml'], /unknown argument: bad\.yaml/],
    [['--target', 'json', '--', 'bad.yaml'], /generate takes one file, not 2/]
  ])('%j', async (args, words) => {
    const { status, stdout, stderr } = await generate('home.yaml', ...args)
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toMatch(words)
    expect(stderr.split('\n').length).toBe(2)
  })

  test('of options that stand there twice the last one counts', async () => {
    const { stdout } = await generate('home.yaml', '--target', 'json', '--target', 'hosts')
    expect(readMark(stdout.split('\n')[0] ?? '')?.target).toBe('hosts')
    expect(await units('--check', '--out', 'a', '--out', 'b', '--no-check')).toMatchObject({ status: 0 })
    expect(existsSync(join(folder, 'a'))).toBe(false)
    expect(Object.keys(contents('b'))).toContain('20-br1.netdev')
  })

  test('help names every target and has examples', async () => {
    const { status, stdout, stderr } = await generate('--help')
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    for (const target of TARGETS) expect(stdout).toContain(`"${target}"`)
    for (const word of ['--out', '--check', '--diff', 'Examples:']) expect(stdout).toContain(word)
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(100)
    expect((await netplan(['--help'])).stdout).toContain('netplan generate [FILE]')
  })
})

describe('nothing is generated', () => {
  test.each([[[]], [['--out', 'out']], [['--out', 'out', '--check']], [['--out', 'out', '--diff']]])(
    'where there are errors, with %j',
    async args => {
      const { status, stdout, stderr } = await generate('bad.yaml', '--target', 'networkd', ...args)
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
      expect(stderr).toContain('error[invalid-address]')
      expect(stderr).toContain(' --> bad.yaml:3:20\n')
      expect(stderr).not.toContain('warning[')
      expect(
        stderr.endsWith(
          '\n1 error\nnetplan: nothing was generated: "netplan check bad.yaml" has to find no errors\n'
        )
      ).toBe(true)
      expect(existsSync(join(folder, 'out'))).toBe(false)
    }
  )

  test.each([
    ['', 'yaml-syntax'],
    ['version: 1\nname: 5\n', 'wrong-type'],
    ['hello', 'unsupported-version']
  ])('where the text is %j', async (text, rule) => {
    write('broken file.yaml', text)
    const { status, stdout, stderr } = await generate('broken file.yaml', '--target', 'json')
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toContain(`error[${rule}]`)
    expect(stderr).toContain(`"netplan check 'broken file.yaml'" has to find no errors`)
    write("-it's.yaml", text)
    const odd = await generate('--target', 'json', '--', "-it's.yaml")
    expect(odd.stderr).toContain(`"netplan check './-it'\\''s.yaml'" has to find no errors`)
  })

  test('where the target has no words for something, which is named with its place', async () => {
    const { status, stdout, stderr } = await generate('rstp.yaml', '--target', 'networkd', '--out', 'out')
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toContain(
      'error[cannot-express]: the target networkd cannot express rstp of bridge "br0"\n'
    )
    expect(stderr).toContain('\n --> rstp.yaml:5:11\n')
    expect(stderr).toMatch(/\n5 \| {5}rstp: true\n {2}\| {11}\^{4} not for networkd\n/)
    for (const title of ['note', 'help']) expect(stderr).toMatch(new RegExp(`\\n  = ${title}: \\S`))
    expect(stderr).toMatch(/\n1 error\nnetplan: nothing was generated: [^\n]+\n$/)
    expect(existsSync(join(folder, 'out'))).toBe(false)
    expect((await generate('rstp.yaml', '--target', 'networkd')).stdout).toBe('')
    // What one target cannot say another one can.
    expect(await generate('rstp.yaml', '--target', 'json')).toMatchObject({ status: 0, stderr: '' })
  })

  test('also where a hundred things cannot be expressed: all of them are named', async () => {
    const many = Array.from({ length: 120 }, (_, i) => `  br${i}: { rstp: true }\n`).join('')
    write('many.yaml', `version: 1\nbridges:\n${many}`)
    const { status, stderr } = await generate('many.yaml', '--target', 'networkd')
    expect(status).toBe(1)
    expect(stderr.match(/^error\[cannot-express\]/gm)).toHaveLength(120)
  })

  test('and what was there stays as it is', async () => {
    await units('--out', 'out')
    const before = contents()
    write('home.yaml', BAD)
    expect((await units('--out', 'out')).status).toBe(1)
    write('home.yaml', RSTP)
    expect((await units('--out', 'out')).status).toBe(1)
    expect(contents()).toEqual(before)
  })
})

test('warnings stop nothing; one line says how to see them', async () => {
  const { stdout: json } = await netplan(['check', '--format', 'json', 'warning.yaml'])
  const { summary }: { summary: { warnings: number } } = JSON.parse(json)
  expect(summary.warnings).toBeGreaterThan(1)
  const { status, stdout, stderr } = await generate('warning.yaml', '--target', 'hosts')
  expect({ status, stderr }).toEqual({
    status: 0,
    stderr: `netplan: ${summary.warnings} warnings in warning.yaml; "netplan check warning.yaml" tells what\n`
  })
  expect(stdout).toContain('10.0.1.9')
})

describe('with --out', () => {
  test('the files are those of standard output, and what was done is told', async () => {
    const { stdout: printed } = await units()
    const { status, stdout, stderr } = await units('--out', 'a b/ü')
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
    expect(contents('a b/ü')).toEqual(parted(printed))
    expect(stderr).toBe(
      Object.keys(parted(printed))
        .map(name => `netplan: wrote a b/ü/${name}\n`)
        .join('')
    )
  })

  test('a second run touches nothing', async () => {
    await units('--out', 'out')
    const times = (): number[] =>
      ['', ...Object.keys(contents())].map(name => statSync(join(folder, 'out', name)).mtimeMs)
    const before = times()
    const { status, stdout, stderr } = await units('--out', 'out/')
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
    expect(stderr).toBe(`netplan: ${before.length - 1} files in out/ unchanged\n`)
    expect(times()).toEqual(before)
  })

  test('files come, change and go with the topology', async () => {
    await units('--out', 'out')
    const unchanged = Object.keys(contents()).length - 2
    write('home.yaml', topology([2, 3]))
    const { status, stderr } = await units('--out', 'out')
    expect(status).toBe(0)
    const lines = stderr.split('\n')
    for (const name of ['20-br3.netdev', '40-br3.network'])
      expect(lines).toContain(`netplan: wrote out/${name}`)
    for (const name of ['20-br1.netdev', '40-br1.network'])
      expect(lines).toContain(`netplan: removed out/${name}`)
    expect(lines).toContain(`netplan: ${unchanged} files in out unchanged`)
    expect(contents()).toEqual(parted((await units()).stdout))
  })

  test('what is not ours is named and nothing is written', async () => {
    mkdirSync(join(folder, 'out'))
    write('out/20-br1.netdev', '[NetDev]\nName=br1\nKind=bridge\n')
    write('precious', 'precious\n')
    symlinkSync('../precious', join(folder, 'out/40-br1.network'))
    mkdirSync(join(folder, 'out/20-br2.netdev'))
    const { status, stdout, stderr } = await units('--out', 'out')
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    const words = (name: string, why: string): string => `netplan: out/${name} is in the way: ${why}; `
    expect(stderr).toContain(
      words('20-br1.netdev', 'netplan did not make it, its first line does not say so')
    )
    expect(stderr).toContain(words('40-br1.network', 'it is a symbolic link'))
    expect(stderr).toContain(words('20-br2.netdev', 'it is a directory'))
    expect(stderr).toMatch(/\nnetplan: nothing was written to out: netplan changes only what it made\n$/)
    expect(readdirSync(join(folder, 'out')).sort()).toEqual([
      '20-br1.netdev',
      '20-br2.netdev',
      '40-br1.network'
    ])
    expect(read('precious')).toBe('precious\n')
  })

  test('of another topology is not ours, however it is called in the file', async () => {
    await units('--out', 'out')
    const before = contents()
    write('other.yaml', HOME)
    const { status, stderr } = await generate('other.yaml', '--target', 'networkd', '--out', 'out')
    expect(status).toBe(1)
    expect(stderr).toContain('it was made from the topology "home", not "other"; give each topology a folder')
    expect(contents()).toEqual(before)
    write('other.yaml', `${HOME}name: home\n`)
    expect(await generate('other.yaml', '--target', 'networkd', '--out', 'out')).toMatchObject({ status: 0 })
  })

  test('two topologies and every target live in one folder', async () => {
    write('other.yaml', topology([5]))
    await generate('other.yaml', '--target', 'networkd', '--out', 'out')
    const theirs = contents()
    for (const target of TARGETS) {
      const { status, stderr } = await generate('home.yaml', '--target', target, '--out', 'out')
      // Only the units for all hosts of networkd may stand in the way of each other.
      if (status === 1) expect(stderr).toContain('it was made from the topology "other"')
      else expect(status).toBe(0)
    }
    expect(contents()).toMatchObject(theirs)
    write('home.yaml', 'version: 1\n')
    await generate('home.yaml', '--target', 'networkd', '--out', 'out')
    expect(Object.keys(contents()).filter(name => /br[12]\./.test(name))).toEqual([])
    expect(contents()).toMatchObject(theirs)
    expect(Object.keys(contents())).toEqual(expect.arrayContaining(['network.nix', 'hosts', 'plan.json']))
  })

  test('a name in the folder reaches no terminal raw', async () => {
    await units('--out', 'out')
    write('out/\u001b[31m\n\u202e.network', read('out/40-br1.network'))
    const { status, stderr } = await units('--out', 'out')
    expect(status).toBe(0)
    expect(stderr).toContain('netplan: removed out/\\u001b[31m\\u000a\\u202e.network\n')
    expect((await units('--out', 'o\u001b[31m\n')).stderr).toContain(
      'netplan: wrote o\\u001b[31m\\u000a/20-br1.netdev\n'
    )
  })

  test.each([
    ['home.yaml', 'cannot read home.yaml: it is no directory, or a part of its path is none'],
    ['home.yaml/x', 'cannot read home.yaml/x: it is no directory, or a part of its path is none'],
    ['x'.repeat(256), `cannot read ${'x'.repeat(256)}: the name is too long`]
  ])('a folder that is none: %s', async (out, reason) => {
    for (const more of [[], ['--check'], ['--diff']]) {
      expect(await units('--out', out, ...more)).toMatchObject({
        status: 2,
        stdout: '',
        stderr: `netplan: ${reason}\n`
      })
    }
  })
})

describe('--check', () => {
  test('is content where nothing is to be done', async () => {
    await units('--out', 'out')
    const { length } = Object.keys(contents())
    expect(await units('--out', 'out', '--check')).toMatchObject({
      status: 0,
      stdout: '',
      stderr: `netplan: out is up to date, ${length} files\n`
    })
  })

  test('names what is stale, and writes nothing', async () => {
    await units('--out', 'out')
    write('out/20-br1.netdev', read('out/20-br1.netdev').replace('br1', 'br9'))
    rmSync(join(folder, 'out/40-br1.network'))
    write('out/old.network', read('out/40-br2.network'))
    write('out/40-br2.network', '[Match]\n')
    const before = contents()
    const { status, stdout, stderr } = await units('--out', 'out', '--check')
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toBe(
      [
        'netplan: out/20-br1.netdev differs from what would be generated',
        'netplan: out/40-br1.network is missing',
        'netplan: out/40-br2.network is in the way: netplan did not make it, its first line does not say so; move it away or name another folder',
        'netplan: out/old.network is left over, it would be generated no more',
        ''
      ].join('\n')
    )
    expect(contents()).toEqual(before)
  })

  test('makes no folder', async () => {
    const { status, stderr } = await units('--out', 'new/out', '--check')
    expect(status).toBe(1)
    expect(stderr).toContain('netplan: new/out/20-br1.netdev is missing\n')
    expect(existsSync(join(folder, 'new'))).toBe(false)
  })
})

describe('--diff', () => {
  const changed = async (): Promise<void> => {
    await units('--out', 'out')
    write('home.yaml', topology([2, 3], 7))
  }

  test('prints what would change, and writes nothing', async () => {
    await changed()
    const before = contents()
    const { status, stdout, stderr } = await units('--out', 'out', '--diff')
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(contents()).toEqual(before)
    expect(stdout).toContain('--- a/20-br1.netdev\n+++ /dev/null\n@@ -1,')
    expect(stdout).toContain('--- /dev/null\n+++ b/20-br3.netdev\n@@ -0,0 +1,')
    expect(stdout).toContain('--- a/40-br2.network\n+++ b/40-br2.network\n@@ -')
    expect(stdout).toContain('\n-Address=10.0.2.1/24\n+Address=10.0.2.7/24\n')
    expect(stdout).not.toContain('20-br2.netdev')
  })

  test('is what patch makes the new files of', async context => {
    if (spawnSync('patch', ['--version']).status !== 0) skip(context, 'patch is not installed')
    await changed()
    write('out/20-br2.netdev', `${read('out/20-br2.netdev')}\r\n# by hand, without an end`)
    const { stdout: patch } = await units('--out', 'out', '--diff')
    const applied = await start('patch', ['-p1', '-E', '-d', 'out'], { cwd: folder, input: patch })
    expect(applied).toMatchObject({ status: 0 })
    expect(contents()).toEqual(parted((await units()).stdout))
    expect(await units('--out', 'out', '--diff', '--check')).toMatchObject({ status: 0, stdout: '' })
  })

  test('prints nothing where there is nothing, with 0', async () => {
    await units('--out', 'out')
    expect(await units('--out', 'out', '--diff')).toMatchObject({ status: 0, stdout: '', stderr: '' })
  })

  test('with --check fails when there is something to show', async () => {
    await changed()
    const { status, stdout, stderr } = await units('--out', 'out', '--diff', '--check')
    expect(status).toBe(1)
    expect(stdout).toBe((await units('--out', 'out', '--diff')).stdout)
    expect(stderr).toContain('netplan: out/40-br2.network differs from what would be generated\n')
  })

  test('says what is in the way', async () => {
    mkdirSync(join(folder, 'out'))
    write('out/20-br1.netdev', 'mine\n')
    const { status, stdout, stderr } = await units('--out', 'out', '--diff')
    expect(status).toBe(0)
    expect(stderr).toContain('netplan: out/20-br1.netdev is in the way: ')
    expect(stdout).not.toContain('mine')
    expect(stdout).toContain('+++ b/20-br2.netdev\n')
  })

  test('of what is no text says only that it differs', async () => {
    await units('--out', 'out')
    writeFileSync(
      join(folder, 'out/20-br1.netdev'),
      Buffer.concat([Buffer.from(read('out/20-br1.netdev')), Buffer.of(0xff, 0, 1)])
    )
    expect((await units('--out', 'out', '--diff')).stdout).toBe(
      'Binary files a/20-br1.netdev and b/20-br1.netdev differ\n'
    )
  })

  test('of two large files that have little in common ends in time', async () => {
    write('large.yaml', topology(Array.from({ length: 1000 }, (_, i) => i)))
    await generate('large.yaml', '--target', 'json', '--out', 'out')
    const [mark = ''] = read('out/plan.json').split('\n', 1)
    write('out/plan.json', `${mark}\n${Array.from({ length: 100_000 }, (_, i) => `line ${i}\n`).join('')}`)
    // Without a bound it would take hours.
    const args = ['generate', 'large.yaml', '--target', 'json', '--out', 'out', '--diff']
    const { status, stdout } = await netplan(args, { limit: 50_000 })
    expect(status).toBe(0)
    expect(stdout.match(/^-line /gm)).toHaveLength(100_000)
    if (spawnSync('patch', ['--version']).status !== 0) return
    const applied = await start('patch', ['-p1', '-d', 'out'], { cwd: folder, input: stdout })
    expect(applied).toMatchObject({ status: 0 })
    expect(await generate('large.yaml', '--target', 'json', '--out', 'out', '--check')).toMatchObject({
      status: 0
    })
  })
})

describe('on a terminal', () => {
  /** What is printed on a terminal, which the program script makes. */
  const onTerminal = async (args: string, context: TestContext): Promise<string> => {
    if (spawnSync('script', ['-qec', 'test -t 1', '/dev/null']).status !== 0)
      skip(context, 'no program script that makes a terminal')
    const line = `'${process.execPath}' '${command}' generate home.yaml --target networkd ${args}`
    const { stdout } = await start('script', ['-qec', line, '/dev/null'], {
      cwd: folder,
      env: { TERM: 'xterm' }
    })
    return stdout.replaceAll('\r\n', '\n')
  }

  test('a diff is coloured, and nothing in a file acts', async context => {
    await units('--out', 'out')
    write('out/20-br1.netdev', `${read('out/20-br1.netdev')}# \u001b]0;evil\u0007\u202e\tx\n`)
    const text = await onTerminal('--out out --diff', context)
    expect(text).toContain('\u001b[1m--- a/20-br1.netdev\u001b[22m\n')
    expect(text).toContain('\u001b[36m@@ -')
    expect(text).toContain('\u001b[31m-# \\u001b]0;evil\\u0007\\u202e\tx\u001b[39m\n')
    expect((await onTerminal('--out out --diff', context)).includes('\u202e')).toBe(false)
    const { stdout } = await units('--out', 'out', '--diff')
    expect(stdout).toContain('\n-# \u001b]0;evil\u0007\u202e\tx\n')
  })

  test('errors are coloured, files are not', async context => {
    expect(await onTerminal('', context)).toBe((await units()).stdout)
    write('home.yaml', BAD)
    expect(await onTerminal('', context)).toContain('\u001b[31merror[invalid-address]\u001b[39m')
    expect(await onTerminal('2>errors', context)).toBe('')
    expect(read('errors')).toContain('error[invalid-address]: ')
  })
})

describe('output that cannot be written', () => {
  const shell = (script: string): Promise<Outcome> =>
    start('sh', ['-c', script, process.execPath, command], { cwd: folder })

  test('a reader that goes away is no fault and changes no answer', async () => {
    write('home.yaml', topology(Array.from({ length: 200 }, (_, i) => i)))
    for (const args of ['', '--out none --diff']) {
      const outcome = await shell(
        `{ "$0" "$1" generate home.yaml --target networkd ${args}; echo "netplan: $?" >&2; } | head -1`
      )
      checkOutput(outcome)
      expect(outcome).toMatchObject({ stderr: 'netplan: 0\n' })
    }
    expect(await shell('"$0" "$1" generate home.yaml --target networkd --out out 2>&-')).toMatchObject({
      status: 0
    })
    expect(await units('--out', 'out', '--check')).toMatchObject({ status: 0 })
  })

  test.runIf(existsSync('/dev/full'))('a full disk behind standard output is told in one line', async () => {
    const { status, stderr } = await shell('"$0" "$1" generate home.yaml --target networkd > /dev/full')
    expect(status).toBe(2)
    expect(stderr).toMatch(/^netplan: cannot write: .*no space left.*\n$/)
  })
})

describe('a file system that refuses', () => {
  const inside = (script: string): Promise<{ readonly ok: boolean; readonly text: string }> =>
    inNamespace(
      `cd '${folder}'\nnetplan() { '${process.execPath}' '${command}' generate "$@"; echo "[$?]"; }\n${script}`
    )

  test.skipIf(absent(['mount', 'unshare']))('read-only, one line and 2', async () => {
    const { text } = await inside(`
      mkdir /run/disk && mount -t tmpfs tmpfs /run/disk
      netplan home.yaml --target networkd --out /run/disk/out >/dev/null 2>&1
      mount -o remount,bind,ro /run/disk || exit
      netplan home.yaml --target networkd --out /run/disk/new
      netplan home.yaml --target networkd --out /run/disk/out
      cp home.yaml new.yaml && sed -i '1aname: home' new.yaml && sed -i 's/10.0.2.1/10.0.2.7/' new.yaml
      netplan new.yaml --target networkd --out /run/disk/out
      ls -A /run/disk /run/disk/out`)
    const { length } = Object.keys(parted((await units()).stdout))
    expect(text).toMatch(
      new RegExp(
        [
          '^netplan: cannot make the folder /run/disk/new: the file system is read-only',
          '\\[2\\]',
          `netplan: ${length} files in /run/disk/out unchanged`,
          '\\[0\\]',
          'netplan: cannot write /run/disk/out/40-br2.network: the file system is read-only',
          '\\[2\\]',
          '/run/disk:',
          'out'
        ].join('\n')
      )
    )
    expect(text).not.toContain('.netplan-')
  })

  test.skipIf(absent(['mount', 'unshare']))('full, one line and 2, and all is as it was', async () => {
    write('large.yaml', `${topology(Array.from({ length: 300 }, (_, i) => i + 1))}name: home\n`)
    const { text } = await inside(`
      mkdir /run/disk && mount -t tmpfs -o size=256k tmpfs /run/disk
      netplan home.yaml --target networkd --out /run/disk/out >/dev/null 2>&1
      sha256sum /run/disk/out/* > /run/before
      netplan large.yaml --target networkd --out /run/disk/out
      sha256sum /run/disk/out/* | cmp - /run/before && echo same
      ls -A /run/disk/out | grep -c tmp
      netplan large.yaml --target json --out /run/disk/out
      ls -A /run/disk/out | grep -c 'tmp\\|json'`)
    expect(text).toMatch(
      /^netplan: cannot write \/run\/disk\/out\/[\w.-]+: no space is left on the disk\n\[2\]\nsame\n0\nnetplan: cannot write \/run\/disk\/out\/plan\.json: no space is left on the disk\n\[2\]\n0\n$/
    )
  })

  test('to a user who may not, one line and 2', async context => {
    await units('--out', 'out')
    write('home.yaml', topology([2, 3]))
    chmodSync(join(folder, 'out'), 0o555)
    chmodSync(base, 0o755)
    // Root may write everything, unless it gives the capability away.
    const lowered = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-all'] : []
    const [probe, ...touch] = [...lowered, 'touch', join(folder, 'out/probe')]
    if (spawnSync(probe, touch).status !== 1) skip(context, 'here everybody may write everywhere')
    const [program, ...args] = [...lowered, process.execPath, command]
    const before = contents()
    const outcome = await start(
      program,
      [...args, 'generate', 'home.yaml', '--target', 'networkd', '--out', 'out'],
      { cwd: folder }
    )
    chmodSync(join(folder, 'out'), 0o755)
    checkOutput(outcome)
    expect(outcome).toMatchObject({ status: 2, stdout: '' })
    expect(outcome.stderr).toMatch(/^netplan: cannot write out\/[\w.-]+: permission denied\n$/)
    expect(contents()).toEqual(before)
  })
})

describe('kill -9', () => {
  const MANY = Array.from({ length: 60 }, (_, i) => i)
  /** Two states of one topology: all networks change, one bridge goes and one comes. */
  const STATES = [topology(MANY.slice(1), 1), topology(MANY.slice(0, -1), 7)]

  test('at any moment leaves each file old or new, and the next run mends all', async () => {
    const wholes: Record<string, string>[] = []
    for (const state of STATES) {
      write('home.yaml', state)
      wholes.push(parted((await units()).stdout))
    }
    let halfway = 0
    await units('--out', 'out')
    for (let i = 0; i < 16; i += 1) {
      write('home.yaml', STATES[i % 2] ?? '')
      // It tells each file when it has written all; the moments before and after count too.
      await new Promise<void>((resolve, reject) => {
        const child = spawn(
          process.execPath,
          [command, 'generate', 'home.yaml', '--target', 'networkd', '--out', 'out'],
          { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'], timeout: 20_000, killSignal: 'SIGKILL' }
        )
        const kill = (): unknown => setTimeout(() => child.kill('SIGKILL'), Math.random() * 40)
        if (i % 2 === 0) child.stderr.once('data', kill)
        else {
          const watch = setInterval(() => {
            if (!readdirSync(join(folder, 'out')).some(name => name.startsWith('.netplan-'))) return
            clearInterval(watch)
            kill()
          }, 2)
          child.on('close', () => clearInterval(watch))
        }
        child.stderr.resume()
        child.on('error', reject)
        child.on('close', () => resolve())
      })
      const there = Object.entries(contents()).filter(([name]) => !name.startsWith('.netplan-'))
      for (const [name, text] of there) expect(wholes.map(whole => whole[name])).toContain(text)
      const whole = JSON.stringify(Object.fromEntries(there))
      if (there.length < Object.keys(contents()).length || !wholes.some(w => JSON.stringify(w) === whole))
        halfway += 1
      expect(await units('--out', 'out')).toMatchObject({ status: 0 })
      expect(contents()).toEqual(wholes[i % 2])
    }
    expect(halfway).toBeGreaterThan(0)
  }, 180_000)

  test('runs at the same time end with one whole set', async () => {
    const wholes: Record<string, string>[] = []
    for (const [i, state] of STATES.entries()) {
      write(`state${i}.yaml`, `${state}name: home\n`)
      wholes.push(parted((await generate(`state${i}.yaml`, '--target', 'networkd')).stdout))
    }
    const runs = [0, 1, 0, 1].map(i => generate(`state${i}.yaml`, '--target', 'networkd', '--out', 'out'))
    for (const { status } of await Promise.all(runs)) expect(status).toBe(0)
    expect(wholes).toContainEqual(contents())
  })
})

test('a plain check loads nothing of it', async () => {
  const hook = join(folder, 'hook.cjs')
  writeFileSync(
    hook,
    "process.on('exit', () => require('fs').writeSync(1, JSON.stringify(Object.keys(require.cache))))"
  )
  const loaded = async (...args: readonly string[]): Promise<string[]> => {
    const { stdout } = await start(process.execPath, ['--require', hook, command, ...args], { cwd: folder })
    const files: string[] = JSON.parse(stdout.slice(stdout.lastIndexOf('[')))
    return files.map(file => file.replace(`${root}dist/`, '')).filter(file => file !== hook)
  }
  expect((await loaded('check', 'home.yaml')).sort()).toEqual(['lib/netplan.cjs', 'netplan.cjs'])
  expect(await loaded('check', '--strict', 'home.yaml')).not.toContain('lib/lazy/generate.cjs')
  expect(await loaded('generate', 'home.yaml', '--target', 'hosts')).toContain('lib/lazy/generate.cjs')
})
