import type { NatForward } from '../model/topology.ts'
import { type Addr, formatAddr } from '../net/addr.ts'
import { libvirtBridges } from '../plan/daemons.ts'
import type { Path } from '../text/path.ts'
import { plural } from '../text/words.ts'
import type { Rule } from './rule.ts'

export const libvirtRefusesForward: Rule = {
  id: 'libvirt-refuses-forward',
  group: 'nat',
  severity: 'warning',
  summary: 'A forward goes into a network of libvirt, which refuses connections from outside.',
  *check(plan) {
    const { host, nat } = plan.topology
    if (nat === undefined || !nat.enable || nat.partial || host.partial) return
    if (nat.forwardPorts.length === 0 && nat.dmzHost === undefined) return
    if (!host.daemons.includes('libvirtd') && plan.topology.vms.length === 0) return
    const { extraCommands = '', backend, at } = host.firewall
    const lines = backend === 'nftables' ? [] : extraCommands.split('\n')
    // Who writes rules for the chains of libvirt knows them.
    if (lines.some(line => /libvirt|\s(-D|-F|--delete|--flush)\s+FORWARD/i.test(line))) return
    const bridgeOf = libvirtBridges(plan)
    const found = new Map<string, Refused[]>()
    const add = (place: Path, addr: Addr | undefined, forward: NatForward | undefined): void => {
      const bridge = addr === undefined ? undefined : bridgeOf(addr)
      if (bridge === undefined || addr === undefined) return
      const known = found.get(bridge)
      if (known === undefined) found.set(bridge, [{ at: place, addr, forward }])
      else known.push({ at: place, addr, forward })
    }
    for (const forward of nat.forwardPorts)
      if (forward.destination.fault === undefined)
        add(forward.destination.at, forward.destination.address, forward)
    if (nat.dmzHost !== undefined) add(nat.dmzHost.at, nat.dmzHost.prefix, undefined)
    const inserted = lines.some(line => isAccept(line, INSERTS))
    const appended = lines.some(line => isAccept(line, APPENDS))
    for (const [bridge, [first, ...more]] of found) {
      if (first === undefined) continue
      const { forward, addr } = first
      const what =
        more.length > 0
          ? plural(more.length + 1, 'forward')
          : forward === undefined
            ? `what dmzHost sends to ${formatAddr(addr)}`
            : `the forward of ${forward.proto.text} ${forward.source.text} to ${forward.destination.text}`
      yield {
        message: inserted
          ? `${what} into "${bridge}" ${more.length > 0 ? 'work' : 'works'} until the next reboot: then libvirt puts its REJECT before the rule of extraCommands`
          : `libvirt refuses ${what}: its network behind "${bridge}" takes no new connections from outside`,
        labels: [
          { at: first.at, text: `in the network behind ${bridge}` },
          ...more.slice(0, 3).map(({ at }) => ({ at, text: 'and this' })),
          ...(inserted || appended
            ? [
                {
                  at: [...at, 'extraCommands'],
                  text: inserted
                    ? 'before libvirt until the next reboot only'
                    : 'comes after the REJECT of libvirt'
                }
              ]
            : [])
        ],
        note: inserted
          ? 'libvirtd starts after the firewall and inserts its own chains at the top of FORWARD: after a reboot connections are refused, until the firewall is reloaded'
          : `libvirt's own rules let only answers into a network with NAT and reject the rest (${backend === 'nftables' ? 'chain guest_input of its table libvirt_network; an accept in extraForwardRules is for another table and does not help' : `chain LIBVIRT_FWI: -o ${bridge} -j REJECT, at the top of FORWARD`}): other machines get "Connection refused", while the host itself gets through`,
        help: `insert an accept when libvirt is up, with a hook (virtualisation.libvirtd.hooks.qemu)${more.length > 0 ? ', one for each forward' : ''}: ${accept(bridge, first, backend)}; or write <forward mode='open'/> with "virsh net-edit", so that libvirt makes no rules, and list "${bridge}" in nat.internalInterfaces`,
        ...(inserted ? { severity: 'hint' as const } : {})
      }
    }
  }
}

interface Refused {
  readonly at: Path
  readonly addr: Addr
  /** Undefined for dmzHost. */
  readonly forward: NatForward | undefined
}

const INSERTS = /\s(-I|--insert)\s+FORWARD\b/
const APPENDS = /\s(-A|--append)\s+FORWARD\b/

const isAccept = (line: string, chain: RegExp): boolean =>
  /^\s*(\S*\/)?ip(46)?tables\s/.test(line) && chain.test(line) && /\s(-j|--jump)\s+ACCEPT\b/.test(line)

/** The rule that lets a forward in: libvirt's jump stays where it is once it is there, so the top of FORWARD is before it. */
const accept = (bridge: string, { addr, forward }: Refused, backend: string): string => {
  const ports = forward?.destination.ports ?? forward?.source.range
  const [proto, to] = [forward?.proto.value, formatAddr(addr)]
  const range = (colon: string): string =>
    ports === undefined ? '' : ports.from === ports.to ? `${ports.from}` : `${ports.from}${colon}${ports.to}`
  const only = proto !== undefined && ports !== undefined
  return backend === 'nftables'
    ? `nft insert rule ip libvirt_network guest_input oifname ${bridge} ip daddr ${to}${only ? ` ${proto} dport ${range('-')}` : ''} accept`
    : `iptables -I FORWARD -o ${bridge} -d ${to}${only ? ` -p ${proto} --dport ${range(':')}` : ''} -j ACCEPT`
}
