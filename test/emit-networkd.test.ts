import { describe, expect, test } from 'vitest'
import type { Link, Plan } from '../src/index.ts'
import { buildTopology } from '../src/model/build.ts'
import { formatAddr } from '../src/net/addr.ts'
import { formatPrefix, masked } from '../src/net/prefix.ts'
import { resolve } from '../src/plan/resolve.ts'
import { networkdBridges, unitOf, unitsOf as unitsOfPlan } from '../src/plan/units.ts'
import { emitted, type Golden, goldens, planOf } from './golden.ts'
import { absent, inNamespace } from './judge.ts'
import { askNetworkd, type Verdict, withoutNetworkd } from './networkd.ts'

// Generated units under the real systemd-networkd, with the files that systemd ships beside them: its log has no
// complaint, and the kernel then has the addresses, routes and links of the plan, before and while containers run.

const SKIP = withoutNetworkd()

/** A line of networkd's log that is more than a report of what it does. */
const COMPLAINT = /ignor|unknown|fail|could not|invalid|refus|dropping|error|not valid|deprecated|missing/i

/** networkd before 256 does not know what is written for later ones, and says so; it then knows IPForward=. */
const NEWER = /Unknown key 'IPv[46]Forwarding' in section \[Network\], ignoring/

const complaints = ({ log }: Verdict): string[] =>
  log.split('\n').filter(line => COMPLAINT.test(line) && !NEWER.test(line))

const unitsOf = async ({ topology }: Golden): Promise<{ plan: Plan; units: Record<string, string> }> => {
  const plan = await planOf(topology)
  const { files, refused } = emitted(plan, 'networkd')
  expect(refused).toEqual([])
  return { plan, units: { ...files } }
}

/** The names in [Match] of units that nothing but hardware can have. */
const cards = (units: Readonly<Record<string, string>>): string[] => {
  const texts = Object.values(units)
  const made = new Set(texts.flatMap(text => /^\[NetDev\]\nName=(.*)$/m.exec(text)?.[1] ?? []))
  return texts
    .flatMap(text => /^\[Match\]\nName=(.*)$/m.exec(text)?.[1] ?? [])
    .filter(name => !made.has(name) && !/[*]|^v[bm]-/.test(name))
}

/** The bridges that have units of ours, and what the plan says of them. */
const bridgesOf = ({ bridges }: Plan, units: Readonly<Record<string, string>>) =>
  [...bridges.values()].filter(({ bridge }) => `20-${bridge.name}.netdev` in units)

const written = (plan: Plan, name: string): string[] =>
  (plan.bridges.get(name)?.bridge.addresses ?? []).flatMap(({ prefix }) =>
    prefix === undefined ? [] : [formatPrefix(prefix)]
  )

/** The prefix routes that the kernel has when an interface has these addresses. */
const expectRoutes = (plan: Plan, name: string, routes: string): void => {
  for (const { prefix } of plan.bridges.get(name)?.bridge.addresses ?? [])
    if (prefix !== undefined)
      expect(routes).toMatch(
        new RegExp(`^${formatPrefix(masked(prefix)).replaceAll('.', '\\.')} dev ${name} `, 'm')
      )
}

/** The real kernels that tests run on do not all have these. */
const KINDS = ['vlan', 'bond'] as const
const lacking = async (text: string): Promise<readonly string[]> => {
  const wanted = KINDS.filter(kind => text.includes(`Kind=${kind}`))
  if (text.includes('VLANFiltering')) return [...wanted, 'vlan_filtering']
  const { text: said } = await inNamespace(
    wanted
      .map(
        kind =>
          `ip link add x type ${kind} ${kind === 'vlan' ? 'link lo id 5' : ''} 2>&1 && ip link del x || echo lacks ${kind}`
      )
      .join('\n') || ':'
  )
  return wanted.filter(kind => said.includes(`lacks ${kind}`))
}

const made = goldens.filter(({ outputs }) => Object.keys(outputs).some(path => path.endsWith('.netdev')))

test('there are goldens with bridges', () => {
  expect(made.length).toBeGreaterThan(6)
})

