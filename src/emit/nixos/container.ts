import type {
  AddressText,
  Container,
  ContainerForward,
  Gateway,
  Interface,
  Route,
  Veth
} from '../../model/topology.ts'

import { formatMac } from '../../net/mac.ts'
import { contains } from '../../net/prefix.ts'
import { hasVeth } from '../../plan/links.ts'
import { networkFlags } from '../../plan/nspawn.ts'
import type { Link, Plan } from '../../plan/plan.ts'
import { formatPath, quote } from '../../text/path.ts'
import type { Refusal } from '../emitter.ts'
import { type Definition, nest, type Nix } from '../print/nix.ts'
import {
  acceptSysctls,
  addressOption,
  firewallOptions,
  gatewayOption,
  interfaceOptions,
  natOptions,
  perEntry
} from './options.ts'

type Options = { readonly [name: string]: Nix | undefined }

/**
 * containers.<name>: the options of the network, and the container's own networking. What else there is of a container
 * stands in the user's configuration, with which NixOS merges this.
 */
export const containerModule = (plan: Plan, container: Container): Nix => {
  const { veth } = container
  const flags = networkFlags(container).map(({ text }) => text)
  return {
    privateNetwork: container.privateNetwork,
    ...vethOptions(veth),
    localMacAddress:
      veth.localMacAddress?.value === undefined ? undefined : formatMac(veth.localMacAddress.value),
    forwardPorts: forwards(veth.forwardPorts),
    extraVeths: perEntry(
      container.extraVeths.map(extra => ({ ...extra, name: extra.ifname })),
      vethOptions
    ),
    interfaces: namesOf(container.interfaces),
    macvlans: namesOf(container.macvlans),
    networkNamespace: container.namespacePath,
    extraFlags: flags.length === 0 ? undefined : flags,
    copyResolvConf: container.copyResolvConf ? undefined : false,
    config: nest(inside(plan, container))
  }
}

const namesOf = (entries: readonly { readonly name: string }[]): Nix | undefined =>
  entries.length === 0 ? undefined : entries.map(({ name }) => name)

const vethOptions = (veth: Veth): Options => ({
  hostBridge: veth.hostBridge,
  hostAddress: veth.hostAddress && addressOption(veth.hostAddress),
  localAddress: veth.localAddress && addressOption(veth.localAddress),
  hostAddress6: veth.hostAddress6 && addressOption(veth.hostAddress6),
  localAddress6: veth.localAddress6 && addressOption(veth.localAddress6)
})

const forwards = (ports: readonly ContainerForward[]): Nix | undefined =>
  ports.length === 0
    ? undefined
    : ports.map(({ protocol, hostPort, containerPort }) => ({
        protocol: protocol.text,
        hostPort,
        containerPort: containerPort === hostPort ? undefined : containerPort
      }))

/** The container's own configuration, by option; undefined values count for nothing. */
const inside = (plan: Plan, container: Container): readonly Definition[] => {
  const { inside } = container
  const [gateway, gateway6] = [gatewayOf(plan, container, 4), gatewayOf(plan, container, 6)]
  return [
    ['networking.useNetworkd', container.useNetworkd ? true : undefined],
    ['networking.networkmanager.enable', container.networkManager ? true : undefined],
    [
      'networking.vlans',
      perEntry(inside.vlans, ({ id, interface: parent }) => ({ id, interface: parent.name }))
    ],
    [
      'networking.bridges',
      perEntry(inside.bridges, ({ interfaces }) => ({ interfaces: interfaces.map(({ name }) => name) }))
    ],
    ['networking.interfaces', perEntry(interfacesOf(plan, container, [gateway, gateway6]), interfaceOptions)],
    ['networking.defaultGateway', gateway && gatewayOption(gateway, gateway.interface ?? 'eth0')],
    ['networking.defaultGateway6', gateway6 && gatewayOption(gateway6, gateway6.interface ?? 'eth0')],
    [
      'networking.nameservers',
      container.nameservers.length === 0 ? undefined : container.nameservers.map(addressOption)
    ],
    ['networking.useHostResolvConf', container.useHostResolvConf],
    [
      'services.resolved.enable',
      container.resolved === container.useNetworkd ? undefined : container.resolved
    ],
    [
      'networking.nat',
      inside.nat &&
        natOptions(
          inside.nat,
          inside.nat.internalInterfaces.map(({ name }) => name)
        )
    ],
    ...firewallOptions(container.firewall),
    ...advertisements(container)
  ]
}

/** The interface that a router is behind: the one that is named, that has its network, or the first. */
const behind = (links: readonly Link[], { address, interface: name }: Gateway): string | undefined =>
  name ??
  links.find(({ addresses, veth }) =>
    [...addresses, veth?.hostAddress, veth?.hostAddress6].some(other => isAround(other, address))
  )?.ifname ??
  links[0]?.ifname

const isAround = (own: AddressText | undefined, { prefix }: AddressText): boolean =>
  own?.prefix !== undefined && prefix !== undefined && contains(own.prefix, prefix)

