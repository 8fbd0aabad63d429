import { MARK } from './labels.ts'
import { layoutOf } from './layout.ts'
import type { Picture } from './picture.ts'
import type { Shape } from './shapes.ts'

/** One picture for light and dark: whoever shows it, also as an image, says which is wanted. */
const STYLE = `
  text { font-family: system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; font-size: 11px; fill: #1f2328 }
  .title { font-size: 14px; font-weight: 600 }
  .name { font-size: 12.5px; font-weight: 600 }
  .mono, .port, .forward { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, 'Liberation Mono', 'DejaVu Sans Mono', monospace; white-space: pre }
  .mono { font-size: 11.5px }
  .port { font-size: 10.5px }
  .muted, .port { fill: #59636e }
  text.forward { fill: #0550ae }
  text.nat { fill: #6639ba }
  text.error { fill: #b31d28; font-weight: 600 }
  text.warning { fill: #7d4e00; font-weight: 600 }
  .page { fill: #ffffff }
  .box { fill: #f6f8fa; stroke: #c4ccd4 }
  .missing { fill: none; stroke: #818b98; stroke-dasharray: 5 3 }
  .card { fill: #ffffff; stroke: #d1d9e0 }
  .more { fill: none; stroke: #818b98; stroke-dasharray: 3 3 }
  .tag { fill: #eaeef2 }
  .pill { fill: #f3ecff; stroke: #c8b0f5 }
  rect.error { stroke: #d1242f; stroke-width: 1.5 }
  rect.warning { stroke: #bf8700; stroke-width: 1.5 }
  .wire { fill: none; stroke-width: 1.5; stroke-linejoin: round }
  .link { stroke: #818b98 }
  .to { stroke: #0969da }
  .head { fill: #0969da }
  .bad { fill: #d1242f }
  .odd { fill: #bf8700 }
  .sign { fill: none; stroke: #ffffff; stroke-width: 1.6; stroke-linecap: round }
  .icon { fill: none; stroke: #59636e; stroke-width: 1.3 }
  .faint { opacity: .6 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .muted, .port { fill: #9da7b3 }
    text.forward { fill: #79b8ff }
    text.nat { fill: #c9a8ff }
    text.error { fill: #ff9492 }
    text.warning { fill: #e3b341 }
    .page { fill: #0d1117 }
    .box { fill: #151b23; stroke: #3d444d }
    .missing, .more { stroke: #7d8590 }
    .card { fill: #0d1117; stroke: #3d444d }
    .tag { fill: #262c36 }
    .pill { fill: #261b3d; stroke: #553c8f }
    rect.error { stroke: #f85149 }
    rect.warning { stroke: #d29922 }
    .link { stroke: #7d8590 }
    .to { stroke: #4493f8 }
    .head { fill: #4493f8 }
    .bad { fill: #f85149 }
    .odd { fill: #d29922 }
    .sign { stroke: #0d1117 }
    .icon { stroke: #9da7b3 }
  }
`

/** A picture that needs nothing else: no script, no font, no address to load from. */
export const svg = (picture: Picture): string => {
  const { width, height, shapes } = layoutOf(picture)
  return `<!-- ${MARK} -->
<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="title desc">
<title id="title">${escaped(picture.title)}</title>
<desc id="desc">${escaped(picture.summary)}</desc>
<style>${STYLE}</style>
${shapes.flatMap(shape => print(shape)).join('\n')}
</svg>
`
}

const escaped = (text: string): string => text.replace(/[&<>"']/g, char => `&#${char.charCodeAt(0)};`)

/** A coordinate with at most one digit behind the point. */
const n = (value: number): string => String(Math.round(value * 10) / 10)

const print = (shape: Shape): readonly string[] => {
  switch (shape.kind) {
    case 'rect': {
      const { ink, radius, x, y, width, height, fault } = shape
      const classes = fault === undefined ? ink : `${ink} ${fault}`
      return [
        `<rect class="${classes}" x="${n(x)}" y="${n(y)}" width="${n(width)}" height="${n(height)}" rx="${radius}"/>`
      ]
    }
    case 'text':
      return shape.text === ''
        ? []
        : [`<text class="${shape.ink}" x="${n(shape.x)}" y="${n(shape.y)}">${escaped(shape.text)}</text>`]
    case 'wire':
      return wire(shape)
    case 'badge':
      return badge(shape.severity, shape.x, shape.y)
    case 'icon':
      return [icon(shape.icon, shape.x, shape.y)]
    default:
      return [
        `<g${shape.faint ? ' class="faint"' : ''}>`,
        `<title>${escaped(shape.says.join('\n'))}</title>`,
        ...shape.shapes.flatMap(inner => print(inner)),
        '</g>'
      ]
  }
}

const RADIUS = 6

/** Straight lines with rounded corners. */
const wire = ({ ink, points, arrow }: Shape & { readonly kind: 'wire' }): readonly string[] => {
  const path = points
    .map(([x, y], i) => {
      const [before, after] = [points[i - 1], points[i + 1]]
      if (before === undefined) return `M${n(x)} ${n(y)}`
      if (after === undefined) return `L${n(x)} ${n(y)}`
      const radius = Math.min(RADIUS, length(before, [x, y]) / 2, length([x, y], after) / 2)
      const [x1, y1] = towards([x, y], before, radius)
      const [x2, y2] = towards([x, y], after, radius)
      return `L${n(x1)} ${n(y1)}Q${n(x)} ${n(y)} ${n(x2)} ${n(y2)}`
    })
    .join('')
  const line = `<path class="wire ${ink === 'link' ? 'link' : 'to'}" d="${path}"/>`
  const [x, y] = points.at(-1) ?? [0, 0]
  return arrow ? [line, `<path class="head" d="M${n(x)} ${n(y)}l-7 -3.5v7z"/>`] : [line]
}

type Point = readonly [number, number]

const length = ([x1, y1]: Point, [x2, y2]: Point): number => Math.abs(x1 - x2) + Math.abs(y1 - y2)

const towards = ([x, y]: Point, [x2, y2]: Point, steps: number): Point => [
  x + Math.sign(x2 - x) * steps,
  y + Math.sign(y2 - y) * steps
]

const badge = (severity: 'error' | 'warning', x: number, y: number): readonly string[] =>
  severity === 'error'
    ? [
        `<circle class="bad" cx="${n(x)}" cy="${n(y)}" r="6.5"/>`,
        `<path class="sign" d="M${n(x - 2.3)} ${n(y - 2.3)}l4.6 4.6m0 -4.6l-4.6 4.6"/>`
      ]
    : [
        `<path class="odd" d="M${n(x)} ${n(y - 7)}l7 12.5h-14z"/>`,
        `<path class="sign" d="M${n(x)} ${n(y - 2)}v3m0 2.3v.1"/>`
      ]

const icon = (kind: 'internet' | 'lan', x: number, y: number): string =>
  kind === 'internet'
    ? `<path class="icon" d="M${n(x + 8)} ${n(y + 1)}a7 7 0 1 0 .1 0zm0 0c-4 4 -4 10 0 14c4 -4 4 -10 0 -14zm-7 7h14"/>`
    : `<path class="icon" d="M${n(x + 5.5)} ${n(y + 1)}h5v4h-5zm2.5 4v3m-5.5 3v-3h11v3m-8 0h-5v4h5zm8 0h-5v4h5z"/>`
