/**
 * A request that was sent again must not become a second version. Normally its coordinator finds the first one before it
 * mints. When it could not (the first attempt reached only replicas that the second could not ask), both attempts have
 * dots, and where they meet the later one goes: what a client sees is one version, whichever way the two came together.
 *
 * The version with the smaller dot stays, at every replica alike. What goes is covered by the vector, as if the first had
 * been written on top of it. Nothing is lost: both have the same content, and the first leaves only when a client that has
 * seen it replaces it, or when an even earlier attempt turns up.
 *
 * This is for buckets that keep siblings. A last-write-wins bucket already keeps one version, the one with the latest dot,
 * and a second rule that prefers the smaller dot would contradict it: of the attempts d1 < d3 and a foreign write d2 between
 * them one replica would keep d1 for d3 and another d3 for d2, each having dropped what the other kept, and the join of the
 * two would be empty.
 */

import { compareDotsByTime, type Dot } from './dot.ts';
import { timeOf } from './hybrid-clock.ts';
import type { State, Version } from './state.ts';

/** Names a client's request: hashes of its idempotency key, and of that and all that the request says. */
export interface RequestMark {
  readonly id: Uint8Array;
  readonly fingerprint: Uint8Array;
  /** Of a strong key's: when the client numbers its requests to the key, and says how far it is with them. */
  readonly numbered?: Numbered | undefined;
}

/** A request's place among those of its client. */
export interface Numbered {
  /** Hash of what names the series. */
  readonly series: Uint8Array;
  readonly number: number;
  /** Those of the series with lower numbers are over: the client sends none of them again. 0 when that is not said. */
  readonly answeredBelow: number;
}

/** Of either hash. */
export const MARK_BYTES = 16;

/** How far the attempts of one request may lie apart. Later the same words are a new request. */
export const REQUEST_WINDOW_MS = 10 * 60 * 1000;

/** Until when, in milliseconds since 1970, the request that got the dot may be sent again. */
export function windowEnd({ counter }: Dot): number {
  return timeOf(counter) + REQUEST_WINDOW_MS;
}

/** Without the versions of later attempts; the state itself when there are none. */
export function withoutRepeats(state: State): State {
  const { vector, versions } = state;
  const named = versions.filter(({ request }) => request !== undefined);
  if (named.length < 2) return state;
  const attempts = Map.groupBy(named, ({ request }) => request);
  if (attempts.size === named.length) return state;
  const kept = versions.filter((version) => !isRepeat(version, attempts.get(version.request) ?? []));
  return kept.length === versions.length ? state : { vector, versions: kept };
}

function isRepeat({ dot }: Version, attempts: readonly Version[]): boolean {
  return attempts.some((other) => compareDotsByTime(other.dot, dot) < 0 && timeOf(dot.counter) <= windowEnd(other.dot));
}
