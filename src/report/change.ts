import type {
  AddressChange,
  Change,
  Cut,
  Difference,
  Effect,
  Gravity,
  Holder,
  PortChange,
  Reference,
  Step,
  Subject,
  Taker,
  Until
} from '../plan/change.ts'
import { formatPath, quote } from '../text/path.ts'
import { listed, plural } from '../text/words.ts'
import { escaped, printable } from './compact.ts'
import type { Paint } from './pretty.ts'
import { aligned, folded, grouped } from './table.ts'

// What another version of a topology means for what runs, in words. How it is known stands where the steps are made
// (plan/change-*.ts).

export interface ChangeOptions {
  /** How many columns a line may have; commands, which are copied, may be longer. */
  readonly width: number
  /** Every entry, however many there are. */
  readonly all: boolean
}

interface View extends ChangeOptions {
  readonly paint: Paint
}

/** How many steps of one gravity, and entries of one list, are shown, unless all are wanted. */
const MOST = 50
/** How many differences and names of one step. */
const MOST_IN_STEP = 12

const GRAVITIES: readonly Gravity[] = ['by-hand', 'restart', 'live']

/** The change for people, gravest first; also that there is none. */
export const changeText = (
  change: Change,
  paint: Paint,
  { width, all }: ChangeOptions = { width: 100, all: false }
): string => {
  const view: View = { paint, width, all }
  const blocks = [
    folded('', title(change), width).map(paint.bold),
    ...GRAVITIES.flatMap(gravity =>
      stepBlocks(
        view,
        gravity,
        change.steps.filter(step => step.gravity === gravity)
      )
    ),
    addressBlock(view, change.addresses),
    referenceBlock(view, change.references),
    portBlock(view, change.ports)
  ]
  return `${blocks
    .filter(lines => lines.length > 0)
    .map(lines => lines.join('\n'))
    .join('\n\n')}\n`
}

const title = ({ steps, addresses, ports, references }: Change): string => {
  if (steps.length + addresses.length + ports.length + references.length === 0)
    return 'nothing changes for what runs'
  const counts = GRAVITIES.flatMap(gravity => {
    const count = steps.filter(step => step.gravity === gravity).length
    return count === 0 ? [] : [`${grouped(count)} ${COUNTED[gravity]}`]
  })
  const others =
    addresses.length === 0 ? [] : [`${plural(addresses.length, 'interface')} with other addresses`]
  return [...counts, ...others].join(', ')
}

const COUNTED: Readonly<Record<Gravity, string>> = {
  'by-hand': 'to be done by hand',
  restart: 'stopped or restarted',
  live: 'without interruption'
}

// Steps

const TITLES: Readonly<Record<Gravity, string>> = {
  'by-hand': 'By hand',
  restart: 'Stopped or restarted',
  live: 'Without interruption'
}

const COLOURS = { 'by-hand': 'error', restart: 'warning', live: 'hint' } as const

const stepBlocks = (view: View, gravity: Gravity, steps: readonly Step[]): readonly (readonly string[])[] => {
  if (steps.length === 0) return []
  const groups = groupsOf(steps)
  const shown = first(view, groups)
  const rest = steps.length - shown.reduce((sum, { names }) => sum + names.length, 0)
  return [
    [view.paint[COLOURS[gravity]](TITLES[gravity])],
    ...shown.map(group => groupLines(view, group)),
    moreLine(view, rest, '  ')
  ]
}

const first = <T>({ all }: View, items: readonly T[], most: number = MOST): readonly T[] =>
  all || items.length <= most + 1 ? items : items.slice(0, most)

const moreLine = ({ paint }: View, rest: number, lead: string): readonly string[] =>
  rest === 0 ? [] : [paint.dim(`${lead}… and ${grouped(rest)} more (--all)`)]

/** Steps that differ only in whose they are: a router that moves is told once, and not for each container. */
interface Group {
  readonly step: Step
  readonly names: string[]
  readonly cut: Cut[]
  readonly commands: string[]
}

const groupsOf = (steps: readonly Step[]): readonly Group[] => {
  const groups = new Map<string, Group>()
  for (const { subject, ...step } of steps) {
    const { effect, cause, differences, cut, commands } = step
    const key = JSON.stringify([effect, cause, differences, subject.kind === 'container' ? '' : subject])
    const known = groups.get(key)
    if (known === undefined)
      groups.set(key, {
        step: { subject, ...step },
        names: [subject.name],
        cut: [...cut],
        commands: [...commands]
      })
    else {
      known.names.push(subject.name)
      for (const one of cut) known.cut.push(one)
      for (const command of commands) known.commands.push(command)
    }
  }
  return [...groups.values()]
}

