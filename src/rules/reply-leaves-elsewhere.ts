import type { Problem } from '../findings/finding.ts'
import type { AddressText, Container } from '../model/topology.ts'
import { type Addr, type Family, formatAddr } from '../net/addr.ts'
import { contains, formatNetwork } from '../net/prefix.ts'
import { isGlobal } from '../net/special.ts'
import { type DefaultRoute, defaultRoutes } from '../plan/gateways.ts'
import type { Link, Plan } from '../plan/plan.ts'
import type { Path } from '../text/path.ts'
import type { Rule } from './rule.ts'

/** D37 */
export const replyLeavesElsewhere: Rule = {
  id: 'reply-leaves-elsewhere',
  group: 'gateways',
  severity: 'warning',
  summary: 'A forward leads to a container that sends its answers out another way.',
  *check(plan) {
    // Where the host puts its own address into what it forwards, answers go to the host.
    if (/MASQUERADE|SNAT/.test(plan.topology.host.firewall.extraCommands ?? '')) return
    const { having } = plan.topology
    // Only with a tunnel or a second interface is there another way.
    if (
      having.vpn.length + having.extraVeths.length + having.interfaces.length + having.macvlans.length ===
      0
    )
      return
    const told = new Set<Container>()
    const own = hostAddresses(plan)
    for (const forward of forwards(plan)) {
      const { container, link } = forward
      if (told.has(container) || container.partial || link.bridge?.open === true) continue
      const problem =
        throughTunnel(forward, own) ?? throughOther(plan, forward) ?? besideClients(plan, forward, own)
      if (problem === undefined) continue
      told.add(container)
      yield problem
    }
  }
}

/** A forward to an address of a container. */
interface Forward {
  readonly at: Path
  readonly text: string
  readonly container: Container
  readonly link: Link
  readonly addr: Addr
}

const hasOtherWay = ({ linksOf }: Plan, container: Container): boolean =>
  hasTunnel(container) || (linksOf.get(container)?.length ?? 0) > 1

const hasTunnel = ({ vpn }: Container): boolean => vpn?.defaultRoute === true

const forwards = function* (plan: Plan): Generator<Forward> {
  const { nat, having } = plan.topology
  if (nat?.enable === true)
    for (const { destination, source, proto, at } of nat.forwardPorts) {
      const { address, fault } = destination
      if (fault !== undefined || address === undefined || (address.family === 6 && !nat.enableIPv6)) continue
      for (const { kind, enabled, link } of plan.addresses.owners(address) ?? [])
        if (
          kind === 'local' &&
          enabled &&
          link?.container !== undefined &&
          link.veth !== undefined &&
          hasOtherWay(plan, link.container)
        )
          yield { at, text: `${proto.text} ${source.text}`, container: link.container, link, addr: address }
    }
  for (const container of having.forwardPorts) {
    const [forward] = container.veth.forwardPorts
    if (!container.enabled || !container.privateNetwork || forward === undefined) continue
    if (!hasOtherWay(plan, container)) continue
    // systemd-nspawn takes the first address that it finds.
    const link = plan.linksOf.get(container)?.find(({ addresses }) => addresses.length > 0)
    const addr = link?.addresses[0]?.prefix
    if (link?.veth === undefined || addr === undefined) continue
    const { at, protocol, hostPort } = forward
    yield { at, text: `${protocol.text} ${hostPort ?? 'auto'}`, container, link, addr }
  }
}

/** Whether the answers to clients outside take the tunnel of a VPN client in the container. */
const throughTunnel = (
  { at, text, container, link, addr }: Forward,
  own: readonly AddressText[]
): Problem | undefined => {
  const { vpn, name } = container
  if (vpn?.defaultRoute !== true || hasRoutes(container, addr.family)) return undefined
  const tunnel = vpn.interface ?? (vpn.name === undefined ? 'the tunnel' : `the tunnel of ${vpn.name}`)
  const gateway =
    (addr.family === 4 ? link.veth?.hostAddress : link.veth?.hostAddress6)?.text ??
    link.bridge?.bridge.addresses.find(({ prefix }) => prefix?.family === addr.family)?.text.split('/')[0]
  const near = own.find(
    ({ prefix, bare }) => prefix?.family === addr.family && !bare && !isGlobal(prefix)
  )?.prefix
  return {
    message: `the forward of ${text} reaches container "${name}", whose answers leave through the VPN`,
    labels: [
      { at: vpn.at, on: 'key', text: 'takes the default route' },
      { at, text: `clients come in by ${link.ifname}` }
    ],
    note: `the host forwards with the client's own address, and the container answers it by its default route, which is ${tunnel}: connections from other machines time out, and a strict reverse path check in the container drops them on arrival; from the host itself the port works`,
    help: `${
      near !== undefined && gateway !== undefined
        ? `write containers.${name}.routes: [{ address: ${formatNetwork(near)}, via: ${gateway} }]`
        : `give the container a route to ${near === undefined ? 'the network of its clients' : formatNetwork(near)}${gateway === undefined ? '' : `, via ${gateway}`}`
    }, so that answers go back to the host; for clients anywhere put a proxy on the host in place of the forward`
  }
}

/** Whether routes of its own may lead the answers back. */
const hasRoutes = ({ routes, inside }: Container, family: Family): boolean =>
  [...routes, ...inside.interfaces.flatMap(({ routes }) => routes)].some(
    ({ destination: { prefix } }) => prefix === undefined || (prefix.family === family && prefix.bits > 0)
  )

