import type { Report } from './located.ts'
import { more, shown } from './shown.ts'

/**
 * One line for each finding, as compilers print them: file:line:column: severity[rule]: message; help. Of one rule the
 * first hundred in a file, unless all are wanted.
 */
export const compact = (reports: readonly Report[], all = false): string =>
  reports
    .flatMap(report => {
      const { file } = report.source
      const { findings, rest } = shown(report, all)
      return [
        ...findings.map(({ rule, severity, message, help, labels: [{ start }], elsewhere = [] }) => {
          const others = elsewhere.map(({ source, start }) => ` (${source.file}:${start.line})`)
          return `${file}:${start.line}:${start.column}: ${severity}[${rule}]: ${message}${others.join('')}; ${help}`
        }),
        ...rest.map(left => `${file}: ${left.severity}[${left.rule}]: ${more(report, left)}`)
      ]
    })
    .map(line => `${printable(line)}\n`)
    .join('')

/** A text without characters that a terminal would act on: controls, line ends, marks that turn the direction of writing. */
export const printable = (text: string): string =>
  text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, char => (char === '\t' ? ' ' : escaped(char)))

/** A character as JSON and JavaScript escape it. */
export const escaped = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
