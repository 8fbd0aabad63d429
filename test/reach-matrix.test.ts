import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { formatAddr } from '../src/net/addr.ts'
import { type Answer, placeKey } from '../src/reach/flow.ts'
import { entryOf, type Matrix, matrixOf } from '../src/reach/matrix.ts'
import type { Question } from '../src/reach/questions.ts'
import { trace, type Trace } from '../src/reach/trace.ts'
import { worldOf } from '../src/reach/world.ts'
import { questionsOf } from '../src/rehearse/flows.ts'
import { reachText } from '../src/report/matrix.ts'
import { built, command, start } from './command.ts'
import { planOf } from './rehearse.ts'
import { networks, toData, toYaml } from './topologies.ts'

// The matrix asks for those that are alike once. The judge is each flow followed by itself.

const keyOf = ({ from, to, protocol, port }: Question): string =>
  `${placeKey(from)} -> ${formatAddr(to)} ${protocol} ${port}`

const answerText = ({ disposition, by, source }: Omit<Trace, 'hops'>): string =>
  `${disposition} by ${by && placeKey(by)} source ${source && formatAddr(source)}`

/** Every flow of everybody, as the matrix has it. */
const entriesOf = (matrix: Matrix): ReadonlyMap<string, { flow: Question; text: string }> => {
  const found = new Map<string, { flow: Question; text: string }>()
  const add = ({ flow, answer }: { flow: Question; answer: Answer & Omit<Trace, 'hops'> }): void => {
    if (!found.has(keyOf(flow))) found.set(keyOf(flow), { flow, text: answerText(answer) })
  }
  for (const from of matrix.peers)
    for (const to of matrix.peers) for (const cell of matrix.cells(from, to)) add(entryOf(from, to, cell))
  for (const from of matrix.peers)
    for (const door of matrix.doors.flat()) add(entryOf(from, door.target, matrix.cellOf(from, door)))
  return found
}

/** What is wrong, and then the text. */
const differences = async (text: string): Promise<readonly string[]> => {
  const plan = await planOf(text)
  const world = worldOf(plan)
  const entries = entriesOf(matrixOf(world))
  const asked = questionsOf(plan, Infinity).flows
  const wrong = [...entries].flatMap(([key, { flow, text }]) => {
    const right = answerText(trace(world, flow))
    return text === right ? [] : [`${key}: ${text}, and not ${right}`]
  })
  const missing = asked.filter(flow => !entries.has(keyOf(flow))).map(flow => `${keyOf(flow)} is missing`)
  const all = [...wrong, ...missing]
  return all.length === 0 ? [] : [...all, text]
}

const folder = (name: string): readonly string[] => {
  const at = new URL(name, import.meta.url)
  return readdirSync(at)
    .filter(file => file.endsWith('.yaml'))
    .map(file => readFileSync(new URL(`${name}/${file}`, import.meta.url), 'utf8'))
}

