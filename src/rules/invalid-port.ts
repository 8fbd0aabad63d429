import type { Firewall, Listen, Nat } from '../model/topology.ts'
import { refusedRule } from '../plan/nat.ts'
import type { Plan } from '../plan/plan.ts'
import type { Path } from '../text/path.ts'
import type { Rule } from './rule.ts'

/** D14, D27 */
export const invalidPort: Rule = {
  id: 'invalid-port',
  group: 'ports',
  severity: 'error',
  summary: 'A port number is not between 1 and 65535.',
  *check(plan) {
    for (const { at, port, note } of everyPort(plan)) {
      if (Number.isInteger(port) && port >= 1 && port <= 65535) continue
      yield {
        message: `${port} is no port: ports are 1 to 65535`,
        labels: [{ at, text: 'no port' }],
        note,
        help: port === 0 ? 'write the port that is meant; 0 means "any" to programs, and nothing here' : 'write a number from 1 to 65535'
      }
    }
  }
}

interface PortUse {
  readonly at: Path
  readonly port: number
  readonly note: string
}

const everyPort = function* (plan: Plan): Generator<PortUse> {
  const { host, nat, containers, vms } = plan.topology
  const { refused, nspawn, listen, opening } = {
    refused: refusedRule(plan.nat),
    nspawn: 'systemd-nspawn says "Failed to parse host port" and the container does not start',
    listen: 'no program can listen there',
    opening: 'the firewall refuses such a rule'
  }
  const listens = function* (all: readonly Listen[]): Generator<PortUse> {
    for (const { at, port } of all) yield { at: [...at, 'port'], port, note: listen }
  }
  const openings = function* ({ open, interfaces }: Firewall): Generator<PortUse> {
    for (const { tcp, udp } of [open, ...interfaces.map(({ open }) => open)])
      for (const { at, from, to } of [...tcp, ...udp]) {
        yield { at, port: from, note: opening }
        if (to !== from) yield { at, port: to, note: opening }
      }
  }
  const forwards = function* (all: Nat | undefined): Generator<PortUse> {
    for (const { source } of all?.forwardPorts ?? [])
      if (source.fault === 'bounds')
        for (const port of new Set(source.text.split(':').map(Number)))
          if (port < 1 || port > 65535) yield { at: source.at, port, note: refused }
  }
  yield* listens(host.listens)
  yield* openings(host.firewall)
  yield* forwards(nat)
  for (const { veth, extraVeths, listens: own, firewall, inside } of containers) {
    for (const { forwardPorts } of [veth, ...extraVeths])
      for (const { at, hostPort, containerPort } of forwardPorts) {
        if (hostPort !== undefined) yield { at: [...at, 'hostPort'], port: hostPort, note: nspawn }
        if (containerPort !== undefined && containerPort !== hostPort) yield { at: [...at, 'containerPort'], port: containerPort, note: nspawn }
      }
    yield* listens(own)
    yield* openings(firewall)
    yield* forwards(inside.nat)
  }
  for (const vm of vms) yield* listens(vm.listens)
}
