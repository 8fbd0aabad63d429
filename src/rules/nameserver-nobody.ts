import { formatAddr } from '../net/addr.ts'
import { formatPrefix } from '../net/prefix.ts'
import type { AddressText } from '../model/topology.ts'
import { type DeadNameserver, deadNameservers, ownNameservers } from '../plan/dns.ts'
import { isOnLoopback } from '../plan/forwards.ts'
import type { Plan } from '../plan/plan.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

export const nameserverNobody: Rule = {
  id: 'nameserver-nobody',
  group: 'dns',
  severity: 'error',
  summary: 'A nameserver lies in a network of the host in which nobody has that address.',
  *check(plan) {
    const found = new Map<string, Found>()
    for (const asker of askers(plan))
      for (const server of asker.servers) {
        const dead = asker.judge(server)
        if (dead === undefined) continue
        const key = formatAddr(dead.addr)
        const known = found.get(key)
        if (known === undefined) found.set(key, { dead, askers: new Set([asker]), rest: [] })
        else {
          known.askers.add(asker)
          known.rest.push(server)
        }
      }
    for (const { dead, askers: all, rest } of found.values()) {
      const { server, subnet, bridge } = dead
      const askers = [...all]
      const isAll = askers.some(({ servers, judge }) => servers.every(other => judge(other) !== undefined))
      const who = listed(
        askers.map(({ name }) => name),
        4
      )
      yield {
        message: `${who} ${askers.length > 1 ? 'ask' : 'asks'} ${server.text} for names, and nobody in ${formatPrefix(subnet.prefix)} of ${bridge.bridge.name} has that address`,
        labels: [
          { at: server.at, text: 'nobody has this address' },
          { at: subnet.address.at, text: 'it would be in this network' },
          ...rest.slice(0, LABELLED).map(({ at }) => ({ at, text: 'and here' }))
        ],
        note: isAll
          ? 'no question is ever answered: each look-up of a name waits for its timeouts and fails'
          : 'each look-up that tries this server first waits some seconds before it asks the next',
        help: mend(dead),
        ...(isAll ? {} : { severity: 'warning' as const })
      }
    }
  }
}

/** How many of the other places are shown. */
const LABELLED = 8

interface Found {
  readonly dead: DeadNameserver
  readonly askers: Set<Asker>
  /** Where else it is written. */
  readonly rest: AddressText[]
}

interface Asker {
  readonly name: string
  readonly servers: readonly AddressText[]
  readonly judge: (server: AddressText) => DeadNameserver | undefined
}

/** The containers whose nameservers count and whose networks are known, and the host. */
const askers = function* (plan: Plan): Generator<Asker> {
  const { host, having } = plan.topology
  const containers = having.nameservers.filter(
    ({ enabled, partial, vpn, networkNamespace }) =>
      enabled && !partial && vpn === undefined && !networkNamespace
  )
  if (containers.length + host.nameservers.length === 0) return
  const judge = deadNameservers(plan)
  if (host.nameservers.length > 0)
    yield { name: 'the host', servers: host.nameservers, judge: server => judge(server, []) }
  for (const container of containers) {
    const links = plan.linksOf.get(container) ?? []
    yield {
      name: `container "${container.name}"`,
      servers: ownNameservers(container),
      judge: server => judge(server, links)
    }
  }
}

/** Who answers there: a member with a service on port 53 that others reach, else perhaps the host. */
const mend = ({ subnet, bridge }: DeadNameserver): string => {
  for (const { node, addresses } of bridge.members) {
    if (!node.listens.some(listen => listen.port === 53 && !isOnLoopback(listen))) continue
    const address = addresses.find(({ prefix }) => prefix?.family === subnet.prefix.family)?.prefix
    if (address !== undefined) return `write ${formatAddr(address)}: "${node.name}" answers on port 53`
  }
  const own = subnet.address.prefix
  return `write the address of a resolver, such as ${own === undefined ? '' : `${formatAddr(own)} if the host answers on ${bridge.bridge.name}, or `}a public one`
}
