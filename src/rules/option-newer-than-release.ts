import type { Rule } from './rule.ts'

/** nixpkgs PR 462775 */
export const optionNewerThanRelease: Rule = {
  id: 'option-newer-than-release',
  group: 'containers',
  severity: 'error',
  summary: 'A container has an option that the NixOS release of the host does not know yet.',
  *check({ topology, releases }) {
    if (releases.localMacAddress) return
    for (const { enabled, name, veth } of topology.having.localMacAddress) {
      const { localMacAddress } = veth
      if (!enabled || localMacAddress === undefined) continue
      yield {
        message: `container "${name}" has localMacAddress, which ${releases.release} does not have`,
        labels: [
          { at: localMacAddress.at, text: 'an option of NixOS 26.05' },
          { at: ['host', 'release'], text: 'the release of the host' }
        ],
        note: `nixos-rebuild stops: "The option \`containers.${name}.localMacAddress' does not exist"`,
        help: 'remove it (systemd-nspawn makes a stable address of the machine and the name), or let networkd inside the container set it: [Link] MACAddress='
      }
      // The others have the same cause.
      return
    }
  }
}
