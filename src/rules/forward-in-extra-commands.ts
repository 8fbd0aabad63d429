import type { NatForward, PortRange } from '../model/topology.ts'
import { type Addr, formatAddr, parseAddr, sameAddr } from '../net/addr.ts'
import type { Rule } from './rule.ts'

export const forwardInExtraCommands: Rule = {
  id: 'forward-in-extra-commands',
  group: 'nat',
  severity: 'hint',
  summary: 'extraCommands forward a port by hand that nat.forwardPorts forwards already.',
  *check({ topology }) {
    const { nat, host } = topology
    const { extraCommands, backend, at } = host.firewall
    if (extraCommands === undefined || nat?.enable !== true || backend === 'nftables') return
    let looked = 0
    for (const rule of handmade(extraCommands)) {
      looked += 1
      if (looked > LINES) return
      const forward = nat.forwardPorts.find(forward => takes(forward, rule, nat.externalInterface))
      if (forward === undefined) continue
      const { text, address, ports } = forward.destination
      const same =
        address !== undefined &&
        sameAddr(address, rule.to) &&
        (rule.port ?? rule.ports.from) === (ports?.from ?? rule.ports.from)
      const target = `${formatAddr(rule.to)}${rule.port === undefined ? '' : ` port ${rule.port}`}`
      yield {
        message: `extraCommands forward ${rule.protocol} ${rule.ports.from} to ${target}, and nat.forwardPorts forwards it ${same ? 'there already' : `to ${text}`}`,
        labels: [
          { at: [...at, 'extraCommands'], text: 'by hand' },
          { at: forward.source.at, text: `sent to ${text}` }
        ],
        note: same
          ? 'one rule is enough; the one by hand is added again at every reload of the firewall, unless extraStopCommands remove it'
          : 'only the rule that comes first is ever used, and which one that is depends on when the firewall was reloaded last',
        help: same
          ? 'remove the line from extraCommands'
          : `remove one of the two: keep the forward in nat.forwardPorts, with the destination that is meant`
      }
    }
  }
}

/** Nobody reads more of them, and each is held against all forwards. */
const LINES = 50

interface Handmade {
  readonly protocol: string
  readonly ports: PortRange
  readonly inside: string | undefined
  readonly to: Addr
  readonly port: number | undefined
}

/** The lines that forward one port, or a range, without further conditions; anything else is left alone. */
const handmade = function* (commands: string): Generator<Handmade> {
  for (const line of commands.split('\n')) {
    const words = line.trim().split(/\s+/)
    if (!/(^|\/)ip6?tables$/.test(words[0] ?? '') || /[!$;|&'"`]/.test(line)) continue
    const after = (...names: readonly string[]): string | undefined => {
      const i = words.findIndex(word => names.includes(word))
      return i < 0 ? undefined : words[i + 1]
    }
    if (after('-A', '-I', '--append', '--insert') !== 'PREROUTING' || after('-j', '--jump') !== 'DNAT')
      continue
    if (after('-d', '--destination', '-s', '--source') !== undefined) continue
    const [from, to] = (after('--dport', '--destination-port') ?? '').split(':').map(Number)
    const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(after('--to-destination', '--to') ?? '')
    const address = parseAddr(match?.[1] ?? match?.[2] ?? '')
    const protocol = after('-p', '--protocol')
    if (!('value' in address) || protocol === undefined || from === undefined || !(from > 0)) continue
    yield {
      protocol,
      ports: { from, to: to ?? from },
      inside: after('-i', '--in-interface'),
      to: address.value,
      port: match?.[3] === undefined ? undefined : Number(match[3])
    }
  }
}

/** Whether a forward of NAT takes what the rule by hand takes. */
const takes = (
  { source, proto, destination }: NatForward,
  { protocol, ports, inside, to }: Handmade,
  external: string | undefined
): boolean =>
  proto.text === protocol &&
  source.range !== undefined &&
  source.range.from <= ports.from &&
  source.range.to >= ports.to &&
  (destination.address?.family ?? 4) === to.family &&
  (inside === undefined || inside === external)
