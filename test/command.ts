import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

// The built command, run as users run it.

export const root: string = fileURLToPath(new URL('../', import.meta.url))
export const command: string = join(root, 'dist/netplan.cjs')

export interface Outcome {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface Options {
  readonly cwd: string
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
  /** Kill it with SIGKILL after this many milliseconds. */
  readonly limit?: number
}

/** Runs a program to its end. Nothing in the environment says what a terminal or a build machine would. */
export const start = (program: string, args: readonly string[], options: Options): Promise<Outcome> =>
  new Promise((resolve, reject) => {
    const { CI: _, NO_COLOR: _no, FORCE_COLOR: _force, ...environment } = process.env
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: { ...environment, LC_ALL: 'C.UTF-8', ...options.env },
      timeout: options.limit ?? 20_000,
      killSignal: 'SIGKILL'
    })
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
    child.on('error', reject)
    child.stdin.on('error', () => {})
    child.stdin.end(options.input ?? '')
    child.on('close', (status, signal) => {
      const [stdout, stderr] = [Buffer.concat(out).toString(), Buffer.concat(err).toString()]
      resolve({ status, signal, stdout, stderr })
    })
  })

const newest = (path: string): number => {
  const stat = statSync(path)
  return stat.isDirectory()
    ? Math.max(...readdirSync(path).map(name => newest(join(path, name))))
    : stat.mtimeMs
}

/** Builds dist/ where a source is newer. */
export const built = (): void => {
  const sources = ['src', 'schemas', 'docs/rules', 'scripts', 'package.json'].map(path =>
    newest(join(root, path))
  )
  if (existsSync(command) && Math.max(...sources) <= statSync(command).mtimeMs) return
  const { status, stderr } = spawnSync(process.execPath, ['scripts/build.mjs'], {
    cwd: root,
    encoding: 'utf8',
    timeout: 100_000
  })
  if (status !== 0) throw new Error(`the build fails: ${stderr}`)
}
