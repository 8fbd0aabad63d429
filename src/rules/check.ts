import type { Finding } from '../findings/finding.ts'
import { freeAddressFinder } from '../plan/addresses.ts'
import type { Plan } from '../plan/plan.ts'
import { ALONE, type HostInSite } from '../plan/site.ts'
import { failedExpectation } from './failed-expectation.ts'
import { RULES } from './index.ts'

/** What all rules find in a plan, in the order of the rules. */
export const check = async (plan: Plan, site: HostInSite = ALONE): Promise<Finding[]> => {
  const findings: Finding[] = []
  const free = freeAddressFinder(plan)
  for (const rule of RULES)
    for (const problem of await rule.check(plan, free, site))
      findings.push({ severity: rule.severity, ...problem, rule: rule.id })
  return findings.some(isCause) ? findings.map(afterCauses) : findings
}

/** An expectation fails because of what other rules tell, where they tell anything. */
const isCause = ({ rule, severity }: Finding): boolean =>
  severity === 'error' && rule !== failedExpectation.id

/** One that cannot be tested, since it names nobody, has its label at the name. */
const afterCauses = (finding: Finding): Finding =>
  finding.rule === failedExpectation.id && finding.severity === 'error' && finding.labels[0].at.length === 2
    ? { ...finding, help: `mend the other errors first, which may be why; if not, ${finding.help}` }
    : finding
