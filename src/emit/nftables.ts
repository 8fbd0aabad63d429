import type { AddressText, Nat, NatForward, PortRange } from '../model/topology.ts'
import { type Addr, type Family, formatAddr, width } from '../net/addr.ts'
import { formatNetwork, formatPrefix, masked, type Prefix } from '../net/prefix.ts'
import { overlapping } from '../net/set.ts'
import { uplinks } from '../plan/egress.ts'
import { internalNames } from '../plan/nat.ts'
import { FAMILIES, type Plan } from '../plan/plan.ts'
import { formatPath, type Path, quote } from '../text/path.ts'
import type { Emitter, Refusal } from './emitter.ts'
import { type Chain, type Ifname, INDENT, matches, nameFault, oneOf, table } from './print/nft.ts'

/** What networking.nat and the firewall's filterForward do, for a host that has nftables and no NixOS. */
export const nftables: Emitter = {
  id: 'nftables',
  summary: 'NAT and forward rules as one nftables table, for hosts without NixOS',
  cannot: function* (plan) {
    yield* otherPrograms(plan)
    const nat = natOf(plan)
    if (nat === undefined) return
    yield* unwritable(plan, nat)
    yield* unknownAddresses(nat)
    yield* withoutExternal(nat)
    for (const forward of nat.forwardPorts) yield* badForward(nat, forward)
  },
  emit: (plan, mark) => {
    const chains = chainsOf(plan)
    return [
      {
        path: 'netplan.nft',
        text: `# ${mark}\n${[...head(plan), ...(chains.length === 0 ? EMPTY_NOTE : [])]
          .map(line => `#${line === '' ? '' : ` ${line}`}\n`)
          .join('')}\n${table('inet', 'netplan', chains)}`
      }
    ]
  }
}

/** The NAT block, where it is on. */
const natOf = ({ topology: { nat } }: Plan): Nat | undefined => (nat?.enable === true ? nat : undefined)

/** Whether NixOS would filter what the host forwards (firewall-nftables.nix). */
const filters = ({ topology: { host } }: Plan): boolean =>
  host.firewall.filterForward !== undefined && host.firewall.enable && host.firewall.backend === 'nftables'

// What it cannot say

/** Rules that stand in the file as code: they take effect on NixOS, and nothing is known of what they do. */
const otherPrograms = function* (plan: Plan): Generator<Refusal> {
  const { firewall } = plan.topology.host
  const { at, enable, backend, extraCommands, extraForwardRules, extraInputRules } = firewall
  if (!enable) return
  const isNft = backend === 'nftables'
  const texts: readonly (readonly [option: string, text: string | undefined, takesEffect: boolean])[] = [
    ['extraCommands', extraCommands, !isNft],
    ['extraInputRules', extraInputRules, isNft],
    ['extraForwardRules', extraForwardRules, filters(plan)]
  ]
  for (const [option, text = '', takesEffect] of texts)
    if (takesEffect && text.trim() !== '') {
      const place = [...at, option]
      yield {
        at: place,
        feature: `the rules in ${formatPath(place)}`,
        why: `they are ${isNft ? 'nftables' : 'shell'} code for NixOS's own chains, which do not exist on a host without NixOS`,
        help: `load them there from a file of your own, in a table of its own, and remove ${formatPath(place)} from this one`
      }
    }
}

/** An entry of internalInterfaces, or externalInterface, in the spelling of the backend: `ve-+` or `ve-*`. */
const ifnameOf = (plan: Plan, entry: string): Ifname =>
  entry.endsWith(plan.nat.wildcard)
    ? { name: entry.slice(0, -1), pattern: true }
    : { name: entry, pattern: false }

const unwritable = function* (plan: Plan, nat: Nat): Generator<Refusal> {
  const { externalInterface: external } = nat
  const names = [
    ...nat.internalInterfaces,
    ...(external === undefined ? [] : [{ at: [...nat.at, 'externalInterface'], name: external }])
  ]
  for (const { at, name } of names) {
    const why = nameFault(ifnameOf(plan, name))
    if (why !== undefined)
      yield {
        at,
        feature: `the interface name ${quote(name)}`,
        why,
        help: 'give it a name of at most 15 letters, digits, "-", "_" and "."'
      }
  }
}

