import { escaped } from './compact.ts'
import { type LocatedLabel, type Report, tally } from './located.ts'

/** Findings for programs: the shape that README.md and CONTRIBUTING.md promise, version 1. */
export const json = (reports: readonly Report[]): string => {
  const { error, warning, hint } = tally(reports)
  const text = JSON.stringify(
    {
      version: 1,
      findings: reports.flatMap(({ source, findings }) =>
        findings.map(
          ({ rule, severity, message, note, help, labels: [first, ...related], elsewhere = [], fix }) => ({
            rule,
            severity,
            message,
            note,
            help,
            file: source.file,
            ...place(first),
            related: [
              ...related.map(label => ({ message: label.text, ...place(label) })),
              ...elsewhere.map(({ source, ...label }) => ({
                message: label.text,
                file: source.file,
                ...place(label)
              }))
            ],
            ...(fix === undefined ? {} : { fix })
          })
        )
      ),
      summary: { files: reports.length, errors: error, warnings: warning, hints: hint }
    },
    null,
    2
  )
  // JSON.stringify escapes what JSON forbids; a terminal acts on more than that.
  return `${text.replace(/[\u007f-\u009f\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, escaped)}\n`
}

const place = ({ at, start, end }: Pick<LocatedLabel, 'at' | 'start' | 'end'>): object => ({
  path: at,
  start,
  end
})
