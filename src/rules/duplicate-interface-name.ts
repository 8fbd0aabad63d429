import type { Problem } from '../findings/finding.ts'
import type { Container } from '../model/topology.ts'
import { IFNAME_MAX } from '../net/ifname.ts'
import type { HostInterface, Link, Plan } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** C12 */
export const duplicateInterfaceName: Rule = {
  id: 'duplicate-interface-name',
  group: 'names',
  severity: 'error',
  summary: 'An extra veth has the name of an interface that exists on the host already.',
  *check({ links, linksOf, hostInterfaces, topology }) {
    const free = freeNames(hostInterfaces)
    for (const container of new Set([...topology.having.extraVeths, ...topology.having.interfaces]))
      yield* sameInside(container, linksOf.get(container) ?? [], free)
    if (topology.having.extraVeths.length === 0) return
    const pairs = new Map<string, Link>()
    for (const link of links)
      if (link.veth?.extra !== true && link.hostIfname !== '') pairs.set(link.hostIfname, link)
    const extras = new Map<string, Link>()
    for (const link of links) {
      const { veth, hostIfname, node } = link
      if (veth?.extra !== true) continue
      const first = hostInterfaces().get(hostIfname)
      const twin = pairs.get(hostIfname) ?? extras.get(hostIfname)
      if (!extras.has(hostIfname)) extras.set(hostIfname, link)
      const other = first !== undefined && !ENDS.has(first.kind) ? first : twin && endOf(twin)
      if (other === undefined) continue
      // Its own pair: both are made in one start, after the deletion.
      if (twin?.node === node && twin.veth?.extra === false) {
        yield {
          message: `the extra veth "${hostIfname}" of container "${node.name}" has the name of the container's own pair on the host`,
          labels: [
            { at: veth.at, on: 'key', text: `called ${hostIfname} on the host` },
            { at: other.at, on: 'key', text: `its own pair is called ${hostIfname} too` }
          ],
          note: `systemd-nspawn makes the pair first and then says "Failed to add new veth interfaces (${hostIfname}:${hostIfname}): File exists": the container never starts`,
          help: `give the extra veth a name that is unique on the host, such as ${free(node.name, hostIfname)}`
        }
        continue
      }
      yield {
        message: `the extra veth "${hostIfname}" of container "${node.name}" has the name of ${described(other)}`,
        labels: [
          { at: veth.at, on: 'key', text: 'this name exists on the host too' },
          { at: other.at, on: 'key', text: `and belongs to ${other.owner}` }
        ],
        note:
          other.kind === 'interface'
            ? `before the container starts, NixOS runs "ip link del dev ${hostIfname}": a virtual interface is gone then; a card stays, and systemd-nspawn says "Failed to add new veth interfaces (${hostIfname}:${hostIfname}): File exists"`
            : `before the container starts, NixOS runs "ip link del dev ${hostIfname}": it deletes the other interface, and whoever starts last has it`,
        help: `give it a name that is unique on the host, such as ${free(node.name, hostIfname)}`
      }
    }
  }
}

/** Interfaces of one container that have one name inside, where the host's names are apart. */
const sameInside = function* (
  container: Container,
  links: readonly Link[],
  free: FreeName
): Generator<Problem> {
  const own = links.find(({ veth }) => veth?.extra === false)
  if (own === undefined) return
  for (const { at, ifname, veth, kind } of links) {
    if (ifname !== own.ifname || veth === own.veth) continue
    const what = kind === 'moved' ? 'moved interface' : 'extra veth'
    yield {
      message: `container "${container.name}" has two interfaces ${ifname} inside: the ${what}, and its own pair`,
      labels: [
        {
          at,
          ...(kind === 'moved' ? {} : { on: 'key' as const }),
          text: `this one is called ${ifname} inside`
        },
        { at: own.at, on: 'key', text: `its own pair is called ${ifname} too` }
      ],
      note: `container-init cannot rename host0 to ${ifname}: "RTNETLINK answers: File exists", and the container ends there`,
      help:
        kind === 'moved'
          ? `remove the addresses and hostBridge of the container if ${ifname} is to be the host's card, or move a card with another name`
          : `give the extra veth another name, such as ${free(container.name, container.name)}`
    }
  }
}

/** The kinds of interfaces that are ends of links; of several with one name the plan knows the first only. */
const ENDS: ReadonlySet<HostInterface['kind']> = new Set(['veth', 'extra-veth', 'tap'])

const endOf = ({ at, kind, veth, node }: Link): HostInterface => ({
  at,
  owner: `${kind === 'tap' ? 'machine' : 'container'} "${node.name}"`,
  kind: kind === 'tap' ? 'tap' : veth?.extra === true ? 'extra-veth' : 'veth'
})

const described = ({ kind, owner }: HostInterface): string =>
  kind === 'veth'
    ? `the veth pair of ${owner}`
    : kind === 'extra-veth'
      ? `an extra veth of ${owner}`
      : kind === 'tap'
        ? `the tap of ${owner}`
        : owner

/** A name of at most 15 bytes with the container's in it, that nobody has and that was not advised before. */
type FreeName = (container: string, ifname: string) => string

const freeNames = (hostInterfaces: Plan['hostInterfaces']): FreeName => {
  const advised = new Set<string>()
  return (container, ifname) => {
    const own = ifname.replace(/^v[eb]-/, '')
    let name = own === container ? named(container, '-2') : named(`${container}-${own}`, '')
    for (let n = 2; hostInterfaces().has(name) || advised.has(name); n += 1) name = named(container, `-${n}`)
    advised.add(name)
    return name
  }
}

const named = (text: string, end: string): string =>
  `${`ve-${text}`.slice(0, IFNAME_MAX - end.length).replace(/-+$/, '')}${end}`
