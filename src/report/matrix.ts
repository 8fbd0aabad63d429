import { addrKey, type AddrKey, type Family, formatAddr } from '../net/addr.ts'
import { FAMILIES } from '../plan/plan.ts'
import { type Answer, type Place, placeKey, placeName } from '../reach/flow.ts'
import {
  type Door,
  doorExamplesOf,
  type Entry,
  entryOf,
  examplesOf,
  type Group,
  type Matrix,
  type Peer
} from '../reach/matrix.ts'
import type { Question } from '../reach/questions.ts'
import { plural } from '../text/words.ts'

// Who reaches whom, as a table for people: rows are those who ask, columns those who are asked.

/** From so many places on, those that are treated alike share a row and a column. */
const WIDE = 9

const nameOf = (place: Place): string => placeName(place)

export interface Questions {
  /** Those that ask and are asked. */
  readonly places: readonly Place[]
  readonly flows: readonly Question[]
  /** A TCP port that nothing listens on, opens or forwards. */
  readonly closedPort: number
  /** How many others each container asks, where that is not all of them. */
  readonly neighbours: number | undefined
}

/** What was asked of each, and what came of it, in the order of the questions. */
export const matrixText = (questions: Questions, answers: readonly Answer[]): string => {
  const { flows, closedPort, neighbours } = questions
  const parts: string[] = []
  const told: Told = { closed: false, translated: false, other: false, counts: false, words: new Set() }
  for (const family of FAMILIES) {
    const own = flows.flatMap((flow, i) => {
      const answer = answers[i]
      return answer === undefined || flow.to.family !== family ? [] : [{ flow, answer }]
    })
    if (own.length > 0) parts.push(familyText(questions, family, own, told))
  }
  const legend = legendOf(told, closedPort)
  if (neighbours !== undefined)
    legend.push(`of so many, each container has asked the ${neighbours} that stand after it in the file`)
  return `${parts.join('\n')}${legend.length === 0 ? '' : `\n${legend.map(line => `${line}\n`).join('')}`}`
}

interface Told {
  /** Whether ports are only counted. */
  counts: boolean
  closed: boolean
  translated: boolean
  other: boolean
  readonly words: Set<string>
}

const WORDS: Readonly<Record<string, string>> = {
  '-': 'nothing comes back',
  'no route': 'nobody on the way knows where that is',
  nobody: 'nobody on the last link has the address'
}

const legendOf = (told: Told, closedPort: number): string[] => [
  ...[...told.words].flatMap(word => (WORDS[word] === undefined ? [] : [`${word}: ${WORDS[word]}`])),
  ...(told.closed ? [`+ no firewall in the way: the closed port ${closedPort} was refused`] : []),
  ...(told.translated ? ['~ translated: the other sees another source than the sender has'] : []),
  ...(told.other ? ['by: somebody else has answered than was asked'] : [])
]

interface Seen {
  readonly flow: Question
  readonly answer: Answer
}

const familyText = ({ places }: Questions, family: Family, seen: readonly Seen[], told: Told): string => {
  const byPair = new Map<string, Seen[]>()
  const byForward = new Map<string, Seen[]>()
  for (const entry of seen) {
    const { from, asked, protocol, port, to } = entry.flow
    const [cells, key] =
      asked === undefined
        ? [byForward, `${placeKey(from)}\n${formatAddr(to)} ${protocol} ${port}`]
        : [byPair, `${placeKey(from)}\n${placeKey(asked)}`]
    const others = cells.get(key)
    if (others === undefined) cells.set(key, [entry])
    else others.push(entry)
  }
  const own = sourcesOf(seen)
  const cellOf = (from: Place, to: Place): string => {
    const found = byPair.get(`${placeKey(from)}\n${placeKey(to)}`)
    return found === undefined ? '' : cellText(found, own, told)
  }
  const present = places.filter(place =>
    seen.some(
      ({ flow }) =>
        placeKey(flow.from) === placeKey(place) ||
        (flow.asked !== undefined && placeKey(flow.asked) === placeKey(place))
    )
  )
  const groups = present.length < WIDE ? present.map(place => [place]) : grouped(present, cellOf)
  const rows = [
    [`IPv${family}`, ...groups.map(groupName)],
    ...groups.map(from => [groupName(from), ...groups.map(to => groupCell(from, to, cellOf))])
  ]
  const forwards = [...new Set([...byForward.keys()].map(key => key.split('\n')[1] ?? ''))]
  const text = table(rows)
  if (forwards.length === 0) return text
  const asking = present.filter(place => forwards.some(key => byForward.has(`${placeKey(place)}\n${key}`)))
  const forwardCell = (from: Place, key: string): string => {
    const [entry] = byForward.get(`${placeKey(from)}\n${key}`) ?? []
    if (entry === undefined) return ''
    const { seen, by } = entry.answer
    return seen === 'answered' ? (by === undefined ? 'answered' : nameOf(by)) : wordOf(seen, told)
  }
  const sets =
    asking.length < WIDE
      ? asking.map(place => [place])
      : groupedBy(asking, place => forwards.map(key => forwardCell(place, key)).join('\n'))
  return `${text}\n${table([
    [`IPv${family} forwards`, ...forwards],
    ...sets.map(set => [
      groupName(set),
      ...forwards.map(key => (set[0] === undefined ? '' : forwardCell(set[0], key)))
    ])
  ])}`
}

