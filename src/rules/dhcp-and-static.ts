import type { Rule } from './rule.ts'

/** E20 */
export const dhcpAndStatic: Rule = {
  id: 'dhcp-and-static',
  group: 'bridges',
  severity: 'warning',
  summary: 'A bridge asks for an address by DHCP and has a fixed IPv4 address too.',
  *check({ bridges }) {
    for (const { bridge } of bridges.values()) {
      const fixed = bridge.addresses.find(({ prefix }) => prefix?.family === 4)
      if (bridge.dhcp === undefined || fixed === undefined) continue
      yield {
        message: `bridge "${bridge.name}" has DHCP and the fixed address ${fixed.text}`,
        labels: [
          { at: bridge.dhcp, text: 'one address from here' },
          { at: fixed.at, text: 'and one from here' }
        ],
        note: 'both are set: the host has two addresses and two default routes, which of them its packets carry changes with the lease, and the fixed one may be leased to somebody else',
        help: `remove dhcp and keep ${fixed.text} (outside the router's DHCP range), or remove the address`
      }
    }
  }
}
