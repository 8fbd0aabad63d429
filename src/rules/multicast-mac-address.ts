import { offer, replaced } from '../findings/mend.ts'
import { asLocalMac, formatMac, isMulticastMac } from '../net/mac.ts'
import { type ChosenMac, chosenMacs, freeMacs } from '../plan/macs.ts'
import type { Rule } from './rule.ts'

/** E25 */
export const multicastMacAddress: Rule = {
  id: 'multicast-mac-address',
  group: 'bridges',
  severity: 'error',
  summary: 'A MAC address is one that no interface can have: a group address or all zeros.',
  *check({ topology }) {
    const macs = chosenMacs(topology)
    const free = freeMacs(macs)
    for (const chosen of macs) {
      const { mac, owner } = chosen
      if (mac.value === undefined || (mac.value !== 0 && !isMulticastMac(mac.value))) continue
      const kind =
        mac.value === 0
          ? 'the null address'
          : mac.value === BROADCAST
            ? 'the broadcast address'
            : 'a group address (multicast)'
      const wanted = free(mac.value === 0 || mac.value === BROADCAST ? FIRST : asLocalMac(mac.value))
      yield {
        message: `${owner} cannot have the MAC address ${mac.text}: it is ${kind}`,
        labels: [
          {
            at: mac.at,
            text:
              mac.value === 0
                ? 'all zeros'
                : `the lowest bit of its first byte, ${mac.text.slice(0, 2)}, is set`
          }
        ],
        note: effect(chosen),
        help: `write ${formatMac(wanted)}, which is a single address that you may choose (the first byte is 02, 06, 0a, 0e, 12 …)`,
        ...offer(replaced(mac.at, formatMac(wanted)))
      }
    }
  }
}

const BROADCAST = 0xffffffffffff
const FIRST = 0x020000000001

const effect = ({ kind, mac }: ChosenMac): string => EFFECTS[kind](mac.value === 0 || mac.value === BROADCAST)

const ofUnit = (refused: boolean): string =>
  refused
    ? 'systemd refuses it, and the interface keeps the address that it had'
    : 'systemd says "Specified MAC address has the multicast bit set, clearing the bit": the interface gets another address than the one that was chosen'

/** What becomes of it; all zeros and all ones are refused where a group address is made a single one. */
const EFFECTS: Readonly<Record<ChosenMac['kind'], (refused: boolean) => string>> = {
  container: () =>
    'container-init fails at "ip link set dev eth0 address" with "Cannot assign requested address", and the container does not start',
  'extra-veth': () =>
    'NixOS does not set the address of an extra veth; once it does, the container will not start with this one',
  bridge: refused =>
    refused
      ? 'networkd says "Specified MAC address is null, refusing" or "is broadcast, refusing", and does not make the bridge'
      : 'networkd says "Specified MAC address has the multicast bit set, clearing the bit": the bridge gets another address than the one that was chosen',
  interface: ofUnit,
  inside: ofUnit,
  vm: () =>
    'the kernel of the machine refuses to bring the card up with it: "Cannot assign requested address"'
}
