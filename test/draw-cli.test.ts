import {
  chmodSync,
  existsSync,
  lstatSync,
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
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { built, command, type Outcome, root, start } from './command.ts'

// The built command, run as users run it.

const GOOD = readFileSync(join(root, 'examples/two-containers.yaml'), 'utf8')
const BAD = GOOD.replace('192.168.100.3/29', '192.168.100.2/29')

let folder = ''

beforeAll(built)

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'netplan-draw-'))
  writeFileSync(join(folder, 'home.yaml'), GOOD)
  writeFileSync(join(folder, 'bad.yaml'), BAD)
  return () => rmSync(folder, { recursive: true })
})

const draw = (...args: readonly string[]): Promise<Outcome> =>
  start(process.execPath, [command, 'draw', ...args], { cwd: folder })

const read = (name: string): string => readFileSync(join(folder, name), 'utf8')

describe('netplan draw', () => {
  test.each([
    [[], '<!-- Drawn by netplan'],
    [['--format', 'svg'], '<!-- Drawn by netplan'],
    [['--format', 'mermaid'], '%% Drawn by netplan'],
    [['--format', 'dot'], '// Drawn by netplan']
  ])('%j prints a picture', async (args, first) => {
    const { status, stdout, stderr } = await draw('home.yaml', ...args)
    expect([status, stderr]).toEqual([0, ''])
    expect(stdout.startsWith(first)).toBe(true)
    expect(stdout).toContain('192.168.100.2/29')
  })

  test('reads standard input, and topology.yaml without a name', async () => {
    const { stdout } = await draw('home.yaml')
    const input = await start(process.execPath, [command, 'draw', '-'], { cwd: folder, input: GOOD })
    expect(input.stdout).toBe(stdout)
    writeFileSync(join(folder, 'topology.yaml'), GOOD)
    expect((await draw()).stdout).toBe(stdout)
  })

  test('draws what has errors, and says so', async () => {
    const { status, stdout, stderr } = await draw('bad.yaml')
    expect(status).toBe(1)
    expect(stdout).not.toContain('duplicate-address')
    expect(stderr).toBe(
      'netplan: 1 error in bad.yaml, so not all of this will work: "netplan check bad.yaml" tells what; --findings marks them\n'
    )
    const marked = await draw('bad.yaml', '--findings')
    expect(marked.status).toBe(1)
    expect(marked.stdout).toContain('duplicate-address')
    expect(marked.stderr).not.toContain('--findings')
  })

  test('draws nothing of what is no topology', async () => {
    writeFileSync(join(folder, 'broken.yaml'), 'version: 1\ncontainers: {\n')
    const { status, stdout, stderr } = await draw('broken.yaml', '--out', 'x.svg')
    expect([status, stdout]).toEqual([1, ''])
    expect(stderr).toContain('error[yaml-syntax]')
    expect(existsSync(join(folder, 'x.svg'))).toBe(false)
  })

  test.each([
    [['nothing.yaml'], 'cannot read nothing.yaml: there is no such file'],
    [['home.yaml', 'bad.yaml'], 'unknown argument: bad.yaml'],
    [['home.yaml', '--', 'bad.yaml'], 'draw takes one file, not 2'],
    [['home.yaml', '--format', 'png'], '--format is "png"; it must be one of "svg", "mermaid", "dot"']
  ])('%j is wrong usage', async (args, said) => {
    const { status, stdout, stderr } = await draw(...args)
    expect([status, stdout, stderr]).toEqual([2, '', `netplan: ${said}\n`])
  })
})