const unknownAddresses = function* (nat: Nat): Generator<Refusal> {
  const networks: readonly (readonly [Family, readonly AddressText[]])[] = [
    [4, nat.internalIPs],
    [6, nat.internalIPv6s]
  ]
  for (const [family, texts] of networks)
    for (const text of texts) if (text.prefix?.family !== family) yield notKnown(text, family, 'network')
  const addresses: readonly (readonly [Family, AddressText | undefined])[] = [
    [4, nat.externalIP],
    [6, nat.externalIPv6],
    [4, nat.dmzHost]
  ]
  for (const [family, text] of addresses)
    if (text !== undefined && addrOf(text)?.family !== family) yield notKnown(text, family, 'address')
}

/** The address of a text that is just that. */
const addrOf = ({ prefix }: AddressText): Addr | undefined =>
  prefix?.bits === width(prefix?.family ?? 4) ? prefix : undefined

const notKnown = ({ at, text }: AddressText, family: Family, what: 'network' | 'address'): Refusal => ({
  at,
  feature: `${formatPath(at)}: ${quote(text)}`,
  why: `it is no ${what} of IPv${family}`,
  help: `write an ${what === 'network' ? `IPv${family} network as address/bits` : `IPv${family} address without a prefix length`}`
})

const withoutExternal = function* (nat: Nat): Generator<Refusal> {
  if (nat.externalInterface !== undefined && !/^[+*]?$/.test(nat.externalInterface)) return
  const [option] = [
    ...(nat.forwardPorts.length > 0 ? ['forwardPorts'] : []),
    ...(nat.dmzHost === undefined ? [] : ['dmzHost'])
  ]
  if (option !== undefined)
    yield {
      at: [...nat.at, option],
      feature: `nat.${option} without nat.externalInterface`,
      why: 'packets of the containers themselves would be sent there too',
      help: 'write nat.externalInterface: the interface that leads outside'
    }
}

const badForward = function* (nat: Nat, forward: NatForward): Generator<Refusal> {
  const { at, source, destination, proto, loopbackIPs } = forward
  const { address, fault } = destination
  const refuse = (why: string, help: string, place: Path = at): Refusal => ({
    at: place,
    feature: `the forward of port ${source.text} to ${quote(destination.text)}`,
    why,
    help
  })
  if (source.range === undefined || proto.value === undefined || address === undefined || fault !== undefined)
    yield refuse(
      'a port, the protocol or the destination is none',
      'write it as in { sourcePort: 8080, proto: tcp, destination: "192.168.100.2:80" }'
    )
  else if (address.family === 6 && !nat.enableIPv6)
    yield refuse('it is for IPv6, for which NAT is off', 'write nat.enableIPv6: true')
  for (const text of loopbackIPs)
    if (address !== undefined && addrOf(text)?.family !== address.family)
      yield refuse(
        `its loopback address ${quote(text.text)} is no address of IPv${address.family}`,
        `write an IPv${address.family} address without a prefix length`,
        text.at
      )
}

// What it says

const chainsOf = (plan: Plan): readonly Chain[] => {
  const nat = natOf(plan)
  const internal = nat === undefined ? [] : internalNames(plan).map(name => ifnameOf(plan, name))
  const external = nat?.externalInterface === undefined ? undefined : ifnameOf(plan, nat.externalInterface)
  const chains: readonly Chain[] = [
    ...(nat === undefined
      ? []
      : [
          {
            name: 'prerouting',
            base: 'type nat hook prerouting priority dstnat; policy accept',
            rules: [
              ...fromOutside(plan, nat, external),
              ...fromInside(nat, external),
              ...toDmz(nat, external)
            ]
          },
          {
            name: 'output',
            base: 'type nat hook output priority -100; policy accept',
            rules: fromHost(nat)
          },
          {
            name: 'postrouting',
            base: 'type nat hook postrouting priority srcnat; policy accept',
            rules: [...translated(nat, internal, external), ...answersBack(nat, external)]
          }
        ]),
    ...(filters(plan)
      ? [
          {
            name: 'forward',
            base: 'type filter hook forward priority filter; policy drop',
            rules: [...ALWAYS_PASSES, ...passesOut(nat, internal, external)]
          }
        ]
      : [])
  ]
  return chains.filter(({ rules }) => rules.length > 0)
}

const proto = (family: Family): string => `meta nfproto ipv${family}`
const ip = (family: Family): string => (family === 4 ? 'ip' : 'ip6')

/** Words of a rule, those left out that are empty. */
const rule = (...words: readonly string[]): string => words.filter(word => word !== '').join(' ')

const FROM_NOBODY: Ifname = { name: '', pattern: true }

