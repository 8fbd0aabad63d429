import { randomBytes } from 'node:crypto'
import { existsSync, linkSync, lstatSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import patterns from 'embed:patterns'
import { ifnameFault } from '../net/ifname.ts'
import { quote } from '../text/path.ts'
import { nearest } from '../text/words.ts'
import { reason } from './disk.ts'
import { DEFAULT_FILE } from './read.ts'
import { whole } from './signals.ts'
import { type Exit, say, word } from './terminal.ts'

/** What a pattern is, for whoever has to choose. */
const WHAT: Readonly<Record<string, string>> = {
  'two-containers': 'containers on a bridge of their own, behind NAT',
  'veth-pair-nat': 'one container on a pair of interfaces, behind NAT, with IPv6',
  'lan-bridge': "containers as machines of the LAN, on a bridge with the host's card",
  'shared-network': "containers without a network of their own, in the host's"
}

export const PATTERNS: readonly string[] = Object.keys(WHAT)

const DEFAULT_PATTERN = 'two-containers'

/** What the patterns have where the machine's own belongs. */
const CARD = 'enp1s0'
const RELEASE = '25.11'
const GLOBAL_ID = 'fd3c:51a6:e0b2'

export interface InitOptions {
  /** Where to write; `-` is standard output. */
  readonly out: string | undefined
  /** The card that leads to the internet. */
  readonly uplink: string | undefined
}

/** Writes a commented topology to start from, and never over anything. */
export const init = async (
  pattern: string | undefined,
  { out = DEFAULT_FILE, uplink }: InitOptions
): Promise<Exit> => {
  if (pattern !== undefined && !PATTERNS.includes(pattern)) {
    const meant = nearest(pattern, PATTERNS)
    say(
      `there is no pattern ${quote(pattern)}${meant === undefined ? `; there are ${PATTERNS.join(', ')}` : `; did you mean ${meant}?`}`
    )
    return 2
  }
  const fault = uplink === undefined ? undefined : (ifnameFault(uplink) ?? unusual(uplink))
  if (uplink !== undefined && fault !== undefined) {
    say(`${quote(uplink)} is no name of an interface: ${fault}`)
    return 2
  }
  // Asked before a person is, who would have answered for nothing.
  if (out !== '-' && existsSync(out)) return inTheWay(out)
  const chosen = pattern ?? (await choice())
  if (chosen === undefined) {
    say('nothing was written')
    return 2
  }
  const text = filled(patterns[chosen] ?? '', uplink ?? defaultRoute())
  if (out === '-') {
    process.stdout.write(text)
    return 0
  }
  const error = whole(() => create(out, text))
  if (error === 'EEXIST') return inTheWay(out)
  if (error !== undefined) {
    say(`cannot write ${out}: ${error}`)
    return 2
  }
  const file = out === DEFAULT_FILE ? '' : ` ${word(out)}`
  process.stdout.write(
    `wrote ${out}: ${WHAT[chosen]}\n\nNext:\n${[
      [`netplan check${file}`, 'what is wrong with it'],
      [`netplan plan${file}`, 'the network that it makes'],
      [`netplan generate${file} --target nixos --out network`, 'the module for your imports'],
      ['netplan schema > topology.schema.json', 'for an editor that completes the keys']
    ]
      .map(([command = '', what]) => `  ${command.padEnd(46)}  ${what}\n`)
      .join('')}`
  )
  return 0
}

const inTheWay = (out: string): Exit => {
  say(`${out} is there already; name another with --out, or "--out -" to see the text`)
  return 2
}

/** What the kernel takes for a name, and yaml for something else than a word. */
const unusual = (name: string): string | undefined =>
  /^[A-Za-z][\w.-]*$/.test(name) ? undefined : 'it has characters that no card has in its name'

/** The pattern, with the card, the release and the random part of private IPv6 addresses that belong here (RFC 4193). */
const filled = (text: string, card: string | undefined): string =>
  text
    .replaceAll(CARD, card ?? CARD)
    .replace(RELEASE, release() ?? RELEASE)
    .replaceAll(GLOBAL_ID, globalId())

const globalId = (): string => {
  const hex = `fd${randomBytes(5).toString('hex')}`
  return [0, 4, 8].map(i => Number.parseInt(hex.slice(i, i + 4), 16).toString(16)).join(':')
}

const read = (file: string): string => {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/** The interface of this machine's default route (proc_net_route(5)). */
const defaultRoute = (): string | undefined => {
  const rows = read('/proc/net/route')
    .split('\n')
    .map(line => line.trim().split(/\s+/))
  const name = rows.find(row => row[1] === '00000000' && row[7] === '00000000')?.[0]
  return name === undefined || ifnameFault(name) !== undefined || unusual(name) !== undefined
    ? undefined
    : name
}

/** The release of NixOS that runs here, where one does that is known (os-release(5)). */
const release = (): string | undefined => {
  const text = read('/etc/os-release')
  const [, version] = /^VERSION_ID="?([\d.]+)"?$/m.exec(text) ?? []
  return /^ID="?nixos"?$/m.test(text) && /^\d\d\.(05|11)$/.test(version ?? '') ? version : undefined
}

/** Asks which pattern, on a terminal; elsewhere nobody would answer. Undefined for Ctrl-C and Ctrl-D. */
const choice = async (): Promise<string | undefined> => {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return DEFAULT_PATTERN
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  lines.on('SIGINT', () => lines.close())
  const names = PATTERNS.map((name, i) => `  ${i + 1}  ${name.padEnd(16)} ${WHAT[name]}\n`)
  process.stderr.write(`What is the network like?\n${names.join('')}`)
  lines.setPrompt(`1 to ${PATTERNS.length} [1] `)
  lines.prompt()
  for await (const line of lines) {
    const answer = line.trim()
    const name = answer === '' ? DEFAULT_PATTERN : (PATTERNS[Number(answer) - 1] ?? answer)
    if (PATTERNS.includes(name)) return name
    lines.prompt()
  }
  process.stderr.write('\n')
  return undefined
}

/** A whole file, or none: written beside it and then given its name, which fails where there is one. The error in words. */
const create = (file: string, text: string): string | undefined => {
  const beside = `${file}.${randomBytes(6).toString('hex')}.tmp`
  try {
    writeFileSync(beside, text, { flag: 'wx', flush: true })
    place(beside, file)
    return undefined
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    return code === 'EEXIST'
      ? code
      : code === 'ENOENT'
        ? 'there is no such folder'
        : (reason(error) ?? String(error))
  } finally {
    try {
      unlinkSync(beside)
    } catch {
      // It has not been made.
    }
  }
}

/** Not every file system has links. */
const place = (beside: string, file: string): void => {
  try {
    linkSync(beside, file)
  } catch {
    if (lstatSync(file, { throwIfNoEntry: false }) !== undefined)
      throw Object.assign(new Error('it is there'), { code: 'EEXIST' })
    renameSync(beside, file)
  }
}
