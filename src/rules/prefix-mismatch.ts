import { offer, replaced } from '../findings/mend.ts'
import { formatAddr } from '../net/addr.ts'
import { contains, formatNetwork, formatPrefix } from '../net/prefix.ts'
import type { Rule } from './rule.ts'

/** A15 */
export const prefixMismatch: Rule = {
  id: 'prefix-mismatch',
  group: 'addresses',
  severity: 'error',
  summary: 'A container and its bridge disagree about how large their network is.',
  *check({ misplaced }, freeIn) {
    for (const { link, address, placement } of misplaced.values()) {
      const { prefix } = address
      if (placement.kind !== 'prefix-differs' || prefix === undefined) continue
      const { bridge, address: own, prefix: network } = placement.subnet
      const { name } = bridge
      const inside = contains(network, prefix)
      // The part of the bridge that is not written here may hold the address.
      if (!inside && bridge.partial) continue
      const seesBridge = own.prefix !== undefined && contains(prefix, own.prefix)
      const who = link.kind === 'tap' ? 'machine' : 'container'
      const free = inside || link.bridge?.open === true ? undefined : freeIn(network, address)
      yield {
        message: `${address.text} of ${who} "${link.node.name}" is a /${prefix.bits}; bridge "${name}" has a /${network.bits}`,
        labels: [
          { at: address.at, text: `this says ${formatNetwork(prefix)}` },
          { at: own.at, text: `this says ${formatPrefix(network)}` }
        ],
        note: !inside
          ? `the ${who} takes the bridge for a neighbour, but to the host ${formatAddr(prefix)} is not on "${name}": answers go elsewhere, so it reaches neither host nor internet`
          : !seesBridge
            ? `${own.prefix === undefined ? own.text : formatAddr(own.prefix)} of "${name}" is outside ${formatNetwork(prefix)}: as a gateway it is refused ("${prefix.family === 4 ? 'Nexthop has invalid gateway' : 'No route to host'}"), and not even the host gets an answer`
            : prefix.bits < network.bits
              ? `host and ${who} reach each other; but the ${who} looks on "${name}" for all of ${formatNetwork(prefix)}, and whatever of it is elsewhere it does not find ("No route to host")`
              : `host and ${who} reach each other; but the ${who} sends to its neighbours outside ${formatNetwork(prefix)} through the host, which works only while that forwards packets`,
        help: inside
          ? `write ${formatAddr(prefix)}/${network.bits}`
          : `${free === undefined ? `give it an address of ${formatPrefix(network)}` : `write ${formatAddr(free)}/${network.bits}, which is free`}, or make "${name}" a /${prefix.bits}`,
        ...offer(replaced(address.at, inside ? `${formatAddr(prefix)}/${network.bits}` : undefined)),
        ...(inside && seesBridge ? { severity: 'warning' as const } : {})
      }
    }
  }
}
