import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { fix, type FixOptions, mended } from '../src/cli/fix.ts'
import { analyze } from '../src/index.ts'
import { withFixes } from '../src/report/fixes.ts'
import { json } from '../src/report/json.ts'
import { changesOf, type Edit, edited } from '../src/syntax/edit.ts'
import { built, command, type Outcome, start } from './command.ts'

// `netplan fix` with real files; git is the judge of the patches that it prints.

const root = mkdtempSync(join(tmpdir(), 'netplan-fix-'))
let count = 0
let folder = ''
let file = ''

beforeEach(() => {
  folder = join(root, String((count += 1)))
  mkdirSync(folder)
  file = join(folder, 'topology.yaml')
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

interface Run {
  readonly exit: number
  readonly out: string
  readonly said: readonly string[]
}

const run = async (
  files: readonly string[] = [file],
  options: FixOptions = { diff: false }
): Promise<Run> => {
  const parts = { out: '', err: '' }
  const take = (name: 'out' | 'err') => (chunk: unknown) => {
    parts[name] += String(chunk)
    return true
  }
  const out = vi.spyOn(process.stdout, 'write').mockImplementation(take('out'))
  const err = vi.spyOn(process.stderr, 'write').mockImplementation(take('err'))
  try {
    const exit = await fix(files, options)
    return { exit, out: parts.out, said: parts.err.split('\n').slice(0, -1) }
  } finally {
    out.mockRestore()
    err.mockRestore()
  }
}

const HOME = `# home
version: 1
host:
  firewall: { backend: nftables }
nat:
  enable: true
  internalInterfaces: [ve-+] # every pair
  externalInterface: wlp5s0

bridges:
  br0: { address: [192.168.100.1/29] }

containers:
  web: # the site
    privateNetwork: true
    hostAddress: 10.0.0.1
    localAddress: 10.0.0.2/24   # as on the host
  db: { privateNetwork: true, hostBridge: br0, localAddress: "192.168.100.2" }
`

const MENDED = HOME.replace('[ve-+]', '["ve-*"]')
  .replace('10.0.0.2/24', '10.0.0.2')
  .replace('"192.168.100.2"', '"192.168.100.2/29"')

const told = (name: string): string =>
  [
    `${name}:7:24: nat.internalInterfaces[0]: ve-+ -> ve-* [wildcard-wrong-backend]`,
    `${name}:17:19: containers.web.localAddress: 10.0.0.2/24 -> 10.0.0.2 [prefix-without-bridge]`,
    `${name}:18:62: containers.db.localAddress: 192.168.100.2 -> 192.168.100.2/29 [missing-prefix-length]`,
    ''
  ].join('\n')

describe('a file', () => {
  test('is mended, and each mend is told with its place', async () => {
    writeFileSync(file, HOME)
    expect(await run()).toEqual({ exit: 0, out: told(file), said: [] })
    expect(readFileSync(file, 'utf8')).toBe(MENDED)
    expect(readdirSync(folder)).toEqual(['topology.yaml'])
  })

  test('is not written where nothing is to be mended', async () => {
    writeFileSync(file, MENDED)
    utimesSync(file, 1000, 1000)
    const { ino } = statSync(file)
    expect(await run()).toEqual({ exit: 0, out: '', said: ['netplan: nothing to mend'] })
    expect(statSync(file)).toMatchObject({ ino, mtimeMs: 1_000_000 })
  })

  test('fails while errors are left, and says how many', async () => {
    writeFileSync(
      file,
      HOME.replace('wlp5s0\n', 'wlp5s0\n  forwardPorts: [{ sourcePort: 0, destination: "10.0.0.2:80" }]\n')
    )
    const { exit, said } = await run()
    expect([exit, said]).toEqual([1, [`netplan: 1 error left: netplan check ${file}`]])
  })

  test('keeps its mode, and is found through a link, which stays', async () => {
    writeFileSync(file, HOME)
    chmodSync(file, 0o640)
    const link = join(folder, 'link.yaml')
    symlinkSync('topology.yaml', link)
    expect(await run([link])).toMatchObject({ exit: 0, out: told(link) })
    expect(lstatSync(link).isSymbolicLink()).toBe(true)
    expect(readFileSync(file, 'utf8')).toBe(MENDED)
    expect(statSync(file).mode & 0o777).toBe(0o640)
  })

  test('keeps its byte order mark, its line ends, and the missing last one', async () => {
    const strange = (text: string): string => `\ufeff${text.trimEnd().replaceAll('\n', '\r\n')}`
    writeFileSync(file, strange(HOME))
    expect((await run()).exit).toBe(0)
    expect(readFileSync(file, 'utf8')).toBe(strange(MENDED))
  })

  test('that cannot be written is told, and the others are written', async () => {
    const [one, two] = [join(folder, 'one.yaml'), join(folder, 'two.yaml')]
    for (const path of [one, two]) writeFileSync(path, HOME)
    const running = run([one, two])
    // Both have been read by now.
    const changed = `${HOME}# somebody else\n`
    writeFileSync(one, changed)
    expect(await running).toEqual({
      exit: 2,
      out: told(two),
      said: [`netplan: cannot write ${one}: somebody else has changed it in the meantime; run this again`]
    })
    expect(readFileSync(one, 'utf8')).toBe(changed)
    expect(readFileSync(two, 'utf8')).toBe(MENDED)
  })

  test('that cannot be read is told, and no other is changed', async () => {
    const other = join(folder, 'other.yaml')
    writeFileSync(other, HOME)
    expect(await run([other, file])).toEqual({
      exit: 2,
      out: '',
      said: [`netplan: cannot read ${file}: there is no such file`]
    })
    expect(readFileSync(other, 'utf8')).toBe(HOME)
  })
})

describe('the command', () => {
  beforeAll(() => built())
  const netplan = (args: readonly string[], input = ''): Promise<Outcome> =>
    start(process.execPath, [command, ...args], { cwd: folder, input })

  test('prints standard input mended, and talks beside it', async () => {
    expect(await netplan(['fix', '-'], HOME)).toMatchObject({
      status: 0,
      stdout: MENDED,
      stderr: told('<stdin>')
    })
    expect(await netplan(['fix', '-'], MENDED)).toMatchObject({
      status: 0,
      stdout: MENDED,
      stderr: 'netplan: nothing to mend\n'
    })
  })

  test('is named by check, and does what that says', async () => {
    writeFileSync(join(folder, "it's.yaml"), HOME)
    const { stdout } = await netplan(['check', "it's.yaml"])
    expect(stdout.trimEnd().split('\n').at(-1)).toBe("3 of these can be mended: netplan fix 'it'\\''s.yaml'")
    expect(await netplan(['fix', "it's.yaml"])).toMatchObject({ status: 0, stdout: told("it's.yaml") })
    expect(await netplan(['check', "it's.yaml"])).toMatchObject({ status: 0, stdout: '' })
  })

  test('reads topology.yaml, and says so where there is none', async () => {
    expect(await netplan(['fix'])).toMatchObject({
      status: 2,
      stderr: 'netplan: cannot read topology.yaml: there is no such file; name a file: netplan fix FILE\n'
    })
    writeFileSync(file, HOME)
    expect(await netplan(['fix', '--diff'])).toMatchObject({ status: 0, stderr: told('topology.yaml') })
    expect(await netplan(['fix'])).toMatchObject({ status: 0, stdout: told('topology.yaml') })
  })
})

describe('--diff', () => {
  test('writes nothing, and prints a patch that git applies', async () => {
    writeFileSync(file, HOME)
    const { exit, out, said } = await run([file], { diff: true })
    expect(exit).toBe(0)
    expect(readFileSync(file, 'utf8')).toBe(HOME)
    expect(said).toEqual(told(file).trimEnd().split('\n'))
    writeFileSync(join(folder, 'mend.patch'), out.replaceAll(file.slice(1), 'topology.yaml'))
    const git = spawnSync('git', ['apply', 'mend.patch'], { cwd: folder, encoding: 'utf8' })
    expect([git.status, git.stderr]).toEqual([0, ''])
    expect(readFileSync(file, 'utf8')).toBe(MENDED)
  })
})

const mend = async (text: string): Promise<string> =>
  (await mended([{ file: 'topology.yaml', text }])).sources[0]?.text ?? ''

const bridged = (...addresses: readonly string[]): string =>
  [
    'version: 1',
    'bridges:',
    '  br0: { address: [10.0.0.1/24] }',
    'containers:',
    ...addresses.map(
      (address, i) => `  c${i}: { privateNetwork: true, hostBridge: br0, localAddress: ${address} }`
    ),
    ''
  ].join('\n')

describe('mends that depend on each other', () => {
  test('give different free addresses to all who have one', async () => {
    const after = await mend(bridged(...Array.from({ length: 12 }, () => '10.0.0.2/24')))
    const addresses = Array.from(after.matchAll(/localAddress: (\S+)/g), ([, address]) => address)
    expect(new Set(addresses).size).toBe(12)
    expect(addresses[0]).toBe('10.0.0.2/24')
  })

  test('go on where one mend brings the next to light', async () => {
    // A leading zero hides that the address is taken.
    expect(await mend(bridged('10.0.0.5/24', '10.0.0.05/24'))).toBe(bridged('10.0.0.5/24', '10.0.0.2/24'))
  })

  test('add many entries to a list, also to one that is not there', async () => {
    const containers = Array.from(
      { length: 30 },
      (_, i) =>
        `  c${i + 10}: { privateNetwork: true, hostAddress: 10.1.${i}.1, localAddress: 10.1.${i}.2, internet: true }`
    )
    const all = Array.from({ length: 30 }, (_, i) => `ve-c${i + 10}`).join(', ')
    const text = (list: string): string =>
      [
        'version: 1',
        'nat:',
        '  enable: true',
        '  externalInterface: eth0',
        ...(list === '' ? [] : [list]),
        'containers:',
        ...containers,
        ''
      ].join('\n')
    expect(await mend(text('  internalInterfaces: [br9]'))).toBe(text(`  internalInterfaces: [br9, ${all}]`))
    const { report } = await analyze({ file: 't', text: await mend(text('  internalIPs: [10.9.0.0/24]')) })
    expect(report.findings.map(({ rule }) => rule)).not.toContain('nat-misses-container')
  })

  test('are made in each file of a site', async () => {
    const host = (name: string): string =>
      `version: 1\nsite: home\nhost: { interfaces: { eth0: { address: [${name}] } } }\ncontainers:\n  c: { privateNetwork: true, hostAddress: 10.0.0.1, localAddress: 10.0.0.2/24 }\n`
    const { sources, done } = await mended([
      { file: 'a.yaml', text: host('192.168.1.2/24') },
      { file: 'b.yaml', text: host('192.168.1.3/24') }
    ])
    expect(done.map(({ file }) => file)).toEqual(['a.yaml', 'b.yaml'])
    for (const { text } of sources) expect(text).toContain('localAddress: 10.0.0.2 }')
  })
})

describe('what is not safe', () => {
  test.each([
    [
      'an anchor that is used twice',
      `version: 1
containers:
  a: { privateNetwork: true, hostAddress: 10.0.0.1, localAddress: &x 10.0.0.2/24 }
  b: { privateNetwork: true, hostAddress: 10.0.0.1, localAddress: *x }
`
    ],
    [
      'a firewall that would trust somebody',
      'version: 1\nhost: { firewall: { backend: nftables, trustedInterfaces: [ve-+] } }\n'
    ],
    [
      'a container that may belong on a bridge',
      `version: 1
bridges: { br0: { address: [10.0.0.1/24] } }
containers:
  a: { privateNetwork: true, hostAddress: 10.0.0.1, localAddress: 10.0.0.2/24 }
`
    ]
  ])('is left alone: %s', async (_, text) => {
    const { report } = await analyze({ file: 't.yaml', text })
    const [withFix] = await withFixes([report])
    expect(withFix?.findings.length).toBeGreaterThan(0)
    expect(withFix?.findings.filter(({ fix }) => fix !== undefined)).toEqual([])
    expect(await mend(text)).toBe(text)
  })
})

test('what would bring an error is not made, and that is told', async () => {
  // iptables takes TCP; in small letters the two forwards would be seen to have one port.
  const text = `version: 1
host: { interfaces: { eth0: { dhcp: true } } }
nat:
  enable: true
  externalInterface: eth0
  internalInterfaces: [ve-a, ve-b]
  forwardPorts:
    - { sourcePort: 8080, destination: "10.0.0.2:80" }
    - { sourcePort: 8080, destination: "10.0.0.3:80", proto: TCP }
containers:
  a: { privateNetwork: true, hostAddress: 10.0.0.1, localAddress: 10.0.0.2 }
  b: { privateNetwork: true, hostAddress: 10.0.0.1, localAddress: 10.0.0.3 }
`
  writeFileSync(file, text)
  expect(await run()).toEqual({
    exit: 0,
    out: '',
    said: [
      'netplan: nothing to mend',
      `netplan: 1 hint left: netplan check ${file}`,
      'netplan: 1 mend was not made: it would bring another error, or the text leaves no room for it'
    ]
  })
  expect(readFileSync(file, 'utf8')).toBe(text)
})

describe('the fix of a finding in JSON', () => {
  test('is text edits that count from 1, each by itself', async () => {
    const { report } = await analyze({ file: 't.yaml', text: HOME })
    const { findings } = JSON.parse(json(await withFixes([report]))) as {
      findings: { rule: string; fix: unknown }[]
    }
    expect(findings.map(({ fix }) => fix)).toEqual([
      {
        title: 'nat.internalInterfaces[0]: ve-+ -> ve-*',
        edits: [{ start: { line: 7, column: 24 }, end: { line: 7, column: 28 }, newText: '"ve-*"' }]
      },
      {
        title: 'containers.web.localAddress: 10.0.0.2/24 -> 10.0.0.2',
        edits: [{ start: { line: 17, column: 19 }, end: { line: 17, column: 30 }, newText: '10.0.0.2' }]
      },
      {
        title: 'containers.db.localAddress: 192.168.100.2 -> 192.168.100.2/29',
        edits: [
          { start: { line: 18, column: 62 }, end: { line: 18, column: 77 }, newText: '"192.168.100.2/29"' }
        ]
      }
    ])
  })

  test('stays in proportion: many mends in a large file', { timeout: 60_000 }, async () => {
    const time = async (size: number): Promise<number> => {
      const text = [
        'version: 1',
        'containers:',
        ...Array.from(
          { length: size },
          (_, i) =>
            `  c${i}: { privateNetwork: true, hostAddress: 10.0.0.1, localAddress: 10.${(i >> 8) + 1}.${i & 255}.2/24 }`
        ),
        ''
      ].join('\n')
      const { report } = await analyze({ file: 't.yaml', text })
      const start = performance.now()
      const [withFix] = await withFixes([report])
      expect(withFix?.findings.filter(({ fix }) => fix !== undefined)).toHaveLength(size)
      return performance.now() - start
    }
    await time(1000)
    const [small, large] = [await time(2000), await time(16_000)]
    expect(large / small).toBeLessThan(30)
  })
})

describe('edits of keys and of lists', () => {
  const edit = async (text: string, ...edits: readonly Edit[]): Promise<string> => {
    const source = { file: 't.yaml', text }
    const result = await edited(source, edits)
    const [changes] = await changesOf(source, [edits])
    if ('refused' in result) {
      expect(changes).toBeUndefined()
      return result.refused.map(({ why }) => why).join()
    }
    // Both ways come to the same text.
    let end = 0
    let whole = ''
    for (const change of changes ?? []) {
      whole += text.slice(end, change.start) + change.text
      end = change.end
    }
    expect(whole + text.slice(end)).toBe(result.text)
    return result.text
  }
  const rename = (key: string, ...at: readonly string[]): Edit => ({ kind: 'rename', at, key })
  const append = (value: string, ...at: readonly string[]): Edit => ({ kind: 'append', at, value })

  test.each<[string, Edit[], string]>([
    ['a: 1 # x\n', [rename('b', 'a')], 'b: 1 # x\n'],
    ['"a": 1\nc: 2\n', [rename('b', 'a')], '"b": 1\nc: 2\n'],
    ["{'a': [1, 2]}\n", [rename('ve-*', 'a')], '{"ve-*": [1, 2]}\n'],
    ['{"a":1}', [rename('b', 'a')], '{"b":1}'],
    ['x:\n  a: # why\n    - 1\n  c: 2\n', [rename('b', 'x', 'a')], 'x:\n  b: # why\n    - 1\n  c: 2\n'],
    ['a: 1\nb: 2\n', [rename('b', 'a')], 'b is there already'],
    [
      'a: &x { c: 1 }\nd: *x\n',
      [rename('b', 'a', 'c')],
      'the alias *x repeats it elsewhere, and would change as well'
    ],
    ['a: &x 1\nb: *x\n', [rename('c', 'b')], 'a: &x 1\nc: *x\n'],
    ['- 1\n', [{ kind: 'rename', at: [0], key: 'b' }], 'an item of a list has no key'],
    ['a: [x]\n', [append('w', 'a'), append('z', 'a')], 'a: [x, w, z]\n'],
    ['a: [] # x\n', [append('w', 'a')], 'a: [w] # x\n'],
    ['a:\n  - x\nb: 1\n', [append('w', 'a')], 'a:\n  - x\n  - w\nb: 1\n'],
    ['b: 1\n', [append('w', 'a'), append('z', 'a')], 'b: 1\na: [w, z]\n'],
    ['a:\nb: 1\n', [append('w', 'a')], 'a: [w]\nb: 1\n'],
    ['a: x\n', [append('w', 'a')], 'a is no list']
  ])('%j', async (text, edits, after) => {
    expect(await edit(text, ...edits)).toBe(after)
  })

  test('are tried out one by one where they do not go together', async () => {
    const source = { file: 't.yaml', text: 'a: []\nb: 1\n' }
    const lists: Edit[][] = [
      [append('x', 'a')],
      [append('w', 'a')],
      [{ kind: 'replace', at: ['b'], value: 2 }],
      [{ kind: 'replace', at: ['c'], value: 2 }]
    ]
    const changes = await changesOf(source, lists)
    expect(changes.map(list => list?.map(({ text }) => text))).toEqual([['x'], ['w'], ['2'], undefined])
  })
})
