import type { Problem } from '../findings/finding.ts'
import type { AddressText, Container, Firewall, Protocol } from '../model/topology.ts'
import { entranceOf, hasOwnRules, inputFilter, wayToHost } from '../plan/firewall.ts'
import type { Link, Plan } from '../plan/plan.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** B12 */
export const hostServiceClosed: Rule = {
  id: 'host-service-closed',
  group: 'firewall',
  severity: 'warning',
  summary: "A container asks the host for names, and the host's firewall does not open the port.",
  *check(plan) {
    const { host } = plan.topology
    const { firewall } = host
    if (!firewall.written || !firewall.enable || host.partial || hasOwnRules(firewall)) return
    const isOpen = opening(firewall)
    yield* names(plan, isOpen)
  }
}

const NOTE =
  "what a container sends to its host passes the host's INPUT chain like a packet from outside, and only ping is let in from the start"

/** Questions to a DNS server on the host: one finding for each bridge, and one for all pairs. */
const names = function* (plan: Plan, isOpen: Opening): Generator<Problem> {
  const asked = new Map<
    string,
    { readonly server: AddressText; readonly link: Link; readonly containers: string[] }
  >()
  const ask = (container: Container, server: AddressText): void => {
    const link = server.prefix && wayToHost(plan, container, server.prefix)
    if (link?.veth === undefined || isOpen(link, 'udp', 53)) return
    const key = link.bridgeName ?? ''
    const known = asked.get(key)
    if (known === undefined) asked.set(key, { server, link, containers: [container.name] })
    else if (known.containers.at(-1) !== container.name) known.containers.push(container.name)
  }
  for (const container of plan.topology.having.nameservers)
    if (!copiesResolvConf(container))
      for (const server of container.nameservers) if (isOfHost(plan, server)) ask(container, server)
  const copied = plan.topology.host.resolvConf.filter(server => isOfHost(plan, server))
  for (const container of plan.topology.containers)
    if (container.copyResolvConf && copiesResolvConf(container))
      for (const server of copied) ask(container, server)
  for (const { server, link, containers } of asked.values()) {
    const who = `container${containers.length === 1 ? '' : 's'} ${listed(
      containers.map(name => `"${name}"`),
      4
    )}`
    const entrance = pattern(plan, link, containers.length)
    yield {
      message: `${who} ${containers.length === 1 ? 'asks' : 'ask'} the host for names at ${server.text}, and its firewall does not open UDP 53 for ${entrance}`,
      labels: [
        { at: server.at, text: 'an address of the host' },
        { at: plan.topology.host.firewall.at, on: 'key', text: `no UDP 53 for ${entrance}` }
      ],
      note: `${NOTE}: names are not resolved, and every try takes seconds`,
      help: `add 53 to host.firewall.interfaces."${entrance}".allowedUDPPorts, and to its allowedTCPPorts for long answers`
    }
  }
}

type Opening = (link: Link, protocol: Protocol, port: number) => boolean

/** Whether a port is open for what comes in by a link, or was meant to be: a port of a bridge that is named is a fault of its own. */
const opening = (firewall: Firewall): Opening => {
  const filter = inputFilter(firewall)
  const named = new Set(firewall.interfaces.map(({ name }) => name))
  return (link, protocol, port) => {
    const ports = [link.hostIfname, `ve-${link.node.name}`].filter(name => named.has(name))
    return [entranceOf(link), ...ports].some(
      name => filter.trusts(name) || filter.opens(name, protocol, { from: port, to: port })
    )
  }
}

/** Whether the container asks the servers of the host's resolv.conf; its own nameservers have no effect then. */
const copiesResolvConf = ({ useHostResolvConf, resolved }: Container): boolean =>
  useHostResolvConf !== false && !resolved

const isOfHost = (plan: Plan, { prefix }: AddressText): boolean =>
  prefix !== undefined &&
  plan.addresses
    .owners(prefix)
    ?.some(({ kind, enabled }) => enabled && (kind === 'host' || kind === 'pair')) === true

/** What to write for a link: its bridge, its own name, or the pattern of all pairs. */
const pattern = ({ nat: { wildcard } }: Plan, link: Link, containers: number): string =>
  link.bridgeName ?? (containers > 1 ? `ve-${wildcard}` : link.hostIfname)
