import type { AddressText } from '../model/topology.ts'
import { unallocated6 } from '../net/special.ts'
import { plural } from '../text/words.ts'
import type { Rule } from './rule.ts'

export const unallocatedIpv6: Rule = {
  id: 'unallocated-ipv6',
  group: 'addresses',
  severity: 'warning',
  summary: 'An IPv6 address is neither private nor public.',
  *check({ topology, links, bridges }) {
    if (!topology.seen.IPv6) return
    const found: { readonly address: AddressText; readonly owner: string }[] = []
    const note = (addresses: readonly AddressText[], owner: string): void => {
      for (const address of addresses)
        if (address.prefix !== undefined && unallocated6(address.prefix)) found.push({ address, owner })
    }
    for (const { name, addresses } of topology.host.configured) note(addresses, `host interface "${name}"`)
    for (const { bridge } of bridges.values()) note(bridge.addresses, `bridge "${bridge.name}"`)
    for (const { veth, addresses, node, kind } of links) {
      const owner = `${kind === 'tap' ? 'machine' : 'container'} "${node.name}"`
      if (veth?.hostAddress6 !== undefined) note([veth.hostAddress6], owner)
      note(addresses, owner)
    }
    const [first, ...others] = found
    if (first === undefined) return
    // One decision of the author, so one finding, however many addresses were made from it.
    yield {
      message: `${first.address.text} of ${first.owner}${others.length > 0 ? ` and ${plural(others.length, 'other address', 'other addresses')}` : ''} ${others.length > 0 ? 'are' : 'is'} neither unique-local (fd00::/8) nor link-local nor public (2000::/3)`,
      labels: [
        { at: first.address.at, text: 'nobody has assigned this space' },
        ...others.slice(0, LABELLED).map(({ address }) => ({ at: address.at, text: 'and this' }))
      ],
      note: isSiteLocal(first.address)
        ? 'Linux takes it, and neighbours reach each other; but site-local addresses were withdrawn (RFC 3879), so routers and programs may do with them what they like'
        : 'Linux takes it, and neighbours reach each other; but programs take it for a public address, so they try IPv6 to the internet before IPv4 (RFC 6724) and wait for nothing, and it may belong to somebody one day',
      help: 'choose a unique-local prefix instead, such as fd12:3456:789a::/48 with random digits of your own'
    }
  }
}

/** How many of the other addresses are shown. */
const LABELLED = 12

/** fec0::/10 */
const isSiteLocal = ({ prefix }: AddressText): boolean =>
  prefix !== undefined && prefix.value >> 118n === 0x3fbn
