import * as fc from 'fast-check'
import { parse } from 'yaml'
import { describe, expect, test } from 'vitest'
import { type LocatedFinding, type Position, analyze } from '../src/index.ts'
import { formatPath, type Path } from '../src/text/path.ts'
import {
  type Network,
  canonical,
  hostileBases,
  hostilePlaces,
  hostileStrings,
  networks,
  toData,
  toJson,
  toYaml
} from './topologies.ts'

// Each run has a seed of its own, which fast-check prints when a property fails.
const RUNS = { interruptAfterTimeLimit: 15_000, markInterruptAsFailure: false }

const findingsOf = async (text: string): Promise<readonly LocatedFinding[]> =>
  (await analyze({ file: 'topology.yaml', text })).report.findings

const shown = ({ severity, rule, message, labels }: LocatedFinding): string =>
  `${severity} ${rule} at ${formatPath(labels[0].at)}: ${message}`

const seed = fc.integer({ min: 0, max: 0xffff })

describe('random networks', () => {
  test('are without a fault: a check finds no error in them', async () => {
    const property = fc.asyncProperty(networks(), async network => {
      const text = toYaml(toData(network))
      const errors = (await findingsOf(text)).filter(({ severity }) => severity === 'error')
      if (errors.length > 0) throw new Error(`${errors.map(shown).join('\n')}\n${text}`)
    })
    await expect(fc.assert(property, { ...RUNS, numRuns: 200 })).resolves.toBeUndefined()
  })

  test('have rarely even a warning', async () => {
    const sample = fc.sample(networks(), 60)
    const warned: string[] = []
    for (const network of sample) {
      const findings = await findingsOf(toYaml(toData(network)))
      const warning = findings.find(({ severity }) => severity === 'warning')
      if (warning !== undefined) warned.push(shown(warning))
    }
    if (warned.length >= 12) throw new Error(warned.join('\n'))
    expect(warned.length).toBeLessThan(12)
  })

  test('have the same findings in every order of their keys, as YAML and as JSON', async () => {
    // What is told once for several bridges or containers is told at the first of them in the file.
    const place = ([room = '', , ...rest]: Path): string =>
      ['bridges', 'containers', 'vms'].includes(String(room)) ? formatPath([room, '*', ...rest]) : ''
    const told = async (text: string): Promise<readonly string[]> =>
      (await findingsOf(text))
        .map(
          ({ rule, severity, labels: [{ at }] }) =>
            `${severity} ${rule} at ${place(at) === '' ? formatPath(at) : place(at)}`
        )
        .sort()
    const property = fc.asyncProperty(networks(), seed, async (network, shuffle) => {
      const data = toData(network)
      const plain = await told(toYaml(data))
      expect(await told(toYaml(data, { shuffle }))).toEqual(plain)
      expect(await told(toJson(data, { shuffle }))).toEqual(plain)
    })
    await expect(fc.assert(property, { ...RUNS, numRuns: 80 })).resolves.toBeUndefined()
  })

  test('are the same data however they are written', () => {
    fc.assert(
      fc.property(networks(), seed, (network, shuffle) => {
        const data = toData(network)
        expect(parse(toYaml(data))).toEqual(data)
        expect(parse(toYaml(data, { shuffle }))).toEqual(data)
        expect(JSON.parse(toJson(data, { shuffle }))).toEqual(data)
      }),
      { ...RUNS, numRuns: 60 }
    )
  })

  const sample = fc.sample(networks(), { numRuns: 600, seed: 4 })
  const features: Readonly<Record<string, (network: Network) => boolean>> = {
    'a bridge with addresses of both families': ({ bridges }) =>
      bridges.some(({ addresses }) => new Set(addresses.map(({ family }) => family)).size === 2),
    'a bridge with two addresses of one family': ({ bridges }) =>
      bridges.some(({ addresses }) => addresses.filter(({ family }) => family === 4).length === 2),
    'a bridge without an address': ({ bridges }) => bridges.some(({ addresses }) => addresses.length === 0),
    'a bridge with a port': ({ bridges }) => bridges.some(({ ports }) => ports.length > 0),
    'a bridge with DHCP': ({ bridges }) => bridges.some(({ dhcp }) => dhcp === true),
    'a /31': network => hasPrefix(network, 31),
    'a /127': network => hasPrefix(network, 127),
    'a VLAN': ({ host }) => host.vlans.length > 0,
    'a bond': ({ host }) => host.bonds.length > 0,
    'a host address of several pairs': ({ containers }) => {
      const shared = containers.flatMap(({ veth }) =>
        veth?.bridge === undefined ? (veth?.host ?? []).map(({ address }) => address) : []
      )
      return new Set(shared).size < shared.length
    },
    'a pair with both families': ({ containers }) =>
      containers.some(({ veth }) => veth?.bridge === undefined && veth?.host.length === 2),
    'an extra veth': ({ containers }) => containers.some(({ extraVeths }) => extraVeths.length > 0),
    'a macvlan': ({ containers }) => containers.some(({ macvlans }) => macvlans.length > 0),
    'a moved card': ({ containers }) => containers.some(({ moved }) => moved.length > 0),
    'a container in the network of the host': ({ containers }) =>
      containers.some(({ privateNetwork }) => privateNetwork !== true),
    'a container that is switched off': ({ containers }) =>
      containers.some(({ enabled }) => enabled === false),
    'a name that the kernel cannot take whole': ({ containers }) =>
      containers.some(({ name, veth }) => veth !== undefined && name.length > 12),
    'a forward of the container': ({ containers }) =>
      containers.some(({ forwardPorts }) => forwardPorts.length > 0),
    'a forward of NAT to IPv6': ({ nat }) =>
      nat?.forwards.some(({ destination }) => destination.family === 6) === true,
    'a forward of a range': ({ nat }) => nat?.forwards.some(({ from, to }) => from < to) === true,
    'a pattern of iptables': ({ nat }) => nat?.internalInterfaces.includes('ve-+') === true,
    'a pattern of nftables': ({ nat }) => nat?.internalInterfaces.includes('ve-*') === true,
    'a network of NAT': ({ nat }) => (nat?.internalIPv6s.length ?? 0) > 0,
    'an address instead of masquerading': ({ nat }) => nat?.externalIPv6 !== undefined,
    'a loopback address of a forward': ({ nat }) =>
      nat?.forwards.some(({ loopbackIPs }) => loopbackIPs.length > 0) === true,
    'a DMZ host': ({ nat }) => nat?.dmzHost !== undefined,
    'a gateway as text': ({ containers }) =>
      containers.some(({ gateway }) => gateway[4] !== undefined && gateway[4].interface === undefined),
    'a gateway with a metric': ({ containers }) =>
      containers.some(({ gateway }) => gateway[4]?.metric !== undefined),
    'a default route as a route': ({ containers }) => containers.some(({ routes }) => routes.length > 0),
    'a container with networkd': ({ containers }) =>
      containers.some(({ useNetworkd }) => useNetworkd === true),
    'a container with DHCP': ({ containers }) => containers.some(({ dhcp }) => dhcp === true),
    'nameservers inside': ({ containers }) => containers.some(({ nameservers }) => nameservers.length > 0),
    'ports of one interface inside': ({ containers }) =>
      containers.some(({ firewall }) => (firewall?.interfaces.length ?? 0) > 0),
    'ports of one interface of the host': ({ host }) => (host.firewall?.interfaces.length ?? 0) > 0,
    'a trusted interface': ({ host }) => (host.firewall?.trusted.length ?? 0) > 0,
    'a machine with a tap': ({ vms }) =>
      vms.some(({ cards }) => cards.some(({ bridge }) => bridge !== undefined)),
    'networkd on the host': ({ host }) => host.manager === 'networkd',
    'NetworkManager on the host': ({ host }) => host.manager === 'networkmanager',
    'IPv6 in another spelling': ({ spelling }) => spelling !== 'short'
  }
  test.each(Object.entries(features))('have now and then %s', (_name, has) => {
    expect(sample.filter(has).length).toBeGreaterThan(3)
  })
})

