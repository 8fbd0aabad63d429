import type { AddressText } from '../model/topology.ts'
import { unallocated6 } from '../net/special.ts'
import type { Problem } from '../findings/finding.ts'
import type { Rule } from './rule.ts'

export const unallocatedIpv6: Rule = {
  id: 'unallocated-ipv6',
  group: 'addresses',
  severity: 'warning',
  summary: 'An IPv6 address is neither private nor public.',
  *check({ links, topology }) {
    for (const link of links) {
      // The two ends of a pair are one decision: it is told once, at its first place.
      const written = [...link.hostAddresses, ...link.addresses]
      yield* problem(written, `container "${link.node.name}"`)
    }
    for (const { name, addresses } of topology.bridges) yield* problem(addresses, `bridge "${name}"`)
  }
}

const problem = function* (addresses: readonly AddressText[], owner: string): Generator<Problem> {
  const [wrong, ...others] = addresses.filter(({ prefix }) => prefix !== undefined && unallocated6(prefix))
  if (wrong === undefined) return
  yield {
    message: `${wrong.text} of ${owner} is neither unique-local (fd00::/8) nor link-local nor public (2000::/3)`,
    labels: [
      { at: wrong.at, text: 'nobody has assigned this space' },
      ...others.map(({ at }) => ({ at, text: 'and this' }))
    ],
    note: 'Linux takes it, and the pair itself works; programs that choose a source address do not take it for private, and it may belong to somebody one day',
    help: 'choose a unique-local prefix instead, such as fd12:3456:789a::/48 with random digits of your own'
  }
}
