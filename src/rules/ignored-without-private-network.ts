import { containerLinks, isPrivate, vethOptions } from '../plan/links.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** A23 */
export const ignoredWithoutPrivateNetwork: Rule = {
  id: 'ignored-without-private-network',
  group: 'addresses',
  severity: 'error',
  summary: 'Addresses, a bridge or forwards are set for a container without privateNetwork.',
  *check({ topology }) {
    for (const container of topology.containers) {
      const { veth, name, at, privateNetwork, networkNamespace, enabled, partial } = container
      if (!enabled || partial || privateNetwork || networkNamespace) continue
      const ignored: string[] = [...vethOptions(veth)]
      if (veth.forwardPorts.length > 0) ignored.push('forwardPorts')
      const [first] = ignored
      if (first === undefined) continue
      const alone = !isPrivate(container)
      yield {
        message: `container "${name}" sets ${listed(ignored)} without privateNetwork: NixOS ignores ${ignored.length > 1 ? 'them' : 'it'}`,
        labels: [
          { at: [...at, 'privateNetwork'], text: 'privateNetwork is not true' },
          ...ignored.map(option => ({ at: [...at, option], on: 'key' as const, text: 'has no effect' }))
        ],
        note: alone
          ? `the container runs in the host's network: its services listen on the host's own addresses and ports${veth.localAddress === undefined ? '' : `, and /etc/hosts of the host still sends ${name}.containers to ${veth.localAddress.text.replace(/\/.*$/, '')}, which nobody has`}`
          : `systemd-nspawn makes it private for ${listed(containerLinks(container).map(({ ifname }) => ifname))}, but no eth0 is made`,
        help: 'write privateNetwork: true, or remove what is ignored',
        ...(alone ? {} : { severity: 'warning' as const })
      }
    }
  }
}
