import type { Problem } from '../findings/finding.ts'
import { offer, replaced } from '../findings/mend.ts'
import { type Addr, formatAddr } from '../net/addr.ts'
import { contains, formatNetwork, formatPrefix } from '../net/prefix.ts'
import type { FreeAddress } from '../plan/addresses.ts'
import { hostNetworks } from '../plan/host-networks.ts'
import type { AddressClaim, AddressTable, Plan } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** A6 to A10 */
export const duplicateAddress: Rule = {
  id: 'duplicate-address',
  group: 'addresses',
  severity: 'error',
  summary: 'Two interfaces have the same address.',
  *check(plan, freeIn) {
    const advice = adviser(plan, freeIn)
    for (const claims of plan.addresses.shared()) {
      for (const [i, later] of claims.entries()) {
        const earlier = claims.slice(0, Math.min(i, COMPARED)).find(other => clash(other, later))
        if (earlier === undefined) continue
        const own = earlier.link !== undefined && earlier.link === later.link && earlier.kind !== later.kind
        // The end inside is the one to renumber; the host's end is often shared.
        const [wrong, right] =
          later.kind === 'local' || earlier.kind !== 'local' ? [later, earlier] : [earlier, later]
        yield {
          message: own
            ? `${wrong.owner} has ${formatAddr(wrong.addr)} at both ends of its pair, inside and on the host`
            : `${wrong.owner} has the address ${formatAddr(wrong.addr)} of ${right.owner}`,
          labels: [
            { at: wrong.at, text: `${formatAddr(wrong.addr)} again` },
            { at: right.at, text: own ? "the host's end" : `it belongs to ${right.owner}` }
          ],
          note: symptom(wrong, right),
          ...advice(wrong),
          ...severity(wrong, right)
        }
      }
    }
  }
}

/** Claims on one address that each later one is compared with; more equal ones tell nothing new. */
const COMPARED = 8

/** Only an address inside a container must be unique: pairs may share their host end, and that end may be any address of the host. */
const clash = (a: AddressClaim, b: AddressClaim): boolean => {
  if (a.kind === 'virtual' || b.kind === 'virtual' || !(a.enabled || b.enabled)) return false
  // Written twice for one interface, once for NixOS's script and once inside, it is still there once.
  if (a.kind === 'local' && b.kind === 'local' && a.link !== undefined && a.link === b.link) return false
  if (a.kind === 'local' || b.kind === 'local') return true
  // An interface that is written in two places, such as a bridge and its unit, is still one.
  return a.kind === 'host' && b.kind === 'host' && a.owner !== b.owner
}

const severity = (a: AddressClaim, b: AddressClaim): { readonly severity?: 'warning' | 'hint' } =>
  !a.enabled || !b.enabled
    ? { severity: 'hint' }
    : a.kind === 'host' && b.kind === 'host'
      ? { severity: 'warning' }
      : {}

/** What one address at both ends of a pair does. */
const selfish = ({ link, addr }: AddressClaim): string => {
  if (link?.veth?.extra === true)
    return 'each end takes what is sent to the other for its own, and nothing passes between them'
  return addr.family === 6
    ? 'Linux takes no router that is the container itself ("Gateway can not be a local address"): the container does not start'
    : 'the container asks for itself when it looks for its router, and nobody answers; the host keeps to itself what it sends to the container'
}