const groupLines = (view: View, { step, names, cut, commands }: Group): readonly string[] => {
  const { subject, effect, differences } = step
  const own = new Set(names)
  // What the sentence says of the step's own subject is not said again.
  const others = cut.filter(
    ({ who, lacks }) => lacks !== undefined || who.kind !== subject.kind || !own.has(who.name)
  )
  const shown = first(view, differences, MOST_IN_STEP)
  return [
    ...folded('  ', subjectText(view, subject.kind, names), view.width).map(view.paint.bold),
    ...folded('    ', sentence(step), view.width),
    ...shown.flatMap(difference => folded('    ', differenceText(difference), view.width)),
    ...moreLine(view, differences.length - shown.length, '    '),
    ...cutLines(view, effect, others),
    ...commandLines(view, commands)
  ]
}

const NAMES: Readonly<Record<Subject['kind'], string>> = {
  host: 'host',
  networkd: 'networkd',
  firewall: 'firewall',
  nat: 'NAT',
  bridge: 'bridge',
  interface: 'interface',
  vlan: 'VLAN',
  bond: 'bond',
  macvlan: 'macvlan',
  unit: 'unit',
  container: 'container',
  machine: 'machine'
}

/** There is one of each, and it has no name of its own. */
const SINGLE: ReadonlySet<Subject['kind']> = new Set(['host', 'networkd', 'firewall', 'nat'])

const nameOf = ({ kind, name }: Subject): string =>
  SINGLE.has(kind) ? name : `${NAMES[kind]} ${quote(name)}`

const subjectText = ({ all }: View, kind: Subject['kind'], names: readonly string[]): string =>
  names.length === 1
    ? nameOf({ kind, name: names[0] ?? '' })
    : `${grouped(names.length)} ${NAMES[kind]}s: ${listed(names.map(quote), all ? names.length : MOST_IN_STEP)}`

const differenceText = ({ option, before, after }: Difference): string =>
  `${option}: ${valueText(before)} -> ${valueText(after)}`

/** Longer ones are programs. */
const VALUE_MAX = 120

const valueText = (value: string | undefined): string =>
  value === undefined
    ? '(none)'
    : value === ''
      ? '""'
      : value.length > VALUE_MAX
        ? `${value.slice(0, VALUE_MAX - 1)}…`
        : value

const sentence = (step: Step): string => {
  const says = SAYS[step.effect]
  return typeof says === 'string' ? says : says(step)
}

/** What is done by hand has a command where there is one, and always the next boot. */
const untilBoot = ({ commands }: Step): string =>
  `until the next boot${commands.length === 0 ? '' : ', or until you run'}`

