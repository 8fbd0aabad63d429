import { type StrayEntry, strayEntries } from '../plan/egress.ts'
import type { Link, Plan } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** D5, D6 */
export const natUnknownInterface: Rule = {
  id: 'nat-unknown-interface',
  group: 'nat',
  severity: 'error',
  summary: 'internalInterfaces has a name that nothing on the host has.',
  *check(plan) {
    const strays = strayEntries(plan)
    // Of those that are like nothing one hint is enough.
    const lost = strays.filter(stray => stray.meant === undefined && isJudged(plan, stray))
    for (const { entry, meant, missed } of strays) {
      if (meant === undefined && entry !== lost[0]?.entry) continue
      const container = entry.name.startsWith('ve-') ? entry.name.slice(3) : undefined
      const right = meant === undefined ? undefined : (meant.bridgeName ?? meant.hostIfname)
      const own = meant !== undefined && container === meant.node.name
      yield {
        message: `internalInterfaces has "${entry.name}", and ${
          own
            ? `container "${container}" is on bridge "${meant.bridgeName}"`
            : container === undefined
              ? 'the host has no such interface'
              : `no container is called "${container}"`
        }`,
        labels: [
          {
            at: entry.at,
            text: right === undefined ? 'matches nothing' : own ? 'matches nothing' : `did you mean ${right}?`
          },
          ...(meant === undefined
            ? lost.slice(1, 4).map(({ entry }) => ({ at: entry.at, text: 'nor does this' }))
            : [{ at: meant.at, on: 'key' as const, text: described(meant) }])
        ],
        note: missed
          ? `the rule matches no packet: "${meant?.node.name}" sends with its private address, and no answer ever comes back`
          : 'the rule is valid, matches no packet and says so nowhere',
        help:
          right === undefined
            ? 'write the name of a bridge or ve-NAME of a container, or remove it'
            : plan.nat.matches(right)
              ? `remove it; "${right}" is covered without it`
              : `write "${right}"`,
        ...(missed ? {} : { severity: meant === undefined || own ? 'hint' : 'warning' })
      }
    }
  }
}

/** Whether the file tells enough to say that there is no such interface, where nothing is like it. */
const isJudged = ({ topology: { containers, host } }: Plan, { entry }: StrayEntry): boolean =>
  entry.name.startsWith('ve-') ? containers.length > 0 : host.interfaces.length > 0

const described = ({ node, bridgeName, hostIfname }: Link): string =>
  bridgeName !== undefined
    ? `"${node.name}" is on "${bridgeName}"`
    : hostIfname === `ve-${node.name}`
      ? `its interface is ${hostIfname}`
      : `its interface is ${hostIfname}: systemd-nspawn shortens ve-${node.name}`
