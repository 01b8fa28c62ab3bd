/**
 * No acknowledged write is ever lost: when all is healed, every owner knows it, and has it live, unless it was replaced by
 * a write or delete whose client had seen it (siblings) or beaten by a later one (last write wins).
 *
 * Owners that hold nothing at all of a key are in order only if its values were deleted: then the tombstone was reclaimed.
 */

import type { ReplicaSnapshot, WhiteBox } from '../history.ts';
import { compareRank, covers, earliest } from './dots.ts';
import { keyName } from './key-history.ts';
import type { KeyHistories, KeyHistory, Write } from './key-history.ts';
import { knownWrites, mayBeDeleted, mayBeSuperseded } from './replica-knowledge.ts';
import type { Violation } from './violation.ts';

/** Judges the final snapshot; without one there is nothing to say. */
export function checkDurableCoverage(histories: KeyHistories, whiteBox: WhiteBox): readonly Violation[] {
  if (whiteBox.final === null) return [];
  const replicas = new Map<string, ReplicaSnapshot[]>();
  for (const replica of whiteBox.final.replicas) {
    const name = keyName(replica.bucket, replica.key);
    replicas.set(name, [...(replicas.get(name) ?? []), replica]);
  }
  const violations: Violation[] = [];
  for (const history of histories.values()) {
    if (history.mode === 'strong') continue;
    const acknowledged = [...history.writes.values()].filter(({ outcome }) => outcome === 'applied');
    if (acknowledged.length === 0) continue;
    const owners = replicas.get(history.name) ?? [];
    if (owners.length === 0) {
      violations.push(
        violation(
          history,
          'no owner holds anything, and none was looked at',
          acknowledged.map(({ id }) => id),
        ),
      );
    }
    const isReclaimed = owners.every(({ vector, versions }) => vector.length === 0 && versions.length === 0);
    for (const owner of owners) violations.push(...atOwner(history, owner, acknowledged, isReclaimed));
  }
  return violations;
}

function atOwner(
  history: KeyHistory,
  owner: ReplicaSnapshot,
  acknowledged: readonly Write[],
  isReclaimed: boolean,
): readonly Violation[] {
  const known = knownWrites(history, owner);
  const live = new Set(owner.versions.map(({ write }) => write));
  const violations: Violation[] = [];
  for (const write of acknowledged) {
    const problem = isReclaimed ? whyNotReclaimable(write) : (whyNotCovered(write) ?? whyNotLive(write));
    if (problem !== undefined)
      violations.push(violation(history, `at ${owner.node}: ${write.id} ${problem}`, [write.id]));
  }
  return violations;

  function whyNotCovered(write: Write): string | undefined {
    if (write.dots.length === 0 || write.dots.some((dot) => covers(owner.vector, dot))) return undefined;
    return mayBeGivenUp(history, owner, write) ? undefined : 'was acknowledged and its dot is not covered';
  }

  function whyNotLive(write: Write): string | undefined {
    if (live.has(write.id)) return undefined;
    if (history.mode === 'lww')
      return isBeaten(owner, write) ? undefined : 'was acknowledged, and what is there is not later';
    if (write.kind === 'delete' || mayBeSuperseded(history, owner, known, write)) return undefined;
    return mayBeGivenUp(history, owner, write) ? undefined : 'was acknowledged, is not live, and nothing replaced it';
  }

  function whyNotReclaimable(write: Write): string | undefined {
    return mayBeDeleted(history, write)
      ? undefined
      : 'was acknowledged, and nothing is there, though it was not deleted';
  }
}

/**
 * Whether the tombstone of what deleted it, or of what replaced it, may have been given up before anybody wrote the key anew:
 * the owner knows something later of the key. A context from before may have brought earlier dots along.
 */
function mayBeGivenUp(history: KeyHistory, { vector }: ReplicaSnapshot, write: Write): boolean {
  const last = Math.max(...write.dots.map(({ counter }) => counter));
  return last > 0 && vector.some(({ counter }) => counter > last) && mayBeDeleted(history, write);
}

function isBeaten(owner: ReplicaSnapshot, write: Write): boolean {
  const rank = earliest(write.dots);
  return owner.versions.some((version) => {
    if (rank !== undefined) return compareRank(version.dot, rank) >= 0;
    return version.write === null || !write.replaces.includes(version.write);
  });
}

function violation(history: KeyHistory, detail: string, writes: readonly string[]): Violation {
  return { check: 'durable-coverage', key: history.name, detail, writes };
}
