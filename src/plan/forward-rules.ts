import type { PortRange } from '../model/topology.ts'
import { type Addr, type Family, width } from '../net/addr.ts'
import { contains, formatPrefix, masked, parsePrefix, type Prefix } from '../net/prefix.ts'

// What networking.firewall.extraForwardRules says, as far as it is of the plain kind that people write there: names of interfaces,
// addresses, ports, and a verdict (nft(8)). Any other line is left unread, and what comes behind it is not known any more.

/** What a packet that is to be forwarded is judged by. */
export interface Forwarded {
  readonly iifname: string
  readonly oifname: string
  readonly source: Addr
  readonly to: Addr
  readonly protocol: 'tcp' | 'udp' | 'icmp'
  readonly port: number | undefined
}

/** One thing that a rule asks for; in nft's words it is printed anew, so that no text of a file is code. */
interface Match {
  readonly print: string
  readonly holds: (packet: Forwarded) => boolean
}

export interface ForwardRule {
  readonly matches: readonly Match[]
  readonly verdict: 'accept' | 'drop'
}

export interface ForwardRules {
  /** In their order, up to the first one that is not read. */
  readonly rules: readonly ForwardRule[]
  /** Whether all of them are read. */
  readonly isWhole: boolean
}

const NONE: ForwardRules = { rules: [], isWhole: true }

/** Reads the text of extraForwardRules. */
export const forwardRules = (text: string | undefined): ForwardRules => {
  if (text === undefined || text.trim() === '') return NONE
  const rules: ForwardRule[] = []
  for (const words of statements(text)) {
    const rule = words === undefined ? undefined : ruleOf(words)
    if (rule === undefined) return { rules, isWhole: false }
    if (rule !== 'never') rules.push(rule)
  }
  return { rules, isWhole: true }
}

/** What becomes of a packet: undefined where no rule that is read is for it. */
export const verdictOf = ({ rules }: ForwardRules, packet: Forwarded): ForwardRule['verdict'] | undefined =>
  rules.find(({ matches }) => matches.every(({ holds }) => holds(packet)))?.verdict

/** The rule in nft's words. */
export const printed = ({ matches, verdict }: ForwardRule): string =>
  [...matches.map(({ print }) => print), verdict].join(' ')

type Words = readonly string[]

const WORD = /\\\n|#.*|"[^"\n]*"|!=|[{},;\n]|[^\s{},;"#!]+|\S/g

/** The words of each statement; undefined for one whose braces do not close. */
const statements = (text: string): readonly (Words | undefined)[] => {
  const found: (Words | undefined)[] = []
  let words: string[] = []
  let depth = 0
  const end = (): void => {
    if (words.length > 0) found.push(words)
    words = []
  }
  for (const [word] of text.matchAll(WORD)) {
    if (word.startsWith('#') || word === '\\\n') continue
    if (word === ';' || (word === '\n' && depth === 0)) end()
    else if (word !== '\n') {
      if (word === '{') depth += 1
      if (word === '}') depth -= 1
      words.push(word)
    }
  }
  end()
  return depth === 0 ? found : [undefined]
}

/** A value, or a set of them, and whether it is what must not be. */
interface Values {
  readonly not: boolean
  readonly values: Words
  readonly rest: Words
}

const valuesOf = (words: Words): Values | undefined => {
  const not = words[0] === '!='
  const [first, ...rest] = not ? words.slice(1) : words
  if (first === undefined) return undefined
  if (first !== '{') return first === '}' || first === ',' ? undefined : { not, values: [first], rest }
  const end = rest.indexOf('}')
  const values = rest.slice(0, end).filter((_, i) => i % 2 === 0)
  const isList = end > 0 && rest.slice(0, end).every((word, i) => (word === ',') === (i % 2 === 1))
  return isList ? { not, values, rest: rest.slice(end + 1) } : undefined
}

interface Read {
  readonly match?: Match
  /** Nothing that comes to this chain is like that. */
  readonly never?: true
  readonly rest: Words
}

const ruleOf = (words: Words): ForwardRule | 'never' | undefined => {
  const matches: Match[] = []
  let isNever = false
  let left = words
  for (;;) {
    const [first] = left
    if (first === 'accept' || first === 'drop') {
      const rest = left.slice(1)
      const isLast = rest.length === 0 || (rest.length === 2 && rest[0] === 'comment')
      return isLast ? (isNever ? 'never' : { matches, verdict: first }) : undefined
    }
    const read = clause(left)
    if (read === undefined) return undefined
    if (read.match !== undefined) matches.push(read.match)
    isNever ||= read.never === true
    left = read.rest
  }
}

const clause = ([first, second, ...more]: Words): Read | undefined => {
  const behind = second === undefined ? [] : [second, ...more]
  switch (first) {
    case 'iifname':
    case 'oifname':
      return names(first, behind)
    case 'iif':
    case 'oif':
      return names(`${first}name`, behind)
    case 'counter':
      return { rest: behind }
    case 'comment':
      return second === undefined ? undefined : { rest: more }
    case 'ct':
      return second === 'state' ? states(more) : undefined
    case 'tcp':
    case 'udp':
      return second === 'dport' ? ports(first, more) : undefined
    case 'meta':
      return second === 'l4proto' ? protocols(more) : second === 'nfproto' ? families(more) : undefined
    case 'ip':
    case 'ip6': {
      if (first === 'ip' && second === 'protocol') return protocols(more, 4)
      return second === 'saddr' || second === 'daddr' ? addresses(first, second, more) : undefined
    }
    default:
      return undefined
  }
}

