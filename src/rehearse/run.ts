import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Duplex, Readable, Writable } from 'node:stream'
import { formatAddr, parseAddr } from '../net/addr.ts'
import { type Answer, type Flow, type Place, type Seen, placeKey } from '../reach/flow.ts'
import type { Service } from './flows.ts'
import { PYTHON } from './prober.ts'
import type { Script } from './script.ts'
import { type Programs, shellText } from './shell.ts'

// The only file that starts processes. All of a rehearsal lives in the namespaces of one `unshare`, and hangs on a pipe whose
// other end only this process has. When that is closed, to whatever end this process comes, the first process there exits,
// and the kernel takes everything with it: processes, namespaces, interfaces, mounts, files.

/** This machine cannot do it, and why. Nothing was changed. */
export interface Unable {
  readonly unable: string
  /** What to do instead, one sentence each. */
  readonly help: readonly string[]
}

/** What was seen of a flow. `reached` is who got the packet, where nothing came back. */
export interface Measured extends Answer {
  readonly reached: Place | undefined
}

/** What did not work while the network was brought up. */
export interface Trouble {
  /** failed: a service of a place. gone: a container that does not start. missing: an address that networkd did not set. */
  readonly kind: 'failed' | 'gone' | 'missing'
  readonly space: string
  readonly what: string
  readonly said: readonly string[]
}

export interface Rehearsal {
  readonly troubles: () => readonly Trouble[]
  /** Asks, and waits for each answer so many milliseconds. */
  readonly measure: (flows: readonly Flow[], wait: number) => Promise<readonly Measured[]>
  /** The process id by which others can enter the namespaces. */
  readonly inner: () => number | undefined
  /** Ends it; gives the lines of networkd. */
  readonly close: () => Promise<readonly string[]>
  /** How long each part took, in milliseconds. */
  readonly times: ReadonlyMap<string, number>
}

export interface RunOptions {
  readonly services: readonly Service[]
  readonly signal: AbortSignal
  readonly progress: (what: string) => void
  /** For how long it may take to come up, in milliseconds. */
  readonly limit?: number
}

/** Of a user the folders of the system's own tools are often not in PATH. */
const FOLDERS = (): readonly string[] =>
  [
    ...(process.env['PATH'] ?? '').split(delimiter),
    '/usr/local/sbin',
    '/usr/sbin',
    '/sbin',
    '/run/current-system/sw/bin'
  ].filter(folder => folder.startsWith('/'))

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const find = (program: string, folders: readonly string[]): string | undefined =>
  folders.map(folder => join(folder, program)).find(isExecutable)

const NETWORKD = ['/usr/lib/systemd', '/lib/systemd', '/run/current-system/systemd/lib/systemd']

/** The package of a program on Debian and its kin, and NixOS's name for it where that differs. */
const PACKAGES: Readonly<Record<string, string>> = {
  unshare: 'util-linux',
  nsenter: 'util-linux',
  mount: 'mount (util-linux)',
  ip: 'iproute2',
  nft: 'nftables',
  'iptables-restore': 'iptables',
  'ip6tables-restore': 'iptables',
  'systemd-networkd': 'systemd',
  python3: 'python3'
}

/** What this machine has of what a script needs. */
export const programsFor = ({ programs, units }: Script): Programs | Unable => {
  const folders = FOLDERS()
  const networkd = find('systemd-networkd', NETWORKD)
  // Those of the system start at once; one that comes first in PATH may be a shell script that looks for versions.
  const python = find('python3', ['/usr/bin', '/bin', ...folders])
  const missing = [
    ...programs.filter(program => find(program, folders) === undefined),
    ...(units !== undefined && networkd === undefined ? ['systemd-networkd'] : []),
    ...(python === undefined ? ['python3'] : [])
  ]
  if (python === undefined || missing.length > 0) {
    const packages = [...new Set(missing.map(program => PACKAGES[program] ?? program))]
    return {
      unable: `${missing.join(', ')} ${missing.length > 1 ? 'are' : 'is'} not installed`,
      help: [`install ${packages.join(', ')}`, PREDICT]
    }
  }
  return { networkd, prober: { command: [python, '-I', '-S'], text: PYTHON } }
}

const PREDICT = '"netplan reach" predicts who reaches whom without sending a packet'

const NAMESPACES = [
  '--user',
  '--map-user=1',
  '--map-group=1',
  '--keep-caps',
  '--net',
  '--mount',
  '--pid',
  '--ipc',
  '--uts'
]

/**
 * With a /proc of its own where the kernel allows one; it does not where parts of the present one are covered, as docker does,
 * and the present one serves as well.
 */
const WAYS: readonly (readonly string[])[] = [
  [...NAMESPACES, '--fork', '--kill-child=SIGKILL', '--mount-proc'],
  [...NAMESPACES, '--fork', '--kill-child=SIGKILL']
]

/**
 * The first process only waits; when it ends, everything ends. The work is its child's, and another child kills that when
 * the life line is cut. A new /run is prepared elsewhere and then put in its place, with what NixOS keeps its programs by.
 * Standard input has the script, 3 is the life line, 4 is the prober's input.
 */
