import type { PortRange, Protocol } from '../model/topology.ts'
import type { Rule } from './rule.ts'

export const firewallNameIsKeyword: Rule = {
  id: 'firewall-name-is-keyword',
  group: 'firewall',
  severity: 'error',
  summary: 'A key of firewall.interfaces is a word of the nftables language, and NixOS does not quote it.',
  *check({ topology: { host, having } }) {
    for (const { firewall, rules } of [
      { firewall: host.firewall, rules: 'host.firewall' },
      ...having.firewall
        .filter(({ enabled, firewall }) => enabled && firewall.interfaces.length > 0)
        .map(({ firewall, name }) => ({ firewall, rules: `containers.${name}.firewall` }))
    ]) {
      if (!firewall.enable || firewall.backend !== 'nftables') continue
      for (const { at, name, open } of firewall.interfaces) {
        if (open.tcp.length + open.udp.length === 0 || !isWord(name)) continue
        const accept = [...accepting(name, 'tcp', open.tcp), ...accepting(name, 'udp', open.udp)].join('; ')
        yield {
          message: `firewall.interfaces."${name}" is no name to nftables: ${/^\d/.test(name) ? 'it begins with a digit' : `"${name}" is a word of its language`}`,
          labels: [{ at, on: 'key', text: 'stands in the rules without quotes' }],
          note: 'NixOS writes iifname and the name without quotes: the rebuild stops in the ruleset check with "syntax error", or nftables.service fails and the host has no firewall',
          help: `rename the interface, or open its ports in ${rules}.extraInputRules: '${accept}'`
        }
      }
    }
  }
}

const accepting = (name: string, protocol: Protocol, ports: readonly PortRange[]): readonly string[] => {
  const texts = ports.map(({ from, to }) => (from === to ? String(from) : `${from}-${to}`))
  if (texts.length === 0) return []
  return [
    `iifname "${name}" ${protocol} dport ${texts.length === 1 ? texts[0] : `{ ${texts.join(', ')} }`} accept`
  ]
}

/** Whether nft takes a bare word for something else than a name: src/scanner.l, whose words those are wherever they stand. */
const isWord = (name: string): boolean => /^\d+[A-Za-z_]/.test(name) || WORDS.has(name)

const WORDS: ReadonlySet<string> = new Set(
  (
    'accept add all bridge chain comment continue counter create ct day delete describe device devices drop dup elements ' +
    'export fib flags flow flush fwd goto handle hook hour icmp import index inet insert jump limit list log map mark ' +
    'masquerade meta monitor netdev notrack numgen osf policy priority queue quota random redirect reject rename return ' +
    'rt rule ruleset secmark set size socket synproxy table tcp time timeout tproxy type udp'
  ).split(' ')
)
