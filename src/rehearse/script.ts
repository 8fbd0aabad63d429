import type {
  AddressText,
  Bridge,
  Container,
  Gateway,
  Interface,
  Route,
  Veth,
  Vm
} from '../model/topology.ts'
import { type Addr, type Family, formatAddr, width } from '../net/addr.ts'
import { IFNAME_MAX, ifnameFault } from '../net/ifname.ts'
import { formatMac } from '../net/mac.ts'
import { formatNetwork, formatPrefix, masked, type Prefix } from '../net/prefix.ts'
import { GLOBAL_UNICAST_6, SPECIAL_NETWORKS } from '../net/special.ts'
import { forwardsByNetworkd } from '../plan/forwarding.ts'
import { forwardRules } from '../plan/forward-rules.ts'
import { failuresOf, isElsewhere, isMade, refusedByNspawn } from '../plan/failures.ts'
import {
  cardOf,
  clearsName,
  deletedLinks,
  hasVeth,
  hostEnds,
  hostName,
  isPrivate,
  realParent
} from '../plan/links.ts'
import { runsNetworkd } from '../plan/networkd.ts'
import type { Plan } from '../plan/plan.ts'
import { byHand, gatewaysBehind, networkdBridges, type Unit, unitOf, unitsOf } from '../plan/units.ts'
import type { Place } from '../reach/flow.ts'
import { isOnLink, mainRoutes, type Outside, outsideOf, unitGateway } from '../reach/outside.ts'
import { quote } from '../text/path.ts'
import { type IptablesRule, type NspawnForward, nspawnTable, type Ruleset, rulesetOf } from './rules.ts'
import { writtenUnits } from './written.ts'

// What is to be done so that the planned network exists in network namespaces, as data. The commands are those that NixOS's
// scripts run (nixos-containers.nix, network-interfaces-scripted.nix) and the calls that systemd-nspawn makes, in their
// order; shell.ts makes one script of them.

/** A network namespace, and what is done in it. */
export interface Space {
  /** Its name for `ip netns`; empty for the host's own. */
  readonly name: string
  readonly place: Place | undefined
  /** Its interfaces, those that are made in it included. */
  readonly ifnames: readonly string[]
  readonly sysctls: readonly Sysctl[]
  /** `ip` commands of container-init: the first that fails ends the container. */
  readonly init: readonly string[]
  /** What the machine's own services do then. */
  readonly services: readonly Service[]
  readonly rules: Ruleset | undefined
}

/** A path below /proc/sys/net, and what is written to it. A `*` stands for every interface. */
export type Sysctl = readonly [path: string, value: string]

/** `ip` commands of one service. */
export interface Service {
  readonly name: string
  readonly commands: readonly string[]
  /** Whether the others are still run after one has failed. */
  readonly goesOn: boolean
}

/** `ip` commands in the host's namespace on behalf of a container: if one fails, it is not started. */
export interface OnBehalf {
  readonly space: string
  readonly commands: readonly string[]
}

/** Everything that brings a plan up. */
export interface Script {
  readonly host: Space
  /** All others: containers and machines in the plan's order, then the world outside. */
  readonly spaces: readonly Space[]
  /** `ip` commands that plug the host's cards into the world outside. */
  readonly cards: readonly string[]
  /** The files of systemd-networkd; undefined where nothing needs it. */
  readonly units: readonly Unit[] | undefined
  /** Whether systemd's own files for networkd are left where they are. */
  readonly vendor: boolean
  /** The bridges that must be there before something is plugged into them. */
  readonly bridges: readonly string[]
  /** What systemd-nspawn does for each container, and its post-start script. */
  readonly attach: readonly OnBehalf[]
  readonly ends: readonly OnBehalf[]
  /** The host's own services that need everything else to be there. */
  readonly late: readonly Service[]
  /** What the host says to packets that it has no route for, as a file for nft. */
  readonly strangers: string | undefined
  /** systemd-nspawn's table. */
  readonly forwards: string | undefined
  /** The addresses and default gateways that networkd is to set. */
  readonly awaited: readonly Awaited[]
  /** What is done otherwise than on the real machine, or not at all. */
  readonly notes: readonly string[]
  /** The programs that it takes, without those of every Linux. */
  readonly programs: readonly string[]
}

export interface Awaited {
  readonly ifname: string
  /** `192.168.100.1/24`, or `default via 192.168.100.1`. */
  readonly what: string
}

export interface ScriptOptions {
  readonly vendor?: boolean
}

/** What names may consist of in a command: nothing that a shell, `ip`, nft or iptables takes for more than a name. */
const isPlain = (name: string): boolean =>
  /^[\w.@+=~^][\w.@+=~^-]*$/.test(name) && ifnameFault(name) === undefined

/** A name in a command; for one that the kernel refuses, one that it refuses too. */
const ifname = (name: string): string => (isPlain(name) ? name : 'no-name-of-an-interface')

/** An address in a command, as it was written; for one that is none, one that `ip` refuses too. */
const written = ({ prefix, bare }: AddressText): string =>
  prefix === undefined ? 'no-address' : bare ? formatAddr(prefix) : formatPrefix(prefix)

/** An address to be set. DAD is off: it takes two seconds. */
const added = (address: AddressText): string =>
  `${written(address)}${address.prefix === undefined ? '' : noDad(address.prefix)}`

const noDad = ({ family }: Addr): string => (family === 6 ? ' nodad' : '')

const EVERYWHERE: Readonly<Record<Family, string>> = { 4: '0.0.0.0/0', 6: '::/0' }

/** The lines of a DAD-less, quiet namespace; what NixOS takes from systemd's 50-default.conf; nothing of this machine's own. */
const sysctls = (forwards: Readonly<Record<Family, boolean>>): readonly Sysctl[] => [
  ['ipv4/conf/all/forwarding', forwards[4] ? '1' : '0'],
  ['ipv4/conf/*/rp_filter', '2'],
  ['ipv4/conf/all/rp_filter', '0'],
  ['ipv4/icmp_ratemask', '0'],
  ['ipv6/conf/all/forwarding', forwards[6] ? '1' : '0'],
  ['ipv6/conf/*/accept_dad', '0'],
  ['ipv6/conf/*/dad_transmits', '0'],
  ['ipv6/conf/*/router_solicitations', '0'],
  ['ipv6/icmp/ratelimit', '0']
]

