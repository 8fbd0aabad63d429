import { offer, replaced } from '../findings/mend.ts'
import { isOn } from '../model/sysctl.ts'
import { type Addr, formatAddr, sameAddr } from '../net/addr.ts'
import { first, firstUsable, formatPrefix, hasBroadcast } from '../net/prefix.ts'
import type { Plan } from '../plan/plan.ts'
import type { Path } from '../text/path.ts'
import { listed } from '../text/words.ts'
import { type AddressUser, adviser, ownerOf, users } from './broadcast-address.ts'
import type { Rule } from './rule.ts'

/** A14 */
export const networkAddress: Rule = {
  id: 'network-address',
  group: 'addresses',
  severity: 'warning',
  summary: "An interface has its network's own address, the lowest one.",
  *check(plan, freeIn) {
    const advice = adviser(freeIn)
    for (const user of [...users(plan), ...lowestOnBridges(plan)]) {
      const { address, prefix, network, owner, home } = user
      if (prefix.value !== first(network).value || !isSpecial(user)) continue
      const four = prefix.family === 4
      const routed = !four && routesIpv6(plan, user)
      const behind = user.bridge === undefined ? [] : gatewaysTo(plan, prefix)
      const { help, free } = advice(user)
      const router = free?.replace(/\/.*/, '')
      yield {
        message: `${address.text} of ${owner} is the ${four ? 'network' : "routers' anycast"} address of ${formatPrefix(network)}`,
        labels: [
          { at: address.at, text: `hosts start at ${formatAddr(firstUsable(network))}` },
          ...(home === undefined
            ? []
            : [{ at: home.address.at, text: `the network of "${home.bridge.name}"` }]),
          ...behind.slice(0, LABELLED).map(({ at }) => ({ at, text: 'the gateway must follow' }))
        ],
        note: four
          ? 'Linux takes it for an ordinary address only since 5.14; older kernels and many other systems take it for a second broadcast address and do not answer'
          : routed
            ? `the host forwards IPv6, so Linux answers for ${formatAddr(prefix)} itself (RFC 4291 section 2.6.1): host and container do not reach each other, and the container has no way out`
            : `every router of this network has ${formatAddr(prefix)} too (RFC 4291 section 2.6.1): it works as long as the host does not forward IPv6, and ends with nat.enableIPv6`,
        help: `${help}${
          behind.length === 0
            ? ''
            : `; the gateway of ${listed(
                behind.map(({ name }) => `"${name}"`),
                4
              )} must be the new address too`
        }`,
        ...offer(replaced(address.at, free), ...behind.map(({ at }) => replaced(at, router))),
        ...(routed ? { severity: 'error' as const } : {})
      }
    }
  }
}

const LABELLED = 4

/** Who has that address as the default gateway, and where. */
const gatewaysTo = (
  { topology: { containers, vms } }: Plan,
  addr: Addr
): readonly { readonly at: Path; readonly name: string }[] =>
  [...containers, ...vms].flatMap(({ name, enabled, defaultGateway, defaultGateway6 }) =>
    [defaultGateway, defaultGateway6].flatMap(gateway =>
      enabled && gateway?.address.prefix !== undefined && sameAddr(gateway.address.prefix, addr)
        ? [{ at: gateway.address.at, name }]
        : []
    )
  )

/** In IPv6 the lowest address is an ordinary one to the plan: it is looked up, since going through all addresses would be slow. */
const lowestOnBridges = function* ({ bridges, addresses }: Plan): Generator<AddressUser> {
  for (const { subnets } of bridges.values())
    for (const home of subnets)
      if (home.prefix.family === 6)
        for (const { link, text, kind, enabled } of addresses.owners(home.prefix) ?? [])
          if (
            kind === 'local' &&
            enabled &&
            link?.bridge?.bridge === home.bridge &&
            text.prefix?.bits === home.prefix.bits
          )
            yield {
              address: text,
              prefix: text.prefix,
              network: home.prefix,
              owner: ownerOf(link),
              link,
              home
            }
}

/** Whether the lowest address of the network is no ordinary one for this user: a router may well have the anycast address. */
const isSpecial = ({ network: { family, bits }, link }: AddressUser): boolean =>
  family === 4 ? hasBroadcast(family, bits) : bits <= 126 && link !== undefined

const routesIpv6 = ({ nat: { nat, enabled }, topology: { host } }: Plan, { home }: AddressUser): boolean =>
  home !== undefined &&
  ((enabled && nat?.enableIPv6 === true) ||
    home.bridge.masquerade[6] ||
    home.bridge.forwarding[6] === true ||
    isOn(host.sysctl.get('net.ipv6.conf.all.forwarding')))
