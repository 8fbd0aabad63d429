import { type Block, boxBlock, cardBlock } from './block.ts'
import { type Edge, order } from './order.ts'
import type { Box, Card, Picture, Wire } from './picture.ts'
import { badges, badgesWidth, FONTS, inkWidth, type Rect, type Shape, textIn } from './shapes.ts'
import { wrapped } from './text.ts'

// Where everything stands. Boxes stand in columns from the internet on the left to the containers on the right, as dagre
// orders and places them; within a box the cards are a grid. Wires run straight: from a box into the gap before the next
// column, there up or down, and on.

export interface Scene {
  readonly width: number
  readonly height: number
  readonly shapes: readonly Shape[]
}

/** As wide as a README is shown; a picture of many may be wider, and is shrunk a little there. */
const pageWidth = (cards: number): number => Math.min(1160, 840 + 12 * cards)

const MARGIN = 20
/** Between columns, and between boxes of one. */
const COLUMN_GAP = 56
const ROW_GAP = 24
const BOX_PAD = 12
const CARD_GAP = 10
/** Where forwards pass between cards. */
const FORWARD_GAP = 20

/** How far below its top a box is wired. */
const ANCHOR = 20
/** Where forwards leave the host: between the places where other wires end. */
const FORWARD_ANCHOR = 28

export const layoutOf = (picture: Picture): Scene => {
  const { boxes, wires } = picture
  const fixed = boxes.filter(({ kind }) => FIRST.has(kind)).map(box => frameOf(box, 0, 0))
  const rest = boxes.filter(({ kind }) => !FIRST.has(kind))
  const usual = usualWidth(rest)
  const room = roomOf(picture, fixed)
  // Those who are attached to several boxes stand right of them, as narrow as they can.
  const last = attachedToBoxes(rest, wires)
  const [several, single] = [rest.filter(({ id }) => last.has(id)), rest.filter(({ id }) => !last.has(id))]
  const right = several.map(box => frameOf(box, room / 3, usual))
  const left = room - Math.max(0, ...right.map(({ width }) => width + COLUMN_GAP))
  const frames = new Map(
    [...fixed, ...single.map(box => frameOf(box, left, usual)), ...right].map(frame => [frame.box.id, frame])
  )
  const placed = place(frames, wires)
  const bottom = Math.max(...[...placed.rects.values()].map(({ y, height }) => y + height))
  const width = Math.max(
    MARGIN + Math.max(...[...placed.rects.values()].map(({ x, width }) => x + width)),
    picture.marks.length > 0 ? 560 : 0
  )
  const legend = legendOf(picture, bottom + 28, width)
  const routed = routes(frames, placed, wires)
  const shapes: Shape[] = []
  for (const { box, head } of frames.values()) {
    const rect = placed.rects.get(box.id)
    if (rect !== undefined) shapes.push(...head.draw(rect))
  }
  shapes.push(...routed.wires)
  for (const { box, cards } of frames.values()) {
    const rect = placed.rects.get(box.id)
    if (rect === undefined) continue
    for (const { block, at } of cards)
      shapes.push(...block.draw({ ...at, x: at.x + rect.x, y: at.y + rect.y }))
  }
  shapes.push(...routed.labels, ...legend.shapes)
  const height = (picture.marks.length > 0 ? legend.bottom : bottom) + MARGIN
  const page: Rect = { x: 0, y: 0, width: Math.ceil(width), height: Math.ceil(height) }
  return {
    width: page.width,
    height: page.height,
    shapes: [{ kind: 'rect', ink: 'page', radius: 8, ...page }, ...shapes]
  }
}

/** The boxes that stand right of others. */
const attachedToBoxes = (
  boxes: readonly { readonly id: string }[],
  wires: readonly Wire[]
): ReadonlySet<string> => {
  const ids = new Set(boxes.map(({ id }) => id))
  return new Set(wires.flatMap(({ from, to }) => (ids.has(from) ? [to] : [])))
}