const NONE: Readonly<Record<Family, boolean>> = { 4: false, 6: false }

/**
 * How long an address is asked for in vain: three times this many milliseconds, of the kernel's 1000. So nobody may wait at random
 * before answering for an address that several have, or for somebody else (RFC 4861 section 7.2.7).
 */
const RETRANS = 50

const impatient = (ifnames: readonly string[]): Service => ({
  name: 'neighbours',
  commands: ifnames.flatMap(name =>
    ['arp_cache', 'ndisc_cache'].map(
      table => `ntable change name ${table} dev ${name} retrans ${RETRANS} proxy_delay 0`
    )
  ),
  goesOn: true
})

/** Makes the commands for a plan. */
export const scriptOf = (plan: Plan, { vendor = false }: ScriptOptions = {}): Script => {
  const { topology } = plan
  const notes: string[] = []
  const names = namer()
  const index = indices()
  const outside = outsideOf(plan)
  const byNetworkd = vendor || needsNetworkd(plan)
  const units = byNetworkd ? rehearsable(plan, vendor, notes) : undefined
  const own = ownNodes(plan)
  const spaceNames = new Map(own.map(node => [node, names(node.name)]))
  const worlds = outside.map((entry, i) => ({
    entry,
    lan: names(i === 0 ? 'lan' : `lan-${entry.ifname}`),
    internet: entry.leadsOut ? names('internet') : undefined
  }))
  const nobody = names('nobody')
  const cards = cardsOf(plan, worlds, nobody, index)
  const isStarted = (node: Own): boolean =>
    !isContainer(node) || (topology.host.enableContainers && refusedByNspawn(node) === undefined)
  const started = own.filter(isStarted)
  for (const node of own)
    if (!isStarted(node))
      notes.push(`container ${quote(node.name)} is not started, since NixOS or systemd-nspawn would not`)
  const made = new Set<string>()
  const attach = started.flatMap(node => attached(plan, node, spaceNames.get(node) ?? '', index, made, notes))
  const spaces = [
    ...own.map(node =>
      isStarted(node)
        ? ownSpace(plan, node, spaceNames.get(node) ?? '', notes)
        : emptySpace(node, spaceNames.get(node) ?? '')
    ),
    ...worlds.flatMap(world =>
      worldSpaces(world.entry, world.lan, world.internet, topology.host.firewall.backend)
    )
  ]
  if (cards.far.length > 0) spaces.push(deafSpace(nobody, cards.far))
  const forwards = nspawnForwards(plan)
  const host = hostSpace(plan, cards.ifnames, byNetworkd, notes)
  const rules = new Set([host, ...spaces].flatMap(({ rules }) => rules?.backend ?? []))
  tellCode(plan, notes)
  return {
    host,
    spaces,
    cards: cards.commands,
    units,
    vendor,
    bridges: Array.from(networkdBridges(plan), ({ name }) => name).filter(isPlain),
    attach,
    ends: started.flatMap(node => postStart(plan, node, spaceNames.get(node) ?? '')),
    late: lateServices(plan, outside, cards.ifnames, byNetworkd),
    strangers: topology.host.firewall.backend === 'nftables' ? REFUSED_STRANGERS.nftables : undefined,
    forwards: forwards.length === 0 ? undefined : nspawnTable(forwards),
    awaited: byNetworkd ? awaitedOf(plan, outside) : [],
    notes: [...new Set(notes)],
    programs: [
      'unshare',
      'nsenter',
      'mount',
      'ip',
      ...(rules.has('iptables') ? ['iptables-restore', 'ip6tables-restore'] : []),
      ...(rules.has('nftables') || forwards.length > 0 ? ['nft'] : [])
    ]
  }
}

/** Names for namespaces, each given out once. */
const namer = (): ((name: string) => string) => {
  const taken = new Set<string>()
  return name => {
    const plain = /^[A-Za-z0-9][\w.-]{0,60}$/.test(name) ? name : 'machine'
    let free = plain
    for (let i = 2; taken.has(free); i += 1) free = `${plain}-${i}`
    taken.add(free)
    return free
  }
}

/**
 * Indices for the two ends of a pair, all of them different: where both ends have the same one, the kernel's link watch
 * takes up to a second to notice the carrier.
 */
const indices = (): (() => readonly [number, number]) => {
  let last = 1000
  return () => {
    last += 2
    return [last, last + 1]
  }
}

type Index = ReturnType<typeof indices>

/** The bridges that NixOS's own scripts make. */
const scriptedBridges = (plan: Plan): readonly Bridge[] => {
  const others = networkdBridges(plan)
  return plan.topology.bridges.filter(bridge => !others.has(bridge))
}

/** The bridges that containers are on and that the file does not make: they are there, with nobody else on them. */
const elsewhere = (plan: Plan): readonly string[] => [
  ...new Set(
    plan.links.flatMap(link =>
      link.bridgeName !== undefined && isElsewhere(plan, link) && isPlain(link.bridgeName)
        ? [link.bridgeName]
        : []
    )
  )
]

/** Whether networkd has anything to make. */
const needsNetworkd = (plan: Plan): boolean => {
  const { topology } = plan
  return (
    networkdBridges(plan).size > 0 ||
    (topology.host.networkd !== undefined && runsNetworkd(topology.host) !== false)
  )
}

type Own = Container | Vm

const isContainer = (node: Own): node is Container => 'veth' in node

/** Those that have a network of their own. */
const ownNodes = ({ topology }: Plan): readonly Own[] => [
  ...topology.containers.filter(
    container => container.enabled && !container.networkNamespace && isPrivate(container)
  ),
  ...topology.vms.filter(({ enabled }) => enabled)
]

// The host's cards and the world outside

