import type { Severity } from '../findings/finding.ts'
import { printable } from './compact.ts'
import type { Report } from './located.ts'

const COMMANDS: Readonly<Record<Severity, string>> = { error: 'error', warning: 'warning', hint: 'notice' }

/** Findings as workflow commands of GitHub, which shows them at their lines ("Workflow commands for GitHub Actions"). */
export const github = (reports: readonly Report[]): string =>
  reports
    .flatMap(({ source: { file }, findings }) =>
      findings.map(({ rule, severity, message, note, help, labels: [{ start, end }], elsewhere = [] }) => {
        const others = elsewhere.map(({ source, start, text }) => `${source.file}:${start.line}: ${text}`)
        const place = {
          file,
          line: start.line,
          endLine: end.line,
          // A column means nothing where the lines differ.
          ...(start.line === end.line ? { col: start.column, endColumn: end.column } : {}),
          title: rule
        }
        return `::${COMMANDS[severity]} ${Object.entries(place)
          .map(([name, value]) => `${name}=${property(String(value))}`)
          .join(',')}::${data([message, ...others, note, help].map(printable).join('\n'))}\n`
      })
    )
    .join('')

const data = (text: string): string =>
  text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')

const property = (text: string): string => data(printable(text)).replaceAll(':', '%3A').replaceAll(',', '%2C')
