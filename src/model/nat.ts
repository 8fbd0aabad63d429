import { parseAddr } from '../net/addr.ts'
import type { Path } from '../text/path.ts'
import {
  type ParseAddress,
  type Raw,
  address,
  addresses,
  flag,
  items,
  names,
  raw,
  text,
  under
} from './read.ts'
import { protocol } from './firewall.ts'
import type { DestinationText, Nat, NatForward, PortsText } from './topology.ts'

const portRange = (from: number, to: number): PortsText['fault'] =>
  from < 1 || to < 1 || from > 65535 || to > 65535 ? 'bounds' : from > to ? 'reversed' : undefined

const sourcePorts = (value: unknown, at: Path): PortsText => {
  const written = String(value)
  if (typeof value === 'number') {
    const fault = portRange(value, value)
    return { at, text: written, range: fault === undefined ? { from: value, to: value } : undefined, fault }
  }
  const match = /^(-?\d+)(?:([:-])(\d+))?$/.exec(written)
  if (match === null) return { at, text: written, range: undefined, fault: 'text' }
  const from = Number(match[1])
  const to = match[3] === undefined ? from : Number(match[3])
  const fault = match[2] === '-' ? 'separator' : portRange(from, to)
  return { at, text: written, range: fault === undefined ? { from, to } : undefined, fault }
}

const destination = (written: string, at: Path): DestinationText => {
  const wrong = (fault: DestinationText['fault']): DestinationText => ({
    at,
    text: written,
    address: undefined,
    ports: undefined,
    fault
  })
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d+)(?:-(\d+))?)?$/.exec(written)
  if (match === null)
    return wrong(
      written.includes('[') ? 'address' : (written.match(/:/g)?.length ?? 0) > 1 ? 'brackets' : 'port'
    )
  const host = match[1] ?? match[2] ?? ''
  const parsed = parseAddr(host)
  if (!('value' in parsed)) return wrong(host.includes('/') ? 'prefix' : 'address')
  if ((match[1] === undefined) !== (parsed.value.family === 4)) return wrong('brackets')
  if (match[3] === undefined)
    return { at, text: written, address: parsed.value, ports: undefined, fault: undefined }
  const from = Number(match[3])
  const to = match[4] === undefined ? from : Number(match[4])
  const fault = portRange(from, to)
  if (fault !== undefined)
    return { ...wrong(fault === 'reversed' ? 'reversed' : 'port'), address: parsed.value }
  return { at, text: written, address: parsed.value, ports: { from, to }, fault: undefined }
}

const natForward = (forward: Raw, at: Path, parse: ParseAddress): NatForward => ({
  at,
  source: sourcePorts(forward['sourcePort'], under(at, 'sourcePort')),
  destination: destination(String(forward['destination']), under(at, 'destination')),
  proto: protocol(forward, 'proto', at),
  loopbackIPs: addresses(forward, 'loopbackIPs', at, parse)
})

export const buildNat = (owner: Raw, within: Path, parse: ParseAddress): Nat | undefined => {
  if (owner['nat'] === undefined) return undefined
  const nat = raw(owner['nat'])
  const at = under(within, 'nat')
  return {
    at,
    enable: flag(nat['enable']) ?? false,
    switched: flag(nat['enable']) !== undefined,
    enableIPv6: flag(nat['enableIPv6']) ?? false,
    internalInterfaces: names(nat, 'internalInterfaces', at),
    internalIPs: addresses(nat, 'internalIPs', at, parse),
    internalIPv6s: addresses(nat, 'internalIPv6s', at, parse),
    externalInterface: text(nat['externalInterface']),
    externalIP: address(nat, 'externalIP', at, parse),
    externalIPv6: address(nat, 'externalIPv6', at, parse),
    dmzHost: address(nat, 'dmzHost', at, parse),
    forwardPorts: items(nat, 'forwardPorts', at, (forward, at) => natForward(forward, at, parse)),
    partial: flag(nat['partial']) ?? false
  }
}
