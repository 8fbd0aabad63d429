import type { Finding } from './findings/finding.ts'
import { buildTopology } from './model/build.ts'
import type { Topology } from './model/topology.ts'
import type { Plan } from './plan/plan.ts'
import { resolve } from './plan/resolve.ts'
import { ALONE, siteOf } from './plan/site.ts'
import { withoutIgnored } from './report/ignored.ts'
import { type Report, locate } from './report/located.ts'
import { check } from './rules/check.ts'
import { type Document, parseDocument } from './syntax/document.ts'
import { validate } from './syntax/validate.ts'
import type { Source } from './text/source.ts'

export type { Finding, Label, Problem, Severity } from './findings/finding.ts'
export type { Edit, Mend, TextEdit } from './findings/mend.ts'
export type { Addr, Family } from './net/addr.ts'
export type { Prefix } from './net/prefix.ts'
export type * from './model/topology.ts'
export type * from './plan/plan.ts'
export type { Fix, LocatedFinding, LocatedLabel, Report, TextChange } from './report/located.ts'
export type { Path } from './text/path.ts'
export type { Position, Source } from './text/source.ts'

/** What is known about one source. */
export interface Analysis {
  readonly report: Report
  /** Undefined when the text is no topology. */
  readonly topology?: Topology
  readonly plan?: Plan
}

/**
 * Reads a topology (YAML or JSON) and says everything that is wrong with it. Never throws for what is in the source.
 * The stages gather their findings; a text that does not parse, or has no version, stops after its own.
 */
export const analyze = async (source: Source): Promise<Analysis> => {
  const [only] = await analyzeSite([source])
  if (only === undefined) throw new Error('no analysis of a source')
  return only
}

/** The same for several sources as one site: hosts that are in the same LAN may not use the same address. */
export const analyzeSite = async (sources: readonly Source[]): Promise<readonly Analysis[]> => {
  const hosts: Host[] = []
  for (const source of sources) hosts.push(await read(source))
  const site = hosts.length > 1 ? siteOf(hosts.map(({ plan }) => plan)) : []
  const found: (readonly Finding[])[] = []
  for (const [i, { findings, plan }] of hosts.entries())
    found.push(plan === undefined ? findings : [...findings, ...(await check(plan, site[i] ?? ALONE))])
  const reports = locate(
    hosts.map(({ source, document, plan }, i) => ({
      source,
      document,
      findings: withoutIgnored(source, document, plan?.topology, found[i] ?? [])
    }))
  )
  return hosts.flatMap(({ plan }, i) => {
    const report = reports[i]
    if (report === undefined) return []
    return [plan === undefined ? { report } : { report, topology: plan.topology, plan }]
  })
}

interface Host {
  readonly source: Source
  readonly findings: readonly Finding[]
  readonly document?: Document
  readonly plan?: Plan
}

/** From the text to what will be. The parsed data itself is needed no longer then, and large. */
const read = async (source: Source): Promise<Host> => {
  const parsed = await parseDocument(source)
  if ('findings' in parsed) return { source, ...parsed }
  const { document } = parsed
  const { data, findings } = await validate(parsed.data)
  return data === undefined
    ? { source, findings, document }
    : { source, findings, document, plan: resolve(buildTopology(data)) }
}
