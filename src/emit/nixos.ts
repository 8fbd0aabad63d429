import type { Bond, Bridge, Macvlan, Vlan } from '../model/topology.ts'
import { internalNames, natPlaces } from '../plan/nat.ts'
import { runsNetworkd } from '../plan/networkd.ts'
import type { Plan } from '../plan/plan.ts'
import { gatewaysBehind, layersOf, makerOf, type Unit, unitsOf } from '../plan/units.ts'
import { quote } from '../text/path.ts'
import { type Emitter, type Refusal } from './emitter.ts'
import { byName } from '../text/order.ts'
import { containerModule, withinContainers } from './nixos/container.ts'
import {
  acceptSysctls,
  firewallOptions,
  gatewayOption,
  interfaceOptions,
  natOptions,
  perEntry
} from './nixos/options.ts'
import { unitOptions } from './nixos/units.ts'
import { type Definition, module, type Nix } from './print/nix.ts'
import { beyondUnits, undecided } from './refusals.ts'

export const nixos: Emitter = {
  id: 'nixos',
  summary: 'one NixOS module for imports, with the network options only',
  *cannot(plan) {
    yield* undecided(plan)
    yield* beyondUnits(plan, { target: 'nixos' })
    yield* beyondScripts(plan)
    yield* withinContainers(plan)
    yield* unwritable(plan)
  },
  emit: (plan, mark) => [{ path: 'network.nix', text: module(mark, definitions(plan)) }]
}

const definitions = (plan: Plan): readonly Definition[] => {
  const { topology } = plan
  const units = unitsOf(plan, { target: 'nixos' })
  return [
    ...networkd(plan, units),
    ...interfaces(plan),
    ['networking.networkmanager.unmanaged', unmanaged(plan)],
    [
      'networking.nat',
      topology.nat === undefined ? undefined : natOptions(topology.nat, internalNames(plan))
    ],
    ...firewallOptions(topology.host.firewall),
    ...byName(topology.containers)
      .filter(({ enabled }) => enabled)
      .map((container): Definition => [['containers', container.name], containerModule(plan, container)])
  ]
}

/** systemd.network; where it is turned on for the bridges alone, the rest of the host stays as it is. */
const networkd = ({ topology: { host }, releases }: Plan, units: readonly Unit[]): readonly Definition[] => {
  if (units.length === 0) return []
  const uplink = host.manager === 'networkd'
  const elsewhere = host.manager === 'networkmanager' || host.manager === 'scripted'
  return [
    [
      'systemd.network',
      {
        enable: true,
        ...(uplink || host.networkd !== undefined
          ? {}
          : { 'wait-online': { enable: elsewhere ? false : { code: 'lib.mkDefault false' } } }),
        ...unitOptions(units, releases.plainSections)
      }
    ],
    [
      'services.resolved.enable',
      runsNetworkd(host) === true || host.resolved !== undefined
        ? undefined
        : { code: 'lib.mkOverride 900 false' },
      'systemd.network would turn it on, and change the resolver of the host and of the containers that copy it.'
    ]
  ]
}

