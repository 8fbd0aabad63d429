import type { Problem } from '../findings/finding.ts'
import { offer, replaced } from '../findings/mend.ts'
import type { Netdev, Network, Section, SettingText } from '../model/topology.ts'
import { writtenNetdevs, writtenNetworks } from '../plan/networkd.ts'
import type { Plan } from '../plan/plan.ts'
import { type Accepted, NETDEV_SECTIONS, NETWORK_SECTIONS } from '../plan/unit-settings.ts'
import { quote } from '../text/path.ts'
import { listed, nearest } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** E13, E14, E27, E28 */
export const refusedUnitSetting: Rule = {
  id: 'refused-unit-setting',
  group: 'networkd',
  severity: 'error',
  summary: 'NixOS does not take a setting of a unit, or networkd ignores it.',
  *check(plan) {
    const { host } = plan.topology
    for (const netdev of writtenNetdevs(host)) {
      yield* incomplete(netdev)
      for (const [key, section] of netdev.sections)
        yield* ofSection(plan, `${netdev.file}.netdev`, section, NETDEV_SECTIONS.get(key))
    }
    for (const network of writtenNetworks(host)) {
      const file = `${network.file}.network`
      for (const [key, section] of network.sections)
        yield* ofSection(plan, file, section, NETWORK_SECTIONS.get(key))
      yield* shortDhcp(file, network)
    }
  }
}

/** What nixpkgs says, and where the reason is to be found. */
const REFUSED =
  'the rebuild stops with "… is not of type `attribute set of (systemd option)\'"; which setting is meant stands only in a line that begins with trace:'

const incomplete = function* ({ file, at, name, kind, sections }: Netdev): Generator<Problem> {
  const section = sections.get('netdevConfig')
  const missing = [...(name === undefined ? ['Name'] : []), ...(kind === undefined ? ['Kind'] : [])]
  if (missing.length === 0) return
  yield {
    message: `${file}.netdev has no ${missing.join(' and no ')}`,
    labels: [{ at: section?.at ?? at, on: 'key', text: `${missing.join(' and ')} must be here` }],
    note: 'the rebuild stops: nixpkgs wants both in netdevConfig, and in each module that writes it (trace: "field `Kind\' must exist")',
    help: `write netdevConfig = { Name = "${name?.text ?? file.replace(/^\d+-/, '')}"; Kind = "${kind ?? 'bridge'}"; }`
  }
}

const ofSection = function* (
  plan: Plan,
  file: string,
  { at, settings }: Section,
  known: ReadonlyMap<string, Accepted> | undefined
): Generator<Problem> {
  if (known === undefined) return
  const title = `[${
    at.at(-1) === 'netdevConfig'
      ? 'NetDev'
      : String(at.at(-1))
          .replace(/Config$/, '')
          .replace(/^./, letter => letter.toUpperCase())
          .replace('Vlan', 'VLAN')
  }]`
  for (const [key, values] of settings) {
    const accepted = known.get(key)
    if (accepted === undefined) {
      const meant = nearest(key, known.keys(), 2)
      if (meant !== undefined && key.length > 3)
        yield {
          message: `${file}: ${title} has no key ${quote(key)}`,
          labels: [{ at: [...at, key], on: 'key', text: 'NixOS does not know it' }],
          note: REFUSED,
          help: `write ${meant}`,
          ...offer(isSpelling(key, meant) ? { kind: 'rename', at: [...at, key], key: meant } : undefined)
        }
      continue
    }
    const renamed = FORWARDING.get(key)
    if (renamed !== undefined && plan.releases.networkdForwarding === (key === 'IPForward'))
      yield {
        message: `${file}: ${title} has no key ${key} in ${plan.releases.release}`,
        labels: [{ at: [...at, key], on: 'key', text: `${renamed} there` }],
        note: `the rebuild stops; systemd 256, which is in NixOS since 24.11, has IPv4Forwarding= and IPv6Forwarding= instead of IPForward=`,
        help: `write ${renamed}`
      }
    else for (const value of values) yield* ofValue(file, title, key, value, accepted)
  }
}

const FORWARDING: ReadonlyMap<string, string> = new Map([
  ['IPForward', 'IPv4Forwarding and IPv6Forwarding'],
  ['IPv4Forwarding', 'IPForward'],
  ['IPv6Forwarding', 'IPForward']
])

