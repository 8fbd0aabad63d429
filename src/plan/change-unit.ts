import type { Netdev, Network, Section } from '../model/topology.ts'
import { deleteCommand, makesNetdevs } from './change-bridge.ts'
import {
  addressValues,
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
export const unitSteps = (before: Plan, after: Plan, told: ReadonlySet<string>): readonly Step[] => {
  const steps = [...handwritten(before, after)]
  const generated = compareFiles(generatedFiles(before), generatedFiles(after))
  const config = compareOptions(configOptions(before), configOptions(after))
  const restarts =
    makesNetdevs(before, after) ||
    config.length > 0 ||
    generated.some(({ file }) => file.endsWith('.netdev')) ||
    steps.some(({ subject: { name } }) => name.endsWith('.netdev'))
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
  [...new Set([...before.keys(), ...after.keys()])].flatMap(file => {
    const [old, new_] = [before.get(file), after.get(file)]
    const differences = compareOptions(old?.options ?? new Map(), new_?.options ?? new Map())
    return differences.length === 0 && old !== undefined && new_ !== undefined
      ? []
      : [{ file, interface: (new_ ?? old)?.interface ?? '', differences }]
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

function* handwritten(before: Plan, after: Plan): Generator<Step> {
  const [old, new_] = [before, after].map(({ topology: { host } }) => ({
    netdevs: new Map(writtenNetdevs(host).map(netdev => [`${netdev.file}.netdev`, netdev])),
    networks: new Map(writtenNetworks(host).map(network => [`${network.file}.network`, network]))
  }))
  if (old === undefined || new_ === undefined) return
  for (const file of new Set([...old.netdevs.keys(), ...new_.netdevs.keys()]))
    yield* netdevSteps(after, file, old.netdevs.get(file), new_.netdevs.get(file))
  for (const file of new Set([...old.networks.keys(), ...new_.networks.keys()])) {
    const [from, to] = [old.networks.get(file), new_.networks.get(file)]
    const differences = compareOptions(
      new Map(from && networkOptions(from)),
      new Map(to && networkOptions(to))
    )
    if (differences.length > 0) yield step('reconfigured', unitSubject(file), { differences })
  }
}

const unitSubject = (name: string): Subject => ({ kind: 'unit', name })

function* netdevSteps(
  after: Plan,
  file: string,
  old: Netdev | undefined,
  new_: Netdev | undefined
): Generator<Step> {
  const subject = unitSubject(file)
  const made = (new_ ?? old)?.kind === 'bridge'
  if (old === undefined || new_ === undefined) {
    // Bridges that come and go are told as such.
    if (made) return
    const name = old?.name?.text
    yield new_ === undefined
      ? step('device-left', subject, { commands: name === undefined ? [] : [deleteCommand(name)] })
      : step('device-made', subject)
    return
  }
  const differences = compareOptions(new Map(netdevOptions(old)), new Map(netdevOptions(new_)))
  const isLate = isOlder(after.topology.host, '25.05')
  const isKept = ({ option, after: value }: Difference): boolean =>
    value === undefined
      ? option !== 'netdevConfig MACAddress' || isLate
      : /^netdevConfig (?:Kind|Name)$|^vlanConfig Id$/.test(option) ||
        (isLate && !option.startsWith('bridgeConfig '))
  const kept = differences.filter(isKept)
  const updated = differences.filter(difference => !isKept(difference))
  if (updated.length > 0) yield step('netdev-updated', subject, { differences: updated })
  const name = old.name?.text
  if (kept.length > 0)
    yield step('device-kept', subject, {
      differences: kept,
      commands: name === undefined ? [] : [deleteCommand(name), 'systemctl restart systemd-networkd.service']
    })
}

function* netdevOptions({ sections }: Netdev): Generator<readonly [string, Value]> {
  for (const [name, section] of sections) yield* sectionOptions(name, section)
}

function* networkOptions(network: Network): Generator<readonly [string, Value]> {
  const { sections, addressSections, routeSections } = network
  const names = (list: readonly { readonly name: string }[]): readonly string[] =>
    list.map(({ name }) => name)
  for (const [name, section] of sections) yield* sectionOptions(name, section)
  for (const [i, section] of addressSections.entries()) yield* sectionOptions(`addresses[${i}]`, section)
  for (const [i, section] of routeSections.entries()) yield* sectionOptions(`routes[${i}]`, section)
  yield ['name', names(network.names)]
  yield ['address', addressValues(network.addresses)]
  yield ['gateway', addressValues(network.gateways)]
  yield ['dns', addressValues(network.dns)]
  yield ['bridge', names(network.bridge)]
  yield ['vlan', names(network.stacked)]
  yield ['extraConfig', network.extraConfig]
}
