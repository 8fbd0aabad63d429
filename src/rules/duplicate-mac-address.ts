import { offer, replaced } from '../findings/mend.ts'
import { asLocalMac, formatMac, isMulticastMac } from '../net/mac.ts'
import { type ChosenMac, chosenMacs, freeMacs } from '../plan/macs.ts'
import type { Rule } from './rule.ts'

/** E25 */
export const duplicateMacAddress: Rule = {
  id: 'duplicate-mac-address',
  group: 'bridges',
  severity: 'error',
  summary: 'Two interfaces on one bridge have the same MAC address.',
  *check({ topology, bridges }) {
    const macs = chosenMacs(topology)
    const free = freeMacs(macs)
    const seen = new Map<string, ChosenMac>()
    for (const chosen of macs) {
      const { mac, segment, owner } = chosen
      // On separate links an address may repeat; a bridge that knows VLANs keeps a table for each of them.
      if (segment === undefined || mac.value === undefined || mac.value === 0) continue
      if (isMulticastMac(mac.value) || bridges.get(segment)?.bridge.vlanAware === true) continue
      const key = `${mac.value} ${segment}`
      const first = seen.get(key)
      if (first === undefined) {
        seen.set(key, chosen)
        continue
      }
      // The host's own stand first. A bridge has the address of its port by default, and is given it to keep a DHCP lease.
      if (isOwn(chosen)) continue
      const other = formatMac(free(asLocalMac(mac.value)))
      yield {
        message: `${owner} has the MAC address ${formatMac(mac.value)} of ${first.owner}, and both are on bridge "${segment}"`,
        labels: [
          { at: mac.at, text: `${formatMac(mac.value)} again` },
          { at: first.mac.at, text: `it belongs to ${first.owner}` }
        ],
        note: isOwn(first)
          ? `the host takes every frame for that address itself: ${owner} cannot be reached, and nothing says so`
          : 'both start without a complaint; the bridge sends the frames to whichever of the two was heard last, and the two do not reach each other',
        help: `give ${owner} another one: ${other} is free`,
        ...offer(replaced(mac.at, other))
      }
    }
  }
}

/** Whether the host itself answers to it. */
const isOwn = ({ kind }: ChosenMac): boolean => kind === 'bridge' || kind === 'interface'