const SAYS: Readonly<Record<Effect, string | ((step: Step) => string)>> = {
  release:
    'every unit and every container is built anew, so all that start at boot restart; "nixos-rebuild boot" leaves that to the next boot',
  kernel: 'the one that runs stays until the next boot',
  manager:
    'another program takes over the interfaces of the host while you are logged in through them: use "nixos-rebuild boot" and boot, or have a console',
  'sysctl-set': 'set by systemd-sysctl',
  'sysctl-stays': 'nobody sets these back: the kernel keeps the old values until the next boot',
  'forwarding-stays': step => `the kernel goes on forwarding packets ${untilBoot(step)}`,
  'resolver-copied': 'containers copy /etc/resolv.conf only when they start',
  'host-configured': 'set anew',
  'interface-configured': 'its addresses and routes are set anew, and for a moment it has none',
  'link-kept': step =>
    `these are set only when the interface appears, so it keeps what it has ${untilBoot(step)}`,
  'address-twice': 'gets an address that its last owner keeps until restarted: until then two have it',
  'bridge-made': 'new; made by the switch',
  'bridge-deleted': 'deleted by the switch',
  'bridge-left': step => `systemd-networkd deletes nothing: it stays, with its addresses, ${untilBoot(step)}`,
  'bridge-in-the-way': step =>
    `systemd-networkd deletes nothing: it stays, with its addresses, and what is for ${listed(step.cut.filter(({ who: { kind } }) => kind === 'bridge' || kind === 'interface').map(({ who }) => quote(who.name)))} goes there, ${untilBoot(step)}`,
  'bridge-remade': ({ cause, cut }) =>
    `deleted and made anew${REMADE[cause ?? 'maker']}${cut.some(({ until }) => until === 'restarted') ? '; systemd-nspawn attaches a container only when it starts' : ''}`,
  'bridge-reloaded': 'its own ports are taken out and put in again; containers stay on it',
  'addresses-set':
    'its addresses and routes are set anew, and for a moment it has none; containers stay on it',
  'addresses-left': step =>
    `systemd-networkd restarts, and before NixOS 25.05 leaves the old addresses beside the new ones then, ${untilBoot(step)}`,
  'port-stays': step =>
    `systemd-networkd leaves an interface in its bridge when no file is for it any more, ${untilBoot(step)}`,
  'netdev-updated': 'systemd-networkd sets it on the interface that exists',
  'netdev-kept': step =>
    `systemd-networkd does not set this on an interface that exists, which keeps what it has ${untilBoot(step)}`,
  reconfigured: ({ subject }) =>
    subject.kind === 'bridge'
      ? 'systemd-networkd configures it anew, and for a moment an address may be missing; containers stay on it'
      : 'systemd-networkd configures it anew, and for a moment an address may be missing',
  'networkd-restarts':
    'restarts, since a .netdev file or networkd.conf has changed; interfaces stay as they are meanwhile',
  'networkd-reloads': 'reads its files anew, and configures the interfaces whose file has changed',
  'device-made': 'new; made by the switch',
  'device-deleted': 'deleted by the switch, with what is on it',
  'device-left': step => `systemd-networkd deletes nothing: it stays ${untilBoot(step)}`,
  'device-remade': ({ cause }) =>
    cause === undefined
      ? 'deleted and made anew, with what is on it'
      : `deleted and made anew${REMADE[cause]}; what is on it goes with it`,
  'device-kept': step =>
    `systemd-networkd cannot change this on an interface that exists, which stays as it is ${untilBoot(step)}`,
  'firewall-reloaded':
    'reloaded; iptables lets nothing in for a moment; connections that exist go on, also to ports that are closed now',
  'firewall-replaced': 'the old one is stopped before the new one starts: for a moment nothing is filtered',
  'nat-reloaded': 'reloaded with the firewall; connections that exist go on where they went until they end',
  'nat-restarted':
    'nat.service is restarted, for a moment nothing is translated; connections that exist go on where they went until they end',
  'container-started': 'new; started by the switch',
  'container-added': 'new; without autoStart it is started by hand',
  'container-stopped': 'stopped by the switch; its files stay',
  'container-restarted': 'stopped when the switch begins and started when it ends',
  'container-restarted-if-started':
    'with autoStart, which the file does not say, stopped when the switch begins and started when it ends; without, it goes on as it was until you run',
  'container-waits': 'the switch restarts none without autoStart: it goes on as it was until you run',
  'container-built-elsewhere':
    'its system is built from a path or a flake: it changes when it has been built there, and then you run',
  'container-at-boot': 'it goes on; what changes is whether it starts at boot',
  'machine-added': 'new',
  'machine-removed': 'no longer there',
  'machine-changed': 'it has to be restarted in its own way'
}

const REMADE: Readonly<Record<NonNullable<Step['cause']>, string>> = {
  maker: ', since another program makes it',
  'network-setup':
    ' with network-setup.service, of which it is a part up to NixOS 25.11 and which these restart',
  port: ' with the VLAN or bond that is a port of it'
}

const UNTILS: readonly Until[] = ['gone', 'deleted', 'restarted', 'started', 'moment']

const UNTIL: Readonly<Record<Until, string>> = {
  gone: 'from then on',
  deleted: 'until it is deleted',
  restarted: 'until restarted by hand',
  started: 'until it has started again',
  moment: 'for a moment'
}

const cutLines = (view: View, effect: Effect, cut: readonly Cut[]): readonly string[] =>
  UNTILS.flatMap(until =>
    ([undefined, 'gateway', 'nameserver'] as const).flatMap(lacks => {
      const names = new Set(
        cut.flatMap(one => (one.until === until && one.lacks === lacks ? [nameOf(one.who)] : []))
      )
      if (names.size === 0) return []
      const what =
        effect === 'resolver-copied'
          ? 'asking the old servers'
          : lacks === undefined
            ? 'without network'
            : `without ${lacks}`
      const text = `${what} ${UNTIL[until]}: ${listed([...names], view.all ? names.size : MOST_IN_STEP)}`
      return folded('    ', text, view.width)
    })
  )

const RESTART = 'systemctl try-restart '

/** Units that are restarted stand in one command. */
const commandLines = (view: View, commands: readonly string[]): readonly string[] => {
  const lines = [...new Set(commands)]
  const units = lines.flatMap(line => (line.startsWith(RESTART) ? [line.slice(RESTART.length)] : []))
  const shown = first(view, units, MOST_IN_STEP)
  return [
    ...lines.filter(line => !line.startsWith(RESTART)).map(line => `    $ ${printable(line)}`),
    ...inCommands(shown, view.width).map(line => `    $ ${printable(line)}`),
    ...moreLine(view, units.length - shown.length, '    ')
  ]
}

const inCommands = (units: readonly string[], width: number): readonly string[] => {
  const lines: string[] = []
  for (const unit of units) {
    const last = lines.at(-1)
    if (last === undefined || last.length + unit.length + 7 > width) lines.push(RESTART + unit)
    else lines[lines.length - 1] = `${last} ${unit}`
  }
  return lines
}

// Addresses and ports

