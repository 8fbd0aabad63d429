import * as fc from 'fast-check'
import { stringify } from 'yaml'
import { describe, expect, test } from 'vitest'
import type { Finding, Label } from '../src/findings/finding.ts'
import { analyze } from '../src/index.ts'
import { compact } from '../src/report/compact.ts'
import { json } from '../src/report/json.ts'
import { locate, type Report } from '../src/report/located.ts'
import { type Paint, pretty } from '../src/report/pretty.ts'
import type { Source, Span } from '../src/text/source.ts'

const same = (text: string): string => text
const PLAIN: Paint = { error: same, warning: same, hint: same, bold: same, dim: same }

const located = (source: Source, findings: readonly Finding[]): Report => {
  const [report] = locate([{ source, document: undefined, findings }])
  if (report === undefined) throw new Error('no report')
  return report
}

/** Where a part of the text stands last; an empty part is its end. */
const spanOf = (text: string, part: string): Span => {
  const start = part === '' ? text.length : text.lastIndexOf(part)
  if (start < 0) throw new Error(`${part} is not in the text`)
  return { start, end: start + part.length }
}

const labelOf = (text: string, part: string, lead: string): Label => ({
  at: [],
  span: spanOf(text, part),
  text: `${lead} ${part.split('\n')[0]}`.trim()
})

const reportOf = (text: string, ...[primary, ...others]: readonly [string, ...string[]]): Report => {
  return located({ file: 'topology.yaml', text }, [
    {
      rule: 'some-rule',
      severity: 'error',
      message: 'something is wrong',
      labels: [labelOf(text, primary, 'this'), ...others.map(part => labelOf(text, part, 'and'))],
      note: 'it has a reason',
      help: 'mend it'
    }
  ])
}

/** The finding as it is printed, without the two lines above the text and what stands below it. */
const shown = (text: string, ...parts: readonly [string, ...string[]]): string =>
  pretty([reportOf(text, ...parts)], PLAIN)
    .split('\n')
    .slice(2, -6)
    .join('\n')