const symptom = (wrong: AddressClaim, right: AddressClaim): string => {
  if (!wrong.enabled || !right.enabled)
    return 'one of the two is switched off, or its address is ignored; once both count, one of them cannot be reached'
  if (wrong.kind === 'host')
    return 'the host answers for it on either interface, and which one its packets leave by is left to chance'
  const who = wrong.link?.kind === 'tap' ? 'machine' : 'container'
  const swallowed = `the host has that address itself, so packets for the ${who} never leave the host`
  if (right.kind === 'pair') return wrong.link === right.link ? selfish(wrong) : swallowed
  const six = wrong.addr.family === 6
  if (right.kind === 'host') {
    if (right.owner !== `bridge "${wrong.link?.bridgeName}"`) return swallowed
    // Duplicate address detection (RFC 4862 section 5.4); IPv4 has none.
    return six
      ? `the kernel finds that the bridge has it ("IPv6 duplicate address … detected!") and does not use it: the ${who} has no IPv6, and \`ip addr\` inside shows it as dadfailed`
      : `the bridge does not answer questions from its own address: the ${who} has no way out ('No route to host'), and neighbours' packets may go to it instead`
  }
  const pairs = [wrong, right].filter(({ link }) => link?.kind === 'veth' && link.bridgeName === undefined)
  if (pairs.length === 2)
    return 'the second to start fails: the host already has a route to that address ("RTNETLINK answers: File exists")'
  const [pair] = pairs
  if (pair !== undefined)
    return `both start; what the host sends to that address goes to the pair of ${pair.owner}, and the other is reached by its neighbours only`
  return six
    ? 'both start; for the later one the kernel finds the address taken ("IPv6 duplicate address … detected!") and does not use it: that one has no IPv6, and `ip addr` inside shows it as dadfailed'
    : 'both start without a complaint; whoever answers ARP first gets the packets, and the other cannot be reached'
}

/** The next free address of the subnet that the address lies in, a different one at each call. */
const adviser = (
  plan: Plan,
  freeIn: FreeAddress
): ((claim: AddressClaim) => Pick<Problem, 'help' | 'mend'>) => {
  const nextAfter = successors(plan.addresses)
  let networks: ReturnType<typeof hostNetworks> | undefined
  return ({ link, text, addr, owner, kind, enabled }) => {
    // What is switched off, or in a network with machines that the file does not know, is for its owner to number.
    const isKnown = enabled && kind === 'local' && link?.kind === 'veth' && link.bridge?.open !== true
    const subnet = link?.bridge?.subnets.find(({ prefix }) => contains(prefix, addr))
    if (subnet === undefined) {
      // Who else is on a bridge in whose network the host has no address, or on a card, is not for the host's table to tell.
      if (link !== undefined && (link.bridgeName !== undefined || link.kind !== 'veth'))
        return {
          help: `give ${owner} an address${text.bare || text.prefix === undefined ? '' : ` of ${formatNetwork(text.prefix)}`} that nobody has`
        }
      const around = kind === 'local' ? (networks ??= hostNetworks(plan))(addr) : undefined
      if (around !== undefined)
        return {
          help: `give ${owner} an address outside ${formatPrefix(around.prefix)} of ${around.ifname}`
        }
      const next = formatAddr(nextAfter(addr))
      return {
        help: `give ${owner} another one: ${next} is free`,
        ...offer(isKnown ? replaced(text.at, next) : undefined)
      }
    }
    const next = freeIn(subnet.prefix, text)
    if (next === undefined)
      return {
        help: `no address of ${formatPrefix(subnet.prefix)} is free; give "${subnet.bridge.name}" a larger network`
      }
    const free = `${formatAddr(next)}${text.bare ? '' : `/${subnet.prefix.bits}`}`
    return {
      help: `give ${owner} a free one: ${free}`,
      ...offer(isKnown ? replaced(text.at, free) : undefined)
    }
  }
}

/** The next address after one that nobody has, a different one at each call; linear in all, since each search goes on where the last one ended. */
const successors = (table: AddressTable): ((addr: Addr) => Addr) => {
  const given = new Map<string, bigint>()
  return addr => {
    const key = formatNetwork({ ...addr, bits: addr.family === 4 ? 24 : 64 })
    const last = given.get(key) ?? 0n
    let value = (last > addr.value ? last : addr.value) + 1n
    while (table.owners({ family: addr.family, value }) !== undefined) value += 1n
    given.set(key, value)
    return { family: addr.family, value }
  }
}
