import type { Problem, Severity } from '../findings/finding.ts'
import { offer, replaced } from '../findings/mend.ts'
import { isOn } from '../model/sysctl.ts'
import type { Container, DestinationText, NatForward } from '../model/topology.ts'
import { type Addr, formatAddr, parseAddr } from '../net/addr.ts'
import { specialBlock } from '../net/special.ts'
import { inputFilter } from '../plan/firewall.ts'
import { onLoopbackOnly } from '../plan/forwards.ts'
import { type NatPlace, natPlaces, refusedAt, underNat } from '../plan/nat.ts'
import type { Plan } from '../plan/plan.ts'
import { quote } from '../text/path.ts'
import type { Rule } from './rule.ts'

/** D1, D16, D17 */
export const invalidForwardDestination: Rule = {
  id: 'invalid-forward-destination',
  group: 'nat',
  severity: 'error',
  exposes: true,
  summary: "A forward's destination is not address:port, or [IPv6]:port.",
  *check(plan) {
    const named = byName(plan.topology.containers)
    for (const { nat, firewall, container } of natPlaces(plan.topology)) {
      const place: Place = { nat, firewall, container, plan, named }
      for (const forward of nat.forwardPorts) {
        const problem = faulty(place, forward) ?? dead(place, forward) ?? portless(place, forward)
        if (problem !== undefined)
          yield nat.enable ? problem : { ...problem, note: underNat(nat, problem.note), severity: 'hint' }
      }
    }
  }
}

/** The NAT that a forward stands in. */
interface Place extends NatPlace {
  readonly plan: Plan
  readonly named: (container: string) => Addr | undefined
}

const byName = (containers: readonly Container[]): Place['named'] => {
  let known: ReadonlyMap<string, Addr | undefined> | undefined
  return name => {
    known ??= new Map(
      containers.map(({ name, veth }) => [name, (veth.localAddress ?? veth.localAddress6)?.prefix])
    )
    return known.get(name)
  }
}

type Kind =
  | NonNullable<DestinationText['fault']>
  | 'needless-brackets'
  | 'half-brackets'
  | 'two-ports'
  | 'zero'

const FAULTS: Record<Kind, { readonly what: string; readonly label: string }> = {
  address: { what: 'has no valid address', label: 'no address:port' },
  brackets: { what: 'has an IPv6 address without brackets', label: 'where does the address end?' },
  'half-brackets': { what: 'has one bracket only', label: 'brackets stand around the whole address' },
  'needless-brackets': { what: 'has an IPv4 address in brackets', label: 'brackets are for IPv6' },
  prefix: { what: 'has a prefix length', label: 'one address, not a network' },
  port: { what: 'has no valid port', label: 'ports are 1 to 65535' },
  'two-ports': { what: 'has two colons', label: 'a range is written from-to' },
  zero: { what: 'goes to port 0', label: 'ports are 1 to 65535' },
  reversed: { what: 'has a port range that runs backwards', label: 'from is greater than to' }
}

const kindOf = ({ text, fault }: DestinationText): Kind | undefined => {
  if (fault === 'port' && /:0+$/.test(text)) return 'zero'
  if (fault !== undefined && withBothBrackets(text) !== undefined) return 'half-brackets'
  if (fault !== 'brackets') return fault
  return text.startsWith('[') ? 'needless-brackets' : /^\d+(\.\d+){3}:/.test(text) ? 'two-ports' : 'brackets'
}

const faulty = (place: Place, forward: NatForward): Problem | undefined => {
  const kind = kindOf(forward.destination)
  if (kind === undefined) return undefined
  const { at, text } = forward.destination
  return {
    message: `the destination ${quote(text)} ${FAULTS[kind].what}`,
    labels: [{ at, text: FAULTS[kind].label }],
    ...effect(place, forward, kind),
    help: mend(place, forward, kind),
    ...offer(replaced(at, respelt(text, kind)))
  }
}

/** What nat-iptables.nix and nat-nftables.nix take for IPv6: they count colons. */
const looksIPv6 = (text: string): boolean => text.split(':').length > 2

const LEFT_OUT =
  'NixOS takes it for IPv6, for which NAT is off, and leaves out the rule without a word: nothing is forwarded'