describe.concurrent.each(made)('$name', golden => {
  test.skipIf(SKIP)('networkd makes of the units what the plan says, before any container runs', async () => {
    const { plan, units } = await unitsOf(golden)
    const lacks = await lacking(Object.values(units).join('\n'))
    const verdict = await askNetworkd({ units, pairs: cards(units), shipped: true, after: 'ip -j -d link' })
    if (lacks.length > 0) {
      process.stderr.write(
        `judges: of ${golden.name} networkd only reads the units, this kernel lacks ${lacks.join(', ')}\n`
      )
      // What it reads it complains of with file and line; the rest is the kernel's.
      expect(complaints(verdict).filter(line => /\.(?:network|netdev)\b/.test(line))).toEqual([])
      return
    }
    expect(complaints(verdict)).toEqual([])
    for (const { bridge } of bridgesOf(plan, units)) {
      expect([bridge.name, verdict.addresses[bridge.name]?.toSorted()]).toEqual([
        bridge.name,
        written(plan, bridge.name).toSorted()
      ])
      expect(verdict.files[bridge.name]).toMatch(new RegExp(`^\\d\\d-${bridge.name}\\.network$`))
      for (const { name } of bridge.interfaces)
        expect([name, verdict.masters[name]]).toEqual([name, bridge.name])
      expectRoutes(plan, bridge.name, verdict.routes)
      const { macAddress } = bridge
      if (macAddress !== undefined)
        expect(verdict.said).toContain(`"address":"${macAddress.text.toLowerCase()}"`)
    }
  })

  const script = (link: Link, i: number): string => {
    const { bridge } = link
    if (bridge === undefined) return ''
    const far = `node${i}`
    const name = bridge.bridge.name
    const router = bridge.bridge.addresses.flatMap(({ prefix }) => prefix ?? [])
    return [
      `ip netns add ${far}; ip link add ${link.hostIfname} index ${1000 + i} type veth peer name eth0 index ${3000 + i} netns ${far}`,
      `ip link set ${link.hostIfname} master ${name} up; ip -n ${far} link set eth0 up`,
      ...link.addresses.flatMap(({ prefix }) =>
        prefix === undefined
          ? []
          : [`ip -n ${far} addr add ${formatPrefix(prefix)} dev eth0 ${prefix.family === 6 ? 'nodad' : ''}`]
      ),
      'sleep 0.2',
      ...router
        .filter(({ family }) => link.addresses.some(({ prefix }) => prefix?.family === family))
        .map(
          prefix =>
            `echo "${link.hostIfname} ${formatAddr(prefix)} $(timeout 3 nsenter --net=/run/netns/${far} bash -c 'echo > /dev/tcp/${formatAddr(prefix)}/9' 2>&1 | grep -oE -m1 'refused|No route|unreachable' || echo silence)"`
        )
    ].join('\n')
  }

  test.skipIf(SKIP || absent(['nsenter']))(
    'with containers running it is the same, and they reach the bridge',
    async context => {
      const { plan, units } = await unitsOf(golden)
      const lacks = await lacking(Object.values(units).join('\n'))
      context.skip(lacks.length > 0, `this kernel lacks ${lacks.join(', ')}`)
      const links = bridgesOf(plan, units).flatMap(({ members }) =>
        members.filter(({ container }) => container !== undefined)
      )
      if (links.length === 0) return
      const verdict = await askNetworkd({
        units,
        pairs: cards(units),
        shipped: true,
        // IPv6 duplicate address detection on the bridge takes a second once it has a carrier.
        after: `${links.map((link, i) => script(link, i)).join('\n')}\nsleep 0.3`,
        seconds: 2.2
      })
      expect(complaints(verdict)).toEqual([])
      for (const { bridge } of bridgesOf(plan, units))
        expect(verdict.addresses[bridge.name]?.toSorted()).toEqual(written(plan, bridge.name).toSorted())
      for (const { hostIfname, bridgeName } of links)
        expect([hostIfname, verdict.masters[hostIfname]]).toEqual([hostIfname, bridgeName])
      const told = verdict.said
        .trim()
        .split('\n')
        .filter(line => /^v[be]/.test(line))
      // A connection that is refused has reached the host.
      expect(told.length).toBeGreaterThan(0)
      expect(told.filter(line => !line.endsWith('refused'))).toEqual([])
    }
  )
})

test.skipIf(SKIP)('the judge can say no', async () => {
  const { topology } = goldens.find(({ name }) => name === 'example-two-containers') ?? { topology: '' }
  const { files } = emitted(await planOf(topology), 'networkd')
  const broken = await askNetworkd({
    units: { ...files, '40-br0.network': (files['40-br0.network'] ?? '').replace('Address=', 'Adress=') }
  })
  expect(complaints(broken)).toEqual([expect.stringContaining("Unknown key 'Adress' in section [Network]")])
  expect(broken.addresses['br0']).toEqual([])
})

