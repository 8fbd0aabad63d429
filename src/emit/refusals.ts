import type { Bridge, SettingText } from '../model/topology.ts'
import { sameAddr } from '../net/addr.ts'
import type { Plan } from '../plan/plan.ts'
import {
  byHand,
  isMadeByHand,
  type Layer,
  layersOf,
  needsUnit,
  type Scope,
  unitBridges
} from '../plan/units.ts'
import { formatPath, quote } from '../text/path.ts'
import { listed } from '../text/words.ts'
import type { Refusal } from './emitter.ts'

/** What is still `auto`: deployed as it is, it would be another one as soon as the file changes. */
export const undecided = function* ({ allocations, unallocated }: Plan): Generator<Refusal> {
  for (const { at, values } of allocations)
    yield {
      at,
      feature: `${formatPath(at)}: auto`,
      why: `it would be ${listed(values.map(String))} now, and another value once the file changes`,
      help: 'run "netplan plan --write", which writes it into the file'
    }
  for (const { at } of unallocated)
    yield {
      at,
      feature: `${formatPath(at)}: auto`,
      why: 'nothing could be chosen for it',
      help: 'run "netplan plan", which says why'
    }
}

/** What the units of systemd-networkd cannot say, or would say against what is written by hand. */
export const beyondUnits = function* (plan: Plan, scope: Scope): Generator<Refusal> {
  const bridges = unitBridges(plan, scope)
  for (const bridge of bridges) {
    const { at, name, rstp, partial } = bridge
    if (rstp)
      yield {
        at: [...at, 'rstp'],
        feature: `rstp of bridge ${quote(name)}`,
        why: 'systemd-networkd has only the older spanning tree of the kernel',
        help: 'write stp: true instead, or definedBy: scripted and generate for NixOS'
      }
    if (partial && !isMadeByHand(plan, name))
      yield {
        at: [...at, 'partial'],
        feature: `bridge ${quote(name)}, of which the file has only a part`,
        why: 'its units would take the place of those that the rest stands in',
        help: 'write the whole bridge here and remove partial, or write the units that make it under host.networkd'
      }
    yield* againstUnit(plan, bridge)
    for (const link of plan.bridges.get(name)?.members ?? [])
      if (needsUnit(bridge, link)) yield* badName(link.hostIfname, link.at)
    const ports = new Set([name, ...bridge.interfaces.map(({ name }) => name)])
    for (const { hostIfname } of plan.bridges.get(name)?.members ?? []) ports.add(hostIfname)
    for (const { sections } of bridge.portVlans)
      for (const setting of sections.flat()) yield* badVlan(setting)
    for (const { at, name: port } of bridge.portVlans)
      if (!ports.has(port))
        yield {
          at,
          feature: `VLANs of ${quote(port)} on bridge ${quote(name)}`,
          why: `nothing of that name is a port of ${name}`,
          help: `make ${port} one of bridges.${name}.interfaces, or name a container's end on it (vb-NAME)`
        }
  }
  const byName = new Map(bridges.map(bridge => [bridge.name, bridge]))
  for (const layer of layersOf(plan, bridges)) {
    const bridge = byName.get(layer.name)
    yield* badName(layer.name, bridge?.at ?? layer.own?.at ?? placeOf(layer))
    yield* badMode(layer)
    if (bridge === undefined) yield* againstPort(plan, layer)
    if (scope.target === 'all') yield* takenFromOthers(plan, layer)
    yield* belowUnit(plan, layer, scope)
  }
}

const placeOf = ({ name, bridge, vlan, macvlan, ownBond, bond, carried }: Layer): Refusal['at'] =>
  vlan?.at ??
  macvlan?.at ??
  ownBond?.at ??
  bridge?.interfaces.find(port => port.name === name)?.at ??
  bond?.interfaces.find(port => port.name === name)?.at ??
  carried[0]?.interface.at ??
  []

/** [BridgeVLAN] takes numbers, and ranges of them but for PVID= (systemd.network(5)). */
const badVlan = function* ({ at, text }: SettingText): Generator<Refusal> {
  const key = String(at.at(-1))
  const [from = 0, to = from, ...others] = text.split('-').map(Number)
  const isRight =
    /^\d{1,4}(-\d{1,4})?$/.test(text) && others.length === 0 && from >= 1 && from <= to && to <= 4094
  if (isRight && (key !== 'PVID' || from === to)) return
  yield {
    at,
    feature: `${key}: ${quote(text)}`,
    why:
      key === 'PVID'
        ? 'it is not the number of a VLAN'
        : 'it is neither the number of a VLAN nor a range of them',
    help: `write a number from 1 to 4094${key === 'PVID' ? '' : ', or from-to'}`
  }
}

