import type { Container, Vm } from '../model/topology.ts'
import { formatAddr } from '../net/addr.ts'
import { defaultRoutes } from '../plan/gateways.ts'
import type { Link } from '../plan/plan.ts'
import { plural } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** D24 */
export const forwardHidesClient: Rule = {
  id: 'forward-hides-client',
  group: 'nat',
  severity: 'hint',
  summary: 'With nftables, a forwarded service sees the host instead of its clients inside.',
  *check(plan) {
    const {
      nat: { nat, enabled, backend },
      addresses,
      links
    } = plan
    if (!enabled || nat === undefined || nat.forwardPorts.length === 0 || backend !== 'nftables') return
    // Without it the rebuild stops, which is told as such.
    if (nat.externalInterface === undefined) return
    const hidden = nat.forwardPorts.flatMap(forward => {
      const { address, fault } = forward.destination
      if (address === undefined || fault !== undefined || forward.proto.value === undefined) return []
      if (forward.source.range === undefined) return []
      if (address.family === 6 && !nat.enableIPv6) return []
      const owner = addresses.owners(address)?.find(({ kind, enabled }) => kind === 'local' && enabled)
      return owner?.link === undefined ? [] : [{ forward, address, link: owner.link }]
    })
    const [first] = hidden
    if (first === undefined) return
    const { forward, address, link } = first
    const client = links.find(
      other =>
        isRouted(link, other) &&
        other.addresses.some(({ prefix }) => prefix?.family === address.family) &&
        other.container !== undefined &&
        defaultRoutes(plan, other.container, address.family).length > 0
    )
    if (client === undefined) return
    const port = forward.destination.ports?.from ?? forward.source.range?.from
    yield {
      message: `"${link.node.name}" sees the host's address for clients inside, such as "${client.node.name}", on ${hidden.length === 1 ? `port ${port}` : 'forwarded ports'}`,
      labels: [
        { at: forward.destination.at, text: `masqueraded on the way to ${formatAddr(address)}` },
        { at: nameOf(client.node), on: 'key', text: 'a client inside' }
      ],
      note: `for ${plural(hidden.length, 'forward')} the nftables backend adds a masquerade for what does not come in by "${nat.externalInterface}", also where no loopbackIPs are written: logs, access rules and rate limits of the service see one client`,
      help: 'nothing, where that does no harm; else put both on one bridge, or let the service tell its clients apart by something else than the address'
    }
  }
}

const nameOf = ({ at }: Container | Vm): Link['at'] => at

/** Whether packets between two links pass the host's routing, and not just a bridge. */
const isRouted = (a: Link, b: Link): boolean =>
  a.node !== b.node &&
  b.veth !== undefined &&
  (a.bridgeName ?? a.hostIfname) !== (b.bridgeName ?? b.hostIfname)
