import { describe, expect, test } from 'vitest'
import type { Link, Plan } from '../src/index.ts'
import { formatAddr } from '../src/net/addr.ts'
import { formatPrefix, masked } from '../src/net/prefix.ts'
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
