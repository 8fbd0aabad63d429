import type { Problem } from '../findings/finding.ts'
import { offer, replaced } from '../findings/mend.ts'
import type { Container } from '../model/topology.ts'
import type { Family } from '../net/addr.ts'
import { specialBlock } from '../net/special.ts'
import { portBehind } from '../plan/forwards.ts'
import { FAMILIES, type Plan, type PortClaim } from '../plan/plan.ts'
import { isAny, sharingPorts } from '../plan/ports.ts'
import type { Rule } from './rule.ts'

/** D28, D29, D31 */
export const hostPortConflict: Rule = {
  id: 'host-port-conflict',
  group: 'ports',
  severity: 'error',
  summary: 'Two services or forwards take the same port of the host.',
  *check(plan) {
    const ports = sharingPorts(
      plan.ports,
      claim => claim,
      ({ protocol }) => protocol
    ).filter(claim => isValid(claim) && isMade(plan, claim))
    if (ports.length === 0) return
    const free = freePorts(plan)
    for (const protocol of ['tcp', 'udp'] as const) {
      const claims = ports.filter(claim => claim.protocol === protocol)
      const order = new Map(claims.map((claim, i) => [claim, i]))
      const lanes = new Map<string, Lane>()
      // A sweep from the lowest port up.
      for (const claim of [...claims].sort(
        (a, b) => a.from - b.from || (order.get(a) ?? 0) - (order.get(b) ?? 0)
      )) {
        const { in: own, against } = lanesOf(plan, claim)
        const other = against.map(lane => reaching(lanes.get(lane), claim)).find(found => found !== undefined)
        for (const lane of own) enter(lanes, lane, claim)
        if (other === undefined || isBeside(plan, other, claim)) continue
        const [first, second] =
          (order.get(other) ?? 0) < (order.get(claim) ?? 0) ? [other, claim] : [claim, other]
        const port = free(protocol, claim.from, second.to - second.from + 1)
        yield {
          message: `${protocol} ${shown(claim.from, Math.min(claim.to, other.to))} of the host ${claim.from === Math.min(claim.to, other.to) ? 'is' : 'are'} taken twice: by ${first.owner} and by ${second.owner}`,
          labels: [
            { at: second.at, text: 'taken already' },
            { at: first.at, text: `by ${first.owner}` }
          ],
          help: moved(second, port),
          // Whether a service or the forward in its way is to move is open, and that one of two equal forwards is to stay.
          ...offer(
            isForward(first) &&
              isForward(second) &&
              second.from === second.to &&
              !isSameTarget(plan, first, second)
              ? replaced(second.at, port)
              : undefined
          ),
          ...effect(plan, first, second)
        }
      }
    }
  }
}

const isValid = ({ from, to }: PortClaim): boolean => from >= 1 && to <= 65535

const shown = (from: number, to: number): string => (from === to ? `port ${from}` : `ports ${from} to ${to}`)

const moved = ({ owner, from, to }: PortClaim, free: number | undefined): string =>
  free === undefined
    ? `give ${owner} other ports`
    : from === to
      ? `give ${owner} another port: ${free} is free`
      : `give ${owner} other ports: ${free} to ${free + to - from} are free; a range keeps its numbers on the way, so the service needs the same ones`

const isLoopback = ({ address }: PortClaim): boolean =>
  address !== undefined && specialBlock(address)?.name === 'loopback'
const isForward = ({ kind }: PortClaim): boolean => kind === 'nspawn' || kind === 'nat'
const isService = ({ kind }: PortClaim): boolean => kind === 'listen' || kind === 'shared'

/**
 * Whether NixOS makes a rule of a forward of NAT: without enableIPv6 it leaves IPv6 out, which has a rule of its own, and so has
 * a forward to a loopback address, which is to go.
 */
const isMade = (plan: Plan, claim: PortClaim): boolean => {
  if (claim.kind !== 'nat') return true
  const target = plan.topology.nat?.forwardPorts[Number(claim.at.at(-2))]?.destination.address
  if (target !== undefined && specialBlock(target)?.name === 'loopback') return false
  return plan.topology.nat?.enableIPv6 === true || familiesOf(plan, claim)[0] === 4
}

/**
 * Claims that get into the way of the same others; of each lane only the claims that reach furthest are kept: one, and
 * one of somebody else.
 */
type Lane = readonly [PortClaim, PortClaim?]

const enter = (lanes: Map<string, Lane>, key: string, claim: PortClaim): void => {
  const [first, second] = lanes.get(key) ?? []
  if (first === undefined) lanes.set(key, [claim])
  else if (isSameProgram(first, claim)) {
    if (claim.to > first.to) lanes.set(key, second === undefined ? [claim] : [claim, second])
  } else if (claim.to > first.to) lanes.set(key, [claim, first])
  else if (second === undefined || claim.to > second.to) lanes.set(key, [first, claim])
}

