import { offer, replaced } from '../findings/mend.ts'
import { formatAddr } from '../net/addr.ts'
import { contains, firstUsable, formatPrefix, lastUsable } from '../net/prefix.ts'
import { dhcpServices, servedNetwork } from '../plan/dhcp.ts'
import type { Rule } from './rule.ts'

export const dhcpRangeOutside: Rule = {
  id: 'dhcp-range-outside',
  group: 'addresses',
  severity: 'error',
  summary:
    'A DHCP server hands out addresses from outside its network, or a range that ends before it begins.',
  *check(plan) {
    for (const service of dhcpServices(plan)) {
      const { range, program, interface: served, subnet } = service.server
      if (range === undefined) continue
      const { at, from, to } = range
      const text = `${formatAddr(from)}-${formatAddr(to)}`
      if (from.family !== to.family) {
        yield {
          message: `the DHCP range ${text} for ${served.name} begins in IPv${from.family} and ends in IPv${to.family}`,
          labels: [{ at, text: 'two families' }],
          note: 'the server refuses its configuration and does not start',
          help: 'write two addresses of one family'
        }
        continue
      }
      // dnsmasq and ISC dhcpd turn it around.
      if (from.value > to.value && program !== 'dnsmasq' && program !== 'dhcpd')
        yield {
          message: `the DHCP range ${text} for ${served.name} ends before it begins`,
          labels: [{ at, text: 'the larger address stands first' }],
          note:
            program === undefined
              ? 'dnsmasq and ISC dhcpd turn it around; Kea refuses its whole configuration and does not start'
              : `${program} refuses its configuration and does not start: nobody gets an address`,
          help: `write ${formatAddr(to)}-${formatAddr(from)}`,
          ...offer(replaced(at, `${formatAddr(to)}-${formatAddr(from)}`)),
          ...(program === undefined ? { severity: 'warning' as const } : {})
        }
      const network = servedNetwork(service, from.family)
      const outside = network === undefined ? [] : [from, to].filter(addr => !contains(network, addr))
      if (network === undefined || outside.length === 0) continue
      const home =
        subnet?.prefix === undefined
          ? service.addresses.find(({ prefix }) => prefix !== undefined && contains(network, prefix))
          : subnet
      yield {
        message: `the DHCP range ${text} for ${served.name} ${outside.length === 2 ? 'lies' : 'reaches'} outside ${formatPrefix(network)}`,
        labels: [
          {
            at,
            text: `${outside.map(addr => formatAddr(addr)).join(' and ')} ${outside.length === 2 ? 'are' : 'is'} not in ${formatPrefix(network)}`
          },
          ...(home === undefined ? [] : [{ at: home.at, text: 'the network that is served' }])
        ],
        note: 'Kea ("does not match the prefix of a subnet") and dnsmasq ("inconsistent DHCP range") refuse it and do not start; where a server takes it, a client with such an address reaches nobody',
        help: `choose a range between ${formatAddr(firstUsable(network))} and ${formatAddr(lastUsable(network))}`
      }
    }
  }
}
