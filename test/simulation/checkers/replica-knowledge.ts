/** What a snapshot of one replica says about the writes of its key. */

import type { Dot, ReplicaSnapshot, WhiteBox } from '../history.ts';
import { covers, hasHeardOf, speaksFor } from './dots.ts';
import { keyName, mayExist, mayHaveFound } from './key-history.ts';
import { MustKnow } from './must-know.ts';
import type { KeyHistories, KeyHistory, Write } from './key-history.ts';

/** The snapshots of keys of that mode, the ones taken during the run and those at its end. */
export function* snapshotsOf(
  histories: KeyHistories,
  whiteBox: WhiteBox,
  mode: KeyHistory['mode'],
): Iterable<{ readonly history: KeyHistory; readonly snapshot: ReplicaSnapshot }> {
  for (const snapshots of [whiteBox.samples, whiteBox.final?.replicas ?? []]) {
    for (const snapshot of snapshots) {
      const history = histories.get(keyName(snapshot.bucket, snapshot.key));
      if (history?.mode === mode) yield { history, snapshot };
    }
  }
}

/** The writes of the history that are live there, with repetitions. */
export function liveWrites(history: KeyHistory, snapshot: ReplicaSnapshot): readonly Write[] {
  return snapshot.versions.flatMap(({ write }) => (write === null ? [] : (history.writes.get(write) ?? [])));
}

/**
 * The writes that are certainly known there, and not only through others: one of their dots is, or they are live. An entry for
 * everybody may speak for one that was lost before anybody confirmed it.
 */
export function knownWrites(history: KeyHistory, snapshot: ReplicaSnapshot): ReadonlySet<Write> {
  const known = new Set(liveWrites(history, snapshot));
  for (const write of history.writes.values()) {
    if (write.dots.some((dot) => isKnown(snapshot, write, dot))) known.add(write);
  }
  return known;
}

export function isKnown({ vector }: ReplicaSnapshot, { outcome }: Write, dot: Dot): boolean {
  return hasHeardOf(vector, dot) || (outcome === 'applied' && covers(vector, dot));
}

/** Whether a delete may have removed it, or what replaced it: whether a reader that knows it may be shown nothing. */
export function mayBeDeleted(history: KeyHistory, write: Write): boolean {
  const reader = new MustKnow(history);
  reader.add(write);
  return reader.faultsOf([], Infinity).length === 0;
}

/** Whether its tombstone may have been given up, what deleted it with it, before the same actor has written the key anew. */
export function mayBeForgotten(history: KeyHistory, { vector }: ReplicaSnapshot, write: Write): boolean {
  const isLater = vector.some((last) =>
    write.dots.some((dot) => {
      const isOfActor = last.node === dot.node && last.tenure === dot.tenure;
      return (isOfActor || speaksFor(last, dot)) && last.counter > dot.counter;
    }),
  );
  return isLater && mayBeDeleted(history, write);
}

/** Whether something that may be known there may have superseded the write (not looking at last-write-wins). */
export function mayBeSuperseded(
  history: KeyHistory,
  snapshot: ReplicaSnapshot,
  known: ReadonlySet<Write>,
  write: Write,
): boolean {
  const mayBeKnown = (other: Write): boolean =>
    known.has(other) ||
    other.dots.some((dot) => covers(snapshot.vector, dot)) ||
    (other.dots.length === 0 && mayExist(other, snapshot.moment.order));
  if (history.successors.get(write.id)?.some(mayBeKnown) === true) return true;
  return history.deletes.some((finder) => mayHaveFound(finder, write) && mayBeKnown(finder));
}