/** Whether the container's only default route uses another link than the one that the forward comes in by. */
const throughOther = (plan: Plan, { at, text, container, link, addr }: Forward): Problem | undefined => {
  if (hasTunnel(container) || hasRoutes(container, addr.family)) return undefined
  const [route, another] = defaultRoutes(plan, container, addr.family)
  if (route === undefined || another !== undefined) return undefined
  const out = linkOf(container, plan.linksOf.get(container) ?? [], route, addr.family)
  if (out === undefined || out === link) return undefined
  const check = dropsReturn(plan, container, out, route)
  if (check === undefined) return undefined
  return {
    message: `the forward of ${text} enters container "${container.name}" by ${link.ifname}, and its answers leave by ${out.ifname}`,
    labels: [
      { at, text: `to ${formatAddr(addr)}, by ${link.ifname}` },
      { at: route.at, text: `the default route, by ${out.ifname}` },
      ...check.labels
    ],
    note: `${check.note}: connections from other machines time out, without a line in the log`,
    help: `forward to the container's address on ${out.ifname}, or lead its default route out by ${link.ifname}${check.loose === undefined ? '' : `, or write ${check.loose}.checkReversePath: loose`}`
  }
}

/** The networks outside that one host is in are few; more of them are not held against every forward. */
const NETWORKS = 20

const hostAddresses = ({ topology, bridges }: Plan): readonly AddressText[] => {
  const found = topology.host.configured.flatMap(({ addresses }) => addresses).slice(0, NETWORKS)
  for (const { bridge, open } of bridges.values()) {
    if (found.length >= NETWORKS) break
    if (open) found.push(...bridge.addresses)
  }
  return found
}

/** Whether the container answers the machines of the host's own network directly, by a link of its own to that network. */
const besideClients = (
  { linksOf }: Plan,
  { at, text, container, link, addr }: Forward,
  own: readonly AddressText[]
): Problem | undefined => {
  for (const other of linksOf.get(container) ?? []) {
    // A macvlan is there for nothing else than that the machines of its network use its own address.
    if (other === link || other.kind === 'macvlan') continue
    if (other.veth !== undefined && other.bridge?.open !== true) continue
    for (const { prefix, bare, at: place } of other.addresses) {
      if (prefix?.family !== addr.family || bare) continue
      const shared = own.find(address => address.prefix !== undefined && contains(prefix, address.prefix))
      if (shared === undefined) continue
      return {
        message: `clients in ${formatNetwork(prefix)} get no answer by the forward of ${text} to container "${container.name}", which is in that network itself`,
        labels: [
          { at, text: `comes in by ${link.ifname}` },
          { at: place, text: `answers them by ${other.ifname}` },
          { at: shared.at, text: 'the host is in the same network' }
        ],
        note: 'the container answers a client in a network of its own directly, past the host, and the client gets the answer from an address that it never asked; clients elsewhere are answered through the host',
        help: `let clients in that network use ${formatAddr(prefix)} itself${other.veth === undefined ? '' : ', or forward to it'}`,
        severity: 'hint'
      }
    }
  }
  return undefined
}

/** The link that a default route uses, where the file tells. */
const linkOf = (
  container: Container,
  links: readonly Link[],
  { source, via, at }: DefaultRoute,
  family: Family
): Link | undefined => {
  const gateway = family === 4 ? container.defaultGateway : container.defaultGateway6
  const named =
    source === 'defaultGateway'
      ? gateway?.interface
      : source === 'route'
        ? container.routes.find(route => route.at === at)?.interface
        : undefined
  if (named !== undefined) return links.find(({ ifname }) => ifname === named)
  if (source === 'hostAddress') return links.find(({ veth }) => veth === container.veth)
  const router = via?.prefix
  if (router === undefined) return undefined
  const near = links.filter(({ addresses }) =>
    addresses.some(({ prefix, bare }) => prefix !== undefined && !bare && contains(prefix, router))
  )
  return near.length === 1 ? near[0] : undefined
}

/** Why answers by that link do not get back to the client; undefined where they do, or nobody can say. */
const dropsReturn = (
  plan: Plan,
  container: Container,
  out: Link,
  { via }: DefaultRoute
):
  | {
      readonly note: string
      readonly labels: Problem['labels'][number][]
      readonly loose: string | undefined
    }
  | undefined => {
  const { firewall } = plan.topology.host
  const byHost =
    out.veth !== undefined &&
    out.bridge?.open !== true &&
    (out.bridgeName === undefined ||
      (via?.prefix !== undefined &&
        plan.addresses.owners(via.prefix)?.some(({ kind }) => kind === 'host') === true))
  if (!byHost)
    return {
      note: 'answers pass by the host, which alone could put its own address back into them: the client gets them from an address that it never asked',
      labels: [],
      loose: undefined
    }
  for (const { check, owner, name } of [
    { check: firewall, owner: "the host's", name: 'host.firewall' },
    {
      check: container.firewall,
      owner: "the container's",
      name: `containers.${container.name}.firewall`
    }
  ])
    if (check.written && check.enable && check.checkReversePath === 'strict')
      return {
        note: `${owner} firewall checks that a packet comes in by the interface by which its sender is reached, and drops it otherwise`,
        labels: [{ at: check.at, on: 'key', text: 'checkReversePath is strict' }],
        loose: name
      }
  return undefined
}
