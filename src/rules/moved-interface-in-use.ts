import type { Label } from '../findings/finding.ts'
import type { Container, Interface, Named, Topology } from '../model/topology.ts'
import { hostName } from '../plan/links.ts'
import type { Path } from '../text/path.ts'
import type { Rule } from './rule.ts'

/** F5 */
export const movedInterfaceInUse: Rule = {
  id: 'moved-interface-in-use',
  group: 'containers',
  severity: 'error',
  summary: 'An interface is moved into a container, and another container or the host needs it too.',
  *check({ topology, hostInterfaces }) {
    const movers = topology.having.interfaces.filter(({ enabled }) => enabled)
    if (movers.length === 0) return
    const uses = usesOf(topology)
    const fixed = new Set([...topology.bridges, ...topology.host.bonds].map(({ name }) => name))
    const moved = new Map<string, { readonly container: Container; readonly entry: Named }>()
    for (const container of movers)
      for (const entry of container.interfaces) {
        const name = hostName(entry.name)
        // That a bridge or a bond cannot leave the host is told as that.
        if (fixed.has(name)) continue
        const first = moved.get(name)
        const label: Label = { at: entry.at, text: `leaves the host for "${container.name}"` }
        if (first !== undefined) {
          // Two that are started by hand may take turns.
          const turns =
            first.container !== container &&
            [first, { container }].some(({ container }) => container.autoStart === false)
          yield {
            message:
              first.container === container
                ? `container "${container.name}" lists the interface ${name} twice`
                : `the interface ${name} is moved into two containers: "${first.container.name}" and "${container.name}"`,
            labels: [label, { at: first.entry.at, text: `leaves it for "${first.container.name}" already` }],
            note: `an interface is in one place: the second time systemd-nspawn says 'Failed to resolve interface "${name}": No such device', and the container does not start`,
            help: `give only one of them the interface; a macvlan on it (macvlans: [${name}]) can be had by several`,
            ...(turns ? { severity: 'warning' as const } : {})
          }
          continue
        }
        moved.set(name, { container, entry })
        const use = uses.get(name)
        if (use === undefined) continue
        if (
          use.bridge !== undefined &&
          isMadeBySomebody(name) &&
          !hostInterfaces().has(name) &&
          !isNetdev(topology, name)
        ) {
          yield {
            message: `the interface ${name} moves into container "${container.name}", and nothing makes it`,
            labels: [label, { at: use.at, text: use.label }],
            note: `no card has such a name: a pair exists only when somebody makes it. systemd-nspawn says "No such device", and the container does not start; and where it exists, it leaves bridge "${use.bridge}" when it moves`,
            help: `write hostBridge: ${use.bridge} instead: that makes a pair, puts its end on "${use.bridge}", and the other end is eth0 inside`
          }
          continue
        }
        yield {
          message: `the interface ${name} moves into container "${container.name}", but it ${use.what}`,
          labels: [label, { at: use.at, text: use.label }],
          note: use.note,
          help: use.help(container.name),
          ...(use.severity === undefined ? {} : { severity: use.severity })
        }
      }
  }
}

/** Names that no card has. */
const isMadeBySomebody = (name: string): boolean => /^(veth|ve-|vb-|dummy|tap|tun|vnet)/.test(name)

const isNetdev = ({ host }: Topology, name: string): boolean =>
  host.partial || host.networkd?.netdevs.some(netdev => netdev.name?.text === name) === true

interface Use {
  readonly at: Path
  /** The bridge that it is a port of. */
  readonly bridge?: string
  /** What the interface does for the host, after "it". */
  readonly what: string
  readonly label: string
  readonly note: string
  readonly help: (container: string) => string
  readonly severity?: 'warning'
}