/** Many that are nearly alike: a few kinds, on bridges and pairs, with ports of their own. */
const crowds = fc
  .record({
    backend: fc.constantFrom('iptables', 'nftables'),
    external: fc.constantFrom('eth0', 'eth0', 'eth0', 'br0', undefined),
    internal: fc.subarray(['br0', 'br1', 'br2', 've-+', 've-*', 've-c1']),
    ranges: fc.subarray(['10.1.0.0/16', '10.9.0.0/17', '10.1.1.0/25']),
    dmz: fc.constantFrom(undefined, undefined, undefined, '10.1.0.4'),
    forwards6: fc.boolean(),
    reversePath: fc.constantFrom(true, 'loose', false),
    filterForward: fc.boolean(),
    open: fc.subarray([22, 80, 8003]),
    entrance: fc.constantFrom('br1', 've-c2', 've-+', 've-*'),
    second: fc.boolean(),
    card: fc.boolean(),
    containers: fc.array(
      fc.record({
        link: fc.constantFrom('br0', 'br1', 'br2', 'pair', 'shared', 'both'),
        gateway: fc.constantFrom('host', 'host', 'host', 'none', 'wrong', 'neighbour'),
        port: fc.constantFrom(80, 80, 8003, 'own'),
        opens: fc.boolean(),
        bound: fc.boolean(),
        forward: fc.constantFrom('none', 'nat', 'nat', 'same', 'nspawn', 'looped'),
        six: fc.constantFrom('no', 'no', 'one', 'two'),
        firewall: fc.constantFrom(
          {},
          {},
          { enable: false },
          { checkReversePath: 'loose' },
          { rejectPackets: true }
        )
      }),
      { minLength: 4, maxLength: 14 }
    )
  })
  .map(print => {
    const forwardPorts: object[] = []
    const containers = print.containers.map((kind, i): readonly [string, object] => {
      const { link, gateway, opens, bound, forward, six, firewall } = kind
      const port = kind.port === 'own' ? 9000 + i : kind.port
      const isPair = link === 'pair' || link === 'shared'
      const net = isPair ? `10.9.${100 + 3 * i}` : `10.1.${link === 'both' ? 1 : link.slice(2)}`
      const net6 = isPair ? `fd00:9:${i}` : `fd00:1:${link === 'both' ? 1 : link.slice(2)}`
      const own = isPair ? `${net}.2` : `${net}.${i + 2}`
      const router = { host: `${net}.1`, none: undefined, wrong: `${net}.99`, neighbour: `${net}.2` }[gateway]
      if (forward !== 'none' && forward !== 'nspawn')
        forwardPorts.push({
          sourcePort: forward === 'same' ? port : 20000 + i,
          destination: `${own}:${port}`,
          loopbackIPs: forward === 'looped' ? ['198.51.100.7'] : []
        })
      return [
        `c${i}`,
        {
          privateNetwork: true,
          ...(isPair
            ? { hostAddress: link === 'shared' ? '10.9.0.1' : `${net}.1`, localAddress: own }
            : { hostBridge: link === 'both' ? 'br1' : link, localAddress: `${own}/24` }),
          ...(isPair || router === undefined
            ? {}
            : { defaultGateway: { address: router, interface: 'eth0' } }),
          ...(six === 'no'
            ? {}
            : isPair
              ? { hostAddress6: `${net6}::1`, localAddress6: `${net6}::2` }
              : {
                  localAddress6: `${net6}::${i + 2}/64`,
                  defaultGateway6: { address: `${net6}::1`, interface: 'eth0' }
                }),
          ...(link === 'both'
            ? { extraVeths: { more: { hostBridge: 'br2', localAddress: `10.1.2.${i + 2}/24` } } }
            : {}),
          ...(six === 'two' && !isPair
            ? { inside: { interfaces: { eth0: { address: [`2001:db8:7::${i + 2}/64`] } } } }
            : {}),
          firewall: { ...firewall, ...(opens ? { allowedTCPPorts: [port] } : {}) },
          listens: [{ port, ...(bound ? { address: own } : {}) }],
          ...(forward === 'nspawn' ? { forwardPorts: [{ hostPort: 30000 + i, containerPort: port }] } : {})
        }
      ]
    })
    return {
      version: 1,
      host: {
        interfaces: { eth0: { address: ['198.51.100.7/24'] } },
        firewall: {
          backend: print.backend,
          checkReversePath: print.reversePath,
          ...(print.filterForward && print.backend === 'nftables' ? { filterForward: true } : {}),
          allowedTCPPorts: print.open,
          interfaces: { [print.entrance]: { allowedTCPPorts: [53] } }
        },
        listens: [{ port: 22 }, { port: 53 }]
      },
      nat: {
        enable: true,
        enableIPv6: print.forwards6,
        internalInterfaces: print.internal,
        internalIPs: print.ranges,
        ...(print.external === undefined ? {} : { externalInterface: print.external }),
        ...(print.dmz === undefined ? {} : { dmzHost: print.dmz }),
        forwardPorts
      },
      bridges: {
        br0: { address: ['10.1.0.1/24', 'fd00:1:0::1/64'], interfaces: print.card ? ['enp3s0'] : [] },
        br1: { address: ['10.1.1.1/24', 'fd00:1:1::1/64', ...(print.second ? ['2001:db8:7::1/64'] : [])] },
        br2: { address: ['10.1.2.1/24', 'fd00:1:2::1/64'] }
      },
      containers: Object.fromEntries(containers)
    }
  })

