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
  truncateSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { afterAll, beforeAll, describe, expect, test, type TestContext } from 'vitest'
import { ruleNames } from '../src/report/ignored.ts'

// The built command, run as users run it.

const root = fileURLToPath(new URL('../', import.meta.url))
const command = join(root, 'dist/netplan.cjs')
let folder = ''

const GOOD = `version: 1
host:
  release: "25.11"
  manager: networkmanager
  interfaces:
    wlp5s0: { dhcp: true }
  firewall: { backend: iptables, allowedTCPPorts: [22] }
  listens: [{ name: sshd, port: 22 }]
nat:
  enable: true
  internalInterfaces: [br0]
  externalInterface: wlp5s0
bridges:
  br0:
    address: [192.168.100.1/29]
containers:
  web:
    privateNetwork: true
    hostBridge: br0
    localAddress: 192.168.100.2/29
    defaultGateway: { address: 192.168.100.1, interface: eth0 }
    firewall: { allowedTCPPorts: [80] }
    listens: [{ name: httpd, port: 80 }]
`
const BAD = `version: 1
bridges:
  br0: { address: [10.0.0.1/33] }
  br1: { address: [10.0.0.300/24] }
`
const WARNING = `version: 1
bridges:
  br7: { address: [10.9.0.1/24], dhcp: true }
`
const HINT = `version: 1
bridges:
  br0: { address: ["fc00::1/64"] }
`

