import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { goldens, outputsOf, rewrite } from './golden.ts'

// What is generated, as it was when somebody last looked at it: `UPDATE=1 npx vitest run test/golden.test.ts` writes it anew.

const UPDATE = (process.env['UPDATE'] ?? '') !== ''

describe.each(goldens)('$name', golden => {
  test('everything is made as it is written down', async () => {
    const outputs = await outputsOf(golden.topology)
    if (UPDATE) rewrite(golden, outputs)
    else expect(outputs).toEqual(golden.outputs)
  })

  test('it says what it shows, and no part looks like the beginning of another', async () => {
    expect(golden.comment).toMatch(/^# .*\n$/)
    for (const text of Object.values(await outputsOf(golden.topology)))
      expect(text).not.toMatch(/^-- \S+ --$/m)
  })
})

test.each(goldens.filter(({ name }) => name.startsWith('example-')))('$name is the example', golden => {
  const example = readFileSync(
    new URL(`../examples/${golden.name.slice('example-'.length)}.yaml`, import.meta.url),
    'utf8'
  )
  expect(golden.topology).toBe(example.split('\n').slice(1).join('\n'))
})