interface World {
  readonly entry: Outside
  readonly lan: string
  readonly internet: string | undefined
}

interface Cards {
  /** The names that are made. */
  readonly ifnames: readonly string[]
  readonly commands: readonly string[]
  /** The other ends of those that lead to nobody. */
  readonly far: readonly string[]
}

/** The host's cards, VLANs and bonds, each as the end of a pair whose other end is in the world outside. */
const cardsOf = (plan: Plan, worlds: readonly World[], nobody: string, index: Index): Cards => {
  const { topology, links, bridges } = plan
  const { host } = topology
  const made = new Set(links.map(({ hostIfname }) => hostIfname).filter(name => name !== ''))
  const macvlans = new Set(host.macvlans.map(({ name }) => name))
  const cardOn = (name: string): string => realParent(topology, name)
  const wanted = new Set([
    ...worlds.map(({ entry }) => cardOn(entry.ifname)),
    ...host.configured.map(({ name }) => cardOn(name)),
    ...host.macvlans.map(({ name }) => cardOn(name)),
    ...topology.bridges.flatMap(({ interfaces }) => interfaces.map(({ name }) => name)),
    ...topology.containers.flatMap(container =>
      container.enabled
        ? [...container.macvlans, ...container.interfaces].map(({ name }) => cardOn(hostName(name)))
        : []
    )
  ])
  const ifnames = [...wanted].filter(
    name => isPlain(name) && !bridges.has(name) && !made.has(name) && !macvlans.has(name) && name !== 'lo'
  )
  const commands: string[] = []
  const far: string[] = []
  for (const world of worlds) {
    const { entry, lan, internet } = world
    const card = cardOn(entry.ifname)
    const bridge = bridges.get(card)?.bridge
    const [port] = bridge?.interfaces ?? []
    // A bridge without a card has DHCP, so something else plugs it into the network outside.
    const isCard = bridge === undefined && !macvlans.has(card)
    const name = isCard ? card : (port?.name ?? upstream(card))
    if (!isPlain(name)) continue
    const pair = (from: string, to: string): void => {
      const [a, b] = index()
      commands.push(`link add ${from} index ${a} type veth peer ${to} index ${b}`)
    }
    if (internet === undefined) pair(name, `name eth0 netns ${lan}`)
    else {
      pair(name, `name uplink netns ${internet}`)
      const [a, b] = index()
      commands.push(
        `link add lan index ${a} netns ${internet} type veth peer name eth0 index ${b} netns ${lan}`
      )
    }
    if (bridge !== undefined && port === undefined) commands.push(`link set ${name} up`)
    made.add(name)
  }
  for (const name of ifnames)
    if (!made.has(name)) {
      const [a, b] = index()
      // Nobody is there, but the cable is plugged in: not into the host itself, which would hear what it says.
      commands.push(`link add ${name} index ${a} type veth peer name far${b} index ${b} netns ${nobody}`)
      far.push(`far${b}`)
    }
  return { ifnames, commands, far }
}

/** What keeps cables plugged in that lead to nobody. */
const deafSpace = (name: string, ifnames: readonly string[]): Space => ({
  name,
  place: undefined,
  ifnames,
  sysctls: [['ipv6/conf/all/disable_ipv6', '1']],
  init: ifnames.map(far => `link set ${far} up`),
  services: [],
  rules: undefined
})

/** The port by which a bridge without a card is plugged into the world outside. */
const upstream = (bridge: string): string => `up-${bridge}`.slice(0, IFNAME_MAX)

/**
 * The router stands for all of the internet: what is global and not in a network of its own is its machine's there. Of the
 * rest it says that it has no way. The kernel itself says it five times and then once in a second, so netfilter does: what
 * only the table for strangers knows a way for is refused.
 */
const routerRules = (
  backend: Ruleset['backend'],
  networks: readonly Prefix[],
  internet: readonly Addr[]
): Ruleset => {
  const own = (family: Family): readonly string[] => [
    ...new Set(
      [...networks, ...SPECIAL_NETWORKS, ...internet.map(addr => ({ ...addr, bits: width(addr.family) }))]
        .filter(prefix => prefix.family === family)
        .map(formatNetwork)
    )
  ]
  if (backend === 'iptables')
    return {
      backend,
      rules: [
        ...internet.flatMap((addr): readonly IptablesRule[] => {
          const { family } = addr
          const rule = (args: string): IptablesRule => ({
            family,
            table: 'nat',
            args: `-A PREROUTING -i switch ${args}`
          })
          return [
            ...own(family).map(network => rule(`-d ${network} -j RETURN`)),
            rule(
              `${family === 6 ? `-d ${formatPrefix(GLOBAL_UNICAST_6)} ` : ''}-j DNAT --to-destination ${formatAddr(addr)}`
            )
          ]
        }),
        ...REFUSED_STRANGERS.iptables
      ]
    }
  const tables = internet.map(addr => {
    const word = addr.family === 4 ? 'ip' : 'ip6'
    return [
      `table ${word} internet {`,
      '  chain prerouting {',
      '    type nat hook prerouting priority dstnat;',
      ...own(addr.family).map(network => `    ${word} daddr ${network} return`),
      `    iifname "switch" ${addr.family === 6 ? `ip6 daddr ${formatPrefix(GLOBAL_UNICAST_6)} ` : ''}dnat to ${formatAddr(addr)}`,
      '  }',
      '}\n'
    ].join('\n')
  })
  return {
    backend,
    text: [...tables, REFUSED_STRANGERS.nftables].join('')
  }
}

/**
 * A router says that it has no way for a packet. The kernel itself says it to each sender five times and then once in a
 * second, so netfilter does: what only the table for strangers knows a way for is refused.
 */
const STRANGERS: readonly string[] = [
  'rule add not iif lo pref 40000 protocol kernel lookup 100',
  'route add 0.0.0.0/0 dev lo table 100'
]

