import type { Container } from '../model/topology.ts'
import { formatAddr, type Family } from '../net/addr.ts'
import { isGlobal } from '../net/special.ts'
import { placementOf } from '../plan/bridges.ts'
import { defaultRoutes } from '../plan/gateways.ts'
import type { Link, Plan } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** B1 */
export const missingGateway: Rule = {
  id: 'missing-gateway',
  group: 'gateways',
  severity: 'error',
  summary: 'A bridged container that wants a way out has no default route.',
  *check(plan) {
    for (const link of plan.links) {
      const { node, bridge, veth } = link
      if (bridge === undefined || veth === undefined || veth.extra || node.partial) continue
      const container = node as Container
      if (container.internet === false) continue
      for (const family of [4, 6] as const) {
        const address = link.addresses.find(({ prefix }) => prefix?.family === family)
        if (address === undefined || defaultRoutes(plan, container, family).length > 0) continue
        // A gateway on top of an address that does not fit would not help.
        if (!['fits', 'unknown'].includes(placementOf(bridge, address).kind)) continue
        const wish = wants(plan, container, link, family)
        if (wish === undefined) continue
        const router = bridge.subnets.find(({ prefix }) => prefix.family === family)?.address.prefix
        const option = family === 4 ? 'defaultGateway' : 'defaultGateway6'
        const value =
          bridge.open || router === undefined ? `the address of the router of ${bridge.bridge.name}'s network` : formatAddr(router)
        yield {
          message: `container "${node.name}" on bridge "${bridge.bridge.name}" has no IPv${family} default route`,
          labels: [
            { at: address.at, text: `nothing leads out of this network` },
            { at: bridge.bridge.at, on: 'key', text: wish.because }
          ],
          note: 'it talks to its neighbours, and for everything else Linux answers "Network is unreachable"; unlike a pair, a bridge gives no default route by itself',
          help: `add ${option}: { address: ${value}, interface: eth0 }, or write internet: false if no way out is wanted`,
          ...(wish.sure ? {} : { severity: 'warning' as const })
        }
      }
    }
  }
}

interface Wish {
  readonly because: string
  /** Whether the file shows that a way out is meant, or only suggests it. */
  readonly sure: boolean
}

/** What in the file says that the container is meant to leave its network; undefined for a network that is closed on purpose. */
const wants = (plan: Plan, container: Container, link: Link, family: Family): Wish | undefined => {
  const name = link.bridgeName ?? ''
  if (plan.nat.covers(link, family)) return { because: `NAT is set up for "${name}"`, sure: true }
  if (container.internet === true && family === 4) return { because: 'internet: true is written for the container', sure: true }
  if (family === 6) return undefined
  if (link.bridge?.open === true) return { because: `"${name}" leads to a network outside`, sure: false }
  if (link.addresses.some(({ prefix }) => prefix !== undefined && isGlobal(prefix)))
    return { because: 'the address is a public one', sure: false }
  return undefined
}
