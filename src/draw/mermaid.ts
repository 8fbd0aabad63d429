import { boxLabel, cardLabel, forwardLabel, legendLines, MARK, namesOf, short } from './labels.ts'
import type { Mark } from './marks.ts'
import type { Box, Picture } from './picture.ts'
import { faultOf, marksWith } from './shapes.ts'

// https://mermaid.js.org/syntax/flowchart.html. Colours of faults are those of frames only, so that the theme of whoever shows
// it, light or dark, keeps the rest.

export const mermaid = (picture: Picture): string => {
  const { boxes, wires } = picture
  const names = namesOf(picture)
  const name = (id: string): string => names.get(id) ?? ''
  const classes = new Map<string, string[]>()
  const put = (id: string, kind: string): void => {
    classes.set(kind, [...(classes.get(kind) ?? []), id])
  }
  const marked = (id: string, marks: readonly Mark[]): void => {
    const fault = faultOf(marks)
    if (fault !== undefined) put(name(id), fault)
  }
  const lines: string[] = []
  for (const box of boxes) {
    marked(box.id, marksWith(box.marks, box.forwards))
    if (box.cards.length === 0) {
      lines.push(`  ${name(box.id)}${around(box, labelText(boxLabel(box)))}`)
      continue
    }
    // A title has one line there; what else is to be said of the box is a node in it.
    const [title = '', ...more] = boxLabel(box)
    lines.push(`  subgraph ${name(box.id)}[${labelText([title])}]`)
    if (more.length > 0) lines.push(`    ${name(box.id)}h(${labelText(more)})`)
    for (const card of box.cards) {
      lines.push(`    ${name(card.id)}[${labelText(cardLabel(card))}]`)
      marked(card.id, marksWith(card.marks, card.forwards))
      if (card.off) put(name(card.id), 'off')
    }
    lines.push('  end')
  }
  for (const { from, to, label, masquerade } of wires) {
    const texts = [...(label === '' ? [] : [label]), ...(masquerade ? ['masquerade'] : [])]
    lines.push(`  ${name(from)} ---${texts.length === 0 ? '' : `|${labelText(texts)}|`} ${name(to)}`)
  }
  for (const { cards } of boxes)
    for (const card of cards)
      if (card.forwards.length > 0)
        lines.push(`  ${name('host')} -->|${labelText(forwardLabel(card))}| ${name(card.id)}`)
  const legend = legendLines(picture)
  if (legend.length > 0) lines.push(`  legend[${labelText(legend, LONGEST_MESSAGE)}]`)
  for (const [kind, ids] of classes)
    lines.push(`  classDef ${kind} ${STYLES[kind] ?? ''}`, `  class ${ids.join()} ${kind}`)
  return `%% ${MARK}\nflowchart LR\n${lines.join('\n')}\n`
}

const STYLES: Readonly<Record<string, string>> = {
  error: 'stroke:#d1242f,stroke-width:3px',
  warning: 'stroke:#bf8700,stroke-width:3px',
  off: 'opacity:0.6,stroke-dasharray:4'
}

const around = ({ kind }: Box, label: string): string =>
  kind === 'internet' || kind === 'lan' ? `([${label}])` : `[${label}]`

/** Mermaid refuses a text of more than 50,000 characters, and that of a hostile name is mostly escapes. */
const LONGEST = 60
const LONGEST_MESSAGE = 160

const labelText = (lines: readonly string[], most = LONGEST): string =>
  `"${lines.map(line => escaped(short(line, most))).join('<br/>')}"`

/**
 * Everything but letters and what addresses and ports consist of, as an entity: quotes, markup, Markdown, comments. Mermaid
 * takes an escaped `\n` for a line end all the same, and the last semicolon off a line that seems to set a style.
 */
const escaped = (text: string): string =>
  text.replace(/style|classDef|[^\p{L}\p{M}\p{N} ./:,_()+='→…✖▲-]|^-/gu, part =>
    part === '\\' ? '#92;#8203;' : `#${part.codePointAt(0)};${part.slice(part.length > 2 ? 1 : part.length)}`
  )