test.skipIf(SKIP)(
  'without ConfigureWithoutCarrier= an idle bridge has no address, which is why it is there',
  async () => {
    const { topology } = goldens.find(({ name }) => name === 'example-two-containers') ?? { topology: '' }
    const { files } = emitted(await planOf(topology), 'networkd')
    const { addresses } = await askNetworkd({
      units: {
        ...files,
        '40-br0.network': (files['40-br0.network'] ?? '').replace('ConfigureWithoutCarrier=yes\n', '')
      }
    })
    expect(addresses['br0']).toEqual([])
  }
)

test.skipIf(SKIP)("systemd's own file for pairs is kept away from them", async () => {
  const { topology } = goldens.find(({ name }) => name === 'networkd-host') ?? { topology: '' }
  const { files } = emitted(await planOf(topology), 'networkd')
  const { '10-ve.network': ours, ...others } = files
  expect(ours).toBeDefined()
  const ask = async (units: Readonly<Record<string, string>>): Promise<Verdict> =>
    askNetworkd({ units, pairs: ['ve-worker'], shipped: true })
  const [without, withOurs] = [await ask(others), await ask(files)]
  expect(without.files['ve-worker']).toBe('80-container-ve.network')
  expect(withOurs.states['ve-worker']).toBe('unmanaged')
  expect(withOurs.addresses['ve-worker']).toEqual([])
})

// What is in the units, where no golden says it.

/** Each unit in one line. */
const linesOf = (
  data: Readonly<Record<string, unknown>>,
  target: 'all' | 'nixos' = 'all'
): Readonly<Record<string, string>> =>
  Object.fromEntries(
    unitsOfPlan(resolve(buildTopology(data)), { target }).map(({ file, sections }) => [
      file,
      sections
        .map(({ name, settings }) =>
          [`[${name}]`, ...settings.map(([key, value]) => `${key}=${value}`)].join(' ')
        )
        .join(' ')
    ])
  )

test.skipIf(SKIP)('macvlans of the host are there with their mode and addresses', async () => {
  const golden = made.find(({ name }) => name === 'macvlans')
  if (golden === undefined) throw new Error('there is no such golden')
  const { units } = await unitsOf(golden)
  const { addresses, said } = await askNetworkd({ units, pairs: cards(units), after: 'ip -d link' })
  expect(addresses).toMatchObject({
    'mv-host': ['192.168.1.2/24', '2001:db8:1::2/64'],
    'mv-br': ['10.9.0.3/32', 'fd00:9::3/128']
  })
  for (const [name, mode] of [
    ['mv-host@eno1', 'bridge'],
    ['mv-br@br0', 'bridge'],
    ['mv-vepa@eno1', 'vepa']
  ])
    expect(said.replace(/\n +/g, ' ')).toMatch(new RegExp(`${name}:.*macvlan mode ${mode}`))
})

test('macvlans of the host are refused where networkd does not manage what they stand on, or a unit by hand does', async () => {
  const refusedOf = async (host: string, target = 'networkd'): Promise<readonly string[]> => {
    const plan = await planOf(`version: 1
host:
  macvlans: { mv-host: { interface: eno1, mode: bridge } }
${host}containers:
  dns:
    privateNetwork: true
    macvlans: [eno1]
    inside: { interfaces: { mv-eno1: { address: [192.168.1.53/24, "2001:db8:1::53/64"] } } }
    useHostResolvConf: false
    nameservers: [192.168.1.1]
`)
    return emitted(plan, target).refused
  }
  const address = '  interfaces: { eno1: { address: [192.168.1.2/24, "2001:db8:1::2/64"] } }\n'
  expect(await refusedOf(`  manager: scripted\n${address}`)).toEqual([
    `macvlan "mv-host" on eno1: networkd makes macvlans only on interfaces that it manages, and eno1 has its address from NixOS's own scripts`
  ])
  expect(await refusedOf(`  manager: networkd\n${address}`)).toEqual([])
  expect(await refusedOf(`  manager: scripted\n${address}`, 'nixos')).toEqual([])
  const unit = (more: string): string =>
    `  manager: networkd\n  networkd: { networks: { 30-eno1: { matchConfig: { Name: eno1 }, address: [192.168.1.2/24, "2001:db8:1::2/64"]${more} } } }\n`
  for (const target of ['networkd', 'nixos']) {
    expect(await refusedOf(unit(''), target)).toEqual([
      'macvlan "mv-host" on eno1: the hand-written unit "30-eno1.network" takes eno1, and does not name it'
    ])
    expect(await refusedOf(unit(', macvlan: [mv-host]'), target)).toEqual([])
  }
})

