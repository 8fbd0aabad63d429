import { analyze } from '../src/index.ts'
import type { Plan } from '../src/plan/plan.ts'
import { type Answer, type Flow, placeName } from '../src/reach/flow.ts'
import { formatAddr } from '../src/net/addr.ts'
import { verified } from '../src/rehearse/compare.ts'
import { type Question, questionsOf } from '../src/rehearse/flows.ts'
import { type Measured, type Prober, programsFor, rehearse, type Trouble } from '../src/rehearse/run.ts'
import { scriptOf, type ScriptOptions } from '../src/rehearse/script.ts'
import { absent } from './judge.ts'
import { withoutNetworkd } from './networkd.ts'

// A topology brought up and measured, as `netplan rehearse` does it.

const TOOLS = ['ip', 'unshare', 'nsenter', 'mount', 'nft', 'iptables-restore', 'ip6tables-restore', 'perl']

/** Whether networks cannot be rehearsed here; the reason is printed once. Never true in CI. */
export const withoutRehearsal = (): boolean => absent(TOOLS) || withoutNetworkd()

export interface Outcome {
  readonly flows: readonly Question[]
  readonly answers: readonly Measured[]
  readonly troubles: readonly Trouble[]
  readonly networkd: readonly string[]
  readonly notes: readonly string[]
  /** What became of a flow: `answered containerB <- 192.168.100.2`, or what the sender sees. */
  readonly of: (from: string, to: string, what?: string) => string
}

export const planOf = async (text: string): Promise<Plan> => {
  const { plan } = await analyze({ file: 'topology.yaml', text })
  if (plan === undefined) throw new Error('it is no topology')
  return plan
}

export const wordsOf = ({ seen, by, source }: Answer): string =>
  [seen, by === undefined ? '' : placeName(by), source === undefined ? '' : `<- ${formatAddr(source)}`]
    .filter(word => word !== '')
    .join(' ')

/** Brings it up, asks everything, and takes it down. */
export const rehearsed = async (
  text: string,
  options: ScriptOptions & { readonly probers?: readonly Prober[] } = {}
): Promise<Outcome> => {
  const plan = await planOf(text)
  const script = scriptOf(plan, options)
  const programs = programsFor(script, options.probers)
  if ('unable' in programs) throw new Error(programs.unable)
  const { flows: all, services } = questionsOf(plan)
  const flows = programs.prober?.pings === false ? all.filter(({ protocol }) => protocol !== 'icmp') : all
  const rehearsal = await rehearse(script, programs, {
    services,
    signal: new AbortController().signal,
    progress: () => {}
  })
  if ('unable' in rehearsal) throw new Error(rehearsal.unable)
  const answers = [...(await rehearsal.measure(flows, 400))]
  // A machine that does other things as well may be too slow for the first time.
  const silent = flows.flatMap(({ protocol, port }, i) =>
    answers[i]?.seen === 'answered' || (protocol === 'tcp' && port === 9) ? [] : [i]
  )
  const again = await rehearsal.measure(
    silent.flatMap(i => flows[i] ?? []),
    1300
  )
  for (const [k, i] of silent.entries()) answers[i] = again[k] ?? answers[i]!
  const networkd = await rehearsal.close()
  return {
    flows,
    answers,
    troubles: rehearsal.troubles(),
    networkd,
    notes: script.notes,
    of: (from, to, what = 'ping') => {
      const [protocol, port] = what === 'ping' ? ['icmp', undefined] : what.split(' ')
      const i = flows.findIndex(
        flow =>
          placeName(flow.from) === from &&
          formatAddr(flow.to) === to &&
          flow.protocol === protocol &&
          flow.port === (port === undefined ? undefined : Number(port))
      )
      const answer = answers[i]
      return answer === undefined ? 'not asked' : wordsOf(answer)
    }
  }
}

/** Brings it up and asks some flows; those that are not answered as predicted once more, slowly. */
export const measured = async (
  plan: Plan,
  flows: readonly Flow[],
  predict: (flow: Flow) => Answer
): Promise<ReadonlyMap<Flow, Measured>> => {
  const script = scriptOf(plan)
  const programs = programsFor(script)
  if ('unable' in programs) throw new Error(programs.unable)
  const rehearsal = await rehearse(script, programs, {
    services: questionsOf(plan).services,
    signal: new AbortController().signal,
    progress: () => {}
  })
  if ('unable' in rehearsal) throw new Error(rehearsal.unable)
  const answers = await verified((asked, wait) => rehearsal.measure(asked, wait), flows, predict)
  await rehearsal.close()
  return new Map(
    flows.flatMap((flow, i) => {
      const answer = answers[i]
      return answer === undefined ? [] : [[flow, answer] as const]
    })
  )
}
