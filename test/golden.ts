import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { EMITTERS } from '../src/emit/index.ts'
import { markOf } from '../src/emit/emitter.ts'
import { analyze, type Plan } from '../src/index.ts'

// A golden: one file (txtar) with a topology and all that is made of it, `-- NAME --` before each part.

const folder = new URL('golden/', import.meta.url)

export interface Golden {
  readonly name: string
  readonly topology: string
  /** What stands before the topology: what it shows. */
  readonly comment: string
  /** What is written down as its outputs, by `target/file`. */
  readonly outputs: Readonly<Record<string, string>>
}

const HEADER = /^-- (\S+) --\n/m

const read = (name: string): Golden => {
  const [comment = '', ...parts] = readFileSync(new URL(`${name}.txtar`, folder), 'utf8').split(HEADER)
  const files = Object.fromEntries(
    Array.from({ length: parts.length / 2 }, (_, i) => [parts[2 * i] ?? '', parts[2 * i + 1] ?? ''])
  )
  const { 'topology.yaml': topology = '', ...outputs } = files
  return {
    name,
    topology,
    comment,
    outputs: Object.fromEntries(
      Object.entries(outputs).map(([path, text]) => [path.replace(/^out\//, ''), text])
    )
  }
}

export const goldens: readonly Golden[] = readdirSync(folder)
  .filter(file => file.endsWith('.txtar'))
  .sort()
  .map(file => read(file.slice(0, -'.txtar'.length)))

/** The plan of a topology that has no errors. */
export const planOf = async (text: string): Promise<Plan> => {
  const { report, plan } = await analyze({ file: 'topology.yaml', text })
  const errors = report.findings.filter(({ severity }) => severity === 'error')
  if (plan === undefined || errors.length > 0)
    throw new Error(`errors: ${errors.map(({ rule, message }) => `${rule} ${message}`).join('; ')}`)
  return plan
}

/** What one target makes of a plan, by file; or what it refuses. */
export const emitted = (
  plan: Plan,
  target: string
): { readonly files: Readonly<Record<string, string>>; readonly refused: readonly string[] } => {
  const emitter = EMITTERS.find(({ id }) => id === target)
  if (emitter === undefined) throw new Error(`no target ${target}`)
  const refused = Array.from(emitter.cannot(plan), ({ feature, why }) => `${feature}: ${why}`)
  const mark = markOf(target, { version: '0.0.0', topology: plan.topology.name ?? 'topology' })
  return {
    files:
      refused.length > 0
        ? {}
        : Object.fromEntries(emitter.emit(plan, mark).map(({ path, text }) => [path, text])),
    refused
  }
}

/** Everything that is made of a topology, as a golden has it. */
export const outputsOf = async (topology: string): Promise<Readonly<Record<string, string>>> => {
  const plan = await planOf(topology)
  return Object.fromEntries(
    EMITTERS.flatMap(({ id }) => {
      const { files, refused } = emitted(plan, id)
      return refused.length > 0
        ? [[`${id}/refused`, `${refused.join('\n')}\n`]]
        : Object.entries(files)
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([path, text]) => [`${id}/${path}`, text])
    })
  )
}

/** Writes a golden anew, with these outputs. */
export const rewrite = (
  { name, comment, topology }: Golden,
  outputs: Readonly<Record<string, string>>
): void => {
  const parts = Object.entries(outputs).map(([path, text]) => `-- out/${path} --\n${text}`)
  writeFileSync(
    new URL(`${name}.txtar`, folder),
    `${comment}-- topology.yaml --\n${topology}${parts.join('')}`
  )
}
