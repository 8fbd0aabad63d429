import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { EMITTERS } from '../src/emit/index.ts'
import { type Artifact, markOf, readMark, type Refusal } from '../src/emit/emitter.ts'
import { type Plan, analyze } from '../src/index.ts'
import { hostIfname } from '../src/net/ifname.ts'
import { absent, inNamespace } from './judge.ts'
import { type Evaluation, evalModules, withoutNix } from './nix.ts'
import {
  type Address,
  type Bridge,
  type Container,
  type Family,
  type Firewall,
  type Network,
  type Ports,
  type Protocol,
  type Veth,
  canonical,
  familyOf,
  hostileBases,
  hostilePlaces,
  hostileStrings,
  networkOf,
  networks,
  toData,
  toJson,
  toYaml,
  valueOf,
  withBits
} from './topologies.ts'

// What is generated for random networks means these networks. What a network is, is told by test/topologies.ts in words
// of its own; no plan is asked here.

const FAMILIES = [4, 6] as const

interface Made {
  readonly files: readonly Artifact[]
  readonly refused: readonly Refusal[]
}

/** What one target makes of a text that has no error in it; undefined for one that has. */
const makes = async (text: string): Promise<((target: string) => Made) | undefined> => {
  const { report, plan } = await analyze({ file: 'topology.yaml', text })
  if (plan === undefined || report.findings.some(({ severity }) => severity === 'error')) return undefined
  return target => made(plan, target)
}

const made = (plan: Plan, target: string): Made => {
  const emitter = EMITTERS.find(({ id }) => id === target)
  if (emitter === undefined) throw new Error(`no target ${target}`)
  const refused = [...emitter.cannot(plan)]
  const mark = markOf(target, { version: '0.0.0', topology: plan.topology.name ?? 'topology' })
  return { refused, files: refused.length > 0 ? [] : emitter.emit(plan, mark) }
}

const making = async (network: Network): Promise<(target: string) => Made> => {
  const text = toYaml(toData(network))
  const making = await makes(text)
  if (making === undefined) throw new Error(`a check finds errors in\n${text}`)
  return making
}

const TARGETS = EMITTERS.map(({ id }) => id)

// Each run draws other networks; a failure prints the seed. NETPLAN_SEED draws the same again, NETPLAN_RUNS so many times more.
const SEED = Number(process.env['NETPLAN_SEED'] ?? Date.now() % 2 ** 31)
const SCALE = Number(process.env['NETPLAN_RUNS'] ?? 1)
const RUNS = { seed: SEED, interruptAfterTimeLimit: 20_000 * SCALE }

/** Whether a place is in the data, or could be added to a mapping that is. */
const isPlace = (data: unknown, at: readonly (string | number)[]): boolean => {
  const end = at.slice(0, -1).reduce((value: unknown, step) => Object(value)[step], data)
  return typeof end === 'object' && end !== null
}

describe('every target', () => {
  test('makes its files or says what it cannot, and that rarely', async () => {
    const refusals = new Map(TARGETS.map(target => [target, 0]))
    const sample = fc.sample(networks(), { numRuns: 250 * SCALE, seed: SEED })
    for (const network of sample) {
      const making = await makes(toYaml(toData(network)))
      for (const target of TARGETS) {
        const { files, refused } = making?.(target) ?? { files: [], refused: [] }
        if (refused.length > 0) refusals.set(target, (refusals.get(target) ?? 0) + 1)
        for (const { feature, why, help, at } of refused) {
          expect([feature, why, help]).not.toContain('')
          expect({ at, there: isPlace(toData(network), at) }).toEqual({ at, there: true })
        }
        const names = files.map(({ path }) => path)
        expect(new Set(names).size).toBe(names.length)
        for (const name of names) expect(name).toMatch(/^[A-Za-z0-9._@:+-]{1,255}$/)
      }
    }
    const often = [...refusals].filter(([, count]) => count > 0.2 * sample.length)
    expect({ often, seed: SEED }).toEqual({ often: [], seed: SEED })
  })

  test('makes the same bytes again, in any order of the keys, from YAML and from JSON', async () => {
    const property = fc.asyncProperty(
      networks(),
      fc.integer({ min: 0, max: 0xffff }),
      async (network, shuffle) => {
        const data = toData(network)
        const of = async (text: string): Promise<unknown> => {
          const making = await makes(text)
          return TARGETS.map(target => {
            const { files, refused } = making?.(target) ?? { files: [], refused: [] }
            return { target, files, refused: refused.map(({ feature }) => feature).sort() }
          })
        }
        const plain = await of(toYaml(data))
        expect(await of(toYaml(data))).toEqual(plain)
        expect(await of(toYaml(data, { shuffle }))).toEqual(plain)
        expect(await of(toJson(data, { shuffle }))).toEqual(plain)
      }
    )
    await expect(fc.assert(property, { ...RUNS, numRuns: 80 * SCALE })).resolves.toBeUndefined()
  })
})

/** A property of what one target makes of every network that it does not refuse. */
const means = async (
  target: string,
  check: (network: Network, files: readonly Artifact[]) => void,
  numRuns = 150 * SCALE
): Promise<void> => {
  let emitted = 0
  const property = fc.asyncProperty(networks(), async network => {
    const { files, refused } = (await making(network))(target)
    if (refused.length > 0) return
    emitted += 1
    check(network, files)
  })
  await fc.assert(property, { ...RUNS, numRuns })
  expect(emitted).toBeGreaterThan(numRuns / 2)
}

const fileIn = (files: readonly Artifact[], path: string): string => {
  const [file, ...others] = files
  expect(others).toEqual([])
  expect(file?.path).toBe(path)
  return file?.text ?? ''
}

const sorted = (texts: Iterable<string>): readonly string[] => [...texts].sort()

// systemd-networkd

interface Section {
  readonly name: string
  readonly settings: readonly (readonly [key: string, value: string])[]
}

/** The keys that bridges and what they stand on can need (systemd.netdev(5), systemd.network(5)). */
const KEYS: Readonly<Record<string, string>> = {
  NetDev: 'Name Kind MACAddress',
  Bridge: 'STP VLANFiltering',
  VLAN: 'Id',
  Bond: 'Mode',
  Match: 'Name Kind',
  Link: 'RequiredForOnline MTUBytes MACAddress Unmanaged',
  Network:
    'Address Gateway DNS DHCP LinkLocalAddressing IPv6AcceptRA ConfigureWithoutCarrier IPMasquerade IPv4Forwarding ' +
    'IPv6Forwarding IPForward IPv4ProxyARP Bridge Bond VLAN DHCPServer',
  Route: 'Gateway GatewayOnLink Metric PreferredSource Destination',
  DHCPServer: 'ServerAddress PoolOffset PoolSize',
  BridgeVLAN: 'VLAN PVID EgressUntagged'
}

