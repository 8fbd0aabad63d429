import type { Label } from '../findings/finding.ts'
import { offer } from '../findings/mend.ts'
import type { Container } from '../model/topology.ts'
import { formatAddr, type Family } from '../net/addr.ts'
import { isGlobal } from '../net/special.ts'
import { defaultRoutes } from '../plan/gateways.ts'
import { type BridgePlan, FAMILIES, type Link, type Plan } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** B1 */
export const missingGateway: Rule = {
  id: 'missing-gateway',
  group: 'gateways',
  severity: 'error',
  summary: 'A bridged container that wants a way out has no default route.',
  *check(plan) {
    for (const link of plan.links) {
      const { container, bridge, veth } = link
      if (bridge === undefined || container === undefined || veth?.extra !== false) continue
      if (container.partial || container.internet === false) continue
      for (const family of FAMILIES) {
        if ((family === 4 ? container.defaultGateway : container.defaultGateway6) !== undefined) continue
        const address = link.addresses.find(({ prefix }) => prefix?.family === family)
        if (address === undefined || defaultRoutes(plan, container, family).length > 0) continue
        // A gateway on top of an address that does not fit would not help.
        if ((plan.misplaced.get(address)?.placement.kind ?? 'unknown') !== 'unknown') continue
        const wish = wants(plan, container, link, bridge, family)
        if (wish === undefined) continue
        const own = bridge.subnets.find(({ prefix }) => prefix.family === family)
        const { host } = plan.topology
        // On a network outside it is the host's own router; on a closed one the bridge.
        const router = bridge.open
          ? (family === 4 ? host.defaultGateway : host.defaultGateway6)?.address.prefix
          : own?.address.prefix
        const option = family === 4 ? 'defaultGateway' : 'defaultGateway6'
        const value =
          router === undefined ? undefined : family === 4 ? formatAddr(router) : `"${formatAddr(router)}"`
        yield {
          message: `container "${container.name}" on bridge "${bridge.bridge.name}" has no IPv${family} default route`,
          labels: [
            { at: [...container.at, option], text: `${option} is missing here` },
            { at: address.at, text: 'nothing leads out of this network' },
            wish.label
          ],
          note: 'it talks to its neighbours, and for everything else Linux answers "Network is unreachable"; unlike a pair, a bridge gives no default route by itself',
          help: `${value === undefined ? `add ${option} with the address of the router on that network and interface: eth0` : `add ${option}: { address: ${value}, interface: eth0 }`}, or write internet: false if no way out is wanted`,
          ...offer(
            wish.sure && router !== undefined
              ? {
                  kind: 'insert',
                  at: [...container.at, option],
                  value: { address: formatAddr(router), interface: 'eth0' }
                }
              : undefined
          ),
          ...(wish.sure ? {} : { severity: 'warning' as const })
        }
      }
    }
  }
}

interface Wish {
  /** Where the file says so. */
  readonly label: Label
  /** Whether the file shows that a way out is meant, or only suggests it. */
  readonly sure: boolean
}

/** What in the file says that the container is meant to leave its network; undefined for a network that is closed on purpose. */
const wants = (
  plan: Plan,
  container: Container,
  link: Link,
  { bridge: { name, at }, open }: BridgePlan,
  family: Family
): Wish | undefined => {
  const because = (text: string): Label => ({ at, on: 'key', text })
  if (plan.nat.covers(link, family)) return { label: because(`NAT is set up for "${name}"`), sure: true }
  const only6 = link.addresses.every(({ prefix }) => prefix?.family !== 4)
  if (container.internet === true && (family === 4 || only6))
    return { label: { at: [...container.at, 'internet'], text: 'a way out is wanted' }, sure: true }
  if (family === 6) return undefined
  if (open) return { label: because(`"${name}" leads to a network outside`), sure: false }
  if (link.addresses.some(({ prefix }) => prefix?.family === 4 && isGlobal(prefix)))
    return { label: because('its containers have public addresses'), sure: false }
  return undefined
}
