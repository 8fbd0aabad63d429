import type { Problem } from '../findings/finding.ts'
import type { Container } from '../model/topology.ts'
import { type Addr, type Family, sameAddr } from '../net/addr.ts'
import { specialBlock } from '../net/special.ts'
import type { Plan, PortClaim } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** D28, D29, D31 */
export const hostPortConflict: Rule = {
  id: 'host-port-conflict',
  group: 'ports',
  severity: 'error',
  summary: 'Two services or forwards take the same port of the host.',
  *check(plan) {
    const ports = plan.ports.filter(({ from, to }) => from >= 1 && to <= 65535)
    const free = freePorts(ports)
    for (const protocol of ['tcp', 'udp'] as const) {
      const claims = ports.filter(claim => claim.protocol === protocol)
      const order = new Map(claims.map((claim, i) => [claim, i]))
      // Claims that still reach a later port, in a sweep from the lowest port up.
      let open: PortClaim[] = []
      for (const claim of [...claims].sort(
        (a, b) => a.from - b.from || (order.get(a) ?? 0) - (order.get(b) ?? 0)
      )) {
        open = open.filter(({ to }) => to >= claim.from)
        const other = open.slice(-COMPARED).find(earlier => collide(plan, earlier, claim))
        if (open.length < KEPT) open.push(claim)
        if (other === undefined) continue
        const [first, second] =
          (order.get(other) ?? 0) < (order.get(claim) ?? 0) ? [other, claim] : [claim, other]
        yield {
          message: `${protocol} port ${claim.from} of the host is taken twice: by ${first.owner} and by ${second.owner}`,
          labels: [
            { at: second.at, text: 'taken already' },
            { at: first.at, text: `by ${first.owner}` }
          ],
          help: `give ${second.owner} another port: ${free(protocol, claim.from)} is free`,
          ...effect(plan, first, second)
        }
      }
    }
  }
}

/** How many claims on one port are compared with the next, and kept: more tell nothing new. */
const COMPARED = 8
const KEPT = 64

const isLoopback = ({ address }: PortClaim): boolean =>
  address !== undefined && specialBlock(address)?.name === 'loopback'
const isForward = ({ kind }: PortClaim): boolean => kind === 'nspawn' || kind === 'nat'

/** Whether two claims on one port get into each other's way. */
const collide = (plan: Plan, a: PortClaim, b: PortClaim): boolean => {
  // Two forwards of NAT have a rule of their own.
  if (a.kind === 'nat' && b.kind === 'nat') return false
  if (a.kind === 'open' || b.kind === 'open') return isForward(a) || isForward(b)
  if (isForward(a) || isForward(b)) {
    const shared = familiesOf(plan, a).some(family => familiesOf(plan, b).includes(family))
    return shared && catches(plan, a, b) && catches(plan, b, a)
  }
  if (a.address === undefined || b.address === undefined)
    return a.address?.family !== 6 && b.address?.family !== 6
  return (
    a.address.family === b.address.family &&
    (isAny(a.address) || isAny(b.address) || sameAddr(a.address, b.address))
  )
}

/** 0.0.0.0 and ::, which programs bind for every address of the family. */
const isAny = ({ value }: Addr): boolean => value === 0n

/** Of which families a claim's packets are. systemd-nspawn forwards to an address of each family that the container has. */
const familiesOf = (plan: Plan, { kind, at, address, container }: PortClaim): readonly Family[] => {
  if (kind === 'nat')
    return [plan.topology.nat?.forwardPorts[Number(at.at(-2))]?.destination.address?.family ?? 4]
  if (kind === 'nspawn') return container !== undefined && hasIPv6(container) ? [4, 6] : [4]
  return address === undefined ? [4, 6] : [address.family]
}

const hasIPv6 = ({ veth, inside }: Container): boolean =>
  veth.localAddress6 !== undefined ||
  inside.interfaces.some(
    ({ name, addresses }) => name === 'eth0' && addresses.some(({ prefix }) => prefix?.family === 6)
  )

