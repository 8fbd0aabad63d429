import type { Problem } from '../findings/finding.ts'
import type { Nat } from '../model/topology.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

export const natDisabled: Rule = {
  id: 'nat-disabled',
  group: 'nat',
  severity: 'warning',
  summary: 'NAT is set up and not switched on.',
  *check({ topology }) {
    yield* idle(topology.nat, 'the host')
    for (const { inside, enabled, partial, name } of topology.having.inside)
      if (enabled && !partial) yield* idle(inside.nat, `container "${name}"`)
  }
}

const idle = function* (nat: Nat | undefined, where: string): Generator<Problem> {
  if (nat === undefined || nat.enable || nat.partial) return
  const keys = written(nat)
  if (keys.length === 0) return
  const option = nat.at.join('.')
  yield {
    message: nat.switched
      ? `NAT is switched off, so ${listed(keys)} ${keys.length > 1 ? 'have' : 'has'} no effect`
      : `NAT is not switched on, so ${listed(keys)} ${keys.length > 1 ? 'have' : 'has'} no effect`,
    labels: [
      nat.switched
        ? { at: [...nat.at, 'enable'], text: 'off' }
        : { at: nat.at, on: 'key', text: 'enable: true is missing here' }
    ],
    note: `NixOS makes nothing of the whole block: ${where} translates for nobody, forwards no port, and does not route`,
    help: nat.switched
      ? `write ${option}.enable: true, or remove what is not used`
      : `write ${option}.enable: true; or enable: false, where it is off on purpose`,
    ...(nat.switched ? { severity: 'hint' as const } : {})
  }
}

/** The keys of the block that ask for something. */
const written = (nat: Nat): readonly string[] =>
  [
    nat.forwardPorts.length > 0 ? 'forwardPorts' : undefined,
    nat.dmzHost === undefined ? undefined : 'dmzHost',
    nat.internalInterfaces.length > 0 ? 'internalInterfaces' : undefined,
    nat.internalIPs.length > 0 ? 'internalIPs' : undefined,
    nat.internalIPv6s.length > 0 ? 'internalIPv6s' : undefined,
    nat.externalInterface === undefined ? undefined : 'externalInterface',
    nat.externalIP === undefined ? undefined : 'externalIP',
    nat.externalIPv6 === undefined ? undefined : 'externalIPv6',
    nat.enableIPv6 ? 'enableIPv6' : undefined
  ].filter(key => key !== undefined)
