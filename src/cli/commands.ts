import schema from 'embed:schema'
import yargs, { type Argv } from 'yargs'
import { check, FORMATS } from './check.ts'
import { explain } from './explain.ts'
import { type Exit, say } from './terminal.ts'

/** Runs any command line; loaded only when the plain `check FILE…` does not match, since it costs more than a check. */
export const run = async (args: readonly string[], version: string): Promise<Exit> => {
  let exit: Exit = 0
  const done = async (answer: Exit | Promise<Exit>): Promise<void> => {
    exit = await answer
  }
  const parser: Argv = yargs([...args])
    .scriptName('netplan')
    .usage('$0 COMMAND\n\nChecks the network of NixOS containers before the rebuild.')
    .command(
      'check [FILE..]',
      'say what is wrong with topology files; - is standard input, none is topology.yaml',
      command =>
        command
          .positional('FILE', { type: 'string', array: true, default: [] as string[], describe: 'topology files', defaultDescription: 'topology.yaml' })
          .option('format', { choices: FORMATS, default: 'pretty' as const, describe: 'how to print findings' })
          .option('strict', { type: 'boolean', default: false, describe: 'warnings fail too' }),
      ({ FILE, format, strict }) => done(check(FILE.map(String), { format, strict }))
    )
    .command(
      'explain [RULE]',
      "print a rule's page; without RULE list all rules",
      command => command.positional('RULE', { type: 'string', describe: 'the name in the brackets of a finding' }),
      ({ RULE }) => done(explain(RULE))
    )
    .command(
      'schema',
      'print the JSON Schema of topology files',
      command => command,
      () => {
        process.stdout.write(schema)
      }
    )
    .demandCommand(1, 'which command? "netplan --help" lists them')
    .strict()
    .recommendCommands()
    .parserConfiguration({ 'parse-numbers': false, 'parse-positional-numbers': false })
    .version(version)
    .help()
    .alias('help', 'h')
    .wrap(Math.min(100, process.stdout.columns ?? 80))
    .epilogue('Exit status: 0 all right, 1 there are errors, 2 wrong usage or unreadable input.')
    .exitProcess(false)
    .fail((message: string | null, error: Error | undefined) => {
      if (message === null && error !== undefined) throw error
      say((message ?? 'wrong usage').split('\n').join('; '))
      exit = 2
    })
  await parser.parseAsync()
  return exit
}
