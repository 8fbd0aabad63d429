import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { analyze } from '../src/index.ts'
import { RULES } from '../src/rules/index.ts'
import { parseDocument } from '../src/syntax/document.ts'
import { formatPath, type Path } from '../src/text/path.ts'

// Networks of public configurations and issues, each with the truth about it in its first comments. What is wrong must
// be found at its place, and where nothing is wrong, nothing may be said (hints apart).

/** The rules that tell a class of mistake. */
const RULES_OF: Readonly<Record<string, readonly string[]>> = {
  'address-equals-host': ['duplicate-address'],
  'addresses-ignored-shared-network': ['ignored-without-private-network'],
  'duplicate-address': ['duplicate-address'],
  'duplicate-address-disabled': ['duplicate-address'],
  'forward-destination-malformed': ['invalid-forward-destination'],
  'forward-shadows-host-port': ['host-port-conflict'],
  'forward-to-unknown-address': ['forward-to-nowhere'],
  'gateway-missing': ['missing-gateway'],
  'interface-name-too-long': ['interface-name-too-long'],
  'ipv6-address-not-unicast-range': ['unallocated-ipv6'],
  'nameservers-ignored': ['nameservers-ignored'],
  'nat-external-is-bridge-port': ['nat-external-internal'],
  'nat-ipv6-disabled': ['nat-without-ipv6', 'ipv6-forward-dropped'],
  'nat-lists-bridge-port': ['nat-lists-bridge-port'],
  'nat-wildcard-wrong-backend': ['wildcard-wrong-backend'],
  'ptp-address-with-prefix': ['prefix-on-host-address', 'prefix-without-bridge'],
  'subnet-overlap': ['subnet-overlap']
}

/** The classes that no rule tells yet, with what is missing. */
const WITHOUT_RULE: Readonly<Record<string, string>> = {
  'dns-loopback-resolver-copied':
    'issue: DNS rules, host.resolvConf of loopback addresses copied into a private container',
  'extra-veth-name-collision':
    "issue: names, an extra veth on a bridge with a network card's name such as eth1",
  'firewall-unknown-interface': 'issue: firewall rules, trustedInterfaces with ve-NAME of no container',
  'forward-duplicate':
    'issue: firewall rules, DNAT in extraCommands (duplicate-forward compares the forwards of nat only)',
  'forward-to-self': 'issue: forwards, a forward to an address of the host itself',
  'host-port-open-without-target':
    "issue: firewall rules, ports of the host's firewall that nobody on the host uses",
  'ipv6-prefix-too-wide': 'issue: IPv6 rules, a bridge with a prefix shorter than /64 such as fc00::/7',
  'prefix-mismatch':
    'issue: DHCP rules, host.dhcpServers against the interface (the rule prefix-mismatch is for bridges)',
  'same-bridge-twice':
    'issue: bridges, two interfaces of one container on one bridge, whatever their networks are',
  'shared-network-firewall-leak': "issue: firewall rules, the firewall of a container in the host's network",
  'tap-not-in-bridge': 'issue: machine rules, a tap without hostBridge',
  'vpn-default-route-breaks-replies':
    'issue: VPN rules, a forward to a container whose tunnel takes the default route'
}

interface Extra {
  readonly rule: string
  readonly at: string
  readonly why: string
}

/** Findings that no truth has, and that are true of the file as it is written. */
const TRUE_AS_WRITTEN: Readonly<Record<string, readonly Extra[]>> = {
  '001-nixpkgs-72580-nftables-ve-plus.yaml': [
    {
      rule: 'wildcard-wrong-backend',
      at: 'host.firewall.trustedInterfaces[3]',
      why: 'the same ve-+ a second time, and nftables trusts nobody by it'
    }
  ],
  '091-archivebox-extraveth-ptp-with-prefix.yaml': [
    {
      rule: 'prefix-without-bridge',
      at: 'containers.archivebox.extraVeths.ve-archive.localAddress',
      why: 'the truth speaks of both ends of the pair and names the place of one'
    }
  ]
}

