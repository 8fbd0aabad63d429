import { execFile, spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

// The judges are the real tools: what a rule says of nft, iptables or ip is asserted by asking them, in namespaces that
// are made for one question and are gone after it. Nothing outside of them is touched, and root is not needed where the
// kernel lets people make user namespaces.

/** Of a user the folders of the system's own tools are often not in PATH. */
const FOLDERS = [
  ...(process.env['PATH'] ?? '').split(delimiter),
  '/usr/local/sbin',
  '/usr/sbin',
  '/sbin'
].filter(folder => folder !== '')

const ENVIRONMENT = { PATH: FOLDERS.join(delimiter), LC_ALL: 'C' }

const isExecutable = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const isThere = (tool: string): boolean => FOLDERS.some(folder => isExecutable(join(folder, tool)))

/** A process tree of its own that dies with unshare, with a network and mounts of its own. */
const FRESH = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc']

/** Root needs no user namespace, but one in a box of its own (docker) may have the right to one only. */
const WAYS = [...(process.getuid?.() === 0 ? [FRESH] : []), ['--user', '--map-root-user', ...FRESH]]

const LIMIT = 40_000

let found: { readonly way: readonly string[] } | { readonly missing: string } | undefined

/** The first way in which this machine makes namespaces, or why it makes none. */
const namespaces = (): NonNullable<typeof found> => {
  if (found !== undefined) return found
  if (!isThere('unshare')) return (found = { missing: 'unshare is not installed' })
  let reason = ''
  for (const way of WAYS) {
    const { status, stderr } = spawnSync('unshare', [...way, 'mount', '-t', 'tmpfs', 'tmpfs', '/run'], {
      env: ENVIRONMENT,
      encoding: 'utf8',
      timeout: LIMIT
    })
    if (status === 0) return (found = { way })
    reason = stderr.trim().split('\n').at(-1) ?? ''
    if (reason.includes('No space left')) reason += ': user.max_user_namespaces is used up or 0'
  }
  return (found = { missing: `namespaces cannot be made here (${reason})` })
}

const uninstalled = (tools: readonly string[]): string | undefined => {
  const absent = tools.filter(tool => !isThere(tool))
  return absent.length > 0 ? `${absent.join(', ')} not installed` : undefined
}

const missing = (tools: readonly string[]): string | undefined => {
  const made = namespaces()
  return uninstalled(tools) ?? ('missing' in made ? made.missing : undefined)
}

/**
 * Whether the tools cannot be asked on this machine, as `test.skipIf` wants it; the reason is printed once. Never true
 * in CI, where all of them must be: the tests fail there.
 */
export const absent = (tools: readonly string[]): boolean => without(() => missing(tools))

/** The same for tools that need no namespaces. */
export const absentPrograms = (tools: readonly string[]): boolean => without(() => uninstalled(tools))

const told = new Set<string>()

const without = (reasonOf: () => string | undefined): boolean => {
  if ((process.env['CI'] ?? '') !== '') return false
  const reason = reasonOf()
  if (reason === undefined) return false
  if (!told.has(reason)) process.stderr.write(`judges: tests are skipped, ${reason}\n`)
  told.add(reason)
  return true
}

export interface Answer {
  /** Whether the last command succeeded. */
  readonly ok: boolean
  /** What all commands printed, to either output, in its order. */
  readonly text: string
}

/** Runs a bash script as root of fresh namespaces, with an empty /run and `lo` up; at most 40 seconds. */
export const inNamespace = async (script: string): Promise<Answer> => {
  const made = namespaces()
  if ('missing' in made) throw new Error(`a judge is missing: ${made.missing}`)
  const whole = `exec 2>&1 </dev/null\nmount -t tmpfs tmpfs /run && mkdir /run/netns\nip link set lo up\n${script}`
  return new Promise((resolve, reject) => {
    execFile(
      'unshare',
      [...made.way, 'bash', '-c', whole],
      {
        env: ENVIRONMENT,
        cwd: '/',
        encoding: 'utf8',
        timeout: LIMIT,
        killSignal: 'SIGKILL',
        maxBuffer: 1 << 20
      },
      (error, text) => {
        if (error === null) resolve({ ok: true, text })
        else if (typeof error.code === 'number') resolve({ ok: false, text })
        else reject(new Error(`the script did not end: ${error.message}\n${text}`))
      }
    )
  })
}

/**
 * Asks many questions in one set of namespaces, since the kernel takes its time to remove each. `first` runs once,
 * `reset` before every question. Gives the answer to the question of that number; nothing runs before one is wanted.
 */
export const questions = (
  reset: string,
  scripts: readonly string[],
  first = ''
): ((i: number) => Promise<Answer>) => {
  let answers: Promise<readonly Answer[]> | undefined
  const ask = async (): Promise<readonly Answer[]> => {
    const { text } = await inNamespace(
      `${first}\n` +
        scripts.map(script => `(\n${reset}\n:\n) >/dev/null 2>&1\n(\n${script}\n)\necho "=== $?"\n`).join('')
    )
    const parts = Array.from(text.matchAll(/([\s\S]*?)=== (\d+)\n/g), ([, said = '', status]) => ({
      ok: status === '0',
      text: said
    }))
    if (parts.length !== scripts.length)
      throw new Error(`${parts.length} of ${scripts.length} answers:\n${text}`)
    return parts
  }
  return async i => {
    answers ??= ask()
    const answer = (await answers)[i]
    if (answer === undefined) throw new Error(`there is no question ${i}`)
    return answer
  }
}
