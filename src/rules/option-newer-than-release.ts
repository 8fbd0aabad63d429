import type { Problem } from '../findings/finding.ts'
import type { Topology } from '../model/topology.ts'
import type { Releases } from '../plan/releases.ts'
import type { Rule } from './rule.ts'

/** nixpkgs PR 462775 */
export const optionNewerThanRelease: Rule = {
  id: 'option-newer-than-release',
  group: 'containers',
  severity: 'error',
  summary: 'The file has an option that the NixOS release of the host does not know yet.',
  *check({ topology, releases }) {
    yield* routerSource(topology, releases)
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

const routerSource = function* ({ host, containers }: Topology, releases: Releases): Generator<Problem> {
  if (releases.gatewaySource) return
  for (const owner of [host, ...containers]) {
    // What is built elsewhere may be of another release.
    if ('enabled' in owner && !(owner.enabled && owner.checkedByNix)) continue
    for (const [option, gateway] of [
      ['defaultGateway', owner.defaultGateway],
      ['defaultGateway6', owner.defaultGateway6]
    ] as const) {
      if (gateway?.source === undefined) continue
      yield {
        message: `${option} ${'enabled' in owner ? `of container "${owner.name}"` : 'of the host'} has a source, which ${releases.release} does not have`,
        labels: [
          { at: gateway.source.at, text: 'an option of NixOS 26.05' },
          { at: ['host', 'release'], text: 'the release of the host' }
        ],
        note: `nixos-rebuild stops: "The option \`networking.${option}.source' does not exist"`,
        help: 'remove it; without one the kernel takes the address of the interface that the route leaves by'
      }
      // The others have the same cause.
      return
    }
  }
}