/** The expression for the one interface outside; an empty one where it may be any. */
const one = (key: 'iifname' | 'oifname', external: Ifname | undefined): string =>
  matches(key, [external ?? FROM_NOBODY], INDENT)[0] ?? ''

const families = (nat: Nat): readonly Family[] => FAMILIES.filter(family => family === 4 || nat.enableIPv6)

const portsOf = ({ from, to }: PortRange): string => (from === to ? `${from}` : `${from}-${to}`)

/** Where a forward goes. Several ports are what the kernel chooses from: a port that is among them stays as it is. */
const target = (address: Addr, ports: PortRange | undefined): string =>
  `dnat ${ip(address.family)} to ${
    ports === undefined
      ? formatAddr(address)
      : `${address.family === 6 ? `[${formatAddr(address)}]` : formatAddr(address)}:${portsOf(ports)}`
  }`

/** A forward of which everything is known. */
interface Forward {
  readonly family: Family
  /** `tcp dport 8080` */
  readonly match: string
  /** `dnat ip to 192.168.100.2:80` */
  readonly action: string
  /** What it looks like when it has been translated: `ip daddr 192.168.100.2 tcp dport 80`. */
  readonly arrived: string
  readonly address: Addr
  readonly loopbackIPs: readonly Addr[]
}

const forwardsOf = (nat: Nat): readonly Forward[] =>
  nat.forwardPorts.flatMap(({ source, destination: { address, ports }, proto, loopbackIPs }) =>
    source.range === undefined || address === undefined || proto.value === undefined
      ? []
      : [
          {
            family: address.family,
            match: `${proto.value} dport ${portsOf(source.range)}`,
            action: target(address, ports),
            arrived: `${ip(address.family)} daddr ${formatAddr(address)} ${proto.value} dport ${portsOf(ports ?? source.range)}`,
            address,
            loopbackIPs: loopbackIPs.flatMap(text => addrOf(text) ?? [])
          }
        ]
  )

/** To whom it goes, where that is a name that can stand in a comment. */
const noted = (plan: Plan, addr: Addr): string => {
  const owner = plan.addresses.owners(addr)?.find(({ kind, enabled }) => kind === 'local' && enabled)
  const name = owner?.link?.node.name ?? ''
  return /^[A-Za-z0-9-]{1,64}$/.test(name) ? `comment "${name}"` : ''
}

const fromOutside = (plan: Plan, nat: Nat, external: Ifname | undefined): readonly string[] =>
  forwardsOf(nat).map(({ family, match, action, address }) => {
    const own = family === 4 ? nat.externalIP : nat.externalIPv6
    const to = own?.prefix === undefined ? proto(family) : `${ip(family)} daddr ${formatAddr(own.prefix)}`
    return rule(one('iifname', external), to, match, action, noted(plan, address))
  })

/** The loopback addresses of a forward as an expression, with what is given before it; none where it has none. */
const atLoopback = (
  { family, loopbackIPs }: Forward,
  expression: (addresses: string) => string
): readonly string[] =>
  loopbackIPs.length === 0
    ? []
    : [expression(`${ip(family)} daddr ${oneOf([...new Set(loopbackIPs.map(formatAddr))], INDENT)}`)]

/** Everything that does not lie outside reaches the forward at its loopback addresses. */
const fromInside = (nat: Nat, external: Ifname | undefined): readonly string[] =>
  forwardsOf(nat).flatMap(forward =>
    atLoopback(forward, address => rule(notFrom(external), address, forward.match, forward.action))
  )

const fromHost = (nat: Nat): readonly string[] =>
  forwardsOf(nat).flatMap(forward =>
    atLoopback(forward, address => rule(address, forward.match, forward.action))
  )

/** Clients inside would be answered directly, from an address that they have not asked; so they come from the host. */
const answersBack = (nat: Nat, external: Ifname | undefined): readonly string[] =>
  forwardsOf(nat).flatMap(forward =>
    atLoopback(forward, address =>
      rule(notFrom(external), forward.arrived, 'ct status dnat ct original', address, 'masquerade')
    )
  )

const notFrom = (external: Ifname | undefined): string => {
  const from = one('iifname', external)
  return from === '' ? '' : from.replace('iifname ', 'iifname != ')
}

/** What no forward before it has taken. */
const toDmz = ({ dmzHost }: Nat, external: Ifname | undefined): readonly string[] =>
  dmzHost?.prefix === undefined
    ? []
    : [rule(one('iifname', external), proto(4), target(dmzHost.prefix, undefined))]

