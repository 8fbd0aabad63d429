import type { AddressText } from '../model/topology.ts'
import { formatAddr, width } from '../net/addr.ts'
import { formatPrefix, masked, type Prefix } from '../net/prefix.ts'
import { isGlobal } from '../net/special.ts'
import { hostNetworks } from '../plan/host-networks.ts'
import { translatesByHand } from '../plan/nat.ts'
import type { Link, Plan } from '../plan/plan.ts'
import { unusedNetworks } from '../plan/unused-networks.ts'
import { plural } from '../text/words.ts'
import type { Rule } from './rule.ts'

export const translatedPublicAddress: Rule = {
  id: 'translated-public-address',
  group: 'addresses',
  severity: 'hint',
  summary: 'Containers have public addresses, and NAT translates them as if they were private.',
  *check(plan) {
    const found = translated(plan)
    const [first] = found
    if (first === undefined) return
    const { link, address, prefix } = first
    const more = found.length - 1
    const network = prefix.bits === width(prefix.family) ? formatAddr(prefix) : formatPrefix(masked(prefix))
    const other = unusedNetworks(plan)(prefix)
    yield {
      message: `${address.text} of container "${link.node.name}"${more === 0 ? ' is a public address' : ` and ${plural(more, 'other address', 'other addresses')} are public`}, and NAT translates ${more === 0 ? 'it' : 'them'} as if private`,
      labels: [
        { at: address.at, text: 'on the internet this belongs to somebody' },
        ...found.slice(1, LABELLED).map(({ address: { at } }) => ({ at, text: 'and this' }))
      ],
      note: `all works but for one thing: whoever has ${network} on the internet cannot be reached from here, since packets to it stay on this host. If it is yours, it needs no NAT`,
      help: `number from a private network${other === undefined ? '' : `, such as ${other}`}; if your provider routes ${network} to this host, leave it out of NAT`
    }
  }
}

/** How many addresses are shown. */
const LABELLED = 6

interface Translated {
  readonly link: Link
  readonly address: AddressText
  readonly prefix: Prefix
}

const translated = (plan: Plan): readonly Translated[] => {
  const found = plan.links.flatMap(link =>
    link.addresses.flatMap(address => {
      const { prefix } = address
      return prefix === undefined || !isGlobal(prefix) ? [] : [{ link, address, prefix }]
    })
  )
  if (found.length === 0) return []
  const isByHand = translatesByHand(plan.topology.host)
  const networkOf = hostNetworks(plan)
  return found.filter(({ link, prefix }) => {
    if (!plan.nat.covers(link, prefix.family) && !isByHand(link, prefix.family)) return false
    // An address in a network that leads outside is one of the host's own.
    const around = networkOf(prefix)
    return around === undefined || around.bridge?.open === false
  })
}
