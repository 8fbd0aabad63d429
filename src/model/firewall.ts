import type { Path } from '../text/path.ts'
import { EMPTY, type Raw, each, flag, items, members, names, raw, text, under } from './read.ts'
import type { Firewall, OpenPorts, Openings, ProtocolText } from './topology.ts'

export const protocol = (owner: Raw, key: string, at: Path): ProtocolText => {
  const written = text(owner[key]) ?? 'tcp'
  return {
    at: under(at, key),
    text: written,
    value: written === 'tcp' || written === 'udp' ? written : undefined
  }
}

const openPorts = (owner: Raw, at: Path, kind: 'TCP' | 'UDP'): readonly OpenPorts[] => {
  const ports = each(owner[`allowed${kind}Ports`], (port, i) => ({
    at: under(at, `allowed${kind}Ports`, i),
    from: Number(port),
    to: Number(port)
  }))
  const ranges = items(owner, `allowed${kind}PortRanges`, at, ({ from, to }, at) => ({
    at,
    from: Number(from),
    to: Number(to)
  }))
  return ranges.length === 0 ? ports : [...ports, ...ranges]
}

const openings = (owner: Raw, at: Path): Openings => ({
  tcp: openPorts(owner, at, 'TCP'),
  udp: openPorts(owner, at, 'UDP')
})

const UNWRITTEN_FIREWALL: Firewall = {
  at: [],
  written: false,
  enable: true,
  backend: 'iptables',
  open: { tcp: EMPTY, udp: EMPTY },
  interfaces: EMPTY,
  trustedInterfaces: EMPTY,
  checkReversePath: 'strict',
  allowPing: true,
  rejectPackets: false,
  filterForward: undefined,
  extraCommands: undefined,
  extraInputRules: undefined,
  extraForwardRules: undefined
}

export const firewall = (owner: Raw, within: Path): Firewall => {
  if (owner['firewall'] === undefined) return UNWRITTEN_FIREWALL
  const written = raw(owner['firewall'])
  const at = under(within, 'firewall')
  return {
    at,
    written: true,
    enable: flag(written['enable']) ?? true,
    backend: written['backend'] === 'nftables' ? 'nftables' : 'iptables',
    open: openings(written, at),
    interfaces: members(written, 'interfaces', at, (name, value, at) => ({
      at,
      name,
      open: openings(value, at)
    })),
    trustedInterfaces: names(written, 'trustedInterfaces', at),
    checkReversePath:
      written['checkReversePath'] === false
        ? 'off'
        : written['checkReversePath'] === 'loose'
          ? 'loose'
          : 'strict',
    allowPing: flag(written['allowPing']) ?? true,
    rejectPackets: flag(written['rejectPackets']) ?? false,
    filterForward: written['filterForward'] === true ? under(at, 'filterForward') : undefined,
    extraCommands: text(written['extraCommands']),
    extraInputRules: text(written['extraInputRules']),
    extraForwardRules: text(written['extraForwardRules'])
  }
}