interface Truth {
  readonly file: string
  readonly at: string
  readonly path: Path
  readonly type: string
}

const parsePath = (text: string): Path =>
  Array.from(text.matchAll(/"(?:[^"\\]|\\.)*"|\[(\d+)\]|[^."[\]]+/g), ([step, index]) =>
    index === undefined ? (step.startsWith('"') ? String(JSON.parse(step)) : step) : Number(index)
  )

const TRUTH = /^# truth: (?:error|warning|hint) (\S+) (\S+)$/

const folder = new URL('cases/', import.meta.url)
const cases = readdirSync(folder).map(file => {
  const text = readFileSync(new URL(file, folder), 'utf8')
  const comments = text.split('\n').filter(line => line.startsWith('# truth'))
  const truths = comments.flatMap((line): Truth[] => {
    const [, at, type] = TRUTH.exec(line) ?? []
    return at === undefined || type === undefined ? [] : [{ file, at, path: parsePath(at), type }]
  })
  return { file, text, comments, truths }
})

const isCollection = (value: unknown): value is Readonly<Record<string | number, unknown>> =>
  value !== null && typeof value === 'object'

/** A truth about a key that is not written has its place at the mapping that lacks the key. */
const written = (data: unknown, path: Path): Path => {
  let value = data
  for (const [i, step] of path.entries()) {
    if (!isCollection(value) || !(step in value)) return path.slice(0, i)
    value = value[step]
  }
  return path
}

const isIn = (inner: Path, outer: Path): boolean => outer.every((step, i) => inner[i] === step)

interface Told {
  readonly text: string
  readonly grave: boolean
  readonly tells: (truth: Truth) => boolean
}

const look = async (file: string): Promise<readonly Told[]> => {
  const source = { file, text: readFileSync(new URL(file, folder), 'utf8') }
  const parsed = await parseDocument(source)
  const data = 'data' in parsed ? parsed.data : undefined
  const { report } = await analyze(source)
  return report.findings.map(({ rule, severity, labels }) => ({
    text: `[${rule}] ${formatPath(labels[0].at)}`,
    grave: severity !== 'hint',
    tells: ({ type, path }) =>
      RULES_OF[type]?.includes(rule) === true &&
      labels.some(({ at }) => isIn(at, path) || isIn(path, at) || isIn(at, written(data, path)))
  }))
}

test('each of the thirty cases says where it is from and what is true of it', () => {
  expect(cases).toHaveLength(30)
  for (const { text, comments, truths } of cases) {
    expect(text).toMatch(/^# source: \S/)
    expect(comments).toHaveLength(Math.max(1, truths.length))
    expect(truths.length > 0 || comments.join() === '# truth: none').toBe(true)
    for (const { at, path } of truths) expect(formatPath(path)).toBe(at)
  }
})

test('every class of mistake has rules that exist, or a word on what is missing', () => {
  const classes = new Set(cases.flatMap(({ truths }) => truths.map(({ type }) => type)))
  const listed = [...Object.keys(RULES_OF), ...Object.keys(WITHOUT_RULE)]
  expect([...classes].sort()).toEqual(listed.sort())
  const rules = RULES.map(({ id }) => id)
  for (const id of Object.values(RULES_OF).flat()) expect(rules).toContain(id)
})

describe('finds', () => {
  const expected = cases
    .flatMap(({ truths }) => truths)
    .filter(({ type }) => WITHOUT_RULE[type] === undefined)

  test.each(expected)('$file: $type at $at', async truth => {
    const findings = await look(truth.file)
    expect(findings.filter(({ tells }) => tells(truth))).not.toEqual([])
  })
})

describe('gives no error and no warning beyond the truth', () => {
  test.each(cases.map(({ file, truths }) => [file, truths] as const))('%s', async (file, truths) => {
    const findings = await look(file)
    const more = findings.filter(({ grave, tells }) => grave && !truths.some(tells))
    const known = (TRUE_AS_WRITTEN[file] ?? []).map(({ rule, at }) => `[${rule}] ${at}`)
    expect(more.map(({ text }) => text).sort()).toEqual(known.sort())
  })
})
