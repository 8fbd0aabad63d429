import { type Event, YAMLException } from 'js-yaml'
import { parseAllDocuments } from 'yaml'
import type { Finding, Label } from '../findings/finding.ts'
import { quote } from '../text/path.ts'
import { type Lines, linesOf, type Source, type Span } from '../text/source.ts'
import { plural } from '../text/words.ts'
import { duplicateKey, fault, spot, unquotedAddress } from './faults.ts'
import { type Imbalance, imbalances } from './imbalance.ts'
import { collectionKeys, duplicateKeys, unknownAliases } from './places.ts'

/** Beyond this length only the first syntax error is told: the parser that recovers is slow. */
const RECOVERY_MAX = 256 * 1024

/** A text with more faults than this is no YAML at all. */
const FAULTS_MAX = 100

/** What is wrong with a text that does not parse: each line's first fault, found by going on behind it. */
export const syntaxFindings = (source: Source, error: unknown): Finding[] => {
  const { text } = source
  const lines = linesOf(text)
  const first = stumbleOf(error, text)
  if (source.file.endsWith('.nix')) return [nixFile(first.offset)]
  const control = CONTROL.exec(text)
  if (control !== null) return [controlCharacter(control[0], control.index)]
  if (text.length > RECOVERY_MAX || first.reason.startsWith('nesting exceeded'))
    return [syntaxFinding(text, lines, first)]
  const byLine = new Map<number, Finding>()
  const add = (offset: number, finding: () => Finding): void => {
    const { line } = lines.position(offset)
    if (!byLine.has(line) && byLine.size < FAULTS_MAX) byLine.set(line, finding())
  }
  const { found, mended } = imbalances(text)
  for (const imbalance of found) add(imbalance.at.start, () => unbalanced(text, imbalance))
  let misaligned: number | undefined
  for (const stumble of stumblesIn(mended)) {
    // Once the parser has lost the thread it complains about every word that follows.
    if (stumble.code === 'UNEXPECTED_TOKEN' && stumble.reason.includes('in YAML stream') && byLine.size > 0)
      continue
    // A block that starts in a wrong column is one fault, whatever number of keys it has.
    const { line } = lines.position(stumble.offset)
    const sibling = isMisaligned(stumble) ? misaligned : undefined
    if (isMisaligned(stumble)) misaligned = line
    if (sibling !== undefined && isOneBlock(lines, sibling, line)) continue
    add(stumble.offset, () => syntaxFinding(text, lines, stumble))
  }
  return byLine.size > 0 ? [...byLine.values()] : [syntaxFinding(text, lines, first)]
}

/** What is wrong with a text that parses, and whose nodes make no data. */
export const dataFindings = (source: Source, events: readonly Event[], error: unknown): Finding[] => {
  const { text } = source
  const findings = [
    ...duplicateKeys(text, events).map(pair => duplicateKey(source, pair)),
    ...unknownAliases(text, events).map(span => unknownAlias(text, span)),
    ...collectionKeys(text, events).map(collectionKey)
  ]
  return findings.length > 0
    ? findings.slice(0, FAULTS_MAX)
    : [syntaxFinding(text, linesOf(text), stumbleOf(error, text))]
}

/** A place where a parser gave up. */
interface Stumble {
  readonly offset: number
  /** The recovering parser's name for the fault. */
  readonly code: string
  readonly reason: string
}

const stumbleOf = (error: unknown, text: string): Stumble => {
  if (!(error instanceof YAMLException)) throw error
  return {
    offset: Math.min(error.mark?.position ?? 0, Math.max(text.length - 1, 0)),
    code: '',
    reason: error.reason
  }
}

const stumblesIn = (text: string): Stumble[] => {
  const documents = parseAllDocuments(text, { uniqueKeys: false, prettyErrors: false })
  return [...documents].flatMap(({ errors }) =>
    errors.map(({ pos, code, message }) => ({ offset: pos[0], code, reason: message }))
  )
}

const isMisaligned = ({ code, reason }: Stumble): boolean =>
  code === 'BAD_INDENT' && reason.startsWith('All ')

