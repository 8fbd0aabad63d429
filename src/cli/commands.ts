import schema from 'embed:schema'
import yargs, { type Argv } from 'yargs'
import { check, FORMATS } from './check.ts'
import { ruleNames } from '../report/ignored.ts'
import { ASK, completion, SHELLS } from './completion.ts'
import { explain } from './explain.ts'
import { nearest } from '../text/words.ts'
import { type Exit, say } from './terminal.ts'

type Format = (typeof FORMATS)[number]

const PLAN_FORMATS = ['table', 'json'] as const

const REHEARSE_FORMATS = PLAN_FORMATS

const DRAW_FORMATS = ['svg', 'mermaid', 'dot'] as const

type DrawFormat = (typeof DRAW_FORMATS)[number]

type PlanFormat = (typeof PLAN_FORMATS)[number]

const TRACE_FORMATS = ['text', 'json'] as const

type TraceFormat = (typeof TRACE_FORMATS)[number]

/** What a command takes that is about one file. */
const ONE_FILE = {
  type: 'string',
  describe: 'a topology file; - is standard input',
  defaultDescription: 'topology.yaml'
} as const

/** Stands for "-" among the arguments while yargs has them, since it loses that one; no argument can hold a NUL. */
const DASH = '\0'

const fileOf = (argument: string | number): string => (argument === DASH ? '-' : String(argument))

/** Of words that a command needs yargs counts none behind "--", so those of trace come before it. */
const counted = (line: readonly string[]): readonly string[] => {
  const end = line[0] === 'trace' ? line.indexOf('--') : -1
  if (end < 0) return line
  return [...line.slice(0, end), ...line.slice(end + 1).map(arg => (/^-./.test(arg) ? `./${arg}` : arg))]
}

