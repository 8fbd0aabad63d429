import schema from 'embed:schema'
import yargs, { type Argv } from 'yargs'
import { check, FORMATS } from './check.ts'
import { explain } from './explain.ts'
import { type Exit, say } from './terminal.ts'

type Format = (typeof FORMATS)[number]

/** Stands for "-" among the arguments while yargs has them, since it loses that one; no argument can hold a NUL. */
const DASH = '\0'

/** Runs any command line; loaded only when the plain `check FILE…` does not match, since it costs more than a check. */
export const run = async (args: readonly string[], version: string): Promise<Exit> => {
  let exit: Exit = 0
  const faults: string[] = []
  // yargs goes on to the command after it has told what is wrong with the line.
  const answer = async (command: () => Exit | Promise<Exit>): Promise<void> => {
    if (faults.length === 0) exit = await command()
  }
  // Behind a leading "--" yargs would find no command and be content.
  const line = args[0] === '--' ? args.slice(1) : args
  const parser: Argv = yargs(line.map(arg => (arg === '-' ? DASH : arg)))
    .scriptName('netplan')
    .usage('$0 COMMAND\n\nChecks the network of NixOS containers before the rebuild.')
    .command(
      'check [FILE..]',
      'say what is wrong with topology files; several are hosts of one site; - is standard input, none is topology.yaml',
      command =>
        command
          .positional('FILE', {
            type: 'string',
            array: true,
            default: [] as string[],
            describe: 'topology files',
            defaultDescription: 'topology.yaml'
          })
          .option('format', {
            choices: FORMATS,
            default: 'pretty' as const,
            requiresArg: true,
            describe: 'how to print findings'
          })
          // Of an option that stands on the line twice, the last one counts.
          .coerce('format', (given: Format | Format[]) => [given].flat().at(-1))
          .option('strict', { type: 'boolean', default: false, describe: 'warnings fail too' })
          .option('all', {
            type: 'boolean',
            default: false,
            describe: 'show every finding; without it 100 of one rule in a file'
          }),
      ({ FILE, format = 'pretty', strict, all, _ }) => {
        // What stands behind "--" is a file too, whatever it begins with.
        const files = [...FILE, ..._.slice(1)].map(file => (file === DASH ? '-' : String(file)))
        return answer(() => check(files, { format, strict, all }))
      }
    )
    .command(
      'explain [RULE]',
      "print a rule's page; without RULE list all rules",
      command =>
        command.positional('RULE', { type: 'string', describe: 'the name in the brackets of a finding' }),
      ({ RULE }) => answer(() => explain(RULE))
    )
    .command(
      'schema',
      'print the JSON Schema of topology files',
      command => command,
      () =>
        answer(() => {
          process.stdout.write(schema)
          return 0
        })
    )
    .demandCommand(1, 'which command? "netplan --help" lists them')
    .strict()
    .recommendCommands()
    .detectLocale(false)
    .updateStrings({
      'Invalid values:': ' ',
      'Argument: %s, Given: %s, Choices: %s': '--%s is %s; it must be one of %s'
    })
    .parserConfiguration({ 'parse-numbers': false, 'parse-positional-numbers': false })
    .version(version)
    .help()
    .alias('help', 'h')
    .wrap(Math.min(100, process.stdout.columns ?? 80))
    .epilogue('Exit status: 0 all right, 1 there are errors, 2 wrong usage or unreadable input.')
    .exitProcess(false)
    .fail((message: string | null, error: Error | undefined) => {
      if (message === null && error !== undefined) throw error
      const fault = (message ?? 'wrong usage').trim().replace(/\0|\\u0000/g, '-')
      faults.unshift(fault.charAt(0).toLowerCase() + fault.slice(1))
    })
  await parser.parseAsync()
  if (faults.length === 0) return exit
  say(faults.join('; '))
  return 2
}