// Boxes with their cards

interface Placed {
  readonly block: Block
  readonly card: Card
  /** Within the box. */
  readonly at: Rect
  readonly column: number
}

interface Frame {
  readonly box: Box
  readonly head: Block
  readonly width: number
  readonly height: number
  readonly cards: readonly Placed[]
}

const FIRST: ReadonlySet<string> = new Set(['internet', 'lan', 'host'])

/** Wider cards, of long addresses, are the exception. */
const USUAL = 190

/** The width that cards have everywhere, so that they stand below each other. */
const usualWidth = (boxes: readonly Box[]): number =>
  Math.min(USUAL, Math.max(0, ...boxes.flatMap(({ cards }) => cards.map(card => cardBlock(card).width))))

/** A box as a head and a grid that is no wider than there is room, and has no empty columns. */
const frameOf = (box: Box, room: number, usual: number): Frame => {
  const head = boxBlock(box)
  if (box.cards.length === 0) return { box, head, width: head.width, height: head.height, cards: [] }
  const blocks = box.cards.map(card => ({ card, block: cardBlock(card) }))
  const passes = box.cards.some(({ forwards }) => forwards.length > 0)
  const gap = passes ? FORWARD_GAP : CARD_GAP
  const cardWidth = Math.max(usual, ...blocks.map(({ block }) => block.width))
  const fit = Math.max(1, Math.floor((room - 2 * BOX_PAD + gap) / (cardWidth + gap)))
  const rows = Math.ceil(blocks.length / Math.min(fit, blocks.length))
  const columns = Math.ceil(blocks.length / rows)
  const inner = Math.max(columns * (cardWidth + gap) - gap, head.width - 2 * BOX_PAD)
  // A head that is wider than its cards gives them the room.
  const width = columns === 1 ? inner : cardWidth
  const cards: Placed[] = []
  let y = head.height + (passes ? 4 : 0)
  for (let row = 0; row < rows; row += 1) {
    const here = blocks.slice(row * columns, (row + 1) * columns)
    const height = Math.max(...here.map(({ block }) => block.height))
    for (const [column, { card, block }] of here.entries())
      cards.push({
        card,
        block,
        column,
        at: { x: BOX_PAD + column * (width + gap), y, width, height }
      })
    y += height + (passes ? FORWARD_GAP : CARD_GAP)
  }
  return {
    box,
    head,
    width: inner + 2 * BOX_PAD,
    height: y - (passes ? FORWARD_GAP : CARD_GAP) + BOX_PAD,
    cards
  }
}

/** How wide all right of the host may be, so that the whole is as wide as a page. */
const roomOf = ({ wires, boxes }: Picture, fixed: readonly Frame[]): number => {
  const cards = boxes.reduce((sum, { cards }) => sum + cards.length, 0)
  const widest = (kind: string): number =>
    Math.max(0, ...fixed.filter(({ box }) => box.kind === kind).map(({ width }) => width + COLUMN_GAP))
  const inLine = wires.some(({ from, to }) => from === 'internet' && to === LAN)
  const [internet, lan] = [widest('internet'), widest('lan')]
  const left =
    (inLine ? internet + lan : Math.max(internet, lan)) +
    widest('host') +
    Math.max(0, ...wires.map(wire => labelSize(wire).width))
  return pageWidth(cards) - 2 * MARGIN - left
}

// Places

interface Places {
  readonly rects: ReadonlyMap<string, Rect>
  /** From left to right. */
  readonly columns: readonly Column[]
  readonly columnOf: ReadonlyMap<string, number>
}

interface Column {
  readonly left: number
  readonly right: number
  /** How far down wires cross it that lead further, by where they come from; those from one box are one there. */
  readonly passing: ReadonlyMap<string, number>
}

const HOST = 'host'
const LAN = 'lan'