describe('units', () => {
  const layered = (enableIPv6: boolean) => ({
    host: {
      enableIPv6,
      defaultGateway: { address: '10.8.0.1', source: '10.8.0.9' },
      interfaces: {
        lan7: { dhcp: true, address: ['10.9.0.1/24'] },
        lan8: { dhcp: true },
        lan9: { address: ['10.8.0.9/24'] },
        lan10: { acceptRA: true }
      },
      bonds: { bond0: { interfaces: ['enp5s0', 'enp6s0'], mode: '802.3ad' } },
      vlans: {
        ...Object.fromEntries([10, 9, 8, 7].map(id => [`lan${id}`, { id, interface: 'bond0' }])),
        up: { id: 3, interface: 'br0' }
      }
    },
    bridges: {
      br0: { interfaces: ['lan7'], address: ['10.7.0.1/24', 'fd12:3456:789a::1/64'] },
      br1: { interfaces: ['up'] }
    },
    containers: { a: { privateNetwork: true, macvlans: ['lan8', 'lan9', 'lan10'] } }
  })

  test('of bridges on VLANs on a bond, of a VLAN on a bridge, and of what containers take', () => {
    const units = linesOf(layered(true))
    expect(Object.keys(units)).toHaveLength(18)
    expect(units).toMatchObject({
      '30-bond0.network':
        '[Match] Name=bond0 [Link] RequiredForOnline=false [Network] LinkLocalAddressing=false IPv6AcceptRA=false VLAN=lan10 VLAN=lan7 VLAN=lan8 VLAN=lan9',
      // A port has nothing of its own, whatever is written.
      '30-lan7.network':
        '[Match] Name=lan7 [Link] [Network] Bridge=br0 LinkLocalAddressing=false IPv6AcceptRA=false',
      '30-lan8.network':
        '[Match] Name=lan8 [Link] [Network] DHCP=true LinkLocalAddressing=ipv6 IPv6AcceptRA=true',
      '30-lan9.network':
        '[Match] Name=lan9 [Link] [Network] Address=10.8.0.9/24 LinkLocalAddressing=ipv6 IPv6AcceptRA=true [Route] Gateway=10.8.0.1 PreferredSource=10.8.0.9',
      '30-lan10.network': '[Match] Name=lan10 [Link] [Network] LinkLocalAddressing=ipv6 IPv6AcceptRA=true',
      '30-up.network':
        '[Match] Name=up [Link] [Network] Bridge=br1 LinkLocalAddressing=false IPv6AcceptRA=false',
      '40-br0.network':
        '[Match] Name=br0 [Link] [Network] Address=10.7.0.1/24 Address=fd12:3456:789a::1/64 LinkLocalAddressing=ipv6 IPv6AcceptRA=true VLAN=up'
    })
  })

  test('ask for no IPv6 where the host has none', () => {
    expect(Object.values(linesOf(layered(false))).join('\n')).not.toMatch(/IPv6AcceptRA=true|Addressing=ipv6/)
  })

  test('for NixOS name the VLANs of a card only where NixOS would in the file that they replace', () => {
    const of = (manager: string): Readonly<Record<string, string>> =>
      linesOf(
        {
          host: {
            manager,
            networkd: { enable: true },
            vlans: { lan7: { id: 7, interface: 'enp1s0' } }
          },
          bridges: {
            br0: { definedBy: 'networkd', interfaces: ['enp1s0'] },
            br1: { definedBy: 'networkd', interfaces: ['lan7'] },
            br2: { definedBy: 'scripted' },
            br3: { definedBy: 'both' }
          }
        },
        'nixos'
      )
    const card =
      '[Match] Name=enp1s0 [Link] [Network] Bridge=br0 LinkLocalAddressing=false IPv6AcceptRA=false'
    expect(of('scripted')['30-enp1s0.network']).toBe(card)
    expect(of('networkd')['30-enp1s0.network']).toBe(`${card} VLAN=lan7`)
    for (const manager of ['scripted', 'networkd'])
      expect(Object.keys(of(manager)).filter(file => file.endsWith('.netdev'))).toEqual([
        '20-br0.netdev',
        '20-br1.netdev',
        '20-br3.netdev'
      ])
  })

  test('keep networkd away from pairs, but for those that have a unit of somebody', () => {
    const pair = { privateNetwork: true, hostAddress: '10.5.0.1', localAddress: '10.5.0.2' }
    const of = (host: object, target: 'all' | 'nixos'): string | undefined => {
      const units = linesOf(
        { host, containers: { a: pair, b: { ...pair, localAddress: '10.5.0.3' } } },
        target
      )
      return units['10-ve.network']
    }
    const byHand = (Name: string): object => ({
      networkd: { enable: true, networks: { '20-own': { matchConfig: { Name, Kind: 'veth' } } } }
    })
    const all = '[Match] Name=ve-* Kind=veth [Link] Unmanaged=true'
    expect(of({ manager: 'networkd' }, 'nixos')).toBe(all)
    expect(of({ manager: 'scripted' }, 'nixos')).toBe(undefined)
    expect(of({}, 'all')).toBe(all)
    expect(of(byHand('ve-a'), 'all')).toBe('[Match] Name=ve-b Kind=veth [Link] Unmanaged=true')
    expect(of(byHand('ve-*'), 'all')).toBe(undefined)
  })

  test('leave to the hand what it has, and the names of its files', () => {
    const of = (matchConfig: object): readonly string[] =>
      Object.keys(
        linesOf({
          host: {
            networkd: {
              enable: true,
              networks: { '25-own': { matchConfig, networkConfig: { Bridge: 'br0' } } },
              netdevs: { '20-br0': { netdevConfig: { Name: 'other', Kind: 'dummy' } } }
            },
            vlans: { lan7: { id: 7, interface: 'enp1s0' } },
            bonds: { bond0: { interfaces: ['enp2s0'] } }
          },
          bridges: { br0: { address: ['10.5.0.1/24'], interfaces: ['lan7', 'bond0'] } },
          vms: {
            v: { kind: 'microvm', interfaces: { 'vm-v': { hostBridge: 'br0', address: '10.5.0.2/24' } } }
          }
        })
      ).filter(file => /^19|lan7\.network|vm-v|bond0\.network/.test(file))
    expect(of({ Name: 'nobody' })).toEqual([
      '19-br0.netdev',
      '30-bond0.network',
      '30-lan7.network',
      '30-vm-v.network'
    ])
    expect(of({ Name: 'vm-*', Kind: 'tun' })).toEqual([
      '19-br0.netdev',
      '30-bond0.network',
      '30-lan7.network'
    ])
    expect(of({ Name: 'vm-*', Kind: 'veth' })).toEqual(of({ Name: 'nobody' }))
    expect(of({ Kind: 'vlan bond' })).toEqual(['19-br0.netdev', '30-vm-v.network'])
  })

  test('of the ports of a bridge have their VLANs, numbers and ranges', () => {
    const bridgeVLANs = { enp1s0: [{ EgressUntagged: 10, PVID: 10, VLAN: '10-20' }, { VLAN: 30 }] }
    expect(linesOf({ bridges: { br0: { interfaces: ['enp1s0'], bridgeVLANs } } })['30-enp1s0.network']).toBe(
      '[Match] Name=enp1s0 [Link] [Network] Bridge=br0 LinkLocalAddressing=false IPv6AcceptRA=false [BridgeVLAN] VLAN=10-20 PVID=10 EgressUntagged=10 [BridgeVLAN] VLAN=30'
    )
  })
})

