import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { planText } from '../src/emit/json.ts'
import { analyze } from '../src/index.ts'
import { built, command, type Options, type Outcome, start } from './command.ts'
import { absent } from './judge.ts'

// `netplan plan`, run as users run it.

const HOME = `version: 1
bridges:
  br0: { address: [10.1.0.1/29] }
containers:
  web: { privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.2/29, internet: false }
`
const WRONG = HOME.replace('10.1.0.2/29', '10.1.0.1/29')
const AUTO = `version: 1
# By hand.
bridges:
  br0: { address: auto }
containers:
  web: { privateNetwork: true, hostBridge: br0, localAddress: auto, internet: false } # the first
`

const base = mkdtempSync(join(tmpdir(), 'netplan-plan-'))
let count = 0
let folder = ''

const netplan = async (args: readonly string[], options: Partial<Options> = {}): Promise<Outcome> => {
  const outcome = await start(process.execPath, [command, ...args], { cwd: folder, ...options })
  const text = outcome.stdout + outcome.stderr
  expect(text).not.toMatch(/^ {4}at /m)
  expect(text).not.toContain('\u001b')
  expect(text).not.toMatch(
    /fault of netplan itself|node:internal|Error: |\bundefined\b|\[object Object\]|\bNaN\b/
  )
  return outcome
}

const plan = (...args: readonly string[]): Promise<Outcome> => netplan(['plan', ...args])

const write = (name: string, text: string): void => writeFileSync(join(folder, name), text)
const read = (name: string): string => readFileSync(join(folder, name), 'utf8')

beforeAll(built)
afterAll(() => rmSync(base, { recursive: true, force: true }))
beforeEach(() => {
  folder = join(base, String((count += 1)))
  mkdirSync(folder)
  write('topology.yaml', HOME)
  write('wrong.yaml', WRONG)
  write('auto.yaml', AUTO)
})

test('the table of topology.yaml is printed when no file is named, and nothing is written', async () => {
  const before = readdirSync(folder)
  const { status, stdout, stderr } = await plan()
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout).toContain('\nbr0  10.1.0.0/29  6 usable, 2 used, 4 free\n')
  expect(stdout.endsWith('\n')).toBe(true)
  for (const args of [
    ['topology.yaml'],
    ['--format', 'table'],
    ['--format', 'json', '--format', 'table'],
    ['--all']
  ])
    expect((await plan(...args)).stdout).toBe(stdout)
  for (const args of [
    ['plan', '-'],
    ['plan', '--all', '-']
  ])
    expect(await netplan(args, { input: HOME })).toMatchObject({ status: 0, stdout, stderr: '' })
  expect(readdirSync(folder)).toEqual(before)
  expect(read('topology.yaml')).toBe(HOME)
})

test('a file whose name begins with a dash stands behind --', async () => {
  write('--odd.yaml', WRONG)
  const { status, stderr } = await plan('--', '--odd.yaml')
  expect(status).toBe(1)
  expect(stderr).toContain('"netplan check ./--odd.yaml" tells what\n')
})

test('json is the whole plan, and nothing else', async () => {
  for (const [name, text] of [
    ['topology.yaml', HOME],
    ['auto.yaml', AUTO]
  ] as const) {
    const { status, stdout, stderr } = await plan(name, '--format', 'json')
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const analysis = await analyze({ file: name, text })
    if (analysis.plan === undefined) throw new Error('no plan')
    expect(stdout).toBe(planText(analysis.plan))
    expect(JSON.parse(stdout)).toMatchObject({ version: 1, bridges: [{ name: 'br0' }] })
  }
})

