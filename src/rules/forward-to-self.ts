import { formatAddr, sameAddr } from '../net/addr.ts'
import { hasOwnRules, inputFilter } from '../plan/firewall.ts'
import type { Rule } from './rule.ts'

export const forwardToSelf: Rule = {
  id: 'forward-to-self',
  group: 'nat',
  severity: 'warning',
  summary: 'A forward of the host leads back to the host itself.',
  *check({ topology, addresses }) {
    const { nat, host } = topology
    if (nat === undefined || !nat.enable || nat.forwardPorts.length === 0) return
    const { firewall } = host
    const filter = inputFilter(firewall)
    const external = nat.externalInterface
    for (const { at, source, proto, destination } of nat.forwardPorts) {
      const { address, fault, text } = destination
      if (fault !== undefined || address === undefined || source.range === undefined) continue
      if (proto.value === undefined || (address.family === 6 && !nat.enableIPv6)) continue
      const owners = addresses.owners(address)?.filter(({ enabled }) => enabled) ?? []
      const [owner] = owners
      if (owner === undefined || owners.some(({ kind }) => kind === 'local' || kind === 'virtual')) continue
      const ports = destination.ports ?? source.range
      const same = ports.from === source.range.from && ports.to === source.range.to
      if (same) {
        // A service that is bound to that address alone becomes reachable by the forward.
        const bound = host.listens.some(
          ({ address: own, port, protocol }) =>
            own?.prefix !== undefined &&
            sameAddr(own.prefix, address) &&
            protocol.value === proto.value &&
            port >= ports.from &&
            port <= ports.to
        )
        if (bound) continue
      } else if (
        !firewall.written ||
        !firewall.enable ||
        host.partial ||
        external === undefined ||
        hasOwnRules(firewall) ||
        filter.trusts(external) ||
        filter.opens(external, proto.value, ports)
      )
        continue
      const inside =
        owner.kind === 'pair'
          ? owner.link?.addresses.find(({ prefix }) => prefix?.family === address.family)?.prefix
          : undefined
      const many = source.range.from !== source.range.to
      const which = `${proto.text} ${source.text}`
      yield {
        message: same
          ? `the forward of ${which} leads back to the host: ${destination.text} is an address of its own`
          : `the forward of ${which} leads to ${destination.text}, which is the host itself, and its firewall does not open that port`,
        labels: [
          { at: same ? at : destination.at, text: 'from the host to the host' },
          { at: owner.at, text: owner.kind === 'pair' ? `the host's end of ${owner.owner}` : owner.owner }
        ],
        note: same
          ? `nothing gets to a machine behind the host; ${many ? 'every packet for these ports' : 'what arrives for the port'} ends at the host as it would without the forward, only under another address, so that a service bound to the outer address alone loses it`
          : `what is sent on to the host itself passes its INPUT chain with the new port: connections time out`,
        help:
          inside !== undefined
            ? `write "${text.replace(formatAddr(address), formatAddr(inside))}": ${formatAddr(inside)} is the address of ${owner.owner}, and ${formatAddr(address)} the host's end of the pair`
            : same
              ? 'write the address of the container or machine that has the service, or remove the forward; a service of the host needs only an open port in host.firewall'
              : `open ${ports.from === ports.to ? ports.from : `${ports.from} to ${ports.to}`} in host.firewall.interfaces."${external}".allowed${proto.text.toUpperCase()}Port${ports.from === ports.to ? 's' : 'Ranges'}, or write the address of the container that has the service`
      }
    }
  }
}
