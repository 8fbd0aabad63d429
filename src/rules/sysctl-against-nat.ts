import type { Severity } from '../findings/finding.ts'
import type { Rule } from './rule.ts'

/** D39 */
export const sysctlAgainstNat: Rule = {
  id: 'sysctl-against-nat',
  group: 'nat',
  severity: 'error',
  summary: 'A sysctl value turns off the forwarding that NAT turns on.',
  *check(plan) {
    const { nat, enabled } = plan.nat
    if (!enabled || nat === undefined) return
    for (const [key, { at, text, value }] of plan.topology.host.sysctl) {
      // The kernel takes numbers only; NixOS writes false as 0.
      if (value !== false && !/^(0x)?0+$/.test(text.trim())) continue
      const effect = effects(
        key,
        nat.enableIPv6,
        ifname => ifname === nat.externalInterface || plan.nat.matches(ifname)
      )
      if (effect === undefined) continue
      yield {
        message: `sysctl ${at.at(-1)} is ${text.trim()}, and NAT needs forwarding${effect.lost === undefined ? '' : `: ${effect.lost}`}`,
        labels: [
          { at, text: effect.label },
          { at: [...nat.at, 'enable'], text: 'NAT is on here' }
        ],
        note: effect.note,
        help: `remove the line${effect.severity === 'warning' ? '' : ', or switch NAT off'}`,
        ...(effect.severity === undefined ? {} : { severity: effect.severity })
      }
    }
  }
}

interface Effect {
  /** What is not forwarded, if anything. */
  readonly lost?: string
  readonly label: string
  readonly note: string
  readonly severity?: Severity
}

/**
 * nat.nix sets conf.{all,default}.forwarding with mkOverride 99, which beats a plain value. Other keys are written to
 * the same file, in the order of their names, and systemd-sysctl applies them one after the other (systemd-sysctl(8)).
 */
const effects = (
  key: string,
  enableIPv6: boolean,
  isPartOfNat: (ifname: string) => boolean
): Effect | undefined => {
  if (key === 'net.ipv4.ip_forward')
    return {
      lost: 'nothing is forwarded',
      label: 'written after the value of NAT',
      note: 'it is another name of net.ipv4.conf.all.forwarding and stands after it in the file, so it wins: no packet of a container leaves the host, and no forward works'
    }
  const [, family, which = ''] = /^net\.(ipv[46])\.conf\.(.+)\.forwarding$/.exec(key) ?? []
  if (family === undefined || (family === 'ipv6' && !enableIPv6)) return undefined
  if (which === 'all' || which === 'default')
    return {
      severity: 'warning',
      label: 'has no effect',
      note: 'NAT sets the same key to 1 with a stronger priority (mkOverride 99), so this value is lost without a word; with mkForce it would win, and nothing would be forwarded'
    }
  // IPv6 looks at conf.all alone where nothing else is asked, so a single interface is told for IPv4 only.
  if (family === 'ipv6' || !isPartOfNat(which)) return undefined
  return {
    lost: `nothing that comes in by "${which}" is`,
    label: 'for this interface alone',
    note: `what comes in by "${which}" is not forwarded, whatever conf.all says: connections through it time out`
  }
}