const REFUSED_STRANGERS: {
  readonly iptables: readonly IptablesRule[]
  readonly nftables: string
} = {
  iptables: [
    { family: 4, table: 'filter', args: '-A FORWARD -o lo -j REJECT --reject-with icmp-net-unreachable' }
  ],
  nftables:
    'table ip router {\n  chain forward {\n    type filter hook forward priority filter - 10;\n    oifname "lo" reject with icmp type net-unreachable\n  }\n}\n'
}

/** The host's rules with its word for strangers before them; for nftables that is a file of its own. */
const withStrangers = (backend: Ruleset['backend'], rules: Ruleset | undefined): Ruleset | undefined =>
  backend === 'nftables'
    ? rules
    : {
        backend,
        rules: [...REFUSED_STRANGERS.iptables, ...(rules?.backend === backend ? rules.rules : [])]
      }

/** The same for a container that is a router. */
const withStrangersInside = (backend: Ruleset['backend'], rules: Ruleset | undefined): Ruleset | undefined =>
  rules?.backend === 'nftables'
    ? { backend: 'nftables', text: `${REFUSED_STRANGERS.nftables}${rules.text}` }
    : withStrangers(backend, rules)

const worldSpaces = (
  { networks, internet: addresses }: Outside,
  lan: string,
  internet: string | undefined,
  backend: Ruleset['backend']
): readonly Space[] => {
  const lanSpace: Space = {
    name: lan,
    place: { kind: 'lan' },
    ifnames: ['eth0'],
    sysctls: sysctls(NONE),
    init: [
      'link set lo up',
      'link set eth0 up',
      ...networks.flatMap(({ lan, host, router }) =>
        lan === undefined
          ? []
          : [
              `addr add ${formatAddr(lan)}/${host.bits}${noDad(lan)} dev eth0`,
              ...(internet === undefined
                ? []
                : [`route add ${EVERYWHERE[router.family]} via ${formatAddr(router)} dev eth0`])
            ]
      )
    ],
    services: [impatient(['eth0'])],
    rules: undefined
  }
  if (internet === undefined) return [lanSpace]
  const families = new Set(networks.map(({ host }) => host.family))
  return [
    lanSpace,
    {
      name: internet,
      place: { kind: 'internet' },
      ifnames: ['uplink', 'lan', 'switch'],
      // It asks for neighbours as the router that it is, and knows a way to everybody.
      sysctls: [
        ...sysctls({ 4: true, 6: true }),
        ['ipv4/conf/*/arp_announce', '2'],
        ['ipv4/conf/*/arp_ignore', '1'],
        ['ipv4/conf/*/rp_filter', '0']
      ],
      init: [
        'link set lo up',
        ...addresses.map(addr => `addr add ${formatAddr(addr)} dev lo${noDad(addr)}`),
        'link add switch index 900 type bridge',
        'link set uplink master switch up',
        'link set lan master switch up',
        'link set switch up',
        ...networks.flatMap(({ router, host }) => [
          `addr add ${formatAddr(router)}/${host.bits}${noDad(router)} dev switch noprefixroute`,
          // The router stands for all of the internet, so it sends as the machine that is behind it.
          ...addresses
            .filter(({ family }) => family === host.family)
            .map(addr => `route add ${formatNetwork(host)} dev switch src ${formatAddr(addr)}`)
        ]),
        ...(families.has(4) ? STRANGERS : [])
      ],
      services: [impatient(['switch'])],
      rules: routerRules(
        backend,
        networks.map(({ host }) => host),
        addresses
      )
    }
  ]
}

// The host

const hostSpace = (plan: Plan, cards: readonly string[], byNetworkd: boolean, notes: string[]): Space => {
  const { topology } = plan
  const { host, nat } = topology
  const enslaved = new Set(topology.bridges.flatMap(({ interfaces }) => interfaces.map(({ name }) => name)))
  const taken = new Set(
    topology.containers.flatMap(({ enabled, interfaces }) =>
      enabled ? interfaces.map(({ name }) => hostName(name)) : []
    )
  )
  const configured = new Map(host.configured.map(card => [card.name, card]))
  const scripted = scriptedBridges(plan)
  const services: Service[] = []
  for (const name of elsewhere(plan)) {
    notes.push(`the bridge ${name} is made by something that is not in the file, and is an empty one here`)
    services.push({
      name: `${name}-netdev`,
      commands: [`link add name ${name} type bridge`, `link set ${name} up`],
      goesOn: false
    })
  }
  for (const bridge of scripted) {
    if (isPlain(bridge.name) && !isMade(topology, bridge)) continue
    const { name, interfaces, macAddress, mtu, addresses, stp, rstp } = bridge
    if (!isPlain(name)) {
      notes.push(`the bridge ${quote(name)} cannot exist`)
      continue
    }
    if (stp || rstp) notes.push(`the spanning tree of ${name} is off here: it would cost half a minute`)
    services.push(
      {
        name: `${name}-netdev`,
        commands: [
          `link add name ${name} type bridge`,
          ...(macAddress?.value === undefined
            ? []
            : [`link set ${name} address ${formatMac(macAddress.value)}`]),
          ...interfaces.flatMap(port => [
            `link set ${ifname(port.name)} master ${name}`,
            `link set ${ifname(port.name)} up`
          ]),
          `link set ${name} up`
        ],
        goesOn: false
      },
      addressService({ ...bridge, mtu, addresses, routes: bridge.routes })
    )
  }
  for (const name of cards) {
    const card = configured.get(name)
    if (taken.has(name) || enslaved.has(name)) {
      services.push({ name, commands: [`link set ${name} up`], goesOn: true })
      continue
    }
    if (byNetworkd && byHand(plan, { name, kind: 'none' }) !== undefined) continue
    services.push(
      addressService({
        name,
        addresses: card?.addresses ?? [],
        routes: card?.routes ?? [],
        mtu: card?.mtu,
        macAddress: card?.macAddress
      })
    )
  }
  services.push(...macvlansOn(plan, byNetworkd, false))
  const proxies = [...host.configured, ...scripted].filter(({ proxyARP, name }) => proxyARP && isPlain(name))
  return {
    name: '',
    place: { kind: 'host' },
    ifnames: cards,
    sysctls: [
      ...sysctls({ 4: forwards(plan, 4), 6: forwards(plan, 6) }),
      // As it is without br_netfilter: what a bridge passes on does not come by the host's firewall.
      ['bridge/bridge-nf-call-iptables', '0'],
      ['bridge/bridge-nf-call-ip6tables', '0'],
      ...(host.enableIPv6
        ? []
        : ([
            ['ipv6/conf/all/disable_ipv6', '1'],
            ['ipv6/conf/default/disable_ipv6', '1']
          ] as const)),
      ...proxies.map(({ name }): Sysctl => [`ipv4/conf/${name}/proxy_arp`, '1']),
      ...writtenSysctls(plan)
    ],
    init: ['link set lo up', ...STRANGERS],
    services,
    rules: withStrangers(
      host.firewall.backend,
      rulesetOf({ firewall: host.firewall, nat, enableIPv6: host.enableIPv6 })
    )
  }
}

