import type { Rule } from './rule.ts'

/** E23 */
export const rstpWithNetworkd: Rule = {
  id: 'rstp-with-networkd',
  group: 'bridges',
  severity: 'error',
  summary: "A bridge of systemd-networkd has rstp, which only NixOS's own scripts can set.",
  *check({ topology: { host, bridges } }) {
    for (const { name, at, rstp, definedBy } of bridges) {
      if (!rstp || (definedBy !== 'networkd' && host.manager !== 'networkd')) continue
      yield {
        message: `bridge "${name}" has rstp, and systemd-networkd makes it`,
        labels: [
          { at: [...at, 'rstp'], text: 'networkd has no such setting' },
          definedBy === 'networkd'
            ? { at: [...at, 'definedBy'], text: 'made by networkd' }
            : { at: [...host.at, 'manager'], text: 'made by networkd' }
        ],
        note: `NixOS refuses it: "networking.bridges.${name}.rstp is not supported by networkd"; the kernel itself knows STP only, and RSTP is the program mstpd`,
        help: 'remove rstp, or write stp: true where the bridge can be part of a loop'
      }
    }
  }
}
