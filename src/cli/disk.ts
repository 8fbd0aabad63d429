import { randomBytes } from 'node:crypto'
import {
  accessSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  type Stats,
  unlinkSync,
  writeSync
} from 'node:fs'
import { dirname } from 'node:path'
import { pathIn } from './files.ts'
import { whole } from './signals.ts'

// Changes the user's own files, one at a time. (Folders of files that are made are written by files.ts.)

/** Puts another text into a file, which is the old or the new one at any moment; or says why not. `names` is how many it had. */
export const rewrite = (
  file: string,
  before: string,
  after: string
): { readonly names: number } | { readonly fault: string } => {
  try {
    // A link stays a link to what is changed.
    const path = realpathSync(file)
    accessSync(path, constants.W_OK)
    const { bytes, stat } = readRegular(path)
    const mark = bytes.subarray(0, 3).equals(MARK) ? MARK : Buffer.alloc(0)
    if (!bytes.equals(Buffer.concat([mark, Buffer.from(before)]))) return { fault: CHANGED }
    const isStill = (): boolean => readRegular(path).bytes.equals(bytes)
    const isDone = replaceFile(path, stat, Buffer.concat([mark, Buffer.from(after)]), isStill)
    return isDone ? { names: stat.nlink } : { fault: CHANGED }
  } catch (error) {
    const words = reason(error)
    if (words === undefined) throw error
    return { fault: words }
  }
}

/**
 * Writes a file that is made: a new one, or in place of one that `isOurs` knows by its text, so that a slip of the pen costs
 * nobody his topology. `wrote` is false where it is the same already.
 */
export const put = (
  file: string,
  text: string,
  isOurs: (text: string) => boolean
): { readonly wrote: boolean } | { readonly fault: string } => {
  try {
    const bytes = Buffer.from(text)
    if (lstatSync(file, { throwIfNoEntry: false }) === undefined) {
      const isStill = (): boolean => lstatSync(file, { throwIfNoEntry: false }) === undefined
      return replaceFile(file, undefined, bytes, isStill) ? { wrote: true } : { fault: CHANGED }
    }
    const path = realpathSync(file)
    const old = readRegular(path)
    if (old.bytes.equals(bytes)) return { wrote: false }
    // An empty file may be waiting for it, but not one that a link leads to, which may be anybody's.
    const isFree = old.bytes.length === 0 && !lstatSync(file).isSymbolicLink()
    if (!isFree && !isOurs(old.bytes.toString('utf8')))
      return {
        fault: 'netplan did not make it, its first line does not say so; move it away or name another file'
      }
    accessSync(path, constants.W_OK)
    const isStill = (): boolean => readRegular(path).bytes.equals(old.bytes)
    return replaceFile(path, old.stat, bytes, isStill) ? { wrote: true } : { fault: CHANGED }
  } catch (error) {
    const words =
      error instanceof Error && 'code' in error && error.code === 'ENOENT' ? NOWHERE : reason(error)
    if (words === undefined) throw error
    return { fault: words }
  }
}

const NOWHERE = 'its folder is not there, or it is a link that leads nowhere'

const MARK = Buffer.from('\ufeff')

/** Of a text that is read no more than half of this. */
const MAX_BYTES = 128 * 1024 * 1024

const CHANGED = 'somebody else has changed it in the meantime; run this again'

const readRegular = (path: string): { readonly bytes: Buffer; readonly stat: Stats } => {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const stat = fstatSync(descriptor)
    if (!stat.isFile()) throw new Error('it is no regular file', { cause: REFUSED })
    if (stat.size > MAX_BYTES)
      throw new Error('it is larger than anything that netplan writes', { cause: REFUSED })
    return { bytes: readFileSync(descriptor), stat }
  } finally {
    closeSync(descriptor)
  }
}

/** Writes a file beside the old one, brings it to the disk and gives it the old one's name; false where that must not be any more. */
const replaceFile = (path: string, old: Stats | undefined, bytes: Buffer, isStill: () => boolean): boolean =>
  whole(() => replaced(path, old, bytes, isStill))

const replaced = (path: string, old: Stats | undefined, bytes: Buffer, isStill: () => boolean): boolean => {
  const temporary = pathIn(dirname(path), `.netplan-${randomBytes(8).toString('hex')}.tmp`)
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants
  const descriptor = openSync(
    temporary,
    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW,
    old === undefined ? 0o666 : 0o600
  )
  let isPlaced = false
  try {
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done)
      if (old !== undefined) keepRights(descriptor, old)
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
    if (!isStill()) return false
    renameSync(temporary, path)
    isPlaced = true
  } finally {
    if (!isPlaced) remove(temporary)
  }
  syncFolder(dirname(path))
  return true
}

/** Gives a new file the owner, group and mode of the old one. A group that cannot be kept must not hand its rights to another. */
const keepRights = (descriptor: number, { uid, gid, mode }: Stats): void => {
  const own = fstatSync(descriptor)
  const isKept = own.gid === gid || attempted(() => fchownSync(descriptor, -1, gid))
  if (own.uid !== uid) attempted(() => fchownSync(descriptor, uid, -1))
  fchmodSync(descriptor, mode & (isKept ? 0o777 : 0o707))
}

const attempted = (action: () => void): boolean => {
  try {
    action()
    return true
  } catch {
    return false
  }
}

const remove = (path: string): void => {
  attempted(() => unlinkSync(path))
}

/** Not every file system can do that, and the file is whole without it. */
const syncFolder = (folder: string): void => {
  attempted(() => {
    const descriptor = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
  })
}

const REFUSED = Symbol('refused')

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied, for the file or its folder',
  EPERM: 'permission denied, for the file or its folder',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space is left on the disk',
  EDQUOT: 'the quota is used up',
  EFBIG: 'the file would be larger than is allowed',
  ENOENT: 'it is gone',
  ENOTDIR: 'a part of its path is no folder',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'its links lead in a circle',
  EIO: 'the disk does not answer'
}

/** The words for what the file system refused; undefined for a fault of this program. */
export const reason = (error: unknown): string | undefined => {
  if (!(error instanceof Error)) return undefined
  if (error.cause === REFUSED) return error.message
  return 'code' in error && 'syscall' in error ? (REASONS[String(error.code)] ?? error.message) : undefined
}
