import type { Problem } from '../findings/finding.ts'
import type { DestinationText, Nat, NatForward } from '../model/topology.ts'
import { formatAddr } from '../net/addr.ts'
import { specialBlock } from '../net/special.ts'
import { refusedRule } from '../plan/nat.ts'
import type { Plan } from '../plan/plan.ts'
import { quote } from '../text/path.ts'
import type { Rule } from './rule.ts'

/** D1, D16, D17 */
export const invalidForwardDestination: Rule = {
  id: 'invalid-forward-destination',
  group: 'nat',
  severity: 'error',
  summary: "A forward's destination is not address:port, or [IPv6]:port.",
  *check(plan) {
    for (const nat of [plan.topology.nat, ...plan.topology.containers.map(({ inside }) => inside.nat)])
      for (const forward of nat?.forwardPorts ?? []) yield* judge(plan, nat, forward)
  }
}

const judge = function* (plan: Plan, nat: Nat | undefined, forward: NatForward): Generator<Problem> {
  const { destination } = forward
  const { at, text, fault, address, ports } = destination
  if (fault !== undefined) {
    yield { message: `the destination ${quote(text)} ${FAULTS[fault].what}`, labels: [{ at, text: FAULTS[fault].label }], note: note(plan, fault), help: mend(destination) }
    return
  }
  const block = address === undefined ? undefined : specialBlock(address)
  if (address !== undefined && block?.use === 'dead') {
    yield {
      message: `the destination ${text} is ${block.name.startsWith('the ') ? block.name : `a ${block.name} address`}`,
      labels: [{ at, text: 'packets cannot be sent there' }],
      note: 'the kernel drops what is sent on to such an address: connections to the forwarded port time out',
      help: "write the container's own address"
    }
    return
  }
  if (address === undefined || ports !== undefined || nat?.enable !== true) return
  const grave = plan.nat.backend === 'nftables' || forward.loopbackIPs.length > 0
  yield {
    message: `the destination ${text} has no port`,
    labels: [{ at, text: `:${forward.source.text.replace(':', '-')} is missing` }],
    note: grave
      ? 'the rebuild stops with "bad ip:ports"'
      : 'iptables keeps the port as it is, so it works; with nftables or loopbackIPs the rebuild stops with "bad ip:ports"',
    help: `write "${address.family === 6 ? `[${formatAddr(address)}]` : formatAddr(address)}:${forward.source.text.replace(':', '-')}"`,
    ...(grave ? {} : { severity: 'hint' as const })
  }
}

const FAULTS: Record<NonNullable<DestinationText['fault']>, { readonly what: string; readonly label: string }> = {
  address: { what: 'has no valid address', label: 'no address:port' },
  brackets: { what: 'has an IPv6 address without brackets', label: 'where does the address end?' },
  prefix: { what: 'has a prefix length', label: 'one address, not a network' },
  port: { what: 'has no valid port', label: 'ports are 1 to 65535' },
  reversed: { what: 'has a port range that runs backwards', label: 'from is greater than to' }
}

const note = (plan: Plan, fault: NonNullable<DestinationText['fault']>): string =>
  fault === 'brackets'
    ? plan.nat.backend === 'iptables'
      ? 'iptables takes the whole text for an address and sends everything there: the port is never forwarded, and nobody says so'
      : 'the rebuild stops with "bad ip:ports"'
    : plan.nat.backend === 'nftables' && fault === 'port'
      ? 'the rebuild stops with "bad ip:ports"'
      : refusedRule(plan.nat)

const mend = ({ text, fault }: DestinationText): string => {
  const colon = text.lastIndexOf(':')
  if (fault === 'brackets' && colon > 0 && !text.includes('[')) return `write "[${text.slice(0, colon)}]:${text.slice(colon + 1)}"`
  if (fault === 'reversed') {
    const [, host, from, to] = /^(.*):(\d+)-(\d+)$/.exec(text) ?? []
    return `write "${host}:${to}-${from}"`
  }
  return 'write "192.168.100.2:80", "192.168.100.2:8000-8010" or "[fd12:3456:789a::2]:80"'
}
