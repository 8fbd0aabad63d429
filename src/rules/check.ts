import type { Finding } from '../findings/finding.ts'
import type { Plan } from '../plan/plan.ts'
import { RULES } from './index.ts'

/** What all rules find in a plan, in the order of the rules. */
export const check = (plan: Plan): Finding[] => {
  const findings: Finding[] = []
  for (const { id, severity, check } of RULES)
    for (const problem of check(plan)) findings.push({ severity, ...problem, rule: id })
  return findings
}
