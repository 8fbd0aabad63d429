import { isUtf8 } from 'node:buffer'
import { spawnSync } from 'node:child_process'
import { realpathSync, statSync } from 'node:fs'
import { basename, delimiter, dirname, isAbsolute } from 'node:path'
import { quote } from '../text/path.ts'
import type { Source } from '../text/source.ts'
import { readSource } from './read.ts'
import { word } from './terminal.ts'

/** What a topology is compared with, and what it is in words. */
export interface Old {
  readonly source: Source
  /** A file counts before a revision of the same name. */
  readonly taken: 'file' | 'revision'
  /** For people: `home.yaml of the revision v1.2 (1a2b3c4d5e)`. */
  readonly said: string
}

type Fault = { readonly error: string }

/**
 * The older version of a topology file: `spec` is a file, `-` for standard input, a git revision of the same file (`HEAD`,
 * `main`, `v1.2~3`), or of another one as git has it (`v1.2:hosts/old.yaml`, and `v1.2:./old.yaml` from the file's folder).
 */
export const readOld = (spec: string, file: string): Old | Fault => {
  if (spec === '') return { error: 'nothing to compare with: --diff needs a file or a git revision' }
  if (spec === '-' && file === '-') return { error: 'both versions cannot come from standard input' }
  if (spec === '-' || isFile(spec)) return fromFile(spec, file)
  if (spec.includes('\0')) return { error: `there is no file ${quote(spec)}, and no revision of that name` }
  // git would take it for an option.
  if (spec.startsWith('-'))
    return { error: `there is no file ${quote(spec)}, and no revision begins with "-"` }
  const found = fromGit(spec, file)
  return 'error' in found && isFolder(spec)
    ? { error: `${quote(spec)} is a directory, and ${found.error}` }
    : found
}

/** A folder is no topology, but its name may be that of a branch. */
const isFile = (path: string): boolean => !isFolder(path) && statOf(path) !== undefined

const isFolder = (path: string): boolean => statOf(path)?.isDirectory() === true

const statOf = (path: string): ReturnType<typeof statSync> | undefined => {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}

const fromFile = (spec: string, file: string): Old | Fault => {
  const source = readSource(spec)
  if ('error' in source) return { error: `cannot read ${quote(spec)}: ${source.error}` }
  if (spec === '-') return { source, taken: 'file', said: 'standard input' }
  const folder = placeOf(file)?.folder
  const isBoth = folder !== undefined && !spec.startsWith('-') && 'sha' in revision(spec, folder)
  return {
    source,
    taken: 'file',
    said: isBoth
      ? `the file ${quote(spec)}, not the revision of that name (that would be ${quote(`${spec}^0`)})`
      : `the file ${quote(spec)}`
  }
}

const fromGit = (spec: string, file: string): Old | Fault => {
  const place = placeOf(file)
  const { rev, path } = parts(spec)
  if (place === undefined)
    return {
      error:
        file === '-'
          ? `there is no file ${quote(spec)}, and what comes from standard input has no revisions`
          : `there is no file ${quote(spec)}, and ${quote(file)} has no folder to look for revisions in`
    }
  if (rev === '') return { error: `there is no file ${quote(spec)}, and before the colon stands no revision` }
  const found = revision(rev, place.folder)
  if ('error' in found) return { error: `there is no file ${quote(spec)}, and ${found.error}` }
  const wanted = path ?? `./${place.name}`
  const name = path ?? place.name
  const blob = git(place.folder, ['cat-file', 'blob', `${found.sha}:${wanted}`])
  const said = `${quote(rev)} (${found.sha.slice(0, 10)})`
  if (blob.fault !== undefined) return { error: blob.fault }
  if (blob.status !== 0) return { error: missing(place.folder, found.sha, wanted, name, said, blob.error) }
  const text = decode(blob.bytes)
  return text === undefined
    ? { error: `${quote(name)} of the revision ${said} is not a text file in UTF-8` }
    : {
        source: { file: path === undefined ? `${rev}:${name}` : spec, text },
        taken: 'revision',
        said: `${quote(name)} of the revision ${said}`
      }
}

/** A revision may hold colons only between braces: `main@{2024-01-01 12:00}`. */
const parts = (spec: string): { readonly rev: string; readonly path: string | undefined } => {
  const [, rev = '', path] = /^((?:@\{[^}]*\}|\^\{[^}]*\}|[^:])*)(?::([\s\S]*))?$/.exec(spec) ?? [spec, spec]
  return { rev, path }
}

/** The folder and the name of a file, links followed: git knows it where it lies. */
const placeOf = (file: string): { readonly folder: string; readonly name: string } | undefined => {
  if (file === '-') return undefined
  try {
    const path = realpathSync(file)
    return { folder: dirname(path), name: basename(path) }
  } catch {
    return undefined
  }
}

