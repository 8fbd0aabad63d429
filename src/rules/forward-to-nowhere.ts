import type { Bridge, Nat, NatForward } from '../model/topology.ts'
import { type Addr, type Family, formatAddr } from '../net/addr.ts'
import { contains } from '../net/prefix.ts'
import { PrefixMap } from '../net/set.ts'
import { isGlobal, specialBlock } from '../net/special.ts'
import { daemonRanges } from '../plan/daemons.ts'
import type { AddressTable, BridgePlan, Link } from '../plan/plan.ts'
import type { Path } from '../text/path.ts'
import { listed, nearest } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** D20 */
export const forwardToNowhere: Rule = {
  id: 'forward-to-nowhere',
  group: 'nat',
  severity: 'warning',
  summary: 'A forward goes to an address that nobody has.',
  *check({ topology, addresses, bridges }) {
    const { nat, host } = topology
    if (nat === undefined || !nat.enable) return
    const lost = unowned(nat, addresses)
    if (lost.length === 0) return
    const local = [...addresses.each()].filter(({ kind, enabled }) => kind === 'local' && enabled)
    // Without containers in the file the destination is a machine that the file does not describe.
    if (local.length === 0) return
    const outside = new PrefixMap<true>()
    for (const { prefix, bare } of [
      ...host.configured.flatMap(({ addresses }) => addresses),
      ...topology.reserved.map(({ prefix }) => prefix)
    ])
      if (prefix !== undefined && !bare) outside.add(prefix, true)
    const networks = new PrefixMap<BridgePlan>()
    for (const bridge of bridges.values())
      for (const { prefix } of bridge.subnets) networks.add(prefix, bridge)
    const open = new Map<BridgePlan, boolean>()
    // Where the host's own networks are not known, the destination may lie in one of them, unless it is beside a container.
    const unknown =
      host.partial ||
      host.configured.some(({ dhcp, addresses }) => dhcp || addresses.length === 0) ||
      host.interfaces.length === 0
    const beside = new PrefixMap<true>()
    for (const { addr } of local) beside.add({ ...addr, bits: addr.family === 4 ? 24 : 64 }, true)
    const had = new Map(local.map(claim => [formatAddr(claim.addr), claim]))
    // What a program of the host gives out, the file does not tell.
    const others = daemonRanges(topology)
    for (const { address, at, text, forward } of lost) {
      if (others.some(({ prefix }) => contains(prefix, address))) continue
      const what =
        forward === undefined
          ? `dmzHost ${text}`
          : `the forward of ${forward.proto.text} ${forward.source.text} to ${text}`
      const symptom =
        forward === undefined ? 'all connections from outside are' : 'connections to the port are'
      const own = had.get(formatAddr(address))
      if (own !== undefined) {
        const bridge = unreached(own.link, address.family)
        if (bridge !== undefined)
          yield {
            message: `${what} leads nowhere: the host has no IPv${address.family} address on bridge "${bridge.name}", where ${own.owner} is`,
            labels: [
              { at, text: 'the host has no route there' },
              { at: bridge.at, on: 'key', text: `no IPv${address.family} address of the host` }
            ],
            note: `${symptom} sent by the default route and lost`,
            help: `give "${bridge.name}" an address in the network of ${own.owner}`
          }
        continue
      }
      if (specialBlock(address)?.use === 'dead' || outside.get(address) !== undefined) continue
      const off = addresses.owners(address)?.find(({ enabled }) => !enabled)
      const bridge = networks.get(address)
      if (bridge !== undefined) {
        if (!open.has(bridge)) open.set(bridge, isOpen(bridge))
        if (open.get(bridge) === true) continue
      } else if (off === undefined) {
        if (isGlobal(address) || (unknown && beside.get(address) === undefined)) continue
      }
      const near = nearest(formatAddr(address), local.length > COMPARED ? [] : had.keys())
      const meant = near === undefined ? undefined : had.get(near)
      yield {
        message: `${what} leads nowhere: ${off === undefined ? 'nobody has that address' : `${off.owner} is switched off`}`,
        labels: [
          {
            at,
            text:
              off === undefined
                ? near === undefined
                  ? "nobody's address"
                  : `did you mean ${near}?`
                : 'not running'
          },
          ...(off === undefined ? [] : [{ at: off.at, text: off.owner }])
        ],
        note: `${symptom} sent to an address where nobody answers, and time out`,
        help:
          off !== undefined
            ? `switch ${off.owner} on, or remove this`
            : meant !== undefined
              ? `write "${text.replace(WRITTEN, formatAddr(meant.addr))}", the address of ${meant.owner}`
              : `write the address of a container: ${listed(local.slice(0, 4).map(({ addr, owner }) => `${formatAddr(addr)} is ${owner}`))}`
      }
    }
  }
}

/** Among how many addresses one that is like the written one is looked for. */
const COMPARED = 200

/** The bridge that a link is on, where the host has no way to it: no address, and no port to a network with a router. */
const unreached = (link: Link | undefined, family: Family): Bridge | undefined => {
  if (link?.bridge === undefined || link.bridge.open) return undefined
  const { bridge } = link.bridge
  if (bridge.partial || bridge.dhcp !== undefined) return undefined
  // One that is faulty may be meant for that family.
  return [...bridge.addresses, ...bridge.virtualAddresses].some(
    ({ prefix }) => (prefix?.family ?? family) === family
  )
    ? undefined
    : bridge
}

/** The address of `address:port` or `[v6]:port`, however it is spelt. */
const WRITTEN = /^[^[:]+|(?<=^\[)[^\]]+/

interface Destination {
  readonly at: Path
  readonly text: string
  readonly address: Addr
  /** Undefined for dmzHost. */
  readonly forward: NatForward | undefined
}

/** The addresses that NAT sends connections on to and that nobody has, faults and what is left out apart. */
const unowned = (nat: Nat, addresses: AddressTable): readonly Destination[] => {
  const found: Destination[] = []
  for (const forward of nat.forwardPorts) {
    const { at, text, address, fault } = forward.destination
    if (fault === undefined && address !== undefined && !isOwned(addresses, address))
      found.push({ at, text, address, forward })
  }
  const { dmzHost } = nat
  if (dmzHost?.prefix?.family === 4 && !isOwned(addresses, dmzHost.prefix))
    found.push({ at: dmzHost.at, text: dmzHost.text, address: dmzHost.prefix, forward: undefined })
  return found
}

const isOwned = (addresses: AddressTable, address: Addr): boolean =>
  addresses.owners(address)?.some(({ enabled }) => enabled) === true

/** Whether the network of a bridge may have addresses that the file does not tell. */
const isOpen = ({ bridge, open, members }: BridgePlan): boolean =>
  open || bridge.partial || members.some(isVague)

/** Whether somebody on a bridge may have an address that the file does not tell. */
const isVague = ({ node, addresses }: Link): boolean =>
  node.partial ||
  ('dhcp' in node && (node.dhcp || node.inside.interfaces.some(({ dhcp }) => dhcp))) ||
  addresses.length === 0 ||
  addresses.some(({ prefix }) => prefix === undefined)