/** What the host and other containers need each interface for; the gravest first. */
const usesOf = ({ host, nat, bridges, having }: Topology): ReadonlyMap<string, Use> => {
  const uses = new Map<string, Use>()
  const add = (name: string | undefined, use: Use): void => {
    if (name !== undefined && !uses.has(name)) uses.set(name, use)
  }
  const macvlan = (name: string) => (): string =>
    `give the container a macvlan instead (macvlans: [${name}]), or another card`
  if (nat?.enable === true && nat.externalInterface !== undefined)
    add(nat.externalInterface, {
      at: [...nat.at, 'externalInterface'],
      what: 'is the externalInterface of nat',
      label: 'the way out for all others',
      note: 'while the container runs, the host has no way out by it: nothing is translated, forwarded or reached from outside',
      help: macvlan(nat.externalInterface)
    })
  for (const gateway of [host.defaultGateway, host.defaultGateway6])
    add(gateway?.interface, {
      at: [...(gateway?.at ?? host.at), 'interface'],
      what: "leads to the host's gateway",
      label: 'the default route needs it',
      note: 'the kernel removes the routes of an interface that leaves: the host loses its default route when the container starts',
      help: macvlan(gateway?.interface ?? '')
    })
  for (const bridge of bridges)
    for (const { at, name } of bridge.interfaces)
      add(name, {
        at,
        bridge: bridge.name,
        what: `is a port of bridge "${bridge.name}"`,
        label: `a port of "${bridge.name}"`,
        note: 'an interface that moves leaves its bridge: what is on the bridge loses its way to that network when the container starts',
        help: () =>
          `attach the container to the bridge instead (hostBridge: ${bridge.name}), or take ${name} off the bridge`
      })
  // bond_slave_netdev_event (drivers/net/bonding/bond_main.c) and vlan_device_event (net/8021q/vlan.c).
  for (const bond of host.bonds)
    for (const { at, name } of bond.interfaces)
      add(name, {
        at,
        what: `is part of bond "${bond.name}"`,
        label: `bonded in "${bond.name}"`,
        note: 'an interface that moves leaves its bond, which has one card less while the container runs',
        help: () => 'give the container a card of its own, or take this one out of the bond'
      })
  for (const vlan of host.vlans)
    add(vlan.interface.name, {
      at: vlan.interface.at,
      what: `carries the VLAN "${vlan.name}"`,
      label: `"${vlan.name}" sends by it`,
      note: `the interface goes down when it moves, and "${vlan.name}" of the host with it`,
      help: () => `move "${vlan.name}" or another VLAN into the container instead of the whole card`
    })
  for (const { name: own, interface: parent } of host.macvlans)
    add(parent.name, {
      at: parent.at,
      what: `carries the macvlan "${own}"`,
      label: `"${own}" sends by it`,
      note: `"${own}" goes on sending by it, but hears what is outside only while the container keeps it up, and never the container`,
      help: macvlan(parent.name)
    })
  const ofHost = ({ name, addresses, dhcp, at }: Interface): void => {
    const [address] = addresses
    if (address === undefined && !dhcp) return
    add(name, {
      at: address?.at ?? (at[1] === 'interfaces' ? [...at, 'dhcp'] : at),
      what:
        address === undefined
          ? 'gets its address on the host by DHCP'
          : `has the address ${address.text} on the host`,
      label: 'for the host',
      note:
        address === undefined
          ? 'the host loses its lease when the container starts, and asks again and again where nobody is'
          : 'the kernel removes the addresses of an interface that moves: the host loses this one when the container starts, and the container does not get it',
      help: container =>
        address === undefined
          ? `switch DHCP off for ${name} on the host, and let "${container}" ask for it: inside: { interfaces: { ${name}: { dhcp: true } } }`
          : `if the address is the container's, write it under containers.${container}.inside.interfaces.${name}; else ${macvlan(name)()}`,
      ...(address === undefined ? { severity: 'warning' as const } : {})
    })
  }
  for (const entry of host.configured) if (entry.addresses.length > 0) ofHost(entry)
  for (const { enabled, macvlans, name: container } of having.macvlans)
    if (enabled)
      for (const { at, name: entry } of macvlans) {
        const name = hostName(entry)
        add(name, {
          at,
          what: `carries a macvlan of container "${container}"`,
          label: `a macvlan of "${container}" is made on it`,
          note: `whichever starts second fails or cuts the other off: on the host there is no ${name} then ('Failed to resolve interface "${name}": No such device')`,
          help: () => `let both have a macvlan on ${name}, or give one of them another card`
        })
      }
  for (const entry of host.configured) ofHost(entry)
  return uses
}
