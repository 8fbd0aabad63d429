import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { analyze } from '../src/index.ts'
import { RULES } from '../src/rules/index.ts'
import { formatPath } from '../src/text/path.ts'
import { CLASSES, teller, type Truth, truthOf } from './truth.mjs'

// Networks of public configurations and issues, each with the truth about it in its first comments. What is wrong must
// be found at its place, and where nothing is wrong, nothing may be said (hints apart).

/** The thirty that the rules were written with, and others that were looked at only afterwards. */
const casesIn = (name: string): { file: string; text: string }[] => {
  const folder = new URL(`${name}/`, import.meta.url)
  return readdirSync(folder).map(file => ({
    file: `${name}/${file}`,
    text: readFileSync(new URL(file, folder), 'utf8')
  }))
}

const cases = [...casesIn('cases'), ...casesIn('field')].map(({ file, text }) => ({
  file,
  text,
  ...truthOf(text)
}))

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

test('each case says where it is from and what is true of it', () => {
  expect(cases.length).toBeGreaterThan(100)
  for (const { text, none, truths, argued } of cases) {
    expect(text).toMatch(/^# source: \S/)
    expect(truths.length > 0).toBe(!none)
    expect(text.match(/^# (?:truth|missed|argued)/gm)).toHaveLength(
      Math.max(1, truths.length) + argued.length
    )
    for (const { at, path } of truths)
      expect(formatPath(path).replaceAll('"', '')).toBe(at.replaceAll('"', ''))
  }
})

test('the rules of a class of mistake exist', () => {
  const classes = new Set(cases.flatMap(({ truths }) => truths.map(({ type }) => type)))
  expect([...classes]).toEqual(expect.arrayContaining(Object.keys(CLASSES)))
  const rules = RULES.map(({ id }) => id)
  for (const id of Object.values(CLASSES).flat()) expect(rules).toContain(id)
})

describe('finds', () => {
  const expected = cases.flatMap(({ file, text, truths }) =>
    truths.map(truth => ({ file, text, truth, ...truth }))
  )

  test.each(expected)('$file: $type at $at', async ({ file, text, truth, missed }) => {
    const findings = await look(file, text)
    // What is said to be missed must be: else its line is out of date.
    expect(findings.some(({ tells }) => tells(truth))).toBe(!missed)
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
