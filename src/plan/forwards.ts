import type { Container, Listen, PortRange, Protocol, Vm } from '../model/topology.ts'
import type { Addr } from '../net/addr.ts'
import { specialBlock } from '../net/special.ts'
import type { Path } from '../text/path.ts'
import type { Link, Plan } from './plan.ts'

/** Where a forward of the host ends: a container or machine of the file. */
export interface Arrival {
  readonly at: Path
  readonly node: Container | Vm
  /** The interfaces inside that its packets may come in by. */
  readonly links: readonly Link[]
  /** The address that it goes to; undefined where systemd-nspawn takes one of the container's own. */
  readonly address: Addr | undefined
  readonly protocol: Protocol
  /** The ports inside. */
  readonly ports: PortRange
}

const NONE: readonly never[] = []

/** The forwards that work as far as their own text goes: those of systemd-nspawn first, then those of NAT. */
export const arrivals = function* ({ topology, linksOf, addresses }: Plan): Generator<Arrival> {
  for (const node of topology.having.forwardPorts) {
    if (!node.enabled || !node.privateNetwork) continue
    // systemd-nspawn takes an address of any interface.
    const links = linksOf.get(node) ?? NONE
    for (const { at, protocol, containerPort: port } of node.veth.forwardPorts)
      if (protocol.value !== undefined && port !== undefined)
        yield {
          at,
          node,
          links,
          address: undefined,
          protocol: protocol.value,
          ports: { from: port, to: port }
        }
  }
  if (topology.nat?.enable !== true) return
  for (const { destination, source, proto } of topology.nat.forwardPorts) {
    // Without a port of its own the forward keeps the one it came for.
    const ports = destination.ports ?? source.range
    const { address, at, fault } = destination
    if (fault !== undefined || address === undefined || ports === undefined || proto.value === undefined)
      continue
    if (address.family === 6 && !topology.nat.enableIPv6) continue
    const link = addresses.owners(address)?.find(({ kind, enabled }) => kind === 'local' && enabled)?.link
    if (link !== undefined)
      yield { at, node: link.node, links: [link], address, protocol: proto.value, ports }
  }
}

/** At which port arrives what comes for one: the kernel keeps it where the destination has it, and else takes its first. */
export const portBehind = ({ from, to }: PortRange, port: number): number =>
  from <= port && port <= to ? port : from

/** 127.0.0.0/8 and ::1: only the machine itself reaches what listens there. */
export const isOnLoopback = ({ address }: Listen): boolean =>
  address?.prefix !== undefined && specialBlock(address.prefix)?.name === 'loopback'

/** The services on these ports, where the file names some and all of them listen on loopback only. */
export const onLoopbackOnly = (
  listens: readonly Listen[],
  protocol: Protocol,
  { from, to }: PortRange
): readonly Listen[] => {
  const there = listens.filter(
    listen => listen.protocol.value === protocol && listen.port >= from && listen.port <= to
  )
  return there.every(isOnLoopback) ? there : NONE
}