/** A unit as systemd.syntax(7) has it; whatever is no section, no known key and no comment is a fault. */
const unit = ({ path, text }: Artifact): readonly Section[] => {
  const sections: { name: string; settings: (readonly [string, string])[] }[] = []
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const [, section] = /^\[(\w+)\]$/.exec(line) ?? []
    const [, key, value] = /^(\w+)=([^\n\r\u2028\u2029\0]*[^\\])$/.exec(line) ?? []
    const last = sections.at(-1)
    if (section !== undefined && KEYS[section] !== undefined) sections.push({ name: section, settings: [] })
    else if (
      key !== undefined &&
      value !== undefined &&
      last !== undefined &&
      KEYS[last.name]?.split(' ').includes(key) === true
    )
      last.settings.push([key, value])
    else throw new Error(`${path} has the line ${JSON.stringify(line)}`)
  }
  return sections
}

/** The values of a key. */
const values = (sections: readonly Section[], name: string, key: string): readonly string[] =>
  sections
    .filter(section => section.name === name)
    .flatMap(({ settings }) => settings.filter(([own]) => own === key).map(([, value]) => value))

/** The value of a key that can be there but once. */
const single = (sections: readonly Section[], name: string, key: string): string | undefined => {
  const [first, ...others] = values(sections, name, key)
  expect(others).toEqual([])
  return first
}

/** Whether a pattern of [Match] fits, as far as these are used: a name, or what begins like it. */
const fits = (pattern: string, name: string): boolean =>
  pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : pattern === name

interface NetworkUnit {
  readonly path: string
  readonly sections: readonly Section[]
}

/** What has to be made or set up of the host's interfaces so that the bridges work. */
const partsOf = ({ host, bridges }: Network) => {
  const bridgeOf = new Map(bridges.flatMap(({ name, ports }) => ports.map(port => [port, name])))
  const vlans = host.vlans.filter(({ name }) => bridgeOf.has(name))
  const below = new Set([...bridgeOf.keys(), ...vlans.map(({ parent }) => parent)])
  const bonds = host.bonds.filter(({ name }) => below.has(name))
  const bondOf = new Map(bonds.flatMap(({ name, members }) => members.map(member => [member, name])))
  return { bridgeOf, vlans, bonds, bondOf, lower: sorted(new Set([...below, ...bondOf.keys()])) }
}

const enabledOf = <T extends { readonly enabled: boolean | undefined }>(nodes: readonly T[]): readonly T[] =>
  nodes.filter(({ enabled }) => enabled !== false)

/** The containers that have a pair between the host and them alone. */
const pairsOf = ({ containers }: Network): readonly Container[] =>
  enabledOf(containers).filter(({ veth }) => veth !== undefined && veth.bridge === undefined)

const checkUnits = (network: Network, files: readonly Artifact[]): void => {
  const { host, bridges } = network
  const parts = partsOf(network)
  const all = files.map((file): NetworkUnit => ({ path: file.path, sections: unit(file) }))
  const netdevs = all.filter(({ path }) => path.endsWith('.netdev'))
  const units = all.filter(({ path }) => path.endsWith('.network'))
  expect(netdevs.length + units.length).toBe(files.length)
  // What NixOS makes itself with useNetworkd, and what systemd ships.
  const others = new Set([
    '80-container-ve.network',
    '80-container-vb.network',
    '99-ethernet-default-dhcp.network'
  ])
  if (host.manager === 'networkd') for (const { name } of host.cards) others.add(`40-${name}.network`)
  for (const { path } of all) {
    expect(path).toMatch(/^[0-6]\d-/)
    expect(others).not.toContain(path)
  }
  const made = netdevs.map(({ sections }) => ({
    name: single(sections, 'NetDev', 'Name'),
    kind: single(sections, 'NetDev', 'Kind'),
    mac: single(sections, 'NetDev', 'MACAddress'),
    id: single(sections, 'VLAN', 'Id'),
    mode: single(sections, 'Bond', 'Mode'),
    stp: single(sections, 'Bridge', 'STP')
  }))
  const NONE = { mac: undefined, id: undefined, mode: undefined, stp: undefined }
  const wanted = [
    ...bridges.map(({ name, mac, stp }) => ({
      ...NONE,
      name,
      kind: 'bridge',
      mac,
      stp: stp ? 'yes' : undefined
    })),
    ...parts.vlans.map(({ name, id }) => ({ ...NONE, name, kind: 'vlan', id: String(id) })),
    ...parts.bonds.map(({ name }) => ({ ...NONE, name, kind: 'bond', mode: 'active-backup' }))
  ]
  const byName = (a: { name: string | undefined }, b: { name: string | undefined }): number =>
    String(a.name) < String(b.name) ? -1 : 1
  expect(made.sort(byName)).toEqual(wanted.sort(byName))

  const taps = enabledOf(network.vms).flatMap(({ cards, kind }) => cards.map(card => ({ ...card, kind })))
  const takers = (name: string): readonly NetworkUnit[] =>
    units.filter(({ sections }) => values(sections, 'Match', 'Name').some(pattern => fits(pattern, name)))
  const unitOf = (name: string): readonly Section[] => {
    const [first, ...rest] = takers(name)
    expect({ name, rest: rest.map(({ path }) => path) }).toEqual({ name, rest: [] })
    if (first === undefined) throw new Error(`nothing configures ${name}`)
    return first.sections
  }
  const addresses = (sections: readonly Section[]): readonly string[] =>
    values(sections, 'Network', 'Address').map(canonical)
  const behind = (name: string): readonly string[] =>
    FAMILIES.flatMap(family =>
      host.gateway[family]?.interface === name ? [host.gateway[family].address] : []
    )
  for (const bridge of bridges) {
    const sections = unitOf(bridge.name)
    expect(addresses(sections)).toEqual(bridge.addresses.map(withBits))
    expect(single(sections, 'Network', 'DHCP')).toBe(bridge.dhcp === true ? 'yes' : undefined)
    expect(values(sections, 'Network', 'Gateway')).toEqual(behind(bridge.name))
    if (bridge.ports.length === 0) {
      expect(single(sections, 'Network', 'ConfigureWithoutCarrier')).toBe('yes')
      expect(single(sections, 'Link', 'RequiredForOnline')).toBe('no')
    }
    if (bridge.acceptRA !== undefined)
      expect(single(sections, 'Network', 'IPv6AcceptRA')).toBe(bridge.acceptRA ? 'yes' : 'no')
    if (bridge.addresses.some(({ family }) => family === 6))
      expect(single(sections, 'Network', 'LinkLocalAddressing')).toBe('ipv6')
    checkForwarding(network, bridge, sections)
  }
  for (const name of parts.lower) {
    const sections = unitOf(name)
    const [bridge, bond] = [parts.bridgeOf.get(name), parts.bondOf.get(name)]
    expect(values(sections, 'Network', 'Bridge')).toEqual(bridge === undefined ? [] : [bridge])
    expect(values(sections, 'Network', 'Bond')).toEqual(bond === undefined ? [] : [bond])
    expect(sorted(values(sections, 'Network', 'VLAN'))).toEqual(
      sorted(parts.vlans.filter(({ parent }) => parent === name).map(vlan => vlan.name))
    )
    // What becomes a port has no address; what only carries VLANs keeps its own.
    const card =
      bridge === undefined && bond === undefined ? host.cards.find(own => own.name === name) : undefined
    expect(addresses(sections)).toEqual((card?.addresses ?? []).map(withBits))
    expect(single(sections, 'Network', 'DHCP')).toBe(card?.dhcp === true ? 'yes' : undefined)
    expect(values(sections, 'Network', 'Gateway')).toEqual(card === undefined ? [] : behind(name))
  }
  for (const { name, bridge, kind } of taps)
    if (kind === 'microvm' && bridge !== undefined)
      expect(values(unitOf(name), 'Network', 'Bridge')).toEqual([bridge])
  // The ends of pairs are for nobody but NixOS: what systemd ships for them must not be reached.
  for (const { name } of pairsOf(network))
    expect(single(unitOf(hostIfname(name, false)), 'Link', 'Unmanaged')).toBe('yes')
  // Nothing else on the host is touched.
  const ours = new Set([...bridges.map(({ name }) => name), ...parts.lower])
  for (const { name } of host.cards) if (!ours.has(name)) expect(takers(name)).toEqual([])
  const known = [...ours, ...taps.map(({ name }) => name), 've-*']
  for (const { sections } of units)
    for (const name of values(sections, 'Match', 'Name')) expect(known).toContain(name)
}

