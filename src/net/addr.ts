/** An IP address as a number: 32 bits for family 4, 128 bits for family 6. Two addresses are equal when both fields are. */
export interface Addr {
  readonly family: Family
  readonly value: bigint
}

export type Family = 4 | 6

/** The outcome of a parser: the value, or why there is none and from which character on the text was not understood. */
export type Parsed<T> = { readonly value: T } | AddrFault

/** Why `input` is no address or prefix. `at` counts characters from 0. */
export interface AddrFault {
  readonly input: string
  readonly reason: string
  readonly at: number
}

/** How many bits an address of this family has. */
export const width = (family: Family): 32 | 128 => (family === 4 ? 32 : 128)

const fault = (input: string, reason: string, at: number): AddrFault => ({ input, reason, at })

const digit = (code: number): boolean => code >= 48 && code <= 57

const hexDigit = (code: number): number =>
  code >= 48 && code <= 57
    ? code - 48
    : code >= 97 && code <= 102
      ? code - 87
      : code >= 65 && code <= 70
        ? code - 55
        : -1

/**
 * Parses an IPv4 address (four decimal octets, RFC 6943 section 3.1.1: the strict form, no octal, no short form) or an
 * IPv6 address (RFC 4291 section 2.2). A zone (`%eth0`) is refused: NixOS has an option for the interface.
 */
export const parseAddr = (input: string): Parsed<Addr> =>
  input.includes(':') ? parse6(input) : parse4(input, 0)

const parse4 = (input: string, from: number): Parsed<Addr> => {
  let value = 0
  let octet = 0
  let length = 0
  let octets = 0
  for (let i = from; i <= input.length; i += 1) {
    const code = i < input.length ? input.charCodeAt(i) : 46
    if (code === 46) {
      if (length === 0)
        return fault(input, i === input.length ? 'it ends too early' : 'an octet is missing', i)
      if (octets === 4) return fault(input, 'it has more than 4 octets', i - length)
      value = value * 256 + octet
      octets += 1
      octet = 0
      length = 0
    } else if (digit(code)) {
      if (length === 1 && octet === 0)
        return fault(input, 'an octet has a leading zero, which some programs read as octal', i - 1)
      octet = octet * 10 + code - 48
      length += 1
      if (octet > 255) return fault(input, 'an octet is greater than 255', i + 1 - length)
    } else return fault(input, `"${String.fromCodePoint(input.codePointAt(i) ?? 0)}" is not a digit`, i)
  }
  return octets === 4
    ? { value: { family: 4, value: BigInt(value) } }
    : fault(input, `it has ${octets} octet${octets === 1 ? '' : 's'} instead of 4`, input.length)
}

const parse6 = (input: string): Parsed<Addr> => {
  const groups: number[] = []
  let gap = -1
  let i = 0
  if (input.startsWith('::')) {
    gap = 0
    i = 2
  }
  while (i < input.length) {
    const start = i
    let group = 0
    while (i < input.length) {
      const nibble = hexDigit(input.charCodeAt(i))
      if (nibble < 0) break
      group = group * 16 + nibble
      i += 1
    }
    if (input[i] === '.') {
      const tail = parse4(input, start)
      if (!('value' in tail)) return tail
      groups.push(Number(tail.value.value >> 16n), Number(tail.value.value & 0xffffn))
      i = input.length
      break
    }
    if (i - start > 4) return fault(input, 'a group has more than 4 hexadecimal digits', start)
    if (i === start) {
      const char = String.fromCodePoint(input.codePointAt(i) ?? 0)
      if (char === '%') break
      return fault(input, char === ':' ? 'a group is empty' : `"${char}" is not a hexadecimal digit`, i)
    }
    groups.push(group)
    if (i === input.length) break
    if (input[i] === '%')
      return fault(input, 'it names a zone; write the interface in an option of its own', i)
    if (input[i] !== ':')
      return fault(
        input,
        `"${String.fromCodePoint(input.codePointAt(i) ?? 0)}" is not a hexadecimal digit`,
        i
      )
    i += 1
    if (input[i] === ':') {
      if (gap >= 0) return fault(input, '"::" stands in it twice', i - 1)
      gap = groups.length
      i += 1
    } else if (i === input.length) return fault(input, 'it ends too early', i)
  }
  if (i < input.length) return fault(input, 'it names a zone; write the interface in an option of its own', i)
  if (groups.length > 8) return fault(input, 'it has more than 8 groups', 0)
  if (groups.length === 8 && gap >= 0)
    return fault(input, '"::" stands in it beside 8 groups', input.indexOf('::'))
  if (groups.length < 8 && gap < 0)
    return fault(input, `it has ${groups.length} groups instead of 8, and no "::"`, input.length)
  const zeros = 8 - groups.length
  let value = 0n
  for (let g = 0; g < 8; g += 2) {
    const pair = at(groups, gap, zeros, g) * 65536 + at(groups, gap, zeros, g + 1)
    value = (value << 32n) | BigInt(pair)
  }
  return { value: { family: 6, value } }
}

/** Without a gap (-1) there are no zeros. */
const at = (groups: readonly number[], gap: number, zeros: number, index: number): number =>
  index < gap ? (groups[index] ?? 0) : index < gap + zeros ? 0 : (groups[index - zeros] ?? 0)

/** The address as RFC 5952 (section 4) writes it: lower case, the longest run of two or more zero groups as `::`. */
export const formatAddr = ({ family, value }: Addr): string => {
  if (family === 4) {
    const n = Number(value)
    return `${Math.floor(n / 16777216)}.${(n >>> 16) & 255}.${(n >>> 8) & 255}.${n & 255}`
  }
  const groups = Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn))
  let from = -1
  let length = 1
  for (let i = 0; i < 8; i += 1) {
    let run = 0
    while (groups[i + run] === 0) run += 1
    if (run > length) {
      from = i
      length = run
    }
    i += run
  }
  const hex = groups.map(group => group.toString(16))
  if (from < 0) return hex.join(':')
  const left = hex.slice(0, from).join(':')
  // RFC 5952 section 5: an IPv4-mapped address keeps its dotted tail.
  if (value >> 32n === 0xffffn) return `::ffff:${formatAddr({ family: 4, value: value & 0xffffffffn })}`
  return `${left}::${hex.slice(from + length).join(':')}`
}

/** What maps and sets find an address by. */
export type AddrKey = number | bigint

/**
 * Plain numbers for IPv4, which maps find several times as fast as bigints. V8 hashes of a bigint its lowest 64 bits alone,
 * which the first hosts of all networks have in common; so the upper ones are mixed in, and no two addresses become one.
 */
export const addrKey = ({ family, value }: Addr): AddrKey => (family === 4 ? Number(value) : mixed(value))

/** Another number for each number, whose lowest 64 bits hang on all of them. */
export const mixed = (value: bigint): bigint => value ^ (value >> 57n)

export const sameAddr = (a: Addr, b: Addr): boolean => a.value === b.value && a.family === b.family

/** The address `steps` further; the caller keeps within the family's width. */
export const addressAfter = (addr: Addr, steps: bigint): Addr => ({
  family: addr.family,
  value: addr.value + steps
})

/** Whether an address is link-local in IPv6: the same one may be on every link (RFC 4291 section 2.5.6). */
export const isLinkLocal6 = ({ family, value }: Addr): boolean => family === 6 && value >> 118n === 0x3fan