describe('the matrix has what each flow comes to by itself', () => {
  test.each(['../examples', './cases'])('in %s', async name => {
    for (const text of folder(name)) {
      expect(await differences(text)).toEqual([])
    }
  })

  test('where nat.dmzHost takes ports that nspawn forwards to another number', async () => {
    const text = JSON.stringify({
      version: 1,
      host: { interfaces: { eth0: { dhcp: true } } },
      nat: { enable: true, internalInterfaces: ['ve-web'], externalInterface: 'eth0', dmzHost: '10.0.0.2' },
      containers: {
        web: {
          privateNetwork: true,
          hostAddress: '10.0.0.1',
          localAddress: '10.0.0.2',
          forwardPorts: [{ hostPort: 81 }, { hostPort: 8081, containerPort: 82 }],
          firewall: { allowedTCPPorts: [81, 82] }
        }
      }
    })
    expect(await differences(text)).toEqual([])
  })

  test('among many that are nearly alike', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(crowds, async data => {
        const text = JSON.stringify(data)
        expect(await differences(text)).toEqual([])
      }),
      { numRuns: Number(process.env['RUNS'] ?? 150) }
    )
  })

  test('in random networks', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(networks({ containers: 12 }), async network => {
        const text = toYaml(toData(network))
        expect(await differences(text)).toEqual([])
      }),
      { numRuns: Number(process.env['RUNS'] ?? 150) }
    )
  })
})

/** A crowd that has everything in it that the output has a word for. */
const crowd = fc.sample(crowds, { numRuns: 6, seed: 7 })

describe('as JSON', () => {
  const folder = mkdtempSync(join(tmpdir(), 'netplan-reach-'))
  beforeAll(built, 120_000)
  afterAll(() => rmSync(folder, { recursive: true }))

  test('every pair can be looked up as docs/reach-json.md says', { timeout: 60_000 }, async () => {
    for (const [n, data] of crowd.entries()) {
      const file = join(folder, `${n}.json`)
      writeFileSync(file, JSON.stringify(data))
      const { stdout } = await start(process.execPath, [command, 'reach', '--format', 'json', file], {
        cwd: folder
      })
      const { version, places, flows, forwards, forwardFlows } = JSON.parse(stdout) as Output
      expect(version).toBe(1)
      const plan = await planOf(JSON.stringify(data))
      const world = worldOf(plan)
      const found = new Map<string, string>()
      const add = (
        from: PlaceOut,
        to: PlaceOut | undefined,
        flow: FlowOut,
        asked: Pick<FlowOut, 'address' | 'protocol' | 'port'>
      ): void => {
        const textOf = (spot: SpotOut): string =>
          typeof spot === 'string'
            ? spot
            : ((spot.of === 'host'
                ? (spot.links === 'from' ? from : to)?.host
                : (spot.of === 'from' ? from : to)?.addresses)?.[spot.address] ?? 'nowhere')
        const by = flow.by === 'from' ? from : flow.by === 'to' ? to : flow.by
        const key = `${nameOf(from)} -> ${textOf(asked.address)} ${asked.protocol} ${asked.port ?? undefined}`
        found.set(
          key,
          found.get(key) ??
            `${flow.disposition} by ${by == null ? undefined : nameOf(by)} source ${flow.source === null ? undefined : textOf(flow.source)}`
        )
      }
      for (const from of places) {
        for (const to of places)
          if (from !== to)
            for (const flow of flows) {
              const relation = from.links !== null && from.links === to.links ? 'same links' : 'other links'
              if (flow.from === from.from && flow.to === to.to && flow.relation === relation)
                add(from, to, flow, flow)
            }
        for (const forward of forwards) {
          const to = forward.target === null ? undefined : places[forward.target]
          const relation =
            from === to
              ? 'self'
              : from.links !== null && from.links === to?.links
                ? 'same links'
                : 'other links'
          for (const flow of forwardFlows)
            if (flow.from === from.from && flow.forward === forward.forward && flow.relation === relation)
              add(from, to, flow, forward)
        }
      }
      for (const flow of questionsOf(plan, Infinity).flows)
        expect(`${keyOf(flow)}: ${found.get(keyOf(flow))}`).toBe(
          `${keyOf(flow)}: ${answerText(trace(world, flow))}`
        )
    }
  })

  test('the page names every field', async () => {
    const page = readFileSync(new URL('../docs/reach-json.md', import.meta.url), 'utf8')
    const file = join(folder, 'fields.json')
    writeFileSync(
      file,
      JSON.stringify({ ...crowd[0], expect: [{ from: 'c0', to: 'c1', outcome: 'reaches' }] })
    )
    const { stdout } = await start(process.execPath, [command, 'reach', '--format', 'json', file], {
      cwd: folder
    })
    const fieldsOf = (value: unknown, at: string): readonly string[] =>
      Array.isArray(value)
        ? /path|addresses|host$/.test(at)
          ? []
          : value.flatMap(item => fieldsOf(item, `${at}[]`))
        : typeof value === 'object' && value !== null && !/address|by|source/.test(at)
          ? Object.entries(value).flatMap(([key, own]) => {
              const name = at === '' ? key : `${at}.${key}`
              return [name, ...fieldsOf(own, name)]
            })
          : []
    const fields = new Set(fieldsOf(JSON.parse(stdout), ''))
    expect(fields.size).toBeGreaterThan(20)
    for (const field of fields)
      if (!/^forwardFlows\[\]\.(?:seen|by|source|disposition)$/.test(field))
        expect(page).toContain(`| \`${field}\` |`)
  })
})

