import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PRINTERS } from '../src/draw/index.ts'
import { layoutOf } from '../src/draw/layout.ts'
import { type Box, type Card, type Picture, pictureOf } from '../src/draw/picture.ts'
import { FONTS, type Rect, type Shape } from '../src/draw/shapes.ts'
import { widthOf } from '../src/draw/text.ts'
import { analyze } from '../src/index.ts'
import {
  type Data,
  hostileBases,
  hostilePlaces,
  hostileStrings,
  networks,
  toData,
  toJson,
  toYaml
} from './topologies.ts'

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')

const drawn = async (text: string, { findings = false } = {}): Promise<Picture> => {
  const { report, plan } = await analyze({ file: 'topology.yaml', text })
  if (plan === undefined) throw new Error(report.findings.map(({ message }) => message).join('; '))
  return pictureOf(plan, findings ? report.findings : [])
}

const box = ({ boxes }: Picture, title: string): Box => {
  const found = boxes.filter(box => box.title === title)
  expect(found).toHaveLength(1)
  return found[0] as Box
}

const card = ({ boxes }: Picture, title: string): Card => {
  const found = boxes.flatMap(({ cards }) => cards).filter(card => card.title === title)
  expect(found).toHaveLength(1)
  return found[0] as Card
}

/** The wires by the titles of their ends. */
const wires = ({ boxes, wires }: Picture): readonly string[] => {
  const titles = new Map(boxes.map(({ id, title }) => [id, title]))
  return wires.map(
    ({ from, to, label, masquerade }) =>
      `${titles.get(from)} - ${titles.get(to)}${label === '' ? '' : ` by ${label}`}${masquerade ? ', masquerade' : ''}`
  )
}

const WHOLE = `version: 1
name: home
host:
  name: atlas
  interfaces: { wan: { address: [192.0.2.10/24] }, eno3: {} }
  vlans: { lan: { id: 20, interface: eno3 } }
  defaultGateway: { address: 192.0.2.1, interface: wan }
  listens: [{ name: sshd, port: 22 }]
nat:
  enable: true
  externalInterface: wan
  internalInterfaces: [br0, ve-+]
  forwardPorts:
    - { sourcePort: 80, destination: '10.0.0.2:8080', proto: tcp }
    - { sourcePort: '5000:5010', destination: '10.0.0.2:5000-5010', proto: udp }
    - { sourcePort: 81, destination: '10.0.0.77:81', proto: tcp }
bridges:
  br0: { address: [10.0.0.1/24, 'fd12:3456:789a::1/64'] }
  br1: { interfaces: [lan] }
containers:
  web:
    privateNetwork: true
    hostBridge: br0
    localAddress: 10.0.0.2/24
    localAddress6: 'fd12:3456:789a::2/64'
    listens: [{ name: nginx, port: 8080 }, { port: 53, protocol: udp }]
  pair:
    privateNetwork: true
    hostAddress: 10.1.0.1
    localAddress: 10.1.0.2
    forwardPorts: [{ hostPort: 25, containerPort: 2525, protocol: tcp }]
  old:
    enabled: false
    privateNetwork: true
    hostBridge: br0
    localAddress: 10.0.0.9/24
    forwardPorts: [{ hostPort: 26, containerPort: 26, protocol: tcp }]
  both:
    privateNetwork: true
    hostBridge: br0
    localAddress: 10.0.0.3/24
    extraVeths: { inner: { hostBridge: br1, localAddress: 10.2.0.3/24 } }
  media: { privateNetwork: true, macvlans: [eno3], inside: { interfaces: { mv-eno3: { address: [10.9.0.3/24] } } } }
  card: { privateNetwork: true, interfaces: [enp7s0] }
  lost: { privateNetwork: true, hostBridge: brX, localAddress: 10.0.0.8/24 }
  alone: { privateNetwork: true }
  shared: { listens: [{ port: 9100 }] }
vms:
  guest: { kind: microvm, interfaces: { vm-guest: { type: tap, hostBridge: br1, address: [10.2.0.9/24] } } }
`