// The names of edges; the last one is of those that no wire follows.
const LINK = 'link'
const FORWARDS = '\0forwards'
const ORDER = 'order'

/** Wires of forwards follow those of links; where there is none they need a way of their own. */
const forwarded = (frames: ReadonlyMap<string, Frame>): readonly string[] =>
  [...frames.values()]
    .filter(({ cards }) => cards.some(({ card }) => card.forwards.length > 0))
    .map(({ box }) => box.id)

/**
 * dagre says which column each box and each wire stands in, and in which order. In a column they begin at the top, since
 * a reader does: a host in the middle of fifty networks would be out of sight.
 */
const place = (frames: ReadonlyMap<string, Frame>, wires: readonly Wire[]): Places => {
  const boxes = Array.from(frames.values(), ({ box: { id, kind }, width, height }) => ({
    id,
    kind,
    width,
    height
  }))
  const plain = { width: 0, height: 0, weight: 1 }
  const edges: readonly Edge[] = [
    ...wires.map(wire => ({ from: wire.from, to: wire.to, name: LINK, ...labelSize(wire), weight: 1 })),
    ...forwarded(frames).map(to => ({ from: HOST, to, name: FORWARDS, ...plain })),
    // What lies outside stands left of the host and everything else right of it, whether a wire leads there or not.
    ...boxes.flatMap(({ id, kind }) =>
      kind === 'lan'
        ? [{ from: id, to: HOST, name: ORDER, ...plain }]
        : FIRST.has(kind)
          ? []
          : [{ from: HOST, to: id, name: ORDER, ...plain, weight: 0 }]
    )
  ]
  const gaps = { columns: COLUMN_GAP, rows: ROW_GAP, wires: WIRE_GAP }
  // Where no wire leads on from a box, its place makes no crossing, and the order of names is the better one.
  const sources = new Set(wires.map(({ from }) => from))
  const ends = boxes.filter(({ id, kind }) => !FIRST.has(kind) && !sources.has(id))
  const last = attachedToBoxes(
    boxes.filter(({ kind }) => !FIRST.has(kind)),
    wires
  )
  const sequences = [
    boxes.filter(({ kind }) => kind === 'internet' || kind === 'lan'),
    ends.filter(({ id }) => !last.has(id))
  ].map(boxes => boxes.map(({ id }) => id))
  const ordered = order(boxes, edges, gaps, sequences)
  const nodes = boxes.map(box => ({ ...box, ...ordered.node(box.id), width: box.width, height: box.height }))
  const shift = MARGIN - Math.min(...nodes.map(({ x, width }) => x - width / 2))
  const ranks = [...new Set(nodes.map(({ rank }) => rank))].sort((a, b) => a - b)
  const columnOf = new Map(nodes.map(({ id, rank }) => [id, ranks.indexOf(rank)]))
  const rects = new Map<string, Rect>()
  const columns = ranks.map((rank): Column => {
    const here = nodes.filter(node => node.rank === rank)
    const left = Math.min(...here.map(({ x, width }) => x - width / 2))
    const right = Math.max(...here.map(({ x, width }) => x + width / 2))
    const crossing = edges.flatMap(edge => {
      const [from, to] = [columnOf.get(edge.from) ?? 0, columnOf.get(edge.to) ?? 0]
      const here = ranks.indexOf(rank)
      if (from >= here || to <= here || edge.name === ORDER) return []
      const points = ordered.points(edge)
      const point = points.find(({ x }) => x >= left - 1 && x <= right + 1) ?? points[0]
      return point === undefined
        ? []
        : [{ source: edge.name === FORWARDS ? FORWARDS : edge.from, y: point.y }]
    })
    const passing = new Map<string, number>()
    let next = MARGIN
    // Wires that pass the host run below it.
    const isFirst = (item: (typeof here)[number] | (typeof crossing)[number]): boolean =>
      'kind' in item && FIRST.has(item.kind)
    for (const item of [...here, ...crossing].sort(
      (a, b) => Number(isFirst(b)) - Number(isFirst(a)) || a.y - b.y
    ))
      if ('source' in item) {
        if (passing.has(item.source)) continue
        passing.set(item.source, next)
        next += WIRE_GAP
      } else {
        const before = wires.flatMap(({ from, to }) => (to === item.id ? (rects.get(from)?.y ?? []) : []))
        const y = before.length === 0 ? next : Math.max(next, Math.min(...before))
        rects.set(item.id, {
          x: left + shift,
          y,
          width: FIRST.has(item.kind) ? item.width : right - left,
          height: item.height
        })
        next = y + item.height + ROW_GAP
      }
    return { left: left + shift, right: right + shift, passing }
  })
  return { rects, columns, columnOf }
}

