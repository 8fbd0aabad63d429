import { isNo, isYes } from '../model/networkd.ts'
import type { Network, Section, SettingText } from '../model/topology.ts'
import { runsNetworkd, writtenNetworks } from '../plan/networkd.ts'
import type { Path } from '../text/path.ts'
import type { Family } from '../net/addr.ts'
import { FAMILIES } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** systemd.network(5) IPMasquerade=, networkd.conf(5) IPv4Forwarding= */
export const masqueradeWithoutForwarding: Rule = {
  id: 'masquerade-without-forwarding',
  group: 'networkd',
  severity: 'error',
  summary: 'Packets are masqueraded, and networkd switches their forwarding off.',
  *check({ topology, releases, nat: { nat, enabled } }) {
    const { host, bridges } = topology
    // Before, networkd did not know these keys.
    if (!releases.networkdForwarding || runsNetworkd(host) === false) return
    const users: User[] = bridges.flatMap(({ name, at, masquerade, forwarding }) =>
      FAMILIES.filter(family => masquerade[family]).map(family => ({
        family,
        name: `bridge "${name}"`,
        at: [...at, 'IPMasquerade'],
        off: forwarding[family] === false ? [...at, `IPv${family}Forwarding`] : undefined
      }))
    )
    for (const network of writtenNetworks(host)) users.push(...usersOf(network))
    if (enabled && nat !== undefined)
      for (const [family, option] of [
        [4, 'enable'],
        [6, 'enableIPv6']
      ] as const)
        if (nat[option])
          users.push({ family, name: 'networking.nat', at: [...nat.at, option], off: undefined })
    const config = host.networkd?.config
    for (const family of FAMILIES) {
      const option = `IPv${family}Forwarding`
      const mine = users.filter(user => user.family === family)
      const [first] = mine
      if (first === undefined) continue
      const global = last(config, option)
      if (global !== undefined && isNo(global))
        yield {
          message: `${first.name} masquerades IPv${family}, and networkd.conf switches IPv${family} forwarding off`,
          labels: [
            { at: global.at, text: `no IPv${family} forwarding on the whole host` },
            { at: first.at, text: 'masquerades here' }
          ],
          note: `networkd sets net.ipv${family}.conf.all.forwarding to 0 when it starts, over every sysctl: nothing gets an answer from the internet`,
          help: `remove ${option} from networkd.conf, or set it to true`
        }
      // The kernel looks at the flag of an interface for IPv4 only (Documentation/networking/ip-sysctl.rst).
      else if (family === 4)
        for (const { name, at, off } of mine)
          if (off !== undefined)
            yield {
              message: `${name} masquerades IPv4, and does not forward it`,
              labels: [
                { at: off, text: 'packets that come in by it are dropped' },
                { at, text: 'and masquerading for them' }
              ],
              note: 'the kernel forwards IPv4 packets only from interfaces with forwarding: whoever is behind it reaches the host and nothing else',
              help: 'remove IPv4Forwarding, which IPMasquerade= turns on by itself, or set it to true'
            }
    }
  }
}

interface User {
  readonly family: Family
  readonly name: string
  readonly at: Path
  /** Where forwarding of the interface itself is off. */
  readonly off: Path | undefined
}

const last = (section: Section | undefined, key: string): SettingText | undefined =>
  section?.settings.get(key)?.at(-1)

/** The families that a unit masquerades; `yes` is an old word for ipv4. */
const usersOf = ({ file, sections }: Network): readonly User[] => {
  const section = sections.get('networkConfig')
  const masquerade = last(section, 'IPMasquerade')
  if (masquerade === undefined) return []
  return FAMILIES.filter(
    family =>
      masquerade.text === 'both' || masquerade.text === `ipv${family}` || (family === 4 && isYes(masquerade))
  ).map(family => {
    const forwarding = last(section, `IPv${family}Forwarding`)
    return {
      family,
      name: `${file}.network`,
      at: masquerade.at,
      off: forwarding !== undefined && isNo(forwarding) ? forwarding.at : undefined
    }
  })
}
