import { printable } from '../report/compact.ts'

/** 0 all right, 1 the answer is no, 2 wrong usage or unreadable input. */
export type Exit = 0 | 1 | 2

/** Talk goes to standard error, on one line that no terminal acts on; answers go to standard output. */
export const say = (text: string): void => {
  process.stderr.write(`netplan: ${printable(text)}\n`)
}

/** Whether standard output is a terminal that wants colour (https://no-color.org). */
export const colourful = (): boolean => {
  // Of a file or pipe isTTY is undefined, which picocolors would take for "guess".
  if (!process.stdout.isTTY) return false
  return (process.env['NO_COLOR'] ?? '') === '' && process.env['TERM'] !== 'dumb'
}
