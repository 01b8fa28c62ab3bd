/**
 * How two copies of a key become one. Replicas exchange whole states and join them, in any order and any number of
 * times, and all end equal. The laws, for all states that writes and joins can produce:
 *
 *     join(a, b) = join(b, a)                         it does not matter who sends to whom,
 *     join(a, join(b, c)) = join(join(a, b), c)       nor on which way the news travels,
 *     join(a, a) = a                                  nor how often it arrives.
 *
 * With V(x) the dots that a state's vector covers and L(x) those of its live versions:
 *
 *     V(join(a, b)) = V(a) ∪ V(b)
 *     L(join(a, b)) = (L(a) ∩ L(b)) ∪ (L(a) \ V(b)) ∪ (L(b) \ V(a))
 *
 * that is: a version goes when one side knows its dot and no longer has it, because then something has superseded it. What both
 * have is the same write; it lives until the later of the two ends (touch.ts), and its content wins over the lack of it.
 * (Preguiça et al. 2010; Almeida et al. 2018, section 7.) A last-write-wins bucket then keeps only the version with the
 * latest dot, and the vector goes on covering the rest. That is still a join because a dot is later than every dot its
 * writer could know (see write.ts): a version that loses here loses at every replica. With an order that causality
 * does not respect, such as plain wall clocks, two replicas can each drop what the other one kept, and the key is gone.
 */

import { compacted } from './compact.ts';
import { compareDotsByActor, compareDotsByTime, sameDot } from './dot.ts';
import { withoutRepeats } from './repeats.ts';
import type { Outline, OutlinedVersion } from './outline.ts';
import { laterEnd } from './touch.ts';
import type { Conflicts, State, Version, VersionVector } from './state.ts';
import { covers, dominates, joinVectors } from './vector.ts';

/** The least state that knows all that `a` and `b` know: `a` or `b` itself when that one already does. */
export function joinStates(a: State, b: State, conflicts: Conflicts): State {
  if (includes(a, b)) return settle(a, conflicts);
  if (includes(b, a)) return settle(b, conflicts);
  return settle({ vector: joinVectors(a.vector, b.vector), versions: joinVersions(a, b) }, conflicts);
}

/** Whether both know the same writes and hold the same ones live. Equal dots mean equal contents, and equal vectors equal ends. */
export function equalStates(a: State, b: State): boolean {
  return a === b || (sameDots(a.vector, b.vector) && sameVersions(a.versions, b.versions));
}

/** Whether `b` has no news for `a`: join(a, b) = a. */
export function includes(a: Outline, b: Outline): boolean {
  if (a === b) return true;
  if (!dominates(a.vector, b.vector)) return false;
  // Whatever b has and a has not is superseded. The other way round, b must not have superseded anything of a's.
  let inB = 0;
  for (const version of a.versions) {
    while (inB < b.versions.length && compareDotsByActor(b.versions[inB]!.dot, version.dot) < 0) inB++;
    const both = inB < b.versions.length && sameDot(b.versions[inB]!.dot, version.dot);
    if (!both && covers(b.vector, version.dot)) return false;
    if (both && tellsMore(version, b.versions[inB]!)) return false;
  }
  return true;
}

/**
 * Keeps the latest version only, in a last-write-wins bucket, where a deletion marker takes part like any other version.
 * Among siblings keeps one version of a request that was sent again. Of the vector keeps what says something.
 */
export function settle(state: State, conflicts: Conflicts): State {
  return compacted(settledVersions(state, conflicts));
}

function settledVersions(state: State, conflicts: Conflicts): State {
  if (state.versions.length <= 1) return state;
  if (conflicts === 'siblings') return withoutRepeats(state);
  const latest = state.versions.reduce((best, next) => (compareDotsByTime(next.dot, best.dot) > 0 ? next : best));
  return { vector: state.vector, versions: [latest] };
}

/**
 * Of one version, whether `b` still has the content that `a` was stripped of when it expired. A replica whose clock ran ahead
 * may have done that too early, and then the others' content is to be had again: whether it has expired is for the reader.
 */
function hasContentFor(a: OutlinedVersion, b: OutlinedVersion): boolean {
  return a.content === null && b.content !== null;
}

/** Whether of one version `b` has the content or an end that `a` does not know. */
function tellsMore(a: OutlinedVersion, b: OutlinedVersion): boolean {
  return hasContentFor(a, b) || (a.expiresAt !== b.expiresAt && laterEnd(a.expiresAt, b.expiresAt) !== a.expiresAt);
}

function joinVersion(a: Version, b: Version): Version {
  return { ...(hasContentFor(a, b) ? b : a), expiresAt: laterEnd(a.expiresAt, b.expiresAt) };
}

function joinVersions(a: State, b: State): readonly Version[] {
  const joined: Version[] = [];
  let inA = 0;
  let inB = 0;
  while (inA < a.versions.length || inB < b.versions.length) {
    const fromA = a.versions[inA];
    const fromB = b.versions[inB];
    const order = fromA === undefined ? 1 : fromB === undefined ? -1 : compareDotsByActor(fromA.dot, fromB.dot);
    if (order < 0 && !covers(b.vector, fromA!.dot)) joined.push(fromA!);
    if (order > 0 && !covers(a.vector, fromB!.dot)) joined.push(fromB!);
    if (order === 0) joined.push(tellsMore(fromA!, fromB!) ? joinVersion(fromA!, fromB!) : fromA!);
    if (order <= 0) inA++;
    if (order >= 0) inB++;
  }
  return joined;
}

function sameDots(a: VersionVector, b: VersionVector): boolean {
  return a === b || (a.length === b.length && a.every((dot, i) => sameDot(dot, b[i]!)));
}

function sameVersions(a: readonly Version[], b: readonly Version[]): boolean {
  return a === b || (a.length === b.length && a.every((version, i) => sameDot(version.dot, b[i]!.dot)));
}
