import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { analyze } from '../src/index.ts'
import { RULES } from '../src/rules/index.ts'
import { formatPath } from '../src/text/path.ts'
import { CLASSES, teller, type Truth, truthOf } from './truth.mjs'

// Networks of public configurations and issues, each with the truth about it in its first comments. What is wrong must
// be found at its place, and where nothing is wrong, nothing may be said (hints apart).

const folder = new URL('cases/', import.meta.url)
const cases = readdirSync(folder).map(file => {
  const text = readFileSync(new URL(file, folder), 'utf8')
  return { file, text, ...truthOf(text) }
})

interface Told {
  readonly text: string
  readonly grave: boolean
  readonly tells: (truth: Truth) => boolean
}

const look = async (file: string, text: string): Promise<readonly Told[]> => {
  const tells = teller(text)
  const { report } = await analyze({ file, text })
  return report.findings.map(({ rule, severity, labels }) => ({
    text: `[${rule}] ${formatPath(labels[0].at)}`,
    grave: severity !== 'hint',
    tells: truth =>
      tells(
        rule,
        labels.map(({ at }) => at),
        truth
      )
  }))
}

test('each of the thirty cases says where it is from and what is true of it', () => {
  expect(cases).toHaveLength(30)
  for (const { text, none, truths, argued } of cases) {
    expect(text).toMatch(/^# source: \S/)
    expect(truths.length > 0).toBe(!none)
    expect(text.match(/^# (?:truth|argued)/gm)).toHaveLength(Math.max(1, truths.length) + argued.length)
    for (const { at, path } of truths) expect(formatPath(path)).toBe(at)
  }
})

test('every class of mistake has rules, and they exist', () => {
  const classes = new Set(cases.flatMap(({ truths }) => truths.map(({ type }) => type)))
  expect([...classes].sort()).toEqual(Object.keys(CLASSES).sort())
  const rules = RULES.map(({ id }) => id)
  for (const id of Object.values(CLASSES).flat()) expect(rules).toContain(id)
})

describe('finds', () => {
  const expected = cases.flatMap(({ file, text, truths }) =>
    truths.map(truth => ({ file, text, truth, ...truth }))
  )

  test.each(expected)('$file: $type at $at', async ({ file, text, truth }) => {
    const findings = await look(file, text)
    expect(findings.filter(({ tells }) => tells(truth))).not.toEqual([])
  })
})

describe('gives no error and no warning beyond the truth', () => {
  test.each(cases)('$file', async ({ file, text, truths, argued }) => {
    const findings = await look(file, text)
    const more = findings.filter(({ grave, tells }) => grave && !truths.some(tells))
    expect(more.map(({ text }) => text).sort()).toEqual(
      argued.map(({ rule, at }) => `[${rule}] ${at}`).sort()
    )
  })
})
