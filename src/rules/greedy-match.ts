import type { Label } from '../findings/finding.ts'
import { isYes } from '../model/networkd.ts'
import type { Network, SettingText } from '../model/topology.ts'
import { sameAddr } from '../net/addr.ts'
import { hardware, hostDevices, isPattern, writtenNetworks } from '../plan/networkd.ts'
import type { Link, NetworkFile, Plan } from '../plan/plan.ts'
import type { Path } from '../text/path.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** E32 */
export const greedyMatch: Rule = {
  id: 'greedy-match',
  group: 'networkd',
  severity: 'error',
  summary:
    'A .network file takes an interface that belongs to a bridge or a container, and does not leave it alone.',
  *check(plan) {
    if (writtenNetworks(plan.topology.host).every(isUnmanaged)) return
    for (const [{ file, network }, taken] of takenBy(plan)) {
      if (network === undefined) continue
      const ports = taken.filter(({ bridge }) => bridge !== undefined)
      const shown = ports.length > 0 ? ports : taken
      const [first] = shown
      if (first === undefined) continue
      const names = listed(shown.map(({ name }) => name))
      const bridges = [...new Set(ports.map(({ bridge }) => bridge ?? ''))]
      const of = `${bridges.length === 1 ? 'bridge' : 'bridges'} ${listed(bridges)}`
      const [other] = network.bridge
      const place = network.names[0]?.at ?? network.sections.get('matchConfig')?.at ?? network.at
      const labels: readonly [Label, ...Label[]] = [
        { at: place, text: `takes ${names}` },
        ...shown.slice(0, 3).map(({ at, name, bridge, key }): Label => {
          const text = bridge === undefined ? `${name} is set up by NixOS` : `${name} is a port of ${bridge}`
          return key ? { at, text, on: 'key' } : { at, text }
        })
      ]
      if (ports.length === 0)
        yield {
          severity: 'warning',
          message: `${file} takes ${names}, whose addresses and routes NixOS sets`,
          labels,
          note: plan.releases.networkdDropsForeign
            ? 'when networkd starts again it removes what it did not set: the address of the host and the route to the container are gone, until the container is restarted'
            : 'when networkd configures the pair anew it removes what it did not set: the address of the host and the route to the container are gone, until the container is restarted',
          help: isMeant(network, 've-')
            ? 'add linkConfig.Unmanaged = true, or write the host address and the route to the container into the file too'
            : 'add matchConfig.Kind = "!*", so that it takes hardware only, which has no kind'
        }
      else if (other === undefined)
        yield {
          message: `${file} takes ${names} out of ${of}`,
          labels,
          note: 'when networkd configures a port from a file without Bridge= and KeepMaster=, it takes the port out of its bridge without a word in the log: what is behind it has no network',
          help: mend(network, first, bridges.length)
        }
      else
        yield {
          message: `${file} puts ${names} into bridge ${other.name}, not into ${of}`,
          labels,
          note: 'networkd moves the port when it configures it: what is behind it is in the wrong network',
          help: mend(network, first, bridges.length)
        }
    }
  }
}

/** Whether the names of a file show that it is meant for the host's ends of containers. */
const isMeant = ({ names }: Network, prefix: string): boolean =>
  names.length > 0 && names.every(({ name }) => name.startsWith(prefix))

const mend = (network: Network, { name, bridge, end }: Taken, bridges: number): string => {
  const wide = network.names.length === 0 || network.names.some(({ name }) => isPattern(name))
  // A card has no kind either.
  if (wide && !end)
    return `give ${name} a file of its own whose name sorts before it, with networkConfig.Bridge = "${bridge}", or add networkConfig.KeepMaster = true`
  if (wide && !isMeant(network, 'vb-'))
    return 'add matchConfig.Kind = "!*" where only hardware is meant (it has no kind), or networkConfig.KeepMaster = true'
  if (end || bridges > 1) return 'add networkConfig.KeepMaster = true'
  const gives = network.addresses.length > 0 || network.dhcp !== undefined
  return `add networkConfig.Bridge = "${bridge}"${gives ? `, and move its addresses to ${bridge}` : ''}`
}