type Sources = (place: Place) => ReadonlySet<AddrKey> | undefined

/** The addresses that each place sends from, as those see it that are nearest: itself on its own links. */
const sourcesOf = (seen: readonly Seen[]): Sources => {
  const own = new Map<string, Set<AddrKey>>()
  for (const { flow } of seen)
    if (flow.asked !== undefined) {
      const key = placeKey(flow.asked)
      const known = own.get(key) ?? new Set()
      known.add(addrKey(flow.to))
      own.set(key, known)
    }
  return place => own.get(placeKey(place))
}

const wordOf = (seen: Answer['seen'], told: Told): string => {
  const word =
    seen === 'timeout' ? '-' : seen === 'no-route' ? 'no route' : seen === 'no-neighbour' ? 'nobody' : seen
  told.words.add(word)
  return word
}

/** What a pair comes to, for each address of the one who is asked; once where all are alike. */
const cellText = (seen: readonly Seen[], own: Sources, told: Told): string => {
  const byAddress = new Map<AddrKey, Seen[]>()
  for (const entry of seen) {
    const key = addrKey(entry.flow.to)
    const others = byAddress.get(key)
    if (others === undefined) byAddress.set(key, [entry])
    else others.push(entry)
  }
  return [...new Set([...byAddress.values()].map(entries => addressText(entries, own, told)))].join(' | ')
}

const addressText = (seen: readonly Seen[], own: Sources, told: Told): string => {
  const answered = seen.filter(({ answer }) => answer.seen === 'answered')
  const refused = seen.filter(({ answer }) => answer.seen === 'refused')
  const [first] = seen
  if (answered.length + refused.length === 0)
    return first === undefined ? '' : wordOf(first.answer.seen, told)
  const words = answered.map(({ flow }) =>
    flow.protocol === 'icmp' ? 'ping' : flow.protocol === 'udp' ? `${flow.port}/udp` : `${flow.port}`
  )
  const services = refused.filter(
    ({ flow }) => seen.some(({ flow: { protocol } }) => protocol !== 'icmp') && isService(flow, seen)
  )
  words.push(...services.map(({ flow }) => `(${flow.port})`))
  if (told.counts) {
    const pings = words.filter(word => word === 'ping')
    const ports = words.length - pings.length
    words.splice(0, words.length, ...pings, ...(ports === 0 ? [] : [plural(ports, 'port')]))
  }
  const others = [...answered, ...refused].flatMap(({ flow, answer: { by } }) =>
    by === undefined || flow.asked === undefined || placeKey(by) === placeKey(flow.asked) ? [] : [nameOf(by)]
  )
  const isTranslated = [...answered, ...refused].some(({ flow, answer: { source } }) => {
    const known = own(flow.from)
    return (
      source !== undefined &&
      known !== undefined &&
      known.size > 0 &&
      flow.from.kind !== 'host' &&
      !known.has(addrKey(source))
    )
  })
  const isOpen = refused.some(({ flow }) => !isService(flow, seen))
  if (isOpen) told.closed = true
  if (isTranslated) told.translated = true
  if (others.length > 0) told.other = true
  return `${words.join(' ') || 'reached'}${isOpen ? '+' : ''}${isTranslated ? '~' : ''}${others.length > 0 ? ` by ${[...new Set(others)].join(', ')}` : ''}`
}

