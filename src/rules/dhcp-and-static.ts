import { offer } from '../findings/mend.ts'
import { contains } from '../net/prefix.ts'
import type { Rule } from './rule.ts'

/** E20 */
export const dhcpAndStatic: Rule = {
  id: 'dhcp-and-static',
  group: 'bridges',
  severity: 'warning',
  summary: 'A bridge asks for an address by DHCP and has a fixed IPv4 address too.',
  *check({ bridges, topology }) {
    const { defaultGateway } = topology.host
    for (const { bridge } of bridges.values()) {
      const fixed = bridge.addresses.find(({ prefix }) => prefix?.family === 4)
      if (bridge.dhcp === undefined || fixed?.prefix === undefined) continue
      const router = defaultGateway?.address.prefix
      const isElsewhere =
        defaultGateway !== undefined && router !== undefined && !contains(fixed.prefix, router)
      yield {
        message: `bridge "${bridge.name}" has DHCP and the fixed address ${fixed.text}`,
        labels: [
          { at: bridge.dhcp, text: 'one address from here' },
          { at: fixed.at, text: 'and one from here' }
        ],
        note:
          bridge.interfaces.length === 0 && !bridge.partial
            ? `both are asked for; but "${bridge.name}" has no port to outside, so unless one of its own members is a DHCP server, the host asks for ever`
            : `both are set: the host has two addresses${defaultGateway === undefined ? '' : ' and two default routes'} on "${bridge.name}", what its packets carry changes with the lease, and the router may lease the fixed address to somebody else`,
        help:
          bridge.interfaces.length === 0 && !bridge.partial
            ? `remove dhcp and keep ${fixed.text}`
            : isElsewhere
              ? `remove the address, since the default gateway ${defaultGateway.address.text} is not in its network; or remove dhcp, and write an address of the gateway's network`
              : `remove dhcp and keep ${fixed.text} (outside the router's DHCP range), or remove the address`,
        ...offer(
          bridge.interfaces.length === 0 && !bridge.partial ? { kind: 'remove', at: bridge.dhcp } : undefined
        )
      }
    }
  }
}
