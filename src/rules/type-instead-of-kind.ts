import { offer } from '../findings/mend.ts'
import { ETHERNET_KINDS, writtenNetworks } from '../plan/networkd.ts'
import { quote } from '../text/path.ts'
import type { Rule } from './rule.ts'

/** systemd.network(5), [Match] Type= and Kind=; systemd, src/shared/netif-util.c: net_get_type_string */
export const typeInsteadOfKind: Rule = {
  id: 'type-instead-of-kind',
  group: 'networkd',
  severity: 'warning',
  summary: 'The [Match] of a .network file asks for a type or kind that no interface has.',
  *check({ topology }) {
    for (const { file, sections } of writtenNetworks(topology.host)) {
      const settings = sections.get('matchConfig')?.settings
      for (const key of ['Type', 'Kind'] as const)
        for (const { at, text } of settings?.get(key) ?? []) {
          const inverted = text.startsWith('!')
          const words = text
            .slice(inverted ? 1 : 0)
            .split(/\s+/)
            .filter(word => word !== '')
          const [word, ...others] = words.filter(word => meantBy(key, word) !== undefined)
          const meant = word === undefined ? undefined : meantBy(key, word)
          if (word === undefined || meant === undefined) continue
          const sign = inverted ? '!' : ''
          const all = others.length + 1 === words.length
          yield {
            message: `${file}.network: no interface has ${key}=${word}`,
            labels: [
              { at, text: meant.key === key ? `called ${meant.word} here` : `a ${meant.key}, not a ${key}` }
            ],
            note: inverted
              ? `the "!" excludes nothing: the file takes ${NAMES.get(word) ?? `interfaces of that ${meant.key.toLowerCase()}`} too, and nothing is logged`
              : all
                ? `the file matches no interface and is never used; networkd logs nothing${key === 'Type' && ETHERNET_KINDS.has(word) ? `. To Type= ${NAMES.get(word) ?? word} are ether` : ''}`
                : 'the word matches no interface, and nothing is logged',
            help: `write matchConfig.${meant.key} = ${quote(`${sign}${meant.word}`)}${all && meant.key !== key ? ` instead of ${key}` : ''}`,
            ...offer(
              words.length > 1
                ? undefined
                : meant.key === key
                  ? { kind: 'replace', at, value: `${sign}${meant.word}` }
                  : meant.word === word && at.at(-1) === key
                    ? { kind: 'rename', at, key: meant.key }
                    : undefined
            )
          }
        }
    }
  }
}

const NAMES: ReadonlyMap<string, string> = new Map([
  ['veth', 'the pairs of containers'],
  ['tap', 'the taps of machines'],
  ['macvlan', 'macvlans'],
  ['dummy', 'dummies']
])

/** Where a word belongs that never stands for this key; undefined for one that may. */
const meantBy = (
  key: 'Type' | 'Kind',
  word: string
): { readonly key: 'Type' | 'Kind'; readonly word: string } | undefined => {
  if (key === 'Type' && (ETHERNET_KINDS.has(word) || word === 'tun'))
    // Taps are of the kind tun.
    return { key: 'Kind', word: word === 'tap' ? 'tun' : word }
  const type = TYPES.get(word)
  return type === undefined || (key === 'Type' && type === word) ? undefined : { key: 'Type', word: type }
}

/** Types that are no kinds, also as people call them. */
const TYPES: ReadonlyMap<string, string> = new Map([
  ...['ether', 'wlan', 'loopback'].map(word => [word, word] as const),
  ['ethernet', 'ether'],
  ['wifi', 'wlan'],
  ['wireless', 'wlan']
])
