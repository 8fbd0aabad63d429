import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { built, command, type Outcome, root, start } from './command.ts'
import { absent } from './judge.ts'
import { withoutRehearsal } from './rehearse.ts'

// What `netplan rehearse` prints, and when it cannot.

const SLOW = 120_000

let folder = ''

beforeAll(() => {
  built()
  folder = mkdtempSync(join(tmpdir(), 'netplan-'))
})

afterAll(() => {
  if (folder !== '') rmSync(folder, { recursive: true })
})

const run = (
  args: readonly string[],
  options: { input?: string; env?: Readonly<Record<string, string>> } = {}
): Promise<Outcome> =>
  start(process.execPath, [command, 'rehearse', ...args], { cwd: root, limit: 60_000, ...options })

const NETWORK = `
version: 1
host:
  manager: scripted
  interfaces: { eno1: { dhcp: true } }
  firewall: { backend: nftables }
bridges: { br0: { address: [10.1.0.1/24] } }
nat:
  enable: true
  internalInterfaces: [br0]
  externalInterface: eno1
  forwardPorts: [{ sourcePort: 8080, destination: "10.1.0.2:80" }]
containers:
  web:
    privateNetwork: true
    hostBridge: br0
    localAddress: 10.1.0.2/24
    defaultGateway: 10.1.0.1
    firewall: { allowedTCPPorts: [80] }
    listens: [{ port: 80 }]
  db:
    privateNetwork: true
    hostBridge: br0
    localAddress: 10.1.0.3/24
    defaultGateway: 10.1.0.1
    firewall: { allowedTCPPorts: [5432] }
`

const EXPECTED = `${NETWORK}
expect:
  - { from: web, to: internet, port: 443, outcome: reaches }
  - { from: internet, to: web, port: 80, outcome: reaches, why: the site }
  - { from: internet, to: db, outcome: blocked }
  - { from: web, to: db, port: 5432, outcome: reaches }
`

const FAILING = `${NETWORK}
expect:
  - { from: web, to: internet, port: 443, outcome: reaches }
  - { from: web, to: db, port: 5432, outcome: blocked, why: secret }
  - { from: db, to: web, port: 22, outcome: reaches }
`

const FAULTY = `
version: 1
host: { manager: scripted, interfaces: { eno1: { dhcp: true } }, firewall: { backend: nftables } }
bridges: { br0: { address: [10.1.0.1/24] } }
containers:
  one: { privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.2/24 }
  two: { privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.2/24 }
  lost: { privateNetwork: true, hostAddress: 10.2.0.1/24, localAddress: 10.2.0.2 }
  far: { privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.5/24, defaultGateway: 10.7.0.1 }
`

/** A router that tells of a shorter way, so that a flow may end in two ways. */
const ROUND = `
version: 1
host: { sysctl: { net.ipv4.ip_forward: 1 }, firewall: { backend: iptables } }
bridges: { br0: { address: [10.1.0.1/24] } }
containers:
  near: { privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.2, defaultGateway: { address: 10.1.0.1, interface: eth0 } }
  far: { privateNetwork: true, hostBridge: br0, localAddress: 10.1.0.3/24, firewall: { enable: false } }
`

describe.skipIf(withoutRehearsal())('expectations are judged by packets', () => {
  test('all met', { timeout: SLOW }, async () => {
    const { status, stdout } = await run(['-'], { input: EXPECTED })
    expect(stdout).toContain('  met      internet reaches web, tcp 80 (the site)')
    expect(stdout).toContain('; 4 of 4 expectations met')
    expect(status).toBe(0)
  })

  test('one that fails is told with what was measured, and the answer is no', { timeout: SLOW }, async () => {
    const { status, stdout } = await run(['-'], { input: FAILING })
    expect(stdout).toContain('met      web reaches internet, tcp 443')
    expect(stdout).toMatch(/not met {2}web does not reach db, tcp 5432 \(secret\) {2}\(\S+:30:5\)/)
    expect(stdout).toMatch(/measured: web -> 10\.1\.0\.3 tcp 5432: refused by db/)
    expect(stdout).toMatch(/not met {2}db reaches web, tcp 22/)
    expect(stdout).toContain('as predicted: ')
    expect(stdout).toContain('; 1 of 3 expectations met')
    expect(status).toBe(1)
  })

  test('one that hangs on what is not in the file is neither met nor failed', { timeout: SLOW }, async () => {
    const { status, stdout } = await run(['-'], {
      input: `
version: 1
host: { interfaces: { eno1: { dhcp: true } } }
bridges: { br0: { interfaces: [eno1] } }
containers:
  web: { privateNetwork: true, hostBridge: br0, dhcp: true }
expect:
  - { from: web, to: internet, outcome: reaches }
`
    })
    expect(stdout).toMatch(/unsure {3}web reaches internet\n +"web" gets its address from elsewhere/)
    expect(stdout).toContain('; 0 of 1 expectation met')
    expect(status).toBe(0)
  })

  test('in JSON as well', { timeout: SLOW }, async () => {
    const { status, stdout } = await run(['-', '--format', 'json'], { input: FAILING })
    const { asPredicted, expectations } = JSON.parse(stdout)
    expect([status, asPredicted]).toEqual([1, true])
    expect(expectations).toMatchObject([
      { path: ['expect', 0], met: true, predicted: true },
      {
        path: ['expect', 1],
        met: false,
        predicted: false,
        deciding: { from: 'web', address: '10.1.0.3', protocol: 'tcp', port: 5432, seen: 'refused', by: 'db' }
      },
      { path: ['expect', 2], met: false, deciding: { seen: 'timeout', by: null, source: null } }
    ])
  })
})

