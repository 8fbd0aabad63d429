import type { Problem, Severity } from '../findings/finding.ts'
import type { FreeAddress } from '../plan/addresses.ts'
import type { Plan } from '../plan/plan.ts'
import type { HostInSite } from '../plan/site.ts'

/** Where a person looks for a rule, in the order of `netplan explain`. */
export const GROUPS = [
  'addresses',
  'ipv6',
  'bridges',
  'gateways',
  'dns',
  'names',
  'nat',
  'firewall',
  'ports',
  'networkd',
  'containers'
] as const

/**
 * One kind of mistake. Rules have no state; they read the plan and yield what is wrong with it. `free` gives every
 * advice of a run a free address of its own; `site` has what other files of the same call say of the same LAN.
 */
export interface Rule {
  /** Names the fault, in kebab-case; its page is docs/rules/<id>.md. */
  readonly id: string
  readonly group: (typeof GROUPS)[number]
  readonly severity: Severity
  readonly summary: string
  /** Whether its errors can leave the host open; those are not ignored without a reason. */
  readonly exposes?: true
  readonly check: (
    plan: Plan,
    free: FreeAddress,
    site: HostInSite
  ) => Iterable<Problem> | Promise<Iterable<Problem>>
}