describe('a finding for people', () => {
  test('says what, where, why and what to do, and at the end how much of it there is', () => {
    expect(pretty([reportOf('version: 1\nfoo: 2\n', 'foo')], PLAIN)).toMatchInlineSnapshot(`
      "error[some-rule]: something is wrong
       --> topology.yaml:2:1
        |
      2 | foo: 2
        | ^^^ this foo
        |
        = note: it has a reason
        = help: mend it

      1 error
      "
    `)
  })

  test('shows one label', () => {
    expect(shown('version: 1\nfoo: 2\nbar: 3\n', 'foo')).toMatchInlineSnapshot(`
      "  |
      2 | foo: 2
        | ^^^ this foo"
    `)
  })

  test('shows two labels of one line in the order of the line', () => {
    expect(shown('foo: { bar: 1, baz: 2 }\n', 'baz', 'foo')).toMatchInlineSnapshot(`
      "  |
      1 | foo: { bar: 1, baz: 2 }
        | --- and foo
        |                ^^^ this baz"
    `)
  })

  test('shows labels of adjacent lines without a gap', () => {
    expect(shown('foo: 1\nbar: 2\nbaz: 3\n', 'bar', 'foo', 'baz')).toMatchInlineSnapshot(`
      "  |
      1 | foo: 1
        | --- and foo
      2 | bar: 2
        | ^^^ this bar
      3 | baz: 3
        | --- and baz"
    `)
  })

  test('shows the line between two labels', () => {
    expect(shown('foo: 1\nbar: 2\nbaz: 3\n', 'baz', 'foo')).toMatchInlineSnapshot(`
      "  |
      1 | foo: 1
        | --- and foo
      2 | bar: 2
      3 | baz: 3
        | ^^^ this baz"
    `)
  })

  test('shows dots for what lies between labels that are far apart', () => {
    const text = Array.from({ length: 100 }, (_, i) => `key${i}: ${i}`).join('\n')
    expect(shown(text, 'key99', 'key7:')).toMatchInlineSnapshot(`
      "    |
        8 | key7: 7
          | ----- and key7:
      ...
      100 | key99: 99
          | ^^^^^ this key99"
    `)
  })

  test('keeps the marks under their text where tabs stand before it', () => {
    expect(shown('foo:\t{ bar:\t1 }\n', 'bar')).toMatchInlineSnapshot(`
      "  |
      1 | foo: { bar: 1 }
        |        ^^^ this bar"
    `)
  })

  test('keeps the marks under their text where wide, joined and escaped characters stand before it', () => {
    expect(
      shown('{ "日本": 1, "e\u0301": 2, "😀": 3, "\u202e": 4, foo: 5 }\n', 'foo')
    ).toMatchInlineSnapshot(`
      "  |
      1 | { "日本": 1, "é": 2, "😀": 3, "\\u202e": 4, foo: 5 }
        |                                            ^^^ this foo"
    `)
  })

  test('shows only the surroundings of a label in a long line', () => {
    const text = JSON.stringify({
      version: 1,
      containers: Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`web${i}`, {}]))
    })
    expect(shown(text, 'web42')).toMatchInlineSnapshot(`
      "  |
      1 | …":{},"web39":{},"web40":{},"web41":{},"web42":{},"web43":{},"web44":{},"web45":{},"web46":{},"web47":{},"web48":{},"web49":{},"web50":{},"web51":{},"web52":{},"…
        |                                         ^^^^^ this web42"
    `)
  })

  test('shows a long line anew for a label that lies outside of what was shown', () => {
    const text = JSON.stringify({
      version: 1,
      containers: Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`web${i}`, {}]))
    })
    expect(shown(text, 'web55', 'version', 'web54')).toMatchInlineSnapshot(`
      "  |
      1 | {"version":1,"containers":{"web0":{},"web1":{},"web2":{},"web3":{},"web4":{},"web5":{},"web6":{},"web7":{},"web8":{},"web9":{},"web10":{},"web11":{},"web12":{},…
        |   ------- and version
      1 | …":{},"web51":{},"web52":{},"web53":{},"web54":{},"web55":{},"web56":{},"web57":{},"web58":{},"web59":{}}}
        |                                         ----- and web54
        |                                                    ^^^^^ this web55"
    `)
  })

  test('cuts the marks of a label that is longer than what is shown', () => {
    const lines = shown(`foo: "${'x'.repeat(500)}"\n`, `"${'x'.repeat(500)}"`).split('\n')
    for (const line of lines) expect(line.split(' this')[0]?.length).toBeLessThanOrEqual(170)
  })

  test('shows a file with CRLF like one with LF', () => {
    const text = 'version: 1\nfoo: 2\nbar: 3\n'
    expect(shown(text.replaceAll('\n', '\r\n'), 'bar', 'foo')).toBe(shown(text, 'bar', 'foo'))
  })

  test('points behind the last character where the file ends too early', () => {
    expect(shown('foo: [1, 2', '')).toMatchInlineSnapshot(`
      "  |
      1 | foo: [1, 2
        |           ^ this"
    `)
  })

  test('points at the empty last line where the file ends with a line break', () => {
    expect(shown('foo: [1, 2\n', '')).toMatchInlineSnapshot(`
      "  |
      2 |
        | ^ this"
    `)
  })

  test('points at the start of an empty file', () => {
    expect(shown('', '')).toMatchInlineSnapshot(`
      "  |
      1 |
        | ^ this"
    `)
  })

  test('marks the first line of what spans several', () => {
    expect(shown('foo:\n  bar: 1\n  baz: 2\n', 'foo:\n  bar: 1\n  baz: 2')).toMatchInlineSnapshot(`
      "  |
      1 | foo:
        | ^^^^ this foo:"
    `)
  })

  test('aligns the numbers of lines', () => {
    const text = Array.from({ length: 10 }, (_, i) => `key${i}: ${i}`).join('\n')
    expect(shown(text, 'key8', 'key9')).toMatchInlineSnapshot(`
      "   |
       9 | key8: 8
         | ^^^^ this key8
      10 | key9: 9
         | ---- and key9"
    `)
  })

  test('is nothing where nothing was found', () => {
    expect(pretty([located({ file: 'a.yaml', text: 'version: 1' }, [])], PLAIN)).toBe('')
    expect(pretty([], PLAIN)).toBe('')
  })

  test('counts the findings of several files', () => {
    const reports = [
      reportOf('foo: 1', 'foo'),
      located({ file: 'b.yaml', text: '' }, []),
      reportOf('bar: 1', 'bar')
    ]
    expect(pretty(reports, PLAIN).trimEnd().split('\n').at(-1)).toBe('2 errors in 3 files')
  })
})

