import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { scriptOf } from '../src/rehearse/script.ts'
import { shellText } from '../src/rehearse/shell.ts'
import { complaints } from '../src/rehearse/networkd.ts'
import { built, command, root, start } from './command.ts'
import { absent } from './judge.ts'
import { type Outcome, planOf, rehearsed, withoutRehearsal } from './rehearse.ts'

const example = (name: string): string => readFileSync(`${root}/examples/${name}.yaml`, 'utf8')

const SLOW = 30_000

/** One run for many questions; nothing runs before the first. */
const once = (text: string): (() => Promise<Outcome>) => {
  let outcome: Promise<Outcome> | undefined
  return () => (outcome ??= rehearsed(text))
}

describe.skipIf(withoutRehearsal())('two containers on a bridge', () => {
  for (const [backend, text] of [
    ['iptables', example('two-containers')],
    ['nftables', example('two-containers').replace('backend: iptables', 'backend: nftables')]
  ] as const) {
    const run = once(text)
    const cases: readonly (readonly [from: string, to: string, what: string, seen: string])[] = [
      ['containerA', '192.168.100.3', 'tcp 80', 'answered containerB <- 192.168.100.2'],
      ['containerB', '192.168.100.2', 'ping', 'answered containerA <- 192.168.100.3'],
      // Its firewall has nothing open.
      ['containerB', '192.168.100.2', 'tcp 9', 'timeout'],
      ['containerA', '203.0.113.10', 'ping', 'answered internet <- 198.51.100.2'],
      ['containerB', '203.0.113.10', 'tcp 9', 'refused internet <- 198.51.100.2'],
      ['containerA', '198.51.100.3', 'ping', 'answered lan <- 198.51.100.2'],
      ['containerA', '2001:db8:ffff::10', 'ping', 'no-route'],
      ['host', '2001:db8:ffff::10', 'ping', 'answered internet <- 2001:db8:1::2'],
      ['host', '192.168.100.3', 'tcp 80', 'answered containerB <- 192.168.100.1'],
      ['containerA', '192.168.100.1', 'tcp 22', 'answered host <- 192.168.100.2'],
      ['internet', '198.51.100.2', 'tcp 22', 'answered host <- 203.0.113.10'],
      ['internet', '192.168.100.3', 'tcp 80', 'no-route'],
      ['lan', '192.168.100.3', 'tcp 80', 'no-route']
    ]
    test.each(cases)(`${backend}: %s to %s, %s`, { timeout: SLOW }, async (from, to, what, seen) => {
      expect((await run()).of(from, to, what)).toBe(seen)
    })
    test(`${backend}: nothing fails, and networkd has nothing to complain of`, {
      timeout: SLOW
    }, async () => {
      const { troubles, networkd, notes } = await run()
      expect([troubles, complaints(networkd), notes]).toEqual([[], [], []])
      expect(networkd.join('\n')).toContain('40-br0.network')
    })
  }
})

describe.skipIf(withoutRehearsal())('a pair with IPv6', () => {
  for (const [backend, text] of [
    ['iptables', example('veth-pair-nat')],
    [
      'nftables',
      example('veth-pair-nat')
        .replace('host:\n', 'host:\n  firewall: { backend: nftables }\n')
        .replace('ve-+', 've-*')
    ]
  ] as const) {
    const run = once(text)
    test.each([
      ['webserver', '203.0.113.10', 'ping', 'answered internet <- 198.51.100.2'],
      ['webserver', '2001:db8:ffff::10', 'tcp 9', 'refused internet <- 2001:db8:1::2'],
      ['webserver', 'fd5e:91c7:2d04::1', 'ping', 'answered host <- fd5e:91c7:2d04::2'],
      ['host', '192.168.100.11', 'tcp 80', 'answered webserver <- 192.168.100.10'],
      ['host', 'fd5e:91c7:2d04::2', 'tcp 80', 'answered webserver <- fd5e:91c7:2d04::1'],
      ['lan', '192.168.100.11', 'tcp 80', 'no-route'],
      ['internet', 'fd5e:91c7:2d04::2', 'tcp 80', 'no-route']
    ])(`${backend}: %s to %s, %s`, { timeout: SLOW }, async (from, to, what, seen) => {
      expect((await run()).of(from, to, what)).toBe(seen)
    })
  }

  test('the pattern of the other backend translates nothing', { timeout: SLOW }, async () => {
    const { of, troubles } = await rehearsed(
      example('veth-pair-nat').replace('host:\n', 'host:\n  firewall: { backend: nftables }\n')
    )
    expect([of('webserver', '203.0.113.10'), troubles]).toEqual(['timeout', []])
  })
})

