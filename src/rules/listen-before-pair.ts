import type { Listen } from '../model/topology.ts'
import { formatAddr, sameAddr } from '../net/addr.ts'
import { isPrivate } from '../plan/links.ts'
import { writtenNetworks } from '../plan/networkd.ts'
import type { AddressClaim, Plan } from '../plan/plan.ts'
import { nonlocalBind } from '../plan/ports.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** bind(2), EADDRNOTAVAIL; nixos-containers.nix sets hostAddress after the container has started. */
export const listenBeforePair: Rule = {
  id: 'listen-before-pair',
  group: 'ports',
  severity: 'warning',
  summary: 'A service of the host listens on an address that the host has only while a container runs.',
  *check(plan) {
    const { host, having } = plan.topology
    if (host.listens.length + having.listens.length === 0) return
    const late = new Map<AddressClaim, Listen[]>()
    const free = nonlocalBind(plan.topology)
    const own = having.listens.filter(({ enabled, partial }) => enabled && !partial)
    for (const listen of [
      ...host.listens,
      ...own.filter(container => !isPrivate(container)).flatMap(({ listens }) => listens)
    ]) {
      if (free.has(listen.address?.prefix?.family ?? 0) || WAITS.test(listen.name ?? '')) continue
      const pair = pairOf(plan, listen)
      if (pair === undefined) continue
      const others = late.get(pair)
      if (others === undefined) late.set(pair, [listen])
      else others.push(listen)
    }
    for (const [{ at, link, addr }, listens] of late) {
      const [first] = listens
      if (first === undefined || link === undefined) continue
      const services = [...new Set(listens.map(({ name, port }) => name ?? `the service on port ${port}`))]
      const { name } = link.node
      const pairs = plan.addresses
        .owners(addr)
        ?.flatMap(({ kind, link }) => (kind === 'pair' ? (link ?? []) : []))
      const names = [...new Set(pairs?.map(({ node }) => `"${node.name}"`))]
      const who = names.length === 1 ? `container "${name}"` : `one of the containers ${listed(names, 4)}`
      const unit = `container@${name}.service`
      const option = `net.ipv${addr.family}.ip_nonlocal_bind`
      yield {
        message: `${listed(services)} listen${services.length === 1 ? 's' : ''} on ${formatAddr(addr)}, which the host has only while ${who} runs`,
        labels: [
          { at: [...first.at, 'address'], text: 'not there at boot' },
          { at, text: `set on ${link.hostIfname} when "${name}" has started` }
        ],
        note: `hostAddress is set after systemd-nspawn has made the pair: a service that starts earlier ends with "Cannot assign requested address"`,
        help: `order it after the container: systemd.services.${services.length === 1 ? unitName(first) : 'NAME'} = { after = [ "${unit}" ]; wants = [ "${unit}" ]; }; or write host.sysctl: { ${option}: 1 }; or let it listen on any address`
      }
    }
  }
}

/** They bind addresses that are not there yet: dnsmasq binds any unless bind-interfaces is set, resolved uses IP_FREEBIND. */
const WAITS = /dnsmasq|resolved/i

/** The name of the unit, as far as that of the service tells it. */
const unitName = ({ name = '' }: Listen): string => /^[\w-]+/.exec(name)?.[0] ?? 'NAME'

/** The pair that gives the host the address that a service is bound to, where nothing else does; of several one that starts at boot. */
const pairOf = ({ addresses, topology: { host } }: Plan, { address }: Listen): AddressClaim | undefined => {
  const addr = address?.prefix
  if (addr === undefined) return undefined
  const owners = addresses.owners(addr)?.filter(({ enabled }) => enabled) ?? []
  if (owners.some(({ kind }) => kind !== 'pair')) return undefined
  const isInUnit = writtenNetworks(host).some(network =>
    network.addresses.some(({ prefix }) => prefix !== undefined && sameAddr(prefix, addr))
  )
  if (isInUnit) return undefined
  return owners.find(({ link }) => link?.container?.autoStart === true) ?? owners[0]
}