const checkForwarding = ({ host }: Network, bridge: Bridge, sections: readonly Section[]): void => {
  const { masquerade, forwarding } = bridge
  expect(single(sections, 'Network', 'IPMasquerade')).toBe(masquerade)
  const keys = ['IPv4Forwarding', 'IPv6Forwarding', 'IPForward'].map(key => single(sections, 'Network', key))
  // systemd 256, which is in 24.11, has a key for each family.
  const isNew = host.release === undefined || host.release >= '24.11'
  const wanted = FAMILIES.map(
    family => forwarding[family] ?? (masquerade === 'both' || masquerade === `ipv${family}`)
  )
  if (isNew) expect(keys).toEqual([...wanted.map(on => (on ? 'yes' : undefined)), undefined])
  else {
    const [four, six] = wanted
    expect(keys).toEqual([
      undefined,
      undefined,
      four && six ? 'yes' : four ? 'ipv4' : six ? 'ipv6' : undefined
    ])
  }
}

test('units of systemd-networkd mean the network', async () => {
  await expect(means('networkd', checkUnits)).resolves.toBeUndefined()
})

// hosts

/** Everything that a container or machine has for an address, with the interface. */
const insideOf = (container: Container): readonly (readonly [ifname: string, address: Address])[] => {
  const { veth, extraVeths, inside } = container
  const all = [
    ...[...(veth === undefined ? [] : [veth]), ...extraVeths].flatMap(({ name, local }) =>
      local.map(address => [name, address] as const)
    ),
    ...inside.flatMap(({ name, addresses }) => addresses.map(address => [name, address] as const))
  ]
  return [...new Map(all.map(entry => [`${entry[0]} ${entry[1].address}`, entry])).values()]
}

const checkHosts = (network: Network, files: readonly Artifact[]): void => {
  const { host, bridges, containers, vms } = network
  // What looks like a number is one to most programs: inet_aton(3).
  const names = (name: string): string =>
    /^(?:0[xX][0-9a-fA-F]+|\d+)$/.test(name) ? `${name}.containers` : `${name}.containers ${name}`
  const lines = (addresses: readonly Address[], names: string): readonly string[] =>
    addresses.map(({ address }) => `${address}\t${names}`)
  const wanted = [
    ...(host.name === undefined ? [] : bridges.flatMap(({ addresses }) => lines(addresses, host.name ?? ''))),
    ...enabledOf(containers).flatMap(container =>
      lines(
        insideOf(container).map(([, address]) => address),
        names(container.name)
      )
    ),
    ...enabledOf(vms).flatMap(({ name, cards }) => cards.flatMap(({ addresses }) => lines(addresses, name)))
  ]
  const text = fileIn(files, 'hosts')
  expect(text.endsWith('\n')).toBe(true)
  const written = text.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  expect(sorted(written)).toEqual(sorted(wanted))
}

test('hosts has everybody by name, with every address on a line, and nothing else', async () => {
  await expect(means('hosts', checkHosts)).resolves.toBeUndefined()
})

// json

const checkJson = (network: Network, files: readonly Artifact[]): void => {
  const { host, bridges, containers, nat } = network
  const plan = JSON.parse(fileIn(files, 'plan.json'))
  const byName = <T extends { readonly name: string }>(entries: readonly T[]): readonly T[] =>
    [...entries].sort((a, b) => (a.name < b.name ? -1 : 1))
  expect(plan).toMatchObject({
    name: network.name ?? null,
    host: { name: host.name ?? null, release: host.release ?? null, manager: host.manager ?? null },
    bridges: byName(bridges).map(({ name, addresses, ports, mac = null, dhcp = false }) => ({
      name,
      addresses: addresses.map(withBits),
      ports,
      dhcp,
      macAddress: mac
    })),
    containers: byName(containers).map(
      ({ name, enabled = true, privateNetwork = false, nameservers, gateway }) => ({
        name,
        enabled,
        private: privateNetwork,
        nameservers,
        gateways: Object.fromEntries(
          FAMILIES.map(family => [
            `ipv${family}`,
            gateway[family] === undefined
              ? expect.any(Array)
              : expect.arrayContaining([
                  expect.objectContaining({ source: 'defaultGateway', via: gateway[family].address })
                ])
          ])
        )
      })
    ),
    nat: {
      enabled: nat !== undefined,
      backend: host.backend,
      external: { interface: nat?.externalInterface ?? null },
      dmzHost: nat?.dmzHost ?? null,
      forwards: (nat?.forwards ?? []).map(({ protocol, from, to, destination, loopbackIPs }) => ({
        protocol,
        from,
        to,
        destination: { address: destination.address, from: destination.from, to: destination.to },
        loopbackAddresses: loopbackIPs
      }))
    }
  })
  for (const container of enabledOf(containers)) {
    const { interfaces } = plan.containers.find(({ name }: { name: string }) => name === container.name)
    const found = interfaces.flatMap(({ name, addresses }: { name: string; addresses: string[] }) =>
      addresses.map(address => `${name} ${address}`)
    )
    expect(sorted(found)).toEqual(
      sorted(insideOf(container).map(([name, address]) => `${name} ${withBits(address)}`))
    )
  }
}

test('the plan as JSON has the facts of the network', async () => {
  await expect(means('json', checkJson)).resolves.toBeUndefined()
})

// NixOS