test('which bridges networkd makes, and which units of somebody configure what', () => {
  const networkd = {
    netdevs: {
      '20-br0': { netdevConfig: { Name: 'br0', Kind: 'bridge' } },
      '20-svc': { netdevConfig: { Name: 'svc0', Kind: 'dummy' } },
      '20-off': { enable: false, netdevConfig: { Name: 'br9', Kind: 'bridge' } }
    },
    networks: {
      '10-dummies': { matchConfig: { Kind: 'dummy' } },
      '20-bridges': { matchConfig: { Kind: 'bridge' } },
      '30-cards': { matchConfig: { Kind: '!*', Name: 'enp*' } }
    }
  }
  const of = (enable: boolean): Plan =>
    resolve(
      buildTopology({
        host: { networkd: { enable, ...networkd } },
        bridges: Object.fromEntries(['br0', 'br5', 'br9'].map(name => [name, { definedBy: 'scripted' }]))
      })
    )
  const names = (plan: Plan): readonly string[] => Array.from(networkdBridges(plan), ({ name }) => name)
  expect(names(of(true))).toEqual(['br0'])
  expect(names(of(false))).toEqual([])
  expect(['svc0', 'br0', 'br5', 'enp1s0', 'other'].map(name => unitOf(of(true), name)?.file)).toEqual([
    '10-dummies',
    '20-bridges',
    '20-bridges',
    '30-cards',
    undefined
  ])
})
