import type { Label } from '../findings/finding.ts'
import type { AddressText } from '../model/topology.ts'
import { entranceOf, inputFilter } from '../plan/firewall.ts'
import { setsAddresses } from '../plan/networkd.ts'
import type { Plan } from '../plan/plan.ts'
import { networkdBridges } from '../plan/units.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

export const ipv6WithoutFirewall: Rule = {
  id: 'ipv6-without-firewall',
  group: 'firewall',
  severity: 'error',
  exposes: true,
  summary: 'IPv6 is switched off on the host, networkd switches it on again, and no firewall looks at it.',
  *check(plan) {
    const { host } = plan.topology
    const { firewall } = host
    if (host.enableIPv6 || !firewall.enable || firewall.backend === 'nftables') return
    const filter = inputFilter(firewall)
    const open = [...speaking(plan)].filter(({ ifname }) => !filter.trusts(ifname))
    const [first, ...rest] = open
    if (first === undefined) return
    const label = ({ address, ifname }: Speaking): Label => ({
      at: address.at,
      text: `networkd switches IPv6 on again on ${ifname}`
    })
    yield {
      message: `every port of the host is open to IPv6 on ${listed(
        open.map(({ ifname }) => ifname),
        4
      )}: host.enableIPv6 is false, so the firewall has no rules for IPv6`,
      labels: [
        { at: [...host.at, 'enableIPv6'], text: 'no ip6tables rules are made' },
        label(first),
        ...rest.slice(0, LABELLED).map(label)
      ],
      note: 'networking.enableIPv6 = false makes the iptables firewall leave ip6tables alone, whose policy is ACCEPT, while systemd-networkd switches IPv6 on wherever it sets an IPv6 address: what listens on the host answers whoever is there',
      help: 'remove host.enableIPv6: false, or the IPv6 addresses; or write firewall.backend: nftables, whose rules are for both families'
    }
  }
}

/** How many of the other addresses are shown. */
const LABELLED = 8

interface Speaking {
  readonly ifname: string
  readonly address: AddressText
}

/** Interfaces of the host to which networkd gives IPv6 addresses that the file names. */
const speaking = function* (plan: Plan): Generator<Speaking> {
  const { host } = plan.topology
  const own = (ifname: string, addresses: readonly AddressText[]): readonly Speaking[] => {
    const address = addresses.find(({ prefix }) => prefix?.family === 6)
    return address === undefined ? [] : [{ ifname, address }]
  }
  for (const { name, addresses } of networkdBridges(plan)) yield* own(name, addresses)
  if (!setsAddresses(host)) return
  for (const { name, addresses } of host.interfaces) yield* own(name, addresses)
  for (const link of plan.links)
    if (link.bridgeName === undefined && link.veth !== undefined)
      yield* own(entranceOf(link), link.hostAddresses)
}
