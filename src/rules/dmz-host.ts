import { formatAddr } from '../net/addr.ts'
import type { Host, Listen } from '../model/topology.ts'
import { inputFilter } from '../plan/firewall.ts'
import { isAny } from '../plan/ports.ts'
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
    const lost = services(host, nat.externalInterface)
    const [first] = lost
    yield {
      message: `everything that arrives by "${nat.externalInterface}" is sent on to ${formatAddr(dmz.prefix)}${owner === undefined ? '' : `, ${owner}`}: SSH for the host itself, too`,
      labels: [
        { at: dmz.at, text: 'takes all that no forward takes' },
        ...(first === undefined ? [] : [{ at: first.at, text: 'no longer reached from outside' }])
      ],
      note: `no new connection over IPv4 from outside reaches the host any more${lost.length === 0 ? '' : ` (${listed(lost.map(({ what }) => what))})`}; what is open is decided by the machine that it goes to, and over IPv6 nothing is sent on at all`,
      help: `forward single ports instead, such as { sourcePort: 443, destination: "${formatAddr(dmz.prefix)}:443" } in nat.forwardPorts`
    }
  }
}

/** What the host offers over IPv4 to those outside. */
const services = (
  { firewall, listens, configured }: Host,
  external: string
): readonly { readonly what: string; readonly at: Host['at'] }[] => {
  const filter = inputFilter(firewall)
  // What a firewall that the file does not have lets through is unknown.
  const isFree = !firewall.written || !firewall.enable || filter.trusts(external)
  const own = configured.filter(({ name }) => name === external).flatMap(({ addresses }) => addresses)
  const isReached = ({ address, port, protocol }: Listen): boolean =>
    (address?.prefix === undefined ||
      isAny(address.prefix) ||
      own.some(({ prefix }) => prefix?.family === 4 && prefix.value === address.prefix?.value)) &&
    (isFree ||
      (protocol.value !== undefined && filter.opens(external, protocol.value, { from: port, to: port })))
  const unnamed = (['tcp', 'udp'] as const).flatMap(protocol =>
    firewall.open[protocol]
      .filter(
        ({ from, to }) =>
          !listens.some(({ port, protocol: { value } }) => value === protocol && port >= from && port <= to)
      )
      .map(({ from, to, at }) => ({ what: `${protocol} ${from === to ? from : `${from} to ${to}`}`, at }))
  )
  return [
    ...listens
      .filter(isReached)
      .map(({ name, port, protocol, at }) => ({ what: name ?? `${protocol.text} ${port}`, at })),
    ...unnamed
  ]
}
