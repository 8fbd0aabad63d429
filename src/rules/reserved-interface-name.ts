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
    /^v[eb]-/,
    "the containers' own interfaces",
    'what is meant for containers catches it: dhcpcd and NetworkManager leave ve-* and vb-* alone, NAT for ve-+ or ve-* counts it in, and ve-lan is also what the pair of a container lan is called'
  ],
  [
    /^lo$/,
    'the loopback interface',
    'it exists on every machine, so no bridge of that name can be made',
    true
  ],
  [
    /^vz-/,
    "systemd-nspawn's zones",
    'systemd ships 80-container-vz.network for vz-*: where networkd runs, the bridge gets a random network and a DHCP server'
  ],
  [
    /^(eth\d+|en([ops]\d\w*|x[0-9a-f]{12})|w[lw](an\d+|[ops]\d\w*|x[0-9a-f]{12}))$/,
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
