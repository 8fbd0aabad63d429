import type { AddressText, Container, Veth } from '../model/topology.ts'
import { type Addr, formatAddr, type Family } from '../net/addr.ts'
import { defaultRoutes } from '../plan/gateways.ts'
import type { Plan } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** A18, A19 */
export const incompletePair: Rule = {
  id: 'incomplete-pair',
  group: 'addresses',
  severity: 'error',
  summary: 'A veth pair without a bridge has an address at one end only.',
  *check(plan) {
    for (const { veth, node, hostIfname } of plan.links) {
      if (veth === undefined || veth.hostBridge !== undefined || node.partial) continue
      const container = node as Container
      for (const family of [4, 6] as const) {
        const [host, local] = ends(veth, family)
        const [present, missing] = [host ?? local, host === undefined ? 'hostAddress' : 'localAddress']
        if (present === undefined || (host !== undefined && local !== undefined)) continue
        if (local === undefined ? hasAddressInside(plan, container, veth, family) : hasOwnRoute(plan, container, veth, family))
          continue
        const option = family === 4 ? missing : `${missing}6`
        yield {
          message: `container "${node.name}" has ${present.at.at(-1)} ${present.text}, but no ${option}${veth.extra ? ` on ${veth.ifname}` : ''}`,
          labels: [{ at: present.at, text: `${option} is missing beside it` }],
          note:
            local === undefined
              ? `${veth.ifname} gets a route to the host and no address to send from: nothing works in either direction`
              : `the host gets a route to the container through ${hostIfname}, but ${veth.ifname} has no route back: not even an answer leaves the container`,
          help: `add ${option}: ${neighbour(present)}`
        }
      }
    }
  }
}

const ends = (veth: Veth, family: Family): [AddressText | undefined, AddressText | undefined] =>
  family === 4 ? [veth.hostAddress, veth.localAddress] : [veth.hostAddress6, veth.localAddress6]

/** Whether the container's own configuration gives the interface an address. */
const hasAddressInside = (plan: Plan, container: Container, veth: Veth, family: Family): boolean =>
  (container.dhcp && !veth.extra) ||
  plan.linksOf
    .get(container)
    ?.some(link => link.veth === veth && link.addresses.some(({ prefix }) => prefix?.family === family)) === true

/** Whether the container's own configuration gives it a way to the host. */
const hasOwnRoute = (plan: Plan, container: Container, veth: Veth, family: Family): boolean =>
  container.routes.some(route => route.interface === veth.ifname) ||
  container.inside.interfaces.some(({ name, routes }) => name === veth.ifname && routes.length > 0) ||
  (!veth.extra && defaultRoutes(plan, container, family).length > 0)

/** The address beside the one that is there, which is what people take for the other end. */
const neighbour = ({ prefix }: AddressText): string => {
  if (prefix === undefined) return 'an address'
  const next: Addr = { family: prefix.family, value: prefix.value % 2n === 0n ? prefix.value + 1n : prefix.value - 1n }
  const usual: Addr = { family: prefix.family, value: prefix.value > 1n ? prefix.value - 1n : prefix.value + 1n }
  return formatAddr(usual.value % 256n === 0n ? next : usual)
}
