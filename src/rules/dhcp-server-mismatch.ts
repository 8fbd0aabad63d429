import type { Problem } from '../findings/finding.ts'
import { offer, replaced } from '../findings/mend.ts'
import { formatNetwork, formatPrefix, masked, overlaps } from '../net/prefix.ts'
import { dhcpServices, type Service } from '../plan/dhcp.ts'
import type { Rule } from './rule.ts'

export const dhcpServerMismatch: Rule = {
  id: 'dhcp-server-mismatch',
  group: 'addresses',
  severity: 'warning',
  summary: 'A DHCP server declares another network than its interface has.',
  *check(plan) {
    for (const service of dhcpServices(plan)) {
      const problem = judge(service)
      if (problem !== undefined) yield problem
    }
  }
}

const judge = ({ server, addresses, complete }: Service): Problem | undefined => {
  const { subnet, interface: served, range } = server
  const { name } = served
  const family = subnet?.prefix?.family ?? range?.from.family ?? 4
  // DHCPv6 works over link-local addresses.
  if (family === 6) return undefined
  const own = addresses.filter(({ prefix, bare }) => prefix?.family === family && !bare)
  const [first] = own
  if (first?.prefix === undefined)
    return complete && addresses.every(({ prefix }) => prefix?.family === 6)
      ? {
          message: `${name} has no IPv4 address, and a DHCP server is to serve it`,
          labels: [{ at: served.at, text: `the host has no address on ${name}` }],
          note: `a server answers from its own address on the interface and chooses the network by it; without one it answers nobody (${
            server.program === 'networkd'
              ? 'networkd: "DHCPServer= is enabled, but no static address configured. Disabling DHCP server."'
              : 'dnsmasq: "DHCP packet received on … which has no address"'
          })`,
          help: `give ${name} an address${subnet?.prefix === undefined ? '' : ` of ${formatNetwork(subnet.prefix)}`}`,
          severity: 'error'
        }
      : undefined
  const declared = subnet?.prefix
  if (declared === undefined || subnet?.bare !== false) return undefined
  const network = formatNetwork(declared)
  if (own.some(({ prefix }) => prefix !== undefined && formatNetwork(prefix) === network)) return undefined
  const near = own.find(({ prefix }) => prefix !== undefined && overlaps(prefix, declared)) ?? first
  const prefix = near.prefix ?? first.prefix
  const labels = [
    { at: subnet.at, text: 'what the server declares' },
    { at: near.at, text: `what the host has on ${name}` }
  ] as const
  const help = `write subnet: ${formatNetwork(prefix)}`
  if (!overlaps(prefix, declared))
    return {
      message: `the DHCP server for ${name} declares ${network}, and the address of ${name} is ${formatPrefix(prefix)}`,
      labels,
      note: 'a server chooses the network by its own address on the interface the question comes from; for that one it has none to give, and nobody gets a lease (dnsmasq: "no address range available for DHCP request")',
      help: `${help}, or give ${name} an address in ${network}`,
      severity: 'error'
    }
  const wider = declared.bits < prefix.bits
  return {
    message: `the DHCP server for ${name} declares ${network}, and ${name} is in ${formatPrefix(masked(prefix))}`,
    labels,
    note: wider
      ? `clients get the netmask /${declared.bits}: they take every address of ${network} for a neighbour on ${name}, ask for it there and get no answer. What is routed to other networks in it cannot be reached`
      : `clients get the netmask /${declared.bits}: what of ${formatNetwork(prefix)} lies outside is no neighbour for them, so they send it through their router and answers take another way`,
    help,
    ...offer(replaced(subnet.at, formatNetwork(prefix)))
  }
}
