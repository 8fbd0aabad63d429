import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Duplex, Readable, Writable } from 'node:stream'
import { formatAddr, parseAddr } from '../net/addr.ts'
import { type Flow, type Place, type Seen, placeKey } from '../reach/flow.ts'
import type { Observed } from './compare.ts'
import type { Service } from './flows.ts'
import { NODE } from './prober-node.ts'
import { PERL } from './prober.ts'
import type { Script } from './script.ts'
import { failedCommand, type Programs, shellText } from './shell.ts'

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
export interface Measured extends Observed {
  readonly reached: Place | undefined
}

/** What did not work while the network was brought up. */
export interface Trouble {
  /** failed: a service of a place. gone: a container that does not start. missing: an address that networkd did not set. */
  readonly kind: 'failed' | 'gone' | 'missing'
  readonly space: string
  readonly what: string
  /** What the program said, then the command that failed, where that is known. */
  readonly said: readonly string[]
}

export interface Rehearsal {
  readonly troubles: () => readonly Trouble[]
  /** Asks, and waits for each answer so many milliseconds. */
  readonly measure: (flows: readonly Flow[], wait: number) => Promise<readonly Measured[]>
  /** A shell at the terminal, on the host of the network; until it is left. */
  readonly shell: () => Promise<void>
  /** Ends it; gives the lines of networkd. */
  readonly close: () => Promise<readonly string[]>
  /** How long each part took, in milliseconds. */
  readonly times: ReadonlyMap<string, number>
}

