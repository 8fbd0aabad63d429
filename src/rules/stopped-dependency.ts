import type { Label } from '../findings/finding.ts'
import type { AddressText, Container } from '../model/topology.ts'
import { ownNameservers } from '../plan/dns.ts'
import type { Plan } from '../plan/plan.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** F10 */
export const stoppedDependency: Rule = {
  id: 'stopped-dependency',
  group: 'containers',
  severity: 'hint',
  summary: 'What starts at boot needs a container that does not.',
  *check(plan) {
    const { topology } = plan
    const needs = new Map<Container, Need[]>()
    const add = (owner: Container | undefined, need: Need): void => {
      if (owner === undefined) return
      const known = needs.get(owner)
      if (known === undefined) needs.set(owner, [need])
      else known.push(need)
    }
    // Most files have none.
    if (!topology.containers.some(isStopped)) return
    for (const container of topology.containers) {
      const { enabled, autoStart, name, defaultGateway, defaultGateway6 } = container
      if (!enabled || autoStart !== true) continue
      for (const gateway of [defaultGateway, defaultGateway6])
        if (gateway !== undefined)
          add(stoppedAt(plan, gateway.address, container), {
            at: gateway.address.at,
            text: `the gateway of "${name}"`,
            who: `"${name}"`
          })
      for (const server of ownNameservers(container))
        add(stoppedAt(plan, server, container), {
          at: server.at,
          text: `a nameserver of "${name}"`,
          who: `"${name}"`
        })
    }
    for (const server of [...topology.host.nameservers, ...topology.host.resolvConf])
      add(stoppedAt(plan, server), { at: server.at, text: 'a nameserver of the host', who: 'the host' })
    for (const [container, [first, ...more]] of needs) {
      if (first === undefined) continue
      const labels: readonly Label[] = more.slice(0, SHOWN).map(({ at, text }) => ({ at, text }))
      const users = [...new Set([first, ...more].map(({ who }) => who))]
      yield {
        message: `${listed(users)} ${users.length === 1 ? 'needs' : 'need'} container "${container.name}", which is not started at boot`,
        labels: [
          { at: [...container.at, 'autoStart'], text: 'started by hand only' },
          { at: first.at, text: first.text },
          ...labels
        ],
        note: 'after a boot nobody answers at that address until somebody starts the container',
        help: `write autoStart: true for "${container.name}"`
      }
    }
  }
}

interface Need extends Label {
  readonly who: string
}

const SHOWN = 4

const isStopped = ({ enabled, autoStart }: Container): boolean => enabled && autoStart === false

/** The container at an address, where it is not started at boot and nobody else has the address. */
const stoppedAt = (
  { addresses }: Plan,
  { prefix }: AddressText,
  asker?: Container
): Container | undefined => {
  const owners = prefix === undefined ? undefined : addresses.owners(prefix)
  const [first] = owners ?? []
  if (first?.kind !== 'local' || !first.enabled || owners?.length !== 1) return undefined
  const owner = first.link?.container
  return owner !== undefined && owner !== asker && isStopped(owner) ? owner : undefined
}