/** So many networks that one target does not refuse, with what it makes of them. */
const sampled = async (
  target: string,
  numRuns: number,
  filter: (network: Network) => boolean = () => true
): Promise<readonly { readonly network: Network; readonly files: readonly Artifact[] }[]> => {
  const found: { network: Network; files: readonly Artifact[] }[] = []
  for (const network of fc.sample(networks().filter(filter), { numRuns: numRuns * SCALE, seed: SEED })) {
    const { files, refused } = (await making(network))(target)
    if (refused.length === 0) found.push({ network, files })
  }
  expect(found.length).toBeGreaterThan((numRuns * SCALE) / 2)
  return found
}

/** What a check of one network of many throws, with that network. */
const blamed = (network: Network, check: () => void): void => {
  try {
    check()
  } catch (error) {
    const { actual, expected } = Object(error) as { actual?: unknown; expected?: unknown }
    const detail =
      actual === expected ? '' : `\n${JSON.stringify(actual)}\ninstead of\n${JSON.stringify(expected)}`
    throw new Error(`with seed ${SEED}: ${String(error)}${detail}\n${toYaml(toData(network))}`, {
      cause: error
    })
  }
}

/** A value somewhere in what a judge says; undefined where there is none. */
const at = (value: unknown, ...path: readonly string[]): unknown =>
  path.reduce(
    (value: unknown, step) => (Object.hasOwn(Object(value), step) ? Object(value)[step] : undefined),
    value
  )

const textAt = (value: unknown, ...path: readonly string[]): string | undefined => {
  const found = at(value, ...path)
  return typeof found === 'string' ? found : undefined
}

const listAt = (value: unknown, ...path: readonly string[]): readonly unknown[] => {
  const found = at(value, ...path) ?? []
  if (!Array.isArray(found)) throw new Error(`${path.join('.')} is no list`)
  return found
}

const keysAt = (value: unknown, ...path: readonly string[]): readonly string[] =>
  sorted(Object.keys(Object(at(value, ...path) ?? {})))

/** The addresses of networking.interfaces.<name>. */
const optionAddresses = (networking: unknown, name: string): readonly string[] =>
  FAMILIES.flatMap(family =>
    listAt(networking, 'interfaces', name, `ipv${family}`, 'addresses').map(
      entry => `${String(at(entry, 'address'))}/${String(at(entry, 'prefixLength'))}`
    )
  )

const inFamilies = (addresses: readonly Address[]): readonly string[] =>
  FAMILIES.flatMap(family => addresses.filter(own => own.family === family).map(withBits))

/** Open ports in one form: `tcp 80-80`. */
const openPorts = (open: readonly Ports[]): readonly string[] =>
  sorted(new Set(open.map(({ protocol, from, to }) => `${protocol} ${from}-${to}`)))

const optionPorts = (openings: unknown): readonly string[] =>
  sorted(
    new Set(
      ['tcp', 'udp'].flatMap(protocol => [
        ...listAt(openings, `allowed${protocol.toUpperCase()}Ports`).map(
          port => `${protocol} ${String(port)}-${String(port)}`
        ),
        ...listAt(openings, `allowed${protocol.toUpperCase()}PortRanges`).map(
          range => `${protocol} ${String(at(range, 'from'))}-${String(at(range, 'to'))}`
        )
      ])
    )
  )

const checkFirewall = (networking: unknown, firewall: Firewall | undefined): void => {
  const option = at(networking, 'firewall')
  expect(optionPorts(option)).toEqual(openPorts(firewall?.open ?? []))
  const perInterface = (firewall?.interfaces ?? []).map(({ name, open }) => [name, openPorts(open)])
  expect(
    keysAt(option, 'interfaces').map(name => [name, optionPorts(at(option, 'interfaces', name))])
  ).toEqual(perInterface.sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1)))
  expect(listAt(option, 'trustedInterfaces')).toEqual(firewall?.trusted ?? [])
  expect(at(option, 'enable') ?? true).toBe(firewall?.enable ?? true)
  expect(at(networking, 'nftables', 'enable') ?? false).toBe(firewall?.backend === 'nftables')
  const check = at(option, 'checkReversePath') ?? true
  const wanted = firewall?.checkReversePath ?? true
  expect(check === 'strict' ? true : check).toBe(wanted === 'strict' ? true : wanted)
  expect(at(option, 'filterForward')).toBe(firewall?.filterForward)
  expect(at(option, 'extraForwardRules')).toBe(firewall?.extraForwardRules)
}

const checkNatOptions = (network: Network, option: unknown): void => {
  const { nat, host } = network
  if (nat === undefined) {
    expect(option).toBeUndefined()
    return
  }
  expect(option).toMatchObject({ enable: true, externalInterface: nat.externalInterface })
  expect(at(option, 'enableIPv6')).toBe(nat.enableIPv6)
  for (const key of ['externalIP', 'externalIPv6', 'dmzHost'] as const) expect(at(option, key)).toBe(nat[key])
  expect(listAt(option, 'internalIPs')).toEqual(nat.internalIPs.map(withBits))
  expect(listAt(option, 'internalIPv6s')).toEqual(nat.internalIPv6s.map(withBits))
  expect(listAt(option, 'forwardPorts')).toEqual(
    nat.forwards.map(({ protocol, from, to, destination, loopbackIPs }) => ({
      sourcePort: from === to ? from : `${from}:${to}`,
      destination: `${destination.family === 6 ? `[${destination.address}]` : destination.address}:${
        destination.from === destination.to ? destination.from : `${destination.from}-${destination.to}`
      }`,
      proto: protocol,
      ...(loopbackIPs.length === 0 ? {} : { loopbackIPs })
    }))
  )
  // A pattern may be written as the names that it stands for, and as no others.
  const written = listAt(option, 'internalInterfaces').map(String)
  const wildcard = host.backend === 'iptables' ? '+' : '*'
  const stems = nat.internalInterfaces.flatMap(name => (name.endsWith(wildcard) ? [name.slice(0, -1)] : []))
  for (const name of written)
    expect(nat.internalInterfaces.includes(name) || stems.some(stem => name.startsWith(stem))).toBe(true)
  for (const name of nat.internalInterfaces)
    if (!name.endsWith(wildcard)) expect(written).toContain(name)
    else if (!written.includes(name))
      for (const { name } of pairsOf(network)) expect(written).toContain(hostIfname(name, false))
}