/** The host's macvlans, and their addresses: those on bridges of networkd, which are there later, or all others. */
const macvlansOn = (plan: Plan, byNetworkd: boolean, late: boolean): readonly Service[] => {
  const { host } = plan.topology
  const bridges = new Set(Array.from(networkdBridges(plan), ({ name }) => name))
  const configured = new Map(host.configured.map(entry => [entry.name, entry]))
  return host.macvlans
    .filter(({ name }) => isPlain(name) && bridges.has(realParent(plan.topology, name)) === late)
    .flatMap(({ name, mode }) => {
      const own = configured.get(name)
      // Of a macvlan on another one the kernel makes no more than this, and both may stand in any order.
      const card = realParent(plan.topology, name)
      return [
        {
          name: `${name}-netdev`,
          commands: [
            `link add link ${ifname(card)} name ${name} type macvlan${mode === undefined ? '' : ` mode ${mode}`}`,
            `link set ${name} up`
          ],
          goesOn: false
        },
        ...(own === undefined || (byNetworkd && byHand(plan, { name, kind: 'macvlan' }) !== undefined)
          ? []
          : [addressService(own)])
      ]
    })
}

/** Whether the file itself makes a router the default gateway: NixOS's option, or a unit by hand. */
const isRouted = (plan: Plan, router: Addr, name: string): boolean => {
  const { host } = plan.topology
  const gateway = router.family === 4 ? host.defaultGateway : host.defaultGateway6
  return (
    gateway?.address.prefix?.value === router.value || unitGateway(plan, name, router.family) !== undefined
  )
}

const defaultBy = (router: Addr, name: string): string =>
  `route append ${EVERYWHERE[router.family]} via ${formatAddr(router)} dev ${name} metric 1024`

/** Whether the host forwards: NAT makes it, and some daemons; else what boot.kernel.sysctl says. */
const forwards = (plan: Plan, family: Family): boolean => {
  const { host, nat, bridges } = plan.topology
  if (nat?.enable === true && (family === 4 || nat.enableIPv6)) return true
  // network-interfaces.nix, by mkDefault: what is written is stronger, and stands behind this.
  if (family === 4 && [...host.configured, ...bridges].some(({ proxyARP }) => proxyARP)) return true
  if (family === 4 && host.daemons.some(name => /^(docker|libvirtd|lxd|incus|kubernetes|k3s)$/.test(name)))
    return true
  // The networkd of this machine may be too old to know it.
  return forwardsByNetworkd(plan, family)
}

/** Those of boot.kernel.sysctl that are of the network and that a namespace of its own has; NAT's own go before. */
const writtenSysctls = ({ topology: { host, nat } }: Plan): readonly Sysctl[] => {
  const found: Sysctl[] = []
  for (const [name, { value, text }] of host.sysctl) {
    const path = /^net\.(ipv[46]\.(?:conf\.[\w-]+\.\w+|ip_forward)|bridge\.bridge-nf-call-\w+)$/.exec(
      name
    )?.[1]
    if (path === undefined) continue
    // The plain values of NAT's own keys are lost to its stronger ones; ip_forward stands behind them in the file, and wins.
    if (nat?.enable === true && /^ipv4\.conf\.(all|default)\.forwarding/.test(path)) continue
    if (nat?.enable === true && nat.enableIPv6 && /^ipv6.*forwarding/.test(path)) continue
    const number = value === true ? '1' : value === false ? '0' : text
    if (/^\d{1,6}$/.test(number)) found.push([path.replaceAll('.', '/'), number])
  }
  return found
}

interface Addressed {
  readonly name: string
  readonly addresses: readonly AddressText[]
  readonly routes: readonly Route[]
  readonly mtu: number | undefined
  readonly macAddress: { readonly value: number | undefined } | undefined
}

/** network-addresses-<name>.service of NixOS. */
const addressService = ({ name, addresses, routes, mtu, macAddress }: Addressed): Service => {
  const own = ifname(name)
  return {
    name: `network-addresses-${own}`,
    commands: [
      ...(macAddress?.value === undefined ? [] : [`link set ${own} address ${formatMac(macAddress.value)}`]),
      ...(mtu === undefined ? [] : [`link set ${own} mtu ${mtu}`]),
      `link set ${own} up`,
      ...addresses.filter(isDecided).map(address => `addr replace ${added(address)} dev ${own}`),
      ...routes.flatMap(route => routeCommand(route, name))
    ],
    goesOn: true
  }
}

const routeCommand = ({ destination, via, interface: own }: Route, name: string): readonly string[] =>
  destination.prefix === undefined
    ? []
    : [
        `route add ${formatPrefix(masked(destination.prefix))}${via === undefined ? '' : ` via ${written(via)}`} dev ${ifname(own ?? name)} proto static`
      ]

