import { type Edit, offer } from '../findings/mend.ts'
import type { Section } from '../model/topology.ts'
import { hardware, hostDevices, MATCH_KEYS, matchOf, writtenNetworks } from '../plan/networkd.ts'
import type { Plan } from '../plan/plan.ts'
import { type Path, quote } from '../text/path.ts'
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
      const ignored = matchOf(network) === undefined && !isMerged(plan, file)
      const unknown = match === undefined ? [] : unknownKeys(match)
      // A key that looks like none of them may be newer than the list.
      const told = unknown.find(({ meant }) => meant !== undefined) ?? (ignored ? unknown[0] : undefined)
      if (told !== undefined) {
        const { at, key, help, mend } = told
        yield {
          message: `${file}.network: [Match] has no key ${quote(key)}`,
          labels: [{ at, on: 'key', text: 'systemd does not know it in a .network file' }],
          note: `NixOS takes any key here; networkd logs "Unknown key '${key}' in section [Match], ignoring"${ignored ? ' and then ignores the whole file, since nothing else is in [Match]' : ', and the file takes every interface that the rest of [Match] fits'}`,
          help,
          ...offer(mend)
        }
      } else if (ignored) {
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

interface UnknownKey {
  readonly at: Path
  readonly key: string
  readonly meant: string | undefined
  readonly help: string
  readonly mend: Edit | undefined
}

const unknownKeys = ({ at, settings }: Section): readonly UnknownKey[] =>
  [...settings.keys()]
    .filter(key => !MATCH_KEYS.includes(key))
    .map(key => {
      const isOfLink = key === 'OriginalName'
      const meant = isOfLink ? 'Name' : nearest(key, MATCH_KEYS)
      const isSure = meant !== undefined && (isOfLink || meant.toLowerCase() === key.toLowerCase())
      const isThere = meant !== undefined && settings.has(meant)
      return {
        at: [...at, key],
        key,
        meant,
        help: isThere
          ? `remove it, since ${meant} is there; or correct ${meant}`
          : isOfLink
            ? 'write Name; OriginalName is for .link files'
            : `write ${meant ?? 'Name, and the name of the interface'}`,
        mend: isSure && !isThere ? { kind: 'rename', at: [...at, key], key: meant } : undefined
      }
    })

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
