/**
 * In an `lww` bucket a replica holds the latest of the writes that it knows, a deletion being one of them, and nothing
 * else; and the order of writes extends causality: a write whose client had seen another is later than that one. With an
 * order that causality does not respect, replicas can each drop what the other kept, and the key vanishes.
 *
 * A write that a retry minted again has the rank of its first dot.
 */

import type { ReplicaSnapshot, WhiteBox } from '../history.ts';
import { compareRank, earliest, showDot } from './dots.ts';
import type { KeyHistories, KeyHistory } from './key-history.ts';
import { isKnown, snapshotsOf } from './replica-knowledge.ts';
import type { Violation } from './violation.ts';

export function checkLastWriteWins(histories: KeyHistories, whiteBox: WhiteBox): readonly Violation[] {
  const violations: Violation[] = [];
  for (const history of histories.values()) {
    if (history.mode !== 'lww') continue;
    violations.push(...causality(history), ...inReads(history));
  }
  for (const { history, snapshot } of snapshotsOf(histories, whiteBox, 'lww')) {
    violations.push(...inReplica(history, snapshot));
  }
  return violations;
}

function causality(history: KeyHistory): readonly Violation[] {
  const violations: Violation[] = [];
  for (const write of history.writes.values()) {
    const rank = earliest(write.dots);
    for (const id of write.replaces) {
      const seen = earliest(history.writes.get(id)?.dots ?? []);
      if (rank === undefined || seen === undefined || compareRank(rank, seen) > 0) continue;
      const detail = `the client of ${write.id} had seen ${id}, yet its dot ${showDot(rank)} is not later than ${showDot(seen)}`;
      violations.push(violation(history, detail, [write.id, id]));
    }
  }
  return violations;
}

function inReads(history: KeyHistory): readonly Violation[] {
  return history.reads
    .filter(({ shown }) => shown.length > 1)
    .map(({ shown, request }) =>
      violation(history, `a read by ${request.client} shows ${shown.length} versions`, shown),
    );
}

function inReplica(history: KeyHistory, snapshot: ReplicaSnapshot): readonly Violation[] {
  const { node, moment, versions } = snapshot;
  const at = `at ${node}, time ${moment.time}:`;
  if (versions.length > 1) {
    const writes = versions.flatMap(({ write }) => write ?? []);
    return [violation(history, `${at} ${versions.length} versions are live`, writes)];
  }
  const [winner] = versions;
  const violations: Violation[] = [];
  for (const write of history.writes.values()) {
    const rank = earliest(write.dots);
    if (rank === undefined || !write.dots.some((dot) => isKnown(snapshot, write, dot))) continue;
    if (winner === undefined) {
      violations.push(
        violation(history, `${at} ${write.id} is known, yet nothing is there, not even a deletion`, [write.id]),
      );
    } else if (compareRank(rank, winner.dot) > 0) {
      const detail = `${at} ${winner.write ?? 'a deletion'} (${showDot(winner.dot)}) is live, though ${write.id} (${showDot(rank)}) is known and later`;
      violations.push(violation(history, detail, [write.id, ...(winner.write === null ? [] : [winner.write])]));
    }
  }
  return violations;
}

function violation(history: KeyHistory, detail: string, writes: readonly string[]): Violation {
  return { check: 'last-write-wins', key: history.name, detail, writes };
}