/** The modes of the kernel's bonding driver (Documentation/networking/bonding.rst). */
const BOND_MODES = [
  'balance-rr',
  'active-backup',
  'balance-xor',
  'broadcast',
  '802.3ad',
  'balance-tlb',
  'balance-alb'
]

const badMode = function* ({ ownBond }: Layer): Generator<Refusal> {
  const { mode, at, name } = ownBond ?? {}
  if (mode === undefined || at === undefined || name === undefined || BOND_MODES.includes(mode)) return
  yield {
    at: [...at, 'mode'],
    feature: `mode ${quote(mode)} of bond ${quote(name)}`,
    why: 'the bonding driver has no such mode',
    help: `write one of ${BOND_MODES.join(', ')}`
  }
}

/** systemd reads a name in [Match] as a pattern, and the name of a file as a path. */
const badName = function* (name: string, at: Refusal['at']): Generator<Refusal> {
  if (/^[A-Za-z0-9_][A-Za-z0-9_.:@+-]*$/.test(name)) return
  yield {
    at,
    feature: `the interface name ${quote(name)}`,
    why: 'systemd would read it as a pattern or as a path, not as this name',
    help: 'give it a name of letters, digits, "-", "_" and "."'
  }
}

/** A bridge that a hand-written unit configures has to have there what the file says of it elsewhere. */
const againstUnit = function* (plan: Plan, { at, name, addresses }: Bridge): Generator<Refusal> {
  const unit = byHand(plan, { name, kind: 'bridge' })
  if (unit === undefined) return
  const missing = addresses.filter(
    ({ prefix }) =>
      prefix !== undefined &&
      !unit.addresses.some(other => other.prefix !== undefined && sameAddr(other.prefix, prefix))
  )
  const [first] = missing
  if (first === undefined) return
  yield {
    at: first.at,
    feature: `${listed(missing.map(({ text }) => text))} of bridge ${quote(name)}`,
    why: `the hand-written unit ${quote(`${unit.file}.network`)} takes ${name}, and does not have it`,
    help: `write it there (${formatPath([...unit.at, 'address'])}), or remove the unit and leave ${formatPath(at)} to netplan`
  }
}

/** The same for the port of a bridge. */
const againstPort = function* (plan: Plan, { name, bridge }: Layer): Generator<Refusal> {
  const port = bridge?.interfaces.find(entry => entry.name === name)
  const unit = byHand(plan, { name, kind: undefined })
  if (bridge === undefined || port === undefined || unit === undefined) return
  if (unit.bridge.some(entry => entry.name === bridge.name)) return
  yield {
    at: port.at,
    feature: `port ${quote(name)} of bridge ${quote(bridge.name)}`,
    why: `the hand-written unit ${quote(`${unit.file}.network`)} takes ${name}, and does not put it on the bridge`,
    help: `write bridge: [${bridge.name}] there, or remove the unit and leave ${name} to netplan`
  }
}

/** Where a hand-written unit takes what a macvlan is to stand on, it alone can name it. */
const belowUnit = function* (plan: Plan, { name, carried }: Layer, { target }: Scope): Generator<Refusal> {
  if (target === 'nixos' && plan.topology.host.manager !== 'networkd') return
  const unit = carried.length === 0 ? undefined : byHand(plan, { name, kind: undefined })
  if (unit === undefined) return
  for (const upper of carried)
    if (!('id' in upper) && !unit.stacked.some(entry => entry.name === upper.name))
      yield {
        at: upper.at,
        feature: `macvlan ${quote(upper.name)} on ${name}`,
        why: `the hand-written unit ${quote(`${unit.file}.network`)} takes ${name}, and does not name it`,
        help: `write macvlan: [${upper.name}] there, or remove the unit and leave ${name} to netplan`
      }
}

/** A card that another program configures cannot carry VLANs or macvlans of networkd: that would have to manage it. */
const takenFromOthers = function* ({ topology }: Plan, layer: Layer): Generator<Refusal> {
  const { name, own, carried, bridge, bond, vlan, macvlan, ownBond } = layer
  const [first] = carried
  if (first === undefined || own === undefined || bridge !== undefined || bond !== undefined) return
  if ((vlan ?? macvlan) !== undefined || ownBond !== undefined || topology.host.manager === 'networkd') return
  if (own.addresses.length === 0 && !own.dhcp) return
  const [kind, option] = 'id' in first ? ['VLAN', 'vlans'] : ['macvlan', 'macvlans']
  yield {
    at: first.at,
    feature: `${kind} ${quote(first.name)} on ${name}`,
    why: `networkd makes ${kind}s only on interfaces that it manages, and ${name} has its address from ${MANAGERS[topology.host.manager ?? 'other']}`,
    help: `generate for NixOS, which has networking.${option}, or write host.manager: networkd`
  }
}

const MANAGERS = {
  networkmanager: 'NetworkManager',
  scripted: "NixOS's own scripts",
  other: 'another program, since host.manager is not networkd'
} as const
