import { offer } from '../findings/mend.ts'
import { isNo, isYes } from '../model/networkd.ts'
import { idleBridges, settingOf } from '../plan/carrier.ts'
import { runsNetworkd, writtenNetworks } from '../plan/networkd.ts'
import type { Plan } from '../plan/plan.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** E5 */
export const bootWaitsForBridge: Rule = {
  id: 'boot-waits-for-bridge',
  group: 'networkd',
  severity: 'warning',
  summary: 'The boot waits two minutes for a bridge that has no carrier.',
  *check(plan) {
    const { host } = plan.topology
    const { networkd, manager } = host
    if (networkd === undefined || runsNetworkd(host) !== true) return
    const { waitOnline } = networkd
    // What the arguments change is not worked out here.
    if (!waitOnline.enable || waitOnline.extraArgs.length > 0) return
    const idle = idleBridges(plan).filter(({ started }) => !started)
    const [first] = idle
    if (first === undefined) return
    if (manager === 'networkmanager') {
      const files = new Set(idle.map(({ network }) => network))
      if (writtenNetworks(host).some(network => !files.has(network) && comesOnline(network))) return
      if (startsPair(plan)) return
      const names = idle.map(({ plan: { bridge } }) => `"${bridge.name}"`)
      yield {
        message: `the boot waits for networkd, which has nothing but ${listed(names)}`,
        labels: [
          { at: first.network.at, on: 'key', text: 'no carrier until a container runs' },
          { at: [...host.at, 'manager'], text: 'NetworkManager has the uplink' }
        ],
        note: 'systemd-networkd-wait-online looks at the interfaces of networkd only and none of them comes online, so network-online.target waits 120 seconds and the unit fails; RequiredForOnline=no does not help where nothing else is left',
        help: 'write wait-online: { enable: false } under host.networkd; NetworkManager has its own wait-online',
        ...offer({ kind: 'insert', at: [...networkd.at, 'wait-online', 'enable'], value: false })
      }
      return
    }
    // One interface is enough by default, where DHCP is on.
    if (waitOnline.anyInterface ?? host.useDHCP ?? true) return
    for (const { plan: bridgePlan, network, withoutCarrier } of idle) {
      const { name } = bridgePlan.bridge
      if (!comesOnline(network) || waitOnline.ignoredInterfaces.includes(name)) continue
      // The search for duplicates of an IPv6 address does not end without a carrier.
      const tentative = network.addresses.find(({ prefix }) => prefix?.family === 6)
      if (withoutCarrier && (tentative === undefined || !searchesDuplicates(network))) continue
      yield {
        message: `the boot waits for "${name}", which has no carrier until a container runs`,
        labels: [
          { at: network.at, on: 'key', text: 'required for being online, as every interface' },
          ...(withoutCarrier && tentative !== undefined
            ? [{ at: tentative.at, text: 'stays tentative without a carrier' }]
            : [])
        ],
        note: `systemd-networkd-wait-online waits for every interface of networkd, and "${name}" stays "configuring" without a port that is up${withoutCarrier ? ', since nobody can look for duplicates of its IPv6 address' : ''}: network-online.target waits 120 seconds, and the unit fails`,
        help: `write linkConfig: { RequiredForOnline: "no" } under host.networkd.networks.${network.file}`,
        ...offer({ kind: 'insert', at: [...network.at, 'linkConfig', 'RequiredForOnline'], value: 'no' })
      }
    }
  }
}

type Network = ReturnType<typeof writtenNetworks>[number]

/** Whether an interface of this file counts for being online. */
const comesOnline = (network: Network): boolean =>
  !isYes(settingOf(network, 'linkConfig', 'Unmanaged')) &&
  !isNo(settingOf(network, 'linkConfig', 'RequiredForOnline'))

const searchesDuplicates = (network: Network): boolean =>
  settingOf(network, 'networkConfig', 'IPv6DuplicateAddressDetection') === undefined &&
  network.addressSections.every(({ settings }) => !settings.has('DuplicateAddressDetection'))

/** Whether a container that may start with the host has a pair that networkd takes. */
const startsPair = ({ pairs }: Plan): boolean =>
  pairs.some(({ container, hostIfname }) => container.autoStart !== false && hostIfname.startsWith('ve-'))
