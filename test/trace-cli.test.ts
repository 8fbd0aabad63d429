import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { built, command, type Outcome, root, start } from './command.ts'

// `netplan trace`, run as users run it.

const HOME = `version: 1
host:
  interfaces: { eth0: { dhcp: true } }
bridges:
  br0: { address: [10.5.0.1/24, "fd00:5::1/64"] }
containers:
  web:
    privateNetwork: true
    hostBridge: br0
    localAddress: 10.5.0.2/24
    localAddress6: fd00:5::2/64
    internet: false
  db:
    privateNetwork: true
    hostBridge: br0
    localAddress: 10.5.0.3/24
    localAddress6: fd00:5::3/64
    internet: false
    firewall:
      allowedTCPPorts: [80]
`

const folder = mkdtempSync(join(tmpdir(), 'netplan-trace-'))

const trace = async (...args: readonly string[]): Promise<Outcome> => {
  const outcome = await start(process.execPath, [command, 'trace', ...args], { cwd: folder })
  expect(outcome.stdout + outcome.stderr).not.toMatch(/^ {4}at |\bundefined\b|\[object Object\]|\bNaN\b/m)
  expect(outcome.stdout + outcome.stderr).not.toContain('\u001b')
  return outcome
}

beforeAll(() => {
  built()
  writeFileSync(join(folder, 'home.yaml'), HOME)
  writeFileSync(join(folder, 'hostile.yaml'), HOME.replaceAll('web', '"\\u001b[31mweb"'))
}, 120_000)
afterAll(() => {
  rmSync(folder, { recursive: true })
})

test('each address of the target is followed, and each step has its place in the file', async () => {
  const { status, stdout, stderr } = await trace('home.yaml', 'web', 'db:80')
  expect([status, stderr]).toEqual([0, ''])
  expect(stdout).toBe(`web -> db 10.5.0.3 (IPv4), tcp 80: arrives
  web  sends it on eth0, by its route to 10.5.0.0/24  home.yaml:10:5
  db   lets tcp 80 in on eth0: allowedTCPPorts        home.yaml:20:25
  db   has got it, and refuses it: nothing in the file listens on tcp 80
  web  gets the answer back

web -> db fd00:5::3 (IPv6), tcp 80: arrives
  web  sends it on eth0, by its route to fd00:5::/64  home.yaml:11:5
  db   lets tcp 80 in on eth0: allowedTCPPorts        home.yaml:20:25
  db   has got it, and refuses it: nothing in the file listens on tcp 80
  web  gets the answer back
`)
})

test('what does not arrive has its mend', async () => {
  const { status, stdout } = await trace('home.yaml', 'web', '[fd00:5::3]:53/udp')
  expect(status).toBe(1)
  expect(stdout).toBe(`web -> fd00:5::3 (IPv6), udp 53: does not arrive: web waits until it times out
  web  sends it on eth0, by its route to fd00:5::/64        home.yaml:11:5
  db   drops it, as its firewall has udp 53 closed on eth0  home.yaml:19:5
  mend: open it: firewall.allowedUDPPorts: [53] in container "db"
`)
})

describe('refused is', () => {
  test.each([
    [
      'a port out of bounds',
      ['web', 'db:70000'],
      '"70000" is no port; write a number from 1 to 65535, and /udp behind it for UDP'
    ],
    ['port 0', ['web', 'db:0'], '"0" is no port; write a number from 1 to 65535, and /udp behind it for UDP'],
    [
      'another protocol',
      ['web', 'db:80/sctp'],
      '"80/sctp" is no port; write a number from 1 to 65535, and /udp behind it for UDP'
    ],
    ['a name in brackets', ['web', '[db]:80'], '"db" is no address; only addresses stand in brackets'],
    ['a sender with a slip', ['wbe', 'db:80'], 'nobody is called "wbe"; did you mean "web"?'],
    [
      'a target of nobody',
      ['web', 'kubernetes:80'],
      'nobody is called "kubernetes"; there are host, web, db, lan and internet'
    ],
    [
      'a sender that nobody is',
      ['10.5.0.77', 'db'],
      'nobody has the address 10.5.0.77; there are host, web, db, lan and internet'
    ],
    [
      'no name',
      ['web', ':80'],
      '":80" is no target; write NAME, NAME:PORT or NAME:PORT/udp, and an IPv6 address with a port as [ADDRESS]:PORT'
    ]
  ] as const)('%s', async (_, [from, to], said) => {
    const { status, stdout, stderr } = await trace('home.yaml', from, to)
    expect([status, stdout, stderr]).toEqual([2, '', `netplan: ${said}\n`])
  })
})

test('JSON has the fields of its page', async () => {
  const { status, stdout } = await trace('home.yaml', 'web', 'db:53/udp', '--format', 'json')
  expect(status).toBe(1)
  const told = JSON.parse(stdout) as { readonly flows: readonly unknown[] }
  expect(told).toMatchObject({ version: 1, file: 'home.yaml', from: 'web', to: 'db' })
  expect(told.flows).toHaveLength(2)
  expect(told.flows[1]).toEqual({
    from: { kind: 'container', name: 'web' },
    to: 'fd00:5::3',
    family: 6,
    protocol: 'udp',
    port: 53,
    disposition: 'filtered',
    arrives: false,
    seen: 'timeout',
    by: null,
    source: null,
    reason: 'container "db" drops it, as its firewall has udp 53 closed on eth0',
    doubt: null,
    mend: {
      text: 'open it: firewall.allowedUDPPorts: [53] in container "db"',
      writes: [{ kind: 'append', at: ['containers', 'db', 'firewall', 'allowedUDPPorts'], value: 53 }]
    },
    hops: [
      {
        at: { kind: 'container', name: 'web' },
        kind: 'route',
        back: false,
        text: 'sends it on eth0, by its route to fd00:5::/64',
        path: ['containers', 'web', 'localAddress6'],
        start: { line: 11, column: 5 }
      },
      {
        at: { kind: 'container', name: 'db' },
        kind: 'closed',
        back: false,
        text: 'drops it, as its firewall has udp 53 closed on eth0',
        path: ['containers', 'db', 'firewall'],
        start: { line: 19, column: 5 }
      }
    ]
  })
  const page = readFileSync(join(root, 'docs/trace-json.md'), 'utf8')
  for (const path of pathsOf(told)) expect(page).toContain(`\`${path}\``)
})

/** The keys of what is for programs, as its page writes them. */
const pathsOf = (value: unknown, path = ''): readonly string[] =>
  Array.isArray(value)
    ? value.flatMap(item => pathsOf(item, `${path}[]`))
    : typeof value !== 'object' || value === null
      ? [path]
      : Object.entries(value).flatMap(([key, item]) =>
          WHOLE.has(key)
            ? [path === '' ? key : `${path}.${key}`]
            : pathsOf(item, path === '' ? key : `${path}.${key}`)
        )

/** What the page describes in one line. */
const WHOLE = new Set(['from', 'to', 'by', 'at', 'path', 'start', 'writes'])

test('a name from the file does not act on a terminal', async () => {
  const { stderr } = await trace('hostile.yaml', 'wbe', 'db')
  expect(stderr).toContain('\\u001b')
})