const checkBridgeOptions = (network: Network, config: unknown): void => {
  const { host, bridges } = network
  const units = Object.values(Object(at(config, 'systemd', 'network', 'networks') ?? {}))
  const netdevs = Object.values(Object(at(config, 'systemd', 'network', 'netdevs') ?? {}))
  const networking = at(config, 'networking')
  const inUnits = netdevs
    .filter(netdev => at(netdev, 'netdevConfig', 'Kind') === 'bridge')
    .map(netdev => String(at(netdev, 'netdevConfig', 'Name')))
  const inScripts = keysAt(networking, 'bridges')
  expect(sorted([...inUnits, ...inScripts])).toEqual(sorted(bridges.map(({ name }) => name)))
  for (const { name, addresses, ports, mac, dhcp, rstp, stp, definedBy } of bridges) {
    const isScripted = inScripts.includes(name)
    if (definedBy !== undefined) expect(isScripted).toBe(definedBy === 'scripted')
    else if (host.manager === 'networkd') expect(isScripted).toBe(false)
    if (isScripted) {
      expect(listAt(networking, 'bridges', name, 'interfaces')).toEqual(ports)
      expect(at(networking, 'bridges', name, 'rstp') ?? false).toBe(rstp ?? false)
      expect(optionAddresses(networking, name)).toEqual(inFamilies(addresses))
      expect(at(networking, 'interfaces', name, 'useDHCP')).toBe(dhcp)
      expect(at(networking, 'interfaces', name, 'macAddress')).toBe(mac)
      continue
    }
    const netdev = netdevs.find(other => at(other, 'netdevConfig', 'Name') === name)
    expect(at(netdev, 'netdevConfig', 'MACAddress')).toBe(mac)
    expect(at(netdev, 'bridgeConfig', 'STP') ?? false).toBe(stp ?? false)
    const own = units.filter(other => at(other, 'matchConfig', 'Name') === name)
    expect(own.length).toBe(1)
    expect(listAt(own[0], 'address')).toEqual(addresses.map(withBits))
    expect(at(own[0], 'networkConfig', 'DHCP')).toBe(dhcp)
    for (const port of ports)
      expect(
        units.filter(other => at(other, 'matchConfig', 'Name') === port).map(other => listAt(other, 'bridge'))
      ).toEqual([[name]])
  }
  // NixOS makes what a bridge stands on, whoever makes the bridge.
  const { vlans, bonds } = partsOf(network)
  expect(at(networking, 'vlans') ?? {}).toEqual(
    Object.fromEntries(vlans.map(({ name, id, parent }) => [name, { id, interface: parent }]))
  )
  expect(keysAt(networking, 'bonds')).toEqual(sorted(bonds.map(({ name }) => name)))
  for (const { name, members } of bonds)
    expect(listAt(networking, 'bonds', name, 'interfaces')).toEqual(members)
  // Of the other interfaces only what is made here is set up here.
  const madeHere = new Set([...vlans, ...bonds].map(({ name }) => name))
  for (const { name, addresses, dhcp } of host.cards)
    if (madeHere.has(name)) {
      expect(optionAddresses(networking, name)).toEqual(inFamilies(addresses))
      expect(at(networking, 'interfaces', name, 'useDHCP')).toBe(dhcp)
    } else expect(keysAt(networking, 'interfaces')).not.toContain(name)
}

const endsOf = ({ bridge, host, local }: Veth): Record<string, string> => {
  const end = (name: string, ends: readonly Address[], full: boolean): Record<string, string> =>
    Object.fromEntries(
      ends.map(own => [`${name}Address${own.family === 6 ? '6' : ''}`, full ? withBits(own) : own.address])
    )
  return {
    ...(bridge === undefined ? {} : { hostBridge: bridge }),
    ...end('host', host, false),
    ...end('local', local, bridge !== undefined)
  }
}

const checkContainerOptions = (container: Container, option: unknown): void => {
  const { veth, extraVeths, forwardPorts, gateway, routes, inside } = container
  const { config, ...own } = Object(option)
  const networking = at(config, 'networking')
  const some = (name: string, list: readonly unknown[]): Record<string, unknown> =>
    list.length === 0 ? {} : { [name]: list }
  expect(own).toEqual({
    privateNetwork: container.privateNetwork === true,
    ...(veth === undefined ? {} : endsOf(veth)),
    ...(veth?.mac === undefined ? {} : { localMacAddress: veth.mac }),
    ...(extraVeths.length === 0
      ? {}
      : { extraVeths: Object.fromEntries(extraVeths.map(extra => [extra.name, endsOf(extra)])) }),
    ...some('macvlans', container.macvlans),
    ...some('interfaces', container.moved),
    ...some(
      'forwardPorts',
      forwardPorts.map(({ protocol, hostPort, containerPort = hostPort }) => ({
        protocol,
        hostPort,
        ...(containerPort === hostPort ? {} : { containerPort })
      }))
    ),
    ...(container.copyResolvConf === false ? { copyResolvConf: false } : {})
  })
  for (const family of FAMILIES) {
    const written = gateway[family]
    const option = at(networking, family === 4 ? 'defaultGateway' : 'defaultGateway6')
    if (written === undefined) {
      // With networkd inside, what hostAddress does before the container starts has to be said there as well.
      if (container.useNetworkd !== true) expect(option).toBeUndefined()
      continue
    }
    expect(option).toEqual({
      address: written.address,
      interface: written.interface ?? 'eth0',
      ...(written.metric === undefined ? {} : { metric: written.metric })
    })
  }
  for (const { to, via, interface: ifname = 'eth0' } of routes)
    expect(listAt(networking, 'interfaces', ifname, `ipv${to.family}`, 'routes')).toContainEqual({
      address: to.address,
      prefixLength: to.bits,
      ...(via === undefined ? {} : { via })
    })
  for (const { name, addresses, dhcp, mtu } of inside) {
    expect(optionAddresses(networking, name)).toEqual(inFamilies(addresses))
    expect(at(networking, 'interfaces', name, 'useDHCP')).toBe(dhcp)
    expect(at(networking, 'interfaces', name, 'mtu')).toBe(mtu)
  }
  if (container.dhcp === true) expect(at(networking, 'interfaces', 'eth0', 'useDHCP')).toBe(true)
  expect(listAt(networking, 'nameservers')).toEqual(container.nameservers)
  expect(at(networking, 'useHostResolvConf')).toBe(container.useHostResolvConf)
  expect(at(networking, 'useNetworkd')).toBe(container.useNetworkd)
  if (container.useNetworkd !== true)
    expect(at(config, 'services', 'resolved', 'enable')).toBe(container.resolved)
  checkFirewall(networking, container.firewall)
}

const checkModule = (network: Network, config: unknown): void => {
  checkBridgeOptions(network, config)
  checkNatOptions(network, at(config, 'networking', 'nat'))
  checkFirewall(at(config, 'networking'), network.host.firewall)
  const containers = enabledOf(network.containers)
  expect(keysAt(config, 'containers')).toEqual(sorted(containers.map(({ name }) => name)))
  for (const container of containers)
    checkContainerOptions(container, at(config, 'containers', container.name))
}