/** Files by name. */
const FILES: Readonly<Record<string, string | Uint8Array>> = {
  'good.yaml': GOOD,
  'bad.yaml': BAD,
  'warning.yaml': WARNING,
  'hint.yaml': HINT,
  'empty.yaml': '',
  'comment.yaml': '# to be written\n',
  'binary.yaml': Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0xff),
  'nul.yaml': 'version: 1\n\0',
  'latin1.yaml': Buffer.from('version: 1\nname: caf\u00e9\n', 'latin1'),
  'utf16.yaml': Buffer.from(`\ufeff${GOOD}`, 'utf16le'),
  'utf16-bare.yaml': Buffer.from(GOOD, 'utf16le'),
  'bom.yaml': `\ufeff${BAD}`,
  'crlf.yaml': BAD.replaceAll('\n', '\r\n'),
  'lists.yaml': '['.repeat(100_000),
  'mappings.yaml': '{"a":'.repeat(100_000),
  'mappings.json': `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`,
  'nested.json': `{"version": 1, "containers": ${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}}`,
  'steps.yaml': `version: 1\n${Array.from({ length: 3000 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')}`,
  'bomb.yaml': `version: 1\na0: &a0 [x, x]\n${Array.from({ length: 60 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}]\n`).join('')}`,
  'circle.yaml': 'version: 1\ncontainers: &a\n  web: *a\n',
  'twice.yaml': 'version: 1\nbridges:\n  br0: {}\n  br1: {}\n  br0: {}\n',
  'twice.json': '{ "version": 1, "bridges": { "br0": {}, "br1": {}, "b\\u00720": {} } }',
  'unknown.yaml': 'version: 1\ncontainers:\n  web:\n    privateNetwrok: true\n',
  'unquoted.yaml': 'version: 1\ncontainers:\n  web:\n    privateNetwork: true\n    localAddress6: fd00::\n',
  'numbers.yaml':
    'version: 1\nbridges: { br0: {} }\ncontainers:\n  web:\n    privateNetwork: true\n    hostBridge: 0\n    localAddress: 10.0\n',
  'canonical.yaml': 'network:\n  version: 2\n  ethernets:\n    eth0: { dhcp4: true }\n',
  'scalar.yaml': 'hello\n',
  'expect.yaml': `${GOOD}expect:\n  - { from: web, to: internet, outcome: blocked }\n`,
  'many.yaml': `version: 1\nbridges:\n${Array.from({ length: 2000 }, (_, i) => `  br${i}: { address: [300.0.0.1/24] }\n`).join('')}`,
  'control.yaml': [
    'version: 1',
    'bridges:',
    '  "br\\e[31m\\n0\\u009b1m\\u202e": { address: ["10.0.0.1\\e[31m/24"] }',
    'containers:',
    '  "we\\e[31m\\n0\\u009b1m\\u2066\\x7f":',
    '    privateNetwork: true',
    '    hostBridge: "no\\e[2J\\n\\u009b"',
    '    localAddress: "10.0.0.2\\e[31m"',
    '    forwardPorts: [{ hostPort: 80, protocol: "t\\e[31mcp\\n" }]',
    '    "key\\e[31m\\n": 1',
    'nat: { enable: "\\e[31m\\n\\u2028", internalInterfaces: ["ve-\\e[31m\\n"] }',
    ''
  ].join('\n'),
  'raw.yaml': 'version: 1\nname: "\u009b31m\u202e"\nfoo\u202e: 1\n',
  'name\u001b[31m\nand more\u202e.yaml': BAD
}

interface Outcome {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
  readonly milliseconds: number
}

interface Options {
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly limit?: number
}

const environment = ({ env }: Options): NodeJS.ProcessEnv => {
  const { CI: _, NO_COLOR: _no, FORCE_COLOR: _force, ...rest } = process.env
  return { ...rest, LC_ALL: 'C.UTF-8', ...env }
}

const start = (program: string, args: readonly string[], options: Options = {}): Promise<Outcome> =>
  new Promise((resolve, reject) => {
    const begin = performance.now()
    const child = spawn(program, args, {
      cwd: options.cwd ?? folder,
      env: environment(options),
      timeout: options.limit ?? 20_000,
      killSignal: 'SIGKILL'
    })
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
    child.on('error', reject)
    child.stdin.on('error', () => {})
    child.stdin.end(options.input ?? '')
    child.on('close', status => {
      const [stdout, stderr] = [Buffer.concat(out).toString(), Buffer.concat(err).toString()]
      resolve({ status, stdout, stderr, milliseconds: performance.now() - begin })
    })
  })

/** What no run may ever print: a stack, a fault of the program itself, what a terminal acts on. */
const checkOutput = ({ stdout, stderr }: Outcome): void => {
  const text = stdout + stderr
  expect(text).not.toMatch(/^ {4}at /m)
  expect(text).not.toMatch(
    /fault of netplan itself|node:internal|Error: |\bundefined\b(?!-| half)|\[object Object\]/
  )
  for (const line of text.split('\n')) expect(line).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u)
  for (const line of stderr.split('\n').slice(0, -1)) expect(line).toMatch(/^netplan: ./)
}

const netplan = async (args: readonly string[], options: Options = {}): Promise<Outcome> => {
  const outcome = await start(process.execPath, [command, ...args], options)
  checkOutput(outcome)
  return outcome
}

const shell = async (script: string, options: Options = {}): Promise<Outcome> => {
  const outcome = await start('sh', ['-c', script, process.execPath, command], options)
  checkOutput(outcome)
  return outcome
}

const skip = (context: TestContext, reason: string): void => {
  console.warn(`skipped, ${context.task.name}: ${reason}`)
  context.skip(reason)
}

const newest = (path: string): number => {
  const stat = statSync(path)
  return stat.isDirectory()
    ? Math.max(...readdirSync(path).map(name => newest(join(path, name))))
    : stat.mtimeMs
}

beforeAll(() => {
  const sources = ['src', 'schemas', 'docs/rules', 'scripts', 'package.json'].map(path =>
    newest(join(root, path))
  )
  if (!existsSync(command) || Math.max(...sources) > statSync(command).mtimeMs) {
    const { status, stderr } = spawnSync(process.execPath, ['scripts/build.mjs'], {
      cwd: root,
      encoding: 'utf8',
      timeout: 100_000
    })
    if (status !== 0) throw new Error(`the build fails: ${stderr}`)
  }
  folder = mkdtempSync(join(tmpdir(), 'netplan-test-'))
  for (const [name, content] of Object.entries(FILES)) writeFileSync(join(folder, name), content)
  mkdirSync(join(folder, 'here'))
  writeFileSync(join(folder, 'here/topology.yaml'), BAD)
  mkdirSync(join(folder, 'nothing'))
  writeFileSync(join(folder, 'sparse.yaml'), '')
  truncateSync(join(folder, 'sparse.yaml'), 1024 ** 3)
})

afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

describe('check answers with its exit status', () => {
  test('0 and silence for a network that works', async () => {
    expect(await netplan(['check', 'good.yaml'])).toMatchObject({ status: 0, stdout: '', stderr: '' })
  })

  test('1 and the findings for errors', async () => {
    const { status, stdout, stderr } = await netplan(['check', 'bad.yaml'])
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' })
    expect(stdout).toContain('error[invalid-address]')
    expect(stdout).toContain(' --> bad.yaml:3:')
    expect(stdout.endsWith('\n2 errors\n')).toBe(true)
  })

  test('0 for warnings, which are printed; 1 with --strict', async () => {
    const lax = await netplan(['check', 'warning.yaml'])
    expect(lax).toMatchObject({ status: 0, stderr: '' })
    expect(lax.stdout).toMatch(/\n1 warning\n1 of these can be mended: netplan fix warning\.yaml\n$/)
    expect(await netplan(['check', '--strict', 'warning.yaml'])).toMatchObject({
      status: 1,
      stdout: lax.stdout
    })
  })

  test('0 for hints, also with --strict', async () => {
    const { status, stdout } = await netplan(['check', '--strict', 'hint.yaml'])
    expect(status).toBe(0)
    expect(stdout.endsWith('\n1 hint\n')).toBe(true)
  })

  test('0 and silence for a good file with --strict', async () => {
    expect(await netplan(['check', '--strict', 'good.yaml'])).toMatchObject({
      status: 0,
      stdout: '',
      stderr: ''
    })
  })

  test('1 for an expectation that is not met', async () => {
    const { status, stdout, stderr } = await netplan(['check', 'expect.yaml'])
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' })
    expect(stdout).toMatch(/^error\[failed-expectation\]: "web" reaches "internet" with a ping: /)
  })
})

describe('input that cannot be read is told on standard error, with exit status 2', () => {
  const text = 'it is not a text file in UTF-8'
  test.each([
    ['missing.yaml', 'there is no such file'],
    ['here', 'it is a directory'],
    ['.', 'it is a directory'],
    ['good.yaml/x', 'a part of the path is no directory'],
    ['x'.repeat(300), 'the name is too long'],
    ['binary.yaml', text],
    ['nul.yaml', text],
    ['latin1.yaml', text],
    ['utf16.yaml', text],
    ['utf16-bare.yaml', text],
    ['sparse.yaml', 'it is larger than 64 MiB, which no topology is']
  ])('%s', async (file, reason) => {
    const { status, stdout, stderr, milliseconds } = await netplan(['check', file])
    expect({ status, stdout, stderr }).toEqual({
      status: 2,
      stdout: '',
      stderr: `netplan: cannot read ${file}: ${reason}\n`
    })
    expect(milliseconds).toBeLessThan(2000)
  })

  test('an empty name, also beside options', async () => {
    const stderr = 'netplan: cannot read "": there is no such file\n'
    expect(await netplan(['check', ''])).toMatchObject({ status: 2, stderr })
    expect(await netplan(['check', '--strict', ''])).toMatchObject({ status: 2, stderr })
  })

  test.runIf(existsSync('/dev/zero'))('a device without an end', async () => {
    const { status, stderr } = await netplan(['check', '/dev/zero'])
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: 'netplan: cannot read /dev/zero: it is larger than 64 MiB, which no topology is\n'
    })
  })

  test('standard input without an end', async () => {
    const { status, stderr } = await shell('"$0" "$1" check - < sparse.yaml')
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: 'netplan: cannot read -: it is larger than 64 MiB, which no topology is\n'
    })
  })

  test('a file that the user may not read', async context => {
    const file = join(folder, 'secret.yaml')
    writeFileSync(file, GOOD)
    chmodSync(file, 0)
    // Root may read everything, unless it gives the capability away.
    const lowered = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-all'] : []
    const [probe, ...unreadable] = [...lowered, 'cat', file]
    if (spawnSync(probe, unreadable).status !== 1) skip(context, 'here everybody may read everything')
    const [program, ...args] = [...lowered, process.execPath, command, 'check', 'secret.yaml']
    const outcome = await start(program, args)
    checkOutput(outcome)
    expect(outcome).toMatchObject({
      status: 2,
      stdout: '',
      stderr: 'netplan: cannot read secret.yaml: permission denied\n'
    })
  })

  test('one of several files, and the others are still checked', async () => {
    const { status, stdout, stderr } = await netplan([
      'check',
      'bad.yaml',
      'missing.yaml',
      'warning.yaml',
      'good.yaml'
    ])
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: 'netplan: cannot read missing.yaml: there is no such file\n'
    })
    expect(stdout).toContain(' --> bad.yaml:3:')
    expect(stdout).toContain(' --> warning.yaml:3:')
    expect(stdout).toContain('\n2 errors, 1 warning in 3 files\n')
  })
})

describe('without a file', () => {
  test('topology.yaml of the folder is checked', async () => {
    const { status, stdout } = await netplan(['check'], { cwd: join(folder, 'here') })
    expect(status).toBe(1)
    expect(stdout).toContain(' --> topology.yaml:3:')
  })

  test('and without that one says how to name one', async () => {
    expect(await netplan(['check'], { cwd: join(folder, 'nothing') })).toMatchObject({
      status: 2,
      stdout: '',
      stderr: 'netplan: cannot read topology.yaml: there is no such file; name a file: netplan check FILE\n'
    })
  })
})

describe('standard input', () => {
  test('is read for -', async () => {
    expect(await netplan(['check', '-'], { input: GOOD })).toMatchObject({
      status: 0,
      stdout: '',
      stderr: ''
    })
    const { status, stdout } = await netplan(['check', '-'], { input: BAD })
    expect(status).toBe(1)
    expect(stdout).toContain(' --> <stdin>:3:')
  })

  test('is read for - behind options too', async () => {
    const { status, stdout } = await netplan(['check', '--format', 'compact', '-'], { input: BAD })
    expect(status).toBe(1)
    expect(stdout).toMatch(/^<stdin>:3:/)
  })

  test('may come late and in pieces', async () => {
    const { status, stdout } = await shell(
      '{ echo "version: 1"; sleep 0.3; echo "foo: 2"; } | "$0" "$1" check -'
    )
    expect(status).toBe(1)
    expect(stdout).toContain('error[unknown-key]')
  })

  test('may be empty or closed', async () => {
    expect(await netplan(['check', '-'])).toMatchObject({ status: 1, stderr: '' })
    expect(await shell('"$0" "$1" check - <&-')).toMatchObject({ status: 1, stderr: '' })
  })
})

const CONTRACT = (() => {
  const position = {
    type: 'object',
    additionalProperties: false,
    required: ['line', 'column'],
    properties: { line: { type: 'integer', minimum: 1 }, column: { type: 'integer', minimum: 1 } }
  }
  const path = { type: 'array', items: { type: ['string', 'integer'] } }
  const text = { type: 'string', minLength: 1 }
  const count = { type: 'integer', minimum: 0 }
  return new Ajv2020({ strict: true, allErrors: true, allowUnionTypes: true }).compile({
    type: 'object',
    additionalProperties: false,
    required: ['version', 'findings', 'summary'],
    properties: {
      version: { const: 1 },
      findings: {
        type: 'array',
        items: {
          type: 'object',
          additionalProperties: false,
          required: [
            'rule',
            'severity',
            'message',
            'note',
            'help',
            'file',
            'path',
            'start',
            'end',
            'related'
          ],
          properties: {
            rule: { type: 'string', pattern: '^[a-z0-9]+(-[a-z0-9]+)*$' },
            severity: { enum: ['error', 'warning', 'hint'] },
            message: text,
            note: text,
            help: text,
            file: text,
            path,
            start: position,
            end: position,
            related: {
              type: 'array',
              items: {
                type: 'object',
                additionalProperties: false,
                required: ['message', 'path', 'start', 'end'],
                properties: { message: text, path, start: position, end: position }
              }
            },
            fix: {
              type: 'object',
              required: ['title', 'edits'],
              properties: { title: text, edits: { type: 'array' } }
            }
          }
        }
      },
      summary: {
        type: 'object',
        additionalProperties: false,
        required: ['files', 'errors', 'warnings', 'hints'],
        properties: { files: count, errors: count, warnings: count, hints: count }
      }
    }
  })
})()

interface Json {
  readonly findings: readonly {
    readonly rule: string
    readonly severity: string
    readonly file: string
    readonly path: readonly unknown[]
    readonly start: object
  }[]
  readonly summary: object
}

/** The findings as JSON, held against the contract; `rules` are their rules. */
const findings = async (
  ...files: readonly string[]
): Promise<Json & { readonly rules: readonly string[]; readonly outcome: Outcome }> => {
  const outcome = await netplan(['check', '--format', 'json', ...files])
  const parsed: Json = JSON.parse(outcome.stdout)
  CONTRACT(parsed)
  expect(CONTRACT.errors ?? []).toEqual([])
  return { ...parsed, rules: parsed.findings.map(({ rule }) => rule), outcome }
}

describe('the JSON format', () => {
  test('keeps the contract for every file, and counts what it tells', async () => {
    const names = Object.keys(FILES).filter(name => !/^(?:binary|nul|latin1|utf16|many)/.test(name))
    const { findings: found, summary, outcome } = await findings(...names)
    const count = (severity: string): number => found.filter(finding => finding.severity === severity).length
    expect(outcome.status).toBe(1)
    expect(summary).toEqual({
      files: names.length,
      errors: count('error'),
      warnings: count('warning'),
      hints: count('hint')
    })
    expect(new Set(found.map(({ file }) => file)).size).toBeGreaterThan(20)
  })

  test('is complete for a good file', async () => {
    const { findings: found, summary, outcome } = await findings('good.yaml')
    expect({ found, summary, status: outcome.status }).toEqual({
      found: [],
      summary: { files: 1, errors: 0, warnings: 0, hints: 0 },
      status: 0
    })
  })

  test('says the place as path, line and column', async () => {
    const { findings: found } = await findings('bad.yaml')
    expect(found[0]).toMatchObject({
      file: 'bad.yaml',
      path: ['bridges', 'br0', 'address', 0],
      start: { line: 3, column: 20 },
      end: { line: 3, column: 31 }
    })
  })

  test('is whole where a file cannot be read', async () => {
    const { outcome, summary } = await findings('missing.yaml', 'bad.yaml')
    expect(outcome.status).toBe(2)
    expect(summary).toMatchObject({ files: 1, errors: 2 })
  })
})

describe('what people get wrong in a file is named', () => {
  test.each([
    ['empty.yaml', ['yaml-syntax']],
    ['comment.yaml', ['yaml-syntax']],
    ['scalar.yaml', ['unsupported-version']],
    ['twice.yaml', ['duplicate-key']],
    ['twice.json', ['duplicate-key']],
    ['unknown.yaml', ['unknown-key']],
    ['unquoted.yaml', ['unquoted-address']],
    ['numbers.yaml', ['wrong-type', 'wrong-type']],
    ['canonical.yaml', ['canonical-netplan']],
    ['bom.yaml', ['invalid-address', 'invalid-address']],
    ['crlf.yaml', ['invalid-address', 'invalid-address']],
    ['raw.yaml', ['unknown-key']]
  ])('%s', async (file, rules) => {
    const found = await findings(file)
    expect({ rules: found.rules, status: found.outcome.status, stderr: found.outcome.stderr }).toEqual({
      rules,
      status: 1,
      stderr: ''
    })
  })

  test('a byte order mark and CRLF move no place', async () => {
    const [plain, bom, crlf] = await Promise.all(
      ['bad.yaml', 'bom.yaml', 'crlf.yaml'].map(file => findings(file))
    )
    expect(bom?.findings.map(({ start }) => start)).toEqual(plain?.findings.map(({ start }) => start))
    expect(crlf?.findings.map(({ start }) => start)).toEqual(plain?.findings.map(({ start }) => start))
  })
})

describe('a hostile file is answered in time', () => {
  test.each([
    'lists.yaml',
    'mappings.yaml',
    'mappings.json',
    'nested.json',
    'steps.yaml',
    'bomb.yaml',
    'circle.yaml'
  ])('%s', async file => {
    const { status, stdout, stderr, milliseconds } = await netplan(['check', file])
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' })
    expect(stdout).toContain('error[')
    expect(stdout.length).toBeLessThan(20_000)
    expect(milliseconds).toBeLessThan(10_000)
  })
})

describe('wrong usage ends with 2 before anything is done', () => {
  test.each<[readonly string[], RegExp]>([
    [[], /^netplan: which command\? "netplan --help" lists them\n$/],
    [['chekc', 'good.yaml'], /chekc.*did you mean check\?/],
    [['good.yaml'], /good\.yaml/],
    [['--nosuch'], /nosuch/],
    [['check', '--nosuch', 'bad.yaml'], /nosuch/],
    [
      ['check', '--format', 'xml', 'bad.yaml'],
      /--format is "xml"; it must be one of "pretty", "compact", "json"/
    ],
    [['check', '--format=', 'bad.yaml'], /--format is ""/],
    [['check', 'bad.yaml', '--format'], /format/],
    [['schema', 'extra'], /extra/],
    [['explain', 'duplicate-address', 'extra'], /extra/],
    [['--'], /which command/],
    [['--', '-'], /unknown argument: -/],
    [['-'], /unknown argument: -/],
    [['check', '--format', '-'], /--format is "-"/],
    [
      ['explain', 'no-such-rule-at-all'],
      /there is no rule "no-such-rule-at-all"; "netplan explain" lists them/
    ],
    [
      ['explain', 'duplicate-adress'],
      /there is no rule "duplicate-adress"; did you mean duplicate-address\?/
    ],
    [['explain', '__proto__'], /there is no rule "__proto__"/],
    [['ch\u001b[31meck\n'], /ch\\u001b\[31meck/],
    [['explain', '\u009b31m\n'], /there is no rule/]
  ])('%j', async (args, words) => {
    const { status, stdout, stderr } = await netplan(args)
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toMatch(words)
    expect(stderr.split('\n').length).toBe(2)
  })
})

test.each([
  [['check', '--formt', 'json'], '--format'],
  [['check', '--format', 'jsn'], 'json'],
  [['plan', '--wite'], '--write'],
  [['generate', '--target', 'nixo'], 'nixos'],
  [['completion', 'bsh'], 'bash'],
  [['chek'], 'check']
])('%j: what was meant is told', async (args, meant) => {
  const { status, stderr } = await netplan(args)
  expect([status, stderr.endsWith(`; did you mean ${meant}?\n`)]).toEqual([2, true])
})

test('every command has an example in its help', async () => {
  const { stdout } = await netplan(['--help'])
  const commands = Array.from(stdout.matchAll(/^ {2}netplan ([a-z]+) /gm), ([, name = '']) => name)
  const names = [...new Set(commands)]
  expect(names.length).toBeGreaterThan(10)
  for (const name of names) {
    const { stdout: help } = await netplan([name, '--help'])
    expect([name, help.includes('\nExamples:\n')]).toEqual([name, true])
  }
})

describe('the options of check', () => {
  test('the last of two formats counts', async () => {
    expect((await netplan(['check', '--format', 'json', '--format', 'compact', 'bad.yaml'])).stdout).toMatch(
      /^bad\.yaml:3:/
    )
  })

  test('compact prints one line for each finding', async () => {
    const { status, stdout } = await netplan(['check', '--format=compact', 'bad.yaml'])
    expect(status).toBe(1)
    expect(stdout).toMatch(/^(?:bad\.yaml:\d+:\d+: error\[invalid-address\]: .+; .+\n){2}$/)
  })

  test('compact prints nothing for a good file', async () => {
    expect(await netplan(['check', '--format', 'compact', 'good.yaml'])).toMatchObject({
      status: 0,
      stdout: '',
      stderr: ''
    })
  })

  test('files keep their order and their names beside options', async () => {
    const names = [
      '12',
      '007',
      'a=b',
      '1e3',
      'true',
      '{}',
      '[a]',
      'a b',
      '-',
      'good.yaml',
      'bad.yaml',
      // A file is checked once, however often it is named.
      'bad.yaml'
    ]
    const { status, stdout, stderr } = await netplan(['check', '--format', 'compact', ...names], {
      input: BAD
    })
    expect(status).toBe(2)
    expect(stderr).toBe(
      names
        .slice(0, 8)
        .map(name => `netplan: cannot read ${name}: there is no such file\n`)
        .join('')
    )
    expect(Array.from(stdout.matchAll(/^(.+?):/gm), ([, name]) => name)).toEqual([
      '<stdin>',
      '<stdin>',
      'bad.yaml',
      'bad.yaml'
    ])
  })

  test('what stands behind -- is a file', async () => {
    expect((await netplan(['check', '--', 'bad.yaml'])).stdout).toContain(' --> bad.yaml:3:')
    expect(await netplan(['check', '--', '--strict'])).toMatchObject({
      status: 2,
      stderr: 'netplan: cannot read --strict: there is no such file\n'
    })
  })

  test('options may stand on either side of the file', async () => {
    const before = await netplan(['check', '--strict', '--format', 'compact', 'warning.yaml'])
    expect(await netplan(['check', 'warning.yaml', '--format', 'compact', '--strict'])).toMatchObject({
      status: 1,
      stdout: before.stdout
    })
  })
})

describe('several files are one site', () => {
  const alpha = `version: 1
