import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { built, root, start } from './command.ts'
import { absent, inNamespace } from './judge.ts'

// Every command with everything that a machine may do to it: its answer is the one that it gives without, or one line that says
// why there is none. Never a stack, never half a file.

const GOOD = `version: 1
name: home
bridges:
  br0: { address: 10.1.0.1/29 }
containers:
  web: { privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.2/29 }
  db: { privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.3/29, firewall: { allowedTCPPorts: [80] } }
expect:
  - { from: web, to: db, port: 80, outcome: reaches }
`
const AUTO = GOOD.replace('10.1.0.3/29', 'auto')
const BAD = GOOD.replace('10.1.0.3/29', '10.1.0.2/29')

interface Command {
  readonly words: readonly string[]
  /** What stands behind the file. */
  readonly behind?: readonly string[]
  /** Undefined where no file is read. */
  readonly text?: string
  /** What is written beside or in place of the file. */
  readonly writes?: 'file' | 'out'
}

/** `OUT` stands for a name in the folder of the file. */
const COMMANDS: Readonly<Record<string, Command>> = {
  check: { words: ['check'], text: BAD },
  'check --format': { words: ['check', '--format', 'json'], text: BAD },
  explain: { words: ['explain', 'duplicate-address'] },
  schema: { words: ['schema'] },
  completion: { words: ['completion', 'bash'] },
  init: { words: ['init', 'two-containers', '--uplink', 'eno1', '--out', 'OUT'], writes: 'out' },
  'check --format sarif': { words: ['check', '--format', 'sarif'], text: BAD },
  plan: { words: ['plan'], text: GOOD },
  'plan --write': { words: ['plan', '--write'], text: AUTO, writes: 'file' },
  'plan --what-if': { words: ['plan', '--what-if', '+2:br0'], text: GOOD },
  'plan --diff': { words: ['plan', '--diff', 'OLD'], text: GOOD },
  generate: { words: ['generate', '--target', 'networkd'], text: GOOD },
  'generate --out': {
    words: ['generate', '--target', 'networkd', '--out', 'OUT'],
    text: GOOD,
    writes: 'out'
  },
  'generate --check': { words: ['generate', '--target', 'nixos', '--out', 'OUT', '--check'], text: GOOD },
  'generate --diff': { words: ['generate', '--target', 'nixos', '--out', 'OUT', '--diff'], text: GOOD },
  reach: { words: ['reach'], text: GOOD },
  trace: { words: ['trace'], behind: ['web', 'db:81'], text: GOOD },
  'rehearse --dry-run': { words: ['rehearse', '--dry-run'], text: GOOD },
  fix: { words: ['fix'], text: BAD, writes: 'file' },
  'fix --diff': { words: ['fix', '--diff'], text: BAD },
  draw: { words: ['draw'], text: GOOD },
  'draw --out': { words: ['draw', '--out', 'OUT'], text: GOOD, writes: 'out' }
}

/** One way of each command that reads a file. */
const SOME = [
  'check',
  'plan',
  'plan --write',
  'generate',
  'reach',
  'trace',
  'rehearse --dry-run',
  'fix',
  'draw'
]
const WRITERS = Object.keys(COMMANDS).filter(name => COMMANDS[name]?.writes !== undefined)

let base = ''
let program = ''

beforeAll(() => {
  built()
  base = mkdtempSync(join(tmpdir(), 'netplan-faults-'))
  chmodSync(base, 0o755)
  // Where everybody may read it.
  cpSync(join(root, 'dist'), join(base, 'dist'), { recursive: true })
  program = join(base, 'dist/netplan.cjs')
})

afterAll(() => rmSync(base, { recursive: true, force: true }))

