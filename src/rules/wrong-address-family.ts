import type { AddressText, Container } from '../model/topology.ts'
import type { Rule } from './rule.ts'

/** A20 */
export const wrongAddressFamily: Rule = {
  id: 'wrong-address-family',
  group: 'addresses',
  severity: 'error',
  summary: 'An IPv4 option holds an IPv6 address, or the other way round.',
  *check({ topology }) {
    for (const container of topology.containers)
      for (const { option, address, family } of familyOptions(container)) {
        const { prefix, at, text } = address
        if (prefix === undefined || prefix.family === family) continue
        const right = family === 4 ? `${option}6` : option.replace(/6$/, '')
        yield {
          message: `${option} of container "${container.name}" is ${text}, an IPv${prefix.family} address`,
          labels: [{ at, text: `${option} takes IPv${family}` }],
          note:
            family === 6
              ? '"ip -6" refuses it ("inet6 prefix is expected rather than"), and the container stops while it starts'
              : '`ip` takes either family here, so it works by luck; NAT, port forwards and /etc/hosts take it for IPv4',
          help: `move it to ${right}`,
          ...(family === 4 ? { severity: 'warning' as const } : {})
        }
      }
  }
}

interface FamilyOption {
  readonly option: string
  readonly address: AddressText
  readonly family: 4 | 6
}

const familyOptions = function* (container: Container): Generator<FamilyOption> {
  for (const veth of [container.veth, ...container.extraVeths])
    for (const option of ['hostAddress', 'localAddress', 'hostAddress6', 'localAddress6'] as const) {
      const address = veth[option]
      if (address !== undefined) yield { option, address, family: option.endsWith('6') ? 6 : 4 }
    }
  for (const option of ['defaultGateway', 'defaultGateway6'] as const) {
    const address = container[option]?.address
    if (address !== undefined) yield { option, address, family: option.endsWith('6') ? 6 : 4 }
  }
}