describe('--out', () => {
  test('writes the picture, and leaves it alone when it is the same', async () => {
    const { stdout } = await draw('home.yaml')
    const first = await draw('home.yaml', '--out', 'home.svg')
    expect(first).toMatchObject({ status: 0, stdout: '', stderr: 'netplan: wrote home.svg\n' })
    expect(read('home.svg')).toBe(stdout)
    const { ino } = statSync(join(folder, 'home.svg'))
    const second = await draw('home.yaml', '--out', 'home.svg')
    expect(second).toMatchObject({
      status: 0,
      stdout: '',
      stderr: 'netplan: nothing has changed in home.svg\n'
    })
    expect(statSync(join(folder, 'home.svg')).ino).toBe(ino)
  })

  test('replaces a picture of any format with its mode, and leaves nothing beside it', async () => {
    await draw('home.yaml', '--out', 'picture', '--format', 'dot')
    chmodSync(join(folder, 'picture'), 0o640)
    expect((await draw('bad.yaml', '--out', 'picture', '--format', 'mermaid')).status).toBe(1)
    expect(read('picture')).toContain('flowchart LR')
    expect(statSync(join(folder, 'picture')).mode & 0o777).toBe(0o640)
    expect(readdirSync(folder).sort()).toEqual(['bad.yaml', 'home.yaml', 'picture'])
  })

  test('replaces an empty file, but no other that is not such a picture', async () => {
    writeFileSync(join(folder, 'empty.svg'), '')
    expect((await draw('home.yaml', '--out', 'empty.svg')).status).toBe(0)
    const { status, stderr } = await draw('home.yaml', '--out', 'bad.yaml')
    expect(status).toBe(2)
    expect(stderr).toBe(
      'netplan: cannot write bad.yaml: netplan did not make it, its first line does not say so; move it away or name another file\n'
    )
    expect(read('bad.yaml')).toBe(BAD)
  })

  test('goes through a link to a picture, and through none that leads nowhere', async () => {
    await draw('home.yaml', '--out', 'real.svg')
    symlinkSync('real.svg', join(folder, 'link.svg'))
    expect((await draw('bad.yaml', '--out', 'link.svg')).stderr).toContain('wrote link.svg')
    expect(lstatSync(join(folder, 'link.svg')).isSymbolicLink()).toBe(true)
    const { stdout } = await draw('bad.yaml')
    expect(read('real.svg')).toBe(stdout)
    symlinkSync('nowhere', join(folder, 'lost.svg'))
    expect((await draw('home.yaml', '--out', 'lost.svg')).status).toBe(2)
    expect(existsSync(join(folder, 'nowhere'))).toBe(false)
  })

  test.each(['home.yaml/x.svg', 'nowhere/x.svg', 'folder', ''])(
    'says why it cannot write "%s"',
    async name => {
      mkdirSync(join(folder, 'folder'))
      const { status, stdout, stderr } = await draw('home.yaml', '--out', name)
      expect([status, stdout]).toEqual([2, ''])
      expect(stderr).toMatch(/^netplan: cannot write .+: .+\n$/)
      expect(stderr).not.toMatch(/E[A-Z]{4,}|fault of netplan/)
    }
  )
})

test('only draw loads what draws', async () => {
  const hook = join(folder, 'hook.cjs')
  writeFileSync(
    hook,
    "process.on('exit', () => require('fs').writeSync(1, JSON.stringify(Object.keys(require.cache))))"
  )
  const loaded = async (...args: readonly string[]): Promise<string[]> => {
    const { stdout } = await start(process.execPath, ['--require', hook, command, ...args], { cwd: folder })
    const files: string[] = JSON.parse(stdout.slice(stdout.lastIndexOf('[')))
    return files.map(file => file.replace(`${root}dist/`, ''))
  }
  const lazy = 'lib/lazy/draw.cjs'
  expect(await loaded('draw', 'home.yaml', '--format', 'dot')).toContain(lazy)
  for (const args of [
    ['check', 'home.yaml'],
    ['check', '--strict', 'home.yaml'],
    ['plan', 'home.yaml'],
    ['--help']
  ])
    expect(await loaded(...args)).not.toContain(lazy)
  const text = readFileSync(join(root, 'dist', lazy), 'utf8')
  expect(text).toContain('rankdir')
  expect(text).not.toMatch(/\beval\(|new Function|new Worker/)
  expect(readFileSync(join(root, 'dist/lib/netplan.cjs'), 'utf8')).not.toContain('rankdir')
  expect(readFileSync(join(root, 'dist/THIRD-PARTY-LICENSES.txt'), 'utf8')).toContain('@dagrejs/dagre (MIT)')
})
