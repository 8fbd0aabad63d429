import * as fc from 'fast-check'
import {
  appendFileSync,
  chmodSync,
  chownSync,
  linkSync,
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
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { pin } from '../src/cli/pin.ts'
import { readSource } from '../src/cli/read.ts'
import { type Allocation, analyze, type Plan, type Unallocated } from '../src/index.ts'
import { formatPath, type Path } from '../src/text/path.ts'
import { type Data, networks, toData, toJson, toYaml, type Value } from './topologies.ts'

/** Is asked before every call of the program to the file system; what it throws, the call throws. */
const hook = vi.hoisted((): { before: ((call: string) => void) | undefined } => ({ before: undefined }))

vi.mock('node:fs', async importOriginal => {
  const original = await importOriginal<Readonly<Record<string, unknown>>>()
  const watched = (name: string, value: unknown): unknown =>
    typeof value === 'function' && name.endsWith('Sync')
      ? (...args: readonly unknown[]): unknown => {
          const { before } = hook
          // What it does itself is not asked for.
          hook.before = undefined
          try {
            before?.(name)
          } finally {
            hook.before = before
          }
          return Reflect.apply(value, undefined, args)
        }
      : value
  return Object.fromEntries(Object.entries(original).map(([name, value]) => [name, watched(name, value)]))
})

const root = mkdtempSync(join(tmpdir(), 'netplan-pin-'))
let count = 0
let folder = ''
let file = ''

beforeEach(() => {
  hook.before = undefined
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

/** What `netplan plan --write` does with a file that was read as `source`. */
const pinned = async (
  change: (plan: Plan) => Plan = plan => plan,
  of = file,
  text?: string
): Promise<Run> => {
  const source = text === undefined ? readSource(of) : { file: '<stdin>', text }
  if ('error' in source) throw new Error(source.error)
  const { plan } = await analyze(source)
  if (plan === undefined) throw new Error('no topology')
  const parts = { out: '', err: '' }
  const take = (name: 'out' | 'err') => (chunk: unknown) => {
    parts[name] += String(chunk)
    return true
  }
  const out = vi.spyOn(process.stdout, 'write').mockImplementation(take('out'))
  const err = vi.spyOn(process.stderr, 'write').mockImplementation(take('err'))
  try {
    const exit = await pin(of, source, change(plan))
    return { exit, out: parts.out, said: parts.err.split('\n').slice(0, -1) }
  } finally {
    out.mockRestore()
    err.mockRestore()
  }
}

const write = (text: string): void => writeFileSync(file, text)
const contents = (): string => readFileSync(file, 'utf8')

const SMALL = `# home
version: 1

bridges:
  br0: { address: [10.1.0.1/24] } # the lab

containers:
  web: # first
    privateNetwork: true
    hostBridge: br0
    localAddress: auto # here
  db:
    privateNetwork: true
    hostBridge: 'br0'
    localAddress: 'auto'
`

const PINNED = SMALL.replace('auto # here', '10.1.0.2/24 # here').replace("'auto'", "'10.1.0.3/24'")

const allocation = (at: Path, ...values: Allocation['values']): Allocation => ({
  at,
  kind: 'address',
  values,
  pool: undefined
})

const given =
  (allocations: readonly Allocation[], unallocated: readonly Unallocated[] = []) =>
  (plan: Plan): Plan => ({ ...plan, allocations, unallocated })

const web = ['containers', 'web', 'localAddress']

describe('the chosen values', () => {
  test('take the place of auto, and each is told', async () => {
    write(SMALL)
    const { exit, out, said } = await pinned()
    expect(contents()).toBe(PINNED)
    expect(said).toEqual([
      'containers.web.localAddress: 10.1.0.2/24',
      'containers.db.localAddress: 10.1.0.3/24'
    ])
    expect([exit, out]).toEqual([0, ''])
  })

  test('are written once: the second run changes nothing, not even the time of the file', async () => {
    write(SMALL)
    await pinned()
    utimesSync(file, 1000, 1000)
    const { ino } = statSync(file)
    const { exit, said } = await pinned()
    expect([exit, said]).toEqual([0, [`netplan: nothing to pin: no value in ${file} is "auto"`]])
    expect(statSync(file)).toMatchObject({ ino, mtimeMs: 1_000_000 })
    expect(readdirSync(folder)).toEqual(['topology.yaml'])
  })

  test('stay when a container is added in the middle: only its own line changes', async () => {
    write(
      PINNED.replace(
        '  db:',
        '  mail: { privateNetwork: true, hostBridge: br0, localAddress: auto } # new\n  db:'
      )
    )
    const { exit, said } = await pinned()
    expect([exit, said]).toEqual([0, ['containers.mail.localAddress: 10.1.0.4/24']])
    expect(contents()).toBe(
      PINNED.replace(
        '  db:',
        '  mail: { privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.4/24 } # new\n  db:'
      )
    )
  })

  test('are texts or numbers, one or several', async () => {
    const text = `version: 1
bridges:
  br0: { address: auto }
  br1:
    address:
      - auto # both
  br2: { address: auto }
containers:
  web:
    forwardPorts: [{ hostPort: "auto", containerPort: 80 }]
`
    write(text)
    const open: Unallocated = {
      at: ['bridges', 'br2', 'address'],
      kind: 'subnet',
      family: 6,
      reason: 'full',
      within: { at: ['pools', 'six', 'prefix'], text: 'fd00::/120' },
      wanted: 9
    }
    const { exit, said } = await pinned(
      given(
        [
          allocation(['bridges', 'br0', 'address'], '10.1.0.1/24', 'fd00::1/64'),
          allocation(['bridges', 'br1', 'address', 0], '10.2.0.1/24', 'fd01::1/64'),
          allocation(['bridges', 'br2', 'address'], '10.3.0.1/24'),
          allocation(['containers', 'web', 'forwardPorts', 0, 'hostPort'], 20_000)
        ],
        [open]
      )
    )
    expect(contents()).toBe(
      text
        .replace('auto', '[10.1.0.1/24, "fd00::1/64"]')
        .replace('- auto # both', '- 10.2.0.1/24 # both\n      - "fd01::1/64"')
        .replace('auto', '[10.3.0.1/24, auto]')
        .replace('"auto"', '20000')
    )
    expect(exit).toBe(1)
    expect(said).toEqual([
      'bridges.br0.address: 10.1.0.1/24, fd00::1/64',
      'bridges.br1.address[0]: 10.2.0.1/24, fd01::1/64',
      'bridges.br2.address: 10.3.0.1/24',
      'containers.web.forwardPorts[0].hostPort: 20000',
      'netplan: bridges.br2.address stays "auto": fd00::/120 (pools.six.prefix) has no room left for a subnet of 9 hosts'
    ])
  })

  test('are printed for standard input', async () => {
    const { exit, out, said } = await pinned(undefined, '-', SMALL)
    expect([exit, out, said]).toEqual([
      0,
      PINNED,
      expect.arrayContaining(['containers.web.localAddress: 10.1.0.2/24'])
    ])
    expect(await pinned(undefined, '-', PINNED)).toMatchObject({ exit: 0, out: PINNED })
  })

  test('are written beside what cannot be', async () => {
    write(`${SMALL.replace('auto #', '&x auto #')}  mail:
    privateNetwork: true
    hostBridge: br0
    localAddress: *x
  ftp: { privateNetwork: true, hostBridge: br9, localAddress: auto }
`)
    const old = contents()
    const { exit, said } = await pinned()
    expect(contents()).toBe(old.replace("'auto'", "'10.1.0.3/24'"))
    expect(exit).toBe(1)
    expect(said[0]).toBe('containers.db.localAddress: 10.1.0.3/24')
    expect(said.slice(1).map(line => line.replace(/;.*/, ''))).toEqual([
      'netplan: containers.ftp.localAddress stays "auto": there is no such bridge',
      'netplan: containers.web.localAddress stays: the alias *x repeats it elsewhere, and would change as well',
      'netplan: containers.mail.localAddress stays: it comes from the alias *x, which stands for the same text as in other places'
    ])
  })

  test.each<[Partial<Unallocated>, string]>([
    [{ reason: 'no-bridge' }, 'there is no such bridge'],
    [{ reason: 'no-network', family: 6 }, 'there is no IPv6 network to take an address from'],
    [{ reason: 'no-network', kind: 'router' }, "there is no IPv4 address at the host's end"],
    [{ reason: 'no-pool' }, 'no pool has IPv4; write one under pools'],
    [
      { reason: 'no-pool', within: { at: ['bridges', 'br0', 'address', 0], text: '10.1.0.0/24' } },
      'machines that the file does not know are in 10.1.0.0/24 (bridges.br0.address[0]) too; write a pool of addresses in it that are free'
    ],
    [{ reason: 'full', kind: 'port', within: { at: [], text: '20000-29999' } }, '20000-29999 is full']
  ])('stay away for a reason: %o', async (entry, why) => {
    write(SMALL)
    const one: Unallocated = {
      at: web,
      kind: 'address',
      family: 4,
      reason: 'full',
      within: undefined,
      wanted: 1,
      ...entry
    }
    const { exit, said } = await pinned(given([], [one]))
    expect([exit, said]).toEqual([1, [`netplan: containers.web.localAddress stays "auto": ${why}`]])
    expect(contents()).toBe(SMALL)
  })
})

test('a topology of nothing but auto becomes one without a finding', async () => {
  const text = `version: 1
host:
  interfaces:
    enp1s0: { address: [192.168.1.10/24] }
  defaultGateway: { address: 192.168.1.1, interface: enp1s0 }

nat:
  enable: true
  externalInterface: enp1s0
  internalInterfaces: [br0, ve-pair]

bridges:
  br0:
    address: auto # for web and db
    size: 20

containers:
  web:
    privateNetwork: true
    hostBridge: br0
    localAddress: auto
    defaultGateway: { address: auto, interface: eth0 }
  db: { privateNetwork: true, hostBridge: br0, hostAddress: auto, localAddress: "auto" }
  pair:
    privateNetwork: true
    hostAddress: auto # the lower one
    localAddress: auto
    forwardPorts:
      - hostPort: auto
        containerPort: 80
`
  write(text)
  expect((await pinned()).exit).toBe(0)
  const after = contents()
  const lines = after.split('\n')
  const old = text.split('\n')
  expect(lines).toHaveLength(old.length)
  for (const [i, line] of old.entries()) if (!line.includes('auto')) expect(lines[i]).toBe(line)
  expect(lines.filter(line => line.includes('auto'))).toEqual([])
  for (const comment of ['# for web and db', '# the lower one']) expect(after).toContain(comment)
  const { report } = await analyze({ file, text: after })
  expect(report.findings.map(({ rule, message }) => `${rule}: ${message}`)).toEqual([])
})

describe('IPv6', () => {
  const SIX = `version: 1
bridges:
  br0: { address: auto }
containers:
  web: { privateNetwork: true, hostBridge: br0, localAddress: auto, localAddress6: auto }
`
  test('gets a network by chance, which stays', async () => {
    const ids = new Set<string>()
    for (let i = 0; i < 5; i += 1) {
      write(SIX)
      const { exit, said } = await pinned()
      expect(exit).toBe(0)
      const id = /^pools\.ula\.prefix: (fd[0-9a-f]{2}:[0-9a-f:]*)::\/48$/.exec(said[0] ?? '')?.[1] ?? ''
      ids.add(id)
      const after = contents()
      expect(after).toMatch(new RegExp(`pools:\n  ula:\n    prefix: "${id}::/48"\n$`))
      expect(after).not.toContain('auto')
      expect(after).toContain(`localAddress6: "${id}`)
      expect((await pinned()).said[0]).toContain('nothing to pin')
      expect(
        (await analyze({ file, text: after })).report.findings.filter(({ severity }) => severity === 'error')
      ).toEqual([])
    }
    expect(ids.size).toBe(5)
  })

  test('gets a pool of a name that is free', async () => {
    write(`${SIX.replace('web:', 'ula2:')}pools:\n  ula:\n    prefix: 10.9.0.0/16\n`)
    expect((await pinned()).said[0]).toMatch(/^pools\.ula3\.prefix: fd/)
    expect(contents()).toMatch(/pools:\n {2}ula:\n {4}prefix: 10\.9\.0\.0\/16\n {2}ula3:\n {4}prefix: "fd/)
  })

  test('stays auto where no pool can be written', async () => {
    write(`${SIX.replace('version: 1\n', 'version: 1\nhost: { interfaces: &p {} }\n')}pools: *p\n`)
    const { exit, said } = await pinned()
    expect(exit).toBe(1)
    expect(said.join('\n')).toContain('pools.ula.prefix stays: it comes from the alias *p')
    expect(contents()).toContain('pools: *p\n')
  })
})

describe('the file', () => {
  test('keeps its byte order mark, its line ends, and the missing last one', async () => {
    const odd = (text: string): string => `\ufeff${text.trimEnd().replaceAll('\n', '\r\n')}`
    write(odd(SMALL))
    await pinned()
    expect(contents()).toBe(odd(PINNED))
  })

  test('keeps its mode, and its owner and group', async () => {
    write(SMALL)
    chmodSync(file, 0o640)
    const isRoot = process.getuid?.() === 0
    if (isRoot) chownSync(file, 12_345, 23_456)
    await pinned()
    expect(contents()).toBe(PINNED)
    expect(statSync(file).mode & 0o7777).toBe(0o640)
    if (isRoot) expect(statSync(file)).toMatchObject({ uid: 12_345, gid: 23_456 })
  })

  test('hands no rights of its group to another', async () => {
    write(SMALL)
    chmodSync(file, 0o664)
    if (process.getuid?.() === 0) chownSync(file, 12_345, 23_456)
    hook.before = call => {
      if (call === 'fchownSync') throw Object.assign(new Error('no'), { code: 'EPERM', syscall: 'fchown' })
    }
    await pinned()
    expect(contents()).toBe(PINNED)
    expect(statSync(file).mode & 0o7777).toBe(process.getuid?.() === 0 ? 0o604 : 0o664)
  })

  test('is found through links, which stay', async () => {
    write(SMALL)
    mkdirSync(join(folder, 'a'))
    symlinkSync('../topology.yaml', join(folder, 'a/link.yaml'))
    symlinkSync('a/link.yaml', join(folder, 'link.yaml'))
    await pinned(undefined, join(folder, 'link.yaml'))
    expect(contents()).toBe(PINNED)
    expect(lstatSync(file).isFile()).toBe(true)
    expect(lstatSync(join(folder, 'link.yaml')).isSymbolicLink()).toBe(true)
    expect(readdirSync(folder).sort()).toEqual(['a', 'link.yaml', 'topology.yaml'])
    expect(readdirSync(join(folder, 'a'))).toEqual(['link.yaml'])
  })

  test.each([
    ['before it is written', 'realpathSync'],
    ['while it is written', 'fsyncSync']
  ])('is left alone when somebody changes it %s', async (_, moment) => {
    write(SMALL)
    hook.before = call => {
      if (call === moment) {
        hook.before = undefined
        appendFileSync(file, '# mine\n')
      }
    }
    const { exit, said } = await pinned()
    expect(contents()).toBe(`${SMALL}# mine\n`)
    expect([exit, said]).toEqual([
      2,
      [`netplan: cannot write ${file}: somebody else has changed it in the meantime; run this again`]
    ])
    expect(readdirSync(folder)).toEqual(['topology.yaml'])
  })

  test('is the old or the new one at any moment, whatever the file system refuses', async () => {
    const moments: string[] = []
    const isWhole = (): void => expect([SMALL, PINNED]).toContain(contents())
    write(SMALL)
    hook.before = call => {
      moments.push(call)
      isWhole()
    }
    await pinned()
    expect(moments).toEqual(expect.arrayContaining(['openSync', 'writeSync', 'fsyncSync', 'renameSync']))
    expect(moments.indexOf('fsyncSync')).toBeLessThan(moments.indexOf('renameSync'))
    const faults: string[] = []
    for (const [i, moment] of moments.entries()) {
      write(SMALL)
      let left = i
      hook.before = call => {
        isWhole()
        left -= 1
        if (left === -1)
          throw Object.assign(new Error(`no ${call}`), { code: 'ENOSPC', syscall: call, errno: -28 })
      }
      // What was refused before, is refused by what reads the file.
      const { exit, said } = await pinned().catch((error: Error) => ({ exit: 2, said: [error.message] }))
      hook.before = undefined
      isWhole()
      expect(readdirSync(folder).filter(name => name !== 'topology.yaml' && moment !== 'unlinkSync')).toEqual(
        []
      )
      if (exit === 0) expect(contents()).toBe(PINNED)
      else {
        expect(contents()).toBe(SMALL)
        faults.push(said.at(-1) ?? '')
      }
      for (const name of readdirSync(folder)) rmSync(join(folder, name))
    }
    expect(new Set(faults)).toContain(`netplan: cannot write ${file}: no space is left on the disk`)
    expect(faults.length).toBeGreaterThan(8)
  })

  test('is not written where its rights or its kind forbid it', async () => {
    write(SMALL)
    hook.before = call => {
      if (call === 'accessSync') throw Object.assign(new Error('no'), { code: 'EACCES', syscall: 'access' })
    }
    expect(await pinned()).toMatchObject({
      exit: 2,
      said: [`netplan: cannot write ${file}: permission denied, for the file or its folder`]
    })
    expect(contents()).toBe(SMALL)
    hook.before = undefined
    const source = readSource(file)
    if ('error' in source) throw new Error(source.error)
    const { plan } = await analyze(source)
    if (plan === undefined) throw new Error('no plan')
    const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
    expect(await pin('/dev/null', source, plan)).toBe(2)
    expect(said).toHaveBeenCalledWith('netplan: cannot write /dev/null: it is no regular file\n')
    said.mockRestore()
  })

  test('keeps its other names as they were, which are told of it', async () => {
    write(SMALL)
    linkSync(file, join(folder, 'other.yaml'))
    const { said } = await pinned()
    expect(contents()).toBe(PINNED)
    expect(readFileSync(join(folder, 'other.yaml'), 'utf8')).toBe(SMALL)
    expect(said[0]).toContain('another name')
  })
})

describe('random networks', () => {
  const RUNS = { numRuns: 150, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false }

  /** The network with `auto` in place of some of its addresses and ports. */
  const withAuto = (data: Data, picks: readonly number[]): Data => {
    let next = 0
    const isPicked = (): boolean => (picks[(next += 1) % picks.length] ?? 0) < 6
    const swap = (value: Value, path: Path): Value => {
      const [room, , option, , last] = path
      const isAddress =
        (room === 'containers' && path.length === 3 && /^(?:local|host)Address6?$/.test(String(option))) ||
        (room === 'bridges' && path.length === 3 && option === 'address') ||
        (room === 'bridges' && path.length === 4 && option === 'address' && path[3] === 0) ||
        (room === 'containers' && option === 'forwardPorts' && last === 'hostPort')
      if (isAddress && value !== null && isPicked()) return 'auto'
      if (Array.isArray(value)) return value.map((item: Value, i) => swap(item, [...path, i]))
      if (typeof value !== 'object' || value === null) return value
      return Object.fromEntries(
        Object.entries(value).map(([key, inner]) => [key, swap(inner, [...path, key])])
      )
    }
    return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, swap(value, [key])]))
  }

  const wished = fc
    .tuple(
      networks(),
      fc.array(fc.nat(9), { minLength: 5, maxLength: 30 }),
      fc.option(fc.nat(), { nil: undefined }),
      fc.boolean()
    )
    .map(([network, picks, shuffle, isJson]) => {
      const data = withAuto(toData(network), picks)
      const writing = shuffle === undefined ? {} : { shuffle }
      return isJson ? toJson(data, writing) : toYaml(data, writing)
    })

  /** What every address and port of a plan is, by its place. */
  const valuesOf = ({ topology }: Plan): ReadonlyMap<string, readonly string[]> => {
    const found = new Map<string, string[]>()
    const visit = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return
      if ('auto' in value && 'text' in value && 'at' in value) {
        // One `auto` for both families, of which one got nothing, becomes a list with an `auto` left in it.
        if (value.text === 'auto') return
        // Where one `auto` has become a list, each stands at an item of it.
        const at = formatPath(value.at as Path).replace(/^(bridges\..*\.address).*/, '$1')
        found.set(at, [...(found.get(at) ?? []), String(value.text)])
      } else if ('hostPort' in value && 'at' in value)
        found.set(`${formatPath(value.at as Path)}.hostPort`, [String(value.hostPort)])
      else for (const inner of Object.values(value)) visit(inner)
    }
    visit([topology.bridges, topology.containers])
    return found
  }

  const planOf = async (text: string): Promise<Plan> => {
    const { plan } = await analyze({ file, text })
    if (plan === undefined) throw new Error('no topology')
    return plan
  }

  test('get what the plan says, in the lines of auto alone, and then stay as they are', async () => {
    let [chosen, six] = [0, 0]
    const property = fc.asyncProperty(wished, async text => {
      const plan = await planOf(text)
      const { exit, out, said } = await pinned(undefined, '-', text)
      const pool = said.find(line => line.startsWith('pools.')) === undefined ? 0 : 1
      six += pool
      const after = await planOf(out)
      chosen += plan.allocations.length
      expect(after.allocations).toEqual([])
      expect(exit).toBe(after.unallocated.length === 0 ? 0 : 1)
      if (pool === 0) {
        expect(valuesOf(after)).toEqual(valuesOf(plan))
        expect(after.unallocated.length).toBe(plan.unallocated.length)
      } else {
        const now = valuesOf(after)
        for (const { at, values } of plan.allocations)
          if (formatPath(at).startsWith('containers'))
            expect(now.get(formatPath(at))).toEqual(values.map(String))
      }
      // Line by line, what held no auto is there as it was.
      const kept = out.split('\n')
      let next = 0
      for (const line of text.split('\n')) {
        if (/auto|[:-] \|-?$/.test(line)) continue
        const found = kept.findIndex(
          (other, i) =>
            i >= next &&
            (other === line || other === `${line},` || (pool === 1 && other.startsWith(line.slice(0, -1))))
        )
        expect([line, found >= 0]).toEqual([line, true])
        next = found + 1
      }
      expect(await pinned(undefined, '-', out)).toMatchObject({ out })
    })
    await expect(fc.assert(property, RUNS)).resolves.toBeUndefined()
    expect(chosen).toBeGreaterThan(100)
    expect(six).toBeGreaterThan(3)
  })
})
