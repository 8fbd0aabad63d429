import type { Topology } from '../model/topology.ts'
import type { Addr } from '../net/addr.ts'
import { type Prefix, contains, parsePrefix } from '../net/prefix.ts'
import { hostNetworks } from './host-networks.ts'
import type { Plan } from './plan.ts'

/** A network that a program on the host takes for itself unless it is told otherwise. */
export interface DaemonRange {
  readonly daemon: string
  readonly prefix: Prefix
  /** What the program has there. */
  readonly use: string
  /** The interface that it makes for it. */
  readonly ifname: string
  /** What happens to another network there, at run time. */
  readonly symptom: string
  /** How it is given another range. */
  readonly option: string | undefined
  /** Whether another network there surely fails. */
  readonly fatal: boolean
}

const range = (
  daemon: string,
  text: string,
  ifname: string,
  use: string,
  symptom: string,
  option?: string,
  fatal = false
): DaemonRange => {
  const parsed = parsePrefix(text)
  if (!('value' in parsed)) throw new Error(`range ${text}: ${parsed.reason}`)
  return { daemon, prefix: parsed.value, ifname, use, symptom, option, fatal }
}

const ROUTES =
  'the narrower route wins, or the one that was there first: one of the two networks cannot be reached'
const DROPPED =
  'its firewall rules drop every packet from there that does not come through tailscale0, so the host answers none of these machines'

/** What the programs take by default. Those of lxd and incus are chosen at random when they are set up. */
const RANGES: readonly DaemonRange[] = [
  // moby, libnetwork/ipamutils: the first of the pools that no route touches when the daemon starts.
  range(
    'docker',
    '172.17.0.0/16',
    'docker0',
    'docker0',
    'docker chooses another range only if a route of this one is there already when it starts; a pair has one only while its container runs. Else one of the two networks cannot be reached',
    'virtualisation.docker.daemon.settings.bip'
  ),
  // containers.conf(5), default_subnet.
  range('podman', '10.88.0.0/16', 'podman0', 'its network "podman"', ROUTES),
  range(
    'libvirtd',
    '192.168.122.0/24',
    'virbr0',
    'its network "default"',
    'libvirt does not start its network: "Network is already in use by interface …"; or, where that was first, one of the two cannot be reached'
  ),
  // RFC 6598 space; tailscale, util/linuxfw: "-s 100.64.0.0/10 ! -i tailscale0 -j DROP".
  range('tailscale', '100.64.0.0/10', 'tailscale0', 'its machines', DROPPED, undefined, true),
  range('tailscale', 'fd7a:115c:a1e0::/48', 'tailscale0', 'its machines', ROUTES),
  // k3s server --cluster-cidr and --service-cidr.
  range('k3s', '10.42.0.0/16', 'cni0', 'its pods', ROUTES, '--cluster-cidr'),
  range(
    'k3s',
    '10.43.0.0/16',
    'cni0',
    'its services',
    'the host takes such an address for a service of the cluster',
    '--service-cidr'
  ),
  // nixpkgs, services/cluster/kubernetes: clusterCidr and apiserver.serviceClusterIpRange.
  range('kubernetes', '10.1.0.0/16', 'cni0', 'its pods', ROUTES, 'services.kubernetes.clusterCidr'),
  range(
    'kubernetes',
    '10.0.0.0/24',
    'cni0',
    'its services',
    'the host takes such an address for a service of the cluster',
    'services.kubernetes.apiserver.serviceClusterIpRange'
  )
]

/** The ranges of the programs that the host runs. */
export const daemonRanges = ({ host }: Topology): readonly DaemonRange[] =>
  RANGES.filter(({ daemon }) => host.daemons.includes(daemon))

/**
 * Finds the bridge of libvirt that an address is behind: that of a machine of the file, or the one of libvirt's network
 * "default". Undefined where the file makes another network of it, and for IPv6, into which libvirt lets everybody
 * unless its network has <nat ipv6='yes'> (libvirt, network_nftables.c).
 */
export const libvirtBridges = (plan: Plan): ((addr: Addr) => string | undefined) => {
  const { topology, bridges, linksOf, addresses } = plan
  const network = daemonRanges(topology).find(({ daemon }) => daemon === 'libvirtd')
  const machines = new Map<bigint, string | undefined>()
  for (const vm of topology.vms)
    for (const { bridgeName, addresses } of linksOf.get(vm) ?? [])
      for (const { prefix } of addresses) if (prefix !== undefined) machines.set(prefix.value, bridgeName)
  const hostNetwork = hostNetworks(plan)
  return addr => {
    if (addr.family !== 4) return undefined
    const name = machines.get(addr.value)
    if (name !== undefined) return /^virbr\d+$/.test(name) && !bridges.has(name) ? name : undefined
    if (network === undefined || !contains(network.prefix, addr) || bridges.has(network.ifname))
      return undefined
    if (addresses.owners(addr) !== undefined) return undefined
    const own = hostNetwork(addr)
    return own === undefined || own.ifname === network.ifname ? network.ifname : undefined
  }
}