const hasPrefix = ({ bridges }: Network, bits: number): boolean =>
  bridges.some(({ addresses }) => addresses.some(address => address.bits === bits))

test('one form stands for every spelling of an address', () => {
  expect(
    ['FD00:0:0:0::1/64', 'fd00:0000:0000:0000:0000:0000:0000:0001', '10.0.0.1/8', '::'].map(canonical)
  ).toEqual(['fd00::1/64', 'fd00::1', '10.0.0.1/8', '::'])
})

describe('hostile texts', () => {
  test.each(Object.entries(hostileBases))(
    'are put into networks without a fault: %s',
    async (_name, data) => {
      const errors = (await findingsOf(toYaml(data))).filter(({ severity }) => severity === 'error')
      expect(errors.map(shown)).toEqual([])
    }
  )

  test('are put where they are said to be', () => {
    expect(hostilePlaces.length).toBeGreaterThan(200)
    for (const { place, put, at, key } of hostilePlaces) {
      const path = key ? [...at.slice(0, -1), 'a\n${hostile}'] : at
      const end = path.reduce<unknown>(
        (value, step) => (step in Object(value) ? Object(value)[step] : 'nothing'),
        put('a\n${hostile}')
      )
      if (key) expect({ place, end }).not.toEqual({ place, end: 'nothing' })
      else expect({ place, end }).toEqual({ place, end: 'a\n${hostile}' })
    }
  })

  test.each(['containers.* {}', 'host.firewall.interfaces.* {}', 'bridges.*.address[]', 'reserved[].for'])(
    'are put into %s',
    wanted => {
      expect(hostilePlaces.map(({ place }) => place)).toContain(wanted)
    }
  )

  /** What an answer must not be: slow, endless, or at a place outside of the text. */
  const answer = async (text: string): Promise<void> => {
    const start = performance.now()
    const findings = await findingsOf(text)
    const milliseconds = performance.now() - start
    const lines = text.split('\n')
    const isWithin = ({ line, column }: Position): boolean =>
      line >= 1 && line <= lines.length && column >= 1 && column <= (lines[line - 1] ?? '').length + 1
    const size = JSON.stringify(findings).length
    const outside = findings.flatMap(({ labels }) =>
      labels.filter(({ start, end }) => !isWithin(start) || !isWithin(end))
    )
    if (milliseconds > 5000) throw new Error(`it took ${Math.round(milliseconds)} ms`)
    if (size > 300 * text.length + 50_000) throw new Error(`${size} characters are said of ${text.length}`)
    if (outside.length > 0) throw new Error(`labels outside of the text: ${JSON.stringify(outside)}`)
  }

  test('are answered at every place', async () => {
    const several = fc.array(hostileStrings(), { minLength: 2, maxLength: 2 })
    for (const { place, base, put } of hostilePlaces) {
      const property = fc.asyncProperty(several, async texts => {
        for (const text of texts) await answer(toJson(put(text)))
      })
      await fc.assert(property, { numRuns: 1, reporter: failureAt(`${place} of ${base}`) })
    }
    expect.assertions(0)
  })

  test('are answered in every order and style', async () => {
    const property = fc.asyncProperty(
      fc.constantFrom(...hostilePlaces),
      hostileStrings(),
      seed,
      async ({ put }, text, shuffle) => {
        const data = put(text)
        const yaml = toYaml(data, { shuffle })
        await answer(yaml)
        expect(parse(yaml)).toEqual(data)
      }
    )
    await expect(fc.assert(property, { ...RUNS, numRuns: 250 })).resolves.toBeUndefined()
  })
})

const failureAt =
  (where: string) =>
  <T>({ failed, counterexample, seed, errorInstance }: fc.RunDetails<T>): void => {
    if (failed)
      throw new Error(`at ${where} with seed ${seed}: ${JSON.stringify(counterexample)}`, {
        cause: errorInstance
      })
  }
