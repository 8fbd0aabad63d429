import { execFile, spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

// nix-instantiate as a judge: the real parser, and the real evaluator on declarations of NixOS options (nixos/). It needs
// neither a daemon nor a store, so it is given a store that is not there; any user may ask it.

const PROGRAM = [
  ...(process.env['PATH'] ?? '').split(delimiter).filter(folder => folder !== ''),
  '/run/current-system/sw/bin',
  '/nix/var/nix/profiles/default/bin'
]
  .map(folder => join(folder, 'nix-instantiate'))
  .find(file => {
    try {
      accessSync(file, constants.X_OK)
      return true
    } catch {
      return false
    }
  })

const ENVIRONMENT = { ...process.env, LC_ALL: 'C', NIX_REMOTE: 'dummy://' }

const LIMIT = 40_000

const told = new Set<string>()

const tell = (reason: string): void => {
  if (!told.has(reason)) process.stderr.write(`judges: tests are skipped, ${reason}\n`)
  told.add(reason)
}

/** Whether nix-instantiate cannot be asked here; the reason is printed once. Never true in CI. */
export const withoutNix = (): boolean => {
  if (PROGRAM !== undefined || (process.env['CI'] ?? '') !== '') return false
  tell('nix-instantiate is not installed')
  return true
}

let nixpkgs: { readonly lib: string | undefined } | undefined

/** The folder of nixpkgs' lib: of the nixpkgs that NIXPKGS names, or that nix finds itself. */
const nixpkgsLib = (): string | undefined => {
  if (nixpkgs !== undefined) return nixpkgs.lib
  const named = process.env['NIXPKGS'] ?? ''
  if (named !== '') {
    const lib = join(named, 'lib')
    if (!existsSync(join(lib, 'default.nix'))) throw new Error(`NIXPKGS has no lib: ${named}`)
    return (nixpkgs = { lib }).lib
  }
  if (PROGRAM === undefined) return undefined
  const { status, stdout } = spawnSync(PROGRAM, ['--eval', '-E', '<nixpkgs/lib>'], {
    env: ENVIRONMENT,
    encoding: 'utf8',
    timeout: 10_000
  })
  return (nixpkgs = { lib: status === 0 ? stdout.trim() : undefined }).lib
}

/** Whether there is no nixpkgs here, without which modules are merged by nixos/merge.nix alone; printed once. */
export const withoutNixpkgs = (): boolean => {
  if (withoutNix()) return true
  if (nixpkgsLib() !== undefined) return false
  tell('there is no nixpkgs (NIXPKGS, or <nixpkgs>)')
  return true
}

interface Said {
  readonly ok: boolean
  readonly output: string
  /** What went wrong, in nix's words. */
  readonly error: string
}

const ask = async (args: readonly string[]): Promise<Said> => {
  if (PROGRAM === undefined) throw new Error('a judge is missing: nix-instantiate is not installed')
  return new Promise((resolve, reject) => {
    execFile(
      PROGRAM,
      args,
      { env: ENVIRONMENT, encoding: 'utf8', timeout: LIMIT, killSignal: 'SIGKILL', maxBuffer: 1 << 28 },
      (error, output, complaints) => {
        if (error === null) resolve({ ok: true, output, error: '' })
        else if (typeof error.code === 'number') resolve({ ok: false, output, error: complaints })
        else if (error.signal === 'SIGSEGV') resolve({ ok: false, output, error: 'error: stack overflow' })
        else reject(new Error(`nix-instantiate did not end: ${error.message}\n${complaints}`))
      }
    )
  })
}

/** The last error of what nix printed, without excerpts of sources and advice. */
const messageOf = (complaints: string): string =>
  (complaints.split(/^ *error: /m).at(-1) ?? '')
    .split('\n')
    .filter(line => line.trim() !== '' && !/^ *(?:\d+\||\|)|^\(use '--show-trace'/.test(line))
    .map(line => line.trim())
    .join('\n')

const inFolder = async <T>(use: (folder: string) => Promise<T>): Promise<T> => {
  const folder = await mkdtemp(join(await realpath(tmpdir()), 'nix-judge-'))
  try {
    return await use(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** What `nix-instantiate --parse` has against each of the texts by name; nothing where it takes them all. */
export const parseNix = async (
  files: Readonly<Record<string, string>>
): Promise<Readonly<Record<string, string>>> =>
  inFolder(async folder => {
    const names = Object.keys(files)
    const path = (i: number): string => join(folder, `${i}.nix`)
    await Promise.all(names.map((name, i) => writeFile(path(i), files[name] ?? '')))
    const faults: [string, string][] = []
    // One process for all of them; it stops at the first fault, and goes on behind it.
    for (let from = 0; from < names.length; ) {
      const said = await ask(['--parse', ...names.slice(from).map((_, i) => path(from + i))])
      if (said.ok) break
      const at = names.findIndex((_, i) => i >= from && said.error.includes(`${path(i)}:`))
      const name = names[at]
      if (name === undefined) throw new Error(`nix-instantiate names no file:\n${said.error}`)
      faults.push([name, messageOf(said.error).replaceAll(path(at), () => name)])
      from = at + 1
    }
    return Object.fromEntries(faults)
  })

export interface Module {
  readonly text: string
  /**
   * What it may set: `network` for a generated one, options of the network alone; `any` for a user's, which may set
   * services.httpd, system.stateVersion and the like besides. Options of the network are checked in both.
   */
  readonly roots: 'network' | 'any'
}

/** One module or several that are merged; a text alone is a generated one. */
export type Modules = string | readonly (string | Module)[]

export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [name: string]: Json | undefined }

/** The configuration as far as somebody has set it, or what NixOS would say against it. */
export type Evaluation =
  | { readonly config: { readonly [name: string]: Json | undefined } }
  | { readonly faults: readonly string[] }

export interface Through {
  /** The NixOS release whose options there are. Default, and for `unstable`: the newest that is known. */
  readonly release?: string
  /** What merges: nixpkgs' lib.evalModules, or nixos/merge.nix. Default: nixpkgs where it is there. */
  readonly merge?: 'nixpkgs' | 'plain'
}

const NEWEST = '26.05'

const JUDGE = fileURLToPath(new URL('nixos/judge.nix', import.meta.url))

/** The modules merged as NixOS merges them. */
export const evalModule = async (modules: Modules, through: Through = {}): Promise<Evaluation> => {
  const [only] = await evalModules([modules], through)
  if (only === undefined) throw new Error('no evaluation of a module')
  return only
}

/** Many questions in one process; one that fails takes no other with it. */
export const evalModules = async (
  questions: readonly Modules[],
  { release = NEWEST, merge }: Through = {}
): Promise<readonly Evaluation[]> => {
  const lib = merge === 'plain' ? undefined : nixpkgsLib()
  if (merge === 'nixpkgs' && lib === undefined) throw new Error('a judge is missing: there is no nixpkgs')
  return inFolder(async folder => {
    const asked = questions.map((modules, i) =>
      (typeof modules === 'string' ? [modules] : modules).map((module, j) => ({
        text: typeof module === 'string' ? module : module.text,
        path: join(folder, `${i}-${j}.nix`),
        file: `${typeof module === 'string' || module.roots === 'network' ? 'generated' : 'user'} module ${j + 1}`
      }))
    )
    await Promise.all(asked.flat().map(({ path, text }) => writeFile(path, text)))
    let runs = 0
    const run = async (some: typeof asked, alone: boolean): Promise<Said> => {
      const list = join(folder, `${(runs += 1)}.json`)
      await writeFile(
        list,
        JSON.stringify(some.map(files => files.map(({ file, path }) => ({ file, path }))))
      )
      const args = ['--eval', '--strict', '--json', JUDGE, '--argstr', 'questions', list]
      args.push(
        '--argstr',
        'release',
        /^\d/.test(release) ? release : NEWEST,
        '--arg',
        'alone',
        String(alone)
      )
      return ask(lib === undefined ? args : [...args, '--argstr', 'nixpkgs', lib])
    }
    const evaluate = async (some: typeof asked): Promise<readonly Evaluation[]> => {
      const said = await run(some, false)
      if (said.ok) {
        const evaluations: Evaluation[] = []
        for (const [i, answer] of (JSON.parse(said.output) as (Evaluation | { thrown: true })[]).entries())
          evaluations.push('thrown' in answer ? await judgeAlone(some[i] ?? []) : answer)
        return evaluations
      }
      // There are faults that nix cannot catch: whose it is is found by halves.
      const [only] = some
      if (only === undefined) throw new Error(messageOf(said.error))
      if (some.length === 1) return [await judgeAlone(only)]
      const middle = Math.ceil(some.length / 2)
      return [...(await evaluate(some.slice(0, middle))), ...(await evaluate(some.slice(middle)))]
    }
    const judgeAlone = async (files: (typeof asked)[number]): Promise<Evaluation> => {
      const said = await run([files], true)
      if (said.ok) throw new Error('a fault that is gone when it is looked at alone')
      const message = files.reduce(
        (text, { path, file }) => text.replaceAll(path, file),
        messageOf(said.error)
      )
      return { faults: [message] }
    }
    return evaluate(asked)
  })
}

/** What an expression of builtins comes to. */
export const evalNix = async (expression: string): Promise<Json> => {
  const { ok, output, error } = await ask(['--eval', '--strict', '--json', '-E', expression])
  if (!ok) throw new Error(messageOf(error))
  return JSON.parse(output) as Json
}
