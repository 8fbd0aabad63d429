import type { PortClaim } from '../plan/plan.ts'
import { sameAddr } from '../net/addr.ts'
import { specialBlock } from '../net/special.ts'
import type { Rule } from './rule.ts'

/** D28, D29, D31 */
export const hostPortConflict: Rule = {
  id: 'host-port-conflict',
  group: 'ports',
  severity: 'error',
  summary: 'Two services or forwards take the same port of the host.',
  *check({ ports }) {
    const free = freePorts(ports)
    for (const protocol of ['tcp', 'udp'] as const) {
      const claims = ports.filter(claim => claim.protocol === protocol)
      const order = new Map(claims.map((claim, i) => [claim, i]))
      // Claims that still reach a later port, in a sweep from the lowest port up.
      let open: PortClaim[] = []
      for (const claim of [...claims].sort((a, b) => a.from - b.from || (order.get(a) ?? 0) - (order.get(b) ?? 0))) {
        open = open.filter(({ to }) => to >= claim.from)
        const other = open.slice(-COMPARED).find(earlier => collide(earlier, claim))
        if (open.length < KEPT) open.push(claim)
        if (other === undefined) continue
        const [first, second] = (order.get(other) ?? 0) < (order.get(claim) ?? 0) ? [other, claim] : [claim, other]
        const what = describe(first, second)
        yield {
          message: `${protocol} port ${claim.from} of the host is taken twice: by ${first.owner} and by ${second.owner}`,
          labels: [
            { at: second.at, text: 'taken already' },
            { at: first.at, text: `by ${first.owner}` }
          ],
          note: what.note,
          help: `give ${second.owner} another port: ${free(protocol, claim.from)} is free`,
          ...(what.grave ? {} : { severity: 'warning' as const })
        }
      }
    }
  }
}

/** How many claims on one port are compared with the next, and kept: more tell nothing new. */
const COMPARED = 8
const KEPT = 64

const isLoopback = ({ address }: PortClaim): boolean => address !== undefined && specialBlock(address)?.name === 'loopback'
const isForward = ({ kind }: PortClaim): boolean => kind === 'nspawn' || kind === 'nat'

/** Whether two claims on one port get into each other's way. */
const collide = (a: PortClaim, b: PortClaim): boolean => {
  // Two forwards of NAT have a rule of their own.
  if (a.kind === 'nat' && b.kind === 'nat') return false
  if (a.kind === 'open' || b.kind === 'open') return isForward(a) || isForward(b)
  // Forwards do not apply to packets for 127.0.0.0/8, and ::1 has none.
  if (isForward(a) || isForward(b)) return !isLoopback(a) && !isLoopback(b)
  if (a.address === undefined || b.address === undefined) return a.address?.family !== 6 && b.address?.family !== 6
  return sameAddr(a.address, b.address)
}

const describe = (a: PortClaim, b: PortClaim): { readonly note: string; readonly grave: boolean } => {
  if (a.kind === 'open' || b.kind === 'open')
    return { note: 'what arrives for port 22 is sent on to the container: an SSH server of the host cannot be reached from outside any more', grave: false }
  if (a.kind === 'nspawn' && b.kind === 'nspawn')
    return a.container === b.container
      ? { note: 'systemd-nspawn says "Duplicate port specification" and the container does not start', grave: true }
      : { note: 'both containers start; the first rule wins, and the other container never gets a connection', grave: true }
  if (isForward(a) && isForward(b))
    return { note: "both rules are set; which of them comes first depends on the order in which they start, and the other's never matches", grave: true }
  if (a.kind === 'nat' || b.kind === 'nat')
    return {
      note: 'what arrives on the external interface is sent on before the host sees it: the service is reached from the host and its containers only',
      grave: false
    }
  if (isForward(a) || isForward(b))
    return { note: 'the forward catches every packet for that port before the host sees it: the service is reached through loopback only', grave: true }
  return { note: 'the one that starts second fails: "Address already in use"', grave: true }
}

/** A table of all ports with 1 for those that somebody takes; linear, however wide the ranges are. */
const takenPorts = (claims: readonly PortClaim[], protocol: string): Uint8Array => {
  const changes = new Int32Array(65537)
  for (const claim of claims) {
    if (claim.protocol !== protocol || claim.from < 0 || claim.to > 65535) continue
    changes[claim.from] = (changes[claim.from] ?? 0) + 1
    changes[claim.to + 1] = (changes[claim.to + 1] ?? 0) - 1
  }
  let open = 0
  return Uint8Array.from({ length: 65536 }, (_, port) => {
    open += changes[port] ?? 0
    return open > 0 || port === 0 ? 1 : 0
  })
}

/** The next port from one on that nobody takes; a different one at each call. */
const freePorts = (claims: readonly PortClaim[]): ((protocol: string, from: number) => number) => {
  const taken = { tcp: takenPorts(claims, 'tcp'), udp: takenPorts(claims, 'udp') }
  return (protocol, from) => {
    const table = taken[protocol as 'tcp' | 'udp']
    for (const start of [from + 1, 1024]) {
      const port = table.indexOf(0, start)
      if (port > 0) {
        table[port] = 1
        return port
      }
    }
    return from
  }
}
