import type {
  AddressText,
  Firewall,
  Gateway,
  Named,
  Nat,
  NatForward,
  OpenPorts,
  Openings,
  Route
} from '../../model/topology.ts'
import { type Family, formatAddr } from '../../net/addr.ts'
import { formatMac } from '../../net/mac.ts'
import { first, formatNetwork } from '../../net/prefix.ts'
import { FAMILIES } from '../../plan/plan.ts'
import { byName } from '../../text/order.ts'
import type { Definition, Nix } from '../print/nix.ts'

// What both the host's configuration and a container's own say in the same words: networking.*

type Options = { readonly [name: string]: Nix | undefined }

/** An option that is a set by name; undefined for none. */
export const perEntry = <T extends Named>(
  entries: readonly T[],
  option: (entry: T) => Nix
): Nix | undefined =>
  entries.length === 0
    ? undefined
    : Object.fromEntries(byName(entries).map(entry => [entry.name, option(entry)]))

/** A list, unless it is empty. */
const some = <T>(items: readonly T[], print: (item: T) => Nix): Nix | undefined =>
  items.length === 0 ? undefined : items.map(print)

/** An address as it was written, with its prefix length or without, in its canonical form. */
export const addressOption = ({ prefix, bare, text }: AddressText): string =>
  prefix === undefined ? text : bare ? formatAddr(prefix) : `${formatAddr(prefix)}/${prefix.bits}`

/** A network: an address alone stands for itself. */
const networkOption = ({ prefix, bare, text }: AddressText): string =>
  prefix === undefined ? text : bare ? formatAddr(prefix) : formatNetwork(prefix)

/** networking.defaultGateway, always with its interface: some releases set no route without. */
export const gatewayOption = ({ address, metric, source, ...gateway }: Gateway, ifname: string): Nix => ({
  address: addressOption(address),
  interface: gateway.interface ?? ifname,
  ...(metric === undefined ? {} : { metric }),
  ...(source === undefined ? {} : { source: addressOption(source) })
})

export interface InterfaceText {
  readonly dhcp: boolean
  readonly addresses: readonly AddressText[]
  readonly routes: readonly Route[]
  readonly macAddress: { readonly value: number | undefined } | undefined
  readonly mtu: number | undefined
  readonly proxyARP: boolean
}

/** networking.interfaces.<name> */
export const interfaceOptions = ({
  dhcp,
  addresses,
  routes,
  macAddress,
  mtu,
  proxyARP
}: InterfaceText): Nix => ({
  useDHCP: dhcp ? true : undefined,
  macAddress: macAddress?.value === undefined ? undefined : formatMac(macAddress.value),
  mtu,
  proxyARP: proxyARP ? true : undefined,
  ...Object.fromEntries(FAMILIES.map(family => [`ipv${family}`, familyOptions(family, addresses, routes)]))
})

const familyOptions = (
  family: Family,
  addresses: readonly AddressText[],
  routes: readonly Route[]
): Nix | undefined => {
  const options: Record<string, Nix> = {}
  const own = addresses.flatMap(({ prefix }) => (prefix?.family === family ? [prefix] : []))
  if (own.length > 0)
    options['addresses'] = own.map(prefix => ({ address: formatAddr(prefix), prefixLength: prefix.bits }))
  const ways = routes.filter(({ destination }) => destination.prefix?.family === family)
  if (ways.length > 0)
    options['routes'] = ways.flatMap(({ destination: { prefix }, via }) =>
      prefix === undefined
        ? []
        : [
            {
              address: formatAddr(first(prefix)),
              prefixLength: prefix.bits,
              ...(via === undefined ? {} : { via: addressOption(via) })
            }
          ]
    )
  return Object.keys(options).length === 0 ? undefined : options
}

