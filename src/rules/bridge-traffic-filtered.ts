import type { Problem } from '../findings/finding.ts'
import { isOn } from '../model/sysctl.ts'
import type { Host } from '../model/topology.ts'
import type { Family } from '../net/addr.ts'
import { formatNetwork } from '../net/prefix.ts'
import { defaultRoutes } from '../plan/gateways.ts'
import { type BridgePlan, FAMILIES, type Link, type Plan } from '../plan/plan.ts'
import type { Path } from '../text/path.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** D38 */
export const bridgeTrafficFiltered: Rule = {
  id: 'bridge-traffic-filtered',
  group: 'firewall',
  severity: 'warning',
  summary:
    "Docker or Kubernetes makes bridges pass the host's firewall, which drops what containers on one send each other.",
  *check(plan) {
    const { host } = plan.topology
    const { firewall } = host
    const program = host.daemons.find(name => LOADS.has(name))
    if (program === undefined || !firewall.written || !firewall.enable || host.partial) return
    const families = FAMILIES.filter(family => passesFirewall(host, family))
    if (families.length === 0) return
    const { filterForward, extraForwardRules = '' } = firewall
    if (filterForward !== undefined && firewall.backend === 'nftables' && extraForwardRules.trim() === '')
      yield* byForward(plan, program, filterForward, families)
    else if (firewall.checkReversePath === 'strict')
      for (const bridge of plan.bridges.values()) yield* byReversePath(plan, bridge, program, families)
  }
}

/**
 * Who loads br_netfilter, whose switches are on from the start: docker.nix and kubelet.nix by boot.kernelModules, k3s
 * itself (pkg/agent/syssetup). The latter two need it, and switch it on again.
 */
const LOADS: ReadonlySet<string> = new Set(['docker', 'kubernetes', 'k3s'])

const SWITCH = {
  4: 'net.bridge.bridge-nf-call-iptables',
  6: 'net.bridge.bridge-nf-call-ip6tables'
} as const

const passesFirewall = ({ sysctl }: Host, family: Family): boolean => {
  const written = sysctl.get(SWITCH[family])
  return written === undefined || isOn(written)
}

const mend = (program: string, other: string): string =>
  program === 'docker'
    ? `let bridges alone with host.sysctl: { ${SWITCH[4]}: 0, ${SWITCH[6]}: 0 }, or ${other}`
    : other

const byForward = function* (
  { bridges }: Plan,
  program: string,
  at: Path,
  families: readonly Family[]
): Generator<Problem> {
  for (const { bridge, members } of bridges.values()) {
    const [one, other] = members.filter(
      ({ addresses }) => families.length > 1 || addresses.some(({ prefix }) => prefix?.family === families[0])
    )
    if (one === undefined || other === undefined) continue
    const { name } = bridge
    yield {
      message: `filterForward drops what "${one.node.name}" and "${other.node.name}" send each other on bridge "${name}"`,
      labels: [
        { at, text: 'drops what no rule accepts' },
        { at: ['host', 'daemons'], text: `${program} loads br_netfilter` },
        { at: bridge.at, on: 'key', text: 'filtered because of that' }
      ],
      note: `br_netfilter sends packets that only cross a bridge through the FORWARD chain as well: connections between containers on one bridge time out, over ${listed(families.map(family => `IPv${family}`))}`,
      help: mend(
        program,
        `write host.firewall.extraForwardRules: 'iifname "${name}" oifname "${name}" accept'`
      )
    }
    return
  }
}

const byReversePath = function* (
  plan: Plan,
  { bridge, members, open }: BridgePlan,
  program: string,
  families: readonly Family[]
): Generator<Problem> {
  if (bridge.partial || bridge.vlanAware || bridge.virtualAddresses.length > 0) return
  // A bridge with a port to outside may get the host's address by DHCP, and a unit may add one or a route.
  const { firewall, networkd } = plan.topology.host
  if (open || networkd !== undefined) return
  for (const family of families) {
    if (bridge.addresses.some(({ prefix, auto }) => auto || prefix?.family === family)) continue
    if (family === 6 && bridge.acceptRA === true) continue
    // Whoever has a router here is on no network for containers alone, so the host's address may stand elsewhere.
    if (members.some(link => hasRouter(plan, link, family))) continue
    const pair = neighbours(members, family)
    if (pair === undefined) continue
    const { one, other, network } = pair
    yield {
      message: `the host's firewall drops the IPv${family} packets that "${one.node.name}" and "${other.node.name}" send each other on bridge "${bridge.name}"`,
      labels: [
        { at: bridge.at, on: 'key', text: `the host has no IPv${family} address here` },
        { at: ['host', 'daemons'], text: `${program} loads br_netfilter` },
        { at: firewall.at, on: 'key', text: 'checkReversePath is strict' }
      ],
      note: `br_netfilter sends packets that only cross a bridge through the host's firewall as well; its reverse path check wants a route back to the sender by "${bridge.name}", and without an address there the host has none: connections time out, and nothing is logged`,
      help: mend(program, `give "${bridge.name}" an address in ${network}`)
    }
    return
  }
}

const hasRouter = (plan: Plan, { container, node }: Link, family: Family): boolean =>
  container === undefined
    ? (family === 4 ? node.defaultGateway : node.defaultGateway6) !== undefined
    : defaultRoutes(plan, container, family).length > 0

/** Two links on the bridge that are in one network. */
const neighbours = (
  members: readonly Link[],
  family: Family
): { readonly one: Link; readonly other: Link; readonly network: string } | undefined => {
  const known = new Map<string, Link>()
  for (const other of members)
    for (const { prefix, bare } of other.addresses) {
      if (prefix?.family !== family || bare) continue
      const network = formatNetwork(prefix)
      const one = known.get(network)
      if (one !== undefined && one !== other) return { one, other, network }
      known.set(network, other)
    }
  return undefined
}
