import type { Rule } from './rule.ts'

/** D9 */
export const natWithoutExternal: Rule = {
  id: 'nat-without-external',
  group: 'nat',
  severity: 'warning',
  summary: 'NAT has no externalInterface, so it translates towards every interface.',
  *check({ nat: { nat, enabled }, topology: { host } }) {
    if (!enabled || nat === undefined || nat.partial || nat.externalInterface !== undefined) return
    const translates = nat.internalInterfaces.length + nat.internalIPs.length + nat.internalIPv6s.length > 0
    const uplink = host.interfaces.find(({ dhcp }) => dhcp)?.name ?? host.interfaces[0]?.name
    const needed =
      nat.forwardPorts.length > 0 ? 'forwardPorts' : nat.dmzHost === undefined ? undefined : 'dmzHost'
    // What translates for nobody does so towards nobody: nat-without-internal tells that.
    if (needed === undefined && !translates) return
    yield {
      message: `nat.enable is set without externalInterface${needed === undefined ? '' : `, and ${needed} needs one`}`,
      labels: [
        { at: [...nat.at, 'enable'], text: 'towards which interface?' },
        ...(needed === undefined
          ? []
          : [{ at: [...nat.at, needed], on: 'key' as const, text: 'needs externalInterface' }])
      ],
      note:
        needed === undefined
          ? 'packets are masqueraded on every way out, also from one container to another: services see the host instead of their clients'
          : `the rebuild stops: networking.nat.${needed} requires networking.nat.externalInterface`,
      help: `write externalInterface: ${uplink ?? 'eth0, the interface to the internet'}`,
      ...(needed === undefined ? {} : { severity: 'error' as const })
    }
  }
}
