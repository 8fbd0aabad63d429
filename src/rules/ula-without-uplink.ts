import { formatAddr } from '../net/addr.ts'
import { isGlobal } from '../net/special.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** B16 */
export const ulaWithoutUplink: Rule = {
  id: 'ula-without-uplink',
  group: 'ipv6',
  severity: 'hint',
  summary: 'NAT translates private IPv6 addresses, and the host has no IPv6 to the outside.',
  *check(plan) {
    const { host } = plan.topology
    const { nat } = plan.nat
    if (host.internet6 !== false || nat?.enable !== true || !nat.enableIPv6) return
    const found = plan.links.flatMap(link => {
      if (!plan.nat.covers(link, 6)) return []
      const address = link.addresses.find(({ prefix }) => prefix?.family === 6 && !isGlobal(prefix))
      return address === undefined ? [] : [{ name: `"${link.node.name}"`, address }]
    })
    const [first] = found
    if (first?.address.prefix === undefined) return
    const names = listed([...new Set(found.map(({ name }) => name))], 4)
    yield {
      message: `nat.enableIPv6 is set for ${names}, but host.internet6 is false: nothing outside is reached over IPv6`,
      labels: [
        { at: [...nat.at, 'enableIPv6'], text: 'translates to an address that the host does not have' },
        { at: [...host.at, 'internet6'], text: 'no IPv6 to the outside' },
        { at: first.address.at, text: 'a private address' }
      ],
      note: `the host answers such packets with "Network is unreachable" at once. Most programs do not even try: from a private address such as ${formatAddr(first.address.prefix)} they prefer IPv4 (RFC 6724)`,
      help: 'nothing, if IPv6 is for the containers and the host among themselves; else leave nat.enableIPv6 out until the uplink has IPv6'
    }
  }
}
