import { check } from './check.ts'
import { type Exit, say } from './terminal.ts'

declare const VERSION: string

/** What most calls are: `netplan check [FILE…]` without options. It is answered without loading the option parser. */
const isPlainCheck = (args: readonly string[]): boolean =>
  args[0] === 'check' && args.slice(1).every(arg => arg === '-' || !arg.startsWith('-'))

const main = async (args: readonly string[]): Promise<Exit> => {
  if (isPlainCheck(args)) return check(args.slice(1), { format: 'pretty', strict: false, all: false })
  const { run } = await import('./commands.ts')
  return run(args, VERSION)
}

// A reader that goes away (`| head`) is no fault of ours, and changes nothing about the answer.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') return
  say(`cannot write: ${error.message}`)
  process.exit(2)
})
process.stderr.on('error', () => {})

main(process.argv.slice(2)).then(
  exit => {
    process.exitCode = exit
  },
  (error: unknown) => {
    // A fault of this program: say so in one line, never with a stack.
    say(
      `this is a fault of netplan itself, please report it: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`
    )
    process.exitCode = 2
  }
)
