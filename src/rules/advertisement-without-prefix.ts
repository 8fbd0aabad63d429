import { isYes } from '../model/networkd.ts'
import type { Network } from '../model/topology.ts'
import { isLinkLocal6 } from '../net/addr.ts'
import { formatPrefix, masked } from '../net/prefix.ts'
import { writtenNetworks } from '../plan/networkd.ts'
import type { Plan } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

export const advertisementWithoutPrefix: Rule = {
  id: 'advertisement-without-prefix',
  group: 'ipv6',
  severity: 'hint',
  summary: 'networkd advertises itself as a router, and no prefix to make an address from.',
  *check(plan) {
    const { topology, releases } = plan
    let known: ReturnType<typeof numbered> | undefined
    for (const network of writtenNetworks(topology.host)) {
      const { file, sections, addresses } = network
      const sends = sections.get('networkConfig')?.settings.get('IPv6SendRA')?.at(-1)
      if (sends === undefined || !isYes(sends) || hasPrefix(network)) continue
      known ??= numbered(plan)
      if (network.names.some(({ name }) => known?.has(name))) continue
      const own = addresses.find(
        ({ prefix }) => prefix?.family === 6 && prefix.bits === 64 && !isLinkLocal6(prefix)
      )
      const prefix = own?.prefix === undefined ? 'fd12:3456:789a:1::/64' : formatPrefix(masked(own.prefix))
      const entry = `{ Prefix: "${prefix}" }`
      yield {
        message: `${file}.network sends router advertisements without a prefix`,
        labels: [
          { at: sends.at, text: 'networkd names itself as the router, and no network' },
          ...(own === undefined ? [] : [{ at: own.at, text: 'the network of the host here' }])
        ],
        note: 'whoever listens gets a default route by IPv6 and no address to use it with: link-local addresses go no further than this link',
        help: `${own === undefined ? `give it an address such as ${prefix.replace('::/', '::1/')}, and` : 'add'} ipv6Prefixes: [${
          releases.plainSections ? entry : `{ ipv6PrefixConfig: ${entry} }`
        }], or remove IPv6SendRA if nobody there is to have IPv6`
      }
    }
  }
}

/** A prefix of its own, one that a provider delegates, or a text that is not read here. */
const hasPrefix = ({ lists, sections, extraConfig }: Network): boolean =>
  (lists.get('ipv6Prefixes')?.length ?? 0) > 0 ||
  extraConfig !== undefined ||
  ['DHCPPrefixDelegation', 'DHCPv6PrefixDelegation'].some(key =>
    isYes(sections.get('networkConfig')?.settings.get(key)?.at(-1))
  )

/** The bridges with somebody who has a fixed address, and only needs to be told of the router. */
const numbered = ({ links }: Plan): ReadonlySet<string | undefined> =>
  new Set(
    links.flatMap(({ bridgeName, addresses }) =>
      addresses.some(({ prefix }) => prefix?.family === 6) ? [bridgeName] : []
    )
  )