host: { interfaces: { enp1s0: { address: [192.168.1.10/24] } } }
`
  const beta = `version: 1
bridges: { br0: { interfaces: [enp2s0] } }
containers:
  web:
    privateNetwork: true
    hostBridge: br0
    localAddress: 192.168.1.10/24
    dhcp: true
`
  beforeAll(() => {
    writeFileSync(join(folder, 'alpha.yaml'), alpha)
    writeFileSync(join(folder, 'beta.yaml'), beta)
  })

  test('an address of both is told in the second, with the place in the first', async () => {
    const { status, stdout } = await netplan(['check', 'alpha.yaml', 'beta.yaml'])
    expect(status).toBe(1)
    expect(stdout).toContain(' --> beta.yaml:7:19\n')
    expect(stdout).toContain(' ::: alpha.yaml:2:43\n')
    expect(stdout).toContain('1 error in 2 files\n')
  })

  test('two names of one file are one file', async () => {
    symlinkSync('alpha.yaml', join(folder, 'alias.yaml'))
    for (const other of ['./alpha.yaml', 'alias.yaml', join(folder, 'alpha.yaml')])
      expect(await netplan(['check', 'alpha.yaml', other])).toMatchObject({
        status: 0,
        stdout: '',
        stderr: ''
      })
    expect(await netplan(['fix', 'alpha.yaml', 'alias.yaml'])).toMatchObject({
      status: 0,
      stderr: 'netplan: nothing to mend\n'
    })
  })

  test('the order of the files decides only which of them is told', async () => {
    const { stdout } = await netplan(['check', 'beta.yaml', 'alpha.yaml'])
    expect(stdout).toContain(' --> alpha.yaml:2:43\n')
    expect(stdout).toContain(' ::: beta.yaml:7:19\n')
  })

  test('programs get the name of the other file', async () => {
    const { stdout } = await netplan(['check', '--format', 'json', 'alpha.yaml', 'beta.yaml'])
    expect(JSON.parse(stdout)).toMatchObject({
      findings: [
        {
          rule: 'address-taken-by-neighbour',
          file: 'beta.yaml',
          related: [{ file: 'alpha.yaml', start: { line: 2, column: 43 } }]
        }
      ]
    })
    const { stdout: line } = await netplan(['check', '--format', 'compact', 'alpha.yaml', 'beta.yaml'])
    expect(line).toMatch(/^beta\.yaml:7:19: error\[address-taken-by-neighbour\]: .* \(alpha\.yaml:2\); /)
  })

  test('each alone is fine, and so are two sites', async () => {
    for (const file of ['alpha.yaml', 'beta.yaml'])
      expect(await netplan(['check', file])).toMatchObject({ status: 0, stdout: '' })
    writeFileSync(join(folder, 'alpha-home.yaml'), `${alpha}site: home\n`)
    writeFileSync(join(folder, 'beta-office.yaml'), `${beta}site: office\n`)
    expect(await netplan(['check', 'alpha-home.yaml', 'beta-office.yaml'])).toMatchObject({
      status: 0,
      stdout: ''
    })
  })

  test('a broken file does not hide what the others have', async () => {
    const { status, stdout, stderr } = await netplan([
      'check',
      'alpha.yaml',
      'gone.yaml',
      'bad.yaml',
      'beta.yaml'
    ])
    expect(status).toBe(2)
    expect(stderr).toBe('netplan: cannot read gone.yaml: there is no such file\n')
    expect(stdout).toContain(' ::: alpha.yaml:2:43\n')
    expect(stdout).toContain(' --> bad.yaml:3:')
  })
})

describe('more than a hundred findings of one rule', () => {
  const names = Array.from({ length: 250 }, (_, i) => `c${i}`)
  const many = [
    'version: 1',
    'bridges: { br7: { address: [10.9.0.1/24], dhcp: true } }',
    'containers:',
    ...names.map(
      (name, i) =>
        `  ${name}: { privateNetwork: true, hostAddress: 10.0.0.1/24, localAddress: 10.1.0.${i + 1} }`
    )
  ].join('\n')
  beforeAll(() => writeFileSync(join(folder, 'many.yaml'), many))
  const REST =
    'error[prefix-on-host-address]: 150 more findings of this rule in many.yaml; --all shows them\n'

  test('are summed up, and hide no other rule', async () => {
    const { status, stdout } = await netplan(['check', 'many.yaml'])
    expect(status).toBe(1)
    expect(stdout.match(/^error\[prefix-on-host-address\]: hostAddress /gm)).toHaveLength(100)
    expect(stdout).toContain(REST)
    expect(stdout).toContain('warning[dhcp-and-static]')
    expect(stdout).toContain('250 errors, 1 warning\n')
    const { stdout: lines } = await netplan(['check', '--format', 'compact', 'many.yaml'])
    expect(lines.split('\n')).toHaveLength(103)
    expect(lines).toContain(`many.yaml: ${REST}`)
  })

  test('are all shown on request, and always told to programs', async () => {
    for (const args of [['--all'], ['--all', '--format', 'compact']]) {
      const { stdout } = await netplan(['check', ...args, 'many.yaml'])
      expect(stdout.match(/error\[prefix-on-host-address\]/g)).toHaveLength(250)
      expect(stdout).not.toContain('more findings')
    }
    const { stdout } = await netplan(['check', '--format', 'json', 'many.yaml'])
    const found: unknown = JSON.parse(stdout)
    expect(found).toMatchObject({ summary: { files: 1, errors: 250, warnings: 1, hints: 0 } })
    expect(stdout.match(/"rule"/g)).toHaveLength(251)
  })
})

describe('the other commands', () => {
  test.each([
    [['--help']],
    [['-h']],
    [['help']],
    [['check', '--help']],
    [['explain', '-h']],
    [['schema', '--help']]
  ])('%j prints help', async args => {
    const { status, stdout, stderr } = await netplan(args)
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(/^netplan /)
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(100)
  })

  test('help names every command and the exit status', async () => {
    const { stdout } = await netplan(['--help'])
    for (const word of ['check', 'explain', 'schema', 'Exit status']) expect(stdout).toContain(word)
  })

  test('help is the same in every language of the user', async () => {
    const [english, german] = await Promise.all(
      ['en_US.UTF-8', 'de_DE.UTF-8'].map(LC_ALL => netplan(['--help'], { env: { LC_ALL } }))
    )
    expect(german?.stdout).toBe(english?.stdout)
  })

  test('--version prints the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    expect(await netplan(['--version'])).toMatchObject({ status: 0, stdout: `${version}\n`, stderr: '' })
  })

  test('explain lists every rule once', async () => {
    const { status, stdout, stderr } = await netplan(['explain'])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    const listed = Array.from(stdout.matchAll(/^ {2}([a-z0-9-]+) +(?:error|warning|hint) /gm), ([, id]) => id)
    expect(listed.map(String).sort()).toEqual([...ruleNames()].sort())
  })

  test('explain knows the name of what generate refuses', async () => {
    const { status, stdout } = await netplan(['explain', 'cannot-express'])
    expect(status).toBe(0)
    expect(stdout).toMatch(/^cannot-express\n[^]*exit status is 1/)
  })

  test('explain prints the page of a rule, with or without its brackets', async () => {
    const plain = await netplan(['explain', 'duplicate-address'])
    expect(plain).toMatchObject({ status: 0, stderr: '' })
    expect(plain.stdout).toMatch(/^duplicate-address\n\nerror · /)
    expect(plain.stdout).not.toContain('```')
    expect(await netplan(['explain', '[duplicate-address]'])).toMatchObject({
      status: 0,
      stdout: plain.stdout
    })
  })

  test('schema prints the file itself', async () => {
    const { status, stdout, stderr } = await netplan(['schema'])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toBe(readFileSync(join(root, 'schemas/topology.schema.json'), 'utf8'))
    expect(JSON.parse(stdout)).toMatchObject({ title: 'netplan topology' })
  })
})

