/**
 * Which reads have to know which acknowledged writes, whatever the faults:
 * - A read that `r` owners answer meets a write that `w` owners hold when r + w > owners. Fallbacks count on neither side.
 * - After the cluster has healed and converged, every read meets every write that was acknowledged before that.
 */

import type { History } from '../history.ts';
import type { AnsweredRead, KeyHistory, Write } from './key-history.ts';
import { MustKnow } from './must-know.ts';
import type { Fault } from './must-know.ts';

export interface FaultyRead {
  readonly read: AnsweredRead;
  readonly fault: Fault;
}

/** The faults of all reads of one key with regard to what they have to know, in order of the reads. */
export function faultyReads(
  key: KeyHistory,
  { convergedAt }: History,
  matters: (write: Write) => boolean,
): readonly FaultyRead[] {
  const byAnswerers = Array.from({ length: key.owners + 1 }, () => new MustKnow(key));
  const everything = new MustKnow(key);
  const converged = convergedAt?.order ?? Infinity;
  const acknowledged = [...key.writes.values()]
    .filter((write) => write.outcome === 'applied' && matters(write))
    .toSorted((a, b) => a.acknowledged - b.acknowledged);
  const faulty: FaultyRead[] = [];
  let next = 0;
  for (const read of key.reads) {
    for (; next < acknowledged.length && acknowledged[next]!.acknowledged < read.start; next++) {
      const write = acknowledged[next]!;
      for (const [answerers, known] of byAnswerers.entries())
        if (answerers + write.holders > key.owners) known.add(write);
      if (write.acknowledged < converged) everything.add(write);
    }
    const known = byAnswerers[Math.min(read.answerers, key.owners)]!;
    const faults = known.faultsOf(read.shown, read.end);
    if (read.start > converged) {
      const told = new Set(faults.map(({ write }) => write));
      faults.push(...everything.faultsOf(read.shown, read.end).filter(({ write }) => !told.has(write)));
    }
    faulty.push(...faults.map((fault) => ({ read, fault })));
  }
  return faulty;
}
