import { analyze } from '../index.ts'
import { formatAddr } from '../net/addr.ts'
import type { Plan } from '../plan/plan.ts'
import { addressesOf, arrives, type Attempt, judge, type Judgement, machineOf } from '../reach/expect.ts'
import { type Flow, placeName } from '../reach/flow.ts'
import { type Hop, trace as follow, type Trace } from '../reach/trace.ts'
import { type World, worldOf } from '../reach/world.ts'
import { questionsOf } from '../rehearse/flows.ts'
import { matrixText } from '../rehearse/matrix.ts'
import { pretty } from '../report/pretty.ts'
import { formatPath, quote } from '../text/path.ts'
import { plural } from '../text/words.ts'
import { DEFAULT_FILE, readSource } from './read.ts'
import { type Exit, paint, say, shown, word } from './terminal.ts'

/** Prints who reaches whom as far as the file tells, and what became of its expectations: 1 where one fails. */
export const reach = async (written: string | undefined, format: 'table' | 'json'): Promise<Exit> => {
  const file = written ?? DEFAULT_FILE
  const plan = await planned(file)
  if (typeof plan === 'number') return plan
  const world = worldOf(plan)
  const questions = questionsOf(plan)
  const answers = questions.flows.map(flow => follow(world, flow))
  const judged = plan.topology.expectations.map(expectation => judge(world, expectation))
  const failed = judged.filter(({ holds }) => !holds)
  if (format === 'json')
    process.stdout.write(
      `${JSON.stringify(
        {
          version: 1,
          flows: questions.flows.map(({ from, to, protocol, port }, i) => {
            const { disposition, seen, by, source } = answers[i] ?? {}
            return {
              from,
              to: formatAddr(to),
              protocol,
              port: port ?? null,
              disposition,
              seen,
              by: by ?? null,
              source: source === undefined ? null : formatAddr(source)
            }
          }),
          expectations: judged.map(({ expectation, holds, fault, attempts: [first] }) => ({
            path: expectation.at,
            holds,
            fault: fault ?? null,
            disposition: first?.trace.disposition ?? null
          }))
        },
        null,
        2
      )}\n`
    )
  else
    process.stdout.write(
      shown(
        `${matrixText(questions, answers)}${judged.length === 0 ? '' : `\n${judged.flatMap(judgementLines).join('\n')}\n`}`
      )
    )
  if (failed.length > 0) say(`${plural(failed.length, 'expectation')} of ${judged.length} not met`)
  return failed.length > 0 ? 1 : 0
}

/** Tells one flow hop by hop: 1 where it does not arrive. */
export const traceFlow = async (file: string, from: string, target: string): Promise<Exit> => {
  const plan = await planned(file)
  if (typeof plan === 'number') return plan
  const world = worldOf(plan)
  const flows = flowsOf(world, from, target)
  if ('fault' in flows) {
    say(flows.fault)
    return 2
  }
  const traces = flows.map((flow): Attempt => {
    const hops: Hop[] = []
    return { flow, trace: { ...follow(world, flow, hops), hops } }
  })
  process.stdout.write(shown(`${traces.map(attempt => attemptLines(attempt).join('\n')).join('\n\n')}\n`))
  return traces.some(({ trace }) => arrives(trace)) ? 0 : 1
}

const planned = async (file: string): Promise<Plan | Exit> => {
  const source = readSource(file)
  if ('error' in source) {
    say(`cannot read ${file === '' ? '""' : file}: ${source.error}`)
    return 2
  }
  const { report, plan } = await analyze(source)
  const findings = report.findings.filter(({ severity }) => severity === 'error')
  if (plan === undefined) {
    process.stderr.write(pretty([{ source, findings }], paint(process.stderr)))
    return 1
  }
  if (findings.length > 0)
    say(`${plural(findings.length, 'error')} in ${source.file}; "netplan check ${word(file)}" tells what`)
  return plan
}

/** `internet:443`, `web:53/udp`, `[fd00::2]:80`, or a name or address alone for a ping. */
const TARGET =
  /^(?:\[([^\]]+)\]|([^:[\]]+)|([0-9a-fA-F:.]*:[0-9a-fA-F:.]*:[0-9a-fA-F:.]*))(?::(\d{1,5})(?:\/(tcp|udp))?)?$/

const flowsOf = (
  world: World,
  from: string,
  target: string
): readonly Flow[] | { readonly fault: string } => {
  const [whole, bracketed, name, bare, port, protocol] = TARGET.exec(target) ?? []
  const to = bracketed ?? name ?? bare
  if (whole === undefined || to === undefined)
    return { fault: `${quote(target)} is no target; write NAME, NAME:PORT or NAME:PORT/udp` }
  const sender = machineOf(world, from)
  if (sender === undefined) return { fault: `nobody is called ${quote(from)}; ${known(world)}` }
  const addresses = addressesOf(world, to)
  if (addresses === undefined) return { fault: `nobody is called ${quote(to)}; ${known(world)}` }
  if (addresses.length === 0) return { fault: `${quote(to)} has no address` }
  return addresses.map(addr => ({
    from: sender.place,
    to: addr,
    protocol: port === undefined ? 'icmp' : protocol === 'udp' ? 'udp' : 'tcp',
    port: port === undefined ? undefined : Number(port)
  }))
}

const known = ({ machines }: World): string =>
  `there are ${[...new Set(machines.map(({ place }) => placeName(place)))].slice(0, 20).join(', ')}`

const judgementLines = (judgement: Judgement): readonly string[] => {
  const { expectation, holds, fault, attempts } = judgement
  const { from, to, port, protocol, outcome, why, at } = expectation
  const what = `${from} -> ${to}${port === undefined ? '' : ` ${protocol} ${port}`} ${outcome}`
  if (holds) return [`met      ${what}`]
  const [first] = attempts
  return [
    `not met  ${what}${why === undefined ? '' : ` (${why})`}, ${formatPath(at)}`,
    ...(fault === undefined ? [] : [`  ${fault}`]),
    ...(first === undefined ? [] : attemptLines(first).map(line => `  ${line}`))
  ]
}

const attemptLines = ({ flow, trace }: Attempt): readonly string[] => [
  `${placeName(flow.from)} -> ${formatAddr(flow.to)} ${flow.port === undefined ? 'ping' : `${flow.protocol} ${flow.port}`}: ${ENDS[trace.disposition]}`,
  ...trace.hops.map(
    ({ at, what, because }) =>
      `  ${placeName(at)} ${what}${because === undefined ? '' : ` (${formatPath(because)})`}`
  )
]

const ENDS: Readonly<Record<Trace['disposition'], string>> = {
  answered: 'answered',
  refused: 'arrives, and nobody listens there',
  rejected: 'refused by a firewall',
  'no-address': 'the sender is not there',
  'no-route': 'somebody on the way has no route',
  'no-neighbour': 'nobody has the address on the last link',
  'not-forwarded': 'a machine on the way does not forward',
  filtered: 'dropped by a firewall',
  'forged-source': 'dropped, its source is not routed back the way it came',
  'no-way-back': 'arrives, and the answer does not come back',
  'answered-by-another-way': 'arrives, and the answer comes back from another address'
}
