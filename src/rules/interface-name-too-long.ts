import type { Path } from '../text/path.ts'
import { hostIfname, IFNAME_MAX } from '../net/ifname.ts'
import type { Plan } from '../plan/plan.ts'
import { containersHaving } from '../plan/links.ts'
import { refusedRule } from '../plan/nat.ts'
import { quote } from '../text/path.ts'
import type { Rule } from './rule.ts'

/** C4, C5, C8, C10, C12 */
export const interfaceNameTooLong: Rule = {
  id: 'interface-name-too-long',
  group: 'names',
  severity: 'error',
  exposes: true,
  summary: 'The name of an interface has more than 15 bytes.',
  *check(plan) {
    for (const { at, name, on, what, note, pattern, severity } of [...made(plan), ...matched(plan)]) {
      const bytes = new TextEncoder().encode(name).length
      if (bytes <= IFNAME_MAX) continue
      const container = /^(v[eb])-(.+)$/.exec(name)
      const real = container?.[2] === undefined ? undefined : hostIfname(container[2], container[1] === 'vb')
      const shortened =
        pattern === true && real !== undefined && plan.hostInterfaces().has(real) ? real : undefined
      yield {
        message: `${what} ${quote(name)} has ${bytes} bytes; Linux takes ${IFNAME_MAX}`,
        labels: [{ at, ...(on === undefined ? {} : { on }), text: `${bytes - IFNAME_MAX} too many` }],
        note,
        help:
          shortened === undefined
            ? `choose a name of at most ${IFNAME_MAX} bytes${pattern === true && /[+*]$/.test(name) ? ', its wildcard included' : example(plan, name, pattern !== true)}`
            : `write ${shortened}, the name that systemd-nspawn really gives this interface, or rename the container to at most 12 characters`,
        ...(severity === undefined ? {} : { severity })
      }
    }
  }
}

/** What fits of a name, where somebody makes an interface of it and nobody one of the shorter name. */
const example = (plan: Plan, name: string, isMade: boolean): string => {
  const names = plan.hostInterfaces()
  const short = name.slice(0, IFNAME_MAX).replace(/[-_.]+$/, '')
  return /^[!-~]+$/.test(name) && (isMade || names.has(name)) && !names.has(short)
    ? `, for example ${short}`
    : ''
}

interface NameUse {
  readonly at: Path
  readonly on?: 'key'
  readonly name: string
  readonly what: string
  readonly note: string
  /** Where firewalls match it, so that it may end in a wildcard. */
  readonly pattern?: true
  readonly severity?: 'hint'
}

/** Names of interfaces that somebody has to make. */
const made = function* ({ topology }: Plan): Generator<NameUse> {
  const key = { on: 'key' } as const
  for (const { at, name, definedBy } of topology.bridges)
    yield {
      at,
      ...key,
      name,
      what: 'the bridge name',
      note: `the rebuild does not look at it; ${
        (definedBy ?? topology.host.manager) === 'scripted'
          ? 'the unit of the bridge fails at `ip link add`, which says "not a valid ifname"'
          : 'networkd says "Interface name is not valid or too long, ignoring"'
      }: there is no bridge, and every container on it fails with "No such device"`
    }
  const failing = 'the kernel refuses to make the interface, and what depends on it stays without a network'
  const { vlans, bonds, macvlans } = topology.host
  for (const { at, name } of [...vlans, ...bonds, ...macvlans])
    yield { at, ...key, name, what: 'the interface name', note: failing }
  for (const { at, name } of topology.host.interfaces)
    yield {
      at,
      ...key,
      name,
      what: 'the interface name',
      note: 'no interface can have such a name; under networking.interfaces it stops the rebuild, elsewhere nothing is set'
    }
  const absent = 'no interface can have such a name, so nothing is ever joined or stacked'
  for (const { interfaces } of [...topology.bridges, ...topology.host.bonds])
    for (const { at, name } of interfaces)
      if (at[1] !== 'networkd') yield { at, name, what: 'the port', note: absent }
  for (const { interface: parent } of vlans)
    yield { at: parent.at, name: parent.name, what: 'the parent of a VLAN', note: absent }
  for (const { interface: parent } of macvlans)
    yield { at: parent.at, name: parent.name, what: 'the parent of a macvlan', note: absent }
  for (const { enabled, interfaces } of topology.vms)
    for (const { at, name } of enabled ? interfaces : [])
      yield { at, ...key, name, what: 'the tap', note: failing }
  for (const container of containersHaving(topology, 'extraVeths', 'inside')) {
    if (!container.enabled) continue
    for (const { at, ifname } of container.extraVeths)
      yield {
        at,
        ...key,
        name: ifname,
        what: 'the extra veth',
        note: 'systemd-nspawn says "Failed to parse --network-veth-extra= parameter", and the container does not start'
      }
    for (const { at, name } of [...container.inside.bridges, ...container.inside.vlans])
      yield { at, ...key, name, what: `in container "${container.name}" the interface name`, note: failing }
  }
}

/** Names of interfaces that firewall and NAT match. */
const matched = function* ({ topology, nat }: Plan): Generator<NameUse> {
  const { firewall } = topology.host
  const refused = refusedRule(nat)
  const ofNat = nat.enabled
    ? { note: refused, pattern: true as const }
    : { note: `NAT is off; once it is on: ${refused}`, pattern: true as const, severity: 'hint' as const }
  for (const { at, name } of topology.nat?.internalInterfaces ?? [])
    yield { at, name, what: 'the internal interface', ...ofNat }
  const external = topology.nat?.externalInterface
  if (external !== undefined)
    yield {
      at: ['nat', 'externalInterface'],
      name: external,
      what: 'the external interface',
      ...ofNat
    }
  const ofFirewall = firewall.enable
    ? { note: refused, pattern: true as const }
    : {
        note: `the firewall is off; once it is on: ${refusedRule({ ...nat, filters: true })}`,
        pattern: true as const,
        severity: 'hint' as const
      }
  for (const { at, name } of firewall.interfaces)
    yield { at, on: 'key', name, what: 'the firewall interface', ...ofFirewall }
  for (const { at, name } of firewall.trustedInterfaces)
    yield { at, name, what: 'the trusted interface', ...ofFirewall }
}