describe.skipIf(withoutRehearsal())('what fails is told', () => {
  test('with the command, the error and the place', { timeout: SLOW }, async () => {
    const { stdout } = await run(['-'], { input: FAULTY })
    expect(stdout).toMatch(
      /container "lost" does not start {2}\(\S+:8:3\)\n +Error: Invalid prefix for given prefix length\.\n +ip route add 10\.2\.0\.1\/24 dev eth0\n/
    )
    expect(stdout).toMatch(
      /"far" fails {2}\(\S+:9:3\)\n +Error: Nexthop has invalid gateway\.\n +ip route \S+ .*via 10\.7\.0\.1/
    )
    expect(stdout).not.toContain('Command failed')
  })

  test('and which of two equal addresses answers', { timeout: SLOW }, async () => {
    const [table, json] = await Promise.all([
      run(['-'], { input: FAULTY }),
      run(['-', '--format', 'json'], { input: FAULTY })
    ])
    expect(table.stdout).toMatch(
      /10\.1\.0\.2 is the address of container "one" \(\S+:6:\d+\) and container "two" \(\S+:7:\d+\)\n +(one|two) answers /
    )
    expect(table.stdout).toMatch(
      /\nas predicted: \d+ flows between \d+ places; \d+ flows depend on which of two equal addresses answers\n/
    )
    const { doubled, asPredicted, flows } = JSON.parse(json.stdout)
    expect(asPredicted).toBe(true)
    expect(flows.filter(({ address }: { address: string }) => address === '10.1.0.5')).toContainEqual(
      expect.objectContaining({ from: 'host', open: false })
    )
    expect(doubled).toMatchObject([{ address: '10.1.0.2', owners: [{ owner: 'container "one"' }, {}] }])
    expect(['one', 'two']).toContain(doubled[0].answers[0].by)
  })

  test('a bridge without carrier has no address', { timeout: SLOW }, async () => {
    const text = `
version: 1
host:
  manager: networkd
  interfaces: { eno1: { dhcp: true } }
  networkd:
    enable: true
    netdevs: { 20-br0: { netdevConfig: { Name: br0, Kind: bridge } } }
    networks:
      40-br0:
        matchConfig: { Name: br0 }
        networkConfig: { Address: 10.1.0.1/24, Adress: 10.1.0.9/24 }
`
    const { stdout } = await run(['-'], { input: text })
    expect(stdout).toMatch(
      /bridge "br0" has not got its address 10\.1\.0\.1\/24 from systemd-networkd: it has no carrier, nothing is plugged into it/
    )
    expect(stdout).toMatch(/systemd-networkd complains\n +40-br0\.network:\d+: Unknown key 'Adress'/)
  })
})

/** What is to be seen at a terminal where these lines are typed, one at each prompt. */
const typed = (lines: readonly string[], file: string, more = ''): Promise<string> =>
  new Promise(resolve => {
    const child = spawn(
      'script',
      ['-qec', `'${process.execPath}' '${command}' rehearse --keep ${more} '${file}'`, '/dev/null'],
      { cwd: root, env: { ...process.env, TERM: 'dumb', LC_ALL: 'C' }, stdio: ['pipe', 'pipe', 'ignore'] }
    )
    let text = ''
    let prompts = 0
    child.stdout.setEncoding('utf8')
    child.stdout.on('data', (chunk: string) => {
      text += chunk
      // Each prompt gets its line.
      while (text.split('rehearsal # ').length - 1 > prompts && prompts < lines.length) {
        child.stdin.write(`${lines[prompts]}\n`)
        prompts += 1
      }
    })
    child.on('close', () => resolve(text.replaceAll('\r', '')))
  })

