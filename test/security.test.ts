import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { scriptOf } from '../src/rehearse/script.ts'
import { shellText } from '../src/rehearse/shell.ts'
import { built, command, type Outcome, root, start } from './command.ts'
import { hostilePlaces, hostileStrings } from './hostile.ts'
import { planOf } from './rehearse.ts'

// SECURITY.md, promise by promise: what a topology, the folder that it lies in and the repository around it can make the command
// read, write or run. Node's own permissions are the judge where they can be: what was not allowed on its command line fails.

const dist = join(root, 'dist')

/** Node 20 calls it experimental. */
const PERMISSION = process.allowedNodeEnvironmentFlags.has('--permission')
  ? '--permission'
  : '--experimental-permission'

/** A call of Node that may read the package and these, write those, and start nothing. */
const confined = (reads: readonly string[], writes: readonly string[] = []): readonly string[] => [
  '--no-warnings',
  '--disallow-code-generation-from-strings',
  PERMISSION,
  ...[join(dist, '*'), ...reads].map(path => `--allow-fs-read=${path}`),
  ...writes.map(path => `--allow-fs-write=${path}`)
]

const GOOD = `version: 1
name: home
bridges:
  br0: { address: 10.1.0.1/29 }
containers:
  web: { privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.2/29 }
  db: { privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.3/29 }
`
const BAD = GOOD.replace('10.1.0.3/29', '10.1.0.2/29')

let base = ''
let folder = ''

beforeAll(() => {
  built()
  base = realpathSync(mkdtempSync(join(tmpdir(), 'netplan-security-')))
})

afterAll(() => rmSync(base, { recursive: true, force: true }))

beforeEach(() => {
  rmSync(join(base, 'home'), { recursive: true, force: true })
  folder = join(base, 'home')
  mkdirSync(folder)
  write('home.yaml', GOOD)
})

const write = (name: string, text: string): void => writeFileSync(join(folder, name), text)

const netplan = (args: readonly string[], node: readonly string[] = []): Promise<Outcome> =>
  start(process.execPath, [...node, command, ...args], { cwd: folder })

/** What a folder from elsewhere may bring for programs that look around. */
const trap = (): void => {
  write('.npmrc', 'node-options=--require=./ran.cjs\n')
  write('.yargsrc', '{ "extends": "./ran.cjs" }\n')
  write('.env', 'NODE_OPTIONS=--require=./ran.cjs\n')
  write('topology.yaml', BAD)
  mkdirSync(join(folder, 'node_modules/yargs'), { recursive: true })
  write('node_modules/yargs/index.js', "require('node:fs').writeFileSync('ran', '')\n")
  for (const program of ['git', 'sh', 'node', 'unshare']) {
    write(program, '#!/bin/sh\n: >ran\n')
    chmodSync(join(folder, program), 0o755)
  }
}

