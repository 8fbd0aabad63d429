import type { Label, Problem } from '../findings/finding.ts'
import type { AddressText, Host } from '../model/topology.ts'
import { setsAddresses } from '../plan/networkd.ts'
import type { Plan } from '../plan/plan.ts'
import { listed, plural } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** B13 */
export const ipv6DisabledOnHost: Rule = {
  id: 'ipv6-disabled-on-host',
  group: 'ipv6',
  severity: 'error',
  summary: 'IPv6 is switched off on the host, and NAT, a pair or a bridge of it has IPv6.',
  *check(plan) {
    const { host } = plan.topology
    const { nat } = plan.nat
    if (host.enableIPv6) return
    if (nat?.enable === true && nat.enableIPv6)
      yield {
        message: 'nat.enableIPv6 is true, and host.enableIPv6 is false',
        labels: [{ at: [...nat.at, 'enableIPv6'], text: 'IPv6 is to be translated' }, off(host)],
        note: 'the rebuild stops with "networking.nat.enableIPv6 requires networking.enableIPv6"',
        help: 'remove host.enableIPv6, or write nat.enableIPv6: false'
      }
    yield* failing(plan)
    yield* others(plan)
  }
}

const off = ({ at }: Host): Label => ({ at: [...at, 'enableIPv6'], text: 'switched off here' })

const is6 = ({ prefix }: AddressText): boolean => prefix?.family === 6

/** The commands for the host's end of a pair fail, and with them the container's unit. */
const failing = function* ({ topology: { host }, pairs }: Plan): Generator<Problem> {
  if (setsAddresses(host)) return
  // What the container sets inside by itself, the host has no command for.
  const found = pairs.flatMap(({ node, veth: { hostAddress6, localAddress6 } }) => {
    const address = [hostAddress6, localAddress6].find(address => address?.prefix?.family === 6)
    return address === undefined ? [] : [{ name: `"${node.name}"`, address }]
  })
  const [first, ...rest] = found
  if (first === undefined) return
  const names = [...new Set(found.map(({ name }) => name))]
  const isOne = names.length === 1
  yield {
    message: `${isOne ? 'container' : 'containers'} ${listed(names, 4)} ${isOne ? 'has' : 'have'} IPv6 on a pair, and host.enableIPv6 is false`,
    labels: [
      { at: first.address.at, text: 'the host cannot set this on its end' },
      off(host),
      ...rest.slice(0, LABELLED).map(({ address }) => ({ at: address.at, text: 'nor this' }))
    ],
    note: 'after the start "ip -6 addr add" answers "IPv6 is disabled on this device", so the unit of the container fails and systemd stops it again: there is no IPv4 either',
    help: 'remove host.enableIPv6, or hostAddress6 and localAddress6'
  }
}

/** How many of the other addresses are shown. */
const LABELLED = 8

/** Bridges and interfaces whose addresses NixOS's own scripts set; networkd sets them all the same. */
const others = function* ({ topology: { host }, bridges }: Plan): Generator<Problem> {
  if (setsAddresses(host)) return
  const found = [
    ...Array.from(bridges.values(), ({ bridge: { name, addresses, definedBy } }) => ({
      name,
      owner: `bridge "${name}"`,
      address: definedBy === 'networkd' ? undefined : addresses.find(is6),
      sure: definedBy !== undefined || host.manager !== undefined
    })),
    ...host.interfaces.map(({ name, addresses }) => ({
      name,
      owner: `host interface "${name}"`,
      address: addresses.find(is6),
      sure: host.manager !== undefined
    }))
  ].flatMap(({ address, ...rest }) => (address === undefined ? [] : [{ ...rest, address }]))
  const [first, ...rest] = found
  if (first === undefined) return
  const isSure = found.some(({ sure }) => sure)
  yield {
    message: `${first.owner} ${rest.length === 0 ? '' : `and ${plural(rest.length, 'other')} `}${rest.length === 0 ? 'has' : 'have'} an IPv6 address, and host.enableIPv6 is false`,
    labels: [
      { at: first.address.at, text: 'the kernel refuses it' },
      off(host),
      ...rest.slice(0, LABELLED).map(({ address }) => ({ at: address.at, text: 'and this' }))
    ],
    note: `NixOS's own scripts get "IPv6 is disabled on this device", and network-addresses-${first.name}.service fails: IPv4 works, and over IPv6 the host answers nobody${isSure ? '' : '. Only systemd-networkd would switch IPv6 on again'}`,
    help: 'remove host.enableIPv6, or the address',
    ...(isSure ? {} : { severity: 'warning' as const })
  }
}
