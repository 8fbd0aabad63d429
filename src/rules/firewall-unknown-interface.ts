import type { Label, Problem } from '../findings/finding.ts'
import type { Container, Firewall, Named, Openings } from '../model/topology.ts'
import { hostIfname, IFNAME_MAX } from '../net/ifname.ts'
import { type InputFilter, inputFilter, linkNamedAsOnHost, wildcardOf } from '../plan/firewall.ts'
import type { Plan } from '../plan/plan.ts'
import { listed, nearest } from '../text/words.ts'
import type { Rule } from './rule.ts'

export const firewallUnknownInterface: Rule = {
  id: 'firewall-unknown-interface',
  group: 'firewall',
  severity: 'hint',
  summary: "The firewall names a container's interface that does not exist, or that no packet comes in by.",
  *check(plan) {
    const { host, having } = plan.topology
    const { firewall } = host
    for (const container of having.firewall) yield* inside(plan, container)
    if (!firewall.enable || host.partial) return
    const { trustedInterfaces, interfaces } = firewall
    const names = new Set([...trustedInterfaces, ...interfaces].map(({ name }) => name))
    if (names.size === 0) return
    const seen = ports(plan, names)
    const filter = inputFilter(firewall)
    yield* nobodys(plan, trustedInterfaces, 'trustedInterfaces', seen)
    yield* nobodys(plan, interfaces, 'firewall.interfaces', seen)
    for (const entry of trustedInterfaces) {
      const bridge = seen.get(entry.name)
      if (bridge !== undefined)
        yield port(firewall, entry, 'trustedInterfaces', bridge, filter.trusts(bridge))
    }
    for (const entry of interfaces) {
      const bridge = seen.get(entry.name)
      if (bridge !== undefined)
        yield port(
          firewall,
          entry,
          'firewall.interfaces',
          bridge,
          filter.trusts(bridge) || isOpened(filter, bridge, entry.open)
        )
    }
  }
}

/** Names of the host in the firewall of a container. */
const inside = function* (plan: Plan, container: Container): Generator<Problem> {
  const { enabled, firewall, partial } = container
  if (!enabled || !firewall.enable || partial) return
  for (const list of ['trustedInterfaces', 'interfaces'] as const)
    for (const { at, name } of firewall[list]) {
      const link = linkNamedAsOnHost(plan, container, name)
      if (link === undefined) continue
      yield {
        message: `the firewall of container "${container.name}" names "${name}", which is on the host; inside it is ${link.ifname}`,
        labels: [
          { at, ...(list === 'interfaces' ? { on: 'key' as const } : {}), text: `inside: ${link.ifname}` }
        ],
        note: 'a container sees only its own end of a pair: the rule matches nothing, and what it was to let in is dropped',
        help: `write "${link.ifname}", or open the ports for every interface`,
        severity: 'warning'
      }
    }
}

/** Of these names the ones that are, or seem to be, ports of a bridge, with the bridge. */
const ports = (plan: Plan, names: ReadonlySet<string>): ReadonlyMap<string, string> => {
  const found = new Map<string, string>()
  for (const { bridge } of plan.bridges.values())
    for (const { name } of bridge.interfaces) if (names.has(name)) found.set(name, bridge.name)
  for (const { node, kind, hostIfname: name, bridgeName, veth } of plan.links) {
    if (bridgeName === undefined) continue
    if (names.has(name)) found.set(name, bridgeName)
    // On a bridge the host's end is called vb-NAME.
    const pair = kind === 'veth' && veth?.extra === false ? `ve-${node.name}` : undefined
    if (pair !== undefined && names.has(pair) && !plan.hostInterfaces().has(pair)) found.set(pair, bridgeName)
  }
  return found
}

const isOpened = (filter: InputFilter, bridge: string, open: Openings): boolean =>
  (['tcp', 'udp'] as const).every(protocol =>
    open[protocol].every(range => filter.opens(bridge, protocol, range))
  )

type Option = 'trustedInterfaces' | 'firewall.interfaces'

/** The one is a list of names, the other one has them as keys. */
const partOf = (option: Option): Pick<Label, 'on'> => (option === 'trustedInterfaces' ? {} : { on: 'key' })

const port = (
  firewall: Firewall,
  { at, name }: Named,
  option: Option,
  bridge: string,
  open: boolean
): Problem => ({
  message: `${option} has "${name}", a port of bridge "${bridge}", which no packet for the host comes in by`,
  labels: [{ at, ...partOf(option), text: `a port of "${bridge}"` }],
  note: `${firewall.backend} sees the bridge as the interface that a packet comes in by, never its port${open ? `; "${bridge}" is open for the same already` : ': what this line was to let in is dropped'}`,
  help: open ? `remove it, "${bridge}" is enough` : `write "${bridge}" instead`,
  ...(open ? {} : { severity: 'warning' as const })
})

/** Names of container interfaces that nobody has: one finding for each list. */
const nobodys = function* (
  plan: Plan,
  entries: readonly Named[],
  option: Option,
  seen: ReadonlyMap<string, string>
): Generator<Problem> {
  const wildcard = wildcardOf(plan.topology.host.firewall)
  const unknown = entries.filter(
    ({ name }) =>
      /^v[eb]-./.test(name) &&
      !/[+*]$/.test(name) &&
      name.length <= IFNAME_MAX &&
      !seen.has(name) &&
      !plan.hostInterfaces().has(name)
  )
  if (unknown.length === 0) return
  const off = new Set(
    plan.topology.containers.flatMap(({ enabled, name, extraVeths }) =>
      enabled
        ? []
        : [hostIfname(name, false), hostIfname(name, true), ...extraVeths.map(({ ifname }) => ifname)]
    )
  )
  const [first, ...others] = unknown.filter(({ name }) => !off.has(name))
  if (first === undefined) return
  const pairs = plan.links.flatMap(({ kind, hostIfname, bridgeName }) =>
    kind === 'veth' && bridgeName === undefined ? [hostIfname] : []
  )
  const meant = pairs.length > 200 ? undefined : nearest(first.name, pairs)
  const all = [first, ...others].map(({ name }) => `"${name}"`)
  yield {
    message: `${option} has ${listed(all, 4)}, and no container of this file has ${all.length === 1 ? 'that interface' : 'those interfaces'}`,
    labels: [
      {
        at: first.at,
        ...partOf(option),
        text: meant === undefined ? 'of no container here' : `did you mean ${meant}?`
      },
      ...others.slice(0, 4).map(({ at }) => ({ at, ...partOf(option), text: 'nor this one' }))
    ],
    note: 'the rule loads and matches nothing; a container that is made later under that name gets it',
    help:
      meant === undefined
        ? `remove what is left over from containers that are gone; ve-NAME is the interface of container NAME, ve-${wildcard} all of them`
        : `write "${meant}", or remove it if that container is gone`
  }
}
