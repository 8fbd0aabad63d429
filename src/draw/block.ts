import type { Box, Card } from './picture.ts'
import {
  badges,
  badgesWidth,
  faultOf,
  inkWidth,
  marksWith,
  type Rect,
  sayings,
  type Shape,
  tagShapes,
  tagsHeight,
  tagWidth,
  textIn
} from './shapes.ts'

// A card or a box: its title, then forwards, addresses and ports below each other. Each is measured first, and drawn when it
// has got its place; cards of one row get the same size.

export interface Block {
  readonly width: number
  readonly height: number
  /** How far below the top each forward ends. */
  readonly entries: readonly number[]
  draw(place: Rect): readonly Shape[]
}

const PAD = 10
const TITLE = 18
const LINE = 16
const FORWARD = 17
const TAGS_GAP = 6
const TAGS_ROOM = 130
const WIDEST = 330
const NARROWEST = 96

/** What stands below the title: the widths of the parts, and the height of all for a width. */
const measure = (
  { title, lines, tags, forwards, marks }: Pick<Card, 'title' | 'lines' | 'tags' | 'forwards' | 'marks'>,
  sort: string,
  ink: 'title' | 'name',
  nat: string | undefined,
  indent: number
): { readonly width: number; readonly height: (width: number) => number } => {
  const badge = badgesWidth(marks)
  const sortWidth = sort === '' ? 0 : inkWidth(sort, 'muted') + 7
  const widest = Math.max(
    inkWidth(title, ink) + sortWidth + (badge === 0 ? 0 : badge + 6),
    ...lines.map(line => inkWidth(line, 'mono')),
    ...forwards.map(forward => inkWidth(forward.text, 'forward') + badgesWidth(forward.marks) + 4),
    nat === undefined ? 0 : inkWidth(nat, 'nat') + 14
  )
  const tagRow = tags.reduce((sum, tag) => sum + tagWidth(tag) + 4, -4)
  const tagLeast = Math.max(0, ...tags.map(tagWidth))
  const inner = Math.max(widest, tagLeast, Math.min(tagRow, TAGS_ROOM))
  const width = Math.min(WIDEST, Math.max(NARROWEST, inner + indent + 2 * PAD))
  return {
    width,
    height: given => {
      const tagHeight = tagsHeight(tags, given - indent - 2 * PAD)
      return (
        PAD +
        TITLE +
        forwards.length * FORWARD +
        lines.length * LINE +
        (nat === undefined ? 0 : LINE + 8) +
        (tagHeight === 0 ? 0 : tagHeight + TAGS_GAP) +
        PAD -
        2
      )
    }
  }
}

/** The parts that cards and the host have in common. */
const parts = (
  { title, lines, tags, forwards, marks }: Pick<Card, 'title' | 'lines' | 'tags' | 'forwards' | 'marks'>,
  sort: string,
  ink: 'title' | 'name',
  nat: string | undefined,
  place: Rect
): readonly Shape[] => {
  const left = place.x + PAD
  const badge = badgesWidth(marks)
  const sortWidth = sort === '' ? 0 : inkWidth(sort, 'muted') + 7
  const right = place.x + place.width - PAD
  const titleEnd = right - sortWidth - (badge === 0 ? 0 : badge + 6)
  const name = textIn(ink, title, left, place.y + PAD + 11, { ...place, width: titleEnd - place.x }, 0)
  const nameWidth = name.kind === 'text' ? inkWidth(name.text, ink) : 0
  const shapes: Shape[] = [name]
  if (sort !== '') shapes.push(textIn('muted', sort, left + nameWidth + 7, place.y + PAD + 11, place))
  shapes.push(...badges(marks, right - badge + 7, place.y + PAD + 7, place))
  let y = place.y + PAD + TITLE
  for (const forward of forwards) {
    const room = { ...place, width: place.width - badgesWidth(forward.marks) }
    shapes.push(
      textIn('forward', forward.text, left, y + 12, room),
      ...badges(
        forward.marks,
        left + Math.min(inkWidth(forward.text, 'forward'), room.width - PAD - 8) + 6,
        y + 8,
        place
      )
    )
    y += FORWARD
  }
  for (const line of lines) {
    shapes.push(textIn('mono', line, left, y + 11, place))
    y += LINE
  }
  if (nat !== undefined) {
    const pill = {
      x: left,
      y: y + 2,
      width: Math.min(inkWidth(nat, 'nat') + 14, place.width - 2 * PAD),
      height: 18
    }
    shapes.push(
      { kind: 'rect', ink: 'pill', radius: 9, ...pill },
      textIn('nat', nat, left + 7, y + 15, pill, 6)
    )
    y += LINE + 8
  }
  if (tags.length > 0)
    shapes.push(...tagShapes(tags, { x: left, y: y + TAGS_GAP - 2, width: place.width - 2 * PAD }))
  return shapes
}

export const cardBlock = (card: Card): Block => {
  const sort = card.off ? 'off' : card.kind === 'machine' ? 'VM' : ''
  const { width, height } = measure(card, sort, 'name', undefined, 0)
  return {
    width,
    height: height(width),
    entries: card.forwards.map((_, i) => PAD + TITLE + i * FORWARD + 8),
    draw: place => [
      {
        kind: 'group',
        says: [card.title, ...sayings(marksWith(card.marks, card.forwards))],
        faint: card.off,
        shapes: [
          {
            kind: 'rect',
            ink: card.kind === 'more' ? 'more' : 'card',
            radius: 6,
            ...place,
            fault: faultOf(marksWith(card.marks, card.forwards))
          },
          ...parts(card, sort, 'name', undefined, place)
        ]
      }
    ]
  }
}

const ICON = 24

/** The internet, a LAN or the host; and of others the head, with the cards below it. */
export const boxBlock = (box: Box): Block => {
  const { kind, sort, nat, title } = box
  const icon = kind === 'internet' || kind === 'lan' ? kind : undefined
  const indent = icon === undefined ? 0 : ICON
  const { width, height } = measure(box, sort, 'title', nat, indent)
  return {
    width: icon === undefined || box.lines.length > 0 ? width : indent + 2 * PAD + inkWidth(title, 'title'),
    height: height(width),
    entries: [],
    draw: place => [
      {
        kind: 'group',
        says: [sort === '' ? title : `${title}: ${sort}`, ...sayings(marksWith(box.marks, box.forwards))],
        faint: false,
        shapes: [
          {
            kind: 'rect',
            ink: kind === 'missing' ? 'missing' : 'box',
            radius: icon === undefined ? 8 : 16,
            ...place,
            fault: faultOf(marksWith(box.marks, box.forwards))
          },
          ...(icon === undefined ? [] : [{ kind: 'icon' as const, icon, x: place.x + PAD, y: place.y + 10 }]),
          ...parts(box, sort, 'title', nat, { ...place, x: place.x + indent, width: place.width - indent })
        ]
      }
    ]
  }
}
