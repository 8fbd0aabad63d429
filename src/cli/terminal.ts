import { createColors } from 'picocolors'
import { printable } from '../report/compact.ts'
import type { Paint } from '../report/pretty.ts'

/** 0 all right, 1 the answer is no, 2 wrong usage or unreadable input, 3 this machine cannot do it. */
export type Exit = 0 | 1 | 2 | 3

/** Talk goes to standard error, on one line that no terminal acts on; answers go to standard output. */
export const say = (text: string): void => {
  process.stderr.write(`netplan: ${printable(text)}\n`)
}

/** The text of a file for standard output: as it is, but on a terminal nothing in it acts. */
export const shown = (text: string): string =>
  process.stdout.isTTY ? text.replace(/[^\n\t]+/g, printable) : text

/** Whether a stream is a terminal that wants colour (https://no-color.org). */
export const colourful = (stream: NodeJS.WriteStream = process.stdout): boolean => {
  // Of a file or pipe isTTY is undefined, which picocolors would take for "guess".
  if (!stream.isTTY) return false
  return (process.env['NO_COLOR'] ?? '') === '' && process.env['TERM'] !== 'dumb'
}

/** The colours of findings on a stream. */
export const paint = (stream: NodeJS.WriteStream = process.stdout): Paint => {
  const { red, yellow, cyan, bold, dim } = createColors(colourful(stream))
  return {
    error: text => bold(red(text)),
    warning: text => bold(yellow(text)),
    hint: cyan,
    bold,
    dim
  }
}

/** A file's name as a shell and the option parser want it. */
export const word = (file: string): string => {
  const name = /^-./.test(file) ? `./${file}` : file
  return /^[\w./@%+=:,-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`
}
