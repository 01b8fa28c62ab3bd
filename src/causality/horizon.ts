/**
 * What keeps vectors short. A vector has an entry for each actor that ever wrote the key, and a node becomes another actor with
 * each unclean start; so in time nearly all of a vector is about actors that are gone.
 *
 * Counters are hybrid times, the same for all actors. So one entry can speak for all of them: a horizon (m, t) says that each dot
 * with a counter up to t, of whichever actor on a node with an index up to m, is known: live in the state, or never to be live
 * again. It stands in the vector as the entry of an actor that there cannot be, so that it is stored, sent, hashed, joined and
 * signed as all others are, also by programs that do not know what it means:
 *
 *     node 65535 | tenure m | counter t
 *
 * Entries that lie within a horizon say nothing more and are left out (compact.ts). Whoever joins a state with a horizon has it too.
 * Nodes that came later have a larger index: of what they write nothing is claimed. Who may claim a horizon: repair/compaction.ts.
 */

import { nodeIndex, type NodeIndex } from '#kernel/identity.ts';
import type { Dot } from './dot.ts';
import type { VersionVector } from './state.ts';

/** The index that no member ever gets. */
const EVERYBODY = nodeIndex(65_535);

export function horizonAt(lastMember: NodeIndex, time: number): Dot {
  return { node: EVERYBODY, tenure: lastMember, counter: time };
}

export function isHorizon({ node }: Dot): boolean {
  return node === EVERYBODY;
}

export function hasHorizon(vector: VersionVector): boolean {
  return vector.length > 0 && isHorizon(vector[vector.length - 1]!);
}

/** Whether the dot, or all that is within another horizon, is within one of the vector's horizons, which stand at its end. */
export function isWithinHorizon(vector: VersionVector, dot: Dot): boolean {
  for (let at = vector.length - 1; at >= 0 && isHorizon(vector[at]!); at--) {
    if (isWithin(vector[at]!, dot)) return true;
  }
  return false;
}

export function isWithin(horizon: Dot, dot: Dot): boolean {
  return (isHorizon(dot) ? dot.tenure : dot.node) <= horizon.tenure && dot.counter <= horizon.counter;
}

/** What the vector knows beyond its horizons. */
export function beyondHorizon(vector: VersionVector): VersionVector {
  return hasHorizon(vector) ? vector.filter((entry) => !isHorizon(entry) && !isWithinHorizon(vector, entry)) : vector;
}
