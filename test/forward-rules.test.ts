import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { forwardRules, printed, verdictOf } from '../src/plan/forward-rules.ts'
import { parseAddr } from '../src/net/addr.ts'
import { absent, inNamespace } from './judge.ts'

// What is read of extraForwardRules, and what is not; test/fidelity/forward-rules-of-ones-own.yaml asks packets.

const READ: readonly (readonly [text: string, rules: readonly string[]])[] = [
  ['', []],
  ['# nothing', []],
  ['iifname { "a", } accept', ['iifname "a" accept']],
  ['iifname ve-web accept', ['iifname "ve-web" accept']],
  ['iif "br0" oif != eth0 drop', ['iifname "br0" oifname != "eth0" drop']],
  [
    'iifname {"ve-*", br0} accept; oifname br1 accept',
    ['iifname { "ve-*", "br0" } accept', 'oifname "br1" accept']
  ],
  [
    'iifname {\n  "a", # one\n  "b"\n} accept\n\n  tcp dport 80-90 accept',
    ['iifname { "a", "b" } accept', 'tcp dport 80-90 accept']
  ],
  [
    'ip saddr 10.1.2.3/8 ip daddr != { 10.1.2.3, 10.2.0.0/16 } accept',
    ['ip saddr 10.0.0.0/8 ip daddr != { 10.1.2.3/32, 10.2.0.0/16 } accept']
  ],
  ['ip6 daddr FD00:0::1 udp dport != 53 accept', ['ip6 daddr fd00::1/128 udp dport != 53 accept']],
  [
    'meta nfproto ipv6 meta l4proto { tcp, udp } accept',
    ['meta nfproto ipv6 meta l4proto { tcp, udp } accept']
  ],
  ['ip protocol icmp counter accept comment "a; b } # c"', ['ip protocol icmp accept']],
  ['ct state { new, related } iifname br0 \\\n accept', ['iifname "br0" accept']],
  ['ct state established,related accept\nct state new,invalid accept', ['accept']]
]

const UNREAD = [
  'jump mine',
  'iifname br0 jump mine',
  'tcp dport ssh accept',
  'tcp dport 99999 accept',
  'tcp dport 90-80 accept',
  'ip saddr @good accept',
  'ip saddr fd00::1 accept',
  'ip saddr 10.0.0.1-10.0.0.9 accept',
  'iifname a_name_that_is_too_long accept',
  'iifname { "a" "b" } accept',
  'iifname { "a" accept',
  'iifname "a";b" accept',
  'iifname a accept drop',
  'iifname a',
  'icmp type echo-request accept',
  'limit rate 1/second accept',
  'tcp flags syn tcp option maxseg size set rt mtu',
  'iifname a reject',
  'ct state != new accept',
  'iifname',
  'comment'
] as const

describe('is read', () => {
  test.each(READ)('%j', (text, rules) => {
    const found = forwardRules(text)
    expect(found.rules.map(printed)).toEqual(rules)
    expect(found.isWhole).toBe(true)
  })
})

test.each(UNREAD)('is not read, nor what comes behind it: %j', text => {
  const found = forwardRules(`iifname one accept\n${text}\niifname two accept`)
  expect(found.rules.map(printed)).toEqual(text === 'iifname { "a" accept' ? [] : ['iifname "one" accept'])
  expect(found.isWhole).toBe(false)
})

test('of several rules the first that is for a packet decides', () => {
  const addr = (text: string) => {
    const parsed = parseAddr(text)
    if (!('value' in parsed)) throw new Error(text)
    return parsed.value
  }
  const rules = forwardRules('iifname a drop\noifname b accept\nip saddr 10.0.0.0/8 drop')
  const packet = {
    iifname: 'x',
    oifname: 'y',
    source: addr('fd00::1'),
    to: addr('fd00::2'),
    protocol: 'tcp',
    port: 1
  } as const
  expect(verdictOf(rules, { ...packet, iifname: 'a', oifname: 'b' })).toBe('drop')
  expect(verdictOf(rules, { ...packet, oifname: 'b' })).toBe('accept')
  expect(verdictOf(rules, packet)).toBeUndefined()
  expect(verdictOf(rules, { ...packet, source: addr('10.1.1.1'), to: addr('10.1.1.2') })).toBe('drop')
})

test.skipIf(absent(['nft']))('nft takes each for the same as what is printed of it', async () => {
  // An index wants the interface to be there, and what is new is all that there is.
  const texts = READ.filter(([text]) => !/\biif |\boif |ct state/.test(text))
  const chain = (name: string, lines: string): string =>
    `nft -f - <<'END'\ntable inet ${name} {\n chain c {\n${lines}\n }\n}\nEND\n`
  const { text } = await inNamespace(
    texts
      .map(
        ([text, rules], i) =>
          `${chain(`a${i}`, text)}${chain(`b${i}`, rules.join('\n'))}for t in a b; do nft -n list chain inet "$t"${i} c | sed '1d; s/ counter packets 0 bytes 0//; s/ comment "[^"]*"//' | tr -s ' \\n\\t' ' '; echo; done`
      )
      .join('\n')
  )
  const lines = text
    .trimEnd()
    .split('\n')
    .map(line => line.trim())
  expect(lines).toHaveLength(2 * texts.length)
  for (const [i, [written, rules]] of texts.entries()) {
    expect([written, lines[2 * i + 1]]).toEqual([written, lines[2 * i]])
    expect((lines[2 * i] ?? '').includes('accept')).toBe(rules.length > 0)
  }
})

test('whatever stands in a file, what is printed of it are words of nft', () => {
  const words = fc.constantFrom(
    ...'iifname oif ip ip6 saddr daddr tcp dport meta l4proto nfproto ct state new accept drop counter comment'.split(
      ' '
    ),
    ...'{ } , != ; # " br0 ve-* 10.0.0.0/8 fd00::1 80 1-2 ipv6 icmp $(id)'.split(' '),
    '\n',
    '\\\n',
    '"a b"',
    "';"
  )
  fc.assert(
    fc.property(fc.array(fc.oneof({ weight: 9, arbitrary: words }, fc.string())), parts => {
      for (const rule of forwardRules(parts.join(' ')).rules)
        expect(printed(rule)).toMatch(
          /^(?:[a-z0-9]+ |!= |\{ |\} |(?:"[\w.:@*-]+"|[\da-f.:/-]+|\w+)(?:,? ))*(?:accept|drop)$/
        )
    }),
    { numRuns: 2000 }
  )
})