describe('what the command line does not name', () => {
  test.each([
    ['check', 'home.yaml'],
    ['check', '--strict', 'home.yaml'],
    ['plan', 'home.yaml'],
    ['plan', 'home.yaml', '--what-if', '+2:br0'],
    ['generate', 'home.yaml', '--target', 'nixos'],
    ['reach', 'home.yaml'],
    ['trace', 'home.yaml', 'web', 'db:22'],
    ['rehearse', 'home.yaml', '--dry-run'],
    ['fix', 'home.yaml', '--diff'],
    ['draw', 'home.yaml'],
    ['explain', 'duplicate-address'],
    ['schema'],
    ['--help']
  ])('is not read, and nothing is written or started: %s %s', async (...args) => {
    const wanted = await netplan(args)
    expect(wanted.stdout + wanted.stderr).not.toContain('restricted')
    trap()
    // Who opens it waits for ever.
    execFileSync('mkfifo', [join(folder, 'package.json')])
    expect(await netplan(args, confined([join(folder, 'home.yaml')]))).toEqual(wanted)
    // What is refused there may be passed over in silence.
    expect(await netplan(args)).toEqual(wanted)
    expect(existsSync(join(folder, 'ran'))).toBe(false)
  })

  test('is refused by this judge, so it would be seen', async () => {
    const { status, stderr } = await netplan(['check', 'home.yaml'], confined([]))
    expect([status, stderr]).toEqual([2, expect.stringMatching(/^netplan: cannot read home.yaml: .+\n$/)])
  })

  /** Tells each file that is opened, with how, and each program. */
  const HOOK = `const fs = require('node:fs')
const told = []
const wrap = (module, name, said) => {
  const real = module[name]
  module[name] = (...args) => { told.push(said(...args)); return real(...args) }
}
wrap(fs, 'openSync', (path, flags) => [path, typeof flags === 'number' ? flags : 0])
for (const name of ['renameSync', 'linkSync']) wrap(fs, name, (from, to) => [name, from, to])
for (const name of ['writeFileSync', 'mkdirSync', 'symlinkSync', 'unlinkSync', 'rmSync', 'chmodSync'])
  wrap(fs, name, path => [name, path])
for (const name of ['spawn', 'spawnSync', 'exec', 'execSync', 'execFile', 'execFileSync', 'fork'])
  wrap(require('node:child_process'), name, program => ['start', program])
for (const name of ['connect', 'createConnection', 'createServer']) wrap(require('node:net'), name, () => ['net'])
process.on('exit', () => fs.writeSync(2, '\\n' + JSON.stringify(told.filter(([path]) => !String(path).startsWith(${JSON.stringify(dist)})))))`

  const doings = async (...args: readonly string[]): Promise<readonly (string | number)[][]> => {
    const hook = join(base, 'hook.cjs')
    writeFileSync(hook, HOOK)
    const { stderr } = await netplan(args, ['--require', hook])
    const list: (string | number)[][] = JSON.parse(stderr.slice(stderr.lastIndexOf('\n') + 1))
    return list
  }

  test.each([
    ['plan', '--write'],
    ['fix', 'home.yaml']
  ])('is not touched where the file itself is changed: %s', async (name, option) => {
    write('home.yaml', name === 'fix' ? BAD : GOOD.replace('10.1.0.3/29', 'auto'))
    trap()
    const found = await doings(name, option, 'home.yaml')
    const path = join(folder, 'home.yaml')
    const temporary = expect.stringMatching(/^[^\0]*\/home\/\.netplan-[0-9a-f]{16}\.tmp$/)
    for (const [what, flags] of found) expect([what, flags]).toEqual([expect.anything(), expect.anything()])
    const opened = found.filter(([what]) => what !== 'renameSync').map(([what]) => what)
    expect(new Set(opened.filter(what => !String(what).endsWith('.tmp')))).toEqual(
      new Set(['home.yaml', path, folder])
    )
    const written = found.filter(([, flags]) => typeof flags === 'number' && (flags & 3) !== 0)
    expect(written).toEqual([[temporary, expect.any(Number)]])
    // A name that nobody can guess, and never one that is there, or a link.
    const { O_CREAT, O_EXCL, O_NOFOLLOW } = (await import('node:fs')).constants
    expect(Number(written[0]?.[1]) & (O_CREAT | O_EXCL | O_NOFOLLOW)).toBe(O_CREAT | O_EXCL | O_NOFOLLOW)
    expect(found.filter(([what]) => what === 'renameSync')).toEqual([['renameSync', temporary, path]])
    expect(readFileSync(path, 'utf8')).toContain('10.1.0.3/29')
  })

  // Node lets nobody bring a file to the disk (fsync) where it has permissions, so that is not the judge here.
  test.each([
    ['generate', 'home.yaml', '--target', 'networkd', '--out', 'out'],
    ['draw', 'home.yaml', '--out', 'out/home.svg']
  ])('is neither written nor read where files are made: %s', async (...args) => {
    if (args[0] === 'draw') mkdirSync(join(folder, 'out'))
    trap()
    const before = readdirSync(folder)
    const found = await doings(...args)
    const paths = found.flatMap(([what, path, to]) =>
      typeof path === 'number' ? [what] : [path, to].filter(name => name !== undefined)
    )
    expect(paths.length).toBeGreaterThan(3)
    for (const path of paths) expect(path).toMatch(/^(?:home\.yaml|out(?:\/[\w.-]+)?)$/)
    expect(found.map(([what]) => what)).not.toContain('start')
    expect(readdirSync(join(folder, 'out')).length).toBeGreaterThan(0)
    expect(new Set(readdirSync(folder))).toEqual(new Set([...before, 'out']))
  })

  test('git is the only program that anything but a rehearsal starts', async () => {
    trap()
    write('old.yaml', GOOD)
    const found = await doings('plan', 'home.yaml', '--diff', 'old.yaml')
    expect(new Set(found.map(([what, which]) => (what === 'start' ? which : what)))).toEqual(
      new Set(['home.yaml', 'old.yaml', 'git'])
    )
    expect(existsSync(join(folder, 'ran'))).toBe(false)
  })
})