describe.skipIf(withoutRehearsal() || absent(['script']))('--keep', () => {
  test('opens a shell on the host of the network, and takes it down when it is left', {
    timeout: SLOW
  }, async () => {
    const file = join(folder, 'keep.yaml')
    writeFileSync(file, NETWORK)
    const before = spawnSync('ip', ['-br', 'link']).stdout.toString()
    const text = await typed(
      [
        'ip -br addr show br0',
        'ip netns exec web ip -br addr show eth0',
        'ip netns exec db ip route get 10.1.0.2',
        'nft list tables',
        'echo lives in $$; readlink /proc/$$/ns/net',
        'exit'
      ],
      file
    )
    expect(text).toMatch(/^br0 .*10\.1\.0\.1\/24/m)
    expect(text).toMatch(/^eth0.*10\.1\.0\.2\/24/m)
    expect(text).toMatch(/^10\.1\.0\.2 dev eth0 src 10\.1\.0\.3/m)
    expect(text).toMatch(/^table ip nixos-nat/m)
    expect(text).toMatch(/as predicted: \d+ flows/)
    const [, inner = ''] = /^(net:\[\d+\])$/m.exec(text) ?? []
    expect(inner).not.toBe('')
    const others = spawnSync('sh', ['-c', 'readlink /proc/[0-9]*/ns/net'], { encoding: 'utf8' }).stdout
    expect(others).not.toContain(inner)
    expect(spawnSync('ip', ['-br', 'link']).stdout.toString()).toBe(before)
  })

  test("shows what systemd's own units do, which are hidden else", { timeout: SLOW }, async () => {
    const file = join(folder, 'vendor.yaml')
    // 80-container-ve.network gives every pair addresses of its own, where no unit keeps it off them.
    const units = 'networks: { 10-lan: { matchConfig: { Name: eno1 }, networkConfig: { DHCP: "yes" } } }'
    writeFileSync(
      file,
      `version: 1
host: { networkd: { enable: true, ${units} } }
containers:
  web: { privateNetwork: true, hostAddress: 10.0.0.1, localAddress: 10.0.0.2 }
`
    )
    const lines = ['sleep 1; ip -4 -br addr show ve-web', 'exit']
    const [hidden, there] = [await typed(lines, file), await typed(lines, file, '--vendor')]
    expect(hidden).toMatch(/^ve-web\S+ +UP +10\.0\.0\.1\/32 *$/m)
    expect(there).toMatch(/^ve-web\S+ +UP .*\/28/m)
  })

  test('is refused where there is no terminal', { timeout: SLOW }, async () => {
    const { status, stderr } = await run(['--keep', 'examples/two-containers.yaml'])
    expect([status, stderr]).toEqual([
      2,
      'netplan: --keep needs a terminal: it opens a prompt in the network; nothing was changed\n'
    ])
  })
})

// Causes are played by programs that say what the real ones say.

