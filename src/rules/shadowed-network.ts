import type { Label } from '../findings/finding.ts'
import type { Network } from '../model/topology.ts'
import { sameAddr } from '../net/addr.ts'
import { covers, hardware, hostDevices, isByName, isPattern, writtenNetworks } from '../plan/networkd.ts'
import type { Device, NetworkFile, Plan } from '../plan/plan.ts'
import type { Path } from '../text/path.ts'
import { listed } from '../text/words.ts'
import type { Rule } from './rule.ts'

/** E16 */
export const shadowedNetwork: Rule = {
  id: 'shadowed-network',
  group: 'networkd',
  severity: 'error',
  summary: 'A .network file is never used for an interface, because an earlier file takes it.',
  *check(plan) {
    if (writtenNetworks(plan.topology.host).length === 0) return
    const hidden = new Map<NetworkFile, Hidden[]>()
    for (const { winner, ...loser } of shadows(plan)) {
      const known = hidden.get(winner)
      if (known === undefined) hidden.set(winner, [loser])
      else known.push(loser)
    }
    for (const [winner, losers] of hidden) {
      const [first] = losers
      if (first === undefined) continue
      const wide = winner.match.names.length !== 1 || winner.match.names.some(isPattern)
      yield {
        message: `${listed(losers.map(({ file }) => `${file}.network`))} ${losers.length === 1 ? 'is' : 'are'} never used for ${listed([...new Set(losers.flatMap(({ names }) => names))])}: ${winner.file} comes first`,
        labels: [
          { at: first.at, text: 'not read' },
          ...losers.slice(1, 5).map(({ at }): Label => ({ at, text: 'not read either' })),
          ...(winner.network === undefined
            ? []
            : [{ at: placeOf(winner.network), text: 'this takes the interface first' }])
        ],
        note: 'networkd uses one file for each interface, the first that matches in the order of the file names, and says nothing of the others',
        help:
          winner.source === 'generated'
            ? `write these settings into systemd.network.networks."${winner.file.replace(/\.network$/, '')}", which NixOS makes for the interface; the module system merges both`
            : wide && losers.every(({ whole }) => whole)
              ? `rename ${winner.file.replace(/\.network$/, '')} to 99-${stem(winner.file)}, so that the narrower files come first`
              : first.used
                ? `take ${listed(first.names)} out of the Name of ${first.file}, or put the settings of both into one file`
                : 'put the settings of both into one file',
        ...(losers.every(({ used }) => used) ? { severity: 'warning' as const } : {})
      }
    }
  }
}

interface Hidden {
  readonly file: string
  /** The names that the file is not used for. */
  readonly names: readonly string[]
  /** Whether it has others that it may still be used for. */
  readonly used: boolean
  /** Whether an interface may do with it alone; else what it has is meant beside what the other file has. */
  readonly whole: boolean
  readonly at: Path
}

const stem = (file: string): string => file.replace(/\.network$/, '').replace(/^\d+-/, '')

/** Where a file says which interfaces it takes. */
const placeOf = ({ names: [name], sections, at }: Network): Path =>
  name?.at ?? sections.get('matchConfig')?.at ?? at

/** The hand-written files that lose a name of theirs to another one, each with the file that takes it. */
const shadows = function* (plan: Plan): Generator<Hidden & { readonly winner: NetworkFile }> {
  const files = plan.networkFiles()
  const devices = hostDevices(plan)
  const patterns = files.all.filter(
    ({ match, network }) => network !== undefined && isByName(match) && match.names.some(isPattern)
  )
  for (const file of files.all) {
    const { network, match } = file
    if (network === undefined) continue
    const lost = new Map<NetworkFile, string[]>()
    for (const name of match.names) {
      if (name.startsWith('!')) continue
      const winner = isPattern(name)
        ? patterns.find(other => other.match.names.some(pattern => covers(pattern, name)))
        : takerOf(plan, devices.get(name) ?? { name, kind: hardware(name) })
      if (winner === undefined || winner.file >= file.file || winner.source === 'shipped') continue
      if (winner.source === 'generated' && !isSure(plan, network, name)) continue
      lost.set(winner, [...(lost.get(winner) ?? []), name])
    }
    for (const [winner, names] of lost)
      yield {
        winner,
        names,
        used: match.names.length > names.length,
        file: network.file,
        at: network.names.find(({ name }) => name === names[0])?.at ?? network.at,
        whole: network.addresses.length + network.bridge.length > 0 || network.dhcp !== undefined
      }
  }
}

const takerOf = ({ networkFiles }: Plan, device: Device): NetworkFile | undefined => {
  const taker = networkFiles().taker(device)
  return taker === 'unknown' ? undefined : taker
}

/**
 * Whether NixOS surely makes `40-<name>.network`. `host.interfaces` may also describe what the unit itself does, so it
 * must say something else than the unit: another address.
 */
const isSure = ({ topology }: Plan, network: Network, name: string): boolean => {
  if (
    topology.bridges.some(
      ({ definedBy, interfaces }) =>
        definedBy !== undefined && definedBy !== 'networkd' && interfaces.some(port => port.name === name)
    )
  )
    return true
  const written = topology.host.interfaces.find(other => other.name === name)?.addresses ?? []
  return (
    written.length > 0 &&
    network.dhcp === undefined &&
    !written.some(({ prefix: own }) =>
      network.addresses.some(
        ({ prefix }) => own !== undefined && prefix !== undefined && sameAddr(own, prefix)
      )
    )
  )
}
