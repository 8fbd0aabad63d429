import schemaText from 'embed:schema'
import type { SchemaError } from 'embed:validator'
import type { Finding } from '../findings/finding.ts'
import { type Mend, offer, replaced, type Value } from '../findings/mend.ts'
import { formatPath, type Path, quote } from '../text/path.ts'
import { listed, nearest } from '../text/words.ts'
import { fault, unquotedAddress } from './faults.ts'

/** Data that the schema was held against. */
export interface Validated {
  readonly findings: readonly Finding[]
  /** The data without what the schema refuses; undefined where too little is left to check the rest. */
  readonly data: TopologyData | undefined
}

/** What the schema describes, as plain values. Keys and types are as in schemas/topology.schema.json. */
export type TopologyData = Readonly<Record<string, unknown>>

/** What the schema refuses of some data, in our words, and the data without it. */
export const refused = (data: unknown, errors: readonly SchemaError[]): Validated => {
  if (!isMapping(data)) return { findings: [notAMapping(data)], data: undefined }
  if (isCanonical(data)) return { findings: [canonicalNetplan()], data: undefined }
  if (data['version'] !== 1) return { findings: [wrongVersion(data)], data: undefined }
  // What is of the wrong kind is none of the allowed values either.
  const mistyped = new Set(
    errors.filter(({ keyword }) => keyword === 'type').map(({ instancePath }) => instancePath)
  )
  const findings: Finding[] = []
  const holes: Path[] = []
  for (const error of errors) {
    if (error.keyword !== 'type' && mistyped.has(error.instancePath)) continue
    const found = findingOf(data, pathOf(data, error.instancePath), error)
    if (found === undefined) continue
    if (found.finding !== undefined) findings.push(found.finding)
    holes.push(widened(found.hole))
  }
  return { findings, data: without(data, holes) }
}

/** What cannot be without the value that is taken out goes with it: a gateway without its address is none. */
const widened = (hole: Path): Path => {
  const parent = hole.slice(0, -1)
  const isNeeded = parent.length > 0 && schemaAt(parent).required?.includes(String(hole.at(-1))) === true
  return isNeeded ? widened(parent) : hole
}

const isMapping = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** ajv's JSON pointer as a path; a step into a list is a number. */
const pathOf = (data: unknown, pointer: string): Path => {
  const path: (string | number)[] = []
  let value = data
  for (const raw of pointer.split('/').slice(1)) {
    const name = raw.replaceAll('~1', '/').replaceAll('~0', '~')
    const step = Array.isArray(value) ? Number(name) : name
    path.push(step)
    value = at(value, step)
  }
  return path
}

const at = (value: unknown, step: string | number): unknown =>
  Array.isArray(value)
    ? value[Number(step)]
    : isMapping(value) && Object.hasOwn(value, step)
      ? value[step]
      : undefined

const valueAt = (data: unknown, path: Path): unknown => path.reduce(at, data)

interface Found {
  /** Undefined where another finding tells this one too. */
  readonly finding: Finding | undefined
  /** What is taken out of the data. */
  readonly hole: Path
}

const findingOf = (data: TopologyData, at: Path, { keyword, params }: SchemaError): Found | undefined => {
  const value = valueAt(data, at)
  switch (keyword) {
    case 'additionalProperties':
      return unknownKey(value, at, String(params['additionalProperty']))
    case 'required':
      return missingKey(value, at, String(params['missingProperty']))
    case 'type':
      return wrongType(value, at, [params['type']].flat().map(String))
    case 'enum':
      return notAllowed(value, at, [params['allowedValues']].flat())
    case 'pattern':
      return quotedNumber(value, at)
    case 'minimum':
    case 'maximum':
      return outOfBounds(value, at, keyword === 'minimum' ? 'at least' : 'at most', String(params['limit']))
    default:
      return undefined
  }
}

