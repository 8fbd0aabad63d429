/** 0 all right, 1 the answer is no, 2 wrong usage or unreadable input. */
export type Exit = 0 | 1 | 2

/** Talk goes to standard error; answers go to standard output. */
export const say = (text: string): void => {
  process.stderr.write(`netplan: ${text}\n`)
}

/** Whether standard output is a terminal that wants colour (https://no-color.org). */
export const colourful = (): boolean =>
  process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '' && process.env['TERM'] !== 'dumb'