/** networking.bridges, bonds, vlans, macvlans and interfaces: what NixOS's scripts make, or networkd in their place. */
const interfaces = (plan: Plan): readonly Definition[] => {
  const { topology } = plan
  const scripted = byName(topology.bridges).filter(bridge => makerOf(topology, bridge) === 'scripted')
  const layers = layersOf(plan, byName(topology.bridges))
  const bonds = layers.flatMap(({ ownBond }) => ownBond ?? [])
  const vlans = layers.flatMap(({ vlan }) => vlan ?? [])
  const macvlans = layers.flatMap(({ macvlan }) => macvlan ?? [])
  const made = layers.filter(
    ({ vlan, macvlan, ownBond, own }) => (vlan ?? macvlan ?? ownBond) !== undefined && own !== undefined
  )
  // With networkd NixOS names a macvlan in the unit of what it stands on, and writes its [Match] for networking.interfaces
  // alone; that of VLANs and ports it adds by itself (network-interfaces-systemd.nix).
  const below = layers.flatMap(({ name, vlan, macvlan, ownBond, own, carried }) =>
    topology.host.manager === 'networkd' &&
    carried.some(upper => !('id' in upper)) &&
    !plan.bridges.has(name) &&
    ((vlan ?? macvlan ?? ownBond) === undefined || own === undefined)
      ? [
          {
            at: [],
            name,
            addresses: [],
            routes: [],
            dhcp: false,
            macAddress: undefined,
            mtu: undefined,
            proxyARP: false
          }
        ]
      : []
  )
  const gateways = [...scripted, ...made.flatMap(({ own }) => own ?? [])].flatMap(({ name, addresses }) =>
    gatewaysBehind(topology, name, addresses).map(gateway => ({ gateway, name }))
  )
  const gateway = (family: 4 | 6): Nix | undefined => {
    const found = gateways.find(({ gateway }) => gateway.address.prefix?.family === family)
    return found === undefined ? undefined : gatewayOption(found.gateway, found.name)
  }
  return [
    ['networking.bonds', perEntry(bonds, bondOption)],
    ['networking.vlans', perEntry(vlans, vlanOption)],
    ['networking.macvlans', perEntry(macvlans, macvlanOption)],
    ['networking.bridges', perEntry(scripted, bridgeOption)],
    [
      'networking.interfaces',
      perEntry(
        [
          ...made.flatMap(({ own }) => own ?? []),
          ...below,
          ...scripted.map(bridge => ({ ...bridge, dhcp: bridge.dhcp !== undefined }))
        ],
        interfaceOptions
      )
    ],
    [
      'boot.kernel.sysctl',
      acceptSysctls(
        scripted.flatMap(({ name, acceptRA }) =>
          acceptRA === undefined ? [] : [[name, acceptRA ? 2 : 0] as const]
        )
      )
    ],
    ['networking.defaultGateway', gateway(4)],
    ['networking.defaultGateway6', gateway(6)],
    [
      'networking.nameservers',
      gateways.length === 0 || topology.host.nameservers.length === 0
        ? undefined
        : topology.host.nameservers.map(({ text }) => text)
    ]
  ]
}

const bondOption = ({ interfaces, mode }: Bond): Nix => ({
  interfaces: interfaces.map(({ name }) => name),
  ...(mode === undefined ? {} : { driverOptions: { mode } })
})

const vlanOption = ({ id, interface: parent }: Vlan): Nix => ({ id, interface: parent.name })

const macvlanOption = ({ interface: parent, mode }: Macvlan): Nix => ({
  interface: parent.name,
  ...(mode === undefined ? {} : { mode })
})

const bridgeOption = ({ interfaces, rstp }: Bridge): Nix => ({
  interfaces: interfaces.map(({ name }) => name),
  ...(rstp ? { rstp } : {})
})

/** What NetworkManager has to leave alone; the module of containers sees to their own ends itself. */
const unmanaged = (plan: Plan): Nix | undefined => {
  const { topology, links } = plan
  if (topology.host.manager !== 'networkmanager') return undefined
  const names = layersOf(plan, topology.bridges)
    .filter(
      ({ name, bridge, bond, vlan, macvlan, ownBond, own, carried }) =>
        (bridge ?? bond ?? vlan ?? macvlan ?? ownBond) !== undefined ||
        plan.bridges.has(name) ||
        // A card below a macvlan keeps what it has from NetworkManager.
        (own === undefined && carried.some(upper => 'id' in upper))
    )
    .map(({ name }) => name)
  for (const { veth, hostIfname } of links) if (veth?.extra === true) names.push(hostIfname)
  return names.length === 0 ? undefined : [...new Set(names)].sort().map(name => `interface-name:${name}`)
}

