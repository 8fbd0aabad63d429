import { formatAddr } from '../net/addr.ts'
import { type Judgement, judging, unaddressed } from '../reach/expect.ts'
import { type Cell, doorExamplesOf, examplesOf, type Matrix, matrixOf, type Spot } from '../reach/matrix.ts'
import { attemptLines } from '../reach/told.ts'
import { type World, worldOf } from '../reach/world.ts'
import { reachText } from '../report/matrix.ts'
import { formatPath } from '../text/path.ts'
import { listed, plural } from '../text/words.ts'
import { planned } from './planned.ts'
import { DEFAULT_FILE } from './read.ts'
import { type Exit, say, shown } from './terminal.ts'

/** Prints who reaches whom as far as the file tells, and what became of its expectations: 1 where one fails. */
export const reach = async (written: string | undefined, format: 'table' | 'json'): Promise<Exit> => {
  const file = written ?? DEFAULT_FILE
  const known = await planned(file)
  if (typeof known === 'number') return known
  const { plan } = known
  const world = worldOf(plan)
  const matrix = matrixOf(world)
  const judged = plan.topology.expectations.map(judging(world))
  const failed = judged.filter(({ holds, doubt }) => !holds && doubt === undefined)
  if (format === 'json') for (const part of jsonParts(matrix, judged)) process.stdout.write(part)
  else
    process.stdout.write(
      shown(
        `${reachText(matrix)}${unknownLine(world)}${judged.length === 0 ? '' : `\n${judged.flatMap(judgementLines).join('\n')}\n`}`
      )
    )
  if (failed.length > 0) say(`${plural(failed.length, 'expectation')} of ${judged.length} not met`)
  return failed.length > 0 ? 1 : 0
}

const unknownLine = (world: World): string => {
  const names = unaddressed(world)
  return names.length === 0
    ? ''
    : `not in the file: the ${names.length === 1 ? 'address' : 'addresses'} of ${listed(names, 8)}, so who reaches ${names.length === 1 ? 'it' : 'them'}, and whom ${names.length === 1 ? 'it reaches' : 'they reach'}, is not known\n`
}

const judgementLines = (judgement: Judgement): readonly string[] => {
  const { expectation, holds, fault, doubt, attempts } = judgement
  const { from, to, port, protocol, outcome, why, at } = expectation
  const what = `${from} -> ${to}${port === undefined ? '' : ` ${protocol} ${port}`} ${outcome}`
  if (holds) return [`met      ${what}`]
  const [first] = attempts
  return [
    `${doubt === undefined ? 'not met ' : 'unsure  '} ${what}${why === undefined ? '' : ` (${why})`}, ${formatPath(at)}`,
    ...(doubt !== undefined ? [`  ${doubt}`] : fault === undefined ? [] : [`  ${fault.text}`]),
    ...(first === undefined ? [] : attemptLines(first).map(line => `  ${line}`))
  ]
}

/** One thing a line, in parts, since there may be very many. */
const jsonParts = function* (matrix: Matrix, judged: readonly Judgement[]): Generator<string> {
  const { peers, senders, receivers, doors, closedPort } = matrix
  const numbers = new Map(peers.map((peer, i) => [peer, i]))
  const groupOf = (groups: Matrix['senders']): ReadonlyMap<unknown, number> =>
    new Map(groups.flatMap(({ members }, i) => members.map(member => [member, i])))
  const [from, to] = [groupOf(senders), groupOf(receivers)]
  yield `{\n  "version": 1,\n  "closedPort": ${closedPort},\n`
  yield* list(
    'places',
    peers.map(peer => ({
      ...peer.place,
      links: peer.links ?? null,
      from: from.get(peer),
      to: to.get(peer),
      addresses: peer.addresses.map(formatAddr),
      host: peer.hostAddresses.map(formatAddr)
    }))
  )
  yield* list('flows', flowsOf(matrix))
  yield* list(
    'forwards',
    doors.flatMap((group, i) =>
      group.map(({ address, protocol, port, target }) => ({
        forward: i,
        address: formatAddr(address),
        protocol,
        port,
        target: target === undefined ? null : numbers.get(target)
      }))
    )
  )
  yield* list('forwardFlows', forwardFlowsOf(matrix))
  yield* list(
    'expectations',
    judged.map(({ expectation, holds, fault, doubt, attempts: [first] }) => ({
      path: expectation.at,
      holds,
      fault: fault?.text ?? null,
      doubt: doubt ?? null,
      disposition: first?.trace.disposition ?? null
    })),
    '\n}\n'
  )
}

/** So much is written at once. */
const PART = 65_536

const list = function* (name: string, items: Iterable<object>, end = ',\n'): Generator<string> {
  let text = `  "${name}": [`
  let before = '\n    '
  for (const item of items) {
    text += `${before}${JSON.stringify(item)}`
    before = ',\n    '
    if (text.length < PART) continue
    yield text
    text = ''
  }
  yield `${text}${before === '\n    ' ? '' : '\n  '}]${end}`
}

const flowsOf = function* (matrix: Matrix): Generator<object> {
  for (const [from, senders] of matrix.senders.entries())
    for (const [to, receivers] of matrix.receivers.entries())
      for (const { relation, ...example } of examplesOf(senders, receivers))
        for (const cell of matrix.cells(example.from, example.to))
          yield { from, to, relation, address: spotOf(cell.to), ...cellOf(cell) }
}

const forwardFlowsOf = function* (matrix: Matrix): Generator<object> {
  for (const [from, senders] of matrix.senders.entries())
    for (const [forward, doors] of matrix.doors.entries())
      for (const { relation, from: sender, door } of doorExamplesOf(senders, doors)) {
        const { protocol: _, port: _p, ...rest } = cellOf(matrix.cellOf(sender, door))
        yield { from, forward, relation, ...rest }
      }
}

const cellOf = ({ protocol, port, outcome: { disposition, seen, by, source } }: Cell) => ({
  protocol,
  port: port ?? null,
  disposition,
  seen,
  by: by ?? null,
  source: source === undefined ? null : spotOf(source)
})

const spotOf = (spot: Spot): unknown => ('of' in spot ? spot : formatAddr(spot))
