import type { Label, Problem } from '../findings/finding.ts'
import { type Edit, offer } from '../findings/mend.ts'
import type { AddressText, Container, Interface } from '../model/topology.ts'
import { sameAddr } from '../net/addr.ts'
import { contains, type Prefix } from '../net/prefix.ts'
import { hasVeth } from '../plan/links.ts'
import { isMadeLater } from '../plan/nat.ts'
import type { Link, Plan } from '../plan/plan.ts'
import type { Path } from '../text/path.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** nspawn-network.c: a macvlan is called mv-PARENT inside, a moved interface and an extra veth keep their names. */
export const unknownInsideInterface: Rule = {
  id: 'unknown-inside-interface',
  group: 'containers',
  severity: 'error',
  summary: "A container's own configuration sets up or uses an interface that it does not have.",
  *check({ topology, linksOf, bridges }) {
    for (const container of topology.containers) {
      const { enabled, partial, networkNamespace } = container
      if (!enabled || partial || networkNamespace) continue
      const uses = usesOf(container)
      const links = uses.length === 0 ? undefined : linksOf.get(container)
      if (links === undefined) continue
      const missing = new Map<string, Use[]>()
      for (const use of uses) {
        const { name } = use
        if (name === '' || isThere(container, links, name)) continue
        if (missing.has(name)) missing.get(name)?.push(use)
        else if (isSure(name) || isMeant(use, links)) missing.set(name, [use])
      }
      for (const [name, [first, ...rest]] of missing)
        if (first !== undefined) yield problem(container, links, bridges, name, first, rest)
    }
  }
}

/** Where a container's configuration has the name of one of its interfaces. */
interface Use {
  readonly name: string
  readonly at: Path
  readonly key: boolean
  readonly kind: 'set-up' | 'dhcp' | 'gateway' | 'nat'
  readonly interface: Interface | undefined
  /** The router that is behind it. */
  readonly router: AddressText | undefined
}

const NONE: readonly never[] = []

/** What sets up an interface first, then what only names one. */
const usesOf = (container: Container): readonly Use[] => {
  const { at, dhcp, defaultGateway, defaultGateway6, inside } = container
  const isPlain = !dhcp && inside.interfaces.length === 0 && inside.nat === undefined
  const gateways = [defaultGateway, defaultGateway6].flatMap(gateway =>
    gateway?.interface === undefined ? [] : [{ ...gateway, interface: gateway.interface }]
  )
  // What nearly every container is.
  if (isPlain && (gateways.length === 0 || hasVeth(container)))
    if (gateways.every(gateway => gateway.interface === 'eth0')) return NONE
  const use = (name: string, at: Path, kind: Use['kind'], more?: Partial<Use>): Use => ({
    name,
    at,
    key: kind === 'set-up',
    kind,
    interface: undefined,
    router: undefined,
    ...more
  })
  const { nat } = inside
  return [
    ...inside.interfaces
      .filter(isSet)
      .map(entry => use(entry.name, entry.at, 'set-up', { interface: entry })),
    ...(dhcp ? [use('eth0', [...at, 'dhcp'], 'dhcp')] : []),
    ...gateways.map(({ interface: name, at, address }) =>
      use(name, [...at, 'interface'], 'gateway', { router: address })
    ),
    ...(nat?.enable === true && !nat.partial
      ? [
          ...(nat.externalInterface === undefined
            ? []
            : [use(nat.externalInterface, [...nat.at, 'externalInterface'], 'nat')]),
          ...nat.internalInterfaces.map(({ name, at }) => use(name, at, 'nat'))
        ].filter(({ name }) => !/[+*]$/.test(name))
      : [])
  ]
}

const isSet = ({ addresses, dhcp, routes }: Interface): boolean =>
  dhcp || addresses.length + routes.length > 0

/** Whether an interface of that name exists inside, or something in the container may make it. */
const isThere = ({ inside, vpn, enableTun }: Container, links: readonly Link[], name: string): boolean =>
  links.some(link => link.ifname === name) ||
  inside.bridges.some(other => other.name === name) ||
  inside.vlans.some(other => other.name === name) ||
  (!isSure(name) &&
    (isMadeLater(name) || enableTun || vpn !== undefined || name.includes('.') || name.startsWith('br')))

/** The names that only systemd-nspawn and NixOS give. */
const isSure = (name: string): boolean => /^(mv-.+|eth0|host0)$/.test(name)

/**
 * Whether a name is meant for an interface that the host gives, and not for a tunnel of the container: it asks for DHCP or
 * has an address of a network that the container is in, or something else depends on it.
 */
const isMeant = ({ kind, interface: entry }: Use, links: readonly Link[]): boolean =>
  kind !== 'set-up' ||
  entry?.dhcp === true ||
  entry?.addresses.some(({ prefix }) =>
    [
      ...links.flatMap(({ addresses }) => addresses),
      ...links.flatMap(({ bridge }) => bridge?.bridge.addresses ?? [])
    ].some(own => own.prefix !== undefined && prefix !== undefined && contains(own.prefix, prefix))
  ) === true ||
  links.every(({ addresses }) => addresses.length === 0)

const SHOWN = 4