/** Whether a forward catches packets that are meant for a service; forwards leave loopback alone. */
const catches = (plan: Plan, forward: PortClaim, { address, ...service }: PortClaim): boolean => {
  if (!isForward(forward) || isForward({ address, ...service }) || address === undefined || isAny(address))
    return true
  if (isLoopback({ address, ...service })) return false
  if (forward.kind === 'nspawn') return true
  // NAT forwards what comes in by the external interface, and that is for an address of it.
  const external = plan.topology.nat?.externalInterface
  const owners = plan.addresses.owners(address)?.filter(({ kind }) => kind !== 'local') ?? []
  return (
    owners.length === 0 ||
    owners.some(({ kind, owner }) => kind === 'virtual' || owner.endsWith(` "${external}"`))
  )
}

const effect = (
  plan: Plan,
  a: PortClaim,
  b: PortClaim
): Pick<Problem, 'note' | 'severity'> & Partial<Pick<Problem, 'help'>> => {
  if (a.kind === 'open' || b.kind === 'open')
    return {
      note: 'what arrives for port 22 is sent on to the container: an SSH server of the host cannot be reached from outside any more',
      severity: 'warning'
    }
  if (a.kind === 'nspawn' && b.kind === 'nspawn')
    return {
      note:
        a.container === b.container
          ? 'systemd-nspawn says "Duplicate port specification" and the container does not start'
          : 'both containers start; the second one logs "Failed to modify AF_INET firewall: File exists" and never gets a connection'
    }
  if (isForward(a) && isForward(b))
    return isSameTarget(plan, a, b)
      ? {
          note: 'both lead to the same port of the same container, so one of them is enough',
          help: 'remove one of the two',
          severity: 'hint'
        }
      : {
          note: 'what comes in by the external interface goes where NAT sends it, and the container gets the rest only'
        }
  const over = [a, b].find(isForward)
  if (over === undefined) return { note: 'the one that starts second fails: "Address already in use"' }
  const families = familiesOf(plan, over)
  const ip = families.length > 1 ? '' : ` over IPv${families[0]}`
  return over.kind === 'nat'
    ? {
        note: `what arrives on the external interface is sent on before the host sees it:${ip} the service is reached from the host and its containers only`,
        severity: 'warning'
      }
    : {
        note: `the forward catches every packet for that port before the host sees it:${ip} the service is reached through loopback only`
      }
}

/** Whether a forward of NAT and one of systemd-nspawn end at the same place. */
const isSameTarget = ({ topology, addresses }: Plan, a: PortClaim, b: PortClaim): boolean => {
  const [nat, nspawn] = a.kind === 'nat' ? [a, b] : [b, a]
  const forward = topology.nat?.forwardPorts[Number(nat.at.at(-2))]
  const own = nspawn.container?.veth.forwardPorts[Number(nspawn.at.at(-2))]
  const address = forward?.destination.address
  if (forward === undefined || own === undefined || address === undefined || nat.from !== nat.to) return false
  return (
    (forward.destination.ports?.from ?? nat.from) === own.containerPort &&
    addresses
      .owners(address)
      ?.some(({ kind, link }) => kind === 'local' && link?.node === nspawn.container) === true
  )
}

/** For each port the next one from it on that nobody takes, 65536 for none; linear, however wide the ranges are. */
const nextFree = (claims: readonly PortClaim[], protocol: string): Uint32Array => {
  const changes = new Int32Array(65537)
  for (const claim of claims) {
    if (claim.protocol !== protocol) continue
    changes[claim.from] = (changes[claim.from] ?? 0) + 1
    changes[claim.to + 1] = (changes[claim.to + 1] ?? 0) - 1
  }
  let open = 0
  return Uint32Array.from({ length: 65537 }, (_, port) => {
    open += changes[port] ?? 0
    return open > 0 && port < 65536 ? port + 1 : port
  })
}

/** The next port that nobody takes, or one such as 8080 for 80 below 1024; a different one at each call. */
const freePorts = (claims: readonly PortClaim[]): ((protocol: string, from: number) => number) => {
  const tables = new Map<string, Uint32Array>()
  return (protocol, from) => {
    const next = tables.get(protocol) ?? nextFree(claims, protocol)
    tables.set(protocol, next)
    for (const start of [from < 1024 ? from + 8000 : from + 1, 1024]) {
      let port = start
      // Each step shortens the way for the next search.
      for (let after = next[port] ?? 65536; after !== port; after = next[port] ?? 65536) {
        next[port] = next[after] ?? 65536
        port = after
      }
      if (port > 65535) continue
      next[port] = port + 1
      return port
    }
    return from
  }
}