const indentOf = (line: string): number | undefined => /^ *(?=[^\s#])/.exec(line)?.[0].length

/** Whether two lines stand in one column, and none between them further left. */
const isOneBlock = (lines: Lines, earlier: number, later: number): boolean => {
  const column = indentOf(lines.line(earlier))
  if (column === undefined || column !== indentOf(lines.line(later))) return false
  for (let line = earlier + 1; line < later; line += 1)
    if ((indentOf(lines.line(line)) ?? column) < column) return false
  return true
}

/** A line with its place, and the fault on it. */
interface Spot extends Stumble {
  readonly text: string
  readonly lines: Lines
  readonly number: number
  readonly line: string
  /** The offset at which the line starts. */
  readonly start: number
}

const syntaxFinding = (text: string, lines: Lines, stumble: Stumble): Finding => {
  const offset = Math.min(stumble.offset, Math.max(text.trimEnd().length - 1, 0))
  const { line: number, column } = lines.position(offset)
  const place: Spot = {
    ...stumble,
    text,
    lines,
    number,
    offset,
    line: lines.line(number),
    start: offset - column + 1
  }
  return addressFinding(place) ?? wordedFinding(place) ?? plainFinding(place)
}

/** A plain word that ends as YAML reads a key, and a forward to an IPv6 address: `gateway: fd00::`, `to: [fd00::2]:80`. */
const UNQUOTED =
  /(?:^|[\s[{,])((?:[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){0,7})?::|\[[0-9A-Fa-f:.]{2,45}\]:\d+(?:-\d+)?)(?=\s*(?:$|[,\]}#]))/

const addressFinding = ({ line, start }: Spot): Finding | undefined => {
  const match = UNQUOTED.exec(line.slice(0, 10_000))
  if (match?.[1] === undefined) return undefined
  const from = start + match.index + match[0].length - match[1].length
  const span = { start: from, end: from + match[1].length }
  return unquotedAddress(match[1], spot(span.start, span.end), [
    { kind: 'text', span, text: `"${match[1]}"` }
  ])
}

const UNREAD = 'nothing of the file can be checked before it can be read'

/** The usual mistakes, told by what was typed instead of what the parser was looking for. */
const wordedFinding = (place: Spot): Finding | undefined => {
  const { line, start, offset, code, reason, text } = place
  const tab = /^ *\t/.exec(line)
  if (tab !== null)
    return yamlSyntax(
      'a tab indents this line',
      { ...spot(start + tab[0].length - 1), text: 'YAML takes only spaces here' },
      'replace the tab with spaces',
      'YAML forbids tabs as indentation, since nobody can tell how wide they are'
    )
  const indent = /^ */.exec(line)?.[0].length ?? 0
  if (/^(?:MULTILINE_IMPLICIT_KEY|MISSING_CHAR)$/.test(code) && /^\s*[A-Za-z][\w.-]*\s*=/.test(line))
    return yamlSyntax(
      'YAML has no "="',
      { ...spot(start + line.indexOf('=')), text: 'a colon and a space stand between key and value' },
      'write "key: value", without a semicolon'
    )
  switch (code) {
    case 'BAD_INDENT':
      return isMisaligned(place) ? misaligned(place, indent) : undefined
    case 'BLOCK_AS_IMPLICIT_KEY': {
      const colon = /^(?:(?!\s#)[^\n])*?:(?=\s|$)/.exec(line.slice(offset - start))
      if (colon === null) return tooDeep(place, indent)
      return yamlSyntax(
        'a second colon stands on this line',
        { ...spot(offset + colon[0].length - 1), text: 'one "key: value" to a line' },
        `put the value into quotes: ${quote(
          line
            .slice(offset - start)
            .replace(/\s#.*$/, '')
            .trim()
        )}`
      )
    }
    case 'BAD_SCALAR_START':
      return yamlSyntax(
        `a value cannot start with ${quote(text[offset] ?? '')}`,
        { ...spot(offset), text: 'YAML keeps this character for itself' },
        'put the value into quotes'
      )
    case 'BAD_ALIAS':
      return yamlSyntax(
        `${quote(text[offset] ?? '*')} alone is no value`,
        { ...spot(offset), text: 'YAML expects a name right behind it' },
        `put it into quotes: ${quote(text[offset] ?? '*')}`
      )
    case 'BLOCK_IN_FLOW':
      return yamlSyntax(
        'this cannot stand within brackets',
        { ...spot(offset), text: 'a key or a list of its own' },
        'put a comma before the next key, or the whole value into quotes'
      )
    case 'BAD_DQ_ESCAPE':
      return yamlSyntax(
        `${quote(text.slice(offset, offset + 2)).replaceAll('\\\\', '\\')} means nothing in double quotes`,
        { ...spot(offset, offset + 2), text: 'not a character that can be escaped' },
        'write the text in single quotes, where a backslash is only a backslash'
      )
    case 'MULTILINE_IMPLICIT_KEY':
    case 'MISSING_CHAR':
      return yamlSyntax(
        'this line is no "key: value"',
        {
          ...spot(start + indent, start + Math.max(line.trimEnd().length, indent + 1)),
          text: 'a key ends with a colon and a space'
        },
        'write the colon after the key; where it belongs to the text above, put that into quotes'
      )
    case 'UNEXPECTED_TOKEN':
      return reason.startsWith('Unexpected block-seq-ind')
        ? yamlSyntax(
            'a list starts on the line of its key',
            { ...spot(offset), text: 'the first "-" needs a line of its own' },
            'start the list on the next line, or write it in brackets: [a, b]'
          )
        : reason.endsWith('at node end')
          ? yamlSyntax(
              'something follows a value that has ended',
              { ...spot(offset), text: 'the value ended before this' },
              'put the whole value into quotes, or start a new line with a key'
            )
          : undefined
    default:
      return undefined
  }
}

const plainFinding = ({ offset, reason }: Spot): Finding => {
  const [words = ''] = reason.split('\n')
  const tag = /!<([^>]*)>/.exec(words)?.[1]
  if (tag !== undefined)
    return yamlSyntax(
      `the tag ${tag.startsWith('!') ? tag : quote(tag)} does not fit its value, or is not known`,
      { ...spot(offset), text: 'a word that starts with "!" is a tag' },
      'remove the tag; a topology needs none',
      'a tag tells YAML what kind of value follows, and only the usual kinds are known here'
    )
  return yamlSyntax(
    reason.startsWith('nesting exceeded')
      ? 'the file nests more than 100 levels deep'
      : reason === 'deficient indentation'
        ? 'this line must be indented deeper'
        : `this is not YAML: ${words.charAt(0).toLowerCase()}${words.slice(1)}`,
    { ...spot(offset), text: 'reading stopped making sense here' },
    'look at the indentation, the quotes and the brackets of this line and of the one above it'
  )
}

const yamlSyntax = (message: string, label: Label, help: string, note = UNREAD): Finding =>
  fault('yaml-syntax', { message, labels: [label], note, help })

/** The lines above a line, nearest first, that have content. */
const above = function* ({
  lines,
  number
}: Spot): Generator<{ readonly number: number; readonly indent: number }> {
  for (let other = number - 1; other > Math.max(number - 500, 0); other -= 1) {
    const indent = indentOf(lines.line(other))
    if (indent !== undefined) yield { number: other, indent }
  }
}

/** A key between two levels: the levels that it may have meant are those of the lines above. */
const misaligned = (place: Spot, indent: number): Finding => {
  const levels: number[] = []
  for (const line of above(place)) {
    if (line.indent < (levels.at(-1) ?? Number.POSITIVE_INFINITY)) levels.push(line.indent)
    if (line.indent < indent) break
  }
  const near = levels.filter(level => level !== indent).slice(-2)
  return yamlSyntax(
    `this line is indented by ${plural(indent, 'space')}, unlike any line that it could belong to`,
    { ...spot(place.start + indent), text: 'the keys of one mapping start in the same column' },
    `indent it by ${near.length === 0 ? 'as much as the line above' : near.map(level => plural(level, 'space')).join(' or by ')}`
  )
}

/** A line that is deeper than the one above it, which has its value already. The parser stands at that value. */
const tooDeep = ({ text, start, offset, line }: Spot, indent: number): Finding => {
  const below = /\n(?:[ \t\r]*(?:#[^\n]*)?\n)*( *)/y
  below.lastIndex = start + line.length + (text[start + line.length] === '\r' ? 1 : 0)
  const spaces = below.exec(text)?.[1]?.length ?? 0
  return fault('yaml-syntax', {
    message: `this line is indented by ${plural(spaces, 'space')}, deeper than the key above it, which has a value already`,
    labels: [
      { ...spot(Math.max(below.lastIndex, offset)), text: 'read as a part of the value above' },
      { ...spot(offset, start + Math.max(line.trimEnd().length, offset - start + 1)), text: 'the value' }
    ],
    note: UNREAD,
    help: `indent it by ${plural(indent, 'space')}, as the key above`
  })
}

const WORDS: Readonly<
  Record<
    Exclude<Imbalance['kind'], 'glued'>,
    {
      readonly message: (char: string) => string
      readonly label: string
      readonly help: (char: string) => string
    }
  >
> = {
  quote: {
    message: char => `the quote ${char} is never closed`,
    label: 'opened here',
    help: char => `write ${char} at the end of the text too`
  },
  bracket: {
    message: char => `the bracket ${char} is never closed`,
    label: 'opened here',
    help: char => `write ${char === '[' ? ']' : '}'} where it ends`
  },
  stray: {
    message: char => `the bracket ${char} closes nothing`,
    label: 'nothing is open here',
    help: char => `remove it, or write ${char === ']' ? '[' : '{'} where it should begin`
  },
  outdented: {
    message: char => `the bracket ${char} stands too far left`,
    label: 'indent this',
    help: () => 'indent it by one space more than the key that its bracket belongs to'
  },
  comma: {
    message: () => 'a comma is missing',
    label: 'between the two values',
    help: () => 'write a comma after the first of them'
  }
}

const unbalanced = (text: string, { kind, at }: Imbalance): Finding => {
  if (kind === 'glued') return glued(text, at)
  const { message, label, help } = WORDS[kind]
  const char = text[at.start] ?? ''
  const note =
    kind === 'outdented'
      ? 'in YAML everything within brackets stands deeper than the key before them'
      : UNREAD
  return yamlSyntax(message(char), { ...spot(at.start, at.end), text: label }, help(char), note)
}

const glued = (text: string, { start, end }: Span): Finding => {
  const key = /[A-Za-z0-9]*$/.exec(text.slice(Math.max(start - 100, 0), start))?.[0] ?? ''
  const value = /^\S*/.exec(text.slice(end, end + 100))?.[0] ?? ''
  return yamlSyntax(
    'a space is missing after the colon',
    { ...spot(start, end), text: 'without a space this is one word' },
    `write ${key}: ${value}`
  )
}

// oxlint-disable-next-line no-control-regex -- these are what YAML forbids
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u0080-\u0084\u0086-\u009f\ufffe\uffff]/

const controlCharacter = (char: string, offset: number): Finding =>
  yamlSyntax(
    `the character U+${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')} cannot stand in YAML`,
    { ...spot(offset), text: 'here, though it may not be visible' },
    'remove it; it often comes from a terminal or a copied document'
  )

const nixFile = (offset: number): Finding =>
  yamlSyntax(
    'this is a Nix file; a topology is YAML or JSON',
    { ...spot(offset), text: 'no YAML from here on' },
    'write what it says about containers into a topology: the keys are those of containers.<name> in Nix'
  )

const unknownAlias = (text: string, { start, end }: Span): Finding => {
  const name = text.slice(start + 1, end)
  return yamlSyntax(
    `the alias *${name} stands for nothing`,
    { ...spot(start, end), text: `no &${name} stands above` },
    `write &${name} before the value that it stands for; where the star belongs to a text, write it in quotes: "*${name}"`
  )
}

const collectionKey = ({ start, end }: Span): Finding =>
  yamlSyntax(
    'a list or a mapping stands where a key must be',
    { ...spot(start, end), text: 'this is read as a key' },
    'put a text that starts with a bracket into quotes; templates such as {{ name }} must be filled in before'
  )