/** A default gateway as NixOS's network-setup.service sets it. */
const gatewayCommands = ({ address, interface: name, metric, source }: Gateway): readonly string[] => {
  const own = name === undefined ? '' : ` dev ${ifname(name)}`
  const cost = metric === undefined ? '' : ` metric ${metric}`
  const router = address.prefix === undefined ? 'no-address' : formatAddr(address.prefix)
  const from = source?.prefix === undefined ? '' : ` src ${formatAddr(source.prefix)}`
  return [
    ...(name === undefined ? [] : [`route replace ${router}${own}${cost} proto static`]),
    `route replace ${EVERYWHERE[address.prefix?.family ?? 4]} via ${router}${own}${cost}${from} proto static`
  ]
}

const gatewaysOf = (node: {
  readonly defaultGateway: Gateway | undefined
  readonly defaultGateway6: Gateway | undefined
}): readonly Service[] => [
  {
    name: 'network-setup',
    commands: [node.defaultGateway, node.defaultGateway6].flatMap(gateway =>
      gateway === undefined ? [] : gatewayCommands(gateway)
    ),
    goesOn: false
  }
]

/** What the host can do only once its bridges have their addresses. */
const lateServices = (
  plan: Plan,
  outside: readonly Outside[],
  cards: readonly string[],
  byNetworkd: boolean
): readonly Service[] => {
  const { host } = plan.topology
  const given = outside.flatMap(({ ifname, networks, leadsOut }) => {
    const card = realParent(plan.topology, ifname)
    const bridge = plan.bridges.get(card)?.bridge
    if (!isPlain(ifname)) return []
    return [
      {
        // What DHCP or a router's advertisement would bring; networkd may be slow to set a card up.
        name: `given-${ifname}`,
        commands: [
          ...(bridge === undefined
            ? [`link set ${ifname} up`]
            : bridge.interfaces.length === 0
              ? [`link set ${upstream(card)} master ${card}`]
              : []),
          ...networks.flatMap(({ host, isGiven, router }) => [
            ...(isGiven ? [`addr add ${formatPrefix(host)}${noDad(host)} dev ${ifname}`] : []),
            ...(leadsOut && !isRouted(plan, router, ifname) ? [defaultBy(router, ifname)] : [])
          ])
        ],
        goesOn: true
      }
    ]
  })
  const moved = new Set(
    plan.topology.containers.flatMap(({ enabled, interfaces }) =>
      enabled ? interfaces.map(({ name }) => hostName(name)) : []
    )
  )
  const names = [
    ...plan.topology.bridges
      .filter(bridge => isPlain(bridge.name) && isMade(plan.topology, bridge))
      .map(({ name }) => name),
    ...cards.filter(name => !moved.has(name)),
    ...host.macvlans.map(({ name }) => name).filter(isPlain)
  ]
  // Where units are written by hand, they say what is behind the interfaces that are theirs.
  const behind = new Set(
    scriptedBridges(plan).flatMap(({ name, addresses }) => gatewaysBehind(plan.topology, name, addresses))
  )
  const left = (gateway: Gateway | undefined): Gateway | undefined =>
    gateway !== undefined && byNetworkd && host.networkd !== undefined && !behind.has(gateway)
      ? undefined
      : gateway
  const gateways = gatewaysOf({
    defaultGateway: left(host.defaultGateway),
    defaultGateway6: left(host.defaultGateway6)
  })
  const ends = hostEnds(plan)
  const kinds = new Map(
    plan.links.map(({ hostIfname, kind }) => [hostIfname, kind === 'tap' ? 'tun' : 'veth'])
  )
  const paired = host.configured.filter(
    ({ name }) =>
      ends.has(name) && !(byNetworkd && byHand(plan, { name, kind: kinds.get(name) }) !== undefined)
  )
  const macvlans = macvlansOn(plan, byNetworkd, true)
  return [...macvlans, ...paired.map(addressService), ...given, ...gateways, impatient(names)]
}

/** The units without what cannot be rehearsed: VLANs and bonds are cards of their own here, and nothing waits for a tree. */
const rehearsable = (plan: Plan, vendor: boolean, notes: string[]): readonly Unit[] => {
  // Where units are written by hand, nothing else keeps the shipped ones off the pairs.
  const isBare = vendor && plan.topology.host.networkd !== undefined
  const { topology } = plan
  // Its macvlans are made as NixOS's scripts make them.
  const host = { ...topology.host, macvlans: [] }
  const own = { ...plan, topology: { ...topology, host, bridges: [...networkdBridges(plan)] } }
  const made = unitsOf(own, { target: 'all' }).filter(({ file }) => !isBare || file !== '10-ve.network')
  const units = [...made, ...writtenUnits(plan, notes)]
  const kindOf = ({ sections }: Unit): unknown =>
    sections.find(({ name }) => name === 'NetDev')?.settings.find(([key]) => key === 'Kind')?.[1]
  const isNamed = ({ file }: Unit): boolean => {
    const fine = /^[\w@+=~^][\w.@+=~^-]*$/.test(file)
    if (!fine) notes.push(`the unit ${quote(file)} is left out: no file is given such a name here`)
    return fine
  }
  return units
    .filter(unit => isNamed(unit) && !/^(vlan|bond)$/.test(String(kindOf(unit))))
    .map(({ file, sections }) => ({
      file,
      sections: sections.map(({ name, settings }) => ({
        name,
        settings: settings.filter(([key]) => {
          if (name === 'Bridge' && key === 'STP')
            notes.push('the spanning tree is off here: it would cost half a minute')
          return !(name === 'Network' && /^(VLAN|Bond)$/.test(key)) && !(name === 'Bridge' && key === 'STP')
        })
      }))
    }))
}

