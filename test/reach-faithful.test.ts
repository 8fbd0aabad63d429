import { expect, test } from 'vitest'
import { parseAddr } from '../src/net/addr.ts'
import type { Flow } from '../src/reach/flow.ts'
import { trace } from '../src/reach/trace.ts'
import { type World, worldOf } from '../src/reach/world.ts'
import { CASES, type Cell } from './faithful.ts'
import { planOf, wordsOf } from './rehearse.ts'

// What the packets say of these networks (rehearse-faithful.test.ts), the prediction says.

const flowOf = (world: World, [from, to, what]: Cell): Flow => {
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
}

test.each(CASES)('$cause', async ({ topology, cells }) => {
  const world = worldOf(await planOf(JSON.stringify({ version: 1, ...topology })))
  expect(cells.map(cell => wordsOf(trace(world, flowOf(world, cell))))).toEqual(
    cells.map(([, , , seen]) => seen)
  )
})