const FIRST = `exec 5<&0 </dev/null
(
  exec 3<&-
  mount -n -t tmpfs -o mode=755 tmpfs /tmp && mkdir /tmp/netplan &&
    { [ ! -L /run/current-system ] || ln -s "$(readlink /run/current-system)" /tmp/current-system; } &&
    mount -n --move /tmp /run && cat <&5 >/run/netplan/up || exit
  exec 5<&-
  . /run/netplan/up
) &
work=$!
( exec 4<&- 5<&- >&- 2>&-; read -r line <&3; kill -9 $work ) &
wait $work`

/** Brings a plan up. What is abandoned by the signal ends as if it had been closed. */
export const rehearse = async (
  script: Script,
  programs: Programs,
  options: RunOptions
): Promise<Rehearsal | Unable> => {
  let reason: Unable = { unable: 'namespaces cannot be made here', help: [PREDICT] }
  for (const way of WAYS) {
    const tried = await start(script, programs, options, way)
    if (!('unable' in tried)) return tried
    reason = tried
    if (options.signal.aborted || !/mount \/proc/.test(tried.unable)) break
  }
  return reason
}

const start = (
  script: Script,
  programs: Programs,
  { services, signal, progress, limit = 30_000 }: RunOptions,
  way: readonly string[]
): Promise<Rehearsal | Unable> =>
  new Promise(resolve => {
    const folders = FOLDERS()
    const begun = performance.now()
    const child: ChildProcess = spawn(find('unshare', folders) ?? 'unshare', [...way, 'sh', '-c', FIRST], {
      cwd: '/',
      env: { PATH: folders.join(delimiter), LC_ALL: 'C', TMPDIR: '/run' },
      // Ctrl-C at a terminal goes to this process alone.
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe', 'pipe', 'pipe']
    })
    // They are what was asked for above.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    const [input, output, errors, life, questions] = child.stdio as [
      Writable,
      Readable,
      Readable,
      Duplex,
      Duplex
    ]
    for (const stream of [input, output, errors, life, questions]) stream.on('error', () => {})
    const times = new Map<string, number>()
    const troubles: Trouble[] = []
    const said = new Map<string, string[]>()
    const log: string[] = []
    let stderr = ''
    let isReady = false
    let isOver = false
    let last = begun
    let phase = 'start'
    let waiting: { readonly answers: Map<number, Measured>; readonly done: () => void } | undefined
    const ended: Promise<void> = new Promise(done => {
      child.on('error', error => {
        stderr += error.message
      })
      child.on('close', () => {
        isOver = true
        done()
      })
    })
    const kill = (): void => {
      life.destroy()
    }
    const lap = (name: string): void => {
      const now = performance.now()
      times.set(phase, (times.get(phase) ?? 0) + now - last)
      last = now
      phase = name
    }
    const places = [script.host, ...script.spaces].map(({ place }) => place)
    const indexOf = new Map<string, number>()
    places.forEach((place, i) => {
      if (place !== undefined && !indexOf.has(placeKey(place))) indexOf.set(placeKey(place), i)
    })
    const close = async (): Promise<readonly string[]> => {
      questions.end()
      const soon = setTimeout(kill, 1000)
      await ended
      clearTimeout(soon)
      kill()
      lap('over')
      signal.removeEventListener('abort', kill)
      return log
    }
    const measure = (flows: readonly Flow[], wait: number): Promise<readonly Measured[]> =>
      new Promise((done, fail) => {
        lap('measure')
        const answers = new Map<number, Measured>()
        const finish = (): void => {
          lap('measured')
          waiting = undefined
          done(flows.map((_, i) => answers.get(i) ?? NOTHING))
        }
        waiting = { answers, done: finish }
        if (flows.length === 0) finish()
        else if (isOver || signal.aborted) fail(new Error('the rehearsal is over'))
        else
          questions.write(
            questionText(flows, wait, place => indexOf.get(placeKey(place)) ?? 0, places.length)
          )
        void ended.then(() => {
          if (waiting?.answers === answers)
            fail(new Error(`the rehearsal has ended too early: ${lastLine(stderr)}`))
        })
      })
    const read = (line: string): void => {
      const [word = '', first = '', ...rest] = line.split(' ')
      const more = rest.join(' ')
      if (word === 'answer') waiting?.answers.set(Number(first), answerOf(rest, places))
      else if (word === 'done') waiting?.done()
      else if (word === 'phase') {
        lap(first)
        progress(first)
      } else if (word === 'said') said.get(first)?.push(more)
      else if (word === 'failed' || word === 'gone' || word === 'missing') {
        const lines: string[] = []
        said.set(first, lines)
        troubles.push({ kind: word, space: first, what: more, said: lines })
      } else if (word === 'log') log.push(line.slice(4))
      else if (word === 'ready' && !isReady) {
        isReady = true
        lap('ready')
        clearTimeout(tooLong)
        questions.write(setupText(script, services, place => indexOf.get(placeKey(place)) ?? 0))
        resolve({ troubles: () => troubles, measure, inner: () => innerOf(child.pid), close, times })
      }
    }
    const tooLong = setTimeout(kill, limit)
    signal.addEventListener('abort', kill)
    if (signal.aborted) kill()
    lines(output, read)
    errors.on('data', (chunk: Buffer) => {
      stderr = `${stderr}${chunk.toString()}`.slice(-4000)
    })
    void ended.then(() => {
      clearTimeout(tooLong)
      signal.removeEventListener('abort', kill)
      if (!isReady) resolve(diagnosis(stderr))
    })
    input.end(shellText(script, programs))
  })

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? ''

