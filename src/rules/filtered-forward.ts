import type { Problem } from '../findings/finding.ts'
import type { Family } from '../net/addr.ts'
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
    const told = [...masqueraded(plan, at)]
    yield* told
    // Whoever writes down who is to reach whom is told of that.
    if (told.length === 0 && plan.topology.expectations.length === 0) yield* apart(plan, at)
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
    const [link] = members
    if (link === undefined || bridge.partial) continue
    const family = FAMILIES.find(family => bridge.masquerade[family] && !isAccepted(plan, link, family))
    if (family === undefined) continue
    const names = [...new Set(members.map(({ node }) => `"${node.name}"`))]
    yield {
      message: `filterForward drops what bridge "${bridge.name}" sends out, though networkd masquerades for it`,
      labels: [
        { at, text: 'drops what no rule accepts' },
        { at: [...bridge.at, 'IPMasquerade'], text: 'translates the packets, and accepts none' }
      ],
      note: `${NOTE}: ${listed(names, 4)} ${names.length === 1 ? 'has' : 'have'} no internet${family === 6 ? ' over IPv6' : ''}`,
      help: `write ${rule(bridge.name)}, or let networking.nat masquerade for "${bridge.name}"${family === 6 ? ' with nat.enableIPv6' : ''} instead of IPMasquerade`
    }
  }
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
