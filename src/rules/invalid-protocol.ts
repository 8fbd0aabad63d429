import type { Severity } from '../findings/finding.ts'
import { offer, replaced } from '../findings/mend.ts'
import type { Firewall, Listen, Nat, ProtocolText } from '../model/topology.ts'
import { natPlaces, refusedAt, underNat } from '../plan/nat.ts'
import type { Plan } from '../plan/plan.ts'
import { quote } from '../text/path.ts'
import type { Rule } from './rule.ts'

/** D19, D27 */
export const invalidProtocol: Rule = {
  id: 'invalid-protocol',
  group: 'ports',
  severity: 'error',
  exposes: true,
  summary: 'A protocol is neither tcp nor udp.',
  *check(plan) {
    for (const { protocol, note, severity, works = false } of everyFault(plan)) {
      const lower = protocol.text.toLowerCase()
      yield {
        message: `${quote(protocol.text)} is neither tcp nor udp`,
        labels: [{ at: protocol.at, text: 'neither tcp nor udp' }],
        note,
        help:
          lower === 'tcp' || lower === 'udp'
            ? `write ${lower} in lower case`
            : /both|tcp.*udp|udp.*tcp/.test(lower)
              ? 'write two entries, one with tcp and one with udp'
              : works
                ? 'nothing, where this protocol is meant; else write tcp or udp'
                : 'write tcp or udp',
        ...offer(replaced(protocol.at, lower === 'tcp' || lower === 'udp' ? lower : undefined)),
        ...(severity === undefined ? {} : { severity })
      }
    }
  }
}

interface Fault {
  readonly protocol: ProtocolText
  readonly note: string
  readonly severity?: Severity
  /** Whether the protocol is one that the program takes. */
  readonly works?: boolean
}

const listening = function* (listens: readonly Listen[]): Generator<Fault> {
  for (const { protocol } of listens)
    if (protocol.value === undefined)
      yield {
        protocol,
        note: 'only ports of tcp and udp are checked, so nothing about this service is',
        ...(takes(protocol.text, 'iptables') ? { severity: 'hint', works: true } : {})
      }
}

const everyFault = function* (plan: Plan): Generator<Fault> {
  const { host, having, vms } = plan.topology
  for (const { nat, firewall } of natPlaces(plan.topology)) yield* forwards(plan, nat, firewall)
  yield* listening(host.listens)
  for (const { veth, enabled, privateNetwork } of having.forwardPorts)
    for (const { protocol } of enabled && privateNetwork ? veth.forwardPorts : [])
      if (protocol.value === undefined)
        yield {
          protocol,
          note: `systemd-nspawn says "Failed to parse host port ${protocol.text}:…" and the container does not start`
        }
  for (const { listens, enabled } of having.listens) if (enabled) yield* listening(listens)
  for (const { listens, enabled } of vms) if (enabled) yield* listening(listens)
}

const forwards = function* (plan: Plan, nat: Nat, firewall: Firewall): Generator<Fault> {
  const { backend } = firewall
  for (const { proto } of nat.forwardPorts) {
    if (proto.value !== undefined) continue
    const loads = takes(proto.text, backend)
    const works =
      loads && (backend === 'iptables' || !plan.releases.natPortRanges || ASKED_FOR.test(proto.text))
    const note = works
      ? `${backend} forwards it, but nothing else about this forward can be checked`
      : backend === 'nftables' && (loads || PORTLESS.has(proto.text))
        ? 'nftables loads the rule, and NixOS asks it for packets of tcp and udp only: nothing is forwarded'
        : refusedAt(proto.at, firewall)
    yield {
      protocol: proto,
      note: underNat(nat, note),
      works,
      ...(works || !nat.enable ? { severity: 'hint' } : {})
    }
  }
}

/** What nat-nftables.nix asks for before its map of forwards. */
const ASKED_FOR = /^(tcp|udp|6|17)$/i

/** iptables takes its extensions with --dport in any spelling, nft what /etc/protocols has: the name and its capitals. */
const takes = (text: string, backend: Firewall['backend']): boolean =>
  /^(tcp|udp|dccp|sctp|6|17|33|132)$/i.test(text) &&
  (backend === 'iptables' || text === text.toLowerCase() || text === text.toUpperCase())

const PORTLESS: ReadonlySet<string> = new Set([
  'icmp',
  'igmp',
  'ipv6-icmp',
  'gre',
  'esp',
  'ah',
  'ospf',
  'vrrp',
  'l2tp'
])
