/**
 * In a `siblings` bucket the live versions are exactly the concurrent ones: of the writes that a replica knows, those that
 * no other write known there has superseded. One too many is false concurrency, one too few is a lost write. This holds
 * for each replica at any time, relative to what it knows, so samples taken in the middle of the run are checked too.
 *
 * A read cannot be held against what its replicas knew; but no value that it shows may be in the past of another.
 */

import type { ReplicaSnapshot, WhiteBox } from '../history.ts';
import { pastOf } from './key-history.ts';
import type { KeyHistories, KeyHistory, Write } from './key-history.ts';
import { knownWrites, liveWrites, mayBeForgotten, mayBeSuperseded, snapshotsOf } from './replica-knowledge.ts';
import type { Violation } from './violation.ts';

export function checkConcurrentSiblings(histories: KeyHistories, whiteBox: WhiteBox): readonly Violation[] {
  const violations: Violation[] = [];
  for (const history of histories.values()) if (history.mode === 'siblings') violations.push(...inReads(history));
  for (const { history, snapshot } of snapshotsOf(histories, whiteBox, 'siblings')) {
    violations.push(...inReplica(history, snapshot));
  }
  return violations;
}

function inReads(history: KeyHistory): readonly Violation[] {
  return history.reads.flatMap(({ shown, request }) => {
    const writes = shown.flatMap((id) => history.writes.get(id) ?? []);
    if (writes.length < 2) return [];
    const past = pastOf(history, writes, Math.min(...writes.map(({ start }) => start)));
    return shown
      .filter((id) => past.has(id))
      .map((id) =>
        violation(history, `a read by ${request.client} shows ${id} beside a write that superseded it`, [id, ...shown]),
      );
  });
}

function inReplica(history: KeyHistory, snapshot: ReplicaSnapshot): readonly Violation[] {
  const violations: Violation[] = [];
  const known = knownWrites(history, snapshot);
  const superseded = pastOf(history, known);
  const live = new Set(liveWrites(history, snapshot));
  for (const write of live) {
    if (!superseded.has(write.id)) continue;
    const isBy = (other: Write): boolean => known.has(other) && pastOf(history, [other]).has(write.id);
    const by = [...history.writes.values()].filter(isBy).map(({ id }) => id);
    violations.push(
      violation(history, `${at(snapshot)} ${write.id} is live, but ${by.join()}, known there, superseded it`, [
        write.id,
        ...by,
      ]),
    );
  }
  for (const write of known) {
    if (!isMissing(write)) continue;
    violations.push(
      violation(history, `${at(snapshot)} ${write.id} is known and not live, and nothing known there superseded it`, [
        write.id,
      ]),
    );
  }
  return violations;

  function isMissing(write: Write): boolean {
    if (write.kind === 'delete' || live.has(write)) return false;
    return !mayBeSuperseded(history, snapshot, known, write) && !mayBeForgotten(history, snapshot, write);
  }
}

function at({ node, moment }: ReplicaSnapshot): string {
  return `at ${node}, time ${moment.time}:`;
}

function violation(history: KeyHistory, detail: string, writes: readonly string[]): Violation {
  return { check: 'concurrent-siblings', key: history.name, detail, writes: [...new Set(writes)] };
}