/** What networking.bridges has no words for. */
const beyondScripts = function* (plan: Plan): Generator<Refusal> {
  const { topology, links } = plan
  const scripted = new Map(
    topology.bridges
      .filter(bridge => makerOf(topology, bridge) === 'scripted')
      .map(bridge => [bridge.name, bridge])
  )
  const refused = (bridge: Bridge, key: string, feature: string): Refusal => ({
    at: [...bridge.at, ...(key === '' ? [] : [key])],
    feature: `${feature} of bridge ${quote(bridge.name)}`,
    why: `networking.bridges, which is to make ${bridge.name}, has no word for it`,
    help: `write bridges.${bridge.name}.definedBy: networkd, and systemd.network makes the bridge`
  })
  for (const bridge of scripted.values()) {
    if (bridge.stp) yield refused(bridge, 'stp', 'stp')
    if (bridge.portVlans.length > 0) yield refused(bridge, 'bridgeVLANs', 'VLANs')
    else if (bridge.vlanAware) yield refused(bridge, 'vlanAware', 'vlanAware')
    if (bridge.masquerade[4] || bridge.masquerade[6]) yield refused(bridge, 'IPMasquerade', 'IPMasquerade')
    if (bridge.forwarding[4] !== undefined) yield refused(bridge, 'IPv4Forwarding', 'IPv4Forwarding')
    if (bridge.forwarding[6] !== undefined) yield refused(bridge, 'IPv6Forwarding', 'IPv6Forwarding')
  }
  for (const { at, interface: served, program } of topology.host.dhcpServers) {
    const bridge = scripted.get(served.name)
    if (program === 'networkd' && bridge !== undefined)
      yield { ...refused(bridge, '', "systemd-networkd's DHCP server"), at }
  }
  for (const { at, node, bridgeName = '', hostIfname } of links) {
    const bridge = scripted.get(bridgeName)
    if (bridge !== undefined && 'kind' in node && node.kind === 'microvm')
      yield { ...refused(bridge, '', `the tap ${quote(hostIfname)} as a port`), at }
  }
}

/** What no Nix string can show: it has no escapes for the characters that terminals act on, or that are no characters. */
const ACTIVE = /[^\P{Cc}\n\t\r]|[\p{Zl}\p{Zp}\p{Cs}\p{Bidi_Control}]/u

const unwritable = function* (plan: Plan): Generator<Refusal> {
  const { topology } = plan
  for (const text of new Set(
    definitions(plan).flatMap(([option, value]) => [...textsOf([option].flat()), ...textsOf(value)])
  ))
    if (ACTIVE.test(text))
      yield {
        at: placeOf(topology, text.replace(/^\d\d-/, '')) ?? [],
        feature: `the text ${quote(text)}`,
        why: 'it has characters that change how a file looks and not what it says, for which Nix has no escapes',
        help: 'write it without them'
      }
  for (const { nat } of natPlaces(topology))
    for (const { at, source, destination, proto } of nat.forwardPorts)
      if (source.range === undefined || destination.address === undefined || proto.value === undefined)
        yield {
          at,
          feature: `the forward of port ${quote(source.text)} to ${quote(destination.text)}`,
          why: 'a port, the protocol or the destination is none',
          help: 'write it as in { sourcePort: 8080, proto: tcp, destination: "192.168.100.2:80" }'
        }
  for (const { at, enabled, namespacePath } of topology.containers)
    if (enabled && namespacePath?.startsWith('/') === false)
      yield {
        at: [...at, 'networkNamespace'],
        feature: `the network namespace ${quote(namespacePath)}`,
        why: 'NixOS takes an absolute path only',
        help: 'write the whole path: /run/netns/NAME'
      }
}

/** Every text in a value, names of attributes included. */
const textsOf = function* (value: unknown): Generator<string> {
  if (typeof value === 'string') yield value
  else if (Array.isArray(value)) for (const inner of value) yield* textsOf(inner)
  else if (typeof value === 'object' && value !== null)
    for (const [name, inner] of Object.entries(value)) {
      yield name
      yield* textsOf(inner)
    }
}

/** The place in the file of something that has a text. */
const placeOf = (value: unknown, text: string, at: Refusal['at'] = []): Refusal['at'] | undefined => {
  if (typeof value === 'string') return value.includes(text) ? at : undefined
  if (typeof value !== 'object' || value === null) return undefined
  const own = 'at' in value && Array.isArray(value.at) ? value.at : at
  const inner = value instanceof Map ? value.values() : Object.values(value)
  for (const entry of inner) {
    const found = entry === own ? undefined : placeOf(entry, text, own)
    if (found !== undefined) return found
  }
  return undefined
}
