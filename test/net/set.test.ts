import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { contains, formatPrefix, type Prefix, parsePrefix } from '../../src/net/prefix.ts'
import { overlapping, PrefixMap } from '../../src/net/set.ts'
import { crowdedAddr, crowdedPrefix } from './arbitrary.ts'

const parse = (text: string): Prefix => {
  const parsed = parsePrefix(text)
  if ('value' in parsed) return parsed.value
  throw new Error(`${text}: ${parsed.reason}`)
}

const pairs = (...texts: readonly string[]): string[] =>
  Array.from(overlapping(texts, parse), ({ outer, inner }) => `${inner} in ${outer}`)

describe('overlapping', () => {
  test.each<[string, readonly string[], readonly string[]]>([
    ['nothing', [], []],
    ['one prefix', ['10.0.0.0/8'], []],
    ['neighbours', ['10.0.0.0/25', '10.0.0.128/25'], []],
    ['one within the other', ['10.0.7.0/24', '10.0.0.0/16'], ['10.0.7.0/24 in 10.0.0.0/16']],
    ['equal ones, the first outside', ['10.0.0.1/24', '10.0.0.2/24'], ['10.0.0.2/24 in 10.0.0.1/24']],
    [
      'three in a row, each in the narrowest around it',
      ['10.0.0.0/8', '10.0.0.0/24', '10.0.0.0/16'],
      ['10.0.0.0/16 in 10.0.0.0/8', '10.0.0.0/24 in 10.0.0.0/16']
    ],
    [
      'two beside each other in a third',
      ['10.0.0.0/25', '10.0.0.0/24', '10.0.0.128/25', '10.0.1.0/24'],
      ['10.0.0.0/25 in 10.0.0.0/24', '10.0.0.128/25 in 10.0.0.0/24']
    ],
    [
      'everything holds all of its family',
      ['::/0', '0.0.0.0/0', '10.0.0.1/32'],
      ['10.0.0.1/32 in 0.0.0.0/0']
    ],
    [
      'equal numbers of two families are apart',
      ['10.0.0.0/8', '::a00:0/104', '10.0.0.1/32'],
      ['10.0.0.1/32 in 10.0.0.0/8']
    ]
  ])('%s', (_, texts, expected) => {
    expect(pairs(...texts)).toEqual(expected)
  })

  test('finds what comparing all pairs finds', () => {
    fc.assert(
      fc.property(fc.array(crowdedPrefix, { maxLength: 24 }), prefixes => {
        const items = prefixes.map((prefix, i) => ({ prefix, i }))
        // Around an item: wider prefixes that contain it, and equal ones that stand before it; the last is the narrowest.
        const expected = items.flatMap(inner => {
          const around = items
            .filter(
              ({ prefix, i }) =>
                contains(prefix, inner.prefix) &&
                (prefix.bits < inner.prefix.bits || (prefix.bits === inner.prefix.bits && i < inner.i))
            )
            .sort((a, b) => a.prefix.bits - b.prefix.bits || a.i - b.i)
          const outer = around.at(-1)
          return outer === undefined ? [] : [`${inner.i} in ${outer.i}`]
        })
        const found = Array.from(
          overlapping(items, ({ prefix }) => prefix),
          ({ outer, inner }) => `${inner.i} in ${outer.i}`
        )
        expect(found.sort()).toEqual(expected.sort())
      }),
      { numRuns: 1000 }
    )
  })

  test('does not depend on the order, except among equal prefixes', () => {
    const unlike = fc.uniqueArray(crowdedPrefix, {
      selector: prefix =>
        `${prefix.family} ${prefix.value >> BigInt((prefix.family === 4 ? 32 : 128) - prefix.bits)}/${prefix.bits}`,
      maxLength: 16
    })
    fc.assert(
      fc.property(unlike, fc.infiniteStream(fc.nat()), (prefixes, random) => {
        const texts = prefixes.map(formatPrefix)
        const shuffled = texts
          .map(text => ({ text, key: random.next().value ?? 0 }))
          .sort((a, b) => a.key - b.key)
          .map(({ text }) => text)
        expect(pairs(...shuffled)).toEqual(pairs(...texts))
      })
    )
  })

  test.skipIf('STRYKER_MUTATOR_WORKER' in process.env)(
    'takes seconds at most for 100,000 prefixes within each other',
    () => {
      const items = Array.from(
        { length: 100_000 },
        (_, i): Prefix => ({ family: 6, value: BigInt(i), bits: i % 129 })
      )
      const start = performance.now()
      expect(Array.from(overlapping(items, prefix => prefix)).length).toBeGreaterThan(90_000)
      expect(performance.now() - start).toBeLessThan(5000)
    }
  )
})

describe('PrefixMap', () => {
  test('finds the narrowest prefix around an address', () => {
    const map = new PrefixMap<string>()
    for (const text of ['10.0.0.0/8', '10.0.0.0/24', '::/0', '10.0.0.7/32']) map.add(parse(text), text)
    expect(map.get(parse('10.0.0.7'))).toBe('10.0.0.7/32')
    expect(map.get(parse('10.0.0.8'))).toBe('10.0.0.0/24')
    expect(map.get(parse('10.1.0.0'))).toBe('10.0.0.0/8')
    expect(map.get(parse('11.0.0.0'))).toBeUndefined()
    expect(map.get(parse('::a00:7'))).toBe('::/0')
  })

  test('keeps the first of equal prefixes', () => {
    const map = new PrefixMap<string>()
    map.add(parse('10.0.0.1/24'), 'first')
    map.add(parse('10.0.0.2/24'), 'second')
    expect(map.get(parse('10.0.0.3'))).toBe('first')
  })

  test('has each prefix once, IPv4 first, the longest first, and else in the order in which they came', () => {
    const map = new PrefixMap<string>()
    const texts = ['::/0', '10.0.1.0/24', '10.0.0.0/8', '10.0.0.0/24', '10.0.1.7/24', '::1/0', '::1/128']
    for (const text of texts) map.add(parse(text), text)
    expect([...map.values()]).toEqual(['10.0.1.0/24', '10.0.0.0/24', '10.0.0.0/8', '::1/128', '::/0'])
  })

  test('finds what trying all prefixes finds', () => {
    fc.assert(
      fc.property(fc.array(crowdedPrefix, { maxLength: 24 }), fc.array(crowdedAddr), (prefixes, addrs) => {
        const map = new PrefixMap<number>()
        for (const [i, prefix] of prefixes.entries()) map.add(prefix, i)
        for (const addr of addrs) {
          const [narrowest] = prefixes
            .map((prefix, i) => ({ prefix, i }))
            .filter(({ prefix }) => contains(prefix, addr))
            .sort((a, b) => b.prefix.bits - a.prefix.bits || a.i - b.i)
          expect(map.get(addr)).toBe(narrowest?.i)
        }
      }),
      { numRuns: 500 }
    )
  })
})
