import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  type Stats,
  unlinkSync,
  writeSync
} from 'node:fs'
import { dirname } from 'node:path'
import { type Artifact, readMark } from '../emit/emitter.ts'
import { quote } from '../text/path.ts'
import { whole } from './signals.ts'

// The only writer. A file with a name is always whole: it is written under a name that nobody reads, brought to the disk
// and then renamed. What netplan did not make for this target and this topology is neither changed nor removed.

/** Whose files they are: both stand in the mark. */
export interface Owner {
  readonly target: string
  readonly topology: string
}

/** A name in the output folder, and how what is there stands to what is to be there. */
export type Item =
  | { readonly name: string; readonly state: 'same' }
  | { readonly name: string; readonly state: 'missing'; readonly wanted: Buffer }
  | {
      readonly name: string
      readonly state: 'differs'
      /** Undefined where it is too much to be compared. */
      readonly old: Buffer | undefined
      readonly wanted: Buffer
    }
  | { readonly name: string; readonly state: 'left over'; readonly old: Buffer | undefined }
  | Foreign

/** What stands where a file is to be, and is not ours. */
export interface Foreign {
  readonly name: string
  readonly state: 'foreign'
  readonly why: string
  /** What to do. */
  readonly help: string
}

/** The files of the artifacts, and those of ours that no artifact makes any more, by name. */
export const survey = (folder: string, artifacts: readonly Artifact[], owner: Owner): readonly Item[] => {
  const wanted = new Map(artifacts.map(({ path, text }) => [path, bytesOf(path, text, owner)]))
  if (wanted.size < artifacts.length) throw new Error(`two files of ${owner.target} have one name`)
  const items: Item[] = []
  for (const name of new Set([...namesIn(folder), ...wanted.keys()])) {
    if (TEMPORARY.test(name)) continue
    const bytes = wanted.get(name)
    const entry = look(pathIn(folder, name), owner)
    if (bytes === undefined) {
      if (entry.kind === 'ours') items.push({ name, state: 'left over', old: entry.bytes })
    } else if (entry.kind === 'foreign')
      items.push({ name, state: 'foreign', why: entry.why, help: entry.help })
    else if (entry.kind === 'nothing') items.push({ name, state: 'missing', wanted: bytes })
    else if (entry.bytes?.equals(bytes) === true) items.push({ name, state: 'same' })
    else items.push({ name, state: 'differs', old: entry.bytes, wanted: bytes })
  }
  return items.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/**
 * Makes the folder what the artifacts say, and tells each change as it is made; `unchanged` is how many files were right
 * before. Files of others in the way are given back instead, and then nothing was touched. It is done when nothing is
 * left to do, so that of several runs at once the one that ends last leaves a whole set: it has seen what the others did.
 */
export const write = (
  folder: string,
  artifacts: readonly Artifact[],
  owner: Owner,
  tell: (change: 'wrote' | 'removed', name: string) => void
): { readonly unchanged: number } | { readonly foreign: readonly Foreign[] } => {
  let unchanged: number | undefined
  for (let round = 0; round < ROUNDS; round += 1) {
    const items = survey(folder, artifacts, owner)
    const foreign = items.filter(item => item.state === 'foreign')
    if (foreign.length > 0) return { foreign }
    if (round === 0) sweep(folder, tell)
    const same = items.filter(({ state }) => state === 'same').length
    unchanged ??= same
    if (same === items.length) return { unchanged }
    if (round > 1) pause(Math.random() * 20 * round)
    // In a new folder it is seen only now whether all names can be.
    if (items.some(item => 'wanted' in item))
      if (attempt(`cannot make the folder ${folder}`, () => made(folder))) continue
    whole(() => renew(folder, items, owner, tell))
  }
  throw fault(`cannot write ${folder}`, 'somebody else changes its files at the same time; run it again')
}

/** The error's words where the file system refused something; undefined for a fault of this program. */
export const faultOf = (error: unknown): string | undefined =>
  error instanceof Error && error.cause === REFUSED ? error.message : undefined

/** A name in the folder, without changing how the folder was called: `a/../b` may be another one than `b`. */
export const pathIn = (folder: string, name: string): string =>
  folder.endsWith('/') ? folder + name : `${folder}/${name}`

const ROUNDS = 20

/**
 * Of a file that is being written. The dot keeps it from dnsmasq and shell patterns, the suffix from networkd, nix and nft.
 * A run that is killed leaves some; the next one removes them, and if they were of a run at the same time, that one makes
 * them again.
 */
const TEMPORARY = /^\.netplan-[0-9a-f]{16}\.tmp$/

const temporaryName = (): string => `.netplan-${randomBytes(8).toString('hex')}.tmp`

/** A first line is not longer than this. */
const HEAD = 1024 * 1024
/** A larger file is not compared. */
const MAX_BYTES = 512 * 1024 * 1024

/** A name that leads elsewhere, or a file that the next run would take for foreign, is a fault of the emitter. */
const bytesOf = (name: string, text: string, owner: Owner): Buffer => {
  if (/^\.{0,2}$|[/\0]/.test(name) || TEMPORARY.test(name))
    throw new Error(`${owner.target} calls a file ${quote(name)}`)
  const bytes = Buffer.from(text)
  if (strangeness(bytes.subarray(0, HEAD), owner) !== undefined || !text.endsWith('\n'))
    throw new Error(`the file ${name} of ${owner.target} has no mark, or no end of its last line`)
  return bytes
}

type Entry =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'ours'; readonly bytes: Buffer | undefined }
  | ({ readonly kind: 'foreign' } & Strangeness)

