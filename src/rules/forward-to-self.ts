import type { Problem } from '../findings/finding.ts'
import type { Container, DestinationText } from '../model/topology.ts'
import { type Addr, formatAddr, sameAddr } from '../net/addr.ts'
import { hasOwnRules, inputFilter } from '../plan/firewall.ts'
import { type NatPlace, natPlaces } from '../plan/nat.ts'
import type { AddressClaim, Plan } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

export const forwardToSelf: Rule = {
  id: 'forward-to-self',
  group: 'nat',
  severity: 'warning',
  summary: 'A forward leads back to the machine that forwards.',
  *check(plan) {
    for (const place of natPlaces(plan.topology)) yield* toSelf(plan, place)
  }
}

const toSelf = function* (plan: Plan, { nat, firewall, container }: NatPlace): Generator<Problem> {
  if (!nat.enable) return
  const { host } = plan.topology
  const { listens, partial } = container ?? host
  const self = container === undefined ? 'the host' : `container "${container.name}"`
  const option = container === undefined ? 'host.firewall' : `containers.${container.name}.firewall`
  const filter = inputFilter(firewall)
  const external = nat.externalInterface
  for (const { at, source, proto, destination } of nat.forwardPorts) {
    const { address, fault } = destination
    if (fault !== undefined || address === undefined || source.range === undefined) continue
    if (proto.value === undefined || (address.family === 6 && !nat.enableIPv6)) continue
    const owner = container === undefined ? ofHost(plan, address) : ofContainer(plan, container, address)
    if (owner === undefined) continue
    const ports = destination.ports ?? source.range
    const same = ports.from === source.range.from && ports.to === source.range.to
    if (same) {
      // A service that is bound to that address alone becomes reachable by the forward.
      const bound = listens.some(
        ({ address: own, port, protocol }) =>
          own?.prefix !== undefined &&
          sameAddr(own.prefix, address) &&
          protocol.value === proto.value &&
          port >= ports.from &&
          port <= ports.to
      )
      if (bound) continue
    } else if (
      !firewall.written ||
      !firewall.enable ||
      partial ||
      external === undefined ||
      hasOwnRules(firewall) ||
      filter.trusts(external) ||
      filter.opens(external, proto.value, ports)
    )
      continue
    const inside =
      owner.kind === 'pair'
        ? owner.link?.addresses.find(({ prefix }) => prefix?.family === address.family)?.prefix
        : undefined
    const many = source.range.from !== source.range.to
    const which = `${proto.text} ${source.text}`
    yield {
      message: same
        ? `the forward of ${which} leads back to ${self}: ${destination.text} is an address of its own`
        : `the forward of ${which} leads to ${destination.text}, which is ${self} itself, and its firewall does not open that port`,
      labels: [
        { at: same ? at : destination.at, text: `from ${self} to ${self}` },
        { at: owner.at, text: owner.kind === 'pair' ? `the host's end of ${owner.owner}` : owner.owner }
      ],
      note: same
        ? `nothing gets to a machine behind ${self}; ${many ? 'every packet for these ports' : 'what arrives for the port'} ends there as it would without the forward, only under another address, so that a service bound to the outer address alone loses it`
        : `what is sent on to ${self} itself passes its INPUT chain with the new port: connections time out`,
      help:
        inside !== undefined
          ? `write "${withAddress(destination, inside)}": ${formatAddr(inside)} is the address of ${owner.owner}, and ${formatAddr(address)} the host's end of the pair`
          : same
            ? `write the address of the container or machine that has the service, or remove the forward; a service of ${self} needs only an open port in ${option}`
            : `open ${ports.from === ports.to ? ports.from : `${ports.from} to ${ports.to}`} in ${option}.interfaces."${external}".allowed${proto.text.toUpperCase()}Port${ports.from === ports.to ? 's' : 'Ranges'}, or write the address of the container that has the service`
    }
  }
}

/** The same destination at another address. */
const withAddress = ({ text, ports }: DestinationText, addr: Addr): string =>
  ports === undefined
    ? formatAddr(addr)
    : addr.family === 6
      ? text.replace(/^.*\]/, `[${formatAddr(addr)}]`)
      : text.replace(/^[^:]*/, formatAddr(addr))

type Owner = Pick<AddressClaim, 'at' | 'owner' | 'kind' | 'link'>

const ofHost = ({ addresses }: Plan, address: Addr): Owner | undefined => {
  const owners = addresses.owners(address)?.filter(({ enabled }) => enabled) ?? []
  return owners.some(({ kind }) => kind === 'local' || kind === 'virtual') ? undefined : owners[0]
}

const ofContainer = (plan: Plan, container: Container, address: Addr): Owner | undefined => {
  const { inside, name } = container
  const own = [
    ...(plan.linksOf.get(container) ?? []).flatMap(({ addresses }) => addresses),
    ...[...inside.interfaces, ...inside.bridges].flatMap(({ addresses }) => addresses)
  ].find(({ prefix }) => prefix !== undefined && sameAddr(prefix, address))
  return own === undefined
    ? undefined
    : { at: own.at, owner: `container "${name}"`, kind: 'local', link: undefined }
}
