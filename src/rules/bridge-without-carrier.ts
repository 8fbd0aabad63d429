import { type Edit, offer } from '../findings/mend.ts'
import { sameAddr } from '../net/addr.ts'
import { idleBridges } from '../plan/carrier.ts'
import { nonlocalBind } from '../plan/ports.ts'
import type { Path } from '../text/path.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** E6 */
export const bridgeWithoutCarrier: Rule = {
  id: 'bridge-without-carrier',
  group: 'networkd',
  severity: 'warning',
  summary: 'A service listens on the address of a bridge that has none until a container runs.',
  *check(plan) {
    const { host } = plan.topology
    if (host.networkd === undefined) return
    const late = idleBridges(plan).filter(
      ({ withoutCarrier, network }) => !withoutCarrier && network.addresses.length > 0
    )
    const [first] = late
    if (first === undefined) return
    const free = nonlocalBind(plan.topology)
    const bound = late.flatMap(({ plan: { bridge }, network }) =>
      host.listens.flatMap(({ name, port, address }) => {
        if (address?.prefix === undefined || free.has(address.prefix.family)) return []
        const bound = address.prefix
        const own = network.addresses.find(({ prefix }) => prefix !== undefined && sameAddr(prefix, bound))
        return own === undefined
          ? []
          : [{ bridge, network, own, address, service: name ?? `the service on port ${port}` }]
      })
    )
    for (const { bridge, network, own, address, service } of bound)
      yield {
        message: `${service} listens on ${address.text}, which "${bridge.name}" has only while a container runs`,
        labels: [
          { at: address.at, text: 'not there at boot' },
          { at: own.at, text: `set when "${bridge.name}" has a carrier` }
        ],
        note: `"${bridge.name}" has no port to outside; networkd sets the addresses of a bridge when its first port is up, so at boot the service fails with "Cannot assign requested address"`,
        help: `write ConfigureWithoutCarrier: true under host.networkd.networks.${network.file}.networkConfig`,
        ...offer(withoutCarrier(network.at))
      }
    if (bound.length > 0) return
    const names = late.map(({ plan: { bridge } }) => `"${bridge.name}"`)
    yield {
      message: `${listed(names)} ${names.length === 1 ? 'has its' : 'have their'} addresses only while a container on ${names.length === 1 ? 'it' : 'them'} runs`,
      labels: [{ at: first.network.at, on: 'key', text: 'no ConfigureWithoutCarrier here' }],
      note: 'networkd sets the addresses of a bridge when its first port is up; until the first container starts, the host has none of them, and a service that binds one fails',
      help: `write ConfigureWithoutCarrier: true under host.networkd.networks.${first.network.file}.networkConfig`,
      ...offer(...late.map(({ network }) => withoutCarrier(network.at))),
      severity: 'hint'
    }
  }
}

const withoutCarrier = (network: Path): Edit => ({
  kind: 'insert',
  at: [...network, 'networkConfig', 'ConfigureWithoutCarrier'],
  value: true
})