type SpotOut =
  | string
  | { readonly of: 'from' | 'to' | 'host'; readonly links?: 'from' | 'to'; readonly address: number }

interface PlaceOut {
  readonly kind: string
  readonly name?: string
  readonly links: number | null
  readonly from: number
  readonly to: number
  readonly addresses: readonly string[]
  readonly host: readonly string[]
}

interface FlowOut {
  readonly from: number
  readonly relation: string
  readonly address: SpotOut
  readonly protocol: string
  readonly port: number | null
  readonly disposition: string
  readonly by: 'from' | 'to' | Pick<PlaceOut, 'kind' | 'name'> | null
  readonly source: SpotOut | null
}

interface Output {
  readonly version: number
  readonly places: readonly PlaceOut[]
  readonly flows: readonly (FlowOut & { readonly to: number })[]
  readonly forwards: readonly {
    readonly forward: number
    readonly address: string
    readonly protocol: string
    readonly port: number
    readonly target: number | null
  }[]
  readonly forwardFlows: readonly (FlowOut & { readonly forward: number })[]
}

const nameOf = ({ kind, name }: Pick<PlaceOut, 'kind' | 'name'>): string =>
  name === undefined ? kind : `${kind} ${name}`

describe('as a table', () => {
  const tableOf = async (data: object): Promise<string> =>
    reachText(matrixOf(worldOf(await planOf(JSON.stringify({ version: 1, ...data })))))
  const many = (count: number, more: (i: number) => object = () => ({})): object => ({
    host: { manager: 'networkmanager', interfaces: { eth0: { address: ['198.51.100.7/24'] } } },
    nat: { enable: true, internalInterfaces: ['br0'], externalInterface: 'eth0' },
    bridges: { br0: { address: ['10.5.0.1/16'] } },
    containers: Object.fromEntries(
      Array.from({ length: count }, (_, i) => [
        `c${i}`,
        {
          privateNetwork: true,
          hostBridge: 'br0',
          localAddress: `10.5.${Math.floor(i / 200)}.${(i % 200) + 2}/16`,
          defaultGateway: { address: '10.5.0.1', interface: 'eth0' },
          ...more(i)
        }
      ])
    )
  })

  test('those that are alike share a row and a column', async () => {
    const lines = (await tableOf(many(1000))).split('\n')
    expect(lines.find(line => line.startsWith('c0'))).toMatch(
      /^c0…c999 \(1000\) +ping +no route +no route +ping$/
    )
    expect(lines.length).toBeLessThan(20)
  })

  test('the one that is not stands by itself', async () => {
    const text = await tableOf(
      many(100, i => (i === 7 ? { firewall: { enable: false }, listens: [{ port: 80 }] } : {}))
    )
    expect(text).toMatch(/^c7 +ping 80\+/m)
    expect(text).toMatch(/^c0…c99 \(99\) +ping /m)
  })

  test('of a thousand ports of a thousand containers the number is told', async () => {
    const text = await tableOf(
      many(1000, i => ({ listens: [{ port: 2000 + i }], firewall: { allowedTCPPorts: [2000 + i] } }))
    )
    expect(text).toMatch(/^c0…c999 \(1000\) +ping 1 port /m)
  })
})
