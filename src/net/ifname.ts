/** IFNAMSIZ - 1: the kernel's limit for the name of an interface, in bytes (include/uapi/linux/if.h). */
export const IFNAME_MAX = 15

/**
 * Why the kernel or systemd-networkd refuses `name` for an interface; undefined when both take it.
 * Sources: dev_valid_name (net/core/dev.c) and ifname_valid_full (systemd, src/basic/socket-util.c).
 */
export const ifnameFault = (name: string): string | undefined => {
  if (name === '') return 'it is empty'
  const bytes = UTF8.encode(name).length
  if (bytes > IFNAME_MAX) return `it has ${bytes} bytes; the kernel takes at most ${IFNAME_MAX}`
  if (name === '.' || name === '..') return 'the kernel reserves it'
  if (name === 'all' || name === 'default') return 'it is the name of a sysctl directory of all interfaces'
  if (/^[0-9]+$/.test(name)) return 'it is all digits, which systemd takes for an interface index'
  const bad = /[^!-~]|[/:%]/u.exec(name)
  if (bad !== null) return `it contains ${bad[0] === ' ' ? 'a space' : `"${bad[0]}"`}`
  return undefined
}

/** The names that the kernel and systemd give to network cards (systemd.net-naming-scheme(7)). */
export const CARD: RegExp = /^(eth\d+|en([ops]\d\w*|x[0-9a-f]{12})|w[lw](an\d+|[ops]\d\w*|x[0-9a-f]{12}))$/

/** The same, written out: one letter more or less is a slip. */
export const CARD_EXACTLY: RegExp =
  /^(?:eth\d+|wlan\d+|(?:en|wl|ww)(?:x[0-9a-f]{12}|[os]\d+(?:[dfinpu]\d+|np\d+)*|(?:P\d+)?p\d+s\d+(?:[cdfinpu]\d+|np\d+)*))$/

/** The name of the host's end of a container's veth pair: `ve-NAME`, or `vb-NAME` on a bridge. */
export const hostIfname = (machine: string, bridged: boolean): string =>
  shortIfname(`${bridged ? 'vb' : 've'}-${machine}`)

/**
 * An interface's name as systemd-nspawn makes it: from 16 bytes on the first 11 and four characters of a hash of the
 * whole (systemd, src/nspawn/nspawn-network.c, shorten_ifname, naming scheme v247 and later). The whole name becomes an
 * alternative name, which `ip` and networkd's Name= accept, and nftables, iptables and sysctl do not.
 */
export const shortIfname = (full: string): string => {
  const ascii = /^[ -~]*$/.test(full)
  if (ascii && full.length <= IFNAME_MAX) return full
  const bytes = ascii ? asciiBytes(full) : UTF8.encode(full)
  if (bytes.length <= IFNAME_MAX) return full
  const hash = siphash24Low(bytes)
  const char = (shift: number): string => BASE64URL.charAt((hash >>> shift) & 63)
  const head = ascii
    ? full.slice(0, IFNAME_MAX - 4)
    : new TextDecoder().decode(bytes.subarray(0, IFNAME_MAX - 4))
  return head + char(18) + char(12) + char(6) + char(0)
}

const UTF8 = new TextEncoder()

const asciiBytes = (text: string): Uint8Array => {
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i)
  return bytes
}

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/**
 * The initial state v0 to v3 as [low, high] words: SipHash's constants under systemd's fixed key for shortened names,
 * E1 90 A4 04 A8 EF 4B 51 8C CC C3 3A 9F 11 FC A2.
 */
const [K0, K1, K2, K3] = [0x04a490e1, 0x514befa8, 0x3ac3cc8c, 0xa2fc119f]

/**
 * The low 32 bits of SipHash-2-4 (Aumasson and Bernstein 2012) of some bytes. Its 64-bit words are kept as two 32-bit
 * halves in plain variables, since a topology may name 100,000 containers: bigints take thirty times as long.
 */