const unknownKey = (owner: unknown, at: Path, key: string): Found => {
  const hole = [...at, key]
  const label = { at: hole, on: 'key' } as const
  if (isHalfAddress(key))
    return { finding: unquotedAddress(`${key}:`, label, wholeAddress(owner, at, key)), hole }
  const known = Object.keys(schemaAt(at).properties ?? {})
  const where = at.length === 0 ? 'a topology' : formatPath(at)
  const finding = (
    text: string,
    help: string,
    note = 'what it says has no effect, and would be missing in silence',
    meant?: string
  ): Found => ({
    hole,
    finding: fault('unknown-key', {
      message: `${quote(key)} is no key of ${where}`,
      labels: [{ ...label, text }],
      note,
      help,
      ...offer(meant === undefined ? undefined : { kind: 'rename', at: hole, key: meant })
    })
  })
  if (key === '<<')
    return finding(
      'YAML 1.2 has no merge key',
      'write the keys out here; an alias can only stand for a whole value',
      'the merge key belongs to YAML 1.1; programs that know it and those that do not would read two different files'
    )
  if (key.startsWith('//'))
    return finding('comments start with #', 'write # instead of //, on a line of its own')
  const glued = /^([A-Za-z0-9]+):(.+)$/.exec(key)
  if (glued?.[1] !== undefined && glued[2] !== undefined && known.includes(glued[1]))
    return finding('a space is missing after the colon', `write ${glued[1]}: ${glued[2]}`)
  const level = NIX_LEVELS.has(key) ? withoutLevel(at) : undefined
  if (level !== undefined) return finding('the format has no such level', level)
  const meant = meantBy(key, known)
  if (meant !== undefined && !(isMapping(owner) && Object.hasOwn(owner, meant)))
    return finding(
      `did you mean ${meant}?`,
      `write ${meant}`,
      undefined,
      // What is only like a key is for its author to judge.
      meant.toLowerCase() === key.replaceAll(/[-_]/g, '').toLowerCase() ? meant : undefined
    )
  return finding(
    meant === undefined ? 'not known here' : `${meant} is here already`,
    known.length === 0 ? 'remove it' : `remove it; ${where} takes ${listed(known, 12)}`
  )
}

/** Where NixOS keeps options that stand without it here. */
const NIX_LEVELS: ReadonlySet<string> = new Set(['config', 'networking', 'services', 'systemd', 'boot'])

/** Where what stands under such a level belongs. */
const withoutLevel = (at: Path): string | undefined => {
  if (at.length === 0) return 'write nat and bridges at the top of the file, and the rest under host'
  if (at.length === 1 && at[0] === 'host')
    return 'write what stands in it under host itself; nat and bridges stand at the top of the file'
  return at.length === 2 && at[0] === 'containers'
    ? `write what stands in it under ${formatPath(at)} itself, such as defaultGateway, nameservers or firewall`
    : undefined
}

/** A key that is the first part of an address whose last colon YAML took for its own: `fd00:` of `fd00::`. */
const isHalfAddress = (key: string): boolean => /^[0-9A-Fa-f:]*:$/.test(key)

/** The address as one text, where nothing else stands in its place. */
const wholeAddress = (owner: unknown, at: Path, half: string): Mend | undefined =>
  at.length > 0 && isMapping(owner) && Object.keys(owner).length === 1 && owner[half] === null
    ? [{ kind: 'replace', at, value: `${half}:` }]
    : undefined

/** The known key that was meant; words of another program count only where one of ours has their meaning. */
const meantBy = (key: string, known: readonly string[]): string | undefined => {
  const meant = nearest(key, known)
  if (meant !== undefined) return meant
  const other = SYNONYMS.get(key.toLowerCase())
  return other?.find(name => known.includes(name))
}

const SYNONYMS: ReadonlyMap<string, readonly string[]> = new Map([
  ['addresses', ['address', 'localAddress']],
  ['address', ['localAddress', 'prefix']],
  ['ip', ['localAddress', 'address']],
  ['ip6', ['localAddress6']],
  ['bridge', ['hostBridge']],
  ['gateway', ['defaultGateway']],
  ['gateway6', ['defaultGateway6']],
  ['dns', ['nameservers']],
  ['ports', ['forwardPorts', 'listens', 'interfaces']],
  ['cidr', ['prefix', 'address']],
  ['subnet', ['prefix', 'address']],
  ['dest', ['destination']],
  ['protocol', ['proto']],
  ['proto', ['protocol']],
  ['mac', ['localMacAddress', 'macAddress']],
  ['usedhcp', ['dhcp']],
  ['disabled', ['enabled']]
])

