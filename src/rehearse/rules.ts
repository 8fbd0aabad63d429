import { forwardRules, printed } from '../plan/forward-rules.ts'
import type { AddressText, Firewall, Nat, NatForward, OpenPorts } from '../model/topology.ts'
import { type Family, formatAddr, width } from '../net/addr.ts'
import { formatPrefix } from '../net/prefix.ts'
import { bareAddress, hasPorts } from '../plan/failures.ts'
import { FAMILIES } from '../plan/plan.ts'

// The firewall and NAT of a machine as NixOS loads them (nixpkgs: firewall-iptables.nix, nat-iptables.nix,
// firewall-nftables.nix, nat-nftables.nix of 2025). What stands in a topology as code (extraCommands and the like) is not
// run. A value that no tool takes is written as one that no tool takes, so that what happens then happens here too.

/** The rules of one machine, in the language of its backend. */
export type Ruleset =
  | {
      readonly backend: 'iptables'
      /** One command after another, as firewall-start runs them: it stops at the first that fails. */
      readonly rules: readonly IptablesRule[]
    }
  | {
      readonly backend: 'nftables'
      /** A file for nft, which takes all of it or nothing. */
      readonly text: string
    }

export interface IptablesRule {
  readonly family: Family
  readonly table: 'mangle' | 'nat' | 'filter'
  /** `-A nixos-fw -i lo -j nixos-fw-accept`, or `-N nixos-fw`. */
  readonly args: string
}

/** What has a firewall: the host or a container. */
export interface Guarded {
  readonly firewall: Firewall
  readonly nat: Nat | undefined
  readonly enableIPv6: boolean
}

/** Undefined where nothing is to be loaded. */
export const rulesetOf = ({ firewall, nat, enableIPv6 }: Guarded): Ruleset | undefined => {
  const translating = nat?.enable === true ? nat : undefined
  if (!firewall.enable && translating === undefined) return undefined
  return firewall.backend === 'nftables'
    ? { backend: 'nftables', text: nftablesText(firewall, translating) }
    : { backend: 'iptables', rules: iptablesRules(firewall, translating, enableIPv6) }
}

/** A name as the tools get it; for one that would be more than a name to them, one that is too long for all of them. */
const ifname = (name: string): string => (/^[\w.@+*,=~^-]+$/.test(name) ? name : 'no-name-of-an-interface')

/** An address or network as the tools get it. What is none is left to them to refuse. */
const address = ({ prefix, bare }: AddressText): string =>
  prefix === undefined ? 'no-address' : bare ? formatAddr(prefix) : formatPrefix(prefix)

const forwardsOf = ({ forwardPorts }: Nat, family: Family): readonly NatForward[] =>
  // What is no address at all counts as IPv4 there: it has no two colons.
  forwardPorts.filter(({ destination: { address, text } }) =>
    address === undefined ? text.split(':').length > 2 === (family === 6) : address.family === family
  )

const externalIPOf = (nat: Nat, family: Family): AddressText | undefined =>
  family === 4 ? nat.externalIP : nat.externalIPv6

// iptables

type Add = (args: string) => void

