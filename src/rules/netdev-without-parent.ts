import type { Problem } from '../findings/finding.ts'
import { type Edit, offer } from '../findings/mend.ts'
import type { Netdev, Network, SettingText } from '../model/topology.ts'
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
  *check({ topology: { host } }) {
    if (host.partial) return
    const stacked = writtenNetdevs(host).filter(
      ({ kind, name }) => kind !== undefined && KEYS.has(kind) && name !== undefined
    )
    if (stacked.length === 0) return
    const networks = writtenNetworks(host)
    const named = new Set(networks.flatMap(({ stacked }) => stacked.map(({ name }) => name)))
    const appended = networks.flatMap(({ extraConfig }) => extraConfig ?? []).join('\n')
    // NixOS writes the parent of networking.vlans.
    for (const { name } of host.vlans) named.add(name)
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
