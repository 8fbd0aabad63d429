import type { Label, Problem } from '../findings/finding.ts'
import type { Expectation } from '../model/topology.ts'
import type { FreeAddress } from '../plan/addresses.ts'
import type { Plan } from '../plan/plan.ts'
import { quote } from '../text/path.ts'
import { nearest } from '../text/words.ts'
import { type Attempt, judging, type Judgement, namesOf } from './expect.ts'
import { closeOf, mendOf } from './mend.ts'
import { endText, hopPlace, isOutside, shortTrace, wayText, whatIs } from './told.ts'
import { type World, worldOf } from './world.ts'

/** What is wrong with the expectations of a file, in their order. */
export const failures = function* (plan: Plan, free: FreeAddress): Generator<Problem> {
  const world = worldOf(plan)
  const judge = judging(world)
  let names: ReadonlySet<string> | undefined
  let sought = 0
  for (const expectation of plan.topology.expectations) {
    const judgement = judge(expectation)
    const { holds, fault } = judgement
    if (fault?.kind === 'nobody' && fault.end !== undefined) {
      names ??= namesOf(world)
      sought += 1
      yield unknown(
        expectation,
        fault.end,
        sought > SOUGHT ? undefined : nearest(expectation[fault.end], names)
      )
    } else if (!holds) yield failed(world, free, judgement)
  }
}

/** For so many names the nearest one is looked for. */
const SOUGHT = 20

const unknown = (expectation: Expectation, end: 'from' | 'to', near: string | undefined): Problem => {
  const name = expectation[end]
  return {
    message: `an expectation is about ${quote(name)}, and nobody in the file is called that`,
    labels: [{ at: [...expectation.at, end], text: 'nobody has this name or address' }],
    note: 'as long as the name stands for nobody, nothing is tested, and the expectation counts as not met',
    help:
      near === undefined
        ? 'write the name of a container or machine, host, lan, internet, or an address that one of them has'
        : `write ${end}: ${near}`
  }
}

const failed = (world: World, free: FreeAddress, judgement: Judgement): Problem => {
  const { expectation, fault, doubt, attempts } = judgement
  const [attempt] = attempts
  const { at, outcome, why } = expectation
  const wish = outcome === 'reaches' ? 'is to be reached' : 'is to be blocked'
  const label: Label = { at, text: why === undefined ? wish : `${wish}: ${why}` }
  if (fault !== undefined || attempt === undefined) return untried(expectation, label, judgement)
  const isTold = doubt === undefined
  const reason = outcome === 'reaches' ? endText(attempt) : wayText(attempt)
  const remedy = outcome === 'reaches' ? mendOf(world, attempt, free) : closeOf(world, attempt)
  return {
    message: isTold
      ? `${what(expectation, attempt)}: ${reason}`
      : `whether ${asked(expectation, attempt)} cannot be told: ${doubt}`,
    labels: [label, ...cause(expectation, attempt)],
    note: shortTrace(attempt),
    help:
      (isTold ? remedy?.text : undefined) ??
      (isTold
        ? `write outcome: ${outcome === 'reaches' ? 'blocked' : 'reaches'}, if that is what is meant`
        : 'write down what is missing, or test it by hand'),
    ...severity(judgement, attempt)
  }
}

const what = (expectation: Expectation, attempt: Attempt): string =>
  flowOf(expectation, expectation.outcome === 'reaches' ? 'does not reach' : 'reaches', attempt)

const asked = (expectation: Expectation, attempt: Attempt): string => flowOf(expectation, 'reaches', attempt)

const flowOf = ({ from, to, port }: Expectation, verb: string, { flow }: Attempt): string => {
  const service = flow.protocol === 'icmp' ? 'with a ping' : `on ${whatIs({ protocol: flow.protocol, port })}`
  return `${quote(from)} ${verb} ${quote(to)} ${service}${flow.to.family === 6 ? ' by IPv6' : ''}`
}

/** What decides, where it stands in the file. */
const cause = ({ outcome }: Expectation, { trace }: Attempt): readonly Label[] => {
  const hop =
    outcome === 'reaches'
      ? trace.hops.at(-1)
      : (trace.hops.find(({ step }) => step.kind === 'to') ??
        trace.hops.find(({ step }) => step.kind === 'let-in'))
  const at = hop && hopPlace(hop)
  if (hop === undefined || at === undefined || at.length === 0) return []
  const text =
    outcome === 'reaches' ? CAUSES[hop.step.kind] : hop.step.kind === 'to' ? 'sends it on' : 'lets it in'
  return text === undefined ? [] : [{ at, on: 'key', text }]
}

const CAUSES: Readonly<Record<string, string>> = {
  closed: 'does not let it in',
  filtered: 'drops what nothing accepts',
  forged: 'drops what it takes for forged',
  'no-neighbour': 'the route that it takes'
}

/** A router outside may know more than the file; only a hint where what decides is not in it. */
const severity = ({ expectation, doubt }: Judgement, { trace }: Attempt): Pick<Problem, 'severity'> => {
  if (doubt !== undefined) return { severity: 'hint' }
  const last = trace.hops.at(-1)
  return expectation.outcome === 'reaches' &&
    expectation.from === 'lan' &&
    last?.step.kind === 'no-route' &&
    isOutside(last.at)
    ? { severity: 'warning' }
    : {}
}

const UNTRIED: Readonly<Record<string, string>> = {
  off: 'nothing; it is tested once both are on',
  outside:
    'write that interface into host.interfaces, such as enp1s0: { dhcp: true }, with its address of that family'
}

const untried = (expectation: Expectation, label: Label, { fault, doubt }: Judgement): Problem => {
  const { from, to, at, family } = expectation
  const { end, text = 'nothing could be tried', kind } = fault ?? {}
  const labels: Problem['labels'] =
    end === undefined
      ? [label]
      : [
          { at: [...at, end], text },
          { ...label, on: 'key' }
        ]
  if (doubt !== undefined)
    return {
      message: `whether ${quote(from)} reaches ${quote(to)} cannot be told: ${doubt}`,
      labels,
      note: 'the expectation is not tested',
      help: UNTRIED[kind ?? ''] ?? 'test it by hand',
      severity: 'hint'
    }
  const option = family === 6 ? 'localAddress6' : 'localAddress'
  return {
    message: `${quote(from)} does not reach ${quote(to)}: ${text}`,
    labels,
    note: 'who has no address sends nothing and is sent nothing',
    help:
      kind === 'no-family'
        ? `give one of them an address of the other's family (localAddress or localAddress6)`
        : `give ${quote(expectation[end ?? 'to'])} one (${option}), or write outcome: blocked, if that is what is meant`
  }
}