const translated = (nat: Nat, internal: readonly Ifname[], external: Ifname | undefined): readonly string[] =>
  families(nat).flatMap(family => {
    const own = family === 4 ? nat.externalIP : nat.externalIPv6
    const action =
      own?.prefix === undefined ? 'masquerade' : `snat ${ip(family)} to ${formatAddr(own.prefix)}`
    return [
      ...matches('iifname', internal, INDENT).map(from =>
        rule(proto(family), from, one('oifname', external), action)
      ),
      ...fromNetworks(nat, family).map(from => rule(from, one('oifname', external), action))
    ]
  })

/** NixOS lets IPv6 pass as well where it does not translate it. */
const passesOut = (
  nat: Nat | undefined,
  internal: readonly Ifname[],
  external: Ifname | undefined
): readonly string[] =>
  nat === undefined
    ? []
    : [...matches('iifname', internal, INDENT), ...FAMILIES.flatMap(family => fromNetworks(nat, family))].map(
        from => rule(from, one('oifname', external), 'accept')
      )

/** internalIPs without those that lie in another one, which older versions of nft call a conflict. */
const fromNetworks = (nat: Nat, family: Family): readonly string[] => {
  const known = new Map<string, Prefix>()
  for (const { prefix } of family === 4 ? nat.internalIPs : nat.internalIPv6s)
    if (prefix?.family === family) known.set(formatNetwork(prefix), masked(prefix))
  for (const { inner } of overlapping(known, ([, prefix]) => prefix)) known.delete(inner[0])
  if (known.size === 0) return []
  const texts = Array.from(known.values(), prefix =>
    prefix.bits === width(family) ? formatAddr(prefix) : formatPrefix(prefix)
  )
  return [`${ip(family)} saddr ${oneOf(texts, INDENT)}`]
}

/**
 * What the forward chain of NixOS lets through whatever else is said (firewall-nftables.nix; RFC 4890 section 4.3): 139 is
 * a node information query.
 */
const ALWAYS_PASSES: readonly string[] = [
  'ct state vmap { invalid : drop, established : accept, related : accept }',
  'icmpv6 type != { router-renumbering, 139 } accept',
  'ct status dnat accept'
]

// What it says to people

const head = (plan: Plan): readonly string[] => {
  const nat = natOf(plan)
  const isFiltered = filters(plan)
  const lines = [
    nat === undefined
      ? isFiltered
        ? 'What this host forwards.'
        : 'NAT of this host.'
      : `NAT of this host, IPv4${nat.enableIPv6 ? ' and IPv6' : ' only'}${isFiltered ? ', and what it forwards' : ''}.`,
    'Load it with: nft -f netplan.nft',
    'Loading it again puts the new rules into the place of the old ones; other tables stay as they are.'
  ]
  if (nat !== undefined || isFiltered) {
    lines.push('', 'The host has to forward (sysctl.d(5)):', '  net.ipv4.ip_forward=1')
    if (nat?.enableIPv6 === true)
      lines.push('  net.ipv6.conf.all.forwarding=1', ...routerAdvertisements(plan, nat))
  }
  lines.push('', "The host's own INPUT firewall is not in here, and neither are those of the containers.")
  if (plan.ports.some(({ kind }) => kind === 'nspawn'))
    lines.push(
      'The ports in forwardPorts of containers are forwarded by systemd-nspawn itself, in tables of its own.'
    )
  if (plan.topology.bridges.some(({ masquerade }) => masquerade[4] || masquerade[6]))
    lines.push('What IPMasquerade= of a bridge says is done by systemd-networkd, in tables of its own.')
  return lines
}

const EMPTY_NOTE: readonly string[] = [
  '',
  'Nothing is to be translated and nothing to be filtered: the table is empty.'
]

/** A host that forwards IPv6 takes no router advertisements otherwise (the kernel's ip-sysctl, accept_ra). */
const routerAdvertisements = (plan: Plan, { externalInterface }: Nat): readonly string[] => {
  const [only, ...others] = externalInterface === undefined ? uplinks(plan) : [externalInterface]
  // sysctl(8) has a slash for the dot of a name.
  return only !== undefined && others.length === 0 && /^[A-Za-z0-9_.-]+$/.test(only)
    ? [`  net.ipv6.conf.${only.replaceAll('.', '/')}.accept_ra=2`]
    : ['  net.ipv6.conf.UPLINK.accept_ra=2, for each interface with a router outside']
}
