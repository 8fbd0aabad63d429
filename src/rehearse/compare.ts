import { type Addr, sameAddr } from '../net/addr.ts'
import { type Answer, type Flow, type Outcome, placeKey } from '../reach/flow.ts'

/** A flow that was not seen as it was predicted. */
export interface Mismatch<F extends Flow = Flow> {
  readonly flow: F
  readonly measured: Answer
  readonly predicted: Answer
}

const isSame = <T>(a: T | undefined, b: T | undefined, same: (a: T, b: T) => boolean): boolean =>
  a === undefined || b === undefined ? a === b : same(a, b)

/** An answer that was seen with packets. */
export interface Observed extends Outcome {
  /** Whether the prober cannot tell it from others: silence from a refusal on the way, who refuses. */
  readonly vague?: boolean
}

/**
 * Whether both say the same: what the sender sees, and where somebody answers, who and to whom. Where that depends on who has
 * spoken before, it has to be one of the outcomes that the prediction has.
 */
export const agrees = (measured: Observed, predicted: Answer): boolean =>
  agreesWith(measured, predicted) || predicted.or?.some(other => agreesWith(measured, other)) === true

/** The same for the first outcome alone. */
export const agreesWith = (measured: Observed, predicted: Outcome): boolean => {
  if (measured.vague === true && measured.seen === 'timeout') return predicted.seen !== 'answered'
  if (measured.seen !== predicted.seen) return false
  // A firewall that refuses does so before anybody has seen the packet.
  if (measured.seen === 'refused' && measured.by === undefined) return true
  return (
    isSame(measured.by, predicted.by, (a, b) => placeKey(a) === placeKey(b)) &&
    isSame<Addr>(measured.source, predicted.source, sameAddr)
  )
}

export const mismatches = <F extends Flow>(
  flows: readonly F[],
  measured: readonly Observed[],
  predict: (flow: Flow) => Answer
): readonly Mismatch<F>[] =>
  flows.flatMap((flow, i) => {
    const seen = measured[i]
    if (seen === undefined) return []
    const predicted = predict(flow)
    return agrees(seen, predicted) ? [] : [{ flow, measured: seen, predicted }]
  })

/** How long an answer is waited for: at first, and where it is not what was predicted. */
const WAIT = 400
const LONG_WAIT = 1300

/** So many flows that were not seen as predicted are asked again; more are no accident. */
const AGAIN = 400

/** Asks flows; those that do not agree with the prediction once more, slowly. */
export const verified = async <F extends Flow, A extends Observed>(
  measure: (flows: readonly F[], wait: number) => Promise<readonly A[]>,
  flows: readonly F[],
  predict: (flow: Flow) => Answer
): Promise<readonly A[]> => {
  const answers = await measure(flows, WAIT)
  const again = mismatches(flows, answers, predict).map(({ flow }) => flow)
  if (again.length === 0 || again.length > AGAIN) return answers
  const second = await measure(again, LONG_WAIT)
  const better = new Map(again.map((flow, i) => [flow, second[i]]))
  return answers.map((answer, i) => {
    const flow = flows[i]
    return (flow === undefined ? undefined : better.get(flow)) ?? answer
  })
}
