import type { PortRange } from '../model/topology.ts'
import type { Addr, Family } from '../net/addr.ts'
import { contains, formatPrefix, masked, parsePrefix } from '../net/prefix.ts'

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

/** Reads the text of extraForwardRules. */
export const forwardRules = (text = ''): ForwardRules => {
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

/** What is no list stays one word, a brace or a comma, which nobody takes for a value; where nothing is left, there is none. */
const valuesOf = (words: Words): Values => {
  const not = words[0] === '!='
  const left = not ? words.slice(1) : words
  const list = left[0] === '{' ? left.slice(1, left.indexOf('}')) : []
  const isList = list.length > 0 && list.every((word, i) => (word === ',') === (i % 2 === 1))
  return isList
    ? { not, values: list.filter((_, i) => i % 2 === 0), rest: left.slice(list.length + 2) }
    : { not, values: left.slice(0, 1), rest: left.slice(1) }
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

const clause = (words: Words): Read | undefined => {
  const [first, second] = words
  const read = CLAUSES.get(first)
  return read === undefined ? CLAUSES.get(`${first} ${second}`)?.(words.slice(2)) : read(words.slice(1))
}

const set = (values: readonly string[]): string =>
  values.length === 1 ? `${values[0]}` : `{ ${values.join(', ')} }`

/** What has no such field, as a packet of another family, matches neither `saddr x` nor `saddr != x`. */
const matching = (
  what: string,
  { not, values, rest }: Values,
  holds: (packet: Forwarded) => boolean,
  hasField: (packet: Forwarded) => boolean = () => true
): Read => ({
  match: {
    print: `${what} ${not ? '!= ' : ''}${set(values)}`,
    holds: packet => hasField(packet) && holds(packet) !== not
  },
  rest
})

const isOf =
  (family: Family) =>
  ({ to }: Forwarded): boolean =>
    to.family === family

const NAME = /^[\w.:@-]{1,15}$/
const PATTERN = /^[\w.:@-]{1,15}$|^[\w.:@-]{1,14}\*$/

const names = (key: 'iifname' | 'oifname', words: Words, form: RegExp): Read | undefined => {
  const found = valuesOf(words)
  const values = found.values.map(word => word.replaceAll('"', ''))
  if (!values.every(name => form.test(name))) return undefined
  const isNamed = (name: string): boolean =>
    values.some(value => (value.endsWith('*') ? name.startsWith(value.slice(0, -1)) : name === value))
  return matching(key, { ...found, values: values.map(name => `"${name}"`) }, packet => isNamed(packet[key]))
}

const addresses = (family: Family, side: 'saddr' | 'daddr', words: Words): Read | undefined => {
  const found = valuesOf(words)
  const prefixes = found.values.flatMap(word => {
    const parsed = parsePrefix(word)
    return 'value' in parsed && parsed.value.family === family ? [parsed.value] : []
  })
  if (prefixes.length < found.values.length) return undefined
  return matching(
    `${family === 4 ? 'ip' : 'ip6'} ${side}`,
    { ...found, values: prefixes.map(prefix => formatPrefix(masked(prefix))) },
    ({ source, to }) => prefixes.some(prefix => contains(prefix, side === 'saddr' ? source : to)),
    isOf(family)
  )
}

const ports = (protocol: 'tcp' | 'udp', words: Words): Read | undefined => {
  const found = valuesOf(words)
  const ranges = found.values.map(rangeOf)
  if (!ranges.every(({ from, to }) => from <= to && to <= 65535)) return undefined
  return matching(
    `${protocol} dport`,
    found,
    ({ port = NaN }) => ranges.some(({ from, to }) => from <= port && port <= to),
    packet => packet.protocol === protocol
  )
}

/** Of numbers that are no number where a word is none; nft takes one that begins with 0 for an octal one. */
const rangeOf = (word: string): PortRange => {
  const [, from, to = from] = /^(0|[1-9]\d{0,4})(?:-(0|[1-9]\d{0,4}))?$/.exec(word) ?? []
  return { from: Number(from), to: Number(to) }
}

const PROTOCOLS: ReadonlySet<string> = new Set(['tcp', 'udp', 'icmp', 'icmpv6'])

const protocols = (
  what: 'meta l4proto' | 'ip protocol',
  words: Words,
  hasField?: (packet: Forwarded) => boolean
): Read | undefined => {
  const found = valuesOf(words)
  if (!found.values.every(word => PROTOCOLS.has(word))) return undefined
  return matching(
    what,
    found,
    ({ protocol, to }) => found.values.includes(protocol === 'icmp' && to.family === 6 ? 'icmpv6' : protocol),
    hasField
  )
}

const families = (words: Words): Read | undefined => {
  const found = valuesOf(words)
  if (!found.values.every(word => word === 'ipv4' || word === 'ipv6')) return undefined
  return matching('meta nfproto', found, ({ to }) => found.values.includes(`ipv${to.family}`))
}

const STATES: ReadonlySet<string> = new Set(['new', 'established', 'related', 'invalid', 'untracked'])

/** Only what is new comes to this chain. */
const states = (words: Words): Read | undefined => {
  const { values, rest } = words[0] === '{' ? valuesOf(words) : flagsOf(words)
  if (!values.every(word => STATES.has(word))) return undefined
  return values.includes('new') ? { rest } : { never: true, rest }
}

/** `established,related` comes as three words. */
const flagsOf = (words: Words): Pick<Values, 'values' | 'rest'> => {
  let end = 1
  while (words[end] === ',') end += 2
  return { values: words.slice(0, end).filter((_, i) => i % 2 === 0), rest: words.slice(end) }
}

const CLAUSES: ReadonlyMap<string | undefined, (words: Words) => Read | undefined> = new Map([
  ['iifname', words => names('iifname', words, PATTERN)],
  ['oifname', words => names('oifname', words, PATTERN)],
  // Of an interface that is there, by its number.
  ['iif', words => names('iifname', words, NAME)],
  ['oif', words => names('oifname', words, NAME)],
  ['counter', words => ({ rest: words })],
  ['ct state', states],
  ['tcp dport', words => ports('tcp', words)],
  ['udp dport', words => ports('udp', words)],
  ['meta l4proto', words => protocols('meta l4proto', words)],
  ['meta nfproto', families],
  ['ip protocol', words => protocols('ip protocol', words, isOf(4))],
  ['ip saddr', words => addresses(4, 'saddr', words)],
  ['ip daddr', words => addresses(4, 'daddr', words)],
  ['ip6 saddr', words => addresses(6, 'saddr', words)],
  ['ip6 daddr', words => addresses(6, 'daddr', words)]
])
