import { plural } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** F7 */
export const containersDisabled: Rule = {
  id: 'containers-disabled',
  group: 'containers',
  severity: 'warning',
  summary: 'Containers are declared, and boot.enableContainers is false.',
  *check({ topology }) {
    const { host, containers } = topology
    if (host.enableContainers) return
    const first = containers.find(({ enabled }) => enabled)
    if (first === undefined) return
    const count = containers.filter(({ enabled }) => enabled).length
    yield {
      message: `enableContainers is false, so ${count === 1 ? `container "${first.name}" does not exist` : `none of the ${plural(count, 'container')} exists`}`,
      labels: [
        { at: ['host', 'enableContainers'], text: 'switches all of them off' },
        { at: first.at, on: 'key', text: count === 1 ? 'declared here' : 'the first of them' }
      ],
      note: 'nixos-rebuild warns and goes on: there is no container@ unit, no file in /etc/nixos-containers and no name in /etc/hosts',
      help: 'remove enableContainers: NixOS turns it on where containers are declared; to switch off single ones write enabled: false for them'
    }
  }
}
