/** A name of an interface, or with `*` at its end all names that begin so. */
export interface Ifname {
  readonly name: string
  readonly pattern: boolean
}

/** IFNAMSIZ is 16; a pattern's `*` counts for nft, and a kernel's name ends in a NUL. */
const LONGEST = 15

/**
 * Why nft has no way to write a name; undefined where it has. Between quotes everything stands for itself except the quote,
 * the backslash, and `*`, for which old versions differ.
 */
export const nameFault = ({ name, pattern }: Ifname): string | undefined => {
  if (name === '') return pattern ? undefined : 'it is empty'
  if (name.length + (pattern ? 1 : 0) > LONGEST) return `it is longer than ${LONGEST} characters`
  const bad = /[^!-~]|["*\\/:]/u.exec(name)
  return bad === null ? undefined : `nft has no way to write ${JSON.stringify(bad[0])} in it`
}

/** A name in quotes. One that nft has no way to write would be a fault of this program: `cannot` has refused it. */
const quoted = (ifname: Ifname): string => {
  const fault = nameFault(ifname)
  if (fault !== undefined || ifname.name === '') throw new Error(`no name of an interface: ${fault ?? 'any'}`)
  return `"${ifname.name}${ifname.pattern ? '*' : ''}"`
}

/**
 * Expressions that match these interfaces, one for all names and one for each pattern: a set that has both is refused by
 * nft where one lies in the other. Where a pattern takes every name, an empty one.
 */
export const matches = (
  key: 'iifname' | 'oifname',
  ifnames: readonly Ifname[],
  indent: string
): readonly string[] => {
  if (ifnames.some(({ name }) => name === '')) return ['']
  const names = ifnames.filter(({ pattern }) => !pattern)
  const patterns = ifnames.filter(({ pattern }) => pattern)
  return [
    ...(names.length === 0 ? [] : [`${key} ${oneOf(names.map(quoted), indent)}`]),
    ...patterns.map(pattern => `${key} ${quoted(pattern)}`)
  ]
}

/** Sets that are longer have a line for each element. */
const WIDTH = 60

/** One value as it is, several as a set. */
export const oneOf = (values: readonly string[], indent: string): string => {
  const [only] = values
  if (only !== undefined && values.length === 1) return only
  const line = values.join(', ')
  return line.length <= WIDTH
    ? `{ ${line} }`
    : `{\n${values.map(value => `${indent}  ${value}`).join(',\n')}\n${indent}}`
}

export interface Chain {
  readonly name: string
  /** `type nat hook prerouting priority dstnat; policy accept` */
  readonly base: string
  /** Statements, and lines that begin with `#`. */
  readonly rules: readonly string[]
}

/** A table that takes the place of itself: loading it twice leaves it once, and touches no other. */
export const table = (family: string, name: string, chains: readonly Chain[]): string =>
  `table ${family} ${name}\ndelete table ${family} ${name}\n${
    chains.length === 0
      ? `table ${family} ${name} {\n}\n`
      : `table ${family} ${name} {\n${chains.map(chain).join('\n')}}\n`
  }`

/** How far the rules of a chain stand in. */
export const INDENT = '    '

const chain = ({ name, base, rules }: Chain): string =>
  `  chain ${name} {\n${[`${base};`, ...rules].map(line => `${INDENT}${line}\n`).join('')}  }\n`
