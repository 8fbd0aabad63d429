import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Addr, parseAddr } from '../src/net/addr.ts'
import { type Forwarded, forwardRules, printed, verdictOf } from '../src/plan/forward-rules.ts'
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
  ['tcp dport { 0, 65535 } accept', ['tcp dport { 0, 65535 } accept']],
  ['meta l4proto { icmp, icmpv6 } accept', ['meta l4proto { icmp, icmpv6 } accept']],
  ['ct state { new, related } iifname br0 \\\n accept', ['iifname "br0" accept']],
  ['ct state established,related accept\nct state new,invalid accept', ['accept']],
  ['ct state new,related iifname br0 accept', ['iifname "br0" accept']],
  ['ct state { established, related } accept', []]
]

// More would have to be known: chains, sets, names of services and of other protocols.
const UNREAD = [
  'jump mine',
  'iifname br0 jump mine',
  'tcp dport ssh accept',
  'tcp dport 80-https accept',
  'tcp dport 010 accept',
  'tcp sport 80 accept',
  'ip saddr @good accept',
  'ip saddr 10.0.0.1-10.0.0.9 accept',
  'ip ttl 10 accept',
  'iifname { "ve-*x" } accept',
  'iifname a',
  'icmp type echo-request accept',
  'limit rate 1/second accept',
  'tcp flags syn tcp option maxseg size set rt mtu',
  'meta l4proto { tcp, sctp } accept',
  'meta mark 1 accept',
  'iifname a reject',
  'ct state != new accept',
  'ct state new, related'
] as const

