import { formatAddr } from '../net/addr.ts'
import type { Host } from '../model/topology.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** D25 */
export const dmzHost: Rule = {
  id: 'dmz-host',
  group: 'nat',
  severity: 'warning',
  summary: 'A DMZ host gets every connection from outside, those for the host itself included.',
  *check({ nat: { nat, enabled }, topology: { host }, addresses }) {
    const dmz = nat?.dmzHost
    if (!enabled || dmz?.prefix === undefined || nat?.externalInterface === undefined) return
    // Faults of their own: what is no IPv4 address is refused.
    if (dmz.prefix.family === 6) return
    const owner = addresses.owners(dmz.prefix)?.find(({ enabled }) => enabled)?.owner
    const lost = services(host)
    yield {
      message: `everything that arrives by "${nat.externalInterface}" is sent on to ${formatAddr(dmz.prefix)}${owner === undefined ? '' : `, ${owner}`}: SSH for the host itself, too`,
      labels: [
        { at: dmz.at, text: 'takes all that no forward takes' },
        ...(lost.length === 0 ? [] : [{ at: lost[0]?.at ?? dmz.at, text: 'no longer reached from outside' }])
      ],
      note: `no new connection over IPv4 from outside reaches the host any more${lost.length === 0 ? '' : ` (${listed(lost.map(({ what }) => what))})`}; what is open is decided by the machine that it goes to, and over IPv6 nothing is sent on at all`,
      help: `forward single ports instead, such as { sourcePort: 443, destination: "${formatAddr(dmz.prefix)}:443" } in nat.forwardPorts`
    }
  }
}

/** What the host offers to the outside. */
const services = ({
  firewall,
  listens
}: Host): readonly { readonly what: string; readonly at: Host['at'] }[] => [
  ...listens
    .filter(({ address }) => address?.prefix === undefined || address.prefix.value === 0n)
    .map(({ name, port, protocol, at }) => ({ what: name ?? `${protocol.text} ${port}`, at })),
  ...[...firewall.open.tcp, ...firewall.open.udp]
    .filter(({ from, to }) => !listens.some(({ port }) => port >= from && port <= to))
    .map(({ from, to, at }) => ({ what: `port ${from === to ? from : `${from} to ${to}`}`, at }))
]
