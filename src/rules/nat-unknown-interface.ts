import type { Problem } from '../findings/finding.ts'
import { offer } from '../findings/mend.ts'
import type { Container, Named } from '../model/topology.ts'
import { IFNAME_MAX } from '../net/ifname.ts'
import { type StrayEntry, strayEntries } from '../plan/egress.ts'
import { isPrivate, vethOptions } from '../plan/links.ts'
import { isMadeLater } from '../plan/nat.ts'
import type { Link, Plan } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** D5, D6 */
export const natUnknownInterface: Rule = {
  id: 'nat-unknown-interface',
  group: 'nat',
  severity: 'error',
  summary: 'internalInterfaces has a name that nothing on the host has.',
  *check(plan) {
    yield* shared(plan)
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
              ? 'the file lists no such interface'
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
        // A name that is only like another one is for its author to judge, if it is not cut off.
        ...offer(
          right === undefined || !(own || entry.name === `ve-${meant?.node.name}`.slice(0, IFNAME_MAX))
            ? undefined
            : plan.nat.matches(right)
              ? { kind: 'remove', at: entry.at }
              : { kind: 'replace', at: entry.at, value: right }
        ),
        ...(missed ? {} : { severity: meant === undefined || own ? 'hint' : 'warning' })
      }
    }
  }
}

/** The interface of a container that runs in the host's network: none will ever be, wherever the rest of nat stands. */
const shared = function* ({ topology: { nat, containers } }: Plan): Generator<Problem> {
  if (nat === undefined || !(nat.enable || (nat.partial && !nat.switched))) return
  const entries = new Map(
    nat.internalInterfaces.flatMap(entry =>
      /^ve-.*[^+*]$/.test(entry.name) ? [[entry.name.slice(3), entry] as const] : []
    )
  )
  if (entries.size === 0) return
  const found: { readonly entry: Named; readonly container: Container }[] = []
  for (const container of containers) {
    const entry = entries.get(container.name)
    if (entry === undefined || !container.enabled || container.partial || isPrivate(container)) continue
    // Who writes addresses means a pair; that privateNetwork is missing is told there.
    if (vethOptions(container.veth).length === 0) found.push({ entry, container })
  }
  const [first, ...more] = found
  if (first === undefined) return
  const { entry, container } = first
  yield {
    message: `internalInterfaces has "${entry.name}", and container "${container.name}" is in the host's own network`,
    labels: [
      { at: entry.at, text: 'matches nothing' },
      { at: container.at, on: 'key', text: 'has no privateNetwork, so it has no interface of its own' },
      ...more.slice(0, 3).map(({ entry }) => ({ at: entry.at, text: 'nor does this' }))
    ],
    note: 'the container sends with the addresses of the host and needs no NAT; the rule is valid and matches no packet',
    help: 'remove it; or write privateNetwork: true, hostAddress and localAddress, for a network of its own',
    severity: 'hint'
  }
}

/** Whether the file tells enough to say that there is no such interface, where nothing is like it. */
const isJudged = ({ topology: { containers, host } }: Plan, { entry }: StrayEntry): boolean =>
  entry.name.startsWith('ve-')
    ? containers.length > 0
    : // A tunnel or tap in the list says nothing of the host's cards, nor do those that need no entry in it.
      host.interfaces.some(({ name }) => !isMadeLater(name)) &&
      host.manager !== 'networkmanager' &&
      host.useDHCP !== true &&
      !entry.name.startsWith('wl')

const described = ({ node, bridgeName, hostIfname }: Link): string =>
  bridgeName !== undefined
    ? `"${node.name}" is on "${bridgeName}"`
    : hostIfname === `ve-${node.name}`
      ? `its interface is ${hostIfname}`
      : `its interface is ${hostIfname}: systemd-nspawn shortens ve-${node.name}`
