import { offer } from '../findings/mend.ts'
import type { Nat } from '../model/topology.ts'
import { parsePrefix, contains } from '../net/prefix.ts'
import { uplinks } from '../plan/egress.ts'
import { entranceOf } from '../plan/firewall.ts'
import { FAMILIES, type Link, type Plan } from '../plan/plan.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** D9 */
export const natWithoutExternal: Rule = {
  id: 'nat-without-external',
  group: 'nat',
  severity: 'warning',
  summary: 'NAT has no externalInterface, so it translates towards every interface.',
  *check(plan) {
    const { nat, enabled } = plan.nat
    if (!enabled || nat === undefined || nat.partial || nat.externalInterface !== undefined) return
    const needed =
      nat.forwardPorts.length > 0 ? 'forwardPorts' : nat.dmzHost === undefined ? undefined : 'dmzHost'
    const ways = uplinks(plan).filter(name => !plan.nat.matches(name))
    const [uplink] = ways
    const way = ways.length === 1 ? uplink : undefined
    const help = `write externalInterface: ${way ?? 'the interface that "ip route show default" names'}`
    const mend = offer(
      way === undefined ? undefined : { kind: 'insert', at: [...nat.at, 'externalInterface'], value: way }
    )
    if (needed !== undefined) {
      yield {
        message: `nat.enable is set without externalInterface, and ${needed} needs one`,
        labels: [
          { at: [...nat.at, 'enable'], text: 'towards which interface?' },
          { at: [...nat.at, needed], on: 'key', text: 'needs externalInterface' }
        ],
        note: `the rebuild stops: networking.nat.${needed} requires networking.nat.externalInterface`,
        help,
        ...mend,
        severity: 'error'
      }
      return
    }
    const names = networks(plan, nat)
    // One network has nobody beside it, and towards the internet it is the same.
    if (names.length < 2) return
    const access = judgedBySource(plan)
    yield {
      message: `nat.enable is set without externalInterface, so NAT translates between ${listed(names.map(name => `"${name}"`))} too`,
      labels: [
        { at: [...nat.at, 'enable'], text: 'towards which interface?' },
        ...(access === undefined
          ? []
          : [
              {
                at: access.link.node.at,
                on: 'key' as const,
                text: `its firewall asks for ${access.source}, and sees the host`
              }
            ])
      ],
      note: 'packets are masqueraded on every way out, also from one of these networks to another: services see the host instead of their clients',
      help,
      ...mend,
      ...(access === undefined ? { severity: 'hint' as const } : {})
    }
  }
}

/** How many networks are named at most; there may be a pair for each of many containers. */
const NAMED = 3

/** The internal networks that have something to say to each other, the first ones of them. */
const networks = (plan: Plan, { internalInterfaces }: Nat): readonly string[] => {
  const names = new Set<string>()
  for (const { name } of internalInterfaces) if (!/[+*]$/.test(name) && names.size < NAMED) names.add(name)
  for (const link of plan.links) {
    if (names.size >= NAMED) break
    if (isCovered(plan, link)) names.add(entranceOf(link))
  }
  return [...names]
}

const isCovered = (plan: Plan, link: Link): boolean =>
  FAMILIES.some(family => plan.nat.covers({ ...link, bridge: undefined }, family))

/** A container whose own firewall asks for the address of somebody in another internal network. */
const judgedBySource = (plan: Plan): { readonly link: Link; readonly source: string } | undefined => {
  let looked = 0
  for (const container of plan.topology.having.firewall) {
    const { extraCommands = '', extraInputRules = '', enable } = container.firewall
    const [link] = plan.linksOf.get(container) ?? []
    if (link === undefined || !enable || !isCovered(plan, link)) continue
    for (const [, source = ''] of `${extraCommands}\n${extraInputRules}`.matchAll(SOURCES)) {
      looked += 1
      if (looked > SOUGHT) return undefined
      const parsed = parsePrefix(source)
      if (!('value' in parsed)) continue
      const client = plan.links.find(
        other =>
          entranceOf(other) !== entranceOf(link) &&
          other.addresses.some(({ prefix }) => prefix !== undefined && contains(parsed.value, prefix)) &&
          isCovered(plan, other)
      )
      if (client !== undefined) return { link, source }
    }
  }
  return undefined
}

/** How many sources are held against all links. */
const SOUGHT = 20

/** Sources in rules of iptables and nftables. */
const SOURCES = /(?:\s-s|\s--source|\s--src|\bsaddr)[\s=]+(?:\{\s*)?([0-9a-fA-F.:]+(?:\/\d+)?)/g