describe('names from files and command lines reach no terminal raw', () => {
  // Every run is held against checkOutput.
  test.each(['pretty', 'compact', 'json'])('as %s', async format => {
    const { status, stdout } = await netplan([
      'check',
      '--format',
      format,
      'control.yaml',
      'raw.yaml',
      'name\u001b[31m\nand more\u202e.yaml'
    ])
    expect(status).toBe(1)
    expect(stdout).toContain('\\u001b[31m')
  })

  test('in the name of a missing file', async () => {
    const { status, stderr } = await netplan(['check', 'no\u001b[31m\n\u009bsuch\u202efile'])
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: 'netplan: cannot read no\\u001b[31m\\u000a\\u009bsuch\\u202efile: there is no such file\n'
    })
  })
})

/** What is printed on a terminal, which the program script makes. */
const painted = (env: Readonly<Record<string, string>> = {}): Promise<Outcome> =>
  start('script', ['-qec', `'${process.execPath}' '${command}' check bad.yaml`, '/dev/null'], {
    env: { TERM: 'xterm', ...env }
  })

const needsTerminal = (context: TestContext): void => {
  if (spawnSync('script', ['-qec', 'test -t 1', '/dev/null']).status !== 0)
    skip(context, 'no program script that makes a terminal')
}

describe('colour', () => {
  test('is shown on a terminal', async context => {
    needsTerminal(context)
    const { stdout, status } = await painted()
    expect(status).toBe(1)
    expect(stdout).toContain('\u001b[31m')
  })

  test.for([{ NO_COLOR: '1' }, { TERM: 'dumb' }])(
    'is not shown on a terminal with %o',
    async (env, context) => {
      needsTerminal(context)
      const { stdout } = await painted(Object.fromEntries(Object.entries(env)))
      expect(stdout).toContain('error[invalid-address]')
      expect(stdout).not.toContain('\u001b')
    }
  )

  test.each([{}, { CI: 'true' }, { FORCE_COLOR: '1' }, { TERM: 'xterm-256color', COLORTERM: 'truecolor' }])(
    'is not shown in a pipe with %o',
    async (env: Readonly<Record<string, string>>) => {
      for (const args of [['check', 'bad.yaml'], ['explain'], ['explain', 'duplicate-address'], ['--help']])
        expect((await netplan(args, { env })).stdout).not.toContain('\u001b')
    }
  )
})

