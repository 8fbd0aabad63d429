import type { SettingText } from '../model/topology.ts'
import { writtenNetworks } from '../plan/networkd.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** E29 */
export const severalAddressesInSection: Rule = {
  id: 'several-addresses-in-section',
  group: 'networkd',
  severity: 'error',
  summary: 'One [Address] or [Route] section has several addresses, of which networkd keeps the last.',
  *check({ topology }) {
    for (const { file, addressSections, routeSections } of writtenNetworks(topology.host))
      for (const [section, entries, keys] of [
        ['Address', addressSections, ['Address']],
        ['Route', routeSections, ['Gateway', 'Destination']]
      ] as const)
        for (const { settings } of entries)
          for (const key of keys) {
            const values = settings.get(key) ?? []
            const kept = values.at(-1)
            const [first] = values
            if (first === undefined || kept === undefined || values.length < 2 || kept.text === '') continue
            const mixed = section === 'Address' && values.some(value => isSix(value) !== isSix(kept))
            const lost = mixed ? values : values.slice(0, -1)
            yield {
              message: `${file}.network: one [${section}] section has ${key} ${listed(values.map(({ text }) => text))}`,
              labels: [
                { at: first.at, text: 'not set' },
                ...(mixed ? [] : [{ at: kept.at, text: 'only this one is used' }])
              ],
              note: mixed
                ? 'a section is one address: with both families in it networkd logs "Address is incompatible, ignoring assignment" and sets none of them'
                : `a section is one ${section === 'Address' ? 'address' : 'route'}: networkd takes the last value and says nothing of ${listed(lost.map(({ text }) => text))}`,
              help:
                section === 'Address'
                  ? `write one entry for each, or the option for many: address = [ ${values.map(({ text }) => `"${text}"`).join(' ')} ]`
                  : `write one entry of routes for each ${key}`
            }
          }
  }
}

const isSix = ({ text }: SettingText): boolean => text.includes(':')
