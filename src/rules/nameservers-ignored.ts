import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** B10 */
export const nameserversIgnored: Rule = {
  id: 'nameservers-ignored',
  group: 'dns',
  severity: 'warning',
  summary: "A container's nameservers have no effect, since it uses the host's resolv.conf.",
  *check({ topology }) {
    for (const { name, at, nameservers, resolved, useHostResolvConf, enabled } of topology.containers) {
      if (!enabled || nameservers.length === 0 || resolved || useHostResolvConf === false) continue
      yield {
        message: `nameservers ${listed(nameservers.map(({ text }) => text))} of container "${name}" are ignored`,
        labels: [
          { at: [...at, 'nameservers'], text: 'without effect' },
          ...(useHostResolvConf === true
            ? [{ at: [...at, 'useHostResolvConf'], text: 'because of this' }]
            : [])
        ],
        note: "useHostResolvConf is true inside a container unless it is switched off, and the host's /etc/resolv.conf then replaces these servers (nixpkgs issue 162686)",
        help: 'add useHostResolvConf: false'
      }
    }
  }
}
