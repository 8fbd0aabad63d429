import type { Severity } from '../findings/finding.ts'
import type { Container } from '../model/topology.ts'
import { specialBlock } from '../net/special.ts'
import { copiesResolver, type LoopbackResolver, loopbackResolver } from '../plan/dns.ts'
import type { Plan } from '../plan/plan.ts'
import { listed, plural } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** B11 */
export const loopbackResolverCopied: Rule = {
  id: 'loopback-resolver-copied',
  group: 'dns',
  severity: 'error',
  summary: "Containers copy a resolv.conf that names the host's own loopback address.",
  *check(plan) {
    const found = loopbackResolver(plan.topology.host)
    if (found === undefined) return
    const copying = plan.topology.containers.filter(container => copiesResolver(plan, container))
    const [first] = copying
    if (first === undefined) return
    const servers = listed(found.servers)
    const others = copying.length - 1
    yield {
      message: `${others > 0 ? `${plural(copying.length, 'container')} copy` : `container "${first.name}" copies`} the host's resolv.conf, which ${found.source === 'resolvConf' || found.source === 'resolved' ? 'names' : 'then names'} only ${servers}`,
      labels: [
        { at: [...first.at, 'useHostResolvConf'], text: 'true unless it is switched off' },
        { at: found.at, text: REASONS[found.source] },
        ...copying
          .slice(1, LABELLED)
          .map(({ at }) => ({ at, on: 'key' as const, text: 'this one copies it too' }))
      ],
      note: `in a network of its own ${servers} is the container itself, and no resolver answers there: every look-up of a name fails ("Temporary failure in name resolution"), while addresses work${SEVERITIES[found.source] === 'hint' ? '. Unless the host writes another resolv.conf' : ''}`,
      help: `in ${others > 0 ? 'each container' : `"${first.name}"`} write useHostResolvConf: false, resolved: true and nameservers: [${server(plan, copying)}], or any other server that it reaches`,
      severity: SEVERITIES[found.source]
    }
  }
}

/** How many containers are shown. */
const LABELLED = 8

const SEVERITIES: Readonly<Record<LoopbackResolver['source'], Severity>> = {
  resolvConf: 'error',
  resolved: 'error',
  nameservers: 'warning',
  networkd: 'hint',
  listens: 'hint'
}

const REASONS: Readonly<Record<LoopbackResolver['source'], string>> = {
  resolvConf: 'what is copied',
  resolved: 'its resolv.conf says 127.0.0.53',
  nameservers: "they stand in the host's resolv.conf",
  networkd: 'networkd turns on systemd-resolved, whose resolv.conf says 127.0.0.53',
  listens: 'the modules of local resolvers write 127.0.0.1 into resolv.conf'
}

/** A server that the host itself asks, where it is not on the host; else a public one. Whoever has IPv6 only can ask no other. */
const server = ({ topology, linksOf }: Plan, copying: readonly Container[]): string => {
  const isOnly6 = copying.every(container =>
    (linksOf.get(container) ?? []).every(
      ({ addresses }) => addresses.length > 0 && addresses.every(({ prefix }) => prefix?.family === 6)
    )
  )
  const known = topology.host.nameservers.find(
    ({ prefix }) =>
      prefix !== undefined && specialBlock(prefix)?.name !== 'loopback' && (!isOnly6 || prefix.family === 6)
  )
  return known?.text ?? (isOnly6 ? '"2620:fe::9"' : '9.9.9.9')
}
