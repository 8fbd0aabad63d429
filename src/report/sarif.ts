import type { Severity } from '../findings/finding.ts'
import { escaped } from './compact.ts'
import type { LocatedFinding, LocatedLabel, Report } from './located.ts'

const LEVELS: ReadonlyMap<string, string> = new Map<Severity, string>([
  ['error', 'error'],
  ['warning', 'warning'],
  ['hint', 'note']
])

/** What is known of a rule: its page, in Markdown. */
export type PageOf = (rule: string) => string | undefined

/** Findings as a log of SARIF 2.1.0 (OASIS), with the pages of the rules that have found something as their help. */
export const sarif = (reports: readonly Report[], version: string, pageOf: PageOf): string => {
  const rules = [...new Set(reports.flatMap(({ findings }) => findings.map(({ rule }) => rule)))].sort()
  const indices = new Map(rules.map((rule, i) => [rule, i]))
  const log = {
    $schema: 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'netplan',
            semanticVersion: version,
            rules: rules.map(rule => described(rule, pageOf))
          }
        },
        // Columns count as editors count them.
        columnKind: 'utf16CodeUnits',
        artifacts: reports.map(({ source: { file } }) => ({ location: { uri: uriOf(file) } })),
        results: reports.flatMap(({ source: { file }, findings }) =>
          findings.map(finding => resultOf(file, finding, indices.get(finding.rule) ?? 0))
        )
      }
    ]
  }
  return `${JSON.stringify(log, null, 2).replace(/[\u007f-\u009f\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, escaped)}\n`
}

const described = (id: string, pageOf: PageOf): object => {
  const page = pageOf(id)
  if (page === undefined) return { id }
  const [, level, summary] = /^> (error|warning|hint) · (.*)$/m.exec(page) ?? []
  // The blocks of a page are its tests; what stands before them is for people.
  const text = page.split(/^## Wrong$/m)[0]?.trim() ?? page
  return {
    id,
    ...(summary === undefined ? {} : { shortDescription: { text: summary } }),
    help: { text, markdown: text },
    ...(level === undefined ? {} : { defaultConfiguration: { level: LEVELS.get(level) } })
  }
}

const resultOf = (
  file: string,
  { rule, severity, message, note, help, labels: [first, ...rest], elsewhere = [], fix }: LocatedFinding,
  ruleIndex: number
): object => {
  const related = [
    ...rest.map(label => ({ file, ...label })),
    ...elsewhere.map(label => ({ ...label, file: label.source.file }))
  ]
  return {
    ruleId: rule,
    ruleIndex,
    level: LEVELS.get(severity),
    message: { text: `${message}\n${note}\n${help}` },
    locations: [{ physicalLocation: placeOf(file, first) }],
    ...(related.length === 0
      ? {}
      : {
          relatedLocations: related.map((label, id) => ({
            id,
            physicalLocation: placeOf(label.file, label),
            message: { text: label.text }
          }))
        }),
    ...(fix === undefined
      ? {}
      : {
          fixes: [
            {
              description: { text: fix.title },
              artifactChanges: [
                {
                  artifactLocation: { uri: uriOf(file) },
                  replacements: fix.edits.map(({ start, end, newText }) => ({
                    deletedRegion: regionOf({ start, end }),
                    insertedContent: { text: newText }
                  }))
                }
              ]
            }
          ]
        })
  }
}

const placeOf = (file: string, { start, end }: Pick<LocatedLabel, 'start' | 'end'>): object => ({
  artifactLocation: { uri: uriOf(file) },
  region: regionOf({ start, end })
})

const regionOf = ({ start, end }: Pick<LocatedLabel, 'start' | 'end'>): object => ({
  startLine: start.line,
  startColumn: start.column,
  endLine: end.line,
  endColumn: end.column
})

/** A file's name as the reference of RFC 3986: what comes before a colon would else be a scheme. */
const uriOf = (file: string): string => {
  const path = file
    .split('/')
    .map(part => encodeURIComponent(part))
    .join('/')
  return file.startsWith('/') ? `file://${path}` : path
}
