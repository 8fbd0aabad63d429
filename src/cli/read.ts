import { isUtf8 } from 'node:buffer'
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import type { Source } from '../text/source.ts'

/** The file that is read when none is named. */
export const DEFAULT_FILE = 'topology.yaml'

/** The files that are meant, the default where none is named; of several names of one file the first. */
export const filesOf = (given: readonly string[]): readonly string[] => {
  if (given.length < 2) return given.length === 0 ? [DEFAULT_FILE] : given
  const seen = new Set<string>()
  return given.filter(file => {
    const id = identity(file)
    return !seen.has(id) && seen.add(id)
  })
}

const identity = (file: string): string => {
  try {
    const { dev, ino } = statSync(file, { bigint: true })
    return `${dev} ${ino}`
  } catch {
    return file
  }
}

/** A larger file is no topology: 100,000 containers take a third of it. */
const MAX_BYTES = 64 * 1024 * 1024

/** Reads a file, or standard input for `-`; never more than MAX_BYTES of it. The error says why it cannot be read. */
export const readSource = (file: string): Source | { readonly error: string } => {
  try {
    const bytes = file === '-' ? readAll(0) : readFile(file)
    if (typeof bytes === 'string') return { error: bytes }
    const text = decode(bytes)
    return text === undefined ? { error: BINARY } : { file: file === '-' ? '<stdin>' : file, text }
  } catch (error) {
    return { error: reason(error) }
  }
}

const TOO_LARGE = `it is larger than ${MAX_BYTES / 1024 / 1024} MiB, which no topology is`
const BINARY = 'it is not a text file in UTF-8'

const readFile = (file: string): Buffer | string => {
  const descriptor = openSync(file, 'r')
  try {
    const stat = fstatSync(descriptor)
    if (stat.isDirectory()) return 'it is a directory'
    return stat.size > MAX_BYTES ? TOO_LARGE : readAll(descriptor, stat.size)
  } finally {
    closeSync(descriptor)
  }
}

/** Everything up to the limit, in one piece where the size is known; devices and pipes have none to ask for. */
const readAll = (descriptor: number, size = 0): Buffer | string => {
  const chunks: Buffer[] = []
  let total = 0
  for (;;) {
    const chunk = Buffer.allocUnsafe(total === 0 ? Math.max(size, 65536) : 1024 * 1024)
    const count = readChunk(descriptor, chunk)
    if (count === 0)
      return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, total)
    total += count
    if (total > MAX_BYTES) return TOO_LARGE
    chunks.push(chunk.subarray(0, count))
  }
}

const readChunk = (descriptor: number, chunk: Buffer): number => {
  for (;;) {
    try {
      return readSync(descriptor, chunk)
    } catch (error) {
      const code = codeOf(error)
      if (code === 'EOF') return 0
      // A terminal or pipe that was set non-blocking has nothing yet; wait a moment without burning the processor.
      if (code !== 'EAGAIN') throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
    }
  }
}

/** The text without a byte order mark, which editors do not count as a column. */
const decode = (bytes: Buffer): string | undefined =>
  !isUtf8(bytes) || bytes.includes(0) ? undefined : bytes.toString('utf8').replace(/^\ufeff/, '')

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of the path is no directory',
  ELOOP: 'its links lead in a circle',
  ENAMETOOLONG: 'the name is too long',
  EIO: 'the disk does not answer',
  ENXIO: 'it is a socket or a device that cannot be read'
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : ''

const reason = (error: unknown): string =>
  REASONS[codeOf(error)] ?? (error instanceof Error ? error.message : String(error))
