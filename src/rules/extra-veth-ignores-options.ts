import type { Rule } from './rule.ts'

/** F4 */
export const extraVethIgnoresOptions: Rule = {
  id: 'extra-veth-ignores-options',
  group: 'containers',
  severity: 'warning',
  summary: 'An extra veth has forwardPorts or localMacAddress, which NixOS reads for the container only.',
  *check({ topology }) {
    for (const { enabled, extraVeths, name, veth: own, privateNetwork } of topology.having.extraVeths) {
      if (!enabled) continue
      for (const { forwardPorts, localMacAddress, ifname, at } of extraVeths) {
        const [forward] = forwardPorts
        if (forward !== undefined) {
          const to = forward.containerPort ?? forward.hostPort
          yield {
            message: `forwardPorts of the extra veth "${ifname}" of container "${name}" forwards nothing`,
            labels: [{ at: [...at, 'forwardPorts'], on: 'key', text: 'is not read here' }],
            note: `NixOS makes --port= for systemd-nspawn of the container's own forwardPorts only: port ${forward.hostPort ?? 'auto'} of the host is closed, or somebody else's`,
            help: `move it up to containers.${name}.forwardPorts${privateNetwork ? '' : ', with privateNetwork: true'}, or forward to port ${to ?? 'auto'} of the veth's address with nat.forwardPorts`
          }
        }
        if (localMacAddress !== undefined)
          yield {
            message: `the extra veth "${ifname}" of container "${name}" does not get its localMacAddress`,
            labels: [{ at: localMacAddress.at, text: 'is not set by anything' }],
            note: 'container-init sets the MAC address of eth0 only; the extra veth keeps the one that systemd-nspawn makes of its name, so leases and rules for the written one do not match',
            help:
              own.localMacAddress === undefined
                ? 'make this pair the eth0 of the container, where localMacAddress works, or let networkd inside set it: [Link] MACAddress='
                : 'let networkd inside the container set it: [Link] MACAddress='
          }
      }
    }
  }
}
