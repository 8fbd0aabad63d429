import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { complaint, fidelityOf } from './fidelity.ts'
import { withoutRehearsal } from './rehearse.ts'

// The same networks each time in CI, others everywhere else; `npm run fidelity` draws as many as asked.

const NETWORKS = 25
const AT_ONCE = 2

// That of setup.ts where there is one; nothing is chosen for passing.
const first = fc.readConfigureGlobal().seed ?? Math.floor(Date.now() / 1000)

describe.skipIf(withoutRehearsal())('random networks', () => {
  test(`${NETWORKS} of them from seed ${first} on are as predicted`, { timeout: 240_000 }, async () => {
    const { signal } = new AbortController()
    const complaints: string[] = []
    let flows = 0
    let next = first
    const work = async (): Promise<void> => {
      while (next < first + NETWORKS) {
        const seed = next
        next += 1
        const result = await fidelityOf(seed, 0, signal)
        flows += result.flows
        if (result.failed !== undefined)
          complaints.push(`npm run fidelity -- 1 --seed ${seed}\n\n${await complaint(result.failed)}`)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    expect(complaints.join('\n\n')).toBe('')
    // Else nothing was compared.
    expect(flows).toBeGreaterThan(50 * NETWORKS)
  })
})
