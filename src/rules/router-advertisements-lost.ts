import { offer } from '../findings/mend.ts'
import { lostAdvertisements } from '../plan/advertisements.ts'
import { formatPath } from '../text/path.ts'
import type { Rule } from './rule.ts'

/** B15 */
export const routerAdvertisementsLost: Rule = {
  id: 'router-advertisements-lost',
  group: 'ipv6',
  severity: 'warning',
  summary: 'IPv6 forwarding is on, and the uplink, which lives from router advertisements, ignores them.',
  *check(plan) {
    for (const { name, wish, forwarding, listener, unit, useless, hasOther } of lostAdvertisements(plan)) {
      const isKernel = listener === 'kernel'
      yield {
        message: `${forwarding.key} is ${forwarding.text}, so ${name} ignores router advertisements: ${hasOther ? 'it has no IPv6 address from its router' : 'the host has no IPv6 default route'}`,
        labels: [
          { at: forwarding.at, text: 'makes the host a router' },
          { at: wish, text: `${name} is to have its IPv6 from a router's advertisements` },
          ...(useless === undefined
            ? []
            : [
                {
                  at: useless.at,
                  text: 'without effect: the kernel looks at the value of the interface only'
                }
              ])
        ],
        note: isKernel
          ? 'with accept_ra=1, the default, the kernel listens to routers only while it does not forward. The default route disappears as soon as forwarding is set, and the address when it expires: IPv6 works after the boot and stops later'
          : 'without IPv6AcceptRA= networkd listens to routers only where it does not forward: the uplink gets IPv4, and neither an IPv6 address nor a route, and logs nothing',
        help: isKernel
          ? `add "net.ipv6.conf.${name.replaceAll('.', '/')}.accept_ra": 2 to host.sysctl, or let nat.enableIPv6 turn forwarding on, which sets it as well`
          : unit === undefined
            ? `write a unit for ${name} with networkConfig: { IPv6AcceptRA: true }`
            : `add IPv6AcceptRA: true to ${formatPath(unit.at)}.networkConfig`,
        ...offer(
          isKernel || unit === undefined
            ? undefined
            : { kind: 'insert', at: [...unit.at, 'networkConfig', 'IPv6AcceptRA'], value: true }
        )
      }
    }
  }
}
