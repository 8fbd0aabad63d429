import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { analyze } from '../src/index.ts'

// The examples are right, and the usual slips in one of them are each told once, where they are.

const folder = new URL('../examples/', import.meta.url)
const read = (file: string): string => readFileSync(new URL(file, folder), 'utf8')

const findings = async (text: string): Promise<string[]> => {
  const { report } = await analyze({ file: 'topology.yaml', text })
  return report.findings.map(
    ({ rule, severity, labels: [{ start }] }) => `${start.line}:${start.column} ${severity}[${rule}]`
  )
}

/** two-containers.yaml with something in it replaced that stands there once. */
const mutated = (from: string, to: string): string => {
  const parts = read('two-containers.yaml').split(from)
  expect(parts).toHaveLength(2)
  return parts.join(to)
}

test('there is an example of each kind', () => {
  expect(readdirSync(folder)).toEqual(
    expect.arrayContaining([
      'lan-bridge.yaml',
      'shared-network.yaml',
      'two-containers.yaml',
      'veth-pair-nat.yaml'
    ])
  )
})

describe.each(readdirSync(folder))('%s', file => {
  test('names the schema for editors', () => {
    expect(read(file).split('\n')[0]).toBe('# yaml-language-server: $schema=../schemas/topology.schema.json')
  })

  test('has no findings, not even hints', async () => {
    expect(await findings(read(file))).toEqual([])
  })
})

describe('a slip in two-containers.yaml', () => {
  const B = 'localAddress: 192.168.100.3/29'
  const BRIDGE = 'address: [192.168.100.1/29]'

  test.each([
    ['localAddress: 192.168.100.2/29', '33:19 error[duplicate-address]'],
    ['localAddress: 192.168.100.3', '33:19 error[missing-prefix-length]'],
    ['localAddress: 192.168.100.7/29', '33:19 error[broadcast-address]'],
    ['localAddress: 192.168.100.9/29', '33:19 error[address-outside-bridge]']
  ])('containerB with %s', async (to, expected) => {
    expect(await findings(mutated(B, to))).toEqual([expected])
  })

  test('br0 with a /30', async () => {
    const text = mutated(BRIDGE, 'address: [192.168.100.1/30]')
    expect(await findings(text)).toEqual(['18:15 error[subnet-too-small]'])
    const { report } = await analyze({ file: 'topology.yaml', text })
    expect(report.findings[0]?.message).toContain(
      '192.168.100.0/30 has 2 usable addresses; br0 and 2 containers need 3; /29 has 6'
    )
  })
})
