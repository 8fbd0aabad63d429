import { type Addr, formatAddr } from '../net/addr.ts'
import { type Attempt, arrives, type Judgement } from '../reach/expect.ts'
import { type Flow, type Place, placeKey } from '../reach/flow.ts'
import type { Measured } from './run.ts'

// Expectations judged by packets: asked are the flows by which reach/expect.ts would judge them, and what is seen decides.

export interface Verdict {
  readonly judgement: Judgement
  /** Undefined where it was not measured, or hangs on what does not stand in the file and so was not there. */
  readonly holds: boolean | undefined
  /** The flow that decided that it does not hold. */
  readonly deciding: { readonly flow: Flow; readonly measured: Measured } | undefined
}

/** Tells flows apart. */
export const flowKey = ({ from, to, protocol, port }: Flow): string =>
  `${placeKey(from)} ${protocol} ${formatAddr(to)} ${port}`

/** The flows of expectations that are not asked anyway. */
export const further = (judgements: readonly Judgement[], flows: readonly Flow[]): readonly Flow[] => {
  const known = new Set(flows.map(flowKey))
  return judgements
    .flatMap(({ attempts }) => attempts.map(({ flow }) => flow))
    .filter(flow => {
      const isNew = !known.has(flowKey(flow))
      known.add(flowKey(flow))
      return isNew
    })
}

/** Judges by what was seen. `receiver` says whom a name stands for; undefined for an address, whoever has it. */
export const verdictOf = (
  judgement: Judgement,
  receiver: Place | undefined,
  seen: (flow: Flow) => Measured | undefined
): Verdict => {
  const { expectation, fault, doubt, attempts } = judgement
  if (doubt !== undefined) return { judgement, holds: undefined, deciding: undefined }
  if (fault !== undefined) return { judgement, holds: judgement.holds, deciding: undefined }
  const tried = attempts.map(attempt => {
    const measured = seen(attempt.flow)
    return { attempt, measured, has: measured && hasArrived(attempt, measured, receiver) }
  })
  const verdict = (holds: boolean | undefined, one?: (typeof tried)[number]): Verdict => ({
    judgement,
    holds,
    deciding: one?.measured && { flow: one.attempt.flow, measured: one.measured }
  })
  if (expectation.outcome === 'blocked') {
    const through = tried.find(({ has }) => has === true)
    if (through !== undefined) return verdict(false, through)
    return verdict(tried.some(({ has }) => has === undefined) ? undefined : true)
  }
  const byFamily = new Map<Addr['family'], typeof tried>()
  for (const one of tried) {
    const { family } = one.attempt.flow.to
    byFamily.set(family, [...(byFamily.get(family) ?? []), one])
  }
  const without = [...byFamily.values()].filter(all => !all.some(({ has }) => has === true))
  const failed = without.find(all => all.every(({ has }) => has === false))
  if (failed !== undefined) return verdict(false, failed[0])
  return verdict(without.length === 0 ? true : undefined)
}

/** Whether a packet has come to the one whom it was meant for, whether or not something listens there. */
const hasArrived = (
  { trace }: Attempt,
  { seen, by, vague }: Measured,
  receiver: Place | undefined
): boolean => {
  if (seen === 'refused' && by === undefined) return vague === true && arrives(trace)
  if (seen !== 'answered' && seen !== 'refused') return false
  return receiver === undefined || by === undefined || placeKey(by) === placeKey(receiver)
}
