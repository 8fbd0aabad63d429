import { offer, replaced } from '../findings/mend.ts'
import { formatMac } from '../net/mac.ts'
import { type ChosenMac, chosenMacs, freeMacs } from '../plan/macs.ts'
import type { Rule } from './rule.ts'

/** E26 */
export const invalidMacAddress: Rule = {
  id: 'invalid-mac-address',
  group: 'bridges',
  severity: 'error',
  summary: 'A MAC address is not six bytes of two hexadecimal digits, separated by colons.',
  *check({ topology }) {
    const macs = chosenMacs(topology)
    const free = freeMacs(macs)
    for (const chosen of macs) {
      const { mac, owner, kind } = chosen
      // networkd leaves the address of a bridge alone then (systemd.netdev(5)).
      if (mac.value !== undefined || (kind === 'bridge' && mac.text === 'none')) continue
      yield {
        message: `${mac.text === '' ? 'the MAC address' : `"${mac.text}"`} of ${owner} is not a MAC address: ${fault(mac.text)}`,
        labels: [{ at: mac.at, text: fault(mac.text) }],
        note: effect(chosen),
        help: `write ${repaired(mac.text) ?? `six bytes of two hexadecimal digits each, such as ${formatMac(free(0x020000000001))}`}`,
        ...offer(replaced(mac.at, repaired(mac.text)))
      }
    }
  }
}

const HEX = /^[0-9a-f]*$/i

/** What is wrong with it: the first thing that a reader would see too. */
const fault = (text: string): string => {
  if (text === '') return 'it is empty'
  const bad = /[^0-9a-f:.-]/iu.exec(text)
  if (bad !== null) return `${bad[0] === ' ' ? 'a space' : `"${bad[0]}"`} is not a hexadecimal digit`
  if (/[.-]/.test(text) || !text.includes(':')) return 'its bytes are not separated by colons'
  const parts = text.split(':')
  if (parts.length !== 6) return `it has ${parts.length} bytes instead of 6`
  const odd = parts.find(part => part.length !== 2) ?? ''
  return odd === ''
    ? 'one of its bytes is empty'
    : `"${odd}" has ${odd.length} ${odd.length === 1 ? 'digit' : 'digits'} instead of 2`
}

/** The address that was meant, where only its separators or leading zeros are wrong. */
const repaired = (text: string): string | undefined => {
  const parts = text.split(/[:.-]/)
  const digits =
    parts.length === 6 && parts.every(part => part.length === 1 || part.length === 2)
      ? parts.map(part => part.padStart(2, '0')).join('')
      : parts.join('')
  return HEX.test(digits) && digits.length === 12 ? formatMac(Number.parseInt(digits, 16)) : undefined
}

/** isMacAddress of lib/systemd-lib.nix: the length, and hexadecimal digits between the colons. */
const passesNixos = (text: string): boolean => text.length === 17 && /^[0-9a-f:]*$/i.test(text)

const effect = ({ kind, mac }: ChosenMac): string =>
  kind === 'container' || kind === 'extra-veth'
    ? 'nixos-rebuild stops: the option takes six bytes of two digits with colons, and nothing else'
    : kind === 'vm'
      ? 'the hypervisor does not start the machine with it, or gives it another address'
      : passesNixos(mac.text)
        ? 'NixOS counts 17 characters and lets it pass; systemd says "Not a valid hardware address, ignoring assignment", and the interface gets another address than the one that was chosen'
        : 'nixos-rebuild stops: the MACAddress of a unit "must be a valid MAC address"'