describe('a module of NixOS', () => {
  test.skipIf(withoutNix())(
    'is taken by nix, with the options of the release, and means the network',
    async () => {
      const all = await sampled('nixos', 150)
      const releases = new Map<string | undefined, typeof all>()
      for (const entry of all) {
        const { release } = entry.network.host
        releases.set(release, [...(releases.get(release) ?? []), entry])
      }
      for (const [release, entries] of releases) {
        const texts = entries.map(({ files }) => fileIn(files, 'network.nix'))
        const evaluations = await evalModules(texts, release === undefined ? {} : { release })
        for (const [i, { network }] of entries.entries()) {
          const evaluation = evaluations[i]
          blamed(network, () => {
            if (evaluation === undefined || !('config' in evaluation))
              throw new Error(`${evaluation?.faults.join('\n')}\n${texts[i]}`)
            checkModule(network, evaluation.config)
          })
        }
      }
    }
  )
})

// nftables

interface Packet {
  readonly family: Family
  readonly iif: string
  readonly oif: string
  readonly from: string
  readonly to: string
  readonly protocol: Protocol
  readonly port: number
}

type Expression = { readonly [kind: string]: unknown }

interface Ruleset {
  readonly chains: readonly string[]
  readonly rules: readonly { readonly chain: string; readonly expr: readonly Expression[] }[]
}

/** What `nft -j list ruleset` says, of the one table that may be there. */
const rulesetOf = (text: string): Ruleset => {
  const chains: string[] = []
  const rules: { chain: string; expr: readonly Expression[] }[] = []
  for (const item of JSON.parse(text).nftables) {
    const [only] = Object.entries<Record<string, unknown>>(item)
    const [kind, entry] = only ?? []
    if (kind === 'metainfo') continue
    const where = kind === 'table' ? entry?.['name'] : entry?.['table']
    expect([kind, entry?.['family'], where]).toEqual([kind, 'inet', 'netplan'])
    if (kind === 'chain') chains.push(String(entry?.['name']))
    else if (kind === 'rule')
      rules.push({ chain: String(entry?.['chain']), expr: (entry?.['expr'] ?? []) as readonly Expression[] })
    else expect(kind).toBe('table')
  }
  return { chains, rules }
}

/** A port, or an address: those of IPv6 lie above all others. */
const numberOf = (value: unknown): bigint =>
  typeof value === 'number'
    ? BigInt(value)
    : valueOf(String(value)) + (familyOf(String(value)) === 6 ? 1n << 128n : 0n)

/** Whether a value of a packet is what a rule asks for: a value, a prefix, a range, or one of several. */
const isAmong = (own: string | number, wanted: unknown): boolean => {
  const set = at(wanted, 'set')
  if (Array.isArray(set)) return set.some(one => isAmong(own, one))
  const range = at(wanted, 'range')
  if (Array.isArray(range)) {
    const [first, last] = range.map(numberOf)
    return first !== undefined && last !== undefined && first <= numberOf(own) && numberOf(own) <= last
  }
  const prefix = at(wanted, 'prefix')
  if (prefix !== undefined) {
    const [addr, bits] = [String(at(prefix, 'addr')), Number(at(prefix, 'len'))]
    const family = familyOf(addr)
    return (
      familyOf(String(own)) === family &&
      networkOf({ family, address: String(own), bits }).address ===
        networkOf({ family, address: addr, bits }).address
    )
  }
  if (typeof wanted !== 'string' && typeof wanted !== 'number')
    throw new Error(`what is ${JSON.stringify(wanted)}?`)
  return typeof wanted === 'string' && wanted.endsWith('*')
    ? String(own).startsWith(wanted.slice(0, -1))
    : String(own) === String(wanted)
}

/** What the packet has of what a rule looks at; undefined where it has no such thing. */
const seenBy = (packet: Packet, left: unknown, isTranslated: boolean): string | number | undefined => {
  const meta = at(left, 'meta', 'key')
  if (meta === 'nfproto') return `ipv${packet.family}`
  if (meta === 'iifname') return packet.iif
  if (meta === 'oifname') return packet.oif
  const payload = at(left, 'payload')
  const name = `${String(at(payload, 'protocol'))} ${String(at(payload, 'field'))}`
  const ip = packet.family === 4 ? 'ip' : 'ip6'
  if (name === `${ip} saddr`) return packet.from
  if (name === `${ip} daddr`) return packet.to
  if (name === `${packet.protocol} dport`) return packet.port
  if (/^(?:(?:ip6?|tcp|udp) [sd](?:addr|port)|icmpv6 type)$/.test(name)) return undefined
  if (at(left, 'ct', 'key') === 'status') return isTranslated ? 'dnat' : 'none'
  if (String(at(left, 'ct', 'dir')) === 'original') return undefined
  throw new Error(`a rule looks at ${JSON.stringify(left)}`)
}

/** What the first rule of a chain that takes the packet does with it; undefined where none does. */
const fateOf = ({ rules }: Ruleset, chain: string, packet: Packet): Expression | undefined => {
  for (const { chain: own, expr } of rules) {
    if (own !== chain) continue
    // What belongs to a connection that is known; these packets begin one.
    if (expr.some(expression => at(expression, 'vmap', 'key', 'ct', 'key') === 'state')) continue
    const takes = expr.every(expression => {
      const match = at(expression, 'match')
      if (match === undefined) return true
      const seen = seenBy(packet, at(match, 'left'), false)
      const op = at(match, 'op')
      if (!['==', 'in', '!='].includes(String(op))) throw new Error(`a rule asks for ${String(op)}`)
      return seen !== undefined && isAmong(seen, at(match, 'right')) !== (op === '!=')
    })
    const last = expr.at(-1)
    if (takes && last !== undefined && at(last, 'match') === undefined) return last
  }
  return undefined
}

const OUTSIDE = { 4: '198.51.100.77', 6: '2001:db8:77::77' } as const

/** Every network interface by which packets of a container come to the host, with the address that they have. */
const sendersOf = (network: Network): readonly { readonly iif: string; readonly from: Address }[] =>
  enabledOf(network.containers).flatMap(({ name, veth, extraVeths }) => [
    ...(veth?.local ?? []).map(from => ({ iif: veth?.bridge ?? hostIfname(name, false), from })),
    ...extraVeths.flatMap(extra => extra.local.map(from => ({ iif: extra.bridge ?? extra.name, from })))
  ])

