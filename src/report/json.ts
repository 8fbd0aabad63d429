import { type LocatedLabel, type Report, tally } from './located.ts'

/** Findings for programs: the shape that README.md and CONTRIBUTING.md promise, version 1. */
export const json = (reports: readonly Report[]): string => {
  const { error, warning, hint } = tally(reports)
  return `${JSON.stringify(
    {
      version: 1,
      findings: reports.flatMap(({ source, findings }) =>
        findings.map(({ rule, severity, message, note, help, labels: [first, ...related] }) => ({
          rule,
          severity,
          message,
          note,
          help,
          file: source.file,
          ...place(first),
          related: related.map(label => ({ message: label.text, ...place(label) }))
        }))
      ),
      summary: { files: reports.length, errors: error, warnings: warning, hints: hint }
    },
    null,
    2
  )}\n`
}

const place = ({ at, start, end }: LocatedLabel): object => ({ path: at, start, end })