const revision = (rev: string, folder: string): { readonly sha: string } | Fault => {
  const { status, bytes, error, fault } = git(folder, [
    'rev-parse',
    '--verify',
    '--end-of-options',
    `${rev}^{commit}`
  ])
  if (fault !== undefined) return { error: fault }
  const sha = bytes.toString('latin1').trim().split('\n').at(-1) ?? ''
  if (status === 0 && /^[0-9a-f]{40,64}$/.test(sha)) return { sha }
  return {
    error: /not a git repository|cannot use bare repository/i.test(error)
      ? `${quote(folder)} is in no git repository`
      : /dubious ownership/.test(error)
        ? `git does not trust the repository, which belongs to another user: see "safe.directory" in git-config(1)`
        : /ambiguous/.test(error)
          ? `${quote(rev)} is the beginning of several revisions`
          : git(folder, ['rev-parse', '--verify', '--quiet', 'HEAD']).status === 0
            ? `the git repository has no revision ${quote(rev)}`
            : 'the git repository has no revision yet'
  }
}

/** Why a revision does not give the file. */
const missing = (
  folder: string,
  sha: string,
  wanted: string,
  name: string,
  said: string,
  error: string
): string => {
  if (/promisor|lazy fetching/.test(error))
    return `${quote(name)} of the revision ${said} is not here: the repository is a partial clone, and netplan fetches nothing; this does: git cat-file -e ${word(`${sha.slice(0, 10)}:${wanted}`)}`
  const kind = git(folder, ['cat-file', '-t', `${sha}:${wanted}`])
  if (kind.status === 0 && kind.bytes.toString('latin1').trim() === 'tree')
    return `${quote(name)} is a directory in the revision ${said}`
  if (/outside repository|cannot use relative path|not in a work/i.test(error + kind.error))
    return `${quote(name)} leads out of the repository`
  const near = `./${wanted}`
  const isNear = !/^\.{1,2}\//.test(wanted) && git(folder, ['cat-file', '-e', `${sha}:${near}`]).status === 0
  return `${quote(name)} is not in the revision ${said}${
    isNear ? `; from the folder of the file it is ${quote(near)}` : ''
  }`
}

interface Ran {
  readonly status: number | null
  readonly bytes: Buffer
  readonly error: string
  /** Why git did not run to its end. */
  readonly fault: string | undefined
}

/** As for files. */
const MAX_BYTES = 64 * 1024 * 1024
const LIMIT = 60_000

/** What would make git look at another repository than that of the folder, as it is in git's own hooks. */
const ELSEWHERE: ReadonlySet<string> = new Set([
  'GIT_DIR',
  'GIT_WORK_TREE',
  'GIT_INDEX_FILE',
  'GIT_PREFIX',
  'GIT_COMMON_DIR',
  'GIT_NAMESPACE'
])

/**
 * The settings of a repository can name programs. Those for transports are run where a partial clone has not got an object yet,
 * so nothing is fetched (before git 2.44 only the list of protocols says so); and a folder that looks like a repository without
 * a work tree, which may have come with another one, is none.
 */
const SEALED = { GIT_NO_LAZY_FETCH: '1', GIT_ALLOW_PROTOCOL: 'none', GIT_TERMINAL_PROMPT: '0' }

/** git runs in the folder of the file, which is not to bring a git of its own. */
const absolute = (path: string): string =>
  path.split(delimiter).filter(isAbsolute).join(delimiter) || '/usr/bin:/bin'

const git = (folder: string, args: readonly string[]): Ran => {
  const { PATH, ...env } = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !ELSEWHERE.has(name))
  )
  const path = PATH === undefined ? {} : { PATH: absolute(PATH) }
  const options = ['--no-pager', '-c', 'safe.bareRepository=explicit', ...args]
  const { status, stdout, stderr, error } = spawnSync('git', options, {
    cwd: folder,
    env: { ...env, ...path, ...SEALED, LC_ALL: 'C', GIT_OPTIONAL_LOCKS: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: MAX_BYTES,
    timeout: LIMIT,
    killSignal: 'SIGKILL'
  })
  const code = error !== undefined && 'code' in error ? String(error.code) : ''
  const fault =
    error === undefined
      ? undefined
      : code === 'ENOENT'
        ? 'git, which would know revisions, is not installed'
        : code === 'ENOBUFS'
          ? `it is larger than ${MAX_BYTES / 1024 / 1024} MiB, which no topology is`
          : code === 'ETIMEDOUT'
            ? `git has not answered for ${LIMIT / 1000} seconds`
            : `git cannot be run: ${code === '' ? error.message.split('\n')[0] : code}`
  return { status, bytes: stdout ?? NOTHING, error: (stderr ?? NOTHING).toString('utf8'), fault }
}

const NOTHING = Buffer.alloc(0)

/** The text without a byte order mark, as of files. */
const decode = (bytes: Buffer): string | undefined =>
  !isUtf8(bytes) || bytes.includes(0) ? undefined : bytes.toString('utf8').replace(/^\ufeff/, '')
