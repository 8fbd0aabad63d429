import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { analyze, type Plan } from '../src/index.ts'
import { formatAddr, parseAddr } from '../src/net/addr.ts'
import { type Attempt, type Judgement, judging } from '../src/reach/expect.ts'
import { type Answer, type Flow, placeKey, placeName } from '../src/reach/flow.ts'
import { worldOf } from '../src/reach/world.ts'
import { measured, withoutRehearsal, wordsOf } from './rehearse.ts'

// Each mistake of docs/mistakes.json that keeps somebody from somebody else, three times over: the rule tells it, the
// prediction says so, and the packets do; and all three say the contrary of the same network without the mistake. What only
// looks like one (`fine`) has to work.

const folder = new URL('rehearsed/', import.meta.url)
const SLOW = 60_000

interface Case {
  readonly row: string
  /** `fine` where there is no mistake. */
  readonly severity: string
  readonly rule: string
  readonly wrong: string
  readonly mended: string
  /** What the sender sees of each expectation that the mistake breaks, by its place in the list. */
  readonly broken: ReadonlyMap<number, string>
}

const HEAD = /^-- ([A-F]\d+): (error|warning|hint|fine)(?: ([a-z0-9-]+))? --\n/m

const side = (lines: readonly string[], sign: '-' | '+'): string =>
  lines
    .filter(line => line === '' || line.startsWith(' ') || line.startsWith(sign))
    .map(line => `${line.slice(1)}\n`)
    .join('')

/** The tests of a topology, one in a line. */
const tests = (text: string): readonly string[] =>
  text
    .split(/^expect:\n/m)[1]
    ?.split('\n')
    .filter(line => line.startsWith('  - ')) ?? []

const casesOf = (file: string): readonly Case[] => {
  const [, ...parts] = readFileSync(new URL(file, folder), 'utf8').split(HEAD)
  return Array.from({ length: parts.length / 4 }, (_, i) => {
    const [row = '', severity = '', rule = '', text = ''] = parts.slice(4 * i, 4 * i + 4)
    const lines = text.split('\n')
    const wrong = side(lines, '-')
    const seen = tests(wrong).map(line => / # ([a-z-]+)$/.exec(line)?.[1])
    return {
      row,
      severity,
      rule,
      wrong,
      mended: side(lines, '+'),
      broken: new Map(seen.flatMap((word, k) => (word === undefined ? [] : [[k, word] as const])))
    }
  })
}

const cases = readdirSync(folder)
  .filter(file => file.endsWith('.txt'))
  .flatMap(casesOf)

const json = (path: string): Readonly<Record<string, unknown>> =>
  JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as Readonly<Record<string, unknown>>

const mistakes = cases.filter(({ severity }) => severity !== 'fine')
const fine = cases.filter(({ severity }) => severity === 'fine')

test('each row of the catalogue is rehearsed once, or a word says why it is not', () => {
  const rows = (list: readonly Case[]): readonly string[] => [...new Set(list.map(({ row }) => row))]
  const without = json('rehearsed/not.json')
  expect([...rows(mistakes), ...rows(fine), ...Object.keys(without)].sort()).toEqual(
    Object.keys(json('../docs/mistakes.json')).sort()
  )
  for (const reason of Object.values(without)) expect(reason).toMatch(/^[a-z]+$/)
})

/** A network as check, the prediction and the packets see it. */
interface Seen {
  readonly text: string
  readonly plan: Plan
  readonly found: readonly string[]
  readonly judged: readonly Judgement[]
  readonly attempts: readonly Attempt[]
}

const seen = async (text: string): Promise<Seen> => {
  const { report, plan } = await analyze({ file: 'topology.yaml', text })
  if (plan === undefined) throw new Error(`it is no topology: ${report.findings[0]?.message}`)
  const judged = plan.topology.expectations.map(judging(worldOf(plan)))
  return {
    text,
    plan,
    found: report.findings.map(({ severity, rule }) => `${severity} ${rule}`),
    judged,
    attempts: judged.flatMap(({ attempts }) => attempts)
  }
}

const words = ({ from, to, protocol, port }: Flow): string =>
  `${placeKey(from)} -> ${formatAddr(to)} ${port === undefined ? 'ping' : `${protocol} ${port}`}`

const network = (text: string): string => text.split(/^expect:\n/m)[0] ?? ''

/** Mends of several mistakes may come to the same network, which is rehearsed once then, with the flows of all. */
const sharing = new Map<string, string[]>()
for (const { wrong, mended } of cases)
  for (const text of [wrong, mended])
    sharing.set(network(text), [...(sharing.get(network(text)) ?? []), text])

const rehearsals = new Map<string, Promise<ReadonlyMap<string, Answer>>>()

/** So many at a time: they wait for packets more than they work. */
const lanes: Promise<unknown>[] = [0, 1, 2].map(() => Promise.resolve())

const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
  const [lane = Promise.resolve()] = lanes.splice(0, 1)
  const done = lane.then(work)
  lanes.push(done.catch(() => {}))
  return done
}