describe('a file with', () => {
  test.each([['table'], ['json']])(
    'errors is planned all the same as %s, and a line says so',
    async format => {
      const { status, stdout, stderr } = await plan('wrong.yaml', '--format', format)
      expect({ status, stderr }).toEqual({
        status: 1,
        stderr:
          'netplan: 1 error in wrong.yaml, so not all of this will work; "netplan check wrong.yaml" tells what\n'
      })
      if (format === 'table')
        expect(stdout).toContain('  10.1.0.1  the host          br0\n            also web  eth0    vb-web\n')
      else expect(JSON.parse(stdout)).toMatchObject({ version: 1 })
      const { stdout: found } = await netplan(['check', 'wrong.yaml', '--format', 'json'])
      expect(JSON.parse(found)).toMatchObject({ summary: { errors: 1 } })
    }
  )

  test('warnings says nothing of them', async () => {
    write('warning.yaml', HOME.replace('internet: false', 'internet: false, dhcp: true'))
    expect((await netplan(['check', 'warning.yaml'])).stdout).toContain('\n1 warning')
    expect(await plan('warning.yaml')).toMatchObject({ status: 0, stderr: '' })
  })

  test.each([
    ['', 'yaml-syntax'],
    ['a: [', 'yaml-syntax'],
    ['hello', 'unsupported-version']
  ])('the text %j has no plan', async (text, rule) => {
    write('broken.yaml', text)
    for (const args of [
      [],
      ['--format', 'json'],
      ['--write'],
      ['--what-if', '1:br0'],
      ['--diff', 'topology.yaml']
    ]) {
      const { status, stdout, stderr } = await plan('broken.yaml', ...args)
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
      expect(stderr).toContain(`error[${rule}]`)
    }
    expect(read('broken.yaml')).toBe(text)
  })

  test('hostile names prints nothing that a terminal acts on', async () => {
    write(
      'hostile.yaml',
      JSON.stringify({
        version: 1,
        name: 'a\u001b[31m\u202e\n',
        containers: { 'x\u001b]0;t\u0007\r': { listens: [{ name: '\u2028\u009b', port: 1 }] } }
      })
    )
    const { stdout } = await plan('hostile.yaml')
    for (const line of stdout.split('\n')) expect(line).toMatch(/^[^\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]*$/u)
    expect(stdout).toContain('a\\u001b[31m\\u202e\\u000a')
  })
})

test.each([
  [['missing.yaml'], 'cannot read missing.yaml: there is no such file'],
  [['.'], 'cannot read .: it is a directory'],
  [[''], 'cannot read "": there is no such file'],
  [['no\u001b[31m\n.yaml'], 'cannot read no\\u001b[31m\\u000a.yaml: there is no such file']
])('%j cannot be read', async (args, reason) => {
  for (const more of [[], ['--write'], ['--diff', 'topology.yaml']])
    expect(await plan(...args, ...more)).toMatchObject({
      status: 2,
      stdout: '',
      stderr: `netplan: ${reason}\n`
    })
})

test('without a file and without topology.yaml it says how to name one', async () => {
  rmSync(join(folder, 'topology.yaml'))
  expect(await plan()).toMatchObject({
    status: 2,
    stdout: '',
    stderr: 'netplan: cannot read topology.yaml: there is no such file; name a file: netplan plan FILE\n'
  })
})

describe('wrong usage ends with 2 and does nothing', () => {
  test.each<[readonly string[], RegExp]>([
    [['--format', 'pretty'], /--format is "pretty"; it must be one of "table", "json"/],
    [['--format'], /not enough arguments following: format/],
    [['--nosuch'], /unknown argument: nosuch/],
    [['auto.yaml'], /unknown argument: auto\.yaml/],
    [['--', 'auto.yaml'], /plan takes one file, not 2/],
    [['--write', '--diff', 'auto.yaml'], /--write and --diff are different things to do/],
    [['--write', '--what-if', '1:br0'], /--write and --what-if are different things to do/],
    [['--what-if', '1:br0', '--diff', 'auto.yaml'], /--what-if and --diff are different things/],
    [['--write', '--format', 'json'], /--write prints no plan, so --format has no meaning beside it/],
    [['--write', '--all'], /--write prints no plan, so --all has no meaning beside it/],
    [['--what-if', '1:br0', '--all'], /--what-if .* --all has no meaning/],
    [
      ['--what-if', 'br0'],
      /--what-if is "br0"; it must be how many more and on which bridge, as in --what-if \+12:br0/
    ],
    [['--what-if', '1:br0', '--what-if', '-2:br0'], /--what-if is "-2:br0"/],
    [['--what-if'], /not enough arguments following: what-if/],
    [['--diff'], /not enough arguments following: diff/],
    [['--diff', ''], /needs a file or a git revision/],
    [['--diff', 'nowhere.yaml'], /there is no file "nowhere\.yaml"/]
  ])('%j', async (args, words) => {
    const { status, stdout, stderr } = await plan('wrong.yaml', ...args)
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toMatch(words)
    expect(stderr.split('\n').length).toBe(2)
    expect(read('wrong.yaml')).toBe(WRONG)
  })
})

