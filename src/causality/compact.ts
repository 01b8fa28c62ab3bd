/**
 * States with short vectors: entries that lie within a horizon are left out, except those of actors of which a version is
 * live, because a version stands for its actor by the place of that in the vector. Those say how far the live ones go, and no more.
 * So there is one way to write down what is known and what is live, and whoever comes to the same has the same bytes.
 */

import { compareActors, sameActor, type Dot } from './dot.ts';
import { hasHorizon, isHorizon, isWithin, isWithinHorizon } from './horizon.ts';
import type { State, VersionVector } from './state.ts';
import { withDot } from './vector.ts';

/** The state itself when there is nothing to leave out. */
export function compacted(state: State): State {
  const { vector, versions } = state;
  if (!hasHorizon(vector)) return state;
  let changed = false;
  let next = 0;
  const kept: Dot[] = [];
  for (const entry of vector) {
    let live = 0;
    for (; next < versions.length && compareActors(versions[next]!.dot, entry) <= 0; next++)
      if (sameActor(versions[next]!.dot, entry)) live = versions[next]!.dot.counter;
    if (!isNeedless(vector, entry) || live === entry.counter) kept.push(entry);
    else {
      changed = true;
      if (live > 0) kept.push({ ...entry, counter: live });
    }
  }
  return changed ? { vector: kept, versions } : state;
}

/** The state with the horizon known, and thus without what lies within. */
export function withHorizon({ vector, versions }: State, horizon: Dot): State {
  return compacted({ vector: withDot(vector, horizon), versions });
}

/** Entries that a horizon could make needless. */
export function spareEntries({ vector, versions }: State): number {
  let actors = 0;
  for (const [i, { dot }] of versions.entries()) if (i === 0 || !sameActor(versions[i - 1]!.dot, dot)) actors++;
  return vector.filter((entry) => !isHorizon(entry)).length - actors;
}

/**
 * What the vector knows of the dots within the horizon, whatever is live of them and whatever is known beyond it: equal for all
 * that know the same of them, as long as their own horizons are the same.
 */
export function knownWithin(vector: VersionVector, horizon: Dot): VersionVector {
  const own = vector.filter(isHorizon);
  const within = vector
    .filter((entry) => !isHorizon(entry))
    .map((entry) => ({ ...entry, counter: Math.min(entry.counter, horizon.counter) }))
    .filter((entry) => isWithin(horizon, entry) && !isWithinHorizon(own, entry));
  return [...within, ...own];
}

function isNeedless(vector: VersionVector, entry: Dot): boolean {
  if (!isHorizon(entry)) return isWithinHorizon(vector, entry);
  return vector.some((other) => other !== entry && isHorizon(other) && isWithin(other, entry));
}