const rehearsal = (text: string): Promise<ReadonlyMap<string, Answer>> => {
  const key = network(text)
  const known = rehearsals.get(key) ?? inTurn(() => answers(sharing.get(key) ?? [text]))
  rehearsals.set(key, known)
  return known
}

const answers = async (texts: readonly string[]): Promise<ReadonlyMap<string, Answer>> => {
  const all = await Promise.all(texts.map(seen))
  const traces = new Map(
    all.flatMap(({ attempts }) => attempts.map(({ flow, trace }) => [flow, trace] as const))
  )
  const [first] = all
  if (first === undefined) throw new Error('nothing to rehearse')
  const flows = [...new Map([...traces.keys()].map(flow => [words(flow), flow])).values()]
  const found = await measured(first.plan, flows, flow => traces.get(flow) ?? UNASKED)
  return new Map(flows.map(flow => [words(flow), found.get(flow) ?? UNASKED]))
}

const UNASKED: Answer = { seen: 'timeout', by: undefined, source: undefined }

/** What has become of each flow. */
const told = (attempts: readonly Attempt[], answer: (attempt: Attempt) => Answer): readonly string[] =>
  attempts.map(attempt => `${words(attempt.flow)}: ${wordsOf(answer(attempt))}`)

/** Whether an expectation is met by what has been measured: whoever was meant has got it, of each family. */
const isMet = (
  { expectation: { outcome, to }, attempts }: Judgement,
  measured: ReadonlyMap<string, Answer>
): boolean => {
  const reached = attempts.flatMap(({ flow }) => {
    const { seen, by } = measured.get(words(flow)) ?? UNASKED
    const isMeant = by !== undefined && ('value' in parseAddr(to) || placeName(by) === to)
    return (seen === 'answered' || seen === 'refused') && isMeant ? [flow.to.family] : []
  })
  const families = new Set(attempts.map(({ flow }) => flow.to.family))
  return outcome === 'reaches' ? new Set(reached).size === families.size : reached.length === 0
}

describe.each(mistakes)('$row: $rule, $severity', ({ severity, rule, wrong, mended, broken }) => {
  test('the mistake is told, and predicted', async () => {
    const { found, judged } = await seen(wrong)
    expect(found).toContain(`${severity} ${rule}`)
    expect(broken.size).toBeGreaterThan(0)
    expect(judged.map(({ holds }) => holds)).toEqual(judged.map((_, i) => !broken.has(i)))
    for (const [i, word] of broken)
      expect([i, judged[i]?.attempts.map(({ trace }) => trace.seen)]).toEqual([
        i,
        expect.arrayContaining([word])
      ])
  })

  test('the mend leaves nothing to tell, and everything is reached', async () => {
    const { found, judged } = await seen(mended)
    expect(found.filter(line => line.endsWith(` ${rule}`) || line.startsWith('error '))).toEqual([])
    expect(judged.map(({ holds, doubt }) => [holds, doubt])).toEqual(judged.map(() => [true, undefined]))
  })
})

test.each(fine)('$row is no error, and everything is reached', async ({ mended }) => {
  const { found, judged } = await seen(mended)
  expect(found.filter(line => line.startsWith('error '))).toEqual([])
  expect(judged.map(({ holds, doubt }) => [holds, doubt])).toEqual(judged.map(() => [true, undefined]))
})

describe.skipIf(withoutRehearsal()).concurrent('packets', () => {
  test.each(cases)('$row: $rule', { timeout: SLOW }, async ({ wrong, mended, broken }) => {
    for (const text of [wrong, mended]) {
      const { judged, attempts } = await seen(text)
      const found = await rehearsal(text)
      expect(told(attempts, ({ flow }) => found.get(words(flow)) ?? UNASKED)).toEqual(
        told(attempts, ({ trace }) => trace)
      )
      expect(judged.map(judgement => isMet(judgement, found))).toEqual(
        judged.map((_, i) => text === mended || !broken.has(i))
      )
    }
  })
})
