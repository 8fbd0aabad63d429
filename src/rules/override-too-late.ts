import { covers, isByName, isPattern, writtenNetworks } from '../plan/networkd.ts'
import type { NetworkFile } from '../plan/plan.ts'
import type { Rule } from './rule.ts'

/** E18 */
export const overrideTooLate: Rule = {
  id: 'override-too-late',
  group: 'networkd',
  severity: 'error',
  summary: "A .network file for the host's ends of containers stands after the one that systemd ships.",
  *check({ topology, networkFiles }) {
    if (writtenNetworks(topology.host).length === 0) return
    const { all } = networkFiles()
    const shipped = all.filter(({ source }) => source === 'shipped')
    // Where a hand-written file has them before the shipped one, that is what is told.
    const taken = all
      .filter(({ match, source }) => source === 'written' && isByName(match))
      .flatMap(({ file, match }) => match.names.map(name => ({ file, name })))
      .filter(({ name }) => isPattern(name))
    for (const { file, network, match } of all) {
      if (network === undefined) continue
      const lost = network.names.flatMap(place => {
        const winner = shipped.find(
          other => other.file < file && other.match.names.some(pattern => covers(pattern, place.name))
        )
        if (winner === undefined || isOfOtherKind(match, winner)) return []
        return taken.some(other => other.file < winner.file && covers(other.name, place.name))
          ? []
          : [{ ...place, winner }]
      })
      const [first] = lost
      if (first === undefined) continue
      const theirs = first.winner.file
      const number = `79-${network.file.replace(/^\d+-/, '')}`
      yield {
        message: `${file} is never used for ${first.name}: systemd's own ${theirs} comes first`,
        labels: [{ at: first.at, text: `${theirs} takes all ${first.winner.match.names.join(' ')}` }],
        note: `networkd uses the first file that matches, in the order of the names over all directories; ${CONTENT[theirs] ?? 'the shipped file stays in force'}`,
        help: `give it a lower number, such as ${number}${first.winner.match.names.includes(first.name) ? `, or call it ${theirs.replace(/\.network$/, '')}, which replaces the shipped one` : ''}`,
        // nspawn puts the interface into its bridge, and the shipped file keeps it there.
        ...(theirs === '80-container-vb.network' ? { severity: 'warning' as const } : {})
      }
    }
  }
}

const isOfOtherKind = ({ kinds }: NetworkFile['match'], winner: NetworkFile): boolean =>
  kinds.length > 0 && !kinds.some(kind => winner.match.kinds.includes(kind))

/** What the shipped files do, as far as it matters to somebody who wants them gone. */
const CONTENT: Readonly<Record<string, string>> = {
  '80-container-ve.network':
    'so each ve- interface still gets a random private network, a DHCP server and masquerading',
  '80-container-vb.network': 'the shipped one only keeps the bridge (KeepMaster=yes)',
  '80-container-vz.network': 'so the bridge still gets a random private network and a DHCP server',
  '80-vm-vt.network': 'so the interface still gets a random private network and a DHCP server'
}
