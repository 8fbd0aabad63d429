import type { Named, Nat } from '../model/topology.ts'
import { FAMILIES, type Link, type Plan } from '../plan/plan.ts'
import { listed } from '../text/words.ts'
import type { Problem } from '../findings/finding.ts'
import { offer, replaced } from '../findings/mend.ts'
import type { Rule } from './rule.ts'

/** D2, D3, D4 */
export const wildcardWrongBackend: Rule = {
  id: 'wildcard-wrong-backend',
  group: 'nat',
  severity: 'error',
  summary: "A name pattern is written in the other firewall's spelling: ve-+ is iptables, ve-* is nftables.",
  *check(plan) {
    const { host, nat } = plan.topology
    if (nat?.enable === true) {
      yield* inList(plan, nat.internalInterfaces, 'internalInterfaces')
      yield* ofExternal(plan, nat)
    }
    if (!host.firewall.enable) return
    yield* inList(plan, host.firewall.trustedInterfaces, 'trustedInterfaces')
    const { wildcard, backend } = plan.nat
    for (const { at, name } of host.firewall.interfaces) {
      const stem = foreignStem(name, wildcard)
      if (stem === undefined) continue
      yield {
        message: `firewall.interfaces."${name}" is a pattern of ${otherBackend(backend)}, and the host runs ${backend}`,
        labels: [{ at, on: 'key', text: spelling(backend, stem, wildcard) }],
        note:
          backend === 'nftables'
            ? 'the rebuild stops in the ruleset check: "syntax error, unexpected +"'
            : 'iptables takes the * for a letter: the ports are opened on no interface',
        help: mend(stem, wildcard)
      }
    }
  }
}

const ofExternal = function* ({ nat: { wildcard, backend } }: Plan, nat: Nat): Generator<Problem> {
  const external = nat.externalInterface
  const stem = external === undefined ? undefined : foreignStem(external, wildcard)
  if (stem === undefined) return
  yield {
    message: `externalInterface is "${external}", a pattern of ${otherBackend(backend)}, and the host runs ${backend}`,
    labels: [{ at: [...nat.at, 'externalInterface'], text: spelling(backend, stem, wildcard) }],
    note: `${backend} takes the last sign for a letter and matches nothing: nobody gets an answer from the internet, and no port is forwarded`,
    help: stem === '' ? 'write the name of the interface of the uplink' : mend(stem, wildcard),
    ...offer(replaced([...nat.at, 'externalInterface'], stem === '' ? undefined : `${stem}${wildcard}`))
  }
}

const otherBackend = (backend: string): string => (backend === 'nftables' ? 'iptables' : 'nftables')

/** What stands before the wildcard of the other backend. */
const foreignStem = (name: string, wildcard: '+' | '*'): string | undefined => {
  const foreign = wildcard === '+' ? '*' : '+'
  return name.endsWith(foreign) ? name.slice(0, -1) : undefined
}

const spelling = (backend: string, stem: string, wildcard: '+' | '*'): string =>
  stem === '' && wildcard === '*'
    ? 'nftables has no pattern for every name'
    : `${backend} writes ${stem}${wildcard}`

const mend = (stem: string, wildcard: '+' | '*'): string =>
  stem !== ''
    ? `write "${stem}${wildcard}"`
    : wildcard === '*'
      ? 'list the interfaces, such as "ve-*" and "br0"'
      : 'write "+", which is every interface'

/** Whether NAT leaves out a family that a link has an address of, and that it translates at all. */
const isMissed = ({ nat, topology }: Plan, link: Link): boolean =>
  FAMILIES.some(
    family =>
      (family === 4 || topology.nat?.enableIPv6 === true) &&
      link.addresses.some(({ prefix }) => prefix?.family === family) &&
      !nat.covers(link, family)
  )

/** Whom an entry would have matched is worked out for the first few; nobody reads more of them. */
const DETAILED = 20

const inList = function* (plan: Plan, entries: readonly Named[], option: string): Generator<Problem> {
  const { wildcard, backend } = plan.nat
  const written = new Set(entries.map(({ name }) => name))
  let told = 0
  for (const { at, name } of entries) {
    const stem = foreignStem(name, wildcard)
    // Someone who writes both spellings means both backends.
    if (stem === undefined || written.has(`${stem}${wildcard}`)) continue
    told += 1
    const meant = (told > DETAILED ? [] : plan.links).filter(
      ({ hostIfname, bridgeName }) => hostIfname !== '' && (bridgeName ?? hostIfname).startsWith(stem)
    )
    const missed = option === 'internalInterfaces' ? meant.filter(link => isMissed(plan, link)) : meant
    const names = [...new Set(missed.map(({ node }) => `"${node.name}"`))]
    yield {
      message: `${option} has "${name}", a pattern of ${otherBackend(backend)}, and the host runs ${backend}`,
      labels: [{ at, text: spelling(backend, stem, wildcard) }],
      note: `${backend === 'nftables' ? 'nftables takes the + for a letter, loads the rule and matches nothing' : 'iptables takes the * for a letter and matches nothing'}${
        names.length === 0
          ? ''
          : option === 'internalInterfaces'
            ? `: ${listed(names, 4)} get${names.length === 1 ? 's' : ''} no answer from the internet`
            : `: what ${listed(names, 4)} send${names.length === 1 ? 's' : ''} to the host is filtered like anything else`
      }`,
      help: mend(stem, wildcard),
      // Whom the firewall trusts is for its owner to widen.
      ...offer(
        replaced(at, stem === '' || option !== 'internalInterfaces' ? undefined : `${stem}${wildcard}`)
      ),
      ...(option === 'internalInterfaces' && meant.length > 0 && missed.length === 0
        ? { severity: 'hint' as const }
        : {})
    }
  }
}