interface Fault {
  /** How the file is called; it lies in a folder of its own, which is not the working folder. */
  readonly file?: string
  /** How the command line calls it; the path without this. */
  readonly called?: (path: string) => readonly string[]
  readonly text?: (text: string) => string
  /** What stands before the call of Node. */
  readonly before?: readonly string[]
  /** A script of sh, in which "$@" is the call. */
  readonly shell?: string
  readonly env?: Readonly<Record<string, string>>
  /** The folder of the file itself. */
  readonly cwd?: 'own'
  /** A module that is loaded first; FILE is the path of the file there. */
  readonly hook?: string
  readonly prepare?: (folder: string) => void
}

interface Result {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** What is in the folder then, by name. */
  readonly files: Readonly<Record<string, string>>
}

let count = 0

const run = async (name: string, fault: Fault = {}): Promise<Result> => {
  const { words, behind = [], text } = COMMANDS[name] ?? { words: [] }
  count += 1
  const folder = join(base, `run${count}`)
  mkdirSync(folder)
  const file = join(folder, fault.file ?? 'home.yaml')
  const old = join(folder, 'old.yaml')
  if (text !== undefined) writeFileSync(file, fault.text === undefined ? text : fault.text(text))
  if (words.includes('OLD')) writeFileSync(old, GOOD)
  const hook = join(base, `hook${count}.cjs`)
  if (fault.hook !== undefined)
    writeFileSync(
      hook,
      `const FILE = ${JSON.stringify(file)}\nconst fs = require('node:fs')\n${fault.hook}\n`
    )
  fault.prepare?.(folder)
  const call = [
    process.execPath,
    ...(fault.hook === undefined ? [] : ['--require', hook]),
    program,
    ...words.map(word => (word === 'OUT' ? join(folder, 'out') : word === 'OLD' ? old : word)),
    ...(text === undefined ? [] : (fault.called?.(file) ?? [file])),
    ...behind
  ]
  const whole = fault.shell === undefined ? call : ['sh', '-c', fault.shell, 'sh', ...call]
  const [first = '', ...rest] = [...(fault.before ?? []), ...whole]
  const { status, signal, stdout, stderr } = await start(first, rest, {
    cwd: fault.cwd === 'own' ? folder : base,
    ...(fault.env === undefined ? {} : { env: fault.env }),
    limit: 50_000
  })
  // The folder has another name each time.
  const plain = (said: string): string => said.replaceAll(folder, 'FOLDER')
  return { status, signal, stdout: plain(stdout), stderr: plain(stderr), files: contents(folder) }
}

const contents = (folder: string, above = ''): Readonly<Record<string, string>> =>
  Object.fromEntries(
    readdirSync(folder).flatMap(name => {
      const path = join(folder, name)
      return statSync(path).isDirectory()
        ? Object.entries(contents(path, `${above}${name}/`))
        : [[`${above}${name}`, readFileSync(path, 'utf8')]]
    })
  )

/** What the commands do, a few at a time, by name. */
const all = async (
  names: readonly string[],
  one: (name: string) => Promise<unknown>
): Promise<Readonly<Record<string, unknown>>> => {
  const open = [...names]
  const found: Record<string, unknown> = {}
  const worker = async (): Promise<void> => {
    for (let name = open.shift(); name !== undefined; name = open.shift()) found[name] = await one(name)
  }
  await Promise.all([worker(), worker(), worker()])
  return found
}

const EVERY = Object.keys(COMMANDS)

const references = new Map<string, Promise<Result>>()

const reference = (name: string): Promise<Result> => {
  const known = references.get(name) ?? run(name)
  references.set(name, known)
  return known
}

/** That all commands do with the fault what they do without it, as far as `seen` shows it. */
const same = async (
  fault: Fault,
  seen: (result: Result) => unknown = result => result,
  names: readonly string[] = EVERY
): Promise<void> => {
  const wanted = await all(names, async name => seen(await reference(name)))
  expect(await all(names, async name => seen(await run(name, fault)))).toEqual(wanted)
}

/** What of a result is told when it does not work: never more than a line, and nothing was written. */
const refused = (result: Result): string =>
  result.status === 2 && result.signal === null && /^netplan: [^\n]+\n$/.test(result.stderr)
    ? result.stderr.slice('netplan: '.length, -1)
    : JSON.stringify(result)