test('help has every option and examples, in 100 columns', async () => {
  const { status, stdout, stderr } = await plan('--help')
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  for (const word of ['--format', '--all', '--write', '--what-if', '--diff', 'Examples:', 'topology.yaml'])
    expect(stdout).toContain(word)
  for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(100)
  expect((await netplan(['--help'])).stdout).toContain('netplan plan [FILE]')
})

describe('--write', () => {
  test('puts what the plan has shown into the file; the second time nothing is left to do', async () => {
    const shown = (await plan('auto.yaml')).stdout
    expect(shown).toContain('  10.231.0.2*  web')
    const { status, stdout, stderr } = await plan('auto.yaml', '--write')
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
    expect(stderr).toContain('containers.web.localAddress: 10.231.0.2/29')
    const written = read('auto.yaml')
    expect(written).toBe(
      AUTO.replace('address: auto', 'address: 10.231.0.1/29').replace(
        'localAddress: auto',
        'localAddress: 10.231.0.2/29'
      )
    )
    expect((await netplan(['check', 'auto.yaml'])).status).toBe(0)
    const pinned = (await plan('auto.yaml')).stdout
    expect(pinned).not.toContain('*')
    expect(pinned).toContain('  10.231.0.2  web')
    expect(await plan('auto.yaml', '--write')).toMatchObject({ status: 0, stdout: '' })
    expect(read('auto.yaml')).toBe(written)
  })

  test('of standard input prints the text', async () => {
    const { status, stdout } = await netplan(['plan', '-', '--write'], { input: AUTO })
    expect(status).toBe(0)
    expect(stdout).toContain('address: 10.231.0.1/29 }')
    expect(stdout).toContain('# the first\n')
    expect(read('auto.yaml')).toBe(AUTO)
  })

  test('where other things are wrong writes, and says that they are', async () => {
    write(
      'both.yaml',
      `${AUTO}  bad: { privateNetwork: true, hostBridge: br9, localAddress: 10.9.9.9/29, internet: false }\n`
    )
    const { status, stderr } = await plan('both.yaml', '--write')
    expect(status).toBe(1)
    expect(stderr).toMatch(/netplan: 1 error in both\.yaml, .*"netplan check both\.yaml" tells what\n$/)
    expect(read('both.yaml')).not.toContain('auto')
  })
})

describe('--what-if', () => {
  test('says whether more fit: 0 when they do, 1 when not', async () => {
    const fits = await plan('--what-if', '+4:br0')
    expect(fits).toMatchObject({ status: 0, stderr: '' })
    expect(fits.stdout).toContain('4 more fit')
    const full = await plan('--what-if', '+12:br0')
    expect(full).toMatchObject({ status: 1, stderr: '' })
    expect(full.stdout).toContain('10.1.0.0/28')
    expect(await plan('--what-if', '1:br0', '--what-if', '4:br0')).toMatchObject({ status: 1 })
  })

  test('answers programs too', async () => {
    const { status, stdout } = await plan('--what-if', '+12:br0', '--format', 'json')
    expect(status).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({ version: 1, fits: [{ bridge: 'br0', more: 12, fits: false }] })
  })
})