describe('what is drawn', () => {
  test('the example', async () => {
    const picture = await drawn(read('examples/two-containers.yaml'))
    expect(wires(picture)).toEqual(['internet - host by wlp5s0, masquerade', 'host - br0'])
    expect(box(picture, 'host')).toMatchObject({
      lines: ['wlp5s0 by DHCP'],
      tags: ['22/tcp sshd'],
      nat: 'NAT for br0'
    })
    expect(box(picture, 'br0')).toMatchObject({ kind: 'bridge', lines: ['192.168.100.1/29'] })
    expect(box(picture, 'br0').cards).toMatchObject([
      { title: 'containerA', lines: ['192.168.100.2/29'], tags: [], off: false },
      { title: 'containerB', lines: ['192.168.100.3/29'], tags: ['80/tcp httpd'] }
    ])
  })

  test('each is where it is attached, and wired to what it hangs on', async () => {
    const picture = await drawn(WHOLE)
    expect(picture.boxes.map(({ title, cards }) => [title, ...cards.map(({ title }) => title)])).toEqual([
      ['internet'],
      ['LAN'],
      ['atlas'],
      ['br0', 'web', 'old'],
      ['br1', 'guest'],
      ['brX', 'lost'],
      ['veth pairs', 'pair'],
      ['eno3', 'media'],
      ['interfaces of their own', 'card'],
      ["the host's network", 'shared'],
      ['no network', 'alone'],
      ['br0 + br1', 'both']
    ])
    expect([...wires(picture)].sort()).toEqual([
      'LAN - br1',
      'LAN - eno3',
      'LAN - interfaces of their own',
      'atlas - br0',
      'atlas - br1',
      "atlas - the host's network",
      'atlas - veth pairs',
      'br0 - br0 + br1',
      'br1 - br0 + br1',
      'internet - atlas by wan, masquerade'
    ])
    expect(box(picture, 'brX').kind).toBe('missing')
    expect(card(picture, 'guest').kind).toBe('machine')
  })

  test('addresses, ports and forwards', async () => {
    const picture = await drawn(WHOLE)
    expect(box(picture, 'br1').lines).toEqual(['port lan (VLAN 20)'])
    expect(card(picture, 'web')).toMatchObject({
      lines: ['10.0.0.2/24', 'fd12:3456:789a::2/64'],
      tags: ['8080/tcp nginx', '53/udp'],
      forwards: [{ text: ':80 → 8080/tcp' }, { text: ':5000-5010 → 5000-5010/udp' }]
    })
    expect(card(picture, 'pair')).toMatchObject({
      lines: ['10.1.0.2', 'host 10.1.0.1'],
      forwards: [{ text: ':25 → 2525/tcp' }]
    })
    expect(card(picture, 'both').lines).toEqual(['eth0 10.0.0.3/24', 'inner 10.2.0.3/24'])
    expect(card(picture, 'media').lines).toEqual(
      ['mv-eno3 10.9.0.3/24'].map(line => line.replace('mv-eno3 ', ''))
    )
    expect(card(picture, 'old')).toMatchObject({ off: true, forwards: [] })
    expect(box(picture, 'atlas').forwards).toMatchObject([{ text: ':81 → 10.0.0.77:81/tcp' }])
  })

  test('without NAT nothing is forwarded or masqueraded', async () => {
    const picture = await drawn(WHOLE.replace('enable: true', 'enable: false'))
    expect(box(picture, 'atlas')).toMatchObject({ nat: undefined, forwards: [] })
    expect(card(picture, 'web').forwards).toEqual([])
    expect(wires(picture)).toContain('internet - atlas by wan')
  })

  test('a host behind a bridge with a card is reached through the LAN', async () => {
    const picture = await drawn(read('examples/lan-bridge.yaml'))
    expect(wires(picture)).toEqual(['internet - LAN', 'LAN - br0', 'host - br0'])
  })

  test('a bridge that is the uplink masquerades itself', async () => {
    const nat = "nat: { enable: true, externalInterface: br0, internalInterfaces: ['ve-+'] }\n"
    const pair = '  pair: { privateNetwork: true, hostAddress: 10.1.0.1, localAddress: 10.1.0.2 }\n'
    const text = read('examples/lan-bridge.yaml').replace('bridges:', `${nat}bridges:`) + pair
    const picture = await drawn(text)
    expect(box(picture, 'br0').nat).toBe('masquerade')
    expect(wires(picture)).toEqual(['internet - LAN', 'LAN - br0', 'host - br0', 'host - veth pairs'])
    const own = await drawn(text.replace(/ +interfaces: \[enp0s31f6\]\n/, ''))
    expect(wires(own)).toEqual(['internet - br0', 'host - br0', 'host - veth pairs'])
  })

  test('containers stand in the order of their addresses, not of the file', async () => {
    const containers = [10, 9, 2].map(
      i => `  c${i}: { privateNetwork: true, hostBridge: br0, localAddress: 10.0.0.${i}/24 }\n`
    )
    const picture = await drawn(
      `version: 1\nbridges: { br0: { address: [10.0.0.1/24] } }\ncontainers:\n${containers.join('')}`
    )
    expect(box(picture, 'br0').cards.map(({ title }) => title)).toEqual(['c2', 'c9', 'c10'])
  })
})

