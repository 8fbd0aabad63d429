import type { Nat } from '../model/topology.ts'
import type { Family } from '../net/addr.ts'
import { isGlobal } from '../net/special.ts'
import { defaultRoutes } from '../plan/gateways.ts'
import { nameMatcher } from '../plan/nat.ts'
import { FAMILIES, type Link, type Plan } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** D5, D6 */
export const natMissesContainer: Rule = {
  id: 'nat-misses-container',
  group: 'nat',
  severity: 'error',
  summary: 'NAT is on, and a container that sends to the internet through the host is not translated.',
  *check(plan) {
    const { nat, enabled } = plan.nat
    if (!enabled || nat === undefined || nat.partial) return
    // Without any entry nothing is translated: nat-without-internal tells that once.
    if (nat.internalInterfaces.length + nat.internalIPs.length + nat.internalIPv6s.length === 0) return
    const foreign = plan.nat.wildcard === '+' ? '*' : '+'
    const meant = nameMatcher(
      nat.internalInterfaces.map(({ name }) => name).filter(name => name.endsWith(foreign)),
      foreign
    )
    const selective = nat.internalInterfaces.some(({ name }) => /^ve-.*[^+*]$/.test(name))
    const told = new Set<string>()
    for (const link of plan.links) {
      const { bridge, hostIfname, node, at } = link
      const family = FAMILIES.find(
        family =>
          (family === 4 || nat.enableIPv6) &&
          leavesByHost(plan, link, family) &&
          !plan.nat.covers(link, family)
      )
      if (family === undefined) continue
      // A pattern in the other backend's spelling is told where it stands.
      if (meant(link.bridgeName ?? hostIfname)) continue
      const entry = bridge?.bridge.name ?? hostIfname
      if (told.has(entry)) continue
      told.add(entry)
      const source = link.addresses.find(({ prefix }) => prefix?.family === family)
      const what = family === 6 ? 'the IPv6 of ' : ''
      yield {
        message:
          bridge === undefined
            ? `NAT does not cover ${what}container "${node.name}": neither ${hostIfname} nor ${source?.text} is in its lists`
            : `NAT does not cover ${what}bridge "${bridge.bridge.name}": it is not in internalInterfaces${bridge.members.length > 1 ? `, and ${bridge.members.length} containers use it` : ''}`,
        labels: [
          { at: [...nat.at, lists(nat, family)], text: `${entry} is missing here` },
          { at: source?.at ?? at, text: `"${node.name}" sends from here` }
        ],
        note:
          bridge === undefined
            ? 'its packets leave with their private source address, and no answer ever comes back'
            : 'packets of bridged containers enter the host through the bridge, never through ve-… or vb-…: they leave with their private source address, and no answer ever comes back',
        help: `add "${entry}" to nat.internalInterfaces, or write internet: false for the container if no way out is wanted`,
        // A list of single containers may leave one out on purpose.
        ...(bridge === undefined && selective ? { severity: 'hint' as const } : {})
      }
    }
  }
}

/** Which of the lists stands in the file and could have covered that family. */
const lists = (nat: Nat, family: Family): 'internalInterfaces' | 'internalIPs' | 'internalIPv6s' =>
  nat.internalInterfaces.length > 0
    ? 'internalInterfaces'
    : nat.internalIPs.length === 0 || (family === 6 && nat.internalIPv6s.length > 0)
      ? 'internalIPv6s'
      : 'internalIPs'

/** Whether packets for the internet go from a private address to the host, which would have to translate them. */
const leavesByHost = (
  plan: Plan,
  { node, addresses, veth, bridge, bridgeName }: Link,
  family: Family
): boolean => {
  if (!('internet' in node) || veth === undefined || veth.extra || node.partial || node.internet === false)
    return false
  const source = addresses.find(({ prefix }) => prefix?.family === family)?.prefix
  if (source === undefined || isGlobal(source)) return false
  const routes = defaultRoutes(plan, node, family)
  if (bridgeName === undefined)
    return routes.some(({ source }) => source === 'hostAddress' || source === 'defaultGateway')
  if (bridge === undefined || bridge.open || bridge.bridge.partial) return false
  return routes.some(
    ({ via }) =>
      via?.prefix !== undefined &&
      plan.addresses
        .owners(via.prefix)
        ?.some(({ owner, kind }) => kind === 'host' && owner === `bridge "${bridge.bridge.name}"`) === true
  )
}
