/** IFNAMSIZ - 1: the kernel's limit for the name of an interface, in bytes (include/uapi/linux/if.h). */
export const IFNAME_MAX = 15

/**
 * Why the kernel or systemd-networkd refuses `name` for an interface; undefined when both take it.
 * Sources: dev_valid_name (net/core/dev.c) and ifname_valid_full (systemd, src/basic/socket-util.c).
 */
export const ifnameFault = (name: string): string | undefined => {
  if (name === '') return 'it is empty'
  const bytes = new TextEncoder().encode(name).length
  if (bytes > IFNAME_MAX) return `it has ${bytes} bytes; the kernel takes at most ${IFNAME_MAX}`
  if (name === '.' || name === '..') return 'the kernel reserves it'
  if (name === 'all' || name === 'default') return 'it is the name of a sysctl directory of all interfaces'
  if (/^[0-9]+$/.test(name)) return 'it is all digits, which systemd takes for an interface index'
  const bad = /[^!-~]|[/:%]/u.exec(name)
  if (bad !== null) return `it contains ${bad[0] === ' ' ? 'a space' : `"${bad[0]}"`}`
  return undefined
}

/**
 * The name of the host's end of a container's veth pair, as systemd-nspawn makes it: `ve-NAME`, or `vb-NAME` on a
 * bridge; from 16 bytes on the first 11 and four characters of a hash of the whole (systemd,
 * src/nspawn/nspawn-network.c, shorten_ifname, naming scheme v247 and later). The whole name becomes an alternative
 * name, which `ip` accepts and nftables, iptables, sysctl and networkd's Name= do not.
 */
export const hostIfname = (machine: string, bridged: boolean): string => {
  const full = `${bridged ? 'vb' : 've'}-${machine}`
  if (full.length <= IFNAME_MAX && /^[ -~]*$/.test(full)) return full
  const bytes = new TextEncoder().encode(full)
  if (bytes.length <= IFNAME_MAX) return full
  const hash = siphash24Low(bytes)
  const tail = [18, 12, 6, 0].map(shift => BASE64URL.charAt((hash >>> shift) & 63)).join('')
  return new TextDecoder().decode(bytes.subarray(0, IFNAME_MAX - 4)) + tail
}

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** systemd's fixed key for shortened names, as little-endian words: E1 90 A4 04 A8 EF 4B 51 8C CC C3 3A 9F 11 FC A2. */
const KEY = [0x04a490e1, 0x514befa8, 0x3ac3cc8c, 0xa2fc119f] as const

/**
 * The low 32 bits of SipHash-2-4 (Aumasson and Bernstein 2012). The state is kept as 32-bit halves, since a topology
 * may name 100,000 containers and the same in bigints takes ten times as long.
 */
const siphash24Low = (data: Uint8Array): number => {
  // v0, v1, v2, v3 as [low, high] pairs.
  const v = Uint32Array.of(
    0x70736575 ^ KEY[0],
    0x736f6d65 ^ KEY[1],
    0x6e646f6d ^ KEY[2],
    0x646f7261 ^ KEY[3],
    0x6e657261 ^ KEY[0],
    0x6c796765 ^ KEY[1],
    0x79746573 ^ KEY[2],
    0x74656462 ^ KEY[3]
  )
  const word = (i: number): number => v[i] ?? 0
  const add = (a: number, b: number): void => {
    const low = word(a) + word(b)
    v[a] = low
    v[a + 1] = word(a + 1) + word(b + 1) + (low > 0xffffffff ? 1 : 0)
  }
  const rotate = (a: number, bits: number): void => {
    const [low, high] = bits < 32 ? [word(a), word(a + 1)] : [word(a + 1), word(a)]
    const n = bits % 32
    v[a] = n === 0 ? low : (low << n) | (high >>> (32 - n))
    v[a + 1] = n === 0 ? high : (high << n) | (low >>> (32 - n))
  }
  const mix = (a: number, b: number): void => {
    v[a] = word(a) ^ word(b)
    v[a + 1] = word(a + 1) ^ word(b + 1)
  }
  const round = (): void => {
    add(0, 2)
    rotate(2, 13)
    mix(2, 0)
    rotate(0, 32)
    add(4, 6)
    rotate(6, 16)
    mix(6, 4)
    add(0, 6)
    rotate(6, 21)
    mix(6, 0)
    add(4, 2)
    rotate(2, 17)
    mix(2, 4)
    rotate(4, 32)
  }
  const compress = (low: number, high: number): void => {
    v[6] = word(6) ^ low
    v[7] = word(7) ^ high
    round()
    round()
    v[0] = word(0) ^ low
    v[1] = word(1) ^ high
  }
  const byte = (i: number): number => data[i] ?? 0
  const word32 = (i: number): number =>
    byte(i) | (byte(i + 1) << 8) | (byte(i + 2) << 16) | (byte(i + 3) << 24)
  const blocks = data.length >> 3
  for (let i = 0; i < blocks * 8; i += 8) compress(word32(i), word32(i + 4))
  const tail = Uint8Array.from({ length: 8 }, (_, i) => (i === 7 ? data.length : byte(blocks * 8 + i)))
  const tail32 = (i: number): number =>
    (tail[i] ?? 0) | ((tail[i + 1] ?? 0) << 8) | ((tail[i + 2] ?? 0) << 16) | ((tail[i + 3] ?? 0) << 24)
  compress(tail32(0), tail32(4))
  v[4] = word(4) ^ 0xff
  for (let i = 0; i < 4; i += 1) round()
  return (word(0) ^ word(2) ^ word(4) ^ word(6)) >>> 0
}

/** What an entry such as `ve-+` (iptables) or `ve-*` (nftables) matches: a literal name, or every name with that beginning. */
export const wildcardStem = (pattern: string, wildcard: '+' | '*'): string | undefined =>
  pattern.endsWith(wildcard) ? pattern.slice(0, -1) : undefined
