import validateData from 'embed:validator'
import type { TopologyData, Validated } from './refused.ts'

/**
 * Holds the data against the schema. What it refuses becomes findings in our words and is taken out, and the container,
 * bridge or block it stood in is marked `partial`, so that the rest is checked in the same run and the hole itself is
 * not reported a second time. The words are loaded only when something is refused.
 */
export const validate = async (data: unknown): Promise<Validated> => {
  if (isValid(data)) return { findings: [], data }
  const { refused } = await import('./refused.ts')
  return refused(data, validateData.errors ?? [])
}

const isValid = (data: unknown): data is TopologyData => validateData(data)
