import { boxLabel, cardLabel, forwardLabel, legendLines, MARK, namesOf, short } from './labels.ts'
import type { Mark } from './marks.ts'
import type { Box, Picture } from './picture.ts'
import { faultOf, marksWith, sayings } from './shapes.ts'

// https://graphviz.org/doc/info/lang.html. A wire to a box with cards goes to one of them and ends at the frame.

export const dot = (picture: Picture): string => {
  const { boxes, wires } = picture
  const names = namesOf(picture)
  const name = (id: string): string => names.get(id) ?? ''
  const byId = new Map(boxes.map(box => [box.id, box]))
  /** The node that an edge to a box is drawn to, and the frame where it ends. */
  const end = (id: string): { readonly node: string; readonly frame: string | undefined } => {
    const card = byId.get(id)?.cards[0]
    return card === undefined
      ? { node: name(id), frame: undefined }
      : { node: name(card.id), frame: frame(name(id)) }
  }
  const lines: string[] = []
  for (const box of boxes) {
    const marks = marksWith(box.marks, box.forwards)
    const label = [`label=${quoted(boxLabel(box))}`, ...faultAttributes(marks)]
    if (box.cards.length === 0) {
      lines.push(`  ${name(box.id)} [${[...label, ...shapeOf(box)].join(', ')}]`)
      continue
    }
    lines.push(`  subgraph ${frame(name(box.id))} {`, `    graph [${label.join(', ')}]`)
    for (const card of box.cards)
      lines.push(
        `    ${name(card.id)} [${[
          `label=${quoted(cardLabel(card))}`,
          ...faultAttributes(marksWith(card.marks, card.forwards)),
          ...(card.off ? ['style="rounded,dashed"', 'fontcolor="#6e7781"'] : [])
        ].join(', ')}]`
      )
    lines.push('  }')
  }
  for (const { from, to, label, masquerade } of wires) {
    const [a, b] = [end(from), end(to)]
    const texts = [...(label === '' ? [] : [label]), ...(masquerade ? ['masquerade'] : [])]
    const attributes = [
      'dir=none',
      ...(texts.length === 0 ? [] : [`label=${quoted(texts)}`]),
      ...(a.frame === undefined ? [] : [`ltail=${a.frame}`]),
      ...(b.frame === undefined ? [] : [`lhead=${b.frame}`])
    ]
    lines.push(`  ${a.node} -> ${b.node} [${attributes.join(', ')}]`)
  }
  for (const { cards } of boxes)
    for (const card of cards)
      if (card.forwards.length > 0)
        lines.push(
          `  ${name('host')} -> ${name(card.id)} [label=${quoted(forwardLabel(card))}, color="#0969da", fontcolor="#0550ae"]`
        )
  const legend = legendLines(picture)
  if (legend.length > 0) lines.push(`  legend [shape=note, label=${quoted(legend)}]`)
  return `// ${MARK}
digraph network {
  graph [rankdir=LR, compound=true, fontname="Helvetica", fontsize=12, tooltip=${quoted([picture.summary])}]
  node [shape=box, style=rounded, fontname="Helvetica", fontsize=11]
  edge [fontname="Helvetica", fontsize=10]
${lines.join('\n')}
}
`
}

const frame = (name: string): string => `cluster_${name}`

const shapeOf = ({ kind }: Box): readonly string[] =>
  kind === 'internet' || kind === 'lan'
    ? ['shape=ellipse']
    : kind === 'missing'
      ? ['style="rounded,dashed"']
      : []

const COLOURS: Readonly<Record<Mark['severity'], string>> = { error: '#d1242f', warning: '#bf8700' }

const faultAttributes = (marks: readonly Mark[]): readonly string[] => {
  const fault = faultOf(marks)
  return fault === undefined
    ? []
    : [`color="${COLOURS[fault]}"`, 'penwidth=2', `tooltip=${quoted(sayings(marks))}`]
}

const LONGEST = 120

/** Lines in a quoted string. A backslash begins an escape there, and an ampersand an entity of HTML. */
const quoted = (lines: readonly string[]): string =>
  `"${lines
    .map(line =>
      short(line, LONGEST).replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('&', '&amp;')
    )
    .join('\\n')}"`
