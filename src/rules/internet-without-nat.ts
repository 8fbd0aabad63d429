import type { Container } from '../model/topology.ts'
import type { Family } from '../net/addr.ts'
import { leavesByHost, uplinks } from '../plan/egress.ts'
import { translatesByHand } from '../plan/nat.ts'
import { FAMILIES, type Link } from '../plan/plan.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

export const internetWithoutNat: Rule = {
  id: 'internet-without-nat',
  group: 'nat',
  severity: 'error',
  summary: 'A container is meant to reach the internet, and nothing translates its private address.',
  *check(plan) {
    const { topology, nat } = plan
    const { host } = topology
    // Where NAT is on, what it misses is told by the rules about its lists.
    if (nat.enabled || nat.nat?.partial === true || host.partial) return
    const isByHand = translatesByHand(host)
    const isLost = (link: Link, family: Family): boolean =>
      leavesByHost(plan, link, family) && !nat.covers(link, family) && !isByHand(link, family)
    /** The link by which a container sends private addresses out through the host. */
    const untranslatedLink = (container: Container): Link | undefined =>
      plan.linksOf.get(container)?.find(link => FAMILIES.some(family => isLost(link, family)))
    const lost = topology.having.internet.flatMap(container => {
      const link = container.internet === true && container.enabled ? untranslatedLink(container) : undefined
      return link === undefined ? [] : [{ container, link }]
    })
    const [first] = lost
    if (first === undefined) return
    const names = listed(
      lost.map(({ container }) => `"${container.name}"`),
      4
    )
    const many = lost.length > 1
    const entries = [...new Set(lost.map(({ link }) => link.bridgeName ?? link.hostIfname))]
    const router = host.defaultGateway ?? host.defaultGateway6
    const uplink = router?.interface ?? uplinks(plan)[0] ?? 'the interface to the internet'
    const settings = [
      'enable: true',
      ...(lost.some(({ link }) => isLost(link, 6)) ? ['enableIPv6: true'] : []),
      `externalInterface: ${uplink}`,
      `internalInterfaces: [${entries.slice(0, SHOWN).join(', ')}${entries.length > SHOWN ? ', …' : ''}]`
    ]
    yield {
      message: `${many ? 'containers' : 'container'} ${names} ${many ? 'want' : 'wants'} the internet (internet: true), and nothing translates ${many ? 'their' : 'its'} private ${many ? 'addresses' : 'address'}`,
      labels: [
        { at: [...first.container.at, 'internet'], text: 'the wish' },
        ...first.link.addresses.slice(0, 2).map(({ at }) => ({ at, text: 'nobody outside can answer this' })),
        ...(nat.nat === undefined ? [] : [{ at: [...nat.nat.at, 'enable'], text: 'NAT is not on' }])
      ],
      note: 'answers to a private address never find the way back, and without NAT the host does not even forward unless a sysctl says so: every connection outwards times out',
      help: `write nat: { ${settings.join(', ')} }`
    }
  }
}

const SHOWN = 5