type Strangeness = Pick<Foreign, 'why' | 'help'>

const MOVE = 'move it away or name another folder'

/** Why a file with these first bytes is not ours. */
const strangeness = (head: Buffer, owner: Owner): Strangeness | undefined => {
  const end = head.indexOf('\n')
  const mark = readMark(head.toString('latin1', 0, end < 0 ? head.length : end))
  if (mark === undefined)
    return { why: 'netplan did not make it, its first line does not say so', help: MOVE }
  if (mark.topology !== owner.topology)
    return {
      why: `it was made from the topology ${quote(mark.topology)}, not ${quote(owner.topology)}`,
      help: 'give each topology a folder of its own, or remove the file if that topology is no more'
    }
  if (mark.target !== owner.target)
    return { why: `it was made for the target ${mark.target}`, help: 'give each target a folder of its own' }
  return undefined
}

/** What is at the end of a path, without following a link there or waiting for a pipe. */
const look = (path: string, owner: Owner): Entry => {
  const stat = attempt(`cannot read ${path}`, () => lstatSync(path, { throwIfNoEntry: false }))
  if (stat === undefined) return { kind: 'nothing' }
  if (!stat.isFile()) return { kind: 'foreign', why: `it is ${kindOf(stat)}`, help: MOVE }
  try {
    return read(path, owner)
  } catch (error) {
    const code = codeOf(error)
    if (code === '') throw error
    if (code === 'ENOENT') return { kind: 'nothing' }
    return { kind: 'foreign', why: `it cannot be read: ${reason(error)}`, help: MOVE }
  }
}

const read = (path: string, owner: Owner): Entry => {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const { size } = fstatSync(descriptor)
    const head = readStart(descriptor, Math.min(size, HEAD))
    const strange = strangeness(head, owner)
    if (strange !== undefined) return { kind: 'foreign', ...strange }
    if (size <= HEAD) return { kind: 'ours', bytes: head }
    return { kind: 'ours', bytes: size > MAX_BYTES ? undefined : readStart(descriptor, size) }
  } finally {
    closeSync(descriptor)
  }
}

const kindOf = (stat: Stats): string =>
  stat.isSymbolicLink()
    ? 'a symbolic link'
    : stat.isDirectory()
      ? 'a directory'
      : 'neither a file nor a directory'

const readStart = (descriptor: number, length: number): Buffer => {
  const bytes = Buffer.allocUnsafe(length)
  let done = 0
  while (done < length) {
    const count = readSync(descriptor, bytes, done, length - done, done)
    if (count === 0) break
    done += count
  }
  return bytes.subarray(0, done)
}

/** The names in a folder; none where there is no folder. */
const namesIn = (folder: string): readonly string[] => {
  try {
    return readdirSync(folder)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []
    throw fault(`cannot read ${folder}`, reason(error))
  }
}

/** Makes a folder with those above it; whether it was not there. (The recursive mkdir of Node loses why it cannot.) */
const made = (folder: string): boolean => {
  try {
    mkdirSync(folder)
    return true
  } catch (error) {
    const code = codeOf(error)
    if (code === 'EEXIST') return false
    const above = dirname(folder)
    if (code !== 'ENOENT' || above === folder || !made(above)) throw error
    return made(folder)
  }
}

