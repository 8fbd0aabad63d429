import { formatAddr, parseAddr } from '../net/addr.ts'
import { arrives, asking, type Asked, attempt, type Attempt, doubtOf, namesOf } from '../reach/expect.ts'
import { attemptLines, endText, hopPlace, hopText, isOutside, speaks } from '../reach/told.ts'
import { mendOf } from '../reach/mend.ts'
import { type World, worldOf } from '../reach/world.ts'
import { printable } from '../report/compact.ts'
import { parseDocument } from '../syntax/document.ts'
import type { Path } from '../text/path.ts'
import { formatPath, quote } from '../text/path.ts'
import { linesOf, type Position, type Source } from '../text/source.ts'
import { listed, nearest } from '../text/words.ts'
import { type Planned, planned } from './planned.ts'
import { type Exit, say, shown } from './terminal.ts'

/** Tells the flows from one to another hop by hop: 1 where none arrives. */
export const traceFlow = async (
  file: string,
  from: string,
  target: string,
  format: 'text' | 'json'
): Promise<Exit> => {
  const asked = parseTarget(from, target)
  if ('fault' in asked) {
    say(asked.fault)
    return 2
  }
  const known = await planned(file)
  if (typeof known === 'number') return known
  const told = await traced(known, asked)
  if ('fault' in told) {
    say(told.fault)
    return 2
  }
  process.stdout.write(format === 'json' ? `${JSON.stringify(told.json, null, 2)}\n` : shown(told.text))
  return told.arrives ? 0 : 1
}

interface Told {
  readonly text: string
  readonly json: object
  /** Whether any of the flows does. */
  readonly arrives: boolean
}

export const traced = async (
  { plan, source }: Planned,
  asked: Asked
): Promise<Told | { readonly fault: string }> => {
  const world = worldOf(plan)
  const flows = asking(world)(asked)
  if ('kind' in flows)
    return {
      fault:
        flows.kind === 'nobody' && flows.end !== undefined
          ? `${flows.text}; ${meant(world, asked[flows.end])}`
          : flows.text
    }
  // Whoever reads from the top sees first what arrives.
  const attempts = flows
    .map(flow => attempt(world, flow))
    .toSorted((a, b) => Number(arrives(b.trace)) - Number(arrives(a.trace)))
  const places = await placesIn(source, attempts)
  const isMet = attempts.some(({ trace }) => arrives(trace))
  return {
    text: `${attempts.map(one => traceText(world, source, asked, one, places, attempts)).join('\n\n')}\n`,
    json: traceJson(world, source, asked, attempts, places),
    arrives: isMet
  }
}

/** `internet:443`, `web:53/udp`, `[fd00::2]:80`; a name or address alone is a ping. */
export const parseTarget = (from: string, target: string): Asked | { readonly fault: string } => {
  const bare = (name: string): string => /^\[(.*)\]$/.exec(name)?.[1] ?? name
  const [, name = '', service] =
    'value' in parseAddr(target)
      ? [target, target, undefined]
      : (/^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(target) ?? [])
  if (bare(name) === '')
    return {
      fault: `${quote(target)} is no target; write NAME, NAME:PORT or NAME:PORT/udp, and an IPv6 address with a port as [ADDRESS]:PORT`
    }
  if (name.startsWith('[') && !('value' in parseAddr(bare(name))))
    return { fault: `${quote(bare(name))} is no address; only addresses stand in brackets` }
  const ends = { from: bare(from), to: bare(name) }
  if (service === undefined) return { ...ends, port: undefined, protocol: 'icmp' }
  const [whole, digits, protocol = 'tcp'] = /^(\d{1,9})(?:\/(tcp|udp))?$/.exec(service) ?? []
  const port = Number(digits)
  return whole === undefined || port < 1 || port > 65_535
    ? { fault: `${quote(service)} is no port; write a number from 1 to 65535, and /udp behind it for UDP` }
    : { ...ends, port, protocol }
}

const meant = (world: World, name: string): string => {
  const names = namesOf(world)
  const near = nearest(name, names)
  return near === undefined ? `there are ${listed([...names], 20)}` : `did you mean ${quote(near)}?`
}

type Places = ReadonlyMap<string, Position>

/** Where in the file the hops come from. */
const placesIn = async (source: Source, attempts: readonly Attempt[]): Promise<Places> => {
  const paths = new Map<string, Path>()
  for (const { trace } of attempts)
    for (const hop of trace.hops) {
      const at = hopPlace(hop)
      if (at !== undefined && at.length > 0) paths.set(formatPath(at), at)
    }
  const parsed = await parseDocument(source)
  if ('findings' in parsed) return new Map()
  const spans = parsed.document.locate(Array.from(paths.values(), at => ({ at, on: 'key' as const })))
  const lines = linesOf(source.text)
  return new Map(Array.from(paths.keys(), (key, i) => [key, lines.position(spans[i]?.start ?? 0)]))
}

const traceText = (
  world: World,
  { file }: Source,
  { to }: Asked,
  one: Attempt,
  places: Places,
  all: readonly Attempt[]
): string => {
  const mend = isMoot(world, one, all) ? undefined : mendOf(world, one)
  const doubt = arrives(one.trace) ? undefined : doubtOf(world, one, 'reaches')
  return [
    ...attemptLines(one, to, at => {
      const position = places.get(formatPath(at))
      return position === undefined
        ? formatPath(at)
        : `${printable(file)}:${position.line}:${position.column}`
    }),
    ...(doubt === undefined ? [] : [`  unsure: ${doubt}`]),
    ...(mend === undefined ? [] : [`  mend: ${mend.text}`])
  ].join('\n')
}

/** Whether nothing is to be mended: another way arrives, or leads further than an address that nobody outside has a route to. */
const isMoot = (world: World, { flow, trace }: Attempt, all: readonly Attempt[]): boolean => {
  const sender = world.machineAt(flow.from)
  // A family that the sender does not have is nothing to mend where another arrives.
  if (sender !== undefined && !speaks(sender, flow.to.family) && all.some(other => arrives(other.trace)))
    return true
  const others = all.filter(other => other.flow !== flow && other.flow.to.family === flow.to.family)
  const last = trace.hops.at(-1)
  return (
    others.some(other => arrives(other.trace)) ||
    (others.length > 0 && last !== undefined && last.step.kind === 'no-route' && isOutside(last.at))
  )
}

/** docs/trace-json.md */
const traceJson = (
  world: World,
  { file }: Source,
  { from, to }: Asked,
  attempts: readonly Attempt[],
  places: Places
): object => ({
  version: 1,
  file,
  from,
  to,
  flows: attempts.map(one => {
    const { flow, trace } = one
    const mend = mendOf(world, one)
    const arrived = arrives(trace)
    return {
      from: flow.from,
      to: formatAddr(flow.to),
      family: flow.to.family,
      protocol: flow.protocol,
      port: flow.port ?? null,
      disposition: trace.disposition,
      arrives: arrived,
      seen: trace.seen,
      by: trace.by ?? null,
      source: trace.source === undefined ? null : formatAddr(trace.source),
      reason: arrived ? null : endText(one),
      doubt: (arrived ? undefined : doubtOf(world, one, 'reaches')) ?? null,
      mend: mend ?? null,
      hops: trace.hops.map(hop => {
        const path = hopPlace(hop)
        return {
          at: hop.at.place,
          kind: hop.step.kind,
          back: 'back' in hop.step && hop.step.back,
          text: hopText(hop),
          path: path ?? null,
          start: (path && places.get(formatPath(path))) ?? null
        }
      })
    }
  })
})
