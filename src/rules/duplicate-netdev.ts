import { offer } from '../findings/mend.ts'
import type { Netdev, Section } from '../model/topology.ts'
import { writtenNetdevs } from '../plan/networkd.ts'
import type { Rule } from './rule.ts'

/** E17 */
export const duplicateNetdev: Rule = {
  id: 'duplicate-netdev',
  group: 'networkd',
  severity: 'error',
  summary: 'Two .netdev files make an interface of the same name.',
  *check({ topology }) {
    const netdevs = writtenNetdevs(topology.host)
    if (netdevs.length < 2) return
    const first = new Map<string, Netdev>()
    for (const netdev of [...netdevs].sort((a, b) => (`${a.file}.netdev` < `${b.file}.netdev` ? -1 : 1))) {
      const { file, name, sections } = netdev
      if (name === undefined) continue
      const used = first.get(name.text)
      if (used === undefined) {
        first.set(name.text, netdev)
        continue
      }
      const same = settingsOf(sections) === settingsOf(used.sections)
      yield {
        message: `${used.file}.netdev and ${file}.netdev both make "${name.text}"`,
        labels: [
          { at: name.at, text: 'ignored' },
          { at: used.name?.at ?? used.at, text: 'this one is used: its name comes first' }
        ],
        note: `networkd logs "${name.text}: Device was already configured by …${used.file}.netdev, ignoring"${same ? '; both say the same, so nothing is lost' : `, and nothing of ${file}.netdev is used`}`,
        help: same ? `remove ${file}` : `move what ${file} sets into ${used.file}, or give it another Name`,
        ...offer(same ? { kind: 'remove', at: netdev.at } : undefined),
        ...(same ? { severity: 'warning' as const } : {})
      }
    }
  }
}

/** What a file says, in a form that can be compared. */
const settingsOf = (sections: ReadonlyMap<string, Section>): string =>
  Array.from(sections, ([name, { settings }]) =>
    Array.from(settings, ([key, values]) => `${name}.${key}=${values.map(({ text }) => text).join()}`)
  )
    .flat()
    .sort((a, b) => (a < b ? -1 : 1))
    .join('\n')