const set = (values: readonly string[]): string =>
  values.length === 1 ? `${values[0]}` : `{ ${values.join(', ')} }`

const matching = (
  print: string,
  { not, rest }: Values,
  values: readonly string[],
  holds: (packet: Forwarded) => boolean,
  family?: Family
): Read => ({
  match: {
    print: `${print} ${not ? '!= ' : ''}${set(values)}`,
    // What has another family has no such field at all.
    holds: packet => (family === undefined || packet.to.family === family) && holds(packet) !== not
  },
  rest
})

const names = (what: string, words: Words): Read | undefined => {
  const found = valuesOf(words)
  const values = found?.values.map(word => word.replace(/^"(.*)"$/, '$1')) ?? []
  if (found === undefined || !values.every(name => /^[\w.:@-]{1,15}$|^[\w.:@-]{1,14}\*$/.test(name)))
    return undefined
  const isNamed = (name: string): boolean =>
    values.some(value => (value.endsWith('*') ? name.startsWith(value.slice(0, -1)) : name === value))
  const key = what === 'iifname' ? 'iifname' : 'oifname'
  return matching(
    key,
    found,
    values.map(name => `"${name}"`),
    packet => isNamed(packet[key])
  )
}

const addresses = (what: 'ip' | 'ip6', side: 'saddr' | 'daddr', words: Words): Read | undefined => {
  const found = valuesOf(words)
  const family = what === 'ip' ? 4 : 6
  const prefixes = found?.values.map((word): Prefix | undefined => {
    const parsed = parsePrefix(word.includes('/') ? word : `${word}/${width(family)}`)
    return 'value' in parsed && parsed.value.family === family ? parsed.value : undefined
  })
  if (found === undefined || prefixes === undefined || !prefixes.every(prefix => prefix !== undefined))
    return undefined
  return matching(
    `${what} ${side}`,
    found,
    prefixes.map(prefix => formatPrefix(masked(prefix))),
    ({ source, to }) => prefixes.some(prefix => contains(prefix, side === 'saddr' ? source : to)),
    family
  )
}

const ports = (protocol: 'tcp' | 'udp', words: Words): Read | undefined => {
  const found = valuesOf(words)
  const ranges = found?.values.map((word): PortRange | undefined => {
    const [, from, to = from] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(word) ?? []
    return from === undefined ? undefined : { from: Number(from), to: Number(to) }
  })
  if (found === undefined || ranges === undefined || !ranges.every(isRange)) return undefined
  const read = matching(
    `${protocol} dport`,
    found,
    found.values,
    ({ port }) => port !== undefined && ranges.some(({ from, to }) => from <= port && port <= to)
  )
  const { match } = read
  return match === undefined
    ? undefined
    : { ...read, match: { ...match, holds: packet => packet.protocol === protocol && match.holds(packet) } }
}

const isRange = (range: PortRange | undefined): range is PortRange =>
  range !== undefined && range.from <= range.to && range.to <= 65535

const PROTOCOLS: ReadonlySet<string> = new Set(['tcp', 'udp', 'icmp'])

const protocols = (words: Words, family?: Family): Read | undefined => {
  const found = valuesOf(words)
  if (found === undefined || !found.values.every(word => PROTOCOLS.has(word))) return undefined
  // ICMPv6 is another protocol, and accepted before.
  return matching(
    family === undefined ? 'meta l4proto' : 'ip protocol',
    found,
    found.values,
    ({ protocol, to }) => (protocol !== 'icmp' || to.family === 4) && found.values.includes(protocol),
    family
  )
}

const families = (words: Words): Read | undefined => {
  const found = valuesOf(words)
  if (found === undefined || !found.values.every(word => word === 'ipv4' || word === 'ipv6')) return undefined
  return matching('meta nfproto', found, found.values, ({ to }) => found.values.includes(`ipv${to.family}`))
}

const STATES: ReadonlySet<string> = new Set(['new', 'established', 'related', 'invalid', 'untracked'])

/** Only what is new comes to this chain. */
const states = (words: Words): Read | undefined => {
  const [first, ...rest] = words
  if (first === undefined || first === '!=') return undefined
  if (first === '{') {
    const found = valuesOf(words)
    if (found === undefined || !found.values.every(word => STATES.has(word))) return undefined
    return found.values.includes('new') ? { rest: found.rest } : { never: true, rest: found.rest }
  }
  // `established,related` comes as three words.
  const values = [first]
  let left = rest
  while (left[0] === ',' && left[1] !== undefined) {
    values.push(left[1])
    left = left.slice(2)
  }
  if (!values.every(word => STATES.has(word))) return undefined
  return values.includes('new') ? { rest: left } : { never: true, rest: left }
}