// Wires

const WIRE_GAP = 16
const LABEL_PAD = 10

interface Size {
  readonly width: number
  readonly height: number
}

const MASQUERADE = 'masquerade'

const labelSize = ({ label, masquerade }: Wire): Size => {
  const width = Math.max(
    label === '' ? 0 : inkWidth(label, 'mono'),
    masquerade ? inkWidth(MASQUERADE, 'nat') + 14 : 0
  )
  return width === 0 ? { width: 0, height: 0 } : { width: width + 2 * LABEL_PAD - COLUMN_GAP / 2, height: 44 }
}

type Point = readonly [number, number]

const routes = (
  frames: ReadonlyMap<string, Frame>,
  places: Places,
  wires: readonly Wire[]
): { readonly wires: readonly Shape[]; readonly labels: readonly Shape[] } => {
  const { rects, columns, columnOf } = places
  const column = (id: string): number => columnOf.get(id) ?? 0
  const goals = forwarded(frames)
  // In each gap every box that a wire comes from has a lane, and the forwards have the last one.
  const lanes = columns.map((_, gap) => {
    const crosses = (from: string, to: string): boolean => column(from) <= gap && column(to) > gap
    const sources = new Set(wires.filter(({ from, to }) => crosses(from, to)).map(({ from }) => from))
    return [...sources, ...(goals.some(id => crosses(HOST, id)) ? [FORWARDS] : [])]
  })
  const laneAt = (gap: number, source: string): number => {
    const [left, own] = [columns[gap]?.right ?? 0, lanes[gap] ?? []]
    return left + ((own.indexOf(source) + 1) * COLUMN_GAP) / (own.length + 1)
  }
  /** From a box to the left edge of another one. */
  const way = (from: string, to: string, source: string, start: number, end: Point): readonly Point[] => {
    const points: Point[] = [[right(rects.get(from)), start]]
    let y = start
    for (let gap = column(from); gap < column(to); gap += 1) {
      const x = laneAt(gap, source)
      const next = gap + 1 < column(to) ? (columns[gap + 1]?.passing.get(source) ?? y) : end[1]
      points.push([x, y], [x, next])
      y = next
    }
    return bends([...points, end])
  }
  const shapes: Shape[] = []
  const labels: Shape[] = []
  for (const [id, { height }] of rects) {
    const into = wires
      .filter(({ to }) => to === id)
      .sort((a, b) => column(b.from) - column(a.from) || top(rects.get(a.from)) - top(rects.get(b.from)))
    let y = top(rects.get(id)) + ANCHOR
    const step = Math.min(WIRE_GAP, (height - ANCHOR) / into.length)
    for (const wire of into) {
      const end: Point = [rects.get(id)?.x ?? 0, y]
      const points = way(wire.from, id, wire.from, top(rects.get(wire.from)) + ANCHOR, end)
      shapes.push({ kind: 'wire', ink: 'link', arrow: false, points })
      const straight = points.every(([, y]) => y === end[1])
      const gap = columns[column(id) - 1]
      labels.push(...labelShapes(wire, (gap?.right ?? 0) + (straight ? 0 : COLUMN_GAP / 2), end))
      y += labelSize(wire).width > 0 ? LABELLED : step
    }
  }
  for (const id of goals) {
    const [frame, rect, host] = [frames.get(id), rects.get(id), rects.get(HOST)]
    if (frame === undefined || rect === undefined || host === undefined) continue
    for (const { card, block, at, column: number } of frame.cards) {
      const left = rect.x + at.x
      for (const [i] of card.forwards.entries()) {
        const y = rect.y + at.y + (block.entries[i] ?? 0)
        // Past the cards before it, a forward runs above them.
        const above = rect.y + at.y - FORWARD_GAP / 2
        const entry: Point = [rect.x, number === 0 ? y : above]
        const points = way(HOST, id, FORWARDS, host.y + FORWARD_ANCHOR, entry)
        const beside = left - FORWARD_GAP / 2 - 2
        const last: readonly Point[] =
          number === 0
            ? [[left, y]]
            : [
                [beside, above],
                [beside, y],
                [left, y]
              ]
        shapes.push({ kind: 'wire', ink: 'forward', arrow: true, points: bends([...points, ...last]) })
      }
    }
  }
  return { wires: shapes, labels }
}

