import { spawn } from 'node:child_process'
import { analyze } from '../index.ts'
import { formatAddr } from '../net/addr.ts'
import type { Plan } from '../plan/plan.ts'
import { type Answer, type Flow, placeName } from '../reach/flow.ts'
import { trace } from '../reach/trace.ts'
import { worldOf } from '../reach/world.ts'
import { agrees, mismatches, verified } from '../rehearse/compare.ts'
import { type Question, type Questions, questionsOf } from '../rehearse/flows.ts'
import { answerText, flowText, matrixText } from '../rehearse/matrix.ts'
import { complaints } from '../rehearse/networkd.ts'
import {
  type Measured,
  programsFor,
  type Rehearsal,
  rehearse as bringUp,
  type Trouble,
  type Unable
} from '../rehearse/run.ts'
import { type Script, scriptOf } from '../rehearse/script.ts'
import { shellText } from '../rehearse/shell.ts'
import { pretty } from '../report/pretty.ts'
import { plural } from '../text/words.ts'
import { DEFAULT_FILE, readSource } from './read.ts'
import { type Exit, paint, say, shown, word } from './terminal.ts'

export const FORMATS = ['table', 'json'] as const

export interface RehearseOptions {
  readonly format: (typeof FORMATS)[number]
  /** Print the commands, and run none. */
  readonly dryRun: boolean
  /** Leave systemd's own files for networkd where they are. */
  readonly vendor: boolean
  /** Open a shell in the network before it is taken down. */
  readonly keep: boolean
}

