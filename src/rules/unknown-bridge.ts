import type { Problem } from '../findings/finding.ts'
import { ifnameFault } from '../net/ifname.ts'
import { isPrograms } from '../plan/failures.ts'
import type { HostInterface, Link, Plan } from '../plan/plan.ts'
import type { Path } from '../text/path.ts'
import { nearest } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** C14, C15 */
export const unknownBridge: Rule = {
  id: 'unknown-bridge',
  group: 'bridges',
  severity: 'error',
  summary: 'hostBridge names a bridge that does not exist, or something that is no bridge.',
  *check(plan) {
    const { links, bridges, hostInterfaces, topology } = plan
    const { host, nat } = topology
    const meant = new Map<string, string | undefined>()
    for (const link of links) {
      const { bridge, bridgeName } = link
      if (bridgeName === undefined || bridge !== undefined || isPrograms(plan, link)) continue
      // What cannot be a name is told at the flag; a variable is not looked into.
      if (isFlag(link) && (bridgeName.includes('$') || ifnameFault(bridgeName) !== undefined)) continue
      const other = hostInterfaces().get(bridgeName)
      if (other !== undefined || nat?.externalInterface === bridgeName) {
        yield noBridge(plan, link, bridgeName, other)
        continue
      }
      // A bridge may stand in the part of the host's configuration that is not written here.
      if (host.partial) continue
      // Each name is compared with all bridges once, and only so many names.
      if (!meant.has(bridgeName) && meant.size < COMPARED)
        meant.set(bridgeName, nearest(bridgeName, bridges.keys()))
      yield undefinedBridge(link, bridgeName, meant.get(bridgeName))
    }
  }
}

const COMPARED = 100

/** Whether the bridge is that of a flag of extraFlags. */
const isFlag = ({ container, veth }: Link): boolean => container !== undefined && veth === undefined

const placeOf = (link: Link): Path => (isFlag(link) ? link.at : [...link.at, 'hostBridge'])

const ownerOf = ({ kind, node }: Link): string => `${kind === 'tap' ? 'machine' : 'container'} "${node.name}"`

/** Who fails, and with which words: nspawn for eth0, NixOS's own script for an extra pair, the machine's tap. */
const symptom = ({ kind, veth, hostIfname }: Link, name: string, words: string): string =>
  kind === 'tap'
    ? `the rebuild does not notice; ${hostIfname} cannot become a port of "${name}", and the machine has no network`
    : veth?.extra === true
      ? `the rebuild does not notice; the unit then runs "ip link set dev ${hostIfname} master ${name} up", which fails, and the container is stopped again`
      : `the rebuild does not notice; systemd-nspawn says "Failed to add interface ${hostIfname} to bridge ${name}: ${words}", and the container does not start`

const noBridge = (plan: Plan, link: Link, name: string, other: HostInterface | undefined): Problem => {
  const free =
    ['br0', 'br1', 'br2', 'br-lan'].find(
      bridge => !plan.bridges.has(bridge) && !plan.hostInterfaces().has(bridge)
    ) ?? 'br-lan'
  const over =
    [...plan.bridges.values()].find(({ bridge }) => bridge.interfaces.some(port => port.name === name))
      ?.bridge.name ??
    plan.links.find(({ hostIfname, bridge }) => hostIfname === name && bridge !== undefined)?.bridgeName
  return {
    message: `${isFlag(link) ? 'the bridge' : 'hostBridge'} "${name}" of ${ownerOf(link)} is no bridge`,
    labels: [
      { at: placeOf(link), text: `this is ${other?.owner ?? 'the external interface of NAT'}` },
      other === undefined
        ? { at: ['nat', 'externalInterface'], text: 'used as an uplink here' }
        : { at: other.at, on: 'key' as const, text: 'defined here' }
    ],
    note: symptom(link, name, 'Operation not supported'),
    help:
      over !== undefined
        ? `write ${over}, the bridge that "${name}" is a port of`
        : name.startsWith('wl')
          ? `Wi-Fi cannot be a port of a bridge: define bridges.${free} with an address of its own, write hostBridge: ${free}, and set nat.externalInterface: ${name}`
          : `define bridges.${free} with interfaces: [${name}], move the address of "${name}" to it and write hostBridge: ${free}`
  }
}

const undefinedBridge = (link: Link, name: string, meant: string | undefined): Problem => ({
  message: `${ownerOf(link)} is on bridge "${name}", which nobody defines`,
  labels: [
    {
      at: placeOf(link),
      text: meant === undefined ? 'no such bridge' : `did you mean ${meant}?`
    }
  ],
  note: symptom(link, name, 'No such device'),
  help:
    meant === undefined
      ? `add bridges.${name} with its address; if it is defined elsewhere, write "${name}: { partial: true }" under bridges`
      : `write ${meant}, or define "${name}" under bridges`
})
