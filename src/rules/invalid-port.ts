import type { Severity } from '../findings/finding.ts'
import type { Container, Firewall, Listen, Nat } from '../model/topology.ts'
import { natPlaces, refusedAt, underNat } from '../plan/nat.ts'
import type { Plan } from '../plan/plan.ts'
import type { Path } from '../text/path.ts'
import type { Rule } from './rule.ts'

/** D14, D27 */
export const invalidPort: Rule = {
  id: 'invalid-port',
  group: 'ports',
  severity: 'error',
  exposes: true,
  summary: 'A port number is not between 1 and 65535.',
  *check(plan) {
    for (const { at, port, note, help, severity } of everyFault(plan))
      yield {
        message: `${port} is no port: ports are 1 to 65535`,
        labels: [{ at, text: 'no port' }],
        note,
        help:
          help ??
          (port === 0
            ? 'write the port that is meant; 0 means "any" to programs, and nothing here'
            : 'write a number from 1 to 65535'),
        ...(severity === undefined ? {} : { severity })
      }
  }
}

const isPort = (port: number): boolean => port >= 1 && port <= 65535

interface Fault {
  readonly at: Path
  readonly port: number
  readonly note: string
  readonly help?: string
  readonly severity?: Severity
}

const everyFault = function* (plan: Plan): Generator<Fault> {
  const { host, having, vms } = plan.topology
  yield* ofListens(host.listens)
  yield* ofFirewall(host.firewall)
  for (const { nat, firewall } of natPlaces(plan.topology)) yield* ofNat(nat, firewall)
  for (const container of having.forwardPorts)
    if (container.enabled && container.privateNetwork) yield* ofForwards(container)
  for (const { listens, enabled } of having.listens) if (enabled) yield* ofListens(listens)
  for (const { firewall, enabled } of having.firewall) if (enabled) yield* ofFirewall(firewall)
  for (const { listens, enabled } of vms) if (enabled) yield* ofListens(listens)
}

const OF_TYPE_PORT = 'the rebuild stops: NixOS takes 0 to 65535 for this option'

const ofListens = function* (listens: readonly Listen[]): Generator<Fault> {
  for (const { at, port } of listens)
    if (!isPort(port))
      yield {
        at: [...at, 'port'],
        port,
        note:
          port === 0
            ? 'a program that listens on port 0 gets another port at each start'
            : 'no program can listen there'
      }
}

const ofFirewall = function* ({ open, interfaces }: Firewall): Generator<Fault> {
  for (const { tcp, udp } of [open, ...interfaces.map(({ open }) => open)])
    for (const { at, from, to } of [...tcp, ...udp]) {
      if (from === 0 && to === 0)
        yield { at, port: 0, note: 'no packet is for port 0, so this opens nothing', severity: 'warning' }
      // A range may begin at 0: both firewalls take it, and it opens the rest.
      if (from !== 0 && !isPort(from)) yield { at, port: from, note: OF_TYPE_PORT }
      if (to !== from && to !== 0 && !isPort(to)) yield { at, port: to, note: OF_TYPE_PORT }
    }
}

/** containers.<name>.forwardPorts, which reaches systemd-nspawn only with privateNetwork. */
const ofForwards = function* ({ veth }: Container): Generator<Fault> {
  for (const { at, hostPort, containerPort } of veth.forwardPorts)
    for (const [key, port] of Object.entries({ hostPort, containerPort }))
      if (port !== undefined && !isPort(port) && (key === 'hostPort' || port !== hostPort))
        yield {
          at: [...at, key],
          port,
          note:
            port === 0
              ? 'systemd-nspawn says "Failed to parse host port" and the container does not start'
              : OF_TYPE_PORT
        }
}

const ofNat = function* (nat: Nat, firewall: Firewall): Generator<Fault> {
  for (const { source } of nat.forwardPorts) {
    if (source.fault !== 'bounds') continue
    const [from = 0, to = from] = source.text.split(':').map(Number)
    const { note, help, severity } =
      from === 0 && to === 0
        ? { note: 'both firewalls take the rule, and no packet is for port 0: nothing is forwarded' }
        : from === 0 && isPort(to)
          ? {
              note: 'no packet is for port 0; the rest of the range is forwarded',
              help: `write "1:${to}"`,
              severity: 'hint' as const
            }
          : { note: refusedAt(source.at, firewall) }
    const told = nat.enable ? severity : 'hint'
    for (const port of new Set([from, to])) {
      if (isPort(port)) continue
      yield {
        at: source.at,
        port,
        note: underNat(nat, note),
        ...(help === undefined ? {} : { help }),
        ...(told === undefined ? {} : { severity: told })
      }
    }
  }
}
