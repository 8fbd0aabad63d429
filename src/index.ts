import type { Finding } from './findings/finding.ts'
import { buildTopology } from './model/build.ts'
import type { Topology } from './model/topology.ts'
import type { Plan } from './plan/plan.ts'
import { resolve } from './plan/resolve.ts'
import { located, type Report } from './report/located.ts'
import { check } from './rules/check.ts'
import { type Document, parseDocument } from './syntax/document.ts'
import { validate } from './syntax/validate.ts'
import type { Source } from './text/source.ts'

export type { Finding, Label, Problem, Severity } from './findings/finding.ts'
export type { Addr, Family } from './net/addr.ts'
export type { Prefix } from './net/prefix.ts'
export type * from './model/topology.ts'
export type * from './plan/plan.ts'
export type { LocatedFinding, LocatedLabel, Report } from './report/located.ts'
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
  const { findings, document, topology } = await read(source)
  if (topology === undefined) return { report: located(source, findings, document) }
  const plan = resolve(topology)
  return { report: located(source, [...findings, ...check(plan)], document), topology, plan }
}

/** From the text to what the user wrote. The parsed data itself is needed no longer then, and large. */
const read = async (
  source: Source
): Promise<{
  readonly findings: readonly Finding[]
  readonly document?: Document
  readonly topology?: Topology
}> => {
  const parsed = await parseDocument(source)
  if ('findings' in parsed) return parsed
  const { document } = parsed
  const { data, findings } = await validate(parsed.data)
  return data === undefined ? { findings, document } : { findings, document, topology: buildTopology(data) }
}
