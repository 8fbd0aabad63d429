import * as fc from 'fast-check'
import { analyze } from '../src/index.ts'
import { type Addr, parseAddr } from '../src/net/addr.ts'
import type { Plan } from '../src/plan/plan.ts'
import { type Answer, type Flow, placeKey, placeName } from '../src/reach/flow.ts'
import { foretold, type Hop, trace } from '../src/reach/trace.ts'
import { worldOf } from '../src/reach/world.ts'
import { agreesWith, type Mismatch, mismatches, verified } from '../src/rehearse/compare.ts'
import { isOpen } from '../src/rehearse/doubled.ts'
import { type Question, questionsOf } from '../src/rehearse/flows.ts'
import { answerText, flowText } from '../src/report/matrix.ts'
import { type Measured, programsFor, rehearse, type Trouble } from '../src/rehearse/run.ts'
import { scriptOf } from '../src/rehearse/script.ts'
import { anyNetwork } from './fidelity-topologies.ts'
import { toYaml, type Value } from './topologies.ts'

// Holds the prediction against real packets in random networks, cell by cell.

/** What came of one network. */
export interface Compared {
  readonly text: string
  readonly flows: readonly Question[]
  readonly answers: readonly Measured[]
  readonly wrong: readonly Mismatch<Question>[]
  /** How many depend on which of two equal addresses answers, which is chance: they are not compared. */
  readonly open: number
  /** How many were seen in the other of two ways, where the prediction says that it depends on who has spoken before. */
  readonly either: number
  readonly troubles: readonly Trouble[]
}

/** So many flows are asked besides those of `netplan rehearse`. */
const MORE = 80

/** Addresses that nobody has: on the bridges, on pairs, beside the uplink, behind routes, and nowhere. */
const NOWHERE =
  '10.20.0.200 10.21.0.200 10.40.0.7 10.50.0.99 10.9.0.88 10.70.0.5 10.71.0.5 10.99.0.1 fd00:20::200 fd00:21::200 fd00:40::7 fd00:9::88 fd00:99::1'

/**
 * So many of them are asked of by a machine: of a router that has no route, Linux says so to each sender five times at once
 * and then once in a second (ip_error), and nobody can say which of more flows will hear it.
 */
const UNKNOWN = 4

const PORTS = [
  ['tcp', 80],
  ['udp', 53],
  ['tcp', 8080],
  ['tcp', 9001],
  ['udp', 9001],
  ['icmp', undefined],
  ['tcp', 444],
  ['udp', 9]
] as const

const isLoopback = ({ family, value }: Addr): boolean => (family === 4 ? value >> 24n === 127n : value === 1n)

/** What `netplan rehearse` asks, and some of all else that could be asked. */
const flowsOf = (plan: Plan): readonly Question[] => {
  const questions = questionsOf(plan)
  const world = worldOf(plan)
  const nowhere = NOWHERE.split(' ').flatMap((text): Addr[] => {
    const parsed = parseAddr(text)
    return 'value' in parsed ? [parsed.value] : []
  })
  const known = new Map<string, Addr>()
  for (const { to } of questions.flows) known.set(`${to.family} ${to.value}`, to)
  const targets = [...known.values(), ...nowhere]
  const { places, flows } = questions
  const key = ({ from, to, protocol, port }: Omit<Question, 'asked'>): string =>
    `${placeKey(from)} ${to.family} ${to.value} ${protocol} ${port}`
  const asked = new Set(flows.map(key))
  const all = places.length * targets.length * PORTS.length
  const step = Math.max(1, Math.floor(all / MORE)) | 1
  const more: Question[] = []
  const unknown = new Map<string, number>()
  const owners = new Map(
    flows.flatMap(({ to, asked }) =>
      asked === undefined ? [] : [[`${to.family} ${to.value}`, placeKey(asked)]]
    )
  )
  for (let i = 0; i < all; i += step) {
    const from = places[i % places.length]
    const to = targets[Math.floor(i / places.length) % targets.length]
    const [protocol, port] = PORTS[Math.floor(i / places.length / targets.length) % PORTS.length] ?? [
      'icmp',
      undefined
    ]
    if (from === undefined || to === undefined) continue
    if (owners.get(`${to.family} ${to.value}`) === placeKey(from)) continue
    if (nowhere.includes(to)) {
      const count = unknown.get(placeKey(from)) ?? 0
      if (count >= UNKNOWN) continue
      unknown.set(placeKey(from), count + 1)
    }
    const flow = { from, to, protocol, port, asked: undefined }
    if (!asked.has(key(flow))) more.push(flow)
    asked.add(key(flow))
  }
  // A container that does not start does not even ask itself: there is nothing to compare.
  return [...flows, ...more].filter(
    ({ from, to }) => !isLoopback(to) || world.machineAt(from)?.failure === undefined
  )
}

