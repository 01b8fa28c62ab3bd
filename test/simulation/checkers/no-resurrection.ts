/**
 * What was deleted stays deleted. An acknowledged delete kills what its client had seen, and what that had superseded; in
 * an `lww` bucket also everything earlier than itself. A dead write is not live anywhere in the end, nor at a replica that
 * knows the delete; and no read shows it that has to know the delete.
 */

import type { History, ReplicaSnapshot, WhiteBox } from '../history.ts';
import { compareRank, earliest, latest } from './dots.ts';
import { pastOf } from './key-history.ts';
import type { KeyHistories, KeyHistory, Write } from './key-history.ts';
import { faultyReads } from './quorum-readers.ts';
import { isKnown, liveWrites, snapshotsOf } from './replica-knowledge.ts';
import type { Violation } from './violation.ts';

export function checkNoResurrection(
  histories: KeyHistories,
  history: History,
  whiteBox: WhiteBox,
): readonly Violation[] {
  const violations: Violation[] = [];
  const final = new Set(whiteBox.final?.replicas);
  for (const key of histories.values()) if (key.mode !== 'strong') violations.push(...inReads(key, history));
  for (const mode of ['siblings', 'lww'] as const) {
    for (const { history: key, snapshot } of snapshotsOf(histories, whiteBox, mode)) {
      violations.push(...inReplica(key, snapshot, final.has(snapshot)));
    }
  }
  return violations;
}

function inReads(key: KeyHistory, history: History): readonly Violation[] {
  return faultyReads(key, history, ({ kind }) => kind === 'delete')
    .filter(({ fault }) => fault.kind === 'superseded' || key.mode === 'lww')
    .map(({ read, fault }) => {
      const write = fault.kind === 'superseded' ? fault.write : read.shown[0]!;
      const reader = `a read by ${read.request.client} at time ${read.request.start.time}`;
      return violation(key, `${reader} shows ${write}, which ${fault.by.id} had deleted`, [write, fault.by.id]);
    });
}

function inReplica(key: KeyHistory, snapshot: ReplicaSnapshot, isFinal: boolean): readonly Violation[] {
  const live = liveWrites(key, snapshot);
  if (live.length === 0) return [];
  return key.deletes.flatMap((deletion) => {
    const known = deletion.dots.some((dot) => isKnown(snapshot, deletion, dot));
    if (!known && !(isFinal && deletion.outcome === 'applied')) return [];
    const dead = pastOf(key, [deletion]);
    return live
      .filter((write) => dead.has(write.id) || (key.mode === 'lww' && isEarlier(write, deletion)))
      .map((write) => {
        const at = `at ${snapshot.node}, time ${snapshot.moment.time}`;
        return violation(key, `${at}: ${write.id} is live, which ${deletion.id} had deleted`, [write.id, deletion.id]);
      });
  });
}

function isEarlier(write: Write, deletion: Write): boolean {
  const [last, rank] = [latest(write.dots), earliest(deletion.dots)];
  return last !== undefined && rank !== undefined && compareRank(last, rank) < 0;
}

function violation(key: KeyHistory, detail: string, writes: readonly string[]): Violation {
  return { check: 'no-resurrection', key: key.name, detail, writes };
}
