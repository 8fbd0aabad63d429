import schemaText from 'embed:schema'
import validateData, { type SchemaError } from 'embed:validator'
import type { Finding } from '../findings/finding.ts'
import { formatPath, type Path, quote } from '../text/path.ts'
import { listed, nearest } from '../text/words.ts'
import { fault, unquotedAddress } from './faults.ts'

/** A document that the schema was held against. */
export interface Validated {
  readonly findings: readonly Finding[]
  /** The data without what the schema refuses; undefined where too little is left to check the rest. */
  readonly data: TopologyData | undefined
}

/** What the schema describes, as plain values. Keys and types are as in schemas/topology.schema.json. */
export type TopologyData = Readonly<Record<string, unknown>>

/**
 * Holds the data against the schema. What it refuses becomes findings in our words and is taken out, and the container,
 * bridge or block it stood in is marked `partial`, so that the rest is checked in the same run and the hole itself is
 * not reported a second time.
 */
export const validate = (data: unknown): Validated => {
  if (!isMapping(data)) return { findings: [notAMapping(data)], data: undefined }
  if (data['version'] === undefined && isMapping(data['network'])) return { findings: [canonicalNetplan()], data: undefined }
  if (data['version'] !== 1) return { findings: [wrongVersion(data)], data: undefined }
  if (validateData(data)) return { findings: [], data }
  const findings: Finding[] = []
  const holes: Path[] = []
  for (const error of validateData.errors ?? []) {
    const at = pathOf(data, error.instancePath)
    const found = findingOf(data, at, error)
    if (found === undefined) continue
    findings.push(found.finding)
    holes.push(found.hole)
  }
  return { findings, data: without(data, holes) }
}

const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** ajv's JSON pointer as a path; a step into a list is a number. */
const pathOf = (data: unknown, pointer: string): Path => {
  const path: (string | number)[] = []
  let value = data
  for (const raw of pointer.split('/').slice(1)) {
    const step = raw.replaceAll('~1', '/').replaceAll('~0', '~')
    path.push(Array.isArray(value) ? Number(step) : step)
    value = (value as Record<string, unknown>)[step]
  }
  return path
}

const valueAt = (data: unknown, path: Path): unknown =>
  path.reduce<unknown>((value, step) => (value as Record<string | number, unknown> | null | undefined)?.[step], data)

interface Found {
  readonly finding: Finding
  /** What is taken out of the data. */
  readonly hole: Path
}

const findingOf = (data: TopologyData, at: Path, { keyword, params, schemaPath }: SchemaError): Found | undefined => {
  switch (keyword) {
    case 'additionalProperties':
      return unknownKey(data, at, String(params['additionalProperty']), schemaPath)
    case 'required':
      return missingKey(at, String(params['missingProperty']))
    case 'type':
      return wrongType(data, at, [params['type']].flat().map(String), schemaPath)
    case 'enum':
      return notAllowed(data, at, (params['allowedValues'] as readonly unknown[]).map(show), 'one of')
    case 'const':
      return notAllowed(data, at, [show(params['allowedValue'])], '')
    case 'minimum':
    case 'maximum':
      return notAllowed(data, at, [`${params['comparison']} ${params['limit']}`], '')
    default:
      return undefined
  }
}

const unknownKey = (data: TopologyData, at: Path, key: string, schemaPath: string): Found => {
  if (key.startsWith(':') || key.endsWith(':')) {
    const address = `${key}:`
    return { finding: unquotedAddress(address, { at: [...at, key], on: 'key' }), hole: [...at, key] }
  }
  const known = keysAllowed(schemaPath)
  const meant = nearest(key, known)
  const where = at.length === 0 ? 'a topology' : formatPath(at)
  const present = meant !== undefined && meant in (valueAt(data, at) as object)
  return {
    hole: [...at, key],
    finding: fault('unknown-key', {
      message: `${quote(key)} is no key of ${where}`,
      labels: [
        { at: [...at, key], on: 'key', text: meant === undefined ? 'not known here' : `did you mean ${meant}?` }
      ],
      note: 'a key that is not known has no effect, and what it was meant to say would be missing in silence',
      help:
        meant === undefined || present
          ? `remove it; here one can write ${listed(known, 12)}`
          : `write ${meant}`
    })
  }
}