describe('findings', () => {
  const FAULTY = `version: 1
host: { interfaces: { eth0: { dhcp: true } } }
nat:
  enable: true
  externalInterface: eth0
  internalInterfaces: [br0]
  forwardPorts: [{ sourcePort: 80, destination: 10.0.0.2, proto: tpc }]
bridges: { br0: { address: [10.0.0.1/24] } }
containers:
  a: { privateNetwork: true, hostBridge: br0, localAddress: 10.0.0.2/24, defaultGateway: { address: 10.0.0.1, interface: eth0 } }
  b: { privateNetwork: true, hostBridge: br0, localAddress: 10.0.0.2/24, defaultGateway: { address: 10.0.0.1, interface: eth0 } }
`

  test('stand at what they are about, with a number of the legend', async () => {
    const picture = await drawn(FAULTY, { findings: true })
    expect(picture.marks.map(({ number, severity, rule }) => [number, severity, rule])).toEqual([
      [1, 'error', 'duplicate-address'],
      [2, 'error', 'invalid-protocol']
    ])
    expect(card(picture, 'b').marks.map(({ rule }) => rule)).toEqual(['duplicate-address'])
    expect(card(picture, 'a').marks).toEqual([])
    expect(card(picture, 'a').forwards.map(({ marks }) => marks.map(({ rule }) => rule))).toEqual([
      ['invalid-protocol']
    ])
    expect(picture.summary).toBe('The network of a host with 1 bridge and 2 containers; 2 errors marked.')
    for (const print of Object.values(PRINTERS))
      for (const { rule } of picture.marks) expect(print(picture)).toContain(rule)
  })

  test('are not drawn unless they are asked for', async () => {
    const picture = await drawn(FAULTY)
    expect(picture.marks).toEqual([])
    for (const print of Object.values(PRINTERS)) expect(print(picture)).not.toContain('duplicate-address')
  })

  test('every error and warning of the pages is marked once, and no hint', async () => {
    let marked = 0
    for (const page of readdirSync(new URL('../docs/rules/', import.meta.url)))
      for (const [, text = ''] of read(`docs/rules/${page}`).matchAll(
        /^```yaml\n(version:[\s\S]*?)^```$/gm
      )) {
        const { report, plan } = await analyze({ file: 'topology.yaml', text })
        if (plan === undefined) continue
        const picture = pictureOf(plan, report.findings)
        const wanted = report.findings.filter(({ severity }) => severity !== 'hint')
        expect(picture.marks.map(({ rule }) => rule).sort()).toEqual(wanted.map(({ rule }) => rule).sort())
        const shown = picture.boxes.flatMap(box =>
          [box, ...box.cards].flatMap(({ marks, forwards }) => [
            ...marks,
            ...forwards.flatMap(({ marks }) => marks)
          ])
        )
        expect(shown.map(({ number }) => number).sort((a, b) => a - b)).toEqual(
          picture.marks.map(({ number }) => number)
        )
        marked += shown.length
      }
    expect(marked).toBeGreaterThan(200)
  })
})

