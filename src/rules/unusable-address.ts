import type { AddressText, Bridge, Host } from '../model/topology.ts'
import { addressAfter, formatAddr, width } from '../net/addr.ts'
import { first, formatPrefix, overlaps, type Prefix, parsePrefix } from '../net/prefix.ts'
import { type SpecialBlock, specialBlock } from '../net/special.ts'
import type { FreeAddress } from '../plan/addresses.ts'
import { runsNetworkd } from '../plan/networkd.ts'
import type { Link, Plan } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** A21, E9, E10 */
export const unusableAddress: Rule = {
  id: 'unusable-address',
  group: 'addresses',
  severity: 'error',
  summary: 'An interface has an address that is made for something else: loopback, multicast, link-local …',
  *check(plan, freeIn) {
    if (!plan.topology.seen.special) return
    let mend: ReturnType<typeof adviser> | undefined
    let hinted = false
    for (const user of interfaceAddresses(plan)) {
      const { address, owner } = user
      const { prefix, at, text } = address
      if (prefix === undefined) continue
      const block = specialBlock(prefix)
      // fc00::/8 works as fd00::/8 does, and has a rule of its own.
      if (block === undefined || block.use === 'fine' || block.source === 'RFC 4193') continue
      const { note, dead } = symptom(plan.topology.host, block, user, prefix)
      if (user.card === true && !dead && block.name !== UNSPECIFIED) continue
      mend ??= adviser(plan, freeIn)
      const odd = block.name === 'link-local' && !dead ? linkLocal(user) : 'warning'
      if (odd === 'fine' || (odd === 'hint' && hinted)) continue
      if (odd === 'hint') {
        hinted = true
        yield {
          message: `${text} of ${owner} is a link-local address (${formatPrefix(block.prefix)})`,
          labels: [{ at, text: `${block.name} (${block.source})` }],
          note,
          help: `leave it if only neighbours are to use it; else ${mend(user)}`,
          severity: 'hint'
        }
        continue
      }
      yield {
        message: `${text} of ${owner} is no address for an interface: ${formatPrefix(block.prefix)} is ${block.name}`,
        labels: [{ at, text: `${block.name} (${block.source})` }],
        note,
        help: mend(user),
        ...(dead ? {} : { severity: 'warning' as const })
      }
    }
  }
}

interface AddressUser {
  readonly address: AddressText
  readonly owner: string
  readonly link?: Link
  /** The bridge whose own address it is. */
  readonly bridge?: Bridge
  /** An interface of the host itself, which may have link-local addresses for a reason. */
  readonly card?: boolean
}

const UNSPECIFIED = 'the unspecified address'

const interfaceAddresses = function* ({ links, bridges, topology }: Plan): Generator<AddressUser> {
  for (const { name, addresses } of topology.host.configured)
    if (name !== 'lo')
      for (const address of addresses) yield { address, owner: `host interface "${name}"`, card: true }
  for (const { bridge } of bridges.values())
    for (const address of bridge.addresses) yield { address, owner: `bridge "${bridge.name}"`, bridge }
  for (const link of links) {
    const owner = `${link.kind === 'tap' ? 'machine' : 'container'} "${link.node.name}"`
    for (const address of link.addresses) yield { address, owner, link }
    // hostAddress is used with a bridge too: container-init makes a route to it.
    for (const address of [link.veth?.hostAddress, link.veth?.hostAddress6])
      if (address !== undefined) yield { address, owner, link }
  }
}

/**
 * What a link-local address that Linux takes is worth: Linux routes those of IPv4 like any others, and those of IPv6 work
 * on their link, but as the only address of a container they reach nothing else.
 */
const linkLocal = ({ address, link, bridge }: AddressUser): 'fine' | 'hint' | 'warning' => {
  const family = address.prefix?.family
  const isOther = ({ prefix }: AddressText): boolean =>
    prefix !== undefined && specialBlock(prefix)?.name !== 'link-local'
  if (bridge !== undefined) return bridge.addresses.some(isOther) ? 'fine' : 'hint'
  if (link === undefined) return 'hint'
  const { veth, addresses, hostAddresses } = link
  const isPair = veth !== undefined && link.bridgeName === undefined
  const ends = [...addresses, ...hostAddresses].filter(({ prefix }) => prefix?.family === family)
  // Both ends of a pair: somebody means it.
  if (isPair && ends.length > 1 && !ends.some(isOther)) return 'fine'
  if (family === 4) return 'hint'
  if (addresses.some(other => isOther(other) && other.prefix?.family === 6)) return 'fine'
  return veth?.extra === false ? 'warning' : 'hint'
}

