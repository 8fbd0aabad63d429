import type { Finding } from '../findings/finding.ts'
import { freeAddressFinder } from '../plan/addresses.ts'
import type { Plan } from '../plan/plan.ts'
import { ALONE, type HostInSite } from '../plan/site.ts'
import { RULES } from './index.ts'

/** What all rules find in a plan, in the order of the rules. */
export const check = (plan: Plan, site: HostInSite = ALONE): Finding[] => {
  const findings: Finding[] = []
  const free = freeAddressFinder(plan.addresses)
  for (const rule of RULES)
    for (const problem of rule.check(plan, free, site))
      findings.push({ severity: rule.severity, ...problem, rule: rule.id })
  return findings
}