/** What becomes of a text that is no destination. */
const effect = (
  { nat, firewall }: Place,
  { destination: { at, text }, loopbackIPs }: NatForward,
  kind: Kind
): { readonly note: string; readonly severity?: Severity } => {
  const { backend } = firewall
  if (looksIPv6(text) && !nat.enableIPv6)
    return {
      note: LEFT_OUT
    }
  const read = looksIPv6(text) ? /^\[[0-9a-fA-F:]+\]:[0-9-]+$/ : /^[0-9.]+:[0-9-]+$/
  if ((backend === 'nftables' || loopbackIPs.length > 0) && !read.test(text))
    return { note: 'the rebuild stops with "bad ip:ports"' }
  if (backend === 'iptables' && /^[\d.]+:[a-z][\w-]*$/.test(text))
    return {
      note: 'iptables looks the port up in /etc/services and refuses the rule when it is not there; with nftables the rebuild stops with "bad ip:ports"',
      severity: 'warning'
    }
  if (backend === 'iptables' && isSpread(text))
    return {
      note: 'iptables takes a range of addresses, or none; with nftables the rebuild stops with "bad ip:ports"',
      severity: 'hint'
    }
  if (kind === 'zero')
    return { note: 'both firewalls take it and send connections to port 0, where nothing can listen' }
  if (kind === 'address' && backend === 'nftables' && octal(text) !== text)
    return {
      note: 'nft reads a number with a leading zero as octal and sends connections to another address than the one that stands here'
    }
  if (kind === 'brackets' && 'value' in parseAddr(text)) {
    const note = `iptables takes the whole text for the address ${text} and sends connections there`
    return splitIPv6(text) === undefined
      ? {
          note: `${note}, on the port that they came for; with nftables or loopbackIPs the rebuild stops with "bad ip:ports"`,
          severity: 'hint'
        }
      : { note: `${note}: the container never gets one, and nobody says so` }
  }
  return { note: refusedAt(at, firewall) }
}

/** `from-to:port` and `:port`, which only iptables takes (iptables-extensions(8), DNAT). */
const isSpread = (text: string): boolean => {
  const [matched, from, to] = /^(?:([\d.]+)-([\d.]+))?:\d+(?:-\d+)?$/.exec(text) ?? []
  return (
    matched !== undefined &&
    [from, to].every(address => address === undefined || 'value' in parseAddr(address))
  )
}

/** `[IPv6]:port` where one of the two brackets was left out. */
const withBothBrackets = (text: string): string | undefined => {
  const [, closed, ports] = /^([^[\]]+)\]:(\d+(?:-\d+)?)$/.exec(text) ?? []
  const [, opened] = /^\[([^[\]]+)$/.exec(text) ?? []
  const split =
    closed !== undefined && 'value' in parseAddr(closed) ? [closed, ports] : splitIPv6(opened ?? '')
  return split === undefined ? undefined : `[${split[0]}]:${split[1]}`
}

/** The address and the port of an unbracketed text, if it can be split into them. */
const splitIPv6 = (text: string): readonly [string, string] | undefined => {
  const [, host = '', ports = ''] = /^(.*):(\d+(?:-\d+)?)$/.exec(text) ?? []
  return 'value' in parseAddr(host) ? [host, ports] : undefined
}

const bracketed = (address: Addr): string =>
  address.family === 6 ? `[${formatAddr(address)}]` : formatAddr(address)

const octal = (text: string): string => text.replace(/\b0+(\d)/g, '$1')

const mend = ({ plan, named }: Place, { destination: { text }, source }: NatForward, kind: Kind): string => {
  const port = source.text.replace(':', '-')
  switch (kind) {
    case 'brackets': {
      const whole = parseAddr(text)
      const owned = 'value' in whole && plan.addresses.owners(whole.value) !== undefined
      const split = owned ? undefined : splitIPv6(text)
      if (split !== undefined) return `write ${quote(`[${split[0]}]:${split[1]}`)}`
      if ('value' in whole) return `write ${quote(`[${text}]:${port}`)}`
      break
    }
    case 'needless-brackets':
      return `write ${quote(text.replace(/[[\]]/g, ''))}`
    case 'half-brackets':
      return `write ${quote(withBothBrackets(text) ?? text)}`
    case 'prefix':
      return `write ${quote(text.replace(/\/\d*/, ''))}`
    case 'port':
    case 'zero': {
      const host = text.replace(/:[^:\]]*$/, '')
      if ('value' in parseAddr(host.replace(/^\[|\]$/g, '')))
        return `write a port from 1 to 65535, as in ${quote(`${host}:80`)}`
      break
    }
    case 'two-ports': {
      const [host, ...ports] = text.split(':')
      if (ports.every(other => /^\d+$/.test(other)))
        return `write "${host}:${ports
          .map(Number)
          .sort((a, b) => a - b)
          .join('-')}" for a range`
      break
    }
    case 'reversed':
      return `write ${quote(text.replace(/(\d+)-(\d+)$/, '$2-$1'))}`
    case 'address': {
      if ('value' in parseAddr(octal(text).replace(/:\d+$/, ''))) return `write ${quote(octal(text))}`
      // The host knows a container as NAME.containers.
      const [, name = '', ports] = /^([\w-]+)(?:\.containers)?:(\d+(?:-\d+)?)$/.exec(text) ?? []
      const address = named(name)
      if (address !== undefined) return `write "${bracketed(address)}:${ports}"`
    }
  }
  return 'write "192.168.100.2:80", "192.168.100.2:8000-8010" or "[fd12:3456:789a::2]:80"'
}