/** The closed port is the first of TCP that is asked for. */
const isService = (flow: Question, seen: readonly Seen[]): boolean =>
  flow !== seen.find(({ flow: { protocol } }) => protocol === 'tcp')?.flow

type CellText = (from: Place, to: Place) => string

const groupedBy = (
  places: readonly Place[],
  keyFor: (place: Place) => string
): readonly (readonly Place[])[] => {
  const groups = new Map<string, Place[]>()
  for (const place of places) {
    const key = `${place.kind} ${keyFor(place)}`
    groups.set(key, [...(groups.get(key) ?? []), place])
  }
  return [...groups.values()]
}

/** Places that all others treat alike, and that treat all others alike. */
const grouped = (places: readonly Place[], cell: CellText): readonly (readonly Place[])[] => {
  const common = places.filter(({ kind }) => kind !== 'container' && kind !== 'vm')
  const others = places.filter(place => !common.includes(place))
  return groupedBy(places, place =>
    common.includes(place)
      ? placeKey(place)
      : JSON.stringify([
          common.map(other => [cell(place, other), cell(other, place)]),
          [...new Set(others.map(other => cell(place, other)))].filter(text => text !== '').sort(),
          [...new Set(others.map(other => cell(other, place)))].filter(text => text !== '').sort()
        ])
  )
}

const groupName = (group: readonly Place[]): string => {
  const [first] = group
  const last = group.at(-1)
  if (first === undefined || last === undefined) return ''
  return group.length === 1 ? nameOf(first) : `${nameOf(first)}…${nameOf(last)} (${group.length})`
}

const groupCell = (from: readonly Place[], to: readonly Place[], cell: CellText): string => {
  const counts = new Map<string, number>()
  for (const a of from)
    for (const b of to) {
      const text = a === b ? '' : cell(a, b)
      if (text !== '') counts.set(text, (counts.get(text) ?? 0) + 1)
    }
  if (counts.size === 0) return from === to || from.length * to.length === 1 ? '·' : ''
  if (counts.size === 1) return [...counts.keys()][0] ?? ''
  return [...counts].map(([text, count]) => `${text} (${count})`).join(', ')
}

const table = (rows: readonly (readonly string[])[]): string => {
  const widths: number[] = []
  for (const row of rows)
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length)
  return rows
    .map(
      row =>
        `${row
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join('  ')
          .trimEnd()}\n`
    )
    .join('')
}

/** So many rows with the ports of each; of more, the ports are counted. */
const LONG = 40

/** So many columns; of more, each row becomes a list. */
const BROAD = 9

/** Who reaches whom, each by itself where they are few, else those together that are treated alike. */
export const reachText = (matrix: Matrix): string => {
  const { peers, doors, closedPort } = matrix
  if (peers.length < WIDE) {
    const entries: Entry[] = []
    for (const to of peers)
      for (const from of peers) entries.push(...matrix.cells(from, to).map(cell => entryOf(from, to, cell)))
    for (const door of doors.flat())
      for (const from of peers) entries.push(entryOf(from, door.target, matrix.cellOf(from, door), null))
    const questions = {
      places: peers.map(({ place }) => place),
      flows: entries.map(({ flow }) => flow),
      closedPort,
      neighbours: undefined
    }
    return matrixText(
      questions,
      entries.map(({ answer }) => answer)
    )
  }
  const told: Told = { closed: false, translated: false, other: false, counts: false, words: new Set() }
  const parts = groupsText(matrix, told)
  const legend = legendOf(told, closedPort)
  if (parts.some(part => part.includes('(same links)')))
    legend.push(
      'same links: they have a bridge in common, or are joined by others; other links: they are not'
    )
  return `${parts.join('\n')}${legend.length === 0 ? '' : `\n${legend.map(line => `${line}\n`).join('')}`}`
}