const missingKey = (owner: unknown, at: Path, key: string): Found => {
  const known = Object.keys(schemaAt(at).properties ?? {})
  const misspelt =
    isMapping(owner) &&
    Object.keys(owner).some(other => !known.includes(other) && meantBy(other, known) === key)
  const example = exampleOf([...at, key])
  return {
    hole: at,
    finding: misspelt
      ? undefined
      : fault('missing-key', {
          message: `${formatPath(at)} has no ${key}`,
          labels: [{ at, text: `${key} is missing here` }],
          note: descriptionAt([...at, key]) ?? 'without it the rest says nothing that could be checked',
          help: `add ${key}: ${example}`
        })
  }
}

const KINDS: Readonly<Record<string, string>> = {
  object: 'a mapping',
  array: 'a list',
  string: 'a text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  null: 'nothing'
}

const kindOf = (value: unknown): string => {
  if (value === null || value === undefined) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a mapping'
  return typeof value === 'string'
    ? `the text ${quote(value)}`
    : typeof value === 'number'
      ? `the number ${value}`
      : show(value)
}

const wrongType = (value: unknown, at: Path, types: readonly string[]): Found => {
  const [half] = isMapping(value) ? Object.keys(value) : []
  if (types.includes('string') && half !== undefined && isHalfAddress(half))
    return {
      finding: unquotedAddress(`${half}:`, { at: [...at, half], on: 'key' }, wholeAddress(value, at, half)),
      hole: at
    }
  const { enum: allowed } = schemaAt(at)
  if (allowed !== undefined && value !== null) return notAllowed(value, at, allowed)
  const expected = listed(types.filter(type => type !== 'null').map(type => KINDS[type] ?? type)).replace(
    ' and ',
    ' or '
  )
  return {
    hole: at,
    finding: fault('wrong-type', {
      message: `${formatPath(at)} is ${kindOf(value)}; it must be ${expected}`,
      labels: [{ at, text: `${expected} was expected` }],
      note: reasonFor(value, at, types),
      help: mend(value, at, types),
      ...offer(replaced(at, converted(value, at, types)))
    })
  }
}

const reasonFor = (value: unknown, at: Path, types: readonly string[]): string => {
  if (types.includes('string') && typeof value === 'number')
    return 'YAML reads what looks like a number as one: 10.0 becomes 10, 25.10 becomes 25.1, 0x10 becomes 16'
  if (types.includes('boolean') && typeof value === 'string')
    return 'YAML 1.2 has only true and false; yes, no, on and off are text'
  return descriptionAt(at) ?? 'the value cannot be understood as it stands'
}

/** Whether a plain value is of a type of JSON Schema. */
const isOf = (value: unknown, type: string): boolean =>
  type === 'integer' ? Number.isInteger(value) : type !== 'object' && typeof value === type

const shape = (text: string): string => text.replace(/\d/g, '0')

/** The same in the kind that is wanted, where nothing of it can be lost. */
const converted = (value: unknown, at: Path, types: readonly string[]): Value | undefined => {
  const { examples = [] } = schemaAt(at)
  if (Array.isArray(value) && value.length === 1 && !types.includes('array')) {
    const [only]: readonly unknown[] = value
    return types.some(type => isOf(only, type)) && isPlain(only) ? only : undefined
  }
  if (types.includes('string') && typeof value === 'number')
    return examples.some(example => typeof example === 'string' && shape(example) === shape(String(value)))
      ? String(value)
      : undefined
  const kinds = [schemaAt([...at, 0]).type ?? []].flat()
  if (types.includes('array'))
    return isPlain(value) && !/^$|[\s,]/.test(String(value)) && kinds.some(type => isOf(value, type))
      ? [value]
      : undefined
  if (typeof value !== 'string') return undefined
  if (types.includes('integer') && /^[1-9]\d{0,8}$/.test(value)) return Number(value)
  const truth = types.includes('boolean') ? TRUTH.get(value.toLowerCase()) : undefined
  return truth === undefined ? undefined : truth === 'true'
}

const isPlain = (value: unknown): value is string | number | boolean =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'