const ofValue = function* (
  file: string,
  title: string,
  key: string,
  value: SettingText,
  accepted: Accepted
): Generator<Problem> {
  const { at, text } = value
  const lead = `${file}: ${title} ${key} = ${typeof value.value === 'string' ? quote(text) : text}`
  if (key === 'VLANProtocol') {
    if (text === '802.1ad' || text === '802.ad')
      yield {
        message: `${lead} cannot be set this way`,
        labels: [{ at, text: text === '802.ad' ? 'networkd does not know it' : 'NixOS does not take it' }],
        note:
          text === '802.ad'
            ? 'nixpkgs has a misspelling here; networkd logs "Failed to parse VLAN protocol value, ignoring: 802.ad", and the bridge speaks 802.1q'
            : 'the rebuild stops: nixpkgs takes only 802.1q and 802.ad, a misspelling that networkd does not know',
        help: 'write it into extraConfig: "[Bridge]\\nVLANProtocol=802.1ad"'
      }
    return
  }
  const refused = { message: `${lead} is not taken by NixOS`, note: REFUSED }
  if (accepted === 'switch' || accepted.includes('yes')) {
    const on = SWITCHES.get(text.toLowerCase())
    if (on !== undefined && typeof value.value !== 'boolean' && text !== 'yes' && text !== 'no') {
      yield {
        ...refused,
        labels: [{ at, text: 'systemd takes this word, nixpkgs does not' }],
        help: `write ${on ? 'true' : 'false'}, or "${on ? 'yes' : 'no'}"`,
        ...offer(replaced(at, on))
      }
      return
    }
  }
  if (accepted === 'number' && typeof value.value === 'string' && /^\d+$/.test(text))
    yield {
      ...refused,
      labels: [{ at, text: 'a text' }],
      help: `write ${Number(text)}, without quotes`,
      ...offer(replaced(at, Number(text)))
    }
  if (typeof accepted === 'object' && typeof value.value === 'string' && !accepted.includes(text)) {
    const meant = OLD_WORDS.get(text) ?? nearest(text, accepted)
    // A kind that looks like none of them may be newer than the list.
    if (key === 'Kind' && meant === undefined) return
    yield {
      ...refused,
      labels: [{ at, text: `not one of ${listed(accepted, 5)}` }],
      help:
        meant === undefined
          ? `write one of ${listed(accepted.map(word => `"${word}"`))}`
          : `write "${meant}"`,
      ...offer(replaced(at, isSpelling(text, meant) ? meant : undefined))
    }
  }
}

/** The short option has a type of its own: a text, one of four. */
const shortDhcp = function* (file: string, { dhcp }: Network): Generator<Problem> {
  if (dhcp?.at.at(-1) !== 'DHCP' || dhcp.at.at(-2) === 'networkConfig') return
  const { at, text } = dhcp
  const choices = ['yes', 'no', 'ipv4', 'ipv6']
  if (choices.includes(text)) return
  const on = SWITCHES.get(text.toLowerCase())
  const meant = on === undefined ? (OLD_WORDS.get(text) ?? nearest(text, choices)) : on ? 'yes' : 'no'
  yield {
    message: `${file}: DHCP = ${quote(text)} is not taken by NixOS`,
    labels: [{ at, text: 'not one of yes, no, ipv4 and ipv6' }],
    note: 'the rebuild stops: DHCP is one of four words, in quotes',
    help: meant === undefined ? 'write "yes", "no", "ipv4" or "ipv6"' : `write "${meant}"`,
    ...offer(replaced(at, on !== undefined || isSpelling(text, meant) ? meant : undefined))
  }
}

/** Whether a word is only spelt otherwise, or the old one for the same. */
const isSpelling = (text: string, meant: string | undefined): boolean =>
  meant !== undefined && (OLD_WORDS.get(text) === meant || text.toLowerCase() === meant.toLowerCase())

/** Words that systemd takes for true and false besides yes and no. */
const SWITCHES: ReadonlyMap<string, boolean> = new Map([
  ...['on', 'true', 't', 'y', '1', 'yes'].map(word => [word, true] as const),
  ...['off', 'false', 'f', 'n', '0', 'no'].map(word => [word, false] as const)
])

/** The words of old manuals. */
const OLD_WORDS: ReadonlyMap<string, string> = new Map([
  ['both', 'yes'],
  ['none', 'no'],
  ['v4', 'ipv4'],
  ['v6', 'ipv6']
])
