import { offer } from '../findings/mend.ts'
import type { AddressText, Container, Veth } from '../model/topology.ts'
import { type Addr, type Family, formatAddr } from '../net/addr.ts'
import { familyOf } from '../plan/bridges.ts'
import { defaultRoutes } from '../plan/gateways.ts'
import type { AddressTable, Plan } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** A18, A19 */
export const incompletePair: Rule = {
  id: 'incomplete-pair',
  group: 'addresses',
  severity: 'error',
  summary: 'A veth pair without a bridge has an address at one end only.',
  *check(plan) {
    const freeBeside = freeAddressBeside(plan.addresses)
    for (const { veth, node, hostIfname } of plan.pairs) {
      if (node.partial) continue
      for (const family of [4, 6] as const) {
        const host = end(veth.hostAddress, veth.hostAddress6, family)
        const local = end(veth.localAddress, veth.localAddress6, family)
        const present = host ?? local
        if (present === undefined || (host !== undefined && local !== undefined)) continue
        // The host's own configuration may do what the scripts do not.
        if (plan.hostInterfaces().get(hostIfname)?.kind === 'interface') continue
        if (
          local === undefined ? isNumberedInside(node, veth, family) : hasOwnRoute(plan, node, veth, family)
        )
          continue
        const inside = local === undefined ? addressInside(node, veth, family) : undefined
        const option = `${local === undefined ? 'localAddress' : 'hostAddress'}${family === 6 ? '6' : ''}`
        const { ifname } = veth
        const free = inside ?? freeBeside(present, local === undefined)
        yield {
          message: `container "${node.name}" has ${present.at.at(-1)} ${present.text}, but no ${option}${veth.extra ? ` on ${ifname}` : ''}`,
          labels: [{ at: present.at, text: `${option} is missing beside it` }],
          note:
            local !== undefined
              ? `the host gets a route to the container through ${hostIfname}, but ${ifname} has no route back: not even an answer leaves the container`
              : inside !== undefined
                ? `${ifname} sets ${formatAddr(inside)} itself, but the host makes its route of localAddress: it looks for the container elsewhere, and no answer comes back`
                : family === 4
                  ? `${ifname} gets a route to the host and no address to send from: nothing works in either direction`
                  : `${ifname} has only its link-local address to send from: the container reaches the host, but nobody reaches the container and no answer comes from further away`,
          help:
            free === undefined
              ? `add ${option} with an address that nobody has`
              : `add ${option}: ${formatAddr(free)}`,
          ...offer(
            free === undefined
              ? undefined
              : { kind: 'insert', at: [...present.at.slice(0, -1), option], value: formatAddr(free) }
          ),
          ...(local === undefined && inside === undefined && family === 6
            ? { severity: 'warning' as const }
            : {})
        }
      }
    }
  }
}

/** The address of that family, in whichever of the two options it stands. */
const end = (
  four: AddressText | undefined,
  six: AddressText | undefined,
  family: Family
): AddressText | undefined =>
  [four, six].find(address => address !== undefined && familyOf(address) === family)

/** Whether the interface gets an address from somebody who then knows where it is. */
const isNumberedInside = (container: Container, veth: Veth, family: Family): boolean =>
  (!veth.extra && (family === 4 ? container.dhcp : container.acceptRA === true)) ||
  container.inside.interfaces.some(
    ({ name, dhcp, acceptRA }) => name === veth.ifname && (family === 4 ? dhcp : acceptRA === true)
  )

const addressInside = ({ inside }: Container, { ifname }: Veth, family: Family): Addr | undefined =>
  inside.interfaces
    .find(({ name }) => name === ifname)
    ?.addresses.find(({ prefix }) => prefix?.family === family)?.prefix

/** Whether the container's own configuration gives it a way to the host. */
const hasOwnRoute = (plan: Plan, container: Container, veth: Veth, family: Family): boolean =>
  container.routes.some(
    route => (route.interface ?? 'eth0') === veth.ifname && familyOf(route.destination) === family
  ) ||
  container.inside.interfaces.some(
    ({ name, routes }) =>
      name === veth.ifname && routes.some(({ destination }) => familyOf(destination) === family)
  ) ||
  (!veth.extra && defaultRoutes(plan, container, family).length > 0)

/** How far from the end that is there the other one is looked for. */
const TRIES = 64

/**
 * The nearest address for the other end: one that nobody has, and for a container's end a different one at each call.
 * Pairs may share the host's end. People write the container's end above it.
 */
const freeAddressBeside = (
  table: AddressTable
): ((address: AddressText, isLocal: boolean) => Addr | undefined) => {
  const given = new Map<string, boolean>()
  return ({ prefix }, isLocal) => {
    if (prefix === undefined) return undefined
    const { family, value } = prefix
    for (let step = 1n; step <= TRIES; step += 1n)
      for (const next of isLocal ? [value + step, value - step] : [value - step, value + step]) {
        const addr = { family, value: next }
        const isEdge = family === 4 ? next % 256n === 0n || next % 256n === 255n : next % 65536n === 0n
        if (next <= 0n || isEdge) continue
        const key = `${family} ${next}`
        const isShared =
          !isLocal &&
          given.get(key) !== true &&
          table.owners(addr)?.every(({ kind }) => kind === 'pair') !== false
        if (!isShared && (given.has(key) || table.owners(addr) !== undefined)) continue
        given.set(key, isLocal)
        return addr
      }
    return undefined
  }
}