/** Removes what a killed run left. What of it cannot be removed does no harm. */
const sweep = (folder: string, tell: (change: 'removed', name: string) => void): void => {
  for (const name of namesIn(folder).filter(name => TEMPORARY.test(name)))
    try {
      const path = pathIn(folder, name)
      if (!lstatSync(path).isFile()) continue
      unlinkSync(path)
      tell('removed', name)
    } catch {}
}

/** Writes what is missing or differs, then removes what is left over. All is on the disk before the first file gets its name. */
const renew = (
  folder: string,
  items: readonly Item[],
  owner: Owner,
  tell: (change: 'wrote' | 'removed', name: string) => void
): void => {
  const fresh = items.flatMap(item => ('wanted' in item ? [item] : []))
  const temporary: string[] = []
  try {
    for (const { name, wanted } of fresh) {
      const path = pathIn(folder, temporaryName())
      temporary.push(path)
      attempt(`cannot write ${pathIn(folder, name)}`, () => writeNew(path, wanted))
    }
    for (const [i, { name }] of fresh.entries()) {
      const path = pathIn(folder, name)
      const source = temporary[i]
      if (source !== undefined && attempt(`cannot write ${path}`, () => place(source, path, owner)))
        tell('wrote', name)
    }
  } finally {
    for (const path of temporary) remove(path)
  }
  for (const item of items) {
    if (item.state !== 'left over') continue
    const path = pathIn(folder, item.name)
    if (look(path, owner).kind !== 'ours') continue
    if (attempt(`cannot remove ${path}`, () => unlinked(path))) tell('removed', item.name)
  }
  attempt(`cannot write ${folder}`, () => syncFolder(folder))
}

const writeNew = (path: string, bytes: Buffer): void => {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants
  const descriptor = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o644)
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/**
 * Gives a written file its name, unless a file of others has got it by now: over nothing by a link, which replaces nobody,
 * where the file system has links. Whether it was done; if not, the next round sees why.
 */
const place = (source: string, path: string, owner: Owner): boolean => {
  const { kind } = look(path, owner)
  if (kind === 'foreign') return false
  try {
    if (kind === 'nothing') {
      try {
        linkSync(source, path)
        return true
      } catch (error) {
        if (codeOf(error) === 'EEXIST') return false
      }
    }
    renameSync(source, path)
    return true
  } catch (error) {
    // Another run has taken our file for a left-over one.
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}

/** Removes a file; whether it was there, since another run may remove the same. */
const unlinked = (path: string): boolean => {
  try {
    unlinkSync(path)
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}

/** Removes one of our own temporary files, which may have got its name or be gone. */
const remove = (path: string): void => {
  try {
    unlinkSync(path)
  } catch {}
}

const syncFolder = (folder: string): void => {
  let descriptor: number
  try {
    descriptor = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY)
  } catch (error) {
    // Somebody has removed it; the next round sees that.
    if (codeOf(error) === 'ENOENT') return
    throw error
  }
  try {
    fsyncSync(descriptor)
  } catch (error) {
    // Not every file system can do that with a folder.
    if (codeOf(error) !== 'EINVAL' && codeOf(error) !== 'ENOTSUP') throw error
  } finally {
    closeSync(descriptor)
  }
}

const pause = (milliseconds: number): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}

/** The mark of errors that are the file system's. */
const REFUSED = Symbol('refused by the file system')

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space is left on the disk',
  EDQUOT: 'the quota is used up',
  EFBIG: 'the file would be larger than is allowed',
  ENAMETOOLONG: 'the name is too long',
  ENOTDIR: 'it is no directory, or a part of its path is none',
  EEXIST: 'there is something else of that name',
  ENOENT: 'a part of its path is not there',
  ELOOP: 'its links lead in a circle',
  EIO: 'the disk does not answer'
}

const reason = (error: unknown): string =>
  REASONS[codeOf(error)] ?? (error instanceof Error ? error.message : String(error))

const fault = (what: string, why: string): Error => new Error(`${what}: ${why}`, { cause: REFUSED })

/** Gives an error of the file system its words; one of this program stays what it is. */
const attempt = <T>(what: string, action: () => T): T => {
  try {
    return action()
  } catch (error) {
    throw codeOf(error) === '' ? error : fault(what, reason(error))
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && 'errno' in error ? String(error.code) : ''