const symptom = (
  host: Host,
  block: SpecialBlock,
  { address, link }: AddressUser,
  own: Prefix
): { readonly note: string; readonly dead: boolean } => {
  const { name, prefix } = block
  const isRouter = link?.veth?.extra === false && String(address.at.at(-1)).startsWith('hostAddress')
  if (name === 'link-local') {
    if (prefix.family === 4)
      return {
        dead: false,
        note: 'machines choose such an address when no DHCP server answers (RFC 3927): Linux takes and routes it like any other, but other routers do not, and some programs take it for "no network"'
      }
    return isRouter
      ? {
          dead: true,
          note: `the container runs "ip -6 route add default via ${address.text}" without an interface; Linux answers "Egress device not specified" and the container stops`
        }
      : {
          dead: false,
          note: 'each interface has link-local addresses of its own; one set by hand is not routed and needs an interface wherever it is used'
        }
  }
  if (name === 'Teredo' || name === '6to4')
    return {
      dead: false,
      note: `Linux takes it for an ordinary address; but the internet knows it as ${name}, a tunnel service of the past (RFC 7526, RFC 6724), so nothing comes back from there`
    }
  if (block.use === 'odd')
    return {
      dead: false,
      note: 'Linux takes it for an ordinary address; other systems and most routers drop its packets'
    }
  const isInUnit = address.at[1] === 'networkd'
  const isManaged = link === undefined && (isInUnit || runsNetworkd(host) === true)
  if (name === UNSPECIFIED && isManaged) return wish(own, address.bare, isInUnit)
  if (prefix.family === 6 && name !== 'IPv4-mapped')
    return {
      dead: true,
      note: `Linux refuses it ("${REFUSED[name] ?? 'Invalid address'}"), and ${isManaged ? 'networkd gives up on the interface (state failed)' : link === undefined ? 'the unit that sets it fails' : "the container's unit fails"}`
    }
  if (name === UNSPECIFIED)
    return {
      dead: true,
      note: isRouter
        ? `the container runs "ip route add default via ${address.text}"; Linux answers "No such device" and the container stops`
        : 'the command succeeds and sets no address at all'
    }
  return {
    dead: true,
    note: 'the kernel accepts it in silence, and no packet from or to it ever leaves the machine'
  }
}

/** To networkd a null address asks for a free network of that size (systemd.network(5), Address=). */
const wish = (
  { family, bits }: Prefix,
  bare: boolean,
  isInUnit: boolean
): { readonly note: string; readonly dead: boolean } =>
  bare || bits === 0 || bits === width(family)
    ? {
        dead: true,
        note: 'systemd-networkd takes it for a wish for a free network of one address, says "Failed to acquire an address from pool" and gives up on the interface'
      }
    : {
        dead: !isInUnit,
        note: `systemd-networkd takes it for a wish: it chooses a free ${family === 4 ? 'private network (of 192.168.0.0/16, 172.16.0.0/12 or 10.0.0.0/8)' : 'network of fd00::/8'} itself, another one on every machine, so nothing else can be given an address in it`
      }

/** The kernel's words (net/ipv6/addrconf.c). */
const REFUSED: Readonly<Record<string, string>> = {
  loopback: 'Cannot assign loopback address on this device',
  multicast: 'Cannot assign multicast address without "IFA_F_MCAUTOJOIN" flag'
}

/** An ordinary address instead: of the bridge where there is one, else of a private network that nothing here touches. */
const adviser = (plan: Plan, freeIn: FreeAddress): ((user: AddressUser) => string) => {
  const taken = [
    ...[...plan.bridges.values()].flatMap(({ subnets }) => subnets.map(({ prefix }) => prefix)),
    ...[
      ...plan.topology.host.configured.flatMap(({ addresses }) => addresses),
      ...plan.topology.reserved.map(({ prefix }) => prefix)
    ].flatMap(({ prefix }) => prefix ?? [])
  ].filter(prefix => specialBlock(prefix)?.use !== 'dead')
  const quiet = { 4: untouched('192.168.100.0/24', taken), 6: untouched('fd12:3456:789a::/64', taken) }
  return ({ address, link }) => {
    const option = String(address.at.at(-1))
    const family = option.endsWith('Address6') ? 6 : (address.prefix?.family ?? 4)
    const isHostEnd = option.startsWith('hostAddress')
    const home = link?.bridge?.subnets.find(({ prefix }) => prefix.family === family && !isDead(prefix))
    if (isHostEnd && home?.address.prefix !== undefined)
      return `write ${formatAddr(home.address.prefix)}, the address of "${home.bridge.name}"`
    // Who else has an address out there is not in the file.
    if (link?.bridge?.open === true)
      return 'choose an address of the network behind the bridge that nobody has'
    // A bridge may have a link-local address only.
    const isOrdinary = home !== undefined && (specialBlock(home.prefix)?.use ?? 'fine') === 'fine'
    const network = isOrdinary ? home.prefix : quiet[family]
    const free = network === undefined ? undefined : freeIn(network, address)
    if (network === undefined || free === undefined) return 'choose a private address that nobody has'
    const bits = link?.veth === undefined || link.bridgeName !== undefined ? `/${network.bits}` : ''
    return `write a private address, such as ${formatAddr(free)}${isHostEnd ? '' : bits}`
  }
}

const isDead = (prefix: Prefix): boolean => specialBlock(prefix)?.use === 'dead'

/** The first of 100 networks from one on that none of the others touches. */
const untouched = (start: string, taken: readonly Prefix[]): Prefix | undefined => {
  const parsed = parsePrefix(start)
  if (!('value' in parsed)) return undefined
  const { family, bits } = parsed.value
  const step = 1n << BigInt((family === 4 ? 32 : 128) - bits)
  return Array.from(
    { length: 100 },
    (_, i): Prefix => ({ ...addressAfter(first(parsed.value), step * BigInt(i)), bits })
  ).find(candidate => !taken.some(other => overlaps(candidate, other)))
}