/** What stands in the folder before. */
const written = (name: string): Readonly<Record<string, string>> => {
  const text = COMMANDS[name]?.text
  return text === undefined ? {} : { 'home.yaml': text }
}

const isRoot = process.getuid?.() === 0

test('without a fault each command has an answer, and the writers write', async () => {
  const results = await all(EVERY, reference)
  for (const [name, { text, writes }] of Object.entries(COMMANDS)) {
    const result = await reference(name)
    const { signal, status, stdout, stderr, files } = result
    expect([name, signal, [0, 1].includes(status ?? 2)]).toEqual([name, null, true])
    expect([name, stdout + stderr]).not.toEqual([name, ''])
    expect([name, stdout + stderr]).not.toEqual([name, expect.stringMatching(/\n {4}at |fault of netplan/)])
    expect([name, Object.keys(files).some(file => file.startsWith('out'))]).toEqual([name, writes === 'out'])
    expect([name, files['home.yaml'] === text]).toEqual([name, writes !== 'file'])
  }
  expect(Object.keys(results)).toHaveLength(EVERY.length)
})

describe('the environment changes no answer', () => {
  test('none at all', () => same({ before: ['env', '-i'] }))

  test('a Turkish locale, and nothing that is where it should be', () =>
    same({
      env: { LC_ALL: 'tr_TR.UTF-8', LANG: 'tr_TR', HOME: '/nowhere', TMPDIR: '/nowhere', PWD: '/nowhere' }
    }))

  test('a locale, terminal, width and zone that nobody knows', () =>
    same({
      env: { LC_ALL: 'xx', LANGUAGE: 'xx', TERM: 'xx', COLUMNS: '-3', TZ: 'No/Where', USER: '', SHELL: '' }
    }))

  test('a folder that is no more', () =>
    same({ shell: 'mkdir "$0$$" && cd "$0$$" && rmdir "$PWD" && exec "$@"' }))

  test.runIf(isRoot)('the rights of nobody, where it may read', () =>
    same(
      { before: ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] },
      result => result,
      EVERY.filter(name => !WRITERS.includes(name))
    )
  )
})

describe('streams', () => {
  test('closed input changes no answer', () => same({ shell: 'exec "$@" <&-' }))

  test('closed output changes neither the exit status nor what is written', () =>
    same({ shell: 'exec "$@" >&-' }, ({ status, stderr, files }) => ({ status, stderr, files })))

  test('a reader that is gone changes neither the exit status nor what is written', () => goneReader())

  const goneReader = async (): Promise<void> => {
    const wanted = await all(EVERY, async name => {
      const { status, stderr, files } = await reference(name)
      return { said: `${stderr}= ${status}\n`, files }
    })
    const found = await all(EVERY, async name => {
      const { stderr, files } = await run(name, { shell: '{ "$@"; echo "= $?" >&2; } | true' })
      return { said: stderr, files }
    })
    expect(found).toEqual(wanted)
  }

  test.runIf(existsSync('/dev/full'))(
    'a full disk behind the output is told in one line, and 2',
    async () => {
      const wanted = await all(EVERY, async name => (await reference(name)).stdout !== '')
      const found = await all(EVERY, async name => {
        const { status, stderr, files } = await run(name, { shell: 'exec "$@" >/dev/full' })
        expect([name, files]).toEqual([name, (await reference(name)).files])
        return status === 2 && /netplan: cannot write: [^\n]*no space[^\n]*\n$/.test(stderr)
      })
      expect(found).toEqual(wanted)
    }
  )

  test.runIf(existsSync('/dev/full'))('a full disk behind the errors changes no answer', () =>
    same({ shell: 'exec "$@" 2>/dev/full' }, ({ status, stdout, files }) => ({ status, stdout, files }))
  )
})

