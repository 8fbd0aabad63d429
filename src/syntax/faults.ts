import type { Finding, Label } from '../findings/finding.ts'
import { quote } from '../text/path.ts'
import { linesOf, type Source, type Span } from '../text/source.ts'

/** The faults of a text that is no topology yet, each with a page in docs/rules like any rule. */
export const SYNTAX_RULES = {
  'yaml-syntax': 'The file is not YAML or JSON, or not one document.',
  'duplicate-key': 'A key stands twice in one mapping.',
  'unquoted-address': 'YAML reads an IPv6 address without quotes as something else.',
  'canonical-netplan': "The file belongs to Canonical's netplan.",
  'unsupported-version': 'The file is no mapping, or of a version that this program does not know.',
  'unknown-key': 'A key is not part of the format.',
  'missing-key': 'A key that must be there is missing.',
  'wrong-type': 'A value is of the wrong kind, or none of those allowed.'
} as const

export type SyntaxRule = keyof typeof SYNTAX_RULES

export const fault = (rule: SyntaxRule, problem: Omit<Finding, 'rule' | 'severity'>): Finding => ({
  rule,
  severity: 'error',
  ...problem
})

const spot = (start: number, end = start + 1): Pick<Label, 'at' | 'span'> => ({ at: [], span: { start, end } })

export const emptyFile = (): Finding =>
  fault('yaml-syntax', {
    message: 'the file has no content',
    labels: [{ ...spot(0), text: 'a topology was expected here' }],
    note: 'a topology is a mapping that starts with "version: 1"',
    help: 'write "version: 1", then the bridges and containers; "netplan schema" prints every key'
  })

export const severalDocuments = ({ text }: Source): Finding => {
  const start = (/\n---/.exec(text)?.index ?? -1) + 1
  return fault('yaml-syntax', {
    message: 'the file holds more than one YAML document',
    labels: [{ ...spot(start, start + 3), text: 'another one starts here' }],
    note: 'a topology file describes the network of one host; only one of the documents could be checked',
    help: 'put each document into a file of its own and name them all: netplan check a.yaml b.yaml'
  })
}

export const aliasBomb = (most: number): Finding =>
  fault('yaml-syntax', {
    message: `the aliases of the file stand for more than ${most} values`,
    labels: [{ ...spot(0), text: 'in this file' }],
    note: 'a few aliases within aliases can stand for more data than any machine holds, so reading stops here',
    help: 'write the values out, or use fewer aliases within aliases'
  })

export const duplicateKey = (source: Source, pair: { readonly earlier: Span; readonly later: Span }): Finding => {
  const name = quote(source.text.slice(pair.later.start, pair.later.end).replace(/^(["'])(.*)\1$/, '$2'))
  return fault('duplicate-key', {
    message: `the key ${name} stands twice in one mapping`,
    labels: [
      { at: [], span: pair.later, text: 'again here' },
      { at: [], span: pair.earlier, text: 'first here' }
    ],
    note: 'one of the two values would be lost in silence, so nothing of the file is checked yet',
    help: `merge the two ${name}, or give the second one a name of its own`
  })
}

/** Text that looks like an IPv6 address and ends as YAML reads a key: `gateway: fd00::`, `[fd00::, 1]`. */
const UNQUOTED_ADDRESS = /(?:^|[\s[{,])((?:[0-9A-Fa-f]{0,4}:){2,}[0-9A-Fa-f:.]*(?:\/\d+)?)(?=\s*(?:$|[,\]}#]))/

/** The finding for a place where a parser gave up, with the usual causes told in words that help. */
export const syntaxFinding = (source: Source, offset: number, reason: string): Finding => {
  const lines = linesOf(source.text)
  const { line, column } = lines.position(offset)
  const text = lines.line(line)
  const lineStart = offset - column + 1
  const address = UNQUOTED_ADDRESS.exec(text)
  if (address?.[1] !== undefined) {
    const start = lineStart + address.index + address[0].length - address[1].length
    return unquotedAddress(address[1], spot(start, start + address[1].length))
  }
  const tab = /^ *\t/.exec(text)
  if (tab !== null)
    return fault('yaml-syntax', {
      message: 'a tab indents this line',
      labels: [{ ...spot(lineStart + tab[0].length - 1), text: 'YAML takes only spaces here' }],
      note: 'YAML forbids tabs as indentation, since nobody can tell how wide they are',
      help: 'replace the tab with spaces'
    })
  return fault('yaml-syntax', {
    message: `this is not YAML: ${reason.split('\n')[0]?.toLowerCase()}`,
    labels: [{ ...spot(offset), text: 'reading stopped making sense here' }],
    note: 'nothing of the file can be checked before it can be read',
    help: 'look at the indentation, the quotes and the brackets of this line and of the one above it'
  })
}

export const unquotedAddress = (address: string, place: Omit<Label, 'text'>): Finding =>
  fault('unquoted-address', {
    message: `YAML does not read ${address} as an address`,
    labels: [{ ...place, text: 'this needs quotes' }],
    note: 'a colon at the end of a word makes that word a key, so an IPv6 address that ends in "::" is no plain text',
    help: `quote the address: "${address}"`
  })
