import type { Mark } from './marks.ts'
import type { Box, Card, Picture } from './picture.ts'

// What the formats that lay out a graph themselves have in common: short names, and each thing as a few lines of text.

/** What the first line of every picture says, by which it is known again. */
export const MARK = 'Drawn by netplan; change the topology and draw it anew.'

/** Names that no text of the file is part of, by the id of a box or card. */
export const namesOf = ({ boxes }: Picture): ReadonlyMap<string, string> =>
  new Map(boxes.flatMap(({ id, cards }) => [id, ...cards.map(card => card.id)]).map((id, i) => [id, `n${i}`]))

const SIGNS: Readonly<Record<Mark['severity'], string>> = { error: '✖', warning: '▲' }

const MOST_MARKS = 3

export const markLines = (marks: readonly Mark[]): readonly string[] => [
  ...marks.slice(0, MOST_MARKS).map(({ number, severity, rule }) => `${SIGNS[severity]} ${number} ${rule}`),
  ...(marks.length > MOST_MARKS ? [`… and ${marks.length - MOST_MARKS} more`] : [])
]

export const cardLabel = ({ title, kind, off, lines, tags, marks }: Card): readonly string[] => [
  `${title}${off ? ' (off)' : kind === 'machine' ? ' (VM)' : ''}`,
  ...lines,
  ...tags,
  ...markLines(marks)
]

export const boxLabel = ({ title, sort, nat, lines, tags, forwards, marks }: Box): readonly string[] => [
  sort === '' ? title : `${title} (${sort})`,
  ...lines,
  ...(nat === undefined ? [] : [nat]),
  ...forwards.flatMap(forward => [forward.text, ...markLines(forward.marks)]),
  ...tags,
  ...markLines(marks)
]

/** All forwards to a card: one arrow, so that a drawing has no more arrows than cards. */
export const forwardLabel = ({ forwards }: Card): readonly string[] =>
  forwards.flatMap(({ text, marks }) => [text, ...markLines(marks)])

const MOST_LEGEND = 20

export const legendLines = ({ marks }: Picture): readonly string[] => [
  ...marks
    .slice(0, MOST_LEGEND)
    .map(({ number, severity, rule, message }) => `${SIGNS[severity]} ${number} ${rule}: ${message}`),
  ...(marks.length > MOST_LEGEND ? [`… and ${marks.length - MOST_LEGEND} more`] : [])
]

/** A drawing of others has no room for more of one line. */
export const short = (text: string, most: number): string => {
  const chars = Array.from(text)
  return chars.length > most ? `${chars.slice(0, most - 1).join('')}…` : text
}