const missingKey = (at: Path, key: string): Found => ({
  hole: at,
  finding: fault('missing-key', {
    message: `${formatPath(at)} has no ${key}`,
    labels: [{ at, text: `${key} is missing here` }],
    note: `without ${key} it says nothing that could be checked or built`,
    help: `add ${key}: ${describe(key)}`
  })
})

const KINDS: Readonly<Record<string, string>> = {
  object: 'a mapping',
  array: 'a list',
  string: 'a text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  null: 'nothing'
}

const kindOf = (value: unknown): string =>
  value === null
    ? 'nothing'
    : Array.isArray(value)
      ? 'a list'
      : isMapping(value)
        ? 'a mapping'
        : typeof value === 'string'
          ? `the text ${quote(value)}`
          : typeof value === 'boolean'
            ? `${value}`
            : `the number ${String(value)}`

const wrongType = (data: TopologyData, at: Path, types: readonly string[], schemaPath: string): Found => {
  const value = valueAt(data, at)
  const [colon] = isMapping(value) ? Object.keys(value) : []
  if (types.includes('string') && colon !== undefined && /^[0-9A-Fa-f:]*$/.test(colon))
    return { finding: unquotedAddress(`${colon}:`, { at }), hole: at }
  const expected = listed(types.filter(type => type !== 'null').map(type => KINDS[type] ?? type)).replace(' and ', ' or ')
  const key = at.filter(step => typeof step === 'string').at(-1)
  return {
    hole: at,
    finding: fault('wrong-type', {
      message: `${formatPath(at)} is ${kindOf(value)}; it must be ${expected}`,
      labels: [{ at, text: `${expected} was expected` }],
      note:
        types.includes('string') && typeof value === 'number'
          ? 'YAML reads text that looks like a number as a number: 10.0 becomes 10, 0x10 becomes 16, 1e3 becomes 1000'
          : (descriptionOf(schemaPath) ?? 'the value cannot be understood as it stands'),
      help: mendType(types, value, key)
    })
  }
}

const mendType = (types: readonly string[], value: unknown, key: string | undefined): string => {
  if (types.includes('string') && (typeof value === 'number' || typeof value === 'boolean'))
    return `put it into quotes as it is meant, for example "${String(value)}"`
  if (types.includes('array') && !isMapping(value) && value !== null) return `write a list: [${show(value)}]`
  if (types.includes('integer') && typeof value === 'string' && /^\d+$/.test(value)) return `write ${value} without quotes`
  if (types.includes('boolean') && typeof value === 'string')
    return `write ${/^(yes|on|true)$/i.test(value) ? 'true' : /^(no|off|false)$/i.test(value) ? 'false' : 'true or false'} without quotes`
  return key === undefined ? 'write what was expected, or remove it' : `write ${key}: ${describe(key)}`
}

const notAllowed = (data: TopologyData, at: Path, allowed: readonly string[], lead: string): Found => {
  const value = valueAt(data, at)
  const meant = typeof value === 'string' ? nearest(value, allowed) : undefined
  const choices = `${lead === '' ? '' : `${lead} `}${listed(allowed, 12).replace(' and ', ' or ')}`
  return {
    hole: at,
    finding: fault('wrong-type', {
      message: `${formatPath(at)} is ${show(value)}; it must be ${choices}`,
      labels: [{ at, text: meant === undefined ? 'not allowed here' : `did you mean ${meant}?` }],
      note: 'the value has no meaning here, so nothing can be said about what depends on it',
      help: meant === undefined ? `write ${choices}` : `write ${meant}`
    })
  }
}

const show = (value: unknown): string =>
  typeof value === 'string' ? (/^[A-Za-z0-9_.-]+$/.test(value) ? value : quote(value)) : JSON.stringify(value).slice(0, 80)

const notAMapping = (data: unknown): Finding =>
  fault('unsupported-version', {
    message: `the file is ${kindOf(data)}; a topology is a mapping`,
    labels: [{ at: [], text: 'this is no mapping' }],
    note: 'a topology is a mapping that starts with "version: 1"',
    help: 'write "version: 1", then the bridges and containers; "netplan schema" prints every key'
  })

