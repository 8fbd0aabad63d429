import type { MacText, Section, Topology } from '../model/topology.ts'
import { parseMac } from '../net/mac.ts'
import { hasVeth } from './links.ts'
import { writtenNetdevs, writtenNetworks } from './networkd.ts'

/** A MAC address that somebody chose, and what becomes of it. */
export interface ChosenMac {
  readonly mac: MacText
  /** In words: `container "web"`, `bridge "br0"`. */
  readonly owner: string
  /**
   * Who sets it. container: container-init runs `ip link set`. extra-veth: nobody. bridge, interface: networkd or udev, by
   * a unit. inside: the same inside a container. vm: the hypervisor.
   */
  readonly kind: 'container' | 'extra-veth' | 'bridge' | 'interface' | 'inside' | 'vm'
  /** The bridge whose other ports must not have it. */
  readonly segment: string | undefined
}

/** Every MAC address that is written for something that is switched on, in the file's order within each kind. */
export const chosenMacs = (topology: Topology): readonly ChosenMac[] => {
  const macs: ChosenMac[] = []
  const add = (mac: MacText | undefined, kind: ChosenMac['kind'], owner: string, segment?: string): void => {
    if (mac !== undefined) macs.push({ mac, kind, owner, segment })
  }
  const { host, bridges, having, vms } = topology
  /** The bridge that each of the host's interfaces is, or is a port of. */
  const segments = new Map<string, string>()
  for (const { name, macAddress, interfaces } of bridges) {
    add(macAddress, 'bridge', `bridge "${name}"`, name)
    segments.set(name, name)
    for (const port of interfaces) segments.set(port.name, name)
  }
  for (const { name, macAddress } of host.interfaces)
    add(macAddress, 'interface', `host interface "${name}"`, segments.get(name))
  for (const { sections, kind = 'netdev', name, file } of writtenNetdevs(host))
    for (const mac of unitMacs(sections.get('netdevConfig')))
      add(
        mac,
        kind === 'bridge' ? 'bridge' : 'interface',
        name === undefined ? `the unit "${file}.netdev"` : `${kind} "${name.text}"`,
        name && segments.get(name.text)
      )
  for (const { sections, names, file } of writtenNetworks(host)) {
    const [segment] = names.flatMap(({ name }) => segments.get(name) ?? [])
    for (const mac of unitMacs(sections.get('linkConfig')))
      add(mac, 'interface', `the unit "${file}.network"`, segment)
  }
  for (const container of having.localMacAddress)
    if (container.enabled)
      add(
        container.veth.localMacAddress,
        'container',
        `container "${container.name}"`,
        hasVeth(container) ? container.veth.hostBridge : undefined
      )
  for (const { enabled, extraVeths, name } of having.extraVeths)
    if (enabled)
      for (const { localMacAddress, ifname } of extraVeths)
        add(localMacAddress, 'extra-veth', `extra veth "${ifname}" of container "${name}"`)
  for (const { enabled, inside, name } of having.inside)
    if (enabled)
      for (const { macAddress, name: ifname } of inside.interfaces)
        add(macAddress, 'inside', `${ifname} of container "${name}"`)
  for (const { enabled, interfaces, name } of vms)
    if (enabled)
      for (const card of interfaces) add(card.macAddress, 'vm', `machine "${name}"`, card.hostBridge)
  return macs
}

/** The MACAddress= of a section of a unit. */
const unitMacs = (section: Section | undefined): readonly MacText[] =>
  (section?.settings.get('MACAddress') ?? []).map(({ at, text }) => {
    const parsed = parseMac(text)
    return { at, text, value: 'value' in parsed ? parsed.value : undefined }
  })

/** Gives a MAC address near a wanted one that nobody has chosen, another one at each call. */
export const freeMacs = (macs: readonly ChosenMac[]): ((wanted: number) => number) => {
  let taken: Set<number | undefined> | undefined
  return wanted => {
    taken ??= new Set(macs.map(({ mac }) => mac.value))
    let value = wanted
    while (taken.has(value)) value += 1
    taken.add(value)
    return value
  }
}
