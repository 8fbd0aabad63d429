import type { Listen } from '../model/topology.ts'
import { isPrivate } from '../plan/links.ts'
import { isOneSocket } from '../plan/ports.ts'
import type { Rule } from './rule.ts'

/** bind(2), EADDRINUSE */
export const containerPortConflict: Rule = {
  id: 'container-port-conflict',
  group: 'ports',
  severity: 'error',
  summary: 'Two services of one container or machine wait on the same port.',
  *check({ topology }) {
    const machines = [
      // A container in the host's network takes ports of the host, which have a rule of their own.
      ...topology.having.listens.filter(container => isPrivate(container)),
      ...topology.vms
    ]
    for (const { enabled, listens, name, at } of machines) {
      if (!enabled || listens.length < 2) continue
      const kind = at[0] === 'vms' ? 'machine' : 'container'
      const ports = new Map<string, Listen[]>()
      for (const listen of listens) {
        const { port, protocol, address } = listen
        if (protocol.value === undefined || address?.fault !== undefined || port < 1) continue
        const key = `${protocol.value} port ${port}`
        const others = ports.get(key)
        if (others === undefined) ports.set(key, [listen])
        else {
          const first = isShared(listen)
            ? undefined
            : others.find(
                other => !isSameProgram(other, listen) && isOneSocket(other.address?.prefix, address?.prefix)
              )
          if (others.length < COMPARED) others.push(listen)
          if (first === undefined) continue
          const names = [first, listen].map(({ name = 'another' }) => name)
          const isNamed = listen.name !== undefined || first.name !== undefined
          yield {
            message: `${key} of ${kind} "${name}" is taken twice${isNamed ? `: by ${names.join(' and by ')}` : ''}`,
            labels: [
              { at: listen.at, text: `${where(listen)} again` },
              { at: first.at, text: `${where(first)} is taken here` }
            ],
            note: 'the program that starts second ends with "Address already in use"; after a restart it may be the other one',
            help: `give one of them another port, such as ${freePort(listens, port)}${address === undefined && first.address === undefined ? ', or an address of its own to each' : ''}`
          }
        }
      }
    }
  }
}

/** How many services on one port are compared with the next. */
const COMPARED = 8

/** Ports of multicast discovery, which programs share on purpose (SO_REUSEADDR): mDNS, LLMNR, SSDP, WS-Discovery. */
const SHARED: ReadonlySet<number> = new Set([5353, 5355, 1900, 3702])
const isShared = ({ port, protocol }: Listen): boolean => protocol.value === 'udp' && SHARED.has(port)

/** One program may bind a port several times, or be written several times. */
const isSameProgram = (a: Listen, b: Listen): boolean => a.name !== undefined && a.name === b.name

const where = ({ address, port }: Listen): string =>
  address === undefined ? `port ${port} of any address` : `port ${port} of ${address.text}`

const freePort = (listens: readonly Listen[], port: number): number => {
  const taken = new Set(listens.map(({ port }) => port))
  let free = port < 1024 ? port + 8000 : port + 1
  while (taken.has(free) || free > 65535) free = free > 65535 ? 1024 : free + 1
  return free
}
