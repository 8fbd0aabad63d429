import type { Problem } from '../findings/finding.ts'
import type { AddressText, Container, Listen, Vm } from '../model/topology.ts'
import { type Addr, formatAddr, sameAddr } from '../net/addr.ts'
import { contains, hasBroadcast, last, type Prefix } from '../net/prefix.ts'
import { specialBlock } from '../net/special.ts'
import { isPrivate } from '../plan/links.ts'
import { type HostNetwork, hostNetworks } from '../plan/host-networks.ts'
import type { AddressClaim, Plan } from '../plan/plan.ts'
import { nonlocalBind } from '../plan/ports.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** bind(2), EADDRNOTAVAIL */
export const listenAddressNotOwned: Rule = {
  id: 'listen-address-not-owned',
  group: 'ports',
  severity: 'error',
  summary: 'A service waits on an address that its machine does not have.',
  *check(plan) {
    const { host, having, vms } = plan.topology
    if (host.listens.length + having.listens.length + vms.length === 0) return
    const networks = hostNetworks(plan)
    const free = nonlocalBind(plan.topology)
    const isJudged = ({ address }: Listen): boolean => !free.has(address?.prefix?.family ?? 0)
    for (const listen of host.listens.filter(isJudged)) yield* onHost(plan, networks, listen)
    for (const container of having.listens) {
      if (!container.enabled || container.networkNamespace) continue
      if (isPrivate(container)) for (const listen of container.listens) yield* inside(plan, container, listen)
      else if (!container.partial)
        for (const listen of container.listens.filter(isJudged))
          yield* onHost(plan, networks, listen, container)
    }
    for (const vm of vms) if (vm.enabled) for (const listen of vm.listens) yield* inside(plan, vm, listen)
  }
}

/** The address of a listen entry, where it is one that only its owner can bind. */
const bound = ({ address }: Listen): Addr | undefined => {
  const prefix = address?.prefix
  if (prefix === undefined) return undefined
  const block = specialBlock(prefix)?.name
  return block === 'loopback' || block === 'multicast' || block === 'link-local' || prefix.value === 0n
    ? undefined
    : prefix
}

/** Datagrams to all: the kernel lets a program bind the broadcast address of a network. */
const hearsBroadcast = ({ protocol }: Listen, prefix: Prefix, addr: Addr): boolean =>
  protocol.value === 'udp' &&
  hasBroadcast(prefix.family, prefix.bits) &&
  contains(prefix, addr) &&
  last(prefix).value === addr.value

/** An address that the host has for certain not: it is a container's, or of a network whose addresses all stand in the file. */
const onHost = function* (
  plan: Plan,
  networks: ReturnType<typeof hostNetworks>,
  listen: Listen,
  container?: Container
): Generator<Problem> {
  const addr = bound(listen)
  if (addr === undefined || hasUnit(plan, addr)) return
  const owners = plan.addresses.owners(addr) ?? []
  const [owner] = owners
  if (owners.some(({ kind }) => kind !== 'local')) return
  // An address that is ignored for want of privateNetwork is told of there.
  if (container !== undefined && owners.some(({ link }) => link?.container === container)) return
  const home = homeOf(plan, networks, addr)
  const isBroadcast = home !== undefined && hearsBroadcast(listen, home.prefix, addr)
  if (owner === undefined ? home === undefined || isBroadcast : !owner.enabled) return
  yield problem(
    listen,
    {
      who: container === undefined ? 'the host' : `container "${container.name}"`,
      has:
        container === undefined
          ? 'not an address of the host'
          : 'not an address of the host, whose network it is in'
    },
    owner,
    home?.address.prefix && formatAddr(home.address.prefix)
  )
}

/** Whether a unit that is written by hand gives the host that address. */
const hasUnit = ({ topology: { host } }: Plan, addr: Addr): boolean =>
  host.networkd?.networks.some(({ addresses }) =>
    addresses.some(({ prefix }) => prefix !== undefined && sameAddr(prefix, addr))
  ) === true

/** The host's network around an address, where the host can have no others in it than the file says. */
const homeOf = (
  { topology: { host } }: Plan,
  networks: ReturnType<typeof hostNetworks>,
  addr: Addr
): HostNetwork | undefined => {
  if (host.partial || host.virtualAddresses.length > 0) return undefined
  const home = networks(addr)
  const { bridge, open } = home?.bridge ?? {}
  const settled =
    bridge === undefined
      ? home?.interface?.dhcp === false && (addr.family === 4 || home.interface.acceptRA === false)
      : !bridge.partial &&
        bridge.dhcp === undefined &&
        bridge.virtualAddresses.length === 0 &&
        (addr.family === 4 || open === false || bridge.acceptRA === false)
  return settled ? home : undefined
}