// The picture itself

const flat = (shapes: readonly Shape[]): readonly Shape[] =>
  shapes.flatMap(shape => (shape.kind === 'group' ? [shape, ...flat(shape.shapes)] : [shape]))

const overlap = (a: Rect, b: Rect): boolean =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height

const inside = (a: Rect, b: Rect): boolean =>
  a.x >= b.x - 0.1 &&
  a.y >= b.y - 0.1 &&
  a.x + a.width <= b.x + b.width + 0.1 &&
  a.y + a.height <= b.y + b.height + 0.1

const shrunk = (rect: Rect): Rect => ({
  x: rect.x + 1,
  y: rect.y + 1,
  width: rect.width - 2,
  height: rect.height - 2
})

/** What lies upon each other, of rectangles; a sweep, since a picture has hundreds. */
const overlaps = function* <T extends Rect>(rects: readonly T[]): Generator<readonly [T, T]> {
  const sorted = [...rects].sort((a, b) => a.y - b.y)
  for (const [i, a] of sorted.entries())
    for (let j = i + 1; j < sorted.length; j += 1) {
      const b = sorted[j]
      if (b === undefined || b.y >= a.y + a.height) break
      if (overlap(a, b)) yield [a, b]
    }
}

/** Every text has room, boxes and cards lie apart, and wires cross no card and no text. */
const geometry = (picture: Picture): { readonly width: number; readonly height: number } => {
  const { width, height, shapes } = layoutOf(picture)
  const all = flat(shapes)
  const page = { x: 0, y: 0, width, height }
  const rects = (...inks: readonly string[]): readonly Rect[] =>
    all.flatMap(shape => (shape.kind === 'rect' && inks.includes(shape.ink) ? [shape] : []))
  const texts = all.flatMap(shape => {
    if (shape.kind !== 'text') return []
    const { font, size } = FONTS[shape.ink]
    const rect = {
      x: shape.x,
      y: shape.y - size * 0.75,
      width: widthOf(shape.text, font, size),
      height: size
    }
    return [{ ...rect, text: shape.text, within: shape.within }]
  })
  const faults: string[] = []
  for (const { within, ...text } of texts) {
    if (!inside(text, page)) faults.push(`${text.text} leaves the page`)
    if (text.x + text.width > within.x + within.width + 0.1) faults.push(`${text.text} leaves its box`)
  }
  for (const [a, b] of overlaps(texts.map(text => ({ ...shrunk(text), text: text.text }))))
    faults.push(`${a.text} lies on ${b.text}`)
  const [boxes, cards] = [rects('box', 'missing'), rects('card', 'more')]
  for (const group of [boxes, cards]) {
    for (const rect of group) if (!inside(rect, page)) faults.push(`${JSON.stringify(rect)} leaves the page`)
    for (const pair of overlaps(group)) faults.push(JSON.stringify(pair))
  }
  for (const card of cards)
    if (boxes.filter(box => inside(card, box)).length !== 1)
      faults.push(`${JSON.stringify(card)} is in no box`)
  for (const tag of rects('tag'))
    if (![...cards, ...boxes].some(card => inside(tag, card)))
      faults.push(`${JSON.stringify(tag)} is in no card`)
  const solid = [...cards, ...boxes.filter(box => !cards.some(card => inside(card, box)))].map(shrunk)
  const words = texts.map(shrunk)
  for (const shape of all)
    if (shape.kind === 'wire')
      for (const [i, [x, y]] of shape.points.entries()) {
        const [x2, y2] = shape.points[i + 1] ?? [x, y]
        if (x !== x2 && y !== y2) faults.push(`${JSON.stringify(shape.points)} is not straight`)
        const line = {
          x: Math.min(x, x2),
          y: Math.min(y, y2),
          width: Math.abs(x - x2),
          height: Math.abs(y - y2)
        }
        for (const rect of [...solid, ...words])
          if (overlap(line, rect))
            faults.push(`${JSON.stringify(shape.points)} crosses ${JSON.stringify(rect)}`)
      }
  expect(faults).toEqual([])
  return { width, height }
}

