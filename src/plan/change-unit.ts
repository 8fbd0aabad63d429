import type { Netdev, Network, Section } from '../model/topology.ts'
import { anew, deleteCommand, makesNetdevs, type Versions } from './change-bridge.ts'
import {
  compareOptions,
  type Difference,
  isOlder,
  type Options,
  type Step,
  step,
  type Subject,
  type Value
} from './change-step.ts'
import { writtenNetdevs, writtenNetworks } from './networkd.ts'
import type { Plan } from './plan.ts'
import { type Unit, unitsOf } from './units.ts'

// The files of systemd-networkd in two versions. NixOS restarts it when a .netdev file or networkd.conf has changed, and
// reloads it when only .network files have (nixpkgs, system/boot/networkd.nix: restartTriggers, reloadTriggers).

/** What the units say that no other step tells: those written by hand, and what follows from others. */
export const unitSteps = (versions: Versions, told: ReadonlySet<string>): readonly Step[] => {
  const { before, after } = versions
  const [old, new_] = [writtenIn(before), writtenIn(after)]
  const steps = [...handwritten(versions, old, new_)]
  const generated = compareFiles(generatedFiles(before), generatedFiles(after))
  const config = compareOptions(configOptions(before), configOptions(after))
  const restarts =
    makesNetdevs(before, after) ||
    config.length > 0 ||
    steps.some(({ subject: { name } }) => name.endsWith('.netdev')) ||
    // One with another name has the same in it.
    [...new_.netdevs].some(([name, { file }]) => old.netdevs.get(name)?.file !== file) ||
    old.netdevs.size !== new_.netdevs.size
  const differences = [
    ...config,
    ...generated.flatMap(({ file, interface: name, differences }) =>
      told.has(name)
        ? []
        : differences.map(difference => ({ ...difference, option: `${file} ${difference.option}` }))
    )
  ]
  if (restarts || generated.length + steps.length > 0)
    steps.push(step(restarts ? 'networkd-restarts' : 'networkd-reloads', NETWORKD, { differences }))
  return steps
}

const NETWORKD: Subject = { kind: 'networkd', name: 'systemd-networkd' }

interface UnitFile {
  /** The interface that it makes or configures. */
  readonly interface: string
  readonly options: Options
}

interface FileChange {
  readonly file: string
  readonly interface: string
  readonly differences: readonly Difference[]
}

const compareFiles = (
  before: ReadonlyMap<string, UnitFile>,
  after: ReadonlyMap<string, UnitFile>
): readonly FileChange[] =>
  [...new Map([...before, ...after])].flatMap(([file, { interface: name }]) => {
    const differences = compareOptions(
      before.get(file)?.options ?? new Map(),
      after.get(file)?.options ?? new Map()
    )
    return differences.length === 0 ? [] : [{ file, interface: name, differences }]
  })

const generatedFiles = (plan: Plan): ReadonlyMap<string, UnitFile> =>
  new Map(unitsOf(plan, { target: 'nixos' }).map(unit => [unit.file, unitFile(unit)]))

const unitFile = ({ sections }: Unit): UnitFile => {
  const options = new Map<string, Value>()
  const counts = new Map<string, number>()
  let name = ''
  for (const section of sections) {
    const count = (counts.get(section.name) ?? 0) + 1
    counts.set(section.name, count)
    for (const [key, value] of section.settings) {
      if (key === 'Name') name = String(value)
      const option = `[${section.name}]${count === 1 ? '' : ` ${count}`} ${key}`
      const known = options.get(option)
      options.set(option, known === undefined ? String(value) : [known, String(value)].flat())
    }
  }
  return { interface: name, options }
}

const configOptions = ({ topology: { host } }: Plan): Options =>
  new Map(host.networkd?.config === undefined ? [] : sectionOptions('networkd.conf', host.networkd.config))

function* sectionOptions(at: string, { settings }: Section): Generator<readonly [string, Value]> {
  for (const [key, values] of settings) yield [`${at} ${key}`, values.map(({ text }) => text)]
}

// By hand

interface Written {
  /** By the interface that they make: under another file name it is the same. */
  readonly netdevs: ReadonlyMap<string, Netdev>
  readonly networks: ReadonlyMap<string, Network>
}

const writtenIn = ({ topology: { host } }: Plan): Written => ({
  // One without a name makes nothing.
  netdevs: new Map(
    writtenNetdevs(host).flatMap(netdev => (netdev.name === undefined ? [] : [[netdev.name.text, netdev]]))
  ),
  networks: new Map(writtenNetworks(host).map(network => [`${network.file}.network`, network]))
})

function* handwritten(versions: Versions, old: Written, new_: Written): Generator<Step> {
  for (const [name, netdev] of new Map([...old.netdevs, ...new_.netdevs]))
    yield* netdevSteps(versions, name, netdev, old.netdevs.get(name), new_.netdevs.get(name))
  for (const file of new Set([...old.networks.keys(), ...new_.networks.keys()])) {
    const [from, to] = [old.networks.get(file), new_.networks.get(file)]
    const differences = compareOptions(
      new Map(from && networkOptions(from)),
      new Map(to && networkOptions(to))
    )
    if (differences.length > 0) yield step('reconfigured', unitSubject(file), { differences })
  }
}

/** What an interface is once and for all. */
const FIXED: ReadonlySet<string> = new Set(['netdevConfig Kind', 'vlanConfig Id'])

const unitSubject = (name: string): Subject => ({ kind: 'unit', name })

function* netdevSteps(
  versions: Versions,
  name: string,
  { file, kind }: Netdev,
  old: Netdev | undefined,
  new_: Netdev | undefined
): Generator<Step> {
  const subject = unitSubject(`${file}.netdev`)
  if (old === undefined || new_ === undefined) {
    // Bridges that come and go are told as such.
    if (kind !== 'bridge')
      yield new_ === undefined
        ? step('device-left', subject, { commands: [deleteCommand(name)] })
        : step('device-made', subject)
    return
  }
  const differences = compareOptions(new Map(netdevOptions(old)), new Map(netdevOptions(new_)))
  const isLate = isOlder(versions.after.topology.host, '25.05')
  const isKept = ({ option, after: value }: Difference): boolean =>
    value === undefined
      ? option !== 'netdevConfig MACAddress' || isLate
      : FIXED.has(option) || (isLate && !option.startsWith('bridgeConfig '))
  const kept = differences.filter(isKept)
  const updated = differences.filter(difference => !isKept(difference))
  if (updated.length > 0) yield step('netdev-updated', subject, { differences: updated })
  if (kept.length > 0)
    yield step('device-kept', subject, { differences: kept, commands: anew(versions, name) })
}

function* netdevOptions({ sections }: Netdev): Generator<readonly [string, Value]> {
  for (const [name, section] of sections) yield* sectionOptions(name, section)
}

function* networkOptions({ sections, others }: Network): Generator<readonly [string, Value]> {
  for (const [name, section] of sections) yield* sectionOptions(name, section)
  yield* others
}