/** networking.nat, with the names that internalInterfaces stands for. */
export const natOptions = (nat: Nat, internalInterfaces: readonly string[]): Options => ({
  enable: nat.partial && !nat.switched ? undefined : nat.enable,
  enableIPv6: nat.enableIPv6 ? true : undefined,
  internalInterfaces: some(internalInterfaces, name => name),
  internalIPs: some(nat.internalIPs, networkOption),
  internalIPv6s: some(nat.internalIPv6s, networkOption),
  externalInterface: nat.externalInterface,
  externalIP: nat.externalIP && addressOption(nat.externalIP),
  externalIPv6: nat.externalIPv6 && addressOption(nat.externalIPv6),
  dmzHost: nat.dmzHost && addressOption(nat.dmzHost),
  forwardPorts: some(nat.forwardPorts, forwardOption)
})

const forwardOption = ({ source, destination, proto, loopbackIPs }: NatForward): Nix => {
  const { address, ports } = destination
  const host =
    address === undefined ? '' : address.family === 6 ? `[${formatAddr(address)}]` : formatAddr(address)
  const { range } = source
  return {
    sourcePort:
      range === undefined || range.from === range.to
        ? (range?.from ?? source.text)
        : `${range.from}:${range.to}`,
    destination:
      address === undefined
        ? destination.text
        : ports === undefined
          ? host
          : `${host}:${ports.from}${ports.to === ports.from ? '' : `-${ports.to}`}`,
    proto: proto.text,
    loopbackIPs: some(loopbackIPs, addressOption)
  }
}

/** networking.firewall and networking.nftables, as far as the file says anything of them. */
export const firewallOptions = (firewall: Firewall): readonly Definition[] =>
  firewall.written
    ? [
        ['networking.nftables.enable', firewall.backend === 'nftables' ? true : undefined],
        ['networking.firewall', nonEmpty(firewallSet(firewall))]
      ]
    : []

const nonEmpty = (options: Options): Nix | undefined =>
  Object.values(options).every(value => value === undefined) ? undefined : options

const firewallSet = (firewall: Firewall): Options => {
  const interfaces = firewall.interfaces.filter(({ open }) => open.tcp.length + open.udp.length > 0)
  return {
    enable: firewall.enable ? undefined : false,
    allowPing: firewall.allowPing ? undefined : false,
    rejectPackets: firewall.rejectPackets ? true : undefined,
    checkReversePath:
      firewall.checkReversePath === 'strict'
        ? undefined
        : firewall.checkReversePath === 'loose'
          ? 'loose'
          : false,
    filterForward: firewall.filterForward === undefined ? undefined : true,
    trustedInterfaces: some(firewall.trustedInterfaces, ({ name }) => name),
    ...openings(firewall.open),
    interfaces: perEntry(interfaces, ({ open }) => openings(open)),
    extraCommands: firewall.extraCommands,
    extraInputRules: firewall.extraInputRules,
    extraForwardRules: firewall.extraForwardRules
  }
}

const openings = ({ tcp, udp }: Openings): Options => ({
  allowedTCPPorts: some(tcp.filter(isSingle), ({ from }) => from),
  allowedTCPPortRanges: some(tcp.filter(isRange), range),
  allowedUDPPorts: some(udp.filter(isSingle), ({ from }) => from),
  allowedUDPPortRanges: some(udp.filter(isRange), range)
})

const isSingle = ({ from, to }: OpenPorts): boolean => from === to
const isRange = ({ from, to }: OpenPorts): boolean => from !== to
const range = ({ from, to }: OpenPorts): Nix => ({ from, to })

/**
 * boot.kernel.sysctl for router advertisements: 0 none, 1 unless forwarding, 2 always; undefined for no interface. Where
 * the first separator is a dot, a dot within a name is written as a slash (sysctl.d(5)).
 */
export const acceptSysctls = (
  interfaces: readonly (readonly [name: string, accept: 0 | 1 | 2])[]
): Nix | undefined =>
  interfaces.length === 0
    ? undefined
    : Object.fromEntries(
        interfaces.map(([name, accept]) => [`net.ipv6.conf.${name.replaceAll('.', '/')}.accept_ra`, accept])
      )