const inside = function* (plan: Plan, node: Container | Vm, listen: Listen): Generator<Problem> {
  const addr = bound(listen)
  const own = addr && ownAddresses(plan, node, addr)
  if (addr === undefined || own === undefined) return
  if (own.some(({ prefix }) => prefix !== undefined && sameAddr(prefix, addr))) return
  if (own.some(({ prefix }) => prefix !== undefined && hearsBroadcast(listen, prefix, addr))) return
  const owners = plan.addresses.owners(addr) ?? []
  if (owners.some(({ kind }) => kind === 'virtual')) return
  const owner = owners.find(({ enabled, link }) => enabled && link?.node !== node) ?? owners[0]
  // What is far from all that is known may be the address of a tunnel.
  if (
    owner === undefined &&
    !own.some(({ prefix }) => prefix !== undefined && contains(around(prefix), addr))
  )
    return
  const same = own.filter(({ prefix }) => prefix?.family === addr.family)
  const has = listed(same.map(({ prefix, text }) => (prefix === undefined ? text : formatAddr(prefix))))
  const implied = 'privateNetwork' in node && !node.privateNetwork && owner?.kind !== 'local'
  yield problem(
    listen,
    {
      who: `${node.at[0] === 'vms' ? 'machine' : 'container'} "${node.name}"`,
      has: `it has ${has}`,
      ...(implied
        ? {
            why: `systemd-nspawn makes it private for ${listed((plan.linksOf.get(node) ?? []).map(({ ifname }) => ifname))}, so it has none of the host's addresses; `
          }
        : {})
    },
    owner,
    same[0]?.prefix && formatAddr(same[0].prefix)
  )
}

/** The network of an address, or what is usually one where it stands alone. */
const around = (prefix: Prefix): Prefix => ({
  ...prefix,
  bits: Math.min(prefix.bits, prefix.family === 4 ? 24 : 64)
})

/** Every address of a container or machine, where the file must have them all. */
const ownAddresses = (
  { linksOf }: Plan,
  node: Container | Vm,
  { family }: Addr
): readonly AddressText[] | undefined => {
  const links = linksOf.get(node)
  if (node.partial || links === undefined) return undefined
  const addresses = links.flatMap(link => link.addresses)
  const isOf = ({ prefix }: AddressText): boolean => prefix?.family === family
  if (
    !links.every(link => link.addresses.some(isOf)) ||
    addresses.some(({ auto, fault }) => auto || fault !== undefined)
  )
    return undefined
  if (!('privateNetwork' in node)) return family === 4 ? addresses : undefined
  const { vpn, dhcp, acceptRA, virtualAddresses, inside } = node
  const advertised = links.some(
    ({ kind, bridgeName, bridge }) =>
      kind === 'macvlan' || kind === 'moved' || (bridgeName !== undefined && bridge?.open !== false)
  )
  if (
    vpn !== undefined ||
    virtualAddresses.length > 0 ||
    (family === 4
      ? dhcp || inside.interfaces.some(entry => entry.dhcp)
      : acceptRA !== false && (acceptRA === true || advertised))
  )
    return undefined
  return [
    ...addresses,
    ...inside.interfaces.flatMap(entry => entry.addresses),
    ...inside.bridges.flatMap(entry => entry.addresses)
  ]
}

const problem = (
  { at, address, name, port }: Listen,
  { who, has, why = '' }: { readonly who: string; readonly has: string; readonly why?: string },
  owner: AddressClaim | undefined,
  own: string | undefined
): Problem => ({
  message: `${name ?? `the service on port ${port}`} of ${who} cannot wait on ${address?.text}: ${owner === undefined ? 'nobody has' : `${ownerOf(owner)} has`} that address`,
  labels: [
    { at: [...at, 'address'], text: has },
    ...(owner === undefined
      ? []
      : [{ at: owner.at, text: `it belongs to ${ownerOf(owner).replace(/,$/, '')}` }])
  ],
  note: `${why}the kernel lets a program bind only addresses that its own machine has: it ends with "Cannot assign requested address"`,
  help:
    own === undefined
      ? 'leave the address out to wait on any, or write one that it has'
      : `write ${own}, or leave the address out to wait on any`
})

const ownerOf = ({ kind, owner }: AddressClaim): string =>
  kind === 'pair' ? `the host, at its end of the pair of ${owner},` : owner