/** What to write instead of a value of the wrong kind, with the key's own example. */
const mend = (value: unknown, at: Path, types: readonly string[]): string => {
  const key = at.findLast(step => typeof step === 'string') ?? ''
  const schema = schemaAt(at)
  const example = exampleOf(at)
  const write = typeof at.at(-1) === 'number' ? `write ${example}` : `write ${key}: ${example}`
  if (value === null) return `remove ${key}, or ${write}`
  if (Array.isArray(value) && value.length === 1 && !types.includes('array')) {
    const only: unknown = value[0]
    if (types.some(type => isOf(only, type))) return `write ${key}: ${show(only)}, without brackets`
  }
  if (
    types.includes('string') &&
    !types.includes('integer') &&
    (typeof value === 'number' || typeof value === 'boolean')
  ) {
    if (/^[["]*(?:\d+\.\d+\.\d+|[\da-f]*:)/.test(example)) return `write a whole address: ${key}: ${example}`
    // 25.05 is what was meant; 25.10 has become 25.1 already.
    const quoted = `"${value}"`
    const isWhole = schema.examples === undefined || shape(quoted) === shape(example)
    return `write it in quotes: ${key}: ${isWhole ? quoted : example}`
  }
  if (types.includes('array'))
    return `write a list: ${key}: ${isMapping(value) || isMapping(schema.items?.properties) ? example : `[${show(value)}]`}`
  if (types.includes('integer') && typeof value === 'string' && /^\d+$/.test(value))
    return `write ${key}: ${value}, without quotes`
  if (types.includes('boolean') && typeof value === 'string' && TRUTH.get(value.toLowerCase()) !== undefined)
    return `write ${key}: ${TRUTH.get(value.toLowerCase())}${/^(?:true|false)$/i.test(value) ? ', without quotes' : ''}`
  if (types.includes('object') && isMapping(schema.properties))
    return `write its keys beneath it; it takes ${listed(Object.keys(schema.properties), 8)}`
  return write
}

const TRUTH: ReadonlyMap<string, string> = new Map([
  ['yes', 'true'],
  ['on', 'true'],
  ['true', 'true'],
  ['no', 'false'],
  ['off', 'false'],
  ['false', 'false']
])

const notAllowed = (value: unknown, at: Path, allowed: readonly unknown[]): Found => {
  const choices = allowed.map(show)
  const meant = typeof value === 'string' ? nearest(value, choices) : undefined
  const all = listed(choices, 12).replace(' and ', ' or ')
  return {
    hole: at,
    finding: fault('wrong-type', {
      message: `${formatPath(at)} is ${kindOf(value)}; it must be ${all}`,
      labels: [{ at, text: meant === undefined ? 'not allowed here' : `did you mean ${meant}?` }],
      note: descriptionAt(at) ?? 'the value has no meaning here',
      help: `write ${meant ?? all}`
    })
  }
}

/** The one text that stands for a number is auto. */
const quotedNumber = (value: unknown, at: Path): Found => {
  const digits = typeof value === 'string' && /^\d+$/.test(value)
  return {
    hole: at,
    finding: fault('wrong-type', {
      message: `${formatPath(at)} is ${kindOf(value)}; it must be a whole number or auto`,
      labels: [{ at, text: digits ? 'a number in quotes is a text' : 'not allowed here' }],
      note: descriptionAt(at) ?? 'the value has no meaning here',
      help: digits ? `write ${value} without quotes` : 'write a number from 1 to 65535, or auto',
      ...offer(replaced(at, digits && /^[1-9]\d{0,4}$/.test(value) ? Number(value) : undefined))
    })
  }
}

const outOfBounds = (value: unknown, at: Path, bound: 'at least' | 'at most', limit: string): Found => ({
  hole: at,
  finding: fault('wrong-type', {
    message: `${formatPath(at)} is ${show(value)}; it must be ${bound} ${limit}`,
    labels: [{ at, text: 'not allowed here' }],
    note: descriptionAt(at) ?? 'the value has no meaning here',
    help: `write a number that is ${bound} ${limit}`
  })
})

const show = (value: unknown): string =>
  typeof value === 'string' && /^[A-Za-z0-9_.-]+$/.test(value)
    ? value
    : typeof value === 'number'
      ? String(value)
      : (JSON.stringify(value)?.slice(0, 80) ?? 'nothing')

const notAMapping = (data: unknown): Finding =>
  fault('unsupported-version', {
    message: `the file is ${kindOf(data)}; a topology is a mapping`,
    labels: [{ at: [], text: 'this is no mapping' }],
    note: 'a topology is a mapping that starts with "version: 1"',
    help: 'write "version: 1", then the bridges and containers; "netplan schema" prints every key'
  })

/** Canonical's files have one key, which a topology has not. */
const isCanonical = (data: TopologyData): boolean =>
  data['version'] === undefined &&
  Object.hasOwn(data, 'network') &&
  !Object.keys(schemaAt([]).properties ?? {}).some(key => Object.hasOwn(data, key))

const canonicalNetplan = (): Finding =>
  fault('canonical-netplan', {
    message: "this is a file of Canonical's netplan, another program of the same name",
    labels: [{ at: ['network'], on: 'key', text: 'its files start with this key' }],
    note: "Canonical's netplan configures a host's interfaces; this netplan checks the network of NixOS containers",
    help: 'use Canonical\'s program for it (/usr/sbin/netplan), or write a topology: "netplan schema" prints every key'
  })

const wrongVersion = (data: TopologyData): Finding => {
  const version = data['version']
  const written = Object.hasOwn(data, 'version')
  const misspelt = Object.keys(data).find(key => nearest(key, ['version']) !== undefined)
  return fault('unsupported-version', {
    message: !written
      ? 'the file has no version'
      : version === null
        ? 'version has no value'
        : typeof version === 'number'
          ? `version ${version} of the format is not known`
          : `version is ${kindOf(version)}; it must be the number 1`,
    labels: [
      written
        ? { at: ['version'], text: 'only 1 is known' }
        : misspelt === undefined
          ? { at: Object.keys(data).slice(0, 1), on: 'key', text: '"version: 1" must stand beside this' }
          : { at: [misspelt], on: 'key', text: 'did you mean version?' }
    ],
    note: 'the version says how the rest of the file is meant, so nothing is checked without it',
    help: version === '1' ? 'write version: 1, without quotes' : 'write "version: 1" as the first line',
    ...offer(version === '1' ? { kind: 'replace', at: ['version'], value: 1 } : undefined)
  })
}

/** A node of the schema, as far as it is read here. */
interface Schema {
  readonly $ref?: string
  readonly $defs?: Readonly<Record<string, Schema>>
  readonly type?: string | readonly string[]
  readonly description?: string
  readonly examples?: readonly unknown[]
  readonly enum?: readonly unknown[]
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema | false
  readonly items?: Schema
}

let root: Schema | undefined

/** A node with what it refers to; what it says itself comes first. */
const resolved = (node: Schema | undefined): Schema => {
  if (node?.$ref === undefined) return node ?? {}
  return { ...root?.$defs?.[node.$ref.slice('#/$defs/'.length)], ...node }
}

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the text is the program's own file
const parseSchema = (text: string): Schema => JSON.parse(text) as Schema

/** What the schema says of the value at a path. */
const schemaAt = (path: Path): Schema => {
  root ??= parseSchema(schemaText)
  return path.reduce<Schema>((node, step) => {
    if (typeof step === 'number') return resolved(node.items)
    const { properties = {}, additionalProperties } = node
    return resolved(Object.hasOwn(properties, step) ? properties[step] : additionalProperties || undefined)
  }, root)
}

/** The first sentence of what the schema says of a key, or of the nearest one above it that it describes. */
const descriptionAt = (path: Path): string | undefined => {
  for (let depth = path.length; depth > 0; depth -= 1) {
    const { description } = schemaAt(path.slice(0, depth))
    const [sentence] = description?.split(/\.(?: |$)/) ?? []
    if (sentence !== undefined) {
      const key = formatPath(path.slice(depth - 1, depth))
      return sentence.startsWith(key) ? sentence : `${key}: ${sentence}`
    }
  }
  return undefined
}

/** A value as it could stand at a path. */
const exampleOf = (path: Path): string => {
  const { examples, enum: choices, type, items, properties, additionalProperties, required } = schemaAt(path)
  const [example] = examples ?? choices ?? []
  if (example !== undefined) return shown(example)
  const kinds = new Set([type].flat())
  if (kinds.has('array')) return `[${items === undefined ? '' : exampleOf([...path, 0])}]`
  if (required !== undefined && isMapping(properties))
    return `{ ${required.map(key => `${key}: ${exampleOf([...path, key])}`).join(', ')} }`
  if (isMapping(additionalProperties)) return `{ ${NAMES.get(String(path.at(-1))) ?? 'name'}: { … } }`
  if (kinds.has('object')) return '{ … }'
  if (kinds.has('boolean')) return 'true'
  const key = String(path.findLast(step => typeof step === 'string'))
  if (path.includes('defaultGateway6') && key === 'address')
    return exampleOf(['containers', 'web', 'hostAddress6'])
  return VALUES.get(key) ?? (kinds.has('integer') ? '80' : kinds.has('string') ? '"…"' : '…')
}

const shown = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(shown).join(', ')}]`
  return typeof value === 'string' && (!Number.isNaN(Number(value)) || /[:[\]{}#]/.test(value))
    ? `"${value}"`
    : String(value)
}

/** Names for the entries of mappings in examples. */
const NAMES: ReadonlyMap<string, string> = new Map([
  ['containers', 'web'],
  ['bridges', 'br0'],
  ['interfaces', 'eth0'],
  ['extraVeths', 've-lan']
])

/** Values for keys that have no example of their own in the schema. */
const VALUES: ReadonlyMap<string, string> = new Map([
  ['id', '10'],
  ['hostPort', '8080'],
  ['sourcePort', '8080'],
  ['from', 'web'],
  ['to', 'internet'],
  ['interface', 'eth0'],
  ['externalInterface', 'eth0'],
  ['internalInterfaces', 'br0'],
  ['interfaces', 'eth0'],
  ['hostBridge', 'br0'],
  ['address', '192.168.100.1'],
  ['hostAddress', '192.168.100.1'],
  ['hostAddress6', '"fd12:3456:789a::1"'],
  ['localAddress6', '"fd12:3456:789a::2"'],
  ['localMacAddress', '"02:00:00:00:00:02"'],
  ['macAddress', '"02:00:00:00:00:02"'],
  ['nameservers', '192.168.100.1'],
  ['resolvConf', '192.168.100.1'],
  ['via', '192.168.100.1'],
  ['defaultGateway', '192.168.100.1'],
  ['defaultGateway6', '"fd12:3456:789a::1"'],
  ['size', '8'],
  ['metric', '100'],
  ['mtu', '1500']
])

/**
 * The data without the holes. A hole takes its key out, and the entity that it stood in (a container, a bridge, the nat
 * block …) becomes partial; a list keeps a gap for it. Undefined where a whole block is missing: what refers to it would be reported instead.
 */
const without = (data: TopologyData, holes: readonly Path[]): TopologyData | undefined => {
  const known = Object.keys(schemaAt([]).properties ?? {})
  for (const [block, ...rest] of holes) {
    if (rest.length > 0) continue
    const name = String(block)
    const meant = known.includes(name) ? name : meantBy(name, known)
    if (
      block === undefined ||
      (meant !== undefined && ENTITY_DEPTH.has(meant) && (meant === name || !Object.hasOwn(data, meant)))
    )
      return undefined
  }
  const copied = new Set<unknown>()
  const result = { ...data }
  for (const hole of holes) remove(result, hole, copied)
  return result
}

/** How many steps lead to an entity that can be partial. */
const ENTITY_DEPTH: ReadonlyMap<string, number> = new Map([
  ['host', 1],
  ['nat', 1],
  ['containers', 2],
  ['bridges', 2],
  ['vms', 2]
])

/** Takes out what stands at a path, copying the mappings and lists on the way there once each. */
const remove = (root: Record<string, unknown>, hole: Path, copied: Set<unknown>): void => {
  const entityDepth = ENTITY_DEPTH.get(String(hole[0]))
  let parent: unknown = root
  for (const [depth, step] of hole.entries()) {
    if (Array.isArray(parent)) {
      // A gap, so that the other elements keep their places.
      parent[Number(step)] = undefined
      return
    }
    if (!isWritable(parent)) return
    if (depth === entityDepth) parent['partial'] = true
    const child = at(parent, step)
    if (depth === hole.length - 1) {
      delete parent[step]
      return
    }
    if (typeof child !== 'object' || child === null) return
    if (!copied.has(child)) {
      const copy: unknown = Array.isArray(child) ? [...child] : { ...child }
      copied.add(copy)
      parent[step] = copy
    }
    parent = parent[step]
  }
}

const isWritable = (value: unknown): value is Record<string, unknown> => isMapping(value)