/** A topology with so many containers on a bridge, of which every third has a forward. */
const many = (count: number): string => {
  const address = (i: number): string => `10.0.${Math.floor((i + 2) / 256)}.${(i + 2) % 256}`
  const numbers = Array.from({ length: count }, (_, i) => i)
  return JSON.stringify({
    version: 1,
    host: { interfaces: { eno1: { dhcp: true } } },
    nat: {
      enable: true,
      externalInterface: 'eno1',
      internalInterfaces: ['br0'],
      forwardPorts: numbers
        .filter(i => i % 3 === 0)
        .map(i => ({ sourcePort: 8000 + i, destination: `${address(i)}:80`, proto: 'tcp' }))
    },
    bridges: { br0: { address: ['10.0.0.1/16'] } },
    containers: Object.fromEntries(
      numbers.map(i => [
        `service-${i}`,
        {
          privateNetwork: true,
          hostBridge: 'br0',
          localAddress: `${address(i)}/16`,
          listens: i % 2 === 0 ? [{ name: 'http', port: 80 }] : []
        }
      ])
    )
  })
}

describe('the SVG', () => {
  test.each([1, 2, 8, 50, 200])('of %d containers is as wide as a README, nearly', async count => {
    const { width, height } = geometry(await drawn(many(count)))
    expect(width).toBeLessThan(1200)
    expect(width).toBeGreaterThan(400)
    expect(height).toBeLessThan(Math.max(420, 30 * count))
  })

  test('has bridges in the order of their names, where that makes no crossing', async () => {
    const names = ['br0', 'br1', 'br2', 'br3', 'br4', 'br5']
    const { shapes } = layoutOf(
      await drawn(`version: 1\nbridges: {${names.map(name => ` ${name}: {}`).join()} }\n`)
    )
    const titles = flat(shapes).flatMap(shape =>
      shape.kind === 'text' && names.includes(shape.text) ? [{ name: shape.text, y: shape.y }] : []
    )
    expect(titles.sort((a, b) => a.y - b.y).map(({ name }) => name)).toEqual(names)
  })

  test('of every kind of attachment has room for all of it', async () => {
    for (const findings of [false, true]) geometry(await drawn(WHOLE, { findings }))
  })

  test.each(readdirSync(new URL('../examples/', import.meta.url)))(
    'of %s has room for all of it',
    async file => {
      geometry(await drawn(read(`examples/${file}`), { findings: true }))
    }
  )

  test('of any network has room for all of it', async () => {
    await fc.assert(
      fc.asyncProperty(networks({ containers: 12, bridges: 6 }), async network => {
        geometry(await drawn(toYaml(toData(network)), { findings: true }))
      }),
      { numRuns: 60 }
    )
  })

  test('is the same whatever the order of the keys', async () => {
    await fc.assert(
      fc.asyncProperty(networks({ containers: 8 }), fc.nat(), async (network, shuffle) => {
        const data = toData(network)
        // What `auto` becomes does depend on the order of the file.
        fc.pre(!JSON.stringify(data).includes('"auto"'))
        const [one, other] = [await drawn(toYaml(data)), await drawn(toJson(data, { shuffle }))]
        for (const print of Object.values(PRINTERS)) expect(print(other)).toBe(print(one))
      }),
      { numRuns: 60 }
    )
  })

  test('needs nothing from elsewhere, and has no place for a script', async () => {
    const text = PRINTERS.svg(await drawn(WHOLE, { findings: true }))
    expect(text.replace('xmlns="http://www.w3.org/2000/svg"', '')).not.toMatch(
      /https?:|href|url\(|@import|@font-face|<script|<foreignObject|\son\w+=/i
    )
    expect(text).toMatch(/<title id="title">home<\/title>\n<desc id="desc">[^<]+<\/desc>/)
    expect(text).not.toMatch(/ (?:x|y|width|height|d)="[^"]*\d\.\d{2,}/)
  })

  test('has texts that can be read in light and in dark', async () => {
    const [, style = ''] = /<style>([\s\S]*)<\/style>/.exec(PRINTERS.svg(await drawn(WHOLE))) ?? []
    const [light = '', dark = ''] = style.split('@media (prefers-color-scheme: dark)')
    const colours = (css: string): ReadonlyMap<string, string> =>
      new Map(
        Array.from(
          css.matchAll(/^\s*([^{}]+) \{[^}]*?fill: (#[0-9a-f]{6})/gm),
          ([, names = '', colour = '']) =>
            names.split(', ').map(name => [name.replace('text.', '.'), colour] as const)
        ).flat()
      )
    for (const known of [colours(light), new Map([...colours(light), ...colours(dark)])]) {
      const pairs = [
        ...['text', '.muted', '.forward', '.error', '.warning'].flatMap(ink =>
          ['.page', '.box', '.card'].map(ground => [ink, ground] as const)
        ),
        ['.port', '.tag'] as const,
        ['.nat', '.pill'] as const
      ]
      for (const [ink, ground] of pairs)
        expect(
          contrast(known.get(ink) ?? '', known.get(ground) ?? ''),
          `${ink} on ${ground}`
        ).toBeGreaterThan(4.5)
    }
  })

  test('in docs is that of the example', async () => {
    const text = PRINTERS.svg(await drawn(read('examples/two-containers.yaml')))
    if (process.env['UPDATE'] === '1') writeFileSync(new URL('../docs/example.svg', import.meta.url), text)
    expect(read('docs/example.svg')).toBe(text)
    expect(read('README.md')).toContain('](docs/example.svg)')
  })
})

/** WCAG 2.2, relative luminance and contrast ratio. */
const contrast = (a: string, b: string): number => {
  const luminance = (colour: string): number => {
    const [red = 0, green = 0, blue = 0] = [1, 3, 5].map(at => {
      const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
  }
  const [dark = 0, light = 0] = [luminance(a), luminance(b)].sort((a, b) => a - b)
  return (light + 0.05) / (dark + 0.05)
}

describe('of too many', () => {
  const containers = (text: string): Promise<Picture> => drawn(text)

  test('containers the rest is summed up, those with forwards first', async () => {
    const picture = await containers(many(10_000))
    const { cards } = box(picture, 'br0')
    expect(cards.length).toBeLessThanOrEqual(200)
    expect(cards.at(-1)).toMatchObject({ kind: 'more', title: `… and ${10_000 - cards.length + 1} more` })
    expect(picture.left).toBe(10_000 - cards.length + 1)
    expect(cards.slice(0, -1).every(({ forwards }) => forwards.length > 0)).toBe(true)
    for (const print of Object.values(PRINTERS)) expect(print(picture).length).toBeLessThan(200_000)
  })

  test('networks the rest is one box', async () => {
    const numbers = Array.from({ length: 3000 }, (_, i) => i)
    const picture = await containers(
      JSON.stringify({
        version: 1,
        bridges: Object.fromEntries(numbers.map(i => [`br${i}`, {}])),
        containers: Object.fromEntries(
          numbers.map(i => [
            `c${i}`,
            {
              privateNetwork: true,
              hostBridge: `br${i}`,
              extraVeths: { [`x${i}`]: { hostBridge: `br${(i * 7) % 3000}` } }
            }
          ])
        )
      })
    )
    expect(picture.boxes.length).toBeLessThan(50)
    geometry(picture)
    for (const print of Object.values(PRINTERS)) expect(print(picture).length).toBeLessThan(100_000)
  })

  test('entries of one thing the first are named', async () => {
    const numbers = Array.from({ length: 100 }, (_, i) => i)
    const picture = await containers(
      JSON.stringify({
        version: 1,
        bridges: { br0: { address: numbers.map(i => `10.0.${i}.1/24`) } },
        containers: {
          c: {
            privateNetwork: true,
            hostBridge: 'br0',
            listens: numbers.map(port => ({ port: port + 1 })),
            inside: { interfaces: { eth0: { address: numbers.map(i => `10.0.${i}.2/24`) } } }
          }
        }
      })
    )
    expect(box(picture, 'br0').lines.at(-1)).toBe('… and 92 more')
    expect(card(picture, 'c').tags.at(-1)).toBe('… and 92 more')
    geometry(picture)
  })
})

// Texts that try to be more than a text

const missing = (tool: string, ...args: readonly string[]): boolean => {
  if ((process.env['CI'] ?? '') !== '') return false
  const { error } = spawnSync(tool, args)
  if (error !== undefined) process.stderr.write(`judges: tests are skipped, ${tool} not installed\n`)
  return error !== undefined
}

/** A hostile text in every place of the format, several networks in all. */
const hostile = (): Promise<readonly Picture[]> => (hostiles ??= hostilePictures())

let hostiles: Promise<readonly Picture[]> | undefined

const hostilePictures = async (): Promise<readonly Picture[]> => {
  const pictures: Picture[] = []
  const add = async (data: Data): Promise<void> => {
    const { report, plan } = await analyze({ file: 'x', text: toJson(data) })
    if (plan !== undefined) pictures.push(pictureOf(plan, report.findings))
  }
  const texts = fc.sample(hostileStrings(), { numRuns: hostilePlaces.length, seed: 7 })
  for (const [i, text] of texts.entries())
    await add((hostilePlaces[i % hostilePlaces.length] ?? hostilePlaces[0])?.put(text) ?? {})
  for (const data of Object.values(hostileBases)) await add(data)
  for (const text of [
    ']]><script>alert(1)</script>',
    '"]; x --> y; click n1 "javascript:x"',
    '</title>',
    '"];}\n//',
    '`**b**`',
    '#quot;',
    '%%{init: {}}%%',
    '\\"',
    '\\N\\G',
    '&lt;&#60;',
    'end',
    '\ud800',
    '\u0007\ufffe\u202e'
  ])
    await add({
      version: 1,
      name: text,
      host: { name: text, listens: [{ name: text, port: 1 }] },
      bridges: { [text]: { address: [text] } },
      containers: { [text]: { privateNetwork: true, hostBridge: text, localAddress: text } }
    })
  return pictures
}

describe('hostile texts', () => {
  test.skipIf(missing('python3', '-V'))('stay texts in XML, for a parser that knows', async () => {
    const pictures = await hostile()
    expect(pictures.length).toBeGreaterThan(200)
    const script = `
import json, sys
from xml.etree import ElementTree
answers = []
for text in json.load(sys.stdin):
    root = ElementTree.fromstring(text.encode('utf-8'))
    tags = sorted({e.tag.split('}')[1] for e in root.iter()})
    names = sorted({name for e in root.iter() for name in e.attrib})
    answers.append([tags, names, [e.text for e in root.iter() if e.tag.endswith('}text')]])
print(json.dumps(answers))
`
    const { stdout, stderr, status } = spawnSync('python3', ['-c', script], {
      input: JSON.stringify(pictures.map(PRINTERS.svg)),
      encoding: 'utf8',
      maxBuffer: 1 << 28
    })
    expect(stderr).toBe('')
    expect(status).toBe(0)
    const answers = JSON.parse(stdout) as [string[], string[], string[]][]
    for (const [i, [tags, names, texts]] of answers.entries()) {
      expect(['circle', 'desc', 'g', 'path', 'rect', 'style', 'svg', 'text', 'title']).toEqual(
        expect.arrayContaining(tags)
      )
      expect(names.filter(name => /^on|href|style/.test(name))).toEqual([])
      const wanted = flat(layoutOf(pictures[i] as Picture).shapes).flatMap(shape =>
        shape.kind === 'text' && shape.text !== '' ? [shape.text] : []
      )
      expect(texts).toEqual(wanted)
    }
  })

  test('have room in the picture', async () => {
    for (const picture of await hostile()) geometry(picture)
  })

  test.skipIf(missing('dot', '-V'))('stay texts in dot, for Graphviz', async () => {
    const pictures = await hostile()
    const { stdout, stderr, status } = spawnSync('dot', ['-Tdot_json'], {
      input: pictures.map(PRINTERS.dot).join(''),
      encoding: 'utf8',
      maxBuffer: 1 << 28
    })
    expect(stderr.split('\n').filter(line => /syntax|error/i.test(line))).toEqual([])
    expect(status).toBe(0)
    const graphs = `[${stdout.trim().replaceAll(/^\}\n?\{/gm, '},{')}]`
    const answers = JSON.parse(graphs) as {
      objects?: { name: string; label?: string }[]
      edges?: unknown[]
    }[]
    expect(answers).toHaveLength(pictures.length)
    for (const [i, { objects = [], edges = [] }] of answers.entries()) {
      const { boxes, wires, marks } = pictures[i] as Picture
      const cards = boxes.flatMap(({ cards }) => cards)
      // A box with cards is a frame, one without a node.
      expect(objects.map(({ name }) => name).sort()).toEqual(
        [
          ...boxes
            .flatMap(({ id, cards }) => [
              { id, isFrame: cards.length > 0 },
              ...cards.map(({ id }) => ({ id, isFrame: false }))
            ])
            .map(({ isFrame }, i) => `${isFrame ? 'cluster_' : ''}n${i}`),
          ...(marks.length > 0 ? ['legend'] : [])
        ].sort()
      )
      expect(edges).toHaveLength(wires.length + cards.filter(({ forwards }) => forwards.length > 0).length)
    }
  })

  test('are no entities and no escapes of dot', async () => {
    const picture = await drawn(JSON.stringify({ version: 1, host: { name: '&lt;\\N"' } }))
    expect(PRINTERS.dot(picture)).toContain(String.raw`[label="&amp;lt;\\N\" (host)"]`)
  })

  test('stay texts in Mermaid: nothing but letters, digits and what cannot end or begin anything there', async () => {
    const label = String.raw`"(?:[\p{L}\p{M}\p{N} ./:,_()+='→…✖▲-]|#\d+;|<br/>)*"`
    const lines = [
      /^%% Drawn by netplan; change the topology and draw it anew\.$/,
      /^flowchart LR$/,
      new RegExp(String.raw`^ +(?:n\d+h?|legend)(?:\(\[${label}\]\)|\[${label}\]|\(${label}\))$`, 'u'),
      new RegExp(String.raw`^  subgraph n\d+\[${label}\]$`, 'u'),
      /^  end$/,
      new RegExp(String.raw`^  n\d+ (?:---|-->)(?:\|${label}\|)? n\d+$`, 'u'),
      /^  classDef (?:error|warning|off) [\w:#,.-]+$/,
      /^  class n\d+(?:,n\d+)* (?:error|warning|off)$/
    ]
    const strange: string[] = []
    for (const picture of await hostile()) {
      const text = PRINTERS.mermaid(picture)
      expect(text.endsWith('\n')).toBe(true)
      for (const line of text.slice(0, -1).split('\n'))
        if (!lines.some(known => known.test(line))) strange.push(line)
    }
    expect(strange).toEqual([])
  })
})
