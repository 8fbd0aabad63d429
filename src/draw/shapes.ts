import type { Mark } from './marks.ts'
import type { Forward } from './picture.ts'
import { type Font, fitted, widthOf } from './text.ts'

// What a picture consists of when everything has its place. Coordinates are pixels from the top left corner.

export interface Rect {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** The classes of the style sheet. */
export type Ink = 'title' | 'name' | 'muted' | 'mono' | 'port' | 'forward' | 'nat' | 'error' | 'warning'

export type Shape =
  | ({
      readonly kind: 'rect'
      readonly ink: 'page' | 'box' | 'missing' | 'card' | 'more' | 'tag' | 'pill'
      readonly radius: number
      /** The graver of the findings that are marked at it. */
      readonly fault?: Mark['severity'] | undefined
    } & Rect)
  | {
      readonly kind: 'text'
      readonly ink: Ink
      readonly x: number
      /** The base line. */
      readonly y: number
      readonly text: string
      /** What it must not leave. */
      readonly within: Rect
    }
  | {
      readonly kind: 'wire'
      readonly ink: 'link' | 'forward'
      readonly points: readonly (readonly [number, number])[]
      readonly arrow: boolean
    }
  | {
      readonly kind: 'badge'
      readonly severity: Mark['severity']
      readonly x: number
      readonly y: number
    }
  | { readonly kind: 'icon'; readonly icon: 'internet' | 'lan'; readonly x: number; readonly y: number }
  /** Shapes that belong together, with what is said of them when the mouse rests there. */
  | {
      readonly kind: 'group'
      readonly says: readonly string[]
      readonly faint: boolean
      readonly shapes: readonly Shape[]
    }

/** The fonts of the style sheet. */
export const FONTS: Readonly<Record<Ink, { readonly font: Font; readonly size: number }>> = {
  title: { font: 'bold', size: 14 },
  name: { font: 'bold', size: 12.5 },
  muted: { font: 'sans', size: 11 },
  mono: { font: 'mono', size: 11.5 },
  port: { font: 'mono', size: 10.5 },
  forward: { font: 'mono', size: 11 },
  nat: { font: 'sans', size: 11 },
  error: { font: 'bold', size: 11 },
  warning: { font: 'bold', size: 11 }
}

export const inkWidth = (text: string, ink: Ink): number => widthOf(text, FONTS[ink].font, FONTS[ink].size)

/** A text that begins at a place and ends within a rectangle; cut where it is too long for it. */
export const textIn = (ink: Ink, text: string, x: number, y: number, within: Rect, margin = 8): Shape => ({
  kind: 'text',
  ink,
  x,
  y,
  text: fitted(text, FONTS[ink].font, FONTS[ink].size, within.x + within.width - margin - x + 0.01),
  within
})

// Marks

const BADGE = 14
const MOST_NUMBERS = 3

const SEVERITIES = ['error', 'warning'] as const

const numbers = (marks: readonly Mark[], severity: Mark['severity']): string => {
  const own = marks.filter(mark => mark.severity === severity).map(({ number }) => number)
  return own.length > MOST_NUMBERS + 1
    ? `${own.slice(0, MOST_NUMBERS).join(' ')} +${own.length - MOST_NUMBERS}`
    : own.join(' ')
}

export const badgesWidth = (marks: readonly Mark[]): number =>
  SEVERITIES.reduce((sum, severity) => {
    const text = numbers(marks, severity)
    return text === '' ? sum : sum + BADGE + 3 + inkWidth(text, severity) + 7
  }, 0)

/** A symbol for each severity with the numbers of the legend, from x on; y is their middle. */
export const badges = (marks: readonly Mark[], x: number, y: number, within: Rect): readonly Shape[] => {
  const shapes: Shape[] = []
  let at = x
  for (const severity of SEVERITIES) {
    const text = numbers(marks, severity)
    if (text === '') continue
    shapes.push(
      { kind: 'badge', severity, x: at + BADGE / 2, y },
      textIn(severity, text, at + BADGE + 3, y + 4, within, 0)
    )
    at += BADGE + 3 + inkWidth(text, severity) + 7
  }
  return shapes
}

export const faultOf = (marks: readonly Mark[]): Mark['severity'] | undefined =>
  marks.find(({ severity }) => severity === 'error')?.severity ?? marks[0]?.severity

export const sayings = (marks: readonly Mark[]): readonly string[] =>
  marks.slice(0, 10).map(({ severity, rule, message }) => `${severity}[${rule}]: ${message}`)

/** The graver fault of a thing or of a forward that ends there. */
export const marksWith = (marks: readonly Mark[], forwards: readonly Forward[]): readonly Mark[] =>
  forwards.every(forward => forward.marks.length === 0)
    ? marks
    : [...marks, ...forwards.flatMap(forward => forward.marks)]

// Tags: ports in small frames, in as many rows as they need

const TAG_PAD = 5
export const TAG_HEIGHT = 16
const TAG_GAP = 4

export const tagWidth = (text: string): number => inkWidth(text, 'port') + 2 * TAG_PAD

/** Each tag with its place in rows of that width. */
export const tagRows = (
  tags: readonly string[],
  room: number
): {
  readonly placed: readonly { readonly text: string; readonly x: number; readonly row: number }[]
  readonly rows: number
} => {
  let [x, row] = [0, 0]
  const placed = tags.map(text => {
    const width = Math.min(tagWidth(text), room)
    if (x > 0 && x + width > room) {
      x = 0
      row += 1
    }
    const at = { text, x, row }
    x += width + TAG_GAP
    return at
  })
  return { placed, rows: tags.length === 0 ? 0 : row + 1 }
}

export const tagShapes = (tags: readonly string[], { x, y, width }: Omit<Rect, 'height'>): readonly Shape[] =>
  tagRows(tags, width).placed.flatMap(({ text, x: left, row }) => {
    const rect = {
      x: x + left,
      y: y + row * (TAG_HEIGHT + TAG_GAP),
      width: Math.min(tagWidth(text), width),
      height: TAG_HEIGHT
    }
    return [
      { kind: 'rect' as const, ink: 'tag' as const, radius: 3, ...rect },
      textIn('port', text, rect.x + TAG_PAD, rect.y + 12, rect, TAG_PAD - 0.5)
    ]
  })

export const tagsHeight = (tags: readonly string[], room: number): number => {
  const { rows } = tagRows(tags, room)
  return rows === 0 ? 0 : rows * TAG_HEIGHT + (rows - 1) * TAG_GAP
}
