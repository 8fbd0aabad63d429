import { type Addr, type Family, formatAddr, type Parsed, parseAddr, width } from './addr.ts'

/** An address and how many of its leading bits name the network. Host bits are kept: `192.168.100.2/29`. */
export interface Prefix extends Addr {
  readonly bits: number
}

/**
 * Parses `address/bits`. A bare address is a prefix of all its bits, as iproute2 has it.
 */
export const parsePrefix = (input: string): Parsed<Prefix> => {
  const slash = input.indexOf('/')
  const addr = parseAddr(slash < 0 ? input : input.slice(0, slash))
  if (!('value' in addr)) return { ...addr, input }
  const { family, value } = addr.value
  if (slash < 0) return { value: { family, value, bits: width(family) } }
  const text = input.slice(slash + 1)
  const bits = Number(text)
  if (!/^(0|[1-9][0-9]{0,2})$/.test(text) || bits > width(family))
    return {
      input,
      reason: `"/${text.length > 20 ? `${text.slice(0, 20)}…` : text}" is not a prefix length; IPv${family} has /0 to /${width(family)}`,
      at: slash
    }
  return { value: { family, value, bits } }
}

export const formatPrefix = (prefix: Prefix): string => `${formatAddr(prefix)}/${prefix.bits}`

/** How many addresses a prefix of `bits` holds. */
export const size = (family: Family, bits: number): bigint => 1n << BigInt(width(family) - bits)

/** The lowest address: the network address. */
export const first = ({ family, value, bits }: Prefix): Addr => {
  const host = BigInt(width(family) - bits)
  return { family, value: (value >> host) << host }
}

/** The highest address: the broadcast address of an IPv4 network of up to /30. */
export const last = (prefix: Prefix): Addr => ({
  family: prefix.family,
  value: first(prefix).value + size(prefix.family, prefix.bits) - 1n
})

/** The prefix with its host bits cleared: its canonical form. */
export const masked = (prefix: Prefix): Prefix => ({ ...first(prefix), bits: prefix.bits })

export const formatNetwork = (prefix: Prefix): string => formatPrefix(masked(prefix))

export const contains = ({ family, value, bits }: Prefix, addr: Addr): boolean => {
  if (family !== addr.family) return false
  if (family === 4 && bits > 0) return Number(value) >>> (32 - bits) === Number(addr.value) >>> (32 - bits)
  const host = BigInt(width(family) - bits)
  return value >> host === addr.value >> host
}

/**
 * Whether two prefixes share an address. Prefixes nest or are apart, they never cross:
 *
 *     |---- /24 ----|            |-/25-|
 *        |-/26-|          or            |-/25-|
 */
export const overlaps = (a: Prefix, b: Prefix): boolean =>
  a.bits <= b.bits ? contains(a, b) : contains(b, a)

/** Whether the lowest and the highest address of such a network belong to no host: IPv4 up to /30 (RFC 3021 frees /31). */
export const hasBroadcast = (family: Family, bits: number): boolean => family === 4 && bits <= 30

/**
 * How many hosts can have an address: all but network and broadcast in IPv4 (RFC 1122 section 3.2.1.3), all in a /31
 * (RFC 3021), a /127 (RFC 6164) and elsewhere in IPv6, where the Linux kernel treats the lowest address as the routers'
 * anycast address (RFC 4291 section 2.6.1), so it is not counted below /127.
 */
export const usable = (family: Family, bits: number): bigint => {
  const all = size(family, bits)
  if (hasBroadcast(family, bits)) return all - 2n
  return family === 6 && bits <= 126 ? all - 1n : all
}

/** The lowest address that a host can have. */
export const firstUsable = (prefix: Prefix): Addr => {
  const lowest = first(prefix)
  const skipped =
    hasBroadcast(prefix.family, prefix.bits) || (prefix.family === 6 && prefix.bits <= 126) ? 1n : 0n
  return { family: prefix.family, value: lowest.value + skipped }
}

/** The highest address that a host can have. */
export const lastUsable = (prefix: Prefix): Addr => {
  const highest = last(prefix)
  return {
    family: prefix.family,
    value: hasBroadcast(prefix.family, prefix.bits) ? highest.value - 1n : highest.value
  }
}

/** The longest prefix length whose network has room for `hosts` usable addresses; undefined when none has. */
export const bitsFor = (family: Family, hosts: bigint): number | undefined => {
  for (let bits = width(family); bits >= 0; bits -= 1) if (usable(family, bits) >= hosts) return bits
  return undefined
}
