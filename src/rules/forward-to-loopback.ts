import { formatAddr } from '../net/addr.ts'
import { type Arrival, arrivals, onLoopbackOnly } from '../plan/forwards.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

export const forwardToLoopback: Rule = {
  id: 'forward-to-loopback',
  group: 'ports',
  severity: 'error',
  summary: 'A forward goes to a service that listens on the loopback address of its container only.',
  *check(plan) {
    if (plan.topology.having.listens.length === 0 && plan.topology.vms.length === 0) return
    for (const arrival of arrivals(plan)) {
      const { at, node, protocol, ports } = arrival
      // Of a range the file may name one service among others.
      if (node.partial || node.listens.length === 0 || ports.from !== ports.to) continue
      const services = onLoopbackOnly(node.listens, protocol, ports)
      const [first] = services
      if (first === undefined) continue
      const what = first.name ?? `the service on ${protocol} ${ports.from}`
      const kind = 'privateNetwork' in node ? 'container' : 'machine'
      yield {
        message: `${protocol} ${ports.from} is forwarded to ${kind} "${node.name}", where ${what} listens on ${listed(services.map(({ address }) => address?.text ?? ''))} only`,
        labels: [
          {
            at,
            text: `arrives at ${targetOf(arrival) ?? 'an address of the container'}, port ${ports.from}`
          },
          ...services.map(listen => ({
            at: [...listen.at, 'address'],
            text: 'reached from inside only'
          }))
        ],
        note: `a forward leads to an address of the ${kind}, never to its loopback: connections end with "Connection refused"`,
        help: `let ${what} listen on ${targetOf(arrival) ?? `the ${kind}'s address`} or on any address, and open the port in the ${kind}'s own firewall; or remove the forward if only the ${kind} itself should reach it`
      }
    }
  }
}

const targetOf = ({ address, links }: Arrival): string | undefined => {
  const own =
    address ?? links.flatMap(link => link.addresses).find(({ prefix }) => prefix?.family === 4)?.prefix
  return own === undefined ? undefined : formatAddr(own)
}
