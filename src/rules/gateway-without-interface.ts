import type { Label, Problem } from '../findings/finding.ts'
import { type Edit, offer } from '../findings/mend.ts'
import type { AddressText, Container, Gateway } from '../model/topology.ts'
import { isLinkLocal6 } from '../net/addr.ts'
import { contains } from '../net/prefix.ts'
import { type DefaultRoute, defaultRoutes, gatewayFault } from '../plan/gateways.ts'
import type { Plan } from '../plan/plan.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** B2, B3 */
export const gatewayWithoutInterface: Rule = {
  id: 'gateway-without-interface',
  group: 'gateways',
  severity: 'hint',
  summary: "A container's defaultGateway names no interface; whether NixOS sets it depends on the release.",
  *check(plan) {
    const { topology, linksOf } = plan
    const dated: Nameless[] = []
    for (const container of topology.containers) {
      if (!container.enabled) continue
      for (const option of OPTIONS) {
        const gateway = container[option]
        if (gateway === undefined || gateway.interface !== undefined) continue
        const links = linksOf.get(container) ?? []
        const link =
          links.find(({ addresses }) => isOn(addresses, gateway)) ??
          links.find(({ veth }) => veth !== undefined)
        // A declared interface whose network holds the gateway is found by NixOS itself.
        if (link === undefined || (!container.useNetworkd && container.inside.interfaces.length > 0)) continue
        const { prefix } = gateway.address
        // The same route written for an interface, as networkd has it, is what counts.
        const written = defaultRoutes(plan, container, option.endsWith('6') ? 6 : 4)
        const isSet = (by: DefaultRoute['source']): boolean =>
          written.some(({ source, via }) => source === by && via?.prefix?.value === prefix?.value)
        if (isSet('route')) continue
        // hostAddress sets the very route before NixOS comes to it (container-init in nixos-containers.nix).
        if (isSet('hostAddress') && !container.useNetworkd && (prefix === undefined || !isLinkLocal6(prefix)))
          continue
        // A router that cannot be one is told as such, and has to be rewritten anyway.
        if (gatewayFault(plan, container, gateway) !== undefined) continue
        const found: Nameless = { container, gateway, option, ifname: link.ifname }
        const grave = refusal(plan, found)
        if (grave !== undefined) yield { ...problem(found), ...offer(named(found)), ...grave }
        // A release that is known finds the interface.
        else if (topology.host.release === undefined) dated.push(found)
      }
    }
    // The words do not hang on the order of the file.
    const [first, ...others] = dated.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
    if (first === undefined) return
    // One habit of the author, so one finding.
    const { message, labels, help } = problem(first)
    yield {
      message: others.length === 0 ? message : `${message}, nor does that of ${whose(others)}`,
      labels: [
        ...labels,
        ...others.slice(0, LABELLED).map(({ gateway }) => ({ at: gateway.at, text: 'nor this one' }))
      ],
      note: 'NixOS up to 25.11, and from the fix of 26 May 2026 on, finds the interface; between April and May 2026 the unstable channel silently set no default route (nixpkgs issue 509247)',
      help,
      ...offer(...dated.map(named))
    }
  }
}

const OPTIONS = ['defaultGateway', 'defaultGateway6'] as const

/** How many of the others are shown. */
const LABELLED = 8

interface Nameless {
  readonly container: Container
  readonly gateway: Gateway
  readonly option: 'defaultGateway' | 'defaultGateway6'
  readonly ifname: string
}

const nameOf = ({ container, option }: Nameless): string => `${container.name} ${option}`

const whose = (others: readonly Nameless[]): string =>
  listed([...new Set(others.map(({ container }) => `"${container.name}"`))], 4)

/** The gateway with its interface. */
const named = ({ gateway, ifname }: Nameless): Edit =>
  gateway.address.at.at(-1) === 'address'
    ? { kind: 'insert', at: [...gateway.at, 'interface'], value: ifname }
    : { kind: 'replace', at: gateway.at, value: { address: gateway.address.text, interface: ifname } }

const problem = ({
  container,
  gateway,
  option,
  ifname
}: Nameless): { readonly message: string; readonly labels: readonly [Label]; readonly help: string } => {
  const { text } = gateway.address
  return {
    message: `${option} ${text} of container "${container.name}" names no interface`,
    labels: [{ at: gateway.at, text: `behind ${ifname}, as it seems` }],
    help: `write ${option}: { address: ${text.includes(':') ? `"${text}"` : text}, interface: ${ifname} }, which works in every release`
  }
}

/** Why this host, as far as it is known, sets no such route; undefined where it does. */
const refusal = (
  { topology: { host }, releases }: Plan,
  { container, gateway, option }: Nameless
): Pick<Problem, 'note' | 'severity'> | undefined => {
  const { prefix } = gateway.address
  if (prefix !== undefined && isLinkLocal6(prefix))
    return {
      severity: 'error',
      note: 'every interface has the network fe80::/64, so the kernel refuses the route ("Egress device not specified")'
    }
  if (container.useNetworkd)
    return {
      severity: 'error',
      note: `the rebuild stops: "networking.${option}.interface is not optional when using networkd."`
    }
  if (host.release !== undefined && releases.gatewayWithoutInterface === 'set since a fix')
    return {
      severity: 'warning',
      note: `${releases.release} sets the route only for an interface that it knows, and eth0 of a container is none until the fix of 26 May 2026 (nixpkgs PR 524281): before it there is silently no default route`
    }
  return undefined
}

const isOn = (addresses: readonly AddressText[], { address: { prefix: router } }: Gateway): boolean =>
  router !== undefined && addresses.some(({ prefix }) => prefix !== undefined && contains(prefix, router))