describe.skipIf(withoutRehearsal())('a bridge with a card', () => {
  const run = once(example('lan-bridge'))
  test.each([
    ['lan', '192.168.100.5', 'tcp 80', 'answered webserver <- 192.168.100.2'],
    ['internet', '192.168.100.5', 'tcp 80', 'answered webserver <- 203.0.113.10'],
    ['webserver', '203.0.113.10', 'ping', 'answered internet <- 192.168.100.5'],
    ['webserver', '192.168.100.3', 'ping', 'answered host <- 192.168.100.5']
  ])('%s to %s, %s', { timeout: SLOW }, async (from, to, what, seen) => {
    expect((await run()).of(from, to, what)).toBe(seen)
  })
})

describe.skipIf(withoutRehearsal())('forwards, UDP and macvlans', () => {
  for (const backend of ['iptables', 'nftables'] as const) {
    const run = once(`
version: 1
host:
  manager: scripted
  interfaces: { eno1: { dhcp: true } }
  firewall: { backend: ${backend} }
nat:
  enable: true
  internalInterfaces: [ve-web, ve-dns]
  externalInterface: eno1
  enableIPv6: true
  forwardPorts:
    - { sourcePort: 8080, destination: "10.0.0.2:80", loopbackIPs: [198.51.100.2] }
    - { sourcePort: 8080, destination: "[fd12:3456:789a::2]:80" }
containers:
  web:
    privateNetwork: true
    hostAddress: 10.0.0.1
    localAddress: 10.0.0.2
    hostAddress6: "fd12:3456:789a::1"
    localAddress6: "fd12:3456:789a::2"
    firewall: { allowedTCPPorts: [80], backend: ${backend} }
    listens: [{ port: 80 }]
  dns:
    privateNetwork: true
    hostAddress: 10.0.1.1
    localAddress: 10.0.1.2
    forwardPorts: [{ protocol: udp, hostPort: 5353, containerPort: 53 }]
    firewall: { allowedUDPPorts: [53], backend: ${backend} }
    listens: [{ port: 53, protocol: udp }]
  apart:
    macvlans: [eno1]
    inside: { interfaces: { mv-eno1: { address: [198.51.100.50/24] } } }
`)
    test.each([
      ['internet', '198.51.100.2', 'tcp 8080', 'answered web <- 203.0.113.10'],
      ['lan', '198.51.100.2', 'tcp 8080', 'answered web <- 198.51.100.3'],
      ['internet', '2001:db8:1::2', 'tcp 8080', 'answered web <- 2001:db8:ffff::10'],
      ['host', '198.51.100.2', 'tcp 8080', expect.stringMatching(/^answered web <- /)],
      // By the loopback address, as the host itself.
      [
        'dns',
        '198.51.100.2',
        'tcp 8080',
        expect.stringMatching(/^answered web <- (198\.51\.100\.2|10\.0\.0\.1)$/)
      ],
      ['internet', '198.51.100.2', 'udp 5353', 'answered dns <- 203.0.113.10'],
      ['web', '198.51.100.2', 'udp 5353', 'answered dns <- 10.0.0.2'],
      ['host', '10.0.1.2', 'udp 53', 'answered dns <- 10.0.1.1'],
      ['web', '10.0.1.2', 'udp 53', 'answered dns <- 10.0.0.2'],
      // The firewall drops what is not open; behind FORWARD nothing does.
      ['web', '10.0.1.2', 'tcp 9', 'timeout'],
      ['lan', '198.51.100.50', 'ping', 'answered apart <- 198.51.100.3'],
      ['host', '198.51.100.50', 'ping', 'no-neighbour']
    ])(`${backend}: %s to %s, %s`, { timeout: SLOW }, async (from, to, what, seen) => {
      const outcome = await run()
      expect(outcome.troubles).toEqual([])
      expect(outcome.of(from, to, what)).toEqual(seen)
    })
  }
})

