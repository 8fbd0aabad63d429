import type { Finding, Label } from '../findings/finding.ts'
import type { Mend } from '../findings/mend.ts'
import { quote } from '../text/path.ts'
import type { Source, Span } from '../text/source.ts'

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

/** A stretch of the text as the place of a label, where there are no paths yet. */
export const spot = (start: number, end: number = start + 1): Pick<Label, 'at' | 'span'> => ({
  at: [],
  span: { start, end }
})

export const emptyFile = (): Finding =>
  fault('yaml-syntax', {
    message: 'the file has no content',
    labels: [{ ...spot(0), text: 'a topology was expected here' }],
    note: 'a topology is a mapping that starts with "version: 1"',
    help: 'write "version: 1", then the bridges and containers; "netplan schema" prints every key'
  })

export const severalDocuments = (start: number): Finding =>
  fault('yaml-syntax', {
    message: 'the file holds more than one YAML document',
    labels: [{ ...spot(start, start + 3), text: 'another one starts here' }],
    note: 'a topology file describes the network of one host; only one of the documents could be checked',
    help: 'put each document into a file of its own and name them all: netplan check a.yaml b.yaml'
  })

export const aliasBomb = (most: number): Finding =>
  fault('yaml-syntax', {
    message: `the aliases of the file stand for more than ${most} values`,
    labels: [{ ...spot(0), text: 'in this file' }],
    note: 'a few aliases within aliases can stand for more data than any machine holds, so reading stops here',
    help: 'write the values out, or use fewer aliases within aliases'
  })

export const endlessAlias = (): Finding =>
  fault('yaml-syntax', {
    message: 'an alias of the file stands within what it stands for',
    labels: [{ ...spot(0), text: 'in this file' }],
    note: 'such a value contains itself and has no end, so it cannot be read',
    help: 'move the anchor (&name) to a value that does not contain the alias (*name)'
  })

export const duplicateKey = (
  { text }: Source,
  { earlier, later }: { readonly earlier: Span; readonly later: Span }
): Finding => {
  const nameAt = ({ start, end }: Span): string =>
    quote(text.slice(start, end).replace(/^(["'])(.*)\1$/, '$2'))
  const name = nameAt(later)
  const other = nameAt(earlier)
  return fault('duplicate-key', {
    message:
      name === other
        ? `the key ${name} stands twice in one mapping`
        : `the keys ${other} and ${name} are one key to YAML`,
    labels: [
      { at: [], span: later, text: 'again here' },
      { at: [], span: earlier, text: 'first here' }
    ],
    note: 'one of the two values would be lost in silence, so nothing of the file is checked yet',
    help: `keep one ${name} with what both say, or rename one of them`
  })
}

export const unquotedAddress = (address: string, place: Omit<Label, 'text'>, mend?: Mend): Finding =>
  fault('unquoted-address', {
    message: `YAML does not read ${address} as text`,
    labels: [{ ...place, text: 'this needs quotes' }],
    note: address.startsWith('[')
      ? 'a value that starts with "[" is a list to YAML, and nothing may follow its "]"'
      : 'a colon at the end of a word makes the word a key, so an address that ends in "::" is no plain text',
    help: `write it in quotes: "${address}"`,
    ...(mend === undefined ? {} : { mend })
  })
