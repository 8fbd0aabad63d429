import type { Problem } from '../findings/finding.ts'
import { type Edit, offer } from '../findings/mend.ts'
import type { Bridge, Host, Netdev, Network, SettingText } from '../model/topology.ts'
import { isYes } from '../model/networkd.ts'
import { writtenNetdevs, writtenNetworks } from '../plan/networkd.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** systemd.netdev(5); systemd, src/network/netdev/netdev.c: NETDEV_CREATE_STACKED */
export const netdevWithoutParent: Rule = {
  id: 'netdev-without-parent',
  group: 'networkd',
  severity: 'error',
  summary: 'A VLAN or macvlan of networkd is named by no .network file of its parent, so it is not made.',
  *check({ topology: { host, bridges } }) {
    if (host.partial) return
    yield* unmatched(host, bridges)
    const stacked = writtenNetdevs(host).filter(
      ({ kind, name }) => kind !== undefined && KEYS.has(kind) && name !== undefined
    )
    if (stacked.length === 0) return
    const networks = writtenNetworks(host)
    const named = new Set(networks.flatMap(({ stacked }) => stacked.map(({ name }) => name)))
    const appended = networks.flatMap(({ extraConfig }) => extraConfig ?? []).join('\n')
    // NixOS writes the parents of networking.vlans and networking.macvlans.
    for (const { name } of [...host.vlans, ...host.macvlans]) named.add(name)
    const lost = new Map<string, Lost[]>()
    for (const netdev of stacked) {
      const { name, kind = '' } = netdev
      const key = KEYS.get(kind)
      if (name === undefined || key === undefined || named.has(name.text) || isFree(netdev)) continue
      if (appended.includes(name.text)) continue
      const parent = parentOf(name.text, networks, host)
      // Those of one parent lack one file, or lines of one.
      const group = parent.name === undefined ? netdev.file : `${key} ${parent.name}`
      lost.set(group, [...(lost.get(group) ?? []), { name, kind, key, netdev, parent }])
    }
    for (const [first, ...rest] of lost.values()) if (first !== undefined) yield problem(first, rest)
  }
}

/**
 * NixOS gives the unit of a macvlan's parent a [Match] only where networking.interfaces has the parent, where those of VLANs
 * and the ports of bridges and bonds are added by itself (nixpkgs, tasks/network-interfaces-systemd.nix).
 */
const unmatched = function* (host: Host, bridges: readonly Bridge[]): Generator<Problem> {
  if (host.manager !== 'networkd' || host.macvlans.length === 0) return
  const known = new Set([
    ...[...host.configured, ...bridges].map(({ name }) => name),
    ...[...bridges, ...host.bonds].flatMap(({ interfaces }) => interfaces.map(({ name }) => name)),
    ...host.vlans.map(({ interface: parent }) => parent.name)
  ])
  for (const { name, interface: parent } of host.macvlans) {
    if (known.has(parent.name)) continue
    known.add(parent.name)
    yield {
      message: `networkd does not make the macvlan "${name}": the unit that NixOS writes for ${parent.name} has no [Match]`,
      labels: [{ at: parent.at, text: 'not in host.interfaces' }],
      note: `NixOS names "${name}" in 40-${parent.name}.network, and matches that to ${parent.name} only where networking.interfaces has it: networkd says "No valid settings found in the [Match] section, ignoring file", and the macvlan never exists`,
      help: `write host.interfaces: { ${parent.name}: {} }, which is networking.interfaces.${parent.name} = { } on the host; "netplan generate" writes it`,
      severity: 'warning',
      ...offer({ kind: 'insert', at: [...host.at, 'interfaces', parent.name], value: {} })
    }
  }
}

interface Lost {
  readonly name: SettingText
  readonly kind: string
  /** The key of [Network] that would name it. */
  readonly key: string
  readonly netdev: Netdev
  readonly parent: Parent
}

const problem = ({ name, kind, key, netdev, parent }: Lost, rest: readonly Lost[]): Problem => {
  const all = [name, ...rest.map(({ name }) => name)].map(({ text }) => text)
  const option = LISTS.has(key) ? key.toLowerCase() : undefined
  const list =
    option === undefined ? `networkConfig: { ${key}: [${all.join(', ')}] }` : `${option}: [${all.join(', ')}]`
  return {
    message: `no .network file names ${listed(
      all.map(text => `"${text}"`),
      SHOWN
    )}, so ${rest.length === 0 ? `this ${kind} of ${netdev.file}.netdev is` : `these of the kind ${kind} are`} not made`,
    labels: [
      { at: name.at, text: 'not made' },
      ...rest.slice(0, SHOWN).map(({ name }) => ({ at: name.at, text: 'nor this' })),
      ...(parent.network === undefined
        ? []
        : [{ at: parent.network.at, on: 'key' as const, text: `without ${key}=${all.join(' ')}` }])
    ],
    note: `an interface of the kind ${kind} is made when its parent is configured, by ${key}= in the parent's file: networkd reads the .netdev, logs nothing, and the interface never exists`,
    help:
      parent.name === undefined
        ? `add ${list} to the .network file of its parent`
        : parent.network === undefined
          ? `add a .network file for ${parent.name}: { matchConfig: { Name: ${parent.name} }, ${list} }`
          : `add ${list} to ${parent.network.file}`,
    ...offer(
      ...all.map((name): Edit | undefined =>
        parent.network === undefined || option === undefined
          ? undefined
          : { kind: 'append', at: [...parent.network.at, option], value: name }
      )
    )
  }
}

const SHOWN = 4

/** The kinds that are made on a parent, with the key of [Network] that names them. */
const KEYS: ReadonlyMap<string, string> = new Map([
  ['vlan', 'VLAN'],
  ['macvlan', 'MACVLAN'],
  ['macvtap', 'MACVTAP'],
  ['ipvlan', 'IPVLAN'],
  ['ipvtap', 'IPVTAP'],
  ['vxlan', 'VXLAN']
])

/** Those for which NixOS has a list beside networkConfig. */
const LISTS: ReadonlySet<string> = new Set(['VLAN', 'MACVLAN', 'MACVTAP', 'VXLAN'])

/** A VXLAN may stand alone. */
const isFree = ({ sections }: Netdev): boolean =>
  isYes(sections.get('vxlanConfig')?.settings.get('Independent')?.at(-1))

interface Parent {
  readonly name: string | undefined
  readonly network: Network | undefined
}

/** The parent that a name like ens21.3001 tells, with its file. */
const parentOf = (
  name: string,
  networks: readonly Network[],
  host: { readonly interfaces: readonly { readonly name: string }[] }
): Parent => {
  const stem = /^(.+)\.\d+$/.exec(name)?.[1]
  if (stem === undefined) return { name: undefined, network: undefined }
  const network = networks.find(({ names }) => names.some(({ name }) => name === stem))
  return network !== undefined || host.interfaces.some(({ name }) => name === stem)
    ? { name: stem, network }
    : { name: undefined, network: undefined }
}
