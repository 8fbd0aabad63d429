import type { Addr } from '../net/addr.ts'

/** Somebody who sends packets or is sent to. */
export type Place =
  | { readonly kind: 'host' }
  /** A machine in the network that the host's uplink, or a bridge with a card, is in. */
  | { readonly kind: 'lan' }
  /** A machine behind the router of the uplink. */
  | { readonly kind: 'internet' }
  | { readonly kind: 'container' | 'vm'; readonly name: string }

/** A question: what becomes of a packet from somebody to an address, and of the answer? */
export interface Flow {
  readonly from: Place
  readonly to: Addr
  readonly protocol: 'tcp' | 'udp' | 'icmp'
  /** Undefined for icmp, which is a ping. */
  readonly port: number | undefined
}

/**
 * What the sender sees. answered: by a service or to a ping. refused: a machine was reached that has no such service.
 * no-route: the sender, or a router on the way, has no route. no-neighbour: nobody on the last link has the address.
 * timeout: nothing comes back: dropped on the way there or back, or answered to somebody else.
 */
export type Seen = 'answered' | 'refused' | 'no-route' | 'no-neighbour' | 'timeout'

/** What a flow comes to: predicted from the plan, or measured with packets. */
export interface Answer extends Outcome {
  /** What it may come to as well: that depends on who has spoken before. */
  readonly or?: readonly Outcome[]
}

export interface Outcome {
  readonly seen: Seen
  /** Who answered or refused; undefined where nobody did. */
  readonly by: Place | undefined
  /** The source address that the one who answered saw: after translation. */
  readonly source: Addr | undefined
}

/** Tells places apart, which may have one name: a container may be called `host`. */
export const placeKey = (place: Place): string =>
  'name' in place ? `${place.kind} ${place.name}` : place.kind

export const placeName = (place: Place): string => ('name' in place ? place.name : place.kind)