/** The claim of a lane that still has the first port of another one. */
const reaching = (lane: Lane | undefined, claim: PortClaim): PortClaim | undefined =>
  lane?.find(other => other !== undefined && other.to >= claim.from && !isSameProgram(other, claim))

/** One program of a name may bind a port at several addresses. */
const isSameProgram = (a: PortClaim, b: PortClaim): boolean =>
  isService(a) && a.named && b.named && a.owner === b.owner && a.container === b.container

/**
 * UDP ports that several programs share: multicast ones (mDNS, SSDP) are bound with SO_REUSEADDR, and those of DHCP to
 * one interface each.
 */
const SHARED: ReadonlySet<number> = new Set([67, 68, 546, 547, 1900, 5353])

/**
 * In which lanes a claim is, and which lanes hold what gets into its way, the certain before the likely. Two forwards of
 * NAT have a rule of their own.
 */
const lanesOf = (
  plan: Plan,
  claim: PortClaim
): { readonly in: readonly string[]; readonly against: readonly string[] } => {
  const families = familiesOf(plan, claim)
  const each = (...names: readonly string[]): readonly string[] =>
    names.flatMap(name => families.map(family => `${name} ${family}`))
  switch (claim.kind) {
    case 'open':
      return { in: each('open'), against: each('nspawn', 'nat') }
    case 'nspawn':
      return { in: each('nspawn'), against: each('nspawn', 'caught by nspawn', 'nat', 'open') }
    case 'nat':
      return { in: each('nat'), against: each('caught by nat', 'nspawn', 'open') }
    default: {
      const caught = [
        ...(catches(plan, 'nspawn', claim) ? ['nspawn'] : []),
        ...(catches(plan, 'nat', claim) ? ['nat'] : [])
      ]
      const sockets: ReturnType<typeof lanesOf> =
        claim.protocol === 'udp' && SHARED.has(claim.from) ? { in: [], against: [] } : socketLanes(claim)
      return {
        in: [...sockets.in, ...each(...caught.map(kind => `caught by ${kind}`))],
        against: [...sockets.against, ...each(...caught)]
      }
    }
  }
}

/**
 * The lanes of programs by what they bind. One that binds :: takes IPv4 as well, unless it asks for IPv6 alone
 * (ipv6(7), IPV6_V6ONLY); one that binds any address may do without IPv6.
 */
const socketLanes = ({ address }: PortClaim): ReturnType<typeof lanesOf> => {
  if (address === undefined) return { in: ['any', 'some 4'], against: ['any', 'some 4', 'some 6'] }
  const some = `some ${address.family}`
  const all = `all ${address.family}`
  const single = `at ${address.family} ${address.value}`
  const six = address.family === 6
  return isAny(address)
    ? {
        in: [some, all, single],
        against: six ? [some, 'any', 'some 4'] : [some, 'any', 'all 6']
      }
    : { in: [some, single], against: six ? [all, single, 'any'] : [all, single, 'any', 'all 6'] }
}

/** Whether two programs are in each other's way only where one of them takes both families. */
const isMixed = (a: PortClaim, b: PortClaim): boolean => (a.address?.family ?? 4) !== (b.address?.family ?? 4)

/** Of which families a claim's packets are. systemd-nspawn forwards to an address of each family that the container has. */
const familiesOf = (plan: Plan, { kind, at, address, container }: PortClaim): readonly Family[] => {
  if (kind === 'nat')
    return [plan.topology.nat?.forwardPorts[Number(at.at(-2))]?.destination.address?.family ?? 4]
  if (container !== undefined && kind === 'nspawn') {
    const known = FAMILIES.filter(family => hasAddress(plan, container, family))
    return known.length === 0 ? [4] : known
  }
  return address === undefined ? FAMILIES : [address.family]
}

const hasAddress = ({ linksOf }: Plan, container: Container, family: Family): boolean =>
  linksOf
    .get(container)
    ?.some(({ addresses }) => addresses.some(({ prefix }) => prefix?.family === family)) === true ||
  (family === 4 && (container.dhcp || container.inside.interfaces.some(({ dhcp }) => dhcp)))

