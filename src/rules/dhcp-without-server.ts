import type { Problem } from '../findings/finding.ts'
import { offer } from '../findings/mend.ts'
import type { AddressText } from '../model/topology.ts'
import { formatAddr } from '../net/addr.ts'
import { formatPrefix } from '../net/prefix.ts'
import type { FreeAddress } from '../plan/addresses.ts'
import { unserved, type Unserved } from '../plan/dhcp.ts'
import type { BridgePlan } from '../plan/plan.ts'
import { listed, plural } from '../text/words.ts'
import type { Rule } from './rule.ts'

export const dhcpWithoutServer: Rule = {
  id: 'dhcp-without-server',
  group: 'addresses',
  severity: 'error',
  summary: 'A container asks for an address by DHCP where nobody answers.',
  *check(plan, freeIn) {
    const onBridge = new Map<BridgePlan, Unserved[]>()
    for (const found of unserved(plan)) {
      const { bridge } = found.link
      if (bridge === undefined) yield onPair(found)
      else if (onBridge.has(bridge)) onBridge.get(bridge)?.push(found)
      else onBridge.set(bridge, [found])
    }
    for (const [bridge, all] of onBridge) {
      const problem = together(bridge, all, freeIn)
      if (problem !== undefined) yield problem
    }
  }
}

/** How many of the other containers are shown. */
const LABELLED = 8

/** The fixed address that it has as well. */
const fallback = ({ link }: Unserved): AddressText | undefined =>
  link.addresses.find(({ prefix }) => prefix?.family === 4)

const NOTE = 'it asks for ever and gets no address'

const onPair = (found: Unserved): Problem => {
  const { container, link } = found
  const other = fallback(found)
  return {
    message: `container "${container.name}" asks for its address by DHCP on its pair, and nobody serves ${link.hostIfname}`,
    labels: [{ at: found.at, text: 'a question to the host' }],
    note:
      other === undefined
        ? `at the other end is the host, which runs no DHCP server there: ${NOTE}`
        : `at the other end is the host, which runs no DHCP server there. Its fixed address ${other.text} works without`,
    help:
      other === undefined
        ? 'write hostAddress and localAddress instead of dhcp'
        : `remove dhcp and keep ${other.text}`,
    ...offer(other === undefined ? undefined : { kind: 'remove', at: found.at }),
    ...(other === undefined ? {} : { severity: 'warning' as const })
  }
}

const together = (
  { bridge, subnets }: BridgePlan,
  all: readonly Unserved[],
  freeIn: FreeAddress
): Problem | undefined => {
  const [first, ...rest] = all
  if (first === undefined) return undefined
  const { at, others } = first
  const names = listed(
    all.map(({ container }) => `"${container.name}"`),
    4
  )
  const own = subnets.find(({ prefix }) => prefix.family === 4)
  const free = own === undefined ? undefined : freeIn(own.prefix)
  const isHint = others.length > 0
  const fixed = all.flatMap(found => fallback(found) ?? [])
  const symptom = fixed.length === all.length ? 'it asks for ever and gets no lease' : NOTE
  const instead =
    fixed[0] !== undefined && fixed.length === all.length
      ? `remove dhcp and keep ${listed(
          fixed.map(({ text }) => text),
          4
        )}`
      : `instead of dhcp write localAddress${own === undefined || free === undefined ? '' : `, such as ${formatAddr(free)}/${own.prefix.bits}`}`
  const serve = `${isHint ? 'name UDP 67 under listens of the machine that serves, or ' : ''}add { interface: ${bridge.name}${own === undefined ? '' : `, subnet: ${formatPrefix(own.prefix)}`} } to host.dhcpServers`
  return {
    message: `${plural(all.length, 'container').replace(/^1 /, '')} ${names} on ${bridge.name} ${all.length === 1 ? 'asks' : 'ask'} for an address by DHCP, and ${isHint ? 'no DHCP server is in the file' : 'nobody on that bridge answers'}`,
    labels: [
      { at, text: 'asks here' },
      { at: bridge.at, on: 'key', text: 'no port to outside, and no DHCP server of the host serves it' },
      ...(fixed[0] === undefined || rest.length > 0 ? [] : [{ at: fixed[0].at, text: 'works without DHCP' }]),
      ...rest.slice(0, LABELLED).map(({ at }) => ({ at, text: 'and here' }))
    ],
    note: isHint
      ? `unless ${listed(
          others.map(({ node }) => `"${node.name}"`),
          4
        )} ${others.length === 1 ? 'is one' : 'are'}, ${symptom}`
      : `${symptom}; only machines of this host are on ${bridge.name}, so no server outside hears it`,
    help: fixed.length === all.length ? `${instead}; or ${serve}` : `${serve}, or ${instead}`,
    ...(isHint
      ? { severity: 'hint' as const }
      : fixed.length === all.length
        ? { severity: 'warning' as const }
        : {})
  }
}
