import type { Report } from './located.ts'

/** One line for each finding, as compilers print them: file:line:column: severity[rule]: message; help. */
export const compact = (reports: readonly Report[]): string =>
  reports
    .flatMap(({ source, findings }) =>
      findings.map(
        ({ rule, severity, message, help, labels: [{ start }] }) =>
          `${printable(`${source.file}:${start.line}:${start.column}: ${severity}[${rule}]: ${message}; ${help}`)}\n`
      )
    )
    .join('')

/** A text without characters that a terminal would act on: controls, line ends, marks that turn the direction of writing. */
export const printable = (text: string): string =>
  text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, char => (char === '\t' ? ' ' : escaped(char)))

/** A character as JSON and JavaScript escape it. */
export const escaped = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