/** Brings a network up and asks these flows; what is not as predicted is asked a second time. */
export const answersOf = async (
  plan: Plan,
  flows: readonly Question[],
  signal: AbortSignal
): Promise<Pick<Compared, 'answers' | 'troubles'>> => {
  const script = scriptOf(plan)
  const programs = programsFor(script)
  if ('unable' in programs) throw new Error(programs.unable)
  const { services } = questionsOf(plan)
  const rehearsal = await rehearse(script, programs, { services, signal, progress: () => {} })
  if ('unable' in rehearsal) throw new Error(rehearsal.unable)
  const world = worldOf(plan)
  try {
    const answers = await verified<Question, Measured>(rehearsal.measure, flows, flow =>
      foretold(world, flow)
    )
    return { answers, troubles: rehearsal.troubles() }
  } finally {
    await rehearsal.close()
  }
}

/** Brings a network up, and compares all that is measured with what is predicted. */
export const compared = async (text: string, signal: AbortSignal): Promise<Compared> => {
  const { plan, report } = await analyze({ file: 'topology.yaml', text })
  if (plan === undefined) throw new Error(`it is no topology: ${report.findings[0]?.message}\n${text}`)
  const world = worldOf(plan)
  const asked = flowsOf(plan)
  const isByChance = isOpen(world)
  const flows = asked.filter(flow => !isByChance(flow))
  const predict = (flow: Flow): Answer => foretold(world, flow)
  const { answers, troubles } = await answersOf(plan, flows, signal)
  const wrong = mismatches(flows, answers, predict)
  return {
    text,
    flows,
    answers,
    either:
      flows.filter((flow, i) => {
        const answer = answers[i]
        return answer !== undefined && !agreesWith(answer, predict(flow))
      }).length - wrong.length,
    wrong,
    open: asked.length - flows.length,
    troubles
  }
}

/** The same, where what is not as predicted has to be so in a second rehearsal as well: machines are busy at times. */
export const comparedTwice = async (text: string, signal: AbortSignal): Promise<Compared> => {
  const first = await compared(text, signal)
  return first.wrong.length === 0 ? first : compared(text, signal)
}

const SHOWN = 12

/** What is not as predicted, for people. */
export const complaint = async ({ text, flows, wrong, troubles }: Compared): Promise<string> => {
  const { plan } = await analyze({ file: 'topology.yaml', text })
  if (plan === undefined) return ''
  const world = worldOf(plan)
  return [
    text,
    ...troubles.map(({ kind, space, what, said }) => `${kind} ${space} ${what}: ${said.join('; ')}`),
    `${wrong.length} of ${flows.length} flows are not as predicted`,
    ...wrong.slice(0, SHOWN).map(({ flow, measured, predicted }) => {
      const hops: Hop[] = []
      const { disposition } = trace(world, flow, hops)
      return [
        flowText(flow),
        `  predicted  ${answerText(predicted)} (${disposition})`,
        `  measured   ${answerText(measured)}`,
        ...hops.map(({ at, step }) => `    ${placeName(at.place)} ${step.kind}`)
      ].join('\n')
    })
  ].join('\n')
}

export interface Result {
  readonly seed: number
  /** Of all networks that were tried for this seed, those that a failure was shrunk by included: the first. */
  readonly flows: number
  readonly wrong: number
  /** The smallest network that was not as predicted. */
  readonly failed: Compared | undefined
  readonly either: number
  readonly open: number
}

/** Draws the network of a seed and compares it; one that is not as predicted is made smaller for so many milliseconds. */
export const fidelityOf = async (seed: number, shrinking: number, signal: AbortSignal): Promise<Result> => {
  let first: Compared | undefined
  let failed: Compared | undefined
  const { errorInstance } = await fc.check(
    fc.asyncProperty(anyNetwork, async data => {
      const result = await comparedTwice(toYaml(data as Value), signal)
      first ??= result
      if (result.wrong.length === 0) return true
      failed = result
      return false
    }),
    {
      seed,
      numRuns: 1,
      ...(shrinking === 0 ? { endOnFailure: true } : { interruptAfterTimeLimit: shrinking })
    }
  )
  if (first === undefined) throw errorInstance ?? new Error(`nothing was rehearsed for the seed ${seed}`)
  return {
    seed,
    flows: first.flows.length,
    wrong: first.wrong.length,
    either: first.either,
    open: first.open,
    failed
  }
}
