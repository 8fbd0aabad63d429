import { expect, test } from 'vitest'
import { faultsOf, found, samples, seeds } from './fuzz.ts'

// `npm run fuzz -- SECONDS` goes on for as long as is wanted; here it is some seconds, and everything that it has found.

test.each(found().map((text, i) => [i, text] as const))(
  'what was found once stays mended: %i',
  async (_, text) => {
    expect(await faultsOf(text)).toEqual([])
  }
)

test('texts that nobody would write', { timeout: 120_000 }, async () => {
  const seed = (process.env['CI'] ?? '') === '' ? Date.now() % 2 ** 31 : 20_261_123
  const end = performance.now() + 15_000
  let count = 0
  const all = seeds()
  for (let i = 0; performance.now() < end; i += 1)
    for (const text of samples(all, seed + i, 20)) {
      expect({ seed: seed + i, text, faults: await faultsOf(text) }).toEqual({
        seed: seed + i,
        text,
        faults: []
      })
      count += 1
    }
  expect(count).toBeGreaterThan(50)
})
