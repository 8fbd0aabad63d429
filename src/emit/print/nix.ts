/** A value of the Nix language that is data: no functions, no paths, no interpolation. */
export type Nix =
  | string
  | number
  | boolean
  | Code
  | readonly Nix[]
  | { readonly [name: string]: Nix | undefined }

/** An expression of our own, such as `lib.mkForce false`; never text of a topology. */
export interface Code {
  readonly code: string
}

/** Lines longer than this are not put together (nixfmt's default). */
const WIDTH = 100

/**
 * Prints a value as nixfmt does (RFC 166): a list of one on one line, any other with a line for each element; a set with
 * a line for each binding, and names along a path of sets that have but one as `a.b.c = …`. Undefined values are left out.
 */
export const nix = (value: Nix, indent = ''): string => {
  if (typeof value === 'string') return string(value)
  if (typeof value !== 'object') return String(value)
  if (isCode(value)) return value.code
  return isList(value) ? list(value, indent) : set(value, indent)
}

/** An option's path: one of our own as NixOS writes it, or steps of which any may be a name from the topology. */
export type OptionPath = string | readonly string[]

/** A definition: an option, its value (undefined for none), and a comment of ours to stand before it. */
export type Definition = readonly [option: OptionPath, value: Nix | undefined, comment?: string]

const steps = (option: OptionPath): readonly string[] =>
  typeof option === 'string' ? option.split('.') : option

/**
 * Prints a NixOS module: the mark, the arguments, and the definitions that have a value, with a blank line around those
 * that take several lines.
 */
export const module = (mark: string, definitions: readonly Definition[]): string => {
  const blocks = definitions.flatMap(([option, value, comment]) => {
    if (value === undefined) return []
    const [first = '', ...rest] = steps(option)
    const [name, inner] = path([first, rest.reduceRight((below, step): Nix => ({ [step]: below }), value)])
    return [`${comment === undefined ? '' : `  # ${comment}\n`}  ${name} = ${nix(inner, '  ')};\n`]
  })
  const isLine = (block: string): boolean => block.indexOf('\n') === block.length - 1
  const body = blocks.map((block, i) => {
    const before = blocks[i - 1]
    return before === undefined || (isLine(block) && isLine(before)) ? block : `\n${block}`
  })
  const args = definitions.some(([, value]) => value !== undefined && hasCode(value))
    ? '{ lib, ... }'
    : '{ ... }'
  return `# ${mark}\n${args}:\n${body.length === 0 ? '{ }' : `{\n${body.join('')}}`}\n`
}

const hasCode = (value: Nix): boolean =>
  typeof value === 'object' &&
  (isCode(value) || (isList(value) ? value : bindingsOf(value).map(([, inner]) => inner)).some(hasCode))

/** Definitions as one set; undefined where none has a value. No option may stand in it twice, and none within another. */
export const nest = (definitions: readonly Definition[]): Nix | undefined => {
  const given = definitions.flatMap(([option, value]) =>
    value === undefined ? [] : [[steps(option), value] as const]
  )
  return given.length === 0 ? undefined : nested(given)
}

const nested = (definitions: readonly (readonly [steps: readonly string[], value: Nix])[]): Nix => {
  const groups = new Map<string, (readonly [readonly string[], Nix])[]>()
  for (const [[first = '', ...rest], value] of definitions) {
    const group = groups.get(first)
    if (group === undefined) groups.set(first, [[rest, value]])
    else group.push([rest, value])
  }
  return Object.fromEntries(
    Array.from(groups, ([name, group]) => {
      const [only] = group
      return [name, only !== undefined && only[0].length === 0 ? only[1] : nested(group)]
    })
  )
}

const isCode = (value: object): value is Code => 'code' in value && Object.keys(value).length === 1
const isList = (value: Nix): value is readonly Nix[] => Array.isArray(value)

/**
 * A string of Nix: what would end it or begin an interpolation is escaped, line ends too, so that no text of a topology
 * makes a line of its own. NUL cannot be in a Nix string; the schema's texts have none that are emitted.
 */
const string = (text: string): string =>
  `"${text.replace(/["\\]|\$(?=\{)|\n|\r|\t/g, char => ESCAPES[char] ?? `\\${char}`)}"`

const ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

const list = (items: readonly Nix[], indent: string): string => {
  if (items.length === 0) return '[ ]'
  const [only] = items
  if (items.length === 1 && only !== undefined) {
    const line = inline(only)
    if (line !== undefined && indent.length + line.length + 4 <= WIDTH) return `[ ${line} ]`
  }
  const deeper = `${indent}  `
  return `[\n${items.map(item => `${deeper}${inline(item) ?? nix(item, deeper)}\n`).join('')}${indent}]`
}

/** A value that stands on one line within a list: anything simple, a set with one simple binding. */
const inline = (value: Nix): string | undefined => {
  if (typeof value !== 'object' || isCode(value)) return nix(value)
  if (isList(value)) {
    const [only] = value
    if (only === undefined) return '[ ]'
    const line = value.length === 1 ? inline(only) : undefined
    return line === undefined ? undefined : `[ ${line} ]`
  }
  const bindings = bindingsOf(value)
  const [first] = bindings
  if (first === undefined) return '{ }'
  const [name, inner] = path(first)
  const line = bindings.length > 1 ? undefined : inline(inner)
  return line === undefined ? undefined : `{ ${name} = ${line}; }`
}

type Binding = readonly [name: string, value: Nix]

const bindingsOf = (entries: { readonly [name: string]: Nix | undefined }): readonly Binding[] =>
  Object.entries(entries).filter((entry): entry is [string, Nix] => entry[1] !== undefined)

/** A binding with the names of the sets below it that have but one binding: `a.b.c`. */
const path = ([name, value]: Binding): readonly [names: string, value: Nix] => {
  if (typeof value === 'object' && !isList(value) && !isCode(value)) {
    const [only, ...others] = bindingsOf(value)
    if (only !== undefined && others.length === 0) {
      const [rest, inner] = path(only)
      return [`${key(name)}.${rest}`, inner]
    }
  }
  return [key(name), value]
}

const set = (entries: { readonly [name: string]: Nix | undefined }, indent: string): string => {
  const bindings = bindingsOf(entries)
  if (bindings.length === 0) return '{ }'
  const deeper = `${indent}  `
  const lines = bindings.map(binding => {
    const [names, value] = path(binding)
    return `${deeper}${names} = ${nix(value, deeper)};\n`
  })
  return `{\n${lines.join('')}${indent}}`
}

const KEYWORDS = new Set(['assert', 'else', 'if', 'in', 'inherit', 'let', 'or', 'rec', 'then', 'with'])

/** The name of an attribute: as it is where it is an identifier, else as a string. */
const key = (name: string): string =>
  /^[A-Za-z_][A-Za-z0-9_'-]*$/.test(name) && !KEYWORDS.has(name) ? name : string(name)