describe.skipIf(withoutRehearsal())('what fails, fails as on NixOS', () => {
  test('a container whose address does not work is not started', { timeout: SLOW }, async () => {
    const { troubles, of } = await rehearsed(`
version: 1
containers:
  web: { privateNetwork: true, hostAddress: 10.0.0.1/24, localAddress: 10.0.0.2 }
  box: { privateNetwork: true, hostAddress: 10.0.1.1, localAddress: 10.0.1.2 }
`)
    expect(troubles.filter(({ kind }) => kind === 'gone')).toMatchObject([{ space: 'web' }])
    expect(of('host', '10.0.1.2')).toBe('answered box <- 10.0.1.1')
  })

  test('two with one address: the second is not started', { timeout: SLOW }, async () => {
    const { troubles, of } = await rehearsed(`
version: 1
containers:
  web: { privateNetwork: true, hostAddress: 10.0.0.1, localAddress: 10.0.0.2 }
  box: { privateNetwork: true, hostAddress: 10.0.1.1, localAddress: 10.0.0.2 }
`)
    expect(troubles).toMatchObject([
      {
        kind: 'gone',
        space: 'box',
        said: [expect.stringContaining('File exists'), expect.stringMatching(/^ip route /)]
      }
    ])
    expect(of('host', '10.0.0.2')).toBe('answered web <- 10.0.0.1')
  })

  test('one rule that iptables refuses leaves the host open', { timeout: SLOW }, async () => {
    const text = (ip: string): string => `
version: 1
host: { interfaces: { eno1: { dhcp: true } } }
nat: { enable: true, internalIPs: [${ip}], externalInterface: eno1 }
`
    const good = await rehearsed(text('10.0.0.0/24'))
    const bad = await rehearsed(text('10.0.0.256/24'))
    expect([good.of('internet', '198.51.100.2', 'tcp 9'), good.troubles]).toEqual(['timeout', []])
    expect(bad.of('internet', '198.51.100.2', 'tcp 9')).toBe('refused host <- 203.0.113.10')
    expect(bad.troubles).toMatchObject([{ kind: 'failed', space: '-', what: 'firewall' }])
  })
})

// What was there before must be there after, and nothing else.

const here = (tool: string, args: readonly string[]): string =>
  spawnSync(tool, args, { encoding: 'utf8' }).stdout

const machine = (folder: string): readonly string[] => [
  here('ip', ['netns']),
  here('ip', ['-br', 'link']),
  here('mount', []),
  readdirSync('/run').sort().join('\n'),
  readdirSync(folder).sort().join('\n')
]

