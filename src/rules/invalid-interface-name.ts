import { IFNAME_MAX, ifnameFault } from '../net/ifname.ts'
import { quote } from '../text/path.ts'
import type { Named } from '../model/topology.ts'
import type { Plan } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** C9 */
export const invalidInterfaceName: Rule = {
  id: 'invalid-interface-name',
  group: 'names',
  severity: 'error',
  summary: 'The name of an interface has characters that the kernel or systemd refuses.',
  *check(plan) {
    const { bridges, host, containers, vms } = plan.topology
    const names: { readonly entry: Named; readonly what: string }[] = [
      ...bridges.map(entry => ({ entry, what: 'a bridge' })),
      ...host.vlans.map(entry => ({ entry, what: 'a VLAN' })),
      ...host.bonds.map(entry => ({ entry, what: 'a bond' })),
      ...host.macvlans.map(entry => ({ entry, what: 'a macvlan' })),
      ...host.interfaces.map(entry => ({ entry, what: CARD })),
      ...vms.flatMap(({ interfaces }) => interfaces.map(entry => ({ entry, what: 'a tap' })))
    ]
    for (const { extraVeths, inside } of containers) {
      for (const { at, ifname } of extraVeths) names.push({ entry: { at, name: ifname }, what: EXTRA_VETH })
      for (const entry of inside.bridges) names.push({ entry, what: 'a bridge' })
      for (const entry of inside.vlans) names.push({ entry, what: 'a VLAN' })
    }
    for (const { entry, what } of names) {
      // Length alone has a rule of its own.
      if (new TextEncoder().encode(entry.name).length > IFNAME_MAX && /^[!-~]+$/.test(entry.name)) continue
      const reason = ifnameFault(entry.name)
      if (reason === undefined) continue
      yield {
        message: `${quote(entry.name)} cannot be the name of ${what}: ${reason}`,
        labels: [{ at: entry.at, on: 'key', text: 'no name for an interface' }],
        note:
          what === EXTRA_VETH
            ? 'the rebuild does not look at it; systemd-nspawn says "Failed to parse --network-veth-extra= parameter", and the container does not start'
            : what === CARD
              ? 'no interface can have this name, so what is written for it is set on none'
              : 'the rebuild does not look at it; networkd ("Interface name is not valid or too long, ignoring") or the kernel refuses it, and the interface is never made',
        help: advice(entry.name, what, plan)
      }
    }
  }
}

const EXTRA_VETH = 'an extra veth'
const CARD = 'an interface'

/** The name without what is refused, where nobody has it. */
const advice = (name: string, what: string, plan: Plan): string => {
  const allowed = `letters, digits, dots and hyphens, at most ${IFNAME_MAX}, not digits alone`
  if (what === CARD) return `write the name as \`ip link\` shows it: ${allowed}`
  const plain = name
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .replace(/[^A-Za-z0-9_.-]+/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '')
  const prefix = what === EXTRA_VETH ? 've-' : what === 'a macvlan' ? 'mv-' : 'br-'
  const mended = (ifnameFault(plain) === undefined ? plain : `${prefix}${plain}`).slice(0, IFNAME_MAX)
  return plain === '' || ifnameFault(mended) !== undefined || plan.hostInterfaces().has(mended)
    ? `use ${allowed}, such as ${prefix}web`
    : `call it ${mended}: ${allowed}`
}
