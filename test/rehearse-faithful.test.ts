import { describe, expect, test } from 'vitest'
import { parseAddr } from '../src/net/addr.ts'
import type { Flow } from '../src/reach/flow.ts'
import { worldOf } from '../src/reach/world.ts'
import { CASES } from './faithful.ts'
import { measured, planOf, withoutRehearsal, wordsOf } from './rehearse.ts'

// The packets themselves: what each case says was seen, is seen.

const SLOW = 60_000

describe.skipIf(withoutRehearsal())('packets', () => {
  test.each(CASES)('$cause', { timeout: SLOW }, async ({ topology, cells }) => {
    const plan = await planOf(JSON.stringify({ version: 1, ...topology }))
    const world = worldOf(plan)
    const flows = cells.map(([from, to, what]): Flow => {
      const [word, port] = what.split(' ')
      const sender = world.machineOf(from)
      const parsed = parseAddr(to)
      if (sender === undefined || !('value' in parsed)) throw new Error(`${from} or ${to} is unknown`)
      const protocol = word === 'tcp' || word === 'udp' ? word : 'icmp'
      return {
        from: sender.place,
        to: parsed.value,
        protocol,
        port: port === undefined ? undefined : Number(port)
      }
    })
    const nobody = { seen: 'timeout', by: undefined, source: undefined } as const
    const answers = await measured(plan, flows, () => nobody)
    expect(
      flows.map(flow => {
        const answer = answers.get(flow)
        return answer === undefined ? 'not asked' : wordsOf(answer)
      })
    ).toEqual(cells.map(([, , , seen]) => seen))
  })
})
