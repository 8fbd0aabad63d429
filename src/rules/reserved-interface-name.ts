import { CARD } from '../net/ifname.ts'
import { ignoredByDhcpcd } from '../plan/dhcp.ts'
import { hasVeth } from '../plan/links.ts'
import type { Rule } from './rule.ts'

/** C11, C12 */
export const reservedInterfaceName: Rule = {
  id: 'reserved-interface-name',
  group: 'names',
  severity: 'warning',
  summary:
    'A bridge or an extra veth has a name that belongs to somebody else: containers, a program, a network card.',
  *check({ topology, hostInterfaces }) {
    for (const { name, at, dhcp } of topology.bridges) {
      const reserved = RESERVED.find(([pattern]) => pattern.test(name))
      if (reserved === undefined) continue
      const [, owner, symptom, grave] = reserved
      const daemons = DAEMONS.get(owner)
      const daemon = daemons?.find(daemon => topology.host.daemons.includes(daemon))
      // That it gets no address by that name is told at the DHCP.
      const isHint = symptom === BESIDE && daemon === undefined
      if (isHint && dhcp !== undefined && ignoredByDhcpcd(name, topology.host) !== undefined) continue
      yield {
        message: `the bridge name "${name}" belongs to ${owner}`,
        labels: [{ at, on: 'key', text: 'taken by its pattern' }],
        note:
          daemon === undefined
            ? symptom
            : `the host runs ${daemon}, which makes an interface of that name: one of the two finds the name taken, or takes the other over`,
        help: 'choose a name of your own, such as br0 or br-apps',
        ...(grave === true ? { severity: 'error' as const } : isHint ? { severity: 'hint' as const } : {})
      }
    }
    for (const container of topology.having.extraVeths) {
      const { enabled, extraVeths, name } = container
      if (!enabled) continue
      for (const { ifname, at } of extraVeths) {
        if (!CARD.test(ifname) || (ifname === 'eth0' && hasVeth(container))) continue
        // Two interfaces of one name are told of by duplicate-interface-name.
        if (hostInterfaces().get(ifname)?.kind !== 'extra-veth') continue
        yield {
          message: `the extra veth "${ifname}" of container "${name}" has the name of a network card`,
          labels: [{ at, on: 'key', text: `on the host too, the interface is called ${ifname}` }],
          note: 'the key is the name on both sides: with a card of that name in the host the container does not start ("File exists"), and DHCP or units that are meant for cards catch the interface',
          help: `give it a name of its own, such as ${`ve-${name}`.slice(0, 13).replace(/-+$/, '')}-1, inside and under extraVeths`,
          severity: 'hint'
        }
      }
    }
  }
}

const BESIDE =
  'it works as long as nothing else makes an interface of that name; when both exist, one of them finds the name taken, or takes the other over'

/** The programs of host.daemons that make interfaces of these names. */
const DAEMONS: ReadonlyMap<string, readonly string[]> = new Map([
  ['docker', ['docker']],
  ['libvirt', ['libvirtd']],
  ['LXD', ['lxd']],
  ['Incus', ['incus']],
  ['podman', ['podman']],
  ['kubernetes', ['kubernetes', 'k3s']],
  ['tailscale', ['tailscale']]
])

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
    CARD,
    'network cards',
    'a card of that name may exist or be plugged in one day; then one of the two is not made, or gets the settings of the other'
  ],
  [/^(docker\d+|br-[0-9a-f]{12})$/, 'docker', BESIDE],
  [/^virbr\d+$/, 'libvirt', BESIDE],
  [/^lxdbr\d+$/, 'LXD', BESIDE],
  [/^lxcbr\d+$/, 'LXC', BESIDE],
  [/^incusbr\d+$/, 'Incus', BESIDE],
  [/^(podman|cni-podman)\d+$/, 'podman', BESIDE],
  [/^(cni\d+|flannel\.?\d*)$/, 'kubernetes', BESIDE],
  [/^tailscale\d+$/, 'tailscale', BESIDE],
  [/^(wg|tun|tap)\d+$/, 'VPN tunnels', BESIDE]
]