describe.skipIf(withoutRehearsal())('a machine that cannot says why', () => {
  const TOOLS = ['sh', 'nsenter', 'mount', 'ip', 'nft', 'iptables-restore', 'ip6tables-restore']

  /** A PATH with some programs as they are, and some that are played. */
  const pathWith = (
    name: string,
    tools: readonly string[],
    fake: Readonly<Record<string, string>>
  ): string => {
    const path = join(folder, name)
    mkdirSync(path)
    for (const tool of tools) {
      const { stdout } = spawnSync('sh', ['-c', `PATH="$PATH:/usr/sbin:/sbin"; command -v ${tool}`], {
        encoding: 'utf8'
      })
      symlinkSync(stdout.trim(), join(path, tool))
    }
    for (const [tool, text] of Object.entries(fake)) {
      writeFileSync(join(path, tool), `#!/bin/sh\n${text}\n`)
      chmodSync(join(path, tool), 0o755)
    }
    return path
  }

  const played: readonly (readonly [
    cause: string,
    said: string,
    sysctls: readonly string[],
    told: RegExp
  ])[] = [
    [
      'unprivileged_userns_clone',
      'unshare: unshare failed: Operation not permitted',
      ['unprivileged_userns_clone=0'],
      /sysctl kernel\.unprivileged_userns_clone is 0: sudo sysctl kernel\.unprivileged_userns_clone=1/
    ],
    [
      'apparmor',
      'unshare: write failed /proc/self/uid_map: Operation not permitted',
      ['apparmor_restrict_unprivileged_userns=1'],
      /sysctl kernel\.apparmor_restrict_unprivileged_userns is 1: .*AppArmor profile/
    ],
    [
      'docker',
      'unshare: unshare failed: Operation not permitted',
      [],
      /start the container with --privileged/
    ],
    [
      'busybox',
      "unshare: unrecognized option '--map-user=1'\nBusyBox v1.36.1\n\nUsage: unshare [OPTIONS] [PROG ARGS]",
      [],
      /too old or that of busybox: install a newer util-linux/
    ],
    [
      'processes',
      'unshare: fork failed: Resource temporarily unavailable',
      [],
      /too many processes: ulimit -u/
    ]
  ]
  test.each(played)('%s', { timeout: SLOW }, async (cause, said, sysctls, told) => {
    const path = pathWith(cause, TOOLS, {
      unshare: `printf '%s\\n' '${said.replaceAll("'", "'\\''")}' >&2; exit 1`
    })
    // A kernel with other sysctls, in a namespace of mounts of its own.
    const script = `mount -t tmpfs tmpfs /proc/sys/kernel && ${sysctls.map(pair => `echo ${pair.split('=')[1]} >/proc/sys/kernel/${pair.split('=')[0]} && `).join('')}export PATH="${path}:$PATH" && exec "$0" "$@"`
    const { status, stdout, stderr } = await start(
      'unshare',
      [
        '--user',
        '--map-root-user',
        '--mount',
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
    expect([status, stdout]).toEqual([3, ''])
    expect(stderr).toMatch(told)
    expect(stderr).toContain(`cannot rehearse: ${said.split('\n')[0]}; nothing was changed`)
    expect(stderr).toContain('"netplan reach" predicts')
  })

  test('without perl it asks by Node, and says so', { timeout: SLOW }, async () => {
    const hidden =
      'for file in /usr/bin/perl /bin/perl /usr/local/bin/perl; do [ ! -e $file ] || mount --bind /dev/null $file; done; exec "$0" "$@"'
    const { status, stdout } = await start(
      'unshare',
      [
        '--user',
        '--map-root-user',
        '--mount',
        'sh',
        '-c',
        hidden,
        process.execPath,
        command,
        'rehearse',
        '-'
      ],
      { cwd: root, input: EXPECTED, limit: 60_000 }
    )
    expect(stdout).toContain('nobody was pinged, and it took longer: perl is not installed')
    expect(stdout).toMatch(/unsure {3}internet does not reach db\n +it was not measured\n/)
    expect(stdout).toContain('; 3 of 4 expectations met')
    expect(stdout).toContain('as predicted: ')
    expect(status).toBe(0)
  })

  test('another system than Linux', { timeout: SLOW }, async () => {
    const fake = join(folder, 'darwin.cjs')
    writeFileSync(fake, "Object.defineProperty(process, 'platform', { value: 'darwin' })\n")
    const { status, stderr } = await run(['examples/two-containers.yaml'], {
      env: { NODE_OPTIONS: `--require ${fake}` }
    })
    expect([status, stderr]).toEqual([
      3,
      expect.stringContaining('network namespaces, which only Linux has; this is darwin; nothing was changed')
    ])
  })
})

describe.skipIf(withoutRehearsal())('the documented JSON', () => {
  /** The fields of a value, in the words of the page. */
  const fieldsOf = (value: unknown, path: string): readonly string[] =>
    Array.isArray(value)
      ? value.flatMap(entry => (typeof entry === 'object' ? fieldsOf(entry, `${path}[]`) : []))
      : typeof value !== 'object' || value === null
        ? []
        : Object.entries(value).flatMap(([key, own]) => {
            const field = path === '' ? key : `${path}.${key}`
            return [field, ...fieldsOf(own, field)]
          })

  test('has the fields that docs/rehearse-json.md names, and no others', { timeout: SLOW }, async () => {
    const reports = await Promise.all(
      [FAULTY, FAILING, ROUND].map(input => run(['-', '--format', 'json'], { input }))
    )
    const fields = new Set(reports.flatMap(({ stdout }) => fieldsOf(JSON.parse(stdout), '')))
    const page = readFileSync(join(root, 'docs/rehearse-json.md'), 'utf8')
    const documented = Array.from(page.matchAll(/^\| `([^`]+)` \|/gm), ([, name]) => name)
    expect(fields).toEqual(new Set(documented))
  })
})