test('a hostile text anywhere in a topology makes the library read, write, run and evaluate nothing', async () => {
  const seed = (process.env['CI'] ?? '') === '' ? Math.floor(Math.random() * 2 ** 31) : 1
  const strings = fc.sample(hostileStrings(), { numRuns: hostilePlaces.length * 2, seed })
  const texts = strings.map((text, i) => {
    const place = hostilePlaces[i % hostilePlaces.length]
    return JSON.stringify(place?.put(text))
  })
  const program = join(base, 'all.mjs')
  writeFileSync(
    program,
    `import { analyze } from ${JSON.stringify(join(dist, 'esm/index.js'))}
let text = ''
for await (const chunk of process.stdin) text += chunk
let findings = 0
for (const one of JSON.parse(text)) findings += (await analyze({ file: 'topology.yaml', text: one })).report.findings.length
if (findings === 0) throw new Error('nothing was found')
console.log('done')`
  )
  const outcome = await start(process.execPath, [...confined([program]), program], {
    cwd: folder,
    input: JSON.stringify(texts),
    limit: 55_000
  })
  expect([seed, outcome]).toMatchObject([seed, { status: 0, stdout: 'done\n', stderr: '' }])
})

describe('links', () => {
  test('that a picture would be written through lead to a picture, and to nothing else', async () => {
    const outside = join(base, 'outside')
    mkdirSync(outside, { recursive: true })
    for (const [name, text] of [
      ['empty', ''],
      ['other', 'mine\n']
    ] as const) {
      writeFileSync(join(outside, name), text)
      symlinkSync(join(outside, name), join(folder, `${name}.svg`))
      const { status, stderr } = await netplan(['draw', 'home.yaml', '--out', `${name}.svg`])
      expect([status, stderr]).toEqual([2, expect.stringMatching(/^netplan: cannot write [^\n]+\n$/)])
      expect(readFileSync(join(outside, name), 'utf8')).toBe(text)
    }
    expect(readdirSync(outside).sort()).toEqual(['empty', 'other'])
  })

  test('in the place of files to be made are in the way', async () => {
    const outside = join(base, 'precious')
    writeFileSync(outside, 'mine\n')
    mkdirSync(join(folder, 'out'))
    symlinkSync(outside, join(folder, 'out/20-br0.netdev'))
    symlinkSync(join(base, 'new'), join(folder, 'out/40-br0.network'))
    const { status } = await netplan(['generate', 'home.yaml', '--target', 'networkd', '--out', 'out'])
    expect(status).toBe(1)
    expect([readFileSync(outside, 'utf8'), existsSync(join(base, 'new'))]).toEqual(['mine\n', false])
    expect(lstatSync(join(folder, 'out/20-br0.netdev')).isSymbolicLink()).toBe(true)
  })
})

const hasGit = (() => {
  try {
    execFileSync('git', ['--version'])
    return true
  } catch {
    return false
  }
})()

