import type { AddressText } from '../model/topology.ts'
import { type Addr, formatAddr } from '../net/addr.ts'
import type { Prefix } from '../net/prefix.ts'
import type { FreeAddress } from '../plan/addresses.ts'
import { dhcpServices, pool, servedNetwork, type Service } from '../plan/dhcp.ts'
import { hostName } from '../plan/links.ts'
import type { Link, Plan } from '../plan/plan.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

export const dhcpRangeConflict: Rule = {
  id: 'dhcp-range-conflict',
  group: 'addresses',
  severity: 'warning',
  summary: 'A fixed address lies in the range that a DHCP server of the host hands out.',
  *check(plan, freeIn) {
    const judged = new Set<string>()
    let onCards: ReadonlyMap<string, readonly Link[]> | undefined
    for (const service of dhcpServices(plan)) {
      const { server } = service
      const range = pool(service)
      if (range === undefined) continue
      // Several ranges on one interface would be looked through one after the other.
      const key = `${server.interface.name} ${range.from.family}`
      if (judged.has(key)) continue
      judged.add(key)
      const taken = fixed(
        service,
        service.bridge?.members ?? (onCards ??= macvlans(plan)).get(server.interface.name) ?? []
      ).filter(
        ({ address: { prefix } }) =>
          prefix?.family === range.from.family &&
          prefix.value >= range.from.value &&
          prefix.value <= range.to.value
      )
      const [first, ...rest] = taken
      if (first === undefined) continue
      const { program } = server
      const text = `${formatAddr(range.from)}-${formatAddr(range.to)}`
      const network = servedNetwork(service, range.from.family)
      yield {
        message: `${first.address.text} of ${first.owner}${rest.length === 0 ? '' : ` and ${rest.length} more`} ${rest.length === 0 ? 'lies' : 'lie'} in ${text}, which ${program ?? 'the DHCP server'} hands out on ${server.interface.name}`,
        labels: [
          { at: first.address.at, text: 'a fixed address' },
          {
            at: server.range?.at ?? server.at,
            text:
              server.range === undefined
                ? 'without a range networkd hands out its whole network'
                : 'handed out from here'
          },
          ...rest.slice(0, LABELLED).map(({ address }) => ({ at: address.at, text: 'and this' }))
        ],
        note: noteOf(program),
        help: `${network === undefined ? 'choose addresses outside of the range' : advice(freeIn, network, range, taken)}${server.at[1] === 'networkd' || server.range === undefined ? `, and keep them out of what networkd hands out: dhcpServerConfig with PoolOffset and PoolSize` : ', or shorten the range, or reserve the addresses in the server'}`
      }
    }
  }
}

/** How many of the other addresses are shown. */
const LABELLED = 8

const TWO = 'two machines then have one address, and each is reached now and then'

const noteOf = (program: string | undefined): string =>
  program === 'networkd' || program === 'kea'
    ? `${program} does not look whether somebody has an address before it leases it: ${TWO}`
    : program === undefined
      ? `networkd and Kea lease it without a look, dnsmasq notices only who is running at that moment: ${TWO}`
      : `${program} pings an address before it leases it, so it notices only who is running at that moment; else ${TWO}`

interface Fixed {
  readonly address: AddressText
  readonly owner: string
}

/** Who has an address on that interface: machines, and the host, whose own one some servers leave out. */
const fixed = ({ server, addresses }: Service, members: readonly Link[]): readonly Fixed[] => {
  const { program, interface: served, range } = server
  const own =
    range === undefined || program === 'dnsmasq' || program === 'networkd'
      ? []
      : addresses.map(address => ({ address, owner: served.name }))
  return [
    ...own,
    ...members.flatMap(({ node, addresses }) =>
      addresses.map(address => ({ address, owner: `"${node.name}"` }))
    )
  ]
}

/** The containers that are neighbours on a card of the host, by its name. */
const macvlans = ({ topology, linksOf }: Plan): ReadonlyMap<string, readonly Link[]> => {
  const found = new Map<string, Link[]>()
  for (const container of topology.having.macvlans)
    for (const { at, name } of container.macvlans) {
      const link = linksOf.get(container)?.find(link => link.at === at)
      if (link === undefined) continue
      const card = hostName(name)
      const known = found.get(card)
      if (known === undefined) found.set(card, [link])
      else known.push(link)
    }
  return found
}

/** For how many addresses another one is named. */
const NAMED = 4
const TRIES = 300

const advice = (
  freeIn: FreeAddress,
  network: Prefix,
  { from, to }: { readonly from: Addr; readonly to: Addr },
  taken: readonly Fixed[]
): string => {
  const given: string[] = []
  for (const { owner } of taken.slice(0, NAMED)) {
    for (let tries = 0; tries < TRIES; tries += 1) {
      const free = freeIn(network)
      if (free === undefined) break
      if (free.value >= from.value && free.value <= to.value) continue
      given.push(`${owner} ${formatAddr(free)}`)
      break
    }
  }
  return given.length === 0 ? 'choose addresses outside of the range' : `give ${listed(given)}`
}