const awaitedOf = (plan: Plan, outside: readonly Outside[]): readonly Awaited[] => {
  const cards = outside.flatMap(({ ifname, networks }) => {
    const unit = unitOf(plan, ifname)
    if (unit === undefined) return []
    return [
      { name: ifname, addresses: plan.bridges.has(ifname) ? [] : unit.addresses, routers: [] },
      ...networks.flatMap(({ host: own }) =>
        mainRoutes(unit).flatMap(({ gateway, destination }) => {
          const router = gateway?.prefix
          const isDefault = destination === undefined || destination.prefix?.bits === 0
          return router?.family === own.family && isDefault && isOnLink(plan, ifname, own, router)
            ? [{ name: ifname, addresses: [], routers: [router] }]
            : []
        })
      )
    ]
  })
  const bridges = Array.from(networkdBridges(plan), ({ name, addresses }) => ({
    name,
    addresses,
    routers: []
  }))
  const failures = failuresOf(plan)
  const pairs = plan.pairs.flatMap(({ container, hostIfname }) =>
    container !== undefined && failures.has(container)
      ? []
      : [
          {
            name: hostIfname,
            addresses: byHand(plan, { name: hostIfname, kind: 'veth' })?.addresses ?? [],
            routers: []
          }
        ]
  )
  return [...bridges, ...pairs, ...cards].flatMap(({ name, addresses, routers }) =>
    isPlain(name)
      ? [
          ...addresses.flatMap(({ prefix, bare }) =>
            prefix === undefined || bare || prefix.value === 0n ? [] : [formatPrefix(prefix)]
          ),
          ...routers.map(router => `default via ${formatAddr(router)}`)
        ].map(what => ({ ifname: name, what }))
      : []
  )
}

// Containers and machines

/** What systemd-nspawn, or a hypervisor, does on the host: makes pairs and macvlans, plugs them in, moves interfaces. */
const attached = (
  plan: Plan,
  node: Own,
  space: string,
  index: Index,
  made: Set<string>,
  notes: string[]
): readonly OnBehalf[] => {
  const commands: string[] = []
  for (const link of plan.linksOf.get(node) ?? []) {
    const { kind, hostIfname, bridgeName, veth } = link
    const name = ifname(link.ifname)
    const [a, b] = index()
    if (kind === 'veth' || kind === 'tap') {
      const end = ifname(hostIfname)
      // What NixOS runs before the start, for what another container has made.
      if (clearsName(link) && made.has(hostIfname)) commands.push(`link del ${end}`)
      commands.push(`link add ${end} index ${a} type veth peer name ${name} index ${b} netns ${space}`)
      if (bridgeName !== undefined && veth?.extra !== true && !isByUnit(node))
        commands.push(`link set ${end} master ${ifname(bridgeName)} up`)
      else if (kind === 'tap') commands.push(`link set ${end} up`)
    } else if (kind === 'macvlan')
      commands.push(
        `link add link ${ifname(cardOf(link))} name ${name} index ${b} netns ${space} type macvlan mode bridge`
      )
    else {
      const parent = ifname(cardOf(link))
      commands.push(`link set ${parent} netns ${space}${parent === name ? '' : ` name ${name}`}`)
    }
  }
  if (isContainer(node)) {
    if (node.vpn !== undefined) notes.push(`the VPN in container ${quote(node.name)} is not rehearsed`)
    if (node.useNetworkd || node.networkManager)
      notes.push(
        `container ${quote(node.name)} gets its addresses as by NixOS's scripts, not by its own manager`
      )
    if (node.dhcp || node.inside.interfaces.some(({ dhcp }) => dhcp))
      notes.push(`nobody answers the DHCP of container ${quote(node.name)} here`)
  }
  for (const { hostIfname } of plan.linksOf.get(node) ?? []) made.add(hostIfname)
  return commands.length === 0 ? [] : [{ space, commands }]
}

/** Whether the host's end becomes a port by a unit, or not at all. */
const isByUnit = (node: Own): boolean => !isContainer(node) && node.kind === 'microvm'

/** The namespace of a container that is not started: it can be asked from, and has nothing. */
const emptySpace = ({ name: container }: Own, name: string): Space => ({
  name,
  place: { kind: 'container', name: container },
  ifnames: [],
  sysctls: [],
  init: [],
  services: [],
  rules: undefined
})

const ownSpace = (plan: Plan, node: Own, name: string, notes: string[]): Space => {
  const links = plan.linksOf.get(node) ?? []
  const ifnames = links.map(({ ifname }) => ifname).filter(isPlain)
  if (!isContainer(node))
    return {
      name,
      place: { kind: 'vm', name: node.name },
      ifnames,
      sysctls: sysctls(NONE),
      init: ['link set lo up', ...impatient(ifnames).commands],
      services: [
        ...links.map(({ ifname, addresses }) =>
          addressService({ name: ifname, addresses, routes: [], mtu: undefined, macAddress: undefined })
        ),
        ...gatewaysOf(node)
      ],
      rules: undefined
    }
  const { inside, firewall, routes } = node
  const nat = inside.nat?.enable === true ? inside.nat : undefined
  const rules = rulesetOf({ firewall, nat: inside.nat, enableIPv6: true })
  if (inside.vlans.length > 0) notes.push(`nobody is in the VLANs of container ${quote(node.name)} here`)
  const own = new Map(inside.interfaces.map(entry => [entry.name, entry]))
  const entries: readonly Interface[] = inside.interfaces
  // Routes of the container itself belong to eth0, whether it has an entry or not.
  const bare: Addressed = { name: 'eth0', addresses: [], routes, mtu: undefined, macAddress: undefined }
  return {
    name,
    place: { kind: 'container', name: node.name },
    ifnames,
    sysctls: sysctls({ 4: nat !== undefined, 6: nat?.enableIPv6 === true }),
    init: [
      'link set lo up',
      ...(nat === undefined ? [] : STRANGERS),
      ...containerInit(node),
      ...impatient(ifnames).commands
    ],
    services: [
      ...inside.vlans.map(({ name }) => ({
        name: `${ifname(name)}-netdev`,
        // As with the host's VLANs: a cable with nobody at its other end.
        commands: [
          `link add ${ifname(name)} type veth peer name ${ifname(`f-${name}`.slice(0, IFNAME_MAX))}`,
          `link set ${ifname(`f-${name}`.slice(0, IFNAME_MAX))} up`,
          `link set ${ifname(name)} up`
        ],
        goesOn: false
      })),
      ...inside.bridges.flatMap(({ name, interfaces, addresses }) => [
        {
          name: `${ifname(name)}-netdev`,
          commands: [
            `link add name ${ifname(name)} type bridge`,
            ...interfaces.map(port => `link set ${ifname(port.name)} master ${ifname(name)} up`),
            `link set ${ifname(name)} up`
          ],
          goesOn: false
        },
        addressService({ ...bare, name: ifname(name), addresses, routes: [] })
      ]),
      ...entries.map(entry =>
        addressService({
          name: ifname(entry.name),
          addresses: entry.addresses,
          routes: entry.name === 'eth0' ? [...entry.routes, ...routes] : entry.routes,
          mtu: entry.mtu,
          macAddress: entry.macAddress
        })
      ),
      ...(own.has('eth0') || routes.length === 0
        ? []
        : [{ name: 'routes', commands: routes.flatMap(route => routeCommand(route, 'eth0')), goesOn: true }]),
      ...gatewaysOf(node),
      ...(inside.bridges.length + inside.vlans.length === 0
        ? []
        : [impatient([...inside.bridges, ...inside.vlans].map(({ name }) => ifname(name)))])
    ],
    rules: nat === undefined ? rules : withStrangersInside(firewall.backend, rules)
  }
}

