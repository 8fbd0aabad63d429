import { refusedRule } from '../plan/nat.ts'
import { quote } from '../text/path.ts'
import type { ProtocolText } from '../model/topology.ts'
import type { Plan } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** D19, D27 */
export const invalidProtocol: Rule = {
  id: 'invalid-protocol',
  group: 'ports',
  severity: 'error',
  summary: 'A protocol is neither tcp nor udp.',
  *check(plan) {
    for (const { protocol, note } of everyProtocol(plan)) {
      if (protocol.value !== undefined) continue
      const lower = protocol.text.toLowerCase()
      yield {
        message: `${quote(protocol.text)} is no protocol for a port: it must be tcp or udp`,
        labels: [{ at: protocol.at, text: 'neither tcp nor udp' }],
        note,
        help:
          lower === 'tcp' || lower === 'udp'
            ? `write ${lower} in lower case`
            : /both|tcp.*udp|udp.*tcp/.test(lower)
              ? 'write two entries, one with tcp and one with udp'
              : 'write tcp or udp'
      }
    }
  }
}

const everyProtocol = function* (plan: Plan): Generator<{ readonly protocol: ProtocolText; readonly note: string }> {
  const { nat, host, containers, vms } = plan.topology
  const natNote =
    plan.nat.backend === 'iptables'
      ? refusedRule(plan.nat)
      : 'the nftables rules look at tcp and udp only: nothing is forwarded, and nobody says so'
  for (const { proto } of nat?.forwardPorts ?? []) yield { protocol: proto, note: natNote }
  const listen = 'ports of other protocols are not modelled, so nothing about this service can be checked'
  for (const { protocol } of host.listens) yield { protocol, note: listen }
  for (const { veth, extraVeths, listens, inside } of containers) {
    for (const { forwardPorts } of [veth, ...extraVeths])
      for (const { protocol } of forwardPorts)
        yield { protocol, note: `systemd-nspawn says "Failed to parse host port ${protocol.text}:…" and the container does not start` }
    for (const { protocol } of listens) yield { protocol, note: listen }
    for (const { proto } of inside.nat?.forwardPorts ?? []) yield { protocol: proto, note: natNote }
  }
  for (const { listens } of vms) for (const { protocol } of listens) yield { protocol, note: listen }
}