const canonicalNetplan = (): Finding =>
  fault('canonical-netplan', {
    message: "this is a file of Canonical's netplan, another program of the same name",
    labels: [{ at: ['network'], on: 'key', text: 'its files start with this key' }],
    note: "Canonical's netplan configures a host's interfaces; this netplan checks the network of NixOS containers",
    help: "use Canonical's program for it (/usr/sbin/netplan), or write a topology: \"netplan schema\" prints every key"
  })

const wrongVersion = (data: TopologyData): Finding => {
  const version = data['version']
  return fault('unsupported-version', {
    message: version === undefined ? 'the file has no version' : `version ${show(version)} of the format is not known`,
    labels: [
      version === undefined
        ? { at: Object.keys(data).slice(0, 1), on: 'key', text: '"version: 1" must stand beside this' }
        : { at: ['version'], text: 'only 1 is known' }
    ],
    note: 'the version says how the rest of the file is meant, so nothing is checked without it',
    help: 'write "version: 1" as the first line'
  })
}

/** The node of the schema that a path such as `#/$defs/host/properties/name/type` lies in. */
const schemaNode = (schemaPath: string): Readonly<Record<string, unknown>> => {
  const steps = schemaPath.slice(2).split('/').slice(0, -1)
  const root: unknown = JSON.parse(schemaText)
  const node = valueAt(root, steps.map(step => decodeURIComponent(step.replaceAll('~1', '/').replaceAll('~0', '~'))))
  return isMapping(node) ? node : {}
}

const keysAllowed = (schemaPath: string): string[] => Object.keys(schemaNode(schemaPath)['properties'] ?? {})

const descriptionOf = (schemaPath: string): string | undefined => {
  const { description } = schemaNode(schemaPath)
  return typeof description === 'string' ? (description.split('. ')[0]?.replace(/\.$/, '') ?? undefined) : undefined
}

/** An example of a value for a key that has to be written, for the keys that are required somewhere. */
const describe = (key: string): string =>
  ({
    version: '1',
    prefix: '172.17.0.0/16',
    from: 'containerA',
    to: 'internet',
    outcome: 'reaches',
    address: '192.168.100.1',
    port: '80',
    id: '10',
    interface: 'eth0',
    sourcePort: '8080',
    destination: '"192.168.100.2:80"',
    hostPort: '8080'
  })[key] ?? '…'

/**
 * The data without the holes. A hole in a list takes its element out; any other takes its key out, and the entity that
 * it stood in (a container, a bridge, the nat block …) becomes partial. The data is copied along the holes only.
 */
const without = (data: TopologyData, holes: readonly Path[]): TopologyData | undefined => {
  if (holes.some(hole => hole.length === 0)) return undefined
  // The last element of a list goes first, so that the indices of the others stay right.
  const ordered = [...holes].sort((a, b) => Number(b.at(-1)) - Number(a.at(-1)) || b.length - a.length)
  const copied = new Set<object>()
  const result = { ...data }
  for (const hole of ordered) remove(result, hole, copied)
  return result
}

/** How many steps lead to an entity that can be partial. */
const ENTITY_DEPTH: Readonly<Record<string, number>> = { host: 1, nat: 1, containers: 2, bridges: 2, vms: 2 }

const remove = (root: Record<string, unknown>, hole: Path, copied: Set<object>): void => {
  // An object within a list goes as a whole: half a forward is none.
  const list = hole.findIndex(step => typeof step === 'number')
  const target = list < 0 ? hole : hole.slice(0, list + 1)
  const entityDepth = ENTITY_DEPTH[String(target[0])]
  let parent: Record<string | number, unknown> = root
  for (const [depth, step] of target.entries()) {
    if (depth === entityDepth) parent['partial'] = true
    if (depth === target.length - 1) {
      if (Array.isArray(parent)) parent.splice(Number(step), 1)
      else delete parent[step]
      return
    }
    const child = parent[step]
    if (typeof child !== 'object' || child === null) return
    if (!copied.has(child)) {
      const copy: object = Array.isArray(child) ? [...child] : { ...child }
      copied.add(copy)
      parent[step] = copy
    }
    parent = parent[step] as Record<string | number, unknown>
  }
}