const until = async (isTrue: () => boolean, seconds = 10): Promise<boolean> => {
  for (let i = 0; i < seconds * 20; i += 1) {
    if (isTrue()) return true
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  return isTrue()
}

/** The processes below one. */
const below = (pid: number): readonly number[] => {
  const children = new Map<number, number[]>()
  for (const name of everybody()) {
    const [, parent = ''] = /^\d+ \(.*\) \S (\d+) /s.exec(contentOf(`/proc/${name}/stat`)) ?? []
    children.set(Number(parent), [...(children.get(Number(parent)) ?? []), Number(name)])
  }
  const all = (of: number): readonly number[] => {
    const own = children.get(of) ?? []
    return [...own, ...own.flatMap(all)]
  }
  return all(pid)
}

const contentOf = (path: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

const isAlive = (pid: number): boolean => {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

const linkOf = (path: string): string => {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

/** The namespaces of processes: those that are not this one's. */
const namespacesOf = (pids: readonly (number | string)[]): ReadonlySet<string> =>
  new Set(
    pids
      .flatMap(pid => ['user', 'net', 'pid', 'mnt'].map(kind => linkOf(`/proc/${pid}/ns/${kind}`)))
      .filter(link => link !== '' && !OWN.has(link))
  )

const OWN = new Set(['user', 'net', 'pid', 'mnt'].map(kind => linkOf(`/proc/self/ns/${kind}`)))

const everybody = (): readonly string[] => readdirSync('/proc').filter(name => /^\d+$/.test(name))

interface End {
  readonly how: string
  /** Milliseconds after its first processes are there. */
  readonly after?: number
  readonly end?: (child: ChildProcess, born: readonly number[]) => void
  readonly status: readonly (number | NodeJS.Signals | null)[]
}

const signalled = (signal: NodeJS.Signals) => (child: ChildProcess) => {
  child.kill(signal)
}

const ENDS: readonly End[] = [
  { how: 'a normal end', status: [0, 1] },
  { how: 'Ctrl-C at once', after: 0, end: signalled('SIGINT'), status: [130] },
  { how: 'Ctrl-C while it measures', after: 700, end: signalled('SIGINT'), status: [130] },
  { how: 'SIGTERM', after: 300, end: signalled('SIGTERM'), status: [143] },
  { how: 'a terminal that is closed', after: 500, end: signalled('SIGHUP'), status: [129] },
  { how: 'kill -9 at once', after: 0, end: signalled('SIGKILL'), status: ['SIGKILL'] },
  { how: 'kill -9 while it comes up', after: 200, end: signalled('SIGKILL'), status: ['SIGKILL'] },
  { how: 'kill -9 while it measures', after: 900, end: signalled('SIGKILL'), status: ['SIGKILL'] },
  { how: 'a crash', after: 400, end: signalled('SIGSEGV'), status: ['SIGSEGV'] },
  {
    how: 'kill -9 of its first process in there',
    after: 400,
    end: (_, [first = 0]) => process.kill(first, 'SIGKILL'),
    status: [3]
  },
  { how: 'a reader that goes away', after: 0, end: child => child.stdout?.destroy(), status: [0, 1] }
]

/** These are tried as an ordinary user as well. */
const COMMON = new Set(['a normal end', 'Ctrl-C while it measures', 'kill -9 while it comes up', 'a crash'])

const USERS =
  process.getuid?.() === 0 ? (['root', 'an ordinary user'] as const) : (['an ordinary user'] as const)

describe.skipIf(withoutRehearsal() || absent(['setpriv']))('nothing is left', () => {
  let open = ''
  beforeAll(() => {
    built()
    // An ordinary user may not read the folders of root.
    open = mkdtempSync(join(tmpdir(), 'netplan-'))
    cpSync(join(root, 'dist'), join(open, 'dist'), { recursive: true })
    mkdirSync(join(open, 'tmp'))
    spawnSync('chmod', ['-R', 'a+rX', open])
    chmodSync(join(open, 'tmp'), 0o777)
  }, 120_000)
  afterAll(() => {
    if (open !== '') rmSync(open, { recursive: true })
  })
  // Large enough to be caught in the midst of it.
  const large = `version: 1\nhost: { manager: networkd, interfaces: { eno1: { dhcp: true } } }\nbridges: { br0: { address: [10.1.0.1/24] } }\ncontainers:\n${Array.from(
    { length: 60 },
    (_, i) => `  c${i}: { privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.${i + 2}/24 }\n`
  ).join('')}`
  const cases = USERS.flatMap(user =>
    ENDS.filter(({ how }) => user === USERS[0] || COMMON.has(how)).map(end => ({ user, ...end }))
  )
  test.sequential.each(cases)(
    'after $how, as $user',
    { timeout: 120_000 },
    async ({ user, how, after, end, status }) => {
      const temporary = join(open, 'tmp')
      const before = machine(temporary)
      const program = [process.execPath, join(open, 'dist/netplan.cjs'), 'rehearse', '-']
      const [name = '', ...args] =
        user === 'root' || process.getuid?.() !== 0
          ? program
          : ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--no-new-privs', ...program]
      const child: ChildProcess = spawn(name, args, {
        cwd: '/',
        env: { ...process.env, TMPDIR: temporary },
        stdio: ['pipe', 'pipe', 'ignore']
      })
      child.stdout?.resume()
      child.stdin?.end(large)
      const ended = new Promise<number | NodeJS.Signals | null>(resolve => {
        child.on('exit', (code, by) => resolve(by ?? code))
      })
      const { pid = 0 } = child
      expect(await until(() => below(pid).length > 2)).toBe(true)
      if (after !== undefined) await new Promise(resolve => setTimeout(resolve, after))
      // The processes of the namespaces, the prober among them.
      const born = below(pid)
      const spaces = namespacesOf(born)
      expect(born.length).toBeGreaterThan(2)
      expect(spaces.size).toBeGreaterThan(3)
      end?.(child, born)
      expect(status).toContain(await ended)
      const isGone = (): boolean =>
        !born.some(isAlive) && ![...namespacesOf(everybody())].some(space => spaces.has(space))
      expect([how, await until(isGone, 5)]).toEqual([how, true])
      expect(machine(temporary)).toEqual(before)
    }
  )
})

describe.skipIf(withoutRehearsal())('a machine that cannot', () => {
  test('has no unshare', { timeout: 120_000 }, async () => {
    built()
    const { status, stderr } = await start(
      process.execPath,
      [command, 'rehearse', 'examples/two-containers.yaml'],
      {
        cwd: root,
        env: { PATH: '/nowhere' }
      }
    )
    expect(status).toBe(3)
    expect(stderr).toMatch(/cannot rehearse: unshare, .*not installed; nothing was changed/)
    expect(stderr).toContain('install util-linux')
  })

  test('has no user namespaces left', { timeout: 120_000 }, async () => {
    built()
    const script = `echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" "$@"`
    const { status, stderr } = await start(
      'unshare',
      [
        '--user',
        '--map-root-user',
        'sh',
        '-c',
        script,
        process.execPath,
        command,
        'rehearse',
        'examples/two-containers.yaml'
      ],
      { cwd: root }
    )
    expect(status).toBe(3)
    expect(stderr).toContain('No space left on device')
    expect(stderr).toContain('sysctl user.max_user_namespaces is 0')
  })
})

describe('the script', () => {
  const text = async (topology: string): Promise<string> =>
    shellText(scriptOf(await planOf(topology)), {
      networkd: '/lib/systemd/systemd-networkd',
      prober: undefined
    })

  test('is printed by --dry-run and not run', { timeout: 120_000 }, async () => {
    built()
    const { status, stdout } = await start(
      process.execPath,
      [command, 'rehearse', '--dry-run', 'examples/two-containers.yaml'],
      { cwd: root, env: { PATH: '/nowhere' } }
    )
    expect(status).toBe(0)
    expect(stdout).toContain('netns add containerA')
    expect(stdout).toContain('addr add 192.168.100.2/29 dev eth0')
    expect(stdout).toContain('Name=br0')
  })

  test('is one that a shell can read', async () => {
    for (const name of readdirSync(`${root}/examples`)) {
      const { status, stderr } = spawnSync('sh', ['-n'], {
        input: await text(readFileSync(`${root}/examples/${name}`, 'utf8')),
        encoding: 'utf8'
      })
      expect([name, status, stderr]).toEqual([name, 0, ''])
    }
  })

  test('has nothing of a topology as code', async () => {
    const evil = ['a$(id)', 'a;id', "a'b", 'a`id`', 'a"b', 'IP', 'a b', '../x', '$HOME', 'a\\n# b', '-force']
    for (const name of evil) {
      const quoted = JSON.stringify(name)
      const made = await text(`
version: 1
host:
  manager: networkd
  interfaces: { ${quoted}: { address: [${quoted}] } }
  sysctl: { ${quoted}: ${quoted} }
  firewall: { trustedInterfaces: [${quoted}], interfaces: { ${quoted}: { allowedTCPPorts: [1] } }, extraCommands: ${quoted} }
nat: { enable: true, internalInterfaces: [${quoted}], externalInterface: ${quoted}, internalIPs: [${quoted}], forwardPorts: [{ sourcePort: 1, destination: ${quoted} }] }
bridges: { ${quoted}: { address: [10.0.0.1/24], interfaces: [${quoted}] } }
containers:
  ${quoted}: { privateNetwork: true, hostBridge: ${quoted}, localAddress: ${quoted}, macvlans: [${quoted}], extraVeths: { ${quoted}: { hostAddress: ${quoted} } }, defaultGateway: { address: ${quoted}, interface: ${quoted} }, routes: [{ address: 10.0.0.0/8, interface: ${quoted} }], inside: { interfaces: { ${quoted}: { address: [10.0.0.2/24] } }, bridges: { ${quoted}: { interfaces: [${quoted}] } } } }
vms:
  ${quoted}: { type: microvm, interfaces: [{ name: ${quoted}, type: tap, hostBridge: ${quoted}, address: [10.0.0.9/24] }] }
`)
      const { status, stderr } = spawnSync('sh', ['-n'], { input: made, encoding: 'utf8' })
      expect([name, status, stderr]).toEqual([name, 0, ''])
      if (/[$`;"']/.test(name)) expect([name, made.includes(name)]).toEqual([name, false])
    }
  })
})
