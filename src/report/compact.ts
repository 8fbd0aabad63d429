import type { Report } from './located.ts'

/** One line for each finding, as compilers print them: file:line:column: severity[rule]: message; help. */
export const compact = (reports: readonly Report[]): string =>
  reports
    .flatMap(({ source, findings }) =>
      findings.map(
        ({ rule, severity, message, help, labels: [{ start }] }) =>
          `${printable(source.file)}:${start.line}:${start.column}: ${severity}[${rule}]: ${message}; ${help}\n`
      )
    )
    .join('')

/** A text without characters that a terminal would act on. */
export const printable = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
  text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, char =>
    char === '\t' ? ' ' : `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
  )