export interface RunOptions {
  readonly services: readonly Service[]
  readonly signal: AbortSignal
  readonly progress: (what: string) => void
  /** Whether standard input is a terminal that a shell is wanted at. */
  readonly keep?: boolean
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

/** The package of a program on Debian and its kin, and in nixpkgs. */
const PACKAGES: Readonly<Record<string, readonly [debian: string, nixpkgs: string]>> = {
  unshare: ['util-linux', 'util-linux'],
  nsenter: ['util-linux', 'util-linux'],
  mount: ['mount', 'util-linux'],
  ip: ['iproute2', 'iproute2'],
  nft: ['nftables', 'nftables'],
  'iptables-restore': ['iptables', 'iptables'],
  'ip6tables-restore': ['iptables', 'iptables'],
  'systemd-networkd': ['systemd', 'systemd']
}

/** How to get programs that are missing. */
const installing = (missing: readonly string[]): string => {
  const isNixos = existsSync('/etc/NIXOS')
  const packages = new Set(missing.map(program => PACKAGES[program]?.[isNixos ? 1 : 0] ?? program))
  return isNixos
    ? `put it before the command: nix-shell -p ${[...packages].join(' ')} --run "netplan rehearse …"`
    : `install ${[...packages].join(', ')}`
}

/** The numbers of setns and clock_gettime, by Node's name for the processor: perl has no names for them. */
const SYSCALLS: Readonly<Record<string, readonly [setns: number, gettime: number]>> = {
  x64: [308, 228],
  arm64: [268, 113],
  riscv64: [268, 113],
  loong64: [268, 113],
  ppc64: [350, 246],
  s390x: [339, 260],
  arm: [375, 263],
  ia32: [346, 265]
}

/** The programs that can ask, best first. */
export const PROBERS = ['perl', 'node'] as const

export type Prober = (typeof PROBERS)[number]

const proberOf = (prober: Prober, folders: readonly string[]): Programs['prober'] => {
  if (prober === 'node') return { command: [process.execPath], arguments: [], text: NODE, pings: false }
  // Those of the system start at once; one that comes first in PATH may be a shell script that looks for versions.
  const perl = find('perl', ['/usr/bin', '/bin', ...folders])
  const numbers = SYSCALLS[process.arch]
  return perl === undefined || numbers === undefined
    ? undefined
    : { command: [perl], arguments: numbers.map(String), text: PERL, pings: true }
}

/** What this machine has of what a script needs. */
export const programsFor = (
  { programs, units }: Script,
  probers: readonly Prober[] = PROBERS
): Programs | Unable => {
  if (process.platform !== 'linux')
    return {
      unable: `it takes network namespaces, which only Linux has; this is ${process.platform}`,
      help: [PREDICT]
    }
  const folders = FOLDERS()
  const networkd = find('systemd-networkd', NETWORKD)
  const [prober] = probers.flatMap(name => proberOf(name, folders) ?? [])
  const missing = [
    ...programs.filter(program => find(program, folders) === undefined),
    ...(units !== undefined && networkd === undefined ? ['systemd-networkd'] : [])
  ]
  if (missing.length > 0)
    return {
      unable: `${missing.join(', ')} ${missing.length > 1 ? 'are' : 'is'} not installed`,
      help: [installing(missing), PREDICT]
    }
  return { networkd, prober }
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
 * the life line is cut, and opens a shell when it is told to. A new /run is prepared elsewhere and then put in its place,
 * with what NixOS keeps its programs by. Standard input has the script, 3 is the life line, 4 is the prober's input, 5 is the
 * terminal. A command in the background ignores Ctrl-C, and what it starts; `env` mends that for the shell.
 */
const FIRST = `exec 6<&0 </dev/null
shell() {
  if command -v bash >/dev/null; then set -- bash --norc -i; else set -- sh -i; fi
  PS1='rehearsal # ' HISTFILE= env --default-signal=INT --default-signal=QUIT "$@" <&5 >&5 2>&5 3<&-
  echo left
}
(
  exec 3<&- 5<&-
  mount -n -t tmpfs -o mode=755 tmpfs /tmp && mkdir /tmp/netplan &&
    { [ ! -L /run/current-system ] || ln -s "$(readlink /run/current-system)" /tmp/current-system; } &&
    mount -n --move /tmp /run && cat <&6 >/run/netplan/up || exit
  exec 6<&-
  . /run/netplan/up
) &
work=$!
( exec 4<&- 6<&- 2>&-; while read -r line <&3; do shell & done; kill -9 $work ) &
exec 5<&-
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
  { services, signal, progress, keep = false, limit = 30_000 }: RunOptions,
  way: readonly string[]
): Promise<Rehearsal | Unable> =>
  new Promise(resolve => {
    const folders = FOLDERS()
    const begun = performance.now()
    const child: ChildProcess = spawn(find('unshare', folders) ?? 'unshare', [...way, 'sh', '-c', FIRST], {
      cwd: '/',
      env: {
        PATH: folders.join(delimiter),
        LC_ALL: 'C',
        TMPDIR: '/run',
        ...(keep ? { TERM: process.env['TERM'] ?? 'dumb' } : {})
      },
      // Ctrl-C at a terminal goes to this process alone; but a shell has to be in the session of its terminal.
      detached: !keep,
      stdio: ['pipe', 'pipe', 'pipe', 'pipe', 'pipe', keep ? 0 : 'ignore']
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
    const troubles: (Trouble & { readonly said: string[] })[] = []
    const log: string[] = []
    let stderr = ''
    let isReady = false
    let isOver = false
    let last = begun
    let phase = 'start'
    let leave: () => void = () => {}
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
          done(
            flows.map(({ protocol }, i) => {
              const answer = answers.get(i) ?? NOTHING
              const isVague =
                programs.prober?.pings === false &&
                (answer.seen === 'refused' || (answer.seen === 'timeout' && protocol === 'udp'))
              return isVague ? { ...answer, vague: true } : answer
            })
          )
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
    const shell = (): Promise<void> =>
      new Promise(done => {
        leave = done
        void ended.then(done)
        life.write('shell\n')
      })
    const read = (line: string): void => {
      const [word = '', first = '', ...rest] = line.split(' ')
      const more = rest.join(' ')
      if (word === 'answer') waiting?.answers.set(Number(first), answerOf(rest, places))
      else if (word === 'done') waiting?.done()
      else if (word === 'phase') {
        lap(first)
        progress(first)
      } else if (word === 'said') {
        const last = troubles.findLast(({ space }) => space === first)
        last?.said.push(failedCommand(script, first, last.what, more) ?? more)
      } else if (word === 'failed' || word === 'gone' || word === 'missing') {
        troubles.push({ kind: word, space: first, what: more, said: [] })
      } else if (word === 'left') leave()
      else if (word === 'log') log.push(line.slice(4))
      else if (word === 'ready' && !isReady) {
        isReady = true
        lap('ready')
        clearTimeout(tooLong)
        questions.write(setupText(script, services, place => indexOf.get(placeKey(place)) ?? 0))
        resolve({ troubles: () => troubles, measure, shell, close, times })
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

const contentOf = (path: string): string => {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return ''
  }
}

/** Why the namespaces were not made, and what to do. */
const diagnosis = (stderr: string): Unable => {
  const own = stderr.split('\n').find(line => /^(?:unshare|mount|sh): /.test(line)) ?? lastLine(stderr)
  const words = own === '' ? 'it ended too early' : own
  const sysctl = (name: string): string => contentOf(`/proc/sys/${name.replaceAll('.', '/')}`)
  const isRoot = process.getuid?.() === 0
  const sudo = isRoot ? [] : ['or run it as root: sudo netplan rehearse …']
  const help: string[] = []
  for (const name of ['user', 'net', 'mnt', 'pid', 'ipc', 'uts'])
    if (sysctl(`user.max_${name}_namespaces`) === '0')
      help.push(
        `sysctl user.max_${name}_namespaces is 0: sudo sysctl user.max_${name}_namespaces=10000${name === 'user' ? ', on NixOS security.allowUserNamespaces = true' : ''}`
      )
  if (help.length === 0 && /No space left/.test(stderr))
    help.push(
      `more namespaces than sysctl user.max_user_namespaces allows (${sysctl('user.max_user_namespaces') || 'it is not there'}), or they are nested too deeply`
    )
  if (sysctl('kernel.unprivileged_userns_clone') === '0')
    help.push(
      'sysctl kernel.unprivileged_userns_clone is 0: sudo sysctl kernel.unprivileged_userns_clone=1, on NixOS security.unprivilegedUsernsClone = true',
      ...sudo
    )
  if (sysctl('kernel.apparmor_restrict_unprivileged_userns') === '1')
    help.push(
      'sysctl kernel.apparmor_restrict_unprivileged_userns is 1: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0, or give unshare an AppArmor profile with "userns,"',
      ...sudo
    )
  if (/unrecognized option|invalid option|unknown option|Usage:/i.test(stderr))
    help.push(
      'this unshare is too old or that of busybox: install a newer util-linux (2.38 has all that it takes)'
    )
  if (/Resource temporarily unavailable|fork failed/.test(stderr))
    help.push('too many processes: ulimit -u shows how many you may have')
  if (help.length === 0 && /not permitted|denied|not implemented/i.test(stderr))
    help.push(
      isRoot
        ? 'in docker or podman, start the container with --privileged'
        : 'in docker or podman, start the container with --privileged; elsewhere run it as root: sudo netplan rehearse …'
    )
  return { unable: words, help: [...help, PREDICT] }
}
