import type { Problem } from '../findings/finding.ts'
import type { Nat, NatForward, PortRange } from '../model/topology.ts'
import { type Addr, type Family, formatAddr, parseAddr, sameAddr } from '../net/addr.ts'
import { contains, parsePrefix } from '../net/prefix.ts'
import { portBehind } from '../plan/forwards.ts'
import type { Link, Plan } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

export const forwardInExtraCommands: Rule = {
  id: 'forward-in-extra-commands',
  group: 'nat',
  severity: 'hint',
  summary: 'extraCommands forward a port, or masquerade, by hand where NAT does it already.',
  *check(plan) {
    const { nat, host } = plan.topology
    const { extraCommands, backend, at } = host.firewall
    if (extraCommands === undefined || nat?.enable !== true || backend === 'nftables') return
    yield* twice(plan, nat, extraCommands)
    let looked = 0
    for (const rule of handmade(extraCommands)) {
      looked += 1
      if (looked > LINES) return
      const forward = nat.forwardPorts.find(forward => takes(forward, rule, nat))
      if (forward === undefined) continue
      const { text, address, ports } = forward.destination
      const { from, to } = rule.ports
      const same =
        address !== undefined &&
        sameAddr(address, rule.to) &&
        [from, to].every(port => (rule.port ?? port) === portBehind(ports ?? rule.ports, port))
      const target = `${formatAddr(rule.to)}${rule.port === undefined ? '' : ` port ${rule.port}`}`
      yield {
        message: `extraCommands forward ${rule.protocol} ${from}${from === to ? '' : `:${to}`} to ${target}, and nat.forwardPorts forwards it ${same ? 'there already' : `to ${text}`}`,
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

/** A line that masquerades for a network of which NAT covers everybody that the file has in it, towards the same interface. */
const twice = function* (plan: Plan, nat: Nat, commands: string): Generator<Problem> {
  const { at } = plan.topology.host.firewall
  if (nat.externalInterface === undefined || nat.partial) return
  let looked = 0
  for (const line of commands.split('\n')) {
    const [, tool, text = '', out] = MASQUERADE.exec(line) ?? []
    const source = parsePrefix(text)
    if (!('value' in source) || out !== nat.externalInterface) continue
    const family = tool === 'ip6tables' ? 6 : 4
    looked += 1
    if (looked > SOURCES || source.value.family !== family) continue
    const inside = plan.links.filter(({ addresses }) =>
      addresses.some(({ prefix }) => prefix !== undefined && contains(source.value, prefix))
    )
    const [first] = inside
    if (first === undefined || !inside.every(link => isTranslated(plan, link, family))) continue
    yield {
      message: `extraCommands masquerade ${text} towards "${out}", and NAT does that already`,
      labels: [
        { at: [...at, 'extraCommands'], text: 'by hand' },
        { at: first.at, text: `"${first.node.name}" sends from here, and NAT covers it` }
      ],
      note: 'the rule that comes first decides, and both do the same; the one by hand is added again at every reload of the firewall, unless extraStopCommands remove it',
      help: 'remove the line from extraCommands'
    }
    return
  }
}

/** A rule without further conditions; the options stand in the order in which people write them. */
const MASQUERADE =
  /^\s*(?:\S*\/)?(ip6?tables)\s+(?:-w\s+)?-t\s+nat\s+-[AI]\s+POSTROUTING\s+-s\s+(\S+)\s+-o\s+(\S+)\s+-j\s+MASQUERADE\s*(?:#.*)?$/

/** How many networks are held against all links. */
const SOURCES = 20

const isTranslated = (plan: Plan, link: Link, family: Family): boolean =>
  plan.nat.covers({ ...link, bridge: undefined }, family)

/** Nobody reads more of them, and each is held against all forwards. */
const LINES = 50

interface Handmade {
  readonly protocol: string
  readonly ports: PortRange
  readonly inside: string | undefined
  readonly to: Addr
  readonly port: number | undefined
}

/** What says no more than which packets are forwarded, and where to. */
const PLAIN: ReadonlySet<string> = new Set(
  '-t --table -A --append -I --insert -w --wait -m --match --comment -p --protocol -i --in-interface --dport --destination-port -j --jump --to --to-destination'.split(
    ' '
  )
)

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
    // -m comes before a condition that has options of its own.
    if (words.some(word => word.startsWith('-') && !PLAIN.has(word))) continue
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
  { enableIPv6, externalInterface }: Nat
): boolean =>
  proto.text === protocol &&
  source.range !== undefined &&
  source.range.from <= ports.from &&
  source.range.to >= ports.to &&
  (destination.address?.family ?? 4) === to.family &&
  // Without it NixOS leaves the forwards of IPv6 out.
  (to.family === 4 || enableIPv6) &&
  (inside === undefined || inside === externalInterface)