describe('--diff', () => {
  test('says what changes since another file, or standard input', async () => {
    write('old.yaml', HOME.replace('10.1.0.2/29', '10.1.0.3/29'))
    const { status, stdout, stderr } = await plan('--diff', 'old.yaml')
    expect({ status, stderr }).toEqual({ status: 0, stderr: 'netplan: compared with the file "old.yaml"\n' })
    expect(stdout).toContain('10.1.0.3/29 -> 10.1.0.2/29')
    expect(await netplan(['plan', '--diff', '-'], { input: read('old.yaml') })).toMatchObject({
      status: 0,
      stdout
    })
    expect(JSON.parse((await plan('--diff', 'old.yaml', '--format', 'json')).stdout)).toMatchObject({
      version: 1
    })
    expect(await plan('--diff', 'wrong.yaml', '--diff', 'old.yaml')).toMatchObject({ status: 0, stdout })
  })

  test('says of an unreadable old version what is wrong with it', async () => {
    write('old.yaml', 'a: [')
    const { status, stdout, stderr } = await plan('--diff', 'old.yaml')
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toContain('error[yaml-syntax]')
    expect(stderr).toContain('old.yaml:')
  })

  test.skipIf(absent(['git']))('knows the revisions of git', async () => {
    const git = (...args: readonly string[]): void => {
      const { status, stderr } = spawnSync(
        'git',
        ['-c', 'user.name=a', '-c', 'user.email=a@example.org', ...args],
        {
          cwd: folder,
          encoding: 'utf8',
          env: { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' }
        }
      )
      if (status !== 0) throw new Error(stderr)
    }
    git('init', '--quiet')
    git('add', 'topology.yaml')
    git('commit', '--quiet', '--message', 'first')
    write('topology.yaml', HOME.replace('10.1.0.2/29', '10.1.0.6/29'))
    const { status, stdout, stderr } = await plan('--diff', 'HEAD')
    expect(status).toBe(0)
    expect(stderr).toContain('compared with "topology.yaml" of the revision "HEAD"')
    expect(stdout).toContain('10.1.0.2/29 -> 10.1.0.6/29')
  })
})

describe('much', () => {
  const MUCH = JSON.stringify({
    version: 1,
    bridges: { br0: { address: ['10.0.0.1/8'] } },
    containers: Object.fromEntries(
      Array.from({ length: 10_000 }, (_, i) => [
        `c${i}`,
        { privateNetwork: true, hostBridge: 'br0', localAddress: `10.0.${(i + 2) >> 8}.${(i + 2) & 255}/8` }
      ])
    )
  })

  test('is cut, and all of it comes with --all', async () => {
    write('much.json', MUCH)
    const some = (await plan('much.json')).stdout
    expect(some.split('\n').length).toBeLessThan(200)
    const all = (await plan('much.json', '--all')).stdout
    expect(all).toContain('  c9999 ')
    expect(all.split('\n').length).toBeGreaterThan(30_000)
  })

  test.each([[''], ['--all'], ['--format json']])('| head is no fault, with %j', async args => {
    write('much.json', MUCH)
    const { stdout, stderr } = await start(
      'bash',
      [
        '-c',
        `{ "$0" "$1" plan much.json ${args}; echo "netplan: $?" >&2; } | head -1`,
        process.execPath,
        command
      ],
      { cwd: folder }
    )
    expect(stdout.split('\n').length).toBe(2)
    expect(stderr).toBe('netplan: 0\n')
  })
})

describe('a terminal', () => {
  /** What a terminal of so many columns is sent. */
  const terminal = async (columns: number, env: Readonly<Record<string, string>> = {}): Promise<string> => {
    const line = `stty cols ${columns} rows 40; '${process.execPath}' '${command}' plan topology.yaml 2>/dev/null`
    const { stdout } = await start('script', ['--quiet', '--return', '--command', line, '/dev/null'], {
      cwd: folder,
      env: { TERM: 'xterm', SHELL: '/bin/sh', ...env }
    })
    return stdout.replaceAll('\r\n', '\n')
  }

  const LONG = `version: 1
bridges: { br0: { address: [10.1.0.1/29] } }
containers:
  ${'long-name-'.repeat(6)}: { privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.2/29, internet: false }
`

  test.skipIf(absent(['script', 'stty']))(
    'gets bold headings and dim free lines, a pipe does not',
    async () => {
      const shown = await terminal(100)
      expect(shown).toContain('\u001b[1mbr0  10.1.0.0/29  6 usable, 2 used, 4 free\u001b[22m\n')
      expect(shown).toContain('\u001b[2m  free 10.1.0.3 - 10.1.0.6 (4)\u001b[22m\n')
      expect(shown.replaceAll(/\p{Cc}\[\d+m/gu, '')).toBe((await plan()).stdout)
      for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }])
        expect(await terminal(100, env)).not.toContain('\u001b')
    }
  )

  test.skipIf(absent(['script', 'stty']))(
    'gets lines as wide as it is, between 60 and 100 columns',
    async () => {
      write('topology.yaml', LONG)
      for (const [columns, most] of [
        [200, 100],
        [80, 80],
        [20, 60]
      ] as const) {
        const widths = (await terminal(columns, { NO_COLOR: '1' })).split('\n').map(line => line.length)
        expect(Math.max(...widths)).toBeLessThanOrEqual(most)
        expect(Math.max(...widths)).toBeGreaterThan(most - 12)
      }
    }
  )
})

test('check does not load what plan needs', () => {
  const folder = join(command, '../lib')
  expect(existsSync(join(folder, 'netplan.cjs'))).toBe(true)
  expect(readFileSync(join(folder, 'netplan.cjs'), 'utf8')).not.toContain('not written down yet; ')
})
