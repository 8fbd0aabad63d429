import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { analyze } from '../src/index.ts'
import { formatPath } from '../src/text/path.ts'

// The four networks of the NixOS wiki's page on containers, as the page has them: what is wrong in each, and no more.

const folder = new URL('wiki/', import.meta.url)

const WRONG: Readonly<Record<string, readonly string[]>> = {
  'lan-bridge.yaml': [
    '9:11 warning[dhcp-and-static] bridges.br0.dhcp',
    '12:3 warning[missing-gateway] containers.name.defaultGateway'
  ],
  'shared-network.yaml': [],
  'two-containers.yaml': ['20:21 hint[gateway-without-interface] containers.containerA.defaultGateway'],
  'webserver.yaml': ['14:19 hint[undefined-ula] containers.webserver.hostAddress6']
}

test('each network of the page is here', () => {
  expect(readdirSync(folder).sort()).toEqual(Object.keys(WRONG))
})

test.each(Object.entries(WRONG))('%s', async (file, expected) => {
  const { report } = await analyze({ file, text: readFileSync(new URL(file, folder), 'utf8') })
  expect(
    report.findings.map(
      ({ rule, severity, labels: [{ at, start }] }) =>
        `${start.line}:${start.column} ${severity}[${rule}] ${formatPath(at)}`
    )
  ).toEqual(expected)
})

test('the fixed address of br0 is shown beside the DHCP', async () => {
  const file = 'lan-bridge.yaml'
  const { report } = await analyze({ file, text: readFileSync(new URL(file, folder), 'utf8') })
  const labels = report.findings[0]?.labels.map(({ at }) => formatPath(at))
  expect(labels).toEqual(['bridges.br0.dhcp', 'bridges.br0.address[0]'])
})
