import type { Rule } from './rule.ts'

/** C11 */
export const reservedInterfaceName: Rule = {
  id: 'reserved-interface-name',
  group: 'names',
  severity: 'warning',
  summary: 'A bridge has a name that belongs to containers, to another program or to a network card.',
  *check({ topology }) {
    for (const { name, at } of topology.bridges) {
      const [, owner, symptom, grave] = RESERVED.find(([pattern]) => pattern.test(name)) ?? []
      if (owner === undefined || symptom === undefined) continue
      yield {
        message: `the bridge name "${name}" belongs to ${owner}`,
        labels: [{ at, on: 'key', text: 'taken by its pattern' }],
        note: symptom,
        help: 'choose a name of your own, such as br0 or br-apps',
        ...(grave === true ? { severity: 'error' as const } : {})
      }
    }
  }
}

const BESIDE = 'when both exist, one of them finds the name taken, or takes the other over'

const RESERVED: readonly (readonly [pattern: RegExp, owner: string, symptom: string, grave?: true])[] = [
  [
    /^v[ebz]-/,
    "the containers' own interfaces",
    'rules for ve-* and vb-* catch it: dhcpcd and NetworkManager leave it alone, systemd ships a .network file for it, and NAT for ve-+ counts it in'
  ],
  [/^lo$/, 'the loopback interface', 'it exists on every machine, so no bridge of that name can be made', true],
  [
    /^(eth\d+|en[ospx]\w+|wl\w+|ww\w+)$/,
    'network cards',
    'a card of that name may exist or be plugged in one day; then one of the two is not made, or gets the settings of the other'
  ],
  [/^(docker\d+|br-[0-9a-f]{12})$/, 'docker', BESIDE],
  [/^virbr\d+$/, 'libvirt', BESIDE],
  [/^(lxdbr|lxcbr|incusbr)\d+$/, 'LXD or Incus', BESIDE],
  [/^(podman|cni-podman)\d+$/, 'podman', BESIDE],
  [/^(cni\d+|flannel\.?\d*)$/, 'kubernetes', BESIDE],
  [/^tailscale\d+$/, 'tailscale', BESIDE],
  [/^(wg|tun|tap)\d+$/, 'VPN tunnels', BESIDE]
]
