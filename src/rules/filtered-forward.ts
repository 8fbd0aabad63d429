import type { Problem } from '../findings/finding.ts'
import type { Container } from '../model/topology.ts'
import { type Family, parseAddr } from '../net/addr.ts'
import { entranceOf } from '../plan/firewall.ts'
import { FAMILIES, type Link, type Plan } from '../plan/plan.ts'
import { listed } from '../text/words.ts'
import type { Path } from '../text/path.ts'
import type { Rule } from './rule.ts'

/** D33 */
export const filteredForward: Rule = {
  id: 'filtered-forward',
  group: 'firewall',
  severity: 'error',
  summary: 'filterForward drops what containers need: it accepts only what NAT sends out or forwards in.',
  *check(plan) {
    const { host, nat } = plan.topology
    const { firewall } = host
    const { filterForward: at, backend, enable, extraForwardRules = '' } = firewall
    if (at === undefined || !enable || backend !== 'nftables' || host.partial || nat?.partial === true) return
    if (extraForwardRules.trim() !== '') return
    let told = 0
    for (const problem of [...masqueraded(plan, at), ...wishes(plan, at)]) {
      told += 1
      yield problem
    }
    const intended = plan.topology.expectations.some(({ outcome }) => outcome === 'blocked')
    if (told === 0 && !intended) yield* apart(plan, at)
  }
}

const NOTE =
  'the FORWARD chain accepts answers, ICMPv6, what a forward of NAT has sent in, and what goes from internal interfaces of networking.nat to its external one; all else is dropped without a word'

/** Whether NAT itself accepts what the link sends to the external interface (nat-nftables.nix); networkd's masquerading accepts nothing. */
const isAccepted = (plan: Plan, link: Link, family: Family): boolean =>
  plan.nat.covers({ ...link, bridge: undefined }, family)

/** Without an external interface NAT accepts what its internal ones send, wherever it goes. */
const goesAnywhere = (plan: Plan, link: Link): boolean =>
  plan.topology.nat?.externalInterface === undefined &&
  FAMILIES.some(family => isAccepted(plan, link, family))

const rule = (from: string, to?: string): string =>
  `host.firewall.extraForwardRules: 'iifname "${from}"${to === undefined ? '' : ` oifname "${to}"`} accept'`

const masqueraded = function* (plan: Plan, at: Path): Generator<Problem> {
  for (const { bridge, members } of plan.bridges.values()) {
    const family = FAMILIES.find(family => bridge.masquerade[family])
    const [link] = members
    if (family === undefined || link === undefined || bridge.partial) continue
    if (isAccepted(plan, link, family)) continue
    const names = [...new Set(members.map(({ node }) => `"${node.name}"`))]
    yield {
      message: `filterForward drops what bridge "${bridge.name}" sends out, though networkd masquerades for it`,
      labels: [
        { at, text: 'drops what no rule accepts' },
        { at: [...bridge.at, 'IPMasquerade'], text: 'translates the packets, and accepts none' }
      ],
      note: `${NOTE}: ${listed(names, 4)} ${names.length === 1 ? 'has' : 'have'} no internet`,
      help: `write ${rule(bridge.name)}, or let networking.nat masquerade for "${bridge.name}" instead of IPMasquerade`
    }
  }
}