/** What one of a group asks one of another, in one family: with the ports, and with their number. */
type Texts = readonly [each: string, counted: string]

interface Row {
  readonly to: Group
  readonly texts: readonly Texts[]
}

/** One table of those who are asked, a row each, by those who ask; and one of the forwards. */
const groupsText = (matrix: Matrix, told: Told): readonly string[] => {
  const { peers, senders, doors } = matrix
  // Of very many the ports are counted anyway.
  const isLong = matrix.receivers.length > 4 * LONG
  const receivers = isLong ? matrix.kinds : matrix.receivers
  const sources = new Map<Place, ReadonlySet<AddrKey>>(
    peers.map(({ place, addresses }) => [place, new Set(addresses.map(addrKey))])
  )
  const sourcesOf: Sources = place => sources.get(place)
  const rows: Readonly<Record<Family, Row[]>> = { 4: [], 6: [] }
  for (const to of receivers) {
    const texts: Readonly<Record<Family, Texts[]>> = { 4: [], 6: [] }
    for (const from of senders) {
      const seen = examplesOf(from, to).map(example => ({
        relation: example.relation,
        entries: matrix.cells(example.from, example.to).map(cell => entryOf(example.from, example.to, cell))
      }))
      for (const family of FAMILIES) {
        const own = seen.map(({ relation, entries }) => ({
          relation,
          entries: entries.filter(({ flow }) => flow.to.family === family)
        }))
        const textFor = (counts: boolean): string => {
          told.counts = counts
          return relationsText(
            own.map(
              ({ relation, entries }) =>
                [relation, entries.length === 0 ? '' : cellText(entries, sourcesOf, told)] as const
            )
          )
        }
        const counted = textFor(true)
        texts[family].push([isLong ? counted : textFor(false), counted])
      }
    }
    for (const family of FAMILIES) rows[family].push({ to, texts: texts[family] })
  }
  told.counts = false
  const parts = FAMILIES.flatMap(family => {
    const isPresent = ({ members: [first] }: Group): boolean =>
      first?.place.kind === 'host' || first?.addresses.some(addr => addr.family === family) === true
    const columns = senders.flatMap((group, i) => (isPresent(group) ? [i] : []))
    const own = rows[family].filter(({ to }) => isPresent(to))
    const asking = columns.flatMap(i => senders[i] ?? [])
    const linesFor = (which: 0 | 1): readonly Line[] =>
      merged(
        own.map(({ to, texts }) => ({
          members: to.members,
          texts: columns.map(i => texts[i]?.[which] ?? '')
        })),
        peers
      )
    const each = linesFor(0)
    const led = doors.filter(([door]) => door?.address.family === family)
    return [
      crossText(`IPv${family}`, each.length > LONG ? linesFor(1) : each, asking),
      crossText(`IPv${family} forwards`, doorLines(matrix, led, asking, told), asking)
    ]
  })
  return parts.filter(text => text !== '')
}

interface Line {
  readonly name: string
  readonly texts: readonly string[]
}

/** Those whose rows are alike, in the order of the file. */
const merged = (
  rows: readonly { readonly members: readonly Peer[]; readonly texts: readonly string[] }[],
  peers: readonly Peer[]
): readonly Line[] => {
  const order = new Map(peers.map((peer, i) => [peer, i]))
  const groups = new Map<string, { members: Peer[]; texts: readonly string[] }>()
  for (const { members, texts } of rows) {
    const key = JSON.stringify([kindOf(members[0]?.place), texts])
    const group = groups.get(key) ?? { members: [], texts }
    group.members.push(...members)
    groups.set(key, group)
  }
  return Array.from(groups.values(), ({ members, texts }) => ({
    name: groupName(
      members.sort((a, b) => (order.get(a) ?? 0) - (order.get(b) ?? 0)).map(({ place }) => place)
    ),
    texts
  }))
}

/** Containers and machines may stand together, all others not. */
const kindOf = (place: Place | undefined): string =>
  place === undefined || place.kind === 'container' || place.kind === 'vm' ? '' : place.kind

