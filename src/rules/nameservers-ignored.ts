import { offer } from '../findings/mend.ts'
import { listed } from '../text/words.ts'
import type { AddressText } from '../model/topology.ts'
import type { Rule } from './rule.ts'

/** B10 */
export const nameserversIgnored: Rule = {
  id: 'nameservers-ignored',
  group: 'dns',
  severity: 'warning',
  summary: "A container's nameservers have no effect, since it uses the host's resolv.conf.",
  *check({ topology }) {
    for (const container of topology.having.nameservers) {
      const { name, at, nameservers, resolved, useHostResolvConf, enabled, copyResolvConf } = container
      if (!enabled || nameservers.length === 0 || resolved || useHostResolvConf === false) continue
      // Without the copy there is nothing to replace them (nixpkgs, system/boot/stage-2-init.sh).
      if (!copyResolvConf) continue
      // The same list on the host ends up in the container by that copy.
      const same = sameServers(topology.host.nameservers, nameservers)
      yield {
        message: `nameservers ${listed(nameservers.map(({ text }) => text))} of container "${name}" are ignored`,
        labels: [
          { at: [...at, 'nameservers'], text: 'without effect' },
          ...(useHostResolvConf === true
            ? [{ at: [...at, 'useHostResolvConf'], text: 'because of this' }]
            : [])
        ],
        note: "useHostResolvConf is true inside a container unless it is switched off, and the host's /etc/resolv.conf then replaces these servers (nixpkgs issue 162686)",
        help: 'add useHostResolvConf: false',
        // Who has written true may want the servers of the host.
        ...offer(
          useHostResolvConf === undefined
            ? { kind: 'insert', at: [...at, 'useHostResolvConf'], value: false }
            : undefined
        ),
        ...(same ? { severity: 'hint' as const } : {})
      }
    }
  }
}

const sameServers = (host: readonly AddressText[], own: readonly AddressText[]): boolean => {
  const names = new Set(host.map(({ text }) => text))
  return own.every(({ text }) => names.has(text))
}
