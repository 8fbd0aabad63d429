import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Outcome, root, start } from './command.ts'
import { absentPrograms } from './judge.ts'
import { parseNix, withoutNix } from './nix.ts'

// The hooks as users have them: the real pre-commit installs them from a git repository of this project, in a repository
// that is made for the test.

const good = readFileSync(`${root}examples/two-containers.yaml`, 'utf8')
const bad = good.replace('192.168.100.3/29', '192.168.100.2/29')

const folder = mkdtempSync(join(tmpdir(), 'netplan-hook-'))
const project = join(folder, 'project')
const repository = join(folder, 'a repository')
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Nobody's own settings of git, and hooks that are installed for this test. */
const env = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'somebody',
  GIT_AUTHOR_EMAIL: 'somebody@example.org',
  GIT_COMMITTER_NAME: 'somebody',
  GIT_COMMITTER_EMAIL: 'somebody@example.org',
  PRE_COMMIT_HOME: join(folder, 'hooks')
}

const git = (cwd: string, ...args: readonly string[]): string =>
  execFileSync('git', ['-c', 'safe.directory=*', ...args], {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, ...env }
  })

const write = (name: string, text: string): void => {
  mkdirSync(dirname(join(repository, name)), { recursive: true })
  writeFileSync(join(repository, name), text)
}

const commit = (): Promise<Outcome> =>
  start('git', ['commit', '-m', 'a change'], { cwd: repository, env, limit: 300_000 })

const stage = (name: string, text: string): void => {
  write(name, text)
  git(repository, 'add', name)
}

const configure = (hook: string, more = ''): void =>
  stage(
    '.pre-commit-config.yaml',
    `repos:\n  - repo: ${project}\n    rev: ${git(project, 'rev-parse', 'HEAD').trim()}\n    hooks:\n      - id: ${hook}\n${more}`
  )

const readme = readFileSync(`${root}README.md`, 'utf8')
/** The block of the README in a language that has something in it. */
const block = (language: string, mark: string): string =>
  Array.from(readme.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)).find(
    ([, kind, text]) => kind === language && text?.includes(mark)
  )?.[2] ?? ''

describe.skipIf(absentPrograms(['git', 'pre-commit', 'npm']))('the hooks of pre-commit', () => {
  beforeAll(() => {
    const files = git(root, 'ls-files', '-z', '--cached', '--others', '--exclude-standard').split('\0')
    for (const file of files) if (file !== '') cpSync(join(root, file), join(project, file))
    for (const path of [project, repository]) {
      mkdirSync(path, { recursive: true })
      git(path, 'init', '-q')
    }
    git(project, 'add', '-A')
    git(project, 'commit', '-qm', 'the project')
    execFileSync('pre-commit', ['install'], { cwd: repository, env: { ...process.env, ...env } })
  })

  test('netplan-check lets a good topology pass', { timeout: 300_000 }, async () => {
    configure('netplan-check')
    stage('topology.yaml', good)
    const { status, stderr } = await commit()
    expect(stderr).toContain('Passed')
    expect(status).toBe(0)
  })

  test('netplan-check stops a bad one with what is wrong', async () => {
    stage('hosts/a house/topology.yaml', bad)
    const { status, stderr } = await commit()
    expect(status).toBe(1)
    expect(stderr).toContain(
      'error[duplicate-address]: container "containerB" has the address 192.168.100.2 of container "containerA"'
    )
    expect(stderr).toContain('--> hosts/a house/topology.yaml:')
    expect(stderr).toContain('give container "containerB" a free one: 192.168.100.3/29')
    git(repository, 'rm', '-rqf', 'hosts')
  })

  test('what is staged is what counts', async () => {
    stage('topology.yaml', bad)
    write('topology.yaml', good)
    expect((await commit()).status).toBe(1)
    stage('topology.yaml', `${good}# staged\n`)
    write('topology.yaml', bad)
    expect((await commit()).status).toBe(0)
    expect(readFileSync(join(repository, 'topology.yaml'), 'utf8')).toBe(bad)
    write('topology.yaml', good)
  })

  test('other files are not looked at', async () => {
    stage('values.yaml', bad)
    const { status, stderr } = await commit()
    expect(stderr).toContain('(no files to check)Skipped')
    expect(status).toBe(0)
  })

  test('netplan-generated stops a commit with stale files', async () => {
    configure('netplan-generated', '        args: [topology.yaml, --target, nixos, --out, nix]\n')
    stage('topology.yaml', good)
    const stale = await commit()
    expect(stale.status).toBe(1)
    expect(stale.stderr).toContain('nix/network.nix')
    await start(
      process.execPath,
      [join(root, 'dist/netplan.cjs'), 'generate', '--target', 'nixos', '--out', 'nix'],
      {
        cwd: repository
      }
    )
    git(repository, 'add', 'nix')
    expect(await commit()).toMatchObject({ status: 0 })
    stage('topology.yaml', good.replaceAll('192.168.100.', '192.168.101.'))
    expect((await commit()).stderr).toContain('nix/network.nix')
  })

  test('from nothing to a checked commit, as the README has it', { timeout: 60_000 }, async () => {
    const home = join(folder, 'home')
    const bin = join(folder, 'bin')
    for (const path of [home, bin]) mkdirSync(path)
    symlinkSync(join(root, 'dist/netplan.cjs'), join(bin, 'netplan'))
    git(home, 'init', '-q')
    const walk = await start('bash', ['-euo', 'pipefail', '-c', block('sh', 'netplan init')], {
      cwd: home,
      env: { ...env, PATH: `${bin}:${process.env['PATH']}` }
    })
    expect([walk.status, walk.stderr.replace(/^wrote .*\n/gm, '')]).toEqual([0, expect.any(String)])
    const config = block('yaml', 'netplan-generated')
      .replace(/repo: .*/, `repo: ${project}`)
      .replace(/rev: .*/, `rev: ${git(project, 'rev-parse', 'HEAD').trim()}`)
    writeFileSync(join(home, '.pre-commit-config.yaml'), config)
    execFileSync('pre-commit', ['install'], { cwd: home, env: { ...process.env, ...env } })
    git(home, 'add', '-A')
    const first = await start('git', ['commit', '-m', 'first'], { cwd: home, env })
    expect([first.status, first.stderr.match(/Passed/g)]).toEqual([0, ['Passed', 'Passed']])
    const text = readFileSync(join(home, 'topology.yaml'), 'utf8')
    writeFileSync(join(home, 'topology.yaml'), text.replace('10.100.0.3/24', '10.100.0.2/24'))
    git(home, 'add', '-A')
    const second = await start('git', ['commit', '-m', 'second'], { cwd: home, env })
    expect(second.status).toBe(1)
    expect(second.stderr).toContain('error[duplicate-address]')
  })
})

test.skipIf(withoutNix())('the hook for git-hooks.nix is Nix', async () => {
  expect(await parseNix({ 'README.md': block('nix', 'pre-commit.hooks') })).toEqual({})
})