const doorLines = (
  matrix: Matrix,
  doors: Matrix['doors'],
  asking: readonly Group[],
  told: Told
): readonly Line[] => {
  const groups = new Map<string, { doors: Door[]; texts: readonly string[] }>()
  for (const group of doors) {
    const [first] = group
    if (first === undefined) continue
    const texts = asking.map(askers =>
      relationsText(
        doorExamplesOf(askers, group).map(({ relation, from, door }) => {
          const size = askers.members.length
          const { seen, by } = matrix.cellOf(from, door).outcome
          const who = by === 'to' ? door.target?.place : by === 'from' ? from.place : by
          const name =
            who === undefined || (by === 'to' && group.length > 1)
              ? seen
              : by === 'from' && size > 1
                ? 'itself'
                : nameOf(who)
          return [
            relation,
            seen === 'answered'
              ? name
              : seen === 'refused'
                ? name === seen
                  ? seen
                  : `(${name})`
                : wordOf(seen, told)
          ] as const
        })
      )
    )
    const key = JSON.stringify([formatAddr(first.address), first.protocol, texts])
    const entry = groups.get(key) ?? { doors: [], texts }
    entry.doors.push(...group)
    groups.set(key, entry)
  }
  return Array.from(groups.values(), ({ doors, texts }) => ({ name: doorName(doors), texts }))
}

/** What is to be said of those on one link, of those on others, and of somebody who asks for itself: once, where it is the same. */
const relationsText = (texts: readonly (readonly [string, string])[]): string => {
  const said = texts.filter(([, text]) => text !== '')
  const different = [...new Set(said.map(([, text]) => text))]
  if (different.length <= 1) return different[0] ?? ''
  return said.map(([relation, text]) => `${text} (${relation})`).join(', ')
}

/** Columns that are alike become one; of too many, each row is a list. */
const crossText = (title: string, rows: readonly Line[], asking: readonly Group[]): string => {
  if (rows.length === 0) return ''
  const columns = groupedColumns(rows, asking)
  if (columns.length < BROAD)
    return table([
      [`${title} to`, ...columns.map(({ name }) => `from ${name}`)],
      ...rows.map(({ name, texts }) => [name, ...columns.map(({ at }) => texts[at] || '·')])
    ])
  return rows
    .map(({ name, texts }) => {
      const byText = new Map<string, string[]>()
      for (const { name: from, at } of columns) {
        const text = texts[at]
        if (text === undefined || text === '') continue
        const others = byText.get(text)
        if (others === undefined) byText.set(text, [from])
        else others.push(from)
      }
      const lines = Array.from(byText, ([text, names]) => [`  ${text}`, `from ${names.join(', ')}`])
      return `${title} to ${name}\n${table(lines)}`
    })
    .join('')
}

interface Column {
  readonly name: string
  /** Where its texts stand in the rows. */
  readonly at: number
}

const groupedColumns = (rows: readonly Line[], asking: readonly Group[]): readonly Column[] => {
  const groups = new Map<string, { places: Place[]; at: number }>()
  for (const [i, { members }] of asking.entries()) {
    const key = JSON.stringify([kindOf(members[0]?.place), rows.map(({ texts }) => texts[i])])
    const group = groups.get(key) ?? { places: [], at: i }
    group.places.push(...members.map(({ place }) => place))
    groups.set(key, group)
  }
  return Array.from(groups.values(), ({ places, at }) => ({ name: groupName(places), at }))
}

/** `198.51.100.7 tcp 8000…8999 (1000)` */
const doorName = (doors: readonly Door[]): string => {
  const [first] = doors
  if (first === undefined) return ''
  const ports = doors.map(({ port }) => port).sort((a, b) => a - b)
  const shown = ports.length === 1 ? `${first.port}` : `${ports[0]}…${ports.at(-1)} (${ports.length})`
  return `${formatAddr(first.address)} ${first.protocol} ${shown}`
}

/** A mismatch's two sides, or a flow, in words. */
export const flowText = ({ from, to, protocol, port }: Question): string =>
  `${nameOf(from)} -> ${formatAddr(to)}${protocol === 'icmp' ? ' ping' : ` ${protocol} ${port}`}`

export const answerText = ({ seen, by, source }: Answer): string =>
  `${seen}${by === undefined ? '' : ` by ${nameOf(by)}`}${source === undefined ? '' : `, source ${formatAddr(source)}`}`
