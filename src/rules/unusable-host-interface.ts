import type { Label, Problem } from '../findings/finding.ts'
import { offer, replaced } from '../findings/mend.ts'
import type { Container, Named } from '../model/topology.ts'
import { CARD_EXACTLY, misspelling } from '../net/ifname.ts'
import { hostName } from '../plan/links.ts'
import type { Plan } from '../plan/plan.ts'
import type { Path } from '../text/path.ts'
import type { Rule } from './rule.ts'

/** systemd-nspawn(1) --network-macvlan= and --network-interface= */
export const unusableHostInterface: Rule = {
  id: 'unusable-host-interface',
  group: 'containers',
  severity: 'error',
  summary:
    'An interface of the host is asked for that cannot be moved into a container, or cannot carry a macvlan.',
  *check(plan) {
    const { having, bridges, host } = plan.topology
    if (having.macvlans.length + having.interfaces.length + host.macvlans.length === 0) return
    const taken = new Map<
      string,
      { readonly label: Label; readonly owner: string; readonly help: string; readonly master: string }
    >()
    for (const { interfaces, name: bridge } of bridges)
      for (const { at, name } of interfaces)
        taken.set(name, {
          label: { at, text: 'a port already' },
          owner: `a port of bridge "${bridge}"`,
          master: bridge,
          help: `write hostBridge: ${bridge} instead, or make the macvlan on the bridge: macvlans: [${bridge}]`
        })
    for (const bond of host.bonds)
      for (const { at, name } of bond.interfaces)
        if (!taken.has(name))
          taken.set(name, {
            label: { at, text: 'bonded already' },
            owner: `part of bond "${bond.name}"`,
            master: taken.get(bond.name)?.master ?? bond.name,
            help:
              taken.get(bond.name)?.help ?? `make the macvlan on the bond itself: macvlans: [${bond.name}]`
          })
    for (const { name: own, interface: parent } of host.macvlans) {
      const owner = taken.get(parent.name)
      if (owner !== undefined)
        yield {
          message: `the host's macvlan "${own}" is to be on ${parent.name}, which is ${owner.owner}`,
          labels: [{ at: parent.at, text: 'cannot carry a macvlan too' }, owner.label],
          note: `what comes in on an interface goes to one master: the kernel says "Device or resource busy" to whoever makes it, and there is no ${own}`,
          help: `make it on what has its packets: interface: ${owner.master}`,
          ...offer(replaced(parent.at, owner.master))
        }
      else if (parent.name === 'lo')
        yield {
          message: `the host's macvlan "${own}" is to be on lo`,
          labels: [{ at: parent.at, text: 'the loopback interface' }],
          note: `the kernel says "Invalid argument", and there is no ${own}`,
          help: 'name the card that is in the network where the host is to be'
        }
    }
    for (const container of having.macvlans) {
      if (!container.enabled) continue
      const seen = new Map<string, Named>()
      for (const entry of container.macvlans) {
        const { at } = entry
        const name = hostName(entry.name)
        const twin = seen.get(name)
        const owner = taken.get(name)
        seen.set(name, entry)
        if (twin !== undefined)
          yield {
            message: `container "${container.name}" asks for two macvlans on ${name}`,
            labels: [
              { at, text: 'once more' },
              { at: twin.at, text: 'asked for here' }
            ],
            note: 'both would have the same name: systemd-nspawn says "Failed to add new macvlan interfaces: File exists", and the container does not start',
            help: `list ${name} once; one macvlan can have several addresses`,
            ...offer({ kind: 'remove', at })
          }
        else if (name === 'lo')
          yield {
            message: `container "${container.name}" asks for a macvlan on lo`,
            labels: [{ at, text: 'the loopback interface' }],
            note: 'systemd-nspawn says "Failed to add new macvlan interfaces: Invalid argument", and the container does not start',
            help: 'name the card that is in the network where the container should be'
          }
        else if (owner !== undefined)
          yield {
            message: `container "${container.name}" asks for a macvlan on ${name}, which is ${owner.owner}`,
            labels: [{ at, text: 'cannot carry a macvlan too' }, owner.label],
            note: 'what comes in on an interface goes to one master: systemd-nspawn says "Failed to add new macvlan interfaces: Device or resource busy", and the container does not start',
            help: owner.help
          }
        else yield* unknown(plan, container, entry, 'make a macvlan on')
      }
    }
    const fixed = new Map<string, { readonly at: Path; readonly kind: 'a bridge' | 'a bond' }>()
    for (const { name, at } of host.bonds) fixed.set(name, { at, kind: 'a bond' })
    for (const { name, at } of bridges) fixed.set(name, { at, kind: 'a bridge' })
    for (const container of having.interfaces) {
      if (!container.enabled) continue
      for (const entry of container.interfaces) {
        const { at } = entry
        const name = hostName(entry.name)
        const master = fixed.get(name)
        if (name === 'lo' || master !== undefined)
          yield {
            message: `container "${container.name}" wants to move ${name}, which is ${master?.kind ?? 'the loopback interface'}, away from the host`,
            labels: [
              { at, text: 'cannot leave the host' },
              ...(master === undefined
                ? []
                : [{ at: master.at, on: 'key' as const, text: `${master.kind} of the host` }])
            ],
            note: `the kernel keeps it where it was made: systemd-nspawn says "Failed to move interface ${name} to namespace: Invalid argument", and the container does not start`,
            help:
              name === 'lo'
                ? 'remove it: every container has a lo of its own'
                : master?.kind === 'a bridge'
                  ? `attach the container to it: hostBridge: ${name}`
                  : (taken.get(name)?.help ?? `make a macvlan on it: macvlans: [${name}]`),
            ...offer(name === 'lo' ? { kind: 'remove', at } : undefined)
          }
        else yield* unknown(plan, container, entry, 'move')
      }
    }
  }
}

/** A name that no card has, and that is nearly the one of an interface that exists. */
const unknown = function* (
  { topology, hostInterfaces }: Plan,
  container: Container,
  { at, name: entry }: Named,
  doing: string
): Generator<Problem> {
  const name = hostName(entry)
  const known = hostInterfaces()
  if (topology.host.partial || known.has(name) || CARD_EXACTLY.test(name)) return
  const meant = misspelling(
    name,
    [
      ...topology.host.interfaces,
      ...topology.host.bonds,
      ...topology.host.vlans,
      ...topology.host.macvlans,
      ...topology.bridges
    ].map(({ name }) => name)
  )
  if (meant === undefined) return
  yield {
    message: `container "${container.name}" wants to ${doing} ${name}, but the host has ${meant}`,
    labels: [
      { at, text: 'the host has no interface of this name' },
      { at: known.get(meant)?.at ?? topology.host.at, on: 'key', text: 'nearly the same' }
    ],
    note: `systemd-nspawn says 'Failed to resolve interface "${name}": No such device', and the container does not start`,
    help: `write ${meant}, or name ${name} under host.interfaces if it exists`
  }
}