const checkRuleset = (network: Network, ruleset: Ruleset): void => {
  const { nat, host } = network
  for (const chain of ruleset.chains)
    expect(['prerouting', 'output', 'postrouting', 'forward']).toContain(chain)
  if (nat === undefined) {
    expect(ruleset.rules.filter(({ chain }) => chain !== 'forward')).toEqual([])
    return
  }
  const external = nat.externalInterface
  const wildcard = host.backend === 'iptables' ? '+' : '*'
  const isInternal = (iif: string): boolean =>
    nat.internalInterfaces.some(name =>
      name.endsWith(wildcard) ? iif.startsWith(name.slice(0, -1)) : name === iif
    )
  const isWithin = (from: Address): boolean =>
    [...nat.internalIPs, ...nat.internalIPv6s].some(
      net => net.family === from.family && networkOf({ ...from, bits: net.bits }).address === net.address
    )
  const base = { protocol: 'tcp', port: 443 } as const
  for (const { iif, from } of sendersOf(network)) {
    const packet = {
      ...base,
      family: from.family,
      iif,
      oif: external,
      from: from.address,
      to: OUTSIDE[from.family]
    }
    const own = from.family === 4 ? nat.externalIP : nat.externalIPv6
    const isTranslated = (from.family === 4 || nat.enableIPv6 === true) && (isInternal(iif) || isWithin(from))
    const fate = fateOf(ruleset, 'postrouting', packet)
    if (!isTranslated) expect({ packet, fate }).toEqual({ packet, fate: undefined })
    else if (own === undefined) expect({ packet, fate }).toEqual({ packet, fate: { masquerade: null } })
    else expect({ packet, fate }).toMatchObject({ packet, fate: { snat: { addr: own } } })
    if (host.firewall?.filterForward === true && host.firewall.enable !== false)
      expect({ packet, fate: fateOf(ruleset, 'forward', packet) }).toEqual({
        packet,
        fate: isInternal(iif) || isWithin(from) ? { accept: null } : undefined
      })
    // Only on the way out is anything translated.
    expect(fateOf(ruleset, 'postrouting', { ...packet, oif: 'elsewhere0' })).toBeUndefined()
  }
  const stranger = {
    ...base,
    family: 4,
    iif: 'elsewhere0',
    oif: external,
    from: '198.18.0.1',
    to: OUTSIDE[4]
  } as const
  expect(fateOf(ruleset, 'postrouting', stranger)).toBeUndefined()
  const arrival = (family: Family, protocol: Protocol, port: number): Packet => ({
    family,
    protocol,
    port,
    iif: external,
    oif: '',
    from: OUTSIDE[family],
    to:
      (family === 4 ? nat.externalIP : nat.externalIPv6) ??
      (family === 4 ? '203.0.113.10' : '2001:db8:0:1::10')
  })
  for (const { protocol, from, to, destination, loopbackIPs } of nat.forwards) {
    const { family, address } = destination
    for (const port of new Set([from, to])) {
      const packet = arrival(family, protocol, port)
      const isTo = (fate: Expression | undefined): void => {
        const dnat = at(fate, 'dnat')
        expect({ packet, addr: at(dnat, 'addr') }).toEqual({ packet, addr: address })
        // A range goes to the same range, in which a port stays what it is.
        expect({ port, ports: at(dnat, 'port') }).toEqual({
          port,
          ports: from === to ? destination.from : { range: [destination.from, destination.to] }
        })
      }
      isTo(fateOf(ruleset, 'prerouting', packet))
      for (const to of loopbackIPs) {
        isTo(fateOf(ruleset, 'prerouting', { ...packet, iif: 'elsewhere0', to }))
        isTo(fateOf(ruleset, 'output', { ...packet, iif: '', oif: 'lo', to }))
      }
      if (loopbackIPs.length === 0)
        expect(fateOf(ruleset, 'prerouting', { ...packet, iif: 'elsewhere0' })).toBeUndefined()
    }
  }
  // What nobody forwards goes to the DMZ host, or stays with the host.
  for (const [protocol, port] of [
    ['tcp', 49_999],
    ['udp', 49_998]
  ] as const) {
    const fate = fateOf(ruleset, 'prerouting', arrival(4, protocol, port))
    expect(fate).toEqual(
      nat.dmzHost === undefined ? undefined : { dnat: { family: 'ip', addr: nat.dmzHost } }
    )
    expect(fateOf(ruleset, 'prerouting', arrival(6, protocol, port))).toBeUndefined()
  }
}

/** Loads each text into nftables of its own; gives what nft says to it, and what it then lists. */
const loaded = async (
  texts: readonly string[]
): Promise<readonly { readonly said: string; readonly listed: string }[]> => {
  const folder = mkdtempSync(join(tmpdir(), 'netplan-nft-'))
  try {
    for (const [i, text] of texts.entries()) writeFileSync(join(folder, `${i}.nft`), text)
    const { ok, text } = await inNamespace(
      `cd '${folder}' && for i in $(seq 0 ${texts.length - 1}); do
        nft flush ruleset; nft -f $i.nft > $i.said 2>&1; echo "status $?" >> $i.said; nft -j list ruleset > $i.listed
      done`
    )
    if (!ok) throw new Error(text)
    const read = (file: string): string => readFileSync(join(folder, file), 'utf8')
    return texts.map((_, i) => ({ said: read(`${i}.said`), listed: read(`${i}.listed`) }))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

describe('rules of nftables', () => {
  test.skipIf(absent(['nft', 'unshare', 'mount']))(
    'are loaded, and translate and forward what the network says and nothing else',
    async () => {
      const all = await sampled('nftables', 40, ({ nat }) => nat !== undefined)
      const answers = await loaded(all.map(({ files }) => fileIn(files, 'netplan.nft')))
      for (const [i, { network, files }] of all.entries())
        blamed(network, () => {
          expect(`${answers[i]?.said}${files[0]?.text}`).toBe(`status 0\n${files[0]?.text}`)
          checkRuleset(network, rulesetOf(answers[i]?.listed ?? ''))
        })
    }
  )
})

// Hostile texts

interface Case {
  readonly place: string
  /** What the topology is called. */
  readonly name: string
  readonly release: string | undefined
  readonly text: string
  /** What each target makes of it. */
  readonly making: (target: string) => Made
  /** The same with a harmless word in that place; undefined where that is refused. */
  readonly tame: ((target: string) => Made) | undefined
}

const TAME = 'tameplace'

/** Texts at every place, those that a check has no error for. */
const survivors = async (perPlace: number): Promise<readonly Case[]> => {
  const texts = fc.sample(hostileStrings(), { numRuns: hostilePlaces.length * perPlace, seed: SEED })
  const cases: Case[] = []
  for (const [i, { place, base, put }] of hostilePlaces.entries()) {
    const tame = await makes(toJson(put(TAME)))
    const release = textAt(put(TAME), 'host', 'release') ?? ''
    for (const text of texts.slice(i * perPlace, (i + 1) * perPlace)) {
      const making = await makes(toJson(put(text)))
      if (making !== undefined)
        cases.push({
          place: `${place} of ${base}`,
          name: textAt(put(text), 'name') ?? 'topology',
          release: /^\d\d\.\d\d$/.test(release) ? release : undefined,
          text,
          making,
          // An address where an address belongs means more than a word does.
          tame: /^[\da-f.:/]+$/i.test(text) ? undefined : tame
        })
    }
  }
  return cases
}

/** Checks every case, and throws what is wrong with them, once for each place. */
const accused = <T extends { readonly own: Case }>(cases: readonly T[], check: (entry: T) => void): void => {
  const wrong = new Map<string, string>()
  for (const entry of cases) {
    const { place, text } = entry.own
    try {
      if (!wrong.has(place)) check(entry)
    } catch (error) {
      wrong.set(place, `${JSON.stringify(text.slice(0, 100))} at ${place}: ${String(error).slice(0, 300)}`)
    }
  }
  if (wrong.size > 0) throw new Error(`with seed ${SEED}:\n${[...wrong.values()].slice(0, 15).join('\n')}`)
}

/** Whether a text has characters that end lines or strings, that terminals act on, or that no file can hold. */
const ACTIVE = /[^\P{Cc}\n\t]|[\p{Zl}\p{Zp}\p{Cs}\u202a-\u202e\u2066-\u2069]/u

/** The same with every harmless word as the text, in whatever order its lists are. */
const asHostile = (value: unknown, word: string, text: string): unknown => {
  if (typeof value === 'string') return value.replaceAll(word, () => text)
  if (Array.isArray(value))
    return value
      .map(item => asHostile(item, word, text))
      .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key.replaceAll(word, () => text),
      asHostile(item, word, text)
    ])
  )
}