/** Whether forwards of a kind catch packets that are meant for a service; they leave loopback alone. */
const catches = ({ topology, addresses }: Plan, kind: 'nspawn' | 'nat', service: PortClaim): boolean => {
  const { address } = service
  if (address === undefined || isAny(address)) return true
  if (isLoopback(service)) return false
  if (kind === 'nspawn') return true
  // NAT forwards what comes in by the external interface, and that is for an address of it; with externalIP newer
  // releases forward what is for that one only.
  const { nat } = topology
  const single = (address.family === 4 ? nat?.externalIP : nat?.externalIPv6)?.prefix
  if (single !== undefined && single.value !== address.value) return false
  const owners = addresses.owners(address)?.filter(({ kind }) => kind !== 'local') ?? []
  return (
    owners.length === 0 ||
    owners.some(({ kind, owner }) => kind === 'virtual' || owner.endsWith(` "${nat?.externalInterface}"`))
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
          : 'both containers start; the second one logs "Failed to modify AF_INET firewall: File exists" and never gets a connection',
      ...(isSameTarget(plan, a, b) ? { help: 'remove one of the two' } : {})
    }
  if (isForward(a) && isForward(b))
    return isSameTarget(plan, a, b)
      ? {
          note: 'both lead to the same port of the same container, so one of them is enough',
          help: a.from === a.to && b.from === b.to ? 'remove one of the two' : 'remove the single one',
          severity: 'hint'
        }
      : {
          note: 'what comes in by the external interface goes where NAT sends it, and the container gets the rest only'
        }
  const over = [a, b].find(isForward)
  if (over === undefined)
    return isMixed(a, b)
      ? {
          note:
            a.address !== undefined && b.address !== undefined
              ? 'a program that binds :: takes the port over IPv4 too, unless it asks for IPv6 alone; where it does not, the one that starts second fails: "Address already in use"'
              : 'most programs that listen on any address take IPv6 with it: then the one that starts second fails, "Address already in use"',
          severity: 'warning'
        }
      : { note: 'the one that starts second fails: "Address already in use"' }
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
  const portOf = ({ container, at }: PortClaim): number | undefined =>
    container?.veth.forwardPorts[Number(at.at(-2))]?.containerPort
  if (a.kind === b.kind) return a.container === b.container && portOf(a) === portOf(b)
  const [nat, nspawn] = a.kind === 'nat' ? [a, b] : [b, a]
  const forward = topology.nat?.forwardPorts[Number(nat.at.at(-2))]
  const address = forward?.destination.address
  if (forward === undefined || address === undefined) return false
  return (
    portBehind(forward.destination.ports ?? nat, nspawn.from) === portOf(nspawn) &&
    addresses
      .owners(address)
      ?.some(({ kind, link }) => kind === 'local' && link?.node === nspawn.container) === true
  )
}

/** Whether two forwards end at the same place, and that of systemd-nspawn is for a family more. */
const isBeside = (plan: Plan, a: PortClaim, b: PortClaim): boolean =>
  isForward(a) &&
  isForward(b) &&
  familiesOf(plan, a).length !== familiesOf(plan, b).length &&
  isSameTarget(plan, a, b)

/** For each port the next one from it on that nobody takes, 65536 for none; linear, however wide the ranges are. */
const nextFree = (plan: Plan, protocol: string): Uint32Array => {
  const changes = new Int32Array(65537)
  for (const claim of plan.ports) {
    if (claim.protocol !== protocol || !isValid(claim) || !isMade(plan, claim)) continue
    changes[claim.from] = (changes[claim.from] ?? 0) + 1
    changes[claim.to + 1] = (changes[claim.to + 1] ?? 0) - 1
  }
  let open = 0
  return Uint32Array.from({ length: 65537 }, (_, port) => {
    open += changes[port] ?? 0
    return open > 0 && port < 65536 ? port + 1 : port
  })
}

/** For how many ranges free ports are looked for; each may look at all ports. */
const RANGES = 200

/**
 * The first of so many ports in a row that nobody takes: the next ones, or such as 8080 for 80 below 1024. Different
 * ones at each call; undefined when there are none.
 */
const freePorts = (plan: Plan): ((protocol: string, from: number, count: number) => number | undefined) => {
  const tables = new Map<string, Uint32Array>()
  let ranges = 0
  return (protocol, from, count) => {
    const next = tables.get(protocol) ?? nextFree(plan, protocol)
    tables.set(protocol, next)
    if (count > 1 && (ranges += 1) > RANGES) return undefined
    for (const start of [from < 1024 ? from + 8000 : from + 1, 1024]) {
      let port = find(next, start)
      let end = port + 1
      while (end < port + count && end < 65536)
        if (next[end] === end) end += 1
        else {
          port = find(next, end)
          end = port + 1
        }
      if (port + count > 65536) continue
      for (let taken = port; taken < port + count; taken += 1) next[taken] = taken + 1
      return port
    }
    return undefined
  }
}

/** The next free port from one on. Each step shortens the way for the next search. */
const find = (next: Uint32Array, start: number): number => {
  let port = start
  for (let after = next[port] ?? 65536; after !== port && port < 65536; after = next[port] ?? 65536) {
    next[port] = next[after] ?? 65536
    port = after
  }
  return port
}