describe.skipIf(!hasGit && (process.env['CI'] ?? '') === '')(
  'plan --diff in a repository from elsewhere',
  () => {
    const git = (...args: readonly string[]): string =>
      execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], {
        cwd: folder,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore']
      }).trim()

    const ran = (): boolean => existsSync(join(base, 'ran'))

    test('runs no program that its settings name for what it has not fetched', async () => {
      git('init', '-q')
      git('add', 'home.yaml')
      git('commit', '-q', '-m', 'first')
      const blob = git('rev-parse', 'HEAD:home.yaml')
      rmSync(join(folder, '.git/objects', blob.slice(0, 2), blob.slice(2)), { force: true })
      const settings = {
        'core.repositoryFormatVersion': '1',
        'extensions.partialClone': 'evil',
        'remote.evil.promisor': 'true',
        'remote.evil.uploadPack': `touch ${base}/ran;`,
        'core.sshCommand': `touch ${base}/ran;`,
        'core.gitProxy': `touch ${base}/ran;`,
        'protocol.allow': 'always',
        'protocol.ext.allow': 'always'
      }
      for (const [key, value] of Object.entries(settings)) git('config', key, value)
      for (const url of [`ext::sh -c touch% ${base}/ran`, folder, 'ssh://127.0.0.1/x', 'git://127.0.0.1/x']) {
        git('config', 'remote.evil.url', url)
        const { status, stderr } = await netplan(['plan', 'home.yaml', '--diff', 'HEAD'])
        expect([url, status, stderr]).toEqual([
          url,
          2,
          expect.stringContaining('the repository is a partial clone, and netplan fetches nothing')
        ])
        expect([url, stderr.split('\n').length, ran()]).toEqual([url, 2, false])
      }
      // The same is run by git itself, so it would be seen.
      git('config', 'remote.evil.url', folder)
      expect(() => git('cat-file', 'blob', blob)).toThrow('Command failed')
      expect(ran()).toBe(true)
      rmSync(join(base, 'ran'))
    })

    test('takes no folder for a repository that only looks like one', async () => {
      git('init', '-q', '--bare', '.')
      const { status, stderr } = await netplan(['plan', 'home.yaml', '--diff', 'HEAD~0'])
      expect([status, stderr]).toEqual([2, expect.stringContaining('is in no git repository')])
    })

    test.each(['', '.', 'bin:', ':bin'])(
      'starts no git that lies in the folder, with PATH=%j',
      async PATH => {
        trap()
        mkdirSync(join(folder, 'bin'))
        write('bin/git', '#!/bin/sh\n: >ran\n')
        chmodSync(join(folder, 'bin/git'), 0o755)
        const { status } = await start(process.execPath, [command, 'plan', 'home.yaml', '--diff', 'HEAD'], {
          cwd: folder,
          env: { PATH }
        })
        expect([status, existsSync(join(folder, 'ran'))]).toEqual([2, false])
      }
    )
  }
)

describe('a rehearsal', () => {
  const scriptText = async (text: string): Promise<string> =>
    shellText(scriptOf(await planOf(text)), { networkd: 'systemd-networkd', prober: undefined })

  test('lets networkd read no key of this machine', async () => {
    const text = await scriptText(`version: 1
host:
  manager: networkd
  networkd:
    enable: true
    netdevs:
      30-wg0:
        netdevConfig: { Name: wg0, Kind: wireguard }
        wireGuardConfig: { PrivateKeyFile: /root/key, ListenPort: 51820 }
      31-mv0:
        netdevConfig: { Name: mv0, Kind: macvlan }
        macvlanConfig: { Mode: passthru }
      32-sec0:
        netdevConfig: { Name: sec0, Kind: macsec }
        macsecTransmitAssociation: { KeyFile: /root/key }
    networks:
      30-br0: { matchConfig: { Name: br0 }, wireGuardPeer: { PresharedKeyFile: /root/key } }
`)
    expect(text).toContain('Mode=passthru')
    expect(text).not.toContain('/root/key')
  })

  test('makes no other text of the name of a section', async () => {
    const text = await scriptText(`version: 1
host:
  manager: networkd
  networkd:
    enable: true
    netdevs:
      20-br0: { netdevConfig: { Name: br0, Kind: bridge }, "x]\\nUNIT\\ntouch ran\\n[": { A: b } }
    networks:
      30-br0: { matchConfig: { Name: br0 }, "x]\\n[Match]\\nName=*\\n[y": { A: b } }
`)
    expect(text).toContain('30-br0.network')
    expect(text).not.toMatch(/touch ran|Name=\*/)
  })
})

test('all that is bundled is named in ARCHITECTURE.md, and nothing is installed with it', () => {
  const licences = readFileSync(join(dist, 'THIRD-PARTY-LICENSES.txt'), 'utf8')
  const bundled = [...licences.matchAll(/^([@\w][\w./-]*) \((\S+)\)$/gm)]
  const page = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8')
  const named = (line: string): readonly string[] => (line.split('|')[1] ?? '').split(/[\s,]+/)
  expect(bundled.length).toBeGreaterThan(10)
  for (const [, name = '', licence = ''] of bundled) {
    const row = page.split('\n').find(line => line.startsWith('|') && named(line).includes(name))
    expect([name, row]).toEqual([name, expect.stringContaining(licence)])
  }
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  expect(dependencies).toBeUndefined()
})