describe('hostile texts', () => {
  let found: Promise<readonly Case[]> | undefined
  const cases = async (): Promise<readonly { readonly own: Case }[]> =>
    (await (found ??= survivors(3 * SCALE))).map(own => ({ own }))

  test('are refused, or stay within their value', async () => {
    const all = await cases()
    expect(all.length).toBeGreaterThan(100)
    accused(all, ({ own: { making, name } }) => {
      for (const target of TARGETS) {
        const { files, refused } = making(target)
        if (refused.length > 0) expect(refused.map(({ at }) => at.length)).not.toEqual(refused.map(() => 0))
        for (const { path, text } of files) {
          expect(path).toMatch(/^[A-Za-z0-9._@:+-]{1,255}$/)
          expect({ path, active: ACTIVE.exec(text)?.[0] }).toEqual({ path, active: undefined })
          const [first = ''] = text.split('\n', 1)
          expect(readMark(first)).toEqual({ target, topology: name })
        }
      }
    })
  })

  test('are not left out in silence where an address belongs', async () => {
    // These choose what is known of NixOS, or are for `auto` and for findings only.
    const unused = /^host\.(?:release|kernel|dhcpServers)|^pools/
    const silent: string[] = []
    for (const { place, base, at: path, key, put } of hostilePlaces) {
      const own = textAt(hostileBases[base], ...path.map(String)) ?? ''
      if (key || unused.test(place) || !/^(?=.*[.:])[\d.:a-f/]+$/i.test(own)) continue
      const making = await makes(toJson(put(TAME)))
      const told = TARGETS.some(target => {
        const { files, refused } = making?.(target) ?? { files: [], refused: ['an error'] }
        return refused.length > 0 || files.some(({ text }) => text.includes(TAME))
      })
      if (!told) silent.push(`${place} of ${base}`)
    }
    expect(silent).toEqual([])
  })

  test('make no lines of units, and no patterns', async () => {
    accused(await cases(), ({ own }) => {
      // An interface may have a second, longer name (IFLA_ALT_IFNAME).
      for (const file of own.making('networkd').files)
        for (const name of values(unit(file), 'Match', 'Name'))
          expect(name).toMatch(/^(?:ve-\*|[\w.:@+-]{1,127})$/)
    })
  })

  test('make no lines of hosts', async () => {
    accused(await cases(), ({ own }) => {
      for (const { text } of own.making('hosts').files)
        for (const line of text.split('\n'))
          expect(line).toMatch(/^(?:#.*|[\da-f.:]+\t[\w.-]+(?: [\w.-]+)*|)$/)
    })
  })

  test('are strings in JSON', async () => {
    // What a unit says by hand is read: a name there may be several; and `HOST:INSIDE` are two names.
    const all = (await cases()).filter(
      ({ own }) => isWhole(own) && !own.place.startsWith('host.networkd.') && !own.text.includes(':')
    )
    accused(all, ({ own }) => {
      const plan = jsonOf(own.making)
      const tame = own.tame === undefined ? undefined : jsonOf(own.tame)
      if (tame !== undefined) expect(asHostile(plan, TAME, TAME)).toEqual(asHostile(tame, TAME, own.text))
    })
  })

  test.skipIf(withoutNix())('are strings in Nix', async () => {
    const all = (await cases()).flatMap(({ own }) => {
      const [file] = own.making('nixos').files
      return file === undefined ? [] : [{ own, module: file.text, tame: own.tame?.('nixos').files[0]?.text }]
    })
    expect(all.length).toBeGreaterThan(50)
    const evaluated = new Map<string, Evaluation | undefined>()
    for (const release of new Set(all.map(({ own }) => own.release))) {
      const some = all.filter(({ own }) => own.release === release)
      const texts = [
        ...new Set(some.flatMap(({ module, tame }) => [module, ...(tame === undefined ? [] : [tame])]))
      ]
      const evaluations = await evalModules(texts, release === undefined ? {} : { release })
      for (const [i, text] of texts.entries()) evaluated.set(`${release} ${text}`, evaluations[i])
    }
    accused(all, ({ own, module, tame }) => {
      const evaluation = evaluated.get(`${own.release} ${module}`)
      if (evaluation === undefined || !('config' in evaluation))
        throw new Error(evaluation?.faults.join('\n'))
      const other = tame === undefined ? undefined : evaluated.get(`${own.release} ${tame}`)
      if (isWhole(own) && other !== undefined && 'config' in other)
        expect(asHostile(evaluation.config, TAME, TAME)).toEqual(asHostile(other.config, TAME, own.text))
    })
  })

  test.skipIf(absent(['nft', 'unshare', 'mount']))('make no rules of their own', async () => {
    const bodies = new Map<string, Case>()
    for (const { own } of await cases())
      for (const { text } of own.making('nftables').files) bodies.set(text.replace(/^#.*\n/gm, ''), own)
    const entries = [...bodies]
    expect(entries.length).toBeGreaterThan(5)
    const answers = await loaded(entries.map(([body]) => body))
    accused(
      entries.map(([body, own], i) => ({ own, body, answer: answers[i] })),
      ({ body, answer }) => {
        expect(`${answer?.said}${body}`).toBe(`status 0\n${body}`)
        const { chains, rules } = rulesetOf(answer?.listed ?? '')
        for (const chain of chains)
          expect(['prerouting', 'output', 'postrouting', 'forward']).toContain(chain)
        // No more of them than lines that were written.
        expect(rules.length).toBeLessThanOrEqual(body.split('\n').length)
      }
    )
  })
})

/** Whether the interfaces of a container of this name have it whole; else a hash stands for the end of it. */
const isWhole = ({ place, text }: Case): boolean => !place.startsWith('containers.* {}') || text.length <= 12

/** The plan without what quotes a text on purpose: the mark, and paths. */
const jsonOf = (making: (target: string) => Made): unknown => {
  const [file] = making('json').files
  return file === undefined
    ? undefined
    : JSON.parse(file.text, (key, value: unknown) => (key === 'mark' || key === 'path' ? undefined : value))
}
