import { hostName } from '../plan/links.ts'
import type { Rule } from './rule.ts'

/** IEEE 802.11: a frame from a station carries one address, that of the card which is associated. */
export const macvlanOnWifi: Rule = {
  id: 'macvlan-on-wifi',
  group: 'containers',
  severity: 'warning',
  summary: 'A container or the host has a macvlan on a Wi-Fi card.',
  *check({ topology }) {
    // An access point's card is the other end: it sends for whoever it likes.
    if (topology.host.daemons.includes('hostapd')) return
    for (const { name, interface: parent } of topology.host.macvlans)
      if (isWifi(parent.name))
        yield {
          message: `the host has a macvlan "${name}" on the Wi-Fi card ${parent.name}`,
          labels: [{ at: parent.at, text: 'a name that Wi-Fi cards have' }],
          note: 'a macvlan sends from a MAC address of its own, and an access point takes frames only from the one that has logged in: it is made, and hears nothing from outside',
          help: `give ${parent.name} itself the address, or make the macvlan on a cable`
        }
    for (const { enabled, macvlans, name } of topology.having.macvlans) {
      if (!enabled) continue
      for (const { at, name: entry } of macvlans) {
        const parent = hostName(entry)
        if (!isWifi(parent)) continue
        yield {
          message: `container "${name}" has a macvlan on the Wi-Fi card ${parent}`,
          labels: [{ at, text: 'a name that Wi-Fi cards have' }],
          note: 'a macvlan sends from a MAC address of its own, and an access point takes frames only from the one that has logged in: the container starts, asks for an address or its gateway, and hears nothing',
          help: `use a veth pair (hostAddress and localAddress) and nat with externalInterface: ${parent}, or a macvlan on a cable`
        }
      }
    }
  }
}

const isWifi = (name: string): boolean => /^wl(an\d|[opsx]\w)/.test(name)
