import { type Mend, offer } from '../findings/mend.ts'
import type { AddressText, Container, Firewall, Gateway } from '../model/topology.ts'
import type { Family } from '../net/addr.ts'
import { type NatPlace, natPlaces, refusedAt } from '../plan/nat.ts'
import type { Link, Plan } from '../plan/plan.ts'
import type { Path } from '../text/path.ts'
import type { Rule } from './rule.ts'

/** A20, D41, D42 */
export const wrongAddressFamily: Rule = {
  id: 'wrong-address-family',
  group: 'addresses',
  severity: 'error',
  exposes: true,
  summary: 'An IPv4 option holds an IPv6 address, or the other way round.',
  *check(plan) {
    for (const found of familyOptions(plan)) {
      const { option, address, owner, right, family, use, firewall } = found
      const { prefix, at, text } = address
      if (prefix === undefined || prefix.family === family) continue
      const works = family === 4 && use !== 'nat'
      yield {
        message: `${option} of ${owner} is ${text}, an IPv${prefix.family} address`,
        labels: [{ at, text: `${option} takes IPv${family}` }],
        note:
          firewall !== undefined
            ? refused(at, firewall, family)
            : works
              ? '`ip` takes either family here, so it works by luck: the option is meant for IPv4, and a script that calls "ip -4" refuses it'
              : use === 'pair'
                ? `"ip -6" refuses it ("inet6 prefix is expected rather than"), and the container's unit fails`
                : '"ip -6 route" refuses it ("inet6 address is expected rather than"), so the default route is not set',
        help: `move it to ${right}`,
        ...moved(found),
        ...(works ? { severity: 'warning' as const } : {})
      }
    }
  }
}

/** The key takes the name of the other one; where that has an address of the wrong family as well, the two change places. */
const moved = ({ option, right, address, other, use, family }: FamilyOption): { readonly mend?: Mend } => {
  const { at, text } = address
  if (use === 'nat') return {}
  const key = at.at(-1) === option ? at : at.slice(0, -1)
  if (other === undefined) return offer({ kind: 'rename', at: key, key: right })
  return other.prefix?.family === family
    ? offer({ kind: 'replace', at, value: other.text }, { kind: 'replace', at: other.at, value: text })
    : {}
}

const OTHERS = {
  hostAddress: 'hostAddress6',
  hostAddress6: 'hostAddress',
  localAddress: 'localAddress6',
  localAddress6: 'localAddress',
  defaultGateway: 'defaultGateway6',
  defaultGateway6: 'defaultGateway'
} as const

const refused = (at: Path, firewall: Firewall, family: Family): string => {
  const note = refusedAt(at, firewall)
  return family === 4 || firewall.backend === 'nftables' ? note : note.replace('iptables', 'ip6tables')
}

interface FamilyOption {
  readonly option: string
  readonly owner: string
  readonly address: AddressText
  readonly family: Family
  /** The option that takes the other family. */
  readonly right: string
  readonly use: 'pair' | 'gateway' | 'nat'
  /** What the right option has now. */
  readonly other?: AddressText | undefined
  /** The one that gets the address in a rule. */
  readonly firewall?: Firewall
}

const familyOptions = function* ({ links, topology }: Plan): Generator<FamilyOption> {
  const { having, seen } = topology
  const six = [having.hostAddress6, having.localAddress6, having.defaultGateway6, having.extraVeths]
  // Without IPv6 addresses only IPv4 in an option for IPv6 is left.
  if (seen.IPv6 || six.some(containers => containers.length > 0))
    yield* ofContainers(links, topology.containers)
  yield* gateways(topology.host, 'the host')
  for (const place of natPlaces(topology)) if (place.nat.enable) yield* ofNat(place)
}

const ofContainers = function* (
  links: readonly Link[],
  containers: readonly Container[]
): Generator<FamilyOption> {
  for (const { veth, node } of links) {
    if (veth === undefined) continue
    for (const option of ['hostAddress', 'localAddress', 'hostAddress6', 'localAddress6'] as const) {
      const address = veth[option]
      if (address !== undefined && isForeign(option, address))
        yield {
          owner: `container "${node.name}"`,
          address,
          use: 'pair',
          ...pairOf(option),
          other: veth[OTHERS[option]]
        }
    }
  }
  for (const container of containers)
    if (container.enabled && (container.defaultGateway ?? container.defaultGateway6) !== undefined)
      yield* gateways(container, `container "${container.name}"`)
}

/** Whether the address is not of the family that the option's name says. */
const isForeign = (option: string, { prefix }: AddressText): boolean =>
  prefix !== undefined && (prefix.family === 6) !== option.endsWith('6')

const pairOf = (option: string): Pick<FamilyOption, 'option' | 'family' | 'right'> =>
  option.endsWith('6')
    ? { option, family: 6, right: option.slice(0, -1) }
    : { option, family: 4, right: `${option}6` }

type WithGateways = Pick<Container, 'defaultGateway' | 'defaultGateway6'>

const gateways = function* (node: WithGateways, owner: string): Generator<FamilyOption> {
  for (const option of ['defaultGateway', 'defaultGateway6'] as const) {
    const gateway: Gateway | undefined = node[option]
    if (gateway !== undefined && isForeign(option, gateway.address))
      yield {
        owner,
        address: gateway.address,
        use: 'gateway',
        ...pairOf(option),
        other: node[OTHERS[option]]?.address
      }
  }
}

/** What NixOS pastes into rules of one family. The IPv6 ones are made only with enableIPv6, and dmzHost is for IPv4 alone. */
const ofNat = function* ({ nat, firewall }: NatPlace): Generator<FamilyOption> {
  const owner = nat.at.join('.')
  const four = { owner, family: 4, use: 'nat', firewall } as const
  for (const address of nat.internalIPs)
    yield { ...four, option: 'internalIPs', right: 'internalIPv6s', address }
  if (nat.externalIP !== undefined)
    yield { ...four, option: 'externalIP', right: 'externalIPv6', address: nat.externalIP }
  // Which table a forward is in hangs on its destination.
  for (const { destination, loopbackIPs } of nat.forwardPorts) {
    const family = destination.address?.family
    if (family === undefined || destination.fault !== undefined || (family === 6 && !nat.enableIPv6)) continue
    for (const address of loopbackIPs)
      yield {
        owner: `the forward to ${destination.text}`,
        use: 'nat',
        firewall,
        family,
        option: 'loopbackIPs',
        right: `a forward to an IPv${family === 6 ? 4 : 6} address`,
        address
      }
  }
  if (nat.dmzHost !== undefined)
    yield { ...four, option: 'dmzHost', right: 'a forward in nat.forwardPorts', address: nat.dmzHost }
  if (!nat.enableIPv6) return
  const six = { owner, family: 6, use: 'nat', firewall } as const
  for (const address of nat.internalIPv6s)
    yield { ...six, option: 'internalIPv6s', right: 'internalIPs', address }
  if (nat.externalIPv6 !== undefined)
    yield { ...six, option: 'externalIPv6', right: 'externalIP', address: nat.externalIPv6 }
}
