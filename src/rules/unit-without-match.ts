import { offer } from '../findings/mend.ts'
import { hardware, hostDevices, MATCH_KEYS, matchOf, writtenNetworks } from '../plan/networkd.ts'
import type { Plan } from '../plan/plan.ts'
import { quote } from '../text/path.ts'
import { nearest } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** E11, E12 */
export const unitWithoutMatch: Rule = {
  id: 'unit-without-match',
  group: 'networkd',
  severity: 'error',
  summary:
    'A .network file does not say for which interface it is, or says it with a key that does not exist.',
  *check(plan) {
    for (const network of writtenNetworks(plan.topology.host)) {
      const { at, file, sections } = network
      const match = sections.get('matchConfig')
      const ignored = matchOf(network) === undefined
      const key = [...(match?.settings.keys() ?? [])].find(key => !MATCH_KEYS.includes(key))
      if (key !== undefined) {
        const meant = key === 'OriginalName' ? 'Name' : nearest(key, MATCH_KEYS)
        // A key that looks like none of them may be newer than the list.
        if (!ignored && meant === undefined) continue
        yield {
          message: `${file}.network: [Match] has no key ${quote(key)}`,
          labels: [
            {
              at: [...(match?.at ?? at), key],
              on: 'key',
              text: 'systemd does not know it in a .network file'
            }
          ],
          note: `NixOS takes any key here; networkd logs "Unknown key '${key}' in section [Match], ignoring"${ignored ? ' and then ignores the whole file, since nothing else is in [Match]' : ', and the file takes every interface that the rest of [Match] fits'}`,
          help:
            key === 'OriginalName'
              ? 'write Name; OriginalName is for .link files'
              : `write ${meant ?? 'Name, and the name of the interface'}`,
          ...offer(
            match === undefined ||
              meant === undefined ||
              (key !== 'OriginalName' && meant.toLowerCase() !== key.toLowerCase())
              ? undefined
              : { kind: 'rename', at: [...match.at, key], key: meant }
          )
        }
      } else if (ignored && !isMerged(plan, file)) {
        const name = interfaceOf(plan, file)
        yield {
          message: `${file}.network does not say for which interface it is`,
          labels: [
            match === undefined
              ? { at, on: 'key', text: 'it has no matchConfig' }
              : { at: match.at, on: 'key', text: 'nothing is in it' }
          ],
          note: 'networkd logs "No valid settings found in the [Match] section, ignoring file", and nothing of the file is used',
          help: `write matchConfig.Name = "${name ?? '…'}"${name === undefined ? ', with the name of the interface' : ''}`,
          ...offer(
            name === undefined
              ? undefined
              : { kind: 'insert', at: [...at, 'matchConfig', 'Name'], value: name }
          )
        }
      }
    }
  }
}

/** What a file's name says after its number, where an interface is called so: `20-br0`. */
const interfaceOf = (plan: Plan, file: string): string | undefined => {
  const name = file.replace(/^\d+-/, '')
  return hostDevices(plan).has(name) || hardware(name) === 'none' ? name : undefined
}

/** Whether NixOS makes a file of this name too, with a [Match] of its own: `40-<interface>`, or those of useDHCP. */
const isMerged = (plan: Plan, file: string): boolean => {
  const { manager, partial, useDHCP } = plan.topology.host
  if (manager === 'scripted' || manager === 'networkmanager') return false
  if (/^99-(?:ethernet-default|wireless-client)-dhcp$/.test(file)) return useDHCP !== false
  const name = interfaceOf(plan, file)
  if (!file.startsWith('40-')) return false
  return partial || (name !== undefined && (manager === undefined || hostDevices(plan).has(name)))
}
