import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { goldens, outputsOf, rewrite } from './golden.ts'
import { absent, inNamespace } from './judge.ts'

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

test.skipIf(absent(['nft']))('nft takes every ruleset, and loads it twice', async () => {
  const rulesets = goldens.flatMap(({ name, outputs }) => {
    const text = outputs['nftables/netplan.nft']
    return text === undefined ? [] : [{ name, text }]
  })
  expect(rulesets.length).toBeGreaterThan(8)
  const { text } = await inNamespace(
    rulesets
      .map(
        ({ name, text }, i) =>
          `cat > /run/${i}.nft <<'END'\n${text}END\nnft -c -f /run/${i}.nft && nft -f /run/${i}.nft && nft -f /run/${i}.nft && nft list table inet netplan > /dev/null && echo 'taken ${name}'`
      )
      .join('\n')
  )
  expect(text.trim().split('\n')).toEqual(rulesets.map(({ name }) => `taken ${name}`))
})