const isDecided = (address: AddressText | undefined): address is AddressText =>
  address !== undefined && !(address.auto && address.prefix === undefined)

/** `ip -6` refuses an IPv4 address; without it `ip` takes each address for what it is. */
const ofSix = (address: AddressText | undefined): AddressText | undefined =>
  address?.prefix?.family === 4 ? { ...address, prefix: undefined, auto: false } : address

const setAddresses = ({ localAddress, localAddress6 }: Veth, name: string): readonly string[] =>
  [localAddress, ofSix(localAddress6)].flatMap(address =>
    isDecided(address) ? [`addr add ${added(address)} dev ${name}`] : []
  )

/** container-init. The interface has its name already. */
const containerInit = (container: Container): readonly string[] => {
  const { veth, extraVeths } = container
  const commands: string[] = []
  if (hasVeth(container)) {
    if (veth.localMacAddress !== undefined)
      commands.push(
        `link set eth0 address ${veth.localMacAddress.value === undefined ? 'no-address' : formatMac(veth.localMacAddress.value)}`
      )
    commands.push('link set eth0 up')
    commands.push(...setAddresses(veth, 'eth0'))
    for (const address of [veth.hostAddress, ofSix(veth.hostAddress6)])
      if (isDecided(address))
        commands.push(
          `route add ${written(address)} dev eth0`,
          `route add ${EVERYWHERE[address.prefix?.family ?? 4]} via ${written(address)}`
        )
  }
  for (const extra of [...extraVeths].sort((a, b) => (a.ifname < b.ifname ? -1 : 1))) {
    const name = ifname(extra.ifname)
    commands.push(`link set ${name} up`)
    commands.push(...setAddresses(extra, name))
    for (const address of [extra.hostAddress, ofSix(extra.hostAddress6)])
      if (isDecided(address)) commands.push(`route add ${written(address)} dev ${name}`)
  }
  return commands
}

/** What container@<name>.service does on the host once the container runs. */
const postStart = (plan: Plan, node: Own, space: string): readonly OnBehalf[] => {
  if (!isContainer(node)) return []
  const commands: string[] = []
  for (const link of plan.linksOf.get(node) ?? []) {
    const { veth, hostIfname } = link
    if (veth === undefined || deletedLinks(plan).has(link)) continue
    const name = ifname(hostIfname)
    if (veth.hostBridge !== undefined) {
      if (veth.extra) commands.push(`link set ${name} master ${ifname(veth.hostBridge)} up`)
      continue
    }
    const addressed = [veth.hostAddress, veth.hostAddress6, veth.localAddress, veth.localAddress6]
    if (!veth.extra && addressed.every(address => address === undefined)) continue
    commands.push(`link set ${name} up`)
    for (const address of [veth.hostAddress, ofSix(veth.hostAddress6)])
      if (isDecided(address)) commands.push(`addr add ${added(address)} dev ${name}`)
    for (const address of [veth.localAddress, ofSix(veth.localAddress6)])
      if (isDecided(address)) commands.push(`route add ${written(address)} dev ${name}`)
    for (const table of ['arp_cache', 'ndisc_cache'])
      commands.push(`ntable change name ${table} dev ${name} retrans ${RETRANS} proxy_delay 0`)
  }
  return commands.length === 0 ? [] : [{ space, commands }]
}

const nspawnForwards = (plan: Plan): readonly NspawnForward[] => {
  const taken = new Set<string>()
  return plan.topology.having.forwardPorts.flatMap(container => {
    if (!container.enabled || !container.privateNetwork) return []
    if (!plan.topology.host.enableContainers || refusedByNspawn(container) !== undefined) return []
    const address = (plan.linksOf.get(container) ?? [])
      .flatMap(({ addresses }) => addresses)
      .find(({ prefix }) => prefix?.family === 4)
    if (address === undefined) return []
    return container.veth.forwardPorts.flatMap(({ protocol, hostPort, containerPort }) => {
      const key = `${protocol.text} ${hostPort}`
      if (protocol.value === undefined || !hostPort || !containerPort || taken.has(key)) return []
      taken.add(key)
      return [{ protocol: protocol.value, hostPort, address, containerPort }]
    })
  })
}

/** What stands in the file as code is not run here. */
const tellCode = ({ topology }: Plan, notes: string[]): void => {
  const owners = [
    { owner: 'the host', firewall: topology.host.firewall },
    ...topology.having.firewall.map(({ name, firewall }) => ({ owner: `container ${quote(name)}`, firewall }))
  ]
  for (const { owner, firewall } of owners)
    for (const option of ['extraCommands', 'extraInputRules', 'extraForwardRules'] as const)
      if (
        (firewall[option] ?? '').trim() !== '' &&
        (option !== 'extraForwardRules' || !forwardRules(firewall.extraForwardRules).isWhole)
      )
        notes.push(`firewall.${option} of ${owner} is code and not run here`)
}