test('findings stand in the order of their places, at one place the gravest first', () => {
  const text = 'one: 1\ntwo: 2\nthree: 3\n'
  const finding = (part: string, severity: 'error' | 'warning' | 'hint', rule: string, message = '') => ({
    rule,
    severity,
    message,
    labels: [{ at: [], span: spanOf(text, part), text: 'here' }] as const,
    note: '',
    help: ''
  })
  const { findings } = located({ file: 'topology.yaml', text }, [
    finding('three', 'error', 'a'),
    finding('two', 'hint', 'a'),
    finding('two', 'warning', 'b', 'y'),
    finding('two', 'warning', 'b', 'x'),
    finding('two', 'warning', 'a', 'z'),
    finding('two', 'error', 'z'),
    finding('one', 'hint', 'z')
  ])
  expect(
    findings.map(({ rule, severity, message, labels: [{ start }] }) =>
      `${start.line} ${severity} ${rule} ${message}`.trim()
    )
  ).toEqual([
    '1 hint z',
    '2 error z',
    '2 warning a z',
    '2 warning b x',
    '2 warning b y',
    '2 hint a',
    '3 error a'
  ])
})

test('a place outside of the text becomes its border', () => {
  const { findings } = located({ file: 'topology.yaml', text: 'a: 1' }, [
    {
      rule: 'some-rule',
      severity: 'error',
      message: 'm',
      note: 'n',
      help: 'h',
      labels: [{ at: [], span: { start: -1, end: 99 }, text: 'here' }]
    }
  ])
  expect(findings[0]?.labels[0]).toMatchObject({ start: { line: 1, column: 1 }, end: { line: 1, column: 5 } })
})

/** Everything that a terminal acts on, and what turns the direction of writing. */
const UNSEEN = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u

test('no format lets through what a terminal acts on', () => {
  const text = fc.string({
    unit: fc.constantFrom(
      ...'a"\\\u0000\u0007\b\t\n\r\u001b\u007f\u0085\u009b\u2028\u2029\u202e\u2066\u200f\u061c'.split('')
    )
  })
  fc.assert(
    fc.property(text, text, text, (file, content, message) => {
      const report = located({ file, text: content }, [
        {
          rule: 'some-rule',
          severity: 'warning',
          message,
          labels: [{ at: ['a', message], span: { start: 0, end: content.length }, text: message }],
          note: message,
          help: message
        }
      ])
      for (const line of pretty([report], PLAIN).split('\n')) expect(line).not.toMatch(UNSEEN)
      expect(compact([report])).toMatch(/^[^\n]*\n$/)
      expect(compact([report]).trimEnd()).not.toMatch(UNSEEN)
      for (const line of json([report]).split('\n')) expect(line).not.toMatch(UNSEEN)
      expect(JSON.parse(json([report]))).toMatchObject({
        findings: [{ message, file, path: ['a', message] }]
      })
    })
  )
})

const findingsOf = async (value: unknown): Promise<Report['findings']> => {
  const { report } = await analyze({ file: 'topology.yaml', text: stringify(value) })
  return report.findings
}