const setting = ({ sections }: Network, section: string, key: string): SettingText | undefined =>
  sections.get(section)?.settings.get(key)?.at(-1)

const isUnmanaged = (network: Network): boolean => isYes(setting(network, 'linkConfig', 'Unmanaged'))

/** Whether a file leaves a port where it is. One that puts it into a bond or a VRF is a matter of its own. */
const leavesPort = (network: Network, bridge: string): boolean =>
  isYes(setting(network, 'networkConfig', 'KeepMaster')) ||
  network.bridge.some(({ name }) => name === bridge) ||
  ['bond', 'vrf'].some(list => network.lists.has(list))

/** Whether networkd keeps addresses and routes that others set; `dhcp` and `dynamic` are those that it has leased. */
const keepsForeign = (network: Network): boolean => {
  const keep = setting(network, 'networkConfig', 'KeepConfiguration')
  return isYes(keep) || keep?.text === 'static'
}

/**
 * Whether a file leaves what NixOS sets on a pair: it keeps it, or sets the same. What the container itself sets inside
 * gives the host no route.
 */
const leavesPair = (network: Network, { hostAddresses, veth }: Link): boolean =>
  (hostAddresses.length === 0 && veth?.localAddress === undefined && veth?.localAddress6 === undefined) ||
  keepsForeign(network) ||
  (hostAddresses.length > 0 &&
    hostAddresses.every(({ prefix }) =>
      network.addresses.some(
        address => prefix !== undefined && address.prefix !== undefined && sameAddr(address.prefix, prefix)
      )
    ))

/** An interface that a file takes from whom it belongs to: from a bridge, or from NixOS, which has set up a pair. */
interface Taken {
  readonly name: string
  readonly bridge: string | undefined
  readonly at: Path
  /** Whether the place is best shown by its key. */
  readonly key: boolean
  /** Whether it is the host's end of a container or machine. */
  readonly end: boolean
}

const takenBy = (plan: Plan): ReadonlyMap<NetworkFile, readonly Taken[]> => {
  const { links, topology } = plan
  const files = plan.networkFiles()
  const devices = hostDevices(plan)
  const found = new Map<NetworkFile, Taken[]>()
  const takerOf = (name: string, kind: string | undefined): NetworkFile | undefined => {
    const file = files.taker(devices.get(name) ?? { name, kind })
    return file === 'unknown' || file?.network === undefined || isUnmanaged(file.network) ? undefined : file
  }
  const add = (file: NetworkFile, taken: Taken): void => {
    const known = found.get(file)
    if (known === undefined) found.set(file, [taken])
    else known.push(taken)
  }
  for (const link of links) {
    const { hostIfname: name, bridgeName: bridge, veth, kind, at } = link
    if (name === '' || (bridge === undefined && kind !== 'veth')) continue
    const file = takerOf(name, undefined)
    if (file?.network === undefined) continue
    if (bridge === undefined ? leavesPair(file.network, link) : leavesPort(file.network, bridge)) continue
    const shown = bridge !== undefined && veth !== undefined
    add(file, { name, bridge, at: shown ? [...at, 'hostBridge'] : at, key: !shown, end: true })
  }
  for (const { name: bridge, interfaces } of topology.bridges)
    for (const { name, at } of interfaces) {
      if (at[0] !== 'bridges') continue
      const file = takerOf(name, hardware(name))
      if (file?.network === undefined || leavesPort(file.network, bridge)) continue
      // NixOS or netplan makes a file for a port of networking.bridges; one that comes later takes nothing.
      if (topology.host.manager === 'scripted' || file.file < `40-${name}.network`)
        add(file, { name, bridge, at, key: false, end: false })
    }
  return found
}
