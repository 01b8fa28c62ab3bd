/**
 * Two attempts of one request that did not know of each other have a dot each. Pure: which row stays, and which version
 * goes because another is the same request's.
 */

import { compacted } from '#causality/compact.ts';
import { compareDotsByTime, sameDot, type Dot } from '#causality/dot.ts';
import { timeOf } from '#causality/hybrid-clock.ts';
import { windowEnd, type RequestMark } from '#causality/repeats.ts';
import type { Conflicts, State, Version } from '#causality/state.ts';
import { covers } from '#causality/vector.ts';
import { equalBytes, toHex } from '#kernel/bytes.ts';
import type { RetryRow } from './retry-codec.ts';

export interface SettledRetry {
  readonly row: RetryRow;
  /** The later attempt of the same request, when the two rows name different ones. */
  readonly repeat: Dot | undefined;
}

/**
 * Of two rows with one id the smaller dot stays, so that all replicas come to the same. Unless the later dot came when the
 * window of the earlier one was over: then it is of a new request, which takes the row over.
 */
export function settleRetry(a: RetryRow, b: RetryRow): SettledRetry {
  if (sameDot(a.dot, b.dot)) return { row: a, repeat: undefined };
  const [earlier, later] = compareDotsByTime(a.dot, b.dot) < 0 ? [a, b] : [b, a];
  if (timeOf(later.dot.counter) > earlier.until) return { row: later, repeat: undefined };
  return { row: earlier, repeat: equalBytes(a.fingerprint, b.fingerprint) ? later.dot : undefined };
}

/**
 * The joined state without the repeated version, in a bucket that keeps siblings: when the first attempt is known here, live
 * or superseded, the second is as good as covered by it. A last-write-wins bucket settles by the latest dot alone (see
 * causality/repeats.ts).
 */
export function withoutRepeat(state: State, { row, repeat }: SettledRetry, conflicts: Conflicts): State {
  if (repeat === undefined || conflicts !== 'siblings' || !covers(state.vector, row.dot)) return state;
  if (!state.versions.some(({ dot }) => sameDot(dot, repeat))) return state;
  return compacted({ vector: state.vector, versions: state.versions.filter(({ dot }) => !sameDot(dot, repeat)) });
}

/** An attempt of the same request that is live in the state and may still be repeated: its row may not have come with it. */
export function attemptIn(
  state: State,
  { fingerprint }: Pick<RequestMark, 'fingerprint'>,
  now: number,
): Version | undefined {
  if (!state.versions.some(({ request }) => request !== undefined)) return undefined;
  const name = toHex(fingerprint);
  return state.versions.find(({ request, dot }) => request === name && windowEnd(dot) >= now);
}