const siphash24Low = (data: Uint8Array): number => {
  let a0 = 0x70736575 ^ K0
  let a1 = 0x736f6d65 ^ K1
  let b0 = 0x6e646f6d ^ K2
  let b1 = 0x646f7261 ^ K3
  let c0 = 0x6e657261 ^ K0
  let c1 = 0x6c796765 ^ K1
  let d0 = 0x79746573 ^ K2
  let d1 = 0x74656462 ^ K3
  // The last word holds the bytes that are left over, and the length in its highest byte.
  const words = (data.length >> 3) + 1
  const half = (at: number): number =>
    (data[at] ?? 0) | ((data[at + 1] ?? 0) << 8) | ((data[at + 2] ?? 0) << 16) | ((data[at + 3] ?? 0) << 24)
  let m0 = 0
  let m1 = 0
  // Two rounds for each word, four at the end.
  for (let round = 0; round < words * 2 + 4; round += 1) {
    const even = round % 2 === 0
    if (round < words * 2 && even) {
      m0 = half(round * 4)
      m1 = half(round * 4 + 4) | (round === words * 2 - 2 ? data.length << 24 : 0)
      d0 ^= m0
      d1 ^= m1
    } else if (round === words * 2) c0 ^= 0xff
    // a += b; b <<<= 13; b ^= a; a <<<= 32
    let sum = (a0 >>> 0) + (b0 >>> 0)
    a1 = (a1 + b1 + (sum > 0xffffffff ? 1 : 0)) | 0
    a0 = sum | 0
    let top = (b1 << 13) | (b0 >>> 19)
    b0 = ((b0 << 13) | (b1 >>> 19)) ^ a0
    b1 = top ^ a1
    top = a0
    a0 = a1
    a1 = top
    // c += d; d <<<= 16; d ^= c
    sum = (c0 >>> 0) + (d0 >>> 0)
    c1 = (c1 + d1 + (sum > 0xffffffff ? 1 : 0)) | 0
    c0 = sum | 0
    top = (d1 << 16) | (d0 >>> 16)
    d0 = ((d0 << 16) | (d1 >>> 16)) ^ c0
    d1 = top ^ c1
    // a += d; d <<<= 21; d ^= a
    sum = (a0 >>> 0) + (d0 >>> 0)
    a1 = (a1 + d1 + (sum > 0xffffffff ? 1 : 0)) | 0
    a0 = sum | 0
    top = (d1 << 21) | (d0 >>> 11)
    d0 = ((d0 << 21) | (d1 >>> 11)) ^ a0
    d1 = top ^ a1
    // c += b; b <<<= 17; b ^= c; c <<<= 32
    sum = (c0 >>> 0) + (b0 >>> 0)
    c1 = (c1 + b1 + (sum > 0xffffffff ? 1 : 0)) | 0
    c0 = sum | 0
    top = (b1 << 17) | (b0 >>> 15)
    b0 = ((b0 << 17) | (b1 >>> 15)) ^ c0
    b1 = top ^ c1
    top = c0
    c0 = c1
    c1 = top
    if (round < words * 2 && !even) {
      a0 ^= m0
      a1 ^= m1
    }
  }
  return (a0 ^ b0 ^ c0 ^ d0) >>> 0
}

/**
 * The one of `known` that `written` is a slip of: the case, a dash, or one letter inside a word that is missing, doubled or
 * swapped with the next. Digits, and words that mean something (lan and wan, tun and tap, in and out), tell interfaces
 * apart, so names that differ by these are two. Undefined when it is like none of them.
 */
export const misspelling = (written: string, known: Iterable<string>): string | undefined => {
  for (const name of known) if (name !== written && isSlip(written, name)) return name
  return undefined
}

const isSlip = (written: string, name: string): boolean => {
  if (Math.abs(written.length - name.length) > 2) return false
  const [a, b] = [written.toLowerCase(), name.toLowerCase()]
  if (a === b) return true
  const meanings = (text: string): string => text.match(MEANING)?.join(' ') ?? ''
  if (meanings(a) !== '' && meanings(b) !== '' && meanings(a) !== meanings(b)) return false
  // A card's name has a shape that no other word has: `enp3so` and `enps30` are none.
  if (CARD_EXACTLY.test(b) && !CARD_EXACTLY.test(a) && (isSwapped(a, b) || looks(a) === looks(b))) return true
  const [ours, theirs] = [wordsOf(a), wordsOf(b)]
  if (ours.length !== theirs.length) return a.replaceAll(/[-_]/g, '') === b.replaceAll(/[-_]/g, '')
  const [odd, ...others] = ours.flatMap((word, i) => (word === theirs[i] ? [] : [[word, theirs[i] ?? '']]))
  const [one = '', two = ''] = odd ?? []
  return others.length === 0 && /^[a-z]+$/.test(one) && isOneLetterOff(one, two)
}

/** Words that tell interfaces apart, though only a letter may lie between them. */
const MEANING = /vxlan|[vw]?lan|w?wan|v?eth|(?:mac|ip)?v?tap|tun/g

/** Runs of letters, runs of digits, and whatever else there is, each for itself. */
const wordsOf = (name: string): readonly string[] => name.match(/[a-z]+|\d+|[^a-z\d]/g) ?? []

const isOneLetterOff = (a: string, b: string): boolean => {
  if (a.length === b.length) return isSwapped(a, b) || (undoubled(a) === undoubled(b) && a.length > 3)
  const [short, long] = a.length < b.length ? [a, b] : [b, a]
  if (long.length !== short.length + 1 || long.length < 4) return false
  if (undoubled(short) === undoubled(long)) return true
  // With another first or last letter it is mostly another word: lan and plan, guest and guests.
  return (
    long.length > 4 &&
    Array.from(short, (_, i) => i + 1).some(
      i =>
        long.slice(0, i) + long.slice(i + 1) === short &&
        (i < short.length || (long.length > 5 && !long.endsWith('s')))
    )
  )
}

const undoubled = (word: string): string => word.replaceAll(/(.)\1/g, '$1')

/** Whether two characters beside each other have changed places. */
const isSwapped = (a: string, b: string): boolean => {
  const i = Array.from(a).findIndex((char, i) => char !== b[i])
  return i >= 0 && a[i] === b[i + 1] && a[i + 1] === b[i] && a.slice(i + 2) === b.slice(i + 2)
}

/** Letters as the digits that they look like. */
const looks = (text: string): string => text.replaceAll('o', '0').replaceAll(/[il]/g, '1')
