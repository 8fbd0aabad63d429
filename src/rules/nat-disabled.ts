import type { Problem } from '../findings/finding.ts'
import type { Nat } from '../model/topology.ts'
import { sameAddr } from '../net/addr.ts'
import type { Link } from '../plan/plan.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

export const natDisabled: Rule = {
  id: 'nat-disabled',
  group: 'nat',
  severity: 'warning',
  summary: 'NAT is set up and not switched on.',
  *check({ topology, linksOf }) {
    yield* idle(topology.nat, 'the host', [])
    for (const container of topology.having.inside) {
      const { inside, enabled, partial, name } = container
      if (enabled && !partial && inside.nat !== undefined)
        yield* idle(inside.nat, `container "${name}"`, linksOf.get(container) ?? [])
    }
  }
}

const idle = function* (nat: Nat | undefined, where: string, links: readonly Link[]): Generator<Problem> {
  if (nat === undefined || nat.enable || nat.partial) return
  const keys = written(nat)
  if (keys.length === 0) return
  const option = nat.at.join('.')
  // With forwards and without it the rebuild stops.
  const external =
    nat.externalInterface === undefined && (nat.forwardPorts.length > 0 || nat.dmzHost !== undefined)
  const switches = `${option}.enable: true${external ? `, and ${option}.externalInterface` : ''}`
  yield {
    message: `NAT is ${nat.switched ? 'switched off' : 'not switched on'}, so ${listed(keys)} ${keys.length > 1 ? 'have' : 'has'} no effect`,
    labels: [
      nat.switched
        ? { at: [...nat.at, 'enable'], text: 'off' }
        : { at: nat.at, on: 'key', text: 'enable: true is missing here' }
    ],
    note: `NixOS makes nothing of the whole block: ${where} translates for nobody, forwards no port, and does not route`,
    help: isOwn(nat, links)
      ? `move the forwards to the host's nat.forwardPorts, where connections come in, or remove them: what has arrived at ${where} needs no forward`
      : nat.switched
        ? `write ${switches}, or remove what is not used`
        : `write ${switches}; or enable: false, where it is off on purpose`,
    ...(nat.switched ? { severity: 'hint' as const } : {})
  }
}

/** Whether there are forwards, and all of them lead to the container in which they stand. */
const isOwn = ({ forwardPorts, dmzHost }: Nat, links: readonly Link[]): boolean => {
  const own = links.flatMap(({ addresses }) => addresses.flatMap(({ prefix }) => prefix ?? []))
  return (
    forwardPorts.length > 0 &&
    dmzHost === undefined &&
    forwardPorts.every(({ destination: { address } }) =>
      own.some(other => address !== undefined && sameAddr(other, address))
    )
  )
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