/** A line without the points where it goes straight on. */
const bends = (points: readonly Point[]): readonly Point[] =>
  points.filter(([x, y], i) => {
    const [before, after] = [points[i - 1], points[i + 1]]
    if (before === undefined || after === undefined) return true
    return !(before[0] === x && after[0] === x) && !(before[1] === y && after[1] === y)
  })

const top = (rect: Rect | undefined): number => rect?.y ?? 0

const right = (rect: Rect | undefined): number => (rect === undefined ? 0 : rect.x + rect.width)

/** How far below each other wires with labels end. */
const LABELLED = 46

/** The interface above the wire, and what NAT does there below it. */
const labelShapes = (wire: Wire, left: number, [x, y]: Point): readonly Shape[] => {
  const { label, masquerade } = wire
  const within: Rect = { x: left, y: y - 20, width: x - left, height: 44 }
  const middle = left + within.width / 2
  const shapes: Shape[] = []
  if (label !== '') shapes.push(textIn('mono', label, middle - inkWidth(label, 'mono') / 2, y - 6, within, 0))
  if (masquerade) {
    const width = inkWidth(MASQUERADE, 'nat') + 14
    const pill: Rect = { x: middle - width / 2, y: y + 6, width, height: 18 }
    shapes.push(
      { kind: 'rect', ink: 'pill', radius: 9, ...pill },
      textIn('nat', MASQUERADE, pill.x + 7, pill.y + 13, pill, 6)
    )
  }
  return shapes
}

// Legend

const MOST_MARKS = 20

/** What each mark is about, since in a README nothing is said when the mouse rests on it. */
const legendOf = (
  { marks }: Picture,
  top: number,
  width: number
): { readonly shapes: readonly Shape[]; readonly bottom: number } => {
  const shapes: Shape[] = []
  let y = top
  const within: Rect = { x: MARGIN, y: top, width: width - 2 * MARGIN, height: Number.MAX_SAFE_INTEGER }
  for (const mark of marks.slice(0, MOST_MARKS)) {
    shapes.push(...badges([mark], MARGIN, y - 4, within))
    const x = MARGIN + badgesWidth([mark])
    shapes.push(textIn(mark.severity, mark.rule, x, y, within, 0))
    const from = x + inkWidth(mark.rule, mark.severity) + 8
    const { font, size } = FONTS.muted
    for (const line of wrapped(mark.message, font, size, within.x + within.width - from, 3)) {
      shapes.push(textIn('muted', line, from, y, within, 0))
      y += 16
    }
    y += 4
  }
  const left = marks.length - MOST_MARKS
  if (left > 0) {
    shapes.push(textIn('muted', `… and ${left} more`, MARGIN, y, within, 0))
    y += 20
  }
  return { shapes, bottom: y - 12 }
}
