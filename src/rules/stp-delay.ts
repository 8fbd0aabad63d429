import { isYes } from '../model/networkd.ts'
import type { Path } from '../text/path.ts'
import { writtenNetdevs } from '../plan/networkd.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** E24 */
export const stpDelay: Rule = {
  id: 'stp-delay',
  group: 'bridges',
  severity: 'hint',
  summary: 'A bridge with STP passes nothing for a container in its first 30 seconds.',
  *check({ topology, bridges }) {
    const places = new Map<string, Path>()
    for (const { name, stp, at } of topology.bridges) if (stp) places.set(name, [...at, 'stp'])
    for (const { name, kind, sections } of writtenNetdevs(topology.host)) {
      const settings = sections.get('bridgeConfig')?.settings
      const stp = settings?.get('STP')?.at(-1)
      if (kind !== 'bridge' || name === undefined || stp === undefined) continue
      if (settings?.has('ForwardDelaySec') === true) places.delete(name.text)
      else if (isYes(stp)) places.set(name.text, stp.at)
    }
    const slow = Array.from(places).flatMap(([name, at]) => {
      const [member] = bridges.get(name)?.members ?? []
      return member === undefined ? [] : [{ name, at, member }]
    })
    const [first] = slow
    if (first === undefined) return
    const { at, member } = first
    yield {
      message: `STP is on for ${listed(slow.map(({ name }) => `"${name}"`))}: a container has no network for 30 seconds after its start`,
      labels: [
        { at, text: 'STP is on' },
        { at: [...member.at, 'hostBridge'], text: `"${member.node.name}" waits with every start` }
      ],
      note: 'a new port is listening for 15 seconds and learning for another 15 before it forwards: DHCP, router advertisements and services that start with the container time out in them',
      help: 'remove STP where the bridge is in no loop; or set its forward delay to 2 seconds, the least that the kernel takes (ForwardDelaySec = 2 under bridgeConfig)'
    }
  }
}
