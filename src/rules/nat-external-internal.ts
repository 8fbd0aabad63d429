import { offer, replaced } from '../findings/mend.ts'
import { defaultRoutes } from '../plan/gateways.ts'
import { nameMatcher } from '../plan/nat.ts'
import { FAMILIES, type Plan } from '../plan/plan.ts'
import type { Path } from '../text/path.ts'
import type { Rule } from './rule.ts'

/** D10 */
export const natExternalInternal: Rule = {
  id: 'nat-external-internal',
  group: 'nat',
  severity: 'error',
  summary:
    'The external interface of NAT is internal too, or only carries the bridge, bond, VLAN or macvlan that has the address.',
  *check(plan) {
    const { nat, enabled, wildcard } = plan.nat
    const external = nat?.externalInterface
    if (!enabled || nat === undefined || external === undefined) return
    const at: Path = [...nat.at, 'externalInterface']
    const inside = nat.internalInterfaces.find(({ name }) => nameMatcher([name], wildcard)(external))
    if (inside !== undefined) {
      const own = plan.bridges.get(external)
      const closed = own !== undefined && !own.open && !own.bridge.partial
      yield {
        message: `"${external}" is the external interface of NAT and internal too`,
        labels: [
          { at, text: 'the way out' },
          { at: inside.at, text: 'and the way in' }
        ],
        note: closed
          ? `"${external}" has no port to outside, so packets for the internet leave by another interface, untranslated, and no answer ever comes back`
          : `packets that come in by "${external}" and leave by it again are translated: machines that use this host as their router are seen with its address; nothing else changes`,
        help: closed
          ? `write externalInterface: ${uplink(plan) ?? 'eth0, the interface to the internet'}`
          : inside.name === external
            ? 'remove it from internalInterfaces'
            : `write a pattern that does not match "${external}" instead of "${inside.name}"`,
        ...(closed ? {} : { severity: 'warning' as const })
      }
    }
    for (const { bridge } of plan.bridges.values()) {
      const port = bridge.interfaces.find(({ name }) => name === external)
      if (port === undefined) continue
      const user = plan.links.find(link => needsNat(plan, link, bridge.name))
      const forwards = nat.forwardPorts.length > 0
      yield {
        message: `the external interface "${external}" of NAT is a port of bridge "${bridge.name}"`,
        labels: [
          { at, text: 'packets never leave by it' },
          { at: port.at, text: `it is a port of "${bridge.name}" here` }
        ],
        note: `the host routes by "${bridge.name}", so no rule for "${external}" ever matches: ${
          user !== undefined
            ? `"${user.node.name}" gets no answer from the internet`
            : forwards
              ? 'no port is forwarded'
              : `containers on "${bridge.name}" are on that network themselves and need no NAT`
        }`,
        help: `write externalInterface: ${bridge.name}${user !== undefined || forwards ? '' : ', or switch NAT off'}`,
        ...offer(replaced(at, user !== undefined || forwards ? bridge.name : undefined)),
        ...(user !== undefined || forwards ? {} : { severity: 'warning' as const })
      }
      // A name is a port of one bridge only; that it stands in two is not told here.
      return
    }
    const { host } = plan.topology
    for (const { name, interfaces } of host.bonds) {
      const member = interfaces.find(({ name }) => name === external)
      if (member === undefined) continue
      const way =
        plan.topology.bridges.find(({ interfaces }) => interfaces.some(port => port.name === name))?.name ??
        name
      yield {
        message: `the external interface "${external}" of NAT is a member of bond "${name}"`,
        labels: [
          { at, text: 'packets never leave by it' },
          { at: member.at, text: `it is a member of "${name}" here` }
        ],
        note: `the host routes by "${way}", so no rule for "${external}" ever matches: nothing is translated, and no port is forwarded`,
        help: `write externalInterface: ${way}`,
        ...offer(replaced(at, way))
      }
      return
    }
    // A card may have packets of its own beside its VLANs; not so where the file says that the address is the VLAN's.
    const card = host.configured.find(({ name }) => name === external)
    if (card === undefined || card.dhcp || card.addresses.length > 0 || host.partial) return
    const [upper, other] = [...host.vlans, ...host.macvlans].filter(
      ({ name, interface: parent }) => parent.name === external && leadsOut(plan, name)
    )
    if (upper === undefined || other !== undefined) return
    const what = 'id' in upper ? 'VLAN' : 'macvlan'
    yield {
      message: `the external interface "${external}" of NAT has no address; its ${what} "${upper.name}" has`,
      labels: [
        { at, text: what === 'VLAN' ? 'packets never leave by it untagged' : 'packets never leave by it' },
        { at: upper.interface.at, text: `"${upper.name}" sends by it, as an interface of its own` }
      ],
      note: `the host routes by "${upper.name}", so no rule for "${external}" ever matches: nothing is translated, and no port is forwarded`,
      help: `write externalInterface: ${upper.name}`,
      ...offer(replaced(at, upper.name))
    }
  }
}

/** Whether the host's way out is by this interface, as far as the file says: its router, or the only DHCP. */
const leadsOut = ({ topology: { host } }: Plan, name: string): boolean =>
  [host.defaultGateway, host.defaultGateway6].some(gateway => gateway?.interface === name) ||
  (host.defaultGateway === undefined && host.configured.some(entry => entry.name === name && entry.dhcp))

/** The interface that most likely has the default route. */
const uplink = ({ topology: { host } }: Plan): string | undefined =>
  (host.configured.find(({ dhcp }) => dhcp) ?? host.configured[0])?.name

/** Whether a link's packets for the internet are routed by the host, not switched by that bridge. */
const needsNat = (plan: Plan, { veth, node, bridgeName }: Plan['links'][number], bridge: string): boolean =>
  veth !== undefined &&
  !veth.extra &&
  bridgeName !== bridge &&
  'internet' in node &&
  FAMILIES.some(
    family =>
      (family === 4 || plan.nat.nat?.enableIPv6 === true) && defaultRoutes(plan, node, family).length > 0
  )
