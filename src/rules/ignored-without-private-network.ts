import type { Problem } from '../findings/finding.ts'
import type { Container, Firewall, Veth } from '../model/topology.ts'
import { type InputFilter, hasOwnRules, inputFilter } from '../plan/firewall.ts'
import { containerLinks, isPrivate, vethOptions } from '../plan/links.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** A23 */
export const ignoredWithoutPrivateNetwork: Rule = {
  id: 'ignored-without-private-network',
  group: 'addresses',
  severity: 'error',
  summary: 'Addresses, a bridge or forwards are set for a container without privateNetwork.',
  *check({ topology }) {
    const { firewall } = topology.host
    const filter = inputFilter(firewall)
    for (const container of topology.containers) {
      const { veth, name, at, privateNetwork, networkNamespace, enabled, partial } = container
      if (!enabled || partial || privateNetwork || networkNamespace) continue
      const ignored: string[] = [...vethOptions(veth)]
      if (veth.forwardPorts.length > 0) ignored.push('forwardPorts')
      const [first] = ignored
      if (first === undefined) continue
      const alone = !isPrivate(container)
      const onlyForwards = alone && first === 'forwardPorts'
      const ports = onlyForwards ? forwardedPorts(veth) : undefined
      if (ports !== undefined) {
        yield superfluous(container, ports, missing(firewall, filter, veth))
        continue
      }
      yield {
        message: `container "${name}" sets ${listed(ignored)} without privateNetwork: NixOS ignores ${ignored.length > 1 ? 'them' : 'it'}`,
        labels: [
          { at: [...at, 'privateNetwork'], text: 'privateNetwork is not true' },
          ...ignored.map(option => ({ at: [...at, option], on: 'key' as const, text: 'has no effect' }))
        ],
        note: alone
          ? `the container runs in the host's network: its services listen on the host's own addresses and ports${veth.localAddress === undefined ? '' : `, and /etc/hosts of the host still sends ${name}.containers to ${veth.localAddress.text.replace(/\/.*$/, '')}, which nobody has`}`
          : `systemd-nspawn makes it private for ${listed(containerLinks(container).map(({ ifname }) => ifname))}, but no eth0 is made`,
        help: onlyForwards
          ? `write privateNetwork: true with hostAddress and localAddress; or remove forwardPorts, and let the services listen on the ports that the host is to have`
          : 'write privateNetwork: true, or remove what is ignored',
        ...(alone ? {} : { severity: 'warning' as const })
      }
    }
  }
}

/** The ports of forwards that all lead from a port to the same one, which the host's own network has already. */
const forwardedPorts = ({ forwardPorts }: Veth): readonly number[] | undefined => {
  const ports = forwardPorts.map(({ hostPort, containerPort }) =>
    hostPort === containerPort ? hostPort : undefined
  )
  const known = ports.filter(port => port !== undefined)
  return known.length === ports.length ? [...new Set(known)] : undefined
}

/** What a forward would have let past the host's firewall, and now has to be opened. */
const missing = (
  firewall: Firewall,
  filter: InputFilter,
  { forwardPorts }: Veth
): readonly (readonly [option: string, port: number])[] =>
  !firewall.written || !firewall.enable || firewall.interfaces.length > 0 || hasOwnRules(firewall)
    ? []
    : forwardPorts.flatMap(({ protocol: { value }, hostPort: port = 0 }) =>
        value === undefined || filter.opens('', value, { from: port, to: port })
          ? []
          : [[`allowed${value.toUpperCase()}Ports`, port] as const]
      )

const superfluous = (
  { name, at, listens }: Container,
  ports: readonly number[],
  [closed]: ReturnType<typeof missing>
): Problem => {
  const one = ports.length === 1
  const which = listed(ports.map(String))
  const service = listens.find(({ port }) => ports.includes(port))?.name
  return {
    message: `forwardPorts of container "${name}" are superfluous: without privateNetwork its services are on ${one ? 'port' : 'ports'} ${which} of the host already`,
    labels: [
      { at: [...at, 'forwardPorts'], on: 'key', text: 'has no effect' },
      { at: [...at, 'privateNetwork'], text: 'privateNetwork is not true' }
    ],
    note: `the container runs in the host's network: ${service ?? 'what listens inside'} listens on the host's own addresses, and NixOS leaves the forward out`,
    help: `remove forwardPorts${closed === undefined ? '' : `, and open ${closed[1]} in host.firewall.${closed[0]}, which a forward would have gone past`}; or, for a network of its own, write privateNetwork: true, which needs hostAddress and localAddress, and for the way out an entry in nat`,
    severity: 'warning'
  }
}