describe('the file', () => {
  const bare = (text: string): string => text.replace(/\r/g, '').replace(/^\ufeff/, '')

  test('with Windows line ends and a byte order mark means the same', () =>
    same({ text: text => `\ufeff${text.replaceAll('\n', '\r\n')}` }, ({ files, stdout, ...result }) => ({
      ...result,
      stdout: bare(stdout).replaceAll('\\r', ''),
      files: Object.fromEntries(Object.entries(files).map(([name, text]) => [name, bare(text)]))
    })))

  /** Status and lines, since the name stands in them. */
  const shape = ({ status, signal, stdout, stderr, files }: Result): object => ({
    status,
    signal,
    lines: [stdout, stderr].map(text => text.split('\n').length),
    files: Object.keys(files).length,
    acts: /[^\P{Cc}\n\t]/u.test(stdout + stderr)
  })

  test.each(["spaces, ü→📦 and it's $(id).yaml", 'x\ny\u001b[31m\u202e.yaml'])('may be called %j', file =>
    same({ file }, shape)
  )

  test('may begin with a dash, behind --', async () => {
    const wanted = await all(SOME, async name => shape(await reference(name)))
    const found = await all(SOME, async name => {
      const result = await run(name, {
        file: '-rf.yaml',
        called: path => ['--', path.slice(path.lastIndexOf('/') + 1)],
        cwd: 'own'
      })
      return shape(result)
    })
    expect(found).toEqual(wanted)
  })

  /** Before the first call of that name for the file; `meanwhile` takes place once, `instead` each time. */
  const hooked = (call: 'openSync' | 'readSync', meanwhile: string, instead = ''): string => `let own
let isDone = false
for (const call of ['openSync', 'readSync']) {
  const real = fs[call]
  fs[call] = (...args) => {
    const isFile = call === 'openSync' ? args[0] === FILE : args[0] === own
    if (isFile && call === '${call}') {
      if (!isDone) { isDone = true; ${meanwhile} }
      ${instead}
    }
    const result = real(...args)
    if (isFile && call === 'openSync') own = result
    return result
  }
}`

  test('that vanishes before it is opened is told as what is not there', async () => {
    const found = await all(SOME, async name =>
      refused(await run(name, { hook: hooked('openSync', 'fs.unlinkSync(FILE)') }))
    )
    for (const name of SOME)
      expect([name, found[name]]).toEqual([name, 'cannot read FOLDER/home.yaml: there is no such file'])
  })

  test('that is emptied while it is read is empty', async () => {
    const hook = hooked('readSync', 'fs.truncateSync(FILE)')
    const wanted = await all(SOME, name => run(name, { text: () => '' }))
    expect(await all(SOME, name => run(name, { hook }))).toEqual(wanted)
  })

  test('that grows while it is read is the longer one', async () => {
    const more = '  - { from: db, to: web, port: 22, outcome: blocked }\n'
    const hook = hooked('readSync', `fs.appendFileSync(FILE, ${JSON.stringify(more)})`)
    const wanted = await all(SOME, name => run(name, { text: text => `${text}${more}` }))
    expect(await all(SOME, name => run(name, { hook }))).toEqual(wanted)
  })

  test('that grows without an end is told', async () => {
    const hook = hooked('readSync', '', 'return args[1].fill(35).length')
    const found = await all(SOME, async name => refused(await run(name, { hook })))
    for (const name of SOME)
      expect([name, found[name]]).toEqual([
        name,
        'cannot read FOLDER/home.yaml: it is larger than 64 MiB, which no topology is'
      ])
  })

  test('on a disk that fails is told', async () => {
    const error =
      "Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO', errno: -5, syscall: 'read' })"
    const hook = hooked('readSync', '', `throw ${error}`)
    const found = await all(SOME, async name => refused(await run(name, { hook })))
    for (const name of SOME)
      expect([name, found[name]]).toEqual([name, 'cannot read FOLDER/home.yaml: the disk does not answer'])
  })

  test('that somebody else changes before it is written is left to him', async () => {
    const names = WRITERS.filter(name => COMMANDS[name]?.writes === 'file')
    const hook = `const write = fs.writeSync
fs.writeSync = (...args) => { fs.appendFileSync(FILE, '# mine\\n'); fs.writeSync = write; return write(...args) }`
    for (const name of names) {
      const result = await run(name, { hook })
      expect([name, refused(result)]).toEqual([
        name,
        'cannot write FOLDER/home.yaml: somebody else has changed it in the meantime; run this again'
      ])
      expect(result.files).toEqual({ 'home.yaml': `${COMMANDS[name]?.text}# mine\n` })
    }
  })

  test('that vanishes before it is written stays so', async () => {
    const hook = `const write = fs.writeSync
fs.writeSync = (...args) => { fs.unlinkSync(FILE); fs.writeSync = write; return write(...args) }`
    for (const name of WRITERS.filter(name => COMMANDS[name]?.writes === 'file')) {
      const result = await run(name, { hook })
      expect([name, refused(result)]).toEqual([name, 'cannot write FOLDER/home.yaml: it is gone'])
      expect(result.files).toEqual({})
    }
  })
})

