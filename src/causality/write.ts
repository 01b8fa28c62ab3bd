/**
 * A write at the replica that mints its dot. It supersedes what the client had seen, its context, and nothing else; what
 * the client had not seen stays beside it as a sibling. In a last-write-wins bucket the new dot is later than all that the
 * replica holds, so the write also wins over what it has not seen.
 */

import { AssertionError } from '#kernel/assert.ts';
import { compareDotsByActor } from './dot.ts';
import type { Dot } from './dot.ts';
import { settle } from './join.ts';
import type { Conflicts, Content, State, Version, VersionVector } from './state.ts';
import { covers, highestCounter, joinVectors, withDot } from './vector.ts';

export interface Write {
  /** What the client has seen; empty for a blind write. */
  readonly context: VersionVector;
  /** Fresh: its counter came from {@link counterFor} for this very context and state. */
  readonly dot: Dot;
  /** Null to delete. */
  readonly content: Content | null;
  /** Milliseconds since 1970, 0 for never. Without meaning for a delete. */
  readonly expiresAt: number;
  /** Names the request, when it has an idempotency key. */
  readonly request?: string | undefined;
  readonly conflicts: Conflicts;
}

/**
 * The state after the write.
 *
 *     V' = V(state) ∪ V(context) ∪ {dot}
 *     L' = (L(state) \ V(context)) ∪ {dot}        without the dot for a delete in a `siblings` bucket
 *
 * A delete in a last-write-wins bucket leaves a marker: its dot must take part in the order, so that an earlier write
 * that arrives later cannot win. Throws AssertionError for a dot that is not later than all that is known here: such a
 * dot may name two writes, or break the order that last-write-wins relies on, and would lose data in silence.
 */
export function applyWrite(state: State, write: Write): State {
  const { context, dot, content, conflicts } = write;
  const latest = Math.max(highestCounter(state.vector), highestCounter(context));
  if (dot.counter <= latest)
    throw new AssertionError(`a write's counter ${dot.counter} is not above ${latest}, which is known already`);
  const vector = withDot(joinVectors(state.vector, context), dot);
  const versions = state.versions.filter((version) => !covers(context, version.dot));
  if (content !== null) insert(versions, liveVersion(write, content));
  else if (conflicts === 'lww') insert(versions, { dot, content, expiresAt: 0 });
  return settle({ vector, versions }, conflicts);
}

/**
 * The counter for a write: the clock's tick, or more when the client or the key has seen a later time. So a clock that
 * runs behind cannot make a write lose to what it supersedes, and a counter from the far future, once it is in a key,
 * hurts that key only. Throws RangeError when there is no larger counter left.
 */
export function counterFor(tick: number, context: VersionVector, state: State): number {
  const counter = Math.max(tick, highestCounter(context) + 1, highestCounter(state.vector) + 1);
  if (!Number.isSafeInteger(counter)) throw new RangeError(`no counter left for a write: ${counter} is above 2^53-1`);
  return counter;
}

function liveVersion({ dot, expiresAt, request }: Write, content: Content): Version {
  return request === undefined ? { dot, content, expiresAt } : { dot, content, expiresAt, request };
}

function insert(versions: Version[], version: Version): void {
  let at = versions.length;
  while (at > 0 && compareDotsByActor(versions[at - 1]!.dot, version.dot) > 0) at--;
  versions.splice(at, 0, version);
}