const NOTHING: Measured = { seen: 'timeout', by: undefined, source: undefined, reached: undefined }

const lines = (stream: Readable, read: (line: string) => void): void => {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    const parts = `${rest}${chunk}`.split('\n')
    rest = parts.pop() ?? ''
    for (const part of parts) read(part)
  })
}

const setupText = (
  { spaces }: Script,
  services: readonly Service[],
  index: (place: Place) => number
): string =>
  [
    'space 0 -',
    ...spaces.map(({ name }, i) => `space ${i + 1} /run/netns/${name}`),
    ...services.map(
      ({ place, protocol, address, port }) =>
        `listen ${index(place)} ${protocol} ${address === undefined ? '*' : formatAddr(address)} ${port}`
    ),
    ''
  ].join('\n')

/**
 * The kernel has one limit for the neighbours of all namespaces together, and a rehearsal may not change it: so of a large
 * network some addresses are asked for at a time.
 */
const NEIGHBOURS = 600
const MANY = 20

const questionText = (
  flows: readonly Flow[],
  wait: number,
  index: (place: Place) => number,
  places: number
): string => {
  const isLarge = places > MANY
  const most = isLarge ? Math.max(1, Math.floor(NEIGHBOURS / (2 * places))) : Number.POSITIVE_INFINITY
  const targets = new Map<string, string[]>()
  flows.forEach(({ from, to, protocol, port }, i) => {
    const address = formatAddr(to)
    const line = `probe ${i} ${index(from)} ${protocol} ${address} ${port ?? 0}`
    const others = targets.get(address)
    if (others === undefined) targets.set(address, [line])
    else others.push(line)
  })
  const text: string[] = []
  let count = 0
  for (const lines of targets.values()) {
    if (count > 0 && count % most === 0) text.push('chunk')
    count += 1
    for (const line of lines) text.push(line)
  }
  return `${text.join('\n')}\ngo ${wait} ${isLarge ? 1 : 0}\n`
}

const SEEN: readonly Seen[] = ['answered', 'refused', 'no-route', 'no-neighbour', 'timeout']

const answerOf = (
  [seen, by, source]: readonly string[],
  places: readonly (Place | undefined)[]
): Measured => {
  const known = SEEN.find(name => name === seen) ?? 'timeout'
  const reached = by === undefined || by === '-' ? undefined : places[Number(by)]
  const isBack = known === 'answered' || known === 'refused'
  const addr = source === undefined || source === '-' ? undefined : parseAddr(source)
  return {
    seen: known,
    by: isBack ? reached : undefined,
    source: isBack && addr !== undefined && 'value' in addr ? addr.value : undefined,
    reached
  }
}

/** The process in the namespaces that `unshare` waits for. */
const innerOf = (pid: number | undefined): number | undefined => {
  const found = pid === undefined ? '' : contentOf(`/proc/${pid}/task/${pid}/children`)
  return /^\d+/.test(found) ? Number.parseInt(found, 10) : undefined
}

const contentOf = (path: string): string => {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return ''
  }
}

/** Why the namespaces were not made, and what to do. */
const diagnosis = (stderr: string): Unable => {
  const words = lastLine(stderr) === '' ? 'it ended too early' : lastLine(stderr)
  const sysctl = (name: string): string => contentOf(`/proc/sys/${name.replaceAll('.', '/')}`)
  const help: string[] = []
  const sudo = 'run it as root: sudo netplan rehearse …'
  if (/No space left/.test(stderr) || sysctl('user.max_user_namespaces') === '0')
    help.push(
      `user namespaces are switched off or used up: sysctl user.max_user_namespaces is ${sysctl('user.max_user_namespaces') || 'not there'}; set it to 10000`
    )
  if (sysctl('kernel.unprivileged_userns_clone') === '0')
    help.push('sysctl kernel.unprivileged_userns_clone is 0; set it to 1', sudo)
  if (sysctl('kernel.apparmor_restrict_unprivileged_userns') === '1')
    help.push(
      'sysctl kernel.apparmor_restrict_unprivileged_userns is 1; set it to 0, or give unshare an AppArmor profile that may make user namespaces',
      sudo
    )
  if (/unrecognized option|invalid option/.test(stderr)) help.push('install util-linux 2.36 or newer')
  if (help.length === 0 && /not permitted|denied/i.test(stderr))
    help.push(
      process.getuid?.() === 0
        ? 'in docker, start the container with --privileged'
        : 'in a container, start it with --privileged; elsewhere run it as root: sudo netplan rehearse …'
    )
  return { unable: words, help: [...help, PREDICT] }
}
