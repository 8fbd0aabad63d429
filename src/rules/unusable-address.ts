import type { AddressText } from '../model/topology.ts'
import { formatAddr } from '../net/addr.ts'
import { formatPrefix } from '../net/prefix.ts'
import { type SpecialBlock, specialBlock } from '../net/special.ts'
import type { Link, Plan } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** A21 */
export const unusableAddress: Rule = {
  id: 'unusable-address',
  group: 'addresses',
  severity: 'error',
  summary: 'An interface has an address that is made for something else: loopback, multicast, link-local …',
  *check(plan) {
    for (const { address, owner, link } of interfaceAddresses(plan)) {
      const { prefix, at, text } = address
      if (prefix === undefined) continue
      const block = specialBlock(prefix)
      if (block === undefined || block.use === 'fine' || FC00.test(block.name)) continue
      // A link-local address is what it says on a link of its own; only the scripts' routes make it a fault.
      const dead = block.use === 'dead' || stopsContainer(block, link)
      yield {
        message: `${text} of ${owner} is ${block.name.startsWith('the ') ? block.name : `a ${block.name} address`}`,
        labels: [{ at, text: `${formatPrefix(block.prefix)}: ${block.name} (${block.source})` }],
        note: symptom(block, dead),
        help: `choose a private address such as ${prefix.family === 4 ? '192.168.100.2' : 'fd12:3456:789a::2'}; ${formatAddr(prefix)} cannot be one`,
        ...(dead ? {} : { severity: 'warning' as const })
      }
    }
  }
}

const FC00 = /undefined half/

/** With fe80:: as hostAddress6, container-init's "ip -6 route add default via" fails: "Egress device not specified". */
const stopsContainer = ({ prefix }: SpecialBlock, link: Link | undefined): boolean =>
  prefix.family === 6 && link?.veth?.hostAddress6 !== undefined && !link.veth.extra

const symptom = ({ name, prefix }: SpecialBlock, dead: boolean): string => {
  if (name === 'link-local')
    return prefix.family === 6
      ? dead
        ? 'the container runs "ip -6 route add default via fe80::…" without an interface; Linux answers "Egress device not specified" and the container stops'
        : 'each interface has link-local addresses of its own; one set by hand is not routed and needs an interface wherever it is used'
      : 'link-local addresses are not routed; programs and DHCP clients treat them as "no network"'
  if (name === 'reserved for future use') return 'Linux takes it; other systems and most routers drop such packets'
  return 'the kernel accepts it in silence, and no packet from or to it ever leaves the machine'
}

const interfaceAddresses = function* ({
  topology,
  links
}: Plan): Generator<{ readonly address: AddressText; readonly owner: string; readonly link?: Link }> {
  for (const { name, addresses } of topology.bridges)
    for (const address of addresses) yield { address, owner: `bridge "${name}"` }
  for (const link of links) {
    for (const address of link.addresses) yield { address, owner: `container "${link.node.name}"`, link }
    for (const address of link.hostAddresses) yield { address, owner: `container "${link.node.name}"`, link }
  }
}