const iptablesRules = (
  firewall: Firewall,
  nat: Nat | undefined,
  enableIPv6: boolean
): readonly IptablesRule[] => {
  const rules: IptablesRule[] = []
  const families = FAMILIES.filter(family => family === 4 || enableIPv6)
  const on =
    (table: IptablesRule['table'], only: readonly Family[] = families): Add =>
    args => {
      for (const family of only) rules.push({ family, table, args })
    }
  const translate = (): void => {
    if (nat === undefined) return
    for (const chain of ['pre', 'post', 'out']) on('nat')(`-N nixos-nat-${chain}`)
    on('filter')('-N nixos-filter-forward')
    for (const family of families)
      if (family === 4 || nat.enableIPv6)
        translateFamily(nat, family, on('nat', [family]), on('filter', [family]))
    if (nat.dmzHost !== undefined)
      on('nat', [4])(`-A nixos-nat-pre${inFrom(nat)} -j DNAT --to-destination ${address(nat.dmzHost)}`)
    on('nat')('-A PREROUTING -j nixos-nat-pre')
    on('nat')('-A POSTROUTING -j nixos-nat-post')
    on('nat')('-A OUTPUT -j nixos-nat-out')
    on('filter')('-A FORWARD -j nixos-filter-forward')
  }
  if (!firewall.enable) {
    translate()
    return rules
  }
  const all = on('filter')
  all('-N nixos-fw-accept')
  all('-A nixos-fw-accept -j ACCEPT')
  all('-N nixos-fw-refuse')
  if (firewall.rejectPackets) {
    all('-A nixos-fw-refuse -p tcp ! --syn -j REJECT --reject-with tcp-reset')
    all('-A nixos-fw-refuse -j REJECT')
  } else all('-A nixos-fw-refuse -j DROP')
  all('-N nixos-fw-log-refuse')
  all('-A nixos-fw-log-refuse -m pkttype ! --pkt-type unicast -j nixos-fw-refuse')
  all('-A nixos-fw-log-refuse -j nixos-fw-refuse')
  all('-N nixos-fw')
  if (firewall.checkReversePath !== 'off') {
    const loose = firewall.checkReversePath === 'loose' ? ' --loose' : ''
    on('mangle')('-N nixos-fw-rpfilter')
    on('mangle')(`-A nixos-fw-rpfilter -m rpfilter --validmark${loose} -j RETURN`)
    on('mangle', [4])('-A nixos-fw-rpfilter -p udp --sport 67 --dport 68 -j RETURN')
    on(
      'mangle',
      [4]
    )('-A nixos-fw-rpfilter -s 0.0.0.0 -d 255.255.255.255 -p udp --sport 68 --dport 67 -j RETURN')
    on('mangle')('-A nixos-fw-rpfilter -j DROP')
    on('mangle')('-A PREROUTING -j nixos-fw-rpfilter')
  }
  for (const name of ['lo', ...firewall.trustedInterfaces.map(({ name }) => name)])
    all(`-A nixos-fw -i ${ifname(name)} -j nixos-fw-accept`)
  for (const name of ['ve-+', 'vz-+', 'vt-+', 'ns-+'])
    all(`-A nixos-fw -i ${name} -p udp --dport 67 -j nixos-fw-accept`)
  all('-A nixos-fw -m conntrack --ctstate ESTABLISHED,RELATED -j nixos-fw-accept')
  for (const protocol of ['tcp', 'udp'] as const)
    for (const { name, open } of openingsOf(firewall))
      for (const { from, to } of open[protocol])
        all(
          `-A nixos-fw -p ${protocol} --dport ${from === to ? from : `${from}:${to}`} -j nixos-fw-accept${name === undefined ? '' : ` -i ${ifname(name)}`}`
        )
  if (firewall.allowPing) on('filter', [4])('-A nixos-fw -p icmp --icmp-type echo-request -j nixos-fw-accept')
  if (enableIPv6) {
    const six = on('filter', [6])
    six('-A nixos-fw -p icmpv6 --icmpv6-type redirect -j DROP')
    six('-A nixos-fw -p icmpv6 --icmpv6-type 139 -j DROP')
    six('-A nixos-fw -p icmpv6 -j nixos-fw-accept')
    six('-A nixos-fw -d fe80::/64 -p udp --dport 546 -j nixos-fw-accept')
  }
  translate()
  all('-A nixos-fw -j nixos-fw-log-refuse')
  all('-A INPUT -j nixos-fw')
  return rules
}

/** What is open everywhere, then for each interface. */
const openingsOf = ({
  open,
  interfaces
}: Firewall): readonly {
  readonly name: string | undefined
  readonly open: { readonly tcp: readonly OpenPorts[]; readonly udp: readonly OpenPorts[] }
}[] => [{ name: undefined, open }, ...interfaces]

const inFrom = ({ externalInterface }: Nat): string =>
  externalInterface === undefined ? '' : ` -i ${ifname(externalInterface)}`
const outTo = ({ externalInterface }: Nat): string =>
  externalInterface === undefined ? '' : ` -o ${ifname(externalInterface)}`

