/**
 * A touch lets what is under a key live longer. It writes no version: the live ones keep their dots and get a later end, and
 * the touch has a dot of its own, which only the vector knows. So it can neither bring back what somebody has deleted, nor
 * replace or outrank a write that it has not seen, nor become a sibling of anything; two touches at once come to the later end of
 * the two. Whoever knows the dot has the later end too, since both travel in one state and the join keeps both: hence sessions,
 * trees, repair and repeated requests see a touch as they see any write.
 *
 * An end only ever moves away, and what lives for ever goes on to do so: with another rule the order of arrival would matter.
 */

import type { Dot } from './dot.ts';
import { Unfitting } from './operate.ts';
import type { State, Version, VersionVector } from './state.ts';
import { covers, withDot } from './vector.ts';

export interface Touch {
  /** What it may prolong: what was read for it. */
  readonly context: VersionVector;
  /** Fresh. */
  readonly dot: Dot;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
  readonly now: number;
}

/** Of two ends of one version the one that holds; 0 is never. */
export function laterEnd(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : Math.max(a, b);
}

/** Throws {@link Unfitting} when nothing is there that could live longer. */
export function touched({ vector, versions }: State, { context, dot, expiresAt, now }: Touch): State {
  const meant = new Set(
    versions.filter((version) => covers(context, version.dot) && version.content !== null && !hasEnded(version, now)),
  );
  if (meant.size === 0) throw new Unfitting('what was there has ended or was deleted meanwhile');
  return {
    vector: withDot(vector, dot),
    versions: versions.map((version) =>
      meant.has(version) ? { ...version, expiresAt: laterEnd(version.expiresAt, expiresAt) } : version,
    ),
  };
}

function hasEnded({ expiresAt }: Version, now: number): boolean {
  return expiresAt !== 0 && expiresAt <= now;
}
