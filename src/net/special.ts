import { type Addr, width } from './addr.ts'
import { contains, overlaps, type Prefix, parsePrefix } from './prefix.ts'

/** A block of addresses with a purpose of its own, as the IANA special-purpose registries list it (RFC 6890). */
export interface SpecialBlock {
  readonly prefix: Prefix
  readonly name: string
  readonly source: string
  /** What an address of the block does on an interface: `dead` never works, `odd` works and surprises, `fine` is ordinary use. */
  readonly use: 'dead' | 'odd' | 'fine'
}

const block = (text: string, name: string, source: string, use: SpecialBlock['use']): SpecialBlock => {
  const parsed = parsePrefix(text)
  if (!('value' in parsed)) throw new Error(`special block ${text}: ${parsed.reason}`)
  return { prefix: parsed.value, name, source, use }
}

/**
 * Narrower blocks stand before the wider ones that contain them. The documentation blocks (192.0.2.0/24, 198.51.100.0/24,
 * 203.0.113.0/24, 2001:db8::/32, 3fff::/20) are left out: people write them in place of a public address, and are
 * answered as if they were one.
 */
const BLOCKS: readonly SpecialBlock[] = [
  block('0.0.0.0/32', 'the unspecified address', 'RFC 1122', 'dead'),
  block('0.0.0.0/8', '"this network"', 'RFC 791', 'odd'),
  block('127.0.0.0/8', 'loopback', 'RFC 1122', 'dead'),
  block('169.254.0.0/16', 'link-local', 'RFC 3927', 'odd'),
  block('224.0.0.0/4', 'multicast', 'RFC 1112', 'dead'),
  block('255.255.255.255/32', 'limited broadcast', 'RFC 919', 'dead'),
  block('240.0.0.0/4', 'reserved for future use', 'RFC 1112', 'odd'),
  block('10.0.0.0/8', 'private use', 'RFC 1918', 'fine'),
  block('172.16.0.0/12', 'private use', 'RFC 1918', 'fine'),
  block('192.168.0.0/16', 'private use', 'RFC 1918', 'fine'),
  block('100.64.0.0/10', 'shared address space (carrier NAT, tailscale)', 'RFC 6598', 'fine'),
  block('198.18.0.0/15', 'benchmarking', 'RFC 2544', 'fine'),
  block('192.0.0.0/29', 'the continuity prefix of IPv4 over IPv6', 'RFC 7335', 'fine'),
  block('192.0.0.0/24', 'IETF protocol assignments', 'RFC 6890', 'odd'),
  block('192.88.99.0/24', 'the withdrawn 6to4 relay', 'RFC 7526', 'odd'),
  block('::/128', 'the unspecified address', 'RFC 4291', 'dead'),
  block('::1/128', 'loopback', 'RFC 4291', 'dead'),
  block('::ffff:0:0/96', 'IPv4-mapped', 'RFC 4291', 'dead'),
  block('fc00::/8', 'the undefined half of the unique-local space', 'RFC 4193', 'odd'),
  block('fd00::/8', 'unique-local', 'RFC 4193', 'fine'),
  block('fe80::/10', 'link-local', 'RFC 4291', 'odd'),
  block('ff00::/8', 'multicast', 'RFC 4291', 'dead'),
  block('64:ff9b::/96', 'IPv4/IPv6 translation', 'RFC 6052', 'odd'),
  block('64:ff9b:1::/48', 'IPv4/IPv6 translation', 'RFC 8215', 'odd'),
  block('100::/64', 'discard-only', 'RFC 6666', 'odd'),
  block('2001::/32', 'Teredo', 'RFC 4380', 'odd'),
  block('2001:2::/48', 'benchmarking', 'RFC 5180', 'fine'),
  block('2002::/16', '6to4', 'RFC 3056', 'odd')
]

/** The networks of the blocks, without those that lie in another one. */
export const SPECIAL_NETWORKS: readonly Prefix[] = BLOCKS.map(({ prefix }) => prefix).filter(
  prefix => !BLOCKS.some(other => other.prefix.bits < prefix.bits && contains(other.prefix, prefix))
)

/** The blocks by family and first byte of an address, so that it is held against one or two of them. */
const byFirstByte = new Map<number, readonly SpecialBlock[]>()

/** The special block that an address lies in, if any. */
export const specialBlock = (addr: Addr): SpecialBlock | undefined => {
  const { family, value } = addr
  const byte = family === 4 ? Number(value) >>> 24 : Number(value >> 120n)
  const key = byte + (family === 4 ? 0 : 256)
  let blocks = byFirstByte.get(key)
  if (blocks === undefined) {
    const slice: Prefix = { family, value: BigInt(byte) << BigInt(width(family) - 8), bits: 8 }
    blocks = BLOCKS.filter(({ prefix }) => overlaps(prefix, slice))
    byFirstByte.set(key, blocks)
  }
  return blocks.find(({ prefix }) => contains(prefix, addr))
}

export const GLOBAL_UNICAST_6: Prefix = block('2000::/3', 'global unicast', 'RFC 4291', 'fine').prefix

/** Whether an IPv6 address lies in no allocated unicast space: neither global (2000::/3) nor in a special block. */
export const unallocated6 = (addr: Addr): boolean =>
  addr.family === 6 && !contains(GLOBAL_UNICAST_6, addr) && specialBlock(addr) === undefined

/** Whether the internet routes to such an address. */
export const isGlobal = (addr: Addr): boolean =>
  specialBlock(addr) === undefined && (addr.family === 4 || contains(GLOBAL_UNICAST_6, addr))

/** Whether an address is made for something else than to be that of an ordinary interface. */
export const isSpecial = (addr: Addr): boolean => (specialBlock(addr)?.use ?? 'fine') !== 'fine'
