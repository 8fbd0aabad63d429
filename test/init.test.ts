import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { PATTERNS } from '../src/cli/init.ts'
import { analyze } from '../src/index.ts'
import { judge } from '../src/reach/expect.ts'
import { worldOf } from '../src/reach/world.ts'
import { built, command, type Outcome, start } from './command.ts'
import { absentPrograms } from './judge.ts'

const folder = mkdtempSync(join(tmpdir(), 'netplan-init-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
beforeAll(built)

let cwd = folder
beforeEach(() => {
  cwd = mkdtempSync(join(folder, 'a folder-'))
})

const run = (...args: readonly string[]): Promise<Outcome> =>
  start(process.execPath, [command, ...args], { cwd })
const written = (name = 'topology.yaml'): string => readFileSync(join(cwd, name), 'utf8')

describe.each(PATTERNS)('%s', pattern => {
  test('has no findings, and all that it expects is so', async () => {
    expect((await run('init', pattern, '--uplink', 'enp9s0')).status).toBe(0)
    const { report, plan } = await analyze({ file: 'topology.yaml', text: written() })
    expect(report.findings).toEqual([])
    const world = worldOf(plan!)
    expect(plan!.topology.expectations.length).toBeGreaterThan(0)
    expect(plan!.topology.expectations.filter(wish => !judge(world, wish).holds)).toEqual([])
    expect(written()).toContain('enp9s0')
    expect(written()).not.toContain('enp1s0')
    expect(written().split('\n')[0]).toBe('# yaml-language-server: $schema=topology.schema.json')
  })

  test('what it says of nftables is right', async () => {
    await run('init', pattern)
    const text = written().replace('backend: iptables', 'backend: nftables').replace('[ve-+]', '[ve-*]')
    const { report } = await analyze({ file: 'topology.yaml', text })
    expect(report.findings).toEqual([])
  })

  test('what stands in comments can be taken out of them', async () => {
    await run('init', pattern)
    // What is published then is no longer blocked, which the file expects.
    const text = written()
      .replaceAll(/# (?=forwardPorts:|reserved:)/g, '')
      .replace(/^.*nothing is published.*\n/m, '')
    const { report } = await analyze({ file: 'topology.yaml', text })
    expect(report.findings).toEqual([])
  })
})

test('nothing is asked where nobody could answer', async () => {
  const { status, stdout, stderr } = await run('init')
  expect([status, stderr]).toEqual([0, ''])
  expect(stdout).toContain('wrote topology.yaml: containers on a bridge of their own, behind NAT')
  const checked = await run('check')
  expect([checked.status, checked.stdout]).toEqual([0, ''])
})

describe.skipIf(absentPrograms(['script']))('on a terminal it is asked which pattern', () => {
  const onTerminal = (keys: string): Promise<Outcome> =>
    start(
      'bash',
      ['-c', `printf '${keys}' | script -qec "'${process.execPath}' '${command}' init" /dev/null`],
      { cwd }
    )

  test.each([
    ['2\\n', 'wrote topology.yaml: one container on a pair of interfaces'],
    ['\\n', 'wrote topology.yaml: containers on a bridge of their own'],
    ['mesh\\nlan-bridge\\n', 'wrote topology.yaml: containers as machines of the LAN']
  ])('%s', async (keys, said) => {
    const { stdout } = await onTerminal(keys)
    expect(stdout).toContain('What is the network like?')
    expect(stdout).toContain(said)
    expect((await run('check')).stdout).toBe('')
  })

  test('and whoever leaves gets nothing', async () => {
    const { stdout, status } = await onTerminal('\\004')
    expect(stdout).toContain('netplan: nothing was written')
    expect(status).toBe(2)
    expect(readdirSync(cwd)).toEqual([])
  })
})

test('each file has a private IPv6 network of its own', async () => {
  await run('init', 'veth-pair-nat', '--out', 'a.yaml')
  await run('init', 'veth-pair-nat', '--out', 'b.yaml')
  const [a, b] = [written('a.yaml'), written('b.yaml')].map(text => /"(fd[^"]*)::1"/.exec(text)?.[1])
  expect(a).toMatch(/^fd[0-9a-f]{2}(:[0-9a-f]{1,4}){2}$/)
  expect(a).not.toBe(b)
})

test('the text alone, for whoever wants to look', async () => {
  const { status, stdout } = await run('init', 'lan-bridge', '--out', '-')
  expect(status).toBe(0)
  expect(stdout).toContain('hostBridge: br0')
  expect(readdirSync(cwd)).toEqual([])
})

describe('nothing is written', () => {
  test('over a file that is there', async () => {
    writeFileSync(join(cwd, 'topology.yaml'), 'mine')
    expect(await run('init')).toMatchObject({
      status: 2,
      stderr:
        'netplan: topology.yaml is there already; name another with --out, or "--out -" to see the text\n'
    })
    expect(written()).toBe('mine')
  })

  test.each([
    [['init', 'two-container'], 'there is no pattern "two-container"; did you mean two-containers?'],
    [['init', 'mesh'], 'there is no pattern "mesh"; there are two-containers'],
    [['init', '--uplink', 'eth0\nevil: 1'], 'is no name of an interface: it contains'],
    [['init', '--uplink', 'eth0]'], 'is no name of an interface: it has characters'],
    [['init', '--out', 'no/such/folder.yaml'], 'cannot write no/such/folder.yaml: there is no such folder']
  ])('%j', async (args, said) => {
    const { status, stderr } = await run(...args)
    expect(status).toBe(2)
    expect(stderr).toContain(said)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(readdirSync(cwd)).toEqual([])
  })

  test.skipIf(process.getuid?.() === 0)('in a folder that may not be written', async () => {
    mkdirSync(join(cwd, 'closed'))
    chmodSync(join(cwd, 'closed'), 0o555)
    const { status, stderr } = await run('init', '--out', 'closed/x.yaml')
    expect([status, stderr]).toEqual([2, 'netplan: cannot write closed/x.yaml: permission denied\n'])
    expect(existsSync(join(cwd, 'closed/x.yaml'))).toBe(false)
  })
})
