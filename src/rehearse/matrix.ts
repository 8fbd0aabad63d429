import { type Family, formatAddr } from '../net/addr.ts'
import { FAMILIES } from '../plan/plan.ts'
import { type Answer, type Place, placeName, placeKey } from '../reach/flow.ts'
import type { Question, Questions } from './flows.ts'

// Who reaches whom, as a table for people: rows are those who ask, columns those who are asked.

/** From so many places on, those that are treated alike share a row and a column. */
const WIDE = 9

const nameOf = (place: Place): string => placeName(place)

export const matrixText = (questions: Questions, answers: readonly Answer[]): string => {
  const { flows, closedPort, neighbours } = questions
  const parts: string[] = []
  const told: Told = { closed: false, translated: false, other: false, words: new Set() }
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

/** The addresses that each place sends from, as those see it that are nearest: itself on its own links. */
const sourcesOf = (seen: readonly Seen[]): ReadonlyMap<string, ReadonlySet<string>> => {
  const own = new Map<string, Set<string>>()
  for (const { flow } of seen)
    if (flow.asked !== undefined) {
      const key = placeKey(flow.asked)
      const known = own.get(key) ?? new Set()
      known.add(formatAddr(flow.to))
      own.set(key, known)
    }
  return own
}

const wordOf = (seen: Answer['seen'], told: Told): string => {
  const word =
    seen === 'timeout' ? '-' : seen === 'no-route' ? 'no route' : seen === 'no-neighbour' ? 'nobody' : seen
  told.words.add(word)
  return word
}

/** What a pair comes to, for each address of the one who is asked; once where all are alike. */
const cellText = (
  seen: readonly Seen[],
  own: ReadonlyMap<string, ReadonlySet<string>>,
  told: Told
): string => {
  const byAddress = new Map<string, Seen[]>()
  for (const entry of seen) {
    const key = formatAddr(entry.flow.to)
    byAddress.set(key, [...(byAddress.get(key) ?? []), entry])
  }
  return [...new Set([...byAddress.values()].map(entries => addressText(entries, own, told)))].join(' | ')
}

const addressText = (
  seen: readonly Seen[],
  own: ReadonlyMap<string, ReadonlySet<string>>,
  told: Told
): string => {
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
  const others = [...answered, ...refused].flatMap(({ flow, answer: { by } }) =>
    by === undefined || flow.asked === undefined || placeKey(by) === placeKey(flow.asked) ? [] : [nameOf(by)]
  )
  const isTranslated = [...answered, ...refused].some(({ flow, answer: { source } }) => {
    const known = own.get(placeKey(flow.from))
    return (
      source !== undefined &&
      known !== undefined &&
      known.size > 0 &&
      flow.from.kind !== 'host' &&
      !known.has(formatAddr(source))
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

type Cell = (from: Place, to: Place) => string

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
const grouped = (places: readonly Place[], cell: Cell): readonly (readonly Place[])[] => {
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

const groupCell = (from: readonly Place[], to: readonly Place[], cell: Cell): string => {
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

/** A mismatch's two sides, or a flow, in words. */
export const flowText = ({ from, to, protocol, port }: Question): string =>
  `${nameOf(from)} -> ${formatAddr(to)}${protocol === 'icmp' ? ' ping' : ` ${protocol} ${port}`}`

export const answerText = ({ seen, by, source }: Answer): string =>
  `${seen}${by === undefined ? '' : ` by ${nameOf(by)}`}${source === undefined ? '' : `, source ${formatAddr(source)}`}`