/** Interfaces that networkd inside would manage, and so has to know everything of. */
const isManaged = (
  container: Container,
  ifname: string,
  gateways: readonly (Gateway | undefined)[]
): boolean =>
  container.useNetworkd &&
  (container.inside.interfaces.some(({ name }) => name === ifname) ||
    (ifname === 'eth0' && (container.routes.length > 0 || container.dhcp)) ||
    gateways.some(gateway => gateway?.interface === ifname))

/** The written default gateway with its interface; where networkd inside would drop the one that hostAddress makes, that. */
const gatewayOf = (plan: Plan, container: Container, family: 4 | 6): Gateway | undefined => {
  const { veth, defaultGateway, defaultGateway6 } = container
  const written = family === 4 ? defaultGateway : defaultGateway6
  if (written !== undefined)
    return { ...written, interface: behind(plan.linksOf.get(container) ?? [], written) }
  const host = family === 4 ? veth.hostAddress : veth.hostAddress6
  const other = family === 4 ? defaultGateway6 : defaultGateway
  return host === undefined || !hasVeth(container) || !isManaged(container, 'eth0', [other])
    ? undefined
    : { at: host.at, address: host, interface: 'eth0', metric: undefined, source: undefined }
}

interface OwnInterface {
  readonly name: string
  readonly at: Interface['at']
  readonly dhcp: boolean
  readonly addresses: readonly AddressText[]
  readonly routes: readonly Route[]
  readonly macAddress: Interface['macAddress']
  readonly mtu: number | undefined
  readonly proxyARP: boolean
}

/** networking.interfaces inside. */
const interfacesOf = (
  plan: Plan,
  container: Container,
  gateways: readonly (Gateway | undefined)[]
): readonly OwnInterface[] => {
  const { inside, routes, dhcp, at } = container
  const found = new Map<string, OwnInterface>(inside.interfaces.map(entry => [entry.name, entry]))
  const change = (name: string, changed: (own: OwnInterface) => Partial<OwnInterface>): void => {
    const own = found.get(name) ?? { ...UNSAID, name, at }
    found.set(name, { ...own, ...changed(own) })
  }
  for (const { name, addresses } of inside.bridges)
    if (addresses.length > 0) change(name, own => ({ addresses: [...own.addresses, ...addresses] }))
  if (dhcp) change('eth0', () => ({ dhcp }))
  for (const route of routes) change(route.interface ?? 'eth0', own => ({ routes: [...own.routes, route] }))
  for (const { veth, ifname, addresses } of plan.linksOf.get(container) ?? []) {
    if (veth === undefined || !isManaged(container, ifname, gateways)) continue
    const hosts = veth.extra ? [] : [veth.hostAddress, veth.hostAddress6].flatMap(host => host ?? [])
    change(ifname, own => ({
      addresses,
      routes: [
        ...own.routes,
        ...hosts
          .filter(host => !addresses.some(address => !address.bare && isAround(address, host)))
          .map(host => ({ at: host.at, destination: host, via: undefined, interface: ifname }))
      ]
    }))
  }
  // The releases that set a default route only on interfaces that are declared.
  if (plan.releases.gatewayWithoutInterface !== 'set')
    for (const gateway of gateways)
      if (gateway?.interface !== undefined) change(gateway.interface, () => ({}))
  return [...found.values()]
}

const UNSAID = {
  dhcp: false,
  addresses: [],
  routes: [],
  macAddress: undefined,
  mtu: undefined,
  proxyARP: false
} as const

/** Router advertisements: a sysctl, or networkd's own key where that runs inside. */
const advertisements = (container: Container): readonly Definition[] => {
  const { useNetworkd, acceptRA, inside } = container
  const forwards = inside.nat?.enableIPv6 === true
  const written = [
    ...(acceptRA === undefined ? [] : [['eth0', acceptRA] as const]),
    ...inside.interfaces.flatMap(({ name, acceptRA }) =>
      acceptRA === undefined ? [] : [[name, acceptRA] as const]
    )
  ]
  const names = [...new Map(written)].sort(([a], [b]) => (a < b ? -1 : 1))
  if (useNetworkd)
    return names.map(([name, accept]) => [
      ['systemd', 'network', 'networks', `40-${name}`, 'networkConfig', 'IPv6AcceptRA'],
      accept
    ])
  return [
    [
      'boot.kernel.sysctl',
      acceptSysctls(names.map(([name, accept]) => [name, accept ? (forwards ? 2 : 1) : 0]))
    ]
  ]
}

/** A container that is built elsewhere has its own networking there. */
export const withinContainers = function* (plan: Plan): Generator<Refusal> {
  for (const container of plan.topology.containers) {
    if (!container.enabled || container.checkedByNix) continue
    const first = inside(plan, container).find(([, value]) => value !== undefined)
    if (first === undefined) continue
    yield {
      at: container.at,
      feature: `${typeof first[0] === 'string' ? first[0] : first[0].join('.')} inside container ${quote(container.name)}`,
      why: 'the container is built from a path or a flake, and NixOS takes no config beside that',
      help: `write it in the configuration that is built there, and take it out of ${formatPath(container.at)}`
    }
  }
}