/** Runs any command line; loaded only when the plain `check FILE…` does not match, since it costs more than a check. */
export const run = async (args: readonly string[], version: string): Promise<Exit> => {
  let exit: Exit = 0
  const faults: string[] = []
  // yargs goes on to the command after it has told what is wrong with the line.
  const answer = async (command: () => Exit | Promise<Exit>): Promise<void> => {
    if (faults.length === 0) exit = await command()
  }
  /** A command that takes one file or none; what stands behind "--" is a file too. */
  const ofOne = (
    name: string,
    first: string | undefined,
    rest: readonly (string | number)[],
    command: (file: string | undefined) => Exit | Promise<Exit>
  ): Promise<void> => {
    const files = [...(first === undefined ? [] : [first]), ...rest.slice(1)].map(fileOf)
    return answer(() => {
      if (files.length < 2) return command(files[0])
      say(`${name} takes one file, not ${files.length}`)
      return 2
    })
  }
  // Behind a leading "--" yargs would find no command and be content.
  const line = counted(args[0] === '--' ? args.slice(1) : args)
  // A shell wants to know what can stand on the line; the commands themselves say better what is wrong with a word.
  const completes = line[0] === ASK
  // Loaded before yargs runs: where its builders have to wait, it does not tell all that is wrong with a line.
  const { PATTERNS } = await import('./init.ts')
  const making = line.includes('generate') ? await import('./generate.ts') : undefined
  // The folder is for what it would look for; the working folder may be gone.
  const parser: Argv = yargs(
    line.map(arg => (arg === '-' ? DASH : arg)),
    '/'
  )
    .scriptName('netplan')
    .usage('$0 COMMAND\n\nChecks the network of NixOS containers before the rebuild, and makes its files.')
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
          })
          .option('watch', {
            type: 'boolean',
            default: false,
            describe: 'check again whenever a file changes, until Ctrl-C'
          })
          .example('$0 check', 'what is wrong with topology.yaml')
          .example('$0 check hosts/*.yaml --strict', 'several hosts of one site; warnings fail too')
          .example('$0 check --format sarif > netplan.sarif', 'for code scanning'),
      ({ FILE, format = 'pretty', strict, all, watch: watches, _ }) => {
        // What stands behind "--" is a file too, whatever it begins with.
        const files = [...FILE, ..._.slice(1)].map(fileOf)
        return answer(async () => {
          if (!watches) return check(files, { format, strict, all })
          const { watch } = await import('./watch.ts')
          return watch(files, { format, strict, all })
        })
      }
    )
    .command(
      'fix [FILE..]',
      'mend what has exactly one sensible mend, comments and layout kept; several files are one site; - is standard input',
      command =>
        command
          .positional('FILE', {
            type: 'string',
            array: true,
            default: [] as string[],
            describe: 'topology files',
            defaultDescription: 'topology.yaml'
          })
          .option('diff', {
            type: 'boolean',
            default: false,
            describe:
              'write nothing; print what would change; the exit status is the same: 1 if errors would be left'
          })
          .example('$0 fix --diff', 'see what would be mended in topology.yaml')
          .example('$0 fix home.yaml', 'mend it'),
      ({ FILE, diff, _ }) => {
        const files = [...FILE, ..._.slice(1)].map(fileOf)
        return answer(async () => {
          const { fix } = await import('./fix.ts')
          return fix(files, { diff })
        })
      }
    )
    .command(
      'generate [FILE]',
      'make the files of a topology for --target, to --out DIR or standard output',
      command =>
        command
          .positional('FILE', ONE_FILE)
          .option('target', { choices: making?.TARGETS ?? [], requiresArg: true, describe: 'what to make' })
          .option('out', {
            type: 'string',
            requiresArg: true,
            describe: 'the folder to write to; files in it that netplan did not make are left alone'
          })
          .coerce(['target', 'out'], (given: string | string[]) => [given].flat().at(-1))
          .option('check', {
            type: 'boolean',
            default: false,
            describe: 'write nothing; name the files in --out that are stale, and fail if there are any'
          })
          .option('diff', {
            type: 'boolean',
            default: false,
            describe: 'write nothing; print how the files in --out would change'
          })
          .example('$0 generate --target networkd', 'print the units for topology.yaml')
          .example('$0 generate home.yaml --target networkd --out units', 'write them, remove old ones')
          .example('$0 generate home.yaml --target networkd --out units --check', 'for a pre-commit hook'),
      ({ FILE, target, out, check, diff, _ }) => {
        return ofOne('generate', FILE, _, async file => {
          const { generate } = making ?? (await import('./generate.ts'))
          return generate(file, { target, out: out === DASH ? '-' : out, check, diff }, version)
        })
      }
    )
    .command(
      'plan [FILE]',
      'print the resolved network: subnets, addresses, interfaces, gateways and ports, and what is free',
      command =>
        command
          .positional('FILE', ONE_FILE)
          .option('format', {
            choices: PLAN_FORMATS,
            requiresArg: true,
            defaultDescription: '"table"',
            describe: 'a table for people, or JSON for programs'
          })
          .option('all', {
            type: 'boolean',
            default: false,
            describe: 'show every row; without it the first of each kind'
          })
          .option('write', {
            type: 'boolean',
            default: false,
            describe:
              'write the values chosen for "auto" into the file, and change nothing else; of standard input print the text with them'
          })
          .option('what-if', {
            type: 'string',
            requiresArg: true,
            describe:
              'say whether so many more fit, as in +12:br0, and what to do if not; may stand there several times'
          })
          .option('diff', {
            type: 'string',
            requiresArg: true,
            describe: 'print what changes for running systems since OLD, a file or a git revision'
          })
          .coerce('format', (given: PlanFormat | PlanFormat[]) => [given].flat().at(-1))
          .coerce('diff', (given: string | string[]) => [given].flat().at(-1))
          .coerce('what-if', (given: string | string[]) => [given].flat())
          .example('$0 plan', 'who has which address in topology.yaml, and what is free')
          .example('$0 plan home.yaml --all | less', 'everything, page by page')
          .example('$0 plan home.yaml --format json', 'for a program')
          .example('$0 plan home.yaml --write', 'keep the chosen addresses for good')
          .example('$0 plan home.yaml --what-if +12:br0', 'will 12 more containers fit?')
          .example('$0 plan home.yaml --diff HEAD', 'before a rebuild: who restarts, who loses the network'),
      ({ FILE, format, all, write, 'what-if': whatIf, diff, _ }) => {
        return ofOne('plan', FILE, _, async file => {
          const { plan } = await import('./plan.ts')
          return plan(file, { format, all, write, whatIf, diff: diff === DASH ? '-' : diff })
        })
      }
    )
    .command(
      'draw [FILE]',
      'draw the network: internet, host, bridges, containers with their addresses, ports and forwards',
      command =>
        command
          .positional('FILE', ONE_FILE)
          .option('format', {
            choices: DRAW_FORMATS,
            default: 'svg' as const,
            requiresArg: true,
            describe: 'a picture for light and dark pages, or text for Mermaid or Graphviz'
          })
          .coerce('format', (given: DrawFormat | DrawFormat[]) => [given].flat().at(-1))
          .option('out', { type: 'string', requiresArg: true, describe: 'the file to write' })
          .coerce('out', (given: string | string[]) => [given].flat().at(-1))
          .option('findings', { type: 'boolean', default: false, describe: 'mark errors and warnings in it' })
          .example('$0 draw --out network.svg', 'the picture of topology.yaml, for a README')
          .example('$0 draw home.yaml --findings > wrong.svg', 'where is what wrong?')
          .example('$0 draw home.yaml --format dot | dot -Tpdf -o home.pdf', 'by Graphviz'),
      ({ FILE, format = 'svg', out, findings, _ }) => {
        return ofOne('draw', FILE, _, async file => {
          const { draw } = await import('./draw.ts')
          return draw(file, { format, out: out === DASH ? '-' : out, findings })
        })
      }
    )
    .command(
      'rehearse [FILE]',
      'bring the network up in throw-away namespaces, measure who reaches whom, and take it down',
      command =>
        command
          .positional('FILE', ONE_FILE)
          .option('format', {
            choices: REHEARSE_FORMATS,
            default: 'table' as const,
            requiresArg: true,
            describe: 'a table for people, or JSON for programs'
          })
          .coerce('format', (given: PlanFormat | PlanFormat[]) => [given].flat().at(-1))
          .option('dry-run', {
            type: 'boolean',
            default: false,
            describe: 'print the commands as a shell script, and run none'
          })
          .option('vendor', {
            type: 'boolean',
            default: false,
            describe: 'keep the units that systemd ships (80-container-ve.network and others)'
          })
          .option('keep', {
            type: 'boolean',
            default: false,
            describe: 'open a shell in the network before it is taken down'
          })
          .example('$0 rehearse', 'is the network of topology.yaml as predicted?')
          .example('$0 rehearse home.yaml --keep', 'and look around in it'),
      ({ FILE, format = 'table', dryRun, vendor, keep, _ }) => {
        return ofOne('rehearse', FILE, _, async file => {
          const { rehearse } = await import('./rehearse.ts')
          return rehearse(file, { format, dryRun, vendor, keep })
        })
      }
    )
    .command(
      'reach [FILE]',
      'predict who reaches whom, and whether the expectations of the file are met',
      command =>
        command
          .positional('FILE', ONE_FILE)
          .option('format', {
            choices: PLAN_FORMATS,
            default: 'table' as const,
            requiresArg: true,
            describe: 'a matrix for people, or JSON for programs'
          })
          .coerce('format', (given: PlanFormat | PlanFormat[]) => [given].flat().at(-1))
          .example('$0 reach', 'who reaches whom in the network of topology.yaml')
          .example('$0 reach home.yaml --format json', 'for a program'),
      ({ FILE, format = 'table', _ }) => {
        return ofOne('reach', FILE, _, async file => {
          const { reach } = await import('./reach.ts')
          return reach(file, format)
        })
      }
    )
    .command(
      'trace FILE FROM TO',
      'tell one flow hop by hop; TO is NAME, NAME:PORT or NAME:PORT/udp, and a name may be an address',
      command =>
        command
          .positional('FILE', {
            type: 'string',
            demandOption: true,
            describe: 'a topology file; - is standard input'
          })
          .positional('FROM', {
            type: 'string',
            demandOption: true,
            describe: 'a container, host, lan, internet, or an address'
          })
          .positional('TO', { type: 'string', demandOption: true, describe: 'the same, with a port' })
          .option('format', {
            choices: TRACE_FORMATS,
            default: 'text' as const,
            requiresArg: true,
            describe: 'lines for people, or JSON for programs'
          })
          .coerce('format', (given: TraceFormat | TraceFormat[]) => [given].flat().at(-1))
          .example('$0 trace home.yaml web internet:443', 'will web reach the internet, and if not, why'),
      ({ FILE, FROM, TO, format = 'text' }) =>
        answer(async () => {
          const { traceFlow } = await import('./trace.ts')
          return traceFlow(fileOf(FILE), FROM, TO, format)
        })
    )
    .command(
      'explain [RULE]',
      "print a rule's page; without RULE list all rules",
      command =>
        command
          .positional('RULE', {
            type: 'string',
            describe: 'the name in the brackets of a finding',
            ...(completes ? { choices: ruleNames() } : {})
          })
          .example('$0 explain duplicate-address', 'what happens, why NixOS is silent, what to do'),
      ({ RULE }) => answer(() => explain(RULE))
    )
    .command(
      'init [PATTERN]',
      'write a commented topology to start from',
      command =>
        command
          .positional('PATTERN', {
            type: 'string',
            describe: PATTERNS.join(', '),
            ...(completes ? { choices: PATTERNS } : {})
          })
          .option('out', {
            type: 'string',
            requiresArg: true,
            defaultDescription: 'topology.yaml',
            describe: 'the file to write, which must not be there; - is standard output'
          })
          .option('uplink', {
            type: 'string',
            requiresArg: true,
            defaultDescription: "that of this machine's default route",
            describe: 'the card that leads to the internet'
          })
          .coerce(['out', 'uplink'], (given: string | string[]) => [given].flat().at(-1))
          .example('$0 init', 'two containers on a bridge behind NAT, in topology.yaml')
          .example('$0 init lan-bridge --uplink enp3s0 --out home.yaml', 'containers as machines of the LAN'),
      ({ PATTERN, out, uplink }) =>
        answer(async () => {
          const { init } = await import('./init.ts')
          return init(PATTERN, { out: out === DASH ? '-' : out, uplink })
        })
    )
    .command(
      'completion SHELL',
      'print what makes a shell complete commands, options and rules',
      command =>
        command
          .positional('SHELL', { choices: SHELLS, demandOption: true, describe: 'the shell' })
          .example('source <($0 completion bash)', 'in ~/.bashrc; the same with zsh in ~/.zshrc')
          .example('$0 completion fish > ~/.config/fish/completions/netplan.fish', 'once, for fish'),
      ({ SHELL }) => answer(() => completion(SHELL))
    )
    .command(
      'schema',
      'print the JSON Schema of topology files',
      command => command.example('$0 schema > topology.schema.json', 'for an editor that completes the keys'),
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
    .example('$0 init', 'a commented topology.yaml to start from')
    .example('$0 check', 'what is wrong with it')
    .example('$0 generate --target nixos --out network', 'the module for your imports')
    .example('$0 trace topology.yaml web internet:443', 'will web reach the internet, and if not, why')
    .example('$0 COMMAND --help', 'the options of a command, with examples')
    .epilogue(
      'Exit status: 0 all right, 1 the answer is no (errors, stale files, not as predicted), 2 wrong usage or something unreadable, 3 this machine cannot do it.'
    )
    .exitProcess(false)
    .fail((message: string | null, error: Error | undefined) => {
      if (message === null && error !== undefined) throw error
      const fault = (message ?? 'wrong usage').trim().replace(/\0|\\u0000/g, '-')
      faults.unshift((fault.charAt(0).toLowerCase() + fault.slice(1)).replace(/^--([A-Z]+) is/, '$1 is'))
    })
  await parser.parseAsync()
  if (faults.length === 0) return exit
  say(`${faults.join('; ')}${meant(faults, line, await parser.getHelp())}`)
  return 2
}

/** What was meant by an option or a choice that there is not. */
const meant = (faults: readonly string[], line: readonly string[], help: string): string => {
  const fault = faults.join('; ')
  if (fault.includes('did you mean')) return ''
  const [, given = '', choices = ''] = / is "([^"]*)"; it must be one of (.*)$/.exec(fault) ?? []
  if (given !== '') {
    const known = choices.split(', ').map(choice => choice.replaceAll('"', ''))
    const near = nearest(given, known, Math.max(1, Math.floor(given.length / 3)))
    return near === undefined ? '' : `; did you mean ${near}?`
  }
  const options = Array.from(help.matchAll(/--([a-z][a-z-]+)/g), ([, option = '']) => option)
  const slip = /^unknown arguments?: (.*)$/
    .exec(fault)?.[1]
    ?.split(', ')
    .find(word => line.some(arg => arg.startsWith(`--${word}`)))
  const near = slip === undefined ? undefined : nearest(slip, options)
  return near === undefined ? '' : `; did you mean --${near}?`
}
