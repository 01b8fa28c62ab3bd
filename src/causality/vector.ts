/**
 * Version vectors: what is known of the writes of one key. An entry covers its actor's dots up to the counter; an actor
 * without an entry has counter 0, which no dot has. Vectors are sorted by actor and never changed in place. A horizon, which
 * stands last, covers dots of all actors (horizon.ts).
 */

import { compareActors, sameActor } from './dot.ts';
import type { Actor, Dot } from './dot.ts';
import { hasHorizon, isWithinHorizon } from './horizon.ts';
import type { VersionVector } from './state.ts';

/** The counter of the actor's entry; 0 when there is none. */
export function counterOf(vector: VersionVector, actor: Actor): number {
  let low = 0;
  let high = vector.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const entry = vector[middle]!;
    const order = compareActors(entry, actor);
    if (order === 0) return entry.counter;
    if (order < 0) low = middle + 1;
    else high = middle - 1;
  }
  return 0;
}

/** Whether the write that the dot names is known: live, or superseded since. */
export function covers(vector: VersionVector, dot: Dot): boolean {
  return counterOf(vector, dot) >= dot.counter || isWithinHorizon(vector, dot);
}

/** Whether everything that `b` knows is known to `a`: a ≥ b for every actor. */
export function dominates(a: VersionVector, b: VersionVector): boolean {
  if (a === b) return true;
  if (b.length > a.length && !hasHorizon(a)) return false;
  let at = 0;
  for (const entry of b) {
    while (at < a.length && compareActors(a[at]!, entry) < 0) at++;
    const known = at < a.length && compareActors(a[at]!, entry) === 0 && a[at]!.counter >= entry.counter;
    if (!known && !isWithinHorizon(a, entry)) return false;
  }
  return true;
}

/** The least vector that dominates both; `a` or `b` itself when that one already does. */
export function joinVectors(a: VersionVector, b: VersionVector): VersionVector {
  if (dominates(a, b)) return a;
  if (dominates(b, a)) return b;
  const joined: Dot[] = [];
  let inA = 0;
  let inB = 0;
  while (inA < a.length && inB < b.length) {
    const fromA = a[inA]!;
    const fromB = b[inB]!;
    const order = compareActors(fromA, fromB);
    if (order < 0) joined.push(fromA);
    else if (order > 0) joined.push(fromB);
    else joined.push(fromA.counter >= fromB.counter ? fromA : fromB);
    if (order <= 0) inA++;
    if (order >= 0) inB++;
  }
  while (inA < a.length) joined.push(a[inA++]!);
  while (inB < b.length) joined.push(b[inB++]!);
  return joined;
}

/** The vector with the dot, and thus all earlier ones of its actor, known. */
export function withDot(vector: VersionVector, dot: Dot): VersionVector {
  let at = 0;
  while (at < vector.length && compareActors(vector[at]!, dot) < 0) at++;
  const known = vector[at];
  if (known === undefined || !sameActor(known, dot)) return vector.toSpliced(at, 0, dot);
  return known.counter >= dot.counter ? vector : vector.with(at, dot);
}

/** The largest counter of any actor; 0 for the empty vector. */
export function highestCounter(vector: VersionVector): number {
  let highest = 0;
  for (const entry of vector) highest = Math.max(highest, entry.counter);
  return highest;
}