const addressBlock = (view: View, changes: readonly AddressChange[]): readonly string[] => {
  if (changes.length === 0) return []
  const shown = first(view, changes)
  return [
    view.paint.bold('Addresses'),
    ...aligned(
      shown.map(({ holder, removed, added }) => [
        holderText(holder),
        `${addressText(removed)} -> ${addressText(added)}`
      ]),
      { indent: 2, width: view.width, least: [20, 40] }
    ),
    ...moreLine(view, changes.length - shown.length, '  ')
  ]
}

const addressText = (addresses: readonly string[]): string =>
  addresses.length === 0 ? '(none)' : addresses.join(', ')

const holderText = ({ subject, ifname }: Holder): string =>
  subject.kind === 'container' || subject.kind === 'machine' || subject.kind === 'host'
    ? `${nameOf(subject)}, ${ifname}`
    : nameOf(subject)

const referenceBlock = (view: View, references: readonly Reference[]): readonly string[] => {
  if (references.length === 0) return []
  const left = references.filter(({ state }) => state === 'left')
  const follows = references.filter(({ state }) => state === 'follows')
  const shown = first(view, left)
  return [
    view.paint.bold('Who names an address that has changed hands'),
    ...shown.flatMap(reference => folded('  ', leftText(reference), view.width)),
    ...moreLine(view, left.length - shown.length, '  '),
    ...(follows.length === 0
      ? []
      : folded(
          '  ',
          `${plural(follows.length, 'place follows', 'places follow')}: ${listed(
            follows.map(({ at }) => formatPath(at)),
            view.all ? follows.length : MOST_IN_STEP
          )}`,
          view.width
        ))
  ]
}

const leftText = ({ at, address, was, now, instead }: Reference): string =>
  `${formatPath(at)} still names ${address}, which ${now === undefined ? 'nobody has any more' : `${holderText(now)} has now`}; it was ${holderText(was)}${
    instead.length === 0 ? '' : `, which has ${addressText(instead)}`
  }`

const portBlock = (view: View, changes: readonly PortChange[]): readonly string[] => {
  if (changes.length === 0) return []
  const shown = first(view, changes)
  return [
    view.paint.bold('Ports of the host'),
    ...aligned(
      shown.map(({ protocol, from, to, address, before, after }) => [
        `${protocol} ${from === to ? from : `${from}-${to}`}${address === undefined ? '' : ` at ${address}`}`,
        `${takersText(before)} -> ${takersText(after)}`
      ]),
      { indent: 2, width: view.width, least: [undefined, 40] }
    ),
    ...moreLine(view, changes.length - shown.length, '  ')
  ]
}

const takersText = (takers: readonly Taker[]): string =>
  takers.length === 0 ? '(nobody)' : takers.map(takerText).join(' and ')

const takerText = ({ kind, container, target }: Taker): string => {
  const name = container === undefined ? undefined : `container ${quote(container)}`
  if (kind === 'nspawn') return `${name} port ${target}`
  if (kind === 'nat') return name === undefined ? (target ?? '') : `${name} at ${target}`
  return target ?? name ?? 'a service of the host'
}

// For programs

/** The change for programs, version 1; docs/change-json.md says what each field means. */
export const changeJson = ({ steps, addresses, ports, references }: Change): string => {
  const text = JSON.stringify(
    {
      version: 1,
      steps: steps.map(({ gravity, subject, effect, cause, differences, cut, commands }) => ({
        gravity,
        subject: subjectJson(subject),
        effect,
        cause: cause ?? null,
        differences: differences.map(({ option, before, after }) => ({
          option,
          before: before ?? null,
          after: after ?? null
        })),
        cut: cut.map(({ who, until, lacks }) => ({ ...subjectJson(who), until, lacks: lacks ?? null })),
        commands
      })),
      addresses: addresses.map(({ holder, removed, added }) => ({ ...holderJson(holder), removed, added })),
      references: references.map(({ at, state, address, was, now, instead }) => ({
        path: formatPath(at),
        state,
        address,
        was: holderJson(was),
        now: now === undefined ? null : holderJson(now),
        instead
      })),
      ports: ports.map(({ protocol, from, to, address, before, after }) => ({
        protocol,
        from,
        to,
        address: address ?? null,
        before: before.map(takerJson),
        after: after.map(takerJson)
      }))
    },
    null,
    2
  )
  // JSON.stringify escapes what JSON forbids; a terminal acts on more than that.
  return `${text.replace(/[\u007f-\u009f\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, escaped)}\n`
}

const subjectJson = ({ kind, name }: Subject): object => ({ kind, name: SINGLE.has(kind) ? null : name })

const holderJson = ({ subject, ifname }: Holder): object => ({ ...subjectJson(subject), interface: ifname })

const takerJson = ({ kind, container, target }: Taker): object => ({
  kind,
  container: container ?? null,
  target: target ?? null
})
