import { offer } from '../findings/mend.ts'
import type { Rule } from './rule.ts'

/** B9 */
export const resolvedWithHostResolvConf: Rule = {
  id: 'resolved-with-host-resolv-conf',
  group: 'dns',
  severity: 'error',
  summary: "A container runs systemd-resolved and uses the host's resolv.conf as well.",
  *check({ topology }) {
    for (const container of topology.containers) {
      const { name, at, resolved, useNetworkd, useHostResolvConf, enabled, partial } = container
      if (!enabled || !resolved || useHostResolvConf === false) continue
      if (partial && useHostResolvConf === undefined) continue
      const cause = useNetworkd ? 'useNetworkd' : 'resolved'
      yield {
        message: `container "${name}" sets ${cause}${useNetworkd ? ', which turns on systemd-resolved,' : ''} without useHostResolvConf: false`,
        labels: [
          {
            at: [...at, useHostResolvConf === undefined ? cause : 'useHostResolvConf'],
            text:
              useHostResolvConf === undefined
                ? 'useHostResolvConf: false is missing beside it'
                : 'this must be false'
          }
        ],
        note: 'inside a container useHostResolvConf is true by default; the rebuild stops with "Using host resolv.conf is not supported with systemd-resolved"',
        help: 'add useHostResolvConf: false; in Nix a plain "networking.useHostResolvConf = false;" is enough, mkForce is not needed',
        // Who has written true may want the servers of the host.
        ...offer(
          useHostResolvConf === undefined
            ? { kind: 'insert', at: [...at, 'useHostResolvConf'], value: false }
            : undefined
        )
      }
    }
  }
}
