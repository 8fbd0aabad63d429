import type { Family } from '../net/addr.ts'
import { isGlobal } from '../net/special.ts'
import { defaultRoutes } from './gateways.ts'
import { nameMatcher } from './nat.ts'
import { FAMILIES, type Link, type Plan } from './plan.ts'

/** Whether packets for the internet go from a private address to the host, which would have to translate them. */
export const leavesByHost = (plan: Plan, link: Link, family: Family): boolean => {
  const { container, addresses, veth, bridge, bridgeName } = link
  if (container === undefined || veth === undefined || veth.extra) return false
  if (container.partial || container.internet === false || bridge?.open === true) return false
  const source = addresses.find(({ prefix }) => prefix?.family === family)?.prefix
  if (source === undefined || isGlobal(source)) return false
  const routes = defaultRoutes(plan, container, family)
  if (bridgeName === undefined) return routes.some(({ via }) => via !== undefined)
  if (bridge === undefined || bridge.bridge.partial) return false
  // A router that is another container or machine is not the host.
  return routes.some(
    ({ via }) =>
      via?.prefix !== undefined &&
      plan.addresses.owners(via.prefix)?.some(({ kind }) => kind === 'host') === true
  )
}

/** A link whose packets leave the host with their private source address. */
export interface Untranslated {
  readonly link: Link
  readonly family: Family
}

/**
 * The links that send to the internet through the host and that NAT, though it is on, does not cover: one for each
 * bridge, and one for each container without a bridge. What a pattern in the other backend's spelling was meant to
 * cover, and NAT without any entry, are faults of their own.
 */
export const untranslated = function* (plan: Plan): Generator<Untranslated> {
  const { nat, enabled, wildcard } = plan.nat
  if (!enabled || nat === undefined || nat.partial) return
  if (nat.internalInterfaces.length + nat.internalIPs.length + nat.internalIPv6s.length === 0) return
  const foreign = wildcard === '+' ? '*' : '+'
  const names = nat.internalInterfaces.map(({ name }) => name)
  const meant = nameMatcher(
    names.filter(name => name.endsWith(foreign)),
    foreign
  )
  const told = new Set<string>()
  for (const link of plan.links) {
    const entry = link.bridgeName ?? link.hostIfname
    if (told.has(entry) || meant(entry)) continue
    const family = FAMILIES.find(
      family =>
        (family === 4 || nat.enableIPv6) && !plan.nat.covers(link, family) && leavesByHost(plan, link, family)
    )
    if (family === undefined) continue
    told.add(entry)
    yield { link, family }
  }
}