describe('who may not', () => {
  const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups']

  test.runIf(isRoot)('read, is told so by each command', async () => {
    const found = await all(SOME, async name =>
      refused(
        await run(name, { before: NOBODY, prepare: folder => chmodSync(join(folder, 'home.yaml'), 0o600) })
      )
    )
    for (const name of SOME)
      expect([name, found[name]]).toEqual([name, 'cannot read FOLDER/home.yaml: permission denied'])
  })

  test.runIf(isRoot)('write, is told so, and nothing is written', async () => {
    for (const name of WRITERS) {
      const result = await run(name, { before: NOBODY })
      expect([name, refused(result)]).toEqual([
        name,
        expect.stringMatching(/^cannot (?:write|make the folder) FOLDER\/[^:]+: permission denied/)
      ])
      expect([name, result.files]).toEqual([name, written(name)])
    }
  })

  test.runIf(isRoot)('list the folder or see above it, still reads what he names', async () => {
    const { status, stderr } = await run('check --format', {
      before: NOBODY,
      prepare: folder => chmodSync(folder, 0o711)
    })
    expect([status, stderr]).toEqual([1, ''])
  })
})

describe('a file system', () => {
  /** Each writer in a folder of its own there, `keep` being what stands in it before. */
  const writing = (mount: string, after: string): string => `
    set -e
    D=$(mktemp -d)
    mount -t tmpfs -o size=1m tmpfs $D
    cd $D
    ${WRITERS.map((name, i) => `mkdir ${i}; printf '%s' '${COMMANDS[name]?.text ?? GOOD}' >${i}/home.yaml`).join('\n')}
    ${mount}
    set +e
    ${WRITERS.map((name, i) => {
      const words = COMMANDS[name]?.words.map(word => (word === 'OUT' ? `${i}/out` : word)).join(' ')
      return `echo "-- ${name}"; '${process.execPath}' '${program}' ${words}${COMMANDS[name]?.text === undefined ? '' : ` ${i}/home.yaml`}; echo "= $?"; find ${i} -type f | sort`
    }).join('\n')}
    ${after}
    cd /; umount $D; rmdir $D`

  const told = (text: string): Readonly<Record<string, string>> =>
    Object.fromEntries(
      text
        .split(/^-- /m)
        .slice(1)
        .map(part => {
          const [name = '', ...lines] = part.trimEnd().split('\n')
          return [
            name,
            lines.join('\n').replace(/\d+\/(out\/)?[\w.-]*/g, (path, out) => (out ? 'OUT' : path))
          ]
        })
    )

  test.skipIf(absent(['mount', 'unshare']))('that is read-only is told, and nothing is written', async () => {
    const { ok, text } = await inNamespace(writing('mount -o remount,ro $D', ''))
    expect([ok, text]).toEqual([true, expect.any(String)])
    for (const [i, name] of WRITERS.entries())
      expect([name, told(text)[name]]).toEqual([
        name,
        expect.stringMatching(
          new RegExp(
            `^netplan: cannot (?:write|make the folder) [^\\n:]+: the file system is read-only\\n= 2\\n${i}/home.yaml$`
          )
        )
      ])
  })

  test.skipIf(absent(['mount', 'unshare']))('that is full is told, and all is as it was', async () => {
    const fill = 'dd if=/dev/zero of=fill bs=4k 2>/dev/null || true'
    const { ok, text } = await inNamespace(
      writing(
        fill,
        WRITERS.map((name, i) => `printf '%s' '${COMMANDS[name]?.text ?? GOOD}' | cmp - ${i}/home.yaml`).join(
          '\n'
        )
      )
    )
    expect([ok, text]).toEqual([true, expect.any(String)])
    for (const [i, name] of WRITERS.entries())
      expect([name, told(text)[name]]).toEqual([
        name,
        expect.stringMatching(
          new RegExp(`^netplan: cannot write [^\\n]+: no space is left on the disk\\n= 2\\n${i}/home.yaml$`)
        )
      ])
  })
})

