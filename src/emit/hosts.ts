import type { AddressText, Container, Vm } from '../model/topology.ts'
import { type Addr, formatAddr, isLinkLocal6 } from '../net/addr.ts'
import type { Plan } from '../plan/plan.ts'
import { formatPath, type Path, quote } from '../text/path.ts'
import { type Emitter, type Refusal } from './emitter.ts'
import { byName } from '../text/order.ts'
import { linksInOrder } from './order.ts'

/** hosts(5) for the host and the containers alike. NixOS itself writes the first IPv4 address of each, on the host only. */
export const hosts: Emitter = {
  id: 'hosts',
  summary: 'names of the containers for /etc/hosts, IPv4 and IPv6',
  cannot: function* (plan) {
    const names = new Map<string, Machine>()
    for (const machine of machinesOf(plan)) {
      yield* unnameable(machine)
      const key = machine.name.toLowerCase()
      const other = names.get(key)
      if (other !== undefined)
        yield {
          at: machine.at,
          feature: `the name of ${machine.what} ${quote(machine.name)}`,
          why: `${other.what} ${quote(other.name)} has it as well, and a name of the file stands for one machine`,
          help: 'give one of them another name'
        }
      else names.set(key, machine)
      for (const { at, text, prefix } of machine.addresses)
        if (prefix === undefined)
          yield {
            at,
            feature: `${formatPath(at)}: ${quote(text)}`,
            why: 'there is no address for it',
            help: 'write the address'
          }
    }
  },
  emit: (plan, mark) => [
    {
      path: 'hosts',
      text: [
        `# ${mark}`,
        '# For /etc/hosts of the host and of the containers, behind the lines that are there; on NixOS',
        '# networking.hostFiles takes the file.',
        ...new Set(machinesOf(plan).flatMap(linesOf)),
        ''
      ].join('\n')
    }
  ]
}

/** Somebody with addresses of their own. */
interface Machine {
  readonly at: Path
  readonly what: 'the host' | 'container' | 'machine'
  readonly name: string
  readonly addresses: readonly AddressText[]
}

/** The host, then the containers and the machines by name; those without an address have no line. */
const machinesOf = (plan: Plan): readonly Machine[] => {
  const { host, bridges, containers, vms } = plan.topology
  const inside = (node: Container | Vm): readonly AddressText[] =>
    linksInOrder(plan, node).flatMap(({ addresses }) => addresses)
  const machines: readonly Machine[] = [
    ...(host.name === undefined
      ? []
      : [
          {
            at: [...host.at, 'name'],
            what: 'the host' as const,
            name: host.name,
            addresses: byName(bridges).flatMap(({ addresses }) => addresses)
          }
        ]),
    ...byName(containers).map(container => ({
      at: container.at,
      what: 'container' as const,
      name: container.name,
      addresses: inside(container)
    })),
    ...byName(vms).map(vm => ({
      at: vm.at,
      what: 'machine' as const,
      name: vm.name,
      addresses: inside(vm)
    }))
  ]
  return machines.filter(({ addresses }) => addresses.length > 0)
}

const unnameable = function* ({ at, what, name }: Machine): Generator<Refusal> {
  const why =
    hostnameFault(name) ??
    // The container has its name with a suffix.
    (what !== 'container' && isNumber(name) ? 'programs take it for a number of an address' : undefined) ??
    (name.toLowerCase() === 'localhost' ? 'every machine means itself by it' : undefined)
  if (why !== undefined)
    yield {
      at,
      feature: `the name of ${what} ${quote(name)}`,
      why,
      help: 'give it a name of letters, digits and inner hyphens, at most 63'
    }
}

/** RFC 1123 section 2.1 and RFC 952: labels of letters, digits and inner hyphens. */
const hostnameFault = (name: string): string | undefined =>
  name.length > 253
    ? 'a host name has at most 253 characters (RFC 1035)'
    : name.split('.').every(label => /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(label))
      ? undefined
      : 'it is no host name: labels of letters, digits and inner hyphens, each at most 63 (RFC 1123)'

/** What programs take for an IPv4 address before they look for a name (inet_aton(3)): `7` is 0.0.0.7. */
const isNumber = (name: string): boolean => /^(?:(?:0x[0-9a-f]+|\d+)(?:\.(?!$)|$)){1,4}$/i.test(name)

const linesOf = ({ what, name, addresses }: Machine): readonly string[] => {
  const names = what === 'container' ? [`${name}.containers`, ...(isNumber(name) ? [] : [name])] : [name]
  const known = addresses.flatMap(({ prefix }) => (prefix !== undefined && isPlain(prefix) ? [prefix] : []))
  return ([4, 6] as const).flatMap(family =>
    known.filter(addr => addr.family === family).map(addr => `${formatAddr(addr)}\t${names.join(' ')}`)
  )
}

/** Not the null address, for which networkd takes one of its own choice, nor one that means nothing without an interface. */
const isPlain = (addr: Addr): boolean => addr.value !== 0n && !isLinkLocal6(addr)