/** What is expected to reach another container, or to get out, and has no rule. */
const wishes = function* (plan: Plan, at: Path): Generator<Problem> {
  const wanted = plan.topology.expectations.filter(({ outcome }) => outcome === 'reaches')
  if (wanted.length === 0) return
  const containers = new Map(plan.topology.containers.map(container => [container.name, container]))
  const reach = (name: string): readonly Link[] => linksOf(plan, containers, name)
  const forwarded = new Set<unknown>()
  for (const { destination } of plan.topology.nat?.enable === true ? plan.topology.nat.forwardPorts : [])
    for (const { link } of (destination.address && plan.addresses.owners(destination.address)) ?? [])
      forwarded.add(link?.node)
  for (const { container, kind } of plan.ports) if (kind === 'nspawn') forwarded.add(container)
  for (const { at: wish, from, to, family, protocol, why } of wanted) {
    if (protocol === 'icmp' && family === 6) continue
    const [source] = reach(from)
    const [target] = reach(to)
    const outside = (name: string): boolean => name === 'internet' || name === 'lan'
    if (source?.veth === undefined && !(outside(from) && target !== undefined)) continue
    let problem: { readonly from: string; readonly to: string | undefined } | undefined
    if (source !== undefined && target !== undefined) {
      if (isRouted(reach(from), reach(to)) && !goesAnywhere(plan, source))
        problem = { from: entranceOf(source), to: entranceOf(target) }
    } else if (source !== undefined && outside(to)) {
      const families = FAMILIES.filter(
        one =>
          (family === undefined || family === one) &&
          source.addresses.some(({ prefix }) => prefix?.family === one)
      )
      // A bridge whose masquerading has no rule is told already.
      if (
        source.bridge?.open !== true &&
        reach(from).length === 1 &&
        families.length > 0 &&
        families.every(
          one => !isAccepted(plan, source, one) && source.bridge?.bridge.masquerade[one] !== true
        )
      )
        problem = { from: entranceOf(source), to: undefined }
    } else if (
      target?.veth !== undefined &&
      outside(from) &&
      target.bridge?.open !== true &&
      reach(to).length === 1 &&
      !forwarded.has(target.node)
    )
      problem = { from: plan.topology.nat?.externalInterface ?? 'the uplink', to: entranceOf(target) }
    if (problem === undefined) continue
    yield {
      message: `filterForward drops what ${quoted(from)} sends to ${quoted(to)}`,
      labels: [
        { at: wish, text: why ?? 'wanted here' },
        { at, text: 'drops what no rule accepts' }
      ],
      note: `${NOTE}: connections time out`,
      help: `write ${rule(problem.from, problem.to)}`
    }
  }
}

const quoted = (name: string): string => (name === 'internet' || name === 'lan' ? `the ${name}` : `"${name}"`)

/** The links of what an expectation names: a container, or one of its addresses. */
const linksOf = (plan: Plan, containers: ReadonlyMap<string, Container>, name: string): readonly Link[] => {
  const container = containers.get(name)
  if (container !== undefined) return container.enabled ? (plan.linksOf.get(container) ?? []) : []
  const parsed = parseAddr(name)
  if (!('value' in parsed)) return []
  return (plan.addresses.owners(parsed.value) ?? []).flatMap(({ kind, link }) =>
    kind === 'local' && link !== undefined ? [link] : []
  )
}

/** Whether two containers reach each other by way of the host only. */
const isRouted = (from: readonly Link[], to: readonly Link[]): boolean => {
  if (
    [...from, ...to].some(
      ({ veth, bridgeName, bridge }) =>
        veth === undefined || (bridgeName !== undefined && (bridge === undefined || bridge.open))
    )
  )
    return false
  return !from.some(
    ({ bridgeName }) => bridgeName !== undefined && to.some(other => other.bridgeName === bridgeName)
  )
}

/** Two containers on links of their own, where nothing is said about whether they need each other. */
const apart = function* (plan: Plan, at: Path): Generator<Problem> {
  let first: Link | undefined
  for (const link of plan.links) {
    if (link.veth === undefined || link.addresses.length === 0) continue
    if (link.bridgeName !== undefined && (link.bridge === undefined || link.bridge.open)) continue
    if (goesAnywhere(plan, link)) continue
    if (first === undefined) first = link
    else if (first.node !== link.node && entranceOf(first) !== entranceOf(link)) {
      const [one, other] = [entranceOf(first), entranceOf(link)]
      yield {
        message: `filterForward keeps containers on different links apart, such as "${first.node.name}" and "${link.node.name}"`,
        labels: [
          { at, text: 'drops what no rule accepts' },
          { at: first.at, on: 'key', text: `behind ${one}` },
          { at: link.at, on: 'key', text: `behind ${other}` }
        ],
        note: NOTE,
        help: `nothing, if they need not reach each other; else ${rule(one, other)}`,
        severity: 'hint'
      }
      return
    }
  }
}
