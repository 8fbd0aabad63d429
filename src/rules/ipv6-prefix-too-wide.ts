import type { AddressText } from '../model/topology.ts'
import { formatAddr } from '../net/addr.ts'
import { formatNetwork, type Prefix } from '../net/prefix.ts'
import { specialBlock } from '../net/special.ts'
import { plural } from '../text/words.ts'
import type { Rule } from './rule.ts'

export const ipv6PrefixTooWide: Rule = {
  id: 'ipv6-prefix-too-wide',
  group: 'ipv6',
  severity: 'warning',
  summary: 'An IPv6 network on an interface is wider than /64, the size of one link.',
  *check({ topology: { host }, bridges }) {
    const found: Wide[] = []
    for (const { bridge, subnets } of bridges.values())
      for (const { address, prefix, members } of subnets)
        if (prefix.family === 6 && prefix.bits < LINK)
          found.push({
            address,
            prefix,
            owner: bridge.name,
            members: members.length,
            swallows: prefix.bits < SITE
          })
    // How wide the network of an uplink is, its provider says; a private one is the author's own.
    for (const { name, addresses } of host.configured)
      for (const address of addresses) {
        const { prefix } = address
        if (prefix?.family === 6 && prefix.bits < SITE && isLocal(prefix))
          found.push({ address, prefix, owner: name, members: 0, swallows: true })
      }
    for (const swallows of [true, false]) {
      const alike = found.filter(wide => wide.swallows === swallows)
      const [first, ...rest] = alike
      if (first === undefined) continue
      const { address, prefix, owner, members } = first
      yield {
        message: `${address.text} takes all of ${formatNetwork(prefix)} for ${owner}${rest.length === 0 ? '' : ` (and ${plural(rest.length, 'other address', 'other addresses')} as much)`}; one link needs a /64`,
        labels: [
          {
            at: address.at,
            text: swallows ? `a /${SITE} is a whole site, and this is more` : 'room for many links'
          },
          ...rest.slice(0, LABELLED).map(({ address }) => ({ at: address.at, text: 'and this' }))
        ],
        note: swallows
          ? `the host looks for every address of ${formatNetwork(prefix)} on ${owner}, ${isLocal(prefix) ? "other people's private networks, VPNs and sites included" : "other people's public networks included"}: what has no narrower route is asked for on that link and never answers`
          : `it works with fixed addresses. Automatic ones (SLAAC) need a /64 exactly (RFC 4862), and a second link can no longer be numbered from ${formatNetwork(prefix)}`,
        help: `write ${formatAddr(address.prefix ?? prefix)}/${LINK}${members === 0 ? '' : `, and /${LINK} for ${members === 1 ? 'the machine' : `the ${members} machines`} on ${owner}`}`,
        ...(swallows ? {} : { severity: 'hint' as const })
      }
    }
  }
}

/** The size of one link (RFC 4291 section 2.5.4), and of one site (RFC 4193 section 3.1, RFC 6177). */
const LINK = 64
const SITE = 48

/** How many of the other addresses are shown. */
const LABELLED = 8

interface Wide {
  readonly address: AddressText
  readonly prefix: Prefix
  readonly owner: string
  readonly members: number
  /** Whether it is wider than a site. */
  readonly swallows: boolean
}

const isLocal = (prefix: Prefix): boolean => specialBlock(prefix)?.source === 'RFC 4193'