const translateFamily = (nat: Nat, family: Family, add: Add, filter: Add): void => {
  const external = externalIPOf(nat, family)
  const target = external === undefined ? 'MASQUERADE' : `SNAT --to-source ${address(external)}`
  const internal = nat.internalInterfaces.map(({ name }) => ifname(name))
  const ranges = (family === 4 ? nat.internalIPs : nat.internalIPv6s).map(address)
  for (const name of internal) {
    add(`-A nixos-nat-pre -i ${name} -j MARK --set-mark 1`)
    filter(`-A nixos-filter-forward -i ${name}${outTo(nat)} -j ACCEPT`)
  }
  if (internal.length > 0) add(`-A nixos-nat-post -m mark --mark 1${outTo(nat)} -j ${target}`)
  for (const range of ranges) {
    add(`-A nixos-nat-post -s ${range}${outTo(nat)} -j ${target}`)
    filter(`-A nixos-filter-forward -s ${range}${outTo(nat)} -j ACCEPT`)
  }
  filter('-A nixos-filter-forward -m state --state ESTABLISHED,RELATED -j ACCEPT')
  for (const forward of forwardsOf(nat, family)) {
    const { source, destination, proto, loopbackIPs } = forward
    const protocol = proto.value ?? (hasPorts(proto.text) ? proto.text.toLowerCase() : 'no-protocol')
    const match = `-p ${protocol} --dport ${portsOf(source.range, ':') ?? 'no-port'}`
    const goal = destinationOf(forward)
    const own = external === undefined ? '' : ` -d ${address(external)}`
    add(`-A nixos-nat-pre${inFrom(nat)}${own} ${match} -j DNAT --to-destination ${goal}`)
    filter(`-A nixos-filter-forward${inFrom(nat)} ${match} -j ACCEPT`)
    const arrived = `-d ${destination.address === undefined ? 'no-address' : formatAddr(destination.address)} -p ${protocol} --dport ${portsOf(destination.ports, ':') ?? 'no-port'}`
    for (const loopback of loopbackIPs.map(address)) {
      add(`-A nixos-nat-out -d ${loopback} ${match} -j DNAT --to-destination ${goal}`)
      for (const from of [...ranges.map(range => `-s ${range}`), ...internal.map(name => `-i ${name}`)]) {
        add(`-A nixos-nat-pre -d ${loopback} ${from} ${match} -j DNAT --to-destination ${goal}`)
        add(`-A nixos-nat-post ${from} ${arrived} -j SNAT --to-source ${loopback}`)
        filter(`-A nixos-filter-forward ${from} ${arrived} -j ACCEPT`)
      }
    }
  }
}

const portsOf = (
  range: { readonly from: number; readonly to: number } | undefined,
  separator: ':' | '-'
): string | undefined =>
  range === undefined
    ? undefined
    : range.from === range.to
      ? `${range.from}`
      : `${range.from}${separator}${range.to}`

const destinationOf = ({ destination }: NatForward): string => {
  const { address, ports, fault } = destination
  const bare = bareAddress(destination)
  if (bare !== undefined) return formatAddr(bare)
  if (address === undefined || fault !== undefined) return 'no-address'
  const host = address.family === 6 ? `[${formatAddr(address)}]` : formatAddr(address)
  const port = portsOf(ports, '-')
  return port === undefined ? host : `${host}:${port}`
}

/** The rules of one family as iptables-restore reads them: all of it at once, which is much faster than one by one. */
export const restoreText = (rules: readonly IptablesRule[], family: Family): string => {
  const text: string[] = []
  for (const table of ['mangle', 'nat', 'filter'] as const) {
    const own = rules.filter(rule => rule.family === family && rule.table === table)
    if (own.length === 0) continue
    text.push(`*${table}`)
    for (const { args } of own) if (args.startsWith('-N ')) text.push(`:${args.slice(3)} - [0:0]`)
    for (const { args } of own) if (!args.startsWith('-N ')) text.push(args)
    text.push('COMMIT')
  }
  return text.map(line => `${line}\n`).join('')
}

/** The same as commands, for the case that one of them fails. */
export const commandText = (rules: readonly IptablesRule[]): string =>
  rules
    .map(({ family, table, args }) => `${family === 4 ? 'iptables' : 'ip6tables'} -w -t ${table} ${args}\n`)
    .join('')

// nftables

