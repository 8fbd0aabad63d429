import type { Container } from '../model/topology.ts'
import type { Rule } from './rule.ts'

/** A24 */
export const noInterface: Rule = {
  id: 'no-interface',
  group: 'addresses',
  severity: 'warning',
  summary: 'A container has privateNetwork and nothing that would give it an interface.',
  *check({ unlinked }) {
    for (const container of unlinked) {
      const { name, at, privateNetwork, networkNamespace, partial, internet } = container
      if (partial || !privateNetwork || networkNamespace || internet === false) continue
      yield {
        message: `container "${name}" has privateNetwork, but no address, bridge or interface`,
        labels: [{ at: [...at, 'privateNetwork'], text: 'this alone makes no eth0' }],
        note: "the option's text promises a private eth0, but NixOS asks systemd-nspawn for one only when an address or a bridge is set: there is only lo inside",
        help: 'add hostAddress and localAddress, or hostBridge and localAddress; if no network is what you want, write internet: false',
        // Nothing but lo is also how one cuts a container off on purpose.
        ...(wantsNetwork(container) ? {} : { severity: 'hint' as const })
      }
    }
  }
}

const wantsNetwork = (container: Container): boolean => {
  const {
    internet,
    dhcp,
    listens,
    nameservers,
    routes,
    defaultGateway,
    defaultGateway6,
    firewall,
    veth,
    inside
  } = container
  return (
    internet === true ||
    dhcp ||
    firewall.written ||
    defaultGateway !== undefined ||
    defaultGateway6 !== undefined ||
    listens.length +
      nameservers.length +
      routes.length +
      veth.forwardPorts.length +
      inside.interfaces.length >
      0
  )
}
