import type { Rule } from './rule.ts'

/** D33, D36, F6 */
export const failedExpectation: Rule = {
  id: 'failed-expectation',
  group: 'firewall',
  severity: 'error',
  summary:
    'An expectation of the file is not met: somebody is not reached who is to be, or is who is not to be.',
  // A plain check does not load the prediction.
  check: async (plan, free) =>
    plan.topology.expectations.length === 0 ? [] : (await import('../reach/failures.ts')).failures(plan, free)
}