const nftablesText = (firewall: Firewall, nat: Nat | undefined): string =>
  [
    ...(firewall.enable ? [firewallTable(firewall, nat)] : []),
    ...(nat === undefined
      ? []
      : FAMILIES.filter(family => family === 4 || nat.enableIPv6).map(family => natTable(nat, family)))
  ].join('')

/** A line of a chain; an empty one is left out. */
const block = (head: string, lines: readonly string[]): string =>
  `${head} {\n${lines
    .filter(line => line !== '')
    .map(line => `  ${line.replaceAll('\n', '\n  ').trimEnd()}\n`)
    .join('')}}\n`

const quoted = (name: string): string => `"${ifname(name)}"`

const firewallTable = (firewall: Firewall, nat: Nat | undefined): string => {
  const { checkReversePath, trustedInterfaces, allowPing, rejectPackets, filterForward } = firewall
  const trusted = ['lo', ...trustedInterfaces.map(({ name }) => name)].map(quoted).join(', ')
  const states = (chain: string): string =>
    `ct state vmap { invalid : drop, established : accept, related : accept, new : jump ${chain}, untracked : jump ${chain} }`
  return block('table inet nixos-fw', [
    checkReversePath === 'off'
      ? ''
      : block('chain rpfilter', [
          'type filter hook prerouting priority mangle + 10; policy drop;',
          'meta nfproto ipv4 udp sport . udp dport { 67 . 68, 68 . 67 } accept',
          `fib saddr . mark${checkReversePath === 'loose' ? '' : ' . iif'} oif exists accept`
        ]),
    block('chain input', [
      'type filter hook input priority filter; policy drop;',
      `iifname { ${trusted} } accept`,
      states('input-allow'),
      rejectPackets ? 'meta l4proto tcp reject with tcp reset' : '',
      rejectPackets ? 'reject' : ''
    ]),
    block('chain input-allow', [
      ...openingsOf(firewall).flatMap(({ name, open }) =>
        (['tcp', 'udp'] as const).flatMap(protocol =>
          open[protocol].length === 0
            ? []
            : // NixOS does not quote the name here.
              `${name === undefined ? '' : `iifname ${ifname(name)} `}${protocol} dport { ${open[protocol].map(ports => portsOf(ports, '-')).join(', ')} } accept`
        )
      ),
      allowPing ? 'icmp type echo-request accept' : '',
      'icmpv6 type != { nd-redirect, 139 } accept',
      'ip6 daddr fe80::/64 udp dport 546 accept'
    ]),
    filterForward === undefined
      ? ''
      : block('chain forward', [
          'type filter hook forward priority filter; policy drop;',
          states('forward-allow')
        ]),
    filterForward === undefined
      ? ''
      : block('chain forward-allow', [
          'icmpv6 type != { router-renumbering, 139 } accept',
          'ct status dnat accept',
          ...(nat === undefined ? [] : natRules(nat)),
          ...forwardRules(firewall.extraForwardRules).rules.map(printed)
        ])
  ])
}

const oifname = ({ externalInterface }: Nat): string =>
  externalInterface === undefined ? '' : ` oifname ${quoted(externalInterface)}`

const internalSet = ({ internalInterfaces }: Nat): string =>
  internalInterfaces.map(({ name }) => quoted(name)).join(', ')

const natRules = (nat: Nat): readonly string[] => [
  nat.internalInterfaces.length === 0 ? '' : `iifname { ${internalSet(nat)} }${oifname(nat)} accept`,
  nat.internalIPs.length === 0
    ? ''
    : `ip saddr { ${nat.internalIPs.map(address).join(', ')} }${oifname(nat)} accept`,
  nat.internalIPv6s.length === 0
    ? ''
    : `ip6 saddr { ${nat.internalIPv6s.map(address).join(', ')} }${oifname(nat)} accept`
]

