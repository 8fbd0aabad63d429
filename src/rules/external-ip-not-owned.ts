import { offer, replaced } from '../findings/mend.ts'
import { formatAddr } from '../net/addr.ts'
import { contains, type Prefix } from '../net/prefix.ts'
import { specialBlock } from '../net/special.ts'
import type { AddressText } from '../model/topology.ts'
import type { Plan } from '../plan/plan.ts'
import type { Path } from '../text/path.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** D42 */
export const externalIpNotOwned: Rule = {
  id: 'external-ip-not-owned',
  group: 'nat',
  severity: 'warning',
  summary: 'NAT translates to an address that the host does not have.',
  *check(plan) {
    const { nat, enabled } = plan.nat
    if (!enabled || nat === undefined || nat.partial) return
    for (const [option, address] of [
      ['externalIP', nat.externalIP],
      ['externalIPv6', nat.enableIPv6 ? nat.externalIPv6 : undefined]
    ] as const) {
      const prefix = address?.prefix
      if (address === undefined || prefix === undefined) continue
      const family = option === 'externalIP' ? 4 : 6
      const own = ownAddresses(plan, nat.externalInterface).filter(({ prefix }) => prefix.family === family)
      const [first] = own
      if (prefix.family !== family) continue
      const block = specialBlock(prefix)
      if (block?.use === 'dead' || block?.name === 'link-local') {
        yield {
          message: `${option} is ${formatAddr(prefix)}, ${block.name.startsWith('the ') ? block.name : `a ${block.name} address`}`,
          labels: [{ at: address.at, text: 'no router passes on what comes from there' }],
          note: `packets leave with that address, and no answer comes back to it from outside (${block.source}): every connection of the containers times out`,
          help: `leave ${option} out, for the address that the interface has${first === undefined ? '' : `, or write ${listed(own.slice(0, 3).map(({ prefix }) => formatAddr(prefix)))}`}`
        }
        continue
      }
      if (first === undefined) continue
      const owners = plan.addresses.owners(prefix)?.filter(({ enabled }) => enabled) ?? []
      if (owners.some(({ kind }) => kind !== 'local')) continue
      const [other] = owners
      const beside = own.some(({ prefix: net }) => contains(net, prefix))
      // From elsewhere a provider may route it here without any interface having it.
      const routed = !beside && other === undefined
      yield {
        message: `${option} is ${formatAddr(prefix)}, which ${other === undefined ? `"${nat.externalInterface}" does not have` : `is the address of ${other.owner}`}`,
        labels: [
          { at: address.at, text: other === undefined ? 'not an address of the host' : 'not the host' },
          ...(other === undefined ? [] : [{ at: other.at, text: other.owner }]),
          { at: first.at, text: `"${nat.externalInterface}" has this one` }
        ],
        note: routed
          ? 'it works where the provider routes this address to the host, and answers come back for no other one'
          : `packets leave with that address, and nobody answers ${family === 4 ? 'ARP' : 'neighbour discovery'} for it on "${nat.externalInterface}": every connection of the containers times out`,
        help: `write ${option}: ${listed(own.slice(0, 3).map(({ prefix }) => formatAddr(prefix)))}; or leave it out, for the address that the interface has`,
        ...offer(replaced(address.at, routed || own.length > 1 ? undefined : formatAddr(first.prefix))),
        ...(routed ? { severity: 'hint' as const } : {})
      }
    }
  }
}

interface Own {
  readonly at: Path
  readonly prefix: Prefix
}

/** The addresses of the external interface, where the file has all of them; else none. */
const ownAddresses = ({ topology: { host, bridges } }: Plan, name: string | undefined): readonly Own[] => {
  if (host.partial) return []
  const bridge = bridges.find(other => other.name === name)
  if (bridge !== undefined) return bridge.partial || bridge.dhcp !== undefined ? [] : known(bridge.addresses)
  const card = host.configured.find(other => other.name === name)
  return card === undefined || card.dhcp ? [] : known(card.addresses)
}

const known = (addresses: readonly AddressText[]): readonly Own[] => {
  const all = addresses.flatMap(({ at, prefix }) => (prefix === undefined ? [] : [{ at, prefix }]))
  return all.length < addresses.length
    ? []
    : all.filter(({ prefix }) => specialBlock(prefix)?.name !== 'link-local')
}
