import type { Label, Problem } from '../findings/finding.ts'
import { offer } from '../findings/mend.ts'
import type { Container, Nat } from '../model/topology.ts'
import { leavesByHost } from '../plan/egress.ts'
import { defaultRoutes } from '../plan/gateways.ts'
import { translatesByHand } from '../plan/nat.ts'
import type { Link, Plan } from '../plan/plan.ts'
import { listed, plural } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** B14 */
export const natWithoutIpv6: Rule = {
  id: 'nat-without-ipv6',
  group: 'nat',
  severity: 'warning',
  summary: 'Containers have IPv6 and a route out, and NAT is for IPv4 only.',
  *check(plan) {
    const { nat } = plan.nat
    const { host } = plan.topology
    if (nat !== undefined) yield* unread(nat)
    if (!plan.topology.seen.IPv6 || nat?.enableIPv6 === true || nat?.partial === true || host.partial) return
    // Where the host has no IPv6 at all, or none to the outside, NAT would lead nowhere.
    if (!host.enableIPv6 || host.internet6 === false) return
    const isByHand = translatesByHand(host)
    const affected = plan.links.filter(
      link => leavesByHost(plan, link, 6) && !plan.nat.covers(link, 6) && !isByHand(link, 6)
    )
    // Without NAT at all the file must say that the internet is meant: an IPv6 uplink, and containers with nothing else.
    const only6 = affected.filter(({ container }) => container !== undefined && !hasIPv4(plan, container))
    const told = nat?.enable === true ? affected : host.internet6 === true ? only6 : []
    const [first] = told
    if (first === undefined) return
    const isOn = nat?.enable === true
    const owners = told.slice(0, 4).map(
      ({ addresses, at, node }): Label => ({
        at: addresses.find(({ prefix }) => prefix?.family === 6)?.at ?? at,
        text: `"${node.name}" sends from here`
      })
    )
    const missing: Label = { at: ['nat', 'enableIPv6'], text: 'IPv6 is not translated' }
    const has = `${plural(told.length, 'container')} ${told.length > 1 ? 'have' : 'has'} private IPv6 and a default route: ${names(told)}`
    const isWanted = told.some(({ container }) => container?.internet === true)
    const severity = only6.length > 0 && (isOn || isWanted) ? 'error' : isOn ? 'warning' : 'hint'
    yield {
      message: isOn ? `nat.enableIPv6 is not set, but ${has}` : `nothing translates IPv6, and ${has}`,
      labels: isOn ? [missing, ...owners] : [owners[0] ?? missing, ...owners.slice(1)],
      note:
        only6.length > 0
          ? `${names(only6)} ${only6.length > 1 ? 'have' : 'has'} no IPv4 either, and ${only6.length > 1 ? 'reach' : 'reaches'} nothing outside`
          : 'nothing outside can answer their IPv6, if the host forwards it at all. Most programs prefer IPv4 from a private IPv6 address (RFC 6724); what insists on IPv6 times out',
      help: isOn
        ? 'write nat.enableIPv6: true'
        : 'write nat: { enable: true, enableIPv6: true, … } with the containers in internalInterfaces, or internet: false for those that need no way out',
      ...offer(
        isOn && only6.length > 0 ? { kind: 'insert', at: [...nat.at, 'enableIPv6'], value: true } : undefined
      ),
      severity
    }
  }
}

/** Options for IPv6 that NixOS reads only with enableIPv6 (nat-iptables.nix, nat-nftables.nix). */
const unread = function* (nat: Nat): Generator<Problem> {
  if (!nat.enable || nat.enableIPv6 || nat.partial) return
  // What is no address is told as that.
  const inner = nat.internalIPv6s.find(({ prefix }) => prefix !== undefined)
  const [option, written] =
    inner === undefined ? ['externalIPv6', nat.externalIPv6] : ['internalIPv6s', inner]
  if (written?.prefix === undefined) return
  yield {
    message: `nat.enableIPv6 is not set, so NixOS does not read nat.${option}`,
    labels: [
      { at: written.at, text: 'has no effect' },
      { at: [...nat.at, 'enableIPv6'], text: 'IPv6 is not translated' }
    ],
    note: 'no rule for IPv6 is made, and the NAT does not turn on its forwarding: what is sent outside over IPv6 gets no answer, if the host forwards it at all',
    help: `write nat.enableIPv6: true; or remove ${option}, if IPv6 is not to be translated`
  }
}

/** Whether a container has an address of IPv4 on any of its links, or may get one. */
const hasIPv4 = (plan: Plan, container: Container): boolean =>
  plan.linksOf
    .get(container)
    ?.some(({ addresses }) => addresses.some(({ prefix }) => prefix?.family === 4)) === true ||
  defaultRoutes(plan, container, 4).length > 0

const names = (links: readonly Link[]): string =>
  listed(
    links.map(({ node }) => `"${node.name}"`),
    4
  )
