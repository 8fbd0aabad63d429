import { nearest } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** C14, C15 */
export const unknownBridge: Rule = {
  id: 'unknown-bridge',
  group: 'bridges',
  severity: 'error',
  summary: 'hostBridge names a bridge that does not exist, or something that is no bridge.',
  *check({ links, bridges, hostInterfaces, topology }) {
    for (const { bridge, bridgeName, node, at, kind } of links) {
      if (bridgeName === undefined || bridge !== undefined) continue
      const place = [...at, 'hostBridge']
      const owner = kind === 'tap' ? 'machine' : 'container'
      const other = hostInterfaces.get(bridgeName)
      const external = topology.nat?.externalInterface === bridgeName
      if (other !== undefined || external) {
        yield {
          message: `hostBridge "${bridgeName}" of ${owner} "${node.name}" is no bridge`,
          labels: [
            { at: place, text: `this is ${other?.owner ?? 'the external interface of NAT'}` },
            ...(other === undefined ? [{ at: ['nat', 'externalInterface'], text: 'used as an uplink here' }] : [{ at: other.at, on: 'key' as const, text: 'defined here' }])
          ],
          note: 'systemd-nspawn cannot make a port of it, and the container does not start',
          help: `make a bridge with "${bridgeName}" as a port (bridges.br0.interfaces: [${bridgeName}]) and write hostBridge: br0`
        }
        continue
      }
      const meant = nearest(bridgeName, bridges.keys())
      yield {
        message: `${owner} "${node.name}" is on bridge "${bridgeName}", which nobody defines`,
        labels: [{ at: place, text: meant === undefined ? 'no such bridge' : `did you mean ${meant}?` }],
        note: `the rebuild does not notice; systemd-nspawn says "Failed to add interface vb-… to bridge ${bridgeName}: No such device", and the container does not start`,
        help:
          meant === undefined
            ? `add bridges.${bridgeName} with its address; if it is defined elsewhere, write "${bridgeName}: { partial: true }" under bridges`
            : `write ${meant}, or define "${bridgeName}" under bridges`
      }
    }
  }
}
