import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { parseAddr } from '../src/net/addr.ts'
import { foretold, trace } from '../src/reach/trace.ts'
import { type World, worldOf } from '../src/reach/world.ts'
import { agrees } from '../src/rehearse/compare.ts'
import type { Question } from '../src/rehearse/flows.ts'
import { answersOf } from './fidelity.ts'
import { planOf, withoutRehearsal, wordsOf } from './rehearse.ts'

// test/fidelity has a network for each cause that has made prediction and packets differ, named after it. A comment in it
// says what comes of a flow, as it was measured: `# FROM -> ADDRESS ping|tcp PORT|udp PORT: SEEN [BY] [<- SOURCE]`.

const folder = new URL('./fidelity/', import.meta.url)

const CELL = /^# (\S+) -> (\S+) (?:(ping)|(tcp|udp) (\d+)): (.*)$/gm

interface Cell {
  readonly flow: Question
  readonly words: string
}

const cellsOf = (world: World, text: string): readonly Cell[] =>
  [...text.matchAll(CELL)].map(([line, from = '', to = '', , protocol, port, words = '']) => {
    const sender = world.machineOf(from)
    const addr = parseAddr(to)
    if (sender === undefined || !('value' in addr)) throw new Error(`nobody is meant by ${line}`)
    return {
      flow: {
        from: sender.place,
        to: addr.value,
        protocol: protocol === 'tcp' || protocol === 'udp' ? protocol : 'icmp',
        port: port === undefined ? undefined : Number(port),
        asked: undefined
      },
      words
    }
  })

const causes = readdirSync(folder)
  .filter(file => file.endsWith('.yaml'))
  .sort()
  .map(file => ({ cause: file.slice(0, -5), text: readFileSync(new URL(file, folder), 'utf8') }))

test('each cause has what was measured', async () => {
  for (const { text } of causes) expect(cellsOf(worldOf(await planOf(text)), text).length).toBeGreaterThan(0)
})

test.each(causes)('$cause: predicted', async ({ text }) => {
  const world = worldOf(await planOf(text))
  const cells = cellsOf(world, text)
  const predicted = cells.map(({ flow, words }) => {
    const answer = trace(world, flow)
    // That nothing listens to UDP is said without a name.
    return words === 'refused' && answer.seen === 'refused' ? words : wordsOf(answer)
  })
  expect(predicted).toEqual(cells.map(({ words }) => words))
})

describe.skipIf(withoutRehearsal())('with packets', () => {
  test.each(causes)('$cause', { timeout: 30_000 }, async ({ text }) => {
    const plan = await planOf(text)
    const world = worldOf(plan)
    const cells = cellsOf(world, text)
    const { answers } = await answersOf(
      plan,
      cells.map(({ flow }) => flow),
      new AbortController().signal
    )
    const measured = cells.map(({ flow, words }, i) => {
      const answer = answers[i]
      if (answer === undefined) return 'not asked'
      // What depends on who has spoken before is as it may be.
      const predicted = foretold(world, flow)
      return predicted.or !== undefined && agrees(answer, predicted) ? words : wordsOf(answer)
    })
    expect(measured).toEqual(cells.map(({ words }) => words))
  })
})
