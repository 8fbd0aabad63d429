import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { formatAddr } from '../src/net/addr.ts'
import { placeName } from '../src/reach/flow.ts'
import { PROBERS } from '../src/rehearse/run.ts'
import { root } from './command.ts'
import { type Outcome, rehearsed, withoutRehearsal, wordsOf } from './rehearse.ts'

// Whichever program asks, the answers are the same; but Node does not ping, does not see who refuses, and knows of UDP
// sometimes only that it was not answered.

const answersOf = ({ flows, answers }: Outcome): ReadonlyMap<string, string> =>
  new Map(
    flows.flatMap(({ from, to, protocol, port }, i) => {
      const answer = answers[i]
      if (answer === undefined || protocol === 'icmp') return []
      const { seen } = answer
      const words = seen === 'refused' ? seen : wordsOf(answer)
      return [[`${placeName(from)} ${formatAddr(to)} ${protocol} ${port}`, words]]
    })
  )

// What differs between the kernel's answers: a bridge, a pair, forwards, UDP, both families, nobody, refusing firewalls.
const HARD = `
version: 1
host:
  manager: scripted
  interfaces: { eno1: { dhcp: true } }
  firewall: { backend: nftables, rejectPackets: true }
bridges: { br0: { address: [10.1.0.1/24, "fd12:3456:789b::1/64"] } }
nat:
  enable: true
  internalInterfaces: [ve-web, br0]
  externalInterface: eno1
  enableIPv6: true
  forwardPorts:
    - { sourcePort: 8080, destination: "10.0.0.2:80" }
    - { sourcePort: 9090, destination: "10.1.0.200:80" }
    - { sourcePort: 5353, proto: udp, destination: "10.1.0.2:53" }
    - { sourcePort: 9053, proto: udp, destination: "10.1.0.200:53" }
    - { sourcePort: 8080, destination: "[fd12:3456:789a::2]:80" }
containers:
  web:
    privateNetwork: true
    hostAddress: 10.0.0.1
    localAddress: 10.0.0.2
    hostAddress6: "fd12:3456:789a::1"
    localAddress6: "fd12:3456:789a::2"
    firewall: { allowedTCPPorts: [80], allowedUDPPorts: [53], rejectPackets: true }
    listens: [{ port: 80 }, { port: 53, protocol: udp }]
  dns:
    privateNetwork: true
    hostBridge: br0
    localAddress: 10.1.0.2/24
    localAddress6: "fd12:3456:789b::2/64"
    firewall: { allowedUDPPorts: [53] }
    listens: [{ port: 53, protocol: udp }, { port: 53 }, { port: 443, protocol: udp }]
  wrong:
    privateNetwork: true
    hostBridge: br0
    localAddress: 10.1.0.3/32
    firewall: { enable: false }
    listens: [{ port: 53, protocol: udp }, { port: 80 }]
  away:
    privateNetwork: true
    hostBridge: br0
    localAddress: 10.1.0.4/24
    defaultGateway: 10.1.0.99
    firewall: { enable: false }
    listens: [{ port: 80, address: 10.1.0.5 }, { port: 53, protocol: udp }]
`

const NONE: ReadonlyMap<string, string> = new Map()

describe.skipIf(withoutRehearsal())('all probers see the same', () => {
  const cases = [
    ...readdirSync(`${root}/examples`).map(
      name => [name, readFileSync(`${root}/examples/${name}`, 'utf8')] as const
    ),
    ['a hard network', HARD] as const
  ]
  test.each(cases)('of %s', { timeout: 120_000 }, async (_, text) => {
    const [perl = NONE, node = NONE] = await Promise.all(
      PROBERS.map(async prober => answersOf(await rehearsed(text, { probers: [prober] })))
    )
    expect(perl.size).toBeGreaterThan(5)
    const known = (words: string, key: string): string =>
      / udp /.test(key) && node.get(key) === 'timeout' && words.startsWith('no-') ? 'timeout' : words
    expect(node).toEqual(new Map([...perl].map(([key, words]) => [key, known(words, key)])))
  })
})