const natTable = (nat: Nat, family: Family): string => {
  const ip = family === 4 ? 'ip' : 'ip6'
  const external = externalIPOf(nat, family)
  const target = external === undefined ? 'masquerade' : `snat ${address(external)}`
  const ranges = family === 4 ? nat.internalIPs : nat.internalIPv6s
  const listed = forwardsOf(nat, family)
  // nft before 1.0.7 takes a map of ranges and single ports for a fault; later ones make ranges of the single ones.
  const isRanged = listed.some(({ destination: { ports } }) => ports !== undefined && ports.from !== ports.to)
  const forwards = listed.map(({ source, destination, proto, loopbackIPs }) => {
    const known = destination.address !== undefined && destination.fault === undefined
    const host = destination.address === undefined ? 'no-address' : formatAddr(destination.address)
    // Without a port NixOS does not even evaluate.
    const ports = known ? (portsOf(destination.ports, '-') ?? 'no-port') : 'no-port'
    const protocol = proto.value ?? 'no-protocol'
    const goal = isRanged && /^\d+$/.test(ports) ? `${ports}-${ports}` : ports
    return {
      from: `${protocol} . ${portsOf(source.range, '-') ?? 'no-port'} : ${host} . ${goal}`,
      arrived: `${host} . ${protocol} . ${ports}`,
      loopbackIPs: loopbackIPs.map(address)
    }
  })
  const iif = quoted(nat.externalInterface ?? '')
  const own = external === undefined ? '' : `${address(external)} . `
  const looped = forwards.flatMap(({ from, loopbackIPs }) =>
    loopbackIPs.map(loopback => `${loopback} . ${from}`)
  )
  const loop =
    looped.length === 0
      ? ''
      : `meta l4proto { tcp, udp } dnat ${ip} daddr . meta l4proto . th dport map { ${looped.join(', ')} }`
  return block(`table ${ip} nixos-nat`, [
    block('chain pre', [
      'type nat hook prerouting priority dstnat;',
      forwards.length === 0
        ? ''
        : `iifname ${iif} meta l4proto { tcp, udp } dnat ${own === '' ? '' : `${ip} daddr . `}meta l4proto . th dport map { ${forwards.map(({ from }) => `${own}${from}`).join(', ')} }`,
      loop,
      family === 6 || nat.dmzHost === undefined ? '' : `iifname ${iif} dnat ${address(nat.dmzHost)}`
    ]),
    block('chain post', [
      'type nat hook postrouting priority srcnat;',
      nat.internalInterfaces.length === 0 ? '' : `iifname { ${internalSet(nat)} }${oifname(nat)} ${target}`,
      ranges.length === 0 ? '' : `${ip} saddr { ${ranges.map(address).join(', ')} }${oifname(nat)} ${target}`,
      forwards.length === 0
        ? ''
        : `iifname != ${iif} ${ip} daddr . meta l4proto . th dport { ${forwards.map(({ arrived }) => arrived).join(', ')} } masquerade`
    ]),
    block('chain out', ['type nat hook output priority mangle;', loop])
  ])
}

/** A forward of systemd-nspawn: which port of the host goes where. */
export interface NspawnForward {
  readonly protocol: 'tcp' | 'udp'
  readonly hostPort: number
  readonly address: AddressText
  readonly containerPort: number
}

/** The table that systemd-nspawn and systemd-networkd share (systemd, src/shared/firewall-util-nft.c). IPv4 only. */
export const nspawnTable = (forwards: readonly NspawnForward[]): string => {
  const elements = forwards.flatMap(({ protocol, hostPort, address: { prefix }, containerPort }) =>
    prefix === undefined ? [] : `${protocol} . ${hostPort} : ${formatAddr(prefix)} . ${containerPort}`
  )
  const dnat = 'dnat ip to meta l4proto . th dport map @map_port_ipport'
  return block('table ip io.systemd.nat', [
    'set masq_saddr { type ipv4_addr; flags interval; }',
    `map map_port_ipport { type inet_proto . inet_service : ipv4_addr . inet_service; elements = { ${elements.join(', ')} } }`,
    block('chain prerouting', [
      'type nat hook prerouting priority dstnat + 1; policy accept;',
      `fib daddr type local ${dnat}`
    ]),
    block('chain output', [
      'type nat hook output priority -99; policy accept;',
      `ip daddr != 127.0.0.0/8 oif "lo" ${dnat}`
    ]),
    block('chain postrouting', [
      'type nat hook postrouting priority srcnat + 1; policy accept;',
      'ip saddr @masq_saddr masquerade'
    ])
  ])
}

/** Whether an address is written as a single one, which is all that an option for an address takes. */
export const isSingle = ({ prefix }: AddressText): boolean =>
  prefix !== undefined && prefix.bits === width(prefix.family)
