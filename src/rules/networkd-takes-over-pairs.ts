import { offer } from '../findings/mend.ts'
import { matches, runsNetworkd } from '../plan/networkd.ts'
import type { Link, NetworkFile, Plan } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** E1, E2 */
export const networkdTakesOverPairs: Rule = {
  id: 'networkd-takes-over-pairs',
  group: 'networkd',
  severity: 'warning',
  summary: 'systemd-networkd runs on the host and takes the pairs of containers (ve-*) for its own.',
  *check(plan) {
    const { topology, releases } = plan
    const { host } = topology
    if (runsNetworkd(host) !== true) return
    // What is not written by hand is still to be generated, with the unit that is missing here.
    const byHand = host.networkd !== undefined
    if (plan.networkFiles().all.some(takesAllPairs)) return
    const first = plan.links.findIndex(link => isTaken(plan, link))
    const link = plan.links[first]
    if (link === undefined) return
    const { hostIfname, bridgeName, at, node } = link
    const more = plan.links.some((other, i) => i > first && isTaken(plan, other))
    const unit = mayComeFirst(plan) ? FIRST : INSTEAD
    yield {
      message: `systemd-networkd takes ${hostIfname}${more ? ' and other pairs' : ''} for its own`,
      labels: [
        host.networkd?.enable === true
          ? { at: [...host.networkd.at, 'enable'], text: 'networkd runs here' }
          : { at: [...host.at, 'manager'], text: 'networkd runs here' },
        { at, on: 'key', text: `${hostIfname} is the host's end of "${node.name}"` }
      ],
      note: `systemd ships 80-container-ve.network for every ve-*: networkd adds addresses from a random /28, runs a DHCP server, sends router advertisements and masquerades; ${
        bridgeName !== undefined
          ? `when it restarts it takes ${hostIfname} off the bridge "${bridgeName}", and the container is cut off`
          : releases.networkdDropsForeign
            ? 'when it restarts or reconfigures the pair it removes the addresses and routes that NixOS has set, and the container is cut off'
            : 'when it reconfigures the pair it removes the addresses and routes that NixOS has set, and the container is cut off'
      }`,
      help: byHand
        ? `add to host.networkd.networks: "${unit}": { matchConfig: { Name: "ve-*", Kind: veth }, linkConfig: { Unmanaged: true } }`
        : 'tell networkd to leave them alone: systemd.network.networks."10-ve" = { matchConfig = { Name = "ve-*"; Kind = "veth"; }; linkConfig.Unmanaged = true; }, as netplan generate writes it',
      ...offer(
        host.networkd === undefined
          ? undefined
          : {
              kind: 'insert',
              at: [...host.networkd.at, 'networks', unit],
              value: { matchConfig: { Name: 've-*', Kind: 'veth' }, linkConfig: { Unmanaged: true } }
            }
      ),
      ...(byHand ? {} : { severity: 'hint' as const })
    }
  }
}

/** The customary name; and that of the shipped file, which it replaces, so that nothing before it is taken from anybody. */
const FIRST = '10-ve'
const INSTEAD = '80-container-ve'

/** Whether a file of the customary name would be a new one, and take no pair that another file by hand has. */
const mayComeFirst = ({ topology, networkFiles, links }: Plan): boolean =>
  topology.host.networkd?.networks.every(({ file }) => file !== FIRST) !== false &&
  links.every(({ kind, hostIfname }) => {
    const [taker] = kind === 'veth' ? networkFiles().takers({ name: hostIfname, kind: 'veth' }) : []
    return taker?.source !== 'written' || taker.file < `${FIRST}.network`
  })

/** Whether a file by hand takes all pairs, so that nobody needs to look at each. */
const takesAllPairs = ({ source, match }: NetworkFile): boolean =>
  source === 'written' &&
  match.names.includes('ve-*') &&
  match.names.every(name => !name.startsWith('!')) &&
  matches(match, { name: 've-', kind: 'veth' }) === true

/** Whether networkd configures the host's end with its own file; a unit by hand that comes too late is told as such. */
const isTaken = ({ networkFiles }: Plan, { kind, hostIfname }: Link): boolean => {
  if (kind !== 'veth' || !hostIfname.startsWith('ve-')) return false
  const takers = networkFiles().takers({ name: hostIfname, kind: 'veth' })
  return takers[0]?.source === 'shipped' && takers.every(({ source }) => source !== 'written')
}
