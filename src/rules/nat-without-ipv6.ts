import type { Container } from '../model/topology.ts'
import { isGlobal } from '../net/special.ts'
import { defaultRoutes } from '../plan/gateways.ts'
import type { Link, Plan } from '../plan/plan.ts'
import { listed, plural } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** B14 */
export const natWithoutIpv6: Rule = {
  id: 'nat-without-ipv6',
  group: 'nat',
  severity: 'warning',
  summary: 'Containers have IPv6 and a route out, and NAT is for IPv4 only.',
  *check(plan) {
    const { nat } = plan.nat
    if (nat === undefined || !nat.enable || nat.enableIPv6 || nat.partial) return
    const affected = plan.links.filter(link => leavesByHost(plan, link) && !plan.nat.covers(link, 6))
    const [first] = affected
    if (first === undefined) return
    const only6 = affected.filter(({ addresses }) => addresses.every(({ prefix }) => prefix?.family !== 4))
    const names = affected.map(({ node }) => `"${node.name}"`)
    yield {
      message: `nat.enableIPv6 is not set, but ${plural(affected.length, 'container')} ${affected.length > 1 ? 'have' : 'has'} private IPv6 and a default route: ${listed(names, 4)}`,
      labels: [
        { at: [...nat.at, 'enableIPv6'], text: 'IPv6 is neither forwarded nor translated' },
        ...affected.slice(0, 4).map(({ addresses, at, node }) => ({
          at: addresses.find(({ prefix }) => prefix?.family === 6)?.at ?? at,
          text: `"${node.name}" sends from here`
        }))
      ],
      note:
        only6.length > 0
          ? `${listed(only6.map(({ node }) => `"${node.name}"`), 4)} ${only6.length > 1 ? 'have' : 'has'} no IPv4 either, and reaches nothing outside`
          : 'names resolve to IPv6 addresses too, so connections try IPv6 first and hang until they fall back to IPv4',
      help: 'write nat.enableIPv6: true',
      ...(only6.length > 0 ? { severity: 'error' as const } : {})
    }
  }
}

/** Whether the link's IPv6 packets for elsewhere go to the host, from an address that the internet does not know. */
const leavesByHost = (plan: Plan, { node, addresses, veth, bridge }: Link): boolean => {
  if (veth === undefined || veth.extra || node.partial || bridge?.open === true) return false
  const container = node as Container
  if (container.internet === false) return false
  const private6 = addresses.some(({ prefix }) => prefix?.family === 6 && !isGlobal(prefix))
  return private6 && defaultRoutes(plan, container, 6).length > 0
}
