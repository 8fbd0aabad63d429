import { type Addr, formatAddr } from '../net/addr.ts'
import type { AddressClaim, Plan } from '../plan/plan.ts'
import { type Answer, type Flow, type Place, placeKey } from '../reach/flow.ts'
import { foretold } from '../reach/trace.ts'
import type { World } from '../reach/world.ts'

/** Whether a flow depends on which of several that have one address answers, there or on the way back. */
export const isOpen = (world: World): ((flow: Flow) => boolean) => {
  const { isDoubled } = world
  if (isDoubled === undefined) return () => false
  let found = false
  const watched: World = {
    ...world,
    neighbour: (from, addr) => {
      found ||= isDoubled(from, addr)
      return world.neighbour(from, addr)
    }
  }
  return flow => {
    found = false
    foretold(watched, flow)
    return found
  }
}

/** An address that several have, and who answered for it. */
export interface Doubled {
  readonly addr: Addr
  readonly claims: readonly AddressClaim[]
  /** Who has answered whom. */
  readonly answers: readonly { readonly by: Place; readonly from: readonly Place[] }[]
}

/** Which of those that have one address answers whom. */
export const doubled = (
  { addresses }: Plan,
  flows: readonly Flow[],
  answers: readonly Answer[]
): readonly Doubled[] => {
  const seen = new Map<string, Map<string, { readonly from: Place; readonly by: Place }>>()
  const found: Doubled[] = []
  const several = [...addresses.shared()]
    .map(claims => claims.filter(({ enabled, kind }) => enabled && kind !== 'virtual'))
    .filter(claims => new Set(claims.map(machineOf)).size > 1)
  for (const [{ addr } = NOTHING] of several) if (addr !== undefined) seen.set(formatAddr(addr), new Map())
  if (seen.size === 0) return found
  flows.forEach(({ from, to }, i) => {
    const asking = seen.get(formatAddr(to))
    const by = answers[i]?.by
    if (asking !== undefined && by !== undefined && placeKey(by) !== placeKey(from))
      asking.set(placeKey(from), { from, by })
  })
  for (const claims of several) {
    const [first] = claims
    if (first === undefined) continue
    const byAnswer = new Map<string, { readonly by: Place; readonly from: Place[] }>()
    for (const { from, by } of seen.get(formatAddr(first.addr))?.values() ?? []) {
      const known = byAnswer.get(placeKey(by))
      if (known === undefined) byAnswer.set(placeKey(by), { by, from: [from] })
      else known.from.push(from)
    }
    found.push({ addr: first.addr, claims, answers: [...byAnswer.values()] })
  }
  return found
}

/** The host may have one address on many links. */
const machineOf = ({ kind, owner }: AddressClaim): string => (kind === 'local' ? owner : '')

const NOTHING = { addr: undefined }
