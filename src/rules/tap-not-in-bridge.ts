import { PrefixMap } from '../net/set.ts'
import type { Bridge, Vm } from '../model/topology.ts'
import { nearest } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** A machine's tap that nobody makes a port, and nobody gives an address. */
export const tapNotInBridge: Rule = {
  id: 'tap-not-in-bridge',
  group: 'bridges',
  severity: 'error',
  summary: 'The tap of a virtual machine is in no bridge, and the host does nothing else with it.',
  *check(plan) {
    const { topology, networkFiles } = plan
    const { host, bridges, vms } = topology
    if (vms.length === 0 || bridges.length === 0 || host.partial) return
    const configured = new Set(
      [...host.interfaces, ...[...bridges, ...host.bonds].flatMap(({ interfaces }) => interfaces)].map(
        ({ name }) => name
      )
    )
    const homes = new PrefixMap<Bridge>()
    for (const { bridge, subnets } of plan.bridges.values())
      for (const { prefix } of subnets) homes.add(prefix, bridge)
    // Each name is compared with all bridges, and only so many names.
    let compared = 0
    for (const vm of vms) {
      if (!vm.enabled || vm.partial) continue
      for (const card of vm.interfaces) {
        const { name, type, hostBridge, at, addresses } = card
        if (type !== 'tap' || hostBridge !== undefined || configured.has(name)) continue
        const home = homeOf(card, homes)
        // The host may route to an address that is in no network of a bridge by the tap itself.
        if (addresses.length > 0 && home === undefined) continue
        const takers = networkFiles().takers({ name, kind: 'tun' })
        if (takers.some(({ source }) => source === 'written')) continue
        const near = home === undefined && bridges.length > 1 && compared < COMPARED
        if (near) compared += 1
        const meant = near
          ? nearest(
              name,
              bridges.map(({ name }) => name)
            )
          : undefined
        const bridge =
          home ?? (bridges.length === 1 ? bridges[0] : bridges.find(({ name }) => name === meant))
        yield {
          message: `the tap "${name}" of machine "${vm.name}" is in no bridge`,
          labels: [
            { at, on: 'key', text: 'no hostBridge' },
            ...(bridge === undefined
              ? []
              : [{ at: bridge.at, on: 'key' as const, text: 'a bridge of the host' }])
          ],
          note: 'the program that runs the machine only makes the tap; nobody makes it a port of a bridge or gives it an address, so nothing that the machine sends is received',
          help: `write hostBridge${bridge === undefined ? ', the name of a bridge,' : `: ${bridge.name}`} for it; if a .network file of the host does that already, write the file under host.networkd.networks`
        }
      }
    }
  }
}

const COMPARED = 100

/** The bridge whose network one of the machine's addresses is in. */
const homeOf = ({ addresses }: Vm['interfaces'][number], homes: PrefixMap<Bridge>): Bridge | undefined => {
  for (const { prefix } of addresses) {
    const home = prefix === undefined ? undefined : homes.get(prefix)
    if (home !== undefined) return home
  }
  return undefined
}