/** The destination as it has to be spelt, where there is one way to read it. */
const respelt = (text: string, kind: Kind): string | undefined => {
  switch (kind) {
    case 'needless-brackets':
      return text.replace(/[[\]]/g, '')
    case 'half-brackets':
      return text.startsWith('[') ? undefined : withBothBrackets(text)
    case 'prefix':
      return text.replace(/\/\d*/, '')
    case 'reversed':
      return text.replace(/(\d+)-(\d+)$/, '$2-$1')
    default:
      return undefined
  }
}

const dead = (place: Place, forward: NatForward): Problem | undefined => {
  const { at, text, address } = forward.destination
  const block = address === undefined ? undefined : specialBlock(address)
  const isLinkLocal = address?.family === 6 && block?.name === 'link-local'
  if (block === undefined || (block.use !== 'dead' && !isLinkLocal)) return undefined
  const isLoopback = block.name === 'loopback'
  if (isLoopback && address?.family === 4 && place.container === undefined && routesLocalnet(place.plan))
    return undefined
  return {
    message: `the destination ${text} is ${block.name.startsWith('the ') ? block.name : `a ${block.name} address`}`,
    labels: [{ at, text: 'packets cannot be sent there' }],
    note:
      looksIPv6(text) && !place.nat.enableIPv6
        ? LEFT_OUT
        : isLinkLocal
          ? 'the kernel looks for such an address on the interface that the packet has come in by, and never sends it on by another one: connections to the forwarded port time out'
          : 'the kernel drops what is sent on to such an address: connections to the forwarded port time out',
    help:
      isLoopback && place.container === undefined
        ? ofHost(place, forward)
        : isLinkLocal
          ? 'write an address of the container that is not link-local'
          : "write the container's own address"
  }
}

/** What a service of the host needs instead of a forward: another address to listen on, and an open port. */
const ofHost = (
  { plan, nat, firewall }: Place,
  { source: { range, text }, destination: { ports = range }, proto: { value = 'tcp' } }: NatForward
): string => {
  const [service] = ports === undefined ? [] : onLoopbackOnly(plan.topology.host.listens, value, ports)
  const external = nat.externalInterface
  const isMoved = ports?.from !== range?.from
  const isOpen =
    !firewall.enable || (range !== undefined && inputFilter(firewall).opens(external ?? '', value, range))
  return `${service === undefined ? "write the container's own address; if the service is one of the host, " : ''}let ${service?.name ?? 'it'} listen on ${isMoved ? `port ${text} of ` : ''}any address${external === undefined ? '' : ` or on that of ${external}`} instead of the loopback, and remove the forward: ${isOpen ? `port ${text} is open already` : `its port has to be open in host.firewall`}`
}

/** Whether the host routes packets from outside to 127.0.0.0/8 (route_localnet in the kernel's ip-sysctl). */
const routesLocalnet = ({ topology: { host } }: Plan): boolean =>
  Array.from(host.sysctl).some(
    ([name, sysctl]) => /^net\.ipv4\.conf\..+\.route_localnet$/.test(name) && isOn(sysctl)
  )

const portless = (
  { nat, firewall: { backend } }: Place,
  { destination, source, loopbackIPs }: NatForward
): Problem | undefined => {
  const { at, text, address, ports } = destination
  // Which port is meant is not known before that of the source is.
  if (address === undefined || ports !== undefined || source.range === undefined) return undefined
  // NixOS leaves the forward out before it reads it: ipv6-forward-dropped tells that.
  if (address.family === 6 && !nat.enableIPv6) return undefined
  const grave = backend === 'nftables' || loopbackIPs.length > 0
  const port = source.text.replace(':', '-')
  const whole = `${bracketed(address)}:${port}`
  return {
    message: `the destination ${text} has no port`,
    labels: [{ at, text: `:${port} is missing` }],
    note: grave
      ? 'the rebuild stops with "bad ip:ports"'
      : 'iptables keeps the port as it is, so it works; with nftables or loopbackIPs the rebuild stops with "bad ip:ports"',
    help: `write "${whole}"`,
    ...offer(replaced(at, whole)),
    ...(grave ? {} : { severity: 'hint' as const })
  }
}
