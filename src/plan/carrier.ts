import { isYes } from '../model/networkd.ts'
import type { Network, SettingText } from '../model/topology.ts'
import { writtenNetworks } from './networkd.ts'
import type { BridgePlan, Plan } from './plan.ts'

/** A bridge that has a carrier only while a container or machine on it runs, and the file that configures it. */
export interface IdleBridge {
  readonly plan: BridgePlan
  /** Written by hand. */
  readonly network: Network
  /** Whether networkd sets the addresses before there is a carrier. */
  readonly withoutCarrier: boolean
  /** Whether something on it may start by itself with the host. */
  readonly started: boolean
}

/** The bridges without a port to outside that hand-written files of networkd configure. */
export const idleBridges = (plan: Plan): readonly IdleBridge[] => {
  const written = writtenNetworks(plan.topology.host)
  if (written.length === 0) return []
  const withPorts = new Set(written.flatMap(({ bridge }) => bridge.map(({ name }) => name)))
  return Array.from(plan.bridges.values()).flatMap((bridgePlan): IdleBridge[] => {
    const { bridge, members } = bridgePlan
    if (bridge.interfaces.length > 0 || bridge.partial || withPorts.has(bridge.name)) return []
    const taker = plan.networkFiles().taker({ name: bridge.name, kind: 'bridge' })
    const network = typeof taker === 'object' ? taker.network : undefined
    if (network === undefined) return []
    return [
      {
        plan: bridgePlan,
        network,
        withoutCarrier: isYes(settingOf(network, 'networkConfig', 'ConfigureWithoutCarrier')),
        started: members.some(({ container }) => container?.autoStart !== false)
      }
    ]
  })
}

/** The value of a key that counts: the last. */
export const settingOf = (network: Network, section: string, key: string): SettingText | undefined =>
  network.sections.get(section)?.settings.get(key)?.at(-1)