describe('a signal', () => {
  /** Sends it at the n-th call that changes the disk. */
  const at = (signal: string, moment: number): string => `
let left = ${moment}
for (const call of ['openSync', 'writeSync', 'fsyncSync', 'fchmodSync', 'linkSync', 'renameSync', 'unlinkSync', 'mkdirSync']) {
  const real = fs[call]
  fs[call] = (...args) => {
    const changes = call === 'openSync' ? typeof args[1] === 'number' && (args[1] & 3) !== 0 : call !== 'writeSync' || args[0] > 2
    if (changes && left-- === 0) process.kill(process.pid, '${signal}')
    return real(...args)
  }
}
process.on('exit', () => real_write(left))
const real_write = n => { if (n >= 0) process._rawDebug('not reached') }`

  const MOMENTS = [0, 1, 2, 3, 4, 5]

  test.each(WRITERS)(
    'that ends %s at any moment of a write leaves each file old or new, and nothing else',
    async name => {
      const { files: after } = await reference(name)
      const before = written(name)
      let hits = 0
      await all(MOMENTS.map(String), async moment => {
        const signal = Number(moment) % 2 === 0 ? 'SIGINT' : 'SIGTERM'
        const result = await run(name, { hook: at(signal, Number(moment)) })
        if (result.stderr.includes('not reached')) return
        hits += 1
        expect([name, moment, result.stderr]).not.toEqual([
          name,
          moment,
          expect.stringMatching(/\n {4}at |fault/)
        ])
        expect([name, moment, Object.keys(result.files).filter(file => file.includes('.tmp'))]).toEqual([
          name,
          moment,
          []
        ])
        for (const [file, text] of Object.entries(result.files))
          expect([
            name,
            moment,
            file,
            [before, after].some(state =>
              Object.entries(state).some(([known, was]) => known === file && was === text)
            )
          ]).toEqual([name, moment, file, true])
        expect([0, null]).toContain(result.status)
      })
      expect(hits).toBeGreaterThan(1)
    }
  )

  test.each(WRITERS)('KILL during %s leaves each file old or new', async name => {
    const { files: after } = await reference(name)
    for (const moment of [1, 2, 3]) {
      const { signal, files } = await run(name, { hook: at('SIGKILL', moment) })
      if (signal === null) continue
      for (const [file, text] of Object.entries(files))
        if (!file.endsWith('.tmp'))
          expect([moment, file, [COMMANDS[name]?.text, after[file]].includes(text)]).toEqual([
            moment,
            file,
            true
          ])
    }
  })
})

test('a folder in the place of any file is told in one line', async () => {
  const found = await all(SOME, async name =>
    refused(await run(name, { called: path => [path.slice(0, path.lastIndexOf('/'))] }))
  )
  for (const name of SOME)
    expect([name, found[name]]).toEqual([name, 'cannot read FOLDER: it is a directory'])
})