// nft refuses the whole text for it: what the host has then is not known.
const REFUSED = [
  'tcp dport 99999 accept',
  'tcp dport 90-80 accept',
  'tcp dport { 80, 90-80 } accept',
  'tcp dport http-443 accept',
  'ip saddr fd00::1 accept',
  'ip saddr { 10.0.0.0/8, fd00::/8 } accept',
  'iifname a_name_that_is_too_long accept',
  'iifname a_name_that_is_too_long* accept',
  'iifname { br0, a_name_that_is_too_long } accept',
  'iifname { "a" "b" } accept',
  'iifname { "a", "b"; } accept',
  'iifname { "a" accept',
  'iifname { } accept',
  'iifname "a";b" accept',
  'iifname "*" accept',
  'iif "ve-*" accept',
  'iifname a accept drop',
  'iifname a accept iifname b',
  'iifname a accept comment',
  'iifname a accept comment "b" counter',
  'iifname a comment "b" accept',
  'meta nfproto { ipv4, ipv5 } accept',
  'ct mark new accept',
  'ct state new,dnat accept',
  'ct state { new, dnat } accept',
  'ct state { new } , related accept',
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

test.each([...UNREAD, ...REFUSED])('is not read, nor what comes behind it: %j', text => {
  const found = forwardRules(`iifname one accept\n${text}\niifname two accept`)
  expect(found.rules.map(printed)).toEqual(text === 'iifname { "a" accept' ? [] : ['iifname "one" accept'])
  expect(found.isWhole).toBe(false)
})

const addr = (text: string): Addr => {
  const parsed = parseAddr(text)
  if (!('value' in parsed)) throw new Error(text)
  return parsed.value
}

const web = { iifname: 've-shop', oifname: 'eth0', protocol: 'tcp', port: 80 } as const
const v4 = { source: addr('10.1.0.2'), to: addr('192.0.2.9') }
const v6 = { source: addr('fd5b:2e11:9c04:1::2'), to: addr('2001:db8::9') }
const PACKETS: Readonly<Record<string, Forwarded>> = {
  web: { ...web, ...v4 },
  web6: { ...web, ...v6 },
  dns: { ...web, ...v4, iifname: 'br0', protocol: 'udp', port: 53 },
  dns6: { ...web, ...v6, iifname: 'br0', protocol: 'udp', port: 53 },
  ping: { ...web, ...v4, iifname: 'br0', oifname: 'wg0', protocol: 'icmp', port: undefined },
  ping6: { ...web, ...v6, iifname: 'br0', oifname: 'wg0', protocol: 'icmp', port: undefined }
}

test.each([
  ['iifname br0', 'dns dns6 ping ping6'],
  ['iifname { "lan*", "ve-*" }', 'web web6'],
  ['iifname "ve-*" oifname "wg0"', ''],
  ['iifname { "vb-*", "br*" } meta l4proto icmp', 'ping'],
  ['oifname != "eth*"', 'ping ping6'],
  ['oif eth0 iif { br0, br1 }', 'dns dns6'],
  ['ip saddr 10.1.0.0/16', 'web dns ping'],
  ['ip saddr 192.0.2.9', ''],
  ['ip daddr { 198.51.100.0/24, 192.0.2.9 }', 'web dns ping'],
  ['ip daddr != 198.51.100.0/24', 'web dns ping'],
  ['ip daddr != { 192.0.2.0/24, 198.51.100.0/24 }', ''],
  ['ip6 saddr fd5b:2e11:9c04::/48', 'web6 dns6 ping6'],
  ['ip6 saddr fd5b:2e11:9c04:1::1', ''],
  ['ip6 daddr { 2001:db8:7::/48, 2001:db8::9 }', 'web6 dns6 ping6'],
  ['ip6 daddr != 2001:db8:7::/48', 'web6 dns6 ping6'],
  ['tcp dport 80', 'web web6'],
  ['tcp dport 53', ''],
  ['tcp dport != 53', 'web web6'],
  ['tcp dport 80-90', 'web web6'],
  ['tcp dport 1-1023', 'web web6'],
  ['tcp dport { 22, 70-80 }', 'web web6'],
  ['tcp dport { 22-79, 81-90 }', ''],
  ['udp dport 53 ip daddr 192.0.2.9', 'dns'],
  ['udp dport != 80', 'dns dns6'],
  ['meta l4proto udp', 'dns dns6'],
  ['meta l4proto { icmp, udp }', 'dns dns6 ping'],
  ['meta l4proto icmpv6', 'ping6'],
  ['meta l4proto != icmp', 'web web6 dns dns6 ping6'],
  ['ip protocol icmp', 'ping'],
  ['ip protocol != tcp', 'dns ping'],
  ['meta nfproto ipv4', 'web dns ping'],
  ['meta nfproto ipv6', 'web6 dns6 ping6'],
  ['meta nfproto != ipv6', 'web dns ping'],
  ['ct state new', 'web web6 dns dns6 ping ping6'],
  ['ct state { established, untracked }', '']
])('which packets a rule is for: %s', (matches, names) => {
  const rules = forwardRules(`${matches} accept`)
  expect(rules.isWhole).toBe(true)
  const accepted = Object.entries(PACKETS).filter(([, packet]) => verdictOf(rules, packet) === 'accept')
  expect(accepted.map(([name]) => name).join(' ')).toBe(names)
})

test('of several rules the first that is for a packet decides', () => {
  const rules = forwardRules('iifname a drop\noifname b accept\nip saddr 10.0.0.0/8 drop')
  const packet: Forwarded = { ...web, ...v6, iifname: 'x', oifname: 'y' }
  expect(verdictOf(rules, { ...packet, iifname: 'a', oifname: 'b' })).toBe('drop')
  expect(verdictOf(rules, { ...packet, oifname: 'b' })).toBe('accept')
  expect(verdictOf(rules, packet)).toBeUndefined()
  expect(verdictOf(rules, { ...packet, ...v4 })).toBe('drop')
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

test.skipIf(absent(['nft']))('nft refuses what is not to be read for that', async () => {
  const asked = REFUSED.map(
    (text, i) =>
      `nft -c -f - 2>/dev/null <<'END' && echo ${i}\ntable inet a {\n chain c {\n${text}\n }\n}\nEND\n`
  )
  const { text } = await inNamespace(
    `${asked.join('')}nft -c 'table inet a { chain c { accept; }; }' && echo and`
  )
  expect(text).toBe('and\n')
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
