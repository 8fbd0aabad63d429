import { type Edit, offer } from '../findings/mend.ts'
import { glob, writtenNetdevs } from '../plan/networkd.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** E33 */
export const networkManagerTakesBridge: Rule = {
  id: 'network-manager-takes-bridge',
  group: 'bridges',
  severity: 'hint',
  summary: 'The list of what NetworkManager leaves alone lacks a bridge that networkd makes.',
  *check({ topology: { host, bridges } }) {
    const { manager, unmanaged } = host
    if (manager !== 'networkmanager' || unmanaged === undefined) return
    // What is left over is not worked out here.
    if (unmanaged.some(entry => entry.startsWith('except:'))) return
    const netdevs = new Set(writtenNetdevs(host).map(({ name }) => name?.text))
    const taken = bridges.filter(
      ({ name, definedBy }) =>
        (definedBy === 'networkd' || netdevs.has(name)) && !unmanaged.some(entry => leavesAlone(entry, name))
    )
    const [first] = taken
    if (first === undefined) return
    yield {
      message: `NetworkManager is not told to leave ${listed(taken.map(({ name }) => `"${name}"`))} alone`,
      labels: [
        { at: [...host.at, 'networkmanager', 'unmanaged'], text: `"${first.name}" is not among these` },
        { at: first.at, on: 'key', text: 'made by networkd' }
      ],
      note: 'two programs watch the bridge then: NetworkManager lists it as connected (externally), and a profile for it or "nmcli device connect" may replace the addresses of networkd',
      help: `add ${listed(taken.map(({ name }) => `interface-name:${name}`))} to unmanaged`,
      ...offer(
        ...taken.map(
          ({ name }): Edit => ({
            kind: 'append',
            at: [...host.at, 'networkmanager', 'unmanaged'],
            value: `interface-name:${name}`
          })
        )
      )
    }
  }
}

/** NetworkManager.conf(5), "Device List Format": an interface's name, or interface-name: with a pattern. */
const leavesAlone = (entry: string, name: string): boolean =>
  entry === '*' ||
  entry === 'type:bridge' ||
  entry === name ||
  (entry.startsWith('interface-name:') && glob(entry.slice('interface-name:'.length).replace(/^=/, ''), name))
