import { watchFile } from 'node:fs'
import { check, type CheckOptions } from './check.ts'
import { filesOf } from './read.ts'
import { type Exit, say } from './terminal.ts'

/** How often files are looked at, in milliseconds. Asking works on every file system, and for files that are replaced. */
const INTERVAL = 200

/** Checks files, and again whenever one of them changes, until somebody ends it. */
export const watch = async (files: readonly string[], options: CheckOptions): Promise<Exit> => {
  if (files.includes('-')) {
    say('standard input cannot be watched; name a file')
    return 2
  }
  const names = filesOf(files)
  // Nobody reads it any more.
  process.stdout.on('error', () => process.exit(0))
  let wanted = true
  let wake = (): void => {}
  for (const name of names)
    watchFile(name, { interval: INTERVAL }, () => {
      wanted = true
      wake()
    })
  for (;;) {
    if (wanted) {
      wanted = false
      if (process.stdout.isTTY) process.stdout.write('\u001b[2J\u001b[3J\u001b[H')
      say('checking')
      const exit = await check(names, options)
      say(
        `${exit === 0 ? 'all right' : exit === 1 ? 'not all right' : 'not everything could be read'}; watching ${names.join(', ')}`
      )
    } else
      await new Promise<void>(resolve => {
        wake = resolve
      })
  }
}
