import pages from 'embed:pages'
import type { Report } from '../report/located.ts'
import { sarif as print } from '../report/sarif.ts'

declare const VERSION: string

/** The log with the pages of the rules, which nothing else of a check needs. */
export const sarif = (reports: readonly Report[]): string =>
  print(reports, VERSION, rule => (Object.hasOwn(pages, rule) ? pages[rule] : undefined))
