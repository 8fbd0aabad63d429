import { printable } from './compact.ts'
import { type LocatedFinding, type Report, tally } from './located.ts'

/**
 * Findings as the tests of JUnit, of which there is no standard: a suite for each file, a case for each finding. Errors fail,
 * with `strict` warnings too; the others have passed and say what was found. A file without findings is one that has passed.
 */
export const junit = (reports: readonly Report[], strict: boolean): string => {
  const suites = reports.map(({ source: { file }, findings }) => {
    const name = printable(file)
    const cases = findings.map(finding => {
      const {
        rule,
        severity,
        message,
        labels: [{ start }]
      } = finding
      const fails = severity === 'error' || (strict && severity === 'warning')
      const text = escape(detail(name, finding))
      return `    <testcase${attributes({ classname: name, name: `${rule} ${start.line}:${start.column}`, file: name, line: start.line })}>
      ${fails ? `<failure${attributes({ message: printable(message), type: severity })}>${text}</failure>` : `<system-out>${text}</system-out>`}
    </testcase>
`
    })
    return `  <testsuite${attributes({ name, ...counts([{ findings }], strict) })}>
${cases.join('') || `    <testcase${attributes({ classname: name, name: 'no findings', file: name })}/>\n`}  </testsuite>
`
  })
  return `<?xml version="1.0" encoding="UTF-8"?>
<testsuites${attributes({ name: 'netplan check', ...counts(reports, strict) })}>
${suites.join('')}</testsuites>
`
}

const counts = (
  reports: readonly Pick<Report, 'findings'>[],
  strict: boolean
): { readonly tests: number; readonly failures: number; readonly errors: number } => {
  const { error, warning } = tally(reports)
  return {
    tests: reports.reduce((sum, { findings }) => sum + Math.max(1, findings.length), 0),
    failures: error + (strict ? warning : 0),
    errors: 0
  }
}

const detail = (
  name: string,
  { rule, severity, message, note, help, labels: [first, ...rest], elsewhere = [] }: LocatedFinding
): string =>
  [
    `${severity}[${rule}]: ${message}`,
    `--> ${name}:${first.start.line}:${first.start.column}: ${first.text}`,
    ...rest.map(({ start, text }) => `    ${name}:${start.line}:${start.column}: ${text}`),
    ...elsewhere.map(
      ({ source, start, text }) => `    ${source.file}:${start.line}:${start.column}: ${text}`
    ),
    `note: ${note}`,
    `help: ${help}`
  ]
    .map(line => `${printable(line)}\n`)
    .join('')

const attributes = (values: Readonly<Record<string, string | number>>): string =>
  Object.entries(values)
    .map(([name, value]) => ` ${name}="${escape(String(value))}"`)
    .join('')

/** For text and attributes of XML; characters that XML has no words for have been taken out. */
const escape = (text: string): string =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    // Halves of surrogate pairs and non-characters (XML 1.0, section 2.2).
    .replace(
      /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]|[\ufffe\uffff]/g,
      '\ufffd'
    )
