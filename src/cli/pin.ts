import { randomBytes } from 'node:crypto'
import { analyze } from '../index.ts'
import { formatPrefix } from '../net/prefix.ts'
import { isUniqueLocal } from '../plan/allocate.ts'
import type { Allocation, Plan, Unallocated } from '../plan/plan.ts'
import { printable } from '../report/compact.ts'
import { type Edit, edited, type RefusedEdit } from '../syntax/edit.ts'
import { formatPath } from '../text/path.ts'
import type { Source } from '../text/source.ts'
import { plural } from '../text/words.ts'
import { rewrite } from './disk.ts'
import { type Exit, say, shown } from './terminal.ts'

/**
 * Writes the values that a plan has chosen into its topology file in place of `auto`, and says which; `-` prints the text
 * instead. What nothing could be chosen for stays as it is: 1 then.
 */
export const pin = async (file: string, source: Source, plan: Plan): Promise<Exit> => {
  const pooled = await withPool(source, plan)
  const pinned = await withValues(pooled)
  const { text, written, left } = { ...pinned, written: [...pooled.written, ...pinned.written] }
  if (text !== source.text && file !== '-') {
    const result = rewrite(file, source.text, text)
    if ('fault' in result) {
      say(`cannot write ${file}: ${result.fault}`)
      return 2
    }
    if (result.names > 1) say(`${file} had another name as well (a hard link), which keeps the old text`)
  }
  if (file === '-') process.stdout.write(shown(text))
  process.stderr.write(written.map(line => `${printable(line)}\n`).join(''))
  if (written.length === 0 && left.length === 0) say(`nothing to pin: no value in ${source.file} is "auto"`)
  for (const line of left) say(line)
  return left.length > 0 ? 1 : 0
}

/** A topology on the way: its text, what was written into it, and what could not be. */
interface Draft {
  readonly source: Source
  readonly plan: Plan
  readonly written: readonly string[]
  readonly left: readonly string[]
}

/**
 * IPv6 needs a network that nobody else has: its global id is chosen by chance, once, and stands in the file from then on
 * (RFC 4193 section 3.2).
 */
const withPool = async (source: Source, plan: Plan): Promise<Draft> => {
  const same = { source, plan, written: [], left: [] }
  if (!plan.unallocated.some(isUniqueLocal)) return same
  const at = ['pools', freeName(plan), 'prefix']
  const prefix = uniqueLocal()
  const result = await edited(source, [{ kind: 'insert', at, value: prefix }])
  if ('refused' in result) return { ...same, left: result.refused.map(refusal) }
  const pooled = { ...source, text: result.text }
  const { plan: next } = await analyze(pooled)
  if (next === undefined) throw new Error('a pool makes the file unreadable')
  return { source: pooled, plan: next, written: [`${formatPath(at)}: ${prefix}`], left: [] }
}

/** Bridges and containers prefer a pool of their own name, so it is none of theirs. */
const freeName = ({ topology }: Plan): string => {
  const { pools, bridges, containers, vms } = topology
  const taken = new Set([...pools, ...bridges, ...containers, ...vms].map(({ name }) => name))
  let name = 'ula'
  for (let i = 2; taken.has(name); i += 1) name = `ula${i}`
  return name
}

const uniqueLocal = (): string => {
  const id = BigInt(`0x${randomBytes(5).toString('hex')}`)
  return formatPrefix({ family: 6, value: (0xfdn << 120n) | (id << 80n), bits: 48 })
}

/** Puts the values in. What cannot be edited stays, and does not keep the others from it. */
const withValues = async ({
  source,
  plan,
  left
}: Draft): Promise<{
  readonly text: string
  readonly written: readonly string[]
  readonly left: readonly string[]
}> => {
  const open = new Set(plan.unallocated.map(({ at }) => formatPath(at)))
  const stays = [...left, ...plan.unallocated.map(unallocated)]
  let allocations = plan.allocations.map(allocation => ({
    allocation,
    edits: editsOf(allocation, open.has(formatPath(allocation.at)))
  }))
  while (allocations.length > 0) {
    const result = await edited(
      source,
      allocations.flatMap(({ edits }) => edits)
    )
    if ('text' in result) {
      const written = allocations.map(({ allocation }) => said(allocation))
      return { text: result.text, written, left: stays }
    }
    const refused = new Set(result.refused.map(({ at }) => formatPath(at)))
    const rest = allocations.filter(({ edits }) => !edits.some(({ at }) => refused.has(formatPath(at))))
    for (const entry of result.refused) stays.push(refusal(entry))
    // Where it cannot be told which edit is in the way, none is made.
    allocations = rest.length < allocations.length ? rest : []
  }
  return { text: source.text, written: [], left: stays }
}

/** Of a bridge that gets one of two networks, the other is still to be chosen. */
const editsOf = ({ at, values }: Allocation, isOpen: boolean): readonly Edit[] => {
  const [first = '', ...more] = isOpen ? [...values, 'auto'] : values
  const last = at.at(-1)
  if (typeof last !== 'number')
    return [{ kind: 'replace', at, value: more.length === 0 ? first : [first, ...more] }]
  const next = [...at.slice(0, -1), last + 1]
  return [
    { kind: 'replace', at, value: first },
    ...more.map((value): Edit => ({ kind: 'insert', at: next, value }))
  ]
}

const said = ({ at, values }: Allocation): string => `${formatPath(at)}: ${values.join(', ')}`

const refusal = ({ at, why, help }: RefusedEdit): string =>
  at.length === 0 ? `nothing can be written: ${why}; ${help}` : `${formatPath(at)} stays: ${why}; ${help}`

const unallocated = (entry: Unallocated): string => `${formatPath(entry.at)} stays "auto": ${reasonOf(entry)}`

const reasonOf = ({ kind, family, reason, within, wanted }: Unallocated): string => {
  const where =
    within === undefined ? '' : `${within.text}${within.at.length === 0 ? '' : ` (${formatPath(within.at)})`}`
  switch (reason) {
    case 'no-bridge':
      return 'there is no such bridge'
    case 'no-network':
      return kind === 'router'
        ? `there is no IPv${family} address at the host's end`
        : `there is no IPv${family} network to take an address from`
    case 'no-pool':
      return within === undefined
        ? `no pool has IPv${family}; write one under pools`
        : `machines that the file does not know are in ${where} too; write a pool of addresses in it that are free`
    default:
      return kind === 'subnet'
        ? `${where} has no room left for a subnet of ${plural(wanted, 'host')}`
        : `${where} is full`
  }
}