const problem = (
  container: Container,
  links: readonly Link[],
  bridges: Plan['bridges'],
  name: string,
  first: Use,
  rest: readonly Use[]
): Problem => {
  const own = listed(links.map(({ ifname }) => ifname))
  const lead = `container "${container.name}" has no interface ${name}`
  const address = first.interface?.addresses[0]?.text
  const message = {
    'set-up': `${lead}, which its own configuration sets up; it has ${own}`,
    dhcp: `${lead}, and dhcp is for that one; it has ${own}`,
    gateway: `${lead}, by which its default route is to go; it has ${own}`,
    nat: `${lead}, which its NAT names; it has ${own}`
  }[first.kind]
  const note = {
    'set-up': `NixOS waits for a device that never comes: ${address === undefined ? 'nobody asks for an address' : `${address} is given to nobody`}, and the interface that is there is not set up by it`,
    dhcp: 'NixOS waits for a device that never comes: nobody asks for an address, and the interface that is there has none by DHCP',
    gateway: `the route is bound to a device that never comes ("Cannot find device "${name}""): the container has no default route by it`,
    nat: 'a rule for an interface that does not exist is valid and matches nothing: nothing is translated'
  }[first.kind]
  return {
    message,
    labels: [
      {
        at: first.at,
        ...(first.key ? { on: 'key' as const } : {}),
        text: 'no interface of this name inside'
      },
      ...rest
        .slice(0, SHOWN)
        .map(({ at, key }): Label => ({ at, ...(key ? { on: 'key' as const } : {}), text: 'used here too' })),
      ...links.slice(0, SHOWN).map(({ at, kind, ifname, veth }) => ({
        at,
        ...(kind === 'veth' && veth !== undefined ? { on: 'key' as const } : {}),
        text: `called ${ifname} inside${veth?.extra === false ? ': the pair of the container' : ''}`
      }))
    ],
    note,
    help: mend(container, links, bridges, name, first, rest),
    ...offer(...[first, ...rest].map(use => renamed(container, links, use))),
    ...(isSure(name) ? {} : { severity: 'warning' as const })
  }
}

/** The name of the only interface in place of one that is not there. */
const renamed = (
  { inside }: Container,
  links: readonly Link[],
  { at, kind, interface: entry }: Use
): Edit | undefined => {
  const [only, other] = links
  if (only === undefined || other !== undefined || kind === 'dhcp') return undefined
  if (kind !== 'set-up') return { kind: 'replace', at, value: only.ifname }
  const isWanted = inside.interfaces.some(
    own => own.name === only.ifname || (own !== entry && fits(only, own))
  )
  return isWanted || only.addresses.length > 0 || !fits(only, entry)
    ? undefined
    : { kind: 'rename', at, key: only.ifname }
}

/** Whether an interface of these addresses may be meant to be on a link: its bridge has such a network, or is not known. */
const fits = ({ bridge }: Link, entry: Interface | undefined): boolean => {
  const addresses = entry?.addresses ?? NONE
  const subnets = bridge?.subnets ?? NONE
  return (
    bridge?.open === true ||
    addresses.length === 0 ||
    subnets.length === 0 ||
    addresses.some(({ prefix: own }) =>
      subnets.some(({ prefix }) => own !== undefined && contains(prefix, own))
    )
  )
}

const hasOne = (addresses: readonly AddressText[], isWanted: (own: Prefix) => boolean): boolean =>
  addresses.some(({ prefix }) => prefix !== undefined && isWanted(prefix))

const mend = (
  container: Container,
  links: readonly Link[],
  bridges: Plan['bridges'],
  name: string,
  first: Use,
  rest: readonly Use[]
): string => {
  const { inside } = container
  const own = first.interface?.addresses ?? []
  const has = (link: Link, { prefix }: AddressText): boolean =>
    hasOne(link.addresses, other => prefix !== undefined && sameAddr(other, prefix))
  const twin = links.find(link => own.some(address => has(link, address)))
  if (twin !== undefined) {
    const there = own.filter(address => has(twin, address))
    const known = `${twin.ifname} has ${listed(there.map(({ text }) => text))} already`
    return rest.length === 0 && there.length === own.length
      ? `remove it: ${known}`
      : `write ${twin.ifname} wherever ${name} is named; ${known}`
  }
  const router = first.router?.prefix
  const near = links.find(({ addresses, hostAddresses }) =>
    hasOne([...addresses, ...hostAddresses], own => router !== undefined && contains(own, router))
  )
  if (near !== undefined) return `write interface: ${near.ifname}`
  if (first.kind === 'nat' && links.length > 1)
    return `write the right one of ${listed(links.map(({ ifname }) => ifname))} instead of ${name}`
  const unset = links.filter(
    link => !inside.interfaces.some(other => other.name === link.ifname) && fits(link, first.interface)
  )
  const [elsewhere] = own.flatMap(({ prefix, text }) => {
    const bridge = Array.from(bridges.values()).find(({ subnets }) =>
      subnets.some(subnet => prefix !== undefined && contains(subnet.prefix, prefix))
    )
    return bridge === undefined ? [] : [{ bridge: bridge.bridge.name, text }]
  })
  if (elsewhere !== undefined && unset.length === 0 && links.every(link => !fits(link, first.interface)))
    return `it has none on "${elsewhere.bridge}", the bridge of ${elsewhere.text}: write extraVeths: { ${elsewhere.bridge.slice(0, 12)}-in: { hostBridge: ${elsewhere.bridge}, localAddress: ${elsewhere.text} } } instead`
  const free = unset.find(({ addresses }) => addresses.length === 0)
  const any =
    first.kind === 'set-up'
      ? isSure(name)
        ? (unset[0] ?? links.find(link => fits(link, first.interface)))
        : undefined
      : links[0]
  const meant = free ?? any
  if (meant === undefined)
    return `give the container such an interface, as with extraVeths: { ${name}: { hostBridge: … } } or a macvlan, or remove it`
  if (first.kind === 'dhcp')
    return `write inside: { interfaces: { ${meant.ifname}: { dhcp: true } } } instead`
  if (first.kind === 'gateway') return `write interface: ${meant.ifname}`
  return `write ${meant.ifname} instead of ${name}`
}