/** Brings the network of a file up in namespaces, measures it, and takes it down. */
export const rehearse = async (written: string | undefined, options: RehearseOptions): Promise<Exit> => {
  const file = written ?? DEFAULT_FILE
  const source = readSource(file)
  if ('error' in source) {
    const hint = written === undefined ? '; name a file: netplan rehearse FILE' : ''
    say(`cannot read ${file === '' ? '""' : file}: ${source.error}${hint}`)
    return 2
  }
  const { report, plan } = await analyze(source)
  const errors = report.findings.filter(({ severity }) => severity === 'error')
  if (plan === undefined) {
    process.stderr.write(pretty([{ source, findings: errors }], paint(process.stderr)))
    return 2
  }
  if (errors.length > 0)
    say(`${plural(errors.length, 'error')} in ${source.file}; "netplan check ${word(file)}" tells what`)
  const script = scriptOf(plan, { vendor: options.vendor })
  if (options.dryRun) {
    process.stdout.write(shown(dryRun(script)))
    return 0
  }
  const programs = programsFor(script)
  if ('unable' in programs) return unable(programs)
  const stop = new AbortController()
  let signal: NodeJS.Signals | undefined
  const abort = (name: NodeJS.Signals): void => {
    signal = name
    stop.abort()
  }
  for (const name of SIGNALS) process.on(name, abort)
  const questions = questionsOf(plan)
  try {
    const rehearsal = await bringUp(script, programs, {
      services: questions.services,
      signal: stop.signal,
      progress: progress
    })
    if ('unable' in rehearsal) {
      if (signal === undefined) return unable(rehearsal)
    } else {
      try {
        return await measured(plan, script, questions, rehearsal, options)
      } finally {
        await rehearsal.close()
      }
    }
  } catch (error) {
    if (signal === undefined)
      return unable({ unable: error instanceof Error ? error.message : String(error), help: [] })
  } finally {
    erase()
    for (const name of SIGNALS) process.off(name, abort)
  }
  say('stopped; nothing is left')
  // As a shell has it: what a signal has ended.
  return process.exit(signal === 'SIGINT' ? 130 : signal === 'SIGHUP' ? 129 : 143)
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

const measured = async (
  plan: Plan,
  script: Script,
  questions: Questions,
  rehearsal: Rehearsal,
  { format, keep }: RehearseOptions
): Promise<Exit> => {
  const { flows } = questions
  progress(`${flows.length} probes`)
  const predict = prediction(plan)
  const answers = await verified<Question, Measured>(rehearsal.measure, flows, predict)
  erase()
  if (keep) await explore(script, rehearsal)
  const log = complaints(await rehearsal.close())
  const wrong = mismatches(flows, answers, predict)
  const troubles = rehearsal.troubles()
  if (format === 'json') {
    process.stdout.write(jsonText(script, questions, answers, predict, troubles, log))
    return wrong.length === 0 ? 0 : 1
  }
  process.stdout.write(shown(matrixText(questions, answers)))
  for (const trouble of troubles) say(troubleText(trouble))
  for (const line of log) say(`systemd-networkd: ${line}`)
  for (const note of script.notes) say(note)
  for (const { flow, measured, predicted } of wrong.slice(0, SHOWN))
    process.stdout.write(
      shown(
        `\nnot as predicted: ${flowText(flow)}\n  predicted  ${answerText(predicted)}\n  measured   ${answerText(measured)}\n`
      )
    )
  if (wrong.length > SHOWN) process.stdout.write(`\nand ${wrong.length - SHOWN} more\n`)
  process.stdout.write(
    wrong.length === 0
      ? `\nas predicted: ${plural(flows.length, 'flow')} between ${plural(questions.places.length, 'place')}\n`
      : `\nnot as predicted: ${wrong.length} of ${plural(flows.length, 'flow')}\n`
  )
  return wrong.length === 0 ? 0 : 1
}

const SHOWN = 20

const NEVER: Measured = { seen: 'timeout', by: undefined, source: undefined, reached: undefined }

const prediction = (plan: Plan): ((flow: Flow) => Answer) => {
  const world = worldOf(plan)
  const known = new Map<Flow, Answer>()
  return flow => {
    const answer = known.get(flow) ?? trace(world, flow)
    known.set(flow, answer)
    return answer
  }
}

const troubleText = ({ kind, space, what, said }: Trouble): string => {
  const where = space === '-' ? 'the host' : `"${space}"`
  const because =
    said.length === 0 ? '' : `: ${said.filter(line => !line.startsWith('Command failed')).join('; ')}`
  return kind === 'gone'
    ? `container ${where} does not start${because}`
    : kind === 'missing'
      ? `systemd-networkd has not given ${space} the address ${what}`
      : `${what} of ${where} fails${because}`
}

const dryRun = (script: Script): string =>
  shellText(script, {
    networkd: script.units === undefined ? undefined : 'systemd-networkd',
    prober: undefined
  })

const unable = ({ unable, help }: Unable): Exit => {
  say(`this machine cannot rehearse: ${unable}; nothing was changed`)
  for (const line of help) say(line)
  return 3
}

const jsonText = (
  script: Script,
  questions: Questions,
  answers: readonly Measured[],
  predict: (flow: Flow) => Answer,
  troubles: readonly Trouble[],
  log: readonly string[]
): string => {
  const plain = ({ seen, by, source }: Answer): object => ({
    seen,
    ...(by === undefined ? {} : { by: placeName(by) }),
    ...(source === undefined ? {} : { source: formatAddr(source) })
  })
  const flows = questions.flows.map((flow: Question, i) => {
    const measured = answers[i] ?? NEVER
    const predicted = predict(flow)
    return {
      from: placeName(flow.from),
      ...(flow.asked === undefined ? {} : { to: placeName(flow.asked) }),
      address: formatAddr(flow.to),
      family: flow.to.family,
      protocol: flow.protocol,
      ...(flow.port === undefined ? {} : { port: flow.port }),
      ...plain(measured),
      ...(agrees(measured, predicted) ? {} : { predicted: plain(predicted) })
    }
  })
  const report = {
    version: 1,
    places: questions.places.map(placeName),
    flows,
    mismatches: flows.filter(flow => 'predicted' in flow).length,
    troubles,
    networkd: log,
    notes: script.notes
  }
  return `${JSON.stringify(report, null, 2)}\n`
}

/** A shell in the namespaces, as if at a prompt of the host. */
const explore = (script: Script, rehearsal: Rehearsal): Promise<void> =>
  new Promise(resolve => {
    const inner = rehearsal.inner()
    if (inner === undefined || !process.stdin.isTTY) {
      say('--keep needs a terminal')
      resolve()
      return
    }
    say('you are on the host of the network; "exit" takes it down')
    say(`ip netns exec NAME COMMAND looks from inside: ${script.spaces.map(({ name }) => name).join(', ')}`)
    const shell = spawn(
      'nsenter',
      [
        `--target=${inner}`,
        '--user',
        '--preserve-credentials',
        '--net',
        '--mount',
        '--pid',
        '--ipc',
        '--uts',
        'sh',
        '-i'
      ],
      { stdio: 'inherit', env: { ...process.env, PS1: 'netplan rehearsal # ' } }
    )
    shell.on('error', () => resolve())
    shell.on('close', () => resolve())
  })

const isTerminal = (): boolean => process.stderr.isTTY

/** A line that the next one takes the place of. */
const progress = (what: string): void => {
  if (isTerminal()) process.stderr.write(`\r\u001b[Knetplan: ${PHASES[what] ?? what} …`)
}

const erase = (): void => {
  if (isTerminal()) process.stderr.write('\r\u001b[K')
}

const PHASES: Readonly<Record<string, string>> = {
  attach: 'containers are plugged in',
  inside: 'containers set their addresses',
  ends: 'the host sets its own',
  late: 'bridges get their addresses'
}