describe('output that cannot be written', () => {
  test('a reader that goes away is no fault and changes no answer', async () => {
    for (const args of ['check many.yaml', 'check --format json many.yaml', 'explain', 'schema']) {
      const expected = args.startsWith('check') ? 1 : 0
      const { stdout, stderr } = await start('sh', [
        '-c',
        `{ "$0" "$1" ${args}; echo "netplan: $?" >&2; } | head -1`,
        process.execPath,
        command
      ])
      expect({ args, lines: stdout.split('\n').length, stderr }).toEqual({
        args,
        lines: 2,
        stderr: `netplan: ${expected}\n`
      })
    }
  })

  test('nobody reads at all', async () => {
    expect(
      await shell('{ sleep 0.5; "$0" "$1" check many.yaml; echo "netplan: $?" >&2; } | true')
    ).toMatchObject({ stderr: 'netplan: 1\n' })
    expect(await shell('"$0" "$1" check bad.yaml >&-')).toMatchObject({ status: 1, stderr: '' })
    expect(await shell('"$0" "$1" check missing.yaml 2>&-')).toMatchObject({ status: 2, stdout: '' })
  })

  test.runIf(existsSync('/dev/full'))('a full disk is told in one line', async () => {
    for (const args of ['check bad.yaml', 'check --format json bad.yaml', 'explain', 'schema', '--help']) {
      const { status, stderr } = await shell(`"$0" "$1" ${args} > /dev/full`)
      expect({ args, status }).toEqual({ args, status: 2 })
      expect(stderr).toMatch(/^netplan: cannot write: .*no space left.*\n$/)
    }
    expect(await shell('"$0" "$1" check missing.yaml 2> /dev/full')).toMatchObject({ status: 2, stdout: '' })
  })
})
