import { formatAddr } from '../net/addr.ts'
import type { Plan } from '../plan/plan.ts'
import { judging } from '../reach/expect.ts'
import { type Answer, type Flow, type Outcome, type Place, placeKey, placeName } from '../reach/flow.ts'
import { foretold } from '../reach/trace.ts'
import { worldOf } from '../reach/world.ts'
import { agrees, mismatches, verified } from '../rehearse/compare.ts'
import { type Doubled, doubled, isOpen } from '../rehearse/doubled.ts'
import { flowKey, further, type Verdict, verdictOf } from '../rehearse/expected.ts'
import { type Question, type Questions, questionsOf } from '../rehearse/flows.ts'
import { printable } from '../report/compact.ts'
import { answerText, flowText, matrixText } from '../report/matrix.ts'
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
import { parseDocument } from '../syntax/document.ts'
import { formatPath, type Path, quote } from '../text/path.ts'
import { linesOf, type Source } from '../text/source.ts'
import { listed, plural } from '../text/words.ts'
import { planned } from './planned.ts'
import { DEFAULT_FILE } from './read.ts'
import { type Exit, say, shown } from './terminal.ts'

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
  if (options.keep && !options.dryRun && !process.stdin.isTTY) {
    say('--keep needs a terminal: it opens a prompt in the network; nothing was changed')
    return 2
  }
  const known = await planned(
    written ?? DEFAULT_FILE,
    written === undefined ? '; name a file: netplan rehearse FILE' : ''
  )
  if (typeof known === 'number') return known
  const { source, plan } = known
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
      progress: progress,
      keep: options.keep
    })
    if ('unable' in rehearsal) {
      if (signal === undefined) return unable(rehearsal)
    } else {
      try {
        const pings = programs.prober?.pings === true
        const result = await measured(plan, script, questions, rehearsal, pings)
        erase()
        return await told(source, plan, result, rehearsal, options)
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

/** What a rehearsal has come to. */
interface Result {
  readonly script: Script
  /** What was asked of all, without what only expectations ask. */
  readonly questions: Questions
  readonly flows: readonly Question[]
  readonly answers: readonly Measured[]
  readonly predict: (flow: Flow) => Answer
  /** Those that depend on which of two equal addresses answers. */
  readonly open: ReadonlySet<Flow>
  readonly verdicts: readonly Verdict[]
  readonly doubled: readonly Doubled[]
  readonly notes: readonly string[]
}

const measured = async (
  plan: Plan,
  script: Script,
  asked: Questions,
  rehearsal: Rehearsal,
  pings: boolean
): Promise<Result> => {
  const world = worldOf(plan)
  const judgements = plan.topology.expectations.map(judging(world))
  const places = new Set(asked.places.map(placeKey))
  const isAsked = ({ from, protocol }: Flow): boolean =>
    (pings || protocol !== 'icmp') && places.has(placeKey(from))
  const questions = { ...asked, flows: asked.flows.filter(isAsked) }
  const flows = [
    ...questions.flows,
    ...further(judgements, asked.flows)
      .filter(isAsked)
      .map((flow): Question => ({ ...flow, asked: undefined }))
  ]
  progress(`${flows.length} probes`)
  const known = new Map<Flow, Answer>()
  const predict = (flow: Flow): Answer => {
    const answer = known.get(flow) ?? foretold(world, flow)
    known.set(flow, answer)
    return answer
  }
  const answers = await verified<Question, Measured>(rehearsal.measure, flows, predict)
  const seen = new Map(flows.map((flow, i) => [flowKey(flow), answers[i]]))
  const receiverOf = (name: string): Place | undefined => world.machineOf(name)?.place
  return {
    script,
    questions,
    flows,
    answers,
    predict,
    open: new Set(flows.filter(isOpen(world))),
    verdicts: judgements.map(judgement =>
      verdictOf(judgement, receiverOf(judgement.expectation.to), flow => seen.get(flowKey(flow)))
    ),
    doubled: doubled(plan, flows, answers),
    notes: pings ? script.notes : [...script.notes, WITHOUT_PERL]
  }
}

const WITHOUT_PERL =
  'nobody was pinged, and it took longer: perl is not installed (perl-base has all it takes)'

/** Prints it. A shell is opened when it has been seen how the network is. */
const told = async (
  source: Source,
  plan: Plan,
  result: Result,
  rehearsal: Rehearsal,
  { format, keep }: RehearseOptions
): Promise<Exit> => {
  const { script, flows, answers, predict, open, verdicts, questions } = result
  const wrong = mismatches(flows, answers, predict).filter(({ flow }) => !open.has(flow))
  const failed = verdicts.filter(({ holds }) => holds === false)
  const exit = wrong.length === 0 && failed.length === 0 ? 0 : 1
  if (format === 'json') {
    if (keep) await explore(script, rehearsal)
    const log = complaints(await rehearsal.close())
    process.stdout.write(jsonText(result, wrong.length, rehearsal.troubles(), log))
    return exit
  }
  const at = await placing(source, [
    ...rehearsal.troubles().map(trouble => pathOf(script, trouble)),
    ...verdicts.map(({ judgement: { expectation } }) => expectation.at),
    ...result.doubled.flatMap(({ claims }) => claims.map(claim => claim.at))
  ])
  const answered = answers.slice(0, questions.flows.length)
  print([
    matrixText(questions, answered).trimEnd(),
    section(
      'Trouble',
      rehearsal
        .troubles()
        .filter(trouble => !isTwice(trouble, rehearsal.troubles()))
        .flatMap(trouble => troubleLines(plan, trouble, at(pathOf(script, trouble))))
    ),
    section(
      'One address, several owners',
      result.doubled.flatMap(one => doubledLines(one, at))
    ),
    section(
      'Expectations',
      verdicts.flatMap(verdict => verdictLines(verdict, at(verdict.judgement.expectation.at)))
    ),
    section(
      'Not as predicted',
      wrong
        .slice(0, SHOWN)
        .flatMap(({ flow, measured, predicted }) => [
          flowText(flow),
          `  predicted: ${answerText(predicted)}`,
          `  measured:  ${answerText(measured)}`
        ])
    ),
    wrong.length > SHOWN ? `  and ${wrong.length - SHOWN} more; --format json has all` : ''
  ])
  if (keep) await explore(script, rehearsal)
  const log = complaints(await rehearsal.close())
  process.stdout.write('\n')
  print([
    section('systemd-networkd complains', log),
    section('Otherwise than on the real machine', result.notes),
    summary(flows.length, questions.places.length, wrong.length, open.size, verdicts)
  ])
  return exit
}

const SHOWN = 20

const NEVER: Measured = { seen: 'timeout', by: undefined, source: undefined, reached: undefined }

const print = (parts: readonly string[]): void => {
  const text = parts.filter(part => part !== '').join('\n\n')
  if (text !== '') process.stdout.write(shown(`${text}\n`))
}

const section = (title: string, lines: readonly string[]): string =>
  lines.length === 0 ? '' : `${title}\n${lines.map(line => `  ${line}`).join('\n')}`

const summary = (
  flows: number,
  places: number,
  wrong: number,
  open: number,
  verdicts: readonly Verdict[]
): string => {
  const met = verdicts.filter(({ holds }) => holds === true).length
  const expected = verdicts.length === 0 ? '' : `; ${met} of ${plural(verdicts.length, 'expectation')} met`
  const chance =
    open === 0
      ? ''
      : `; ${plural(open, 'flow')} ${open === 1 ? 'depends' : 'depend'} on which of two equal addresses answers`
  return wrong === 0
    ? `as predicted: ${plural(flows - open, 'flow')} between ${plural(places, 'place')}${chance}${expected}`
    : `not as predicted: ${wrong} of ${plural(flows - open, 'flow')}${chance}${expected}`
}

/** Where in the file something stands, as editors and terminals can open it. */
const placing = async (
  source: Source,
  paths: readonly (Path | undefined)[]
): Promise<(path: Path | undefined) => string> => {
  const wanted = paths.filter(path => path !== undefined)
  const parsed = wanted.length === 0 ? undefined : await parseDocument(source)
  if (parsed === undefined || 'findings' in parsed)
    return path => (path === undefined ? '' : formatPath(path))
  const lines = linesOf(source.text)
  const spans = parsed.document.locate(wanted.map(at => ({ at, on: 'key' as const })))
  const known = new Map(wanted.map((path, i) => [formatPath(path), lines.position(spans[i]?.start ?? 0)]))
  return path => {
    const position = path && known.get(formatPath(path))
    return position === undefined ? '' : `${printable(source.file)}:${position.line}:${position.column}`
  }
}

/** What in the file a trouble comes from. */
const pathOf = ({ spaces }: Script, { kind, space }: Trouble): Path | undefined => {
  if (kind === 'missing') return ['bridges', space]
  const place = spaces.find(({ name }) => name === space)?.place
  return place?.kind === 'container'
    ? ['containers', place.name]
    : place?.kind === 'vm'
      ? ['vms', place.name]
      : undefined
}

/** A container whose own addresses fail does not start: that says it all. */
const isTwice = ({ kind, what, space }: Trouble, all: readonly Trouble[]): boolean =>
  kind === 'failed' && what === 'init' && all.some(other => other.kind === 'gone' && other.space === space)

const troubleLines = (plan: Plan, { kind, space, what, said }: Trouble, where: string): readonly string[] => {
  const tail = where === '' ? '' : `  (${where})`
  if (kind === 'missing') {
    const isIdle = said.some(line => line.includes('NO-CARRIER'))
    const isEmpty = !plan.links.some(({ bridgeName }) => bridgeName === space)
    const why = isIdle
      ? `: it has no carrier${isEmpty ? ', nothing is plugged into it' : ''}, and its unit does not say ConfigureWithoutCarrier=yes`
      : ''
    const owner = plan.bridges.has(space) ? 'bridge' : 'interface'
    const wanted = what.startsWith('default') ? `the route ${what}` : `its address ${what}`
    return [`${owner} ${quote(space)} has not got ${wanted} from systemd-networkd${why}${tail}`]
  }
  const owner = space === '-' ? 'the host' : quote(space)
  return [
    kind === 'gone' ? `container ${owner} does not start${tail}` : `${what} of ${owner} fails${tail}`,
    ...said.map(line => `  ${line}`)
  ]
}

const doubledLines = ({ addr, claims, answers }: Doubled, at: (path: Path) => string): readonly string[] => [
  `${formatAddr(addr)} is the address of ${listed(claims.map(claim => `${claim.owner} (${at(claim.at)})`))}`,
  ...answers.map(({ by, from }) => `  ${placeName(by)} answers ${listed(from.map(placeName), 12)}`)
]

const verdictLines = ({ judgement, holds, deciding }: Verdict, where: string): readonly string[] => {
  const { expectation, fault, doubt, attempts } = judgement
  const { from, to, port, protocol, outcome, why } = expectation
  const what = `${from} ${outcome === 'reaches' ? 'reaches' : 'does not reach'} ${to}${port === undefined ? '' : `, ${protocol} ${port}`}${why === undefined ? '' : ` (${why})`}`
  if (holds === true) return [`met      ${what}`]
  if (holds === undefined) return [`unsure   ${what}`, `           ${doubt ?? 'it was not measured'}`]
  return [
    `not met  ${what}  (${where})`,
    ...(fault === undefined ? [] : [`           ${fault.text}`]),
    ...(deciding === undefined
      ? []
      : [
          `           measured: ${flowText({ ...deciding.flow, asked: undefined })}: ${answerText(deciding.measured)}`
        ]),
    ...(fault === undefined && judgement.holds && attempts.length > 0
      ? ['           the prediction says that it is met']
      : [])
  ]
}

const dryRun = (script: Script): string =>
  shellText(script, {
    networkd: script.units === undefined ? undefined : 'systemd-networkd',
    prober: undefined
  })

const unable = ({ unable, help }: Unable): Exit => {
  erase()
  say(`this machine cannot rehearse: ${unable}; nothing was changed`)
  for (const line of help) say(line)
  return 3
}

/** docs/rehearse-json.md */
const jsonText = (
  { script, questions, flows, answers, predict, open, verdicts, doubled, notes }: Result,
  wrong: number,
  troubles: readonly Trouble[],
  log: readonly string[]
): string => {
  const plain = ({ seen, by, source }: Outcome): object => ({
    seen,
    by: by === undefined ? null : placeName(by),
    source: source === undefined ? null : formatAddr(source)
  })
  const aim = ({ from, to, protocol, port }: Flow): object => ({
    from: placeName(from),
    address: formatAddr(to),
    protocol,
    port: port ?? null
  })
  const report = {
    version: 1,
    asPredicted: wrong === 0,
    places: questions.places.map(place => ({ kind: place.kind, name: placeName(place) })),
    flows: flows.map((flow, i) => {
      const measured = answers[i] ?? NEVER
      const predicted = predict(flow)
      return {
        ...aim(flow),
        to: flow.asked === undefined ? null : placeName(flow.asked),
        measured: plain(measured),
        predicted: { ...plain(predicted), or: (predicted.or ?? []).map(plain) },
        agrees: agrees(measured, predicted),
        open: open.has(flow)
      }
    }),
    expectations: verdicts.map(({ judgement, holds, deciding }) => ({
      path: judgement.expectation.at,
      met: holds ?? null,
      predicted: judgement.holds,
      fault: judgement.fault?.text ?? null,
      deciding: deciding === undefined ? null : { ...aim(deciding.flow), ...plain(deciding.measured) }
    })),
    doubled: doubled.map(({ addr, claims, answers }) => ({
      address: formatAddr(addr),
      owners: claims.map(({ at, owner }) => ({ path: at, owner })),
      answers: answers.map(({ by, from }) => ({ by: placeName(by), from: from.map(placeName) }))
    })),
    troubles: troubles.map(trouble => ({
      kind: trouble.kind,
      path: pathOf(script, trouble) ?? null,
      what: trouble.what,
      said: trouble.said
    })),
    networkd: log,
    notes
  }
  return `${JSON.stringify(report, null, 2)}\n`
}

/** A shell in the namespaces, as if at a prompt of the host. */
const explore = async ({ spaces }: Script, rehearsal: Rehearsal): Promise<void> => {
  say('this is a prompt on the host of the network; "exit" takes it down')
  say('"ip netns exec NAME COMMAND" is a command inside, "ip -n NAME addr" shows addresses; NAME is one of')
  say(spaces.map(({ name }) => name).join(' '))
  await rehearsal.shell()
}

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
