import type { Container } from '../model/topology.ts'
import { leavesByHost } from '../plan/egress.ts'
import { FAMILIES } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

export const unclampedMtu: Rule = {
  id: 'unclamped-mtu',
  group: 'nat',
  severity: 'hint',
  summary: 'The way out takes smaller packets than the containers expect.',
  *check(plan) {
    const { nat, enabled } = plan.nat
    const { host } = plan.topology
    if (!enabled || nat?.externalInterface === undefined) return
    const card = host.configured.find(({ name }) => name === nat.externalInterface)
    if (card?.mtu === undefined || card.mtu >= ETHERNET || card.mtu < SMALLEST) return
    const { extraCommands, extraForwardRules } = host.firewall
    if (/clamp|maxseg|--set-mss/i.test(`${extraCommands ?? ''} ${extraForwardRules ?? ''}`)) return
    const user = plan.links.find(
      link =>
        (innerMtu(link) ?? ETHERNET) > (card.mtu ?? ETHERNET) &&
        FAMILIES.some(family => plan.nat.covers(link, family) && leavesByHost(plan, link, family))
    )
    if (user === undefined) return
    const expected = innerMtu(user) ?? ETHERNET
    yield {
      message: `"${card.name}" takes packets of ${card.mtu} bytes, and the containers behind it expect ${expected}`,
      labels: [
        { at: [...card.at, 'mtu'], text: 'the smaller one' },
        { at: user.at, on: 'key', text: `"${user.node.name}" announces ${expected}` }
      ],
      note: `the host tells containers of the limit, so what they send arrives. What servers send them is too large for "${card.name}"; where a firewall on the way drops the ICMP message about it, connections open and then hang (downloads, TLS), while the same works from the host`,
      help:
        plan.nat.backend === 'nftables'
          ? 'where that happens, write host.firewall.extraForwardRules: "tcp flags syn tcp option maxseg size set rt mtu" with filterForward, or give the containers the smaller mtu'
          : `where that happens, write host.firewall.extraCommands: "${nat.enableIPv6 ? 'ip46tables' : 'iptables'} -t mangle -A FORWARD -o ${card.name} -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu", or give the containers the smaller mtu`
    }
  }
}

/** The largest packet of Ethernet, and the smallest limit that IPv6 allows (RFC 8200 section 5). */
const ETHERNET = 1500
const SMALLEST = 1280

const innerMtu = ({
  container,
  ifname
}: {
  container: Container | undefined
  ifname: string
}): number | undefined => container?.inside.interfaces.find(({ name }) => name === ifname)?.mtu