describe('the same topology with its keys in another order', () => {
  const network = {
    version: 1,
    host: { manager: 'networkd', interfaces: { eth0: { dhcp: true } }, firewall: { allowedTCPPorts: [22] } },
    nat: {
      enable: true,
      internalInterfaces: ['br0'],
      externalInterface: 'eth0',
      forwardPorts: [{ sourcePort: 80, destination: '192.168.100.9:80' }]
    },
    bridges: {
      br0: { address: ['192.168.100.1/29'] },
      'a-bridge-with-a-long-name': { address: ['192.168.100.5/24'] },
      br2: { address: ['10.0.0.1/30'] }
    },
    containers: {
      web: {
        privateNetwork: true,
        hostBridge: 'br0',
        localAddress: '192.168.100.2/28',
        defaultGateway: '192.168.100.7'
      },
      data_base: {
        privateNetwork: true,
        hostBridge: 'br0',
        localAddress: '192.168.100.3',
        hostAddress: '192.168.100.1'
      },
      lone: {
        privateNetwork: true,
        localAddress: '300.0.0.1',
        hostAddress: 'fd00::1',
        firewall: { allowedTCPPorts: [99999] }
      },
      a: { privateNetwork: true, hostBridge: 'br2', localAddress: '10.0.0.2/30', unknown: true },
      b: {
        privateNetwork: true,
        hostBridge: 'br2',
        localAddress: '10.0.0.3/30',
        defaultGateway: { address: '10.0.0.1' }
      },
      c: {
        privateNetwork: true,
        hostBridge: 'nowhere',
        localAddress6: 'fc00::2/64',
        forwardPorts: [{ hostPort: 22, protocol: 'sctp' }]
      }
    },
    reserved: [{ prefix: '10.0.0.0/8', for: 'LAN' }]
  }

  const shuffled = (value: unknown, next: () => number): unknown => {
    if (Array.isArray(value)) return value.map(item => shuffled(item, next))
    if (typeof value !== 'object' || value === null) return value
    const entries = Object.entries(value).map(([key, item]): [number, string, unknown] => [
      next(),
      key,
      shuffled(item, next)
    ])
    return Object.fromEntries(entries.sort(([a], [b]) => a - b).map(([, key, item]) => [key, item]))
  }

  /** What is told of the findings in the written order, and in 50 others. */
  const inAnyOrder = async (
    value: unknown,
    told: (finding: Report['findings'][number]) => string
  ): Promise<{ readonly written: string[]; readonly others: readonly string[][] }> => {
    const words = async (value: unknown): Promise<string[]> => (await findingsOf(value)).map(told).sort()
    const orders = fc.sample(fc.infiniteStream(fc.nat()), 50)
    const others = orders.map(random => words(shuffled(value, () => random.next().value ?? 0)))
    return { written: await words(value), others: await Promise.all(others) }
  }

  test('has the same findings in the same words', async () => {
    const { written, others } = await inAnyOrder(
      network,
      ({ rule, severity, message }) => `${severity} ${rule}: ${message}`
    )
    expect(new Set(written).size).toBeGreaterThan(8)
    for (const other of others) expect(other).toEqual(written)
  })

  // Of two containers with one address the later one is told to change.
  test('has findings of the same rules where it depends on the order whose fault it is', async () => {
    const bridged = { privateNetwork: true, hostBridge: 'br0', localAddress: '10.0.0.2/24' }
    const collisions = {
      version: 1,
      host: { interfaces: { eth1: { address: '10.0.0.5/24' }, eth2: { address: '10.0.0.5/24' } } },
      bridges: {
        br0: { address: ['10.0.0.1/24'] },
        br1: { address: ['10.0.0.1/16'] },
        br2: { address: ['10.3.0.1/16'] }
      },
      containers: {
        web: {
          ...bridged,
          forwardPorts: [{ hostPort: 80 }],
          extraVeths: { x0: {}, x1: { localAddress: '10.9.9.9' } }
        },
        WEB: {
          ...bridged,
          forwardPorts: [{ hostPort: 80 }],
          extraVeths: { x0: { localAddress: '10.9.9.9' } }
        },
        off: { ...bridged, enabled: false },
        alone: { privateNetwork: true, localAddress: '10.0.0.2', hostAddress: '10.0.0.1' },
        shared: { listens: [{ port: 90 }] },
        shared2: { listens: [{ port: 90 }] }
      }
    }
    const { written, others } = await inAnyOrder(collisions, ({ rule, severity }) => `${severity} ${rule}`)
    expect(new Set(written).size).toBeGreaterThan(5)
    for (const other of others) expect(other).toEqual(written)
  })

  test('read twice gives the same bytes', async () => {
    const text = stringify(network)
    const print = async (): Promise<string> => {
      const { report } = await analyze({ file: 'topology.yaml', text })
      return pretty([report], PLAIN) + compact([report]) + json([report])
    }
    expect(await print()).toBe(await print())
  })
})
