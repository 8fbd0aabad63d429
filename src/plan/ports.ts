import { isOn } from '../model/sysctl.ts'
import type { Container, Listen, PortRange, Protocol, Topology } from '../model/topology.ts'
import { type Addr, sameAddr } from '../net/addr.ts'
import { isPrivate } from './links.ts'
import { FAMILIES, type PortClaim } from './plan.ts'

const listenClaims = function* (
  listens: readonly Listen[],
  kind: 'listen' | 'shared',
  owner: (listen: Listen) => string,
  container: Container | undefined
): Generator<PortClaim> {
  for (const listen of listens) {
    const { at, port, protocol, address } = listen
    if (protocol.value === undefined || address?.fault !== undefined) continue
    yield {
      at,
      from: port,
      to: port,
      protocol: protocol.value,
      kind,
      owner: owner(listen),
      named: listen.name !== undefined,
      container,
      address: address?.prefix
    }
  }
}

/** Families in which programs of the host may bind an address that it does not have (ip_nonlocal_bind in the kernel's ip-sysctl). */
export const nonlocalBind = ({ host }: Topology): ReadonlySet<number> =>
  new Set(FAMILIES.filter(family => isOn(host.sysctl.get(`net.ipv${family}.ip_nonlocal_bind`))))

/** 0.0.0.0 and ::, which programs bind for every address of the family. */
export const isAny = ({ value }: Addr): boolean => value === 0n

/** Whether two programs of one machine cannot have one port at these addresses; undefined stands for any. */
export const isOneSocket = (a: Addr | undefined, b: Addr | undefined): boolean => {
  // A program that binds any address may mean IPv4 only.
  if (a === undefined || b === undefined) return a?.family !== 6 && b?.family !== 6
  return a.family === b.family && (isAny(a) || isAny(b) || sameAddr(a, b))
}

/** Who takes which port of the host: its services, those of containers in its network, and forwards. */
export const portClaims = (topology: Topology): readonly PortClaim[] => {
  const claims: PortClaim[] = []
  const { host, nat, containers } = topology
  const ofHost = ({ name }: Listen): string =>
    name === undefined ? 'a service of the host' : `${name} on the host`
  for (const claim of listenClaims(host.listens, 'listen', ofHost, undefined)) claims.push(claim)
  // SSH is the one service whose loss locks people out, and its module opens the port; so an open 22 means it is there
  // unless the file says where it is.
  const ssh = host.firewall.open.tcp.find(({ from, to }) => from <= 22 && to >= 22)
  const told = host.listens.some(({ name, port }) => port === 22 || name?.includes('ssh') === true)
  if (ssh !== undefined && !told)
    claims.push({
      at: ssh.at,
      from: 22,
      to: 22,
      protocol: 'tcp',
      kind: 'open',
      owner: 'SSH on the host, for which its firewall opens it',
      named: false,
      container: undefined,
      address: undefined
    })
  if (nat?.enable === true)
    for (const [i, { at, source, proto, destination }] of nat.forwardPorts.entries())
      if (source.range !== undefined && proto.value !== undefined)
        claims.push({
          at: [...at, 'sourcePort'],
          ...source.range,
          protocol: proto.value,
          kind: 'nat',
          owner: `nat.forwardPorts[${i}] to ${destination.text}`,
          named: false,
          container: undefined,
          address: undefined
        })
  for (const container of containers) {
    if (!container.enabled) continue
    const { name, listens, veth } = container
    if (listens.length > 0 && !isPrivate(container))
      for (const claim of listenClaims(
        listens,
        'shared',
        listen =>
          listen.name === undefined ? `container "${name}"` : `${listen.name} of container "${name}"`,
        container
      ))
        claims.push(claim)
    if (container.privateNetwork)
      for (const { at, protocol, hostPort } of veth.forwardPorts)
        if (hostPort !== undefined && protocol.value !== undefined)
          claims.push({
            at: [...at, 'hostPort'],
            from: hostPort,
            to: hostPort,
            protocol: protocol.value,
            kind: 'nspawn',
            owner: `container "${name}"`,
            named: false,
            container,
            address: undefined
          })
  }
  return claims
}

/** Below that many it costs more to count ports than to compare. */
const MANY = 200

/**
 * All that have a port in common with another one of their protocol, in their order, and perhaps some that have not:
 * what is left to compare, and of many mostly nothing.
 */
export const sharingPorts = <T>(
  items: readonly T[],
  rangeOf: (item: T) => PortRange | undefined,
  protocolOf: (item: T) => Protocol | undefined
): readonly T[] => {
  if (items.length < MANY) return items
  const tables = { tcp: new Int32Array(65537), udp: new Int32Array(65537) }
  const tableOf = (item: T, range: PortRange | undefined): Int32Array | undefined => {
    const protocol = protocolOf(item)
    return protocol === undefined || range === undefined || range.from < 1 || range.to > 65535
      ? undefined
      : tables[protocol]
  }
  for (const item of items) {
    const range = rangeOf(item)
    const table = tableOf(item, range)
    if (table === undefined || range === undefined) continue
    table[range.from] = (table[range.from] ?? 0) + 1
    table[range.to + 1] = (table[range.to + 1] ?? 0) - 1
  }
  // From here on a table says how many ports up to that one are taken more than once.
  for (const table of [tables.tcp, tables.udp]) {
    let open = 0
    let several = 0
    for (let port = 0; port < 65536; port += 1) {
      open += table[port] ?? 0
      if (open > 1) several += 1
      table[port] = several
    }
  }
  return items.filter(item => {
    const range = rangeOf(item)
    const table = tableOf(item, range)
    return range !== undefined && (table?.[range.to] ?? 0) > (table?.[range.from - 1] ?? 0)
  })
}

/**
 * A set of nft with ports and ranges in it: adds one, or gives the earlier one for which nft refuses it ("File exists"). That is one
 * in which it begins or ends, unless the two are the same.
 */
export const portSet = <T>(): ((key: string, range: PortRange, goal: string, item: T) => T | undefined) => {
  const taken = new Map<string, Map<number, { readonly entry: string; readonly item: T }>>()
  return (key, { from, to }, goal, item) => {
    const owners = taken.get(key) ?? new Map<number, { readonly entry: string; readonly item: T }>()
    taken.set(key, owners)
    const entry = `${from} ${to} ${goal}`
    if (owners.get(from)?.entry === entry) return undefined
    const other = owners.get(from) ?? owners.get(to)
    if (other !== undefined) return other.item
    for (let port = from; port <= to; port += 1) owners.set(port, { entry, item })
    return undefined
  }
}
