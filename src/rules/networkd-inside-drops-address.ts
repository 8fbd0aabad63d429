import type { Problem } from '../findings/finding.ts'
import type { Container, Interface, Route, Veth } from '../model/topology.ts'
import { sameAddr } from '../net/addr.ts'
import { hasVeth } from '../plan/links.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** E34 */
export const networkdInsideDropsAddress: Rule = {
  id: 'networkd-inside-drops-address',
  group: 'networkd',
  severity: 'error',
  summary: "systemd-networkd inside a container removes the addresses of the container's own options.",
  *check({ topology, releases }) {
    if (!releases.networkdDropsForeign) return
    for (const container of topology.having.useNetworkd) {
      if (!container.enabled || !container.useNetworkd) continue
      const veths = hasVeth(container) ? [container.veth, ...container.extraVeths] : container.extraVeths
      for (const veth of veths) {
        const inside = container.inside.interfaces.find(({ name }) => name === veth.ifname)
        if (inside === undefined) continue
        const dropped = [veth.localAddress, veth.localAddress6].flatMap(address =>
          address?.prefix === undefined || repeats(inside, address.prefix) ? [] : [address]
        )
        const [first] = dropped
        if (first !== undefined) {
          const texts = listed(dropped.map(({ text }) => text))
          yield {
            message: `systemd-networkd inside "${container.name}" removes ${texts} from ${veth.ifname}`,
            labels: [
              { at: first.at, text: `set before the container's systemd starts` },
              {
                at: inside.at,
                on: 'key',
                text: `networkd manages ${veth.ifname}, and this is all it knows of it`
              }
            ],
            note: `NixOS writes 40-${veth.ifname}.network for an interface that is declared inside; networkd then removes every address and route that it did not set: ${
              inside.addresses.length > 0 || inside.dhcp
                ? `${texts} is gone a moment after the start`
                : 'the container has no address a moment after its start'
            }`,
            help: `write the address inside as well: inside.interfaces.${veth.ifname}.address: [${[...inside.addresses, ...dropped].map(({ text }) => text).join(', ')}]; or remove ${veth.ifname} from inside.interfaces, so that networkd leaves it alone`
          }
        } else yield* lostRoute(container, veth, inside)
      }
    }
  }
}

const repeats = ({ dhcp, addresses }: Interface, address: Parameters<typeof sameAddr>[0]): boolean =>
  dhcp || addresses.some(({ prefix }) => prefix !== undefined && sameAddr(prefix, address))

/** The default route by hostAddress goes the same way. */
const lostRoute = function* (container: Container, veth: Veth, inside: Interface): Generator<Problem> {
  if (veth.extra || inside.dhcp) return
  for (const [family, router, gateway, option, all] of [
    [4, veth.hostAddress, container.defaultGateway, 'defaultGateway', '0.0.0.0/0'],
    [6, veth.hostAddress6, container.defaultGateway6, 'defaultGateway6', '::/0']
  ] as const) {
    if (router?.prefix === undefined || gateway !== undefined) continue
    const isDefault = ({ destination: { prefix } }: Route): boolean =>
      prefix?.bits === 0 && prefix.family === family
    if (container.routes.some(isDefault) || inside.routes.some(isDefault)) continue
    yield {
      message: `systemd-networkd inside "${container.name}" removes the default route by ${router.text}`,
      labels: [
        { at: router.at, text: "the route is set before the container's systemd starts" },
        { at: inside.at, on: 'key', text: `networkd manages ${veth.ifname}, and has no route for it` }
      ],
      note: `NixOS writes 40-${veth.ifname}.network for an interface that is declared inside; networkd then removes every route that it did not set, and the container has no way to ${all}`,
      help: `write ${option}: { address: ${router.text}, interface: ${veth.ifname} } for the container`
    }
  }
}
